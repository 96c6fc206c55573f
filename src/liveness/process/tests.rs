use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::*;
use Liveness::{Alive, Dead, Unknown};

fn here_is(boot: Option<&str>, namespace: Option<u64>) -> Here {
    Here { boot: boot.map(Into::into), namespace, host: "here".into() }
}

fn recorded(started: Option<u64>, boot: Option<&str>, namespace: Option<u64>, host: Option<&str>) -> Process {
    Process { pid: 7, started, boot: boot.map(Into::into), namespace, host: host.map(Into::into) }
}

const SINCE: &str = "2026-06-17T12:00:00Z";

#[test]
fn the_decision_as_a_table() {
    let look =
        [Look::Gone, Look::Runs { started: None }, Look::Runs { started: Some(5) }, Look::Runs { started: Some(6) }];
    let local = here_is(Some("b1"), Some(1));
    let bare = here_is(None, None);
    // what is known of the process, where we are, and the answer for each of the looks above
    let table = [
        (recorded(Some(5), Some("b1"), Some(1), Some("here")), &local, [Dead, Unknown, Alive, Dead]),
        (recorded(Some(5), None, None, None), &local, [Dead, Unknown, Alive, Dead]),
        (recorded(Some(5), Some("b1"), Some(1), Some("renamed")), &local, [Dead, Unknown, Alive, Dead]),
        (recorded(Some(5), Some("b1"), Some(2), Some("container")), &local, [Unknown; 4]),
        (recorded(Some(5), None, Some(1), Some("there")), &local, [Unknown; 4]),
        (recorded(Some(5), Some("b2"), Some(1), Some("there")), &local, [Unknown; 4]),
        (recorded(Some(5), Some("b2"), Some(1), Some("here")), &local, [Dead; 4]),
        (recorded(Some(5), Some("b2"), Some(2), Some("here")), &local, [Dead; 4]),
        (recorded(Some(5), Some("b1"), Some(2), Some("here")), &local, [Unknown; 4]),
        (recorded(Some(5), Some("b1"), Some(1), Some("here")), &bare, [Unknown; 4]),
        (recorded(Some(5), Some("b1"), None, Some("here")), &bare, [Dead, Unknown, Alive, Dead]),
        (recorded(None, Some("b1"), Some(1), Some("here")), &local, [Dead, Unknown, Unknown, Unknown]),
        (recorded(None, None, None, None), &bare, [Dead, Unknown, Unknown, Unknown]),
    ];
    for (process, here, expected) in table {
        let answers = look.map(|look| decide(&process, None, here, look, |_| Some(SINCE.parse().unwrap())));
        assert_eq!(answers, expected, "{process:?} in {here:?}");
    }
}

#[test]
fn without_a_start_the_time_it_was_seen_decides() {
    let process = recorded(None, None, None, Some("here"));
    let state = |seen: &str, since: Option<&str>| {
        let since = since.map(|since| since.parse().unwrap());
        let look = Look::Runs { started: Some(5) };
        decide(&process, Some(seen.parse().unwrap()), &here_is(None, None), look, |_| since)
    };
    assert_eq!(state(SINCE, Some(SINCE)), Alive);
    assert_eq!(state("2026-06-17T13:00:00Z", Some(SINCE)), Alive);
    assert_eq!(state("2026-06-17T11:59:58Z", Some(SINCE)), Alive, "rounding");
    assert_eq!(state("2026-06-17T11:59:57Z", Some(SINCE)), Dead);
    assert_eq!(state(SINCE, None), Unknown);
}

