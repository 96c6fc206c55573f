//! The driver against the merge of issues that it is made of, and by example.

use proptest::prelude::*;

use super::super::merge::laws::{cases, three_versions};
use super::*;
use crate::schema::id::{IssueId, Slug};

const BASE: &str = "---\nid: 3\ntitle: Buoy\nstatus: open\npriority: medium\nlabels: []\n\
    created_at: 2026-01-02T03:04:05Z\nupdated_at: 2026-01-02T03:04:05Z\nsessions: []\n---\none\ntwo\nthree\nfour\nfive\n";

fn versions<'a>(base: &'a str, ours: &'a str, theirs: &'a str) -> Versions<'a> {
    Versions {
        base: base.as_bytes(),
        ours: ours.as_bytes(),
        theirs: theirs.as_bytes(),
        path: ".oxi/issues/0003-buoy.md",
        marker_size: 7,
        ours_label: "HEAD",
        theirs_label: "branch",
    }
}

fn merged(base: &str, ours: &str, theirs: &str) -> (String, Option<Unsettled>) {
    let merged = merge_files(&versions(base, ours, theirs));
    (String::from_utf8(merged.bytes).unwrap(), merged.unsettled)
}

/// The same whichever side is ours.
fn clean(base: &str, ours: &str, theirs: &str) -> String {
    let (text, unsettled) = merged(base, ours, theirs);
    assert_eq!(unsettled, None, "{text}");
    assert_eq!(merged(base, theirs, ours).0, text, "swapped");
    text
}

