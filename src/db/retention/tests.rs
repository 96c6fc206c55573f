use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::db::undo::Undone;
use crate::db::{Author, Op, Store};
use crate::schema::handoff::HandoffState;
use crate::schema::id::IssueId;
use crate::schema::issue::{Assignment, Issue, IssueHead};
use crate::schema::session::SessionState;
use crate::schema::value::Value;

struct World {
    store: Store,
    _folder: tempfile::TempDir,
}

const SMALL: Policy = Policy { changes: 5, ..Policy::DEFAULT };

/// The time so many days after a day.
fn day(days: i64) -> Timestamp {
    let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    Timestamp::new(noon.get() + TimeDelta::days(days))
}

/// A store that keeps what a policy keeps, and the session `alive`.
fn world(policy: Option<Policy>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    World { store, _folder: folder }.keeping(policy)
}

impl World {
    fn keeping(mut self, policy: Option<Policy>) -> Self {
        if let Some(policy) = policy {
            self.store = self.store.with_retention(Retention::new(policy, |id| id.as_str() == "alive"));
        }
        self
    }

    fn on<R>(&self, days: i64, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, StoreError>) -> R {
        self.store.write(&Author { actor: "ada".into(), session: None, now: day(days) }, work).unwrap()
    }

    fn create(&self, days: i64, title: &str, body: &str) -> IssueId {
        let build = |id, now| Issue { head: IssueHead::new(id, title.into(), now), body: body.into() };
        self.on(days, |txn| txn.create(build)).issue.head.id
    }

