//! Sessions of real processes: killed, stopped, with children that inherited the lock; and the original's.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::*;

const ROLE: &str = "OXI_STATE_TEST_ROLE";
const FOLDER_OF_TEST: &str = "OXI_STATE_TEST_FOLDER";

/// This very test binary is the other process; what it does there is said by the environment.
#[test]
fn other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let dir = Dir::open(std::env::var_os(FOLDER_OF_TEST).unwrap().as_ref()).unwrap();
    let held = lease(&dir, "s").unwrap();
    let mut child = None;
    if role != "alone" {
        held.share_with_children(true).unwrap();
        let mut command = Command::new("sleep");
        child =
            Some(command.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        held.share_with_children(false).unwrap();
    }
    println!("\nheld {}", child.as_ref().map_or(0, Child::id));
    if role == "ends" {
        held.end(NOON.parse().unwrap());
        // not through the test harness, whose reader is gone
        std::process::exit(0);
    }
    std::thread::sleep(Duration::from_secs(60));
    drop((held, child));
}

/// Starts it; answers it and the id of its child.
fn start(folder: &std::path::Path, role: &str) -> (Child, u32) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "liveness::tests::processes::other_process", "--nocapture"])
        .envs([(ROLE, role.as_ref()), (FOLDER_OF_TEST, folder.as_os_str())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let child = lines.find_map(|line| line.strip_prefix("held ").map(|pid| pid.parse().unwrap()));
    (process, child.expect("it took its lease"))
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

fn becomes(dir: &Dir, expected: Liveness) {
    let begun = Instant::now();
    while probe(dir, "s") != expected {
        assert!(begun.elapsed() < Duration::from_secs(10), "it stays {}", probe(dir, "s"));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_killed_holder_is_dead_at_once() {
    let (folder, dir) = issues();
    let (process, _) = start(folder.path(), "alone");
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    assert!(lease(&dir, "s").is_none());
    assert_eq!(read_payload(&folder_of(&dir), &id("s")).unwrap().process.unwrap().pid, process.id());
    kill(process);
    assert_eq!(probe(&dir, "s"), Liveness::Dead);
    assert!(lease(&dir, "s").is_some());
}

#[test]
fn a_stopped_holder_is_alive() {
    let (folder, dir) = issues();
    let (process, _) = start(folder.path(), "alone");
    signal(process.id(), Signal::STOP);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    signal(process.id(), Signal::CONT);
    kill(process);
}

#[test]
fn a_killed_holder_is_alive_until_the_last_child_that_inherited_its_lock_is_gone() {
    let (folder, dir) = issues();
    let (process, child) = start(folder.path(), "shares");
    kill(process);
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    assert!(lease(&dir, "s").is_none());
    assert_eq!(reap(&folder_of(&dir), NOON.parse().unwrap(), Duration::ZERO, false).unwrap().removed, []);
    signal(child, Signal::KILL);
    becomes(&dir, Liveness::Dead);
}

#[test]
fn a_holder_that_ended_is_dead_whatever_it_left_behind() {
    let (folder, dir) = issues();
    let (mut process, daemon) = start(folder.path(), "ends");
    assert!(process.wait().unwrap().success());
    assert!(process::of(daemon).is_some(), "it still runs, with the open file");
    assert_eq!(probe(&dir, "s"), Liveness::Dead);
    drop(lease(&dir, "s").expect("the lock is free"));
    signal(daemon, Signal::KILL);
}

#[test]
fn children_that_were_not_meant_to_inherit_nothing() {
    let (_folder, dir) = issues();
    let held = lease(&dir, "s").unwrap();
    let mut unrelated = child(60_000);
    drop(held);
    assert_eq!(probe(&dir, "s"), Liveness::Dead);
    unrelated.kill().unwrap();
    unrelated.wait().unwrap();
}

const ORIGINAL: &str = r#"
import fcntl, json, os, sys
path, what = sys.argv[1], sys.argv[2]
if what == "hold":
    file = open(path, "a+")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.truncate(0)
    json.dump({"session": "s", "pid": os.getpid(), "host": "vm", "cwd": "/home/dev", "started": 1795196605}, file)
    file.flush()
    print("held 0", flush=True)
    sys.stdin.read()
    os.unlink(path)
else:
    try:
        file = open(path, "r+")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        print("dead")
    except BlockingIOError:
        print("alive")
    except FileNotFoundError:
        print("dead")
"#;

fn original(folder: &Dir, what: &str) -> Option<Child> {
    let mut command = Command::new("python3");
    command.args(["-c", ORIGINAL]).arg(folder.path().join("s")).arg(what);
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    if started.is_err() {
        eprintln!("skipped: python3 is missing");
    }
    started.ok()
}

#[test]
fn the_originals_sessions_are_alive_to_us_and_ours_to_it() {
    let (_folder, dir) = issues();
    let alive = folder_of(&dir);
    let Some(mut holder) = original(&alive, "hold") else { return };
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held 0\n");
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    let Ok(Acquired::Taken(Some(payload))) = Lease::acquire(&alive, &id("s"), &Payload::default()) else {
        panic!("it is taken, and says by whom");
    };
    assert_eq!(payload.process.map(|process| process.pid), Some(holder.id()));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(probe(&dir, "s"), Liveness::Unknown, "it unlinks its file");

    let asks = || {
        let output = original(&alive, "probe").unwrap().wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(asks(), "dead\n");
    let held = lease(&dir, "s").unwrap();
    assert_eq!(asks(), "alive\n");
    held.end(NOON.parse().unwrap());
    assert_eq!(asks(), "dead\n");
}
