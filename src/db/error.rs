//! What can go wrong with the store.

use crate::fs::PathError;
use crate::schema::codec::DecodeError;
use crate::schema::id::IssueId;

use super::gate::GateError;
use super::storage::with_reason;

/// An error of the store. Expected outcomes (a stale hash, a missing record) are values, not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The gate was not free in time; trying again may help.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A row is not what was stored.
    #[error("the database is damaged: table `{table}`, key {key}: {cause}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key, readable.
        key: String,
        /// What is wrong.
        cause: DecodeError,
    },
    /// A page of the file is not what was written, so that nothing is known of the rows that it leads to.
    #[error("the database is damaged: table `{table}`, key {key}: the page at byte {offset} is not what was written")]
    Page {
        /// The table.
        table: &'static str,
        /// The key that was looked for, readable.
        key: String,
        /// Where the page begins in the file.
        offset: u64,
    },
    /// An index and the records disagree.
    #[error("the database is damaged: index `{table}` names issue {id}, which is not as it says")]
    IndexMismatch {
        /// The index.
        table: &'static str,
        /// The issue.
        id: IssueId,
    },
    /// The file was written by an older version of this program; whoever opens it brings it up to date.
    #[error("the database was written by an older version of oxi-state (schema {found}, this one knows {known})")]
    Older {
        /// The version found.
        found: u8,
        /// The version that this program writes.
        known: u8,
    },
    /// The file was written by a newer version of this program, and is left as it is.
    #[error("the database was written by a newer version of oxi-state (schema {found}, this one knows {known})")]
    Newer {
        /// The version found.
        found: u8,
        /// The newest version this program knows.
        known: u8,
    },
    /// git tracks the database, so that a checkout could replace it at any time.
    #[error("{} is tracked by git, so any checkout would overwrite it", .0.display())]
    TrackedByGit(std::path::PathBuf),
    /// The file is no database.
    #[error("{} is not a database", .0.display())]
    NotADatabase(std::path::PathBuf),
    /// Whoever wrote last could not close the file in order, or was killed, and the disk does not take the repair.
    #[error("{} was left in the middle of a write, and cannot be set in order", .0.display())]
    NotRepaired(std::path::PathBuf),
    /// Another issue has the number that an issue was to get.
    #[error("number {0} is taken by another issue")]
    NumberTaken(IssueId),
    /// Every issue number is taken.
    #[error("no issue number is left")]
    NumbersExhausted,
    /// The database engine failed.
    #[error("the database state.redb failed: {}", engine_says(.0))]
    Engine(#[source] Box<redb::Error>),
    /// The commit failed; whether it took effect can only be told by looking.
    #[error(
        "the change could not be made durable in state.redb, and whether it took effect is unknown: {}", engine_says(.0)
    )]
    CommitUnknown(#[source] Box<redb::Error>),
}

/// The engine's message, or a better one.
fn engine_says(error: &redb::Error) -> String {
    match error {
        redb::Error::Io(error) => error.to_string(),
        // it gives up after the first error, and tells only that there was one
        redb::Error::PreviousIo => "it could not be read or written".to_owned(),
        error => error.to_string(),
    }
}

impl StoreError {
    /// That a commit failed.
    pub(super) fn of_commit(error: redb::CommitError) -> Self {
        Self::CommitUnknown(Box::new(with_reason(error.into())))
    }

    /// Whether something in the file is not what was written.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Page { .. } | Self::IndexMismatch { .. })
    }

    /// Whether there is no database.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Path(error) if error.is_not_found())
    }
}

macro_rules! engine_errors {
    ($($kind:ty),*) => {$(
        impl From<$kind> for StoreError {
            fn from(error: $kind) -> Self {
                Self::Engine(Box::new(with_reason(error.into())))
            }
        }
    )*};
}

engine_errors!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CursorError,
    redb::SetDurabilityError,
    redb::CompactionError
);
