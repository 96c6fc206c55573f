//! What may leave the database beside the files of issues: no session ids and no local paths unless the project says so,
//! and no secret at all.
//!
//! Where a field holds an id or a path by its meaning, whoever makes the row leaves it out. This looks at the texts: a
//! known session's id in one of them becomes `[session]` if it is no mere word (a session may be called `night`), a local
//! path `[path]`, and a secret `[redacted:RULE]`. A path in the project becomes one from its root. It knows
//! shapes: a path that begins in no place where such paths begin stays, as a route of a web server does.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use serde_json::{Map, Value};

use crate::schema::privacy::{self, Rule};

/// What stands in the place of a local path.
pub const PATH: &str = "[path]";

/// What stands in the place of a session's id within a text.
pub const SESSION: &str = "[session]";

/// Shortest id of a session that is looked for within texts, in bytes.
const MIN_ID: usize = 6;

/// Where local paths begin.
const PLACES: [&str; 18] = [
    "~/",
    "/home/",
    "/Users/",
    "/root/",
    "/tmp/",
    "/var/",
    "/private/",
    "/mnt/",
    "/media/",
    "/opt/",
    "/srv/",
    "/etc/",
    "/usr/",
    "/proc/",
    "/dev/",
    "/run/",
    "file://",
    "\\\\",
];

/// What may pass.
#[derive(Clone, Debug, Default)]
pub struct Border {
    /// Whether session ids may.
    pub session_ids: bool,
    /// Whether local paths may.
    pub paths: bool,
    /// What looks like a secret and is none.
    pub allow: BTreeSet<Rule>,
    root: Vec<String>,
    home: Vec<String>,
    sessions: HashSet<String>,
}

impl Border {
    /// The border of a project: its root and the caller's home are local paths.
    #[must_use]
    pub fn new(root: &Path, home: Option<&Path>) -> Self {
        let spellings = |path: &Path| {
            let real = path.canonicalize().ok().filter(|real| real != path);
            let all = std::iter::once(path.to_owned()).chain(real);
            // a home such as / would be in every path
            all.filter_map(|path| path.to_str().map(str::to_owned)).filter(|path| path.len() > 1).collect()
        };
        Self { root: spellings(root), home: home.map(spellings).unwrap_or_default(), ..Self::default() }
    }

    /// Lets a session's id be known as one.
    pub fn add_session(&mut self, id: &str) {
        if !self.session_ids && !self.sessions.contains(id) {
            self.sessions.insert(id.to_owned());
        }
    }

    /// Whether a text is the id of a session that must not pass.
    #[must_use]
    pub fn is_session(&self, text: &str) -> bool {
        !self.session_ids && self.sessions.contains(text)
    }

    /// A text as it may pass.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        let mut findings = privacy::scan(text);
        findings.retain(|finding| !self.allow.contains(&finding.rule));
        if !findings.is_empty() {
            clean = privacy::redact(text, &findings).into();
        }
        if !self.paths
            && let Some(without) = self.without_paths(&clean)
        {
            clean = without.into();
        }
        if let Some(without) = self.without_sessions(&clean) {
            clean = without.into();
        }
        clean
    }

    /// Every text in a value as it may pass.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => self.fields(fields),
            _ => {}
        }
    }

    /// Every text in fields as it may pass. Names of fields are this program's own, or pass as texts do.
    pub fn fields(&self, fields: &mut Map<String, Value>) {
        fields.values_mut().for_each(|value| self.value(value));
        if fields.keys().any(|name| matches!(self.text(name), Cow::Owned(_))) {
            let old = std::mem::take(fields);
            fields.extend(old.into_iter().map(|(name, value)| (self.text(&name).into_owned(), value)));
        }
    }

    /// Empties fields that hold nothing but the id of a session.
    pub fn hide_sessions(&self, fields: &mut Map<String, Value>, names: &[&str]) {
        for name in names {
            if let Some(value) = fields.get_mut(*name)
                && value.as_str().is_some_and(|text| self.is_session(text))
            {
                *value = Value::Null;
            }
        }
    }

    /// Hides values that are local paths as a whole, wherever those begin.
    pub fn hide_path(&self, value: &mut Value) {
        match value {
            Value::String(text) if !self.paths && text.starts_with(['/', '~']) && self.beneath_root(text).is_none() => {
                PATH.clone_into(text);
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_path(item)),
            _ => {}
        }
    }

    /// What follows the root in a text that begins with it.
    fn beneath_root<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.root.iter().find_map(|root| text.strip_prefix(root.as_str()).filter(|rest| ends_name(rest)))
    }

    fn without_paths(&self, text: &str) -> Option<String> {
        if !text.contains(['/', '\\']) {
            return None;
        }
        let (mut out, mut rest, mut changed, mut before) = (String::new(), text, false, None);
        while let Some(next) = rest.chars().next() {
            if matches!(next, '/' | '\\' | '~' | 'f' | 'A'..='Z' | 'a'..='z') {
                if let Some(beneath) = self.beneath_root(rest) {
                    // beneath the root, or the root itself
                    let inner = beneath.strip_prefix('/').filter(|inner| inner.chars().next().is_some_and(is_path));
                    out.push_str(if inner.is_some() { "" } else { "." });
                    rest = inner.unwrap_or(beneath);
                    (changed, before) = (true, Some('.'));
                    continue;
                }
                let at_home = self.home.iter().any(|home| rest.strip_prefix(home.as_str()).is_some_and(ends_name));
                if at_home || (begins_path(before) && is_local(rest)) {
                    out.push_str(PATH);
                    rest = rest.trim_start_matches(is_path);
                    (changed, before) = (true, Some(']'));
                    continue;
                }
            }
            out.push(next);
            before = Some(next);
            rest = &rest[next.len_utf8()..];
        }
        changed.then_some(out)
    }

    fn without_sessions(&self, text: &str) -> Option<String> {
        if self.session_ids || self.sessions.is_empty() || text.len() < MIN_ID {
            return None;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let (mut out, mut rest, mut changed) = (String::new(), text, false);
        while let Some(start) = rest.find(is_word) {
            let end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |length| start + length);
            let word = &rest[start..end];
            let made = word.len() >= MIN_ID && word.bytes().any(|byte| byte.is_ascii_digit());
            out.push_str(&rest[..start]);
            if made && self.sessions.contains(word) {
                out.push_str(SESSION);
                changed = true;
            } else {
                out.push_str(word);
            }
            rest = &rest[end..];
        }
        out.push_str(rest);
        changed.then_some(out)
    }
}

