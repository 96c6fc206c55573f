//! git's merges of issue files with the merge driver, and how they end.

use serde_json::json;

use crate::project::{Project, Run, empty_folder, issue, project_with};

/// Two clones, both with the driver, that differ by these edits of one issue and have not merged yet.
fn parted(left: &[(&str, &str)], right: &[(&str, &str)]) -> (Project, Project) {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let other = project.clone_as("other");
    for (clone, edits) in [(&project, left), (&other, right)] {
        clone.oxi("sync").ok();
        clone.oxi("hooks install").ok();
        for (from, to) in edits {
            clone.edit("0001-first.md", from, to);
        }
        clone.oxi("sync").ok();
        clone.git("add .oxi");
        clone.git("-c core.hooksPath=/dev/null commit -q --allow-empty -m edit");
    }
    (project, other)
}

/// Merges another clone's branch; says whether git could finish it.
fn merge(into: &Project, from: &Project) -> bool {
    into.git(&format!("fetch -q {} main", from.root.display()));
    into.try_git("merge -q --no-edit FETCH_HEAD").status.success()
}

fn without_driver(project: &Project) {
    project.git("config --remove-section merge.oxi-state");
}

const LEFT: [(&str, &str); 3] = [("status: open", "status: closed"), ("labels: []", "labels: [left]"), ("one", "ONE")];
const RIGHT: [(&str, &str); 3] =
    [("priority: medium", "priority: high"), ("labels: []", "labels: [right]"), ("five", "FIVE")];

#[test]
fn it_needs_no_project_and_is_silent() {
    let folder = empty_folder();
    let file = |name: &str, text: &str| std::fs::write(folder.path(name), text).unwrap();
    let base = issue(1, "first").text();
    let theirs = base.replace("labels: []", "labels: [b]").replace("five", "FIVE");
    file("O", &base);
    file("A", &base.replace("labels: []", "labels: [a]"));
    file("B", &theirs);
    let line = "merge-driver --marker-size=7 --ours-label=HEAD --theirs-label=x -- O A B";
    folder.oxi(&format!("{line} '.oxi/issues/0001-first.md'")).ok().prints("").silent();
    let merged = std::fs::read_to_string(folder.path("A")).unwrap();
    assert_eq!(merged, base.replace("labels: []", "labels: [a, b]").replace("five", "FIVE"));
    assert_eq!(std::fs::read_to_string(folder.path("B")).unwrap(), theirs);
    assert_eq!(std::fs::read_dir(&folder.root).unwrap().count(), 3, "nothing else was written");
    // an overlap; what is wrong in the environment does not matter
    file("A", &base.replace("three", "A"));
    file("B", &base.replace("three", "B"));
    let wrong = [("OXI_STATE_LOCK_TIMEOUT", "never"), ("HOME", "/nowhere")];
    let run = folder.oxi_with(&format!("{line} 0001-first.md"), &wrong).exits(1).prints("");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    let marked = std::fs::read_to_string(folder.path("A")).unwrap();
    assert_eq!(marked, base.replace("three", "<<<<<<< HEAD\nA\n=======\nB\n>>>>>>> x"));
    // above 128 git gives the merge up
    folder.oxi("merge-driver O nothing B 0001-first.md").exits(129);
}

#[test]
fn git_merges_by_field_and_clones_with_and_without_it_agree() {
    let (project, other) = parted(&LEFT, &RIGHT);
    assert!(merge(&project, &other));
    let text = project.read("0001-first.md");
    assert!(text.contains("status: closed\npriority: high\nlabels: [left, right]\n"), "{text}");
    assert!(text.ends_with("ONE\ntwo\nthree\nfour\nFIVE\n"), "{text}");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
    assert_eq!(project.git("status --porcelain -- .oxi"), "");
    // the other way round, by git's index instead
    without_driver(&other);
    other.git(&format!("fetch -q {} main", project.root.display()));
    assert!(!other.try_git("merge -q --no-edit FETCH_HEAD^1").status.success());
    other.oxi("sync").ok();
    assert_eq!(other.all_issues(), project.all_issues());
    assert_eq!(other.read("0001-first.md"), text);
}

