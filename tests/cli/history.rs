//! `log`, `undo` and `stats`.

use serde_json::{Value, json};

use crate::project::{issue, keys, project, project_with};

#[test]
fn the_log_says_who_changed_what_newest_first() {
    let project = project();
    project.oxi("issue create a -p low -b text").ok();
    project.oxi("--actor ana --session s1 issue update 1 -p high --append more").ok();
    let log = project.json("log");
    assert_eq!(log.as_array().unwrap().len(), 2);
    for row in log.as_array().unwrap() {
        assert_eq!(keys(row), ["revision", "at", "actor", "session", "kind", "key", "op", "before", "after"]);
        assert_eq!((&row["kind"], &row["key"]), (&json!("issue"), &json!("1")));
    }
    assert_eq!((&log[0]["op"], &log[1]["op"]), (&json!("update"), &json!("create")));
    assert_eq!((&log[0]["actor"], &log[0]["session"]), (&json!("ana"), &json!("s1")));
    assert_eq!((&log[1]["actor"], &log[1]["session"]), (&json!("tester"), &Value::Null));
    assert_eq!((&log[0]["before"]["priority"], &log[0]["after"]["priority"]), (&json!("low"), &json!("high")));
    assert_eq!(log[0]["before"]["body"], json!("text\n"));
    assert_eq!(log[0]["after"]["body"], json!("text\n\nmore\n"));
    assert_eq!(log[1]["before"], Value::Null);
    assert!(log[0]["before"].get("title").is_none(), "only what changed");
    let text = project.oxi("log").ok();
    assert!(text.stdout.contains("ana (s1)  update #1") && text.stdout.contains("priority: low -> high"), "{text:?}");
}

#[test]
fn the_log_selects() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue update 2 -p high").ok();
    assert_eq!(project.json("log --key 2").as_array().unwrap().len(), 2);
    assert_eq!(project.json("log --key '#2'").as_array().unwrap().len(), 2);
    assert_eq!(project.json("log --since 2").as_array().unwrap().len(), 2);
    assert_eq!(project.json("log --limit 1").as_array().unwrap().len(), 1);
    assert_eq!(project.json("log --kind issue").as_array().unwrap().len(), 4);
    assert_eq!(project.json("log --since 99"), json!([]));
    project.oxi("log --since 99").ok().prints("no changes\n");
}

#[test]
fn the_actor_comes_from_flag_environment_git_and_login() {
    let project = project();
    project.oxi_with("--actor flag issue create a", &[("OXI_STATE_ACTOR", "variable")]).ok();
    project.oxi_with("issue create b", &[("OXI_STATE_ACTOR", "variable")]).ok();
    project.git("config user.name 'Git Name'");
    project.oxi("issue create c").ok();
    let log = project.json("log");
    let actors: Vec<_> = log.as_array().unwrap().iter().map(|row| row["actor"].as_str().unwrap()).collect();
    assert_eq!(actors, ["Git Name", "variable", "flag"]);
}

#[test]
fn an_update_is_undone_and_the_undo_undone() {
    let project = project_with(&[issue(1, "a").with("kind: task\n")]);
    let before = project.show(1);
    project.oxi("issue update 1 -p high --title b --body other --set kind= --add-label x").ok();
    let after = project.show(1);
    let undone = project.json("undo");
    assert_eq!(keys(&undone), ["undone"]);
    assert_eq!(undone["undone"].as_array().unwrap().len(), 1);
    assert_eq!(project.show(1), before);
    let revision = project.json("log --limit 1")[0]["revision"].clone();
    project.oxi(&format!("undo {revision}")).ok().says(&format!("undid change {revision}: undo #1"));
    assert_eq!(project.show(1), after);
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn undo_without_a_revision_goes_back_step_by_step() {
    let project = project();
    project.oxi("issue create a").ok();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("issue update 1 -p low").ok();
    for expected in ["high", "medium"] {
        project.oxi("undo").ok();
        assert_eq!(project.field(1, "priority"), expected);
    }
    project.oxi("undo").ok();
    project.oxi("issue show 1").exits(3);
    let error = project.oxi("undo --json").exits(3).error();
    assert_eq!(error["code"], json!("not_found"));
}

#[test]
fn a_whole_command_is_undone_at_once() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue close 1 2").ok();
    assert_eq!(project.json("undo")["undone"].as_array().unwrap().len(), 2);
    assert_eq!((project.field(1, "status"), project.field(2, "status")), ("open".into(), "open".into()));
}

