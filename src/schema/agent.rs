//! Agent instances: who was primed, by whom, for how long, and how much they were told.
//!
//! An id names one agent among those of one project that have not expired; [`Oxsid`] names it everywhere and for good.
//! Chance is passed in: whoever makes an id says where its random bytes come from.

mod bad_id;

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;

use serde::{Deserialize, Serialize};

use super::id::{SessionId, is_deceptive};
use super::process::Process;
use super::session::MAX_NAME;
use super::time::Timestamp;

pub use bad_id::{BadId, classify, quoted};

/// How long an agent is listed after it was primed first, in hours.
pub const LIFETIME_HOURS: i64 = 24;

/// What an id is made of, beside `Ox`.
const SYMBOLS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id of an agent: `Ox` and four letters or digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId([u8; 4]);

/// A text that is not an agent's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid agent ID format: {} (expected format: Ox<4-char>)", quoted(.0))]
pub struct InvalidAgentId(pub String);

impl AgentId {
    /// An id by chance: each of the 62^4 is as likely as any other if each random byte is. It may be taken.
    ///
    /// `random` fills what it is given. One that gives nothing but bytes from 248 up is asked forever.
    ///
    /// # Errors
    /// What `random` answers.
    pub fn generate<E>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let (mut symbols, mut found) = ([0; 4], 0);
        while found < symbols.len() {
            let mut bytes = [0; 8];
            random(&mut bytes)?;
            for symbol in bytes.into_iter().filter_map(symbol_of).take(symbols.len() - found) {
                symbols[found] = symbol;
                found += 1;
            }
        }
        Ok(Self(symbols))
    }
}

