//! `oxi-state usage …`

mod chart;
mod import;
mod summary;

use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::day::Day;
use crate::usage::{self, Forgotten};

use super::args::UsageCommand;
use super::context::{Context, now};
use super::error::{CliResult, Code};
use super::output;

pub(super) use import::UsageImportJson;
pub(super) use summary::{UsageDayJson, UsageSummaryJson};

pub(super) fn run(context: &Context, command: UsageCommand) -> CliResult<Option<Code>> {
    match command {
        UsageCommand::Import { file, dry_run } => import::run(context, file, dry_run),
        UsageCommand::Summary { days, by } => summary::run(context, days, by).map(|()| None),
        UsageCommand::Prune { days, dry_run } => prune(context, days, dry_run).map(|()| None),
    }
}

/// What `usage prune` answers.
#[derive(Serialize, JsonSchema)]
struct PruneJson {
    /// The first day that is kept.
    kept_from: Day,
    /// Sums of a day and model that were forgotten.
    sums: u64,
    /// Counters of a day that were forgotten.
    counters: u64,
    /// Digests of requests that were forgotten; null in a dry run.
    digests: Option<u64>,
}

fn prune(context: &Context, days: Option<u64>, dry_run: bool) -> CliResult<()> {
    let first_day = |now| match days {
        Some(days) => Day::of(now).before(days - 1),
        None => context.retained().first_usage_day(now),
    };
    let (sums, counters, digests, kept_from);
    if dry_run {
        let (_, read) = context.read()?;
        kept_from = first_day(read.believed(now())?);
        let (old, told) = usage::before(&*read, kept_from)?;
        (sums, counters, digests) = (old.len() as u64, told.len() as u64, None);
    } else {
        let (project, store) = context.ready()?;
        let author = context.author(&project)?;
        kept_from = first_day(store.read()?.believed(author.now)?);
        let gone: Forgotten = store.write(&author, |txn| usage::forget_before(txn, kept_from))?;
        (sums, counters, digests) = (gone.sums, gone.counters, Some(gone.digests));
    }
    if context.json {
        return output::json(&PruneJson { kept_from, sums, counters, digests });
    }
    let done = if dry_run { "would forget" } else { "forgot" };
    let (sums, counters) =
        (number(sums, "sum of a day and model", "sums of days and models"), number(counters, "counter", "counters"));
    output::text(&format!("{done} {sums} and {counters} from before {kept_from}\n"))
}

/// A number of things.
pub(super) fn number(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
