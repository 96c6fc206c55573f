//! The one scrubber: finds what looks like a secret in a text before that text is stored or shown.
//!
//! Nothing here keeps, returns or prints what was found: a [`Finding`] is a rule and a position. It recognises shapes, so
//! it promises neither to know every kind of secret nor never to be wrong; [`Policy::allow`] is the answer to a false
//! alarm. Time is linear in the text, whatever the text, and text without a suspicious word costs one search pass.
//!
//! ```
//! use oxi_state::schema::privacy::{self, Policy};
//!
//! let note = "The total_tokens counter is fine, so is API_KEY=process.env.API_KEY.";
//! assert!(privacy::check(note, &Policy::default()).is_ok());
//!
//! let leak = ["connect with postgres://harbour:", "low", "-tide@db.local"].concat();
//! let refused = privacy::check(&leak, &Policy::default()).unwrap_err();
//! assert_eq!(refused.rule.as_str(), "url-credentials");
//! assert_eq!((refused.line, refused.column), (1, 25));
//!
//! let policy = Policy { redact: true, ..Policy::default() };
//! assert_eq!(privacy::check(&leak, &policy).unwrap(), "connect with postgres://[redacted:url-credentials]@db.local");
//! ```

mod bulk;
mod detect;
#[cfg(test)]
pub(super) mod tests;
mod value;
mod words;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::str::FromStr;

/// How a redacted secret begins in a text; the rule's name and `]` follow.
const MARKER: &str = "[redacted:";

/// What a text was recognised by. Where several rules recognise one stretch of text, the first in this order names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A PEM or PGP block that holds a private key, whole or cut off.
    PrivateKey,
    /// A JSON web token.
    Jwt,
    /// A GitHub token, classic or fine-grained.
    GithubToken,
    /// A GitLab token: a person's, a runner's, a deployment's and their kin.
    GitlabToken,
    /// An npm access token.
    NpmToken,
    /// A `PyPI` upload token.
    PypiToken,
    /// An AWS access key id.
    AwsKey,
    /// A Google API key, access token or client secret.
    GoogleKey,
    /// A Slack token, or the address of an incoming webhook, which is as good as one.
    SlackToken,
    /// A Stripe secret or restricted key.
    StripeKey,
    /// A key of the `sk-` form that `OpenAI` began and other model providers took over.
    OpenaiKey,
    /// A key of another provider that begins with its provider's letters: Hugging Face, Groq, xAI, `DigitalOcean`.
    ProviderKey,
    /// A user and password in a URL.
    UrlCredentials,
    /// What follows `Authorization:` or `Bearer`.
    Authorization,
    /// A session in a `Cookie:` or `Set-Cookie:` header.
    Cookie,
    /// A value of 12 characters or more given to a secret-like name: assigned to it, beside it in a list, or as the value
    /// that goes with it in an object (`{"name": …, "value": …}`).
    Assignment,
    /// A random-looking token on a line, after a secret-like word.
    HighEntropy,
}

impl Rule {
    /// Every rule, in order of precedence.
    pub const ALL: [Self; 17] = [
        Self::PrivateKey,
        Self::Jwt,
        Self::GithubToken,
        Self::GitlabToken,
        Self::NpmToken,
        Self::PypiToken,
        Self::AwsKey,
        Self::GoogleKey,
        Self::SlackToken,
        Self::StripeKey,
        Self::OpenaiKey,
        Self::ProviderKey,
        Self::UrlCredentials,
        Self::Authorization,
        Self::Cookie,
        Self::Assignment,
        Self::HighEntropy,
    ];

    /// The name on the command line, in messages and in redacted text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "private-key",
            Self::Jwt => "jwt",
            Self::GithubToken => "github-token",
            Self::GitlabToken => "gitlab-token",
            Self::NpmToken => "npm-token",
            Self::PypiToken => "pypi-token",
            Self::AwsKey => "aws-key",
            Self::GoogleKey => "google-key",
            Self::SlackToken => "slack-token",
            Self::StripeKey => "stripe-key",
            Self::OpenaiKey => "openai-key",
            Self::ProviderKey => "provider-key",
            Self::UrlCredentials => "url-credentials",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Assignment => "assignment",
            Self::HighEntropy => "high-entropy",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no rule has. The name itself is not repeated: it may be the secret, pasted into the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such privacy rule; the rules are {}", Rule::ALL.map(Rule::as_str).join(", "))]
pub struct UnknownRule;

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name).ok_or(UnknownRule)
    }
}

/// Where in a text something looks like a secret. It never holds the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it was recognised by.
    pub rule: Rule,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// How long it is, in bytes.
    pub len: usize,
}

impl Finding {
    const fn end(self) -> usize {
        self.offset + self.len
    }

    /// The text it was found in, reduced to it; nothing if it was another text.
    fn of(self, text: &str) -> &str {
        text.get(self.offset..self.end()).unwrap_or_default()
    }
}

/// What to do with findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Rules whose findings are false alarms to the caller.
    pub allow: BTreeSet<Rule>,
    /// Whether to replace findings by `[redacted:RULE]` and go on, where the default is to refuse the text.
    pub redact: bool,
}

/// A text that must not be stored. Says where and why, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: this looks like a secret ({rule})")]
pub struct Refused {
    /// What it was recognised by.
    pub rule: Rule,
    /// The line it begins on, from 1.
    pub line: usize,
    /// The character of the line it begins at, from 1.
    pub column: usize,
}

