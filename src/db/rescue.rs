//! Making a whole database from what is left of a damaged one.
//!
//! Every row that is whole is taken over as it is, and what is worked out from others is worked out anew. Where a row is
//! gone, whatever would make the mirror draw a wrong conclusion from its absence goes, too: without a record there is no
//! baseline, so that its file brings the issue back and is not taken for one that was deleted here. An import afterwards
//! brings in what the files have.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::codec;
use crate::schema::diff;
use crate::schema::document::{DocumentKind, DocumentPath};
use crate::schema::id::{FileName, Identity, IssueId, Revision};
use crate::schema::issue::Issue;

use super::documents::{DOCUMENT_PREFIX, TEXT_PREFIX};
use super::error::StoreError;
use super::examine::value;
use super::index::{id_key, id_of, revision_of};
use super::migrate::present_change;
use super::read::mark;
use super::record::{Baseline, Change, Conflict, Kind, Moved, Op, Pending, StoredHead, Tombstone, Versioned};
use super::salvage::{Damage, Found};
use super::sound::INDEXES;
use super::tables::readable;
use super::write::WriteTxn;

/// Gives the text of an issue from its file, which has this name, if that is to be had.
pub(crate) type TextOf<'a> = &'a dyn Fn(&FileName, &Identity) -> Option<String>;

/// What became of the rows of a damaged database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// How many rows were saved, without those of indexes, which are made anew.
    pub saved: u64,
    /// What could not be saved, or not as it was.
    pub lost: Vec<Damage>,
}

/// What was found of a damaged database, and what came of it so far.
struct Rescue<'f> {
    found: &'f Found,
    text_of: TextOf<'f>,
    rescued: Rescued,
    /// Records that were put in, by identity.
    versions: BTreeMap<Vec<u8>, Versioned>,
    /// Texts without an issue.
    texts: Vec<(IssueId, String)>,
}

