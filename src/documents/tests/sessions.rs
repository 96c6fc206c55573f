//! The sessions API: first the original's own tests, then its weaknesses.

use super::*;

fn pointer(id: &str, user: &str, now: &str) -> SessionPointer {
    SessionPointer::new(id.parse().unwrap(), user, time(now))
}

#[test]
fn a_session_comes_back_as_it_was_saved() {
    let world = world();
    let mut session = pointer("S1", "alice", "2026-11-20T12:00:00Z");
    session.add_user_message(time("2026-11-20T12:00:01Z"));
    session.add_agent_response(time("2026-11-20T12:00:02Z"));
    session.set_active_seed(Some("seed-1".into()), time("2026-11-20T12:00:03Z"));
    world.documents().save_session(&session).unwrap();
    assert_eq!(world.documents().load_session("S1").unwrap(), Some(session));
}

#[test]
fn sessions_are_listed_by_their_last_change() {
    let world = world();
    let documents = world.documents();
    for (id, now) in [("old", "2026-11-20T12:00:00Z"), ("new", "2026-11-22T12:00:00Z"), ("mid", "2026-11-21T12:00:00Z")]
    {
        documents.save_session(&pointer(id, "alice", now)).unwrap();
    }
    // text has no place beside them, nor below
    for category in ["sessions", "sessions/below"] {
        let refused = documents.save_markdown(category, "notes", "not a session");
        assert!(matches!(refused, Err(DocumentError::NotAPointer { .. })), "{category}: {refused:?}");
    }
    let below = documents.save_json("sessions/below", "notes", &serde_json::json!({"messages": []}));
    assert!(matches!(below, Err(DocumentError::NotAPointer { .. })), "{below:?}");
    let ids = |list: Vec<SessionSummary>| list.into_iter().map(|it| it.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(documents.list_sessions().unwrap()), ["new", "mid", "old"]);
    documents.change_session("old", |session| session.add_user_message(time("2026-11-23T12:00:00Z"))).unwrap();
    let list = documents.list_sessions().unwrap();
    assert_eq!(list[0].message_count, 1);
    assert_eq!(ids(list), ["old", "new", "mid"]);
}

#[test]
fn a_deleted_session_is_gone() {
    let world = world();
    let documents = world.documents();
    documents.save_session(&pointer("S1", "alice", "2026-11-20T12:00:00Z")).unwrap();
    assert!(documents.delete_session("S1").unwrap());
    assert_eq!(documents.load_session("S1").unwrap(), None);
    assert!(!documents.delete_session("S1").unwrap());
    assert_eq!(documents.change_session("S1", |_| ()).unwrap(), None);
}

#[test]
fn who_asks_for_a_session_that_is_there_gets_it() {
    let world = world();
    let mut session = pointer("S1", "alice", "2026-11-20T11:00:00Z");
    session.add_user_message(time("2026-11-20T11:00:01Z"));
    world.documents().save_session(&session).unwrap();
    let got = world.documents().get_or_create_session("alice", Some("S1"), getrandom::fill).unwrap();
    assert_eq!(got, session);
}

