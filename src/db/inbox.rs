//! What is remembered of rows that other programs handed in, so that none is taken twice.
//!
//! As with the digests of counted requests ([`super::counted`]) these rows are not logged, and undoing what a row did does
//! not forget it: a row that somebody undid on purpose must not come back by itself.

use crate::schema::inbox::{KnownRow, Memory, RowKind};
use crate::schema::time::Timestamp;

use super::error::StoreError;
use super::tables::{Readable, Tables};
use super::write::WriteTxn;

/// Stand in the place of a kind, but are none: no query for records sees these rows.
const MEMORY: &[u8] = b"inbox\0memory";
const LINES: &[u8] = b"inbox-lines\0";
const KEYS: &[u8] = b"inbox-key\0";

/// How many digests lie in a row.
const PER_ROW: usize = 1 << 12;

fn lines_of(file: u64) -> Vec<u8> {
    [LINES, format!("{file:016x}\0").as_bytes()].concat()
}

fn key_row(kind: RowKind, key: u128) -> Vec<u8> {
    [KEYS, kind.as_str().as_bytes(), format!("\0{key:032x}").as_bytes()].concat()
}

impl<T: Readable> Tables<T> {
    /// What is remembered of the files that rows came in.
    ///
    /// # Errors
    /// If the database cannot be read, or the row is damaged; so for all functions here.
    pub fn inbox_memory(&self) -> Result<Memory, StoreError> {
        Ok(self.records.get(MEMORY)?.unwrap_or_default())
    }

    /// The digests of the lines of a file that were taken without a key, in no order.
    ///
    /// # Errors
    /// See [`Tables::inbox_memory`].
    pub fn inbox_lines(&self, file: u64) -> Result<Vec<u64>, StoreError> {
        let mut all = Vec::new();
        for row in self.records.with_prefix::<Vec<u64>>(&lines_of(file))? {
            all.extend(row?.1);
        }
        Ok(all)
    }

    /// What is remembered of the row of a key.
    ///
    /// # Errors
    /// See [`Tables::inbox_memory`].
    pub fn inbox_row(&self, kind: RowKind, key: u128) -> Result<Option<KnownRow>, StoreError> {
        self.records.get(&key_row(kind, key))
    }
}

impl WriteTxn<'_> {
    pub(crate) fn put_inbox_memory(&mut self, memory: &Memory) -> Result<(), StoreError> {
        self.touched = true;
        self.tables.records.put(MEMORY, memory)
    }

    /// Adds the digests of lines that end before `offset`, where no other lines of that file end that were added before.
    pub(crate) fn put_inbox_lines(&mut self, file: u64, offset: u64, digests: &[u64]) -> Result<(), StoreError> {
        for (part, digests) in digests.chunks(PER_ROW).enumerate() {
            let mut key = [lines_of(file), format!("{offset:016x}{part:04x}").into_bytes()].concat();
            // a file that was written anew has other lines before the same place
            while self.tables.records.contains(&key)? {
                key.push(b'+');
            }
            self.tables.records.put(&key, digests)?;
            self.touched = true;
        }
        Ok(())
    }

    pub(crate) fn put_inbox_row(&mut self, kind: RowKind, key: u128, row: &KnownRow) -> Result<(), StoreError> {
        self.touched = true;
        self.tables.records.put(&key_row(kind, key), row)
    }

    pub(crate) fn drop_inbox_lines(&mut self, file: u64) -> Result<(), StoreError> {
        let rows = self.tables.records.with_prefix::<Vec<u64>>(&lines_of(file))?;
        let keys = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
        for key in keys {
            self.touched |= self.tables.records.remove(&key)?;
        }
        Ok(())
    }

    /// Forgets the keys of rows that were taken before a time; answers how many.
    pub(crate) fn drop_inbox_rows_before(&mut self, time: Timestamp) -> Result<u64, StoreError> {
        let mut old = Vec::new();
        for row in self.tables.records.with_prefix::<KnownRow>(KEYS)? {
            let (key, row) = row?;
            if row.at < time {
                old.push(key);
            }
        }
        for key in &old {
            self.touched |= self.tables.records.remove(key)?;
        }
        Ok(old.len() as u64)
    }
}
