//! `session start`, `end`, `reap`

use serde_json::json;

use crate::db::{Op, ReadTxn, Store};
use crate::fs::Dir;
use crate::liveness::{Ended, Liveness, LockState, Registered, Standing, process, reap::MIN_AGE};
use crate::project::Project;
use crate::schema::id::{IssueId, SessionId, printable};
use crate::schema::process::Process;
use crate::schema::session::{Session, SessionState};
use crate::sessions::{self, Beginning, Found, Noted};

use super::super::args::StartArgs;
use super::super::context::{Context, now};
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::{beginning_id, check_name, folders, taken, working_place};

pub(super) fn start(context: &Context, args: StartArgs) -> CliResult<()> {
    let name = args.name.map(|name| check_name(context, name)).transpose()?;
    let process = args.pid.map(living).transpose()?;
    let id = beginning_id(context, args.id)?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let folders = folders(&project, &store)?;
    // a session that registered a process and is begun again without one keeps it while it lives
    if process.is_none()
        && let Some(Session { state: SessionState::Active, process: Some(process), .. }) =
            store.read()?.record(id.as_str())?
        && process::state(&process, Some(author.now)) == Liveness::Alive
    {
        return Err(taken(&id, Some(&process)));
    }
    if let Registered::Taken(holder) = sessions::register(&folders, &id, process.as_ref(), author.now)? {
        return Err(taken(&id, holder.and_then(|it| it.process).as_ref()));
    }
    let beginning = Beginning { id: id.clone(), name, process, project: working_place(&project) };
    if let Noted::Taken(process) = store.write(&author, |txn| sessions::note_begin(txn, &beginning))? {
        let _ = sessions::end(&folders, &id, author.now);
        return Err(taken(&id, Some(&process)));
    }
    reap_in_passing(context, &project, &store, &folders);
    if beginning.process.is_none() {
        context.note("note: nobody can tell whether this session lives; --pid PID ties it to a process");
    }
    if context.json { output::json(&json!({ "id": id.as_str() })) } else { output::text(&format!("{id}\n")) }
}

fn living(pid: u32) -> CliResult<Process> {
    process::of(pid).ok_or_else(|| {
        CliError::new(Code::NotFound, format!("there is no process {pid}"))
            .hint("name one that runs, such as the shell itself: --pid $$")
            .detail("pid", pid)
    })
}

/// A session that is to be ended, and how it stands.
struct Target {
    id: SessionId,
    record: Option<Session>,
    liveness: Liveness,
}

pub(super) fn end(context: &Context, id: Option<&str>, release: bool, force: bool) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let folders = sessions::existing_folders(&project)?;
    let target = find(context, &project, &store.read()?, &folders, id)?;
    let id = &target.id;
    let foreign = author.session.as_ref() != Some(id);
    let stops = match target.liveness {
        Liveness::Alive => true,
        Liveness::Unknown => author.session.is_some(),
        Liveness::Dead => false,
    };
    if foreign && stops && !force {
        return Err(CliError::new(Code::Claimed, format!("session {id} is another's and {}", word(target.liveness)))
            .hint(format!("end it as itself with --session {id}, or insist with --force"))
            .detail("session", id.as_str())
            .detail("state", target.liveness));
    }
    let (ended, released) = context.write_claims(&project, &store, true, false, |txn, access| {
        let released = if release { sessions::release_all(txn, id, access)? } else { Vec::new() };
        let ended = match &target.record {
            Some(_) => sessions::note_end(txn, id, Op::End)?,
            // so that what it has is free at once, and stays so
            None => sessions::note_unrecorded(txn, id, Op::End)?,
        };
        Ok((ended, released))
    })?;
    let in_files = match sessions::end(&folders, id, author.now)? {
        Ended::Held(holder) => return Err(held(id, holder.and_then(|it| it.process).as_ref())),
        Ended::Done => target.record.is_none(),
        Ended::Absent => false,
    };
    report_end(context, id, ended || in_files, &released)
}

fn report_end(context: &Context, id: &SessionId, ended: bool, released: &[IssueId]) -> CliResult<()> {
    if context.json {
        return output::json(&json!({ "id": id.as_str(), "ended": ended, "released": released }));
    }
    let first = if ended { format!("ended session {id}\n") } else { format!("session {id} is over already\n") };
    let released = released.iter().map(|issue| format!("released issue #{issue}\n"));
    output::text(&std::iter::once(first).chain(released).collect::<String>())
}

const fn word(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Alive => "alive",
        Liveness::Dead => "dead",
        Liveness::Unknown => "may be alive",
    }
}

