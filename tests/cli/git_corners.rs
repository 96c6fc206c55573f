//! Corners of git, each with what happens there. Files that are stashed, cleaned away or kept out by a sparse checkout are
//! in `deletions`, claims of linked work trees in `worktrees`, hooks in all of these places in `hooks`.

use serde_json::json;

use crate::project::{Project, issue, project_with, repository};

fn titles(project: &Project) -> Vec<String> {
    let list = project.json("issue list --status all --sort id");
    list.as_array().unwrap().iter().map(|issue| issue["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn linked_work_trees_have_a_database_each_and_git_carries_issues_between_them() {
    let main = project_with(&[issue(1, "first")]);
    let linked = main.work_tree("linked");
    linked.oxi("issue create second").ok();
    linked.oxi("issue update 1 -p high").ok();
    assert_eq!((titles(&main).len(), main.field(1, "priority")), (1, "medium".into()));
    linked.oxi("sync").ok();
    linked.commit("work");
    main.git("merge -q linked");
    main.oxi("sync").ok();
    assert_eq!(main.all_issues(), linked.all_issues());
    // a work tree that is removed takes its database with it, and nothing else
    main.git(&format!("worktree remove --force {}", linked.root.display()));
    main.oxi("status --check").ok();
}

#[test]
fn a_work_tree_that_was_moved_is_found_again() {
    let main = project_with(&[issue(1, "first")]);
    let mut linked = main.work_tree("linked");
    linked.oxi("issue create second").ok();
    let moved = main.root.with_file_name("moved");
    main.git(&format!("worktree move {} {}", linked.root.display(), moved.display()));
    linked.root = moved;
    linked.oxi("sync").ok();
    assert_eq!(titles(&linked), ["first", "second"]);
}

#[test]
fn a_bare_repository_has_no_project_and_its_work_trees_do() {
    let origin = project_with(&[issue(1, "first")]);
    let place = repository();
    place.git(&format!("clone -q --bare {} bare.git", origin.root.display()));
    place.oxi_in("bare.git", "issue list").exits(3);
    place.git(&format!("-C bare.git worktree add -q -b one {}", place.path("one").display()));
    let tree = place.beneath("one");
    assert_eq!(titles(&tree), ["first"]);
    tree.remove("0001-first.md");
    assert_eq!(tree.json("sync")["deleted"], json!([1]), "git's history is asked there, too");
}

#[test]
fn a_submodule_is_a_project_of_its_own() {
    let inner = project_with(&[issue(1, "inner")]);
    let outer = project_with(&[issue(1, "outer")]);
    outer.git(&format!("-c protocol.file.allow=always submodule add -q {} inner", inner.root.display()));
    outer.commit("submodule");
    let module = outer.beneath("inner");
    assert_eq!((titles(&module), titles(&outer)), (vec!["inner".into()], vec!["outer".into()]));
    module.oxi("issue create second").ok();
    module.oxi("sync").ok();
    assert_eq!(titles(&outer), ["outer"]);
    module.remove("0001-inner.md");
    assert_eq!(module.json("sync")["deleted"], json!([1]), "its own history is asked");
    // one without issues does not fall back to the project around it
    let plain = repository();
    plain.commit("begin");
    outer.git(&format!("-c protocol.file.allow=always submodule add -q {} plain", plain.root.display()));
    outer.oxi_in("plain", "issue list").exits(3);
}

#[test]
fn cleaning_away_what_is_ignored_loses_only_what_was_never_exported() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue create second").ok();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("sync").ok();
    project.commit("work");
    project.oxi("issue update 1 -p critical").ok();
    project.oxi("issue create third").ok();
    project.git("clean -fdXq");
    assert!(!project.path(".oxi/state.redb").exists() && !project.path(".oxi/state.lock").exists());
    assert_eq!(titles(&project), ["first", "second"]);
    assert_eq!(project.field(1, "priority"), "high");
    project.oxi("status --check").ok();
    // and with hooks, which lie outside of it
    project.oxi("hooks install").ok();
    project.git("clean -fdXq");
    project.git("commit -q --allow-empty -m x");
    project.oxi("hooks status").ok().says("pre-commit     installed");
}

#[test]
fn a_stash_of_edits_goes_and_comes_back() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue update 1 -p high").ok();
    project.oxi("sync").ok();
    project.git("stash -q");
    // the files say what was committed, and so do the records
    project.oxi("sync").ok();
    assert_eq!(project.field(1, "priority"), "medium");
    project.git("stash pop -q");
    project.oxi("sync").ok();
    assert_eq!(project.field(1, "priority"), "high");
    // what the record got since is merged with what comes back
    project.git("stash -q");
    project.oxi("sync").ok();
    project.oxi("issue update 1 --add-label x").ok();
    project.git("stash pop -q");
    project.oxi("sync").ok();
    assert_eq!((project.field(1, "priority"), project.field(1, "labels")), ("high".into(), "[\"x\"]".into()));
    project.oxi("status --check").ok();
}

#[test]
fn a_new_issue_is_written_past_a_sparse_checkout() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.git("sparse-checkout set --no-cone '/*' '!/.oxi/issues/'");
    project.oxi("issue create third").ok();
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0003-third.md"]);
    assert_eq!(titles(&project), ["first", "second", "third"]);
    project.git("sparse-checkout disable");
    project.oxi("sync").ok();
    assert_eq!(project.files().len(), 3);
    project.oxi("status --check").ok();
}

