//! The tables: each row as the command that lists it prints it, but for what must not leave.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::agents;
use crate::db::record::Kind;
use crate::db::tables::{ReadRows, Tables};
use crate::export::border::Border;
use crate::export::snapshot::Table;
use crate::project::Project;
use crate::schema::document::SESSIONS;
use crate::schema::handoff::Handoff;
use crate::schema::id::Identity;
use crate::schema::issue::Status;
use crate::schema::pointer::PointerKind;
use crate::schema::session::Session;
use crate::schema::time::Timestamp;
use crate::schema::usage::{Telemetry, UsageDay};
use crate::schema::validation::Validation;
use crate::validations;

use super::super::agent::{AgentJson, liveness_of};
use super::super::context::{Context, now};
use super::super::doc::DocumentHeadJson;
use super::super::error::CliResult;
use super::super::issue::SummaryJson;
use super::super::keyed;
use super::super::output;
use super::super::session::{self, SessionJson};
use super::super::usage::UsageDayJson;
use super::super::view::{IssueJson, Owners, is_alive};
use super::latest::{ClaimJson, ExportsJson, Latest, Rows};

/// What of a session says neither who nor where.
const OF_A_SESSION: [&str; 12] = [
    "source",
    "state",
    "alive",
    "format",
    "models",
    "stop_reason",
    "counts",
    "tokens",
    "bad_lines",
    "created_at",
    "last_activity_at",
    "ended_at",
];

/// What of an agent says neither who nor where.
const OF_AN_AGENT: [&str; 12] = [
    "created_at",
    "expires_at",
    "agent_type",
    "agent_ver",
    "model",
    "prime_call_count",
    "alive",
    "expired",
    "context_bytes",
    "context_tokens",
    "commands",
    "last_seen_at",
];

type Read = Tables<ReadRows>;

/// All that goes into files.
pub(super) struct Found {
    pub(super) tables: Vec<Table>,
    pub(super) latest: Latest,
}

/// An issue as a snapshot has it: a line of `issues.jsonl`.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct SnapshotIssueJson {
    /// Without `sessions` and `assigned_to`, unless `export.session_ids` is set.
    #[serde(flatten)]
    issue: IssueJson,
    /// Whether it is open and waits for another open issue.
    blocked: bool,
    /// Whether a session has it.
    claimed: bool,
    /// Whether that session is alive; null if none has it or it cannot be told.
    owner_alive: Option<bool>,
}

pub(super) fn collect(context: &Context, project: &Project, read: &Read, border: &mut Border) -> CliResult<Found> {
    let now = now();
    learn_sessions(read, border)?;
    let sessions = sessions(context, project, read, border)?;
    let border = &*border;
    let owners = Owners::new(context, project);
    let (issues, claims) = issues(read, project, &owners, border)?;
    let handoffs = handoffs(read, border)?;
    let mut whole = BTreeMap::new();
    for (name, kind) in [
        ("pointers", Kind::Pointer),
        ("facts", Kind::Fact),
        ("runtime", Kind::Runtime),
        ("health", Kind::Health),
        ("registry", Kind::Registry),
    ] {
        whole.insert(name, small(read, kind, now, border)?);
    }
    let mut summary = SummaryJson::new(read)?;
    if let Some(title) = summary.latest_open_title() {
        *title = border.text(title).into_owned();
    }
    let next = read.next_ready(|stored| owners.is_free(read, &stored.head))?;
    let latest = Latest {
        now,
        revision: read.revision()?,
        store: read.store_id()?,
        exports: ExportsJson { session_ids: border.session_ids, paths: border.paths },
        root: border.paths.then(|| project.root().display().to_string()),
        summary,
        closed_count: read.counters()?.with_status(Status::Closed),
        next: next.map(|stored| stored.head.id),
        claims,
        validations: validation_rows(read, validations::latest(read)?, border)?,
        handoffs: handoffs.iter().filter(|(is_open, _)| *is_open).map(|(_, row)| row.clone()).collect(),
        whole,
    };
    let small = |name: &'static str| table(name, latest.whole.get(name).into_iter().flatten());
    let runs: Vec<Validation> = read.records()?;
    let tables = vec![
        issues,
        table("validations", validation_rows(read, runs, border)?),
        table("handoffs", handoffs.into_iter().map(|(_, row)| row)),
        small("pointers"),
        small("facts"),
        small("runtime"),
        small("health"),
        small("registry"),
        table("usage", read.records::<UsageDay>()?.iter().map(|row| passed(&UsageDayJson::of(row), border))),
        table("telemetry", read.records::<Telemetry>()?.iter().map(|row| passed(row, border))),
        documents(read, border)?,
        sessions,
        agents(context, project, read, now, border)?,
    ];
    Ok(Found { tables, latest })
}

