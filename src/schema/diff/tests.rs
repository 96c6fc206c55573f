//! Examples of differences, and the law that undo puts back what was.

use proptest::prelude::*;

use super::*;
use crate::sync::merge::laws::{cases, issues};

fn issue() -> Issue {
    let now = "2026-06-17T10:30:00Z".parse().unwrap();
    Issue { head: IssueHead::new(IssueId(12), "Fix it".to_owned(), now), body: String::new() }
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn only_fields_that_differ_are_named() {
    let before = issue();
    let mut after = before.clone();
    assert_eq!(fields(Some(&before), Some(&after)), (Value::Map(vec![]), Value::Map(vec![])));
    after.head.title = "Fix it all".to_owned();
    after.head.labels = vec!["bug".to_owned()];
    after.head.github = Some(GithubRef { repo: "a/b".to_owned(), number: u64::MAX, url: "u".to_owned() });
    after.head.depends_on = vec![Link::parse("7").unwrap(), Link::parse("0012-fix-it").unwrap()];
    let lines = Extra { yaml: "due: 3\n".to_owned(), value: Value::Int(3) };
    after.head.extra.insert("due".to_owned(), lines);
    after.body = "Text\n".to_owned();
    let (old, new) = fields(Some(&before), Some(&after));
    assert_eq!(
        json(&old),
        r#"{"title":"Fix it","labels":null,"github":null,"depends_on":null,"body":null,"extra.due":null}"#
    );
    assert_eq!(
        json(&new),
        r#"{"title":"Fix it all","labels":["bug"],"github":{"repo":"a/b","number":18446744073709551615,"url":"u"},"depends_on":["0007","0012-fix-it"],"body":"Text\n","extra.due":{"yaml":"due: 3\n","value":3}}"#
    );
}

#[test]
fn a_creation_names_all_that_is_there() {
    let created = issue();
    let named = r#"{"id":12,"title":"Fix it","status":"open","priority":"medium","created_at":"2026-06-17T10:30:00Z","updated_at":"2026-06-17T10:30:00Z","slug":"fix-it"}"#;
    let (old, new) = fields(None, Some(&created));
    assert_eq!((old, json(&new).as_str()), (Value::Null, named));
    let (old, new) = fields(Some(&created), None);
    assert_eq!((json(&old).as_str(), new), (named, Value::Null));
    assert_eq!(fields(None, None), (Value::Null, Value::Null));
}

#[test]
fn what_fields_never_gave_is_refused_and_changes_nothing() {
    use InvalidFields::{NotAMap, UnknownField, WrongValue};
    let wrong = |name: &str| WrongValue(name.to_owned());
    for (fields, why) in [
        ("null", NotAMap),
        ("[]", NotAMap),
        (r#"{"title":"x","colour":"red"}"#, UnknownField("colour".to_owned())),
        (r#"{"title":"x","id":-1}"#, wrong("id")),
        (r#"{"title":"x","id":4294967296}"#, wrong("id")),
        (r#"{"assignee":"x","title":null}"#, wrong("title")),
        (r#"{"title":"x","status":"done"}"#, wrong("status")),
        (r#"{"title":"x","labels":"bug"}"#, wrong("labels")),
        (r#"{"title":"x","labels":["bug",1]}"#, wrong("labels")),
        (r#"{"title":"x","closed_at":"today"}"#, wrong("closed_at")),
        (r#"{"title":"x","github":{"repo":"a/b"}}"#, wrong("github")),
        (r#"{"title":"x","validations":[{"name":"no id"}]}"#, wrong("validations")),
        (r#"{"title":"x","depends_on":["0012-../../x"]}"#, wrong("depends_on")),
        (r#"{"title":"x","slug":"../x"}"#, wrong("slug")),
        (r#"{"title":"x","slug":"a\nb"}"#, wrong("slug")),
        (r#"{"title":"x","extra.due":3}"#, wrong("extra.due")),
    ] {
        let mut changed = issue();
        assert_eq!(apply(&mut changed, &serde_json::from_str(fields).unwrap()), Err(why), "{fields}");
        assert_eq!(changed, issue(), "{fields}");
    }
}

#[test]
fn canonical_forms_tell_values_apart_and_keep_the_order_of_texts() {
    let text = |text: &str| Value::from(text);
    let values = [
        Value::Null,
        text(""),
        text("a"),
        text("a\0"),
        text("a\0b"),
        text("a\u{1}"),
        text("a b"),
        text("a!"),
        text("ab"),
        text("b"),
        Value::List(vec![]),
        Value::List(vec![Value::Null]),
        Value::List(vec![text("a")]),
        Value::List(vec![text("a"), text("b")]),
        Value::List(vec![text("a,\"b")]),
        Value::List(vec![Value::List(vec![])]),
        Value::Map(vec![]),
        Value::Map(vec![("a".to_owned(), Value::Null)]),
        Value::Map(vec![("a".to_owned(), text("b"))]),
        Value::Bool(true),
        text("true"),
        Value::Int(1),
        Value::UInt(1),
        Value::Float(1.0),
        Value::Float(f64::NAN),
        text("1"),
    ];
    for (at, left) in values.iter().enumerate() {
        for (other, right) in values.iter().enumerate() {
            assert_eq!(canonical(left) == canonical(right), at == other, "{left:?} {right:?}");
            assert_eq!(same(left, right), at == other, "{left:?} {right:?}");
        }
    }
    assert!(values[..10].is_sorted_by_key(canonical));
    assert!(same(&Value::Float(f64::NAN), &Value::Float(-f64::NAN)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn applying_the_old_fields_undoes_a_change(before in issues(), after in issues()) {
        let (old, new) = fields(Some(&before), Some(&after));
        let (mut undone, mut redone) = (after.clone(), before.clone());
        apply(&mut undone, &old).unwrap();
        apply(&mut redone, &new).unwrap();
        prop_assert_eq!(undone, before);
        prop_assert_eq!(redone, after);
    }

    #[test]
    fn a_deletion_can_be_undone_from_its_fields(deleted in issues()) {
        let (old, _) = fields(Some(&deleted), None);
        let mut restored = issue();
        restored.head.slug = Slug::default();
        apply(&mut restored, &old).unwrap();
        prop_assert_eq!(restored, deleted);
    }
}
