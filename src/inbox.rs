//! The inbox: rows that other programs left in `state/inbox.jsonl`, each taken once.
//!
//! Programs only ever append to the file, whole lines at a time; this one only ever reads it. What was taken is remembered
//! in the transaction that takes it, so that a kill at any moment takes no row twice and loses none:
//!
//! - A mark in the file, with a digest of all before it. If that is still so, only what follows is new.
//! - Where it is not, somebody wrote the file anew, and it is read from the beginning. A digest is kept of each line
//!   that was taken without a key; of lines that are alike, as many are new as there are more of them than digests.
//! - A row may have a key. A second row of its kind and key is passed over, wherever it stands; if it says something
//!   else, that is told. Keys are remembered for [`KEY_DAYS`].
//!
//! A line that has no end yet is left alone. A line that cannot be taken stays where it is, and is told once. The file is
//! never written to. Once [`RETIRE_BYTES`] of it were taken it is renamed, so that writers begin another; writers that
//! have it open go on with the renamed one, which is read, too. That one goes when nobody has written to it for
//! [`QUIET_HOURS`], or is kept under another name if a line of it is bad.
//!
//! ```
//! use std::io::Write as _;
//!
//! use oxi_state::db::{Author, Store};
//! use oxi_state::inbox::Inbox;
//! use oxi_state::schema::pointer::Pointer;
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), std::time::Duration::from_secs(10))?;
//! store.create_if_missing()?;
//! std::fs::create_dir(folder.path().join("state"))?;
//! let mut file = std::fs::File::create(folder.path().join("state/inbox.jsonl"))?;
//! writeln!(file, r#"{{"kind":"pointer","data":{{"kind":"branch","target":"main"}}}}"#)?;
//!
//! let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse()? };
//! let inbox = Inbox::new(&store, author, 7);
//! assert_eq!(inbox.take()?.taken, 1);
//! assert_eq!(inbox.take()?.taken, 0);
//! let branch = store.read()?.record::<Pointer>("branch/active")?.expect("it was just taken");
//! assert_eq!(branch.target.as_deref(), Some("main"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod files;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use crate::db::gate::{Gate, GateError};
use crate::db::{Author, Store, StoreError};
use crate::fs::PathError;
use crate::handoffs::Exports;
use crate::import::inbox::Malformed;
use crate::schema::id::IssueId;
use crate::schema::inbox::RowKind;
use crate::schema::keyed::Problem;
use crate::schema::privacy::{self, Policy};
use crate::schema::record_id::RecordId;

/// The file that programs append to.
pub const INBOX: &str = "inbox.jsonl";

/// The file before it, which writers may still have open.
pub const RETIRED: &str = "inbox.old.jsonl";

/// How much of a file is taken before it is put aside, in bytes.
pub const RETIRE_BYTES: u64 = 4 << 20;

/// How long nobody must have written to a file that was put aside before it goes.
pub const QUIET_HOURS: i64 = 24;

/// How long keys are remembered.
pub const KEY_DAYS: i64 = 90;

/// How many bad lines are named.
pub const MAX_BAD_NAMED: usize = 100;

/// Why the inbox was not taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The file could not be opened or put aside.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The file could not be read.
    #[error("cannot read state/{file}: {source}")]
    Read {
        /// Its name in the folder `state`.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Somebody else takes it in, or has the database.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// What is remembered was changed meanwhile.
    #[error("another process changed meanwhile what is known of the inbox")]
    Contended,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a line was not taken. It repeats nothing of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It is no row.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its data cannot be stored.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// A name in it looks like a secret.
    #[error("{field}: {refused}")]
    Secret {
        /// The field.
        field: &'static str,
        /// Where and why.
        refused: privacy::Refused,
    },
    /// There is no such issue.
    #[error("issue #{0} not found")]
    NoIssue(IssueId),
    /// The issue's file would become too large.
    #[error("the issue's file has no room for it")]
    NoRoom,
    /// Another row had its key.
    #[error("its key was used before for other data; a key names one row")]
    KeyReused,
    /// Its writer never came to its end.
    #[error("the line was never finished")]
    Unfinished,
}

impl Reason {
    /// The field that is wrong, if it is one.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(malformed) => malformed.field(),
            Self::Problem(
                Problem::Invalid { field, .. }
                | Problem::Missing(field)
                | Problem::NotFor { field, .. }
                | Problem::FixedKey(field)
                | Problem::Secret { field, .. },
            )
            | Self::Secret { field, .. } => Some(field),
            Self::NoIssue(_) | Self::NoRoom => Some("issue"),
            Self::KeyReused => Some("key"),
            _ => None,
        }
    }

    /// The privacy rule that it hit, if it hit one.
    #[must_use]
    pub const fn rule(&self) -> Option<privacy::Rule> {
        match self {
            Self::Problem(Problem::Secret { refused, .. }) | Self::Secret { refused, .. } => Some(refused.rule),
            _ => None,
        }
    }
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The file, in the folder `state`.
    pub file: &'static str,
    /// Its number there, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// What was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many rows.
    pub taken: u64,
    /// How many of each kind.
    pub by_kind: BTreeMap<RowKind, u64>,
    /// How many had been taken before.
    pub skipped: u64,
    /// How many could not be.
    pub bad_lines: u64,
    /// The first of those.
    pub bad: Vec<BadLine>,
    /// Whether the last line is not finished, and was left for the next time.
    pub unfinished: bool,
    /// Whether the file was put aside.
    pub retired: bool,
    /// What the file with bad lines is called now that it was put aside for good.
    pub kept_as: Option<String>,
}

/// Takes in what other programs left.
#[derive(Clone, Debug)]
pub struct Inbox<'s> {
    store: &'s Store,
    author: Author,
    first: RecordId,
    policy: Policy,
    exports: Exports,
    dry_run: bool,
    retire_bytes: u64,
}

impl<'s> Inbox<'s> {
    /// The inbox of a store. The author is who runs this, and not who wrote the rows: none of them is said to be of the
    /// author's session. `random` comes from the system's generator.
    #[must_use]
    pub fn new(store: &'s Store, author: Author, random: u128) -> Self {
        Self {
            store,
            first: RecordId::new(author.now, random),
            author: Author { session: None, ..author },
            policy: Policy::default(),
            exports: Exports::default(),
            dry_run: false,
            retire_bytes: RETIRE_BYTES,
        }
    }

    /// What to do with what looks like a secret.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// What may leave the database by the files of issues.
    #[must_use]
    pub fn with_exports(self, exports: Exports) -> Self {
        Self { exports, ..self }
    }

    /// Only looks what would be taken.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// Takes in all whole lines that were not taken before. Without a file there is nothing to take.
    ///
    /// # Errors
    /// If a file cannot be read, is a link, or the database fails. What was taken by then stays taken.
    pub fn take(&self) -> Result<Taken, InboxError> {
        let _turn = Gate::inbox(self.store.dir(), self.store.timeout())?;
        files::take(self)
    }
}
