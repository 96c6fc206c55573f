//! `oxi-state registry …`

use crate::keyed;
use crate::schema::registry::{Registration, RegistryKind};

use super::super::args::RegistryCommand;
use super::super::context::Context;
use super::super::error::{CliError, CliResult};
use super::{all, change, fields, find, halves, key, print_all, print_one, remove};

pub(super) fn run(context: &Context, command: RegistryCommand) -> CliResult<()> {
    match command {
        RegistryCommand::Set { key: row, fields: given, clear, guard } => {
            let row = known(context, row)?;
            let (kind, name) = halves(&row, "KIND/NAME")?;
            let mut new = fields(&given, &clear)?;
            new.insert("kind".into(), kind.into());
            new.insert("name".into(), name.into());
            let registration: Registration =
                change(context, &row, |txn| keyed::set(txn, &row, new, guard.expect, &context.policy))?;
            print_one(context, &registration, &[])
        }
        RegistryCommand::Show { key: row } => {
            print_one(context, &find::<Registration>(context, &known(context, row)?)?, &[])
        }
        RegistryCommand::List { kind } => {
            let beginning = kind.map(|kind| format!("{kind}/")).unwrap_or_default();
            print_all(context, &all::<Registration>(context, &beginning)?, |_| Vec::new())
        }
        RegistryCommand::Rm { key: row, guard } => remove::<Registration>(context, &known(context, row)?, guard.expect),
    }
}

/// A key whose first half is one of the two kinds.
fn known(context: &Context, row: String) -> CliResult<String> {
    let row = key(context, row)?;
    let (kind, _) = halves(&row, "extension/NAME or package/NAME")?;
    if RegistryKind::WORDS.contains(&kind) {
        Ok(row)
    } else {
        Err(CliError::usage("the name must be extension/NAME or package/NAME"))
    }
}
