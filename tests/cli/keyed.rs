//! Pointers, facts, runtime summaries, health and registrations.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::project::{Project, Run, issue, keys, project, project_with};

fn log_length(project: &Project) -> usize {
    project.json("log").as_array().unwrap().len()
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
}

fn hash(row: &Value) -> String {
    row["hash"].as_str().unwrap().to_owned()
}

// ---- pointers

#[test]
fn a_pointer_of_each_kind_is_set_read_and_removed() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    for (set, kind, target) in [
        ("repo ada/tide", "repo", "ada/tide"),
        ("repo https://github.com/ada/tide.git", "repo", "https://github.com/ada/tide.git"),
        ("fork git@github.com:bob/tide.git", "fork", "git@github.com:bob/tide.git"),
        ("branch feature/login", "branch", "feature/login"),
        ("pr 17", "pr", "17"),
        ("pr '#18' --url https://github.com/ada/tide/pull/18", "pr", "18"),
        ("pr https://github.com/ada/tide/pull/19", "pr", "19"),
        ("pr https://example.org/review", "pr", "https://example.org/review"),
        ("issue 2", "issue", "2"),
        ("session my-session", "session", "my-session"),
        ("note 'mind the gap'", "note", "mind the gap"),
    ] {
        project.oxi(&format!("pointer set {set}")).ok().prints(&format!("{kind}/active -> {target}\n")).silent();
        project.oxi(&format!("pointer get {kind}")).ok().prints(&format!("{target}\n")).silent();
    }
    let list = project.json("pointer list");
    assert_eq!(names(&list, "kind"), ["branch", "fork", "issue", "note", "pr", "repo", "session"]);
    assert_eq!(list[4]["number"], json!(null), "the pointer before this one is gone as a whole");
    project.oxi("pointer rm pr").ok().prints("removed pointer pr/active\n");
    project.oxi("pointer get pr").exits(3).warns("there is no pointer pr/active");
    project.oxi("pointer rm pr").exits(3);
    project.oxi("undo").ok();
    project.oxi("pointer get pr").ok();
    project.oxi("log --kind pointer --limit 1").ok().says("undo pointer pr/active");
}

#[test]
fn what_no_pointer_can_point_to_is_usage() {
    let project = project_with(&[issue(1, "first")]);
    for line in [
        "repo tide",
        "repo 'ada tide'",
        "repo",
        "repo https://ada@host/x",
        "branch 'a b'",
        "branch -x",
        "branch a..b",
        "branch",
        "pr",
        "pr 0",
        "pr x",
        "issue x",
        "issue",
        "session .hidden",
        "session a/b",
        "session",
        "note",
        "note ' '",
        "tag v1",
        "repo a/b --name ''",
        "repo a/b --url http://x",
        "branch main --expect 12",
    ] {
        project.oxi(&format!("pointer set {line}")).exits(2);
    }
    project.oxi("pointer set issue 7").exits(3).warns("#7");
    let note = "n".repeat(2000);
    project.oxi(&format!("pointer set note {note}")).ok();
    project.oxi(&format!("pointer set note {note}n")).exits(2).warns("2000 bytes");
    assert_eq!(names(&project.json("pointer list"), "kind"), ["note"]);
}

#[test]
fn a_pointer_to_an_issue_follows_it_to_a_new_number() {
    let ours = project_with(&[issue(1, "first")]);
    let theirs = ours.clone_as("theirs");
    ours.oxi("issue create earlier").ok();
    ours.oxi("export").ok();
    ours.commit("earlier");
    theirs.oxi("issue create later").ok().prints("2\n");
    theirs.oxi("pointer set issue 2").ok();
    theirs.oxi("export").ok();
    theirs.commit("later");
    theirs.pull(&ours);
    theirs.oxi("sync").ok();
    theirs.oxi("pointer get issue").ok().prints("3\n");
    assert_eq!(theirs.json("pointer get issue")["issue_number"], json!(3));
    assert_eq!(theirs.json("pointer get issue")["issue"]["slug"], json!("later"));
    theirs.oxi("issue delete 3").ok();
    theirs.oxi("pointer get issue").exits(3).warns("gone");
    theirs.oxi("pointer list").ok().says("the issue is gone");
    assert_eq!(theirs.json("pointer get issue")["issue_number"], json!(null));
}

