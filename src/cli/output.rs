//! The result on stdout.

use std::io::{BufWriter, Error, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::AsFd;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::agents::CountingWriter;
use crate::cores;
use crate::schema::id::{is_deceptive, is_plain, printable};

use super::context::variable;
use super::error::{CliError, CliResult, Code};

/// So many of something, in words.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// How wide a terminal is, in columns, the usual number where it does not say; none if it calls itself dumb.
pub(super) fn columns(terminal: impl AsFd) -> Option<usize> {
    const USUAL: usize = 80;
    if variable("TERM").is_some_and(|term| term == "dumb") {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(terminal).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { USUAL } else { columns })
}

/// Prints a value as the one JSON document of this run.
pub(super) fn json(value: &impl serde::Serialize) -> CliResult<()> {
    counted_json(value).map(|_| ())
}

/// As [`json`], of values that may be so many that to free them takes long.
pub(super) fn json_items<T: Serialize + Send + 'static>(items: Vec<T>) -> CliResult<()> {
    json(&items)?;
    cores::free_all(items.len(), items);
    Ok(())
}

/// How many bytes of JSON are written at once. More would be memory that a short answer is the first to touch.
const BUFFER: usize = 1 << 15;

/// As [`json`]; answers how many bytes were printed.
pub(super) fn counted_json(value: &impl serde::Serialize) -> CliResult<u64> {
    let mut out = BufWriter::with_capacity(BUFFER, CountingWriter::new(std::io::stdout().lock()));
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Printable)).map_err(Error::from);
    finish(written.and_then(|()| writeln!(out)).and_then(|()| out.flush()))?;
    Ok(out.get_ref().bytes())
}

/// A value as JSON text, fit to be printed.
pub(super) fn to_json(value: &serde_json::Value) -> String {
    let mut out = Vec::new();
    // writing a value to memory cannot fail
    let _ = value.serialize(&mut Serializer::with_formatter(&mut out, Printable));
    String::from_utf8_lossy(&out).into_owned()
}

/// Adds a value as one line of JSON, as [`json`] prints it.
pub(super) fn add_line(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // writing to memory cannot fail, and what is passed here are structs and maps of texts
    let _ = value.serialize(&mut Serializer::with_formatter(&mut *out, Printable));
    out.push(b'\n');
}

/// JSON on one line, in which characters that could steer a terminal are escaped.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        if is_plain(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, found)) = rest.char_indices().find(|(_, c)| is_deceptive(*c)) {
            // all of them are in the first plane, so one escape is enough
            write!(out, "{}\\u{:04x}", &rest[..at], u32::from(found))?;
            rest = &rest[at + found.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Tells something on stderr. Where that cannot be written, there is nobody to tell.
pub(super) fn tell(text: &str) {
    let mut out = anstream::AutoStream::auto(std::io::stderr().lock());
    let _ = writeln!(out, "{text}");
}

/// Prints text for people.
pub(super) fn text(text: &str) -> CliResult<()> {
    let mut out = anstream::AutoStream::auto(std::io::stdout().lock());
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a text as it is, byte for byte; to a terminal, though, without what could steer it and as whole lines.
pub(super) fn verbatim(text: &str) -> CliResult<()> {
    let mut out = std::io::stdout().lock();
    let shown = if out.is_terminal() { printable(text, true) } else { text.into() };
    let end = if out.is_terminal() && !text.is_empty() && !text.ends_with('\n') { "\n" } else { "" };
    finish(out.write_all(shown.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush()))
}

/// Prints lines for people, or what to say where there is none.
pub(super) fn lines(lines: &[String], none: &str) -> CliResult<()> {
    if lines.is_empty() { text(&format!("{none}\n")) } else { text(&format!("{}\n", lines.join("\n"))) }
}

/// As [`text`]; answers how many bytes of it there were without the colours.
pub(super) fn counted_styled(styled: &str) -> CliResult<u64> {
    text(styled)?;
    Ok(anstream::adapter::strip_str(styled).map(|part| part.len() as u64).sum())
}

/// Prints text without colours; answers how many bytes were printed.
pub(super) fn counted_text(text: &str) -> CliResult<u64> {
    let mut out = CountingWriter::new(std::io::stdout().lock());
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    Ok(out.bytes())
}

/// A reader that has seen enough, such as `head`, is not an error.
pub(super) fn finish(written: Result<(), Error>) -> CliResult<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::new(Code::Error, format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}
