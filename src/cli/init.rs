//! `oxi-state init`

use serde::Serialize;

use crate::hooks::HooksReport;
use crate::project::Project;
use crate::sync::{Options, Report};

use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::hooks;
use super::mirror;
use super::output;

/// What `init` prints.
#[derive(Debug, Serialize)]
struct InitJson {
    /// The project's directory.
    root: String,
    /// Whether the database was made just now.
    created: bool,
    /// What was taken in from files that were there.
    import: Report,
    /// What was registered, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    hooks: Option<HooksReport>,
}

pub(super) fn run(context: &Context, with_hooks: bool) -> CliResult<Code0> {
    // inside a project, run again for it; elsewhere, begin one here
    let root = match context.project() {
        Ok(project) => project.root().to_owned(),
        Err(error) if error.code == Code::NotFound => context.new_root()?,
        Err(error) => return Err(error),
    };
    let project = Project::create(&root).map_err(CliError::from)?;
    let store = context.store(&project);
    let existed = store.exists()?;
    let mut report = context.with_mirror(&project, &store, Options::default(), |mirror| {
        Ok(match mirror.ensure_database()? {
            Some(report) => report,
            None => mirror.import()?,
        })
    })?;
    mirror::pass_over_allowed(context, &mut report);
    let hooks = with_hooks.then(|| hooks::install(context, &project)).transpose()?;
    if context.json {
        let (root, import) = (root.display().to_string(), report.clone());
        let json = InitJson { root, created: !existed, import, hooks: hooks.clone() };
        output::json(&json)?;
    } else {
        let count = if existed { report.created.len() } else { report.taken_in() };
        let verb = if existed { "found" } else { "created" };
        let database = root.join(project.state_path(crate::db::DATABASE));
        output::text(&format!("{verb} {}\n", database.display()))?;
        output::text(&match count {
            0 if existed => "nothing new in the files\n".into(),
            0 => "no issues yet; `oxi-state issue create 'First issue'` makes one\n".into(),
            1 => "imported 1 issue; `oxi-state issue list` shows it\n".into(),
            count => format!("imported {count} issues; `oxi-state issue list` shows them\n"),
        })?;
        if let Some(hooks) = &hooks {
            output::text(&hooks::text(hooks))?;
        }
        mirror::print_unasked(context, &report);
    }
    let registered = hooks.and_then(|report| hooks::outcome(context, &report));
    Ok(mirror::outcome(&report).or(registered))
}

/// An exit code that is not an error message: the work was done as far as it goes.
pub(super) type Code0 = Option<Code>;
