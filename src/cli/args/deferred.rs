//! Commands that are set up only if they are asked for: to set up all of them, with their helps and with the global options
//! for each, would cost every run a fifth of its time.

use std::sync::{PoisonError, RwLock};

use clap::error::Error;
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

/// The names of commands that alone are to be set up; none if all are.
static ASKED: RwLock<Option<Vec<String>>> = RwLock::new(None);

fn ask(names: Option<Vec<String>>) {
    *ASKED.write().unwrap_or_else(PoisonError::into_inner) = names;
}

/// Those commands below a command that are to be set up.
fn asked(command: &Command) -> Vec<Command> {
    let names = ASKED.read().unwrap_or_else(PoisonError::into_inner);
    let is = |command: &Command, name: &str| {
        command.get_name() == name || command.get_all_aliases().any(|alias| alias == name)
    };
    let is_asked = |command: &&Command| names.as_ref().is_none_or(|names| names.iter().any(|name| is(command, name)));
    command.get_subcommands().filter(is_asked).cloned().collect()
}

/// Parses the arguments of this process with those commands alone whose names are among them, which is enough if all is
/// well; none if something is wrong or help is asked for, which is to be told from the whole tree of `commands`. `root` is
/// what they are below.
pub(in crate::cli) fn parse_asked<T: FromArgMatches>(root: Command, commands: &Command) -> Option<T> {
    ask(Some(std::env::args_os().skip(1).filter_map(|arg| arg.into_string().ok()).collect()));
    // left for the end of the process to free
    let mut command = std::mem::ManuallyDrop::new(root.subcommand_required(true).subcommands(asked(commands)));
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    ask(None);
    T::from_arg_matches_mut(&mut parsed.ok()?).ok()
}

fn augment_asked<T: Subcommand>(command: Command) -> Command {
    command.subcommands(asked(&T::augment_subcommands(Command::new(""))))
}

/// The commands below a command.
#[derive(Debug)]
pub(in crate::cli) struct Deferred<T>(pub(in crate::cli) Box<T>);

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Box::new).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Subcommand> Subcommand for Deferred<T> {
    fn augment_subcommands(command: Command) -> Command {
        command.defer(augment_asked::<T>)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        command.defer(T::augment_subcommands_for_update)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}
