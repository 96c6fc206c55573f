//! Times as people say them.

use crate::schema::time::Timestamp;

/// How long ago something was, to one unit: `3 min ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    match u64::try_from((now.get() - at.get()).num_seconds()) {
        Ok(0..=9) => "just now".into(),
        Ok(seconds) => format!("{} ago", span(seconds)),
        // a clock that was set back, or another machine's
        Err(_) => at.to_string(),
    }
}

/// A span of time, to one unit.
pub(super) fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_to_one_unit() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (at, text) in [
            ("2026-11-20T11:59:55Z", "just now"),
            ("2026-11-20T11:59:01Z", "59 s ago"),
            ("2026-11-20T11:01:00Z", "59 min ago"),
            ("2026-11-19T12:00:01Z", "23 h ago"),
            ("2026-10-01T12:00:00Z", "50 d ago"),
            ("2026-11-20T12:00:05Z", "2026-11-20T12:00:05Z"),
        ] {
            assert_eq!(ago(at.parse().unwrap(), now), text);
        }
    }
}