impl Refused {
    fn at(finding: Finding, text: &str) -> Self {
        let before = text.get(..finding.offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            rule: finding.rule,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// Everything in a text that looks like a secret, in order, without overlaps. What [`redact`] makes of it is clean.
#[must_use]
pub fn scan(text: &str) -> Vec<Finding> {
    /// Each round finds what the one before uncovered; in practice the second finds nothing.
    const ROUNDS: usize = 8;
    let mut findings = merge(detect::detect(text));
    // what stands beside a secret decides about its neighbours, and redacting takes it away
    for _ in 0..ROUNDS {
        if findings.is_empty() {
            break;
        }
        let uncovered = detect::detect(&redact(text, &findings));
        if uncovered.is_empty() {
            break;
        }
        let mut all = in_original(&uncovered, &findings);
        all.append(&mut findings);
        findings = merge(all);
    }
    findings
}

/// The union of findings, so that nothing that any rule saw stays readable.
fn merge(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_unstable_by_key(|finding| finding.offset);
    findings.dedup_by(|next, kept| {
        let overlaps = next.offset < kept.end();
        if overlaps {
            kept.len = kept.end().max(next.end()) - kept.offset;
            kept.rule = kept.rule.min(next.rule);
        }
        overlaps
    });
    findings
}

/// Findings in a redacted text, as findings in the text before. What touches a marker covers all that it hides.
fn in_original(uncovered: &[Finding], hidden: &[Finding]) -> Vec<Finding> {
    // where each marker begins and ends
    let mut markers = Vec::with_capacity(hidden.len());
    let (mut copied, mut len) = (0, 0);
    for finding in hidden {
        let start = len + finding.offset - copied;
        len = start + MARKER.len() + finding.rule.as_str().len() + 1;
        copied = finding.end();
        markers.push((start, len));
    }
    let back = |at: usize, is_end: bool| {
        let before = markers.partition_point(|&(start, _)| if is_end { start < at } else { start <= at });
        let Some(index) = before.checked_sub(1) else { return at };
        let ((_, end), finding) = (markers[index], hidden[index]);
        match at.checked_sub(end) {
            Some(beyond) => finding.end() + beyond,
            None if is_end => finding.end(),
            None => finding.offset,
        }
    };
    uncovered
        .iter()
        .map(|finding| {
            let offset = back(finding.offset, false);
            Finding { rule: finding.rule, offset, len: back(finding.end(), true) - offset }
        })
        .collect()
}

/// The text with each finding replaced by `[redacted:RULE]`. The findings are what [`scan`] gave for this very text, or
/// some of them in the same order.
#[must_use]
pub fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    for finding in findings {
        redacted.push_str(text.get(copied..finding.offset).unwrap_or_default());
        redacted.push_str(MARKER);
        redacted.push_str(finding.rule.as_str());
        redacted.push(']');
        copied = finding.end();
    }
    redacted.push_str(text.get(copied..).unwrap_or_default());
    redacted
}

/// The text as it may be stored.
///
/// # Errors
/// [`Refused`] for the first finding that the policy does not allow, unless the policy says to redact.
pub fn check<'t>(text: &'t str, policy: &Policy) -> Result<Cow<'t, str>, Refused> {
    check_added("", text, policy)
}

/// The text as it may be stored in the place of an older one. Only what the change adds is looked at: a finding whose
/// text the older one holds already is passed over, so that an old false alarm does not stop every later edit.
///
/// # Errors
/// [`Refused`] for the first added finding that the policy does not allow, unless the policy says to redact.
pub fn check_added<'t>(before: &str, after: &'t str, policy: &Policy) -> Result<Cow<'t, str>, Refused> {
    let mut findings = scan(after);
    findings.retain(|finding| !policy.allow.contains(&finding.rule));
    drop_old(&mut findings, before, after);
    match findings.first() {
        None => Ok(Cow::Borrowed(after)),
        Some(_) if policy.redact => Ok(Cow::Owned(redact(after, &findings))),
        Some(first) => Err(Refused::at(*first, after)),
    }
}

/// Whether anything in a text looks like a secret, for many texts of which most hold none.
#[must_use]
pub fn is_suspicious(text: &str) -> bool {
    detect::detects(text)
}

/// What a change adds to a text that looks like a secret, in order: by which rule, and on which line, from 1.
#[must_use]
pub fn added(before: &str, after: &str) -> Vec<(Rule, usize)> {
    let mut findings = scan(after);
    drop_old(&mut findings, before, after);
    let (mut line, mut counted) = (1, 0);
    let on_line = |finding: Finding| {
        line += after.get(counted..finding.offset).unwrap_or_default().matches('\n').count();
        counted = finding.offset;
        (finding.rule, line)
    };
    findings.into_iter().map(on_line).collect()
}

/// Takes out the findings whose text the older text holds already.
fn drop_old(findings: &mut Vec<Finding>, before: &str, after: &str) {
    if !findings.is_empty() && !before.is_empty() {
        let is_old = old_texts(before, findings.iter().map(|finding| finding.of(after)));
        findings.retain(|finding| !is_old.contains(finding.of(after)));
    }
}

/// Which of some texts occur in `before`.
fn old_texts<'t>(before: &str, texts: impl Iterator<Item = &'t str>) -> HashSet<&'t str> {
    /// Each search reads all of `before`; past this many texts only what was a finding there too counts as old.
    const SEARCHES: usize = 256;
    let found_before: HashSet<&str> = scan(before).into_iter().map(|finding| finding.of(before)).collect();
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    let mut searches = 0;
    texts.retain(|text| {
        found_before.contains(text) || {
            searches += 1;
            searches <= SEARCHES && before.contains(text)
        }
    });
    texts.into_iter().collect()
}
