//! Files to issues.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use super::node::{Key, Kind, Node, Tail, bad, parse_yaml, unsigned};
use super::{BadFile, BadReason, MAX_FILE, MAX_FRONTMATTER, conflict, write};
use crate::schema::id::{IssueId, Link, Slug};
use crate::schema::issue::{Assignment, Extra, GithubRef, Issue, IssueHead, Linked};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

/// A file cut into its parts.
pub(super) struct Parts<'a> {
    /// The byte order mark, if any, and the opening delimiter with its line end.
    pub(super) opening: &'a str,
    /// What stands between the delimiters.
    pub(super) yaml: &'a str,
    /// The closing delimiter with its line end.
    pub(super) closing: &'a str,
    /// The rest.
    pub(super) body: &'a str,
    /// How many lines come before the first of `yaml`.
    lines_before: u32,
}

/// Reads an issue file.
///
/// The body is kept as it is, and the slug is empty. What the original takes for a file without frontmatter, or for one
/// whose frontmatter goes on to its end, is refused here: that is what truncated and foreign files look like, and
/// nothing is guessed about them.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn parse(bytes: &[u8]) -> Result<Issue, BadFile> {
    let parts = split(bytes)?;
    let in_file = |mut error: BadFile| {
        error.line = error.line.map(|line| line.saturating_add(parts.lines_before));
        error
    };
    let root = parse_yaml(parts.yaml).map_err(in_file)?;
    let head = read_head(&root, parts.yaml).map_err(in_file)?;
    Ok(Issue { head, body: parts.body.to_owned() })
}

/// Checks what can be checked without looking at the YAML.
pub(super) fn split(bytes: &[u8]) -> Result<Parts<'_>, BadFile> {
    if bytes.len() > MAX_FILE {
        return Err(BadFile { line: None, reason: BadReason::TooLarge });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|&byte| byte == b'\n').count();
        bad(u32::try_from(line).unwrap_or(u32::MAX), BadReason::NotUtf8)
    })?;
    let parts = delimit(text);
    let body = parts.as_ref().map_or(text.len(), |parts| text.len() - parts.body.len());
    // said first, because a conflict is what breaks the rest
    if let Some(line) = conflict::first_marker(text, body) {
        return Err(bad(line, BadReason::ConflictMarker));
    }
    let parts = parts?;
    if parts.yaml.len() > MAX_FRONTMATTER {
        return Err(BadFile { line: None, reason: BadReason::FrontmatterTooLarge });
    }
    Ok(parts)
}

fn delimit(text: &str) -> Result<Parts<'_>, BadFile> {
    let unmarked = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let Some(after) = unmarked.strip_prefix("---") else {
        return Err(bad(1, BadReason::NoFrontmatter));
    };
    let (first, rest) = after.split_once('\n').ok_or(BadFile { line: Some(1), reason: BadReason::Unclosed })?;
    // like the original, take what follows the three dashes for the first line of YAML
    let (yaml, lines_before) = if is_blank(first) { (rest, 1) } else { (after, 0) };
    let mut end = if lines_before == 0 { first.len() + 1 } else { 0 };
    for line in yaml[end..].split_inclusive('\n') {
        if line.strip_prefix("---").is_some_and(is_blank) {
            let (opening, closing) = (&text[..text.len() - yaml.len()], line);
            return Ok(Parts { opening, yaml: &yaml[..end], closing, body: &yaml[end + line.len()..], lines_before });
        }
        end += line.len();
    }
    Err(BadFile { line: Some(1), reason: BadReason::Unclosed })
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The byte range of each key of the frontmatter in its text: from the key's first line to the last one that belongs to
/// its value, without comments and blank lines after that. None where keys do not each begin a line at its start, as
/// when the whole frontmatter stands in braces.
pub(super) fn key_ranges(root: &Node<'_>, yaml: &str) -> Option<Vec<Range<usize>>> {
    let Kind::Map { entries, flow: false } = &root.kind else { return None };
    let starts: Vec<usize> = entries.iter().map(|(key, _)| key.start).collect();
    let at_line_start = |&start: &usize| start == 0 || yaml.as_bytes().get(start - 1) == Some(&b'\n');
    let explicit = |&start: &usize| yaml.get(start..).is_none_or(|text| text.starts_with(['?', '&']));
    if !starts.iter().all(at_line_start) || starts.iter().any(explicit) || !starts.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let ends = starts.iter().skip(1).copied().chain([yaml.len()]);
    let ranges = starts.iter().zip(ends).zip(entries);
    ranges.map(|((&start, end), (key, node))| Some(start..trimmed_end(yaml, start, end, key, node)?)).collect()
}