/// Only the process that holds a lock can give it back.
fn held(id: &SessionId, holder: Option<&Process>) -> CliError {
    let gone = holder.is_some_and(|holder| process::state(holder, None) == Liveness::Dead);
    let error = if gone {
        let message =
            format!("session {id} is alive: the process that began it is gone, but one that it started runs on");
        CliError::new(Code::Claimed, message)
            .hint(format!("end that process, or wait for it; `fuser -v .oxi/issues/.alive/{id}` finds it"))
    } else {
        let holder = holder.map_or_else(|| "the process that holds it".to_owned(), described);
        CliError::new(Code::Claimed, format!("session {id} is alive: it ends when {holder} ends"))
            .hint("end that process, or wait for it")
    };
    error.detail("session", id.as_str())
}

fn described(process: &Process) -> String {
    let host = process.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    format!("process {}{host}", process.pid)
}

fn find(
    context: &Context,
    project: &Project,
    read: &ReadTxn,
    folders: &[Dir],
    text: Option<&str>,
) -> CliResult<Target> {
    let text = match text {
        Some(text) => text.to_owned(),
        None => match context.session()? {
            Some(session) => session.as_str().to_owned(),
            None => {
                return Err(CliError::usage("which session?")
                    .hint("name it: `oxi-state session end ID`; `oxi-state session list` shows them"));
            }
        },
    };
    // a lock file of exactly that name is no beginning of another's
    let has_lock = sessions::evidence(folders, &text).iter().any(|evidence| evidence.lock != LockState::Absent);
    let record = match sessions::find(read, &text)? {
        Found::One(session) if session.id.as_str() == text || !has_lock => Some(*session),
        Found::Several(ids) if !has_lock => {
            return Err(CliError::usage(format!("{} sessions begin with {text:?}", ids.len()))
                .hint("give more of the id; `oxi-state session list --all` shows them")
                .detail("ids", ids));
        }
        _ => None,
    };
    let id = match &record {
        Some(session) => session.id.clone(),
        None => text.parse().map_err(|error| CliError::usage(format!("session {text:?}: {error}")))?,
    };
    let evidence = sessions::evidence(folders, id.as_str());
    if sessions::is_held(&evidence) {
        return Err(held(&id, sessions::holder(&evidence)));
    }
    let has_traces = evidence.iter().any(|evidence| evidence.lock != LockState::Absent);
    if record.is_none() && !has_traces && sessions::owned(read, &id)?.is_empty() {
        return Err(CliError::new(Code::NotFound, format!("session {id} not found"))
            .hint("`oxi-state session list --all` shows those that are known")
            .detail("session", id.as_str()));
    }
    let lives = crate::liveness::judge(&evidence, None, false) == Standing::Alive;
    if has_traces && (record.is_none() || lives) && sessions::is_of_another_tree(project, &id)? {
        let message = format!("session {id} was registered in another work tree");
        return Err(CliError::new(Code::Claimed, message).hint("end it there").detail("session", id.as_str()));
    }
    let liveness = match &record {
        Some(session) => sessions::liveness(&evidence, session, now(), context.remote_ttl()),
        None => crate::liveness::judge(&evidence, None, false).with_claim(false),
    };
    Ok(Target { id, record, liveness })
}

pub(super) fn reap(context: &Context, dry_run: bool) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let folders = sessions::existing_folders(&project)?;
    let (ended, locks) = if dry_run {
        let dead = sessions::dead(&*store.read()?, &folders, now(), context.remote_ttl())?;
        (dead, sessions::reap_locks(&folders, now(), MIN_AGE, true)?)
    } else {
        bury(context, &project, &store, &folders)?
    };
    if context.json {
        return output::json(&json!({ "locks": locks, "ended": ended }));
    }
    let (end, remove) = if dry_run { ("would end", "would remove") } else { ("ended", "removed") };
    let ended = ended.iter().map(|id| format!("{end} session {id}\n"));
    let locks = locks.iter().map(|id| format!("{remove} the lock file of {id}\n"));
    let mut text: String = ended.chain(locks).collect();
    if text.is_empty() {
        text.push_str("nothing to do\n");
    }
    output::text(&printable(&text, true))
}

/// Writes down who is dead, which also takes their claims from the other work trees' sight; then removes old lock files.
/// In this order, because the lock files are what tells that their sessions are dead.
fn bury(
    context: &Context,
    project: &Project,
    store: &Store,
    folders: &[Dir],
) -> CliResult<(Vec<SessionId>, Vec<SessionId>)> {
    let ended = context.write_claims(project, store, false, false, |txn, _| {
        Ok::<_, CliError>(sessions::note_dead(txn, folders, context.remote_ttl())?)
    })?;
    Ok((ended, sessions::reap_locks(folders, now(), MIN_AGE, false)?))
}

/// As `session reap`, where there is a lock file to be removed. In passing: what fails now will be done another time.
pub(super) fn reap_in_passing(context: &Context, project: &Project, store: &Store, folders: &[Dir]) {
    if sessions::reap_locks(folders, now(), MIN_AGE, true).is_ok_and(|locks| !locks.is_empty()) {
        let _ = bury(context, project, store, folders);
    }
}
