//! The process gate: which process may have the database open.
//!
//! redb lets either one writer or many readers have the file open and answers everybody else with an error. The gate
//! makes them wait instead: a permanent file, never unlinked, locked shared to read and exclusively to write. A turnstile
//! taken before it lets a waiting writer stop the stream of new readers. Waiting is a blocking lock in a helper thread,
//! because polling starves (worst wait 9 s against 1 s with 32 writers).
//!
//! The locks are BSD locks of the local machine: they promise nothing across NFS clients.

#![expect(clippy::disallowed_methods, reason = "this is the one module that takes these locks")]

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::fs::{Dir, Entry, FileStat, PathError};

/// The gate of the database.
pub(crate) const GATE: &str = "state.lock";
const TURNSTILE: &str = "state.lock-turn";
/// Held by the one import, export or sync that runs.
pub(crate) const SYNC: &str = "state.lock-sync";

/// Held by the one process that changes the settings file beside it.
const SETTINGS: &str = "state.lock-settings";

/// Held by the one process that writes a snapshot.
const SNAPSHOT: &str = "state.lock-snapshot";

/// Held by the one process that takes in what lies in the inbox.
const INBOX: &str = "state.lock-inbox";

pub(crate) const DATABASE_BUSY: &str = "the database was busy";
const SYNC_BUSY: &str = "another import, export or sync was running";
const SETTINGS_BUSY: &str = "another process was changing the settings";
const SNAPSHOT_BUSY: &str = "another process was writing a snapshot";
const INBOX_BUSY: &str = "another process was taking in the inbox";
const CLAIMS_BUSY: &str = "another work tree was claiming an issue";

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// Others held it for the whole of the waiting time.
    #[error("{what} for {:.1} s{}", waited.as_secs_f64(), holder.map(|pid| format!(" (process {pid} holds it)")).unwrap_or_default())]
    Busy {
        /// What kept it waiting.
        what: &'static str,
        /// How long was waited.
        waited: Duration,
        /// The process that holds it to write, if it can be known; for display only.
        holder: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shared,
    Exclusive,
}

/// A lock that is held until dropped.
#[derive(Debug)]
pub struct Gate {
    file: File,
    kind: Kind,
}

impl Gate {
    /// Held by the one process that claims issues, in the folder that work trees share.
    pub(crate) const CLAIMS: &str = "claims.lock";

    /// Waits for the right to read.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn shared(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, GATE, Some(TURNSTILE), Kind::Shared, timeout)
    }

    /// Waits for the right to write.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn exclusive(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, GATE, Some(TURNSTILE), Kind::Exclusive, timeout).map(Self::signed)
    }

    /// Waits for the right to be the one import, export or sync.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn sync(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, SYNC, None, Kind::Exclusive, timeout).map(Self::signed)
    }

    /// Waits for the right to change the claims that work trees share.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn claims(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, Self::CLAIMS, None, Kind::Exclusive, timeout).map(Self::signed)
    }

    /// Waits for the right to change the settings file in a folder.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn settings(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, SETTINGS, None, Kind::Exclusive, timeout).map(Self::signed)
    }

    /// Waits for the right to write a snapshot.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn snapshot(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, SNAPSHOT, None, Kind::Exclusive, timeout).map(Self::signed)
    }

    /// Waits for the right to take in the inbox.
    ///
    /// # Errors
    /// [`GateError::Busy`] after `timeout`.
    pub fn inbox(dir: &Arc<Dir>, timeout: Duration) -> Result<Self, GateError> {
        Self::acquire(dir, INBOX, None, Kind::Exclusive, timeout).map(Self::signed)
    }

    /// Notes who holds it; only shown to those who wait, so a failure to note it is none.
    fn signed(mut self) -> Self {
        self.note(&std::process::id().to_string());
        self
    }

    /// Writes over what is noted, at once: written piece by piece, padding takes a call for each blank.
    fn note(&mut self, holder: &str) {
        let _ = self.file.rewind().and_then(|()| self.file.write_all(format!("{holder:<10}").as_bytes()));
    }

    /// The present time of the file system that the lock file is on. Of one that is mounted read-only, which has no present
    /// and takes no notes, it is before all times.
    ///
    /// # Errors
    /// If the lock file cannot be touched.
    pub fn file_system_now(&self, dir: &Dir) -> Result<(i64, u32), PathError> {
        match dir.touch(&self.file, SYNC) {
            Err(error) if error.source.kind() == ErrorKind::ReadOnlyFilesystem => Ok((i64::MIN, 0)),
            now => now,
        }
    }

    fn acquire(
        dir: &Arc<Dir>,
        name: &'static str,
        turnstile: Option<&'static str>,
        kind: Kind,
        timeout: Duration,
    ) -> Result<Self, GateError> {
        let start = Instant::now();
        loop {
            let file = match try_once(dir, name, turnstile, kind)? {
                Some(file) => file,
                None => wait(dir, name, turnstile, kind, start, timeout)?,
            };
            // `git clean -fdX` may have put another file in its place while we waited
            if is_still(dir, name, &file)? {
                return Ok(Self { file, kind });
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.kind == Kind::Exclusive {
            self.note("");
        }
    }
}

/// Whether the file that is open is the one of that name.
fn is_still(dir: &Dir, name: &str, file: &File) -> Result<bool, PathError> {
    use std::os::unix::fs::MetadataExt as _;
    let open = file.metadata().map_err(|source| PathError { action: "read", path: dir.path().join(name), source })?;
    Ok(matches!(dir.entry(name)?, Some(Entry::File(FileStat { inode, .. })) if inode == open.ino()))
}

fn try_once(dir: &Dir, name: &str, turnstile: Option<&str>, kind: Kind) -> Result<Option<File>, PathError> {
    let turn = turnstile.map(|turnstile| dir.open_private(turnstile)).transpose()?;
    if let Some(turn) = &turn
        && !taken(dir, name, turn.try_lock())?
    {
        return Ok(None);
    }
    let file = dir.open_private(name)?;
    let lock = match kind {
        Kind::Shared => file.try_lock_shared(),
        Kind::Exclusive => file.try_lock(),
    };
    Ok(taken(dir, name, lock)?.then_some(file))
}

/// Shares a file with others that read it, as the engine does, until it is closed; whether nobody is about to write it.
pub(super) fn share(dir: &Dir, name: &str, file: &File) -> Result<bool, PathError> {
    taken(dir, name, file.try_lock_shared())
}

fn taken(dir: &Dir, name: &str, lock: Result<(), TryLockError>) -> Result<bool, PathError> {
    match lock {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(PathError { action: "lock", path: dir.path().join(name), source }),
    }
}

fn wait(
    dir: &Arc<Dir>,
    name: &'static str,
    turnstile: Option<&'static str>,
    kind: Kind,
    start: Instant,
    timeout: Duration,
) -> Result<File, GateError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread_dir = Arc::clone(dir);
    // A thread that is still waiting when the time is up is left behind: it ends with the process, or drops the lock
    // the moment it gets it, because nobody receives it.
    let spawned = std::thread::Builder::new().name("gate".into()).spawn(move || {
        let _ = sender.send(block(&thread_dir, name, turnstile, kind));
    });
    spawned.map_err(|source| PathError { action: "wait for", path: dir.path().join(name), source })?;
    match receiver.recv_timeout(timeout.saturating_sub(start.elapsed())) {
        Ok(result) => Ok(result?),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let what = match name {
                SYNC => SYNC_BUSY,
                Gate::CLAIMS => CLAIMS_BUSY,
                SETTINGS => SETTINGS_BUSY,
                SNAPSHOT => SNAPSHOT_BUSY,
                INBOX => INBOX_BUSY,
                _ => DATABASE_BUSY,
            };
            Err(GateError::Busy { what, waited: start.elapsed(), holder: holder(dir, name) })
        }
    }
}

