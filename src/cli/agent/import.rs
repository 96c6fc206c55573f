//! `agent import`

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::agents;
use crate::fs::PathError;
use crate::import::agents::{Instances, read};

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
    line: u64,
    reason: String,
}

pub(super) fn run(context: &Context, file: &Path) -> CliResult<Option<Code>> {
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    // to the end, before anything is locked
    let Instances { agents, expired, bad } = File::open(file)
        .and_then(|open| read(BufReader::new(open), author.now, &context.policy))
        .map_err(|source| PathError { action: "read", path: file.to_owned(), source })?;
    let path = file.display().to_string();
    let bad = bad.into_iter().map(|bad| BadJson { path: path.clone(), line: bad.line, reason: bad.reason.to_string() });
    let mut report = ImportJson { expired, bad: bad.collect(), ..ImportJson::default() };
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
        context.note(&format!("bad line {}:{}: {}", bad.path, bad.line, bad.reason));
    }
    let code = (!report.bad.is_empty()).then_some(Code::BadInput);
    if context.json {
        output::json(&report)?;
    } else {
        output::text(&summary(&report))?;
    }
    Ok(code)
}

fn summary(report: &ImportJson) -> String {
    let counts = [
        (report.created.len(), "created"),
        (report.updated.len(), "updated"),
        (report.unchanged, "unchanged"),
        (report.expired, "expired"),
        (report.bad.len(), "bad"),
    ];
    let parts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "no agents\n".into() } else { format!("{}\n", parts.join(", ")) }
}
