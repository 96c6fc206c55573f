//! The command line, as clap reads it. The doc comments here are the help texts.

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]
#![expect(clippy::struct_excessive_bools, reason = "flags are what they are")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

mod agent;
mod config;
mod deferred;
mod doc;
mod keyed;
mod schema;
mod session;
mod usage;

pub(super) use agent::{AgentCommand, PrimeArgs};
pub(super) use config::{ConfigCommand, ConfigSetArgs};
use deferred::Deferred;
pub(super) use doc::{DocCommand, DocDeleteArgs, DocListArgs, DocPutArgs};
pub(super) use keyed::{
    FactCommand, HealthCommand, PointerCommand, PolicyArgs, RecordArgs, RegistryCommand, RuntimeCommand,
};
pub(super) use schema::SchemaKind;
pub(super) use session::{ForkArgs, RunArgs, SessionCommand, SessionImportArgs, StartArgs};
pub(super) use usage::{By, TelemetryCommand, UsageCommand};

use crate::schema::id::{ContentHash, IssueId, Revision};
use crate::schema::issue::{Priority, Status};

/// Durable project state for coding agents and the people beside them.
///
/// Issues live in an embedded database that scripts can query and change at once, and in files under .oxi/issues that
/// people edit, diff and merge with git. oxi-state keeps the two in step and loses nothing from either.
#[derive(Debug, Parser)]
#[command(name = "oxi-state", version, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  oxi-state init                          begin here; takes in the files that are there
  oxi-state issue create 'Fix login' -p high -l bug
  oxi-state issue next                    what to work on now
  oxi-state sync                          before a commit and after a pull
  oxi-state status --check                in CI: exit 4 unless files and database are in step

Exit codes: 0 done, 1 error, 2 usage, 3 not found, 4 conflict, 5 claimed, 6 busy, 7 bad input, 8 refused, 9 database";

