//! `session tree`

use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};

pub(super) fn run(_: &Context, _: Option<&str>) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}
