//! What a command runs in: the project, the store, the caller, the clock, the terminal. The environment and the clock are
//! read here and nowhere else.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use crate::claims::{self, Access, Scope};
use crate::db::{Author, ReadTxn, Retention, Store, WriteTxn};
use crate::fs::PathError;
use crate::liveness::Watch;
use crate::project::{DiscoveryError, Project, Start};
use crate::schema::id::{SessionId, printable};
use crate::schema::privacy::{self, Policy};
use crate::schema::retention;
use crate::schema::settings::{Color, Given, Key, Layer, MAX_ACTOR, Origin, Settings};
use crate::schema::time::Timestamp;
use crate::sessions;
use crate::settings::Place;
use crate::sync::{self, Mirror, Options, Report};
use crate::worktrees::Shared;

use super::args::{Global, When};
use super::error::{CliError, CliResult, Code};

/// How often a database is built anew because it is taken away before it is read.
const MAX_TRIES: usize = 8;

/// Which settings a command goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// Those of every layer.
    All,
    /// The same, but for `--session`, which the command has as a flag of its own.
    AllButSessionFlag,
    /// Those of the environment and the command line: what is wrong in a file does not stop the command.
    NoFiles,
}

/// What a command runs in.
pub(super) struct Context {
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) settings: Settings,
    /// The project, if the settings were read and there is one.
    project: Option<Project>,
    start: Start,
    pub(super) policy: Policy,
}

impl Context {
    pub(super) fn new(global: &Global, reads: Reads) -> CliResult<Self> {
        let flags = flags(global, reads);
        // an error in the settings is in the colours of the command line
        let mut early = Settings::default();
        set_words(&mut early, &flags, Layer::CommandLine)?;
        write_color(early.color.value);
        let current = std::env::current_dir()
            .map_err(|error| CliError::new(Code::Error, format!("cannot tell the current directory: {error}")))?;
        let directory = global.directory.as_ref().map_or_else(|| current.clone(), |directory| current.join(directory));
        let named = global.directory.is_some();
        if named && !directory.is_dir() {
            return Err(CliError::new(Code::NotFound, format!("{} is not a directory", directory.display())));
        }
        let start = Start { directory, named, home: home() };
        let project = if reads == Reads::NoFiles { None } else { project_of_settings(&start)? };
        let home = start.home.as_deref().filter(|_| reads != Reads::NoFiles);
        let settings = resolve(home, project.as_ref(), &flags)?;
        write_color(settings.color.value);
        let policy = Policy { allow: settings.allow.value.clone(), redact: settings.redact.value };
        Ok(Self { json: global.json, quiet: global.quiet, settings, project, start, policy })
    }

    /// The settings of every layer as they are now, for a command that goes by fewer.
    pub(super) fn all_settings(&self) -> CliResult<Settings> {
        let project = project_of_settings(&self.start)?;
        resolve(self.start.home.as_deref(), project.as_ref(), &[])
    }

    /// How long a claim is honoured whose session this machine never saw.
    pub(super) fn remote_ttl(&self) -> TimeDelta {
        self.settings.remote_ttl.value
    }

