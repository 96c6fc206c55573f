use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::db::StoreError;
use crate::schema::document::{Fault, InvalidName, MAX_TEXT};
use crate::schema::privacy::Rule;
use crate::schema::time::Timestamp;

mod sessions;

struct World {
    folder: tempfile::TempDir,
    store: Store,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(60)).unwrap();
    store.create_if_missing().unwrap();
    World { folder, store }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    fn at(&self, now: &str) -> Documents<'_> {
        Documents::new(&self.store, Author { actor: "test".into(), session: None, now: time(now) })
    }

    fn documents(&self) -> Documents<'_> {
        self.at("2026-11-20T12:00:00Z")
    }
}

/// Does the same in many threads.
fn all_at_once(count: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for turn in 0..count {
            let work = &work;
            scope.spawn(move || work(turn));
        }
    });
}

fn fake_token() -> String {
    ["ghp_", "R7kQ2mZx9LpT4vWb8NcY", "1sJd6HfG3aEu5oXi"].concat()
}

#[test]
fn markdown_and_json_of_one_name_are_independent() {
    let world = world();
    let documents = world.documents();
    assert_eq!(documents.load_markdown("a/b", "c").unwrap(), None, "what is not there is none");
    assert_eq!(documents.load_json::<Value>("a/b", "c").unwrap(), None);
    assert_eq!(documents.list_category("a/b").unwrap(), [""; 0], "nor is a category");
    documents.save_markdown("a/b", "c", "text\r\n\u{1b}[0m").unwrap();
    assert_eq!(documents.load_json::<Value>("a/b", "c").unwrap(), None);
    documents.save_json("a/b", "c", &json!({ "z": [1, {}], "a": null })).unwrap();
    assert_eq!(documents.load_markdown("a/b", "c").unwrap().as_deref(), Some("text\r\n\u{1b}[0m"));
    let stored = documents.load("a/b", "c", DocumentKind::Json).unwrap().unwrap();
    assert_eq!(stored.text, "{\n  \"z\": [\n    1,\n    {}\n  ],\n  \"a\": null\n}");
    // one for each call, JSON first
    assert!(documents.delete_file("a/b", "c").unwrap());
    assert_eq!(documents.load_json::<Value>("a/b", "c").unwrap(), None);
    assert!(documents.load_markdown("a/b", "c").unwrap().is_some());
    assert!(documents.delete_file("a/b", "c").unwrap());
    assert!(!documents.delete_file("a/b", "c").unwrap());
}

#[test]
fn a_list_names_everything_once_and_only_what_is_directly_there() {
    let world = world();
    let documents = world.documents();
    for (category, name) in [("n", "b"), ("n", "a"), ("n", "B"), ("n/deep", "x"), ("nn", "y")] {
        documents.save_markdown(category, name, "").unwrap();
    }
    documents.save_json("n", "a", &1).unwrap();
    assert_eq!(documents.list_category("n").unwrap(), ["B", "a", "b"]);
    assert_eq!(documents.list_markdown("n").unwrap(), ["B", "a", "b"]);
    assert_eq!(documents.list_json("n").unwrap(), ["a"]);
    assert_eq!(documents.list_categories().unwrap(), ["n", "n/deep", "nn"]);
    let kinds: Vec<_> = documents.list("n").unwrap().iter().map(|it| (it.name.to_string(), it.kind)).collect();
    assert_eq!(kinds[1..3], [("a".into(), DocumentKind::Json), ("a".into(), DocumentKind::Markdown)]);
}