/// The end of a key's last line, given where the next key begins.
fn trimmed_end(yaml: &str, start: usize, end: usize, key: &Key<'_>, node: &Node<'_>) -> Option<usize> {
    let keep = node.end.max(key.end);
    if node.tail != Tail::Exact {
        let keep = keep.min(end);
        // the parser has a block scalar begin at its first letter, or else after its blank lines
        let is_empty = yaml.as_bytes().get(..keep)?.ends_with(b"\n");
        return if is_empty {
            Some(keep)
        } else {
            block_end(yaml.get(keep..end)?, node.tail).map(|length| keep + length)
        };
    }
    let mut end = end;
    loop {
        let text = yaml.get(start..end)?;
        let whole = text.strip_suffix('\n').unwrap_or(text);
        let line_start = start + whole.rfind('\n').map_or(0, |at| at + 1);
        let line = &yaml[line_start..end];
        let goes = line.trim_start().starts_with('#') || is_blank(line);
        if !goes || line_start < keep || line_start <= start {
            return Some(end);
        }
        end = line_start;
    }
}

/// The length of a block scalar from its first letter on: a line that is not indented ends it, be it a comment.
fn block_end(text: &str, tail: Tail) -> Option<usize> {
    let mut lines = text.split_inclusive('\n');
    let mut length = lines.next()?.len();
    let mut end = length;
    for line in lines.take_while(|line| line.starts_with(' ') || is_blank(line)) {
        length += line.len();
        if tail == Tail::BlockWithBlanks || !is_blank(line) {
            end = length;
        }
    }
    Some(end)
}

fn wrong(line: u32, key: impl Into<Cow<'static, str>>, expected: &'static str) -> BadFile {
    bad(line, BadReason::WrongValue { key: key.into(), expected })
}

#[derive(Default)]
struct Fields {
    id: Option<IssueId>,
    title: Option<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

fn read_head(root: &Node<'_>, yaml: &str) -> Result<IssueHead, BadFile> {
    let Kind::Map { entries, .. } = &root.kind else {
        // an empty frontmatter lacks its first key
        let reason = if root.is_absent() { BadReason::MissingKey("id") } else { BadReason::NotAMap };
        return Err(bad(root.line, reason));
    };
    let missing = |key| bad(root.line, BadReason::MissingKey(key));
    let mut fields = Fields::default();
    let mut head = IssueHead::new(IssueId(0), String::new(), Timestamp::new(chrono::DateTime::UNIX_EPOCH));
    let mut unknown = Vec::new();
    for (at, (key, node)) in entries.iter().enumerate() {
        if !read_key(&mut fields, &mut head, &key.name, node)? {
            unknown.push(at);
        }
    }
    head.slug = Slug::default();
    head.id = fields.id.ok_or_else(|| missing("id"))?;
    head.title = fields.title.ok_or_else(|| missing("title"))?;
    head.created_at = fields.created_at.ok_or_else(|| missing("created_at"))?;
    head.updated_at = fields.updated_at.ok_or_else(|| missing("updated_at"))?;
    if !unknown.is_empty() {
        head.extra = read_extra(root, yaml, entries, &unknown);
    }
    Ok(head)
}

/// Reads one key; false if it is not known.
fn read_key(fields: &mut Fields, head: &mut IssueHead, key: &str, node: &Node<'_>) -> Result<bool, BadFile> {
    match key {
        "id" => fields.id = Some(id(node)?),
        "title" => fields.title = Some(text(node, "title")?),
        "status" => head.status = word(node, "status", "open or closed")?,
        "priority" => head.priority = word(node, "priority", "low, medium, high or critical")?,
        "labels" => head.labels = list(node, "labels", TEXTS, |item| item.text().map(str::to_owned))?,
        "assignee" => head.assignee = optional(node, |node| text(node, "assignee"))?,
        "created_at" => fields.created_at = Some(time(node, "created_at")?),
        "updated_at" => fields.updated_at = Some(time(node, "updated_at")?),
        "closed_at" => head.closed_at = optional(node, |node| time(node, "closed_at"))?,
        "sessions" => head.sessions = list(node, "sessions", TEXTS, |item| item.text().map(str::to_owned))?,
        "assigned_to" => head.assigned_to = optional(node, assignment)?,
        "github" => head.github = optional(node, github)?,
        "depends_on" => head.depends_on = list(node, "depends_on", LINKS, |item| Link::parse(item.text()?))?,
        "handoffs" => head.handoffs = list(node, "handoffs", LINKED, linked)?,
        "validations" => head.validations = list(node, "validations", LINKED, linked)?,
        _ => return Ok(false),
    }
    Ok(true)
}

const TEXT: &str = "a text";
const TEXTS: &str = "a list of texts";
const LINKS: &str = "a list of issues (such as 0012-fix-login or 12)";
const LINKED: &str = "a list of maps, each with an id";
const TIME: &str = "a date and time with an offset (such as 2026-06-17T10:30:00Z)";
const NUMBER: &str = "a whole number, without quotes and leading zeros";

fn optional<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Result<T, BadFile>) -> Result<Option<T>, BadFile> {
    if node.is_null() { Ok(None) } else { read(node).map(Some) }
}

fn text(node: &Node<'_>, key: &'static str) -> Result<String, BadFile> {
    node.text().map(str::to_owned).ok_or_else(|| wrong(node.line, key, TEXT))
}

