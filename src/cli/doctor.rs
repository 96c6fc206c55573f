//! `doctor`: what is wrong with the project's state, and mending it.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use crate::db::engine::CHECKED;
use crate::db::repair::DAMAGED;
use crate::db::{DATABASE, Damage, Examination, SCHEMA_VERSION, Store, StoreError, place_of_row};
use crate::fs::{Entry, is_running, is_temporary, maker};
use crate::project::{GITIGNORE, Project};
use crate::schema::id::printable;
use crate::sync::{Fixed, MirrorError, Options, Report};
use crate::worktrees::Shared;

use super::args::DoctorArgs;
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::mirror;
use super::output::{self, count};

/// How long the engine may take to check a copy.
const PATIENCE: Duration = Duration::from_secs(600);

/// Signals that say nothing of the database: SIGHUP, SIGINT, SIGKILL, SIGTERM, and those of limits, SIGXCPU and SIGXFSZ.
const SENT: [i32; 6] = [1, 2, 9, 15, 24, 25];

/// How many of one kind are shown to a person.
const SHOWN: usize = 20;

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// The database is damaged or cannot be used: exit 9.
    Damage,
    /// Something could not be looked at, so nobody knows: exit 1.
    Unchecked,
    /// Something that calls for a person.
    Problem,
    /// Good to know.
    Note,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Damage => "damaged",
            Self::Unchecked => "unchecked",
            Self::Problem => "problem",
            Self::Note => "note",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct FindingJson {
    severity: Severity,
    /// The table of the database, where one is concerned.
    table: Option<String>,
    /// The key in it, where it is known.
    key: Option<String>,
    /// The first byte of the page in the file, where one is concerned.
    offset: Option<u64>,
    /// The file concerned, from the project's root, where it is another than the database.
    path: Option<String>,
    message: String,
}

impl FindingJson {
    /// What it is about: a row of the database, or another file.
    fn place(&self) -> String {
        let path = self.path.as_ref().map(|path| format!("{path}: "));
        path.unwrap_or_else(|| place_of_row(self.table.as_deref(), self.key.as_deref()))
    }
}

/// What is known of the database.
#[derive(Debug, Serialize, JsonSchema)]
struct DatabaseJson {
    bytes: u64,
    /// The schema that it was written with; null if that cannot be told.
    schema: Option<u8>,
    /// Rows that are whole.
    rows: u64,
    issues: u64,
    /// The last change.
    revision: u64,
}

/// What was done by `--fix`.
#[derive(Debug, Serialize, JsonSchema)]
struct FixedJson {
    /// Where the damaged file is, from the project's root.
    damaged: String,
    /// Rows that were saved, without those of indexes, which were made anew.
    saved: u64,
    /// What could not be saved, or not as it was.
    lost: Vec<Damage>,
    /// What the files brought in.
    import: Report,
}

/// What `doctor` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DoctorJson {
    /// Whether the database can be relied on: all checks of it were made and found no damage. Also where there is none.
    healthy: bool,
    /// The database; null if there is none.
    database: Option<DatabaseJson>,
    findings: Vec<FindingJson>,
    /// What was mended; null if that was not asked for, or nothing was damaged.
    fixed: Option<FixedJson>,
    /// What was removed of what killed processes left.
    removed: Vec<String>,
}