fn table<R: Serialize>(name: &'static str, rows: impl IntoIterator<Item = R>) -> Table {
    let mut table = Table { name, ..Table::default() };
    rows.into_iter().for_each(|row| add(&mut table, &row));
    table
}

fn add(table: &mut Table, row: &impl Serialize) {
    output::add_line(row, &mut table.bytes);
    table.rows += 1;
}

/// A row as fields, its texts as they may pass.
fn passed(row: &impl Serialize, border: &Border) -> Map<String, Value> {
    // rows are structs of plain fields, which always are JSON objects
    let mut fields = match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    border.fields(&mut fields);
    fields
}

/// Every session that is known by its name: from records, from issues, from documents about sessions.
fn learn_sessions(read: &Read, border: &mut Border) -> CliResult<()> {
    if border.session_ids {
        return Ok(());
    }
    for session in read.records::<Session>()? {
        border.add_session(session.id.as_str());
    }
    for stored in read.all_heads()? {
        let head = stored?.head;
        head.sessions
            .iter()
            .chain(head.assigned_to.as_ref().map(|to| &to.session))
            .for_each(|id| border.add_session(id));
    }
    for document in read.documents()? {
        if is_about_a_session(document.category.as_str()) {
            border.add_session(document.name.as_str());
        }
    }
    for agent in agents::all(read)? {
        agent.session.iter().for_each(|id| border.add_session(id.as_str()));
    }
    for handoff in read.records::<Handoff>()? {
        handoff.session.iter().chain(&handoff.accepted_session).for_each(|id| border.add_session(id.as_str()));
    }
    Ok(())
}

fn is_about_a_session(category: &str) -> bool {
    category == SESSIONS || category.strip_prefix(SESSIONS).is_some_and(|rest| rest.starts_with('/'))
}

fn issues(read: &Read, project: &Project, owners: &Owners, border: &Border) -> CliResult<(Table, Vec<ClaimJson>)> {
    let mut table = Table { name: "issues", ..Table::default() };
    let mut claims = Vec::new();
    let elsewhere = owners.are_elsewhere(read)?;
    for stored in read.all_heads()? {
        let stored = stored?;
        let head = &stored.head;
        let may_be_claimed = head.owner().is_some() || elsewhere;
        let owner = if may_be_claimed { owners.of(read, head)? } else { None };
        let owner_alive = owner.as_ref().and_then(is_alive);
        if let Some(owner) = owner.as_ref().filter(|_| head.status == Status::Open) {
            claims.push(ClaimJson {
                id: head.id,
                title: border.text(&head.title).into_owned(),
                priority: head.priority,
                acquired_at: owner.assignment.acquired_at,
                owner_alive,
                session: border.session_ids.then(|| owner.assignment.session.clone()),
            });
        }
        let (blocked, claimed) = (stored.blocked, owner.is_some());
        let issue = IssueJson::new(read, project, stored)?.claimed_by(owner);
        let mut row = passed(&SnapshotIssueJson { issue, blocked, claimed, owner_alive }, border);
        if !border.session_ids {
            row.shift_remove("sessions");
            row.shift_remove("assigned_to");
        }
        add(&mut table, &row);
    }
    Ok((table, claims))
}

/// Empties fields that hold session ids by their meaning, unless those may pass.
fn empty_unless(may_pass: bool, row: &mut Map<String, Value>, names: &[&str]) {
    for name in names.iter().filter(|_| !may_pass) {
        row.get_mut(*name).into_iter().for_each(|value| *value = Value::Null);
    }
}

