//! The merge of texts against examples, a brute-force oracle and the laws of merging.

use proptest::prelude::*;

use super::*;

fn conflict(base: &str, ours: &str, theirs: &str) -> Chunk {
    Chunk::Conflict { base: base.into(), ours: ours.into(), theirs: theirs.into() }
}

fn stable(text: &str) -> Chunk {
    Chunk::Stable(text.into())
}

fn mirrored(merged: Merged) -> Merged {
    match merged {
        Merged::Overlap(chunks) => Merged::Overlap(
            chunks
                .into_iter()
                .map(|chunk| match chunk {
                    Chunk::Conflict { base, ours, theirs } => Chunk::Conflict { base, ours: theirs, theirs: ours },
                    stable @ Chunk::Stable(_) => stable,
                })
                .collect(),
        ),
        clean @ Merged::Clean(_) => clean,
    }
}

#[test]
fn changes_apart_from_each_other_are_joined() {
    for (base, ours, theirs, merged) in [
        ("", "", "", ""),
        ("a\nb\nc\n", "a\nb\nc\n", "a\nc\n", "a\nc\n"),
        ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
        ("a\nb\nc\n", "0\na\nb\nc\n", "a\nb\nc\nd\n", "0\na\nb\nc\nd\n"),
        ("a\nb\nc\n", "b\nc\n", "a\nb\n", "b\n"),
        ("a\nb\nc\n", "a\nB\nc\n", "a\nB\nc\n", "a\nB\nc\n"),
        ("a\nb\n", "", "", ""),
        ("a\nb\n", "", "a\nb\n", ""),
        ("", "x\n", "", "x\n"),
        // the final line feed, taken or added by one side
        ("a\nb\nc\n", "a\nb\nc", "A\nb\nc\n", "A\nb\nc"),
        ("a\nb\nc", "a\nb\nc\n", "A\nb\nc", "A\nb\nc\n"),
        ("a", "a", "a\n", "a\n"),
        ("a\n", "a", "a", "a"),
        // CRLF is part of the line
        ("a\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n", "A\r\nb\r\nc\r\n", "A\r\nb\r\nC\r\n"),
    ] {
        assert_eq!(merge(base, ours, theirs), Merged::Clean(merged.into()), "{base:?} {ours:?} {theirs:?}");
        assert_eq!(merge(base, theirs, ours), Merged::Clean(merged.into()), "{base:?} {theirs:?} {ours:?}");
    }
}

#[test]
fn changes_that_overlap_or_touch_are_conflicts() {
    for (base, ours, theirs, chunks) in [
        ("a\n", "b\n", "c\n", vec![conflict("a\n", "b\n", "c\n")]),
        ("", "b\n", "c\n", vec![conflict("", "b\n", "c\n")]),
        ("a\nb\n", "A\nb\n", "a\nB\n", vec![conflict("a\nb\n", "A\nb\n", "a\nB\n")]),
        ("a\nb\n", "a\nx\nb\n", "a\n", vec![stable("a\n"), conflict("b\n", "x\nb\n", "")]),
        ("a\nb\n", "a\nx\nb\n", "b\n", vec![conflict("a\n", "a\nx\n", ""), stable("b\n")]),
        ("a\nb\n", "a\nx\nb\n", "a\ny\nb\n", vec![stable("a\n"), conflict("", "x\n", "y\n"), stable("b\n")]),
        // a change elsewhere goes through beside the conflict
        ("a\nb\nc\n", "A\nb\nx\n", "a\nb\ny\n", vec![stable("A\nb\n"), conflict("c\n", "x\n", "y\n")]),
        ("a\n", "a", "a\nb\n", vec![conflict("a\n", "a", "a\nb\n")]),
        ("a", "a\n", "b", vec![conflict("a", "a\n", "b")]),
    ] {
        let merged = Merged::Overlap(chunks);
        assert_eq!(merge(base, ours, theirs), merged, "{base:?} {ours:?} {theirs:?}");
        assert_eq!(merge(base, theirs, ours), mirrored(merged), "{base:?} {theirs:?} {ours:?}");
    }
}

#[test]
fn a_union_holds_both_sides_and_shared_ends_once() {
    for (chunks, text) in [
        (vec![], ""),
        (vec![stable("a\n"), conflict("", "x\n", "y\n"), stable("b\n")], "a\nx\ny\nb\n"),
        (vec![conflict("", "p\nx\ns\n", "p\ny\nz\ns\n")], "p\nx\ny\nz\ns\n"),
        (vec![conflict("", "p\ns\n", "p\ny\ns\n")], "p\ny\ns\n"),
        (vec![conflict("", "a\na\n", "a\n")], "a\na\n"),
        (vec![conflict("", "", "y\n")], "y\n"),
        (vec![conflict("a", "a\n", "b")], "a\nb\n"),
        (vec![conflict("", "a", "a\nb\n")], "a\nb\n"),
    ] {
        assert_eq!(union(&chunks), text, "{chunks:?}");
    }
}

