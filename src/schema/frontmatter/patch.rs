//! Changes in an existing file: only the lines that must change do.
//!
//! What comes out is read again before it is returned. Where lines cannot be told apart, or the result would say
//! something else, the canonical text takes the file's place.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use super::node::{Key, Kind, Node, Tail, parse_yaml};
use super::read::{Parts, key_ranges, split};
use super::write::{KEYS, write_key};
use super::{RenderError, is_oxi_rendering, parse, render_checked, same_body, same_head};
use crate::schema::issue::{Issue, IssueHead};

/// Rewrites a file so that it says `new`, where `old` is what [`parse`] made of it.
///
/// Only the lines of keys that differ are touched, and the body only if it differs (a final line feed apart). Comments,
/// unknown keys, the order and spelling of the other keys, a byte order mark and CRLF stay as they are. A new key comes
/// after the one that precedes it in canonical order. Without a difference the bytes are returned as they are. Where the
/// last key goes that the original program does not know, an empty list stays in its place if without it the file would
/// look as if that program had dropped the keys (see [`super::is_oxi_rendering`]). In a body
/// that ends every line in CRLF the new one does so too; otherwise it is taken as given, with a final line feed.
///
/// # Errors
/// When neither the changed file nor the canonical text could be read as `new`, or `current` cannot be read.
pub fn patch(current: &[u8], old: &Issue, new: &Issue) -> Result<Vec<u8>, RenderError> {
    let parts = split(current)?;
    let keys: BTreeSet<Name<'_>> = changed_keys(&old.head, &new.head).collect();
    let new_body = !same_body(&old.body, &new.body);
    if keys.is_empty() && !new_body {
        return Ok(current.to_vec());
    }
    let crlf = parts.opening.ends_with("\r\n") || (parts.opening.ends_with('-') && first_line_is_crlf(parts.yaml));
    let body = if new_body { patched_body(&new.body) } else { Cow::Borrowed(parts.body) };
    let with_mark = |mark: Option<Name<'_>>| {
        let yaml = patched_yaml(&parts, &keys, mark, &new.head, crlf)?;
        let closing_end = match (parts.closing.ends_with('\n') || body.is_empty(), crlf) {
            (true, _) => "",
            (false, true) => "\r\n",
            (false, false) => "\n",
        };
        let text = [parts.opening, &yaml, parts.closing, closing_end, &body].concat();
        let is_faithful = parse(text.as_bytes()).is_ok_and(|read| same_head(&read, new) && read.body == body);
        is_faithful.then(|| text.into_bytes())
    };
    let text = with_mark(None);
    if let (Some(text), Some(mark)) = (&text, mark_of_removal(&old.head, &new.head))
        && parse(text).is_ok_and(|read| is_oxi_rendering(text, &read))
        && let Some(marked) = with_mark(Some(mark))
    {
        return Ok(marked);
    }
    text.map_or_else(|| render_checked(new).map(String::into_bytes), Ok)
}

fn first_line_is_crlf(text: &str) -> bool {
    text.split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n"))
}

/// A key in canonical order: the known ones as [`KEYS`] has them, then the unknown ones by name.
type Name<'a> = (usize, &'a str);

fn name(key: &str) -> Name<'_> {
    (KEYS.iter().position(|known| *known == key).unwrap_or(KEYS.len()), key)
}

fn changed_keys<'a>(old: &'a IssueHead, new: &'a IssueHead) -> impl Iterator<Item = Name<'a>> {
    let known = [
        old.id != new.id,
        old.title != new.title,
        old.status != new.status,
        old.priority != new.priority,
        old.labels != new.labels,
        old.assignee != new.assignee,
        old.created_at != new.created_at,
        old.updated_at != new.updated_at,
        old.closed_at != new.closed_at,
        old.sessions != new.sessions,
        old.assigned_to != new.assigned_to,
        old.github != new.github,
        old.depends_on != new.depends_on,
        old.handoffs != new.handoffs,
        old.validations != new.validations,
    ];
    let known = known.into_iter().zip(KEYS).filter(|(changed, _)| *changed).map(|(_, key)| name(key));
    let unknown = old.extra.keys().chain(new.extra.keys()).filter(|key| old.extra.get(*key) != new.extra.get(*key));
    known.chain(unknown.map(|key| (KEYS.len(), key.as_str())))
}

