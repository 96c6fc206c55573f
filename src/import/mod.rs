//! From files to values: what lies in the issues folder, read strictly and in parallel.

pub mod scan;
