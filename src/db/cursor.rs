//! The rows of a committed table in order, from both ends, without the engine: every page is verified before it is read.

use std::ops::{Bound, Range};
use std::sync::Arc;

use super::witness::{Doubt, LeafPage, Probe, Span, Witness};

/// A row, in the page in which it lies.
#[derive(Debug)]
pub(super) struct PageRow {
    page: Arc<[u8]>,
    key: Range<usize>,
    value: Range<usize>,
}

impl PageRow {
    pub(super) fn key(&self) -> &[u8] {
        self.page.get(self.key.clone()).unwrap_or_default()
    }

    pub(super) fn value(&self) -> &[u8] {
        self.page.get(self.value.clone()).unwrap_or_default()
    }
}

/// Where one end is: in a page of rows, before one of its rows.
#[derive(Debug)]
struct Place {
    page: LeafPage,
    span: Span,
    /// How many rows of the page lie before it.
    row: usize,
}

/// The rows of a table within bounds.
#[derive(Debug)]
pub(super) struct Cursor<'w> {
    witness: &'w Witness,
    table: &'static str,
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
    /// After the last row that was taken from the front, if any was.
    front: Option<Place>,
    /// Before the last row that was taken from the back, if any was.
    back: Option<Place>,
    has_ended: bool,
}

/// Whether a key lies before all that a lower bound lets through.
fn is_below(key: &[u8], low: &Bound<Vec<u8>>) -> bool {
    match low {
        Bound::Included(low) => key < low.as_slice(),
        Bound::Excluded(low) => key <= low.as_slice(),
        Bound::Unbounded => false,
    }
}

/// Whether a key lies after all that an upper bound lets through.
fn is_above(key: &[u8], high: &Bound<Vec<u8>>) -> bool {
    match high {
        Bound::Included(high) => key > high.as_slice(),
        Bound::Excluded(high) => key >= high.as_slice(),
        Bound::Unbounded => false,
    }
}

/// Where the page is in which a bound lies.
fn probe<'b>(bound: &'b Bound<Vec<u8>>, unbounded: Probe<'b>) -> Probe<'b> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Probe::At(key),
        Bound::Unbounded => unbounded,
    }
}

