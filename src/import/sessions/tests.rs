#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside of the program: they play the tools that write sessions"
)]

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::BadReason::{AnotherHeader, NotAnEntry, NotJson, NotUtf8, TooLong};
use super::*;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sessions");
const FORBIDDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sessions-forbidden");
/// In every text of those files that must not be kept.
const MARK: &str = "zqforbidden";

fn places() -> Places {
    Places::new(Path::new("/proj/x"), Some(Path::new("/home/dev")))
}

fn stat() -> FileStat {
    FileStat { modified: (1_795_196_437, 5), changed: (0, 0), size: 0, inode: 0 }
}

fn scan_at(path: &str, text: impl AsRef<[u8]>) -> Result<SessionFile, ReadError> {
    scan(text.as_ref(), 1 << 16, Path::new(path), &stat(), &places())
}

const HEADER: &str =
    r#"{"type":"session","version":3,"id":"s1","timestamp":"2026-11-20T08:00:00Z","cwd":"/proj/x/api"}"#;

/// The pointer of a header and these lines.
fn pointer(lines: &str) -> Session {
    scan_at("/home/dev/.oxi/s.jsonl", format!("{HEADER}\n{lines}\n")).unwrap().session
}

fn sample(name: &str) -> SessionFile {
    let path = std::fs::read_dir(SAMPLES).unwrap().map(|entry| entry.unwrap().path());
    read(&path.into_iter().find(|path| path.display().to_string().contains(name)).unwrap(), &places()).unwrap()
}

#[test]
fn a_sample_gives_this_pointer() {
    let session = sample("95fd1757").session;
    let mut json = serde_json::to_value(&session).unwrap();
    let file = json["file"].as_object_mut().unwrap();
    assert!(file.remove("modified").is_some_and(|time| time.is_string()));
    let (point, model) = ("8bb629c4-af85-441d-baff-af6b29be9cc2", "anthropic/claude-sonnet-4-20250514");
    let last = "9db75fc6-64a2-4948-9be1-38e43c89292a";
    assert_eq!(
        json,
        json!({
            "id": "95fd1757-4d14-43ac-b738-b7169885caec",
            "source": "oxi",
            "name": null,
            "state": "recorded",
            "file": {
                "path": "2026-11-20-17-40-36-018343923-00-00_95fd1757.jsonl",
                "size": 3147,
                "sha256": "f0244ee40d32849c2cfe1a1108590f26ade227b1549f7efbee14c82ac61efe7a"
            },
            "format": 3,
            "project": ".",
            "parent": null,
            "root": "95fd1757-4d14-43ac-b738-b7169885caec",
            "fork_point": null,
            "leaf": last,
            "counts": {
                "entries": 11, "users": 2, "assistants": 2, "tool_results": 0, "branches": 1, "compactions": 1,
                "labels": 1
            },
            "tokens": { "input": 10, "output": 2, "cache_read": 0, "cache_write": 0, "total": 12 },
            "models": [model],
            "stop_reason": null,
            "branches": [
                {
                    "from": point, "first": "2aa2b6ad-3d78-49bd-b2b0-d908c899ac26",
                    "leaf": "3cbd576f-daac-4c25-ab4c-224f48a4d171", "entries": 5, "tokens": 12, "current": false
                },
                {
                    "from": point, "first": "af537d98-08ac-47dd-842c-158c0b71718f", "leaf": last, "entries": 3,
                    "tokens": 0, "current": true
                }
            ],
            "bad_lines": 0,
            "truncated": false,
            "process": null,
            "created_at": "2026-11-20T17:40:36.018355560Z",
            "last_activity_at": "2026-11-20T17:40:36.022Z",
            "ended_at": null
        })
    );
}