#[derive(Debug, Args)]
pub(super) struct Global {
    /// Look for the project in DIR instead of the current directory
    #[arg(short = 'C', value_name = "DIR", global = true, help_heading = "Global options", value_hint = ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
    /// Print one JSON document, errors too
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) json: bool,
    /// Act as this session, for claims and the log; without it you are a person [env: OXI_STATE_SESSION]
    #[arg(long, value_name = "ID", global = true, help_heading = "Global options")]
    pub(super) session: Option<String>,
    /// Your name in the log [env: OXI_STATE_ACTOR; else git's user.name, else the login name]
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub(super) actor: Option<String>,
    /// Wait so long for other processes [env: OXI_STATE_LOCK_TIMEOUT] [default: 10]
    #[arg(long, value_name = "SECS", global = true, help_heading = "Global options")]
    pub(super) lock_timeout: Option<String>,
    /// Store [redacted:RULE] in place of what looks like a secret, instead of refusing
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) redact: bool,
    /// Accept what RULE takes for a secret; a refusal names the rule; may be given more than once
    #[arg(long, value_name = "RULE", global = true, help_heading = "Global options")]
    pub(super) allow: Vec<String>,
    /// Leave out notes, hints and progress
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(super) quiet: bool,
    /// Colour the output [default: auto]
    #[arg(long, value_name = "WHEN", global = true, help_heading = "Global options")]
    pub(super) color: Option<When>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Begin: make .oxi, its .gitignore and the database, and take in the files that are there
    ///
    /// Can be run again at any time.
    #[command(after_help = "Example:\n  git init && oxi-state init")]
    Init,
    /// Create, find and change issues
    #[command(subcommand)]
    Issue(Deferred<IssueCommand>),
    /// Begin, end, import and look at the sessions in which work is done
    #[command(subcommand)]
    Session(Deferred<SessionCommand>),
    /// Register agents, and count what they are told
    #[command(subcommand)]
    Agent(Deferred<AgentCommand>),
    /// Keep texts under a category and a name, in Markdown or JSON
    #[command(subcommand)]
    Doc(Deferred<DocCommand>),
    /// Remember what work is about: repository, fork, branch, pull request, issue, sessions, notes
    #[command(subcommand)]
    Pointer(Deferred<PointerCommand>),
    /// Remember how the project is configured, and by which layer
    #[command(subcommand)]
    Fact(Deferred<FactCommand>),
    /// Remember how things that run are
    #[command(subcommand)]
    Runtime(Deferred<RuntimeCommand>),
    /// Remember how models answer, and whether they may be called now
    #[command(subcommand)]
    Health(Deferred<HealthCommand>),
    /// Remember which extensions and packages are installed
    #[command(subcommand)]
    Registry(Deferred<RegistryCommand>),
    /// Count what a proxy noted of its requests, and sum it up
    #[command(subcommand)]
    Usage(Deferred<UsageCommand>),
    /// Keep counters per day: sessions, messages, tokens, tools, errors
    #[command(subcommand)]
    Telemetry(Deferred<TelemetryCommand>),
    /// Take what changed in the files into the database (after a pull)
    #[command(after_help = "Examples:\n  git pull && oxi-state import\n  oxi-state import --dry-run")]
    Import(MirrorArgs),
    /// Write what changed in the database into the files (before a commit)
    #[command(
        after_help = "Examples:\n  oxi-state export && git add .oxi/issues && git commit\n  oxi-state export --dry-run"
    )]
    Export(MirrorArgs),
    /// Import, then export
    #[command(after_help = "Example:\n  oxi-state sync --json | jq .merged")]
    Sync(MirrorArgs),
    /// Say how far files and database are apart; change nothing
    #[command(after_help = "Example:\n  oxi-state status --check || oxi-state sync")]
    Status {
        /// Exit with 4 unless they are in step
        #[arg(long)]
        check: bool,
    },
    /// List the issues whose record and file could not be merged
    #[command(after_help = "Example:\n  oxi-state conflicts --json | jq -r '.[].id'")]
    Conflicts,
    /// End a conflict
    ///
    /// `oxi-state conflicts` shows both sides: ours is the record, theirs is the file. What did not overlap has been merged;
    /// the choice is about the lines that both sides changed. The file follows with the next export.
    #[command(
        after_help = "Examples:\n  oxi-state resolve 12 --union\n  oxi-state resolve 12 --edit\n  oxi-state resolve 12 --body-file merged.md"
    )]
    Resolve(ResolveArgs),
    /// Show who changed what, newest first
    #[command(after_help = "Examples:\n  oxi-state log --key 12\n  oxi-state log --since 40 --json")]
    Log(LogArgs),
    /// Undo a change; without a revision, the last command that was not undone yet
    ///
    /// Undoing is itself a change, and can be undone by its own revision.
    #[command(after_help = "Examples:\n  oxi-state undo\n  oxi-state undo 42")]
    Undo {
        /// A revision, as `log` shows it
        revision: Option<u64>,
        /// Even if another session has the issue
        #[arg(long)]
        force: bool,
    },
    /// Count what is stored
    #[command(after_help = "Example:\n  oxi-state stats --json")]
    Stats,
    /// Show and change settings
    #[command(subcommand)]
    Config(Deferred<ConfigCommand>),
    /// Print the JSON Schema of an output
    #[command(after_help = "Example:\n  oxi-state schema issue")]
    Schema {
        /// Which output
        kind: SchemaKind,
    },
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  oxi-state completions bash > ~/.local/share/bash-completion/completions/oxi-state"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  oxi-state man | man -l -")]
    Man,
}

#[derive(Debug, Args)]
pub(super) struct MirrorArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Take missing files for deleted ones even if the folder is missing or many are gone at once
    #[arg(long)]
    pub(super) allow_deletes: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// The issue
    pub(super) id: IssueId,
    #[command(flatten)]
    pub(super) choice: ChoiceArgs,
}

