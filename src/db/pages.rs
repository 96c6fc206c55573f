//! The database file as the engine lays it out, read page by page without the engine.
//!
//! The engine writes a checksum of every page into the page above it, up to the header, but does not look at them when it
//! reads; and on some kinds of damage it panics. What is here looks at nothing but bytes, never fails on any, and lets
//! others verify ([`super::witness`]) and save what is left ([`super::salvage`]).
//!
//! The layout is that of redb's file format 3: `src/tree_store` of redb 4.4, `page_store/header.rs`, `btree_base.rs` and
//! `table_tree_base.rs`. Another format is not read at all.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
const FORMAT: u8 = 3;
/// The size of the smallest page.
pub(super) const PAGE: u64 = 4096;
const HEADER: usize = 320;
const SLOTS: [usize; 2] = [64, 192];
const SLOT: usize = 128;
/// Pages are powers of two of the smallest; none is larger.
const MAX_ORDER: u64 = 20;

/// Where a tree begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// The number of its topmost page, as the engine writes it.
    pub(super) page: u64,
    /// That page's checksum.
    pub(super) checksum: u128,
    /// How many rows the tree has.
    pub(super) length: u64,
}

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// The tree of tables.
    pub(super) tables: Option<Root>,
    /// The tree of the engine's own tables.
    pub(super) system: Option<Root>,
    /// Whether an engine that opens the file for writing takes another commit than the one that is marked.
    pub(super) unsettled: bool,
    /// Whether a process was killed while it had the file open to write it.
    pub(super) interrupted: bool,
    region_start: u64,
    region_size: u64,
}

/// How long keys and values of a table are, where all are of one length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    key: Option<usize>,
    value: Option<usize>,
}

/// A table, as the tree of tables has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableRoot {
    /// Where it begins; nowhere if it is empty.
    pub(super) root: Option<Root>,
    pub(super) shape: Shape,
}

/// Why a file cannot be read as a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is no database, or is of a format that is not known here.
    Foreign,
    /// Neither of the two places for it has a whole header.
    Header,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?)).ok()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(bytes.get(at..at.checked_add(16)?)?.try_into().ok()?))
}

/// Whether a key comes before another. Most are numbers of issues, which to compare as such takes no call.
fn comes_before(key: &[u8], other: &[u8]) -> bool {
    match (key.try_into(), other.try_into()) {
        (Ok(key), Ok(other)) => u32::from_be_bytes(key) < u32::from_be_bytes(other),
        _ => key < other,
    }
}

impl Root {
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        Some(Self { page: u64_at(bytes, at)?, checksum: u128_at(bytes, at + 8)?, length: u64_at(bytes, at + 24)? })
    }
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`Unreadable::Foreign`] or [`Unreadable::Header`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.get(..MAGIC.len()) != Some(MAGIC) || bytes.len() < HEADER {
            return Err(Unreadable::Foreign);
        }
        let number = |at| u32_at(bytes, at).map(|number| number as u64).ok_or(Unreadable::Foreign);
        if number(12)? != PAGE {
            return Err(Unreadable::Foreign);
        }
        let (header_pages, data_pages) = (number(16)?, number(20)?);
        let flags = bytes[9];
        let two_phase = flags & 4 != 0;
        let slot = |number: usize| {
            let slot = bytes.get(SLOTS[number]..SLOTS[number] + SLOT)?;
            let whole = slot[0] == FORMAT && u128_at(slot, SLOT - 16) == Some(xxh3_128(&slot[..SLOT - 16]));
            whole.then_some(slot)
        };
        let primary = usize::from(flags & 1);
        let (first, second) = (slot(primary), slot(primary ^ 1));
        let age = |slot: Option<&[u8]>| slot.and_then(|slot| u64_at(slot, 104));
        let Some(chosen) = first.or(second.filter(|_| !two_phase)) else { return Err(Unreadable::Header) };
        let root = |flag: usize, at| if chosen[flag] == 0 { None } else { Root::at(chosen, at) };
        Ok(Self {
            tables: root(1, 8),
            system: root(2, 40),
            unsettled: first.is_none() || (!two_phase && age(second) > age(first)),
            interrupted: flags & 2 != 0,
            region_start: header_pages * PAGE,
            region_size: (header_pages + data_pages) * PAGE,
        })
    }

    /// Where a page lies: its first byte and its length.
    fn place(&self, page: u64) -> Option<(u64, u64)> {
        let order = page >> 59;
        if order > MAX_ORDER {
            return None;
        }
        let (index, region) = (page & (0x000f_ffff >> order), (page >> 20) & 0x000f_ffff);
        let length = PAGE << order;
        let within = self.region_start.checked_add(index.checked_mul(length)?)?;
        Some((PAGE.checked_add(region.checked_mul(self.region_size)?)?.checked_add(within)?, length))
    }
}

