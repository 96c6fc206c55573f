//! Three-way merge of texts by lines, the classic diff3.
//!
//! A line is compared with its terminator, so a text that differs only in its final line feed differs. Base lines that
//! both sides still have split the texts into regions; a region that only one side changed takes that side's text, one
//! that both changed alike takes it once, any other is a conflict. Changes that touch, without a line between them that
//! both kept, fall into one region and therefore conflict.
//!
//! Swapping the sides gives the same clean text and mirrored conflicts. Nothing is promised about how small a conflict
//! is: on large texts with little in common the line diff is coarse (see [`MAX_SEARCHED_LINES`]), never wrong.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::schema::id::printable;

#[cfg(test)]
mod tests;

/// Most lines, base and side together and without what they have in common at both ends, that a line diff searches.
/// Beyond it the whole middle counts as one changed region. Two such diffs over the worst texts tried (random lines of a
/// few kinds) take half a second; over three times as many lines, four.
pub const MAX_SEARCHED_LINES: usize = 120_000;

/// The outcome of [`merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// Both sides' changes in one text.
    Clean(String),
    /// At least one chunk is a conflict.
    Overlap(Vec<Chunk>),
}

/// A run of lines of a merge that did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// What is settled: unchanged, changed on one side only, or changed alike.
    Stable(String),
    /// Changed differently by both sides.
    Conflict {
        /// The lines before either change.
        base: String,
        /// Our lines.
        ours: String,
        /// Their lines.
        theirs: String,
    },
}

/// Merges two texts that both come from `base`.
#[must_use]
pub fn merge(base: &str, ours: &str, theirs: &str) -> Merged {
    let (base, ours, theirs) = (lines(base), lines(ours), lines(theirs));
    let chunks = chunks(&base, (&ours, &align(&base, &ours)), (&theirs, &align(&base, &theirs)));
    match <[Chunk; 1]>::try_from(chunks) {
        Ok([Chunk::Stable(text)]) => Merged::Clean(text),
        Ok(conflict) => Merged::Overlap(conflict.into()),
        Err(none) if none.is_empty() => Merged::Clean(String::new()),
        Err(several) => Merged::Overlap(several),
    }
}

/// The lines of both sides: of each conflict ours, then theirs, with the lines that both begin or end with only once.
/// A last line of a conflict that lacks its line feed gets one.
#[must_use]
pub fn union(chunks: &[Chunk]) -> String {
    let mut out = String::new();
    for chunk in chunks {
        match chunk {
            Chunk::Stable(text) => out.push_str(text),
            Chunk::Conflict { ours, theirs, .. } => {
                let (ours, theirs) = (terminated(ours), terminated(theirs));
                let (ours, theirs) = (lines(&ours), lines(&theirs));
                let (prefix, suffix) = common_ends(&ours, &theirs);
                ours[..ours.len() - suffix].iter().for_each(|line| out.push_str(line));
                theirs[prefix..].iter().for_each(|line| out.push_str(line));
            }
        }
    }
    out
}

/// How many signs git's conflict markers have, unless it is told otherwise.
pub const MARKER_SIZE: usize = 7;

