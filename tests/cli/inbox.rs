//! `inbox`: rows that other programs appended, each taken once, whatever happens meanwhile.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::project::{Project, Run, keys, project};

const INBOX: &str = ".oxi/state/inbox.jsonl";

fn append(project: &Project, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(project.path(".oxi/state")).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(project.path(INBOX)).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

fn row(kind: &str, data: &Value) -> String {
    format!("{}\n", json!({ "kind": kind, "data": data }))
}

fn keyed(kind: &str, key: &str, data: &Value) -> String {
    format!("{}\n", json!({ "kind": kind, "key": key, "data": data }))
}

fn counted(project: &Project) -> u64 {
    let days = project.json("telemetry list");
    days.as_array().unwrap().first().map_or(0, |day| day["counters"]["rows"].as_u64().unwrap_or_default())
}

#[test]
fn rows_are_taken_once_and_are_then_as_if_a_command_had_set_them() {
    let project = project();
    project.oxi("issue create Tide").ok();
    project.oxi("inbox").ok().prints("0 rows taken\n");
    append(
        &project,
        keyed("handoff", "h", &json!({ "from": "node", "summary": "Half", "next": ["rest"], "issue": 1 })),
    );
    append(&project, row("validation", &json!({ "name": "test", "result": "failed", "exit_code": 2, "issue": 1 })));
    append(&project, row("pointer", &json!({ "kind": "issue", "issue": 1 })));
    append(&project, row("fact", &json!({ "name": "theme", "value": "dark" })));
    append(&project, row("runtime", &json!({ "name": "proxy", "state": "running", "port": 8080 })));
    append(
        &project,
        row(
            "health",
            &json!({ "provider": "openai", "model": "gpt", "error": "rate_limit", "retry_after_seconds": 60 }),
        ),
    );
    append(&project, row("registry", &json!({ "kind": "package", "name": "tool", "version": "1" })));
    append(&project, row("telemetry", &json!({ "measure": "count", "name": "rows", "count": 3 })));
    append(
        &project,
        keyed("handoff", "h", &json!({ "from": "node", "summary": "Half", "next": ["rest"], "issue": 1 })),
    );
    let dry = project.json("inbox --dry-run");
    assert_eq!((&dry["taken"], &dry["skipped"]), (&json!(8), &json!(1)));
    project.oxi("inbox --dry-run").ok().says("would be: 8 rows taken (fact 1, handoff 1,");
    assert_eq!(project.json("pointer list"), json!([]));
    let report = project.json("inbox");
    assert_eq!(report, dry);
    assert_eq!(keys(&report), ["taken", "by_kind", "skipped", "bad_lines", "bad", "unfinished", "retired", "kept_as"]);
    assert_eq!(keys(&project.json("schema inbox")["properties"]), keys(&report));
    project.oxi("inbox").ok().prints("0 rows taken\n");
    assert_eq!(project.json("pointer get issue")["issue_number"], 1);
    assert_eq!(project.json("fact get theme")["layer"], "set");
    assert_eq!(project.json("health show openai/gpt")["state"], "limited");
    assert_eq!(project.json("registry show package/tool")["version"], "1");
    assert_eq!(project.json("runtime get proxy")["port"], 8080);
    assert_eq!(counted(&project), 3);
    let issue = project.show(1);
    assert_eq!(issue["handoffs"][0]["summary"], "Half");
    project.oxi("export").ok();
    assert!(project.read("0001-tide.md").contains("summary: Half"), "it is in the issue's file");
    let log = project.json("log --limit 20");
    assert!(log.as_array().unwrap().iter().any(|change| change["kind"] == "validation" && change["op"] == "run"));
}

#[test]
fn a_bad_line_is_told_with_its_place_stays_and_keeps_no_other_back() {
    let project = project();
    append(&project, row("fact", &json!({ "name": "a", "value": 1 })));
    append(&project, "{\"kind\":\"fact\",\n");
    append(&project, row("pointer", &json!({ "kind": "issue", "issue": 12 })));
    append(&project, row("runtime", &json!({ "name": "proxy", "state": "asleep" })));
    append(&project, b"{\"kind\":\"\xff\xfe\"}\n");
    append(&project, row("agent", &json!({})));
    append(&project, row("fact", &json!({ "name": "b", "value": 2 })));
    append(&project, "{\"kind\":\"fact\",\"data\":{\"name\":\"c\"");
    let before = std::fs::read(project.path(INBOX)).unwrap();
    let report = project.json_of("inbox", 7);
    assert_eq!((&report["taken"], &report["bad_lines"], &report["unfinished"]), (&json!(2), &json!(5), &json!(true)));
    let told: Vec<_> = report["bad"].as_array().unwrap().iter().map(|bad| (&bad["line"], &bad["field"])).collect();
    let (null, kind) = (Value::Null, json!("kind"));
    assert_eq!(
        told,
        [
            (&json!(2), &null),
            (&json!(3), &json!("issue")),
            (&json!(4), &json!("state")),
            (&json!(5), &null),
            (&json!(6), &kind)
        ]
    );
    assert_eq!(report["bad"][1]["reason"], "issue #12 not found");
    assert_eq!(report["bad"][1]["path"], INBOX);
    assert_eq!(std::fs::read(project.path(INBOX)).unwrap(), before, "the file is only ever read");
    let again = project.json("inbox");
    assert_eq!((&again["taken"], &again["bad_lines"]), (&json!(0), &json!(0)), "told once");
    append(&project, ",\"value\":3}}\n");
    project.oxi("inbox").ok().prints("1 row taken (fact 1)\n");
    assert_eq!(project.json("fact list").as_array().unwrap().len(), 3);
    append(&project, "nonsense\n");
    project.oxi("inbox").exits(7).says("0 rows taken; 1 bad").warns("bad line .oxi/state/inbox.jsonl:9: column ");
}

#[test]
fn a_secret_is_refused_by_its_rule_and_gets_nowhere() {
    let project = project();
    let secret = ["ghp_", "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA2bC4"].concat();
    for data in [
        ("handoff", json!({ "from": "x", "summary": format!("use {secret}") })),
        ("handoff", json!({ "from": &secret, "summary": "x" })),
        ("handoff", json!({ "from": "x", "summary": "x", "next": ["a", { "text": &secret, "done": false }] })),
        ("validation", json!({ "name": "x", "result": "passed", "command": format!("curl -H {secret}") })),
        ("pointer", json!({ "kind": "note", "note": &secret })),
        ("fact", json!({ "name": "x", "value": &secret })),
        ("fact", json!({ "name": "password", "value": "tidewater-harbour" })),
        ("runtime", json!({ "name": "x", "state": "running", "summary": &secret })),
        ("health", json!({ "provider": &secret, "model": "x", "ok": true })),
        ("registry", json!({ "kind": "package", "name": &secret })),
        ("telemetry", json!({ "measure": "count", "name": &secret })),
    ] {
        append(&project, row(data.0, &data.1));
    }
    append(&project, json!({ "kind": secret, "data": {} }).to_string() + "\n");
    append(&project, json!({ "kind": "fact", "data": { secret.as_str(): 1 } }).to_string() + "\n");
    append(&project, format!("{{\"kind\":\"fact\",\"key\":\"{secret}\",\"data\":{{\"name\":\"k\",\"value\":1}}}}\n"));
    let (json, text) = (project.oxi("inbox --dry-run --json").exits(7), project.oxi("inbox").exits(7));
    let report = json.json();
    assert_eq!((&report["taken"], &report["bad_lines"]), (&json!(1), &json!(13)));
    let rules: Vec<_> = report["bad"].as_array().unwrap().iter().map(|bad| bad["rule"].clone()).collect();
    assert_eq!(rules.iter().filter(|rule| !rule.is_null()).count(), 11, "{rules:?}");
    project.oxi("snapshot").ok();
    let mut written = vec![json.stdout, text.stdout, text.stderr, project.oxi("log --json").ok().stdout];
    for folder in [".oxi", ".oxi/state"] {
        for entry in std::fs::read_dir(project.path(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() && !entry.ends_with("inbox.jsonl") {
                written.push(String::from_utf8_lossy(&std::fs::read(entry).unwrap()).into_owned());
            }
        }
    }
    assert!(written.iter().all(|text| !text.contains(&secret) && !text.contains("tidewater-harbour")));
    // redacted, if that is asked for
    append(&project, row("handoff", &json!({ "from": "x", "summary": format!("use {secret}") })));
    project.oxi("--redact inbox").ok();
    project.oxi("snapshot").ok();
    let latest = std::fs::read_to_string(project.path(".oxi/state/latest.json")).unwrap();
    assert!(latest.contains("use [redacted:github-token]"));
}

#[test]
fn many_at_once_take_each_row_once() {
    let project = project();
    let writers = 4;
    let (each, keys) = (50, 10);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let project = &project;
            scope.spawn(move || {
                for number in 0..each {
                    append(project, row("telemetry", &json!({ "measure": "count", "name": "rows" })));
                    // every writer hands in the same keys
                    let data = json!({ "from": "x", "summary": format!("Number {}", number % keys) });
                    append(project, keyed("handoff", &format!("k{}", number % keys), &data));
                    if number % 10 == writer {
                        project.oxi("inbox").ok();
                    }
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..8 {
                    project.oxi("inbox").ok();
                }
            });
        }
    });
    project.oxi("inbox").ok();
    assert_eq!(counted(&project), writers * each);
    project.oxi("snapshot").ok();
    let handoffs = std::fs::read_to_string(project.path(".oxi/state/handoffs.jsonl")).unwrap();
    assert_eq!(handoffs.lines().count() as u64, keys);
}

