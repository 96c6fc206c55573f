//! Sessions, as pointers: where a conversation is, how long it is and what it belongs to, and never what was said in it.
//!
//! There is no field for a prompt, a reply, a command, its output or an argument, and every text here is either an id or
//! a name that [`is_name`] lets through.

use serde::{Deserialize, Serialize};

use super::id::SessionId;
use super::process::Process;
use super::time::Timestamp;

/// Which program's session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// Registered here, by `session start` or `session run`.
    OxiState,
    /// A session file of oxi.
    Oxi,
    /// A session file of oxicode, as oxi is called later.
    Oxicode,
    /// A session file of pi.
    Pi,
    /// A session file of omp.
    Omp,
}

impl Source {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OxiState => "oxi-state",
            Self::Oxi => "oxi",
            Self::Oxicode => "oxicode",
            Self::Pi => "pi",
            Self::Omp => "omp",
        }
    }
}

/// Whether a session goes on. Whether its process lives is another question: see [`crate::liveness`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SessionState {
    /// It was begun, and nobody ended it.
    Active,
    /// It is over.
    Ended,
    /// All that is known of it is its file.
    Recorded,
}

impl SessionState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Recorded => "recorded",
        }
    }
}

/// The file that a session was read from. It is never written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceFile {
    /// Where it is: below `~/`, or from the project's root; only its name if it is in neither.
    pub path: String,
    /// Its length in bytes when it was read.
    pub size: u64,
    /// When it was last changed, by the file system.
    pub modified: Option<Timestamp>,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

/// How many of what a session has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counts {
    /// Entries of any kind.
    pub entries: u64,
    /// Messages of the user.
    pub users: u64,
    /// Messages of the assistant.
    pub assistants: u64,
    /// Results of tools, and of commands that the user ran.
    pub tool_results: u64,
    /// Entries that more than one other follows.
    pub branches: u64,
    /// Compactions of what went before.
    pub compactions: u64,
    /// Labels set.
    pub labels: u64,
}

/// Sums over all assistant messages, in tokens, as the provider reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Tokens {
    /// Read by the model.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Read from a cache.
    pub cache_read: u64,
    /// Written to a cache.
    pub cache_write: u64,
    /// As the provider summed them up, which need not be the sum of the others; their sum where it did not.
    pub total: u64,
}

/// What follows a branch point: one child of an entry that has more than one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Branch {
    /// The entry where the ways part.
    pub from: String,
    /// The first entry of this way.
    pub first: String,
    /// The last entry of it, in the order of the file.
    pub leaf: String,
    /// Entries on it, further branches of it included.
    pub entries: u64,
    /// The total of tokens of these entries.
    pub tokens: u64,
    /// Whether the session's own leaf is on it.
    pub current: bool,
}

/// A pointer to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub source: Source,
    /// A name that the user gave it on our command line; never one from its file.
    pub name: Option<String>,
    /// Whether it goes on.
    pub state: SessionState,
    /// Its file, for one that was imported.
    pub file: Option<SourceFile>,
    /// The version of the file's format.
    pub format: Option<u32>,
    /// Where it worked: a path from the project's root (`.` for the root itself), or `#` and a hash of a place elsewhere.
    pub project: Option<String>,
    /// The session that it was forked from.
    pub parent: Option<SessionId>,
    /// The first session of that line; itself if it was not forked.
    pub root: SessionId,
    /// The entry at which it was forked.
    pub fork_point: Option<String>,
    /// Its last message entry.
    pub leaf: Option<String>,
    /// How many of what.
    pub counts: Counts,
    /// What it used.
    pub tokens: Tokens,
    /// The models that answered, as `provider/model`, in order of first use.
    pub models: Vec<String>,
    /// Why the assistant last stopped.
    pub stop_reason: Option<String>,
    /// What follows its branch points, in the order of the file; at most [`MAX_BRANCHES`].
    pub branches: Vec<Branch>,
    /// Lines of its file that could not be read.
    pub bad_lines: u64,
    /// Whether its file ended in the middle of a line.
    pub truncated: bool,
    /// The process that speaks for it.
    pub process: Option<Process>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last did something.
    pub last_activity_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// How many branches a pointer names; their number is counted beyond it.
pub const MAX_BRANCHES: usize = 1_000;

/// How many models a pointer names.
pub const MAX_MODELS: usize = 32;

/// Longest name of a model, an entry or a reason, in bytes.
pub const MAX_NAME: usize = 120;

impl Session {
    /// A session that begins now.
    #[must_use]
    pub fn begin(id: SessionId, now: Timestamp) -> Self {
        Self {
            root: id.clone(),
            id,
            source: Source::OxiState,
            name: None,
            state: SessionState::Active,
            file: None,
            format: None,
            project: None,
            parent: None,
            fork_point: None,
            leaf: None,
            counts: Counts::default(),
            tokens: Tokens::default(),
            models: Vec::new(),
            stop_reason: None,
            branches: Vec::new(),
            bad_lines: 0,
            truncated: false,
            process: None,
            created_at: now,
            last_activity_at: now,
            ended_at: None,
        }
    }
}

/// Whether a text from a session file is the name of something (a model, an entry, a reason) and not prose: at most
/// [`MAX_NAME`] ASCII letters, digits and `. _ : / @ + -`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(&byte);
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(plain)
}
