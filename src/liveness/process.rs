//! Whether one certain process still runs.
//!
//! On Linux a process is known by its id, the tick at which it started, the run of the system (boot id) and the pid
//! namespace. A pidfd is held while `/proc` is read and asked afterwards, so that what was read belongs to one process:
//! its id cannot have been given to another in between. A process that ended is gone, also while nobody has collected
//! its exit code; one that is stopped is alive.
//!
//! Dead is said only where it is certain. Other machines, other pid namespaces (containers) and a `/proc` that hides
//! other users' processes give unknown. Start times are compared as the kernel gives them: within time namespaces that
//! were set off against each other they cannot be. On systems other than Linux only an id that nobody has is dead, and
//! nothing is ever certainly alive by this alone.

use std::sync::OnceLock;

use chrono::TimeDelta;
use rustix::process::{Pid, test_kill_process};

use super::Liveness;
use crate::schema::process::Process;
use crate::schema::time::Timestamp;

/// How far the time at which a process was seen may lie before its start: both are rounded, and the system's idea of
/// its own start moves when its clock is set.
const TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// Describes a process that runs now; none if there is none of that id.
#[must_use]
pub fn of(pid: u32) -> Option<Process> {
    match look(pid) {
        Look::Gone => None,
        Look::Runs { started } => {
            let here = here();
            Some(Process {
                pid,
                started,
                boot: here.boot.clone(),
                namespace: here.namespace,
                host: Some(here.host.clone()),
            })
        }
    }
}

/// Whether that very process runs. Of one whose start nobody noted, `seen_at` says when it ran: a process that has its
/// id now and started later is another.
#[must_use]
pub fn state(process: &Process, seen_at: Option<Timestamp>) -> Liveness {
    let since = |started: u64| booted_at()?.checked_add_signed(ticks(started)?).map(Timestamp::new);
    decide(process, seen_at, here(), look(process.pid), since)
}

/// Where this process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Here {
    boot: Option<String>,
    namespace: Option<u64>,
    host: String,
}

/// What the system says of a process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Gone,
    /// A process has it, and started then; none if that is hidden.
    Runs {
        started: Option<u64>,
    },
}

fn decide(
    process: &Process,
    seen_at: Option<Timestamp>,
    here: &Here,
    look: Look,
    since: impl FnOnce(u64) -> Option<Timestamp>,
) -> Liveness {
    let is_this_run = process.boot.is_some() && process.boot == here.boot;
    // one run of one system may change its name; containers on it have names of their own
    if !is_this_run && process.host.as_ref().is_some_and(|host| *host != here.host) {
        return Liveness::Unknown;
    }
    if !is_this_run && process.boot.is_some() && here.boot.is_some() {
        return Liveness::Dead;
    }
    if process.namespace.is_some() && process.namespace != here.namespace {
        return Liveness::Unknown;
    }
    let certain = |it_is: bool| if it_is { Liveness::Alive } else { Liveness::Dead };
    match (look, process.started) {
        (Look::Gone, _) => Liveness::Dead,
        (Look::Runs { started: None }, _) => Liveness::Unknown,
        (Look::Runs { started: Some(now) }, Some(then)) => certain(now == then),
        (Look::Runs { started: Some(now) }, None) => match (seen_at, since(now)) {
            (Some(seen), Some(since)) => certain(since.get().signed_duration_since(seen.get()) <= TOLERANCE),
            _ => Liveness::Unknown,
        },
    }
}

fn here() -> &'static Here {
    static HERE: OnceLock<Here> = OnceLock::new();
    HERE.get_or_init(|| Here {
        boot: system::boot(),
        namespace: system::namespace(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
    })
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Without anything better: whether some process has the id.
fn look_by_signal(pid: Pid) -> Look {
    match test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => Look::Gone,
        _ => Look::Runs { started: None },
    }
}

fn look(pid: u32) -> Look {
    pid_of(pid).map_or(Look::Gone, system::look)
}

fn booted_at() -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(system::booted_at()?, 0)
}

fn ticks(count: u64) -> Option<TimeDelta> {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let millis = count.checked_mul(1000)? / per_second;
    TimeDelta::try_milliseconds(i64::try_from(millis).ok()?)
}

/// Fields of `/proc/PID/stat`.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    /// Whether it ended and only waits to be collected.
    ended: bool,
    started: u64,
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
impl Stat {
    fn parse(text: &[u8]) -> Option<Self> {
        // the second field is a name in parentheses and may hold blanks, parentheses and line feeds
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let threads: u64 = fields.nth(16)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        // a process whose first thread ended while others run is no corpse
        Some(Self { ended: matches!(state, "Z" | "X" | "x") && threads <= 1, started })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;
    use std::sync::OnceLock;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::{Look, Stat, look_by_signal};

    pub(super) fn boot() -> Option<String> {
        let id = whole("/proc/sys/kernel/random/boot_id", |text| Some(str::from_utf8(text).ok()?.trim().to_owned()))?;
        Some(id).filter(|id| !id.is_empty() && id.len() <= 64)
    }

    /// What is made of a short file of the kernel's, which gives all of it at once.
    fn whole<T>(path: &str, make: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let mut text = [0; 1024];
        let len = File::open(path).ok()?.read(&mut text).ok()?;
        make(text.get(..len)?)
    }

    pub(super) fn namespace() -> Option<u64> {
        std::fs::metadata("/proc/self/ns/pid").ok().map(|metadata| metadata.ino())
    }

    /// When the system started, in Unix seconds.
    pub(super) fn booted_at() -> Option<i64> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    }

    /// Whether the ids in `/proc` are those of our own pid namespace: it may be another's, mounted here.
    fn is_our_proc() -> bool {
        static OURS: OnceLock<bool> = OnceLock::new();
        *OURS.get_or_init(|| {
            std::fs::read_link("/proc/self").is_ok_and(|target| target == Path::new(&std::process::id().to_string()))
        })
    }

    pub(super) fn look(pid: Pid) -> Look {
        let held = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            // none of that id; or it is by now the id of a thread, and of no process
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Look::Gone,
            // an old system, or one that does not let us
            Err(_) => None,
        };
        let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let stat = is_our_proc().then(|| whole(&path, Stat::parse)).flatten();
        match (held.map(|fd| has_ended(&fd)), stat) {
            (Some(Some(true)), _) | (None | Some(None), Some(Stat { ended: true, .. })) => Look::Gone,
            (_, Some(stat)) => Look::Runs { started: Some(stat.started) },
            (Some(Some(false)), None) => Look::Runs { started: None },
            (None | Some(None), None) => look_by_signal(pid),
        }
    }

    fn has_ended(process: &OwnedFd) -> Option<bool> {
        let mut asked = [PollFd::new(process, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut asked, Some(&at_once)).ok().map(|ready| ready > 0)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) use super::look_by_signal as look;

    pub(super) fn boot() -> Option<String> {
        None
    }

    pub(super) fn namespace() -> Option<u64> {
        None
    }

    pub(super) fn booted_at() -> Option<i64> {
        None
    }
}

#[cfg(test)]
mod tests;
