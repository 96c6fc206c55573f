//! `log`

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::db::log::LogEntry;
use crate::db::record::Kind;
use crate::schema::id::{Revision, printable};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::args::LogArgs;
use super::context::Context;
use super::error::CliResult;
use super::output;

/// So much of a value, or of a line of a text, is shown to a person.
const WIDTH: usize = 60;

/// So many lines of the difference of two texts are shown to a person.
const LINES: usize = 12;

/// So long a difference of two texts is looked for; after that it is a longer one than need be.
const PATIENCE: Duration = Duration::from_millis(50);

/// What `log` prints for each change.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct ChangeJson {
    revision: Revision,
    at: Timestamp,
    actor: String,
    session: Option<String>,
    kind: Kind,
    key: String,
    op: &'static str,
    /// The changed fields with their values before; null if there was no record.
    #[schemars(with = "Option<serde_json::Value>")]
    before: Value,
    /// The changed fields with their values after; null if there is no record.
    #[schemars(with = "Option<serde_json::Value>")]
    after: Value,
}

pub(super) fn log(context: &Context, args: &LogArgs) -> CliResult<()> {
    let (_, read) = context.read()?;
    let wanted = |key: &str| args.key.as_deref().is_none_or(|wanted| wanted.trim_start_matches('#') == key);
    let entries = read.log(args.since(), args.limit.unwrap_or(usize::MAX), |change| {
        args.kind.as_deref().is_none_or(|kind| kind == change.kind.as_str()) && wanted(&change.key)
    })?;
    drop(read);
    if context.json {
        return output::json(&entries.into_iter().map(ChangeJson::from).collect::<Vec<_>>());
    }
    let mut text = String::new();
    for entry in &entries {
        let change = &entry.change;
        let session = change.session.as_ref().map(|session| format!(" ({session})")).unwrap_or_default();
        let undoes = change.undoes.map(|undoes| format!(" (change {undoes})")).unwrap_or_default();
        let head = format!(
            "{}  {}  {}{session}  {} {}{undoes}",
            entry.revision,
            change.at,
            change.actor,
            change.op.as_str(),
            short_name(change.kind, &change.key)
        );
        let _ = writeln!(text, "{}", printable(&head, false));
        differences(&mut text, &entry.before, &entry.after);
    }
    output::text(if text.is_empty() { "no changes\n" } else { &text })
}

impl From<LogEntry> for ChangeJson {
    fn from(entry: LogEntry) -> Self {
        let change = entry.change;
        Self {
            revision: entry.revision,
            at: change.at,
            actor: change.actor,
            session: change.session,
            kind: change.kind,
            key: change.key,
            op: change.op.as_str(),
            before: entry.before,
            after: entry.after,
        }
    }
}

/// A record as a line of the log names it: issues by their number alone.
pub(super) fn short_name(kind: Kind, key: &str) -> String {
    match kind {
        Kind::Issue => format!("#{key}"),
        kind => format!("{} {key}", kind.as_str()),
    }
}

pub(super) fn long_name(kind: Kind, key: &str) -> String {
    match kind {
        Kind::Issue => format!("issue #{key}"),
        kind => short_name(kind, key),
    }
}

fn differences(text: &mut String, before: &Value, after: &Value) {
    const NULL: &Value = &Value::Null;
    let mut names: Vec<&str> = Vec::new();
    for side in [before, after] {
        if let Value::Map(fields) = side {
            names.extend(fields.iter().map(|(name, _)| name.as_str()));
        }
    }
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().filter(|name| *name != "updated_at") {
        let (old, new) = (before.get(name).unwrap_or(NULL), after.get(name).unwrap_or(NULL));
        if let ("body", Some(old), Some(new)) = (name, old.as_text(), new.as_text()) {
            text_difference(text, old, new);
            continue;
        }
        let line = match (before, old, new) {
            (Value::Null, _, new) => format!("{name}: {}", short(new)),
            (_, old, Value::Null) => format!("{name}: {} ->", short(old)),
            (_, old, new) => format!("{name}: {} -> {}", short(old), short(new)),
        };
        let _ = writeln!(text, "      {}", printable(&line, false));
    }
}

/// The lines that differ, with a line of context around them.
fn text_difference(text: &mut String, old: &str, new: &str) {
    let _ = writeln!(text, "      body:");
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut lines = Vec::new();
    for (place, group) in diff.grouped_ops(1).iter().enumerate() {
        if place > 0 {
            lines.push("...".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push(format!("{sign} {}", cut(change.value().trim_end_matches(['\r', '\n']))));
        }
    }
    for line in lines.iter().take(LINES) {
        let _ = writeln!(text, "        {}", printable(line, false));
    }
    if lines.len() > LINES {
        let _ = writeln!(text, "        ... {} more lines (--json has all of both texts)", lines.len() - LINES);
    }
}

fn cut(line: &str) -> String {
    let mut cut: String = line.chars().take(WIDTH).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => return "none".into(),
        Value::Text(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    let first = text.lines().next().unwrap_or_default();
    if first.chars().count() > WIDTH || text.lines().nth(1).is_some() {
        format!("{}…", first.chars().take(WIDTH).collect::<String>())
    } else {
        first.to_owned()
    }
}
