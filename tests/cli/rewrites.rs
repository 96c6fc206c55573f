//! What a rewritten file keeps: its own style, its name, and the keys that this program or the original does not know.

use serde_json::json;

use crate::mirror::{assert_in_step, assert_report, two};
use crate::project::{changed_lines, issue, project, project_with};

#[test]
fn an_update_rewrites_only_the_lines_of_the_keys_that_changed() {
    let project = two();
    let styled = "---\n# who wrote this\nid: 3\ntitle: \"own style\"   # keep me\nkind:   task\nlabels: [a, b]\n\nupdated_at: 2026-01-01T00:00:00Z\ncreated_at: 2026-01-01T00:00:00Z\npriority: 'low'\nnested:\n    deep: [1,2]   # too\n---\nbody\n\n";
    project.write("0003-own.md", styled);
    project.oxi("import").ok();
    let before = project.snapshot();
    project.oxi("issue update 3 -p high").ok();
    assert_report(&project.json("export"), &json!({"updated": [3], "unchanged": 2}));
    let after = project.snapshot();
    let changed: Vec<_> = after.keys().filter(|name| before.get(*name) != after.get(*name)).collect();
    assert_eq!(changed, ["0003-own.md"]);
    let updated = project.field(3, "updated_at");
    assert_eq!(
        changed_lines(styled, &project.read("0003-own.md")),
        format!("-updated_at: 2026-01-01T00:00:00Z\n+updated_at: {updated}\n-priority: 'low'\n+priority: high\n")
    );
}

#[test]
fn byte_order_mark_and_windows_line_ends_survive_a_rewrite() {
    let project = project();
    let text = "\u{feff}---\r\nid: 1\r\ntitle: a\r\nkind: task\r\ncreated_at: 2026-01-01T00:00:00Z\r\nupdated_at: 2026-01-01T00:00:00Z\r\npriority: low\r\n---\r\nbody\r\nmore\r\n";
    project.write("0001-a.md", text);
    project.oxi("import").ok();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("export").ok();
    let updated = project.field(1, "updated_at");
    let expected = text
        .replace("priority: low", "priority: high")
        .replace("updated_at: 2026-01-01T00:00:00Z", &format!("updated_at: {updated}"));
    assert_eq!(project.read("0001-a.md"), expected);
    assert_in_step(&project);
}

#[test]
fn a_new_title_does_not_rename_the_file() {
    let project = two();
    project.oxi("issue update 1 --title 'Quite another'").ok();
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0001-first.md", "0002-second.md"]);
    assert!(project.read("0001-first.md").contains("title: Quite another\n"));
}

#[test]
fn a_file_that_the_original_rewrote_keeps_its_foreign_keys() {
    let project =
        project_with(&[issue(1, "first").with("depends_on:\n- 0002-second\nkind: task\n"), issue(2, "second")]);
    // the original drops every key that it does not know, and stamps the file
    project.write("0001-first.md", issue(1, "first").text().replace("priority: medium", "priority: high"));
    assert_report(&project.json("import"), &json!({"merged": [1]}));
    let record = project.show(1);
    assert_eq!((&record["depends_on"], &record["extra"]), (&json!([2]), &json!({"kind": "task"})));
    assert_eq!(record["priority"], json!("high"));
    project.oxi("export").ok();
    let text = project.read("0001-first.md");
    assert!(text.contains("depends_on:\n- 0002-second\n") && text.contains("kind: task\n"), "{text}");
    assert_in_step(&project);
}

#[test]
fn a_last_foreign_key_that_a_teammate_removed_does_not_come_back() {
    for (lines, command, mark) in [
        ("depends_on:\n- 0002-second\n", "issue dep remove 1 2", "depends_on: []\n"),
        ("kind: task\n", "issue update 1 --set kind=", "depends_on: []\n"),
    ] {
        let ada = project_with(&[issue(1, "first").with(lines), issue(2, "second")]);
        ada.git("add -A");
        ada.commit("start");
        let bob = ada.clone_as("bob");
        bob.oxi("issue list").ok();
        ada.oxi(command).ok();
        ada.oxi("export").ok();
        assert!(ada.read("0001-first.md").contains(mark));
        ada.git("add -A");
        ada.commit("removed");
        bob.pull(&ada);
        bob.oxi("sync").ok();
        let record = bob.show(1);
        assert_eq!((&record["depends_on"], &record["extra"]), (&json!([]), &json!({})), "{command}");
        assert_in_step(&bob);
        assert_eq!(bob.git("status --porcelain"), "");
    }
}

#[test]
fn a_key_deleted_by_hand_is_deleted() {
    let project = project_with(&[issue(1, "first").with("kind: task\nowner: ana\n")]);
    project.edit("0001-first.md", "kind: task\n", "");
    project.oxi("sync").ok();
    assert_eq!(project.show(1)["extra"], json!({"owner": "ana"}));
    assert!(!project.read("0001-first.md").contains("kind"));
}
