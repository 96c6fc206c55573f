use std::time::Duration;

use serde_json::json;

use super::*;
use crate::db::undo::Undone;
use crate::db::{Author, Cas, Store};
use crate::schema::id::{IssueId, Revision};
use crate::schema::issue::{Issue, IssueHead};

struct World {
    store: Store,
    _folder: tempfile::TempDir,
}

const ONE: IssueId = IssueId(1);

/// A store with an issue.
fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    let world = World { store, _folder: folder };
    world
        .as_one("ada", |txn| {
            txn.create(|id, now| Issue { head: IssueHead::new(id, "Fix login".into(), now), body: String::new() })
        })
        .unwrap();
    world
}

fn id(number: u8) -> RecordId {
    format!("01KAHGXC000000000000000{number:03}").parse().unwrap()
}

impl World {
    fn as_one<R, E: From<StoreError>>(
        &self,
        who: &str,
        work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let (actor, session) = who.split_once('/').map_or((who, None), |(actor, session)| (actor, Some(session)));
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let session = session.map(|session| session.parse().unwrap());
        self.store.write(&Author { actor: actor.into(), session, now }, work)
    }

    fn add(&self, number: u8, fields: Value) -> Result<Handoff, HandoffError> {
        self.as_one("ada/s1", |txn| add(txn, id(number), keyed::object(fields), &Policy::default(), Exports::default()))
    }

    fn get(&self, number: u8) -> Handoff {
        self.store.read().unwrap().record(&id(number).to_string()).unwrap().unwrap()
    }

    /// The ids that the issue's file lists.
    fn listed(&self) -> Vec<String> {
        let head = self.store.read().unwrap().head(ONE).unwrap().unwrap().head;
        head.handoffs.into_iter().map(|entry| entry.id).collect()
    }

    fn accept(&self, number: u8, who: &str, force: bool) -> Result<Outcome<Handoff>, HandoffError> {
        self.as_one(who, |txn| accept(txn, id(number), None, force, Exports::default()))
    }

    fn finish(&self, number: u8, action: Option<usize>) -> Result<Outcome<Handoff>, HandoffError> {
        self.as_one("bob", |txn| finish(txn, id(number), action, None, Exports::default()))
    }

    /// Has somebody else change the issue, as an import does.
    fn import(&self, change: impl FnOnce(&mut IssueHead)) {
        let done = self.as_one("import", |txn| -> Result<_, StoreError> {
            let mut version = txn.issue(ONE)?.unwrap();
            change(&mut version.issue.head);
            txn.put(&crate::db::record::Versioned::new(version.issue), Op::Import)
        });
        done.unwrap();
    }
}

