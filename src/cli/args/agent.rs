//! `oxi-state agent …`

#![expect(clippy::doc_markdown, reason = "help texts are plain text")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::deferred::Deferred;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AgentCommand {
    /// Register the calling agent, or find it again, and print its id
    ///
    /// An agent is found again by --id, by its session, or by the process that calls; it is listed for 24
    /// hours (setting retention.agents_hours).
    #[command(
        after_help = "Examples:\n  export OXI_STATE_AGENT=$(oxi-state agent prime --type claude-code)\n  oxi-state agent prime --new --json"
    )]
    Prime(Deferred<PrimeArgs>),
    /// List the agents that live, under the agents that started them
    #[command(after_help = "Example:\n  oxi-state agent list --all --json | jq -r '.[].agent_id'")]
    List {
        /// Dead and expired ones, too
        #[arg(long)]
        all: bool,
    },
    /// Show what is known of an agent
    #[command(after_help = "Example:\n  oxi-state agent show OxA1b2")]
    Show {
        /// The agent [default: the caller, from OXI_STATE_AGENT]
        id: Option<String>,
    },
    /// Count bytes that were put into an agent's context
    #[command(after_help = "Example:\n  oxi-state agent count-context OxA1b2 4096")]
    CountContext {
        /// The agent
        id: String,
        /// How many bytes
        bytes: u64,
    },
    /// Forget agents that expired, and the oldest beyond the setting retention.agents (500)
    #[command(after_help = "Example:\n  oxi-state agent prune --dry-run")]
    Prune {
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take in agents from an agent_instances.jsonl, which is only read
    #[command(after_help = "Example:\n  oxi-state agent import .sageox/agent_instances/ada/agent_instances.jsonl")]
    Import {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PrimeArgs {
    /// The agent to find again
    #[arg(long, value_name = "ID", conflicts_with = "new")]
    pub(in crate::cli) id: Option<String>,
    /// Register a new one, whoever calls
    #[arg(long)]
    pub(in crate::cli) new: bool,
    /// What program it is, such as claude-code
    #[arg(long = "type", value_name = "NAME")]
    pub(in crate::cli) agent_type: Option<String>,
    /// That program's version
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) agent_version: Option<String>,
    /// The model that answers
    #[arg(long, value_name = "MODEL")]
    pub(in crate::cli) model: Option<String>,
    /// The process that it lives as long as [default: the one that calls]
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x3fff_ffff))]
    pub(in crate::cli) pid: Option<u32>,
}
