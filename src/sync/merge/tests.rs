//! The merge of issues against tables.

use super::*;
use crate::schema::id::{IssueId, Link};
use crate::schema::issue::{Assignment, Priority};

fn time_at(second: u32) -> Timestamp {
    format!("2026-06-17T10:30:{second:02}Z").parse().unwrap()
}

/// An issue last changed at a second.
pub(super) fn issue(second: u32) -> Issue {
    let mut head = IssueHead::new(IssueId(12), "Fix it".to_owned(), time_at(0));
    head.updated_at = time_at(second);
    Issue { head, body: String::new() }
}

fn changed(second: u32, change: impl FnOnce(&mut IssueHead)) -> Issue {
    let mut issue = issue(second);
    change(&mut issue.head);
    issue
}

fn texts(words: &str) -> Vec<String> {
    words.chars().map(String::from).collect()
}

/// For a base, what becomes of ours (rows) and theirs (columns) over `-xyz`, where `-` is absent: `=` they agree, `o`
/// or `t` one side alone changed, `!` both did.
const DECISIONS: [(char, [&str; 4]); 4] = [
    ('-', ["=ttt", "o=!!", "o!=!", "o!!="]),
    ('x', ["=o!!", "t=tt", "!o=!", "!o!="]),
    ('y', ["=!o!", "!=o!", "tt=t", "!!o="]),
    ('z', ["=!!o", "!=!o", "!!=o", "ttt="]),
];

fn each_decision(mut check: impl FnMut(Option<&str>, Option<&str>, Option<&str>, char)) {
    const VALUES: [Option<&str>; 4] = [None, Some("x"), Some("y"), Some("z")];
    for ((_, rows), base) in DECISIONS.iter().zip(VALUES) {
        for (row, ours) in rows.iter().zip(VALUES) {
            for (outcome, theirs) in row.chars().zip(VALUES) {
                check(base, ours, theirs, outcome);
            }
        }
    }
}

#[test]
fn every_optional_field_follows_the_table() {
    // seconds of the last change of ours and theirs; the base has 1, so 1 is a hand edit
    for (ours_second, theirs_second) in [(3, 2), (2, 3), (2, 2), (1, 9), (9, 1), (1, 1)] {
        each_decision(|base, ours, theirs, outcome| {
            let version = |second, name: Option<&str>| changed(second, |head| head.assignee = name.map(str::to_owned));
            let (old, left, right) = (version(1, base), version(ours_second, ours), version(theirs_second, theirs));
            let newer_is_ours = match (ours_second, theirs_second) {
                (left, right) if left == right => ours > theirs,
                (1, _) => true,
                (_, 1) => false,
                (left, right) => left > right,
            };
            let (kept, lost) = match outcome {
                '=' | 'o' => (ours, None),
                't' => (theirs, None),
                _ if newer_is_ours => (ours, Some((theirs, Side::Theirs))),
                _ => (theirs, Some((ours, Side::Ours))),
            };
            let context = format!("{base:?} {ours:?} {theirs:?} at {ours_second} and {theirs_second}");
            let lost: Vec<LostValue> = lost
                .into_iter()
                .map(|(value, side)| LostValue {
                    field: "assignee".into(),
                    value: value.into(),
                    kept: kept.into(),
                    side,
                })
                .collect();
            // no base is an empty base
            for old in std::iter::once(Some(&old)).chain(base.is_none().then_some(None)) {
                // but then no stamp can tell a hand edit
                if old.is_none() && (ours_second == 1 || theirs_second == 1) {
                    continue;
                }
                let merged = merge(old, &left, &right);
                assert_eq!(merged.issue.head.assignee.as_deref(), kept, "{context}");
                assert_eq!(merged.lost, lost, "{context}");
            }
        });
    }
}

