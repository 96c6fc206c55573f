//! `issue start`, `release`, `close`, `reopen`, `link`, `delete`, and `next --start`

use crate::claims::{self, Access, Claimed, Refusal};
use crate::db::{Op, WriteTxn};
use crate::schema::id::{ContentHash, IssueId, printable};
use crate::schema::issue::Assignment;

use super::super::args::ClaimArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::super::view::{FullIssueJson, Owners};
use super::full;
use super::query::nothing_to_do;

/// Which step to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Start,
    Release,
    Close,
    Reopen,
    Link,
}

impl Claim {
    const fn past(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Release => "released",
            Self::Close => "closed",
            Self::Reopen => "reopened",
            Self::Link => "linked",
        }
    }
}

pub(super) fn run(context: &Context, claim: Claim, args: &ClaimArgs) -> CliResult<()> {
    args.check()?;
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let starts = claim == Claim::Start;
    let (lines, issues) = context.write_claims(&project, &store, args.force, starts, |txn, access| {
        let (mut lines, mut issues) = (Vec::new(), Vec::new());
        for id in &args.ids {
            let done = step(txn, claim, *id, args.expect, access)?;
            lines.push(said(claim, *id, &done));
            if context.json || starts {
                issues.push(full(txn, &project, &owners, *id)?.taken_from(done.displaced));
            }
        }
        Ok::<_, CliError>((lines, issues))
    })?;
    if starts {
        warn_of_dead_caller(context, issues.first().and_then(FullIssueJson::owner_alive));
    }
    let json = if context.json { issues } else { Vec::new() };
    match &json[..] {
        [] => output::text(&lines.concat()),
        [one] => output::json(one),
        several => output::json(&several),
    }
}

fn step(
    txn: &mut WriteTxn<'_>,
    claim: Claim,
    id: IssueId,
    expect: Option<ContentHash>,
    access: Access<'_>,
) -> CliResult<claims::Done> {
    let outcome = match claim {
        Claim::Start => claims::start(txn, id, expect, access),
        Claim::Release => claims::release(txn, id, expect, access),
        Claim::Close => claims::close(txn, id, expect, access),
        Claim::Reopen => claims::reopen(txn, id, expect, access),
        Claim::Link => {
            let session = txn.author().session.clone().ok_or_else(no_session)?;
            claims::link(txn, id, expect, &session, access)
        }
    }?;
    settle(txn, id, outcome)
}

fn said(claim: Claim, id: IssueId, done: &claims::Done) -> String {
    let by = |owner: &Assignment| format!(" (it was taken by {})", printable(&owner.session, false));
    let took = done.displaced.as_ref().map(by).unwrap_or_default();
    if done.changed {
        format!("{} issue #{id}{took}\n", claim.past())
    } else {
        format!("issue #{id} is {} already\n", claim.past())
    }
}

/// What a dead session takes, anybody may take from it at once.
fn warn_of_dead_caller(context: &Context, alive: Option<bool>) {
    if alive == Some(false) {
        context.note(
            "note: your session is dead, so anybody may take this at once; work within `oxi-state session run`, or tie the \
             session to a process that lasts with `oxi-state session start --id ID --pid PID`",
        );
    }
}

/// What a step did; an error if it was not done.
pub(in crate::cli) fn settle(txn: &WriteTxn<'_>, id: IssueId, outcome: Claimed) -> CliResult<claims::Done> {
    match outcome {
        Claimed::Done(done) => Ok(*done),
        Claimed::Refused(refusal) => Err(refused(id, refusal)),
        Claimed::Stale { current } => Err(CliError::stale(id, current)),
        Claimed::Missing => Err(super::head(txn, id).err().unwrap_or_else(|| CliError::no_issue(id))),
    }
}

fn no_session() -> CliError {
    CliError::usage("that needs a session").hint("name one with --session ID, or set OXI_STATE_SESSION")
}

