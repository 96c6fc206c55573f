//! Bringing a database of an older schema up to date.
//!
//! Whoever first opens it keeps a copy of the file (see [`super::backup`]), then changes all rows in one transaction:
//! a process that is killed meanwhile leaves the old schema or the new one. A newer schema is never touched.
//!
//! | schema | what changed |
//! |---|---|
//! | 1 | issues only |
//! | 2 | the table `records`; rows of `changes` are of any kind, so their identity is optional |
//! | 3 | validations and handoffs, which an older program could not read in `changes`; rows are as in 2 |
//! | 4 | the table `baseline_sums` |

use std::ops::Bound;
use std::sync::Arc;

use redb::ReadableDatabase as _;
use serde::{Deserialize, Serialize};

use crate::schema::codec::{self, DecodeError};
use crate::schema::id::{ContentHash, Identity, Revision};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::error::StoreError;
use super::gate::Gate;
use super::read::mark;
use super::record::{Change, Kind, Op};
use super::tables::{ReadRows, Tables, WriteRows, definition, open_meta};
use super::witness::Witness;
use super::{DATABASE, Store, begin_write};

/// The schema that is written: which tables there are, and which shapes their rows have.
pub const SCHEMA_VERSION: u8 = 4;

/// Rows that are held in memory at a time.
const BATCH: usize = 10_000;

/// All tables, if the database is of the present schema.
///
/// # Errors
/// [`StoreError::Older`], [`StoreError::Newer`], or if it does not say.
pub(super) fn current_tables(witness: &Arc<Witness>) -> Result<Tables<ReadRows>, StoreError> {
    // an older schema lacks tables
    of_version(open_meta(witness)?.get(mark::SCHEMA))?;
    Tables::open_to_read(witness)
}

/// As [`current_tables`], of what the engine has opened.
pub(super) fn check_version(txn: &redb::ReadTransaction) -> Result<(), StoreError> {
    let row = txn.open_table(definition("meta"))?.get(mark::SCHEMA)?;
    let found = row.map(|row| codec::decode(mark::SCHEMA, row.value())).transpose();
    of_version(found.map_err(|cause| StoreError::Corrupt { table: "meta", key: "schema".into(), cause }))
}

fn of_version(found: Result<Option<u8>, StoreError>) -> Result<(), StoreError> {
    match found? {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(found) if found > SCHEMA_VERSION => Err(StoreError::Newer { found, known: SCHEMA_VERSION }),
        Some(found) if found > 0 => Err(StoreError::Older { found, known: SCHEMA_VERSION }),
        _ => Err(StoreError::Corrupt { table: "meta", key: "schema".into(), cause: DecodeError::Damaged }),
    }
}

impl Store {
    /// Brings the database up to date if it is of an older schema and says so without being opened, so that the copy that
    /// is kept of it is what it was, byte for byte.
    pub(super) fn migrate_unopened(&self, gate: &Gate) -> Result<(), StoreError> {
        let Some(witness) = self.witness()? else { return Ok(()) };
        match self.schema_on_file(&witness)? {
            Some(found) if found > 0 && found < SCHEMA_VERSION => self.migrate_from(found, gate),
            _ => Ok(()),
        }
    }

    /// Brings the database up to date; the caller holds the gate exclusively and nobody has the file open.
    pub(super) fn migrate(&self, gate: &Gate) -> Result<(), StoreError> {
        self.migrate_unopened(gate)?;
        let database = self.open_database()?;
        match check_version(&database.begin_read()?) {
            Err(StoreError::Older { found, .. }) => {
                database.close();
                self.migrate_from(found, gate)
            }
            other => other,
        }
    }

    fn migrate_from(&self, found: u8, gate: &Gate) -> Result<(), StoreError> {
        // of one that is only being made from a copy there is that copy
        if self.name == DATABASE {
            self.keep_copy(&format!("schema-{found}"), gate)?;
        }
        let database = self.open_database()?;
        bring_up_to_date(&database, found, self.witness()?.as_ref())
    }
}

/// Changes all rows of a database of an older schema, in one transaction.
pub(super) fn bring_up_to_date(
    database: &redb::Database,
    found: u8,
    witness: Option<&Arc<Witness>>,
) -> Result<(), StoreError> {
    let txn = begin_write(database)?;
    {
        let mut tables = Tables::open_to_write(&txn, witness)?;
        if found < 2 {
            rewrite_changes(&mut tables)?;
        }
        if found < 4 {
            tables.sum_baselines()?;
        }
        tables.meta.put(mark::SCHEMA, &SCHEMA_VERSION)?;
    }
    txn.commit().map_err(StoreError::of_commit)
}

fn rewrite_changes(tables: &mut Tables<WriteRows<'_>>) -> Result<(), StoreError> {
    let mut start = Bound::Unbounded;
    loop {
        let rows = tables.changes.range::<OldChange>((start, Bound::Unbounded))?;
        let batch: Vec<_> = rows.take(BATCH).collect::<Result<_, _>>()?;
        let Some((last, _)) = batch.last() else { return Ok(()) };
        start = Bound::Excluded(last.clone());
        for (key, change) in batch {
            tables.changes.put(&key, &Change::from(change))?;
        }
    }
}

/// Whether a row of `changes` is whole and of schema 1.
pub(super) fn is_old_change(key: &[u8], bytes: &[u8]) -> bool {
    codec::decode::<OldChange>(key, bytes).is_ok()
}

/// The bytes of a row of `changes` of the present schema, from those of schema 1.
pub(super) fn present_change(key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    codec::decode::<OldChange>(key, bytes).ok().map(|old| codec::encode(key, &Change::from(old)))
}

/// A row of `changes` in schema 1.
#[derive(Serialize, Deserialize)]
struct OldChange {
    at: Timestamp,
    actor: String,
    session: Option<String>,
    kind: Kind,
    key: String,
    identity: Identity,
    op: Op,
    hash_before: Option<ContentHash>,
    hash_after: Option<ContentHash>,
    before: Value,
    after: Value,
    body_changed: bool,
    group: Revision,
    undoes: Option<Revision>,
}

impl From<OldChange> for Change {
    fn from(old: OldChange) -> Self {
        Self {
            at: old.at,
            actor: old.actor,
            session: old.session,
            kind: old.kind,
            key: old.key,
            identity: Some(old.identity),
            op: old.op,
            hash_before: old.hash_before,
            hash_after: old.hash_after,
            before: old.before,
            after: old.after,
            body_changed: old.body_changed,
            group: old.group,
            undoes: old.undoes,
        }
    }
}
