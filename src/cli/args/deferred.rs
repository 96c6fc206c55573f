//! Commands, and their arguments, that are set up only if they are asked for: to set up all of them, with their helps and
//! with the global options for each, would cost every run a fifth of its time.

use std::ops::Deref;
use std::sync::{PoisonError, RwLock};

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};

/// The names of commands that alone are to be set up; none if all are.
static ASKED: RwLock<Option<Vec<String>>> = RwLock::new(None);

fn ask(names: Option<Vec<String>>) {
    *ASKED.write().unwrap_or_else(PoisonError::into_inner) = names;
}

/// Which commands are to be set up.
enum Wanted {
    All,
    Some,
    None,
}

/// Which of those commands are to be set up that `is_one` knows by their names.
fn wanted(is_one: impl Fn(&str) -> bool) -> Wanted {
    match ASKED.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        None => Wanted::All,
        Some(names) if names.iter().any(|name| is_one(name)) => Wanted::Some,
        Some(_) => Wanted::None,
    }
}

/// Parses the arguments of this process with those commands alone whose names are among them, which is enough if all is
/// well; none if something is wrong or help is asked for, which is to be told from the whole tree of commands.
pub(in crate::cli) fn parse_asked<T: Parser>() -> Option<T> {
    ask(Some(std::env::args_os().skip(1).filter_map(|arg| arg.into_string().ok()).collect()));
    let mut command = T::command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    ask(None);
    // 60 KB, which what follows can use: to touch memory that was not used before takes longer than to free this
    drop(command);
    T::from_arg_matches_mut(&mut parsed.ok()?).ok()
}

/// A command with those of `T` below it that are to be set up.
fn augment_asked<T: Subcommand>(command: Command) -> Command {
    match wanted(T::has_subcommand) {
        Wanted::All => T::augment_subcommands(command),
        Wanted::Some => {
            let mut all = T::augment_subcommands(Command::new(""));
            let is_asked = |below: &&mut Command| !matches!(wanted(|name| name == below.get_name()), Wanted::None);
            command.subcommands(all.get_subcommands_mut().filter(is_asked).map(std::mem::take))
        }
        Wanted::None => command,
    }
}

/// A group of commands of which none is set up unless one is asked for.
#[derive(Debug)]
pub(in crate::cli) struct Asked<T>(pub(in crate::cli) T);

impl<T: FromArgMatches> FromArgMatches for Asked<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    // what clap would do here copies all that was parsed, and so at each level
    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Subcommand> Subcommand for Asked<T> {
    fn augment_subcommands(command: Command) -> Command {
        augment_asked::<T>(command)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        T::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

/// The arguments of a command, or the commands below it.
#[derive(Debug)]
pub(in crate::cli) struct Deferred<T>(pub(in crate::cli) Box<T>);

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(T::augment_args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Box::new).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Box::new).map(Self)
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::{
        AgentCommand, Cli, ConfigCommand, DocCommand, HandoffCommand, HealthCommand, IssueCommand, SessionCommand,
        ValidationCommand,
    };
    use super::*;

    // a command whose own option has the name of a global one cannot be deferred: clap finds both, and says so here
    #[test]
    fn no_command_has_two_arguments_of_one_name() {
        Cli::command().debug_assert();
    }

    /// What the commands are said to be for; what is deferred comes later than the comment of the command, and must not
    /// replace it.
    fn abouts(command: &Command) -> Vec<(String, String)> {
        let text = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
        let all = command.get_subcommands().filter(|command| command.get_name() != "help");
        all.map(|command| (command.get_name().to_owned(), text(command))).collect()
    }

    fn assert_told<T: Subcommand>() {
        let mut command = T::augment_subcommands(Command::new("test"));
        let before = abouts(&command);
        command.build();
        assert!(!before.is_empty() && before.iter().all(|(_, text)| !text.is_empty()));
        assert_eq!(abouts(&command), before);
    }

    #[test]
    fn every_command_is_told_by_its_own_comment() {
        assert_told::<super::super::Command>();
        assert_told::<AgentCommand>();
        assert_told::<ConfigCommand>();
        assert_told::<DocCommand>();
        assert_told::<HandoffCommand>();
        assert_told::<HealthCommand>();
        assert_told::<IssueCommand>();
        assert_told::<SessionCommand>();
        assert_told::<ValidationCommand>();
    }
}
