//! `session import`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::db::Op;
use crate::db::tables::{Readable, Tables};
use crate::import::sessions::{self, FindError, Found, Places, Plan, SessionFile};
use crate::schema::id::{SessionId, printable};
use crate::schema::session::{MAX_BRANCHES, Session, SourceFile};

use super::super::args::SessionImportArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::super::progress::Bar;
use super::view::count;

/// What `session import` prints.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(in crate::cli) struct SessionImportJson {
    /// Sessions that were not known.
    created: Vec<SessionId>,
    /// Sessions of which more is known now.
    updated: Vec<SessionId>,
    /// Files that said nothing new.
    unchanged: u64,
    /// Files of an earlier version than another, and with `--here` those of other projects.
    skipped: u64,
    /// Files that are no session files, and lines that could not be read.
    bad: Vec<BadJson>,
}

/// What could not be read.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct BadJson {
    path: String,
    /// The line, from 1; null for the file as a whole, and for the number of further lines.
    line: Option<u64>,
    reason: String,
}

pub(super) fn run(context: &Context, args: &SessionImportArgs) -> CliResult<u8> {
    let found = sessions::find(&args.paths).map_err(not_found)?;
    let (project, store) = context.ready()?;
    let places = Places::new(project.root(), context.home());
    let mut report = SessionImportJson::default();
    let mut files = read_all(context, &found, &places, &mut report.bad);
    let stored = stored(&*store.read()?)?;
    sessions::connect(&mut files, stored.values(), &places);
    let read = files.len();
    files.retain(|file| !args.here || file.here);
    report.skipped = (read - files.len()) as u64;
    let pointers = || files.iter().map(|file| &file.session);
    let is_there = |file: &SourceFile| places.is_there(&file.path);
    let mut plan = sessions::plan(&stored, pointers(), is_there);
    if !args.dry_run && !plan.records.is_empty() {
        // others may have imported meanwhile, so what is stored now counts
        let author = context.author(&project)?;
        plan = store.write(&author, |txn| {
            let plan = sessions::plan(&self::stored(txn)?, pointers(), is_there);
            for record in &plan.records {
                txn.put_record(record, Op::Import)?;
            }
            Ok::<_, CliError>(plan)
        })?;
    }
    report.skipped += plan.older;
    report.unchanged = plan.unchanged;
    report.created.clone_from(&plan.created);
    report.updated.clone_from(&plan.updated);
    if context.json {
        output::json(&report)?;
    } else {
        output::text(&lines(&plan))?;
        for bad in &report.bad {
            let line = bad.line.map(|line| format!(":{line}")).unwrap_or_default();
            context.note(&format!("bad file {}{line}: {}", bad.path, bad.reason));
        }
        output::text(&summary(&report, args.dry_run))?;
    }
    Ok(if report.bad.is_empty() { 0 } else { Code::BadInput as u8 })
}

fn not_found(error: FindError) -> CliError {
    match error {
        FindError::Path(error) => error.into(),
        none @ FindError::NoSessions(_) => CliError::new(Code::NotFound, none)
            .hint("oxi keeps its sessions in ~/.oxi/sessions, pi in ~/.pi/agent/sessions; a file that is called otherwise can be named itself"),
    }
}

fn stored<T: Readable>(tables: &Tables<T>) -> CliResult<BTreeMap<SessionId, Session>> {
    Ok(tables.records::<Session>()?.into_iter().map(|session| (session.id.clone(), session)).collect())
}

/// Reads all files; what cannot be read is told in `bad`.
fn read_all(context: &Context, found: &Found, places: &Places, bad: &mut Vec<BadJson>) -> Vec<SessionFile> {
    let whole = |path: &Path, reason: String| BadJson { path: path.display().to_string(), line: None, reason };
    bad.extend(found.unreadable.iter().map(|error| whole(&error.path, error.to_string())));
    let bar = Bar::new(!context.json && !context.quiet);
    let mut files = Vec::with_capacity(found.files.len());
    for (done, candidate) in found.files.iter().enumerate() {
        bar.show("reading sessions", done as u64, found.files.len() as u64);
        match sessions::read(&candidate.path, places) {
            Ok(file) => {
                bad_lines(&candidate.shown, &file, bad);
                files.push(file);
            }
            Err(error) => bad.push(whole(&candidate.shown, error.to_string())),
        }
    }
    bar.finish();
    files
}

fn bad_lines(path: &Path, file: &SessionFile, bad: &mut Vec<BadJson>) {
    let path = || path.display().to_string();
    bad.extend(file.bad.iter().map(|line| BadJson {
        path: path(),
        line: Some(line.line),
        reason: line.why.to_string(),
    }));
    let more = file.session.bad_lines.saturating_sub(file.bad.len() as u64);
    if more > 0 {
        let reason = format!("{} that cannot be read", count(more, "more line", "more lines"));
        bad.push(BadJson { path: path(), line: None, reason });
    }
}

fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    for session in &plan.records {
        let what = if plan.created.binary_search(&session.id).is_ok() { "created" } else { "updated" };
        let mut about = vec![session.source.as_str().to_owned(), count(session.counts.entries, "entry", "entries")];
        if let Some(parent) = &session.parent {
            about.push(format!("forked from {parent}"));
        }
        if session.truncated {
            about.push("its last line is cut off".into());
        }
        if session.branches.len() == MAX_BRANCHES {
            about.push("not all branches are named".into());
        }
        let line = format!("{what} {} ({})", session.id, about.join(", "));
        let _ = writeln!(text, "{}", printable(&line, false));
    }
    text
}

fn summary(report: &SessionImportJson, dry_run: bool) -> String {
    let mut parts = Vec::new();
    for (number, what) in [
        (report.created.len() as u64, "created"),
        (report.updated.len() as u64, "updated"),
        (report.skipped, "skipped"),
        (report.bad.len() as u64, "bad"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.push(format!("{} unchanged", report.unchanged));
    format!("{}{}\n", if dry_run { "would be: " } else { "" }, parts.join(", "))
}
