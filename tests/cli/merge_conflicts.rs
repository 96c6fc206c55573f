//! Edits on both sides: merged by field and by line, or left to a person.

use serde_json::{Value, json};

use crate::project::{Project, issue, keys, number, project_with};

/// An issue whose body was changed on both sides in the same line.
fn overlapping() -> Project {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.oxi("issue update 1 --body 'one\ntwo\nRECORD\nfour\nfive' --add-label r").ok();
    project.edit("0001-first.md", "three", "FILE");
    project.edit("0001-first.md", "labels: []", "labels: [f]");
    project
}

/// The same, with the conflict noted.
fn conflict() -> Project {
    let project = overlapping();
    project.oxi("import").exits(4).says("#1 is in conflict").says("oxi-state resolve 1");
    project
}

fn body(project: &Project) -> String {
    project.field(1, "body")
}

// ---- merges

#[test]
fn each_side_changed_other_fields() {
    let project = project_with(&[issue(1, "first").with("kind: task\nsize: 3\n")]);
    project.oxi("issue update 1 --title 'By record' --assignee ana --set kind=bug").ok();
    let updated = project.field(1, "updated_at");
    project.edit("0001-first.md", "priority: medium", "priority: low");
    project.edit("0001-first.md", "size: 3", "size: 5");
    project.edit("0001-first.md", "five\n", "five\nsix\n");
    let report = project.json("sync");
    assert_eq!(report["merged"], json!([1]));
    let merged = project.show(1);
    assert_eq!((&merged["title"], &merged["assignee"]), (&json!("By record"), &json!("ana")));
    assert_eq!((&merged["priority"], &merged["extra"]), (&json!("low"), &json!({"kind": "bug", "size": 5})));
    assert_eq!(merged["body"], json!("one\ntwo\nthree\nfour\nfive\nsix\n"));
    assert_eq!(merged["updated_at"], json!(updated), "the later of the two");
    project.oxi("status --check").ok();
}

#[test]
fn bodies_are_merged_by_line() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue update 1 --body 'ONE\ntwo\nthree\nfour\nfive'").ok();
    project.edit("0001-first.md", "five\n", "FIVE\nsix\n");
    project.oxi("sync").ok();
    assert_eq!(body(&project), "ONE\ntwo\nthree\nfour\nFIVE\nsix\n");
    assert!(project.read("0001-first.md").ends_with("---\nONE\ntwo\nthree\nfour\nFIVE\nsix\n"));
}

#[test]
fn labels_and_dependencies_are_merged_as_sets() {
    let files = [
        issue(1, "first").with("depends_on:\n- 0002-second\n"),
        issue(2, "second"),
        issue(3, "third"),
        issue(4, "fourth"),
    ];
    let project = project_with(&files);
    project.oxi("issue update 1 --label b --label a --label old").ok();
    project.oxi("sync").ok();
    project.commit("labels");
    project.oxi("issue update 1 --add-label z --remove-label old").ok();
    project.oxi("issue dep add 1 3").ok();
    project.edit("0001-first.md", "- b\n- a\n", "- b\n- m\n");
    project.edit("0001-first.md", "- 0002-second\n", "- 0004-fourth\n");
    project.oxi("sync").ok();
    let merged = project.show(1);
    assert_eq!(merged["labels"], json!(["b", "m", "z"]), "base order, then the additions sorted");
    assert_eq!(merged["depends_on"], json!([3, 4]));
    project.oxi("status --check").ok();
}

#[test]
fn a_hand_edit_counts_as_the_newest_and_the_losing_value_is_kept() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue update 1 -p high").ok();
    project.edit("0001-first.md", "priority: medium", "priority: low");
    project.oxi("import").ok().says("#1 merged").says("#1 priority was changed on both sides; not taken: \"high\"");
    assert_eq!(project.field(1, "priority"), "low");
    let log = project.json("log --key 1");
    assert!(log.as_array().unwrap().iter().any(|row| row["before"]["priority"] == json!("high")), "{log}");
    project.oxi("export").ok();
    assert!(project.read("0001-first.md").contains("priority: low\n"));
    project.oxi("status --check").ok();
}

#[test]
fn of_two_stamped_changes_the_later_wins() {
    for (stamp, expected) in [("2026-01-02T03:05:00Z", "high"), ("2200-01-01T00:00:00Z", "low")] {
        let project = project_with(&[issue(1, "first")]);
        project.oxi("issue update 1 -p high").ok();
        project.edit("0001-first.md", "priority: medium", "priority: low");
        project.edit("0001-first.md", "updated_at: 2026-01-02T03:04:01Z", &format!("updated_at: {stamp}"));
        project.oxi("sync").ok();
        assert_eq!(project.field(1, "priority"), expected, "{stamp}");
        project.oxi("status --check").ok();
    }
}

