//! `usage import`

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::fs::PathError;
use crate::import::sessions::Places;
use crate::import::usage::open;
use crate::usage::{self, Imported, UsageError};

use super::super::context::{Context, variable};
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::number;

/// Names the proxy's file, or says that it writes none.
const VARIABLE: &str = "USAGE_DB_PATH";

/// What `usage import` did.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct UsageImportJson {
    /// What the file is known by: its path from the project's root, or from home, or a hash of one elsewhere.
    path: String,
    /// Requests that were counted.
    counted: u64,
    /// Requests that were read and had been counted already.
    known: u64,
    /// Requests of days that were forgotten, which are not counted again.
    expired: u64,
    /// Tokens of the requests that were counted.
    total_tokens: u64,
    /// Whether the file was written anew since it was last read.
    rewritten: bool,
    /// Whether its last line is not finished, and was left for the next time.
    unfinished: bool,
    /// Lines that could not be used.
    bad_lines: u64,
    /// The first twenty of them.
    bad: Vec<BadJson>,
}

#[derive(Serialize, JsonSchema)]
struct BadJson {
    path: String,
    line: u64,
    reason: String,
}

/// Whether the environment says that the proxy writes no file.
pub(super) fn is_off(path: &str) -> bool {
    ["off", "false", "0"].iter().any(|word| path.trim().eq_ignore_ascii_case(word))
}

/// The file to read.
fn file(context: &Context, named: Option<PathBuf>) -> CliResult<PathBuf> {
    if let Some(file) = named {
        return Ok(file);
    }
    match variable(VARIABLE) {
        Some(path) if is_off(&path) => {
            Err(CliError::new(Code::NotFound, format!("there is no usage to import: {VARIABLE} is {}", path.trim()))
                .hint("name a file: `oxi-state usage import FILE`"))
        }
        Some(path) => Ok(path.into()),
        None => context.home().map(|home| home.join(".config/opencode-proxy/usage.jsonl")).ok_or_else(|| {
            CliError::new(Code::NotFound, format!("neither {VARIABLE} nor HOME says where the usage is"))
                .hint("name a file: `oxi-state usage import FILE`")
        }),
    }
}

pub(super) fn run(context: &Context, named: Option<PathBuf>, dry_run: bool) -> CliResult<Option<Code>> {
    let shown = file(context, named)?;
    let real =
        shown.canonicalize().map_err(|source| not_there(PathError { action: "read", path: shown.clone(), source }))?;
    let mut reader = open(&real)?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let path = Places::new(project.root(), context.home()).key(&real);
    let done =
        usage::import(&store, &author, &path, &mut reader, &context.policy, dry_run).map_err(|error| match error {
            UsageError::Read(source) => PathError { action: "read", path: shown.clone(), source }.into(),
            error @ UsageError::Contended => CliError::new(Code::Busy, error).hint("try again"),
            UsageError::Store(error) => error.into(),
        })?;
    let report = report(path, &shown, done);
    if context.json {
        output::json(&report)?;
    } else {
        notes(context, &report);
        output::text(&text(&report, dry_run))?;
    }
    Ok((report.bad_lines > 0).then_some(Code::BadInput))
}

fn not_there(error: PathError) -> CliError {
    let missing = error.is_not_found();
    let error = CliError::from(error);
    if missing { error.hint(format!("name the proxy's file, or set {VARIABLE}")) } else { error }
}

fn report(path: String, shown: &Path, done: Imported) -> UsageImportJson {
    let shown = shown.display().to_string();
    let bad = done.bad.into_iter();
    UsageImportJson {
        path,
        counted: done.counted,
        known: done.known,
        expired: done.expired,
        total_tokens: done.sums.total_tokens,
        rewritten: done.rewritten,
        unfinished: done.unfinished,
        bad_lines: done.bad_lines,
        bad: bad.map(|bad| BadJson { path: shown.clone(), line: bad.line, reason: bad.reason.to_string() }).collect(),
    }
}

fn notes(context: &Context, report: &UsageImportJson) {
    for bad in &report.bad {
        context.note(&format!("bad line {}:{}: {}", bad.path, bad.line, bad.reason));
    }
    let more = report.bad_lines.saturating_sub(report.bad.len() as u64);
    if more > 0 {
        context.note(&format!("{} that cannot be used", number(more, "more line", "more lines")));
    }
    if report.rewritten {
        context.note("the file was written anew since it was last read; what was counted is not counted again");
    }
    if report.unfinished {
        context.note("the last line is not finished; it is left for the next import");
    }
}

fn text(report: &UsageImportJson, dry_run: bool) -> String {
    let mut parts = vec![format!(
        "{} counted, {}",
        number(report.counted, "request", "requests"),
        number(report.total_tokens, "token", "tokens")
    )];
    for (count, what) in
        [(report.known, "known already"), (report.expired, "of forgotten days"), (report.bad_lines, "bad")]
    {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{}{}\n", if dry_run { "would be: " } else { "" }, parts.join("; "))
}