/// Why a step was refused, as people and programs are told.
fn refused(id: IssueId, refusal: Refusal) -> CliError {
    match refusal {
        Refusal::Owned(owner) => {
            let place = owner.elsewhere.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
            let Assignment { session, acquired_at } = owner.assignment;
            CliError::new(
                Code::Claimed,
                format!("issue #{id} is taken by session {session}{place} since {acquired_at} ({})", owner.liveness),
            )
            .hint(
                "choose another with `oxi-state issue next`, or wait; --force takes it away from the session, if you know \
                 that nobody works on it any more (`oxi-state session list`)",
            )
            .detail("id", id)
            .detail("owner", session)
            .detail("acquired_at", acquired_at)
            .detail("owner_state", owner.liveness)
            .detail("elsewhere", owner.elsewhere)
        }
        Refusal::Elsewhere(owner) => {
            let place = owner.elsewhere.unwrap_or_default();
            CliError::new(Code::Claimed, format!("issue #{id} was taken in {place}, and is given back there"))
                .hint(format!("run `oxi-state issue release {id}` in {place}"))
                .detail("id", id)
                .detail("owner", owner.assignment.session)
        }
        Refusal::NotOwner => CliError::new(Code::Claimed, format!("issue #{id} is not taken by this session"))
            .hint(format!(
                "nobody has it, so there is nothing to give back; `oxi-state issue show {id}` shows its state"
            ))
            .detail("id", id),
        Refusal::ClosedElsewhere(closing) => {
            let place = closing.place();
            CliError::new(
                Code::Conflict,
                format!("issue #{id} was closed in {place} at {}, which is not merged here yet", closing.closed_at),
            )
            .hint(
                "merge or pull that work and run `oxi-state sync`; or, if it is to be done again, insist with --force",
            )
            .detail("id", id)
            .detail("elsewhere", place)
        }
        Refusal::Closed => CliError::new(Code::Conflict, format!("issue #{id} is closed and cannot be started"))
            .hint(format!("open it again with `oxi-state issue reopen {id}`"))
            .detail("id", id),
        Refusal::NoSession => no_session(),
    }
}

/// That another session has an issue.
pub(in crate::cli) fn owned(id: IssueId, owner: claims::Owner) -> CliError {
    refused(id, Refusal::Owned(owner))
}

/// Refuses a change to an issue that another session has.
pub(in crate::cli) fn check(txn: &WriteTxn<'_>, id: IssueId, access: Access<'_>) -> CliResult<()> {
    super::head(txn, id)?;
    match claims::may_change(txn, id, access)? {
        Some(refusal) => Err(refused(id, refusal)),
        None => Ok(()),
    }
}

pub(super) fn delete(context: &Context, args: &ClaimArgs) -> CliResult<()> {
    args.check()?;
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let (json, in_conflict) = context.write_claims(&project, &store, args.force, false, |txn, access| {
        let (mut json, mut in_conflict) = (Vec::new(), Vec::new());
        for id in &args.ids {
            check(txn, *id, access)?;
            if let Some(stored) = txn.head(*id)? {
                if args.expect.is_some_and(|expect| expect != stored.hash) {
                    return Err(CliError::stale(*id, stored.hash));
                }
                if let Some(conflict) = txn.conflict(&stored.head.identity())? {
                    in_conflict.push((*id, conflict.name));
                }
            }
            if context.json {
                json.push(full(txn, &project, &owners, *id)?);
            }
            txn.delete(*id, Op::Delete)?;
        }
        Ok::<_, CliError>((json, in_conflict))
    })?;
    match &json[..] {
        [] => output::text(&args.ids.iter().map(|id| format!("deleted issue #{id}\n")).collect::<Vec<_>>().concat())?,
        [one] => output::json(one)?,
        several => output::json(&several)?,
    }
    for (id, name) in &in_conflict {
        let path = project.issue_path(name);
        context.note(&format!(
            "hint: issue #{id} was in conflict with an edit of {path}, for which `oxi-state sync` brings it back; remove \
             that file yourself if the issue is to be gone; `oxi-state undo` brings back the issue and the conflict"
        ));
    }
    if in_conflict.len() < args.ids.len() {
        context.note("hint: `oxi-state undo` brings it back; `oxi-state export` removes the file");
    }
    Ok(())
}

/// Picks the next issue and takes it, in one transaction.
pub(super) fn start_next(context: &Context) -> CliResult<()> {
    let (project, store) = context.ready()?;
    if context.session()?.is_none() {
        return Err(no_session());
    }
    let owners = Owners::new(context, &project);
    let (issue, displaced) = context.write_claims(&project, &store, false, true, |txn, access| {
        let found = txn.next_ready(|stored| access.is_free(txn, &stored.head))?;
        let Some(found) = found else { return Err(nothing_to_do(txn, access)?) };
        let id = found.head.id;
        let outcome = claims::start(txn, id, None, access)?;
        let done = settle(txn, id, outcome)?;
        let issue = full(txn, &project, &owners, id)?.taken_from(done.displaced.clone());
        Ok((issue, done.displaced))
    })?;
    if let Some(owner) = displaced {
        context.note(&format!("note: it was taken by session {}, which is dead", owner.session));
    }
    warn_of_dead_caller(context, issue.owner_alive());
    if context.json { output::json(&issue) } else { output::text(&super::super::view::full(&issue)) }
}
