//! `oxi-state pointer|fact|runtime|health|registry …`: one way in and one way out for all small keyed records.

mod fact;
mod health;
mod pointer;
mod registry;
mod runtime;
mod view;

pub(super) use fact::FactImportJson;
pub(super) use health::CheckJson;

use serde_json::{Map, Value};

use crate::db::WriteTxn;
use crate::db::record::Kind;
use crate::db::records::{Record, hash_of};
use crate::db::tables::{Readable, Tables};
use crate::keyed::{self, KeyedError, Outcome, Row};
use crate::schema::fact::Fact;
use crate::schema::health::{Health, HealthState, Policy};
use crate::schema::id::ContentHash;
use crate::schema::keyed::{Keyed, Problem};
use crate::schema::pointer::Pointer;
use crate::schema::record_id::{InvalidRecordId, RecordId};
use crate::schema::registry::Registration;
use crate::schema::runtime::Runtime;
use crate::schema::time::Timestamp;

use super::args::{FactCommand, HealthCommand, PointerCommand, RegistryCommand, RuntimeCommand};
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::output;

pub(super) fn pointer(context: &Context, command: PointerCommand) -> CliResult<()> {
    pointer::run(context, command)
}

pub(super) fn fact(context: &Context, command: FactCommand) -> CliResult<Option<Code>> {
    fact::run(context, command)
}

pub(super) fn runtime(context: &Context, command: RuntimeCommand) -> CliResult<()> {
    runtime::run(context, command)
}

pub(super) fn health(context: &Context, command: HealthCommand) -> CliResult<Option<Code>> {
    health::run(context, command)
}

pub(super) fn registry(context: &Context, command: RegistryCommand) -> CliResult<()> {
    registry::run(context, command)
}

impl From<KeyedError> for CliError {
    fn from(error: KeyedError) -> Self {
        match error {
            KeyedError::Problem(problem) => problem.into(),
            KeyedError::NoIssue(id) => Self::no_issue(id),
            KeyedError::WrongKind(_) => Self::usage(error),
            KeyedError::Store(error) => error.into(),
        }
    }
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> Self {
        match &problem {
            Problem::Secret { field, refused, redactable } => {
                let rule = refused.rule;
                let hint = if *redactable {
                    format!(
                        "take it out; or store a marker in its place with --redact; or, if it is no secret, --allow {rule}"
                    )
                } else {
                    format!("take it out; or, if it is no secret, --allow {rule}")
                };
                Self::new(Code::Refused, &problem)
                    .hint(hint)
                    .detail("rule", rule.to_string())
                    .detail("field", *field)
                    .detail("line", refused.line)
                    .detail("column", refused.column)
            }
            Problem::Missing(field) => Self::usage(&problem).detail("field", *field),
            Problem::Invalid { field, .. } | Problem::NotFor { field, .. } => {
                Self::usage(&problem).detail("field", *field)
            }
            _ => Self::usage(&problem),
        }
    }
}

/// What arguments say, as fields. `clear` names fields to be emptied.
pub(in crate::cli) fn fields(arguments: &impl serde::Serialize, clear: &[String]) -> CliResult<Map<String, Value>> {
    // arguments are structs of plain fields, which always are JSON objects
    let mut fields = match serde_json::to_value(arguments) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    for name in clear {
        if matches!(name.as_str(), "kind" | "name") {
            return Err(CliError::usage("a key cannot be cleared"));
        }
        if fields.insert(name.clone(), Value::Null).is_some() {
            return Err(CliError::usage("a field is both set and cleared"));
        }
    }
    Ok(fields)
}

/// A key as somebody typed it, which must not be a secret: it is repeated in messages.
fn key(context: &Context, key: String) -> CliResult<String> {
    context.refuse_secret("name", &key)?;
    Ok(key)
}

/// Two halves of a key.
fn halves<'k>(key: &'k str, expected: &str) -> CliResult<(&'k str, &'k str)> {
    let halves = key.split_once('/').filter(|(first, rest)| !first.is_empty() && !rest.is_empty());
    halves.ok_or_else(|| CliError::usage(format!("the name must be {expected}")))
}

