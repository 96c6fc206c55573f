//! The outputs that `oxi-state schema` describes.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SchemaKind {
    /// `issue show`
    Issue,
    /// `issue list`
    Issues,
    /// `issue summary`
    Summary,
    /// `import`, `export`, `sync`
    Report,
    /// `status`
    Status,
    /// `conflicts`
    Conflicts,
    /// `log`
    Log,
    /// `stats`
    Stats,
    /// `agent show`, `agent count-context`
    Agent,
    /// `agent list`
    Agents,
    /// `agent prime`
    AgentPrime,
    /// `agent import`
    AgentImport,
    /// `session show`
    Session,
    /// `session list`
    Sessions,
    /// `session tree`
    SessionTree,
    /// `session import`
    SessionImport,
    /// `usage import`
    UsageImport,
    /// `usage summary`
    UsageSummary,
    /// `telemetry count`, `telemetry tool`, `telemetry error`
    Telemetry,
    /// `telemetry list`
    TelemetryDays,
    /// Errors on stderr
    Error,
}
