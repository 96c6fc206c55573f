//! Documents: the original's state store of Markdown and JSON, by category and name, over this crate's store.
//!
//! [`Documents`] has the original's operations under the original's names, each a transaction of its own: documents
//! (`save_markdown`, `load_markdown`, `save_json`, `load_json`, `list_category`, `delete_file`), sessions (`save_session`,
//! `load_session`, `list_sessions`, `delete_session`, `get_or_create_session`, `update_session`), and, beside each that
//! overwrites, one that does so only over what the caller saw. [`Collection`] keeps typed values under ids of their own.
//! The functions of [`steps`] are their parts, for programs that do more in one transaction.
//!
//! What differs from the original, differs on purpose:
//!
//! - Every entry point checks every name, by one rule: [`crate::schema::document`].
//! - Every text passes the scrubber, under the caller's [`Policy`], and has at most 1 MiB.
//! - Sessions are pointers. Nothing that was said in one is ever stored: messages and responses are counted, and their
//!   contents, times, seeds, phases and evaluations are dropped; so is metadata that is more than names. See
//!   [`SessionPointer`]. JSON of any other shape is refused under the category `sessions`, whoever stores it.
//! - A session belongs to its user. Whoever asks for the id of another's is refused, and so is who would overwrite it.
//! - A list names everything once, or fails: what cannot be read is an error that names it.
//!
//! ```
//! use oxi_state::db::{Author, Store};
//! use oxi_state::documents::{Documents, Expect, Saved};
//! use oxi_state::schema::document::DocumentKind;
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), std::time::Duration::from_secs(10))?;
//! store.create_if_missing()?;
//! let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse()? };
//! let documents = Documents::new(&store, author);
//!
//! documents.save_markdown("notes/2026", "plan", "# Plan\n")?;
//! documents.save_json("notes/2026", "plan", &vec![1, 2])?;
//! assert_eq!(documents.load_markdown("notes/2026", "plan")?.as_deref(), Some("# Plan\n"));
//! assert_eq!(documents.load_json::<Vec<u8>>("notes/2026", "plan")?, Some(vec![1, 2]));
//! assert_eq!(documents.list_category("notes/2026")?, ["plan"]);
//!
//! // load, change, save: only over what was loaded
//! let seen = documents.load("notes/2026", "plan", DocumentKind::Markdown)?.expect("it was just saved");
//! documents.save_markdown("notes/2026", "plan", "# Another plan\n")?;
//! let text = format!("{}more\n", seen.text);
//! let expect = Expect::Hash(seen.document.hash);
//! let saved = documents.save_markdown_if("notes/2026", "plan", &text, expect)?;
//! assert!(matches!(saved, Saved::Stale { current: Some(hash) } if hash != seen.document.hash));
//!
//! // of a session, counts are kept
//! let mut session = documents.get_or_create_session("ada", Some("s1"), getrandom::fill)?;
//! session.add_user_message("2026-11-20T12:00:01Z".parse()?);
//! documents.update_session(&session)?;
//! assert_eq!(documents.list_sessions()?[0].message_count, 1);
//! assert!(documents.get_or_create_session("eve", Some("s1"), getrandom::fill).is_err());
//!
//! // values under ids that sort as they were appended
//! let seen = documents.collection::<String>("lab/colours")?;
//! let first = seen.append(&"teal".to_owned(), getrandom::fill)?;
//! let second = seen.append(&"ochre".to_owned(), getrandom::fill)?;
//! assert_eq!(seen.list("")?, [first, second]);
//! assert_eq!(seen.load(first.to_string().as_str())?.as_deref(), Some("teal"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod collection;
mod error;
pub mod json;
mod sessions;
pub mod steps;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::db::{Author, Store};
use crate::schema::document::{Category, Document, DocumentKind, DocumentPath};
use crate::schema::id::ContentHash;
use crate::schema::privacy::{self, Policy};

pub use crate::schema::document::{SessionPointer, SessionSummary};
pub use crate::schema::record_id::{InvalidRecordId, RecordId};
pub use collection::Collection;
pub use error::DocumentError;
pub use steps::{Deleted, Expect, InvalidExpect, Saved};

/// A document with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What there is to say of it.
    pub document: Document,
    /// Its text.
    pub text: String,
}

/// The documents of a project, at one time: each operation sees the clock as it was when this was made. Cheap to make.
#[derive(Clone, Debug)]
pub struct Documents<'s> {
    store: &'s Store,
    author: Author,
    policy: Policy,
}

