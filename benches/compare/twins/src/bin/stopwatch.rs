//! `stopwatch COMMAND ARG…`: runs a command with its output thrown away; prints its exit code, its wall time in
//! nanoseconds, its peak memory in KiB and its page faults that needed no disk. A program of its own because it is small:
//! a child's peak counts what its parent held when it was made, and Python holds more than some of the commands that are
//! measured.

use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let mut command = Command::new(arguments.next().expect("a command"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("the command can be run");
    let nanoseconds = start.elapsed().as_nanos();
    // SAFETY: the struct is plain numbers, and the call fills it
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage), 0);
        usage
    };
    println!("{} {nanoseconds} {} {}", status.code().unwrap_or(255), usage.ru_maxrss, usage.ru_minflt);
}
