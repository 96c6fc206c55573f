//! Two issues under one number, one path, or one name: what clones do about it.

use serde_json::{Value, json};

use crate::project::{Project, issue, number, project_with};

/// Two clones that each made an issue #3 since they parted; the left one's is the earlier.
fn parted() -> (Project, Project) {
    let left = project_with(&[issue(1, "first"), issue(2, "second")]);
    let right = left.clone_as("right");
    left.oxi("issue create 'left thing' --depends-on 1").ok().prints("3\n");
    right.oxi("issue create 'right thing' -b 'on the right'").ok().prints("3\n");
    right.oxi("issue create 'right waits' --depends-on 3").ok().prints("4\n");
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("work");
    }
    (left, right)
}

/// What everybody must agree on in the end.
#[track_caller]
fn assert_numbers(project: &Project) {
    assert_eq!(
        project.files(),
        ["0001-first.md", "0002-second.md", "0003-left-thing.md", "0004-right-waits.md", "0005-right-thing.md"]
    );
    assert_eq!(project.field(3, "title"), "left thing");
    assert_eq!(project.field(5, "title"), "right thing");
    assert_eq!(project.show(4)["depends_on"], json!([5]));
    assert!(project.read("0004-right-waits.md").contains("- 0005-right-thing\n"));
    assert!(project.read("0005-right-thing.md").contains("id: 5\n"));
    project.oxi("status --check").ok();
}

/// All that two clones must agree on: records and files.
fn holdings(project: &Project) -> (Vec<Value>, Vec<(String, String)>) {
    let files = project.files().into_iter().map(|name| (name.clone(), project.read(&name))).collect();
    (project.all_issues(), files)
}

#[test]
fn two_clones_that_made_one_number_agree_when_the_left_merges() {
    let (left, right) = parted();
    let stamp = right.field(3, "updated_at");
    left.pull(&right);
    let report = left.oxi("sync --json").ok().json();
    assert_eq!(report["renumbered"], json!([{"from": 3, "to": 5}]));
    assert_numbers(&left);
    assert_eq!(left.field(5, "updated_at"), stamp, "renumbering is no edit");
    left.commit("merged");
    right.pull(&left);
    right.oxi("sync").ok();
    assert_numbers(&right);
    assert_eq!(holdings(&left), holdings(&right));
    assert_eq!(right.git("status --porcelain"), "");
}

#[test]
fn two_clones_that_made_one_number_agree_when_the_right_merges() {
    let (left, right) = parted();
    right.pull(&left);
    let report = right.oxi("sync --json").ok().json();
    assert_eq!(report["renumbered"], json!([{"from": 3, "to": 5}]));
    assert_numbers(&right);
    right.commit("merged");
    left.pull(&right);
    left.oxi("sync").ok();
    assert_numbers(&left);
    assert_eq!(holdings(&left), holdings(&right));
}

#[test]
fn two_clones_that_both_merge_and_sync_agree() {
    let (left, right) = parted();
    let point = right.clone_as("point");
    left.pull(&right);
    left.oxi("sync").ok();
    left.commit("merged left");
    right.pull(&{
        point.git("pull -q --no-rebase --no-edit origin main");
        left.clone_as("other")
    });
    right.oxi("sync").ok();
    assert_eq!(holdings(&left), holdings(&right));
    assert_numbers(&right);
}

#[test]
fn clones_that_sync_apart_before_they_meet_agree() {
    let (left, right) = parted();
    // each has the other's commit only, merges it and syncs; then they meet
    let (left_before, right_before) = (left.clone_as("left-before"), right.clone_as("right-before"));
    left.pull(&right_before);
    left.oxi("sync").ok();
    left.commit("left merged");
    right.pull(&left_before);
    right.oxi("sync").ok();
    right.commit("right merged");
    left.pull(&right);
    left.oxi("sync").ok();
    left.commit("left met");
    right.pull(&left);
    right.oxi("sync").ok();
    assert_eq!(holdings(&left), holdings(&right));
    assert_numbers(&left);
}