#[test]
fn swapped_the_merge_gives_the_same_file() {
    let (project, other) = parted(&LEFT, &RIGHT);
    let clone = other.clone_as("third");
    clone.oxi("sync").ok();
    clone.oxi("hooks install").ok();
    assert!(merge(&project, &other) && merge(&clone, &project.clone_as("copy")));
    let back = project.git("rev-parse HEAD^1");
    other.git(&format!("fetch -q {} {}", project.root.display(), "main"));
    assert!(other.try_git(&format!("merge -q --no-edit {}", back.trim())).status.success());
    assert_eq!(other.read("0001-first.md"), project.read("0001-first.md"));
}

#[test]
fn bodies_that_overlap_are_a_conflict_that_resolve_ends() {
    let (project, other) = parted(&[("three", "LEFT"), LEFT[0]], &[("three", "RIGHT"), RIGHT[0]]);
    assert!(!merge(&project, &other));
    let text = project.read("0001-first.md");
    let (head, body) = text.split_once("---\none\n").unwrap();
    assert!(head.contains("status: closed\npriority: high\n") && !head.contains("<<<<<<<"), "{text}");
    assert!(body.starts_with("two\n<<<<<<< HEAD\nLEFT\n=======\nRIGHT\n>>>>>>> "), "{text}");
    project.oxi("sync").exits(4);
    assert_eq!(project.read("0001-first.md"), text);
    project.oxi("resolve 1 --union").ok();
    project.oxi("sync").ok();
    assert!(project.read("0001-first.md").ends_with("one\ntwo\nLEFT\nRIGHT\nfour\nfive\n"));
    project.git("add .oxi");
    project.git("commit -q --no-edit");
    project.oxi("status --check").ok();
    other.pull(&project);
    other.oxi("sync").ok();
    assert_eq!(other.all_issues(), project.all_issues());
}

#[test]
fn a_person_may_end_the_conflict_in_the_file() {
    let (project, other) = parted(&[("three", "LEFT")], &[("three", "RIGHT"), RIGHT[0]]);
    assert!(!merge(&project, &other));
    let text = project.read("0001-first.md");
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with(['<', '=', '>']) && *line != "LEFT\n");
    project.write("0001-first.md", lines.collect::<String>());
    project.git("add .oxi");
    project.git("commit -q --no-edit");
    project.oxi("sync").ok();
    assert_eq!(
        (project.field(1, "priority"), project.field(1, "body")),
        ("high".into(), "one\ntwo\nRIGHT\nfour\nfive\n".into())
    );
}

#[test]
fn an_overlap_in_a_code_fence_is_a_conflict_too() {
    for driver in [true, false] {
        let fence = ("two\nthree\nfour", "```\ntwo\nthree\nfour\n```");
        let project = project_with(&[issue(1, "first")]);
        project.edit("0001-first.md", fence.0, fence.1);
        project.oxi("sync").ok();
        project.commit("fence");
        let other = project.clone_as("other");
        for (clone, word) in [(&project, "LEFT"), (&other, "RIGHT")] {
            if driver {
                clone.oxi("hooks install").ok();
            }
            clone.edit("0001-first.md", "three", word);
            clone.oxi("sync").ok();
            clone.git("commit -q -a -m edit");
        }
        assert!(!merge(&project, &other));
        project.oxi("sync").exits(4).says("#1 is in conflict");
        project.oxi("import").exits(4);
        assert_eq!(project.field(1, "body"), "one\n```\ntwo\nLEFT\nfour\n```\nfive\n", "driver: {driver}");
        project.oxi("resolve 1 --theirs").ok();
        project.oxi("sync").ok();
        assert!(project.read("0001-first.md").ends_with("one\n```\ntwo\nRIGHT\nfour\n```\nfive\n"));
        project.oxi("status --check").ok();
        project.git("add .oxi");
        project.git("commit -q --no-edit");
        project.oxi("sync").ok();
        project.oxi("status --check").ok();
    }
}

