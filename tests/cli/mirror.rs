//! Import, export, sync and status where the two sides do not overlap: the decision table row by row.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::project::{Project, issue, keys, project, project_with};

const REPORT_KEYS: [&str; 9] =
    ["created", "updated", "deleted", "merged", "renumbered", "kept", "conflicts", "bad", "unchanged"];

/// A report with these entries and nothing else.
#[track_caller]
pub(crate) fn assert_report(report: &Value, expected: &Value) {
    assert_eq!(keys(report), REPORT_KEYS);
    for key in REPORT_KEYS.iter().filter(|key| **key != "unchanged") {
        let empty = json!([]);
        assert_eq!(&report[key], expected.get(key).unwrap_or(&empty), "{key} of {report}");
    }
    if let Some(unchanged) = expected.get("unchanged") {
        assert_eq!(&report["unchanged"], unchanged, "{report}");
    }
}

#[track_caller]
pub(crate) fn assert_in_step(project: &Project) {
    assert_eq!(
        project.oxi("status --check --json").ok().json(),
        json!({"in_step": true, "to_import": 0, "to_export": 0, "conflicts": 0, "bad": []})
    );
}

/// Two issues, in step and committed.
pub(crate) fn two() -> Project {
    project_with(&[issue(1, "first"), issue(2, "second")])
}

// ---- the decision table

#[test]
fn record_and_file_say_the_same_then_they_have_converged() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    let updated = project.field(1, "updated_at");
    project.edit("0001-first.md", "priority: medium", "priority: high");
    project.edit("0001-first.md", "updated_at: 2026-01-02T03:04:01Z", &format!("updated_at: {updated}"));
    let before = project.snapshot();
    assert_report(&project.json("sync"), &json!({}));
    assert_eq!(project.snapshot(), before);
    assert_in_step(&project);
}

#[test]
fn a_new_record_becomes_a_file() {
    let project = two();
    project.oxi("issue create third -b text").ok();
    let status = project.json("status");
    assert_eq!(status, json!({"in_step": false, "to_import": 0, "to_export": 1, "conflicts": 0, "bad": []}));
    project.oxi("status --check").exits(4).warns("oxi-state sync");
    assert_report(&project.json("import"), &json!({"unchanged": 2}));
    assert_report(&project.json("export"), &json!({"created": [3], "unchanged": 2}));
    let record = project.show(3);
    let time = record["created_at"].as_str().unwrap();
    assert_eq!(
        project.read("0003-third.md"),
        format!(
            "---\nid: 3\ntitle: third\nstatus: open\npriority: medium\nlabels: []\ncreated_at: {time}\n\
             updated_at: {time}\nsessions: []\n---\ntext\n"
        )
    );
    assert_in_step(&project);
}

#[test]
fn a_new_file_becomes_a_record() {
    let project = two();
    project.add(&issue(5, "fifth").with("kind: task\n"));
    assert_eq!(project.json("status")["to_import"], json!(1));
    assert_report(&project.json("export"), &json!({}));
    let before = project.snapshot();
    let imported = project.oxi("import").ok().says("#5 imported: fifth\n").says("1 created, 2 unchanged\n");
    imported.silent();
    assert_eq!(project.field(5, "title"), "fifth");
    assert_eq!(project.show(5)["extra"], json!({"kind": "task"}));
    assert_eq!(project.snapshot(), before);
    assert_in_step(&project);
}

#[test]
fn a_changed_file_is_taken() {
    let project = two();
    project.edit("0001-first.md", "three", "3");
    project.edit("0001-first.md", "priority: medium", "priority: critical");
    assert_report(&project.json("import"), &json!({"updated": [1], "unchanged": 1}));
    assert_eq!(project.field(1, "body"), "one\ntwo\n3\nfour\nfive\n");
    assert_eq!(project.field(1, "priority"), "critical");
    assert_eq!(project.field(1, "updated_at"), "2026-01-02T03:04:01Z", "an import never bumps it");
    assert_report(&project.json("export"), &json!({}));
    assert_in_step(&project);
}

#[test]
fn a_changed_record_is_taken() {
    let project = two();
    let before = project.snapshot();
    project.oxi("issue update 2 -p low").ok();
    assert_report(&project.json("import"), &json!({}));
    assert_report(&project.json("export"), &json!({"updated": [2], "unchanged": 1}));
    let after = project.snapshot();
    assert_eq!(before["0001-first.md"], after["0001-first.md"]);
    assert!(project.read("0002-second.md").contains("priority: low\n"));
    assert_in_step(&project);
}

#[test]
fn a_deleted_file_deletes_the_record() {
    let project = two();
    project.remove("0001-first.md");
    assert_eq!(project.json("status")["to_import"], json!(1));
    assert_report(&project.json("import"), &json!({"deleted": [1], "unchanged": 1}));
    project.oxi("issue show 1").exits(3);
    assert_report(&project.json("export"), &json!({}));
    assert_eq!(project.files(), ["0002-second.md"]);
    assert_in_step(&project);
}

