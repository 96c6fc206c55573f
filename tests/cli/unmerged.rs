//! Files that a merge in git left with conflict markers: merged from git's index.

use serde_json::json;

use crate::project::{Project, issue, number, project_with};

/// Two clones that changed the same two issues since they parted, and a merge of the left into the right that git could
/// not finish. The bodies of the first overlap nowhere, those of the second do.
fn left_in_conflict() -> (Project, Project) {
    let left = project_with(&[issue(1, "first").with("kind: task\n"), issue(2, "second")]);
    let right = left.clone_as("right");
    left.oxi("issue update 1 --body 'LEFT\ntwo\nthree\nfour\nfive' --add-label left").ok();
    left.oxi("issue update 2 --body 'one\ntwo\nLEFT\nfour\nfive'").ok();
    right.oxi("issue update 1 --body 'one\ntwo\nthree\nfour\nRIGHT' --add-label right --priority high").ok();
    right.oxi("issue update 2 --body 'one\ntwo\nRIGHT\nfour\nfive'").ok();
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("work");
    }
    merge(&right, &left);
    (left, right)
}

/// A merge that ends in conflict.
fn merge(into: &Project, from: &Project) {
    into.git(&format!("fetch -q {} main", from.path("").display()));
    assert!(!into.try_git("merge -q --no-edit FETCH_HEAD").status.success());
}

#[test]
fn both_versions_are_merged_and_the_export_writes_over_the_markers() {
    let (left, right) = left_in_conflict();
    assert!(right.read("0001-first.md").contains("<<<<<<< "));
    let report = right.oxi("import --json").exits(4).json();
    assert_eq!((&report["merged"], &report["conflicts"], &report["bad"]), (&json!([1]), &json!([2]), &json!([])));
    assert!(right.read("0001-first.md").contains("<<<<<<< "), "import leaves the file to the export");
    let merged = right.show(1);
    assert_eq!(merged["body"], "LEFT\ntwo\nthree\nfour\nRIGHT\n");
    assert_eq!(merged["labels"], json!(["left", "right"]));
    assert_eq!((&merged["priority"], &merged["extra"]["kind"]), (&json!("high"), &json!("task")));

    let again = right.oxi("import --json").exits(4).json();
    assert_eq!((&again["merged"], &again["conflicts"]), (&json!([]), &json!([2])), "the second import does nothing");
    right.oxi("export").exits(4).says("updated .oxi/issues/0001-first.md");
    let text = right.read("0001-first.md");
    assert!(!text.contains("<<<<<<<") && text.contains("LEFT\ntwo\nthree\nfour\nRIGHT\n"), "{text}");
    assert!(right.read("0002-second.md").contains("<<<<<<< "), "a conflict keeps its file as git left it");

    right.oxi("resolve 2 --union").ok();
    right.oxi("sync").ok();
    assert!(right.read("0002-second.md").contains("two\nRIGHT\nLEFT\nfour\n"));
    right.oxi("status --check").ok();
    right.commit("merged");
    left.pull(&right);
    left.oxi("sync").ok();
    assert_eq!(left.all_issues(), right.all_issues());
}

#[test]
fn an_edit_that_was_never_exported_is_merged_too() {
    let (_left, right) = left_in_conflict();
    right.oxi("issue update 1 --assignee ana").ok();
    right.oxi("sync").exits(4);
    let merged = right.show(1);
    assert_eq!((&merged["assignee"], &merged["body"]), (&json!("ana"), &json!("LEFT\ntwo\nthree\nfour\nRIGHT\n")));
    assert!(right.read("0001-first.md").contains("assignee: ana\n"));
}

#[test]
fn a_person_may_end_it_in_the_file_instead() {
    let (left, right) = left_in_conflict();
    right.oxi("sync").exits(4);
    right.write("0002-second.md", left.read("0002-second.md").replace("LEFT", "BOTH"));
    right.oxi("sync").ok();
    assert_eq!(right.field(2, "body"), "one\ntwo\nBOTH\nfour\nfive\n");
    right.oxi("conflicts").ok().prints("no conflicts\n");
}

