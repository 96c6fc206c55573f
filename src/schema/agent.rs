//! Agent instances: who was primed, by whom, for how long, and how much they were told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::SessionId;
use super::process::Process;
use super::time::Timestamp;

/// The id of an agent: `Ox` and four letters or digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId([u8; 4]);

/// A text that is not an agent's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid agent ID format: {0:?} (expected format: Ox<4-char>)")]
pub struct InvalidAgentId(pub String);

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAgentId(text.to_owned());
        let symbols = text.strip_prefix("Ox").ok_or_else(invalid)?;
        let symbols: [u8; 4] = symbols.as_bytes().try_into().map_err(|_| invalid())?;
        if symbols.iter().all(u8::is_ascii_alphanumeric) { Ok(Self(symbols)) } else { Err(invalid()) }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ox")?;
        self.0.iter().try_for_each(|symbol| write!(f, "{}", char::from(*symbol)))
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for AgentId {
    type Error = InvalidAgentId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What was put into an agent's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextUse {
    /// Bytes in all.
    pub bytes: u64,
    /// An estimate of the tokens: the bytes of each command, divided by four.
    pub tokens: u64,
    /// Commands that were counted.
    pub commands: u64,
    /// When the last one was.
    pub last_seen_at: Option<Timestamp>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The id that a server knows it by: `oxsid_` and a ULID.
    pub oxsid: String,
    /// What program it is, such as `claude-code`.
    pub agent_type: Option<String>,
    /// That program's version.
    pub agent_version: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
    /// The agent that started it.
    pub parent: Option<AgentId>,
    /// The process that it speaks for: the one that called `agent prime`.
    pub process: Option<Process>,
    /// The session it was primed in.
    pub session: Option<SessionId>,
    /// How often it was primed.
    pub primes: u32,
    /// What it was told.
    pub context: ContextUse,
    /// When it was primed first.
    pub created_at: Timestamp,
    /// When it stops being listed.
    pub expires_at: Timestamp,
}
