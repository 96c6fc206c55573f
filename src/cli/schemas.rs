//! The JSON Schemas of the outputs, made from the very types that are printed.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::sync::{Report, StatusReport};

use super::agent::{AgentJson, ImportJson, PrimedJson};
use super::args::SchemaKind;
use super::history::{ChangeJson, StatsJson};
use super::issue::SummaryJson;
use super::mirror::ConflictJson;
use super::session::{SessionImportJson, SessionJson, SessionTreeJson};
use super::telemetry::{DatedJson, TelemetryJson};
use super::usage::{UsageImportJson, UsageSummaryJson};
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
    // what is printed, not what could be read: a key that may be null is there all the same
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    match kind {
        SchemaKind::Issue => generator.into_root_schema_for::<FullIssueJson>(),
        SchemaKind::Issues => generator.into_root_schema_for::<Vec<IssueJson>>(),
        SchemaKind::Summary => generator.into_root_schema_for::<SummaryJson>(),
        SchemaKind::Report => generator.into_root_schema_for::<Report>(),
        SchemaKind::Status => generator.into_root_schema_for::<StatusReport>(),
        SchemaKind::Conflicts => generator.into_root_schema_for::<Vec<ConflictJson>>(),
        SchemaKind::Log => generator.into_root_schema_for::<Vec<ChangeJson>>(),
        SchemaKind::Stats => generator.into_root_schema_for::<StatsJson>(),
        SchemaKind::Agent => generator.into_root_schema_for::<AgentJson>(),
        SchemaKind::Agents => generator.into_root_schema_for::<Vec<AgentJson>>(),
        SchemaKind::AgentPrime => generator.into_root_schema_for::<PrimedJson>(),
        SchemaKind::AgentImport => generator.into_root_schema_for::<ImportJson>(),
        SchemaKind::Session => generator.into_root_schema_for::<SessionJson>(),
        SchemaKind::Sessions => generator.into_root_schema_for::<Vec<SessionJson>>(),
        SchemaKind::SessionTree => generator.into_root_schema_for::<Vec<SessionTreeJson>>(),
        SchemaKind::SessionImport => generator.into_root_schema_for::<SessionImportJson>(),
        SchemaKind::UsageImport => generator.into_root_schema_for::<UsageImportJson>(),
        SchemaKind::UsageSummary => generator.into_root_schema_for::<UsageSummaryJson>(),
        SchemaKind::Telemetry => generator.into_root_schema_for::<TelemetryJson>(),
        SchemaKind::TelemetryDays => generator.into_root_schema_for::<Vec<DatedJson>>(),
        SchemaKind::Error => generator.into_root_schema_for::<ErrorJson>(),
    }
}