impl<'s> Documents<'s> {
    /// The documents in a store, for a caller who speaks at a time. What looks like a secret is refused.
    #[must_use]
    pub fn new(store: &'s Store, author: Author) -> Self {
        Self { store, author, policy: Policy::default() }
    }

    /// The same, with another answer to what looks like a secret.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The path of a category and a name that may be stored. A name is refused where a text would be redacted.
    pub(crate) fn path(&self, category: &str, name: &str) -> Result<DocumentPath, DocumentError> {
        self.check_name(&format!("{category}/{name}"))?;
        Ok(DocumentPath::new(category, name)?)
    }

    fn category(&self, category: &str) -> Result<Category, DocumentError> {
        self.check_name(category)?;
        Ok(category.parse()?)
    }

    fn check_name(&self, name: &str) -> Result<(), DocumentError> {
        let policy = Policy { redact: false, ..self.policy.clone() };
        privacy::check(name, &policy).map(|_| ()).map_err(DocumentError::SecretName)
    }

    /// Saves a text as it is, over the one that was there.
    ///
    /// # Errors
    /// [`DocumentError::Name`], [`DocumentError::SecretName`], [`DocumentError::Secret`], [`DocumentError::TooLarge`], or
    /// if the database fails; so for all functions here that save.
    pub fn save_markdown(&self, category: &str, name: &str, content: &str) -> Result<Document, DocumentError> {
        overwritten(self.save_markdown_if(category, name, content, Expect::Anything)?)
    }

    /// As [`Documents::save_markdown`], but only over what the caller expects.
    ///
    /// # Errors
    /// See [`Documents::save_markdown`].
    pub fn save_markdown_if(
        &self,
        category: &str,
        name: &str,
        content: &str,
        expect: Expect,
    ) -> Result<Saved, DocumentError> {
        self.save(category, name, DocumentKind::Markdown, content, expect)
    }

    /// Saves a value as JSON with an indent of two spaces, over the one that was there.
    ///
    /// # Errors
    /// [`DocumentError::NotJson`] if it has no form in JSON; or see [`Documents::save_markdown`]; under `sessions`, see
    /// [`Documents::save_session`].
    pub fn save_json<T: Serialize + ?Sized>(
        &self,
        category: &str,
        name: &str,
        data: &T,
    ) -> Result<Document, DocumentError> {
        overwritten(self.save_json_if(category, name, data, Expect::Anything)?)
    }

    /// As [`Documents::save_json`], but only over what the caller expects.
    ///
    /// # Errors
    /// See [`Documents::save_json`].
    pub fn save_json_if<T: Serialize + ?Sized>(
        &self,
        category: &str,
        name: &str,
        data: &T,
        expect: Expect,
    ) -> Result<Saved, DocumentError> {
        let text = serde_json::to_string_pretty(data).map_err(DocumentError::NotJson)?;
        self.save(category, name, DocumentKind::Json, &text, expect)
    }

    /// Saves a text of either kind, if what is there is what the caller expects. JSON may be spelled in any way; its
    /// numbers and keys stay as they are.
    ///
    /// # Errors
    /// [`DocumentError::Malformed`] if it should be JSON and is not; or see [`Documents::save_json`].
    pub fn save(
        &self,
        category: &str,
        name: &str,
        kind: DocumentKind,
        text: &str,
        expect: Expect,
    ) -> Result<Saved, DocumentError> {
        let path = self.path(category, name)?;
        self.store.write(&self.author, |txn| steps::save(txn, &path, kind, text, expect, &self.policy))
    }

    /// The text of a Markdown document; none if there is none.
    ///
    /// # Errors
    /// [`DocumentError::Name`], [`DocumentError::SecretName`], or if the database fails; so for all functions here that
    /// load, list or delete.
    pub fn load_markdown(&self, category: &str, name: &str) -> Result<Option<String>, DocumentError> {
        Ok(self.load(category, name, DocumentKind::Markdown)?.map(|loaded| loaded.text))
    }

    /// The value of a JSON document; none if there is none.
    ///
    /// # Errors
    /// [`DocumentError::Unreadable`] if it is not of that type; or see [`Documents::load_markdown`].
    pub fn load_json<T: DeserializeOwned>(&self, category: &str, name: &str) -> Result<Option<T>, DocumentError> {
        let loaded = self.load(category, name, DocumentKind::Json)?;
        loaded.map(|loaded| steps::parse(&loaded.document, &loaded.text)).transpose()
    }

