//! Bugs that were found by using the program, each with the test it left behind.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::json;

use crate::project::{empty_folder, issue, project, project_with};

/// A text that a scrubber must take for a secret; built from parts, so that this file holds none.
fn fake_token() -> String {
    ["gh", "p_", &"a1B2".repeat(9)].concat()
}

#[test]
fn a_damaged_page_never_ends_in_a_panic() {
    let project = project_with(&[issue(1, "first"), issue(2, "second"), issue(3, "third")]);
    let path = project.path(".oxi/state.redb");
    let whole = fs::read(&path).unwrap();
    let mut found = 0;
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096] ^= 4;
        fs::write(&path, damaged).unwrap();
        let output = project.command("issue list --json").output().unwrap();
        let code = output.status.code().unwrap();
        assert!(matches!(code, 0 | 9), "page {page}: {code} {}", String::from_utf8_lossy(&output.stderr));
        if code == 9 {
            let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
            assert_eq!(error["error"]["code"], json!("database"));
            found += 1;
        } else {
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(answer.as_array().map(Vec::len), Some(3), "a wrong answer from page {page}");
        }
    }
    assert!(found > 0);
}

#[test]
fn a_database_file_that_is_still_locked_is_waited_for_and_then_busy() {
    // the kernel clears away a killed process piece by piece: its lock on the gate goes before that on the file
    let project = project_with(&[issue(1, "first")]);
    let file = fs::File::open(project.path(".oxi/state.redb")).unwrap();
    file.lock().unwrap();
    for line in ["issue list --lock-timeout 0.2", "issue create a --lock-timeout 0.2"] {
        let error = project.oxi(&format!("{line} --json")).exits(6).error();
        assert!(error["retryable"].as_bool().unwrap() && !error["hint"].as_str().unwrap().contains("aside"), "{error}");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(150));
            file.unlock().unwrap();
        });
        project.oxi("issue list").ok().says("first");
    });
}

#[test]
fn a_crlf_file_and_its_record_say_the_same_after_a_change() {
    let project = project();
    let text = issue(1, "first").body("l1\nl2\n").text().replace('\n', "\r\n");
    project.write("0001-first.md", text);
    project.oxi("import").ok();
    project.oxi("issue update 1 --append x").ok();
    project.oxi("sync").ok();
    let record = project.show(1);
    assert_eq!(record["body"], "l1\r\nl2\r\n\r\nx\r\n");
    project.drop_database();
    assert_eq!(project.show(1), record);
}

#[test]
fn a_file_that_cannot_be_changed_line_by_line_leaves_its_old_text_in_the_log() {
    let project = project();
    let text = issue(1, "first").text().replacen("---\n", "---\n# a comment\n? odd\n: v\n", 1);
    project.write("0001-first.md", &text);
    project.oxi("import").ok();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("export").ok().says("as a whole").says("oxi-state log");
    assert!(!project.read("0001-first.md").contains("a comment"));
    let log = project.json("log");
    assert!(log.as_array().unwrap().iter().any(|row| row["before"]["body"] == json!(text)), "{log}");
}

#[test]
fn a_key_that_would_need_such_a_file_cannot_be_set() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi(&format!("issue update 1 --set {}=1", "k".repeat(130))).exits(2).warns("a key has");
}

#[test]
fn names_pass_the_scrubber_too() {
    let project = project_with(&[issue(1, "first")]);
    let token = fake_token();
    project.oxi(&format!("--session {token} issue start 1")).exits(8).warns("session");
    project.oxi(&format!("--actor {token} issue close 1")).exits(8).warns("actor");
    project.oxi("log").ok().says_not(&token);
}

#[test]
fn what_the_editor_left_is_kept_when_it_cannot_be_read() {
    let project = project_with(&[issue(1, "first")]);
    let script = project.scratch().join("editor");
    fs::write(&script, "#!/bin/sh\nprintf '\\351' >> \"$1\"\n").unwrap();
    let run = project.oxi_with("issue edit 1 --json", &[("EDITOR", &format!("sh {}", script.display()))]);
    let hint = run.exits(7).error()["hint"].as_str().unwrap().to_owned();
    let kept = hint.rsplit(' ').next().unwrap();
    assert!(fs::read(kept).unwrap().ends_with(b"\xe9"), "{hint}");
}

