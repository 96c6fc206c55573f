//! `init` and every `issue …` command, for people and for programs.

use serde_json::{Value, json};

use crate::project::{LIST_KEYS, Run, empty_folder, issue, keys, number, project, project_with, repository};

/// The keys of a whole issue, in order.
pub(crate) fn full_keys() -> Vec<&'static str> {
    LIST_KEYS.into_iter().chain(["body", "blocked_by", "owner_alive", "validations", "handoffs"]).collect()
}

/// The numbers of a list of issues.
pub(crate) fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|issue| number(&issue["id"])).collect()
}

// ---- init

#[test]
fn init_makes_the_folder_the_ignore_file_and_the_database() {
    let project = repository();
    project.oxi("init").ok().says("created").says("no issues yet").silent();
    assert_eq!(
        std::fs::read_to_string(project.path(".oxi/.gitignore")).unwrap(),
        "state.redb*\nstate.lock*\nstate/\nissues/.alive/\n*.tmp*\n"
    );
    assert!(project.path(".oxi/issues").is_dir());
    assert!(project.path(".oxi/state.redb").is_file());
    assert_eq!(project.git("status --porcelain"), "?? .oxi/\n");
    project.git("add -A");
    assert_eq!(project.git("ls-files"), ".oxi/.gitignore\n");
}

#[test]
fn a_conflict_that_the_first_import_meets_is_told() {
    let project = repository();
    for (number, body) in [(1, "one"), (2, "two")] {
        let text =
            "---\nid: N\ntitle: One\ncreated_at: 2026-01-01T00:00:00Z\nupdated_at: 2026-01-01T00:00:00Z\n---\nB\n";
        let text = text.replace('N', &number.to_string()).replace('B', body);
        project.write(&format!("{number:04}-one.md"), text);
    }
    let told = "#1 is in conflict: run `oxi-state resolve 1 ";
    project.oxi("init").exits(4).says("imported 1 issue").says_not("no issues yet").warns(told);
    std::fs::remove_file(project.path(".oxi/state.redb")).unwrap();
    project.oxi("issue list").ok().warns("built the database from 1 issue file\n").warns(told);
}

#[test]
fn init_can_be_run_again() {
    let project = project_with(&[issue(1, "first")]);
    let (before, records) = (project.snapshot(), project.all_issues());
    project.oxi("init").ok().says("found").says("nothing new in the files").silent();
    assert_eq!(project.snapshot(), before);
    assert_eq!(project.all_issues(), records);
}

#[test]
fn init_takes_in_the_files_that_are_there() {
    let project = repository();
    project.add(&issue(1, "first"));
    project.add(&issue(7, "seventh"));
    project.oxi("init").ok().says("imported 2 issues");
    assert_eq!(ids(&project.json("issue list --sort id")), [1, 7]);
    project.oxi("issue create next").ok().prints("8\n");
}

#[test]
fn init_with_json_says_what_it_imported() {
    let project = repository();
    project.add(&issue(1, "first"));
    let answer = project.json("init");
    assert_eq!(keys(&answer), ["root", "created", "import"]);
    assert_eq!(answer["created"], json!(true));
    assert_eq!(answer["import"]["created"], json!([1]));
    assert_eq!(project.json("init")["created"], json!(false));
}

#[test]
fn init_in_a_subdirectory_of_a_project_is_for_that_project() {
    let project = project();
    std::fs::create_dir_all(project.path("src/deep")).unwrap();
    project.oxi_in("src/deep", "init").ok().says("found");
    assert!(!project.path("src/deep/.oxi").exists());
    project.oxi_in("src/deep", "issue create 'From below'").ok().prints("1\n");
    assert_eq!(project.field(1, "title"), "From below");
}

#[test]
fn init_works_without_git() {
    let project = empty_folder();
    project.oxi("init").ok();
    project.oxi("issue create first").ok().prints("1\n");
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0001-first.md"]);
    assert!(!project.path(".git").exists());
}

#[test]
fn init_keeps_to_the_newer_name_of_the_folder() {
    let project = repository();
    std::fs::create_dir(project.path(".oxicode")).unwrap();
    project.oxi("init").ok();
    project.oxi("issue create first").ok();
    project.oxi("export").ok().says("wrote .oxicode/issues/0001-first.md");
    assert!(project.path(".oxicode/state.redb").is_file());
    assert!(!project.path(".oxi").exists());
}