#[test]
fn a_kill_at_any_moment_takes_no_row_twice_and_loses_none() {
    let project = project();
    let mut all = 0;
    for round in 0..40_u64 {
        for _ in 0..25 {
            append(&project, row("telemetry", &json!({ "measure": "count", "name": "rows" })));
            all += 1;
        }
        let mut child = project.command("inbox").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(round * 900 % 25_000));
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 8 == 7 {
            project.oxi("inbox").ok();
            assert_eq!(counted(&project), all);
        }
    }
    project.oxi("inbox").ok();
    assert_eq!(counted(&project), all);
}

#[test]
fn a_torn_line_costs_itself_alone() {
    let project = project();
    append(&project, "{\"kind\":\"telemetry\",\"da");
    // another writer, which begins with a line feed as the example does
    append(&project, format!("\n{}", row("telemetry", &json!({ "measure": "count", "name": "rows" }))));
    project.oxi("inbox").exits(7).says("1 row taken (telemetry 1); 1 bad");
    assert_eq!(counted(&project), 1);
}

#[test]
fn a_link_in_the_place_of_the_file_is_refused() {
    let project = project();
    let outside = project.scratch().join("rows");
    std::fs::write(&outside, row("telemetry", &json!({ "measure": "count", "name": "rows" }))).unwrap();
    std::fs::create_dir(project.path(".oxi/state")).unwrap();
    std::os::unix::fs::symlink(&outside, project.path(INBOX)).unwrap();
    project.oxi("inbox").exits(1).warns("symbolic link");
    std::fs::remove_file(project.path(INBOX)).unwrap();
    std::fs::create_dir(project.path(INBOX)).unwrap();
    project.oxi("inbox").exits(1).warns("not a regular file");
    assert_eq!(counted(&project), 0);
}

