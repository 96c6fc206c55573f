//! `undo` of what ended a conflict, and of what happened to the issue then.

use serde_json::json;

use crate::project::{Project, issue, project_with};
use crate::undo::revision;

/// An issue in conflict: record and file changed the third line, and the file the last one, too.
fn conflict() -> Project {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue update 1 --body 'one\ntwo\nRECORD\nfour\nfive'").ok();
    project.edit("0001-a.md", "three", "FILE");
    project.edit("0001-a.md", "five", "FIVE");
    project.oxi("import").exits(4);
    project
}

#[test]
fn the_end_of_a_conflict_is_undone_with_the_conflict() {
    let project = conflict();
    let (record, sides, file) = (project.show(1), project.json("conflicts"), project.read("0001-a.md"));
    project.oxi("resolve 1 --theirs").ok();
    project.oxi("undo").ok().says("resolve #1").warns("issue #1 is in conflict again").warns("oxi-state resolve 1");
    assert_eq!(project.show(1), record);
    assert_eq!(project.json("conflicts"), sides);
    project.oxi("status --check").exits(4);
    project.oxi("sync").exits(4);
    assert_eq!(project.read("0001-a.md"), file, "an issue in conflict is not exported");
    project.oxi("resolve 1 --ours").ok();
    project.oxi("sync").ok();
    assert_eq!(project.field(1, "body"), "one\ntwo\nRECORD\nfour\nFIVE\n");
    project.oxi("status --check").ok();
}

#[test]
fn a_deleted_issue_comes_back_with_its_conflict() {
    for by_number in [false, true] {
        let project = conflict();
        let (record, sides, file) = (project.show(1), project.json("conflicts"), project.read("0001-a.md"));
        project.oxi("issue delete 1 2").ok();
        let named = revision(&project) - 1;
        assert_ne!(project.json("conflicts"), sides);
        project.oxi(&if by_number { format!("undo {named}") } else { "undo".into() }).ok().warns("in conflict again");
        assert_eq!(project.show(1), record);
        assert_eq!(project.json("conflicts"), sides);
        project.oxi("sync").exits(4);
        assert_eq!(project.read("0001-a.md"), file);
        project.oxi("resolve 1 --ours").ok();
        project.oxi("sync").ok();
        assert_eq!(project.field(1, "body"), "one\ntwo\nRECORD\nfour\nFIVE\n");
        project.oxi("status --check").ok();
    }
}

#[test]
fn the_end_of_a_conflict_is_undone_after_it_was_exported() {
    for again in ["--ours", "--theirs", "--union"] {
        let project = conflict();
        let (record, sides) = (project.show(1), project.json("conflicts"));
        project.oxi("resolve 1 --ours").ok();
        project.oxi("sync").ok();
        project.commit("resolved");
        let file = project.read("0001-a.md");
        project.oxi("undo").ok().warns("in conflict again");
        assert_eq!(project.show(1), record);
        assert_eq!(project.json("conflicts"), sides, "both sides, as they were");
        project.oxi("status --check").exits(4);
        // what the file says by now is no news, even if it is looked at
        project.write("0001-a.md", &file);
        project.oxi("sync").exits(4);
        project.oxi("sync").exits(4);
        assert_eq!(project.read("0001-a.md"), file);
        project.oxi(&format!("resolve 1 {again}")).ok();
        project.oxi("sync").ok();
        let body = project.field(1, "body");
        assert!(body.ends_with("four\nFIVE\n"), "what did not overlap is merged: {body}");
        assert_eq!((body.contains("RECORD"), body.contains("FILE")), (again != "--theirs", again != "--ours"));
        assert!(project.read("0001-a.md").ends_with(&body));
        project.oxi("status --check").ok();
    }
}

#[test]
fn a_file_that_was_edited_after_a_conflict_came_back_is_merged_with_what_both_came_from() {
    let project = conflict();
    project.oxi("resolve 1 --theirs").ok();
    project.oxi("sync").ok();
    project.oxi("undo").ok();
    project.edit("0001-a.md", "one", "ONE");
    project.oxi("sync").exits(4).says("in conflict");
    project.oxi("sync").exits(4);
    let conflicts = project.json("conflicts");
    let theirs = conflicts[0]["theirs"].as_str().unwrap();
    assert!(theirs.ends_with("ONE\ntwo\nFILE\nfour\nFIVE\n"), "{theirs}");
    project.oxi("resolve 1 --ours").ok();
    project.oxi("sync").ok();
    assert_eq!(project.field(1, "body"), "ONE\ntwo\nRECORD\nfour\nFIVE\n");
}

#[test]
fn undoing_the_undo_of_a_resolution_ends_the_conflict_again() {
    for exported in [false, true] {
        let project = conflict();
        project.oxi("resolve 1 --union").ok();
        if exported {
            project.oxi("sync").ok();
        }
        let resolved = project.show(1);
        project.oxi("undo").ok();
        let undo = revision(&project);
        project.oxi(&format!("undo {undo}")).ok().says("undo #1");
        assert_eq!(project.show(1), resolved);
        assert_eq!(project.json("conflicts"), json!([]));
        project.oxi(&format!("undo {undo}")).exits(4).warns("is undone already, by change");
        // the resolution is in effect again, and undone when its turn comes
        project.oxi("undo").ok().says("resolve #1").warns("in conflict again");
        project.oxi(&format!("undo {}", revision(&project))).ok();
        assert_eq!(project.show(1), resolved);
        project.oxi("sync").ok();
        project.oxi("status --check").ok();
        assert!(project.read("0001-a.md").contains("RECORD\nFILE\n"));
    }
}

#[test]
fn a_resolution_is_not_undone_over_something_newer() {
    let project = conflict();
    project.oxi("resolve 1 --theirs").ok();
    let resolve = revision(&project);
    project.oxi("issue update 1 -p high").ok();
    let newer = revision(&project);
    let error = project.oxi(&format!("undo {resolve} --json")).exits(4).error();
    assert!(error["message"].as_str().unwrap().contains(&format!("changed again by change {newer}")), "{error}");
    project.oxi("undo").ok();
    project.oxi("undo").ok().warns("in conflict again");
}