#[test]
fn closed_on_one_side_ends_the_claim_that_the_other_made() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("--session s1 issue start 1").ok();
    project.edit("0001-first.md", "status: open", "status: closed");
    project.oxi("sync").ok();
    let merged = project.show(1);
    assert_eq!((&merged["status"], &merged["assigned_to"]), (&json!("closed"), &Value::Null));
    assert_eq!(merged["sessions"], json!(["s1"]));
}

// ---- conflicts

#[test]
fn overlapping_bodies_are_a_conflict_and_both_sides_stay() {
    let project = overlapping();
    let (file, record) = (project.read("0001-first.md"), project.show(1));
    let report = project.oxi("import --json").exits(4).json();
    assert_eq!((&report["conflicts"], &report["merged"]), (&json!([1]), &json!([])));
    assert_eq!(project.read("0001-first.md"), file);
    assert_eq!(project.show(1), record, "the record keeps its own side");
    let list = project.json("conflicts");
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(keys(&list[0]), ["id", "path", "fields", "base", "ours", "theirs"]);
    assert_eq!(list[0]["id"], json!(1));
    assert_eq!(list[0]["path"], json!(".oxi/issues/0001-first.md"));
    assert_eq!(list[0]["fields"], json!(["body"]));
    assert_eq!(list[0]["base"], json!(issue(1, "first").text()));
    assert!(list[0]["ours"].as_str().unwrap().ends_with("one\ntwo\nRECORD\nfour\nfive\n"));
    assert_eq!(list[0]["theirs"], json!(file));
    project.oxi("conflicts").ok().prints("#1  .oxi/issues/0001-first.md  (body)\n").warns("oxi-state resolve");
}

#[test]
fn a_conflict_holds_back_its_own_file_only() {
    let project = conflict();
    project.oxi("issue update 2 -p high").ok();
    let file = project.read("0001-first.md");
    for command in ["export", "sync", "import", "sync"] {
        let report = project.oxi(&format!("{command} --json")).exits(4).json();
        assert_eq!(report["conflicts"], json!([1]), "{command}");
        assert_eq!(project.read("0001-first.md"), file, "{command}");
    }
    assert!(project.read("0002-second.md").contains("priority: high"));
    assert_eq!(project.json("status")["conflicts"], json!(1));
    project.oxi("status --check").exits(4).warns("oxi-state conflicts");
    let conflicts = project.json("log").as_array().unwrap().iter().filter(|row| row["op"] == json!("conflict")).count();
    assert_eq!(conflicts, 1, "it is noted once");
}

#[test]
fn resolve_takes_the_records_lines() {
    let project = conflict();
    project.oxi("resolve 1 --ours").ok().prints("resolved issue #1\n").warns("oxi-state export");
    assert_eq!(body(&project), "one\ntwo\nRECORD\nfour\nfive\n");
    assert_eq!(project.show(1)["labels"], json!(["f", "r"]), "what does not overlap is merged");
    assert_eq!(project.json("conflicts"), json!([]));
    project.oxi("export").ok();
    assert!(project.read("0001-first.md").ends_with("one\ntwo\nRECORD\nfour\nfive\n"));
    project.oxi("status --check").ok();
}

#[test]
fn resolve_takes_the_files_lines() {
    let project = conflict();
    let resolved = project.json("resolve 1 --theirs");
    assert_eq!((number(&resolved["id"]), &resolved["body"]), (1, &json!("one\ntwo\nFILE\nfour\nfive\n")));
    assert_eq!(resolved["labels"], json!(["f", "r"]));
    assert_eq!(keys(&resolved), keys(&project.show(1)));
    project.oxi("export").ok();
    assert!(project.read("0001-first.md").ends_with("one\ntwo\nFILE\nfour\nfive\n"));
    project.oxi("status --check").ok();
}

