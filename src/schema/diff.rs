//! The difference of two issues field by field: what the audit trail stores and undo puts back.
//!
//! Every field has one form as a [`Value`]; `Null` means that it is absent or empty. [`apply`] is the inverse of
//! [`fields`]: for any issues `a` and `b`, `apply(b, fields(a, b).0)` turns `b` into `a`. Nothing is said about the
//! path or the text of the file.

use std::fmt::Write as _;
use std::str::FromStr;

use super::frontmatter::KEYS;
use super::id::{FileName, IssueId, Link, Slug};
use super::issue::{Assignment, Extra, GithubRef, Issue, IssueHead, Linked};
use super::time::Timestamp;
use super::value::Value;

#[cfg(test)]
mod tests;

/// Prefix of the name of a key that this tool does not know.
pub const EXTRA: &str = "extra.";

/// The field that is stored by itself.
pub(crate) const BODY: &str = "body";

/// The fields in the order of the issue JSON, unknown keys apart: the keys of the file, then what is not in its frontmatter.
fn field_names() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().chain([BODY, "slug"])
}

/// Why a map of fields cannot be applied to an issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFields {
    /// Not a map at all.
    #[error("the changed fields are not a map")]
    NotAMap,
    /// No issue has such a field.
    #[error("an issue has no field {0:?}")]
    UnknownField(String),
    /// The value cannot be that of its field.
    #[error("the value of {0:?} does not fit the field")]
    WrongValue(String),
}

/// The fields that differ, with their values before and after, as two maps with the same keys. Where one issue is
/// missing its side is `Null` and the other's map holds every field that is not empty. An unknown key goes by its name
/// after [`EXTRA`].
#[must_use]
pub fn fields(before: Option<&Issue>, after: Option<&Issue>) -> (Value, Value) {
    fields_of(before, after, |_| true)
}

/// As [`fields`], without the body.
#[must_use]
pub(crate) fn fields_but_body(before: Option<&Issue>, after: Option<&Issue>) -> (Value, Value) {
    fields_of(before, after, |name| name != BODY)
}

fn fields_of(before: Option<&Issue>, after: Option<&Issue>, is_wanted: impl Fn(&str) -> bool) -> (Value, Value) {
    let names = field_names().filter(|name| is_wanted(name)).map(str::to_owned).chain(extra_names(before, after));
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for name in names {
        let [was, is] = [before, after].map(|issue| issue.map_or(Value::Null, |issue| field(issue, &name)));
        if !same(&was, &is) {
            old.push((name.clone(), was));
            new.push((name, is));
        }
    }
    (before.map_or(Value::Null, |_| Value::Map(old)), after.map_or(Value::Null, |_| Value::Map(new)))
}

/// Sets the named fields, all or none.
///
/// # Errors
/// [`InvalidFields`] if this is no map, or a name or a value in it is not one that [`fields`] gives; the issue is then
/// as it was.
pub fn apply(issue: &mut Issue, fields: &Value) -> Result<(), InvalidFields> {
    let Value::Map(entries) = fields else { return Err(InvalidFields::NotAMap) };
    let mut changed = issue.clone();
    for (name, value) in entries {
        set(&mut changed, name, value)?;
    }
    *issue = changed;
    Ok(())
}

/// Whether an issue has these values in these fields, those in `except` aside.
#[must_use]
pub fn holds(issue: &Issue, fields: &Value, except: &[&str]) -> bool {
    let Value::Map(entries) = fields else { return false };
    let mut compared = entries.iter().filter(|(name, _)| !except.contains(&name.as_str()));
    compared.all(|(name, value)| same(&field(issue, name), value))
}

/// The number that a value of the field `id` names; none if it is no such value.
#[must_use]
pub fn number(value: &Value) -> Option<IssueId> {
    Some(IssueId(whole_number(value)?.try_into().ok()?))
}

/// The links that a value of the field `depends_on` names; none if it is no such value.
#[must_use]
pub fn links(value: &Value) -> Option<Vec<Link>> {
    items(value, link)
}

