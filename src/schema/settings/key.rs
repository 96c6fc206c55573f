//! The settings by name: what each is called in files and in the environment, what it may be, and what it is for.

use std::fmt;
use std::str::FromStr;

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Key {
    /// How long to wait for other processes.
    LockTimeout,
    /// The session that speaks.
    Session,
    /// The name in the log.
    Actor,
    /// Whether output has colours.
    Color,
    /// How long a claim from elsewhere is honoured.
    ClaimsRemoteTtl,
    /// Privacy rules whose findings are false alarms.
    PrivacyAllow,
    /// Whether findings are redacted where they would be refused.
    PrivacyRedact,
    /// Whether exports may hold session ids.
    ExportSessionIds,
    /// Whether exports may hold local paths.
    ExportPaths,
    /// How long sums of usage are kept.
    RetentionUsageDays,
    /// How many validations are kept of each name.
    RetentionValidationsPerName,
    /// How many rows the log keeps.
    RetentionChanges,
    /// How long the log keeps what was replaced or deleted.
    RetentionSupersededDays,
    /// How long ended sessions are kept.
    RetentionSessionsDays,
    /// How long agents are kept.
    RetentionAgentsHours,
    /// How many agents are kept.
    RetentionAgents,
    /// How long handoffs that are done are kept.
    RetentionHandoffsDays,
}

/// What is fixed of a setting.
struct Facts {
    key: Key,
    name: &'static str,
    variable: &'static str,
    flag: Option<&'static str>,
    allowed: &'static str,
    help: &'static str,
}

const SPAN: &str = "a number of hours, or a number with s, m, h, d or w, from 0 to 3650 days";
const FLAG: &str = "true or false";
const DAYS: &str = "a whole number of days from 0 to 36500";
const COUNT: &str = "a whole number from 1 to 1000000000";

const fn facts(
    key: Key,
    name: &'static str,
    variable: &'static str,
    flag: Option<&'static str>,
    allowed: &'static str,
    help: &'static str,
) -> Facts {
    Facts { key, name, variable, flag, allowed, help }
}

/// One row for each key, in the order of [`Key`].
#[rustfmt::skip]
const FACTS: [Facts; Key::COUNT] = [
    facts(Key::LockTimeout, "lock_timeout", "OXI_STATE_LOCK_TIMEOUT", Some("--lock-timeout"),
        "a number of seconds from 0 to 86400", "wait so long for other processes"),
    facts(Key::Session, "session", "OXI_STATE_SESSION", Some("--session"),
        "a session's id: 1 to 128 bytes without /, \\ or control characters that do not begin with a dot",
        "act as this session; without it you are a person"),
    facts(Key::Actor, "actor", "OXI_STATE_ACTOR", Some("--actor"),
        "a name of 1 to 256 bytes without control characters",
        "your name in the log; else git's user.name, else the login name"),
    facts(Key::Color, "color", "OXI_STATE_COLOR", Some("--color"), "auto, always or never", "colour the output"),
    facts(Key::ClaimsRemoteTtl, "claims.remote_ttl", "OXI_STATE_CLAIMS_REMOTE_TTL", None,
        SPAN, "honour a claim so long whose session this machine never saw"),
    facts(Key::PrivacyAllow, "privacy.allow", "OXI_STATE_PRIVACY_ALLOW", Some("--allow"),
        "a list of privacy rules", "accept what these rules take for a secret"),
    facts(Key::PrivacyRedact, "privacy.redact", "OXI_STATE_PRIVACY_REDACT", Some("--redact"),
        FLAG, "store [redacted:RULE] for what looks like a secret, instead of refusing"),
    facts(Key::ExportSessionIds, "export.session_ids", "OXI_STATE_EXPORT_SESSION_IDS", None,
        FLAG, "whether snapshots may hold session ids"),
    facts(Key::ExportPaths, "export.paths", "OXI_STATE_EXPORT_PATHS", None,
        FLAG, "whether snapshots may hold local paths"),
    facts(Key::RetentionUsageDays, "retention.usage_days", "OXI_STATE_RETENTION_USAGE_DAYS", None,
        DAYS, "keep sums of usage and counters so long, today included"),
    facts(Key::RetentionValidationsPerName, "retention.validations_per_name",
        "OXI_STATE_RETENTION_VALIDATIONS_PER_NAME", None, COUNT, "keep so many validations of each name"),
    facts(Key::RetentionChanges, "retention.changes", "OXI_STATE_RETENTION_CHANGES", None,
        COUNT, "keep so many rows of the log"),
    facts(Key::RetentionSupersededDays, "retention.superseded_days", "OXI_STATE_RETENTION_SUPERSEDED_DAYS", None,
        DAYS, "keep texts so long in the log that were replaced or deleted, for undo"),
    facts(Key::RetentionSessionsDays, "retention.sessions_days", "OXI_STATE_RETENTION_SESSIONS_DAYS", None,
        DAYS, "keep ended sessions so long"),
    facts(Key::RetentionAgentsHours, "retention.agents_hours", "OXI_STATE_RETENTION_AGENTS_HOURS", None,
        "a whole number of hours from 1 to 87600", "keep agents so long"),
    facts(Key::RetentionAgents, "retention.agents", "OXI_STATE_RETENTION_AGENTS", None,
        COUNT, "keep so many agents"),
    facts(Key::RetentionHandoffsDays, "retention.handoffs_days", "OXI_STATE_RETENTION_HANDOFFS_DAYS", None,
        DAYS, "keep handoffs that are done so long"),
];

