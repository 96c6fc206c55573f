//! `usage summary`

use std::fmt::Write as _;

use anstyle::{Effects, Style};
use chrono::SecondsFormat;
use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::day::Day;
use crate::schema::id::printable;
use crate::schema::time::Timestamp;
use crate::schema::usage::{Errors, ModelName, Sums, UsageDay};
use crate::usage::{self, Summary};

use super::super::args::By;
use super::super::context::{Context, now, variable};
use super::super::error::CliResult;
use super::super::output;
use super::chart;
use super::import::is_off;
use super::number;

const DIM: Style = Style::new().effects(Effects::DIMMED);

/// What was used in the last days: the proxy's summary of version 1, from sums of whole days.
///
/// Days are the local ones of the proxy, as it wrote them. The keys `errors`, `by_model` and `exact` are not in the
/// proxy's summary.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct UsageSummaryJson {
    /// 1.
    version: u8,
    /// False if `USAGE_DB_PATH` says that the proxy writes no file.
    enabled: bool,
    /// The file that was imported last, as it is known here; empty if there is none.
    path: String,
    /// How many days are kept.
    retention_days: u64,
    /// How many days are summed up here.
    read_window_days: u64,
    generated_at: String,
    /// The day in UTC; or the next one, if there is something of it already.
    today: Day,
    /// All of these days.
    totals: AggregateJson,
    /// Each of these days, the last one first, also those without a request.
    by_day: Vec<ByDayJson>,
    /// The models of today, the most used first. Unlike the proxy, which lists the models it offers, only models that
    /// were used.
    by_model_today: Vec<ModelJson>,
    /// The models of the last 24 hours. What is stored are sums of days, which do not tell the hours: each day of which
    /// anything is within the 24 hours is here as a whole, and `exact` is false where that is too much.
    by_model_24h: Vec<RecentJson>,
    /// Always empty: what goes wrong is an error of this program.
    last_error: String,
    /// The models of all of these days, the most used first.
    by_model: Vec<ModelJson>,
}

/// Sums over requests.
#[derive(Serialize, JsonSchema)]
struct AggregateJson {
    requests: u64,
    ok: u64,
    fail: u64,
    total_tokens: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Requests whose tokens were told.
    usage_reported: u64,
    /// Requests whose tokens were estimated.
    usage_estimated: u64,
    /// Rounded to six digits.
    cost: f64,
    rate_limited: u64,
    /// Rounded.
    latency_ms_avg: u64,
    latency_ms_max: u64,
    /// When the last request began; empty if there was none.
    last_seen_at: String,
    /// How requests failed.
    errors: Errors,
}

#[derive(Serialize, JsonSchema)]
struct ByDayJson {
    day: Day,
    #[serde(flatten)]
    sums: AggregateJson,
    by_model: Vec<ModelJson>,
}

#[derive(Serialize, JsonSchema)]
struct ModelJson {
    #[serde(flatten)]
    sums: AggregateJson,
    model: String,
}

#[derive(Serialize, JsonSchema)]
struct RecentJson {
    #[serde(flatten)]
    sums: AggregateJson,
    model: String,
    /// Whether these are the requests of the last 24 hours; false if there are earlier ones of the same day among them.
    exact: bool,
}

/// What was used of one model on one day: a line of a snapshot.
#[derive(Serialize)]
pub(in crate::cli) struct UsageDayJson {
    day: Day,
    model: String,
    #[serde(flatten)]
    sums: AggregateJson,
}

impl UsageDayJson {
    pub(in crate::cli) fn of(row: &UsageDay) -> Self {
        Self { day: row.day, model: row.model.to_string(), sums: AggregateJson::of(&row.sums) }
    }
}

impl AggregateJson {
    fn of(sums: &Sums) -> Self {
        let seen = sums.last_ms.and_then(chrono::DateTime::from_timestamp_millis);
        Self {
            requests: sums.requests,
            ok: sums.ok,
            fail: sums.requests.saturating_sub(sums.ok),
            total_tokens: sums.total_tokens,
            prompt_tokens: sums.prompt_tokens,
            completion_tokens: sums.completion_tokens,
            usage_reported: sums.usage_reported,
            usage_estimated: sums.usage_estimated,
            cost: sums.cost(),
            rate_limited: sums.rate_limited,
            latency_ms_avg: sums.latency_ms_avg(),
            latency_ms_max: sums.latency_ms_max,
            last_seen_at: seen.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true)).unwrap_or_default(),
            errors: sums.errors,
        }
    }
}

fn models(models: &[(ModelName, Sums)]) -> Vec<ModelJson> {
    models.iter().map(|(model, sums)| ModelJson { sums: AggregateJson::of(sums), model: model.to_string() }).collect()
}

