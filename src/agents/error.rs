//! What can go wrong with agents.

use crate::db::StoreError;
use crate::schema::agent::AgentId;
use crate::schema::session::MAX_NAME;

/// Why an agent was not found, added or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// There is no such agent, or it has expired.
    #[error("instance not found for agent_id: {0}")]
    NotFound(AgentId),
    /// An agent of that id is there already; it may have expired.
    #[error("agent {0} is registered already")]
    Exists(AgentId),
    /// Every id that chance gave was taken.
    #[error("failed to generate unique agent ID after {} attempts", super::MAX_TRIES)]
    NoFreeId,
    /// A text that says what an agent is does not look like it.
    #[error("{0} must be 1 to {MAX_NAME} bytes without control characters")]
    NotALabel(&'static str),
    /// The system gives no random bytes.
    #[error("no random bytes for an agent's id: {0}")]
    Random(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
