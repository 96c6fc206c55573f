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
    /// `hooks install`, `uninstall`, `status`
    Hooks,
    /// `log`
    Log,
    /// `stats`
    Stats,
    /// `compact`
    Compact,
    /// `doctor`
    Doctor,
    /// `backup`
    Backup,
    /// `restore`
    Restore,
    /// `agent show`, `agent count-context`
    Agent,
    /// `agent list`
    Agents,
    /// `agent prime`
    AgentPrime,
    /// `agent import`
    AgentImport,
    /// `doc get`
    Document,
    /// `doc put`, `doc delete`
    DocumentHead,
    /// `doc list`
    Documents,
    /// `session show`
    Session,
    /// `session list`
    Sessions,
    /// `session tree`
    SessionTree,
    /// `session import`
    SessionImport,
    /// `config get`, `config set`
    Setting,
    /// `config list`
    Settings,
    /// `pointer get`, `pointer set`
    Pointer,
    /// `pointer list`
    Pointers,
    /// `fact get`, `fact set`
    Fact,
    /// `fact list`
    Facts,
    /// `fact import`
    FactImport,
    /// `runtime get`, `runtime set`
    Runtime,
    /// `runtime list`
    Runtimes,
    /// `health show`, `health record`, `health reset`
    Health,
    /// `health list`
    HealthList,
    /// `health check`
    HealthCheck,
    /// `registry show`, `registry set`
    Registry,
    /// `registry list`
    RegistryList,
    /// `validation show`, `record`, `run`
    Validation,
    /// `validation list`, `last`
    Validations,
    /// `handoff show`, `add`, `accept`, `done`
    Handoff,
    /// `handoff list`
    Handoffs,
    /// `resume`
    Resume,
    /// `usage import`
    UsageImport,
    /// `usage summary`
    UsageSummary,
    /// `telemetry count`, `telemetry tool`, `telemetry error`
    Telemetry,
    /// `telemetry list`
    TelemetryDays,
    /// state/latest.json, which `snapshot` writes
    Snapshot,
    /// A line of state/issues.jsonl
    SnapshotIssue,
    /// `snapshot`
    SnapshotReport,
    /// `inbox`
    Inbox,
    /// A line of state/inbox.jsonl
    InboxRow,
    /// Errors on stderr
    Error,
}
