use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use super::*;
use crate::claims::Scope;
use crate::db::{Author, Store};
use crate::liveness::Watch;
use crate::schema::issue::{Issue, IssueHead};

struct World {
    _folder: tempfile::TempDir,
    store: Store,
    folders: Vec<Dir>,
}

const NOON: &str = "2026-06-17T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(text: &str) -> SessionId {
    text.parse().unwrap()
}

impl World {
    /// Two folders of lock files, as a linked work tree has.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::create(folder.path()).unwrap();
        let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
        store.create_if_missing().unwrap();
        let mut folders = folders(&project).unwrap();
        folders.push(project.state().ensure_dir("shared").unwrap());
        Self { _folder: folder, store, folders }
    }

    fn write<R>(&self, now: &str, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, StoreError>) -> R {
        self.store.write(&Author { actor: "ada".into(), session: None, now: at(now) }, work).unwrap()
    }

    fn begin(&self, session: &str, process: Option<&Process>) -> Noted {
        let beginning = Beginning { id: id(session), name: None, process: process.cloned(), project: None };
        self.write(NOON, |txn| note_begin(txn, &beginning))
    }

    fn record(&self, session: &str) -> Option<Session> {
        self.store.read().unwrap().record(session).unwrap()
    }

    fn dead(&self, now: &str) -> Vec<String> {
        let dead = dead(&*self.store.read().unwrap(), &self.folders, at(now), liveness::REMOTE_TTL).unwrap();
        dead.iter().map(ToString::to_string).collect()
    }

    fn shared(&self) -> &Path {
        self.folders[1].path()
    }
}

fn ours() -> Process {
    process::of(std::process::id()).unwrap()
}

fn sleeper() -> Child {
    Command::new("sleep").arg("60").spawn().unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_session_is_begun_in_all_folders_or_in_none() {
    let world = World::new();
    let other = Lease::acquire(&world.folders[1], &id("s"), &Payload::begin(ours(), at(NOON))).unwrap();
    let Begun::Taken(Some(holder)) = Leases::acquire(&world.folders, &id("s"), ours(), at(NOON)).unwrap() else {
        panic!("it is held in the second folder");
    };
    assert_eq!(holder.process, Some(ours()));
    assert_ne!(liveness::evidence(&world.folders[0], "s").lock, LockState::Held, "the first one was given back");
    drop(other);
    let Begun::Held(leases) = Leases::acquire(&world.folders, &id("s"), ours(), at(NOON)).unwrap() else {
        panic!("it is free");
    };
    assert_eq!(holder_of(&world), Some(ours()));
    assert!(matches!(end(&world.folders, &id("s"), at(NOON)).unwrap(), Ended::Held(Some(_))));
    leases.end(at(NOON));
    assert_eq!(holder_of(&world), None);
    assert!(world.shared().join("s").exists());
}

fn holder_of(world: &World) -> Option<Process> {
    holder(&evidence(&world.folders, "s")).cloned()
}

#[test]
fn a_session_that_lives_in_another_work_tree_is_not_registered_here() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = World::new();
    let child = sleeper();
    let theirs = Payload::begin(process::of(child.id()).unwrap(), at(NOON));
    assert_eq!(liveness::register(&world.folders[1], &id("s"), &theirs).unwrap(), Registered::Done);
    for process in [Some(&ours()), None] {
        let taken = register(&world.folders, &id("s"), process, at(NOON)).unwrap();
        assert_eq!(taken, Registered::Taken(Some(theirs.clone())));
    }
    assert_eq!(liveness::read_payload(&world.folders[1], &id("s")), Some(theirs), "it is left as it was");
    kill(child);
    let dead = liveness::judge(&evidence(&world.folders, "s"), None, false);
    assert_eq!(dead, Standing::Dead, "no folder says that it is ours");
}

#[test]
fn a_session_that_ended_may_begin_again_and_keeps_what_is_known_of_it() {
    let world = World::new();
    assert_eq!(world.begin("s", Some(&ours())), Noted::Begun { before: None });
    let first = world.record("s").unwrap();
    assert_eq!((first.state, &first.process), (SessionState::Active, &Some(ours())));
    assert!(world.write("2026-06-17T13:00:00Z", |txn| note_end(txn, &id("s"), Op::End)));
    assert!(!world.write("2026-06-17T14:00:00Z", |txn| note_end(txn, &id("s"), Op::End)), "once");
    let ended = world.record("s").unwrap();
    assert_eq!((ended.state, ended.ended_at), (SessionState::Ended, Some(at("2026-06-17T13:00:00Z"))));
    assert_eq!(ended.process, None);
    let again =
        Beginning { id: id("s"), name: Some("nightly".into()), process: Some(ours()), project: Some(".".into()) };
    let _ = world.write("2026-06-18T12:00:00Z", |txn| note_begin(txn, &again));
    let now = world.record("s").unwrap();
    assert_eq!((now.state, now.ended_at, now.created_at), (SessionState::Active, None, at(NOON)));
    assert_eq!((now.name.as_deref(), now.project.as_deref()), (Some("nightly"), Some(".")));
    assert_eq!(now.last_activity_at, at("2026-06-18T12:00:00Z"));
    assert!(!world.write(NOON, |txn| note_end(txn, &id("nobody"), Op::End)));
}

#[test]
fn a_record_that_names_a_living_process_is_not_taken_by_another() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = World::new();
    let child = sleeper();
    let process = process::of(child.id()).unwrap();
    let _ = world.begin("s", Some(&process));
    assert_eq!(world.begin("s", Some(&ours())), Noted::Taken(process.clone()));
    assert_eq!(world.begin("s", None), Noted::Taken(process.clone()));
    let before = world.record("s").map(Box::new);
    assert_eq!(world.begin("s", Some(&process)), Noted::Begun { before }, "its own, again");
    kill(child);
    assert!(matches!(world.begin("s", Some(&ours())), Noted::Begun { .. }));
}