#[test]
fn one_issue_that_came_to_both_without_an_ancestor_is_merged() {
    let (project, other) = parted(&[], &[]);
    for (clone, (from, to)) in [(&project, LEFT[1]), (&other, RIGHT[1])] {
        clone.add(&issue(3, "third"));
        clone.edit("0003-third.md", from, to);
        clone.git("add .oxi");
        clone.git("-c core.hooksPath=/dev/null commit -q -m third");
        clone.oxi("sync").ok();
    }
    assert!(merge(&project, &other));
    project.oxi("sync").ok();
    assert_eq!(project.show(3)["labels"], json!(["left", "right"]));
}

#[test]
fn two_issues_that_meet_on_one_path_are_both_kept() {
    let (project, other) = parted(&[], &[]);
    for (clone, second) in [(&project, 10), (&other, 20)] {
        clone.add(
            &issue(3, "same").created(&format!("2026-06-01T00:00:{second}Z")).body(&format!("made at {second}\n")),
        );
        clone.git("add .oxi");
        clone.git("-c core.hooksPath=/dev/null commit -q -m same");
        clone.oxi("sync").ok();
    }
    assert!(!merge(&project, &other));
    assert!(project.read("0003-same.md").starts_with("<<<<<<< "));
    project.oxi("sync").ok();
    assert_eq!((project.field(3, "body"), project.field(4, "body")), ("made at 10\n".into(), "made at 20\n".into()));
    project.git("add .oxi");
    project.git("commit -q --no-edit");
    project.oxi("status --check").ok();
    other.pull(&project);
    other.oxi("sync").ok();
    assert_eq!(other.all_issues(), project.all_issues());
}

#[test]
fn an_issue_that_both_numbered_anew_is_one_again() {
    let base = project_with(&[issue(1, "first")]);
    base.add(&issue(1, "young").created("2026-05-05T00:00:00Z").with("kind: task # why\n"));
    base.commit("a second number one");
    let [left, right] = ["left", "right"].map(|name| base.clone_as(name));
    right.add(&issue(2, "second"));
    right.add(&issue(3, "third"));
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.oxi("hooks install").ok();
        clone.git("add .oxi");
        clone.git("commit -q -m renumbered");
    }
    assert!(left.exists("0002-young.md") && right.exists("0004-young.md"));
    assert!(!merge(&right, &left));
    right.oxi("sync").ok();
    assert_eq!(right.files().iter().filter(|name| name.contains("young")).count(), 1, "{:?}", right.files());
    assert!(right.files().iter().all(|name| !right.read(name).contains("<<<<<<<")));
    right.oxi("status --check").ok();
    right.git("add -A .oxi");
    right.git("commit -q --no-edit");
    left.pull(&right);
    left.oxi("sync").ok();
    assert_eq!(left.all_issues(), right.all_issues());
    assert!(left.read("0004-young.md").contains("kind: task # why\n"));
}

#[test]
fn an_edit_follows_an_issue_that_was_renumbered() {
    let (project, other) = parted(&[], &[RIGHT[0], RIGHT[2]]);
    let text = project.read("0001-first.md").replace("id: 1\n", "id: 5\n").replace("one", "ONE");
    project.git("mv .oxi/issues/0001-first.md .oxi/issues/0005-first.md");
    project.write("0005-first.md", text);
    project.oxi("sync").ok();
    project.git("add .oxi");
    project.git("commit -q -m renumbered");
    assert!(merge(&project, &other));
    project.oxi("sync").ok();
    assert_eq!(
        (project.field(5, "priority"), project.field(5, "body")),
        ("high".into(), "ONE\ntwo\nthree\nfour\nFIVE\n".into())
    );
    assert!(!project.exists("0001-first.md"));
}

#[test]
fn a_file_that_is_no_issue_is_merged_as_text() {
    let (project, other) = parted(&[], &[]);
    for (clone, from, to) in [(&project, "status: open", "status: opne"), (&other, "five", "FIVE")] {
        clone.edit("0001-first.md", from, to);
        clone.git("-c core.hooksPath=/dev/null commit -q -a -m broken");
    }
    assert!(merge(&project, &other), "git alone merges it as well");
    project.oxi("sync").exits(7);
    project.edit("0001-first.md", "opne", "open");
    project.oxi("sync").ok();
    assert!(project.field(1, "body").ends_with("FIVE\n"));
}

