//! `undo`: of anything, in order or singly; nothing newer is overwritten, and what was undone stays undone.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::issues::ids;
use crate::project::{Project, issue, project, project_with};

pub(crate) fn revision(project: &Project) -> u64 {
    project.json("log --limit 1")[0]["revision"].as_u64().unwrap()
}

// ---- singly

#[test]
fn a_single_change_is_undone_beside_newer_ones_of_other_fields() {
    let project = project();
    project.oxi("issue create a --body text").ok();
    project.oxi("issue update 1 -p high --add-label x").ok();
    project.oxi("issue update 1 --title b --body other").ok();
    project.oxi("undo 2").ok().says("undid change 2: update #1");
    let issue = project.show(1);
    assert_eq!((&issue["priority"], &issue["labels"]), (&json!("medium"), &json!([])));
    assert_eq!((&issue["title"], &issue["body"]), (&json!("b"), &json!("other\n")));
    project.oxi("undo 2").exits(4).warns("change 2 is undone already, by change 4").warns("oxi-state undo 4");
    project.oxi("undo 4").ok();
    assert_eq!(project.field(1, "priority"), "high");
    // in order: what was redone is in effect, and goes when its turn comes
    for (title, priority) in [("a", "high"), ("a", "medium")] {
        project.oxi("undo").ok();
        assert_eq!((project.field(1, "title"), project.field(1, "priority")), (title.into(), priority.into()));
    }
    project.oxi("undo").ok().says("create #1");
    project.oxi("undo").exits(3);
}

#[test]
fn a_change_that_newer_ones_touched_is_refused_and_they_are_named() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("issue update 1 --body one").ok();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue update 1 --body two").ok();
    let record = project.show(1);
    let log = project.json("log");
    let error = project.oxi("undo 2 --json").exits(4).error();
    assert_eq!(error["message"], json!("change 2 cannot be undone: issue #1 was changed again by change 4"));
    assert!(error["hint"].as_str().unwrap().contains("`oxi-state undo 4`"), "{error}");
    let error = project.oxi("undo 1 --json").exits(4).error();
    assert_eq!(error["message"], json!("change 1 cannot be undone: issue #1 was changed again by changes 4, 3 and 2"));
    assert_eq!((project.show(1), project.json("log")), (record, log), "nothing happened");
    project.oxi("issue delete 1").ok();
    project.oxi("undo 2").exits(4).warns("issue #1 is no longer there").warns("`oxi-state undo 5`");
    project.oxi("undo 5").ok();
    project.oxi("undo 4").ok();
    project.oxi("undo 2").ok();
    assert_eq!((project.field(1, "body"), project.field(1, "priority")), (String::new(), "high".into()));
}

#[test]
fn a_row_that_only_tells_of_something_leads_to_the_command() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue update 1 --title record").ok();
    project.edit("0001-a.md", "title: a", "title: file");
    project.edit("0002-b.md", "priority: medium", "priority: low");
    project.oxi("import").ok().says("not taken");
    let log = project.json("log --limit 5");
    let told = log.as_array().unwrap().iter().find(|row| row["op"] == "merge" && row["after"].is_null()).unwrap();
    let error = project.oxi(&format!("undo {} --json", told["revision"])).exits(4).error();
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("--whole"), "{hint}");
    let command = hint.split('`').nth(1).unwrap().strip_prefix("oxi-state ").unwrap();
    project.oxi(command).ok();
    assert_eq!((project.field(1, "title"), project.field(2, "priority")), ("record".into(), "medium".into()));
    project.oxi("undo --whole").exits(2);
}

#[test]
fn several_issues_are_undone_all_or_none() {
    let project = project_with(&[issue(1, "a"), issue(2, "b"), issue(3, "c")]);
    project.oxi("issue close 1 2 3").ok();
    let close = revision(&project);
    project.oxi("issue reopen 2").ok();
    let before = project.all_issues();
    project.oxi(&format!("undo {close} --whole")).exits(4).warns("issue #2 was changed again");
    assert_eq!(project.all_issues(), before);
    project.oxi("undo").ok();
    project.oxi(&format!("undo {close} --whole")).ok().warns("--whole` takes that back");
    assert_eq!(ids(&project.json("issue list --sort id")), [1, 2, 3]);
    project.oxi(&format!("undo {} --whole", revision(&project))).ok();
    assert_eq!(project.json("issue list"), json!([]));
}

// ---- imports, and what the files say then