/// Runs one change, and answers the record as it is then, or was before it went.
pub(in crate::cli) fn change<K: Keyed + Record, E: Into<CliError>>(
    context: &Context,
    key: &str,
    work: impl FnOnce(&mut WriteTxn<'_>) -> Result<Outcome<K>, E>,
) -> CliResult<K> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let outcome = store.write(&author, |txn| {
        let outcome = work(txn).map_err(Into::into)?;
        settled(key, outcome)
    })?;
    Ok(outcome)
}

pub(in crate::cli) fn settled<K: Keyed + Record>(key: &str, outcome: Outcome<K>) -> CliResult<K> {
    match outcome {
        Outcome::Changed(record) | Outcome::Unchanged(record) => Ok(record),
        Outcome::Stale(current) => Err(stale::<K>(key, current)),
        Outcome::Missing => Err(missing::<K>(key)),
    }
}

fn stale<K: Keyed + Record>(key: &str, current: ContentHash) -> CliError {
    let noun = K::KIND.as_str();
    CliError::new(Code::Conflict, format!("{noun} {key} was changed since you read it; its hash is now {current}"))
        .hint("read it again with --json, then retry with the new hash")
        .detail("key", key)
        .detail("hash", current.to_string())
}

pub(in crate::cli) fn missing<K: Keyed + Record>(key: &str) -> CliError {
    let noun = K::KIND.as_str();
    CliError::new(Code::NotFound, format!("there is no {noun} {key}"))
        .hint(format!("`oxi-state {noun} list` shows what there is"))
        .detail("key", key)
}

/// The one record of a kind with ids of its own that a text means: by its id, or by the beginning of it.
pub(in crate::cli) fn one<K: Keyed + Record, T: Readable>(tables: &Tables<T>, text: &str) -> CliResult<K> {
    /// How many candidates an error names.
    const MAX_NAMED: usize = 10;
    let beginning = text.to_ascii_uppercase();
    if text.is_empty() || !RecordId::can_begin_with(&beginning) {
        return Err(CliError::usage(InvalidRecordId).detail("kind", K::KIND.as_str()));
    }
    let mut found: Vec<K> = tables.records_from(&beginning)?;
    match found.len() {
        0 => Err(missing::<K>(&beginning)),
        1 => Ok(found.remove(0)),
        count => {
            let ids: Vec<String> = found.iter().take(MAX_NAMED).map(Keyed::key).collect();
            let more = if count > MAX_NAMED { format!(" and {} more", count - MAX_NAMED) } else { String::new() };
            let nouns = view::plural(K::SCHEMA.noun);
            let message = format!("{count} {nouns} have ids that begin with {beginning}: {}{more}", ids.join(", "));
            Err(CliError::new(Code::Usage, message).hint("give more of the id").detail("candidates", ids))
        }
    }
}

/// Reads one record.
fn find<K: Keyed + Record>(context: &Context, key: &str) -> CliResult<K> {
    let (_, read) = context.read()?;
    read.record::<K>(key)?.ok_or_else(|| missing::<K>(key))
}

/// Reads the records whose keys begin so.
fn all<K: Keyed + Record>(context: &Context, beginning: &str) -> CliResult<Vec<K>> {
    let (_, read) = context.read()?;
    Ok(read.records_from(beginning)?)
}

/// Removes a record and prints which.
fn remove<K: Keyed + Record>(context: &Context, key: &str, expect: Option<ContentHash>) -> CliResult<()> {
    let gone: K = change(context, key, |txn| keyed::remove(txn, key, expect).map_err(CliError::from))?;
    if context.json {
        return output::json(&json(&gone, &[]));
    }
    output::text(&format!("removed {} {}\n", K::KIND.as_str(), view::name(key)))
}

/// A record as it is printed: its fields, what was worked out, its hash.
pub(in crate::cli) fn json<K: Keyed + Record>(record: &K, shown: &[(&str, Value)]) -> Map<String, Value> {
    let mut fields = Row::of(record).fields;
    fields.remove("hash");
    for (name, value) in shown {
        fields.insert((*name).to_owned(), value.clone());
    }
    fields.insert("hash".into(), hash_of(record).to_string().into());
    fields
}

