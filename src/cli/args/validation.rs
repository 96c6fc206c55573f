//! `oxi-state validation …`

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::schema::id::IssueId;
use crate::schema::time::Timestamp;
use crate::schema::validation::Verdict;

use super::deferred::Deferred;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ValidationCommand {
    /// Run a command that checks the project, and note how it ended
    ///
    /// Its output is passed through and not kept, but for one line of a known form, such as `test result: ok. 3 passed`.
    /// Signals are passed on, and its exit code is returned: 128 and the signal's number if a signal ended it, 124 if its
    /// time was over. With --json its output goes to stderr, and the validation to stdout.
    #[command(
        after_help = "Examples:\n  oxi-state validation run -- cargo test\n  oxi-state validation run --issue 12 --name e2e --timeout 600 -- ./ci/e2e.sh"
    )]
    Run(Deferred<ValidationRunArgs>),
    /// Note how a check ended that was run elsewhere, or not at all
    #[command(
        after_help = "Examples:\n  oxi-state validation record e2e --result passed --summary '41 scenarios'\n  oxi-state validation record lint --result skipped --issue 12"
    )]
    Record(Deferred<ValidationRecordArgs>),
    /// List the runs, newest first
    #[command(
        after_help = "Examples:\n  oxi-state validation list --failing\n  oxi-state validation list --name 'cargo test' --limit 5 --json"
    )]
    List(Deferred<ValidationListArgs>),
    /// Show the latest run of each name, the failing ones first; or of one name
    #[command(
        after_help = "Examples:\n  oxi-state validation last\n  oxi-state validation last 'cargo test' --json | jq -r .result"
    )]
    Last {
        /// Only of this name
        name: Option<String>,
        /// Only those that failed or came to no end
        #[arg(long)]
        failing: bool,
        /// Only those that were run on another commit than the one that is checked out
        #[arg(long)]
        stale: bool,
    },
    /// Show all that is known of a run
    #[command(after_help = "Example:\n  oxi-state validation show 01KAHG --json | jq .duration_ms")]
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Have runs stand in the file of their issue, at most five; closing an issue pins the latest of each name
    #[command(after_help = "Example:\n  oxi-state validation pin 01KAHG")]
    Pin {
        /// Their ids, or the beginnings of them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Take runs out of the file of their issue; they stay in the database
    #[command(after_help = "Example:\n  oxi-state validation unpin 01KAHG")]
    Unpin {
        /// Their ids, or the beginnings of them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ValidationRunArgs {
    /// The issue that it is about
    #[arg(long, value_name = "N")]
    pub(in crate::cli) issue: Option<IssueId>,
    /// What is checked; runs of one name belong together [default: the program and the plain words behind it]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// End the command after so many seconds: SIGTERM, and SIGKILL five seconds later
    #[arg(long, value_name = "SECS")]
    pub(in crate::cli) timeout: Option<f64>,
    /// The command with its arguments
    #[arg(required = true, last = true, value_name = "CMD", value_hint = clap::ValueHint::CommandWithArguments)]
    pub(in crate::cli) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ValidationRecordArgs {
    /// What was checked; runs of one name belong together
    pub(in crate::cli) name: String,
    /// How it ended
    #[arg(long, value_name = "RESULT", value_parser = clap::builder::PossibleValuesParser::new(Verdict::WORDS))]
    pub(in crate::cli) result: String,
    /// The issue that it is about
    #[arg(long, value_name = "N")]
    pub(in crate::cli) issue: Option<IssueId>,
    /// The command line
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) command: Option<String>,
    /// The command's exit code
    #[arg(long, value_name = "N")]
    pub(in crate::cli) exit_code: Option<u8>,
    /// How long it took, in seconds
    #[arg(long, value_name = "SECS")]
    pub(in crate::cli) duration: Option<f64>,
    /// What it came to, on one line
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) summary: Option<String>,
    /// The commit that was checked [default: the one that is checked out]
    #[arg(long, value_name = "HASH")]
    pub(in crate::cli) commit: Option<String>,
    /// When it ended [default: now]
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) at: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ValidationListArgs {
    /// Only of this name
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// Only about this issue
    #[arg(long, value_name = "N")]
    pub(in crate::cli) issue: Option<IssueId>,
    /// Only those that failed or came to no end
    #[arg(long)]
    pub(in crate::cli) failing: bool,
    /// Only those that were run on another commit than the one that is checked out
    #[arg(long)]
    pub(in crate::cli) stale: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<usize>,
}
