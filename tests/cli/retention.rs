//! `compact`, and what goes by itself: nothing that is to be kept, and all that is not.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::noise::noise;
use crate::project::{Project, issue, keys, project, project_with};

/// The kinds that `compact` counts.
const KINDS: [&str; 9] =
    ["usage", "usage_digests", "telemetry", "validations", "sessions", "agents", "handoffs", "changes", "texts"];

fn database(project: &Project) -> Vec<u8> {
    std::fs::read(project.path(".oxi/state.redb")).unwrap()
}

/// What was dropped of what, without what was not.
fn dropped(report: &Value) -> Vec<(String, u64)> {
    let counts = report["dropped"].as_object().unwrap().iter();
    counts.map(|(kind, count)| (kind.clone(), count.as_u64().unwrap())).filter(|(_, count)| *count > 0).collect()
}

fn one(kind: &str, count: u64) -> Vec<(String, u64)> {
    vec![(kind.to_owned(), count)]
}

/// Files of the state folder that are none of those that belong there.
fn leftovers(project: &Project) -> Vec<String> {
    let names = std::fs::read_dir(project.path(".oxi")).unwrap();
    names.map(|name| name.unwrap().file_name().into_string().unwrap()).filter(|name| name.contains("tmp")).collect()
}

#[test]
fn where_all_is_kept_nothing_changes() {
    let project = project_with(&[issue(1, "first")]);
    let log = project.json("log");
    let report = project.json("compact --dry-run");
    assert_eq!(keys(&report), ["dropped", "bytes_before", "bytes_after", "dry_run", "ages_until"]);
    assert_eq!(keys(&report["dropped"]), KINDS);
    assert_eq!((&report["bytes_after"], &report["dry_run"]), (&Value::Null, &json!(true)));
    assert_eq!(report["ages_until"], Value::Null);
    let report = project.json("compact");
    assert_eq!(dropped(&report), []);
    assert!(report["bytes_after"].as_u64() <= report["bytes_before"].as_u64(), "{report}");
    project.oxi("compact").ok().says("everything is kept\nstate.redb: ").silent();
    assert_eq!(project.json("log"), log);
    project.oxi("status --check").ok();
    let mut described = keys(&project.json("schema compact")["properties"]).join(" ");
    described.retain(|letter| letter != '\n');
    for key in keys(&report) {
        assert!(described.contains(key), "{key}");
    }
}

#[test]
fn a_dry_run_says_what_would_go_and_changes_no_byte() {
    let project = project();
    for number in 1..=8 {
        project.oxi(&format!("issue create 'issue {number}' -b text")).ok();
    }
    project.oxi("issue update 8 --body more").ok();
    project.oxi("issue update 8 --body most").ok();
    let keep = [("OXI_STATE_RETENTION_CHANGES", "3"), ("OXI_STATE_RETENTION_SUPERSEDED_DAYS", "0")];
    let (before, log) = (database(&project), project.json("log"));
    let run = project.oxi_with("compact --dry-run", &keep).ok();
    let run =
        run.says("would drop 7 rows of the log: 1, 2, 3, 4, 5, …\n").says("would drop 2 texts of the log: 9, 10\n");
    assert!(run.silent().stdout.ends_with(" KiB\n"));
    let planned = project.oxi_with("compact --dry-run --json", &keep).ok().json();
    assert_eq!(database(&project), before);
    let done = project.oxi_with("compact --json", &keep).ok().json();
    assert_eq!(done["dropped"], planned["dropped"]);
    assert_eq!(dropped(&done), [("changes".to_owned(), 7), ("texts".to_owned(), 2)]);
    let rest = project.json("log");
    assert_eq!(rest.as_array().unwrap().len(), 3);
    for (row, before) in rest.as_array().unwrap().iter().zip(log.as_array().unwrap()) {
        assert_eq!((&row["revision"], &row["op"], &row["at"]), (&before["revision"], &before["op"], &before["at"]));
        assert_eq!(row["before"].get("body"), None, "its text is gone");
    }
    assert_eq!(project.oxi_with("compact --json", &keep).ok().json()["dropped"], project.json("compact")["dropped"]);
    project.oxi("undo").exits(4).warns("what it replaced is no longer kept");
    project.oxi("undo 3").exits(3).warns("there is no change 3");
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 8);
    project.oxi("issue create next").ok().prints("9\n");
    assert_eq!(project.json("log")[0]["revision"], 11);
}