#[test]
fn forks_of_oxi_begin_with_the_entry_they_were_forked_at() {
    let mut files = vec![sample("bc03adf4"), sample("95fd1757"), sample("185f2aa4")];
    connect(&mut files, std::iter::empty(), &places());
    let parent = files[1].session.id.clone();
    assert_eq!(files[0].session.parent.as_ref(), Some(&parent));
    assert_eq!(files[0].session.fork_point.as_deref(), Some("8bb629c4-af85-441d-baff-af6b29be9cc2"));
    assert_eq!(files[2].session.fork_point.as_deref(), Some("4981fab9-1139-4e58-8d9b-c3f574a93c58"));
    assert_eq!((files[1].session.parent.as_ref(), files[1].session.fork_point.as_ref()), (None, None));
    let counts = |index: usize| {
        let Counts { entries, users, assistants, branches, .. } = files[index].session.counts;
        (entries, users, assistants, branches)
    };
    assert_eq!((counts(0), counts(2)), ((9, 2, 2, 1), (11, 2, 2, 1)));
    assert!(files[0].here && !files[2].here);
    assert!(files[2].session.project.as_ref().unwrap().starts_with('#'), "where it worked is not told");
    // alone, the fork's parent is known by the name of its file alone
    let mut alone = vec![sample("bc03adf4")];
    connect(&mut alone, std::iter::empty(), &places());
    assert_eq!(alone[0].session.parent, Some(parent.clone()), "its file lies beside it");
    let stored = Session { file: files[1].session.file.clone(), ..files[1].session.clone() };
    alone[0].session.parent = None;
    alone[0].path = "/elsewhere/s.jsonl".into();
    connect(&mut alone, std::iter::once(&stored), &places());
    assert_eq!(alone[0].session.parent, Some(parent), "it was imported before");
}

