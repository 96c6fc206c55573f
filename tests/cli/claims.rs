//! Who may change an issue, and which issues wait for which.

use std::fs::File;

use serde_json::{Value, json};

use crate::issues::{full_keys, ids};
use crate::project::{Project, issue, keys, project, project_with};

/// Plays a session that is alive: holds its lock until dropped.
fn living_session(project: &Project, id: &str) -> File {
    let folder = project.file(".alive");
    std::fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join(id)).unwrap();
    file.lock().unwrap();
    file
}

/// Plays a session that was alive: its lock file is there and nobody holds it.
fn dead_session(project: &Project, id: &str) {
    drop(living_session(project, id));
}

#[test]
fn start_release_close_reopen_and_link() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("--session s1 issue start 1").ok().prints("started issue #1\n");
    let started = project.show(1);
    assert_eq!(keys(&started["assigned_to"]), ["session", "acquired_at"]);
    assert_eq!((&started["assigned_to"]["session"], &started["sessions"]), (&json!("s1"), &json!(["s1"])));
    project.oxi("--session s1 issue start 1").ok().prints("issue #1 is started already\n");
    assert_eq!(project.show(1), started);
    project.oxi("--session s1 issue release 1").ok().prints("released issue #1\n");
    assert_eq!(project.show(1)["assigned_to"], Value::Null);
    project.oxi("--session s1 issue release 1").exits(5).warns("nobody has it");
    project.oxi("issue release 1").ok();
    project.oxi("--session s2 issue link 1").ok().prints("linked issue #1\n");
    assert_eq!(project.show(1)["sessions"], json!(["s1", "s2"]));
    let closed = project.json("issue close 1");
    assert_eq!((&closed["status"], &closed["closed_at"]), (&json!("closed"), &closed["updated_at"]));
    project.oxi("issue close 1").ok().prints("issue #1 is closed already\n");
    assert_eq!(project.show(1)["closed_at"], closed["closed_at"]);
    project.oxi("--session s1 issue start 1").exits(4).warns("issue reopen 1");
    let opened = project.json("issue reopen 1");
    assert_eq!((&opened["status"], &opened["closed_at"]), (&json!("open"), &Value::Null));
}

#[test]
fn a_claim_of_a_living_session_stops_everybody_else() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("--session s1 issue start 1").ok();
    let alive = living_session(&project, "s1");
    assert_eq!(project.show(1)["owner_alive"], json!(true));
    for line in [
        "--session s2 issue start 1",
        "--session s2 issue update 1 -p high",
        "--session s2 issue close 1",
        "--session s2 issue release 1",
        "--session s2 issue delete 1",
        "issue update 1 -p high",
        "issue close 1",
        "issue release 1",
        "issue delete 1",
    ] {
        let error = project.oxi(&format!("{line} --json")).exits(5).error();
        assert_eq!((&error["code"], &error["owner"]), (&json!("claimed"), &json!("s1")), "{line}");
        assert!(error["hint"].is_string(), "{line}");
    }
    project.oxi("--session s1 issue update 1 -p high").ok();
    project.oxi("--session s2 issue start 1 --force").ok().prints("started issue #1 (it was taken by s1)\n");
    assert_eq!(project.show(1)["assigned_to"]["session"], json!("s2"));
    drop(alive);
}

#[test]
fn nobody_undoes_what_a_living_session_did_to_its_issue() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("--session s1 issue start 1").ok();
    let alive = living_session(&project, "s1");
    project.oxi("--session s1 issue update 1 -p high").ok();
    project.oxi("undo").exits(5).warns("taken by session s1");
    project.oxi("--session s2 undo 2").exits(5);
    project.oxi("--session s1 undo").ok();
    project.oxi("undo 2 --force").ok().says("undid change 2: start #1");
    assert_eq!(project.show(1)["assigned_to"], Value::Null);
    drop(alive);
}

#[test]
fn a_claim_of_a_dead_session_stops_nobody() {
    let project = project();
    for title in ["a", "b", "c"] {
        project.oxi(&format!("issue create {title}")).ok();
    }
    project.oxi("--session s1 issue start 1 2 3").ok();
    dead_session(&project, "s1");
    assert_eq!(project.show(1)["owner_alive"], json!(false));
    assert_eq!(project.json("issue next")["id"], json!(1));
    project.oxi("--session s2 issue next --start").ok().warns("it was taken by session s1, which is dead");
    project.oxi("--session s1 issue start 1 --force").ok();
    project.oxi("--session s2 issue start 1").ok().says("it was taken by s1");
    project.oxi("--session s2 issue update 2 -p high").ok();
    project.oxi("issue close 3").ok();
    assert!(project.file(".alive/s1").exists(), "lock files are never unlinked");
}

