//! Errors as people and programs see them: an exit code, a message, and what to type next.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

use crate::agents::AgentError;
use crate::db::StoreError;
use crate::db::backup::BackupError;
use crate::db::gate::GateError;
use crate::documents::DocumentError;
use crate::fs::{Obstacle, PathError};
use crate::project::DiscoveryError;
use crate::schema::id::{ContentHash, IssueId, printable};
use crate::schema::privacy::{self, Refused};
use crate::schema::settings::{Problem, WrongValue};
use crate::settings::SettingsError;
use crate::sync::MirrorError;

/// What to do about a damaged database.
pub(super) const REBUILD: &str =
    "`oxi-state doctor` says what is damaged, and `oxi-state doctor --fix` saves what is whole in .oxi/state.redb";

/// The kinds of failure, by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    Error = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    Claimed = 5,
    Busy = 6,
    BadInput = 7,
    Refused = 8,
    Database = 9,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Claimed => "claimed",
            Self::Busy => "busy",
            Self::BadInput => "bad_input",
            Self::Refused => "refused",
            Self::Database => "database",
        }
    }
}

/// An error to print.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) code: Code,
    message: String,
    hint: Option<String>,
    details: Vec<(&'static str, serde_json::Value)>,
}

/// What a command answers.
pub(super) type CliResult<T> = Result<T, CliError>;

impl CliError {
    pub(super) fn new(code: Code, message: impl Display) -> Self {
        Self { code, message: message.to_string(), hint: None, details: Vec::new() }
    }

    pub(super) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Says where it happened.
    pub(super) fn at(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Adds a fact for programs.
    pub(super) fn detail(mut self, name: &'static str, value: impl Serialize) -> Self {
        // what is passed here are numbers and texts, which always are JSON
        self.details.push((name, serde_json::to_value(value).unwrap_or_default()));
        self
    }

    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(Code::Usage, message).hint("see `oxi-state help`, or the command with --help")
    }

    pub(super) fn no_issue(id: IssueId) -> Self {
        Self::new(Code::NotFound, format!("issue #{id} not found"))
            .hint("`oxi-state issue list --status all` shows what there is")
            .detail("id", id)
    }

    pub(super) fn stale(id: IssueId, current: ContentHash) -> Self {
        Self::new(Code::Conflict, format!("issue #{id} was changed since you read it; its hash is now {current}"))
            .hint(format!("read it again with `oxi-state issue show {id}`, then retry with the new hash"))
            .detail("id", id)
            .detail("hash", current.to_string())
    }

    /// A flag or a variable has a value that its setting cannot have.
    pub(super) fn wrong_setting(wrong: &WrongValue, name: &str) -> Self {
        Self::usage(format!("{name}: {wrong}")).detail("key", wrong.key.as_str()).detail("source", name)
    }

    /// Prints the error to stderr. What it repeats of what was given may be a secret in the wrong place.
    pub(super) fn print(&self, json: bool) {
        let message = redacted(&self.message);
        let hint = self.hint.as_deref().map(redacted);
        if json {
            let mut error = serde_json::Map::new();
            error.insert("code".into(), self.code.as_str().into());
            error.insert("message".into(), message.into());
            error.insert("hint".into(), hint.into());
            error.insert("retryable".into(), (self.code == Code::Busy).into());
            for (name, value) in &self.details {
                let value = value.as_str().map_or_else(|| value.clone(), |text| redacted(text).into());
                error.insert((*name).into(), value);
            }
            let text = super::output::to_json(&serde_json::json!({ "error": error }));
            super::output::tell(&text);
            return;
        }
        let red = anstyle::AnsiColor::Red.on_default().bold();
        // one line each: what a record holds must not pass for a hint
        super::output::tell(&format!("{red}error:{red:#} {}", printable(&message, false)));
        if let Some(hint) = hint {
            super::output::tell(&format!("hint: {}", printable(&hint, false)));
        }
    }
}

/// A message without what looks like a secret in it, also where the message quotes that: what stands beside it is told
/// by quotes, which quoting hides.
pub(super) fn redacted(text: &str) -> String {
    let clean = privacy::redact(text, &privacy::scan(text));
    let plain = unquoted(&clean);
    let findings = privacy::scan(&plain);
    if findings.is_empty() { clean } else { privacy::redact(&plain, &findings) }
}