/// The pages of a file.
#[derive(Debug)]
pub(super) struct Pages {
    file: File,
    length: u64,
}

impl Pages {
    /// Looks at a file that is open for reading.
    ///
    /// # Errors
    /// If its length cannot be told.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// The bytes of the file's beginning, in which the header lies.
    ///
    /// # Errors
    /// If they cannot be read. A file that is too short is no error.
    pub(super) fn start(&self) -> io::Result<Vec<u8>> {
        self.at(0, HEADER as u64)
    }

    /// How many pages of the smallest size the file has.
    pub(super) fn count(&self) -> u64 {
        self.length / PAGE
    }

    /// The bytes from a place on, as far as the file goes.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn at(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = length.min(self.length.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?];
        self.read(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Where a page lies, by its number: its first byte and its length; none if it is not within the file.
    pub(super) fn place(&self, header: &Header, page: u64) -> Option<(u64, usize)> {
        let (offset, length) = header.place(page)?;
        let is_within = offset.checked_add(length).is_some_and(|end| end <= self.length);
        Some((offset, usize::try_from(length).ok().filter(|_| is_within)?))
    }

    /// Puts a page, by its number, in the place of what is in `bytes`; answers false if it is not within the file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn page(&self, header: &Header, page: u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let Some((offset, length)) = self.place(header, page) else { return Ok(false) };
        bytes.resize(length, 0);
        self.read(bytes, offset).map(|()| true)
    }

    /// Reads as many bytes as there is room for.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }
}

/// The place of a page in the file, for messages.
pub(super) fn offset_of(header: &Header, page: u64) -> u64 {
    header.place(page).map_or(u64::MAX, |(offset, _)| offset)
}

/// A page of a tree.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'p> {
    /// Rows.
    Leaf(Leaf<'p>),
    /// Pages below it.
    Branch(Branch<'p>),
}

impl<'p> Node<'p> {
    /// Reads a page; none if it is neither.
    pub(super) fn parse(bytes: &'p [u8], shape: Shape) -> Option<Self> {
        let count = u16_at(bytes, 2).filter(|count| *count > 0)?;
        match bytes.first()? {
            1 => Some(Self::Leaf(Leaf { bytes, count, shape })),
            2 => Some(Self::Branch(Branch { bytes, keys: count, shape })),
            _ => None,
        }
    }

    /// The checksum that the page above should have of it; none if not even its end can be told.
    pub(super) fn checksum(&self) -> Option<u128> {
        let (bytes, end) = match self {
            Self::Leaf(leaf) => (leaf.bytes, leaf.value_end(leaf.count - 1)?),
            Self::Branch(branch) => (branch.bytes, branch.key_end(branch.keys - 1)?),
        };
        bytes.get(..end).map(xxh3_128)
    }
}

/// A page of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'p> {
    bytes: &'p [u8],
    count: usize,
    shape: Shape,
}

impl<'p> Leaf<'p> {
    /// How many rows it says it has.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Where its last row ends; none where that cannot be told.
    pub(super) fn end(&self) -> Option<usize> {
        self.value_end(self.count.checked_sub(1)?)
    }

    fn keys_start(&self) -> usize {
        let lengths = usize::from(self.shape.key.is_none()) + usize::from(self.shape.value.is_none());
        4 + 4 * lengths * self.count
    }

    fn key_end(&self, row: usize) -> Option<usize> {
        match self.shape.key {
            Some(length) => self.keys_start().checked_add(length.checked_mul(row + 1)?),
            None => u32_at(self.bytes, 4 + 4 * row),
        }
    }