/// The symbol for a random byte. The last eight values have none: with them, eight symbols would come up more often.
fn symbol_of(byte: u8) -> Option<u8> {
    const ROUNDS: usize = 256 / SYMBOLS.len();
    let byte = usize::from(byte);
    (byte < ROUNDS * SYMBOLS.len()).then(|| SYMBOLS[byte % SYMBOLS.len()])
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAgentId(text.to_owned());
        let symbols = text.strip_prefix("Ox").ok_or_else(invalid)?;
        let symbols: [u8; 4] = symbols.as_bytes().try_into().map_err(|_| invalid())?;
        if symbols.iter().all(u8::is_ascii_alphanumeric) { Ok(Self(symbols)) } else { Err(invalid()) }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ox")?;
        self.0.iter().try_for_each(|symbol| write!(f, "{}", char::from(*symbol)))
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for AgentId {
    type Error = InvalidAgentId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The id that a server knows an agent by: `oxsid_` and a ULID, 26 digits of Crockford's base 32.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oxsid(String);

/// A text that is not such an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an oxsid is oxsid_ and a ULID of 26 digits and capital letters")]
pub struct InvalidOxsid;

impl Oxsid {
    const PREFIX: &str = "oxsid_";

    /// A new one: the time in milliseconds, and chance.
    ///
    /// # Errors
    /// What `random` answers.
    pub fn generate<E>(now: Timestamp, mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = [0; 16];
        random(&mut bytes[..10])?;
        let millis = u64::try_from(now.get().timestamp_millis()).unwrap_or_default();
        let ulid = ulid::Ulid::from_parts(millis, u128::from_le_bytes(bytes));
        Ok(Self(format!("{}{ulid}", Self::PREFIX)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Oxsid {
    type Err = InvalidOxsid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ulid = text.strip_prefix(Self::PREFIX).ok_or(InvalidOxsid)?;
        // read and written again: no other spelling of the same number, and none too large
        let read = ulid::Ulid::from_string(ulid).map_err(|_| InvalidOxsid)?;
        if read.to_string() == ulid { Ok(Self(text.to_owned())) } else { Err(InvalidOxsid) }
    }
}

impl fmt::Display for Oxsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Oxsid> for String {
    fn from(id: Oxsid) -> Self {
        id.0
    }
}

impl TryFrom<String> for Oxsid {
    type Error = InvalidOxsid;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Whether a text may say what an agent is (its type, version or model): 1 to [`MAX_NAME`] bytes without control or
/// direction-changing characters.
#[must_use]
pub fn is_label(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(is_deceptive)
}

/// What was put into an agent's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextUse {
    /// Bytes in all.
    pub bytes: u64,
    /// An estimate of the tokens: the bytes of each command, divided by four.
    pub tokens: u64,
    /// Commands that were counted.
    pub commands: u64,
    /// When the last one was.
    pub last_seen_at: Option<Timestamp>,
}

/// An estimate of the tokens in so many bytes of text.
#[must_use]
pub const fn tokens_in(bytes: u64) -> u64 {
    bytes / 4
}

impl ContextUse {
    /// Counts what one command put in. One that put in nothing is not counted.
    pub fn add(&mut self, bytes: u64, now: Timestamp) {
        if bytes > 0 {
            self.bytes = self.bytes.saturating_add(bytes);
            self.tokens = self.tokens.saturating_add(tokens_in(bytes));
            self.commands = self.commands.saturating_add(1);
            self.last_seen_at = Some(self.last_seen_at.map_or(now, |last| last.max(now)));
        }
    }
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The id that a server knows it by.
    pub oxsid: Oxsid,
    /// What program it is, such as `claude-code`.
    pub agent_type: Option<String>,
    /// That program's version.
    pub agent_version: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
    /// The agent that started it.
    pub parent: Option<AgentId>,
    /// The process that it speaks for: the one that called `agent prime`.
    pub process: Option<Process>,
    /// The session it was primed in.
    pub session: Option<SessionId>,
    /// How often it was primed.
    pub primes: u32,
    /// What it was told.
    pub context: ContextUse,
    /// When it was primed first.
    pub created_at: Timestamp,
    /// When it stops being listed.
    pub expires_at: Timestamp,
}

impl Agent {
    /// An agent that is primed for the first time now.
    #[must_use]
    pub fn begin(id: AgentId, oxsid: Oxsid, now: Timestamp) -> Self {
        let end = now.get().checked_add_signed(TimeDelta::hours(LIFETIME_HOURS));
        Self {
            id,
            oxsid,
            agent_type: None,
            agent_version: None,
            model: None,
            parent: None,
            process: None,
            session: None,
            primes: 1,
            context: ContextUse::default(),
            created_at: now,
            expires_at: end.map_or(now, Timestamp::new),
        }
    }

    /// Whether its time is over: strictly after [`Agent::expires_at`].
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.expires_at
    }

    /// What it says of itself, with the names of the fields.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("agent_type", self.agent_type.as_deref()),
            ("agent_ver", self.agent_version.as_deref()),
            ("model", self.model.as_deref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_symbol_is_as_likely_as_any_other() {
        let mut counts = BTreeMap::new();
        for symbol in (0..=u8::MAX).filter_map(symbol_of) {
            *counts.entry(symbol).or_insert(0) += 1;
        }
        let expected: BTreeMap<u8, i32> =
            (0..=u8::MAX).filter(u8::is_ascii_alphanumeric).map(|symbol| (symbol, 4)).collect();
        assert_eq!(counts, expected);
        assert_eq!(
            (0..=u8::MAX).filter(|&byte| symbol_of(byte).is_none()).collect::<Vec<_>>(),
            (248..=255).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_id_takes_the_next_bytes_for_those_that_it_cannot_use() {
        let mut source = (240_u8..=255).chain([1, 62, 10, 36, 61]).cycle();
        let id = AgentId::generate(|bytes| {
            bytes.fill_with(|| source.next().unwrap());
            Ok::<_, Infallible>(())
        });
        // 240 % 62 = 54, which is `s`
        assert_eq!(id.unwrap().to_string(), "Oxstuv");
        let mut source = [255, 255, 255, 0, 255, 255, 255, 255, 1, 62, 10].into_iter().chain(std::iter::repeat(255));
        let id = AgentId::generate(|bytes| {
            bytes.fill_with(|| source.next().unwrap());
            Ok::<_, Infallible>(())
        });
        assert_eq!(id.unwrap().to_string(), "Ox010A", "over two rounds");
        assert_eq!(AgentId::generate(|_| Err("no chance")), Err("no chance"));
    }

    #[test]
    fn ids_are_ox_and_four_symbols() {
        for text in ["", "Ox", "Ox123", "Ox12345", "ox1234", "OX1234", "Ox12-4", "Ox1 34", "Oxäb1", "xO1234"] {
            let error = text.parse::<AgentId>().unwrap_err();
            assert_eq!(error.to_string(), format!("invalid agent ID format: \"{text}\" (expected format: Ox<4-char>)"));
        }
    }

    proptest! {
        #[test]
        fn what_is_generated_can_be_read(bytes in proptest::collection::vec(0_u8..248, 16), millis in 0_i64..253_402_300_799_000) {
            let mut source = bytes.iter().copied().cycle();
            let mut random = |bytes: &mut [u8]| { bytes.fill_with(|| source.next().unwrap()); Ok::<_, Infallible>(()) };
            let id = AgentId::generate(&mut random).unwrap();
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let now = Timestamp::new(chrono::DateTime::from_timestamp_millis(millis).unwrap());
            let oxsid = Oxsid::generate(now, &mut random).unwrap();
            prop_assert_eq!(oxsid.as_str().parse(), Ok(oxsid.clone()));
            let ulid = ulid::Ulid::from_string(&oxsid.as_str()[6..]).unwrap();
            prop_assert_eq!(i64::try_from(ulid.timestamp_ms()), Ok(millis));
        }
    }

    #[test]
    fn an_oxsid_has_one_spelling() {
        assert!("oxsid_01M7X12HVTQR484WZA4CV3ZB4P".parse::<Oxsid>().is_ok());
        for bad in [
            "",
            "oxsid_",
            "01M7X12HVTQR484WZA4CV3ZB4P",
            "oxsid_01m7x12hvtqr484wza4cv3zb4p",
            "oxsid_01M7X12HVTQR484WZA4CV3ZB4",
            "oxsid_01M7X12HVTQR484WZA4CV3ZB4PP",
            "oxsid_81M7X12HVTQR484WZA4CV3ZB4P",
            "oxsid_01M7X12HVTQR484WZA4CV3ZB4U",
            "oxsid_01M7X12HVTQR484WZA4CV3ZBéé",
        ] {
            assert_eq!(bad.parse::<Oxsid>(), Err(InvalidOxsid), "{bad}");
        }
    }

    #[test]
    fn an_agent_expires_strictly_after_its_time() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let oxsid = Oxsid::generate(now, |_| Ok::<_, Infallible>(())).unwrap();
        let agent = Agent::begin("OxA1b2".parse().unwrap(), oxsid, now);
        assert_eq!(agent.expires_at, "2026-11-21T12:00:00Z".parse().unwrap());
        assert!(!agent.is_expired(agent.expires_at));
        assert!(agent.is_expired("2026-11-21T12:00:00.000000001Z".parse().unwrap()));
    }

    #[test]
    fn tokens_are_a_quarter_of_each_commands_bytes() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let mut context = ContextUse::default();
        for bytes in [3, 0, 9, 4] {
            context.add(bytes, now);
        }
        assert_eq!(context, ContextUse { bytes: 16, tokens: 3, commands: 3, last_seen_at: Some(now) });
        context.add(u64::MAX, now);
        assert_eq!(context.bytes, u64::MAX);
    }
}
