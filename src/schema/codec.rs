//! Records as bytes in the database, and back: one byte for the format, an xxh3 checksum over key and payload, then
//! bincode, compressed with LZ4 where that makes a long one a good deal shorter. Which tables there are and which shapes
//! their rows have is the schema's version, kept in the database once.
//!
//! The checksum is verified at every read because the database engine does not verify its pages on read: flipped bits
//! would come back as wrong data. bincode is named in this file alone, so that another encoding can follow it behind
//! the format byte.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// bincode. Another encoding, or another checksum, would get a number of its own.
const PLAIN: u8 = 1;
/// The length of the payload of [`PLAIN`] in four bytes, little-endian, then that payload as an LZ4 block.
const COMPRESSED: u8 = 2;

/// Shorter payloads share their pages with others, so that little would be won.
const WORTHWHILE: usize = 1024;

/// A payload is never longer, so that a length that lies claims no more memory.
const MAX_PAYLOAD: usize = 64 << 20;

const HEADER: usize = 1 + 8;

/// Bytes that are not what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The checksum does not match, or the payload does not have the shape.
    #[error("the stored bytes are damaged")]
    Damaged,
    /// Written by a newer version of this program.
    #[error("stored by a newer version of oxi-state (format {0})")]
    Newer(u8),
}

/// The bytes of a value under a key. The key takes part in the checksum, so that a row found at the wrong place is
/// noticed.
///
/// # Panics
/// Never: the stored types hold no map with an unknown length, which alone bincode cannot encode.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(key: &[u8], value: &T) -> Vec<u8> {
    let mut packed = Packed::new(value);
    packed.seal(key);
    packed.0
}

/// A value as bytes that lack only the checksum, so that most of the work can be done elsewhere.
#[derive(Debug)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// The bytes of a value under no key yet.
    ///
    /// # Panics
    /// See [`encode`].
    #[must_use]
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Self {
        let mut bytes = vec![0; HEADER];
        let written = bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard());
        written.expect("writing to memory cannot fail and all stored types are of known length");
        bytes[0] = PLAIN;
        if let Some(compressed) = compressed(&bytes[HEADER..]) {
            bytes.truncate(HEADER);
            bytes.extend_from_slice(&compressed);
            bytes[0] = COMPRESSED;
        }
        Self(bytes)
    }

    /// The bytes under a key.
    pub fn seal(&mut self, key: &[u8]) -> &[u8] {
        let Self(bytes) = self;
        let sum = checksum(key, bytes[0], &bytes[HEADER..]);
        bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// A payload in the form of [`COMPRESSED`]; none if that is not worth while.
fn compressed(payload: &[u8]) -> Option<Vec<u8>> {
    let worthwhile = (WORTHWHILE..=MAX_PAYLOAD).contains(&payload.len());
    let compressed = worthwhile.then(|| lz4_flex::block::compress_prepend_size(payload))?;
    (compressed.len() < payload.len() / 8 * 7).then_some(compressed)
}

/// The payload of a row in the form of [`COMPRESSED`].
fn decompressed(payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (length, block) = lz4_flex::block::uncompressed_size(payload).map_err(|_| DecodeError::Damaged)?;
    // a byte of a block stands for at most 255
    if length > MAX_PAYLOAD || length / 255 > block.len() {
        return Err(DecodeError::Damaged);
    }
    let payload = lz4_flex::block::decompress(block, length).ok().filter(|payload| payload.len() == length);
    payload.ok_or(DecodeError::Damaged)
}

/// Whether bytes are what was stored under a key, whatever that says.
#[must_use]
pub fn is_whole(key: &[u8], bytes: &[u8]) -> bool {
    sealed(key, bytes).is_some()
}

/// The value that was stored under a key.
///
/// # Errors
/// [`DecodeError::Damaged`] unless every bit is as it was stored; [`DecodeError::Newer`] for a version this program
/// does not know.
pub fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, DecodeError> {
    let payload = &*payload(key, bytes)?;
    match decode_payload(payload)? {
        (value, used) if used == payload.len() => Ok(value),
        _ => Err(DecodeError::Damaged),
    }
}

/// The first fields of a value, by its [`payload`]; texts are parts of that.
///
/// # Errors
/// See [`decode`].
pub fn beginning<'b, T: Deserialize<'b>>(payload: &'b [u8]) -> Result<T, DecodeError> {
    let config = bincode::config::standard().with_limit::<MAX_PAYLOAD>();
    let decoded = bincode::serde::borrow_decode_from_slice(payload, config);
    decoded.map(|(value, _)| value).map_err(|_| DecodeError::Damaged)
}

/// The fields of the value that was stored under a key, as bytes.
///
/// # Errors
/// See [`decode`].
pub fn payload<'b>(key: &[u8], bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, DecodeError> {
    match sealed(key, bytes).ok_or(DecodeError::Damaged)? {
        (PLAIN, payload) => Ok(payload.into()),
        (COMPRESSED, payload) => decompressed(payload).map(Cow::Owned),
        (newer, _) => Err(DecodeError::Newer(newer)),
    }
}

