use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::schema::session::SourceFile;
use crate::schema::validation::Verdict;

const NOW: &str = "2026-06-17T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// So many seconds before now.
fn ago(seconds: i64) -> Timestamp {
    Timestamp::new(at(NOW).get() - TimeDelta::seconds(seconds))
}

fn run(number: usize, name: &str, seconds_ago: i64) -> Validation {
    Validation {
        id: format!("01KAHGXC000000000000000{number:03}").parse().unwrap(),
        name: name.into(),
        result: Verdict::Passed,
        command: None,
        exit_code: None,
        signal: None,
        duration_ms: None,
        commit: None,
        branch: None,
        dirty: None,
        summary: None,
        issue: None,
        session: None,
        at: ago(seconds_ago),
        updated_at: at(NOW),
    }
}

fn ended(at: Timestamp) -> Session {
    Session { state: SessionState::Ended, ended_at: Some(at), ..Session::begin("s".parse().unwrap(), at) }
}

fn done(at: Timestamp) -> Handoff {
    Handoff {
        id: "01KAHGXC00000000000000000A".parse().unwrap(),
        from: "ada".into(),
        to: None,
        issue: None,
        state: HandoffState::Done,
        summary: "x".into(),
        next: Vec::new(),
        session: None,
        accepted_by: None,
        accepted_session: None,
        created_at: at,
        updated_at: at,
        done_at: Some(at),
    }
}

#[test]
fn usage_is_kept_by_whole_days_in_utc_with_today_among_them() {
    for (days, now, first) in [
        (30, "2026-06-17T12:00:00Z", "2026-05-19"),
        (1, "2026-06-17T00:00:00Z", "2026-06-17"),
        (1, "2026-06-17T23:59:59.999Z", "2026-06-17"),
        // still the 17th in UTC
        (1, "2026-06-18T01:00:00+02:00", "2026-06-17"),
        (0, "2026-06-17T12:00:00Z", "2026-06-18"),
        (36_500, "2026-06-17T12:00:00Z", "1926-07-13"),
    ] {
        let policy = Policy { usage_days: days, ..Policy::DEFAULT };
        assert_eq!(policy.first_usage_day(at(now)), first.parse().unwrap(), "{days} days at {now}");
    }
}

#[test]
fn what_is_exactly_as_old_as_is_kept_is_kept() {
    let day = TimeDelta::days(1).num_seconds();
    let policy = Policy { sessions_days: 90, handoffs_days: 90, superseded_days: 90, ..Policy::DEFAULT };
    for (seconds, goes) in [(0, false), (90 * day - 1, false), (90 * day, false), (90 * day + 1, true), (-day, false)] {
        let then = ago(seconds);
        assert_eq!(policy.drops_session(&ended(then), at(NOW)), goes, "{seconds}");
        assert_eq!(policy.drops_handoff(&done(then), at(NOW)), goes, "{seconds}");
        assert_eq!(policy.drops_text(then, at(NOW)), goes, "{seconds}");
    }
    let nothing = Policy { sessions_days: 0, ..Policy::DEFAULT };
    assert!(nothing.drops_session(&ended(ago(1)), at(NOW)) && !nothing.drops_session(&ended(ago(0)), at(NOW)));
}

#[test]
fn only_sessions_that_ended_go_and_none_that_a_file_would_bring_back() {
    let old = ended(ago(100 * 86_400));
    let file = SourceFile { path: "~/x.jsonl".into(), size: 1, modified: None, sha256: "0".repeat(64) };
    for (session, goes) in [
        (old.clone(), true),
        (Session { ended_at: None, ..old.clone() }, true),
        (Session { ended_at: None, last_activity_at: ago(0), ..old.clone() }, false),
        (Session { state: SessionState::Active, ..old.clone() }, false),
        (Session { state: SessionState::Recorded, ..old.clone() }, false),
        (Session { file: Some(file), ..old.clone() }, false),
    ] {
        assert_eq!(Policy::DEFAULT.drops_session(&session, at(NOW)), goes, "{session:?}");
    }
}

#[test]
fn only_handoffs_that_are_done_go() {
    let old = done(ago(100 * 86_400));
    for state in [HandoffState::Pending, HandoffState::Accepted] {
        assert!(!Policy::DEFAULT.drops_handoff(&Handoff { state, ..old.clone() }, at(NOW)));
    }
    let unsaid = Handoff { done_at: None, ..old };
    assert!(Policy::DEFAULT.drops_handoff(&unsaid, at(NOW)));
    assert!(!Policy::DEFAULT.drops_handoff(&Handoff { updated_at: ago(1), ..unsaid }, at(NOW)));
}

