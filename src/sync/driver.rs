//! Merging two versions of an issue file as git's merge driver: fields, sets and lines, as everywhere here, but without a
//! project or a database.
//!
//! Pure: bytes in, bytes out. Swapping the sides gives the same text, but for the order of the two sides within conflict
//! markers. What stands in the frontmatter never gets markers, unless the file as a whole does: two different issues that
//! met on one path, and one issue that both sides numbered anew, are never merged into one file. Both versions then stand
//! in it in full, and `sync` takes them from git's index or from the branches (see `unmerged`). Files that cannot be read
//! as issues are merged as text, by lines, as git itself would.
//!
//! Values that the other side had set are not noted anywhere here, as there is no log without a database; git's history
//! has both versions.

use std::cmp::Ordering;
use std::fmt;

use super::diff3::{self, Chunk, Merged};
use super::merge::{self, Side};
use super::plan::{is_later, without_foreign_keys};
use crate::schema::frontmatter::{self, BadReason};
use crate::schema::id::FileName;
use crate::schema::issue::Issue;

#[cfg(test)]
mod tests;

/// Lengths that a conflict marker may have: what reading an issue file takes for one.
const MARKER_SIZES: std::ops::RangeInclusive<usize> = 7..=16;

/// What git tells of a merge of one file.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    /// The common ancestor; empty if there is none.
    pub base: &'a [u8],
    /// The version of the current branch.
    pub ours: &'a [u8],
    /// The version of the other branch.
    pub theirs: &'a [u8],
    /// The path that the result will have in the work tree.
    pub path: &'a str,
    /// How many signs a conflict marker is to have; brought within what is recognised as a marker.
    pub marker_size: usize,
    /// What git calls our side.
    pub ours_label: &'a str,
    /// What git calls their side.
    pub theirs_label: &'a str,
}

/// Why a person must look at the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// Both changed the same lines of the body.
    Body,
    /// The two versions are of different issues.
    TwoIssues,
    /// Both sides gave the issue another number.
    TwoNumbers,
    /// A version is no issue file, and both changed the same lines of it.
    Text,
    /// A version is no text.
    Binary,
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "both sides changed the same lines of the body",
            Self::TwoIssues => "two different issues have met on this path",
            Self::TwoNumbers => "both sides gave the issue another number",
            Self::Text => "it is no issue file on at least one side, and both changed the same lines",
            Self::Binary => "it is no text on at least one side; ours was left as it was",
        })
    }
}

/// The merged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Set if git is to call it a conflict.
    pub unsettled: Option<Unsettled>,
}

impl MergedFile {
    fn clean(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), unsettled: None }
    }
}

/// Merges two versions of a file.
#[must_use]
pub fn merge_files(versions: &Versions<'_>) -> MergedFile {
    let Versions { base, ours, theirs, path, .. } = *versions;
    if ours == theirs || theirs == base {
        return MergedFile::clean(ours);
    }
    if ours == base {
        return MergedFile::clean(theirs);
    }
    let name = FileName::parse(path.rsplit('/').next().unwrap_or(path));
    let read = (Version::read(ours), Version::read(theirs), name);
    let merged = match read {
        (Some(ours), Some(theirs), Ok(name)) => merge_issues(versions, ours, theirs, &name),
        _ => None,
    };
    merged.unwrap_or_else(|| merge_text(versions))
}

/// One version that is an issue file. Where all its lines end in CRLF they are read as if they ended in LF.
struct Version {
    issue: Issue,
    text: String,
    /// Where the body begins.
    body: usize,
    crlf: bool,
    oxi_rendering: bool,
}

impl Version {
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|_| bytes.len() <= frontmatter::MAX_FILE)?;
        let feeds = text.matches('\n').count();
        let crlf = feeds > 0 && feeds == text.matches("\r\n").count();
        let text = if crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
        let mut issue = frontmatter::parse(text.as_bytes()).ok()?;
        let oxi_rendering = frontmatter::is_oxi_rendering(text.as_bytes(), &issue);
        let body = text.len() - issue.body.len();
        issue.body = Issue::with_final_newline(issue.body);
        Some(Self { issue, text, body, crlf, oxi_rendering })
    }

    /// Reads a common ancestor. Where branches crossed, it is itself a merge, and its body may hold conflict markers: they
    /// are lines that neither side has.
    fn read_base(bytes: &[u8]) -> Option<Self> {
        let is_marked = |error: &frontmatter::BadFile| error.reason == BadReason::ConflictMarker;
        if !frontmatter::parse(bytes).as_ref().is_err_and(is_marked) {
            return Self::read(bytes);
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let indented = text.split_inclusive('\n').map(|line| match line.as_bytes() {
            [b'<' | b'>' | b'|', ..] => [" ", line].concat(),
            _ => line.to_owned(),
        });
        Self::read(indented.collect::<String>().as_bytes())
    }

    fn head(&self) -> &str {
        &self.text[..self.body]
    }

    fn raw_body(&self) -> &str {
        &self.text[self.body..]
    }
}

