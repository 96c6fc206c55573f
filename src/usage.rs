//! Usage and telemetry: what was used of which model on which day, and counters that programs keep.
//!
//! [`import`] adds what a proxy's file says to the sums of its days and models; [`summary`] gives them back. Every
//! request is counted once, however often and in however many pieces its file is read, and also when the file was
//! written anew, without its oldest rows, or with the proxy's own changes to the others. Three things see to that:
//!
//! - A mark in the file, and a digest of all before it. If that is still so, only what follows is read.
//! - Where it is not, the file was written anew, and is read from the beginning. A digest of eight bytes is kept for
//!   each row that was read from the file; of rows that are alike, as many are new as there are more of them than digests.
//!   Rows that are gone then may come back, as they do from a backup: that they are known is remembered, too.
//! - Two files that hold the same rows, such as a copy, count once: of rows that are alike there are as many as the file
//!   with the most of them holds.
//!
//! What cannot be told: a row that comes after one that is exactly like it, in its millisecond and all else, was dropped
//! from the file. It is taken for the other one come back.
//!
//! Digests are dropped with their days, by [`forget_before`]; rows of those days are passed over from then on.
//!
//! ```
//! use oxi_state::db::{Author, Store};
//! use oxi_state::import::usage::Reader;
//! use oxi_state::schema::day::Day;
//! use oxi_state::schema::privacy::Policy;
//! use oxi_state::usage;
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), std::time::Duration::from_secs(10))?;
//! store.create_if_missing()?;
//! let author = Author { actor: "ada".into(), session: None, now: "2026-06-25T12:00:00Z".parse()? };
//!
//! let file = r#"{"ts":1782379800123,"day":"2026-06-25","model":"m","ok":true,"total_tokens":1500}"#;
//! let read = || Reader::new(std::io::Cursor::new(file), file.len() as u64);
//! let policy = Policy::default();
//! assert_eq!(usage::import(&store, &author, "usage.jsonl", &mut read(), &policy, false)?.counted, 1);
//! assert_eq!(usage::import(&store, &author, "usage.jsonl", &mut read(), &policy, false)?.counted, 0);
//!
//! let summary = usage::summary(&*store.read()?, author.now, 30)?;
//! assert_eq!(summary.today, "2026-06-25".parse::<Day>()?);
//! assert_eq!(summary.totals.total_tokens, 1500);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod import;
mod known;
mod plan;
mod summary;
mod telemetry;

use crate::db::records::Record as _;
use crate::db::tables::{Readable, Tables};
use crate::db::{Op, StoreError, WriteTxn};
use crate::schema::day::Day;
use crate::schema::usage::{Telemetry, UsageDay};

pub use import::{Imported, UsageError, import};
pub use summary::{ByDay, Recent, Summary, summary};
pub use telemetry::{add, counters, record};

/// What [`forget_before`] dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Sums of a day and model.
    pub sums: u64,
    /// Counters of a day.
    pub counters: u64,
    /// Digests of rows.
    pub digests: u64,
}

/// The sums and counters of all days before one, which [`forget_before`] would drop.
///
/// # Errors
/// If the database fails.
pub fn before<T: Readable>(tables: &Tables<T>, day: Day) -> Result<(Vec<UsageDay>, Vec<Telemetry>), StoreError> {
    let (mut sums, mut counters) = (tables.records::<UsageDay>()?, tables.records::<Telemetry>()?);
    sums.retain(|row| row.day < day);
    counters.retain(|counter| counter.day < day);
    Ok((sums, counters))
}

/// Drops the sums and counters of all days before one, and the digests of their rows. The rows themselves, where the source still has
/// them, are passed over by later imports.
///
/// # Errors
/// If the database fails.
pub fn forget_before(txn: &mut WriteTxn<'_>, day: Day) -> Result<Forgotten, StoreError> {
    let mut forgotten = Forgotten::default();
    let (sums, counters) = before(txn, day)?;
    for old in sums {
        txn.remove_record::<UsageDay>(&old.key(), Op::Prune)?;
        forgotten.sums += 1;
    }
    for old in counters {
        txn.remove_record::<Telemetry>(&old.key(), Op::Prune)?;
        forgotten.counters += 1;
    }
    forgotten.digests = txn.drop_counted(day, forgotten.sums > 0)?;
    Ok(forgotten)
}

#[cfg(test)]
mod tests;