pub(super) fn run(context: &Context, args: &DoctorArgs) -> CliResult<Option<Code>> {
    let project = context.project()?;
    let store = context.store(&project);
    if args.engine {
        return store.check_engine().map(|()| None).map_err(CliError::from);
    }
    let mut doctor = Doctor {
        context,
        project: &project,
        store: &store,
        findings: Vec::new(),
        engine: Vec::new(),
        removed: Vec::new(),
        is_checked: true,
    };
    let mut database = doctor.database()?;
    let mut fixed = None;
    if args.fix {
        if doctor.is_damaged() {
            fixed = doctor.fix()?;
            doctor.findings.clear();
            database = doctor.database()?;
        }
        doctor.remove_leftovers()?;
    }
    doctor.surroundings()?;
    let is_damaged = doctor.is_damaged();
    let has_bad_files = doctor.issue_files(is_damaged)?;
    let is_unchecked = doctor.found(Severity::Unchecked);
    let Doctor { mut findings, removed, is_checked, .. } = doctor;
    findings.sort_by_key(|finding| finding.severity);
    let report = DoctorJson {
        healthy: !is_damaged && is_checked,
        database,
        findings,
        fixed: fixed.as_ref().map(|fixed| FixedJson {
            damaged: project.state_path(&fixed.aside),
            saved: fixed.rescued.saved,
            lost: fixed.rescued.lost.clone(),
            import: fixed.report.clone(),
        }),
        removed,
    };
    if context.json {
        output::json(&report)?;
    } else {
        output::text(&text(&report))?;
        if is_damaged && !args.fix && report.database.is_some() {
            context.note("hint: `oxi-state doctor --fix` saves what is whole and rebuilds the rest from the files");
        }
        if is_unchecked {
            context.note(
                "hint: whether all is well is not known; see to what is named, then run `oxi-state doctor` again",
            );
        }
    }
    Ok(match (is_damaged, is_unchecked) {
        (true, _) => Some(Code::Database),
        (false, true) => Some(Code::Error),
        (false, false) => has_bad_files.then_some(Code::BadInput),
    })
}

struct Doctor<'a> {
    context: &'a Context,
    project: &'a Project,
    store: &'a Store,
    findings: Vec<FindingJson>,
    /// What only the engine sees.
    engine: Vec<Damage>,
    removed: Vec<String>,
    /// Whether all that is known of the database was looked at.
    is_checked: bool,
}

