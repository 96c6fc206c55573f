//! Vouches for what is read: every page on the way to a row, or to where it would be, is as it was written.
//!
//! The engine writes a checksum of each page into the page above it and does not look at it when it reads. The rows' own
//! checksums tell a changed row, but not one that is passed over because a page above it leads elsewhere: it would seem
//! not to be there, or to be as it was once. So each page is verified, once in a transaction. What only reads takes rows
//! from these pages itself; in a write transaction they are verified before the engine comes to them: they are those of
//! the last commit, which stay as they are until the next.
//!
//! Not noticed: a header of which the bit that chooses between its two places has flipped, so that the last commit but
//! one is the present state, if none of its pages has been used again since.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pages::{Branch, Header, Leaf, Node, Pages, Root, Shape, TableRoot, offset_of};

use known::Known;

mod known;

/// How many pages may lie above each other; more is damage.
const MAX_DEPTH: usize = 128;

/// Why nothing can be vouched for.
#[derive(Debug)]
pub(super) enum Doubt {
    /// A page is not as it was written.
    Damaged {
        /// Its place in the file.
        offset: u64,
    },
    /// The file cannot be read.
    Io(io::Error),
}

impl From<io::Error> for Doubt {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Which page of rows is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe<'k> {
    /// The first.
    First,
    /// The last.
    Last,
    /// The one where a key would be.
    At(&'k [u8]),
    /// The one where the key after this one would be.
    After(&'k [u8]),
}

/// The keys that may lie in a page of rows: those after one and up to another, where there are such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) after: Option<Vec<u8>>,
    pub(super) upto: Option<Vec<u8>>,
}

/// The pages above a page of rows in which a [`Span`] is written, and the place of the key in each.
#[derive(Debug, Default)]
struct Bounds {
    after: Option<(Arc<[u8]>, usize)>,
    upto: Option<(Arc<[u8]>, usize)>,
}

impl Bounds {
    fn span(self, shape: Shape) -> Span {
        let key = |(page, place): (Arc<[u8]>, usize)| match Node::parse(&page, shape) {
            Some(Node::Branch(branch)) => branch.key(place).map(<[u8]>::to_vec),
            _ => None,
        };
        Span { after: self.after.and_then(key), upto: self.upto.and_then(key) }
    }
}

/// A page of rows that is as it was written.
#[derive(Clone, Debug)]
pub(super) struct LeafPage {
    pub(super) number: u64,
    pub(super) bytes: Arc<[u8]>,
    pub(super) shape: Shape,
}

impl LeafPage {
    /// Its rows; none where its bytes say that it is none.
    pub(super) fn rows(&self) -> Option<Leaf<'_>> {
        match Node::parse(&self.bytes, self.shape)? {
            Node::Leaf(leaf) => Some(leaf),
            Node::Branch(_) => None,
        }
    }

    /// Whether a key lies between its first and its last row, so that it is there or nowhere.
    fn spans(&self, key: &[u8]) -> bool {
        let is_within = |rows: Leaf<'_>| Some(rows.key(0)? <= key && key <= rows.key(rows.len() - 1)?);
        self.rows().and_then(is_within).unwrap_or(false)
    }
}

/// Is shown a row's key and value; answers nothing if they cannot be.
type EachRow<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Option<()>;

/// Vouches for the tables of one file, as of one commit.
#[derive(Debug)]
pub(super) struct Witness {
    pages: Pages,
    header: Header,
    tables: BTreeMap<Vec<u8>, TableRoot>,
    known: Mutex<Known>,
}

impl Witness {
    /// Looks at a file's header and list of tables. None if the engine must have its say first: it refuses what is no
    /// database, and chooses between two commits.
    pub(super) fn open(file: File) -> Result<Option<Self>, Doubt> {
        let pages = Pages::new(file)?;
        let Ok(header) = Header::parse(&pages.start()?) else { return Ok(None) };
        if header.unsettled {
            return Ok(None);
        }
        let mut witness = Self { pages, header, tables: BTreeMap::new(), known: Mutex::default() };
        let mut tables = BTreeMap::new();
        witness.walk(header.tables, Shape::default(), &mut |key, value| {
            tables.insert(key.to_vec(), TableRoot::parse(value)?);
            Some(())
        })?;
        witness.tables = tables;
        Ok(Some(witness))
    }

