//! Running a command in the place of this program: signals go to it, and its end is ours.
//!
//! The handlers are in place before the child is started and stay until this process ends, so a signal either ends the
//! program before there is a child, or reaches the child. The child's id is given back to the system only after the
//! thread that passes signals on has ended; so no signal can reach another process.
//!
//! What the terminal sends (Ctrl-C, Ctrl-\) it sends to every process of its foreground group, the child included;
//! passing it on would send it twice. A signal that was ignored when this program was started, as under `nohup`, stays
//! ignored in both. Where that cannot be told (other systems than Linux) it is passed on.
//!
//! With a time limit the command runs in a process group of its own, as under `timeout`, so that all that it started can
//! be ended: SIGTERM, and SIGKILL some seconds later. It cannot read from the terminal then.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgid, getpgrp, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

const PASSED_ON: [i32; 7] = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGINT, SIGQUIT];

/// Why a command did not run to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not started.
    Start(io::Error),
    /// It was, and what became of it is unknown.
    Wait(io::Error),
}

/// How long a command that was told to end may take until it is ended.
const GRACE: Duration = Duration::from_secs(5);

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Whether its time was over.
    pub(super) timed_out: bool,
}

/// Runs the command to its end, which comes after `limit` at the latest. `start` starts it.
pub(super) fn run(
    command: &mut Command,
    limit: Option<Duration>,
    start: impl FnOnce(&mut Command) -> io::Result<Child>,
) -> Result<Ended, Failure> {
    let ignored = ignored_signals();
    let passed_on = PASSED_ON.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // where it is ignored, as some programs leave it to their children, the system keeps no exit codes
    let signals = Signals::new(passed_on.chain([SIGCHLD])).map_err(Failure::Start)?;
    let handle = signals.handle();
    let (tell, told) = mpsc::channel();
    let to_group = limit.is_some();
    let passer = std::thread::Builder::new().name("signals".into());
    let passer = passer.spawn(move || pass_on(signals, &told, to_group)).map_err(Failure::Start)?;
    if to_group {
        command.process_group(0);
    }
    let mut child = start(command).map_err(Failure::Start)?;
    let pid = Pid::from_child(&child);
    // the thread lives until the handle is closed
    let _ = tell.send(pid);
    let (cancel, cancelled) = mpsc::channel();
    let end_in_time = |limit| std::thread::Builder::new().spawn(move || end_after(pid, limit, &cancelled));
    let timer = match limit.map(end_in_time).transpose() {
        Ok(timer) => timer,
        Err(error) => {
            child.kill().and_then(|()| child.wait()).map_err(Failure::Wait)?;
            return Err(Failure::Start(error));
        }
    };
    let ended = wait_without_collecting(pid);
    drop(cancel);
    let timed_out = timer.is_some_and(|timer| timer.join().unwrap_or_default());
    handle.close();
    let _ = passer.join();
    ended.map_err(Failure::Wait)?;
    Ok(Ended { status: child.wait().map_err(Failure::Wait)?, timed_out })
}

/// Ends a process group unless it is cancelled in time; says whether it did. The group's leader is not collected before
/// this is over, so the group is no other.
fn end_after(leader: Pid, limit: Duration, cancelled: &mpsc::Receiver<()>) -> bool {
    if cancelled.recv_timeout(limit) != Err(mpsc::RecvTimeoutError::Timeout) {
        return false;
    }
    let _ = kill_process_group(leader, Signal::TERM);
    let _ = cancelled.recv_timeout(GRACE);
    // also what the leader has left behind
    let _ = kill_process_group(leader, Signal::KILL);
    true
}

/// The exit code that a shell would give for it.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn pass_on(mut signals: Signals, told: &mpsc::Receiver<Pid>, to_group: bool) {
    // fails if the child could not be started
    let Ok(child) = told.recv() else { return };
    let send = |signal: i32| {
        if signal != SIGCHLD
            && let Some(signal) = Signal::from_named_raw(signal)
        {
            // that it has ended already is no error
            let _ = if to_group { kill_process_group(child, signal) } else { kill_process(child, signal) };
        }
    };
    // what came before it was there did not reach it otherwise; rather twice than never
    signals.pending().for_each(send);
    for signal in signals.forever() {
        let from_terminal = matches!(signal, SIGINT | SIGQUIT) && shares_foreground(child);
        if !from_terminal {
            send(signal);
        }
    }
}

/// Whether this process and the child are both in the foreground group of the terminal.
fn shares_foreground(child: Pid) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(terminal) = rustix::fs::open("/dev/tty", flags, Mode::empty()) else { return false };
    let ours = getpgrp();
    rustix::termios::tcgetpgrp(&terminal) == Ok(ours) && getpgid(Some(child)) == Ok(ours)
}

/// Waits until the child has ended and leaves it a zombie, whose id is nobody else's.
fn wait_without_collecting(child: Pid) -> io::Result<()> {
    loop {
        match waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The signals that this process ignores, as a bit set: the first bit is signal 1.
fn ignored_signals() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|text| ignored_in(&text)).unwrap_or(0)
}

fn ignored_in(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        assert_eq!(ignored_in("SigCgt:\t01\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(ignored_in("Name:\tx\n"), None);
    }

    #[test]
    fn exit_codes_are_the_shells() {
        let of = |script: &str| exit_code(Command::new("sh").args(["-c", script]).status().unwrap());
        assert_eq!(["exit 0", "exit 42", "exit 255", "kill -TERM $$", "kill -KILL $$"].map(of), [0, 42, 255, 143, 137]);
    }
}
