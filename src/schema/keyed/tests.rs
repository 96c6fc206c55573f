use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::codec;
use crate::schema::fact::Fact;
use crate::schema::handoff::Handoff;
use crate::schema::health::Health;
use crate::schema::pointer::Pointer;
use crate::schema::privacy::Rule;
use crate::schema::privacy::tests::fakes::{Numbers, fake};
use crate::schema::registry::Registration;
use crate::schema::runtime::Runtime;
use crate::schema::validation::Validation;

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn set<K: Keyed>(old: Option<&K>, fields: Value) -> Result<K, Problem> {
    set_with(old, fields, &Policy::default())
}

fn set_with<K: Keyed>(old: Option<&K>, fields: Value, policy: &Policy) -> Result<K, Problem> {
    let Value::Object(fields) = fields else { panic!("{fields} is no object") };
    admit(old, fields, Origin::Foreign, now(), policy)
}

/// A record of each kind with as much in it as others may say, and every word of its first field.
fn samples() -> Vec<(Schema, Vec<Value>)> {
    vec![
        (
            Pointer::SCHEMA,
            vec![
                json!({"kind": "repo", "name": "a", "target": "ada/tide"}),
                json!({"kind": "branch", "name": "a", "target": "main", "note": "for\ntwo"}),
                json!({"kind": "session", "name": "a b", "target": "s1"}),
                json!({"kind": "pr", "name": "a", "number": 17, "url": "https://github.com/ada/tide/pull/17"}),
                json!({"kind": "issue", "name": "a", "issue": {"created_at": "2026-01-01T00:00:00Z", "slug": "x"}}),
                json!({"kind": "note", "name": "a", "note": "text"}),
            ],
        ),
        (
            Fact::SCHEMA,
            vec![
                json!({"name": "theme", "value": "dark"}),
                json!({"name": "theme", "value": ["a", 1, true]}),
                json!({"name": "theme", "value": 0.25}),
            ],
        ),
        (
            Runtime::SCHEMA,
            vec![json!({
                "name": "proxy", "state": "running", "summary": "all well", "pid": 1, "port": 8080,
                "url": "http://localhost:8080/", "version": "1.0", "since": "2026-01-01T00:00:00Z",
                "expires_at": "2026-12-01T00:00:00Z"
            })],
        ),
        (Health::SCHEMA, vec![json!({"provider": "openai", "model": "x/y"})]),
        (
            Registration::SCHEMA,
            vec![
                json!({
                    "kind": "extension", "name": "lint", "version": "1", "source": "./lint.wasm", "source_type": "local",
                    "integrity": "sha256-abc", "enabled": false, "state": "failed", "permissions": ["file_read"],
                    "last_error": "load", "last_error_at": "2026-01-01T00:00:00Z", "errors": 3,
                    "installed_at": "2026-01-01T00:00:00Z"
                }),
                json!({
                    "kind": "package", "name": "@ada/tide", "scope": "user", "dependencies": ["a", "b"],
                    "disabled_kinds": ["skill"], "forced_on": ["hook"], "forced_off": ["tool"]
                }),
            ],
        ),
        (
            Validation::SCHEMA,
            vec![
                json!({
                    "name": "cargo test", "result": "failed", "command": "cargo test", "exit_code": 101,
                    "duration_ms": 5, "commit": "d14307f", "branch": "main", "dirty": false,
                    "summary": "test result: FAILED. 1 passed; 1 failed", "at": "2026-01-01T00:00:00Z",
                    "issue": {"created_at": "2026-01-01T00:00:00Z", "slug": "x"}, "session": "s1"
                }),
                json!({"name": "lint", "result": "error", "signal": 9, "at": "2026-01-01T00:00:00Z"}),
            ],
        ),
        (
            Handoff::SCHEMA,
            vec![json!({
                "from": "Ada", "to": "bob", "summary": "half\ndone", "session": "s1",
                "next": [{"text": "the other half", "done": false}, {"text": "tests", "done": true}],
                "issue": {"created_at": "2026-01-01T00:00:00Z", "slug": "x"}
            })],
        ),
    ]
}

