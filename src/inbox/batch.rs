//! Taking lines, and what is remembered of them, in one transaction.

use std::collections::HashMap;

use crate::db::{StoreError, WriteTxn};
use crate::import::inbox::Malformed;
use crate::import::inbox::{Row, digest_of_data, digest_of_line, parse};
use crate::import::usage::Ended;
use crate::schema::id::Revision;
use crate::schema::inbox::{KnownFile, KnownRow, Memory, RowKind};
use crate::schema::record_id::RecordId;
use crate::schema::usage::Mark;

use super::rows::{Refused, store};
use super::{BadLine, Inbox, InboxError, MAX_BAD_NAMED, Reason, Taken};

/// How many lines are taken at a time: others wait meanwhile for the database.
pub(super) const BATCH: usize = 1_000;

/// A line as it was read, before the database is asked.
pub(super) struct Line {
    file: &'static str,
    number: u64,
    digest: u64,
    row: Result<Option<Row>, Malformed>,
    /// Where it ends.
    end: Mark,
}

impl Line {
    pub(super) fn new(file: &'static str, ended: &Ended, end: Mark) -> Self {
        let bytes = ended.line.as_deref();
        Self {
            file,
            number: ended.number,
            digest: bytes.map(digest_of_line).unwrap_or_default(),
            row: bytes.map_or(Err(Malformed::TooLong), parse),
            end,
        }
    }

    fn is_bad(&self, reason: Reason) -> BadLine {
        BadLine { file: self.file, line: self.number, reason }
    }
}

/// One taking in: what is remembered, and what came of it so far.
pub(super) struct Run<'i> {
    pub(super) inbox: &'i Inbox<'i>,
    pub(super) memory: Memory,
    pub(super) taken: Taken,
    next_id: RecordId,
    /// The first change that it made: all are undone together.
    group: Option<Revision>,
}

/// Why a transaction was given up.
enum Stop {
    /// It was only to be looked what it would do.
    Rehearsed(Box<Batch>),
    /// A line turned out to be bad when something of it was written already.
    Spoilt(usize, Reason),
    Contended,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a transaction did.
struct Batch {
    group: Option<Revision>,
    taken: Vec<RowKind>,
    skipped: u64,
    bad: Vec<BadLine>,
    digests: Vec<u64>,
    known: HashMap<u64, u64>,
    next_id: RecordId,
    memory: Memory,
    file: KnownFile,
}

impl<'i> Run<'i> {
    pub(super) fn new(inbox: &'i Inbox<'i>, memory: Memory) -> Self {
        Self { inbox, memory, taken: Taken::default(), next_id: inbox.first, group: None }
    }

    /// Takes lines of a file, of which those in `known` were taken before, as often as it says.
    pub(super) fn take(
        &mut self,
        file: &mut KnownFile,
        lines: &[Line],
        known: &mut HashMap<u64, u64>,
    ) -> Result<(), InboxError> {
        let mut rest = lines;
        while let Some((index, reason)) = self.write(file, rest, None, known)? {
            // those before it for themselves, then it alone, as bad, then those after it
            self.take(file, &rest[..index], known)?;
            self.write(file, &rest[index..=index], Some(&reason), known)?;
            rest = &rest[index + 1..];
        }
        Ok(())
    }

    /// Notes a line that cannot be taken.
    pub(super) fn bad(&mut self, bad: BadLine) {
        self.taken.bad_lines += 1;
        if self.taken.bad.len() < MAX_BAD_NAMED {
            self.taken.bad.push(bad);
        }
    }

