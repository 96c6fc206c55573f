//! The tables: rows under byte keys, each sealed with a checksum that every read verifies.
//!
//! All tables have one type, so reading code serves read and write transactions alike. Record tables hold encoded
//! values; index tables hold only keys (`db/tables/keys.rs`). That a row is not there, or that there are
//! no more of them, a witness vouches for (`db/witness.rs`).

mod keys;
mod source;

use std::ops::Bound;
use std::sync::Arc;

use redb::TableDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::codec::{self, DecodeError, Packed};
use crate::schema::id::Identity;

use super::error::StoreError;
use super::index::revision_of;
use super::witness::{Doubt, Probe, Witness};

pub use keys::Keys;
pub use source::{ReadRows, Readable, WriteRows};

type Bytes = &'static [u8];

/// A table, of a transaction of either kind.
#[derive(Debug)]
pub struct Rows<T> {
    table: T,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $kind:ident = $name:literal),* $(,)?) => {
        /// All tables of the database, open in one transaction.
        #[derive(Debug)]
        pub struct Tables<T> {
            $($(#[$doc])* pub(crate) $field: $kind<T>,)*
        }

        /// The names of all tables.
        pub(super) const NAMES: [&str; [$($name),*].len()] = [$($name),*];

        impl Tables<ReadRows> {
            pub(super) fn open_to_read(witness: &Arc<Witness>) -> Result<Self, StoreError> {
                Ok(Self { $($field: $kind::new(ReadRows::open($name, witness)?),)* })
            }
        }

        impl<'t> Tables<WriteRows<'t>> {
            pub(super) fn open_to_write(
                txn: &'t redb::WriteTransaction,
                witness: Option<&Arc<Witness>>,
            ) -> Result<Self, StoreError> {
                Ok(Self { $($field: $kind::new(WriteRows::open($name, txn, witness)?),)* })
            }
        }
    };
}

tables! {
    /// Issue number to [`super::record::StoredHead`].
    heads: Rows = "issues",
    /// Issue number to body.
    bodies: Rows = "bodies",
    /// Index: kind, class, sort key, issue number (see [`super::index`]).
    order: Keys = "order",
    /// Index: kind, term, class, last change, issue number.
    terms: Keys = "terms",
    /// Index: slug, creation time; the value is the issue number.
    identities: Rows = "identities",
    /// Index: slug and number of a dependency, then the number of the issue that has it.
    links: Keys = "links",
    /// Identity to what differs from the merge base.
    pending: Rows = "pending",
    /// Identity to what file and record last agreed on.
    baseline: Rows = "baseline",
    /// Index: shard of numbers to the sums of the baselines of its files (see [`super::sums`]).
    sums: Rows = "baseline_sums",
    /// Identity to the issue they agreed on, once the record has moved on.
    bases: Rows = "baseline_content",
    /// Revision to what was changed.
    changes: Rows = "changes",
    /// Revision to the body that the change replaced.
    superseded: Rows = "superseded",
    /// Identity to a deletion.
    tombstones: Rows = "tombstones",
    /// Identity to a conflict.
    conflicts: Rows = "conflicts",
    /// Old number and revision to where its issue went.
    moved: Rows = "moved",
    /// Kind, NUL, key to a record of that kind (see [`super::records`]).
    records: Rows = "records",
    /// Name to counters and marks.
    meta: Rows = "meta",
}

/// The table that every schema has, alone.
pub(super) fn open_meta(witness: &Arc<Witness>) -> Result<Rows<ReadRows>, StoreError> {
    Ok(Rows::new(ReadRows::open("meta", witness)?))
}

pub(super) const fn definition(name: &'static str) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(name)
}

/// The range of all keys that begin with a prefix.
fn prefix_range(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return (Bound::Included(prefix.to_vec()), Bound::Excluded(end));
        }
    }
    (Bound::Included(prefix.to_vec()), Bound::Unbounded)
}

impl<T: Readable> Rows<T> {
    fn new(table: T) -> Self {
        Self { table }
    }

    /// The value of a key.
    pub(crate) fn get<V: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<V>, StoreError> {
        self.table.look_up(key, |bytes| self.decode(key, bytes))?.transpose()
    }

