//! Lists of issues: filters and orders over heads and indexes; no body is read, and no more heads than are asked for.

use std::cmp::Reverse;

use crate::schema::codec::{self, DecodeError};
use crate::schema::id::IssueId;
use crate::schema::issue::Priority;

use super::error::StoreError;
use super::finder::Finder;
use super::index::{CLASSES, OrderKind, TermKind, id_key, id_of, order_prefix, priority_term, term_prefix};
use super::record::{Class, StoredHead};
use super::tables::{ReadRows, Readable, Tables};

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Last change, newest first.
    #[default]
    Updated,
    /// Creation, newest first.
    Created,
    /// Priority, highest first, then number, lowest first.
    Priority,
    /// Number, lowest first.
    Id,
}

impl Sort {
    const fn kind(self) -> OrderKind {
        match self {
            Self::Updated => OrderKind::Updated,
            Self::Created => OrderKind::Created,
            Self::Priority => OrderKind::Priority,
            Self::Id => OrderKind::Id,
        }
    }
}

/// Which classes a list takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes([bool; 3]);

impl Classes {
    /// Open issues.
    pub const OPEN: Self = Self([true, true, false]);
    /// Open issues that nothing holds up.
    pub const READY: Self = Self([true, false, false]);
    /// Open issues that wait for others.
    pub const BLOCKED: Self = Self([false, true, false]);
    /// Closed issues.
    pub const CLOSED: Self = Self([false, false, true]);
    /// All issues.
    pub const ALL: Self = Self([true; 3]);

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(CLASSES.map(|class| self.contains(class) && other.contains(class)))
    }

    fn iter(self) -> impl Iterator<Item = Class> {
        CLASSES.into_iter().filter(move |&class| self.0[class as usize])
    }

    fn contains(self, class: Class) -> bool {
        self.0[class as usize]
    }
}

/// What a list takes in; all that is given must hold.
#[derive(Clone, Debug)]
pub struct Query {
    /// Ready, blocked, closed.
    pub classes: Classes,
    /// Exactly this priority.
    pub priority: Option<Priority>,
    /// All of these labels.
    pub labels: Vec<String>,
    /// This assignee.
    pub assignee: Option<String>,
    /// Linked or assigned to this session.
    pub session: Option<String>,
    /// Assigned to some session (true) or to none (false).
    pub assigned: Option<bool>,
    /// Part of the title, in any case.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// The other way round.
    pub reverse: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            classes: Classes::OPEN,
            priority: None,
            labels: Vec::new(),
            assignee: None,
            session: None,
            assigned: None,
            text: None,
            sort: Sort::Updated,
            reverse: false,
            limit: None,
        }
    }
}

impl Query {
    fn accepts(&self, stored: &StoredHead, text: Option<&Finder<'_>>) -> bool {
        let head = &stored.head;
        self.classes.contains(stored.class())
            && self.priority.is_none_or(|priority| priority == head.priority)
            && self.labels.iter().all(|label| head.labels.contains(label))
            && self.assignee.as_ref().is_none_or(|assignee| head.assignee.as_ref() == Some(assignee))
            && self.session.as_ref().is_none_or(|session| {
                head.sessions.contains(session) || head.owner().is_some_and(|owner| owner.session == *session)
            })
            && self.assigned.is_none_or(|assigned| assigned == head.owner().is_some())
            && text.is_none_or(|text| text.is_in_short(head.title.as_bytes()))
    }

    /// The narrowest index that holds every issue the query can take in; none if the order's own index serves best.
    fn term(&self) -> Option<(TermKind, Vec<u8>)> {
        if let Some(label) = self.labels.first() {
            return Some((TermKind::Label, label.as_bytes().to_vec()));
        }
        if let Some(assignee) = &self.assignee {
            return Some((TermKind::Assignee, assignee.as_bytes().to_vec()));
        }
        match (self.priority, self.sort) {
            (Some(priority), Sort::Updated) => Some((TermKind::Priority, priority_term(priority).to_vec())),
            _ => None,
        }
    }
}

