//! What the stores of `state_layer.py` have in common: the record that each keeps, and the command line that is
//! measured.
//!
//! `layer_STORE PLACE fill COUNT | put KEY VALUE | get KEY | list STATUS LIMIT | swap KEY EXPECTED VALUE | keys |
//! prune`. Each run is one whole process, as an agent's call is: it opens, does one thing durably, closes. `get` without
//! a record exits with 3, `swap` over another value with 4. A VALUE of `size:N` is N letters.

use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// About two hundred bytes of state, as a pointer, a health row or the last validation are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub key: String,
    pub status: String,
    /// Nanoseconds since 1970 in twenty digits, so that text order is time order.
    pub updated: String,
    pub value: String,
}

impl Record {
    fn numbered(number: u64) -> Self {
        let status = if number.is_multiple_of(3) { "done" } else { "open" };
        // scattered, so that the order of time is not the order of keys
        let updated = format!("{:020}", 1_700_000_000_000_000_000 + number * 7919 % 1_000_003);
        let value =
            format!("cargo test passed on branch main at revision {number:08x}, 412 tests, none skipped, in 38 s");
        Self { key: format!("task/{number:06}"), status: status.into(), updated, value }
    }

    fn now(key: &str, value: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos();
        let value = match value.strip_prefix("size:").and_then(|size| size.parse().ok()) {
            Some(size) => "x".repeat(size),
            None => value.into(),
        };
        Self { key: key.into(), status: "open".into(), updated: format!("{now:020}"), value }
    }
}

pub trait Store {
    fn fill(&mut self, records: &mut dyn Iterator<Item = Record>) -> Result<()>;
    fn put(&mut self, record: &Record) -> Result<()>;
    fn get(&mut self, key: &str) -> Result<Option<Record>>;
    /// The last changed with that status, newest first.
    fn list(&mut self, status: &str, limit: usize) -> Result<Vec<Record>>;
    /// Puts the record if the present value is the expected one.
    fn swap(&mut self, expected: &str, record: &Record) -> Result<bool>;
    /// Every key as often as it can be read.
    fn keys(&mut self) -> Result<Vec<String>>;
    /// Rewrites the store without what is too old; here nothing is.
    fn prune(&mut self) -> Result<()> {
        Err("this store has no such step".into())
    }
}

/// Runs the command line on the store that `open` opens; its second argument says whether it is to be written.
pub fn run<S: Store>(open: impl FnOnce(&str, bool) -> Result<S>) -> ExitCode {
    match command(open) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn command<S: Store>(open: impl FnOnce(&str, bool) -> Result<S>) -> Result<u8> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (place, rest) = arguments.split_first().ok_or("PLACE COMMAND …")?;
    let writing = !matches!(rest.first(), Some(&("get" | "list" | "keys")));
    let mut store = open(place, writing)?;
    match rest {
        ["fill", count] => store.fill(&mut (0..count.parse()?).map(Record::numbered))?,
        ["put", key, value] => store.put(&Record::now(key, value))?,
        ["get", key] => match store.get(key)? {
            Some(record) => println!("{}", record.value),
            None => return Ok(3),
        },
        ["list", status, limit] => {
            let records = store.list(status, limit.parse()?)?;
            println!("{}", serde_json::to_string(&records)?);
        }
        ["swap", key, expected, value] => {
            if !store.swap(expected, &Record::now(key, value))? {
                return Ok(4);
            }
        }
        ["keys"] => store.keys()?.iter().for_each(|key| println!("{key}")),
        ["prune"] => store.prune()?,
        _ => return Err("unknown command".into()),
    }
    Ok(0)
}
