use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::db::record::Kind;
use crate::db::undo::Undone;
use crate::db::{Author, Store};
use crate::schema::health::{Breaker, Health};
use crate::schema::id::Revision;
use crate::schema::runtime::Runtime;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    (folder, store)
}

fn run<R>(store: &Store, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, KeyedError>) -> Result<R, KeyedError> {
    let author = Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() };
    store.write(&author, work)
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// Sets a record of any kind as a foreign program would.
fn send(store: &Store, kind: Kind, value: Value) -> Result<Row, KeyedError> {
    run(store, |txn| set_json(txn, kind, fields(value), &Policy::default()))
}

/// What programs without types may send, for each kind.
fn samples() -> Vec<(Kind, &'static str, Value)> {
    vec![
        (Kind::Pointer, "branch/active", json!({"kind": "branch", "target": "main"})),
        (Kind::Fact, "theme", json!({"name": "theme", "value": "dark"})),
        (Kind::Runtime, "proxy", json!({"name": "proxy", "state": "running"})),
        (Kind::Health, "openai/a/b", json!({"provider": "openai", "model": "a/b", "error": "timeout"})),
        (Kind::Registry, "package/@a/b", json!({"kind": "package", "name": "@a/b", "forced_on": ["skill"]})),
    ]
}

#[test]
fn every_kind_can_be_sent_as_json_listed_and_undone() {
    let (_folder, store) = store();
    for (number, (kind, key, value)) in (1..).zip(samples()) {
        let row = send(&store, kind, value).unwrap();
        assert_eq!(row.key, key);
        let read = store.read().unwrap();
        assert_eq!(rows(&*read, kind).unwrap(), [row]);
        assert_eq!(read.revision().unwrap(), Revision(number));
    }
    for number in (1..=5).rev() {
        let undone = run(&store, |txn| Ok(txn.undo(Some(Revision(number)))?)).unwrap();
        assert_eq!(undone, Undone::Done(vec![Revision(number)]));
    }
    let read = store.read().unwrap();
    assert!(Kind::ALL.iter().all(|kind| rows(&*read, *kind).unwrap().is_empty()));
}

#[test]
fn what_is_not_theirs_to_say_is_refused() {
    let (_folder, store) = store();
    for (kind, mut value) in samples().into_iter().map(|(kind, _, value)| (kind, value)) {
        for field in ["updated_at", "checked_at", "hash", "layer", "stale", "nonsense"] {
            value[field] = json!("2026-01-01T00:00:00Z");
            assert!(matches!(send(&store, kind, value.clone()), Err(KeyedError::Problem(_))), "{kind:?} {field}");
            value.as_object_mut().unwrap().shift_remove(field);
        }
    }
    assert!(matches!(send(&store, Kind::Issue, json!({})), Err(KeyedError::WrongKind("issue"))));
    assert!(matches!(
        send(&store, Kind::Pointer, json!({"kind": "issue", "issue": 7})),
        Err(KeyedError::NoIssue(IssueId(7)))
    ));
    assert_eq!(store.read().unwrap().revision().unwrap(), Revision(0));
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let (_folder, store) = store();
    for (kind, _, value) in samples().into_iter().filter(|(kind, ..)| *kind != Kind::Health) {
        let first = send(&store, kind, value.clone()).unwrap();
        let revision = store.read().unwrap().revision().unwrap();
        assert_eq!(send(&store, kind, value).unwrap(), first);
        assert_eq!(store.read().unwrap().revision().unwrap(), revision);
    }
}

#[test]
fn a_guarded_change_is_made_only_on_what_the_caller_saw() {
    let (_folder, store) = store();
    let set_state = |state: &str, expect| {
        let fields = fields(json!({"name": "a", "state": state}));
        run(&store, |txn| set::<Runtime>(txn, "a", fields, expect, &Policy::default())).unwrap()
    };
    let wrong = ContentHash(7);
    assert_eq!(set_state("running", Some(wrong)), Outcome::Missing);
    let Outcome::Changed(first) = set_state("running", None) else { panic!("it is new") };
    let hash = hash_of(&first);
    assert_eq!(set_state("failed", Some(wrong)), Outcome::Stale(hash));
    assert!(matches!(set_state("running", Some(hash)), Outcome::Unchanged(_)));
    assert!(matches!(set_state("failed", Some(hash)), Outcome::Changed(_)));
    let remove = |expect| run(&store, |txn| Ok(remove::<Runtime>(txn, "a", expect)?)).unwrap();
    assert!(matches!(remove(Some(hash)), Outcome::Stale(_)));
    assert!(matches!(remove(None), Outcome::Changed(_)));
    assert_eq!(remove(None), Outcome::Missing);
}

#[test]
fn one_of_many_that_ask_after_a_pause_may_call() {
    let (_folder, store) = store();
    let policy = crate::schema::health::Policy { open_after: 1, cool_down: 0 };
    let report =
        health::Report { provider: "p".into(), model: "m".into(), error: Some("network".into()), ..Default::default() };
    let _ = run(&store, |txn| health::record(txn, &report, None, policy, &Policy::default())).unwrap();
    let policy = crate::schema::health::Policy { open_after: 1, cool_down: 0 };
    let (row, answer) = run(&store, |txn| Ok(health::check(txn, "p/m", policy)?)).unwrap();
    assert_eq!((row.unwrap().breaker, answer), (Breaker::HalfOpen, crate::schema::health::Permit::Trial));
    let patient = crate::schema::health::Policy::default();
    let (_, answer) = run(&store, |txn| Ok(health::check(txn, "p/m", patient)?)).unwrap();
    assert!(matches!(answer, crate::schema::health::Permit::Wait(_)));
    let Outcome::Changed(row) = run(&store, |txn| health::reset(txn, "p/m", None)).unwrap() else {
        panic!("it had failed")
    };
    assert_eq!(row, Health::untested("p".into(), "m".into(), row.checked_at));
    assert_eq!(run(&store, |txn| health::reset(txn, "p/x", None)).unwrap(), Outcome::Missing);
}

#[test]
fn a_report_says_one_thing_and_nothing_absurd() {
    let (_folder, store) = store();
    for (more, _why) in [
        (json!({}), "neither"),
        (json!({"ok": true, "error": "timeout"}), "both"),
        (json!({"error": "429"}), "no class"),
        (json!({"ok": true, "retry_after_seconds": -1}), "before now"),
        (json!({"ok": true, "retry_after_seconds": 1e12}), "milliseconds"),
        (json!({"ok": true, "resets_at": "2126-01-01T00:00:00Z"}), "too late"),
        (json!({"ok": true, "resets_at": "2026-06-18T00:00:00Z", "retry_after_seconds": 1}), "both"),
        (json!({"ok": true, "limit": -1}), "negative"),
        (json!({"ok": true, "provider": "a/b"}), "slash"),
        (json!({"ok": true, "model": ""}), "empty"),
    ] {
        let mut report = json!({"provider": "p", "model": "m"});
        report.as_object_mut().unwrap().extend(fields(more.clone()));
        assert!(matches!(send(&store, Kind::Health, report), Err(KeyedError::Problem(_))), "{more}");
    }
}
