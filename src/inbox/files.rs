//! Which files there are, which of them are known, and when one goes.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use chrono::{DateTime, TimeDelta};

use crate::db::StoreError;
use crate::fs::{Dir, Entry, PathError};
use crate::import::usage::Reader;
use crate::project::STATE;
use crate::schema::inbox::{KnownFile, Memory};
use crate::schema::time::Timestamp;

use super::batch::{BATCH, Line, Run};
use super::{BadLine, INBOX, Inbox, InboxError, KEY_DAYS, QUIET_HOURS, RETIRED, Reason, Taken};

/// How many files that went are remembered.
const MAX_GONE: usize = 8;

/// A file that is there.
struct Source {
    name: &'static str,
    reader: Reader<BufReader<File>>,
    /// What it is remembered as.
    known: KnownFile,
}

pub(super) fn take(inbox: &Inbox<'_>) -> Result<Taken, InboxError> {
    let folder = match inbox.store.dir().open_dir(STATE) {
        Ok(folder) => folder,
        Err(error) if error.is_not_found() => return Ok(Taken::default()),
        Err(error) => return Err(error.into()),
    };
    let memory = inbox.store.read()?.inbox_memory()?;
    let mut run = Run::new(inbox, memory);
    let mut unassigned = run.memory.files.clone();
    let mut sources = Vec::new();
    for name in [RETIRED, INBOX] {
        let (file, stat) = match folder.open_file(name) {
            Ok(opened) => opened,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        let reader = Reader::new(BufReader::with_capacity(1 << 17, file), stat.size);
        let mut source = Source { name, reader, known: KnownFile::default() };
        let lines = identify(&mut run, &mut source, &mut unassigned)?;
        read(&mut run, &mut source, lines)?;
        sources.push(source);
    }
    if !inbox.dry_run {
        retire(&mut run, &folder, &mut sources, &unassigned)?;
    }
    Ok(run.taken)
}

fn unreadable(file: &'static str) -> impl Fn(std::io::Error) -> InboxError {
    move |source| InboxError::Read { file, source }
}

/// Finds out which of the files that are remembered this one is, and goes to where it was read to. Answers the lines of
/// it that are known all the same, where it was written anew.
fn identify(
    run: &mut Run<'_>,
    source: &mut Source,
    unassigned: &mut Vec<KnownFile>,
) -> Result<HashMap<u64, u64>, InboxError> {
    let failed = unreadable(source.name);
    let is_retired = source.name == RETIRED;
    // a process that put it aside and was killed could not say when
    let retired = |since: Option<Timestamp>| is_retired.then(|| since.unwrap_or(run.inbox.author.now));
    // by what they hold and not by their names, which a process that was killed may have changed
    unassigned.sort_by_key(|file| std::cmp::Reverse(file.mark.offset));
    let mut found = None;
    for (index, file) in unassigned.iter().enumerate().filter(|(_, file)| file.mark.offset > 0) {
        if source.reader.resume(&file.mark).map_err(&failed)? {
            found = Some(index);
            break;
        }
    }
    if let Some(index) = found {
        let file = unassigned.remove(index);
        source.known = KnownFile { retired: retired(file.retired), ..file };
        return Ok(HashMap::new());
    }
    let fresh = KnownFile { number: run.memory.next, retired: retired(None), ..KnownFile::default() };
    for mark in run.memory.gone.iter().rev() {
        if source.reader.resume(mark).map_err(&failed)? {
            source.known = KnownFile { mark: mark.clone(), ..fresh };
            return Ok(HashMap::new());
        }
    }
    // from the beginning
    source.reader.resume(&crate::schema::usage::Mark::default()).map_err(&failed)?;
    let same_place = unassigned.iter().position(|file| file.retired.is_some() == is_retired);
    // an empty one is no other version of anything
    let Some(index) = same_place.filter(|_| source.reader.size() > 0) else {
        source.known = fresh;
        return Ok(HashMap::new());
    };
    source.known = KnownFile { mark: source.reader.mark(), bad: 0, ..unassigned.remove(index) };
    let mut lines = HashMap::new();
    for digest in run.inbox.store.read()?.inbox_lines(source.known.number)? {
        *lines.entry(digest).or_insert(0) += 1;
    }
    Ok(lines)
}

/// Takes what is new in a file.
fn read(run: &mut Run<'_>, source: &mut Source, mut known: HashMap<u64, u64>) -> Result<(), InboxError> {
    let failed = unreadable(source.name);
    // a rehearsal must see what it did itself
    let most = if run.inbox.dry_run { usize::MAX } else { BATCH };
    loop {
        let mut lines = Vec::new();
        while lines.len() < most {
            let Some(ended) = source.reader.next_ended().map_err(&failed)? else { break };
            lines.push(Line::new(source.name, &ended, source.reader.mark()));
        }
        if lines.is_empty() {
            break;
        }
        run.take(&mut source.known, &lines, &mut known)?;
    }
    run.taken.unfinished |= source.reader.mark().offset < source.reader.size();
    Ok(())
}

/// Puts files aside whose time has come.
fn retire(run: &mut Run<'_>, folder: &Dir, sources: &mut [Source], unassigned: &[KnownFile]) -> Result<(), InboxError> {
    // what is not there any more, somebody removed
    let has_inbox = sources.iter().any(|source| source.name == INBOX && source.reader.size() > 0);
    let removed = unassigned.iter().filter(|file| file.retired.is_some() || !has_inbox);
    let mut gone: Vec<u64> = removed.map(|file| file.number).collect();
    let mut is_there = sources.iter().any(|source| source.name == RETIRED);
    if let Some(source) = sources.iter_mut().find(|source| source.name == RETIRED)
        && is_quiet(folder, source.known.retired, run.inbox.author.now)?
    {
        go(run, folder, source)?;
        gone.push(source.known.number);
        run.memory.gone.push(source.known.mark.clone());
        is_there = false;
    }
    let present = sources.iter_mut().find(|source| source.name == INBOX);
    let mut renamed = false;
    if let Some(source) = present.filter(|source| !is_there && source.known.mark.offset >= run.inbox.retire_bytes) {
        folder.rename_new(INBOX, RETIRED)?;
        folder.sync()?;
        source.known.retired = Some(run.inbox.author.now);
        (renamed, run.taken.retired) = (true, true);
    }
    if gone.is_empty() && !renamed {
        return Ok(());
    }
    let forget_before = run.inbox.author.now.get().checked_sub_signed(TimeDelta::days(KEY_DAYS)).map(Timestamp::new);
    let before = run.memory.clone();
    let memory = &mut run.memory;
    memory.files.retain(|file| !gone.contains(&file.number));
    for file in &mut memory.files {
        let source = sources.iter().find(|source| source.known.number == file.number);
        file.retired = source.map_or(file.retired, |source| source.known.retired);
    }
    let surplus = memory.gone.len().saturating_sub(MAX_GONE);
    memory.gone.drain(..surplus);
    let after = memory.clone();
    run.inbox.store.write(&run.inbox.author, |txn| {
        // what went is gone whether or not another process was faster, so there is no harm in leaving it to that one
        if same_files(&txn.inbox_memory()?, &before) {
            gone.iter().try_for_each(|number| txn.drop_inbox_lines(*number))?;
            forget_before.map(|time| txn.drop_inbox_rows_before(time)).transpose()?;
            txn.put_inbox_memory(&after)?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(())
}

fn same_files(one: &Memory, other: &Memory) -> bool {
    (&one.files, one.next) == (&other.files, other.next)
}

/// Whether nobody has written to the file for long enough since it was put aside.
fn is_quiet(folder: &Dir, retired: Option<Timestamp>, now: Timestamp) -> Result<bool, PathError> {
    let Some(Entry::File(stat)) = folder.entry(RETIRED)? else { return Ok(false) };
    let modified = DateTime::from_timestamp(stat.modified.0, stat.modified.1);
    let last = modified.max(retired.map(Timestamp::get));
    Ok(last.is_some_and(|last| now.get().signed_duration_since(last) >= TimeDelta::hours(QUIET_HOURS)))
}

/// Takes a file out of the way for good, and then what was written to it in the last moment.
fn go(run: &mut Run<'_>, folder: &Dir, source: &mut Source) -> Result<(), InboxError> {
    let unfinished = source.reader.mark().offset < source.reader.size();
    if unfinished {
        run.bad(BadLine { file: RETIRED, line: source.reader.mark().lines + 1, reason: Reason::Unfinished });
    }
    if unfinished || source.known.bad > 0 {
        let name = format!("inbox.bad-{}.jsonl", run.inbox.author.now.get().format("%Y%m%dT%H%M%S%.9fZ"));
        folder.rename_new(RETIRED, &name)?;
        run.taken.kept_as = Some(name);
    } else {
        folder.remove(RETIRED)?;
    }
    folder.sync()?;
    source.reader.grow().map_err(unreadable(RETIRED))?;
    read(run, source, HashMap::new())
}
