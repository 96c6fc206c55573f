//! The commands, in the order of the help. They are in groups because a command is set up only if its group is asked for.
//
// No doc comments on the groups: they would become the help of the program.

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use clap::Subcommand;

use super::deferred::{Asked, Deferred};
use super::{
    AgentCommand, BackupArgs, ConfigCommand, DocCommand, DoctorArgs, FactCommand, HandoffCommand, HealthCommand,
    HooksCommand, ImportArgs, InboxArgs, IssueCommand, LogArgs, MergeDriverArgs, MirrorArgs, PointerCommand,
    RegistryCommand, ResolveArgs, RestoreArgs, RuntimeCommand, SchemaKind, SessionCommand, SnapshotArgs,
    TelemetryCommand, UndoArgs, UsageCommand, ValidationCommand, border, doctor,
};

// All commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    #[command(flatten)]
    Work(Asked<WorkCommand>),
    #[command(flatten)]
    Agents(Asked<AgentsCommand>),
    #[command(flatten)]
    Records(Asked<RecordsCommand>),
    #[command(flatten)]
    Mirror(Asked<MirrorCommand>),
    #[command(flatten)]
    Upkeep(Asked<UpkeepCommand>),
    #[command(flatten)]
    Program(Asked<ProgramCommand>),
}

// What is to be done.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WorkCommand {
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
}

// Who does it, and what they must know.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AgentsCommand {
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
}

// What else is remembered.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RecordsCommand {
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
}

// What goes between the database, the files and git.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MirrorCommand {
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
}

// What looks after the database.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UpkeepCommand {
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
}

// What is about the program itself.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ProgramCommand {
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