#[test]
fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
    let stat = |name: &str, state: &str, threads: u32| {
        let text =
            format!("12 ({name}) {state} 1 12 12 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 {threads} 0 1165642 31 394\n");
        Stat::parse(text.as_bytes())
    };
    let runs = Some(Stat { ended: false, started: 1_165_642 });
    for name in ["cat", "a b", ") R 1 2 (", "((", "", "x)\n9 (y", "ü"] {
        assert_eq!(stat(name, "S", 1), runs, "{name:?}");
    }
    assert_eq!(stat("t", "T", 1), runs, "stopped");
    assert_eq!(stat("z", "Z", 1), Some(Stat { ended: true, started: 1_165_642 }));
    assert_eq!(stat("z", "Z", 2), runs, "only its first thread ended");
    for broken in [&b""[..], b"12 (cat", b"12 (cat) R 1", b"12 (cat) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 x 18 y"] {
        assert_eq!(Stat::parse(broken), None);
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn signal(child: &Child, signal: Signal) {
    kill_process(pid_of(child.id()).unwrap(), signal).unwrap();
}

fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where start times are known.
fn is_linux() -> bool {
    cfg!(target_os = "linux")
}

#[test]
fn a_running_child_is_alive_and_a_killed_one_is_dead_even_before_it_is_collected() {
    if !is_linux() {
        return;
    }
    let mut child = sleeper();
    let process = of(child.id()).unwrap();
    assert!(process.started.is_some() && process.boot.is_some() && process.namespace.is_some());
    assert_eq!(state(&process, None), Alive);
    child.kill().unwrap();
    eventually(|| state(&process, None) == Dead);
    assert_eq!(of(child.id()), None, "a zombie");
    child.wait().unwrap();
    assert_eq!(state(&process, None), Dead);
    assert_eq!(of(child.id()), None);
}

#[test]
fn a_stopped_process_is_alive() {
    if !is_linux() {
        return;
    }
    let child = sleeper();
    let process = of(child.id()).unwrap();
    signal(&child, Signal::STOP);
    let stat = format!("/proc/{}/stat", child.id());
    eventually(|| std::fs::read_to_string(&stat).unwrap().contains(") T "));
    assert_eq!(state(&process, None), Alive);
    signal(&child, Signal::CONT);
    end(child);
}

#[test]
fn an_id_that_was_given_again_another_boot_and_another_namespace() {
    if !is_linux() {
        return;
    }
    let child = sleeper();
    let process = of(child.id()).unwrap();
    let again = Process { started: process.started.map(|ticks| ticks - 1), ..process.clone() };
    assert_eq!(state(&again, None), Dead);
    let before = Process { boot: Some("earlier".into()), ..process.clone() };
    assert_eq!(state(&before, None), Dead);
    let container = Process { namespace: process.namespace.map(|inode| inode + 1), ..process.clone() };
    assert_eq!(state(&container, None), Unknown);
    let renamed = Process { host: Some("another-name".into()), ..process.clone() };
    assert_eq!(state(&renamed, None), Alive, "the same run of the same system");
    let elsewhere = Process { boot: Some("theirs".into()), ..renamed };
    assert_eq!(state(&elsewhere, None), Unknown);
    end(child);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test needs the time at which its child ran")]
fn an_imported_process_is_judged_by_when_it_was_seen() {
    if !is_linux() {
        return;
    }
    let child = sleeper();
    let seen = |hours: i64| Some(Timestamp::new(chrono::Utc::now() + TimeDelta::hours(hours)));
    let process = Process { pid: child.id(), started: None, boot: None, namespace: None, host: None };
    assert_eq!(state(&process, seen(0)), Alive);
    assert_eq!(state(&process, seen(1)), Alive);
    assert_eq!(state(&process, seen(-1)), Dead, "it started later than that");
    assert_eq!(state(&process, None), Unknown);
    end(child);
    assert_eq!(state(&process, seen(0)), Dead);
}

#[test]
fn impossible_ids_and_ids_of_threads_are_no_processes() {
    assert_eq!(of(0), None);
    assert_eq!(of(u32::MAX), None);
    assert_eq!(of(0x3fff_ffff), None);
    assert!(of(std::process::id()).is_some());
    assert!(of(1).is_some(), "another's");
    if is_linux() {
        let thread = std::thread::spawn(|| {
            let link = std::fs::read_link("/proc/thread-self").unwrap();
            of(link.file_name().unwrap().to_str().unwrap().parse().unwrap())
        });
        assert_eq!(thread.join().unwrap(), None);
    }
}
