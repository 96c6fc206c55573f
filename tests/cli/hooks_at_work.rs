//! What hooks do when git runs them: they check before, take in after, and never stand in the way.

use crate::hooks::{HOOKS, try_commit, with_hooks};
use crate::project::{issue, repository};

#[test]
fn a_commit_waits_until_files_and_database_are_in_step() {
    let project = with_hooks();
    project.oxi("issue update 1 -p high").ok();
    let said = try_commit(&project).unwrap_err();
    assert!(said.contains("to import 0, to export 1") && said.contains("run `oxi-state sync`"), "{said}");
    project.oxi("sync").ok();
    try_commit(&project).unwrap();
    // by hand
    project.edit("0002-second.md", "one", "ONE");
    let said = try_commit(&project).unwrap_err();
    assert!(said.contains("to import 1, to export 0"), "{said}");
    project.git("commit -q --no-verify -m anyway");
    project.oxi("import").ok();
    try_commit(&project).unwrap();
    // without a database there is nothing to be in step with
    project.drop_database();
    project.edit("0002-second.md", "two", "TWO");
    try_commit(&project).unwrap();
    assert!(!project.path(".oxi/state.redb").exists());
}

#[test]
fn a_bad_file_is_not_committed_whatever_index_is_used() {
    let project = with_hooks();
    let good = project.read("0001-first.md");
    project.write("0001-first.md", good.replace("status: open", "status: opne"));
    let place = ".oxi/issues/0001-first.md:4: the value of status must be open or closed";
    for line in ["commit -q -a -m x", "commit -q -m x .oxi/issues/0001-first.md"] {
        let output = project.try_git(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(&format!("staged bad file {place}")), "{line}: {said}");
    }
    // staged and mended since: what is staged counts, and in another index it is not
    project.git("add -A");
    project.write("0001-first.md", &good);
    let said = String::from_utf8(project.try_git("commit -q -m x").stderr).unwrap();
    assert!(said.contains(place), "{said}");
    project.write("other.txt", "x");
    project.git("commit -q -a --allow-empty -m mended");
    project.write("0003-third.md", issue(4, "third").text());
    assert!(try_commit(&project).unwrap_err().contains("its name says issue 3, its frontmatter says 4"));
}

#[test]
fn the_first_commit_is_checked_too() {
    let project = repository();
    project.oxi("init --hooks").ok();
    project.add(&issue(1, "first"));
    assert!(try_commit(&project).unwrap_err().contains("to import 1"));
    project.oxi("sync").ok();
    try_commit(&project).unwrap();
}

#[test]
fn a_pull_is_taken_in_by_itself() {
    let project = with_hooks();
    let other = project.clone_as("other");
    other.oxi("hooks install").ok();
    other.oxi("issue update 1 -p high").ok();
    other.oxi("issue create third").ok();
    other.oxi("issue delete 2").ok();
    other.oxi("sync").ok();
    other.commit("work");
    project.write("../../notes.txt", "a merge, not a fast forward");
    project.commit("notes");
    let index = project.git("stash list");
    project.git(&format!("fetch -q {} main", other.root.display()));
    let output = project.try_git("merge -q --no-edit FETCH_HEAD");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!((project.field(1, "priority"), project.field(3, "title")), ("high".into(), "third".into()));
    project.oxi("issue show 2").exits(3);
    project.oxi("status --check").ok();
    assert_eq!((project.git("status --porcelain"), project.git("stash list")), (String::new(), index));
}

#[test]
fn switching_branches_and_rebasing_are_taken_in() {
    let project = with_hooks();
    project.git("switch -q -c work");
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue create third").ok();
    project.oxi("sync").ok();
    project.commit("work");
    project.git("switch -q main");
    assert_eq!(project.field(1, "priority"), "medium");
    // this branch never held it: it is kept, and waits for an export
    assert_eq!((project.field(3, "title"), project.exists("0003-third.md")), ("third".into(), false));
    project.oxi("issue update 2 -p low").ok();
    project.oxi("issue delete 1").ok();
    project.oxi("sync").ok();
    project.commit("main");
    project.git("switch -q work");
    assert_eq!((project.field(1, "priority"), project.field(3, "title")), ("high".into(), "third".into()));
    // deleted there and changed here: git asks, and the edit wins
    let output = project.try_git("rebase -q main");
    assert!(!output.status.success());
    project.git("add .oxi");
    project.git("-c core.editor=true rebase --continue");
    project.oxi("status --check").ok();
    assert_eq!((project.field(1, "priority"), project.field(2, "priority")), ("high".into(), "low".into()));
    project.git("checkout -q HEAD~1 -- .oxi/issues/0002-second.md");
    project.oxi("status --check").ok();
}

#[test]
fn a_rebase_that_deletes_is_taken_in_at_its_end() {
    let project = with_hooks();
    project.git("switch -q -c work");
    project.write("../../notes.txt", "x");
    project.commit("notes");
    project.git("switch -q main");
    project.oxi("issue delete 2").ok();
    project.oxi("sync").ok();
    project.commit("delete");
    project.git("switch -q work");
    assert_eq!(project.field(2, "title"), "second");
    project.git("rebase -q main");
    project.oxi("issue show 2").exits(3);
    project.oxi("status --check").ok();
}