/// The key that stays as an empty list where the last one goes that the original does not know.
fn mark_of_removal(old: &IssueHead, new: &IssueHead) -> Option<Name<'static>> {
    let lists = |head: &IssueHead| {
        [
            ("depends_on", head.depends_on.is_empty()),
            ("handoffs", head.handoffs.is_empty()),
            ("validations", head.validations.is_empty()),
        ]
    };
    let goes = |head: &IssueHead| lists(head).iter().all(|(_, is_empty)| *is_empty) && head.extra.is_empty();
    if goes(old) || !goes(new) {
        return None;
    }
    let emptied = lists(old).into_iter().find(|(_, is_empty)| !is_empty).map_or("depends_on", |(key, _)| key);
    Some(name(emptied))
}

/// The lines of a key in an issue, or none where it is left out.
fn lines_of(head: &IssueHead, mark: Option<Name<'_>>, (rank, key): Name<'_>) -> String {
    let mut lines = String::new();
    if mark == Some((rank, key)) {
        return format!("{key}: []\n");
    }
    if rank < KEYS.len() {
        write_key(&mut lines, head, key);
    } else if let Some(extra) = head.extra.get(key) {
        lines.clone_from(&extra.yaml);
        if !lines.ends_with('\n') {
            lines.push('\n');
        }
    }
    lines
}

fn patched_yaml(
    parts: &Parts<'_>,
    keys: &BTreeSet<Name<'_>>,
    mark: Option<Name<'_>>,
    head: &IssueHead,
    crlf: bool,
) -> Option<String> {
    let root = parse_yaml(parts.yaml).ok()?;
    let ranges = key_ranges(&root, parts.yaml)?;
    let Kind::Map { entries, .. } = &root.kind else { return None };
    let mut edits: Vec<(Range<usize>, String)> = Vec::with_capacity(keys.len());
    // a mark may be of a key that was not there
    let keys: BTreeSet<Name<'_>> = keys.iter().copied().chain(mark).collect();
    for &key in &keys {
        let lines = lines_of(head, mark, key);
        let edit = if let Some(at) = entries.iter().position(|(found, _)| found.name == key.1) {
            let (found, node) = &entries[at];
            let lines = replacement(parts.yaml, &ranges[at], found, node, lines, head);
            let range = if after_block(entries, at, &keys, head, &lines) {
                ranges[at].start..over_dangling(parts.yaml, ranges[at].end)
            } else {
                ranges[at].clone()
            };
            (range, lines)
        } else {
            let at = place(entries, &ranges, key);
            let at = if has_block(&lines) { over_dangling(parts.yaml, at) } else { at };
            (at..at, lines)
        };
        edits.push(edit);
    }
    // what is put in before a line comes before what replaces that line
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut yaml = String::with_capacity(parts.yaml.len() + 256);
    let mut done = 0;
    for (range, lines) in edits {
        yaml.push_str(parts.yaml.get(done..range.start)?);
        yaml.push_str(&if crlf { with_crlf(&lines) } else { lines });
        done = range.end;
    }
    yaml.push_str(parts.yaml.get(done..)?);
    Some(yaml)
}

/// Where the lines of a key go that is not there yet.
fn place(entries: &[(Key<'_>, Node<'_>)], ranges: &[Range<usize>], key: Name<'_>) -> usize {
    let before = entries.iter().zip(ranges).filter(|((found, _), _)| name(&found.name) < key);
    let last = before.max_by_key(|((found, _), _)| name(&found.name));
    last.map_or_else(|| ranges.first().map_or(0, |range| range.start), |(_, range)| range.end)
}

