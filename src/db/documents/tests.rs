use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::db::{Author, Store};
use crate::schema::value::Value;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    (folder, store)
}

fn run<R>(store: &Store, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, StoreError>) -> R {
    let author = Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() };
    store.write(&author, work).unwrap()
}

fn path(text: &str) -> DocumentPath {
    text.parse().unwrap()
}

fn put(store: &Store, at: &str, kind: DocumentKind, text: &str) -> (Document, bool) {
    run(store, |txn| txn.put_document(&path(at), kind, text, Op::Update))
}

fn text(store: &Store, at: &str, kind: DocumentKind) -> Option<String> {
    let read = store.read().unwrap();
    read.document(&path(at), kind).unwrap().map(|document| read.document_text(&document).unwrap())
}

/// Histories that are tried.
fn cases() -> u32 {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 2_000 } else { 24 }
}

const MARKDOWN: DocumentKind = DocumentKind::Markdown;

#[test]
fn a_text_is_stored_beside_what_is_said_of_it() {
    let (_folder, store) = store();
    let (first, new) = put(&store, "notes/plan", MARKDOWN, "one\n");
    assert_eq!((first.size, new), (4, true));
    assert_eq!(put(&store, "notes/plan", MARKDOWN, "one\n"), (first.clone(), false), "it was so already");
    let (second, _) = put(&store, "notes/plan", MARKDOWN, "");
    assert_eq!(second.created_at, first.created_at);
    assert!(second.updated_at > first.updated_at && second.hash != first.hash);
    put(&store, "notes/plan", DocumentKind::Json, "{}");
    put(&store, "notes/deep/plan", MARKDOWN, "deep");
    put(&store, "notes-2/plan", MARKDOWN, "other");
    assert_eq!(text(&store, "notes/plan", MARKDOWN).unwrap(), "");
    let read = store.read().unwrap();
    let names = |documents: Vec<Document>| documents.iter().map(super::super::records::Record::key).collect::<Vec<_>>();
    let notes = "notes".parse().unwrap();
    assert_eq!(names(read.documents_in(&notes).unwrap()), ["notes/plan/json", "notes/plan/markdown"]);
    assert_eq!(names(read.documents_within(&notes).unwrap()).len(), 3);
    assert_eq!(names(read.documents().unwrap()).len(), 4);
    assert_eq!(read.count(Kind::Document).unwrap(), 4);
}

#[test]
fn the_log_has_the_texts_and_undo_brings_them_back() {
    let (_folder, store) = store();
    put(&store, "a/b", MARKDOWN, "first");
    put(&store, "a/b", MARKDOWN, "second");
    run(&store, |txn| txn.remove_document(&path("a/b"), MARKDOWN, Op::Delete));
    let log = store.read().unwrap().log(Revision(0), usize::MAX, |_| true).unwrap();
    let bodies: Vec<_> = log
        .iter()
        .map(|entry| [&entry.before, &entry.after].map(|side| side.get("body").and_then(Value::as_text)))
        .collect();
    assert_eq!(bodies, [[Some("second"), None], [Some("first"), Some("second")], [None, Some("first")]]);
    let undo = |revision: u64| run(&store, |txn| txn.undo(Some(Revision(revision))));
    let now = || text(&store, "a/b", MARKDOWN);
    assert!(matches!(undo(2), Undone::Overtaken { kind: Kind::Document, current: None, .. }));
    assert_eq!(undo(3), Undone::Done(vec![Revision(3)]));
    assert_eq!(now().as_deref(), Some("second"));
    assert_eq!(undo(2), Undone::Done(vec![Revision(2)]));
    assert_eq!(now().as_deref(), Some("first"));
    assert_eq!(undo(1), Undone::Done(vec![Revision(1)]));
    assert_eq!(now(), None);
    assert_eq!(run(&store, |txn| txn.undo(Some(Revision(6)))), Undone::Done(vec![Revision(6)]), "undoing is a change");
    assert_eq!(now().as_deref(), Some("first"));
}

#[test]
fn a_text_that_is_gone_is_damage_that_is_named() {
    let (_folder, store) = store();
    let (document, _) = put(&store, "a/b", MARKDOWN, "first");
    run(&store, |txn| {
        txn.tables.records.remove(&text_row("a/b/markdown"))?;
        txn.touched = true;
        Ok(())
    });
    let error = store.read().unwrap().document_text(&document).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the database is damaged: table `records`, key document.text/a/b/markdown: the stored bytes are damaged"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn the_store_is_a_map_and_undo_leads_back_through_all_of_it(
        steps in prop::collection::vec((0_usize..4, prop::bool::ANY, prop::option::of("[a-c\n\u{0}é]{0,3}")), 1..12),
    ) {
        let (_folder, store) = store();
        let paths = ["a/x", "a/x-y", "a/b/x", "ab/x"];
        let mut model: BTreeMap<(usize, DocumentKind), String> = BTreeMap::new();
        let mut history = Vec::new();
        for (which, json, text) in steps {
            let kind = DocumentKind::ALL[usize::from(json)];
            let before = model.clone();
            if let Some(text) = text {
                put(&store, paths[which], kind, &text);
                model.insert((which, kind), text);
            } else {
                let removed = run(&store, |txn| txn.remove_document(&path(paths[which]), kind, Op::Delete));
                prop_assert_eq!(removed.is_some(), model.remove(&(which, kind)).is_some());
            }
            if model != before {
                history.push(before);
            }
        }
        let stored = || {
            let read = store.read().unwrap();
            let documents = read.documents().unwrap();
            documents.into_iter().map(|document| {
                let text = read.document_text(&document).unwrap();
                assert_eq!(document.hash, ContentHash::of(text.as_bytes()));
                let at = document.path().to_string();
                ((paths.iter().position(|path| *path == at).unwrap(), document.kind), text)
            }).collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(&stored(), &model);
        while let Some(before) = history.pop() {
            let undone = run(&store, |txn| txn.undo(None));
            prop_assert!(matches!(undone, Undone::Done(_)), "{:?}", undone);
            prop_assert_eq!(&stored(), &before);
        }
        prop_assert_eq!(run(&store, |txn| txn.undo(None)), Undone::NothingToUndo);
    }
}
