//! What is read of a line of a session file: the fields that a pointer is made of, and nothing else.
//!
//! There is no field here for a content, a thought, an argument, a command, an output, a summary or a detail: the parser
//! passes over them without keeping them. A value of another type than expected counts as absent, so that a program
//! that writes more than we know does not make its lines unreadable.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::schema::session::{Tokens, is_name};
use crate::schema::time::Timestamp;

/// Longest path in a header that is looked at, in bytes.
const MAX_PATH: usize = 4096;

/// Something made from one value of any type.
trait Read: Default {
    fn text(_: &str) -> Self {
        Self::default()
    }
    fn integer(_: i64) -> Self {
        Self::default()
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Read> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(i64::try_from(number).map_or_else(|_| T::default(), T::integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        // what is beyond is no count and no time
        const MAX: f64 = 9e15;
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked, and the fraction is not wanted")]
        Ok(if number.abs() <= MAX { T::integer(number as i64) } else { T::default() })
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }
}

macro_rules! read_any {
    ($($name:ident),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Any(PhantomData))
            }
        }
    )+};
}

read_any!(Name, PathText, Id, Time, Number);

/// The name of something, or nothing.
#[derive(Debug, Default)]
struct Name(Option<String>);

impl Read for Name {
    fn text(text: &str) -> Self {
        Self(is_name(text).then(|| text.to_owned()))
    }
}

impl Name {
    fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A path, or nothing. It is compared, never kept as it is.
#[derive(Debug, Default)]
pub(super) struct PathText(pub(super) Option<String>);

impl Read for PathText {
    fn text(text: &str) -> Self {
        Self((text.len() <= MAX_PATH).then(|| text.to_owned()))
    }
}

/// The id of an entry: a hash that stands for it, and its text if that is a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Id(pub(super) Option<(u64, Option<String>)>);

impl Read for Id {
    fn text(text: &str) -> Self {
        let name = || is_name(text).then(|| text.to_owned());
        Self((!text.is_empty()).then(|| (xxhash_rust::xxh3::xxh3_64(text.as_bytes()), name())))
    }

    fn integer(number: i64) -> Self {
        Self::text(&number.to_string())
    }
}

/// A point in time: a text, or seconds or milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time(pub(super) Option<Timestamp>);

impl Read for Time {
    fn text(text: &str) -> Self {
        Self(text.parse().ok().filter(|time: &Timestamp| time.is_rfc3339()))
    }

    fn integer(number: i64) -> Self {
        // as milliseconds this is 1973, as seconds the year 5138
        const MILLISECONDS_FROM: u64 = 100_000_000_000;
        let time = if number.unsigned_abs() >= MILLISECONDS_FROM {
            chrono::DateTime::from_timestamp_millis(number)
        } else {
            chrono::DateTime::from_timestamp(number, 0)
        };
        Self(time.map(Timestamp::new).filter(|time| time.is_rfc3339()))
    }
}

/// A count.
#[derive(Clone, Copy, Debug, Default)]
struct Number(Option<u64>);

impl Read for Number {
    fn integer(number: i64) -> Self {
        Self(u64::try_from(number).ok())
    }
}

/// An object of a shape, or nothing.
#[derive(Debug)]
struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

struct AnyObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AnyObject<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyObject(PhantomData))
    }
}

/// The first line.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct HeaderLine {
    #[serde(rename = "type")]
    kind: Name,
    pub(super) id: PathText,
    version: Number,
    pub(super) timestamp: Time,
    pub(super) cwd: PathText,
    parent_session: PathText,
    #[serde(rename = "parentSession")]
    parent_camel: PathText,
}

impl HeaderLine {
    /// Whether it begins a session file, as the original tells.
    pub(super) fn is_header(&self) -> bool {
        let id = self.id.0.as_deref().unwrap_or_default();
        self.kind.as_str() == "session" && !id.is_empty() && self.timestamp.0.is_some() && self.cwd.0.is_some()
    }

    /// The version of the format; the first one did not say.
    pub(super) fn version(&self) -> u32 {
        self.version.0.and_then(|version| u32::try_from(version).ok()).unwrap_or(1)
    }

    /// Whether it names its parent as pi does.
    pub(super) fn is_camel(&self) -> bool {
        self.parent_camel.0.is_some()
    }

    /// Where its parent is, as it says.
    pub(super) fn parent(&self) -> Option<&str> {
        let parent = self.parent_session.0.as_deref().or(self.parent_camel.0.as_deref());
        parent.filter(|parent| !parent.is_empty())
    }
}

/// Any other line.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct EntryLine {
    #[serde(rename = "type")]
    kind: Name,
    id: Id,
    #[serde(rename = "parentId")]
    parent: Id,
    #[serde(rename = "parent_id")]
    parent_snake: Id,
    timestamp: Time,
    message: Object<Message>,
    #[serde(rename = "customType")]
    custom_type: Name,
    provider: Name,
    model: Name,
    model_id: Name,
    #[serde(rename = "modelId")]
    model_camel: Name,
    label: Option<IgnoredAny>,
}

