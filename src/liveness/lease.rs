//! Taking, registering, ending and looking at sessions in one folder of lock files.
//!
//! Whoever holds the exclusive lock of a file is the session. The lock is always of the file that has the name: a file
//! is unlinked only by who holds its lock (see [`mod@super::reap`]), and whoever got a lock looks whether the file is still
//! there. Locks are only ever tried. Others hold one for an instant, too: a probe a shared one, a reaper or a
//! registration an exclusive one; so what is in the way is tried again before it counts.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::Liveness;
use super::judge::{Evidence, LockState};
use super::payload::Payload;
use crate::fs::{Dir, Entry, PathError};
use crate::schema::id::SessionId;
use crate::schema::process::Process;
use crate::schema::time::Timestamp;

/// How often a lock is tried, a millisecond apart.
const TRIES: u32 = 50;

/// After so many tries an exclusive lock is taken for a session's.
const PATIENCE: u32 = 20;

/// Proof that a session lives: its lock.
///
/// The lock belongs to the open file and not to the process. [`Lease::share_with_children`] hands the open file on to
/// children on purpose: if the holder is killed, the session still counts as alive for as long as a child that inherited
/// it runs. A holder that ends the session, or drops the lease, unlocks the open file itself: that frees the lock for
/// everybody who inherited it, so a daemon that was left behind keeps no session alive.
///
/// Dropping a lease ends the session without a note of when; see [`Lease::end`].
#[derive(Debug)]
#[must_use = "the session is alive only while this is held"]
pub struct Lease {
    file: File,
    session: SessionId,
    payload: Payload,
    at: std::path::PathBuf,
    /// Whether the payload no longer speaks for a process once the lock is gone.
    settled: bool,
}

/// What became of an attempt to take a lease.
#[derive(Debug)]
#[must_use]
pub enum Acquired {
    /// It is the caller's.
    Held(Lease),
    /// Another lives under that name; what is known of it.
    Taken(Option<Payload>),
}

impl Acquired {
    /// The lease, if it was free.
    #[must_use]
    pub fn lease(self) -> Option<Lease> {
        match self {
            Self::Held(lease) => Some(lease),
            Self::Taken(_) => None,
        }
    }
}

impl Lease {
    /// Takes the lock of a session and writes who holds it. Taken if somebody else holds it, or if the process that the
    /// file names lives and is not the caller's. Waits for nobody but probes and the like, for 50 ms at most.
    ///
    /// The payload is advice and may fail to be written (a full disk, a read-only file system): the lock is there.
    ///
    /// # Errors
    /// If the file cannot be made or opened (as when it is a link), or the file system has no locks.
    pub fn acquire(folder: &Dir, session: &SessionId, payload: &Payload) -> Result<Acquired, PathError> {
        Ok(match acquire(folder, session, payload)? {
            (Some(lease), _, _) => Acquired::Held(lease),
            (None, taken, _) => Acquired::Taken(taken),
        })
    }

    /// Whose it is.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Whether children that are started from now on inherit the open file; see the type. Between turning it on and off
    /// no other thread should start a child.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn share_with_children(&self, share: bool) -> Result<(), PathError> {
        let flags = if share { FdFlags::empty() } else { FdFlags::CLOEXEC };
        fcntl_setfd(&self.file, flags).map_err(|errno| PathError {
            action: "hand on",
            path: self.at.clone(),
            source: errno.into(),
        })
    }

    /// Names the process that the session lives as long as, should the lock be lost: a child may close what it inherited.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn name(&mut self, process: Process) -> io::Result<()> {
        let payload = Payload { process: Some(process), ..self.payload.clone() };
        payload.write(&self.file, &self.session)?;
        self.payload = payload;
        Ok(())
    }

    /// Ends the session: notes when in the file, and frees the lock for all who share it.
    pub fn end(mut self, now: Timestamp) {
        // as it was when it was taken: the note is advice, and dropping empties a file that has none
        self.settled = self.payload.over(now).write(&self.file, &self.session).is_ok();
    }

    /// Frees the lock, and leaves the session to the process that the file names.
    fn leave(mut self) {
        self.settled = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.settled {
            // the process that it names may well live on without being this session
            let _ = self.file.set_len(0);
        }
        unlock(&self.file);
    }
}

