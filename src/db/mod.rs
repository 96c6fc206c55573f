//! The store: one redb file behind a process gate.
//!
//! Many short processes use it at once, so nobody keeps it open: pass the gate, open, one transaction, close. A change
//! is reported only once it is durable. Nothing slow may run while the gate is held; the closure given to
//! [`Store::write`] gets no file, process or terminal to wait for.
//!
//! ```
//! use oxi_state::db::{Author, Cas, Op, Store};
//! use oxi_state::schema::issue::{Issue, IssueHead, Priority};
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), std::time::Duration::from_secs(10))?;
//! store.create_if_missing()?;
//!
//! // a write transaction: the number is chosen and the issue stored in one step
//! let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse()? };
//! let created = store.write(&author, |txn| {
//!     txn.create(|id, now| Issue { head: IssueHead::new(id, "Fix login".into(), now), body: String::new() })
//! })?;
//!
//! // a read transaction
//! let seen = store.read()?.issue(created.issue.head.id)?.expect("it was just created");
//!
//! // compare-and-swap: the outcome is a value
//! let raise = |issue: &mut Issue, _| issue.head.priority = Priority::High;
//! let first = store.write(&author, |txn| txn.update(seen.issue.head.id, Some(seen.hash), Op::Update, raise))?;
//! assert!(matches!(first, Cas::Changed(_)));
//! let second = store.write(&author, |txn| txn.update(seen.issue.head.id, Some(seen.hash), Op::Update, raise))?;
//! assert!(matches!(second, Cas::Stale { current } if current != seen.hash));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod backup;
mod birth;
mod counted;
mod cursor;
pub mod documents;
mod effect;
pub mod engine;
mod entries;
mod error;
mod examine;
mod finder;
pub mod gate;
mod inbox;
mod index;
pub mod log;
mod met;
mod migrate;
mod mirror;
mod pages;
pub mod query;
mod read;
pub mod record;
pub mod records;
mod renumber;
mod reopen;
pub mod repair;
mod rescue;
pub mod retention;
mod salvage;
pub mod shrink;
mod sound;
mod storage;
pub mod sums;
pub mod tables;
mod trail;
pub mod undo;
mod witness;
mod write;

#[cfg(test)]
mod crash;
#[cfg(test)]
mod model;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Builder, Database, DatabaseError};

use crate::fs::{Dir, Entry, FileStat, Obstacle, PathError};
use crate::schema::codec;

pub use birth::Birth;
pub use error::StoreError;
pub use examine::Examination;
use gate::Gate;
pub use met::{Met, Note};
pub use migrate::SCHEMA_VERSION;
pub use read::FolderMark;
use read::mark;
pub use record::{Author, Op};
pub use rescue::Rescued;
pub use retention::Retention;
pub use salvage::Damage;
pub(crate) use salvage::place_of_row;
pub use shrink::Shrunk;
use storage::Opened;
use tables::{ReadRows, Tables};
pub(crate) use trail::Signature;
pub use trail::StandingChange;
use witness::{Doubt, Witness};
pub(crate) use write::PreparedPut;
pub use write::{Cas, WriteTxn};

/// The database's file name.
pub const DATABASE: &str = "state.redb";

/// What the engine's own tables are called in messages.
const FREE_PAGES: &str = "(free pages)";

/// How often a reader closes the file in order for processes that were killed. More than one only if others are killed
/// meanwhile, or if the disk does not take the repair, which the engine does not tell.
const MAX_REPAIRS: usize = 8;

/// redb's own default is 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

/// A handle to the database of one project. Holds nothing open but the directory.
#[derive(Clone, Debug)]
pub struct Store {
    dir: Arc<Dir>,
    name: String,
    timeout: Duration,
    retention: Option<Arc<Retention>>,
    /// How many bytes the engine may hold in memory while the database is made.
    unborn_cache: usize,
}

/// A read transaction; holds the gate shared until dropped.
pub struct ReadTxn {
    // dropped in this order: the tables with the file, the gate
    tables: Tables<ReadRows>,
    _gate: Gate,
}

impl std::ops::Deref for ReadTxn {
    type Target = Tables<ReadRows>;

    fn deref(&self) -> &Self::Target {
        &self.tables
    }
}

impl Store {
    /// A handle to the database in a state folder (`.oxi`). Nothing is created.
    ///
    /// # Errors
    /// If the folder cannot be opened.
    pub fn open(folder: &Path, timeout: Duration) -> Result<Self, StoreError> {
        Ok(Self::in_dir(Arc::new(Dir::open(folder)?), timeout))
    }

    /// A handle to the database in a state folder that is open already; `timeout` is the longest wait for the gate.
    #[must_use]
    pub fn in_dir(dir: Arc<Dir>, timeout: Duration) -> Self {
        Self { dir, name: DATABASE.to_owned(), timeout, retention: None, unborn_cache: storage::unborn_cache(0) }
    }

