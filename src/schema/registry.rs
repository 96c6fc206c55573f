//! The extensions and packages of the original: what is installed, from where, and what it may do.
//!
//! Never the library itself, a stack trace, an error's text or a registry's token. A local path is kept only if it is
//! relative; any other is a hash.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::ContentHash;
use super::keyed::{Field, Keyed, Place, Problem, Schema, Type, is_url};
use super::privacy::Policy;
use super::time::Timestamp;

/// What is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// An extension.
    Extension,
    /// A package.
    Package,
}

impl RegistryKind {
    /// The words for both.
    pub const WORDS: &[&str] = &["extension", "package"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// The states of an extension.
pub const STATES: &[&str] = &["pending", "active", "disabled", "failed", "unloaded"];

/// What an extension may be allowed.
pub const PERMISSIONS: &[&str] = &["file_read", "file_write", "bash", "network", "execute_command", "read_env"];

/// Where a package comes from.
pub const SOURCE_TYPES: &[&str] = &["local", "npm", "git"];

/// Whom a package is installed for.
pub const SCOPES: &[&str] = &["user", "project"];

/// The classes of an extension's errors.
pub const ERRORS: &[&str] = &["load", "manifest", "permission", "hook", "panic", "timeout", "unknown"];

const EXTENSION: &[&str] = &["extension"];
const PACKAGE: &[&str] = &["package"];

/// An extension or a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Which of the two.
    pub kind: RegistryKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Where it comes from.
    pub source: Option<String>,
    /// What kind of place that is.
    pub source_type: Option<String>,
    /// Whom the package is installed for.
    pub scope: Option<String>,
    /// The digest of the file or the package.
    pub integrity: Option<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// The extension's state.
    pub state: Option<String>,
    /// What the extension may do.
    pub permissions: Vec<String>,
    /// What the package needs.
    pub dependencies: Vec<String>,
    /// The kinds of things that are switched off in the package.
    pub disabled_kinds: Vec<String>,
    /// The kinds of things that the project switches on.
    pub forced_on: Vec<String>,
    /// The kinds of things that the project switches off.
    pub forced_off: Vec<String>,
    /// The class of the extension's last error.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// How many errors there were.
    pub errors: u64,
    /// When it was installed.
    pub installed_at: Option<Timestamp>,
    /// When this row was last changed.
    pub updated_at: Timestamp,
}

impl Keyed for Registration {
    const SCHEMA: Schema = Schema {
        noun: "registration",
        about: "An extension or a package.",
        fields: &[
            Field::key("kind", Type::Word(RegistryKind::WORDS), "What it is."),
            Field::key("name", Type::Name(214), "Its name."),
            Field::given("version", Type::Name(120), "Its version.").at(Place::Line),
            Field::given("source", Type::Name(400), "Where it comes from; a local path is relative, or a hash.")
                .at(Place::Line),
            Field::given("source_type", Type::Word(SOURCE_TYPES), "What kind of place that is.").called("from"),
            Field::given("scope", Type::Word(SCOPES), "Whom it is installed for.")
                .only(PACKAGE)
                .at(Place::LabelledLine),
            Field::given("integrity", Type::Name(200), "The digest of the file or the package, such as sha256-…."),
            Field::given("enabled", Type::Flag, "Whether it is switched on; true unless somebody said otherwise.")
                .required()
                .at(Place::LabelledLine),
            Field::given("state", Type::Word(STATES), "Its state.").only(EXTENSION).at(Place::Line),
            Field::given("permissions", Type::Names(16, 40), "What it may do.").only(EXTENSION),
            Field::given("dependencies", Type::Names(200, 240), "What it needs.").only(PACKAGE),
            Field::given("disabled_kinds", Type::Names(16, 40), "The kinds of things in it that are switched off.")
                .only(PACKAGE)
                .called("off"),
            Field::given("forced_on", Type::Names(16, 40), "The kinds of things that the project switches on.")
                .only(PACKAGE)
                .called("forced on"),
            Field::given("forced_off", Type::Names(16, 40), "The kinds of things that the project switches off.")
                .only(PACKAGE)
                .called("forced off"),
            Field::given("last_error", Type::Word(ERRORS), "The class of its last error.")
                .only(EXTENSION)
                .called("last error"),
            Field::given("last_error_at", Type::Time, "When that was.").only(EXTENSION).called("at"),
            Field::given("errors", Type::Whole(0, u64::MAX), "How many errors there were.").required(),
            Field::given("installed_at", Type::Time, "When it was installed.").called("installed"),
            Field::kept("updated_at", Type::Time, "When this row was last changed.").called("changed"),
        ],
        stamp: "updated_at",
    };

    fn key(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }

    fn guard(fields: &mut Map<String, Value>, _policy: &Policy) -> Result<(), Problem> {
        for (name, first) in [("errors", Value::from(0)), ("enabled", Value::from(true))] {
            if fields.get(name).is_none_or(Value::is_null) {
                fields.insert(name.into(), first);
            }
        }
        if let Some(Value::String(source)) = fields.get("source") {
            let kept = kept_source(source);
            fields.insert("source".into(), kept.into());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Problem> {
        if let Some(source) = &self.source
            && source.contains("://")
            && !is_url(&source.replacen("ssh://git@", "ssh://", 1).replacen("git+", "", 1))
        {
            return Err(Problem::invalid("source", "a URL without user and password, npm:NAME, or a relative path"));
        }
        if self.permissions.iter().any(|permission| !PERMISSIONS.contains(&permission.as_str())) {
            return Err(Problem::invalid("permissions", format!("some of {}", PERMISSIONS.join(", "))));
        }
        Ok(())
    }
}

/// A source as it is kept: a path that leads out of the project, or tells where somebody's home is, as a hash.
fn kept_source(source: &str) -> String {
    let path = source.strip_prefix("file://").or_else(|| source.strip_prefix("file:")).unwrap_or(source);
    let drive = path.as_bytes().get(1) == Some(&b':') && path.starts_with(|c: char| c.is_ascii_alphabetic());
    let leads_out = path.starts_with(['/', '~', '\\']) || drive || path.split(['/', '\\']).any(|part| part == "..");
    if leads_out { format!("#{}", ContentHash::of(path.as_bytes())) } else { source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_source_is_relative_or_hashed() {
        for source in ["./plugins/x", "plugins/x.wasm", "npm:@ada/tide", "https://example.org/x.git", "git@host:a/b"] {
            assert_eq!(kept_source(source), source);
        }
        for source in ["/home/ada/x", "~/x", "../x", "a/../../x", "file:///home/ada/x", "C:\\Users\\ada", "\\\\host\\x"]
        {
            let kept = kept_source(source);
            assert!(kept.len() == 17 && kept.starts_with('#'), "{source}: {kept}");
        }
        assert_eq!(kept_source("/home/ada/x"), kept_source("file:///home/ada/x"));
        assert_eq!(kept_source(&kept_source("/x")), kept_source("/x"), "a hash stays");
    }
}
