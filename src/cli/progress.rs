//! A progress bar for people, once a step takes long enough to wonder.
//!
//! Our own, because the crate for it estimates rates with `pow`, for which the dynamic linker would load the mathematical
//! library each time a command starts: a twelfth of the null program's time (docs/performance.md).

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::output::columns;

/// A step that takes less shows no bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a bar stands as it is.
const PAUSE: Duration = Duration::from_millis(100);

/// Back to the first column, and clear the line.
const ANEW: &str = "\r\x1b[K";

/// A bar that appears on stderr, if that is a terminal, when a step takes long.
pub(super) struct Bar {
    enabled: bool,
    started: Instant,
    /// When it was drawn last, if it was.
    drawn: Mutex<Option<Instant>>,
}

impl Bar {
    pub(super) fn new(is_wanted: bool) -> Self {
        let is_able = || std::io::stderr().is_terminal() && columns(std::io::stderr()).is_some();
        Self { enabled: is_wanted && is_able(), started: Instant::now(), drawn: Mutex::new(None) }
    }

    pub(super) fn show(&self, what: &str, done: u64, all: u64) {
        if !self.enabled || self.started.elapsed() < PATIENCE {
            return;
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE)
            && let Some(width) = columns(std::io::stderr())
        {
            draw(&line(what, done, all, width));
            *drawn = Some(Instant::now());
        }
    }

    pub(super) fn finish(&self) {
        if self.drawn.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            draw("");
        }
    }
}

fn draw(line: &str) {
    // nothing depends on it
    let _ = write!(std::io::stderr().lock(), "{ANEW}{line}");
}

/// The bar, at most a column less wide than the terminal, which would go to the next line; without the blocks where there
/// is no room for them.
fn line(what: &str, done: u64, all: u64, width: usize) -> String {
    const LEAST: usize = 10;
    let counts = format!("{done}/{all}");
    let room = width.saturating_sub(what.len() + counts.len() + 3);
    let mut line = if room < LEAST {
        format!("{what} {counts}")
    } else {
        let share = u128::from(done.min(all)) * room as u128 / u128::from(all.max(1));
        let blocks = "█".repeat(usize::try_from(share).unwrap_or(room));
        format!("{what} {blocks:░<room$} {counts}")
    };
    if let Some((end, _)) = line.char_indices().nth(width.saturating_sub(1)) {
        line.truncate(end);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_the_width_but_for_a_column() {
        assert_eq!(line("reading", 5, 20, 36), "reading █████░░░░░░░░░░░░░░░░░ 5/20");
        assert_eq!(line("reading", 0, 20, 26), "reading ░░░░░░░░░░░░ 0/20");
        assert_eq!(line("reading", 20, 20, 26), "reading ███████████ 20/20");
        assert_eq!(line("reading", 21, 20, 26), "reading ███████████ 21/20", "more than was thought");
        assert_eq!(line("reading", 0, 0, 26), "reading ░░░░░░░░░░░░░ 0/0");
        let largest = line("reading", u64::MAX, u64::MAX, 200);
        assert_eq!(largest.chars().filter(|c| *c == '█').count(), 149);
    }

    #[test]
    fn where_there_is_no_room_the_counts_remain_and_the_line_is_never_too_long() {
        assert_eq!(line("reading", 5, 20, 23), "reading 5/20");
        for width in 1..60 {
            assert!(line("reading files", 999, 1000, width).chars().count() < width.max(2), "{width}");
        }
    }
}
