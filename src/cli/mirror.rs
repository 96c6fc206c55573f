//! `import`, `export`, `sync`, `status`, `conflicts`, `resolve`

use std::fmt::Write as _;

use serde::Serialize;

use crate::schema::frontmatter;
use crate::schema::id::{ContentHash, IssueId, printable};
use crate::schema::issue::Issue;
use crate::sync::resolve::Choice;
use crate::sync::{Mirror, Options, Problem, Report, Secret};

use super::args::{MirrorArgs, ResolveArgs};
use super::context::Context;
use super::editor;
use super::error::{CliError, CliResult, Code};
use super::output;
use super::view::{FullIssueJson, Owners};

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction<'a> {
    /// Of known files perhaps only those that commits since this revision changed.
    Import(Option<&'a str>),
    Export,
    Sync,
}

pub(super) fn run(context: &Context, direction: Direction<'_>, args: &MirrorArgs) -> CliResult<Option<Code>> {
    let project = context.project()?;
    let store = context.store(&project);
    let options = Options { dry_run: args.dry_run, allow_deletes: args.allow_deletes, ..Options::default() };
    let mut report = context.with_mirror(&project, &store, options, |mirror| {
        let first = mirror.ensure_database()?;
        let mut report = match direction {
            // the database was made from the files just now
            Direction::Import(None) if first.is_some() => Report::default(),
            Direction::Import(Some(revision)) => mirror.import_since(revision)?,
            Direction::Import(None) => mirror.import()?,
            Direction::Export => mirror.export()?,
            Direction::Sync => mirror.sync()?,
        };
        if let Some(first) = first {
            report.unchanged = first.unchanged;
            report.add(first);
        }
        Ok(report)
    })?;
    if direction != Direction::Export && !args.dry_run {
        context.settle_claims(&project, &store)?;
    }
    pass_over_allowed(context, &mut report);
    if context.json {
        output::json(&report)?;
    } else {
        let mut text = String::new();
        for line in &report.lines {
            let _ = writeln!(text, "{}", printable(line, false));
        }
        output::text(&text)?;
        print_problems(context, &report);
        output::text(&summary(&report, args.dry_run))?;
    }
    Ok(outcome(&report))
}

/// The exit code of a report: what was left undone calls for attention, bad files most of all.
pub(super) fn outcome(report: &Report) -> Option<Code> {
    if !report.conflicts.is_empty() || report.needs_attention {
        Some(Code::Conflict)
    } else if !report.bad.is_empty() {
        Some(Code::BadInput)
    } else {
        None
    }
}

/// Says of an import that nobody asked for by name what a person must know.
pub(super) fn print_unasked(context: &Context, report: &Report) {
    for moved in &report.renumbered {
        context.note(&format!("renumbered {} -> {}, and its file with it", moved.from, moved.to));
    }
    for id in &report.conflicts {
        context.note(&Report::conflict_line(*id));
    }
    print_problems(context, report);
}

pub(super) fn print_problems(context: &Context, report: &Report) {
    print_bad(context, &report.bad);
    warn_of_secrets(context, report);
}

/// Names the files that were left alone, and says what becomes of them.
fn print_bad(context: &Context, bad: &[Problem]) {
    for bad in bad {
        context.note(&problem(bad));
    }
    if !bad.is_empty() {
        context.note(
            "hint: bad files are left as they are, and so are their issues; mend them, then run `oxi-state sync`",
        );
    }
}

/// Leaves out what the caller takes for no secret.
pub(super) fn pass_over_allowed(context: &Context, report: &mut Report) {
    report.secrets.retain(|secret| !context.policy.allow.iter().any(|rule| rule.as_str() == secret.rule));
}

/// Says where the files brought in what looks like a secret. It is in git already, or will be, and the mirror is faithful;
/// so it is a warning, and the exit code stays as it is.
pub(super) fn warn_of_secrets(context: &Context, report: &Report) {
    const MOST: usize = 20;
    for secret in report.secrets.iter().take(MOST) {
        let Secret { path, line, rule } = secret;
        context.note(&format!("warning: {path}:{line} looks like a secret ({rule})"));
    }
    let more = report.secrets.len().saturating_sub(MOST);
    if more > 0 {
        context.note(&format!("warning: {more} more places look like secrets; --json lists them all"));
    }
    if !report.secrets.is_empty() {
        context.note(
            "hint: it was taken in, as the file has it. Have a real secret replaced where it was issued, then take it out of \
             the file and of git's history; for a false alarm, --allow RULE",
        );
    }
}

pub(super) fn problem(bad: &Problem) -> String {
    let line = bad.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("bad file {}{line}: {}", bad.path, bad.reason)
}

fn summary(report: &Report, dry_run: bool) -> String {
    let mut parts = Vec::new();
    let mut count = |number: usize, what: &str| {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    };
    count(report.created.len(), "created");
    count(report.updated.len(), "updated");
    count(report.deleted.len(), "deleted");
    count(report.merged.len(), "merged");
    count(report.renumbered.len(), "renumbered");
    count(report.kept.len(), "kept");
    count(report.conflicts.len(), "in conflict");
    count(report.bad.len(), "bad");
    parts.push(format!("{} unchanged", report.unchanged));
    let dry = if dry_run { "would be: " } else { "" };
    format!("{dry}{}\n", parts.join(", "))
}

