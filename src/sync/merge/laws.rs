//! The laws of merging, over any three versions of an issue.

use proptest::prelude::*;

use super::tests::{issue, linked, other, state};
use super::*;
use crate::schema::id::{IssueId, Link, Slug};
use crate::schema::issue::{GithubRef, Priority};

/// How many cases a property test runs.
pub(crate) fn cases() -> u32 {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 20_000 } else { 256 }
}

/// Versions of one issue that keep the format's invariants: a closed issue has a closing time and no assignment, an
/// open one no closing time; no list holds anything twice. The number varies, the identity does not.
pub(crate) fn issues() -> impl Strategy<Value = Issue> {
    let list = || {
        let chosen = prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4).prop_shuffle();
        chosen.prop_map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let name = || prop::option::of(prop::sample::select(vec!["x", "y"]).prop_map(str::to_owned));
    let records = || {
        (list(), prop::collection::vec(prop::sample::select(vec!["open", "done"]), 4)).prop_map(|(ids, states)| {
            ids.iter().zip(states).map(|(id, state)| linked(id, state)).collect::<Vec<Linked>>()
        })
    };
    let number = prop::sample::select(vec![0_u64, 7, u64::MAX]);
    let states = prop::sample::select(vec!["o", "oa", "ob", "c2", "c3"]).prop_map(str::to_owned);
    let lines = prop::collection::vec(prop::sample::select(vec!["a\n", "b\n", "c\n", "\n"]), 0..6);
    let scalars =
        (prop::sample::select(vec![12, 13]), name(), prop::sample::select(Priority::ALL.to_vec()), 1..4_u32, states);
    let lists = (list(), list(), list(), records(), records());
    (scalars, lists, name(), prop::option::of(number), list(), name(), lines).prop_map(
        |((id, title, priority, second, state_text), lists, assignee, number, keys, meaning, lines)| {
            let mut head = issue(second).head;
            (head.id, head.title, head.priority) = (IssueId(id), title.unwrap_or_default(), priority);
            state(&state_text)(&mut head);
            head.assignee = assignee;
            head.github = number.map(|number| GithubRef { repo: "a/b".into(), number, url: "u".into() });
            let link = |slug: &String| Link { id: IssueId(7), slug: Slug::from_title(slug) };
            (head.labels, head.sessions, head.depends_on) = (lists.0, lists.1, lists.2.iter().map(link).collect());
            (head.handoffs, head.validations) = (lists.3, lists.4);
            for key in keys {
                let yaml = format!("{key}: {}\n", meaning.as_deref().unwrap_or("~"));
                head.extra.insert(key, Extra { yaml, value: meaning.clone().into() });
            }
            Issue { head, body: lines.concat() }
        },
    )
}

/// A base and two versions of it that differ from it in some fields only, so that not everything is contested.
pub(crate) fn three_versions() -> impl Strategy<Value = (Option<Issue>, Issue, Issue)> {
    let masks = prop::collection::vec(0..4_u8, 16);
    (issues(), issues(), issues(), masks, prop::bool::weighted(0.9)).prop_map(|(base, left, right, masks, has_base)| {
        let (mut ours, mut theirs) = (base.clone(), base.clone());
        for (side, from, bit) in [(&mut ours, &left, 1), (&mut theirs, &right, 2)] {
            let Value::Map(changes) = fields(Some(from), Some(&base)).0 else { unreachable!() };
            // what belongs together changes together
            let group = |name: &str| match name {
                "status" | "closed_at" | "assigned_to" => 0,
                name => name.bytes().map(usize::from).sum::<usize>() % 15 + 1,
            };
            let changes = changes.into_iter().filter(|(name, _)| masks[group(name)] & bit != 0).collect();
            crate::schema::diff::apply(side, &Value::Map(changes)).unwrap();
        }
        (has_base.then_some(base), ours, theirs)
    })
}

/// Without the number, which is ours.
fn unnumbered(mut issue: Issue) -> Issue {
    issue.head.id = IssueId(0);
    issue
}

fn check_set<T: Ord + std::fmt::Debug>(
    base: &[T],
    ours: &[T],
    theirs: &[T],
    merged: &[T],
) -> Result<(), TestCaseError> {
    for item in base.iter().chain(ours).chain(theirs).chain(merged) {
        let expected = if base.contains(item) {
            ours.contains(item) && theirs.contains(item)
        } else {
            ours.contains(item) || theirs.contains(item)
        };
        let count = merged.iter().filter(|held| *held == item).count();
        prop_assert_eq!(count, usize::from(expected), "{:?}", item);
    }
    Ok(())
}

