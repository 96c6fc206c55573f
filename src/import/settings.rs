//! The original's settings, layer by layer: which file or variable sets what. The files are only read.
//!
//! Maps are taken apart, so that a value has one name (`theme`, `providers.local.url`); a later layer replaces scalars
//! and lists, and merges maps key by key. What a value overrides is remembered. A path that is a value loses what tells
//! where the project or the home is. Nothing is judged here: whether a value may be stored is decided where it is stored.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::fs::{Dir, PathError};
use crate::schema::fact::Layer;

pub use super::sessions::Places;

/// Largest settings file, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// Most values that are taken from one layer.
pub const MAX_VALUES: usize = 2000;

/// The names of a settings file; the first that is there counts, and hides the other.
pub const NAMES: [&str; 2] = ["settings.json", "settings.toml"];

/// This program's own table, which is no fact about the original.
const OWN: &str = "state";

/// How a variable's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Text,
    Whole,
    Number,
    Flag,
    List,
}

/// The variables that the original names, and what they set.
const VARIABLES: [(&str, &str, Reading); 12] = [
    ("OXI_MODEL", "default_model", Reading::Text),
    ("OXI_PROVIDER", "default_provider", Reading::Text),
    ("OXI_THINKING", "thinking_level", Reading::Text),
    ("OXI_THEME", "theme", Reading::Text),
    ("OXI_MAX_TOKENS", "max_tokens", Reading::Whole),
    ("OXI_TEMPERATURE", "default_temperature", Reading::Number),
    ("OXI_SESSION_DIR", "session_dir", Reading::Text),
    ("OXI_STREAM", "stream_responses", Reading::Flag),
    ("OXI_AUTO_COMPACTION", "auto_compaction", Reading::Flag),
    ("OXI_TOOL_TIMEOUT", "tool_timeout_seconds", Reading::Whole),
    ("OXI_EXTENSIONS_ENABLED", "extensions_enabled", Reading::Flag),
    ("OXI_DISABLED_TOOLS", "disabled_tools", Reading::List),
];

/// One value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// The value: a scalar or a list of scalars.
    pub value: Value,
    /// The layer.
    pub layer: Layer,
    /// The file as it may be kept, or the variable.
    pub source: String,
    /// The SHA-256 of the file.
    pub digest: Option<String>,
    /// What this value overrides, lowest first.
    pub overrides: Vec<String>,
}

/// A file or variable that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The layer.
    pub layer: Layer,
    /// The file as it may be kept; the variable.
    pub name: String,
    /// How many values it sets.
    pub values: usize,
}

/// What could not be used. Never says what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The file as it may be kept; the variable.
    pub source: String,
    /// The line, if that is known.
    pub line: Option<usize>,
    /// Why.
    pub reason: String,
}

/// All layers together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The values that count, by name.
    pub found: BTreeMap<String, Found>,
    /// What was looked at, lowest layer first.
    pub sources: Vec<Source>,
    /// What could not be used.
    pub bad: Vec<Bad>,
}

/// A file that was read, or could not be.
struct File {
    layer: Layer,
    path: PathBuf,
    bytes: Result<Vec<u8>, String>,
}

/// Reads the settings of the homes, lowest first, of the project's state folders and of the variables.
#[must_use]
pub fn read(homes: &[PathBuf], project: &[&Dir], variables: &[(String, String)], places: &Places) -> Settings {
    let mut settings = Settings::default();
    let files = homes.iter().filter_map(|home| in_home(home)).chain(project.iter().filter_map(|dir| in_project(dir)));
    for file in files {
        let name = places.kept(&file.path);
        let parsed = file.bytes.map_err(|reason| (None, reason)).and_then(|bytes| {
            let digest = Sha256::digest(&bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            parse(&file.path, &bytes).map(|value| (value, digest))
        });
        match parsed {
            Ok((value, digest)) => settings.layer(file.layer, &name, Some(&digest), shorten(value, places)),
            Err((line, reason)) => settings.bad.push(Bad { source: name, line, reason }),
        }
    }
    for (variable, text) in variables {
        let Some((_, name, reading)) = VARIABLES.iter().find(|(known, ..)| known == variable) else { continue };
        match reading.read(text.trim()) {
            Ok(value) => {
                let value = Value::Object(std::iter::once(((*name).to_owned(), shorten(value, places))).collect());
                settings.layer(Layer::Environment, variable, None, value);
            }
            Err(expected) => {
                settings.bad.push(Bad { source: variable.clone(), line: None, reason: format!("not {expected}") });
            }
        }
    }
    settings
}

/// The value without the place of the project and of the home in its paths.
fn shorten(value: Value, places: &Places) -> Value {
    match value {
        Value::String(text) => places.shortened(&text).unwrap_or(text).into(),
        Value::Array(items) => items.into_iter().map(|item| shorten(item, places)).collect(),
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, shorten(value, places))).collect())
        }
        other => other,
    }
}

/// The variables that are looked at.
pub fn variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(variable, ..)| *variable)
}