    /// A document with its text and its hash; none if there is none.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn load(&self, category: &str, name: &str, kind: DocumentKind) -> Result<Option<Loaded>, DocumentError> {
        let path = self.path(category, name)?;
        steps::load(&*self.store.read()?, &path, kind)
    }

    /// Loads, changes and saves a JSON document in one step, so that no change of another gets lost between. Nothing slow
    /// may happen in `change`: others wait.
    ///
    /// # Errors
    /// [`DocumentError::Unreadable`] if what is there is not of that type; or see [`Documents::save_json`].
    pub fn change_json<T: Serialize + DeserializeOwned>(
        &self,
        category: &str,
        name: &str,
        change: impl FnOnce(Option<T>) -> T,
    ) -> Result<T, DocumentError> {
        let path = self.path(category, name)?;
        self.store.write(&self.author, |txn| {
            let old = steps::load(txn, &path, DocumentKind::Json)?;
            let old = old.map(|old| steps::parse(&old.document, &old.text)).transpose()?;
            let new = change(old);
            let text = serde_json::to_string_pretty(&new).map_err(DocumentError::NotJson)?;
            let _ = steps::save(txn, &path, DocumentKind::Json, &text, Expect::Anything, &self.policy)?;
            Ok(new)
        })
    }

    /// The names of the documents directly in a category, sorted, each once whatever its kinds. A category that is not
    /// there is empty.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn list_category(&self, category: &str) -> Result<Vec<String>, DocumentError> {
        let mut names: Vec<_> = self.list(category)?.into_iter().map(|document| document.name.into()).collect();
        names.dedup();
        Ok(names)
    }

    /// The names of the Markdown documents directly in a category, sorted.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn list_markdown(&self, category: &str) -> Result<Vec<String>, DocumentError> {
        self.list_kind(category, DocumentKind::Markdown)
    }

    /// The names of the JSON documents directly in a category, sorted.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn list_json(&self, category: &str) -> Result<Vec<String>, DocumentError> {
        self.list_kind(category, DocumentKind::Json)
    }

    fn list_kind(&self, category: &str, kind: DocumentKind) -> Result<Vec<String>, DocumentError> {
        let documents = self.list(category)?.into_iter().filter(|document| document.kind == kind);
        Ok(documents.map(|document| document.name.into()).collect())
    }

    /// The documents directly in a category, by name and kind.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn list(&self, category: &str) -> Result<Vec<Document>, DocumentError> {
        let category = self.category(category)?;
        Ok(self.store.read()?.documents_in(&category)?)
    }

    /// The categories that have documents directly in them, sorted.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn list_categories(&self) -> Result<Vec<String>, DocumentError> {
        let documents = self.store.read()?.documents()?;
        let mut categories: Vec<_> = documents.into_iter().map(|document| document.category.into()).collect();
        categories.dedup();
        Ok(categories)
    }

    /// Deletes one document of a name: the JSON one if there is one, else the Markdown one. Says whether there was one.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn delete_file(&self, category: &str, name: &str) -> Result<bool, DocumentError> {
        Ok(matches!(self.delete(category, name, None, None)?, Deleted::Done(_)))
    }

    /// Deletes one document of a name: the one of a kind, or as [`Documents::delete_file`]; and only if its hash is
    /// `expect` where one is given.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn delete(
        &self,
        category: &str,
        name: &str,
        kind: Option<DocumentKind>,
        expect: Option<ContentHash>,
    ) -> Result<Deleted, DocumentError> {
        let path = self.path(category, name)?;
        Ok(self.store.write(&self.author, |txn| steps::delete(txn, &path, kind, expect))?)
    }

    /// The typed values under a namespace, which is a category.
    ///
    /// # Errors
    /// See [`Documents::load_markdown`].
    pub fn collection<T: Serialize + DeserializeOwned>(
        &self,
        namespace: &str,
    ) -> Result<Collection<'s, T>, DocumentError> {
        let category = self.category(namespace)?;
        Ok(Collection::new(self.clone(), category))
    }
}

/// What saving over anything answers.
fn overwritten(saved: Saved) -> Result<Document, DocumentError> {
    match saved {
        Saved::Created(document) | Saved::Changed(document) | Saved::Unchanged(document) => Ok(document),
        Saved::Stale { .. } => Err(DocumentError::Overtaken),
    }
}

#[cfg(test)]
mod tests;
