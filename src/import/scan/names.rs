//! Many names of issue files, found again by bisection.

use std::ops::Deref;

use crate::db::record::Baseline;
use crate::schema::id::{FileName, IssueId};

/// Names of issue files, sorted: a folder holds many, from other people's branches, so nothing is hashed.
#[derive(Debug, Default)]
pub struct Names(Vec<FileName>);

impl Names {
    /// Whether a name is among them.
    #[must_use]
    pub fn contains(&self, name: &FileName) -> bool {
        self.0.binary_search(name).is_ok()
    }
}

impl Deref for Names {
    type Target = [FileName];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<FileName> for Names {
    fn from_iter<I: IntoIterator<Item = FileName>>(names: I) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        Self(names)
    }
}

/// Baselines with the keys of their identities, sorted by file name.
#[derive(Debug, Default)]
pub struct Baselines(Vec<(Vec<u8>, Baseline)>);

impl Baselines {
    /// Takes them in any order.
    #[must_use]
    pub fn new(mut baselines: Vec<(Vec<u8>, Baseline)>) -> Self {
        sort_by_number(&mut baselines, |(_, baseline)| Some(baseline.name.id), |(_, a), (_, b)| a.name.cmp(&b.name));
        Self(baselines)
    }

    /// The one of a file.
    #[must_use]
    pub fn of(&self, name: &FileName) -> Option<&(Vec<u8>, Baseline)> {
        self.0.binary_search_by(|(_, baseline)| baseline.name.cmp(name)).ok().map(|index| &self.0[index])
    }
}

impl Deref for Baselines {
    type Target = [(Vec<u8>, Baseline)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Baselines {
    type Item = &'a (Vec<u8>, Baseline);
    type IntoIter = std::slice::Iter<'a, (Vec<u8>, Baseline)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Sorts by number, and what has the same or none by something else: comparing thousands of long names that begin alike
/// takes longer than to ask the file system for them.
pub(super) fn sort_by_number<T>(
    items: &mut [T],
    number: impl Fn(&T) -> Option<IssueId>,
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
) {
    items.sort_by_cached_key(&number);
    for alike in items.chunk_by_mut(|a, b| number(a) == number(b)) {
        alike.sort_unstable_by(&compare);
    }
}
