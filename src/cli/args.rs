//! The command line, as clap reads it. The doc comments here are the help texts.

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

mod agent;
mod border;
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
pub(super) use config::{ConfigCommand, ConfigSetArgs};
use deferred::Deferred;
pub(super) use deferred::parse_asked;
pub(super) use doc::{DocCommand, DocDeleteArgs, DocListArgs, DocPutArgs};
pub(super) use doctor::{BackupArgs, DoctorArgs, RestoreArgs};
pub(super) use handoff::{HandoffAddArgs, HandoffCommand};
pub(super) use hooks::{HooksCommand, MergeDriverArgs};
pub(super) use issue::{ClaimArgs, CreateArgs, DepCommand, IssueCommand, ListArgs, SortBy, StatusFilter, UpdateArgs};
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

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Begin: make .oxi, its .gitignore and the database, and take in the files that are there
    ///
    /// Can be run again at any time.
    #[command(after_help = "Examples:\n  git init && oxi-state init\n  oxi-state init --hooks")]
    Init {
        /// Register the merge driver and the hooks, too (see `hooks install`)
        #[arg(long)]
        hooks: bool,
    },
    /// Create, find and change issues
    #[command(subcommand)]
    Issue(Deferred<IssueCommand>),
    /// Begin, end, import and look at the sessions in which work is done
    #[command(subcommand)]
    Session(Deferred<SessionCommand>),
    /// Register agents, and count what they are told
    #[command(subcommand)]
    Agent(Deferred<AgentCommand>),
    /// Run what checks the project, and remember how it ended
    #[command(subcommand)]
    Validation(Deferred<ValidationCommand>),
    /// Leave notes for whoever goes on, with the next things to do
    #[command(subcommand)]
    Handoff(Deferred<HandoffCommand>),
    /// Say what one must know to go on: pointers, claims, handoffs, validations, limits
    ///
    /// In one screen, or with --json in one object. The most important comes first; with --max-bytes what does not fit is
    /// left out from the end, and it is said how much.
    #[command(
        after_help = "Examples:\n  oxi-state resume\n  oxi-state resume --max-bytes 4000\n  oxi-state resume --json | jq '.handoffs[].summary'"
    )]
    Resume {
        /// At most so many bytes
        #[arg(long, value_name = "N")]
        max_bytes: Option<usize>,
    },
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
    #[command(
        after_help = "Examples:\n  git pull && oxi-state import\n  oxi-state import --dry-run\n  oxi-state import --since ORIG_HEAD   # after a merge, in a large project"
    )]
    Import(Deferred<ImportArgs>),
    /// Write what changed in the database into the files (before a commit)
    #[command(
        after_help = "Examples:\n  oxi-state export && git add .oxi/issues && git commit\n  oxi-state export --dry-run"
    )]
    Export(Deferred<MirrorArgs>),
    /// Import, then export
    #[command(after_help = "Example:\n  oxi-state sync --json | jq .merged")]
    Sync(Deferred<MirrorArgs>),
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
    Resolve(Deferred<ResolveArgs>),
    /// Write what is known into .oxi/state, for programs that cannot read the database
    ///
    /// There is a file of JSON lines for each kind of record, and latest.json, which sums up the present state and names the
    /// others with their digests. All are of one moment, and each is replaced at once. They hold no session ids and no local
    /// paths unless the settings export.session_ids and export.paths say so, and no texts of issues and documents.
    #[command(after_help = border::SNAPSHOT_EXAMPLES)]
    Snapshot(Deferred<SnapshotArgs>),
    /// Take in what other programs appended to .oxi/state/inbox.jsonl, each row once
    ///
    /// A row is one line of JSON: {"kind":"handoff","key":"optional","data":{...}}. Kinds are handoff, validation, pointer,
    /// fact, runtime, health, registry and telemetry. A second row of one kind and key is passed over. A line that cannot
    /// be taken stays in the file and is reported once; then the exit code is 7, and all others are taken.
    #[command(after_help = border::INBOX_EXAMPLES)]
    Inbox(Deferred<InboxArgs>),
    /// Register the merge driver and the hooks in this clone, or take them out
    #[command(subcommand)]
    Hooks(Deferred<HooksCommand>),
    /// Merge two versions of an issue file: git runs it, see `hooks install`
    ///
    /// Fields, labels and links are merged one by one, the body by lines. The result is written over OURS, with conflict
    /// markers in the body where both changed the same lines. Exit 0: merged; 1: a person must look; above 128: nothing
    /// was done. Needs no project.
    #[command(
        after_help = "Example:\n  git config merge.oxi-state.driver 'oxi-state merge-driver --marker-size=%L -- %O %A %B %P'"
    )]
    MergeDriver(Deferred<MergeDriverArgs>),
    /// Show who changed what, newest first
    ///
    /// Each change with its revision, when, who (and in which session), what, and the fields that it changed; of a text
    /// the lines that differ.
    #[command(
        after_help = "Examples:\n  oxi-state log --limit 10\n  oxi-state log --key 12\n  oxi-state log --since 40 --json"
    )]
    Log(Deferred<LogArgs>),
    /// Undo a change; without a revision, the last command that was not undone yet
    ///
    /// Nothing newer is overwritten: where a later change touched the same fields, it is named, and nothing happens. The
    /// files follow with the next export. Undoing is itself a change, and can be undone by its own revision.
    #[command(after_help = "Examples:\n  oxi-state undo\n  oxi-state undo 42\n  oxi-state undo 42 --whole")]
    Undo(Deferred<UndoArgs>),
    /// Count what is stored
    #[command(after_help = "Example:\n  oxi-state stats --json")]
    Stats,
    /// Drop what the settings retention.* do not keep, and make the database file as small as what is in it
    ///
    /// Usage and telemetry of older days, validations beyond the newest of each name (pinned ones stay), the log's oldest
    /// rows and older texts, ended sessions, expired agents, handoffs that are done. Never issues, documents or pointers.
    /// What is dropped cannot be brought back by undo. So a clock that went on by more than 7 days since the last change is
    /// believed by 7 days only, unless --trust-clock says that it is right.
    #[command(
        after_help = "Examples:\n  oxi-state compact --dry-run\n  oxi-state compact --json | jq .dropped\n  OXI_STATE_RETENTION_CHANGES=1000 oxi-state compact"
    )]
    Compact {
        /// Say what would be dropped, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Believe that it is as late as the clock says, after a long time without changes
        #[arg(long)]
        trust_clock: bool,
    },
    /// Look for damage and whatever else is wrong; with --fix, mend it
    ///
    /// Looks at every page and every row of the database, at whether its tables agree, and at the files as `status` does.
    /// With --fix a damaged database is put aside, everything in it that is whole is saved, the rest comes from the issue
    /// files, and what could not be saved is named.
    #[command(after_help = doctor::DOCTOR_EXAMPLES)]
    Doctor(Deferred<DoctorArgs>),
    /// Copy the database to a file, while others go on using it
    ///
    /// The copy is of one moment, and is looked through before it gets its name. Only you can read it.
    #[command(after_help = doctor::BACKUP_EXAMPLES)]
    Backup(Deferred<BackupArgs>),
    /// Put a backup in the place of the database
    ///
    /// It is looked through first, and the present database is kept beside it. The files are not touched: `status` says how
    /// they differ, and `sync` brings both in step.
    #[command(after_help = doctor::RESTORE_EXAMPLES)]
    Restore(Deferred<RestoreArgs>),
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