#[test]
fn a_new_clone_in_the_middle_of_a_merge_builds_the_same_records() {
    let (_left, right) = left_in_conflict();
    right.oxi("sync").exits(4);
    right.oxi("resolve 2 --theirs").ok();
    let records = right.all_issues();
    right.oxi("export").ok();
    right.drop_database();
    assert_eq!(right.all_issues(), records);
}

#[test]
fn two_issues_that_met_on_one_path_are_both_kept() {
    let left = project_with(&[issue(1, "first")]);
    let right = left.clone_as("right");
    left.oxi("issue create 'same title' -b 'by the left'").ok().prints("2\n");
    right.oxi("issue create 'same title' -b 'by the right' --depends-on 1").ok().prints("2\n");
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("work");
    }
    merge(&right, &left);
    let report = right.oxi("sync --json").ok().json();
    assert_eq!(report["renumbered"], json!([{"from": 2, "to": 3}]));
    assert_eq!(right.files(), ["0001-first.md", "0002-same-title.md", "0003-same-title.md"]);
    assert_eq!((right.field(2, "body"), right.field(3, "body")), ("by the left\n".into(), "by the right\n".into()));
    assert!(right.read("0002-same-title.md").ends_with("by the left\n"));
    right.commit("merged");
    left.pull(&right);
    left.oxi("sync").ok();
    assert_eq!(left.all_issues(), right.all_issues());
}

#[test]
fn markers_that_git_no_longer_knows_of_make_a_bad_file() {
    let (_left, right) = left_in_conflict();
    right.commit("committed with the markers in it");
    let report = right.oxi("import --json").exits(7).json();
    assert_eq!(report["bad"].as_array().unwrap().len(), 2);
    assert_eq!(report["bad"][0]["path"], ".oxi/issues/0001-first.md");
    right.oxi("export --json").exits(0);
    assert!(right.read("0001-first.md").contains("<<<<<<< "));
}

#[test]
fn a_renumbered_issue_that_meets_another_of_its_name_loses_neither() {
    for swapped in [false, true] {
        let left = project_with(&[issue(5, "other"), issue(1, "first")]);
        let right = left.clone_as("right");
        // one side numbers it anew, and both edit the same line of it
        left.git("mv .oxi/issues/0005-other.md .oxi/issues/0006-other.md");
        left.edit("0006-other.md", "id: 5", "id: 6");
        left.edit("0006-other.md", "priority: medium", "priority: high");
        left.edit("0006-other.md", "one", "LEFT");
        right.edit("0005-other.md", "priority: medium", "priority: low");
        right.edit("0005-other.md", "five", "RIGHT");
        // the other side has another issue of that name and number
        right.add(&issue(6, "other").created("2026-06-01T00:00:00Z").body("another\n"));
        for clone in [&left, &right] {
            clone.oxi("sync").ok();
            clone.commit("work");
        }
        let (into, from) = if swapped { (&left, &right) } else { (&right, &left) };
        merge(into, from);
        into.oxi("sync").ok();
        let all = into.all_issues();
        assert_eq!(all.len(), 3, "{all:?}");
        let old = all.iter().find(|issue| issue["created_at"] == "2026-01-02T03:04:05Z").unwrap();
        assert_eq!(old["body"], "LEFT\ntwo\nthree\nfour\nRIGHT\n");
        assert!(all.iter().any(|issue| issue["body"] == "another\n"));
        assert!(into.files().iter().all(|name| !into.read(name).contains("<<<<<<<")));
        into.oxi("status --check").ok();
        into.commit("merged");
        into.oxi("sync").ok();
        from.pull(into);
        from.oxi("sync").ok();
        assert_eq!(from.all_issues(), all);
    }
}

#[test]
fn a_version_that_is_no_issue_file_is_not_written_over() {
    let left = project_with(&[issue(1, "first")]);
    let right = left.clone_as("right");
    left.edit("0001-first.md", "two", "two of the left");
    right.edit("0001-first.md", "status: open", "status: opne");
    right.edit("0001-first.md", "two", "two of the right");
    left.commit("left");
    right.commit("right");
    merge(&right, &left);
    right.oxi("sync").exits(7).warns("bad file .oxi/issues/0001-first.md");
    let text = right.read("0001-first.md");
    assert!(text.contains("two of the left") && text.contains("two of the right"), "{text}");
}

