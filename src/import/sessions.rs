//! Pointers from session files: what oxi, oxicode, pi and omp write about a conversation, reduced to counts, sums and
//! names.
//!
//! A file is opened to read and never otherwise, read once from its beginning to the end it had when it was opened, and
//! never held whole. What becomes of it is a [`Session`], which has no field for a text; of what passes through here,
//! only the fields of the submodule `shape` are ever looked at, and what is kept of them is a name ([`is_name`]) in which
//! the scrubber finds no secret.
//!
//! Formats 1 to 3 are read, in the spellings of both families. Lines that cannot be read are counted and passed over, as
//! the original does. Nothing here tells whether a conversation is complete: a file that is being written to is read as
//! far as it goes.
//!
//! [`is_name`]: crate::schema::session::is_name

mod family;
mod find;
mod lines;
mod merge;
mod places;
mod shape;
mod tree;

use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::fs::{Dir, FileStat, PathError};
use crate::schema::id::SessionId;
use crate::schema::session::{Counts, MAX_MODELS, Session, SessionState, Source, SourceFile, Tokens, is_name};
use crate::schema::time::Timestamp;

pub use family::{connect, roots};
pub use find::{Candidate, FindError, Found, find};
pub use merge::{Merged, Plan, merge, plan};
pub use places::Places;

use lines::{Line, Lines, MAX_LINE};
use places::{is_clean, source_of};
use shape::{Entry, HeaderLine, Id, Meaning, NoEntry};
use tree::{Ids, Shape, Tree};

/// How far a parent's header is looked for, in bytes: another file says where it is.
const MAX_HEADER: u64 = 1 << 20;

/// How many bad lines of a file are named; all are counted.
pub const MAX_BAD_NAMED: usize = 20;

/// A session file that was read.
#[derive(Clone, Debug)]
pub struct SessionFile {
    /// Where it is.
    pub path: PathBuf,
    /// The pointer. Its parent, root and fork point are known after [`connect`].
    pub session: Session,
    /// The first [`MAX_BAD_NAMED`] lines that could not be read.
    pub bad: Vec<BadLine>,
    /// Whether the session worked in the project.
    pub here: bool,
    /// Where its parent is, as it says.
    parent: Option<String>,
    /// The id of the first entry, if that is an id.
    first: Option<String>,
    /// The ids of the entries, where the fork point is told by them.
    ids: Option<Ids>,
}

/// A line that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Which, from 1.
    pub line: u64,
    /// Why.
    pub why: BadReason,
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadReason {
    /// Longer than is held.
    TooLong,
    /// Its bytes are no text.
    NotUtf8,
    /// No JSON object.
    NotJson,
    /// A JSON object, but no entry.
    NotAnEntry,
    /// Another session begins there.
    AnotherHeader,
}

impl fmt::Display for BadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the line is longer than {} MiB", MAX_LINE >> 20),
            Self::NotUtf8 => f.write_str("the line is not UTF-8"),
            Self::NotJson => f.write_str("the line is no JSON object"),
            Self::NotAnEntry => {
                f.write_str("the line is no entry: its type and its message are not of a form that is known")
            }
            Self::AnotherHeader => f.write_str("another session begins within the file"),
        }
    }
}

/// Why a file gave no pointer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It could not be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nothing in it can be read as a line of a session file.
    #[error("not a session file: no line of it can be read")]
    Empty,
    /// It begins with something else than a session's header.
    #[error("not a session file: it does not begin with the header of a session")]
    NotASession,
    /// Its header's id is not one.
    #[error("not a session file that can be taken in: the id in its header cannot name a session")]
    BadId,
}

/// Reads a session file.
///
/// # Errors
/// If it cannot be read, is not a regular file, or is no session file.
pub fn read(path: &Path, places: &Places) -> Result<SessionFile, ReadError> {
    let (file, stat) = open(path)?;
    scan(std::io::Read::take(file, stat.size), MAX_LINE, path, &stat, places)
}

