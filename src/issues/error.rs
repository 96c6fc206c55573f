//! The original's errors, with its messages.

use std::error::Error;
use std::io;

use crate::db::StoreError;
use crate::fs::PathError;
use crate::project::DiscoveryError;
use crate::schema::time::Timestamp;
use crate::sync::MirrorError;

/// Why an issue was not read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The expected hash is not the present one.
    #[error("issue #{id} was modified since last read; re-read and retry")]
    Conflict {
        /// The issue.
        id: u32,
    },
    /// Another session has it and is, or may be, alive.
    #[error("issue #{id} is currently being worked on by session {owner}")]
    Assigned {
        /// The issue.
        id: u32,
        /// The session.
        owner: String,
        /// Since when.
        acquired_at: Timestamp,
    },
    /// The calling session would have to own the issue.
    #[error("issue #{id} is not assigned to session {caller}; run `start` first")]
    NotAssigned {
        /// The issue.
        id: u32,
        /// The caller.
        caller: String,
    },
    /// There is no such issue.
    #[error("issue #{id} not found")]
    NotFound {
        /// The number.
        id: u32,
    },
    /// A file or folder could not be used; the text names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

impl IssueError {
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into().into())
    }
}

impl From<PathError> for IssueError {
    fn from(error: PathError) -> Self {
        Self::Io(io::Error::new(error.source.kind(), error))
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Path(error) => error.into(),
            error => Self::Other(Box::new(error)),
        }
    }
}

impl From<MirrorError> for IssueError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Path(error) => error.into(),
            MirrorError::Store(error) => error.into(),
            error => Self::Other(Box::new(error)),
        }
    }
}

impl From<DiscoveryError> for IssueError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Path(error) => error.into(),
            error @ DiscoveryError::None(_) => Self::Other(Box::new(error)),
        }
    }
}
