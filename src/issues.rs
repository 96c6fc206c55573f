//! The original issue store's public interface, over this crate's store: for programs that were written against oxi.
//!
//! The names and what they do are the original's; every function is synchronous. What differs, differs on purpose:
//!
//! - A missing issue is [`IssueError::NotFound`]. One bad file no longer makes [`FileIssueStore::list`] fail: its issue
//!   stays as it last was, and [`FileIssueStore::sync`] names the file.
//! - Numbers are given once, writes are durable, and a guarded change is guarded between processes, too.
//! - Closed issues cannot be started; closing needs no start, ends the claim and stamps the time once; a dead owner
//!   blocks nobody; an empty session owns nothing; session ids that could not name a file are refused.
//! - [`parse_issue`] refuses what it does not understand instead of making up an issue number 0.
//! - Keys that the original does not know survive every change.
//! - A project is never begun in a subdirectory of a git work tree, nor in the home directory unless it is named.
//!
//! The database is the truth between two processes, the files are what people see: every function first takes in what
//! changed in the files (an unchanged file is not read again), and every change writes its file before it returns. A
//! change whose file could not be written is kept all the same; the error says so.
//!
//! A caller without a session is a person, who may close, change or release whatever no live session has.
//!
//! A hash is 16 hex digits. Guarded changes take the hash of the file's text ([`content_hash`]), of what
//! [`serialize_issue`] gives, or the one from [`FileIssueStore::read_with_hash`].
//!
//! ```
//! use oxi_state::issues::{FileIssueStore, IssueError, IssueFilter, IssuePatch, Priority, Status, content_hash};
//!
//! let folder = tempfile::tempdir()?;
//! let store = FileIssueStore::open(folder.path())?;
//! let issue = store.create("Fix login bug", "Steps:\n", Priority::High, vec!["auth".into()], None)?;
//! let path = issue.path.expect("it has a file");
//! assert!(path.ends_with(".oxi/issues/0001-fix-login-bug.md"));
//!
//! store.start(issue.meta.id, None, "proc-1")?;
//! let seen = content_hash(&std::fs::read_to_string(&path)?);
//! let patch = IssuePatch { body: Some("Found it.\n".into()), ..IssuePatch::default() };
//! store.apply_patch(issue.meta.id, Some(&seen), &patch, Some("proc-1"))?;
//! let stale = store.apply_patch(issue.meta.id, Some(&seen), &patch, Some("proc-1"));
//! assert!(matches!(stale, Err(IssueError::Conflict { id: 1 })));
//!
//! let closed = store.close(issue.meta.id, None, Some("proc-1"))?;
//! assert_eq!(closed.meta.status, Status::Closed);
//! assert!(store.list(&IssueFilter { status: Some(Status::Open), ..IssueFilter::default() })?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod steps;
mod store;
mod types;

use std::path::{Path, PathBuf};

use crate::project::{FOLDERS, ISSUES};
use crate::schema::frontmatter;
use crate::schema::id::{ContentHash, FileName, IssueId, Slug};

pub use crate::schema::issue::{Assignment, GithubRef, Priority, Status};
pub use error::IssueError;
pub use store::FileIssueStore;
pub use types::{Issue, IssueFilter, IssueMeta, IssuePatch, IssueSummary};

/// The hash of a file's text, as 16 hex digits.
#[must_use]
pub fn content_hash(text: &str) -> String {
    ContentHash::of(text.as_bytes()).to_string()
}

/// The name of the file of a new issue: `0012-fix-login.md`.
#[must_use]
pub fn issue_filename(id: u32, title: &str) -> String {
    FileName { id: IssueId(id), slug: Slug::from_title(title) }.to_string()
}

/// The issues folder of a project at `root`, whether it is there or not. Looks at no directory above it.
#[must_use]
pub fn issues_dir(root: &Path) -> PathBuf {
    let folder = FOLDERS.into_iter().find(|folder| root.join(folder).is_dir()).unwrap_or(FOLDERS[0]);
    root.join(folder).join(ISSUES)
}

/// Reads the text of an issue file.
///
/// # Errors
/// [`IssueError::Other`] if it is not one; the message names line and reason.
pub fn parse_issue(text: &str) -> Result<Issue, IssueError> {
    let record = frontmatter::parse(text.as_bytes()).map_err(|bad| IssueError::Other(Box::new(bad)))?;
    Ok(types::from_record(record, None))
}

/// The text of an issue file with the original's keys, byte for byte as the original writes it.
///
/// # Errors
/// [`IssueError::Other`] if the file could not be read again, for instance because the body holds git conflict markers.
pub fn serialize_issue(issue: &Issue) -> Result<String, IssueError> {
    frontmatter::render_checked(&types::to_record(issue)).map_err(|error| IssueError::Other(Box::new(error)))
}

#[cfg(test)]
mod tests;