#[test]
fn sessions_are_saved_and_loaded_by_name() {
    let project = project();
    project.oxi("--session s1 pointer set session --name 'before the storm'").ok();
    project.oxi_with("pointer set session --name mine", &[("OXI_STATE_SESSION", "s2")]).ok();
    project.oxi("pointer get session 'before the storm'").ok().prints("s1\n");
    let saved = project.json("pointer list --kind session");
    assert_eq!(
        (names(&saved, "name"), names(&saved, "target")),
        (vec!["before the storm".into(), "mine".into()], vec!["s1".into(), "s2".into()])
    );
}

// ---- all of them

/// For each kind: what sets a record, what reads it, what lists them, its schemas.
const KINDS: [(&str, &str, &str, &str, &str); 5] = [
    ("pointer set branch main", "pointer get branch", "pointer list", "pointer", "pointers"),
    ("fact set theme dark", "fact get theme", "fact list", "fact", "facts"),
    ("runtime set proxy --state running --pid 7", "runtime get proxy", "runtime list", "runtime", "runtimes"),
    ("health record openai/a/b --ok --limit 9", "health show openai/a/b", "health list", "health", "health-list"),
    (
        "registry set extension/lint --state active",
        "registry show extension/lint",
        "registry list",
        "registry",
        "registry-list",
    ),
];

#[test]
fn the_schemas_describe_what_is_printed() {
    let project = project();
    for (set, get, list, schema, list_schema) in KINDS {
        let printed = project.json(set);
        let described = project.json(&format!("schema {schema}"));
        assert_eq!(keys(&described["properties"]), keys(&printed), "{set}");
        assert_eq!(project.json(get), printed, "{get}");
        assert_eq!(project.json(list), json!([printed]), "{list}");
        assert_eq!(project.json(&format!("schema {list_schema}"))["type"], "array");
        project.oxi(get).ok().silent();
        project.oxi(list).ok().silent();
    }
    let printed = project.json("health check openai/a/b");
    assert_eq!(keys(&project.json("schema health-check")["properties"]), keys(&printed));
    let printed = project.json("fact import");
    assert_eq!(keys(&project.json("schema fact-import")["properties"]), keys(&printed));
}

#[test]
fn an_empty_project_has_none() {
    let project = project();
    for (_, get, list, ..) in KINDS {
        assert_eq!(project.json(list), json!([]));
        project.oxi(list).ok().says("no ").silent();
        let error = project.oxi(&format!("{get} --json")).exits(3).error();
        assert_eq!(error["code"], "not_found");
        assert!(error["hint"].as_str().unwrap().contains("list"), "{error}");
    }
    assert_eq!(log_length(&project), 0);
}

#[test]
fn every_verb_has_an_example() {
    let project = project();
    for line in [
        "pointer set",
        "pointer get",
        "pointer list",
        "pointer rm",
        "fact set",
        "fact get",
        "fact list",
        "fact rm",
        "fact import",
        "runtime set",
        "runtime get",
        "runtime list",
        "runtime rm",
        "health record",
        "health check",
        "health show",
        "health list",
        "health reset",
        "registry set",
        "registry show",
        "registry list",
        "registry rm",
    ] {
        project.oxi(&format!("{line} --help")).ok().says("Example").says(&format!("oxi-state {line}")).silent();
    }
}

#[test]
fn a_record_is_replaced_only_as_the_caller_saw_it() {
    let project = project();
    for (set, get, other) in [
        ("pointer set branch main", "pointer get branch", "pointer set branch next"),
        ("fact set theme dark", "fact get theme", "fact set theme light"),
        ("runtime set proxy --state running", "runtime get proxy", "runtime set proxy --state failed"),
        ("health record openai/x --ok", "health show openai/x", "health record openai/x --error timeout"),
        ("registry set package/x --scope user", "registry show package/x", "registry set package/x --scope project"),
    ] {
        project.oxi(&format!("{set} --expect 0123456789abcdef")).exits(3);
        let old = hash(&project.json(set));
        let new = hash(&project.json(&format!("{other} --expect {old}")));
        let error = project.oxi(&format!("{other} --expect {old} --json")).exits(4).error();
        assert_eq!((&error["code"], &error["hash"]), (&json!("conflict"), &json!(new)), "{other}");
        assert_eq!(hash(&project.json(get)), new);
        let (noun, key) = (other.split(' ').next().unwrap(), error["key"].as_str().unwrap());
        let remove = match noun {
            "pointer" => format!("pointer rm {}", key.replace('/', " ")),
            "health" => format!("health reset {key}"),
            noun => format!("{noun} rm {key}"),
        };
        project.oxi(&format!("{remove} --expect {old}")).exits(4);
        project.oxi(&format!("{remove} --expect {new}")).ok();
    }
}

