//! What time it is for retention. A clock that is years ahead must not make everything old at once, so what is dropped for
//! its age goes by a time that moves on by a week at most with each day on which something is changed.
//!
//! A clock that is behind is believed at once, since then nothing is old. So whatever a clock ahead gained is lost when it
//! is right again, and going to and fro adds nothing up. Only one that is more than a year behind must say so on two days:
//! a machine that starts in 1970 and then asks what time it is would else have decades to catch up with.
//!
//! Whoever changes something on many days of a clock that is ahead makes it believed in the end, a week each day. Nobody
//! can tell that from a long pause.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::super::day::Day;
use super::super::time::Timestamp;

/// How many days ages move on by at most, from one day to the next on which something is changed.
pub const STEP_DAYS: i64 = 7;

/// A clock that is further behind than so many days is believed when a second day says the same.
const FAR_BEHIND_DAYS: i64 = 366;

/// What was believed last, and on what day of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// The day in UTC that the clock showed.
    day: Day,
    /// What was believed before that day: all of it goes by one limit, however much is changed on it.
    from: Timestamp,
    /// What was believed at the end of that day's sweep.
    believed: Timestamp,
    /// When the clock was last far behind.
    behind: Option<Timestamp>,
}

impl Belief {
    /// That it is so late.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { day: Day::of(now), from: now, believed: now, behind: None }
    }

    /// The time to go by where the clock says `now`. Never later than that.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Timestamp {
        now.min(step_after(if Day::of(now) == self.day { self.from } else { self.believed }))
    }

    /// What is believed after a day's sweep that ended when the clock said `now`.
    #[must_use]
    pub fn after_sweep(&self, now: Timestamp) -> Self {
        let today = Day::of(now);
        if after(now, FAR_BEHIND_DAYS) < self.believed {
            let is_confirmed = |first| Day::of(first) < today && now <= step_after(first);
            return match self.behind {
                Some(first) if is_confirmed(first) => Self::new(now),
                _ => Self { behind: Some(now), ..*self },
            };
        }
        let from = if today == self.day { self.from } else { self.believed };
        // a clock that is ahead says nothing of one that was behind
        let behind = self.behind.filter(|_| now > step_after(self.believed));
        Self { day: today, from, believed: self.at(now), behind }
    }
}

fn step_after(time: Timestamp) -> Timestamp {
    after(time, STEP_DAYS)
}

/// So many days later; the same time where time ends before.
fn after(time: Timestamp, days: i64) -> Timestamp {
    time.get().checked_add_signed(TimeDelta::days(days)).map_or(time, Timestamp::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The time so many days after a day.
    fn day(days: i64) -> Timestamp {
        let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        Timestamp::new(noon.get() + TimeDelta::days(days))
    }

    /// What is believed after sweeps on these days.
    fn swept(from: i64, days: &[i64]) -> Belief {
        days.iter().fold(Belief::new(day(from)), |belief, now| belief.after_sweep(day(*now)))
    }

    #[test]
    fn a_clock_that_goes_on_is_believed() {
        for days in [&[1][..], &[1, 2, 3], &[7, 14, 21], &[0, 0, 1]] {
            let last = *days.last().unwrap();
            assert_eq!(swept(0, days).at(day(last + 7)), day(last + 7), "{days:?}");
        }
    }

    #[test]
    fn a_clock_far_ahead_is_believed_a_week_at_most_however_much_is_changed_on_that_day() {
        let to_and_fro = [9_000, 19_000, 0].repeat(20);
        for days in [&[][..], &[9_000], &[9_000, 9_000], &[9_000, 0, 9_000], &to_and_fro] {
            assert_eq!(swept(0, days).at(day(9_000)), day(7), "{days:?}");
            assert_eq!(swept(0, days).at(day(1)), day(1), "{days:?}");
        }
        let later = Timestamp::new(day(9_000).get() + TimeDelta::hours(3));
        assert_eq!(swept(0, &[9_000]).at(later), day(7));
    }

    #[test]
    fn a_long_pause_is_caught_up_a_week_a_day() {
        let mut belief = Belief::new(day(0));
        for (number, today) in (1..).zip(100..120) {
            assert_eq!(belief.at(day(today)), day(today.min(7 * number)));
            belief = belief.after_sweep(day(today));
        }
        assert_eq!(belief.at(day(120)), day(120));
    }

    #[test]
    fn a_clock_that_was_set_back_once_makes_nobody_catch_up() {
        let back = swept(100, &[-9_000]);
        assert_eq!((back.at(day(-9_000)), back.at(day(101))), (day(-9_000), day(101)));
        // every start of the machine, for a while
        assert_eq!(swept(100, &[-9_000, 101, -9_000, 102, -9_000]).at(day(103)), day(103));
        // less than a year are caught up
        assert_eq!(swept(100, &[-200]).at(day(101)), day(-193));
    }

    #[test]
    fn a_clock_that_is_far_behind_on_two_days_is_believed() {
        assert_eq!(swept(9_000, &[10, 11]), Belief::new(day(11)));
        // also where it is ahead in between; and not if the second day is no sequel of the first
        assert_eq!(swept(9_000, &[10, 9_500, 11]), Belief::new(day(11)));
        assert_eq!(swept(9_000, &[10, 30]).at(day(9_001)), day(9_001));
        // less than a year is at once
        assert_eq!(swept(0, &[9_000, 9_001, 9_002, 1, 2]).at(day(9_000)), day(9));
    }

    #[test]
    fn the_ends_of_time_are_days_like_others() {
        let ends = [chrono::DateTime::<chrono::Utc>::MIN_UTC, chrono::DateTime::<chrono::Utc>::MAX_UTC];
        let [first, last] = ends.map(Timestamp::new);
        assert_eq!(Belief::new(last).at(last), last);
        assert_eq!(Belief::new(first).after_sweep(last).at(first), first);
        assert_eq!(Belief::new(last).after_sweep(first).at(last), last);
    }

    proptest! {
        /// Whatever the clock shows between: never later than it says, and no more than a week beyond the latest day that
        /// was believed for each day on which it was ahead.
        #[test]
        fn it_is_never_later_than_the_clock_and_moves_by_steps(days in proptest::collection::vec(-50_i64..50, 0..20)) {
            let mut belief = Belief::new(day(0));
            let mut limit = day(0);
            for now in days {
                limit = step_after(limit);
                let at = belief.at(day(now));
                prop_assert!(at <= day(now) && at <= limit);
                belief = belief.after_sweep(day(now));
                prop_assert!(belief.believed <= limit);
            }
        }
    }
}