#[test]
fn the_old_number_says_where_the_issue_went() {
    let (left, right) = parted();
    right.pull(&left);
    // the import moves the file too
    right.oxi("import").ok().says("renumbered 3 -> 5");
    assert!(right.exists("0005-right-thing.md") && !right.exists("0003-right-thing.md"));
    right.oxi("issue show 3").ok().says("left thing").warns("the issue that was #3 is now #5 (right thing)");
    right.oxi("issue delete 3").ok();
    let error = right.oxi("issue show 3 --json").exits(3).error();
    assert!(error["hint"].as_str().unwrap().contains("#5"), "{error}");
}

#[test]
fn a_dependency_follows_also_where_the_files_never_were_in_step() {
    let (left, right) = parted();
    left.pull(&right);
    // a third clone sees the merge before anybody synced it
    left.commit("merged, not synced");
    let third = left.clone_as("third");
    third.oxi("status --check").exits(4);
    third.oxi("sync").ok();
    assert_numbers(&third);
}

#[test]
fn a_new_issue_gets_a_number_above_all() {
    let (left, right) = parted();
    left.pull(&right);
    left.oxi("sync").ok();
    left.oxi("issue create after").ok().prints("6\n");
}

#[test]
fn two_issues_that_meet_on_one_path_are_both_kept() {
    let left = project_with(&[issue(1, "first")]);
    let right = left.clone_as("right");
    for (clone, body) in [(&left, "from the left"), (&right, "from the right")] {
        clone.oxi(&format!("issue create 'same title' -b '{body}'")).ok().prints("2\n");
        clone.oxi("sync").ok();
        clone.commit("work");
    }
    // git cannot merge two files that were added under one name
    let merge = left.try_git(&format!("pull -q --no-rebase --no-edit {} main", right.root.display()));
    assert!(!merge.status.success());
    left.git("checkout -q --theirs .oxi/issues/0002-same-title.md");
    left.oxi("sync").ok();
    let mut bodies: Vec<String> = left.all_issues().iter().map(|issue| issue["body"].to_string()).collect();
    bodies.sort();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    assert!(bodies[0].contains("from the left") && bodies[1].contains("from the right"), "{bodies:?}");
    assert_eq!(left.files().len(), 3);
    left.oxi("status --check").ok();
    left.commit("merged");
    right.pull(&left);
    right.oxi("sync").ok();
    assert_eq!(holdings(&left), holdings(&right));
}

#[test]
fn a_file_that_replaces_another_issues_file_does_not_end_that_issue() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    // a branch deleted #2 and made another issue of that number and title
    project.add(&issue(2, "second").created("2026-05-05T05:05:05Z").body("another\n"));
    project.oxi("sync").ok();
    let issues = project.all_issues();
    let bodies: Vec<_> = issues.iter().map(|issue| (number(&issue["id"]), issue["body"].as_str().unwrap())).collect();
    let five = "one\ntwo\nthree\nfour\nfive\n";
    assert_eq!(bodies, [(1, five), (2, five), (3, "another\n")]);
    assert_eq!(project.files(), ["0001-first.md", "0002-second.md", "0003-second.md"]);
    project.oxi("status --check").ok();
}

#[test]
fn a_file_copied_under_another_name_is_another_issue() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.write("0003-copy.md", issue(1, "first").text().replace("id: 1", "id: 3"));
    project.oxi("sync").ok();
    assert_eq!(project.all_issues().len(), 3);
    assert_eq!(project.field(3, "path"), ".oxi/issues/0003-copy.md");
    project.oxi("issue update 3 -p high").ok();
    assert_eq!(project.field(1, "priority"), "medium");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn a_file_copied_under_another_number_and_edited_is_a_conflict() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let copy = issue(1, "first").text().replace("id: 1", "id: 3").replace("three", "3");
    project.write("0003-first.md", &copy);
    let files = project.snapshot();
    let report = project.oxi("import --json").exits(4).json();
    assert_eq!((&report["conflicts"], &report["bad"]), (&json!([1]), &json!([])));
    assert_eq!(project.all_issues().len(), 2, "never two records of one identity");
    project.oxi("sync").exits(4);
    assert_eq!(project.snapshot(), files, "neither file is touched");
    let conflicts = project.json("conflicts");
    assert_eq!((&conflicts[0]["id"], &conflicts[0]["path"]), (&json!(1), &json!(".oxi/issues/0003-first.md")));
    assert_eq!(conflicts[0]["theirs"], json!(copy));
}

