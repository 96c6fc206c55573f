//! Issues as programs and people see them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Serialize;

use crate::claims::{Access, Owner};
use crate::db::StoreError;
use crate::db::record::StoredHead;
use crate::db::tables::{Readable, Tables};
use crate::liveness::{Liveness, Watch};
use crate::project::Project;
use crate::schema::id::{IssueId, printable};
use crate::schema::issue::{Assignment, GithubRef, IssueHead, Priority, Status};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;
use crate::worktrees::{Claims, Shared};

use super::context::Context;
use super::error::CliError;

/// An issue without its body: an element of `issue list`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct IssueJson {
    id: IssueId,
    title: String,
    status: Status,
    priority: Priority,
    labels: Vec<String>,
    assignee: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    closed_at: Option<Timestamp>,
    sessions: Vec<String>,
    assigned_to: Option<Assignment>,
    github: Option<GithubRef>,
    /// The numbers of the issues it depends on.
    depends_on: Vec<IssueId>,
    /// Its file, from the project's root.
    path: String,
    /// What `--expect` compares: 16 hexadecimal digits.
    hash: String,
    /// Keys that oxi-state does not know.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    extra: BTreeMap<String, Value>,
}

/// An issue in a list that was asked about owners.
#[derive(Debug, Serialize)]
pub(super) struct OwnedIssueJson {
    #[serde(flatten)]
    head: IssueJson,
    owner_alive: Option<bool>,
}

impl OwnedIssueJson {
    pub(super) fn new(head: IssueJson, owner: Option<Owner>) -> Self {
        let owner_alive = owner.as_ref().and_then(is_alive);
        Self { head: IssueJson { assigned_to: owner.map(|owner| owner.assignment), ..head }, owner_alive }
    }
}

/// A whole issue: `issue show` and the commands that change one.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FullIssueJson {
    #[serde(flatten)]
    head: IssueJson,
    body: String,
    /// The open issues it waits for.
    blocked_by: Vec<IssueId>,
    /// Whether the session that has it is alive; null if none has it or it cannot be told.
    owner_alive: Option<bool>,
    /// The other work tree that it was claimed in, in words.
    #[serde(skip)]
    elsewhere: Option<String>,
    /// The other work tree that closed it, in words, while this one has not merged that.
    #[serde(skip)]
    closed_elsewhere: Option<String>,
    /// The claim that was ended by taking the issue; only there if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    taken_from: Option<Assignment>,
    /// The pinned validations.
    #[schemars(with = "Vec<serde_json::Value>")]
    validations: Vec<Value>,
    /// The open handoffs.
    #[schemars(with = "Vec<serde_json::Value>")]
    handoffs: Vec<Value>,
}

impl IssueJson {
    pub(super) fn new<T: Readable>(
        tables: &Tables<T>,
        project: &Project,
        stored: StoredHead,
    ) -> Result<Self, StoreError> {
        let StoredHead { head, hash, .. } = stored;
        let path = project.issue_path(head.file_name());
        let mut depends_on = Vec::with_capacity(head.depends_on.len());
        for link in &head.depends_on {
            // the number of an issue that is gone may be another's by now
            let gone = || tables.head(link.id).map(|other| other.is_none().then_some(link.id));
            depends_on.extend(tables.resolve(link)?.map_or_else(gone, |id| Ok(Some(id)))?);
        }
        Ok(Self {
            id: head.id,
            title: head.title,
            status: head.status,
            priority: head.priority,
            labels: head.labels,
            assignee: head.assignee,
            created_at: head.created_at,
            updated_at: head.updated_at,
            closed_at: head.closed_at,
            sessions: head.sessions,
            assigned_to: head.assigned_to,
            github: head.github,
            depends_on,
            path,
            hash: hash.to_string(),
            extra: head.extra.into_iter().map(|(name, extra)| (name, extra.value)).collect(),
        })
    }
}

impl IssueJson {
    /// With who has it, whoever told.
    pub(super) fn claimed_by(self, owner: Option<Owner>) -> Self {
        Self { assigned_to: owner.map(|owner| owner.assignment), ..self }
    }
}

/// Tells who has an issue and whether they are alive. Looks around only once it is asked.
pub(super) struct Owners {
    project: Project,
    remote_ttl: TimeDelta,
    seen: OnceCell<(Option<Shared>, Watch, Claims)>,
}

