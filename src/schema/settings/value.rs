//! What settings are made of: values as they are given, read for one type each, and written back.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use crate::schema::id::{SessionId, is_deceptive};
use crate::schema::privacy::{self, Rule};

use super::Key;

/// Longest name of an actor, in bytes.
pub const MAX_ACTOR: usize = 256;

/// A value before it is known to be a right one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Given {
    /// A word of the environment or the command line, which may stand for any type.
    Word(String),
    /// True or false, in a file; so the following.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// Another number.
    Fraction(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Given>),
    /// What no setting is, such as a date.
    Other(&'static str),
}

impl Given {
    /// The value for a message about a setting: short, and without what looks like a secret.
    #[must_use]
    pub fn shown(&self, key: Key) -> String {
        const MAX: usize = 60;
        if key == Key::PrivacyAllow {
            // what is no rule may be a secret of no known shape, pasted into the wrong place
            return "this list".to_owned();
        }
        let text = match self {
            Self::Word(text) | Self::Text(text) => text,
            Self::Flag(flag) => return flag.to_string(),
            Self::Whole(number) => return number.to_string(),
            Self::Fraction(number) => return number.to_string(),
            Self::List(_) => return "a list".to_owned(),
            Self::Other(what) => return (*what).to_owned(),
        };
        let clean = privacy::redact(text, &privacy::scan(text));
        if clean.chars().count() <= MAX {
            return format!("{clean:?}");
        }
        format!("{:?}…", clean.chars().take(MAX).collect::<String>())
    }
}

/// A right value, as people, JSON and files write it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shown {
    /// Nothing is set.
    Nothing,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(u64),
    /// Another number.
    Fraction(f64),
    /// A text.
    Text(String),
    /// Texts.
    List(Vec<String>),
}

impl Shown {
    /// As one word, which `config set` takes.
    #[must_use]
    pub fn as_word(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Flag(flag) => flag.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(texts) => texts.join(","),
        }
    }

    /// As a value in TOML; none for nothing, which TOML cannot say.
    #[must_use]
    pub fn to_toml(&self) -> Option<String> {
        let quoted = |text: &String| {
            // settings hold no control characters, so these two are all that needs an escape
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        };
        match self {
            Self::Nothing => None,
            Self::Text(text) => Some(quoted(text)),
            Self::List(texts) => Some(format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", "))),
            Self::Flag(_) | Self::Whole(_) | Self::Fraction(_) => Some(self.as_word()),
        }
    }
}

/// Whether output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// Reads a number of seconds.
pub(super) fn seconds(given: &Given) -> Option<Duration> {
    const MAX: f64 = 86_400.0;
    let seconds = match given {
        Given::Word(text) => text.trim().parse().ok()?,
        Given::Whole(number) => f64::from(i32::try_from(*number).ok()?),
        Given::Fraction(number) => *number,
        _ => return None,
    };
    (0.0..=MAX).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// Reads a span of time: hours unless a unit is named.
pub(super) fn span(given: &Given) -> Option<TimeDelta> {
    const HOUR: f64 = 3600.0;
    const MAX: f64 = 3650.0 * 24.0 * HOUR;
    let seconds = match given {
        Given::Whole(hours) => f64::from(i32::try_from(*hours).ok()?) * HOUR,
        Given::Fraction(hours) => hours * HOUR,
        Given::Word(text) | Given::Text(text) => {
            let text = text.trim();
            let end = text.find(|c: char| !matches!(c, '0'..='9' | '.')).unwrap_or(text.len());
            let (number, unit) = text.split_at(end);
            let unit = match unit.trim() {
                "s" => 1.0,
                "m" | "min" => 60.0,
                "" | "h" => HOUR,
                "d" => 24.0 * HOUR,
                "w" => 7.0 * 24.0 * HOUR,
                _ => return None,
            };
            number.parse::<f64>().ok()? * unit
        }
        _ => return None,
    };
    let span = Duration::try_from_secs_f64(seconds.round()).ok().filter(|_| seconds <= MAX)?;
    TimeDelta::from_std(span).ok()
}

/// Writes a span of time in the largest of hours, minutes and seconds that is exact.
pub(super) fn write_span(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    match seconds {
        _ if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// Reads yes or no; the words are the original's.
pub(super) fn flag(given: &Given) -> Option<bool> {
    match given {
        Given::Flag(flag) => Some(*flag),
        Given::Word(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Reads a whole number within bounds.
pub(super) fn whole(given: &Given, least: u32, most: u32) -> Option<u32> {
    let number = match given {
        Given::Word(text) => text.trim().parse().ok()?,
        Given::Whole(number) => u32::try_from(*number).ok()?,
        _ => return None,
    };
    (least..=most).contains(&number).then_some(number)
}

fn text(given: &Given) -> Option<&str> {
    match given {
        Given::Word(text) | Given::Text(text) => Some(text),
        _ => None,
    }
}

/// Reads a session's id.
pub(super) fn session(given: &Given) -> Option<SessionId> {
    text(given)?.parse().ok()
}

/// Reads a person's name.
pub(super) fn actor(given: &Given) -> Option<String> {
    let name = text(given)?;
    ((1..=MAX_ACTOR).contains(&name.len()) && !name.chars().any(is_deceptive)).then(|| name.to_owned())
}

/// Reads when there are colours.
pub(super) fn color(given: &Given) -> Option<Color> {
    let word = text(given)?;
    [Color::Auto, Color::Always, Color::Never].into_iter().find(|color| color.as_str() == word)
}

/// Reads a list of privacy rules; as a word they have commas between them.
pub(super) fn rules(given: &Given) -> Option<BTreeSet<Rule>> {
    match given {
        Given::Word(text) => {
            text.split(',').map(str::trim).filter(|rule| !rule.is_empty()).map(|rule| rule.parse().ok()).collect()
        }
        Given::List(items) => items.iter().map(|item| text(item)?.parse().ok()).collect(),
        _ => None,
    }
}
