//! Small keyed records as people see them, by the tables of their kinds.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use serde_json::{Map, Value};

use crate::schema::id::printable;
use crate::schema::keyed::{Field, Place, Role, Schema};

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().bold();

/// The most of a value that a line shows, in characters.
const WIDTH: usize = 60;

/// A key as it may be printed.
pub(super) fn name(key: &str) -> std::borrow::Cow<'_, str> {
    printable(key, false)
}

/// What several are called.
pub(super) fn plural(noun: &str) -> String {
    match noun {
        "health" => "health records".into(),
        "runtime" => "runtime records".into(),
        noun => format!("{noun}s"),
    }
}

/// A record on one line.
pub(super) fn line(schema: &Schema, key: &str, fields: &Map<String, Value>) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}", name(key));
    for (field, value) in filled(schema, fields) {
        let short = shortened(&value);
        match field.place {
            Place::Line => {
                let style = style_of(&value);
                let _ = write!(text, "  {style}{}{style:#}", printable(&short, false));
            }
            Place::LabelledLine if is_usual(field.name, &value) => {}
            Place::LabelledLine => {
                let blank = if field.label.ends_with('#') { "" } else { " " };
                let _ = write!(text, "  {DIM}{}{blank}{DIM:#}{}", field.label, printable(&short, false));
            }
            Place::Page | Place::Json => {}
        }
    }
    text.push_str(&warnings(fields));
    text.push('\n');
    text
}

/// A whole record.
pub(super) fn page(schema: &Schema, key: &str, fields: &Map<String, Value>) -> String {
    let width = schema.fields.iter().map(|field| field.label.len()).max().unwrap_or_default();
    let mut text = format!("{BOLD}{}{BOLD:#}{}\n", name(key), warnings(fields));
    for (field, value) in filled(schema, fields) {
        if field.place != Place::Json {
            let label = if field.label == "#" { "number" } else { field.label };
            let value = printable(&value, true).replace('\n', &format!("\n  {:width$} ", ""));
            let _ = writeln!(text, "  {DIM}{label:<width$}{DIM:#} {value}");
        }
    }
    text
}

/// The value of one field as text.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn filled(schema: &Schema, fields: &Map<String, Value>) -> Vec<(&'static Field, String)> {
    let shown = schema.fields.iter().filter(|field| !matches!(field.role, Role::Key | Role::Shown));
    shown
        .map(|field| (field, fields.get(field.name).map(value).unwrap_or_default()))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// What is worked out and matters to a person.
fn warnings(fields: &Map<String, Value>) -> String {
    let yellow = AnsiColor::Yellow.on_default();
    let mut text = String::new();
    if fields.get("stale") == Some(&Value::Bool(true)) {
        let _ = write!(text, "  {yellow}(stale){yellow:#}");
    }
    if let Some(seconds) = fields.get("retry_after_seconds").and_then(Value::as_u64) {
        let _ = write!(text, "  {yellow}(blocked for {seconds} s){yellow:#}");
    }
    if let Some(number) = fields.get("issue_number") {
        match number.as_u64() {
            Some(number) => {
                let _ = write!(text, "  #{number}");
            }
            None if fields.get("issue").is_some_and(|issue| !issue.is_null()) => {
                let _ = write!(text, "  {yellow}(the issue is gone){yellow:#}");
            }
            None => {}
        }
    }
    text
}

/// What a line need not say.
fn is_usual(field: &str, value: &str) -> bool {
    matches!((field, value), ("consecutive_failures", "0") | ("breaker", "closed") | ("enabled", "true"))
}

fn style_of(value: &str) -> Style {
    match value {
        "running" | "available" | "active" => AnsiColor::Green.on_default(),
        "failed" | "error" => AnsiColor::Red.on_default(),
        "limited" | "retry" | "degraded" | "starting" => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    }
}

fn shortened(value: &str) -> String {
    let first = value.lines().next().unwrap_or_default();
    if first.chars().count() > WIDTH || value.lines().nth(1).is_some() {
        format!("{}…", first.chars().take(WIDTH).collect::<String>())
    } else {
        first.to_owned()
    }
}
