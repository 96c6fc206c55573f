//! Handoffs: short notes from one who stops to one who goes on, with the next things to do.
//!
//! An open handoff about an issue stands in the issue's file as well, as an [`entry`]: everything but sessions. It is in
//! the file as long as it is open; that it has gone from the file says that it is done.

use serde::{Deserialize, Serialize};

use super::id::{Identity, SessionId};
use super::issue::Linked;
use super::keyed::{Field, Keyed, Place, Problem, Schema, Type, entry_of, fields_of, of_entry};
use super::record_id::RecordId;
use super::time::Timestamp;

/// Longest summary, in bytes.
pub const MAX_SUMMARY: usize = 4_000;
/// How many next actions a handoff has at most.
pub const MAX_ACTIONS: usize = 30;
/// Longest next action, in bytes.
pub const MAX_ACTION: usize = 300;
/// Longest name of a sender or a receiver, in bytes.
pub const MAX_PARTY: usize = 256;

/// How far a handoff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandoffState {
    /// Nobody has taken it up.
    Pending,
    /// Somebody has.
    Accepted,
    /// There is nothing left to do about it.
    Done,
}

impl HandoffState {
    /// The words for all of them.
    pub const WORDS: &[&str] = &["pending", "accepted", "done"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// Whether there is something left to do about it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Done)
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NextAction {
    /// What.
    pub text: String,
    /// Whether it is done.
    pub done: bool,
}

/// A note to whoever goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// Its id.
    pub id: RecordId,
    /// Who wrote it: a person's or a tool's name.
    pub from: String,
    /// Whom it is for: a session, a person, a tool; none for anybody.
    pub to: Option<String>,
    /// The issue that it is about.
    pub issue: Option<Identity>,
    /// How far it is.
    pub state: HandoffState,
    /// How things stand.
    pub summary: String,
    /// What to do next, in order.
    pub next: Vec<NextAction>,
    /// The session that wrote it. Never leaves the database.
    pub session: Option<SessionId>,
    /// Who took it up: a person's or a tool's name.
    pub accepted_by: Option<String>,
    /// The session that took it up. Never leaves the database.
    pub accepted_session: Option<SessionId>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When nothing was left to do.
    pub done_at: Option<Timestamp>,
}

impl Handoff {
    /// The next actions that are left, each with its number from 1.
    pub fn left(&self) -> impl Iterator<Item = (usize, &NextAction)> {
        (1..).zip(&self.next).filter(|(_, action)| !action.done)
    }

