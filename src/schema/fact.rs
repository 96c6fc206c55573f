//! Configuration facts: what is set, to what, and by which layer.
//!
//! A value that is a credential is never kept: neither one whose name says so, nor one that the scrubber knows. The fact
//! then says that it is set.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::keyed::{Field, Keyed, MAX_NAME, Place, Problem, Schema, Type};
use super::privacy::{self, Policy, Rule};
use super::time::Timestamp;
use super::value::Value;

/// Longest value, in bytes as JSON.
pub const MAX_VALUE: usize = 4096;

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// Where a fact comes from; a later one overrides those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// A settings file in the user's home.
    Global,
    /// A settings file in the project.
    Project,
    /// A variable.
    Environment,
    /// Somebody said so, with `fact set`.
    Set,
}

impl Layer {
    /// The words for all of them, lowest first.
    pub const WORDS: &[&str] = &["global", "project", "environment", "set"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// A configuration fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name; the keys of nested maps are joined by dots.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Whether it is set to a credential, which is not kept.
    pub redacted: bool,
    /// Where it comes from.
    pub layer: Layer,
    /// The file, from home or the project, or the variable.
    pub source: Option<String>,
    /// The SHA-256 of that file.
    pub digest: Option<String>,
    /// The layers and files whose value this one overrides, lowest first.
    pub overrides: Vec<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Keyed for Fact {
    const SCHEMA: Schema = Schema {
        noun: "fact",
        about: "A configuration fact and the layer it comes from.",
        fields: &[
            Field::key("name", Type::Name(MAX_NAME), "Its name; the keys of nested maps are joined by dots."),
            Field::given("value", Type::Any(MAX_VALUE), "Its value; `[redacted]` for a credential.").at(Place::Line),
            Field::kept("redacted", Type::Flag, "Whether it is set to a credential, which is not kept.")
                .required()
                .at(Place::Json),
            Field::kept("layer", Type::Word(Layer::WORDS), "Where it comes from; a later one overrides the others.")
                .required()
                .at(Place::LabelledLine),
            Field::kept("source", Type::Name(1100), "The file, from home or the project, or the variable.")
                .at(Place::Line),
            Field::kept("digest", Type::Name(80), "The SHA-256 of the file."),
            Field::kept("overrides", Type::Names(16, 1200), "The layers and files whose value this one overrides."),
            Field::kept("updated_at", Type::Time, "When it was last changed.").called("changed"),
        ],
        stamp: "updated_at",
    };

    fn key(&self) -> String {
        self.name.clone()
    }

    fn guard(fields: &mut Map<String, Json>, policy: &Policy) -> Result<(), Problem> {
        let name = fields.get("name").and_then(Json::as_str).unwrap_or_default();
        let value = fields.get("value").cloned().unwrap_or_default();
        let kept = if is_empty(&value) || policy.allow.contains(&Rule::Assignment) {
            None
        } else if names_a_secret(name, &value) && value != REDACTED {
            Some(Rule::Assignment)
        } else {
            // the name decides about the value, too: as it would be written
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let found = privacy::scan(&format!("{name} = {text}"));
            found.iter().map(|finding| finding.rule).find(|rule| !policy.allow.contains(rule))
        };
        if let Some(rule) = kept {
            if !policy.redact {
                return Err(Problem::Secret {
                    field: "value",
                    refused: privacy::Refused { rule, line: 1, column: 1 },
                    redactable: true,
                });
            }
            fields.insert("value".into(), REDACTED.into());
        }
        let text = fields.get("value").and_then(Json::as_str).unwrap_or_default();
        let redacted = text == REDACTED || text.contains("[redacted:");
        fields.insert("redacted".into(), redacted.into());
        if fields.get("layer").is_none_or(Json::is_null) {
            fields.insert("layer".into(), Layer::Set.as_str().into());
        }
        Ok(())
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(_) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.iter().all(is_empty),
        _ => false,
    }
}

/// Whether a name says that its value is a credential. Counts of tokens are not, and neither are true and false.
#[must_use]
pub fn names_a_secret(name: &str, value: &Json) -> bool {
    /// Words that say it of every value.
    const ALWAYS: [&str; 12] = [
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "credential",
        "credentials",
        "apikey",
        "apikeys",
        "authorization",
        "cookie",
    ];
    /// Words that say it of a text.
    const OF_TEXT: [&str; 8] = ["token", "tokens", "auth", "bearer", "pwd", "pass", "jwt", "cookies"];
    /// What makes of `key` one to keep.
    const KEYS: [&str; 10] =
        ["api", "access", "secret", "private", "signing", "encryption", "account", "auth", "master", "ssh"];
    /// Settings about credentials that are none.
    const HARMLESS: [&str; 10] =
        ["limit", "budget", "count", "usage", "window", "type", "method", "mode", "style", "enabled"];
    let words = words_of(name);
    let is_text = match value {
        Json::String(text) => text.parse::<f64>().is_err(),
        value => value.is_array(),
    };
    let last = words.last().map(String::as_str).unwrap_or_default();
    words.iter().enumerate().any(|(at, word)| {
        let word = word.as_str();
        let before = at.checked_sub(1).map(|at| words[at].as_str()).unwrap_or_default();
        ALWAYS.contains(&word)
            || (matches!(word, "key" | "keys") && KEYS.contains(&before))
            || (word == "token" && !HARMLESS.contains(&last))
            || (is_text && OF_TEXT.contains(&word) && !HARMLESS.contains(&last))
    })
}

/// The words of a name, in lower case: what separators and changes of case divide.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let begins = c.is_uppercase() && was_lower;
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if !c.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known_and_names_of_counts_are_not() {
        let text = Json::from("anything");
        for name in [
            "api_key",
            "apiKey",
            "API-KEY",
            "openai.api_key",
            "providers.x.apikey",
            "github_token",
            "githubToken",
            "tokens.github",
            "api_keys.openai",
            "password",
            "db.password",
            "DB_PASS",
            "secret",
            "clientSecret",
            "aws.secret_access_key",
            "headers.Authorization",
            "auth",
            "private_key",
            "credentials.file",
            "accessToken",
        ] {
            assert!(names_a_secret(name, &text), "{name}");
        }
        for name in [
            "default_model",
            "theme",
            "key",
            "keybindings.save",
            "primary_key",
            "monkey",
            "compass",
            "author",
            "auth.type",
            "authoring",
            "tokenizer",
            "keyboard",
            "session_dir",
            "passive",
        ] {
            assert!(!names_a_secret(name, &text), "{name}");
        }
        for name in ["max_tokens", "total_tokens", "tokens.max", "token_limit", "token.budget"] {
            assert!(!names_a_secret(name, &Json::from(4096)), "{name}");
            assert!(!names_a_secret(name, &Json::from("4096")), "{name}, as a variable has it");
        }
        assert!(names_a_secret("password", &Json::from(123_456)), "a PIN is one");
    }

    #[test]
    fn the_words_of_a_name() {
        assert_eq!(words_of("aB.c_d-EFG9h..x"), ["a", "b", "c", "d", "efg9h", "x"]);
        assert_eq!(words_of(""), [""; 0]);
    }
}
