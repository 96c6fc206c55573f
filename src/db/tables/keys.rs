//! Index tables: their rows are keys, sealed with a checksum of the key.
//!
//! A write transaction holds new keys back and puts them into the table together, in order, before it commits: that takes a
//! fraction of the work, and a table that was empty gets full pages. Whoever reads sees both, and no key twice.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::cores;
use crate::schema::codec::{self, DecodeError};

use super::{Readable, Rows, StoreError, WriteRows, prefix_range};
use crate::db::witness::Probe;

/// So many keys are held back at most: 10 MB or so.
const HELD_BACK: usize = 100_000;

/// An index table and its name.
#[derive(Debug)]
pub struct Keys<T> {
    rows: Rows<T>,
    held_back: BTreeSet<Vec<u8>>,
}

impl<T: Readable> Keys<T> {
    pub(super) fn new(table: T) -> Self {
        Self { rows: Rows::new(table), held_back: BTreeSet::new() }
    }

    /// All keys that begin with a prefix, in order or in the opposite one; each key's seal is verified.
    pub(crate) fn keys(
        &self,
        prefix: &[u8],
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<Vec<u8>, StoreError>> + use<'_, T>, StoreError> {
        let (start, end) = &prefix_range(prefix);
        let within = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
        let held_back = self.held_back.range::<[u8], _>(within);
        let mut stored = self.rows.table.rows(prefix_range(prefix))?;
        let mut stored = std::iter::from_fn(move || if reverse { stored.next_back() } else { stored.next() })
            .map(|row| {
                let row = row?;
                let is_whole = row.value() == codec::index_seal(row.key());
                if is_whole { Ok(row.key().to_vec()) } else { Err(self.corrupt(row.key(), DecodeError::Damaged)) }
            })
            .peekable();
        let mut held_back = in_direction(held_back, reverse).peekable();
        Ok(std::iter::from_fn(move || match (stored.peek(), held_back.peek()) {
            (Some(Ok(one)), Some(other)) if one == *other => {
                held_back.next();
                stored.next()
            }
            (Some(Ok(one)), Some(other)) if (one < *other) != reverse => stored.next(),
            (Some(Err(_)), _) | (_, None) => stored.next(),
            _ => held_back.next().cloned().map(Ok),
        }))
    }

    /// Whether there is no key at all.
    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.rows.is_empty()? && self.held_back.is_empty())
    }

    /// An error that names this table and a key in readable form.
    pub(crate) fn corrupt(&self, key: &[u8], cause: DecodeError) -> StoreError {
        self.rows.corrupt(key, cause)
    }
}

/// The items of an iterator from its beginning or from its end.
fn in_direction<I: DoubleEndedIterator>(mut items: I, reverse: bool) -> impl Iterator<Item = I::Item> {
    std::iter::from_fn(move || if reverse { items.next_back() } else { items.next() })
}

impl Keys<WriteRows<'_>> {
    /// Adds a key. It reaches the table when the transaction settles, if not before.
    pub(crate) fn put(&mut self, key: &[u8]) -> Result<(), StoreError> {
        // what is written beside damage would have checksums that vouch for it
        self.rows.table.vouch(Probe::At(key))?;
        self.held_back.insert(key.to_vec());
        if self.held_back.len() >= HELD_BACK { self.settle() } else { Ok(()) }
    }

    /// Removes a key; says whether there was one.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let was_held_back = self.held_back.remove(key);
        Ok(self.rows.remove(key)? || was_held_back)
    }

    /// Puts what was held back into the table.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        let held_back = std::mem::take(&mut self.held_back);
        if held_back.is_empty() {
            return Ok(());
        }
        if !self.rows.is_empty()? {
            for key in &held_back {
                self.rows.table.engine.insert(key.as_slice(), codec::index_seal(key).as_slice())?;
            }
            return Ok(());
        }
        let mut end = self.rows.table.engine.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
        for key in &held_back {
            end.insert_before(key.as_slice(), codec::index_seal(key).as_slice())?;
        }
        end.close()?;
        cores::free_all(held_back.len(), held_back);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableTable as _, WriteTransaction};

    use super::super::definition;
    use super::*;

    /// Keys of which some begin with others.
    fn key(number: u64) -> Vec<u8> {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        [&[b"aab"[usize::from(mixed[0]) % 3]], &mixed[..=usize::from(mixed[1]) % 7]].concat()
    }

    fn order(txn: &WriteTransaction) -> Keys<WriteRows<'_>> {
        Keys::new(WriteRows::open("order", txn, None).unwrap())
    }

    fn rows(txn: &WriteTransaction) -> Vec<(Vec<u8>, Vec<u8>)> {
        let table = txn.open_table(definition("order")).unwrap();
        table
            .iter()
            .unwrap()
            .map(|row| row.unwrap())
            .map(|(key, seal)| (key.value().into(), seal.value().into()))
            .collect()
    }

    #[test]
    fn keys_that_are_held_back_are_seen_and_removed_as_those_in_the_table_are() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let txn = database.begin_write().unwrap();
        let mut expected = BTreeSet::new();
        for round in 0..6 {
            let mut keys = order(&txn);
            for number in round * 50..round * 50 + 200 {
                if number % 3 == 1 {
                    assert_eq!(keys.remove(&key(number / 2)).unwrap(), expected.remove(&key(number / 2)));
                }
                keys.put(&key(number)).unwrap();
                expected.insert(key(number));
            }
            for prefix in [&b""[..], b"a", b"b", b"c", b"a\x12", &key(round * 50 + 199)] {
                let all = |reverse| keys.keys(prefix, reverse).unwrap().map(Result::unwrap);
                let of_prefix = expected.iter().filter(|key| key.starts_with(prefix)).cloned();
                assert_eq!(all(false).collect::<Vec<_>>(), of_prefix.clone().collect::<Vec<_>>());
                assert_eq!(all(true).collect::<Vec<_>>(), of_prefix.rev().collect::<Vec<_>>());
            }
            assert!(!keys.is_empty().unwrap());
            keys.settle().unwrap();
            drop(keys);
            let sealed = |key: &Vec<u8>| (key.clone(), codec::index_seal(key).to_vec());
            assert_eq!(rows(&txn), expected.iter().map(sealed).collect::<Vec<_>>());
        }
    }

    #[test]
    fn keys_that_are_put_and_removed_leave_nothing() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let txn = database.begin_write().unwrap();
        let mut keys = order(&txn);
        assert!(keys.is_empty().unwrap());
        keys.put(b"key").unwrap();
        assert!(!keys.is_empty().unwrap() && keys.remove(b"key").unwrap() && !keys.remove(b"key").unwrap());
        assert!(keys.is_empty().unwrap());
        keys.settle().unwrap();
        drop(keys);
        assert_eq!(rows(&txn), []);
    }

    #[test]
    fn not_too_many_keys_are_held_back() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let txn = database.begin_write().unwrap();
        let mut keys = order(&txn);
        for number in 0..HELD_BACK as u64 + 10 {
            keys.put(&number.to_le_bytes()).unwrap();
        }
        assert_eq!(keys.held_back.len(), 10);
        assert_eq!(keys.keys(b"", false).unwrap().count(), HELD_BACK + 10);
    }
}
