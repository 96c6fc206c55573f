use super::*;

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    Timestamp::new(start.get() + chrono::TimeDelta::seconds(seconds))
}

/// What happens at a second: a call that goes well, an error, an error with a pause, the trial being taken.
#[derive(Clone, Copy)]
enum Event {
    Ok,
    /// Well, but nothing is left for so many seconds.
    Last(i64),
    Err(ErrorClass),
    Pause(ErrorClass, i64),
    Trial,
}

use ErrorClass::{Http4xx, Http5xx, Network, RateLimit, Timeout};
use Event::{Err as Fails, Last, Ok as Goes, Pause, Trial};

fn play(events: &[(i64, Event)]) -> Health {
    let mut row = Health::untested("p".into(), "m".into(), at(0));
    for &(second, event) in events {
        let now = at(second);
        let seen = |outcome, resets_at, remaining| Observed { outcome, resets_at, limit: Some(100), remaining };
        let seen = match event {
            Goes => seen(Outcome::Ok, None, Some(7)),
            Last(pause) => seen(Outcome::Ok, Some(at(second + pause)), Some(0)),
            Fails(class) => seen(Outcome::Failed(class), None, None),
            Pause(class, pause) => seen(Outcome::Failed(class), Some(at(second + pause)), None),
            Trial => {
                row = take_trial(&row, now);
                continue;
            }
        };
        row = observe(&row, seen, Policy::default(), now);
    }
    row
}

/// What happens, and how the row is then: state, breaker, failures; and what is answered at which second.
type Row = (Vec<(i64, Event)>, HealthState, Breaker, u64, Vec<(i64, i64)>);

/// How the row is after events, and whether a call may be made at a second: for how long to wait, 0 for now, -1 for one
/// to see how it goes.
#[test]
fn the_policy_as_a_table() {
    use Breaker::{Closed, HalfOpen, Open};
    use HealthState::{Available, Error, Limited, Retry, Untested};
    let four = [(0, Fails(Network)), (1, Fails(Timeout)), (2, Fails(Network)), (3, Fails(Http5xx))];
    let five = [four.as_slice(), &[(4, Fails(Network))]].concat();
    let then = |more: &[(i64, Event)]| [five.as_slice(), more].concat();
    let table: Vec<Row> = vec![
        (vec![], Untested, Closed, 0, vec![(0, 0)]),
        (vec![(0, Goes)], Available, Closed, 0, vec![(0, 0)]),
        (vec![(0, Fails(Network))], Retry, Closed, 1, vec![(0, 0)]),
        (vec![(0, Fails(Http4xx))], Error, Closed, 1, vec![(0, 0)]),
        // 429 without a pause counts like any other; with one, the upstream is believed at once
        (vec![(0, Fails(RateLimit))], Limited, Closed, 1, vec![(0, 0)]),
        (vec![(0, Pause(RateLimit, 30))], Limited, Open, 1, vec![(0, 30), (29, 1), (30, -1), (99, -1)]),
        (vec![(0, Pause(Http5xx, 30))], Limited, Open, 1, vec![(0, 30), (30, -1)]),
        // a pause that is over says nothing
        (vec![(9, Pause(RateLimit, 0))], Limited, Closed, 1, vec![(9, 0)]),
        (vec![(9, Pause(RateLimit, -5))], Limited, Closed, 1, vec![(9, 0)]),
        // the fifth on end
        (four.to_vec(), Retry, Closed, 4, vec![(3, 0)]),
        (five.clone(), Error, Open, 5, vec![(4, 60), (63, 1), (64, -1)]),
        ([&four[..], &[(4, Goes), (5, Fails(Network))]].concat(), Retry, Closed, 1, vec![(5, 0)]),
        // one is let through, others wait for its outcome
        (then(&[(64, Trial)]), Error, HalfOpen, 5, vec![(64, 60), (123, 1), (124, -1)]),
        (then(&[(64, Trial), (65, Goes)]), Available, Closed, 0, vec![(65, 0)]),
        (then(&[(64, Trial), (65, Fails(Network))]), Error, Open, 6, vec![(65, 60), (125, -1)]),
        (then(&[(64, Trial), (65, Pause(RateLimit, 300))]), Limited, Open, 6, vec![(65, 300), (365, -1)]),
        // who calls all the same makes it last longer, and never shorter than the upstream said
        (then(&[(10, Fails(Network))]), Error, Open, 6, vec![(10, 60)]),
        (vec![(0, Pause(RateLimit, 300)), (10, Fails(Network))], Error, Open, 2, vec![(10, 290)]),
        (vec![(0, Pause(RateLimit, 300)), (10, Pause(RateLimit, 20))], Limited, Open, 2, vec![(10, 20), (30, -1)]),
        (vec![(0, Pause(RateLimit, 5)), (10, Fails(Network))], Error, Open, 2, vec![(10, 60)]),
        (vec![(0, Pause(RateLimit, 300)), (10, Goes)], Available, Closed, 0, vec![(10, 0)]),
        // the last call of a period went well
        (vec![(0, Last(40))], Limited, Closed, 0, vec![(0, 40), (40, 0)]),
        (vec![(0, Last(-1))], Available, Closed, 0, vec![(0, 0)]),
        // a clock that was set back makes nobody wait for longer than from now on
        (then(&[]), Error, Open, 5, vec![(-9000, 60)]),
    ];
    for (number, (events, state, breaker, failures, asked)) in table.into_iter().enumerate() {
        let row = play(&events);
        assert_eq!((row.state, row.breaker, row.consecutive_failures), (state, breaker, failures), "row {number}");
        for (second, expected) in asked {
            let answer = match permit(Some(&row), Policy::default(), at(second)) {
                Permit::Now => 0,
                Permit::Trial => -1,
                wait @ Permit::Wait(_) => i64::try_from(wait.seconds(at(second)).unwrap()).unwrap(),
            };
            assert_eq!(answer, expected, "row {number} at {second}");
        }
    }
}

