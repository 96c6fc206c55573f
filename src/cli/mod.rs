//! The command line: reads arguments, environment and clock, calls the library, prints.
//!
//! stdout is the result, stderr everything else; with `--json` each is one JSON document.

mod agent;
mod args;
mod backup;
mod child;
mod compact;
mod config;
mod context;
mod doc;
mod doctor;
mod editor;
mod error;
mod handoff;
mod history;
mod hooks;
mod inbox;
mod init;
mod issue;
mod keyed;
mod log;
mod merge_driver;
mod mirror;
mod output;
mod program;
mod progress;
mod resume;
mod schemas;
mod session;
mod snapshot;
mod telemetry;
mod usage;
mod validation;
mod view;
mod when;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{
    AgentsCommand, Asked, Cli, Command, ConfigCommand, IssueCommand, MirrorCommand, ProgramCommand, RecordsCommand,
    UpkeepCommand, WorkCommand,
};
use context::{Context, Reads};
use error::{CliError, CliResult, Code};
use mirror::Direction;

use crate::schema::id::{is_deceptive, printable};

/// Runs the program with the arguments of this process; answers its exit code.
#[must_use]
pub fn run() -> u8 {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => return parse_failure(&error),
    };
    let json = cli.global.json;
    match guarded(|| dispatch(cli)) {
        Ok(None) => 0,
        Ok(Some(code)) => code,
        Err(error) => tell(&error, json),
    }
}

/// Says what went wrong; answers the exit code.
fn tell(error: &CliError, json: bool) -> u8 {
    error.print(json);
    error.code as u8
}

fn parse() -> Result<Cli, clap::Error> {
    if let Some(cli) = args::parse_asked() {
        return Ok(cli);
    }
    // the tree of all commands and their help is left for the end of the process to free
    let mut command = std::mem::ManuallyDrop::new(Cli::command());
    command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command)))
}

/// Turns a panic into an error. The database engine panics on some kinds of damage that its own checks do not see; what
/// it had begun is undone when the next process opens the file.
fn guarded(work: impl FnOnce() -> CliResult<Option<u8>>) -> CliResult<Option<u8>> {
    use std::sync::{Arc, Mutex, PoisonError};
    let place = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = location;
    }));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let place = std::mem::take(&mut *place.lock().unwrap_or_else(PoisonError::into_inner));
    result.unwrap_or_else(|_| {
        let file = place.rsplit('/').next().unwrap_or_default();
        Err(if place.contains("/redb-") {
            CliError::new(Code::Database, format!("the database is damaged: the engine gave up at {file}"))
                .hint(error::REBUILD)
        } else {
            CliError::new(Code::Error, format!("internal error at {file}"))
                .hint("this is a bug in oxi-state; please report it")
        })
    })
}

fn parse_failure(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // help and version are results
        return output::finish(error.print()).map_or_else(|error| tell(&error, false), |()| 0);
    }
    // clap repeats what it cannot use, which may be a secret in the wrong place
    let said = error.to_string();
    let clean = error::redacted(&said);
    let has_secrets = clean != said;
    let (message, is_raw) = without_controls(clean);
    // whether JSON was asked for must be told without the parser, which gave up
    if std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json") {
        let text = match error.kind() {
            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "error: a command is missing".to_owned()
            }
            _ => message,
        };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let said: Vec<_> =
            lines.by_ref().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("tip:")).collect();
        let message = said.join(" ").trim_start_matches("error: ").to_owned();
        let mut lines = text.lines().map(str::trim);
        let hint =
            lines.find(|line| line.starts_with("tip:")).map(|tip| tip.trim_start_matches("tip:").trim().to_owned());
        let error = CliError::new(Code::Usage, message);
        let error = match hint {
            Some(hint) => error.hint(hint),
            None => error.hint("see `oxi-state help`, or the command with --help"),
        };
        error.print(true);
    } else if !has_secrets && !is_raw {
        let _ = error.print();
    } else {
        eprint!("{message}");
    }
    Code::Usage as u8
}

/// A message of the parser with what arguments hold of control characters escaped, line ends too; and whether there was
/// any such argument. The message's own line ends stay.
fn without_controls(mut message: String) -> (String, bool) {
    let mut is_raw = false;
    for arg in std::env::args_os().skip(1) {
        let arg = arg.to_string_lossy();
        if arg.chars().any(is_deceptive) {
            is_raw = true;
            // the message comes without escape sequences
            let shown = anstream::adapter::strip_str(&arg).to_string();
            if shown.chars().any(is_deceptive) {
                message = message.replace(&shown, &printable(&shown, false));
            }
        }
    }
    (if is_raw { printable(&message, true).into_owned() } else { message }, is_raw)
}

fn dispatch(cli: Cli) -> CliResult<Option<u8>> {
    // no project, settings or environment matter to it
    if let Command::Mirror(Asked(MirrorCommand::MergeDriver(args))) = &cli.command {
        return Ok(Some(merge_driver::run(args)));
    }
    let context = Context::new(&cli.global, reads(&cli.command))?;
    match cli.command {
        Command::Work(command) => work(&context, command.0),
        Command::Agents(command) => agents(&context, command.0),
        Command::Records(command) => records(&context, command.0),
        Command::Mirror(command) => mirrored(&context, command.0).map(number),
        Command::Upkeep(command) => upkeep(&context, command.0).map(number),
        Command::Program(command) => program(&context, command.0).map(|()| None),
    }
}