    /// Verifies the engine's own tables, by which it tells pages that are in use from those that are free: after damage
    /// to those a commit could write over rows.
    pub(super) fn vouch_for_allocation(&self) -> Result<(), Doubt> {
        let mut roots = Vec::new();
        self.walk(self.header.system, Shape::default(), &mut |_, value| {
            roots.push(TableRoot::parse(value)?);
            Some(())
        })?;
        roots.into_iter().try_for_each(|table| self.walk(table.root, table.shape, &mut |_, _| Some(())))
    }

    /// Verifies every page of a table.
    pub(super) fn vouch_for_whole(&self, table: &str) -> Result<(), Doubt> {
        self.tables.get(table.as_bytes()).map_or(Ok(()), |table| self.rows_of(table, &mut |_, _| Some(())))
    }

    /// Whether the engine has something to repair first.
    pub(super) fn is_interrupted(&self) -> bool {
        self.header.interrupted
    }

    /// Whether there is a table of that name.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table.as_bytes())
    }

    /// Whether a table has no row.
    pub(super) fn is_empty(&self, table: &str) -> bool {
        self.tables.get(table.as_bytes()).is_none_or(|table| table.root.is_none())
    }

    /// Verifies all pages on the way to a page of rows, and that; answers which keys may lie in it.
    pub(super) fn vouch(&self, table: &str, probe: Probe<'_>) -> Result<Span, Doubt> {
        let Some((root, shape)) = self.root(table) else { return Ok(Span::default()) };
        let (page, bounds) = self.descend(root, shape, probe, false)?;
        if let Some(page) = page {
            let mut known = self.known();
            known.leaves.insert(page.number);
            known.let_go(page.bytes);
        }
        Ok(bounds.span(shape))
    }

    /// As [`Witness::vouch`], with that page; none if the table is empty.
    pub(super) fn leaf(&self, table: &str, probe: Probe<'_>) -> Result<(Option<LeafPage>, Span), Doubt> {
        let Some((root, shape)) = self.root(table) else { return Ok((None, Span::default())) };
        let (page, bounds) = self.descend(root, shape, probe, true)?;
        Ok((page, bounds.span(shape)))
    }

    fn root(&self, table: &str) -> Option<(Root, Shape)> {
        let TableRoot { root, shape } = self.tables.get(table.as_bytes())?;
        Some(((*root)?, *shape))
    }

    /// The page of rows is none if it `is_wanted` only to be verified, and was.
    fn descend(
        &self,
        mut root: Root,
        shape: Shape,
        probe: Probe<'_>,
        is_wanted: bool,
    ) -> Result<(Option<LeafPage>, Bounds), Doubt> {
        let mut bounds = Bounds::default();
        for _ in 0..MAX_DEPTH {
            if !is_wanted && self.known().leaves.contains(&root.page) {
                return Ok((None, bounds));
            }
            let bytes = self.step(root, shape, is_wanted)?;
            let Some(Node::Branch(branch)) = Node::parse(&bytes, shape) else {
                return Ok((Some(LeafPage { number: root.page, bytes, shape }), bounds));
            };
            let child = match probe {
                Probe::First => 0,
                Probe::Last => branch.len() - 1,
                Probe::At(key) => branch.child_for(key),
                Probe::After(key) => {
                    let child = branch.child_for(key);
                    child + usize::from(branch.key(child) == Some(key))
                }
            };
            if let Some(before) = child.checked_sub(1) {
                bounds.after = Some((Arc::clone(&bytes), before));
            }
            if child + 1 < branch.len() {
                bounds.upto = Some((Arc::clone(&bytes), child));
            }
            let (page, checksum) = branch.child(child).ok_or_else(|| self.damaged(root.page))?;
            root = Root { page, checksum, length: 0 };
        }
        Err(self.damaged(root.page))
    }

    /// What `take` makes of a row's value, without the engine; none if there is no such row. All pages on the way are
    /// verified, and the row's own: its bytes do not tell whether they are its last.
    pub(super) fn find<R>(&self, table: &str, key: &[u8], take: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Doubt> {
        let Some((root, shape)) = self.root(table) else { return Ok(None) };
        let last = self.known().last.clone().filter(|(table, page)| *table == root.page && page.spans(key));
        let page = match last {
            Some((_, page)) => Some(page),
            None => self.descend(root, shape, Probe::At(key), true)?.0,
        };
        let found = page.as_ref().and_then(|page| page.rows()?.value(key)).map(take);
        self.known().last = page.map(|page| (root.page, page));
        Ok(found)
    }

    /// A page on the way to a row, as it was written. One of rows is kept, as far as there is room, if others will be
    /// looked for in it.
    fn step(&self, root: Root, shape: Shape, keeps_rows: bool) -> Result<Arc<[u8]>, Doubt> {
        if let Some(bytes) = self.known().page(root.page) {
            return Ok(bytes);
        }
        let place = self.pages.place(&self.header, root.page);
        let (offset, length) = place.ok_or_else(|| self.damaged(root.page))?;
        let mut bytes = self.known().room(length);
        self.pages.read(Arc::make_mut(&mut bytes), offset)?;
        match self.sound(root, shape, &bytes)? {
            Node::Branch(_) => self.known().keep_branch(root.page, Arc::clone(&bytes)),
            Node::Leaf(_) if keeps_rows => self.known().keep_rows(root.page, Arc::clone(&bytes)),
            Node::Leaf(_) => {}
        }
        Ok(bytes)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table in parts, in order: at least so many as are asked for, if it has as many pages of rows.
    pub(super) fn parts(&self, table: &str, least: usize) -> Result<Vec<TableRoot>, Doubt> {
        let mut parts: Vec<_> = self.tables.get(table.as_bytes()).copied().into_iter().collect();
        for _ in 0..MAX_DEPTH {
            let mut below = Vec::new();
            for part in &parts {
                match part.root.map(|root| self.children(root, part.shape)).transpose()?.flatten() {
                    Some(roots) => {
                        below.extend(roots.into_iter().map(|root| TableRoot { root: Some(root), ..*part }));
                    }
                    // all pages of rows are of one depth
                    None => return Ok(parts),
                }
            }
            parts = below;
            if parts.len() >= least {
                break;
            }
        }
        Ok(parts)
    }

    /// Verifies all pages of a part and shows its rows, in order.
    pub(super) fn rows_of(&self, part: &TableRoot, each: EachRow<'_>) -> Result<(), Doubt> {
        self.walk(part.root, part.shape, each)
    }

    /// Verifies a page; the pages below it, in order, or none if it is one of rows.
    fn children(&self, root: Root, shape: Shape) -> Result<Option<Vec<Root>>, Doubt> {
        let mut bytes = Vec::new();
        match self.verify(root, shape, &mut bytes)? {
            Node::Branch(branch) => self.below(root.page, branch).map(Some),
            Node::Leaf(_) => Ok(None),
        }
    }

    /// The pages below one, in order.
    fn below(&self, page: u64, branch: Branch<'_>) -> Result<Vec<Root>, Doubt> {
        let child = |child| {
            let (page, checksum) = branch.child(child).ok_or_else(|| self.damaged(page))?;
            Ok(Root { page, checksum, length: 0 })
        };
        (0..branch.len()).map(child).collect()
    }

    /// Verifies all pages of a tree and shows its rows, in order.
    fn walk(&self, root: Option<Root>, shape: Shape, each: EachRow<'_>) -> Result<(), Doubt> {
        let mut open: Vec<_> = root.map(|root| (root, 0)).into_iter().collect();
        let mut bytes = Vec::new();
        while let Some((root, depth)) = open.pop() {
            let page = root.page;
            match self.verify(root, shape, &mut bytes)? {
                Node::Leaf(leaf) => {
                    for row in 0..leaf.len() {
                        let shown = leaf.row(row).and_then(|(key, value)| each(key, value));
                        shown.ok_or_else(|| self.damaged(page))?;
                    }
                }
                Node::Branch(branch) if depth < MAX_DEPTH => {
                    open.extend(self.below(page, branch)?.into_iter().rev().map(|root| (root, depth + 1)));
                }
                Node::Branch(_) => return Err(self.damaged(page)),
            }
        }
        Ok(())
    }

    /// Reads a page, in the place of what is in `bytes`, and verifies it.
    fn verify<'b>(&self, root: Root, shape: Shape, bytes: &'b mut Vec<u8>) -> Result<Node<'b>, Doubt> {
        let is_there = self.pages.page(&self.header, root.page, bytes)?;
        if is_there { self.sound(root, shape, bytes) } else { Err(self.damaged(root.page)) }
    }

    /// A page, if it has the checksum that is written above it.
    fn sound<'b>(&self, root: Root, shape: Shape, bytes: &'b [u8]) -> Result<Node<'b>, Doubt> {
        let node = Node::parse(bytes, shape).filter(|node| node.checksum() == Some(root.checksum));
        node.ok_or_else(|| self.damaged(root.page))
    }

    /// That a page is not as it was written.
    pub(super) fn damaged(&self, page: u64) -> Doubt {
        Doubt::Damaged { offset: offset_of(&self.header, page) }
    }
}

