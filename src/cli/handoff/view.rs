//! Handoffs as programs and people see them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use serde_json::{Map, Value};

use crate::db::StoreError;
use crate::db::tables::{Readable, Tables};
use crate::schema::handoff::{Handoff, HandoffState};
use crate::schema::id::{IssueId, printable};
use crate::schema::keyed::Keyed as _;
use crate::schema::time::Timestamp;

use super::super::keyed::{json, page_of};
use super::super::when::ago;

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().bold();

/// A handoff, with what is worked out of it.
pub(in crate::cli) struct Seen {
    pub(in crate::cli) handoff: Handoff,
    issue: Option<IssueId>,
}

impl Seen {
    pub(in crate::cli) fn new<T: Readable>(tables: &Tables<T>, handoff: Handoff) -> Result<Self, StoreError> {
        let issue = handoff.issue.as_ref().map(|issue| tables.id_of(issue)).transpose()?.flatten();
        Ok(Self { handoff, issue })
    }

    fn shown(&self) -> [(&'static str, Value); 1] {
        [("issue_number", self.issue.map(|id| id.0).into())]
    }

    pub(in crate::cli) fn json(&self) -> Map<String, Value> {
        json(&self.handoff, &self.shown())
    }
}

const fn style(state: HandoffState) -> Style {
    match state {
        HandoffState::Pending => AnsiColor::Yellow.on_default(),
        HandoffState::Accepted => AnsiColor::Green.on_default(),
        HandoffState::Done => DIM,
    }
}

/// The most of a summary that a line shows, in characters.
const WIDTH: usize = 72;

/// Whether a line shows the first line of the summary whole.
pub(in crate::cli) fn is_short(handoff: &Handoff) -> bool {
    handoff.summary.lines().next().unwrap_or_default().chars().count() <= WIDTH
}

/// A handoff on one line.
pub(in crate::cli) fn line(seen: &Seen, now: Timestamp) -> String {
    let handoff = &seen.handoff;
    let style = style(handoff.state);
    let mut text = format!("{DIM}{}{DIM:#}  {style}{:<8}{style:#}  ", handoff.key(), handoff.state.as_str());
    if let Some(issue) = seen.issue {
        let _ = write!(text, "#{issue}  ");
    }
    let first = handoff.summary.lines().next().unwrap_or_default();
    let more = !is_short(handoff) || handoff.summary.lines().nth(1).is_some();
    let short: String = first.chars().take(WIDTH).collect();
    let _ = write!(text, "{BOLD}{}{}{BOLD:#}", printable(&short, false), if more { "…" } else { "" });
    let to = handoff.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
    let by = handoff.accepted_by.as_ref().map(|by| format!(", taken up by {by}")).unwrap_or_default();
    let about = format!("from {}{to}{by}, {}", handoff.from, ago(handoff.created_at, now));
    let _ = write!(text, "  {DIM}{}{DIM:#}", printable(&about, false));
    let left = handoff.left().count();
    if left > 0 {
        let _ = write!(text, "  {left} of {} to do", handoff.next.len());
    }
    text
}

/// A whole handoff.
pub(super) fn page(seen: &Seen) -> String {
    let mut text = page_of(&seen.handoff, &seen.shown());
    for (number, action) in (1..).zip(&seen.handoff.next) {
        let sign = if action.done { "x" } else { " " };
        let _ = writeln!(text, "  [{sign}] {number}. {}", printable(&action.text, false));
    }
    text
}
