//! Finding what is whole in a file that may be damaged anywhere, and what is not.
//!
//! The trees are followed from the header as far as they can be. Where a page is not what was written, its rows that
//! verify by themselves are taken all the same; what a damaged page led to is looked for in all pages of the file. Those
//! may also be pages that were given up, with rows as they once were; such rows are kept apart as *strays*.
//!
//! The engine takes no part: it fails on some kinds of damage. Nothing here is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::codec;

use super::pages::{Header, Leaf, Node, PAGE, Pages, Root, Shape, TableRoot, Unreadable, offset_of};
use super::sound::{INDEXES, can_be_of, is_sound};
use super::tables::{NAMES, readable};

/// How many pages may lie above each other.
const MAX_DEPTH: usize = 128;

/// No page of rows is larger.
const MAX_LEAF: u64 = 256 << 20;

/// The rows of a table, by key.
pub(super) type RowsOf = BTreeMap<Vec<u8>, Vec<u8>>;

/// Something that is not as it was written, or does not fit the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Damage {
    /// The table; null where it is not known, or all are concerned.
    pub table: Option<String>,
    /// The key, where it is known.
    pub key: Option<String>,
    /// The first byte of the page concerned, where there is one.
    pub offset: Option<u64>,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// The row that a message is about, in words that stand before it; nothing where the table is not known.
pub(crate) fn place_of_row(table: Option<&str>, key: Option<&str>) -> String {
    match (table, key) {
        (Some(table), Some(key)) => format!("table `{table}`, key {key}: "),
        (Some(table), None) => format!("table `{table}`: "),
        (None, _) => String::new(),
    }
}

impl Damage {
    /// What it is about (see [`place_of_row`]).
    pub(crate) fn place(&self) -> String {
        place_of_row(self.table.as_deref(), self.key.as_deref())
    }
}

/// What is in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rows that are whole and linked, by table.
    pub(super) rows: BTreeMap<&'static str, RowsOf>,
    /// Rows that are whole, in pages that nothing sound leads to; a key may have several.
    pub(super) strays: BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<Vec<u8>>>>,
    /// What is not whole.
    pub(super) damage: Vec<Damage>,
    /// The tables of which something is missing.
    pub(super) incomplete: BTreeSet<&'static str>,
    /// How many rows each table says it has.
    pub(super) lengths: BTreeMap<&'static str, u64>,
}

impl Found {
    /// The rows of a table.
    pub(super) fn of(&self, table: &str) -> &RowsOf {
        static NONE: RowsOf = RowsOf::new();
        self.rows.get(table).unwrap_or(&NONE)
    }

    fn note(&mut self, table: Option<&str>, key: Option<String>, offset: Option<u64>, message: impl Into<String>) {
        self.damage.push(Damage { table: table.map(str::to_owned), key, offset, message: message.into() });
    }
}

/// Looks through a file.
///
/// # Errors
/// If the file cannot be read at all. Damage is no error.
pub(super) fn look_through(pages: &Pages) -> io::Result<Found> {
    let mut found = Found::default();
    let header = match Header::parse(&pages.start()?) {
        Ok(header) => Some(header),
        Err(Unreadable::Foreign) => {
            found.note(None, None, Some(0), "the file does not begin as a database does");
            None
        }
        Err(Unreadable::Header) => {
            found.note(None, None, Some(0), "the header is not what was written");
            None
        }
    };
    let mut roots = BTreeMap::new();
    if let Some(header) = &header {
        roots = list_of_tables(pages, header, &mut found)?;
        for (name, table) in &roots {
            Walk::new(pages, header, name, table.shape, &mut found).table(table.root)?;
        }
    }
    if header.is_none() || found.damage.iter().any(|damage| damage.table.is_none()) {
        let lost = NAMES.iter().filter(|name| !roots.contains_key(*name));
        found.incomplete.extend(lost.copied());
    }
    if found.incomplete.iter().any(|table| !INDEXES.contains(table)) {
        scan(pages, &mut found)?;
    }
    Ok(found)
}

fn list_of_tables(pages: &Pages, header: &Header, found: &mut Found) -> io::Result<BTreeMap<&'static str, TableRoot>> {
    let mut roots = BTreeMap::new();
    let mut list = Found::default();
    // its rows have no checksums of their own: only those of sound pages count
    Walk::new(pages, header, LIST, Shape::default(), &mut list).table(header.tables)?;
    for (key, value) in list.of(LIST) {
        let name = NAMES.into_iter().find(|name| name.as_bytes() == key.as_slice());
        if let Some((name, root)) = name.zip(TableRoot::parse(value)) {
            roots.insert(name, root);
        }
    }
    if let Some(damage) = list.damage.first() {
        found.note(None, None, damage.offset, "the list of tables is not what was written");
    }
    Ok(roots)
}

/// Stands for the list of tables, which is a tree like them.
const LIST: &str = "(tables)";

/// The keys that a page may hold: after one, up to another.
type Range = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Follows one tree.
struct Walk<'a> {
    pages: &'a Pages,
    header: &'a Header,
    table: &'static str,
    shape: Shape,
    found: &'a mut Found,
    seen: HashSet<u64>,
    bad: u64,
}

impl<'a> Walk<'a> {
    fn new(pages: &'a Pages, header: &'a Header, table: &'static str, shape: Shape, found: &'a mut Found) -> Self {
        Self { pages, header, table, shape, found, seen: HashSet::new(), bad: 0 }
    }