fn block(dir: &Dir, name: &str, turnstile: Option<&str>, kind: Kind) -> Result<File, PathError> {
    let at = |name: &str| {
        let path = dir.path().join(name);
        move |source| PathError { action: "lock", path, source }
    };
    let turn = turnstile.map(|turnstile| dir.open_private(turnstile)).transpose()?;
    if let Some(turn) = &turn {
        turn.lock().map_err(at(name))?;
    }
    let file = dir.open_private(name)?;
    match kind {
        Kind::Shared => file.lock_shared(),
        Kind::Exclusive => file.lock(),
    }
    .map_err(at(name))?;
    Ok(file)
}

fn holder(dir: &Dir, name: &str) -> Option<u32> {
    let mut text = String::new();
    let (file, _) = dir.open_file(name).ok()?;
    file.take(10).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, Arc<Dir>) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Arc::new(Dir::open(folder.path()).unwrap());
        (folder, dir)
    }

    const SHORT: Duration = Duration::from_millis(60);

    #[test]
    fn readers_share_and_a_writer_excludes() {
        let (_folder, dir) = dir();
        let first = Gate::shared(&dir, SHORT).unwrap();
        let second = Gate::shared(&dir, SHORT).unwrap();
        assert!(matches!(Gate::exclusive(&dir, SHORT), Err(GateError::Busy { holder: None, .. })));
        drop((first, second));
        let writer = Gate::exclusive(&dir, Duration::from_secs(5)).unwrap();
        let Err(GateError::Busy { holder, waited, .. }) = Gate::shared(&dir, SHORT) else {
            panic!("a reader beside a writer")
        };
        assert_eq!(holder, Some(std::process::id()));
        assert!(waited >= SHORT);
        drop(writer);
        Gate::shared(&dir, Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn a_waiting_writer_is_not_starved_by_readers() {
        let (_folder, dir) = dir();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (dir, stop) = (Arc::clone(&dir), Arc::clone(&stop));
                std::thread::spawn(move || {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let gate = Gate::shared(&dir, Duration::from_secs(10)).unwrap();
                        std::thread::sleep(Duration::from_millis(2));
                        drop(gate);
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        drop(Gate::exclusive(&dir, Duration::from_secs(10)).unwrap());
        let waited = start.elapsed();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        assert!(waited < Duration::from_secs(2), "{waited:?}");
    }

    #[test]
    fn a_lock_file_that_was_replaced_is_locked_anew() {
        let (folder, dir) = dir();
        let old = Gate::exclusive(&dir, SHORT).unwrap();
        std::fs::remove_file(folder.path().join(GATE)).unwrap();
        std::fs::remove_file(folder.path().join(TURNSTILE)).unwrap();
        let new = Gate::exclusive(&dir, SHORT).unwrap();
        drop(old);
        assert!(Gate::shared(&dir, SHORT).is_err(), "the new file is the gate");
        drop(new);
    }
}