#[test]
fn forks_of_pi_begin_with_a_copy_of_their_parent() {
    let temp = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(temp.path().join(name), text).unwrap();
    let header = |id: &str, rest: &str| {
        format!(r#"{{"type":"session","version":3,"id":"{id}","timestamp":"2026-11-20T08:00:00Z","cwd":"/"{rest}}}"#)
    };
    let entry = |id: &str, parent: &str| format!("\n{{\"id\":\"{id}\",\"parentId\":\"{parent}\",\"message\":{{}}}}");
    let (one, two) = (entry("aaaaaaa1", ""), entry("aaaaaaa2", "aaaaaaa1"));
    write("p.jsonl", &format!("{}{one}{two}{}\n", header("parent", ""), entry("aaaaaaa3", "aaaaaaa2")));
    let parent = format!(r#","parentSession":"{}""#, temp.path().join("p.jsonl").display());
    write("c.jsonl", &format!("{}{one}{two}{}\n", header("child", &parent), entry("bbbbbbb1", "aaaaaaa2")));
    let read_all = |names: &[&str]| -> Vec<SessionFile> {
        let mut files = names.iter().map(|name| read(&temp.path().join(name), &places()).unwrap()).collect::<Vec<_>>();
        connect(&mut files, std::iter::empty(), &places());
        files
    };
    for names in [&["c.jsonl", "p.jsonl"][..], &["c.jsonl"]] {
        let child = &read_all(names)[0].session;
        assert_eq!(child.source, Source::Pi);
        assert_eq!(child.parent.as_ref().map(SessionId::as_str), Some("parent"), "{names:?}");
        assert_eq!(child.fork_point.as_deref(), Some("aaaaaaa2"), "{names:?}");
    }
    std::fs::remove_file(temp.path().join("p.jsonl")).unwrap();
    let orphan = &read_all(&["c.jsonl"])[0].session;
    assert_eq!((orphan.parent.as_ref(), orphan.fork_point.as_ref()), (None, None));
}

#[test]
fn both_spellings_of_everything_are_read() {
    let read = |name: &str| read(&Path::new(FORBIDDEN).join(name), &places()).unwrap().session;
    let counts = |s: &Session| {
        let Counts { entries, users, assistants, tool_results, branches, compactions, labels } = s.counts;
        [entries, users, assistants, tool_results, branches, compactions, labels]
    };
    let tokens =
        |s: &Session| [s.tokens.input, s.tokens.output, s.tokens.cache_read, s.tokens.cache_write, s.tokens.total];
    let oxi = read("oxi-v3.jsonl");
    assert_eq!((oxi.source, oxi.format, counts(&oxi)), (Source::Oxi, Some(3), [14, 2, 2, 2, 1, 1, 1]));
    assert_eq!((tokens(&oxi), &oxi.models[..]), ([101, 21, 3, 4, 129], &["anthropic/claude-sonnet-4".to_owned()][..]));
    let pi = read("pi-v3.jsonl");
    assert_eq!((pi.source, counts(&pi)), (Source::Pi, [13, 1, 2, 1, 1, 1, 1]));
    assert_eq!((tokens(&pi), &pi.models[..]), ([51, 12, 8, 10, 81], &["openai/gpt-5".to_owned()][..]));
    assert_eq!((pi.leaf.as_deref(), pi.stop_reason), (Some("b000000d"), None));
    let v1 = read("v1.jsonl");
    assert_eq!((v1.format, counts(&v1), &v1.leaf), (Some(1), [3, 1, 1, 0, 0, 1, 0], &None));
    assert_eq!((tokens(&v1), v1.stop_reason.as_deref()), ([7, 3, 0, 0, 10], Some("stop")));
    let v2 = read("v2.jsonl");
    assert_eq!((v2.format, counts(&v2), v2.leaf.as_deref()), (Some(2), [3, 2, 1, 0, 1, 0, 0], Some("c-3")));
    assert_eq!(v2.last_activity_at.to_string(), "2026-11-20T08:00:03Z", "seconds and milliseconds");
    assert_eq!(v2.stop_reason.as_deref(), Some("end_turn"));
}

#[test]
fn no_text_of_a_session_is_in_its_pointer() {
    for entry in std::fs::read_dir(FORBIDDEN).unwrap() {
        let path = entry.unwrap().path();
        assert!(std::fs::read_to_string(&path).unwrap().contains(MARK));
        let mut files = vec![read(&path, &places()).unwrap()];
        connect(&mut files, std::iter::empty(), &places());
        let session = &files[0].session;
        let shown = format!("{session:?}{}", serde_json::to_string(session).unwrap());
        assert!(!shown.contains(MARK), "{}: {shown}", path.display());
    }
}

#[test]
fn models_are_those_that_answered() {
    let answer = r#"{"id":"e2","message":{"role":"assistant"}}"#;
    let change = |content: &str| {
        format!(r#"{{"id":"e1","message":{{"role":"custom","customType":"model_change","content":{content}}}}}"#)
    };
    let models = |content: &str| pointer(&format!("{}\n{answer}", change(content))).models;
    assert_eq!(models(r#""ollama:llama3:8b""#), ["ollama/llama3:8b"]);
    for content in [r#""a prompt: with words""#, r#""word""#, r#"":x""#, "[]", "null", "7", "{\"a\":1}"] {
        assert_eq!(models(content), [""; 0], "{content}");
    }
    assert_eq!(pointer(&change(r#""a:b""#)).models, [""; 0], "it was chosen and never answered");
    let own = r#"{"type":"model_change","id":"e1","content":"a:b"}"#;
    assert_eq!(pointer(&format!("{own}\n{answer}")).models, ["a/b"]);
    let one = |n| format!("{{\"id\":\"e{n}\",\"message\":{{\"role\":\"assistant\",\"model\":\"m{n}\"}}}}");
    let many = (0..40).map(one).collect::<Vec<_>>().join("\n");
    assert_eq!(pointer(&many).models.len(), MAX_MODELS);
    let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    assert_eq!(models(&format!(r#""x:{secret}""#)), [""; 0], "a secret is no model");
}

#[test]
fn bad_lines_are_counted_and_passed_over() {
    let mut text = format!("not json\n{HEADER}\n\n  \r\n").into_bytes();
    text.extend(b"{\"id\":\"e1\",\"message\":{\"role\":\"user\"}}\r\n");
    text.extend(b"{\"id\":\"e2\",\"message\":{\"role\":\"user\",\"content\":\"\xff\"}}\n");
    text.extend(b"[1,2]\n{\"id\":\"e3\"}\n");
    text.extend(HEADER.as_bytes());
    text.extend(format!("\n{{\"content\":\"{}\"}}\n", "x".repeat(1 << 16)).as_bytes());
    text.extend(
        b"{\"id\":\"e4\",\"message\":{\"role\":\"user\",\"content\":\"\\ud800\"}}\n{\"type\":\"message\",\"id\":\"e",
    );
    let file = scan_at("/x/s.jsonl", &text).unwrap();
    let bad: Vec<_> = file.bad.iter().map(|bad| (bad.line, bad.why)).collect();
    let expected = [(1, NotJson), (6, NotUtf8), (7, NotJson), (8, NotAnEntry), (9, AnotherHeader), (10, TooLong)];
    assert_eq!(bad, expected);
    assert_eq!((file.session.bad_lines, file.session.truncated, file.session.counts.users), (6, true, 2));
    assert_eq!(file.session.file.unwrap().size, text.len() as u64);
    let many = scan_at("/x/s.jsonl", format!("{HEADER}\n{}", "x\n".repeat(50))).unwrap();
    assert_eq!((many.bad.len(), many.session.bad_lines), (MAX_BAD_NAMED, 50));
}

#[test]
fn a_last_line_without_an_end_counts_if_it_is_whole() {
    let file = scan_at("/x/s.jsonl", format!("{HEADER}\n{{\"id\":\"e1\",\"message\":{{\"role\":\"user\"}}}}")).unwrap();
    assert_eq!((file.session.counts.users, file.session.truncated, file.session.bad_lines), (1, false, 0));
}

#[test]
fn what_is_no_session_file_is_said_to_be_none() {
    let kind = |text: &str| match scan_at("/x/s.jsonl", text).unwrap_err() {
        ReadError::NotASession => "no session",
        ReadError::Empty => "empty",
        ReadError::BadId => "bad id",
        ReadError::Path(_) => "path",
    };
    assert_eq!(kind(""), "empty");
    assert_eq!(kind("\n"), "empty", "what the original leaves of an old file");
    assert_eq!(kind("some\nprose\n"), "empty");
    assert_eq!(kind("{\"type\":\"message\",\"id\":\"x\",\"message\":{}}\n"), "no session");
    assert_eq!(kind(&HEADER.replace("\"s1\"", "\"\"")), "no session");
    assert_eq!(kind(&HEADER.replace("\"cwd\"", "\"folder\"")), "no session");
    assert_eq!(kind(&HEADER.replace("2026-11-20T08:00:00Z", "yesterday")), "no session");
    for id in ["../x", "a b", ".x", &"x".repeat(129), &["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat()] {
        assert_eq!(kind(&HEADER.replace("s1", id)), "bad id", "{id}");
    }
}

#[test]
fn ids_that_are_no_names_have_a_place_and_no_mention() {
    let lines = "{\"id\":\"two words\",\"message\":{}}\n{\"id\":\"b\",\"parentId\":\"two words\",\"message\":{}}\n\
                 {\"id\":\"c\",\"parentId\":\"two words\",\"message\":{}}\n{\"id\":\"last words\",\"message\":{}}";
    let session = pointer(lines);
    assert_eq!((session.counts.branches, session.branches.len(), session.leaf), (1, 0, None));
    assert_eq!(pointer("{\"id\":7,\"message\":{}}").leaf.as_deref(), Some("7"));
}

#[test]
fn a_repeated_line_counts_once() {
    let line = r#"{"id":"e1","message":{"role":"assistant","usage":{"input":5}}}"#;
    let session = pointer(&format!("{line}\n{line}"));
    assert_eq!((session.counts.entries, session.tokens.input), (1, 5));
}

#[test]
fn odd_values_count_as_absent() {
    let session = pointer(
        r#"{"id":["x"],"parentId":{},"timestamp":1e300,"message":{"role":"assistant","usage":{"input":-1,"output":2.0,"totalTokens":"9"},"provider":7,"model":["m"],"stopReason":{}}}"#,
    );
    assert_eq!((session.bad_lines, session.counts.assistants, session.tokens.output), (0, 1, 2));
    assert_eq!((session.tokens.total, session.last_activity_at), (2, session.created_at));
    let huge = "{\"id\":\"a\",\"message\":{\"role\":\"assistant\",\"usage\":{\"input\":9e15}}}\n".to_owned();
    assert_eq!(pointer(&huge.repeat(2)).tokens.input, 9_000_000_000_000_000);
}

#[test]
fn the_file_is_only_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("v1.jsonl");
    let text = std::fs::read(Path::new(FORBIDDEN).join("v1.jsonl")).unwrap();
    std::fs::write(&path, &text).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    let mut mode = path.metadata().unwrap().permissions();
    mode.set_readonly(true);
    std::fs::set_permissions(&path, mode).unwrap();
    let session = read(&path, &places()).unwrap().session;
    assert_eq!(session.file.unwrap().modified.unwrap().to_string(), "2023-11-14T22:13:20Z");
    assert_eq!(std::fs::read(&path).unwrap(), text);
    assert_eq!(path.metadata().unwrap().modified().unwrap(), old);
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "nothing is put beside it");
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let temp = tempfile::tempdir().unwrap();
    let fifo = temp.path().join("s.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let error = read(&fifo, &places()).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

/// A text that could be taken for a name, and is recognised wherever it turns up.
fn forbidden() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9._:/@+-]{0,20}", ".{0,30}"].prop_map(|text| format!("{MARK}{text}"))
}

fn content() -> impl Strategy<Value = serde_json::Value> {
    let block = (forbidden(), forbidden()).prop_map(|(a, b)| {
        json!([{"type":"text","text":a},{"type":"thinking","thinking":b},{"type":"image","data":a,"media_type":b},
               {"type":"toolCall","id":a,"name":b,"arguments":{"x":a,"y":[b]}},{"type":"refusal","refusal":a}])
    });
    prop_oneof![forbidden().prop_map(serde_json::Value::from), block]
}

fn message() -> impl Strategy<Value = serde_json::Value> {
    let roles = ["user", "assistant", "toolResult", "system", "bashExecution", "custom", "branchSummary"];
    let customs = ["session_info", "label", "thinking_level_change", "compaction", "ext"];
    let role = proptest::sample::select(roles.to_vec());
    (role, proptest::sample::select(customs.to_vec()), content(), forbidden(), forbidden()).prop_map(
        |(role, custom, content, a, b)| {
            json!({"role":role,"customType":custom,"content":content,"command":a,"output":b,"summary":a,"fullOutputPath":b,
                   "details":{"a":a,"b":[b]},"toolCallId":a,"toolName":b,"errorMessage":a,"fromId":b,"api":a,
                   "usage":{"input":3,"note":b}})
        },
    )
}

proptest! {
    #[test]
    fn no_text_is_ever_kept(
        messages in proptest::collection::vec((message(), any::<bool>(), forbidden()), 0..12),
        own in proptest::sample::select(vec!["compaction", "branch_summary", "custom", "label", "session_info", "custom_message", "x"]),
    ) {
        let mut text = format!("{HEADER}\n");
        for (number, (message, snake, words)) in messages.iter().enumerate() {
            let parent = if *snake { "parent_id" } else { "parentId" };
            let line = json!({"type":"message","id":format!("e{number}"), parent: format!("e{}", number / 2),
                              "message":message,"metadata":words});
            let other = json!({"type":own,"id":format!("o{number}"),"parentId":"e0","customType":words,"content":words,
                               "summary":words,"label":words,"name":words,"targetId":words,"data":{"x":words},
                               "details":words,"thinkingLevel":words,"firstKeptEntryId":words});
            text.extend([line.to_string(), "\n".into(), other.to_string(), "\n".into()]);
        }
        let file = scan_at("/home/dev/.pi/s.jsonl", &text).unwrap();
        prop_assert_eq!(file.session.bad_lines, 0);
        prop_assert_eq!(file.session.counts.entries, 2 * messages.len() as u64);
        let shown = format!("{:?}{}", file.session, serde_json::to_string(&file.session).unwrap());
        prop_assert!(!shown.contains(MARK), "{}", shown);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..200_usize) {
        let mut text = format!("{HEADER}\n").into_bytes();
        text.extend(&bytes);
        prop_assert!(scan_at("/x/s.jsonl", &text).is_ok());
        let _ = scan_at("/x/s.jsonl", &bytes);
        let sample = std::fs::read(Path::new(FORBIDDEN).join("pi-v3.jsonl")).unwrap();
        let _ = scan_at("/x/s.jsonl", &sample[..sample.len() - cut]);
    }
}
