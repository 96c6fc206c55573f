use std::io::Cursor;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::db::record::Kind;
use crate::db::undo::Undone;
use crate::db::{Author, Store};
use crate::import::usage::Reader;
use crate::schema::id::Revision;
use crate::schema::privacy::Policy;
use crate::schema::usage::Measure;

const SAMPLE: &str = include_str!("../../tests/golden/usage/usage.jsonl");
const PRUNED: &str = include_str!("../../tests/golden/usage/usage.after-prune.jsonl");

struct Place {
    _folder: tempfile::TempDir,
    store: Store,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    Place { _folder: folder, store }
}

fn author() -> Author {
    Author { actor: "test".into(), session: None, now: "2026-06-25T12:00:00Z".parse().unwrap() }
}

impl Place {
    fn import_as(&self, path: &str, text: &str) -> Imported {
        let mut reader = Reader::new(Cursor::new(text.as_bytes()), text.len() as u64);
        import(&self.store, &author(), path, &mut reader, &Policy::default(), false).unwrap()
    }

    /// How many requests are counted of a text, and how many were known.
    fn import(&self, text: &str) -> (u64, u64) {
        let done = self.import_as("usage.jsonl", text);
        (done.counted, done.known)
    }

    fn sums(&self) -> Vec<UsageDay> {
        self.store.read().unwrap().records().unwrap()
    }

    fn write<R>(&self, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, StoreError>) -> R {
        self.store.write(&author(), work).unwrap()
    }
}

/// The sums of one import of a text.
fn at_once(text: &str) -> Vec<UsageDay> {
    let place = place();
    place.import(text);
    place.sums()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

#[test]
fn what_was_counted_is_not_counted_again() {
    let place = place();
    assert_eq!(place.import(SAMPLE), (6, 0));
    let sums = place.sums();
    assert_eq!(sums.len(), 2);
    let revision = place.store.read().unwrap().revision().unwrap();
    assert_eq!(place.import(SAMPLE), (0, 0), "nothing follows what was read");
    assert_eq!(place.store.read().unwrap().revision().unwrap(), revision, "so nothing is written");
    assert_eq!(place.import(PRUNED), (0, 6));
    assert_eq!(place.sums(), sums, "also where it was written anew, with other classes of errors");
    assert_eq!(
        place.import(&format!("{PRUNED}{}\n", SAMPLE.lines().next().unwrap())),
        (1, 0),
        "an equal row at the end is new"
    );
}

#[test]
fn a_copy_counts_once() {
    let place = place();
    place.import(SAMPLE);
    assert_eq!(place.import_as("copy.jsonl", PRUNED).known, 6);
    assert_eq!(place.sums(), at_once(SAMPLE));
    let line = SAMPLE.lines().next().unwrap();
    let more = format!("{SAMPLE}{line}\n{line}\n");
    assert_eq!(place.import_as("copy.jsonl", &more).counted, 2);
    assert_eq!(place.import(&more), (0, 2), "the other file has both");
    assert_eq!(place.sums(), at_once(&more));
}

#[test]
fn an_import_that_is_undone_counts_again() {
    let place = place();
    let lines: Vec<_> = SAMPLE.lines().map(|line| format!("{line}\n")).collect();
    place.import(&lines[..2].concat());
    let before = place.sums();
    place.import(SAMPLE);
    assert!(matches!(place.write(|txn| txn.undo(None)), Undone::Done(done) if done.len() == 3));
    assert_eq!(place.sums(), before);
    assert_eq!(place.import(PRUNED), (4, 0), "from where the mark was before");
    assert_eq!(place.import(SAMPLE), (0, 6));
    let log =
        place.store.read().unwrap().log(Revision(0), usize::MAX, |change| change.kind == Kind::UsageSource).unwrap();
    assert_eq!(log.len(), 5);
}

#[test]
fn forgotten_days_are_not_counted_again() {
    let place = place();
    let row = |day: &str, ts: u32| format!("{{\"ts\":{ts},\"day\":\"{day}\"}}\n");
    let text = [row("2026-05-01", 1), row("2026-06-01", 2), row("2026-06-02", 3), row("2026-06-03", 4)].concat();
    place.import(&text);
    let name = "sessions".parse().unwrap();
    place.write(|txn| record(txn, day("2026-06-01"), Measure::Count, &name, 1, 0));
    let forgotten = place.write(|txn| forget_before(txn, day("2026-06-03")));
    assert_eq!(forgotten, Forgotten { sums: 3, counters: 1, digests: 1 }, "two days' digests are kept longer");
    assert_eq!(place.sums().len(), 1);
    let done = place.import_as("usage.jsonl", &text[1..]);
    assert_eq!((done.counted, done.known, done.expired, done.bad_lines), (0, 1, 2, 1));
    assert!(done.rewritten);
    assert!(matches!(place.write(|txn| txn.undo(Some(Revision(7)))), Undone::Done(_)), "the sums can come back");
    assert_eq!(place.import_as("other.jsonl", &text).expired, 3, "their rows do not");
}

#[test]
fn imports_at_once_count_once() {
    let place = place();
    let line = |number: usize| format!("{{\"ts\":{number},\"day\":\"2026-06-01\",\"total_tokens\":1}}\n");
    let text: String = (0..40).map(line).collect();
    std::thread::scope(|scope| {
        for part in 1..=8 {
            let (place, text) = (&place, &text);
            let end = text.lines().take(part * 5).map(|line| line.len() + 1).sum::<usize>();
            scope.spawn(move || place.import(&text[..end]));
        }
    });
    place.import(&text);
    assert_eq!(place.sums(), at_once(&text));
    assert_eq!(place.sums()[0].sums.requests, 40);
}

#[test]
fn counters_add_up() {
    let place = place();
    let name = "bash".parse().unwrap();
    for millis in [1000, 250] {
        place.write(|txn| record(txn, day("2026-06-25"), Measure::Tool, &name, 1, millis));
    }
    let counter = place.write(|txn| record(txn, day("2026-06-25"), Measure::Tool, &name, u64::MAX, 0));
    assert_eq!((counter.count, counter.total_ms, counter.max_ms), (u64::MAX, 1250, 1000));
    place.write(|txn| record(txn, day("2026-06-24"), Measure::Error, &name, 1, 0));
    let read = place.store.read().unwrap();
    assert_eq!(counters(&*read, day("2026-06-25")).unwrap(), [counter]);
    assert_eq!(counters(&*read, day("2026-06-24")).unwrap().len(), 2);
}

/// What happens to a file between imports.
#[derive(Clone, Debug)]
enum Step {
    /// So many more bytes of it are written.
    Append(usize),
    /// The proxy writes it anew without so many lines.
    Prune(usize),
    /// Somebody puts a copy of everything in its place.
    Restore,
    Import,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..400).prop_map(Step::Append),
        2 => (0_usize..4).prop_map(Step::Prune),
        1 => Just(Step::Restore),
        3 => Just(Step::Import),
    ];
    proptest::collection::vec(step, 0..14)
}

