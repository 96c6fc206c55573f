//! `oxi-state doc …`

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::documents::Expect;
use crate::schema::document::DocumentKind;
use crate::schema::id::ContentHash;

use super::deferred::Deferred;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DocCommand {
    /// Store a text, over the one that was there
    ///
    /// Markdown and JSON of one name are two documents. JSON is stored with an indent of two spaces.
    ///
    /// JSON under sessions/ is a pointer to a session: id, user_id, user_message_count, agent_response_count,
    /// active_seed_id, active_persona_id, created_at, updated_at, metadata. Anything else is refused there: what was
    /// said in a session is never stored.
    #[command(
        after_help = "Examples:\n  oxi-state doc put notes/plan plan.md\n  echo '{\"step\":2}' | oxi-state doc put runs/last --kind json\n  oxi-state doc put runs/last run.json --expect none"
    )]
    Put(Deferred<DocPutArgs>),
    /// Print a text as it is
    #[command(
        after_help = "Examples:\n  oxi-state doc get notes/plan --kind markdown\n  oxi-state doc get runs/last | jq .step\n  oxi-state doc get runs/last --json | jq -r .hash"
    )]
    Get {
        /// The document
        #[arg(value_name = "CATEGORY/NAME")]
        path: String,
        /// json or markdown [default: the JSON document if there is one, else the Markdown one]
        #[arg(long)]
        kind: Option<DocumentKind>,
    },
    /// List documents: kind, size, time of change and hash
    #[command(
        after_help = "Examples:\n  oxi-state doc list notes\n  oxi-state doc list --json | jq -r '.[].category' | uniq"
    )]
    List(Deferred<DocListArgs>),
    /// Delete one document
    #[command(
        after_help = "Examples:\n  oxi-state doc delete notes/plan --kind markdown\n  oxi-state doc delete notes/plan && oxi-state undo"
    )]
    Delete(Deferred<DocDeleteArgs>),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DocPutArgs {
    /// The document; the category may have slashes
    #[arg(value_name = "CATEGORY/NAME")]
    pub(in crate::cli) path: String,
    /// The text; standard input where it is - or left out
    #[arg(default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
    pub(in crate::cli) file: PathBuf,
    /// json or markdown [default: json for a FILE that ends in .json, else markdown]
    #[arg(long)]
    pub(in crate::cli) kind: Option<DocumentKind>,
    /// Only if the document's hash, as `doc list` gives it, is still this; or `none`: only if there is no such document
    #[arg(long, value_name = "HASH")]
    pub(in crate::cli) expect: Option<Expect>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DocListArgs {
    /// Only what is directly in this category [default: everything]
    pub(in crate::cli) category: Option<String>,
    /// What is in the categories below it, too
    #[arg(short, long, requires = "category")]
    pub(in crate::cli) recursive: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DocDeleteArgs {
    /// The document
    #[arg(value_name = "CATEGORY/NAME")]
    pub(in crate::cli) path: String,
    /// json or markdown [default: the JSON document if there is one, else the Markdown one]
    #[arg(long)]
    pub(in crate::cli) kind: Option<DocumentKind>,
    /// Only if the document's hash, as `doc list` gives it, is still this
    #[arg(long, value_name = "HASH")]
    pub(in crate::cli) expect: Option<ContentHash>,
}
