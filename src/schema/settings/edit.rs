//! Changing one setting in the text of a file, and no other byte of it.
//!
//! A file is a person's: its comments, order and spelling stay. So the text is patched where the setting stands, or where
//! a person would have added it, and what comes out is read again before anybody gets it.

use std::fmt::Write as _;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{self, Contents, FileError, Found, TABLE};
use super::{Given, Key, Shown};

/// Why a text was not changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is written in a way that is better changed by a person.
    #[error("{0} cannot be changed without touching something else")]
    ByHand(Key),
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `[name]`
    Header,
    /// `name = { … }`
    Inline,
    /// By the names of what is in it, `name.key = …` or `[name.table]`.
    Implied,
}

/// One patch: these bytes become that text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patch {
    at: Range<usize>,
    with: String,
}

/// Sets a key in the text of a settings file, or takes it out if there is no value. None if it says so already.
///
/// # Errors
/// If the text is no TOML, or the change cannot be made without touching something else.
pub fn edit(text: &str, key: Key, value: &Shown) -> Result<Option<String>, EditError> {
    let rendered = value.to_toml();
    let (before, patch) = file::with_document(text, |document| {
        let before = file::contents(document);
        let patch = plan(text, document, &before, key, rendered.as_deref());
        (before, patch)
    })?;
    let Some(patch) = patch else { return Ok(None) };
    let mut after = text.to_owned();
    after.replace_range(patch.at, &patch.with);
    let by_hand = |_| EditError::ByHand(key);
    let checked = file::with_document(&after, file::contents).map_err(by_hand)?;
    let expected = match &rendered {
        Some(rendered) => {
            let line = format!("{TABLE}.{key} = {rendered}");
            file::with_document(&line, file::contents).map_err(by_hand)?.found.pop().map(|found| found.given)
        }
        None => None,
    };
    let others = |contents: &Contents| -> Vec<(Key, Given)> {
        let others = contents.found.iter().filter(|found| found.key != key);
        others.map(|found| (found.key, found.given.clone())).collect()
    };
    let now = checked.found.iter().find(|found| found.key == key).map(|found| &found.given);
    if now != expected.as_ref() || others(&checked) != others(&before) || checked.problems.len() > before.problems.len()
    {
        return Err(EditError::ByHand(key));
    }
    Ok(Some(after))
}

/// What is to be done; none if there is nothing to do.
fn plan(text: &str, document: &DeTable<'_>, contents: &Contents, key: Key, value: Option<&str>) -> Option<Patch> {
    let found = contents.found.iter().find(|found| found.key == key);
    match (found, value) {
        (None, None) => None,
        (Some(found), Some(value)) => {
            let same = text.get(found.value_at.clone()) == Some(value);
            (!same).then(|| Patch { at: found.value_at.clone(), with: value.to_owned() })
        }
        (Some(found), None) => Some(remove(text, document, found)),
        (None, Some(value)) => Some(insert(text, document, key, value)),
    }
}

fn form(text: &str, table: &Spanned<DeValue<'_>>) -> Form {
    match text.as_bytes().get(table.span().start) {
        Some(b'[') => Form::Header,
        Some(b'{') => Form::Inline,
        _ => Form::Implied,
    }
}

/// The table `[state]`, or one in it.
fn table<'t, 'i>(document: &'t DeTable<'i>, group: Option<&str>) -> Option<&'t Spanned<DeValue<'i>>> {
    let state = document.get(TABLE)?;
    match (group, state.get_ref()) {
        (None, _) => Some(state),
        (Some(group), DeValue::Table(inside)) => inside.get(group),
        (Some(_), _) => None,
    }
}