#[test]
fn who_asks_for_one_that_is_not_there_gets_a_new_one() {
    let world = world();
    let documents = world.documents();
    let named = documents.get_or_create_session("alice", Some("S2"), getrandom::fill).unwrap();
    assert_eq!(named, pointer("S2", "alice", "2026-11-20T12:00:00Z"));
    assert_eq!(documents.load_session("S2").unwrap(), Some(named));
    let random = |bytes: &mut [u8]| {
        bytes.fill(0xff);
        Ok::<_, StoreError>(())
    };
    let unnamed = documents.get_or_create_session("alice", None, random).unwrap();
    assert_eq!(unnamed.id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert!(documents.load_session(unnamed.id.as_str()).unwrap().is_some());
}

#[test]
fn another_users_session_is_neither_given_nor_overwritten() {
    let world = world();
    let documents = world.documents();
    let alices = pointer("S1", "alice", "2026-11-20T12:00:00Z");
    documents.save_session(&alices).unwrap();
    let got = documents.get_or_create_session("eve", Some("S1"), getrandom::fill);
    assert!(matches!(got, Err(DocumentError::OtherOwner(id)) if id.as_str() == "S1"));
    let eves = pointer("S1", "eve", "2026-11-20T12:00:00Z");
    let overwritten = [
        documents.save_session(&eves),
        documents.update_session(&eves),
        documents.save_json("sessions", "S1", &eves).map(drop),
        documents.change_json("sessions", "S1", |_: Option<Value>| serde_json::to_value(&eves).unwrap()).map(drop),
    ];
    for result in overwritten {
        assert!(matches!(result, Err(DocumentError::OtherOwner(_))), "{result:?}");
    }
    // a step that changes a session cannot give it away
    documents.change_session("S1", |session| session.user_id = "eve".into()).unwrap();
    assert_eq!(documents.load_session("S1").unwrap(), Some(alices));
}

#[test]
fn nothing_that_was_said_can_be_stored_as_a_session_by_any_way() {
    let world = world();
    let documents = world.documents();
    let original = include_str!("../../../tests/golden/documents/oxios-state-session.json");
    let given: Value = serde_json::from_str(original).unwrap();
    let put = documents.save("sessions", "S1", DocumentKind::Json, original, Expect::Anything);
    assert!(matches!(put, Err(DocumentError::NotAPointer { .. })), "{put:?}");
    assert!(matches!(documents.save_json("sessions", "S1", &given), Err(DocumentError::NotAPointer { .. })));
    let changed = documents.change_json("sessions", "S1", |_: Option<Value>| given.clone());
    assert!(matches!(changed, Err(DocumentError::NotAPointer { .. })));
    let appended = documents.collection("sessions").unwrap().append(&given, getrandom::fill);
    assert!(matches!(appended, Err(DocumentError::NotAPointer { .. })));
    let mut said = pointer("S1", "alice", "2026-11-20T12:00:00Z");
    said.set_metadata("first", "hello, how are you?", time("2026-11-20T12:00:00Z"));
    assert!(matches!(documents.save_session(&said), Err(DocumentError::NotAName(_))));
    let misnamed = pointer("S1", "alice", "2026-11-20T12:00:00Z");
    assert!(matches!(documents.save_json("sessions", "S2", &misnamed), Err(DocumentError::Misnamed(_))));
    assert_eq!(documents.list_sessions().unwrap(), []);
    // of a key that is there twice the reader takes the last, and the first must not stay
    let twice = serde_json::to_string(&misnamed).unwrap().replace("{}", r#"{"k":"hello","k":"v"}"#);
    let _ = documents.save("sessions", "S1", DocumentKind::Json, &twice, Expect::Anything).unwrap();
    assert_eq!(documents.load_session("S1").unwrap().unwrap().get_metadata("k"), Some("v"));
    // what may be kept of it
    documents.save_session(&SessionPointer::of_original(original).unwrap()).unwrap();
    assert_eq!(documents.list_sessions().unwrap()[0].message_count, 1);
    let bytes = std::fs::read(world.folder.path().join(crate::db::DATABASE)).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"hello"));
}

#[test]
fn a_session_that_cannot_be_read_is_named_and_never_left_out() {
    let world = world();
    let documents = world.documents();
    documents.save_session(&pointer("good", "alice", "2026-11-20T12:00:00Z")).unwrap();
    let path = DocumentPath::new("sessions", "bad").unwrap();
    let author = documents.author.clone();
    let put = world.store.write(&author, |txn| {
        txn.put_document(&path, DocumentKind::Json, "{\"id\":1}", crate::db::Op::Create).map(drop)
    });
    put.unwrap();
    let error = documents.list_sessions().unwrap_err();
    assert!(error.to_string().starts_with("document sessions/bad/json cannot be read"), "{error}");
    assert!(documents.load_session("bad").is_err());
    assert!(documents.delete_session("bad").unwrap());
    assert_eq!(documents.list_sessions().unwrap().len(), 1);
}

#[test]
fn the_same_pointer_has_the_same_bytes_and_a_long_session_is_no_larger() {
    let world = world();
    let documents = world.documents();
    let now = time("2026-11-20T12:00:00Z");
    let save = |keys: &[&str], messages: u64| {
        let mut session = pointer("S1", "alice", "2026-11-20T12:00:00Z");
        for key in keys {
            session.metadata.insert((*key).to_owned(), "v".into());
        }
        session.user_message_count = messages;
        session.updated_at = now;
        documents.save_session_if(&session, Expect::Anything).unwrap()
    };
    let Saved::Created(first) = save(&["b", "a", "c"], 1) else { panic!("it was new") };
    assert_eq!(save(&["c", "b", "a"], 1), Saved::Unchanged(first.clone()));
    let Saved::Changed(long) = save(&["a", "b", "c"], 1_000_000) else { panic!("it has more messages") };
    assert!(long.size < first.size + 10);
}

#[test]
fn no_message_goes_uncounted_when_many_count_at_once() {
    let world = world();
    let documents = world.documents();
    documents.save_session(&pointer("S1", "alice", "2026-11-20T12:00:00Z")).unwrap();
    all_at_once(8, |turn| {
        for _ in 0..4 {
            let now = time("2026-11-20T12:00:00Z");
            let changed = world.documents().change_session("S1", |session| {
                if turn % 2 == 0 { session.add_user_message(now) } else { session.add_agent_response(now) }
            });
            changed.unwrap();
        }
    });
    let session = documents.load_session("S1").unwrap().unwrap();
    assert_eq!((session.user_message_count, session.exchange_count()), (16, 16));
}
