//! `compact`: drops what the settings do not keep, and makes the file small.

use std::fmt::Write as _;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Serialize;

use crate::db::record::Kind;
use crate::db::retention::Expired;
use crate::db::{DATABASE, Retention, Shrunk, Store};
use crate::fs::Entry;
use crate::schema::id::printable;
use crate::schema::retention::STEP_DAYS;
use crate::schema::time::Timestamp;

use super::context::{Context, now};
use super::error::{CliError, CliResult, Code};
use super::output;

/// How many keys of each kind are named.
const SHOWN: usize = 5;

/// What `compact` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CompactJson {
    /// What was dropped, or would be.
    dropped: DroppedJson,
    /// Bytes of the database file before.
    bytes_before: u64,
    /// Bytes of it now; null in a dry run, which does not try.
    bytes_after: Option<u64>,
    dry_run: bool,
    /// The time up to which ages were counted, if that is more than a day before what the clock says; else null.
    /// `--trust-clock` counts them up to now.
    ages_until: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DroppedJson {
    /// Sums of a day and model.
    usage: u64,
    /// Digests by which requests that were counted are known again.
    usage_digests: u64,
    /// Counters of a day.
    telemetry: u64,
    validations: u64,
    sessions: u64,
    agents: u64,
    handoffs: u64,
    /// Rows of the log.
    changes: u64,
    /// Texts that were replaced or deleted, which the log held for undo.
    texts: u64,
}

pub(super) fn run(context: &Context, dry_run: bool, trust_clock: bool) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let bytes_before = size(&store)?;
    let (expired, believed, now, bytes_after) = if dry_run {
        let (read, now) = (store.read()?, now());
        let believed = if trust_clock { now } else { read.believed(now)? };
        let plan = |retention: &Retention| read.expired(retention, believed);
        (store.retention().map_or_else(|| Ok(Expired::default()), plan)?, believed, now, None)
    } else {
        let author = context.author(&project)?;
        let (expired, believed) = store.write(&author, |txn| {
            if trust_clock {
                txn.trust_clock()?;
            }
            let believed = txn.believed(author.now)?;
            Ok::<_, CliError>((txn.expire()?, believed))
        })?;
        (expired, believed, author.now, Some(shrink(&store)?))
    };
    let ages_until = Some(believed).filter(|believed| now.get() - believed.get() > TimeDelta::days(1));
    let report = CompactJson { dropped: counts(&expired), bytes_before, bytes_after, dry_run, ages_until };
    if let Some(believed) = ages_until {
        context.note(&format!(
            "note: ages are counted up to {believed}: the clock went on by more than {STEP_DAYS} days since the last change. \
             If it is right, `oxi-state compact --trust-clock` counts up to now"
        ));
    }
    if context.json { output::json(&report) } else { output::text(&text(&report, &expired)) }
}

fn shrink(store: &Store) -> CliResult<u64> {
    match store.shrink()? {
        Shrunk::Done { after, .. } => Ok(after),
        Shrunk::Contended => Err(CliError::new(
            Code::Busy,
            "what is not kept is dropped, but the file could not be made smaller: other processes kept writing",
        )
        .hint("try again later")),
    }
}

fn size(store: &Store) -> CliResult<u64> {
    match store.dir().entry(DATABASE)? {
        Some(Entry::File(stat)) => Ok(stat.size),
        _ => Ok(0),
    }
}

fn counts(expired: &Expired) -> DroppedJson {
    let of = |kind| expired.of(kind).len() as u64;
    DroppedJson {
        usage: of(Kind::Usage),
        usage_digests: expired.digests,
        telemetry: of(Kind::Telemetry),
        validations: of(Kind::Validation),
        sessions: of(Kind::Session),
        agents: of(Kind::Agent),
        handoffs: of(Kind::Handoff),
        changes: expired.changes.len() as u64,
        texts: expired.texts.len() as u64,
    }
}

fn text(report: &CompactJson, expired: &Expired) -> String {
    let mut text = String::new();
    let mut line = |count: u64, what: [&str; 2], keys: &mut dyn Iterator<Item = String>| {
        if count == 0 {
            return;
        }
        let mut shown: Vec<String> = keys.take(SHOWN).collect();
        if !shown.is_empty() && count > shown.len() as u64 {
            shown.push("…".into());
        }
        let done = if report.dry_run { "would drop" } else { "dropped" };
        let colon = if shown.is_empty() { "" } else { ": " };
        let list = shown.join(", ");
        let what = what[usize::from(count != 1)];
        let _ = writeln!(text, "{done} {count} {what}{colon}{}", printable(&list, false));
    };
    for (kind, what) in [
        (Kind::Usage, ["sum of a day and model", "sums of a day and model"]),
        (Kind::Telemetry, ["counter of a day", "counters of a day"]),
        (Kind::Validation, ["validation", "validations"]),
        (Kind::Session, ["ended session", "ended sessions"]),
        (Kind::Agent, ["agent", "agents"]),
        (Kind::Handoff, ["handoff that is done", "handoffs that are done"]),
    ] {
        let keys = expired.of(kind);
        line(keys.len() as u64, what, &mut keys.iter().cloned());
    }
    let dropped = &report.dropped;
    line(
        dropped.usage_digests,
        ["digest of a counted request", "digests of counted requests"],
        &mut std::iter::empty(),
    );
    let revisions = |rows: &[crate::schema::id::Revision]| rows.iter().map(ToString::to_string).collect::<Vec<_>>();
    line(dropped.changes, ["row of the log", "rows of the log"], &mut revisions(&expired.changes).into_iter());
    line(dropped.texts, ["text of the log", "texts of the log"], &mut revisions(&expired.texts).into_iter());
    if expired.is_empty() {
        text.push_str("everything is kept\n");
    }
    let kib = |bytes: u64| bytes / 1024;
    let _ = match report.bytes_after {
        Some(after) => writeln!(text, "{DATABASE}: {} KiB -> {} KiB", kib(report.bytes_before), kib(after)),
        None => writeln!(text, "{DATABASE}: {} KiB", kib(report.bytes_before)),
    };
    text
}
