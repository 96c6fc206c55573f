//! Whether all that is stored is whole and fits together: every page, every row, and what one table says of another.
//!
//! Reads the file without the engine and changes nothing. All rows are in memory meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::fs::PathError;
use crate::schema::codec;
use crate::schema::document::Document;
use crate::schema::id::{ContentHash, Identity, IssueId, Link, Revision};
use crate::schema::issue::{Issue, Status};

use super::documents::{DOCUMENT_PREFIX, TEXT_PREFIX};
use super::error::StoreError;
use super::gate::Gate;
use super::index::{IndexKeys, id_of};
use super::pages::Pages;
use super::read::mark;
use super::record::{Baseline, Counters, Pending, StoredHead, Tombstone};
use super::records::Record as _;
use super::salvage::{Damage, Found, look_through};
use super::sums::{Sum, Sums};
use super::tables::readable;
use super::{SCHEMA_VERSION, Store};

/// What an examination found.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// Everything that is not as it should be; nothing if the database is whole.
    pub damage: Vec<Damage>,
    /// The schema that the file says it has, if it says.
    pub schema: Option<u8>,
    /// How many rows were looked at.
    pub rows: u64,
    /// How many issues there are.
    pub issues: u64,
    /// The number of the last change.
    pub revision: Revision,
}

impl Store {
    /// Looks at every page and every row, and at whether they fit together. Others may read meanwhile.
    ///
    /// # Errors
    /// If the gate is not free in time, or the file cannot be read at all. Damage is no error.
    pub fn examine(&self) -> Result<Examination, StoreError> {
        let _gate = Gate::shared(&self.dir, self.timeout)?;
        self.require_regular_file()?;
        self.examine_file(&self.name)
    }

    /// As [`Store::examine`], of any file of the state folder that nobody else has open.
    pub(super) fn examine_file(&self, name: &str) -> Result<Examination, StoreError> {
        Ok(examination(&self.found_in(name)?))
    }

    pub(super) fn found_in(&self, name: &str) -> Result<Found, StoreError> {
        let (file, _) = self.dir.open_file(name)?;
        let at = |source| PathError { action: "read", path: self.dir.path().join(name), source };
        Ok(look_through(&Pages::new(file).map_err(at)?).map_err(at)?)
    }
}

/// What there is to say of what was found in a file.
pub(super) fn examination(found: &Found) -> Examination {
    let schema = value(found, "meta", mark::SCHEMA);
    let mut damage = found.damage.clone();
    // rows of other schemas are not as they are known here; and damage makes tables differ that were in step
    if damage.is_empty() && schema == Some(SCHEMA_VERSION) {
        damage = contradictions(found);
    }
    Examination {
        damage,
        schema,
        rows: found.rows.values().map(|rows| rows.len() as u64).sum(),
        issues: found.of("issues").len() as u64,
        revision: value(found, "meta", mark::REVISION).unwrap_or_default(),
    }
}

/// The value of a row that is whole.
pub(super) fn value<V: serde::de::DeserializeOwned>(found: &Found, table: &str, key: &[u8]) -> Option<V> {
    found.of(table).get(key).and_then(|bytes| codec::decode(key, bytes).ok())
}

/// The rows of a table by key, as far as they are of its type.
pub(super) fn values<V: serde::de::DeserializeOwned>(found: &Found, table: &str) -> BTreeMap<Vec<u8>, V> {
    let decode = |(key, bytes): (&Vec<u8>, &Vec<u8>)| Some((key.clone(), codec::decode(key, bytes).ok()?));
    found.of(table).iter().filter_map(decode).collect()
}

/// Where tables contradict each other.
fn contradictions(found: &Found) -> Vec<Damage> {
    let mut list = Contradictions { list: Vec::new() };
    let heads: BTreeMap<IssueId, StoredHead> =
        values::<StoredHead>(found, "issues").into_values().map(|stored| (stored.head.id, stored)).collect();
    list.bodies(found, &heads);
    list.identities(found, &heads);
    list.indexes(found, &heads);
    list.mirror(found, &heads);
    list.counts(found, &heads);
    list.documents(found);
    list.list
}