/// The text with git's conflict markers of so many signs, for a person to edit. Labels are made printable, so that none
/// can add a line.
#[must_use]
pub fn with_markers(chunks: &[Chunk], ours_label: &str, theirs_label: &str, size: usize) -> String {
    let mut out = String::new();
    let (ours_label, theirs_label) = (printable(ours_label, false), printable(theirs_label, false));
    let [left, middle, right] = ["<", "=", ">"].map(|sign| sign.repeat(size));
    for chunk in chunks {
        match chunk {
            Chunk::Stable(text) => out.push_str(text),
            Chunk::Conflict { ours, theirs, .. } => {
                let (ours, theirs) = (terminated(ours), terminated(theirs));
                // writing to a string cannot fail
                let _ = write!(out, "{left} {ours_label}\n{ours}{middle}\n{theirs}{right} {theirs_label}\n");
            }
        }
    }
    out
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn terminated(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') { text.into() } else { format!("{text}\n").into() }
}

/// How many lines two texts share at the beginning, and at the end of what is then left.
fn common_ends<T: PartialEq>(left: &[T], right: &[T]) -> (usize, usize) {
    let prefix = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let rest = left[prefix..].iter().rev().zip(right[prefix..].iter().rev());
    (prefix, rest.take_while(|(left, right)| left == right).count())
}

/// For each base line its place among the side's lines, if the side still has it; places only grow. A function of these
/// two texts alone: that is what makes the merge symmetric.
fn align(base: &[&str], side: &[&str]) -> Vec<Option<usize>> {
    let mut numbers = HashMap::new();
    let mut number = |line| {
        let next = numbers.len();
        *numbers.entry(line).or_insert(next)
    };
    let base: Vec<usize> = base.iter().map(|line| number(*line)).collect();
    let side: Vec<usize> = side.iter().map(|line| number(*line)).collect();

    let (prefix, suffix) = common_ends(&base, &side);
    let mut places = vec![None; base.len()];
    let mut keep = |base_start: usize, side_start: usize, len: usize| {
        for offset in 0..len {
            places[base_start + offset] = Some(side_start + offset);
        }
    };
    keep(0, 0, prefix);
    keep(base.len() - suffix, side.len() - suffix, suffix);
    let (base, side) = (&base[prefix..base.len() - suffix], &side[prefix..side.len() - suffix]);
    if base.len() + side.len() <= MAX_SEARCHED_LINES {
        for operation in capture_diff_slices(Algorithm::Myers, base, side) {
            if let DiffOp::Equal { old_index, new_index, len } = operation {
                keep(prefix + old_index, prefix + new_index, len);
            }
        }
    }
    places
}

/// A side's lines and where in them each base line is.
type AlignedSide<'a> = (&'a [&'a str], &'a [Option<usize>]);

/// Walks the base from one line that both sides kept to the next. Never yields two stable chunks in a row, nor an empty
/// one.
fn chunks(base: &[&str], (ours, ours_places): AlignedSide, (theirs, theirs_places): AlignedSide) -> Vec<Chunk> {
    let mut out = Vec::new();
    let mut stable = String::new();
    // the first lines not yet dealt with
    let (mut base_at, mut ours_at, mut theirs_at) = (0, 0, 0);
    for base_end in 0..=base.len() {
        let kept = match (ours_places.get(base_end), theirs_places.get(base_end)) {
            // past the last line lies the end, which both sides have
            (None, _) | (_, None) => (ours.len(), theirs.len()),
            (Some(Some(ours_end)), Some(Some(theirs_end))) => (*ours_end, *theirs_end),
            _ => continue,
        };
        let (ours_end, theirs_end) = kept;
        match region((base, base_at..base_end), (ours, ours_at..ours_end), (theirs, theirs_at..theirs_end)) {
            Chunk::Stable(text) => stable.push_str(&text),
            conflict @ Chunk::Conflict { .. } => {
                if !stable.is_empty() {
                    out.push(Chunk::Stable(std::mem::take(&mut stable)));
                }
                out.push(conflict);
            }
        }
        if let Some(line) = base.get(base_end) {
            stable.push_str(line);
        }
        (base_at, ours_at, theirs_at) = (base_end + 1, ours_end + 1, theirs_end + 1);
    }
    if !stable.is_empty() {
        out.push(Chunk::Stable(stable));
    }
    out
}

type Run<'a> = (&'a [&'a str], Range<usize>);

/// Settles the lines between two lines that all three texts share.
fn region((base, base_run): Run, (ours, ours_run): Run, (theirs, theirs_run): Run) -> Chunk {
    let (base, ours, theirs) = (&base[base_run], &ours[ours_run], &theirs[theirs_run]);
    if ours == theirs || theirs == base {
        Chunk::Stable(ours.concat())
    } else if ours == base {
        Chunk::Stable(theirs.concat())
    } else {
        Chunk::Conflict { base: base.concat(), ours: ours.concat(), theirs: theirs.concat() }
    }
}
