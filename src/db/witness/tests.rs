use std::fs;
use std::time::Duration;

use super::known::{FEW, MANY};
use crate::db::{Author, Op, Store, StoreError};
use crate::schema::id::IssueId;
use crate::schema::issue::{Issue, IssueHead};

const PAGE: usize = 4096;

/// All that a few questions tell.
fn answers(store: &Store) -> Vec<Result<String, StoreError>> {
    let ask = |question: &dyn Fn() -> Result<String, StoreError>| question();
    let read = || store.read();
    let mut answers: Vec<_> = (1..=4).map(|id| ask(&|| Ok(format!("{:?}", read()?.issue(IssueId(id))?)))).collect();
    answers.push(ask(&|| Ok(format!("{:?}", read()?.all_heads()?.collect::<Result<Vec<_>, _>>()?))));
    answers.push(ask(&|| Ok(format!("{:?} {:?}", read()?.counters()?, read()?.revision()?))));
    answers.push(ask(&|| Ok(format!("{:?}", read()?.all_pending()?))));
    answers
}

#[test]
#[expect(clippy::disallowed_methods, reason = "plays a disk")]
fn an_older_page_in_the_place_of_another_is_never_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    let author = Author { actor: "ada".into(), session: None, now: "2026-11-21T12:00:00Z".parse().unwrap() };
    for round in 0..4 {
        let build = |id, now| Issue { head: IssueHead::new(id, format!("t{round}"), now), body: "one\n".into() };
        store.write(&author, |txn| txn.create(build)).unwrap();
        let change = |issue: &mut Issue, _| issue.body += "more\n";
        let _ = store.write(&author, |txn| txn.update(IssueId(1), None, Op::Update, change)).unwrap();
    }
    let path = folder.path().join("state.redb");
    let (whole, right) = (fs::read(&path).unwrap(), answers(&store));
    let is_long = std::env::var_os("OXI_STATE_LONG").is_some();
    let (mut refused, mut pairs) = (0, 0);
    for from in 1..whole.len() / PAGE {
        for to in 1..whole.len() / PAGE {
            let mut bytes = whole.clone();
            bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
            if bytes == whole || (!is_long && (from + to) % 3 != 0) {
                continue;
            }
            pairs += 1;
            fs::write(&path, bytes).unwrap();
            for (answer, right) in answers(&store).into_iter().zip(&right) {
                match answer {
                    Ok(answer) => assert_eq!(answer, *right.as_ref().unwrap(), "page {from} over {to}"),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(pairs > 100 && refused > 100, "{refused} of {pairs}");
}

fn store_with_an_issue() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    let author = Author { actor: "ada".into(), session: None, now: "2026-11-21T12:00:00Z".parse().unwrap() };
    let build = |id, now| Issue { head: IssueHead::new(id, "One".into(), now), body: "one\n".into() };
    store.write(&author, |txn| txn.create(build)).unwrap();
    (folder, store)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "plays a killed process")]
fn whoever_reads_first_has_what_a_killed_process_left_repaired() {
    let (folder, store) = store_with_an_issue();
    let path = folder.path().join("state.redb");
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] |= 2;
    fs::write(&path, &bytes).unwrap();
    assert!(store.witness().unwrap().unwrap().is_interrupted());
    assert_eq!(store.read().unwrap().issue(IssueId(1)).unwrap().unwrap().issue.body, "one\n");
    assert!(!store.witness().unwrap().unwrap().is_interrupted());
}

#[test]
fn a_table_that_is_missing_is_not_taken_for_an_empty_one() {
    let (_folder, store) = store_with_an_issue();
    let database = store.open_database().unwrap();
    let txn = database.begin_write().unwrap();
    assert!(txn.delete_table(redb::TableDefinition::<&[u8], &[u8]>::new("bodies")).unwrap());
    txn.commit().unwrap();
    database.close();
    assert!(store.read().is_err());
}

#[test]
fn few_pages_of_rows_are_kept_until_many_were_read() {
    let file = tempfile::tempfile().unwrap();
    let database = redb::Builder::new().create_file(file.try_clone().unwrap()).unwrap();
    let txn = database.begin_write().unwrap();
    let mut table = txn.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("rows")).unwrap();
    let keys: Vec<_> = (0..900_u16).map(u16::to_be_bytes).collect();
    for key in &keys {
        table.insert(key.as_slice(), key.repeat(750).as_slice()).unwrap();
    }
    drop(table);
    txn.commit().unwrap();
    let witness = super::Witness::open(file).unwrap().unwrap();
    let finds = |key: &[u8; 2]| witness.find("rows", key, <[u8]>::to_vec).unwrap() == Some(key.repeat(750));
    assert!(keys[..200].iter().all(finds));
    assert_eq!(witness.known().counts().0, FEW);
    // those that are not kept are read again
    assert!(keys[..200].iter().all(finds));
    let (kept, read) = witness.known().counts();
    assert!(kept == FEW && read < MANY, "{kept} of {read}");
    assert!(keys.iter().all(finds));
    let (kept, read) = witness.known().counts();
    assert!(read >= MANY && kept > read - MANY, "{kept} of {read}");
    assert!(keys.iter().rev().all(finds));
    assert_eq!(witness.find("rows", &[3, 132, 0], <[u8]>::len).unwrap(), None);
}