impl WriteTxn<'_> {
    /// Fills an empty database with what was found in a damaged one.
    pub(super) fn rescue(&mut self, found: &Found, text_of: TextOf<'_>) -> Result<Rescued, StoreError> {
        let mut rescue =
            Rescue { found, text_of, rescued: Rescued::default(), versions: BTreeMap::new(), texts: Vec::new() };
        rescue.choose_versions();
        self.touched = true;
        for version in rescue.versions.values() {
            self.write_rows(&version.issue.head.identity(), None, Some(version))?;
        }
        self.rescue_marks(&rescue)?;
        self.rescue_log(&mut rescue)?;
        self.rescue_records(&mut rescue)?;
        self.rescue_deletions(&mut rescue)?;
        self.rescue_mirror(&mut rescue)?;
        self.rescue_texts(&mut rescue)?;
        rescue.count_lost();
        Ok(rescue.rescued)
    }

    /// The marks, and the two counters that must not go back.
    fn rescue_marks(&mut self, rescue: &Rescue<'_>) -> Result<(), StoreError> {
        // what is worked out anew, or only spares a look at the files
        const OTHERS: [&[u8]; 6] =
            [mark::SCHEMA, mark::COUNTERS, mark::FOLDER, mark::SWEEP, mark::REVISION, mark::HIGH_WATER];
        let found = rescue.found;
        for (key, bytes) in found.taken("meta") {
            if !OTHERS.contains(&key.as_slice()) {
                self.tables.meta.put_bytes(key, bytes)?;
            }
        }
        let tables = ["changes", "superseded"].map(|table| found.taken(table).into_keys());
        let revisions = tables.into_iter().flatten().map(Vec::as_slice);
        let moves = found.taken("moved").into_keys().filter_map(|key| key.get(4..));
        let revisions = revisions.chain(moves);
        let known = found.highest(mark::REVISION);
        let deletions = found.decoded::<Tombstone>("tombstones");
        let last = revisions.filter_map(revision_of).max().unwrap_or_default();
        let deleted = deletions.values().map(|tombstone| tombstone.revision).max().unwrap_or_default();
        self.last = known.max(last).max(deleted);
        self.raise_high_water(found.highest_number());
        Ok(())
    }

    fn rescue_log(&mut self, rescue: &mut Rescue<'_>) -> Result<(), StoreError> {
        let mut missing = None;
        let mut expected = rescue.found.highest(mark::LOG_FROM).0.max(1);
        for (key, bytes) in rescue.found.taken("changes") {
            let present = codec::decode::<Change>(key, bytes).is_err().then(|| present_change(key, bytes)).flatten();
            self.tables.changes.put_bytes(key, present.as_ref().unwrap_or(bytes))?;
            let revision = revision_of(key).unwrap_or_default().0;
            if revision > expected {
                missing = Some(revision);
            }
            expected = expected.max(revision + 1);
        }
        if expected <= self.last.0 {
            missing = Some(self.last.0 + 1);
        }
        // nothing may be undone as if the log were whole
        if let Some(from) = missing.filter(|_| rescue.found.incomplete.contains("changes")) {
            self.tables.meta.put(mark::LOG_FROM, &Revision(from))?;
        }
        for (key, bytes) in rescue.found.taken("superseded") {
            self.tables.superseded.put_bytes(key, bytes)?;
        }
        for (key, bytes) in rescue.found.taken("moved") {
            self.tables.moved.put_bytes(key, bytes)?;
        }
        rescue.rescued.saved +=
            ["changes", "superseded", "moved"].map(|table| rescue.found.taken(table).len() as u64).iter().sum::<u64>();
        Ok(())
    }

    fn rescue_records(&mut self, rescue: &mut Rescue<'_>) -> Result<(), StoreError> {
        let rows = rescue.found.taken("records");
        let with = |prefix: &[u8], other: &[u8], key: &[u8]| {
            key.strip_prefix(prefix).is_none_or(|name| rows.contains_key(&[other, name].concat()))
        };
        let mut without_head = Vec::new();
        for (&key, &bytes) in &rows {
            if with(DOCUMENT_PREFIX, TEXT_PREFIX, key) && with(TEXT_PREFIX, DOCUMENT_PREFIX, key) {
                self.tables.records.put_bytes(key, bytes)?;
                rescue.rescued.saved += 1;
            } else if let Some(name) = key.strip_prefix(TEXT_PREFIX) {
                without_head.push((name.to_vec(), codec::decode::<String>(key, bytes).unwrap_or_default()));
            } else {
                rescue.rescued.lost.push(lost("records", key, "the text of the document could not be saved"));
            }
        }
        for (name, text) in without_head {
            let name = String::from_utf8_lossy(&name).into_owned();
            let path = name.rsplit_once('/').and_then(|(path, kind)| Some((path.parse().ok()?, kind.parse().ok()?)));
            if let Some((path, kind)) = path {
                self.put_document(&path, kind, &text, Op::Restore)?;
                rescue.rescued.saved += 1;
            }
        }
        Ok(())
    }

    fn rescue_deletions(&mut self, rescue: &mut Rescue<'_>) -> Result<(), StoreError> {
        for (key, bytes) in rescue.found.taken("tombstones") {
            if !rescue.versions.contains_key(key) {
                self.tables.tombstones.put_bytes(key, bytes)?;
                rescue.rescued.saved += 1;
            }
        }
        for (key, bytes) in rescue.found.of("conflicts") {
            if rescue.versions.contains_key(key) {
                self.tables.conflicts.put_bytes(key, bytes)?;
                rescue.rescued.saved += 1;
            } else {
                rescue.rescued.lost.push(lost("conflicts", key, "the issue of the conflict could not be saved"));
            }
        }
        Ok(())
    }

    /// What file and record agreed on, where that still holds for the record that was saved.
    fn rescue_mirror(&mut self, rescue: &mut Rescue<'_>) -> Result<(), StoreError> {
        let baselines = rescue.found.taken("baseline");
        let bases = rescue.found.decoded::<Issue>("baseline_content");
        let tombstones = rescue.found.taken("tombstones");
        for (key, bytes) in &baselines {
            let Ok(baseline) = codec::decode::<Baseline>(key, bytes) else { continue };
            let version = rescue.versions.get(*key);
            let agrees = version.is_some_and(|version| version.hash == baseline.content);
            let base = bases.get(*key).filter(|base| base.content_hash() == baseline.content);
            if !agrees && (base.is_none() || (version.is_none() && !tombstones.contains_key(*key))) {
                continue;
            }
            self.put_baseline(key, &baseline)?;
            rescue.rescued.saved += 1;
            if let Some(base) = base.filter(|_| !agrees)
                && let Some(identity) = Identity::from_key(key)
            {
                let pending = if version.is_some() { Pending::Changed } else { Pending::Deleted };
                self.tables.bases.put(key, base)?;
                self.tables.pending.put(key, &(identity, pending))?;
            }
        }
        for (key, version) in &rescue.versions {
            if !self.tables.baseline.contains(key)? {
                self.tables.pending.put(key, &(version.issue.head.identity(), Pending::New))?;
            }
        }
        Ok(())
    }

    /// Keeps the texts that no issue has, as documents.
    fn rescue_texts(&mut self, rescue: &mut Rescue<'_>) -> Result<(), StoreError> {
        for (id, text) in std::mem::take(&mut rescue.texts) {
            let name = format!("recovered/issue-{id}");
            let path: Option<DocumentPath> = name.parse().ok();
            if let Some(path) = path {
                self.put_document(&path, DocumentKind::Markdown, &text, Op::Restore)?;
                rescue.rescued.saved += 1;
                let message = format!("only the text of the issue could be saved; `oxi-state doc get {name}` shows it");
                rescue.rescued.lost.push(lost("issues", &id_key(id), &message));
            }
        }
        Ok(())
    }
}

