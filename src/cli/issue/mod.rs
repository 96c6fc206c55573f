//! `oxi-state issue …`

mod batch;
mod change;
mod claim;
mod create;
mod dep;
mod edit;
mod filter;
mod query;

pub(super) use claim::settle;
pub(super) use claim::{check, owned};
pub(super) use dep::chain;
pub(super) use query::SummaryJson;

use crate::db::Cas;
use crate::db::record::StoredHead;
use crate::db::tables::{Readable, Tables};
use crate::project::Project;
use crate::schema::frontmatter::{self, BadFile, BadReason, RenderError};
use crate::schema::id::IssueId;
use crate::schema::issue::Issue;
use crate::schema::privacy;

use super::args::{Asked, ChangeCommand, IssueCommand, ListCommand, LookCommand};
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::view::{FullIssueJson, Owners};

pub(super) fn run(context: &Context, command: IssueCommand) -> CliResult<()> {
    match command {
        IssueCommand::Create(args) => match &args.from {
            Some(file) => batch::run(context, file),
            None => create::run(context, *args.0),
        },
        IssueCommand::List(Asked(ListCommand::List(args))) => query::list(context, args),
        IssueCommand::Look(command) => match command.0 {
            LookCommand::Show { ids } => query::show(context, &ids),
            LookCommand::Search { text, status, limit } => query::search(context, &text, status, limit),
            LookCommand::Summary => query::summary(context),
            LookCommand::Next { start } => query::next(context, start),
        },
        IssueCommand::Change(command) => match command.0 {
            ChangeCommand::Update(args) => change::run(context, *args.0),
            ChangeCommand::Start(args) => claim::run(context, claim::Claim::Start, &args),
            ChangeCommand::Release(args) => claim::run(context, claim::Claim::Release, &args),
            ChangeCommand::Close(args) => claim::run(context, claim::Claim::Close, &args),
            ChangeCommand::Reopen(args) => claim::run(context, claim::Claim::Reopen, &args),
            ChangeCommand::Link(args) => claim::run(context, claim::Claim::Link, &args),
            ChangeCommand::Delete(args) => claim::delete(context, &args),
            ChangeCommand::Edit { id } => edit::run(context, id),
            ChangeCommand::Dep(command) => dep::run(context, &command.0),
        },
    }
}

/// An issue as `show` gives it, read in the transaction that is open.
pub(super) fn full<T: Readable>(
    tables: &Tables<T>,
    project: &Project,
    owners: &Owners,
    id: IssueId,
) -> CliResult<FullIssueJson> {
    let stored = head(tables, id)?;
    Ok(FullIssueJson::new(tables, project, owners, stored)?)
}

/// Whether a guarded change changed anything; an error if it could not be made.
fn settled(id: IssueId, outcome: &Cas) -> CliResult<bool> {
    match *outcome {
        Cas::Changed(_) => Ok(true),
        Cas::Unchanged(_) => Ok(false),
        Cas::Stale { current } => Err(CliError::stale(id, current)),
        Cas::Missing => Err(CliError::no_issue(id)),
    }
}

fn head<T: Readable>(tables: &Tables<T>, id: IssueId) -> CliResult<StoredHead> {
    if let Some(stored) = tables.head(id)? {
        return Ok(stored);
    }
    let error = CliError::no_issue(id);
    Err(match moved_note(tables, id)? {
        Some(note) => error.hint(note),
        None => error,
    })
}

/// Where the issue that once had this number went.
fn moved_note<T: Readable>(tables: &Tables<T>, id: IssueId) -> CliResult<Option<String>> {
    for moved in tables.moved_from(id)?.into_iter().rev() {
        if let Some(now) = tables.id_of(&moved.identity)?
            && now != id
            && let Some(stored) = tables.head(now)?
        {
            return Ok(Some(format!("the issue that was #{id} is now #{now} ({})", stored.head.title)));
        }
    }
    Ok(None)
}

/// The limits of the original's agent tool, which keep a slip from filling the project.
const MAX_TITLE: usize = 512;
const MAX_BODY: usize = 262_144;
const MAX_LABELS: usize = 32;
const MAX_LABEL: usize = 64;

/// The one way for text from a command into an issue: within limits, nothing secret, and fit to be written as a file.
/// Only what the change adds is looked at.
fn admit(context: &Context, before: Option<&Issue>, after: &mut Issue) -> CliResult<()> {
    scrub(context, before, after)?;
    let changed = |field: fn(&Issue) -> &str| before.is_none_or(|before| field(before) != field(after));
    let head = &after.head;
    if changed(|issue| &issue.head.title) {
        if head.title.trim().is_empty() {
            return Err(CliError::usage("the title is empty"));
        }
        if head.title.chars().count() > MAX_TITLE {
            return Err(CliError::usage(format!("title too long (max {MAX_TITLE} chars)")));
        }
    }
    if changed(|issue| issue.body.trim_end_matches('\n')) && after.body.trim_end_matches('\n').len() > MAX_BODY {
        let error = body_too_large();
        return Err(match before {
            Some(before) => error.at(format!("issue #{}", before.head.id)),
            None => error,
        });
    }
    if before.is_none_or(|before| before.head.labels != head.labels) {
        let fewer = before.is_some_and(|before| head.labels.len() < before.head.labels.len());
        if head.labels.len() > MAX_LABELS && !fewer {
            return Err(CliError::usage(format!("too many labels (max {MAX_LABELS})")));
        }
        if head.labels.iter().any(|label| label.chars().count() > MAX_LABEL) {
            return Err(CliError::usage(format!("label too long (max {MAX_LABEL} chars)")));
        }
        if head.labels.iter().any(|label| label.trim().is_empty()) {
            return Err(CliError::usage("a label is empty"));
        }
    }
    match frontmatter::render_checked(after) {
        Ok(_) => Ok(()),
        // what a merge made too large must not be stuck
        Err(_) if before.is_some_and(|before| frontmatter::render_checked(before).is_err()) => Ok(()),
        Err(error) => Err(CliError::new(Code::Usage, &error).hint(remedy(&error))),
    }
}

