//! Where rows come from: in a read transaction from pages that a witness verifies, in a write transaction from the engine,
//! after the witness.

use std::ops::Bound;
use std::sync::Arc;

use redb::{AccessGuard, ReadableTable as _, Table, TableError};

use super::{Bytes, StoreError, definition, doubtful};
use crate::cores;
use crate::db::cursor::{Cursor, PageRow};
use crate::db::witness::{Doubt, Probe, Watch, Witness};

/// Into so many parts a table is divided at least that is read as a whole, so that all cores have enough to do.
const PARTS: usize = 32;

/// What a table of either kind of transaction can do.
pub trait Readable {
    /// What it is called in the file.
    fn name(&self) -> &'static str;

    /// What `take` makes of a row's bytes; none if there is no such row.
    ///
    /// # Errors
    /// [`StoreError::Page`], or if the file cannot be read.
    fn look_up<R>(&self, key: &[u8], take: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, StoreError>;

    /// All rows within bounds, in order.
    ///
    /// # Errors
    /// As [`Readable::look_up`].
    fn rows(&self, range: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Result<Ordered<'_>, StoreError>;

    /// What `each` makes of all rows, in order.
    ///
    /// # Errors
    /// As [`Readable::look_up`]; or the first that `each` answers.
    fn filter_map<R: Send>(
        &self,
        each: impl Fn(&[u8], &[u8]) -> Result<Option<R>, StoreError> + Sync,
    ) -> Result<Vec<R>, StoreError>;

    /// Whether there is no row at all.
    ///
    /// # Errors
    /// As [`Readable::look_up`].
    fn is_empty(&self) -> Result<bool, StoreError>;
}

/// A table of a read transaction. The engine takes no part: it would look at the same pages again, unverified, and to
/// open a file takes it as long as a short answer.
#[derive(Debug)]
pub struct ReadRows {
    pub(super) name: &'static str,
    pub(super) witness: Arc<Witness>,
}

impl ReadRows {
    pub(super) fn open(name: &'static str, witness: &Arc<Witness>) -> Result<Self, StoreError> {
        if witness.has(name) {
            return Ok(Self { name, witness: Arc::clone(witness) });
        }
        Err(TableError::TableDoesNotExist(name.into()).into())
    }
}

impl Readable for ReadRows {
    fn name(&self) -> &'static str {
        self.name
    }

    fn look_up<R>(&self, key: &[u8], take: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, StoreError> {
        self.witness.find(self.name, key, take).map_err(|doubt| doubtful(self.name, Some(key), doubt))
    }

    fn rows(&self, range: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Result<Ordered<'_>, StoreError> {
        Ok(Ordered { rows: Source::Pages(Cursor::new(&self.witness, self.name, range)), table: self.name })
    }

    fn filter_map<R: Send>(
        &self,
        each: impl Fn(&[u8], &[u8]) -> Result<Option<R>, StoreError> + Sync,
    ) -> Result<Vec<R>, StoreError> {
        let doubtful = |doubt| doubtful(self.name, None, doubt);
        let parts = self.witness.parts(self.name, PARTS).map_err(doubtful)?;
        let made = cores::map(&parts, PARTS / 2, |part| {
            let (mut made, mut failed) = (Vec::new(), Ok(()));
            let shown = self.witness.rows_of(part, &mut |key, value| match each(key, value) {
                Ok(one) => {
                    made.extend(one);
                    Some(())
                }
                Err(error) => {
                    failed = Err(error);
                    None
                }
            });
            failed?;
            shown.map_err(doubtful)?;
            Ok(made)
        });
        let parts = made.into_iter().collect::<Result<Vec<Vec<R>>, StoreError>>()?;
        let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for part in parts {
            all.extend(part);
        }
        Ok(all)
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.witness.is_empty(self.name))
    }
}

/// A table of a write transaction.
#[derive(Debug)]
pub struct WriteRows<'t> {
    name: &'static str,
    pub(super) engine: Table<'t, Bytes, Bytes>,
    /// Of the pages of the last commit; nobody where the engine had to choose or repair first.
    witness: Option<Arc<Witness>>,
}

impl<'t> WriteRows<'t> {
    pub(super) fn open(
        name: &'static str,
        txn: &'t redb::WriteTransaction,
        witness: Option<&Arc<Witness>>,
    ) -> Result<Self, StoreError> {
        Ok(Self { name, engine: txn.open_table(definition(name))?, witness: witness.cloned() })
    }

    /// Has all pages verified on the way to a row, or to where it would be.
    pub(super) fn vouch(&self, probe: Probe<'_>) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let key = match probe {
            Probe::At(key) | Probe::After(key) => Some(key),
            Probe::First | Probe::Last => None,
        };
        witness.vouch(self.name, probe).map(drop).map_err(|doubt| doubtful(self.name, key, doubt))
    }

    /// As [`WriteRows::vouch`], for a page that may become one with those beside it.
    pub(super) fn vouch_around(&self, key: &[u8]) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let vouched = witness.vouch(self.name, Probe::At(key)).and_then(|span| {
            if let Some(before) = &span.after {
                witness.vouch(self.name, Probe::At(before))?;
            }
            if let Some(last) = &span.upto {
                witness.vouch(self.name, Probe::After(last))?;
            }
            Ok(())
        });
        vouched.map_err(|doubt| doubtful(self.name, Some(key), doubt))
    }
}

