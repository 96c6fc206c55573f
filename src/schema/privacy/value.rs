//! What a stretch of text reads as: words, a placeholder, code, a random token. Pure judgements, no positions.

/// Words that mark a value as a stand-in, as documentation writes them.
const PLACEHOLDERS: [&str; 8] =
    ["your", "changeme", "example", "placeholder", "redacted", "public", "replaceme", "insert"];

/// Whether a piece between separators is a word: up to 15 letters in one case or capitalised, up to four digits, or three
/// characters of any kind (`v2`, `s3`).
fn is_word(piece: &str) -> bool {
    let rest = piece.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(piece);
    let is_letters = rest.bytes().all(|b| b.is_ascii_lowercase()) || piece.bytes().all(|b| b.is_ascii_uppercase());
    match piece.len() {
        0..=3 => true,
        4 if piece.bytes().all(|b| b.is_ascii_digit()) => true,
        4..=15 => is_letters,
        _ => false,
    }
}

fn pieces(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_ascii_alphanumeric())
}

/// Whether all of a value is words and what joins them, as in `reads-as-words` and `/run/secrets/db_password`.
pub(super) fn reads_as_words(value: &str) -> bool {
    value.is_ascii() && pieces(value).all(is_word)
}

/// `xxxx…`, as documentation writes the random part of a key.
fn is_x_filler(piece: &str) -> bool {
    piece.len() >= 4 && piece.bytes().all(|b| matches!(b, b'x' | b'X'))
}

/// Whether a value is one or two characters over and over (`xxxxxxxx`, `****-****`).
pub(super) fn is_filler(value: &str) -> bool {
    let mut seen = [false; 256];
    value.bytes().filter(|&b| !std::mem::replace(&mut seen[usize::from(b)], true)).take(3).count() <= 2
}

/// Whether a value stands in for one, or says where the real one is to be had: a documentation word, filler, an ellipsis,
/// a variable or a template.
pub(super) fn is_placeholder(value: &str) -> bool {
    let is_variable = value
        .strip_prefix('$')
        .is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !starts_with_digit(name));
    let is_template = ["${", "{{", "$(", "...", "%("].iter().any(|mark| value.contains(mark))
        || value.starts_with(['<', '{'])
        || (value.len() > 1 && value.starts_with('%') && value.ends_with('%'));
    is_variable || is_template || is_filler(value) || is_documentation(value)
}

fn is_documentation(value: &str) -> bool {
    let says_so = |piece: &str| is_x_filler(piece) || PLACEHOLDERS.contains(&&*piece.to_ascii_lowercase());
    value.is_ascii() && pieces(value).all(|piece| is_word(piece) || is_x_filler(piece)) && pieces(value).any(says_so)
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a value is a bare name of a program's: letters and underscores.
pub(super) fn is_identifier(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

/// Whether a value names another place by a dotted path (`process.env.API_KEY`, `settings.s3.secret_key`). In quotes only
/// where its first part is one that programs use for this, since a password may have dots too.
pub(super) fn is_member_path(value: &str, quoted: bool) -> bool {
    const ROOTS: [&str; 12] =
        ["process", "env", "os", "config", "settings", "options", "secrets", "vars", "inputs", "this", "self", "event"];
    let Some((root, _)) = value.split_once('.') else { return false };
    (!quoted || ROOTS.contains(&root)) && value.split('.').all(|part| is_identifier(part) || is_short_name(part))
}

/// `s3`, `v2`.
fn is_short_name(part: &str) -> bool {
    part.len() <= 3
        && part.starts_with(|c: char| c.is_ascii_alphabetic())
        && part.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether a name is one of a shell's environment: capitals and underscores, some of each.
pub(super) fn is_variable_name(value: &str) -> bool {
    value.contains('_') && value.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// Whether a token looks drawn at random from letters of both cases and digits. Hashes, UUIDs and ULIDs, which use one
/// case, do not; nor do names in camel case, which change class seldom; nor checksums that say they are one.
pub(super) fn is_random(token: &str) -> bool {
    if token.starts_with("sha") && token.contains('-') {
        return false;
    }
    token.split('/').any(|part| part.len() >= 20 && is_random_part(part.as_bytes()))
}

fn is_random_part(part: &[u8]) -> bool {
    let class = |b: u8| match b {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let mut counts = [0usize; 4];
    let mut seen = [false; 256];
    for &b in part {
        counts[class(b)] += 1;
        seen[usize::from(b)] = true;
    }
    let changes = part.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    let distinct = seen.iter().filter(|&&seen| seen).count();
    counts[..3].iter().all(|&count| count >= 2) && changes * 10 >= part.len() * 4 && distinct >= 12
}