/// The id in the header of a session file, read no further than that.
fn id_in(path: &Path) -> Result<SessionId, ReadError> {
    let (file, stat) = open(path)?;
    let mut lines = Lines::new(BufReader::new(std::io::Read::take(file, stat.size.min(MAX_HEADER))), MAX_LINE);
    let mut tally = Tally::default();
    while let Some((number, line)) = lines.next().map_err(reading(path))? {
        tally.line(number, &line)?;
        if let Some((id, _)) = tally.header {
            return Ok(id);
        }
    }
    Err(ReadError::Empty)
}

/// Opens a regular file; a link is not followed, and nothing is waited for.
fn open(path: &Path) -> Result<(std::fs::File, FileStat), PathError> {
    let unnamed = || PathError {
        action: "open",
        path: path.to_owned(),
        source: std::io::Error::other("its name is not UTF-8, or it has none"),
    };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unnamed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Dir::open(folder)?.open_file(name)
}

fn scan(
    source: impl std::io::Read,
    limit: usize,
    path: &Path,
    stat: &FileStat,
    places: &Places,
) -> Result<SessionFile, ReadError> {
    let mut lines = Lines::new(BufReader::with_capacity(1 << 16, source), limit);
    let mut tally = Tally::default();
    while let Some((number, line)) = lines.next().map_err(reading(path))? {
        tally.line(number, &line)?;
    }
    let (size, sha256) = lines.finish();
    let modified = chrono::DateTime::from_timestamp(stat.modified.0, stat.modified.1).map(Timestamp::new);
    let file = SourceFile { path: places.kept(path), size, modified, sha256 };
    tally.finish(path, file, places)
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> PathError {
    let path = path.to_owned();
    move |source| PathError { action: "read", path, source }
}

/// What the lines so far come to.
#[derive(Debug, Default)]
struct Tally {
    header: Option<(SessionId, HeaderLine)>,
    first: Option<Id>,
    tree: Tree,
    counts: Counts,
    tokens: Tokens,
    /// The model that was chosen last.
    chosen: Option<String>,
    models: Vec<String>,
    stop_reason: Option<String>,
    last: Option<Timestamp>,
    bad: Vec<BadLine>,
    bad_lines: u64,
    truncated: bool,
}

impl Tally {
    fn line(&mut self, number: u64, line: &Line<'_>) -> Result<(), ReadError> {
        let (bytes, cut) = match line {
            Line::Whole(bytes) => (*bytes, false),
            Line::Cut(bytes) => (*bytes, true),
            Line::TooLong => {
                self.note_bad(number, BadReason::TooLong);
                return Ok(());
            }
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let why = match std::str::from_utf8(bytes) {
            Ok(text) if self.header.is_none() => self.header(text)?,
            Ok(text) => self.entry(text),
            Err(_) => Some(BadReason::NotUtf8),
        };
        match why {
            // what the writer had not finished is not what it wrote wrongly
            Some(BadReason::NotUtf8 | BadReason::NotJson) if cut => self.truncated = true,
            Some(why) => self.note_bad(number, why),
            None => {}
        }
        Ok(())
    }

    fn note_bad(&mut self, line: u64, why: BadReason) {
        self.bad_lines += 1;
        if self.bad.len() < MAX_BAD_NAMED {
            self.bad.push(BadLine { line, why });
        }
    }

    /// The first line that can be read must be a header.
    fn header(&mut self, text: &str) -> Result<Option<BadReason>, ReadError> {
        let Some(header) = shape::object::<HeaderLine>(text) else { return Ok(Some(BadReason::NotJson)) };
        if !header.is_header() {
            return Err(ReadError::NotASession);
        }
        let id = header.id.0.as_deref().and_then(session_id).ok_or(ReadError::BadId)?;
        self.last = header.timestamp.0;
        self.header = Some((id, header));
        Ok(None)
    }

    fn entry(&mut self, text: &str) -> Option<BadReason> {
        let entry = match Entry::read(text) {
            Ok(entry) => entry,
            Err(NoEntry::NotJson) => return Some(BadReason::NotJson),
            Err(NoEntry::AnotherHeader) => return Some(BadReason::AnotherHeader),
            Err(NoEntry::NeitherTypeNorMessage) => return Some(BadReason::NotAnEntry),
        };
        if self.tree.knows(&entry.id) {
            // a line that was written twice
            return None;
        }
        self.last = self.last.max(entry.time);
        self.counts.entries += 1;
        let tokens = match &entry.meaning {
            Meaning::Assistant { tokens, .. } => tokens.total,
            _ => 0,
        };
        self.tree.add(&entry.id, &entry.parent, tokens, entry.is_message);
        self.count(entry.meaning);
        self.first.get_or_insert(entry.id);
        None
    }

    fn count(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::User => self.counts.users += 1,
            Meaning::ToolResult => self.counts.tool_results += 1,
            Meaning::Compaction => self.counts.compactions += 1,
            Meaning::Label => self.counts.labels += 1,
            Meaning::ModelChange(model) => self.chosen = model,
            Meaning::Other => {}
            Meaning::Assistant { model, tokens, stop_reason } => {
                self.counts.assistants += 1;
                add(&mut self.tokens, tokens);
                self.stop_reason = stop_reason;
                let model = model.or_else(|| self.chosen.clone()).filter(|model| may_keep(model));
                if let Some(model) = model
                    && self.models.len() < MAX_MODELS
                    && !self.models.contains(&model)
                {
                    self.models.push(model);
                }
            }
        }
    }

    fn finish(self, path: &Path, file: SourceFile, places: &Places) -> Result<SessionFile, ReadError> {
        let Some((id, header)) = self.header else { return Err(ReadError::Empty) };
        let created_at = header.timestamp.0.ok_or(ReadError::NotASession)?;
        let (project, here) = places.project(header.cwd.0.as_deref().unwrap_or_default());
        let first = self.first.and_then(|id| id.0).and_then(|(_, text)| text).filter(|id| may_keep(id));
        let source = source_of(path).unwrap_or_else(|| guess(&header, first.as_deref()));
        let (Shape { branch_points, branches, leaf }, ids) = self.tree.finish(may_keep);
        let session = Session {
            source,
            state: SessionState::Recorded,
            file: Some(file),
            format: Some(header.version()),
            project,
            leaf,
            counts: Counts { branches: branch_points, ..self.counts },
            tokens: self.tokens,
            models: self.models,
            stop_reason: self.stop_reason.filter(|reason| may_keep(reason)),
            branches,
            bad_lines: self.bad_lines,
            truncated: self.truncated,
            last_activity_at: self.last.unwrap_or(created_at),
            ..Session::begin(id, created_at)
        };
        Ok(SessionFile {
            path: path.to_owned(),
            session,
            bad: self.bad,
            here,
            parent: header.parent().map(str::to_owned),
            first,
            ids: is_shared(source).then_some(ids),
        })
    }
}

/// The id of a session from a file: one that may be stored.
fn session_id(text: &str) -> Option<SessionId> {
    text.parse().ok().filter(|_| may_keep(text))
}

/// Whether a text from a session file may be stored.
fn may_keep(text: &str) -> bool {
    is_name(text) && is_clean(text)
}

/// Whether a fork of these programs begins with a copy of what went before, under the same ids.
fn is_shared(source: Source) -> bool {
    matches!(source, Source::Pi | Source::Omp)
}

/// Whose file it is, by its looks: pi's entries have short ids.
fn guess(header: &HeaderLine, first: Option<&str>) -> Source {
    let short = first.is_some_and(|id| id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if header.is_camel() || short { Source::Pi } else { Source::Oxi }
}

fn add(sum: &mut Tokens, more: Tokens) {
    for (sum, more) in [
        (&mut sum.input, more.input),
        (&mut sum.output, more.output),
        (&mut sum.cache_read, more.cache_read),
        (&mut sum.cache_write, more.cache_write),
        (&mut sum.total, more.total),
    ] {
        *sum = sum.saturating_add(more);
    }
}

#[cfg(test)]
mod tests;
