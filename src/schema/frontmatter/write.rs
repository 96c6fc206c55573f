//! Issues to text, byte for byte as the original's `serde_yaml` writes them.
//!
//! Most values are words that need no quotes; those are written directly. Everything else goes through `serde_yaml`
//! itself, is read back, and is quoted the JSON way where it would not come back the same.

use std::fmt::{Display, Write as _};

use super::RenderError;
use super::node::{Kind, parse_yaml};
use crate::schema::id::is_deceptive;
use crate::schema::issue::{Extra, Issue, IssueHead, Linked};
use crate::schema::value::Value;

/// The known keys in the order in which they are written. Unknown ones follow.
pub const KEYS: [&str; 15] = [
    "id",
    "title",
    "status",
    "priority",
    "labels",
    "assignee",
    "created_at",
    "updated_at",
    "closed_at",
    "sessions",
    "assigned_to",
    "github",
    "depends_on",
    "handoffs",
    "validations",
];

/// How many of [`KEYS`] the original knows.
const OXI_KEYS: usize = 12;

/// The canonical text of an issue: the original's keys as it writes them, then the keys of this tool that are not
/// empty, then the unknown ones by name, then the body with a final line feed.
#[must_use]
pub fn render(issue: &Issue) -> String {
    let mut out = start(issue, &KEYS);
    for extra in issue.head.extra.values() {
        out.push_str(&extra.yaml);
        if !extra.yaml.ends_with('\n') {
            out.push('\n');
        }
    }
    finish(out, &issue.body)
}

/// The text that the original would write, with its own keys alone.
#[must_use]
pub fn render_oxi(issue: &Issue) -> String {
    finish(start(issue, &KEYS[..OXI_KEYS]), &issue.body)
}

fn start(issue: &Issue, keys: &[&str]) -> String {
    let mut out = String::with_capacity(512 + issue.body.len());
    out.push_str("---\n");
    for key in keys {
        write_key(&mut out, &issue.head, key);
    }
    out
}