#[test]
fn what_changes_nothing_is_no_change() {
    let project = project();
    for (set, get, ..) in KINDS.into_iter().filter(|(set, ..)| !set.starts_with("health")) {
        let first = project.json(set);
        let length = log_length(&project);
        assert_eq!(project.json(set), first);
        assert_eq!(log_length(&project), length);
        assert_eq!(project.json(get), first);
    }
}

#[test]
fn every_change_is_logged_and_can_be_undone() {
    let project = project();
    for (set, get, _, _, _) in KINDS {
        project.oxi(set).ok();
        let change = &project.json("log --limit 1")[0];
        let kind = set.split(' ').next().unwrap();
        assert_eq!(change["kind"], kind);
        assert!(change["after"].is_object() && change["before"].is_null(), "{change}");
        project.oxi(&format!("undo {}", change["revision"])).ok();
        project.oxi(get).exits(3);
    }
    project.oxi("pointer set branch main").ok();
    project.oxi("health record openai/x --ok").ok();
    project.oxi("undo").ok().says("pointer branch/active");
    project.oxi("health show openai/x").ok();
}

// ---- runtime

#[test]
fn a_summary_is_changed_field_by_field_and_gets_stale() {
    let project = project();
    project.oxi("runtime set proxy").exits(2).warns("state is missing");
    project
        .oxi("runtime set proxy --state running --pid 7 --port 8080 --url http://localhost:8080 --of-version 1.2")
        .ok();
    let row = project.json("runtime set proxy --summary 'all well' --clear pid --ttl 600");
    assert_eq!((&row["pid"], &row["port"], &row["summary"]), (&json!(null), &json!(8080), &json!("all well")));
    assert_eq!(row["stale"], json!(false));
    project.oxi("runtime set proxy --ttl 0").ok().says("(stale)");
    assert_eq!(project.json("runtime list")[0]["stale"], json!(true));
    project.oxi("runtime list").ok().says("(stale)");
    project.oxi("runtime set proxy --clear expires_at").ok().says_not("(stale)");
    for line in [
        "--state up",
        "--port 0",
        "--port 65536",
        "--pid 0",
        "--url localhost",
        "--url http://a@h",
        "--since soon",
        "--ttl -1",
        "--clear nonsense",
        "--clear name",
        "--clear state",
        "--clear pid --pid 7",
        "--ttl 1 --expires-at 2026-01-01T00:00:00Z",
        "--summary ''",
    ] {
        let run = project.oxi(&format!("runtime set proxy {line}"));
        assert!(run.code == 2 || line.starts_with("--summary"), "{line}: {run:?}");
    }
    project.oxi("runtime rm proxy").ok();
}

// ---- health

#[test]
fn a_limited_model_is_left_alone_until_its_time() {
    let project = project();
    project.oxi("health check openai/x").ok().says("may be called");
    project.oxi("health record openai/x --error rate_limit --retry-after 100.5 --limit 500 --remaining 0").ok();
    let run = project.oxi("health check openai/x --json").exits(4);
    let answer = run.json();
    let wait = answer["retry_after_seconds"].as_u64().unwrap();
    assert!((90..=101).contains(&wait), "{answer}");
    assert_eq!(
        (&answer["allowed"], &answer["state"], &answer["breaker"]),
        (&json!(false), &json!("limited"), &json!("open"))
    );
    assert_eq!(names(&project.json("health list --blocked"), "model"), ["x"]);
    project.oxi("health record openai/y --ok").ok();
    assert_eq!(names(&project.json("health list"), "model"), ["x", "y"]);
    assert_eq!(names(&project.json("health list --blocked"), "model"), ["x"]);
    assert_eq!(project.json("health list anthropic/"), json!([]));
    project.oxi("health reset openai/x").ok().says("untested");
    project.oxi("health check openai/x").ok();
    project.oxi("undo").ok();
    project.oxi("health check openai/x").exits(4).says("blocked for");
    project.oxi("health reset openai/z").exits(3);
}

