//! Reading issues: one by number or identity, links, counters, marks, and the audit trail.

use std::ops::Bound;

use crate::schema::codec::{self, DecodeError};
use crate::schema::id::{FileName, Identity, IssueId, Link, Revision};
use crate::schema::issue::Issue;

use super::error::StoreError;
use super::index::{bare_link_prefix, id_key, id_of, link_prefix, revision_of};
use super::record::{Baseline, Change, Conflict, Counters, Landing, Moved, Pending, StoredHead, Tombstone, Versioned};
use super::tables::{ReadRows, Readable, Tables};

/// Names of the rows of `meta`.
pub(crate) mod mark {
    pub(crate) const SCHEMA: &[u8] = b"schema";
    pub(crate) const STORE_ID: &[u8] = b"store_id";
    pub(crate) const REVISION: &[u8] = b"revision";
    pub(crate) const HIGH_WATER: &[u8] = b"high_water";
    pub(crate) const COUNTERS: &[u8] = b"counters";
    /// The last change of the import that the database was born with.
    pub(crate) const BORN: &[u8] = b"born";
    /// What the issues folder looked like when an import or export last saw it.
    pub(crate) const FOLDER: &[u8] = b"folder";
    /// The first row of the log before which rows may have been dropped.
    pub(crate) const LOG_FROM: &[u8] = b"log_from";
    /// How far dropping what is not kept has come (see [`super::super::retention`]).
    pub(crate) const SWEEP: &[u8] = b"sweep";
    /// The time that dropping goes by (see [`crate::schema::retention::Belief`]).
    pub(crate) const BELIEF: &[u8] = b"belief";
    /// What an export is about to do to files.
    pub(crate) const LANDINGS: &[u8] = b"landings";
}

/// What an import or export last saw of the issues folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FolderMark {
    /// The folder's own time of change, in seconds and nanoseconds; none if there was no folder.
    pub modified: Option<(i64, u32)>,
}

impl Tables<ReadRows> {
    /// All baselines with the keys of their identities, which are in order.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn all_baselines(&self) -> Result<Vec<(Vec<u8>, Baseline)>, StoreError> {
        self.baseline.filter_map(|key, baseline| Some((key.to_vec(), baseline)))
    }
}

impl<T: Readable> Tables<T> {
    /// The head of an issue.
    ///
    /// # Errors
    /// If the database cannot be read or the row is damaged; so for all functions here.
    pub fn head(&self, id: IssueId) -> Result<Option<StoredHead>, StoreError> {
        self.heads.get(&id_key(id))
    }

    /// An issue with its body.
    ///
    /// # Errors
    /// See [`Tables::head`]; a head without its body is damage, too.
    pub fn issue(&self, id: IssueId) -> Result<Option<Versioned>, StoreError> {
        let Some(stored) = self.head(id)? else { return Ok(None) };
        Ok(Some(Versioned { hash: stored.hash, issue: Issue { head: stored.head, body: self.body(id)? } }))
    }

    /// The body of an issue that is there.
    ///
    /// # Errors
    /// See [`Tables::issue`].
    pub fn body(&self, id: IssueId) -> Result<String, StoreError> {
        let key = id_key(id);
        self.bodies.get(&key)?.ok_or_else(|| self.bodies.corrupt(&key, DecodeError::Damaged))
    }