/// The version and the payload of a row; none unless its checksum matches.
fn sealed<'b>(key: &[u8], bytes: &'b [u8]) -> Option<(u8, &'b [u8])> {
    let ([version, stored @ ..], payload) = bytes.split_first_chunk::<HEADER>()?;
    (u64::from_le_bytes(*stored) == checksum(key, *version, payload)).then_some((*version, payload))
}

/// A value, and how many bytes of the payload it took.
fn decode_payload<T: DeserializeOwned>(payload: &[u8]) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<MAX_PAYLOAD>();
    bincode::serde::decode_from_slice(payload, config).map_err(|_| DecodeError::Damaged)
}

/// The checksum that stands as the value of an index row, which has none of its own.
#[must_use]
pub fn index_seal(key: &[u8]) -> [u8; 8] {
    checksum(key, PLAIN, &[]).to_le_bytes()
}

fn checksum(key: &[u8], version: u8, payload: &[u8]) -> u64 {
    // two passes over contiguous bytes: the streaming form has a set-up that costs more than most rows
    let seed = xxh3_64_with_seed(key, u64::from(version) << 32 | key.len() as u64);
    xxh3_64_with_seed(payload, seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use crate::schema::value::Value;

    fn assert_every_flip_is_damage<T: DeserializeOwned + PartialEq + std::fmt::Debug>(key: &[u8], bytes: &[u8]) {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode::<T>(key, &flipped), Err(DecodeError::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let value = Value::Map(vec![("k".into(), Value::List(vec![Value::Int(-7), Value::from("text")]))]);
        let bytes = encode(b"key", &value);
        assert_eq!(decode::<Value>(b"key", &bytes), Ok(value));
        assert_eq!(decode::<Value>(b"kez", &bytes), Err(DecodeError::Damaged));
        assert_every_flip_is_damage::<Value>(b"key", &bytes);
        for len in 0..bytes.len() {
            assert_eq!(decode::<Value>(b"key", &bytes[..len]), Err(DecodeError::Damaged));
        }
    }

    #[test]
    fn the_beginning_of_a_value_is_told_alone_and_not_of_a_damaged_one() {
        let bytes = encode(b"key", &(7_u32, "text", [1_u8; 9]));
        assert_eq!(beginning(&payload(b"key", &bytes).unwrap()), Ok((7_u32, "text")));
        assert_eq!(payload(b"kez", &bytes), Err(DecodeError::Damaged));
        let last = [&bytes[..bytes.len() - 1], &[2]].concat();
        assert_eq!(payload(b"key", &last), Err(DecodeError::Damaged));
        assert_eq!(beginning::<(u32, &str)>(&[7, 5, b't']), Err(DecodeError::Damaged), "cut off");
        let text = "again and again ".repeat(200);
        let long = encode(b"key", &(7_u32, &text));
        assert_eq!(long[0], COMPRESSED);
        assert_eq!(beginning(&payload(b"key", &long).unwrap()), Ok((7_u32, text.as_str())));
    }

    #[test]
    fn a_long_text_is_stored_shorter_and_comes_back() {
        let repetitive = "the same again and again\n".repeat(100);
        let bytes = encode(b"key", &repetitive);
        assert!(bytes[0] == COMPRESSED && bytes.len() < repetitive.len() / 4, "{}", bytes.len());
        assert_eq!(decode::<String>(b"key", &bytes), Ok(repetitive));
        assert!(is_whole(b"key", &bytes) && !is_whole(b"kez", &bytes));
        assert_every_flip_is_damage::<String>(b"key", &bytes);
    }

    #[test]
    fn what_does_not_become_shorter_is_stored_as_it_is() {
        let short = "the same again and again\n".repeat(30);
        let random = noise(1, 8_000);
        assert_eq!((encode(b"k", &short)[0], encode(b"k", &random)[0]), (PLAIN, PLAIN));
        assert_eq!(decode(b"k", &encode(b"k", &random)), Ok(random));
    }

    #[test]
    fn a_length_that_lies_is_damage_and_claims_no_memory() {
        let row = |payload: &[u8]| {
            let mut bytes = vec![COMPRESSED; HEADER];
            bytes.extend_from_slice(payload);
            let sum = checksum(b"k", COMPRESSED, payload);
            bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
            bytes
        };
        let text = "again and again ".repeat(200);
        let good = encode(b"k", &text)[HEADER..].to_vec();
        assert_eq!(decode::<String>(b"k", &row(&good)), Ok(text));
        for length in [0_u32, 1, 3_000, 1 << 26, (1 << 26) + 1, u32::MAX] {
            let mut lying = good.clone();
            lying[..4].copy_from_slice(&length.to_le_bytes());
            assert_eq!(decode::<String>(b"k", &row(&lying)), Err(DecodeError::Damaged), "{length}");
        }
        for length in 0..good.len() {
            assert_eq!(decode::<String>(b"k", &row(&good[..length])), Err(DecodeError::Damaged), "{length}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = encode(b"k", &7_u32);
        bytes[0] = 9;
        let sum = checksum(b"k", 9, &bytes[HEADER..]);
        bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(decode::<u32>(b"k", &bytes), Err(DecodeError::Newer(9)));
    }
}
