//! Small keyed records: one mechanism for kinds that are a handful of typed fields under a key.
//!
//! A kind is a plain struct and a [`Schema`]: a table of its fields with their types, limits and places in what is
//! printed. Everything else works from the table: [`admit`] is the one way for fields from outside into a record (types,
//! limits, the scrubber), and [`Schema::json_schema`] describes it. So a new kind is data, and no text of it can get
//! round the scrubber.
//!
//! The names in the table are the struct's fields, in order; a test holds the two together. What the rows of a kind mean
//! together (which to keep, whether a named issue is there) is not this module's business.

mod check;
mod describe;
mod entry;
#[cfg(test)]
mod tests;

pub use check::is_url;
pub use entry::{cut, entry_of, of_entry};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::privacy::{self, Policy};
use super::time::Timestamp;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 240;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Type {
    /// What a thing is called: one line, at most so many bytes. A secret in it is refused, and never redacted.
    Name(usize),
    /// One line of text, at most so many bytes.
    Line(usize),
    /// Text, at most so many bytes.
    Text(usize),
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A whole number between the two, both included.
    Whole(u64, u64),
    /// True or false.
    Flag,
    /// A point in time.
    Time,
    /// A URL without user and password.
    Url,
    /// Names, at most so many, each of at most so many bytes.
    Names(usize, usize),
    /// Null, a scalar, or a list of scalars, at most so many bytes as JSON.
    Any(usize),
    /// An issue, by what it is and not by its number.
    Issue,
    /// Things to do, at most so many: each a line of at most so many bytes, and whether it is done.
    Actions(usize, usize),
}

/// Who says what is in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is part of the key: given once, fixed from then.
    Key,
    /// Whoever sets the record.
    Given,
    /// This program, whatever others say.
    Kept,
    /// Worked out when the record is shown; never stored.
    Shown,
}

/// Where a field stands in what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `list` and `show`.
    Line,
    /// In `list` after its label, and in `show`.
    LabelledLine,
    /// In `show` only.
    Page,
    /// In JSON only.
    Json,
}

/// One field of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, in the struct, in JSON and in the log.
    pub name: &'static str,
    /// What it holds.
    pub is: Type,
    /// Who says so.
    pub role: Role,
    /// Whether a record must have it.
    pub required: bool,
    /// The words of the first field that it goes with; none for all.
    pub only: &'static [&'static str],
    /// What it is called before its value.
    pub label: &'static str,
    /// Where it is printed.
    pub place: Place,
    /// What it means.
    pub about: &'static str,
}

impl Field {
    const fn new(name: &'static str, is: Type, role: Role, about: &'static str) -> Self {
        Self { name, is, role, required: false, only: &[], label: name, place: Place::Page, about }
    }

    /// A part of the key.
    #[must_use]
    pub const fn key(name: &'static str, is: Type, about: &'static str) -> Self {
        Self { required: true, place: Place::Json, ..Self::new(name, is, Role::Key, about) }
    }

    /// A field that whoever sets the record may give.
    #[must_use]
    pub const fn given(name: &'static str, is: Type, about: &'static str) -> Self {
        Self::new(name, is, Role::Given, about)
    }

    /// A field that this program keeps.
    #[must_use]
    pub const fn kept(name: &'static str, is: Type, about: &'static str) -> Self {
        Self::new(name, is, Role::Kept, about)
    }

    /// A field that is worked out when the record is shown.
    #[must_use]
    pub const fn shown(name: &'static str, is: Type, about: &'static str) -> Self {
        Self { place: Place::Json, ..Self::new(name, is, Role::Shown, about) }
    }

    /// Which every record must have.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Which only goes with these words of the first field.
    #[must_use]
    pub const fn only(self, words: &'static [&'static str]) -> Self {
        Self { only: words, ..self }
    }

    /// Where it is printed.
    #[must_use]
    pub const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// What it is called before its value.
    #[must_use]
    pub const fn called(self, label: &'static str) -> Self {
        Self { label, ..self }
    }
}

/// A kind: its fields.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// What one record is called.
    pub noun: &'static str,
    /// What one record is.
    pub about: &'static str,
    /// The fields.
    pub fields: &'static [Field],
    /// The field that holds the time of the last change; a change of nothing else is none.
    pub stamp: &'static str,
}

impl Schema {
    /// The field of a name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// That a field is none of those that may be given.
    #[must_use]
    pub fn unknown_field(&self) -> Problem {
        let fields = self.fields.iter().filter(|field| matches!(field.role, Role::Key | Role::Given));
        Problem::UnknownField { noun: self.noun, fields: fields.map(|field| field.name).collect() }
    }

    /// The fields that are stored.
    pub fn stored(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().filter(|field| field.role != Role::Shown)
    }
}

/// A kind of small keyed record.
pub trait Keyed: Serialize + DeserializeOwned + Clone + PartialEq {
    /// Its fields.
    const SCHEMA: Schema;

    /// Its key: the fields of [`Role::Key`], joined by slashes. Only the last may hold one itself.
    fn key(&self) -> String;