/// Merges two versions of an issue; none if they can only be merged as text.
fn merge_issues(
    versions: &Versions<'_>,
    mut ours: Version,
    mut theirs: Version,
    name: &FileName,
) -> Option<MergedFile> {
    if ours.issue.head.created_at != theirs.issue.head.created_at || were_two_names(versions) {
        return Some(as_wholes(versions, Unsettled::TwoIssues));
    }
    let same_issue = |base: &Version| base.issue.head.created_at == ours.issue.head.created_at;
    let mut base = Version::read_base(versions.base).filter(same_issue);
    let base_id = base.as_ref().map(|base| base.issue.head.id);
    let ids = [ours.issue.head.id, theirs.issue.head.id];
    if ids[0] != ids[1] && !base_id.is_some_and(|base| ids.contains(&base)) {
        return Some(as_wholes(versions, Unsettled::TwoNumbers));
    }
    // the file's name goes along with the number; where it does not, the side that changed it decides
    let changed = if Some(ids[0]) == base_id { ids[1] } else { ids[0] };
    let id = if ids.contains(&name.id) { name.id } else { changed };
    for version in base.iter_mut().chain([&mut ours, &mut theirs]) {
        version.issue.head.id = id;
        version.issue.head.slug = name.slug.clone();
    }
    // what the original dropped when it rewrote the file was not deleted
    let is_rewriting =
        |version: &Version, base: &Version| version.oxi_rendering && is_later(&version.issue, &base.issue);
    let rewritten = |base: &&Version| is_rewriting(&ours, base) || is_rewriting(&theirs, base);
    let stripped = base.as_ref().filter(rewritten).map(|base| without_foreign_keys(&base.issue));
    let base_issue = stripped.as_ref().or(base.as_ref().map(|base| &base.issue));
    let merged = merge::merge(base_issue, &ours.issue, &theirs.issue);
    let side = winner(base_issue, &ours, &theirs, merged.winner);
    let winner = if side == Side::Ours { &ours } else { &theirs };
    let head = mixed_head(base.as_ref(), &ours, &theirs, side);
    let (text, unsettled) = [head.as_str(), winner.head()]
        .into_iter()
        .find_map(|head| write(head, winner.raw_body(), &merged.issue, merged.body_conflict.as_deref(), versions))?;
    // where nothing else tells the sides apart, no side is newer
    let crlf_of_winner = winner.crlf && ours.text != theirs.text;
    let crlf = three_way(base.as_ref().map(|base| base.crlf), ours.crlf, theirs.crlf, crlf_of_winner);
    // a side of mixed line ends was read as it is
    let text = if crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text };
    Some(MergedFile { bytes: text.into_bytes(), unsettled })
}

/// Whether git's labels name files of two issues: it took one for the other, renamed.
fn were_two_names(versions: &Versions<'_>) -> bool {
    let slug = |label: &str| {
        let (_, path) = label.split_once(':')?;
        FileName::parse(path.rsplit('/').next()?).ok().map(|name| name.slug)
    };
    matches!((slug(versions.ours_label), slug(versions.theirs_label)), (Some(ours), Some(theirs)) if ours != theirs)
}

/// The side whose text lends what only text carries. Where the issues do not tell, the texts do, so that it is the same
/// whichever side is called ours.
fn winner(base: Option<&Issue>, ours: &Version, theirs: &Version, found: Side) -> Side {
    let swapped = merge::winner(base, &theirs.issue, &ours.issue);
    if found == swapped && ours.text.cmp(&theirs.text) == Ordering::Less {
        Side::Theirs
    } else if found == swapped {
        Side::Ours
    } else {
        found
    }
}

/// The value that one side changed, or what decides if there is none to compare with.
fn three_way(base: Option<bool>, ours: bool, theirs: bool, winner: bool) -> bool {
    match base {
        _ if ours == theirs => ours,
        Some(base) => !base,
        None => winner,
    }
}

/// The frontmatters merged as text, for the sake of the comments of both; what both changed is the winner's, with the
/// comments that the other side added. What it says is put right afterwards.
fn mixed_head(base: Option<&Version>, ours: &Version, theirs: &Version, winner: Side) -> String {
    match diff3::merge(base.map_or("", Version::head), ours.head(), theirs.head()) {
        Merged::Clean(head) => head,
        Merged::Overlap(chunks) => {
            let picked = chunks.iter().map(|chunk| match (chunk, winner) {
                (Chunk::Stable(text), _) => text.clone(),
                (Chunk::Conflict { base, ours, theirs }, Side::Ours) => with_comments_of(ours, theirs, base),
                (Chunk::Conflict { base, ours, theirs }, Side::Theirs) => with_comments_of(theirs, ours, base),
            });
            picked.collect()
        }
    }
}

