//! Repositories that were made to do harm: what stands in the way of a file, names that lie, files that blow up.
//!
//! Whatever is there, a command ends soon, says by name what it does not take, takes the rest, and neither reads nor
//! writes outside of the project. Links to issue files and folders are in `bad_files.rs`, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::project::{ISSUES, Project, Run, issue, project_with};

/// Commands of every kind.
const COMMANDS: [&str; 16] = [
    "init",
    "issue list",
    "issue show 1",
    "issue create x",
    "issue update 1 -p high",
    "import",
    "export",
    "sync",
    "status",
    "snapshot",
    "inbox",
    "resume",
    "config set lock_timeout 5",
    "session start",
    "validation run -- true",
    "compact",
];

/// Runs a command that must end, whatever it meets.
#[track_caller]
fn run(project: &Project, line: &str) -> Run {
    let child = project.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = told.recv_timeout(Duration::from_secs(60)) else {
        let _ = Command::new("kill").args(["-9", &id]).status();
        panic!("`oxi-state {line}` does not end");
    };
    let run = Run::of(line, output.unwrap());
    assert!((0..=9).contains(&run.code), "{run:?}");
    assert!(!run.stderr.contains("internal error"), "{run:?}");
    run
}

/// What stands in a place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Thing {
    /// A symbolic link to what was there, which lies outside now.
    Link,
    /// A symbolic link to nothing.
    Dangling,
    Fifo,
    Socket,
    /// A device, where the test may make one.
    Device,
    Folder,
}

const THINGS: [Thing; 6] = [Thing::Link, Thing::Dangling, Thing::Fifo, Thing::Socket, Thing::Device, Thing::Folder];

/// Puts a thing in the place of a file or folder; false if that cannot be done here.
fn put(thing: Thing, place: &Path, outside: &Path) -> bool {
    let target = outside.join("target");
    match std::fs::rename(place, &target) {
        Ok(()) => {}
        Err(_) => std::fs::write(&target, "canary\n").unwrap(),
    }
    match thing {
        Thing::Link => symlink(&target, place).unwrap(),
        Thing::Dangling => symlink(outside.join("nothing"), place).unwrap(),
        Thing::Fifo => assert!(Command::new("mkfifo").arg(place).status().unwrap().success()),
        // the path of a socket must be short
        Thing::Socket => {
            let short = std::env::temp_dir().join(format!("oxi-{}", place.metadata().map_or(0, |it| it.ino())));
            let made = UnixListener::bind(&short).is_ok_and(|_| std::fs::rename(&short, place).is_ok());
            let _ = std::fs::remove_file(short);
            return made;
        }
        Thing::Device => {
            let made = Command::new("mknod").arg(place).args(["c", "1", "5"]).stderr(Stdio::null()).status();
            return made.is_ok_and(|status| status.success());
        }
        Thing::Folder => std::fs::create_dir_all(place.join("inside")).unwrap(),
    }
    true
}

/// All that is in a folder: bytes, times of change and modes.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64, u32)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = path.symlink_metadata().unwrap();
            let bytes = if stat.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            if stat.is_dir() {
                folders.push(path.clone());
            }
            all.insert(path, (bytes, stat.mtime(), stat.mtime_nsec(), stat.mode()));
        }
    }
    all
}

/// A project in step, with a snapshot, and a folder outside of it.
fn prepared() -> (Project, PathBuf) {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.oxi("snapshot").ok();
    project.oxi("--session s1 issue start 2").ok();
    project.oxi("sync").ok();
    let outside = project.scratch().join("outside");
    std::fs::create_dir(&outside).unwrap();
    (project, outside)
}

