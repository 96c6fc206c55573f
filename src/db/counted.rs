//! Which requests of a file were counted: 8 bytes for each, in rows of their own beside the records.
//!
//! The rows are not logged: they say nothing to people, and would double the log. They are undone with the source that
//! they belong to, by its count of imports: those of an import beyond that count are as good as gone, and the next import
//! writes over them. A row belongs to one import and one day, and is never changed.
//!
//! Those of them that a file no longer holds are kept a second time, in one list, of which there is only the last. Who
//! undoes an import finds none, and has to work it out anew.
//!
//! The horizon is the first day whose digests are all there. It is not logged either, and so never goes back: digests
//! that were dropped do not come again when something is undone.

use std::ops::Bound;

use crate::schema::day::Day;
use crate::schema::usage::UsageSource;

use super::error::StoreError;
use super::tables::{Readable, Tables};
use super::write::WriteTxn;

/// Stand in the place of a kind, but are none: no query for records sees these rows.
const COUNTED: &str = "usage-counted";
const ABSENT: &str = "usage-absent";

/// The horizon's row of `meta`.
const HORIZON: &[u8] = b"usage_horizon";

/// How many days digests are kept longer than sums: the source may give a row another day when it writes it anew in
/// another time zone.
const MARGIN_DAYS: u64 = 2;

/// How many digests lie in a row.
const PER_ROW: usize = 1 << 15;

fn of_source(table: &str, source: &str) -> Vec<u8> {
    [table.as_bytes(), b"\0", source.as_bytes(), b"\0"].concat()
}

/// The rows of a source from an import on.
fn since(table: &str, source: &str, import: u64) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let start = [of_source(table, source), format!("{import:016x}").into_bytes()].concat();
    let mut end = of_source(table, source);
    end.pop();
    end.push(1);
    (Bound::Included(start), Bound::Excluded(end))
}

/// The import and the day of a row, by the end of its key.
fn place(key: &[u8], source: &str) -> Option<(u64, Day)> {
    let mut parts = std::str::from_utf8(key.get(of_source(COUNTED, source).len()..)?).ok()?.split('\0');
    let (import, day) = (u64::from_str_radix(parts.next()?, 16).ok()?, parts.next()?.parse().ok()?);
    Some((import, day))
}

/// Whether a row is of a day that passes a test; one that cannot be told is.
fn is_of(key: &[u8], source: &str, test: impl Fn(Day) -> bool) -> bool {
    place(key, source).is_none_or(|(_, day)| test(day))
}

fn bytes(digests: &[u64]) -> Vec<u8> {
    digests.iter().flat_map(|digest| digest.to_le_bytes()).collect()
}

fn digests(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks().0.iter().map(|digest| u64::from_le_bytes(*digest))
}

impl<T: Readable> Tables<T> {
    /// The first day whose requests are still counted; none if nothing was dropped yet.
    ///
    /// # Errors
    /// If the database cannot be read, or the row is damaged.
    pub fn usage_horizon(&self) -> Result<Option<Day>, StoreError> {
        self.meta.get(HORIZON)
    }

    /// The digests of a source's first `imports` imports, in no order.
    ///
    /// # Errors
    /// If the database cannot be read, or a row is damaged.
    pub fn counted(&self, source: &str, imports: u64) -> Result<Vec<u64>, StoreError> {
        let mut all = Vec::new();
        for row in self.records.range::<Vec<u8>>(since(COUNTED, source, 0))? {
            let (key, bytes) = row?;
            if place(&key, source).is_some_and(|(import, _)| import < imports) {
                all.extend(digests(&bytes));
            }
        }
        Ok(all)
    }

    /// How many digests [`WriteTxn::drop_counted`] would drop.
    ///
    /// # Errors
    /// See [`Tables::counted`].
    pub(crate) fn counted_before(&self, day: Day) -> Result<u64, StoreError> {
        let mut digests = 0;
        for source in self.records::<UsageSource>()? {
            for row in self.records.range::<Vec<u8>>(since(COUNTED, &source.path, 0))? {
                let (key, bytes) = row?;
                if is_of(&key, &source.path, |of| of < day.before(MARGIN_DAYS)) {
                    digests += bytes.len() as u64 / 8;
                }
            }
        }
        Ok(digests)
    }

    /// The digests that an import found a source's file without; nothing if that list was replaced since.
    ///
    /// # Errors
    /// See [`Tables::counted`].
    pub fn absent(&self, source: &str, import: u64) -> Result<Vec<u64>, StoreError> {
        let prefix = [of_source(ABSENT, source), format!("{import:016x}\0").into_bytes()].concat();
        let mut all = Vec::new();
        for row in self.records.with_prefix::<Vec<u8>>(&prefix)? {
            all.extend(digests(&row?.1));
        }
        Ok(all)
    }
}