#[test]
fn markers_are_gits_and_stand_on_lines_of_their_own() {
    let chunks = [stable("a\n"), conflict("x\n", "y", ""), stable("b\n")];
    assert_eq!(
        with_markers(&chunks, "ours", "theirs", MARKER_SIZE),
        "a\n<<<<<<< ours\ny\n=======\n>>>>>>> theirs\nb\n"
    );
    assert_eq!(
        with_markers(&chunks[1..2], "a\n=======\nb", "\u{1b}[2J", MARKER_SIZE),
        "<<<<<<< a\\u{a}=======\\u{a}b\ny\n=======\n>>>>>>> \\u{1b}[2J\n"
    );
}

/// Every longest common subsequence, as the place of each base line in the side.
fn longest_alignments(base: &[&str], side: &[&str]) -> Vec<Vec<Option<usize>>> {
    fn extend(
        base: &[&str],
        side: &[&str],
        from: usize,
        places: &mut Vec<Option<usize>>,
        all: &mut Vec<Vec<Option<usize>>>,
    ) {
        let Some((line, rest)) = base.split_first() else {
            all.push(places.clone());
            return;
        };
        for place in std::iter::once(None).chain((from..side.len()).filter(|at| side[*at] == *line).map(Some)) {
            places.push(place);
            extend(rest, side, place.map_or(from, |at| at + 1), places, all);
            places.pop();
        }
    }
    let mut all = Vec::new();
    extend(base, side, 0, &mut Vec::new(), &mut all);
    let length = |places: &Vec<Option<usize>>| places.iter().flatten().count();
    let longest = all.iter().map(length).max().unwrap_or(0);
    all.retain(|places| length(places) == longest);
    all
}

/// Diff3 by the book over two given alignments: the text, or nothing where the sides overlap.
fn oracle(base: &[&str], ours: (&[&str], &[Option<usize>]), theirs: (&[&str], &[Option<usize>])) -> Option<String> {
    let mut anchors: Vec<(usize, usize, usize)> =
        (0..base.len()).filter_map(|at| Some((at, ours.1[at]?, theirs.1[at]?))).collect();
    anchors.push((base.len(), ours.0.len(), theirs.0.len()));
    let mut from = (0, 0, 0);
    let mut text = String::new();
    for to in anchors {
        let (old, left, right) = (&base[from.0..to.0], &ours.0[from.1..to.1], &theirs.0[from.2..to.2]);
        let taken = if left == right || right == old {
            left
        } else if left == old {
            right
        } else {
            return None;
        };
        text.extend(taken.iter().copied().chain(base.get(to.0).copied()));
        from = (to.0 + 1, to.1 + 1, to.2 + 1);
    }
    Some(text)
}

/// All texts of up to `length` lines over a small alphabet, with and without the final line feed.
fn small_texts(length: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut longest = texts.clone();
    for _ in 0..length {
        longest = longest.iter().flat_map(|text| ["a\n", "b\n"].map(|line| format!("{text}{line}"))).collect();
        texts.extend(longest.iter().cloned());
    }
    let unterminated: Vec<_> = texts.iter().filter_map(|text| text.strip_suffix('\n')).map(str::to_owned).collect();
    texts.extend(unterminated);
    texts
}

#[test]
fn every_small_merge_is_one_that_diff3_by_the_book_gives() {
    let texts = small_texts(3);
    let alignments = |base: &str, side: &str| longest_alignments(&lines(base), &lines(side));
    for base in &texts {
        for ours in &texts {
            for theirs in &texts {
                let merged = merge(base, ours, theirs);
                assert_eq!(merge(base, theirs, ours), mirrored(merged.clone()), "{base:?} {ours:?} {theirs:?}");
                let text = match merged {
                    Merged::Clean(text) => Some(text),
                    Merged::Overlap(_) => None,
                };
                let (left, right) = (lines(ours), lines(theirs));
                let possible = alignments(base, ours).iter().any(|left_places| {
                    alignments(base, theirs)
                        .iter()
                        .any(|places| oracle(&lines(base), (&left, left_places), (&right, places)) == text)
                });
                assert!(possible, "{base:?} {ours:?} {theirs:?} gave {text:?}");
            }
        }
    }
}

fn texts() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec!["a\n", "b\n", "c\n", "\n", "- d\r\n"]);
    (prop::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, cut)| {
        let text = lines.concat();
        if cut { text.trim_end_matches('\n').to_owned() } else { text }
    })
}

/// What one side does to each base line: keep it, remove it, or put new lines after it. All lines of the base and all
/// new ones are distinct, so there is only one way to read the change.
#[derive(Clone, Debug)]
struct Edit {
    removes: bool,
    adds: usize,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (prop::bool::weighted(0.15), prop::sample::select(vec![0, 0, 0, 0, 0, 1, 2]));
    prop::collection::vec(edit.prop_map(|(removes, adds)| Edit { removes, adds }), 20)
}

