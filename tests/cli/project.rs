//! A project to run the program in, and what a run answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

/// Where the issue files are.
pub(crate) const ISSUES: &str = ".oxi/issues";

/// The keys of an issue in a list, in order.
pub(crate) const LIST_KEYS: [&str; 16] = [
    "id",
    "title",
    "status",
    "priority",
    "labels",
    "assignee",
    "created_at",
    "updated_at",
    "closed_at",
    "sessions",
    "assigned_to",
    "github",
    "depends_on",
    "path",
    "hash",
    "extra",
];

/// A directory, a home, and the program.
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    temp: Arc<tempfile::TempDir>,
}

/// Where nothing is yet: an empty directory without git.
pub(crate) fn empty_folder() -> Project {
    let temp = tempfile::Builder::new().prefix("oxi-state-cli-").tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap().join("project");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::create_dir_all(temp.path().join("home")).unwrap();
    Project { root, temp: Arc::new(temp) }
}

/// A git repository with no project in it.
pub(crate) fn repository() -> Project {
    let project = empty_folder();
    project.git("init -q -b main");
    project
}

/// A git repository with an empty project that is committed.
pub(crate) fn project() -> Project {
    let project = repository();
    project.oxi("init").ok();
    project.commit("begin");
    project
}

/// A project with these files, imported and committed.
pub(crate) fn project_with(files: &[IssueFile]) -> Project {
    let project = repository();
    for file in files {
        project.add(file);
    }
    project.oxi("init").ok();
    project.commit("begin");
    project
}

/// Splits a command line at blanks; single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    assert!(!quoted, "unbalanced quotes: {line}");
    words
}

impl Project {
    fn environment(&self, command: &mut Command) {
        let home = self.temp.path().join("home");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &home).env("TMPDIR", &home).env("LC_ALL", "C");
        command.env("USER", "tester").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Tester").env(format!("GIT_{role}_EMAIL"), "tester@example.org");
            command.env(format!("GIT_{role}_DATE"), "2026-03-01T12:00:00Z");
        }
        command.current_dir(&self.root);
    }

    /// A run of the program with these arguments, to be started by the caller.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxi-state"));
        self.environment(&mut command);
        command.args(words(line)).stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub(crate) fn oxi(&self, line: &str) -> Run {
        self.oxi_with(line, &[])
    }

    /// Runs the program with environment variables.
    pub(crate) fn oxi_with(&self, line: &str, variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(line);
        command.envs(variables.iter().copied());
        Run::of(line, command.output().unwrap())
    }

    /// Runs the program in a directory beneath the root.
    pub(crate) fn oxi_in(&self, folder: &str, line: &str) -> Run {
        Run::of(line, self.command(line).current_dir(self.root.join(folder)).output().unwrap())
    }

    /// What the program answers in JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        self.oxi(&format!("{line} --json")).ok().json()
    }

    /// What the program answers in JSON with an exit code of its own.
    pub(crate) fn json_of(&self, line: &str, code: i32) -> Value {
        self.oxi(&format!("{line} --json")).exits(code).json()
    }

    /// An issue as `issue show` gives it.
    pub(crate) fn show(&self, id: u32) -> Value {
        self.json(&format!("issue show {id}"))
    }

    /// One field of an issue as text.
    pub(crate) fn field(&self, id: u32, field: &str) -> String {
        match &self.show(id)[field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// All issues in full, by number.
    pub(crate) fn all_issues(&self) -> Vec<Value> {
        let list = self.json("issue list --status all --sort id");
        list.as_array().unwrap().iter().map(|issue| self.show(number(&issue["id"]))).collect()
    }

    /// Runs git; it must succeed.
    pub(crate) fn git(&self, line: &str) -> String {
        let output = self.try_git(line);
        assert!(output.status.success(), "git {line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn try_git(&self, line: &str) -> Output {
        let mut command = Command::new("git");
        self.environment(&mut command);
        command.args(words(line)).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git("add -A");
        self.git(&format!("commit -q --allow-empty -m '{message}'"));
    }

    /// Merges what another clone has committed.
    pub(crate) fn pull(&self, other: &Self) {
        self.git(&format!("pull -q --no-rebase --no-edit {} main", other.root.display()));
    }

    /// A clone beside this one; it has no database.
    pub(crate) fn clone_as(&self, name: &str) -> Self {
        let root = self.root.with_file_name(name);
        self.git(&format!("clone -q {} {}", self.root.display(), root.display()));
        Self { root, temp: Arc::clone(&self.temp) }
    }

    /// A folder of this repository that can be a project of its own.
    pub(crate) fn beneath(&self, folder: &str) -> Self {
        let root = self.root.join(folder);
        std::fs::create_dir_all(root.join(ISSUES)).unwrap();
        Self { root, temp: Arc::clone(&self.temp) }
    }

    /// A linked work tree beside this one, on a branch of its own; it has no database.
    pub(crate) fn work_tree(&self, name: &str) -> Self {
        let root = self.root.with_file_name(name);
        self.git(&format!("worktree add -q -b {name} {}", root.display()));
        Self { root, temp: Arc::clone(&self.temp) }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The path of an issue file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(ISSUES).join(name)
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.file(name).symlink_metadata().is_ok()
    }

    /// The text of an issue file.
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.file(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes an issue file as an editor does.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn add(&self, file: &IssueFile) {
        self.write(&file.name(), file.text());
    }

    /// Edits an issue file by hand; what is to be replaced must be there.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}:\n{text}");
        self.write(name, text.replacen(from, to, 1));
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).unwrap();
    }

    /// The names of the issue files.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(ISSUES))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    /// Every issue file with its bytes and its time of change.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
        let one = |name: String| {
            let path = self.file(&name);
            let time = path.symlink_metadata().unwrap().modified().unwrap();
            (name, (std::fs::read(&path).unwrap_or_default(), time))
        };
        self.files().into_iter().map(one).collect()
    }

    /// Everything outside `.oxi`, what git has in its index and history, and the home directory.
    pub(crate) fn outside(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        walk(&self.root, &mut all);
        walk(&self.temp.path().join("home"), &mut all);
        all.retain(|path, _| !path.contains("/.oxi/") && !path.contains("/.git/"));
        if self.path(".git").exists() {
            for question in
                ["ls-files --stage", "for-each-ref", "rev-parse HEAD", "stash list", "config --list --local"]
            {
                all.insert(format!("git {question}"), self.try_git(question).stdout);
            }
        }
        all
    }

    /// Forgets the database, as a fresh clone has none.
    pub(crate) fn drop_database(&self) {
        std::fs::remove_file(self.path(".oxi/state.redb")).unwrap();
    }

    /// A directory that nobody looks into, for this test only.
    pub(crate) fn scratch(&self) -> &Path {
        self.temp.path()
    }
}

