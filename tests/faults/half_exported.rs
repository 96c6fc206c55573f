//! An export that was killed between writing its files and noting so: what it did is nobody's edit or deletion, and does
//! not win over what comes after it.

use std::process::Stdio;
use std::time::Instant;

use crate::calls::for_each;
use crate::sandbox::{END, Sandbox, has, long, program};

const CHANGING: &str = "pwrite64,write,fsync,fdatasync,syncfs,ftruncate,renameat,renameat2,unlinkat,openat,flock";

/// Kills an export at one moment after the other, each time in a fresh copy; then runs commands, and looks.
fn killed_anywhere(project: &Sandbox, then: &[&[&str]], check: impl Fn(&Sandbox) + Sync) {
    if !has("strace") {
        return;
    }
    let step = if long() { 1 } else { 3 };
    let ended = std::sync::atomic::AtomicUsize::new(0);
    let moments: Vec<usize> = (1..150).step_by(step).collect();
    for_each(&moments, |moment| {
        if ended.load(std::sync::atomic::Ordering::Relaxed) > 2 {
            return;
        }
        let copy = project.copy();
        let inject = format!("inject={CHANGING}:signal=KILL:when={moment}");
        let run = copy.strace(&["-o", "/dev/null", "-e", &format!("trace={CHANGING}"), "-e", &inject], &["export"]);
        // that many calls it does not make
        if run.code.is_some() {
            ended.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        for args in then {
            let run = copy.run(args);
            assert_eq!(run.code, Some(0), "killed at {moment}, then {args:?}: {run:?}");
        }
        copy.ok(&["status", "--check"]);
        check(&copy);
    });
    assert!(ended.load(std::sync::atomic::Ordering::Relaxed) > 0, "no run was long enough");
}

/// An issue in step and committed.
fn exported() -> Sandbox {
    let project = Sandbox::new();
    project.ok(&["issue", "create", "first", "--body", &format!("before{END}")]);
    project.ok(&["sync"]);
    project.commit();
    project
}

fn changed() -> Sandbox {
    let project = exported();
    project.ok(&["issue", "update", "1", "--title", "Changed", "--body", &format!("what was written{END}")]);
    project
}

#[track_caller]
fn says(project: &Sandbox, title: &str) {
    assert_eq!(project.json(&["issue", "show", "1"])["title"], title);
    assert!(project.json(&["conflicts"]).as_array().unwrap().is_empty());
}

#[test]
fn a_later_change_is_kept() {
    let body = format!("what came then{END}");
    let update: &[&str] = &["issue", "update", "1", "--title", "Again", "--body", &body];
    killed_anywhere(&changed(), &[update, &["export"]], |project| says(project, "Again"));
    killed_anywhere(&changed(), &[update, &["sync"]], |project| says(project, "Again"));
}

#[test]
fn a_later_undo_is_kept() {
    killed_anywhere(&changed(), &[&["undo"], &["sync"]], |project| says(project, "first"));
}

#[test]
fn a_later_deletion_is_kept() {
    let gone = |project: &Sandbox| assert_eq!(project.run(&["issue", "show", "1"]).code, Some(3));
    killed_anywhere(&changed(), &[&["issue", "delete", "1"], &["sync"]], gone);
    // also of an issue that was never exported before
    let new = Sandbox::new();
    new.ok(&["issue", "create", "first", "--body", END]);
    killed_anywhere(&new, &[&["issue", "delete", "1"], &["sync"]], gone);
}

#[test]
fn a_later_undo_of_a_deletion_is_kept() {
    let deleted = exported();
    deleted.ok(&["issue", "delete", "1"]);
    killed_anywhere(&deleted, &[&["undo"], &["sync"]], |project| says(project, "first"));
}

#[test]
fn an_edit_by_hand_is_still_an_edit() {
    let project = changed();
    let edit: &[&str] = &["export"];
    killed_anywhere(&project, &[edit], |project| {
        project.edit(1, "priority: medium", "priority: high");
        project.ok(&["issue", "update", "1", "--add-label", "later"]);
        assert_eq!(project.run(&["export"]).code, Some(4), "it holds what was not imported");
        project.ok(&["sync"]);
        let issue = project.json(&["issue", "show", "1"]);
        assert_eq!((&issue["priority"], &issue["labels"][0]), (&"high".into(), &"later".into()));
    });
}

/// As many as take all processors, and the disk while the database is written.
const MANY: usize = 300;

#[test]
fn an_export_of_many_goes_on_whenever_it_was_killed() {
    let plan = |name: &str| -> String {
        let line =
            |number| format!("{{\"title\":\"{name} {number}\",\"body\":\"text\\n{}\"}}\n", END.replace('\n', "\\n"));
        (0..MANY / 2).map(line).collect()
    };
    let project = Sandbox::new();
    for name in ["old", "new"] {
        if name == "new" {
            project.ok(&["sync"]);
            project.commit();
            project.ok(&["issue", "update", "--where", "status=open", "-p", "high"]);
        }
        let path = project.temp.path().join("plan.jsonl");
        std::fs::write(&path, plan(name)).unwrap();
        project.ok(&["issue", "create", "--from", path.to_str().unwrap()]);
    }
    let begun = Instant::now();
    project.copy().ok(&["export"]);
    let takes = begun.elapsed();
    let kills: u32 = if long() { 400 } else { 16 };
    let moments: Vec<u32> = (0..kills).collect();
    for_each(&moments, |moment| {
        let copy = project.copy();
        let mut export =
            copy.command(&program()).arg("export").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * *moment / kills);
        export.kill().unwrap();
        export.wait().unwrap();
        copy.files_are_whole();
        copy.ok(&["export"]);
        copy.ok(&["status", "--check"]);
        let issues = copy.issues();
        assert_eq!((issues.len(), copy.files().len()), (MANY, MANY));
        assert_eq!(issues.values().filter(|issue| issue["priority"] == "high").count(), MANY / 2);
        copy.goes_on();
    });
}