#[test]
fn a_record_whose_file_got_a_wrong_number_stays() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.git("mv .oxi/issues/0002-second.md .oxi/issues/0007-second.md");
    let report = project.json_of("import", 7);
    assert_eq!((&report["deleted"], &report["bad"][0]["line"]), (&json!([]), &json!(2)));
    assert_eq!(project.field(2, "title"), "second");
}

#[test]
fn an_export_names_a_file_with_a_wrong_number_as_bad() {
    let project = project_with(&[issue(1, "first")]);
    project.edit("0001-first.md", "id: 1", "id: 9");
    project.oxi("issue update 1 -p high").ok();
    let report = project.json_of("export", 7);
    assert_eq!((&report["conflicts"], report["bad"].as_array().unwrap().len()), (&json!([]), 1));
}

#[test]
fn text_may_begin_with_a_dash() {
    let project = project();
    project.oxi("issue create list -b '- [ ] one'").ok();
    project.oxi("issue update 1 --append '- two' --title '- three'").ok();
    assert_eq!(
        (project.field(1, "body"), project.field(1, "title")),
        ("- [ ] one\n\n- two\n".into(), "- three".into())
    );
}

#[test]
fn a_deletion_waits_until_sparse_checkout_shows_the_file_again() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.git("sparse-checkout set --no-cone '/*' '!/.oxi/issues/0002*'");
    project.oxi("issue delete 2").ok();
    project.oxi("sync").ok();
    project.git("sparse-checkout disable");
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0001-first.md"]);
    project.oxi("issue show 2").exits(3);
}

#[test]
fn resolving_by_hand_does_not_overwrite_what_changed_meanwhile() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue update 1 --body 'one\ntwo\nRECORD\nfour\nfive'").ok();
    project.edit("0001-first.md", "three", "FILE");
    project.oxi("import").exits(4);
    let script = project.scratch().join("editor");
    let program = env!("CARGO_BIN_EXE_oxi-state");
    fs::write(&script, format!("{program} issue update 1 --append ACKED && printf 'mine\\n' > \"$1\"")).unwrap();
    let editor = format!("sh {}", script.display());
    project.oxi_with("resolve 1 --edit", &[("EDITOR", &editor)]).exits(4).warns("your text is in");
    assert!(project.field(1, "body").contains("ACKED"));
    project.oxi("resolve 1 --body-file /dev/null").ok();
}

#[test]
fn a_merged_body_passes_the_scrubber() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue update 1 --body 'one\ntwo\nRECORD\nfour\nfive'").ok();
    project.edit("0001-first.md", "three", "FILE");
    project.oxi("import").exits(4);
    let path = project.scratch().join("merged");
    fs::write(&path, format!("the key is {}\n", fake_token())).unwrap();
    project.oxi(&format!("resolve 1 --body-file {}", path.display())).exits(8);
}

#[test]
fn a_value_that_the_file_lost_is_told() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue update 1 --title 'by the record'").ok();
    project.edit("0001-first.md", "title: first", "title: by the file");
    project.edit("0001-first.md", "updated_at: 2026", "updated_at: 2025");
    let report = project.oxi("sync").ok().says("title was changed on both sides; not taken: \"by the file\"");
    drop(report);
    assert_eq!(project.field(1, "title"), "by the record");
}

#[test]
fn json_cannot_steer_a_terminal_either() {
    let project = project();
    project.oxi("issue create 'a\u{9b}31m\u{202e}b'").ok();
    let run = project.command("issue list --json").output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.contains("a\\u009b31m\\u202eb"), "{text}");
    assert_eq!(project.field(1, "title"), "a\u{9b}31m\u{202e}b");
}

#[test]
fn the_home_folder_is_no_project_by_another_name() {
    let folder = empty_folder();
    let (real, link) = (folder.path("real"), folder.path("link"));
    fs::create_dir_all(real.join(".oxi")).unwrap();
    fs::create_dir(real.join("work")).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let run = |place: &str, line: &str| {
        let mut command = folder.command(line);
        command.env("HOME", &link).current_dir(folder.path(place)).output().unwrap().status.code().unwrap()
    };
    assert_eq!(run("link/work", "issue list"), 3);
    assert_eq!(run("link", "init"), 2, "begun there, no command would find it");
    assert_eq!(run("link", "-C . init"), 0);
}

