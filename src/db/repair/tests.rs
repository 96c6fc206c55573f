use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::damage::{Dice, damage_pages, flip_bits};
use crate::db::documents::{DOCUMENT_PREFIX, TEXT_PREFIX};
use crate::db::examine::{value, values};
use crate::db::read::mark;
use crate::db::record::StoredHead;
use crate::db::salvage::Found;
use crate::db::sound::is_sound;
use crate::db::{DATABASE, Op, WriteTxn};
use crate::fs::Dir;
use crate::schema::document::{DocumentKind, DocumentPath};
use crate::schema::id::{ContentHash, IssueId};
use crate::schema::issue::{Issue, IssueHead, Status};

fn author() -> Author {
    Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() }
}

fn write(store: &Store, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<(), StoreError>) {
    store.write(&author(), work).unwrap();
}

/// Issues with texts of many sizes, changes of them, deletions and documents; so many that there are branch pages.
fn filled(issues: u32) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    write(&store, |txn| {
        for number in 0..issues {
            let body = format!("text {number}\n").repeat(number as usize % 40);
            let title = format!("issue {number}");
            txn.create(|id, now| Issue { head: IssueHead::new(id, title, now), body })?;
        }
        Ok(())
    });
    write(&store, |txn| {
        for id in (1..issues).step_by(7) {
            let changed = txn.update(IssueId(id), None, Op::Close, |issue, _| issue.head.status = Status::Closed)?;
            assert!(matches!(changed, crate::db::Cas::Changed(_)));
        }
        for id in (5..issues).step_by(11) {
            assert!(txn.delete(IssueId(id), Op::Delete)?);
        }
        for number in 0..30 {
            let path: DocumentPath = format!("notes/{number}").parse().unwrap();
            txn.put_document(&path, DocumentKind::Markdown, &format!("note {number}\n").repeat(number), Op::Create)?;
        }
        Ok(())
    });
    (folder, store)
}

/// Damages a file in one of many ways, and says how.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let way = dice.roll(8);
    if way < 4 {
        return damage_pages(bytes, way, dice);
    }
    let count = 1 + dice.roll(4);
    flip_bits(bytes, count, dice)
}

/// Every row that was whole is there, byte for byte, or says the same.
fn assert_kept(before: &Found, after: &Found, how: &str) {
    let text_of = |key: &[u8]| Some([TEXT_PREFIX, key.strip_prefix(DOCUMENT_PREFIX)?].concat());
    for table in ["records", "changes", "superseded", "moved"] {
        for (key, bytes) in before.of(table) {
            // what is known of a text that is gone is of no use
            if text_of(key).is_some_and(|text| !before.of(table).contains_key(&text)) {
                continue;
            }
            assert_eq!(after.of(table).get(key), Some(bytes), "{how}: {table} {key:?}");
        }
    }
    for key in before.of("issues").keys() {
        let (old, new) = (value::<StoredHead>(before, "issues", key), value::<StoredHead>(after, "issues", key));
        assert_eq!(old.map(|old| old.head), new.map(|new| new.head), "{how}: {key:?}");
        if let Some(body) = before.of("bodies").get(key) {
            assert_eq!(after.of("bodies").get(key), Some(body), "{how}: {key:?}");
        }
    }
    // a page in the place of another can hold an issue from before it was deleted: then it is both, and is kept
    let heads = values::<StoredHead>(before, "issues").into_values();
    let present: BTreeSet<_> = heads.map(|stored| stored.head.identity().key()).collect();
    for (key, bytes) in before.of("tombstones").iter().filter(|(key, _)| !present.contains(*key)) {
        assert_eq!(after.of("tombstones").get(key), Some(bytes), "{how}: {key:?}");
    }
}

fn turn(store: &Store) -> Gate {
    Gate::sync(store.dir(), Duration::from_secs(10)).unwrap()
}

#[test]
fn whatever_is_whole_is_kept_and_the_new_database_has_no_fault() {
    let (folder, store) = filled(120);
    let whole = std::fs::read(folder.path().join(DATABASE)).unwrap();
    let expected = store.found_in(DATABASE).unwrap();
    assert_eq!(examination(&expected).damage, []);
    let rounds = if std::env::var_os("OXI_STATE_LONG").is_some() { 6_000 } else { 30 };
    let (mut dice, mut damaged, mut lossless) = (Dice(0x5eed), 0, 0);
    for _ in 0..rounds {
        let mut bytes = whole.clone();
        let how = damage(&mut bytes, &mut dice);
        crate::fs::overwrite(&folder.path().join(DATABASE), &bytes).unwrap();
        let before = store.found_in(DATABASE).unwrap();
        let turn = turn(&store);
        let Some(aside) = store.set_aside(&turn, Vec::new()).unwrap() else {
            // only room that nothing uses was hit
            assert_kept(&expected, &before, &how);
            continue;
        };
        damaged += 1;
        let none = |_: &_, _: &_| None;
        let rescued = store.rebuild(&aside, &author(), &none, |_| Ok::<_, StoreError>(())).unwrap().unwrap();
        lossless += u32::from(rescued.lost.is_empty());
        let after = store.found_in(DATABASE).unwrap();
        assert_eq!(examination(&after).damage, [], "{how}");
        assert_kept(&before, &after, &how);
        // the engine agrees, and numbers do not come again
        store.check_engine().unwrap();
        if !before.of("issues").is_empty() {
            let highest = before.of("issues").keys().last().unwrap().clone();
            assert!(store.read().unwrap().high_water().unwrap().0.to_be_bytes().as_slice() >= highest.as_slice());
        }
        assert!(std::fs::read(folder.path().join(&aside.name)).unwrap() == bytes, "{how}");
        store.dir().remove(&aside.name).unwrap();
    }
    eprintln!("{damaged} of {rounds} were damaged; of {lossless} nothing was lost");
    assert!(damaged > rounds / 4);
}

