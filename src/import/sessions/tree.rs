//! The tree of a session's entries: branch points, branches, the leaf.
//!
//! Whatever the file says, this ends in time linear in the number of entries: an entry whose parent is unknown is a
//! root, a circle of parents is cut at its first entry in the file, and of entries with one id the first counts. Beyond
//! [`MAX_ENTRIES`] entries have no place in the tree.

use std::collections::HashMap;

use crate::schema::session::{Branch, MAX_BRANCHES};

use super::shape::Id;

/// How many entries are held.
pub(super) const MAX_ENTRIES: usize = 2_000_000;

/// The ids of entries, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    hashes: Vec<u64>,
    text: String,
    ends: Vec<usize>,
}

impl Ids {
    fn push(&mut self, hash: u64, text: Option<&str>) {
        self.hashes.push(hash);
        self.text.push_str(text.unwrap_or_default());
        self.ends.push(self.text.len());
    }

    /// The hashes that stand for them.
    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// An id; none if it is no name.
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let text = &self.text[start..*self.ends.get(index)?];
        (!text.is_empty()).then_some(text)
    }
}

/// A tree in the making.
#[derive(Debug, Default)]
pub(super) struct Tree {
    ids: Ids,
    parents: Vec<Option<u64>>,
    tokens: Vec<u64>,
    places: HashMap<u64, u32>,
    leaf: Option<u32>,
}

/// What a tree comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) branch_points: u64,
    pub(super) branches: Vec<Branch>,
    pub(super) leaf: Option<String>,
}

/// What is at and below an entry.
#[derive(Clone, Copy)]
struct Below {
    entries: u64,
    tokens: u64,
    last: u32,
    leaf: bool,
}

impl Tree {
    /// Whether an entry of this id was seen.
    pub(super) fn knows(&self, id: &Id) -> bool {
        id.0.as_ref().is_some_and(|(hash, _)| self.places.contains_key(hash))
    }

    /// Adds an entry; one without an id has no place.
    pub(super) fn add(&mut self, id: &Id, parent: &Id, tokens: u64, is_message: bool) {
        let Some((hash, text)) = &id.0 else { return };
        let Some(place) = u32::try_from(self.parents.len()).ok().filter(|_| self.parents.len() < MAX_ENTRIES) else {
            return;
        };
        self.ids.push(*hash, text.as_deref());
        self.parents.push(parent.0.as_ref().map(|(hash, _)| *hash));
        self.tokens.push(tokens);
        self.places.entry(*hash).or_insert(place);
        if is_message {
            self.leaf = Some(place);
        }
    }

    /// The shape of the tree, and the ids. `keep` says which ids may be named.
    pub(super) fn finish(self, keep: impl Fn(&str) -> bool) -> (Shape, Ids) {
        let Self { ids, parents, tokens, places, leaf } = self;
        let parents = parents.into_iter().map(|parent| parent.and_then(|hash| places.get(&hash).copied())).collect();
        drop(places);
        let (parents, children, below) = fold(parents, &tokens, leaf);
        let name = |place: u32| ids.get(place as usize).filter(|id| keep(id)).map(str::to_owned);
        let mut shape = Shape { leaf: leaf.and_then(name), ..Shape::default() };
        shape.branch_points = children.iter().filter(|children| **children > 1).count() as u64;
        let starts = (0_u32..).zip(&parents).filter_map(|(place, parent)| Some((place, (*parent)?)));
        for (place, parent) in starts.filter(|(_, parent)| children[*parent as usize] > 1) {
            if shape.branches.len() == MAX_BRANCHES {
                break;
            }
            let Below { entries, tokens, last, leaf: current } = below[place as usize];
            if let (Some(from), Some(first), Some(leaf)) = (name(parent), name(place), name(last)) {
                shape.branches.push(Branch { from, first, leaf, entries, tokens, current });
            }
        }
        (shape, ids)
    }
}

