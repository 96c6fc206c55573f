//! What was verified already in a transaction, and which pages are kept to be read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::LeafPage;

/// How many bytes of pages of rows are kept: more than the heads of 100,000 issues.
const KEPT: usize = 32 << 20;

/// How many pages of rows a short transaction keeps. To read and verify one again takes it less than memory that was not
/// used before.
pub(super) const FEW: usize = 16;

/// After so many pages of rows a transaction is no longer a short one, and keeps all it reads.
pub(super) const MANY: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// All that lead to others, and those of rows that a long transaction keeps.
    pages: BTreeMap<u64, Arc<[u8]>>,
    /// The pages of rows that were read last, the newest at the end, while the transaction is short.
    recent: VecDeque<(u64, Arc<[u8]>)>,
    /// Pages of rows that were verified, for the engine.
    pub(super) leaves: BTreeSet<u64>,
    /// How many bytes of rows there are among the pages.
    kept: usize,
    /// How many pages of rows were read to be kept.
    read: usize,
    /// The page in which a row was looked for last, and the topmost one of its table: the next is often beside it.
    pub(super) last: Option<(u64, LeafPage)>,
    /// A page that is no longer of use, in whose memory another may be read.
    spare: Option<Arc<[u8]>>,
}

impl Known {
    /// A page, if it is kept.
    pub(super) fn page(&self, page: u64) -> Option<Arc<[u8]>> {
        let recent = || self.recent.iter().find(|(number, _)| *number == page).map(|(_, bytes)| bytes);
        self.pages.get(&page).or_else(recent).cloned()
    }

    /// Keeps a page that leads to others.
    pub(super) fn keep_branch(&mut self, page: u64, bytes: Arc<[u8]>) {
        self.pages.insert(page, bytes);
    }

    /// Keeps a page of rows, as far as there is room.
    pub(super) fn keep_rows(&mut self, page: u64, bytes: Arc<[u8]>) {
        self.read += 1;
        if self.read < MANY {
            self.recent.push_back((page, bytes));
            if self.recent.len() > FEW {
                self.spare = self.recent.pop_front().map(|(_, oldest)| oldest);
            }
        } else if self.kept + bytes.len() <= KEPT {
            self.kept += bytes.len();
            // another thread may have read it at the same time
            self.kept -= self.pages.insert(page, bytes).map_or(0, |same| same.len());
        }
    }

    /// Lets the memory of a page be used for another.
    pub(super) fn let_go(&mut self, bytes: Arc<[u8]>) {
        self.spare = Some(bytes);
    }

    /// Memory for a page of so many bytes, which nobody else has.
    pub(super) fn room(&mut self, length: usize) -> Arc<[u8]> {
        let spare = self.spare.take().filter(|spare| spare.len() == length && Arc::strong_count(spare) == 1);
        spare.unwrap_or_else(|| std::iter::repeat_n(0, length).collect())
    }
}

#[cfg(test)]
impl Known {
    /// How many pages of rows are kept, and how many were read to be kept.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.recent.len() + self.kept / 4096, self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64) -> Arc<[u8]> {
        number.to_be_bytes().repeat(512).into()
    }

    #[test]
    fn few_pages_of_rows_are_kept_until_many_were_read() {
        let mut known = Known::default();
        known.keep_branch(0, page(0));
        for number in 1..=MANY as u64 + 9 {
            known.keep_rows(number, page(number));
            let kept = (1..=number).filter(|number| known.page(*number) == Some(page(*number))).count();
            let many = usize::try_from(number).unwrap().saturating_sub(MANY - 1);
            assert_eq!(kept, FEW.min(usize::try_from(number).unwrap()) + many, "after {number}");
            assert!(known.page(number).is_some() && known.page(0).is_some());
        }
        assert_eq!(known.kept, 10 * 4096);
    }

    #[test]
    fn what_is_kept_is_no_more_than_there_is_room_for() {
        let mut known = Known::default();
        let large: Arc<[u8]> = vec![0; 1 << 20].into();
        for number in 0..MANY as u64 + 99 {
            known.keep_rows(number, Arc::clone(&large));
        }
        known.keep_rows(MANY as u64, Arc::clone(&large));
        assert!(known.kept <= KEPT && known.kept > KEPT - large.len(), "{}", known.kept);
    }

    #[test]
    fn the_memory_of_a_page_is_used_again_only_where_nobody_has_it_and_it_fits() {
        let mut known = Known::default();
        known.let_go(page(7));
        assert_eq!(known.room(4096), page(7));
        assert_eq!(known.room(4096), page(0), "it was given away");
        let held = page(7);
        known.let_go(Arc::clone(&held));
        assert_eq!(known.room(4096), page(0), "somebody has it");
        known.let_go(held);
        assert_eq!(known.room(8192).len(), 8192, "it is too short");
    }
}
