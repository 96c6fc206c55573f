//! What an import would change, worked out from the file and from what was read before; nothing is written here.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Seek};

use crate::import::usage::{Parser, Reader, Reading, Reason, Row};
use crate::schema::day::Day;
use crate::schema::usage::{ModelName, Sums};

use super::known::{Readings, Standing};

/// How many days and models one import takes in.
const MAX_GROUPS: usize = 20_000;

/// What an import would change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// What is to be added to the sums of a day and a model.
    pub(super) sums: BTreeMap<(Day, ModelName), Sums>,
    /// The digests of the rows that are new in the file, by day.
    pub(super) digests: BTreeMap<Day, Vec<u64>>,
    /// The digests of the rows that the file does not hold any more; none if that is as it was.
    pub(super) absent: Option<Vec<u64>>,
    /// How many rows were counted.
    pub(super) counted: u64,
    /// How many were known already, from this file or another.
    pub(super) known: u64,
    /// How many are of days that were dropped.
    pub(super) expired: u64,
    pub(super) reading: Reading,
}

/// Reads the rest of a file, of which so many rows were not in it any more `before`.
pub(super) fn plan<R: BufRead + Seek>(
    reader: &mut Reader<R>,
    parser: &mut Parser,
    mut readings: Readings,
    horizon: Option<Day>,
    before: u64,
) -> io::Result<Plan> {
    let mut plan = Plan::default();
    let reading = reader.read(parser, |row| plan.take(row, &mut readings, horizon))?;
    plan.reading = reading;
    let left = readings.expected.left();
    plan.absent = (left.len() as u64 != before).then_some(left);
    Ok(plan)
}

impl Plan {
    fn take(&mut self, row: Row, readings: &mut Readings, horizon: Option<Day>) -> Result<(), Reason> {
        if horizon.is_some_and(|horizon| row.day < horizon) {
            self.expired += 1;
            return Ok(());
        }
        let group = (row.day, row.model);
        if self.sums.len() >= MAX_GROUPS && !self.sums.contains_key(&group) {
            return Err(Reason::TooManyDays);
        }
        let standing = readings.meet(row.key);
        if standing != Standing::Read {
            self.digests.entry(row.day).or_default().push(row.key);
        }
        if standing == Standing::New {
            self.sums.entry(group).or_default().add(&row.sums);
            self.counted += 1;
        } else {
            self.known += 1;
        }
        Ok(())
    }
}