#[test]
fn a_deleted_record_deletes_the_file() {
    let project = two();
    project.oxi("issue delete 1").ok();
    assert_report(&project.json("import"), &json!({}));
    project.oxi("issue show 1").exits(3);
    assert_report(&project.json("export"), &json!({"deleted": [1]}));
    assert_eq!(project.files(), ["0002-second.md"]);
    assert_in_step(&project);
}

#[test]
fn an_edited_record_outlives_its_file() {
    for edit in [
        "issue update 1 --title other",
        "issue update 1 --append more",
        "issue update 1 --status closed",
        "issue update 1 -p low",
        "issue update 1 --add-label x",
        "issue update 1 --assignee ana",
        "issue dep add 1 2",
    ] {
        let project = two();
        project.oxi(edit).ok();
        let record = project.show(1);
        project.remove("0001-first.md");
        let report = project.oxi("import --json").ok().json();
        assert_report(&report, &json!({"kept": [1]}));
        assert_eq!(project.show(1), record, "{edit}");
        assert_report(&project.json("export"), &json!({"created": [1]}));
        assert!(project.exists("0001-first.md"), "{edit}");
        assert_in_step(&project);
    }
}

#[test]
fn a_record_that_was_only_claimed_or_linked_goes_with_its_file() {
    let project = two();
    project.oxi("--session s1 issue start 1").ok();
    project.remove("0001-first.md");
    assert_report(&project.json("sync"), &json!({"deleted": [1]}));
    assert_eq!(project.files(), ["0002-second.md"]);
}

#[test]
fn an_edited_file_outlives_its_record() {
    let project = two();
    project.oxi("issue delete 1").ok();
    project.edit("0001-first.md", "three", "3");
    project.oxi("export").exits(4).says("oxi-state sync");
    assert!(project.exists("0001-first.md"));
    assert_report(&project.json("import"), &json!({"kept": [1]}));
    assert_eq!(project.field(1, "body"), "one\ntwo\n3\nfour\nfive\n");
    assert_report(&project.json("export"), &json!({}));
    assert_in_step(&project);
}

#[test]
fn both_sides_changed_then_they_are_merged() {
    let project = two();
    project.oxi("issue update 1 -p high --add-label x").ok();
    project.edit("0001-first.md", "three", "3");
    assert_report(&project.json("sync"), &json!({"merged": [1], "updated": [1]}));
    assert_eq!(project.field(1, "body"), "one\ntwo\n3\nfour\nfive\n");
    assert_eq!(project.field(1, "priority"), "high");
    let text = project.read("0001-first.md");
    assert!(text.contains("priority: high\nlabels:\n- x\n") && text.contains("\n3\n"), "{text}");
    assert_in_step(&project);
}

#[test]
fn without_a_base_versions_of_one_issue_are_merged() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    // an export that a crash cut short left the file, and a git clean took the baseline with the database
    let file = project.read("0001-first.md");
    project.drop_database();
    project.oxi("issue list").ok();
    assert_eq!(project.field(1, "priority"), "medium");
    assert_eq!(project.read("0001-first.md"), file);
    // the same issue made on both sides apart: the record by hand of an export elsewhere
    let clone = project.clone_as("clone");
    clone.add(&issue(9, "ninth").with("left: 1\n"));
    clone.oxi("import").ok();
    clone.remove("0009-ninth.md");
    clone.oxi("sync").ok();
    clone.add(&issue(9, "ninth").with("left: 1\nright: 2\n"));
    clone.oxi("sync").ok();
    assert_eq!(clone.show(9)["extra"], json!({"left": 1, "right": 2}));
}

// ---- no-ops

#[test]
fn an_export_with_nothing_to_say_leaves_every_byte_and_time_alone() {
    let project = project_with(&[
        issue(1, "first").with("# a remark\nkind: 'task'\n"),
        issue(2, "second").with("depends_on: [ 0001-first ]\n").body("no final newline"),
        issue(3, "third").body("\r\nwindows\r\n"),
    ]);
    project.write("0004-own-style.md", "\u{feff}---\r\nupdated_at: 2026-01-01T00:00:00+02:00\r\nid: 4\r\ntitle: \"own style\"\r\ncreated_at: '2026-01-01 00:00:00 UTC'\r\nlabels: [ a, b ]\r\n---\r\nbody\r\n");
    project.oxi("import").ok();
    let before = project.snapshot();
    for _ in 0..2 {
        for command in ["export", "sync", "import", "status", "issue list", "export"] {
            project.oxi(command).ok();
            assert_eq!(project.snapshot(), before, "{command}");
        }
    }
    project.drop_database();
    project.oxi("sync").ok();
    assert_eq!(project.snapshot(), before);
    assert_in_step(&project);
}

#[test]
fn a_second_import_or_export_does_nothing() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue create third").ok();
    project.edit("0002-second.md", "three", "3");
    project.oxi("import").ok();
    let log = project.json("log");
    assert_report(&project.json("import"), &json!({}));
    assert_eq!(project.json("log"), log);
    project.oxi("export").ok();
    let (before, log) = (project.snapshot(), project.json("log"));
    assert_report(&project.json("export"), &json!({"unchanged": 3}));
    assert_report(&project.json("import"), &json!({"unchanged": 3}));
    assert_eq!((project.snapshot(), project.json("log")), (before, log));
}

