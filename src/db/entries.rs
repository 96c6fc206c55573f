//! Handoffs and validations that stand in issue files, kept in step with their records.
//!
//! The list in an issue says which are in its file; the records are what queries read. Whatever changes the list, an
//! import, a merge, an editor, [`WriteTxn::follow_entries`] has the records follow in the same transaction. The commands
//! change the record first and then the list, which leaves nothing to follow.

use std::collections::BTreeMap;

use crate::schema::frontmatter;
use crate::schema::handoff::{self, Handoff, HandoffState};
use crate::schema::id::{Identity, Revision};
use crate::schema::issue::{Issue, IssueHead, Linked};
use crate::schema::keyed::Keyed as _;
use crate::schema::record_id::RecordId;
use crate::schema::time::Timestamp;
use crate::schema::validation::{self, MAX_PINNED, Pin, Validation};
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Change, Kind, Op, Versioned};
use super::tables::{Readable, Tables};
use super::write::WriteTxn;

/// The fields of an issue that list such records.
const FIELDS: [&str; 2] = ["handoffs", "validations"];

impl WriteTxn<'_> {
    /// Has the records follow the entries of an issue: what is new there is taken in, and a handoff that is not there any
    /// more is done.
    pub(super) fn follow_entries(&mut self, old: Option<&IssueHead>, new: &IssueHead) -> Result<(), StoreError> {
        let lists = |head: &IssueHead| (head.handoffs.clone(), head.validations.clone());
        let unchanged = old.map_or(new.handoffs.is_empty() && new.validations.is_empty(), |old| {
            old.handoffs == new.handoffs && old.validations == new.validations
        });
        if unchanged {
            return Ok(());
        }
        let (old_handoffs, old_validations) = old.map(lists).unwrap_or_default();
        let identity = new.identity();
        for entry in new.handoffs.iter().filter(|entry| !old_handoffs.contains(entry)) {
            let known = self.known::<Handoff>(entry)?;
            if self.is_elsewhere(entry, known.as_ref().and_then(|known| known.issue.as_ref()), &identity)? {
                self.copied_entries.push(identity.clone());
                continue;
            }
            if let Some(handoff) = handoff::from_entry(entry, &identity, known.as_ref()) {
                self.put_record(&handoff, Op::Import)?;
            }
        }
        for entry in old_handoffs.iter().filter(|entry| new.handoffs.iter().all(|other| other.id != entry.id)) {
            let Some(handoff) = self.known::<Handoff>(entry)?.filter(|known| known.issue.as_ref() == Some(&identity))
            else {
                continue;
            };
            if handoff.state.is_open() {
                let now = Timestamp::after(self.author.now, handoff.updated_at);
                let done = Handoff { state: HandoffState::Done, done_at: Some(now), updated_at: now, ..handoff };
                self.put_record(&done, Op::Done)?;
            }
        }
        for entry in new.validations.iter().filter(|entry| !old_validations.contains(entry)) {
            let known = self.known::<Validation>(entry)?;
            if self.is_elsewhere(entry, known.as_ref().and_then(|known| known.issue.as_ref()), &identity)? {
                self.copied_entries.push(identity.clone());
                continue;
            }
            if let Some(run) = validation::from_entry(entry, &identity, known.as_ref()) {
                self.put_record(&run, Op::Import)?;
            }
        }
        Ok(())
    }

    /// Has the open handoffs of an issue that was deleted and comes back without them be about no issue: they are open
    /// still, and what is about an issue stands in its file.
    pub(super) fn unlink_lost_entries(&mut self, head: &IssueHead) -> Result<(), StoreError> {
        let identity = head.identity();
        for handoff in self.records::<Handoff>()? {
            let is_lost = handoff.state.is_open()
                && handoff.issue.as_ref() == Some(&identity)
                && head.handoffs.iter().all(|entry| entry.id != handoff.key());
            if is_lost {
                let updated_at = Timestamp::after(self.author.now, handoff.updated_at);
                self.put_record(&Handoff { issue: None, updated_at, ..handoff }, Op::Update)?;
            }
        }
        Ok(())
    }

    /// Takes the entries of handoffs that are done out of an issue which an undo brought back.
    pub(super) fn drop_done_entries(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let Some(version) = self.issue_of(identity)? else { return Ok(()) };
        let mut issue = version.issue;
        let mut open = Vec::new();
        for entry in std::mem::take(&mut issue.head.handoffs) {
            if self.known::<Handoff>(&entry)?.is_none_or(|handoff| handoff.state.is_open() || says_done(&entry)) {
                open.push(entry);
            }
        }
        issue.head.handoffs = open;
        self.put(&Versioned::new(issue), Op::Undo)
    }

    fn known<R: super::records::Record>(&self, entry: &Linked) -> Result<Option<R>, StoreError> {
        match entry.id.parse::<RecordId>() {
            Ok(id) => self.record(&id.to_string()),
            Err(_) => Ok(None),
        }
    }

    /// Whether a record stands in the file of another issue: then somebody copied the entry.
    fn is_elsewhere(&self, entry: &Linked, linked: Option<&Identity>, here: &Identity) -> Result<bool, StoreError> {
        let Some(id) = linked.filter(|linked| *linked != here).map(|linked| self.id_of(linked)).transpose()?.flatten()
        else {
            return Ok(false);
        };
        let Some(stored) = self.head(id)? else { return Ok(false) };
        let mut entries = stored.head.handoffs.iter().chain(&stored.head.validations);
        Ok(entries.any(|other| other.id == entry.id))
    }

    /// Looks once more at the issues that had copies of entries, when all is changed: the other may have lost its own,
    /// and then the entry was moved.
    pub(super) fn follow_moved_entries(&mut self) -> Result<(), StoreError> {
        for identity in std::mem::take(&mut self.copied_entries) {
            let Some(id) = self.id_of(&identity)? else { continue };
            if let Some(stored) = self.head(id)? {
                self.follow_entries(None, &stored.head)?;
            }
        }
        self.copied_entries.clear();
        Ok(())
    }

    /// Lists the latest validation of each name in an issue that is being closed, beside those that somebody pinned; at
    /// most [`MAX_PINNED`].
    pub(super) fn pin_latest(&self, issue: &mut Issue) -> Result<(), StoreError> {
        let identity = issue.head.identity();
        let mut latest: BTreeMap<String, Validation> = BTreeMap::new();
        for run in self.records::<Validation>()? {
            if run.issue.as_ref() == Some(&identity)
                && latest.get(&run.name).is_none_or(|other| (other.at, other.id) < (run.at, run.id))
            {
                latest.insert(run.name.clone(), run);
            }
        }
        if latest.is_empty() {
            return Ok(());
        }
        let before = issue.head.validations.clone();
        let list = &mut issue.head.validations;
        // what an earlier closing listed gives way to the present run of its name
        let name = |entry: &Linked| entry.value.get("name").and_then(Value::as_text).map(str::to_owned);
        list.retain(|entry| Pin::of(entry) == Pin::Hand || name(entry).is_none_or(|name| !latest.contains_key(&name)));
        let mut runs: Vec<Validation> = latest.into_values().collect();
        runs.retain(|run| list.iter().all(|entry| entry.id != run.key()));
        // the newest, in the order in which they were run
        runs.sort_by_key(|run| (run.at, run.id));
        let room = MAX_PINNED.saturating_sub(list.len());
        for run in runs.iter().skip(runs.len().saturating_sub(room)) {
            let old = before.iter().find(|entry| entry.id == run.key());
            list.push(validation::entry(run, Pin::Closing, old));
        }
        if frontmatter::render_checked(issue).is_err() {
            // an issue that has no room for them is closed all the same
            issue.head.validations = before;
        }
        Ok(())
    }
}

