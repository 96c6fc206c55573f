//! What the fuzzing targets do with an input: what must hold of any bytes at all is asserted, and a panic is a find.
//!
//! The same functions run in two ways: under libFuzzer (`fuzz_targets/`), and in `tests/fuzz_replay.rs`, which includes
//! this file and goes through the seeds, the finds of earlier runs and some thousand mutations of both. So only the
//! library's public interface is used here, and nothing is random.

use std::path::PathBuf;

pub mod file_name;
pub mod frontmatter;
pub mod merge_driver;
pub mod mirror;
pub mod records;
pub mod session_lines;
pub mod text;
pub mod usage_lines;

/// A target.
pub struct Target {
    /// Its name, which is that of its module.
    pub name: &'static str,
    /// Looks at an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with, from the golden data.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const ALL: [Target; 7] = [
    Target { name: "frontmatter", run: frontmatter::run, seeds: frontmatter::seeds },
    Target { name: "file_name", run: file_name::run, seeds: file_name::seeds },
    Target { name: "records", run: records::run, seeds: records::seeds },
    Target { name: "mirror", run: mirror::run, seeds: mirror::seeds },
    Target { name: "merge_driver", run: merge_driver::run, seeds: merge_driver::seeds },
    Target { name: "session_lines", run: session_lines::run, seeds: session_lines::seeds },
    Target { name: "usage_lines", run: usage_lines::run, seeds: usage_lines::seeds },
];

/// What parts the parts of an input: a byte that no honest text holds.
pub const PART: u8 = 0x1E;

/// The parts of an input; those that are missing are empty.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut found = input.splitn(N, |byte| *byte == PART);
    std::array::from_fn(|_| found.next().unwrap_or_default())
}

/// The files of a folder of golden data, by name.
pub fn golden(folder: &str) -> Vec<Vec<u8>> {
    // the package is this folder's or the one above
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = [here.clone(), here.join("..")].into_iter().find(|root| root.join("tests/golden").is_dir());
    let folder = root.expect("the golden data is in the tree").join("tests/golden").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// A folder of its own for one input, in memory where there is such a place.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("oxi-state-fuzz-").tempdir_in(place).expect("a place for temporary files")
}