#[test]
fn rebase_cherry_pick_and_stash_merge_by_field() {
    for line in ["rebase -q FETCH_HEAD", "cherry-pick FETCH_HEAD"] {
        let (project, other) = parted(&LEFT, &RIGHT);
        project.git(&format!("fetch -q {} main", other.root.display()));
        project.git(line);
        let text = project.read("0001-first.md");
        assert!(text.contains("status: closed\npriority: high\nlabels: [left, right]\n"), "{line}: {text}");
        project.oxi("sync").ok();
        assert_eq!(project.field(1, "body"), "ONE\ntwo\nthree\nfour\nFIVE\n");
        project.oxi("status --check").ok();
    }
    let (project, other) = parted(&[], &RIGHT);
    for (from, to) in LEFT {
        project.edit("0001-first.md", from, to);
    }
    project.git("stash -q");
    assert!(merge(&project, &other));
    project.git("stash pop -q");
    project.oxi("sync").ok();
    let record = project.show(1);
    assert_eq!((&record["status"], &record["labels"]), (&json!("closed"), &json!(["left", "right"])));
    assert_eq!(record["body"], json!("ONE\ntwo\nthree\nfour\nFIVE\n"));
}

#[test]
fn without_its_program_git_merges_as_text_and_sync_as_ever() {
    let (project, other) = parted(&LEFT, &RIGHT);
    let command = project.git("config merge.oxi-state.driver");
    let gone = command.trim().replace(env!("CARGO_BIN_EXE_oxi-state"), "/nowhere/oxi-state");
    assert_ne!(gone, command.trim());
    let status = std::process::Command::new("git")
        .args(["config", "merge.oxi-state.driver", &gone])
        .current_dir(&project.root)
        .status();
    assert!(status.unwrap().success());
    assert!(!merge(&project, &other));
    assert!(project.read("0001-first.md").contains("<<<<<<< ours\n"));
    project.oxi("sync").ok();
    assert_eq!(project.show(1)["labels"], json!(["left", "right"]));
}

#[test]
fn names_of_branches_and_files_are_no_commands() {
    let name = "x;touch${IFS}'pwned'";
    let (project, other) = parted(&[("three", "LEFT")], &[("three", "RIGHT")]);
    let merge = |line: &[&str]| {
        let mut command = project.command("version");
        let environment: Vec<_> =
            command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = std::process::Command::new("git");
        command.args(line).current_dir(&project.root).env_clear();
        command.envs(environment.into_iter().filter_map(|(key, value)| Some((key, value?))));
        command.output().unwrap()
    };
    let fetched = merge(&["fetch", "-q", other.root.to_str().unwrap(), &format!("main:refs/heads/{name}")]);
    assert!(fetched.status.success(), "{fetched:?}");
    assert!(!merge(&["merge", "-q", "--no-edit", name]).status.success());
    let text = project.read("0001-first.md");
    assert!(text.contains(&format!("\n>>>>>>> {name}\n")), "{text}");
    assert!(!project.path("pwned").exists());
}

#[test]
fn crossing_branches_merge_through_it() {
    let (project, other) = parted(&LEFT, &RIGHT);
    let third = project.clone_as("third");
    let fourth = other.clone_as("fourth");
    for clone in [&third, &fourth] {
        clone.oxi("hooks install").ok();
    }
    // both sides hold a merge of their own: git merges the ancestors first
    assert!(merge(&third, &other) && merge(&fourth, &project));
    for (clone, (from, to)) in [(&third, ("two", "TWO")), (&fourth, ("four", "FOUR"))] {
        clone.edit("0001-first.md", from, to);
        clone.git("-c core.hooksPath=/dev/null commit -q -a -m more");
    }
    assert!(merge(&third, &fourth));
    assert!(third.read("0001-first.md").ends_with("ONE\nTWO\nthree\nFOUR\nFIVE\n"));
    let run: Run = third.oxi("sync").ok();
    assert_eq!(run.code, 0);
    third.oxi("status --check").ok();
}
