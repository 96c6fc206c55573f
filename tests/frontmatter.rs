//! Issue files against what the original program wrote and read, and against hostile ones.

#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "texts are put together for reading, not for speed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oxi_state::schema::frontmatter::{BadReason, is_oxi_rendering, parse, patch, render, render_checked, render_oxi};
use oxi_state::schema::id::{ContentHash, FileName, IssueId, Link, Slug};
use oxi_state::schema::issue::{Issue, IssueHead, Priority, Status};
use oxi_state::schema::time::Timestamp;
use serde_json::Value as Json;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

fn json(path: &str) -> Json {
    serde_json::from_slice(&fs::read(golden(path)).unwrap()).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn issue(title: &str) -> Issue {
    let mut head = IssueHead::new(IssueId(1), title.to_owned(), time("2026-06-17T10:30:00Z"));
    head.slug = Slug::default();
    Issue { head, body: String::new() }
}

/// A valid file with more frontmatter lines, and this body.
fn file(lines: &str, body: &str) -> String {
    format!(
        "---\nid: 1\ntitle: t\ncreated_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-17T10:30:00Z\n{lines}---\n{body}"
    )
}

fn reason(text: &str) -> (Option<u32>, BadReason) {
    let error = parse(text.as_bytes()).unwrap_err();
    (error.line, error.reason)
}

#[test]
fn files_of_the_original_come_back_byte_for_byte() {
    let mut seen = 0;
    for entry in fs::read_dir(golden("oxi-issues")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let parsed = parse(&bytes).unwrap();
        assert_eq!(render(&parsed).as_bytes(), bytes, "{}", path.display());
        assert!(is_oxi_rendering(&bytes, &parsed));
        seen += 1;
    }
    assert_eq!(seen, 6);
}

/// Where this tool refuses what the original reads: it would make up an issue, or take a cut-off file for a whole one.
const STRICTER: [(&str, BadReason); 6] = [
    ("empty.md", BadReason::NoFrontmatter),
    ("leadnl.md", BadReason::NoFrontmatter),
    ("leadsp.md", BadReason::NoFrontmatter),
    ("nofm.md", BadReason::NoFrontmatter),
    ("noclose2.md", BadReason::Unclosed),
    ("noclose.md", BadReason::Unclosed),
];

#[test]
fn edge_cases_are_read_as_the_original_reads_them() {
    let expected = json("oxi-parse-edge.expected.json");
    for (name, expected) in expected.as_object().unwrap() {
        let bytes = fs::read(golden("oxi-parse-edge").join(name)).unwrap();
        let parsed = parse(&bytes);
        if let Some((_, reason)) = STRICTER.iter().find(|(stricter, _)| stricter == name) {
            assert_eq!(&parsed.unwrap_err().reason, reason, "{name}");
            continue;
        }
        if expected.get("error").is_some() {
            assert!(parsed.is_err(), "{name} should be bad");
            continue;
        }
        let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(parsed.body, expected["body"].as_str().unwrap(), "{name}");
        assert_eq!(render_oxi(&parsed), expected["reserialized"].as_str().unwrap(), "{name}");
        assert_eq!(meta(&parsed.head), expected["meta"], "{name}");
        assert!(render_checked(&parsed).is_ok(), "{name}");
    }
}

fn meta(head: &IssueHead) -> Json {
    let mut meta = serde_json::json!({
        "id": head.id, "title": head.title, "status": head.status, "priority": head.priority, "labels": head.labels,
        "assignee": head.assignee, "created_at": head.created_at, "updated_at": head.updated_at,
        "closed_at": head.closed_at, "sessions": head.sessions, "assigned_to": head.assigned_to, "github": head.github,
    });
    meta.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    meta
}

#[test]
fn titles_are_quoted_as_the_original_quotes_them() {
    for case in json("oxi-yaml-quoting.json").as_array().unwrap() {
        let title = case["title"].as_str().unwrap();
        let issue = issue(title);
        let text = render_checked(&issue).unwrap();
        let lines = text.strip_prefix("---\nid: 1\n").unwrap().split("\nstatus:").next().unwrap();
        // to some readers of YAML this character is a line break, to others not
        let expected = if title == "\u{2028}" { r#"title: "\u2028""# } else { case["yaml"].as_str().unwrap() };
        assert_eq!(lines, expected, "{title:?}");
        assert_eq!(parse(text.as_bytes()).unwrap(), issue);
    }
}

#[test]
fn hashes_and_file_names_are_the_originals() {
    for case in json("oxi-content-hash.json").as_array().unwrap() {
        let hash = ContentHash::of(case["content"].as_str().unwrap().as_bytes());
        assert_eq!(hash.to_string(), case["hash"].as_str().unwrap());
    }
    for case in json("oxi-filenames.json").as_array().unwrap() {
        let id = IssueId(u32::try_from(case["id"].as_u64().unwrap()).unwrap());
        let expected = case["filename"].as_str().unwrap();
        let name = FileName { id, slug: Slug::from_title(case["title"].as_str().unwrap()) }.to_string();
        // long titles are cut here, where the original fails on them
        assert!(name == expected || (expected.len() > 120 && name.len() <= 120), "{expected}");
    }
}

#[test]
fn wrong_values_are_named_with_their_line() {
    let wrong = |lines: &str| parse(file(lines, "").as_bytes()).unwrap_err().to_string();
    assert_eq!(wrong("status: Open\n"), "line 6: the value of status must be open or closed");
    assert_eq!(wrong("labels:\n- a\n- [b]\n"), "line 8: the value of labels must be a list of texts");
    assert_eq!(wrong("labels: null\n"), "line 6: the value of labels must be a list of texts");
    assert_eq!(wrong("assigned_to: {session: s}\n"), "line 6: the key assigned_to.acquired_at is missing");
    assert_eq!(wrong("title: u\n"), "line 6: the key title is there twice");
    assert_eq!(wrong("x:\n  a: 1\n  a: 2\n"), "line 8: the key a is there twice");
    assert_eq!(
        wrong("\"a\\u202eb\": 1\n"),
        "line 6: the key a\\u{202e}b holds control or direction-changing characters"
    );
    assert_eq!(wrong("<<: {a: 1}\n"), "line 6: the YAML merge key << is not accepted");
    assert_eq!(wrong("x: !!str 1\n"), "line 6: YAML tags are not accepted");
    assert_eq!(
        wrong("handoffs: [{id: ''}]\n"),
        "line 6: the value of handoffs must be a list of maps, each with an id"
    );
    assert_eq!(
        wrong("depends_on: [fix]\n"),
        "line 6: the value of depends_on must be a list of issues (such as 0012-fix-login or 12)"
    );
    assert_eq!(reason("---\nid: 1\ntitle: t\n---\n"), (Some(2), BadReason::MissingKey("created_at")));
    assert_eq!(reason("---\n---\n"), (Some(2), BadReason::MissingKey("id")));
    assert_eq!(reason("--- \n- a\n---\n"), (Some(2), BadReason::NotAMap));
    assert_eq!(parse(b"---\nid: 1\n\xff\n").unwrap_err().line, Some(3));
}

#[test]
fn numbers_are_plain() {
    let id =
        |id: &str| parse(file("", "").replace("id: 1", &format!("id: {id}")).as_bytes()).map(|issue| issue.head.id.0);
    for (text, number) in [("0", 0), ("12", 12), ("0x10", 16), ("0o17", 15), ("4294967295", u32::MAX)] {
        assert_eq!(id(text), Ok(number), "{text}");
    }
    for text in ["", "~", "'1'", "\"1\"", "-1", "1.0", "01", "0012", "1e3", "4294967296", "0x-1", "++1", "[1]", "1_0"] {
        assert!(id(text).is_err(), "{text}");
    }
}

#[test]
fn conflict_markers_make_a_file_bad() {
    let conflict = "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n";
    assert_eq!(reason(&file("", conflict)), (Some(7), BadReason::ConflictMarker));
    assert_eq!(reason(&file(conflict, "")), (Some(6), BadReason::ConflictMarker));
    assert!(parse(file("", &format!("Heading\n=======\n\n```\n{conflict}```\n")).as_bytes()).is_ok());
    assert_eq!(reason(&file("", &format!("```\n{conflict}"))).0, Some(8));
    let mut conflicting = issue("t");
    conflicting.body = conflict.to_owned();
    assert!(render_checked(&conflicting).is_err());
}

#[test]
fn unknown_keys_stay_as_they_are_spelled() {
    let lines = "zeta:   1.50 # why\n# above\nalpha:\n  # inside\n  - \"x\"\n\n# after\nbeta: |\n  text\n  # text\n\n";
    let parsed = parse(file(lines, "").as_bytes()).unwrap();
    let yaml = |key: &str| parsed.head.extra[key].yaml.as_str();
    assert_eq!(yaml("zeta"), "zeta:   1.50 # why\n");
    assert_eq!(yaml("alpha"), "alpha:\n  # inside\n  - \"x\"\n");
    assert_eq!(yaml("beta"), "beta: |\n  text\n  # text\n");
    let text = render_checked(&parsed).unwrap();
    assert!(text.ends_with(&format!("sessions: []\n{}{}{}---\n", yaml("alpha"), yaml("beta"), yaml("zeta"))), "{text}");
    assert!(!is_oxi_rendering(text.as_bytes(), &parsed));
    let aliased = parse(file("a: &x [1, '2']\nb: *x\n", "").as_bytes()).unwrap();
    assert_eq!(aliased.head.extra["a"].yaml, "a: &x [1, '2']\n");
    assert_eq!(aliased.head.extra["b"].yaml, "b:\n- 1\n- '2'\n");
    let ended = parse(file("a: 1 # x\n...\n", "").as_bytes()).unwrap();
    assert_eq!(ended.head.extra["a"].yaml, "a: 1\n");
    let crlf = parse(file("a:\n  - 1\n", "").replace('\n', "\r\n").as_bytes()).unwrap();
    assert_eq!(crlf.head.extra["a"].yaml, "a:\n  - 1\n");
}

#[test]
fn extension_keys_are_read_and_written() {
    let lines = "depends_on: [12, 0003-x]\nhandoffs:\n- id: 01A\n  since: 2026-06-17\nvalidations: []\n";
    let parsed = parse(file(lines, "").as_bytes()).unwrap();
    assert_eq!(parsed.head.depends_on, ["12", "0003-x"].map(|text| Link::parse(text).unwrap()));
    assert_eq!(parsed.head.handoffs[0].value.get("since").unwrap().as_text(), Some("2026-06-17"));
    let text = render_checked(&parsed).unwrap();
    assert!(
        text.ends_with(
            "sessions: []\ndepends_on:\n- '0012'\n- 0003-x\nhandoffs:\n- id: 01A\n  since: 2026-06-17\n---\n"
        ),
        "{text}"
    );
    assert_eq!(parse(text.as_bytes()).unwrap(), parsed);
}

/// Applies a change to a file and gives the lines that are only in one of both, marked as in a diff.
fn changed(text: &str, change: impl Fn(&mut Issue)) -> (String, Vec<String>) {
    let old = parse(text.as_bytes()).unwrap();
    let mut new = old.clone();
    change(&mut new);
    let patched = String::from_utf8(patch(text.as_bytes(), &old, &new).unwrap()).unwrap();
    let read = parse(patched.as_bytes()).unwrap();
    assert_eq!(read.head, new.head);
    let diff = similar::TextDiff::from_lines(text, &patched);
    let lines = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
    let lines = lines.map(|line| format!("{}{}", line.tag(), line.value().trim_end_matches('\n'))).collect();
    (patched, lines)
}

const HAND_MADE: &str = "---  \n# top\nupdated_at: \"2026-06-17 10:30:00Z\" # stamp\nlabels: [bug, auth] # two\n\
    title: 'It''s' # name\n\nid:  1\n# about owner\nowner: &o {name: x}\ncreated_at: 2026-06-17T10:30:00Z\n\
    sessions:\n  - a # first\n  - b\n# end\n---\nbody\n";

#[test]
fn only_the_lines_of_changed_keys_change() {
    let (_, lines) = changed(HAND_MADE, |issue| issue.head.title = "New".to_owned());
    assert_eq!(lines, ["-title: 'It''s' # name", "+title: New # name"]);
    let (_, lines) = changed(HAND_MADE, |issue| issue.head.updated_at = time("2026-06-18T00:00:00Z"));
    assert_eq!(lines, ["-updated_at: \"2026-06-17 10:30:00Z\" # stamp", "+updated_at: 2026-06-18T00:00:00Z # stamp"]);
    let (_, lines) = changed(HAND_MADE, |issue| issue.head.labels.push("x-y".to_owned()));
    assert_eq!(lines, ["-labels: [bug, auth] # two", "+labels: [bug, auth, x-y] # two"]);
    let (_, lines) = changed(HAND_MADE, |issue| issue.head.labels.push("x y".to_owned()));
    assert_eq!(lines, ["-labels: [bug, auth] # two", "+labels:", "+- bug", "+- auth", "+- x y"]);
    let (_, lines) = changed(HAND_MADE, |issue| issue.head.sessions.clear());
    assert_eq!(lines, ["-sessions:", "-  - a # first", "-  - b", "+sessions: []"]);
    let (_, lines) = changed(HAND_MADE, |issue| issue.head.extra.clear());
    assert_eq!(lines, ["-owner: &o {name: x}"]);
}

#[test]
fn an_empty_list_grows_as_the_original_writes_it() {
    let text = file("labels: []\nsessions: []\n", "");
    let (_, lines) = changed(&text, |issue| {
        issue.head.labels.push("bug".to_owned());
        issue.head.sessions.push("s".to_owned());
    });
    assert_eq!(lines, ["-labels: []", "-sessions: []", "+labels:", "+- bug", "+sessions:", "+- s"]);
    let (_, lines) = changed(&file("labels: [] # none yet\n", ""), |issue| issue.head.labels.push("bug".to_owned()));
    assert_eq!(lines, ["-labels: [] # none yet", "+labels: [bug] # none yet"]);
}

#[test]
fn new_keys_come_at_their_place() {
    let (text, lines) = changed(HAND_MADE, |issue| {
        issue.head.status = Status::Closed;
        issue.head.priority = Priority::High;
        issue.head.closed_at = Some(time("2026-06-18T00:00:00Z"));
        issue.head.depends_on.push(Link::parse("2-b").unwrap());
    });
    assert_eq!(
        lines,
        ["+closed_at: 2026-06-18T00:00:00Z", "+status: closed", "+priority: high", "+depends_on:", "+- 0002-b"]
    );
    assert!(text.contains("# stamp\nclosed_at") && text.contains("# name\nstatus") && text.contains("- b\ndepends_on"));
}

#[test]
fn byte_order_marks_and_crlf_survive() {
    let text = format!("\u{FEFF}{}", HAND_MADE.replace('\n', "\r\n"));
    let (patched, lines) = changed(&text, |issue| {
        issue.head.sessions.push("c".to_owned());
        issue.body = "body\r\nmore\r\n".to_owned();
    });
    assert!(patched.starts_with('\u{FEFF}') && patched.matches('\n').count() == patched.matches("\r\n").count());
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(patched.ends_with("---\r\nbody\r\nmore\r\n"));
}

#[test]
fn nothing_to_say_leaves_every_byte() {
    let unended = file("", "b");
    for text in [
        HAND_MADE,
        "---id: 1\ntitle: t\ncreated_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-17T10:30:00Z\n--- ",
        &unended,
    ] {
        let (patched, _) = changed(text, |issue| issue.body = Issue::with_final_newline(issue.body.clone()));
        assert_eq!(patched, text);
    }
    let (patched, _) = changed(
        "---id: 1\ntitle: t\ncreated_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-17T10:30:00Z\n--- ",
        |issue| {
            issue.head.id = IssueId(2);
            issue.body = "b".to_owned();
        },
    );
    assert!(patched.starts_with("---id: 2\n") && patched.ends_with("\n--- \nb\n"), "{patched}");
}

#[test]
fn what_cannot_be_patched_is_written_anew() {
    let braces =
        "---\n{id: 1, title: t, created_at: 2026-06-17T10:30:00Z, updated_at: 2026-06-17T10:30:00Z, x: [1]}\n---\n";
    let (patched, _) = changed(braces, |issue| issue.head.title = "u".to_owned());
    assert!(patched.starts_with("---\nid: 1\ntitle: u\nstatus: open\n") && patched.contains("x:\n- 1\n"), "{patched}");
    let anchored = file("assignee: *t\n", "").replace("title: t", "title: &t t");
    let (patched, _) = changed(&anchored, |issue| issue.head.title = "u".to_owned());
    assert!(patched.contains("assignee: t\n"), "{patched}");
}

// building a few large texts this way is clear enough
#[allow(clippy::format_collect, clippy::format_push_string)]
/// What a piece of work gives, and the shortest time it took: another process may take the processor now and then.
fn best_of_three<R>(mut work: impl FnMut() -> R) -> (R, Duration) {
    let mut timed = || {
        let start = Instant::now();
        let result = work();
        (result, start.elapsed())
    };
    [timed(), timed(), timed()].into_iter().min_by_key(|(_, time)| *time).unwrap()
}

#[test]
fn hostile_files_are_refused_or_read_quickly() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ('a'..'p').zip('b'..='p') {
        bomb.push_str(&format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 9].join(", ")));
    }
    let long = "x".repeat(30_000);
    let deep: String = (0..200).map(|depth| format!("{}k:\n", " ".repeat(depth))).collect();
    let frontmatter: BTreeMap<&str, String> = BTreeMap::from([
        ("alias bomb", bomb),
        ("long aliases", format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(8000))),
        ("flow lists", format!("a: {}\n", "[".repeat(60_000))),
        ("flow maps", format!("a: {}\n", "{".repeat(60_000))),
        ("flow pairs", format!("a: {}\n", "[a: ".repeat(15_000))),
        ("quotes in flow", format!("a: [{}\n", "'[', ".repeat(12_000))),
        ("block maps", deep),
        ("block lists", format!("a:\n {}x\n", "- ".repeat(30_000))),
        ("questions", format!("a:\n {}x\n", "? ".repeat(30_000))),
        ("huge key", format!("{long}: 1\n")),
        ("huge quoted key", format!("\"{long}\": 1\n")),
        ("anchors", (0..6000).map(|at| format!("k{at}: &a\n")).collect()),
        ("recursion", "a: &a [*a]\n".to_owned()),
        ("many keys", (0..6000).map(|at| format!("k{at}: 1\n")).collect()),
        ("same key", "k: 1\n".repeat(10_000)),
        ("comments", "#\n".repeat(30_000)),
        ("blank lines after each key", (0..3000).map(|at| format!("k{at}:\n\n\n\n\n\n")).collect()),
        ("blank lines", format!("x: 1\n{}", "\n".repeat(60_000))),
        ("tags", "a: !!python/object x\n".to_owned()),
        ("merge", "a: &a {x: 1}\nb: {<<: *a}\n".to_owned()),
        ("directive", "%TAG ! x\n".to_owned()),
        ("plain words", format!("a: {}\n", "x\n ".repeat(20_000))),
        ("too long", format!("#{}\n", "#".repeat(70_000))),
    ]);
    let bodies = [
        "```\n".repeat(250_000),
        (0..1400).rev().map(|length| format!("{} x\n", "`".repeat(length))).collect::<String>() + "<<<<<<< HEAD\n",
        "---\n".repeat(250_000),
        "<<<<<<<< \n".repeat(100_000),
        "~~~ <<<<<<<\n".repeat(80_000),
        "> - ".repeat(250_000) + "\n<<<<<<<x",
    ];
    let files = frontmatter.iter().map(|(name, lines)| (*name, file(lines, "")));
    let files = files.chain(bodies.iter().map(|body| ("body", file("", body))));
    let unopened = ["---\n".to_owned() + &"--- x\n".repeat(170_000), "[".repeat(1 << 20), "-".repeat(1 << 20)];
    for (name, text) in files.chain(unopened.into_iter().map(|text| ("unopened", text))) {
        let (parsed, parsing) = best_of_three(|| parse(text.as_bytes()));
        let limit = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 100 });
        assert!(parsing < limit, "{name}: {parsing:?}");
        if let Ok(old) = parsed {
            let mut new = old.clone();
            new.head.title = "u".to_owned();
            let (patched, patching) = best_of_three(|| patch(text.as_bytes(), &old, &new));
            assert!(patching < 3 * limit, "{name}: patch took {patching:?}");
            if let Ok(bytes) = patched {
                assert_eq!(parse(&bytes).unwrap().head, new.head, "{name}");
            }
        }
    }
    for name in
        ["alias bomb", "long aliases", "flow lists", "flow maps", "block maps", "block lists", "recursion", "same key"]
    {
        assert!(parse(file(&frontmatter[name], "").as_bytes()).is_err(), "{name}");
    }
    assert_eq!(parse(&vec![b'x'; (1 << 20) + 1]).unwrap_err().reason, BadReason::TooLarge);
    assert_eq!(reason(&file(&frontmatter["too long"], "")).1, BadReason::FrontmatterTooLarge);
}

