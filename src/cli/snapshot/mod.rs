//! `oxi-state snapshot`
//!
//! Read first, in one transaction; then the database is let go, and files are written.

mod latest;
mod tables;

use schemars::JsonSchema;
use serde::Serialize;

use crate::db::gate::Gate;
use crate::export::border::Border;
use crate::export::snapshot::{self, LATEST, Table};
use crate::fs::Dir;
use crate::project::{Project, STATE};
use crate::schema::id::Revision;

use super::args::SnapshotArgs;
use super::context::Context;
use super::error::CliResult;
use super::output;

pub(super) use latest::{LatestJson, described};
pub(super) use tables::SnapshotIssueJson;

/// What `snapshot` did.
#[derive(Serialize, JsonSchema)]
pub(super) struct SnapshotJson {
    /// The folder, from the project's root.
    path: String,
    /// The change that it shows the state after.
    revision: Revision,
    /// The files that were written; those that say already what they should are left alone.
    written: Vec<String>,
    /// How many lines the tables have.
    rows: std::collections::BTreeMap<&'static str, u64>,
}

pub(super) fn run(context: &Context, args: &SnapshotArgs) -> CliResult<()> {
    let (project, store) = context.ready()?;
    // held until the files are there, so that of two snapshots the later one is the one that stays
    let _turn = Gate::snapshot(project.state(), store.timeout())?;
    let mut border = border(context, &project);
    let (project, read) = context.read()?;
    let found = tables::collect(context, &project, &read, &mut border)?;
    drop(read);
    let tables::Found { tables, latest } = found;
    let digests: Vec<String> = tables.iter().map(Table::sha256).collect();
    let spell = |time: &str| {
        let mut bytes = Vec::new();
        output::add_line(&latest.of(time, &tables, &digests), &mut bytes);
        bytes
    };
    let now = latest.generated_at();
    let written = match folder(&project, args.dry_run)? {
        Some(folder) => snapshot::write(&folder, &tables, &now, spell, args.dry_run)?,
        None => tables.iter().map(Table::file).chain([LATEST.to_owned()]).collect(),
    };
    let report = SnapshotJson {
        path: project.state_path(STATE),
        revision: latest.revision(),
        written,
        rows: tables.iter().map(|table| (table.name, table.rows)).collect(),
    };
    if context.json {
        return output::json(&report);
    }
    output::text(&text(&report, args.dry_run))
}

/// The folder of snapshots; in a rehearsal there may be none.
fn folder(project: &Project, dry_run: bool) -> CliResult<Option<Dir>> {
    if !dry_run {
        return Ok(Some(project.state().ensure_private_dir(STATE)?));
    }
    match project.state().open_dir(STATE) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What may be in it.
fn border(context: &Context, project: &Project) -> Border {
    let mut border = Border::new(project.root(), context.home());
    border.session_ids = context.settings.export_session_ids.value;
    border.paths = context.settings.export_paths.value;
    border.allow.clone_from(&context.policy.allow);
    border
}

fn text(report: &SnapshotJson, dry_run: bool) -> String {
    let SnapshotJson { path, revision, written, rows } = report;
    if written.is_empty() {
        return format!("{path} is of revision {revision} already\n");
    }
    let rows: u64 = rows.values().sum();
    let done = if dry_run { "would write" } else { "wrote" };
    let files = super::usage::number(written.len() as u64, "file", "files");
    let rows = super::usage::number(rows, "row", "rows");
    format!("{done} {files} of {path}: {rows}, revision {revision}\n")
}
