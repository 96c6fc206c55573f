use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::db::{Author, Op};
use crate::noise::noise;
use crate::schema::id::IssueId;
use crate::schema::issue::{Issue, IssueHead};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    (folder, store)
}

fn author() -> Author {
    Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() }
}

fn create(store: &Store, title: &str, body: &str) -> IssueId {
    let build = |id, now| Issue { head: IssueHead::new(id, title.into(), now), body: body.into() };
    store.write(&author(), |txn| txn.create(build)).unwrap().issue.head.id
}

fn titles(store: &Store) -> Vec<String> {
    store.read().unwrap().all_heads().unwrap().map(|head| head.unwrap().head.title).collect()
}

fn names(store: &Store) -> Vec<String> {
    store.dir().names().unwrap().into_iter().filter(|name| name.contains("tmp")).collect()
}

#[test]
fn the_file_becomes_smaller_and_says_the_same() {
    let (_folder, store) = store();
    store.mark_met().unwrap();
    let text = noise(1, 32_000);
    for number in 0..60 {
        create(&store, &format!("issue {number}"), &text);
    }
    for id in 2..=60 {
        store.write(&author(), |txn| txn.delete(IssueId(id), Op::Delete)).unwrap();
    }
    // what the log holds for undo goes, too
    store
        .write(&author(), |txn| {
            txn.touched = true;
            (1..=200_u64).try_for_each(|row| txn.tables.superseded.remove(&row.to_be_bytes()).map(drop))
        })
        .unwrap();
    let all = store.read().unwrap().log(crate::schema::id::Revision(0), usize::MAX, |_| true).unwrap();
    let Shrunk::Done { before, after } = store.shrink().unwrap() else { panic!("nobody else writes") };
    assert!(after * 2 < before, "{before} -> {after}");
    assert!(store.is_met().unwrap(), "it is still the file that git does not track");
    assert_eq!(titles(&store), ["issue 0"]);
    assert_eq!(store.read().unwrap().issue(IssueId(1)).unwrap().unwrap().issue.body, text);
    let now = store.read().unwrap().log(crate::schema::id::Revision(0), usize::MAX, |_| true).unwrap();
    assert_eq!(now, all);
    assert_eq!(create(&store, "one more", ""), IssueId(61));
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn a_file_that_is_as_small_as_it_can_be_stays_byte_for_byte() {
    let (folder, store) = store();
    create(&store, "x", "");
    let _ = store.shrink().unwrap();
    let file = folder.path().join(crate::db::DATABASE);
    let (before, inode) = (std::fs::read(&file).unwrap(), store.dir().entry(crate::db::DATABASE).unwrap());
    let size = before.len() as u64;
    assert_eq!(store.shrink().unwrap(), Shrunk::Done { before: size, after: size });
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(store.dir().entry(crate::db::DATABASE).unwrap(), inode);
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn nothing_is_lost_that_others_write_meanwhile() {
    let (_folder, store) = store();
    let text = noise(1, 40_000);
    for number in 0..20 {
        create(&store, &format!("first {number}"), &text);
    }
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..40 {
                create(&store, &format!("then {number}"), "");
                std::thread::sleep(Duration::from_millis(3));
            }
            written.store(true, Ordering::SeqCst);
        });
        while !written.load(Ordering::SeqCst) && !writer.is_finished() {
            let _ = store.shrink().unwrap();
        }
    });
    assert_eq!(titles(&store).len(), 60);
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let (_folder, store) = store();
    create(&store, "x", "");
    store.dir().replace("state.redb.tmp-1", b"half a copy").unwrap();
    let _ = store.shrink().unwrap();
    assert_eq!(names(&store), [""; 0]);
    assert_eq!(titles(&store), ["x"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "plays a disk")]
fn a_file_with_a_damaged_page_is_not_made_smaller() {
    const PAGE: usize = 4096;
    let (folder, store) = store();
    for number in 0..60 {
        create(&store, &format!("issue {number}"), &noise(number, 500));
    }
    let path = folder.path().join("state.redb");
    let whole = std::fs::read(&path).unwrap();
    let is = |kind: u8, page: &&[u8]| page[0] == kind && page[2..4] != [0, 0];
    let branch = whole.chunks(PAGE).skip(1).find(|page| is(2, page)).unwrap();
    let mut refused = 0;
    for leaf in (1..whole.len() / PAGE).filter(|leaf| is(1, &&whole[leaf * PAGE..(leaf + 1) * PAGE])) {
        let mut damaged = whole.clone();
        damaged[leaf * PAGE..(leaf + 1) * PAGE].copy_from_slice(branch);
        std::fs::write(&path, &damaged).unwrap();
        match store.shrink() {
            // a page that is not used any more
            Ok(_) => std::fs::write(&path, &whole).unwrap(),
            Err(error) => {
                assert!(error.is_damage(), "page {leaf}: {error}");
                assert_eq!(std::fs::read(&path).unwrap(), damaged);
                assert_eq!(names(&store), [""; 0]);
                refused += 1;
            }
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_new_file_is_hardly_larger_than_what_is_in_it() {
    for count in [120, 300] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        let text = noise(1, 32_000);
        let _ = store
            .create_filled(|unborn| {
                unborn.write(&author(), |txn| {
                    (0..count).try_for_each(|number| {
                        let head = |id, now| IssueHead::new(id, format!("issue {number}"), now);
                        txn.create(|id, now| Issue { head: head(id, now), body: text.clone() }).map(drop)
                    })
                })
            })
            .unwrap();
        let Shrunk::Done { before, after } = store.shrink().unwrap() else { panic!("nobody else writes") };
        assert!(before <= after + after / 8, "{count}: {before} -> {after}");
        assert_eq!(titles(&store).len(), count);
    }
}
