//! Whether undoing would make issues wait for each other that never did: the dependency that comes back may be one way
//! round, and one that was added meanwhile the other.
//!
//! A cycle that was there before the changes that are undone comes back as it was: a file may hold one. Which it is, the
//! log tells. Where no cycle comes back this costs a look at each issue that is waited for.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::schema::diff;
use crate::schema::id::{Identity, IssueId, Link, Revision};
use crate::schema::value::Value;

use super::super::error::StoreError;
use super::super::record::Change;
use super::super::tables::{Readable, Tables};
use super::super::write::WriteTxn;
use super::Undone;

/// What the issues wait for that changes may give dependencies back to.
pub(super) type Waits = HashMap<Identity, HashSet<Identity>>;

type Graph = HashMap<Identity, Vec<Identity>>;
type Edge = (Identity, Identity);

impl WriteTxn<'_> {
    /// What these changes may add to, as it is before they are undone.
    pub(super) fn waits_before(&self, changes: &[(Revision, Change)]) -> Result<Waits, StoreError> {
        let mut waits = Waits::new();
        for (_, change) in changes {
            if let Some(identity) = &change.identity
                && links_in(&change.before).is_some_and(|links| !links.is_empty())
            {
                waits.insert(identity.clone(), self.waited_for(identity)?.into_iter().collect());
            }
        }
        Ok(waits)
    }

    /// The cycle that undoing these changes made, if it made one that was not there before them.
    pub(super) fn new_cycle(
        &self,
        before: Waits,
        changes: &[(Revision, Change)],
    ) -> Result<Option<Undone>, StoreError> {
        let mut gained: Vec<Edge> = Vec::new();
        for (identity, before) in before {
            let now = self.waited_for(&identity)?.into_iter().filter(|target| !before.contains(target));
            gained.extend(now.map(|target| (identity.clone(), target)));
        }
        let mut graph = self.graph_from(&gained)?;
        keep_cycles(&mut graph);
        gained.retain(|(from, to)| graph.contains_key(from) && graph.contains_key(to));
        let (Some((oldest, _)), false) = (changes.last(), gained.is_empty()) else { return Ok(None) };
        let past = self.past(&graph, *oldest)?;
        gained.sort_unstable();
        for edge in &gained {
            if let Some(way) = way_round(&graph, edge, |edge| !past.had(edge)) {
                let restored = |change: &Change| change.identity.as_ref() == Some(&edge.0);
                let revision = changes.iter().find(|(_, change)| restored(change)).map_or(*oldest, |(found, _)| *found);
                return self.cycle(revision, &way, &past).map(Some);
            }
        }
        Ok(None)
    }

    fn cycle(&self, revision: Revision, way: &[Identity], past: &Past) -> Result<Undone, StoreError> {
        let mut ids = Vec::with_capacity(way.len());
        for identity in way {
            ids.push(self.id_of(identity)?.unwrap_or(IssueId(0)));
        }
        let edges = way.windows(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        let Some(added) = edges.zip(ids.windows(2)).find(|(edge, _)| !past.had(edge)) else {
            return Ok(Undone::NotUndoable { revision });
        };
        let (edge, pair) = added;
        let by = past.added.get(&edge).copied();
        Ok(Undone::Cycle { revision, added: (pair[0], pair[1]), by, ids })
    }

    /// What an issue waits for.
    fn waited_for(&self, identity: &Identity) -> Result<Vec<Identity>, StoreError> {
        let stored = self.id_of(identity)?.map(|id| self.head(id)).transpose()?.flatten();
        self.targets(&stored.map(|stored| stored.head.depends_on).unwrap_or_default())
    }

    /// All that the ends of some edges wait for, and what that waits for.
    fn graph_from(&self, edges: &[Edge]) -> Result<Graph, StoreError> {
        let mut graph = Graph::new();
        let mut open: Vec<Identity> = edges.iter().map(|(from, _)| from.clone()).collect();
        while let Some(next) = open.pop() {
            if !graph.contains_key(&next) {
                let targets = self.waited_for(&next)?;
                open.extend(targets.iter().filter(|target| !graph.contains_key(*target)).cloned());
                graph.insert(next, targets);
            }
        }
        Ok(graph)
    }

    /// What the issues of a graph waited for before a change.
    fn past(&self, graph: &Graph, change: Revision) -> Result<Past, StoreError> {
        let mut past = Past::default();
        for row in self.changes_since(Revision(change.0.saturating_sub(1)))? {
            let (revision, change) = row?;
            let Some(identity) = change.identity.as_ref().filter(|identity| graph.contains_key(*identity)) else {
                continue;
            };
            let [before, after] = [&change.before, &change.after].map(links_in);
            if before.is_none() && after.is_none() {
                continue;
            }
            let before = self.targets(&before.unwrap_or_default())?;
            // what is being undone now is not what added anything
            if revision <= self.first {
                for target in self.targets(&after.unwrap_or_default())? {
                    if !before.contains(&target) {
                        past.added.entry((identity.clone(), target)).or_insert(revision);
                    }
                }
            }
            past.waits.insert(identity.clone(), before.into_iter().collect());
        }
        for (identity, targets) in graph {
            past.waits.entry(identity.clone()).or_insert_with(|| targets.iter().cloned().collect());
        }
        Ok(past)
    }
}

