use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::db::{Author, Store};
use crate::schema::issue::{Issue, IssueHead, Status};
use crate::schema::time::Timestamp;
use crate::schema::validation::Verdict;

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
        .at(0, |txn| {
            txn.create(|id, now| Issue { head: IssueHead::new(id, "Fix login".into(), now), body: String::new() })
        })
        .unwrap();
    world
}

fn id(number: i64) -> RecordId {
    format!("01KAHGXC000000000000000{number:03}").parse().unwrap()
}

impl World {
    fn at<R, E: From<StoreError>>(
        &self,
        seconds: i64,
        work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let noon: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let now = Timestamp::new(noon.get() + TimeDelta::seconds(seconds));
        self.store.write(&Author { actor: "ada".into(), session: None, now }, work)
    }

    /// Notes a run as so many seconds after noon.
    fn run(&self, number: i64, name: &str, result: &str, issue: Option<u32>) -> Validation {
        let fields = json!({"name": name, "result": result, "issue": issue});
        self.at(number, |txn| note(txn, id(number), keyed::object(fields), Op::Run, &Policy::default())).unwrap()
    }

    fn set_status(&self, seconds: i64, status: Status) {
        let done = self.at(seconds, |txn| {
            txn.update(ONE, None, Op::Close, |issue, now| {
                crate::claims::set_status(&mut issue.head, status, now);
            })
        });
        let _: Result<_, StoreError> = done;
    }

    /// The numbers of the runs that the issue's file lists.
    fn listed(&self) -> Vec<i64> {
        let head = self.store.read().unwrap().head(ONE).unwrap().unwrap().head;
        head.validations.iter().map(|entry| entry.id[23..].parse().unwrap()).collect()
    }
}

#[test]
fn a_run_dirties_no_file_until_it_is_pinned() {
    let world = world();
    let before = world.store.read().unwrap().issue(ONE).unwrap().unwrap().hash;
    world.run(1, "test", "passed", Some(1));
    assert_eq!(world.store.read().unwrap().issue(ONE).unwrap().unwrap().hash, before);
    assert!(world.at(2, |txn| pin(txn, id(1))).unwrap());
    assert!(!world.at(3, |txn| pin(txn, id(1))).unwrap());
    assert_eq!(world.listed(), [1]);
    assert!(world.at(4, |txn| unpin(txn, id(1))).unwrap());
    assert!(!world.at(5, |txn| unpin(txn, id(1))).unwrap());
    assert_eq!((world.listed().len(), world.store.read().unwrap().records::<Validation>().unwrap().len()), (0, 1));
}

#[test]
fn only_a_run_about_an_issue_can_be_pinned_and_five_at_most() {
    let world = world();
    world.run(1, "test", "passed", None);
    assert!(matches!(world.at(2, |txn| pin(txn, id(1))), Err(ValidationError::NoIssue(_))));
    assert!(matches!(world.at(2, |txn| pin(txn, id(99))), Err(ValidationError::NotFound(_))));
    for number in 10..15 {
        world.run(number, "test", "passed", Some(1));
        world.at(20, |txn| pin(txn, id(number))).unwrap();
    }
    world.run(15, "test", "passed", Some(1));
    assert!(matches!(world.at(21, |txn| pin(txn, id(15))), Err(ValidationError::Full(ONE))));
}

#[test]
fn closing_pins_the_latest_of_each_name_and_keeps_what_was_pinned_by_hand() {
    let world = world();
    world.run(1, "test", "failed", Some(1));
    world.at(2, |txn| pin(txn, id(1))).unwrap();
    world.run(3, "test", "failed", Some(1));
    world.run(4, "lint", "passed", Some(1));
    world.run(5, "test", "passed", Some(1));
    world.run(6, "other", "passed", None);
    world.set_status(10, Status::Closed);
    assert_eq!(world.listed(), [1, 4, 5]);
    // once more: what the first closing listed gives way
    world.set_status(11, Status::Open);
    assert_eq!(world.listed(), [1, 4, 5]);
    world.run(12, "test", "passed", Some(1));
    world.set_status(13, Status::Closed);
    assert_eq!(world.listed(), [1, 4, 12]);
    for number in 20..30 {
        world.run(number, &format!("check {number}"), "passed", Some(1));
    }
    world.set_status(31, Status::Open);
    world.set_status(32, Status::Closed);
    assert_eq!(world.listed(), [1, 26, 27, 28, 29]);
}

#[test]
fn a_pinned_run_comes_back_from_another_clone() {
    let (ours, theirs) = (world(), world());
    let run = ours.run(1, "test", "passed", Some(1));
    ours.at(2, |txn| pin(txn, id(1))).unwrap();
    let issue = ours.store.read().unwrap().issue(ONE).unwrap().unwrap();
    theirs.at(3, |txn| txn.put(&issue, Op::Import)).unwrap();
    let taken_in: Validation = theirs.store.read().unwrap().record(&id(1).to_string()).unwrap().unwrap();
    assert_eq!(taken_in, Validation { session: None, ..run });
    assert!(is_pinned(&*theirs.store.read().unwrap(), &taken_in).unwrap());
    // unpinned there: the run stays
    let mut without = issue.issue.clone();
    without.head.validations.clear();
    theirs.at(4, |txn| txn.put(&crate::db::record::Versioned::new(without), Op::Import)).unwrap();
    let read = theirs.store.read().unwrap();
    assert!(!is_pinned(&*read, &taken_in).unwrap() && read.count(crate::db::record::Kind::Validation).unwrap() == 1);
}

#[test]
fn the_latest_of_each_name_say_how_things_stand_failing_first() {
    let world = world();
    for (number, name, result) in
        [(1, "lint", "failed"), (2, "a", "passed"), (3, "lint", "passed"), (4, "z", "error"), (5, "b", "skipped")]
    {
        world.run(number, name, result, None);
    }
    let read = world.store.read().unwrap();
    let latest: Vec<_> = latest(&*read).unwrap().into_iter().map(|run| (run.name, run.result)).collect();
    let named = |name: &str, result| (name.to_owned(), result);
    assert_eq!(
        latest,
        [
            named("z", Verdict::Error),
            named("a", Verdict::Passed),
            named("b", Verdict::Skipped),
            named("lint", Verdict::Passed)
        ]
    );
    assert_eq!(newest_first(&*read).unwrap()[0].name, "b");
}

#[test]
fn a_run_is_stale_once_another_commit_is_checked_out() {
    let world = world();
    let run = world.run(1, "test", "passed", None);
    assert_eq!(is_stale(&run, Some("d14307f00")), None);
    let run = Validation { commit: Some("d14307f".into()), ..run };
    assert_eq!(is_stale(&run, Some("d14307f00")), Some(false));
    assert_eq!(is_stale(&run, Some("e595720aa")), Some(true));
    assert_eq!(is_stale(&run, None), None);
}
