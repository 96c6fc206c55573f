//! Which session is meant: by its id, or by the beginning of its id; and those that hold a lock and have no record.

use crate::db::tables::{Readable, Tables};
use crate::liveness::{self, Known, Standing, Watch};
use crate::project::Project;
use crate::schema::id::SessionId;
use crate::schema::session::Session;
use crate::schema::time::Timestamp;
use crate::sessions;

use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};

/// How many candidates an error names.
const MAX_NAMED: usize = 10;

/// A session that holds its lock.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) id: SessionId,
    /// The process that holds it, as the lock file says.
    pub(super) pid: Option<u32>,
    /// Since when, as the lock file says.
    pub(super) started: Option<Timestamp>,
}

/// The one session that a text means.
pub(super) fn session<T: Readable>(tables: &Tables<T>, text: &str) -> CliResult<Session> {
    match candidates(tables, text)? {
        mut found if found.len() == 1 => Ok(found.remove(0)),
        found if found.is_empty() => Err(missing(text)),
        found => Err(ambiguous(text, found.into_iter().map(|session| session.id))),
    }
}

/// The sessions that a text may mean: the one of that id, or those whose ids begin so.
pub(super) fn candidates<T: Readable>(tables: &Tables<T>, text: &str) -> CliResult<Vec<Session>> {
    if text.is_empty() {
        return Err(CliError::usage("the session's id is empty"));
    }
    Ok(match tables.record(text)? {
        Some(session) => vec![session],
        None => tables.records_from(text)?,
    })
}

pub(super) fn missing(text: &str) -> CliError {
    if let Err(rule) = text.parse::<SessionId>() {
        return CliError::usage(format!("session {text:?}: {rule}"));
    }
    CliError::new(Code::NotFound, format!("no session is called {text}, and no id begins so"))
        .hint("`oxi-state session list --all` shows what there is")
        .detail("id", text)
}

pub(super) fn ambiguous(text: &str, ids: impl Iterator<Item = SessionId>) -> CliError {
    let all: Vec<String> = ids.map(|id| id.to_string()).collect();
    let named = all[..all.len().min(MAX_NAMED)].join(", ");
    let more = if all.len() > MAX_NAMED { format!(" and {} more", all.len() - MAX_NAMED) } else { String::new() };
    CliError::new(Code::Usage, format!("{} sessions have ids that begin with {text}: {named}{more}", all.len()))
        .hint("give more of the id")
        .detail("candidates", all)
}

/// The caller's session, where a command was not told one.
pub(super) fn callers(context: &Context) -> CliResult<SessionId> {
    context.session()?.ok_or_else(|| {
        CliError::usage("which session? none was named, and you are not one")
            .hint("name it, or set OXI_STATE_SESSION; `oxi-state session list --all` shows what there is")
    })
}

/// The sessions that live and have no record here: those that the original runs, and those of other work trees.
pub(super) fn holders<T: Readable>(tables: &Tables<T>, project: &Project, watch: &Watch) -> CliResult<Vec<Holder>> {
    let mut found: Vec<Holder> = Vec::new();
    for folder in sessions::existing_folders(project)? {
        for id in folder.names()?.iter().filter_map(|name| name.parse::<SessionId>().ok()) {
            let known = tables.record::<Session>(id.as_str())?.is_some() || found.iter().any(|holder| holder.id == id);
            if known || watch.session(id.as_str(), Known::default()) != Standing::Alive {
                continue;
            }
            let payload = liveness::read_payload(&folder, &id).unwrap_or_default();
            let started = payload.started.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
            let pid = payload.process.map(|process| process.pid);
            found.push(Holder { id, pid, started: started.map(Timestamp::new) });
        }
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}