/// Puts every thing into a place beneath the project and runs the commands: `refusing` are refused with this exit code and
/// the place's name, the others go on or say that name. With all things but two, only some of `refusing` are run.
#[track_caller]
fn obstructed(place: &str, code: i32, refusing: &[&str]) {
    for thing in THINGS {
        // an empty folder instead of a folder is no obstacle
        let is_folder = matches!(place, ".oxi/state" | ".oxi/issues");
        if is_folder && thing == Thing::Folder {
            continue;
        }
        let (project, outside) = prepared();
        if !put(thing, &project.path(place), &outside) {
            eprintln!("skipped: {thing:?} cannot be made here");
            continue;
        }
        let kind = project.path(place).symlink_metadata().unwrap().file_type();
        let before = everything(&outside);
        let lines =
            if matches!(thing, Thing::Link | Thing::Fifo) { &COMMANDS[..] } else { &refusing[..refusing.len().min(3)] };
        for &line in lines {
            let run = run(&project, line);
            let name = place.rsplit('/').next().unwrap();
            assert!(run.code == 0 || run.stderr.contains(name), "{thing:?} {place}: {run:?}");
            if refusing.contains(&line) {
                assert_eq!(run.code, code, "{thing:?} {place}: {run:?}");
            }
            assert_eq!(everything(&outside), before, "{thing:?} {place}: {line}");
        }
        assert_eq!(project.path(place).symlink_metadata().unwrap().file_type(), kind, "{thing:?} {place}");
    }
}

const ALL_THAT_READ: [&str; 10] = [
    "issue list",
    "issue show 1",
    "issue create x",
    "issue update 1 -p high",
    "import",
    "export",
    "sync",
    "status",
    "snapshot",
    "resume",
];

#[test]
fn nothing_is_done_by_way_of_what_stands_for_the_database() {
    obstructed(".oxi/state.redb", 1, &ALL_THAT_READ);
}

#[test]
fn nothing_is_done_by_way_of_what_stands_for_a_lock() {
    obstructed(".oxi/state.lock", 1, &ALL_THAT_READ);
    obstructed(".oxi/state.lock-turn", 1, &["issue list", "issue create x", "sync"]);
    obstructed(".oxi/state.lock-sync", 1, &["import", "export", "sync", "status", "compact"]);
    obstructed(".oxi/state.lock-database", 1, &["issue list", "issue create x"]);
}

#[test]
fn nothing_is_done_by_way_of_what_stands_for_settings_or_the_ignore_file() {
    obstructed(".oxi/settings.toml", 2, &ALL_THAT_READ);
    obstructed(".oxi/.gitignore", 1, &["init"]);
}

#[test]
fn nothing_is_done_by_way_of_what_stands_for_a_snapshot_or_an_inbox() {
    obstructed(".oxi/state/latest.json", 1, &["snapshot"]);
    obstructed(".oxi/state/issues.jsonl", 1, &["snapshot"]);
    obstructed(".oxi/state/inbox.jsonl", 1, &["inbox"]);
    obstructed(".oxi/state", 1, &["snapshot", "inbox"]);
}

#[test]
fn nothing_is_done_by_way_of_what_stands_for_an_issue() {
    obstructed(".oxi/issues/0001-first.md", 7, &["import", "sync", "status"]);
    obstructed(".oxi/issues", 1, &["import", "export", "sync", "status"]);
}

#[test]
fn what_is_written_in_place_must_have_no_second_name() {
    let (project, outside) = prepared();
    for (name, line) in
        [("state.lock", "issue create x"), ("state.redb", "issue create x"), ("state.lock-sync", "sync")]
    {
        let path = project.path(&format!(".oxi/{name}"));
        std::fs::hard_link(&path, outside.join("target")).unwrap();
        let before = everything(&outside);
        run(&project, line).exits(1).warns(name).warns("hard link");
        assert_eq!(everything(&outside), before, "{name}");
        std::fs::remove_file(outside.join("target")).unwrap();
        run(&project, line).ok();
    }
    // what is replaced keeps its other name as it was
    for (name, line) in [
        ("issues/0001-first.md", "sync"),
        ("settings.toml", "config set color never"),
        ("state/latest.json", "snapshot"),
    ] {
        let path = project.path(&format!(".oxi/{name}"));
        if !path.exists() {
            std::fs::write(&path, "").unwrap();
        }
        std::fs::hard_link(&path, outside.join("target")).unwrap();
        project.oxi("issue update 1 --append more").ok();
        let before = std::fs::read(outside.join("target")).unwrap();
        run(&project, line).ok();
        assert_eq!(std::fs::read(outside.join("target")).unwrap(), before, "{name}");
        assert_ne!(std::fs::read(&path).unwrap(), before, "{name}");
        std::fs::remove_file(outside.join("target")).unwrap();
    }
}