#[test]
fn a_name_that_is_not_utf_8_is_bad() {
    let project = project();
    let name = std::ffi::OsStr::from_bytes(b"0001-\xe9.md");
    fs::write(project.path(".oxi/issues").join(name), issue(1, "first").text()).unwrap();
    let report = project.json_of("import", 7);
    assert!(report["bad"][0]["reason"].as_str().unwrap().contains("UTF-8"), "{report}");
}

#[test]
fn a_file_that_is_none_does_not_spoil_its_twin() {
    let project = project();
    project.write("0002-x.MD", "");
    project.add(&issue(2, "x"));
    assert_eq!(project.json_of("import", 7)["created"], json!([2]));
}

#[test]
fn a_database_that_came_by_git_is_not_opened() {
    let project = project_with(&[issue(1, "first")]);
    project.git("add -f .oxi/state.redb");
    project.git("commit -q -m hostile");
    let clone = project.clone_as("clone");
    let error = clone.oxi("issue list --json").exits(9).error();
    assert!(error["message"].as_str().unwrap().contains("tracked by git"), "{error}");
    clone.oxi("issue create a").exits(9);
}

#[test]
fn an_export_without_its_folder_says_so() {
    let project = project_with(&[issue(1, "first")]);
    fs::remove_dir_all(project.path(".oxi/issues")).unwrap();
    project.oxi("export").exits(4).says("folder is missing");
}

#[test]
fn the_building_of_the_database_is_nothing_to_undo() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.drop_database();
    project.oxi("undo").exits(3).warns("nothing to undo");
    project.oxi("issue close 1").ok();
    project.oxi("undo").ok().says("close #1");
    project.oxi("undo").exits(3);
    project.oxi("export").ok();
    assert_eq!(project.files().len(), 2);
}

#[test]
fn a_query_that_builds_the_database_says_what_it_renumbered() {
    let project = project();
    project.add(&issue(1, "first"));
    project.add(&issue(1, "other").created("2026-02-03T00:00:00Z"));
    project.drop_database();
    project.oxi("issue list").ok().warns("renumbered 1 -> 2");
    project.drop_database();
    project.write("0003-bad.md", "no frontmatter");
    let output = project.command("issue show 9 --json").output().unwrap();
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], json!("not_found"), "one document, whatever was built on the way");
}

#[test]
fn a_rebase_in_conflict_loses_no_side_when_the_record_was_edited_too() {
    let left = project_with(&[issue(1, "first").body("l1\nl2\nl3\nl4\nl5\nl6\nl7\n")]);
    let right = left.clone_as("right");
    right.oxi("sync").ok();
    left.oxi("issue update 1 -p high --body 'l1\nl2\nLEFT\nl4\nl5\nl6\nl7'").ok();
    right.oxi("issue update 1 -p low --body 'l1\nl2\nl3\nl4\nl5\nl6\nRIGHT'").ok();
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("work");
    }
    right.oxi("issue update 1 --append 'never exported'").ok();
    right.git(&format!("fetch -q {} main", left.path("").display()));
    assert!(!right.try_git("rebase -q FETCH_HEAD").status.success());
    right.oxi("sync").ok();
    assert_eq!(right.field(1, "body"), "l1\nl2\nLEFT\nl4\nl5\nl6\nRIGHT\n\nnever exported\n");
}

#[test]
fn an_issue_that_two_branches_numbered_differently_is_one_again() {
    let base = project_with(&[issue(1, "first")]);
    base.add(&issue(1, "young").created("2026-05-05T00:00:00Z").with("kind: task # why\n"));
    base.commit("a second number one");
    let [left, right] = ["left", "right"].map(|name| base.clone_as(name));
    // one of them has had more issues since
    right.add(&issue(2, "second"));
    right.add(&issue(3, "third"));
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("renumbered");
    }
    assert!(left.exists("0002-young.md") && right.exists("0004-young.md"));
    right.git(&format!("fetch -q {} main", left.path("").display()));
    assert!(!right.try_git("merge -q --no-edit FETCH_HEAD").status.success(), "git cannot choose between two renames");
    right.oxi("sync").ok();
    assert_eq!(right.files().iter().filter(|name| name.contains("young")).count(), 1, "{:?}", right.files());
    assert!(right.files().iter().all(|name| !right.read(name).contains("<<<<<<<")));
    right.oxi("status --check").ok();
    right.commit("merged");
    left.pull(&right);
    left.oxi("sync").ok();
    assert_eq!(left.all_issues(), right.all_issues());
    assert!(left.read("0004-young.md").contains("kind: task # why\n"), "two is an older issue's number");
}