impl Owners {
    pub(super) fn new(context: &Context, project: &Project) -> Self {
        Self { project: project.clone(), remote_ttl: context.remote_ttl(), seen: OnceCell::new() }
    }

    fn seen(&self) -> Result<&(Option<Shared>, Watch, Claims), StoreError> {
        if let Some(seen) = self.seen.get() {
            return Ok(seen);
        }
        let now = super::context::now();
        let told = Shared::find(&self.project).and_then(|shared| {
            let claims = shared.as_ref().map(Shared::claims).transpose()?.unwrap_or_default();
            Ok((shared, claims))
        });
        // a query goes on without what it may not look into, and says so, but calls nobody dead then
        let (shared, watch, claims) = match told {
            Ok((shared, claims)) => {
                let watch = Watch::of(&self.project, shared.as_ref(), now)?;
                (shared, watch, claims)
            }
            Err(error) => {
                CliError::from(error).warn(
                    "what looks free may be taken in another work tree: they tell of it there; let whoever works here \
                     read it, as git's own directory",
                );
                (None, Watch::of(&self.project, None, now)?.blinded(), Claims::default())
            }
        };
        let watch = watch.with_remote_ttl(self.remote_ttl);
        Ok(self.seen.get_or_init(|| (shared, watch, claims)))
    }

    /// What the rules of ownership need to know.
    pub(super) fn access(&self, force: bool) -> Result<Access<'_>, StoreError> {
        let (_, watch, claims) = self.seen()?;
        Ok(Access { watch, claims, force })
    }

    /// Who has an issue.
    pub(super) fn of<T: Readable>(&self, tables: &Tables<T>, head: &IssueHead) -> Result<Option<Owner>, StoreError> {
        self.access(false)?.owner(tables, head)
    }

    /// Whether nobody who lives, or may live, has the issue.
    pub(super) fn is_free<T: Readable>(&self, tables: &Tables<T>, head: &IssueHead) -> Result<bool, StoreError> {
        self.access(false)?.is_free(tables, head)
    }

    /// Whether other work trees have claimed anything. This one's own claims are records.
    pub(super) fn are_elsewhere<T: Readable>(&self, tables: &Tables<T>) -> Result<bool, StoreError> {
        let claims = &self.seen()?.2;
        let store = claims.store(|| tables.store_id())?;
        Ok(claims.iter().any(|claim| !claims.is_of(claim, store)))
    }
}

/// Whether an owner is alive, as JSON says it.
pub(super) const fn is_alive(owner: &Owner) -> Option<bool> {
    match owner.liveness {
        Liveness::Alive => Some(true),
        Liveness::Dead => Some(false),
        Liveness::Unknown => None,
    }
}

impl FullIssueJson {
    pub(super) fn new<T: Readable>(
        tables: &Tables<T>,
        project: &Project,
        owners: &Owners,
        stored: StoredHead,
    ) -> Result<Self, StoreError> {
        let head = &stored.head;
        let owner = owners.of(tables, head)?;
        let values =
            |linked: &[crate::schema::issue::Linked]| linked.iter().map(|linked| linked.value.clone()).collect();
        Ok(Self {
            body: tables.body(head.id)?,
            blocked_by: tables.open_dependencies(&head.depends_on)?,
            owner_alive: owner.as_ref().and_then(is_alive),
            validations: values(&head.validations),
            handoffs: values(&head.handoffs),
            elsewhere: owner.as_ref().and_then(|owner| owner.elsewhere.clone()),
            closed_elsewhere: owners
                .access(false)?
                .closed_elsewhere(head)
                .map(|closing| format!("in {}, not merged here yet", closing.place())),
            taken_from: None,
            head: IssueJson {
                assigned_to: owner.map(|owner| owner.assignment),
                ..IssueJson::new(tables, project, stored)?
            },
        })
    }
}

impl FullIssueJson {
    /// With the claim that was ended by taking the issue.
    pub(super) fn taken_from(self, taken_from: Option<Assignment>) -> Self {
        Self { taken_from, ..self }
    }

    /// Whether the session that has it is alive.
    pub(super) fn owner_alive(&self) -> Option<bool> {
        self.owner_alive
    }
}

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().bold();

const fn priority_style(priority: Priority) -> Style {
    match priority {
        Priority::Critical => AnsiColor::Red.on_default().bold(),
        Priority::High => AnsiColor::Yellow.on_default(),
        Priority::Medium => Style::new(),
        Priority::Low => DIM,
    }
}