fn walk(folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, all);
        } else {
            all.insert(path.display().to_string(), std::fs::read(&path).unwrap_or_default());
        }
    }
}

/// A number in JSON.
pub(crate) fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))).unwrap()
}

/// The keys of an object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect()
}

/// The lines that differ, as a unified diff without context would have them.
pub(crate) fn changed_lines(before: &str, after: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    let mut text = String::new();
    for change in diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal) {
        let _ = write!(text, "{}{}", change.tag(), change.value());
    }
    text
}

/// What a run answered.
#[derive(Debug)]
pub(crate) struct Run {
    line: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(line: &str, output: Output) -> Self {
        Self {
            line: line.to_owned(),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn check(self, holds: bool, expected: &str) -> Self {
        assert!(
            holds,
            "`oxi-state {}`: expected {expected}\nexit {}\n--- stdout\n{}--- stderr\n{}",
            self.line, self.code, self.stdout, self.stderr
        );
        self
    }

    /// It ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let holds = self.code == code;
        self.check(holds, &format!("exit {code}"))
    }

    /// Its output is exactly this.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        let holds = self.stdout == text;
        self.check(holds, &format!("stdout {text:?}"))
    }

    /// Its output holds this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let holds = self.stdout.contains(text);
        self.check(holds, &format!("stdout with {text:?}"))
    }

    #[track_caller]
    pub(crate) fn says_not(self, text: &str) -> Self {
        let holds = !self.stdout.contains(text);
        self.check(holds, &format!("stdout without {text:?}"))
    }

    /// What it tells a person on stderr holds this.
    #[track_caller]
    pub(crate) fn warns(self, text: &str) -> Self {
        let holds = self.stderr.contains(text);
        self.check(holds, &format!("stderr with {text:?}"))
    }

    /// It has nothing to tell a person.
    #[track_caller]
    pub(crate) fn silent(self) -> Self {
        let holds = self.stderr.is_empty();
        self.check(holds, "nothing on stderr")
    }

    /// Its output is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`oxi-state {}`: {error}\n{}{}", self.line, self.stdout, self.stderr))
    }

    /// The one error object on stderr.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        let parsed: Result<Value, _> = serde_json::from_str(&self.stderr);
        let parsed = parsed.unwrap_or_else(|error| panic!("`oxi-state {}`: {error}\n{}", self.line, self.stderr));
        assert_eq!(self.stdout, "", "an error has no result");
        assert_eq!(keys(&parsed), ["error"]);
        let error = parsed["error"].clone();
        assert_eq!(keys(&error)[..4], ["code", "message", "hint", "retryable"]);
        error
    }
}

/// An issue file in the making, as the original program writes it.
#[derive(Clone, Debug)]
pub(crate) struct IssueFile {
    id: u32,
    slug: String,
    title: String,
    created: String,
    middle: String,
    tail: String,
    body: String,
}

/// A file for an issue; its title is in lower-case words.
pub(crate) fn issue(id: u32, title: &str) -> IssueFile {
    IssueFile {
        id,
        slug: title.replace(' ', "-"),
        title: title.to_owned(),
        created: format!("2026-01-02T03:04:{:02}Z", id % 60),
        middle: "status: open\npriority: medium\nlabels: []\n".into(),
        tail: "sessions: []\n".into(),
        body: "one\ntwo\nthree\nfour\nfive\n".into(),
    }
}

impl IssueFile {
    pub(crate) fn created(self, time: &str) -> Self {
        Self { created: time.to_owned(), ..self }
    }

    pub(crate) fn body(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    /// Further lines at the end of the frontmatter.
    pub(crate) fn with(self, lines: &str) -> Self {
        Self { tail: format!("{}{lines}", self.tail), ..self }
    }

    pub(crate) fn name(&self) -> String {
        format!("{:04}-{}.md", self.id, self.slug)
    }

    pub(crate) fn text(&self) -> String {
        let Self { id, title, created, middle, tail, body, .. } = self;
        format!(
            "---\nid: {id}\ntitle: {title}\n{middle}created_at: {created}\nupdated_at: {created}\n{tail}---\n{body}"
        )
    }
}
