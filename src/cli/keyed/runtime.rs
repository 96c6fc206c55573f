//! `oxi-state runtime …`

use chrono::TimeDelta;
use serde_json::Value;

use crate::keyed;
use crate::schema::runtime::Runtime;
use crate::schema::time::Timestamp;

use super::super::args::RuntimeCommand;
use super::super::context::{Context, now};
use super::super::error::CliResult;
use super::{all, change, fields, find, key, print_all, print_one, remove};

pub(super) fn run(context: &Context, command: RuntimeCommand) -> CliResult<()> {
    match command {
        RuntimeCommand::Set { name, fields: given, ttl, clear, guard } => {
            let name = key(context, name)?;
            let mut new = fields(&given, &clear)?;
            new.insert("name".into(), name.clone().into());
            let runtime: Runtime = change(context, &name, |txn| {
                let end = |ttl: u32| txn.author().now.get().checked_add_signed(TimeDelta::seconds(ttl.into()));
                if let Some(end) = ttl.and_then(end) {
                    new.insert("expires_at".into(), Timestamp::new(end).to_string().into());
                }
                keyed::set(txn, &name, new, guard.expect, &context.policy)
            })?;
            print_one(context, &runtime, &shown(&runtime, now()))
        }
        RuntimeCommand::Get { name } => {
            let runtime: Runtime = find(context, &key(context, name)?)?;
            print_one(context, &runtime, &shown(&runtime, now()))
        }
        RuntimeCommand::List => {
            let now = now();
            print_all(context, &all::<Runtime>(context, "")?, |runtime| shown(runtime, now))
        }
        RuntimeCommand::Rm { name, guard } => remove::<Runtime>(context, &key(context, name)?, guard.expect),
    }
}

pub(super) fn shown(runtime: &Runtime, now: Timestamp) -> Vec<(&'static str, Value)> {
    vec![("stale", runtime.is_stale(now).into())]
}
