//! Many processes that want one issue.

use std::process::Stdio;

use serde_json::json;

use crate::project::{Project, project};

const RACERS: usize = 20;

/// Starts all racers before it waits for any; their exit codes and what they printed.
fn race(project: &Project, line: impl Fn(usize) -> String) -> Vec<(i32, String)> {
    let start = |number| {
        let mut command = project.command(&line(number));
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let racers: Vec<_> = (0..RACERS).map(start).collect();
    let wait = |racer: std::process::Child| {
        let output = racer.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    racers.into_iter().map(wait).collect()
}

#[test]
fn twenty_racers_for_one_issue_have_exactly_one_winner() {
    let project = project();
    let rounds = if std::env::var_os("OXI_STATE_LONG").is_some() { 2_000 } else { 200 };
    for round in 1..=rounds {
        project.oxi(&format!("issue create {round}")).ok();
        let results = race(&project, |number| format!("issue start {round} --session s{number}"));
        let winners: Vec<_> = (0..RACERS).filter(|number| results[*number].0 == 0).collect();
        assert_eq!(winners.len(), 1, "round {round}: {results:?}");
        assert!(results.iter().all(|(code, _)| matches!(code, 0 | 5)), "{results:?}");
        let issue = project.show(round);
        assert_eq!(issue["assigned_to"]["session"], json!(format!("s{}", winners[0])));
        assert_eq!(issue["sessions"].as_array().unwrap().len(), 1, "who lost left no trace");
    }
}

#[test]
fn who_asks_for_the_next_issue_at_once_gets_another_one_each() {
    let project = project();
    for number in 0..RACERS {
        project.oxi(&format!("issue create {number}")).ok();
    }
    let results = race(&project, |number| format!("issue next --start --session s{number} --json"));
    let mut got: Vec<_> = results
        .iter()
        .map(|(_, text)| serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].as_u64().unwrap())
        .collect();
    got.sort_unstable();
    assert_eq!(got, (1..=RACERS as u64).collect::<Vec<_>>());
    project.oxi("issue next --start --session late").exits(3);
}
