//! Projects that are copied afresh for every fault, and the program run in them, with a fault or without.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The last line of every body, by which a whole file is known.
pub(crate) const END: &str = "the end\n";

/// The program under test; `OXI_STATE_PROGRAM` names another build of it.
pub(crate) fn program() -> String {
    std::env::var("OXI_STATE_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_oxi-state").to_owned())
}

/// Whether to try everything, which takes long.
pub(crate) fn long() -> bool {
    std::env::var_os("OXI_STATE_LONG").is_some()
}

/// Whether a program is there; says that a test is skipped if not.
pub(crate) fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: this test needs {program}");
    }
    there
}

/// A folder with a home and a project.
pub(crate) struct Sandbox {
    pub(crate) temp: tempfile::TempDir,
    pub(crate) root: PathBuf,
    /// The process in whose mount namespace it is, if not in this one's.
    pub(crate) inside: Option<u32>,
}

fn temporary() -> tempfile::TempDir {
    // in memory where there is such a folder: nothing here depends on a real disk
    let folder = Path::new("/dev/shm");
    let folder = if folder.is_dir() { folder.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("oxi-state-faults-").tempdir_in(folder).unwrap()
}

impl Sandbox {
    /// An empty project, committed.
    pub(crate) fn new() -> Self {
        let temp = temporary();
        let root = temp.path().canonicalize().unwrap().join("project");
        for folder in [root.clone(), temp.path().join("home")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let sandbox = Self { temp, root, inside: None };
        sandbox.git(&["init", "-q", "--template=", "-b", "main"]);
        sandbox.ok(&["init"]);
        sandbox.commit();
        sandbox
    }

    /// The same, at another place.
    pub(crate) fn copy(&self) -> Self {
        let temp = temporary();
        let copied = Command::new("cp").arg("-a").arg(self.temp.path().join(".")).arg(temp.path()).status().unwrap();
        assert!(copied.success());
        let root = temp.path().canonicalize().unwrap().join("project");
        Self { temp, root, inside: None }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match self.inside {
            None => self.root.join(path),
            Some(pid) => PathBuf::from(format!("/proc/{pid}/root{}", self.root.display())).join(path),
        }
    }

    /// Any program, as it is run here.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = match self.inside {
            None => Command::new(program),
            Some(pid) => {
                let mut command = Command::new("nsenter");
                command.args(["-t", &pid.to_string(), "-m", "sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh"]);
                command.arg(&self.root).arg(program);
                command
            }
        };
        let home = self.temp.path().join("home");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &home).env("LC_ALL", "C").env("USER", "tester");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Tester").env(format!("GIT_{role}_EMAIL"), "tester@example.org");
        }
        command.current_dir(if self.inside.is_some() { Path::new("/") } else { &self.root }).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(&program()).args(args).output().unwrap())
    }

    /// Runs the program, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "oxi-state {args:?}: {run:?}");
        run.stdout
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// Runs the program beneath strace with these options.
    pub(crate) fn strace(&self, options: &[&str], args: &[&str]) -> Run {
        // whoever goes round and round is ended by the limit; only the program itself is traced: git and helper threads
        // are others' affair
        let mut command = self.command("sh");
        command.args(["-c", "ulimit -t 20; exec strace \"$@\"", "sh"]);
        command.args(options).arg("--").arg(program()).args(args);
        Run::of(command.output().unwrap())
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.command("git").args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "state"]);
    }

    pub(crate) fn create(&self, title: &str) {
        self.ok(&["issue", "create", title, "--body", &format!("text of {title}\n{END}")]);
    }

    /// Edits an issue file by hand.
    pub(crate) fn edit(&self, number: u32, from: &str, to: &str) {
        let name = self.files().into_iter().find(|name| name.starts_with(&format!("{number:04}-"))).unwrap();
        let path = self.path(".oxi/issues").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// The names of what is in the mirror, hidden ones too.
    pub(crate) fn everything_in(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The names of the issue files.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names = self.everything_in(".oxi/issues");
        names.retain(|name| !name.starts_with('.'));
        names
    }

    /// What the project says, without the times: issues with their texts, log, settings, registrations.
    pub(crate) fn state(&self) -> String {
        let mut said = String::new();
        for issue in self.issues().values() {
            let fields = ["id", "title", "status", "priority", "labels", "body"].map(|field| issue[field].to_string());
            let _ = writeln!(said, "{}", fields.join(" "));
        }
        let log = self.json(&["log"]);
        for change in log.as_array().unwrap() {
            let _ = writeln!(said, "{} {} {}", change["revision"], change["kind"], change["op"]);
        }
        for pointer in self.json(&["pointer", "list"]).as_array().unwrap() {
            let _ = writeln!(said, "{} {}", pointer["kind"], pointer["target"]);
        }
        said += &std::fs::read_to_string(self.path(".oxi/settings.toml")).unwrap_or_default();
        said
    }

    /// All issues in full, by number.
    pub(crate) fn issues(&self) -> BTreeMap<u64, Value> {
        let list = self.json(&["issue", "list", "--status", "all"]);
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|issue| issue["id"].to_string()).collect();
        let mut show = vec!["issue", "show"];
        show.extend(ids.iter().map(String::as_str));
        let shown = match ids.len() {
            0 => Value::Array(Vec::new()),
            1 => Value::Array(vec![self.json(&show)]),
            _ => self.json(&show),
        };
        let shown = shown.as_array().unwrap().clone();
        assert_eq!(shown.len(), ids.len());
        let by_number: BTreeMap<_, _> = shown.into_iter().map(|issue| (issue["id"].as_u64().unwrap(), issue)).collect();
        assert_eq!(by_number.len(), ids.len(), "no number is there twice");
        by_number
    }

    /// [`Sandbox::files_are_whole`], but for the old database, whose bodies do not end as all others do.
    #[track_caller]
    pub(crate) fn files_are_whole_in(&self, case: &str) {
        if case != "migrate" {
            self.files_are_whole();
        }
    }

    /// No file in the mirror is half written, and git sees nothing but what belongs to it.
    #[track_caller]
    pub(crate) fn files_are_whole(&self) {
        for name in self.files() {
            let text = std::fs::read_to_string(self.path(".oxi/issues").join(&name)).unwrap();
            assert!(text.starts_with("---\n") && text.ends_with(END), "{name} is torn: {text:?}");
        }
        for line in self.git(&["status", "--porcelain", "-uall"]).lines() {
            let path = line[3..].rsplit(' ').next().unwrap();
            let ours = [".oxi/settings.toml", ".oxi/.gitignore", ".gitattributes"];
            let issue =
                path.strip_prefix(".oxi/issues/").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_digit()));
            assert!(issue || ours.contains(&path), "git sees {line}");
        }
    }

    /// Everything works by itself: files and records come into step, and new numbers are new.
    #[track_caller]
    pub(crate) fn goes_on(&self) {
        self.ok(&["sync"]);
        let before = self.json(&["issue", "list", "--status", "all"]);
        let before: Vec<_> = before.as_array().unwrap().iter().map(|issue| issue["id"].clone()).collect();
        let made = &self.json(&["issue", "create", "afterwards", "--body", END])["id"];
        assert!(!before.contains(made), "number {made} is given twice");
        self.ok(&["sync"]);
        self.ok(&["status", "--check"]);
        self.files_are_whole();
        assert_eq!(self.files().len(), before.len() + 1, "a file for every issue");
        let left = |folder: &str| {
            let names = self.everything_in(folder);
            names.into_iter().filter(|name| name.contains(".tmp-")).collect::<Vec<_>>()
        };
        assert_eq!(left(".oxi/issues"), [""; 0], "left in the mirror");
        assert_eq!(left(".oxi"), [""; 0], "left beside the database");
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// None if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// An error as people want it: a sensible code, one message, no panic.
    #[track_caller]
    pub(crate) fn fails_clearly(&self) {
        let code = self.code.unwrap_or(-1);
        assert!((1..=9).contains(&code), "{self:?}");
        for word in ["panicked", "internal error", "RUST_BACKTRACE"] {
            assert!(!self.stderr.contains(word), "{self:?}");
        }
        let errors = self.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "one message: {self:?}");
    }
}
