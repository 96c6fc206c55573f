//! What the original's sessions API keeps of a conversation, here reduced to a pointer: whose it is, how many messages it
//! has, and when it went on.
//!
//! **Dropped, on purpose:** every message of the user and every response of the agent with its content, its times, its
//! seed, its phase and its evaluation; and metadata that is not a name. There is no field that could hold them, and
//! JSON with any other field is no [`SessionPointer`].

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::schema::session::is_name;
use crate::schema::time::Timestamp;

use super::name::DocumentName;

/// The category that session pointers belong to.
pub const SESSIONS: &str = "sessions";

/// How many metadata a pointer has at most.
pub const MAX_METADATA: usize = 64;

/// A text of a pointer that is no name: it could be something that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} of a session is a name: 1 to 120 ASCII letters, digits and . _ : / @ + -")]
pub struct NotAName(pub &'static str);

/// A pointer to a conversation. It never holds what was said in it, only how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionPointer {
    /// Its id; the name of its document.
    pub id: DocumentName,
    /// Whose it is; fixed once it is stored.
    pub user_id: String,
    /// How many messages the user sent.
    #[serde(default)]
    pub user_message_count: u64,
    /// How many responses the agent gave.
    #[serde(default)]
    pub agent_response_count: u64,
    /// The seed at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_seed_id: Option<String>,
    /// The persona at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_persona_id: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last went on.
    pub updated_at: Timestamp,
    /// Names under names; in order, so that the same pointer always has the same bytes.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// A session as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Its id.
    pub id: DocumentName,
    /// Whose it is.
    pub user_id: String,
    /// How many messages the user sent.
    pub message_count: u64,
    /// The seed at work.
    pub active_seed_id: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last went on.
    pub updated_at: Timestamp,
}

impl SessionPointer {
    /// A session that begins now.
    #[must_use]
    pub fn new(id: DocumentName, user_id: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            user_id: user_id.into(),
            user_message_count: 0,
            agent_response_count: 0,
            active_seed_id: None,
            active_persona_id: None,
            created_at: now,
            updated_at: now,
            metadata: BTreeMap::new(),
        }
    }

    /// Counts a message of the user.
    pub fn add_user_message(&mut self, now: Timestamp) {
        self.user_message_count = self.user_message_count.saturating_add(1);
        self.touch(now);
    }

    /// Counts a response of the agent.
    pub fn add_agent_response(&mut self, now: Timestamp) {
        self.agent_response_count = self.agent_response_count.saturating_add(1);
        self.touch(now);
    }

    /// Sets the seed at work.
    pub fn set_active_seed(&mut self, seed_id: Option<String>, now: Timestamp) {
        self.active_seed_id = seed_id;
        self.touch(now);
    }

    /// Sets the persona at work.
    pub fn set_active_persona(&mut self, persona_id: Option<String>, now: Timestamp) {
        self.active_persona_id = persona_id;
        self.touch(now);
    }

    /// Notes a name under a name.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>, now: Timestamp) {
        self.metadata.insert(key.into(), value.into());
        self.touch(now);
    }

    /// The name noted under a name.
    #[must_use]
    pub fn get_metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = Timestamp::after(now, self.updated_at);
    }

    /// How many messages were answered.
    #[must_use]
    pub fn exchange_count(&self) -> u64 {
        self.user_message_count.min(self.agent_response_count)
    }

    /// Whether the user has not said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.user_message_count == 0
    }

    /// What a list shows of it.
    #[must_use]
    pub fn summary(self) -> SessionSummary {
        SessionSummary {
            id: self.id,
            user_id: self.user_id,
            message_count: self.user_message_count,
            active_seed_id: self.active_seed_id,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// Whether every text in it is a name.
    ///
    /// # Errors
    /// [`NotAName`], with the field.
    pub fn check(&self) -> Result<(), NotAName> {
        let optional = |text: &Option<String>| text.as_deref().is_none_or(is_name);
        let checks = [
            (is_name(&self.user_id), "the user_id"),
            (optional(&self.active_seed_id), "the active_seed_id"),
            (optional(&self.active_persona_id), "the active_persona_id"),
            (self.metadata.len() <= MAX_METADATA, "each of at most 64 metadata"),
            (self.metadata.iter().all(|(key, value)| is_name(key) && is_name(value)), "a key or value in the metadata"),
        ];
        checks.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, field)| Err(NotAName(field)))
    }

    /// What may be kept of a session file of the original: messages and responses are counted and passed over; metadata
    /// stay if they are names, numbers, true or false; a seed or persona that is no name is left out.
    ///
    /// # Errors
    /// If the text is no such file.
    pub fn of_original(text: &str) -> Result<Self, serde_json::Error> {
        let session: Original = serde_json::from_str(text)?;
        let name = |text: String| is_name(&text).then_some(text);
        let metadata = session.metadata.into_iter().filter_map(|(key, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
                _ => return None,
            };
            Some((name(key)?, name(value)?))
        });
        Ok(Self {
            id: session.id,
            user_id: session.user_id,
            user_message_count: session.user_messages.len() as u64,
            agent_response_count: session.agent_responses.len() as u64,
            active_seed_id: session.active_seed_id.and_then(name),
            active_persona_id: session.active_persona_id.and_then(name),
            created_at: session.created_at,
            updated_at: session.updated_at,
            metadata: metadata.take(MAX_METADATA).collect(),
        })
    }
}