#[test]
fn every_entry_point_checks_every_name() {
    let world = world();
    let documents = world.documents();
    documents.save_json("victim", "v", &1).unwrap();
    for bad in ["", ".", "..", "../victim/v", "/victim/v", "a\\b", "C:x", "a\nb", "a\0b", "x ", ".x", "e\u{301}", "NUL"]
    {
        let named = |category: &str, name: &str| -> Vec<Result<(), DocumentError>> {
            vec![
                documents.save_markdown(category, name, "").map(drop),
                documents.save_markdown_if(category, name, "", Expect::Nothing).map(drop),
                documents.save_json(category, name, &1).map(drop),
                documents.save_json_if(category, name, &1, Expect::Nothing).map(drop),
                documents.save(category, name, DocumentKind::Json, "1", Expect::Anything).map(drop),
                documents.change_json(category, name, |_: Option<u8>| 1).map(drop),
                documents.load_markdown(category, name).map(drop),
                documents.load_json::<u8>(category, name).map(drop),
                documents.load(category, name, DocumentKind::Json).map(drop),
                documents.delete_file(category, name).map(drop),
                documents.delete(category, name, None, None).map(drop),
            ]
        };
        let mut results = named("ok", bad);
        if !bad.starts_with("..") || bad == ".." {
            results.extend(named(bad, "ok"));
            results.extend(named(&format!("ok/{bad}"), "ok"));
        }
        results.extend([
            documents.list_category(&format!("ok/{bad}")).map(drop),
            documents.list_markdown(&format!("ok/{bad}")).map(drop),
            documents.list_json(&format!("ok/{bad}")).map(drop),
            documents.list(&format!("ok/{bad}")).map(drop),
            documents.collection::<u8>(&format!("ok/{bad}")).map(drop),
            documents.load_session(bad).map(drop),
            documents.delete_session(bad).map(drop),
            documents.change_session(bad, |_| ()).map(drop),
            documents.get_or_create_session("u", Some(bad), getrandom::fill).map(drop),
        ]);
        for (index, result) in results.into_iter().enumerate() {
            assert!(matches!(result, Err(DocumentError::Name(_))), "{bad:?}, entry point {index}: {result:?}");
        }
    }
    let error = documents.load_markdown("a//b", "x").unwrap_err();
    assert!(matches!(error, DocumentError::Name(InvalidName { fault: Fault::EmptyPart, .. })));
    assert_eq!(documents.load_json::<u8>("victim", "v").unwrap(), Some(1), "nobody reached it");
    assert_eq!(documents.list_categories().unwrap(), ["victim"], "nothing else was stored");
    documents.save_markdown("v1..v2", "v1..v2", "").unwrap();
}

#[test]
fn malformed_json_is_an_error_and_not_none() {
    let world = world();
    let documents = world.documents();
    let saved = documents.save("a", "b", DocumentKind::Json, "{\"a\":", Expect::Anything);
    assert!(matches!(saved, Err(DocumentError::Malformed { line: 1, .. })));
    // only a program that goes around this module can store such
    let path = DocumentPath::new("a", "b").unwrap();
    let author = documents.author.clone();
    let put = world
        .store
        .write(&author, |txn| txn.put_document(&path, DocumentKind::Json, "{", crate::db::Op::Create).map(drop));
    put.unwrap();
    let error = documents.load_json::<Value>("a", "b").unwrap_err();
    assert_eq!(error.to_string(), "document a/b/json cannot be read at line 1, column 1");
    documents.save_json("a", "b", &"text").unwrap();
    let error = documents.load_json::<u8>("a", "b").unwrap_err();
    assert!(matches!(error, DocumentError::Unreadable { .. }), "of another type");
    let unspeakable = BTreeMap::from([(vec![1], 2)]);
    assert!(matches!(documents.save_json("a", "b", &unspeakable), Err(DocumentError::NotJson(_))));
}

#[test]
fn a_save_over_what_the_caller_did_not_see_is_refused() {
    let world = world();
    let documents = world.documents();
    let save = |text: &str, expect| documents.save_markdown_if("a", "b", text, expect).unwrap();
    let Saved::Created(first) = save("one", Expect::Nothing) else { panic!("it was new") };
    assert_eq!(save("two", Expect::Nothing), Saved::Stale { current: Some(first.hash) });
    let Saved::Changed(second) = save("two", Expect::Hash(first.hash)) else { panic!("it was as seen") };
    assert_eq!(save("three", Expect::Hash(first.hash)), Saved::Stale { current: Some(second.hash) });
    assert_eq!(save("two", Expect::Anything), Saved::Unchanged(second.clone()));
    let stale = documents.delete("a", "b", None, Some(first.hash)).unwrap();
    assert_eq!(stale, Deleted::Stale { current: second.clone() });
    assert_eq!(documents.delete("a", "b", Some(DocumentKind::Json), None).unwrap(), Deleted::Missing);
    assert_eq!(documents.delete("a", "b", None, Some(second.hash)).unwrap(), Deleted::Done(second.clone()));
    assert_eq!(save("two", Expect::Hash(second.hash)), Saved::Stale { current: None });
    assert_eq!("none".parse(), Ok(Expect::Nothing));
    assert_eq!(first.hash.to_string().parse(), Ok(Expect::Hash(first.hash)));
    assert_eq!("any".parse::<Expect>(), Err(InvalidExpect));
}

