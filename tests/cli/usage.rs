//! Usage: imported once however often, summed up; and counters per day.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::project::{self, Project, keys};

const SAMPLE: &str = include_str!("../golden/usage/usage.jsonl");
const PRUNED: &str = include_str!("../golden/usage/usage.after-prune.jsonl");

/// The keys of the original's summary, in order; then ours.
const SUMMARY_KEYS: [&str; 12] = [
    "version",
    "enabled",
    "path",
    "retention_days",
    "read_window_days",
    "generated_at",
    "today",
    "totals",
    "by_day",
    "by_model_today",
    "by_model_24h",
    "last_error",
];

const AGGREGATE_KEYS: [&str; 14] = [
    "requests",
    "ok",
    "fail",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "usage_reported",
    "usage_estimated",
    "cost",
    "rate_limited",
    "latency_ms_avg",
    "latency_ms_max",
    "last_seen_at",
    "errors",
];

/// A project that keeps all days, also those of long ago that the samples have.
fn project() -> Project {
    let project = project::project();
    project.oxi("config set retention.usage_days 36500").ok();
    project
}

fn file(project: &Project, text: &str) -> String {
    let path = project.scratch().join("usage.jsonl");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The present time, and the day it is of.
fn now() -> (i64, String) {
    let now = chrono::Utc::now();
    (now.timestamp_millis(), now.format("%Y-%m-%d").to_string())
}

fn row(millis: i64, day: &str, model: &str, more: &str) -> String {
    format!("{{\"ts\":{millis},\"day\":\"{day}\",\"model\":\"{model}\"{more}}}\n")
}

/// Everything that is stored or said: the files of the state folder.
fn stored(project: &Project) -> Vec<u8> {
    let entries = std::fs::read_dir(project.path(".oxi")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn a_file_is_imported_once_also_after_the_proxy_wrote_it_anew() {
    let project = project();
    let path = file(&project, SAMPLE);
    let dry = project.json(&format!("usage import {path} --dry-run"));
    assert_eq!(dry["counted"], 6);
    assert_eq!(project.json("log --kind usage"), json!([]));
    project.oxi(&format!("usage import {path}")).ok().prints("6 requests counted, 1821 tokens\n").silent();
    let log = project.json("log");
    project.oxi(&format!("usage import {path}")).ok().prints("0 requests counted, 0 tokens\n").silent();
    assert_eq!(project.json("log"), log, "what changes nothing writes nothing");
    let models = project.json("usage summary --days 3660")["by_model"].clone();
    std::fs::write(&path, PRUNED).unwrap();
    let report = project.json(&format!("usage import {path}"));
    assert_eq!(
        keys(&report),
        ["path", "counted", "known", "expired", "total_tokens", "rewritten", "unfinished", "bad_lines", "bad"]
    );
    assert_eq!((&report["counted"], &report["known"], &report["rewritten"]), (&json!(0), &json!(6), &json!(true)));
    assert!(report["path"].as_str().unwrap().starts_with('#'), "a path elsewhere is hashed: {report}");
    assert_eq!(project.json("usage summary --days 3660")["by_model"], models);
    let copy = project.scratch().join("copy.jsonl");
    std::fs::copy(&path, &copy).unwrap();
    project.oxi(&format!("usage import {}", copy.display())).ok().says("0 requests counted").says("6 known already");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), PRUNED, "the source is only read");
}

#[test]
fn an_import_can_be_undone_and_done_again() {
    let project = project();
    let path = file(&project, SAMPLE);
    project.oxi(&format!("usage import {path}")).ok();
    project.oxi("undo").ok().says("usage 2026-06-25/big-pickle");
    assert_eq!(project.json("usage summary --days 3660")["totals"]["requests"], 0);
    project.oxi(&format!("usage import {path}")).ok().says("6 requests counted");
}

#[test]
fn the_file_is_where_the_proxy_says() {
    let project = project();
    project.oxi("usage import").exits(3).warns(".config/opencode-proxy/usage.jsonl");
    for off in ["off", "False", " 0 "] {
        let run = project.oxi_with("usage import --json", &[("USAGE_DB_PATH", off)]).exits(3);
        assert_eq!(run.error()["code"], "not_found");
    }
    let off = project.oxi_with("usage summary --json", &[("USAGE_DB_PATH", "off")]).ok().json();
    assert_eq!((&off["enabled"], &off["path"]), (&json!(false), &json!("")));
    let path = file(&project, SAMPLE);
    project.oxi_with("usage import", &[("USAGE_DB_PATH", &path)]).ok().says("6 requests");
    let home = project.scratch().join("home/.config/opencode-proxy");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("usage.jsonl"), row(1, "2026-06-25", "m", "")).unwrap();
    let report = project.json("usage import");
    assert_eq!((&report["counted"], &report["path"]), (&json!(1), &json!("~/.config/opencode-proxy/usage.jsonl")));
    let folder = project.scratch().display().to_string();
    project.oxi(&format!("usage import {folder}")).exits(1).warns("not a regular file");
}

