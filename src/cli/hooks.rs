//! `oxi-state hooks …`

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::db::{DATABASE, StoreError};
use crate::git::Git;
use crate::hooks::{Hook, HooksError, HooksReport, Registration, State};
use crate::import::scan::{self, MAX_FILE};
use crate::project::Project;
use crate::schema::frontmatter;
use crate::schema::id::{FileName, NotAnIssueFile, printable};
use crate::sync::{MirrorError, Options, Problem};

use super::args::HooksCommand;
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::{mirror, output, program};

/// So many staged files are in memory at once.
const BATCH: usize = 512;

pub(super) fn run(context: &Context, command: HooksCommand) -> CliResult<Option<Code>> {
    match command {
        HooksCommand::Install => {
            let report = install(context, &context.project()?)?;
            show(context, &report)?;
            Ok(outcome(context, &report))
        }
        HooksCommand::Uninstall => {
            let project = context.project()?;
            show(context, &Registration::of(&project, called()?)?.uninstall()?).map(|()| None)
        }
        HooksCommand::Status => {
            let project = context.project()?;
            show(context, &Registration::of(&project, called()?)?.status()?).map(|()| None)
        }
        HooksCommand::Run { hook, arguments } => run_hook(context, hook, &arguments),
    }
}

pub(super) fn install(context: &Context, project: &Project) -> CliResult<HooksReport> {
    let registration = Registration::of(project, called()?)?;
    let attributes = |report: &HooksReport| {
        report.parts.iter().find(|part| part.name == "attributes").is_some_and(|part| part.state == State::Installed)
    };
    let were_there = attributes(&registration.status()?);
    let report = registration.install()?;
    if attributes(&report) && !were_there {
        context.note("hint: commit .gitattributes, so that other clones merge alike once they have the driver");
    }
    Ok(report)
}

/// The exit code of an installation: whether a person must do the rest.
pub(super) fn outcome(context: &Context, report: &HooksReport) -> Option<Code> {
    if report.is_complete() {
        return None;
    }
    if !report.hooks_path_inside {
        context.note(&format!(
            "hint: git takes hooks from {}, outside of this repository, where nothing is written; put a line such as \
             `{} hooks run pre-commit -- \"$@\" </dev/null` into the hooks there, or run `git config --local \
             core.hooksPath .git/hooks` and install again",
            report.hooks_path, report.program
        ));
    }
    Some(Code::Conflict)
}

/// How hooks call this program: by its name if that is what the PATH gives, so that they outlive an upgrade, else by its
/// path.
fn called() -> CliResult<String> {
    let itself = std::env::current_exe()
        .map_err(|error| CliError::new(Code::Error, format!("cannot tell where this program is: {error}")))?;
    let path = std::env::var_os("PATH");
    let named = program::resolve(OsStr::new("oxi-state"), path.as_deref()).ok();
    let same = named.is_some_and(|named| {
        named.canonicalize().is_ok_and(|named| itself.canonicalize().is_ok_and(|itself| named == itself))
    });
    Ok(if same { "oxi-state".into() } else { itself.display().to_string() })
}

pub(super) fn text(report: &HooksReport) -> String {
    let mut text = String::new();
    for part in &report.parts {
        let note = part.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
        let line = format!("{:<13}  {:<9}  {}{note}", part.name, part.state.to_string(), part.path);
        let _ = writeln!(text, "{}", printable(&line, false));
    }
    text
}

fn show(context: &Context, report: &HooksReport) -> CliResult<()> {
    if context.json { output::json(report) } else { output::text(&text(report)) }
}