#[test]
fn after_a_pause_one_caller_is_let_through() {
    let project = project();
    let fail = "health record openai/x --error network --open-after 2";
    project.oxi(fail).ok();
    project.oxi("health check openai/x").ok();
    project.oxi(fail).ok();
    project.oxi("health check openai/x").exits(4);
    let ask = "health check openai/x --cool-down 0";
    assert_eq!(project.json(&format!("{ask} --peek"))["trial"], json!(true));
    assert_eq!(project.json(ask)["trial"], json!(true));
    project.oxi("health check openai/x").exits(4).says("blocked");
    assert_eq!(project.json("health show openai/x")["breaker"], "half_open");
    project.oxi("health record openai/x --ok").ok();
    assert_eq!(project.json("health check openai/x")["breaker"], "closed");
}

#[test]
fn wrong_reports_are_usage() {
    let project = project();
    for line in [
        "record openai/x",
        "record openai/x --ok --error timeout",
        "record openai/x --error 429",
        "record openai --ok",
        "record /x --ok",
        "record openai/ --ok",
        "record openai/x --ok --retry-after soon",
        "record openai/x --ok --retry-after 1e12",
        "record openai/x --ok --reset-at tomorrow",
        "record openai/x --ok --limit -1",
        "record openai/x --ok --open-after 0",
        "record openai/x --ok --retry-after 1 --reset-at 2026-01-01T00:00:00Z",
        "check openai",
        "show openai",
        "reset openai",
    ] {
        project.oxi(&format!("health {line}")).exits(2);
    }
    assert_eq!(log_length(&project), 0);
}

#[test]
fn of_20_processes_that_record_a_failure_at_once_each_is_counted() {
    let project = project();
    let line = "--lock-timeout 60 health record openai/x --error timeout --json";
    let children: Vec<_> =
        (0..20).map(|_| project.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    let runs: Vec<_> =
        children.into_iter().map(|child| Run::of(line, child.wait_with_output().unwrap()).ok()).collect();
    let mut counts: Vec<_> = runs.iter().map(|run| run.json()["consecutive_failures"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=20).collect::<Vec<_>>());
    assert_eq!(project.json("health show openai/x")["consecutive_failures"], json!(20));
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let line = "--lock-timeout 60 health check openai/x --cool-down 1 --json";
            project.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in asked {
        let run = Run::of("check", child.wait_with_output().unwrap());
        assert!(run.code == 0 || run.code == 4, "{run:?}");
    }
}

// ---- registry

#[test]
fn extensions_and_packages_have_their_own_fields() {
    let project = project();
    let row = project.json(
        "registry set extension/lint --of-version 1.2.0 --source /home/ada/lint.wasm --source-type local --integrity sha256-0123 --state failed --permission file_read --permission network --last-error load --errors 2 --last-error-at 2026-01-01T00:00:00Z --installed-at 2026-01-01T00:00:00Z --enabled false",
    );
    assert_eq!(
        (&row["enabled"], &row["permissions"], &row["errors"]),
        (&json!(false), &json!(["file_read", "network"]), &json!(2))
    );
    let source = row["source"].as_str().unwrap();
    assert!(source.starts_with('#') && source.len() == 17, "a path out of the project is a hash: {source}");
    let row = project.json(
        "registry set package/@ada/tide --source npm:@ada/tide --scope project --dependency a --forced-off skill",
    );
    assert_eq!(
        (&row["enabled"], &row["name"], &row["forced_off"]),
        (&json!(true), &json!("@ada/tide"), &json!(["skill"]))
    );
    assert_eq!(names(&project.json("registry list --kind package"), "name"), ["@ada/tide"]);
    for line in [
        "lint",
        "plugin/lint",
        "extension/",
        "extension/lint --scope user",
        "package/x --state active",
        "package/x --permission bash",
        "extension/lint --permission everything",
        "extension/lint --source https://ada@h/x",
        "extension/lint --enabled maybe",
        "extension/lint --installed-at today",
        "package/x --source-type ftp",
    ] {
        project.oxi(&format!("registry set {line}")).exits(2);
    }
    project.oxi("registry show plugin/lint").exits(2);
    project.oxi("registry rm extension/lint").ok();
    project.oxi("registry show extension/lint").exits(3);
}
