//! Agents: primed, found again, listed, counted and pruned.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::project::{Project, Run, keys, number, project};

/// The keys of an agent, in order.
const KEYS: [&str; 17] = [
    "agent_id",
    "oxsid",
    "created_at",
    "expires_at",
    "agent_type",
    "agent_ver",
    "model",
    "parent_pid",
    "parent_agent_id",
    "prime_call_count",
    "session",
    "alive",
    "expired",
    "context_bytes",
    "context_tokens",
    "commands",
    "last_seen_at",
];

/// Primes, and answers the id.
pub(crate) fn prime(project: &Project, line: &str) -> String {
    project.oxi(&format!("agent prime {line}")).ok().stdout.trim_end().to_owned()
}

pub(crate) fn show(project: &Project, id: &str) -> Value {
    project.json(&format!("agent show {id}"))
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|agent| agent["agent_id"].as_str().unwrap()).collect()
}

/// A process of somebody else, killed at the end.
struct Other(Child);

fn other_process() -> Other {
    Other(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap())
}

impl Other {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs many at once, each with the number of its turn in the line.
fn all_at_once(project: &Project, count: usize, line: impl Fn(usize) -> String) -> Vec<Run> {
    let children: Vec<_> = (0..count)
        .map(|turn| {
            let mut command = project.command(&line(turn));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    children.into_iter().map(|child| Run::of("at once", child.wait_with_output().unwrap()).ok()).collect()
}

/// A file of agents, such as the original leaves.
pub(crate) fn file(project: &Project, text: &str) -> String {
    let path = project.scratch().join("agent_instances.jsonl");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A line of such a file: an agent that expires in a year.
pub(crate) fn line(id: &str, year: u32, more: &str) -> String {
    format!(
        "{{\"agent_id\":\"{id}\",\"oxsid\":\"oxsid_01M7X12HVTQR484WZA4CV3ZB4P\",\"created_at\":\"2001-03-01T12:00:00+01:00\",\"expires_at\":\"{year}-03-01T12:00:00+01:00\"{more}}}\n"
    )
}

/// The bytes of the database as text, for looking for what must not be there.
pub(crate) fn database(project: &Project) -> String {
    String::from_utf8_lossy(&std::fs::read(project.path(".oxi/state.redb")).unwrap()).into_owned()
}

#[test]
fn prime_registers_and_finds_again() {
    let project = project();
    let first = project.json("agent prime --type claude-code --agent-version 1.0.42");
    let mut expected = KEYS.to_vec();
    expected.push("notice");
    assert_eq!(keys(&first), expected);
    let id = first["agent_id"].as_str().unwrap();
    assert!(id.len() == 6 && id.starts_with("Ox"), "{id}");
    assert!(first["oxsid"].as_str().unwrap().starts_with("oxsid_"), "{first}");
    assert_eq!(first["parent_pid"], json!(std::process::id()), "the process that calls");
    for (key, value) in
        [("prime_call_count", json!(1)), ("alive", json!(true)), ("expired", json!(false)), ("notice", json!(null))]
    {
        assert_eq!(first[key], value, "{key}");
    }
    let [created, expires] = ["created_at", "expires_at"]
        .map(|key| first[key].as_str().unwrap().parse::<oxi_state::schema::time::Timestamp>().unwrap().get());
    assert_eq!(expires - created, chrono::TimeDelta::hours(24));
    project.oxi("agent prime --model m").ok().prints(&format!("{id}\n")).silent();
    let again = show(&project, id);
    assert_eq!(keys(&again), KEYS);
    for (key, value) in [("prime_call_count", json!(2)), ("agent_type", json!("claude-code")), ("model", json!("m"))] {
        assert_eq!(again[key], value, "{key}");
    }
    assert_eq!(again["expires_at"], first["expires_at"], "its time is not prolonged");
    assert_ne!(prime(&project, "--new"), id);
    assert_eq!(prime(&project, &format!("--id {id}")), id);
    project.oxi("agent show").exits(2).warns("OXI_STATE_AGENT");
    project.oxi_with("agent show", &[("OXI_STATE_AGENT", id)]).ok().says(id).says("primed      3 times");
}

#[test]
fn the_schema_describes_an_agent() {
    let project = project();
    let schema = project.json("schema agent");
    let (mut described, mut printed) = (keys(&schema["properties"]), KEYS.to_vec());
    described.sort_unstable();
    printed.sort_unstable();
    assert_eq!(described, printed);
    assert_eq!(project.json("schema agents")["type"], json!("array"));
}

#[test]
fn a_session_finds_its_agent_from_any_process() {
    let project = project();
    let (one, two) = (other_process(), other_process());
    let pids = [one.0.id(), two.0.id()];
    let first = prime(&project, &format!("--session s1 --pid {}", pids[0]));
    assert_eq!(prime(&project, &format!("--session s1 --pid {}", pids[1])), first);
    assert_ne!(prime(&project, &format!("--session s2 --pid {}", pids[1])), first);
    let shown = show(&project, &first);
    assert_eq!((&shown["session"], &shown["parent_pid"]), (&json!("s1"), &json!(pids[0])), "{shown}");
}

#[test]
fn from_the_sixth_prime_on_there_is_a_notice() {
    let project = project();
    let id = prime(&project, "");
    for count in 2..=5 {
        assert_eq!(project.json("agent prime")["notice"], Value::Null, "{count}");
    }
    let sixth = project.json("agent prime");
    let notice = sixth["notice"].as_str().unwrap();
    assert!(notice.contains("6 times") && notice.contains(&format!("OXI_STATE_AGENT={id}")), "{notice}");
    project.oxi("agent prime").ok().prints(&format!("{id}\n")).warns("primed 7 times");
    project.oxi("-q agent prime").ok().silent();
}

#[test]
fn thirty_two_at_once_get_thirty_two_ids() {
    let project = project();
    let runs = all_at_once(&project, 32, |_| "agent prime --new".into());
    let given: BTreeSet<_> = runs.iter().map(|run| run.stdout.trim_end().to_owned()).collect();
    assert_eq!(given.len(), 32);
    let list = project.json("agent list --all");
    assert_eq!(ids(&list).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), given);
}

#[test]
fn thirty_two_primes_of_one_session_are_all_counted() {
    let project = project();
    let runs = all_at_once(&project, 32, |turn| {
        if turn % 2 == 0 { "--session s agent prime".into() } else { "--session s agent prime --json".into() }
    });
    let list = project.json("agent list");
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list[0]["prime_call_count"], json!(32));
    let notices =
        runs.iter().filter(|run| run.stderr.contains("primed") || run.stdout.contains("\"notice\":\"")).count();
    assert_eq!(notices, 27, "from the sixth on");
}

#[test]
fn a_tree_shows_who_started_whom() {
    let project = project();
    let root = prime(&project, "--new --type lead");
    let as_child_of = |parent: &str, variable: &str| {
        let run = project.oxi_with("agent prime --new --type helper", &[(variable, parent)]).ok();
        run.stdout.trim_end().to_owned()
    };
    let child = as_child_of(&root, "OXI_STATE_AGENT");
    let grandchild = as_child_of(&child, "SAGEOX_AGENT_ID");
    let orphan = as_child_of("OxGone", "OXI_STATE_AGENT");
    let tree = project.oxi("agent list").ok().stdout;
    let drawn: Vec<_> = tree.lines().map(|line| line.split("  alive").next().unwrap()).collect();
    assert_eq!(drawn, [root.clone(), format!("└─ {child}"), format!("   └─ {grandchild}"), orphan.clone()]);
    let parents: Vec<_> =
        project.json("agent list").as_array().unwrap().iter().map(|agent| agent["parent_agent_id"].clone()).collect();
    assert_eq!(parents, [json!(null), json!(root), json!(child), json!("OxGone")]);
    let both = project.oxi_with("agent prime --new --json", &[("OXI_STATE_AGENT", &root), ("SAGEOX_AGENT_ID", &child)]);
    assert_eq!(both.json()["parent_agent_id"], json!(root));
}

#[test]
fn a_parent_that_is_no_id_is_passed_over() {
    let project = project();
    let run = project
        .oxi_with("agent prime --new", &[("OXI_STATE_AGENT", "nonsense")])
        .ok()
        .warns("OXI_STATE_AGENT is not an agent's id");
    assert_eq!(show(&project, run.stdout.trim_end())["parent_agent_id"], Value::Null);
}

#[test]
fn an_agent_whose_process_was_killed_is_not_listed() {
    let project = project();
    let mut process = other_process();
    let parent = prime(&project, &format!("--new --pid {}", process.0.id()));
    let child = project.oxi_with("agent prime --new", &[("OXI_STATE_AGENT", &parent)]).ok();
    let child = child.stdout.trim_end();
    assert_eq!(ids(&project.json("agent list")), [&parent, child]);
    process.kill();
    assert_eq!(ids(&project.json("agent list")), [child]);
    project
        .oxi("agent list")
        .ok()
        .says(&format!("{child}  alive"))
        .says_not(&parent)
        .warns("1 agent more, dead or expired; --all");
    let all = project.json("agent list --all");
    assert_eq!((ids(&all), &all[0]["alive"]), (vec![parent.as_str(), child], &json!(false)));
    project.oxi(&format!("agent show {parent}")).ok().says("dead");
    let pid = process.0.id();
    project.oxi(&format!("agent prime --pid {pid}")).exits(3).warns(&format!("no process {pid}"));
}

#[test]
fn context_is_counted() {
    let project = project();
    let id = prime(&project, "");
    let primed = show(&project, &id);
    assert_eq!((&primed["context_bytes"], &primed["commands"]), (&json!(7), &json!(1)), "what prime printed");
    project
        .oxi(&format!("agent count-context {id} 4095"))
        .ok()
        .prints(&format!("{id} was told 4102 bytes in 2 commands, about 1024 tokens\n"));
    let counted = project.json(&format!("agent count-context {id} 3"));
    for (key, value) in [("context_bytes", 4105), ("context_tokens", 1024), ("commands", 3)] {
        assert_eq!(counted[key], json!(value), "{key}");
    }
    assert!(counted["last_seen_at"].is_string());
    let again = project.oxi("agent prime --json").ok();
    assert_eq!(show(&project, &id)["context_bytes"], json!(4105 + again.stdout.len()));
    project.oxi("agent count-context OxNone 3").exits(3).warns("instance not found for agent_id: OxNone");
    project.oxi(&format!("agent count-context {id} -3")).exits(2);
    all_at_once(&project, 16, |_| format!("agent count-context {id} 10"));
    assert_eq!(show(&project, &id)["commands"], json!(3 + 1 + 16));
}

#[test]
fn expired_agents_are_as_good_as_gone() {
    let project = project();
    // one that the file gives a moment to live
    let soon = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now() + std::time::Duration::from_secs(4));
    let text = line("OxSoon", 2126, "").replace("2126-03-01T12:00:00+01:00", &soon.to_rfc3339());
    project.oxi(&format!("agent import {}", file(&project, &(text + &line("OxLast", 2126, ""))))).ok();
    assert_eq!(ids(&project.json("agent list")), ["OxLast", "OxSoon"]);
    std::thread::sleep(std::time::Duration::from_millis(4100));
    assert_eq!(ids(&project.json("agent list")), ["OxLast"]);
    assert_eq!(ids(&project.json("agent list --all")), ["OxLast", "OxSoon"]);
    project.oxi("agent show OxSoon").ok().says("expired");
    for line in ["agent prime --id OxSoon", "agent count-context OxSoon 1"] {
        let error = project.oxi(&format!("{line} --json")).exits(3).error();
        assert_eq!(error["message"], json!("instance not found for agent_id: OxSoon"), "{line}");
        assert!(error["hint"].is_string());
    }
    project.oxi("agent prune --dry-run").ok().prints("would forget 1 agent\n");
    assert_eq!(project.json("agent prune --dry-run"), json!({ "pruned": ["OxSoon"] }));
    assert_eq!(project.json("agent prune"), json!({ "pruned": ["OxSoon"] }));
    project.oxi("agent prune").ok().prints("forgot 0 agents\n");
    project.oxi("agent show OxSoon").exits(3);
}

#[test]
fn no_more_than_500_agents_stay() {
    let project = project();
    let lines: String = (0..502)
        .map(|number| {
            line(&format!("Ox{number:04}"), 2126, "")
                .replace("T12:00:00+01:00\",\"e", &format!("T12:{:02}:{:02}Z\",\"e", number / 60, number % 60))
        })
        .collect();
    project.oxi(&format!("agent import {}", file(&project, &lines))).ok().prints("502 created\n");
    assert_eq!(project.json("agent prune --dry-run"), json!({ "pruned": ["Ox0000", "Ox0001"] }));
    let id = prime(&project, "");
    let all = project.json("agent list --all");
    let all = ids(&all);
    assert_eq!((all.len(), all[0], all[499]), (500, "Ox0003", id.as_str()));
}

#[test]
fn what_is_no_id_is_said_in_the_originals_words() {
    let project = project();
    let prime_id = "Run 'oxi-state agent prime' to get your Ox<4-char> agent ID";
    for (text, message, hint) in [
        (
            "123e4567-e89b-12d3-a456-426614174000",
            "\"123e4567-e89b-12d3-a456-426614174000\" looks like a UUID, not an ox agent ID",
            prime_id,
        ),
        ("oxsid_x", "\"oxsid_x\" is a server session ID, not an agent ID", prime_id),
        (
            "oxa1b2",
            "invalid agent ID format \"oxa1b2\" — expected Ox<4-char> (e.g., OxA1b2)",
            "Run 'oxi-state agent prime' to get your agent ID",
        ),
        ("typo", "unknown command or invalid agent_id: typo", "Run 'oxi-state agent --help' for usage"),
        ("''", "unknown command or invalid agent_id: ", "Run 'oxi-state agent --help' for usage"),
    ] {
        for line in
            [format!("agent show {text}"), format!("agent count-context {text} 1"), format!("agent prime --id {text}")]
        {
            let error = project.oxi(&format!("{line} --json")).exits(2).error();
            assert_eq!(
                (&error["code"], &error["message"], &error["hint"]),
                (&json!("usage"), &json!(message), &json!(hint)),
                "{line}"
            );
            project.oxi(&line).exits(2).warns(message).warns(hint);
        }
    }
    project
        .oxi("agent prime --id OxNone")
        .exits(3)
        .warns("instance not found for agent_id: OxNone")
        .warns("agent list --all");
    project.oxi("agent prime --id OxNone --new").exits(2);
}

#[test]
fn a_secret_or_an_essay_does_not_describe_an_agent() {
    let project = project();
    let secret = ["ghp", "_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    for option in ["model", "type", "agent-version"] {
        let run = project.oxi(&format!("agent prime --{option} {secret} --json")).exits(8);
        assert_eq!((&run.error()["rule"], &run.error()["field"]), (&json!("github-token"), &json!(option)));
        assert!(!run.stderr.contains(&secret));
        project
            .oxi(&format!("agent prime --{option} {}", "x ".repeat(61).replace(' ', ".")))
            .exits(2)
            .warns("120 bytes");
        project.oxi(&format!("agent prime --{option} 'a\u{1b}[2J'")).exits(2);
        project.oxi(&format!("agent prime --{option} ''")).exits(2);
    }
    assert_eq!(project.json("agent list --all"), json!([]));
    assert_eq!(
        project.json(&format!("agent prime --model {secret} --redact"))["model"],
        json!("[redacted:github-token]")
    );
    assert!(!database(&project).contains(&secret));
}

#[test]
fn an_empty_list_says_so_and_needs_a_project() {
    let project = project();
    project.oxi("agent list").ok().prints("no agents\n");
    assert_eq!(project.json("agent list"), json!([]));
    let nowhere = crate::project::repository();
    for line in ["agent list", "agent prime", "agent show OxA1b2", "agent prune"] {
        nowhere.oxi(line).exits(3).warns("oxi-state init");
    }
}

#[test]
fn every_prime_is_in_the_log_and_undo_means_something_else() {
    let project = project();
    project.oxi("issue create 'a thing to do'").ok();
    let id = prime(&project, "");
    let log = project.json("log --kind agent");
    let ops: Vec<_> =
        log.as_array().unwrap().iter().map(|change| (change["key"].clone(), change["op"].clone())).collect();
    assert_eq!(ops, [(json!(id), json!("count")), (json!(id), json!("prime"))]);
    project.oxi("undo").ok();
    assert_eq!(project.all_issues().len(), 0);
    assert_eq!(number(&show(&project, &id)["prime_call_count"]), 1);
}

#[test]
fn an_agent_that_a_shell_primed_for_it_is_not_dead_while_its_session_lives() {
    let project = project();
    let line = "session run --id s -- sh -c 'sh -c \"$OXI agent prime; true\" && $OXI agent list --json'";
    let mut command = project.command(line);
    let output = command.env("OXI", env!("CARGO_BIN_EXE_oxi-state")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let agents: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&agents[0]["alive"], &agents[0]["session"]), (&json!(null), &json!("s")), "{text}");
    assert_eq!(project.json("agent list --all")[0]["alive"], json!(false));
    assert_eq!(project.json("agent list"), json!([]));
}