/// Every field and record of an issue that is decided as one value.
fn decided_as_one(issue: &Issue) -> BTreeMap<String, Value> {
    let Value::Map(entries) = fields(None, Some(issue)).1 else { unreachable!() };
    let mut values = BTreeMap::new();
    for (name, value) in entries {
        match (name.as_str(), value) {
            ("handoffs" | "validations", Value::List(items)) => {
                values.extend(items.into_iter().map(|item| {
                    (format!("{name}.{}", item.get("id").and_then(Value::as_text).unwrap_or_default()), item)
                }));
            }
            ("id" | "slug" | "labels" | "sessions" | "depends_on" | "updated_at" | "body", _) => {}
            (_, value) => {
                values.insert(name, value);
            }
        }
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_side_alone_or_both_alike_is_taken(base in issues(), side in issues()) {
        for (base, ours, theirs) in [(&base, &side, &side), (&base, &base, &side), (&base, &side, &base)] {
            let merged = merge(Some(base), ours, theirs);
            let mut expected = side.clone();
            expected.head.id = ours.head.id;
            expected.head.updated_at = ours.head.updated_at.max(theirs.head.updated_at);
            prop_assert_eq!(merged.issue, expected);
            prop_assert_eq!((merged.lost, merged.body_conflict), (vec![], None));
        }
    }

    #[test]
    fn sides_can_be_swapped((base, ours, theirs) in three_versions()) {
        let (one, two) = (merge(base.as_ref(), &ours, &theirs), merge(base.as_ref(), &theirs, &ours));
        let (mut one_issue, mut two_issue) = (unnumbered(one.issue), unnumbered(two.issue));
        prop_assert_eq!(one.body_conflict.is_some(), two.body_conflict.is_some());
        if one.body_conflict.is_some() {
            (one_issue.body, two_issue.body) = (String::new(), String::new());
        }
        prop_assert_eq!(one_issue, two_issue);
        let key = |lost: &LostValue| (lost.field.clone(), lost.side, canonical(&lost.value), canonical(&lost.kept));
        let mut losses: Vec<_> = one.lost.iter().map(key).collect();
        let mut mirrored: Vec<_> = two.lost.iter().map(key).map(|lost| (lost.0, other(lost.1), lost.2, lost.3)).collect();
        losses.sort();
        mirrored.sort();
        prop_assert_eq!(losses, mirrored);
        if unnumbered(ours) != unnumbered(theirs) {
            prop_assert_eq!(one.winner, other(two.winner));
        }
    }

    #[test]
    fn set_members_go_only_if_removed_and_stay_away((base, ours, theirs) in three_versions()) {
        let merged = merge(base.as_ref(), &ours, &theirs).issue.head;
        let old = base.map_or_else(|| issue(1).head, |base| base.head);
        check_set(&old.labels, &ours.head.labels, &theirs.head.labels, &merged.labels)?;
        check_set(&old.sessions, &ours.head.sessions, &theirs.head.sessions, &merged.sessions)?;
        check_set(&old.depends_on, &ours.head.depends_on, &theirs.head.depends_on, &merged.depends_on)?;
    }

    #[test]
    fn every_value_is_kept_or_lost_with_a_note((base, ours, theirs) in three_versions()) {
        let merged = merge(base.as_ref(), &ours, &theirs);
        let old = base.as_ref().map(decided_as_one).unwrap_or_default();
        let kept = decided_as_one(&merged.issue);
        let sides = [(Side::Ours, decided_as_one(&ours)), (Side::Theirs, decided_as_one(&theirs))];
        for (side, values) in &sides {
            for (name, value) in values {
                let lost = merged.lost.iter().any(|lost| lost.field == *name && lost.side == *side && lost.value == *value);
                let due = kept.get(name) != Some(value) && old.get(name) != Some(value);
                prop_assert_eq!(lost, due, "{} of {:?}", name, side);
            }
            // what a side removed is gone, unless the other side set it to something new
            for (name, was) in &old {
                let removed = !values.contains_key(name) && name != "closed_at";
                prop_assert!(!removed || kept.get(name) != Some(was), "{} is back", name);
            }
        }
        // and nothing comes from nowhere
        for (name, value) in &kept {
            prop_assert!(sides.iter().any(|(_, values)| values.get(name) == Some(value)), "{}", name);
        }
        for lost in &merged.lost {
            prop_assert_eq!(kept.get(&lost.field).unwrap_or(&Value::Null), &lost.kept);
        }
    }

    #[test]
    fn the_invariants_of_an_issue_survive((base, ours, theirs) in three_versions()) {
        let head = merge(base.as_ref(), &ours, &theirs).issue.head;
        let closed = head.status == Status::Closed;
        prop_assert_eq!(head.closed_at.is_some(), closed);
        prop_assert!(!closed || head.assigned_to.is_none());
    }

    #[test]
    fn merging_a_side_again_changes_nothing((base, ours, theirs) in three_versions()) {
        let merged = merge(base.as_ref(), &ours, &theirs);
        for side in [&ours, &theirs] {
            let again = merge(Some(side), &merged.issue, side);
            prop_assert_eq!(&again.issue, &merged.issue);
            prop_assert_eq!((again.lost, again.body_conflict), (vec![], None));
            prop_assert_eq!(unnumbered(merge(Some(side), side, &merged.issue).issue), unnumbered(merged.issue.clone()));
        }
    }
}
