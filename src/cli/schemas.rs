//! The JSON Schemas of the outputs, made from the very types that are printed.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::hooks::HooksReport;
use crate::schema::fact::Fact;
use crate::schema::handoff::Handoff;
use crate::schema::health::Health;
use crate::schema::inbox::row_schema;
use crate::schema::keyed::Keyed as _;
use crate::schema::pointer::Pointer;
use crate::schema::registry::Registration;
use crate::schema::runtime::Runtime;
use crate::schema::validation::Validation;
use crate::sync::{Report, StatusReport};

use super::agent::{AgentJson, ImportJson, PrimedJson};
use super::args::SchemaKind;
use super::backup::{BackupJson, RestoreJson};
use super::compact::CompactJson;
use super::config::SettingJson;
use super::doc::{DocumentHeadJson, DocumentJson};
use super::doctor::DoctorJson;
use super::history::StatsJson;
use super::inbox::InboxJson;
use super::issue::SummaryJson;
use super::keyed::{CheckJson, FactImportJson};
use super::log::ChangeJson;
use super::mirror::ConflictJson;
use super::resume::ResumeJson;
use super::session::{SessionImportJson, SessionJson, SessionTreeJson};
use super::snapshot::{self, LatestJson, SnapshotIssueJson, SnapshotJson};
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

/// The schema of a small keyed record, which comes from its table.
fn table(schema: serde_json::Value) -> Schema {
    // it is an object, which every schema but true and false is
    Schema::try_from(schema).unwrap_or_default()
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
        SchemaKind::Hooks => generator.into_root_schema_for::<HooksReport>(),
        SchemaKind::Log => generator.into_root_schema_for::<Vec<ChangeJson>>(),
        SchemaKind::Stats => generator.into_root_schema_for::<StatsJson>(),
        SchemaKind::Compact => generator.into_root_schema_for::<CompactJson>(),
        SchemaKind::Doctor => generator.into_root_schema_for::<DoctorJson>(),
        SchemaKind::Backup => generator.into_root_schema_for::<BackupJson>(),
        SchemaKind::Restore => generator.into_root_schema_for::<RestoreJson>(),
        SchemaKind::Agent => generator.into_root_schema_for::<AgentJson>(),
        SchemaKind::Agents => generator.into_root_schema_for::<Vec<AgentJson>>(),
        SchemaKind::AgentPrime => generator.into_root_schema_for::<PrimedJson>(),
        SchemaKind::AgentImport => generator.into_root_schema_for::<ImportJson>(),
        SchemaKind::Document => generator.into_root_schema_for::<DocumentJson>(),
        SchemaKind::DocumentHead => generator.into_root_schema_for::<DocumentHeadJson>(),
        SchemaKind::Documents => generator.into_root_schema_for::<Vec<DocumentHeadJson>>(),
        SchemaKind::Session => generator.into_root_schema_for::<SessionJson>(),
        SchemaKind::Sessions => generator.into_root_schema_for::<Vec<SessionJson>>(),
        SchemaKind::SessionTree => generator.into_root_schema_for::<Vec<SessionTreeJson>>(),
        SchemaKind::SessionImport => generator.into_root_schema_for::<SessionImportJson>(),
        SchemaKind::Setting => generator.into_root_schema_for::<SettingJson>(),
        SchemaKind::Settings => generator.into_root_schema_for::<Vec<SettingJson>>(),
        SchemaKind::Pointer => table(Pointer::SCHEMA.json_schema()),
        SchemaKind::Pointers => table(Pointer::SCHEMA.json_schema_of_list()),
        SchemaKind::Fact => table(Fact::SCHEMA.json_schema()),
        SchemaKind::Facts => table(Fact::SCHEMA.json_schema_of_list()),
        SchemaKind::FactImport => generator.into_root_schema_for::<FactImportJson>(),
        SchemaKind::Runtime => table(Runtime::SCHEMA.json_schema()),
        SchemaKind::Runtimes => table(Runtime::SCHEMA.json_schema_of_list()),
        SchemaKind::Health => table(Health::SCHEMA.json_schema()),
        SchemaKind::HealthList => table(Health::SCHEMA.json_schema_of_list()),
        SchemaKind::HealthCheck => generator.into_root_schema_for::<CheckJson>(),
        SchemaKind::Registry => table(Registration::SCHEMA.json_schema()),
        SchemaKind::RegistryList => table(Registration::SCHEMA.json_schema_of_list()),
        SchemaKind::Validation => table(Validation::SCHEMA.json_schema()),
        SchemaKind::Validations => table(Validation::SCHEMA.json_schema_of_list()),
        SchemaKind::Handoff => table(Handoff::SCHEMA.json_schema()),
        SchemaKind::Handoffs => table(Handoff::SCHEMA.json_schema_of_list()),
        SchemaKind::Resume => generator.into_root_schema_for::<ResumeJson>(),
        SchemaKind::UsageImport => generator.into_root_schema_for::<UsageImportJson>(),
        SchemaKind::UsageSummary => generator.into_root_schema_for::<UsageSummaryJson>(),
        SchemaKind::Telemetry => generator.into_root_schema_for::<TelemetryJson>(),
        SchemaKind::TelemetryDays => generator.into_root_schema_for::<Vec<DatedJson>>(),
        SchemaKind::Snapshot => snapshot::described(generator.into_root_schema_for::<LatestJson>()),
        SchemaKind::SnapshotIssue => snapshot::described(generator.into_root_schema_for::<SnapshotIssueJson>()),
        SchemaKind::SnapshotReport => generator.into_root_schema_for::<SnapshotJson>(),
        SchemaKind::Inbox => generator.into_root_schema_for::<InboxJson>(),
        SchemaKind::InboxRow => table(row_schema()),
        SchemaKind::Error => generator.into_root_schema_for::<ErrorJson>(),
    }
}