#[test]
fn the_newest_runs_of_each_name_are_kept_and_pinned_ones_do_not_count() {
    let policy = Policy { validations_per_name: 2, ..Policy::DEFAULT };
    let runs = [run(1, "a", 50), run(2, "a", 40), run(3, "a", 30), run(4, "a", 20), run(5, "b", 99), run(6, "a", 20)];
    let gone = |pinned: &[usize]| {
        let pinned: Vec<_> = pinned.iter().map(|&number| runs[number - 1].id).collect();
        let gone = policy.surplus_runs(&runs, |run| pinned.contains(&run.id));
        let mut numbers: Vec<usize> =
            gone.iter().map(|id| runs.iter().position(|run| run.id == *id).unwrap() + 1).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(gone(&[]), [1, 2, 3]);
    assert_eq!(gone(&[1]), [2, 3]);
    assert_eq!(gone(&[4]), [1, 2]);
    assert_eq!(gone(&[4, 6]), [1]);
    assert_eq!(gone(&[1, 2, 3, 4, 6]), [0_usize; 0]);
}

#[test]
fn the_log_is_cut_between_commands_except_in_the_import_that_it_was_born_with() {
    // commands that begin at 1 (the birth, 10 rows), 11, 12 (8 rows), 20
    let group = |revision: Revision| {
        Ok::<_, Infallible>(match revision.0 {
            1..=10 => Some(Revision(1)),
            11 => Some(Revision(11)),
            12..=19 => Some(Revision(12)),
            20 => Some(Revision(20)),
            _ => None,
        })
    };
    for (changes, first) in [(1, 20), (2, 12), (8, 12), (9, 12), (10, 11), (11, 10), (15, 6), (20, 1), (21, 0)] {
        let policy = Policy { changes, ..Policy::DEFAULT };
        let found = policy.first_change(Revision(20), Revision(10), group).unwrap();
        assert_eq!(found, Revision(first), "{changes}");
    }
    let policy = Policy { changes: 3, ..Policy::DEFAULT };
    let missing = policy.first_change(Revision(20), Revision(10), |_| Ok::<_, Infallible>(None));
    assert_eq!(missing.unwrap(), Revision(18));
    assert_eq!(policy.first_change(Revision(0), Revision(0), group).unwrap(), Revision(0));
}

proptest! {
    /// Against its definition: of each name the newest stay, the pinned ones beside them; and once is enough.
    #[test]
    fn runs_are_dropped_as_defined(
        runs in proptest::collection::vec((0_u8..3, 0_i64..20, any::<bool>()), 0..40),
        most in 1_u32..6,
    ) {
        let policy = Policy { validations_per_name: most, ..Policy::DEFAULT };
        let pinned: BTreeSet<_> =
            runs.iter().enumerate().filter(|(_, run)| run.2).map(|(number, _)| run_id(number)).collect();
        let runs: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(number, (name, seconds, _))| run(number, &name.to_string(), *seconds))
            .collect();
        let is_pinned = |run: &Validation| pinned.contains(&run.id);
        let gone = policy.surplus_runs(&runs, is_pinned);
        let kept: Vec<_> = runs.iter().filter(|run| !gone.contains(&run.id)).cloned().collect();
        for run in &runs {
            let newer = runs
                .iter()
                .filter(|other| other.name == run.name && !is_pinned(other) && (other.at, other.id) > (run.at, run.id))
                .count();
            prop_assert_eq!(kept.contains(run), is_pinned(run) || newer < most as usize);
        }
        prop_assert!(policy.surplus_runs(&kept, is_pinned).is_empty());
    }

    /// No row that is among the newest is dropped, no command is cut, and the cut only ever moves on.
    #[test]
    fn the_log_is_cut_as_defined(
        commands in proptest::collection::vec(1_u64..6, 1..30),
        born in 0_usize..3,
        most in 1_u32..40,
    ) {
        let groups: Vec<u64> = commands
            .iter()
            .scan(1, |next, rows| {
                let first = *next;
                *next += rows;
                Some(vec![first; usize::try_from(*rows).unwrap()])
            })
            .flatten()
            .collect();
        let group = |revision: Revision| {
            Ok::<_, Infallible>(groups.get(usize::try_from(revision.0 - 1).unwrap()).map(|group| Revision(*group)))
        };
        let born = Revision(commands.iter().take(born).sum());
        let policy = Policy { changes: most, ..Policy::DEFAULT };
        let mut before = Revision(0);
        for last in born.0..=groups.len() as u64 {
            // only between commands does anybody look
            if last > 0 && groups.get(usize::try_from(last).unwrap()) == groups.get(usize::try_from(last - 1).unwrap()) {
                continue;
            }
            let first = policy.first_change(Revision(last), born, group).unwrap();
            let kept = (last + 1).saturating_sub(first.0.max(1));
            prop_assert!(kept >= last.min(most.into()));
            if first > born && first.0 > 1 {
                prop_assert_eq!(group(first).unwrap(), Some(first));
            }
            prop_assert!(first >= before);
            before = first;
        }
    }
}

fn run_id(number: usize) -> RecordId {
    run(number, "", 0).id
}
