//! `issue list`, `show`, `search`, `summary`, `next`

use std::collections::HashMap;

use serde::Serialize;

use crate::claims::{Access, Owner};
use crate::db::query::{Classes, Query, Sort};
use crate::db::record::StoredHead;
use crate::db::tables::{Readable, Tables};
use crate::db::{ReadTxn, StoreError};
use crate::project::Project;
use crate::schema::id::IssueId;
use crate::schema::issue::{Priority, Status};

use super::super::args::{ClaimArgs, ListArgs, SortBy, StatusFilter};
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::super::view::{self, IssueJson, OwnedIssueJson, Owners};
use super::{claim, full, moved_note};

pub(super) fn list(context: &Context, args: ListArgs) -> CliResult<()> {
    let (project, read) = context.read()?;
    let owners = Owners::new(context, &project);
    let of_status = classes(args.status.unwrap_or(StatusFilter::Open));
    let query = Query {
        classes: match (args.ready, args.blocked) {
            (true, _) => of_status.and(Classes::READY),
            (_, true) => of_status.and(Classes::BLOCKED),
            _ => of_status,
        },
        priority: args.priority,
        labels: args.labels,
        assignee: args.assignee,
        session: args.session,
        // what other work trees have claimed is not assigned in this one
        assigned: (args.claimed && !owners.are_elsewhere(&read)?).then_some(true),
        text: args.text,
        sort: match args.sort {
            SortBy::Updated => Sort::Updated,
            SortBy::Created => Sort::Created,
            SortBy::Priority => Sort::Priority,
            SortBy::Id => Sort::Id,
        },
        reverse: args.reverse,
        limit: args.limit,
    };
    if !args.free && !args.claimed {
        let heads = read.list(&query, |_| Ok(true))?;
        return print(context, &project, read, heads);
    }
    let access = owners.access(false)?;
    // told here of those that are kept, since who lives may change meanwhile
    let mut owned = HashMap::new();
    let heads = read.list(&query, |stored| {
        let owner = access.owner(&read, &stored.head)?;
        let taken = owner.as_ref().is_some_and(Owner::holds);
        let keep = if args.free { !taken && access.closed_elsewhere(&stored.head).is_none() } else { taken };
        owned.extend(owner.filter(|_| keep).map(|owner| (stored.head.id, owner)));
        Ok(keep)
    })?;
    let found: Vec<_> = heads.iter().map(|stored| owned.remove(&stored.head.id)).collect();
    if !context.json {
        drop(read);
        return output::text(&view::list(&heads, &found));
    }
    let mut items = Vec::with_capacity(heads.len());
    for (stored, owner) in heads.into_iter().zip(found) {
        items.push(OwnedIssueJson::new(IssueJson::new(&read, &project, stored)?, owner));
    }
    drop(read);
    output::json_items(items)
}

/// Prints heads; the gate is let go before a slow reader of the output could keep it.
fn print(context: &Context, project: &Project, read: ReadTxn, heads: Vec<StoredHead>) -> CliResult<()> {
    if !context.json {
        drop(read);
        return output::text(&view::list(&heads, &[]));
    }
    // in the memory of the heads
    let items: Result<Vec<_>, _> = heads.into_iter().map(|stored| IssueJson::new(&read, project, stored)).collect();
    drop(read);
    output::json_items(items?)
}

const fn classes(status: StatusFilter) -> Classes {
    match status {
        StatusFilter::Open => Classes::OPEN,
        StatusFilter::Closed => Classes::CLOSED,
        StatusFilter::All => Classes::ALL,
    }
}

pub(super) fn show(context: &Context, ids: &[IssueId]) -> CliResult<()> {
    let (project, read) = context.read()?;
    let owners = Owners::new(context, &project);
    let mut issues = Vec::with_capacity(ids.len());
    let mut notes = Vec::new();
    for id in ids {
        issues.push(full(&read, &project, &owners, *id)?);
        notes.extend(moved_note(&read, *id)?);
    }
    drop(read);
    for note in notes {
        context.note(&format!("note: {note}"));
    }
    match (context.json, &issues[..]) {
        (true, [issue]) => output::json(issue),
        (true, issues) => output::json(&issues),
        (false, issues) => output::text(&issues.iter().map(view::full).collect::<Vec<_>>().join("\n")),
    }
}

