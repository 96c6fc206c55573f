//! Reads a `usage.jsonl` of opencode-proxy: one request a line, from where an earlier reading ended.
//!
//! The file is opened to read and never otherwise, read up to the end it had when it was opened, and never held whole:
//! a line may be [`MAX_LINE`] bytes long. What comes out of a line is a [`Row`], that is sums, a name and a digest. A
//! line that cannot be used is counted and, up to [`MAX_BAD_NAMED`] of them, named with its number and a reason that
//! repeats nothing of it; all others are used.
//!
//! A [`Mark`] says how far a file was read. [`Reader::resume`] goes on there if all bytes before it are still what they
//! were, and says so if they are not: then the file was written anew, as the proxy does to drop old days.
//!
//! The last line may be without its end, its writer being in the middle of it. If it is a whole JSON object already it
//! is used, because no object is the beginning of another; else it is left for the next time.

mod row;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::fs::{Dir, PathError};
use crate::schema::usage::Mark;

pub use row::{Parser, Reason, Row};

/// Longest line, in bytes: a row of the source is less than 3 KiB.
pub const MAX_LINE: usize = 64 << 10;

/// How many bad lines are named.
pub const MAX_BAD_NAMED: usize = 20;

/// How much of a file is read at a time.
const BLOCK: usize = 1 << 17;

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// What a reading came to, beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// How far the file was read.
    pub mark: Mark,
    /// The first lines that could not be used.
    pub bad: Vec<BadLine>,
    /// How many there were.
    pub bad_lines: u64,
    /// Whether the last line is not finished, and was left for the next time.
    pub unfinished: bool,
}

/// A line that has an end.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// What it says; none if it is longer than [`MAX_LINE`].
    pub(crate) line: Option<Vec<u8>>,
}

/// A file that is being read.
pub struct Reader<R> {
    source: R,
    size: u64,
    at: Position,
}

/// Where a reading is, and what it went past.
#[derive(Clone)]
struct Position {
    offset: u64,
    lines: u64,
    digest: Xxh3,
    last: (u64, u128),
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Position").field("offset", &self.offset).field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("size", &self.size).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Position {
    fn start() -> Self {
        Self { offset: 0, lines: 0, digest: Xxh3::new(), last: (0, xxh3_128(b"")) }
    }

    /// Goes past a line, or past the part of it that is there.
    fn pass(&mut self, bytes: &[u8]) {
        self.last = (self.offset, xxh3_128(bytes));
        self.digest.update(bytes);
        self.offset += bytes.len() as u64;
        self.lines += u64::from(bytes.last() == Some(&b'\n'));
    }

    fn mark(&self) -> Mark {
        Mark {
            offset: self.offset,
            lines: self.lines,
            digest: digits(self.digest.digest128()),
            last_start: self.last.0,
            last_digest: digits(self.last.1),
        }
    }
}

fn digits(digest: u128) -> String {
    format!("{digest:032x}")
}

/// Opens a regular file; nothing is waited for.
///
/// # Errors
/// If it cannot be opened, or is no regular file.
pub fn open(path: &Path) -> Result<Reader<BufReader<File>>, PathError> {
    let unnamed = || PathError {
        action: "open",
        path: path.to_owned(),
        source: io::Error::other("its name is not UTF-8, or it has none"),
    };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unnamed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, stat) = Dir::open(folder)?.open_file(name)?;
    Ok(Reader::new(BufReader::with_capacity(BLOCK, file), stat.size))
}

impl<R: BufRead + Seek> Reader<R> {
    /// Reads the first `size` bytes of a source.
    pub fn new(source: R, size: u64) -> Self {
        Self { source, size, at: Position::start() }
    }

    /// The number of bytes that there are to read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Goes to a mark, if all before it is what it was when the mark was made; else to the beginning. Says which.
    ///
    /// # Errors
    /// If reading fails.
    pub fn resume(&mut self, mark: &Mark) -> io::Result<bool> {
        let found = self.find(mark)?;
        let same = found.is_some();
        self.at = found.unwrap_or_else(Position::start);
        self.source.seek(SeekFrom::Start(self.at.offset))?;
        Ok(same)
    }

