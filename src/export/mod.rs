//! From records to files: what a record's file is to say, and whether it may be written.

pub mod prepare;
