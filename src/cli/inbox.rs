//! `oxi-state inbox`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::handoffs::Exports;
use crate::inbox::{Inbox, InboxError, Taken};
use crate::project::{Project, STATE};

use super::args::InboxArgs;
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::output;
use super::usage::number;

/// What `inbox` did.
#[derive(Serialize, JsonSchema)]
pub(super) struct InboxJson {
    /// Rows that were taken.
    taken: u64,
    /// The same, by kind.
    by_kind: BTreeMap<&'static str, u64>,
    /// Rows that had been taken before.
    skipped: u64,
    /// Lines that could not be taken; they stay in their file, and are told once.
    bad_lines: u64,
    /// The first hundred of them.
    bad: Vec<BadJson>,
    /// Whether the last line is not finished, and was left for the next time.
    unfinished: bool,
    /// Whether the file was put aside, so that writers begin another.
    retired: bool,
    /// The file that is kept for its bad lines, if one was put aside for good.
    kept_as: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct BadJson {
    /// From the project's root.
    path: String,
    line: u64,
    /// The field that is wrong, if it is one.
    field: Option<&'static str>,
    /// The privacy rule that it hit, if it hit one.
    rule: Option<&'static str>,
    reason: String,
}

impl From<InboxError> for CliError {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::Path(error) => error.into(),
            InboxError::Gate(error) => error.into(),
            InboxError::Contended => Self::new(Code::Busy, error).hint("try again"),
            InboxError::Store(error) => error.into(),
            error => Self::new(Code::Error, error),
        }
    }
}

pub(super) fn run(context: &Context, args: &InboxArgs) -> CliResult<Option<Code>> {
    let (project, store) = context.ready()?;
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Code::Error, format!("the system gives no random numbers: {error}")))?;
    let done = Inbox::new(&store, context.author(&project)?, u128::from_ne_bytes(random))
        .with_policy(context.policy.clone())
        .with_exports(Exports { session_ids: context.settings.export_session_ids.value })
        .dry_run(args.dry_run)
        .take()?;
    let report = report(&project, &done);
    if context.json {
        output::json(&report)?;
    } else {
        notes(context, &report);
        output::text(&text(&report, args.dry_run))?;
    }
    Ok((report.bad_lines > 0).then_some(Code::BadInput))
}

fn report(project: &Project, done: &Taken) -> InboxJson {
    let path = |name: &str| project.state_path(&format!("{STATE}/{name}"));
    let bad = done.bad.iter().map(|bad| BadJson {
        path: path(bad.file),
        line: bad.line,
        field: bad.reason.field(),
        rule: bad.reason.rule().map(crate::schema::privacy::Rule::as_str),
        reason: bad.reason.to_string(),
    });
    InboxJson {
        taken: done.taken,
        by_kind: done.by_kind.iter().map(|(kind, count)| (kind.as_str(), *count)).collect(),
        skipped: done.skipped,
        bad_lines: done.bad_lines,
        bad: bad.collect(),
        unfinished: done.unfinished,
        retired: done.retired,
        kept_as: done.kept_as.as_deref().map(path),
    }
}

fn notes(context: &Context, report: &InboxJson) {
    for bad in &report.bad {
        context.note(&format!("bad line {}:{}: {}", bad.path, bad.line, bad.reason));
    }
    let more = report.bad_lines.saturating_sub(report.bad.len() as u64);
    if more > 0 {
        context.note(&format!("{} that cannot be taken", number(more, "more line", "more lines")));
    }
    if report.unfinished {
        context.note("the last line is not finished; it is left for the next time");
    }
    if let Some(path) = &report.kept_as {
        context.note(&format!("{path} holds bad lines; remove it when they are mended"));
    }
}

fn text(report: &InboxJson, dry_run: bool) -> String {
    let kinds: Vec<_> = report.by_kind.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let mut parts = vec![format!("{} taken{kinds}", number(report.taken, "row", "rows"))];
    for (count, what) in [(report.skipped, "taken before"), (report.bad_lines, "bad")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{}{}\n", if dry_run { "would be: " } else { "" }, parts.join("; "))
}
