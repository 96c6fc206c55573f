//! Reaping, alone and against sessions that begin.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use super::*;

fn age(folder: &Dir, session: &str, seconds: u64) {
    let file = File::options().write(true).open(folder.path().join(session)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "files are as old as the clock says")]
fn now() -> Timestamp {
    Timestamp::new(chrono::Utc::now())
}

fn reaped(folder: &Dir, dry_run: bool) -> Vec<String> {
    let report = reap(folder, now(), reap::MIN_AGE, dry_run).unwrap();
    report.removed.iter().map(|session| session.as_str().to_owned()).collect()
}

#[test]
fn only_old_files_that_nobody_needs_are_removed() {
    let (_folder, dir) = issues();
    let alive = folder_of(&dir);
    let ours = Payload::begin(process::of(std::process::id()).unwrap(), NOON.parse().unwrap());
    let process = |change: fn(&mut crate::schema::process::Process)| {
        let mut payload = ours.clone();
        payload.process.as_mut().into_iter().for_each(change);
        payload
    };
    let dead = process(|process| process.started = process.started.map(|ticks| ticks + 1));
    let unknown = process(|process| {
        process.host = Some("elsewhere".into());
        process.boot = Some("theirs".into());
    });
    let held = lease(&dir, "held").unwrap();
    for (session, payload) in [("living", &ours), ("dead", &dead), ("far", &unknown), ("far-and-old", &unknown)] {
        assert_eq!(register(&alive, &id(session), payload).unwrap(), Registered::Done);
    }
    for session in ["empty", "young", "future"] {
        File::create(alive.path().join(session)).unwrap();
    }
    for session in ["held", "living", "dead", "far", "empty"] {
        age(&alive, session, 3601);
    }
    age(&alive, "far-and-old", 86_401);
    age(&alive, "young", 3500);
    let future = File::options().write(true).open(alive.path().join("future")).unwrap();
    future.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    let expected: &[_] =
        if cfg!(target_os = "linux") { &["dead", "empty", "far-and-old"] } else { &["empty", "far-and-old"] };
    assert_eq!(reaped(&alive, true), expected);
    assert_eq!(reaped(&alive, false), expected);
    assert_eq!(reaped(&alive, false), [""; 0]);
    assert_eq!(probe(&dir, "held"), Liveness::Alive);
    drop(held);
    age(&alive, "held", 3601);
    assert_eq!(reaped(&alive, false), ["held"]);
}

#[test]
fn what_is_no_lock_file_of_a_session_is_left_alone() {
    let (folder, dir) = issues();
    let alive = folder_of(&dir);
    let outside = folder.path().join("outside");
    File::create(&outside).unwrap();
    symlink(&outside, alive.path().join("link")).unwrap();
    std::fs::create_dir(alive.path().join("folder")).unwrap();
    File::create(alive.path().join(".hidden")).unwrap();
    let fifo = alive.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let before = alive.names().unwrap().len();
    let later = Timestamp::new(now().get() + TimeDelta::days(30));
    assert_eq!(reap(&alive, later, Duration::ZERO, false).unwrap().removed, []);
    assert_eq!(alive.names().unwrap().len(), before);
}

#[test]
fn sessions_begin_while_others_reap_and_none_is_lost() {
    let (_folder, dir) = issues();
    let alive = folder_of(&dir);
    let stop = AtomicBool::new(false);
    let (holders, begun, removed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Acquired::Held(lease) = Lease::acquire(&alive, &id("s"), &Payload::default()).unwrap() else {
                        continue;
                    };
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "one holder only");
                    let inode =
                        File::open(alive.path().join("s")).expect("its file is there").metadata().unwrap().ino();
                    assert_eq!(evidence(&alive, "s").lock, LockState::Held);
                    std::thread::yield_now();
                    let still = File::open(alive.path().join("s")).expect("its file stays").metadata().unwrap().ino();
                    assert_eq!(inode, still);
                    holders.fetch_sub(1, Ordering::SeqCst);
                    begun.fetch_add(1, Ordering::Relaxed);
                    drop(lease);
                    // the reapers' turn
                    std::thread::sleep(Duration::from_micros(300));
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let report = reap(&alive, now(), Duration::ZERO, false).unwrap();
                    removed.fetch_add(u32::try_from(report.removed.len()).unwrap(), Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
    });
    let (begun, removed) = (begun.into_inner(), removed.into_inner());
    assert!(begun > 20 && removed > 5, "{begun} begun, {removed} removed");
}
