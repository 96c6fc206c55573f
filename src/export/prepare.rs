//! Deciding what is to be written for one record, by looking at what lies in its place.
//!
//! Nothing is written here. A file that is not what the baseline says holds an edit that import has not seen, and is
//! never written over.

use crate::db::record::{Baseline, Versioned};
use crate::fs::{Dir, Entry, FileStat, PathError};
use crate::import::scan::{self, MAX_FILE};
use crate::schema::frontmatter::{self, RenderError};
use crate::schema::id::{ContentHash, FileName, Identity};
use crate::schema::issue::Issue;

/// A record that differs from its baseline.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The issue.
    pub identity: Identity,
    /// The record; none if it was deleted.
    pub record: Option<Versioned>,
    /// What file and record last agreed on.
    pub baseline: Option<Baseline>,
    /// Whether a person must end a conflict first.
    pub in_conflict: bool,
}

impl Changed {
    /// Whether it is to get a file and never had one.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.record.is_some() && self.baseline.is_none() && !self.in_conflict
    }
}

/// What is to be done for one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Prepared {
    /// Nothing: it waits for a person.
    InConflict,
    /// The file says what the record says already, in these bytes.
    Converged {
        /// The file.
        name: FileName,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Their hash.
        file: ContentHash,
        /// Its stat data.
        stat: FileStat,
    },
    /// Write a file.
    Write(Write),
    /// Remove the file.
    Remove {
        /// The file.
        name: FileName,
        /// Its stat data, which must still be so.
        stat: FileStat,
    },
    /// The file is gone, and so is the record.
    Forget,
    /// The file holds something that must not be written over.
    Refused {
        /// The file.
        name: FileName,
        /// What a person is told.
        reason: &'static str,
    },
    /// The file cannot be read, or the record cannot be written as a file.
    Bad {
        /// The file.
        name: FileName,
        /// The line, from 1.
        line: Option<u32>,
        /// What a person is told.
        reason: String,
    },
}

/// A file to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Its name.
    pub name: FileName,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub file: ContentHash,
    /// The file that it replaces, of the same name or another, with the stat data that it must still have.
    pub replaces: Option<(FileName, FileStat)>,
    /// The text of the file that is replaced, if it could not be changed line by line and loses its comments and order.
    pub lost: Option<String>,
}

/// The bytes of a file and their hash, if the record can be written.
pub type Rendered = Result<(Vec<u8>, ContentHash), RenderError>;

/// What the file of a record is to be that never had one. It takes no look at the folder.
#[must_use]
pub fn render_ahead(changed: &Changed) -> Option<Rendered> {
    changed.record.as_ref().filter(|_| changed.is_new()).map(|record| from_text(&record.issue, None))
}

const EDITED: &str = "it was edited since the last import; run `oxi-state sync`";
const EDITED_AND_DELETED: &str = "it was edited since the last import, for which `oxi-state sync` brings the issue back; \
                                  remove the file yourself if the issue is to be gone";
const IN_THE_WAY: &str = "another issue's file has that name; run `oxi-state sync`";

/// What is to be done for one record, given what [`render_ahead`] has made of it, if it was asked.
///
/// # Errors
/// If the folder cannot be read. A single file that cannot is [`Prepared::Bad`].
pub fn prepare(dir: &Dir, changed: &Changed, ahead: Option<Rendered>) -> Result<Prepared, PathError> {
    if changed.in_conflict {
        return Ok(Prepared::InConflict);
    }
    match (&changed.record, &changed.baseline) {
        (Some(record), baseline) => prepare_write(dir, &record.issue, baseline.as_ref(), ahead),
        (None, Some(baseline)) => prepare_removal(dir, baseline),
        (None, None) => Ok(Prepared::Forget),
    }
}

enum Found {
    Nothing,
    File(Vec<u8>, FileStat),
    Bad(String),
}