/// As many issues as are usually asked for; room for them is made at once.
const USUAL: usize = 64;

type Keys<'a> = Box<dyn Iterator<Item = Result<Vec<u8>, StoreError>> + 'a>;

/// A sorted range of keys, of which the next is known.
struct Ahead<'a> {
    prefix: usize,
    next: Option<Result<Vec<u8>, StoreError>>,
    keys: Keys<'a>,
}

/// Several sorted key ranges as one, in the order of what follows their prefixes.
struct Merged<'a> {
    ranges: Vec<Ahead<'a>>,
    reverse: bool,
}

impl Iterator for Merged<'_> {
    type Item = Result<Vec<u8>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut best: Option<(usize, &[u8])> = None;
        for (index, Ahead { prefix, next, .. }) in self.ranges.iter().enumerate() {
            match next {
                None => {}
                Some(Err(_)) => {
                    best = Some((index, &[]));
                    break;
                }
                Some(Ok(key)) => {
                    let suffix = &key[*prefix..];
                    if best.is_none_or(|(_, best)| (suffix < best) != self.reverse) {
                        best = Some((index, suffix));
                    }
                }
            }
        }
        let (best, _) = best?;
        let Ahead { next, keys, .. } = &mut self.ranges[best];
        std::mem::replace(next, keys.next())
    }
}

impl<T: Readable> Tables<T> {
    /// The issues that a query takes in, in its order. `keep` has the last word, for what the records do not tell (such
    /// as whether an owner is alive).
    ///
    /// # Errors
    /// If the database cannot be read or a row is damaged.
    pub fn list(
        &self,
        query: &Query,
        mut keep: impl FnMut(&StoredHead) -> Result<bool, StoreError>,
    ) -> Result<Vec<StoredHead>, StoreError> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let text = query.text.as_deref().map(Finder::new);
        let accepts = |stored: &StoredHead| query.accepts(stored, text.as_ref());
        let term = query.term();
        let accepted = match self.small_set(query)? {
            Some(mut few) => {
                few.retain(accepts);
                Some(few)
            }
            // most of the table: in its own order each page is read once
            None if query.limit.is_none() && term.is_none() && query.classes.contains(Class::Closed) => {
                Some(self.heads.filter_map(|_, stored| accepts(&stored).then_some(stored))?)
            }
            None => None,
        };
        if let Some(mut accepted) = accepted {
            let mut failed = Ok(());
            accepted.retain(|stored| {
                let kept = if failed.is_ok() { keep(stored) } else { Ok(false) };
                kept.unwrap_or_else(|error| {
                    failed = Err(error);
                    false
                })
            });
            failed?;
            sort(&mut accepted, query);
            accepted.truncate(limit);
            return Ok(accepted);
        }
        let mut found = Vec::with_capacity(limit.min(USUAL));
        let in_order = term.is_none() || query.sort == Sort::Updated;
        for key in self.candidates(query, term.as_ref())? {
            if found.len() >= limit && in_order {
                break;
            }
            let id = self.indexed(&key?)?;
            if let Some(text) = &text
                && !self.has_in_title(id, text)?
            {
                continue;
            }
            let stored = self.head_named_by(id, "order")?;
            // the text was looked for already
            if query.accepts(&stored, None) && keep(&stored)? {
                found.push(stored);
            }
        }
        if !in_order {
            sort(&mut found, query);
            found.truncate(limit);
        }
        Ok(found)
    }

    /// The first ready issue that `is_free`: highest priority first, then lowest number.
    ///
    /// # Errors
    /// See [`Tables::list`].
    pub fn next_ready(
        &self,
        is_free: impl FnMut(&StoredHead) -> Result<bool, StoreError>,
    ) -> Result<Option<StoredHead>, StoreError> {
        let query = Query { classes: Classes::READY, sort: Sort::Priority, limit: Some(1), ..Query::default() };
        Ok(self.list(&query, is_free)?.into_iter().next())
    }

    /// The issues of sets that are small by nature: claimed ones, and those of one session.
    fn small_set(&self, query: &Query) -> Result<Option<Vec<StoredHead>>, StoreError> {
        let prefixes: Vec<Vec<u8>> = if let Some(session) = &query.session {
            let of = |kind| CLASSES.map(|class| term_prefix(kind, session.as_bytes(), class));
            [of(TermKind::Session), of(TermKind::Owner)].concat()
        } else if query.assigned == Some(true) {
            vec![vec![TermKind::Owner as u8]]
        } else {
            return Ok(None);
        };
        let mut ids = std::collections::BTreeSet::new();
        for prefix in prefixes {
            for key in self.terms.keys(&prefix, false)? {
                ids.extend(id_of(&key?));
            }
        }
        ids.into_iter().map(|id| self.head_named_by(id, "terms")).collect::<Result<_, _>>().map(Some)
    }

    fn candidates(&self, query: &Query, term: Option<&(TermKind, Vec<u8>)>) -> Result<Merged<'_>, StoreError> {
        let mut ranges = Vec::new();
        for class in query.classes.iter() {
            let (table, prefix) = match term {
                Some((kind, term)) => (&self.terms, term_prefix(*kind, term, class)),
                None => (&self.order, order_prefix(query.sort.kind(), class)),
            };
            let mut keys: Keys<'_> = Box::new(table.keys(&prefix, query.reverse)?);
            ranges.push(Ahead { prefix: prefix.len(), next: keys.next(), keys });
        }
        Ok(Merged { ranges, reverse: query.reverse })
    }

    fn indexed(&self, key: &[u8]) -> Result<IssueId, StoreError> {
        id_of(key).ok_or_else(|| self.order.corrupt(key, DecodeError::Damaged))
    }

    /// Whether a text is in an issue's title, which takes half as long to tell as to read all that a head has; true if
    /// there is no such issue.
    fn has_in_title(&self, id: IssueId, text: &Finder<'_>) -> Result<bool, StoreError> {
        let found = self.heads.look_at(&id_key(id), |fields| {
            let (_, _, title): (IssueId, &[u8], &[u8]) = codec::beginning(fields)?;
            Ok(text.is_in_short(title))
        })?;
        Ok(found.unwrap_or(true))
    }

    fn head_named_by(&self, id: IssueId, table: &'static str) -> Result<StoredHead, StoreError> {
        self.head(id)?.ok_or(StoreError::IndexMismatch { table, id })
    }
}

