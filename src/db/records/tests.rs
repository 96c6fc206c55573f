use std::time::Duration;

use super::*;
use crate::db::{Author, Store};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    (folder, store)
}

fn author() -> Author {
    Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() }
}

fn run<R>(store: &Store, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, StoreError>) -> R {
    store.write(&author(), work).unwrap()
}

fn session(id: &str) -> Session {
    Session::begin(id.parse().unwrap(), author().now)
}

#[test]
fn a_record_is_found_by_its_key_and_listed_by_kind() {
    let (_folder, store) = store();
    for id in ["b", "a", "ab"] {
        assert!(run(&store, |txn| txn.put_record(&session(id), Op::Begin)));
    }
    assert!(!run(&store, |txn| txn.put_record(&session("a"), Op::Begin)), "it was so already");
    let read = store.read().unwrap();
    assert_eq!(read.revision().unwrap(), Revision(3));
    assert_eq!(read.record::<Session>("ab").unwrap(), Some(session("ab")));
    assert_eq!(read.record::<Session>("abc").unwrap(), None);
    assert_eq!(read.record::<Agent>("OxA1b2").unwrap(), None);
    let ids = |sessions: Vec<Session>| sessions.into_iter().map(|session| session.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(read.records().unwrap()), ["a", "ab", "b"]);
    assert_eq!(ids(read.records_from("a").unwrap()), ["a", "ab"]);
    assert_eq!(read.records::<Agent>().unwrap(), []);
}

#[test]
fn every_change_of_a_record_can_be_undone_but_not_over_a_newer_one() {
    let (_folder, store) = store();
    let first = session("s");
    let mut second = first.clone();
    second.models.push("provider/model".into());
    second.counts.entries = 7;
    run(&store, |txn| txn.put_record(&first, Op::Import));
    run(&store, |txn| txn.put_record(&second, Op::Import));
    assert_eq!(run(&store, |txn| txn.remove_record::<Session>("s", Op::Delete)), Some(second.clone()));
    let undo = |revision: u64| run(&store, |txn| txn.undo(Some(Revision(revision))));
    let now = || store.read().unwrap().record::<Session>("s").unwrap();
    assert!(matches!(undo(1), Undone::Overtaken { kind: Kind::Session, current: None, .. }));
    assert_eq!(undo(3), Undone::Done(vec![Revision(3)]));
    assert_eq!(now(), Some(second.clone()));
    assert!(matches!(undo(1), Undone::Overtaken { current: Some(_), .. }));
    assert_eq!(undo(2), Undone::Done(vec![Revision(2)]));
    assert_eq!(now(), Some(first));
    assert_eq!(undo(1), Undone::Done(vec![Revision(1)]));
    assert_eq!(now(), None);
    // undoing is a change like any other
    assert_eq!(undo(6), Undone::Done(vec![Revision(6)]));
    assert!(now().is_some());
}

#[test]
fn the_log_names_the_fields_that_changed() {
    let (_folder, store) = store();
    let mut changed = session("s");
    run(&store, |txn| txn.put_record(&changed, Op::Begin));
    changed.stop_reason = Some("stop".into());
    run(&store, |txn| txn.put_record(&changed, Op::Update));
    let log = store.read().unwrap().log(Revision(0), usize::MAX, |change| change.kind == Kind::Session).unwrap();
    let named = |value: &Value| serde_json::to_string(value).unwrap();
    assert_eq!(named(&log[0].before), r#"{"stop_reason":null}"#);
    assert_eq!(named(&log[0].after), r#"{"stop_reason":"stop"}"#);
    assert_eq!(log[1].before, Value::Null);
    assert_eq!(log[1].after.get("id").and_then(Value::as_text), Some("s"));
}

#[test]
fn the_last_change_to_be_undone_is_never_what_happened_by_itself() {
    let (_folder, store) = store();
    run(&store, |txn| txn.put_record(&session("imported"), Op::Import));
    run(&store, |txn| txn.put_record(&session("begun"), Op::Begin));
    assert_eq!(run(&store, |txn| txn.undo(None)), Undone::Done(vec![Revision(1)]));
    assert_eq!(run(&store, |txn| txn.undo(None)), Undone::NothingToUndo);
}