#[test]
fn a_conflict_that_comes_with_a_new_number_is_noted_once() {
    let project = project_with(&[issue(100, "first")]);
    project.commit("before");
    let one = issue(100, "first").text();
    project.write("0036-first.md", one.replace("id: 100", "id: 36").replace("three", "3"));
    project.write("0100-first.md", one.replace("three", "III"));
    project.oxi("sync").exits(4).says("renumbered 100 -> 36");
    let log = project.json("log");
    project.oxi("sync").exits(4);
    assert_eq!(project.json("log"), log);
    assert_eq!(project.json("conflicts")[0]["id"], json!(36));
}

#[test]
fn a_conflict_of_two_files_ends_when_the_second_is_gone() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.write("0003-first.md", issue(1, "first").text().replace("id: 1", "id: 3").replace("three", "3"));
    project.oxi("sync").exits(4);
    std::fs::remove_file(project.path(".oxi/issues/0003-first.md")).unwrap();
    project.oxi("import").ok();
    project.oxi("status --check").ok();
    assert_eq!(project.json("conflicts"), json!([]));
    project.oxi("log --json").ok().says("0003-first.md").says("\\n3\\n");
    let log = project.json("log");
    project.oxi("sync").ok();
    assert_eq!(project.json("log"), log);
}

#[test]
fn of_two_files_of_one_issue_resolve_keeps_one() {
    for (choice, third) in [("--ours", "three"), ("--theirs", "3")] {
        let project = project_with(&[issue(1, "first"), issue(2, "second")]);
        project.write("0003-first.md", issue(1, "first").text().replace("id: 1", "id: 3").replace("three", "3"));
        project.oxi("import").exits(4);
        project.oxi(&format!("resolve 1 {choice}")).ok();
        project.oxi("sync").ok();
        assert_eq!(project.files(), ["0001-first.md", "0002-second.md"], "{choice}");
        assert_eq!(project.field(1, "body"), format!("one\ntwo\n{third}\nfour\nfive\n"));
        project.oxi("status --check").ok();
        assert!(project.oxi("log --json").ok().stdout.contains(if third == "3" { "three" } else { "\\n3\\n" }));
    }
}

#[test]
fn an_equal_copy_under_another_number_goes() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.write("0003-first.md", issue(1, "first").text().replace("id: 1", "id: 3"));
    project.oxi("sync").ok().says("0003-first.md");
    assert_eq!(project.files(), ["0001-first.md", "0002-second.md"]);
    assert_eq!(project.all_issues().len(), 2);
    project.oxi("status --check").ok();
}

#[test]
fn a_number_far_above_the_rest_does_not_end_creation() {
    let project = project_with(&[issue(1, "first")]);
    project.add(&issue(4_294_967_295, "far"));
    let report = project.oxi("import --json").exits(7).json();
    assert_eq!(report["bad"][0]["path"], json!(".oxi/issues/4294967295-far.md"));
    project.oxi("issue create next").ok().prints("2\n");
    project.add(&issue(100_000, "high-but-fine"));
    project.oxi("import").exits(7);
    project.oxi("issue create next").ok().prints("100001\n");
}

#[test]
fn an_edit_follows_the_issue_to_its_new_number() {
    let (left, right) = parted();
    left.pull(&right);
    left.oxi("sync").ok();
    left.commit("merged");
    right.oxi("issue update 3 -p high --append 'edited under the old number'").ok();
    right.oxi("sync").ok();
    right.commit("edit");
    right.pull(&left);
    right.oxi("sync").ok();
    assert_numbers(&right);
    assert_eq!(right.field(5, "priority"), "high");
    assert!(right.field(5, "body").contains("edited under the old number"));
    right.commit("met");
    left.pull(&right);
    left.oxi("sync").ok();
    assert_eq!(holdings(&left), holdings(&right));
}

#[test]
fn an_edit_not_yet_exported_follows_the_issue_too() {
    let (left, right) = parted();
    left.pull(&right);
    left.oxi("sync").ok();
    left.commit("merged");
    right.oxi("issue update 3 -p high --append 'not exported'").ok();
    right.pull(&left);
    right.oxi("sync").ok();
    assert_numbers(&right);
    assert_eq!(right.field(5, "priority"), "high");
    assert!(right.read("0005-right-thing.md").contains("not exported"));
}