fn finish(mut out: String, body: &str) -> String {
    out.push_str("---\n");
    out.push_str(body);
    if !body.is_empty() && !body.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// An unknown key with a value, as [`IssueHead::extra`] holds it.
///
/// # Errors
/// When the name or the value cannot be written so that it is read as the same.
pub fn extra(name: &str, value: Value) -> Result<Extra, RenderError> {
    let yaml = entry(name, &value);
    if KEYS.contains(&name) || !means(&yaml, name, &value) {
        return Err(RenderError::Unfaithful);
    }
    Ok(Extra { yaml, value })
}

/// Writes a key's lines, or nothing where the key is left out when empty. The key must be one of [`KEYS`].
pub(super) fn write_key(out: &mut String, head: &IssueHead, key: &str) {
    match key {
        "id" => line(out, key, head.id),
        "title" => text(out, "", key, &head.title),
        "status" => line(out, key, head.status),
        "priority" => line(out, key, head.priority),
        "labels" => list(out, key, &head.labels),
        "assignee" => head.assignee.iter().for_each(|assignee| text(out, "", key, assignee)),
        "created_at" => line(out, key, head.created_at),
        "updated_at" => line(out, key, head.updated_at),
        "closed_at" => head.closed_at.iter().for_each(|time| line(out, key, time)),
        "sessions" => list(out, key, &head.sessions),
        "assigned_to" => {
            if let Some(assignment) = &head.assigned_to {
                out.push_str("assigned_to:\n");
                text(out, "  ", "session", &assignment.session);
                line(out, "  acquired_at", assignment.acquired_at);
            }
        }
        "github" => {
            if let Some(github) = &head.github {
                out.push_str("github:\n");
                text(out, "  ", "repo", &github.repo);
                line(out, "  number", github.number);
                text(out, "  ", "url", &github.url);
            }
        }
        "depends_on" if !head.depends_on.is_empty() => {
            list(out, key, &head.depends_on.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        "handoffs" => records(out, key, &head.handoffs),
        "validations" => records(out, key, &head.validations),
        _ => {}
    }
}

/// A value that needs no quotes.
fn line(out: &mut String, key: &str, value: impl Display) {
    // writing to a string cannot fail
    let _ = writeln!(out, "{key}: {value}");
}

fn text(out: &mut String, indent: &str, key: &str, text: &str) {
    if is_word(text) {
        for part in [indent, key, ": ", text, "\n"] {
            out.push_str(part);
        }
        return;
    }
    let value = Value::Text(text.to_owned());
    let entry = Value::Map(vec![(key.to_owned(), value)]);
    match faithful(&entry) {
        Some(yaml) if indent.is_empty() => out.push_str(&yaml),
        // only the lines of a block scalar are more than one, and they are indented under their key
        Some(_) => {
            let yaml = faithful(&Value::Map(vec![("outer".to_owned(), entry)])).unwrap_or_default();
            out.push_str(yaml.strip_prefix("outer:\n").unwrap_or_default());
        }
        None => line(out, &format!("{indent}{key}"), Quoted(text)),
    }
}

fn list(out: &mut String, key: &str, items: &[String]) {
    out.push_str(key);
    out.push_str(if items.is_empty() { ": []\n" } else { ":\n" });
    for item in items {
        if is_word(item) {
            for part in ["- ", item, "\n"] {
                out.push_str(part);
            }
        } else {
            record(out, &Value::Text(item.clone()));
        }
    }
}

fn records(out: &mut String, key: &str, records: &[Linked]) {
    if !records.is_empty() {
        out.push_str(key);
        out.push_str(":\n");
        for linked in records {
            record(out, &linked.value);
        }
    }
}

/// One item of a list.
fn record(out: &mut String, value: &Value) {
    match faithful(&Value::List(vec![value.clone()])) {
        Some(yaml) => out.push_str(&yaml),
        None => {
            let _ = writeln!(out, "- {}", Json(value));
        }
    }
}

/// The lines of any key with any value. They mean both wherever that is possible at all, which [`means`] tells.
pub(super) fn entry(name: &str, value: &Value) -> String {
    let entry = Value::Map(vec![(name.to_owned(), value.clone())]);
    let json = format!("{}: {}\n", Quoted(name), Json(value));
    match faithful(&entry) {
        // A key of more than 128 bytes gets a `?`, which cannot be edited line by line, nor can the file that has one.
        Some(yaml) if !yaml.starts_with("? ") || !means(&json, name, value) => yaml,
        _ => json,
    }
}

/// Whether lines, on their own, say that a key has a value.
pub(super) fn means(lines: &str, name: &str, value: &Value) -> bool {
    parse_yaml(lines).is_ok_and(|root| match &root.kind {
        Kind::Map { entries, flow: false } => {
            matches!(&entries[..], [(key, node)] if key.name == name && node.value() == *value)
        }
        _ => false,
    })
}

/// What `serde_yaml` writes, if it is read as the same.
fn faithful(value: &Value) -> Option<String> {
    let mut yaml = serde_yaml::to_string(value).ok()?;
    // the sign that ends a document after a block scalar with blank lines at its end: here something follows
    if yaml.ends_with("\n...\n") {
        yaml.truncate(yaml.len() - "...\n".len());
    }
    // other line breaks than these two mean different things to different readers of YAML
    let safe = !yaml.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{FEFF}', '\r']);
    let same = safe && parse_yaml(&yaml).is_ok_and(|root| root.value() == *value);
    same.then_some(yaml)
}

/// Whether `serde_yaml` writes a text as it is, without quotes, by its emitter's rules for plain scalars. May err on the
/// side of no.
pub(super) fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let letter = |c: char| c.is_ascii_alphabetic() || (!c.is_ascii() && is_plain_beyond_ascii(c));
    if !text.starts_with(letter) || text.ends_with([' ', ':']) {
        return false;
    }
    if matches!(text, "null" | "Null" | "NULL" | "true" | "True" | "TRUE" | "false" | "False" | "FALSE") {
        return false;
    }
    text.char_indices().all(|(at, c)| match c {
        ':' => bytes.get(at + 1) != Some(&b' '),
        '#' => bytes[at - 1] != b' ',
        ' '..='~' => true,
        _ => is_plain_beyond_ascii(c),
    })
}

/// Letters and digits that every reader takes for such. libyaml escapes what lies past the basic plane.
fn is_plain_beyond_ascii(c: char) -> bool {
    ('\u{A1}'..='\u{FFFF}').contains(&c) && c.is_alphanumeric()
}

/// A text in quotes as in JSON, which YAML reads too, with everything escaped that a reader of YAML might not take.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if is_deceptive(c) || matches!(c, '\u{FFFE}' | '\u{FFFF}') => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// A value on one line as in JSON.
struct Json<'a>(&'a Value);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Text(text) => Quoted(text).fmt(f),
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "[" } else { ", " }, Json(item))?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Value::Map(entries) => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{}: {}", if at == 0 { "{" } else { ", " }, Quoted(key), Json(value))?;
                }
                f.write_str(if entries.is_empty() { "{}" } else { "}" })
            }
            scalar => f.write_str(serde_yaml::to_string(scalar).unwrap_or_default().trim_end()),
        }
    }
}
