//! A clock that was set back twenty years, or is fifty ahead: the order of changes, undo, the mirror and claims go by
//! revisions, hashes and locks. What does go by the clock is named here, too, so that the documentation is true.

#![allow(clippy::disallowed_methods, reason = "tests stand outside of the program: they play the user and other tools")]

use std::time::Duration;

use oxi_state::db::undo::Undone;
use oxi_state::db::{Author, Op, Retention, Store};
use oxi_state::project::Project;
use oxi_state::schema::id::{IssueId, Revision};
use oxi_state::schema::issue::{Issue, IssueHead};
use oxi_state::schema::retention::Policy;
use oxi_state::schema::time::Timestamp;
use oxi_state::sync::{Mirror, Options, Report, merge};

/// The present, twenty years ago, fifty years ahead, before 1970, the end of the years that can be written, the present.
const CLOCKS: [&str; 6] = [
    "2026-11-20T12:00:00Z",
    "2006-11-20T12:00:00Z",
    "2076-11-20T12:00:00Z",
    "1969-12-31T23:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "2026-11-20T12:00:01Z",
];

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn author(clock: &str) -> Author {
    Author { actor: "ada".into(), session: None, now: time(clock) }
}

struct World {
    folder: tempfile::TempDir,
    project: Project,
    store: Store,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::create(folder.path()).unwrap();
    let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
    let world = World { folder, project, store };
    world.mirror(CLOCKS[0]).ensure_database().unwrap();
    world
}

impl World {
    fn mirror(&self, clock: &str) -> Mirror<'_> {
        let (project, store) = (&self.project, &self.store);
        Mirror { project, store, author: author(clock), options: Options::default(), progress: &|_, _, _| {} }
    }

    fn sync(&self, clock: &str) -> Report {
        self.mirror(clock).sync().unwrap()
    }

    fn create(&self, clock: &str, title: &str) -> IssueId {
        let build = |id, now| Issue { head: IssueHead::new(id, title.into(), now), body: "one\n".into() };
        self.store.write(&author(clock), |txn| txn.create(build)).unwrap().issue.head.id
    }

    fn rename(&self, clock: &str, id: IssueId, title: &str) {
        let change = |issue: &mut Issue, _| title.clone_into(&mut issue.head.title);
        let _ = self.store.write(&author(clock), |txn| txn.update(id, None, Op::Update, change)).unwrap();
    }

    fn issue(&self, id: IssueId) -> Issue {
        self.store.read().unwrap().issue(id).unwrap().unwrap().issue
    }

    /// The log, oldest first.
    fn log(&self) -> Vec<(u64, Timestamp)> {
        let read = self.store.read().unwrap();
        let rows = read.changes_since(Revision(0)).unwrap().map(Result::unwrap);
        let mut rows: Vec<_> = rows.map(|(revision, change)| (revision.0, change.at)).collect();
        rows.reverse();
        rows
    }

    fn path(&self, id: IssueId) -> std::path::PathBuf {
        let name = self.issue(id).head.file_name().to_string();
        self.folder.path().join(self.project.issue_path(&name))
    }
}

#[test]
fn the_order_of_changes_is_that_of_their_revisions() {
    let world = world();
    let id = world.create(CLOCKS[0], "begun");
    let mut last = world.issue(id).head.updated_at;
    for clock in CLOCKS {
        world.rename(clock, id, clock);
        let head = world.issue(id).head;
        assert_eq!(head.title, clock, "the last change is the one that holds");
        assert!(head.updated_at > last, "{clock}: {} is not after {last}", head.updated_at);
        last = head.updated_at;
    }
    let log = world.log();
    assert!(log.iter().map(|(revision, _)| *revision).eq(1..=7), "{log:?}");
    assert!(log[1..].iter().map(|(_, at)| *at).eq(CLOCKS.map(time)), "what the clock said is shown: {log:?}");
    // whoever asks what is new since a revision gets that
    let read = world.store.read().unwrap();
    let news: Vec<_> = read.changes_since(Revision(4)).unwrap().map(|row| row.unwrap().0.0).collect();
    assert_eq!(news, [7, 6, 5]);
}

#[test]
fn the_last_change_is_undone_first_whatever_the_clock_says() {
    let world = world();
    let id = world.create(CLOCKS[0], "begun");
    for clock in CLOCKS {
        world.rename(clock, id, clock);
    }
    for (clock, title) in CLOCKS.into_iter().zip(CLOCKS.into_iter().rev().skip(1)) {
        let undone = world.store.write(&author(clock), |txn| txn.undo(None)).unwrap();
        assert!(matches!(undone, Undone::Done { .. }), "{undone:?}");
        assert_eq!(world.issue(id).head.title, title);
    }
}