#[test]
fn clones_that_push_unsynced_merges_recover_the_file_that_both_removed() {
    let (left, right) = parted();
    let (left_before, right_before) = (left.clone_as("left-before"), right.clone_as("right-before"));
    // both merge and sync, but commit different halves of the renumbering
    left.pull(&right_before);
    left.oxi("sync").ok();
    left.git("add -A");
    left.git("rm -q --cached .oxi/issues/0005-right-thing.md");
    left.git("commit -q -m half");
    right.pull(&left_before);
    right.oxi("sync").ok();
    right.commit("whole");
    left.git("add -A");
    left.git("commit -q -m rest");
    right.pull(&left);
    right.oxi("sync").ok();
    assert_numbers(&right);
}

#[test]
fn a_file_renumbered_by_hand_renumbers_the_record() {
    let project = project_with(&[issue(1, "first"), issue(2, "second").with("depends_on:\n- 0001-first\n")]);
    project.remove("0001-first.md");
    project.write("0010-first.md", issue(1, "first").text().replace("id: 1", "id: 10"));
    let report = project.oxi("sync --json").ok().json();
    assert_eq!(report["renumbered"], json!([{"from": 1, "to": 10}]));
    assert_eq!(project.field(10, "title"), "first");
    assert_eq!(project.show(2)["depends_on"], json!([10]));
    assert_eq!(project.files(), ["0002-second.md", "0010-first.md"]);
    assert!(project.read("0002-second.md").contains("- 0010-first\n"));
    project.oxi("status --check").ok();
}

#[test]
fn an_undo_of_a_renumbering_restores_all_records() {
    let (left, right) = parted();
    right.pull(&left);
    let before = right.all_issues();
    right.oxi("import").ok();
    assert_eq!(right.field(5, "title"), "right thing");
    // the import created #3, moved #3 to #5 and rewrote the link to it
    right.oxi("undo").ok();
    assert_eq!(right.all_issues(), before);
    assert_eq!(right.field(3, "title"), "right thing");
}

/// Two clones that each made a #1 called "Gamma"; the right one, whose issue is the later, has a second commit that edits
/// it, and rebases.
fn rebased_onto_a_twin(left_edit: &str) -> (Project, Project) {
    let left = project_with(&[]);
    let right = left.clone_as("right");
    right.oxi("hooks install").ok();
    left.oxi("issue create Gamma -b 'one\ntwo\nthree'").ok();
    right.oxi("issue create Gamma -b 'one\ntwo\nthree'").ok();
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("create");
    }
    right.edit("0001-gamma.md", "three", "three, on the right");
    right.oxi("sync").ok();
    right.commit("edit");
    right.git(&format!("fetch -q {} main", left.root.display()));
    assert!(!right.try_git("rebase -q FETCH_HEAD").status.success(), "two issues meet on one path");
    right.oxi("sync").ok();
    assert_eq!(right.files(), ["0001-gamma.md", "0002-gamma.md"]);
    if !left_edit.is_empty() {
        right.edit("0002-gamma.md", "three", left_edit);
        right.oxi("sync").ok();
    }
    right.git("add -A .oxi");
    assert!(!right.try_git("-c core.editor=true rebase --continue").status.success(), "the edit meets the twin");
    (left, right)
}

#[test]
fn an_edit_that_a_rebase_brings_to_the_path_of_a_twin_goes_to_its_own_issue() {
    let (left, right) = rebased_onto_a_twin("");
    right.oxi("sync").ok().says("#2 merged: Gamma");
    assert!(right.read("0002-gamma.md").contains("three, on the right"));
    assert_eq!(right.read("0001-gamma.md"), left.read("0001-gamma.md"));
    right.git("add -A .oxi");
    right.git("-c core.editor=true rebase --continue");
    right.oxi("status --check").ok();
    left.pull(&right);
    left.oxi("sync").ok();
    assert_eq!(holdings(&left), holdings(&right));
}