    /// Whether it is for somebody: one of these names, or anybody.
    #[must_use]
    pub fn is_for(&self, names: &[&str]) -> bool {
        self.to.as_deref().is_none_or(|to| names.contains(&to))
    }
}

impl Keyed for Handoff {
    const SCHEMA: Schema = Schema {
        noun: "handoff",
        about: "A note to whoever goes on, with the next things to do.",
        fields: &[
            Field::kept("id", Type::Name(RecordId::LEN), "Its id, a ULID.").required().at(Place::Json),
            Field::given("from", Type::Name(MAX_PARTY), "Who wrote it.").required(),
            Field::given("to", Type::Name(MAX_PARTY), "Whom it is for: a session, a person, a tool; null for anybody."),
            Field::given("issue", Type::Issue, "The issue that it is about, by what never changes of it.")
                .at(Place::Json),
            Field::kept("state", Type::Word(HandoffState::WORDS), "How far it is.").required(),
            Field::given("summary", Type::Text(MAX_SUMMARY), "How things stand.").required(),
            Field::given("next", Type::Actions(MAX_ACTIONS, MAX_ACTION), "What to do next, in order.").at(Place::Json),
            Field::given("session", Type::Name(128), "The session that wrote it."),
            Field::kept("accepted_by", Type::Name(MAX_PARTY), "Who took it up.").called("accepted by"),
            Field::kept("accepted_session", Type::Name(128), "The session that took it up.").called("in session"),
            Field::kept("created_at", Type::Time, "When it was written.").required().called("written"),
            Field::kept("updated_at", Type::Time, "When it was last changed.").required().at(Place::Json),
            Field::kept("done_at", Type::Time, "When nothing was left to do.").called("done"),
            Field::shown("issue_number", Type::Whole(1, u64::MAX), "The issue's present number; null once it is gone."),
        ],
        stamp: "updated_at",
    };

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn check(&self) -> Result<(), Problem> {
        if self.summary.trim().is_empty() {
            return Err(Problem::Missing("summary"));
        }
        Ok(())
    }
}

/// The fields that stand in an issue's file, in order.
const ENTRY: [&str; 9] = ["id", "from", "to", "state", "accepted_by", "summary", "next", "created_at", "updated_at"];

/// A handoff as its issue's file lists it, in the place of what it lists now. `to` is left out where it must not leave
/// the database.
#[must_use]
pub fn entry(handoff: &Handoff, hide_to: bool, before: Option<&Linked>) -> Linked {
    let mut fields = fields_of(handoff);
    if hide_to {
        fields.remove("to");
    }
    entry_of(handoff.id.to_string(), &fields, &ENTRY, before)
}

/// The handoff that an entry of an issue's file is, with what only the present record says; none if it is no such thing.
/// Frontmatter is anybody's, so every field must be what it would be of our own.
#[must_use]
pub fn from_entry(entry: &Linked, issue: &Identity, old: Option<&Handoff>) -> Option<Handoff> {
    let mut read: Handoff = of_entry(entry, &ENTRY, [("issue", serde_json::to_value(issue).ok()?)])?;
    if let Some(old) = old {
        read.session.clone_from(&old.session);
        read.accepted_session = old.accepted_session.clone().filter(|_| read.state == old.state);
        read.to = read.to.or_else(|| old.to.clone());
    }
    // somebody wrote it there; commands take such an entry out
    if read.state == HandoffState::Done {
        read.done_at = old.and_then(|old| old.done_at).or(Some(read.updated_at));
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::super::id::Slug;
    use super::*;

    fn sample() -> Handoff {
        let at: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let action = |text: &str, done| NextAction { text: text.into(), done };
        Handoff {
            id: "01KAHGXC00000000000000000A".parse().unwrap(),
            from: "Ada".into(),
            to: Some("bob".into()),
            issue: Some(Identity { created_at: at, slug: Slug::from_title("x") }),
            state: HandoffState::Accepted,
            summary: "The parser is done.\nThe writer drops comments: see tests.\n".into(),
            next: vec![action("Keep comments", false), action("- a dash: and a colon", true)],
            session: Some("s1".parse().unwrap()),
            accepted_by: Some("bob".into()),
            accepted_session: Some("s2".parse().unwrap()),
            created_at: at,
            updated_at: at,
            done_at: None,
        }
    }

    #[test]
    fn an_entry_comes_back_with_all_but_the_sessions() {
        let note = sample();
        let issue = note.issue.clone().unwrap();
        let listed = entry(&note, false, None);
        assert!(!serde_json::to_string(&listed.value).unwrap().contains("\"s1\""));
        let back = from_entry(&listed, &issue, None).unwrap();
        assert_eq!((&back.session, &back.accepted_session), (&None, &None));
        assert_eq!(from_entry(&listed, &issue, Some(&note)), Some(note.clone()));
        let hidden = entry(&note, true, None);
        assert_eq!(hidden.value.get("to"), None);
        assert_eq!(from_entry(&hidden, &issue, Some(&note)), Some(note));
    }

    #[test]
    fn an_entry_that_says_it_is_done_is_done() {
        let note = sample();
        let issue = note.issue.clone().unwrap();
        let done = Handoff { state: HandoffState::Done, ..note };
        let read = from_entry(&entry(&done, false, None), &issue, None).unwrap();
        assert_eq!((read.state, read.done_at), (HandoffState::Done, Some(done.updated_at)));
    }

    #[test]
    fn a_handoff_is_for_those_it_names_or_for_anybody() {
        let note = sample();
        assert!(note.is_for(&["ada", "bob"]) && !note.is_for(&["ada"]) && !note.is_for(&[]));
        assert!(Handoff { to: None, ..note }.is_for(&[]));
    }
}