#[test]
fn the_mirror_goes_by_content_and_not_by_time() {
    let world = world();
    let id = world.create(CLOCKS[0], "begun");
    for clock in CLOCKS {
        world.rename(clock, id, clock);
        let report = world.sync(clock);
        assert_eq!(report.created.len() + report.updated.len(), 1, "{clock}: {report:?}");
        let path = world.path(id);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(clock), "{text}");
        // an edit by hand, which leaves `updated_at` as it was
        std::fs::write(
            &path,
            text.replace(
                "
---
one
",
                "
---
one
more
",
            ),
        )
        .unwrap();
        let report = world.sync(CLOCKS[1]);
        assert_eq!(report.updated, [id], "{clock}: {report:?}");
        assert!(world.sync(CLOCKS[2]).is_quiet());
    }
    assert_eq!(world.issue(id).body.matches("more").count(), CLOCKS.len());
}

#[test]
fn files_with_times_of_other_clocks_are_taken_in_by_their_content() {
    let world = world();
    let id = world.create(CLOCKS[0], "begun");
    world.sync(CLOCKS[0]);
    let path = world.path(id);
    for (number, clock) in CLOCKS.into_iter().enumerate() {
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let seconds = time(clock).get().timestamp().clamp(0, 4_000_000_000);
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap());
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "more\n").unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(world.sync(CLOCKS[0]).updated, [id], "{clock}");
        assert_eq!(world.issue(id).body.matches("more").count(), number + 1, "{clock}");
    }
}

#[test]
fn of_two_edits_of_one_field_the_one_that_says_it_is_later_wins_and_the_other_is_told() {
    // what the clock decides: this is what `docs/reliability.md` warns of
    let head = IssueHead::new(IssueId(1), "base".into(), time(CLOCKS[0]));
    let base = Issue { head, body: String::new() };
    let edited = |title: &str, clock: &str| {
        let mut issue = base.clone();
        title.clone_into(&mut issue.head.title);
        issue.head.updated_at = time(clock);
        issue
    };
    let (late, honest) = (edited("late", CLOCKS[2]), edited("honest", CLOCKS[5]));
    for (ours, theirs) in [(&late, &honest), (&honest, &late)] {
        let merged = merge::merge(Some(&base), ours, theirs);
        assert_eq!((merged.issue.head.title.as_str(), merged.lost.len()), ("late", 1));
        assert_eq!(merged.issue.head.updated_at, time(CLOCKS[2]));
    }
    // an edit by hand has the base's time, and is the newest of all
    let by_hand = edited("by hand", CLOCKS[0]);
    assert_eq!(merge::merge(Some(&base), &late, &by_hand).issue.head.title, "by hand");
}

#[test]
fn what_is_kept_for_some_days_is_kept_on_every_clock() {
    let world = world();
    let retention = Retention::new(Policy::DEFAULT, |_| false);
    let store = Store::in_dir(world.project.state().clone(), Duration::from_secs(10)).with_retention(retention);
    let id = world.create(CLOCKS[0], "begun");
    let change = |issue: &mut Issue, _| "two\n".clone_into(&mut issue.body);
    let _ = store.write(&author(CLOCKS[0]), |txn| txn.update(id, None, Op::Update, change)).unwrap();
    let kept = || store.read().unwrap().superseded_body(Revision(2)).unwrap().is_some();
    for round in 0..10 {
        for clock in CLOCKS {
            store.write(&author(clock), |txn| txn.expire().map(drop)).unwrap();
            let title = |issue: &mut Issue, _| issue.head.title = format!("{clock} {round}");
            let _ = store.write(&author(clock), |txn| txn.update(id, None, Op::Update, title)).unwrap();
            assert!(kept(), "{clock}");
        }
    }
    // what it replaced comes back, too
    assert!(matches!(store.write(&author(CLOCKS[2]), |txn| txn.undo(Some(Revision(2)))).unwrap(), Undone::Done { .. }));
    assert_eq!(world.issue(id).body, "one\n");
    // only whoever says that the clock is right is taken at his word
    let trusting = |txn: &mut oxi_state::db::WriteTxn<'_>| {
        txn.trust_clock()?;
        txn.expire().map(drop)
    };
    store.write(&author(CLOCKS[2]), trusting).unwrap();
    assert!(!kept());
    // no issue, and no row of the log, goes by its age
    assert_eq!(world.log().len(), 2 + 60 + 1);
}

#[test]
fn an_agent_that_is_to_stay_longer_than_a_week_stays_on_a_clock_far_ahead() {
    let world = world();
    let policy = Policy { agents_hours: 24 * 30, ..Policy::DEFAULT };
    let store = Store::in_dir(world.project.state().clone(), Duration::from_secs(10))
        .with_retention(Retention::new(policy, |_| false));
    let prime = |clock: &str| {
        let new = oxi_state::agents::Prime { which: oxi_state::agents::Which::New, ..Default::default() };
        oxi_state::agents::Agents::new(&store, author(clock)).prime(&new, getrandom::fill).unwrap().agent.id
    };
    let first = prime(CLOCKS[0]);
    let is_there = |id| oxi_state::agents::all(&*store.read().unwrap()).unwrap().iter().any(|agent| agent.id == id);
    for _ in 0..10 {
        for clock in CLOCKS {
            prime(clock);
            oxi_state::agents::Agents::new(&store, author(clock)).prune().unwrap();
            assert!(is_there(first), "{clock}");
        }
    }
}
