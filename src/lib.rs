//! Durable, transactional project state for coding agents and the people beside them.
pub mod claims;
pub mod cli;
pub mod db;
pub mod export;
pub mod fs;
pub mod git;
pub mod import;
pub mod issues;
pub mod liveness;
pub mod project;
pub mod schema;
pub mod sync;
