//! The words that make the scrubber look closer, and the classes of bytes that it then reads along.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::Rule;

/// A key that tells itself by its first characters.
pub(super) struct Format {
    pub(super) rule: Rule,
    pub(super) prefix: &'static str,
    pub(super) alphabet: fn(u8) -> bool,
    /// How many characters follow the prefix, at least and at most.
    pub(super) len: (usize, usize),
}

const ANY: usize = usize::MAX;

pub(super) const FORMATS: &[Format] = &[
    Format { rule: Rule::GithubToken, prefix: "ghp_", alphabet: is_word_byte, len: (20, ANY) },
    Format { rule: Rule::GithubToken, prefix: "gho_", alphabet: is_word_byte, len: (20, ANY) },
    Format { rule: Rule::GithubToken, prefix: "ghu_", alphabet: is_word_byte, len: (20, ANY) },
    Format { rule: Rule::GithubToken, prefix: "ghs_", alphabet: is_word_byte, len: (20, ANY) },
    Format { rule: Rule::GithubToken, prefix: "ghr_", alphabet: is_word_byte, len: (20, ANY) },
    Format { rule: Rule::GithubToken, prefix: "github_pat_", alphabet: is_word_byte, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glpat-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "gldt-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glrt-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glcbt-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glptt-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glft-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glsoat-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glimt-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "glagent-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::GitlabToken, prefix: "gloas-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::NpmToken, prefix: "npm_", alphabet: is_word_byte, len: (30, ANY) },
    Format { rule: Rule::PypiToken, prefix: "pypi-", alphabet: is_dashed, len: (32, ANY) },
    Format { rule: Rule::AwsKey, prefix: "AKIA", alphabet: is_capital, len: (16, 16) },
    Format { rule: Rule::AwsKey, prefix: "ASIA", alphabet: is_capital, len: (16, 16) },
    Format { rule: Rule::GoogleKey, prefix: "AIza", alphabet: is_dashed, len: (30, ANY) },
    Format { rule: Rule::GoogleKey, prefix: "ya29.", alphabet: is_dashed, len: (30, ANY) },
    Format { rule: Rule::GoogleKey, prefix: "GOCSPX-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::SlackToken, prefix: "xoxa-", alphabet: is_dashed, len: (10, ANY) },
    Format { rule: Rule::SlackToken, prefix: "xoxb-", alphabet: is_dashed, len: (10, ANY) },
    Format { rule: Rule::SlackToken, prefix: "xoxp-", alphabet: is_dashed, len: (10, ANY) },
    Format { rule: Rule::SlackToken, prefix: "xoxr-", alphabet: is_dashed, len: (10, ANY) },
    Format { rule: Rule::SlackToken, prefix: "xoxs-", alphabet: is_dashed, len: (10, ANY) },
    Format { rule: Rule::SlackToken, prefix: "hooks.slack.com/services/", alphabet: is_segment_byte, len: (20, ANY) },
    Format { rule: Rule::StripeKey, prefix: "sk_live_", alphabet: is_word_byte, len: (16, ANY) },
    Format { rule: Rule::StripeKey, prefix: "rk_live_", alphabet: is_word_byte, len: (16, ANY) },
    Format { rule: Rule::StripeKey, prefix: "sk_test_", alphabet: is_word_byte, len: (16, ANY) },
    Format { rule: Rule::StripeKey, prefix: "rk_test_", alphabet: is_word_byte, len: (16, ANY) },
    Format { rule: Rule::OpenaiKey, prefix: "sk-", alphabet: is_dashed, len: (20, ANY) },
    Format { rule: Rule::ProviderKey, prefix: "hf_", alphabet: is_alphanumeric, len: (30, ANY) },
    Format { rule: Rule::ProviderKey, prefix: "gsk_", alphabet: is_alphanumeric, len: (30, ANY) },
    Format { rule: Rule::ProviderKey, prefix: "xai-", alphabet: is_alphanumeric, len: (30, ANY) },
    Format { rule: Rule::ProviderKey, prefix: "dop_v1_", alphabet: is_alphanumeric, len: (30, ANY) },
    Format { rule: Rule::ProviderKey, prefix: "doo_v1_", alphabet: is_alphanumeric, len: (30, ANY) },
    Format { rule: Rule::ProviderKey, prefix: "dor_v1_", alphabet: is_alphanumeric, len: (30, ANY) },
];

/// What a telling word may announce.
#[derive(Clone, Copy)]
pub(super) enum Word {
    PrivateKey,
    Jwt,
    Url,
    Bearer,
    Authorization,
    Cookie,
    SecretName,
    KeyName,
}

/// The other telling words.
pub(super) const WORDS: &[(&str, Word)] = &[
    ("-----BEGIN", Word::PrivateKey),
    ("eyJ", Word::Jwt),
    ("://", Word::Url),
    ("bearer", Word::Bearer),
    ("authorization", Word::Authorization),
    ("cookie", Word::Cookie),
    ("token", Word::SecretName),
    ("secret", Word::SecretName),
    ("password", Word::SecretName),
    ("passwd", Word::SecretName),
    ("passphrase", Word::SecretName),
    ("credential", Word::SecretName),
    ("_pass", Word::SecretName),
    ("_pwd", Word::SecretName),
    ("key", Word::KeyName),
];

/// What makes a `…key` one to keep: an API key is, a primary key is not.
pub(super) const KEY_KINDS: [&str; 9] =
    ["api", "access", "secret", "private", "signing", "encryption", "account", "auth", "master"];

/// All telling words: those of the formats first.
pub(super) fn triggers() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|format| format.prefix).chain(WORDS.iter().map(|(word, _)| *word))
}

/// The search for them, quickly built: most processes look at a few hundred bytes.
pub(super) static TRIGGERS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    // cannot fail: building fails only for sets of millions of words
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(true)
        .build(triggers())
        .expect("a small, fixed set of words")
});

pub(super) const fn is_alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// The segments of a path, as in an address that is a secret itself.
pub(super) const fn is_segment_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'/'
}

pub(super) const fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

pub(super) const fn is_dashed(b: u8) -> bool {
    is_word_byte(b) || b == b'-'
}

pub(super) const fn is_capital(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

/// What a value without quotes is made of: no spaces, and nothing that closes a list, a call or a statement.
pub(super) const fn is_value_byte(b: u8) -> bool {
    b.is_ascii_graphic()
        && !matches!(b, b'"' | b'\'' | b'`' | b',' | b';' | b'&' | b'|' | b'\\' | b'(' | b')')
        && !matches!(b, b'<' | b'>' | b'[' | b']' | b'{' | b'}')
}

pub(super) const fn is_token_byte(b: u8) -> bool {
    is_dashed(b) || matches!(b, b'+' | b'/' | b'=')
}

pub(super) const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}