/// Lines of a file, some of them alike, and some bad.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let class = prop::sample::select(vec!["timeout", "network", "http_5xx", ""]);
    let line = (0..2_u32, class, prop::bool::weighted(0.1));
    proptest::collection::vec(line, 0..16).prop_map(move |lines| {
        let line = |(number, (model, class, bad)): (usize, (u32, &str, bool))| {
            if bad {
                return "{\"ts\":\n".to_owned();
            }
            let (time, day, ok) = (number / 3, 1 + number / 6, class.is_empty());
            format!(
                "{{\"ts\":{time},\"day\":\"2026-06-{day:02}\",\"model\":\"m{model}\",\"ok\":{ok},\"cost\":0.1,\"error_class\":\"{class}\"}}\n"
            )
        };
        lines.into_iter().enumerate().map(line).collect()
    })
}

/// What a line is known again by.
fn identity(line: &str) -> &str {
    line.split("\"error_class").next().unwrap_or_default()
}

/// Plays a history; answers the sums. What is dropped was imported before, and with what is like it.
fn play(lines: &[String], steps: &[Step]) -> Vec<UsageDay> {
    let place = place();
    let all = lines.concat();
    let end_of = |count: usize| lines[..count].iter().map(String::len).sum::<usize>();
    let (mut first, mut end, mut rewritten) = (0, 0, 0);
    // the rows that the proxy has written anew lost their class
    let text = |first: usize, end: usize, rewritten: usize| {
        let anew = all[..rewritten].replace("timeout", "unknown").replace("network", "unknown");
        format!("{anew}{}", &all[rewritten..end])[end_of(first)..].to_owned()
    };
    for step in steps {
        match step {
            Step::Append(bytes) => end = (end + bytes).min(all.len()),
            Step::Import => drop(place.import(&text(first, end, rewritten))),
            Step::Prune(count) => {
                // the proxy writes whole lines only
                end = (0..=lines.len()).map(end_of).find(|at| *at >= end).unwrap();
                place.import(&text(first, end, rewritten));
                let written = (0..=lines.len()).take_while(|count| end_of(*count) <= end).last().unwrap();
                let pruned = (first + count).min(written);
                let splits = |line: &String| lines[..pruned].iter().any(|gone| identity(gone) == identity(line));
                if !lines[pruned..].iter().any(|line| line.len() > 9 && splits(line)) {
                    (first, rewritten) = (pruned, end);
                }
            }
            Step::Restore => {
                place.import(&text(first, end, rewritten));
                first = 0;
            }
        }
    }
    place.import(&text(first, all.len(), rewritten));
    place.import(&text(first, all.len(), rewritten));
    place.sums()
}

fn cases() -> u32 {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 2_000 } else { 48 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn however_a_file_comes_its_requests_are_counted_once(lines in lines(), steps in steps()) {
        prop_assert_eq!(play(&lines, &steps), at_once(&lines.concat()));
    }
}