#[test]
fn an_open_handoff_stands_in_its_issue_and_a_done_one_does_not() {
    let world = world();
    let note = world.add(1, json!({"summary": "half done", "next": ["the other half", "tests"], "issue": 1})).unwrap();
    assert_eq!((note.from.as_str(), note.session.as_ref().unwrap().as_str()), ("ada", "s1"));
    assert_eq!(world.listed(), [id(1).to_string()]);
    let Ok(Outcome::Changed(taken)) = world.accept(1, "bob/s2", false) else { panic!() };
    assert_eq!((taken.state, taken.accepted_by.as_deref()), (HandoffState::Accepted, Some("bob")));
    let Ok(Outcome::Changed(half)) = world.finish(1, Some(2)) else { panic!() };
    assert_eq!((half.state, half.left().count()), (HandoffState::Accepted, 1));
    let listed = world.store.read().unwrap().head(ONE).unwrap().unwrap().head.handoffs;
    let text = serde_json::to_string(&listed[0].value).unwrap();
    assert!(text.contains(r#""state":"accepted""#) && text.contains(r#"{"text":"tests","done":true}"#), "{text}");
    assert!(!text.contains("s1") && !text.contains("s2"), "{text}");
    let Ok(Outcome::Changed(done)) = world.finish(1, Some(1)) else { panic!() };
    assert_eq!((done.state, world.listed().len()), (HandoffState::Done, 0));
    assert_eq!(world.get(1), done);
    assert!(matches!(world.finish(1, None), Ok(Outcome::Unchanged(_))));
    assert!(matches!(world.accept(1, "bob", true), Err(HandoffError::Done)));
}

#[test]
fn what_one_took_up_another_takes_only_by_force() {
    let world = world();
    world.add(1, json!({"summary": "half done"})).unwrap();
    assert!(matches!(world.accept(1, "bob/s2", false), Ok(Outcome::Changed(_))));
    assert!(matches!(world.accept(1, "bob/s2", false), Ok(Outcome::Unchanged(_))));
    assert!(matches!(world.accept(1, "eve/s3", false), Err(HandoffError::Accepted { by }) if by == "s2"));
    assert!(matches!(world.accept(1, "eve/s3", true), Ok(Outcome::Changed(_))));
    assert_eq!(world.get(1).accepted_by.as_deref(), Some("eve"));
    assert!(matches!(world.accept(9, "eve", false), Ok(Outcome::Missing)));
}

#[test]
fn a_wrong_action_an_unknown_issue_and_a_kept_field_are_refused_and_nothing_is_stored() {
    let world = world();
    assert!(matches!(
        world.add(1, json!({"summary": "x", "issue": 7})),
        Err(HandoffError::Keyed(KeyedError::NoIssue(IssueId(7))))
    ));
    for fields in [json!({"summary": " "}), json!({}), json!({"summary": "x", "state": "done"})] {
        assert!(matches!(world.add(1, fields), Err(HandoffError::Keyed(KeyedError::Problem(_)))));
    }
    assert_eq!(world.store.read().unwrap().count(crate::db::record::Kind::Handoff).unwrap(), 0);
    world.add(1, json!({"summary": "x", "next": ["one"]})).unwrap();
    for number in [0, 2, usize::MAX] {
        assert!(matches!(world.finish(1, Some(number)), Err(HandoffError::NoAction { len: 1, .. })));
    }
}

#[test]
fn undoing_takes_back_the_record_and_the_entry_together() {
    let world = world();
    world.add(1, json!({"summary": "half done", "issue": 1})).unwrap();
    let open = world.get(1);
    let _ = world.finish(1, None).unwrap();
    let undo = |revision| world.as_one("ada", |txn| txn.undo(revision)).unwrap();
    assert!(matches!(undo(None), Undone::Done(revisions) if revisions.len() == 2));
    assert_eq!((world.get(1), world.listed().len()), (open.clone(), 1));
    // by the revision of either of the two
    let _ = world.finish(1, None).unwrap();
    let last = world.store.read().unwrap().revision().unwrap();
    assert!(matches!(undo(Some(last)), Undone::Done(revisions) if revisions.len() == 2));
    assert_eq!((world.get(1), world.listed().len()), (open, 1));
    let _ = world.finish(1, None).unwrap();
    let last = world.store.read().unwrap().revision().unwrap();
    assert!(matches!(undo(Some(Revision(last.0 - 1))), Undone::Done(revisions) if revisions.len() == 2));
    // the writing of it, too
    assert!(matches!(undo(Some(Revision(2))), Undone::Done(revisions) if revisions.len() == 2));
    let read = world.store.read().unwrap();
    assert_eq!((read.records::<Handoff>().unwrap().len(), world.listed().len()), (0, 0));
}

#[test]
fn what_an_import_changes_in_the_list_the_records_follow() {
    let world = world();
    world.add(1, json!({"summary": "half done", "issue": 1, "to": "bob"})).unwrap();
    let mut entry = None;
    world.import(|head| entry = head.handoffs.pop());
    assert_eq!(world.get(1).state, HandoffState::Done);
    // an edit elsewhere won over the removal: it is open again, and knows its session
    world.import(|head| head.handoffs.extend(entry.clone()));
    assert_eq!((world.get(1).state, world.get(1).session.is_some()), (HandoffState::Pending, true));
    // a teammate's
    let mut theirs = entry.unwrap();
    theirs.id = id(2).to_string();
    let crate::schema::value::Value::Map(fields) = &mut theirs.value else { panic!() };
    fields[0].1 = theirs.id.as_str().into();
    world.import(|head| head.handoffs.push(theirs.clone()));
    let taken_in = world.get(2);
    assert_eq!((taken_in.summary.as_str(), taken_in.session), ("half done", None));
    // one that is none stays in the file, and is no record
    world.import(|head| {
        head.handoffs.push(crate::schema::issue::Linked { id: "soon".into(), value: theirs.value.clone() });
    });
    let read = world.store.read().unwrap();
    assert_eq!(read.records::<Handoff>().unwrap().len(), 2);
}

#[test]
fn an_entry_copied_to_another_issue_moves_nothing() {
    let world = world();
    world.add(1, json!({"summary": "half done", "issue": 1})).unwrap();
    let entry = world.store.read().unwrap().head(ONE).unwrap().unwrap().head.handoffs;
    let copied = world.as_one("ada", |txn| {
        let other =
            txn.create(|id, now| Issue { head: IssueHead::new(id, "Other".into(), now), body: String::new() })?;
        txn.update(other.issue.head.id, None, Op::Update, |issue, _| issue.head.handoffs = entry)
    });
    assert!(matches!(copied, Ok::<_, StoreError>(Cas::Changed(_))));
    let slug = world.get(1).issue.unwrap().slug;
    assert_eq!(slug.as_str(), "fix-login");
}

#[test]
fn the_callers_come_first_then_what_is_for_them() {
    let world = world();
    for (number, fields) in [
        (1, json!({"summary": "for eve", "to": "eve"})),
        (2, json!({"summary": "for anybody"})),
        (3, json!({"summary": "for bob", "to": "bob"})),
        (4, json!({"summary": "taken up by bob"})),
    ] {
        world.add(number, fields).unwrap();
    }
    let _ = world.accept(4, "bob", false).unwrap();
    let read = world.store.read().unwrap();
    let order: Vec<_> = open(&*read, &["bob"]).unwrap().into_iter().map(|handoff| handoff.summary).collect();
    assert_eq!(order, ["taken up by bob", "for bob", "for anybody", "for eve"]);
}

#[test]
fn a_session_that_is_known_here_is_not_named_in_the_file() {
    let world = world();
    let session = Session::begin("s9".parse().unwrap(), "2026-11-20T12:00:00Z".parse().unwrap());
    world.as_one("ada", |txn| txn.put_record(&session, Op::Begin)).unwrap();
    world.add(1, json!({"summary": "for s9", "to": "s9", "issue": 1})).unwrap();
    let entry = world.store.read().unwrap().head(ONE).unwrap().unwrap().head.handoffs.remove(0);
    assert_eq!((entry.value.get("to"), world.get(1).to.as_deref()), (None, Some("s9")));
    let shown = world.as_one("ada", |txn| {
        add(
            txn,
            id(2),
            keyed::object(json!({"summary": "for s9", "to": "s9", "issue": 1})),
            &Policy::default(),
            Exports { session_ids: true },
        )
    });
    let key = shown.unwrap().id.to_string();
    let list = world.store.read().unwrap().head(ONE).unwrap().unwrap().head.handoffs;
    let entry = list.iter().find(|entry| entry.id == key).unwrap();
    assert_eq!(entry.value.get("to").and_then(crate::schema::value::Value::as_text), Some("s9"));
}

#[test]
fn a_file_without_room_refuses_the_handoff() {
    let world = world();
    let fields = json!({"summary": "x".repeat(4_000), "issue": 1});
    let refused = (1..=30).find_map(|number| world.add(number, fields.clone()).err());
    assert!(matches!(refused, Some(HandoffError::NoRoom(_))), "{refused:?}");
    let read = world.store.read().unwrap();
    assert_eq!(read.records::<Handoff>().unwrap().len(), read.head(ONE).unwrap().unwrap().head.handoffs.len());
}

#[test]
fn what_a_merge_made_too_large_can_be_ended() {
    let world = world();
    world.add(1, json!({"summary": "x".repeat(4_000), "issue": 1})).unwrap();
    // as many of a teammate's as no file may hold
    world.import(|head| {
        let entry = head.handoffs[0].clone();
        for number in 2..=20 {
            let crate::schema::value::Value::Map(mut fields) = entry.value.clone() else { panic!() };
            fields[0].1 = id(number).to_string().as_str().into();
            let value = crate::schema::value::Value::Map(fields);
            head.handoffs.push(crate::schema::issue::Linked { id: id(number).to_string(), value });
        }
    });
    assert_eq!(world.listed().len(), 20);
    assert!(matches!(world.accept(3, "bob", false), Ok(Outcome::Changed(_))));
    for number in 1..=20 {
        assert!(matches!(world.finish(number, None), Ok(Outcome::Changed(_))), "{number}");
    }
    assert_eq!(world.listed().len(), 0);
}
