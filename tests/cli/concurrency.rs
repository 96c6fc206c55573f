//! Many processes at once.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use crate::project::{Project, Run, issue, number, project, project_with};

fn start(project: &Project, line: &str) -> (String, Child) {
    let child = project.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (line.to_owned(), child)
}

fn finish(started: Vec<(String, Child)>) -> Vec<Run> {
    started.into_iter().map(|(line, child)| Run::of(&line, child.wait_with_output().unwrap()).ok()).collect()
}

#[test]
fn of_32_processes_that_create_at_once_none_fails_and_no_number_is_given_twice() {
    let project = project();
    let writers: Vec<_> =
        (0..32).map(|number| start(&project, &format!("--lock-timeout 60 issue create title{number}"))).collect();
    let readers: Vec<_> = (0..8).map(|_| start(&project, "--lock-timeout 60 issue list --json")).collect();
    let ids: BTreeSet<u32> = finish(writers).iter().map(|run| run.stdout.trim().parse().unwrap()).collect();
    assert_eq!(ids, (1..=32).collect());
    for run in finish(readers) {
        assert!(run.json().as_array().unwrap().len() <= 32);
    }
    let list = project.json("issue list");
    let titles: BTreeSet<&str> =
        list.as_array().unwrap().iter().map(|issue| issue["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), 32);
    project.oxi("sync").ok();
    assert_eq!(project.files().len(), 32);
    project.oxi("status --check").ok();
}

#[test]
fn the_first_32_processes_in_a_fresh_clone_build_one_database() {
    let clone = project_with(&[issue(1, "first"), issue(2, "second")]).clone_as("clone");
    let started = (0..32)
        .map(|number| {
            let line = if number % 4 == 0 { "issue create new" } else { "issue list --json" };
            start(&clone, &format!("--lock-timeout 60 {line}"))
        })
        .collect();
    for run in finish(started) {
        if run.stdout.starts_with('[') {
            assert!(run.json().as_array().unwrap().len() >= 2, "{run:?}");
        }
    }
    let list = clone.json("issue list --sort id");
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|issue| number(&issue["id"])).collect();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>());
}

#[test]
fn updates_of_one_issue_at_once_are_all_there() {
    let project = project_with(&[issue(1, "first")]);
    let started =
        (0..16).map(|number| start(&project, &format!("--lock-timeout 60 issue update 1 --add-label l{number}")));
    finish(started.collect());
    assert_eq!(project.show(1)["labels"].as_array().unwrap().len(), 16);
}

#[test]
fn of_many_guarded_updates_one_wins() {
    let project = project_with(&[issue(1, "first")]);
    let hash = project.field(1, "hash");
    let line = |number| format!("--lock-timeout 60 issue update 1 --title title{number} --expect {hash}");
    let started: Vec<_> = (0..12).map(|number| start(&project, &line(number))).collect();
    let codes: Vec<_> =
        started.into_iter().map(|(line, child)| Run::of(&line, child.wait_with_output().unwrap()).code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 4).count(), 11, "{codes:?}");
}

#[test]
fn sessions_that_ask_for_the_next_issue_at_once_get_different_ones() {
    let files: Vec<_> = (1..=8).map(|id| issue(id, &format!("issue {id}"))).collect();
    let project = project_with(&files);
    let started = (0..8)
        .map(|number| start(&project, &format!("--lock-timeout 60 --session s{number} issue next --start --json")));
    let got: BTreeSet<u32> = finish(started.collect()).iter().map(|run| number(&run.json()["id"])).collect();
    assert_eq!(got.len(), 8);
}

#[test]
fn changes_while_others_sync_are_neither_lost_nor_left_out() {
    let project = project_with(&[issue(1, "first")]);
    let started = (0..24)
        .map(|number| {
            let line = match number % 3 {
                0 => format!("issue create title{number}"),
                1 => format!("issue update 1 --add-label l{number}"),
                _ => "sync".to_owned(),
            };
            start(&project, &format!("--lock-timeout 60 {line}"))
        })
        .collect();
    finish(started);
    project.oxi("sync").ok();
    assert_eq!(project.files().len(), 9);
    assert_eq!(project.show(1)["labels"].as_array().unwrap().len(), 8);
    project.oxi("status --check").ok();
    let left: Vec<_> =
        std::fs::read_dir(project.path(".oxi/issues")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 9, "no temporary file is left: {left:?}");
}

#[test]
fn a_process_killed_at_any_time_leaves_a_sound_database() {
    let project = project_with(&[issue(1, "first")]);
    for delay in 0..12 {
        let (_, mut child) = start(&project, "issue update 1 --append more");
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        project.oxi("issue list").ok().says("first");
    }
    project.oxi("issue create second").ok().prints("2\n");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}
