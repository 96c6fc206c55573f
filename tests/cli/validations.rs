//! Checks that were run, and how they ended.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::processes::send;
use crate::project::{Project, keys, project};

const RESULT: &str = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

fn committed() -> Project {
    let project = project();
    std::fs::write(project.path("code"), "one\n").unwrap();
    project.git("add -A");
    project.commit("one");
    project
}

fn last(project: &Project) -> Value {
    project.json("validation list --limit 1")[0].clone()
}

#[test]
fn a_run_passes_everything_through_and_is_noted() {
    let project = committed();
    project.oxi("issue create 'Fix login'").ok();
    let script = format!("echo out; echo err >&2; echo \"{RESULT}\"");
    let run = project.oxi(&format!("validation run --issue 1 --name test -- sh -c '{script}'")).ok();
    assert_eq!(run.stdout, format!("out\n{RESULT}\n"));
    assert!(run.stderr.starts_with("err\n") && run.stderr.contains("test passed in 0."), "{}", run.stderr);
    let noted = last(&project);
    assert_eq!(
        keys(&noted),
        [
            "id",
            "name",
            "result",
            "command",
            "exit_code",
            "signal",
            "duration_ms",
            "commit",
            "branch",
            "dirty",
            "summary",
            "issue",
            "session",
            "at",
            "updated_at",
            "issue_number",
            "pinned",
            "stale",
            "hash"
        ]
    );
    for (field, value) in [
        ("name", json!("test")),
        ("result", json!("passed")),
        ("exit_code", json!(0)),
        ("branch", json!("main")),
        ("dirty", json!(false)),
        ("summary", json!(RESULT)),
        ("issue_number", json!(1)),
        ("pinned", json!(false)),
        ("stale", json!(false)),
    ] {
        assert_eq!(noted[field], value, "{field}");
    }
    assert_eq!(noted["commit"].as_str().unwrap(), project.git("rev-parse HEAD").trim());
    let id = noted["id"].as_str().unwrap();
    assert_eq!(project.json(&format!("validation show {}", &id[..20])), noted);
    assert_eq!(project.json("validation last test"), noted);
}

#[test]
fn its_exit_code_is_the_commands() {
    let project = committed();
    for (script, code, result, exit_code, signal) in [
        ("exit 0", 0, "passed", json!(0), json!(null)),
        ("exit 3", 3, "failed", json!(3), json!(null)),
        ("exit 255", 255, "failed", json!(255), json!(null)),
        ("kill -TERM $$", 143, "error", json!(null), json!(15)),
        ("kill -KILL $$", 137, "error", json!(null), json!(9)),
    ] {
        project.oxi(&format!("-q validation run -- sh -c '{script}'")).exits(code).prints("").silent();
        let noted = last(&project);
        assert_eq!((&noted["result"], &noted["exit_code"], &noted["signal"]), (&json!(result), &exit_code, &signal));
    }
    assert_eq!(project.json("validation list --failing").as_array().unwrap().len(), 4);
}

#[test]
fn with_json_the_output_goes_to_stderr_and_the_validation_to_stdout() {
    let project = committed();
    let run = project.oxi("validation run --json --name x -- sh -c 'echo out; echo err >&2; exit 1'").exits(1);
    assert_eq!((&run.json()["name"], &run.json()["result"]), (&json!("x"), &json!("failed")));
    assert!(run.stderr.contains("out\n") && run.stderr.contains("err\n"), "{}", run.stderr);
}

