//! Pointers: the repository, fork, branch, pull request, issue and session that work is about, and short notes, each under
//! a name. The name is `active` unless somebody chose another; a saved session is a pointer to it.
//!
//! An issue is pointed to by what it is, so the pointer follows it through every new number. A pointer does not promise
//! that what it points to is still there.

use serde::{Deserialize, Serialize};

use super::id::{Identity, SessionId};
use super::keyed::{Field, Keyed, Place, Problem, Schema, Type, is_url};
use super::time::Timestamp;

/// The name of a pointer that nobody gave one.
pub const ACTIVE: &str = "active";

/// Longest note, in bytes.
pub const MAX_NOTE: usize = 2000;

const MAX_TARGET: usize = 400;

/// What a pointer points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PointerKind {
    /// The repository that work is for.
    Repo,
    /// The fork that work is pushed to.
    Fork,
    /// A branch.
    Branch,
    /// A pull request.
    Pr,
    /// An issue of this project.
    Issue,
    /// A session.
    Session,
    /// Nothing: a short text to remember.
    Note,
}

impl PointerKind {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["repo", "fork", "branch", "pr", "issue", "session", "note"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// A pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// What it points to.
    pub kind: PointerKind,
    /// Its name.
    pub name: String,
    /// The repository, fork, branch or session.
    pub target: Option<String>,
    /// The pull request's number.
    pub number: Option<u64>,
    /// The pull request's address.
    pub url: Option<String>,
    /// The issue.
    pub issue: Option<Identity>,
    /// The text to remember; beside any other pointer, why it is there.
    pub note: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Keyed for Pointer {
    const SCHEMA: Schema = Schema {
        noun: "pointer",
        about: "What work is about: a repository, fork, branch, pull request, issue or session, or a short note.",
        fields: &[
            Field::key("kind", Type::Word(PointerKind::WORDS), "What it points to."),
            Field::key("name", Type::Name(120), "Its name; `active` unless somebody chose another."),
            Field::given(
                "target",
                Type::Name(MAX_TARGET),
                "The repository (owner/name or URL), fork, branch or session id.",
            )
            .only(&["repo", "fork", "branch", "session"])
            .required()
            .at(Place::Line),
            Field::given("number", Type::Whole(1, u64::MAX), "The pull request's number.")
                .only(&["pr"])
                .at(Place::LabelledLine)
                .called("#"),
            Field::given("url", Type::Url, "The pull request's address.").only(&["pr"]).at(Place::Line),
            Field::given("issue", Type::Issue, "The issue, by what never changes of it.")
                .only(&["issue"])
                .required()
                .at(Place::Json),
            Field::given("note", Type::Text(MAX_NOTE), "The text to remember; beside a pointer, what it is for.")
                .at(Place::Line),
            Field::kept("updated_at", Type::Time, "When it was last changed.").called("changed"),
            Field::shown("issue_number", Type::Whole(1, u64::MAX), "The issue's present number; null once it is gone."),
        ],
        stamp: "updated_at",
    };

    fn key(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }

    fn check(&self) -> Result<(), Problem> {
        let target = self.target.as_deref().unwrap_or_default();
        match self.kind {
            PointerKind::Repo | PointerKind::Fork if !is_repository(target) => {
                Err(Problem::invalid("target", "owner/name, or a URL without user and password"))
            }
            PointerKind::Branch if !is_branch(target) => {
                Err(Problem::invalid("target", "a name that git lets a branch have"))
            }
            PointerKind::Session => match target.parse::<SessionId>() {
                Ok(_) => Ok(()),
                Err(error) => Err(Problem::invalid("target", format!("a session: {error}"))),
            },
            PointerKind::Pr if self.number.is_none() && self.url.is_none() => Err(Problem::Missing("number")),
            PointerKind::Note if self.note.as_deref().is_none_or(|note| note.trim().is_empty()) => {
                Err(Problem::Missing("note"))
            }
            _ => Ok(()),
        }
    }
}

/// The number in the address of a pull request, as GitHub, GitLab and Gitea write it.
#[must_use]
pub fn number_in(url: &str) -> Option<u64> {
    let mut parts = url.split(['?', '#']).next()?.split('/').skip(3);
    parts.find(|part| matches!(*part, "pull" | "pulls" | "merge_requests"))?;
    parts.next()?.parse().ok().filter(|number| *number > 0)
}

/// `owner/name`, a URL, or git's short form `git@host:path`.
fn is_repository(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if text.contains("://") {
        return is_url(&text.replacen("ssh://git@", "ssh://", 1));
    }
    if let Some((host, path)) = text.strip_prefix("git@").and_then(|rest| rest.split_once(':')) {
        return plain(host) && path.split('/').all(plain);
    }
    text.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name))
}

/// What `git check-ref-format --branch` lets through.
fn is_branch(text: &str) -> bool {
    const MAX: usize = 250;
    let bad = |c: char| c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock");
    text.len() <= MAX
        && text != "@"
        && text != "HEAD"
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains(bad)
        && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_owner_and_name_or_addresses_without_credentials() {
        for good in [
            "ada/tide",
            "https://github.com/ada/tide.git",
            "ssh://git@github.com/ada/tide",
            "git@github.com:ada/tide.git",
            "http://localhost:3000/ada/tide",
        ] {
            assert!(is_repository(good), "{good}");
        }
        for bad in [
            "",
            "tide",
            "ada/",
            "/tide",
            "ada/tide/x",
            "../tide",
            "-x/y",
            "ada/ti de",
            "https://ada@github.com/ada/tide",
            "https://:x@h/y",
            "ssh://root@host/x",
            "https://",
            "git@host",
            "git@:x",
            "ada/tide\n",
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
    }

    #[test]
    fn branches_are_what_git_lets_through() {
        for good in ["main", "feature/x", "a.b", "v1.0", "Übung", "a@b", "dependabot/npm_and_yarn/x-1.2"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "", "@", "HEAD", "-x", "a b", "a..b", "a/", "/a", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a~1",
            "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a@{1}", "a\tb",
        ] {
            assert!(!is_branch(bad), "{bad}");
        }
    }

    #[test]
    fn the_number_of_a_pull_request_stands_in_its_address() {
        for (url, number) in [
            ("https://github.com/ada/tide/pull/17", Some(17)),
            ("https://github.com/ada/tide/pull/17/files?w=1#x", Some(17)),
            ("https://gitlab.com/ada/tide/-/merge_requests/3", Some(3)),
            ("https://codeberg.org/ada/tide/pulls/4", Some(4)),
            ("https://github.com/pull/tide", None),
            ("https://github.com/ada/tide/pull/0", None),
            ("https://github.com/ada/tide/issues/17", None),
        ] {
            assert_eq!(number_in(url), number, "{url}");
        }
    }
}
