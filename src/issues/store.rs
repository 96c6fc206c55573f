//! The store with the original's functions.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::claims::{self, Access, Claimed, Owner, Refusal, Scope};
use crate::db::query::{Classes, Query};
use crate::db::record::{StoredHead, Versioned};
use crate::db::{Author, Cas, Op, Store, WriteTxn};
use crate::liveness::Watch;
use crate::project::{DiscoveryError, FOLDERS, ISSUES, Project, Start};
use crate::schema::id::{ContentHash, IssueId, SessionId};
use crate::schema::issue::{Issue as Record, IssueHead, Priority, Status};
use crate::schema::time::Timestamp;
use crate::sync::{Mirror, Options, Report};
use crate::worktrees::Shared;

use super::error::IssueError;
use super::steps::{require_writable, seen, settled, take_all, take_patch};
use super::types::{Issue, IssueFilter, IssuePatch, IssueSummary, from_record};

/// How long a lock of another process is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The issues of a project. Holds nothing open; may be shared between threads.
#[derive(Clone, Debug)]
pub struct FileIssueStore {
    start: Start,
    actor: String,
}

/// A project that is there, in step with its files.
struct Opened {
    project: Project,
    store: Store,
}

impl FileIssueStore {
    /// The store of the project that holds a directory: the nearest one upwards with `.oxi`, not past the top of a git
    /// work tree. If there is none, the first change makes it, at the top of the work tree or, without git, in the
    /// directory itself. Nothing is written until then.
    ///
    /// # Errors
    /// If there is a state folder that cannot be used, such as a symbolic link.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, IssueError> {
        let directory = absolute(path.as_ref())?;
        // the issues folder itself, which need not be there yet
        let state = directory.parent().filter(|_| directory.ends_with(ISSUES));
        let root = state.filter(|state| FOLDERS.iter().any(|folder| state.ends_with(folder))).and_then(Path::parent);
        let directory = root.map_or_else(|| directory.clone(), Path::to_owned);
        Self::at(directory, true)
    }

    /// The store of the project that holds the current directory; see [`FileIssueStore::open`]. The home directory's own
    /// `.oxi` is the tools' configuration and never taken for a project here.
    ///
    /// # Errors
    /// As [`FileIssueStore::open`], or if there is no current directory.
    pub fn open_from_cwd() -> Result<Self, IssueError> {
        Self::at(std::env::current_dir()?, false)
    }

    fn at(directory: PathBuf, named: bool) -> Result<Self, IssueError> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.map(|home| absolute(&home)).transpose()?;
        let store = Self { start: Start { directory, named, home }, actor: "oxi_state::issues".into() };
        store.discover()?;
        Ok(store)
    }

    #[cfg(test)]
    pub(super) fn with_start(directory: &Path, named: bool, home: &Path) -> Self {
        let start = Start { directory: directory.to_owned(), named, home: Some(home.to_owned()) };
        Self { start, actor: "test".into() }
    }

    /// The same store, with another name for who changes things in the audit trail.
    #[must_use]
    pub fn with_actor(self, actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), ..self }
    }

    /// The issues folder, or where it would be made.
    #[must_use]
    pub fn issues_dir(&self) -> PathBuf {
        match self.discover() {
            Ok(Some(project)) => project.root().join(project.issues_path()),
            _ => super::issues_dir(self.birthplace()),
        }
    }

    /// The issues that a filter takes in, the last changed first; those that changed together by number.
    ///
    /// # Errors
    /// If files, git or the database fail as a whole; so for all functions that read.
    pub fn list(&self, filter: &IssueFilter) -> Result<Vec<Issue>, IssueError> {
        let Some(opened) = self.opened()? else { return Ok(Vec::new()) };
        let query = Query {
            classes: match filter.status {
                None => Classes::ALL,
                Some(Status::Open) => Classes::OPEN,
                Some(Status::Closed) => Classes::CLOSED,
            },
            priority: filter.priority,
            labels: filter.label.iter().cloned().collect(),
            session: filter.assigned_to_session.clone(),
            text: filter.text.clone(),
            ..Query::default()
        };
        let owned = |stored: &StoredHead| {
            let wanted = filter.assigned_to_session.as_ref();
            Ok(wanted.is_none_or(|session| stored.head.owner().is_some_and(|owner| owner.session == *session)))
        };
        let read = opened.store.read()?;
        let mut issues = Vec::new();
        for stored in read.list(&query, owned)? {
            let body = read.body(stored.head.id)?;
            issues.push(opened.issue(Record { head: stored.head, body }));
        }
        Ok(issues)
    }

    /// An issue.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or see [`FileIssueStore::list`].
    pub fn read(&self, id: u32) -> Result<Issue, IssueError> {
        self.read_with_hash(id).map(|(issue, _)| issue)
    }

    /// An issue, and the hash that a guarded change of it takes.
    ///
    /// # Errors
    /// As [`FileIssueStore::read`].
    pub fn read_with_hash(&self, id: u32) -> Result<(Issue, String), IssueError> {
        let opened = self.opened()?.ok_or(IssueError::NotFound { id })?;
        let version = opened.store.read()?.issue(IssueId(id))?.ok_or(IssueError::NotFound { id })?;
        Ok((opened.issue(version.issue), version.hash.to_string()))
    }

    /// Creates an open issue under the next number. The session, where one is given, is linked to it, and does not own
    /// it.
    ///
    /// # Errors
    /// If the session id is invalid, the issue could not be read again from its file, or files or database fail.
    pub fn create(
        &self,
        title: &str,
        body: &str,
        priority: Priority,
        labels: Vec<String>,
        session: Option<&str>,
    ) -> Result<Issue, IssueError> {
        let session = session_of(session)?;
        if self.discover()?.is_none() {
            self.begin()?;
        }
        let build = |id, now| {
            let mut head = IssueHead::new(id, title.to_owned(), now);
            head.priority = priority;
            head.labels = labels;
            head.sessions = session.iter().map(ToString::to_string).collect();
            Record { head, body: Record::with_final_newline(body.to_owned()) }
        };
        let nowhere = IssueError::other("the project was removed");
        self.change(session.clone(), nowhere, |txn, _| {
            let created = txn.create(build)?;
            require_writable(&created.issue)?;
            Ok(created)
        })
    }

    /// Changes an issue by a function, provided its hash is the expected one where one is given. A function that changes
    /// nothing writes nothing; one that fails changes nothing. It runs while other processes wait, so it must be quick,
    /// and must not use this store.
    ///
    /// Number and time of creation cannot change; the time of change takes care of itself, and so does the time of
    /// closing where the function leaves it out. Whoever owns the issue is not asked: see
    /// [`FileIssueStore::apply_patch`] for that.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], [`IssueError::Conflict`], what the function answers, or as
    /// [`FileIssueStore::create`].
    pub fn update(
        &self,
        id: u32,
        expected_hash: Option<&str>,
        mutator: impl FnOnce(&mut Issue) -> Result<(), IssueError>,
    ) -> Result<Issue, IssueError> {
        self.change(None, IssueError::NotFound { id }, |txn, _| {
            let expect = seen(txn, id, expected_hash)?;
            let old = txn.issue(IssueId(id))?.ok_or(IssueError::NotFound { id })?;
            let before = from_record(old.issue.clone(), None);
            let mut after = before.clone();
            mutator(&mut after)?;
            if (after.meta.id, after.meta.created_at) != (before.meta.id, before.meta.created_at) {
                return Err(IssueError::other("an issue's number and time of creation cannot be changed"));
            }
            if after == before {
                return Ok(old);
            }
            match txn.update(IssueId(id), expect, Op::Update, |record, now| take_all(record, &after, now))? {
                Cas::Changed(version) => require_writable(&version.issue).map(|()| *version),
                Cas::Unchanged(version) => Ok(*version),
                Cas::Stale { .. } => Err(IssueError::Conflict { id }),
                Cas::Missing => Err(IssueError::NotFound { id }),
            }
        })
    }

    /// Closes an issue, started or not, and ends its claim. To close a closed one changes nothing.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], [`IssueError::Conflict`]; [`IssueError::NotAssigned`] if another session has it and may
    /// be alive, or [`IssueError::Assigned`] where the caller is a person.
    pub fn close(&self, id: u32, expected_hash: Option<&str>, session: Option<&str>) -> Result<Issue, IssueError> {
        self.claim(id, expected_hash, session, claims::close)
    }

    /// Opens a closed issue again; nobody has it then. To open an open one changes nothing.
    ///
    /// # Errors
    /// [`IssueError::NotFound`] or [`IssueError::Conflict`].
    pub fn reopen(&self, id: u32, expected_hash: Option<&str>) -> Result<Issue, IssueError> {
        self.claim(id, expected_hash, None, claims::reopen)
    }

    /// Takes an issue for a session: a free one, its own, or a dead owner's. The session is linked to it.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], [`IssueError::Conflict`], [`IssueError::Assigned`]; [`IssueError::Other`] if it is closed
    /// or the session id is invalid.
    pub fn start(&self, id: u32, expected_hash: Option<&str>, session: &str) -> Result<Issue, IssueError> {
        let session = valid(session)?;
        self.change(Some(session), IssueError::NotFound { id }, |txn, access| {
            let expect = seen(txn, id, expected_hash)?;
            match claims::start(txn, IssueId(id), expect, access)? {
                Claimed::Refused(Refusal::Owned(Owner { assignment, .. })) => {
                    Err(IssueError::Assigned { id, owner: assignment.session, acquired_at: assignment.acquired_at })
                }
                claimed => settled(txn, id, claimed),
            }
        })
    }

    /// Gives an issue back.
    ///
    /// # Errors
    /// As [`FileIssueStore::close`]; and [`IssueError::NotAssigned`] if a session gives back what nobody has.
    pub fn release(&self, id: u32, expected_hash: Option<&str>, session: Option<&str>) -> Result<Issue, IssueError> {
        self.claim(id, expected_hash, session, claims::release)
    }

    /// Links a session to an issue, once.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], [`IssueError::Conflict`], or [`IssueError::Other`] if the session id is invalid.
    pub fn link_session(&self, id: u32, expected_hash: Option<&str>, session: &str) -> Result<Issue, IssueError> {
        let linked = valid(session)?;
        self.claim(id, expected_hash, Some(session), |txn, id, expect, access| {
            claims::link(txn, id, expect, &linked, access)
        })
    }

    /// Changes fields of an issue for a session, or for a person.
    ///
    /// # Errors
    /// As [`FileIssueStore::close`], or as [`FileIssueStore::create`].
    pub fn apply_patch(
        &self,
        id: u32,
        expected_hash: Option<&str>,
        patch: &IssuePatch,
        session: Option<&str>,
    ) -> Result<Issue, IssueError> {
        self.claim(id, expected_hash, session, |txn, id, expect, access| {
            claims::update(txn, id, expect, access, |record, now| take_patch(record, patch, now))
        })
    }

    /// The number that the next issue gets, unless another process is first. Numbers of deleted issues stay used.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`]; [`IssueError::Other`] if no number is left.
    pub fn next_id(&self) -> Result<u32, IssueError> {
        let Some(opened) = self.opened()? else { return Ok(1) };
        let highest = opened.store.read()?.high_water()?;
        highest.0.checked_add(1).ok_or_else(|| crate::db::StoreError::NumbersExhausted.into())
    }

    /// How many issues are open.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`].
    pub fn open_count(&self) -> Result<usize, IssueError> {
        Ok(self.summary()?.open_count)
    }

    /// The title of the open issue that changed last.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`].
    pub fn latest_open_title(&self) -> Result<Option<String>, IssueError> {
        Ok(self.summary()?.latest_open_title)
    }

    /// The highest priority of the open issues that nobody claims.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`].
    pub fn top_free_priority(&self) -> Result<Option<Priority>, IssueError> {
        Ok(self.summary()?.top_free_priority)
    }

    /// Open issues at a glance.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`].
    pub fn summary(&self) -> Result<IssueSummary, IssueError> {
        let Some(opened) = self.opened()? else { return Ok(IssueSummary::default()) };
        let read = opened.store.read()?;
        let counters = read.counters()?;
        let latest = read.list(&Query { limit: Some(1), ..Query::default() }, |_| Ok(true))?;
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(IssueSummary {
            open_count: count(counters.with_status(Status::Open)),
            locked_open_count: count(counters.open_and_assigned()),
            top_priority: counters.top_priority(false),
            top_free_priority: counters.top_priority(true),
            latest_open_title: latest.into_iter().next().map(|stored| stored.head.title),
        })
    }

    /// Whether there is any issue, open or closed.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`].
    pub fn has_any(&self) -> Result<bool, IssueError> {
        let Some(opened) = self.opened()? else { return Ok(false) };
        let counters = opened.store.read()?.counters()?;
        Ok(Status::ALL.iter().any(|status| counters.with_status(*status) > 0))
    }

    /// Brings files and database in step, and says what was done, which files are bad, and which issues wait for a
    /// person because files and database changed the same thing.
    ///
    /// # Errors
    /// See [`FileIssueStore::list`].
    pub fn sync(&self) -> Result<Report, IssueError> {
        let Some(opened) = self.opened()? else { return Ok(Report::default()) };
        Ok(opened.mirror(self.author(None)).sync()?)
    }

    fn discover(&self) -> Result<Option<Project>, IssueError> {
        match Project::discover(&self.start) {
            Ok(project) => Ok(Some(project)),
            Err(DiscoveryError::None(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where a project would be made: the top of the git work tree, else the directory itself.
    fn birthplace(&self) -> &Path {
        let start = &self.start.directory;
        let top = start.ancestors().find(|directory| directory.join(".git").symlink_metadata().is_ok());
        top.filter(|top| self.start.home.as_deref() != Some(top)).unwrap_or(start)
    }

    fn begin(&self) -> Result<(), IssueError> {
        let root = self.birthplace();
        if self.start.home.as_deref() == Some(root) && !self.start.named {
            let problem = "the .oxi folder of the home directory holds the tools' configuration and is no project";
            return Err(IssueError::other(problem));
        }
        Project::create(root)?;
        Ok(())
    }

    /// The project, with what changed in its files taken in; none if there is none yet.
    fn opened(&self) -> Result<Option<Opened>, IssueError> {
        let Some(project) = self.discover()? else { return Ok(None) };
        let store = Store::in_dir(project.state().clone(), LOCK_TIMEOUT);
        if !store.exists()? {
            // the original wrote no ignore file, and the database must never be committed
            Project::create(project.root())?;
        }
        let opened = Opened { project, store };
        let mirror = opened.mirror(self.author(None));
        if mirror.ensure_database()?.is_none() {
            mirror.import()?;
        }
        Ok(Some(opened))
    }

    fn author(&self, session: Option<SessionId>) -> Author {
        #[expect(clippy::disallowed_methods, reason = "the original's interface takes no clock")]
        let now = Timestamp::from(SystemTime::now());
        Author { actor: self.actor.clone(), session, now }
    }

    /// Runs a change and writes its file; `nowhere` is the answer if there is no project.
    fn change(
        &self,
        session: Option<SessionId>,
        nowhere: IssueError,
        work: impl FnOnce(&mut WriteTxn<'_>, Access<'_>) -> Result<Versioned, IssueError>,
    ) -> Result<Issue, IssueError> {
        let opened = self.opened()?.ok_or(nowhere)?;
        let author = self.author(session);
        let shared = Shared::ensure(&opened.project)?;
        let watch = Watch::of(&opened.project, shared.as_ref(), author.now)?;
        let scope = Scope { watch: &watch, shared: shared.as_ref(), force: false };
        let version = claims::write(&opened.store, &author, scope, work)?;
        opened.write_out(author).map_err(|error| {
            let id = version.issue.head.id;
            IssueError::Other(format!("issue #{id} was stored, but its file could not be written: {error}").into())
        })?;
        Ok(opened.issue(version.issue))
    }

    /// A change that the rules of ownership decide on.
    fn claim(
        &self,
        id: u32,
        expected_hash: Option<&str>,
        session: Option<&str>,
        step: impl FnOnce(
            &mut WriteTxn<'_>,
            IssueId,
            Option<ContentHash>,
            Access<'_>,
        ) -> Result<Claimed, crate::db::StoreError>,
    ) -> Result<Issue, IssueError> {
        self.change(session_of(session)?, IssueError::NotFound { id }, |txn, access| {
            let expect = seen(txn, id, expected_hash)?;
            let claimed = step(txn, IssueId(id), expect, access)?;
            settled(txn, id, claimed)
        })
    }
}

impl Opened {
    fn mirror(&self, author: Author) -> Mirror<'_> {
        let (project, store, options) = (&self.project, &self.store, Options::default());
        Mirror { project, store, author, options, progress: &|_, _, _| () }
    }

    fn write_out(&self, author: Author) -> Result<(), IssueError> {
        let mirror = self.mirror(author);
        if mirror.export()?.needs_attention {
            // the file was edited since it was taken in: merge
            mirror.sync()?;
        }
        Ok(())
    }

    fn issue(&self, record: Record) -> Issue {
        let path = self.project.root().join(self.project.issue_path(record.head.file_name()));
        from_record(record, Some(path))
    }
}

/// A path without links and `..`, as far as it is there.
fn absolute(path: &Path) -> Result<PathBuf, IssueError> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(std::path::absolute(path)?),
        Err(source) => Err(crate::fs::PathError { action: "open", path: path.to_owned(), source }.into()),
    }
}

fn valid(session: &str) -> Result<SessionId, IssueError> {
    session.parse().map_err(|error| IssueError::Other(Box::new(error)))
}

/// The calling session; an empty one is none.
fn session_of(session: Option<&str>) -> Result<Option<SessionId>, IssueError> {
    session.filter(|session| !session.is_empty()).map(valid).transpose()
}