#[test]
fn a_collision_moves_no_file_before_somebody_syncs() {
    let project = with_hooks();
    let other = project.clone_as("other");
    other.oxi("hooks install").ok();
    for (clone, title) in [(&project, "mine"), (&other, "theirs")] {
        clone.oxi(&format!("issue create {title}")).ok();
        clone.oxi("sync").ok();
        clone.commit(title);
    }
    other.git(&format!("fetch -q {} main", project.root.display()));
    let output = other.try_git("merge -q --no-edit FETCH_HEAD");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("run `oxi-state sync` and commit"), "{said}");
    assert_eq!(other.git("status --porcelain"), "", "no file was moved");
    assert_eq!(other.field(3, "title"), "theirs");
    let hub = project.clone_as("hub.git");
    let push = || other.try_git(&format!("push -q {} HEAD:refs/heads/x", hub.root.display()));
    let refused = push();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("two issues numbered 3"), "{said}");
    other.oxi("sync").ok();
    assert!(!push().status.success(), "synced, but not committed");
    try_commit(&other).unwrap();
    assert!(push().status.success());
    assert_eq!((other.field(3, "title"), other.field(4, "title")), ("mine".into(), "theirs".into()));
}

#[test]
fn a_push_waits_until_files_and_database_are_in_step() {
    let project = with_hooks();
    let hub = project.clone_as("hub.git");
    project.oxi("issue close 1").ok();
    let push = |more: &str| project.try_git(&format!("push -q {more} {} HEAD:refs/heads/x", hub.root.display()));
    let refused = push("");
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("to export 1"));
    assert!(push("--no-verify").status.success());
}

#[test]
fn a_merge_in_progress_can_be_committed() {
    let project = with_hooks();
    let other = project.clone_as("other");
    other.oxi("issue delete 2").ok();
    other.edit("0001-first.md", "three", "THEIRS");
    other.oxi("sync").ok();
    other.commit("work");
    project.edit("0001-first.md", "three", "OURS");
    project.oxi("sync").ok();
    project.commit("work");
    project.git(&format!("fetch -q {} main", other.root.display()));
    assert!(!project.try_git("merge -q --no-edit FETCH_HEAD").status.success());
    // with the markers in it, it is a bad file
    let said = try_commit(&project).unwrap_err();
    assert!(said.contains("the file holds a git conflict marker"), "{said}");
    let text = project.read("0001-first.md");
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with(['<', '=', '>'])).collect();
    project.write("0001-first.md", text);
    try_commit(&project).unwrap();
    project.oxi("sync").ok();
    project.oxi("issue show 2").exits(3);
}

#[test]
fn hooks_never_fail_git_when_something_is_wrong() {
    let project = with_hooks();
    // a database that cannot be read
    std::fs::write(project.path(".oxi/state.redb"), "no database").unwrap();
    project.git("switch -q -c other");
    project.git("commit -q --allow-empty -m x");
    project.git("commit -q --amend --allow-empty -m y");
    project.git("switch -q main");
    project.git("merge -q other");
    // the program is gone
    for hook in HOOKS {
        let path = project.path(".git/hooks").join(hook);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(env!("CARGO_BIN_EXE_oxi-state"), "/nowhere/oxi-state")).unwrap();
    }
    let output = project.try_git("commit -q --allow-empty -m z");
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("pre-commit hook did nothing"));
    // a branch that has no project
    project.oxi("hooks install").ok();
    project.git("checkout -q --orphan empty");
    project.git("rm -rqf .");
    std::fs::remove_dir_all(project.path(".oxi")).unwrap();
    project.git("commit -q --allow-empty -m none");
    project.git("switch -q main");
}

#[test]
fn a_merge_that_makes_no_commit_is_taken_in_too() {
    let project = with_hooks();
    let other = project.clone_as("other");
    other.edit("0001-first.md", "priority: medium", "priority: high");
    other.git("commit -qam edit");
    project.git(&format!("fetch -q {} main", other.root.display()));
    project.git("merge -q --squash FETCH_HEAD");
    assert_eq!(project.field(1, "priority"), "high");
}

#[test]
fn a_branch_without_issues_can_be_committed_to() {
    let project = repository();
    std::fs::write(project.path("README"), "x").unwrap();
    project.commit("zero");
    project.oxi("init --hooks").ok();
    project.oxi("issue create first").ok();
    project.oxi("sync").ok();
    try_commit(&project).unwrap();
    project.git("switch -q --create pages HEAD~1");
    assert!(!project.path(".oxi/issues").exists());
    std::fs::write(project.path("index.html"), "x").unwrap();
    project.git("add index.html");
    project.git("commit -q -m page");
    project.git("switch -q main");
    project.oxi("status --check").ok();
    // where the folder is gone from a branch that has it, the check says so
    std::fs::remove_dir_all(project.path(".oxi/issues")).unwrap();
    assert!(!project.try_git("commit -q --allow-empty -m x").status.success());
}

#[test]
fn a_database_does_not_get_into_a_commit() {
    let project = with_hooks();
    project.git("add -f .oxi/state.redb");
    let output = project.try_git("commit -q -m oops");
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("run `git rm --cached .oxi/state.redb`"), "{said}");
    project.git("rm -q --cached .oxi/state.redb");
    assert!(project.path(".oxi/state.redb").exists());
    project.git("commit -q --allow-empty -m fine");
    project.oxi("issue list").ok();
    // one that got there all the same is not pushed
    project.git("add -f .oxi/state.redb");
    project.git("commit -q --no-verify -m oops");
    let hub = project.clone_as("hub");
    let push = project.try_git(&format!("push -q {} main:other", hub.root.display()));
    assert!(!push.status.success());
}
