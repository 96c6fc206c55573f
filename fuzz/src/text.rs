//! Lines of an issue file as a person sees them, told without the library's own reading.

/// The frontmatter's lines without those of the delimiters, if the file is one in which every line can be told apart at a
/// glance: comments and keys at the left edge, everything else indented, no anchors, no explicit keys, no flow value of
/// several lines, in which a text may have lines like keys at the left edge.
pub fn plain_lines(file: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(file).ok()?;
    let mut lines = text.strip_prefix('\u{FEFF}').unwrap_or(text).split('\n');
    let closes = |line: &str| line.strip_suffix('\r').unwrap_or(line) == "---";
    closes(lines.next()?).then_some(())?;
    let mut found: Vec<&str> = Vec::new();
    for line in lines {
        if closes(line) {
            // a key that seems to be there twice is within a text of several lines
            let mut keys: Vec<_> = found.iter().copied().filter_map(key_of).collect();
            keys.sort_unstable();
            return keys.windows(2).all(|pair| pair[0] != pair[1]).then_some(found);
        }
        let is_key = key_of(line).is_some();
        let is_plain = line.trim().is_empty() || line.starts_with(['#', ' ']) || line.starts_with("- ") || is_key;
        if !is_plain || line.contains(['&', '*', '|', '>', '\u{85}', '\u{2028}', '\u{2029}', '\t']) {
            return None;
        }
        // a carriage return within a line ends it for YAML
        if line.strip_suffix('\r').unwrap_or(line).contains('\r') {
            return None;
        }
        let count = |sign: char| line.matches(sign).count();
        if count('[') != count(']') || count('{') != count('}') {
            return None;
        }
        found.push(line);
    }
    None
}

/// The key that a line begins, if it is a plain word.
pub fn key_of(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let is_word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_word && (rest.is_empty() || rest.starts_with([' ', '\r']))).then_some(key)
}

/// The comments at the left edge that stand before a key or at the end. One within a value goes with its lines when the
/// value changes.
pub fn comments<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let is_between = |line: &&&str| line.starts_with('#') || line.trim().is_empty();
    let stands =
        |at: usize| lines[at..].iter().find(|line| !is_between(line)).is_none_or(|line| key_of(line).is_some());
    let found = lines.iter().enumerate().filter(|(at, line)| line.starts_with('#') && stands(*at));
    found.map(|(_, line)| *line).collect()
}

/// Whether all of some lines are among others, in their order.
pub fn are_kept<'a>(lines: impl IntoIterator<Item = &'a str>, among: &[&str]) -> Result<(), &'a str> {
    let mut rest = among.iter();
    for line in lines {
        let line = line.trim_end_matches('\r');
        if !rest.any(|other| other.trim_end_matches('\r') == line) {
            return Err(line);
        }
    }
    Ok(())
}