/// Sums up from the last entries to the first: the parents with circles cut, how many follow each entry directly, and
/// what is below each.
fn fold(mut parents: Vec<Option<u32>>, tokens: &[u64], leaf: Option<u32>) -> (Vec<Option<u32>>, Vec<u32>, Vec<Below>) {
    let mut below: Vec<Below> = (0..)
        .zip(tokens)
        .map(|(place, tokens)| Below { entries: 1, tokens: *tokens, last: place, leaf: leaf == Some(place) })
        .collect();
    let mut children = vec![0_u32; parents.len()];
    for parent in parents.iter().flatten() {
        children[*parent as usize] += 1;
    }
    let mut waiting = children.clone();
    let mut done = vec![false; parents.len()];
    let mut ready: Vec<usize> = (0..parents.len()).filter(|place| waiting[*place] == 0).collect();
    for cut in 0..=parents.len() {
        while let Some(place) = ready.pop() {
            done[place] = true;
            let Some(parent) = parents[place].map(|parent| parent as usize) else { continue };
            let (sum, part) = (below[parent], below[place]);
            below[parent] = Below {
                entries: sum.entries + part.entries,
                tokens: sum.tokens.saturating_add(part.tokens),
                last: sum.last.max(part.last),
                leaf: sum.leaf || part.leaf,
            };
            waiting[parent] -= 1;
            if waiting[parent] == 0 {
                ready.push(parent);
            }
        }
        // what still waits stands in a circle: nobody outside of one is its own ancestor
        if let Some(false) = done.get(cut)
            && let Some(parent) = parents[cut].take().map(|parent| parent as usize)
        {
            children[parent] -= 1;
            waiting[parent] -= 1;
            if waiting[parent] == 0 {
                ready.push(parent);
            }
        }
    }
    (parents, children, below)
}

#[cfg(test)]
mod tests {
    use super::super::shape::Entry;
    use super::*;

    /// The shape of entries `id<parent`, each with a token; all are messages.
    fn shape(entries: &str) -> Shape {
        let mut tree = Tree::default();
        for entry in entries.split(' ') {
            let (id, parent) = entry.split_once('<').unwrap_or((entry, ""));
            let line = format!(r#"{{"id":"{id}","parentId":"{parent}","message":{{}}}}"#);
            let entry = Entry::read(&line).unwrap();
            if !tree.knows(&entry.id) {
                tree.add(&entry.id, &entry.parent, 1, true);
            }
        }
        tree.finish(|_| true).0
    }

    fn branches(shape: &Shape) -> Vec<String> {
        let mark = |current| if current { "*" } else { "" };
        let branch =
            |b: &Branch| format!("{}>{}..{} {}/{}{}", b.from, b.first, b.leaf, b.entries, b.tokens, mark(b.current));
        shape.branches.iter().map(branch).collect()
    }

    #[test]
    fn a_chain_has_a_leaf_and_no_branches() {
        let shape = shape("a b<a c<b");
        assert_eq!((shape.branch_points, shape.leaf.as_deref()), (0, Some("c")));
        assert_eq!(shape.branches, []);
    }

    #[test]
    fn branches_count_what_is_below_them() {
        let shape = shape("a b<a c<b d<b e<a f<d g<d");
        assert_eq!(shape.branch_points, 3);
        assert_eq!(
            branches(&shape),
            ["a>b..g 5/5*", "b>c..c 1/1", "b>d..g 3/3*", "a>e..e 1/1", "d>f..f 1/1", "d>g..g 1/1*"]
        );
    }

    #[test]
    fn a_parent_may_be_missing_or_come_later() {
        assert_eq!(branches(&shape("x<gone b<a a c<a")), ["a>b..b 1/1", "a>c..c 1/1*"]);
    }

    #[test]
    fn circles_are_cut_at_their_first_entry() {
        assert_eq!(shape("a<a").branch_points, 0);
        assert_eq!(shape("a<b b<a c<b d<c").branches, []);
        // a loses its parent b, so that nothing branches at b; a branches into b and e
        assert_eq!(branches(&shape("a<b b<a c<b e<a")), ["a>b..c 2/2", "a>e..e 1/1*"]);
        assert_eq!(shape("a<c b<a c<b x<z y<x z<y").branch_points, 0);
    }

    #[test]
    fn of_entries_with_one_id_the_first_counts() {
        assert_eq!(shape("a b<a b<a c<b").branch_points, 0);
    }

    #[test]
    fn a_million_entries_in_a_chain_need_no_stack_and_no_patience() {
        const COUNT: u64 = 1_000_000;
        let id = |hash: u64| Id(Some((hash, Some(hash.to_string()))));
        let mut tree = Tree::default();
        tree.add(&id(0), &Id(None), 1, true);
        for entry in 1..COUNT {
            tree.add(&id(entry), &id(entry - 1), 1, true);
        }
        tree.add(&id(COUNT), &id(0), 1, true);
        let shape = tree.finish(|_| true).0;
        assert_eq!(branches(&shape), ["0>1..999999 999999/999999", "0>1000000..1000000 1/1*"]);
    }

    #[test]
    fn no_more_branches_are_named_than_fit() {
        let entries: Vec<String> = (0..MAX_BRANCHES + 5).map(|n| format!("n{n}<a")).collect();
        let shape = shape(&format!("a {}", entries.join(" ")));
        assert_eq!((shape.branch_points, shape.branches.len()), (1, MAX_BRANCHES));
    }
}
