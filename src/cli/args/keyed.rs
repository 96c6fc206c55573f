//! `oxi-state pointer|fact|runtime|health|registry …`
//!
//! The arguments that set fields serialize under the names of the fields, and go to the table of the kind as they are.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::schema::health::ErrorClass;
use crate::schema::id::ContentHash;
use crate::schema::pointer::PointerKind;
use crate::schema::registry::{ERRORS, RegistryKind, SCOPES, SOURCE_TYPES, STATES};
use crate::schema::runtime::RuntimeState;
use crate::schema::time::Timestamp;

use super::deferred::Deferred;

#[derive(Debug, Args)]
pub(in crate::cli) struct Guard {
    /// Only if the record's hash, as `--json` gives it, is still this
    #[arg(long, value_name = "HASH")]
    pub(in crate::cli) expect: Option<ContentHash>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PointerCommand {
    /// Point to something
    ///
    /// repo and fork take owner/name or a URL, branch a branch, pr a number or its URL, issue a number, session a session
    /// (the caller's unless one is given), note a text.
    #[command(
        after_help = "Examples:\n  oxi-state pointer set branch feature/login\n  oxi-state pointer set pr https://github.com/ada/tide/pull/17\n  oxi-state pointer set issue 12 --note 'after the release'\n  oxi-state pointer set session --name before-refactoring --session my-session"
    )]
    Set {
        /// What to point to
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(PointerKind::WORDS))]
        kind: String,
        /// Where to
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
        /// Under this name
        #[arg(long, default_value = crate::schema::pointer::ACTIVE)]
        name: String,
        /// The pull request's address, beside its number
        #[arg(long)]
        url: Option<String>,
        /// What it is for, in up to 2000 bytes
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        guard: Guard,
    },
    /// Print where a pointer points
    #[command(
        after_help = "Examples:\n  git switch \"$(oxi-state pointer get branch)\"\n  oxi-state pointer get session before-refactoring"
    )]
    Get {
        /// What it points to
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(PointerKind::WORDS))]
        kind: String,
        /// Its name
        #[arg(default_value = crate::schema::pointer::ACTIVE)]
        name: String,
    },
    /// List the pointers
    #[command(after_help = "Examples:\n  oxi-state pointer list\n  oxi-state pointer list --kind session --json")]
    List {
        /// Only those of this kind
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(PointerKind::WORDS))]
        kind: Option<String>,
    },
    /// Remove a pointer
    #[command(after_help = "Example:\n  oxi-state pointer rm pr")]
    Rm {
        /// What it points to
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(PointerKind::WORDS))]
        kind: String,
        /// Its name
        #[arg(default_value = crate::schema::pointer::ACTIVE)]
        name: String,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FactCommand {
    /// Set a fact; it then overrides what the settings files and variables say
    #[command(
        after_help = "Examples:\n  oxi-state fact set default_model claude-opus-4-5\n  oxi-state fact set max_tokens 4096 --parse"
    )]
    Set {
        /// Its name
        name: String,
        /// Its value, a text
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Read the value as JSON: a number, true, false, null or a list
        #[arg(long)]
        parse: bool,
        #[command(flatten)]
        guard: Guard,
    },
    /// Print the value of a fact
    #[command(after_help = "Example:\n  oxi-state fact get default_model")]
    Get {
        /// Its name
        name: String,
    },
    /// List the facts
    #[command(after_help = "Examples:\n  oxi-state fact list\n  oxi-state fact list providers. --json")]
    List {
        /// Only those whose names begin so
        #[arg(default_value = "")]
        beginning: String,
    },
    /// Remove a fact; the next import takes in again what the files say
    #[command(after_help = "Example:\n  oxi-state fact rm default_model")]
    Rm {
        /// Its name
        name: String,
        #[command(flatten)]
        guard: Guard,
    },
    /// Take in the original's settings: its files in your home and in the project, and its OXI_* variables
    ///
    /// The files are only read, and credentials are never kept: such a fact says that it is set. What was set with `fact
    /// set` stays.
    #[command(
        after_help = "Examples:\n  oxi-state fact import --dry-run\n  OXI_MODEL=claude-opus-4-5 oxi-state fact import"
    )]
    Import {
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RuntimeCommand {
    /// Say how something that runs is
    #[command(
        after_help = "Examples:\n  oxi-state runtime set proxy --state running --pid 4711 --port 8080 --ttl 600\n  oxi-state runtime set proxy --state failed --summary 'port in use' --clear pid"
    )]
    Set {
        /// What runs
        name: String,
        #[command(flatten)]
        fields: RuntimeFields,
        /// Stale after so many seconds
        #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32), conflicts_with = "expires_at")]
        ttl: Option<u32>,
        /// Empty a field; may be given more than once
        #[arg(long, value_name = "FIELD")]
        clear: Vec<String>,
        #[command(flatten)]
        guard: Guard,
    },
    /// Show how something that runs is
    #[command(after_help = "Example:\n  oxi-state runtime get proxy --json | jq .stale")]
    Get {
        /// What runs
        name: String,
    },
    /// List what runs
    #[command(after_help = "Example:\n  oxi-state runtime list")]
    List,
    /// Forget something that ran
    #[command(after_help = "Example:\n  oxi-state runtime rm proxy")]
    Rm {
        /// What ran
        name: String,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Args, Serialize)]
