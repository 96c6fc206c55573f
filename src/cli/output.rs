//! The result on stdout.

use std::io::{Error, ErrorKind, Write as _};

use super::error::{CliError, CliResult, Code};

/// Prints a value as the one JSON document of this run.
pub(super) fn json(value: &impl serde::Serialize) -> CliResult<()> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let written = serde_json::to_writer(&mut out, value).map_err(Error::from);
    finish(written.and_then(|()| writeln!(out)).and_then(|()| out.flush()))
}

/// Prints text for people.
pub(super) fn text(text: &str) -> CliResult<()> {
    let mut out = anstream::AutoStream::auto(std::io::stdout().lock());
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// A reader that has seen enough, such as `head`, is not an error.
fn finish(written: Result<(), Error>) -> CliResult<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::new(Code::Error, format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}