/// The records of a kind as its `list --json` prints them; none of any other kind.
pub(super) fn listed<T: Readable>(
    tables: &Tables<T>,
    kind: Kind,
    now: Timestamp,
) -> CliResult<Vec<Map<String, Value>>> {
    let mut rows = Vec::new();
    match kind {
        Kind::Pointer => {
            for record in tables.records::<Pointer>()? {
                let number = pointer::issue_number(tables, &record)?;
                rows.push(json(&record, &[("issue_number", number.into())]));
            }
        }
        Kind::Fact => rows.extend(tables.records::<Fact>()?.iter().map(|record| json(record, &[]))),
        Kind::Runtime => {
            rows.extend(tables.records::<Runtime>()?.iter().map(|record| json(record, &runtime::shown(record, now))));
        }
        Kind::Health => {
            let policy = Policy::default();
            let shown = |record| json(record, &health::shown(record, policy, now));
            rows.extend(tables.records::<Health>()?.iter().map(shown));
        }
        Kind::Registry => rows.extend(tables.records::<Registration>()?.iter().map(|record| json(record, &[]))),
        _ => {}
    }
    Ok(rows)
}

/// Prints one record.
pub(in crate::cli) fn print_one<K: Keyed + Record>(
    context: &Context,
    record: &K,
    shown: &[(&str, Value)],
) -> CliResult<()> {
    if context.json {
        return output::json(&json(record, shown));
    }
    output::text(&page_of(record, shown))
}

/// A whole record as people see it.
pub(in crate::cli) fn page_of<K: Keyed + Record>(record: &K, shown: &[(&str, Value)]) -> String {
    view::page(&K::SCHEMA, &Keyed::key(record), &json(record, shown))
}

/// Prints records, each with what was worked out.
fn print_all<K: Keyed + Record>(
    context: &Context,
    records: &[K],
    shown: impl Fn(&K) -> Vec<(&'static str, Value)>,
) -> CliResult<()> {
    let rows: Vec<_> = records.iter().map(|record| (Keyed::key(record), json(record, &shown(record)))).collect();
    if context.json {
        return output::json(&rows.iter().map(|(_, fields)| fields).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        return output::text(&format!("no {}\n", view::plural(K::SCHEMA.noun)));
    }
    let lines: String = rows.iter().map(|(key, fields)| view::line(&K::SCHEMA, key, fields)).collect();
    output::text(&lines)
}

/// A new id.
pub(in crate::cli) fn new_id() -> CliResult<RecordId> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Code::Error, format!("the system gives no random numbers: {error}")))?;
    Ok(RecordId::new(super::context::now(), u128::from_le_bytes(random)))
}

/// A record as JSON and as a line for people.
pub(in crate::cli) struct Item {
    pub(in crate::cli) json: Map<String, Value>,
    pub(in crate::cli) line: String,
}

impl Item {
    fn of<K: Keyed + Record>(record: &K, shown: &[(&str, Value)]) -> Self {
        let json = json(record, shown);
        let line = view::line(&K::SCHEMA, &Keyed::key(record), &json).trim_end().to_owned();
        Self { json, line }
    }
}

/// All pointers.
pub(in crate::cli) fn pointers<T: Readable>(tables: &Tables<T>) -> CliResult<Vec<Item>> {
    let pointers = tables.records::<Pointer>()?;
    pointers
        .iter()
        .map(|pointer| Ok(Item::of(pointer, &[("issue_number", pointer::issue_number(tables, pointer)?.into())])))
        .collect()
}

/// The models that may not be called now, or whose last call went wrong.
pub(in crate::cli) fn limits<T: Readable>(tables: &Tables<T>, now: Timestamp) -> CliResult<Vec<Item>> {
    let mut rows = tables.records::<Health>()?;
    rows.retain(|row| !matches!(row.state, HealthState::Available | HealthState::Untested));
    Ok(rows.iter().map(|row| Item::of(row, &health::shown(row, Policy::default(), now))).collect())
}

/// What runs, as far as anybody said so lately.
pub(in crate::cli) fn running<T: Readable>(tables: &Tables<T>, now: Timestamp) -> CliResult<Vec<Item>> {
    let mut rows = tables.records::<Runtime>()?;
    rows.retain(|row| !row.is_stale(now));
    Ok(rows.iter().map(|row| Item::of(row, &runtime::shown(row, now))).collect())
}
