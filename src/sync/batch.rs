//! The records that are exported at once.

use std::sync::Arc;

use crate::cores::{self, Ahead};
use crate::db::{ReadTxn, StoreError};
use crate::export::prepare::{Changed, Rendered, render_ahead};
use crate::schema::id::Identity;

/// So many records at once, and of so many bytes, if one is not longer: memory stays bounded.
const MOST: usize = 4096;
const MOST_BYTES: usize = 32 << 20;

/// So many records are read at first, before their bytes are counted; then as many as there are already.
const PIECE: usize = 64;

/// Fewer records are not worth a thread.
pub(super) const FOR_A_THREAD: usize = 128;

/// Records that differ from their baselines: deletions first, which free names, then by number. What can be said without
/// looking at the folder is made by a thread that goes ahead: the folder is one thread's work, for all wait for its lock.
pub(super) struct Batch {
    pub(super) changed: Arc<Vec<Changed>>,
    /// For each of them.
    pub(super) texts: Ahead<Changed, Option<Rendered>>,
}

impl Batch {
    /// The first of some records.
    pub(super) fn read(read: &ReadTxn, identities: &[Identity]) -> Result<Self, StoreError> {
        let mut changed = first(read, identities, MOST, MOST_BYTES)?;
        changed.sort_by_key(|item| item.record.as_ref().map(|record| record.issue.head.id));
        let changed = Arc::new(changed);
        let texts = Ahead::of(Arc::clone(&changed), FOR_A_THREAD, render_ahead);
        Ok(Self { changed, texts })
    }
}

/// The first of some records: so many, or fewer if they have so many bytes.
fn first(
    read: &ReadTxn,
    mut identities: &[Identity],
    most: usize,
    most_bytes: usize,
) -> Result<Vec<Changed>, StoreError> {
    let (mut changed, mut bytes) = (Vec::new(), 0);
    while !identities.is_empty() && changed.len() < most && bytes < most_bytes {
        let piece = changed.len().max(PIECE).min(most - changed.len()).min(identities.len());
        let (now, rest) = identities.split_at(piece);
        for item in cores::map(now, FOR_A_THREAD, |identity| of(read, identity)) {
            let item = item?;
            bytes += item.record.as_ref().map_or(0, |record| record.issue.body.len());
            changed.push(item);
        }
        identities = rest;
    }
    Ok(changed)
}

fn of(read: &ReadTxn, identity: &Identity) -> Result<Changed, StoreError> {
    Ok(Changed {
        identity: identity.clone(),
        record: read.issue_of(identity)?,
        baseline: read.baseline(identity)?,
        in_conflict: read.conflict(identity)?.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::{Author, Store};
    use crate::schema::issue::{Issue, IssueHead};

    #[test]
    fn a_batch_ends_by_count_or_by_bytes_and_keeps_the_order_of_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        store.create_if_missing().unwrap();
        let author = Author { actor: "test".into(), session: None, now: "2026-11-22T12:00:00Z".parse().unwrap() };
        store
            .write(&author, |txn| {
                (0..300).try_for_each(|number| {
                    txn.create(|id, now| Issue {
                        head: IssueHead::new(id, format!("issue {number}"), now),
                        body: "x".repeat(99) + "\n",
                    })?;
                    Ok::<_, StoreError>(())
                })
            })
            .unwrap();
        let read = store.read().unwrap();
        let identities: Vec<_> = read.all_pending().unwrap().into_iter().map(|(identity, _)| identity).collect();
        let firsts = |most, bytes| {
            let changed = first(&read, &identities, most, bytes).unwrap();
            assert!(changed.iter().zip(&identities).all(|(item, identity)| item.identity == *identity));
            changed.len()
        };
        assert_eq!(firsts(1_000, 1_000_000), 300);
        assert_eq!(firsts(200, 1_000_000), 200);
        assert_eq!(firsts(10, 1_000_000), 10);
        assert_eq!(firsts(1_000, 1), 64);
        assert_eq!(firsts(1_000, 6_401), 128);
        let batch = Batch::read(&read, &identities).unwrap();
        let numbers: Vec<_> = batch.changed.iter().map(|item| item.record.as_ref().unwrap().issue.head.id.0).collect();
        assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
        for (item, text) in batch.changed.iter().zip(batch.texts) {
            let (bytes, _) = text.unwrap().unwrap();
            let title = format!("title: {}\n", item.record.as_ref().unwrap().issue.head.title);
            assert!(String::from_utf8(bytes).unwrap().contains(&title));
        }
    }
}
