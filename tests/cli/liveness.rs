//! Sessions as real processes: who lives, who is dead, and who may begin and end them.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::issues::ids;
use crate::processes::{Running, end, eventually, send, sleeper};
use crate::project::{Project, issue, keys, project, project_with, repository};

/// A project in which session `s` has issue #1.
fn claimed() -> Project {
    let project = project_with(&[issue(1, "a")]);
    project.oxi("--session s issue start 1").ok();
    project
}

fn owner_alive(project: &Project) -> Value {
    project.show(1)["owner_alive"].clone()
}

// ---- session run: who lives

#[test]
fn a_session_lives_while_its_command_runs() {
    let project = claimed();
    assert_eq!(owner_alive(&project), Value::Null, "never seen");
    let running = Running::start(&project, "session run --id s -- sh -c 'echo ready $$; exec sleep 60'");
    assert_eq!(owner_alive(&project), json!(true));
    project.oxi("--session other issue start 1").exits(5);
    // the file names the command, once it runs
    let command: u32 = running.told.parse().unwrap();
    let error = eventually("the command's name", || {
        let error = project.oxi("session run --id s --json -- true").exits(5).error();
        (error["pid"] == json!(command)).then_some(error)
    });
    assert_eq!(error["session"], json!("s"));
    assert!(error["message"].as_str().unwrap().contains(&format!("process {command} on ")), "{error}");
    project.oxi("session start --id s").exits(5);
    project.oxi(&format!("session start --id s --pid {}", std::process::id())).exits(5);
    let refusal = format!("it ends when process {command}");
    project.oxi("session end s").exits(5).warns(&refusal);
    project.oxi("session end s --force").exits(5).warns(&refusal);
    project.oxi("--session s session end").exits(5).warns(&refusal);
    running.signal(Signal::TERM);
    assert_eq!(running.ends().0, 143);
    assert_eq!(owner_alive(&project), json!(false));
    project.oxi("session run --id s -- true").ok();
    project.oxi("--session other issue start 1").ok();
}

#[test]
fn a_stopped_session_is_alive() {
    let project = claimed();
    let running = Running::start(&project, "session run --id s -- sh -c 'echo ready; exec sleep 60'");
    running.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(owner_alive(&project), json!(true));
    running.signal(Signal::CONT);
    running.signal(Signal::TERM);
    assert_eq!(running.ends().0, 143);
}

#[test]
fn a_session_whose_wrapper_was_killed_lives_until_its_command_ends() {
    let project = claimed();
    let mut running = Running::start(&project, "session run --id s -- sh -c 'echo ready $$; exec sleep 60'");
    running.kill();
    assert_eq!(owner_alive(&project), json!(true));
    project.oxi("--session other issue start 1").exits(5);
    project.oxi("session run --id s -- true").exits(5);
    assert_eq!(project.json("session reap"), json!({ "locks": [], "ended": [] }));
    send(running.told.parse().unwrap(), Signal::KILL);
    eventually("its death", || (owner_alive(&project) == json!(false)).then_some(()));
    assert_eq!(project.json("session reap"), json!({ "locks": [], "ended": ["s"] }));
    project.oxi("--session other issue start 1").ok().says("it was taken by s");
}

#[test]
fn a_daemon_that_was_left_behind_keeps_no_session_alive() {
    let project = claimed();
    let run = project.oxi("session run --id s -- sh -c 'sleep 60 >/dev/null 2>&1 & echo $!'").ok();
    let daemon: u32 = run.stdout.trim().parse().unwrap();
    assert_eq!(owner_alive(&project), json!(false));
    project.oxi("session run --id s -- true").ok();
    send(daemon, Signal::KILL);
}

#[test]
fn a_lock_of_the_originals_counts_and_ours_says_no_path() {
    let project = claimed();
    let running = Running::start(&project, "session run --id s -- sh -c 'echo ready; exec sleep 60'");
    let payload: Value = serde_json::from_str(&project.read(".alive/s")).unwrap();
    let expected: &[_] = if cfg!(target_os = "linux") {
        &["session", "pid", "host", "started", "process_start", "boot_id", "pid_ns"]
    } else {
        &["session", "pid", "host", "started"]
    };
    assert_eq!(keys(&payload), expected);
    running.signal(Signal::TERM);
    running.ends();
    let payload: Value = serde_json::from_str(&project.read(".alive/s")).unwrap();
    assert_eq!(keys(&payload), ["session", "started", "ended"]);
}

#[test]
fn what_a_session_has_is_given_back_at_its_end_if_asked_for() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    let oxi = env!("CARGO_BIN_EXE_oxi-state");
    project.oxi(&format!("session run --id keeps -- {oxi} issue start 1")).ok();
    project.oxi(&format!("session run --id gives --release -- {oxi} issue start 2")).ok().prints("started issue #2\n");
    assert_eq!(project.show(1)["assigned_to"]["session"], json!("keeps"));
    assert_eq!(
        (project.show(2)["assigned_to"].clone(), project.show(2)["sessions"].clone()),
        (Value::Null, json!(["gives"]))
    );
}

