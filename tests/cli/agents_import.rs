//! Agents that the original registered, imported from its file.

use serde_json::{Value, json};

use crate::agents::{database, file, line, prime, show};
use crate::project::project;

const SAMPLE: &str = include_str!("../golden/agents/agent_instances.jsonl");

#[test]
fn the_originals_file_is_imported_exactly() {
    let project = project();
    let path = file(&project, &SAMPLE.replace("\"2026-", "\"2126-"));
    let report = project.json(&format!("agent import {path}"));
    assert_eq!(
        report,
        json!({ "created": ["OxR8aK", "OxA1b2", "OxSub1"], "updated": [], "unchanged": 0, "expired": 0, "bad": [] })
    );
    let mut list = project.json("agent list --all");
    for agent in list.as_array_mut().unwrap() {
        // a process of that id may run where this test does
        agent.as_object_mut().unwrap().remove("alive");
    }
    let agent = |id: &str, oxsid: &str, at: &str, rest: [Value; 5]| {
        let [agent_type, agent_ver, model, parent, primes] = rest;
        json!({
            "agent_id": id, "oxsid": format!("oxsid_01M7X12H{oxsid}"), "created_at": format!("2126-11-20T17:46:38.{at}Z"),
            "expires_at": format!("2126-11-21T17:46:38.{at}Z"), "agent_type": agent_type, "agent_ver": agent_ver, "model": model,
            "parent_pid": 16420, "parent_agent_id": parent, "prime_call_count": primes, "session": null, "expired": false,
            "context_bytes": 0, "context_tokens": 0, "commands": 0, "last_seen_at": null,
        })
    };
    let claude = json!("claude-code");
    let expected = [
        agent(
            "OxR8aK",
            "VTQR484WZA4CV3ZB4P",
            "842570792",
            [claude.clone(), json!("1.0.42"), json!("claude-opus-4-5"), json!(null), json!(1)],
        ),
        agent(
            "OxA1b2",
            "W2M0X07A5GD2MK77SC",
            "850397630",
            [json!(null), json!(null), json!(null), json!(null), json!(6)],
        ),
        agent(
            "OxSub1",
            "W6Q90SFGQEVF3YEHRK",
            "854417482",
            [claude, json!(null), json!(null), json!("OxA1b2"), json!(1)],
        ),
    ];
    assert_eq!(list, json!(expected));
    let tree = project.oxi("agent list --all").ok().stdout;
    assert!(tree.contains("└─ OxSub1"), "{tree}");
    let revisions = project.json("log").as_array().unwrap().len();
    assert_eq!(project.json(&format!("agent import {path}"))["unchanged"], json!(3));
    assert_eq!(project.json("log").as_array().unwrap().len(), revisions, "the second time changes nothing");
    assert_eq!(std::fs::read_to_string(path).unwrap(), SAMPLE.replace("\"2026-", "\"2126-"));
}

#[test]
fn an_import_loses_none_of_our_own_counts() {
    let project = project();
    let pid = std::process::id();
    let path = file(&project, &line("OxA1b2", 2126, &format!(",\"parent_pid\":{pid},\"prime_call_count\":2")));
    project.oxi(&format!("agent import {path}")).ok().prints("1 created\n");
    assert_eq!(show(&project, "OxA1b2")["alive"], json!(false), "this process began after that agent");
    prime(&project, "--id OxA1b2 --model ours");
    let ours = show(&project, "OxA1b2");
    assert_eq!((&ours["prime_call_count"], &ours["alive"]), (&json!(3), &json!(true)));
    project.oxi(&format!("agent import {path}")).ok().prints("1 unchanged\n");
    assert_eq!(show(&project, "OxA1b2"), ours);
    let path = file(&project, &line("OxA1b2", 2126, &format!(",\"parent_pid\":{pid},\"prime_call_count\":9")));
    assert_eq!(project.json(&format!("agent import {path}"))["updated"], json!(["OxA1b2"]));
    let updated = show(&project, "OxA1b2");
    for key in ["context_bytes", "commands", "model", "alive", "parent_pid"] {
        assert_eq!(updated[key], ours[key], "{key}");
    }
    assert_eq!(updated["prime_call_count"], json!(9));
}

#[test]
fn bad_lines_are_named_and_the_others_are_taken() {
    let project = project();
    let secret = ["ghp", "_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let text = [
        &line("OxGood", 2126, ""),
        "{nonsense\n",
        &line("OxGone", 2126, ""),
        &line("OxGone", 2020, ""),
        &line("oxBad1", 2126, ""),
        &line("OxBad2", 2126, &format!(",\"model\":\"{secret}\"")),
        &line("OxFine", 2126, ",\"later\":\"what somebody said\""),
        "{\"agent_id\":\"OxCut1\"",
    ];
    let path = file(&project, &text.concat());
    let report = project.json_of(&format!("agent import {path}"), 7);
    let bad = |line: u32, reason: &str| json!({ "path": path, "line": line, "reason": reason });
    let expected = json!({
        "created": ["OxGood", "OxFine"], "updated": [], "unchanged": 0, "expired": 1,
        "bad": [
            bad(2, "not JSON, from byte 2 on"),
            bad(5, "agent_id is not Ox and four letters or digits"),
            bad(6, "model looks like a secret (github-token)"),
            bad(8, "the line is cut off"),
        ],
    });
    assert_eq!(report, expected);
    let again = project.oxi(&format!("agent import {path}")).exits(7).prints("2 unchanged, 1 expired, 4 bad\n");
    assert!(again.stderr.contains(&format!("bad line {path}:2: not JSON")), "{}", again.stderr);
    assert!(!again.stderr.contains(&secret));
    project.oxi(&format!("agent import {path} --redact")).exits(7).prints("1 created, 2 unchanged, 1 expired, 3 bad\n");
    assert_eq!(show(&project, "OxBad2")["model"], json!("[redacted:github-token]"));
    let stored = database(&project);
    assert!(!stored.contains(&secret) && !stored.contains("what somebody said"));
    assert!(stored.contains("OxFine"), "what is stored can be found this way");
    project.oxi("agent import /nonexistent/file").exits(3).warns("/nonexistent/file");
    project.oxi("agent import .").exits(1).warns("cannot read .");
    project.oxi(&format!("agent import {}", file(&project, ""))).ok().prints("no agents\n");
}
