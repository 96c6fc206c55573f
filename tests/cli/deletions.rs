//! Files that are not there: deleted, stashed, sparse, too many at once, or in the middle of a merge.

use serde_json::json;

use crate::project::{IssueFile, Project, empty_folder, issue, project, project_with};

fn many(count: u32) -> Vec<IssueFile> {
    (1..=count).map(|id| issue(id, &format!("issue number {id}"))).collect()
}

fn remove(project: &Project, count: usize) {
    for name in project.files().iter().take(count) {
        project.remove(name);
    }
}

fn count(project: &Project) -> usize {
    project.json("issue list --status all").as_array().unwrap().len()
}

#[test]
fn undo_brings_a_deleted_file_back() {
    let project = project_with(&[issue(1, "first").with("# a remark\nkind: task\n"), issue(2, "second")]);
    let (record, text) = (project.show(1), project.read("0001-first.md"));
    project.remove("0001-first.md");
    project.oxi("sync").ok().says("oxi-state undo");
    project.oxi("issue show 1").exits(3);
    project.oxi("undo").ok().warns("oxi-state export");
    assert_eq!(project.show(1), record);
    project.oxi("sync").ok();
    assert!(project.exists("0001-first.md"));
    assert!(project.read("0001-first.md").contains("kind: task"), "{text}");
    project.oxi("status --check").ok();
}

#[test]
fn a_deletion_that_is_committed_and_pulled_deletes_the_record() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let clone = project.clone_as("clone");
    clone.oxi("issue list").ok();
    project.oxi("issue delete 1").ok();
    project.oxi("sync").ok();
    project.commit("delete");
    clone.pull(&project);
    assert_eq!(clone.json("sync")["deleted"], json!([1]));
    assert_eq!(clone.all_issues(), project.all_issues());
    clone.oxi("issue create next").ok().prints("3\n");
}

#[test]
fn a_file_that_was_never_committed_is_written_again() {
    let project = project();
    project.oxi("issue create first -b text").ok();
    project.oxi("export").ok();
    let text = project.read("0001-first.md");
    project.remove("0001-first.md");
    let report = project.oxi("sync --json").ok().json();
    assert_eq!((&report["kept"], &report["created"], &report["deleted"]), (&json!([1]), &json!([1]), &json!([])));
    assert_eq!(project.read("0001-first.md"), text);
    project.oxi("status --check").ok();
}

#[test]
fn an_export_alone_writes_a_never_committed_file_again() {
    let project = project();
    project.oxi("issue create first").ok();
    project.oxi("export").ok();
    project.remove("0001-first.md");
    project.oxi("export").ok().says("never committed");
    assert!(project.exists("0001-first.md"));
}

#[test]
fn a_stash_or_a_clean_deletes_no_record() {
    for command in ["stash -q -u", "clean -fdq"] {
        let project = project_with(&[issue(1, "first")]);
        project.oxi("issue create second -b text").ok();
        project.oxi("export").ok();
        project.git(command);
        assert!(!project.exists("0002-second.md"));
        project.oxi("sync").ok();
        assert!(project.exists("0002-second.md"), "{command}");
        assert_eq!(project.field(2, "body"), "text\n");
    }
}

#[test]
fn many_files_gone_at_once_are_not_believed() {
    let project = project_with(&many(30));
    let record = project.show(1);
    remove(&project, 21);
    for command in ["import", "sync", "export"] {
        let run = project.oxi(command);
        if command != "export" {
            run.exits(4).says("21 of 30 issue files are gone").says("--allow-deletes");
        }
        assert_eq!(count(&project), 30, "{command}");
    }
    project.oxi("status --check").exits(4);
    assert_eq!(project.show(1), record);
    project.git("checkout -q -- .");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
    remove(&project, 21);
    let report = project.json("sync --allow-deletes");
    assert_eq!(report["deleted"].as_array().unwrap().len(), 21);
    assert_eq!((count(&project), project.files().len()), (9, 9));
    project.oxi("status --check").ok();
}

#[test]
fn many_files_gone_do_not_hold_up_the_rest() {
    let project = project_with(&many(30));
    remove(&project, 25);
    project.edit("0030-issue-number-30.md", "three", "3");
    project.oxi("issue update 29 -p high").ok();
    project.add(&issue(31, "new"));
    project.oxi("sync").exits(4);
    assert!(project.field(30, "body").contains("\n3\n"));
    assert!(project.read("0029-issue-number-29.md").contains("priority: high"));
    assert_eq!(project.field(31, "title"), "new");
    assert_eq!(count(&project), 31);
}