/// Whether the text that will stand before the end of an edited key may be a block scalar, which takes in the blank and
/// indented lines that follow.
fn after_block(
    entries: &[(Key<'_>, Node<'_>)],
    at: usize,
    changed: &BTreeSet<Name<'_>>,
    head: &IssueHead,
    lines: &str,
) -> bool {
    if !lines.is_empty() {
        return has_block(lines);
    }
    let stays = |key: Name<'_>| !changed.contains(&key) || !lines_of(head, None, key).is_empty();
    let before = entries[..at].iter().rev().find(|(key, _)| stays(name(&key.name)));
    before.is_some_and(|(key, node)| node.tail != Tail::Exact || changed.contains(&name(&key.name)))
}

/// Whether lines may hold a block scalar; may err on the side of yes.
fn has_block(lines: &str) -> bool {
    [": |", "- |", ": >", "- >"].iter().any(|header| lines.contains(header))
}

/// The end of the blank lines and indented comments from a line on.
fn over_dangling(yaml: &str, from: usize) -> usize {
    let lines = yaml.get(from..).unwrap_or_default().split_inclusive('\n');
    let dangling = lines.take_while(|line| line.trim().is_empty() || line.starts_with([' ', '\t']));
    from + dangling.map(str::len).sum::<usize>()
}

/// The new lines of a key that is there: on one line as before where they fit, with the comment behind it.
fn replacement(
    yaml: &str,
    range: &Range<usize>,
    key: &Key<'_>,
    node: &Node<'_>,
    lines: String,
    head: &IssueHead,
) -> String {
    let line = yaml[range.clone()].trim_end_matches(['\n', '\r']);
    if line.contains('\n') || node.tail != Tail::Exact || lines.is_empty() {
        return lines;
    }
    let lines = match &node.kind {
        // An empty list has no other form, so it says nothing about the writer's taste; but a comment behind it must stay.
        Kind::List { flow: true, items } if items.is_empty() && line.ends_with(']') => lines,
        Kind::List { flow: true, .. } => in_brackets(&key.name, head).unwrap_or(lines),
        _ => lines,
    };
    let one_line = lines.trim_end_matches('\n');
    let comment = node.end.checked_sub(range.start).and_then(|end| line.get(end..)).unwrap_or_default();
    if node.end > key.end && !one_line.contains('\n') && comment.trim_start().starts_with('#') {
        return [one_line, comment, "\n"].concat();
    }
    lines
}

/// A list of plain words in brackets.
fn in_brackets(key: &str, head: &IssueHead) -> Option<String> {
    let items: Vec<Cow<'_, str>> = match key {
        "labels" => head.labels.iter().map(|item| Cow::Borrowed(item.as_str())).collect(),
        "sessions" => head.sessions.iter().map(|item| Cow::Borrowed(item.as_str())).collect(),
        "depends_on" => head.depends_on.iter().map(|link| Cow::Owned(link.to_string())).collect(),
        _ => return None,
    };
    let word = |item: &str| {
        super::write::is_word(item) || (item.contains('-') && item.starts_with(|c: char| c.is_ascii_digit()))
    };
    let simple = |item: &Cow<'_, str>| {
        word(item) && item.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
    };
    items.iter().all(simple).then(|| format!("{key}: [{}]\n", items.join(", ")))
}

fn patched_body(body: &str) -> Cow<'_, str> {
    if body.is_empty() || body.ends_with('\n') { Cow::Borrowed(body) } else { Cow::Owned([body, "\n"].concat()) }
}

fn with_crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n').filter(|line| !line.ends_with('\r')) {
            Some(line) => out.extend([line, "\r\n"]),
            None => out.push_str(line),
        }
    }
    out
}
