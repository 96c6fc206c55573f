//! Records as bytes in the database, and back: one byte for the format, an xxh3 checksum over key and payload, then
//! bincode. Which tables there are and which shapes their rows have is the schema's version, kept in the database once.
//!
//! The checksum is verified at every read because the database engine does not verify its pages on read: flipped bits
//! would come back as wrong data. bincode is named in this file alone, so that another encoding can follow it behind
//! the format byte.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The format that is written. Another encoding, or another checksum, would raise it.
const FORMAT: u8 = 1;

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
    let mut bytes = vec![0; HEADER];
    let written = bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard());
    written.expect("writing to memory cannot fail and all stored types are of known length");
    bytes[0] = FORMAT;
    let sum = checksum(key, FORMAT, &bytes[HEADER..]);
    bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Whether bytes are what was stored under a key, whatever that says.
#[must_use]
pub fn is_whole(key: &[u8], bytes: &[u8]) -> bool {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER>() else { return false };
    let (version, stored) = (header[0], header.last_chunk::<8>());
    stored.is_some_and(|stored| u64::from_le_bytes(*stored) == checksum(key, version, payload))
}

/// The value that was stored under a key.
///
/// # Errors
/// [`DecodeError::Damaged`] unless every bit is as it was stored; [`DecodeError::Newer`] for a version this program
/// does not know.
pub fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, DecodeError> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or(DecodeError::Damaged)?;
    let stored = u64::from_le_bytes(header[1..].try_into().map_err(|_| DecodeError::Damaged)?);
    if stored != checksum(key, header[0], payload) {
        return Err(DecodeError::Damaged);
    }
    if header[0] != FORMAT {
        return Err(DecodeError::Newer(header[0]));
    }
    match bincode::serde::decode_from_slice(payload, bincode::config::standard().with_limit::<{ 64 << 20 }>()) {
        Ok((value, used)) if used == payload.len() => Ok(value),
        _ => Err(DecodeError::Damaged),
    }
}

/// The checksum that stands as the value of an index row, which has none of its own.
#[must_use]
pub fn index_seal(key: &[u8]) -> [u8; 8] {
    checksum(key, FORMAT, &[]).to_le_bytes()
}

fn checksum(key: &[u8], version: u8, payload: &[u8]) -> u64 {
    // two passes over contiguous bytes: the streaming form has a set-up that costs more than most rows
    let seed = xxh3_64_with_seed(key, u64::from(version) << 32 | key.len() as u64);
    xxh3_64_with_seed(payload, seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::value::Value;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let value = Value::Map(vec![("k".into(), Value::List(vec![Value::Int(-7), Value::from("text")]))]);
        let bytes = encode(b"key", &value);
        assert_eq!(decode::<Value>(b"key", &bytes), Ok(value));
        assert_eq!(decode::<Value>(b"kez", &bytes), Err(DecodeError::Damaged));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode::<Value>(b"key", &flipped), Err(DecodeError::Damaged), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(decode::<Value>(b"key", &bytes[..len]), Err(DecodeError::Damaged));
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