#[test]
fn bad_lines_are_named_and_the_rest_is_kept() {
    let project = project();
    let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let text = [
        row(1, "2026-06-25", "m", ",\"prompt\":\"what the user said\""),
        "not json\n".repeat(25),
        row(2, "2026-06-25", &secret, ""),
        row(3, "2026-06-25", "m", ""),
        "{\"ts\":".to_owned(),
    ];
    let path = file(&project, &text.concat());
    let run = project.oxi(&format!("usage import {path}")).exits(7).says("2 requests counted, 0 tokens; 26 bad");
    let run = run.warns("usage.jsonl:2: the line is no JSON object").warns("6 more lines").warns("not finished");
    assert!(!run.stderr.contains(&secret) && !run.stderr.contains("not json"), "{}", run.stderr);
    let report = project.json_of(&format!("usage import {} --redact", file(&project, &text[2])), 7);
    assert_eq!(report["bad_lines"], 1);
    assert_eq!(report["bad"][0]["reason"], "model looks like a secret (github-token)");
    let stored = String::from_utf8_lossy(&stored(&project)).into_owned();
    for text in [secret.as_str(), "what the user said", "not json"] {
        assert!(!stored.contains(text), "{text} is stored");
    }
    project.oxi(&format!("usage import {path} --allow github-token")).ok();
}

#[test]
fn the_summary_has_the_originals_shape() {
    let project = project();
    let (now, today) = now();
    let text = [
        row(now, &today, "a", ",\"ok\":true,\"latency_ms\":10,\"total_tokens\":7,\"cost\":0.0000004"),
        row(now, &today, "a", ",\"ok\":true,\"latency_ms\":13,\"total_tokens\":7,\"cost\":0.0000004"),
        row(now, &today, "b", ",\"status\":429"),
        row(1, "2001-01-01", "old", ""),
    ];
    project.oxi(&format!("usage import {}", file(&project, &text.concat()))).ok();
    let summary = project.json("usage summary --days 7");
    assert_eq!(keys(&summary)[..12], SUMMARY_KEYS);
    assert_eq!(summary["version"], 1);
    assert_eq!(keys(&summary["totals"]), AGGREGATE_KEYS);
    assert_eq!(summary["by_day"].as_array().unwrap().len(), 7);
    let first = &summary["by_day"][0];
    assert_eq!(keys(first)[..2], ["day", "requests"]);
    assert_eq!(
        (&first["day"], &first["requests"], &first["by_model"][0]["model"]),
        (&json!(today), &json!(3), &json!("a"))
    );
    let a = &summary["by_model_today"][0];
    for (key, value) in
        [("model", json!("a")), ("latency_ms_avg", json!(12)), ("cost", json!(0.000_001)), ("fail", json!(0))]
    {
        assert_eq!(a[key], value, "{key}");
    }
    assert_eq!(a["last_seen_at"].as_str().unwrap().len(), 24);
    assert_eq!(summary["totals"]["rate_limited"], 1);
    assert_eq!(summary["by_model_24h"][0]["exact"], true);
    assert_eq!(summary["by_model"].as_array().unwrap().len(), 2, "not what is older");
    let schema = project.json("schema usage-summary");
    let mut described = keys(&schema["properties"]);
    let mut printed = keys(&summary);
    described.sort_unstable();
    printed.sort_unstable();
    assert_eq!(described, printed);
    project.oxi("usage summary --days 0").exits(2);
    project.oxi("usage summary --by week").exits(2);
}

#[test]
fn the_summary_is_a_table_and_a_chart() {
    let project = project();
    let (now, today) = now();
    project.oxi("usage summary").ok().says("nothing was used from ");
    let text = [
        row(now, &today, "big", ",\"ok\":true").repeat(16),
        row(now, &today, "small", ",\"status\":504,\"error_class\":\"timeout\""),
    ];
    project.oxi(&format!("usage import {}", file(&project, &text.concat()))).ok();
    let run = project.oxi("usage summary --by model").ok();
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("model  requests  ok  limited  tokens"), "{}", run.stdout);
    assert!(lines[2].starts_with("small") && lines[2].ends_with("timeout 1"), "{}", run.stdout);
    let bar = lines.iter().find(|line| line.starts_with("big    █")).unwrap();
    assert!(bar.ends_with("█ 16") && bar.chars().count() == 80, "{bar}");
    let dumb = project.oxi_with("usage summary", &[("TERM", "dumb")]).ok().says(&today);
    assert!(dumb.says_not("█").stdout.contains("timeout 1"));
}