#[test]
fn a_fresh_clone_answers_from_its_files() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let clone = project.clone_as("clone");
    assert!(!clone.path(".oxi/state.redb").exists());
    clone.oxi("issue list --sort id").ok().says("#1  open     medium    first\n").warns("built the database");
    assert_eq!(clone.all_issues(), project.all_issues());
    assert_eq!(clone.git("status --porcelain"), "");
}

#[test]
fn a_clone_without_an_issues_folder_begins_empty() {
    let project = project();
    let clone = project.clone_as("clone");
    clone.oxi("issue list").ok().prints("no issues\n");
    clone.oxi("issue create first").ok().prints("1\n");
    clone.oxi("sync").ok();
    assert_eq!(clone.files(), ["0001-first.md"]);
}

// ---- create, show, list

#[test]
fn create_prints_the_number() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok().prints("1\n").silent();
    project.oxi("issue create 'Write docs'").ok().prints("2\n").silent();
}

#[test]
fn create_with_json_gives_the_whole_record_and_nothing_unknown() {
    let project = project();
    project.oxi("issue create first").ok();
    let created =
        project.json("issue create 'Fix login' -b 'Steps:' -p high -l bug -l auth --assignee ana --depends-on 1");
    assert_eq!(keys(&created), full_keys());
    assert_eq!(created["id"], json!(2));
    assert_eq!(created["title"], json!("Fix login"));
    assert_eq!(created["status"], json!("open"));
    assert_eq!(created["priority"], json!("high"));
    assert_eq!(created["labels"], json!(["bug", "auth"]));
    assert_eq!(created["assignee"], json!("ana"));
    assert_eq!(created["created_at"], created["updated_at"]);
    assert_eq!(created["closed_at"], Value::Null);
    assert_eq!(created["sessions"], json!([]));
    assert_eq!(created["assigned_to"], Value::Null);
    assert_eq!(created["github"], Value::Null);
    assert_eq!(created["depends_on"], json!([1]));
    assert_eq!(created["blocked_by"], json!([1]));
    assert_eq!(created["path"], json!(".oxi/issues/0002-fix-login.md"));
    assert_eq!(created["body"], json!("Steps:\n"));
    assert_eq!(created["owner_alive"], Value::Null);
    assert_eq!(created["extra"], json!({}));
    assert_eq!((&created["validations"], &created["handoffs"]), (&json!([]), &json!([])));
    let hash = created["hash"].as_str().unwrap();
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    assert!(created["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(project.show(2), created);
}

#[test]
fn create_takes_its_body_from_a_file_or_from_standard_input() {
    use std::io::Write as _;
    let project = project();
    let notes = project.scratch().join("notes.md");
    std::fs::write(&notes, "# Notes\n\nfrom a file").unwrap();
    project.oxi(&format!("issue create a --body-file {}", notes.display())).ok();
    assert_eq!(project.field(1, "body"), "# Notes\n\nfrom a file\n");
    let mut command = project.command("issue create b --body-file -");
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"piped").unwrap();
    Run::of("issue create b", child.wait_with_output().unwrap()).ok().prints("2\n");
    assert_eq!(project.field(2, "body"), "piped\n");
}

#[test]
fn create_by_a_session_links_it() {
    let project = project();
    project.oxi("--session s1 issue create a").ok();
    assert_eq!(project.show(1)["sessions"], json!(["s1"]));
    project.oxi_with("issue create b", &[("OXI_STATE_SESSION", "s2")]).ok();
    assert_eq!(project.show(2)["sessions"], json!(["s2"]));
}

#[test]
fn show_is_for_people_and_list_is_one_line_each() {
    let project = project();
    project.oxi("issue create 'Fix login' -p critical -l bug -b 'The body.'").ok();
    let shown = project.oxi("issue show 1").ok().silent();
    for text in
        ["#1  Fix login\n", "status      open\n", "priority    critical\n", "labels      bug\n", "\nThe body.\n"]
    {
        assert!(shown.stdout.contains(text), "{text:?} in {}", shown.stdout);
    }
    project.oxi("issue list").ok().prints("#1  open     critical  Fix login  bug\n").silent();
}

#[test]
fn show_of_several_is_an_array_and_of_one_an_object() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    assert_eq!(ids(&project.json("issue show 2 1")), [2, 1]);
    assert!(project.json("issue show 2").is_object());
    let both = project.oxi("issue show 1 2").ok();
    assert!(both.stdout.find("#1  a").unwrap() < both.stdout.find("#2  b").unwrap());
}