impl<T: Readable> Tables<T> {
    /// A change and, where it is of a handoff or a validation, or of an entry of such, those that the same command made
    /// of the other; newest first.
    pub(super) fn with_entries(
        &self,
        revision: Revision,
        change: Change,
    ) -> Result<Vec<(Revision, Change)>, StoreError> {
        let Some(issue) = self.issue_of_entry(&change)? else { return Ok(vec![(revision, change)]) };
        let mut changes = Vec::new();
        for row in self.changes_since(Revision(change.group.0.saturating_sub(1)))? {
            let (revision, other) = row?;
            if other.group == change.group && self.issue_of_entry(&other)?.as_ref() == Some(&issue) {
                changes.push((revision, other));
            }
        }
        Ok(changes)
    }

    /// Whether a change is about an entry of an issue's file.
    pub(super) fn is_of_entry(&self, change: &Change) -> Result<bool, StoreError> {
        Ok(self.issue_of_entry(change)?.is_some())
    }

    /// The issue whose entries a change is about; none if it is about none.
    fn issue_of_entry(&self, change: &Change) -> Result<Option<Identity>, StoreError> {
        Ok(match change.kind {
            Kind::Issue => {
                let touches = |fields: &Value| FIELDS.iter().any(|name| fields.get(name).is_some());
                let touches = touches(&change.before) || touches(&change.after);
                change.identity.clone().filter(|_| touches)
            }
            Kind::Handoff => match self.record::<Handoff>(&change.key)? {
                Some(handoff) => handoff.issue,
                None => issue_in(change),
            },
            Kind::Validation => match self.record::<Validation>(&change.key)? {
                Some(run) => run.issue,
                None => issue_in(change),
            },
            _ => None,
        })
    }

    /// Whether a record stands in the file of an issue.
    pub(super) fn is_listed(&self, change: &Change) -> Result<bool, StoreError> {
        let issue = self.issue_of_entry(change)?;
        let Some(id) = issue.map(|issue| self.id_of(&issue)).transpose()?.flatten() else { return Ok(false) };
        let Some(stored) = self.head(id)? else { return Ok(false) };
        let entries = stored.head.handoffs.iter().chain(&stored.head.validations);
        Ok(entries.into_iter().any(|entry| entry.id == change.key))
    }
}

/// The issue that a record was about which is gone by now: its creation or deletion names all of its fields.
fn issue_in(change: &Change) -> Option<Identity> {
    let field = [&change.after, &change.before].into_iter().find_map(|fields| fields.get("issue"))?;
    serde_json::from_value(serde_json::to_value(field).ok()?).ok()
}

/// Whether somebody wrote into an entry that it is done.
fn says_done(entry: &Linked) -> bool {
    entry.value.get("state").and_then(Value::as_text) == Some(HandoffState::Done.as_str())
}