/// The present number of the issue that a record is about.
fn issue_number(read: &Read, issue: Option<&Identity>) -> CliResult<Value> {
    let id = issue.map(|issue| read.id_of(issue)).transpose()?.flatten();
    Ok(id.map(|id| id.0).into())
}

/// Handoffs, each with whether it is open.
fn handoffs(read: &Read, border: &Border) -> CliResult<Vec<(bool, Map<String, Value>)>> {
    let mut rows = Vec::new();
    for handoff in read.records::<Handoff>()? {
        let shown = [("issue_number", issue_number(read, handoff.issue.as_ref())?)];
        let mut row = keyed::json(&handoff, &shown);
        border.hide_sessions(&mut row, &["from", "to", "accepted_by"]);
        empty_unless(border.session_ids, &mut row, &["session", "accepted_session"]);
        border.fields(&mut row);
        rows.push((handoff.state.is_open(), row));
    }
    Ok(rows)
}

fn validation_rows(read: &Read, runs: Vec<Validation>, border: &Border) -> CliResult<Rows> {
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        let shown = [
            ("issue_number", issue_number(read, run.issue.as_ref())?),
            ("pinned", validations::is_pinned(read, &run)?.into()),
            // it would change with every commit, which is no change of the state; `commit` is there to compare
            ("stale", Value::Null),
        ];
        let mut row = keyed::json(&run, &shown);
        empty_unless(border.session_ids, &mut row, &["session"]);
        border.fields(&mut row);
        rows.push(row);
    }
    Ok(rows)
}

/// The small keyed records of a kind.
fn small(read: &Read, kind: Kind, now: Timestamp, border: &Border) -> CliResult<Rows> {
    let mut rows = keyed::listed(read, kind, now)?;
    for row in &mut rows {
        border.hide_sessions(row, &["name", "target", "value"]);
        if kind == Kind::Pointer && row.get("kind").is_some_and(|kind| kind == PointerKind::Session.as_str()) {
            empty_unless(border.session_ids, row, &["target"]);
        }
        for name in ["value", "source", "overrides"] {
            row.get_mut(name).into_iter().for_each(|value| border.hide_path(value));
        }
        border.fields(row);
    }
    Ok(rows)
}

/// Documents without their texts, which may be anything and are a command away.
fn documents(read: &Read, border: &Border) -> CliResult<Table> {
    let mut documents = read.documents()?;
    documents.retain(|document| border.session_ids || !is_about_a_session(document.category.as_str()));
    Ok(table("documents", documents.into_iter().map(|document| passed(&DocumentHeadJson::new(document), border))))
}

fn sessions(context: &Context, project: &Project, read: &Read, border: &mut Border) -> CliResult<Table> {
    let sessions = session::listed(read, project, &session::watch(context, project)?, true)?;
    // those that live without a record, too
    for session in &sessions {
        border.add_session(session.id());
    }
    let row = |session: &SessionJson| {
        let mut row = passed(session, border);
        if border.session_ids {
            row.get_mut("project").into_iter().for_each(|value| border.hide_path(value));
            row.get_mut("file")
                .and_then(|file| file.get_mut("path"))
                .into_iter()
                .for_each(|path| border.hide_path(path));
        } else {
            row.retain(|name, _| OF_A_SESSION.contains(&name.as_str()));
        }
        row
    };
    Ok(table("sessions", sessions.iter().map(row)))
}

fn agents(context: &Context, project: &Project, read: &Read, now: Timestamp, border: &Border) -> CliResult<Table> {
    let watch = session::watch(context, project)?;
    let mut table = Table { name: "agents", ..Table::default() };
    for agent in agents::all(read)? {
        let mut row = passed(&AgentJson::new(&agent, liveness_of(read, &watch, &agent)?, now), border);
        row.retain(|name, _| border.session_ids || OF_AN_AGENT.contains(&name.as_str()));
        add(&mut table, &row);
    }
    Ok(table)
}