#[test]
fn a_row_that_is_lost_is_named() {
    let (folder, store) = filled(40);
    let path = folder.path().join(DATABASE);
    let mut bytes = std::fs::read(&path).unwrap();
    let found = store.found_in(DATABASE).unwrap();
    let body = found.of("bodies").get(&8_u32.to_be_bytes()[..]).unwrap().clone();
    let places: Vec<_> =
        bytes.windows(body.len()).enumerate().filter(|(_, at)| *at == body).map(|(at, _)| at).collect();
    for at in places {
        bytes[at + body.len() - 1] ^= 1;
    }
    crate::fs::overwrite(&path, &bytes).unwrap();
    let error = store.read().unwrap().issue(IssueId(8)).unwrap_err();
    assert!(error.to_string().contains("table `bodies`, key 8"), "{error}");
    assert_eq!(store.read().unwrap().head(IssueId(8)).unwrap().unwrap().head.title, "issue 7");
    let aside = store.set_aside(&turn(&store), Vec::new()).unwrap().unwrap();
    let named = |damage: &Damage| damage.table.as_deref() == Some("bodies") && damage.key.as_deref() == Some("8");
    assert!(aside.damage.iter().any(named), "{:?}", aside.damage);
    let from_file = |_: &_, _: &_| Some("from its file\n".to_owned());
    let rescued = store.rebuild(&aside, &author(), &from_file, |_| Ok::<_, StoreError>(())).unwrap().unwrap();
    assert_eq!(rescued.lost.len(), 1, "{:?}", rescued.lost);
    assert!(named(&rescued.lost[0]) && rescued.lost[0].message.ends_with("it has that of its file"));
    let issue = store.read().unwrap().issue(IssueId(8)).unwrap().unwrap();
    assert_eq!((issue.issue.body.as_str(), issue.hash), ("from its file\n", issue.issue.content_hash()));
    assert_ne!(issue.hash, ContentHash(0));
}

#[test]
fn who_writes_meanwhile_is_not_overwritten() {
    let (folder, store) = filled(10);
    let path = folder.path().join(DATABASE);
    let mut bytes = std::fs::read(&path).unwrap();
    let body = store.found_in(DATABASE).unwrap().of("bodies").get(&8_u32.to_be_bytes()[..]).unwrap().clone();
    let places: Vec<_> =
        bytes.windows(body.len()).enumerate().filter(|(_, at)| *at == body).map(|(at, _)| at).collect();
    for at in places {
        bytes[at + body.len() - 1] ^= 1;
    }
    crate::fs::overwrite(&path, &bytes).unwrap();
    let aside = store.set_aside(&turn(&store), Vec::new()).unwrap().unwrap();
    let path: DocumentPath = "notes/late".parse().unwrap();
    let late = |_: &Store| {
        write(&store, |txn| txn.put_document(&path, DocumentKind::Markdown, "late\n", Op::Create).map(drop));
        Ok::<_, StoreError>(())
    };
    assert_eq!(store.rebuild(&aside, &author(), &|_, _| None, late).unwrap(), None);
    assert!(store.read().unwrap().document(&path, DocumentKind::Markdown).unwrap().is_some());
    let left = Dir::names(&Arc::clone(store.dir())).unwrap();
    assert!(left.iter().all(|name| !name.contains("tmp")), "{left:?}");
}

/// Flips a bit of each place where a text lies in a database.
fn spoil(folder: &tempfile::TempDir, text: &str) {
    let path = folder.path().join(DATABASE);
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text.as_bytes())).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    crate::fs::overwrite(&path, &bytes).unwrap();
}

fn mend(store: &Store) -> Rescued {
    let aside = store.set_aside(&turn(store), Vec::new()).unwrap().unwrap();
    store.rebuild(&aside, &author(), &|_, _| None, |_| Ok::<_, StoreError>(())).unwrap().unwrap()
}