/// A text without the escapes of quoting, however often it was quoted.
fn unquoted(text: &str) -> String {
    /// A text that was given in JSON, repeated by one message and by another.
    const TIMES: usize = 4;
    let mut plain = text.to_owned();
    for _ in 0..TIMES {
        let next = plain.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\");
        if next == plain {
            break;
        }
        plain = next;
    }
    plain
}

impl CliError {
    /// Tells a person what went wrong where that is not the result: the command goes on to end as it would have.
    pub(super) fn warn(&self, consequence: &str) {
        let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
        super::output::tell(&format!("{yellow}warning:{yellow:#} {}", printable(&redacted(&self.message), false)));
        super::output::tell(&format!("hint: {}", printable(consequence, false)));
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let message = &error;
        match &error {
            StoreError::Gate(GateError::Busy { holder, .. }) => Self::new(Code::Busy, message)
                .hint("try again, or wait longer with --lock-timeout SECS")
                .detail("holder_pid", holder),
            StoreError::Gate(GateError::Path(path)) | StoreError::Path(path) => path_error(path),
            StoreError::Corrupt { table, key, .. } | StoreError::Page { table, key, .. } => {
                Self::new(Code::Database, message).hint(REBUILD).detail("table", table).detail("key", key)
            }
            StoreError::IndexMismatch { table, id } => {
                Self::new(Code::Database, message).hint(REBUILD).detail("table", table).detail("key", id.to_string())
            }
            StoreError::Newer { .. } => {
                Self::new(Code::Database, message).hint("install the newer oxi-state; the database was left as it is")
            }
            StoreError::TrackedByGit(path) => Self::new(Code::Database, message).hint(format!(
                "run `git rm --cached {0}`; if it came by git and is not your own, delete it, too: `oxi-state init` builds it \
                 anew from the files",
                path.display()
            )),
            StoreError::Engine(engine) | StoreError::CommitUnknown(engine) if is_io(engine) => {
                let remedy = remedy_of_disk(engine);
                Self::new(Code::Error, message).hint(format!(
                    "{remedy}; `oxi-state log` shows whether the change is there, and if not, run the same command again"
                ))
            }
            StoreError::NotRepaired(path) => Self::new(Code::Error, message)
                .hint(
                    "see to the disk (is it full? is it read-only?); nothing is lost, and the next command tries again",
                )
                .detail("path", path.display().to_string()),
            StoreError::NotADatabase(_) | StoreError::Engine(_) | StoreError::Older { .. } => {
                Self::new(Code::Database, message).hint(REBUILD)
            }
            StoreError::CommitUnknown(_) => {
                Self::new(Code::Database, message).hint("`oxi-state log` shows whether the change is there")
            }
            StoreError::NumberTaken(_) => Self::new(Code::Conflict, message),
            StoreError::NumbersExhausted => Self::new(Code::Error, message),
        }
    }
}

/// Whether the disk failed, and not the database.
fn is_io(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo)
}

fn path_error(error: &PathError) -> CliError {
    let code = if error.is_not_found() { Code::NotFound } else { Code::Error };
    let told = CliError::new(code, error).detail("path", error.path.display().to_string());
    match remedy(error) {
        Some(remedy) => told.hint(format!("{remedy}, then run the same command again")),
        None => told,
    }
}

/// As [`path_error`], of a path that the user named: what is in the way there is not ours to have moved.
fn named_path_error(error: &PathError, hint: &str) -> CliError {
    let told = path_error(error);
    if error.source.kind() == ErrorKind::PermissionDenied { told } else { told.hint(hint) }
}

const FREE_SPACE: &str = "free some space on that disk";
const FREE_QUOTA: &str = "free some space on that disk, where your quota is used up";
const MOUNT: &str = "mount that read-only disk for writing";

/// What to do about a path that cannot be used, where that can be told from the error.
fn remedy(error: &PathError) -> Option<String> {
    let path = error.path.display();
    if let Some(obstacle) = error.obstacle() {
        return match obstacle {
            // its message says it
            Obstacle::HardLink => None,
            _ => Some(format!("move it away (`mv {path} {path}.away`)")),
        };
    }
    match error.source.kind() {
        ErrorKind::StorageFull => Some(FREE_SPACE.into()),
        ErrorKind::QuotaExceeded => Some(FREE_QUOTA.into()),
        ErrorKind::ReadOnlyFilesystem => Some(MOUNT.into()),
        ErrorKind::NotADirectory => Some("move away the file that is where a folder belongs".into()),
        ErrorKind::PermissionDenied => {
            let folder = error.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).display();
            Some(format!("`ls -la {folder}` shows who may read and write there; get yourself the right to it"))
        }
        _ => None,
    }
}