#[test]
fn twenty_files_or_a_third_may_go() {
    for (all, gone) in [(25, 20), (90, 30)] {
        let project = project_with(&many(all));
        remove(&project, gone);
        let report = project.json("sync");
        assert_eq!(report["deleted"].as_array().unwrap().len(), gone);
    }
}

#[test]
fn many_deletions_that_were_committed_are_believed() {
    let project = project_with(&many(30));
    let clone = project.clone_as("clone");
    clone.oxi("issue list").ok();
    remove(&project, 25);
    project.oxi("sync --allow-deletes").ok();
    project.commit("clear out");
    clone.pull(&project);
    clone.oxi("sync").ok();
    assert_eq!(count(&clone), 5);
}

#[test]
fn the_deletion_of_the_last_issue_arrives_though_git_takes_the_folder_away() {
    let project = project_with(&[issue(1, "first")]);
    let clone = project.clone_as("clone");
    clone.oxi("issue list").ok();
    project.oxi("issue delete 1").ok();
    project.oxi("sync").ok();
    project.commit("the last");
    clone.pull(&project);
    assert!(!clone.path(".oxi/issues").exists());
    clone.oxi("sync").ok().says("#1 deleted");
    clone.oxi("status --check").ok();
    assert_eq!(count(&clone), 0);
}

#[test]
fn a_missing_issues_folder_deletes_nothing() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    std::fs::remove_dir_all(project.path(".oxi/issues")).unwrap();
    project.oxi("import").exits(4).says("folder is missing").says("--allow-deletes");
    assert_eq!(count(&project), 2);
    project.oxi("import --allow-deletes").ok();
    assert_eq!(count(&project), 0);
}

#[test]
fn sparse_checkout_is_no_deletion() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.git("update-index --skip-worktree .oxi/issues/0001-first.md");
    project.remove("0001-first.md");
    let report = project.oxi("sync --json").ok().json();
    assert_eq!(report["deleted"], json!([]));
    assert_eq!(count(&project), 2);
    assert!(!project.exists("0001-first.md"), "and it is not written again");
    project.oxi("status --check").ok();
}

#[test]
fn a_change_of_an_issue_that_a_sparse_checkout_hides_waits_for_its_file() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.oxi("sync").ok();
    project.git("sparse-checkout set --no-cone '/*' '!/.oxi/issues/0002*'");
    project.oxi("issue update 2 --priority high").ok();
    project.oxi("sync").ok().says("#2 waits: sparse checkout leaves its file out");
    project.oxi("status --check").ok();
    project.git("sparse-checkout disable");
    project.oxi("status --check").exits(4);
    project.oxi("sync").ok();
    assert!(project.read("0002-second.md").contains("priority: high"));
}

#[test]
fn a_sparse_folder_is_no_deletion() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.git("sparse-checkout set --no-cone '/*' '!/.oxi/issues/'");
    assert!(!project.exists("0001-first.md"));
    let report = project.oxi("sync --json").ok();
    assert_eq!(report.json()["deleted"], json!([]));
    assert_eq!(count(&project), 2);
    project.git("sparse-checkout disable");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn in_the_middle_of_a_merge_or_rebase_nothing_is_deleted() {
    for sign in ["MERGE_HEAD", "rebase-merge", "BISECT_LOG"] {
        let project = project_with(&[issue(1, "first"), issue(2, "second")]);
        project.remove("0001-first.md");
        let sign = project.path(".git").join(sign);
        std::fs::write(&sign, project.git("rev-parse HEAD")).unwrap();
        project.oxi("sync").ok().says("is going on in git: nothing is deleted");
        assert_eq!(count(&project), 2, "{}", sign.display());
        std::fs::remove_file(&sign).unwrap();
        assert_eq!(project.json("sync")["deleted"], json!([1]));
    }
}

