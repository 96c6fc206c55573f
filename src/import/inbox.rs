//! Reads rows of the inbox: one JSON object a line, written by programs that nobody here knows.
//!
//! A line is bounded, so is its depth, and nothing of a bad one is repeated in what is said about it.

use serde_json::{Map, Value};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::schema::id::is_deceptive;
use crate::schema::inbox::{MAX_KEY, RowKind};

use super::usage::MAX_LINE;

/// A row as its writer meant it; what its data says is not judged yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is.
    pub kind: RowKind,
    /// A digest of the key that its writer gave it.
    pub key: Option<u128>,
    /// Its fields.
    pub data: Map<String, Value>,
}

/// Why a line is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It is longer than [`MAX_LINE`].
    #[error("the line is longer than {} KiB", MAX_LINE >> 10)]
    TooLong,
    /// It is not UTF-8.
    #[error("byte {0} is not UTF-8")]
    NotUtf8(usize),
    /// It is not JSON.
    #[error("column {0}: this is not JSON")]
    NotJson(usize),
    /// It is JSON within JSON, and so on.
    #[error("it is nested too deeply")]
    TooDeep,
    /// It is JSON, and no object.
    #[error("a row is an object of kind, key and data")]
    NotAnObject,
    /// It has a key that no row has.
    #[error("unknown field; a row has kind, key and data")]
    UnknownField,
    /// It does not say what it is.
    #[error("kind is missing; it is one of {}", words())]
    NoKind,
    /// What it says it is, is nothing that is taken.
    #[error("no such kind of row; there are {}", words())]
    UnknownKind,
    /// It is something that another command takes.
    #[error("a row cannot be of kind {kind}: {instead}")]
    NotHere {
        /// What it says it is.
        kind: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// Its key is no key.
    #[error("key must be a text of 1 to {MAX_KEY} bytes without control characters")]
    BadKey,
    /// Its data is missing, or no object.
    #[error("data must be an object")]
    NoData,
}

impl Malformed {
    /// The part of the row that is wrong, if it is one.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::NoKind | Self::UnknownKind | Self::NotHere { .. } => Some("kind"),
            Self::BadKey => Some("key"),
            Self::NoData => Some("data"),
            _ => None,
        }
    }
}

fn words() -> String {
    RowKind::ALL.map(RowKind::as_str).join(", ")
}

/// What other commands take.
const ELSEWHERE: [(&str, &str); 5] = [
    ("issue", "use `oxi-state issue`, which gives it its number"),
    ("session", "use `oxi-state session`, which looks whether it lives"),
    ("agent", "use `oxi-state agent`"),
    ("usage", "use `oxi-state usage import`"),
    ("document", "use `oxi-state doc put`, which can tell whether it was changed meanwhile"),
];

/// What a line says; nothing if it is blank.
///
/// # Errors
/// [`Malformed`].
pub fn parse(line: &[u8]) -> Result<Option<Row>, Malformed> {
    let text = std::str::from_utf8(line).map_err(|error| Malformed::NotUtf8(error.valid_up_to() + 1))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        // serde_json has no other way to tell
        let too_deep = error.to_string().starts_with("recursion limit");
        if too_deep { Malformed::TooDeep } else { Malformed::NotJson(error.column()) }
    })?;
    let Value::Object(mut fields) = value else { return Err(Malformed::NotAnObject) };
    let (kind, key, data) = (fields.remove("kind"), fields.remove("key"), fields.remove("data"));
    if !fields.is_empty() {
        return Err(Malformed::UnknownField);
    }
    let kind = match kind {
        None | Some(Value::Null) => return Err(Malformed::NoKind),
        Some(Value::String(word)) => RowKind::of(&word).ok_or_else(|| {
            let elsewhere = ELSEWHERE.into_iter().find(|(kind, _)| *kind == word);
            elsewhere.map_or(Malformed::UnknownKind, |(kind, instead)| Malformed::NotHere { kind, instead })
        })?,
        Some(_) => return Err(Malformed::UnknownKind),
    };
    let key = match key {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) if (1..=MAX_KEY).contains(&key.len()) && !key.chars().any(is_deceptive) => {
            Some(xxh3_128(key.as_bytes()))
        }
        Some(_) => return Err(Malformed::BadKey),
    };
    let Some(Value::Object(data)) = data else { return Err(Malformed::NoData) };
    Ok(Some(Row { kind, key, data }))
}

