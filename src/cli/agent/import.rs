//! `agent import`

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::agents;
use crate::fs::PathError;
use crate::import::agents::{BadLine, Instances, read};
use crate::import::sessions::MAX_BAD_NAMED;

use super::super::context::Context;
use super::super::error::{CliResult, Code};
use super::super::output;

/// What `agent import` did.
#[derive(Default, Serialize, JsonSchema)]
pub(in crate::cli) struct ImportJson {
    /// Agents that were not known.
    created: Vec<String>,
    /// Agents of which the file knew more.
    updated: Vec<String>,
    /// How many agents were known so already.
    unchanged: usize,
    /// How many agents have expired and were left out.
    expired: usize,
    /// Lines that could not be used.
    bad: Vec<BadJson>,
}

#[derive(Serialize, JsonSchema)]
struct BadJson {
    path: String,
    /// The line, from 1; null for the number of further lines.
    line: Option<u64>,
    reason: String,
}

/// Opens a regular file. Anything else might never end, or never begin.
fn open(file: &Path) -> std::io::Result<File> {
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    File::open(file)
}

/// The first bad lines, and how many more there are.
fn named(path: &str, bad: &[BadLine]) -> Vec<BadJson> {
    let json = |line, reason| BadJson { path: path.to_owned(), line, reason };
    let mut named: Vec<_> =
        bad.iter().take(MAX_BAD_NAMED).map(|bad| json(Some(bad.line), bad.reason.to_string())).collect();
    if bad.len() > MAX_BAD_NAMED {
        let more = super::view::number((bad.len() - MAX_BAD_NAMED) as u64, "more line");
        named.push(json(None, format!("{more} that cannot be used")));
    }
    named
}

pub(super) fn run(context: &Context, file: &Path) -> CliResult<Option<Code>> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    // to the end, before anything is locked
    let Instances { agents, expired, bad } = open(file)
        .and_then(|open| read(BufReader::new(open), author.now, &context.policy))
        .map_err(|source| PathError { action: "read", path: file.to_owned(), source })?;
    let mut report = ImportJson { expired, bad: named(&file.display().to_string(), &bad), ..ImportJson::default() };
    store.write(&author, |txn| {
        for agent in &agents {
            match agents::import(txn, agent)? {
                Some(true) => report.created.push(agent.id.to_string()),
                Some(false) => report.updated.push(agent.id.to_string()),
                None => report.unchanged += 1,
            }
        }
        Ok::<_, crate::db::StoreError>(())
    })?;
    for bad in &report.bad {
        let line = bad.line.map(|line| format!(":{line}")).unwrap_or_default();
        context.note(&format!("bad line {}{line}: {}", bad.path, bad.reason));
    }
    let code = (!report.bad.is_empty()).then_some(Code::BadInput);
    if context.json {
        output::json(&report)?;
    } else {
        output::text(&summary(&report, bad.len()))?;
    }
    Ok(code)
}

fn summary(report: &ImportJson, bad: usize) -> String {
    let counts = [
        (report.created.len(), "created"),
        (report.updated.len(), "updated"),
        (report.unchanged, "unchanged"),
        (report.expired, "expired"),
        (bad, "bad"),
    ];
    let parts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "no agents\n".into() } else { format!("{}\n", parts.join(", ")) }
}