    fn rewrite(&self, days: i64, id: IssueId, body: &str) {
        let change = |issue: &mut Issue, _| body.clone_into(&mut issue.body);
        self.on(days, |txn| txn.update(id, None, Op::Update, change).map(drop));
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method's path is of one lifetime only")]
    fn expire(&self, days: i64) -> Expired {
        self.on(days, |txn| txn.expire())
    }

    fn rows(&self) -> Vec<u64> {
        let read = self.store.read().unwrap();
        let mut rows: Vec<u64> = read.changes_since(Revision(0)).unwrap().map(|row| row.unwrap().0.0).collect();
        rows.reverse();
        rows
    }

    /// Believes that it is so late.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method's path is of one lifetime only")]
    fn trust(self, days: i64) -> Self {
        self.on(days, |txn| txn.trust_clock());
        self
    }

    /// Everything that is stored but the place of the sweep and the time it goes by.
    fn all(&self) -> BTreeMap<(u8, Vec<u8>), Vec<u8>> {
        let read = self.store.read().unwrap();
        let mut all = BTreeMap::new();
        for (number, table) in [&read.records, &read.changes, &read.superseded, &read.meta].into_iter().enumerate() {
            for key in table.keys_within((Bound::Unbounded, Bound::Unbounded)).unwrap() {
                let key = key.unwrap();
                if key != mark::SWEEP && key != mark::BELIEF {
                    all.insert((u8::try_from(number).unwrap(), key), Vec::new());
                }
            }
        }
        all
    }

    fn expired(&self, policy: Policy, days: i64) -> Expired {
        let retention = Retention::new(policy, |id| id.as_str() == "alive");
        self.store.read().unwrap().expired(&retention, day(days)).unwrap()
    }
}

fn ended(id: &str, days: i64) -> Session {
    Session { state: SessionState::Ended, ended_at: Some(day(days)), ..Session::begin(id.parse().unwrap(), day(days)) }
}

fn handoff(number: i64, state: HandoffState, days: i64) -> Handoff {
    Handoff {
        id: format!("01KAHGXC000000000000000{number:03}").parse().unwrap(),
        from: "ada".into(),
        to: None,
        issue: None,
        state,
        summary: "go on".into(),
        next: Vec::new(),
        session: None,
        accepted_by: None,
        accepted_session: None,
        created_at: day(days),
        updated_at: day(days),
        done_at: (state == HandoffState::Done).then(|| day(days)),
    }
}

#[test]
fn a_store_that_was_told_nothing_drops_nothing() {
    let world = world(None);
    for number in 0..20 {
        world.create(number, &format!("issue {number}"), "");
    }
    world.on(900, |txn| txn.put_record(&ended("s", 0), Op::End));
    world.on(990, |txn| txn.put_record(&ended("t", 0), Op::End));
    assert_eq!(world.rows().len(), 22);
    assert_eq!(world.expire(999), Expired::default());
}

#[test]
fn all_that_is_not_kept_goes_at_once_and_once() {
    let world = world(None);
    let id = world.create(0, "x", "one\n");
    for (days, body) in [(1, "two\n"), (2, "three\n"), (3, "four\n")] {
        world.rewrite(days, id, body);
    }
    world.on(4, |txn| {
        txn.put_record(&ended("old", 4), Op::End)?;
        txn.put_record(&handoff(1, HandoffState::Done, 4), Op::Done)?;
        txn.put_record(&handoff(2, HandoffState::Pending, 4), Op::Create)
    });
    world.on(300, |txn| txn.put_record(&ended("new", 299), Op::End));
    let world = world.keeping(Some(SMALL));
    let planned = world.expired(SMALL, 300);
    assert_eq!(planned.of(Kind::Session), ["old"]);
    assert_eq!(planned.of(Kind::Handoff), [handoff(1, HandoffState::Done, 4).id.to_string()]);
    // of the command with three rows none goes alone
    assert_eq!(planned.changes, [Revision(1), Revision(2), Revision(3)]);
    assert_eq!(planned.texts, [Revision(2), Revision(3), Revision(4)]);
    let before = world.all();
    assert_eq!(world.expired(SMALL, 300), planned, "a plan changes nothing");
    assert_eq!(world.all(), before);
    assert_eq!(world.expire(300), planned);
    assert_eq!(world.rows(), [4, 5, 6, 7, 8]);
    assert!(world.expired(SMALL, 300).is_empty());
    let dropped = world.all();
    assert!(world.expire(300).is_empty());
    assert_eq!(world.all(), dropped);
    assert_eq!(world.store.read().unwrap().revision().unwrap(), Revision(8), "it is not logged");
}

#[test]
fn what_the_log_no_longer_holds_cannot_be_undone() {
    let world = world(None);
    let id = world.create(0, "x", "one\n");
    world.rewrite(0, id, "two\n");
    world.rewrite(200, id, "three\n");
    let undo = |revision: Option<u64>| {
        let author = Author { actor: "ada".into(), session: None, now: day(200) };
        let mut seen = None;
        let _ = world.store.write(&author, |txn| {
            seen = Some(txn.undo(revision.map(Revision))?);
            // only looked at
            Err::<(), _>(StoreError::NumbersExhausted)
        });
        seen.unwrap()
    };
    let keep = |policy| Some(std::sync::Arc::new(Retention::new(policy, |_| false)));
    let expire = |policy| {
        let store = Store { retention: keep(policy), ..world.store.clone() };
        World { store, _folder: tempfile::tempdir().unwrap() }.expire(200)
    };
    // the text is gone, its row is there
    assert_eq!(expire(Policy::DEFAULT).texts, [Revision(2)]);
    assert_eq!(undo(None), Undone::Done(vec![Revision(3)]));
    world.on(200, |txn| txn.undo(None).map(drop));
    assert_eq!(undo(None), Undone::NotUndoable { revision: Revision(2) });
    let log = world.store.read().unwrap().log(Revision(0), usize::MAX, |_| true).unwrap();
    let body = |revision: u64, side: fn(&crate::db::log::LogEntry) -> &Value| {
        let entry = log.iter().find(|entry| entry.revision.0 == revision).unwrap();
        side(entry).get("body").cloned()
    };
    assert_eq!(body(2, |entry| &entry.before), None);
    assert_eq!(body(3, |entry| &entry.before), Some("two\n".into()));
    // the rows are gone
    assert_eq!(expire(Policy { changes: 1, ..Policy::DEFAULT }).changes, [Revision(1), Revision(2), Revision(3)]);
    assert_eq!((undo(Some(2)), undo(None)), (Undone::NothingToUndo, Undone::NothingToUndo));
}

#[test]
fn what_an_issue_lost_stays_until_it_is_exported() {
    let world = world(Some(Policy { changes: 1, ..Policy::DEFAULT }));
    let identity = |txn: &WriteTxn<'_>, id| txn.head(id).map(|stored| stored.unwrap().head.identity());
    let lost = Value::Map(vec![("title".into(), "the other".into())]);
    // as a sweep that is not at work
    let quiet =
        World { store: Store { retention: None, ..world.store.clone() }, _folder: tempfile::tempdir().unwrap() };
    let id = quiet.create(0, "x", "");
    quiet.on(0, |txn| {
        let identity = identity(txn, id)?;
        txn.note_lost(&identity, Op::Merge, lost, None)
    });
    quiet.create(0, "y", "");
    assert_eq!(world.expire(0).changes, [Revision(1)]);
    assert_eq!(world.rows(), [2, 3]);
    world.on(0, |txn| {
        let record = txn.issue(id)?.unwrap();
        let identity = record.issue.head.identity();
        let (name, file) = (record.issue.head.file_name(), record.hash);
        let agreed = crate::db::record::Baseline { name, file, stat: None, content: record.hash, text: None };
        txn.agree(&identity, &agreed, &record.issue)
    });
    assert_eq!(world.expire(0).changes, [Revision(2)]);
}

#[test]
fn a_session_that_is_needed_stays() {
    let world = world(None);
    world.on(0, |txn| {
        for id in ["alive", "owner", "saved", "linked", "parent", "gone"] {
            txn.put_record(&ended(id, 0), Op::End)?;
        }
        let child = Session { parent: Some("parent".parse().unwrap()), ..ended("child", 400) };
        txn.put_record(&child, Op::Fork)
    });
    let id = world.create(0, "x", "");
    world.on(0, |txn| {
        let update = txn.update(id, None, Op::Start, |issue, now| {
            issue.head.assigned_to = Some(Assignment { session: "owner".into(), acquired_at: now });
            issue.head.sessions = vec!["linked".into(), "owner".into()];
        })?;
        assert!(matches!(update, crate::db::Cas::Changed(_)));
        let pointer = Pointer {
            kind: PointerKind::Session,
            name: "mine".into(),
            target: Some("saved".into()),
            number: None,
            url: None,
            issue: None,
            note: None,
            updated_at: day(0),
        };
        txn.put_record(&pointer, Op::Update)
    });
    assert_eq!(world.expired(Policy::DEFAULT, 400).of(Kind::Session), ["gone", "linked", "parent"]);
}

#[test]
fn a_sweep_goes_on_beside_each_change_and_ends_for_the_day() {
    let quiet = world(None);
    for number in 0..100 {
        quiet.on(0, |txn| txn.put_record(&ended(&format!("s{number:03}"), 0), Op::End));
        quiet.on(0, |txn| txn.put_record(&handoff(number, HandoffState::Done, 0), Op::Done));
    }
    let world = quiet.keeping(Some(SMALL)).trust(400);
    let records = || {
        let read = world.store.read().unwrap();
        read.count(Kind::Session).unwrap() + read.count(Kind::Handoff).unwrap()
    };
    let mut commits = 0;
    let mut before = world.all().len();
    while records() > 0 {
        commits += 1;
        world.create(400, &format!("issue {commits}"), "");
        let now = world.all().len();
        assert!(before.saturating_sub(now) <= 2 * 16 + 4, "{before} -> {now}");
        before = now;
        assert!(commits < 100);
    }
    // what comes up on a day on which it ended waits for the next
    world.on(400, |txn| txn.put_record(&ended("late", 0), Op::End));
    world.create(400, "another", "");
    assert_eq!(records(), 1);
    for days in 401..410 {
        world.create(days, &format!("day {days}"), "");
    }
    assert_eq!((records(), world.rows().len()), (0, 5 + 1), "the row of the change itself comes on top");
}

#[test]
fn what_is_damaged_stops_no_change() {
    let quiet = world(None);
    for number in 0..10 {
        quiet.on(0, |txn| txn.put_record(&ended(&format!("s{number}"), 0), Op::End));
    }
    quiet.on(0, |txn| {
        txn.touched = true;
        txn.tables.changes.put(&2_u64.to_be_bytes(), "no change at all")
    });
    let world = quiet.keeping(Some(SMALL));
    world.create(400, "x", "");
    world.create(401, "y", "");
    // the damaged one, too, is still there
    let read = world.store.read().unwrap();
    let keys = read.changes.keys_within((Bound::Unbounded, Bound::Unbounded)).unwrap();
    assert_eq!(keys.map(|key| key.unwrap()[7]).collect::<Vec<_>>(), [2, 7, 8, 9, 10, 11, 12]);
    drop(read);
    assert!(matches!(
        world.store.read().unwrap().expired(world.store.retention().unwrap(), day(401)),
        Err(StoreError::Corrupt { table: "changes", .. })
    ));
}

/// A world with one of each kind that goes by its age, which ended so many days before day 0; the policies' 90 and 30
/// days. Their names begin with that number.
fn aged(ages: &[i64]) -> World {
    let world = world(None);
    for (number, age) in (1..).zip(ages.iter().copied()) {
        let id = world.create(-age, &format!("issue {number}"), "one\n");
        world.rewrite(-age, id, "two\n");
        world.on(-age, |txn| {
            txn.put_record(&ended(&format!("s{age}"), -age), Op::End)?;
            txn.put_record(&handoff(age, HandoffState::Done, -age), Op::Done)
        });
    }
    world.create(0, "the last", "");
    world.keeping(Some(Policy::DEFAULT))
}

impl World {
    /// The ages of what is there: texts, sessions, handoffs.
    fn ages(&self) -> [usize; 3] {
        let read = self.store.read().unwrap();
        let texts = read.superseded.keys_within((Bound::Unbounded, Bound::Unbounded)).unwrap().count();
        let records = [Kind::Session, Kind::Handoff].map(|kind| usize::try_from(read.count(kind).unwrap()).unwrap());
        [texts, records[0], records[1]]
    }