impl Found {
    /// The highest number that any row that is whole tells was given to an issue, though the issue is gone.
    pub(super) fn highest_number(&self) -> IssueId {
        let mut ids = self.all::<IssueId>("meta", mark::HIGH_WATER);
        for table in ["issues", "bodies"] {
            ids.extend(self.taken(table).into_keys().filter_map(|key| id_of(key)));
        }
        ids.extend(self.decoded::<IssueId>("identities").into_values());
        ids.extend(self.decoded::<Tombstone>("tombstones").values().map(|tombstone| tombstone.id));
        for (key, moved) in self.decoded::<Moved>("moved") {
            ids.extend(key.get(..4).and_then(id_of).into_iter().chain([moved.to]));
        }
        ids.extend(self.decoded::<Baseline>("baseline").values().map(|baseline| baseline.name.id));
        ids.extend(self.decoded::<Issue>("baseline_content").values().map(|issue| issue.head.id));
        for (_, conflict) in self.decoded::<(Identity, Conflict)>("conflicts").into_values() {
            ids.extend([conflict.id, conflict.name.id]);
        }
        let issues = self.log_rows().into_values().filter(|change| change.kind == Kind::Issue);
        for change in issues {
            // a renumbering tells of the number before, too
            ids.extend(change.key.parse::<IssueId>().ok());
            ids.extend(
                [&change.before, &change.after].into_iter().filter_map(|fields| diff::number(fields.get("id")?)),
            );
        }
        ids.into_iter().max().unwrap_or(IssueId(0))
    }

    /// The rows of the log that are to be taken, by revision.
    fn log_rows(&self) -> BTreeMap<u64, Change> {
        let row = |(key, bytes): (&Vec<u8>, &Vec<u8>)| {
            let present = || codec::decode(key, &present_change(key, bytes)?).ok();
            Some((revision_of(key)?.0, codec::decode(key, bytes).ok().or_else(present)?))
        };
        self.taken("changes").into_iter().filter_map(row).collect()
    }

    /// The texts kept for undo that could not be saved. The table tells how many it had; what it does not name of them
    /// were the newest that the log tells of, as texts are dropped by their age.
    fn lost_texts(&self) -> Vec<Damage> {
        let table = "superseded";
        let length = self.lengths.get(table).copied().unwrap_or_default();
        if length <= self.of(table).len() as u64 {
            return Vec::new();
        }
        let (log, saved) = (self.log_rows(), self.taken(table));
        let damaged = self.damage.iter().filter(|damage| damage.table.as_deref() == Some(table));
        let named = damaged.filter_map(|damage| damage.key.as_ref()?.parse::<u64>().ok());
        let mut known: BTreeSet<u64> = named.filter(|revision| log.contains_key(revision)).collect();
        known.extend(self.of(table).keys().filter_map(|key| Some(revision_of(key)?.0)));
        let told = log.iter().rev().filter(|(_, change)| change.body_changed && change.hash_before.is_some());
        for (revision, _) in told {
            if known.len() as u64 >= length {
                break;
            }
            known.insert(*revision);
        }
        let gone = known.into_iter().filter(|revision| !saved.contains_key(&revision.to_be_bytes().to_vec()));
        let message = |revision: u64| {
            let what = match log.get(&revision) {
                Some(change) if change.kind == Kind::Issue => format!("the text of issue {} before", change.key),
                Some(change) => format!("the text of {} {} before", change.kind.as_str(), change.key),
                None => "the text before".to_owned(),
            };
            format!("{what} change {revision} could not be saved; that change cannot be undone")
        };
        gone.map(|revision| lost(table, &revision.to_be_bytes(), &message(revision))).collect()
    }

