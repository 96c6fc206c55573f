//! The issue record: the twelve keys of the original's frontmatter, this tool's extension keys, the keys nobody knows,
//! and the body.
//!
//! Head and body are apart because queries read heads by the thousand and bodies hardly ever.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{ContentHash, FileName, Identity, IssueId, Link, Slug};
use super::time::Timestamp;
use super::value::Value;

/// Whether there is still something to do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is.
    #[default]
    Open,
    /// There is not.
    Closed,
}

/// How much an issue matters; `low < medium < high < critical`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// When there is time.
    Low,
    /// The default.
    #[default]
    Medium,
    /// Before the others.
    High,
    /// Now.
    Critical,
}

/// A word that is neither a status nor a priority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {allowed}")]
pub struct UnknownWord {
    word: String,
    allowed: &'static str,
}

impl Status {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Open, Self::Closed];

    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl Priority {
    /// All four, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| UnknownWord { word: word.to_owned(), allowed: "open, closed" })
    }
}

impl FromStr for Priority {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == word)
            .ok_or_else(|| UnknownWord { word: word.to_owned(), allowed: "low, medium, high, critical" })
    }
}

/// Which session works on an issue, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Assignment {
    /// The session's id, as its owner wrote it.
    pub session: String,
    /// When it took the issue.
    pub acquired_at: Timestamp,
}

/// The GitHub issue this one stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GithubRef {
    /// `owner/name`.
    pub repo: String,
    /// The issue's number there.
    pub number: u64,
    /// Its address.
    pub url: String,
}

/// A frontmatter key that this tool does not know, kept verbatim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extra {
    /// The lines of the file that hold the key and its value, LF line ends, final LF, no comment or blank lines after
    /// it. Parses on its own, as a one-key map, to `value`.
    pub yaml: String,
    /// What the lines mean.
    pub value: Value,
}

/// A validation or handoff that travels in the file: a map whose `id` is its ULID.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// The ULID.
    pub id: String,
    /// The whole map, `id` included.
    pub value: Value,
}

/// Everything about an issue but its body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IssueHead {
    /// Its number.
    pub id: IssueId,
    /// The slug in its file name.
    pub slug: Slug,
    /// One line, usually.
    pub title: String,
    /// Open or closed.
    pub status: Status,
    /// Low to critical.
    pub priority: Priority,
    /// In file order.
    pub labels: Vec<String>,
    /// The person meant to do it; informational.
    pub assignee: Option<String>,
    /// With the slug, the issue's identity.
    pub created_at: Timestamp,
    /// The last change.
    pub updated_at: Timestamp,
    /// Set while closed.
    pub closed_at: Option<Timestamp>,
    /// Ids of all sessions that worked on it, oldest first.
    pub sessions: Vec<String>,
    /// The session that works on it now.
    pub assigned_to: Option<Assignment>,
    /// Its twin on GitHub.
    pub github: Option<GithubRef>,
    /// The issues that must be closed before this one is ready.
    pub depends_on: Vec<Link>,
    /// Open handoffs, by ULID.
    pub handoffs: Vec<Linked>,
    /// Pinned validations, by ULID.
    pub validations: Vec<Linked>,
    /// Keys this tool does not know, sorted by name.
    pub extra: BTreeMap<String, Extra>,
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    /// Everything but the body.
    pub head: IssueHead,
    /// Markdown; empty, or ending in a line feed once stored.
    pub body: String,
}

impl IssueHead {
    /// A new open issue of medium priority.
    #[must_use]
    pub fn new(id: IssueId, title: String, now: Timestamp) -> Self {
        Self {
            id,
            slug: Slug::from_title(&title),
            title,
            status: Status::Open,
            priority: Priority::Medium,
            labels: Vec::new(),
            assignee: None,
            created_at: now,
            updated_at: now,
            closed_at: None,
            sessions: Vec::new(),
            assigned_to: None,
            github: None,
            depends_on: Vec::new(),
            handoffs: Vec::new(),
            validations: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// What the issue is, whatever its number.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { created_at: self.created_at, slug: self.slug.clone() }
    }

    /// The name of its file.
    #[must_use]
    pub fn file_name(&self) -> FileName {
        FileName { id: self.id, slug: self.slug.clone() }
    }

    /// The claim on it, if there is one: a claim without a session's name, which the original could make, is none.
    #[must_use]
    pub fn owner(&self) -> Option<&Assignment> {
        self.assigned_to.as_ref().filter(|owner| !owner.session.is_empty())
    }

    /// A link to it.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { id: self.id, slug: self.slug.clone() }
    }
}

impl Issue {
    /// Gives a body its stored form: one final line feed unless empty.
    #[must_use]
    pub fn with_final_newline(mut body: String) -> String {
        if !body.is_empty() && !body.ends_with('\n') {
            body.push('\n');
        }
        body
    }

    /// The hash of the canonical rendering: what `--expect` compares.
    #[must_use]
    pub fn content_hash(&self) -> ContentHash {
        ContentHash::of(super::frontmatter::render(self).as_bytes())
    }
}
