//! The module in `examples/node`, with the real program and a real Node. Left out where there is no `node`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::project::{Project, project};

/// A run of Node in a project, to be started by the caller; none where there is no Node.
fn node(project: &Project) -> Option<Command> {
    let found = Command::new("node").arg("--version").stdin(Stdio::null()).output();
    if !found.is_ok_and(|output| output.status.success()) {
        println!("skipped: node is not installed");
        return None;
    }
    // the environment is that of every run of the program
    let like = project.command("");
    let mut command = Command::new("node");
    command.env_clear().current_dir(&project.root).stdin(Stdio::null());
    for (name, value) in like.get_envs() {
        value.map(|value| command.env(name, value));
    }
    command.env("OXI_STATE", env!("CARGO_BIN_EXE_oxi-state"));
    Some(command)
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node").join(name).display().to_string()
}

/// A script that has `state`, the project's, and what it prints.
fn script(text: &str) -> Vec<String> {
    let module = format!("import {{ openState }} from 'file://{}'; const state = openState();", example("state.mjs"));
    ["--input-type=module", "-e", &format!("{module}\n{text}")].map(str::to_owned).to_vec()
}

#[track_caller]
fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_demonstration_does_what_it_says_once_and_again() {
    let project = project();
    project.oxi("issue create 'Alarm fires twice' -p high").ok();
    for (round, inbox) in [(1, "inbox: 5 taken, 0 known, 0 bad"), (2, "inbox: 3 taken, 2 known, 0 bad")] {
        let Some(mut node) = node(&project) else { return };
        let text = printed(&node.arg(example("demo.mjs")).output().unwrap());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(": 1 open of 1 issues, next 1"), "{round}: {text}");
        assert_eq!(
            lines[1..],
            [
                inbox,
                "handoffs: Read the snapshot from Node.",
                "checks: node demo passed",
                "openai/gpt-5 may be called: true",
                "error not_found (exit 3): issue #4294967295 not found"
            ],
            "{round}"
        );
    }
    assert_eq!(project.show(1)["handoffs"][0]["from"], "demo");
    assert_eq!(project.json("pointer get branch")["target"], "main");
}

#[test]
fn many_processes_hand_in_rows_and_each_is_taken_once() {
    const PROCESSES: usize = 4;
    const ROWS: u64 = 200;
    let project = project();
    // else only the last twenty runs of each name would be left to count
    project.oxi("config set retention.validations_per_name 1000").ok();
    let Some(_) = node(&project) else { return };
    let work = script(
        "const me = process.argv[1];
         for (let i = 0; i < 200; i++) {
           if (i % 4 === 0) state.append('handoff', { from: `node ${me}`, summary: `Number ${i}` }, `${me}-${i}`)
           else if (i % 4 === 1) state.append('validation', { name: `check ${me}`, result: 'passed', duration_ms: i }, `${me}-${i}`)
           else if (i % 4 === 2) state.append('pointer', { kind: 'note', name: `${me}/${i}`, note: 'x'.repeat(i) })
           else state.append('health', { provider: 'p', model: me, ok: false, error: 'timeout' })
         }
         // as after a crash: what has a key is handed in again
         for (let i = 0; i < 200; i += 4) state.append('handoff', { from: `node ${me}`, summary: `Number ${i}` }, `${me}-${i}`)",
    );
    let (mut taken, mut skipped) = (0, 0);
    let mut take = || {
        let report = project.json("inbox");
        taken += report["taken"].as_u64().unwrap();
        skipped += report["skipped"].as_u64().unwrap();
    };
    let mut children: Vec<_> =
        (0..PROCESSES).map(|me| node(&project).unwrap().args(&work).arg(format!("n{me}")).spawn().unwrap()).collect();
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        take();
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    take();
    take();
    assert_eq!((taken, skipped), (PROCESSES as u64 * ROWS, PROCESSES as u64 * 50));
    let text = printed(
        &node(&project)
            .unwrap()
            .args(script(
                "state.refresh();
                 const { latest, tables } = state.tables(['handoffs', 'validations', 'pointers', 'health']);
                 console.log(JSON.stringify({ counts: Object.fromEntries(Object.entries(tables).map(([k, v]) => [k, v.length])),
                   failures: tables.health.map((row) => row.consecutive_failures), open: latest.handoffs.length }))",
            ))
            .output()
            .unwrap(),
    );
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        found,
        json!({
            "counts": { "handoffs": 200, "validations": 200, "pointers": 200, "health": PROCESSES },
            "failures": [50, 50, 50, 50],
            "open": 200
        })
    );
}

#[test]
fn a_torn_set_of_files_is_noticed() {
    let project = project();
    project.oxi("snapshot").ok();
    let Some(mut node) = node(&project) else { return };
    std::fs::write(project.path(".oxi/state/issues.jsonl"), "{}\n").unwrap();
    let text = printed(
        &node
            .args(script("try { state.rows('issues') } catch (error) { console.log(error.message) }"))
            .output()
            .unwrap(),
    );
    assert_eq!(text, "the tables are not of one moment; run `oxi-state snapshot`\n");
}

#[test]
fn an_error_of_the_program_is_an_exception_with_its_code_and_hint() {
    let project = project();
    let Some(mut node) = node(&project) else { return };
    let text = printed(
        &node
            .args(script(
                "state.append('session', {}); console.log(JSON.stringify(state.takeInbox().bad));
                 try { state.latest() } catch (error) { console.log(error.name, error.message) }
                 try { state.cli(['fact', 'get', 'none']) } catch (error) { console.log(error.code, error.exit, error.retryable, error.hint) }",
            ))
            .output()
            .unwrap(),
    );
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("\"field\":\"kind\""), "{text}");
    assert_eq!(lines[1], "StateError there is no snapshot; run `oxi-state snapshot`");
    assert_eq!(lines[2], "not_found 3 false `oxi-state fact list` shows what there is");
}