pub(super) fn run(context: &Context, days: u64, by: By) -> CliResult<()> {
    let now = now();
    let (_, read) = context.read()?;
    let summary = usage::summary(&*read, now, days)?;
    drop(read);
    if context.json {
        return output::json(&json(&summary, now, days, context.retained().usage_days.into()));
    }
    output::text(&text(&summary, by, chart::width()))
}

fn json(summary: &Summary, now: Timestamp, days: u64, retention_days: u64) -> UsageSummaryJson {
    let newest = summary.sources.iter().max_by_key(|source| source.imported_at);
    let by_day = summary.days.iter();
    let recent = summary.recent.iter();
    UsageSummaryJson {
        version: 1,
        enabled: !variable("USAGE_DB_PATH").is_some_and(|path| is_off(&path)),
        path: newest.map(|source| source.path.clone()).unwrap_or_default(),
        retention_days,
        read_window_days: days,
        generated_at: now.get().to_rfc3339_opts(SecondsFormat::Millis, true),
        today: summary.today,
        totals: AggregateJson::of(&summary.totals),
        by_day: by_day
            .map(|day| ByDayJson { day: day.day, sums: AggregateJson::of(&day.sums), by_model: models(&day.models) })
            .collect(),
        by_model_today: models(&summary.today_models),
        by_model_24h: recent
            .map(|recent| RecentJson {
                sums: AggregateJson::of(&recent.sums),
                model: recent.model.to_string(),
                exact: recent.exact,
            })
            .collect(),
        last_error: String::new(),
        by_model: models(&summary.models),
    }
}

/// The classes of errors that came up.
fn errors(errors: &Errors) -> String {
    let counts = Errors::CLASSES.iter().zip(errors.counts()).filter(|(_, count)| *count > 0);
    counts.map(|(class, count)| format!("{class} {count}")).collect::<Vec<_>>().join(", ")
}

fn text(summary: &Summary, by: By, width: Option<usize>) -> String {
    let first = summary.days.last().map_or(summary.today, |day| day.day);
    let total = &summary.totals;
    if total.requests == 0 {
        return format!("nothing was used from {first} to {}\n", summary.today);
    }
    let (head, rows): (_, Vec<(String, Sums)>) = match by {
        By::Day => {
            let used = summary.days.iter().rev().filter(|day| day.sums.requests > 0);
            ("day", used.map(|day| (day.day.to_string(), day.sums)).collect())
        }
        By::Model => ("model", summary.models.iter().map(|(model, sums)| (model.to_string(), *sums)).collect()),
    };
    let mut text = table(head, &rows, total);
    if let Some(width) = width {
        let bars: Vec<_> =
            rows.iter().map(|(name, sums)| (printable(name, false).into_owned(), sums.requests)).collect();
        let _ = write!(text, "\nrequests\n{}", chart::bars(&bars, width));
    }
    let _ = writeln!(
        text,
        "\n{} from {first} to {}: {} reported, {} estimated; the slowest took {} ms",
        number(total.requests, "request", "requests"),
        summary.today,
        total.usage_reported,
        total.usage_estimated,
        total.latency_ms_max
    );
    text
}

/// A line for each name, and one for all.
fn table(head: &str, rows: &[(String, Sums)], total: &Sums) -> String {
    let heads = ["requests", "ok", "limited", "tokens", "prompt", "completion", "ms", "cost"];
    let cells = |sums: &Sums| {
        [
            sums.requests.to_string(),
            sums.ok.to_string(),
            sums.rate_limited.to_string(),
            sums.total_tokens.to_string(),
            sums.prompt_tokens.to_string(),
            sums.completion_tokens.to_string(),
            sums.latency_ms_avg().to_string(),
            format!("{:.6}", sums.cost()),
        ]
    };
    let mut lines: Vec<_> = rows
        .iter()
        .map(|(name, sums)| (chart::shorten(&printable(name, false), 40), cells(sums), errors(&sums.errors)))
        .collect();
    if rows.len() > 1 {
        lines.push(("all".into(), cells(total), errors(&total.errors)));
    }
    let label = lines.iter().map(|(name, ..)| name.chars().count()).chain([head.len()]).max().unwrap_or(0);
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| lines.iter().map(|(_, cells, _)| cells[at].len()).max().unwrap_or(0).max(head.len()))
        .collect();
    let mut text = format!("{DIM}{head:label$}");
    for (head, width) in heads.iter().zip(&widths) {
        let _ = write!(text, "  {head:>width$}");
    }
    let _ = writeln!(text, "  errors{DIM:#}");
    for (name, cells, errors) in &lines {
        let mut line = format!("{name:label$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "  {cell:>width$}");
        }
        let _ = writeln!(text, "{}", format!("{line}  {errors}").trim_end());
    }
    text
}