    /// The same, with what is to be kept: beside every change, what is not goes little by little (see [`retention`]).
    /// Unless it is told, a store drops nothing: it does not know what the project's settings say.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention: Some(Arc::new(retention)), ..self }
    }

    /// What is to be kept, if that was said.
    #[must_use]
    pub fn retention(&self) -> Option<&Retention> {
        self.retention.as_deref()
    }

    /// The state folder.
    #[must_use]
    pub fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// The longest wait for a lock.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// Whether there is a database, as a regular file.
    ///
    /// # Errors
    /// If there is something else of its name, such as a link, or the folder cannot be read.
    pub fn exists(&self) -> Result<bool, StoreError> {
        Ok(self.stat()?.is_some())
    }

    /// What the file system says of the database; none if there is none.
    fn stat(&self) -> Result<Option<FileStat>, StoreError> {
        match self.dir.entry(&self.name)? {
            None => Ok(None),
            Some(Entry::File(stat)) => Ok(Some(stat)),
            Some(_) => Err(PathError { action: "open", path: self.path(), source: Obstacle::NotRegular.into() }.into()),
        }
    }

    /// Opens a read transaction.
    ///
    /// # Errors
    /// If there is no database, the gate is not free in time, or the file is damaged or of a newer version.
    pub fn read(&self) -> Result<ReadTxn, StoreError> {
        let start = Instant::now();
        let mut repairs = 0;
        loop {
            let gate = Gate::shared(&self.dir, self.timeout)?;
            self.require_regular_file()?;
            let (file, _) = self.dir.open_file(&self.name)?;
            if !gate::share(&self.dir, &self.name, &file)? {
                self.wait_for_the_dead(start)?;
                continue;
            }
            let Some(witness) = self.witness_of(file)?.filter(|witness| !witness.is_interrupted()) else {
                // a process was killed in mid-write: to repair is to open for writing
                if repairs == MAX_REPAIRS {
                    return Err(StoreError::NotRepaired(self.path()));
                }
                repairs += 1;
                self.refuse_what_is_no_database()?;
                drop(gate);
                let _gate = Gate::exclusive(&self.dir, self.timeout)?;
                self.open_database()?.close();
                continue;
            };
            // nobody shares the file any more where it is to be changed
            let tables = migrate::current_tables(&Arc::new(witness));
            match tables {
                Ok(tables) => return Ok(ReadTxn { tables, _gate: gate }),
                Err(StoreError::Older { .. }) => {
                    drop(gate);
                    let gate = Gate::exclusive(&self.dir, self.timeout)?;
                    self.migrate(&gate)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Refuses, as the engine does, a file that need not be opened for writing to tell that it is not to be used. The
    /// engine panics on some kinds of damage to its own tables, which are verified only then.
    fn refuse_what_is_no_database(&self) -> Result<(), StoreError> {
        let path = self.path();
        match std::panic::catch_unwind(|| builder().open_read_only(&path)) {
            Ok(Ok(_) | Err(DatabaseError::RepairAborted | DatabaseError::DatabaseAlreadyOpen)) => Ok(()),
            Ok(Err(error)) => Err(self.open_error(error)),
            Err(panic) => {
                let vouched = self.witness()?.map_or(Ok(()), |witness| witness.vouch_for_allocation());
                vouched.map_err(|doubt| self.doubt(doubt, FREE_PAGES))?;
                std::panic::resume_unwind(panic)
            }
        }
    }

    /// Runs a write transaction: committed durably if the closure succeeds and changed anything, else undone.
    ///
    /// # Errors
    /// What the closure answers; or if there is no database, the gate is not free in time, or the file is damaged or of a
    /// newer version.
    pub fn write<R, E: From<StoreError>>(
        &self,
        author: &Author,
        work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let gate = Gate::exclusive(&self.dir, self.timeout).map_err(StoreError::from)?;
        self.require_regular_file()?;
        let (database, witness) = self.open_present(&gate)?;
        let result = write_in(&database, witness.as_ref(), author, self.retention.clone(), work);
        database.close();
        drop(gate);
        result
    }

    fn require_regular_file(&self) -> Result<(), StoreError> {
        if self.exists()? {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        Err(PathError { action: "open", path: self.path(), source }.into())
    }

    /// Who vouches for the file's pages; nobody where the engine must choose or refuse first.
    fn witness(&self) -> Result<Option<Arc<Witness>>, StoreError> {
        let (file, _) = self.dir.open_file(&self.name)?;
        Ok(self.witness_of(file)?.map(Arc::new))
    }

    fn witness_of(&self, file: File) -> Result<Option<Witness>, StoreError> {
        Witness::open(file).map_err(|doubt| self.doubt(doubt, "(tables)"))
    }

    /// The schema that the file says it has; none if it does not say so in a whole row.
    fn schema_on_file(&self, witness: &Witness) -> Result<Option<u8>, StoreError> {
        let schema = witness.find("meta", mark::SCHEMA, |bytes| codec::decode(mark::SCHEMA, bytes).ok());
        Ok(schema.map_err(|doubt| self.doubt(doubt, "meta"))?.flatten())
    }

    fn doubt(&self, doubt: Doubt, table: &'static str) -> StoreError {
        match doubt {
            Doubt::Damaged { offset } => StoreError::Page { table, key: "(any)".into(), offset },
            Doubt::Io(source) => PathError { action: "read", path: self.path(), source }.into(),
        }
    }

    /// Opens the database to write, brought to the present schema if it is of an older one, and whoever vouches for it.
    /// The caller holds the gate.
    fn open_present(&self, gate: &Gate) -> Result<(Opened, Option<Arc<Witness>>), StoreError> {
        let witness = self.witness()?;
        let schema = witness.as_ref().map_or(Ok(None), |witness| self.schema_on_file(witness))?;
        if schema == Some(SCHEMA_VERSION) {
            // the engine changes its header when it opens a whole file, and no page of a table
            return Ok((self.open_vouched(witness.as_deref())?, witness));
        }
        self.migrate(gate)?;
        let database = self.open_database()?;
        let witness = self.witness()?;
        Ok((database, witness))
    }

    fn open_database(&self) -> Result<Opened, StoreError> {
        let witness = self.witness()?;
        if let Some(witness) = &witness {
            // opening a file for writing changes it already
            if let Some(found) = self.schema_on_file(witness)?.filter(|found| *found > SCHEMA_VERSION) {
                return Err(StoreError::Newer { found, known: SCHEMA_VERSION });
            }
        }
        self.open_vouched(witness.as_deref())
    }

    fn open_vouched(&self, witness: Option<&Witness>) -> Result<Opened, StoreError> {
        if let Some(witness) = witness {
            witness.vouch_for_allocation().map_err(|doubt| self.doubt(doubt, FREE_PAGES))?;
        }
        let start = Instant::now();
        loop {
            let file = self.dir.open_existing(&self.name)?;
            // redb would make an empty file into a new database, and an emptied one is a loss to be told
            if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
                return Err(StoreError::NotADatabase(self.path()));
            }
            let opened =
                if self.is_unborn() { Opened::in_unborn(file, self.unborn_cache) } else { Opened::in_file(file) };
            match opened {
                Ok(database) => return Ok(database),
                Err(DatabaseError::DatabaseAlreadyOpen) => self.wait_for_the_dead(start)?,
                Err(error) => return Err(self.open_error(error)),
            }
        }
    }

    /// redb locks the file, too. Whoever has passed the gate meets that lock only for the moment in which a killed process
    /// is being cleared away, its lock on the gate already gone and that on the file not yet; or if a program that does
    /// not know of the gate has the file open.
    fn wait_for_the_dead(&self, start: Instant) -> Result<(), StoreError> {
        let waited = start.elapsed();
        if waited >= self.timeout {
            return Err(gate::GateError::Busy { what: gate::DATABASE_BUSY, waited, holder: None }.into());
        }
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    }

    fn open_error(&self, error: DatabaseError) -> StoreError {
        match error {
            DatabaseError::Storage(redb::StorageError::Io(source))
                if matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
            {
                StoreError::NotADatabase(self.path())
            }
            DatabaseError::Storage(redb::StorageError::Io(source)) => {
                PathError { action: "open", path: self.path(), source }.into()
            }
            error => error.into(),
        }
    }
}

/// The engine, as every process here uses it.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// One write transaction in a database of the present schema; see [`Store::write`].
fn write_in<R, E: From<StoreError>>(
    database: &Database,
    witness: Option<&Arc<Witness>>,
    author: &Author,
    retention: Option<Arc<Retention>>,
    work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
) -> Result<R, E> {
    let txn = begin_write(database)?;
    let (result, changed) = {
        let tables = Tables::open_to_write(&txn, witness)?;
        let mut write = WriteTxn::new(tables, author.clone(), retention)?;
        let result = work(&mut write);
        let changed = result.is_ok() && write.has_changes();
        if changed {
            write.sweep()?;
            write.settle()?;
        }
        (result, changed)
    };
    if changed {
        txn.commit().map_err(StoreError::of_commit)?;
    } else {
        txn.abort().map_err(StoreError::from)?;
    }
    result
}

fn begin_write(database: &Database) -> Result<redb::WriteTransaction, StoreError> {
    let mut txn = database.begin_write()?;
    txn.set_durability(redb::Durability::Immediate)?;
    // with it a killed process costs the next one 2 ms, not a walk over the whole file
    txn.set_quick_repair(true);
    Ok(txn)
}
