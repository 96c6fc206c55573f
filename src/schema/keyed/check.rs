//! Whether a value is what its field holds, and what of it may be stored.

use serde_json::{Map, Value};

use crate::schema::id::{Identity, is_deceptive};
use crate::schema::privacy::{self, Policy};
use crate::schema::time::Timestamp;

use super::{Field, Problem, Role, Schema, Type};

/// Longest URL, in bytes.
const MAX_URL: usize = 2000;

/// What a field without a value holds. A flag that nobody set is the kind's own business.
pub(super) fn blank(is: Type) -> Value {
    match is {
        Type::Names(..) | Type::Actions(..) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

/// A value as it may be stored in a field, in the place of an older one.
pub(super) fn value(field: &Field, before: &Value, value: Value, policy: &Policy) -> Result<Value, Problem> {
    if value.is_null() {
        return Ok(blank(field.is));
    }
    let invalid = || Problem::invalid(field.name, expected(field.is));
    if let Type::Actions(most, max) = field.is {
        return actions(field, before, value, policy)?.filter(|list| fits_list(list, most, max)).ok_or_else(invalid);
    }
    let clean = scrub(field, before, value, policy)?;
    // after the scrubber: what stands in a secret's place may be too long, or no URL
    let fits = match (field.is, &clean) {
        (Type::Name(max), Value::String(text)) => is_name(text, max),
        (Type::Line(max), Value::String(text)) => text.len() <= max && !text.chars().any(is_deceptive),
        (Type::Text(max), Value::String(text)) => text.len() <= max && !text.chars().any(steers),
        (Type::Word(words), Value::String(text)) => words.contains(&text.as_str()),
        (Type::Whole(least, most), Value::Number(number)) => {
            number.as_u64().is_some_and(|number| (least..=most).contains(&number))
        }
        (Type::Flag, Value::Bool(_)) => true,
        (Type::Time, Value::String(text)) => text.parse::<Timestamp>().is_ok(),
        (Type::Url, Value::String(text)) => is_url(text),
        (Type::Names(most, max), Value::Array(names)) => {
            names.len() <= most && names.iter().all(|name| name.as_str().is_some_and(|name| is_name(name, max)))
        }
        (Type::Any(max), any) => is_flat(any) && any.to_string().len() <= max,
        (Type::Issue, identity) => serde_json::from_value::<Identity>(identity.clone()).is_ok(),
        _ => false,
    };
    if !fits {
        return Err(invalid());
    }
    Ok(match (field.is, clean) {
        // one spelling, so that equal times are equal
        (Type::Time, Value::String(text)) => {
            text.parse::<Timestamp>().map_or(Value::Null, |time| time.to_string().into())
        }
        (_, clean) => clean,
    })
}

/// What must hold of a whole record: nothing that is required is missing, nothing is there that does not go with it.
pub(super) fn whole(schema: &Schema, fields: &Map<String, Value>) -> Result<(), Problem> {
    let word =
        schema.fields.first().and_then(|field| fields.get(field.name)).and_then(Value::as_str).unwrap_or_default();
    for field in schema.stored() {
        let goes = field.only.is_empty() || field.only.contains(&word);
        let there = fields.get(field.name).is_some_and(|value| *value != blank(field.is));
        if there && !goes {
            return Err(Problem::NotFor { field: field.name, word: word.to_owned() });
        }
        // what this program keeps it sets itself, the time of change last of all
        if !there && goes && field.required && field.role != Role::Kept {
            return Err(Problem::Missing(field.name));
        }
    }
    Ok(())
}

fn scrub(field: &Field, before: &Value, value: Value, policy: &Policy) -> Result<Value, Problem> {
    let strict = Policy { redact: false, allow: policy.allow.clone() };
    let is_name = !matches!(field.is, Type::Line(_) | Type::Text(_) | Type::Any(_));
    let policy = if is_name { &strict } else { policy };
    let secret = |refused| Problem::Secret { field: field.name, refused, redactable: !is_name };
    let check = |before: &str, text: &str| {
        privacy::check_added(before, text, policy).map(std::borrow::Cow::into_owned).map_err(secret)
    };
    match value {
        Value::String(text) => Ok(check(before.as_str().unwrap_or_default(), &text)?.into()),
        Value::Array(items) => {
            // together, too: a flag and its value may be two items
            let joined = |items: &[Value]| {
                let texts = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
                texts.collect::<Vec<_>>().join(" ")
            };
            let old = before.as_array().map(|items| joined(items)).unwrap_or_default();
            for item in items.iter().filter_map(Value::as_str) {
                check(&old, item).map(drop).or_else(|problem| if policy.redact { Ok(()) } else { Err(problem) })?;
            }
            let text = joined(&items);
            let clean = check(&old, &text)?;
            Ok(if clean == text { Value::Array(items) } else { clean.into() })
        }
        // an issue's identity and what is of the wrong type hold no text that is kept unchecked
        Value::Object(_) => {
            check("", &value.to_string())?;
            Ok(value)
        }
        other => Ok(other),
    }
}

/// Things to do as they are stored: each a text with whether it is done. A text alone is not done. None if they are
/// something else.
fn actions(field: &Field, before: &Value, value: Value, policy: &Policy) -> Result<Option<Value>, Problem> {
    let Value::Array(items) = value else { return Ok(None) };
    let text_of = |item: &Value| item.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let old = before.as_array().map(|items| items.iter().map(text_of).collect::<Vec<_>>().join("\n"));
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        let (text, done) = match item {
            Value::String(text) => (text, false),
            Value::Object(item) => {
                let done = item.get("done").map_or(Some(false), Value::as_bool);
                match (item.get("text").and_then(Value::as_str), done) {
                    (Some(text), Some(done)) if item.keys().all(|key| key == "text" || key == "done") => {
                        (text.to_owned(), done)
                    }
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        let clean = privacy::check_added(old.as_deref().unwrap_or_default(), &text, policy)
            .map_err(|refused| Problem::Secret { field: field.name, refused, redactable: true })?;
        list.push(serde_json::json!({ "text": clean.trim(), "done": done }));
    }
    Ok(Some(Value::Array(list)))
}

fn fits_list(list: &Value, most: usize, max: usize) -> bool {
    let fits = |item: &Value| item.get("text").and_then(Value::as_str).is_some_and(|text| is_name(text, max));
    list.as_array().is_some_and(|items| items.len() <= most && items.iter().all(fits))
}

fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.trim() == text && !text.chars().any(is_deceptive)
}

/// Whether a character has no place in a text of several lines.
fn steers(c: char) -> bool {
    is_deceptive(c) && !matches!(c, '\n' | '\t')
}

/// Whether a text is a URL: a scheme, a host, and no user before it.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    text.len() <= MAX_URL
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(letters)
        && !authority.is_empty()
        && !authority.contains('@')
        && !text.chars().any(|c| c.is_whitespace() || is_deceptive(c) || matches!(c, '<' | '>' | '"' | '\\'))
}

fn is_flat(value: &Value) -> bool {
    let scalar = |value: &Value| match value {
        Value::String(text) => !text.chars().any(steers),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    };
    match value {
        Value::Array(items) => items.iter().all(scalar),
        value => scalar(value),
    }
}

/// What a field holds, in words.
pub(super) fn expected(is: Type) -> String {
    match is {
        Type::Name(max) => format!("1 to {max} bytes on one line, without blanks at its ends or control characters"),
        Type::Line(max) => format!("one line of at most {max} bytes without control characters"),
        Type::Text(max) => format!("a text of at most {max} bytes without control characters"),
        Type::Word(words) => format!("one of {}", words.join(", ")),
        Type::Whole(least, u64::MAX) => format!("a whole number from {least} on"),
        Type::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Type::Flag => "true or false".into(),
        Type::Time => "a date and time with an offset, such as 2026-06-17T10:30:00Z".into(),
        Type::Url => {
            format!("a URL of at most {MAX_URL} bytes, such as http://localhost:8080, without user and password")
        }
        Type::Names(most, max) => format!("a list of at most {most} names, each of 1 to {max} bytes on one line"),
        Type::Any(max) => format!("a text, a number, true, false or a list of such, of at most {max} bytes"),
        Type::Issue => "an issue's identity: created_at and slug".into(),
        Type::Actions(most, max) => format!(
            "a list of at most {most} things to do, each a line of 1 to {max} bytes, or an object of text and done"
        ),
    }
}