const NAME_A_BACKUP: &str =
    "name a file that `oxi-state backup` wrote; `oxi-state doctor` names the newest copy that was made by itself";

/// What to do about the disk that the database is on.
fn remedy_of_disk(error: &redb::Error) -> &'static str {
    let kind = if let redb::Error::Io(error) = error { error.kind() } else { ErrorKind::Other };
    match kind {
        ErrorKind::StorageFull => FREE_SPACE,
        ErrorKind::QuotaExceeded => FREE_QUOTA,
        ErrorKind::ReadOnlyFilesystem => MOUNT,
        _ => "see to the disk (is it full?)",
    }
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let message = &error;
        match &error {
            BackupError::Exists(path) => Self::new(Code::Conflict, message)
                .hint("choose another name, or say --force")
                .detail("path", path.display().to_string()),
            BackupError::Unfit { path, .. } => Self::new(Code::Usage, message)
                .hint("name a file of its own")
                .detail("path", path.display().to_string()),
            BackupError::Folder(path) => named_path_error(path, "name a file in a folder that is there"),
            BackupError::Unread(path) => named_path_error(path, NAME_A_BACKUP),
            BackupError::Unsound { path, damage } => Self::new(Code::Database, message)
                .hint(format!("nothing was changed; {NAME_A_BACKUP}"))
                .detail("path", path.display().to_string())
                .detail("damage", damage),
            BackupError::Damaged { path, damage } => Self::new(Code::Database, message)
                .hint("nothing was changed; `oxi-state doctor` looks at the present database")
                .detail("path", path.display().to_string())
                .detail("damage", damage),
            BackupError::Contended => Self::new(Code::Busy, message).hint("try again later"),
            BackupError::Store(_) => match error {
                BackupError::Store(error) => error.into(),
                other => Self::new(Code::Error, other),
            },
        }
    }
}

impl From<PathError> for CliError {
    fn from(error: PathError) -> Self {
        path_error(&error)
    }
}

impl From<GateError> for CliError {
    fn from(error: GateError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::NotFound(id) => Self::new(Code::NotFound, error)
                .hint(
                    "`oxi-state agent list --all` shows those that are known; `oxi-state agent prime` registers a new one",
                )
                .detail("agent_id", id.to_string()),
            AgentError::Exists(id) => Self::new(Code::Conflict, error).detail("agent_id", id.to_string()),
            AgentError::NoFreeId => {
                Self::new(Code::Error, error).hint("make room with `oxi-state agent prune`, then try again")
            }
            AgentError::NotALabel(_) => Self::usage(error),
            AgentError::Random(_) => Self::new(Code::Error, error).hint("see to the system's /dev/urandom"),
            AgentError::Store(error) => error.into(),
        }
    }
}

