use std::fmt::Write as _;

use super::*;

const GOLDEN: &str = include_str!("../../../tests/golden/agents/agent_instances.jsonl");

fn now() -> Timestamp {
    "2026-11-20T18:00:00Z".parse().unwrap()
}

fn instances(text: &str) -> Instances {
    read(text.as_bytes(), now(), &Policy::default()).unwrap()
}

/// A line with an agent that expires at an hour of the next day.
fn line(id: &str, hour: u32, more: &str) -> String {
    format!(
        "{{\"agent_id\":\"{id}\",\"oxsid\":\"oxsid_01M7X12HVTQR484WZA4CV3ZB4P\",\"created_at\":\"2026-11-20T12:00:00Z\",\"expires_at\":\"2026-11-20T{hour:02}:00:00Z\"{more}}}\n"
    )
}

fn ids(found: &Instances) -> Vec<String> {
    found.agents.iter().map(|agent| agent.id.to_string()).collect()
}

fn reasons(found: &Instances) -> Vec<(u64, String)> {
    found.bad.iter().map(|bad| (bad.line, bad.reason.to_string())).collect()
}

#[test]
fn the_originals_file_is_read_whole() {
    let found = instances(GOLDEN);
    assert_eq!(
        (ids(&found), found.expired, reasons(&found)),
        (vec!["OxR8aK".into(), "OxA1b2".into(), "OxSub1".into()], 0, vec![])
    );
    let [first, second, third] = &found.agents[..] else { panic!() };
    assert_eq!(first.labels().map(|(_, text)| text), [Some("claude-code"), Some("1.0.42"), Some("claude-opus-4-5")]);
    assert_eq!(first.process.as_ref().map(|process| (process.pid, process.started)), Some((16420, None)));
    assert_eq!(first.created_at.to_string(), "2026-11-20T17:46:38.842570792Z");
    assert_eq!((second.primes, second.parent, second.model.as_ref()), (6, None, None));
    assert_eq!(third.parent, Some(second.id));
}

#[test]
fn the_last_line_of_an_agent_wins_at_the_place_of_the_first() {
    let text = line("OxAAAA", 20, "") + &line("OxBBBB", 20, "") + &line("OxAAAA", 20, ",\"prime_call_count\":3");
    let found = instances(&text);
    assert_eq!(ids(&found), ["OxAAAA", "OxBBBB"]);
    assert_eq!(found.agents[0].primes, 3);
}

#[test]
fn an_expired_last_line_hides_earlier_ones() {
    let text = line("OxAAAA", 20, "") + &line("OxAAAA", 17, "");
    let found = instances(&text);
    assert_eq!((found.agents.len(), found.expired), (0, 1));
    let back = instances(&(text + &line("OxAAAA", 20, "")));
    assert_eq!((back.agents.len(), back.expired), (1, 0));
    assert_eq!(instances(&line("OxAAAA", 18, "")).expired, 0, "to the very nanosecond it is not over");
}