impl Readable for WriteRows<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn look_up<R>(&self, key: &[u8], take: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, StoreError> {
        self.vouch(Probe::At(key))?;
        Ok(self.engine.get(key)?.map(|guard| take(guard.value())))
    }

    fn rows(&self, (start, end): (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Result<Ordered<'_>, StoreError> {
        let (start, end) = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
        let key = |bound| match bound {
            Bound::Included(key) | Bound::Excluded(key) => Some(key),
            Bound::Unbounded => None,
        };
        let watch = self.witness.as_deref().map(|witness| Watch::new(witness, self.name, key(start), key(end)));
        let watch = watch.transpose().map_err(|doubt| doubtful(self.name, key(start), doubt))?;
        let rows = self.engine.range::<&[u8]>((start, end))?;
        Ok(Ordered { rows: Source::Engine(Watched { rows, watch, failed: false }), table: self.name })
    }

    fn filter_map<R: Send>(
        &self,
        each: impl Fn(&[u8], &[u8]) -> Result<Option<R>, StoreError> + Sync,
    ) -> Result<Vec<R>, StoreError> {
        let rows = self.rows((Bound::Unbounded, Bound::Unbounded))?;
        rows.filter_map(|row| row.and_then(|row| each(row.key(), row.value())).transpose()).collect()
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        self.vouch(Probe::First)?;
        Ok(self.engine.first()?.is_none())
    }
}

/// Rows of a table as bytes, in order.
pub struct Ordered<'t> {
    rows: Source<'t>,
    table: &'static str,
}

enum Source<'t> {
    Pages(Cursor<'t>),
    Engine(Watched<'t>),
}

/// What the engine shows; the pages that rows lie in are verified before it comes to them.
struct Watched<'t> {
    rows: redb::Range<'t, Bytes, Bytes>,
    watch: Option<Watch<'t>>,
    failed: bool,
}

/// A row as bytes.
pub struct Row<'t>(RowFrom<'t>);

enum RowFrom<'t> {
    Page(PageRow),
    Engine(AccessGuard<'t, Bytes>, AccessGuard<'t, Bytes>),
}

impl Row<'_> {
    pub(crate) fn key(&self) -> &[u8] {
        match &self.0 {
            RowFrom::Page(row) => row.key(),
            RowFrom::Engine(key, _) => key.value(),
        }
    }

    pub(crate) fn value(&self) -> &[u8] {
        match &self.0 {
            RowFrom::Page(row) => row.value(),
            RowFrom::Engine(_, value) => value.value(),
        }
    }
}

type EngineRow<'t> = Result<(AccessGuard<'t, Bytes>, AccessGuard<'t, Bytes>), redb::StorageError>;

impl<'t> Watched<'t> {
    fn guarded(
        &mut self,
        table: &'static str,
        begin: impl FnOnce(&mut Watch<'t>) -> Result<(), Doubt>,
        step: impl FnOnce(&mut redb::Range<'t, Bytes, Bytes>) -> Option<EngineRow<'t>>,
        passed: impl FnOnce(&mut Watch<'t>, &[u8]) -> Result<(), Doubt>,
    ) -> Option<Result<Row<'t>, StoreError>> {
        if self.failed {
            return None;
        }
        let vouched = self.watch.as_mut().map_or(Ok(()), begin).map_err(|doubt| doubtful(table, None, doubt));
        let row = match vouched {
            Ok(()) => step(&mut self.rows)?.map_err(StoreError::from),
            Err(error) => Err(error),
        };
        let row = row.and_then(|(key, value)| {
            let vouched = self.watch.as_mut().map_or(Ok(()), |watch| passed(watch, key.value()));
            vouched.map_err(|doubt| doubtful(table, Some(key.value()), doubt))?;
            Ok(Row(RowFrom::Engine(key, value)))
        });
        self.failed = row.is_err();
        Some(row)
    }
}

fn of_page<'t>(row: Result<PageRow, Doubt>, table: &'static str) -> Result<Row<'t>, StoreError> {
    row.map(|row| Row(RowFrom::Page(row))).map_err(|doubt| doubtful(table, None, doubt))
}

impl<'t> Iterator for Ordered<'t> {
    type Item = Result<Row<'t>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rows {
            Source::Pages(cursor) => cursor.next().map(|row| of_page(row, self.table)),
            Source::Engine(rows) => rows.guarded(self.table, Watch::begin, Iterator::next, Watch::passed),
        }
    }
}

impl DoubleEndedIterator for Ordered<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.rows {
            Source::Pages(cursor) => cursor.next_back().map(|row| of_page(row, self.table)),
            Source::Engine(rows) => {
                rows.guarded(self.table, Watch::begin_back, DoubleEndedIterator::next_back, Watch::passed_back)
            }
        }
    }
}