impl From<DocumentError> for CliError {
    fn from(error: DocumentError) -> Self {
        let message = &error;
        match &error {
            DocumentError::Name(_) => {
                Self::new(Code::Usage, message).hint("a document is named CATEGORY/NAME, such as notes/2026/plan")
            }
            DocumentError::SecretName(refused) => Self::secret("name", message, refused)
                .hint(format!("use another name; or, if it is no secret, --allow {}", refused.rule)),
            DocumentError::Secret(refused) => Self::secret("text", message, refused).hint(format!(
                "take it out; or store [redacted:{0}] in its place with --redact; or, if it is no secret, --allow {0}",
                refused.rule
            )),
            DocumentError::TooLarge => Self::new(Code::Usage, message).hint("keep large files beside the database"),
            DocumentError::Malformed { line, column, .. } => Self::new(Code::BadInput, message)
                .hint("to store it as it is, say --kind markdown")
                .detail("line", line)
                .detail("column", column),
            DocumentError::NotAPointer { line, column } => Self::new(Code::Refused, message)
                .hint("what was said in a session is never stored; `oxi-state doc put --help` names the fields")
                .detail("line", line)
                .detail("column", column),
            DocumentError::NotAName(_) => {
                Self::new(Code::Refused, message).hint("what was said in a session is never stored")
            }
            DocumentError::OtherOwner(id) => {
                Self::new(Code::Claimed, message).hint("choose another id").detail("session", id.as_str())
            }
            DocumentError::Misnamed(_) | DocumentError::Id(_) => Self::usage(message),
            DocumentError::Unreadable { key, .. } => Self::new(Code::BadInput, message)
                .hint("`oxi-state doc get` shows it as it is; store it anew, or delete it")
                .detail("key", key),
            DocumentError::Overtaken => Self::new(Code::Conflict, message).hint("try again"),
            DocumentError::NotJson(_) | DocumentError::IdsExhausted => Self::new(Code::Error, message),
            DocumentError::Random(_) => Self::new(Code::Error, message).hint("see to the system's /dev/urandom"),
            DocumentError::Store(_) => match error {
                DocumentError::Store(error) => error.into(),
                other => Self::new(Code::Error, other),
            },
        }
    }
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        let message = &error;
        match &error {
            SettingsError::File { file, error } => {
                let usage = Self::new(Code::Usage, message).detail("source", file).detail("line", error.line);
                let usage = usage.detail("key", error.problem.key());
                match &error.problem {
                    Problem::Unknown { nearest, .. } => usage
                        .hint(format!("did you mean {nearest}? `oxi-state config set --help` lists all settings"))
                        .detail("nearest", nearest.as_str()),
                    Problem::Wrong { key, .. } => {
                        let global = if file.starts_with('~') { " --global" } else { "" };
                        usage.hint(format!("mend it there, or with `oxi-state config set{global} {key} VALUE`"))
                    }
                    _ => usage.hint("mend it with an editor; docs/settings.md shows what such a file looks like"),
                }
            }
            SettingsError::NotText { file, line } => {
                Self::new(Code::Usage, message).hint("save it as UTF-8").detail("source", file).detail("line", line)
            }
            SettingsError::NotAFile { file } => Self::new(Code::Usage, message)
                .hint("put a file there; a project's settings file is never read through a link")
                .detail("source", file),
            SettingsError::TooLong { file } => {
                Self::new(Code::Usage, message).hint("settings are short; make it shorter").detail("source", file)
            }
            SettingsError::ByHand { file, key } => Self::new(Code::Error, message)
                .hint("change it with an editor")
                .detail("source", file)
                .detail("key", key.as_str()),
            SettingsError::Gate(_) | SettingsError::Path(_) => match error {
                SettingsError::Gate(gate) => gate.into(),
                SettingsError::Path(path) => path.into(),
                _ => Self::new(Code::Error, error),
            },
        }
    }
}

impl CliError {
    /// What looks like a secret, by rule and place.
    fn secret(field: &'static str, message: impl Display, refused: &Refused) -> Self {
        Self::new(Code::Refused, message)
            .detail("rule", refused.rule.to_string())
            .detail("field", field)
            .detail("line", refused.line)
            .detail("column", refused.column)
    }
}

impl From<DiscoveryError> for CliError {
    fn from(error: DiscoveryError) -> Self {
        match &error {
            DiscoveryError::None(_) => {
                Self::new(Code::NotFound, error).hint("run `oxi-state init` at the top of the project to begin")
            }
            DiscoveryError::Path(path) => path_error(path),
        }
    }
}

impl From<MirrorError> for CliError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Store(error) => error.into(),
            MirrorError::Path(error) => error.into(),
            MirrorError::Git(error) if error.is_of_revision() => {
                Self::new(Code::Error, error).hint("name a commit, such as ORIG_HEAD or HEAD~1; `git log` shows them")
            }
            MirrorError::Git(error) => {
                Self::new(Code::Error, error).hint("is git installed, and this work tree in order? try `git status`")
            }
            MirrorError::Numbers(error) => Self::new(Code::Error, error),
            MirrorError::Contended => Self::new(Code::Busy, error).hint("try again"),
            MirrorError::Unwritable { id, .. } => Self::new(Code::Usage, &error).hint(format!(
                "nothing was changed; `oxi-state resolve {id} --ours` or `--theirs` takes one side, `--edit` lets you \
                 merge them"
            )),
            MirrorError::NotInConflict(id) => {
                Self::new(Code::NotFound, error).hint("`oxi-state conflicts` lists those that are").detail("id", id)
            }
            MirrorError::RecordMovedOn { id, current } => Self::stale(id, current),
            MirrorError::FileMovedOn(_) => {
                Self::new(Code::Conflict, error).hint("run `oxi-state import`, then resolve again")
            }
        }
    }
}