pub(super) fn search(context: &Context, text: &str, status: StatusFilter, limit: Option<usize>) -> CliResult<()> {
    if text.is_empty() {
        return Err(CliError::usage("the text to search for is empty"));
    }
    let (project, read) = context.read()?;
    let heads = read.search(text, classes(status), limit)?;
    print(context, &project, read, heads)
}

/// What `issue summary` prints.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(in crate::cli) struct SummaryJson {
    open_count: u64,
    locked_open_count: u64,
    top_priority: Option<Priority>,
    top_free_priority: Option<Priority>,
    latest_open_title: Option<String>,
}

impl SummaryJson {
    pub(in crate::cli) fn new<T: Readable>(tables: &Tables<T>) -> Result<Self, StoreError> {
        let counters = tables.counters()?;
        let latest = tables.list(&Query { limit: Some(1), ..Query::default() }, |_| Ok(true))?;
        Ok(Self {
            open_count: counters.with_status(Status::Open),
            locked_open_count: counters.open_and_assigned(),
            top_priority: counters.top_priority(false),
            top_free_priority: counters.top_priority(true),
            latest_open_title: latest.into_iter().next().map(|stored| stored.head.title),
        })
    }

    /// The title of the issue that was changed last.
    pub(in crate::cli) fn latest_open_title(&mut self) -> Option<&mut String> {
        self.latest_open_title.as_mut()
    }
}

pub(super) fn summary(context: &Context) -> CliResult<()> {
    let (_, read) = context.read()?;
    let summary = SummaryJson::new(&*read)?;
    drop(read);
    if context.json {
        return output::json(&summary);
    }
    let Some(title) = &summary.latest_open_title else { return output::text("no open issues\n") };
    let word = |priority: Option<Priority>| priority.map_or("none", Priority::as_str);
    output::text(&format!(
        "open          {} ({} taken)\ntop priority  {} (free: {})\nlatest        {}\n",
        summary.open_count,
        summary.locked_open_count,
        word(summary.top_priority),
        word(summary.top_free_priority),
        crate::schema::id::printable(title, false)
    ))
}

pub(super) fn next(context: &Context, start: bool) -> CliResult<()> {
    if start {
        return claim::start_next(context);
    }
    let (project, read) = context.read()?;
    let owners = Owners::new(context, &project);
    let found = read.next_ready(|stored| owners.is_free(&read, &stored.head))?;
    let Some(stored) = found else { return Err(nothing_to_do(&read, owners.access(false)?)?) };
    let issue = full(&read, &project, &owners, stored.head.id)?;
    drop(read);
    if context.json { output::json(&issue) } else { output::text(&view::full(&issue)) }
}

/// Why there is no next issue: all are closed, or the open ones wait or are taken.
pub(super) fn nothing_to_do<T: Readable>(tables: &Tables<T>, access: Access<'_>) -> CliResult<CliError> {
    let open = tables.counters()?.with_status(Status::Open);
    let (mut taken, mut elsewhere) = (0_u64, 0_u64);
    for stored in tables.list(&Query { classes: Classes::READY, ..Query::default() }, |_| Ok(true))? {
        if access.is_taken(tables, &stored.head)? {
            taken += 1;
        } else if access.closed_elsewhere(&stored.head).is_some() {
            elsewhere += 1;
        }
    }
    let blocked = open.saturating_sub(taken + elsewhere);
    let counts = [(taken, "taken"), (blocked, "waiting for others"), (elsewhere, "closed in another work tree")];
    let parts: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let error = if open == 0 {
        CliError::new(Code::NotFound, "no issue is open").hint("`oxi-state issue create 'Title'` makes one")
    } else {
        let message = format!("no open issue is ready and free: {}", parts.join(", "));
        CliError::new(Code::NotFound, message).hint(if elsewhere > 0 {
            "merge what the other work trees did and run `oxi-state sync`; `issue list --claimed` and `--blocked` show the rest"
        } else {
            "`oxi-state issue list --claimed` and `--blocked` show what waits"
        })
    };
    Ok(error
        .detail("open", open)
        .detail("taken", taken)
        .detail("blocked", blocked)
        .detail("closed_elsewhere", elsewhere))
}

impl ClaimArgs {
    /// Refuses a guard over several issues, which have a hash each.
    pub(super) fn check(&self) -> CliResult<()> {
        if self.expect.is_some() && self.ids.len() > 1 {
            return Err(CliError::usage("--expect guards one issue; give one ID"));
        }
        Ok(())
    }
}