impl<T: Readable> Tables<T> {
    /// The issues that links mean by now.
    fn targets(&self, links: &[Link]) -> Result<Vec<Identity>, StoreError> {
        let mut targets = Vec::with_capacity(links.len());
        for link in links {
            let stored = self.resolve(link)?.map(|id| self.head(id)).transpose()?.flatten();
            targets.extend(stored.map(|stored| stored.head.identity()));
        }
        Ok(targets)
    }
}

/// What issues waited for at some time.
#[derive(Default)]
struct Past {
    waits: Waits,
    /// The change that last added a dependency since.
    added: HashMap<Edge, Revision>,
}

impl Past {
    fn had(&self, (from, to): &Edge) -> bool {
        self.waits.get(from).is_some_and(|targets| targets.contains(to))
    }
}

/// The dependencies among changed fields; none if they are not among them.
fn links_in(fields: &Value) -> Option<Vec<Link>> {
    fields.get("depends_on").and_then(diff::links)
}

/// Leaves only what is on a cycle or leads to one.
fn keep_cycles(graph: &mut Graph) {
    let mut waiting: HashMap<Identity, Vec<Identity>> = HashMap::new();
    for (from, targets) in graph.iter() {
        for target in targets {
            waiting.entry(target.clone()).or_default().push(from.clone());
        }
    }
    let mut left: HashMap<Identity, usize> =
        graph.iter().map(|(identity, targets)| (identity.clone(), targets.len())).collect();
    let mut free: Vec<Identity> = graph.keys().filter(|identity| graph[*identity].is_empty()).cloned().collect();
    while let Some(done) = free.pop() {
        graph.remove(&done);
        for from in waiting.remove(&done).unwrap_or_default() {
            if let Some(count) = left.get_mut(&from) {
                *count -= 1;
                if *count == 0 {
                    free.push(from);
                }
            }
        }
    }
}

/// The shortest way along an edge and back to its beginning with an edge on it that is new.
fn way_round(graph: &Graph, edge: &Edge, is_new: impl Fn(&Edge) -> bool) -> Option<Vec<Identity>> {
    let (begin, first) = edge;
    let start = (first, is_new(edge));
    let mut from: HashMap<(&Identity, bool), Option<(&Identity, bool)>> = HashMap::from([(start, None)]);
    let mut open = VecDeque::from([start]);
    while let Some(place @ (last, seen)) = open.pop_front() {
        if last == begin && seen {
            let mut way = vec![last.clone()];
            let mut at = place;
            while let Some(&Some(earlier)) = from.get(&at) {
                way.push(earlier.0.clone());
                at = earlier;
            }
            way.push(begin.clone());
            way.reverse();
            return Some(way);
        }
        for next in graph.get(last).into_iter().flatten().filter(|next| graph.contains_key(*next)) {
            let step = (next, seen || is_new(&(last.clone(), next.clone())));
            if let Entry::Vacant(unseen) = from.entry(step) {
                unseen.insert(Some(place));
                open.push_back(step);
            }
        }
    }
    None
}
