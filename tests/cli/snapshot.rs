//! `snapshot`: files of one moment for readers without the database, with nothing in them that must not leave.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::project::{ISSUES, Project, keys, project};

const TABLES: [&str; 13] = [
    "agents",
    "documents",
    "facts",
    "handoffs",
    "health",
    "issues",
    "pointers",
    "registry",
    "runtime",
    "sessions",
    "telemetry",
    "usage",
    "validations",
];

fn state(project: &Project, name: &str) -> std::path::PathBuf {
    project.path(".oxi/state").join(name)
}

fn latest(project: &Project) -> Value {
    serde_json::from_slice(&std::fs::read(state(project, "latest.json")).unwrap()).unwrap()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "the last line has an end");
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn rows(project: &Project, table: &str) -> Vec<Value> {
    lines(&std::fs::read(state(project, &format!("{table}.jsonl"))).unwrap())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A set as a careful reader takes it; none if its files do not belong together.
fn consistent(project: &Project) -> Option<(Value, BTreeMap<String, Vec<Value>>)> {
    let latest = latest(project);
    let mut tables = BTreeMap::new();
    for (name, file) in latest["files"].as_object().unwrap() {
        let bytes = std::fs::read(state(project, file["path"].as_str().unwrap())).unwrap();
        // whatever it is of, it is whole
        let rows = lines(&bytes);
        if digest(&bytes) != file["sha256"].as_str().unwrap() {
            return None;
        }
        assert_eq!(
            (rows.len() as u64, bytes.len() as u64),
            (file["rows"].as_u64().unwrap(), file["bytes"].as_u64().unwrap())
        );
        tables.insert(name.clone(), rows);
    }
    Some((latest, tables))
}

/// Every file of the folder with its bytes and its time of change.
fn files(project: &Project) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let entries = std::fs::read_dir(project.path(".oxi/state")).unwrap().map(Result::unwrap);
    let one = |entry: std::fs::DirEntry| {
        let time = entry.metadata().unwrap().modified().unwrap();
        (entry.file_name().into_string().unwrap(), (std::fs::read(entry.path()).unwrap(), time))
    };
    entries.map(one).collect()
}

/// A project with something of everything.
fn furnished() -> Project {
    let project = project();
    for line in [
        "issue create 'Alarm fires twice' -p high -l bug",
        "issue create 'Read the feed' --depends-on 1",
        "issue create 'Old one'",
        "issue close 3",
        "--session s-4711-owner issue start 1",
        "pointer set branch main",
        "pointer set issue 2",
        "pointer set session s-4711-owner --name night",
        "fact set theme dark",
        "fact set model.dir /opt/models",
        "runtime set proxy --state running",
        "health record openai/gpt --ok",
        "registry set extension/lint --of-version 1.2",
        "telemetry tool bash 40",
        "session run --id s-0815-night -- true",
    ] {
        project.oxi(line).ok();
    }
    append(
        &project,
        &[
            json!({ "kind": "handoff", "data": { "from": "Ada", "to": "s-4711-owner", "issue": 1, "session": "s-4711-owner",
                "summary": format!("By s-4711-owner, in {}/src and /home/ada/x.", project.root.display()) } }),
            json!({ "kind": "handoff", "data": { "from": "s-0815-night", "summary": "Nothing", "next": ["rest"] } }),
            json!({ "kind": "validation", "data": { "name": "test", "result": "passed", "issue": 1, "session": "s-0815-night",
                "command": "make -C /home/ada/tide test", "at": "2026-06-17T10:00:00Z" } }),
            json!({ "kind": "validation", "data": { "name": "test", "result": "failed", "at": "2026-06-17T11:00:00Z" } }),
        ],
    );
    project.oxi("inbox").ok();
    std::fs::write(project.path("note.md"), "tide tables").unwrap();
    project.oxi("doc put notes/tide note.md").ok();
    project
}

fn append(project: &Project, rows: &[Value]) {
    use std::io::Write as _;
    std::fs::create_dir_all(project.path(".oxi/state")).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(state(project, "inbox.jsonl")).unwrap();
    for row in rows {
        file.write_all(format!("{row}\n").as_bytes()).unwrap();
    }
}