    /// Takes lines in one transaction; answers the one that spoilt it, if one did, and then nothing was written.
    fn write(
        &mut self,
        file: &mut KnownFile,
        lines: &[Line],
        spoilt: Option<&Reason>,
        known: &mut HashMap<u64, u64>,
    ) -> Result<Option<(usize, Reason)>, InboxError> {
        let Some(last) = lines.last() else { return Ok(None) };
        let inbox = self.inbox;
        let written = inbox.store.write(&inbox.author, |txn| {
            if txn.inbox_memory()? != self.memory && !inbox.dry_run {
                return Err(Stop::Contended);
            }
            if let Some(group) = self.group {
                txn.continue_group(group);
            }
            let mut batch = Batch {
                group: None,
                taken: Vec::new(),
                skipped: 0,
                bad: Vec::new(),
                digests: Vec::new(),
                known: known.clone(),
                next_id: self.next_id,
                memory: self.memory.clone(),
                file: KnownFile { mark: last.end.clone(), ..file.clone() },
            };
            for (index, line) in lines.iter().enumerate() {
                match spoilt {
                    Some(reason) => batch.bad.push(line.is_bad(reason.clone())),
                    None => batch.line(txn, inbox, index, line)?,
                }
            }
            batch.file.bad += batch.bad.len() as u64;
            batch.group = txn.has_logged().then(|| txn.group());
            batch.remember(txn)?;
            if inbox.dry_run { Err(Stop::Rehearsed(Box::new(batch))) } else { Ok(batch) }
        });
        let batch = match written {
            Ok(batch) => batch,
            Err(Stop::Rehearsed(batch)) => *batch,
            Err(Stop::Spoilt(index, reason)) => return Ok(Some((index, reason))),
            Err(Stop::Contended) => return Err(InboxError::Contended),
            Err(Stop::Store(error)) => return Err(error.into()),
        };
        self.group = self.group.or(batch.group);
        (self.next_id, self.memory, *known, *file) = (batch.next_id, batch.memory, batch.known, batch.file);
        self.taken.taken += batch.taken.len() as u64;
        self.taken.skipped += batch.skipped;
        batch.taken.into_iter().for_each(|kind| *self.taken.by_kind.entry(kind).or_insert(0) += 1);
        batch.bad.into_iter().for_each(|bad| self.bad(bad));
        Ok(None)
    }
}

impl Batch {
    fn line(&mut self, txn: &mut WriteTxn<'_>, inbox: &Inbox<'_>, index: usize, line: &Line) -> Result<(), Stop> {
        let row = match &line.row {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(malformed) => {
                self.bad.push(line.is_bad((*malformed).into()));
                return Ok(());
            }
        };
        let data = digest_of_data(&row.data);
        let before = row.key.map(|key| txn.inbox_row(row.kind, key)).transpose()?.flatten();
        match before {
            Some(before) if before.data == data => {
                self.skipped += 1;
                return Ok(());
            }
            Some(_) => {
                self.bad.push(line.is_bad(Reason::KeyReused));
                return Ok(());
            }
            None => {}
        }
        if row.key.is_none()
            && let Some(count) = self.known.get_mut(&line.digest).filter(|count| **count > 0)
        {
            *count -= 1;
            self.skipped += 1;
            return Ok(());
        }
        let id = self.next_id;
        match store(txn, row, id, inbox) {
            Ok(record) => {
                self.next_id = id.next().unwrap_or(id);
                self.taken.push(row.kind);
                match row.key {
                    Some(key) => {
                        let known = KnownRow { data, record, at: inbox.author.now };
                        txn.put_inbox_row(row.kind, key, &known)?;
                    }
                    None => self.digests.push(line.digest),
                }
            }
            Err(Refused::Before(reason)) => self.bad.push(line.is_bad(reason)),
            Err(Refused::Halfway(reason)) => return Err(Stop::Spoilt(index, reason)),
            Err(Refused::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    fn remember(&mut self, txn: &mut WriteTxn<'_>) -> Result<(), StoreError> {
        let file = &self.file;
        txn.put_inbox_lines(file.number, file.mark.offset, &self.digests)?;
        match self.memory.files.iter_mut().find(|known| known.number == file.number) {
            Some(known) => known.clone_from(file),
            None => self.memory.files.push(file.clone()),
        }
        self.memory.next = self.memory.next.max(file.number + 1);
        txn.put_inbox_memory(&self.memory)
    }
}