#[test]
fn a_database_that_a_branch_brought_is_refused_by_every_command() {
    let project = project_with(&[issue(1, "first")]);
    project.git("add -f .oxi/state.redb");
    project.commit("with a database");
    let clone = project.clone_as("clone");
    let bytes = std::fs::read(clone.path(".oxi/state.redb")).unwrap();
    for line in COMMANDS.into_iter().filter(|line| !line.starts_with("config")) {
        run(&clone, line).exits(9).warns("state.redb").warns("git");
        assert_eq!(std::fs::read(clone.path(".oxi/state.redb")).unwrap(), bytes, "{line}");
    }
}

// ---- names

#[test]
fn names_that_lie_are_refused_and_shown_harmlessly() {
    let project = project_with(&[issue(1, "first")]);
    let text = |id: u32| issue(id, "x").text();
    for (name, shown) in [
        ("0011-a\u{1b}[2J\u{7}.md", "0011-a\\u{1b}[2J\\u{7}.md"),
        ("0012-a\nhint: run evil.md", "0012-a\\u{a}hint: run evil.md"),
        ("0013-a\u{202e}dm.exe.md", "0013-a\\u{202e}dm.exe.md"),
        ("0014-a\u{9b}31m.md", "0014-a\\u{9b}31m.md"),
        ("15-x.md", "15-x.md"),
    ] {
        project.write(name, text(9));
        for line in ["import", "sync", "status", "export", "init"] {
            let run = run(&project, line);
            assert!(line == "export" || run.stderr.contains(shown), "{run:?}");
            assert!(!run.stderr.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']), "{run:?}");
            assert!(!run.stderr.lines().any(|line| line.starts_with("hint: run evil")), "{run:?}");
        }
        project.remove(name);
    }
    // names of devices elsewhere, and of what a shell would do, are names
    for (id, name) in
        [(20, "0020-CON.md"), (21, "0021-..md"), (22, "0022-a b;$(touch evil).md"), (23, "0023-..\\..\\x.md")]
    {
        project.write(name, text(id));
        run(&project, "sync").ok();
        run(&project, &format!("issue update {id} -p high")).ok();
        run(&project, "sync").ok();
        assert!(project.read(name).contains("priority: high"), "{name}");
    }
    assert!(!project.path("evil").exists());
    run(&project, "status --check").ok();
}

#[test]
fn a_name_as_long_as_a_file_system_allows_stops_nothing() {
    let project = project_with(&[issue(1, "first")]);
    // found by trying: there was no room for the name of the temporary file, and every export failed
    let ascii = format!("0009-{}.md", "x".repeat(247));
    let accents = format!("0010-{}.md", "\u{e9}".repeat(123));
    project.write(&ascii, issue(9, "x").text());
    project.write(&accents, issue(10, "y").text());
    run(&project, "sync").ok();
    for id in [1, 9, 10] {
        run(&project, &format!("issue update {id} -p high")).ok();
    }
    run(&project, "sync").ok();
    for name in [ascii.as_str(), accents.as_str(), "0001-first.md"] {
        assert!(project.read(name).contains("priority: high"), "{name}");
    }
    run(&project, "status --check").ok();
}

#[test]
fn of_twins_by_case_or_unicode_form_the_one_that_was_there_stays() {
    let project = project_with(&[issue(1, "first")]);
    project.write("0002-\u{e9}t\u{e9}.md", issue(2, "x").text());
    run(&project, "sync").ok();
    for twin in ["0002-e\u{301}te\u{301}.md", "0002-\u{c9}T\u{c9}.md", "0002-\u{c9}t\u{e9}.md"] {
        project.write(twin, issue(2, "twin").text());
        for line in ["import", "sync", "status"] {
            run(&project, line).exits(7).warns(twin).warns("only in case or Unicode form");
        }
        assert_eq!(project.field(2, "title"), "x");
        project.remove(twin);
        run(&project, "sync").ok();
    }
}

// ---- files that blow up

/// A file whose frontmatter ends in these lines.
fn file(id: u32, lines: &str, body: &str) -> String {
    issue(id, "x").with(lines).body(body).text()
}

/// Files that cost much to read for who is not careful, for issues from 100 on.
/// How many of the bombs are in the frontmatter.
const FRONTMATTERS: usize = 31;

fn bombs() -> Vec<String> {
    let listed = |many: u32, item: &dyn Fn(u32) -> String| (0..many).map(item).collect::<Vec<_>>().concat();
    let numbered = |many, name: &str| listed(many, &|number| format!("{name}{number}, "));
    let entries =
        |fields: &str| listed(600, &|number| format!("- id: 01KAHGXC000000000000000{number:03}\n  {fields}\n"));
    let laughs = (0..20).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |mut text, level| {
        let aliases = vec![format!("*a{level}"); 9].join(", ");
        let _ = writeln!(text, "a{}: &a{} [{aliases}]", level + 1, level + 1);
        text
    });
    let frontmatters = [
        laughs,
        format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(8000), "*a, ".repeat(8000)),
        format!("a: &a {}\nb: [{}]\n", "x".repeat(30_000), "*a, ".repeat(8_000)),
        format!("a: {}1{}\n", "[".repeat(10_000), "]".repeat(10_000)),
        format!("a: {}\n", "[".repeat(60_000)),
        format!("a: {}\n", "{a: ".repeat(10_000)),
        format!("a: {}\n", "{? ".repeat(10_000)),
        format!("a: {}x\n", "- ".repeat(10_000)),
        format!("a:\n{}x\n", "- ".repeat(10_000)),
        (0..350).fold(String::new(), |text, depth| format!("{text}{}k:\n", " ".repeat(depth))),
        format!("{}: 1\n", "? ".repeat(10_000)),
        format!("a: \"{}\n", "\\".repeat(60_000)),
        format!("a: '{}\n", "'".repeat(60_001)),
        format!("a: |\n{}", " \n".repeat(30_000)),
        format!("a: >\n{}", " x\n\n".repeat(15_000)),
        format!("a: {}\n", "&a ".repeat(20_000)),
        format!("a: {}x\n", "!!str ".repeat(10_000)),
        format!("{}\n", "# ".repeat(30_000)),
        "\n".repeat(60_000),
        (0..6000).fold(String::new(), |text, key| text + &format!("k{key}: 1\n")),
        "k: 1\n".repeat(12_000),
        format!("{}: 1\n", "k".repeat(60_000)),
        format!("labels: [{}]\n", "a, ".repeat(20_000)),
        format!("depends_on: [{}]\n", "1, ".repeat(20_000)),
        format!("depends_on: [{}]\n", (0..7000).fold(String::new(), |text, id| format!("{text}{id}, "))),
        format!("depends_on: [{}]\n", numbered(5000, "0002-b")),
        format!("labels: [{}]\n", numbered(7000, "l")),
        format!("sessions: [{}]\n", numbered(7000, "s")),
        format!("handoffs:\n{}", entries("to: bob\n  state: pending\n  summary: x")),
        format!("validations:\n{}", entries("name: unit\n  result: passed\n  at: 2026-11-20T11:00:00Z")),
        "x".repeat(70 << 10) + ": 1\n",
    ];
    let bodies = [
        "```\n".repeat(200_000),
        "~".repeat(900_000),
        format!("{}\n", "`".repeat(900_000)),
        "<<<<<<<\n".repeat(110_000),
        "```\n<<<<<<< a\n=======\n>>>>>>> b\n```\n".repeat(20_000),
        "\n".repeat(1_000_000),
        "\u{202e}".repeat(300_000),
        "x".repeat(2 << 20),
        format!("{}\n", "- [ ] ".repeat(150_000)),
        "sk-ant-".repeat(120_000),
        "password: ".repeat(90_000),
    ];
    assert_eq!(frontmatters.len(), FRONTMATTERS);
    let heads = frontmatters.iter().zip(100..).map(|(lines, id)| file(id, lines, "body\n"));
    heads.chain(bodies.iter().zip(140..).map(|(body, id)| file(id, "", body))).collect()
}

