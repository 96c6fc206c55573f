//! Laws of reading and writing issue files, over texts chosen to break them.

use std::collections::BTreeMap;

use oxi_state::schema::frontmatter::{extra, parse, patch, render, render_checked, render_oxi};
use oxi_state::schema::id::{IssueId, Link, Slug};
use oxi_state::schema::issue::{Assignment, Extra, GithubRef, Issue, IssueHead, Linked, Priority, Status};
use oxi_state::schema::time::Timestamp;
use oxi_state::schema::value::Value;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("OXI_STATE_LONG").is_some() { 100_000 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// Pieces that mean something to YAML, to terminals or to git.
const PIECES: [&str; 78] = [
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{FEFF}",
    "\u{202E}",
    "\u{200E}",
    "\u{7F}",
    "\u{9B}",
    "\0",
    "\u{1B}[2J",
    "\r",
    "\r\n",
    "\n",
    "\n\n",
    "\t",
    " ",
    "  ",
    "'",
    "''",
    "\"",
    "\\",
    "\\n",
    "#",
    " #",
    "# ",
    ":",
    ": ",
    " :",
    "-",
    "- ",
    "--",
    "---",
    "...",
    "?",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ", ",
    "&a",
    "*a",
    "!t",
    "|",
    ">",
    "|-",
    "%",
    "@",
    "`",
    "~",
    "null",
    "Null",
    "true",
    "FALSE",
    "yes",
    "no",
    "on",
    "0",
    "007",
    "-1",
    "+1",
    "1.5",
    ".5",
    "1e3",
    "0x1F",
    "0o7",
    "0b1",
    ".inf",
    ".nan",
    "1_000",
    "2026-06-17",
    "12:30",
    "<<",
    "=",
    "ü",
    "한글",
    "😀",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z][a-zA-Z0-9 _.,:#'()/-]{0,20}",
        6 => vec(prop_oneof![3 => select(&PIECES[..]).prop_map(str::to_owned), 1 => "[a-z]{1,4}"], 0..6).prop_map(|parts| parts.concat()),
        1 => ".{0,12}",
        1 => any::<String>(),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-62_000_000_000_i64..300_000_000_000, select(vec![0_u32, 500_000_000, 1000, 123_456_789]))
        .prop_map(|(seconds, nanos)| Timestamp::new(chrono::DateTime::from_timestamp(seconds, nanos).unwrap()))
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(Value::Int), (-1e9..1e9).prop_map(Value::Float)];
    let leaf = prop_oneof![
        4 => text().prop_map(Value::Text),
        2 => number,
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
        1 => ((i64::MAX as u64 + 1)..=u64::MAX).prop_map(Value::UInt),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map(key(), inner, 0..4).prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

/// Key names that may stand in a file.
fn key() -> impl Strategy<Value = String> {
    let clean = |text: String| {
        let text: String = text.chars().filter(|c| !oxi_state::schema::id::is_deceptive(*c)).take(40).collect();
        if text.is_empty() { "k".to_owned() } else { text }
    };
    prop_oneof![3 => "[a-z_]{1,8}", 2 => text().prop_map(clean)]
}

fn linked() -> impl Strategy<Value = Vec<Linked>> {
    let one = ("[0-9A-Z]{26}", btree_map("[a-z_]{3,8}", value(), 0..3)).prop_map(|(id, map)| {
        let fields = std::iter::once(("id".to_owned(), Value::Text(id.clone()))).chain(map);
        Linked { value: Value::Map(fields.collect()), id }
    });
    vec(one, 0..3)
}

fn extras() -> impl Strategy<Value = BTreeMap<String, Extra>> {
    btree_map(key().prop_map(|key| format!("x{key}")), value(), 0..3).prop_map(|map| {
        map.into_iter()
            .map(|(name, value)| {
                (name.clone(), extra(&name, value.clone()).unwrap_or_else(|_| panic!("{name:?} {value:?}")))
            })
            .collect()
    })
}

prop_compose! {
    fn head()(
        numbers in (any::<u32>(), any::<u64>()),
        title in text(),
        words in (select(&Status::ALL[..]), select(&Priority::ALL[..])),
        labels in vec(text(), 0..4),
        sessions in vec(text(), 0..3),
        assignee in option::of(text()),
        times in (time(), time(), option::of(time()), time()),
        assigned in option::of(text()),
        github in option::of((text(), text())),
        links in vec((any::<u32>(), "[a-z0-9]{0,4}"), 0..3),
        linked in (linked(), linked()),
        extra in extras(),
    ) -> IssueHead {
        let mut head = IssueHead::new(IssueId(numbers.0), title, times.0);
        head.slug = Slug::default();
        (head.status, head.priority) = words;
        head.labels = labels;
        head.sessions = sessions;
        head.assignee = assignee;
        (head.updated_at, head.closed_at) = (times.1, times.2);
        head.assigned_to = assigned.map(|session| Assignment { session, acquired_at: times.3 });
        head.github = github.map(|(repo, url)| GithubRef { repo, number: numbers.1, url });
        head.depends_on = links.iter().filter_map(|(id, slug)| {
            Link::parse(&if slug.is_empty() { id.to_string() } else { format!("{id}-{slug}") })
        }).collect();
        (head.handoffs, head.validations) = linked;
        head.extra = extra;
        head
    }
}

fn issue() -> impl Strategy<Value = Issue> {
    (head(), vec(text(), 0..4))
        .prop_map(|(head, lines)| Issue { head, body: Issue::with_final_newline(lines.join("\n")) })
}

/// The original's own record.
#[derive(Serialize)]
struct Meta<'a> {
    id: u32,
    title: &'a str,
    status: Status,
    priority: Priority,
    labels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
    sessions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_to: Option<&'a Assignment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    github: Option<&'a GithubRef>,
}