fn work(context: &Context, command: WorkCommand) -> CliResult<Option<u8>> {
    match command {
        WorkCommand::Init { hooks } => init::run(context, hooks).map(number),
        WorkCommand::Issue(command) => issue::run(context, *command.0).map(|()| None),
    }
}

fn agents(context: &Context, command: AgentsCommand) -> CliResult<Option<u8>> {
    match command {
        AgentsCommand::Session(command) => session::run(context, *command.0).map(Some),
        AgentsCommand::Agent(command) => agent::run(context, *command.0).map(number),
        AgentsCommand::Validation(command) => validation::run(context, *command.0),
        AgentsCommand::Handoff(command) => handoff::run(context, *command.0).map(|()| None),
        AgentsCommand::Resume { max_bytes } => resume::run(context, max_bytes).map(|()| None),
    }
}

fn records(context: &Context, command: RecordsCommand) -> CliResult<Option<u8>> {
    match command {
        RecordsCommand::Doc(command) => doc::run(context, *command.0).map(|()| None),
        RecordsCommand::Pointer(command) => keyed::pointer(context, *command.0).map(|()| None),
        RecordsCommand::Fact(command) => keyed::fact(context, *command.0).map(number),
        RecordsCommand::Runtime(command) => keyed::runtime(context, *command.0).map(|()| None),
        RecordsCommand::Health(command) => keyed::health(context, *command.0).map(number),
        RecordsCommand::Registry(command) => keyed::registry(context, *command.0).map(|()| None),
        RecordsCommand::Usage(command) => usage::run(context, *command.0).map(number),
        RecordsCommand::Telemetry(command) => telemetry::run(context, *command.0).map(|()| None),
    }
}

fn mirrored(context: &Context, command: MirrorCommand) -> CliResult<Option<Code>> {
    match command {
        MirrorCommand::Import(args) => mirror::run(context, Direction::Import(args.since.as_deref()), &args.mirror),
        MirrorCommand::Export(args) => mirror::run(context, Direction::Export, &args),
        MirrorCommand::Sync(args) => mirror::run(context, Direction::Sync, &args),
        MirrorCommand::Status { check } => mirror::status(context, check),
        MirrorCommand::Conflicts => mirror::conflicts(context).map(|()| None),
        MirrorCommand::Resolve(args) => mirror::resolve(context, &args).map(|()| None),
        MirrorCommand::Snapshot(args) => snapshot::run(context, &args).map(|()| None),
        MirrorCommand::Inbox(args) => inbox::run(context, &args),
        MirrorCommand::Hooks(command) => hooks::run(context, *command.0),
        MirrorCommand::MergeDriver(_) => Ok(None),
    }
}

fn upkeep(context: &Context, command: UpkeepCommand) -> CliResult<Option<Code>> {
    match command {
        UpkeepCommand::Doctor(args) => return doctor::run(context, &args),
        UpkeepCommand::Log(args) => log::log(context, &args),
        UpkeepCommand::Undo(args) => history::undo(context, &args),
        UpkeepCommand::Stats => history::stats(context),
        UpkeepCommand::Backup(args) => backup::back_up(context, &args),
        UpkeepCommand::Restore(args) => backup::restore(context, &args),
        UpkeepCommand::Compact { dry_run, trust_clock } => compact::run(context, dry_run, trust_clock),
    }
    .map(|()| None)
}

fn program(context: &Context, command: ProgramCommand) -> CliResult<()> {
    match command {
        ProgramCommand::Config(command) => config::run(context, *command.0),
        ProgramCommand::Schema { kind } => output::json(&schemas::of(kind)),
        ProgramCommand::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "oxi-state", &mut script);
            // clap_complete 4.6 looks for what it set under another name where the program's name has a hyphen
            let script = String::from_utf8_lossy(&script).replace("oxi__subcmd__state", "oxi__state");
            output::text(&script)
        }
        ProgramCommand::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| CliError::new(Code::Error, format!("cannot render the manual page: {error}")))?;
            output::text(&String::from_utf8_lossy(&page))
        }
    }
}

/// Which settings a command goes by.
fn reads(command: &Command) -> Reads {
    match command {
        Command::Program(Asked(ProgramCommand::Config(command))) => match &*command.0 {
            // what mends a settings file must not fail for what is wrong in it
            ConfigCommand::Set(_) => Reads::NoFiles,
            _ => Reads::All,
        },
        Command::Program(_) => Reads::NoFiles,
        // `--session` is a filter there
        Command::Work(Asked(WorkCommand::Issue(command))) if matches!(*command.0, IssueCommand::List(_)) => {
            Reads::AllButSessionFlag
        }
        _ => Reads::All,
    }
}

/// The number of an exit code.
fn number(code: Option<Code>) -> Option<u8> {
    code.map(|code| code as u8)
}
