//! `oxi-state telemetry …`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::day::Day;
use crate::schema::usage::{CounterName, Measure, Telemetry};
use crate::usage;

use super::args::TelemetryCommand;
use super::context::{Context, now};
use super::error::{CliError, CliResult};
use super::output;
use super::usage::number;

/// A counter.
#[derive(Serialize, JsonSchema)]
pub(super) struct TelemetryJson {
    day: Day,
    measure: Measure,
    name: String,
    count: u64,
    /// The time that all calls of a tool took; 0 for what is no tool.
    total_ms: u64,
    /// The longest time that a call took.
    max_ms: u64,
}

/// The counters of a day.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct TelemetryDayJson {
    /// What programs counted: sessions, messages, tokens.
    counters: BTreeMap<String, u64>,
    /// Calls of tools.
    tools: BTreeMap<String, ToolJson>,
    /// Errors by their class.
    errors: BTreeMap<String, u64>,
}

/// The counters of a day, and which day it is.
#[derive(Serialize, JsonSchema)]
pub(super) struct DatedJson {
    day: Day,
    #[serde(flatten)]
    counters: TelemetryDayJson,
}

#[derive(Serialize, JsonSchema)]
struct ToolJson {
    calls: u64,
    total_ms: u64,
    max_ms: u64,
}

pub(super) fn run(context: &Context, command: TelemetryCommand) -> CliResult<()> {
    match command {
        TelemetryCommand::Count { name, by, day } => record(context, Measure::Count, &name, (by, 0), day),
        TelemetryCommand::Tool { name, millis, day } => record(context, Measure::Tool, &name, (1, millis), day),
        TelemetryCommand::Error { class, day } => record(context, Measure::Error, &class, (1, 0), day),
        TelemetryCommand::List { days } => list(context, days),
    }
}

fn record(
    context: &Context,
    measure: Measure,
    name: &str,
    (count, millis): (u64, u64),
    day: Option<Day>,
) -> CliResult<()> {
    context.refuse_secret("name", name)?;
    let name: CounterName = name.parse().map_err(CliError::usage)?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let day = day.unwrap_or_else(|| Day::of(author.now));
    let counter = store.write(&author, |txn| usage::record(txn, day, measure, &name, count, millis))?;
    if context.json {
        return output::json(&TelemetryJson {
            day: counter.day,
            measure,
            name: counter.name.to_string(),
            count: counter.count,
            total_ms: counter.total_ms,
            max_ms: counter.max_ms,
        });
    }
    output::text(&format!("{day}  {}\n", line(&counter)))
}

fn line(counter: &Telemetry) -> String {
    let Telemetry { name, count, total_ms, max_ms, .. } = counter;
    match counter.measure {
        Measure::Count => format!("{name}  {count}"),
        Measure::Tool => {
            format!("tool {name}  {}, {total_ms} ms, at most {max_ms} ms", number(*count, "call", "calls"))
        }
        Measure::Error => format!("error {name}  {count}"),
    }
}

fn list(context: &Context, days: u64) -> CliResult<()> {
    let (_, read) = context.read()?;
    let counters = usage::counters(&*read, Day::of(now()).before(days - 1))?;
    drop(read);
    if context.json {
        return output::json(&by_day(&counters));
    }
    let mut text = String::new();
    for counter in &counters {
        let _ = writeln!(text, "{}  {}", counter.day, line(counter));
    }
    output::text(if text.is_empty() { "no counters\n" } else { &text })
}

/// The last day first.
fn by_day(counters: &[Telemetry]) -> Vec<DatedJson> {
    let mut days: BTreeMap<Day, TelemetryDayJson> = BTreeMap::new();
    for Telemetry { day, measure, name, count, total_ms, max_ms } in counters {
        let (of, name) = (days.entry(*day).or_default(), name.to_string());
        match measure {
            Measure::Count => drop(of.counters.insert(name, *count)),
            Measure::Tool => {
                of.tools.insert(name, ToolJson { calls: *count, total_ms: *total_ms, max_ms: *max_ms });
            }
            Measure::Error => drop(of.errors.insert(name, *count)),
        }
    }
    days.into_iter().rev().map(|(day, counters)| DatedJson { day, counters }).collect()
}
