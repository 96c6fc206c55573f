//! `oxi-state merge-driver`: what git runs for an issue file that both branches changed.
//!
//! Reads the three files that git names and writes over the second; needs no project. Silent, but for one line where a
//! person must look.

use std::path::Path;

use crate::fs::{self, PathError};
use crate::schema::id::printable;
use crate::sync::diff3::MARKER_SIZE;
use crate::sync::driver::{Versions, merge_files};

use super::args::MergeDriverArgs;
use super::error::CliError;
use super::output;

/// Files past this are not merged; ours stays, and git calls it a conflict.
const MAX_BYTES: u64 = 64 << 20;

/// git takes up to 128 for a conflict; what is above makes it give the merge up, with nothing changed.
const GIVEN_UP: u8 = 129;

/// Answers the exit code: 0 merged, 1 a person must look.
pub(super) fn run(args: &MergeDriverArgs) -> u8 {
    merge(args).unwrap_or_else(|error| {
        CliError::from(error).print(false);
        GIVEN_UP
    })
}

fn merge(args: &MergeDriverArgs) -> Result<u8, PathError> {
    let path = args.path.to_string_lossy();
    let [base, ours, theirs] = [read(&args.base)?, read(&args.ours)?, read(&args.theirs)?];
    let (Some(base), Some(ours), Some(theirs)) = (base, ours, theirs) else {
        output::tell(&format!("oxi-state: {} is too large to be merged; ours was left", printable(&path, false)));
        return Ok(1);
    };
    let merged = merge_files(&Versions {
        base: &base,
        ours: &ours,
        theirs: &theirs,
        path: &path,
        marker_size: args.marker_size.as_deref().and_then(|size| size.parse().ok()).unwrap_or(MARKER_SIZE),
        ours_label: label(args.ours_label.as_deref(), "ours"),
        theirs_label: label(args.theirs_label.as_deref(), "theirs"),
    });
    if merged.bytes != ours {
        fs::overwrite(&args.ours, &merged.bytes)?;
    }
    let Some(why) = merged.unsettled else { return Ok(0) };
    output::tell(&format!("oxi-state: {}: {why}; run `oxi-state sync`", printable(&path, false)));
    Ok(1)
}

/// The bytes of a file; none if there are too many.
fn read(path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    if path == Path::new("/dev/null") {
        return Ok(Some(Vec::new()));
    }
    let bytes = fs::read(path, MAX_BYTES)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_BYTES))
}

/// A git before 2.44 leaves the placeholder as it is.
fn label<'a>(given: Option<&'a str>, otherwise: &'a str) -> &'a str {
    given.filter(|label| !label.is_empty() && !label.starts_with('%')).unwrap_or(otherwise)
}