    /// The rows of the log that could not be saved: no revision is passed over. None where the counter of changes tells
    /// of more than the table had.
    fn lost_log_rows(&self) -> Vec<Damage> {
        let table = "changes";
        let length = self.lengths.get(table).copied().unwrap_or_default();
        let missing = usize::try_from(length.saturating_sub(self.of(table).len() as u64)).unwrap_or(usize::MAX);
        let (from, last) = (self.highest(mark::LOG_FROM).0.max(1), self.highest(mark::REVISION).0);
        let saved = self.taken(table);
        let gone = (from..=last).map(u64::to_be_bytes).filter(|key| !saved.contains_key(&key.to_vec()));
        let gone: Vec<_> = gone.take(missing.saturating_add(1)).collect();
        if gone.len() > missing {
            return Vec::new();
        }
        let message = "the change could not be saved, and nothing up to it can be undone";
        gone.iter().map(|key| lost(table, key, message)).collect()
    }

    /// The rows of a table that are to be taken: those that are linked, and strays where there is none under a key.
    fn taken(&self, table: &str) -> BTreeMap<&Vec<u8>, &Vec<u8>> {
        let mut rows: BTreeMap<_, _> = self.of(table).iter().collect();
        for (key, values) in self.strays.get(table).into_iter().flatten() {
            if let Some(last) = values.last() {
                rows.entry(key).or_insert(last);
            }
        }
        rows
    }

    fn decoded<V: serde::de::DeserializeOwned>(&self, table: &str) -> BTreeMap<Vec<u8>, V> {
        let rows = self.taken(table).into_iter();
        rows.filter_map(|(key, bytes)| Some((key.clone(), codec::decode(key, bytes).ok()?))).collect()
    }

    /// The value of one key, as [`Found::decoded`] has it.
    fn decoded_at<V: serde::de::DeserializeOwned>(&self, table: &str, key: &[u8]) -> Option<V> {
        let stray = || self.strays.get(table)?.get(key)?.last();
        codec::decode(key, self.of(table).get(key).or_else(stray)?).ok()
    }

    /// The highest revision that there is of a mark.
    fn highest(&self, mark: &[u8]) -> Revision {
        self.all("meta", mark).into_iter().max().unwrap_or_default()
    }

    /// All values that there are of one key.
    fn all<V: serde::de::DeserializeOwned>(&self, table: &str, key: &[u8]) -> Vec<V> {
        let strays = self.strays.get(table).and_then(|strays| strays.get(key)).into_iter().flatten();
        let values = strays.filter_map(|bytes| codec::decode(key, bytes).ok());
        value(self, table, key).into_iter().chain(values).collect()
    }
}

