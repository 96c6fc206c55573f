//! `oxi-state issue …`

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]
#![expect(clippy::struct_excessive_bools, reason = "flags are what they are")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::schema::id::{ContentHash, IssueId};
use crate::schema::issue::{Priority, Status};

use super::deferred::{Asked, Deferred};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IssueCommand {
    /// Create an issue and print its number
    ///
    /// With --from, create many in one step, all or none: one JSON object a line with `title` and, if wanted, `body`,
    /// `priority`, `status`, `labels`, `assignee`, `depends_on` (numbers of issues, or keys of other lines) and `key`.
    #[command(
        after_help = "Examples:\n  oxi-state issue create 'Fix login' -p high -l bug -l auth\n  oxi-state issue create 'Write docs' --depends-on 12 --body-file notes.md\n  oxi-state issue create --from plan.jsonl\n  echo '{\"title\":\"One\",\"key\":\"a\"}' | oxi-state issue create --from -"
    )]
    Create(Deferred<CreateArgs>),
    #[command(flatten)]
    List(Asked<ListCommand>),
    #[command(flatten)]
    Look(Asked<LookCommand>),
    #[command(flatten)]
    Change(Asked<ChangeCommand>),
}

// Alone, for its arguments cannot be deferred: one has the name of a global option.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ListCommand {
    /// List issues; open ones, newest change first, unless asked otherwise
    #[command(
        after_help = "Examples:\n  oxi-state issue list --ready --sort priority --limit 10\n  oxi-state issue list -l bug --json | jq -r '.[].title'"
    )]
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LookCommand {
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
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ChangeCommand {
    /// Change fields of an issue, all in one step
    ///
    /// With --where, of all issues that match, all or none.
    #[command(
        after_help = "Examples:\n  oxi-state issue update 12 --priority high --add-label urgent\n  oxi-state issue update 12 --append 'Seen again on main.' --expect 8788908c95725b25\n  oxi-state issue update --where label=alarm --where priority=low --priority high"
    )]
    Update(Deferred<UpdateArgs>),
    /// Take issues for the session
    #[command(after_help = "Example:\n  oxi-state issue start 12 --session my-session")]
    Start(Deferred<ClaimArgs>),
    /// Give issues back
    #[command(after_help = "Example:\n  oxi-state issue release 12 --session my-session")]
    Release(Deferred<ClaimArgs>),
    /// Close issues
    #[command(after_help = "Example:\n  oxi-state issue close 12 13")]
    Close(Deferred<ClaimArgs>),
    /// Open closed issues again
    #[command(after_help = "Example:\n  oxi-state issue reopen 12")]
    Reopen(Deferred<ClaimArgs>),
    /// Note that the session worked on issues
    #[command(after_help = "Example:\n  oxi-state issue link 12 --session my-session")]
    Link(Deferred<ClaimArgs>),
    /// Delete issues; their numbers stay used, and undo brings them back
    #[command(after_help = "Example:\n  oxi-state issue delete 12 && oxi-state undo")]
    Delete(Deferred<ClaimArgs>),
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
pub(in crate::cli) enum DepCommand {
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
pub(in crate::cli) struct CreateArgs {
    /// One line that says what is to be done
    #[arg(required_unless_present = "from")]
    pub(in crate::cli) title: Option<String>,
    /// Create the issues of a file of JSON lines, or of standard input (-), all or none
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["title", "body", "body_file", "priority", "labels", "assignee", "depends_on"]
    )]
    pub(in crate::cli) from: Option<PathBuf>,
    /// The body, in Markdown
    #[arg(short, long, value_name = "TEXT", conflicts_with = "body_file", allow_hyphen_values = true)]
    pub(in crate::cli) body: Option<String>,
    /// Take the body from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) body_file: Option<PathBuf>,
    /// low, medium, high or critical [default: medium]
    #[arg(short, long)]
    pub(in crate::cli) priority: Option<Priority>,
    /// A label; may be given more than once
    #[arg(short, long = "label", value_name = "LABEL")]
    pub(in crate::cli) labels: Vec<String>,
    /// The person meant to do it
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) assignee: Option<String>,
    /// An issue to wait for; may be given more than once
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) depends_on: Vec<IssueId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum StatusFilter {
    Open,
    Closed,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SortBy {
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
pub(in crate::cli) struct ListArgs {
    /// Which issues [default: open]
    #[arg(long, value_name = "STATUS")]
    pub(in crate::cli) status: Option<StatusFilter>,
    /// Exactly this priority
    #[arg(short, long)]
    pub(in crate::cli) priority: Option<Priority>,
    /// With this label; may be given more than once, then with all of them
    #[arg(short, long = "label", value_name = "LABEL")]
    pub(in crate::cli) labels: Vec<String>,
    /// Meant for this person
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) assignee: Option<String>,
    /// Taken by a session that lives, or may live
    #[arg(long, conflicts_with = "free")]
    pub(in crate::cli) claimed: bool,
    /// Not taken by such a session
    #[arg(long)]
    pub(in crate::cli) free: bool,
    /// Linked to this session (here a filter; the caller's session comes from OXI_STATE_SESSION)
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) session: Option<String>,
    /// With this text in the title, in any case
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) text: Option<String>,
    /// Open, and everything it waits for is closed or gone
    #[arg(long, conflicts_with = "blocked")]
    pub(in crate::cli) ready: bool,
    /// Open, and waiting for an open issue
    #[arg(long)]
    pub(in crate::cli) blocked: bool,
    /// The order
    #[arg(long, value_name = "BY", default_value = "updated")]
    pub(in crate::cli) sort: SortBy,
    /// The other way round
    #[arg(long)]
    pub(in crate::cli) reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct UpdateArgs {
    /// The issue
    #[arg(required_unless_present = "filters")]
    pub(in crate::cli) id: Option<IssueId>,
    /// All open issues of which this holds; may be given more than once, then all of it: `status=closed`, `status=all`,
    /// `priority=P`, `label=L`, `assignee=A` (empty for nobody), `session=ID`, `text=T`, `ready`, `blocked`
    #[arg(
        long = "where",
        value_name = "CONDITION",
        conflicts_with_all = ["id", "title", "body", "body_file", "expect"]
    )]
    pub(in crate::cli) filters: Vec<String>,
    /// A new title; the file keeps its name
    #[arg(long, allow_hyphen_values = true)]
    pub(in crate::cli) title: Option<String>,
    /// A new body
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file", allow_hyphen_values = true)]
    pub(in crate::cli) body: Option<String>,
    /// Take the new body from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) body_file: Option<PathBuf>,
    /// Add a paragraph to the body
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(in crate::cli) append: Option<String>,
    /// low, medium, high or critical
    #[arg(short, long)]
    pub(in crate::cli) priority: Option<Priority>,
    /// open or closed
    #[arg(long)]
    pub(in crate::cli) status: Option<Status>,
    /// The person meant to do it; empty for nobody
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) assignee: Option<String>,
    /// Add a label
    #[arg(long, value_name = "LABEL")]
    pub(in crate::cli) add_label: Vec<String>,
    /// Remove a label
    #[arg(long, value_name = "LABEL")]
    pub(in crate::cli) remove_label: Vec<String>,
    /// Replace all labels; an empty one for none
    #[arg(short, long = "label", value_name = "LABEL")]
    pub(in crate::cli) labels: Option<Vec<String>>,
    /// Set a key that oxi-state does not know; an empty value removes it
    #[arg(long, value_name = "KEY=VALUE")]
    pub(in crate::cli) set: Vec<String>,
    /// Only if the issue's hash, as `issue show` gives it, is still this
    #[arg(long, value_name = "HASH")]
    pub(in crate::cli) expect: Option<ContentHash>,
    /// Even if another session has it
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ClaimArgs {
    /// The issues, all or none
    #[arg(required = true, value_name = "ID")]
    pub(in crate::cli) ids: Vec<IssueId>,
    /// Only if the issue's hash, as `issue show` gives it, is still this (one issue)
    #[arg(long, value_name = "HASH")]
    pub(in crate::cli) expect: Option<ContentHash>,
    /// Even if another session has it
    #[arg(long)]
    pub(in crate::cli) force: bool,
}