#[test]
#[ignore = "needs a folder of issue files in OXI_STATE_CORPUS; prints times"]
fn a_corpus_comes_back_the_same() {
    let folder = std::env::var("OXI_STATE_CORPUS").unwrap();
    let files: Vec<Vec<u8>> =
        fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    let start = Instant::now();
    let parsed: Vec<_> = (0..20).flat_map(|_| &files).map(|bytes| parse(bytes)).collect();
    let parsing = start.elapsed();
    let good: Vec<_> = parsed
        .iter()
        .zip(files.iter().cycle())
        .filter_map(|(parsed, file)| Some((parsed.as_ref().ok()?, file)))
        .collect();
    let start = Instant::now();
    let texts: Vec<_> = good.iter().map(|(issue, _)| render(issue)).collect();
    let rendering = start.elapsed();
    let start = Instant::now();
    let patched: Vec<_> = good
        .iter()
        .map(|(issue, file)| {
            let mut new = (*issue).clone();
            new.head.updated_at = time("2027-01-01T00:00:00Z");
            patch(file, issue, &new).unwrap()
        })
        .collect();
    let patching = start.elapsed();
    let same = texts.iter().zip(&good).filter(|(text, (_, file))| text.as_bytes() == *file).count();
    let per =
        |total: Duration, count: usize| total.as_secs_f64() * 1e6 / f64::from(u32::try_from(count.max(1)).unwrap());
    println!("{} files, {} bytes", files.len(), files.iter().map(Vec::len).sum::<usize>());
    println!("{} good, {} identical, {} patched", good.len() / 20, same / 20, patched.len() / 20);
    println!(
        "parse {:.1} µs, render {:.1} µs, patch {:.1} µs",
        per(parsing, parsed.len()),
        per(rendering, good.len()),
        per(patching, good.len())
    );
    for error in parsed.iter().take(files.len()).filter_map(|parsed| parsed.as_ref().err()).take(5) {
        println!("{error}");
    }
}