    /// What `take` makes of the fields of the value of a key, as bytes.
    pub(crate) fn look_at<R>(
        &self,
        key: &[u8],
        take: impl FnOnce(&[u8]) -> Result<R, DecodeError>,
    ) -> Result<Option<R>, StoreError> {
        let take = |bytes: &[u8]| codec::payload(key, bytes).and_then(|payload| take(&payload));
        let taken = self.table.look_up(key, take)?.transpose();
        taken.map_err(|cause| self.corrupt(key, cause))
    }

    /// Whether there is a row of that key.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.table.look_up(key, |_| ())?.is_some())
    }

    /// All rows whose key begins with a prefix, in order.
    pub(crate) fn with_prefix<V: DeserializeOwned>(
        &self,
        prefix: &[u8],
    ) -> Result<impl DoubleEndedIterator<Item = Result<(Vec<u8>, V), StoreError>> + use<'_, T, V>, StoreError> {
        self.range(prefix_range(prefix))
    }

    /// All rows within bounds, in order.
    pub(crate) fn range<V: DeserializeOwned>(
        &self,
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Result<impl DoubleEndedIterator<Item = Result<(Vec<u8>, V), StoreError>> + use<'_, T, V>, StoreError> {
        Ok(self.table.rows(range)?.map(move |row| {
            let row = row?;
            let value = self.decode(row.key(), row.value())?;
            Ok((row.key().to_vec(), value))
        }))
    }

    /// The number of rows whose key begins with a prefix.
    pub(crate) fn count(&self, prefix: &[u8]) -> Result<u64, StoreError> {
        let mut count = 0;
        for row in self.table.rows(prefix_range(prefix))? {
            row?;
            count += 1;
        }
        Ok(count)
    }

    /// The keys of all rows within bounds, in order. Their values are not looked at.
    pub(crate) fn keys_within(
        &self,
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Result<impl DoubleEndedIterator<Item = Result<Vec<u8>, StoreError>> + use<'_, T>, StoreError> {
        Ok(self.table.rows(range)?.map(|row| Ok(row?.key().to_vec())))
    }

    /// Whether there is no row at all.
    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        self.table.is_empty()
    }

    /// What `each` makes of all rows, in order; on all cores where the table is one of a read transaction.
    pub(crate) fn filter_map<V: DeserializeOwned, R: Send>(
        &self,
        each: impl Fn(&[u8], V) -> Option<R> + Sync,
    ) -> Result<Vec<R>, StoreError> {
        let name = self.table.name();
        self.table.filter_map(|key, bytes| Ok(each(key, decode(name, key, bytes)?)))
    }

    fn decode<V: DeserializeOwned>(&self, key: &[u8], bytes: &[u8]) -> Result<V, StoreError> {
        decode(self.table.name(), key, bytes)
    }

    /// An error that names this table and a key in readable form.
    pub(crate) fn corrupt(&self, key: &[u8], cause: DecodeError) -> StoreError {
        corrupt(self.table.name(), key, cause)
    }
}

fn decode<V: DeserializeOwned>(table: &'static str, key: &[u8], bytes: &[u8]) -> Result<V, StoreError> {
    codec::decode(key, bytes).map_err(|cause| corrupt(table, key, cause))
}

fn corrupt(table: &'static str, key: &[u8], cause: DecodeError) -> StoreError {
    StoreError::Corrupt { table, key: readable(table, key), cause }
}

/// A key as a person can read it.
pub(super) fn readable(table: &str, key: &[u8]) -> String {
    match (key, std::str::from_utf8(key)) {
        (&[a, b, c, d], _) if matches!(table, "issues" | "bodies") => u32::from_be_bytes([a, b, c, d]).to_string(),
        _ if matches!(table, "changes" | "superseded") => {
            revision_of(key).map_or_else(|| hexadecimal(key), |revision| revision.0.to_string())
        }
        _ if matches!(
            table,
            "baseline" | "baseline_content" | "tombstones" | "conflicts" | "identities" | "pending"
        ) =>
        {
            Identity::from_key(key).map_or_else(|| hexadecimal(key), |identity| identity.to_string())
        }
        (_, Ok(text)) if table == "records" => {
            crate::schema::id::printable(&text.replacen('\0', "/", 1), false).into_owned()
        }
        (_, Ok(text)) if !text.is_empty() && text.chars().all(|c| !c.is_control()) => text.to_owned(),
        _ => hexadecimal(key),
    }
}