#[test]
fn a_claim_of_a_session_never_seen_here_stops_sessions_but_no_person() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("--session elsewhere issue start 1").ok();
    assert_eq!(project.show(1)["owner_alive"], Value::Null);
    project.oxi("--session s2 issue start 1").exits(5).warns("unknown");
    assert_eq!(ids(&project.json("issue list --claimed")), [1]);
    project.oxi("issue release 1").ok();
    let old = "assigned_to:\n  session: gone\n  acquired_at: 2026-01-02T00:00:00Z\n";
    project.add(&issue(2, "old").with(old));
    project.oxi("import").ok();
    assert_eq!(project.show(2)["owner_alive"], json!(false));
    project.oxi("--session s2 issue start 2").ok();
}

#[test]
fn a_session_name_that_could_be_a_path_is_refused() {
    let project = project();
    project.oxi("issue create a").ok();
    for name in ["../../escape", "/etc/passwd", "a/b", "..", "''"] {
        let run = project.oxi(&format!("issue start 1 --session {name}"));
        assert_eq!(run.code, 2, "{name}: {run:?}");
    }
    assert_eq!(project.show(1)["assigned_to"], Value::Null);
}

#[test]
fn several_issues_are_all_or_nothing() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue close 1 99").exits(3);
    assert_eq!(project.field(1, "status"), "open");
    let closed = project.json("issue close 1 2");
    assert_eq!(ids(&closed), [1, 2]);
    assert_eq!(keys(&closed[0]), full_keys());
    project.oxi("issue reopen 1 2 --expect 0123456789abcdef").exits(2);
    project.oxi("issue reopen 1 2").ok().prints("reopened issue #1\nreopened issue #2\n");
    project.oxi("issue delete 1 99").exits(3);
    assert_eq!(project.field(1, "status"), "open");
}

// ---- dependencies

#[test]
fn dependencies_are_added_removed_and_drawn() {
    let project = project_with(&[issue(1, "a"), issue(2, "b"), issue(3, "c")]);
    project.oxi("issue dep add 1 2").ok().prints("#1 now waits for #2\n");
    project.oxi("issue dep add 1 2").ok().prints("#1 waits for #2 already\n");
    let added = project.json("issue dep add 2 3");
    assert_eq!((keys(&added), &added["blocked_by"]), (full_keys(), &json!([3])));
    let refused = project.oxi("issue dep add 3 1 --json").exits(2).error();
    assert!(refused["message"].as_str().unwrap().contains("#1 -> #2 -> #3"), "{refused}");
    project.oxi("issue dep add 1 1").exits(2);
    project.oxi("issue dep add 1 99").exits(3);
    project.oxi("issue dep tree 1").ok().prints("#1 [open] a\n└─ #2 [open] b\n   └─ #3 [open] c\n");
    let tree = project.json("issue dep tree 1");
    assert_eq!(keys(&tree), ["id", "title", "status", "repeated", "depends_on"]);
    assert_eq!(tree["depends_on"][0]["depends_on"][0]["id"], json!(3));
    project.oxi("issue close 3").ok();
    assert_eq!(project.show(2)["blocked_by"], json!([]));
    project.oxi("issue dep remove 1 2").ok().prints("#1 no longer waits for #2\n");
    project.oxi("issue dep remove 1 2").ok().prints("#1 does not wait for #2\n");
    project.oxi("export").ok();
    assert!(project.read("0002-b.md").contains("depends_on:\n- 0003-c\n---\n"), "{}", project.read("0002-b.md"));
    assert!(!project.read("0001-a.md").contains("depends_on"));
}

#[test]
fn a_dependency_may_be_a_bare_number_by_hand() {
    let project = project_with(&[issue(1, "a"), issue(2, "b").with("depends_on:\n- 1\n")]);
    assert_eq!(project.show(2)["depends_on"], json!([1]));
    assert_eq!(ids(&project.json("issue list --blocked")), [2]);
    // the next export writes it as a link that still says which issue it means after a number collision
    project.oxi("sync").ok();
    assert!(
        project.read("0002-b.md").contains("depends_on: [0001-a]\n")
            || project.read("0002-b.md").contains("depends_on:\n- 0001-a\n")
    );
    project.oxi("status --check").ok();
}

#[test]
fn a_claim_of_a_living_session_covers_dependencies() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("--session s1 issue start 1").ok();
    let _alive = living_session(&project, "s1");
    project.oxi("--session s2 issue dep add 1 2").exits(5);
    project.oxi("--session s1 issue dep add 1 2").ok();
}
