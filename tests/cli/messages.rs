//! Errors that a newcomer meets: each says what happened, and what to type next.

use std::fs;

use serde_json::json;

use crate::project::{Project, Run, issue, project_with};

/// The hint that people and programs get, with this exit code.
#[track_caller]
fn hints(project: &Project, line: &str, code: i32, hint: &str) {
    project.oxi(line).exits(code).warns("error: ").warns(&format!("hint: {hint}"));
    let error = project.oxi(&format!("{line} --json")).exits(code).error();
    assert!(error["hint"].as_str().is_some_and(|said| said.contains(hint)), "{line}: {error}");
}

#[test]
fn an_issue_too_large_for_a_file_is_not_told_of_conflict_markers() {
    let large = issue(1, "first").body(&format!("{}\n", "x".repeat((1 << 20) - 400)));
    let project = project_with(&[large, issue(2, "second")]);
    let title = "t".repeat(500);
    let run = project.oxi(&format!("issue update 1 --title {title}")).exits(2).warns("larger than 1 MiB");
    assert!(!run.stderr.contains("markers"), "{}", run.stderr);
    run.warns("hint: nothing was changed; keep long text in a file of its own");
    let long = "v".repeat(64 << 10);
    let run = project.oxi(&format!("issue update 2 --set note={long}")).exits(2).warns("larger than 64 KiB");
    assert!(!run.stderr.contains("markers"), "{}", run.stderr);
    run.warns("hint: nothing was changed; give shorter values");
    project.oxi("status --check").ok();
}

#[test]
fn a_body_too_large_is_told_whose_it_is_and_what_to_do_with_it() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let body = project.scratch().join("body");
    std::fs::write(&body, "b".repeat(262_145)).unwrap();
    let hint = "hint: nothing was changed; keep long text in a file of its own";
    let body = body.display();
    project.oxi(&format!("issue create a --body-file {body}")).exits(2).warns("error: body too large").warns(hint);
    let run = project.oxi(&format!("issue update 2 --body-file {body}")).exits(2);
    run.warns("error: issue #2: body too large (max 262144 bytes)").warns(hint);
    let lines = project.scratch().join("lines");
    std::fs::write(&lines, format!("{{\"title\":\"a\"}}\n{{\"title\":\"b\",\"body\":\"{}\"}}\n", "b".repeat(262_145)))
        .unwrap();
    let run = project.oxi(&format!("issue create --from {}", lines.display())).exits(2);
    run.warns("error: line 2: body too large").warns(hint);
}

#[test]
fn what_is_in_the_way_of_a_folder_or_the_database_is_to_be_moved_away() {
    let project = project_with(&[issue(1, "first")]);
    let issues = project.path(".oxi/issues");
    fs::rename(&issues, project.path("aside")).unwrap();
    fs::write(&issues, "a file\n").unwrap();
    for line in ["init", "sync", "import", "export", "status"] {
        hints(&project, line, 1, "move away the file that is where a folder belongs, then run the same command again");
    }
    fs::remove_file(&issues).unwrap();
    std::os::unix::fs::symlink(project.path("aside"), &issues).unwrap();
    let mv = |path: &std::path::Path| format!("move it away (`mv {0} {0}.away`), then run", path.display());
    hints(&project, "sync", 1, &mv(&issues));
    fs::remove_file(&issues).unwrap();
    fs::rename(project.path("aside"), &issues).unwrap();
    let database = project.path(".oxi/state.redb");
    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();
    for line in ["init", "issue list", "sync", "doctor --fix", "issue create a", "compact"] {
        hints(&project, line, 1, &mv(&database));
    }
    fs::remove_dir(&database).unwrap();
    project.oxi("issue list").ok().says("first");
    fs::remove_dir_all(project.path(".oxi")).unwrap();
    fs::write(project.path(".oxi"), "a file\n").unwrap();
    hints(&project, "init", 1, "move away the file that is where a folder belongs");
}

#[test]
fn a_backup_that_cannot_be_read_or_written_where_it_was_named_is_told_what_to_name() {
    let project = project_with(&[issue(1, "first")]);
    fs::write(project.path("text"), "a text that is no database\n").unwrap();
    fs::write(project.path("empty"), "").unwrap();
    fs::create_dir(project.path("folder")).unwrap();
    std::os::unix::fs::symlink("text", project.path("link")).unwrap();
    let name = "name a file that `oxi-state backup` wrote; `oxi-state doctor` names the newest copy";
    for (file, code) in [("missing", 3), ("folder", 1), ("link", 1), ("text", 9), ("empty", 9)] {
        hints(&project, &format!("restore {file}"), code, if code == 9 { "nothing was changed; name" } else { name });
        let error = project.oxi(&format!("restore {file} --json")).error();
        assert_eq!(error["path"], file, "{error}");
    }
    project.oxi("restore text").warns("error: text cannot be restored: the file does not begin as a database does");
    for (file, code) in [("nowhere/b", 3), ("text/b", 1)] {
        for command in ["backup", "restore"] {
            hints(&project, &format!("{command} {file}"), code, "name a file in a folder that is there");
        }
    }
    hints(&project, "backup text", 4, "choose another name, or say --force");
    hints(&project, "backup folder", 2, "name a file of its own");
    project.oxi("status --check").ok();
}