    pub(super) fn project(&self) -> CliResult<Project> {
        match &self.project {
            Some(project) => Ok(project.clone()),
            None => Ok(Project::discover(&self.start)?),
        }
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
    pub(super) fn home(&self) -> Option<&Path> {
        self.start.home.as_deref()
    }

    pub(super) fn store(&self, project: &Project) -> Store {
        let (folders, policy) = (project.clone(), self.retained());
        let retention = Retention::new(policy, move |session| is_held(&folders, session));
        Store::in_dir(project.state().clone(), self.settings.lock_timeout.value).with_retention(retention)
    }

    /// How much is kept of what.
    pub(super) fn retained(&self) -> retention::Policy {
        (&self.settings.retention).into()
    }

    /// The session that the command line names.
    pub(super) fn session_flag(&self) -> Option<&SessionId> {
        let session = &self.settings.session;
        session.value.as_ref().filter(|_| session.origin.layer == Layer::CommandLine)
    }

    /// The session that speaks, if one does.
    pub(super) fn session(&self) -> CliResult<Option<SessionId>> {
        let session = self.settings.session.value.as_ref();
        session.map(|id| self.refuse_secret("session", id.as_str()).map(|()| id.clone())).transpose()
    }

    pub(super) fn author(&self, project: &Project) -> CliResult<Author> {
        let actor = self
            .settings
            .actor
            .value
            .clone()
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
        let bar = super::progress::Bar::new(!self.json && !self.quiet);
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
        sync::meet(&project, &store, || {
            self.build(&project, &store)?;
            // where it cannot be noted, the next command meets it for the first time
            let _ = store.mark_met();
            CliResult::Ok(())
        })?;
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
        let shared = shared.map_err(cannot_share)?;
        let watch = Watch::of(project, shared.as_ref(), author.now)?.with_remote_ttl(self.remote_ttl());
        claims::write(store, &author, Scope { watch: &watch, shared: shared.as_ref(), force }, work)
    }

    /// Takes away the claims that other work trees see of this one and that its files ended.
    pub(super) fn settle_claims(&self, project: &Project, store: &Store) -> CliResult<()> {
        let Some(shared) = Shared::find(project).map_err(cannot_share)? else { return Ok(()) };
        if shared.claims().map_err(cannot_share)?.are_empty() {
            return Ok(());
        }
        let now = self.author(project)?.now;
        let watch = Watch::of(project, Some(&shared), now)?.with_remote_ttl(self.remote_ttl());
        Ok(claims::settle(store, Scope { watch: &watch, shared: Some(&shared), force: false }, now)?)
    }

    /// Opens the project's database to read, made from the files if there is none. Hints if the files changed since they
    /// were last looked at.
    pub(super) fn read(&self) -> CliResult<(Project, ReadTxn)> {
        let mut tries = 0;
        let (project, read) = loop {
            let (project, store) = self.ready()?;
            match store.read() {
                // taken away since, as by `git clean`: the files have it
                Err(error) if error.is_missing() && tries < MAX_TRIES => tries += 1,
                read => break (project, read?),
            }
        };
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
        let mut report =
            self.with_mirror(project, store, Options::default(), |mirror| Ok(mirror.ensure_database()?))?;
        if let Some(report) = &mut report {
            super::mirror::pass_over_allowed(self, report);
            let files = super::output::count(report.taken_in() as u64, "issue file");
            self.note(&format!("built the database from {files}"));
            super::mirror::print_unasked(self, report);
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

/// Without a project there is none of its settings; whoever needs one will say that it is missing. One that cannot be
/// opened is another thing: its settings would not be kept.
fn project_of_settings(start: &Start) -> Result<Option<Project>, DiscoveryError> {
    match Project::discover(start) {
        Err(DiscoveryError::None(_)) => Ok(None),
        project => project.map(Some),
    }
}

fn cannot_share(error: PathError) -> CliError {
    CliError::from(error).hint(
        "what other work trees have claimed is told there; let whoever works here use it, as with git's own directory",
    )
}

/// Whether somebody holds a lock of a session; also where that cannot be told.
fn is_held(project: &Project, session: &SessionId) -> bool {
    let folders = sessions::existing_folders(project);
    folders.map_or(true, |folders| sessions::is_held(&sessions::evidence(&folders, session.as_str())))
}

/// The present time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(super) fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

/// An environment variable that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The agent that calls, as it says itself: the variable and its value.
pub(super) fn calling_agent() -> Option<(&'static str, String)> {
    ["OXI_STATE_AGENT", "SAGEOX_AGENT_ID"].into_iter().find_map(|name| Some((name, variable(name)?)))
}

/// The home folder. A relative one would be another in every folder, so it is none.
fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// Lays the layers over each other, the command line's words last.
fn resolve(home: Option<&Path>, project: Option<&Project>, flags: &[(Key, Given)]) -> CliResult<Settings> {
    let mut settings = Settings::default();
    if let Some(home) = home {
        Place::Global(home).apply(&mut settings)?;
    }
    if let Some(project) = project {
        Place::Project(project).apply(&mut settings)?;
    }
    set_words(&mut settings, &variables()?, Layer::Environment)?;
    set_words(&mut settings, flags, Layer::CommandLine)?;
    Ok(settings)
}

fn set_words(settings: &mut Settings, words: &[(Key, Given)], layer: Layer) -> CliResult<()> {
    for (key, given) in words {
        settings.set(*key, given, Origin::of(layer)).map_err(|wrong| {
            let name = if layer == Layer::CommandLine { key.flag() } else { Some(key.variable()) };
            CliError::wrong_setting(&wrong, name.unwrap_or_default())
        })?;
    }
    Ok(())
}

/// What the environment says.
fn variables() -> CliResult<Vec<(Key, Given)>> {
    let mut words = Vec::new();
    for key in Key::ALL {
        match std::env::var(key.variable()) {
            Ok(word) if !word.is_empty() => words.push((key, Given::Word(word))),
            Ok(_) | Err(std::env::VarError::NotPresent) => {}
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(CliError::usage(format!("{} is not UTF-8", key.variable())).detail("key", key.as_str()));
            }
        }
    }
    Ok(words)
}

/// What the command line says.
fn flags(global: &Global, reads: Reads) -> Vec<(Key, Given)> {
    let word = |word: &Option<String>| word.clone().map(Given::Word);
    let color = global.color.map(|when| match when {
        When::Auto => Color::Auto,
        When::Always => Color::Always,
        When::Never => Color::Never,
    });
    let rules = global.allow.iter().cloned().map(Given::Word).collect::<Vec<_>>();
    let flags = [
        (Key::LockTimeout, word(&global.lock_timeout)),
        (Key::Session, word(&global.session).filter(|_| reads != Reads::AllButSessionFlag)),
        (Key::Actor, word(&global.actor).filter(|name| *name != Given::Word(String::new()))),
        (Key::Color, color.map(|color| Given::Word(color.as_str().to_owned()))),
        (Key::PrivacyAllow, (!rules.is_empty()).then_some(Given::List(rules))),
        (Key::PrivacyRedact, global.redact.then_some(Given::Flag(true))),
    ];
    flags.into_iter().filter_map(|(key, given)| Some((key, given?))).collect()
}

fn write_color(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}
