//! The baselines in sums: whether a folder of many files is as it was is told without reading what is known of each.
//!
//! Numbers are taken 64 at a time. Of each such shard there is the number of its files, and the sums of hashes
//! of their names and of what the file system said of them; a sum does not depend on the order in which files come. Who
//! puts or takes a baseline goes through this module, so the sums are those of the baselines at every commit.
//!
//! Nobody is kept out by these sums: who could make two folders alike in them could as well edit the files.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::fs::FileStat;
use crate::schema::id::{FileName, IssueId};

use super::error::StoreError;
use super::record::Baseline;
use super::tables::{Readable, Tables, WriteRows};
use super::write::WriteTxn;

/// How many numbers a shard has.
const PER_SHARD: u32 = 64;

/// Some numbers that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard(u32);

impl Shard {
    /// The one that a number is in.
    #[must_use]
    pub fn of(id: IssueId) -> Self {
        Self(id.0 / PER_SHARD)
    }

    pub(super) fn key(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    fn from_key(key: &[u8]) -> Option<Self> {
        Some(Self(u32::from_be_bytes(key.try_into().ok()?)))
    }
}

/// What the files of a shard come to. All arithmetic wraps around, so that what is taken away before it is added is right
/// in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many there are.
    pub files: u64,
    names: u128,
    stats: u128,
}

impl Sum {
    /// That of one file. One without stat data equals none that was looked at.
    #[must_use]
    pub fn of(id: IssueId, slug: &str, stat: Option<&FileStat>) -> Self {
        let names = xxh3_128_with_seed(slug.as_bytes(), id.0.into());
        let stats = stat.map_or(names, |stat| {
            let [(a, b), (c, d)] = [stat.modified, stat.changed];
            let mut bytes = [0; 56];
            bytes[..16].copy_from_slice(&names.to_le_bytes());
            bytes[16..24].copy_from_slice(&a.to_le_bytes());
            bytes[24..28].copy_from_slice(&b.to_le_bytes());
            bytes[28..36].copy_from_slice(&c.to_le_bytes());
            bytes[36..40].copy_from_slice(&d.to_le_bytes());
            bytes[40..48].copy_from_slice(&stat.size.to_le_bytes());
            bytes[48..].copy_from_slice(&stat.inode.to_le_bytes());
            xxh3_128(&bytes)
        });
        Self { files: 1, names, stats }
    }

    fn of_baseline(baseline: &Baseline) -> Self {
        Self::of(baseline.name.id, baseline.name.slug.as_str(), baseline.stat.as_ref())
    }

    /// Whether two have the same names.
    #[must_use]
    pub fn has_names_of(&self, other: &Self) -> bool {
        (self.files, self.names) == (other.files, other.names)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            files: self.files.wrapping_add(other.files),
            names: self.names.wrapping_add(other.names),
            stats: self.stats.wrapping_add(other.stats),
        }
    }

    /// What takes this away when it is added.
    fn negative(self) -> Self {
        Self { files: self.files.wrapping_neg(), names: self.names.wrapping_neg(), stats: self.stats.wrapping_neg() }
    }
}

/// The sums of many files. A shard without files has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Shard, Sum>);

impl Sums {
    /// The sums of baselines.
    pub fn of_baselines<'b>(baselines: impl IntoIterator<Item = &'b Baseline>) -> Self {
        let mut sums = Self::default();
        for baseline in baselines {
            sums.add(baseline.name.id, Sum::of_baseline(baseline));
        }
        sums
    }

    /// Adds a file.
    pub fn add(&mut self, id: IssueId, file: Sum) {
        self.add_to(Shard::of(id), file);
    }

    /// Adds the files of others.
    pub fn merge(&mut self, others: Self) {
        others.0.into_iter().for_each(|(shard, files)| self.add_to(shard, files));
    }

    fn add_to(&mut self, shard: Shard, files: Sum) {
        let sum = self.0.entry(shard).or_default();
        *sum = sum.plus(files);
    }

    /// Those of a shard.
    #[must_use]
    pub fn of_shard(&self, shard: Shard) -> Sum {
        self.0.get(&shard).copied().unwrap_or_default()
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.0.values().map(|sum| sum.files).sum()
    }

    /// How many shards have files.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.0.len()
    }

    /// The shards that two do not agree on.
    pub fn differing(&self, other: &Self, agree: impl Fn(&Sum, &Sum) -> bool) -> BTreeSet<Shard> {
        let shards = self.0.keys().chain(other.0.keys()).copied();
        shards.filter(|shard| !agree(&self.of_shard(*shard), &other.of_shard(*shard))).collect()
    }

    /// As rows of the table.
    pub(super) fn rows(&self) -> impl Iterator<Item = ([u8; 4], Sum)> {
        self.0.iter().map(|(shard, sum)| (shard.key(), *sum))
    }
}

impl<T: Readable> Tables<T> {
    /// The sums of all baselines.
    ///
    /// # Errors
    /// If the database cannot be read, or a row is damaged.
    pub fn sums(&self) -> Result<Sums, StoreError> {
        let row = |row: Result<(Vec<u8>, Sum), StoreError>| {
            let (key, sum) = row?;
            let damaged = || self.sums.corrupt(&key, crate::schema::codec::DecodeError::Damaged);
            Ok((Shard::from_key(&key).ok_or_else(damaged)?, sum))
        };
        Ok(Sums(self.sums.with_prefix(b"")?.map(row).collect::<Result<_, StoreError>>()?))
    }

