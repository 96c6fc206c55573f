//! Finds git's conflict markers, and leaves alone those that somebody shows in a fenced code block.
//!
//! Where Markdown and this scan might disagree about a fence, the scan takes the side of finding a marker: only a
//! fence that begins at the start of its line and is closed later hides any, and a fence inside a list item or quotation
//! counts both as ended and as not ended by a line outside of it.

use memchr::memmem;

/// The line, counted from 1, of the first marker outside code fences. `body` is the offset where fences may begin.
pub(super) fn first_marker(text: &str, body: usize) -> Option<u32> {
    // nearly every file ends here
    if !["<<<<<<<", "|||||||", ">>>>>>>"].into_iter().any(|signs| has_line(text, signs)) {
        return None;
    }
    let body = body.min(text.len());
    let before = text[..body].split_inclusive('\n');
    let lines_before = before.clone().count();
    if let Some(at) = before.clone().position(is_marker) {
        return u32::try_from(at + 1).ok();
    }
    let lines: Vec<&str> = text[body..].split_inclusive('\n').collect();
    let hidden = [fenced(&lines, false), fenced(&lines, true)];
    let shown = (0..lines.len()).find(|&at| is_marker(lines[at]) && !(hidden[0][at] && hidden[1][at]))?;
    u32::try_from(lines_before + shown + 1).ok()
}

/// Whether both sides of a conflict are shown in a text, as can be in a code fence.
pub(crate) fn shows_both_sides(text: &str) -> bool {
    has_line(text, "<<<<<<<") && has_line(text, ">>>>>>>")
}

/// Whether a line begins with these signs, which are all alike.
fn has_line(text: &str, signs: &str) -> bool {
    let mut found = memmem::find_iter(text.as_bytes(), signs);
    found.any(|at| at == 0 || text.as_bytes()[at - 1] == b'\n')
}

/// A lone `=======` underlines a heading in Markdown; in a conflict one of these comes before it.
fn is_marker(line: &str) -> bool {
    let line = line.strip_suffix('\n').unwrap_or(line);
    // usually seven signs; git takes more for conflicts within conflicts, such as those of renamed files
    ['<', '|', '>'].into_iter().any(|sign| {
        let rest = line.trim_start_matches(sign);
        (7..=16).contains(&(line.len() - rest.len())) && (rest.is_empty() || rest.starts_with([' ', '\r']))
    })
}

/// A run of backticks or tildes at the start of a line.
#[derive(Clone, Copy)]
struct Fence {
    sign: Sign,
    length: usize,
    /// Whether the line begins with it, and not with blanks or the sign of a list item or quotation.
    at_start: bool,
    can_open: bool,
    can_close: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Backtick,
    Tilde,
}

/// For each line, whether a closed fence that begins at the start of its line holds it. With `leave_containers` an
/// indented fence also ends before a line that begins at the start.
fn fenced(lines: &[&str], leave_containers: bool) -> Vec<bool> {
    let fences: Vec<Option<Fence>> = lines.iter().map(|line| fence(line)).collect();
    // the longest closing fence of each kind from a line on, so that an unclosed one costs no search
    let mut longest = vec![[0; 2]; lines.len() + 1];
    for at in (0..lines.len()).rev() {
        longest[at] = longest[at + 1];
        if let Some(fence) = fences[at].filter(|fence| fence.can_close) {
            let slot = &mut longest[at][fence.sign as usize];
            *slot = fence.length.max(*slot);
        }
    }
    let mut held = vec![false; lines.len()];
    let mut open: Option<Fence> = None;
    for at in 0..lines.len() {
        let here = fences[at];
        if let Some(fence) = open {
            let closes = here.is_some_and(|end| end.can_close && end.sign == fence.sign && end.length >= fence.length);
            let left = leave_containers && !fence.at_start && lines[at].starts_with(|c: char| !c.is_whitespace());
            if !left {
                held[at] = fence.at_start;
                open = open.filter(|_| !closes);
                continue;
            }
        }
        open = here.filter(|fence| fence.can_open && longest[at + 1][fence.sign as usize] >= fence.length);
    }
    held
}