pub(super) fn status(context: &Context, check: bool) -> CliResult<Option<Code>> {
    let (project, store) = context.ready()?;
    let report = context.with_mirror(&project, &store, Options::default(), |mirror| Ok(mirror.status()?))?;
    if context.json {
        output::json(&report)?;
    } else {
        let mut text = String::new();
        for line in &report.lines {
            let _ = writeln!(text, "  {}", printable(line, false));
        }
        if report.in_step {
            text.push_str("files and database are in step\n");
        } else {
            let _ = writeln!(
                text,
                "to import {}, to export {}, conflicts {}, bad files {}",
                report.to_import,
                report.to_export,
                report.conflicts,
                report.bad.len()
            );
        }
        output::text(&text)?;
        print_bad(context, &report.bad);
        if report.conflicts > 0 {
            context.note("hint: `oxi-state conflicts` shows the conflicts, `oxi-state resolve ID` ends one");
        } else if report.to_import + report.to_export > 0 {
            context.note("hint: `oxi-state sync` brings them in step");
        }
    }
    Ok(match (report.in_step, check) {
        (false, true) => Some(Code::Conflict),
        (false, false) if !report.bad.is_empty() => Some(Code::BadInput),
        _ => None,
    })
}

/// What `conflicts` prints for each.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct ConflictJson {
    id: IssueId,
    path: String,
    fields: Vec<String>,
    /// The merge base as file text.
    base: Option<String>,
    /// The record as file text.
    ours: Option<String>,
    /// The file as it stands.
    theirs: Option<String>,
}

pub(super) fn conflicts(context: &Context) -> CliResult<()> {
    let (project, read) = context.read()?;
    let mut list = Vec::new();
    for (identity, conflict) in read.all_conflicts()? {
        let render = |issue: Option<Issue>| issue.as_ref().map(frontmatter::render);
        list.push(ConflictJson {
            id: read.id_of(&identity)?.unwrap_or(conflict.id),
            path: project.issue_path(&conflict.name),
            fields: conflict.fields,
            base: render(conflict.base),
            ours: render(read.issue_of(&identity)?.map(|record| record.issue)),
            theirs: Some(conflict.theirs_text),
        });
    }
    drop(read);
    list.sort_by_key(|conflict| conflict.id);
    if context.json {
        return output::json(&list);
    }
    if list.is_empty() {
        return output::text("no conflicts\n");
    }
    let mut text = String::new();
    for conflict in &list {
        let (id, path) = (conflict.id, printable(&conflict.path, false));
        let _ = writeln!(text, "#{id}  {path}  ({})", conflict.fields.join(", "));
    }
    output::text(&text)?;
    context.note("hint: `oxi-state resolve ID --ours|--theirs|--union|--edit` ends one");
    Ok(())
}

pub(super) fn resolve(context: &Context, args: &ResolveArgs) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let id = args.id;
    let resolved = context.with_mirror(&project, &store, Options::default(), |mirror| {
        let (choice, expect) = if args.choice.ours {
            (Choice::Ours, None)
        } else if args.choice.theirs {
            (Choice::Theirs, None)
        } else if args.choice.union {
            (Choice::Union, None)
        } else if let Some(path) = &args.choice.body_file {
            let body = super::issue::read_body(path)?;
            (Choice::Body(super::issue::admit_body(context, &mirror.draft(id)?.text, &body)?), None)
        } else {
            let (body, hash) = edit(context, mirror, id)?;
            (Choice::Body(body), Some(hash))
        };
        Ok(mirror.resolve(id, &choice, expect)?)
    })?;
    context.settle_claims(&project, &store)?;
    if context.json {
        let read = store.read()?;
        let owners = Owners::new(context, &project);
        let stored = read.head(resolved.issue.head.id)?.ok_or_else(|| CliError::no_issue(id))?;
        let json = FullIssueJson::new(&read, &project, &owners, stored)?;
        drop(read);
        return output::json(&json);
    }
    output::text(&format!("resolved issue #{id}\n"))?;
    context.note("hint: `oxi-state export` writes the file");
    Ok(())
}

/// Lets a person merge the body; also answers the hash of the record that it was merged for.
fn edit(context: &Context, mirror: &Mirror<'_>, id: IssueId) -> CliResult<(String, ContentHash)> {
    let draft = mirror.draft(id)?;
    let edited = editor::edit(&draft.text, &format!("conflict-{id}.md"))?;
    let admitted = if has_markers(&edited.text) && has_markers(&draft.text) {
        Err(CliError::new(Code::Conflict, "the text still has conflict markers"))
    } else {
        super::issue::admit_body(context, &draft.text, &edited.text)
    };
    let unchanged = mirror.draft(id).is_ok_and(|now| now.hash == draft.hash);
    match admitted {
        Ok(body) if unchanged => Ok((body, draft.hash)),
        outcome => {
            let error = outcome.err().unwrap_or_else(|| {
                CliError::new(Code::Conflict, format!("issue #{id} was changed while you were editing"))
            });
            let file = edited.keep();
            Err(error
                .hint(format!("your text is in {file}; finish it and run `oxi-state resolve {id} --body-file {file}`")))
        }
    }
}

fn has_markers(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
}
