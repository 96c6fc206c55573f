//! `oxi-state init`

use serde::Serialize;

use crate::project::Project;
use crate::sync::{Options, Report};

use super::context::Context;
use super::error::{CliError, CliResult, Code};
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
}

pub(super) fn run(context: &Context) -> CliResult<Code0> {
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
    if context.json {
        let json = InitJson { root: root.display().to_string(), created: !existed, import: report.clone() };
        output::json(&json)?;
    } else {
        let count = report.created.len();
        let verb = if existed { "found" } else { "created" };
        let database = root.join(project.state_path(crate::db::DATABASE));
        output::text(&format!("{verb} {}\n", database.display()))?;
        output::text(&match count {
            0 if existed => "nothing new in the files\n".into(),
            0 => "no issues yet; `oxi-state issue create 'First issue'` makes one\n".into(),
            1 => "imported 1 issue; `oxi-state issue list` shows it\n".into(),
            count => format!("imported {count} issues; `oxi-state issue list` shows them\n"),
        })?;
        mirror::print_problems(context, &report);
    }
    Ok(mirror::outcome(&report))
}

/// An exit code that is not an error message: the work was done as far as it goes.
pub(super) type Code0 = Option<Code>;