fn edited(base: &[String], edits: &[Edit], name: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, (line, edit)) in base.iter().zip(edits).enumerate() {
        out.extend((!edit.removes).then(|| line.clone()));
        out.extend((0..edit.adds).map(|count| format!("{name} {at} {count}\n")));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::sync::merge::laws::cases()))]

    #[test]
    fn a_side_alone_or_both_alike_is_taken(base in texts(), side in texts()) {
        prop_assert_eq!(merge(&base, &side, &side), Merged::Clean(side.clone()));
        prop_assert_eq!(merge(&base, &base, &side), Merged::Clean(side.clone()));
        prop_assert_eq!(merge(&base, &side, &base), Merged::Clean(side));
    }

    #[test]
    fn sides_can_be_swapped(base in texts(), ours in texts(), theirs in texts()) {
        prop_assert_eq!(merge(&base, &theirs, &ours), mirrored(merge(&base, &ours, &theirs)));
    }

    #[test]
    fn chunks_hold_each_side_in_full(base in texts(), ours in texts(), theirs in texts()) {
        // with everything else settled alike, picking one side of each conflict never yields a line of neither
        if let Merged::Overlap(chunks) = merge(&base, &ours, &theirs) {
            let conflicts = chunks.iter().filter(|chunk| matches!(chunk, Chunk::Conflict { .. })).count();
            prop_assert!(conflicts > 0);
            prop_assert!(!chunks.windows(2).any(|pair| matches!(pair, [Chunk::Stable(_), Chunk::Stable(_)])));
            let union = union(&chunks);
            let known = [&base, &ours, &theirs].map(|text| lines(text)).concat();
            for line in lines(&union) {
                prop_assert!(known.contains(&line) || known.contains(&line.trim_end_matches('\n')), "{:?}", line);
            }
            for chunk in &chunks {
                if let Chunk::Conflict { ours: left, theirs: right, .. } = chunk {
                    prop_assert!(ours.contains(left.as_str()) && theirs.contains(right.as_str()));
                    for line in lines(left).into_iter().chain(lines(right)) {
                        prop_assert!(union.contains(line));
                    }
                }
            }
        }
    }

    #[test]
    fn what_one_side_removes_is_gone_and_the_rest_stays(ours in edits(), theirs in edits()) {
        let base: Vec<String> = (0..20).map(|at| format!("base {at}\n")).collect();
        let (left, right) = (edited(&base, &ours, "ours"), edited(&base, &theirs, "theirs"));
        let touching = |at: usize| {
            let touched = |edit: &Edit| edit.removes || edit.adds > 0;
            let (mine, other) = (&ours[at], &theirs[at]);
            // changes at one line, or on both sides of the gap after it
            let same = mine.removes == other.removes && mine.adds == 0 && other.adds == 0;
            let next = at + 1 < 20 && {
                let (mine_next, other_next) = (&ours[at + 1], &theirs[at + 1]);
                (touched(mine) && other_next.removes) || (touched(other) && mine_next.removes)
            };
            (touched(mine) && touched(other) && !same) || next
        };
        match merge(&base.concat(), &left.concat(), &right.concat()) {
            Merged::Clean(text) => {
                let merged: Vec<&str> = lines(&text);
                for line in base.iter().chain(&left).chain(&right) {
                    let removed = base.contains(line) && !(left.contains(line) && right.contains(line));
                    prop_assert_eq!(merged.iter().filter(|held| *held == line).count(), usize::from(!removed));
                }
            }
            Merged::Overlap(_) => prop_assert!((0..20).any(touching), "a conflict without touching changes"),
        }
    }

    #[test]
    fn merging_a_side_again_changes_nothing(base in texts(), ours in texts(), theirs in texts()) {
        if let Merged::Clean(text) = merge(&base, &ours, &theirs) {
            prop_assert_eq!(merge(&ours, &ours, &text), Merged::Clean(text.clone()));
            prop_assert_eq!(merge(&theirs, &text, &theirs), Merged::Clean(text));
        }
    }
}

#[test]
fn hostile_texts_end_and_merge_as_others_do() {
    let unrelated =
        |name: &str| (0..20_000).map(|at| format!("{name}{:048x}\n", at * 7919)).collect::<Vec<_>>().concat();
    let (base, ours, theirs) = (unrelated("b"), unrelated("o"), unrelated("t"));
    assert_eq!(merge(&base, &ours, &theirs), Merged::Overlap(vec![conflict(&base, &ours, &theirs)]));
    // past the bound the middle is one region, whatever lines it shares; the ends still merge
    let many = |line: &str| line.repeat(MAX_SEARCHED_LINES / 4);
    let text = |line: &str| format!("a\nk\n{}m\n{}z\n", many(line), many(line));
    let (base, ours) = (text("x\n"), text("y\n"));
    assert_eq!(align(&lines(&base), &lines(&ours)).into_iter().flatten().count(), 3);
    assert_eq!(merge(&base, &ours, &base.replacen('a', "A", 1)), Merged::Clean(ours.replacen('a', "A", 1)));
}