#[test]
fn a_snapshot_names_its_tables_with_their_digests_and_sums_up_the_state() {
    let project = furnished();
    project.oxi("snapshot").ok().says("wrote 14 files of .oxi/state");
    let (latest, tables) = consistent(&project).unwrap();
    assert_eq!(tables.keys().collect::<Vec<_>>(), TABLES);
    let issues = &latest["issues"];
    assert_eq!((&issues["open_count"], &issues["closed_count"], &issues["next"]), (&json!(2), &json!(1), &Value::Null));
    assert_eq!(latest["claims"][0]["id"], 1);
    assert_eq!(latest["claims"].as_array().unwrap().len(), 1);
    assert_eq!(latest["revision"], project.json("stats")["revision"]);
    assert_eq!(latest["validations"].as_array().unwrap().len(), 1, "the latest of each name");
    assert_eq!(latest["validations"][0]["result"], "failed");
    assert_eq!(latest["handoffs"].as_array().unwrap().len(), 2);
    for table in ["pointers", "health", "runtime", "facts", "registry"] {
        assert_eq!(latest[table].as_array().unwrap(), &tables[table], "{table}");
    }
    let described = project.json("schema snapshot");
    let mut properties = keys(&described["properties"]);
    properties.sort_unstable();
    let mut found = keys(&latest);
    found.sort_unstable();
    assert_eq!(properties, found);
    assert_eq!(described["properties"]["handoffs"]["items"]["title"], "handoff");
    let described = project.json("schema snapshot-issue");
    assert_eq!(described["required"], json!(keys(&tables["issues"][0])));
}

#[test]
fn rows_are_what_the_commands_print() {
    let project = furnished();
    for (variable, all) in [("false", false), ("true", true)] {
        project
            .oxi_with("snapshot", &[("OXI_STATE_EXPORT_SESSION_IDS", variable), ("OXI_STATE_EXPORT_PATHS", variable)])
            .ok();
        for (table, list) in [
            ("runtime", "runtime list"),
            ("health", "health list"),
            ("registry", "registry list"),
            ("documents", "doc list"),
        ] {
            assert_eq!(json!(rows(&project, table)), project.json(list), "{table}");
        }
        let mut issues = rows(&project, "issues");
        for issue in &mut issues {
            let fields = issue.as_object_mut().unwrap();
            for extra in ["blocked", "claimed", "owner_alive"] {
                fields.remove(extra).unwrap();
            }
        }
        let mut listed = project.json("issue list --status all --sort id");
        for issue in listed.as_array_mut().unwrap().iter_mut().filter(|_| !all) {
            issue.as_object_mut().unwrap().remove("sessions").unwrap();
            issue.as_object_mut().unwrap().remove("assigned_to").unwrap();
        }
        assert_eq!(json!(issues), listed);
        let blocked: Vec<_> = rows(&project, "issues").iter().map(|issue| issue["blocked"].clone()).collect();
        assert_eq!(blocked, [false, true, false]);
    }
    assert_eq!(json!(rows(&project, "pointers")), project.json("pointer list"));
    assert_eq!(json!(rows(&project, "facts")), project.json("fact list"));
    let mut sessions = project.json("session list --all");
    sessions.as_array_mut().unwrap().sort_by_key(|session| session["id"].to_string());
    let mut found = rows(&project, "sessions");
    found.sort_by_key(|session| session["id"].to_string());
    assert_eq!(json!(found), sessions);
    assert_eq!(rows(&project, "telemetry")[0]["name"], "bash");
}