    /// All heads, by number.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn all_heads(&self) -> Result<impl Iterator<Item = Result<StoredHead, StoreError>> + '_, StoreError> {
        Ok(self.heads.with_prefix(b"")?.map(|row| row.map(|(_, head)| head)))
    }

    /// The number of the issue of an identity.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn id_of(&self, identity: &Identity) -> Result<Option<IssueId>, StoreError> {
        self.identities.get(&identity.key())
    }

    /// The issue of an identity, with its body.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn issue_of(&self, identity: &Identity) -> Result<Option<Versioned>, StoreError> {
        self.id_of(identity)?.map_or(Ok(None), |id| self.issue(id))
    }

    /// The issue that a link means; none if it is gone. After a number collision the slug tells which one is meant, unless
    /// the one that it named was deleted.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn resolve(&self, link: &Link) -> Result<Option<IssueId>, StoreError> {
        // nearly always the one that it names, which is found with less reading than all of its slug
        let is_meant = self.heads.look_at(&id_key(link.id), |fields| {
            let (_, slug): (IssueId, &str) = codec::beginning(fields)?;
            Ok(link.slug.is_empty() || slug == link.slug.as_str())
        })?;
        if is_meant == Some(true) {
            return Ok(Some(link.id));
        }
        if link.slug.is_empty() {
            return Ok(None);
        }
        let mut candidates = Vec::new();
        for row in self.identities.with_prefix::<IssueId>(&link_prefix(link.slug.as_str()))? {
            candidates.push(row?.1);
        }
        match candidates[..] {
            _ if candidates.contains(&link.id) => Ok(Some(link.id)),
            [only] => Ok((!self.was_deleted(link)?).then_some(only)),
            _ => Ok(None),
        }
    }

    /// Whether the issue of that number and slug was deleted.
    fn was_deleted(&self, link: &Link) -> Result<bool, StoreError> {
        for row in self.tombstones.with_prefix::<Tombstone>(&link_prefix(link.slug.as_str()))? {
            if row?.1.id == link.id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The link as files spell it: the number and slug of the issue that it means; unchanged if that is gone.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn normal_link(&self, link: &Link) -> Result<Link, StoreError> {
        let Some(id) = self.resolve(link)? else { return Ok(link.clone()) };
        Ok(self.head(id)?.map_or_else(|| link.clone(), |stored| stored.head.link()))
    }

    /// The issues that depend on one.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn dependents(&self, target: &FileName) -> Result<Vec<IssueId>, StoreError> {
        let mut sources = Vec::new();
        if self.links.is_empty()? {
            return Ok(sources);
        }
        let by_slug = (!target.slug.is_empty()).then(|| link_prefix(target.slug.as_str()));
        for prefix in by_slug.into_iter().chain([bare_link_prefix(target.id)]) {
            for key in self.links.keys(&prefix, false)? {
                sources.extend(id_of(&key?));
            }
        }
        sources.sort_unstable();
        sources.dedup();
        Ok(sources)
    }

    /// The open issues that one depends on.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn open_dependencies(&self, links: &[Link]) -> Result<Vec<IssueId>, StoreError> {
        let mut open = Vec::new();
        for link in links {
            if let Some(id) = self.resolve(link)?
                && let Some(target) = self.head(id)?
                && target.head.status == crate::schema::issue::Status::Open
            {
                open.push(id);
            }
        }
        open.sort_unstable();
        open.dedup();
        Ok(open)
    }

    /// Running counts.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn counters(&self) -> Result<Counters, StoreError> {
        Ok(self.meta.get(mark::COUNTERS)?.unwrap_or_default())
    }

    /// The name of this database, which no other has: not even one that is built anew in its place.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn store_id(&self) -> Result<String, StoreError> {
        Ok(self.meta.get(mark::STORE_ID)?.unwrap_or_default())
    }

    /// The number of the last change.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn revision(&self) -> Result<Revision, StoreError> {
        Ok(self.meta.get(mark::REVISION)?.unwrap_or_default())
    }

    /// The last change of the import that the database was born with.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn born(&self) -> Result<Revision, StoreError> {
        Ok(self.meta.get(mark::BORN)?.unwrap_or_default())
    }

    /// The first row of the log from which on all are there; before it, some or all were dropped, their time being over.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn log_from(&self) -> Result<Revision, StoreError> {
        Ok(self.meta.get(mark::LOG_FROM)?.unwrap_or_default())
    }

    /// What an export was about to do to files when it was killed.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn landings(&self) -> Result<Vec<Landing>, StoreError> {
        Ok(self.meta.get(mark::LANDINGS)?.unwrap_or_default())
    }

    /// The highest number ever taken in, also by issues that are gone.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn high_water(&self) -> Result<IssueId, StoreError> {
        Ok(self.meta.get(mark::HIGH_WATER)?.unwrap_or(IssueId(0)))
    }

    /// What an import or export last saw of the issues folder; none before the first.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn folder_mark(&self) -> Result<Option<FolderMark>, StoreError> {
        self.meta.get(mark::FOLDER)
    }

    /// What file and record of an issue last agreed on.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn baseline(&self, identity: &Identity) -> Result<Option<Baseline>, StoreError> {
        self.baseline.get(&identity.key())
    }

    /// The issue that a file and this record last agreed on, where there is a baseline.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn merge_base(&self, identity: &Identity, record: Option<&Versioned>) -> Result<Option<Issue>, StoreError> {
        let key = identity.key();
        if !self.baseline.contains(&key)? {
            return Ok(None);
        }
        // none is stored while the record is what they agreed on
        Ok(self.bases.get(&key)?.or_else(|| record.map(|record| record.issue.clone())))
    }

    /// All records that differ from their baselines.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn all_pending(&self) -> Result<Vec<(Identity, Pending)>, StoreError> {
        self.pending.with_prefix(b"")?.map(|row| row.map(|(_, pending)| pending)).collect()
    }

    /// The deletion of an issue.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn tombstone(&self, identity: &Identity) -> Result<Option<Tombstone>, StoreError> {
        self.tombstones.get(&identity.key())
    }

    /// All conflicts, by identity.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn all_conflicts(&self) -> Result<Vec<(Identity, Conflict)>, StoreError> {
        self.conflicts.with_prefix(b"")?.map(|row| row.map(|(_, conflict)| conflict)).collect()
    }

    /// The conflict of an issue.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn conflict(&self, identity: &Identity) -> Result<Option<Conflict>, StoreError> {
        Ok(self.conflicts.get::<(Identity, Conflict)>(&identity.key())?.map(|(_, conflict)| conflict))
    }

    /// Where issues that once had a number went, oldest first.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn moved_from(&self, id: IssueId) -> Result<Vec<Moved>, StoreError> {
        self.moved.with_prefix(&id_key(id))?.map(|row| row.map(|(_, moved)| moved)).collect()
    }

    /// The changes after a revision, newest first.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn changes_since(
        &self,
        since: Revision,
    ) -> Result<impl Iterator<Item = Result<(Revision, Change), StoreError>> + '_, StoreError> {
        let range = (Bound::Excluded(since.0.to_be_bytes().to_vec()), Bound::Unbounded);
        Ok(self.changes.range(range)?.rev().map(|row| {
            let (key, change) = row?;
            let revision = revision_of(&key).ok_or_else(|| self.changes.corrupt(&key, DecodeError::Damaged))?;
            Ok((revision, change))
        }))
    }

    /// One change.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn change(&self, revision: Revision) -> Result<Option<Change>, StoreError> {
        self.changes.get(&revision.0.to_be_bytes())
    }

    /// The body that a change replaced, while it is kept.
    ///
    /// # Errors
    /// See [`Tables::head`].
    pub fn superseded_body(&self, revision: Revision) -> Result<Option<String>, StoreError> {
        self.superseded.get(&revision.0.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::{Author, Op, Store};
    use crate::schema::issue::IssueHead;

    #[test]
    fn a_link_means_the_issue_of_its_slug_whatever_number_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        store.create_if_missing().unwrap();
        let now: crate::schema::time::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let author = Author { actor: "ada".into(), session: None, now };
        store
            .write(&author, |txn| {
                for title in ["one", "two", "three", "three", "gone"] {
                    let head = |id, now| IssueHead::new(id, title.into(), now);
                    txn.create(|id, now| Issue { head: head(id, now), body: String::new() })?;
                }
                txn.delete(IssueId(5), Op::Delete).map(drop)
            })
            .unwrap();
        let read = store.read().unwrap();
        let meant = |link: &str| read.resolve(&Link::parse(link).unwrap()).unwrap().map(|id| id.0);
        for (link, issue) in [
            ("0001-one", Some(1)),
            ("1", Some(1)),
            // after a collision
            ("0001-two", Some(2)),
            ("0009-two", Some(2)),
            ("0003-three", Some(3)),
            ("0004-three", Some(4)),
            ("0001-three", None),
            ("0005-gone", None),
            ("0001-none", None),
            ("9", None),
        ] {
            assert_eq!(meant(link), issue, "{link}");
        }
    }
}
