//! The fuzzing targets without a fuzzer: their seeds, the finds of earlier runs (`tests/golden/fuzz/TARGET/`), and some
//! thousand mutations of both, always the same ones. `fuzz/` runs the same functions under libFuzzer.

#![allow(clippy::disallowed_methods, reason = "tests stand outside of the program: they play the user and other tools")]

use std::time::{Duration, Instant};

use targets::Target;

// the fuzzing crate's own interface, of which this test uses a part
#[allow(dead_code, missing_docs, unreachable_pub, clippy::pedantic)]
#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Mutations of each target by default, so many that the whole takes a few seconds.
const MUTATIONS: [(&str, u32); 7] = [
    ("frontmatter", 2000),
    ("file_name", 4000),
    ("records", 4000),
    ("mirror", 60),
    ("merge_driver", 1500),
    ("session_lines", 1000),
    ("usage_lines", 1500),
];

/// A small generator of numbers that look random; the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % limit.max(1)
    }
}

/// Pieces that files of these kinds are made of.
const PIECES: [&str; 24] = [
    "\n",
    "\r\n",
    "---\n",
    "# x\n",
    ": ",
    "- ",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "|\n",
    "\u{1e}",
    "\u{1f}",
    "\u{85}",
    "\u{2028}",
    "\0",
    "null",
    "1e999",
    "<<<<<<< a\n",
    "\u{FEFF}",
];

/// An input with a few changes in it.
fn mutated(numbers: &mut Numbers, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = inputs[numbers.below(inputs.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let length = numbers.below(24).min(bytes.len() - at);
        let other = &inputs[numbers.below(inputs.len())];
        match numbers.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            1 => drop(bytes.drain(at..at + length)),
            2 => drop(bytes.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
            3 => drop(bytes.splice(at..at + length, other[numbers.below(other.len() + 1)..].iter().take(64).copied())),
            4 => {
                let again = bytes[at..at + length].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => bytes.truncate(bytes.len().max(1) - numbers.below(bytes.len() / 4 + 1)),
        }
    }
    bytes
}

/// Finds of earlier runs.
fn finds(target: &Target) -> Vec<Vec<u8>> {
    let folder = format!("{}/tests/golden/fuzz/{}", env!("CARGO_MANIFEST_DIR"), target.name);
    if std::path::Path::new(&folder).is_dir() { targets::golden(&format!("fuzz/{}", target.name)) } else { Vec::new() }
}

/// Says which input it was, when a target panics.
struct Named<'a>(&'a str, String, &'a [u8]);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("oxi-state-fuzz-find-{}", self.0));
            let kept = std::fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, self.2));
            eprintln!("{} of {} fails; the input is in {} ({kept:?})", self.1, self.0, path.display());
        }
    }
}

fn replay(name: &str) {
    let target = targets::ALL.into_iter().find(|target| target.name == name).expect("a target");
    let (seeds, finds) = ((target.seeds)(), finds(&target));
    assert!(seeds.len() > 3, "{name} has seeds");
    let inputs: Vec<_> = finds.into_iter().chain(seeds).collect();
    let mut slowest = Duration::ZERO;
    let mut run = |what: String, input: &[u8]| {
        let named = Named(name, what, input);
        let start = Instant::now();
        (target.run)(input);
        slowest = slowest.max(start.elapsed());
        drop(named);
    };
    for (number, input) in inputs.iter().enumerate() {
        run(format!("input {number}"), input);
    }
    let count = MUTATIONS.iter().find(|(other, _)| *other == name).map_or(1000, |(_, count)| *count);
    let count = if std::env::var_os("OXI_STATE_LONG").is_some() { count * 50 } else { count };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for number in 0..count {
        run(format!("mutation {number}"), &mutated(&mut numbers, &inputs));
    }
    // far more than any of these small inputs takes, on a busy machine, too
    assert!(slowest < Duration::from_secs(10), "{name}: an input took {slowest:?}");
}

#[test]
fn issue_files_are_read_written_and_patched_as_the_same() {
    replay("frontmatter");
}

#[test]
fn file_names_have_one_spelling_and_stay_in_their_folder() {
    replay("file_name");
}

#[test]
fn stored_bytes_are_a_value_or_damage() {
    replay("records");
}

#[test]
fn any_folder_is_taken_in_once_and_nothing_is_lost() {
    replay("mirror");
}

#[test]
fn merging_is_the_same_from_both_sides() {
    replay("merge_driver");
}

#[test]
fn no_text_of_a_conversation_gets_into_a_record() {
    replay("session_lines");
}

#[test]
fn usage_is_sums_and_names_only() {
    replay("usage_lines");
}

#[test]
#[ignore = "writes into fuzz/corpus, where cargo-fuzz looks for inputs to begin with"]
fn write_seeds() {
    for target in targets::ALL {
        let folder = format!("{}/fuzz/corpus/{}", env!("CARGO_MANIFEST_DIR"), target.name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().into_iter().chain(finds(&target)).enumerate() {
            std::fs::write(format!("{folder}/seed-{number:03}"), seed).unwrap();
        }
    }
}
