//! The names of things: issue numbers, slugs, file names, identities, hashes, revisions.
//!
//! Text from outside becomes a key or a path only through one of these types, so an unchecked string can do neither.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Longest issue file name this tool makes, in bytes. File systems allow 255; a temporary name must fit beside it.
pub const MAX_FILE_NAME: usize = 120;

/// The number people call an issue by. It may change in a collision; see [`Identity`] for what never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct IssueId(pub u32);

impl fmt::Display for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not an issue's number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issue's number is expected, such as 12")]
pub struct InvalidIssueId;

impl FromStr for IssueId {
    type Err = InvalidIssueId;

    /// Reads `12` and `#12`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('#').unwrap_or(text).parse().map(Self).map_err(|_| InvalidIssueId)
    }
}

/// The part of an issue's file name after its number; may be empty. Chosen from the title at creation, fixed from then.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The slug of a new issue: ASCII letters (lower-cased) and digits are kept, each run of anything else becomes one
    /// `-`, none at either end; cut so that a file name with it stays within [`MAX_FILE_NAME`] for every number.
    #[must_use]
    pub fn from_title(title: &str) -> Self {
        // ten digits, the dash and `.md` are spent already
        const MAX: usize = MAX_FILE_NAME - 14;
        let mut slug = String::new();
        for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.extend(word.chars().map(|c| c.to_ascii_lowercase()));
            if slug.len() >= MAX {
                slug.truncate(MAX);
                break;
            }
        }
        slug.truncate(slug.trim_end_matches('-').len());
        Self(slug)
    }

    /// The slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name of an issue file, `NNNN[-slug].md`, in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileName {
    /// The number in front.
    pub id: IssueId,
    /// What follows it.
    pub slug: Slug,
}

/// Why a directory entry is not an issue file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnIssueFile {
    /// Not of the shape at all: none of this tool's business.
    #[error("not an issue file")]
    Unrelated,
    /// Begins with digits and ends in `.md`, but is not spelled as issue files are.
    #[error(
        "an issue file's name is its number in at least four digits, then -slug, then .md (such as 0012-fix-login.md)"
    )]
    Misspelled,
    /// Holds control characters or others that could fool a reader.
    #[error("the file name holds control or direction-changing characters")]
    Deceptive,
    /// The number does not fit.
    #[error("the number in the file name is too large")]
    NumberTooLarge,
}

impl FileName {
    /// Reads a directory entry's name.
    ///
    /// # Errors
    /// [`NotAnIssueFile::Unrelated`] for names that are not of the shape and can be passed over in silence; the other
    /// variants for names that were probably meant as issue files and must be reported.
    pub fn parse(name: &str) -> Result<Self, NotAnIssueFile> {
        Self::split(name).map(|(id, slug)| Self { id, slug: Slug(slug.to_owned()) })
    }

    /// The number and the slug of a directory entry's name.
    ///
    /// # Errors
    /// See [`FileName::parse`].
    pub fn split(name: &str) -> Result<(IssueId, &str), NotAnIssueFile> {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &name[digits..];
        let has_md_end = rest.len() >= 3 && rest.as_bytes()[rest.len() - 3..].eq_ignore_ascii_case(b".md");
        // no entry of a folder has a slash in its name; a text that has one is a path, which is for nobody to follow
        if digits == 0 || !has_md_end || !(rest.len() == 3 || rest.starts_with('-')) || rest.contains('/') {
            return Err(NotAnIssueFile::Unrelated);
        }
        // most names are plain ASCII, where a glance at the bytes will do
        if !is_plain(name) && name.chars().any(is_deceptive) {
            return Err(NotAnIssueFile::Deceptive);
        }
        let id = IssueId(name[..digits].parse().map_err(|_| NotAnIssueFile::NumberTooLarge)?);
        let slug = rest[..rest.len() - 3].strip_prefix('-').unwrap_or_default();
        let one_spelling = (digits == 4 || (digits > 4 && !name.starts_with('0')))
            && rest.as_bytes().ends_with(b".md")
            && (rest.len() == 3 || !slug.is_empty());
        if one_spelling { Ok((id, slug)) } else { Err(NotAnIssueFile::Misspelled) }
    }

    /// The name without `.md`, as `depends_on` spells it.
    #[must_use]
    pub fn stem(&self) -> String {
        let mut text = String::with_capacity(self.slug.0.len() + "0000-".len());
        // a text takes everything
        let _ = write_stem(&mut text, self.id, &self.slug);
        text
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_stem(f, self.id, &self.slug)?;
        f.write_str(".md")
    }
}

