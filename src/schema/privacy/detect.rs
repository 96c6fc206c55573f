//! Finds candidates by one search for telling words, then looks closer around each hit.
//!
//! Invariant: each detector either looks at a bounded stretch, or at a stretch that no later hit makes it look at again
//! (`done`, `value_run`), so that the whole is linear in the text.

mod assigned;
mod beside;
mod cookie;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::value::{is_member_path, is_placeholder, is_random, reads_as_words};
use super::words::{FORMATS, Format, KEY_KINDS, TRIGGERS, WORDS, Word, is_blank, is_capital, is_dashed, is_token_byte};
use super::{Finding, MARKER, Rule, bulk};

/// All raw findings, in no order; they may overlap.
pub(super) fn detect(text: &str) -> Vec<Finding> {
    let mut search = Search::new(text);
    for hit in TRIGGERS.find_overlapping_iter(text) {
        search.look_at(hit.pattern().as_usize(), hit.start(), hit.end());
    }
    search.findings
}

/// Whether there is any finding, for many texts.
pub(super) fn detects(text: &str) -> bool {
    /// After so many bytes the faster search has made up for what building it takes.
    const MANY: usize = 128 << 10;
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    if SEEN.fetch_add(text.len(), Ordering::Relaxed) < MANY {
        let hits = TRIGGERS.find_overlapping_iter(text);
        return any(text, hits.map(|hit| (hit.pattern().as_usize(), hit.start(), hit.end())));
    }
    any(text, bulk::hits(text.as_bytes()).into_iter())
}

fn any(text: &str, mut hits: impl Iterator<Item = bulk::Hit>) -> bool {
    let mut search = Search::new(text);
    hits.any(|(word, start, end)| {
        search.look_at(word, start, end);
        !search.findings.is_empty()
    })
}

struct Search<'t> {
    text: &'t str,
    bytes: &'t [u8],
    findings: Vec<Finding>,
    /// Per rule, up to where the text has been judged.
    done: [usize; Rule::ALL.len()],
    /// The last run of value bytes; its end is the end of every run that begins inside it.
    value_run: (usize, usize),
}

impl<'t> Search<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, bytes: text.as_bytes(), findings: Vec::new(), done: [0; Rule::ALL.len()], value_run: (0, 0) }
    }

    /// Looks closer at a telling word, by its number.
    fn look_at(&mut self, number: usize, start: usize, end: usize) {
        if self.is_in_marker(start) {
            return;
        }
        match (FORMATS.get(number), number.checked_sub(FORMATS.len()).and_then(|number| WORDS.get(number))) {
            (Some(format), _) => self.format(format, start),
            (None, Some((_, word))) => self.word(*word, start, end),
            (None, None) => {}
        }
    }
}

