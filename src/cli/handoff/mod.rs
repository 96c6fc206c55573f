//! `oxi-state handoff …`

mod view;

use std::path::Path;

use serde_json::json;

use crate::db::tables::{Readable, Tables};
use crate::db::{Author, StoreError};
use crate::handoffs::{self, Exports, HandoffError};
use crate::keyed::{self, Outcome};
use crate::schema::handoff::{Handoff, HandoffState};
use crate::schema::id::ContentHash;
use crate::schema::keyed::Keyed;
use crate::schema::record_id::RecordId;

use super::args::{HandoffAddArgs, HandoffCommand};
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::keyed::{new_id, one, settled};
use super::{issue, output};

pub(super) use view::{Seen, is_short, line};

pub(super) fn run(context: &Context, command: HandoffCommand) -> CliResult<()> {
    match command {
        HandoffCommand::Add(args) => add(context, *args.0),
        HandoffCommand::List { pending, all, mine, issue } => {
            let issue = issue.map(|id| keyed::identity(&*context.read()?.1, id).map_err(CliError::from)).transpose()?;
            list(context, all, |handoff, names| {
                (!pending || handoff.state == HandoffState::Pending)
                    && (!mine || handoff.is_for(names) || handoffs::is_taken_up_by(handoff, names))
                    && (issue.is_none() || issue == handoff.issue)
            })
        }
        HandoffCommand::Show { id } => show(context, &id),
        HandoffCommand::Accept { id, force, guard } => accept(context, id.as_deref(), force, guard.expect),
        HandoffCommand::Done { id, number, guard } => done(context, id.as_deref(), number, guard.expect),
    }
}

impl From<HandoffError> for CliError {
    fn from(error: HandoffError) -> Self {
        let message = error.to_string();
        match error {
            HandoffError::Keyed(error) => error.into(),
            HandoffError::Accepted { by } => Self::new(Code::Claimed, message)
                .hint("ask them; or take it over with --force")
                .detail("accepted_by", by),
            HandoffError::Done => Self::new(Code::Conflict, message)
                .hint("`oxi-state handoff list` shows what is open; `oxi-state log --kind handoff` who ended it"),
            HandoffError::NoAction { len, .. } => {
                Self::usage(message).hint("`oxi-state handoff show ID` numbers them").detail("actions", len)
            }
            HandoffError::NoRoom(_) => {
                Self::new(Code::Error, message).hint("end the handoffs that are done, or say less")
            }
        }
    }
}

/// What the caller goes by: the session, if one speaks, then the actor.
pub(super) fn names(author: &Author) -> Vec<&str> {
    author.session.iter().map(crate::schema::id::SessionId::as_str).chain([author.actor.as_str()]).collect()
}

fn exports(context: &Context) -> Exports {
    Exports { session_ids: context.settings.export_session_ids.value }
}

fn add(context: &Context, args: HandoffAddArgs) -> CliResult<()> {
    let text = if args.text == "-" { issue::read_body(Path::new("-"))? } else { args.text };
    if text.trim().is_empty() {
        return Err(CliError::usage("the note is empty").hint("say how things stand, in a sentence or two"));
    }
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let fields = json!({ "summary": text.trim_end(), "to": args.to, "issue": args.issue, "next": args.next });
    let id = new_id()?;
    let seen = store.write(&author, |txn| {
        let handoff = handoffs::add(txn, id, keyed::object(fields), &context.policy, exports(context))?;
        Ok::<_, CliError>(Seen::new(&**txn, handoff)?)
    })?;
    if context.json {
        return output::json(&seen.json());
    }
    output::text(&format!("{id}\n"))
}

