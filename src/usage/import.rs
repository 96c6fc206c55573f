//! Taking in a file: what was read before, the plan, one transaction.

use std::io::{self, BufRead, Seek};

use crate::db::tables::{ReadRows, Readable, Tables};
use crate::db::{Author, Op, Store, StoreError, WriteTxn};
use crate::import::usage::{BadLine, Parser, Reader};
use crate::schema::day::Day;
use crate::schema::privacy::Policy;
use crate::schema::usage::{Mark, Sums, UsageDay, UsageSource};

use super::known::{Known, Readings};
use super::plan::{Plan, plan};

/// How often an import begins anew because another one was faster.
const MAX_TRIES: usize = 10;

/// No list of rows is as long as this, so any that is found is written.
const NONE: u64 = u64::MAX;

/// Why a file was not taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
    /// Other imports kept changing what was counted.
    #[error("other imports of usage were faster each time")]
    Contended,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// How many requests were counted.
    pub counted: u64,
    /// How many that were read had been counted already.
    pub known: u64,
    /// How many are of days that were dropped here.
    pub expired: u64,
    /// How many lines could not be used.
    pub bad_lines: u64,
    /// The first of them.
    pub bad: Vec<BadLine>,
    /// Whether the file was written anew since it was last read.
    pub rewritten: bool,
    /// Whether its last line is not finished, and left for the next time.
    pub unfinished: bool,
    /// What was counted, summed up.
    pub sums: Sums,
}

/// What is stored that decides how a file is to be counted.
#[derive(Debug, PartialEq)]
struct Before {
    own: Option<UsageSource>,
    others: Vec<UsageSource>,
    horizon: Option<Day>,
}

impl Before {
    /// The first day that is counted, where `first_kept` is the first one that is kept.
    fn first_day(&self, first_kept: Option<Day>) -> Option<Day> {
        self.horizon.max(first_kept)
    }

    fn load<T: Readable>(tables: &Tables<T>, path: &str) -> Result<Self, StoreError> {
        let (own, others) = tables.records()?.into_iter().partition::<Vec<UsageSource>, _>(|it| it.path == path);
        Ok(Self { own: own.into_iter().next(), others, horizon: tables.usage_horizon()? })
    }
}

/// Counts the requests of a file that were not counted yet. `path` is what the file is known by, see
/// [`UsageSource::path`]. The file is read before anything is locked; if another import changes meanwhile what was
/// counted, it is read again. Days that are past are passed over, and what was counted of them goes, if the store was
/// told how many are kept.
///
/// # Errors
/// If the file cannot be read, the database fails, or other imports are faster each time.
pub fn import<R: BufRead + Seek>(
    store: &Store,
    author: &Author,
    path: &str,
    reader: &mut Reader<R>,
    policy: &Policy,
    dry_run: bool,
) -> Result<Imported, UsageError> {
    for _ in 0..MAX_TRIES {
        let read = store.read()?;
        let before = Before::load(&*read, path)?;
        let now = read.believed(author.now)?;
        drop(read);
        let first_kept = store.retention().map(|retention| retention.policy().first_usage_day(now));
        let (mark, absent) = before.own.as_ref().map_or((Mark::default(), 0), |own| (own.mark.clone(), own.absent));
        let continues = reader.resume(&mark)?;
        let (readings, absent) = match readings(store, path, &before, continues)? {
            Loaded::Readings(readings) => (readings, if continues { absent } else { NONE }),
            Loaded::ListIsGone(readings) => {
                reader.resume(&Mark::default())?;
                (readings, NONE)
            }
            Loaded::Changed => continue,
        };
        let plan = plan(reader, &mut Parser::new(policy), readings, before.first_day(first_kept), absent)?;
        let rewritten = before.own.is_some() && !continues;
        let changes = before.own.as_ref().is_none_or(|own| own.mark != plan.reading.mark) || plan.absent.is_some();
        if dry_run || !changes || store.write(author, |txn| apply(txn, path, &before, &plan))? {
            return Ok(Imported::of(plan, rewritten));
        }
    }
    Err(UsageError::Contended)
}

