//! YAML events to a tree that still knows how each value was spelled and where.
//!
//! Work and memory are bounded by the length of the text: depth, values and text repeated by aliases have limits, and
//! nothing recurses deeper than [`MAX_DEPTH`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span};
use serde_saphyr::granit_parser::{StructureStyle, Tag};

use super::{BadFile, BadReason, MAX_FRONTMATTER};
use crate::schema::id::is_deceptive;
use crate::schema::value::Value;

/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 16;
/// Deepest nesting of those in brackets and braces.
const MAX_FLOW_DEPTH: usize = 8;
/// Most values in one frontmatter, aliased ones included.
const MAX_NODES: usize = 8192;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    /// The line it begins on, counted from 1.
    pub(super) line: u32,
    /// Where its text surely has not ended yet, as a byte offset.
    pub(super) end: usize,
    /// How it ends.
    pub(super) tail: Tail,
    /// What it is.
    pub(super) kind: Kind<'a>,
}

/// What follows the last thing with a text in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing: the value ends where [`Node::end`] says.
    Exact,
    /// It is a block scalar, so that indented lines after it belong to it.
    Block,
    /// It is a block scalar that ends in blank lines of its own.
    BlockWithBlanks,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    Scalar { text: Cow<'a, str>, plain: bool },
    List { items: Vec<Node<'a>>, flow: bool },
    Map { entries: Vec<(Key<'a>, Node<'a>)>, flow: bool },
}

/// A key with its place.
#[derive(Clone, Debug)]
pub(super) struct Key<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) line: u32,
    /// Where it begins, as a byte offset.
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) fn bad(line: u32, reason: BadReason) -> BadFile {
    BadFile { line: Some(line), reason }
}

/// Reads one YAML document; no document is an empty scalar. Lines count from 1 in this text.
pub(super) fn parse_yaml(text: &str) -> Result<Node<'_>, BadFile> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    options.flow_nesting_limit = MAX_FLOW_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { source: text, ..Builder::default() };
    let mut documents = 0;
    let mut last_line = 1;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        last_line = line_of(&span);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(bad(last_line, BadReason::SeveralDocuments));
                }
            }
            event => builder.event(event, &span)?,
        }
    }
    let nothing = Kind::Scalar { text: Cow::Borrowed(""), plain: true };
    Ok(builder.root.unwrap_or(Node { line: last_line, end: 0, tail: Tail::Exact, kind: nothing }))
}

fn scan_error(error: &ScanError) -> BadFile {
    let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
    let reason = match error.kind() {
        ErrorKind::RecursionLimitExceeded => BadReason::TooDeep,
        // its messages name no content, but at most one escaped character
        kind => BadReason::NotYaml(kind.to_string()),
    };
    bad(line, reason)
}

fn line_of(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

fn offset(marker: &serde_saphyr::granit_parser::Marker) -> usize {
    marker.byte_offset().unwrap_or(0)
}

/// A list or map whose end has not come yet.
struct Open<'a> {
    anchor: usize,
    line: u32,
    flow: bool,
    items: Items<'a>,
}