impl Rescue<'_> {
    fn choose_versions(&mut self) {
        let ids =
            |table: &str| self.found.taken(table).into_keys().filter_map(|key| id_of(key)).collect::<BTreeSet<_>>();
        let (heads, bodies) = (ids("issues"), ids("bodies"));
        let (linked, strays): (Vec<IssueId>, Vec<IssueId>) =
            heads.union(&bodies).copied().partition(|id| self.found.of("issues").contains_key(&id_key(*id)[..]));
        // a stray may be an issue that has another number by now
        for id in linked.into_iter().chain(strays) {
            self.choose_version(id);
        }
        let known: BTreeSet<IssueId> = self.versions.values().map(|version| version.issue.head.id).collect();
        for (key, id) in self.found.decoded::<IssueId>("identities") {
            if !known.contains(&id) && !self.versions.contains_key(&key) && self.found.incomplete.contains("issues") {
                let slug = Identity::from_key(&key).map(|identity| identity.slug.as_str().to_owned());
                let name = slug.unwrap_or_default();
                let message = format!("the issue ({name}) could not be saved; if it has a file, that brings it back");
                self.rescued.lost.push(lost("issues", &id_key(id), &message));
            }
        }
    }

    fn choose_version(&mut self, id: IssueId) {
        let key = id_key(id);
        let is_linked = self.found.of("issues").contains_key(&key[..]);
        let mut heads: Vec<StoredHead> = match value(self.found, "issues", &key) {
            Some(head) => vec![head],
            None => self.found.all("issues", &key),
        };
        heads.retain(|stored| {
            let identity = stored.head.identity().key();
            !self.versions.contains_key(&identity)
                && (is_linked || !self.found.of("tombstones").contains_key(&identity))
        });
        heads.sort_by_key(|stored| std::cmp::Reverse(stored.head.updated_at));
        let bodies: Vec<String> = self.found.all("bodies", &key);
        let issue = |stored: &StoredHead, body: &String| Issue { head: stored.head.clone(), body: body.clone() };
        let whole = heads.iter().find_map(|stored| {
            bodies.iter().map(|body| Versioned::new(issue(stored, body))).find(|version| version.hash == stored.hash)
        });
        let version = match (whole, heads.first()) {
            (Some(version), _) => {
                self.rescued.saved += 2;
                version
            }
            (None, Some(stored)) => {
                self.rescued.saved += 1;
                let (body, from) = self.body_for(stored, &bodies);
                self.rescued.lost.push(lost(
                    "bodies",
                    &key,
                    &format!("the text of the issue could not be saved; {from}"),
                ));
                Versioned::new(issue(stored, &body))
            }
            (None, None) => {
                // nothing else holds it
                if let Some(body) = value::<String>(self.found, "bodies", &key).filter(|body| !body.is_empty()) {
                    self.texts.push((id, body));
                }
                return;
            }
        };
        if !is_linked {
            let message = "the issue was found in a page that may have been given up, and may be older than it was";
            self.rescued.lost.push(lost("issues", &key, message));
        }
        self.versions.insert(version.issue.head.identity().key(), version);
    }

    /// The next best text of an issue.
    fn body_for(&self, stored: &StoredHead, bodies: &[String]) -> (String, &'static str) {
        let identity = stored.head.identity();
        let key = identity.key();
        let baseline = self.found.decoded_at::<Baseline>("baseline", &key);
        let name = baseline.map_or_else(|| stored.head.file_name(), |baseline| baseline.name);
        if let Some(text) = (self.text_of)(&name, &identity) {
            return (text, "it has that of its file");
        }
        if let Some(base) = self.found.decoded_at::<Issue>("baseline_content", &key) {
            return (base.body, "it has that of its file as it once was");
        }
        match bodies.last() {
            Some(body) => (body.clone(), "it has an older one"),
            None => (String::new(), "it has none"),
        }
    }

    /// Names what is damaged and has not been said yet.
    fn count_lost(&mut self) {
        let found = self.found;
        for (&table, &length) in &found.lengths {
            let rows = self.found.taken(table);
            let mut missing = length.saturating_sub(rows.len() as u64);
            let gone = match table {
                "superseded" => found.lost_texts(),
                "changes" => found.lost_log_rows(),
                _ => Vec::new(),
            };
            missing = missing.max(gone.len() as u64);
            self.rescued.lost.extend(gone);
            let told = self.rescued.lost.iter().filter(|damage| damage.table.as_deref() == Some(table));
            let told: BTreeSet<_> = told.filter_map(|damage| damage.key.clone()).collect();
            let mut named = told.len() as u64;
            if INDEXES.contains(&table) || matches!(table, "identities" | "pending") || named >= missing {
                continue;
            }
            // a page of another table may lie in the place of one of this
            let is_possible = |key: &String| !matches!(table, "changes" | "superseded") || key.parse::<u64>().is_ok();
            let damaged = found.damage.iter().filter(|damage| damage.table.as_deref() == Some(table));
            for damage in damaged.filter(|damage| damage.key.as_ref().is_some_and(is_possible)) {
                let is_told = damage.key.as_ref().is_none_or(|key| told.contains(key));
                if !is_told && !rows.keys().any(|key| Some(readable(table, key)) == damage.key) {
                    named += 1;
                    self.rescued.lost.push(damage.clone());
                }
            }
            if named < missing {
                let message = format!("{missing} of {length} rows could not be saved");
                self.rescued.lost.push(Damage { table: Some(table.to_owned()), key: None, offset: None, message });
            }
        }
        for &table in self.found.incomplete.iter().filter(|table| !self.found.lengths.contains_key(*table)) {
            if !INDEXES.contains(&table) {
                let message = "how many rows could not be saved is not known".to_owned();
                self.rescued.lost.push(Damage { table: Some(table.to_owned()), key: None, offset: None, message });
            }
        }
        for (&table, strays) in &self.found.strays {
            let older = strays.keys().filter(|key| !self.found.of(table).contains_key(*key));
            for key in older.filter(|_| !matches!(table, "issues" | "bodies" | "changes" | "superseded" | "identities"))
            {
                let message = "the row was found in a page that may have been given up, and may be older than it was";
                self.rescued.lost.push(lost(table, key, message));
            }
        }
    }
}

fn lost(table: &str, key: &[u8], message: &str) -> Damage {
    Damage { table: Some(table.to_owned()), key: Some(readable(table, key)), offset: None, message: message.to_owned() }
}
