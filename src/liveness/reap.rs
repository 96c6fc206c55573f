//! Removing lock files that nobody needs.
//!
//! A file is unlinked only while its exclusive lock is held, and only if it is then still the file of that name and still
//! old: whoever waits for the lock finds the file gone and makes a new one, and nobody ends up with the lock of a file
//! that nobody else can find. What is not a lock file of a session is left alone.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use super::lease::is_still;
use super::payload::Payload;
use super::{Liveness, REMOTE_CLAIM_HOURS};
use crate::fs::{Dir, Entry, PathError};
use crate::schema::id::SessionId;
use crate::schema::time::Timestamp;

/// How long nothing may have happened to a lock file before it is removed, unless told otherwise.
pub const MIN_AGE: Duration = Duration::from_secs(3600);

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The sessions whose lock files they were, by name.
    pub removed: Vec<SessionId>,
}

/// Removes the lock files that nobody holds, whose process does not live, and that nobody touched for `min_age` before
/// `now`. Where nobody can tell whether the process lives, it takes a day.
///
/// # Errors
/// If the folder cannot be read. A file that cannot be opened, locked or removed stays.
pub fn reap(folder: &Dir, now: Timestamp, min_age: Duration, dry_run: bool) -> Result<Report, PathError> {
    let mut report = Report::default();
    for name in folder.names()? {
        let Ok(session) = name.parse::<SessionId>() else { continue };
        if matches!(folder.entry(&name), Ok(Some(Entry::File(stat))) if is_old(stat.modified.0, now, min_age))
            && try_remove(folder, &session, now, min_age, dry_run) == Some(true)
        {
            report.removed.push(session);
        }
    }
    report.removed.sort();
    Ok(report)
}

/// None if something stood in the way.
fn try_remove(folder: &Dir, session: &SessionId, now: Timestamp, min_age: Duration, dry_run: bool) -> Option<bool> {
    let (file, _) = folder.open_file(session.as_str()).ok()?;
    // looked at first without the lock, which others would take for a session's
    if !is_over(Payload::read(&file, session).as_ref(), file.metadata().ok()?.mtime(), now, min_age) {
        return Some(false);
    }
    if dry_run {
        let free = file.try_lock_shared().is_ok();
        let _ = file.unlock();
        return Some(free);
    }
    file.try_lock().ok()?;
    let over = is_over(Payload::read(&file, session).as_ref(), file.metadata().ok()?.mtime(), now, min_age);
    let remove = over && is_still(folder, session.as_str(), &file).ok()?;
    let removed = remove && folder.remove(session.as_str()).is_ok();
    // see `lease::unlock`; on the ways out above closing does it
    let _ = file.unlock();
    Some(removed)
}

fn is_over(payload: Option<&Payload>, modified: i64, now: Timestamp, min_age: Duration) -> bool {
    let needed = match payload.and_then(Payload::liveness) {
        Some(Liveness::Alive) => return false,
        Some(Liveness::Unknown) => min_age.max(Duration::from_secs(REMOTE_CLAIM_HOURS.unsigned_abs() * 3600)),
        Some(Liveness::Dead) | None => min_age,
    };
    is_old(modified, now, needed)
}

/// A time in the future is not old.
fn is_old(modified: i64, now: Timestamp, min_age: Duration) -> bool {
    let age = now.get().timestamp().saturating_sub(modified);
    u64::try_from(age).is_ok_and(|age| age >= min_age.as_secs())
}
