//! `session run`

use super::super::args::RunArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};

pub(super) fn run(_: &Context, _: RunArgs) -> CliResult<u8> {
    Err(CliError::new(Code::Error, "not built yet"))
}