#[test]
fn what_is_changed_in_one_step_is_never_lost() {
    let world = world();
    all_at_once(8, |turn| {
        for _ in 0..4 {
            world.documents().change_json("n", "count", |count: Option<u64>| count.unwrap_or_default() + 1).unwrap();
        }
        // both kinds of one name at once: neither is torn, neither gets into the other
        let text = turn.to_string().repeat(1000);
        world.documents().save_markdown("n", "both", &text).unwrap();
        world.documents().save_json("n", "both", &text).unwrap();
        let read = world.documents().load_markdown("n", "both").unwrap().unwrap();
        assert!(read.len() == 1000 && read.chars().all(|c| read.starts_with(c)));
        assert_eq!(world.documents().load_json::<String>("n", "both").unwrap().unwrap().len(), 1000);
    });
    assert_eq!(world.documents().load_json::<u64>("n", "count").unwrap(), Some(32));
    let names: Vec<_> = world
        .folder
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.contains("tmp")), "no temporary file is left: {names:?}");
}

#[test]
fn nothing_is_stored_beyond_the_limit() {
    let world = world();
    let documents = world.documents();
    documents.save_markdown("a", "b", &"x".repeat(MAX_TEXT)).unwrap();
    let over = documents.save_markdown("a", "b", &"y".repeat(MAX_TEXT + 1));
    assert!(matches!(over, Err(DocumentError::TooLarge)));
    assert!(matches!(documents.save_json("a", "b", &"x".repeat(MAX_TEXT)), Err(DocumentError::TooLarge)));
    assert_eq!(documents.load_markdown("a", "b").unwrap().unwrap().len(), MAX_TEXT);
}

