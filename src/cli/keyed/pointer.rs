//! `oxi-state pointer …`

use serde_json::Value;

use crate::db::tables::{Readable, Tables};
use crate::keyed::{self, KeyedError};
use crate::schema::id::IssueId;
use crate::schema::pointer::{Pointer, PointerKind, number_in};

use super::super::args::PointerCommand;
use super::super::context::Context;
use super::super::error::{CliError, CliResult};
use super::super::output;
use super::{change, fields, json, key, missing, remove, view};

/// What `pointer set` was given.
struct Given {
    kind: String,
    value: Option<String>,
    name: String,
    url: Option<String>,
    note: Option<String>,
}

pub(super) fn run(context: &Context, command: PointerCommand) -> CliResult<()> {
    match command {
        PointerCommand::Set { kind, value, name, url, note, guard } => {
            set(context, Given { kind, value, name, url, note }, guard.expect)
        }
        PointerCommand::Get { kind, name } => get(context, &format!("{kind}/{}", key(context, name)?)),
        PointerCommand::List { kind } => list(context, &kind.map(|kind| format!("{kind}/")).unwrap_or_default()),
        PointerCommand::Rm { kind, name, guard } => {
            remove::<Pointer>(context, &format!("{kind}/{}", key(context, name)?), guard.expect)
        }
    }
}

fn set(context: &Context, given: Given, expect: Option<crate::schema::id::ContentHash>) -> CliResult<()> {
    let Given { kind, value, name, url, note } = given;
    let name = key(context, name)?;
    let row = format!("{kind}/{name}");
    let mut issue = None;
    // whatever the pointer said before is replaced as a whole
    let mut new = fields(&serde_json::json!({ "kind": kind, "name": name, "note": note }), &[])?;
    let mut say = |field: &str, value: Value| new.insert(field.to_owned(), value);
    // where it does not go with the kind, that is told
    say("url", url.clone().into());
    match kind.as_str() {
        "pr" => {
            let is_number = value.as_deref().is_none_or(|value| value.trim_start_matches('#').parse::<u64>().is_ok());
            let (number, address) = if is_number { (value, url) } else { (None, value.or(url)) };
            let number = number.and_then(|number| number.trim_start_matches('#').parse().ok());
            say("number", number.or_else(|| number_in(address.as_deref()?)).into());
            say("url", address.into());
        }
        "issue" => {
            let id = value.unwrap_or_default().parse::<IssueId>().map_err(CliError::usage)?;
            issue = Some(id);
        }
        "session" => {
            let caller = || context.session().map(|session| session.map(|session| session.to_string()));
            let session = value.map_or_else(caller, |value| Ok(Some(value)))?;
            let session = session.ok_or_else(|| {
                CliError::usage("which session?")
                    .hint("name one, or say who you are with --session or OXI_STATE_SESSION")
            })?;
            say("target", session.into());
        }
        "note" => {
            say("note", value.into());
        }
        _ => {
            say("target", value.into());
        }
    }
    let pointer: Pointer = change(context, &row, |txn| {
        if let Some(id) = issue {
            let identity = keyed::identity(&**txn, id)?;
            new.insert("issue".into(), serde_json::to_value(identity).unwrap_or_default());
        }
        keyed::set(txn, &row, new, expect, &context.policy)
    })?;
    let (_, read) = context.read()?;
    let number = issue_number(&read, &pointer)?;
    drop(read);
    if context.json {
        return output::json(&json(&pointer, &[("issue_number", number.into())]));
    }
    output::text(&format!("{row} -> {}\n", crate::schema::id::printable(&target(&pointer, number), false)))
}

fn get(context: &Context, row: &str) -> CliResult<()> {
    let (_, read) = context.read()?;
    let pointer = read.record::<Pointer>(row)?.ok_or_else(|| missing::<Pointer>(row))?;
    let number = issue_number(&read, &pointer)?;
    drop(read);
    if context.json {
        return output::json(&json(&pointer, &[("issue_number", number.into())]));
    }
    if pointer.kind == PointerKind::Issue && number.is_none() {
        return Err(CliError::new(super::super::error::Code::NotFound, "the issue that it points to is gone")
            .hint(format!("`oxi-state pointer rm issue {}` forgets it", pointer.name)));
    }
    output::text(&format!("{}\n", crate::schema::id::printable(&target(&pointer, number), true)))
}

fn list(context: &Context, beginning: &str) -> CliResult<()> {
    let (_, read) = context.read()?;
    let mut rows = Vec::new();
    for pointer in read.records_from::<Pointer>(beginning)? {
        let number = issue_number(&read, &pointer)?;
        rows.push((crate::schema::keyed::Keyed::key(&pointer), json(&pointer, &[("issue_number", number.into())])));
    }
    drop(read);
    if context.json {
        return output::json(&rows.iter().map(|(_, fields)| fields).collect::<Vec<_>>());
    }
    let schema = <Pointer as crate::schema::keyed::Keyed>::SCHEMA;
    let lines: String = rows.iter().map(|(key, fields)| view::line(&schema, key, fields)).collect();
    output::text(if lines.is_empty() { "no pointers\n" } else { &lines })
}

/// The present number of the issue that a pointer points to; none if it is gone, or no issue.
pub(super) fn issue_number<T: Readable>(tables: &Tables<T>, pointer: &Pointer) -> Result<Option<u32>, KeyedError> {
    let id = pointer.issue.as_ref().map(|issue| tables.id_of(issue)).transpose()?.flatten();
    Ok(id.map(|id| id.0))
}

/// Where a pointer points, as a script wants it.
fn target(pointer: &Pointer, number: Option<u32>) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match pointer.kind {
        PointerKind::Issue => number.map(|number| number.to_string()).unwrap_or_default(),
        PointerKind::Pr => pointer.number.map_or_else(|| text(&pointer.url), |number| number.to_string()),
        PointerKind::Note => text(&pointer.note),
        _ => text(&pointer.target),
    }
}