#[test]
fn the_file_gets_smaller_and_is_still_the_one_that_was_met() {
    let project = project();
    let text = noise(1, 17 * 4_000);
    let file = project.scratch().join("body.md");
    std::fs::write(&file, &text).unwrap();
    for number in 0..12 {
        project.oxi(&format!("issue create 'issue {number}' --body-file {}", file.display())).ok();
    }
    for id in 2..=12 {
        project.oxi(&format!("issue update {id} --body short")).ok();
    }
    let keep = [("OXI_STATE_RETENTION_SUPERSEDED_DAYS", "0")];
    let report = project.oxi_with("compact --json", &keep).ok().json();
    assert_eq!(dropped(&report), one("texts", 11));
    let (before, after) = (report["bytes_before"].as_u64().unwrap(), report["bytes_after"].as_u64().unwrap());
    assert!(after * 2 < before, "{report}");
    assert_eq!(database(&project).len() as u64, after);
    assert_eq!(project.show(1)["body"], json!(text));
    assert_eq!(project.show(12)["body"], json!("short\n"));
    let seen = std::fs::read_to_string(project.path(".oxi/state.lock-database")).unwrap();
    let inode = project.path(".oxi/state.redb").metadata().unwrap().ino();
    assert!(seen.starts_with(&inode.to_string()), "{seen}");
    assert_eq!(project.path(".oxi/state.redb").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(project.git("status --porcelain"), "");
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
}

#[test]
fn killed_at_any_time_it_leaves_the_old_database_or_the_new_one() {
    let project = project();
    let text = "what takes room\n".repeat(1_000);
    let file = project.scratch().join("body.md");
    std::fs::write(&file, &text).unwrap();
    project.oxi(&format!("issue create first --body-file {}", file.display())).ok();
    let compact = || {
        let mut command = project.command("compact");
        command.env("OXI_STATE_RETENTION_SUPERSEDED_DAYS", "0").stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let inode = || project.path(".oxi/state.redb").metadata().unwrap().ino();
    // how long it takes to its end, which it is let come to once in eight rounds
    let (mut whole, mut killed, mut renamed) = (Duration::ZERO, 0, 0);
    for round in 0..56 {
        project.oxi(&format!("issue create 'issue {round}' --body-file {}", file.display())).ok();
        project.oxi("issue update 1 --append more").ok();
        let (issues, before) = (project.json("issue list --sort id"), inode());
        let (mut child, start) = (compact(), Instant::now());
        if round % 8 == 0 {
            assert!(child.wait().unwrap().success());
            whole = start.elapsed();
        } else {
            std::thread::sleep(whole * (round % 8) / 7);
            child.kill().unwrap();
            killed += u32::from(!child.wait().unwrap().success());
        }
        renamed += u32::from(inode() != before);
        assert_eq!(project.json("issue list --sort id"), issues, "round {round}");
        assert!(project.show(1)["body"].as_str().unwrap().starts_with(&text));
    }
    assert!(killed > 0);
    // what is left of a killed one is swept by the next that takes the lock
    project.oxi("compact").ok();
    assert_eq!(leftovers(&project), [""; 0]);
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
    eprintln!("{killed} of 49 were killed; in {renamed} of 56 rounds there was a new file");
}

#[test]
fn nobody_who_writes_meanwhile_loses_anything() {
    let project = project_with(&[issue(1, "first")]);
    let lines = (0..24).map(|number| match number % 4 {
        0 => "compact".to_owned(),
        1 => "issue list".to_owned(),
        _ => format!("issue create title{number}"),
    });
    let children: Vec<_> = lines
        .map(|line| {
            let mut command = project.command(&format!("--lock-timeout 60 {line}"));
            (line, command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (line, child) in children {
        let output = child.wait_with_output().unwrap();
        let code = output.status.code().unwrap();
        let busy = line == "compact" && code == 6;
        assert!(code == 0 || busy, "{line}: {code} {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 13);
    assert_eq!(leftovers(&project), [""; 0]);
}

#[test]
fn usage_that_was_dropped_is_not_counted_again() {
    let project = project();
    let keep = |days: &'static str| [("OXI_STATE_RETENTION_USAGE_DAYS", days)];
    let path = project.scratch().join("usage.jsonl");
    let now = chrono::Utc::now();
    let row = |days: i64, model: &str| {
        let then = now - chrono::TimeDelta::days(days);
        format!(
            "{{\"ts\":{},\"day\":\"{}\",\"model\":\"{model}\",\"total_tokens\":7}}\n",
            then.timestamp_millis(),
            then.format("%Y-%m-%d")
        )
    };
    std::fs::write(&path, [row(40, "old"), row(10, "new")].concat()).unwrap();
    let import = format!("usage import {}", path.display());
    let requests = || project.json("usage summary --days 365")["totals"]["requests"].clone();
    // days that are not kept are not counted to begin with
    let first = project.json(&import);
    assert_eq!((&first["counted"], &first["expired"], requests()), (&json!(1), &json!(1), json!(1)));
    project.drop_database();
    project.oxi_with(&import, &keep("365")).ok();
    project.oxi("telemetry count sessions --day 2001-01-01").ok();
    project.oxi_with("telemetry count sessions --day 2002-01-01", &keep("36500")).ok();
    assert_eq!(requests(), json!(2));
    let report = project.json("compact");
    let expected = [("usage", 1), ("usage_digests", 1), ("telemetry", 2)].map(|(kind, n)| (kind.to_owned(), n));
    assert_eq!(dropped(&report), expected);
    assert_eq!(requests(), json!(1));
    assert_eq!(project.json("usage summary")["retention_days"], 30);
    // written anew, and asked to keep it now
    std::fs::write(&path, [row(10, "new"), row(40, "old")].concat()).unwrap();
    let again = project.oxi_with(&format!("{import} --json"), &keep("365")).ok().json();
    assert_eq!((&again["counted"], &again["known"], &again["expired"]), (&json!(0), &json!(1), &json!(1)));
    assert_eq!(requests(), json!(1));
}

#[test]
fn sessions_go_long_after_their_end_unless_something_is_theirs() {
    let project = project();
    for id in ["gone", "owner", "saved"] {
        project.oxi(&format!("--session {id} session run -- true")).ok();
    }
    project.oxi("issue create a").ok();
    project.oxi("--session owner issue start 1").ok();
    project.oxi("pointer set session saved --name mine").ok();
    project.oxi("--session living session start --pid 1").ok();
    let keep = [("OXI_STATE_RETENTION_SESSIONS_DAYS", "0")];
    project.oxi_with("compact --dry-run", &keep).ok().says("would drop 1 ended session: gone\n");
    assert_eq!(dropped(&project.oxi_with("compact --json", &keep).ok().json()), one("sessions", 1));
    project.oxi("session show gone").exits(3);
    assert_eq!(project.field(1, "status"), "open");
    // its end can no longer be undone, and the message says why
    let log = project.json("log --kind session --key gone");
    project.oxi(&format!("undo {}", log[0]["revision"])).exits(4).warns("session gone is no longer there");
}

#[test]
fn agents_live_as_long_as_the_settings_say() {
    let project = project();
    let short = [("OXI_STATE_RETENTION_AGENTS_HOURS", "1"), ("OXI_STATE_RETENTION_AGENTS", "2")];
    let prime = || project.oxi_with("agent prime --new --json", &short).ok().json();
    let first = prime();
    let hours = |agent: &Value| {
        let time = |field: &str| agent[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        (time("expires_at") - time("created_at")).num_hours()
    };
    assert_eq!(hours(&first), 1);
    assert_eq!(hours(&project.json("agent prime --new")), 24);
    prime();
    assert_eq!(project.json("agent list --all").as_array().unwrap().len(), 2, "there is no room for a third");
    let one_agent = [("OXI_STATE_RETENTION_AGENTS", "1")];
    let plan = project.oxi_with("agent prune --dry-run --json", &one_agent).ok().json();
    assert_eq!(plan["pruned"].as_array().unwrap().len(), 1);
    assert_eq!(dropped(&project.oxi_with("compact --json", &one_agent).ok().json()), one("agents", 1));
    assert_eq!(project.json("agent list --all").as_array().unwrap().len(), 1);
}

#[test]
fn the_log_is_trimmed_beside_other_changes() {
    let project = project();
    let keep = [("OXI_STATE_RETENTION_CHANGES", "10")];
    for number in 0..40 {
        project.oxi(&format!("issue create 'issue {number}'")).ok();
    }
    // the sweep of today ended with the first of these; a setting counts from the next day on
    project.oxi_with("issue create more", &keep).ok();
    assert_eq!(project.json("log").as_array().unwrap().len(), 41);
    project.drop_database();
    project.oxi_with("sync", &keep).ok();
    let rows = || project.json("log").as_array().unwrap().len();
    for number in 0..12 {
        let before = rows();
        project.oxi_with(&format!("issue create 'new {number}'"), &keep).ok();
        assert!(before - rows().min(before) <= 16);
    }
    assert!(rows() <= 22, "{}", rows());
}

#[test]
fn handoffs_that_are_done_go_and_open_ones_stay() {
    let project = project();
    let store = oxi_state::db::Store::open(&project.path(".oxi"), Duration::from_secs(10)).unwrap();
    let at = |now: &str| oxi_state::db::Author { actor: "ada".into(), session: None, now: now.parse().unwrap() };
    let (policy, exports) = Default::default();
    let add = |number: u32, now: &str| {
        let id: oxi_state::schema::record_id::RecordId = format!("01KAHGXC000000000000000{number:03}").parse().unwrap();
        let given = json!({ "summary": "go on" }).as_object().unwrap().clone();
        store.write(&at(now), |txn| oxi_state::handoffs::add(txn, id, given, &policy, exports)).unwrap();
        id
    };
    let done = |id, now: &str| {
        let step =
            |txn: &mut oxi_state::db::WriteTxn<'_>| oxi_state::handoffs::finish(txn, id, None, None, exports).map(drop);
        store.write(&at(now), step).unwrap();
    };
    let (old, open, new) =
        (add(1, "2001-01-01T00:00:00Z"), add(2, "2001-01-01T00:00:00Z"), add(3, "2001-01-01T00:00:00Z"));
    done(old, "2001-01-02T00:00:00Z");
    done(new, &chrono::Utc::now().to_rfc3339());
    project.oxi("compact --dry-run").ok().says(&format!("would drop 1 handoff that is done: {old}\n"));
    // it goes by itself beside the next change
    project.oxi("issue create a").ok();
    let left: Vec<oxi_state::schema::handoff::Handoff> = store.read().unwrap().records().unwrap();
    assert_eq!(left.iter().map(|handoff| handoff.id).collect::<Vec<_>>(), [open, new]);
    project.oxi("compact").ok().says("everything is kept");
}

#[test]
fn after_a_long_pause_compact_says_what_it_believes_and_how_to_be_believed() {
    let project = project();
    let store = oxi_state::db::Store::open(&project.path(".oxi"), Duration::from_secs(10)).unwrap();
    let now = chrono::Utc::now();
    let at = |days: i64| {
        let now = oxi_state::schema::time::Timestamp::new(now - chrono::TimeDelta::days(days));
        oxi_state::db::Author { actor: "ada".into(), session: None, now }
    };
    let session = |id: &str, days: i64| {
        let (state, ended_at) = (oxi_state::schema::session::SessionState::Ended, Some(at(days).now));
        let begun = oxi_state::schema::session::Session::begin(id.parse().unwrap(), at(days).now);
        let session = oxi_state::schema::session::Session { state, ended_at, ..begun };
        store.write(&at(days), |txn| txn.put_record(&session, oxi_state::db::Op::End)).unwrap();
    };
    session("old", 390);
    session("new", 300);
    // 300 days without a change
    let until = oxi_state::schema::time::Timestamp::new(now - chrono::TimeDelta::days(300 - 7)).to_string();
    for line in ["compact --dry-run", "compact"] {
        let report = project.json(line);
        assert_eq!((&report["ages_until"], &report["dry_run"]), (&json!(until), &json!(line != "compact")));
        assert_eq!(dropped(&report), one("sessions", 1), "the one that is old whatever the clock says");
        if line == "compact" {
            break;
        }
        let run = project.oxi(line).ok().says("would drop 1 ended session: old\n").warns(&format!("up to {until}"));
        let typed = run.stderr.split('`').nth(1).unwrap().strip_prefix("oxi-state ").unwrap().to_owned();
        let planned = project.json(&format!("{typed} --dry-run"));
        assert_eq!((dropped(&planned), &planned["ages_until"]), (one("sessions", 2), &Value::Null));
    }
    project.oxi("compact --quiet").ok().silent();
    let report = project.json("compact --trust-clock");
    assert_eq!((dropped(&report), &report["ages_until"]), (one("sessions", 1), &Value::Null));
    // it is remembered, so nothing else lags behind
    project.oxi("compact").ok().says("everything is kept").silent();
}

#[test]
fn the_newest_validations_of_each_name_are_kept_and_pinned_ones_beside_them() {
    use oxi_state::db::{Op, Retention};
    use oxi_state::schema::privacy;
    use oxi_state::schema::retention::Policy;
    use oxi_state::schema::validation::Validation;
    let project = project_with(&[issue(1, "first")]);
    let plain = oxi_state::db::Store::open(&project.path(".oxi"), Duration::from_secs(10)).unwrap();
    let policy = Policy { validations_per_name: 3, ..Policy::DEFAULT };
    let store = plain.clone().with_retention(Retention::new(policy, |_| true));
    let author =
        oxi_state::db::Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse().unwrap() };
    let note = |store: &oxi_state::db::Store, number: u32, name: &str| {
        let id: oxi_state::schema::record_id::RecordId = format!("01KAHGXC000000000000000{number:03}").parse().unwrap();
        let given =
            json!({ "name": name, "result": "passed", "issue": 1, "at": format!("2026-11-20T11:{number:02}:00Z") });
        let given = given.as_object().unwrap().clone();
        let done = store
            .write(&author, |txn| oxi_state::validations::note(txn, id, given, Op::Run, &privacy::Policy::default()));
        done.unwrap().id
    };
    let numbers = || {
        let runs: Vec<Validation> = plain.read().unwrap().records().unwrap();
        runs.iter().map(|run| run.id.to_string()[23..].parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    let first = note(&plain, 1, "test");
    plain.write(&author, |txn| oxi_state::validations::pin(txn, first).map(drop)).unwrap();
    for number in 2..=6 {
        note(&plain, number, "test");
    }
    note(&plain, 7, "lint");
    note(&store, 8, "test");
    assert_eq!(numbers(), [1, 5, 6, 7, 8]);
    // one that was run long ago is noted all the same, and goes with the next
    note(&store, 0, "test");
    assert_eq!(numbers(), [0, 1, 5, 6, 7, 8]);
    project
        .oxi_with("compact", &[("OXI_STATE_RETENTION_VALIDATIONS_PER_NAME", "2")])
        .ok()
        .says("dropped 2 validations: ");
    assert_eq!(numbers(), [1, 6, 7, 8]);
}

#[test]
fn help_has_examples_and_wrong_settings_are_named() {
    let project = project();
    project.oxi("compact --help").ok().says("oxi-state compact --dry-run").silent();
    project.oxi("compact --json extra").exits(2);
    let run = project.oxi_with("compact --json", &[("OXI_STATE_RETENTION_CHANGES", "0")]).exits(2);
    assert_eq!(run.error()["key"], "retention.changes");
    let nowhere = crate::project::empty_folder();
    nowhere.oxi("compact").exits(3);
}
