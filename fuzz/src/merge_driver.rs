//! Git's merge driver: the same whichever side is called ours, nothing lost that can be told apart, and a file that is
//! called merged can be read.
//!
//! An input is three files: the common ancestor, ours and theirs.

use oxi_state::schema::frontmatter::{MAX_FRONTMATTER, parse};
use oxi_state::sync::diff3::{self, Merged};
use oxi_state::sync::driver::{MergedFile, Unsettled, Versions, merge_files};

use super::text::{are_kept, comments, plain_lines};

/// Looks at an input.
pub fn run(input: &[u8]) {
    let [base, ours, theirs] = super::parts(input);
    for (left, right, merged) in [(ours, ours, ours), (base, theirs, theirs), (ours, base, ours)] {
        let found = merge(base, left, right);
        assert!(found.unsettled.is_none() && found.bytes == merged, "one side alone, or both alike, is taken");
    }
    let (there, back) = (merge(base, ours, theirs), merge(base, theirs, ours));
    assert_eq!(there.unsettled, back.unsettled);
    match there.unsettled {
        None => assert!(there.bytes == back.bytes, "{}\n<=>\n{}", shown(&there.bytes), shown(&back.bytes)),
        Some(Unsettled::Binary) => assert!(there.bytes == ours && back.bytes == theirs),
        Some(_) => assert_eq!(lines_apart(&there.bytes), lines_apart(&back.bytes)),
    }
    let issues = [ours, theirs].map(|file| parse(file).ok());
    let [Some(mine), Some(other)] = issues else { return };
    match there.unsettled {
        None => {
            let found = parse(&there.bytes).unwrap_or_else(|bad| panic!("{bad}\n{}", shown(&there.bytes)));
            assert_eq!(found.head.created_at, mine.head.created_at);
            let expected = [mine.head.updated_at, other.head.updated_at];
            assert!(expected.contains(&found.head.updated_at));
            check_comments(base, ours, theirs, &there);
        }
        Some(_) => assert!(parse(&there.bytes).is_err(), "what a person must look at is not taken in by itself"),
    }
}

fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> MergedFile {
    let path = ".oxi/issues/0012-fix-login.md";
    merge_files(&Versions { base, ours, theirs, path, marker_size: 7, ours_label: "HEAD", theirs_label: "other" })
}

/// The comments of both are kept where the two changed different lines.
fn check_comments(base: &[u8], ours: &[u8], theirs: &[u8], merged: &MergedFile) {
    // a base that is no version of this issue is none
    let created = |file: &[u8]| parse(file).ok().map(|issue| issue.head.created_at);
    let base = if created(base) == created(ours) { base } else { b"---\n---\n" };
    let heads = [base, ours, theirs].map(plain_lines);
    let [Some(base), Some(ours), Some(theirs)] = heads else { return };
    let [base, ours, theirs] = [base, ours, theirs]
        .map(|lines| lines.iter().map(|line| line.trim_end_matches('\r').to_owned() + "\n").collect::<String>());
    if ours.len() + theirs.len() > MAX_FRONTMATTER / 8 {
        return;
    }
    let Merged::Clean(head) = diff3::merge(&base, &ours, &theirs) else { return };
    let whole = format!("---\n{head}---\n");
    // two sides can make one text that says something twice, or nothing
    if parse(whole.as_bytes()).is_err() || plain_lines(whole.as_bytes()).is_none() {
        return;
    }
    let Some(found) = plain_lines(&merged.bytes) else { return };
    let all: Vec<_> = head.lines().collect();
    if let Err(line) = are_kept(comments(&all), &found) {
        panic!("the comment {line:?} is gone\n{head}\n=>\n{}", shown(&merged.bytes));
    }
}

/// All lines but the markers', in an order of their own.
fn lines_apart(bytes: &[u8]) -> Vec<&[u8]> {
    let marks: [&[u8]; 4] = [b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||"];
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut lines: Vec<_> = lines.filter(|line| !marks.iter().any(|mark| line.starts_with(mark))).collect();
    lines.sort_unstable();
    lines
}

fn shown(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Golden files with changes on both sides.
pub fn seeds() -> Vec<Vec<u8>> {
    let base = "---\nid: 12\n# about the title\ntitle: Fix login\nstatus: open\npriority: high # soon\nlabels:\n- a\n- b\n\
        created_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-17T10:30:00Z\nsessions: []\ndepends_on:\n- 0007-seven\nown: 1\n\
        ---\none\ntwo\nthree\nfour\n";
    let changes: [&[(&str, &str)]; 8] = [
        &[("priority: high", "priority: low"), ("10:30:00Z\nsess", "11:00:00Z\nsess")],
        &[("- b", "- c\n# more\n- d"), ("two", "2")],
        &[("Fix login", "Other"), ("sessions: []", "sessions:\n- s1\n# end"), ("10:30:00Z\nsess", "12:00:00Z\nsess")],
        &[("status: open", "status: closed"), ("sessions: []", "closed_at: 2026-06-18T00:00:00Z\nsessions: []")],
        &[("two", "zwei"), ("own: 1\n", ""), ("- 0007-seven", "- 0007-seven\n- 0008-eight")],
        &[("created_at: 2026-06-17", "created_at: 2026-06-18")],
        &[("id: 12", "id: 13"), ("four\n", "four")],
        &[("one\n", "<<<<<<< x\none\n")],
    ];
    let made = |change: &[(&str, &str)]| {
        change.iter().fold(base.to_owned(), |text, (from, to)| text.replacen(from, to, 1)).into_bytes()
    };
    let mut seeds = Vec::new();
    let join = |files: [&[u8]; 3]| files.join(&super::PART);
    for (number, ours) in changes.iter().enumerate() {
        for theirs in &changes[number + 1..] {
            seeds.push(join([base.as_bytes(), &made(ours), &made(theirs)]));
        }
        let crlf = String::from_utf8(made(ours)).expect("text").replace('\n', "\r\n");
        seeds.push(join([base.as_bytes(), crlf.as_bytes(), &made(changes[1])]));
        seeds.push(join([b"", &made(ours), &made(changes[2])]));
    }
    let golden = super::golden("oxi-parse-edge");
    seeds.extend(golden.windows(3).step_by(3).map(|files| join([&files[0], &files[1], &files[2]])));
    seeds
}