fn list(context: &Context, all: bool, wanted: impl Fn(&Handoff, &[&str]) -> bool) -> CliResult<()> {
    let (project, read) = context.read()?;
    let author = context.author(&project)?;
    let names = names(&author);
    let mut found = handoffs::open(&read, &names)?;
    if all {
        let mut done: Vec<Handoff> = read.records()?;
        done.retain(|handoff| !handoff.state.is_open());
        done.sort_by_key(|handoff| std::cmp::Reverse((handoff.done_at, handoff.id)));
        found.append(&mut done);
    }
    found.retain(|handoff| wanted(handoff, &names));
    let seen: Vec<Seen> =
        found.into_iter().map(|handoff| Seen::new(&*read, handoff)).collect::<Result<_, StoreError>>()?;
    drop(read);
    if context.json {
        return output::json(&seen.iter().map(Seen::json).collect::<Vec<_>>());
    }
    let lines: Vec<String> = seen.iter().map(|seen| line(seen, author.now)).collect();
    output::lines(&lines, "no handoffs")
}

fn show(context: &Context, id: &str) -> CliResult<()> {
    let (_, read) = context.read()?;
    let handoff = one(&read, id)?;
    let seen = Seen::new(&*read, handoff)?;
    drop(read);
    if context.json { output::json(&seen.json()) } else { output::text(&view::page(&seen)) }
}

fn accept(context: &Context, id: Option<&str>, force: bool, expect: Option<ContentHash>) -> CliResult<()> {
    let pending = |handoff: &Handoff, names: &[&str]| {
        handoff.state == HandoffState::Pending && (handoff.is_for(names) || handoff.to.is_none())
    };
    let seen = step(context, id, pending, |txn, id| {
        let outcome = handoffs::accept(txn, id, expect, force, exports(context))?;
        settled(&id.to_string(), outcome)
    })?;
    if context.json { output::json(&seen.json()) } else { output::text(&view::page(&seen)) }
}

fn done(context: &Context, id: Option<&str>, number: Option<usize>, expect: Option<ContentHash>) -> CliResult<()> {
    let mut changed = true;
    let seen = step(context, id, handoffs::is_taken_up_by, |txn, id| {
        let outcome = handoffs::finish(txn, id, number, expect, exports(context))?;
        changed = !matches!(outcome, Outcome::Unchanged(_));
        settled(&id.to_string(), outcome)
    })?;
    if context.json {
        return output::json(&seen.json());
    }
    let key = seen.handoff.key();
    let left = seen.handoff.left().count();
    let text = match (changed, seen.handoff.state, number) {
        (false, HandoffState::Done, _) => format!("handoff {key} is done already\n"),
        (false, ..) => format!("next action {} of {key} is done already\n", number.unwrap_or_default()),
        (true, HandoffState::Done, _) if left > 0 => format!("done {key} ({left} next actions were left)\n"),
        (true, HandoffState::Done, _) => format!("done {key}\n"),
        (true, _, number) => format!("done {} of {key} ({left} left)\n", number.unwrap_or_default()),
    };
    output::text(&text)
}

/// Changes a handoff: the one that is named, else the only one that fits best.
fn step(
    context: &Context,
    id: Option<&str>,
    fits: impl Fn(&Handoff, &[&str]) -> bool,
    change: impl FnOnce(&mut crate::db::WriteTxn<'_>, RecordId) -> CliResult<Handoff>,
) -> CliResult<Seen> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    store.write(&author, |txn| {
        let handoff = match id {
            Some(id) => one(&**txn, id)?,
            None => only(&**txn, &names(&author), fits)?,
        };
        let handoff = change(txn, handoff.id)?;
        Ok(Seen::new(&**txn, handoff)?)
    })
}

/// The only open handoff that fits, else the only open one.
fn only<T: Readable>(
    tables: &Tables<T>,
    names: &[&str],
    fits: impl Fn(&Handoff, &[&str]) -> bool,
) -> CliResult<Handoff> {
    let mut open = handoffs::open(tables, names)?;
    if open.iter().any(|handoff| fits(handoff, names)) {
        open.retain(|handoff| fits(handoff, names));
    }
    match open.len() {
        0 => Err(CliError::new(Code::NotFound, "no handoff is open").hint("`oxi-state handoff list --all` shows all")),
        1 => Ok(open.remove(0)),
        count => {
            let ids: Vec<String> = open.iter().take(10).map(Keyed::key).collect();
            Err(CliError::usage(format!("which handoff? {count} are open: {}", ids.join(", ")))
                .hint("give the beginning of its id; `oxi-state handoff list` shows them")
                .detail("candidates", ids))
        }
    }
}