/// One line for a list; who has it as `owner` says, or as the record does.
fn line(stored: &StoredHead, owner: Option<&Owner>, id_width: usize) -> String {
    let head = &stored.head;
    let state = match head.status {
        Status::Closed => format!("{DIM}closed {DIM:#}"),
        Status::Open if stored.blocked => {
            let style = AnsiColor::Magenta.on_default();
            format!("{style}blocked{style:#}")
        }
        Status::Open => {
            let style = AnsiColor::Green.on_default();
            format!("{style}open   {style:#}")
        }
    };
    let style = priority_style(head.priority);
    let taken_by = match owner {
        Some(owner) => {
            let place = owner.elsewhere.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
            Some(format!("{}, {}{place}", owner.assignment.session, owner.liveness))
        }
        None => head.owner().map(|owner| owner.session.clone()),
    };
    let mark = if taken_by.is_some() { "▣ " } else { "" };
    let mut text = format!(
        "#{:<id_width$}  {state}  {style}{:<8}{style:#}  {mark}{}",
        head.id.0,
        head.priority.as_str(),
        printable(&head.title, false)
    );
    if !head.labels.is_empty() {
        let _ = write!(text, "  {DIM}{}{DIM:#}", printable(&head.labels.join(", "), false));
    }
    if let Some(taken_by) = taken_by {
        let _ = write!(text, "  {DIM}({}){DIM:#}", printable(&taken_by, false));
    }
    text.push('\n');
    text
}

/// A list of issues, or what to say if there is none.
pub(super) fn list(heads: &[StoredHead], owners: &[Option<Owner>]) -> String {
    if heads.is_empty() {
        return "no issues\n".into();
    }
    let width = heads.iter().map(|stored| stored.head.id.0.max(1).ilog10() as usize + 1).max().unwrap_or(1);
    let owner = |index: usize| owners.get(index).and_then(Option::as_ref);
    heads.iter().enumerate().map(|(index, stored)| line(stored, owner(index), width)).collect()
}

/// A whole issue.
pub(super) fn full(issue: &FullIssueJson) -> String {
    let head = &issue.head;
    let mut text = format!("{BOLD}#{}  {}{BOLD:#}\n", head.id, printable(&head.title, false));
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {DIM}{name:<11}{DIM:#} {}", printable(&value, false));
        }
    };
    let blocked =
        if issue.blocked_by.is_empty() { String::new() } else { format!(", waits for {}", numbers(&issue.blocked_by)) };
    field("status", format!("{}{blocked}", head.status));
    field("priority", head.priority.to_string());
    field("labels", head.labels.join(", "));
    field("assignee", head.assignee.clone().unwrap_or_default());
    if let Some(owner) = &head.assigned_to {
        let alive = match issue.owner_alive {
            Some(true) => "alive",
            Some(false) => "dead",
            None => "unknown",
        };
        let place = issue.elsewhere.as_ref().map(|place| format!(", in {place}")).unwrap_or_default();
        field("taken by", format!("{} ({alive}){place}, since {}", owner.session, owner.acquired_at));
    }
    field("closed", issue.closed_elsewhere.clone().unwrap_or_default());
    field("depends on", numbers(&head.depends_on));
    field("sessions", head.sessions.join(", "));
    field("github", head.github.as_ref().map(|github| github.url.clone()).unwrap_or_default());
    for (name, value) in &head.extra {
        field(name, plain(value));
    }
    for handoff in &issue.handoffs {
        field("handoff", entry(handoff, &["state", "summary"]));
    }
    for validation in &issue.validations {
        field("validation", entry(validation, &["result", "name", "summary"]));
    }
    field("created", head.created_at.to_string());
    field("updated", head.updated_at.to_string());
    field("closed", head.closed_at.map(|time| time.to_string()).unwrap_or_default());
    field("file", head.path.clone());
    field("hash", head.hash.clone());
    if !issue.body.is_empty() {
        let _ = write!(text, "\n{}", printable(&issue.body, true));
        if !issue.body.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

fn numbers(ids: &[IssueId]) -> String {
    ids.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ")
}

/// An entry of the issue's file on one line: its id, and what these fields say.
fn entry(entry: &Value, names: &[&str]) -> String {
    let fields = ["id"].iter().chain(names).filter_map(|name| entry.get(name)?.as_text());
    let first_lines: Vec<&str> = fields.map(|text| text.lines().next().unwrap_or_default()).collect();
    first_lines.join("  ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
