//! The keys of the list indexes.
//!
//! `order`: a kind, the class, a sort key, the number. `terms`: a kind, a term, the class, the last change (newest
//! first), the number. Class comes before the sort key, so that ready, blocked and closed issues are each one range and
//! any set of them is a merge of ranges.

use crate::schema::id::{IssueId, Link, Revision};
use crate::schema::issue::{IssueHead, Priority};
use crate::schema::time::Timestamp;

use super::record::{Class, StoredHead};

/// What the rows of `order` are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OrderKind {
    /// Newest change first.
    Updated = b'u',
    /// Newest first.
    Created = b'c',
    /// Highest first, then lowest number.
    Priority = b'p',
    /// Lowest number first.
    Id = b'i',
}

/// What the rows of `terms` are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TermKind {
    Label = b'l',
    Assignee = b'a',
    Session = b's',
    Owner = b'o',
    Priority = b'p',
}

pub(crate) const CLASSES: [Class; 3] = [Class::Ready, Class::Blocked, Class::Closed];

/// The last four bytes of an index key.
pub(crate) fn id_of(key: &[u8]) -> Option<IssueId> {
    key.last_chunk().map(|bytes| IssueId(u32::from_be_bytes(*bytes)))
}

pub(crate) fn id_key(id: IssueId) -> [u8; 4] {
    id.0.to_be_bytes()
}

/// The change that a key of the log, or of the texts kept for undo, stands for; none if the key has another length.
pub(crate) fn revision_of(key: &[u8]) -> Option<Revision> {
    key.try_into().map(|bytes| Revision(u64::from_be_bytes(bytes))).ok()
}

/// The start of all `order` keys of a kind and class.
pub(crate) fn order_prefix(kind: OrderKind, class: Class) -> Vec<u8> {
    vec![kind as u8, class as u8]
}

/// The start of all `terms` keys of a term and class.
pub(crate) fn term_prefix(kind: TermKind, term: &[u8], class: Class) -> Vec<u8> {
    let mut key = term_start(kind, term);
    key.push(class as u8);
    key
}

fn term_start(kind: TermKind, term: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(term.len() + 22);
    key.push(kind as u8);
    // the length in front keeps one term from being the start of another
    key.extend_from_slice(&u32::try_from(term.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend_from_slice(term);
    key
}

fn newest_first(time: Timestamp) -> [u8; Timestamp::KEY_LEN] {
    time.sort_key().map(|byte| !byte)
}

fn order_keys(head: &IssueHead, class: Class) -> [Vec<u8>; 4] {
    let key = |kind, sort: &[u8]| {
        let mut key = order_prefix(kind, class);
        key.extend_from_slice(sort);
        key.extend_from_slice(&id_key(head.id));
        key
    };
    [
        key(OrderKind::Updated, &newest_first(head.updated_at)),
        key(OrderKind::Created, &newest_first(head.created_at)),
        key(OrderKind::Priority, &[!(head.priority as u8)]),
        key(OrderKind::Id, &[]),
    ]
}

/// The term of a priority.
pub(crate) fn priority_term(priority: Priority) -> [u8; 1] {
    [priority as u8]
}

fn term_keys(head: &IssueHead, class: Class) -> Vec<Vec<u8>> {
    let mut keys = Vec::with_capacity(head.labels.len() + head.sessions.len() + 3);
    let mut add = |kind, term: &[u8]| {
        let mut key = term_prefix(kind, term, class);
        key.extend_from_slice(&newest_first(head.updated_at));
        key.extend_from_slice(&id_key(head.id));
        keys.push(key);
    };
    head.labels.iter().for_each(|label| add(TermKind::Label, label.as_bytes()));
    head.sessions.iter().for_each(|session| add(TermKind::Session, session.as_bytes()));
    head.assignee.iter().for_each(|assignee| add(TermKind::Assignee, assignee.as_bytes()));
    head.owner().into_iter().for_each(|owner| add(TermKind::Owner, owner.session.as_bytes()));
    add(TermKind::Priority, &priority_term(head.priority));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// All index keys of an issue, each list sorted.
pub(crate) struct IndexKeys {
    pub(crate) order: Vec<Vec<u8>>,
    pub(crate) terms: Vec<Vec<u8>>,
    pub(crate) links: Vec<Vec<u8>>,
}

impl IndexKeys {
    pub(crate) fn of(stored: &StoredHead) -> Self {
        let (head, class) = (&stored.head, stored.class());
        let mut links: Vec<_> = head.depends_on.iter().map(|link| link_key(link, head.id)).collect();
        links.sort_unstable();
        links.dedup();
        let mut order = order_keys(head, class);
        order.sort_unstable();
        Self { order: order.into(), terms: term_keys(head, class), links }
    }

    pub(crate) fn none() -> Self {
        Self { order: Vec::new(), terms: Vec::new(), links: Vec::new() }
    }
}

fn link_key(link: &Link, source: IssueId) -> Vec<u8> {
    let mut key = link_prefix(link.slug.as_str());
    key.extend_from_slice(&id_key(link.id));
    key.extend_from_slice(&id_key(source));
    key
}

/// The start of all `links` keys to issues of a slug.
pub(crate) fn link_prefix(slug: &str) -> Vec<u8> {
    let mut key = slug.as_bytes().to_vec();
    key.push(0);
    key
}

/// The start of all `links` keys to a bare number.
pub(crate) fn bare_link_prefix(id: IssueId) -> Vec<u8> {
    let mut key = link_prefix("");
    key.extend_from_slice(&id_key(id));
    key
}