fn write_stem(text: &mut impl fmt::Write, id: IssueId, slug: &Slug) -> fmt::Result {
    write!(text, "{:04}", id.0)?;
    if !slug.is_empty() {
        text.write_char('-')?;
        text.write_str(&slug.0)?;
    }
    Ok(())
}

/// Whether a text is of printable ASCII alone, as most are: none of it is [deceptive](is_deceptive).
#[must_use]
pub(crate) fn is_plain(text: &str) -> bool {
    // all bytes are looked at, several at a time
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// Whether a character is a control (C0, C1, DEL), a line or paragraph separator, or changes the direction of text:
/// refused in names and keys, escaped whenever printed.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A link to another issue, by number and slug. With an empty slug the number alone says which issue is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// The number when the link was written.
    pub id: IssueId,
    /// The slug, which tells the issue after a number collision.
    pub slug: Slug,
}

impl Link {
    /// Reads a file stem (`0012-fix-login-bug`) or a bare number (`12`, `#12`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('#').unwrap_or(text);
        let (digits, slug) = text.split_once('-').unwrap_or((text, ""));
        let clean = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && !slug.chars().any(is_deceptive);
        let dangling = slug.is_empty() && text.contains('-');
        let id = digits.parse().ok().filter(|_| clean && !slug.contains('/') && !dangling)?;
        Some(Self { id: IssueId(id), slug: Slug(slug.to_owned()) })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_stem(f, self.id, &self.slug)
    }
}

/// What an issue *is*, for machines: the exact time of its creation and its slug. Both are fixed at creation, while the
/// number may change in a collision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Exact creation time.
    pub created_at: Timestamp,
    /// The slug in the file name.
    pub slug: Slug,
}

impl Identity {
    /// The database key: slug, a NUL (slugs hold none), creation time. All issues of one slug lie side by side.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.slug.0.len() + 1 + Timestamp::KEY_LEN);
        key.extend_from_slice(self.slug.0.as_bytes());
        key.push(0);
        key.extend_from_slice(&self.created_at.sort_key());
        key
    }

    /// The identity of a database key; none if the bytes are none.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (slug, time) = key.split_last_chunk()?;
        let slug = std::str::from_utf8(slug.strip_suffix(&[0])?).ok()?;
        Some(Self { created_at: Timestamp::from_sort_key(*time)?, slug: Slug(slug.to_owned()) })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.slug.0, self.created_at)
    }
}

/// The original's content hash: SipHash-1-3 with key (0, 0) over the text and one byte `0xFF`; 16 hex digits.
/// Tells versions apart; it is no protection against forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash(pub u64);

impl ContentHash {
    /// The hash of a text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        use std::hash::Hasher as _;
        let mut hasher = siphasher::sip::SipHasher13::new();
        hasher.write(text);
        hasher.write_u8(0xFF);
        Self(hasher.finish())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is not a content hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a content hash is 16 hexadecimal digits, as `issue show` prints it")]
pub struct InvalidHash;

impl FromStr for ContentHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| valid).map(Self).ok_or(InvalidHash)
    }
}

/// The place of a change in the order of all changes of one database. Grows by one with each; the clock plays no part.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a session: what may become the name of a lock file, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct SessionId(String);

/// Longest session id, in bytes.
pub const MAX_SESSION_ID: usize = 128;

/// A text that cannot name a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a session id is 1 to {MAX_SESSION_ID} bytes without /, \\ or control characters and does not begin with a dot"
)]
pub struct InvalidSessionId;

impl SessionId {
    /// A new id: a ULID in lower case, so that ids sort as they were made. `random` comes from the system's generator.
    #[must_use]
    pub fn generate(now: Timestamp, random: [u8; 10]) -> Self {
        let milliseconds = u64::try_from(now.get().timestamp_millis()).unwrap_or(0);
        let random = random.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        Self(ulid::Ulid::from_parts(milliseconds, random).to_string().to_ascii_lowercase())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=MAX_SESSION_ID).contains(&text.len())
            && !text.starts_with('.')
            && !text.chars().any(|c| matches!(c, '/' | '\\') || is_deceptive(c));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidSessionId) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes text from records safe to print: control, C1 and direction-changing characters become `\u{…}` escapes; tabs
