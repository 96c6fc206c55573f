use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::schema::id::SessionId;

mod processes;
mod reaping;

fn issues() -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open(folder.path()).unwrap();
    (folder, dir)
}

fn folder_of(issues: &Dir) -> Dir {
    ensure_folder(issues).unwrap()
}

fn id(text: &str) -> SessionId {
    text.parse().unwrap()
}

/// Takes the lease of a session of this very process.
fn lease(issues: &Dir, session: &str) -> Option<Lease> {
    let payload = Payload::begin(process::of(std::process::id()).unwrap(), NOON.parse().unwrap());
    Lease::acquire(&ensure_folder(issues).unwrap(), &id(session), &payload).unwrap().lease()
}

/// Whether the owner of a claim is alive, as somebody who looks at the folder now finds it.
fn owner(issues: Option<&Dir>, claim: &Assignment, now: Timestamp) -> Liveness {
    let folder = issues.map_or(Ok(None), folder);
    let mut watch = Watch::new(Vec::new(), now);
    watch.blind = folder.is_err();
    watch.folders.extend(folder.ok().flatten());
    watch.owner(claim, Known::default())
}

fn claim(session: &str, acquired_at: &str) -> Assignment {
    Assignment { session: session.into(), acquired_at: acquired_at.parse().unwrap() }
}

#[test]
fn a_claim_from_elsewhere_is_honoured_as_long_as_the_watch_was_told() {
    let made = claim("elsewhere", NOON);
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let watch = |time: &str, minutes| Watch::new(Vec::new(), at(time)).with_remote_ttl(TimeDelta::minutes(minutes));
    let owner = |watch: Watch| watch.owner(&made, Known::default());
    assert_eq!(owner(Watch::new(Vec::new(), at("2026-06-18T11:59:59Z"))), Liveness::Unknown, "a day by default");
    assert_eq!(owner(Watch::new(Vec::new(), at("2026-06-18T12:00:00Z"))), Liveness::Dead);
    assert_eq!(owner(watch("2026-06-17T12:29:59Z", 30)), Liveness::Unknown);
    assert_eq!(owner(watch("2026-06-17T12:30:00Z", 30)), Liveness::Dead);
    assert_eq!(owner(watch("2026-06-20T12:00:00Z", 60 * 24 * 7)), Liveness::Unknown);
    assert_eq!(owner(watch(NOON, 0)), Liveness::Dead);
}

const NOON: &str = "2026-06-17T12:00:00Z";

#[test]
fn a_session_lives_as_long_as_its_lease() {
    let (folder, dir) = issues();
    assert_eq!(probe(&dir, "s1"), Liveness::Unknown, "no folder");
    let held = lease(&dir, "s1").unwrap();
    assert_eq!(held.session().as_str(), "s1");
    assert_eq!(probe(&dir, "s1"), Liveness::Alive);
    assert_eq!(probe(&dir, "s2"), Liveness::Unknown, "no file");
    assert!(lease(&dir, "s1").is_none(), "one holder only");
    drop(held);
    assert_eq!(probe(&dir, "s1"), Liveness::Dead);
    assert!(folder.path().join(".alive/s1").exists(), "not unlinked");
    let again = lease(&dir, "s1");
    assert!(again.is_some());
    assert_eq!(probe(&dir, "s1"), Liveness::Alive);
}