#[test]
fn what_an_import_brought_stays_undone_and_the_next_sync_says_so_in_the_files() {
    let project = project_with(&[issue(1, "a"), issue(2, "b"), issue(3, "c"), issue(4, "d")]);
    project.oxi("issue update 3 -p high").ok();
    let before = project.all_issues();
    project.edit("0001-a.md", "three", "3");
    project.remove("0002-b.md");
    project.edit("0003-c.md", "title: c", "title: other");
    project.add(&issue(9, "new"));
    project.oxi("import").ok().says("1 created, 1 updated, 1 deleted, 1 merged");
    project.oxi("undo").ok().warns("the files are as they were").warns("(writes 3 and removes 1)");
    assert_eq!(project.all_issues(), before);
    project.oxi("import").ok().says("4 unchanged");
    assert_eq!(project.all_issues(), before, "an import does not bring back what was undone");
    let report = project.json("sync");
    assert_eq!(
        (&report["created"], &report["updated"], &report["deleted"]),
        (&json!([2]), &json!([1, 3]), &json!([9]))
    );
    assert_eq!(project.files(), ["0001-a.md", "0002-b.md", "0003-c.md", "0004-d.md"]);
    assert!(project.read("0001-a.md").contains("three") && project.read("0003-c.md").contains("title: c"));
    assert_eq!(project.all_issues(), before);
    project.oxi("status --check").ok();
    // and the other way round
    project.oxi(&format!("undo {} --whole", revision(&project))).ok();
    assert_eq!(ids(&project.json("issue list --sort id")), [1, 3, 4, 9]);
    assert_eq!(project.field(3, "title"), "other");
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0001-a.md", "0003-c.md", "0004-d.md", "0009-new.md"]);
    project.oxi("status --check").ok();
}

/// Two clones that each made #2 and #3, the second waiting for the first; merged in git, not imported yet.
fn collided() -> Project {
    let left = project_with(&[issue(1, "base")]);
    let right = left.clone_as("right");
    for (project, name) in [(&left, "left"), (&right, "right")] {
        project.oxi(&format!("issue create {name}")).ok();
        project.oxi(&format!("issue create 'after {name}' --depends-on 2")).ok();
        project.oxi("sync").ok();
        project.commit(name);
    }
    right.pull(&left);
    right
}

#[test]
fn numbers_that_an_import_changed_come_back_and_go_again() {
    let project = collided();
    let before = project.all_issues();
    project.oxi("sync").ok().says("renumbered 2 -> 4").says("renumbered 3 -> 5");
    let (after, files) = (project.all_issues(), project.files());
    project.oxi("undo").ok();
    assert_eq!(project.all_issues(), before);
    assert_eq!(project.show(3)["depends_on"], json!([2]));
    project.oxi("issue show 4").exits(3).warns("is now #2 (right)");
    project.oxi("sync").ok().says("removed").says("moved .oxi/issues/0004-right.md to .oxi/issues/0002-right.md");
    assert_eq!(project.files(), ["0001-base.md", "0002-right.md", "0003-after-right.md"]);
    assert_eq!(project.all_issues(), before);
    project.oxi("status --check").ok();
    let undo =
        project.json("log").as_array().unwrap().iter().rev().find(|row| row["op"] == "undo").unwrap()["revision"]
            .clone();
    project.oxi(&format!("undo {undo} --whole")).ok();
    assert_eq!(project.all_issues(), after);
    project.oxi("sync").ok();
    assert_eq!(project.files(), files);
    project.oxi("status --check").ok();
    // one of the moves alone would give a number to two issues
    project.oxi("undo 5").exits(4).warns("another issue is #").warns("`oxi-state undo 5 --whole`");
    project.oxi("undo 5 --whole").ok();
    assert_eq!(project.all_issues(), before);
}

/// Two issues whose files traded their numbers, and the changes that gave #1 and #2 theirs.
fn traded() -> (Project, [u64; 2]) {
    let project = project_with(&[issue(1, "a"), issue(2, "b"), issue(3, "c").with("depends_on:\n- 0001-a\n")]);
    for (from, to, id) in [("0001-a.md", "0002-a.md", 2), ("0002-b.md", "0001-b.md", 1)] {
        let text = project.read(from).replace(&format!("id: {}", 3 - id), &format!("id: {id}"));
        project.remove(from);
        project.write(to, &text);
    }
    project.oxi("import").ok();
    assert_eq!([1, 2].map(|id| project.field(id, "title")), ["b", "a"]);
    let gave = |id: u32| project.json(&format!("log --key {id} --limit 1"))[0]["revision"].as_u64().unwrap();
    let revisions = [gave(1), gave(2)];
    (project, revisions)
}