#[test]
fn neither_sessions_nor_places_leave_unless_the_project_says_so() {
    let project = furnished();
    let root = project.root.display().to_string();
    let marks = ["s-4711-owner", "s-0815-night", "/home/ada", "/opt/models", &root];
    let all = || -> String {
        files(&project)
            .into_iter()
            .filter(|(name, _)| name != "inbox.jsonl")
            .map(|(_, (bytes, _))| String::from_utf8(bytes).unwrap())
            .collect()
    };
    project.oxi("snapshot").ok();
    let text = all();
    for mark in marks {
        assert!(!text.contains(mark), "{mark}:\n{text}");
    }
    assert!(text.contains("By [session], in src and [path]"), "{text}");
    assert!(text.contains("make -C [path] test"));
    assert_eq!(keys(&rows(&project, "sessions")[0])[0], "source");
    project.oxi("config set export.session_ids true").ok();
    project.oxi("snapshot").ok();
    let text = all();
    assert!(text.contains("s-4711-owner") && text.contains("s-0815-night"));
    assert!(!text.contains("/home/ada") && !text.contains(&root));
    assert_eq!(latest(&project)["claims"][0]["session"], "s-4711-owner");
    assert_eq!(rows(&project, "issues")[0]["assigned_to"]["session"], "s-4711-owner");
    project.oxi("config set export.paths true").ok();
    project.oxi("snapshot").ok();
    let text = all();
    assert!(marks.iter().all(|mark| text.contains(mark)), "{text}");
    assert_eq!(latest(&project)["root"], root);
    // and back again
    project.oxi_with("snapshot", &[("OXI_STATE_EXPORT_PATHS", "0"), ("OXI_STATE_EXPORT_SESSION_IDS", "0")]).ok();
    assert!(marks.iter().all(|mark| !all().contains(mark)));
}

#[test]
fn a_secret_that_a_file_brought_does_not_leave_and_neither_does_a_text() {
    let project = project();
    let secret = ["ghp_", "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA2bC4"].concat();
    let file =
        crate::project::issue(1, "leak").with(&format!("note: use {secret}\n")).body("The body stays at home.\n");
    project.add(&file);
    project.write(
        "0002-other.md",
        crate::project::issue(2, "other").text().replace("title: other", &format!("title: with {secret}")),
    );
    project.oxi("import").ok();
    std::fs::write(project.path("note.md"), "The note stays at home.").unwrap();
    project.oxi("doc put notes/x note.md").ok();
    project.oxi("fact set github_token x --redact").ok();
    project.oxi("snapshot").ok();
    for (name, (bytes, _)) in files(&project) {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(&secret) && !text.contains("stays at home"), "{name}: {text}");
    }
    let issues = rows(&project, "issues");
    assert_eq!(issues[0]["extra"]["note"], "use [redacted:github-token]");
    assert_eq!(issues[1]["title"], "with [redacted:github-token]");
    assert_eq!(rows(&project, "facts")[0]["value"], "[redacted]");
}

#[test]
fn what_says_already_what_it_should_is_left_alone() {
    let project = furnished();
    let report = project.json("snapshot");
    assert_eq!(report["written"].as_array().unwrap().len(), 14);
    let before = files(&project);
    std::thread::sleep(Duration::from_millis(20));
    project.oxi("snapshot").ok().prints(&format!(".oxi/state is of revision {} already\n", report["revision"]));
    assert_eq!(files(&project), before);
    project.oxi("pointer set branch other").ok();
    assert_eq!(project.json("snapshot --dry-run")["written"], json!(["pointers.jsonl", "latest.json"]));
    assert_eq!(files(&project), before);
    assert_eq!(project.json("snapshot")["written"], json!(["pointers.jsonl", "latest.json"]));
    // what somebody else wrote over is mended
    std::fs::write(state(&project, "facts.jsonl"), "gone").unwrap();
    std::fs::write(state(&project, ".facts.jsonl.tmp-1-1"), "left by a killed process").unwrap();
    assert_eq!(project.json("snapshot")["written"], json!(["facts.jsonl", "latest.json"]));
    assert!(!state(&project, ".facts.jsonl.tmp-1-1").exists());
}

#[test]
fn the_folder_and_its_files_are_their_owners_and_git_does_not_see_them() {
    let project = project();
    project.oxi("snapshot --dry-run").ok().says("would write 14 files");
    assert!(!project.path(".oxi/state").exists());
    project.oxi("snapshot").ok();
    let mode = |path: std::path::PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(project.path(".oxi/state")), 0o700);
    for name in files(&project).into_keys() {
        assert_eq!(mode(state(&project, &name)), 0o600, "{name}");
    }
    assert_eq!(project.git("status --porcelain"), "");
}

