//! The search for telling words in thousands of texts, which an import makes of its files.
//!
//! A state machine takes one step for each byte and must wait for each. So a text is cut in four and the four parts are
//! gone through side by side, which takes a third of the time; building the machine takes longer than that of
//! [`super::words::TRIGGERS`]. What is found, and in which order, is the same.

use std::sync::LazyLock;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;

use super::words::triggers;

/// A word that was found: its number, where it begins and ends.
pub(super) type Hit = (usize, usize, usize);

/// How many parts.
const PARTS: usize = 4;

/// Shorter parts are not worth it.
const LEAST: usize = 64;

struct Machine {
    dfa: DFA,
    start: StateID,
    longest: usize,
}

static MACHINE: LazyLock<Machine> = LazyLock::new(|| {
    // cannot fail: building fails only for sets of millions of words, and any machine can start unanchored
    let dfa = DFA::builder()
        .ascii_case_insensitive(true)
        .prefilter(false)
        .build(triggers())
        .expect("a small, fixed set of words");
    let start = dfa.start_state(Anchored::No).expect("a search from everywhere");
    let longest = dfa.max_pattern_len();
    Machine { dfa, start, longest }
});

impl Machine {
    /// Goes past one byte; what ends with it, at `end`, is put to the others.
    fn step(&self, state: StateID, byte: u8, end: usize, hits: &mut Vec<Hit>) -> StateID {
        let next = self.dfa.next_state(Anchored::No, state, byte);
        if self.dfa.is_special(next) {
            self.note(next, end, hits);
        }
        next
    }

    #[cold]
    fn note(&self, state: StateID, end: usize, hits: &mut Vec<Hit>) {
        if self.dfa.is_match(state) {
            for index in 0..self.dfa.match_len(state) {
                let word = self.dfa.match_pattern(state, index);
                hits.push((word.as_usize(), end - self.dfa.pattern_len(word), end));
            }
        }
    }

    /// The state at a place in the midst of a text.
    fn state_at(&self, text: &[u8], place: usize) -> StateID {
        let before = &text[place.saturating_sub(self.longest)..place];
        before.iter().fold(self.start, |state, &byte| self.dfa.next_state(Anchored::No, state, byte))
    }
}

/// All telling words in a text, by where they end.
pub(super) fn hits(text: &[u8]) -> Vec<Hit> {
    let machine = &*MACHINE;
    let mut hits: [Vec<Hit>; PARTS] = Default::default();
    let len = if text.len() < PARTS * LEAST { 0 } else { text.len() / PARTS };
    let mut states: [StateID; PARTS] = std::array::from_fn(|part| machine.state_at(text, part * len));
    let [first, second, third, fourth] = std::array::from_fn(|part| &text[part * len..][..len]);
    let columns = first.iter().zip(second).zip(third).zip(fourth);
    for (at, (((&first, &second), &third), &fourth)) in columns.enumerate() {
        for (part, byte) in [first, second, third, fourth].into_iter().enumerate() {
            states[part] = machine.step(states[part], byte, part * len + at + 1, &mut hits[part]);
        }
    }
    let [.., last] = &mut hits;
    let mut state = states[PARTS - 1];
    for (at, &byte) in text.iter().enumerate().skip(PARTS * len) {
        state = machine.step(state, byte, at + 1, last);
    }
    hits.concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::words::TRIGGERS;
    use super::hits;

    proptest! {
        #[test]
        fn the_same_is_found_as_by_the_other_search(
            words in prop::collection::vec("[a-z :/=-]{0,40}|token|eyJ|-----BEGIN|TOKEN: |ghp_|hooks.slack.com/services/|key", 0..60)
        ) {
            let text = words.concat();
            let expected: Vec<_> =
                TRIGGERS.find_overlapping_iter(&text).map(|hit| (hit.pattern().as_usize(), hit.start(), hit.end())).collect();
            prop_assert_eq!(hits(text.as_bytes()), expected);
        }
    }
}