#[test]
fn in_a_rebase_that_stopped_the_rest_goes_on() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let other = project.clone_as("other");
    for (clone, word) in [(&project, "LEFT"), (&other, "RIGHT")] {
        clone.edit("0001-first.md", "three", word);
        clone.oxi("sync").ok();
        clone.commit("edit");
    }
    project.git(&format!("fetch -q {} main", other.root.display()));
    assert!(!project.try_git("rebase -q FETCH_HEAD").status.success());
    project.remove("0002-second.md");
    let report = project.oxi("sync --json").exits(4).json();
    assert_eq!((&report["conflicts"], &report["kept"], &report["deleted"]), (&json!([1]), &json!([2]), &json!([])));
    project.oxi("issue create meanwhile").ok();
    project.oxi("resolve 1 --union").ok();
    project.oxi("sync").ok();
    project.git("add .oxi/issues/0001-first.md");
    project.git("checkout -q -- .oxi/issues/0002-second.md");
    project.git("-c core.editor=true rebase --continue");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
    assert_eq!(titles(&project), ["first", "second", "meanwhile"]);
    assert!(project.field(1, "body").contains("LEFT") && project.field(1, "body").contains("RIGHT"));
    // and one that is given up
    let copy = other.clone_as("copy");
    copy.edit("0002-second.md", "three", "MINE");
    copy.oxi("sync").ok();
    copy.commit("mine");
    other.edit("0002-second.md", "three", "YOURS");
    other.commit("yours");
    copy.git("fetch -q origin main");
    assert!(!copy.try_git("rebase -q FETCH_HEAD").status.success());
    copy.oxi("sync").exits(4);
    copy.git("rebase --abort");
    copy.oxi("sync").ok();
    assert!(copy.field(2, "body").contains("MINE"));
    copy.oxi("status --check").ok();
}

#[test]
fn a_shallow_clone_tells_deletions_as_well_as_it_can() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let shallow = project.root.with_file_name("shallow");
    project.git(&format!("clone -q --depth 1 file://{} {}", project.root.display(), shallow.display()));
    let mut clone = project.clone_as("other");
    clone.root = shallow;
    clone.oxi("sync").ok();
    clone.remove("0002-second.md");
    assert_eq!(clone.json("sync")["deleted"], json!([2]));
}

#[test]
fn an_import_since_a_revision_looks_at_what_commits_changed() {
    let project = project_with(&[issue(1, "first"), issue(2, "second"), issue(3, "third")]);
    project.oxi("sync").ok();
    project.commit("begin");
    let before = project.git("rev-parse HEAD").trim().to_owned();
    project.edit("0001-first.md", "priority: medium", "priority: high");
    project.git("commit -qam edit");
    // an edit that is not committed waits; a new file and a missing one do not
    project.edit("0002-second.md", "priority: medium", "priority: high");
    std::fs::write(project.path(".oxi/issues/0004-fourth.md"), issue(4, "fourth").text()).unwrap();
    std::fs::remove_file(project.path(".oxi/issues/0003-third.md")).unwrap();
    let report = project.json(&format!("import --since {before}"));
    assert_eq!(report["updated"], json!([1]));
    assert_eq!(report["created"], json!([4]));
    assert_eq!(report["deleted"], json!([3]));
    assert_eq!(project.field(2, "priority"), "medium");
    project.oxi("status --check").exits(4);
    assert_eq!(project.json("import")["updated"], json!([2]));
    project.oxi("status --check").exits(0);
}

#[test]
fn an_import_since_what_is_no_revision_takes_in_nothing() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("sync").ok();
    project.edit("0001-first.md", "priority: medium", "priority: high");
    for revision in ["nowhere", "--output=x", "HEAD:.oxi"] {
        let run = project.oxi(&format!("import --since={revision}")).exits(1);
        assert!(run.stderr.contains("error: git could not say what has changed"), "{}", run.stderr);
    }
    assert_eq!(project.field(1, "priority"), "medium");
    assert_eq!(project.git("status --porcelain --untracked-files=all").lines().count(), 1, "nothing was written");
}

#[test]
fn a_revert_takes_back_what_a_command_added() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.oxi("sync").ok();
    project.commit("begin");
    project.git("branch before");
    project.oxi("issue dep add 2 1").ok();
    project.oxi("sync").ok();
    project.commit("second waits");
    // the branch from before it, which has only what the original program writes, too
    project.git("switch -q before");
    assert_eq!(project.json("sync")["updated"], json!([2]));
    assert_eq!(project.show(2)["depends_on"], json!([]));
    project.git("switch -q main");
    project.oxi("sync").ok();
    assert_eq!(project.show(2)["depends_on"], json!([1]));
    project.git("revert --no-edit HEAD");
    project.oxi("status --check").exits(4);
    project.oxi("sync").ok();
    assert_eq!(project.show(2)["depends_on"], json!([]));
    assert_eq!(project.git("status --porcelain"), "", "the revert holds");
}

#[test]
fn issues_that_were_put_away_before_any_was_committed_are_written_again() {
    let project = repository();
    project.oxi("init").ok();
    project.commit("begin");
    project.oxi("issue create first").ok();
    project.oxi("sync").ok();
    project.git("stash -q -u");
    assert!(!project.path(".oxi/issues").exists());
    let report = project.json("sync");
    assert_eq!((&report["kept"], &report["created"]), (&json!([1]), &json!([1])));
    project.oxi("status --check").ok();
}