#[test]
fn every_unknown_key_and_linked_record_follows_the_table() {
    each_decision(|base, ours, theirs, outcome| {
        let version = |second, text: Option<&str>| {
            changed(second, |head| {
                let value = |text: &str| Value::Map(vec![("id".into(), "A".into()), ("is".into(), text.into())]);
                let key = |text: &str| Extra { yaml: format!("key: {text}\n"), value: text.into() };
                head.validations.extend(text.map(|text| Linked { id: "A".to_owned(), value: value(text) }));
                head.handoffs.clone_from(&head.validations);
                head.extra.extend(text.map(|text| ("key".to_owned(), key(text))));
            })
        };
        let (old, left, right) = (version(1, base), version(3, ours), version(2, theirs));
        let merged = merge(Some(&old), &left, &right);
        let kept = if outcome == 't' { &right.head } else { &left.head };
        let head = &merged.issue.head;
        assert_eq!((&head.extra, &head.validations), (&kept.extra, &kept.validations), "{base:?} {ours:?} {theirs:?}");
        assert_eq!(head.handoffs, kept.handoffs);
        let fields: Vec<&str> = merged.lost.iter().map(|lost| lost.field.as_str()).collect();
        let expected = if outcome == '!' { &["handoffs.A", "validations.A", "extra.key"][..] } else { &[] };
        assert_eq!(fields, expected, "{base:?} {ours:?} {theirs:?}");
    });
}

#[test]
fn without_a_base_fields_that_all_issues_have_are_contested() {
    let ours = changed(2, |head| (head.title, head.priority) = ("A".to_owned(), Priority::Low));
    let theirs = changed(3, |head| (head.title, head.priority) = ("B".to_owned(), Priority::High));
    let merged = merge(None, &ours, &theirs);
    assert_eq!((merged.issue.head.title.as_str(), merged.issue.head.priority), ("B", Priority::High));
    let lost = |field: &str, value: &str, kept: &str| LostValue {
        field: field.into(),
        value: value.into(),
        kept: kept.into(),
        side: Side::Ours,
    };
    assert_eq!(merged.lost, [lost("title", "A", "B"), lost("priority", "low", "high")]);
    assert_eq!(merged.issue.head.updated_at, time_at(3));
}

#[test]
fn sets_keep_base_order_and_add_sorted() {
    for (base, ours, theirs, merged) in [
        ("", "", "", ""),
        ("ab", "b", "a", ""),
        ("cab", "cab", "cb", "cb"),
        ("b", "bz", "bya", "bayz"),
        ("b", "bx", "bx", "bx"),
        ("ab", "bxa", "by", "bxy"),
        ("", "ba", "ca", "abc"),
        // one side alone keeps its order
        ("ab", "ab", "ba", "ba"),
        ("ab", "ab", "bzya", "bzya"),
        // a new order on one side gives way to any change on the other
        ("ab", "ba", "abc", "abc"),
        ("abc", "cba", "bac", "abc"),
        // everything once
        ("", "aab", "", "ab"),
        ("a", "aab", "aca", "abc"),
        ("aa", "aab", "aac", "abc"),
    ] {
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            let version = |second, words| changed(second, |head| head.labels = texts(words));
            let merged_issue = merge(Some(&version(1, base)), &version(2, ours), &version(3, theirs));
            assert_eq!(merged_issue.issue.head.labels, texts(merged), "{base} {ours} {theirs}");
            assert_eq!(merged_issue.lost, []);
        }
    }
}

#[test]
fn linked_records_are_ordered_as_sets_are() {
    let version = |second, words: &str| {
        changed(second, |head| head.handoffs = words.chars().map(|id| linked(&id.to_string(), "x")).collect())
    };
    for (base, ours, theirs, merged) in
        [("ca", "cax", "cab", "cabx"), ("ca", "a", "c", ""), ("ca", "ac", "caz", "caz"), ("ca", "ca", "ac", "ac")]
    {
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            let merged_issue = merge(Some(&version(1, base)), &version(2, ours), &version(3, theirs));
            assert_eq!(merged_issue.issue.head.handoffs, version(1, merged).head.handoffs, "{base} {ours} {theirs}");
        }
    }
}