impl Key {
    /// How many there are.
    pub const COUNT: usize = 17;

    /// Every key, in the order they are listed.
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::LockTimeout; Self::COUNT];
        let mut index = 0;
        while index < Self::COUNT {
            all[index] = FACTS[index].key;
            index += 1;
        }
        all
    };

    const fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }

    /// The key of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// Its name, as in `[state]` of a file: `lock_timeout`, or `table.name`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The environment variable that sets it: `OXI_STATE_`, and the name in capitals with `_` for a dot.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        self.facts().variable
    }

    /// The command line flag that sets it, if there is one.
    #[must_use]
    pub const fn flag(self) -> Option<&'static str> {
        self.facts().flag
    }

    /// What its value may be, for people.
    #[must_use]
    pub const fn allowed(self) -> &'static str {
        self.facts().allowed
    }

    /// What it is for, in a line.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.facts().help
    }

    /// The table within `[state]` that it stands in, if it does, and its name there.
    #[must_use]
    pub fn parts(self) -> (Option<&'static str>, &'static str) {
        match self.as_str().split_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, self.as_str()),
        }
    }

    /// Whether some keys stand in a table of this name.
    #[must_use]
    pub fn is_group(name: &str) -> bool {
        Self::ALL.iter().any(|key| key.parts().0 == Some(name))
    }

    /// The key whose name is most like this text; `remote_ttl` is like `claims.remote_ttl`.
    #[must_use]
    pub fn nearest(text: &str) -> Self {
        let last = text.rsplit('.').next().unwrap_or_default();
        let distance = |key: &Self| {
            // the right name in the wrong table is nearer than any misspelt one but a near miss
            distance(text, key.as_str()).min(distance(last, key.parts().1).saturating_add(2))
        };
        Self::ALL.into_iter().min_by_key(distance).unwrap_or(Self::LockTimeout)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such setting; did you mean {nearest}?")]
pub struct UnknownKey {
    /// The one most like it.
    pub nearest: Key,
}

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::find(name).ok_or_else(|| UnknownKey { nearest: Self::nearest(name) })
    }
}

/// How many letters must be changed, added or left out to make one text of the other; of long texts only the beginning
/// counts.
fn distance(one: &str, other: &str) -> usize {
    const MAX: usize = 64;
    let other: Vec<char> = other.chars().take(MAX).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().take(MAX).enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (index, against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *against);
            diagonal = row[index + 1];
            row[index + 1] = changed.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[other.len()]
}