enum Items<'a> {
    List(Vec<Node<'a>>),
    Map { entries: Vec<(Key<'a>, Node<'a>)>, key: Option<Key<'a>> },
}

#[derive(Default)]
struct Builder<'a> {
    source: &'a str,
    open: Vec<Open<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    nodes: usize,
    copied: usize,
    root: Option<Node<'a>>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>, span: &Span) -> Result<(), BadFile> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                self.scalar(text, style, anchor, span)
            }
            Event::SequenceStart(style, anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                self.begin(style, anchor, span, Items::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                self.begin(style, anchor, span, Items::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish(span),
            Event::Alias(id) => self.alias(id, span),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, style: StructureStyle, anchor: usize, span: &Span, items: Items<'a>) -> Result<(), BadFile> {
        let line = line_of(span);
        if self.wants_key() {
            return Err(bad(line, BadReason::KeyNotText));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(bad(line, BadReason::TooDeep));
        }
        self.open.push(Open { anchor, line, flow: style == StructureStyle::Flow, items });
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Map { key: None, .. }, .. }))
    }

    fn scalar(&mut self, text: Cow<'a, str>, style: ScalarStyle, anchor: usize, span: &Span) -> Result<(), BadFile> {
        let line = line_of(span);
        let plain = style == ScalarStyle::Plain;
        // the parser says `~` where nothing is written
        let absent = plain && text == "~" && span.slice(self.source) != Some("~");
        let text = if absent { Cow::Borrowed("") } else { text };
        if self.wants_key() {
            return self.key(text, plain, span);
        }
        let (end, tail) = match style {
            // nothing is written, wherever the parser thinks that it is
            ScalarStyle::Plain if text.is_empty() => (0, Tail::Exact),
            ScalarStyle::Literal | ScalarStyle::Folded if text.ends_with("\n\n") || text == "\n" => {
                (offset(&span.start), Tail::BlockWithBlanks)
            }
            ScalarStyle::Literal | ScalarStyle::Folded => (offset(&span.start), Tail::Block),
            _ => (offset(&span.end), Tail::Exact),
        };
        self.push(Node { line, end, tail, kind: Kind::Scalar { text, plain } }, anchor)
    }

    fn key(&mut self, name: Cow<'a, str>, plain: bool, span: &Span) -> Result<(), BadFile> {
        let line = line_of(span);
        if name.is_empty() {
            return Err(bad(line, BadReason::KeyNotText));
        }
        if plain && name == "<<" {
            return Err(bad(line, BadReason::MergeKey));
        }
        if name.chars().any(is_deceptive) {
            return Err(bad(line, BadReason::DeceptiveKey(name.into_owned())));
        }
        if let Some(Open { items: Items::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key { name, line, start: offset(&span.start), end: offset(&span.end) });
        }
        Ok(())
    }

    fn finish(&mut self, span: &Span) -> Result<(), BadFile> {
        let Some(Open { anchor, line, flow, items }) = self.open.pop() else { return Ok(()) };
        let (last, kind) = match items {
            Items::List(items) => (items.last().map(|node| (node.end, node.tail)), Kind::List { items, flow }),
            Items::Map { entries, .. } => {
                refuse_duplicates(&entries)?;
                let last = entries.last().map(|(key, node)| (node.end.max(key.end), node.tail));
                (last, Kind::Map { entries, flow })
            }
        };
        let (end, tail) = if flow { (offset(&span.end), Tail::Exact) } else { last.unwrap_or((0, Tail::Exact)) };
        self.push(Node { line, end, tail, kind }, anchor)
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<(), BadFile> {
        let line = line_of(span);
        if self.wants_key() {
            return Err(bad(line, BadReason::KeyNotText));
        }
        // an anchor around this very place is not there yet: a value cannot hold itself
        let Some(node) = self.anchors.get(&id) else {
            return Err(bad(line, BadReason::NotYaml("found unknown anchor".to_owned())));
        };
        if self.open.len() + height(node) > MAX_DEPTH {
            return Err(bad(line, BadReason::TooDeep));
        }
        let (nodes, bytes) = size(node);
        self.nodes += nodes;
        self.copied += bytes;
        if self.nodes > MAX_NODES || self.copied > MAX_FRONTMATTER {
            return Err(bad(line, BadReason::TooMany));
        }
        let node = Node { line, end: offset(&span.end), tail: Tail::Exact, kind: node.kind.clone() };
        self.push(node, 0)
    }

    fn push(&mut self, node: Node<'a>, anchor: usize) -> Result<(), BadFile> {
        self.nodes += 1;
        if anchor != 0 {
            let (nodes, bytes) = size(&node);
            self.nodes += nodes;
            self.copied += bytes;
        }
        if self.nodes > MAX_NODES || self.copied > MAX_FRONTMATTER {
            return Err(bad(node.line, BadReason::TooMany));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            // a scalar in a key's place never comes here, and a list or map there was refused
            Some(Items::Map { entries, key }) => entries.extend(key.take().map(|key| (key, node))),
        }
        Ok(())
    }
}