#[test]
fn an_issue_that_moved_two_ways_is_one_again_though_another_took_one_of_the_paths() {
    let left = project_with(&[issue(1, "first"), issue(2, "second")]);
    let right = left.clone_as("right");
    let moved = |project: &Project, to: u32| {
        project.edit("0002-second.md", "id: 2", &format!("id: {to}"));
        project.git(&format!("mv .oxi/issues/0002-second.md .oxi/issues/000{to}-second.md"));
        project.oxi("sync").ok();
        project.commit("moved");
    };
    moved(&right, 5);
    right.add(&issue(7, "second").created("2026-03-02T00:00:00Z").body("another\n"));
    right.oxi("sync").ok();
    right.commit("new");
    moved(&left, 7);
    merge(&left, &right);
    left.oxi("sync").ok();
    assert_eq!(left.files().len(), 3, "{:?}", left.files());
    left.git("add -A .oxi");
    left.git("commit -q --no-edit");
    left.oxi("status --check").ok();
    let titles: Vec<_> = left.all_issues().iter().map(|issue| issue["title"].clone()).collect();
    assert_eq!(titles, ["first", "second", "second"]);
}

#[test]
fn two_copies_that_met_on_one_path_stay_copies() {
    let left = project_with(&[issue(1, "a").body("ORIGINAL-A\n"), issue(2, "b").body("ORIGINAL-B\n")]);
    let right = left.clone_as("right");
    let copy = |project: &Project, of: &str, id: u32, text: &str| {
        let copied = project.read(of).replace(&format!("id: {id}"), "id: 3").replace("ORIGINAL", text);
        project.write("0003-copy.md", copied);
        project.oxi("sync").ok();
        project.commit("copy");
    };
    copy(&left, "0001-a.md", 1, "copy");
    copy(&right, "0002-b.md", 2, "copy");
    merge(&left, &right);
    left.oxi("sync").ok();
    assert!(left.read("0001-a.md").ends_with("ORIGINAL-A\n") && left.read("0002-b.md").ends_with("ORIGINAL-B\n"));
    let bodies: Vec<_> = left.all_issues().iter().map(|issue| left.field(number(&issue["id"]), "body")).collect();
    for text in ["ORIGINAL-A\n", "ORIGINAL-B\n", "copy-A\n", "copy-B\n"] {
        assert!(bodies.iter().any(|body| body == text), "{text}: {bodies:?}");
    }
}

#[test]
fn an_issue_moved_two_ways_is_one_again_after_a_squash_and_after_patches() {
    for how in ["merge -q --squash side", "am -q -3 ../p/0001-moved.patch"] {
        let project = project_with(&[issue(1, "first"), issue(2, "second")]);
        project.oxi("sync").ok();
        project.commit("begin");
        let moved = |to: u32| {
            project.edit("0002-second.md", "id: 2", &format!("id: {to}"));
            project.git(&format!("mv .oxi/issues/0002-second.md .oxi/issues/000{to}-second.md"));
            project.oxi("sync").ok();
            project.commit("moved");
        };
        project.git("switch -q --create side");
        moved(5);
        project.git("format-patch -q -1 -o ../p");
        project.git("switch -q main");
        project.oxi("sync").ok();
        moved(7);
        assert!(!project.try_git(how).status.success(), "{how}");
        project.oxi("sync").ok();
        assert_eq!(project.files(), ["0001-first.md", "0005-second.md"], "{how}");
        project.oxi("status --check").ok();
    }
}

#[test]
fn an_unmerged_issue_whose_number_goes_to_another_leaves_no_markers() {
    let left = project_with(&[issue(1, "alpha")]);
    let right = left.clone_as("right");
    left.add(&issue(1, "early").created("2025-01-01T00:00:00Z"));
    right.edit("0001-alpha.md", "title: alpha", "title: ours");
    right.edit("0001-alpha.md", "status: open", "status: open # ours");
    left.edit("0001-alpha.md", "status: open", "status: open # theirs");
    left.commit("not synced");
    right.oxi("sync").ok();
    right.commit("ours");
    merge(&right, &left);
    right.oxi("sync").ok();
    assert_eq!(right.files(), ["0001-early.md", "0002-alpha.md"]);
    right.git("add -A .oxi");
    right.oxi("sync").ok();
    right.git("commit -q --no-edit");
    right.oxi("status --check").ok();
}
