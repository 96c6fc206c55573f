//! `session list`, `show`, `fork`, `link`, `delete`

use super::super::args::ForkArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use crate::schema::id::IssueId;

pub(super) fn list(_: &Context, _: bool, _: Option<usize>) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}

pub(super) fn show(_: &Context, _: Option<&str>) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}

pub(super) fn fork(_: &Context, _: ForkArgs) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}

pub(super) fn link(_: &Context, _: &str, _: &[IssueId]) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}

pub(super) fn delete(_: &Context, _: &[String], _: bool) -> CliResult<()> {
    Err(CliError::new(Code::Error, "not built yet"))
}
