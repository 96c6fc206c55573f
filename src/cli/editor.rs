//! Letting a person edit text in the editor of their choice.

use std::io::Write as _;
use std::process::Command;

use super::context::variable;
use super::error::{CliError, CliResult, Code};

/// Text as a person left it, in a temporary file that goes when this is dropped.
pub(super) struct Edited {
    pub(super) text: String,
    file: tempfile::NamedTempFile,
}

impl Edited {
    /// Keeps the file, so that no work is lost; says where it is.
    pub(super) fn keep(self) -> String {
        match self.file.keep() {
            Ok((_, path)) => path.display().to_string(),
            Err(error) => error.file.path().display().to_string(),
        }
    }
}

/// Opens `$VISUAL` or `$EDITOR` on a text and waits.
pub(super) fn edit(text: &str, name: &str) -> CliResult<Edited> {
    let editor = variable("VISUAL").or_else(|| variable("EDITOR")).ok_or_else(|| {
        CliError::usage("no editor is set")
            .hint("set EDITOR, such as `EDITOR=nano`; or change fields with `oxi-state issue update`")
    })?;
    let failed = |error: std::io::Error| CliError::new(Code::Error, format!("cannot make a temporary file: {error}"));
    let suffix = format!("-{name}");
    let mut file = tempfile::Builder::new().prefix("oxi-state-").suffix(&suffix).tempfile().map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
    // the variable is a command line, as for git: it may hold arguments
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg("sh")
        .arg(file.path())
        .status()
        .map_err(|error| CliError::new(Code::Error, format!("cannot run the editor {editor:?}: {error}")))?;
    if !status.success() {
        return Err(CliError::new(
            Code::Error,
            format!("the editor {editor:?} failed ({status}); nothing was changed"),
        ));
    }
    // read by path: many editors replace the file
    match std::fs::read(file.path()).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Edited { text, file }),
        Ok(Err(_)) => Err(CliError::new(Code::BadInput, "what the editor left is not UTF-8")
            .hint(format!("nothing was changed; your text is in {}", Edited { text: String::new(), file }.keep()))),
        Err(error) => Err(CliError::new(Code::BadInput, format!("cannot read what the editor left: {error}"))),
    }
}