#[test]
fn deleting_an_issue_in_conflict_says_what_becomes_of_its_file() {
    let conflicting = || {
        let project = project_with(&[issue(1, "first"), issue(2, "second")]);
        project.oxi("issue update 1 --body ours").ok();
        project.edit("0001-first.md", "three", "theirs");
        project.oxi("sync").exits(4);
        let run = project.oxi("issue delete 1").ok().warns("was in conflict with an edit of .oxi/issues/0001-first.md");
        assert!(!run.stderr.contains("export` removes"), "{}", run.stderr);
        project
    };
    // what was said is what happens
    let project = conflicting();
    project.oxi("export").exits(4).says("0001-first.md was not removed: it was edited since the last import");
    project.oxi("sync").ok().says("#1 restored");
    let project = conflicting();
    project.remove("0001-first.md");
    project.oxi("export").ok();
    project.oxi("status --check").ok();
    project.oxi("issue show 1").exits(3);
    let project = conflicting();
    project.oxi("undo").ok().warns("issue #1 is in conflict again");
    // with others, theirs are removed by the export
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue delete 1").ok().warns("`oxi-state export` removes the file");
    project.oxi("export").ok().says("removed .oxi/issues/0001-first.md");
}

#[test]
fn nothing_is_said_to_be_kept_of_an_issue_whose_file_is_gone_as_well() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue create second").ok();
    project.oxi("export").ok();
    project.oxi("issue delete 2").ok();
    project.remove("0002-second.md");
    project.oxi("export").ok().says_not("kept").says_not("#0");
    project.oxi("status --check").ok();
}

#[test]
fn a_check_that_could_not_be_made_is_not_taken_for_a_clean_bill() {
    let project = project_with(&[issue(1, "first")]);
    // the system ends whoever writes more than 32 KiB, which the engine's copy has
    let doctor = |flag: &str| {
        let script = format!("ulimit -f 64; exec \"$0\" doctor {flag}");
        let mut command = project.command("doctor");
        let program = command.get_program().to_owned();
        command = std::process::Command::new("sh");
        command.args(["-c", &script]).arg(program).current_dir(&project.root);
        Run::of("doctor", command.output().unwrap()).exits(1)
    };
    let run =
        doctor("").says("unchecked: every page and row is whole, but the engine's own check of a copy was not made");
    run.says_not("nothing is wrong").warns("hint: whether all is well is not known");
    let report = doctor("--json").json();
    assert_eq!((&report["healthy"], &report["findings"][0]["severity"]), (&json!(false), &json!("unchecked")));
    project.oxi("doctor").ok().says("nothing is wrong");
    fs::rename(project.path(".oxi/issues"), project.path("aside")).unwrap();
    fs::write(project.path(".oxi/issues"), "a file\n").unwrap();
    let run = project.oxi("doctor").exits(1).says("unchecked: the issue files: cannot open ");
    run.says_not("nothing is wrong").warns("hint: whether all is well is not known");
    assert_eq!(project.json_of("doctor", 1)["healthy"], json!(true), "the database is");
    project.oxi("doctor --help").ok().says("1: something could not be checked");
}

#[test]
fn bad_files_are_named_with_what_becomes_of_them() {
    let project = project_with(&[issue(1, "first")]);
    project.write("0002-second.md", "no frontmatter\n");
    let hint = "hint: bad files are left as they are, and so are their issues; mend them, then run `oxi-state sync`";
    for line in ["sync", "import", "status"] {
        project.oxi(line).exits(7).warns("bad file .oxi/issues/0002-second.md:1: ").warns(hint);
    }
    project.remove("0002-second.md");
    project.oxi("sync").ok().silent();
}

#[test]
fn a_body_that_cannot_be_read_is_told_what_to_name() {
    let project = project_with(&[issue(1, "first")]);
    fs::write(project.path("latin"), b"caf\xe9\n").unwrap();
    fs::create_dir(project.path("folder")).unwrap();
    let name = "nothing was changed; name a text file that you may read, or - for standard input";
    hints(&project, "issue create a --body-file nowhere", 3, name);
    hints(&project, "issue update 1 --body-file folder", 1, name);
    hints(&project, "issue update 1 --body-file latin", 7, "nothing was changed; save it as UTF-8");
    hints(&project, "issue create --from nowhere", 3, "nothing was created; name a file that you may read");
}
