//! `undo`, `stats`

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::db::gate::Gate;
use crate::db::record::{Kind, Pending};
use crate::db::undo::{Target, Undone};
use crate::db::{ReadTxn, Store, StoreError};
use crate::schema::id::{Identity, Revision, printable};
use crate::schema::issue::{Priority, Status};

use super::args::UndoArgs;
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::log::{long_name, short_name};
use super::output;

/// So many newer changes are named when they stand in the way.
const NAMED: usize = 5;

pub(super) fn undo(context: &Context, args: &UndoArgs) -> CliResult<()> {
    let target = match args.revision.map(Revision) {
        Some(revision) if args.whole => Target::Command(revision),
        revision => Target::from(revision),
    };
    let (project, store) = context.ready()?;
    let reopens = store.read()?.ends_conflict(target)?;
    // the end of a conflict is about a file, too: no import or export meanwhile
    let _turn = reopens.then(|| Gate::sync(store.dir(), store.timeout())).transpose()?;
    let (done, undone_from) = context.write_claims(&project, &store, args.force, false, |txn, access| {
        for (_, change) in txn.to_undo(target)? {
            if let Some(id) = change.identity.map(|identity| txn.id_of(&identity)).transpose()?.flatten() {
                super::issue::check(txn, id, access)?;
            }
        }
        let undone = txn.undo(target)?;
        // who gets an issue back by it must not meet another in a second work tree
        for change in txn.standing_changes().iter().filter(|_| !args.force) {
            let (Some(owner), Some(id)) = (&change.owner, txn.id_of(&change.identity)?) else { continue };
            if let Some(rival) = access.rival(txn, &change.identity, &owner.session)? {
                return Err(super::issue::owned(id, rival));
            }
        }
        match undone {
            Undone::Done(done) => Ok((done, txn.group())),
            refused => Err(refusal(refused, args.revision)),
        }
    })?;
    if context.json {
        return output::json(&serde_json::json!({ "undone": done }));
    }
    // it is done, whatever cannot be read any more
    let (text, hints) = told(&store, &done).unwrap_or_else(|error| {
        let text = done.iter().fold(String::new(), |text, revision| text + &format!("undid change {revision}\n"));
        (text, vec![format!("what is left to do cannot be told: {error}")])
    });
    output::text(&text)?;
    for hint in hints {
        context.note(&hint);
    }
    let whole = if done.len() > 1 { " --whole" } else { "" };
    context.note(&format!("hint: `oxi-state undo {undone_from}{whole}` takes that back"));
    Ok(())
}

/// What was undone, and what is left to do.
fn told(store: &Store, done: &[Revision]) -> Result<(String, Vec<String>), StoreError> {
    let read = store.read()?;
    let mut text = String::new();
    let mut issues = HashSet::new();
    for revision in done {
        if let Some(change) = read.change(*revision)? {
            let what = short_name(change.kind, &change.key);
            let _ = writeln!(text, "undid change {revision}: {} {}", change.op.as_str(), printable(&what, false));
            issues.extend(change.identity);
        }
    }
    Ok((text, hints(&read, &issues)?))
}

/// What is left to do after an undo: the files still say what was undone.
fn hints(read: &ReadTxn, issues: &HashSet<Identity>) -> Result<Vec<String>, StoreError> {
    let (mut hints, mut write, mut remove) = (Vec::new(), 0, 0);
    let mut in_conflict: Vec<_> = read.all_conflicts()?;
    in_conflict.retain(|(identity, _)| issues.contains(identity));
    for (identity, kind) in read.all_pending()? {
        if issues.contains(&identity) && in_conflict.iter().all(|(other, _)| *other != identity) {
            *(if kind == Pending::Deleted { &mut remove } else { &mut write }) += 1;
        }
    }
    for (identity, conflict) in in_conflict {
        let id = read.id_of(&identity)?.unwrap_or(conflict.id);
        hints.push(format!(
            "hint: issue #{id} is in conflict again: `oxi-state conflicts` shows both sides, `oxi-state resolve {id}` ends it"
        ));
    }
    let files = match (write, remove) {
        (0, 0) => return Ok(hints),
        (_, 0) => format!("writes {write}"),
        (0, _) => format!("removes {remove}"),
        _ => format!("writes {write} and removes {remove}"),
    };
    hints.push(format!("hint: the files are as they were; `oxi-state export` brings them in step ({files})"));
    Ok(hints)
}