/// Whether two values are the same. Unlike with `==`, NaN is the same as itself.
#[must_use]
pub fn same(left: &Value, right: &Value) -> bool {
    let may_hold_nan = |value: &Value| matches!(value, Value::Float(_) | Value::List(_) | Value::Map(_));
    left == right || (may_hold_nan(left) && may_hold_nan(right) && canonical(left) == canonical(right))
}

/// A text that tells any two different values apart and whose byte order breaks ties in a merge: nothing comes first,
/// texts are in their own byte order. It must never change, or clones of different versions come to different results.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(&mut out, value);
    out
}

fn write_canonical(out: &mut String, value: &Value) {
    // writing to a string cannot fail
    let _ = match value {
        Value::Null => Ok(()),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::UInt(value) => write!(out, "{value}u"),
        Value::Float(value) if value.is_nan() => write!(out, "nan"),
        // the bits: exact, and the same whatever the formatting of floats does
        Value::Float(value) => write!(out, "{:016x}f", value.to_bits()),
        Value::Text(text) => write_text(out, text),
        Value::List(items) => {
            out.push('[');
            for item in items {
                write_canonical(out, item);
                out.push(',');
            }
            write!(out, "]")
        }
        Value::Map(entries) => {
            out.push('{');
            for (key, value) in entries {
                let _ = write_text(out, key);
                write_canonical(out, value);
                out.push(',');
            }
            write!(out, "}}")
        }
    };
}

/// Ends in NUL 1, which sorts before any way a longer text could go on: a NUL within the text becomes NUL 2.
fn write_text(out: &mut String, text: &str) -> std::fmt::Result {
    write!(out, "\"{}\0\u{1}", text.replace('\0', "\0\u{2}"))
}

fn extra_names(before: Option<&Issue>, after: Option<&Issue>) -> Vec<String> {
    let issues = before.into_iter().chain(after);
    let mut names: Vec<String> = issues.flat_map(|issue| issue.head.extra.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| format!("{EXTRA}{name}")).collect()
}

/// The value of a field; `Null` where it is absent or empty, or where no issue has such a field.
fn field(issue: &Issue, name: &str) -> Value {
    let head = &issue.head;
    match name {
        "id" => head.id.0.into(),
        "title" => head.title.as_str().into(),
        "status" => head.status.as_str().into(),
        "priority" => head.priority.as_str().into(),
        "labels" => texts(&head.labels),
        "assignee" => head.assignee.clone().into(),
        "created_at" => time(head.created_at),
        "updated_at" => time(head.updated_at),
        "closed_at" => head.closed_at.map_or(Value::Null, time),
        "sessions" => texts(&head.sessions),
        "assigned_to" => head.assigned_to.as_ref().map_or(Value::Null, assignment),
        "github" => head.github.as_ref().map_or(Value::Null, github),
        "depends_on" => list(head.depends_on.iter().map(|link| link.to_string().into())),
        "handoffs" => list(head.handoffs.iter().map(|linked| linked.value.clone())),
        "validations" => list(head.validations.iter().map(|linked| linked.value.clone())),
        BODY => Some(issue.body.as_str()).filter(|body| !body.is_empty()).into(),
        "slug" => Some(head.slug.as_str()).filter(|slug| !slug.is_empty()).into(),
        _ => name.strip_prefix(EXTRA).and_then(|name| head.extra.get(name)).map_or(Value::Null, extra),
    }
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    let items: Vec<Value> = items.collect();
    if items.is_empty() { Value::Null } else { Value::List(items) }
}

