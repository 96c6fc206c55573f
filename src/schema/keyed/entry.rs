//! Small keyed records as entries of an issue's file: some of their fields, spelled in YAML.

use serde_json::Map;

use crate::schema::issue::Linked;
use crate::schema::privacy::{Policy, Rule};
use crate::schema::value::Value;

use super::check;
use super::{Keyed, Problem};

/// Some fields of a record as an entry with an id, in this order, leaving out what is empty. What the entry had before
/// under other keys stays: a later version may know them.
#[must_use]
pub fn entry_of(
    id: String,
    fields: &Map<String, serde_json::Value>,
    names: &[&str],
    before: Option<&Linked>,
) -> Linked {
    let mut entry = Vec::with_capacity(names.len());
    for name in names {
        let value = fields.get(*name).and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
        if !matches!(&value, Value::Null) && value != Value::List(Vec::new()) {
            entry.push(((*name).to_owned(), value));
        }
    }
    if let Some(Linked { value: Value::Map(old), .. }) = before {
        entry.extend(old.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned());
    }
    Linked { id, value: Value::Map(entry) }
}

/// The record of an entry's fields and of others that are known. None if a field is not what it would be of our own, or
/// one is missing. The scrubber is not asked: what stands in a file is in git already, and the record is faithful to it.
#[must_use]
pub fn of_entry<K: Keyed>(
    entry: &Linked,
    names: &[&str],
    known: impl IntoIterator<Item = (&'static str, serde_json::Value)>,
) -> Option<K> {
    let Value::Map(given) = &entry.value else { return None };
    let given = given.iter().filter(|(name, _)| names.contains(&name.as_str()));
    let given = given.map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)));
    let mut fields: Map<String, serde_json::Value> = given.collect::<Option<_>>()?;
    fields.extend(known.into_iter().map(|(name, value)| (name.to_owned(), value)));
    from_fields(fields).ok().filter(|record: &K| record.key() == entry.id)
}

fn from_fields<K: Keyed>(mut given: Map<String, serde_json::Value>) -> Result<K, Problem> {
    let faithful = Policy { allow: Rule::ALL.into(), redact: false };
    let mut fields = Map::new();
    for field in K::SCHEMA.stored() {
        let value = given.remove(field.name).unwrap_or_default();
        fields.insert(field.name.to_owned(), check::value(field, &serde_json::Value::Null, value, &faithful)?);
    }
    check::whole(&K::SCHEMA, &fields)?;
    let record: K = serde_json::from_value(serde_json::Value::Object(fields))
        .map_err(|_| Problem::invalid(K::SCHEMA.noun, K::SCHEMA.about))?;
    record.check()?;
    Ok(record)
}

/// A text cut to a number of bytes, with a sign that it was.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    const SIGN: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(SIGN.len());
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
    format!("{}{SIGN}", &text[..end.unwrap_or(0)])
}