/// What was read before.
enum Loaded {
    Readings(Readings),
    /// It is not told any more what the file was without, so it must be read from the beginning.
    ListIsGone(Readings),
    /// Another import was faster.
    Changed,
}

fn readings(store: &Store, path: &str, before: &Before, continues: bool) -> Result<Loaded, StoreError> {
    let Some(own) = before.own.as_ref().filter(|own| !continues || own.absent > 0 || !before.others.is_empty()) else {
        if before.others.is_empty() {
            return Ok(Loaded::Readings(Readings::default()));
        }
        return load(store, path, before, |_| Ok((Known::default(), Known::default(), false)));
    };
    load(store, path, before, |read| {
        let absent = if continues { read.absent(path, own.absent_at)? } else { Vec::new() };
        let gone = continues && absent.len() as u64 != own.absent;
        if continues && !gone && before.others.is_empty() {
            return Ok((Known::new(absent), Known::default(), false));
        }
        let all = Known::new(read.counted(path, own.imports)?);
        Ok((if continues && !gone { Known::new(absent) } else { all.clone() }, all, gone))
    })
}

fn load(
    store: &Store,
    path: &str,
    before: &Before,
    own: impl FnOnce(&Tables<ReadRows>) -> Result<(Known, Known, bool), StoreError>,
) -> Result<Loaded, StoreError> {
    let read = store.read()?;
    if Before::load(&*read, path)? != *before {
        return Ok(Loaded::Changed);
    }
    let (expected, own, gone) = own(&read)?;
    let other = |source: &UsageSource| Ok::<_, StoreError>(Known::new(read.counted(&source.path, source.imports)?));
    let others = before.others.iter().map(other).collect::<Result<_, _>>()?;
    let readings = Readings { expected, own, others, ..Readings::default() };
    Ok(if gone { Loaded::ListIsGone(readings) } else { Loaded::Readings(readings) })
}

/// Writes a plan; says whether it still held.
fn apply(txn: &mut WriteTxn<'_>, path: &str, before: &Before, plan: &Plan) -> Result<bool, StoreError> {
    if Before::load(txn, path)? != *before {
        return Ok(false);
    }
    for ((day, model), sums) in &plan.sums {
        let key = format!("{day}/{model}");
        let mut row =
            txn.record(&key)?.unwrap_or_else(|| UsageDay { day: *day, model: model.clone(), sums: Sums::default() });
        row.sums.add(sums);
        txn.put_record(&row, Op::Import)?;
    }
    let own = before.own.as_ref();
    let (imports, rows) = own.map_or((0, 0), |own| (own.imports, own.rows));
    let mut absent = own.map_or((0, 0), |own| (own.absent, own.absent_at));
    // what an import left that was undone since
    txn.drop_counted_since(path, imports)?;
    for (day, digests) in &plan.digests {
        txn.put_counted(path, imports, *day, digests)?;
    }
    if let Some(digests) = &plan.absent {
        txn.put_absent(path, imports, digests)?;
        absent = (digests.len() as u64, imports);
    }
    let source = UsageSource {
        path: path.to_owned(),
        mark: plan.reading.mark.clone(),
        imports: imports + 1,
        rows: rows.saturating_add(plan.counted),
        absent: absent.0,
        absent_at: absent.1,
        imported_at: txn.author().now,
    };
    txn.put_record(&source, Op::Import)?;
    txn.expire_usage()?;
    Ok(true)
}

impl Imported {
    fn of(plan: Plan, rewritten: bool) -> Self {
        let mut all = Sums::default();
        plan.sums.values().for_each(|sums| all.add(sums));
        Self {
            counted: plan.counted,
            known: plan.known,
            expired: plan.expired,
            bad_lines: plan.reading.bad_lines,
            bad: plan.reading.bad,
            rewritten,
            unfinished: plan.reading.unfinished,
            sums: all,
        }
    }
}
