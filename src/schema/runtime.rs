//! Short summaries of what runs: a proxy, a server, a watcher. One line of text at most, and no event.
//!
//! A summary says what somebody last saw. After its time it is stale: still there, and no longer to be trusted.

use serde::{Deserialize, Serialize};

use super::keyed::{Field, Keyed, Place, Schema, Type};
use super::time::Timestamp;

/// Longest line of text, in bytes.
pub const MAX_SUMMARY: usize = 300;

/// How far a thing has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeState {
    /// It is coming up.
    Starting,
    /// It runs.
    Running,
    /// It runs, but not well.
    Degraded,
    /// It was stopped.
    Stopped,
    /// It broke.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl RuntimeState {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["starting", "running", "degraded", "stopped", "failed", "unknown"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// The summary of something that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Its name.
    pub name: String,
    /// How far it has got.
    pub state: RuntimeState,
    /// One line about it.
    pub summary: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// The port that it listens on.
    pub port: Option<u16>,
    /// Where it answers.
    pub url: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// When this stops being true without being said again.
    pub expires_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Runtime {
    /// Whether its time is over: from [`Runtime::expires_at`] on.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

impl Keyed for Runtime {
    const SCHEMA: Schema = Schema {
        noun: "runtime",
        about: "The summary of something that runs.",
        fields: &[
            Field::key("name", Type::Name(120), "What runs."),
            Field::given("state", Type::Word(RuntimeState::WORDS), "How far it has got.").required().at(Place::Line),
            Field::given("summary", Type::Line(MAX_SUMMARY), "One line about it.").at(Place::Line),
            Field::given("pid", Type::Whole(1, 0x3fff_ffff), "Its process.").at(Place::LabelledLine),
            Field::given("port", Type::Whole(1, 65_535), "The port that it listens on.").at(Place::LabelledLine),
            Field::given("url", Type::Url, "Where it answers.").at(Place::Line),
            Field::given("version", Type::Name(120), "Its version.").at(Place::LabelledLine),
            Field::given("since", Type::Time, "Since when it is in this state."),
            Field::given("expires_at", Type::Time, "From when on this is stale; null for never.").called("expires"),
            Field::kept("updated_at", Type::Time, "When it was last changed.").called("changed"),
            Field::shown("stale", Type::Flag, "Whether its time is over.").required(),
        ],
        stamp: "updated_at",
    };

    fn key(&self) -> String {
        self.name.clone()
    }
}