#[test]
fn half_of_a_trade_of_numbers_is_undone_with_the_other_half() {
    let (project, revisions) = traded();
    let after = project.all_issues();
    for revision in revisions {
        let undone = project.json(&format!("undo {revision}"));
        assert_eq!(undone["undone"].as_array().unwrap().len(), 3, "both, and the link to one of them: {undone}");
        assert_eq!([1, 2].map(|id| project.field(id, "title")), ["a", "b"]);
        assert_eq!(project.show(3)["depends_on"], json!([1]));
        project.oxi(&format!("undo {} --whole", self::revision(&project))).ok();
        assert_eq!(project.all_issues(), after);
    }
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn half_of_a_trade_is_refused_while_the_other_issue_is_gone() {
    let (project, revisions) = traded();
    project.oxi("issue delete 1").ok();
    let delete = revision(&project);
    let before = project.all_issues();
    for revision in revisions {
        let run = project.oxi(&format!("undo {revision}")).exits(4).warns("issue #1 is no longer there");
        run.warns(&format!("first `oxi-state undo {delete}`"));
        assert_eq!(project.all_issues(), before);
    }
    project.oxi(&format!("undo {delete}")).ok();
    project.oxi(&format!("undo {}", revisions[1])).ok();
    assert_eq!([1, 2].map(|id| project.field(id, "title")), ["a", "b"]);
}

// ---- dependencies

#[test]
fn a_dependency_does_not_come_back_over_one_the_other_way_round() {
    let project = project();
    for title in ["a", "b", "c"] {
        project.oxi(&format!("issue create {title}")).ok();
    }
    project.oxi("issue dep add 1 2").ok();
    project.oxi("issue dep remove 1 2").ok();
    let remove = revision(&project);
    project.oxi("issue dep add 2 3").ok();
    project.oxi("issue dep add 3 1").ok();
    let add = revision(&project);
    let before = (project.all_issues(), project.json("log"));
    let error = project.oxi(&format!("undo {remove} --json")).exits(4).error();
    let message = format!("change {remove} cannot be undone: #1 would wait for itself: #1 -> #2 -> #3 -> #1");
    assert_eq!(error["message"], json!(message));
    assert_eq!((project.all_issues(), project.json("log")), before, "nothing happened");
    // what the hint says first can be typed, and then it works
    let hint = error["hint"].as_str().unwrap();
    let command = hint.split('`').nth(1).unwrap();
    assert!((add - 1..=add).any(|added| command == format!("oxi-state undo {added}")), "{hint}");
    project.oxi(command.strip_prefix("oxi-state ").unwrap()).ok();
    project.oxi(&format!("undo {remove}")).ok();
    assert_eq!(project.show(1)["depends_on"], json!([2]));
}

#[test]
fn an_issue_does_not_come_back_into_the_middle_of_a_cycle() {
    let project = project();
    for title in ["a", "b", "c"] {
        project.oxi(&format!("issue create {title}")).ok();
    }
    project.oxi("issue dep add 1 2").ok();
    project.oxi("issue dep add 2 3").ok();
    project.oxi("issue delete 2").ok();
    let delete = revision(&project);
    project.oxi("issue dep add 3 1").ok();
    let run = project.oxi(&format!("undo {delete}")).exits(4).warns("#2 would wait for itself: #2 -> #3 -> #1 -> #2");
    run.warns("`oxi-state issue dep remove 3 1`, so that #3 does not wait for #1");
    project.oxi("issue dep remove 3 1").ok();
    project.oxi(&format!("undo {delete}")).ok();
    assert_eq!(project.show(2)["depends_on"], json!([3]));
}

#[test]
fn a_cycle_that_was_there_comes_back_as_it_was() {
    // which only files can make
    let one = issue(1, "a").with("depends_on:\n- 0002-b\n");
    let project = project_with(&[one, issue(2, "b").with("depends_on:\n- 0001-a\n")]);
    project.oxi("issue dep remove 1 2").ok();
    let remove = revision(&project);
    project.oxi("issue update 2 -p high").ok();
    project.oxi(&format!("undo {remove}")).ok();
    assert_eq!(project.show(1)["depends_on"], json!([2]));
}

#[test]
fn in_order_too_no_new_cycle_comes_back() {
    let project = project();
    for title in ["a", "b"] {
        project.oxi(&format!("issue create {title}")).ok();
    }
    for line in ["add 1 2", "remove 1 2", "add 2 1", "remove 2 1"] {
        project.oxi(&format!("issue dep {line}")).ok();
    }
    project.oxi("undo 4").ok();
    let undo = revision(&project);
    project.oxi("undo").exits(4).warns(&format!("first `oxi-state undo {undo}` or `oxi-state issue dep remove 1 2`"));
    project.oxi(&format!("undo {undo}")).ok();
    for _ in 0..6 {
        project.oxi("undo").ok();
    }
    project.oxi("undo").exits(3);
}

#[test]
fn a_deletion_is_undone_after_it_was_exported_and_committed() {
    let project = project_with(&[issue(1, "a").with("kind: task\n"), issue(2, "b").with("depends_on:\n- 0001-a\n")]);
    project.oxi("--session s1 issue link 1").ok();
    project.oxi("sync").ok();
    project.commit("linked");
    let (before, file) = (project.all_issues(), project.read("0001-a.md"));
    project.oxi("issue delete 1").ok();
    let delete = revision(&project);
    project.oxi("sync").ok();
    project.commit("gone");
    project.oxi(&format!("undo {delete}")).ok().warns("(writes 1)");
    assert_eq!(project.all_issues(), before, "number, session and body");
    project.oxi("sync").ok().says("wrote .oxi/issues/0001-a.md");
    assert_eq!(project.read("0001-a.md"), file);
    project.oxi("status --check").ok();
    assert_eq!(project.oxi("issue create c").ok().stdout, "3\n");
}

// ---- claims, and the other kinds

#[test]
fn other_work_trees_hear_of_what_is_undone() {
    let main = project_with(&[issue(1, "a")]);
    let linked = main.work_tree("linked");
    let taken = || linked.oxi("--session s2 issue start 1 --json").code;
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("--session s1 undo").ok();
    assert_eq!(taken(), 0, "the claim is gone");
    linked.oxi("--session s2 undo").ok();
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("--session s1 issue release 1").ok();
    main.oxi("--session s1 undo").ok().says("release #1");
    assert_eq!(taken(), 5, "it is back");
    main.oxi("--session s1 issue close 1").ok();
    linked.oxi("--session s2 issue start 1").exits(4);
    main.oxi("--session s1 undo").ok().says("close #1");
    assert_eq!(main.show(1)["assigned_to"]["session"], json!("s1"));
    assert_eq!(taken(), 5, "open again, and taken");
    main.oxi("--session s1 issue release 1").ok();
    assert_eq!(taken(), 0);
}

#[test]
fn whatever_only_noted_something_is_undone_by_its_revision() {
    let project = project();
    project.oxi("issue create a").ok();
    for (command, show, before) in [
        ("session start --id s9", "session show s9", 3),
        ("agent prime --type t", "agent list", 0),
        ("validation record unit --result passed", "validation last unit", 3),
        ("fact set theme dark", "fact get theme", 3),
        ("doc put n/x .oxi/.gitignore", "doc get n/x", 3),
    ] {
        project.oxi(command).ok();
        let row = project.json("log --limit 1")[0].clone();
        project.oxi(show).ok();
        project.oxi(&format!("undo {}", row["revision"])).ok();
        project.oxi(show).exits(before);
        project.oxi(&format!("undo {}", revision(&project))).ok();
        project.oxi(show).ok();
    }
    project.oxi("session end s9").ok();
    project.oxi("health record openai/x --ok").ok();
    project.oxi("undo").ok().says("document");
    let end = project.json("log --kind session --limit 1")[0].clone();
    assert_eq!(end["op"], json!("end"));
    project.oxi(&format!("undo {}", end["revision"])).ok();
    assert_eq!(project.json("session show s9")["ended_at"], Value::Null);
}

#[test]
fn a_run_of_the_inbox_is_undone_at_once_however_long_it_was() {
    let project = project();
    project.oxi("issue create a").ok();
    std::fs::create_dir_all(project.path(".oxi/state")).unwrap();
    let mut rows = String::new();
    for number in 0..2_200 {
        let data = json!({ "name": format!("fact{number}"), "value": number });
        writeln!(rows, "{}", json!({ "kind": "fact", "data": data })).unwrap();
    }
    std::fs::write(project.path(".oxi/state/inbox.jsonl"), rows).unwrap();
    project.oxi("inbox").ok().says("2200 rows taken");
    assert_eq!(project.json("fact list").as_array().unwrap().len(), 2_200);
    assert_eq!(project.json("undo")["undone"].as_array().unwrap().len(), 2_200);
    assert_eq!(project.json("fact list"), json!([]));
    project.oxi("undo").ok().says("create #1");
    project.oxi(&format!("undo {} --whole", revision(&project) - 1)).ok();
    assert_eq!(project.json("fact list").as_array().unwrap().len(), 2_200);
}
