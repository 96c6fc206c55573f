//! Validations as programs and people see them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use serde_json::Value;

use crate::db::tables::{Readable, Tables};
use crate::db::{Store, StoreError};
use crate::git::Git;
use crate::project::Project;
use crate::schema::id::{IssueId, printable};
use crate::schema::keyed::Keyed as _;
use crate::schema::time::Timestamp;
use crate::schema::validation::{Validation, Verdict};
use crate::validations::{is_pinned, is_stale};

use super::super::context::{Context, now};
use super::super::error::CliResult;
use super::super::keyed::{json, print_one};
use super::super::output;
use super::super::when::{ago, span};

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().bold();

/// A run, with what is worked out of it.
pub(in crate::cli) struct Seen {
    pub(in crate::cli) run: Validation,
    pub(in crate::cli) issue: Option<IssueId>,
    pub(in crate::cli) pinned: bool,
    pub(in crate::cli) stale: Option<bool>,
}

impl Seen {
    pub(in crate::cli) fn new<T: Readable>(
        tables: &Tables<T>,
        head: Option<&str>,
        run: Validation,
    ) -> Result<Self, StoreError> {
        let issue = run.issue.as_ref().map(|issue| tables.id_of(issue)).transpose()?.flatten();
        Ok(Self { issue, pinned: is_pinned(tables, &run)?, stale: is_stale(&run, head), run })
    }

    fn shown(&self) -> [(&'static str, Value); 3] {
        let number = self.issue.map(|id| id.0);
        [("issue_number", number.into()), ("pinned", self.pinned.into()), ("stale", self.stale.into())]
    }

    pub(in crate::cli) fn json(&self) -> serde_json::Map<String, Value> {
        json(&self.run, &self.shown())
    }
}

/// The commit that is checked out, to tell which runs are stale.
pub(in crate::cli) fn head_commit(project: &Project) -> Option<String> {
    Git::discover(project.root())?.head_commit(project.root())
}

/// Prints one run.
pub(super) fn print(context: &Context, project: &Project, store: &Store, run: &Validation) -> CliResult<()> {
    let read = store.read()?;
    let seen = Seen::new(&read, head_commit(project).as_deref(), run.clone())?;
    drop(read);
    print_one(context, &seen.run, &seen.shown())
}

/// Prints runs.
pub(super) fn print_all(context: &Context, runs: &[Seen]) -> CliResult<()> {
    if context.json {
        return output::json(&runs.iter().map(Seen::json).collect::<Vec<_>>());
    }
    let now = now();
    let width = runs.iter().map(|seen| seen.run.name.chars().count()).max().unwrap_or_default().min(30);
    let lines: Vec<String> = runs.iter().map(|seen| line(seen, now, width)).collect();
    output::lines(&lines, "no validations")
}

/// What `run` says at its end.
pub(super) fn sentence(run: &Validation) -> String {
    let time = run.duration_ms.map(|millis| format!(" in {}", duration(millis))).unwrap_or_default();
    let summary = run.summary.as_ref().map(|summary| format!(": {summary}")).unwrap_or_default();
    format!("{} {}{time}{summary} ({})", run.name, how(run), run.key())
}

/// How a run ended, in words.
fn how(run: &Validation) -> String {
    match (run.result, run.exit_code, run.signal) {
        (Verdict::Failed, Some(code), _) => format!("failed ({code})"),
        (Verdict::Error, _, Some(signal)) => format!("error (signal {signal})"),
        (result, ..) => result.as_str().to_owned(),
    }
}

const fn style(result: Verdict) -> Style {
    match result {
        Verdict::Passed => AnsiColor::Green.on_default(),
        Verdict::Failed | Verdict::Error => AnsiColor::Red.on_default(),
        Verdict::Skipped => DIM,
    }
}

/// How long something took.
fn duration(millis: u64) -> String {
    if millis < 60_000 {
        format!("{:.1} s", std::time::Duration::from_millis(millis).as_secs_f64())
    } else {
        span(millis / 1_000)
    }
}

/// A run on one line.
pub(in crate::cli) fn line(seen: &Seen, now: Timestamp, width: usize) -> String {
    let run = &seen.run;
    let style = style(run.result);
    let how = how(run);
    let mut text = format!(
        "{DIM}{}{DIM:#}  {style}{how:<16}{style:#}  {BOLD}{:<width$}{BOLD:#}  {}",
        run.key(),
        printable(&run.name, false),
        ago(run.at, now)
    );
    if let Some(commit) = &run.commit {
        let branch = run.branch.as_ref().map(|branch| format!("{branch}@")).unwrap_or_default();
        let dirty = if run.dirty == Some(true) { "+" } else { "" };
        let commit: String = commit.chars().take(9).collect();
        let _ = write!(text, "  {DIM}{}{commit}{dirty}{DIM:#}", printable(&branch, false));
    }
    if seen.stale == Some(true) {
        let yellow = AnsiColor::Yellow.on_default();
        let _ = write!(text, "  {yellow}stale{yellow:#}");
    }
    if let Some(issue) = seen.issue {
        let _ = write!(text, "  #{issue}{}", if seen.pinned { " pinned" } else { "" });
    }
    if let Some(summary) = &run.summary {
        let _ = write!(text, "  {}", printable(summary, false));
    }
    text
}
