//! `session list`, `show`, `fork`, `link`, `delete`

use std::cmp::Reverse;
use std::fmt::Write as _;

use crate::claims;
use crate::db::Op;
use crate::db::tables::{Readable, Tables};
use crate::liveness::{Known, Liveness, Standing, Watch};
use crate::project::Project;
use crate::schema::id::{IssueId, SessionId, printable};
use crate::schema::session::{Session, SessionState, is_name};

use super::super::args::ForkArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use super::super::issue;
use super::super::output;
use super::super::view::{FullIssueJson, Owners};
use super::find;
use super::view::{self, SessionJson, alive_of};
use super::{check_id, check_name, generate};

pub(super) fn list(context: &Context, all: bool, limit: Option<usize>) -> CliResult<()> {
    let (project, read) = context.read()?;
    let watch = view::watch(context, &project)?;
    let mut sessions = listed(&read, &project, &watch, all)?;
    sessions.truncate(limit.unwrap_or(usize::MAX));
    drop(read);
    if context.json { output::json(&sessions) } else { output::text(&view::list(&sessions, all)) }
}

/// The sessions of a list, newest activity first.
pub(in crate::cli) fn listed<T: Readable>(
    tables: &Tables<T>,
    project: &Project,
    watch: &Watch,
    all: bool,
) -> CliResult<Vec<SessionJson>> {
    let mut sessions = Vec::new();
    for session in tables.records::<Session>()? {
        if all || session.state == SessionState::Active {
            sessions.push(SessionJson::new(tables, watch, session)?.in_list());
        }
    }
    for holder in find::holders(tables, project, watch)? {
        sessions.push(SessionJson::of_holder(tables, holder)?.in_list());
    }
    sessions.sort_by_cached_key(|session| (Reverse(session.last_activity_at), session.id.clone()));
    Ok(sessions)
}

pub(super) fn show(context: &Context, id: Option<&str>) -> CliResult<()> {
    let (project, read) = context.read()?;
    let watch = view::watch(context, &project)?;
    let text = id.map_or_else(|| find::callers(context).map(|id| id.to_string()), |id| Ok(id.to_owned()))?;
    let found = find::candidates(&*read, &text)?;
    let session = if found.is_empty() {
        let holders = find::holders(&*read, &project, &watch)?;
        let exact = holders.iter().position(|holder| holder.id.as_str() == text);
        let mut holders = match exact {
            Some(index) => vec![holders[index].clone()],
            None => holders.into_iter().filter(|holder| holder.id.as_str().starts_with(&text)).collect(),
        };
        match holders.len() {
            0 => return Err(find::missing(&text)),
            1 => SessionJson::of_holder(&read, holders.remove(0))?,
            _ => return Err(find::ambiguous(&text, holders.into_iter().map(|holder| holder.id))),
        }
    } else {
        SessionJson::new(&read, &watch, find::session(&*read, &text)?)?
    };
    drop(read);
    if context.json { output::json(&session) } else { output::text(&view::full(&session)) }
}

pub(super) fn fork(context: &Context, args: ForkArgs) -> CliResult<()> {
    if !is_name(&args.at) {
        return Err(CliError::usage("an entry is named by its id: letters, digits and . _ : / @ + -")
            .hint("`oxi-state session tree` shows entries at which sessions branch"));
    }
    context.refuse_secret("at", &args.at)?;
    let name = args.name.map(|name| check_name(context, name)).transpose()?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let id = args.id.map_or_else(generate, |id| check_id(context, id))?;
    let watch = view::watch(context, &project)?;
    let json = store.write(&author, |txn| {
        let parent = find::session(txn, &args.parent)?;
        if txn.record::<Session>(id.as_str())?.is_some() {
            return Err(CliError::new(Code::Conflict, format!("there is a session {id} already"))
                .hint("choose another id, or leave --id out")
                .detail("id", id.as_str()));
        }
        let session = Session {
            name,
            root: parent.root,
            parent: Some(parent.id),
            fork_point: Some(args.at),
            project: parent.project,
            ..Session::begin(id.clone(), author.now)
        };
        txn.put_record(&session, Op::Fork)?;
        Ok::<_, CliError>(SessionJson::new(txn, &watch, session)?)
    })?;
    if context.json { output::json(&json) } else { output::text(&format!("{}\n", printable(id.as_str(), false))) }
}

