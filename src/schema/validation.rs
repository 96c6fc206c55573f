//! Validations: that a command was run to check the project, how it ended, and on which commit. Never what it printed;
//! of that there is one line of a known form at most.
//!
//! Runs of one name belong together: the newest of them is how that check stands. A run is never changed afterwards, but
//! for the issue it is linked to. One that is pinned to its issue stands in the issue's file as well, as an [`entry`]:
//! everything but the session.

pub mod summary;

use serde::{Deserialize, Serialize};

use super::id::{Identity, SessionId, is_deceptive};
use super::issue::Linked;
use super::keyed::{Field, Keyed, Place, Problem, Schema, Type, cut, entry_of, fields_of, of_entry};
use super::record_id::RecordId;
use super::time::Timestamp;
use super::value::Value;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 120;
/// Longest command line that is kept, in bytes.
pub const MAX_COMMAND: usize = 1_000;
/// Longest summary, in bytes.
pub const MAX_SUMMARY: usize = 300;
/// How many validations an issue's file lists at most.
pub const MAX_PINNED: usize = 5;

/// How a validation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The command says that all is well: exit code 0.
    Passed,
    /// The command says that something is not.
    Failed,
    /// The command came to no end of its own: a signal or the time limit ended it.
    Error,
    /// It was not run, on purpose.
    Skipped,
}

impl Verdict {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["passed", "failed", "error", "skipped"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// Whether somebody has to look at it.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// One run of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Its id.
    pub id: RecordId,
    /// What is checked.
    pub name: String,
    /// How it ended.
    pub result: Verdict,
    /// The command line, quoted as a shell would take it.
    pub command: Option<String>,
    /// The command's exit code.
    pub exit_code: Option<u8>,
    /// The number of the signal that ended the command.
    pub signal: Option<u8>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The commit that was checked out when it began, in full.
    pub commit: Option<String>,
    /// The branch that was checked out then; none on a detached head.
    pub branch: Option<String>,
    /// Whether tracked files differed from the commit then, those of this tool apart.
    pub dirty: Option<bool>,
    /// What a known runner said last, on one line.
    pub summary: Option<String>,
    /// The issue that it is about.
    pub issue: Option<Identity>,
    /// The session that ran it. Never leaves the database.
    pub session: Option<SessionId>,
    /// When it ended.
    pub at: Timestamp,
    /// When this record was last changed.
    pub updated_at: Timestamp,
}

impl Keyed for Validation {
    const SCHEMA: Schema = Schema {
        noun: "validation",
        about: "One run of a command that checks the project, and how it ended. What it printed is not kept.",
        fields: &[
            Field::kept("id", Type::Name(RecordId::LEN), "Its id, a ULID.").required().at(Place::Json),
            Field::given("name", Type::Name(MAX_NAME), "What is checked; runs of one name belong together.").required(),
            Field::given("result", Type::Word(Verdict::WORDS), "How it ended.").required(),
            Field::given("command", Type::Text(MAX_COMMAND), "The command line."),
            Field::given("exit_code", Type::Whole(0, 255), "The command's exit code.").called("exit code"),
            Field::given("signal", Type::Whole(1, 127), "The number of the signal that ended the command."),
            Field::given("duration_ms", Type::Whole(0, u64::MAX), "How long it took, in milliseconds.")
                .called("duration, ms"),
            Field::given("commit", Type::Name(64), "The commit that was checked out when it began."),
            Field::given("branch", Type::Name(250), "The branch that was checked out then."),
            Field::given("dirty", Type::Flag, "Whether tracked files differed from the commit then."),
            Field::given("summary", Type::Line(MAX_SUMMARY), "What it came to, on one line."),
            Field::given("issue", Type::Issue, "The issue that it is about, by what never changes of it.")
                .at(Place::Json),
            Field::given("session", Type::Name(128), "The session that ran it."),
            Field::given("at", Type::Time, "When it ended.").required(),
            Field::kept("updated_at", Type::Time, "When this record was last changed.").required().at(Place::Json),
            Field::shown("issue_number", Type::Whole(1, u64::MAX), "The issue's present number; null once it is gone."),
            Field::shown("pinned", Type::Flag, "Whether the issue's file lists it.").required(),
            Field::shown("stale", Type::Flag, "Whether another commit is checked out now; null if that is unknown."),
        ],
        stamp: "updated_at",
    };

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn check(&self) -> Result<(), Problem> {
        if self.commit.as_deref().is_some_and(|commit| !is_commit(commit)) {
            return Err(Problem::invalid("commit", "a commit's name: 7 to 64 hexadecimal digits"));
        }
        match (self.result, self.exit_code, self.signal) {
            (_, Some(_), Some(_)) => Err(Problem::invalid("signal", "left out where exit_code is given")),
            (Verdict::Passed, Some(1..), _) | (Verdict::Failed, Some(0), _) => {
                Err(Problem::invalid("exit_code", "0 if the result is passed, and another if it is failed"))
            }
            (Verdict::Passed, _, Some(_)) => Err(Problem::invalid("result", "error where a signal ended the command")),
            _ => Ok(()),
        }
    }
}

/// Whether a text can be the name of a commit.
#[must_use]
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Why a validation is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Somebody asked for it.
    Hand,
    /// It was the latest of its name when the issue was closed.
    Closing,
}