/// Whether a name that ends before this text ends there.
fn ends_name(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// Whether a path may begin after a character.
fn begins_path(before: Option<char>) -> bool {
    !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | '\\'))
}

/// Whether a text begins with a local path.
fn is_local(rest: &str) -> bool {
    let drive = matches!(rest.as_bytes(), [letter, b':', b'\\' | b'/', next, ..]
        if letter.is_ascii_alphabetic() && *next != b'/' && !next.is_ascii_whitespace());
    drive || PLACES.iter().any(|place| rest.strip_prefix(place).is_some_and(|rest| rest.starts_with(is_path)))
}

/// Whether a character is part of a path in a text.
fn is_path(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '"' | '\'' | '`' | ',' | ';' | ')' | ']' | '}' | '>' | '<' | '|')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn border() -> Border {
        let mut border = Border::new(Path::new("/work/tide"), Some(Path::new("/people/ada")));
        border.add_session("01KAHGXC2Z9M4Q");
        border.add_session("night");
        border.add_session("s-42b");
        border
    }

    #[test]
    fn local_paths_go_and_those_in_the_project_are_from_its_root() {
        for (text, passes) in [
            ("see /work/tide/src/x.rs:4", "see src/x.rs:4"),
            ("in /work/tide", "in ."),
            ("in /work/tide/", "in ./"),
            ("in /work/tidewater/x", "in /work/tidewater/x"),
            ("/people/ada/notes and \"/people/ada\"", "[path] and \"[path]\""),
            ("cd ~/x && ls", "cd [path] && ls"),
            ("--dir=/home/bob/x,/tmp/y", "--dir=[path],[path]"),
            (r"C:\Users\ada\x and D:/x", "[path] and [path]"),
            (r"\\server\share", "[path]"),
            ("file:///etc/hosts", "[path]"),
            ("GET /latest is 500, /api/home/x too", "GET /latest is 500, /api/home/x too"),
            ("https://example.org/home/x?a=/tmp", "https://example.org/home/x?a=/tmp"),
            ("and/or, 1/2, a ~ b, ~", "and/or, 1/2, a ~ b, ~"),
            ("src/home/x", "src/home/x"),
            ("http://localhost:8080", "http://localhost:8080"),
        ] {
            assert_eq!(border().text(text), passes, "{text}");
        }
        let open = Border { paths: true, ..border() };
        assert_eq!(open.text("see ~/x"), "see ~/x");
        let mut value = json!(["/latest", "~", "/work/tide/x", "x"]);
        border().hide_path(&mut value);
        assert_eq!(value, json!([PATH, PATH, "/work/tide/x", "x"]));
    }

    #[test]
    fn ids_of_sessions_go() {
        let border = border();
        assert_eq!(border.text("left by 01KAHGXC2Z9M4Q."), "left by [session].");
        assert_eq!(border.text("s-42b s-42b1 s-42"), "s-42b s-42b1 s-42", "too short to be told from a word");
        assert_eq!(border.text("last night, 01KAHGXC2Z9M4QX"), "last night, 01KAHGXC2Z9M4QX");
        assert!(border.is_session("night") && !border.is_session("day"));
        let mut fields = json!({ "to": "night", "from": "day" }).as_object().unwrap().clone();
        border.hide_sessions(&mut fields, &["to", "from", "more"]);
        assert_eq!(Value::Object(fields), json!({ "to": null, "from": "day" }));
    }

    #[test]
    fn secrets_go_unless_they_are_known_to_be_none() {
        let text = ["postgres://harbour:", "low", "-tide@db.local"].concat();
        let mut value = json!({ "extra": { "note": [text] } });
        border().value(&mut value);
        assert_eq!(value["extra"]["note"][0], "postgres://[redacted:url-credentials]@db.local");
        let allow = Border { allow: [Rule::UrlCredentials].into(), ..border() };
        assert_eq!(allow.text(&text), text);
    }

    #[test]
    fn names_of_fields_pass_as_texts_do() {
        let mut value = json!({ "/home/ada/x": 1, "plain": 2 });
        border().value(&mut value);
        assert_eq!(value, json!({ "[path]": 1, "plain": 2 }));
    }
}
