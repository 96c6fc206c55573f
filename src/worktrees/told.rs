//! The file of claims: one line of JSON for each that was told and each that is over, so that all of them are read at
//! once. What was told last of a claim counts.
//!
//! Lines are only ever added, by whoever has the turn; a reader, who needs no turn, sees all lines or all but the last. Of
//! a process that was killed in between there may be half a line, which is passed over, as is whatever else is no line.
//! When most lines are of claims that are over, the file is made anew under a temporary name and renamed.
//!
//! A line is not synced: after a power failure no session lives. A file that is made anew is, for it holds older claims.

use std::io::{BufRead as _, Read as _, Seek as _, SeekFrom, Write as _};

use serde::{Deserialize, Serialize};

use super::SharedClaim;
use crate::fs::{Dir, PathError, Temporary};

/// The file, in the shared folder.
pub(super) const FILE: &str = "claimed";

/// Longest file that is read, in bytes: some 250,000 lines.
const MAX_FILE: u64 = 64 << 20;

/// How many lines of claims that are over may stand there before the file is made anew.
const MAX_OVER: usize = 64;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Somebody has an issue.
    Claim(SharedClaim),
    /// Nobody has it any more in that work tree.
    Over(SharedClaim),
}

impl Line {
    fn claim(&self) -> &SharedClaim {
        let (Self::Claim(claim) | Self::Over(claim)) = self;
        claim
    }
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The claims that stand, by identity.
    pub claims: Vec<SharedClaim>,
    /// How many lines there are.
    lines: usize,
}

impl Told {
    /// Reads the file; a missing one says nothing.
    pub(super) fn read(folder: &Dir) -> Result<Self, PathError> {
        match folder.read(FILE, MAX_FILE) {
            Ok((bytes, _)) if bytes.len() as u64 > MAX_FILE => {
                let source = std::io::Error::other("it is larger than 64 MiB");
                Err(PathError { action: "read", path: folder.path().join(FILE), source })
            }
            Ok((bytes, _)) => Ok(Self::parse(&bytes)),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut told: Vec<Line> = Vec::new();
        let (mut rest, mut lines) = (bytes, 0);
        while !rest.is_empty() {
            let line = next_line(&mut rest);
            lines += 1;
            match parse_line(line) {
                Some(one) => told.push(one),
                // a loss of power may leave zeros before a line
                None => told.extend(line.split(|byte| *byte == 0).filter_map(parse_line)),
            }
        }
        // the last one first
        told.reverse();
        told.sort_by(|a, b| a.claim().key().cmp(&b.claim().key()));
        told.dedup_by(|a, b| a.claim().key() == b.claim().key());
        let stands = |line| match line {
            Line::Claim(claim) => Some(claim),
            Line::Over(_) => None,
        };
        Self { claims: told.into_iter().filter_map(stands).collect(), lines }
    }

    /// Makes the file anew if most of it is about claims that are over. To be called in a turn.
    pub(super) fn tidy(&self, folder: &Dir) -> Result<(), PathError> {
        if self.lines.saturating_sub(self.claims.len()) <= MAX_OVER.max(self.claims.len()) {
            return Ok(());
        }
        let lines: Vec<u8> = self.claims.iter().cloned().flat_map(|claim| bytes(&Line::Claim(claim))).collect();
        let file = make(folder, &lines)?;
        file.sync()?;
        file.publish(FILE, true)
    }
}

fn parse_line(line: &[u8]) -> Option<Line> {
    // that all of it is text is asked once, not for each of its strings
    serde_json::from_str(std::str::from_utf8(line).ok()?).ok()
}

/// Takes the first line off, without its end.
fn next_line<'b>(bytes: &mut &'b [u8]) -> &'b [u8] {
    let all = *bytes;
    // reading memory cannot fail
    let length = bytes.skip_until(b'\n').unwrap_or(all.len());
    let line = &all[..length];
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Adds a line. To be called in a turn.
pub(super) fn tell(folder: &Dir, line: &Line) -> Result<(), PathError> {
    let mut file = match folder.open_existing(FILE) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return make(folder, &bytes(line))?.publish(FILE, true),
        Err(error) => return Err(error),
    };
    let mut add = || {
        let mut added = bytes(line);
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                // half a line, of a process that was killed
                added.insert(0, b'\n');
            }
        }
        file.write_all(&added)
    };
    add().map_err(|source| PathError { action: "write", path: folder.path().join(FILE), source })
}

/// Makes the file under a temporary name; whoever may use the folder may use it.
fn make<'a>(folder: &'a Dir, lines: &[u8]) -> Result<Temporary<'a>, PathError> {
    // what a killed process left; nobody else writes one now
    folder.sweep(FILE);
    let file = folder.write_temporary(FILE, lines)?;
    file.share()?;
    Ok(file)
}

fn bytes(line: &Line) -> Vec<u8> {
    // texts and times always are JSON, and have no line feed there
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