pub(in crate::cli) struct RuntimeFields {
    /// How far it has got; needed the first time
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(RuntimeState::WORDS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// One line about it
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// Its process
    #[arg(long, value_name = "PID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// The port that it listens on
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Where it answers; without user and password
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Its version
    #[arg(long = "of-version", value_name = "VERSION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Since when it is in this state
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Stale from then on
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PolicyArgs {
    /// Failures on end that open the breaker
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) open_after: u64,
    /// Seconds that it stays open where the upstream does not say
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    pub(in crate::cli) cool_down: u32,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HealthCommand {
    /// Record how a call went
    #[command(
        after_help = "Examples:\n  oxi-state health record openai/gpt-5 --ok --limit 500 --remaining 499\n  oxi-state health record openai/gpt-5 --error rate_limit --retry-after 30"
    )]
    Record(Deferred<RecordArgs>),
    /// Ask whether a call may be made now: exit 0 if so, else 4
    ///
    /// After a pause one call may be made, to see how it goes; who asks first takes it, and others wait for its outcome.
    #[command(
        after_help = "Examples:\n  oxi-state health check openai/gpt-5 && call-the-model\n  sleep \"$(oxi-state health check openai/gpt-5 --json | jq '.retry_after_seconds // 0')\""
    )]
    Check {
        /// The provider and the model
        #[arg(value_name = "PROVIDER/MODEL")]
        key: String,
        /// Only ask: do not take the one call after a pause
        #[arg(long)]
        peek: bool,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Show how a model is
    #[command(after_help = "Example:\n  oxi-state health show openai/gpt-5")]
    Show {
        /// The provider and the model
        #[arg(value_name = "PROVIDER/MODEL")]
        key: String,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// List how models are
    #[command(after_help = "Examples:\n  oxi-state health list --blocked\n  oxi-state health list openai/ --json")]
    List {
        /// Only those that begin so
        #[arg(default_value = "")]
        beginning: String,
        /// Only those that cannot be called now
        #[arg(long)]
        blocked: bool,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Forget what was met: the model is untested again
    #[command(after_help = "Example:\n  oxi-state health reset openai/gpt-5")]
    Reset {
        /// The provider and the model
        #[arg(value_name = "PROVIDER/MODEL")]
        key: String,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RecordArgs {
    /// The provider and the model
    #[arg(value_name = "PROVIDER/MODEL")]
    pub(in crate::cli) key: String,
    /// It went well
    #[arg(long, required_unless_present = "error", conflicts_with = "error")]
    pub(in crate::cli) ok: bool,
    /// It failed, in this way
    #[arg(long, value_name = "CLASS", value_parser = clap::builder::PossibleValuesParser::new(ErrorClass::WORDS))]
    pub(in crate::cli) error: Option<String>,
    /// The upstream says to come back in so many seconds
    #[arg(long, value_name = "SECS", conflicts_with = "reset_at")]
    pub(in crate::cli) retry_after: Option<f64>,
    /// The upstream says that its limit ends then
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) reset_at: Option<Timestamp>,
    /// Calls that the upstream allows in its period
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<u64>,
    /// Calls that are left of them
    #[arg(long, value_name = "N")]
    pub(in crate::cli) remaining: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) policy: PolicyArgs,
    #[command(flatten)]
    pub(in crate::cli) guard: Guard,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RegistryCommand {
    /// Register an extension or a package, or change what is known of it
    #[command(
        after_help = "Examples:\n  oxi-state registry set extension/lint --of-version 1.2.0 --source ./extensions/lint.wasm --state active --permission file_read\n  oxi-state registry set package/@ada/tide --source npm:@ada/tide --scope project --forced-off skill"
    )]
    Set {
        /// What it is and what it is called
        #[arg(value_name = "KIND/NAME")]
        key: String,
        #[command(flatten)]
        fields: Box<RegistryFields>,
        /// Empty a field; may be given more than once
        #[arg(long, value_name = "FIELD")]
        clear: Vec<String>,
        #[command(flatten)]
        guard: Guard,
    },
    /// Show what is known of one
    #[command(after_help = "Example:\n  oxi-state registry show extension/lint")]
    Show {
        /// What it is and what it is called
        #[arg(value_name = "KIND/NAME")]
        key: String,
    },
    /// List extensions and packages
    #[command(after_help = "Examples:\n  oxi-state registry list\n  oxi-state registry list --kind package --json")]
    List {
        /// Only these
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(RegistryKind::WORDS))]
        kind: Option<String>,
    },
    /// Forget one
    #[command(after_help = "Example:\n  oxi-state registry rm extension/lint")]
    Rm {
        /// What it is and what it is called
        #[arg(value_name = "KIND/NAME")]
        key: String,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Args, Serialize)]
pub(in crate::cli) struct RegistryFields {
    /// Its version
    #[arg(long = "of-version", value_name = "VERSION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Where it comes from; a path that is not relative is kept as a hash
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// What kind of place that is
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(SOURCE_TYPES))]
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type: Option<String>,
    /// Whom a package is installed for
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(SCOPES))]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The digest of the file or the package
    #[arg(long, value_name = "DIGEST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    integrity: Option<String>,
    /// Whether it is switched on: true or false
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// An extension's state
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(STATES))]
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// What an extension may do; may be given more than once, and replaces what was there
    #[arg(long = "permission", value_name = "PERMISSION")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<String>,
    /// What a package needs; may be given more than once, and replaces what was there
    #[arg(long = "dependency", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
    /// A kind of thing that is switched off in a package; may be given more than once
    #[arg(long = "disabled-kind", value_name = "KIND")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disabled_kinds: Vec<String>,
    /// A kind of thing that the project switches on; may be given more than once
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forced_on: Vec<String>,
    /// A kind of thing that the project switches off; may be given more than once
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forced_off: Vec<String>,
    /// The class of an extension's last error
    #[arg(long, value_name = "CLASS", value_parser = clap::builder::PossibleValuesParser::new(ERRORS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// When that was
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_at: Option<Timestamp>,
    /// How many errors there were
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<u64>,
    /// When it was installed
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    installed_at: Option<Timestamp>,
}