#[test]
fn what_looks_like_a_secret_is_refused_wherever_it_hides() {
    let world = world();
    let documents = world.documents();
    let token = fake_token();
    let refused = |result: Result<Document, DocumentError>| match result {
        Err(DocumentError::Secret(refused) | DocumentError::SecretName(refused)) => {
            (refused.rule, refused.line, refused.column)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(documents.save_markdown("a", "b", &format!("one\ntwo {token}"))), (Rule::GithubToken, 2, 5));
    assert_eq!(refused(documents.save_json("a", "b", &json!({ "x": [token] }))), (Rule::GithubToken, 3, 6));
    assert_eq!(refused(documents.save_json("a", "b", &json!({ &token: 1 }))).0, Rule::GithubToken);
    assert_eq!(refused(documents.save_markdown("a", &token, "")).0, Rule::GithubToken);
    let text = |text: String| documents.save("a", "b", DocumentKind::Json, &text, Expect::Anything);
    let hidden = format!("{{\n \"x\":  \"\\u0067{}\"}}", &token[1..]);
    let Err(DocumentError::Secret(found)) = text(hidden) else { panic!("behind an escape") };
    assert_eq!((found.rule, found.line, found.column), (Rule::GithubToken, 2, 8));
    assert_eq!(documents.list_categories().unwrap(), [""; 0]);
    // as it is meant to be: redacted, and still JSON
    let redacting = world.documents().with_policy(Policy { redact: true, ..Policy::default() });
    let low = ["low-tide", "-7Qx41"].concat();
    let given = json!({ "x": [token, "said \"hi\"\n"], "db_password": low, "url": format!("postgres://u:{low}@h/d") });
    redacting.save_json("a", "b", &given).unwrap();
    let stored = redacting.load("a", "b", DocumentKind::Json).unwrap().unwrap().text;
    assert!(!stored.contains(&token) && !stored.contains(&low), "{stored}");
    let value: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(value["x"], json!(["[redacted:github-token]", "said \"hi\"\n"]));
    assert_eq!(refused(redacting.save_json("a", "b", &json!({ &token: 1 }))).0, Rule::GithubToken, "keys are not");
    assert_eq!(refused(redacting.save_markdown("a", &token, "")).0, Rule::GithubToken, "nor names");
    // accepted once, it does not stop later edits
    let allowing = world.documents().with_policy(Policy { allow: [Rule::GithubToken].into(), redact: false });
    allowing.save_json("a", "c", &json!([token])).unwrap();
    documents.save_json("a", "c", &json!([token, "more"])).unwrap();
    let read = world.store.read().unwrap();
    let found = read.log(crate::schema::id::Revision(0), usize::MAX, |_| true).unwrap();
    assert!(!format!("{found:?}").contains(&low));
}

#[test]
fn a_collection_keeps_the_order_of_appending_on_any_clock() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: i64,
        label: Option<String>,
    }
    let world = world();
    let point = |x| Point { x, label: None };
    let times = ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z", "2020-01-01T00:00:00Z", "2026-11-20T12:00:01Z"];
    let mut ids = Vec::new();
    for (x, now) in times.into_iter().enumerate() {
        let points = world.at(now).collection::<Point>("lab/points").unwrap();
        ids.push(points.append(&point(i64::try_from(x).unwrap()), getrandom::fill).unwrap());
    }
    assert!(ids.is_sorted(), "{ids:?}");
    let documents = world.documents();
    let points = documents.collection::<Point>("lab/points").unwrap();
    // what else lies there is not of the collection
    documents.save_markdown("lab/points", "7notes", "").unwrap();
    documents.save_json("lab/points/7", "deep", &1).unwrap();
    documents.save_markdown("lab/points", &"7".repeat(26), "").unwrap();
    assert_eq!(points.list("").unwrap(), ids);
    assert_eq!(points.list(&ids[3].to_string()[..26]).unwrap(), [ids[3]]);
    let all: Vec<_> = points.load_all("").unwrap().into_iter().map(|(_, point)| point.x).collect();
    assert_eq!(all, [0, 1, 2, 3]);
    let id = ids[1].to_string();
    assert_eq!(points.load(&id).unwrap(), Some(point(1)));
    assert!(points.delete(&id).unwrap() && !points.delete(&id).unwrap());
    assert_eq!(points.load(&id).unwrap(), None);
    assert_eq!(documents.collection::<Point>("lab/other").unwrap().load(&ids[0].to_string()).unwrap(), None);
    for bad in ["", "x", "../points", &id.to_lowercase(), &format!("8{}", &id[1..])] {
        assert!(matches!(points.load(bad), Err(DocumentError::Id(_))), "{bad}");
        assert!(matches!(points.delete(bad), Err(DocumentError::Id(_))), "{bad}");
    }
    assert!(matches!(points.list("a/"), Err(DocumentError::Id(_))));
    let other = documents.collection::<u8>("lab/points").unwrap();
    assert!(matches!(other.load_all(""), Err(DocumentError::Unreadable { .. })), "of another type");
    let last = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    documents.save_json("lab/points", last, &point(9)).unwrap();
    assert!(matches!(points.append(&point(0), getrandom::fill), Err(DocumentError::IdsExhausted)));
    let stuck = documents.collection("lab/new").unwrap().append(&1, |_| Err("no chance"));
    assert!(matches!(stuck, Err(DocumentError::Random(_))));
}

#[test]
fn of_many_who_append_at_once_nobody_is_lost() {
    let world = world();
    // chance that gives the same to everybody
    let random = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok::<_, StoreError>(())
    };
    all_at_once(8, |turn| {
        let documents = world.documents();
        let collection = documents.collection::<usize>("n").unwrap();
        for step in 0..4 {
            collection.append(&(turn * 4 + step), random).unwrap();
        }
    });
    let documents = world.documents();
    let all = documents.collection::<usize>("n").unwrap().load_all("").unwrap();
    let mut values: Vec<_> = all.iter().map(|(_, value)| *value).collect();
    values.sort_unstable();
    assert_eq!(values, (0..32).collect::<Vec<_>>());
}