#[test]
fn list_gives_a_bare_array_without_bodies() {
    let project = project();
    assert_eq!(project.json("issue list"), json!([]));
    project.oxi("issue create a -b text").ok();
    let list = project.json("issue list");
    assert_eq!(keys(&list[0]), LIST_KEYS);
    let full = project.show(1);
    for key in LIST_KEYS {
        assert_eq!(list[0][key], full[key], "{key}");
    }
}

#[test]
fn list_selects_and_sorts() {
    let project = project();
    for line in [
        "issue create 'Alpha one' -p low -l bug",
        "issue create beta -p high -l bug -l auth --assignee ana",
        "issue create gamma -p critical --depends-on 1",
        "issue create delta",
        "issue close 4",
        "--session s1 issue start 2",
    ] {
        project.oxi(line).ok();
    }
    for (arguments, expected) in [
        ("--sort id", vec![1, 2, 3]),
        ("--sort id --reverse", vec![3, 2, 1]),
        ("--sort created", vec![3, 2, 1]),
        ("--sort priority", vec![3, 2, 1]),
        ("", vec![2, 3, 1]),
        ("--sort updated --reverse", vec![1, 3, 2]),
        ("--status closed", vec![4]),
        ("--status all --sort id", vec![1, 2, 3, 4]),
        ("--status all --sort id --limit 2", vec![1, 2]),
        ("--limit 0", vec![]),
        ("-p high", vec![2]),
        ("-l bug --sort id", vec![1, 2]),
        ("-l bug -l auth", vec![2]),
        ("-l BUG", vec![]),
        ("--assignee ana", vec![2]),
        ("--claimed", vec![2]),
        ("--free --sort id", vec![1, 3]),
        ("--session s1", vec![2]),
        ("--text ALPHA", vec![1]),
        ("--ready --sort id", vec![1, 2]),
        ("--blocked", vec![3]),
        ("--ready --free", vec![1]),
        ("--ready --status open --sort id", vec![1, 2]),
        ("--ready --status all --sort id", vec![1, 2]),
        ("--blocked --status open", vec![3]),
        ("--ready --status closed", vec![]),
    ] {
        assert_eq!(ids(&project.json(&format!("issue list {arguments}"))), expected, "{arguments}");
    }
}

#[test]
fn search_reads_titles_and_bodies_in_any_case() {
    let project =
        project_with(&[issue(1, "time zone").body("nothing\n"), issue(2, "b").body("The Time Zone is off\n")]);
    let found = project.json("issue search 'TIME zone'");
    let mut numbers = ids(&found);
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(keys(&found[0]), LIST_KEYS);
    project.oxi("issue search nowhere").ok().prints("no issues\n");
    project.oxi("issue search ''").exits(2);
}

#[test]
fn summary_is_the_originals() {
    let project = project();
    assert_eq!(
        project.json("issue summary"),
        json!({"open_count": 0, "locked_open_count": 0, "top_priority": null, "top_free_priority": null,
            "latest_open_title": null})
    );
    project.oxi("issue summary").ok().prints("no open issues\n");
    for line in ["issue create a -p high", "issue create b -p low", "issue create c -p critical", "issue close 3"] {
        project.oxi(line).ok();
    }
    project.oxi("--session s1 issue start 1").ok();
    assert_eq!(
        project.json("issue summary"),
        json!({"open_count": 2, "locked_open_count": 1, "top_priority": "high", "top_free_priority": "low",
            "latest_open_title": "a"})
    );
}