fn look(dir: &Dir, name: &FileName) -> Result<Found, PathError> {
    match dir.entry(&name.to_string())? {
        None => Ok(Found::Nothing),
        Some(Entry::File(stat)) if stat.size > MAX_FILE => Ok(Found::Bad("the file is larger than 1 MiB".into())),
        Some(Entry::File(_)) => match dir.read(&name.to_string(), MAX_FILE) {
            Ok((bytes, stat)) => Ok(Found::File(bytes, stat)),
            Err(error) if error.is_not_found() => Ok(Found::Nothing),
            Err(error) => Ok(Found::Bad(scan::unreadable(&error))),
        },
        Some(Entry::Symlink) => Ok(Found::Bad("it is a symbolic link, which is not followed".into())),
        Some(_) => Ok(Found::Bad("it is not a regular file".into())),
    }
}

fn prepare_removal(dir: &Dir, baseline: &Baseline) -> Result<Prepared, PathError> {
    let name = baseline.name.clone();
    Ok(match look(dir, &name)? {
        Found::Nothing => Prepared::Forget,
        Found::File(bytes, stat) if ContentHash::of(&bytes) == baseline.file => Prepared::Remove { name, stat },
        Found::File(bytes, _) => match frontmatter::parse(&bytes) {
            Ok(_) => Prepared::Refused { name, reason: EDITED_AND_DELETED },
            // an import will not take it in, so it is no use to name one
            Err(bad) => Prepared::Bad { name, line: bad.line, reason: bad.reason.to_string() },
        },
        Found::Bad(reason) => Prepared::Bad { name, line: None, reason },
    })
}

fn prepare_write(
    dir: &Dir,
    record: &Issue,
    baseline: Option<&Baseline>,
    ahead: Option<Rendered>,
) -> Result<Prepared, PathError> {
    // where nothing has the name, and the file that had another one is gone
    let new = |name: FileName| written(ahead.unwrap_or_else(|| from_text(record, baseline)), name, None);
    let target = record.head.file_name();
    let source = baseline.map_or_else(|| target.clone(), |baseline| baseline.name.clone());
    let (current, stat) = match look(dir, &source)? {
        Found::Nothing if source == target => return Ok(new(target)),
        Found::Nothing => {
            return Ok(occupied(dir, &target)?.unwrap_or_else(|| new(target)));
        }
        Found::Bad(reason) => return Ok(Prepared::Bad { name: source, line: None, reason }),
        Found::File(bytes, stat) => (bytes, stat),
    };
    let file = ContentHash::of(&current);
    let is_baseline = baseline.is_some_and(|baseline| file == baseline.file);
    let parsed = match frontmatter::parse(&current) {
        Ok(parsed) if parsed.head.id != source.id => {
            let reason = scan::id_mismatch(source.id, parsed.head.id);
            return Ok(Prepared::Bad { name: source, line: scan::id_line(&current), reason });
        }
        Ok(parsed) => named(parsed, &source),
        // git's conflict markers, which an import has merged from git's index: written over
        Err(_) if is_baseline && source == target => {
            let rendered = from_text(record, baseline);
            return Ok(written(rendered, target, Some((source, stat))));
        }
        Err(bad) => return Ok(Prepared::Bad { name: source, line: bad.line, reason: bad.reason.to_string() }),
    };
    if !is_baseline {
        return Ok(if with_final_newline(parsed.clone()) == *record && source == target {
            Prepared::Converged { name: source, bytes: current, file, stat }
        } else if parsed.head.identity() == record.head.identity() {
            Prepared::Refused { name: source, reason: EDITED }
        } else {
            Prepared::Refused { name: source, reason: IN_THE_WAY }
        });
    }
    if source != target
        && let Some(refusal) = occupied(dir, &target)?
    {
        return Ok(refusal);
    }
    Ok(match frontmatter::patch(&current, &parsed, record) {
        Ok(bytes) if bytes == current && source == target => Prepared::Converged { name: source, bytes, file, stat },
        Ok(bytes) => {
            let whole =
                frontmatter::render(record).as_bytes() == bytes && !frontmatter::is_our_rendering(&current, &parsed);
            let lost = whole.then(|| String::from_utf8_lossy(&current).into_owned());
            let file = ContentHash::of(&bytes);
            Prepared::Write(Write { name: target, bytes, file, replaces: Some((source, stat)), lost })
        }
        Err(error) => Prepared::Bad { name: target, line: None, reason: error.to_string() },
    })
}