/// The message of an entry.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Message {
    role: Name,
    #[serde(rename = "customType")]
    custom_type: Name,
    provider: Name,
    model: Name,
    model_id: Name,
    #[serde(rename = "modelId")]
    model_camel: Name,
    usage: Object<Usage>,
    #[serde(rename = "stopReason")]
    stop_reason: Name,
    #[serde(rename = "stop_reason")]
    stop_reason_snake: Name,
    timestamp: Time,
}

/// The content of a change of the model; of nothing else is a content read.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct ContentLine {
    content: Name,
    message: Object<ContentMessage>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct ContentMessage {
    content: Name,
}

/// What a message used, as oxi and as pi spell it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Usage {
    input_tokens: Number,
    output_tokens: Number,
    cache_read_tokens: Number,
    cache_write_tokens: Number,
    total_tokens: Number,
    input: Number,
    output: Number,
    cache_read: Number,
    cache_write: Number,
}

impl Usage {
    /// The tokens; the total is what the provider gave, else the sum of the others.
    fn tokens(&self) -> Tokens {
        let either = |oxi: Number, pi: Number| oxi.0.or(pi.0).unwrap_or(0);
        let input = either(self.input_tokens, self.input);
        let output = either(self.output_tokens, self.output);
        let cache_read = either(self.cache_read_tokens, self.cache_read);
        let cache_write = either(self.cache_write_tokens, self.cache_write);
        let sum = [input, output, cache_read, cache_write].into_iter().fold(0, u64::saturating_add);
        Tokens { input, output, cache_read, cache_write, total: self.total_tokens.0.unwrap_or(sum) }
    }
}

/// What an entry is to a pointer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    User,
    Assistant { model: Option<String>, tokens: Tokens, stop_reason: Option<String> },
    ToolResult,
    Compaction,
    Label,
    ModelChange(Option<String>),
    Other,
}

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) parent: Id,
    pub(super) time: Option<Timestamp>,
    pub(super) is_message: bool,
    pub(super) meaning: Meaning,
}

/// Why a line is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEntry {
    NotJson,
    AnotherHeader,
    NeitherTypeNorMessage,
}

impl Entry {
    /// Reads the line of an entry.
    pub(super) fn read(text: &str) -> Result<Self, NoEntry> {
        let line: EntryLine = object(text).ok_or(NoEntry::NotJson)?;
        let kind = line.kind.as_str();
        if kind == "session" {
            return Err(NoEntry::AnotherHeader);
        }
        let is_message = matches!(kind, "message" | "") && line.message.0.is_some();
        if !is_message && matches!(kind, "message" | "") {
            return Err(NoEntry::NeitherTypeNorMessage);
        }
        let message = line.message.0.unwrap_or_default();
        let time = line.timestamp.0.or(message.timestamp.0);
        let parent = if line.parent.0.is_some() { line.parent } else { line.parent_snake };
        let meaning = if is_message {
            of_message(message, text)
        } else {
            let custom = if kind == "custom" { line.custom_type.as_str() } else { kind };
            let named = model(line.provider, [line.model_id, line.model_camel, line.model]);
            let cleared = kind == "label" && line.label.is_none();
            if cleared { Meaning::Other } else { of_kind(custom, named, text) }
        };
        Ok(Self { id: line.id, parent, time, is_message, meaning })
    }
}

fn of_message(message: Message, text: &str) -> Meaning {
    match message.role.as_str() {
        "user" => Meaning::User,
        "assistant" => {
            let reasons = [message.stop_reason, message.stop_reason_snake];
            Meaning::Assistant {
                model: model(message.provider, [message.model_id, message.model_camel, message.model]),
                tokens: message.usage.0.unwrap_or_default().tokens(),
                stop_reason: reasons.into_iter().find_map(|reason| reason.0),
            }
        }
        "toolResult" | "bashExecution" => Meaning::ToolResult,
        "compactionSummary" => Meaning::Compaction,
        "custom" => of_kind(message.custom_type.as_str(), None, text),
        _ => Meaning::Other,
    }
}

/// The entries that are no messages of anybody, by the word for them, which is their own type or a custom one.
fn of_kind(kind: &str, named: Option<String>, text: &str) -> Meaning {
    match kind {
        "compaction" => Meaning::Compaction,
        "label" => Meaning::Label,
        "model_change" => Meaning::ModelChange(named.or_else(|| changed_model(text))),
        _ => Meaning::Other,
    }
}

/// `provider/model` of what names both, or of what names one.
fn model(provider: Name, models: [Name; 3]) -> Option<String> {
    let model = models.into_iter().find_map(|model| model.0)?;
    let whole = provider.0.map_or_else(|| model.clone(), |provider| format!("{provider}/{model}"));
    is_name(&whole).then_some(whole)
}

/// The model that a change names in its content, as `provider:model`.
fn changed_model(text: &str) -> Option<String> {
    let line: ContentLine = object(text)?;
    let content = line.message.0.and_then(|message| message.content.0).or(line.content.0)?;
    let (provider, model) = content.split_once(':')?;
    (!provider.is_empty() && !model.is_empty()).then(|| format!("{provider}/{model}"))
}

/// Parses an object; a list is none, although it could be read as the values of the fields.
pub(super) fn object<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    if text.trim_start().starts_with('{') { serde_json::from_str(text).ok() } else { None }
}