// ---- edits that import has not seen

#[test]
fn export_does_not_write_over_an_edit_that_import_has_not_seen() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue update 2 -p high").ok();
    project.edit("0001-first.md", "three", "3");
    let edited = project.read("0001-first.md");
    project.oxi("export").exits(4).says("0001-first.md").says("oxi-state sync");
    assert_eq!(project.read("0001-first.md"), edited);
    assert!(project.read("0002-second.md").contains("priority: high"), "the rest is written");
    project.oxi("sync").ok();
    assert!(project.read("0001-first.md").contains("priority: high"));
    assert!(project.read("0001-first.md").contains("\n3\n"));
}

#[test]
fn queries_hint_at_files_that_changed() {
    let project = two();
    project.oxi("issue list").ok().silent();
    project.add(&issue(3, "third"));
    project.oxi("issue list").ok().warns("oxi-state sync").says_not("third");
    project.oxi("-q issue list").ok().silent();
    project.oxi("import").ok();
    project.oxi("issue list").ok().silent();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("export").ok();
    project.oxi("issue list").ok().silent();
}

// ---- dry runs

#[test]
fn a_dry_run_changes_nothing() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue create third").ok();
    project.oxi("issue delete 2").ok();
    project.add(&issue(4, "fourth"));
    let (files, log, records) = (project.snapshot(), project.json("log"), project.all_issues());
    for command in ["import", "export", "sync"] {
        project.oxi(&format!("{command} --dry-run")).ok().says("would be: ");
        project.oxi(&format!("{command} --dry-run --json")).ok();
        assert_eq!(project.snapshot(), files, "{command}");
    }
    assert_report(&project.json("import --dry-run"), &json!({"created": [4]}));
    assert_report(&project.json("export --dry-run"), &json!({"created": [3], "updated": [1], "deleted": [2]}));
    assert_report(&project.json("sync --dry-run"), &json!({"created": [3, 4], "updated": [1], "deleted": [2]}));
    assert_eq!((project.json("log"), project.all_issues()), (log, records));
}

#[test]
fn a_dry_run_of_a_sync_says_what_the_sync_will_do() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    project.edit("0001-first.md", "three", "3");
    project.remove("0002-second.md");
    let dry = project.oxi("sync --dry-run --json").ok().json();
    assert_eq!(dry, project.json("sync"));
}

// ---- the database is made of the files

#[test]
fn a_lost_database_is_built_again_with_equal_records() {
    let project = project();
    for line in [
        "issue create 'First thing' -p high -l b -l a -b 'Some text' --assignee ana",
        "issue create second --depends-on 1",
        "--session s1 issue create third",
        "--session s1 issue start 3",
        "issue close 2",
        "issue update 1 --set kind=task --set 'points={\"a\":[1,2]}'",
        "sync",
    ] {
        project.oxi(line).ok();
    }
    let (list, full) = (project.json("issue list --status all"), project.all_issues());
    for command in ["issue list", "issue show 1", "status", "sync", "import", "export", "issue search text", "log"] {
        project.drop_database();
        project.oxi(command).ok();
        assert_eq!(project.json("issue list --status all"), list, "{command}");
        assert_eq!(project.all_issues(), full, "{command}");
        assert_in_step(&project);
    }
    project.drop_database();
    project.oxi("issue create fourth").ok().prints("4\n");
}

// ---- boundaries

#[test]
fn no_command_touches_git_or_writes_outside_of_its_folder() {
    let project = project_with(&[issue(1, "first"), issue(2, "second"), issue(3, "third")]);
    std::fs::write(project.path("README.md"), "hello\n").unwrap();
    std::fs::create_dir(project.path("src")).unwrap();
    std::fs::write(project.path("src/staged.rs"), "").unwrap();
    project.git("add src");
    let before = project.outside();
    project.edit("0001-first.md", "three", "3");
    project.remove("0003-third.md");
    for line in [
        "init",
        "issue list",
        "issue show 1",
        "issue create fourth",
        "issue update 1 --append more",
        "--session s1 issue start 2",
        "issue close 2",
        "issue delete 2",
        "status",
        "import",
        "export",
        "sync",
        "conflicts",
        "log",
        "undo",
        "stats",
        "schema issue",
        "completions bash",
        "man",
        "issue search more",
        "sync --allow-deletes",
    ] {
        project.oxi(line).ok();
        assert_eq!(project.outside(), before, "{line}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let project = project();
    let long = "x".repeat(400);
    for number in 0..300 {
        project.add(&issue(number + 1, &format!("issue number {number}")).body(&long));
    }
    project.oxi("import").ok();
    for line in ["issue list --json", "issue list", "log --json", "export", "completions bash"] {
        let mut child = project.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
}

#[test]
fn the_hash_is_the_originals_hash_of_the_canonical_file() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    let hash = project.field(1, "hash");
    project.oxi("sync").ok();
    assert_eq!(project.field(1, "hash"), hash);
    let text = project.read("0001-first.md");
    assert_eq!(oxi_state::schema::id::ContentHash::of(text.as_bytes()).to_string(), hash);
}