impl Pin {
    const KEY: &str = "pinned";

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Closing => "closing",
        }
    }

    /// Why an entry is in its file; what does not say so was asked for.
    #[must_use]
    pub fn of(entry: &Linked) -> Self {
        let is_closing = entry.value.get(Self::KEY).and_then(Value::as_text) == Some(Self::Closing.as_str());
        if is_closing { Self::Closing } else { Self::Hand }
    }
}

/// The fields that stand in an issue's file, in order; and after them why the validation is there.
const ENTRY: [&str; 12] = [
    "id",
    "name",
    "result",
    "command",
    "exit_code",
    "signal",
    "duration_ms",
    "commit",
    "branch",
    "dirty",
    "summary",
    "at",
];

/// A validation as an issue's file lists it, in the place of what it lists now.
#[must_use]
pub fn entry(validation: &Validation, pin: Pin, before: Option<&Linked>) -> Linked {
    let mut fields = fields_of(validation);
    fields.insert(Pin::KEY.to_owned(), pin.as_str().into());
    let names = [&ENTRY[..], &[Pin::KEY]].concat();
    entry_of(validation.id.to_string(), &fields, &names, before)
}

/// The validation that an entry of an issue's file is, with what only the present record says; none if it is no such
/// thing. Frontmatter is anybody's, so every field must be what it would be of our own.
#[must_use]
pub fn from_entry(entry: &Linked, issue: &Identity, old: Option<&Validation>) -> Option<Validation> {
    let at = serde_json::to_value(entry.value.get("at")?).ok()?;
    let mut read: Validation =
        of_entry(entry, &ENTRY, [("issue", serde_json::to_value(issue).ok()?), ("updated_at", at)])?;
    if let Some(old) = old {
        (read.session, read.updated_at) = (old.session.clone(), old.updated_at);
    }
    Some(read)
}

/// What a command line is called that was given no name: the program and the plain words that follow it.
#[must_use]
pub fn name_of(command: &[String]) -> String {
    const WORDS: usize = 3;
    let is_word = |word: &&String| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'))
    };
    let program = command.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program));
    let rest = command.get(1..).unwrap_or_default();
    let name = match rest {
        // what python runs matters more than that it is python
        [flag, module, ..] if flag == "-m" && program.starts_with("python") => module.clone(),
        rest => {
            let words = rest.iter().take(WORDS - 1).take_while(is_word).map(String::as_str);
            std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
        }
    };
    let clean: String = name.chars().filter(|c| !is_deceptive(*c)).collect();
    cut(clean.trim(), MAX_NAME).trim_end().to_owned()
}

