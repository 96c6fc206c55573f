//! Taking settings in as facts: what the layers say now, and nothing that they no longer say.
//!
//! What somebody said with `fact set` stays. The facts of a file that could not be read stay as they were.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::db::record::Op;
use crate::db::{StoreError, WriteTxn};
use crate::import::settings::{Bad, Found, Settings};
use crate::schema::fact::{Fact, Layer};
use crate::schema::keyed::{Keyed, Origin, Problem, admit, same};
use crate::schema::privacy::Policy;
use crate::schema::time::Timestamp;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The facts to store, by name.
    pub records: Vec<Fact>,
    /// The names of those that were not there.
    pub created: Vec<String>,
    /// The names of those that say something else now.
    pub updated: Vec<String>,
    /// The names of those that no layer sets any more.
    pub removed: Vec<String>,
    /// The names of those that somebody set otherwise, or whose file could not be read.
    pub kept: Vec<String>,
    /// The names of those that are set to a credential, which is not kept.
    pub redacted: Vec<String>,
    /// How many say what they said.
    pub unchanged: usize,
    /// Values that cannot be stored.
    pub bad: Vec<Bad>,
}

impl Plan {
    /// Whether there is anything to write.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        !self.records.is_empty() || !self.removed.is_empty()
    }
}

/// Compares what is stored with what the layers say. Credentials are always redacted, whatever the policy says of
/// refusing; a rule that it allows is allowed.
#[must_use]
pub fn plan(stored: &[Fact], settings: &Settings, policy: &Policy, now: Timestamp) -> Plan {
    let policy = Policy { redact: true, ..policy.clone() };
    let stored: BTreeMap<&str, &Fact> = stored.iter().map(|fact| (fact.name.as_str(), fact)).collect();
    let unread: BTreeSet<&str> = settings.bad.iter().map(|bad| bad.source.as_str()).collect();
    let is_unread = |fact: &Fact| fact.source.as_deref().is_some_and(|source| unread.contains(source));
    let mut plan = Plan::default();
    for found in settings.found.values() {
        let old = stored.get(found.name.as_str()).copied();
        if old.is_some_and(|old| old.layer == Layer::Set || (is_unread(old) && old.layer > found.layer)) {
            plan.kept.push(found.name.clone());
            continue;
        }
        let new: Fact = match admit(old, fields(found), Origin::Program, now, &policy) {
            Ok(fact) => fact,
            Err(problem) => {
                plan.bad.push(bad(found, &problem));
                continue;
            }
        };
        if new.redacted {
            plan.redacted.push(new.name.clone());
        }
        match old {
            Some(old) if same(old, &new) => {
                plan.unchanged += 1;
                continue;
            }
            Some(_) => plan.updated.push(new.name.clone()),
            None => plan.created.push(new.name.clone()),
        }
        plan.records.push(new);
    }
    for fact in stored.values().filter(|fact| !settings.found.contains_key(&fact.name)) {
        if fact.layer == Layer::Set {
        } else if is_unread(fact) {
            plan.kept.push(fact.name.clone());
        } else {
            plan.removed.push(fact.name.clone());
        }
    }
    plan
}

/// Does what was planned.
///
/// # Errors
/// If the database fails.
pub fn apply(txn: &mut WriteTxn<'_>, plan: &Plan) -> Result<(), StoreError> {
    for fact in &plan.records {
        txn.put_record(fact, Op::Import)?;
    }
    for name in &plan.removed {
        txn.remove_record::<Fact>(name, Op::Import)?;
    }
    Ok(())
}

fn fields(found: &Found) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in [
        ("name", Value::from(found.name.as_str())),
        ("value", found.value.clone()),
        ("layer", found.layer.as_str().into()),
        ("source", found.source.as_str().into()),
        ("digest", found.digest.as_deref().into()),
        ("overrides", found.overrides.clone().into()),
    ] {
        fields.insert(name.into(), value);
    }
    fields
}

/// What could not be stored, by where it stands. A name that is refused is not repeated.
fn bad(found: &Found, problem: &Problem) -> Bad {
    let names_itself =
        matches!(problem, Problem::Invalid { field, .. } | Problem::Secret { field, .. } if *field == "name");
    let reason =
        if names_itself { format!("a key cannot be stored: {problem}") } else { format!("{}: {problem}", found.name) };
    Bad { source: found.source.clone(), line: None, reason }
}

/// A fact as somebody says it is: from then on it comes from no file and no variable.
///
/// # Errors
/// [`Problem`], as a [`super::KeyedError`].
pub fn by_hand(
    old: Option<&Fact>,
    mut fields: Map<String, Value>,
    now: Timestamp,
    policy: &Policy,
) -> Result<Fact, super::KeyedError> {
    if fields.keys().any(|name| !matches!(name.as_str(), "name" | "value")) {
        return Err(Fact::SCHEMA.unknown_field().into());
    }
    for name in ["source", "digest", "overrides"] {
        fields.insert(name.into(), Value::Null);
    }
    fields.insert("layer".into(), Layer::Set.as_str().into());
    Ok(admit(old, fields, Origin::Program, now, policy)?)
}