fn insert(text: &str, document: &DeTable<'_>, key: Key, value: &str) -> Patch {
    let (group, name) = key.parts();
    let own = group.and_then(|group| table(document, Some(group)));
    if let Some(own) = own {
        match form(text, own) {
            Form::Header => return insert_line(text, own, &format!("{name} = {value}")),
            Form::Inline => return insert_inline(text, own, &format!("{name} = {value}")),
            Form::Implied => {}
        }
    }
    let line = format!("{key} = {value}");
    if let Some(state) = table(document, None) {
        match form(text, state) {
            Form::Header => return insert_line(text, state, &line),
            Form::Inline => return insert_inline(text, state, &line),
            Form::Implied if last_in(text, state).is_some() => {
                return insert_line(text, state, &format!("{TABLE}.{line}"));
            }
            Form::Implied => {}
        }
    }
    let newline = newline(text);
    let mut with = String::new();
    if !text.is_empty() {
        with.push_str(&newline.repeat(if text.ends_with('\n') { 1 } else { 2 }));
    }
    // writing to a string cannot fail
    let _ = write!(with, "[{TABLE}]{newline}{line}{newline}");
    Patch { at: text.len()..text.len(), with }
}

/// The last entry that stands beneath the header of a table, or beside its implied entries: where its name begins and
/// its value ends. Tables with headers of their own stand elsewhere.
fn last_in(text: &str, table: &Spanned<DeValue<'_>>) -> Option<(usize, usize)> {
    let DeValue::Table(entries) = table.get_ref() else { return None };
    let place = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| match value.get_ref() {
        DeValue::Table(_) => match form(text, value) {
            Form::Header => None,
            Form::Inline => Some((name.span().start, value.span().end)),
            Form::Implied => last_in(text, value),
        },
        DeValue::Array(items) => {
            let tables = items.iter().any(|item| item.get_ref().is_table() && form(text, item) == Form::Header);
            (!tables).then(|| (name.span().start, value.span().end))
        }
        _ => Some((name.span().start, value.span().end)),
    };
    entries.iter().filter_map(place).max_by_key(|(_, end)| *end)
}

/// Adds a line after the last one of a table.
fn insert_line(text: &str, table: &Spanned<DeValue<'_>>, line: &str) -> Patch {
    let (begin, end) = last_in(text, table).unwrap_or((table.span().start, table.span().end));
    let indent: String = text[line_start(text, begin)..].chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    let newline = newline(text);
    let (at, gap) = match line_end(text, end) {
        Some(at) => (at, ""),
        None => (text.len(), newline),
    };
    Patch { at: at..at, with: format!("{gap}{indent}{line}{newline}") }
}

/// Adds an entry at the beginning of an inline table, where it cannot get between another and its comma.
fn insert_inline(text: &str, table: &Spanned<DeValue<'_>>, entry: &str) -> Patch {
    let at = table.span().start + 1;
    let empty = matches!(table.get_ref(), DeValue::Table(entries) if entries.is_empty());
    let rest = text.get(at..).unwrap_or_default();
    let with = match (empty, rest.starts_with([' ', '\t', '\r', '\n'])) {
        (true, true) => format!(" {entry}"),
        (true, false) => format!(" {entry} "),
        (false, true) => format!(" {entry},"),
        (false, false) => format!(" {entry}, "),
    };
    Patch { at: at..at, with }
}

fn remove(text: &str, document: &DeTable<'_>, found: &Found) -> Patch {
    let is_inline = |group| table(document, group).is_some_and(|table| form(text, table) == Form::Inline);
    let (begin, end) = (found.name_at.start, found.value_at.end);
    let with = String::new();
    if !is_inline(None) && !found.key.parts().0.is_some_and(|group| is_inline(Some(group))) {
        return Patch { at: line_start(text, begin)..line_end(text, end).unwrap_or(text.len()), with };
    }
    // an entry of an inline table, with the comma after it; for the last one, the comma before it
    let blank = [' ', '\t'];
    let before = text[..begin].rfind(['{', ',', '\n']).map_or(0, |at| at + 1);
    let begin = before + (text[before..begin].len() - text[before..begin].trim_start_matches(blank).len());
    let rest = text[end..].trim_start_matches(blank);
    if let Some(after) = rest.strip_prefix(',') {
        let end = text.len() - after.trim_start_matches(blank).len();
        return Patch { at: begin..end, with };
    }
    let kept = text[..begin].trim_end_matches([' ', '\t', '\r', '\n']);
    Patch { at: kept.strip_suffix(',').map_or(begin, str::len)..end, with }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the next line begins; none on the last line if that does not end.
fn line_end(text: &str, at: usize) -> Option<usize> {
    text[at..].find('\n').map(|newline| at + newline + 1)
}

/// How the lines of a text end.
fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}