pub(super) fn link(context: &Context, id: &str, issues: &[IssueId]) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let mut unknown = None;
    let (lines, json) = context.write_claims(&project, &store, false, false, |txn, access| {
        let session = link_target(context, txn, access.watch, id)?;
        let mut lines = String::new();
        for issue in issues {
            let outcome = claims::link(txn, *issue, None, &session, access)?;
            // writing to a string cannot fail
            let _ = if issue::settle(txn, *issue, outcome)?.changed {
                writeln!(lines, "linked session {session} to issue #{issue}")
            } else {
                writeln!(lines, "session {session} is linked to issue #{issue} already")
            };
        }
        if txn.record::<Session>(session.as_str())?.is_none()
            && access.watch.session(session.as_str(), Known::default()) == Standing::NeverSeen
        {
            unknown = Some(session);
        }
        let wanted = issues.iter().filter(|_| context.json);
        let json: CliResult<Vec<FullIssueJson>> =
            wanted.map(|issue| issue::full(txn, &project, &owners, *issue)).collect();
        Ok((lines, json?))
    })?;
    if let Some(session) = unknown {
        context.note(&format!(
            "note: no session {session} is known here; `oxi-state session list --all` shows those that are"
        ));
    }
    match (context.json, &json[..]) {
        (false, _) => output::text(&printable(&lines, true)),
        (true, [one]) => output::json(one),
        (true, several) => output::json(&several),
    }
}

/// Which session is to be linked. One without a record may be, too: where a lock file has the whole id, or no record's
/// id begins so, the text is the id.
fn link_target<T: Readable>(context: &Context, tables: &Tables<T>, watch: &Watch, text: &str) -> CliResult<SessionId> {
    let recorded = tables.record::<Session>(text)?.is_some();
    let locked = !recorded && watch.session(text, Known::default()) != Standing::NeverSeen;
    if !locked && !find::candidates(tables, text)?.is_empty() {
        return find::session(tables, text).map(|session| session.id);
    }
    context.refuse_secret("session", text)?;
    text.parse().map_err(|error| CliError::usage(format!("session {text:?}: {error}")))
}

pub(super) fn delete(context: &Context, ids: &[String], force: bool) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let watch = view::watch(context, &project)?;
    let deleted = store.write(&author, |txn| {
        let mut deleted = Vec::new();
        for text in ids {
            let session = find::session(txn, text)?;
            let liveness = alive_of(&watch, &session);
            if !force && may_live(&session, liveness) {
                let id = &session.id;
                return Err(CliError::new(Code::Claimed, format!("session {id} goes on ({liveness})"))
                    .hint(format!(
                        "end it first (`oxi-state session end {id}`; a `session run` ends with its command), or insist with --force"
                    ))
                    .detail("id", id.as_str())
                    .detail("state", liveness));
            }
            deleted.push(SessionJson::new(txn, &watch, session.clone())?);
            txn.remove_record::<Session>(session.id.as_str(), Op::Delete)?;
        }
        Ok::<_, CliError>(deleted)
    })?;
    match (context.json, &deleted[..]) {
        (true, [one]) => output::json(one)?,
        (true, several) => output::json(&several)?,
        (false, all) => {
            let line = |session: &SessionJson| format!("deleted session {}\n", printable(session.id.as_str(), false));
            output::text(&all.iter().map(line).collect::<String>())?;
        }
    }
    context.note("hint: `oxi-state undo` brings it back; the session's own file is left alone");
    Ok(())
}

/// Whether somebody may still be at work in a session. One that is only known by its file is not asked about, unless it
/// holds a lock.
fn may_live(session: &Session, liveness: Liveness) -> bool {
    liveness == Liveness::Alive || (session.state == SessionState::Active && liveness == Liveness::Unknown)
}