/// (and, where `keep_lines`, line feeds) stay.
#[must_use]
pub fn printable(text: &str, keep_lines: bool) -> std::borrow::Cow<'_, str> {
    let harmless = |c: char| !is_deceptive(c) || c == '\t' || (keep_lines && c == '\n');
    if text.chars().all(harmless) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmless(c) {
            out.push(c);
        } else {
            // writing to a string cannot fail
            let _ = write!(out, "{}", c.escape_unicode());
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_follow_the_original_rule() {
        for (title, slug) in [
            ("Fix Login Bug!", "fix-login-bug"),
            ("", ""),
            ("---", ""),
            ("   spaces   ", "spaces"),
            ("Ünïcode Çase", "n-code-ase"),
            ("한글", ""),
            ("a.b/c\\d", "a-b-c-d"),
            ("CamelCase123", "camelcase123"),
        ] {
            assert_eq!(Slug::from_title(title).as_str(), slug, "{title}");
        }
    }

    #[test]
    fn a_long_title_gives_a_file_name_that_fits() {
        let slug = Slug::from_title(&"long words ".repeat(40));
        let name = FileName { id: IssueId(u32::MAX), slug }.to_string();
        assert!(name.len() <= MAX_FILE_NAME && !name.contains("-."), "{name}");
    }

    #[test]
    fn file_names_have_one_spelling() {
        use NotAnIssueFile::{Deceptive, Misspelled, NumberTooLarge, Unrelated};
        for name in ["0012-fix.md", "0000.md", "10000-big-id.md", "0001-Übung a.md", "4294967295-max.md"] {
            assert_eq!(FileName::parse(name).unwrap().to_string(), name);
        }
        for (name, why) in [
            ("12-fix.md", Misspelled),
            ("00012-fix.md", Misspelled),
            ("0012-.md", Misspelled),
            ("0012-fix.MD", Misspelled),
            ("4294967296.md", NumberTooLarge),
            ("0012-a\u{1b}[2J.md", Deceptive),
            ("0012-a\u{202e}b.md", Deceptive),
            ("README.md", Unrelated),
            ("0012-fix.txt", Unrelated),
            ("0012fix.md", Unrelated),
            ("0012-a/b.md", Unrelated),
            ("0012-/../../x.md", Unrelated),
            (".0012-fix.md.tmp-1", Unrelated),
            ("", Unrelated),
        ] {
            assert_eq!(FileName::parse(name), Err(why), "{name}");
        }
    }

    #[test]
    fn links_read_stems_and_numbers() {
        assert_eq!(Link::parse("12").unwrap().to_string(), "0012");
        for stem in ["0012-fix-login", "0012-ends-in-a-dash-"] {
            assert_eq!(Link::parse(stem).unwrap().to_string(), stem);
        }
        for text in ["", "fix", "-1", "12-", "12-a/b", "12-a\nb", "4294967296"] {
            assert_eq!(Link::parse(text), None, "{text}");
        }
    }

    #[test]
    fn content_hashes_are_the_originals() {
        for (text, hash) in [("", "30406ea523c53def"), ("hello\n", "8788908c95725b25"), ("버그\n", "6414d397d7ad6daa")]
        {
            assert_eq!(ContentHash::of(text.as_bytes()).to_string(), hash);
            assert_eq!(hash.parse(), Ok(ContentHash::of(text.as_bytes())));
        }
        for text in ["", "30406ea523c53de", "+0406ea523c53def", "30406ea523c53defa"] {
            assert_eq!(text.parse::<ContentHash>(), Err(InvalidHash));
        }
    }

    #[test]
    fn session_ids_cannot_leave_their_folder() {
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\0b", "a\nb", &"x".repeat(129)] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
        assert!("proc-4242-0123".parse::<SessionId>().is_ok());
    }

    #[test]
    fn generated_session_ids_sort_by_their_time() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = SessionId::generate(time("2026-11-20T17:40:36.018Z"), [0xff; 10]);
        let second = SessionId::generate(time("2026-11-20T17:40:36.019Z"), [0; 10]);
        assert_eq!(first.as_str(), "01m7x0qfhjzzzzzzzzzzzzzzzz");
        assert!(first < second);
        assert_eq!(SessionId::generate(time("1969-01-01T00:00:00Z"), [0; 10]).as_str(), "0".repeat(26));
        assert_eq!(first.as_str().parse(), Ok(first));
    }

    #[test]
    fn printed_text_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n", true), "a\\u{1b}[2Jb\n");
        assert_eq!(printable("a\nb", false), "a\\u{a}b");
        assert_eq!(printable("plain ü", false), "plain ü");
    }
}
