//! Whether a model of a provider can be called: what the last calls met, and until when to leave it alone.
//!
//! [`observe`] and [`permit`] are the policy: pure functions of the row, of what was seen and of the time. A row holds
//! classes, counts and times, and no text of any error.

mod policy;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::keyed::{Field, Keyed, Place, Problem, Schema, Type};
use super::time::Timestamp;

pub use policy::{Observed, Outcome, Permit, Policy, observe, permit, take_trial};

/// How a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// The last call went well.
    Available,
    /// The upstream asked for a pause.
    Limited,
    /// The last call failed in a way that may pass.
    Retry,
    /// The last call failed in a way that will not pass by itself, or too many failed.
    Error,
    /// Nobody has called it since the row was made or reset.
    Untested,
}

impl HealthState {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["available", "limited", "retry", "error", "untested"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// The classes of errors, as `usage.jsonl` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// 429, or a limit told otherwise.
    RateLimit,
    /// No answer in time.
    Timeout,
    /// No connection.
    Network,
    /// The upstream's fault.
    #[serde(rename = "http_5xx")]
    Http5xx,
    /// The caller's fault.
    #[serde(rename = "http_4xx")]
    Http4xx,
    /// Anything else.
    Unknown,
}

impl ErrorClass {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["rate_limit", "timeout", "network", "http_5xx", "http_4xx", "unknown"];

    const ALL: [Self; 6] = [Self::RateLimit, Self::Timeout, Self::Network, Self::Http5xx, Self::Http4xx, Self::Unknown];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// The class of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// They are.
    Closed,
    /// They are not.
    Open,
    /// One is, to see how it goes.
    HalfOpen,
}

impl Breaker {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["closed", "open", "half_open"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// How one model of one provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The provider.
    pub provider: String,
    /// The model; may hold slashes.
    pub model: String,
    /// How it is.
    pub state: HealthState,
    /// The class of the last error, however long ago.
    pub last_error: Option<ErrorClass>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// Failures since the last call that went well.
    pub consecutive_failures: u64,
    /// Calls that the upstream allows in its period.
    pub limit: Option<u64>,
    /// Calls that are left of them.
    pub remaining: Option<u64>,
    /// When the upstream's limit ends.
    pub resets_at: Option<Timestamp>,
    /// Whether calls are let through.
    pub breaker: Breaker,
    /// When they were last stopped.
    pub opened_at: Option<Timestamp>,
    /// When somebody took the one call that a half-open breaker lets through.
    pub trial_at: Option<Timestamp>,
    /// When the last call was recorded.
    pub checked_at: Timestamp,
}

impl Health {
    /// A model that nobody has called.
    #[must_use]
    pub fn untested(provider: String, model: String, now: Timestamp) -> Self {
        Self {
            provider,
            model,
            state: HealthState::Untested,
            last_error: None,
            last_error_at: None,
            consecutive_failures: 0,
            limit: None,
            remaining: None,
            resets_at: None,
            breaker: Breaker::Closed,
            opened_at: None,
            trial_at: None,
            checked_at: now,
        }
    }
}

const NUMBER: Type = Type::Whole(0, u64::MAX);

impl Keyed for Health {
    const SCHEMA: Schema = Schema {
        noun: "health",
        about: "Whether a model of a provider can be called.",
        fields: &[
            Field::key("provider", Type::Name(120), "The provider."),
            Field::key("model", Type::Name(120), "The model."),
            Field::kept("state", Type::Word(HealthState::WORDS), "How it is.").required().at(Place::Line),
            Field::kept("last_error", Type::Word(ErrorClass::WORDS), "The class of the last error, however long ago.")
                .called("last error")
                .at(Place::LabelledLine),
            Field::kept("last_error_at", Type::Time, "When that was.").called("at"),
            Field::kept("consecutive_failures", NUMBER, "Failures since the last call that went well.")
                .required()
                .called("failures")
                .at(Place::LabelledLine),
            Field::kept("limit", NUMBER, "Calls that the upstream allows in its period."),
            Field::kept("remaining", NUMBER, "Calls that are left of them.").at(Place::LabelledLine),
            Field::kept("resets_at", Type::Time, "When the upstream's limit ends.").called("resets"),
            Field::kept("breaker", Type::Word(Breaker::WORDS), "Whether calls are let through.")
                .required()
                .at(Place::LabelledLine),
            Field::kept("opened_at", Type::Time, "When the breaker opened.").called("opened"),
            Field::kept("trial_at", Type::Time, "When the one call of a half-open breaker was taken.").called("trial"),
            Field::kept("checked_at", Type::Time, "When this was last recorded.").called("checked"),
            Field::shown("allowed", Type::Flag, "Whether a call may be made now.").required(),
            Field::shown("retry_after_seconds", NUMBER, "How long to wait before a call; null if it may be made now."),
        ],
        stamp: "checked_at",
    };

    fn key(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    fn guard(
        fields: &mut serde_json::Map<String, serde_json::Value>,
        _policy: &super::privacy::Policy,
    ) -> Result<(), Problem> {
        for (name, first) in [
            ("state", HealthState::Untested.as_str().into()),
            ("consecutive_failures", 0.into()),
            ("breaker", Breaker::Closed.as_str().into()),
        ] {
            if fields.get(name).is_none_or(serde_json::Value::is_null) {
                fields.insert(name.into(), first);
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Problem> {
        if self.provider.contains('/') {
            return Err(Problem::invalid("provider", "without a slash"));
        }
        Ok(())
    }
}
