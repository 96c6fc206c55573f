//! Durable, transactional project state for coding agents and the people beside them.
pub mod db;
pub mod fs;
pub mod schema;
pub mod sync;
