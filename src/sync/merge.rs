//! Three-way merge of an issue by field (design section 4, "Three-way merge").
//!
//! Swapping the sides gives the same issue, but for what belongs to a side: the number, and the body while it overlaps.
//! Whatever only one side changed is taken; whatever both changed to different values goes to the newer side, and the
//! other value is handed back in [`MergedIssue::lost`]. Nothing is promised about numbers: links whose issue was
//! renumbered, and the number itself, are settled in `numbers`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::diff3::{self, Chunk, Merged};
use crate::schema::diff::{EXTRA, assignment, canonical, extra, fields, github, same, time};
use crate::schema::issue::{Extra, Issue, IssueHead, Linked, Status};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

#[cfg(test)]
pub(crate) mod laws;
#[cfg(test)]
mod tests;

/// One of the two versions being merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The record, or the current branch.
    Ours,
    /// The file, or the branch being merged.
    Theirs,
}

/// A value that one side had set and that the merged issue does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct LostValue {
    /// The field, named as in [`fields`]; one entry of a list of linked records goes by `validations.ULID`.
    pub field: String,
    /// What was lost; `Null` if what was lost is a removal.
    pub value: Value,
    /// What the merged issue holds instead.
    pub kept: Value,
    /// The side whose value was lost.
    pub side: Side,
}

/// The outcome of [`merge`].
#[derive(Clone, Debug, PartialEq)]
pub struct MergedIssue {
    /// The merged issue. Where the bodies overlap its body is ours.
    pub issue: Issue,
    /// The bodies in pieces, if they overlap.
    pub body_conflict: Option<Vec<Chunk>>,
    /// The losing value of each scalar that both sides changed, and each newly set closing time or assignment that the
    /// merged status does away with.
    pub lost: Vec<LostValue>,
    /// The side whose text lends what only text carries: comments, quoting, key order.
    pub winner: Side,
}

/// Merges two versions of one issue that both come from `base`, or were made apart if there is none. Number, slug and
/// creation time are ours.
#[must_use]
pub fn merge(base: Option<&Issue>, ours: &Issue, theirs: &Issue) -> MergedIssue {
    let mut contest = Contest {
        base: base.map(|base| &base.head),
        ours: &ours.head,
        theirs: &theirs.head,
        newer: newer(base, ours, theirs),
        lost: Vec::new(),
    };
    let status = contest.scalar("status", |head| head.status, |status| status.as_str().into());
    let head = IssueHead {
        id: ours.head.id,
        slug: ours.head.slug.clone(),
        title: contest.scalar("title", |head| head.title.clone(), |title| title.as_str().into()),
        status,
        priority: contest.scalar("priority", |head| head.priority, |priority| priority.as_str().into()),
        labels: contest.set(|head| &head.labels),
        assignee: contest.optional("assignee", |head| head.assignee.clone(), |name| name.as_str().into()),
        created_at: ours.head.created_at,
        updated_at: ours.head.updated_at.max(theirs.head.updated_at),
        closed_at: contest.closed_at(status),
        sessions: contest.set(|head| &head.sessions),
        assigned_to: match status {
            Status::Open => contest.optional("assigned_to", |head| head.assigned_to.clone(), assignment),
            Status::Closed => {
                let value = |head: &IssueHead| head.assigned_to.as_ref().map_or(Value::Null, assignment);
                contest.note_dropped("assigned_to", value, &Value::Null);
                None
            }
        },
        github: contest.optional("github", |head| head.github.clone(), github),
        depends_on: contest.set(|head| &head.depends_on),
        handoffs: contest.linked("handoffs", |head| &head.handoffs),
        validations: contest.linked("validations", |head| &head.validations),
        extra: contest.extra(),
    };
    let (body, body_conflict) = match diff3::merge(base.map_or("", |base| &base.body), &ours.body, &theirs.body) {
        Merged::Clean(body) => (body, None),
        Merged::Overlap(chunks) => (ours.body.clone(), Some(chunks)),
    };
    let lost = contest.lost;
    MergedIssue { issue: Issue { head, body }, body_conflict, lost, winner: winner(base, ours, theirs) }
}

/// The side that is newer as a whole: the one with the later effective time (see [`merge`]; a side that changed nothing
/// comes last), else the larger by byte order. Ours if the two do not differ; this cannot see their texts.
#[must_use]
pub fn winner(base: Option<&Issue>, ours: &Issue, theirs: &Issue) -> Side {
    newer(base, ours, theirs).unwrap_or_else(|| {
        let (left, right) = fields(Some(ours), Some(theirs));
        if tie_order(&left) < tie_order(&right) { Side::Theirs } else { Side::Ours }
    })
}

/// The canonical form without what is not part of the contest.
fn tie_order(fields: &Value) -> String {
    let Value::Map(entries) = fields else { return String::new() };
    let contested = entries.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "slug" | "created_at"));
    canonical(&Value::Map(contested.cloned().collect()))
}

