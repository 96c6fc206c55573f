//! What there is to say, for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};

use crate::schema::id::printable;
use crate::schema::time::Timestamp;

use super::super::handoff::{self, Seen};
use super::super::when::ago;
use super::{ClaimJson, NextJson, ResumeJson, Section, Whole};

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().bold();

impl Section {
    const fn title(self) -> &'static str {
        match self {
            Self::Conflicts => "Conflicts (oxi-state conflicts)",
            Self::OwnClaims => "Yours",
            Self::Handoffs => "Handoffs",
            Self::Failing => "Failing",
            Self::Limits => "Limits",
            Self::Pointers => "Pointers",
            Self::Next => "Next",
            Self::OtherClaims => "Taken by others",
            Self::Validations => "Validations",
            Self::Runtime => "Running",
        }
    }
}

impl Whole {
    /// The first items, and how many there are besides.
    pub(super) fn text(&self, count: usize) -> String {
        let mut text = header(&self.frame);
        let mut last = None;
        for item in self.items.iter().take(count) {
            if last != Some(item.section) {
                let _ = writeln!(text, "\n{BOLD}{}{BOLD:#}", item.section.title());
                last = Some(item.section);
            }
            for line in item.lines.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        let left_out = self.left_out(count);
        if !left_out.is_empty() {
            let parts: Vec<String> = left_out.iter().map(|(list, count)| format!("{count} of {list}")).collect();
            let _ = writeln!(text, "\n{DIM}left out: {}{DIM:#}", parts.join(", "));
        }
        text
    }
}

fn header(frame: &ResumeJson) -> String {
    let project = &frame.project;
    let mut text = format!("{BOLD}{}{BOLD:#}", printable(&project.name, false));
    let branch = project.branch.as_deref().unwrap_or(if project.commit.is_some() { "detached" } else { "" });
    if !branch.is_empty() {
        let commit: String = project.commit.iter().flat_map(|commit| commit.chars().take(9)).collect();
        let at = if commit.is_empty() { "" } else { "@" };
        let dirty = if project.dirty == Some(true) { ", changed" } else { "" };
        let _ = write!(text, "  {}{at}{commit}{dirty}", printable(branch, false));
    }
    let issues = &frame.issues;
    let _ = write!(text, "  {} open, {} closed", issues.open, issues.closed);
    if issues.pending > 0 {
        let _ = write!(text, ", {} to export", issues.pending);
    }
    let session = frame.session.as_ref().map(|session| format!(" in session {session}")).unwrap_or_default();
    let _ = writeln!(text, "\n{DIM}you are {}{DIM:#}", printable(&format!("{}{session}", frame.actor), false));
    text
}

pub(super) fn claim(claim: &ClaimJson, now: Timestamp) -> String {
    let alive = match claim.alive {
        Some(true) => "alive",
        Some(false) => "dead",
        None => "unknown",
    };
    let place = claim.elsewhere.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
    let by = format!("{} ({alive}){place}, since {}", claim.session, ago(claim.acquired_at, now));
    format!(
        "#{}  {:<8}  {}  {DIM}{}{DIM:#}",
        claim.id,
        claim.priority,
        printable(&claim.title, false),
        printable(&by, false)
    )
}

pub(super) fn next(next: &NextJson) -> String {
    let labels = printable(&next.labels.join(", "), false).into_owned();
    let labels = if labels.is_empty() { labels } else { format!("  {DIM}{labels}{DIM:#}") };
    format!("#{}  {:<8}  {}{labels}", next.id, next.priority, printable(&next.title, false))
}

/// A handoff in full: whoever goes on must know it.
pub(super) fn handoff(seen: &Seen, now: Timestamp) -> String {
    let mut text = handoff::line(seen, now);
    // the line shows the first one, if it is short
    let shown = usize::from(handoff::is_short(&seen.handoff));
    for line in seen.handoff.summary.lines().skip(shown) {
        let _ = write!(text, "\n    {}", printable(line, false));
    }
    for (number, action) in seen.handoff.left() {
        let green = AnsiColor::Cyan.on_default();
        let _ = write!(text, "\n    {green}{number}.{green:#} {}", printable(&action.text, false));
    }
    text
}