    fn table(mut self, root: Option<Root>) -> io::Result<()> {
        self.found.rows.entry(self.table).or_default();
        self.found.lengths.insert(self.table, root.map_or(0, |root| root.length));
        let Some(root) = root else { return Ok(()) };
        self.visit(root.page, root.checksum, (None, None), true, 0)?;
        let rows = self.found.of(self.table).len() as u64;
        if self.bad > 0 {
            self.found.incomplete.insert(self.table);
        }
        let missing = root.length.saturating_sub(rows);
        if missing > 0 && self.table != LIST {
            self.found.incomplete.insert(self.table);
            let what = if missing == 1 { "1 row is".to_owned() } else { format!("{missing} rows are") };
            let message = format!("{what} not to be had, of {}", root.length);
            self.found.note(Some(self.table), None, None, message);
        }
        Ok(())
    }

    fn visit(&mut self, page: u64, checksum: u128, range: Range, linked: bool, depth: usize) -> io::Result<()> {
        let is_new = depth < MAX_DEPTH && self.seen.insert(page);
        let mut bytes = Vec::new();
        let is_there = is_new && self.pages.page(self.header, page, &mut bytes)?;
        let node = if is_there { Node::parse(&bytes, self.shape) } else { None };
        let sound = node.and_then(|node| node.checksum()) == Some(checksum);
        self.bad += u64::from(!sound);
        match node {
            Some(Node::Leaf(leaf)) => {
                let named = self.leaf(leaf, sound, linked, page);
                // what is below a damaged page is not told page by page
                if !sound && linked && !named {
                    self.note_page(page, &range);
                }
            }
            Some(Node::Branch(branch)) => {
                if !sound && linked {
                    self.note_page(page, &range);
                }
                let mut after = range.0;
                for child in 0..branch.len() {
                    let Some((below, checksum)) = branch.child(child) else { break };
                    let upto = branch.key(child).map(<[u8]>::to_vec).or_else(|| range.1.clone());
                    self.visit(below, checksum, (after, upto.clone()), sound, depth + 1)?;
                    after = upto;
                }
            }
            None if linked => self.note_page(page, &range),
            None => {}
        }
        Ok(())
    }

    /// Takes the rows of a page; says whether rows were named that are not whole.
    fn leaf(&mut self, leaf: Leaf<'_>, sound: bool, linked: bool, page: u64) -> bool {
        let mut named = false;
        for row in 0..leaf.len() {
            let Some((key, value)) = leaf.row(row) else { break };
            let whole = match self.table {
                LIST => sound,
                // a damaged page may be that of another table
                table => is_sound(table, key, value) && (sound || can_be_of(table, key)),
            };
            if whole && (sound || linked) {
                self.found.rows.entry(self.table).or_default().insert(key.to_vec(), value.to_vec());
            } else if whole {
                add_stray(self.found, self.table, key, value);
            } else if linked && self.table != LIST {
                named = true;
                self.bad += 1;
                let offset = offset_of(self.header, page);
                let key = readable(self.table, key);
                self.found.note(Some(self.table), Some(key), Some(offset), "the row is not what was written");
            }
        }
        named
    }

    fn note_page(&mut self, page: u64, (after, upto): &Range) {
        let key = |key: &Option<Vec<u8>>| key.as_deref().map(|key| readable(self.table, key));
        let range = match (key(after), key(upto)) {
            (None, None) => String::new(),
            (Some(after), None) => format!(", which has the rows after {after}"),
            (None, Some(upto)) => format!(", which has the rows up to {upto}"),
            (Some(after), Some(upto)) => format!(", which has the rows after {after} up to {upto}"),
        };
        let offset = offset_of(self.header, page);
        let message = format!("a page is not what was written{range}");
        self.found.note(Some(self.table), None, Some(offset), message);
    }
}

fn add_stray(found: &mut Found, table: &'static str, key: &[u8], value: &[u8]) {
    let values = found.strays.entry(table).or_default().entry(key.to_vec()).or_default();
    if values.iter().all(|known| known != value) {
        values.push(value.to_vec());
    }
}

/// Looks into every page of the file for rows of the tables of which something is missing.
fn scan(pages: &Pages, found: &mut Found) -> io::Result<()> {
    let wanted: Vec<&'static str> = found.incomplete.iter().copied().filter(|name| !INDEXES.contains(name)).collect();
    for number in 0..pages.count() {
        let offset = number * PAGE;
        let mut bytes = pages.at(offset, PAGE)?;
        let end = match Node::parse(&bytes, Shape::default()) {
            Some(Node::Leaf(leaf)) => leaf.end().unwrap_or_default() as u64,
            _ => continue,
        };
        if end > PAGE && end <= MAX_LEAF {
            bytes = pages.at(offset, end)?;
        }
        let Some(Node::Leaf(leaf)) = Node::parse(&bytes, Shape::default()) else { continue };
        for (key, value) in (0..leaf.len()).map_while(|row| leaf.row(row)) {
            if !codec::is_whole(key, value) {
                continue;
            }
            for &table in &wanted {
                let fits = can_be_of(table, key) && is_sound(table, key, value);
                if fits && !found.of(table).contains_key(key) {
                    add_stray(found, table, key, value);
                }
            }
        }
    }
    Ok(())
}
