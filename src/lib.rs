//! Durable, transactional project state for coding agents and the people beside them.
//!
//! A project's issues live in two places: in an embedded database, `.oxi/state.redb`, that programs query and change in
//! transactions, and in Markdown files, `.oxi/issues/NNNN-slug.md`, that people edit, diff and merge with git. This
//! crate is the database, the reading and writing of the files, and the mirror that keeps the two in step, both ways.
//! The command line `oxi-state` is a thin layer over it.
//!
//! Unix only: files are opened relative to open directories, and processes wait for each other on BSD locks. Nothing is
//! asynchronous, and no process holds the database open while it is idle.
//!
//! # Example
//!
//! Begin a project in a folder, create an issue, list the open ones, write the files, and take in an edit by hand.
//!
//! ```
//! use std::time::Duration;
//!
//! use oxi_state::db::query::Query;
//! use oxi_state::db::{Author, Store};
//! use oxi_state::project::Project;
//! use oxi_state::schema::issue::{Issue, IssueHead, Priority};
//! use oxi_state::sync::{Mirror, Options};
//!
//! let folder = tempfile::tempdir()?;
//! let project = Project::create(folder.path())?;
//! let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
//!
//! // Who changes things, and when: the modules below `cli` and `issues` are told.
//! let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse()? };
//! let mirror =
//!     Mirror { project: &project, store: &store, author, options: Options::default(), progress: &|_, _, _| {} };
//! mirror.ensure_database()?;
//!
//! // One write transaction; when `write` returns, it is on disk.
//! let created = store.write(&mirror.author, |txn| {
//!     txn.create(|id, now| {
//!         let mut head = IssueHead::new(id, "Fix login".into(), now);
//!         head.priority = Priority::High;
//!         Issue { head, body: "Steps to follow.\n".into() }
//!     })
//! })?;
//!
//! // One read transaction; it holds the process gate, so drop it soon.
//! let open = store.read()?.list(&Query::default(), |_| Ok(true))?;
//! assert_eq!(open.len(), 1);
//! assert_eq!(open[0].head.title, "Fix login");
//!
//! // Write the file, edit it as a person would, and take the edit in.
//! let report = mirror.sync()?;
//! assert_eq!(report.created, [created.issue.head.id]);
//! let path = folder.path().join(project.issue_path("0001-fix-login.md"));
//! let text = std::fs::read_to_string(&path)?;
//! std::fs::write(&path, text.replace("priority: high", "priority: critical"))?;
//! mirror.sync()?;
//!
//! let now = store.read()?.issue(created.issue.head.id)?.expect("nobody deleted it");
//! assert_eq!(now.issue.head.priority, Priority::Critical);
//! assert_ne!(now.hash, created.hash);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! Dependencies point downwards only: a module uses those below it, never those above.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line: the only place that prints; reads the environment, the arguments and the clock |
//! | [`issues`] | the original issue store's public interface, for programs that were written against it; reads the clock, too |
//! | [`sync`] | the two-way mirror: snapshot, plan, merge, numbers, apply; git's merge driver |
//! | [`hooks`] | registering hooks and driver in a clone |
//! | [`usage`] | what was used of which model, counted once; counters that programs keep |
//! | [`agents`] | who is at work: the original's registry of agent instances |
//! | [`documents`] | Markdown and JSON by category and name: the original's state store, its sessions as pointers, typed values |
//! | [`import`], [`export`] | the two ends of the mirror: what lies in the folder, or in other programs' files; what is to be written |
//! | [`keyed`] | pointers, facts, runtime summaries, health, registrations: small keyed records |
//! | [`validations`], [`handoffs`] | what was checked and how it ended; notes to whoever goes on |
//! | [`inbox`] | rows that other programs left in a file, each taken once |
//! | [`sessions`] | how sessions begin, end, and are found dead |
//! | [`claims`] | who may change an issue |
//! | [`settings`] | settings files |
//! | [`db`] | the store: process gate, tables, transactions, indexes, audit trail, undo |
//! | [`worktrees`] | the leases and claims that linked work trees share |
//! | [`project`], [`liveness`], [`git`] | where a project keeps its state; who is alive; what git knows of the files |
//! | [`fs`] | files beneath a directory, without following links; atomic replacement |
//! | [`schema`] | records and their two encodings, ids, time, privacy; no file, no clock, no terminal |
//!
//! The reasons behind it are in `docs/design.md`.

pub mod agents;
pub mod claims;
pub mod cli;
mod cores;
pub mod db;
pub mod documents;
pub mod export;
pub mod fs;
pub mod git;
pub mod handoffs;
pub mod hooks;
pub mod import;
pub mod inbox;
pub mod issues;
pub mod keyed;
pub mod liveness;
pub mod project;
pub mod schema;
pub mod sessions;
pub mod settings;
pub mod sync;
pub mod usage;
pub mod validations;
pub mod worktrees;

#[cfg(test)]
#[path = "../tests/support/damage.rs"]
mod damage;
#[cfg(test)]
#[path = "../tests/support/noise.rs"]
mod noise;
