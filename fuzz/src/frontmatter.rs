//! Issue files: what is read is written as the same; a patch changes what it should and nothing else.
//!
//! An input is a file, then which fields are to change (three bytes, a bit each), then a file to take them from.

use oxi_state::schema::frontmatter::{MAX_FILE, MAX_FRONTMATTER, parse, patch, render, render_checked};
use oxi_state::schema::id::is_deceptive;
use oxi_state::schema::issue::{Issue, IssueHead};

use super::text::{are_kept, comments, key_of, plain_lines};

/// Looks at an input.
pub fn run(input: &[u8]) {
    let [file, choice, other] = super::parts(input);
    let old = match parse(file) {
        Ok(issue) => issue,
        Err(bad) => {
            let said = bad.to_string();
            assert!(said.len() < 400 && !said.chars().any(|c| c != '\t' && is_deceptive(c)), "{said:?}");
            return;
        }
    };
    assert!(file.len() <= MAX_FILE);
    check_rendering(&old);
    assert_eq!(patch(file, &old, &old).as_deref(), Ok(file), "a patch without a change changes nothing");
    let other = parse(other).unwrap_or_else(|_| plain_other());
    let choice = choice.iter().take(3).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    for mask in [choice & ((1 << FIELDS.len()) - 1), 1 << (choice as usize % FIELDS.len())] {
        check_patch(file, &old, &other, mask);
    }
}

/// What was read is written as text that is read as the same, and that is written as itself.
fn check_rendering(issue: &Issue) {
    let text = match render_checked(issue) {
        Ok(text) => text,
        // what is near a limit may be past it in the canonical spelling
        Err(error) => {
            assert!(render(issue).len() > MAX_FRONTMATTER / 8, "{error}: {issue:?}");
            return;
        }
    };
    let again = parse(text.as_bytes()).expect("what was checked can be read");
    assert!(says(&again.head, &issue.head), "{issue:?}\n{again:?}");
    assert_eq!(again.body, Issue::with_final_newline(issue.body.clone()));
    assert_eq!(render(&again), text);
    assert_eq!(again.content_hash(), issue.content_hash());
}

fn check_patch(file: &[u8], old: &Issue, other: &Issue, mask: u32) {
    let new = mixed(old, other, mask);
    let patched = match patch(file, old, &new) {
        Ok(patched) => patched,
        Err(error) => {
            let size = render(old).len() + render(other).len() + file.len();
            assert!(size > MAX_FRONTMATTER / 8, "{error}: {new:?}");
            return;
        }
    };
    let read = parse(&patched).expect("what was patched can be read");
    assert!(says(&read.head, &new.head), "{mask:b}: {new:?}\n{read:?}");
    let lines = |body: &str| body.replace("\r\n", "\n").trim_end_matches('\n').to_owned();
    assert_eq!(lines(&read.body), lines(&new.body));
    assert_eq!(patch(&patched, &read, &read).as_deref(), Ok(patched.as_slice()));
    let (Some(before), Some(after)) = (plain_lines(file), plain_lines(&patched)) else { return };
    let changes = |key: &str| {
        let at = FIELDS.iter().position(|(name, _)| *name == key);
        at.map_or(mask & EXTRA != 0, |at| mask & (1 << at) != 0)
    };
    let keys = before.iter().copied().filter(|line| key_of(line).is_some_and(|key| !changes(key)));
    let kept = are_kept(keys, &after).and_then(|()| are_kept(comments(&before), &after));
    if let Err(line) = kept {
        let texts = [file, &patched].map(String::from_utf8_lossy);
        panic!("the line {line:?} is gone ({mask:b})\n{}\n=>\n{}", texts[0], texts[1]);
    }
}

type Take = fn(&mut Issue, &Issue);