impl<'w> Cursor<'w> {
    pub(super) fn new(
        witness: &'w Witness,
        table: &'static str,
        (low, high): (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Self {
        Self { witness, table, low, high, front: None, back: None, has_ended: false }
    }

    fn open(&self, probe: Probe<'_>, row: impl Fn(&LeafPage) -> Option<usize>) -> Result<Option<Place>, Doubt> {
        let (page, span) = self.witness.leaf(self.table, probe)?;
        let Some(page) = page else { return Ok(None) };
        let row = row(&page).ok_or_else(|| self.witness.damaged(page.number))?;
        Ok(Some(Place { page, span, row }))
    }

    /// Where the rows within the bounds begin, or where they would.
    fn at_low(&self) -> Result<Option<Place>, Doubt> {
        let row = |page: &LeafPage| page.rows()?.count_before(|key| is_below(key, &self.low));
        self.open(probe(&self.low, Probe::First), row)
    }

    /// Where they end.
    fn at_high(&self) -> Result<Option<Place>, Doubt> {
        let row = |page: &LeafPage| page.rows()?.count_before(|key| !is_above(key, &self.high));
        self.open(probe(&self.high, Probe::Last), row)
    }

    fn row_at(&self, page: &LeafPage, row: usize) -> Result<PageRow, Doubt> {
        let place = page.rows().and_then(|rows| rows.place(row));
        let (key, value) = place.ok_or_else(|| self.witness.damaged(page.number))?;
        Ok(PageRow { page: Arc::clone(&page.bytes), key, value })
    }

    fn step(&mut self) -> Result<Option<PageRow>, Doubt> {
        let place = match self.front.take() {
            None => self.at_low()?,
            place => place,
        };
        let Some(mut place) = place else { return Ok(None) };
        while place.row == place.page.rows().map_or(0, |rows| rows.len()) {
            let Some(end) = &place.span.upto else { return Ok(None) };
            let Some(next) = self.open(Probe::After(end), |_| Some(0))? else { return Ok(None) };
            place = next;
        }
        let row = self.row_at(&place.page, place.row)?;
        let taken = self.back.as_ref().map(|back| self.row_at(&back.page, back.row)).transpose()?;
        if is_above(row.key(), &self.high) || taken.is_some_and(|taken| row.key() >= taken.key()) {
            return Ok(None);
        }
        place.row += 1;
        self.front = Some(place);
        Ok(Some(row))
    }

    fn step_back(&mut self) -> Result<Option<PageRow>, Doubt> {
        let place = match self.back.take() {
            None => self.at_high()?,
            place => place,
        };
        let Some(mut place) = place else { return Ok(None) };
        while place.row == 0 {
            let Some(start) = &place.span.after else { return Ok(None) };
            let Some(before) = self.open(Probe::At(start), |page| Some(page.rows()?.len()))? else { return Ok(None) };
            place = before;
        }
        place.row -= 1;
        let row = self.row_at(&place.page, place.row)?;
        let taken = self.front.as_ref().map(|front| self.row_at(&front.page, front.row - 1)).transpose()?;
        if is_below(row.key(), &self.low) || taken.is_some_and(|taken| row.key() <= taken.key()) {
            return Ok(None);
        }
        self.back = Some(place);
        Ok(Some(row))
    }

    /// Nothing follows the last row, or a failure.
    fn until_the_end(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<Option<PageRow>, Doubt>,
    ) -> Option<Result<PageRow, Doubt>> {
        if self.has_ended {
            return None;
        }
        let row = step(self).transpose();
        self.has_ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl Iterator for Cursor<'_> {
    type Item = Result<PageRow, Doubt>;

    fn next(&mut self) -> Option<Self::Item> {
        self.until_the_end(Self::step)
    }
}

impl DoubleEndedIterator for Cursor<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.until_the_end(Self::step_back)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use redb::TableDefinition;

    use super::*;

    const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

    const PAGE: usize = 4096;

    type Content = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Keys of which many begin with others, and values of which a few need pages of their own.
    fn content() -> impl Strategy<Value = Content> {
        let value = prop_oneof![9 => 0..300_usize, 1 => 3000..20_000_usize].prop_map(|length| vec![7; length]);
        btree_map(vec(0..6_u8, 0..6), value, 0..400)
    }

    fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
        let key = || vec(0..6_u8, 0..6);
        prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
    }

    /// A file with these rows, written in two commits so that its pages are not in order.
    fn file_of(rows: &Content) -> File {
        let file = tempfile::tempfile().unwrap();
        let database = redb::Builder::new().create_file(file.try_clone().unwrap()).unwrap();
        for remainder in [1, 0] {
            let txn = database.begin_write().unwrap();
            let mut table = txn.open_table(TABLE).unwrap();
            for (_, (key, value)) in rows.iter().enumerate().filter(|(number, _)| number % 2 == remainder) {
                table.insert(key.as_slice(), value.as_slice()).unwrap();
            }
            drop(table);
            txn.commit().unwrap();
        }
        file
    }

    fn witness_of(rows: &Content) -> Witness {
        Witness::open(file_of(rows)).unwrap().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn the_rows_within_bounds_come_in_order_from_both_ends(
            rows in content(),
            bounds in vec((bound(), bound()), 8),
            steps in vec(any::<bool>(), 1..64),
        ) {
            let witness = witness_of(&rows);
            for (low, high) in bounds {
                let is_within = |key: &[u8]| !is_below(key, &low) && !is_above(key, &high);
                let mut expected = rows.iter().filter(|(key, _)| is_within(key));
                let mut cursor = Cursor::new(&witness, "rows", (low.clone(), high.clone()));
                let mut steps = steps.iter().cycle();
                let mut ends = 0;
                while ends < 3 {
                    let (row, expected) = match steps.next() {
                        Some(true) => (cursor.next(), expected.next()),
                        _ => (cursor.next_back(), expected.next_back()),
                    };
                    let row = row.transpose().unwrap();
                    let row = row.as_ref().map(|row| (row.key(), row.value()));
                    prop_assert_eq!(row, expected.map(|(key, value)| (key.as_slice(), value.as_slice())));
                    ends += usize::from(row.is_none());
                }
            }
        }

        #[test]
        fn a_row_is_found_or_told_not_to_be_there(rows in content(), keys in vec(vec(0..6_u8, 0..6), 50)) {
            let witness = witness_of(&rows);
            for key in rows.keys().chain(&keys) {
                prop_assert_eq!(witness.find("rows", key, <[u8]>::to_vec).unwrap(), rows.get(key).cloned());
            }
            prop_assert_eq!(witness.is_empty("rows"), rows.is_empty());
        }
    }

    const ALL: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (Bound::Unbounded, Bound::Unbounded);

    #[test]
    fn a_table_that_is_not_there_has_no_rows() {
        let witness = witness_of(&Content::from([(vec![1], vec![1])]));
        assert!(witness.has("rows") && !witness.has("others"));
        assert!(Cursor::new(&witness, "others", ALL).next().is_none());
    }

    #[test]
    fn the_rows_end_at_a_page_that_is_not_as_it_was_written() {
        let rows: Content = (0..200_u8).map(|number| (vec![number], vec![number; 100])).collect();
        let file = file_of(&rows);
        let mut were_some = 0;
        for offset in (0..file.metadata().unwrap().len()).step_by(PAGE).skip(1) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset + 9).unwrap();
            file.write_all_at(&[!byte[0]], offset + 9).unwrap();
            if let Ok(Some(witness)) = Witness::open(file.try_clone().unwrap()) {
                let mut cursor = Cursor::new(&witness, "rows", ALL);
                let whole: Vec<_> = cursor.by_ref().map_while(Result::ok).map(|row| row.key().to_vec()).collect();
                assert_eq!(whole, rows.keys().take(whole.len()).cloned().collect::<Vec<_>>());
                assert!(cursor.next().is_none() && cursor.next_back().is_none());
                were_some += usize::from(!whole.is_empty() && whole.len() < rows.len());
            }
            file.write_all_at(&byte, offset + 9).unwrap();
        }
        assert!(were_some >= 3, "{were_some}");
    }
}