/// How to end a conflict: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "flags of which clap lets exactly one through")]
pub(super) struct ChoiceArgs {
    /// Take the record's lines
    #[arg(long)]
    pub(super) ours: bool,
    /// Take the file's lines
    #[arg(long)]
    pub(super) theirs: bool,
    /// Take both, the record's first
    #[arg(long)]
    pub(super) union: bool,
    /// Edit the body, with conflict markers where the sides overlap
    #[arg(long)]
    pub(super) edit: bool,
    /// Take the body from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) body_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Only changes after this revision
    #[arg(long, value_name = "REV", default_value_t = 0)]
    pub(super) since: u64,
    /// Only changes of this kind of record
    #[arg(long, value_name = "KIND", value_parser = crate::db::record::Kind::ALL.map(crate::db::record::Kind::as_str))]
    pub(super) kind: Option<String>,
    /// Only changes of this record: an issue's number, a session's or an agent's id, a document's CATEGORY/NAME/KIND
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub(super) enum IssueCommand {
    /// Create an issue and print its number
    #[command(
        after_help = "Examples:\n  oxi-state issue create 'Fix login' -p high -l bug -l auth\n  oxi-state issue create 'Write docs' --depends-on 12 --body-file notes.md"
    )]
    Create(CreateArgs),
    /// List issues; open ones, newest change first, unless asked otherwise
    #[command(
        after_help = "Examples:\n  oxi-state issue list --ready --sort priority --limit 10\n  oxi-state issue list -l bug --json | jq -r '.[].title'"
    )]
    List(ListArgs),
    /// Show issues whole
    #[command(after_help = "Example:\n  oxi-state issue show 12 --json | jq .blocked_by")]
    Show {
        /// The issues
        #[arg(required = true, value_name = "ID")]
        ids: Vec<IssueId>,
    },
    /// Find text in titles and bodies, in any case
    #[command(after_help = "Example:\n  oxi-state issue search 'time zone'")]
    Search {
        /// The text
        text: String,
        /// Which issues to look at
        #[arg(long, value_name = "STATUS", default_value = "all")]
        status: StatusFilter,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Count the open issues and name the newest
    #[command(after_help = "Example:\n  oxi-state issue summary --json | jq .open_count")]
    Summary,
    /// Show the issue to work on next: ready, free, highest priority, lowest number
    #[command(after_help = "Examples:\n  oxi-state issue next\n  oxi-state issue next --start --session my-session")]
    Next {
        /// Take it for the session, in the same step
        #[arg(long)]
        start: bool,
    },
    /// Change fields of an issue, all in one step
    #[command(
        after_help = "Examples:\n  oxi-state issue update 12 --priority high --add-label urgent\n  oxi-state issue update 12 --append 'Seen again on main.' --expect 8788908c95725b25"
    )]
    Update(Box<UpdateArgs>),
    /// Take issues for the session
    #[command(after_help = "Example:\n  oxi-state issue start 12 --session my-session")]
    Start(ClaimArgs),
    /// Give issues back
    #[command(after_help = "Example:\n  oxi-state issue release 12 --session my-session")]
    Release(ClaimArgs),
    /// Close issues
    #[command(after_help = "Example:\n  oxi-state issue close 12 13")]
    Close(ClaimArgs),
    /// Open closed issues again
    #[command(after_help = "Example:\n  oxi-state issue reopen 12")]
    Reopen(ClaimArgs),
    /// Note that the session worked on issues
    #[command(after_help = "Example:\n  oxi-state issue link 12 --session my-session")]
    Link(ClaimArgs),
    /// Delete issues; their numbers stay used, and undo brings them back
    #[command(after_help = "Example:\n  oxi-state issue delete 12 && oxi-state undo")]
    Delete(ClaimArgs),
    /// Edit an issue in $VISUAL or $EDITOR
    #[command(after_help = "Example:\n  EDITOR=nano oxi-state issue edit 12")]
    Edit {
        /// The issue
        id: IssueId,
    },
    /// Say which issues wait for which
    #[command(subcommand)]
    Dep(Deferred<DepCommand>),
}