#[test]
fn what_the_upstream_says_is_kept_and_what_is_old_is_not() {
    let row = play(&[(0, Goes)]);
    assert_eq!((row.limit, row.remaining, row.last_error), (Some(100), Some(7), None));
    let row = play(&[(0, Goes), (5, Fails(Timeout))]);
    assert_eq!((row.limit, row.remaining), (Some(100), None));
    let row = play(&[(0, Fails(Timeout)), (5, Goes)]);
    assert_eq!((row.last_error, row.last_error_at), (Some(Timeout), Some(at(0))), "the last one, however long ago");
    assert_eq!(row.checked_at, at(5));
}

#[test]
fn a_model_without_a_row_may_be_called() {
    assert_eq!(permit(None, Policy::default(), at(0)), Permit::Now);
}

#[test]
fn the_numbers_of_the_policy_are_the_callers() {
    let eager = Policy { open_after: 1, cool_down: 5 };
    let first = Health::untested("p".into(), "m".into(), at(0));
    let seen = Observed { outcome: Outcome::Failed(Network), resets_at: None, limit: None, remaining: None };
    let row = observe(&first, seen, eager, at(0));
    assert_eq!(permit(Some(&row), eager, at(4)), Permit::Wait(at(5)));
    assert_eq!(permit(Some(&row), eager, at(5)), Permit::Trial);
}

#[test]
fn waiting_is_rounded_up() {
    let half: Timestamp = "2026-11-20T12:00:00.5Z".parse().unwrap();
    assert_eq!(Permit::Wait(at(2)).seconds(half), Some(2));
    assert_eq!(Permit::Wait(at(2)).seconds(at(0)), Some(2));
    assert_eq!(Permit::Now.seconds(half), None);
}

#[test]
fn the_words_are_those_that_are_stored() {
    use HealthState::{Available, Error, Limited, Retry, Untested};
    for class in ErrorClass::ALL {
        assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        assert_eq!(ErrorClass::of(class.as_str()), Some(class));
    }
    for breaker in [Breaker::Closed, Breaker::Open, Breaker::HalfOpen] {
        assert_eq!(serde_json::to_value(breaker).unwrap(), breaker.as_str());
    }
    for state in [Available, Limited, Retry, Error, Untested] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}