    /// The baselines of a file name with the keys of their identities; there is more than one where another issue took the
    /// name.
    ///
    /// # Errors
    /// See [`Tables::sums`].
    pub fn baselines_of(&self, name: &FileName) -> Result<Vec<(Vec<u8>, Baseline)>, StoreError> {
        let prefix = [name.slug.as_str().as_bytes(), b"\0"].concat();
        let rows = self.baseline.with_prefix::<Baseline>(&prefix)?;
        rows.filter(|row| row.as_ref().map_or(true, |(_, baseline)| baseline.name == *name)).collect()
    }
}

impl WriteTxn<'_> {
    /// Puts a baseline in the place of what there is under that key.
    pub(super) fn put_baseline(&mut self, key: &[u8], baseline: &Baseline) -> Result<(), StoreError> {
        if let Some(old) = self.tables.baseline.replace::<Baseline>(key, baseline)? {
            self.sums.add(old.name.id, Sum::of_baseline(&old).negative());
        }
        self.sums.add(baseline.name.id, Sum::of_baseline(baseline));
        Ok(())
    }

    /// Takes a baseline away, if there is one.
    pub(super) fn remove_baseline(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if let Some(old) = self.tables.baseline.take::<Baseline>(key)? {
            self.sums.add(old.name.id, Sum::of_baseline(&old).negative());
        }
        Ok(())
    }

    /// Brings the rows up to date with what was put and taken.
    pub(super) fn settle_sums(&mut self) -> Result<(), StoreError> {
        for (key, change) in std::mem::take(&mut self.sums).rows() {
            let sum = self.tables.sums.get::<Sum>(&key)?.unwrap_or_default().plus(change);
            if sum == Sum::default() {
                self.tables.sums.remove(&key)?;
            } else {
                self.tables.sums.put(&key, &sum)?;
            }
        }
        Ok(())
    }
}

impl Tables<WriteRows<'_>> {
    /// Writes the sums of all baselines, in a database that has none.
    pub(super) fn sum_baselines(&mut self) -> Result<(), StoreError> {
        let baselines = self.baseline.with_prefix::<Baseline>(b"")?.map(|row| row.map(|(_, baseline)| baseline));
        let mut sums = Sums::default();
        for baseline in baselines {
            let baseline = baseline?;
            sums.add(baseline.name.id, Sum::of_baseline(&baseline));
        }
        sums.rows().try_for_each(|(key, sum)| self.sums.put(&key, &sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: FileStat = FileStat { modified: (1, 2), changed: (3, 4), size: 5, inode: 6 };

    fn sums(files: &[(u32, &str, Option<FileStat>)]) -> Sums {
        let mut sums = Sums::default();
        for (id, slug, stat) in files {
            sums.add(IssueId(*id), Sum::of(IssueId(*id), slug, stat.as_ref()));
        }
        sums
    }

    #[test]
    fn each_thing_about_a_file_counts() {
        let (known, file) = (sums(&[(1, "a", Some(STAT))]), |stat| sums(&[(1, "a", Some(stat))]));
        assert!(known.differing(&file(STAT), Sum::eq).is_empty());
        let others = [
            FileStat { modified: (1, 3), ..STAT },
            FileStat { modified: (2, 2), ..STAT },
            FileStat { changed: (3, 5), ..STAT },
            FileStat { changed: (4, 4), ..STAT },
            FileStat { size: 6, ..STAT },
            FileStat { inode: 7, ..STAT },
        ];
        for other in others {
            assert_eq!(known.differing(&file(other), Sum::eq).len(), 1, "{other:?}");
            assert!(known.differing(&file(other), Sum::has_names_of).is_empty(), "{other:?}");
        }
        for other in [("a", None), ("b", Some(STAT)), ("", Some(STAT))] {
            assert_eq!(known.differing(&sums(&[(1, other.0, other.1)]), Sum::eq).len(), 1, "{other:?}");
        }
        assert_eq!(known.differing(&sums(&[(2, "a", Some(STAT))]), Sum::has_names_of).len(), 1);
    }

    #[test]
    fn shards_are_compared_one_by_one_and_order_does_not_count() {
        let (a, b, c) = ((1, "a", Some(STAT)), (2, "b", Some(STAT)), (64, "c", None));
        let mut merged = sums(&[c]);
        merged.merge(sums(&[b, a]));
        assert_eq!(merged, sums(&[a, b, c]));
        assert_eq!((merged.files(), merged.shards()), (3, 2));
        assert_eq!(Vec::from_iter(merged.differing(&sums(&[a, b]), Sum::eq)), [Shard(1)]);
        assert_eq!(Vec::from_iter(sums(&[a]).differing(&merged, Sum::eq)), [Shard(0), Shard(1)]);
        merged.add(IssueId(2), Sum::of(IssueId(2), "b", Some(&STAT)).negative());
        assert!(merged.differing(&sums(&[c, a]), Sum::eq).is_empty());
    }
}
