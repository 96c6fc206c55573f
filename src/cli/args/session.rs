//! `oxi-state session …`

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::schema::id::{IssueId, SessionId};

use super::deferred::Deferred;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SessionCommand {
    /// Run a command as a session, which lives as long as the command
    ///
    /// The command finds its session in OXI_STATE_SESSION. Signals are passed on, and its exit code is returned; 128 and
    /// the signal's number if a signal ended it.
    #[command(
        after_help = "Examples:\n  oxi-state session run -- claude\n  oxi-state session run --id nightly --release -- make fix-next-issue"
    )]
    Run(Deferred<RunArgs>),
    /// Register a session and print its id; it lives as long as the process of --pid
    #[command(
        after_help = "Example:\n  export OXI_STATE_SESSION=$(oxi-state session start --pid $$)\n  oxi-state issue next --start"
    )]
    Start(Deferred<StartArgs>),
    /// End a session; what it has taken, anybody may take then
    #[command(after_help = "Example:\n  oxi-state session end --release")]
    End {
        /// The session, or the beginning of its id [default: the caller's]
        id: Option<String>,
        /// Give back the issues that it has
        #[arg(long)]
        release: bool,
        /// Even if it is another's and may be alive; but a `session run` ends with its command only
        #[arg(long)]
        force: bool,
    },
    /// List the sessions that are going on or have an issue, and whether they live
    #[command(after_help = "Example:\n  oxi-state session list --all --json | jq -r '.[].id'")]
    List {
        /// Ended and imported ones, too
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show what is known of a session
    #[command(after_help = "Example:\n  oxi-state session show 95fd1757 --json | jq .tokens")]
    Show {
        /// The session, or the beginning of its id [default: the caller's]
        id: Option<String>,
    },
    /// Draw sessions with their branches and forks
    #[command(after_help = "Example:\n  oxi-state session tree 95fd1757")]
    Tree {
        /// Only this session and what was forked from it
        id: Option<String>,
    },
    /// Register a session that goes on from an entry of another, and print its id
    #[command(after_help = "Example:\n  oxi-state session fork 95fd1757 --at 86c19f05-526f-43f3-8193-571ccdaeb50b")]
    Fork(Deferred<ForkArgs>),
    /// Note that a session worked on issues
    #[command(after_help = "Example:\n  oxi-state session link 95fd1757 12 13")]
    Link {
        /// The session, or the beginning of its id
        id: String,
        /// The issues
        #[arg(required = true, value_name = "ISSUE")]
        issues: Vec<IssueId>,
    },
    /// Forget sessions; their files are left alone, and undo brings the pointers back
    #[command(after_help = "Example:\n  oxi-state session delete 95fd1757")]
    Delete {
        /// The sessions, or the beginnings of their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Even if they may be alive
        #[arg(long)]
        force: bool,
    },
    /// Note which sessions died, and remove their old lock files
    #[command(after_help = "Example:\n  oxi-state session reap --dry-run")]
    Reap {
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take in pointers to the session files of oxi, oxicode, pi and omp
    ///
    /// Only counts, sums, ids and names of models are kept, no text of any message. The files are only read.
    #[command(
        after_help = "Examples:\n  oxi-state session import ~/.oxi/sessions --here\n  oxi-state session import session.jsonl --json"
    )]
    Import(Deferred<SessionImportArgs>),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    /// The session's id, 1 to 128 bytes that can name a file [default: that of --session, else a new one]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<SessionId>,
    /// A name for people
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// Give back what the session has when the command ends
    #[arg(long)]
    pub(in crate::cli) release: bool,
    /// The command with its arguments
    #[arg(required = true, last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub(in crate::cli) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StartArgs {
    /// The session's id, 1 to 128 bytes that can name a file [default: that of --session, else a new one]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<SessionId>,
    /// The process that it lives as long as: one that lasts, not a shell for one command; without it nobody can tell
    /// whether it lives
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x3fff_ffff))]
    pub(in crate::cli) pid: Option<u32>,
    /// A name for people
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ForkArgs {
    /// The session to go on from, or the beginning of its id
    pub(in crate::cli) parent: String,
    /// The entry to go on from
    #[arg(long, value_name = "ENTRY")]
    pub(in crate::cli) at: String,
    /// The new session's id [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<SessionId>,
    /// A name for people
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SessionImportArgs {
    /// Session files, or folders that hold them
    #[arg(required = true, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// Only sessions that worked in this project
    #[arg(long)]
    pub(in crate::cli) here: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}