/// When a side last changed, as far as a contest between the two goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EffectiveTime {
    /// It is as the base was.
    Unchanged,
    At(Timestamp),
    /// The content changed but not the stamp: a hand edit, which people usually make without touching `updated_at`.
    HandEdited,
}

impl EffectiveTime {
    fn of(base: Option<&Issue>, side: &Issue) -> Self {
        let stamp = Self::At(side.head.updated_at);
        match base {
            Some(base) if base.head.updated_at == side.head.updated_at => {
                if content_changed(base, side) {
                    Self::HandEdited
                } else {
                    Self::Unchanged
                }
            }
            _ => stamp,
        }
    }
}

/// The side with the later effective time, if one has.
fn newer(base: Option<&Issue>, ours: &Issue, theirs: &Issue) -> Option<Side> {
    match EffectiveTime::of(base, ours).cmp(&EffectiveTime::of(base, theirs)) {
        Ordering::Greater => Some(Side::Ours),
        Ordering::Less => Some(Side::Theirs),
        Ordering::Equal => None,
    }
}

/// Whether a person changed something. Renumbering an issue, or those that it depends on, leaves `updated_at` as it was
/// and is no edit.
fn content_changed(base: &Issue, side: &Issue) -> bool {
    let links = |issue: &Issue| -> Vec<_> {
        let links = issue.head.depends_on.iter();
        links.map(|link| (link.slug.clone(), Some(link.id).filter(|_| link.slug.is_empty()))).collect()
    };
    let Value::Map(changed) = fields(Some(base), Some(side)).0 else { return false };
    changed.iter().any(|(name, _)| match name.as_str() {
        "id" | "slug" | "updated_at" => false,
        "depends_on" => links(base) != links(side),
        _ => true,
    })
}

/// The side to take a value from, and whether the other side's value is lost by it. `base` is `None` where there is no
/// base and the field is one that every issue has: then both sides count as having changed it.
fn decide(base: Option<&Value>, ours: &Value, theirs: &Value, newer: Option<Side>) -> (Side, bool) {
    let unchanged = |value: &Value| base.is_some_and(|base| same(base, value));
    if same(ours, theirs) || unchanged(theirs) {
        (Side::Ours, false)
    } else if unchanged(ours) {
        (Side::Theirs, false)
    } else {
        let larger = if canonical(ours) < canonical(theirs) { Side::Theirs } else { Side::Ours };
        (newer.unwrap_or(larger), true)
    }
}

/// The two sides, and what has been lost so far.
struct Contest<'a> {
    base: Option<&'a IssueHead>,
    ours: &'a IssueHead,
    theirs: &'a IssueHead,
    newer: Option<Side>,
    lost: Vec<LostValue>,
}

impl<'a> Contest<'a> {
    /// Decides on one field and notes what is lost.
    fn pick(&mut self, field: &str, base: Option<&Value>, ours: Value, theirs: Value) -> Side {
        let (winner, loses) = decide(base, &ours, &theirs, self.newer);
        if loses {
            let (kept, value, side) = match winner {
                Side::Ours => (ours, theirs, Side::Theirs),
                Side::Theirs => (theirs, ours, Side::Ours),
            };
            self.lost.push(LostValue { field: field.to_owned(), value, kept, side });
        }
        winner
    }

