//! `backup` and `restore`

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::db::backup::BackedUp;
use crate::sync::{Options, StatusReport};

use super::args::{BackupArgs, RestoreArgs};
use super::context::Context;
use super::error::CliResult;
use super::output::{self, count};

/// What `backup` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BackupJson {
    /// The file, as it was named.
    path: String,
    bytes: u64,
    issues: u64,
    /// The last change in it.
    revision: u64,
}

/// What `restore` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RestoreJson {
    /// The backup, as it was named.
    path: String,
    issues: u64,
    /// The last change in it.
    revision: u64,
    /// The schema that it was written with; it is brought up to date.
    schema: u8,
    /// Where the database is that was there before, from the project's root; null if there was none.
    before: Option<String>,
    /// How the files and what was restored are apart, as `status` says it.
    status: StatusReport,
}

pub(super) fn back_up(context: &Context, args: &BackupArgs) -> CliResult<()> {
    let (_, store) = context.ready()?;
    let BackedUp { bytes, revision, issues, .. } = store.back_up(&args.file, args.force)?;
    let path = args.file.display().to_string();
    if context.json {
        return output::json(&BackupJson { path, bytes, issues, revision: revision.0 });
    }
    let kib = bytes / 1024;
    output::text(&format!("{path}: {kib} KiB, {}, last change {revision}\n", count(issues, "issue")))?;
    context.note(&format!("hint: `oxi-state restore {path}` brings it back"));
    Ok(())
}

pub(super) fn restore(context: &Context, args: &RestoreArgs) -> CliResult<()> {
    let project = context.project()?;
    let store = context.store(&project);
    // git must not have the place that it goes to
    context.with_mirror(&project, &store, Options::default(), |mirror| Ok(mirror.refuse_tracked_database()?))?;
    project.write_gitignore()?;
    let restored = store.restore(&args.file, &context.author(&project)?)?;
    let status = context.with_mirror(&project, &store, Options::default(), |mirror| Ok(mirror.status()?))?;
    let path = args.file.display().to_string();
    let before = restored.before.map(|name| project.state_path(&name));
    let BackedUp { revision, issues, schema, .. } = restored;
    if context.json {
        return output::json(&RestoreJson { path, issues, revision: revision.0, schema, before, status });
    }
    let mut text = format!("restored {path}: {}, last change {revision}\n", count(issues, "issue"));
    if let Some(before) = &before {
        let _ = writeln!(text, "what was there before is {before}");
    }
    if status.in_step {
        text.push_str("files and database are in step\n");
    } else {
        let StatusReport { to_import, to_export, conflicts, bad, .. } = &status;
        let bad = bad.len();
        let _ = writeln!(text, "to import {to_import}, to export {to_export}, conflicts {conflicts}, bad files {bad}");
    }
    output::text(&text)?;
    if !status.in_step {
        context.note("hint: `oxi-state status` says what differs; `oxi-state sync` takes what is newer in the files, and writes the rest");
    }
    Ok(())
}