fn hexadecimal(key: &[u8]) -> String {
    key.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

/// That a page on the way to a key is not as it was written.
fn doubtful(table: &'static str, key: Option<&[u8]>, doubt: Doubt) -> StoreError {
    match doubt {
        Doubt::Damaged { offset } => {
            let key = key.map_or_else(|| "(any)".to_owned(), |key| readable(table, key));
            StoreError::Page { table, key, offset }
        }
        Doubt::Io(source) => StoreError::Engine(Box::new(source.into())),
    }
}

impl Rows<WriteRows<'_>> {
    /// Stores a value, over the old one if there is one.
    pub(crate) fn put<V: Serialize + ?Sized>(&mut self, key: &[u8], value: &V) -> Result<(), StoreError> {
        self.put_packed(key, &mut Packed::new(value))
    }

    /// As [`Rows::put`], of a value that was packed before.
    pub(crate) fn put_packed(&mut self, key: &[u8], value: &mut Packed) -> Result<(), StoreError> {
        // what is written beside damage would have checksums that vouch for it
        self.table.vouch(Probe::At(key))?;
        self.table.engine.insert(key, value.seal(key))?;
        Ok(())
    }

    /// Stores a value; answers the old one, if there was one.
    pub(crate) fn replace<V: Serialize + DeserializeOwned>(
        &mut self,
        key: &[u8],
        value: &V,
    ) -> Result<Option<V>, StoreError> {
        self.table.vouch(Probe::At(key))?;
        let old = self.table.engine.insert(key, codec::encode(key, value).as_slice())?;
        old.map(|old| codec::decode(key, old.value())).transpose().map_err(|cause| self.corrupt(key, cause))
    }

    /// Removes a row; answers what it was, if there was one.
    pub(crate) fn take<V: DeserializeOwned>(&mut self, key: &[u8]) -> Result<Option<V>, StoreError> {
        let old = self.get(key)?;
        if old.is_some() {
            self.remove(key)?;
        }
        Ok(old)
    }

    /// Stores the bytes of a value as they were stored before.
    pub(super) fn put_bytes(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        self.table.engine.insert(key, bytes)?;
        Ok(())
    }

    /// Removes a row; says whether there was one.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        if !self.contains(key)? {
            return Ok(false);
        }
        self.table.vouch_around(key)?;
        Ok(self.table.engine.remove(key)?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use crate::db::{Author, Store};
    use crate::schema::issue::{Issue, IssueHead};

    use super::*;

    #[test]
    fn all_rows_are_the_same_one_by_one_and_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), std::time::Duration::from_secs(10)).unwrap();
        store.create_if_missing().unwrap();
        let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse().unwrap() };
        for batch in [0_u64, 1, 40, 2_000] {
            store
                .write(&author, |txn| {
                    for number in 0..batch {
                        let body = crate::noise::noise(number, usize::try_from(number % 7 * 500).unwrap());
                        txn.create(|id, now| Issue { head: IssueHead::new(id, "Title".into(), now), body })?;
                    }
                    Ok::<_, StoreError>(())
                })
                .unwrap();
            let read = store.read().unwrap();
            let one_by_one: Result<Vec<(Vec<u8>, String)>, _> = read.bodies.with_prefix(b"").unwrap().collect();
            let mut one_by_one = one_by_one.unwrap();
            let all = read.bodies.filter_map(|key, body: String| Some((key.to_vec(), body))).unwrap();
            assert_eq!(all, one_by_one);
            let long = |body: &String| body.len() > 2_000;
            let some = read.bodies.filter_map(|key, body| long(&body).then(|| (key.to_vec(), body))).unwrap();
            one_by_one.retain(|(_, body)| long(body));
            assert_eq!(some, one_by_one);
        }
    }

    #[test]
    fn a_prefix_range_ends_where_the_prefix_does() {
        for (prefix, end) in [
            (&b"ab"[..], Bound::Excluded(b"ac".to_vec())),
            (&[1, 255], Bound::Excluded(vec![2])),
            (&[255], Bound::Unbounded),
        ] {
            assert_eq!(prefix_range(prefix), (Bound::Included(prefix.to_vec()), end));
        }
    }
}