/// What to do with a text that is too long for an issue.
const KEEP_BESIDE: &str = "nothing was changed; keep long text in a file of its own, and name that file in the body";

/// What to do about an issue that cannot be written as a file.
const fn remedy(error: &RenderError) -> &'static str {
    match error {
        RenderError::Unreadable(BadFile { reason: BadReason::ConflictMarker, .. }) => {
            "indent lines that look like git's conflict markers, or put them in a code fence that begins at the start of its line"
        }
        RenderError::Unreadable(BadFile { reason: BadReason::TooLarge, .. }) => KEEP_BESIDE,
        RenderError::Unreadable(BadFile { reason: BadReason::FrontmatterTooLarge, .. }) => {
            "nothing was changed; give shorter values, and put long text in the body"
        }
        _ => "nothing was changed; give values that are plainer",
    }
}

fn body_too_large() -> CliError {
    CliError::usage(format!("body too large (max {MAX_BODY} bytes)")).hint(KEEP_BESIDE)
}

/// A body that a person merged, within limits and with nothing secret that was not in the versions it was merged from.
pub(super) fn admit_body(context: &Context, before: &str, body: &str) -> CliResult<String> {
    if body.len() > MAX_BODY {
        return Err(body_too_large());
    }
    clean(context, "body", before, body)
}

/// A text as it may be stored; refused if what it adds looks like a secret.
pub(super) fn clean(context: &Context, name: &'static str, before: &str, text: &str) -> CliResult<String> {
    privacy::check_added(before, text, &context.policy).map(std::borrow::Cow::into_owned).map_err(|refused| {
        let rule = refused.rule;
        CliError::new(Code::Refused, format!("{name}: {refused}"))
            .hint(format!(
                "take it out; or store [redacted:{rule}] in its place with --redact; or, if it is no secret, --allow {rule}"
            ))
            .detail("rule", rule.to_string())
            .detail("field", name)
            .detail("line", refused.line)
            .detail("column", refused.column)
    })
}

fn scrub(context: &Context, before: Option<&Issue>, after: &mut Issue) -> CliResult<()> {
    let old = |field: fn(&Issue) -> String| before.map(field).unwrap_or_default();
    let clean = |name, before: &str, text: &str| clean(context, name, before, text);
    after.head.title = clean("title", &old(|issue| issue.head.title.clone()), &after.head.title)?;
    after.body = clean("body", &old(|issue| issue.body.clone()), &after.body)?;
    if let Some(assignee) = &after.head.assignee {
        after.head.assignee =
            Some(clean("assignee", &old(|issue| issue.head.assignee.clone().unwrap_or_default()), assignee)?);
    }
    let old_labels = old(|issue| issue.head.labels.join("\n"));
    for label in &mut after.head.labels {
        *label = clean("label", &old_labels, label)?;
    }
    let old_extra = before.map(|before| before.head.extra.clone()).unwrap_or_default();
    for (name, extra) in &mut after.head.extra {
        if old_extra.get(name) != Some(extra) {
            let text = clean("set", "", &extra.yaml)?;
            if text != extra.yaml {
                let value = crate::schema::value::Value::from(format!("[redacted] {name}"));
                *extra = frontmatter::extra(name, value)
                    .map_err(|error| CliError::usage(format!("--set {name}: {error}")))?;
            }
        }
    }
    Ok(())
}

/// Reads a body from a file, or from standard input where the path is `-`.
pub(super) fn read_body(path: &std::path::Path) -> CliResult<String> {
    use std::io::Read as _;
    let read = |reader: &mut dyn std::io::Read| {
        let mut text = String::new();
        // a little more than is allowed, so that too much is noticed without reading it all
        reader.take(MAX_BODY as u64 + 1).read_to_string(&mut text).map(|_| text)
    };
    let result = if path.as_os_str() == "-" {
        read(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    result.map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => Code::NotFound,
            std::io::ErrorKind::InvalidData => Code::BadInput,
            _ => Code::Error,
        };
        CliError::new(code, format!("cannot read {}: {error}", path.display())).hint(match code {
            Code::BadInput => "nothing was changed; save it as UTF-8",
            _ => "nothing was changed; name a text file that you may read, or - for standard input",
        })
    })
}
