//! Documents: put, got, listed, deleted, guarded, and kept free of secrets.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::project::{Project, Run, keys, number, project};

/// The keys of a document without its text, in order.
const KEYS: [&str; 7] = ["category", "name", "kind", "size", "hash", "created_at", "updated_at"];

/// A file outside of the project.
fn file(project: &Project, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = project.scratch().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn start(project: &Project, line: &str, input: &[u8]) -> Child {
    let mut command = project.command(line);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // one that refuses its arguments does not read
    let _ = child.stdin.take().unwrap().write_all(input);
    child
}

/// Runs the program with this on its standard input.
fn with_input(project: &Project, line: &str, input: impl AsRef<[u8]>) -> Run {
    Run::of(line, start(project, line, input.as_ref()).wait_with_output().unwrap())
}

fn put(project: &Project, line: &str, input: &str) -> String {
    let head = with_input(project, &format!("doc put {line} --json"), input).ok().json();
    assert_eq!(keys(&head), KEYS);
    head["hash"].as_str().unwrap().to_owned()
}

fn names(list: &Value) -> Vec<String> {
    let name = |it: &Value| ["category", "name", "kind"].map(|key| it[key].as_str().unwrap().to_owned()).join("/");
    list.as_array().unwrap().iter().map(name).collect()
}

fn fake_token() -> String {
    ["ghp_", "R7kQ2mZx9LpT4vWb8NcY", "1sJd6HfG3aEu5oXi"].concat()
}

#[test]
fn a_text_comes_back_byte_for_byte() {
    let project = project();
    for text in ["", "# Plan\n", "no end", "\r\n\t\u{feff}\u{1b}[31mred\0\u{202e}\r", "한글 é\n"] {
        put(&project, "notes/2026/plan", text);
        project.oxi("doc get notes/2026/plan").ok().prints(text).silent();
        let got = project.json("doc get notes/2026/plan --kind markdown");
        assert_eq!((&got["text"], number(&got["size"]) as usize), (&json!(text), text.len()));
        assert_eq!((&got["category"], &got["name"]), (&json!("notes/2026"), &json!("plan")));
    }
    let path = file(&project, "plan.md", "from a file\n");
    project.oxi(&format!("doc put notes/plan {path}")).ok().says("created notes/plan (markdown, 12 bytes, hash ");
    project.oxi(&format!("doc put notes/plan {path}")).ok().says("unchanged: notes/plan");
    with_input(&project, "doc put notes/plan -", "other").ok().says("changed notes/plan (markdown, 5 bytes");
    project.oxi("doc get notes/plan").ok().prints("other");
}

#[test]
fn json_is_laid_out_and_loses_no_digit() {
    let project = project();
    let path = file(&project, "run.JSON", "{\"b\":123456789012345678901234567890,\"a\":[1.50,{ }]}\n");
    let expected = "{\n  \"b\": 123456789012345678901234567890,\n  \"a\": [\n    1.50,\n    {}\n  ]\n}";
    let head = project.json(&format!("doc put runs/last {path}"));
    assert_eq!(head["kind"], json!("json"));
    project.oxi("doc get runs/last").ok().prints(expected).silent();
    assert_eq!(project.json("doc get runs/last")["text"], json!(expected));
    with_input(&project, "doc put runs/last --kind json", "{\"a\":\n oops}")
        .exits(7)
        .warns("line 2, column 2")
        .warns("not JSON");
    let error = with_input(&project, "doc put runs/last --kind json --json", "{").exits(7).error();
    assert_eq!((&error["code"], &error["line"]), (&json!("bad_input"), &json!(1)));
    project.oxi("doc get runs/last").ok().prints(expected);
}

#[test]
fn markdown_and_json_of_one_name_are_two_documents() {
    let project = project();
    put(&project, "n/x", "text");
    put(&project, "n/x --kind json", "1");
    project.oxi("doc get n/x").ok().prints("1").warns("Markdown, too");
    project.oxi("doc get n/x --kind markdown").ok().prints("text").silent();
    assert_eq!(names(&project.json("doc list n")), ["n/x/json", "n/x/markdown"]);
    // JSON first, one for each call
    project.oxi("doc delete n/x").ok().says("deleted n/x (json, 1 byte, hash ");
    project.oxi("doc get n/x").ok().prints("text");
    project.oxi("doc get n/x --kind json").exits(3).warns("there is no document n/x in json");
    let gone = project.json("doc delete n/x");
    assert_eq!((keys(&gone), &gone["kind"]), (KEYS.to_vec(), &json!("markdown")));
    let error = project.oxi("doc delete n/x --json").exits(3).error();
    assert_eq!((&error["code"], &error["document"]), (&json!("not_found"), &json!("n/x")));
    put(&project, "n/x --kind json", "2");
    put(&project, "n/x", "other");
    project.oxi("doc delete n/x --kind markdown").ok().says("(markdown, 5 bytes");
    project.oxi("doc get n/x").ok().prints("2").silent();
}

#[test]
fn a_list_shows_what_is_directly_there_or_all_of_it() {
    let project = project();
    project.oxi("doc list").ok().prints("no documents\n");
    assert_eq!(project.json("doc list nowhere"), json!([]));
    for path in ["n/b", "n/a", "n/deep/er/x", "n-2/y"] {
        put(&project, path, "text");
    }
    assert_eq!(names(&project.json("doc list n")), ["n/a/markdown", "n/b/markdown"]);
    project.oxi("doc list n").ok().says("markdown        4 bytes").warns("1 more in categories below");
    assert_eq!(names(&project.json("doc list n -r")).len(), 3);
    let all = project.json("doc list");
    assert_eq!(names(&all), ["n/a/markdown", "n/b/markdown", "n/deep/er/x/markdown", "n-2/y/markdown"]);
    assert_eq!(keys(&all[0]), KEYS);
    let described = project.json("schema documents");
    assert_eq!(described["type"], json!("array"));
    let head = project.json("schema document-head");
    assert_eq!(head["properties"].as_object().unwrap().len(), KEYS.len());
    assert_eq!(project.json("schema document")["properties"].as_object().unwrap().len(), KEYS.len() + 1);
}

#[test]
fn every_verb_refuses_a_name_that_breaks_the_rule() {
    let project = project();
    put(&project, "victim/v --kind json", "1");
    for bad in [
        "plan",
        "x/",
        "/x/y",
        "a//b",
        "x/../victim/v",
        "x/..",
        "./x",
        "x/.hidden",
        "a/C:x",
        "x/a\\b",
        "x/nul",
        "x/e\u{301}",
        "x/a\u{1b}b",
    ] {
        for verb in ["put", "get", "delete"] {
            let run = project.oxi(&format!("doc {verb} '{bad}'")).exits(2).warns("invalid ").warns(" name: '");
            assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
        }
        let category = if bad == "plan" { "/plan" } else { bad };
        project.oxi(&format!("doc list '{category}/x'")).exits(2).warns("invalid category name: '");
    }
    project.oxi("doc list 'trailing '").exits(2).warns("space or a dot");
    project.oxi(&format!("doc get x/{}", "y".repeat(129))).exits(2).warns("at most 128 bytes");
    assert_eq!(names(&project.json("doc list")), ["victim/v/json"]);
}

#[test]
fn a_guarded_change_is_made_over_what_was_seen_only() {
    let project = project();
    let first = put(&project, "n/x --expect none", "one");
    let error = with_input(&project, "doc put n/x --expect none --json", "two").exits(4).error();
    assert_eq!((&error["code"], &error["hash"]), (&json!("conflict"), &json!(first)));
    let second = put(&project, &format!("n/x --expect {first}"), "two");
    with_input(&project, &format!("doc put n/x --expect {first}"), "3").exits(4).warns(&second);
    with_input(&project, &format!("doc put n/x --kind json --expect {first}"), "3").exits(4).warns("it is not there");
    project.oxi(&format!("doc delete n/x --expect {first}")).exits(4).warns(&second);
    project.oxi(&format!("doc delete n/x --expect {second}")).ok();
    with_input(&project, "doc put n/x --expect soon", "").exits(2).warns("16 hexadecimal digits");
}

#[test]
fn twenty_processes_that_load_change_and_save_lose_nothing() {
    let project = project();
    let stale = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for turn in 0..20 {
            let (project, stale) = (&project, &stale);
            scope.spawn(move || {
                loop {
                    let got = project.oxi("--lock-timeout 60 doc get n/all --json");
                    let (mut all, expect) = if got.code == 3 {
                        (Vec::new(), "none".to_owned())
                    } else {
                        let got = got.ok().json();
                        let all: Vec<usize> = serde_json::from_str(got["text"].as_str().unwrap()).unwrap();
                        (all, got["hash"].as_str().unwrap().to_owned())
                    };
                    all.push(turn);
                    let line = format!("--lock-timeout 60 doc put n/all --kind json --expect {expect}");
                    let run = with_input(project, &line, serde_json::to_string(&all).unwrap());
                    if run.code == 0 {
                        break;
                    }
                    run.exits(4);
                    stale.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let mut all: Vec<usize> = serde_json::from_str(&project.oxi("doc get n/all").ok().stdout).unwrap();
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>(), "{} were refused on the way", stale.into_inner());
}

#[test]
fn every_change_is_in_the_log_and_can_be_undone() {
    let project = project();
    put(&project, "n/x", "one\n");
    put(&project, "n/x", "two\n");
    project.oxi("doc delete n/x").ok().warns("undo");
    let log = project.json("log --kind document --key n/x/markdown");
    let rows: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!([row["op"], row["before"]["body"], row["after"]["body"]]))
        .collect();
    assert_eq!(
        rows,
        [json!(["delete", "two\n", null]), json!(["update", "one\n", "two\n"]), json!(["create", null, "one\n"])]
    );
    assert_eq!(log[0]["before"]["hash"].as_str().unwrap().len(), 16);
    project.oxi("undo").ok().says("delete document n/x/markdown");
    project.oxi("doc get n/x").ok().prints("two\n");
    project.oxi("undo").ok();
    project.oxi("doc get n/x").ok().prints("one\n");
    put(&project, "n/x", "three\n");
    project.oxi("undo 1").exits(4).warns("was changed again by");
}

#[test]
fn what_looks_like_a_secret_is_refused_with_its_place() {
    let project = project();
    let token = fake_token();
    let error = with_input(&project, "doc put n/x --json", format!("fine\nkey: {token}\n")).exits(8).error();
    assert_eq!((&error["code"], &error["rule"]), (&json!("refused"), &json!("github-token")));
    assert_eq!((&error["line"], &error["column"]), (&json!(2), &json!(6)));
    let hidden = format!("{{\"a\":1,\n \"k\":\"\\u0067{}\"}}", &token[1..]);
    with_input(&project, "doc put n/x --kind json", hidden).exits(8).warns("line 2, column 6");
    project.oxi(&format!("doc put n/{token}")).exits(8).warns("github-token");
    project.oxi(&format!("doc get {token}/n --redact")).exits(8);
    project.oxi(&format!("doc list {token}")).exits(8);
    with_input(&project, "doc put n/x --kind json --redact", format!("[\"{token}\"]")).ok();
    project.oxi("doc get n/x").ok().prints("[\n  \"[redacted:github-token]\"\n]");
    let written = project.path(".oxi/state.redb");
    let bytes = std::fs::read(written).unwrap();
    assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    with_input(&project, "doc put n/x --allow github-token", &token).ok();
    project.oxi("doc get n/x --kind markdown").ok().prints(&token);
}

#[test]
fn a_session_is_a_pointer_and_nothing_that_was_said() {
    let project = project();
    let original = include_str!("../golden/documents/oxios-state-session.json");
    with_input(&project, "doc put sessions/S1 --kind json", original)
        .exits(8)
        .warns("line 4, column 17")
        .warns("pointer with counts");
    let pointer = |user: &str| {
        json!({"id": "S1", "user_id": user, "user_message_count": 1, "agent_response_count": 0,
            "created_at": "2026-11-20T17:47:13Z", "updated_at": "2026-11-20T17:47:13Z"})
        .to_string()
    };
    put(&project, "sessions/S1 --kind json", &pointer("alice"));
    let error = with_input(&project, "doc put sessions/S1 --kind json --json", pointer("eve")).exits(5).error();
    assert_eq!((&error["code"], &error["session"]), (&json!("claimed"), &json!("S1")));
    with_input(&project, "doc put sessions/S2 --kind json", pointer("alice")).exits(2).warns("under another name");
    with_input(&project, "doc put sessions/S1 --kind json", pointer("what shall I do")).exits(8).warns("user_id");
}

#[test]
fn too_large_not_text_and_not_there() {
    let project = project();
    let limit = 1 << 20;
    let error = with_input(&project, "doc put n/x --json", "é".repeat(limit / 2 + 1)).exits(2).error();
    assert_eq!(error["message"], json!("the text is too large (max 1048576 bytes)"));
    with_input(&project, "doc put n/x", "y".repeat(limit)).ok().says("1048576 bytes");
    with_input(&project, "doc put n/x", b"fine\n\xff\n").exits(7).warns("line 2 is not UTF-8");
    project.oxi("doc put n/x missing.md").exits(3).warns("missing.md");
    project.oxi("doc get n/y").exits(3).warns("doc list");
    project.oxi("doc put").exits(2);
    assert_eq!(number(&project.json("doc get n/x")["size"]) as usize, limit);
}
