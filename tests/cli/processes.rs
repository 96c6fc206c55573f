//! Real processes: runs that go on, signals, and waiting with an end.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::project::Project;

/// Gives the processes that are started here the default for signals that the tests themselves were told to ignore, as by
/// `nohup` or by a script's `&`: a shell cannot trap what was ignored when it began. A handler does that, since none
/// outlives `exec`.
pub(crate) fn unignore_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        if ignored >> (signal - 1) & 1 == 1 {
            signal_hook::flag::register(signal, std::sync::Arc::default()).unwrap();
        }
    }
}

/// Waits for something, and not forever.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A run that goes on; its command printed `ready` and then what `told` holds.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) told: String,
}

impl Running {
    /// Starts it. The command is to print `ready`, or a line that begins so.
    pub(crate) fn start(project: &Project, line: &str) -> Self {
        Self::of(project.command(line))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let told =
            line.trim_end().strip_prefix("ready").unwrap_or_else(|| panic!("it said {line:?}")).trim().to_owned();
        // the pipe stays open, and is read no more
        child.stdout = Some(reader.into_inner());
        Self { child, told }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// What it ends with, and what it printed last.
    pub(crate) fn ends(mut self) -> (i32, String) {
        let status = self.wait();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut rest).unwrap();
        (status.code().unwrap_or(-1), rest)
    }

    fn wait(&mut self) -> ExitStatus {
        eventually("the end of the run", || self.child.try_wait().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

pub(crate) fn sleeper() -> Child {
    Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

pub(crate) fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