#[test]
fn a_merge_in_progress_stops_nothing_else() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    std::fs::write(project.path(".git/MERGE_HEAD"), project.git("rev-parse HEAD")).unwrap();
    project.edit("0001-first.md", "three", "3");
    project.oxi("issue update 2 -p high").ok();
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn without_git_only_the_guard_applies() {
    let project = empty_folder();
    for file in many(30) {
        project.add(&file);
    }
    project.oxi("init").ok();
    remove(&project, 1);
    assert_eq!(project.json("sync")["deleted"], json!([1]));
    remove(&project, 22);
    project.oxi("sync").exits(4).says("22 of 29 issue files are gone");
    assert_eq!(count(&project), 29);
    project.oxi("sync --allow-deletes").ok();
    assert_eq!(count(&project), 7);
}

#[test]
fn switching_to_a_branch_without_a_file_deletes_and_back_restores() {
    let project = project_with(&[issue(1, "first")]);
    project.git("switch -q -c other");
    project.oxi("issue create second -b text").ok();
    project.oxi("sync").ok();
    project.commit("second");
    let record = project.show(2);
    project.git("switch -q main");
    // the present branch's history never held the file: nothing says that somebody deleted it
    project.oxi("sync").ok();
    assert_eq!(project.show(2), record);
    project.git("add -A");
    project.commit("taken along");
    project.git("switch -q other");
    project.oxi("sync").ok();
    assert_eq!(project.show(2), record);
    project.oxi("status --check").ok();
}

#[test]
fn a_project_beneath_the_top_of_the_repository_is_told_the_same() {
    let top = project_with(&[issue(99, "another project at the top")]);
    let below = top.beneath("tools/tidewatch");
    for file in many(30) {
        below.add(&file);
    }
    below.oxi("-C . init").ok();
    top.commit("a project below");
    assert_eq!(count(&below), 30);
    remove(&below, 1);
    assert_eq!(below.json("sync")["deleted"], json!([1]));
    below.oxi("issue create fresh").ok();
    below.oxi("export").ok();
    below.remove("0031-fresh.md");
    assert_eq!(below.json("sync")["kept"], json!([31]));
    remove(&below, 22);
    below.oxi("sync").exits(4).says("gone");
    top.commit("gone");
    assert_eq!(below.json("sync")["deleted"].as_array().unwrap().len(), 22);
    assert_eq!((count(&below), count(&top)), (8, 1));
}

#[test]
fn the_variables_that_a_git_hook_sets_are_no_hindrance() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.remove("0001-first.md");
    let variables = [("GIT_DIR", "/nowhere/.git"), ("GIT_INDEX_FILE", "/nowhere/index"), ("GIT_PREFIX", "src/")];
    let run = project.oxi_with("sync --json", &variables).ok();
    assert_eq!(run.json()["deleted"], json!([1]));
}

#[test]
fn without_the_git_program_queries_and_changes_work() {
    let project = project_with(&[issue(1, "first")]);
    let nothing = [("PATH", "/nowhere")];
    project.oxi_with("issue list", &nothing).ok().says("first");
    project.oxi_with("issue create second", &nothing).ok();
    let clone = project.clone_as("clone");
    clone.oxi_with("issue list", &nothing).ok().says("first");
    project.oxi_with("sync", &nothing).ok();
    assert!(project.exists("0002-second.md"));
}

#[test]
fn what_a_file_holds_beside_its_fields_is_not_lost_with_a_deleted_record() {
    let handoff = "handoffs:\n- id: 01M7YST6MK1CHA5X347K759FY9\n  from: Bob\n  state: pending\n  summary: PRECIOUS\n  \
                   created_at: 2026-11-21T10:18:16Z\n  updated_at: 2026-11-21T10:18:16Z\n---\n";
    for (from, to) in [("sessions:", "customer: PRECIOUS\nsessions:"), ("\n---\n", &format!("\n{handoff}"))] {
        let project = project_with(&[issue(1, "first")]);
        project.oxi("issue delete 1").ok();
        project.edit("0001-first.md", from, to);
        project.oxi("sync").ok().says("#1 restored: it was deleted here, but its file was edited");
        assert!(project.read("0001-first.md").contains("PRECIOUS"));
        assert!(project.oxi("issue show 1 --json").ok().stdout.contains("PRECIOUS"));
        project.oxi("status --check").ok();
    }
    // a comment alone brings nothing back, but is in the log
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue delete 1").ok();
    project.edit("0001-first.md", "status: open", "status: open # PRECIOUS");
    project.oxi("sync").ok();
    assert!(!project.exists("0001-first.md"));
    assert!(project.oxi("log --json").ok().stdout.contains("PRECIOUS"));
    project.oxi("status --check").ok();
}
