//! A database that git tracks is refused, whenever it was added; and git is asked only when its index changed.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::project::{Project, issue, project_with, repository};

const ADD: &str = "add -f .oxi/state.redb";
const TAKE_OUT: &str = "rm -q --cached .oxi/state.redb";

const COMMANDS: [&str; 8] =
    ["issue list", "issue create x", "issue close 1", "log", "undo", "compact", "backup ../backup.redb", "conflicts"];

/// Waits until the index was last changed before the present tick of the file system's clock.
fn let_the_index_settle(project: &Project) {
    let changed =
        || SystemTime::now().duration_since(project.path(".git/index").metadata().unwrap().modified().unwrap());
    while changed().is_ok_and(|age| age < Duration::from_millis(50)) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn refuses(project: &Project, command: &str) {
    let run = project.oxi(command).exits(9).warns("error: .oxi/state.redb is tracked by git");
    run.prints("").warns("hint: run `git rm --cached .oxi/state.redb`");
}

#[test]
fn a_database_that_is_added_by_force_after_it_was_met_is_refused_until_it_is_taken_out() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue create second").ok();
    project.oxi("issue list").ok().says("second");
    let_the_index_settle(&project);
    project.oxi("issue list").ok();
    project.git(ADD);
    for command in COMMANDS {
        refuses(&project, command);
    }
    project.git("commit -q -m hostile");
    for command in COMMANDS {
        refuses(&project, command);
    }
    assert!(!project.root.with_file_name("backup.redb").exists());
    // nothing was lost or written, and nothing need be done but that
    project.git(TAKE_OUT);
    project.oxi("issue list").ok().says("second").says_not(" x\n");
    project.oxi("issue create third").ok();
    project.oxi("undo").ok().says("#3");
}

#[test]
fn it_does_not_matter_how_soon_after_a_look_the_index_changes() {
    let project = project_with(&[issue(1, "first")]);
    for _ in 0..10 {
        project.oxi("issue list").ok();
        project.git(ADD);
        project.oxi("issue list").exits(9);
        project.git(TAKE_OUT);
    }
    project.oxi("issue list").ok();
}

#[test]
fn a_work_tree_and_a_submodule_have_an_index_of_their_own() {
    let main = project_with(&[issue(1, "first")]);
    let linked = main.work_tree("linked");
    let inner = project_with(&[issue(1, "inner")]);
    main.git(&format!("-c protocol.file.allow=always submodule add -q {} inner", inner.root.display()));
    let module = main.beneath("inner");
    for project in [&main, &linked, &module] {
        project.oxi("issue list").ok();
        project.oxi("issue list").ok();
    }
    for tracking in [&linked, &module] {
        tracking.git(ADD);
        for project in [&main, &linked, &module] {
            let code = if std::ptr::eq(project, tracking) { 9 } else { 0 };
            project.oxi("issue list").exits(code);
            project.oxi("issue create x").exits(code);
        }
        tracking.git(TAKE_OUT);
        tracking.oxi("issue list").ok();
    }
}

#[test]
fn a_repository_that_is_made_later_is_noticed() {
    let project = repository();
    let beneath = project.beneath("app");
    beneath.oxi("issue create first").ok();
    beneath.oxi("issue list").ok();
    // the first index of the repository around it
    project.git("add -f app/.oxi/state.redb");
    refuses(&beneath, "issue list");
    project.git("rm -q --cached app/.oxi/state.redb");
    beneath.oxi("issue list").ok();
    // and a nearer one
    beneath.git("init -q");
    beneath.oxi("issue list").ok();
    beneath.git(ADD);
    refuses(&beneath, "issue list");
    std::fs::remove_dir_all(beneath.path(".git")).unwrap();
    beneath.oxi("issue list").ok();
}

#[test]
fn the_index_that_a_hook_names_is_not_asked() {
    let project = project_with(&[issue(1, "first")]);
    let variables = [("GIT_DIR", "/nowhere/.git"), ("GIT_INDEX_FILE", "/nowhere/index")];
    project.oxi_with("issue list", &variables).ok();
    project.git(ADD);
    project.oxi_with("issue list", &variables).exits(9);
}

#[test]
fn where_git_is_not_installed_nothing_is_noted_for_those_who_have_it() {
    let project = project_with(&[issue(1, "first")]);
    project.git(ADD);
    let_the_index_settle(&project);
    project.oxi_with("issue list", &[("PATH", "/nowhere")]).ok();
    refuses(&project, "issue list");
}

#[test]
fn a_git_that_fails_stops_nobody_who_met_the_database_before() {
    let main = project_with(&[issue(1, "first")]);
    let linked = main.work_tree("linked");
    linked.oxi("issue create second").ok();
    linked.oxi("issue list").ok();
    // as a container sees it that has the work tree alone
    let (there, away) = (main.path(".git"), main.path("away"));
    std::fs::rename(&there, &away).unwrap();
    linked.oxi("issue list").ok().says("second").silent();
    linked.oxi("issue create third").ok();
    std::fs::copy(linked.path(".oxi/state.redb"), linked.path("copy")).unwrap();
    std::fs::rename(linked.path("copy"), linked.path(".oxi/state.redb")).unwrap();
    linked.oxi("issue list").exits(1).warns("git could not say whether it tracks the database");
    std::fs::rename(&away, &there).unwrap();
    linked.oxi("issue list").ok().says("third");
}

#[test]
fn git_is_not_run_while_its_index_stays_the_same() {
    let project = project_with(&[issue(1, "first")]);
    // of which only git itself can tell what it holds
    project.git("update-index --index-version 4");
    let_the_index_settle(&project);
    let (folder, calls) = (project.scratch().join("bin"), project.scratch().join("calls"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("git"), format!("#!/bin/sh\necho \"$@\" >> {}\n", calls.display())).unwrap();
    std::fs::set_permissions(folder.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.display().to_string();
    let asked = || {
        project.oxi_with("issue list", &[("PATH", &path)]).ok();
        std::fs::read_to_string(&calls).unwrap_or_default().lines().count()
    };
    assert_eq!([asked(), asked(), asked()], [1, 1, 1]);
    std::fs::write(project.path("new"), "x").unwrap();
    project.git("add new");
    let_the_index_settle(&project);
    assert_eq!([asked(), asked(), asked()], [2, 2, 2]);
}