/// A session file of the original. What was said is read as nothing.
#[derive(Deserialize)]
struct Original {
    id: DocumentName,
    user_id: String,
    #[serde(default)]
    user_messages: Vec<IgnoredAny>,
    #[serde(default)]
    agent_responses: Vec<IgnoredAny>,
    active_seed_id: Option<String>,
    active_persona_id: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn of_the_originals_file_only_counts_are_left() {
        let text = include_str!("../../../tests/golden/documents/oxios-state-session.json");
        let pointer = SessionPointer::of_original(text).unwrap();
        assert_eq!((pointer.id.as_str(), pointer.user_id.as_str()), ("S1", "alice"));
        assert_eq!((pointer.user_message_count, pointer.agent_response_count), (1, 0));
        assert_eq!(pointer.updated_at, time("2026-11-20T17:47:13.193219890Z"));
        assert!(text.contains("hello") && !serde_json::to_string(&pointer).unwrap().contains("hello"));
        assert!(serde_json::from_str::<SessionPointer>(text).is_err(), "messages have no place in a pointer");
        let text = r#"{"id":"s","user_id":"u","user_messages":[{"content":"x","timestamp":"2026-01-01T00:00:00Z"},{}],
            "agent_responses":[{"content":"deep","nested":[1]}],"active_seed_id":"seed-1","active_persona_id":"said in prose",
            "created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:01Z",
            "metadata":{"project":"tide","n":7,"said":"some prose","list":["x"]},"later":"field"}"#;
        let pointer = SessionPointer::of_original(text).unwrap();
        assert_eq!((pointer.user_message_count, pointer.exchange_count()), (2, 1));
        assert_eq!((pointer.active_seed_id.as_deref(), pointer.active_persona_id.as_deref()), (Some("seed-1"), None));
        let metadata: Vec<_> = pointer.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(metadata, [("n", "7"), ("project", "tide")]);
        assert_eq!(pointer.check(), Ok(()));
    }

    #[test]
    fn counts_are_the_originals_and_every_change_moves_the_time() {
        let begun = time("2026-01-01T00:00:00Z");
        let mut pointer = SessionPointer::new("s".parse().unwrap(), "alice", begun);
        assert!(pointer.is_empty() && pointer.exchange_count() == 0);
        pointer.add_agent_response(begun);
        assert!(pointer.is_empty(), "the user has not said anything");
        pointer.add_user_message(begun);
        pointer.add_user_message(begun);
        assert_eq!((pointer.exchange_count(), pointer.is_empty()), (1, false));
        // three changes in one tick of the clock
        assert_eq!(pointer.updated_at, time("2026-01-01T00:00:00.000000003Z"));
        let later = time("2026-01-02T00:00:00Z");
        pointer.set_metadata("b", "2", later);
        pointer.set_metadata("a", "1", later);
        assert_eq!(pointer.get_metadata("a"), Some("1"));
        let text = serde_json::to_string(&pointer).unwrap();
        assert!(text.ends_with(r#""metadata":{"a":"1","b":"2"}}"#), "{text}");
        assert!(!text.contains("active_seed_id"), "{text}");
        pointer.set_active_seed(Some("seed".into()), later);
        pointer.set_active_persona(Some("what the user said".into()), later);
        assert_eq!(pointer.check(), Err(NotAName("the active_persona_id")));
        assert_eq!(pointer.clone().summary().message_count, 2);
    }

    #[test]
    fn prose_has_no_place_anywhere() {
        let now = time("2026-01-01T00:00:00Z");
        let pointer = |user: &str| SessionPointer::new("s".parse().unwrap(), user, now);
        assert_eq!(pointer("ada@example.org").check(), Ok(()));
        assert_eq!(pointer("tell me about boats").check(), Err(NotAName("the user_id")));
        for (key, value) in [("said", "a b"), ("a b", "x"), ("", "x"), ("x", "")] {
            let mut pointer = pointer("ada");
            pointer.set_metadata(key, value, now);
            assert!(pointer.check().is_err(), "{key:?} {value:?}");
        }
        let mut full = pointer("ada");
        for number in 0..=MAX_METADATA {
            full.set_metadata(format!("k{number}"), "v", now);
        }
        assert!(full.check().is_err());
    }
}