/// Goes ahead of the engine over a range of a table, so that each page is verified before the engine comes to it.
#[derive(Debug)]
pub(super) struct Watch<'w> {
    witness: &'w Witness,
    table: &'static str,
    low: Option<Vec<u8>>,
    high: Option<Vec<u8>>,
    front: Option<Ahead>,
    back: Option<Ahead>,
}

/// How far from one end of a range pages are verified.
#[derive(Debug)]
struct Ahead {
    /// Where the page ends in which the engine is.
    here: Option<Vec<u8>>,
    /// Where the page after that ends.
    next: Option<Vec<u8>>,
}

impl<'w> Watch<'w> {
    /// Verifies both ends of a range.
    pub(super) fn new(
        witness: &'w Witness,
        table: &'static str,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
    ) -> Result<Self, Doubt> {
        witness.vouch(table, low.map_or(Probe::First, Probe::At))?;
        witness.vouch(table, high.map_or(Probe::Last, Probe::At))?;
        let own = |bound: Option<&[u8]>| bound.map(<[u8]>::to_vec);
        Ok(Self { witness, table, low: own(low), high: own(high), front: None, back: None })
    }

    /// Verifies what the engine may look at to find the first row.
    pub(super) fn begin(&mut self) -> Result<(), Doubt> {
        if self.front.is_none() {
            let here = self.witness.vouch(self.table, self.low.as_deref().map_or(Probe::First, Probe::At))?.upto;
            let next = self.after(here.as_deref())?;
            self.front = Some(Ahead { here, next });
        }
        Ok(())
    }

