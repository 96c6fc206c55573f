//! `log`, `undo`, `stats`

use std::fmt::Write as _;

use serde::Serialize;

use crate::db::record::Kind;
use crate::db::undo::Undone;
use crate::schema::id::{Revision, printable};
use crate::schema::issue::{Priority, Status};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::args::LogArgs;
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::output;

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
    let changes: Vec<_> = entries
        .into_iter()
        .map(|entry| ChangeJson {
            revision: entry.revision,
            at: entry.change.at,
            actor: entry.change.actor,
            session: entry.change.session,
            kind: entry.change.kind,
            key: entry.change.key,
            op: entry.change.op.as_str(),
            before: entry.before,
            after: entry.after,
        })
        .collect();
    if context.json {
        return output::json(&changes);
    }
    let mut text = String::new();
    for change in &changes {
        let session = change.session.as_ref().map(|session| format!(" ({session})")).unwrap_or_default();
        let head = format!(
            "{}  {}  {}{session}  {} {}",
            change.revision,
            change.at,
            change.actor,
            change.op,
            short_name(change.kind, &change.key)
        );
        let _ = writeln!(text, "{}", printable(&head, false));
        differences(&mut text, &change.before, &change.after);
    }
    output::text(if text.is_empty() { "no changes\n" } else { &text })
}

/// A record as a line of the log names it: issues by their number alone.
fn short_name(kind: Kind, key: &str) -> String {
    match kind {
        Kind::Issue => format!("#{key}"),
        kind => format!("{} {key}", kind.as_str()),
    }
}

fn long_name(kind: Kind, key: &str) -> String {
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
        let line = match (before, old, new) {
            (Value::Null, _, new) => format!("{name}: {}", short(new)),
            (_, old, Value::Null) => format!("{name}: {} ->", short(old)),
            (_, old, new) => format!("{name}: {} -> {}", short(old), short(new)),
        };
        let _ = writeln!(text, "      {}", printable(&line, false));
    }
}

fn short(value: &Value) -> String {
    const WIDTH: usize = 60;
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

pub(super) fn undo(context: &Context, revision: Option<u64>, force: bool) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let done = context.write_claims(&project, &store, force, false, |txn, access| {
        for (_, change) in txn.to_undo(revision.map(Revision))? {
            if let Some(id) = change.identity.map(|identity| txn.id_of(&identity)).transpose()?.flatten() {
                super::issue::check(txn, id, access)?;
            }
        }
        let undone = txn.undo(revision.map(Revision))?;
        // who gets an issue back by it must not meet another in a second work tree
        for change in txn.standing_changes().iter().filter(|_| !force) {
            let (Some(owner), Some(id)) = (&change.owner, txn.id_of(&change.identity)?) else { continue };
            if let Some(rival) = access.rival(txn, &change.identity, &owner.session)? {
                return Err(super::issue::owned(id, rival));
            }
        }
        match undone {
            Undone::Done(done) => Ok(done),
            Undone::NothingToUndo => Err(match revision {
                Some(revision) => CliError::new(Code::NotFound, format!("there is no change {revision}"))
                    .hint("`oxi-state log` shows what there is"),
                None => CliError::new(Code::NotFound, "there is nothing to undo"),
            }),
            Undone::Overtaken { revision, kind, key, current: None } => Err(CliError::new(
                Code::Conflict,
                format!("change {revision} cannot be undone: {} is no longer there", long_name(kind, &key)),
            )
            .hint(format!(
                "`oxi-state log --key {key}` shows whether it was deleted; if not, its time was over (see retention.* in \
                 `oxi-state config list`)"
            ))),
            Undone::Overtaken { revision, kind, key, .. } => Err(CliError::new(
                Code::Conflict,
                format!("change {revision} cannot be undone: {} was changed again since", long_name(kind, &key)),
            )
            .hint(format!("`oxi-state log --key {key}` shows the later changes; undo those first"))),
            Undone::NotUndoable { revision } => Err(CliError::new(
                Code::Conflict,
                format!(
                    "change {revision} cannot be undone: it changed no record, or what it replaced is no longer kept"
                ),
            )),
        }
    })?;
    if context.json {
        return output::json(&serde_json::json!({ "undone": done }));
    }
    let read = store.read()?;
    let mut text = String::new();
    let mut touches_files = false;
    for revision in done {
        if let Some(change) = read.change(revision)? {
            touches_files |= change.kind == Kind::Issue;
            let what = short_name(change.kind, &change.key);
            let _ = writeln!(text, "undid change {revision}: {} {}", change.op.as_str(), printable(&what, false));
        }
    }
    drop(read);
    output::text(&text)?;
    if touches_files {
        context.note("hint: `oxi-state export` brings the files in step");
    }
    Ok(())
}

/// What `stats` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct StatsJson {
    open: u64,
    closed: u64,
    assigned: u64,
    by_priority: std::collections::BTreeMap<&'static str, u64>,
    /// Records that differ from their files.
    pending: u64,
    conflicts: u64,
    sessions: u64,
    agents: u64,
    documents: u64,
    validations: u64,
    handoffs: u64,
    /// Pointers, facts, runtime summaries, models' health, registrations.
    keyed: u64,
    revision: Revision,
    /// Bytes of the database file.
    database_bytes: u64,
}

pub(super) fn stats(context: &Context) -> CliResult<()> {
    let (project, read) = context.read()?;
    let counters = read.counters()?;
    let size = match project.state().entry(crate::db::DATABASE)? {
        Some(crate::fs::Entry::File(stat)) => stat.size,
        _ => 0,
    };
    let stats = StatsJson {
        open: counters.with_status(Status::Open),
        closed: counters.with_status(Status::Closed),
        assigned: counters.open_and_assigned(),
        by_priority: Priority::ALL
            .into_iter()
            .map(|priority| (priority.as_str(), counters.open_of(priority)))
            .collect(),
        pending: read.all_pending()?.len() as u64,
        conflicts: read.all_conflicts()?.len() as u64,
        sessions: read.count(Kind::Session)?,
        agents: read.count(Kind::Agent)?,
        documents: read.count(Kind::Document)?,
        validations: read.count(Kind::Validation)?,
        handoffs: read.count(Kind::Handoff)?,
        keyed: [Kind::Pointer, Kind::Fact, Kind::Runtime, Kind::Health, Kind::Registry]
            .into_iter()
            .try_fold(0, |sum, kind| read.count(kind).map(|count| sum + count))?,
        revision: read.revision()?,
        database_bytes: size,
    };
    drop(read);
    if context.json {
        return output::json(&stats);
    }
    let mut text = format!("open       {} ({} taken)\nclosed     {}\n", stats.open, stats.assigned, stats.closed);
    for priority in Priority::ALL.into_iter().rev() {
        let _ = writeln!(text, "  {:<8} {} open", priority.as_str(), stats.by_priority[priority.as_str()]);
    }
    let _ = writeln!(text, "pending    {}\nconflicts  {}", stats.pending, stats.conflicts);
    let _ =
        writeln!(text, "sessions   {}\nagents     {}\ndocuments  {}", stats.sessions, stats.agents, stats.documents);
    let _ = writeln!(text, "validated  {}\nhandoffs   {}", stats.validations, stats.handoffs);
    let _ = writeln!(text, "revision   {}\ndatabase   {} KiB", stats.revision, stats.database_bytes / 1024);
    output::text(&text)
}