fn fence(line: &str) -> Option<Fence> {
    let line = line.trim_end_matches(['\n', '\r']);
    let blanks = line.len() - line.trim_start_matches(' ').len();
    let inner = inside_containers(line);
    let (sign, letter) = match inner.chars().next()? {
        '`' => (Sign::Backtick, '`'),
        '~' => (Sign::Tilde, '~'),
        _ => return None,
    };
    let length = inner.len() - inner.trim_start_matches(letter).len();
    let info = &inner[length..];
    let contained = inner.len() + blanks < line.len();
    (length >= 3).then(|| Fence {
        sign,
        length,
        at_start: inner.len() == line.len(),
        can_open: sign == Sign::Tilde || !info.contains('`'),
        can_close: !contained && info.trim_matches([' ', '\t']).is_empty(),
    })
}

/// The line without blanks and without the signs of list items and quotations in front.
fn inside_containers(line: &str) -> &str {
    let mut rest = line.trim_start_matches([' ', '\t']);
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = rest[digits..].strip_prefix(['.', ')']).filter(|_| digits > 0);
        let after = after.or_else(|| rest.strip_prefix(['-', '*', '+'])).filter(|rest| rest.starts_with([' ', '\t']));
        match after.or_else(|| rest.strip_prefix('>')) {
            Some(inner) => rest = inner.trim_start_matches([' ', '\t']),
            None => return rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{first_marker, shows_both_sides};

    fn line(text: &str) -> Option<u32> {
        first_marker(text, 0)
    }

    #[test]
    fn a_marker_is_found_at_the_start_of_a_line_only() {
        assert_eq!(line("a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x\n"), Some(2));
        assert_eq!(line("a\r\n<<<<<<<\r\n"), Some(2));
        assert_eq!(line(">>>>>>>"), Some(1));
        assert_eq!(line("||||||| base\n"), Some(1));
        assert_eq!(line("Title\n=======\ntext\n"), None);
        assert_eq!(line(" <<<<<<< HEAD\n<<<<<< six\n<<<<<<<x\n"), None);
        // what git writes where a file was renamed on both sides
        assert_eq!(line("a\n<<<<<<<< HEAD:0002-x.md\nb\n========\nc\n>>>>>>>> x:0004-x.md\n"), Some(2));
    }

    #[test]
    fn both_sides_are_shown_at_the_start_of_lines_only() {
        assert!(shows_both_sides("```\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n```\n"));
        assert!(shows_both_sides("<<<<<<<\n>>>>>>>"));
        assert!(shows_both_sides("x<<<<<<<<<<<<<\n<<<<<<<<<\n>>>>>>>>>>>>>>>>"));
        for one_side in ["", "<<<<<<<\n >>>>>>>", "x<<<<<<<\n>>>>>>>", "<<<<<<\n>>>>>>>", "<<<<<<< >>>>>>>"] {
            assert!(!shows_both_sides(one_side), "{one_side:?}");
        }
    }

    #[test]
    fn a_closed_fence_hides_markers_and_an_open_one_does_not() {
        assert_eq!(line("```\n<<<<<<< HEAD\n```\n"), None);
        assert_eq!(line("~~~ text\n<<<<<<< HEAD\n~~~~\n"), None);
        assert_eq!(line("```\n<<<<<<< HEAD\n"), Some(2));
        assert_eq!(line("````\n```\n<<<<<<< HEAD\n````\n"), None);
        assert_eq!(line("````\n<<<<<<< HEAD\n```\n"), Some(2));
        assert_eq!(line("```\n~~~\n```\n<<<<<<< HEAD\n~~~\n"), Some(4));
        assert_eq!(line("``` a`b\n<<<<<<< HEAD\n```\n"), Some(2));
        assert_eq!(line("```\nx\n```\n<<<<<<< HEAD\n```\ny\n```\n"), Some(4));
    }

    #[test]
    fn fences_in_list_items_do_not_confuse_the_count() {
        assert_eq!(line("- ```sh\n  x\n  ```\n<<<<<<< HEAD\n```\ny\n```\n"), Some(4));
        assert_eq!(line("1. a\n   ```\n   x\n<<<<<<< HEAD\n   ```\n"), Some(4));
        assert_eq!(line("> ```\n<<<<<<< HEAD\n"), Some(2));
    }

    #[test]
    fn fences_do_not_begin_in_the_frontmatter() {
        let text = "```\n<<<<<<< HEAD\n```\n";
        assert_eq!(first_marker(text, text.len()), Some(2));
    }
}
