//! From records to files: what a record's file is to say, and whether it may be written; and
//! what readers without the database are given.

pub mod border;
pub mod prepare;
pub mod snapshot;
