//! Databases that older versions of the program wrote.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oxi_state::schema::codec;
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

/// The copies that were made by themselves before a migration.
fn copies(project: &Project) -> Vec<std::path::PathBuf> {
    let names = std::fs::read_dir(project.path(".oxi")).unwrap().map(|name| name.unwrap().path());
    let mut copies: Vec<_> = names.filter(|path| path.display().to_string().contains("/state.redb.backup-")).collect();
    copies.sort();
    copies
}

/// Makes a database one of a schema that nobody knows yet.
pub(crate) fn make_newer(path: &Path) {
    const META: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(path).unwrap();
    let mut txn = database.begin_write().unwrap();
    txn.set_quick_repair(true);
    {
        let mut meta = txn.open_table(META).unwrap();
        meta.insert(&b"schema"[..], codec::encode(b"schema", &200_u8).as_slice()).unwrap();
    }
    txn.commit().unwrap();
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
        let old = copies(&project);
        assert!(old.len() == 1 && old[0].display().to_string().ends_with("Z-schema-1"), "{old:?}");
        std::fs::rename(&old[0], project.path(".oxi/state.redb")).unwrap();
        assert_eq!(project.json("log").as_array().unwrap().len(), 9);
        assert_eq!(copies(&project).len(), 1, "brought up to date once more");
    }
}

#[test]
fn the_copy_of_the_old_database_is_private_and_ignored_by_git() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = of_schema(1);
    project.oxi("issue list").ok();
    let copy = copies(&project).remove(0);
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
    assert_eq!(copies(&project).len(), 1);
}

#[test]
fn a_database_of_schema_3_is_in_step_with_the_files_it_knew() {
    let project = of_schema(3);
    assert_eq!(ids(&project.json("issue list --status all --sort id")), [1, 2]);
    assert_eq!(project.json("validation list")[0]["result"], json!("passed"));
    assert_eq!(project.json("log").as_array().unwrap().len(), 13);
    // the files that it knew are not in this folder, and were never committed here
    project.oxi("status").ok().says("to import 0, to export 2");
    project.oxi("sync").ok();
    project.oxi("status").ok().says("in step");
    assert_eq!(project.json("doctor")["healthy"], json!(true));
}

#[test]
fn a_migrated_database_has_no_fault() {
    for schema in [1, 2, 3] {
        let project = of_schema(schema);
        let before = std::fs::read(project.path(".oxi/state.redb")).unwrap();
        project.oxi("doctor").ok().says(&format!("of an older version (schema {schema})"));
        // the check of the files is a command like any other
        project.oxi("doctor").ok();
        let report = project.json("doctor");
        assert_eq!((&report["healthy"], &report["database"]["schema"]), (&json!(true), &json!(4)), "{report}");
        assert_eq!(
            std::fs::read(copies(&project).remove(0)).unwrap(),
            before,
            "the copy is the old one, byte for byte"
        );
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_no_byte_of_it_changes() {
    let project = project();
    project.oxi("issue create first").ok();
    let path = project.path(".oxi/state.redb");
    make_newer(&path);
    let before = std::fs::read(&path).unwrap();
    for line in [
        "issue list",
        "issue create second",
        "sync",
        "compact",
        "undo",
        "doctor",
        "doctor --fix",
        "backup b.redb",
        "resume",
        "snapshot",
    ] {
        project.oxi(line).exits(9);
        assert!(std::fs::read(&path).unwrap() == before, "{line}");
    }
    project.oxi("issue list").exits(9).warns("newer version").warns("install the newer oxi-state");
    assert!(copies(&project).is_empty() && !project.path("b.redb").exists());
}

/// How many rows the log of a committed database has.
pub(crate) fn log_rows(schema: u8) -> usize {
    match schema {
        1 => 9,
        2 => 14,
        _ => 13,
    }
}

/// The database is of the old schema or of the new one, with all that was in it, and the next command uses it.
fn assert_old_or_new(project: &Project, schema: u8, how: &str) {
    let rows = log_rows(schema);
    assert_eq!(project.json("log").as_array().unwrap().len(), rows, "{how}");
    assert_eq!(ids(&project.json("issue list --status all --sort id")), [1, 2], "{how}");
    assert_eq!(project.json("doctor")["healthy"], json!(true), "{how}");
    // nor is a copy anything but the old one
    if let Some(copy) = copies(project).last() {
        let restored = project.json(&format!("restore {}", copy.display()));
        assert_eq!((&restored["schema"], &restored["issues"]), (&json!(schema), &json!(2)), "{how}");
    }
}

#[test]
fn killed_at_any_call_a_migration_leaves_the_old_schema_or_the_new_one() {
    let traces = Command::new("strace").args(["-qq", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !traces.is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace is not installed, or may not be used");
        return;
    }
    let is_long = std::env::var_os("OXI_STATE_LONG").is_some();
    let mut killed = 0;
    for (call, step) in
        [("pwrite64", 9), ("fdatasync", 3), ("fsync", 1), ("ftruncate", 1), ("renameat", 1), ("write", 6)]
    {
        for schema in if is_long { vec![1, 2, 3] } else { vec![1] } {
            for number in (1..200).step_by(if is_long { 1 } else { step }) {
                let project = of_schema(schema);
                let command = project.command("issue list");
                let mut traced = Command::new("strace");
                traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
                traced.arg(format!("inject={call}:signal=SIGKILL:when={number}"));
                traced.arg(command.get_program()).args(command.get_args()).current_dir(&project.root);
                traced.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
                let done = traced.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
                if done.success() {
                    break;
                }
                killed += 1;
                assert_old_or_new(&project, schema, &format!("schema {schema}, {call} {number}"));
            }
        }
    }
    eprintln!("killed at {killed} calls");
    assert!(killed >= 8, "{killed}");
}

#[test]
fn killed_at_any_time_a_migration_leaves_the_old_schema_or_the_new_one() {
    let project = of_schema(1);
    let start = Instant::now();
    project.oxi("issue list").ok();
    let whole = start.elapsed().max(Duration::from_millis(8));
    let mut killed = 0;
    for round in 0..if std::env::var_os("OXI_STATE_LONG").is_some() { 1_000 } else { 16 } {
        let project = of_schema(1);
        let mut child = project.command("issue list").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * (round % 16) / 15);
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        assert_old_or_new(&project, 1, &format!("round {round}"));
    }
    eprintln!("{killed} were killed");
    assert!(killed > 0);
}
