//! `oxi-state hooks …`, `oxi-state merge-driver`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::hooks::Hook;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HooksCommand {
    /// Register the merge driver and the hooks in this clone
    ///
    /// The driver: a line in .gitattributes at the top of the work tree, for you to commit, and merge.oxi-state.* in the
    /// clone's own configuration. The hooks: a marked section in each, in the folder that git uses for them
    /// (core.hooksPath too). What is there already keeps working. Nothing is staged or committed. Can be run again.
    #[command(after_help = "Example:\n  oxi-state hooks install && git add .gitattributes")]
    Install,
    /// Take out what `install` put in, and leave every file as it was before
    #[command(after_help = "Example:\n  oxi-state hooks uninstall")]
    Uninstall,
    /// Say of the driver and of each hook whether it is installed, missing, outdated or another's
    #[command(
        after_help = "Examples:\n  oxi-state hooks status\n  oxi-state hooks status --json | jq -r '.parts[] | select(.state != \"installed\").name'"
    )]
    Status,
    /// What a hook does: git runs it
    ///
    /// pre-commit and pre-push exit with 1 if the commit or push should wait; the others never fail.
    #[command(after_help = "Example:\n  oxi-state hooks run pre-commit; echo $?")]
    Run {
        /// The hook
        hook: Hook,
        /// What git tells the hook
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MergeDriverArgs {
    /// The common ancestor (%O); empty if there is none
    pub(in crate::cli) base: PathBuf,
    /// The current version (%A); the result is written over it
    pub(in crate::cli) ours: PathBuf,
    /// The other branch's version (%B)
    pub(in crate::cli) theirs: PathBuf,
    /// The path that the result will have (%P)
    pub(in crate::cli) path: PathBuf,
    /// How many signs a conflict marker has (%L)
    #[arg(long, value_name = "N")]
    pub(in crate::cli) marker_size: Option<String>,
    /// What to call our side (%X)
    #[arg(long, value_name = "LABEL")]
    pub(in crate::cli) ours_label: Option<String>,
    /// What to call their side (%Y)
    #[arg(long, value_name = "LABEL")]
    pub(in crate::cli) theirs_label: Option<String>,
}