fn oxi(head: &IssueHead) -> String {
    let meta = Meta {
        id: head.id.0,
        title: &head.title,
        status: head.status,
        priority: head.priority,
        labels: &head.labels,
        assignee: head.assignee.as_deref(),
        created_at: head.created_at,
        updated_at: head.updated_at,
        closed_at: head.closed_at,
        sessions: &head.sessions,
        assigned_to: head.assigned_to.as_ref(),
        github: head.github.as_ref(),
    };
    serde_yaml::to_string(&meta).unwrap()
}

/// Whether any text of the original's keys holds a character that is a line break to some readers only, or that YAML
/// escapes: such texts may be quoted in another way than the original's.
fn is_ordinary(head: &IssueHead) -> bool {
    let github = head.github.iter().flat_map(|github| [&github.repo, &github.url]);
    let assigned = head.assigned_to.iter().map(|assigned| &assigned.session);
    let texts = [&head.title].into_iter().chain(&head.labels).chain(&head.sessions).chain(&head.assignee);
    !texts.chain(github).chain(assigned).any(|text| text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{FEFF}', '\r']))
}

/// Files as people make them: any order, comments, blank lines, odd spelling.
fn hand_made() -> impl Strategy<Value = String> {
    let optional = prop::sample::subsequence(
        vec![
            "status: 'closed'",
            "priority: \"high\" # now",
            "labels: [a, b]",
            "labels:\n  - a # one\n\n  # two\n  - b",
            "labels: []",
            "assignee: null",
            "assignee:   Ann # her",
            "closed_at: 2026-06-17 10:30:00+02:00",
            "sessions:",
            "sessions:\n- 's1'\n-   s2",
            "assigned_to: {session: s, acquired_at: 2026-06-17T10:30:00Z} # x",
            "github:\n  repo: a/b\n  number: 7\n  # more\n  url: u",
            "depends_on: [1, 2-x]",
            "x1: &a\n  - 1.50\n  -  z",
            "y y: |\n  text\n  # no comment",
            "\"q\": >-\n  folded\n  text\n\n  more",
            "z: {a: [1, 2], b: \"]\"} # flow",
            "assignee: |+\n  Ann\n\n",
            "x2: |+\n  kept\n\n",
            "title2: 'a\n  # b'",
        ],
        0..8,
    );
    let between = vec(select(vec!["", "", "", "# note\n", "\n", "  # indented\n", "\n# a\n\n"]), 14);
    (optional, between, vec(any::<prop::sample::Index>(), 14), any::<[bool; 3]>(), text()).prop_map(
        |(optional, between, order, [crlf, bom, ended], body)| {
            let mut keys: Vec<&str> = vec![
                "id: 7 # seven",
                "title: \"T\" # t",
                "created_at: 2026-06-17T10:30:00Z",
                "updated_at: '2026-06-17T10:30:00Z'",
            ];
            for key in optional {
                let name = key.split(':').next().unwrap();
                if !keys.iter().any(|other| other.split(':').next() == Some(name)) {
                    keys.insert(order[keys.len() % order.len()].index(keys.len() + 1), key);
                }
            }
            let mut text = "---\n".to_owned();
            for (key, between) in keys.iter().zip(between.iter().cycle()) {
                text.extend([*between, *key, "\n"]);
            }
            text.push_str("---\nbody\n");
            if ended {
                text.push_str(&body);
            }
            if crlf {
                text = text.replace("\r\n", "\n").replace('\n', "\r\n");
            }
            if bom { format!("\u{FEFF}{text}") } else { text }
        },
    )
}

/// Takes some fields of one issue into another.
fn mix(old: &Issue, from: &Issue, take: u32) -> Issue {
    let mut new = old.clone();
    let (head, other) = (&mut new.head, from.head.clone());
    let takes = |bit: u32| take & (1 << bit) != 0;
    macro_rules! take {
        ($($bit:literal $field:ident),*) => { $(if takes($bit) { head.$field = other.$field; })* };
    }
    take!(0 id, 1 title, 2 status, 3 priority, 4 labels, 5 assignee, 6 created_at, 7 updated_at, 8 closed_at, 9 sessions,
        10 assigned_to, 11 github, 12 depends_on, 13 handoffs, 14 validations, 15 extra);
    if takes(16) {
        new.body.clone_from(&from.body);
    }
    new
}

/// Lines that are in one text and not, in this order, in the other.
fn missing_lines(from: &str, to: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(from, to);
    let gone = diff.iter_all_changes().filter(|change| change.tag() == similar::ChangeTag::Delete);
    gone.map(|change| change.value().to_owned()).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_is_read_as_the_same(issue in issue()) {
        let text = render(&issue);
        prop_assert_eq!(parse(text.as_bytes()), Ok(issue.clone()), "{}", text);
        prop_assert_eq!(render_checked(&issue), Ok(text));
    }

    #[test]
    fn ordinary_texts_are_written_as_the_original_writes_them(issue in issue()) {
        if !is_ordinary(&issue.head) {
            return Ok(());
        }
        let oxi = oxi(&issue.head);
        // the end of a document after blank lines that count: left out, as more keys may follow
        let oxi = oxi.strip_suffix("...\n").filter(|_| oxi.ends_with("\n...\n")).unwrap_or(&oxi);
        prop_assert_eq!(render_oxi(&issue), format!("---\n{}---\n{}", oxi, issue.body));
    }

    #[test]
    fn extra_titles_are_written_as_the_original_writes_them(title in text()) {
        let mut head = IssueHead::new(IssueId(1), title, "2026-06-17T10:30:00Z".parse().unwrap());
        head.slug = Slug::default();
        let issue = Issue { head, body: String::new() };
        prop_assert_eq!(parse(render(&issue).as_bytes()), Ok(issue.clone()));
        if is_ordinary(&issue.head) {
            prop_assert_eq!(render_oxi(&issue), format!("---\n{}---\n", oxi(&issue.head)));
        }
    }

    #[test]
    fn a_patch_says_what_it_should(file in hand_made(), other in issue(), take in any::<u32>()) {
        let Ok(old) = parse(file.as_bytes()) else { return Err(TestCaseError::fail(file)) };
        let mut new = mix(&old, &other, take);
        let patched = patch(file.as_bytes(), &old, &new).unwrap();
        let read = parse(&patched).unwrap();
        if take & (1 << 16) != 0 {
            new.body = new.body.replace("\r\n", "\n");
            prop_assert_eq!(read.body.replace("\r\n", "\n"), new.body);
        } else {
            // where the canonical text took the file's place, the body got its final line feed
            let ended = Issue::with_final_newline(old.body.clone());
            prop_assert!(read.body == old.body || read.body == ended);
        }
        prop_assert_eq!(&read.head, &new.head);
        prop_assert_eq!(patch(&patched, &read, &read).unwrap(), patched);
    }

    #[test]
    fn a_patch_touches_nothing_else(file in hand_made(), at in time(), closed in option::of(time()), title in "[a-z]{1,9}") {
        let old = parse(file.as_bytes()).unwrap();
        prop_assert_eq!(patch(file.as_bytes(), &old, &old).unwrap(), file.as_bytes());
        let mut new = old.clone();
        new.head.updated_at = at;
        new.head.title = title;
        new.head.closed_at = closed;
        let patched = String::from_utf8(patch(file.as_bytes(), &old, &new).unwrap()).unwrap();
        // the blank lines and indented comments behind a removed key go with it where they would join a block scalar
        let allowed = ["updated_at", "title:", "closed_at", "  # indented", "\n", "\r\n"];
        for line in missing_lines(&file, &patched).into_iter().chain(missing_lines(&patched, &file)) {
            prop_assert!(allowed.iter().any(|key| line.starts_with(key)), "{:?}\n{}\n{}", line, file, patched);
        }
        prop_assert!(patched.contains("# t") && patched.contains("# seven"));
        prop_assert_eq!(patched.starts_with('\u{FEFF}'), file.starts_with('\u{FEFF}'));
        prop_assert_eq!(patched.contains("\r\n"), file.contains("\r\n"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400), lines in vec(text(), 0..12)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"---\n".as_slice(), &bytes, b"\n---\n"].concat());
        let _ = parse(format!("---\n{}\n---\n", lines.join("\n")).as_bytes());
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        file in hand_made(),
        cuts in vec((any::<prop::sample::Index>(), 0..4_usize, text()), 1..4),
        other in issue(),
        take in any::<u32>(),
    ) {
        let mut bytes = file.into_bytes();
        for (at, remove, insert) in cuts {
            let at = at.index(bytes.len().max(1));
            let end = (at + remove).min(bytes.len());
            bytes.splice(at..end, insert.bytes());
        }
        if let Ok(old) = parse(&bytes) {
            prop_assert!(render_checked(&old).is_ok(), "{}", String::from_utf8_lossy(&bytes));
            let new = mix(&old, &other, take);
            let patched = patch(&bytes, &old, &new).unwrap();
            prop_assert_eq!(parse(&patched).unwrap().head, new.head);
        }
    }
}
