//! Settings: what can be set, what it is unless set, and which of several layers says what holds.
//!
//! Each layer overrides the one before: built-in, the user's file, the project's file, the environment, the command line.
//! A list is replaced, like any other value, not added to. Every value remembers its layer and, in a file, its line.
//! Only the table `[state]` of a file is looked at; the rest belongs to the original program. Nothing is read from files
//! or the environment here: texts go in.
//!
//! | module | what it is |
//! |---|---|
//! | `key` | the settings by name |
//! | `value` | reading and writing values |
//! | `file` | the table `[state]` of a file |
//! | [`mod@edit`] | changing one setting in a file's text |

pub mod edit;
mod file;
mod key;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;

use crate::schema::id::SessionId;
use crate::schema::privacy::Rule;
use crate::schema::retention::Policy;

pub use file::{FileError, MAX_BYTES, Problem, TABLE};
pub use key::{Key, UnknownKey};
pub use value::{Color, Given, MAX_ACTOR, Shown};

/// The built-in `claims.remote_ttl`, in hours.
pub const REMOTE_CLAIM_HOURS: i64 = 24;

/// Where a value comes from; a later layer overrides an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Nobody set it.
    BuiltIn,
    /// The user's file.
    Global,
    /// The project's file, which comes from everybody who works on the project.
    Project,
    /// An environment variable.
    Environment,
    /// A flag.
    CommandLine,
}

impl Layer {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Global => "global",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::CommandLine => "command-line",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where exactly a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The layer.
    pub layer: Layer,
    /// The line of the file, from 1.
    pub line: Option<usize>,
}

impl Origin {
    /// A layer that is no file.
    #[must_use]
    pub const fn of(layer: Layer) -> Self {
        Self { layer, line: None }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    const fn built_in(value: T) -> Self {
        Self { value, origin: Origin::of(Layer::BuiltIn) }
    }

    /// Takes a value if it is a right one; says whether it was.
    fn take(&mut self, value: Option<T>, origin: Origin) -> bool {
        let taken = value.is_some();
        if let Some(value) = value {
            *self = Self { value, origin };
        }
        taken
    }
}

/// A value that its setting cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} cannot be {given}; allowed is {}", allowed(*key))]
pub struct WrongValue {
    /// The setting.
    pub key: Key,
    /// What was given, without what looks like a secret.
    pub given: String,
}

/// What a setting may be, in full.
fn allowed(key: Key) -> String {
    match key {
        Key::PrivacyAllow => format!("{} ({})", key.allowed(), Rule::ALL.map(Rule::as_str).join(", ")),
        key => key.allowed().to_owned(),
    }
}

/// How long records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Sums of usage, in days.
    pub usage_days: Setting<u32>,
    /// Validations of each name.
    pub validations_per_name: Setting<u32>,
    /// Rows of the log.
    pub changes: Setting<u32>,
    /// What the log holds of what was replaced or deleted, in days.
    pub superseded_days: Setting<u32>,
    /// Ended sessions, in days.
    pub sessions_days: Setting<u32>,
    /// Agents, in hours.
    pub agents_hours: Setting<u32>,
    /// Agents.
    pub agents: Setting<u32>,
    /// Handoffs that are done, in days.
    pub handoffs_days: Setting<u32>,
}

/// All settings, each with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest wait for other processes.
    pub lock_timeout: Setting<Duration>,
    /// The session that speaks, if one does.
    pub session: Setting<Option<SessionId>>,
    /// The name in the log, if one was chosen.
    pub actor: Setting<Option<String>>,
    /// Whether output has colours.
    pub color: Setting<Color>,
    /// How long a claim whose session this machine never saw is honoured.
    pub remote_ttl: Setting<TimeDelta>,
    /// Privacy rules whose findings are false alarms.
    pub allow: Setting<BTreeSet<Rule>>,
    /// Whether findings are redacted where they would be refused.
    pub redact: Setting<bool>,
    /// Whether exports may hold session ids.
    pub export_session_ids: Setting<bool>,
    /// Whether exports may hold local paths.
    pub export_paths: Setting<bool>,
    /// How long records are kept.
    pub retention: Retention,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock_timeout: Setting::built_in(Duration::from_secs(10)),
            session: Setting::built_in(None),
            actor: Setting::built_in(None),
            color: Setting::built_in(Color::Auto),
            remote_ttl: Setting::built_in(TimeDelta::hours(REMOTE_CLAIM_HOURS)),
            allow: Setting::built_in(BTreeSet::new()),
            redact: Setting::built_in(false),
            export_session_ids: Setting::built_in(false),
            export_paths: Setting::built_in(false),
            retention: Retention {
                usage_days: Setting::built_in(Policy::DEFAULT.usage_days),
                validations_per_name: Setting::built_in(Policy::DEFAULT.validations_per_name),
                changes: Setting::built_in(Policy::DEFAULT.changes),
                superseded_days: Setting::built_in(Policy::DEFAULT.superseded_days),
                sessions_days: Setting::built_in(Policy::DEFAULT.sessions_days),
                agents_hours: Setting::built_in(Policy::DEFAULT.agents_hours),
                agents: Setting::built_in(Policy::DEFAULT.agents),
                handoffs_days: Setting::built_in(Policy::DEFAULT.handoffs_days),
            },
        }
    }
}