struct Contradictions {
    list: Vec<Damage>,
}

impl Contradictions {
    fn add(&mut self, table: &str, key: &[u8], message: &str) {
        let (table, key) = (Some(table.to_owned()), Some(readable(table, key)));
        self.list.push(Damage { table, key, offset: None, message: message.to_owned() });
    }

    fn bodies(&mut self, found: &Found, heads: &BTreeMap<IssueId, StoredHead>) {
        let bodies = values::<String>(found, "bodies");
        for (key, stored) in values::<StoredHead>(found, "issues") {
            match bodies.get(&key) {
                None => self.add("bodies", &key, "the issue has no text"),
                Some(body) => {
                    let issue = Issue { head: stored.head, body: body.clone() };
                    if issue.content_hash() != stored.hash {
                        self.add("issues", &key, "the issue and its hash do not agree");
                    }
                }
            }
        }
        for key in bodies.keys() {
            if id_of(key).is_none_or(|id| !heads.contains_key(&id)) {
                self.add("bodies", key, "there is no issue of this text");
            }
        }
    }

    fn identities(&mut self, found: &Found, heads: &BTreeMap<IssueId, StoredHead>) {
        let identities = values::<IssueId>(found, "identities");
        for stored in heads.values() {
            let key = stored.head.identity().key();
            if identities.get(&key) != Some(&stored.head.id) {
                self.add("identities", &key, "the issue is not found by its identity");
            }
        }
        for (key, id) in &identities {
            if heads.get(id).is_none_or(|stored| stored.head.identity().key() != *key) {
                self.add("identities", key, "there is no issue of this identity");
            }
        }
    }

    fn indexes(&mut self, found: &Found, heads: &BTreeMap<IssueId, StoredHead>) {
        let (mut order, mut terms, mut links) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut by_slug: HashMap<String, Vec<IssueId>> = HashMap::new();
        for stored in heads.values() {
            let keys = IndexKeys::of(stored);
            order.extend(keys.order);
            terms.extend(keys.terms);
            links.extend(keys.links);
            by_slug.entry(stored.head.slug.as_str().to_owned()).or_default().push(stored.head.id);
        }
        for (table, expected) in [("order", order), ("terms", terms), ("links", links)] {
            let present = found.of(table);
            for key in expected.iter().filter(|key| !present.contains_key(*key)) {
                self.add(table, key, "the index lacks a row");
            }
            for key in present.keys().filter(|key| !expected.contains(*key)) {
                self.add(table, key, "the index has a row that stands for nothing");
            }
        }
        let is_open = |id: &IssueId| heads.get(id).is_some_and(|stored| stored.head.status == Status::Open);
        let deleted = |(key, tombstone): (Vec<u8>, Tombstone)| Some((Identity::from_key(&key)?.slug, tombstone.id));
        let deleted: HashSet<_> = values::<Tombstone>(found, "tombstones").into_iter().filter_map(deleted).collect();
        let meant = |link: &Link| match by_slug.get(link.slug.as_str()).map_or(&[][..], Vec::as_slice) {
            _ if link.slug.is_empty() => Some(link.id),
            of_slug if of_slug.contains(&link.id) => Some(link.id),
            [only] => (!deleted.contains(&(link.slug.clone(), link.id))).then_some(*only),
            _ => None,
        };
        for stored in heads.values() {
            let waits = stored.head.depends_on.iter().filter_map(meant).any(|id| is_open(&id));
            if (stored.head.status == Status::Open && waits) != stored.blocked {
                self.add("issues", &stored.head.id.0.to_be_bytes(), "whether the issue is blocked is not up to date");
            }
        }
    }

