//! The audit trail as people read it: newest first, with the values before and after.

use std::collections::HashMap;

use crate::schema::diff;
use crate::schema::id::{Identity, Revision};
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::Change;
use super::tables::{Readable, Tables};

/// A change as the log shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// Its place in the order.
    pub revision: Revision,
    /// The change as stored.
    pub change: Change,
    /// The changed fields with their values before, the body included while it is kept.
    pub before: Value,
    /// The changed fields with their values after, the body included while it is kept.
    pub after: Value,
}

impl<T: Readable> Tables<T> {
    /// The changes after a revision that `keep` takes, newest first.
    ///
    /// The body after a change is not stored with it: it is the one that the next change of that issue replaced, or the
    /// present one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn log(
        &self,
        since: Revision,
        limit: usize,
        mut keep: impl FnMut(&Change) -> bool,
    ) -> Result<Vec<LogEntry>, StoreError> {
        // the change that next replaced the body of an issue or a document, seen from the newest change backwards
        let mut replaced: HashMap<Vec<u8>, Revision> = HashMap::new();
        let mut entries = Vec::new();
        for row in self.changes_since(since)? {
            if entries.len() >= limit {
                break;
            }
            let (revision, change) = row?;
            let changes_record = change.hash_before != change.hash_after;
            let identity = change.identity.as_ref();
            let next = if change.body_changed && changes_record {
                let subject = identity.map_or_else(|| change.key.as_bytes().to_vec(), Identity::key);
                replaced.insert(subject, revision)
            } else {
                None
            };
            if !keep(&change) {
                continue;
            }
            let (mut before, mut after) = (for_people(&change.before), for_people(&change.after));
            if change.body_changed {
                add_body(&mut before, self.superseded_body(revision)?);
                let body_after = match next {
                    _ if !changes_record => None,
                    Some(next) => self.superseded_body(next)?,
                    None => match identity {
                        Some(identity) => self.issue_of(identity)?.map(|record| record.issue.body),
                        None => self.text_of_key(&change.key)?,
                    },
                };
                add_body(&mut after, body_after);
            }
            entries.push(LogEntry { revision, change, before, after });
        }
        Ok(entries)
    }
}

/// Unknown keys are stored with their lines, so that undo can bring those back; the log shows what they mean.
fn for_people(fields: &Value) -> Value {
    let Value::Map(fields) = fields else { return fields.clone() };
    let plain = |(name, value): &(String, Value)| {
        let shown = value.get("value").filter(|_| name.starts_with(diff::EXTRA)).unwrap_or(value);
        (name.clone(), shown.clone())
    };
    Value::Map(fields.iter().map(plain).collect())
}

fn add_body(fields: &mut Value, body: Option<String>) {
    if let (Value::Map(fields), Some(body)) = (fields, body) {
        fields.push(("body".into(), body.into()));
    }
}
