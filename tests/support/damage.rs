//! Damage to a database's file, as a failing disk may do it.

const PAGE: usize = 4096;

/// A source of bits that is the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below the sides.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

/// Damages whole pages in one of four ways, by its number, and says how.
pub(crate) fn damage_pages(bytes: &mut Vec<u8>, way: usize, dice: &mut Dice) -> String {
    let pages = bytes.len() / PAGE;
    match way {
        0 => {
            bytes.truncate(dice.roll(bytes.len()));
            format!("cut to {}", bytes.len())
        }
        1 => {
            let (from, to) = (dice.roll(pages), dice.roll(pages));
            bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
            format!("page {from} over page {to}")
        }
        2 => {
            let page = dice.roll(pages);
            bytes[page * PAGE..(page + 1) * PAGE].fill_with(|| dice.roll(256).try_into().unwrap());
            format!("page {page} is garbage")
        }
        _ => {
            let page = dice.roll(pages);
            bytes[page * PAGE..(page + 1) * PAGE].fill(0);
            format!("page {page} is zero")
        }
    }
}

/// Flips so many bits anywhere, and says which.
pub(crate) fn flip_bits(bytes: &mut [u8], count: usize, dice: &mut Dice) -> String {
    let bits: Vec<_> = (0..count).map(|_| dice.roll(bytes.len() * 8)).collect();
    for bit in &bits {
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    format!("bits {bits:?}")
}