#[test]
fn links_are_refused_and_lead_nowhere() {
    let project = project();
    let outside = project.scratch().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, project.path(".oxi/state")).unwrap();
    project.oxi("snapshot").exits(1).warns("symbolic link");
    std::fs::remove_file(project.path(".oxi/state")).unwrap();
    std::fs::create_dir(project.path(".oxi/state")).unwrap();
    for name in ["latest.json", "issues.jsonl"] {
        let target = outside.join("target");
        std::fs::write(&target, "mine").unwrap();
        symlink(&target, state(&project, name)).unwrap();
        let error = project.oxi("snapshot --json").exits(1).error();
        assert!(error["message"].as_str().unwrap().contains("symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        std::fs::remove_file(state(&project, name)).unwrap();
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    std::fs::create_dir(state(&project, "usage.jsonl")).unwrap();
    project.oxi("snapshot").exits(1).warns("not a regular file");
}

#[test]
fn a_fresh_clone_has_one_at_once() {
    let project = furnished();
    project.oxi("export").ok();
    project.commit("issues");
    let clone = project.clone_as("clone");
    clone.oxi("snapshot").ok();
    assert_eq!(rows(&clone, "issues").len(), 3);
    assert!(clone.path(ISSUES).exists());
}

#[test]
fn readers_never_see_half_a_file_and_can_tell_files_of_two_moments() {
    let project = project();
    project.oxi("issue create 'Number 0'").ok();
    project.oxi("snapshot").ok();
    let stop = AtomicBool::new(false);
    let (mut seen, mut torn) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    project.oxi("snapshot --quiet").ok();
                }
            });
        }
        scope.spawn(|| {
            for number in 1..40 {
                project.oxi(&format!("issue create 'Number {number}'")).ok();
                project.oxi(&format!("fact set number {number}")).ok();
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut last = 0;
        while !stop.load(Ordering::Relaxed) {
            let Some((latest, tables)) = consistent(&project) else {
                torn += 1;
                continue;
            };
            seen += 1;
            let revision = latest["revision"].as_u64().unwrap();
            assert!(revision >= last, "it never goes back");
            last = revision;
            // of one moment: the fact is the number of the last issue, or of the one before
            let issues = tables["issues"].len() as u64;
            let fact = latest["facts"][0]["value"].as_str().map_or(0, |value| value.parse().unwrap());
            assert!(fact == issues - 1 || fact + 1 == issues - 1, "{fact} facts, {issues} issues");
            assert_eq!(latest["issues"]["open_count"], issues);
        }
    });
    assert!(seen > 10, "{seen} sets, {torn} torn ones");
    project.oxi("snapshot").ok();
    assert_eq!(consistent(&project).unwrap().1["issues"].len(), 40);
}

#[test]
fn a_kill_at_any_moment_leaves_files_that_can_be_read() {
    let project = project();
    for number in 0..30 {
        project.oxi(&format!("issue create 'Number {number}'")).ok();
    }
    project.oxi("snapshot").ok();
    for round in 0..40_u64 {
        project.oxi(&format!("fact set round {round}")).ok();
        project.oxi(&format!("pointer set note 'Round {round}'")).ok();
        let mut child = project.command("snapshot").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(round * 700 % 23_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // each file is whole; that they belong together is what digests tell
        if consistent(&project).is_none() {
            for table in TABLES {
                rows(&project, table);
            }
        }
        if round % 5 == 4 {
            project.oxi("snapshot").ok();
            let (latest, _) = consistent(&project).expect("the next one mends it");
            assert_eq!(latest["facts"][0]["value"], round.to_string());
            assert!(files(&project).keys().all(|name| !name.contains(".tmp-")), "leftovers are swept");
        }
    }
}

#[test]
fn a_second_one_waits_for_its_turn_and_not_forever() {
    let project = project();
    let lock = std::fs::File::create(project.path(".oxi/state.lock-snapshot")).unwrap();
    lock.lock().unwrap();
    let error = project.oxi("snapshot --lock-timeout 0.1 --json").exits(6).error();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("busy"), &json!(true)));
    drop(lock);
    project.oxi("snapshot").ok();
}