fn edited(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

#[test]
fn neighbouring_fields_and_labels_of_both_go_in() {
    let ours = edited(&[("status: open", "status: closed"), ("labels: []", "labels: [a]"), ("one", "ONE")]);
    let theirs = edited(&[("priority: medium", "priority: high"), ("labels: []", "labels: [b]"), ("five", "FIVE")]);
    let text = clean(BASE, &ours, &theirs);
    assert!(text.contains("status: closed\npriority: high\nlabels: [a, b]\n"), "{text}");
    assert!(text.ends_with("---\nONE\ntwo\nthree\nfour\nFIVE\n"), "{text}");
}

#[test]
fn comments_order_and_unknown_keys_of_both_stay() {
    let ours = edited(&[
        ("title: Buoy", "# ask Ada\ntitle: Buoy"),
        ("2026-01-02T03:04:05Z\nsessions", "2026-01-03T00:00:00Z\nsessions"),
        ("sessions: []", "sessions: []\narea: north # why"),
    ]);
    let theirs = edited(&[
        ("status: open", "status: \"open\"  # until Friday"),
        ("2026-01-02T03:04:05Z\nsessions", "2026-01-04T00:00:00Z\nsessions"),
        ("labels: []", "kind: task\nlabels: []"),
    ]);
    let text = clean(BASE, &ours, &theirs);
    for line in ["# ask Ada\n", "status: \"open\"  # until Friday\n", "area: north # why\n", "kind: task\n"] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(text.contains("updated_at: 2026-01-04T00:00:00Z"), "{text}");
}

#[test]
fn comments_that_both_wrote_at_one_place_stay() {
    let ours = edited(&[("priority: medium", "# ours\npriority: high"), ("05Z\nsessions", "06Z\nsessions")]);
    let theirs = edited(&[("priority: medium", "# theirs\n# two lines\npriority: low")]);
    let text = clean(BASE, &ours, &theirs);
    assert_eq!(text.matches("# ours\n").count(), 1, "{text}");
    assert!(text.contains("# theirs\n# two lines\n"), "{text}");
    // a comment that one side removed is not brought back by the other
    let base = edited(&[("priority: medium", "# old\npriority: medium")]);
    let ours = edited(&[("priority: medium", "priority: high"), ("05Z\nsessions", "07Z\nsessions")]);
    let theirs = edited(&[("priority: medium", "# old\npriority: low"), ("05Z\nsessions", "06Z\nsessions")]);
    let text = clean(&base, &ours, &theirs);
    assert!(text.contains("priority: high\n") && !text.contains("# old"), "{text}");
}

#[test]
fn line_ends_that_nothing_decides_are_the_same_from_both_sides() {
    // found by fuzzing: without a base that can be read, ours won
    assert_eq!(clean("", &BASE.replace('\n', "\r\n"), BASE), BASE);
}

#[test]
fn bodies_that_overlap_get_markers_and_the_frontmatter_none() {
    let ours = edited(&[("status: open", "status: closed"), ("three", "OURS")]);
    let theirs = edited(&[("priority: medium", "priority: high"), ("three", "THEIRS")]);
    let (text, unsettled) = merged(BASE, &ours, &theirs);
    assert_eq!(unsettled, Some(Unsettled::Body));
    let (head, body) = text.split_once("---\none").unwrap();
    assert!(head.contains("status: closed\npriority: high\n") && !head.contains("<<<"), "{text}");
    assert_eq!(body, "\ntwo\n<<<<<<< HEAD\nOURS\n=======\nTHEIRS\n>>>>>>> branch\nfour\nfive\n");
    let long = merge_files(&Versions { marker_size: 9, ..versions(BASE, &ours, &theirs) });
    assert!(String::from_utf8(long.bytes).unwrap().contains("\n<<<<<<<<< HEAD\nOURS\n=========\n"));
}

#[test]
fn without_a_base_both_are_merged() {
    let theirs = edited(&[("labels: []", "labels: [b]"), ("priority: medium", "priority: high")]);
    let text = clean("", BASE, &theirs);
    assert!(text.contains("labels:\n- b\n") && text.ends_with("five\n"), "{text}");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_stay() {
    let crlf = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let ours = crlf(&edited(&[("one", "ONE"), ("labels: []", "labels: [a]")]));
    let theirs = crlf(&edited(&[("five", "FIVE"), ("labels: []", "labels: [b]")]));
    let text = clean(&crlf(BASE), &ours, &theirs);
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert!(text.starts_with('\u{feff}') && text.contains("ONE\r\n") && text.ends_with("FIVE\r\n"), "{text}");
    // one side turned the line ends
    let turned = edited(&[("five", "FIVE")]).replace('\n', "\r\n");
    let text = clean(BASE, &edited(&[("one", "ONE")]), &turned);
    assert_eq!(text, edited(&[("one", "ONE"), ("five", "FIVE")]).replace('\n', "\r\n"));
    let mixed = edited(&[("one\n", "ONE\r\n")]);
    let text = clean(BASE, &mixed, &turned);
    assert_eq!(text, edited(&[("one", "ONE"), ("five", "FIVE")]).replace('\n', "\r\n"));
}

#[test]
fn two_issues_are_never_made_one() {
    let other = edited(&[("created_at: 2026-01-02", "created_at: 2026-01-03"), ("two", "TWO")]);
    let ours = edited(&[("one", "ONE")]);
    for base in ["", BASE, other.as_str()] {
        let theirs = edited(&[("created_at: 2026-01-02", "created_at: 2026-01-03"), ("three", "3")]);
        let (text, unsettled) = merged(base, &ours, &theirs);
        assert_eq!(unsettled, Some(Unsettled::TwoIssues));
        assert_eq!(text, format!("<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> branch\n"));
    }
    // one of them cannot be read
    let broken = other.replace("status: open", "status: [");
    assert_eq!(merged(BASE, &ours, &broken).1, Some(Unsettled::TwoIssues));
    // a copy under another name has the same time of creation
    let theirs = edited(&[("two", "TWO")]);
    let labels = |base| Versions {
        ours_label: "HEAD:.oxi/issues/0003-buoy.md",
        theirs_label: "x:.oxi/issues/0004-copy.md",
        ..base
    };
    assert_eq!(merge_files(&labels(versions(BASE, &ours, &theirs))).unsettled, Some(Unsettled::TwoIssues));
}

#[test]
fn a_number_follows_the_path() {
    let ours = edited(&[("id: 3", "id: 5")]);
    let theirs = edited(&[("one", "ONE")]);
    for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
        let renamed = Versions { path: ".oxi/issues/0005-buoy.md", ..versions(BASE, ours, theirs) };
        let MergedFile { bytes, unsettled } = merge_files(&renamed);
        assert_eq!(
            (String::from_utf8(bytes).unwrap(), unsettled),
            (edited(&[("id: 3", "id: 5"), ("one", "ONE")]), None)
        );
    }
    let theirs = edited(&[("id: 3", "id: 7")]);
    assert_eq!(merged(BASE, &ours, &theirs).1, Some(Unsettled::TwoNumbers));
}

#[test]
fn what_is_no_issue_is_merged_as_text() {
    let (base, ours, theirs) = ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n");
    assert_eq!(clean(base, ours, theirs), "A\nb\nC\n");
    let (text, unsettled) = merged(base, "A\nb\nc\n", "B\nb\nc\n");
    assert_eq!(
        (text.as_str(), unsettled),
        ("<<<<<<< HEAD\nA\n=======\nB\n>>>>>>> branch\nb\nc\n", Some(Unsettled::Text))
    );
    let latin: [&[u8]; 3] = [b"\xe9\nb\nc\n", b"\xe8\nb\nc\n", b"\xe9\nb\n\xff\n"];
    let [base, ours, theirs] = latin;
    let merged = merge_files(&Versions { base, ours, theirs, ..versions("", "", "") });
    assert_eq!((merged.bytes.as_slice(), merged.unsettled), (&b"\xe8\nb\n\xff\n"[..], None));
    let binary = merge_files(&Versions { base, ours: b"\0\x01", theirs, ..versions("", "", "") });
    assert_eq!((binary.bytes.as_slice(), binary.unsettled), (&b"\0\x01"[..], Some(Unsettled::Binary)));
    // past the limit of issue files
    let long = format!("{BASE}{}", "line\n".repeat(300_000));
    let (ours, theirs) = (long.replacen("one", "ONE", 1), long.replacen("two\nthree", "two\nTHREE", 1));
    let text = clean(&long, &ours, &theirs);
    assert!(text.contains("ONE\ntwo\nTHREE\n"));
}

#[test]
fn a_base_that_is_itself_an_unfinished_merge_serves() {
    let base = edited(&[("three", "<<<<<<<<< a\nX\n=========\nY\n>>>>>>>>> b")]);
    let ours = edited(&[("three", "X and Y"), ("one", "ONE")]);
    let theirs = edited(&[("three", "X and Y"), ("labels: []", "labels: [b]")]);
    assert!(clean(&base, &ours, &theirs).ends_with("ONE\ntwo\nX and Y\nfour\nfive\n"));
}

#[test]
fn keys_that_the_original_dropped_are_kept() {
    let base = edited(&[("sessions: []", "sessions: []\nkind: task\ndepends_on:\n- 0001-x")]);
    // written anew by the original, after a change of its own
    let ours = edited(&[("priority: medium", "priority: high")]);
    let theirs = base.replace("one", "ONE");
    let text = clean(&base, &ours, &theirs);
    assert!(text.contains("priority: high") && text.contains("kind: task\n") && text.contains("- 0001-x\n"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn the_file_says_what_the_merge_of_the_issues_says((base, ours, theirs) in three_versions()) {
        let prepare = |mut issue: Issue| {
            issue.head.id = IssueId(3);
            issue.head.slug = Slug::from_title("buoy");
            issue
        };
        let (base, ours, theirs) = (base.map(prepare), prepare(ours), prepare(theirs));
        let text = |issue: &Issue| frontmatter::render(issue);
        let (base_text, ours_text, theirs_text) = (base.as_ref().map(text).unwrap_or_default(), text(&ours), text(&theirs));
        let readable = |text: &str| text.is_empty() || frontmatter::parse(text.as_bytes()).is_ok();
        prop_assume!([&base_text, &ours_text, &theirs_text].into_iter().all(|text| readable(text)));
        let (one, unsettled) = merged(&base_text, &ours_text, &theirs_text);
        let (two, swapped) = merged(&base_text, &theirs_text, &ours_text);
        prop_assert_eq!(unsettled, swapped);
        if unsettled.is_none() {
            prop_assert_eq!(&one, &two);
        }
        let read = |text: &str| frontmatter::parse(text.as_bytes()).unwrap();
        let rewritten = |text: &str| frontmatter::is_oxi_rendering(text.as_bytes(), &read(text));
        let trivial = ours_text == theirs_text || ours_text == base_text || theirs_text == base_text;
        if !trivial {
            let read = |text: &str| prepare(read(text));
            let base = Some(base_text.as_str()).filter(|text| !text.is_empty()).map(read);
            let is_rewritten = |base: &Issue, text: &str| rewritten(text) && is_later(&read(text), base);
            let is_stripped = |base: &Issue| [&ours_text, &theirs_text].into_iter().any(|text| is_rewritten(base, text));
            let strip = |base: Issue| if is_stripped(&base) { without_foreign_keys(&base) } else { base };
            let base = base.map(strip);
            let expected = merge::merge(base.as_ref(), &read(&ours_text), &read(&theirs_text));
            prop_assert_eq!(expected.body_conflict.is_some(), unsettled.is_some());
            if unsettled.is_none() {
                prop_assert_eq!(frontmatter::render(&read(&one)), frontmatter::render(&expected.issue));
            } else {
                let head = one.split("<<<<<<<").next().unwrap();
                prop_assert_eq!(prepare(frontmatter::parse(head.as_bytes()).unwrap()).head, expected.issue.head);
            }
        }
    }
}