/// A digest of a line as it stands.
#[must_use]
pub fn digest_of_line(line: &[u8]) -> u64 {
    xxh3_64(line.trim_ascii())
}

/// A digest of what data says, in whatever order.
#[must_use]
pub fn digest_of_data(data: &Map<String, Value>) -> u128 {
    let mut bytes = Vec::new();
    spell_map(data, &mut bytes);
    xxh3_128(&bytes)
}

fn spell_map(fields: &Map<String, Value>, out: &mut Vec<u8>) {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    out.push(b'{');
    for (name, value) in sorted {
        spell(&Value::from(name.as_str()), out);
        spell(value, out);
    }
    out.push(b'}');
}

fn spell(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => spell_map(fields, out),
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                spell(item, out);
            }
            out.push(b']');
        }
        scalar => {
            out.extend_from_slice(scalar.to_string().as_bytes());
            out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Row>, Malformed> {
        parse(line.as_bytes())
    }

    #[test]
    fn a_row_is_an_object_of_kind_key_and_data() {
        let row = parsed("\u{feff} {\"kind\":\"fact\",\"key\":\"k\",\"data\":{\"name\":\"x\"}}\r").unwrap().unwrap();
        assert_eq!((row.kind, row.key), (RowKind::Fact, Some(xxh3_128(b"k"))));
        assert_eq!(row.data["name"], "x");
        assert_eq!((parsed(""), parsed("  \r")), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_is_no_row_is_told_by_its_fault() {
        let deep = format!("{{\"kind\":\"fact\",\"data\":{{\"value\":{}1{}}}}}", "[".repeat(300), "]".repeat(300));
        for (line, fault) in [
            ("{", Malformed::NotJson(1)),
            ("[]", Malformed::NotAnObject),
            ("{\"kind\":\"fact\",\"data\":{\"value\":1e999}}", Malformed::NotJson(36)),
            (&deep, Malformed::TooDeep),
            ("{\"kind\":\"fact\",\"data\":{},\"more\":1}", Malformed::UnknownField),
            ("{\"data\":{}}", Malformed::NoKind),
            ("{\"kind\":7,\"data\":{}}", Malformed::UnknownKind),
            ("{\"kind\":\"usage-source\",\"data\":{}}", Malformed::UnknownKind),
            ("{\"kind\":\"fact\",\"key\":7,\"data\":{}}", Malformed::BadKey),
            ("{\"kind\":\"fact\",\"key\":\"\",\"data\":{}}", Malformed::BadKey),
            ("{\"kind\":\"fact\"}", Malformed::NoData),
            ("{\"kind\":\"fact\",\"data\":[]}", Malformed::NoData),
        ] {
            assert_eq!(parsed(line), Err(fault), "{line}");
        }
        assert_eq!(parse(b"{\"kind\":\"\xff\"}"), Err(Malformed::NotUtf8(10)));
        for kind in ["issue", "session", "agent", "usage", "document"] {
            let fault = parsed(&format!("{{\"kind\":\"{kind}\",\"data\":{{}}}}")).unwrap_err();
            assert!(matches!(fault, Malformed::NotHere { .. }) && fault.to_string().contains(kind));
        }
    }

    #[test]
    fn data_has_one_digest_in_whatever_order_it_is_said() {
        let of = |text: &str| digest_of_data(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        assert_eq!(of(r#"{"a":{"x":1,"y":[1,"2"]},"b":null}"#), of(r#"{"b":null,"a":{"y":[1,"2"],"x":1}}"#));
        for other in [r#"{"a":"1"}"#, r#"{"a":[1]}"#, r#"{"a":{"1":1}}"#, r#"{"a":1,"b":1}"#, r#"{"a":2}"#] {
            assert_ne!(of(other), of(r#"{"a":1}"#), "{other}");
        }
    }
}