/// Why nothing was undone.
fn refusal(undone: Undone, asked: Option<u64>) -> CliError {
    let conflict = |message: String| CliError::new(Code::Conflict, message);
    match undone {
        Undone::Done(_) | Undone::NothingToUndo => match asked {
            Some(revision) => CliError::new(Code::NotFound, format!("there is no change {revision}"))
                .hint("`oxi-state log` shows what there is"),
            None => CliError::new(Code::NotFound, "there is nothing to undo"),
        },
        Undone::Already { revision, by } => conflict(format!("change {revision} is undone already, by change {by}"))
            .hint(format!("`oxi-state undo {by}` takes that back")),
        Undone::Overtaken { revision, kind, key, current, newer } => {
            overtaken(revision, kind, &key, current.is_some(), &newer)
        }
        Undone::NumberTaken { revision, id, by, same_command } => {
            let see = format!("`oxi-state log --key {id}` shows how it got the number");
            conflict(format!("change {revision} cannot be undone: another issue is #{id} by now")).hint(match by {
                Some(_) if same_command => {
                    format!("`oxi-state undo {revision} --whole` undoes all that the same command changed; {see}")
                }
                Some(by) => format!("first `oxi-state undo {by}`; {see}"),
                None => see,
            })
        }
        Undone::Cycle { revision, ids, added: (from, to), by } => {
            let undo = by.map(|by| format!("`oxi-state undo {by}` or ")).unwrap_or_default();
            conflict(format!(
                "change {revision} cannot be undone: #{} would wait for itself: {}",
                ids.first().copied().unwrap_or(from),
                super::issue::chain(&ids)
            ))
            .hint(format!(
                "first {undo}`oxi-state issue dep remove {from} {to}`, so that #{from} does not wait for #{to}"
            ))
        }
        Undone::InConflict { revision, id } => {
            conflict(format!("change {revision} cannot be undone: issue #{id} is in conflict anew"))
                .hint(format!("`oxi-state resolve {id}` ends the conflict"))
        }
        Undone::ChangedNothing { revision, beside } => {
            let error =
                conflict(format!("change {revision} cannot be undone: it tells of something, and changed no record"));
            match beside {
                Some(beside) => {
                    error.hint(format!("`oxi-state undo {beside} --whole` undoes all that the same command changed"))
                }
                None => error,
            }
        }
        Undone::NotUndoable { revision } => {
            conflict(format!("change {revision} cannot be undone: what it replaced is no longer kept"))
                .hint("retention.superseded_days and retention.changes say how long it is (`oxi-state config list`)")
        }
    }
}

/// That newer changes stand in the way; none are named if what did was not logged.
fn overtaken(revision: Revision, kind: Kind, key: &str, is_there: bool, newer: &[Revision]) -> CliError {
    let state = match newer {
        _ if !is_there => "is no longer there".to_owned(),
        [] => "was changed again since".to_owned(),
        [one] => format!("was changed again by change {one}"),
        some => format!("was changed again by changes {}", listed(some, ToString::to_string)),
    };
    let see = format!("`oxi-state log --key {key}`");
    let hint = match newer {
        [] if is_there => format!("{see} shows the later changes; undo those first"),
        [] => format!(
            "{see} shows whether it was deleted; if not, its time was over (see retention.* in `oxi-state config list`)"
        ),
        [one] => format!("first `oxi-state undo {one}`; {see} shows what it changed"),
        some => format!(
            "first, the newest before the others, {}; {see} shows what they changed",
            listed(some, |revision| format!("`oxi-state undo {revision}`"))
        ),
    };
    let what = long_name(kind, key);
    CliError::new(Code::Conflict, format!("change {revision} cannot be undone: {what} {state}")).hint(hint)
}

/// Revisions in words, the first few of many.
fn listed(revisions: &[Revision], word: impl Fn(&Revision) -> String) -> String {
    let mut words: Vec<String> = revisions.iter().take(NAMED).map(word).collect();
    if revisions.len() > NAMED {
        words.push(format!("{} more", revisions.len() - NAMED));
    }
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
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