impl Reading {
    fn read(self, text: &str) -> Result<Value, &'static str> {
        match self {
            Self::Text => Ok(text.into()),
            Self::Whole => text.parse::<u64>().map(Value::from).map_err(|_| "a whole number"),
            Self::Number => {
                text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from).ok_or("a number")
            }
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true.into()),
                "false" | "0" | "no" | "off" => Ok(false.into()),
                _ => Err("one of true, 1, yes, on, false, 0, no, off"),
            },
            Self::List => Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()),
        }
    }
}

/// The settings file in a folder of the user's own, where a link is the user's business.
fn in_home(home: &Path) -> Option<File> {
    let path = NAMES.iter().map(|name| home.join(name)).find(|path| path.symlink_metadata().is_ok())?;
    let read = || {
        if !path.metadata().map_err(|error| error.to_string())?.is_file() {
            return Err("not a regular file".to_owned());
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    };
    let bytes = read();
    Some(File { layer: Layer::Global, path, bytes })
}

/// The settings file in the project, which a branch may have brought: no link is followed.
fn in_project(dir: &Dir) -> Option<File> {
    let name = NAMES.into_iter().find(|name| !matches!(dir.entry(name), Ok(None)))?;
    let bytes = dir.read(name, MAX_FILE).map(|(bytes, _)| bytes);
    let bytes = bytes.map_err(|PathError { action, source, .. }| format!("cannot {action}: {source}"));
    Some(File { layer: Layer::Project, path: dir.path().join(name), bytes })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Value, (Option<usize>, String)> {
    if bytes.len() as u64 > MAX_FILE {
        return Err((None, "larger than 1 MiB".into()));
    }
    let line_of = |at: usize| {
        let before = bytes.get(..at).unwrap_or(bytes);
        Some(String::from_utf8_lossy(before).matches('\n').count() + 1)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| (line_of(error.valid_up_to()), "not UTF-8".to_owned()))?;
    let text = text.trim_start_matches('\u{FEFF}');
    // what is wrong is not told in the parsers' words, which may quote the file
    let value = if path.extension().is_some_and(|end| end == "json") {
        serde_json::from_str(text).map_err(|error| (Some(error.line()), "not JSON".to_owned()))?
    } else {
        let table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
            (error.span().and_then(|span| line_of(span.start)), "not TOML".to_owned())
        })?;
        from_toml(toml::Value::Table(table))
    };
    if value.is_object() { Ok(value) } else { Err((Some(1), "not an object".into())) }
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
        }
    }
}

impl Settings {
    /// Lays one source over what is there.
    fn layer(&mut self, layer: Layer, source: &str, digest: Option<&str>, value: Value) {
        let mut flat = Flat::default();
        flat.take(String::new(), value);
        if flat.values.len() > MAX_VALUES {
            let reason = format!("more than {MAX_VALUES} values");
            return self.bad.push(Bad { source: source.to_owned(), line: None, reason });
        }
        self.sources.push(Source { layer, name: source.to_owned(), values: flat.values.len() });
        let mut overridden = BTreeMap::new();
        for root in flat.roots {
            for hidden in self.hidden_by(&root) {
                if let Some(old) = self.found.remove(&hidden) {
                    overridden.insert(hidden, old);
                }
            }
        }
        for (name, value) in flat.values {
            let overrides = overridden.get(&name).map(|old: &Found| {
                let mut overrides = old.overrides.clone();
                overrides.push(format!("{} {}", old.layer.as_str(), old.source));
                overrides
            });
            let (source, digest) = (source.to_owned(), digest.map(str::to_owned));
            let found =
                Found { name: name.clone(), value, layer, source, digest, overrides: overrides.unwrap_or_default() };
            self.found.insert(name, found);
        }
    }

    /// The names that a value of this name hides: itself, all below it, and any value that stands where it needs a map.
    fn hidden_by(&self, name: &str) -> Vec<String> {
        let below = format!("{name}.");
        let above = name.match_indices('.').map(|(at, _)| name[..at].to_owned());
        let mut hidden: Vec<_> = above.filter(|above| self.found.contains_key(above)).collect();
        hidden.extend(
            self.found.range(below.clone()..).map(|(name, _)| name.clone()).take_while(|it| it.starts_with(&below)),
        );
        hidden.extend(self.found.contains_key(name).then(|| name.to_owned()));
        hidden
    }
}

/// A file's values under one name each.
#[derive(Default)]
struct Flat {
    values: Vec<(String, Value)>,
    /// The names that are replaced as a whole: of scalars, and of lists, whatever is in them.
    roots: Vec<String>,
}

impl Flat {
    fn take(&mut self, name: String, value: Value) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    if !(name.is_empty() && key == OWN) {
                        self.take(join(&name, &key), value);
                    }
                }
            }
            Value::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => {
                self.roots.push(name.clone());
                let first = self.roots.len();
                for (index, item) in items.into_iter().enumerate() {
                    self.take(join(&name, &index.to_string()), item);
                }
                self.roots.truncate(first);
            }
            value => {
                self.roots.push(name.clone());
                self.values.push((name, value));
            }
        }
    }
}

fn join(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

#[cfg(test)]
mod tests;