fn word<T: FromStr>(node: &Node<'_>, key: &'static str, expected: &'static str) -> Result<T, BadFile> {
    node.text().and_then(|text| text.parse().ok()).ok_or_else(|| wrong(node.line, key, expected))
}

fn time(node: &Node<'_>, key: &'static str) -> Result<Timestamp, BadFile> {
    word(node, key, TIME)
}

fn id(node: &Node<'_>) -> Result<IssueId, BadFile> {
    let number = node.plain().and_then(unsigned).and_then(|number| u32::try_from(number).ok());
    number.map(IssueId).ok_or_else(|| wrong(node.line, "id", NUMBER))
}

/// A list; nothing at all after the colon is an empty one too, as in the original, but `null` is not.
fn list<T>(
    node: &Node<'_>,
    key: &'static str,
    expected: &'static str,
    read: impl Fn(&Node<'_>) -> Option<T>,
) -> Result<Vec<T>, BadFile> {
    match &node.kind {
        Kind::List { items, .. } => {
            items.iter().map(|item| read(item).ok_or_else(|| wrong(item.line, key, expected))).collect()
        }
        _ if node.is_absent() => Ok(Vec::new()),
        _ => Err(wrong(node.line, key, expected)),
    }
}

fn linked(node: &Node<'_>) -> Option<Linked> {
    let id = field(node, "id")?.text().filter(|id| !id.is_empty())?;
    let mut value = node.value();
    // an id is a text, also where it reads as a number
    if let Value::Map(entries) = &mut value
        && let Some((_, stored)) = entries.iter_mut().find(|(name, _)| name == "id")
    {
        *stored = Value::from(id);
    }
    Some(Linked { id: id.to_owned(), value })
}

fn field<'n, 'a>(node: &'n Node<'a>, name: &str) -> Option<&'n Node<'a>> {
    match &node.kind {
        Kind::Map { entries, .. } => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
        _ => None,
    }
}

fn nested<'n, 'a>(node: &'n Node<'a>, name: &str, key: &'static str) -> Result<&'n Node<'a>, BadFile> {
    if !matches!(node.kind, Kind::Map { .. }) {
        return Err(wrong(node.line, key.split('.').next().unwrap_or(key), "a map of keys with values, or nothing"));
    }
    field(node, name).ok_or_else(|| bad(node.line, BadReason::MissingKey(key)))
}

fn assignment(node: &Node<'_>) -> Result<Assignment, BadFile> {
    let session = nested(node, "session", "assigned_to.session")?;
    let acquired_at = nested(node, "acquired_at", "assigned_to.acquired_at")?;
    Ok(Assignment {
        session: text(session, "assigned_to.session")?,
        acquired_at: time(acquired_at, "assigned_to.acquired_at")?,
    })
}

fn github(node: &Node<'_>) -> Result<GithubRef, BadFile> {
    let repo = text(nested(node, "repo", "github.repo")?, "github.repo")?;
    let number = nested(node, "number", "github.number")?;
    let url = text(nested(node, "url", "github.url")?, "github.url")?;
    let number = number.plain().and_then(unsigned).ok_or_else(|| wrong(number.line, "github.number", NUMBER))?;
    Ok(GithubRef { repo, number, url })
}

type Entry<'a> = (Key<'a>, Node<'a>);

fn read_extra(root: &Node<'_>, yaml: &str, entries: &[Entry<'_>], unknown: &[usize]) -> BTreeMap<String, Extra> {
    let ranges = key_ranges(root, yaml);
    let read = |&at: &usize| {
        let (key, node) = &entries[at];
        let (name, value) = (key.name.clone().into_owned(), node.value());
        let lines = ranges.as_ref().and_then(|ranges| yaml.get(ranges[at].clone()));
        let lines = lines.map(|lines| with_lf(lines.to_owned()));
        // an alias, for one, means nothing without the rest of the file; and of lone CRs at the end of a line one would be
        // lost each time it is read, taken for half of a CRLF
        let own = lines.filter(|lines| !lines.contains('\r') && !ends_document(lines));
        let own = own.filter(|lines| write::means(lines, &name, &value));
        let yaml = own.unwrap_or_else(|| write::entry(&name, &value));
        (name, Extra { yaml, value })
    };
    let mut extra: BTreeMap<String, Extra> = unknown.iter().map(read).collect();
    // where one key has to be written so, the lines of the others cannot be told when the file is read again
    if extra.values().any(|extra| extra.yaml.starts_with("? ")) {
        for (name, extra) in &mut extra {
            extra.yaml = write::entry(name, &extra.value);
        }
    }
    extra
}

/// Whether nothing could follow these lines.
fn ends_document(lines: &str) -> bool {
    lines.split('\n').any(|line| line.starts_with("..."))
}

fn with_lf(lines: String) -> String {
    let mut lines = if lines.contains('\r') { lines.replace("\r\n", "\n") } else { lines };
    if !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines
}
