//! From files to values: what lies in the issues folder, read strictly and in parallel; and what other programs keep,
//! of which the files are only ever read.

pub mod agents;
pub mod inbox;
pub mod scan;
pub mod sessions;
pub mod settings;
pub mod usage;
