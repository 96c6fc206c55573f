//! Sessions as programs and people see them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::db::StoreError;
use crate::db::query::{Classes, Query, Sort};
use crate::db::tables::{Readable, Tables};
use crate::liveness::{Known, Liveness, Watch};
use crate::project::Project;
use crate::schema::id::{IssueId, SessionId, printable};
use crate::schema::session::{Branch, Counts, Session, SessionState, Source, SourceFile, Tokens};
use crate::schema::time::Timestamp;
use crate::worktrees::Shared;

use super::super::context::{self, Context};
use super::super::error::CliResult;
use super::find::Holder;

/// A session: `session show`, and an element of `session list`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct SessionJson {
    pub(super) id: SessionId,
    /// Null for a session that holds a lock and was never registered.
    source: Option<Source>,
    name: Option<String>,
    state: SessionState,
    /// Whether it is alive; null if it cannot be told.
    pub(super) alive: Option<bool>,
    pub(super) parent: Option<SessionId>,
    root: SessionId,
    pub(super) fork_point: Option<String>,
    leaf: Option<String>,
    file: Option<SourceFile>,
    format: Option<u32>,
    project: Option<String>,
    models: Vec<String>,
    stop_reason: Option<String>,
    counts: Counts,
    tokens: Tokens,
    /// Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    branches: Option<Vec<Branch>>,
    /// The issues that are linked to it or that it has.
    issues: Vec<IssueId>,
    bad_lines: u64,
    truncated: bool,
    pid: Option<u32>,
    created_at: Option<Timestamp>,
    pub(super) last_activity_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

/// Who is alive.
pub(in crate::cli) fn watch(context: &Context, project: &Project) -> CliResult<Watch> {
    let watch = match Shared::find(project) {
        Ok(shared) => Watch::of(project, shared.as_ref(), context::now())?,
        // a query goes on without what it may not look into, but calls nobody dead then
        Err(_) => Watch::of(project, None, context::now())?.blinded(),
    };
    Ok(watch.with_remote_ttl(context.remote_ttl()))
}

/// Whether a session is alive.
pub(super) fn alive_of(watch: &Watch, session: &Session) -> Liveness {
    watch.session(session.id.as_str(), Known::of(session)).with_claim(false)
}

const fn as_json(liveness: Liveness) -> Option<bool> {
    match liveness {
        Liveness::Alive => Some(true),
        Liveness::Dead => Some(false),
        Liveness::Unknown => None,
    }
}

/// The issues that are linked to a session or that it has.
fn issues<T: Readable>(tables: &Tables<T>, id: &SessionId) -> Result<Vec<IssueId>, StoreError> {
    let session = Some(id.as_str().to_owned());
    let query = Query { classes: Classes::ALL, session, sort: Sort::Id, ..Query::default() };
    Ok(tables.list(&query, |_| Ok(true))?.into_iter().map(|stored| stored.head.id).collect())
}

impl SessionJson {
    pub(super) fn new<T: Readable>(tables: &Tables<T>, watch: &Watch, session: Session) -> Result<Self, StoreError> {
        let holder = watch.holder(session.id.as_str());
        Ok(Self {
            issues: issues(tables, &session.id)?,
            alive: as_json(alive_of(watch, &session)),
            id: session.id,
            source: Some(session.source),
            name: session.name,
            state: session.state,
            parent: session.parent,
            root: session.root,
            fork_point: session.fork_point,
            leaf: session.leaf,
            file: session.file,
            format: session.format,
            project: session.project,
            models: session.models,
            stop_reason: session.stop_reason,
            counts: session.counts,
            tokens: session.tokens,
            branches: Some(session.branches),
            bad_lines: session.bad_lines,
            truncated: session.truncated,
            // of a command that runs, the lock file knows more than the record
            pid: holder.or(session.process).map(|process| process.pid),
            created_at: Some(session.created_at),
            last_activity_at: Some(session.last_activity_at),
            ended_at: session.ended_at,
        })
    }

    /// One that holds a lock and has no record.
    pub(super) fn of_holder<T: Readable>(tables: &Tables<T>, holder: Holder) -> Result<Self, StoreError> {
        let watch = Watch::new(Vec::new(), context::now());
        // the times of this are never shown
        let blank = Session::begin(holder.id, context::now());
        Ok(Self {
            source: None,
            alive: Some(true),
            pid: holder.pid,
            created_at: holder.started,
            last_activity_at: holder.started,
            ..Self::new(tables, &watch, blank)?
        })
    }

    /// Its id.
    pub(in crate::cli) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// As it is in a list.
    pub(super) fn in_list(self) -> Self {
        Self { branches: None, ..self }
    }

    /// What follows its branch points.
    pub(super) fn branches(&self) -> &[Branch] {
        self.branches.as_deref().unwrap_or_default()
    }

