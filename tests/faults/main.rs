//! Faults from outside: killed processes, failing calls, full and read-only disks, and a storm of writers.
//!
//! Each test copies a project afresh, lets one thing go wrong in the real program, and then looks whether what was
//! reported as done is there, whether anything is half there, and whether everything goes on by itself. In CI a sample is
//! tried; `OXI_STATE_LONG=1` tries every call. Calls are made to fail by strace; where it is missing, those tests say so
//! and are skipped (the tests in `src/db/crash.rs` need nothing).

#![allow(clippy::disallowed_methods, reason = "tests stand outside of the program: they play the user and other tools")]

mod calls;
mod commands;
mod errors;
mod full;
mod half_exported;
mod kills;
#[path = "../support/noise.rs"]
mod noise;
mod order;
mod sandbox;
mod storm;