#[test]
fn of_an_id_held_twice_the_first_counts() {
    let version = |second, records: &[Linked]| changed(second, |head| head.handoffs = records.to_vec());
    let ours = version(2, &[linked("a", "open"), linked("a", "done")]);
    let merged = merge(Some(&issue(1)), &ours, &version(3, &[linked("b", "open")]));
    assert_eq!(merged.issue.head.handoffs, [linked("a", "open"), linked("b", "open")]);
}

pub(super) fn linked(id: &str, state: &str) -> Linked {
    let value = Value::Map(vec![("id".to_owned(), id.into()), ("state".to_owned(), state.into())]);
    Linked { id: id.to_owned(), value }
}

fn session(name: &str) -> Assignment {
    Assignment { session: name.to_owned(), acquired_at: time_at(1) }
}

/// Open (`o`) or closed (`c`), then the second of closing or the session that works on it.
pub(super) fn state(text: &str) -> impl Fn(&mut IssueHead) {
    let (status, rest) = text.split_at(1);
    let (closed, rest) = (status == "c", rest.to_owned());
    move |head| {
        head.status = if closed { Status::Closed } else { Status::Open };
        head.closed_at = rest.parse().ok().map(time_at);
        head.assigned_to = Some(&rest).filter(|rest| !closed && !rest.is_empty()).map(|name| session(name));
    }
}

#[test]
fn closing_time_and_assignment_follow_the_status() {
    // base, ours (changed first), theirs (changed last), merged, what is lost
    for (base, ours, theirs, merged, lost) in [
        ("o", "c2", "o", "c2", vec![]),
        ("o", "o", "c3", "c3", vec![]),
        ("c1", "o", "c1", "o", vec![]),
        ("oa", "c2", "oa", "c2", vec![]),
        ("o", "c2", "c3", "c3", vec![("closed_at", Side::Ours)]),
        ("c1", "c2", "c1", "c2", vec![]),
        ("c1", "c1", "c3", "c3", vec![]),
        ("c1", "c2", "c3", "c3", vec![("closed_at", Side::Ours)]),
        ("o", "c", "c3", "c3", vec![]),
        ("o", "c", "o", "c", vec![]),
        ("c1", "oa", "c1", "oa", vec![]),
        ("c1", "oa", "c3", "oa", vec![("closed_at", Side::Theirs)]),
        // taken by one side while the other closed it
        ("o", "c2", "ob", "c2", vec![("assigned_to", Side::Theirs)]),
        ("oa", "c2", "ob", "c2", vec![("assigned_to", Side::Theirs)]),
        ("oa", "oc", "ob", "ob", vec![("assigned_to", Side::Ours)]),
        // no base
        ("", "c2", "oa", "oa", vec![("status", Side::Ours), ("closed_at", Side::Ours)]),
        ("", "oa", "c3", "c3", vec![("status", Side::Ours), ("assigned_to", Side::Ours)]),
        ("", "c2", "c3", "c3", vec![("closed_at", Side::Ours)]),
    ] {
        let base_issue = (!base.is_empty()).then(|| changed(1, state(base)));
        let (left, right) = (changed(4, state(ours)), changed(5, state(theirs)));
        let expected = changed(5, state(merged));
        for swapped in [false, true] {
            let outcome = if swapped {
                merge(base_issue.as_ref(), &right, &left)
            } else {
                merge(base_issue.as_ref(), &left, &right)
            };
            assert_eq!(outcome.issue, expected, "{base} {ours} {theirs}");
            let mut losses: Vec<_> = outcome.lost.iter().map(|lost| (lost.field.as_str(), lost.side)).collect();
            if swapped {
                for (_, side) in &mut losses {
                    *side = other(*side);
                }
            }
            // in the table's order, whatever order the fields are merged in
            losses.sort_by_key(|loss| lost.iter().position(|listed| listed == loss));
            assert_eq!(losses, lost, "{base} {ours} {theirs}");
        }
    }
}