/// How long a command kept a processor busy, and the most memory that it had, in KiB; none where that cannot be told.
fn measured(project: &Project, line: &str) -> Option<(Duration, u64)> {
    let program = project.command(line);
    let script = "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, \
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\nused = resource.getrusage(resource.RUSAGE_CHILDREN)\n\
        print(used.ru_maxrss, used.ru_utime + used.ru_stime)";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(program.get_program()).args(program.get_args()).current_dir(&project.root);
    python.env_clear().envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = python.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (most, seconds) = text.trim().split_once(' ')?;
    let most: u64 = most.parse().ok()?;
    let most = if cfg!(target_os = "macos") { most / 1024 } else { most };
    Some((Duration::from_secs_f64(seconds.parse().ok()?), most))
}

#[test]
fn a_file_that_blows_up_costs_little_memory_and_time() {
    let bombs = bombs();
    let slack = if cfg!(debug_assertions) { 40 } else { 4 };
    let mut worst = (Duration::ZERO, 0);
    for (number, text) in bombs.iter().enumerate() {
        let project = project_with(&[issue(1, "first")]);
        let id = if number < FRONTMATTERS { 100 + number } else { 140 + number - FRONTMATTERS };
        project.write(&format!("{id:04}-x.md"), text);
        let Some((time, memory)) = measured(&project, "import") else {
            eprintln!("skipped: python3 cannot be asked for the memory of a process");
            return;
        };
        let begin: String = text.lines().nth(9).unwrap_or_default().chars().take(30).collect();
        assert!(time < Duration::from_millis(100) * slack, "{number} {begin:?}: {time:?}");
        assert!(memory < 64 << 10, "{number} {begin:?}: {memory} KiB");
        worst = (worst.0.max(time), worst.1.max(memory));
        // the one that was there is not in anybody's way
        assert_eq!(project.field(1, "title"), "first");
    }
    println!("{} files, the worst {:?}, {} KiB", bombs.len(), worst.0, worst.1);
}

