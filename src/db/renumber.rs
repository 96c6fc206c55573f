//! Issues that get other numbers, and the links that follow them.

use std::collections::BTreeSet;

use crate::schema::id::{Identity, IssueId, Link, Revision};

use super::error::StoreError;
use super::index::id_key;
use super::record::{Moved, Op, Versioned};
use super::write::WriteTxn;

impl WriteTxn<'_> {
    /// Gives issues other numbers, all at once, so that two can trade theirs. Links to them follow. No time of change
    /// moves.
    ///
    /// # Errors
    /// If the database fails.
    pub fn renumber(&mut self, moves: &[(Identity, IssueId)]) -> Result<(), StoreError> {
        let undoes = self.undoes;
        let moves: Vec<_> = moves.iter().map(|(identity, to)| (identity.clone(), *to, undoes)).collect();
        self.renumber_back(&moves)
    }

    /// As [`WriteTxn::renumber`], with the change that each undoes.
    pub(super) fn renumber_back(&mut self, moves: &[(Identity, IssueId, Option<Revision>)]) -> Result<(), StoreError> {
        let mut pairs = Vec::new();
        for (identity, to, undoes) in moves {
            if let Some(old) = self.issue_of(identity)?
                && old.issue.head.id != *to
            {
                let mut issue = old.issue.clone();
                issue.head.id = *to;
                pairs.push((identity.clone(), old, Versioned::new(issue), *undoes));
            }
        }
        let mut relinked = BTreeSet::new();
        for (_, old, new, _) in &pairs {
            for source in self.dependents(&old.issue.head.file_name())? {
                let Some(stored) = self.head(source)? else { continue };
                if self.later.relinked.contains(&stored.head.identity()) {
                    continue;
                }
                for link in &stored.head.depends_on {
                    if self.resolve(link)? == Some(old.issue.head.id) {
                        relinked.insert((stored.head.identity(), link.clone(), new.issue.head.link()));
                    }
                }
            }
        }
        for (identity, old, new, _) in &pairs {
            self.note_pending(identity, Some(old), Some(new.hash))?;
            self.write_rows(identity, Some(old), None)?;
        }
        for (identity, old, new, undoes) in &pairs {
            self.undoes = *undoes;
            self.write_rows(identity, None, Some(new))?;
            self.record_change(Op::Renumber, Some(old), Some(new))?;
            let mut key = id_key(old.issue.head.id).to_vec();
            key.extend_from_slice(&self.last.0.to_be_bytes());
            self.tables.moved.put(&key, &Moved { identity: identity.clone(), to: new.issue.head.id })?;
        }
        self.relink(relinked)
    }

    fn relink(&mut self, links: BTreeSet<(Identity, Link, Link)>) -> Result<(), StoreError> {
        // by source, so that an issue with two moved dependencies is written once
        let mut links = links.into_iter().peekable();
        while let Some((identity, from, to)) = links.next() {
            let mut changes = vec![(from, to)];
            while let Some((_, from, to)) = links.next_if(|(next, _, _)| *next == identity) {
                changes.push((from, to));
            }
            if let Some(source) = self.issue_of(&identity)? {
                let mut issue = source.issue;
                for link in &mut issue.head.depends_on {
                    if let Some((_, to)) = changes.iter().find(|(from, _)| from == link) {
                        *link = to.clone();
                    }
                }
                self.put(&Versioned::new(issue), Op::Renumber)?;
            }
        }
        Ok(())
    }

    /// Spells the links of issues, and the links to them, as files do: by the present number and slug of the issue meant.
    ///
    /// # Errors
    /// If the database fails.
    pub fn normalize_links<'i>(&mut self, issues: impl Iterator<Item = &'i Identity>) -> Result<(), StoreError> {
        if self.links.is_empty()? {
            return Ok(());
        }
        let mut sources = BTreeSet::new();
        for identity in issues {
            let Some(stored) = self.id_of(identity)?.map(|id| self.head(id)).transpose()?.flatten() else { continue };
            sources.extend(self.dependents(&stored.head.file_name())?);
            if !stored.head.depends_on.is_empty() {
                sources.insert(stored.head.id);
            }
        }
        for source in sources {
            let Some(stored) = self.head(source)? else { continue };
            let mut links = Vec::with_capacity(stored.head.depends_on.len());
            // a file can hold thousands, so no link is looked for among all others
            let mut seen = BTreeSet::new();
            for link in &stored.head.depends_on {
                let link = self.normal_link(link)?;
                if seen.insert(link.clone()) {
                    links.push(link);
                }
            }
            if links != stored.head.depends_on
                && let Some(mut version) = self.issue(source)?
            {
                version.issue.head.depends_on = links;
                self.put(&Versioned::new(version.issue), Op::Renumber)?;
            }
        }
        Ok(())
    }
}
