//! The command line: reads arguments, environment and clock, calls the library, prints.
//!
//! stdout is the result, stderr everything else; with `--json` each is one JSON document.

mod args;
mod context;
mod editor;
mod error;
mod history;
mod init;
mod issue;
mod mirror;
mod output;
mod progress;
mod schemas;
mod view;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{Cli, Command};
use context::Context;
use error::{CliError, CliResult, Code};
use mirror::Direction;

/// Runs the program with the arguments of this process; answers its exit code.
#[must_use]
pub fn run() -> u8 {
    // the tree of all commands and their help is left for the end of the process to free
    let mut command = std::mem::ManuallyDrop::new(Cli::command());
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command)));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return parse_failure(&error),
    };
    let json = cli.global.json;
    match dispatch(cli) {
        Ok(None) => 0,
        Ok(Some(code)) => code as u8,
        Err(error) => {
            error.print(json);
            error.code as u8
        }
    }
}

fn parse_failure(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // help and version are results; a closed pipe is not an error
        let _ = error.print();
        return 0;
    }
    // whether JSON was asked for must be told without the parser, which gave up
    if std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json") {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let hint =
            lines.find(|line| line.starts_with("tip:")).map(|tip| tip.trim_start_matches("tip:").trim().to_owned());
        let error = CliError::new(Code::Usage, message);
        let error = match hint {
            Some(hint) => error.hint(hint),
            None => error.hint("see `oxi-state help`, or the command with --help"),
        };
        error.print(true);
    } else {
        let _ = error.print();
    }
    Code::Usage as u8
}

fn dispatch(cli: Cli) -> CliResult<Option<Code>> {
    let mut context = Context::new(&cli.global)?;
    match cli.command {
        Command::Init => init::run(&context),
        Command::Issue(command) => issue::run(&mut context, *command).map(|()| None),
        Command::Import(args) => mirror::run(&context, Direction::Import, &args),
        Command::Export(args) => mirror::run(&context, Direction::Export, &args),
        Command::Sync(args) => mirror::run(&context, Direction::Sync, &args),
        Command::Status { check } => mirror::status(&context, check),
        Command::Conflicts => mirror::conflicts(&context).map(|()| None),
        Command::Resolve(args) => mirror::resolve(&context, &args).map(|()| None),
        Command::Log(args) => history::log(&context, &args).map(|()| None),
        Command::Undo { revision } => history::undo(&context, revision).map(|()| None),
        Command::Stats => history::stats(&context).map(|()| None),
        Command::Schema { kind } => output::json(&schemas::of(kind)).map(|()| None),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "oxi-state", &mut script);
            output::text(&String::from_utf8_lossy(&script)).map(|()| None)
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| CliError::new(Code::Error, format!("cannot render the manual page: {error}")))?;
            output::text(&String::from_utf8_lossy(&page)).map(|()| None)
        }
    }
}
