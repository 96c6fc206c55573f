//! Rows that other programs hand in, one JSON object a line, and what is remembered of those that were taken.
//!
//! A row is `{"kind":…,"key":…,"data":{…}}`. What may be in `data` is the table of its kind ([`super::keyed`]); so there is
//! no second description of any record here. Of a row that was taken only digests are remembered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fact::Fact;
use super::handoff::Handoff;
use super::health::ErrorClass;
use super::keyed::Keyed as _;
use super::pointer::Pointer;
use super::registry::Registration;
use super::runtime::Runtime;
use super::time::Timestamp;
use super::usage::{MAX_COUNTER, Mark};
use super::validation::Validation;

/// Longest key of a row, in bytes.
pub const MAX_KEY: usize = 200;

/// The kinds of rows that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// A new handoff.
    Handoff,
    /// A new validation.
    Validation,
    /// A pointer, set.
    Pointer,
    /// A configuration fact, set.
    Fact,
    /// The summary of something that runs, set.
    Runtime,
    /// A report of one call of a model.
    Health,
    /// An extension or a package, set.
    Registry,
    /// More of what a counter counts.
    Telemetry,
}

impl RowKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Handoff,
        Self::Validation,
        Self::Pointer,
        Self::Fact,
        Self::Runtime,
        Self::Health,
        Self::Registry,
        Self::Telemetry,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handoff => "handoff",
            Self::Validation => "validation",
            Self::Pointer => "pointer",
            Self::Fact => "fact",
            Self::Runtime => "runtime",
            Self::Health => "health",
            Self::Registry => "registry",
            Self::Telemetry => "telemetry",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The JSON Schema of the data of such a row.
    fn data_schema(self) -> Value {
        let classes: Vec<Value> =
            ErrorClass::WORDS.iter().map(|word| Value::from(*word)).chain([Value::Null]).collect();
        let (number, text) = (
            json!({ "type": "integer", "minimum": 0 }),
            |max: usize| json!({ "type": "string", "minLength": 1, "maxLength": max }),
        );
        match self {
            Self::Handoff => Handoff::SCHEMA.json_schema_of_given(&["from"]),
            Self::Validation => Validation::SCHEMA.json_schema_of_given(&["at"]),
            Self::Pointer => Pointer::SCHEMA.json_schema_of_given(&["name"]),
            Self::Fact => Fact::SCHEMA.json_schema_of_given(&[]),
            Self::Runtime => Runtime::SCHEMA.json_schema_of_given(&[]),
            Self::Registry => Registration::SCHEMA.json_schema_of_given(&["enabled", "errors"]),
            Self::Health => json!({
                "type": "object",
                "required": ["provider", "model"],
                "properties": {
                    "provider": text(120),
                    "model": text(120),
                    "ok": { "type": "boolean", "description": "That the call went well; else `error` says how not." },
                    "error": { "type": ["string", "null"], "enum": classes },
                    "retry_after_seconds": { "type": ["number", "null"], "minimum": 0 },
                    "resets_at": { "type": ["string", "null"], "format": "date-time" },
                    "limit": { "type": ["integer", "null"], "minimum": 0 },
                    "remaining": { "type": ["integer", "null"], "minimum": 0 },
                },
                "additionalProperties": false,
            }),
            Self::Telemetry => json!({
                "type": "object",
                "required": ["measure", "name"],
                "properties": {
                    "day": { "type": ["string", "null"], "format": "date", "description": "Today, in UTC, if left out." },
                    "measure": { "type": "string", "enum": ["count", "tool", "error"] },
                    "name": text(MAX_COUNTER),
                    "count": { "type": ["integer", "null"], "minimum": 0, "description": "How many more; 1 if left out." },
                    "total_ms": number,
                    "max_ms": number,
                },
                "additionalProperties": false,
            }),
        }
    }
}

/// The JSON Schema of a row.
#[must_use]
pub fn row_schema() -> Value {
    let key = json!({
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": MAX_KEY,
        "description": "Names this row: a second one of the same kind and key is passed over.",
    });
    let one = |kind: RowKind| {
        let mut properties = Map::new();
        properties.insert("kind".into(), json!({ "const": kind.as_str() }));
        properties.insert("key".into(), key.clone());
        properties.insert("data".into(), kind.data_schema());
        json!({
            "type": "object",
            "title": kind.as_str(),
            "required": ["kind", "data"],
            "properties": properties,
            "additionalProperties": false,
        })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "inbox row",
        "description": "One line of state/inbox.jsonl.",
        "oneOf": RowKind::ALL.map(one),
    })
}

/// What is remembered of the files that rows came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The files that are still there, as far as is known.
    pub files: Vec<KnownFile>,
    /// The number that the next file gets.
    pub next: u64,
    /// How far the last files that went were read, oldest first: one that comes back is known again.
    pub gone: Vec<Mark>,
}

/// A file that rows came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFile {
    /// Its number; under it lie the digests of its lines.
    pub number: u64,
    /// When it was put aside, if it was.
    pub retired: Option<Timestamp>,
    /// How far it was read.
    pub mark: Mark,
    /// How many of its lines were bad.
    pub bad: u64,
}

/// What is remembered of a row that has a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRow {
    /// A digest of its data.
    pub data: u128,
    /// The key of the record that it went into.
    pub record: String,
    /// When it was taken.
    pub at: Timestamp,
}