#[test]
fn a_run_whose_end_cannot_be_recorded_still_answers_the_commands_exit_code() {
    let project = project();
    let run = project.oxi("session run --id s -- sh -c 'rm .oxi/state.redb; exit 42'").exits(42);
    run.prints("").warns("warning:").warns("session end s");
}

#[test]
fn a_session_of_one_work_tree_is_alive_in_the_other() {
    let main = project_with(&[issue(1, "a")]);
    let linked = main.work_tree("linked");
    main.oxi("--session s issue start 1").ok();
    let mut running = Running::start(&main, "session run --id s -- sh -c 'echo ready $$; exec sleep 60'");
    assert_eq!(owner_alive(&linked), json!(true));
    linked.oxi("session run --id s -- true").exits(5);
    running.kill();
    assert_eq!(owner_alive(&linked), json!(true), "its command runs on");
    send(running.told.parse().unwrap(), Signal::KILL);
    // a dead claim of another work tree is none
    eventually("its death", || linked.show(1)["assigned_to"].is_null().then_some(()));
    linked.oxi("--session other issue start 1").ok();
}

// ---- session start, end, reap

#[test]
fn a_session_that_registered_a_process_lives_as_long_as_it() {
    let project = claimed();
    let (process, other) = (sleeper(), sleeper());
    let start = |pid: u32| format!("session start --id s --pid {pid}");
    project.oxi(&start(process.id())).ok().prints("s\n").silent();
    assert_eq!(owner_alive(&project), json!(true));
    project.oxi(&start(process.id())).ok().prints("s\n");
    project.oxi(&start(other.id())).exits(5).warns(&format!("process {}", process.id()));
    project.oxi("session start --id s").exits(5);
    project.oxi("session run --id s -- true").exits(5);
    project.oxi("--session other issue start 1").exits(5);
    end(process);
    assert_eq!(owner_alive(&project), json!(false));
    project.oxi(&start(other.id())).ok();
    // the original's reaper takes lock files away that nobody holds; the record knows the process
    std::fs::remove_file(project.file(".alive/s")).unwrap();
    assert_eq!(owner_alive(&project), json!(true));
    end(other);
    assert_eq!(owner_alive(&project), json!(false));
}

#[test]
fn a_session_without_a_process_may_be_alive() {
    let project = project();
    let started = project.oxi("session start").ok().warns("--pid");
    assert_eq!(started.stdout.trim().len(), 26);
    let json = project.json("session start --id mine --name 'night shift'");
    assert_eq!(json["id"], json!("mine"));
    project.oxi("session start --id mine").ok().prints("mine\n");
    project.oxi("issue create a").ok();
    project.oxi("--session mine issue start 1").ok();
    assert_eq!(owner_alive(&project), Value::Null);
    project.oxi("session start --pid 1073741823").exits(3).warns("--pid $$");
    project.oxi("session start --pid 0").exits(2);
}

#[test]
fn ending_a_session() {
    let project = claimed();
    let process = sleeper();
    project.oxi(&format!("session start --id s --pid {}", process.id())).ok();
    project.oxi("session end s").exits(5).warns("--force").warns("--session s");
    project.oxi("--session other session end s").exits(5);
    project.oxi("session end").exits(2);
    let ended = project.json("--session s session end --release");
    assert_eq!(ended, json!({ "id": "s", "ended": true, "released": [1] }));
    assert_eq!(project.show(1)["assigned_to"], Value::Null);
    project.oxi("session end s").ok().prints("session s is over already\n");
    project.oxi("--session s issue start 1").ok();
    assert_eq!(owner_alive(&project), json!(false), "its process runs on, the session is over");
    project.oxi(&format!("session start --id s --pid {}", process.id())).ok();
    assert_eq!(owner_alive(&project), json!(true), "begun again");
    project.oxi("session end s --force --release").ok().prints("ended session s\nreleased issue #1\n");
    end(process);
}

#[test]
fn sessions_are_named_by_the_beginning_of_their_id() {
    let project = project();
    for id in ["abc-1", "abc-2", "xyz"] {
        project.oxi(&format!("session start --id {id}")).ok();
    }
    let error = project.oxi("session end abc --json").exits(2).error();
    assert_eq!(error["ids"], json!(["abc-1", "abc-2"]));
    project.oxi("session end x").ok().prints("ended session xyz\n");
    project.oxi("--session other session end abc-1").exits(5).warns("may be alive");
    project.oxi("--session other session end abc-1 --force").ok();
    project.oxi("session end nobody").exits(3).warns("session list");
    project.oxi("session end ../abc-1").exits(2).warns("1 to 128 bytes");
    // the original's, or one of another clone
    project.write(".alive/foreign", "{\"session\":\"foreign\"}");
    project.oxi("session start --id foreign-2").ok();
    project.oxi("session end foreign").ok().prints("ended session foreign\n");
    assert!(project.read(".alive/foreign").contains("\"ended\""));
}

