use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;

fn issues() -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open(folder.path()).unwrap();
    (folder, dir)
}

fn id(text: &str) -> SessionId {
    text.parse().unwrap()
}

/// Whether the owner of a claim is alive, as somebody who looks at the folder now finds it.
fn owner(issues: Option<&Dir>, claim: &Assignment, now: Timestamp) -> Liveness {
    let folder = issues.map(|issues| issues.open_dir(FOLDER));
    let mut watch = Watch::new(Vec::new(), now);
    match folder {
        Some(Ok(folder)) => watch.folders.push(folder),
        Some(Err(error)) if !error.is_not_found() => watch.blind = true,
        _ => {}
    }
    watch.owner(claim, Known::default())
}

fn claim(session: &str, acquired_at: &str) -> Assignment {
    Assignment { session: session.into(), acquired_at: acquired_at.parse().unwrap() }
}

const NOON: &str = "2026-06-17T12:00:00Z";

#[test]
fn a_session_lives_as_long_as_its_lease() {
    let (folder, dir) = issues();
    assert_eq!(probe(&dir, "s1"), Liveness::Unknown, "no folder");
    let lease = Lease::acquire(&dir, &id("s1")).unwrap().unwrap();
    assert_eq!(lease.session().as_str(), "s1");
    assert_eq!(probe(&dir, "s1"), Liveness::Alive);
    assert_eq!(probe(&dir, "s2"), Liveness::Unknown, "no file");
    assert!(Lease::acquire(&dir, &id("s1")).unwrap().is_none(), "one holder only");
    drop(lease);
    assert_eq!(probe(&dir, "s1"), Liveness::Dead);
    assert!(folder.path().join(".alive/s1").exists(), "never unlinked");
    let again = Lease::acquire(&dir, &id("s1")).unwrap();
    assert!(again.is_some());
    assert_eq!(probe(&dir, "s1"), Liveness::Alive);
}

#[test]
fn a_killed_process_is_dead() {
    // this very test binary is the child: it takes the lease and waits to be killed
    if let Some(path) = std::env::var_os("OXI_STATE_TEST_HOLD") {
        let dir = Dir::open(path.as_ref()).unwrap();
        let lease = Lease::acquire(&dir, &id("child")).unwrap().unwrap();
        println!("\nheld");
        std::thread::sleep(Duration::from_secs(60));
        drop(lease);
        return;
    }
    let (folder, dir) = issues();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "liveness::tests::a_killed_process_is_dead", "--nocapture"])
        .env("OXI_STATE_TEST_HOLD", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"), "the child took its lease");
    assert_eq!(probe(&dir, "child"), Liveness::Alive);
    assert!(Lease::acquire(&dir, &id("child")).unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(probe(&dir, "child"), Liveness::Dead);
}

#[test]
fn probes_neither_hide_each_other_nor_keep_a_session_from_its_lease() {
    let (_folder, dir) = issues();
    drop(Lease::acquire(&dir, &id("s")).unwrap());
    let (stop, seen_alive) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if probe(&dir, "s") == Liveness::Alive {
                        seen_alive.fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(seen_alive.load(Ordering::Relaxed), 0, "a probe is not taken for the session");
        for _ in 0..50 {
            let lease = Lease::acquire(&dir, &id("s")).unwrap().expect("only probes are in the way");
            drop(lease);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_lock_file_that_was_removed_leaves_the_lease_to_the_next() {
    let (folder, dir) = issues();
    let old = Lease::acquire(&dir, &id("s")).unwrap().unwrap();
    std::fs::remove_file(folder.path().join(".alive/s")).unwrap();
    assert_eq!(probe(&dir, "s"), Liveness::Unknown);
    let new = Lease::acquire(&dir, &id("s")).unwrap().unwrap();
    drop(old);
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    drop(new);
}

#[test]
fn names_and_links_do_not_lead_out_of_the_folder() {
    let (folder, dir) = issues();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::File::create(outside.join("s")).unwrap();
    std::fs::create_dir(folder.path().join(".alive")).unwrap();
    for bad in ["", "..", "../outside/s", "/etc/passwd", "a/b"] {
        assert_eq!(probe(&dir, bad), Liveness::Unknown, "{bad:?}");
    }
    symlink(outside.join("s"), folder.path().join(".alive/linked")).unwrap();
    std::fs::create_dir(folder.path().join(".alive/folder")).unwrap();
    for unusable in ["linked", "folder"] {
        assert_eq!(probe(&dir, unusable), Liveness::Unknown);
        assert!(Lease::acquire(&dir, &id(unusable)).is_err());
        assert_eq!(
            owner(Some(&dir), &claim(unusable, "2020-01-01T00:00:00Z"), NOON.parse().unwrap()),
            Liveness::Unknown
        );
    }
    std::fs::remove_file(folder.path().join(".alive/linked")).unwrap();
    std::fs::remove_dir(folder.path().join(".alive/folder")).unwrap();
    std::fs::remove_dir(folder.path().join(".alive")).unwrap();
    symlink(&outside, folder.path().join(".alive")).unwrap();
    assert_eq!(probe(&dir, "s"), Liveness::Unknown, "a linked folder is not followed");
    assert!(Lease::acquire(&dir, &id("s")).is_err());
}

#[test]
fn a_session_never_seen_here_is_unknown_for_a_day() {
    let (_folder, dir) = issues();
    let state = |acquired_at: &str, now: &str| owner(Some(&dir), &claim("far", acquired_at), now.parse().unwrap());
    assert_eq!(state(NOON, NOON), Liveness::Unknown);
    assert_eq!(state(NOON, "2026-06-18T11:59:59.999999999Z"), Liveness::Unknown);
    assert_eq!(state(NOON, "2026-06-18T12:00:00Z"), Liveness::Dead);
    assert_eq!(state("+200000-01-01T00:00:00Z", NOON), Liveness::Unknown, "from the future");
    assert_eq!(owner(None, &claim("far", NOON), NOON.parse().unwrap()), Liveness::Unknown);
    assert_eq!(owner(None, &claim("a/b", NOON), NOON.parse().unwrap()), Liveness::Unknown);
    assert_eq!(owner(None, &claim("a/b", "2026-06-01T00:00:00Z"), NOON.parse().unwrap()), Liveness::Dead);
    assert_eq!(owner(None, &claim("", NOON), NOON.parse().unwrap()), Liveness::Dead);
}

#[test]
fn a_session_seen_here_goes_by_its_lock_however_old_its_claim() {
    let (folder, dir) = issues();
    let old = claim("near", "2020-01-01T00:00:00Z");
    let lease = Lease::acquire(&dir, &id("near")).unwrap();
    assert_eq!(owner(Some(&dir), &old, NOON.parse().unwrap()), Liveness::Alive);
    drop(lease);
    assert_eq!(owner(Some(&dir), &claim("near", NOON), NOON.parse().unwrap()), Liveness::Dead);
    let file = folder.path().join(".alive/near");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    // root reads everything
    if std::fs::File::open(&file).is_err() {
        assert_eq!(owner(Some(&dir), &old, NOON.parse().unwrap()), Liveness::Unknown);
    }
}