/// What this program adds to a new record.
fn added(schema: &Schema) -> Map<String, Value> {
    let id = json!("01KAHGXC00000000000000000A");
    let added = match schema.noun {
        "validation" => json!({"id": id}),
        "handoff" => json!({"id": id, "state": "pending", "created_at": now()}),
        _ => json!({}),
    };
    added.as_object().cloned().unwrap()
}

/// Admits fields of the kind of a schema; answers the stored fields.
fn admitted(schema: &Schema, fields: &Value, policy: &Policy) -> Result<Map<String, Value>, Problem> {
    fn of<K: Keyed>(fields: &Value, policy: &Policy) -> Result<Map<String, Value>, Problem> {
        let Value::Object(given) = fields else { panic!("{fields} is no object") };
        let record: K = admit_with(None, given.clone(), added(&K::SCHEMA), now(), policy)?;
        let stored = fields_of(&record);
        // to bytes and back, and over itself: the same
        let bytes = codec::encode(b"key", &record);
        assert!(codec::decode::<K>(b"key", &bytes).is_ok_and(|back| back == record), "{fields}");
        let again: K = set_with(Some(&record), fields.clone(), policy)?;
        assert!(same(&record, &again), "{fields}");
        Ok(stored)
    }
    match schema.noun {
        "pointer" => of::<Pointer>(fields, policy),
        "fact" => of::<Fact>(fields, policy),
        "runtime" => of::<Runtime>(fields, policy),
        "health" => of::<Health>(fields, policy),
        "validation" => of::<Validation>(fields, policy),
        "handoff" => of::<Handoff>(fields, policy),
        _ => of::<Registration>(fields, policy),
    }
}

#[test]
fn the_table_names_the_fields_of_the_struct_in_their_order() {
    for (schema, samples) in samples() {
        let table: Vec<_> = schema.stored().map(|field| field.name).collect();
        for sample in samples {
            let fields = admitted(&schema, &sample, &Policy::default()).unwrap();
            assert_eq!(fields.keys().collect::<Vec<_>>(), table, "{}", schema.noun);
        }
        assert_eq!(schema.field(schema.stamp).map(|field| field.role), Some(Role::Kept), "{}", schema.noun);
        let speaks_of_the_first = schema.fields.iter().any(|field| !field.only.is_empty());
        assert!(schema.fields[0].role == Role::Key || !speaks_of_the_first, "{}", schema.noun);
    }
}

#[test]
fn what_is_said_is_what_is_stored() {
    for (schema, samples) in samples() {
        for sample in samples {
            let fields = admitted(&schema, &sample, &Policy::default()).unwrap();
            for (name, value) in sample.as_object().unwrap() {
                assert_eq!(&fields[name], value, "{}: {name}", schema.noun);
            }
        }
    }
}