#[test]
fn next_is_ready_free_of_highest_priority_and_lowest_number() {
    let project = project();
    let nothing = project.oxi("issue next --json").exits(3).error();
    assert_eq!(nothing["code"], json!("not_found"));
    for line in [
        "issue create a -p high",
        "issue create b -p critical --depends-on 1",
        "issue create c -p high",
        "issue create d -p low",
    ] {
        project.oxi(line).ok();
    }
    assert_eq!(project.json("issue next")["id"], json!(1));
    let taken = project.json("issue next --start --session s1");
    assert_eq!((&taken["id"], &taken["assigned_to"]["session"]), (&json!(1), &json!("s1")));
    assert_eq!(keys(&taken), full_keys());
    assert_eq!(project.json("issue next")["id"], json!(3));
    project.oxi("--session s1 issue close 1").ok();
    assert_eq!(project.json("issue next")["id"], json!(2));
    project.oxi("issue next --start").exits(2).warns("session");
}

// ---- update

#[test]
fn update_changes_fields_in_one_step() {
    let project = project();
    project.oxi("issue create a -l x -l y -b first").ok();
    let before = project.show(1);
    let line = "issue update 1 --title 'New title' -p critical --assignee bo --add-label z --remove-label x --append more --set kind=task --set points=3";
    let after = project.json(line);
    assert_eq!(keys(&after), full_keys());
    assert_eq!(after["title"], json!("New title"));
    assert_eq!(after["priority"], json!("critical"));
    assert_eq!(after["assignee"], json!("bo"));
    assert_eq!(after["labels"], json!(["y", "z"]));
    assert_eq!(after["body"], json!("first\n\nmore\n"));
    assert_eq!(after["extra"], json!({"kind": "task", "points": 3}));
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
    assert_eq!((&after["created_at"], &after["path"]), (&before["created_at"], &before["path"]));
    assert_ne!(after["hash"], before["hash"]);
    assert_eq!(project.json("log --limit 1")[0]["op"], json!("update"));
    let cleared = project.json("issue update 1 --assignee '' --label '' --set kind= --body ''");
    assert_eq!((&cleared["assignee"], &cleared["labels"], &cleared["body"]), (&Value::Null, &json!([]), &json!("")));
    assert_eq!(cleared["extra"], json!({"points": 3}));
}

#[test]
fn update_of_the_status_closes_and_opens() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("--session s1 issue start 1").ok();
    let closed = project.json("--session s1 issue update 1 --status closed");
    assert_eq!((&closed["status"], &closed["assigned_to"]), (&json!("closed"), &Value::Null));
    assert_eq!(closed["closed_at"], closed["updated_at"]);
    let opened = project.json("issue update 1 --status open");
    assert_eq!((&opened["status"], &opened["closed_at"]), (&json!("open"), &Value::Null));
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let project = project();
    project.oxi("issue create a -p high").ok();
    let (before, log) = (project.show(1), project.json("log"));
    project.oxi("issue update 1 -p high --title a").ok().prints("issue #1 is so already\n");
    project.oxi("issue update 1 --append ''").ok().prints("issue #1 is so already\n");
    assert_eq!(project.show(1), before);
    assert_eq!(project.json("log"), log);
}

#[test]
fn a_guarded_update_fails_with_the_present_hash_once_the_record_moved_on() {
    let project = project();
    project.oxi("issue create a").ok();
    let first = project.field(1, "hash");
    project.oxi(&format!("issue update 1 -p high --expect {first}")).ok().prints("updated issue #1\n");
    let second = project.field(1, "hash");
    for line in ["issue update 1 -p low", "issue close 1", "issue delete 1", "issue link 1 --session s"] {
        let error = project.oxi(&format!("{line} --expect {first} --json")).exits(4).error();
        assert_eq!(error["code"], json!("conflict"), "{line}");
        assert_eq!(error["hash"], json!(second), "{line}");
        assert_eq!(error["id"], json!(1), "{line}");
        assert_eq!(error["retryable"], json!(false), "{line}");
    }
    project.oxi(&format!("issue update 1 -p low --expect {first}")).exits(4).warns(&second).warns("issue show 1");
    assert_eq!(project.field(1, "hash"), second);
    project.oxi(&format!("issue close 1 --expect {second}")).ok();
}

