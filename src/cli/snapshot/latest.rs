//! `latest.json`: the present state in one object, and the other files by name.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::export::snapshot::{SCHEMA, Table};
use crate::schema::fact::Fact;
use crate::schema::handoff::Handoff;
use crate::schema::health::Health;
use crate::schema::id::{IssueId, Revision};
use crate::schema::issue::Priority;
use crate::schema::keyed::Keyed as _;
use crate::schema::pointer::Pointer;
use crate::schema::registry::Registration;
use crate::schema::runtime::Runtime;
use crate::schema::time::Timestamp;
use crate::schema::validation::Validation;

use super::super::issue::SummaryJson;

/// The file `latest.json` of a snapshot: the present state, and the other files with their digests.
#[derive(Clone, Serialize, JsonSchema)]
pub(in crate::cli) struct LatestJson {
    /// 1. New keys may come without a new number.
    schema_version: u32,
    /// Since when this is how things stand: when anything in the snapshot last changed.
    generated_at: String,
    /// The last change of the database that is in it.
    revision: Revision,
    /// The database, which no other is called; another one begins its revisions anew.
    store: String,
    /// What the snapshot was allowed to hold.
    exports: ExportsJson,
    /// The project's root; null unless `export.paths` is set.
    root: Option<String>,
    /// Issues in numbers.
    issues: IssuesJson,
    /// The open issues that a session has.
    claims: Vec<ClaimJson>,
    /// All pointers.
    pointers: Rows,
    /// The latest run of each check, the failing ones first.
    validations: Rows,
    /// The open handoffs, the oldest first.
    handoffs: Rows,
    /// All models.
    health: Rows,
    /// All that runs.
    runtime: Rows,
    /// All configuration facts.
    facts: Rows,
    /// All extensions and packages.
    registry: Rows,
    /// The tables, by name.
    files: BTreeMap<&'static str, FileJson>,
}

pub(super) type Rows = Vec<Map<String, Value>>;

#[derive(Clone, Copy, Serialize, JsonSchema)]
pub(super) struct ExportsJson {
    /// The setting `export.session_ids`.
    pub(super) session_ids: bool,
    /// The setting `export.paths`.
    pub(super) paths: bool,
}

#[derive(Clone, Serialize, JsonSchema)]
struct IssuesJson {
    #[serde(flatten)]
    summary: SummaryJson,
    closed_count: u64,
    /// The ready and free issue of highest priority; null if there is none.
    next: Option<IssueId>,
}

/// An issue that a session has.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct ClaimJson {
    pub(super) id: IssueId,
    pub(super) title: String,
    pub(super) priority: Priority,
    /// Since when.
    pub(super) acquired_at: Timestamp,
    /// Whether that session is alive; null if it cannot be told.
    pub(super) owner_alive: Option<bool>,
    /// The session; only there if `export.session_ids` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct FileJson {
    /// Its name, beside this file.
    path: String,
    /// Its lines.
    rows: u64,
    /// Its length.
    bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    sha256: String,
}

/// What there is to say before the tables have digests.
pub(super) struct Latest {
    pub(super) now: Timestamp,
    pub(super) revision: Revision,
    pub(super) store: String,
    pub(super) exports: ExportsJson,
    pub(super) root: Option<String>,
    pub(super) summary: SummaryJson,
    pub(super) closed_count: u64,
    pub(super) next: Option<IssueId>,
    pub(super) claims: Vec<ClaimJson>,
    pub(super) validations: Rows,
    pub(super) handoffs: Rows,
    /// Rows that are in a table as a whole, by its name.
    pub(super) whole: BTreeMap<&'static str, Rows>,
}

impl Latest {
    pub(super) fn generated_at(&self) -> String {
        self.now.to_string()
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn of(&self, time: &str, tables: &[Table], digests: &[String]) -> LatestJson {
        let whole = |name: &str| self.whole.get(name).cloned().unwrap_or_default();
        let file = |(table, sha256): (&Table, &String)| {
            let (path, rows, bytes) = (table.file(), table.rows, table.bytes.len() as u64);
            (table.name, FileJson { path, rows, bytes, sha256: sha256.clone() })
        };
        LatestJson {
            schema_version: SCHEMA,
            generated_at: time.to_owned(),
            revision: self.revision,
            store: self.store.clone(),
            exports: self.exports,
            root: self.root.clone(),
            issues: IssuesJson { summary: self.summary.clone(), closed_count: self.closed_count, next: self.next },
            claims: self.claims.clone(),
            pointers: whole("pointers"),
            validations: self.validations.clone(),
            handoffs: self.handoffs.clone(),
            health: whole("health"),
            runtime: whole("runtime"),
            facts: whole("facts"),
            registry: whole("registry"),
            files: tables.iter().zip(digests).map(file).collect(),
        }
    }
}

/// A schema with that of each row, which comes from the row's table of fields; and with no need for what may be left out.
pub(in crate::cli) fn described(mut schema: Schema) -> Schema {
    let rows = [
        ("pointers", Pointer::SCHEMA),
        ("validations", Validation::SCHEMA),
        ("handoffs", Handoff::SCHEMA),
        ("health", Health::SCHEMA),
        ("runtime", Runtime::SCHEMA),
        ("facts", Fact::SCHEMA),
        ("registry", Registration::SCHEMA),
    ];
    for (name, of) in rows {
        let mut items = of.json_schema();
        if let Some(items) = items.as_object_mut() {
            items.remove("$schema");
        }
        if let Some(list) = schema.pointer_mut(&format!("/properties/{name}")) {
            list["items"] = items;
        }
    }
    // of an issue, what is there only if session ids may be
    if let Some(Value::Array(names)) = schema.get_mut("required") {
        names.retain(|name| !["sessions", "assigned_to"].iter().any(|hidden| name == hidden));
    }
    schema
}