impl Doctor<'_> {
    fn add_of_engine(&mut self, message: String) {
        self.engine.push(Damage { table: None, key: None, offset: None, message: message.clone() });
        self.add(Severity::Damage, None, message);
    }

    fn is_damaged(&self) -> bool {
        self.found(Severity::Damage)
    }

    fn found(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity == severity)
    }

    fn add_unchecked_by_engine(&mut self, why: &str) {
        self.is_checked = false;
        let message = format!("every page and row is whole, but the engine's own check of a copy was not made: {why}");
        self.add(Severity::Unchecked, None, message);
    }

    fn add(&mut self, severity: Severity, path: Option<String>, message: impl Into<String>) {
        let (table, key, offset) = (None, None, None);
        self.findings.push(FindingJson { severity, table, key, offset, path, message: message.into() });
    }

    /// Looks at the database, page by page and row by row.
    fn database(&mut self) -> CliResult<Option<DatabaseJson>> {
        let bytes = match self.store.dir().entry(DATABASE)? {
            None => {
                self.add(Severity::Note, None, "there is no database; the next command builds it from the files");
                return Ok(None);
            }
            Some(Entry::File(stat)) => stat.size,
            Some(_) => {
                let message = "the database is not a regular file, and is never opened; move it away, and the next \
                               command builds it anew";
                self.add(Severity::Damage, None, message);
                return Ok(None);
            }
        };
        let examined = self.store.examine()?;
        for damage in &examined.damage {
            let Damage { table, key, offset, message } = damage.clone();
            self.findings.push(FindingJson { severity: Severity::Damage, table, key, offset, path: None, message });
        }
        let Examination { schema, rows, issues, revision, .. } = examined;
        match schema {
            Some(found) if found > SCHEMA_VERSION => {
                self.add(
                    Severity::Damage,
                    None,
                    format!("the database is of a newer version (schema {found}, this one knows {SCHEMA_VERSION})"),
                );
            }
            Some(found) if found < SCHEMA_VERSION => {
                let message = format!(
                    "the database is of an older version (schema {found}); the next command brings it up to date"
                );
                self.add(Severity::Note, None, message);
            }
            _ => {}
        }
        if !self.is_damaged() {
            self.engine()?;
        }
        Ok(Some(DatabaseJson { bytes, schema, rows, issues, revision: revision.0 }))
    }

    /// Has the engine check a copy, in a process of its own: it may end that.
    fn engine(&mut self) -> CliResult<()> {
        let failed = |error: std::io::Error| CliError::new(Code::Error, format!("cannot run the check: {error}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("-C").arg(self.project.root()).args(["-q", "doctor", "--engine"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let (start, name) = (Instant::now(), format!("{CHECKED}{}", child.id()));
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break Some(status);
            }
            if start.elapsed() > PATIENCE {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        // a read-only disk has none, and what cannot be removed now is told with what killed processes left
        let _ = self.store.dir().remove(&name);
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
        }
        let line = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        match status {
            Some(status) if status.success() => {}
            Some(status) if status.code() == Some(i32::from(Code::Database as u8)) => {
                self.add_of_engine(format!("the database engine says: {line}"));
            }
            Some(status) => match status.signal() {
                Some(signal) if SENT.contains(&signal) => {
                    self.add_unchecked_by_engine(&format!("its process was ended from outside (signal {signal})"));
                }
                Some(signal) => {
                    let message =
                        format!("the database engine ended its process while it checked a copy (signal {signal})");
                    self.add_of_engine(message);
                }
                None => self.add_unchecked_by_engine(&line),
            },
            None => self.add_unchecked_by_engine("it did not end in time"),
        }
        Ok(())
    }

    fn fix(&self) -> CliResult<Option<Fixed>> {
        self.project.write_gitignore()?;
        let options = Options::default();
        let mut fixed =
            self.context.with_mirror(self.project, self.store, options, |mirror| Ok(mirror.fix(&self.engine)?))?;
        if let Some(fixed) = &mut fixed {
            mirror::pass_over_allowed(self.context, &mut fixed.report);
        }
        Ok(fixed)
    }

    /// What lies about, and what could do harm.
    fn surroundings(&mut self) -> CliResult<()> {
        match self
            .context
            .with_mirror(self.project, self.store, Options::default(), |mirror| Ok(mirror.refuse_tracked_database()))?
        {
            Ok(()) => {}
            Err(MirrorError::Store(error @ StoreError::TrackedByGit(_))) => {
                self.add(Severity::Damage, None, format!("{error}; `git rm --cached` it"));
            }
            Err(error) => {
                let message = format!("whether git tracks the database: {error}");
                self.add(Severity::Unchecked, None, message);
            }
        }
        if let Err(error) = Shared::find(self.project).and_then(|shared| shared.map(|it| it.claims()).transpose()) {
            let message = format!("what other work trees have claimed is not known: {error}");
            self.add(Severity::Problem, None, message);
        }
        let ignored = self.store.dir().read(".gitignore", 1 << 20).map(|(bytes, _)| bytes).unwrap_or_default();
        let ignored = String::from_utf8_lossy(&ignored).into_owned();
        if GITIGNORE.lines().any(|line| !ignored.lines().any(|have| have.trim() == line)) {
            let path = self.project.state_path(".gitignore");
            self.add(
                Severity::Problem,
                Some(path),
                "it lacks lines that keep the database out of git; `oxi-state init` adds them",
            );
        }
        for name in self.leftovers()? {
            let path = self.project.state_path(&name);
            self.add(
                Severity::Note,
                Some(path),
                "a process that was killed left it; `oxi-state doctor --fix` removes it",
            );
        }
        let backups = self.store.automatic_copies()?;
        if let Some(newest) = backups.last() {
            let path = self.project.state_path(newest);
            let message =
                format!("a copy that was made by itself ({} in all); `oxi-state restore` takes it", backups.len());
            self.add(Severity::Note, Some(path), message);
        }
        let mut damaged = self.store.dir().names()?;
        damaged.retain(|name| name.starts_with(DAMAGED));
        damaged.sort_unstable();
        for name in damaged {
            let path = self.project.state_path(&name);
            self.add(
                Severity::Note,
                Some(path),
                "a damaged database that was put aside; remove it once nothing is missed",
            );
        }
        Ok(())
    }

    /// Files of processes that are no more.
    fn leftovers(&self) -> CliResult<Vec<String>> {
        let mut names = self.store.dir().names()?;
        names.retain(|name| {
            let made = is_temporary(name.as_ref()) || name.starts_with(&format!("{DATABASE}.tmp-"));
            let pid = if made { maker(name) } else { name.strip_prefix(CHECKED).and_then(|pid| pid.parse().ok()) };
            pid.is_some_and(|pid| !is_running(pid))
        });
        names.sort_unstable();
        Ok(names)
    }

    fn remove_leftovers(&mut self) -> CliResult<()> {
        for name in self.leftovers()? {
            self.store.dir().remove(&name)?;
            self.removed.push(self.project.state_path(&name));
        }
        Ok(())
    }

    /// What `status` says; answers whether files are bad.
    fn issue_files(&mut self, is_damaged: bool) -> CliResult<bool> {
        if is_damaged || !self.store.exists()? {
            return Ok(false);
        }
        let status =
            self.context.with_mirror(self.project, self.store, Options::default(), |mirror| Ok(mirror.status()))?;
        let status = match status {
            Ok(status) => status,
            Err(error) => {
                self.add(Severity::Unchecked, None, format!("the issue files: {error}"));
                return Ok(false);
            }
        };
        for bad in &status.bad {
            let line = bad.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            self.add(Severity::Problem, Some(bad.path.clone()), format!("{line}{}", bad.reason));
        }
        if status.conflicts > 0 {
            let message = format!("{} in conflict; `oxi-state conflicts` shows them", status.conflicts);
            self.add(Severity::Problem, None, message);
        }
        if status.to_import + status.to_export > 0 {
            let message = format!(
                "files and database are not in step (to import {}, to export {}); `oxi-state sync` brings them in step",
                status.to_import, status.to_export
            );
            self.add(Severity::Note, None, message);
        }
        Ok(!status.bad.is_empty())
    }
}

