//! `oxi-state config …`

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use crate::schema::settings::{Key, Settings};

use super::deferred::Deferred;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Show every setting: its value, the layer that says so, where, and the variable that sets it
    #[command(
        after_help = "Examples:\n  oxi-state config list\n  oxi-state config list --json | jq '.[] | select(.layer == \"project\")'"
    )]
    List,
    /// Print the value of a setting
    #[command(
        after_help = "Examples:\n  oxi-state config get claims.remote_ttl\n  oxi-state config get lock_timeout --json | jq -r .layer"
    )]
    Get {
        /// The setting
        key: String,
    },
    /// Set a setting in the project's file, or in your own
    ///
    /// Nothing else in the file changes: comments, order and spelling stay.
    #[command(after_help = set_help())]
    Set(Deferred<ConfigSetArgs>),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ConfigSetArgs {
    /// In your own file, ~/.oxi/settings.toml, instead of the project's
    #[arg(long)]
    pub(in crate::cli) global: bool,
    /// Take the setting out of the file
    #[arg(long, conflicts_with = "value")]
    pub(in crate::cli) unset: bool,
    /// The setting
    pub(in crate::cli) key: String,
    /// Its value; for a list, with commas between
    #[arg(required_unless_present = "unset", allow_negative_numbers = true)]
    pub(in crate::cli) value: Option<String>,
}

fn set_help() -> String {
    let mut help = "Examples:\n  oxi-state config set claims.remote_ttl 8h\n  oxi-state config set --global lock_timeout 30\n  \
                    oxi-state config set privacy.allow high-entropy,jwt\n  oxi-state config set --unset color\n\nSettings:\n"
        .to_owned();
    let settings = Settings::default();
    for key in Key::ALL {
        let value = settings.shown(key).0.as_word();
        let default = if value.is_empty() { String::new() } else { format!(" [default: {value}]") };
        // writing to a string cannot fail
        let _ = writeln!(help, "  {key}: {}{default}\n      {}", key.help(), key.allowed());
    }
    help.push_str(
        "\nA variable sets each for one run: OXI_STATE_ and the name in capitals, with _ for a dot \
         (OXI_STATE_CLAIMS_REMOTE_TTL).",
    );
    help
}
