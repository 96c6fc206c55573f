//! The file beneath the engine, and how many syncs it takes to close it.
//!
//! When the engine closes a database it commits once more, for itself: which pages are free. It syncs that four times,
//! and nobody waits for it. Only what the change itself takes need be durable when it is reported. So while a database
//! is being closed, the header may stay unsynced: what it was leads to the change as well as what it becomes. Whatever
//! would rest on the header being durable (another page, another length of the file) syncs it first, and so does the
//! next process, which has to sync the header before it writes anything else. `db/crash.rs` takes the power away at
//! each moment of that.
//!
//! A database that is only being made is not synced at all: nobody knows its name, and it is synced as a whole before it
//! gets the one that they know (`db/birth.rs`).

use std::cell::Cell;
use std::io;
use std::ops::{Bound, Deref};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, CompactionError, Database, DatabaseError, StorageBackend};

use super::builder;

/// A new database is filled in one transaction: the engine writes pages that it cannot hold until the commit, reads them
/// again, and writes them once more. It holds half as many bytes of them as are said here.
const UNBORN_CACHE_BYTES: usize = 64 << 20;

/// So much text a new database may hold at most for all of its pages to be held in memory until the commit.
const HELD_TEXT: u64 = 64 << 20;

/// The cache that holds a new database's pages until the commit: they take less than one and a half times the text.
pub(super) fn unborn_cache(text: u64) -> usize {
    let wanted = usize::try_from(text.saturating_mul(3)).unwrap_or(usize::MAX);
    if text <= HELD_TEXT { wanted.max(UNBORN_CACHE_BYTES) } else { UNBORN_CACHE_BYTES }
}

thread_local! {
    /// What the system said when it refused something last, to the thread that the engine refuses all else from then on: the
    /// engine does not tell what was the matter if it was about pages that it wrote to have room for others.
    static REFUSED: Cell<Option<i32>> = const { Cell::new(None) };
}

/// An error of the engine with what the system said, where the engine tells only that there was something.
pub(super) fn with_reason(error: redb::Error) -> redb::Error {
    match (error, REFUSED.get()) {
        (redb::Error::PreviousIo, Some(code)) => redb::Error::Io(io::Error::from_raw_os_error(code)),
        (error, _) => error,
    }
}

/// What a disk writes whole or not at all. The engine's header is shorter.
const SECTOR: u64 = 512;

/// A database that is open for writing.
pub(super) struct Opened {
    database: Database,
    is_closing: Arc<AtomicBool>,
}

impl Opened {
    pub(super) fn in_file(file: std::fs::File) -> Result<Self, DatabaseError> {
        Self::on(FileBackend::new(file)?)
    }

    /// In a file that whoever made it syncs before others see it; with such a cache.
    pub(super) fn in_unborn(file: std::fs::File, cache: usize) -> Result<Self, DatabaseError> {
        Self::open(FileBackend::new(file)?, Some(cache))
    }

    pub(super) fn on(backend: impl StorageBackend) -> Result<Self, DatabaseError> {
        Self::open(backend, None)
    }

    /// The cache is that of a database which is only being made.
    pub(super) fn open(backend: impl StorageBackend, unborn: Option<usize>) -> Result<Self, DatabaseError> {
        let is_unborn = unborn.is_some();
        REFUSED.set(None);
        let is_closing = Arc::new(AtomicBool::new(false));
        // whoever closed it last may have spared one
        let unsynced = Mutex::new(Unsynced { changed: Changed::Nothing, was_spared: !is_unborn });
        let backend = Sparing { backend, is_unborn, is_closing: Arc::clone(&is_closing), unsynced };
        let mut builder = builder();
        if let Some(cache) = unborn {
            builder.set_cache_size(cache);
        }
        let database = builder.create_with_backend(backend)?;
        Ok(Self { database, is_closing })
    }

    /// Makes it as small as what is in it, and closes it.
    pub(super) fn compact(mut self) -> Result<(), CompactionError> {
        self.database.compact().map(drop)
    }

    /// Closes it, with as few syncs as will do. What was committed is durable already.
    pub(super) fn close(self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }
}

impl Deref for Opened {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Changed {
    Nothing,
    Header,
    More,
}

#[derive(Debug)]
struct Unsynced {
    /// What was changed since the last sync.
    changed: Changed,
    /// Whether a sync of the header was spared since.
    was_spared: bool,
}

/// Passes everything on, but for syncs that are not needed.
#[derive(Debug)]
struct Sparing<B> {
    backend: B,
    is_unborn: bool,
    is_closing: Arc<AtomicBool>,
    unsynced: Mutex<Unsynced>,
}

impl<B: StorageBackend> Sparing<B> {
    /// Makes a change; a sync of the header that was spared is made before one of more than the header.
    fn change(&self, what: Changed, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut unsynced = self.unsynced();
        if what == Changed::More && unsynced.was_spared {
            self.backend.sync_data()?;
            unsynced.was_spared = false;
        }
        unsynced.changed = what.max(unsynced.changed);
        change().inspect_err(|error| REFUSED.set(error.raw_os_error()))
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: StorageBackend> StorageBackend for Sparing<B> {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Changed::More, || self.backend.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_unborn {
            return Ok(());
        }
        let mut unsynced = self.unsynced();
        match unsynced.changed {
            Changed::Nothing => {}
            Changed::Header if self.is_closing.load(Ordering::Relaxed) => unsynced.was_spared = true,
            Changed::Header | Changed::More => {
                self.backend.sync_data()?;
                *unsynced = Unsynced { changed: Changed::Nothing, was_spared: false };
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let is_header = offset.saturating_add(data.len() as u64) <= SECTOR;
        let what = if is_header { Changed::Header } else { Changed::More };
        self.change(what, || self.backend.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