impl Settings {
    /// Sets one value, whatever it was before.
    ///
    /// # Errors
    /// [`WrongValue`]; the setting is then what it was.
    pub fn set(&mut self, key: Key, given: &Given, origin: Origin) -> Result<(), WrongValue> {
        let days = || value::whole(given, 0, 36_500);
        let count = || value::whole(given, 1, 1_000_000_000);
        let retention = &mut self.retention;
        let taken = match key {
            Key::LockTimeout => self.lock_timeout.take(value::seconds(given), origin),
            Key::Session => self.session.take(value::session(given).map(Some), origin),
            Key::Actor => self.actor.take(value::actor(given).map(Some), origin),
            Key::Color => self.color.take(value::color(given), origin),
            Key::ClaimsRemoteTtl => self.remote_ttl.take(value::span(given), origin),
            Key::PrivacyAllow => self.allow.take(value::rules(given), origin),
            Key::PrivacyRedact => self.redact.take(value::flag(given), origin),
            Key::ExportSessionIds => self.export_session_ids.take(value::flag(given), origin),
            Key::ExportPaths => self.export_paths.take(value::flag(given), origin),
            Key::RetentionUsageDays => retention.usage_days.take(days(), origin),
            Key::RetentionValidationsPerName => retention.validations_per_name.take(count(), origin),
            Key::RetentionChanges => retention.changes.take(count(), origin),
            Key::RetentionSupersededDays => retention.superseded_days.take(days(), origin),
            Key::RetentionSessionsDays => retention.sessions_days.take(days(), origin),
            Key::RetentionAgentsHours => retention.agents_hours.take(value::whole(given, 1, 87_600), origin),
            Key::RetentionAgents => retention.agents.take(count(), origin),
            Key::RetentionHandoffsDays => retention.handoffs_days.take(days(), origin),
        };
        if taken { Ok(()) } else { Err(WrongValue { key, given: given.shown(key) }) }
    }

    /// Lays the settings of a file over these.
    ///
    /// # Errors
    /// The first thing in the file that is wrong. Nothing is set then.
    pub fn set_file(&mut self, text: &str, layer: Layer) -> Result<(), FileError> {
        let contents = file::with_document(text, file::contents)?;
        let mut next = self.clone();
        let mut problems = contents.problems;
        for found in contents.found {
            let origin = Origin { layer, line: Some(file::line_of(text, found.value_at.start)) };
            if let Err(wrong) = next.set(found.key, &found.given, origin) {
                let problem = Problem::Wrong { key: found.key, given: wrong.given, allowed: allowed(found.key) };
                problems.push((found.name_at.start, problem));
            }
        }
        if let Some((at, problem)) = problems.into_iter().min_by_key(|(at, _)| *at) {
            return Err(FileError { line: file::line_of(text, at), problem });
        }
        *self = next;
        Ok(())
    }

    /// A value to be shown or written, and where it comes from.
    #[must_use]
    pub fn shown(&self, key: Key) -> (Shown, Origin) {
        fn of<T>(setting: &Setting<T>, show: impl FnOnce(&T) -> Shown) -> (Shown, Origin) {
            (show(&setting.value), setting.origin)
        }
        let flag = |flag: &bool| Shown::Flag(*flag);
        let count = |count: &u32| Shown::Whole((*count).into());
        let text = |text: Option<&str>| text.map_or(Shown::Nothing, |text| Shown::Text(text.to_owned()));
        let retention = &self.retention;
        match key {
            Key::LockTimeout => of(&self.lock_timeout, |wait| match wait.subsec_nanos() {
                0 => Shown::Whole(wait.as_secs()),
                _ => Shown::Fraction(wait.as_secs_f64()),
            }),
            Key::Session => of(&self.session, |id| text(id.as_ref().map(SessionId::as_str))),
            Key::Actor => of(&self.actor, |name| text(name.as_deref())),
            Key::Color => of(&self.color, |color| text(Some(color.as_str()))),
            Key::ClaimsRemoteTtl => of(&self.remote_ttl, |span| Shown::Text(value::write_span(*span))),
            Key::PrivacyAllow => of(&self.allow, |rules| Shown::List(rules.iter().map(ToString::to_string).collect())),
            Key::PrivacyRedact => of(&self.redact, flag),
            Key::ExportSessionIds => of(&self.export_session_ids, flag),
            Key::ExportPaths => of(&self.export_paths, flag),
            Key::RetentionUsageDays => of(&retention.usage_days, count),
            Key::RetentionValidationsPerName => of(&retention.validations_per_name, count),
            Key::RetentionChanges => of(&retention.changes, count),
            Key::RetentionSupersededDays => of(&retention.superseded_days, count),
            Key::RetentionSessionsDays => of(&retention.sessions_days, count),
            Key::RetentionAgentsHours => of(&retention.agents_hours, count),
            Key::RetentionAgents => of(&retention.agents, count),
            Key::RetentionHandoffsDays => of(&retention.handoffs_days, count),
        }
    }
}
