//! sync

pub mod diff3;
pub mod merge;
pub mod numbers;
