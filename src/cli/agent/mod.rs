//! `oxi-state agent …`

use super::args::AgentCommand;
use super::context::Context;
use super::error::{CliError, CliResult, Code};

pub(super) fn run(_: &Context, _: AgentCommand) -> CliResult<u8> {
    Err(CliError::new(Code::Error, "not built yet"))
}
