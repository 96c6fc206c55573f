//! `validation run`

use std::io::IsTerminal as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::db::{Author, Op, Store};
use crate::git::{CheckedOut, Git};
use crate::keyed;
use crate::project::Project;
use crate::schema::id::is_deceptive;
use crate::schema::keyed::cut;
use crate::schema::privacy::{self, Policy};
use crate::schema::validation::{MAX_COMMAND, Validation, Verdict, line_of, name_of};
use crate::validations;

use super::super::args::ValidationRunArgs;
use super::super::child::{self, Ended, Failure};
use super::super::context::{Context, now};
use super::super::error::{CliError, CliResult, Code};
use super::super::keyed::new_id;
use super::super::{issue, program};
use super::tee::Tee;
use super::view;

/// The exit code where the command's time was over, as `timeout` has it.
const TIMED_OUT: u8 = 124;

/// The longest time limit, in seconds.
const MAX_LIMIT: f64 = 366.0 * 86_400.0;

/// Answers the exit code of the command.
pub(super) fn run(context: &Context, args: &ValidationRunArgs) -> CliResult<u8> {
    let (Some(command), arguments) = (args.command.first(), args.command.get(1..).unwrap_or_default()) else {
        return Err(CliError::usage("a command is missing"));
    };
    let limit = args.timeout.map(time_limit).transpose()?;
    let mut fields = Map::new();
    let words: Vec<String> = args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let line = clean_line(context, &words)?;
    let name = match &args.name {
        Some(name) => {
            context.refuse_secret("name", name)?;
            name.clone()
        }
        None => harmless_name(&words),
    };
    fields.insert("name".into(), name.into());
    let program = program::resolve(command, std::env::var_os("PATH").as_deref())?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    fields.insert("command".into(), cut(&without_places(&line, &project, context.home()), MAX_COMMAND).into());
    if let Some(id) = args.issue {
        let identity = keyed::identity(&*store.read()?, id)?;
        fields.insert("issue".into(), serde_json::to_value(identity).unwrap_or_default());
    }
    super::check(&fields, author.now)?;
    fields.extend(checked_out(context, &project));

    let mut command_line = Command::new(&program);
    command_line.arg0(command).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    colour(&mut command_line, context);
    let (begun, mut tee) = (Instant::now(), None);
    let ended = child::run(&mut command_line, limit, |command| {
        let mut child = command.spawn()?;
        tee = Some(Tee::start(&mut child, context.json)?);
        Ok(child)
    });
    let ended = match ended {
        Ok(ended) => ended,
        Err(Failure::Start(error)) => return Err(program::not_started(&program, &error)),
        Err(Failure::Wait(error)) => {
            return Err(CliError::new(Code::Error, format!("cannot tell how {} ended: {error}", program.display())));
        }
    };
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    fields.insert("duration_ms".into(), millis.into());
    let summary = tee.and_then(Tee::finish);
    fields.extend(outcome(&ended, limit, summary));
    let code = if ended.timed_out { TIMED_OUT } else { child::exit_code(ended.status) };
    note(context, &project, &store, author, fields);
    Ok(code)
}

/// Notes the run. The command has had its effects and its exit code matters more than ours: what fails is a warning.
fn note(context: &Context, project: &Project, store: &Store, author: Author, fields: Map<String, Value>) {
    let author = Author { now: now(), ..author };
    let noted: CliResult<Validation> = new_id().and_then(|id| {
        store.write(&author, |txn| Ok::<_, CliError>(validations::note(txn, id, fields, Op::Run, &context.policy)?))
    });
    let run = match noted {
        Ok(run) => run,
        Err(error) if context.json => return error.print(true),
        Err(error) => return error.warn("the run was not noted; `oxi-state validation record` can do it by hand"),
    };
    if !context.json {
        return context.note(&view::sentence(&run));
    }
    if let Err(error) = view::print(context, project, store, &run) {
        error.print(true);
    }
}

fn time_limit(seconds: f64) -> CliResult<Duration> {
    let limit = Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero() && seconds <= MAX_LIMIT);
    limit.ok_or_else(|| CliError::usage("--timeout takes a number of seconds above 0, and at most a year"))
}

/// A command line as it may be stored. It is looked at as it was given, since quotes hide what a secret stands beside,
/// and quoted; and before it is cut, which could leave a part of a secret that is none to the eye.
fn clean_line(context: &Context, words: &[String]) -> CliResult<String> {
    let plain = words.join(" ");
    let clean = issue::clean(context, "command", "", &plain)?;
    if clean != plain {
        return Ok(clean.chars().map(|c| if is_deceptive(c) { ' ' } else { c }).collect());
    }
    issue::clean(context, "command", "", &line_of(words))
}

/// A command line without local paths: a pinned run stands in a file that travels.
fn without_places(line: &str, project: &Project, home: Option<&Path>) -> String {
    let places = [Some((project.root(), ".")), home.map(|home| (home, "~"))];
    places.into_iter().flatten().fold(line.to_owned(), |line, (place, short)| match place.to_str() {
        Some(place) if place.len() > 1 => replace_path(&line, place, short),
        _ => line,
    })
}

/// A text with a path in it shortened, wherever it is not the beginning of another name.
fn replace_path(text: &str, path: &str, short: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        out.push_str(before);
        out.push_str(if goes_on { path } else { short });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// What a command is called unless somebody says otherwise; the program alone where the rest is better not kept.
fn harmless_name(words: &[String]) -> String {
    let name = name_of(words);
    if !name.is_empty() && privacy::check(&name, &Policy::default()).is_ok() {
        return name;
    }
    let program = name_of(words.get(..1).unwrap_or_default());
    if !program.is_empty() && privacy::check(&program, &Policy::default()).is_ok() { program } else { "command".into() }
}

/// What is checked out, as fields. Without git there is nothing to say.
pub(super) fn checked_out(context: &Context, project: &Project) -> Map<String, Value> {
    let Some(git) = Git::discover(project.root()) else { return Map::new() };
    let found = git.checked_out(project.root(), project.folder()).unwrap_or_else(|error| {
        context.note(&format!("note: the commit is not noted: {error}"));
        CheckedOut::default()
    });
    let dirty = found.commit.is_some().then_some(found.dirty);
    keyed::object(json!({ "commit": found.commit, "branch": found.branch, "dirty": dirty }))
}

fn outcome(ended: &Ended, limit: Option<Duration>, summary: Option<String>) -> Map<String, Value> {
    let (result, exit_code, signal) = match (ended.timed_out, ended.status.code(), ended.status.signal()) {
        (true, ..) => (Verdict::Error, None, None),
        (_, Some(0), _) => (Verdict::Passed, Some(0), None),
        (_, Some(code), _) => (Verdict::Failed, Some(code), None),
        (_, None, signal) => (Verdict::Error, None, signal),
    };
    let late = || format!("no end within {} s", limit.unwrap_or_default().as_secs_f64());
    let summary = if ended.timed_out { Some(late()) } else { summary };
    keyed::object(json!({ "result": result, "exit_code": exit_code, "signal": signal, "summary": summary }))
}

/// The command sees a pipe; what looks at a terminal would see colours.
fn colour(command: &mut Command, context: &Context) {
    let to_terminal = if context.json { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
    if !to_terminal || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return;
    }
    for (name, value) in
        [("CARGO_TERM_COLOR", "always"), ("CLICOLOR_FORCE", "1"), ("FORCE_COLOR", "1"), ("PY_COLORS", "1")]
    {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
}