impl Tables<ReadRows> {
    /// The issues whose title or body holds a text, in any case, newest change first.
    ///
    /// # Errors
    /// See [`Tables::list`].
    pub fn search(&self, text: &str, classes: Classes, limit: Option<usize>) -> Result<Vec<StoredHead>, StoreError> {
        let text = Finder::new(text);
        let in_body = self.bodies.filter_map(|key, body: String| id_of(key).filter(|_| text.is_in(&body)))?;
        let mut found = self.heads.filter_map(|_, stored: StoredHead| {
            let matches = in_body.binary_search(&stored.head.id).is_ok() || text.is_in(&stored.head.title);
            (matches && classes.contains(stored.class())).then_some(stored)
        })?;
        sort(&mut found, &Query::default());
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok(found)
    }
}

/// By the order that a query asks for; what is moved about are keys, not heads, which are long.
fn sort(heads: &mut [StoredHead], query: &Query) {
    heads.sort_by_cached_key(|StoredHead { head, .. }| {
        let by_time = match query.sort {
            Sort::Updated => Some(head.updated_at),
            Sort::Created => Some(head.created_at),
            Sort::Priority | Sort::Id => None,
        };
        let by_priority = (query.sort == Sort::Priority).then_some(head.priority);
        (Reverse(by_time), Reverse(by_priority), head.id)
    });
    if query.reverse {
        heads.reverse();
    }
}