#[test]
fn probes_neither_hide_each_other_nor_keep_a_session_from_its_lease() {
    let (_folder, dir) = issues();
    drop(lease(&dir, "s"));
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
            drop(lease(&dir, "s").expect("only probes are in the way"));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_lock_file_that_was_removed_leaves_the_lease_to_the_next() {
    let (folder, dir) = issues();
    let old = lease(&dir, "s").unwrap();
    std::fs::remove_file(folder.path().join(".alive/s")).unwrap();
    assert_eq!(probe(&dir, "s"), Liveness::Unknown);
    let new = lease(&dir, "s").unwrap();
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
        let alive = folder_of(&dir);
        assert!(Lease::acquire(&alive, &id(unusable), &Payload::default()).is_err());
        assert!(register(&alive, &id(unusable), &Payload::default()).is_err());
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
    assert!(ensure_folder(&dir).is_err());
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
    let held = lease(&dir, "near");
    assert_eq!(owner(Some(&dir), &old, NOON.parse().unwrap()), Liveness::Alive);
    drop(held);
    assert_eq!(owner(Some(&dir), &claim("near", NOON), NOON.parse().unwrap()), Liveness::Dead);
    let file = folder.path().join(".alive/near");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    // root reads everything
    if std::fs::File::open(&file).is_err() {
        assert_eq!(owner(Some(&dir), &old, NOON.parse().unwrap()), Liveness::Unknown);
    }
}

fn child(millis: u32) -> std::process::Child {
    std::process::Command::new("sleep").arg(format!("{}", f64::from(millis) / 1000.0)).spawn().unwrap()
}

#[test]
fn a_session_that_registered_a_process_lives_as_long_as_it() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let (_folder, dir) = issues();
    let alive = folder_of(&dir);
    let mut process = child(60_000);
    let payload = Payload::begin(process::of(process.id()).unwrap(), NOON.parse().unwrap());
    assert_eq!(register(&alive, &id("s"), &payload).unwrap(), Registered::Done);
    let seen = evidence(&alive, "s");
    assert_eq!((seen.lock, seen.process), (LockState::Free, Some(Liveness::Alive)), "nobody holds the lock");
    assert_eq!(seen.payload.as_ref(), Some(&payload));
    assert_eq!(read_payload(&alive, &id("s")), Some(payload.clone()));
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    // by itself again: nothing new; by anybody else: no
    assert_eq!(register(&alive, &id("s"), &payload).unwrap(), Registered::Done);
    let ours = Payload::begin(process::of(std::process::id()).unwrap(), NOON.parse().unwrap());
    assert_eq!(register(&alive, &id("s"), &ours).unwrap(), Registered::Taken(Some(payload.clone())));
    assert!(matches!(Lease::acquire(&alive, &id("s"), &ours).unwrap(), Acquired::Taken(Some(_))));
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(probe(&dir, "s"), Liveness::Dead);
    assert!(lease(&dir, "s").is_some(), "the name of a dead session can be had");
}

#[test]
fn nobody_registers_ends_or_forgets_a_session_whose_lock_is_held() {
    let (_folder, dir) = issues();
    let alive = folder_of(&dir);
    let held = lease(&dir, "s").unwrap();
    let other = Payload { process: None, started: Some(1), ended: None };
    assert!(matches!(register(&alive, &id("s"), &other).unwrap(), Registered::Taken(Some(_))));
    let Ended::Held(Some(payload)) = end(&alive, &id("s"), NOON.parse().unwrap()).unwrap() else {
        panic!("it is held");
    };
    assert_eq!(payload.process.unwrap().pid, std::process::id());
    assert!(matches!(forget(&alive, &id("s")).unwrap(), Ended::Held(_)));
    assert_eq!(probe(&dir, "s"), Liveness::Alive);
    drop(held);
}

#[test]
fn an_ended_session_is_dead_whatever_its_process_does() {
    let (_folder, dir) = issues();
    let alive = folder_of(&dir);
    let now = "2026-06-17T12:00:05Z".parse().unwrap();
    assert_eq!(end(&alive, &id("s"), now).unwrap(), Ended::Absent);
    let ours = Payload::begin(process::of(std::process::id()).unwrap(), NOON.parse().unwrap());
    let over = Payload { process: None, ended: ours.started.map(|at| at + 5), ..ours.clone() };
    assert_eq!(register(&alive, &id("s"), &ours).unwrap(), Registered::Done);
    assert_eq!(end(&alive, &id("s"), now).unwrap(), Ended::Done);
    assert_eq!(read_payload(&alive, &id("s")), Some(over.clone()));
    assert_eq!(probe(&dir, "s"), Liveness::Dead);
    lease(&dir, "s").unwrap().end(now);
    assert_eq!(read_payload(&alive, &id("s")), Some(over));
    assert_eq!(probe(&dir, "s"), Liveness::Dead);
    assert_eq!(forget(&alive, &id("s")).unwrap(), Ended::Done);
    assert_eq!(probe(&dir, "s"), Liveness::Unknown, "as if never seen");
    assert_eq!(forget(&alive, &id("s")).unwrap(), Ended::Absent);
}

#[test]
fn a_payload_that_says_nothing_neither_kills_nor_saves() {
    let (folder, dir) = issues();
    let alive = folder_of(&dir);
    for text in ["", "garbage", "{\"session\":\"other\",\"pid\":1}", &"x".repeat(10_000)] {
        let held = lease(&dir, "s").unwrap();
        // as an editor or a full disk would leave it
        let mut file =
            std::fs::File::options().write(true).truncate(true).open(folder.path().join(".alive/s")).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let seen = evidence(&alive, "s");
        assert_eq!((seen.lock, seen.payload), (LockState::Held, None));
        assert!(matches!(end(&alive, &id("s"), NOON.parse().unwrap()).unwrap(), Ended::Held(None)));
        // the holder goes without a word
        std::mem::drop(held);
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        assert_eq!(probe(&dir, "s"), Liveness::Dead, "nobody holds the lock");
    }
}
