//! Which rows were read before: a set of digests in which a digest may be more than once.

use std::collections::HashMap;

/// Digests, sorted: 8 bytes for each, and 4 more for whether it came up again.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    digests: Vec<u64>,
    /// At the first of equal digests: how many of them came up again.
    taken: Vec<u32>,
}

impl Known {
    pub(super) fn new(mut digests: Vec<u64>) -> Self {
        digests.sort_unstable();
        Self { digests, taken: Vec::new() }
    }

    /// How often a digest is among these.
    pub(super) fn count(&self, digest: u64) -> u32 {
        let equal = self.equal(digest);
        u32::try_from(equal.len()).unwrap_or(u32::MAX)
    }

    /// Those that were not taken away.
    pub(super) fn left(&self) -> Vec<u64> {
        let mut left = Vec::new();
        let mut start = 0;
        for equal in self.digests.chunk_by(u64::eq) {
            let taken = self.taken.get(start).map_or(0, |taken| *taken as usize);
            left.extend(&equal[taken..]);
            start += equal.len();
        }
        left
    }

    /// Takes one of these away for a digest, if there is one left.
    fn take(&mut self, digest: u64) -> bool {
        let equal = self.equal(digest);
        self.taken.resize(self.digests.len(), 0);
        let Some(taken) = self.taken.get_mut(equal.start).filter(|taken| (**taken as usize) < equal.len()) else {
            return false;
        };
        *taken += 1;
        true
    }

    fn equal(&self, digest: u64) -> std::ops::Range<usize> {
        let start = self.digests.partition_point(|other| *other < digest);
        start..start + self.digests[start..].iter().take_while(|other| **other == digest).count()
    }
}

/// What is to be made of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was read from this file before.
    Read,
    /// It is new in this file, but another file has it.
    Elsewhere,
    /// It is new.
    New,
}

/// The rows that were read from a file and from others.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// Those of the file that may come up now: all of it if it is read from the beginning, else those that were not in
    /// it any more when it was last read.
    pub(super) expected: Known,
    /// All of the file, where there are other files.
    pub(super) own: Known,
    pub(super) others: Vec<Known>,
    /// New rows of digests that other files have, too.
    pub(super) fresh: HashMap<u64, u32>,
}

impl Readings {
    /// Meets the next row of the file.
    pub(super) fn meet(&mut self, digest: u64) -> Standing {
        if self.expected.take(digest) {
            return Standing::Read;
        }
        let elsewhere = self.others.iter().map(|known| known.count(digest)).max().unwrap_or(0);
        if elsewhere == 0 {
            return Standing::New;
        }
        let fresh = self.fresh.entry(digest).or_insert(0);
        *fresh += 1;
        if self.own.count(digest) + *fresh > elsewhere { Standing::New } else { Standing::Elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(own: &[u64], expected: &[u64], others: &[&[u64]], file: &[u64]) -> (Vec<Standing>, Vec<u64>) {
        let known = |digests: &[u64]| Known::new(digests.to_vec());
        let others = others.iter().map(|digests| known(digests)).collect();
        let mut readings = Readings { expected: known(expected), own: known(own), others, ..Readings::default() };
        let standings = file.iter().map(|digest| readings.meet(*digest)).collect();
        (standings, readings.expected.left())
    }

    #[test]
    fn of_rows_that_are_alike_those_beyond_the_known_are_new() {
        use Standing::{Elsewhere, New, Read};
        for (own, expected, others, file, standings, left) in [
            (
                &[3, 7, 7][..],
                &[3, 7, 7][..],
                &[][..] as &[&[u64]],
                &[7, 5, 7, 7][..],
                &[Read, New, Read, New][..],
                &[3][..],
            ),
            (&[7], &[], &[], &[7, 7], &[New, New], &[]),
            (&[3, 7, 7], &[7, 7], &[], &[7, 3], &[Read, New], &[7]),
            (&[], &[], &[&[7, 7][..], &[7]], &[7, 7, 7, 1], &[Elsewhere, Elsewhere, New, New], &[]),
            (&[7], &[], &[&[7, 7][..]], &[7, 7], &[Elsewhere, New], &[]),
            (&[7], &[7], &[&[7, 7][..]], &[7, 7, 7], &[Read, Elsewhere, New], &[]),
        ] {
            assert_eq!(meet(own, expected, others, file), (standings.to_vec(), left.to_vec()), "{own:?} {file:?}");
        }
    }
}
