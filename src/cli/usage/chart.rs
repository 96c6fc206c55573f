//! Bars of text, as wide as the terminal and at most 80 columns.
//!
//! They have no colours, so `NO_COLOR` does not matter to them. A terminal that calls itself dumb gets none.

use std::fmt::Write as _;

use super::super::output::columns;

/// Widest chart.
const WIDTH: usize = 80;

/// Widest name before a bar.
const MAX_LABEL: usize = 30;

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// How wide a chart may be; none if there is to be none.
pub(super) fn width() -> Option<usize> {
    columns(std::io::stdout()).map(|columns| columns.min(WIDTH))
}

/// A line for each name and number.
pub(super) fn bars(rows: &[(String, u64)], width: usize) -> String {
    let length = |text: &str| text.chars().count();
    let label = rows.iter().map(|(name, _)| length(name)).max().unwrap_or(0).min(MAX_LABEL);
    let largest = rows.iter().map(|(_, number)| *number).max().unwrap_or(0);
    let digits = largest.to_string().len();
    let room = width.saturating_sub(label + digits + 3);
    let mut text = String::new();
    for (name, number) in rows {
        let bar = bar(*number, largest, room);
        let bar = if bar.is_empty() { bar } else { format!("{bar} ") };
        let _ = writeln!(text, "{:label$}  {bar}{number}", shorten(name, label));
    }
    text
}

/// A name in so many columns.
pub(super) fn shorten(name: &str, columns: usize) -> String {
    if name.chars().count() <= columns {
        return name.to_owned();
    }
    let kept: String = name.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A bar to the eighth of a column; whatever is not nothing shows.
fn bar(number: u64, largest: u64, room: usize) -> String {
    if number == 0 || room == 0 {
        return String::new();
    }
    let eighths = u128::from(number) * (room as u128) * 8 / u128::from(largest.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(room * 8).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_and_show_whatever_is_not_nothing() {
        let rows = [("a".to_owned(), 400), ("bb".to_owned(), 50), ("c".to_owned(), 1), ("d".to_owned(), 0)];
        assert_eq!(bars(&rows, 16), "a   ████████ 400\nbb  █ 50\nc   ▏ 1\nd   0\n");
        assert_eq!(bars(&rows, 3), "a   400\nbb  50\nc   1\nd   0\n", "no room");
        assert_eq!(bars(&[], 80), "");
        let wide = bars(&[("m".repeat(200), u64::MAX), ("n".to_owned(), u64::MAX / 3)], 80);
        assert!(wide.lines().all(|line| line.chars().count() <= 80), "{wide}");
    }
}