/// Does what git runs a hook for. Whatever goes wrong here is told and stops nobody.
fn run_hook(context: &Context, hook: Hook, arguments: &[String]) -> CliResult<Option<Code>> {
    // another branch may have no project here
    let Ok(project) = context.project() else { return Ok(None) };
    let Some(git) = Git::discover(project.root()) else { return Ok(None) };
    match hook {
        Hook::PreCommit => before_commit(context, &project, &git),
        Hook::PrePush => before_push(context, &project, &git),
        Hook::PostMerge => after(context, &project, &git, Some("merge")).map(|()| None),
        Hook::PostRewrite => {
            let ended = arguments.first().filter(|why| *why == "rebase").map(|_| "rebase");
            after(context, &project, &git, ended).map(|()| None)
        }
        Hook::PostCheckout => after(context, &project, &git, None).map(|()| None),
    }
}

fn before_commit(context: &Context, project: &Project, git: &Git) -> CliResult<Option<Code>> {
    let index = std::env::var_os("GIT_INDEX_FILE");
    let database = project.state_path(DATABASE);
    if !git.staged(project.root(), &database, index.as_deref()).map_err(HooksError::from)?.is_empty() {
        return Ok(Some(database_in_git(&database, "commit")));
    }
    let bad = bad_staged(project, git, index.as_deref())?;
    if !bad.is_empty() {
        for bad in &bad {
            tell(&format!("staged {}", mirror::problem(bad)));
        }
        tell("mend the file and `git add` it, then commit again (`git commit --no-verify` skips this check)");
        return Ok(Some(Code::BadInput));
    }
    // its deletions count only when it has ended, and it must be possible to end it
    if git.operation_in_progress().is_some() {
        return Ok(None);
    }
    in_step(context, project, git, "`oxi-state sync`, `git add` what it wrote, and commit again", "commit")
}

fn before_push(context: &Context, project: &Project, git: &Git) -> CliResult<Option<Code>> {
    let mut numbers = HashSet::new();
    for name in git.committed_names(project.root(), "HEAD", &project.issues_path()).map_err(HooksError::from)? {
        if let Ok(name) = FileName::parse(&name)
            && !numbers.insert(name.id)
        {
            tell(&format!("the commit has two issues numbered {}, as after a merge that was not synced", name.id));
            tell("run `oxi-state sync` and commit, then push again (`git push --no-verify` skips this check)");
            return Ok(Some(Code::Conflict));
        }
    }
    if git.operation_in_progress().is_some() {
        return Ok(None);
    }
    in_step(context, project, git, "`oxi-state sync`, commit what it wrote, and push again", "push")
}

/// Stops git where others would get this clone's database: git overwrites theirs without asking, because it is ignored.
fn database_in_git(path: &str, command: &str) -> Code {
    tell(&format!("{path} is in git: whoever pulls it loses what only their own database holds"));
    tell(&format!("run `git rm --cached {path}`, commit, and {command} again; the file itself stays"));
    Code::Conflict
}

/// Stops git unless files and database are in step. A database that is not there is in step with everything, and a branch
/// without issues, such as one of web pages, with every database.
fn in_step(context: &Context, project: &Project, git: &Git, remedy: &str, command: &str) -> CliResult<Option<Code>> {
    let store = context.store(project);
    if !store.exists()? {
        return Ok(None);
    }
    let folder = project.issues_path();
    if project.issues()?.is_none() && git.index(project.root(), &folder).map_err(HooksError::from)?.is_empty() {
        return Ok(None);
    }
    let status = context.with_mirror(project, &store, Options::default(), |mirror| Ok(mirror.status()));
    let report = match status? {
        Err(MirrorError::Store(StoreError::TrackedByGit(_))) => {
            return Ok(Some(database_in_git(&project.state_path(DATABASE), command)));
        }
        status => status?,
    };
    if report.in_step {
        return Ok(None);
    }
    report.bad.iter().for_each(|bad| tell(&mirror::problem(bad)));
    tell(&format!(
        "issue files and database differ: to import {}, to export {}, conflicts {}, bad files {}",
        report.to_import,
        report.to_export,
        report.conflicts,
        report.bad.len()
    ));
    if !report.bad.is_empty() {
        tell(&format!("mend the bad file, then run {remedy} (`git {command} --no-verify` skips this check)"));
    } else if report.conflicts > 0 {
        tell(&format!("end the conflict with `oxi-state resolve` (`oxi-state conflicts` shows it), then run {remedy}"));
    } else {
        tell(&format!("run {remedy} (`git {command} --no-verify` skips this check)"));
    }
    Ok(Some(Code::Conflict))
}