/// An issue with a text.
fn create(store: &Store, title: &str, body: &str) {
    let issue = |id, now| Issue { head: IssueHead::new(id, title.into(), now), body: body.into() };
    write(store, |txn| txn.create(issue).map(drop));
}

fn set_text(store: &Store, id: u32, text: &str) {
    write(store, |txn| {
        let changed = txn.update(IssueId(id), None, Op::Update, |issue, _| issue.body = text.into())?;
        assert!(matches!(changed, crate::db::Cas::Changed(_)));
        Ok(())
    });
}

/// Two issues; the second was deleted by change 3. Four changes of the first follow.
fn with_a_deletion() -> (tempfile::TempDir, Store) {
    let (folder, store) = filled(0);
    create(&store, "keep", "");
    create(&store, "gone", "the text that was deleted\n");
    let first = store.read().unwrap().revision().unwrap().0;
    assert_eq!(first, 32, "30 documents, then two issues");
    write(&store, |txn| txn.delete(IssueId(2), Op::Delete).map(drop));
    for text in ["one", "two", "three", "four"] {
        set_text(&store, 1, &format!("the text that was {text}\n"));
    }
    (folder, store)
}

#[test]
fn a_mark_whose_name_is_as_long_as_a_revision_is_not_taken_for_one() {
    let (folder, store) = with_a_deletion();
    spoil(&folder, "the text that was deleted");
    mend(&store);
    assert_eq!(store.read().unwrap().revision().unwrap().0, 37);
    let found = store.found_in(DATABASE).unwrap();
    let texts: Vec<_> = found.of("superseded").keys().map(|key| key[..7].to_vec()).collect();
    assert!(!texts.is_empty() && texts.iter().all(|key| *key == [0; 7]), "{texts:?}");
    // nor are rows of other tables taken for records of a kind that a newer version knows
    let (key, value) = found.of("identities").first_key_value().unwrap();
    assert!(key.starts_with(b"keep\0") && !is_sound("records", key, value));
}

#[test]
fn a_text_that_was_kept_for_undo_is_named_where_it_is_lost() {
    let (folder, store) = with_a_deletion();
    spoil(&folder, "the text that was deleted");
    let lost = mend(&store).lost;
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!((lost[0].table.as_deref(), lost[0].key.as_deref()), (Some("superseded"), Some("33")));
    assert!(lost[0].message.starts_with("the text of issue 2 before change 33"), "{lost:?}");
    // one that was dropped in time, and lies in a page that was given up, does not make up for it
    let (folder, store) = with_a_deletion();
    write(&store, |txn| {
        txn.touched = true;
        txn.tables.superseded.remove(&33_u64.to_be_bytes()).map(drop)
    });
    spoil(&folder, "the text that was one");
    let lost = mend(&store).lost;
    assert!(lost.iter().any(|lost| lost.message.starts_with("the text of issue 1 before change 35")), "{lost:?}");
    assert_eq!(lost.len(), 1, "{lost:?}");
}

#[test]
fn no_number_is_given_again_that_only_the_log_tells_of() {
    let (_folder, store) = with_a_deletion();
    let identity = store.read().unwrap().issue(IssueId(1)).unwrap().unwrap().issue.head.identity();
    for (number, highest) in [(1, 2), (9, 9), (1, 9)] {
        write(&store, |txn| txn.renumber(&[(identity.clone(), IssueId(number))]));
        let mut found = store.found_in(DATABASE).unwrap();
        // the rest that tells of it is gone
        found.rows.get_mut("meta").unwrap().remove(mark::HIGH_WATER);
        for table in ["tombstones", "moved", "identities"] {
            found.rows.remove(table);
        }
        let folder = tempfile::tempdir().unwrap();
        let mended = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        mended.create_if_missing().unwrap();
        write(&mended, |txn| txn.rescue(&found, &|_, _| None).map(drop));
        assert_eq!(mended.read().unwrap().high_water().unwrap(), IssueId(highest));
    }
}

#[test]
fn a_row_of_the_log_that_is_lost_is_named_and_no_other() {
    let (_folder, store) = with_a_deletion();
    let mut found = store.found_in(DATABASE).unwrap();
    found.rows.get_mut("changes").unwrap().remove(&35_u64.to_be_bytes()[..]);
    found.incomplete.insert("changes");
    // as a page of issues in the place of one of the log is read
    let message = "the row is not what was written".to_owned();
    let key = Some("0x00000007".to_owned());
    found.damage.push(Damage { table: Some("changes".into()), key, offset: Some(4096), message });
    let folder = tempfile::tempdir().unwrap();
    let mended = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    mended.create_if_missing().unwrap();
    let lost = mended.write(&author(), |txn| txn.rescue(&found, &|_, _| None)).unwrap().lost;
    let keys: Vec<_> = lost.iter().map(|lost| lost.key.as_deref()).collect();
    assert_eq!(keys, [Some("35")], "{lost:?}");
}
