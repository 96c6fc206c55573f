//! Databases that older versions of the program wrote.

use serde_json::json;

use crate::issues::ids;
use crate::project::{Project, project};

/// A project whose database is the one that was committed for a schema.
fn of_schema(schema: u8) -> Project {
    let project = project();
    let database = format!("{}/tests/golden/databases/schema-{schema}.redb", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(database, project.path(".oxi/state.redb")).unwrap();
    project
}

#[test]
fn a_database_of_schema_1_is_brought_up_to_date_by_whoever_opens_it() {
    for (first, writes) in [("issue list --status all", false), ("issue create new", true)] {
        let project = of_schema(1);
        project.oxi(first).ok();
        assert_eq!(ids(&project.json("issue list --status all --sort id"))[..2], [1, 2]);
        assert_eq!(project.json("conflicts")[0]["fields"], json!(["body"]));
        let log = project.json("log");
        assert_eq!(log.as_array().unwrap().len(), 9 + usize::from(writes));
        assert_eq!(project.show(1)["assigned_to"]["session"], json!("s1"));
        // what was deleted then can be brought back now
        project.oxi("undo 6").ok().says("undid change 6: delete #3");
        assert_eq!(project.field(3, "title"), "Old idea");
        // the old one was kept as it was, and could take its place again
        std::fs::rename(project.path(".oxi/state.redb.schema-1"), project.path(".oxi/state.redb")).unwrap();
        assert_eq!(project.json("log").as_array().unwrap().len(), 9);
        assert!(project.path(".oxi/state.redb.schema-1").exists(), "brought up to date once more");
    }
}

#[test]
fn the_copy_of_the_old_database_is_private_and_ignored_by_git() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = of_schema(1);
    project.oxi("issue list").ok();
    let copy = project.path(".oxi/state.redb.schema-1");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(project.git("status --porcelain"), "");
}

#[test]
fn many_processes_that_open_an_old_database_at_once_all_succeed() {
    let project = of_schema(1);
    let children: Vec<_> = (0..12)
        .map(|number| {
            let line = if number % 2 == 0 { "issue list".to_owned() } else { format!("issue create n{number}") };
            project.command(&line).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 1 + 6);
}

#[test]
fn a_database_of_schema_2_keeps_every_kind_of_record() {
    let project = of_schema(2);
    assert_eq!(ids(&project.json("issue list --status all --sort id")), [1, 2]);
    assert_eq!(project.json("pointer get branch")["target"], json!("feature/login"));
    assert_eq!(project.json("session list --all")[0]["id"], json!("s1"));
    assert_eq!(project.json("health show openai/gpt")["state"], json!("available"));
    assert_eq!(project.json("log").as_array().unwrap().len(), 14);
    // what was undone then is undone, and can come back
    project.oxi("undo 14").ok();
    project.oxi("doc get notes/one").ok().says("hello");
    project.oxi("handoff add 'for the next' --issue 1").ok();
    assert!(project.path(".oxi/state.redb.schema-2").exists());
}