#[test]
fn resolve_takes_both() {
    let project = conflict();
    project.oxi("resolve 1 --union").ok();
    assert_eq!(body(&project), "one\ntwo\nRECORD\nFILE\nfour\nfive\n");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn resolve_in_the_editor_shows_the_overlap() {
    let project = conflict();
    let seen = project.scratch().join("seen");
    let refused = project.oxi_with("resolve 1 --edit", &[("EDITOR", &format!("cp \"$1\" {}; true", seen.display()))]);
    refused.exits(4).warns("conflict markers").warns("resolve 1 --body-file");
    let draft = std::fs::read_to_string(&seen).unwrap();
    for line in ["<<<<<<< record\nRECORD\n", "=======\nFILE\n>>>>>>> file\n"] {
        assert!(draft.contains(line), "{line:?} in {draft}");
    }
    let merge = "sed -i -e '/^<<<<<<< /d' -e '/^|||||||/,/^=======/d' -e '/^=======/d' -e '/^>>>>>>> /d'";
    project.oxi_with("resolve 1 --edit", &[("EDITOR", merge)]).ok();
    assert!(body(&project).contains("RECORD\n"), "{}", body(&project));
    assert_eq!(project.json("conflicts"), json!([]));
}

#[test]
fn resolve_takes_a_body_from_a_file() {
    let project = conflict();
    let path = project.scratch().join("merged.md");
    std::fs::write(&path, "merged by hand\n").unwrap();
    project.oxi(&format!("resolve 1 --body-file {}", path.display())).ok();
    assert_eq!(body(&project), "merged by hand\n");
    project.oxi("sync").ok();
    assert!(project.read("0001-first.md").ends_with("---\nmerged by hand\n"));
    project.oxi("status --check").ok();
}

#[test]
fn what_resolve_did_not_take_is_in_the_log() {
    for (choice, lost) in [("--ours", "FILE"), ("--theirs", "RECORD")] {
        let project = conflict();
        project.oxi(&format!("resolve 1 {choice}")).ok();
        assert!(!body(&project).contains(lost));
        assert!(project.oxi("log --json").ok().stdout.contains(lost), "{choice} lost {lost}");
    }
}

#[test]
fn resolve_of_what_is_not_in_conflict_is_not_found() {
    let project = conflict();
    for id in [2, 99] {
        let error = project.oxi(&format!("resolve {id} --ours --json")).exits(3).error();
        assert_eq!(error["code"], json!("not_found"));
        assert!(error["hint"].as_str().unwrap().contains("oxi-state conflicts"), "{error}");
    }
    project.oxi("resolve 1").exits(2);
    project.oxi("resolve 1 --ours --theirs").exits(2);
}

#[test]
fn resolve_looks_at_a_file_that_moved_on_first() {
    let project = conflict();
    project.edit("0001-first.md", "FILE", "NEWER");
    project.oxi("resolve 1 --theirs").exits(4).warns("oxi-state import");
    project.oxi("import").exits(4);
    project.oxi("resolve 1 --theirs").ok();
    assert_eq!(body(&project), "one\ntwo\nNEWER\nfour\nfive\n");
}

#[test]
fn a_conflict_ends_when_a_person_edits_the_file_to_the_records_lines() {
    let project = conflict();
    project.edit("0001-first.md", "FILE", "RECORD");
    project.oxi("sync").ok();
    assert_eq!(project.json("conflicts"), json!([]));
    assert_eq!(project.show(1)["labels"], json!(["f", "r"]));
    project.oxi("status --check").ok();
}

#[test]
fn a_conflict_survives_the_loss_of_the_database_as_the_files_side() {
    let project = conflict();
    project.drop_database();
    project.oxi("issue list").ok();
    assert_eq!(body(&project), "one\ntwo\nFILE\nfour\nfive\n");
    project.oxi("status --check").ok();
}

// ---- two clones

#[test]
fn two_clones_merge_in_git_and_agree() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let other = project.clone_as("other");
    project.oxi("issue update 1 -p high").ok();
    project.oxi("sync").ok();
    project.commit("priority");
    other.oxi("issue update 2 --append 'From the other clone.'").ok();
    other.oxi("sync").ok();
    other.commit("text");
    other.pull(&project);
    other.oxi("sync").ok();
    other.commit("merged");
    project.pull(&other);
    project.oxi("sync").ok();
    assert_eq!(project.all_issues(), other.all_issues());
    let texts = |clone: &Project| clone.files().into_iter().map(|name| clone.read(&name)).collect::<Vec<_>>();
    assert_eq!(texts(&project), texts(&other));
    assert_eq!(project.git("status --porcelain"), "");
    project.oxi("status --check").ok();
    other.oxi("status --check").ok();
}

// ---- unmerged paths

/// Two clones that edited one issue, and the merge that git could not finish in the first.
fn unmerged(left: [(&str, &str); 2], right: [(&str, &str); 2]) -> (Project, Project) {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let other = project.clone_as("other");
    for (clone, edits) in [(&project, left), (&other, right)] {
        for (from, to) in edits {
            clone.edit("0001-first.md", from, to);
        }
        clone.oxi("sync").ok();
        clone.commit("edit");
    }
    let merge = project.try_git(&format!("pull -q --no-rebase --no-edit {} main", other.root.display()));
    assert!(!merge.status.success());
    assert!(project.read("0001-first.md").contains("<<<<<<<"));
    (project, other)
}

