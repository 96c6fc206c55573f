//! The program from outside: given files, run a command, expect its output, its exit code and the files.
//!
//! Every test has a temporary git repository and home directory of its own; nothing reaches the network or the
//! developer's configuration.

#![allow(clippy::disallowed_methods, reason = "tests stand outside of the program: they play the user and other tools")]

mod agents;
mod agents_import;
mod backup;
mod bad_files;
mod batches;
mod claims;
mod collisions;
mod concurrency;
mod corpus;
#[path = "../support/damage.rs"]
mod damage;
mod deletions;
mod doctor;
mod documents;
mod errors;
mod facts;
mod git_corners;
mod handoffs;
mod history;
mod hooks;
mod hooks_at_work;
mod hostile;
mod imported_secrets;
mod inbox;
mod issues;
mod keyed;
mod keyed_secrets;
mod limits;
mod liveness;
mod liveness_races;
mod merge_conflicts;
mod merge_driver;
mod messages;
mod migrations;
mod mirror;
mod node;
#[path = "../support/noise.rs"]
mod noise;
mod processes;
mod project;
mod regressions;
mod resume;
mod retention;
mod rewrites;
mod secrets;
mod session_run;
mod sessions;
mod settings;
mod snapshot;
mod tracked;
mod undo;
mod undo_conflicts;
mod unmerged;
mod usage;
mod validations;
mod worktrees;
