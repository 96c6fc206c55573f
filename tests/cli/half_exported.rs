//! An export that was killed after it wrote its files and before it noted so: what it wrote is nobody's edit.

use serde_json::json;

use crate::project::{Project, issue, project_with};

/// Runs an export and takes back what it noted in the database, as if it had been killed before.
fn export_half(project: &Project) {
    let (database, kept) = (project.path(".oxi/state.redb"), project.scratch().join("kept.redb"));
    std::fs::copy(&database, &kept).unwrap();
    project.oxi("export").ok();
    std::fs::copy(&kept, &database).unwrap();
}

/// Two issues, in step and committed; the first was changed, and that was half exported.
fn half() -> Project {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.oxi("issue update 1 --title Changed --body 'what was written'").ok();
    export_half(&project);
    project
}

#[track_caller]
fn assert_in_step(project: &Project) {
    project.oxi("status --check").ok();
    assert_eq!(project.json("sync")["conflicts"], json!([]));
}

#[test]
fn a_record_that_did_not_change_since_has_its_file() {
    for command in ["export", "import", "sync"] {
        let project = half();
        project.oxi(command).ok();
        assert_in_step(&project);
        assert!(project.read("0001-first.md").contains("what was written"));
    }
}

#[test]
fn a_record_that_changed_since_is_written_over_what_was_half_exported() {
    for command in ["export", "sync"] {
        let project = half();
        project.oxi("issue update 1 --title Again --body 'what came then'").ok();
        project.oxi(command).ok();
        let text = project.read("0001-first.md");
        assert!(text.contains("title: Again") && text.contains("what came then"), "{text}");
        assert_in_step(&project);
    }
    // an import finds nothing to take, and no conflict
    let project = half();
    project.oxi("issue update 1 --title Again --body 'what came then'").ok();
    assert_eq!(project.json("import")["merged"], json!([]));
    assert_eq!(project.field(1, "title"), "Again");
    project.oxi("export").ok();
    assert_in_step(&project);
}

#[test]
fn so_is_a_new_issue() {
    for command in ["export", "sync"] {
        let project = project_with(&[issue(1, "first")]);
        project.oxi("issue create second --body 'what was written'").ok();
        export_half(&project);
        project.oxi("issue update 2 --title Again --body 'what came then'").ok();
        project.oxi(command).ok();
        assert!(project.read("0002-second.md").contains("what came then"));
        assert_in_step(&project);
    }
}

#[test]
fn the_file_of_an_issue_that_was_deleted_since_goes() {
    for command in ["export", "sync"] {
        let project = half();
        project.oxi("issue delete 1").ok();
        project.oxi(command).ok();
        assert!(!project.exists("0001-first.md"));
        assert_in_step(&project);
        project.oxi("issue show 1").exits(3);
    }
}

#[test]
fn an_edit_of_what_was_half_exported_is_an_edit() {
    let project = half();
    project.edit("0001-first.md", "priority: medium", "priority: high");
    project.oxi("issue update 1 --add-label later").ok();
    let before = project.read("0001-first.md");
    project.oxi("export").exits(4);
    assert_eq!(project.read("0001-first.md"), before);
    project.oxi("sync").ok();
    let text = project.read("0001-first.md");
    assert!(text.contains("priority: high") && text.contains("later"), "{text}");
}

#[test]
fn a_version_from_before_the_last_export_is_an_edit() {
    let project = half();
    let old = project.git("show HEAD:.oxi/issues/0001-first.md");
    project.oxi("export").ok();
    project.write("0001-first.md", old);
    project.oxi("issue update 1 --add-label later").ok();
    project.oxi("export").exits(4);
    project.oxi("import").ok();
    assert_eq!(project.field(1, "title"), "first");
}
