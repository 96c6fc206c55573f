//! What can go wrong with documents.

use crate::db::StoreError;
use crate::schema::document::{DocumentName, InvalidName, MAX_TEXT, NotAName};
use crate::schema::privacy::Refused;

use crate::schema::record_id::InvalidRecordId;

/// Why a document was not saved, loaded, listed or deleted. No message repeats what is in a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A name breaks the rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A name looks like a secret.
    #[error("name: {0}")]
    SecretName(Refused),
    /// A text looks like a secret.
    #[error("text: {0}")]
    Secret(Refused),
    /// A text is longer than allowed; JSON counts as it is stored.
    #[error("the text is too large (max {MAX_TEXT} bytes)")]
    TooLarge,
    /// A text that should be JSON is not.
    #[error("line {line}, column {column}: this is not JSON: {reason}")]
    Malformed {
        /// Where it stops being JSON.
        line: usize,
        /// The byte of the line.
        column: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A value has no form in JSON.
    #[error("the value has no form in JSON: {0}")]
    NotJson(serde_json::Error),
    /// A stored document is not what was asked for.
    #[error("document {key} cannot be read at line {}, column {}", .source.line(), .source.column())]
    Unreadable {
        /// Its category, name and kind.
        key: String,
        /// What is wrong; its message may repeat the text.
        source: serde_json::Error,
    },
    /// Something else than a pointer was to be stored as a session.
    #[error("line {line}, column {column}: a session is stored as a pointer with counts, and this is none")]
    NotAPointer {
        /// Where it stops being one.
        line: usize,
        /// The byte of the line.
        column: usize,
    },
    /// A text in a pointer to a session could be something that was said.
    #[error(transparent)]
    NotAName(#[from] NotAName),
    /// A pointer to a session under the name of another.
    #[error("session {0} was to be stored under another name")]
    Misnamed(DocumentName),
    /// The session belongs to another user.
    #[error("session {0} belongs to another user")]
    OtherOwner(DocumentName),
    /// A text that is not the id of a value.
    #[error(transparent)]
    Id(#[from] InvalidRecordId),
    /// No id is left for another value.
    #[error("no id is left in this collection")]
    IdsExhausted,
    /// The system gives no random bytes.
    #[error("no random bytes for an id: {0}")]
    Random(String),
    /// A document changed although nobody could have changed it.
    #[error("the document was changed at the same time")]
    Overtaken,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