fn texts(texts: &[String]) -> Value {
    list(texts.iter().map(|text| text.as_str().into()))
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A time as text.
pub(crate) fn time(time: Timestamp) -> Value {
    time.to_string().into()
}

/// An assignment as a map.
pub(crate) fn assignment(assignment: &Assignment) -> Value {
    map([("session", assignment.session.as_str().into()), ("acquired_at", time(assignment.acquired_at))])
}

/// A twin on GitHub as a map.
pub(crate) fn github(github: &GithubRef) -> Value {
    let number = i64::try_from(github.number).map_or(Value::UInt(github.number), Value::Int);
    map([("repo", github.repo.as_str().into()), ("number", number), ("url", github.url.as_str().into())])
}

/// An unknown key as a map of its lines and what they mean: both, because nothing here can parse the lines.
pub(crate) fn extra(extra: &Extra) -> Value {
    map([("yaml", extra.yaml.as_str().into()), ("value", extra.value.clone())])
}

fn set(issue: &mut Issue, name: &str, value: &Value) -> Result<(), InvalidFields> {
    if let Some(key) = name.strip_prefix(EXTRA) {
        return set_extra(&mut issue.head, key, value).ok_or_else(|| InvalidFields::WrongValue(name.to_owned()));
    }
    if !field_names().any(|known| known == name) {
        return Err(InvalidFields::UnknownField(name.to_owned()));
    }
    set_known(issue, name, value).ok_or_else(|| InvalidFields::WrongValue(name.to_owned()))
}

fn set_extra(head: &mut IssueHead, key: &str, value: &Value) -> Option<()> {
    if *value == Value::Null {
        head.extra.remove(key);
    } else {
        let extra = Extra { yaml: text(value.get("yaml")?)?, value: value.get("value")?.clone() };
        head.extra.insert(key.to_owned(), extra);
    }
    Some(())
}

fn set_known(issue: &mut Issue, name: &str, value: &Value) -> Option<()> {
    let head = &mut issue.head;
    match name {
        "id" => head.id = number(value)?,
        "title" => head.title = text(value)?,
        "status" => head.status = parsed(value)?,
        "priority" => head.priority = parsed(value)?,
        "labels" => head.labels = items(value, text)?,
        "assignee" => head.assignee = or_default(value, |value| text(value).map(Some))?,
        "created_at" => head.created_at = parsed(value)?,
        "updated_at" => head.updated_at = parsed(value)?,
        "closed_at" => head.closed_at = or_default(value, |value| parsed(value).map(Some))?,
        "sessions" => head.sessions = items(value, text)?,
        "assigned_to" => head.assigned_to = or_default(value, |value| read_assignment(value).map(Some))?,
        "github" => head.github = or_default(value, |value| read_github(value).map(Some))?,
        "depends_on" => head.depends_on = items(value, link)?,
        "handoffs" => head.handoffs = items(value, linked)?,
        "validations" => head.validations = items(value, linked)?,
        "body" => issue.body = or_default(value, text)?,
        _ => head.slug = or_default(value, slug)?,
    }
    Some(())
}

fn text(value: &Value) -> Option<String> {
    value.as_text().map(str::to_owned)
}

fn parsed<T: FromStr>(value: &Value) -> Option<T> {
    value.as_text()?.parse().ok()
}

fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        _ => None,
    }
}

/// `Null` is nothing; anything else must be read.
fn or_default<T: Default>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    if *value == Value::Null { Some(T::default()) } else { read(value) }
}

fn items<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    or_default(value, |value| match value {
        Value::List(items) => items.iter().map(&read).collect(),
        _ => None,
    })
}

fn read_assignment(value: &Value) -> Option<Assignment> {
    Some(Assignment { session: text(value.get("session")?)?, acquired_at: parsed(value.get("acquired_at")?)? })
}

fn read_github(value: &Value) -> Option<GithubRef> {
    Some(GithubRef {
        repo: text(value.get("repo")?)?,
        number: whole_number(value.get("number")?)?,
        url: text(value.get("url")?)?,
    })
}

fn linked(value: &Value) -> Option<Linked> {
    Some(Linked { id: text(value.get("id")?)?, value: value.clone() })
}

/// The link whose stem this is. Read as a file name: a slug may end in a dash, which [`Link::parse`] refuses.
fn link(value: &Value) -> Option<Link> {
    file_name(value.as_text()?).map(|name| Link { id: name.id, slug: name.slug })
}

fn slug(value: &Value) -> Option<Slug> {
    file_name(&format!("0000-{}", value.as_text()?)).map(|name| name.slug)
}

/// A stem must name a file and nothing outside its folder.
fn file_name(stem: &str) -> Option<FileName> {
    FileName::parse(&format!("{stem}.md")).ok().filter(|_| !stem.contains('/'))
}