impl Search<'_> {
    fn at(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or(b'\n')
    }

    fn skip(&self, mut index: usize, belongs: impl Fn(u8) -> bool) -> usize {
        while self.bytes.get(index).is_some_and(|&b| belongs(b)) {
            index += 1;
        }
        index
    }

    fn found(&mut self, rule: Rule, start: usize, end: usize) {
        if start < end {
            self.findings.push(Finding { rule, offset: start, len: end - start });
        }
    }

    /// Whether a token may begin here: not inside a longer word, but right after an escape such as `\n`.
    fn begins_token(&self, start: usize) -> bool {
        let before = |back: usize| start.checked_sub(back).map_or(b' ', |index| self.bytes[index]);
        !before(1).is_ascii_alphanumeric() || (matches!(before(1), b'n' | b'r' | b't') && before(2) == b'\\')
    }

    /// Whether a place lies in a `[redacted:RULE]`, whose rule name may hold a telling word itself.
    fn is_in_marker(&self, index: usize) -> bool {
        const LONGEST: usize = 32;
        let from = index.saturating_sub(LONGEST);
        let marker = MARKER.as_bytes();
        let Some(start) = self.bytes[from..index].windows(marker.len()).rposition(|window| window == marker) else {
            return false;
        };
        let rule = &self.bytes[from + start + marker.len()..];
        Rule::ALL.iter().any(|known| {
            let name = known.as_str().as_bytes();
            rule.starts_with(name)
                && rule.get(name.len()) == Some(&b']')
                && from + start + marker.len() + name.len() > index
        })
    }

    fn word(&mut self, word: Word, start: usize, end: usize) {
        match word {
            Word::PrivateKey => self.private_key(start, end),
            Word::Jwt => self.jwt(start),
            Word::Url => self.url(start, end),
            Word::Bearer => self.bearer(start, end),
            Word::Authorization => self.authorization(start, end),
            Word::Cookie => self.cookie(start, end),
            Word::SecretName => self.secret_name(start, end),
            Word::KeyName => self.key_name(start, end),
        }
    }

    fn format(&mut self, format: &Format, start: usize) {
        let body = start + format.prefix.len();
        let done = self.done[format.rule as usize];
        if start < done || !self.bytes[start..].starts_with(format.prefix.as_bytes()) || !self.begins_token(start) {
            return;
        }
        let end = self.skip(body, format.alphabet);
        // a later hit in this run has a shorter body of the same pieces: what fails here fails there
        self.done[format.rule as usize] = end;
        let text = &self.text[body..end];
        let (least, most) = format.len;
        // documentation fills in the last segment of an address
        let is_filler = text.rsplit('/').next().is_some_and(is_x_filler);
        if (least..=most).contains(&text.len()) && !reads_as_words(text) && !is_filler {
            self.found(format.rule, start, end);
        }
    }

    fn private_key(&mut self, start: usize, label: usize) {
        const DASHES: &str = "-----";
        let body = self.skip_label(label);
        let rest = &self.text[body..];
        if !self.text[start..].starts_with("-----BEGIN")
            || !self.text[label..body].contains("PRIVATE KEY")
            || !rest.starts_with(DASHES)
        {
            return;
        }
        let body = body + DASHES.len();
        let next = self.text[body..].find(DASHES).map_or(self.bytes.len(), |found| body + found);
        if self.text[next..].starts_with("-----END") {
            let label_end = self.skip_label(next + "-----END".len());
            let end = if self.text[label_end..].starts_with(DASHES) { label_end + DASHES.len() } else { label_end };
            if !self.text[body..next].trim().is_empty() {
                self.found(Rule::PrivateKey, start, end);
            }
            return;
        }
        // cut off: the lines that are base64, and the short one that may end them
        let mut end = None;
        let mut at = body;
        loop {
            let line = self.skip(at, |b| b.is_ascii_whitespace() || matches!(b, b'\\' | b'>' | b'"' | b','));
            let line_end = self.skip(line, |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
            if line == line_end || line >= next || (end.is_none() && line_end - line < 32) {
                break;
            }
            end = Some(line_end);
            at = line_end;
            if line_end - line < 32 {
                break;
            }
        }
        if let Some(end) = end {
            self.found(Rule::PrivateKey, start, end);
        }
    }

    fn skip_label(&self, start: usize) -> usize {
        let longest = (start + 64).min(self.bytes.len());
        start + self.bytes[start..longest].iter().take_while(|&&b| is_capital(b) || b == b' ').count()
    }

    fn jwt(&mut self, start: usize) {
        const LEAST: usize = 10;
        if start < self.done[Rule::Jwt as usize]
            || !self.bytes[start..].starts_with(b"eyJ")
            || !self.begins_token(start)
        {
            return;
        }
        let header = self.skip(start, is_dashed);
        // later hits up to here have a shorter header and the same rest
        self.done[Rule::Jwt as usize] = header;
        if self.at(header) != b'.' {
            return;
        }
        let payload = self.skip(header + 1, is_dashed);
        let is_unsigned = self.at(payload) != b'.';
        let long_enough = header - start >= LEAST && payload - header > LEAST;
        if !long_enough || (is_unsigned && !self.bytes[header + 1..].starts_with(b"eyJ")) {
            return;
        }
        let mut end = payload;
        // the signature; encrypted tokens have five parts
        for _ in 0..3 {
            let part = self.skip(end + 1, is_dashed);
            if self.at(end) != b'.' || part == end + 1 {
                break;
            }
            end = part;
        }
        self.found(Rule::Jwt, start, end);
        self.done[Rule::Jwt as usize] = end;
    }

    fn url(&mut self, start: usize, authority: usize) {
        if start == 0 || !self.bytes[start - 1].is_ascii_alphanumeric() {
            return;
        }
        let end = self.skip(authority, |b| {
            !b.is_ascii_whitespace() && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
        });
        let Some((user, host)) = self.text[authority..end].rsplit_once('@') else { return };
        let Some((_, password)) = user.split_once(':') else { return };
        // `docker://image:tag@sha256:…` names an image
        let is_digest = host.starts_with("sha") && host.contains(':');
        let is_redacted = user.starts_with(MARKER)
            && self.is_in_marker(authority + MARKER.len())
            && user.find(']') == Some(user.len() - 1);
        if !(password.is_empty() || is_digest || is_redacted || is_url_placeholder(password)) {
            self.found(Rule::UrlCredentials, authority, authority + user.len());
        }
    }

    fn bearer(&mut self, start: usize, end: usize) {
        self.look_along_line(end);
        let value = self.skip(end, is_blank);
        if value == end || !self.begins_token(start) {
            return;
        }
        let value_end = self.value_end(value);
        let text = self.judged_bare(value, value_end);
        if text.len() >= 16 && !reads_as_words(text) && !is_placeholder(text) && !is_member_path(text, false) {
            self.found(Rule::Authorization, value, value_end);
        }
    }

    fn authorization(&mut self, start: usize, end: usize) {
        self.look_along_line(end);
        let Some(value) = self.assigned_value(start, end) else { return };
        let scheme = self.skip(value.start, is_dashed).min(value.end);
        let credentials = self.skip(scheme, is_blank);
        let has_scheme = (3..=20).contains(&(scheme - value.start)) && credentials > scheme;
        if !has_scheme {
            let is_prose = reads_as_words(self.judged(value.start, value.end));
            if !is_prose && self.is_secret(&value) {
                self.found(Rule::Authorization, value.start, value.end);
            }
            return;
        }
        let end = self.value_end(credentials);
        let text = self.judged_bare(credentials, end);
        let is_known_scheme = ["bearer", "basic", "token", "apikey"]
            .iter()
            .any(|known| self.text[value.start..scheme].eq_ignore_ascii_case(known));
        let is_prose = !is_known_scheme && reads_as_words(text);
        if text.len() >= 12 && !is_prose && !is_placeholder(text) && !is_member_path(text, false) {
            self.found(Rule::Authorization, credentials, end);
        }
    }

    fn key_name(&mut self, start: usize, end: usize) {
        let mut before = start;
        if before > 0 && matches!(self.bytes[before - 1], b'_' | b'-' | b' ') {
            before -= 1;
        }
        let is_kept = KEY_KINDS.iter().any(|kind| {
            before
                .checked_sub(kind.len())
                .is_some_and(|from| self.bytes[from..before].eq_ignore_ascii_case(kind.as_bytes()))
        });
        if is_kept {
            self.secret_name(start, end);
        }
    }

    fn secret_name(&mut self, start: usize, end: usize) {
        self.look_along_line(end);
        let Some(value) = self.assigned_value(start, end) else { return };
        // a value may hold further names (`token=token=…`) that share its end
        if value.end > self.done[Rule::Assignment as usize] && self.is_secret(&value) {
            self.found(Rule::Assignment, value.start, value.end);
            self.done[Rule::Assignment as usize] = value.end;
        }
    }

    /// Looks for random tokens from here to the end of the line, once per line.
    fn look_along_line(&mut self, start: usize) {
        if start < self.done[Rule::HighEntropy as usize] {
            return;
        }
        let line_end = self.skip(start, |b| b != b'\n');
        self.done[Rule::HighEntropy as usize] = line_end;
        let mut word = start - self.bytes[..start].iter().rev().take_while(|b| !b.is_ascii_whitespace()).count();
        while word < line_end {
            let word_end = self.skip(word, |b| !b.is_ascii_whitespace()).min(line_end);
            let text = &self.text[word..word_end];
            let is_address = text.len() >= 20 && (text.contains("://") || text.contains("data:"));
            let mut at = word.max(start);
            while at < word_end && !is_address {
                let token = self.skip(at, |b| !is_token_byte(b)).min(word_end);
                let token_end = self.skip(token, is_token_byte).min(word_end);
                if token_end - token >= 20 && is_random(&self.text[token..token_end]) {
                    self.found(Rule::HighEntropy, token, token_end);
                }
                at = token_end.max(token + 1);
            }
            word = word_end + 1;
        }
    }
}

/// `xxxx…`, as documentation writes a key; other fillers may be somebody's test key.
fn is_x_filler(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'x' | b'X' | b'_' | b'-'))
}

/// Whether a URL's password is a stand-in. Short passwords are passwords too, so only what is plainly none.
fn is_url_placeholder(password: &str) -> bool {
    let is_filler = password.bytes().all(|b| matches!(b, b'x' | b'X' | b'*' | b'.'));
    is_filler || (password.len() > 2 && !super::value::is_filler(password) && is_placeholder(password))
}