    /// Verifies what it may look at to find the row after one.
    pub(super) fn passed(&mut self, key: &[u8]) -> Result<(), Doubt> {
        while let Some(Ahead { here: Some(here), next }) = &mut self.front
            && key > here.as_slice()
        {
            let here = next.take();
            let next = self.after(here.as_deref())?;
            self.front = Some(Ahead { here, next });
        }
        Ok(())
    }

    /// As [`Watch::begin`], from the end.
    pub(super) fn begin_back(&mut self) -> Result<(), Doubt> {
        if self.back.is_none() {
            let here = self.witness.vouch(self.table, self.high.as_deref().map_or(Probe::Last, Probe::At))?.after;
            let next = self.before(here.as_deref())?;
            self.back = Some(Ahead { here, next });
        }
        Ok(())
    }

    /// As [`Watch::passed`], from the end.
    pub(super) fn passed_back(&mut self, key: &[u8]) -> Result<(), Doubt> {
        while let Some(Ahead { here: Some(here), next }) = &mut self.back
            && key <= here.as_slice()
        {
            let here = next.take();
            let next = self.before(here.as_deref())?;
            self.back = Some(Ahead { here, next });
        }
        Ok(())
    }

    fn after(&self, end: Option<&[u8]>) -> Result<Option<Vec<u8>>, Doubt> {
        end.map_or(Ok(None), |end| Ok(self.witness.vouch(self.table, Probe::After(end))?.upto))
    }

    fn before(&self, start: Option<&[u8]>) -> Result<Option<Vec<u8>>, Doubt> {
        start.map_or(Ok(None), |start| Ok(self.witness.vouch(self.table, Probe::At(start))?.after))
    }
}

#[cfg(test)]
mod tests;