#[test]
fn a_copy_under_a_taken_number_moves_nobody() {
    let files = [issue(1, "t1"), issue(2, "t2"), issue(3, "t3"), issue(4, "t4")];
    let project = project_with(&files);
    project.write("0003-t2.md", project.read("0002-t2.md").replace("id: 2", "id: 3"));
    // stat data that says nothing: every file is read again
    for name in project.files() {
        let text = project.read(&name);
        project.write(&name, text);
    }
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0001-t1.md", "0002-t2.md", "0003-t3.md", "0004-t4.md"]);
    assert_eq!((project.field(2, "title"), project.field(3, "title")), ("t2".into(), "t3".into()));
}

#[test]
fn a_dead_link_does_not_borrow_a_living_issues_number() {
    let project = project_with(&[issue(1, "one"), issue(2, "two").with("depends_on:\n- 0001-gone\n")]);
    assert_eq!(project.show(2)["depends_on"], json!([]));
    project.oxi("issue dep add 2 1").ok();
    assert_eq!(project.show(2)["depends_on"], json!([1]));
    project.oxi("issue dep remove 2 1").ok();
    project.oxi("export").ok();
    assert!(project.read("0002-two.md").contains("- 0001-gone\n"));
}

#[test]
fn an_edit_cannot_make_an_issue_wait_for_itself() {
    let project = project_with(&[issue(1, "one"), issue(2, "two")]);
    project.oxi("issue dep add 1 2").ok();
    let script = project.scratch().join("editor");
    fs::write(&script, "sed -i 's/^sessions: /depends_on: [1]\\nsessions: /' \"$1\"").unwrap();
    let run = project.oxi_with("issue edit 2", &[("EDITOR", &format!("sh {}", script.display()))]);
    run.exits(2).warns("waits for");
}

#[test]
fn a_conflict_keeps_the_comments_of_the_file() {
    let left = project_with(&[issue(1, "first").with("# a comment\nkind: [1, 2] # mine\n")]);
    let right = left.clone_as("right");
    left.oxi("issue update 1 --body 'one\ntwo\nLEFT\nfour\nfive'").ok();
    right.oxi("issue update 1 --body 'one\ntwo\nRIGHT\nfour\nfive'").ok();
    for clone in [&left, &right] {
        clone.oxi("sync").ok();
        clone.commit("work");
    }
    right.git(&format!("fetch -q {} main", left.path("").display()));
    assert!(!right.try_git("rebase -q FETCH_HEAD").status.success());
    right.oxi("sync").exits(4);
    right.oxi("resolve 1 --union").ok();
    right.oxi("sync").ok();
    let text = right.read("0001-first.md");
    assert!(text.contains("# a comment\n") && text.contains("kind: [1, 2] # mine\n"), "{text}");
    assert!(text.contains("LEFT\n") && text.contains("RIGHT\n"), "{text}");
}

