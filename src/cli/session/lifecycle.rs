//! `session start`, `end`, `reap`

use super::super::args::StartArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};

pub(super) fn start(_: &Context, _: StartArgs) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}

pub(super) fn end(_: &Context, _: Option<&str>, _: bool, _: bool) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}

pub(super) fn reap(_: &Context, _: bool) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}