    fn mirror(&mut self, found: &Found, heads: &BTreeMap<IssueId, StoredHead>) {
        let hashes: HashMap<Vec<u8>, ContentHash> =
            heads.values().map(|stored| (stored.head.identity().key(), stored.hash)).collect();
        let baselines = values::<Baseline>(found, "baseline");
        let pending = values::<(Identity, Pending)>(found, "pending");
        let bases = found.of("baseline_content");
        let keys: BTreeSet<_> =
            hashes.keys().chain(baselines.keys()).chain(pending.keys()).chain(bases.keys()).collect();
        for key in keys {
            let expected = match (hashes.get(key), baselines.get(key)) {
                (Some(hash), Some(baseline)) if *hash == baseline.content => None,
                (Some(_), Some(_)) => Some(Pending::Changed),
                (Some(_), None) => Some(Pending::New),
                (None, Some(_)) => Some(Pending::Deleted),
                (None, None) => None,
            };
            if pending.get(key).map(|(_, pending)| *pending) != expected {
                self.add("pending", key, "what is to be exported is not up to date");
            }
            let has_base = matches!(expected, Some(Pending::Changed | Pending::Deleted));
            if bases.contains_key(key) != has_base {
                self.add("baseline_content", key, "the merge base is missing, or is kept for nothing");
            }
        }
        let sums: BTreeMap<Vec<u8>, Sum> =
            Sums::of_baselines(baselines.values()).rows().map(|(key, sum)| (key.to_vec(), sum)).collect();
        let present = values::<Sum>(found, "baseline_sums");
        let shards: BTreeSet<_> = sums.keys().chain(present.keys()).collect();
        for key in shards.into_iter().filter(|key| sums.get(*key) != present.get(*key)) {
            self.add("baseline_sums", key, "what the files of these numbers come to is not up to date");
        }
        for key in values::<Tombstone>(found, "tombstones").keys().filter(|key| hashes.contains_key(*key)) {
            self.add("tombstones", key, "the issue is both there and deleted");
        }
    }

    fn counts(&mut self, found: &Found, heads: &BTreeMap<IssueId, StoredHead>) {
        let mut counters = Counters::default();
        for stored in heads.values() {
            counters.add(&stored.head);
        }
        if value::<Counters>(found, "meta", mark::COUNTERS).unwrap_or_default() != counters {
            self.add("meta", mark::COUNTERS, "the counters are not up to date");
        }
        let high_water = value::<IssueId>(found, "meta", mark::HIGH_WATER).unwrap_or(IssueId(0));
        let deleted = values::<Tombstone>(found, "tombstones").into_values().map(|tombstone| tombstone.id);
        if heads.keys().copied().chain(deleted).any(|id| id > high_water) {
            self.add("meta", mark::HIGH_WATER, "an issue has a higher number than was ever given");
        }
        let revision = value::<Revision>(found, "meta", mark::REVISION).unwrap_or_default();
        if found.of("changes").last_key_value().is_some_and(|(key, _)| *key > revision.0.to_be_bytes().to_vec()) {
            self.add("meta", mark::REVISION, "the log has later rows than the last change");
        }
    }

    fn documents(&mut self, found: &Found) {
        let records = found.of("records");
        for (key, bytes) in records.iter().filter(|(key, _)| key.starts_with(DOCUMENT_PREFIX)) {
            let Ok(document) = codec::decode::<Document>(key, bytes) else { continue };
            let text_key = [TEXT_PREFIX, document.key().as_bytes()].concat();
            let text = records.get(&text_key).and_then(|bytes| codec::decode::<String>(&text_key, bytes).ok());
            if text.is_none_or(|text| ContentHash::of(text.as_bytes()) != document.hash) {
                self.add("records", key, "the document and its text do not agree");
            }
        }
        for key in records.keys().filter(|key| key.starts_with(TEXT_PREFIX)) {
            if !records.contains_key(&[DOCUMENT_PREFIX, &key[TEXT_PREFIX.len()..]].concat()) {
                self.add("records", key, "there is no document of this text");
            }
        }
    }
}