/// The issue files that the commit would hold and that cannot be understood.
fn bad_staged(project: &Project, git: &Git, index: Option<&OsStr>) -> CliResult<Vec<Problem>> {
    let (root, folder) = (project.root(), project.issues_path());
    let mut bad = Vec::new();
    let (mut names, mut objects) = (Vec::new(), Vec::new());
    let problem = |name: &str, line, reason: String| Problem { path: project.issue_path(name), line, reason };
    for staged in git.staged(root, &folder, index).map_err(HooksError::from)? {
        match FileName::parse(&staged.name) {
            Err(NotAnIssueFile::Unrelated) => {}
            Err(error) => bad.push(problem(&staged.name, None, error.to_string())),
            Ok(_) if !staged.is_file => bad.push(problem(&staged.name, None, "it is not a regular file".into())),
            Ok(name) => {
                names.push(name);
                objects.push(staged.object);
            }
        }
    }
    for (names, objects) in names.chunks(BATCH).zip(objects.chunks(BATCH)) {
        let blobs = git.blobs(root, objects, MAX_FILE).map_err(HooksError::from)?;
        for (name, bytes) in names.iter().zip(blobs) {
            match frontmatter::parse(&bytes) {
                Err(error) => bad.push(problem(&name.to_string(), error.line, error.reason.to_string())),
                Ok(issue) if issue.head.id != name.id => {
                    let reason = scan::id_mismatch(name.id, issue.head.id);
                    bad.push(problem(&name.to_string(), scan::id_line(&bytes), reason));
                }
                Ok(_) => {}
            }
        }
    }
    Ok(bad)
}

/// Takes in what git brought. `ended` is what git is at the end of.
fn after(context: &Context, project: &Project, git: &Git, ended: Option<&'static str>) -> CliResult<()> {
    let store = context.store(project);
    // in the middle of something the files are not yet what they will be; without a database the next command makes one
    if git.operation_in_progress().is_some_and(|operation| ended != Some(operation)) || !store.exists()? {
        return Ok(());
    }
    let options = Options { leave_files: true, ended, ..Options::default() };
    let report = context.with_mirror(project, &store, options, |mirror| Ok(mirror.import()?))?;
    if report.left_undone {
        tell("issues of other clones have met yours: run `oxi-state sync` and commit what it writes, before you push");
        return Ok(());
    }
    context.settle_claims(project, &store)?;
    if !report.conflicts.is_empty() {
        tell(&format!("{} in conflict: see `oxi-state conflicts`", counted(report.conflicts.len(), "issue")));
    } else if report.needs_attention || !report.bad.is_empty() {
        tell("not all issue files could be taken in: see `oxi-state status`");
    }
    Ok(())
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun} is") } else { format!("{number} {noun}s are") }
}

/// Tells a person something from within a hook, where nobody asked this program anything.
fn tell(text: &str) {
    output::tell(&format!("oxi-state: {}", printable(text, false)));
}

impl From<HooksError> for CliError {
    fn from(error: HooksError) -> Self {
        match error {
            HooksError::NoRepository(path) => no_repository(&path),
            HooksError::Git(error) => crate::sync::MirrorError::from(error).into(),
            HooksError::Path(error) => error.into(),
        }
    }
}

fn no_repository(path: &Path) -> CliError {
    CliError::new(Code::NotFound, format!("{} is not in a git work tree", path.display()))
        .hint("run `git init` first, or leave hooks to where there is git")
}
