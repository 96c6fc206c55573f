//! The JSON Schemas of the outputs, made from the very types that are printed.

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use crate::sync::{Report, StatusReport};

use super::args::SchemaKind;
use super::history::{ChangeJson, StatsJson};
use super::issue::SummaryJson;
use super::mirror::ConflictJson;
use super::view::{FullIssueJson, IssueJson};

/// The object on stderr when a command fails.
#[derive(Serialize, JsonSchema)]
struct ErrorJson {
    error: ErrorBody,
}

#[derive(Serialize, JsonSchema)]
struct ErrorBody {
    /// `error`, `usage`, `not_found`, `conflict`, `claimed`, `busy`, `bad_input`, `refused` or `database`.
    code: String,
    message: String,
    /// What to type next.
    hint: Option<String>,
    /// Whether the same command may succeed if run again.
    retryable: bool,
}

pub(super) fn of(kind: SchemaKind) -> Schema {
    match kind {
        SchemaKind::Issue => schema_for!(FullIssueJson),
        SchemaKind::Issues => schema_for!(Vec<IssueJson>),
        SchemaKind::Summary => schema_for!(SummaryJson),
        SchemaKind::Report => schema_for!(Report),
        SchemaKind::Status => schema_for!(StatusReport),
        SchemaKind::Conflicts => schema_for!(Vec<ConflictJson>),
        SchemaKind::Log => schema_for!(Vec<ChangeJson>),
        SchemaKind::Stats => schema_for!(StatsJson),
        SchemaKind::Error => schema_for!(ErrorJson),
    }
}
