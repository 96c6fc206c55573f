//! The command line, as clap reads it. The doc comments here are the help texts.

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum, ValueHint};

mod agent;
mod border;
mod commands;
mod config;
mod deferred;
mod doc;
mod doctor;
mod handoff;
mod hooks;
mod issue;
mod keyed;
mod schema;
mod session;
mod usage;
mod validation;

pub(super) use agent::{AgentCommand, PrimeArgs};
pub(super) use border::{InboxArgs, SnapshotArgs};
pub(super) use commands::{
    AgentsCommand, Command, MirrorCommand, ProgramCommand, RecordsCommand, UpkeepCommand, WorkCommand,
};
pub(super) use config::{ConfigCommand, ConfigSetArgs};
pub(super) use deferred::{Asked, parse_asked};
pub(super) use doc::{DocCommand, DocDeleteArgs, DocListArgs, DocPutArgs};
pub(super) use doctor::{BackupArgs, DoctorArgs, RestoreArgs};
pub(super) use handoff::{HandoffAddArgs, HandoffCommand};
pub(super) use hooks::{HooksCommand, MergeDriverArgs};
pub(super) use issue::{
    ChangeCommand, ClaimArgs, CreateArgs, DepCommand, IssueCommand, ListArgs, ListCommand, LookCommand, SortBy,
    StatusFilter, UpdateArgs,
};
pub(super) use keyed::{
    FactCommand, HealthCommand, PointerCommand, PolicyArgs, RecordArgs, RegistryCommand, RuntimeCommand,
};
pub(super) use schema::SchemaKind;
pub(super) use session::{ForkArgs, RunArgs, SessionCommand, SessionImportArgs, StartArgs};
pub(super) use usage::{By, TelemetryCommand, UsageCommand};
pub(super) use validation::{ValidationCommand, ValidationListArgs, ValidationRecordArgs, ValidationRunArgs};

use crate::schema::id::{IssueId, Revision};

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
  oxi-state resume                        what you must know to go on
  oxi-state issue next                    what to work on now
  oxi-state validation run -- cargo test  check, and remember how it ended
  oxi-state handoff add 'Half done'       a note for whoever goes on
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
pub(super) struct ImportArgs {
    #[command(flatten)]
    pub(super) mirror: MirrorArgs,
    /// Of known files look only at those that commits since this revision changed; new and missing ones are seen anyway
    #[arg(long, value_name = "REV")]
    pub(super) since: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// The issue
    pub(super) id: IssueId,
    #[command(flatten)]
    pub(super) choice: ChoiceArgs,
}

// How to end a conflict: exactly one of these. No doc comment: it would become the help of the command.
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

#[derive(Debug, Args)]
pub(super) struct UndoArgs {
    /// A revision, as `log` shows it
    pub(super) revision: Option<u64>,
    /// All changes of the command that made that one
    #[arg(long, requires = "revision")]
    pub(super) whole: bool,
    /// Even if another session has the issue
    #[arg(long)]
    pub(super) force: bool,
}

impl LogArgs {
    pub(super) fn since(&self) -> Revision {
        Revision(self.since)
    }
}
