//! `oxi-state resume`: what one must know to go on, most important first, in as many bytes as there is room for.
//!
//! Everything is of one moment: one read transaction. What is shown is a list of items in order of importance; where not
//! all fit, the last ones are left out, and it is said how many of what.

mod gather;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::schema::id::{IssueId, SessionId};
use crate::schema::issue::Priority;
use crate::schema::time::Timestamp;

use super::context::Context;
use super::error::{CliError, CliResult};
use super::{agent, output};

/// Where the project is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ProjectJson {
    /// The name of its folder.
    name: String,
    commit: Option<String>,
    branch: Option<String>,
    /// Whether tracked files differ from the commit, the issue files apart; null outside of git.
    dirty: Option<bool>,
}

/// How many issues there are.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct IssuesJson {
    open: u64,
    closed: u64,
    /// Records that differ from their files: `oxi-state export` writes them.
    pending: u64,
}

/// An issue that somebody works on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ClaimJson {
    id: IssueId,
    title: String,
    priority: Priority,
    session: String,
    acquired_at: Timestamp,
    /// Whether the session is alive; null if that cannot be told.
    alive: Option<bool>,
    /// The other work tree that it was claimed in, in words.
    elsewhere: Option<String>,
    /// Whether it is the caller's.
    own: bool,
}

/// An issue that could be next.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct NextJson {
    id: IssueId,
    title: String,
    priority: Priority,
    labels: Vec<String>,
}

/// A conflict to be resolved.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ConflictJson {
    id: IssueId,
    path: String,
    fields: Vec<String>,
}

/// What `resume` prints. Every list is in order of importance.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ResumeJson {
    generated_at: Timestamp,
    project: ProjectJson,
    /// The session that asks, if one does.
    session: Option<SessionId>,
    actor: String,
    issues: IssuesJson,
    conflicts: Vec<ConflictJson>,
    /// The issues that sessions have, the caller's first.
    claims: Vec<ClaimJson>,
    /// The open handoffs, as `handoff list` gives them.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    handoffs: Vec<Value>,
    /// The latest validation of each name, as `validation last` gives them: the failing ones first.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    validations: Vec<Value>,
    /// Models that may not be called, or whose last call went wrong, as `health list` gives them.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    limits: Vec<Value>,
    /// As `pointer list` gives them.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pointers: Vec<Value>,
    /// What to take next: ready and free, highest priority first.
    next: Vec<NextJson>,
    /// What runs, as `runtime list` gives it.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    runtime: Vec<Value>,
    /// How many of each list are not shown.
    left_out: BTreeMap<&'static str, usize>,
}

/// The lists, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Conflicts,
    OwnClaims,
    Handoffs,
    Failing,
    Limits,
    Pointers,
    Next,
    OtherClaims,
    Validations,
    Runtime,
}

impl Section {
    /// The list in JSON that it is a part of.
    const fn list(self) -> &'static str {
        match self {
            Self::Conflicts => "conflicts",
            Self::OwnClaims | Self::OtherClaims => "claims",
            Self::Handoffs => "handoffs",
            Self::Failing | Self::Validations => "validations",
            Self::Limits => "limits",
            Self::Pointers => "pointers",
            Self::Next => "next",
            Self::Runtime => "runtime",
        }
    }
}

/// One thing to know.
#[derive(Clone, Debug)]
enum Fact {
    Conflict(ConflictJson),
    Claim(ClaimJson),
    Next(NextJson),
    /// A record as JSON.
    Record(Value),
}

/// One thing to know, and its lines for people.
#[derive(Clone, Debug)]
struct Item {
    section: Section,
    fact: Fact,
    lines: String,
}

/// All there is to say.
struct Whole {
    /// Everything but the lists.
    frame: ResumeJson,
    /// In order of importance.
    items: Vec<Item>,
}

pub(super) fn run(context: &Context, max_bytes: Option<usize>) -> CliResult<()> {
    let whole = gather::gather(context)?;
    let agent = agent::caller(context);
    let bytes = if context.json {
        let shown = fitting(whole.items.len(), max_bytes, |count| {
            serde_json::to_string(&whole.json(count)).map_or(usize::MAX, |text| text.len() + 1)
        })?;
        output::counted_json(&whole.json(shown))?
    } else {
        let plain = |count| anstream::adapter::strip_str(&whole.text(count)).to_string().len();
        let shown = fitting(whole.items.len(), max_bytes, plain)?;
        output::counted_styled(&whole.text(shown))?
    };
    if let Some(agent) = agent {
        let (project, store) = context.ready()?;
        agent::count(&store, context.author(&project)?, agent, bytes);
    }
    Ok(())
}

/// How many of the first items fit, given how many bytes so many of them take; that grows with their number.
fn fitting(all: usize, max_bytes: Option<usize>, size: impl Fn(usize) -> usize) -> CliResult<usize> {
    let Some(max) = max_bytes else { return Ok(all) };
    if size(all) <= max {
        return Ok(all);
    }
    let least = size(0);
    if least > max {
        return Err(CliError::usage(format!("--max-bytes {max} is too few: without any list it is {least} already"))
            .detail("least", least));
    }
    // the largest number that fits, between one that does and one that does not
    let (mut fits, mut over) = (0, all);
    while over - fits > 1 {
        let middle = fits.midpoint(over);
        if size(middle) <= max { fits = middle } else { over = middle }
    }
    Ok(fits)
}

impl Whole {
    /// The first items as JSON.
    fn json(&self, count: usize) -> ResumeJson {
        let mut json = self.frame.clone();
        for item in self.items.iter().take(count) {
            match (item.section, &item.fact) {
                (_, Fact::Conflict(conflict)) => json.conflicts.push(conflict.clone()),
                (_, Fact::Claim(claim)) => json.claims.push(claim.clone()),
                (_, Fact::Next(next)) => json.next.push(next.clone()),
                (Section::Handoffs, Fact::Record(record)) => json.handoffs.push(record.clone()),
                (Section::Limits, Fact::Record(record)) => json.limits.push(record.clone()),
                (Section::Pointers, Fact::Record(record)) => json.pointers.push(record.clone()),
                (Section::Runtime, Fact::Record(record)) => json.runtime.push(record.clone()),
                (_, Fact::Record(record)) => json.validations.push(record.clone()),
            }
        }
        for (list, count) in self.left_out(count) {
            *json.left_out.entry(list).or_default() += count;
        }
        json
    }

    /// How many of each list come after the first items.
    fn left_out(&self, count: usize) -> BTreeMap<&'static str, usize> {
        let mut left_out = BTreeMap::new();
        for item in self.items.iter().skip(count) {
            *left_out.entry(item.section.list()).or_default() += 1;
        }
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_items_are_taken_as_fit() {
        let size = |count: usize| 10 + 7 * count;
        for (max, expected) in [(10, 0), (16, 0), (17, 1), (44, 4), (45, 5), (46, 5), (1_000, 5)] {
            assert_eq!(fitting(5, Some(max), size).map_err(|_| ()), Ok(expected), "{max}");
        }
        assert_eq!(fitting(5, None, size).map_err(|_| ()), Ok(5));
        assert!(fitting(5, Some(9), size).is_err());
    }
}