    fn value_end(&self, row: usize) -> Option<usize> {
        if let Some(length) = self.shape.value {
            return self.key_end(self.count - 1)?.checked_add(length.checked_mul(row + 1)?);
        }
        let keys = if self.shape.key.is_none() { self.count } else { 0 };
        u32_at(self.bytes, 4 + 4 * (keys + row))
    }

    /// A row's key and value; none where its place cannot be told.
    pub(super) fn row(&self, row: usize) -> Option<(&'p [u8], &'p [u8])> {
        let (key, value) = self.place(row)?;
        Some((self.bytes.get(key)?, self.bytes.get(value)?))
    }

    /// Where in the page a row's key and value lie; none where that cannot be told.
    pub(super) fn place(&self, row: usize) -> Option<(Range<usize>, Range<usize>)> {
        let before = row.checked_sub(1);
        let key_start = before.map_or_else(|| Some(self.keys_start()), |before| self.key_end(before))?;
        let value_start = before.map_or_else(|| self.key_end(self.count - 1), |before| self.value_end(before))?;
        Some((key_start..self.key_end(row)?, value_start..self.value_end(row)?))
    }

    /// A row's key; none where its place cannot be told.
    pub(super) fn key(&self, row: usize) -> Option<&'p [u8]> {
        let start = row.checked_sub(1).map_or_else(|| Some(self.keys_start()), |before| self.key_end(before))?;
        self.bytes.get(start..self.key_end(row)?)
    }

    /// How many rows come before the first of which the key does not satisfy `is_before`; none where that cannot be told.
    pub(super) fn count_before(&self, is_before: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_before(self.key(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// The value of a key; none if the key is not there, or not where it should be.
    pub(super) fn value(&self, key: &[u8]) -> Option<&'p [u8]> {
        let before = self.count_before(|present| comes_before(present, key))?;
        let (present, value) = if before < self.count { self.row(before)? } else { return None };
        (present == key).then_some(value)
    }
}

/// A page of pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch<'p> {
    bytes: &'p [u8],
    keys: usize,
    shape: Shape,
}

impl<'p> Branch<'p> {
    /// How many pages it says are below it.
    pub(super) fn len(&self) -> usize {
        self.keys + 1
    }

    fn key_end(&self, key: usize) -> Option<usize> {
        match self.shape.key {
            Some(length) => (8 + 24 * self.len()).checked_add(length.checked_mul(key + 1)?),
            None => u32_at(self.bytes, 8 + 24 * self.len() + 4 * key),
        }
    }

    /// The last key that may lie under a child; none for the last child.
    pub(super) fn key(&self, child: usize) -> Option<&'p [u8]> {
        if child >= self.keys {
            return None;
        }
        let lengths = if self.shape.key.is_none() { 4 * self.keys } else { 0 };
        let first = 8 + 24 * self.len() + lengths;
        let start = child.checked_sub(1).map_or(Some(first), |before| self.key_end(before))?;
        self.bytes.get(start..self.key_end(child)?)
    }

    /// A page below it, by number, and the checksum it should have.
    pub(super) fn child(&self, child: usize) -> Option<(u64, u128)> {
        let page = u64_at(self.bytes, 8 + 16 * self.len() + 8 * child)?;
        Some((page, u128_at(self.bytes, 8 + 16 * child)?))
    }

    /// The child under which a key lies, if it lies anywhere.
    pub(super) fn child_for(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.keys);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.key(middle) {
                Some(last) if comes_before(last, key) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}

impl TableRoot {
    /// Reads a table's row in the tree of tables.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let fixed = |at: usize| match bytes.get(at)? {
            0 => Some(None),
            _ => u32_at(bytes, at + 1).map(Some),
        };
        let root = if *bytes.get(9)? == 0 { None } else { Some(Root::at(bytes, 10)?) };
        // 3 is a table; collections of values, which are 4, have trees within their rows, and nothing here has any
        (bytes.first() == Some(&3)).then_some(Self { root, shape: Shape { key: fixed(42)?, value: fixed(47)? } })
    }
}
