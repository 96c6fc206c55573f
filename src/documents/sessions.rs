//! The original's sessions API. Sessions are the JSON documents of the category `sessions`, under their ids, and each is a
//! [`SessionPointer`]: never what was said. What is dropped is said there.

use std::cmp::Reverse;
use std::fmt::Write as _;

use crate::schema::document::{DocumentKind, DocumentPath, SESSIONS, SessionPointer, SessionSummary};

use super::error::DocumentError;
use super::steps::{self, Deleted, Expect, Saved};
use super::{Documents, overwritten};

impl Documents<'_> {
    /// Saves a session, over the one that was there. Its time of change is as the caller set it.
    ///
    /// # Errors
    /// [`DocumentError::OtherOwner`] if that was another user's; [`DocumentError::NotAName`] if a text in it could be
    /// something that was said; [`DocumentError::Secret`]; or if the database fails.
    pub fn save_session(&self, session: &SessionPointer) -> Result<(), DocumentError> {
        overwritten(self.save_session_if(session, Expect::Anything)?).map(|_| ())
    }

    /// As [`Documents::save_session`], but only over what the caller expects; the hash is that of the document
    /// `sessions/ID`.
    ///
    /// # Errors
    /// See [`Documents::save_session`].
    pub fn save_session_if(&self, session: &SessionPointer, expect: Expect) -> Result<Saved, DocumentError> {
        self.save_json_if(SESSIONS, session.id.as_str(), session, expect)
    }

    /// Saves a session that is there, or was: the same as [`Documents::save_session`].
    ///
    /// # Errors
    /// See [`Documents::save_session`].
    pub fn update_session(&self, session: &SessionPointer) -> Result<(), DocumentError> {
        self.save_session(session)
    }

    /// Loads, changes and saves a session in one step, so that no message goes uncounted when two processes count at
    /// once. Its id and its user stay. None if there is no such session.
    ///
    /// # Errors
    /// See [`Documents::save_session`].
    pub fn change_session(
        &self,
        id: &str,
        change: impl FnOnce(&mut SessionPointer),
    ) -> Result<Option<SessionPointer>, DocumentError> {
        let path = self.path(SESSIONS, id)?;
        self.store.write(&self.author, |txn| {
            let Some(old) = steps::load(txn, &path, DocumentKind::Json)? else { return Ok(None) };
            let mut session: SessionPointer = steps::parse(&old.document, &old.text)?;
            let user = session.user_id.clone();
            change(&mut session);
            (session.id, session.user_id) = (path.name.clone(), user);
            let text = serde_json::to_string_pretty(&session).map_err(DocumentError::NotJson)?;
            let _ = steps::save(txn, &path, DocumentKind::Json, &text, Expect::Anything, &self.policy)?;
            Ok(Some(session))
        })
    }

    /// A session; none if it is not there.
    ///
    /// # Errors
    /// [`DocumentError::Name`], [`DocumentError::Unreadable`], or if the database fails.
    pub fn load_session(&self, id: &str) -> Result<Option<SessionPointer>, DocumentError> {
        self.load_json(SESSIONS, id)
    }

    /// All sessions, the one that went on last first.
    ///
    /// # Errors
    /// [`DocumentError::Unreadable`] if one of them cannot be read: none is left out in silence.
    pub fn list_sessions(&self) -> Result<Vec<SessionSummary>, DocumentError> {
        let read = self.store.read()?;
        let mut sessions = Vec::new();
        for document in read.documents_in(&self.category(SESSIONS)?)? {
            if document.kind == DocumentKind::Json {
                let session: SessionPointer = steps::parse(&document, &read.document_text(&document)?)?;
                sessions.push(session.summary());
            }
        }
        drop(read);
        // stable: those of one time stay sorted by id
        sessions.sort_by_key(|session| Reverse(session.updated_at));
        Ok(sessions)
    }

    /// Deletes a session; says whether there was one.
    ///
    /// # Errors
    /// [`DocumentError::Name`], or if the database fails.
    pub fn delete_session(&self, id: &str) -> Result<bool, DocumentError> {
        Ok(matches!(self.delete(SESSIONS, id, Some(DocumentKind::Json), None)?, Deleted::Done(_)))
    }

    /// The session of an id, if it is the user's; a new one if it is not there, or if no id is given. `random` fills what
    /// it is given with random bytes.
    ///
    /// # Errors
    /// [`DocumentError::OtherOwner`] if the session is another user's; or see [`Documents::save_session`].
    pub fn get_or_create_session<E: std::fmt::Display>(
        &self,
        user_id: &str,
        id: Option<&str>,
        random: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<SessionPointer, DocumentError> {
        let path = match id {
            Some(id) => self.path(SESSIONS, id)?,
            None => DocumentPath::new(SESSIONS, &new_id(random)?)?,
        };
        self.store.write(&self.author, |txn| {
            if let Some(found) = steps::load(txn, &path, DocumentKind::Json)? {
                let session: SessionPointer = steps::parse(&found.document, &found.text)?;
                return if session.user_id == user_id {
                    Ok(session)
                } else {
                    Err(DocumentError::OtherOwner(session.id))
                };
            }
            let session = SessionPointer::new(path.name.clone(), user_id, self.author.now);
            let text = serde_json::to_string_pretty(&session).map_err(DocumentError::NotJson)?;
            let _ = steps::save(txn, &path, DocumentKind::Json, &text, Expect::Nothing, &self.policy)?;
            Ok(session)
        })
    }
}

/// A UUID of version 4, as the original's ids.
fn new_id<E: std::fmt::Display>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<String, DocumentError> {
    let mut bytes = [0_u8; 16];
    random(&mut bytes).map_err(|error| DocumentError::Random(error.to_string()))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