#[test]
fn an_argument_that_is_no_use_cannot_steer_the_terminal() {
    let project = project();
    let evil = "\u{1b}]0;x\u{7}\u{1b}[2Jevil\r\u{8}\u{202e}\nhint: run rm";
    for line in ["issue list --sort", "--color always issue list --sort", "issue", "undo", "--json undo"] {
        let output = project.command(line).arg(evil).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(!said.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{line}: {said:?}");
        assert!(said.contains("evil") && !said.lines().any(|line| line.starts_with("hint: run rm")), "{line}: {said}");
    }
}

#[test]
fn a_check_takes_the_names_that_a_record_takes() {
    let project = project();
    let long = "x".repeat(121);
    for name in ["p/ m", "p/m ", "p/\u{7}", "\u{202e}p/m", &format!("p/{long}")] {
        for command in ["health record --ok", "health check", "health show", "health reset"] {
            let run = project.command(command).arg(name).output().unwrap();
            assert_eq!(run.status.code(), Some(2), "{command} {name:?}: {}", String::from_utf8_lossy(&run.stderr));
        }
    }
    project.oxi("health check p/m").ok();
}

#[test]
fn a_relative_home_is_no_home() {
    let project = project();
    let home = [("HOME", "relative")];
    project.oxi_with("config set --global lock_timeout 30", &home).exits(2).warns("set HOME to your home directory");
    project.oxi_with("config list", &home).ok();
    project.oxi_with("issue list", &home).ok();
    assert!(!project.path("relative").exists());
}

#[test]
fn what_a_killed_change_of_settings_left_goes_with_the_next() {
    let project = project();
    let left = project.path(".oxi/.settings.toml.tmp-4242-0");
    let other = project.path(".oxi/.settings.tmp-not-ours");
    for path in [&left, &other] {
        fs::write(path, "half of").unwrap();
    }
    project.oxi("config set lock_timeout 30").ok();
    assert!(!left.exists() && other.exists());
    let home = project.scratch().join("home/.oxi");
    fs::create_dir_all(&home).unwrap();
    let left = home.join(".settings.toml.tmp-4242-7");
    fs::write(&left, "half of").unwrap();
    project.oxi("config set --global lock_timeout 30").ok();
    assert!(!left.exists());
}

#[test]
fn a_document_is_read_from_a_regular_file_or_standard_input() {
    let project = project();
    let fifo = project.scratch().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    project.oxi(&format!("doc put notes/x {}", fifo.display())).exits(1).warns("it is not a regular file");
    project.oxi("doc put notes/x /dev/null").exits(1).warns("it is not a regular file");
    project.oxi("doc put notes/x .").exits(1).warns("it is not a regular file");
    project.oxi("doc put notes/x -").ok();
}

#[test]
fn a_pointer_given_two_texts_drops_neither() {
    let project = project();
    project.oxi("pointer set note x --note y").exits(2).warns("not both");
    project.oxi("pointer set note --note y").ok().prints("note/active -> y\n");
    project.oxi("pointer set note x").ok().prints("note/active -> x\n");
    project.oxi("pointer set pr https://git.example/1 --url https://git.example/2").exits(2).warns("not both");
    project.oxi("pointer set pr 1 --url https://git.example/1").ok();
}

#[test]
fn costs_are_summed_past_nine_million_and_are_never_negative() {
    let project = project();
    let path = project.scratch().join("usage.jsonl");
    let day = chrono::Utc::now().format("%Y-%m-%d");
    let row = |cost: &str| format!("{{\"ts\":1700000000000,\"day\":\"{day}\",\"model\":\"m\",\"cost\":{cost}}}\n");
    fs::write(&path, row("1000000").repeat(20) + &row("-0.5") + &row("0")).unwrap();
    let report = project.json_of(&format!("usage import {}", path.display()), 7);
    assert_eq!((&report["counted"], &report["bad_lines"]), (&json!(21), &json!(1)));
    assert_eq!(report["bad"][0]["reason"], json!("cost is not a number from 0 to 1000000"));
    assert_eq!(project.json("usage summary")["totals"]["cost"], json!(20_000_000.0));
    // the log spells such a sum, and undo and redo read it
    project.oxi("undo").ok();
    assert_eq!(project.json("usage summary")["totals"]["cost"], json!(0.0));
    let log = project.json("log");
    let undone = log.as_array().unwrap().iter().find(|row| row["kind"] == json!("usage")).unwrap();
    project.oxi(&format!("undo {}", undone["revision"])).ok();
    assert_eq!(project.json("usage summary")["totals"]["cost"], json!(20_000_000.0));
}

#[test]
fn long_names_of_models_are_told_apart() {
    let project = project();
    let path = project.scratch().join("usage.jsonl");
    let day = chrono::Utc::now().format("%Y-%m-%d");
    let beginning = "m".repeat(125);
    let row = |model: &str| format!("{{\"ts\":1700000000000,\"day\":\"{day}\",\"model\":\"{model}\"}}\n");
    let rows = [row(&format!("{beginning}-a")), row(&format!("{beginning}-b")), row(&"m".repeat(120))];
    fs::write(&path, rows.concat()).unwrap();
    assert_eq!(project.json(&format!("usage import {}", path.display()))["counted"], json!(3));
    let summary = project.json("usage summary");
    let models: Vec<&str> =
        summary["by_model"].as_array().unwrap().iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!(models.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{summary}");
    assert!(models.iter().all(|name| name.len() == 120) && models.contains(&&*"m".repeat(120)), "{models:?}");
    assert_eq!(project.json(&format!("usage import {}", path.display()))["counted"], json!(0));
}
