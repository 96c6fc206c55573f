//! `session import`

use super::super::args::SessionImportArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};

pub(super) fn run(_: &Context, _: &SessionImportArgs) -> CliResult<u8> {
    Err(CliError::new(Code::Error, "not built yet"))
}