/// At once and by name: a child that another thread forks just now shares the open file until it executes. That it fails
/// cannot be mended; closing does it then.
fn unlock(file: &File) {
    let _ = file.unlock();
}

/// The lease with what became of the payload; or what the file says of who has it.
type Attempt = (Option<Lease>, Option<Payload>, io::Result<()>);

fn acquire(folder: &Dir, session: &SessionId, payload: &Payload) -> Result<Attempt, PathError> {
    let open = || folder.open_private(session.as_str()).map(Some);
    for _ in 0..TRIES {
        let file = match lock(folder, session, payload.process.as_ref(), open)? {
            Locked::Yes(file) => file,
            Locked::Taken(taken) => return Ok((None, taken, Ok(()))),
            // it is made if it is missing
            Locked::Absent => continue,
        };
        let before = Payload::read(&file, session);
        if before.as_ref().is_some_and(|before| is_anothers(before, payload.process.as_ref())) {
            unlock(&file);
            return Ok((None, before, Ok(())));
        }
        let written = payload.write(&file, session);
        // the original's reaper unlinks without a lock; with the file's time renewed it has no more reason to
        if is_still(folder, session.as_str(), &file)? {
            let at = folder.path().join(session.as_str());
            let lease = Lease { file, session: session.clone(), payload: payload.clone(), at, settled: false };
            return Ok((Some(lease), None, written));
        }
    }
    Err(contended(folder, session))
}

/// What became of registering a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Registered {
    /// The file names the process.
    Done,
    /// Another lives under that name; what is known of it.
    Taken(Option<Payload>),
}

/// Notes the process that a session lives as long as; nobody holds the lock then. Refused as by [`Lease::acquire`].
///
/// # Errors
/// If the file cannot be made, locked or written.
pub fn register(folder: &Dir, session: &SessionId, payload: &Payload) -> Result<Registered, PathError> {
    match acquire(folder, session, payload)? {
        (Some(lease), _, Ok(())) => {
            lease.leave();
            Ok(Registered::Done)
        }
        (Some(lease), _, Err(source)) => Err(PathError { action: "write", path: lease.at.clone(), source }),
        (None, taken, _) => Ok(Registered::Taken(taken)),
    }
}

/// What became of ending a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// The file says so.
    Done,
    /// It has no file here.
    Absent,
    /// Somebody holds the lock, and only that process can end it (or, to be forgotten: its process lives); what is known
    /// of it.
    Held(Option<Payload>),
}

/// Notes that a session is over, whatever process it named.
///
/// # Errors
/// If the file is there and cannot be opened, locked or written.
pub fn end(folder: &Dir, session: &SessionId, now: Timestamp) -> Result<Ended, PathError> {
    match lock(folder, session, None, || existing(folder, session))? {
        Locked::Absent => Ok(Ended::Absent),
        Locked::Taken(payload) => Ok(Ended::Held(payload)),
        Locked::Yes(file) => {
            let over = Payload::read(&file, session).unwrap_or_default().over(now);
            let written = over.write(&file, session);
            unlock(&file);
            let path = folder.path().join(session.as_str());
            written.map(|()| Ended::Done).map_err(|source| PathError { action: "write", path, source })
        }
    }
}

/// Removes the lock file of a session, unless somebody holds the lock or the process that it names lives: what is begun
/// anew under its name without a process is then unknown, and not as dead as the one before.
///
/// # Errors
/// If the file is there and cannot be opened, locked or removed.
pub fn forget(folder: &Dir, session: &SessionId) -> Result<Ended, PathError> {
    match lock(folder, session, None, || existing(folder, session))? {
        Locked::Absent => Ok(Ended::Absent),
        Locked::Taken(payload) => Ok(Ended::Held(payload)),
        Locked::Yes(file) => {
            let payload = Payload::read(&file, session);
            let lives = payload.as_ref().is_some_and(|payload| is_anothers(payload, None));
            let removed = if lives { Ok(()) } else { folder.remove(session.as_str()) };
            unlock(&file);
            removed.map(|()| if lives { Ended::Held(payload) } else { Ended::Done })
        }
    }
}