/// The fields, and how one is taken into another issue.
const FIELDS: [(&str, Take); 17] = [
    ("id", |new, from| new.head.id = from.head.id),
    ("title", |new, from| new.head.title.clone_from(&from.head.title)),
    ("status", |new, from| new.head.status = from.head.status),
    ("priority", |new, from| new.head.priority = from.head.priority),
    ("labels", |new, from| new.head.labels.clone_from(&from.head.labels)),
    ("assignee", |new, from| new.head.assignee.clone_from(&from.head.assignee)),
    ("created_at", |new, from| new.head.created_at = from.head.created_at),
    ("updated_at", |new, from| new.head.updated_at = from.head.updated_at),
    ("closed_at", |new, from| new.head.closed_at = from.head.closed_at),
    ("sessions", |new, from| new.head.sessions.clone_from(&from.head.sessions)),
    ("assigned_to", |new, from| new.head.assigned_to.clone_from(&from.head.assigned_to)),
    ("github", |new, from| new.head.github.clone_from(&from.head.github)),
    ("depends_on", |new, from| new.head.depends_on.clone_from(&from.head.depends_on)),
    ("handoffs", |new, from| new.head.handoffs.clone_from(&from.head.handoffs)),
    ("validations", |new, from| new.head.validations.clone_from(&from.head.validations)),
    ("", |new, from| new.head.extra.clone_from(&from.head.extra)),
    ("", |new, from| new.body = Issue::with_final_newline(from.body.clone())),
];

/// The bit of all keys that are not known.
const EXTRA: u32 = 1 << 15;

fn mixed(old: &Issue, from: &Issue, mask: u32) -> Issue {
    let mut new = old.clone();
    for (at, (_, take)) in FIELDS.iter().enumerate() {
        if mask & (1 << at) != 0 {
            take(&mut new, from);
        }
    }
    new
}

/// Whether two heads mean the same: all but the spelling of keys that are not known.
fn says(a: &IssueHead, b: &IssueHead) -> bool {
    let without = |head: &IssueHead| {
        let mut head = head.clone();
        head.extra.values_mut().for_each(|extra| extra.yaml.clear());
        head
    };
    without(a) == without(b)
}

/// Something to take fields from where the input has nothing.
fn plain_other() -> Issue {
    let text = "---\nid: 7\ntitle: 'other: # title'\nstatus: closed\npriority: low\nlabels:\n- a\n- b c\nassignee: Ann\n\
        created_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-18T10:30:00Z\nclosed_at: 2026-06-18T10:30:00Z\nsessions:\n\
        - s1\nassigned_to:\n  session: s1\n  acquired_at: 2026-06-17T10:30:00Z\ngithub:\n  repo: a/b\n  number: 7\n\
        \x20 url: u\ndepends_on:\n- 0001-first\nmore:\n  x: [1, {y: z}]\n---\nanother body\n";
    parse(text.as_bytes()).expect("a plain file")
}

/// Golden files, alone and with a change.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = super::golden("oxi-issues");
    let edge = super::golden("oxi-parse-edge");
    let made = [
        "---\nid: 7 # seven\n# note\ntitle: \"T\" # t\nlabels: [a, b]\ncreated_at: 2026-06-17T10:30:00Z\n\
         updated_at: '2026-06-17T10:30:00Z'\n\n# two\ndepends_on: [1, 2-x]\nx1: &a\n  - 1.50\ny y: |\n  text\n---\nbody\n",
        "---\nid: 7\ntitle: >-\n  folded\n  text\ncreated_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-17T10:30:00Z\n\
         handoffs:\n- id: 01J0\n  summary: x\nvalidations:\n- {id: 01J1, name: y}\n---\n```\n<<<<<<< a\n```\n",
    ];
    let files: Vec<_> = whole.into_iter().chain(edge).chain(made.map(|text| text.as_bytes().to_vec())).collect();
    let with = |(number, file): (usize, &Vec<u8>)| {
        let other = &files[(number * 7 + 3) % files.len()];
        let choice = [number as u8, (number * 5) as u8, (number * 11) as u8].map(|byte| byte | 1);
        [file, [super::PART].as_slice(), &choice, &[super::PART], other].concat()
    };
    let changed: Vec<_> = files.iter().enumerate().step_by(2).map(with).collect();
    files.into_iter().chain(changed).collect()
}