#[test]
fn old_days_are_forgotten_with_what_knows_them() {
    let project = project();
    let (now, today) = now();
    let path = file(&project, &[row(1, "2001-01-01", "old", ""), row(now, &today, "new", "")].concat());
    project.oxi(&format!("usage import {path}")).ok();
    project.oxi("telemetry count sessions --day 2001-01-01").ok();
    project.oxi("usage prune --days 30 --dry-run").ok().says("would forget 1 sum of a day and model and 1 counter");
    let pruned = project.json("usage prune --days 30");
    assert_eq!((&pruned["sums"], &pruned["counters"], &pruned["digests"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(project.json("usage prune --days 30")["sums"], 0);
    std::fs::write(&path, [row(1, "2001-01-01", "old", ""), row(now, &today, "newer", "")].concat()).unwrap();
    let report = project.json(&format!("usage import {path}"));
    assert_eq!((&report["counted"], &report["expired"]), (&json!(1), &json!(1)));
}

#[test]
fn counters_are_kept_per_day() {
    let project = project();
    let (_, today) = now();
    project.oxi("telemetry list").ok().prints("no counters\n");
    project.oxi("telemetry count tokens.in --by 1400").ok().prints(&format!("{today}  tokens.in  1400\n"));
    project.oxi("telemetry tool mcp:git/log 1000").ok();
    let tool = project.json("telemetry tool mcp:git/log 250");
    assert_eq!(keys(&tool), ["day", "measure", "name", "count", "total_ms", "max_ms"]);
    project.oxi("telemetry error timeout --day 2026-06-25").ok();
    let listed = project.json("telemetry list --days 3660");
    let (first, last) = (&listed[0], listed.as_array().unwrap().last().unwrap());
    assert_eq!(first["day"], json!(today));
    assert_eq!(first["counters"], json!({"tokens.in": 1400}));
    assert_eq!(first["tools"], json!({"mcp:git/log": {"calls": 2, "total_ms": 1250, "max_ms": 1000}}));
    assert_eq!(last["errors"], json!({"timeout": 1}));
    project.oxi("telemetry list").ok().says("tool mcp:git/log  2 calls, 1250 ms, at most 1000 ms");
    let revision = project.json("log")[0]["revision"].clone();
    project.oxi(&format!("undo {revision}")).ok();
    assert_eq!(project.json("telemetry list --days 3660").as_array().unwrap().len(), 1);
    assert_eq!(project.json("log --kind telemetry")[0]["op"], "undo");
}

#[test]
fn a_counters_name_is_a_name() {
    let project = project();
    for name in ["'two words'", "größe", "''", &"x".repeat(121)] {
        project.oxi(&format!("telemetry count {name}")).exits(2).warns("letters, digits");
    }
    project.oxi("telemetry error 'connection to 10.0.0.1 refused'").exits(2);
    for day in ["2026-02-30", "25.6.2026", "today"] {
        project.oxi(&format!("telemetry count a --day {day}")).exits(2).warns("YYYY-MM-DD");
    }
    let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let run = project.oxi(&format!("telemetry count {secret} --redact --json")).exits(8);
    assert_eq!(run.error()["rule"], "github-token");
    assert!(!run.stderr.contains(&secret));
    assert!(!stored(&project).windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
}

#[test]
fn counters_of_many_processes_add_up() {
    let project = project();
    let children: Vec<_> =
        (0..16).map(|_| project.command("telemetry count sessions").stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let listed: Value = project.json("telemetry list");
    assert_eq!(listed[0]["counters"]["sessions"], 16);
}

#[test]
fn every_verb_has_an_example() {
    let project = project();
    for verb in [
        "usage import",
        "usage summary",
        "usage prune",
        "telemetry count",
        "telemetry tool",
        "telemetry error",
        "telemetry list",
    ] {
        project.oxi(&format!("{verb} --help")).ok().says("Example").silent();
    }
    for kind in ["usage-import", "telemetry", "telemetry-days"] {
        project.json(&format!("schema {kind}"));
    }
}