#[test]
fn reaping_ends_what_died_and_removes_old_lock_files() {
    let project = project();
    let (alive, dead) = (sleeper(), sleeper());
    project.oxi(&format!("session start --id alive --pid {}", alive.id())).ok();
    project.oxi(&format!("session start --id dead --pid {}", dead.id())).ok();
    project.oxi("session start --id unknown").ok();
    end(dead);
    project.write(".alive/young", "");
    for name in ["old", "alive", "dead"] {
        let file = std::fs::File::options().create(true).append(true).open(project.file(".alive").join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3700)).unwrap();
    }
    let expected = json!({ "locks": ["dead", "old"], "ended": ["dead"] });
    // in the folder that work trees share it is young
    assert_eq!(project.json("session reap --dry-run"), expected);
    assert!(project.exists(".alive/dead") && project.exists(".alive/old"));
    project
        .oxi("session reap --dry-run")
        .ok()
        .says("would end session dead\n")
        .says("would remove the lock file of old\n");
    assert_eq!(project.json("session reap"), expected);
    assert!(!project.exists(".alive/dead") && !project.exists(".alive/old"));
    assert!(project.exists(".alive/alive") && project.exists(".alive/young"));
    project.oxi("session reap").ok().prints("nothing to do\n");
    project.oxi("session end dead").ok().prints("session dead is over already\n");
    end(alive);
}

#[test]
fn beginning_a_session_removes_old_lock_files() {
    let project = project();
    project.write(".alive/old", "");
    let file = std::fs::File::options().write(true).open(project.file(".alive/old")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3700)).unwrap();
    project.oxi("session run -- true").ok();
    assert!(!project.exists(".alive/old"));
}

// ---- bad input

#[test]
fn ids_that_could_be_paths_are_refused_with_the_rule() {
    let project = project();
    let long = "x".repeat(129);
    for id in ["a/b", "..", "../../escape", "/etc/passwd", ".hidden", "''", "a\\b", &long] {
        for line in [format!("session run --id {id} -- true"), format!("session start --id {id}")] {
            project.oxi(&line).exits(2).warns("1 to 128 bytes");
        }
    }
    let id = "x".repeat(128);
    project.oxi(&format!("session run --id {id} -- true")).ok();
    let names: Vec<_> =
        std::fs::read_dir(project.file(".alive")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [id.as_str()]);
}

#[test]
fn names_are_short_lines_without_secrets() {
    let project = project();
    project.oxi("session start --name ''").exits(2);
    project.oxi(&format!("session start --name {}", "x".repeat(121))).exits(2).warns("120 bytes");
    project.oxi("session start --name 'a\nb'").exits(2);
    let secret = format!("gh{}_{}", 'p', "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6");
    for line in [format!("session start --name {secret}"), format!("session run --name {secret} -- true")] {
        project.oxi(&line).exits(8);
    }
    project.oxi(&format!("session start --id {secret}")).exits(8);
    let database = std::fs::read(project.path(".oxi/state.redb")).unwrap();
    assert!(!database.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

#[test]
fn a_missing_issues_folder_with_issues_in_it_is_not_made_for_locks() {
    let project = project_with(&[issue(1, "a")]);
    std::fs::remove_dir_all(project.path(crate::project::ISSUES)).unwrap();
    project.oxi("session run -- true").exits(3).warns("oxi-state export");
    assert!(!project.path(crate::project::ISSUES).exists());
    let fresh = repository();
    fresh.oxi("init").ok();
    std::fs::remove_dir_all(fresh.path(crate::project::ISSUES)).unwrap();
    fresh.oxi("session run -- true").ok();
    assert_eq!(ids(&fresh.json("issue list")), [0; 0]);
}

#[test]
fn the_first_session_of_a_project_is_no_change_of_its_files() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("sync").ok();
    project.oxi("session run -- true").ok();
    assert!(project.exists(".alive"));
    project.oxi("issue list").ok().silent();
}

#[test]
fn a_session_of_the_original_that_ended_is_dead_if_it_was_seen_alive() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let project = project();
    project.oxi("issue create a").ok();
    let mut original = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let folder = project.file(".alive");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("tui-1")).unwrap();
    lock.lock().unwrap();
    let payload = format!(r#"{{"session":"tui-1","pid":{},"cwd":"/x","started":1795196605}}"#, original.id());
    std::fs::write(folder.join("tui-1"), payload).unwrap();
    project.oxi("--session tui-1 issue start 1").ok();
    project.oxi("--session s issue start 1").exits(5).warns("(alive)");
    // it ends as it does: the file is unlinked, the process goes
    std::fs::remove_file(folder.join("tui-1")).unwrap();
    drop(lock);
    original.kill().unwrap();
    original.wait().unwrap();
    project.oxi("--session s issue start 1").ok().says("it was taken by tui-1");
}