    /// So many changes on a day, each of which lets the sweep go on.
    fn busy(&self, days: i64) {
        for number in 0..10 {
            self.create(days, &format!("day {days}, {number}"), "");
        }
    }
}

#[test]
fn a_clock_years_ahead_drops_nothing_that_is_a_week_younger_than_what_is_dropped() {
    // 90 days are kept, so of these the one of 84 may go on a clock that is ahead, and those beyond 90 on any
    let ages = [120, 91, 84, 82, 40, 1];
    let world = aged(&ages);
    world.create(1, "an honest day", "");
    assert_eq!(world.ages(), [4; 3]);
    for _ in 0..10 {
        world.create(18_000, "ahead", "");
    }
    assert_eq!(world.ages(), [3; 3], "one day of a clock is one step, however much is changed on it");
    assert!(world.expire(18_000).is_empty());
    // to and fro, on days of a clock that are all different
    for number in 0..10 {
        world.create(1, "honest", "");
        world.create(18_001 + 400 * number, "ahead", "");
        world.expire(18_001 + 400 * number);
    }
    world.create(1, "honest", "");
    assert_eq!(world.ages(), [3; 3], "it never adds up");
    for back in [-400, -9_000, -20_000, -600_000] {
        world.busy(back);
        world.expire(back);
    }
    assert_eq!(world.ages(), [3; 3]);
    world.busy(9);
    world.busy(10);
    assert_eq!(world.ages(), [2; 3], "nobody has to catch up with that");
}

#[test]
fn a_long_pause_is_caught_up_a_week_for_each_day_of_use() {
    let world = aged(&[80, 70, 60, 50, 1]);
    world.busy(0);
    let mut left = Vec::new();
    for days in 200..215 {
        world.busy(days);
        left.push(world.ages()[1]);
        assert_eq!(world.ages(), [world.ages()[0]; 3]);
    }
    assert_eq!(left, [5, 4, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    // at once, if somebody says so
    let other = aged(&[80, 70, 60, 50, 1]);
    other.busy(0);
    assert!(other.expire(200).is_empty());
    assert_eq!(other.trust(200).ages(), [0; 3], "the sweep goes by it, too");
}

#[test]
fn counters_of_past_days_go_by_the_time_that_is_believed() {
    use crate::schema::usage::{Measure, Telemetry};
    let world = world(Some(Policy::DEFAULT));
    let count = |days: i64, of: i64| {
        let name = "sessions".parse().unwrap();
        let measure = Measure::Count;
        world.on(days, |txn| crate::usage::record(txn, Day::of(day(of)), measure, &name, 1, 0).map(drop));
    };
    let days = || {
        let counters: Vec<Telemetry> = world.store.read().unwrap().records().unwrap();
        counters.len()
    };
    for today in 0..30 {
        count(today, today);
    }
    assert_eq!(days(), 30);
    // the first one goes on day 30 of a clock that is right, and those of a week on one that is ahead
    for _ in 0..10 {
        count(18_000, 29);
        world.on(18_000, |txn| {
            txn.touched = true;
            txn.expire_usage()
        });
    }
    assert_eq!(days(), 30 - 7);
    count(30, 30);
    count(-9_000, 29);
    assert_eq!(days(), 30 - 7 + 1);
}

#[test]
fn where_nothing_is_noted_of_the_clock_the_last_change_tells() {
    // as a database is that an older version made
    let world = aged(&[89, 85, 80]);
    assert_eq!(world.expire(18_000).of(Kind::Session), ["s85", "s89"]);
    let empty = self::world(Some(Policy::DEFAULT));
    assert_eq!(empty.store.read().unwrap().believed(day(18_000)).unwrap(), day(18_000), "there is nothing to lose");
}

#[test]
fn a_damaged_belief_is_as_good_as_none() {
    let world = aged(&[95, 50]);
    world.on(0, |txn| {
        txn.touched = true;
        txn.tables.meta.put(mark::BELIEF, "no belief at all")
    });
    world.busy(1);
    assert_eq!(world.ages(), [1; 3]);
    assert!(world.store.read().unwrap().meta.get::<Belief>(mark::BELIEF).unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// What sweeps drop little by little is what goes at once.
    #[test]
    fn sweeps_come_to_what_goes_at_once(
        rows in proptest::collection::vec((0_u8..4, 0_i64..200), 0..40),
        keep in 1_u32..40,
        days in 0_u32..150,
    ) {
        let policy = Policy {
            changes: keep,
            superseded_days: days,
            sessions_days: days,
            handoffs_days: days,
            ..Policy::DEFAULT
        };
        let [at_once, little_by_little] = [(); 2].map(|()| {
            let world = world(None);
            let id = world.create(0, "x", "");
            // a clock that is never set back
            let mut rows = rows.clone();
            rows.sort_by_key(|row| row.1);
            for (number, (kind, at)) in (0..).zip(rows) {
                match kind {
                    0 => drop(world.on(at, |txn| txn.put_record(&ended(&format!("s{number}"), at), Op::End))),
                    1 => drop(world.on(at, |txn| txn.put_record(&handoff(number, HandoffState::Done, at), Op::Done))),
                    2 => world.rewrite(at, id, &format!("{number}\n")),
                    _ => drop(world.create(at, &format!("issue {number}"), "")),
                }
            }
            world.trust(200).keeping(Some(policy))
        });
        at_once.expire(200);
        for _ in 0..20 {
            // a change of no row: only the sweep is at work
            little_by_little.on(200, |txn| {
                txn.touched = true;
                Ok(())
            });
        }
        at_once.expire(200);
        prop_assert_eq!(little_by_little.all(), at_once.all());
        prop_assert!(little_by_little.expired(policy, 200).is_empty());
    }
}