#[test]
fn what_git_could_not_merge_is_merged_by_field() {
    // neighbouring lines: git sees one conflict, this sees two fields
    let (project, other) = unmerged(
        [("status: open", "status: closed"), ("one", "ONE")],
        [("priority: medium", "priority: high"), ("five", "FIVE")],
    );
    let index = project.git("ls-files --stage");
    let report = project.oxi("sync --json").ok().json();
    assert_eq!((&report["merged"], &report["bad"]), (&json!([1]), &json!([])));
    let record = project.show(1);
    assert_eq!((&record["status"], &record["priority"]), (&json!("closed"), &json!("high")));
    assert_eq!(record["body"], json!("ONE\ntwo\nthree\nfour\nFIVE\n"));
    let text = project.read("0001-first.md");
    assert!(!text.contains("<<<<<<<") && text.contains("status: closed\npriority: high\n"), "{text}");
    assert_eq!(project.git("ls-files --stage"), index, "`git add` is the person's");
    project.oxi("status --check").ok();
    project.commit("merged");
    other.pull(&project);
    other.oxi("sync").ok();
    assert_eq!(other.all_issues(), project.all_issues());
}

#[test]
fn an_export_after_an_import_writes_over_the_markers() {
    let (project, _) = unmerged(
        [("status: open", "status: closed"), ("one", "ONE")],
        [("priority: medium", "priority: high"), ("five", "FIVE")],
    );
    project.oxi("import").ok();
    assert!(project.read("0001-first.md").contains("<<<<<<<"));
    project.oxi("import").ok();
    project.oxi("export").ok();
    assert!(!project.read("0001-first.md").contains("<<<<<<<"));
    project.oxi("status --check").ok();
}

#[test]
fn unmerged_bodies_that_overlap_are_a_conflict() {
    let (project, other) =
        unmerged([("three", "LEFT"), ("one", "ONE")], [("three", "RIGHT"), ("priority: medium", "priority: low")]);
    let file = project.read("0001-first.md");
    project.oxi("sync").exits(4);
    assert_eq!(project.read("0001-first.md"), file);
    let conflict = &project.json("conflicts")[0];
    assert!(conflict["ours"].as_str().unwrap().contains("LEFT"), "{conflict}");
    assert!(conflict["theirs"].as_str().unwrap().contains("RIGHT"), "{conflict}");
    project.oxi("resolve 1 --theirs").ok();
    project.oxi("sync").ok();
    let text = project.read("0001-first.md");
    assert!(text.ends_with("ONE\ntwo\nRIGHT\nfour\nfive\n") && text.contains("priority: low"), "{text}");
    project.oxi("status --check").ok();
    project.commit("merged");
    other.pull(&project);
    other.oxi("sync").ok();
    assert_eq!(other.all_issues(), project.all_issues());
}

#[test]
fn a_resolution_that_no_file_could_hold_is_refused() {
    let project = project_with(&[issue(1, "first").body("base\n")]);
    let big = |line: &str| format!("{line}\n").repeat(600_000 / (line.len() + 1));
    let (ours, theirs) = (big("this is what the record says of it"), big("and that is what the file says of it"));
    // the record's side is from a file, too: commands take no body of that length
    let file = project.read("0001-first.md");
    project.write("0001-first.md", file.replace("base\n", &theirs));
    let theirs = project.read("0001-first.md");
    project.write("0001-first.md", file.replace("base\n", &ours));
    project.oxi("import").ok();
    let ours = project.read("0001-first.md");
    project.write("0001-first.md", &file);
    project.oxi("import").ok();
    project.oxi("undo").ok();
    project.write("0001-first.md", theirs);
    project.oxi("import").exits(4).says("#1 is in conflict");
    project.oxi("resolve 1 --union").exits(2).warns("larger than 1 MiB").warns("--ours");
    assert!(project.oxi("conflicts").stdout.contains("#1"));
    project.oxi("resolve 1 --ours").ok();
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
    assert!(project.read("0001-first.md").ends_with(&ours[ours.len() - 500_000..]));
}

#[test]
fn a_resolution_spells_links_by_number_and_slug() {
    for choice in ["--ours", "--theirs", "--union"] {
        let project = project_with(&[issue(1, "first"), issue(2, "meant")]);
        project.edit("0001-first.md", "sessions:", "depends_on: [2]\nsessions:");
        project.edit("0001-first.md", "three", "FILE");
        project.oxi("issue update 1 --body 'one\ntwo\nRECORD\nfour\nfive'").ok();
        project.oxi("import").exits(4);
        project.oxi(&format!("resolve 1 {choice}")).ok();
        project.oxi("sync").ok();
        let file = project.read("0001-first.md");
        assert!(file.contains("depends_on: [0002-meant]\n"), "{choice}: {file}");
        project.oxi("status --check").ok();
        // as a clone sees it that has only the files
        project.commit("resolved");
        project.clone_as("clone").oxi("status --check").ok();
    }
}