#[test]
fn an_import_is_undone() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    let before = project.all_issues();
    project.edit("0001-a.md", "three", "3");
    project.edit("0002-b.md", "priority: medium", "priority: low");
    project.oxi("import").ok();
    project.oxi("undo").ok();
    assert_eq!(project.all_issues(), before);
    // the records differ from the files now, and the export says so in the files
    project.oxi("export").ok();
    assert_eq!(project.read("0001-a.md"), issue(1, "a").text());
    project.oxi("status --check").ok();
}

#[test]
fn a_deletion_is_undone_with_everything_that_the_issue_had() {
    let project = project_with(&[issue(1, "a").with("kind: task\ndepends_on:\n- 0002-b\n"), issue(2, "b")]);
    let before = project.all_issues();
    project.oxi("issue delete 2").ok();
    project.oxi("sync").ok();
    project.oxi("issue delete 1").ok();
    project.oxi("sync").ok();
    assert_eq!(project.files(), Vec::<String>::new());
    project.oxi("undo").ok();
    project.oxi("undo").ok();
    assert_eq!(project.all_issues(), before);
    project.oxi("sync").ok();
    assert_eq!(project.files(), ["0001-a.md", "0002-b.md"]);
    project.oxi("status --check").ok();
}

#[test]
fn the_log_shows_the_lines_of_a_text_that_differ_and_nothing_that_commands_a_terminal() {
    let project = project();
    project.oxi("issue create a --body 'one\ntwo\nthree\nfour\nfive\nsix\nseven'").ok();
    project.oxi("issue update 1 --body 'one\n2\nthree\nfour\nfive\nsix\n7'").ok();
    let text = project.oxi("log --limit 1").ok().stdout;
    let body = "      body:\n          one\n        - two\n        + 2\n          three\n        ...\n          six\n        - seven\n        + 7\n";
    assert!(text.ends_with(body), "{text}");
    project.oxi("issue update 1 --body 'one\n\u{1b}[31mred\u{202e}'").ok();
    project.oxi("log --limit 1").ok().says_not("\u{1b}").says_not("\u{202e}");
    let long = "line\n".repeat(100);
    project.oxi(&format!("issue update 1 --body '{long}'")).ok();
    let text = project.oxi("log --limit 1").ok().says("more lines (--json has all of both texts)").stdout;
    assert!(text.lines().count() < 20, "{text}");
    let log = project.json("log --limit 1");
    assert_eq!(log[0]["after"]["body"], json!(long));
    project.oxi("undo").ok();
    project.oxi("log --limit 1").ok().says("undo #1 (change 4)");
}

#[test]
fn wrong_filters_are_refused() {
    let project = project();
    project.oxi("log --kind isue").exits(2).warns("issue");
    project.oxi("log --since yesterday").exits(2);
    project.oxi("log --limit -1").exits(2);
    project.oxi("log --key 9").ok().prints("no changes\n");
    assert_eq!(project.json("log --key 9"), json!([]));
}

#[test]
fn stats_count_what_is_stored() {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    project.oxi("issue close 1").ok();
    let stats = project.json("stats");
    assert_eq!(
        keys(&stats),
        [
            "open",
            "closed",
            "assigned",
            "by_priority",
            "pending",
            "conflicts",
            "sessions",
            "agents",
            "documents",
            "validations",
            "handoffs",
            "keyed",
            "revision",
            "database_bytes"
        ]
    );
    project.oxi("session run -- true").ok();
    project.oxi("agent prime").ok();
    let stats = project.json("stats");
    assert_eq!((&stats["sessions"], &stats["agents"]), (&json!(1), &json!(1)));
    assert_eq!((&stats["open"], &stats["closed"], &stats["pending"]), (&json!(1), &json!(1), &json!(1)));
    project.oxi("stats").ok().says("open       1");
}
