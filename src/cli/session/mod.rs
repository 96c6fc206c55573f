//! `oxi-state session …`

mod find;
mod import;
mod lifecycle;
mod query;
mod run;
mod tree;
mod view;

pub(super) use import::SessionImportJson;
pub(super) use tree::SessionTreeJson;
pub(super) use view::SessionJson;

use super::args::SessionCommand;
use super::context::Context;
use super::error::CliResult;

/// Answers the exit code of the command that was run, where one was.
pub(super) fn run(context: &Context, command: SessionCommand) -> CliResult<u8> {
    match command {
        SessionCommand::Run(args) => return run::run(context, args),
        SessionCommand::Import(args) => return import::run(context, &args),
        SessionCommand::Start(args) => lifecycle::start(context, args),
        SessionCommand::End { id, release, force } => lifecycle::end(context, id.as_deref(), release, force),
        SessionCommand::Reap { dry_run } => lifecycle::reap(context, dry_run),
        SessionCommand::List { all, limit } => query::list(context, all, limit),
        SessionCommand::Show { id } => query::show(context, id.as_deref()),
        SessionCommand::Tree { id } => tree::run(context, id.as_deref()),
        SessionCommand::Fork(args) => query::fork(context, args),
        SessionCommand::Link { id, issues } => query::link(context, &id, &issues),
        SessionCommand::Delete { ids, force } => query::delete(context, &ids, force),
    }
    .map(|()| 0)
}