#[derive(Debug, Subcommand)]
pub(super) enum DepCommand {
    /// A waits for B
    #[command(after_help = "Example:\n  oxi-state issue dep add 12 7")]
    Add {
        /// The issue that waits
        #[arg(value_name = "A")]
        issue: IssueId,
        /// The issue that it waits for
        #[arg(value_name = "B")]
        on: IssueId,
        /// Even if another session has A
        #[arg(long)]
        force: bool,
    },
    /// A no longer waits for B
    #[command(after_help = "Example:\n  oxi-state issue dep remove 12 7")]
    Remove {
        /// The issue that waited
        #[arg(value_name = "A")]
        issue: IssueId,
        /// The issue that it waited for
        #[arg(value_name = "B")]
        on: IssueId,
        /// Even if another session has A
        #[arg(long)]
        force: bool,
    },
    /// Show what an issue waits for, and what that waits for
    #[command(after_help = "Example:\n  oxi-state issue dep tree 12")]
    Tree {
        /// The issue
        id: IssueId,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// One line that says what is to be done
    pub(super) title: String,
    /// The body, in Markdown
    #[arg(short, long, value_name = "TEXT", conflicts_with = "body_file", allow_hyphen_values = true)]
    pub(super) body: Option<String>,
    /// Take the body from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) body_file: Option<PathBuf>,
    /// low, medium, high or critical
    #[arg(short, long, default_value = "medium")]
    pub(super) priority: Priority,
    /// A label; may be given more than once
    #[arg(short, long = "label", value_name = "LABEL")]
    pub(super) labels: Vec<String>,
    /// The person meant to do it
    #[arg(long, value_name = "NAME")]
    pub(super) assignee: Option<String>,
    /// An issue to wait for; may be given more than once
    #[arg(long, value_name = "ID")]
    pub(super) depends_on: Vec<IssueId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusFilter {
    Open,
    Closed,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SortBy {
    /// Last change, newest first
    Updated,
    /// Newest first
    Created,
    /// Highest first, then lowest number
    Priority,
    /// Lowest first
    Id,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Which issues [default: open]
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Option<StatusFilter>,
    /// Exactly this priority
    #[arg(short, long)]
    pub(super) priority: Option<Priority>,
    /// With this label; may be given more than once, then with all of them
    #[arg(short, long = "label", value_name = "LABEL")]
    pub(super) labels: Vec<String>,
    /// Meant for this person
    #[arg(long, value_name = "NAME")]
    pub(super) assignee: Option<String>,
    /// Taken by a session that lives, or may live
    #[arg(long, conflicts_with = "free")]
    pub(super) claimed: bool,
    /// Not taken by such a session
    #[arg(long)]
    pub(super) free: bool,
    /// Linked to this session (here a filter; the caller's session comes from OXI_STATE_SESSION)
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,
    /// With this text in the title, in any case
    #[arg(long, value_name = "TEXT")]
    pub(super) text: Option<String>,
    /// Open, and everything it waits for is closed or gone
    #[arg(long, conflicts_with_all = ["blocked", "status"])]
    pub(super) ready: bool,
    /// Open, and waiting for an open issue
    #[arg(long, conflicts_with = "status")]
    pub(super) blocked: bool,
    /// The order
    #[arg(long, value_name = "BY", default_value = "updated")]
    pub(super) sort: SortBy,
    /// The other way round
    #[arg(long)]
    pub(super) reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// The issue
    pub(super) id: IssueId,
    /// A new title; the file keeps its name
    #[arg(long, allow_hyphen_values = true)]
    pub(super) title: Option<String>,
    /// A new body
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file", allow_hyphen_values = true)]
    pub(super) body: Option<String>,
    /// Take the new body from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) body_file: Option<PathBuf>,
    /// Add a paragraph to the body
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) append: Option<String>,
    /// low, medium, high or critical
    #[arg(short, long)]
    pub(super) priority: Option<Priority>,
    /// open or closed
    #[arg(long)]
    pub(super) status: Option<Status>,
    /// The person meant to do it; empty for nobody
    #[arg(long, value_name = "NAME")]
    pub(super) assignee: Option<String>,
    /// Add a label
    #[arg(long, value_name = "LABEL")]
    pub(super) add_label: Vec<String>,
    /// Remove a label
    #[arg(long, value_name = "LABEL")]
    pub(super) remove_label: Vec<String>,
    /// Replace all labels; an empty one for none
    #[arg(short, long = "label", value_name = "LABEL")]
    pub(super) labels: Option<Vec<String>>,
    /// Set a key that oxi-state does not know; an empty value removes it
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Only if the issue's hash, as `issue show` gives it, is still this
    #[arg(long, value_name = "HASH")]
    pub(super) expect: Option<ContentHash>,
    /// Even if another session has it
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ClaimArgs {
    /// The issues, all or none
    #[arg(required = true, value_name = "ID")]
    pub(super) ids: Vec<IssueId>,
    /// Only if the issue's hash, as `issue show` gives it, is still this (one issue)
    #[arg(long, value_name = "HASH")]
    pub(super) expect: Option<ContentHash>,
    /// Even if another session has it
    #[arg(long)]
    pub(super) force: bool,
}

impl LogArgs {
    pub(super) fn since(&self) -> Revision {
        Revision(self.since)
    }
}