fn refuse_tag(tag: Option<&Tag>, span: &Span) -> Result<(), BadFile> {
    if tag.is_some() { Err(bad(line_of(span), BadReason::Tag)) } else { Ok(()) }
}

fn refuse_duplicates(entries: &[(Key<'_>, Node<'_>)]) -> Result<(), BadFile> {
    let mut seen = HashSet::with_capacity(entries.len());
    match entries.iter().find(|(key, _)| !seen.insert(key.name.as_ref())) {
        Some((key, _)) => Err(bad(key.line, BadReason::DuplicateKey(key.name.clone().into_owned()))),
        None => Ok(()),
    }
}

fn children<'n, 'a>(node: &'n Node<'a>) -> Box<dyn Iterator<Item = &'n Node<'a>> + 'n> {
    match &node.kind {
        Kind::Scalar { .. } => Box::new(std::iter::empty()),
        Kind::List { items, .. } => Box::new(items.iter()),
        Kind::Map { entries, .. } => Box::new(entries.iter().map(|(_, node)| node)),
    }
}

fn height(node: &Node<'_>) -> usize {
    match node.kind {
        Kind::Scalar { .. } => 0,
        _ => 1 + children(node).map(height).max().unwrap_or(0),
    }
}

/// How many values a copy makes, and how many bytes of text.
fn size(node: &Node<'_>) -> (usize, usize) {
    match &node.kind {
        Kind::Scalar { text, .. } => (1, text.len()),
        _ => children(node).map(size).fold((1, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1)),
    }
}

impl Node<'_> {
    /// The text of a scalar, however it was spelled.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar without quotes.
    pub(super) fn plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing at all is written here.
    pub(super) fn is_absent(&self) -> bool {
        self.plain() == Some("")
    }

    /// Whether this is one of YAML's spellings of nothing.
    pub(super) fn is_null(&self) -> bool {
        self.plain().is_some_and(|text| matches!(text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What the value means by the rules of `serde_yaml`, so that what it writes comes back the same.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::Text(text.clone().into_owned()),
            Kind::Scalar { text, plain: true } => resolve(text),
            Kind::List { items, .. } => Value::List(items.iter().map(Node::value).collect()),
            Kind::Map { entries, .. } => {
                Value::Map(entries.iter().map(|(key, node)| (key.name.clone().into_owned(), node.value())).collect())
            }
        }
    }
}

fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = unsigned(text) {
        return i64::try_from(number).map_or(Value::UInt(number), Value::Int);
    }
    let negative = text.strip_prefix('-').filter(|digits| !digits.starts_with('+')).and_then(unsigned);
    if let Some(number) = negative.and_then(|number| 0_i64.checked_sub_unsigned(number)) {
        return Value::Int(number);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        // a whole number past 64 bits would lose digits as a float: it stays text
        && !digits.bytes().all(|b| b.is_ascii_digit());
    let float = text.parse().ok().filter(|number: &f64| is_float && number.is_finite());
    // infinity and not-a-number have no JSON, and the latter does not equal itself: they stay text
    float.map_or_else(|| Value::Text(text.to_owned()), Value::Float)
}

/// A whole number as `serde_yaml` reads it: decimal without leading zeros, or with `0x`, `0o` or `0b` in front.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = match digits.get(..2) {
        Some("0x") => (&digits[2..], 16),
        Some("0o") => (&digits[2..], 8),
        Some("0b") => (&digits[2..], 2),
        _ => (digits, 10),
    };
    let leading_zero = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    let signed = digits.starts_with(['+', '-']);
    u64::from_str_radix(digits, radix).ok().filter(|_| !leading_zero && !signed)
}