    /// What the scrubber must know beyond single fields, before the fields become a record.
    ///
    /// # Errors
    /// [`Problem::Secret`].
    fn guard(_fields: &mut Map<String, Value>, _policy: &Policy) -> Result<(), Problem> {
        Ok(())
    }

    /// What must hold between fields.
    ///
    /// # Errors
    /// What does not.
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
}

/// Why fields are no record. It never holds what they say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No field of that name. The name is not repeated: it may be anything.
    #[error("unknown field; a {noun} has {}", .fields.join(", "))]
    UnknownField {
        /// What one record is called.
        noun: &'static str,
        /// The fields that may be given.
        fields: Vec<&'static str>,
    },
    /// The value is not what the field holds.
    #[error("{field} must be {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it holds.
        expected: String,
    },
    /// A field that every record has is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The field does not go with this kind of record.
    #[error("{field} does not go with {word}")]
    NotFor {
        /// The field.
        field: &'static str,
        /// The word of the first field.
        word: String,
    },
    /// The key cannot be changed.
    #[error("{0} is part of the key, which is fixed")]
    FixedKey(&'static str),
    /// A text must not be stored.
    #[error("{field}: {refused}")]
    Secret {
        /// The field.
        field: &'static str,
        /// Where and why.
        refused: privacy::Refused,
        /// Whether it could be redacted; a name cannot.
        redactable: bool,
    },
}

impl Problem {
    /// A value that is not what its field holds.
    #[must_use]
    pub fn invalid(field: &'static str, expected: impl Into<String>) -> Self {
        Self::Invalid { field, expected: expected.into() }
    }
}

/// Who gives fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody else: only keys and given fields are theirs to say.
    Foreign,
    /// This program, which says what it keeps, too.
    Program,
}

/// The record that fields make, over an older one of the same key if there is one: fields that are not given stay as they
/// were, null clears one. Every text passes the scrubber; what an older record holds already is not looked at again.
///
/// # Errors
/// [`Problem`] for the first field that cannot be stored.
pub fn admit<K: Keyed>(
    old: Option<&K>,
    given: Map<String, Value>,
    origin: Origin,
    now: Timestamp,
    policy: &Policy,
) -> Result<K, Problem> {
    admit_all(old, given.into_iter().map(|field| (field, origin)), now, policy)
}

/// As [`admit`], with fields that somebody else gives, and others that this program adds.
///
/// # Errors
/// See [`admit`].
pub fn admit_with<K: Keyed>(
    old: Option<&K>,
    given: Map<String, Value>,
    added: Map<String, Value>,
    now: Timestamp,
    policy: &Policy,
) -> Result<K, Problem> {
    let given = given.into_iter().map(|field| (field, Origin::Foreign));
    admit_all(old, given.chain(added.into_iter().map(|field| (field, Origin::Program))), now, policy)
}

fn admit_all<K: Keyed>(
    old: Option<&K>,
    given: impl Iterator<Item = ((String, Value), Origin)>,
    now: Timestamp,
    policy: &Policy,
) -> Result<K, Problem> {
    let schema = K::SCHEMA;
    let before = old.map(fields_of).unwrap_or_default();
    let mut fields: Map<String, Value> = schema
        .stored()
        .map(|field| {
            let value = before.get(field.name).cloned().unwrap_or_else(|| check::blank(field.is));
            (field.name.to_owned(), value)
        })
        .collect();
    for ((name, value), origin) in given {
        let field = schema
            .field(&name)
            .filter(|field| match field.role {
                Role::Key | Role::Given => true,
                Role::Kept => origin == Origin::Program,
                Role::Shown => false,
            })
            .ok_or_else(|| schema.unknown_field())?;
        let was = before.get(field.name).unwrap_or(&Value::Null);
        let value = check::value(field, was, value, policy)?;
        if field.role == Role::Key && old.is_some() && *was != value {
            return Err(Problem::FixedKey(field.name));
        }
        fields.insert(name, value);
    }
    K::guard(&mut fields, policy)?;
    check::whole(&schema, &fields)?;
    fields.insert(schema.stamp.to_owned(), serde_json::to_value(now).unwrap_or_default());
    // the table and the struct hold the same fields, and every value was checked by its type
    let record: K =
        serde_json::from_value(Value::Object(fields)).map_err(|_| Problem::invalid(schema.noun, schema.about))?;
    record.check()?;
    Ok(record)
}

/// Whether a value could be given to a field, for those who only ask with it.
///
/// # Errors
/// What [`admit`] would say of it.
pub fn could_be(field: &Field, value: Value, policy: &Policy) -> Result<(), Problem> {
    check::value(field, &Value::Null, value, policy).map(drop)
}

/// A record's fields as JSON.
#[must_use]
pub fn fields_of<K: Keyed>(record: &K) -> Map<String, Value> {
    // records are structs of plain fields, which always are JSON objects
    match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Whether two records say the same, whenever they were last changed.
#[must_use]
pub fn same<K: Keyed>(one: &K, other: &K) -> bool {
    let without_stamp = |record| {
        let mut fields = fields_of(record);
        fields.remove(K::SCHEMA.stamp);
        fields
    };
    without_stamp(one) == without_stamp(other)
}