/// Lines of a frontmatter with the comments that another version of them added, each before the line that it stands
/// before there, or after all others.
fn with_comments_of(lines: &str, other: &str, base: &str) -> String {
    let is_comment = |line: &str| line.starts_with('#');
    let is_same = |one: &str, other: &str| {
        let key = |line: &str| line.split(':').next().filter(|_| !is_comment(line)).map(str::to_owned);
        // line ends may be mixed
        one.trim_end() == other.trim_end() || (!is_comment(one) && key(one) == key(other))
    };
    let (mut lines, known): (Vec<_>, Vec<_>) =
        (lines.split_inclusive('\n').collect(), base.split_inclusive('\n').collect());
    let mut rest = other.split_inclusive('\n');
    while let Some(line) = rest.next() {
        let is_there = |lines: &[&str]| lines.iter().any(|there| is_same(line, there));
        if is_comment(line) && !is_there(&known) && !is_there(&lines) {
            let at = rest.clone().find_map(|next| lines.iter().position(|line| is_same(line, next)));
            lines.insert(at.unwrap_or(lines.len()), line);
        }
    }
    lines.concat()
}

/// Puts a merged issue into a text with this frontmatter; none if it cannot be done.
fn write(
    head: &str,
    body: &str,
    merged: &Issue,
    conflict: Option<&[Chunk]>,
    versions: &Versions<'_>,
) -> Option<(String, Option<Unsettled>)> {
    let text = [head, body].concat();
    let old = frontmatter::parse(text.as_bytes()).ok()?;
    let Some(chunks) = conflict else {
        let bytes = frontmatter::patch(text.as_bytes(), &old, merged).ok()?;
        return Some((String::from_utf8(bytes).ok()?, None));
    };
    let headed = Issue { head: merged.head.clone(), body: old.body.clone() };
    let bytes = frontmatter::patch(text.as_bytes(), &old, &headed).ok()?;
    let end = bytes.len() - frontmatter::parse(&bytes).ok()?.body.len();
    let mut text = String::from_utf8(bytes).ok()?;
    text.truncate(end);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&marked(chunks, versions));
    Some((text, Some(Unsettled::Body)))
}

fn marked(chunks: &[Chunk], versions: &Versions<'_>) -> String {
    let size = versions.marker_size.clamp(*MARKER_SIZES.start(), *MARKER_SIZES.end());
    diff3::with_markers(chunks, versions.ours_label, versions.theirs_label, size)
}

/// Merges by lines, whatever they mean. Bytes that are no UTF-8 stay what they are.
fn merge_text(versions: &Versions<'_>) -> MergedFile {
    let Versions { base, ours, theirs, .. } = *versions;
    if [base, ours, theirs].iter().any(|bytes| bytes.contains(&0)) {
        return MergedFile { bytes: ours.to_vec(), unsettled: Some(Unsettled::Binary) };
    }
    // of two issues, too, whose other lines cannot be read
    if matches!((created_line(ours), created_line(theirs)), (Some(ours), Some(theirs)) if ours != theirs) {
        return as_wholes(versions, Unsettled::TwoIssues);
    }
    match diff3::merge(&as_letters(base), &as_letters(ours), &as_letters(theirs)) {
        Merged::Clean(text) => MergedFile::clean(as_bytes(&text)),
        Merged::Overlap(chunks) => with_letters_marked(&chunks, versions, Unsettled::Text),
    }
}

/// Both versions in full, one after the other, between conflict markers.
fn as_wholes(versions: &Versions<'_>, why: Unsettled) -> MergedFile {
    let [base, ours, theirs] = [versions.base, versions.ours, versions.theirs].map(as_letters);
    with_letters_marked(&[Chunk::Conflict { base, ours, theirs }], versions, why)
}

fn with_letters_marked(chunks: &[Chunk], versions: &Versions<'_>, why: Unsettled) -> MergedFile {
    let [ours_label, theirs_label] = [versions.ours_label, versions.theirs_label].map(|label| {
        // the letters that stand for bytes past ASCII must not be escaped as control characters
        label.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect::<String>()
    });
    let labelled = Versions { ours_label: &ours_label, theirs_label: &theirs_label, ..*versions };
    MergedFile { bytes: as_bytes(&marked(chunks, &labelled)), unsettled: Some(why) }
}

/// A letter for each byte, so that lines of any encoding can be compared.
fn as_letters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn as_bytes(letters: &str) -> Vec<u8> {
    // every letter comes from a byte
    letters.chars().filter_map(|letter| u8::try_from(letter).ok()).collect()
}

/// When an issue was created, as far as a line says so.
fn created_line(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes.split(|&byte| byte == b'\n').find(|line| line.starts_with(b"created_at:"));
    line.map(<[u8]>::trim_ascii_end)
}