#[test]
fn a_full_file_is_put_aside_and_its_writers_lose_nothing() {
    let project = project();
    let rows = row("telemetry", &json!({ "measure": "count", "name": "rows" }));
    // blanks do not matter, and make a row long
    let long = format!("{:<60000}\n", rows.trim_end());
    let many = 4 * 1024 * 1024 / long.len() + 1;
    append(&project, long.repeat(many));
    let mut held = std::fs::OpenOptions::new().append(true).open(project.path(INBOX)).unwrap();
    assert_eq!(project.json("inbox")["retired"], true);
    assert!(!project.path(INBOX).exists());
    held.write_all(rows.as_bytes()).unwrap();
    append(&project, &rows);
    project.oxi("inbox").ok().prints("2 rows taken (telemetry 2)\n");
    assert_eq!(counted(&project), many as u64 + 2);
    // a day after the last row the old file goes
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(25 * 3600);
    held.set_modified(long_ago).unwrap();
    project.oxi("inbox").ok();
    assert!(project.path(".oxi/state/inbox.old.jsonl").exists(), "it was put aside today");
}

#[test]
fn the_session_of_who_takes_rows_is_not_that_of_who_wrote_them() {
    let project = project();
    append(&project, row("validation", &json!({ "name": "test", "result": "passed" })));
    let mut command = project.command("--session s-1 --actor Bob inbox");
    Run::of("inbox", command.output().unwrap()).ok();
    project.oxi_with("snapshot", &[("OXI_STATE_EXPORT_SESSION_IDS", "1")]).ok();
    let text = std::fs::read_to_string(project.path(".oxi/state/validations.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["session"], Value::Null);
    assert_eq!(project.json("log")[0]["actor"], "Bob");
}