    /// What it is about, in few words: whose it is, and how much.
    pub(super) fn about(&self) -> String {
        let Counts { entries, users, assistants, .. } = self.counts;
        let mut about = vec![self.source.map_or("unregistered", Source::as_str).to_owned()];
        if entries > 0 {
            about.push(format!("{}, {users} user, {assistants} assistant", count(entries, "entry", "entries")));
        }
        if self.tokens.total > 0 {
            about.push(format!("{} tokens", self.tokens.total));
        }
        about.join(", ")
    }

    fn alive_word(&self) -> &'static str {
        match self.alive {
            Some(true) => "alive",
            Some(false) => "dead",
            None if self.state == SessionState::Recorded => "-",
            None => "unknown",
        }
    }
}

pub(super) const DIM: Style = Style::new().effects(Effects::DIMMED);
pub(super) const BOLD: Style = Style::new().bold();

const fn alive_style(alive: Option<bool>) -> Style {
    match alive {
        Some(true) => AnsiColor::Green.on_default(),
        Some(false) => DIM,
        None => Style::new(),
    }
}

/// A list of sessions, or what to say if there is none.
pub(super) fn list(sessions: &[SessionJson], all: bool) -> String {
    if sessions.is_empty() {
        return if all { "no sessions\n" } else { "no active sessions\n" }.into();
    }
    let width = |cell: fn(&SessionJson) -> usize| sessions.iter().map(cell).max().unwrap_or(0);
    let id_width = width(|session| printable(session.id.as_str(), false).chars().count());
    let mut text = String::new();
    for session in sessions {
        let style = alive_style(session.alive);
        let time = session.last_activity_at.map_or_else(|| "-".to_owned(), second);
        let _ = write!(
            text,
            "{:<id_width$}  {:<8}  {style}{:<7}{style:#}  {time:<20}",
            printable(session.id.as_str(), false),
            session.state.as_str(),
            session.alive_word(),
        );
        let _ = write!(text, "  {DIM}{}{DIM:#}", session.about());
        if let Some(name) = &session.name {
            let _ = write!(text, "  {}", printable(name, false));
        }
        if !session.issues.is_empty() {
            let _ = write!(text, "  {}", numbers(&session.issues));
        }
        text.push('\n');
    }
    text
}

/// A number with its noun.
pub(super) fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// A time to the second.
fn second(time: Timestamp) -> String {
    time.get().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn numbers(ids: &[IssueId]) -> String {
    ids.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(" ")
}

/// A whole session.
pub(super) fn full(session: &SessionJson) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}\n", printable(session.id.as_str(), false));
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {DIM}{name:<13}{DIM:#} {}", printable(&value, false));
        }
    };
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let text_of = |text: &Option<String>| text.clone().unwrap_or_default();
    field("name", text_of(&session.name));
    field("source", session.source.map_or("unregistered", Source::as_str).to_owned());
    let alive = if session.alive_word() == "-" { String::new() } else { format!(" ({})", session.alive_word()) };
    field("state", format!("{}{alive}", session.state.as_str()));
    field("pid", session.pid.map(|pid| pid.to_string()).unwrap_or_default());
    field("issues", numbers(&session.issues));
    field("parent", session.parent.as_ref().map(ToString::to_string).unwrap_or_default());
    field("forked at", text_of(&session.fork_point));
    field("root", session.root.to_string());
    field("project", text_of(&session.project));
    if let Some(file) = &session.file {
        let format = session.format.map(|format| format!(", format {format}")).unwrap_or_default();
        field("file", format!("{} ({} bytes{format})", file.path, file.size));
        field("sha256", file.sha256.clone());
        let Counts { entries, users, assistants, tool_results, branches, compactions, labels } = session.counts;
        field("entries", entries.to_string());
        let results = count(tool_results, "tool result", "tool results");
        field("messages", format!("{users} user, {assistants} assistant, {results}"));
        let named = session.branches().len();
        field(
            "branches",
            if branches == 0 { "none".into() } else { format!("{named} from {}", count(branches, "entry", "entries")) },
        );
        field("compactions", format!("{compactions}, labels {labels}"));
        let Tokens { input, output, cache_read, cache_write, total } = session.tokens;
        field(
            "tokens",
            format!("{total} (input {input}, output {output}, cache read {cache_read}, cache written {cache_write})"),
        );
        field("leaf", text_of(&session.leaf));
        let cut = if session.truncated { ", the last line is cut off" } else { "" };
        let bad = if session.bad_lines > 0 { format!("{} bad", session.bad_lines) } else { String::new() };
        field("lines", format!("{bad}{cut}").trim_start_matches(", ").to_owned());
    }
    field("models", session.models.join(", "));
    field("stopped by", text_of(&session.stop_reason));
    field("created", time(session.created_at));
    field("last activity", time(session.last_activity_at));
    field("ended", time(session.ended_at));
    text
}