/// The record as a file: from what its file last was, comments and all, or else from scratch.
fn from_text(record: &Issue, baseline: Option<&Baseline>) -> Rendered {
    let text = baseline.and_then(|baseline| baseline.text.as_deref().map(|text| (text, &baseline.name)));
    let patched = text.and_then(|(text, name)| {
        let old = named(frontmatter::parse(text.as_bytes()).ok()?, name);
        frontmatter::patch(text.as_bytes(), &old, record).ok()
    });
    let bytes = match patched {
        Some(bytes) => bytes,
        None => frontmatter::render_checked(record)?.into_bytes(),
    };
    let file = ContentHash::of(&bytes);
    Ok((bytes, file))
}

fn written(rendered: Rendered, name: FileName, replaces: Option<(FileName, FileStat)>) -> Prepared {
    match rendered {
        Ok((bytes, file)) => Prepared::Write(Write { name, bytes, file, replaces, lost: None }),
        Err(error) => Prepared::Bad { name, line: None, reason: error.to_string() },
    }
}

fn occupied(dir: &Dir, target: &FileName) -> Result<Option<Prepared>, PathError> {
    let name = target.clone();
    Ok(match look(dir, target)? {
        Found::Nothing => None,
        Found::File(..) => Some(Prepared::Refused { name, reason: IN_THE_WAY }),
        Found::Bad(reason) => Some(Prepared::Bad { name, line: None, reason }),
    })
}

fn named(mut issue: Issue, name: &FileName) -> Issue {
    issue.head.slug = name.slug.clone();
    issue
}

fn with_final_newline(mut issue: Issue) -> Issue {
    issue.body = Issue::with_final_newline(issue.body);
    issue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::issue::IssueHead;

    fn issue(id: u32, title: &str) -> Issue {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        Issue { head: IssueHead::new(crate::schema::id::IssueId(id), title.into(), now), body: String::new() }
    }

    fn baseline(issue: &Issue) -> Baseline {
        let text = frontmatter::render(issue);
        let file = ContentHash::of(text.as_bytes());
        Baseline { name: issue.head.file_name(), file, stat: None, content: file, text: None }
    }

    /// What is to be done for an issue that had number 1 and got number 2.
    fn renumbered(dir: &Dir) -> Prepared {
        let (before, now) = (issue(1, "moved"), issue(2, "moved"));
        let changed = Changed {
            identity: now.head.identity(),
            baseline: Some(baseline(&before)),
            record: Some(Versioned::new(now)),
            in_conflict: false,
        };
        prepare(dir, &changed, render_ahead(&changed)).unwrap()
    }

    #[test]
    fn a_file_that_moves_goes_nowhere_where_something_is_whether_the_old_one_is_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let replaces = |prepared: Prepared| match prepared {
            Prepared::Write(write) => Some((write.name.to_string(), write.replaces.map(|(old, _)| old.to_string()))),
            _ => None,
        };
        let (old, new) = ("0001-moved.md", "0002-moved.md");
        assert_eq!(replaces(renumbered(&dir)), Some((new.into(), None)));
        dir.replace(old, frontmatter::render(&issue(1, "moved")).as_bytes()).unwrap();
        assert_eq!(replaces(renumbered(&dir)), Some((new.into(), Some(old.into()))));
        dir.replace(new, b"anything").unwrap();
        let is_refused = |prepared| matches!(prepared, Prepared::Refused { reason: IN_THE_WAY, .. });
        assert!(is_refused(renumbered(&dir)));
        dir.remove(old).unwrap();
        assert!(is_refused(renumbered(&dir)));
        dir.remove(new).unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.path().join(new)).unwrap();
        assert!(matches!(renumbered(&dir), Prepared::Bad { .. }));
    }
}
