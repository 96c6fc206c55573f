//! Disks without room, disks and folders that may not be written: each a real one, in a mount namespace of its own.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use crate::calls::for_each;
use crate::commands::{CASES, Case};
use crate::noise::noise;
use crate::sandbox::{Run, Sandbox, long, program};

/// A process that keeps a mount namespace open, in which a sandbox lies on a small file system.
struct Disk {
    holder: Child,
    project: Sandbox,
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Disk {
    /// A copy of a sandbox on a file system of its own; none where that is not allowed.
    fn with(project: &Sandbox) -> Option<Self> {
        let copy = project.copy();
        let place = copy.temp.path().canonicalize().unwrap();
        // what is copied lies beneath the new file system, which hides it
        let script = "cp -a \"$1\" \"$1.copied\" && mount -t tmpfs -o size=8m tmpfs \"$1\" && cp -a \"$1.copied/.\" \"$1\" \
                      && rm -r \"$1.copied\" && echo ready && exec sleep 600";
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(&place)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut said).ok()?;
        if said != "ready\n" {
            holder.wait().ok()?;
            return None;
        }
        let project = Sandbox { inside: Some(holder.id()), ..copy };
        Some(Self { holder, project })
    }

    fn sh(&self, script: &str) {
        let done = self.project.command("sh").args(["-c", script]).output().unwrap();
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Leaves so many KiB of room.
    fn fill(&self, free: usize) {
        // written to the end, then cut: a file system counts whole pages
        self.sh(&format!(
            "cat /dev/zero > ../ballast 2> /dev/null; truncate -s $(($(stat -c %s ../ballast) - {free} * 1024)) ../ballast"
        ));
    }
}

/// One of these is in the hint of the error.
#[track_caller]
fn says_what_to_do(run: &Run, remedies: &[&str]) {
    let hint = run.stderr.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default();
    assert!(remedies.iter().any(|remedy| hint.contains(remedy)), "no hint such as {remedies:?}: {run:?}");
}

fn can_mount() -> bool {
    let can = Disk::with(&Sandbox::new()).is_some();
    if !can {
        println!("skipped: this test mounts a file system, which is not allowed here");
    }
    can
}

/// Runs a command with more and more room until it succeeds; answers how often it failed.
fn with_little_room(case: &Case) -> usize {
    let template = (case.project)();
    let before = template.copy().state();
    let clean = template.copy();
    clean.run(case.args);
    let after = clean.state();
    let (mut free, mut failed) = (0, 0);
    loop {
        let disk = Disk::with(&template).unwrap();
        disk.fill(free);
        let run = disk.project.run(case.args);
        let what = format!("{} with {free} KiB", case.name);
        let done = matches!(run.code, Some(0 | 4));
        if !done {
            failed += 1;
            run.fails_clearly();
            let causes = ["No space left on device", "is it full?", "git"];
            assert!(causes.iter().any(|cause| run.stderr.contains(cause)), "{what}: {run:?}");
            assert_eq!(run.code, Some(1), "{what}: {run:?}");
            says_what_to_do(&run, &["free some space on that disk", "see to the disk", "git"]);
        }
        disk.sh("rm ../ballast");
        disk.project.files_are_whole_in(case.name);
        let state = disk.project.state();
        assert!(state == after || (!done && state == before), "{what}: {run:?}\n{before}---\n{after}---\n{state}");
        disk.project.run(case.args);
        if case.name != "migrate" {
            disk.project.goes_on();
        }
        if done {
            return failed;
        }
        free += if long() { 4 } else { free.max(48) };
    }
}

#[test]
fn on_a_full_disk_a_command_fails_clearly_or_succeeds_and_nothing_is_lost() {
    if !can_mount() {
        return;
    }
    let some = ["create", "export many", "sync", "init of a clone", "migrate", "snapshot", "compact", "config set"];
    let cases: Vec<_> = CASES.iter().filter(|case| long() || some.contains(&case.name)).collect();
    let failures = std::sync::Mutex::new(Vec::new());
    for_each(&cases, |case| {
        let failed = with_little_room(case);
        failures.lock().unwrap().push(format!("{}: {failed}", case.name));
    });
    println!("failed for lack of room, {}", failures.into_inner().unwrap().join(", "));
}

#[test]
fn on_a_full_disk_doctor_says_that_the_engine_checked_nothing() {
    if !can_mount() {
        return;
    }
    let disk = Disk::with(&(CASES[0].project)()).unwrap();
    disk.fill(0);
    let run = disk.project.run(&["doctor"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("unchecked: ") && run.stdout.contains("No space left on device"), "{run:?}");
    assert!(!run.stdout.contains("nothing is wrong"), "{run:?}");
    disk.sh("rm ../ballast");
    disk.project.ok(&["doctor"]);
}

#[test]
fn on_a_read_only_disk_reading_works_and_a_change_fails_clearly() {
    if !can_mount() {
        return;
    }
    let mut commands: Vec<&Case> = CASES.iter().collect();
    commands.retain(|case| !["init of a clone", "first command in a clone", "migrate"].contains(&case.name));
    for_each(&commands, |case| {
        let template = (case.project)();
        let before = template.copy().state();
        let disk = Disk::with(&template).unwrap();
        disk.sh("mount -o remount,ro ..");
        let run = disk.project.run(case.args);
        run.fails_clearly();
        assert!(run.stderr.contains("Read-only file system"), "{}: {run:?}", case.name);
        assert!(run.stderr.contains('/'), "{}: {run:?}", case.name);
        says_what_to_do(&run, &["mount that read-only disk for writing", "git"]);
        assert_eq!(disk.project.state(), before, "{}: reading works", case.name);
        for args in [&["status"][..], &["import", "--dry-run"], &["export", "--dry-run"], &["sync", "--dry-run"]] {
            let run = disk.project.run(args);
            assert!(!run.stderr.contains("Read-only"), "{}: {args:?}: {run:?}", case.name);
        }
        disk.sh("mount -o remount,rw ..");
        disk.project.run(case.args);
        disk.project.goes_on();
    });
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n")
}

/// Runs the program as somebody whom permissions stop.
fn run_unprivileged(project: &Sandbox, args: &[&str]) -> Run {
    if !is_root() {
        return project.run(args);
    }
    let mut command = project.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program()).args(args);
    Run::of(command.output().unwrap())
}

/// Gives everything to a user who is not the system's administrator, whom no permission stops.
fn give_to(project: &Sandbox, user: &str) {
    let place = project.temp.path();
    assert!(Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(place).status().unwrap().success());
}

#[test]
fn a_folder_that_may_not_be_written_is_named_and_nothing_is_lost() {
    if is_root() && !crate::sandbox::has("setpriv") {
        return;
    }
    let project = (CASES[0].project)();
    let before = project.state();
    let mode = |path: &str, mode| {
        std::fs::set_permissions(project.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mode_of_database = |bits| {
        for name in project.everything_in(".oxi").iter().filter(|name| name.starts_with("state.")) {
            mode(&format!(".oxi/{name}"), bits);
        }
    };
    let run = |args: &[&str]| run_unprivileged(&project, args);
    if is_root() {
        give_to(&project, "65534");
    }
    mode(".oxi/issues", 0o555);
    let export = run(&["export"]);
    export.fails_clearly();
    assert!(export.stderr.contains("/.oxi/issues/") && export.stderr.contains("Permission denied"), "{export:?}");
    says_what_to_do(&export, &["/.oxi/issues` shows who may read and write there"]);
    let file = format!(".oxi/issues/{}", project.files()[0]);
    mode(&file, 0o000);
    let status = run(&["status"]);
    assert_eq!(status.code, Some(7), "{status:?}");
    let named = format!("bad file {file}: it cannot be read: Permission denied");
    assert!(status.stderr.contains(&named) && status.stderr.contains("hint: bad files are left"), "{status:?}");
    mode(&file, 0o644);
    mode_of_database(0o444);
    mode(".oxi", 0o555);
    for args in [&["issue", "create", "new"][..], &["sync"], &["import"], &["snapshot"], &["compact"]] {
        let run = run(args);
        run.fails_clearly();
        assert!(run.stderr.contains("/.oxi/") && run.stderr.contains("Permission denied"), "{args:?}: {run:?}");
        says_what_to_do(&run, &["/.oxi` shows who may read and write there"]);
    }
    mode(".oxi", 0o755);
    mode(".oxi/issues", 0o755);
    mode_of_database(0o600);
    if is_root() {
        give_to(&project, "0");
    }
    assert_eq!(project.state(), before);
    project.goes_on();
}

#[test]
fn where_nothing_can_be_noted_git_is_asked_each_time() {
    if is_root() && !crate::sandbox::has("setpriv") {
        return;
    }
    let project = (CASES[0].project)();
    project.ok(&["issue", "list"]);
    let note = || std::fs::read_to_string(project.path(".oxi/state.lock-database")).unwrap();
    let noted = note();
    project.git(&["commit", "-q", "--allow-empty", "-m", "a new index"]);
    let list = |code| {
        if is_root() {
            give_to(&project, "65534");
        }
        let mode = |mode| {
            std::fs::set_permissions(project.path(".oxi"), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o555);
        for _ in 0..2 {
            let run = run_unprivileged(&project, &["issue", "list"]);
            assert_eq!(run.code, Some(code), "{run:?}");
        }
        mode(0o755);
        if is_root() {
            give_to(&project, "0");
        }
    };
    list(0);
    project.git(&["add", "-f", ".oxi/state.redb"]);
    list(9);
    project.git(&["rm", "-q", "--cached", ".oxi/state.redb"]);
    list(0);
    assert_eq!(note(), noted, "the folder could not be written");
    project.goes_on();
}

#[test]
fn a_limit_of_the_size_of_files_ends_the_program_and_loses_nothing() {
    // the system sends SIGXFSZ, which ends a process as a kill does
    let project = (CASES[0].project)();
    let before = project.state();
    let script = "ulimit -f 64; exec \"$@\"";
    let body = noise(1, 100_000) + "\nthe end\n";
    let mut command = project.command("sh");
    command.args(["-c", script, "sh"]).arg(program()).args(["issue", "create", "large", "--body", &body]);
    let run = Run::of(command.output().unwrap());
    assert_ne!(run.code, Some(0), "{run:?}");
    assert_eq!(project.state(), before);
    project.goes_on();
}