#[test]
fn what_came_to_nothing_leaves_things_as_they_were() {
    let world = World::new();
    let _ = world.begin("new", Some(&ours()));
    world.write(NOON, |txn| withdraw(txn, &id("new"), None));
    assert_eq!(world.record("new"), None);
    let _ = world.begin("old", None);
    world.write(NOON, |txn| note_end(txn, &id("old"), Op::End));
    let before = world.record("old").unwrap();
    let _ = world.begin("old", Some(&ours()));
    world.write(NOON, |txn| withdraw(txn, &id("old"), Some(&before)));
    assert_eq!(world.record("old"), Some(before));
}

#[test]
fn the_dead_are_found_by_lock_process_and_time() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = World::new();
    let child = sleeper();
    let (child_process, us) = (process::of(child.id()).unwrap(), ours());
    for session in ["by-process", "by-process-reaped"] {
        assert_eq!(register(&world.folders, &id(session), Some(&child_process), at(NOON)).unwrap(), Registered::Done);
        let _ = world.begin(session, Some(&child_process));
    }
    let _ = world.begin("by-record-alone", Some(&us));
    let _ = world.begin("nothing-known", None);
    let Begun::Held(leases) = Leases::acquire(&world.folders, &id("by-lock"), us.clone(), at(NOON)).unwrap() else {
        panic!("it is free");
    };
    let _ = world.begin("by-lock", Some(&us));
    let _ = world.begin("ended", Some(&child_process));
    world.write(NOON, |txn| note_end(txn, &id("ended"), Op::End));
    assert_eq!(world.dead(NOON), [""; 0]);
    assert_eq!(world.dead("2026-06-18T12:00:00Z"), ["nothing-known"], "a day later");
    // the original's reaper takes lock files away that nobody holds
    for folder in &world.folders {
        folder.remove("by-process-reaped").unwrap();
    }
    assert_eq!(world.dead(NOON), [""; 0]);
    kill(child);
    assert_eq!(world.dead(NOON), ["by-process", "by-process-reaped"]);
    leases.end(at(NOON));
    assert_eq!(world.dead(NOON), ["by-process", "by-process-reaped"], "its record names a process that lives");
}

#[test]
fn a_session_without_a_process_is_not_as_dead_as_the_one_before_of_its_name() {
    let world = World::new();
    assert_eq!(register(&world.folders, &id("s"), Some(&ours()), at(NOON)).unwrap(), Registered::Done);
    assert_eq!(end(&world.folders, &id("s"), at(NOON)).unwrap(), Ended::Done);
    assert_eq!(register(&world.folders, &id("s"), None, at(NOON)).unwrap(), Registered::Done);
    let _ = world.begin("s", None);
    let record = world.record("s").unwrap();
    assert_eq!(standing(&evidence(&world.folders, "s"), &record), Standing::NeverSeen);
    let evidence = evidence(&world.folders, "s");
    assert_eq!(liveness(&evidence, &record, at(NOON), liveness::REMOTE_TTL), Liveness::Unknown);
    assert_eq!(liveness(&evidence, &record, at(NOON), TimeDelta::zero()), Liveness::Dead, "as long as it was told");
}

type Work<'a> = &'a dyn Fn(&mut WriteTxn<'_>, Access<'_>) -> Result<Vec<IssueId>, StoreError>;

#[test]
fn all_that_a_session_has_is_given_back_and_nothing_else() {
    let world = World::new();
    let watch = Watch::new(Vec::new(), at(NOON));
    let claims = |session: &str, work: Work<'_>| {
        let author = Author { actor: "ada".into(), session: Some(id(session)), now: at(NOON) };
        claims::write(&world.store, &author, Scope { watch: &watch, shared: None, force: true }, work).unwrap()
    };
    let create = |session: &str| {
        let create = |txn: &mut WriteTxn<'_>, access: Access<'_>| {
            let issue =
                txn.create(|id, now| Issue { head: IssueHead::new(id, "a".into(), now), body: String::new() })?;
            let number = issue.issue.head.id;
            let _ = claims::start(txn, number, None, access)?;
            Ok(vec![number])
        };
        claims(session, &create)[0]
    };
    let (one, other, two) = (create("s"), create("other"), create("s"));
    claims("s", &|txn, access| claims::link(txn, other, None, &id("s"), access).map(|_| Vec::new()));
    assert_eq!(claims("x", &|txn, access| release_all(txn, &id("s"), access)), [one, two]);
    assert_eq!(claims("x", &|txn, access| release_all(txn, &id("s"), access)), []);
    let owner = |number| world.store.read().unwrap().head(number).unwrap().unwrap().head.assigned_to;
    assert_eq!((owner(one), owner(two)), (None, None));
    assert_eq!(owner(other).unwrap().session, "other");
}

#[test]
fn sessions_are_found_by_the_beginning_of_their_id() {
    let world = World::new();
    for session in ["ab1", "ab2", "ab", "c%"] {
        let _ = world.begin(session, None);
    }
    let read = world.store.read().unwrap();
    let find = |text: &str| match find(&read, text).unwrap() {
        Found::One(session) => session.id.to_string(),
        Found::None => "none".into(),
        Found::Several(ids) => format!("{} of them", ids.len()),
    };
    assert_eq!(["ab", "ab1", "a", "c", "d", ""].map(find), ["ab", "ab1", "3 of them", "c%", "none", "none"]);
}
