//! `oxi-state usage …`, `oxi-state telemetry …`

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};

use crate::schema::day::Day;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UsageCommand {
    /// Count the requests in a proxy's usage.jsonl, which is only read; each is counted once
    ///
    /// Without FILE it is the file that USAGE_DB_PATH names, else ~/.config/opencode-proxy/usage.jsonl. If USAGE_DB_PATH
    /// is off, false or 0, the proxy writes none (exit 3). Lines that cannot be used are reported, and the exit code is 7.
    #[command(
        after_help = "Examples:\n  oxi-state usage import\n  oxi-state usage import usage.jsonl --json | jq .counted"
    )]
    Import {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Say what would be counted, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Show what was used in the last days: requests, tokens, cost, errors
    #[command(
        after_help = "Examples:\n  oxi-state usage summary --days 7\n  oxi-state usage summary --by model\n  oxi-state usage summary --json | jq .totals.total_tokens"
    )]
    Summary {
        /// How many days, today included
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = days())]
        days: u64,
        /// A line for each day, or for each model
        #[arg(long, default_value = "day")]
        by: By,
    },
    /// Forget the sums and counters of older days, and what their requests are known again by
    #[command(after_help = "Example:\n  oxi-state usage prune --days 90 --dry-run")]
    Prune {
        /// Keep so many days, today included [default: the setting retention.usage_days]
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u64>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum By {
    Day,
    Model,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TelemetryCommand {
    /// Add to a counter: sessions, messages, tokens.in, whatever a program counts
    ///
    /// A name is letters, digits and . _ - / : and never what happened in words.
    #[command(
        after_help = "Examples:\n  oxi-state telemetry count sessions\n  oxi-state telemetry count tokens.in --by 1400"
    )]
    Count {
        /// The counter
        name: String,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1)]
        by: u64,
        /// Of this day instead of today in UTC
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<Day>,
    },
    /// Count a call of a tool, and the time it took
    #[command(after_help = "Example:\n  oxi-state telemetry tool bash 1250")]
    Tool {
        /// The tool
        name: String,
        /// How long the call took, in milliseconds
        #[arg(value_name = "DURATION_MS")]
        millis: u64,
        /// Of this day instead of today in UTC
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<Day>,
    },
    /// Count an error of a class
    #[command(after_help = "Example:\n  oxi-state telemetry error timeout")]
    Error {
        /// The class, such as timeout, and never the error's message
        class: String,
        /// Of this day instead of today in UTC
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<Day>,
    },
    /// Show the counters of the last days
    #[command(after_help = "Example:\n  oxi-state telemetry list --days 7 --json | jq '.[0].counters'")]
    List {
        /// How many days, today included
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = days())]
        days: u64,
    },
}

fn days() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=3660)
}
