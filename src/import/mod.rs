//! From files to values: what lies in the issues folder, read strictly and in parallel; pointers from session files.

pub mod scan;
pub mod sessions;