#[test]
fn a_time_limit_ends_the_command_with_all_that_it_started() {
    let project = committed();
    let begun = Instant::now();
    let script = "sleep 60 & sleep 61";
    project.oxi(&format!("validation run --timeout 0.3 -- sh -c '{script}'")).exits(124).warns("no end within 0.3 s");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((&last(&project)["result"], &last(&project)["exit_code"]), (&json!("error"), &json!(null)));
    // one that will not listen
    let script = "trap \"\" TERM; while :; do sleep 0.2; done";
    project.oxi(&format!("validation run --timeout 0.3 -- sh -c '{script}'")).exits(124);
    for wrong in ["0", "-1", "x", "1e300", "NaN"] {
        project.oxi(&format!("validation run --timeout={wrong} -- true")).exits(2);
    }
    project.oxi("validation run --timeout 20 -- true").ok();
}

#[test]
fn something_left_behind_with_the_pipe_open_keeps_nobody_waiting() {
    let project = committed();
    let begun = Instant::now();
    project.oxi("validation run -- sh -c 'sleep 30 & echo done'").ok().says("done");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn signals_reach_the_command_and_its_end_is_noted() {
    let project = committed();
    let mut child = project
        .command("validation run --name long -- sh -c 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.1; done'")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    send(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert_eq!(project.json("validation last long")["exit_code"], json!(7));
}

#[test]
fn a_command_that_cannot_run_is_not_noted() {
    let project = committed();
    project.oxi("validation run -- no-such-command-here").exits(3);
    project.oxi("validation run").exits(2);
    project.oxi("validation run --issue 9 -- true").exits(3).warns("issue #9 not found");
    project.oxi("validation run --name ' ' -- true").exits(2);
    assert_eq!(project.json("validation list"), json!([]));
}

#[test]
fn nothing_that_was_printed_is_kept_but_a_known_line() {
    let project = committed();
    let script = "echo the-model-said-so; echo test result: the-model-said-so; echo \"12 passed in the-model-said-so\"";
    project.oxi(&format!("validation run --name x -- sh -c '{script}'")).ok();
    assert_eq!(last(&project)["summary"], json!(null));
    std::fs::write(project.path("script"), format!("#!/bin/sh\n{script}\n")).unwrap();
    project.oxi("validation run --name y -- sh ./script").ok();
    let database = std::fs::read(project.path(".oxi/state.redb")).unwrap();
    let found = database.windows(17).filter(|window| *window == b"the-model-said-so").count();
    // the first command line, in the record and in the log
    assert!(found > 0);
    let noted = project.json("validation last y").to_string();
    assert!(!noted.contains("the-model-said-so"), "{noted}");
}

#[test]
fn a_secret_in_the_command_line_is_refused_before_anything_runs() {
    let project = committed();
    let token = ["ghp_", "q7Zr2mXw9LkT4vBn8sYc3dHf6gJp1aEuRt5o"].concat();
    let marker = project.path("ran");
    let line = format!("validation run -- sh -c 'touch {}; echo {token}'", marker.display());
    let error = project.oxi(&format!("--json {line}")).exits(8).error();
    assert_eq!(error["rule"], json!("github-token"));
    assert!(!marker.exists());
    project.oxi(&format!("--redact {line}")).ok();
    assert!(marker.exists());
    assert!(last(&project)["command"].as_str().unwrap().contains("[redacted:github-token]"));
    let long = format!("validation run --redact -- echo {} {token}", "x".repeat(985));
    project.oxi(&long).ok();
    let database = std::fs::read(project.path(".oxi/state.redb")).unwrap();
    let part = &token.as_bytes()[4..12];
    assert!(database.windows(part.len()).all(|window| window != part), "not even a part of it");
}

#[test]
fn local_paths_are_shortened() {
    let project = committed();
    let root = project.path("");
    let line = format!("validation run --name x -- ls {}code {}/none", root.display(), project.scratch().display());
    project.oxi(&line).exits(2);
    let command = last(&project)["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("ls ./code "), "{command}");
    let bare = project.path("").display().to_string();
    project.oxi(&format!("validation run --name y -- sh -c 'cd {} && ls'", bare.trim_end_matches('/'))).ok();
    assert_eq!(last(&project)["command"], json!("sh -c 'cd . && ls'"));
}

#[test]
fn a_check_of_another_commit_is_stale_and_changes_of_code_make_it_dirty() {
    let project = committed();
    project.oxi("validation run --name a -- true").ok();
    std::fs::write(project.path("code"), "two\n").unwrap();
    std::fs::write(project.path("untracked"), "x").unwrap();
    project.oxi("validation run --name b -- true").ok();
    assert_eq!(project.json("validation last b")["dirty"], json!(true));
    assert_eq!(project.json("validation list --stale"), json!([]));
    project.git("add code");
    project.commit("two");
    assert_eq!(project.json("validation list --stale").as_array().unwrap().len(), 2);
    project.oxi("validation last --stale").ok().says("stale");
    // issue files are no code
    project.oxi("issue create x").ok();
    project.oxi("export").ok();
    project.git("add -A");
    project.commit("issue");
    project.edit("0001-x.md", "priority: medium", "priority: high");
    project.oxi("validation run --name c -- true").ok();
    assert_eq!(project.json("validation last c")["dirty"], json!(false));
}

#[test]
fn what_was_run_elsewhere_can_be_recorded() {
    let project = committed();
    project.oxi("issue create x").ok();
    let id = project
        .oxi("validation record e2e --result failed --exit-code 2 --duration 61.5 --summary '1 of 41' --issue 1")
        .ok()
        .stdout;
    let noted = project.json(&format!("validation show {}", id.trim()));
    assert_eq!((&noted["duration_ms"], &noted["summary"]), (&json!(61_500), &json!("1 of 41")));
    assert!(noted["commit"].is_string());
    project.oxi("validation record e2e --result skipped --commit d14307f0 --at 2026-01-01T00:00:00Z").ok();
    assert_eq!(project.json("validation last e2e")["result"], json!("failed"), "the newer one");
    for wrong in [
        "e2e --result well",
        "e2e",
        "e2e --result passed --exit-code 1",
        "e2e --result failed --exit-code 0",
        "e2e --result passed --commit HEAD",
        "e2e --result passed --duration -1",
        "e2e --result passed --at yesterday",
        "'' --result passed",
    ] {
        project.oxi(&format!("validation record {wrong}")).exits(2);
    }
    project.oxi("undo").ok().says("validation");
    project.oxi("validation show zzz").exits(3);
    project.oxi("validation show il").exits(2);
    project.oxi("validation last nothing").exits(3).warns("`oxi-state validation last`");
}

#[test]
fn only_pinned_runs_stand_in_a_file() {
    let project = committed();
    project.oxi("issue create 'Fix login'").ok();
    project.oxi("export").ok();
    let before = project.read("0001-fix-login.md");
    for name in ["a", "b"] {
        project.oxi(&format!("validation run --issue 1 --name {name} -- true")).ok();
    }
    project.oxi("export").ok().says("1 unchanged");
    assert_eq!(project.read("0001-fix-login.md"), before);
    let id = project.json("validation last a")["id"].as_str().unwrap().to_owned();
    project.oxi(&format!("validation pin {id}")).ok().says("pinned").warns("export");
    project.oxi(&format!("validation pin {id}")).ok().says("pinned already");
    project.oxi("export").ok();
    let file = project.read("0001-fix-login.md");
    assert!(file.contains(&format!("validations:\n- id: {id}\n  name: a\n  result: passed\n")), "{file}");
    assert!(file.contains("  pinned: hand\n") && !file.contains("session:"), "{file}");
    assert_eq!(project.show(1)["validations"][0]["id"], json!(id));
    project.oxi(&format!("validation unpin {id}")).ok();
    project.oxi(&format!("validation unpin {id}")).ok().says("not pinned");
    project.oxi("export").ok();
    assert!(project.read("0001-fix-login.md").contains("validations: []\n---"));
    project.oxi("validation run --name loose -- true").ok();
    let loose = project.json("validation last loose")["id"].as_str().unwrap().to_owned();
    project.oxi(&format!("validation pin {loose}")).exits(2).warns("--issue");
    // closing pins the latest of each name
    project.oxi("issue close 1").ok();
    let names: Vec<_> = project.show(1)["validations"].as_array().unwrap().iter().map(|v| v["name"].clone()).collect();
    assert_eq!(names, [json!("a"), json!("b")]);
}

#[test]
fn a_pinned_run_comes_back_from_a_teammates_clone() {
    let ada = committed();
    ada.oxi("issue create 'Fix login'").ok();
    ada.oxi("validation run --issue 1 --name test -- true").ok();
    ada.oxi("issue close 1").ok();
    ada.oxi("export").ok();
    ada.git("add -A");
    ada.commit("closed");
    let bob = ada.clone_as("bob");
    let (theirs, ours) = (bob.json("validation last test"), ada.json("validation last test"));
    for field in ["id", "name", "result", "command", "duration_ms", "commit", "dirty", "issue_number", "pinned", "at"] {
        assert_eq!(theirs[field], ours[field], "{field}");
    }
    // what one adds and the other adds, both have
    for clone in [&ada, &bob] {
        clone.oxi("issue reopen 1").ok();
    }
    ada.oxi("validation run --issue 1 --name ada -- true").ok();
    bob.oxi("validation run --issue 1 --name bob -- false").exits(1);
    for (clone, name) in [(&ada, "ada"), (&bob, "bob")] {
        let id = clone.json(&format!("validation last {name}"))["id"].as_str().unwrap().to_owned();
        clone.oxi(&format!("validation pin {id}")).ok();
        clone.oxi("export").ok();
        clone.git("add -A");
        clone.commit(name);
    }
    let _ = bob.try_git(&format!("pull --no-rebase {} main", ada.path("").display()));
    bob.oxi("sync").ok();
    assert_eq!(bob.json("validation last").as_array().unwrap().len(), 3);
    assert_eq!(bob.show(1)["validations"].as_array().unwrap().len(), 3);
    bob.git("add -A");
    bob.commit("merged");
    ada.pull(&bob);
    ada.oxi("sync").ok();
    assert_eq!(ada.json("validation last bob")["result"], json!("failed"));
}

#[test]
fn outside_of_git_there_is_no_commit() {
    let project = crate::project::empty_folder();
    project.oxi("init").ok();
    project.oxi("validation run --name x -- true").ok();
    assert_eq!((&last(&project)["commit"], &last(&project)["stale"]), (&json!(null), &json!(null)));
}

#[test]
fn the_noting_of_a_pinned_run_is_not_undone_before_it_is_unpinned() {
    let project = committed();
    project.oxi("issue create x").ok();
    let id = project.oxi("validation record t --result passed --issue 1").ok().stdout.trim().to_owned();
    let revision = project.json("log --limit 1")[0]["revision"].clone();
    project.oxi(&format!("validation pin {id}")).ok();
    project.oxi(&format!("undo {revision}")).exits(4);
    project.oxi(&format!("validation unpin {id}")).ok().warns("export");
    project.oxi(&format!("validation unpin {id}")).ok().silent();
    project.oxi(&format!("undo {revision}")).ok();
    project.oxi(&format!("validation show {id}")).exits(3);
}

#[test]
fn a_run_is_the_latest_though_the_clock_was_ahead_before() {
    let project = committed();
    let ahead = chrono::Utc::now() + chrono::TimeDelta::minutes(20);
    project.oxi(&format!("validation record tests --result passed --at {}", ahead.to_rfc3339())).ok();
    project.oxi("validation run --name tests -- false").exits(1);
    assert_eq!(project.json("validation last tests")["result"], json!("failed"));
}

#[test]
fn a_reader_who_has_seen_enough_ends_the_command() {
    let project = committed();
    let mut child =
        project.command("validation run -- yes").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(141));
}