fn existing(folder: &Dir, session: &SessionId) -> Result<Option<File>, PathError> {
    match folder.open_existing(session.as_str()) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the lock file of a session says; nobody is disturbed but for an instant. A name that cannot be one has none.
#[must_use]
pub fn evidence(folder: &Dir, session: &str) -> Evidence {
    let Ok(session) = session.parse::<SessionId>() else { return Evidence::of(LockState::Absent) };
    for _ in 0..TRIES {
        let file = match folder.open_file(session.as_str()) {
            Ok((file, _)) => file,
            Err(error) if error.is_not_found() => return Evidence::of(LockState::Absent),
            Err(_) => return Evidence::of(LockState::Unusable),
        };
        match file.try_lock_shared() {
            Ok(()) => {
                // nobody writes while we hold it
                let payload = Payload::read(&file, &session);
                let still = is_still(folder, session.as_str(), &file);
                unlock(&file);
                match still {
                    Ok(true) => {
                        let process = payload.as_ref().and_then(Payload::liveness);
                        return Evidence { lock: LockState::Free, payload, process };
                    }
                    // it was unlinked meanwhile, and another may have the name by now
                    Ok(false) => {}
                    Err(_) => return Evidence::of(LockState::Unusable),
                }
            }
            Err(TryLockError::WouldBlock) => {
                let payload = Payload::read(&file, &session);
                return Evidence { lock: LockState::Held, payload, process: None };
            }
            Err(TryLockError::Error(_)) => return Evidence::of(LockState::Unusable),
        }
    }
    Evidence::of(LockState::Unusable)
}

/// What the lock file of a session says about who holds it; none if it is missing or says nothing.
#[must_use]
pub fn read_payload(folder: &Dir, session: &SessionId) -> Option<Payload> {
    let (file, _) = folder.open_file(session.as_str()).ok()?;
    Payload::read(&file, session)
}

/// What became of trying the exclusive lock of a file that must still have its name.
enum Locked {
    Yes(File),
    Taken(Option<Payload>),
    Absent,
}

fn lock(
    folder: &Dir,
    session: &SessionId,
    ours: Option<&Process>,
    open: impl Fn() -> Result<Option<File>, PathError>,
) -> Result<Locked, PathError> {
    let failed = |source| PathError { action: "lock", path: folder.path().join(session.as_str()), source };
    let mut last = None;
    for attempt in 0..TRIES {
        let Some(file) = open()? else { return Ok(Locked::Absent) };
        match file.try_lock() {
            // `git clean -fdX` or a reaper may have unlinked it just before
            Ok(()) if is_still(folder, session.as_str(), &file)? => return Ok(Locked::Yes(file)),
            Ok(()) => {
                last = None;
                continue;
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        match file.try_lock_shared() {
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            // it was a probe, and is over or will be
            Ok(()) => {
                unlock(&file);
                last = None;
            }
            Err(TryLockError::WouldBlock) => {
                let payload = Payload::read(&file, session);
                if attempt >= PATIENCE || payload.as_ref().is_some_and(|payload| is_anothers(payload, ours)) {
                    return Ok(Locked::Taken(payload));
                }
                last = Some(payload);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    last.map(Locked::Taken).ok_or_else(|| contended(folder, session))
}

fn contended(folder: &Dir, session: &SessionId) -> PathError {
    let source = io::Error::new(io::ErrorKind::WouldBlock, "others keep looking at it");
    PathError { action: "lock", path: folder.path().join(session.as_str()), source }
}

/// Whether a payload names a process that certainly lives and is not the caller's.
fn is_anothers(payload: &Payload, ours: Option<&Process>) -> bool {
    payload.process.as_ref() != ours && payload.liveness() == Some(Liveness::Alive)
}

pub(super) fn is_still(folder: &Dir, name: &str, file: &File) -> Result<bool, PathError> {
    let open =
        file.metadata().map_err(|source| PathError { action: "read", path: folder.path().join(name), source })?;
    Ok(matches!(folder.entry(name)?, Some(Entry::File(stat)) if stat.inode == open.ino()))
}