    fn find(&mut self, mark: &Mark) -> io::Result<Option<Position>> {
        if self.size < mark.offset || mark.offset < mark.last_start {
            return Ok(None);
        }
        // the last line first: a file that was written anew shows there, without reading all of it
        self.source.seek(SeekFrom::Start(mark.last_start))?;
        let last = self.digest(mark.offset - mark.last_start, Xxh3::new())?.digest128();
        if digits(last) != mark.last_digest {
            return Ok(None);
        }
        self.source.seek(SeekFrom::Start(0))?;
        let digest = self.digest(mark.offset, Xxh3::new())?;
        let same = digits(digest.digest128()) == mark.digest;
        let (offset, lines) = (mark.offset, mark.lines);
        Ok(same.then_some(Position { offset, lines, digest, last: (mark.last_start, last) }))
    }

    fn digest(&mut self, length: u64, mut digest: Xxh3) -> io::Result<Xxh3> {
        let mut rest = self.source.by_ref().take(length);
        loop {
            let used = match rest.fill_buf() {
                Ok([]) => return Ok(digest),
                Ok(block) => {
                    digest.update(block);
                    block.len()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            rest.consume(used);
        }
    }

    /// Reads the rest. `row` is given each row and whether it comes from here; it may find it bad.
    ///
    /// # Errors
    /// If reading fails.
    pub fn read(&mut self, parser: &mut Parser, mut row: impl FnMut(Row) -> Result<(), Reason>) -> io::Result<Reading> {
        let mut reading = Reading::default();
        let mut line = Vec::new();
        while self.at.offset < self.size {
            let left = self.size - self.at.offset;
            line.clear();
            let whole = self.source.by_ref().take(left.min(MAX_LINE as u64 + 1)).read_until(b'\n', &mut line)?;
            if whole == 0 {
                break;
            }
            let number = self.at.lines + 1;
            let ended = line.last() == Some(&b'\n');
            let bad = if !ended && line.len() > MAX_LINE {
                if !self.pass_long(&line)? {
                    reading.unfinished = true;
                    break;
                }
                Some(Reason::TooLong)
            } else {
                let parsed = parser.row(line.trim_ascii());
                if !ended && parsed.is_err() {
                    reading.unfinished = true;
                    break;
                }
                self.at.pass(&line);
                parsed.and_then(|found| found.map_or(Ok(()), &mut row)).err()
            };
            if let Some(reason) = bad {
                reading.bad_lines += 1;
                if reading.bad.len() < MAX_BAD_NAMED {
                    reading.bad.push(BadLine { line: number, reason });
                }
            }
        }
        reading.mark = self.at.mark();
        Ok(reading)
    }

    /// Goes past the next line that has an end, and gives it without that; nothing once there is none. What is too long is
    /// passed without being held.
    pub(crate) fn next_ended(&mut self) -> io::Result<Option<Ended>> {
        if self.at.offset >= self.size {
            return Ok(None);
        }
        let number = self.at.lines + 1;
        let mut line = Vec::new();
        let most = (self.size - self.at.offset).min(MAX_LINE as u64 + 1);
        self.source.by_ref().take(most).read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') {
            self.at.pass(&line);
            line.pop();
            return Ok(Some(Ended { number, line: Some(line) }));
        }
        let passed = line.len() > MAX_LINE && self.pass_long(&line)?;
        Ok(passed.then_some(Ended { number, line: None }))
    }

    /// Reads on to where the file ends now.
    pub(crate) fn grow(&mut self) -> io::Result<()> {
        self.size = self.source.seek(SeekFrom::End(0))?;
        self.source.seek(SeekFrom::Start(self.at.offset)).map(|_| ())
    }

    /// How far this reading has come.
    pub(crate) fn mark(&self) -> Mark {
        self.at.mark()
    }

    /// Goes past a line that is too long, of which the beginning was read; stays before it if it has no end.
    fn pass_long(&mut self, beginning: &[u8]) -> io::Result<bool> {
        let (start, mut position, mut last) = (self.at.offset, self.at.clone(), Xxh3::new());
        let mut pass = |bytes: &[u8]| {
            position.digest.update(bytes);
            last.update(bytes);
            position.offset += bytes.len() as u64;
            position.offset
        };
        let mut offset = pass(beginning);
        loop {
            let mut rest = self.source.by_ref().take(self.size - offset);
            let block = match rest.fill_buf() {
                Ok([]) => return Ok(false),
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = block.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(block.len(), |end| end + 1);
            offset = pass(&block[..used]);
            rest.consume(used);
            if end.is_some() {
                position.lines += 1;
                position.last = (start, last.digest128());
                self.at = position;
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests;