fn text(report: &DoctorJson) -> String {
    let mut text = String::new();
    if let Some(fixed) = &report.fixed {
        let _ = writeln!(text, "the damaged database is now {}", fixed.damaged);
        let brought = fixed.import.created.len() + fixed.import.updated.len() + fixed.import.merged.len();
        let (saved, brought) = (count(fixed.saved, "row"), count(brought as u64, "issue"));
        let _ = writeln!(text, "saved {saved}, and {brought} from the files");
        for damage in &fixed.lost {
            let (place, message) = (damage.place(), printable(&damage.message, false));
            let _ = writeln!(text, "lost: {}{message}", printable(&place, false));
        }
        if fixed.lost.is_empty() {
            text.push_str("nothing was lost\n");
        }
    }
    for path in &report.removed {
        let _ = writeln!(text, "removed {}", printable(path, false));
    }
    if let Some(database) = &report.database {
        let DatabaseJson { bytes, rows, issues, revision, .. } = database;
        let (kib, issues, rows) = (bytes / 1024, count(*issues, "issue"), count(*rows, "row"));
        let _ = writeln!(text, "{DATABASE}: {kib} KiB, {issues}, {rows}, last change {revision}");
    }
    for severity in [Severity::Damage, Severity::Unchecked, Severity::Problem, Severity::Note] {
        let all = report.findings.iter().filter(|finding| finding.severity == severity);
        let more = all.clone().count().saturating_sub(SHOWN);
        for finding in all.take(SHOWN) {
            let (place, message) = (finding.place(), printable(&finding.message, false));
            let _ = writeln!(text, "{}: {}{message}", severity.as_str(), printable(&place, false));
        }
        if more > 0 {
            let _ = writeln!(text, "{}: {more} more; --json lists them all", severity.as_str());
        }
    }
    if report.findings.iter().all(|finding| finding.severity == Severity::Note) {
        text.push_str("nothing is wrong\n");
    }
    text
}