#[test]
fn an_open_side_has_no_closing_time_to_give() {
    let ours = changed(4, state("c"));
    let theirs = changed(5, |head| head.closed_at = Some(time_at(3)));
    let merged = merge(Some(&issue(1)), &ours, &theirs);
    assert_eq!((merged.issue.head.status, merged.issue.head.closed_at), (Status::Closed, None));
    assert_eq!(merged.lost.len(), 1);
    assert_eq!((merged.lost[0].field.as_str(), merged.lost[0].side), ("closed_at", Side::Theirs));
}

pub(super) fn other(side: Side) -> Side {
    match side {
        Side::Ours => Side::Theirs,
        Side::Theirs => Side::Ours,
    }
}

#[test]
fn the_newer_side_wins_as_a_whole() {
    let title = |second, title: &str| changed(second, |head| head.title = title.to_owned());
    let base = title(5, "base");
    for (ours, theirs, expected) in [
        (title(6, "x"), title(7, "y"), Side::Theirs),
        (title(7, "x"), title(6, "y"), Side::Ours),
        // a hand edit leaves the stamp as it was
        (title(5, "x"), title(9, "y"), Side::Ours),
        (title(9, "x"), title(5, "y"), Side::Theirs),
        (title(5, "x"), title(5, "y"), Side::Theirs),
        // who changed nothing has nothing to win with, even against a clock that was set back
        (title(5, "base"), title(4, "y"), Side::Theirs),
        (title(6, "x"), title(6, "y"), Side::Theirs),
        (title(6, "x"), title(6, "x"), Side::Ours),
    ] {
        assert_eq!(winner(Some(&base), &ours, &theirs), expected, "{:?} {:?}", ours.head, theirs.head);
        assert_eq!(merge(Some(&base), &ours, &theirs).winner, expected);
        if ours != theirs {
            assert_eq!(winner(Some(&base), &theirs, &ours), other(expected));
        }
    }
    assert_eq!(winner(None, &title(5, "x"), &title(6, "y")), Side::Theirs);
}

#[test]
fn renumbering_is_no_hand_edit() {
    let links = |second, id, text: &str| {
        changed(second, |head| {
            head.id = IssueId(id);
            head.depends_on = vec![Link::parse(text).unwrap()];
        })
    };
    let base = links(5, 12, "0007-a");
    let edited = changed(6, |head| head.depends_on.clone_from(&base.head.depends_on));
    assert_eq!(winner(Some(&base), &links(5, 15, "0009-a"), &edited), Side::Theirs);
    assert_eq!(winner(Some(&base), &links(5, 12, "0007-b"), &edited), Side::Ours);
    // with a bare number the number is all there is
    assert_eq!(winner(Some(&links(5, 12, "7")), &links(5, 12, "9"), &edited), Side::Ours);
}

#[test]
fn bodies_are_merged_by_lines_and_conflict_where_they_overlap() {
    let body = |second, body: &str| Issue { body: body.to_owned(), ..issue(second) };
    let merged = merge(Some(&body(1, "a\nb\nc\n")), &body(2, "A\nb\nc\n"), &body(3, "a\nb\nC\n"));
    assert_eq!((merged.issue.body.as_str(), merged.body_conflict), ("A\nb\nC\n", None));
    let merged = merge(None, &body(2, "a\n"), &body(3, "b\n"));
    let conflict = Chunk::Conflict { base: String::new(), ours: "a\n".to_owned(), theirs: "b\n".to_owned() };
    assert_eq!((merged.issue.body.as_str(), merged.body_conflict), ("a\n", Some(vec![conflict])));
    assert_eq!(merge(None, &body(2, "a\n"), &body(3, "a\n")).body_conflict, None);
}
