//! What a command runs in: the project, the store, the caller, the clock, the terminal. The environment and the clock are
//! read here and nowhere else.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::claims::{self, Access, Scope};
use crate::db::{Author, ReadTxn, Store, WriteTxn};
use crate::liveness::Watch;
use crate::project::{Project, Start};
use crate::schema::id::{SessionId, printable};
use crate::schema::privacy::{self, Policy, Rule};
use crate::schema::time::Timestamp;
use crate::sync::{Mirror, Options, Report};
use crate::worktrees::Shared;

use super::args::{Global, When};
use super::error::{CliError, CliResult, Code};

/// The longest wait for other processes, unless told otherwise.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest name of an actor, in bytes.
const MAX_ACTOR: usize = 256;

/// What a command runs in.
pub(super) struct Context {
    pub(super) json: bool,
    pub(super) quiet: bool,
    session: Option<String>,
    actor: Option<String>,
    timeout: Duration,
    start: Start,
    pub(super) policy: Policy,
}

impl Context {
    pub(super) fn new(global: &Global) -> CliResult<Self> {
        let choice = match global.color {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let timeout = match global.lock_timeout.clone().or_else(|| variable("OXI_STATE_LOCK_TIMEOUT")) {
            Some(text) => seconds(&text)?,
            None => LOCK_TIMEOUT,
        };
        let current = std::env::current_dir()
            .map_err(|error| CliError::new(Code::Error, format!("cannot tell the current directory: {error}")))?;
        let directory = global.directory.as_ref().map_or_else(|| current.clone(), |directory| current.join(directory));
        let named = global.directory.is_some();
        if named && !directory.is_dir() {
            return Err(CliError::new(Code::NotFound, format!("{} is not a directory", directory.display())));
        }
        let mut allowed = Vec::new();
        for rule in &global.allow {
            allowed.push(rule.parse::<Rule>().map_err(|error| CliError::usage(format!("--allow {rule}: {error}")))?);
        }
        Ok(Self {
            json: global.json,
            quiet: global.quiet,
            session: global.session.clone(),
            actor: global.actor.clone(),
            timeout,
            start: Start { directory, named, home: home() },
            policy: Policy { allow: allowed.into_iter().collect(), redact: global.redact },
        })
    }

    /// Leaves the caller's session to the environment: the command has a flag of that name of its own.
    pub(super) fn ignore_session_flag(&mut self) {
        self.session = None;
    }

    pub(super) fn project(&self) -> CliResult<Project> {
        Ok(Project::discover(&self.start)?)
    }

    /// Where `init` makes a project where there is none.
    pub(super) fn new_root(&self) -> CliResult<PathBuf> {
        if self.start.is_unnamed_home(&self.start.directory) {
            return Err(CliError::usage("this is your home directory, whose .oxi is the tools' global configuration")
                .hint(
                    "go to a project and run `oxi-state init` there; or, if you mean it, name the directory with -C",
                ));
        }
        Ok(self.start.directory.clone())
    }

    /// The caller's home folder, if it is known.
    pub(super) fn home(&self) -> Option<&std::path::Path> {
        self.start.home.as_deref()
    }

    pub(super) fn store(&self, project: &Project) -> Store {
        Store::in_dir(project.state().clone(), self.timeout)
    }

    /// The session that the command line names.
    pub(super) fn session_flag(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The session that speaks, if one does.
    pub(super) fn session(&self) -> CliResult<Option<SessionId>> {
        let given = self.session.clone().or_else(|| variable("OXI_STATE_SESSION"));
        let parse = |text: String| {
            self.refuse_secret("session", &text)?;
            text.parse().map_err(|error| CliError::usage(format!("session {text:?}: {error}")))
        };
        given.map(parse).transpose()
    }

    pub(super) fn author(&self, project: &Project) -> CliResult<Author> {
        let actor = self
            .actor
            .clone()
            .filter(|actor| !actor.is_empty())
            .or_else(|| variable("OXI_STATE_ACTOR"))
            .or_else(|| crate::git::user_name(project.root(), self.start.home.as_deref()))
            .or_else(|| variable("USER"))
            .or_else(|| variable("LOGNAME"))
            .unwrap_or_else(|| "unknown".into());
        self.refuse_secret("actor", &actor)?;
        if actor.len() > MAX_ACTOR || actor.chars().any(crate::schema::id::is_deceptive) {
            return Err(CliError::usage(format!(
                "an actor is a name of at most {MAX_ACTOR} bytes without control characters"
            )));
        }
        Ok(Author { actor, session: self.session()?, now: now() })
    }

    /// A name must not be a secret; there is nothing to redact in it.
    pub(super) fn refuse_secret(&self, name: &'static str, text: &str) -> CliResult<()> {
        let policy = Policy { redact: false, ..self.policy.clone() };
        privacy::check(text, &policy).map(|_| ()).map_err(|refused| {
            CliError::new(Code::Refused, format!("{name}: {refused}"))
                .hint(format!("use another name; or, if it is no secret, --allow {}", refused.rule))
                .detail("rule", refused.rule.to_string())
                .detail("field", name)
        })
    }

    /// The mirror, for one use.
    pub(super) fn with_mirror<R>(
        &self,
        project: &Project,
        store: &Store,
        options: Options,
        work: impl FnOnce(&Mirror<'_>) -> CliResult<R>,
    ) -> CliResult<R> {
        let bar = super::progress::Bar::new(!self.json && !self.quiet && std::io::stderr().is_terminal());
        let progress = |what, done, all| bar.show(what, done, all);
        let mirror = Mirror { project, store, author: self.author(project)?, options, progress: &progress };
        let result = work(&mirror);
        bar.finish();
        result
    }

    /// The project's store with its database in place: made from the files if there is none.
    pub(super) fn ready(&self) -> CliResult<(Project, Store)> {
        let project = self.project()?;
        let store = self.store(&project);
        if !store.exists()? {
            self.build(&project, &store)?;
            let _ = store.mark_seen();
        }
        if !store.is_seen()? {
            self.with_mirror(&project, &store, Options::default(), |mirror| Ok(mirror.refuse_tracked_database()?))?;
            // where it cannot be noted, git is asked again next time
            let _ = store.mark_seen();
        }
        Ok((project, store))
    }

    /// Runs a write transaction in which issues may get another owner; with `claims` the folder that work trees share is
    /// made if it is missing.
    pub(super) fn write_claims<R>(
        &self,
        project: &Project,
        store: &Store,
        force: bool,
        claims: bool,
        work: impl FnOnce(&mut WriteTxn<'_>, Access<'_>) -> CliResult<R>,
    ) -> CliResult<R> {
        let author = self.author(project)?;
        let shared = if claims { Shared::ensure(project) } else { Shared::find_or_begin(project) };
        let shared = shared.map_err(|error| {
            CliError::from(error).hint("what other work trees have claimed is told there; let whoever works here use it, as with git's own directory")
        })?;
        let watch = Watch::of(project, shared.as_ref(), author.now)?;
        claims::write(store, &author, Scope { watch: &watch, shared: shared.as_ref(), force }, work)
    }

    /// Takes away the claims that other work trees see of this one and that its files ended.
    pub(super) fn settle_claims(&self, project: &Project, store: &Store) -> CliResult<()> {
        let claims = Shared::find(project)?.map(|shared| shared.claims()).transpose()?;
        if claims.is_none_or(|claims| claims.are_empty()) {
            return Ok(());
        }
        self.write_claims(project, store, false, false, |_, _| Ok(()))
    }

    /// Opens the project's database to read, made from the files if there is none. Hints if the files changed since they
    /// were last looked at.
    pub(super) fn read(&self) -> CliResult<(Project, ReadTxn)> {
        let (project, store) = self.ready()?;
        let read = store.read()?;
        let mark = read.folder_mark()?;
        if let (Some(mark), Ok(dir)) = (mark, project.issues()) {
            let modified = dir.map(|dir| dir.stat()).transpose()?.map(|stat| stat.modified);
            if modified > mark.modified {
                self.note("the issue files changed since they were last imported; run `oxi-state sync`");
            }
        }
        Ok((project, read))
    }

    fn build(&self, project: &Project, store: &Store) -> CliResult<Option<Report>> {
        let report = self.with_mirror(project, store, Options::default(), |mirror| Ok(mirror.ensure_database()?))?;
        if let Some(report) = &report {
            let count = report.created.len();
            self.note(&format!("built the database from {count} issue file{}", if count == 1 { "" } else { "s" }));
            for moved in &report.renumbered {
                self.note(&format!("renumbered {} -> {}, and its file with it", moved.from, moved.to));
            }
            for bad in &report.bad {
                self.note(&super::mirror::problem(bad));
            }
        }
        Ok(report)
    }

    /// Tells a person something on stderr, unless asked to be quiet or read by a program.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            super::output::tell(&printable(text, false));
        }
    }
}

/// The present time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::new(chrono::Utc::now())
}

/// An environment variable that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The agent that calls, as it says itself: the variable and its value.
pub(super) fn calling_agent() -> Option<(&'static str, String)> {
    ["OXI_STATE_AGENT", "SAGEOX_AGENT_ID"].into_iter().find_map(|name| Some((name, variable(name)?)))
}

fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from)
}

fn seconds(text: &str) -> CliResult<Duration> {
    let seconds: Option<f64> =
        text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && (0.0..=86400.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| CliError::usage(format!("lock timeout {text:?} is not a number of seconds from 0 to 86400")))
}