    /// A field that every issue has.
    fn scalar<T>(&mut self, field: &str, of: impl Fn(&IssueHead) -> T, value: impl Fn(&T) -> Value) -> T {
        let base = self.base.map(|head| value(&of(head)));
        let (ours, theirs) = (of(self.ours), of(self.theirs));
        match self.pick(field, base.as_ref(), value(&ours), value(&theirs)) {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    /// A field that may be absent, as it is in an empty base.
    fn optional<T>(
        &mut self,
        field: &str,
        of: impl Fn(&IssueHead) -> Option<T>,
        value: impl Fn(&T) -> Value,
    ) -> Option<T> {
        let value = |found: Option<&T>| found.map_or(Value::Null, &value);
        let base = value(self.base.and_then(&of).as_ref());
        let (ours, theirs) = (of(self.ours), of(self.theirs));
        match self.pick(field, Some(&base), value(ours.as_ref()), value(theirs.as_ref())) {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    /// Follows the status that won.
    fn closed_at(&mut self, status: Status) -> Option<Timestamp> {
        let value = |closed_at: Option<Timestamp>| closed_at.map_or(Value::Null, time);
        let of = |head: &IssueHead| head.closed_at.filter(|_| head.status == Status::Closed);
        let kept = match (status, of(self.ours), of(self.theirs)) {
            (Status::Open, ..) => None,
            (Status::Closed, ours @ Some(_), theirs @ Some(_)) => {
                let base = value(self.base.and_then(|head| head.closed_at));
                match decide(Some(&base), &value(ours), &value(theirs), self.newer).0 {
                    Side::Ours => ours,
                    Side::Theirs => theirs,
                }
            }
            (Status::Closed, ours, theirs) => ours.or(theirs),
        };
        self.note_dropped("closed_at", |head| value(head.closed_at), &value(kept));
        kept
    }

    /// Notes what a side had newly set, where something else than its own contest decided what is kept.
    fn note_dropped(&mut self, field: &str, value: impl Fn(&IssueHead) -> Value, kept: &Value) {
        let base = self.base.map_or(Value::Null, &value);
        for (side, head) in [(Side::Ours, self.ours), (Side::Theirs, self.theirs)] {
            let dropped = value(head);
            if dropped != Value::Null && !same(&dropped, kept) && !same(&dropped, &base) {
                self.lost.push(LostValue { field: field.to_owned(), value: dropped, kept: kept.clone(), side });
            }
        }
    }

    fn set<T: Ord + Clone + 'a>(&self, of: impl Fn(&'a IssueHead) -> &'a Vec<T>) -> Vec<T> {
        merge_sets(self.base.map_or(&[], |head| &of(head)[..]), of(self.ours), of(self.theirs))
    }

    /// Linked records, each decided by its id. Of an id that one side holds twice the first counts.
    fn linked(&mut self, field: &str, of: impl Fn(&'a IssueHead) -> &'a Vec<Linked>) -> Vec<Linked> {
        let base: &'a [Linked] = self.base.map_or(&[], |head| &of(head)[..]);
        let (ours, theirs) = (of(self.ours), of(self.theirs));
        if let Some(list) =
            changed_alone(base, ours, theirs, |left, right| left.id == right.id && same(&left.value, &right.value))
        {
            return list.to_vec();
        }
        let by_id = |list: &'a [Linked]| -> BTreeMap<&'a str, &'a Linked> {
            list.iter().rev().map(|linked| (linked.id.as_str(), linked)).collect()
        };
        let (base_by_id, ours, theirs) = (by_id(base), by_id(ours), by_id(theirs));
        let additions = ours.keys().chain(theirs.keys()).filter(|id| !base_by_id.contains_key(*id));
        let additions: BTreeSet<&str> = additions.copied().collect();
        let mut seen = BTreeSet::new();
        let ids = base.iter().map(|linked| linked.id.as_str()).filter(|id| seen.insert(*id)).chain(additions);
        let value = |found: Option<&&Linked>| found.map_or(Value::Null, |linked| linked.value.clone());
        ids.filter_map(|id| {
            let (old, left, right) = (base_by_id.get(id), ours.get(id), theirs.get(id));
            match self.pick(&format!("{field}.{id}"), Some(&value(old)), value(left), value(right)) {
                Side::Ours => left,
                Side::Theirs => right,
            }
        })
        .copied()
        .cloned()
        .collect()
    }

    /// Keys that this tool does not know, each as a field that may be absent.
    fn extra(&mut self) -> BTreeMap<String, Extra> {
        let (ours, theirs) = (self.ours, self.theirs);
        let names: BTreeSet<&String> = ours.extra.keys().chain(theirs.extra.keys()).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let kept = self.optional(&format!("{EXTRA}{name}"), |head| head.extra.get(name).cloned(), extra);
                kept.map(|kept| (name.clone(), kept))
            })
            .collect()
    }
}

/// The list to take where the two sides agree or only one of them touched it, be it only to order it anew.
fn changed_alone<'a, T>(
    base: &'a [T],
    ours: &'a [T],
    theirs: &'a [T],
    equal: impl Fn(&T, &T) -> bool,
) -> Option<&'a [T]> {
    let equal = |left: &[T], right: &[T]| left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r));
    if equal(ours, theirs) || equal(theirs, base) {
        Some(ours)
    } else if equal(ours, base) {
        Some(theirs)
    } else {
        None
    }
}

/// Keeps what neither side removed, in base order, then adds what either added, sorted; everything once. A list that
/// only one side touched keeps that side's order.
fn merge_sets<T: Ord + Clone>(base: &[T], ours: &[T], theirs: &[T]) -> Vec<T> {
    let mut seen = BTreeSet::new();
    if let Some(list) = changed_alone(base, ours, theirs, T::eq) {
        return list.iter().filter(|item| seen.insert(*item)).cloned().collect();
    }
    let [base_set, ours, theirs] = [base, ours, theirs].map(|list| list.iter().collect::<BTreeSet<&T>>());
    let kept = base.iter().filter(|item| ours.contains(item) && theirs.contains(item));
    let added = ours.union(&theirs).copied().filter(|item| !base_set.contains(item));
    kept.chain(added).filter(|item| seen.insert(*item)).cloned().collect()
}