impl WriteTxn<'_> {
    /// Keeps the digests of one import of one day.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn put_counted(
        &mut self,
        source: &str,
        import: u64,
        day: Day,
        digests: &[u64],
    ) -> Result<(), StoreError> {
        for (part, digests) in digests.chunks(PER_ROW).enumerate() {
            let key = [of_source(COUNTED, source), format!("{import:016x}\0{day}\0{part:08x}").into_bytes()].concat();
            self.tables.records.put(&key, &bytes(digests))?;
        }
        self.touched |= !digests.is_empty();
        Ok(())
    }

    /// Keeps the digests that an import found a source's file without, in place of those of earlier imports.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn put_absent(&mut self, source: &str, import: u64, digests: &[u64]) -> Result<(), StoreError> {
        let old = self.tables.records.range::<Vec<u8>>(since(ABSENT, source, 0))?;
        let old = old.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
        for key in old {
            self.touched |= self.tables.records.remove(&key)?;
        }
        for (part, digests) in digests.chunks(PER_ROW).enumerate() {
            let key = [of_source(ABSENT, source), format!("{import:016x}\0{part:08x}").into_bytes()].concat();
            self.tables.records.put(&key, &bytes(digests))?;
        }
        self.touched |= !digests.is_empty();
        Ok(())
    }

    /// Drops the digests of a source's imports from one on, which were undone.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn drop_counted_since(&mut self, source: &str, import: u64) -> Result<u64, StoreError> {
        self.drop_rows(source, import, |_| true)
    }

    /// Drops the digests of the requests that were counted for days whose sums are no longer kept, the first of which
    /// that is kept being `day`; answers how many. From then on requests of those days are passed over, if there were
    /// any digests or `sums` were dropped.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn drop_counted(&mut self, day: Day, sums: bool) -> Result<u64, StoreError> {
        let mut digests = 0;
        for source in self.records::<UsageSource>()? {
            digests += self.drop_rows(&source.path, 0, |of| of < day.before(MARGIN_DAYS))?;
        }
        if sums || digests > 0 {
            self.raise_usage_horizon(day)?;
        }
        Ok(digests)
    }

    /// Moves the horizon to a day, unless it is there or further already.
    ///
    /// # Errors
    /// If the database fails.
    fn raise_usage_horizon(&mut self, day: Day) -> Result<(), StoreError> {
        if self.usage_horizon()?.is_none_or(|horizon| horizon < day) {
            self.tables.meta.put(HORIZON, &day)?;
            self.touched = true;
        }
        Ok(())
    }

    fn drop_rows(&mut self, source: &str, import: u64, drop: impl Fn(Day) -> bool) -> Result<u64, StoreError> {
        let mut gone = Vec::new();
        for row in self.tables.records.range::<Vec<u8>>(since(COUNTED, source, import))? {
            let (key, bytes) = row?;
            if is_of(&key, source, &drop) {
                gone.push((key, bytes.len() as u64 / 8));
            }
        }
        let mut digests = 0;
        for (key, count) in gone {
            self.touched |= self.tables.records.remove(&key)?;
            digests += count;
        }
        Ok(digests)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::{Author, Store};

    #[test]
    fn digests_are_found_by_source_and_import() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        store.create_if_missing().unwrap();
        let author = Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() };
        let day = |text: &str| text.parse::<Day>().unwrap();
        let many: Vec<u64> = (0..PER_ROW as u64 + 7).collect();
        let write = |work: &dyn Fn(&mut WriteTxn<'_>) -> Result<u64, StoreError>| store.write(&author, work).unwrap();
        write(&|txn| {
            txn.put_counted("a", 0, day("2026-06-01"), &many)?;
            txn.put_counted("a", 1, day("2026-06-02"), &[u64::MAX])?;
            txn.put_counted("ab", 0, day("2026-06-01"), &[5])?;
            Ok(0)
        });
        let counted = |source: &str, imports| {
            let mut digests = store.read().unwrap().counted(source, imports).unwrap();
            digests.sort_unstable();
            digests
        };
        assert_eq!((counted("a", 0), counted("a", 1), counted("ab", 9)), (vec![], many.clone(), vec![5]));
        assert_eq!(counted("a", 2).len(), many.len() + 1);
        assert_eq!(write(&|txn| txn.drop_counted_since("a", 2)), 0);
        assert_eq!(write(&|txn| txn.drop_rows("a", 0, |of| of < day("2026-06-02"))), many.len() as u64);
        assert_eq!((counted("a", 9), counted("ab", 1)), (vec![u64::MAX], vec![5]));
        assert_eq!(write(&|txn| txn.drop_counted_since("a", 1)), 1);
        for (import, digests) in [(3, &many[..]), (4, &[9, 9])] {
            write(&|txn| txn.put_absent("a", import, digests).map(|()| 0));
        }
        assert_eq!(store.read().unwrap().absent("a", 3).unwrap().len(), 0);
        assert_eq!(store.read().unwrap().absent("a", 4).unwrap(), [9, 9]);
        assert_eq!((counted("a", 9), counted("ab", 1)), (vec![], vec![5]));
    }
}
