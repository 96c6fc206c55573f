//! Records and their two encodings: frontmatter text for people and git, checksummed bytes for the database.
//!
//! Nothing here touches a file, the clock, the environment or the terminal: text and bytes in, values out.

pub mod agent;
pub mod codec;
pub mod day;
pub mod diff;
pub mod document;
pub mod fact;
pub mod frontmatter;
pub mod handoff;
pub mod health;
pub mod id;
pub mod inbox;
pub mod issue;
pub mod keyed;
pub mod pointer;
pub mod privacy;
pub mod process;
pub mod record_id;
pub mod registry;
pub mod retention;
pub mod runtime;
pub mod session;
pub mod settings;
pub mod time;
pub mod usage;
pub mod validation;
pub mod value;
