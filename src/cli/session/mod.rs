//! `oxi-state session …`

mod find;
mod import;
mod lifecycle;
mod query;
mod run;
mod tree;
mod view;

pub(super) use import::SessionImportJson;
pub(super) use query::listed;
pub(super) use tree::SessionTreeJson;
pub(super) use view::{SessionJson, watch};

use crate::db::Store;
use crate::fs::Dir;
use crate::project::Project;
use crate::schema::id::{SessionId, is_deceptive};
use crate::schema::issue::Status;
use crate::schema::privacy::{self, Policy};
use crate::schema::process::Process;
use crate::schema::session::MAX_NAME;
use crate::sessions;

use super::args::SessionCommand;
use super::context::{Context, now};
use super::error::{CliError, CliResult, Code};

/// Answers the exit code of the command that was run, where one was.
pub(super) fn run(context: &Context, command: SessionCommand) -> CliResult<u8> {
    match command {
        SessionCommand::Run(args) => return run::run(context, *args.0),
        SessionCommand::Import(args) => return import::run(context, &args),
        SessionCommand::Start(args) => lifecycle::start(context, *args.0),
        SessionCommand::End { id, release, force } => lifecycle::end(context, id.as_deref(), release, force),
        SessionCommand::Reap { dry_run } => lifecycle::reap(context, dry_run),
        SessionCommand::List { all, limit } => query::list(context, all, limit),
        SessionCommand::Show { id } => query::show(context, id.as_deref()),
        SessionCommand::Tree { id } => tree::run(context, id.as_deref()),
        SessionCommand::Fork(args) => query::fork(context, *args.0),
        SessionCommand::Link { id, issues } => query::link(context, &id, &issues),
        SessionCommand::Delete { ids, force } => query::delete(context, &ids, force),
    }
    .map(|()| 0)
}

/// A new id.
fn generate() -> CliResult<SessionId> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Code::Error, format!("the system gives no random numbers: {error}")))?;
    Ok(SessionId::generate(now(), random))
}

/// The id of a session that begins: what `--id` says, else what `--session` says (not the environment, which names the
/// session that the caller is in), else a new one.
fn beginning_id(context: &Context, id: Option<SessionId>) -> CliResult<SessionId> {
    match (id, context.session_flag()) {
        (Some(id), _) => check_id(context, id),
        (None, Some(_)) => context.session()?.map_or_else(generate, Ok),
        (None, None) => generate(),
    }
}

/// An id that the caller chose, as it may be stored.
fn check_id(context: &Context, id: SessionId) -> CliResult<SessionId> {
    context.refuse_secret("session", id.as_str())?;
    Ok(id)
}

/// A name for people, as it may be stored.
fn check_name(context: &Context, name: String) -> CliResult<String> {
    context.refuse_secret("name", &name)?;
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(is_deceptive) {
        return Err(CliError::usage(format!(
            "a session's name is 1 to {MAX_NAME} bytes on one line without control characters"
        )));
    }
    Ok(name)
}

/// The folders of lock files. The issues folder is made for them only where no issue is known: a missing one means more
/// to the mirror than an empty one.
fn folders(project: &Project, store: &Store) -> CliResult<Vec<Dir>> {
    if project.issues()?.is_none() {
        let counters = store.read()?.counters()?;
        if counters.with_status(Status::Open) + counters.with_status(Status::Closed) > 0 {
            return Err(CliError::new(Code::NotFound, format!("{} is missing", project.issues_path()))
                .hint("sessions leave their locks there; `oxi-state export` or git brings it back"));
        }
    }
    Ok(sessions::folders(project)?)
}

/// Where in the project the caller works; none elsewhere, or if the path is better not stored.
fn working_place(project: &Project) -> Option<String> {
    let current = std::env::current_dir().ok()?;
    let beneath = current.strip_prefix(project.root()).ok()?.to_str()?;
    let place = if beneath.is_empty() { "." } else { beneath };
    let harmless = !place.chars().any(is_deceptive) && privacy::check(place, &Policy::default()).is_ok();
    harmless.then(|| place.to_owned())
}

/// Another process lives as that session.
fn taken(id: &SessionId, holder: Option<&Process>) -> CliError {
    let by = holder.map_or_else(
        || "another process holds its lock".to_owned(),
        |process| {
            let host = process.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            format!("it is process {}{host}", process.pid)
        },
    );
    CliError::new(Code::Claimed, format!("session {id} is alive already: {by}"))
        .hint("choose another with --id, or leave it out for a new one; or end that process")
        .detail("session", id.as_str())
        .detail("pid", holder.map(|process| process.pid))
        .detail("host", holder.and_then(|process| process.host.clone()))
}