/// A command line as a shell would take it.
#[must_use]
pub fn line_of(command: &[String]) -> String {
    let quoted: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let clean: String = word.chars().map(|c| if is_deceptive(c) && c != '\n' && c != '\t' { '?' } else { c }).collect();
    format!("'{}'", clean.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn sample() -> Validation {
        Validation {
            id: "01KAHGXC00000000000000000A".parse().unwrap(),
            name: "cargo test".into(),
            result: Verdict::Passed,
            command: Some("cargo test --lib".into()),
            exit_code: Some(0),
            signal: None,
            duration_ms: Some(1_234),
            commit: Some("d14307f0d14307f0d14307f0d14307f0d14307f0".into()),
            branch: Some("main".into()),
            dirty: Some(false),
            summary: Some("test result: ok. 3 passed; 0 failed".into()),
            issue: Some(Identity { created_at: "2026-11-20T12:00:00Z".parse().unwrap(), slug: "x".parse_slug() }),
            session: Some("s1".parse().unwrap()),
            at: "2026-11-20T12:00:00Z".parse().unwrap(),
            updated_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        }
    }

    trait ParseSlug {
        fn parse_slug(&self) -> super::super::id::Slug;
    }

    impl ParseSlug for str {
        fn parse_slug(&self) -> super::super::id::Slug {
            super::super::id::Slug::from_title(self)
        }
    }

    #[test]
    fn a_command_is_named_after_its_program_and_the_plain_words_behind_it() {
        for (line, name) in [
            ("cargo test --lib", "cargo test"),
            ("npm run lint:js", "npm run lint:js"),
            ("go test ./...", "go test"),
            ("/usr/bin/python3 -m pytest -q", "pytest"),
            ("./ci/run", "run"),
            ("make", "make"),
            ("cargo xtask check all the things", "cargo xtask check"),
        ] {
            assert_eq!(name_of(&words(line)), name, "{line}");
        }
        assert!(name_of(&["x".repeat(500)]).len() <= MAX_NAME);
    }

    #[test]
    fn a_command_line_is_quoted() {
        assert_eq!(line_of(&["sh".into(), "-c".into(), "it's \u{1b}x".into()]), r"sh -c 'it'\''s ?x'");
        assert_eq!(line_of(&["a".into(), String::new()]), "a ''");
        assert!(cut(&"é".repeat(5_000), MAX_COMMAND).len() <= MAX_COMMAND);
    }

    #[test]
    fn an_entry_comes_back_with_all_but_the_session() {
        let run = sample();
        let listed = entry(&run, Pin::Closing, None);
        assert_eq!(Pin::of(&listed), Pin::Closing);
        assert!(!serde_json::to_string(&listed.value).unwrap().contains("session"));
        let back = from_entry(&listed, run.issue.as_ref().unwrap(), None).unwrap();
        assert_eq!(Validation { session: run.session.clone(), ..back }, run);
        assert_eq!(from_entry(&listed, run.issue.as_ref().unwrap(), Some(&run)), Some(run));
    }

    #[test]
    fn what_is_no_entry_is_no_record() {
        let run = sample();
        let issue = run.issue.clone().unwrap();
        let with = |name: &str, value: Value| {
            let Linked { id, value: Value::Map(mut map) } = entry(&run, Pin::Hand, None) else { panic!() };
            map.retain(|(key, _)| key != name);
            map.push((name.into(), value));
            from_entry(&Linked { id, value: Value::Map(map) }, &issue, None)
        };
        assert!(with("more", "of a later version".into()).is_some());
        for (name, value) in [
            ("result", Value::from("well")),
            ("name", Value::Null),
            ("exit_code", Value::Int(300)),
            ("commit", Value::from("HEAD")),
            ("at", Value::from("yesterday")),
            ("summary", Value::from("two\nlines")),
            ("name", Value::from("x".repeat(200))),
            ("id", Value::from("01KAHGXC00000000000000000B")),
        ] {
            assert_eq!(with(name, value), None, "{name}");
        }
    }
}