#[test]
fn the_json_schema_has_every_field_and_the_hash() {
    for (schema, _) in samples() {
        let described = schema.json_schema();
        let mut names: Vec<_> = schema.fields.iter().map(|field| field.name).collect();
        names.push("hash");
        assert_eq!(described["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), names);
        assert_eq!(described["required"].as_array().unwrap().len(), names.len());
        assert_eq!(schema.json_schema_of_list()["items"]["properties"], described["properties"]);
    }
    let runtime = Runtime::SCHEMA.json_schema();
    assert_eq!(runtime["properties"]["pid"]["type"], json!(["integer", "null"]));
    assert_eq!(runtime["properties"]["name"]["type"], json!("string"));
    assert_eq!(runtime["properties"]["updated_at"]["readOnly"], json!(true));
}

#[test]
fn fields_that_are_unknown_or_not_the_callers_are_refused_and_not_repeated() {
    for (schema, samples) in samples() {
        let foreign = schema.fields.iter().filter(|field| matches!(field.role, Role::Kept | Role::Shown));
        for name in foreign.map(|field| field.name).chain(["hunter2-field", ""]) {
            let mut sample = samples[0].clone();
            sample[name] = json!("hunter2-value");
            let problem = admitted(&schema, &sample, &Policy::default()).unwrap_err();
            assert!(matches!(problem, Problem::UnknownField { .. }), "{}: {name}: {problem}", schema.noun);
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}

#[test]
fn required_fields_are_missed_and_fields_of_other_words_refused() {
    for (schema, samples) in samples() {
        for sample in &samples {
            let required = schema.stored().filter(|field| field.required && sample.get(field.name).is_some());
            for field in required.filter(|field| !["errors", "enabled"].contains(&field.name)) {
                let mut without = sample.clone();
                without.as_object_mut().unwrap().shift_remove(field.name);
                let problem = admitted(&schema, &without, &Policy::default()).unwrap_err();
                assert_eq!(problem, Problem::Missing(field.name), "{}", schema.noun);
            }
        }
    }
    let problem = set::<Pointer>(None, json!({"kind": "repo", "name": "a", "target": "a/b", "number": 1})).unwrap_err();
    assert_eq!(problem, Problem::NotFor { field: "number", word: "repo".into() });
}

#[test]
fn null_clears_a_field_and_the_key_is_fixed() {
    let first: Runtime = set(None, json!({"name": "a", "state": "running", "pid": 1})).unwrap();
    let second: Runtime = set(Some(&first), json!({"pid": null, "port": 80})).unwrap();
    assert_eq!((second.pid, second.port, second.state), (None, Some(80), first.state));
    assert_eq!(set(Some(&first), json!({"name": "b"})), Err::<Runtime, _>(Problem::FixedKey("name")));
    assert_eq!(set(Some(&first), json!({"state": null})), Err::<Runtime, _>(Problem::Missing("state")));
}

#[test]
fn one_time_has_one_spelling() {
    let runtime: Runtime =
        set(None, json!({"name": "a", "state": "running", "since": "2026-01-01 09:00:00+09:00"})).unwrap();
    assert_eq!(fields_of(&runtime)["since"], "2026-01-01T00:00:00Z");
}

/// Values that a field does not hold.
fn wrong(is: Type) -> Vec<Value> {
    let text = |len: usize| json!("t".repeat(len));
    let mut wrong = vec![json!({"a": 1})];
    wrong.extend(match is {
        Type::Name(max) => {
            vec![text(max + 1), json!(""), json!(" a"), json!("a\n"), json!("a\u{1b}[2J"), json!("a\u{202e}"), json!(1)]
        }
        Type::Line(max) => vec![text(max + 1), json!("a\nb"), json!("\u{9b}x"), json!(true)],
        Type::Text(max) => vec![text(max + 1), json!("a\u{1b}[2J"), json!(["a"])],
        Type::Word(_) => vec![json!("nonsense"), json!(""), json!(1)],
        Type::Whole(least, most) => {
            let mut wrong = vec![json!(-1), json!(1.5), json!("1"), json!(true)];
            wrong.extend(least.checked_sub(1).map(|less| json!(less)));
            wrong.extend(most.checked_add(1).map(|more| json!(more)));
            wrong
        }
        Type::Flag => vec![json!("true"), json!(1)],
        Type::Time => vec![json!("2026-01-01"), json!("2026-01-01T00:00:00"), json!(0), json!("")],
        Type::Url => {
            vec![
                json!("localhost:80"),
                json!("http://"),
                json!("http://a@h/"),
                json!("http://h/ x"),
                json!(80),
                text(2001),
            ]
        }
        Type::Names(most, max) => {
            vec![
                json!("a"),
                json!([1]),
                json!([""]),
                json!(["t".repeat(max + 1)]),
                json!(vec!["t"; most + 1]),
                json!(["a\nb"]),
            ]
        }
        Type::Any(max) => vec![text(max), json!([["a"]]), json!("\u{1b}[2J")],
        Type::Issue => vec![json!("x"), json!(1), json!({"slug": "x"}), json!({"created_at": "soon", "slug": "x"})],
        Type::Actions(most, max) => {
            vec![
                json!("a"),
                json!([1]),
                json!([""]),
                json!([{"text": "a", "more": 1}]),
                json!([{"done": true}]),
                json!([{"text": "a", "done": "no"}]),
                json!(["t".repeat(max + 1)]),
                json!(vec!["t"; most + 1]),
                json!(["a\nb"]),
            ]
        }
    });
    wrong
}

#[test]
fn values_of_the_wrong_type_or_size_are_refused_by_the_field() {
    for (schema, samples) in samples() {
        for sample in &samples {
            for field in schema.fields.iter().filter(|field| sample.get(field.name).is_some()) {
                for value in wrong(field.is) {
                    let mut changed = sample.clone();
                    changed[field.name] = value.clone();
                    let problem = admitted(&schema, &changed, &Policy::default()).unwrap_err();
                    let named = matches!(&problem, Problem::Invalid { field: name, .. } if *name == field.name);
                    assert!(named, "{}.{} = {value}: {problem}", schema.noun, field.name);
                }
            }
        }
    }
}

#[test]
fn a_secret_in_any_field_is_refused_or_redacted() {
    let mut numbers = Numbers(7);
    for rule in Rule::ALL {
        for round in 0..4 {
            let fake = fake(rule, &mut numbers);
            for (schema, samples) in samples() {
                for sample in &samples {
                    for field in schema.fields.iter().filter(|field| sample.get(field.name).is_some()) {
                        let mut changed = sample.clone();
                        let in_list = matches!(field.is, Type::Names(..) | Type::Actions(..))
                            || (matches!(field.is, Type::Any(_)) && round % 2 == 1);
                        changed[field.name] = if in_list { json!(["a", fake.text]) } else { json!(fake.text) };
                        let at = format!("{}.{}: {rule}", schema.noun, field.name);
                        let problem = admitted(&schema, &changed, &Policy::default()).expect_err(&at);
                        assert!(matches!(problem, Problem::Secret { .. }), "{at}: {problem}");
                        assert!(!problem.to_string().contains(&fake.secret), "{at}");
                        let redact = Policy { redact: true, ..Policy::default() };
                        match admitted(&schema, &changed, &redact) {
                            Ok(fields) => {
                                let text = Value::Object(fields).to_string();
                                assert!(text.contains("[redacted") && !text.contains(&fake.secret), "{at}: {text}");
                            }
                            Err(problem) => assert!(!problem.to_string().contains(&fake.secret), "{at}"),
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_stored_as_it_is_or_refused(text in "\\PC{0,40}|[a-z]{1,8}|.{0,12}") {
        let sample = json!({"name": "a", "state": "running", "summary": text.clone()});
        if let Ok(runtime) = set::<Runtime>(None, sample) {
            prop_assert_eq!(runtime.summary, Some(text.clone()));
        }
        if let Ok(fact) = set::<Fact>(None, json!({"name": text.clone(), "value": text.clone()})) {
            prop_assert_eq!(Keyed::key(&fact), text.clone());
            prop_assert!(!text.is_empty() && !text.chars().any(crate::schema::id::is_deceptive));
        }
    }

    #[test]
    fn setting_twice_is_setting_once(pid in 1_u32..1000, port in any::<u16>(), version in "[a-z0-9.]{1,10}") {
        let fields = json!({"name": "a", "state": "running", "pid": pid, "port": port, "version": version});
        if let Ok(once) = set::<Runtime>(None, fields.clone()) {
            let twice = set(Some(&once), fields).unwrap();
            prop_assert_eq!(once, twice);
        } else {
            prop_assert_eq!(port, 0);
        }
    }
}

#[test]
fn what_an_older_record_holds_is_not_looked_at_again() {
    let fake = fake(Rule::GithubToken, &mut Numbers(1));
    let allow = Policy { allow: Rule::ALL.into_iter().collect(), redact: false };
    let note = fake.text.replace('\n', " ");
    let first: Runtime = set_with(None, json!({"name": "a", "state": "running", "summary": note}), &allow).unwrap();
    assert!(set(Some(&first), json!({"summary": format!("{note} and more")})).is_ok());
    assert!(set(None::<&Runtime>, json!({"name": "a", "state": "running", "summary": note})).is_err());
}