#[test]
fn all_of_them_at_once_are_passed_over_by_every_command() {
    let project = project_with(&[issue(1, "first")]);
    for (text, id) in bombs().iter().zip(100..) {
        project.write(&format!("{id:04}-x.md"), text);
    }
    for line in COMMANDS {
        let start = Instant::now();
        run(&project, line);
        assert!(start.elapsed() < Duration::from_secs(40), "{line}: {:?}", start.elapsed());
    }
    assert_eq!(project.field(1, "priority"), "high");
}

#[test]
fn a_crowd_of_other_files_is_nobodys_business() {
    let long = std::env::var_os("OXI_STATE_LONG").is_some();
    let crowd = if long { 100_000 } else { 5_000 };
    let project = project_with(&[issue(1, "first")]);
    let folders = [".oxi", ISSUES, ".oxi/state", ".oxi/issues/.alive"];
    for (number, folder) in folders.iter().cycle().take(crowd).enumerate() {
        let folder = project.path(folder);
        if number < folders.len() {
            std::fs::create_dir_all(&folder).unwrap();
        }
        std::fs::write(folder.join(format!("junk {number}\u{1b}")), "").unwrap();
    }
    for line in COMMANDS {
        let start = Instant::now();
        let run = run(&project, line);
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "{line}: {:?}", start.elapsed());
    }
    if let Some((time, memory)) = measured(&project, "sync") {
        println!("{crowd} files: sync {time:?}, {memory} KiB");
        assert!(memory < 64 << 10, "{memory} KiB");
    }
}

#[test]
fn names_that_are_no_issue_files_cost_little_however_many_there_are() {
    let crowd = if std::env::var_os("OXI_STATE_LONG").is_some() { 100_000 } else { 8_000 };
    for name in ["junk\u{1b}", "7-misspelled"] {
        let project = project_with(&[issue(1, "first")]);
        let Some((_, normal)) = measured(&project, "import") else {
            eprintln!("skipped: python3 cannot be asked for the memory of a process");
            return;
        };
        let mut made = 0;
        let mut crowded = |many: usize| {
            for number in made..many {
                project.write(&format!("{name}-{number}.md"), "");
            }
            made = many;
            measured(&project, "import").unwrap()
        };
        let [(quarter, _), (whole, memory)] = [crowd / 4, crowd].map(&mut crowded);
        println!("{crowd} of {name:?}: {whole:?}, {memory} KiB; a quarter of them {quarter:?}; none {normal} KiB");
        assert!(memory - normal.min(memory) < 64 << 10, "{name:?}: {memory} KiB, {normal} without");
        // four times as many in four times as long; sixteen times would be each one against each other
        assert!(whole < quarter * 8 + Duration::from_millis(50), "{name:?}: {quarter:?}, then {whole:?}");
        assert_eq!(project.field(1, "title"), "first");
    }
}