#[test]
fn edit_opens_the_editor_and_saves_what_it_left() {
    let project = project();
    project.oxi("issue create a -b text").ok();
    let variables = [("EDITOR", "sed -i -e 's/^title: a$/title: b/' -e 's/^text$/other/'")];
    project.oxi_with("issue edit 1", &variables).ok().prints("updated issue #1\n");
    assert_eq!((project.field(1, "title"), project.field(1, "body")), ("b".into(), "other\n".into()));
    project.oxi_with("issue edit 1", &[("EDITOR", "true")]).ok().prints("issue #1 was not changed\n");
    project.oxi_with("issue edit 1", &[("EDITOR", "false")]).exits(1).warns("nothing was changed");
    project.oxi("issue edit 1").exits(2).warns("EDITOR");
    let kept = project.oxi_with("issue edit 1", &[("EDITOR", "sed -i 's/^id: 1$/id: 2/'")]).exits(2);
    assert!(kept.stderr.contains("your text is in"), "{}", kept.stderr);
    assert_eq!(project.field(1, "title"), "b");
}

#[test]
fn edit_does_not_save_over_a_change_made_meanwhile() {
    let project = project();
    project.oxi("issue create a -b text").ok();
    let program = env!("CARGO_BIN_EXE_oxi-state");
    let editor = format!("{program} -q issue update 1 -p high >/dev/null && sed -i 's/^text$/other/'");
    project.oxi_with("issue edit 1", &[("EDITOR", &editor)]).exits(4).warns("your text is in");
    assert_eq!((project.field(1, "priority"), project.field(1, "body")), ("high".into(), "text\n".into()));
}

// ---- delete

#[test]
fn a_deleted_number_is_not_used_again() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue delete 2").ok().prints("deleted issue #2\n").warns("oxi-state undo");
    project.oxi("issue show 2").exits(3);
    project.oxi("issue create c").ok().prints("3\n");
    project.oxi("export").ok().says("removed .oxi/issues/0002-b.md");
    assert_eq!(project.files(), ["0001-a.md", "0003-c.md"]);
    project.oxi("issue create d").ok().prints("4\n");
}

#[test]
fn text_from_records_cannot_move_the_cursor() {
    let project = project();
    let mut command = project.command("issue create x");
    command.args(["-b", "\u{1b}[2Jgone\u{202e}"]);
    Run::of("issue create", command.output().unwrap()).ok();
    let shown = project.oxi("issue show 1").ok();
    assert!(!shown.stdout.contains(['\u{1b}', '\u{202e}']), "{:?}", shown.stdout);
    assert_eq!(project.field(1, "body"), "\u{1b}[2Jgone\u{202e}\n");
}

#[test]
fn an_issue_does_not_wait_for_another_of_the_title_of_one_that_was_deleted() {
    let project = project();
    for line in ["issue create 'Fix tests'", "issue create Release --depends-on 1", "issue create 'Fix tests'"] {
        project.oxi(line).ok();
    }
    assert_eq!(project.show(2)["blocked_by"], json!([1]));
    project.oxi("issue delete 1").ok();
    assert_eq!(project.show(2)["blocked_by"], json!([]));
    let ready = project.json("issue list --ready --sort id");
    assert_eq!(ids(&ready), [2, 3]);
    // deleted in a file that came from elsewhere, it is the same
    project.oxi("undo").ok();
    assert_eq!(project.show(2)["blocked_by"], json!([1]));
    project.oxi("export").ok();
    project.commit("all");
    let other = project.clone_as("other");
    other.oxi("init").ok();
    project.oxi("issue delete 1").ok();
    project.oxi("export").ok();
    project.commit("deleted");
    other.pull(&project);
    other.oxi("import").ok();
    assert_eq!(other.show(2)["blocked_by"], json!([]));
    other.oxi("doctor").ok();
}

#[test]
fn a_list_finds_a_text_in_titles_in_any_case_as_the_search_does() {
    let project = project();
    for title in ["ΠΡΟΣΘΗΚΗ λογαριασμού", "ΟΔΟΣ", "Straße", "plain"] {
        project.oxi(&format!("issue create '{title}'")).ok();
    }
    for (text, found) in
        [("ΠΡΟΣ", vec![1]), ("σ", vec![1, 2]), ("οδος", vec![2]), ("STRA", vec![3]), ("PLAIN", vec![4])]
    {
        for line in [format!("issue list --text {text}"), format!("issue search {text}")] {
            let mut ids = ids(&project.json(&line));
            ids.sort_unstable();
            assert_eq!(ids, found, "{line}");
        }
    }
}
