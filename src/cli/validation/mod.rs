//! `oxi-state validation …`

mod run;
mod tee;
mod view;

use serde_json::{Map, Value, json};

use crate::db::Op;
use crate::keyed;
use crate::schema::id::printable;
use crate::schema::keyed::{Keyed as _, admit_with};
use crate::schema::privacy::Policy;
use crate::schema::record_id::RecordId;
use crate::schema::time::Timestamp;
use crate::schema::validation::Validation;
use crate::validations::{self, ValidationError};

use super::args::{ValidationCommand, ValidationListArgs, ValidationRecordArgs};
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::keyed::{new_id, one};
use super::output;

pub(super) use view::{Seen, head_commit, line};

/// Answers the exit code of the command that was run, where one was.
pub(super) fn run(context: &Context, command: ValidationCommand) -> CliResult<Option<u8>> {
    match command {
        ValidationCommand::Run(args) => return run::run(context, &args).map(Some),
        ValidationCommand::Record(args) => record(context, *args.0),
        ValidationCommand::List(args) => list(context, &args),
        ValidationCommand::Last { name, failing, stale } => last(context, name.as_deref(), failing, stale),
        ValidationCommand::Show { id } => show(context, &id),
        ValidationCommand::Pin { ids } => pin(context, &ids, true),
        ValidationCommand::Unpin { ids } => pin(context, &ids, false),
    }
    .map(|()| None)
}

impl From<ValidationError> for CliError {
    fn from(error: ValidationError) -> Self {
        let message = error.to_string();
        match error {
            ValidationError::Keyed(error) => error.into(),
            ValidationError::NotFound(id) => super::keyed::missing::<Validation>(&id.to_string()),
            ValidationError::NoIssue(_) => {
                Self::usage(message).hint("only a run with --issue has a file to stand in; run it again so")
            }
            ValidationError::Full(id) => Self::new(Code::Conflict, message)
                .hint(format!("`oxi-state validation list --issue {id}` shows them; unpin one first"))
                .detail("id", id),
            ValidationError::NoRoom(_) => Self::new(Code::Error, message).hint("unpin another first"),
        }
    }
}

/// Whether fields can be stored, before anything is done for them.
fn check(fields: &Map<String, Value>, now: Timestamp) -> CliResult<()> {
    let added = json!({ "id": RecordId::new(now, 0), "result": "skipped", "at": now });
    admit_with::<Validation>(None, fields.clone(), keyed::object(added), now, &Policy::default())?;
    Ok(())
}

fn record(context: &Context, args: ValidationRecordArgs) -> CliResult<()> {
    context.refuse_secret("name", &args.name)?;
    let duration_ms = args.duration.map(millis).transpose()?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let mut fields = keyed::object(json!({
        "name": args.name,
        "result": args.result,
        "issue": args.issue,
        "command": args.command,
        "exit_code": args.exit_code,
        "duration_ms": duration_ms,
        "summary": args.summary,
        "at": args.at,
    }));
    match args.commit {
        Some(commit) => drop(fields.insert("commit".into(), commit.into())),
        None => fields.extend(run::checked_out(context, &project)),
    }
    let id = new_id()?;
    let run = store
        .write(&author, |txn| Ok::<_, CliError>(validations::note(txn, id, fields, Op::Create, &context.policy)?))?;
    if context.json {
        return view::print(context, &project, &store, &run);
    }
    output::text(&format!("{id}\n"))
}

fn millis(seconds: f64) -> CliResult<u64> {
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok();
    let millis = duration.and_then(|duration| u64::try_from(duration.as_millis()).ok());
    millis.ok_or_else(|| CliError::usage("--duration takes a number of seconds"))
}

fn list(context: &Context, args: &ValidationListArgs) -> CliResult<()> {
    let (project, read) = context.read()?;
    let head = head_commit(&project);
    let issue = args.issue.map(|id| keyed::identity(&read, id)).transpose()?;
    let mut runs = Vec::new();
    for run in validations::newest_first(&read)? {
        if args.limit.is_some_and(|limit| runs.len() >= limit) {
            break;
        }
        let wanted = args.name.as_ref().is_none_or(|name| *name == run.name)
            && (issue.is_none() || issue == run.issue)
            && (!args.failing || run.result.is_failing())
            && (!args.stale || validations::is_stale(&run, head.as_deref()) == Some(true));
        if wanted {
            runs.push(Seen::new(&read, head.as_deref(), run)?);
        }
    }
    drop(read);
    view::print_all(context, &runs)
}

fn last(context: &Context, name: Option<&str>, failing: bool, stale: bool) -> CliResult<()> {
    let (project, read) = context.read()?;
    let head = head_commit(&project);
    let mut runs = Vec::new();
    for run in validations::latest(&read)? {
        let wanted = name.is_none_or(|name| name == run.name)
            && (!failing || run.result.is_failing())
            && (!stale || validations::is_stale(&run, head.as_deref()) == Some(true));
        if wanted {
            runs.push(Seen::new(&read, head.as_deref(), run)?);
        }
    }
    drop(read);
    match (name, runs.first()) {
        (Some(name), None) if !failing && !stale => {
            Err(CliError::new(Code::NotFound, format!("nothing of the name {name} was run"))
                .hint("`oxi-state validation last` shows all names"))
        }
        (Some(_), Some(seen)) if context.json => output::json(&seen.json()),
        _ => view::print_all(context, &runs),
    }
}

fn show(context: &Context, id: &str) -> CliResult<()> {
    let (project, read) = context.read()?;
    let run: Validation = one(&read, id)?;
    drop(read);
    let (_, store) = context.ready()?;
    view::print(context, &project, &store, &run)
}

fn pin(context: &Context, ids: &[String], pin: bool) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let head = head_commit(&project);
    let mut any = false;
    let (lines, seen) = store.write(&author, |txn| {
        let (mut lines, mut seen) = (Vec::new(), Vec::new());
        for id in ids {
            let run: Validation = one(txn, id)?;
            let changed = if pin { validations::pin(txn, run.id)? } else { validations::unpin(txn, run.id)? };
            any |= changed;
            let what = match (pin, changed) {
                (true, true) => "pinned",
                (true, false) => "pinned already:",
                (false, true) => "unpinned",
                (false, false) => "not pinned:",
            };
            lines.push(format!("{what} {} ({})", run.key(), printable(&run.name, false)));
            seen.push(Seen::new(txn, head.as_deref(), run)?);
        }
        Ok::<_, CliError>((lines, seen))
    })?;
    if context.json {
        return match &seen[..] {
            [one] => output::json(&one.json()),
            several => output::json(&several.iter().map(Seen::json).collect::<Vec<_>>()),
        };
    }
    output::lines(&lines, "")?;
    if any {
        context.note("hint: `oxi-state export` writes it into the file");
    }
    Ok(())
}
