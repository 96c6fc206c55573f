//! Any kind by JSON, for programs that know no types: the inbox, the snapshot.

use serde_json::{Map, Value};

use crate::db::record::Kind;
use crate::db::records::{Record, hash_of};
use crate::db::tables::{Readable, Tables};
use crate::db::{StoreError, WriteTxn};
use crate::schema::fact::Fact;
use crate::schema::health::Health;
use crate::schema::keyed::{Keyed, Problem, fields_of};
use crate::schema::pointer::{ACTIVE, Pointer};
use crate::schema::privacy::Policy;
use crate::schema::registry::Registration;
use crate::schema::runtime::Runtime;

use super::{KeyedError, Outcome, facts, health, issue_by_number, set, set_by};

/// A record of any of the kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its fields and, last, its hash.
    pub fields: Map<String, Value>,
}

impl Row {
    /// A record as JSON.
    #[must_use]
    pub fn of<K: Keyed + Record>(record: &K) -> Self {
        let mut fields = fields_of(record);
        fields.insert("hash".into(), hash_of(record).to_string().into());
        Self { key: Keyed::key(record), fields }
    }
}

/// The rows of a kind, by key; none for a kind that is no small keyed record.
///
/// # Errors
/// If the database cannot be read.
pub fn rows<T: Readable>(tables: &Tables<T>, kind: Kind) -> Result<Vec<Row>, StoreError> {
    fn of<K: Keyed + Record, T: Readable>(tables: &Tables<T>) -> Result<Vec<Row>, StoreError> {
        Ok(tables.records::<K>()?.iter().map(Row::of).collect())
    }
    match kind {
        Kind::Pointer => of::<Pointer, T>(tables),
        Kind::Fact => of::<Fact, T>(tables),
        Kind::Runtime => of::<Runtime, T>(tables),
        Kind::Health => of::<Health, T>(tables),
        Kind::Registry => of::<Registration, T>(tables),
        _ => Ok(Vec::new()),
    }
}

/// Sets a record of any kind from what somebody else sent: only fields that are theirs to say, every text scrubbed. A
/// pointer without a name is the active one, and may give an issue by its number; of health, it is a report of one call
/// ([`health::Report`]). Answers the record as it is then.
///
/// # Errors
/// [`KeyedError`].
pub fn set_json(
    txn: &mut WriteTxn<'_>,
    kind: Kind,
    mut fields: Map<String, Value>,
    policy: &Policy,
) -> Result<Row, KeyedError> {
    let text = |fields: &Map<String, Value>, name: &str| {
        fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let name = text(&fields, "name");
    match kind {
        Kind::Pointer => {
            let name = if name.is_empty() { ACTIVE.to_owned() } else { name };
            let key = format!("{}/{name}", text(&fields, "kind"));
            fields.insert("name".into(), name.into());
            issue_by_number(&**txn, &mut fields)?;
            row(set::<Pointer>(txn, &key, fields, None, policy)?)
        }
        Kind::Fact => {
            let now = txn.author().now;
            row(set_by(txn, &name, None, None, |old| facts::by_hand(old, fields, now, policy))?)
        }
        Kind::Runtime => row(set::<Runtime>(txn, &name, fields, None, policy)?),
        Kind::Registry => {
            let key = format!("{}/{name}", text(&fields, "kind"));
            row(set::<Registration>(txn, &key, fields, None, policy)?)
        }
        Kind::Health => {
            let report: health::Report = serde_json::from_value(Value::Object(fields))
                .map_err(|_| Problem::invalid("health", health::Report::EXPECTED))?;
            row(health::record(txn, &report, None, crate::schema::health::Policy::default(), policy)?)
        }
        other => Err(KeyedError::WrongKind(other.as_str())),
    }
}

fn row<K: Keyed + Record>(outcome: Outcome<K>) -> Result<Row, KeyedError> {
    match outcome {
        Outcome::Changed(record) | Outcome::Unchanged(record) => Ok(Row::of(&record)),
        // nothing was expected, so nothing can be stale or missing
        Outcome::Stale(_) | Outcome::Missing => Err(KeyedError::WrongKind(K::SCHEMA.noun)),
    }
}
