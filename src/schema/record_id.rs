//! Ids of records that many clones make on their own: ULIDs, which sort as they were made and never meet.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::Timestamp;

/// An id: a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(ulid::Ulid);

/// A text that is no such id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is a ULID: 26 digits and capital letters")]
pub struct InvalidRecordId;

impl RecordId {
    /// The number of characters.
    pub const LEN: usize = ulid::ULID_LEN;

    /// An id for now. `random` comes from the system's generator.
    #[must_use]
    pub fn new(now: Timestamp, random: u128) -> Self {
        let millis = u64::try_from(now.get().timestamp_millis()).unwrap_or_default();
        Self(ulid::Ulid::from_parts(millis, random))
    }

    /// The id that sorts next; none after the last one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        u128::from(self.0).checked_add(1).map(ulid::Ulid::from).map(Self)
    }

    /// Whether an id may begin with a text.
    #[must_use]
    pub fn can_begin_with(text: &str) -> bool {
        let is_digit = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b));
        text.len() <= Self::LEN && text.bytes().all(is_digit)
    }
}

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // read and written again: no other spelling of the same number, and none too large
        let read = ulid::Ulid::from_string(text).map_err(|_| InvalidRecordId)?;
        if read.to_string() == text { Ok(Self(read)) } else { Err(InvalidRecordId) }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_sorts_by_time() {
        let at = |time: &str| RecordId::new(time.parse().unwrap(), 7);
        let (early, late) = (at("2026-11-20T12:00:00Z"), at("2026-11-20T12:00:00.001Z"));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(early.to_string().to_lowercase().parse::<RecordId>(), Err(InvalidRecordId));
        assert!(early.next().is_some_and(|next| early < next && next < late));
        assert_eq!("8ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<RecordId>(), Err(InvalidRecordId));
        assert!(RecordId::can_begin_with("01K9") && !RecordId::can_begin_with("01i") && !RecordId::can_begin_with("-"));
    }
}