#[test]
fn such_an_edit_that_overlaps_is_a_conflict_that_can_be_resolved() {
    let (_, right) = rebased_onto_a_twin("three, edited meanwhile");
    right.oxi("sync").exits(4);
    // looking again does not end it, nor lose what git no longer has
    right.git("add -A .oxi");
    let path = right.root.join(".oxi/issues/0002-gamma.md");
    std::fs::write(&path, std::fs::read(&path).unwrap()).unwrap();
    right.oxi("sync").exits(4);
    let conflicts = right.oxi("conflicts --json").ok().json();
    assert_eq!(conflicts[0]["path"], ".oxi/issues/0002-gamma.md");
    assert!(conflicts[0]["theirs"].as_str().unwrap().contains("three, on the right"), "{conflicts}");
    right.oxi("resolve 2 --union").ok();
    right.oxi("sync").ok();
    right.oxi("status --check").ok();
    let text = right.read("0002-gamma.md");
    assert!(text.contains("three, edited meanwhile\nthree, on the right\n"), "{text}");
    assert!(!right.read("0001-gamma.md").contains("right"));
}

#[test]
fn of_two_files_of_one_issue_the_one_that_git_kept_of_before_goes() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("sync").ok();
    // a teammate's merge gave it another number and somebody edited it there; an earlier issue has its old number
    let moved = project.read("0001-first.md").replace("id: 1", "id: 2").replace("title: first", "title: renamed");
    project.write("0002-first.md", moved);
    project.add(&issue(1, "earlier").created("2025-01-01T00:00:00Z"));
    project.oxi("sync").ok().says("#2 is also in .oxi/issues/0001-first.md, as it was before; that file goes");
    assert_eq!(project.files(), ["0001-earlier.md", "0002-first.md"]);
    assert_eq!(project.field(2, "title"), "renamed");
    project.oxi("status --check").ok();
}

#[test]
fn of_two_files_that_were_both_edited_none_is_lost_and_the_conflict_ends() {
    let project = project_with(&[issue(1, "first").body("one\n")]);
    project.oxi("sync").ok();
    let moved = project.read("0001-first.md").replace("id: 1", "id: 2").replace("one", "one of theirs");
    project.write("0002-first.md", moved);
    project.edit("0001-first.md", "one", "one of ours");
    project.add(&issue(1, "earlier").created("2025-01-01T00:00:00Z"));
    project.oxi("sync").exits(4);
    for _ in 0..3 {
        let conflicts = project.json("conflicts");
        if conflicts == json!([]) {
            break;
        }
        project.oxi("resolve 2 --union").ok();
        project.oxi("sync");
    }
    project.oxi("status --check").ok();
    assert_eq!(project.files(), ["0001-earlier.md", "0002-first.md"]);
    let text = project.read("0002-first.md");
    assert!(text.contains("one of ours") && text.contains("one of theirs"), "{text}");
}

#[test]
fn an_edit_under_the_old_number_and_one_under_the_new_both_go_in() {
    let left = project_with(&[issue(1, "first").body("first line\n")]);
    let right = left.clone_as("right");
    // on the right another issue comes to have number 1
    right.add(&issue(1, "earlier").created("2025-01-01T00:00:00Z"));
    right.oxi("sync").ok();
    right.oxi("issue update 2 --add-label right --append 'of the right' --title 'quite another title'").ok();
    right.oxi("sync").ok();
    right.commit("right");
    left.oxi("issue update 1 --add-label left --append 'of the left'").ok();
    left.oxi("handoff add of-the-left --issue 1").ok();
    left.oxi("sync").ok();
    left.commit("left");
    // git sees a file that one side deleted and the other changed
    left.try_git(&format!("pull -q --no-rebase --no-edit {} main", right.root.display()));
    assert!(left.exists("0001-first.md") && left.exists("0002-first.md"));
    left.oxi("sync").exits(4).says("#2 is in conflict");
    left.oxi("resolve 2 --union").ok();
    left.oxi("sync").ok();
    assert_eq!(left.files(), ["0001-earlier.md", "0002-first.md"]);
    let text = left.read("0002-first.md");
    for part in ["of the left\nof the right\n", "- left\n", "- right\n", "state: pending", "summary: of-the-left"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    left.oxi("status --check").ok();
}
