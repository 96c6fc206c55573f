//! `oxi-state fact …`

use std::fmt::Write as _;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::fs::Dir;
use crate::import::settings::{self, Places, Settings};
use crate::keyed;
use crate::keyed::facts::{self, Plan};
use crate::project::{FOLDERS, Project};
use crate::schema::fact::Fact;
use crate::schema::id::printable;

use super::super::args::FactCommand;
use super::super::context::{Context, now, variable};
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::{all, change, find, key, print_all, print_one, remove, view};

/// What `fact import` did.
#[derive(Default, Serialize, JsonSchema)]
pub(in crate::cli) struct FactImportJson {
    /// Facts that were not known.
    created: Vec<String>,
    /// Facts that say something else now.
    updated: Vec<String>,
    /// Facts that no layer sets any more.
    removed: Vec<String>,
    /// Facts that somebody set by hand, or whose file could not be read: they stay as they are.
    kept: Vec<String>,
    /// Facts that are set to a credential, which is not kept.
    redacted: Vec<String>,
    unchanged: usize,
    /// The files and variables that were found, lowest layer first.
    sources: Vec<SourceJson>,
    /// What could not be used.
    bad: Vec<BadJson>,
}

#[derive(Serialize, JsonSchema)]
struct SourceJson {
    layer: &'static str,
    path: String,
    values: usize,
}

#[derive(Serialize, JsonSchema)]
struct BadJson {
    path: String,
    line: Option<usize>,
    reason: String,
}

pub(super) fn run(context: &Context, command: FactCommand) -> CliResult<Option<Code>> {
    match command {
        FactCommand::Set { name, value, parse, guard } => {
            let name = key(context, name)?;
            let value: Value = if parse {
                serde_json::from_str(&value).map_err(|_| {
                    CliError::usage("with --parse the value is JSON: a number, true, false, null or a list")
                })?
            } else {
                value.into()
            };
            let fact: Fact = change(context, &name, |txn| {
                let fields = [("name", Value::from(name.as_str())), ("value", value)];
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                // said by hand, it no longer comes from where it came
                let (now, policy) = (txn.author().now, &context.policy);
                keyed::set_by(txn, &name, guard.expect, None, |old: Option<&Fact>| {
                    facts::by_hand(old, fields, now, policy)
                })
            })?;
            print_one(context, &fact, &[])
        }
        FactCommand::Get { name } => {
            let fact: Fact = find(context, &key(context, name)?)?;
            if context.json {
                return print_one(context, &fact, &[]).map(|()| None);
            }
            let value = serde_json::to_value(&fact.value).unwrap_or_default();
            output::text(&format!("{}\n", printable(&view::value(&value), true)))
        }
        FactCommand::List { beginning } => print_all(context, &all::<Fact>(context, &beginning)?, |_| Vec::new()),
        FactCommand::Rm { name, guard } => remove::<Fact>(context, &key(context, name)?, guard.expect),
        FactCommand::Import { dry_run } => return import(context, dry_run),
    }
    .map(|()| None)
}

fn import(context: &Context, dry_run: bool) -> CliResult<Option<Code>> {
    let (project, store) = context.ready()?;
    // to the end, before anything is locked
    let settings = read(context, &project)?;
    let read = store.read()?;
    let mut plan = facts::plan(&read.records()?, &settings, &context.policy, now());
    drop(read);
    if !dry_run && plan.changes_anything() {
        let author = context.author(&project)?;
        // others may have changed facts meanwhile, so what is stored now counts
        plan = store.write(&author, |txn| {
            let plan = facts::plan(&txn.records()?, &settings, &context.policy, txn.author().now);
            facts::apply(txn, &plan)?;
            Ok::<_, CliError>(plan)
        })?;
    }
    let report = report(plan, settings);
    for bad in &report.bad {
        let line = bad.line.map(|line| format!(":{line}")).unwrap_or_default();
        context.note(&format!("bad settings {}{line}: {}", bad.path, bad.reason));
    }
    let code = (!report.bad.is_empty()).then_some(Code::BadInput);
    if context.json {
        output::json(&report)?;
    } else {
        output::text(&summary(&report, dry_run))?;
    }
    Ok(code)
}

/// Reads all layers: the homes of both generations of the original, the project's folders, the variables.
fn read(context: &Context, project: &Project) -> CliResult<Settings> {
    let home = context.home();
    let places = Places::new(project.root(), home);
    let mut homes = Vec::new();
    let named = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(oxi) = named("OXI_HOME").or_else(|| home.map(|home| home.join(".oxi"))) {
        let oxicode = named("OXICODE_HOME").unwrap_or_else(|| oxi.join("oxicode"));
        let legacy = home.map(|home| home.join(".oxicode")).filter(|_| !oxicode.is_dir());
        homes.extend([Some(oxi), Some(oxicode), legacy].into_iter().flatten());
    }
    let mut folders = Vec::new();
    for folder in FOLDERS {
        match Dir::open(project.root())?.open_dir(folder) {
            Ok(dir) if !homes.iter().any(|home| same_folder(home, &dir)) => folders.push(dir),
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => context.note(&error.to_string()),
        }
    }
    let variables: Vec<_> = settings::variables().filter_map(|name| Some((name.to_owned(), variable(name)?))).collect();
    Ok(settings::read(&homes, &folders.iter().collect::<Vec<_>>(), &variables, &places))
}

/// Whether a project's folder is the user's own: its settings are one layer, not two.
fn same_folder(home: &std::path::Path, dir: &Dir) -> bool {
    home.canonicalize().is_ok_and(|home| dir.path().canonicalize().is_ok_and(|path| path == home))
}

fn report(plan: Plan, settings: Settings) -> FactImportJson {
    let bad = settings.bad.into_iter().chain(plan.bad);
    FactImportJson {
        created: plan.created,
        updated: plan.updated,
        removed: plan.removed,
        kept: plan.kept,
        redacted: plan.redacted,
        unchanged: plan.unchanged,
        sources: settings
            .sources
            .into_iter()
            .map(|source| SourceJson { layer: source.layer.as_str(), path: source.name, values: source.values })
            .collect(),
        bad: bad.map(|bad| BadJson { path: bad.source, line: bad.line, reason: bad.reason }).collect(),
    }
}

fn summary(report: &FactImportJson, dry_run: bool) -> String {
    let mut text = String::new();
    for (names, what) in [
        (&report.created, "created"),
        (&report.updated, "updated"),
        (&report.removed, "removed"),
        (&report.kept, "kept"),
    ] {
        for name in names {
            let hidden = if report.redacted.contains(name) { " (a credential, not kept)" } else { "" };
            let _ = writeln!(text, "{what} {}{hidden}", printable(name, false));
        }
    }
    let counts = [
        (report.created.len(), "created"),
        (report.updated.len(), "updated"),
        (report.removed.len(), "removed"),
        (report.kept.len(), "kept"),
        (report.bad.len(), "bad"),
        (report.unchanged, "unchanged"),
    ];
    let parts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let parts = if parts.is_empty() { "no settings".to_owned() } else { parts.join(", ") };
    let _ = writeln!(text, "{}{parts}", if dry_run { "would be: " } else { "" });
    text
}
