//! `oxi-state handoff …`

use clap::{Args, Subcommand};

use crate::schema::id::IssueId;

use super::deferred::Deferred;
use super::keyed::Guard;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HandoffCommand {
    /// Write a note to whoever goes on, and print its id
    ///
    /// How things stand, in up to 4000 bytes, and with --next what to do. About an issue, it stands in the issue's file
    /// until it is done.
    #[command(
        after_help = "Examples:\n  oxi-state handoff add 'Parser done; the writer drops comments' --issue 12 --next 'keep comments' --next 'add a test'\n  git log -1 --format=%B | oxi-state handoff add --to bob -"
    )]
    Add(Deferred<HandoffAddArgs>),
    /// List the open handoffs: your own first, then those for you, then those for anybody
    #[command(after_help = "Examples:\n  oxi-state handoff list --pending\n  oxi-state handoff list --all --json")]
    List {
        /// Only those that nobody has taken up
        #[arg(long, conflicts_with = "all")]
        pending: bool,
        /// Those that are done, too
        #[arg(long)]
        all: bool,
        /// Only those for you or for anybody
        #[arg(long)]
        mine: bool,
        /// Only about this issue
        #[arg(long, value_name = "N")]
        issue: Option<IssueId>,
    },
    /// Show a handoff
    #[command(
        after_help = "Example:\n  oxi-state handoff show 01KAHG --json | jq -r '.next[] | select(.done | not).text'"
    )]
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Take a handoff up
    #[command(after_help = "Examples:\n  oxi-state handoff accept\n  oxi-state handoff accept 01KAHG")]
    Accept {
        /// Its id, or the beginning of it [default: the one that is for you, or for anybody]
        id: Option<String>,
        /// Even if somebody else has taken it up
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        guard: Guard,
    },
    /// End a handoff, or one of its next actions; with the last action the handoff ends, too
    #[command(
        after_help = "Examples:\n  oxi-state handoff done\n  oxi-state handoff done 01KAHG\n  oxi-state handoff done 01KAHG 2"
    )]
    Done {
        /// Its id, or the beginning of it [default: the one that you have taken up, else the only open one]
        id: Option<String>,
        /// The number of the next action, from 1
        number: Option<usize>,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HandoffAddArgs {
    /// How things stand; - reads it from standard input
    pub(in crate::cli) text: String,
    /// Whom it is for: a session, a person, a tool [default: anybody]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) to: Option<String>,
    /// The issue that it is about
    #[arg(long, value_name = "N")]
    pub(in crate::cli) issue: Option<IssueId>,
    /// What to do next; may be given more than once
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(in crate::cli) next: Vec<String>,
}