#[test]
fn a_bad_line_is_named_and_the_others_are_taken() {
    let mut text = line("OxAAAA", 20, "");
    for bad in [
        "{",
        "nonsense OxPass",
        "[]",
        "{\"agent_id\":7}",
        "{}",
        "{\"agent_id\":\"OxBBBB\"}",
        line("oxBBBB", 20, "").trim(),
        line("OxBBBB", 20, ",\"parent_agent_id\":\"none\"").trim(),
        line("OxBBBB", 20, ",\"parent_pid\":4294967296").trim(),
        line("OxBBBB", 20, ",\"prime_call_count\":-1").trim(),
        &line("OxBBBB", 20, &format!(",\"model\":\"{}\"", "m".repeat(121))),
        line("OxBBBB", 20, ",\"agent_type\":\"a\\u001b[2J\"").trim(),
        line("OxBBBB", 20, "").replace("oxsid_01", "oxsid_81").trim(),
        line("OxBBBB", 20, "").replace("T20:00:00Z", "").trim(),
    ] {
        writeln!(text, "{}", bad.trim()).unwrap();
    }
    text += &line("OxCCCC", 20, "");
    let found = instances(&text);
    assert_eq!(ids(&found), ["OxAAAA", "OxCCCC"]);
    let label = "is longer than 120 bytes or has control characters";
    let expected = [
        "the line is cut off",
        "not JSON, from byte 2 on",
        "not an agent: a field has the wrong type, or comes twice",
        "not an agent: a field has the wrong type, or comes twice",
        "agent_id is missing",
        "oxsid is missing",
        "agent_id is not Ox and four letters or digits",
        "parent_agent_id is not Ox and four letters or digits",
        "parent_pid is not the id of a process",
        "prime_call_count is not a number from 0 to 4294967295",
        &format!("model {label}"),
        &format!("agent_type {label}"),
        "oxsid is not oxsid_ and a ULID",
        "expires_at is not a date and time with an offset",
    ];
    let expected: Vec<_> = (2..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(reasons(&found), expected);
}

#[test]
fn what_is_empty_or_null_is_not_there_and_unknown_keys_are_passed_over() {
    let more = ",\"model\":\"\",\"agent_type\":null,\"parent_agent_id\":\"\",\"parent_pid\":-1,\"later\":[{}]";
    let agent = instances(&line("OxAAAA", 20, more)).agents.remove(0);
    assert_eq!((agent.model, agent.agent_type, agent.parent, agent.process), (None, None, None, None));
}

#[test]
fn times_have_any_offset() {
    let text = line("OxAAAA", 20, "").replace("T12:00:00Z", "T14:30:00.5+02:30");
    assert_eq!(instances(&text).agents[0].created_at, "2026-11-20T12:00:00.5Z".parse().unwrap());
}

#[test]
fn a_line_may_be_a_mebibyte_long_and_no_longer() {
    // the original gives up on the whole file past 64 KiB
    let padded = |len: usize| {
        let bare = line("OxAAAA", 20, ",\"later\":\"\"").len() - 1;
        line("OxAAAA", 20, &format!(",\"later\":\"{}\"", "x".repeat(len - bare)))
    };
    let found = instances(&padded(MAX_LINE));
    assert_eq!((ids(&found), reasons(&found)), (vec!["OxAAAA".into()], vec![]));
    for end in ["\n", ""] {
        let text = format!("{}{end}", padded(MAX_LINE + 1).trim());
        let found = instances(&(text + &line("OxBBBB", 20, "")));
        assert_eq!(found.bad[0], BadLine { line: 1, reason: Reason::TooLong });
        assert_eq!(ids(&found), if end.is_empty() { vec![] } else { vec!["OxBBBB"] });
    }
    let huge = "x".repeat(3 * MAX_LINE) + "\n" + &line("OxBBBB", 20, "") + &"y".repeat(2 * MAX_LINE);
    let found = instances(&huge);
    assert_eq!(ids(&found), ["OxBBBB"]);
    assert_eq!(reasons(&found).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn line_ends_and_blank_lines_do_not_matter() {
    let text = format!("\r\n{}\r\n\n  \n{}", line("OxAAAA", 20, "").trim(), line("OxBBBB", 20, "").trim());
    let found = instances(&text);
    assert_eq!((ids(&found), found.bad), (vec!["OxAAAA".into(), "OxBBBB".into()], vec![]));
}

#[test]
fn a_secret_makes_a_line_bad_and_is_not_repeated() {
    let secret = ["ghp", "_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let text = line("OxAAAA", 20, &format!(",\"model\":\"{secret}\""));
    let found = instances(&text);
    assert_eq!(found.agents, []);
    assert_eq!(reasons(&found), [(1, "model looks like a secret (github-token)".to_owned())]);
    let redact = Policy { redact: true, ..Policy::default() };
    let found = read(text.as_bytes(), now(), &redact).unwrap();
    assert_eq!(found.agents[0].model.as_deref(), Some("[redacted:github-token]"));
}

mod merging {
    use super::*;

    fn pair() -> (Agent, Agent) {
        let theirs = instances(&line("OxAAAA", 20, ",\"model\":\"file\",\"parent_pid\":7,\"prime_call_count\":2"));
        let theirs = theirs.agents.into_iter().next().unwrap();
        let mut ours = theirs.clone();
        ours.context.add(40, now());
        ours.session = Some("s".parse().unwrap());
        (ours, theirs)
    }

    #[test]
    fn what_was_imported_is_unchanged_by_the_next_import() {
        let (ours, theirs) = pair();
        assert_eq!(merge(&ours, &theirs), ours);
        assert_eq!(merge(&theirs, &theirs), theirs);
    }

    #[test]
    fn the_higher_count_wins_and_what_we_know_of_the_process_stays() {
        let (mut ours, mut theirs) = pair();
        ours.process.as_mut().unwrap().started = Some(42);
        theirs.primes = 5;
        theirs.model = Some("newer".into());
        theirs.agent_type = None;
        ours.agent_type = Some("ours".into());
        let merged = merge(&ours, &theirs);
        assert_eq!((merged.primes, merged.context, &merged.session), (5, ours.context, &ours.session));
        assert_eq!((merged.model.as_deref(), merged.agent_type.as_deref()), (Some("newer"), Some("ours")));
        assert_eq!(merged.process, ours.process);
        theirs.process.as_mut().unwrap().pid = 8;
        assert_eq!(merge(&ours, &theirs).process, theirs.process);
        theirs.process = None;
        assert_eq!(merge(&ours, &theirs).process, ours.process);
    }

    #[test]
    fn two_agents_that_chance_gave_one_id_are_not_mixed() {
        let (ours, mut theirs) = pair();
        theirs.oxsid = "oxsid_01M7X12HW2M0X07A5GD2MK77SC".parse().unwrap();
        assert_eq!(merge(&ours, &theirs), ours);
        theirs.created_at = now();
        assert_eq!(merge(&ours, &theirs), theirs);
    }

    #[test]
    fn an_agent_primed_here_since_keeps_what_it_said_here() {
        let (mut ours, theirs) = pair();
        ours.primes = 3;
        ours.model = Some("ours".into());
        ours.process.as_mut().unwrap().pid = 9;
        assert_eq!(merge(&ours, &theirs), ours);
    }
}
