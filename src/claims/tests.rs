use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::db::{Author, Store};
use crate::fs::Dir;
use crate::liveness::{self, Lease, Payload, Watch};

use Action::{Close, Link, Release, Reopen, Start, Update};
use Liveness::{Alive, Dead, Unknown};
use Verdict::{Allowed, AlreadySo, Closed, NoSession, NotOwner, Owned};

const HOLDERS: [Holder; 5] =
    [Holder::Nobody, Holder::Caller, Holder::Other(Alive), Holder::Other(Dead), Holder::Other(Unknown)];

/// What an open issue gives for one action, by owner in the order of `HOLDERS`.
struct Row {
    action: Action,
    session: [Verdict; 5],
    person: [Verdict; 5],
    session_with_force: [Verdict; 5],
    person_with_force: [Verdict; 5],
}

/// Changes for which a session must be the owner unless there is none, or a dead one.
const fn row(action: Action, session_of_free: Verdict) -> Row {
    Row {
        action,
        session: [session_of_free, Allowed, Owned, Allowed, Owned],
        person: [Allowed, Allowed, Owned, Allowed, Allowed],
        session_with_force: [Allowed; 5],
        person_with_force: [Allowed; 5],
    }
}

/// Changes that do not ask for the owner.
const fn any_owner(action: Action, verdict: Verdict) -> Row {
    let all = [verdict; 5];
    Row { action, session: all, person: all, session_with_force: all, person_with_force: all }
}

const OPEN: [Row; 6] = [
    Row { person: [NoSession; 5], person_with_force: [NoSession; 5], ..row(Start, Allowed) },
    row(Release, NotOwner),
    row(Close, Allowed),
    row(Update, Allowed),
    any_owner(Reopen, AlreadySo),
    any_owner(Link, Allowed),
];

#[test]
fn the_rules_for_every_owner_caller_and_action() {
    for row in OPEN {
        let columns = [
            (true, false, row.session),
            (false, false, row.person),
            (true, true, row.session_with_force),
            (false, true, row.person_with_force),
        ];
        for (is_session, force, expected) in columns {
            for (holder, open) in HOLDERS.into_iter().zip(expected) {
                let at = |status| {
                    decide(row.action, Standing { holder, is_session, force, status, closed_elsewhere: false })
                };
                let closed = match row.action {
                    Start if is_session => Closed,
                    Close => AlreadySo,
                    Reopen => Allowed,
                    _ => open,
                };
                let case = format!("{:?} {holder:?}, session: {is_session}, force: {force}", row.action);
                assert_eq!(at(Status::Open), open, "{case}");
                assert_eq!(at(Status::Closed), closed, "closed: {case}");
            }
        }
    }
}

struct World {
    _folder: tempfile::TempDir,
    store: Store,
    issues: Dir,
}

const NOW: &str = "2026-06-17T12:00:00Z";

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = Arc::new(Dir::open(folder.path()).unwrap());
        let issues = dir.ensure_dir("issues").unwrap();
        let store = Store::in_dir(dir, Duration::from_secs(10));
        store.create_if_missing().unwrap();
        Self { _folder: folder, store, issues }
    }

    fn author(session: Option<&str>) -> Author {
        Author { actor: "test".into(), session: session.map(|id| id.parse().unwrap()), now: NOW.parse().unwrap() }
    }

    fn run<R>(&self, session: Option<&str>, work: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, StoreError>) -> R {
        self.store.write(&Self::author(session), work).unwrap()
    }

    /// A new issue, as `change` leaves it.
    fn issue(&self, change: impl FnOnce(&mut IssueHead)) -> IssueId {
        let created = self.run(None, |txn| {
            txn.create(|id, now| {
                let mut head = IssueHead::new(id, "title".into(), now);
                change(&mut head);
                Issue { head, body: "body\n".into() }
            })
        });
        created.issue.head.id
    }

    fn claimed_by(&self, session: &str, acquired_at: &str) -> IssueId {
        self.issue(|head| {
            head.assigned_to = Some(Assignment { session: session.into(), acquired_at: acquired_at.parse().unwrap() });
        })
    }

    /// What a caller finds when it looks around now; a test lives shorter than the watch, which remembers what it saw.
    fn access(&self) -> Access<'static> {
        let folders = liveness::folder(&self.issues).unwrap().into_iter().collect();
        let watch = Box::leak(Box::new(Watch::new(folders, NOW.parse().unwrap())));
        Access { watch, claims: Box::leak(Box::default()), force: false }
    }

    fn forced(&self) -> Access<'static> {
        Access { force: true, ..self.access() }
    }

    fn lease(&self, session: &str) -> Lease {
        let folder = liveness::ensure_folder(&self.issues).unwrap();
        Lease::acquire(&folder, &session.parse().unwrap(), &Payload::default()).unwrap().lease().unwrap()
    }
}

fn done(claimed: Claimed) -> Done {
    match claimed {
        Claimed::Done(done) => *done,
        other => panic!("{other:?}"),
    }
}

fn owner(done: &Done) -> Option<&str> {
    done.version.issue.head.assigned_to.as_ref().map(|owner| owner.session.as_str())
}

#[test]
fn a_session_starts_a_free_issue_once() {
    let world = World::new();
    let id = world.issue(|_| ());
    let first = done(world.run(Some("a"), |txn| start(txn, id, None, world.access())));
    assert_eq!((first.changed, owner(&first), first.displaced.clone()), (true, Some("a"), None));
    assert_eq!(first.version.issue.head.sessions, ["a"]);
    assert_eq!(first.version.issue.head.assigned_to.as_ref().unwrap().acquired_at.to_string(), NOW);
    let again = done(world.run(Some("a"), |txn| start(txn, id, None, world.access())));
    assert!(!again.changed && again.version == first.version);
}

#[test]
fn a_live_owner_keeps_an_issue_and_a_dead_one_loses_it() {
    let world = World::new();
    let id = world.claimed_by("a", NOW);
    let lease = world.lease("a");
    let refused = world.run(Some("b"), |txn| start(txn, id, None, world.access()));
    assert!(
        matches!(&refused, Claimed::Refused(Refusal::Owned(Owner { assignment, liveness: Alive, .. })) if assignment.session == "a"),
        "{refused:?}"
    );
    for action in [release, close] {
        let refused = world.run(None, |txn| action(txn, id, None, world.access()));
        assert!(matches!(refused, Claimed::Refused(Refusal::Owned(_))), "a person waits for a live session, too");
    }
    drop(lease);
    let taken = done(world.run(Some("b"), |txn| start(txn, id, None, world.access())));
    assert_eq!(taken.displaced.as_ref().map(|old| old.session.as_str()), Some("a"));
    assert_eq!((owner(&taken), taken.version.issue.head.sessions.as_slice()), (Some("b"), &["b".to_owned()][..]));
}

#[test]
fn a_session_never_seen_here_stops_sessions_for_a_day_but_no_person() {
    let world = World::new();
    let fresh = world.claimed_by("far", "2026-06-16T12:00:01Z");
    let refused = world.run(Some("b"), |txn| update(txn, fresh, None, world.access(), |_, _| ()));
    assert!(matches!(refused, Claimed::Refused(Refusal::Owned(Owner { liveness: Unknown, .. }))));
    let title = |session, id, title: &str| {
        let set = |issue: &mut Issue, _| issue.head.title = title.into();
        world.run(session, |txn| update(txn, id, None, world.access(), set))
    };
    let changed = done(title(None, fresh, "a person may"));
    assert_eq!((owner(&changed), changed.displaced.clone()), (Some("far"), None), "the claim stands");
    let old = world.claimed_by("far", "2026-06-16T12:00:00Z");
    assert!(done(title(Some("b"), old, "so may a session")).changed);
    assert!(done(world.run(Some("b"), |txn| start(txn, old, None, world.access()))).displaced.is_some());
}

#[test]
fn force_takes_from_the_living_and_is_logged() {
    let world = World::new();
    let id = world.claimed_by("a", NOW);
    let _lease = world.lease("a");
    let taken = done(world.run(Some("b"), |txn| start(txn, id, None, world.forced())));
    assert_eq!((owner(&taken), taken.displaced.is_some()), (Some("b"), true));
    let read = world.store.read().unwrap();
    let (_, change) = read.changes_since(crate::schema::id::Revision(0)).unwrap().next().unwrap().unwrap();
    assert_eq!((change.op, change.session.as_deref()), (Op::Start, Some("b")));
    assert!(serde_json::to_string(&change.before).unwrap().contains("\"a\""));
}

#[test]
fn closing_needs_no_start_stamps_once_and_ends_the_claim() {
    let world = World::new();
    let free = world.issue(|_| ());
    for caller in [None, Some("a")] {
        let id = world.issue(|_| ());
        assert!(done(world.run(caller, |txn| close(txn, id, None, world.access()))).changed);
    }
    let closed = done(world.run(Some("a"), |txn| {
        let _ = start(txn, free, None, world.access())?;
        close(txn, free, None, world.access())
    }));
    let head = &closed.version.issue.head;
    assert_eq!((head.status, head.closed_at, owner(&closed)), (Status::Closed, Some(head.updated_at), None));
    let _lease = world.lease("z");
    let again = done(world.run(Some("b"), |txn| close(txn, free, None, world.access())));
    assert!(!again.changed && again.version == closed.version);
    assert_eq!(
        world.run(Some("a"), |txn| start(txn, free, None, world.forced())),
        Claimed::Refused(Refusal::Closed),
        "not even by force"
    );
    let open = done(world.run(None, |txn| reopen(txn, free, None, world.access())));
    assert_eq!((open.version.issue.head.status, open.version.issue.head.closed_at), (Status::Open, None));
    assert!(!done(world.run(None, |txn| reopen(txn, free, None, world.access()))).changed);
}

#[test]
fn reopening_ends_a_claim_that_the_original_left_on_a_closed_issue() {
    let world = World::new();
    let id = world.claimed_by("a", NOW);
    world.run(None, |txn| {
        txn.update(id, None, Op::Update, |issue, now| {
            issue.head.status = Status::Closed;
            issue.head.closed_at = Some(now);
        })
        .map(|_| ())
    });
    let open = done(world.run(Some("b"), |txn| reopen(txn, id, None, world.access())));
    assert_eq!(owner(&open), None);
    assert_eq!(open.displaced.map(|old| old.session).as_deref(), Some("a"));
}

#[test]
fn releasing_is_for_the_owner() {
    let world = World::new();
    let id = world.issue(|_| ());
    let release_as = |caller| world.run(caller, |txn| release(txn, id, None, world.access()));
    assert_eq!(release_as(Some("a")), Claimed::Refused(Refusal::NotOwner), "nobody has it");
    assert!(!done(release_as(None)).changed);
    assert!(done(world.run(Some("a"), |txn| start(txn, id, None, world.access()))).changed);
    assert!(matches!(release_as(Some("b")), Claimed::Refused(Refusal::Owned(_))));
    assert_eq!(owner(&done(release_as(Some("a")))), None);
    assert_eq!(world.run(None, |txn| start(txn, id, None, world.access())), Claimed::Refused(Refusal::NoSession));
}

#[test]
fn a_claim_without_a_name_is_none() {
    let world = World::new();
    let id = world.claimed_by("", NOW);
    let taken = done(world.run(Some("a"), |txn| start(txn, id, None, world.access())));
    assert_eq!((owner(&taken), taken.displaced.clone()), (Some("a"), None));
    let id = world.claimed_by("", NOW);
    let freed = done(world.run(None, |txn| release(txn, id, None, world.access())));
    assert!(freed.changed && owner(&freed).is_none());
}

#[test]
fn linking_appends_a_session_once() {
    let world = World::new();
    let id = world.claimed_by("a", NOW);
    let _lease = world.lease("a");
    let session = "watcher".parse().unwrap();
    for changed in [true, false] {
        let linked = done(world.run(None, |txn| link(txn, id, None, &session, world.access())));
        assert_eq!((linked.changed, owner(&linked)), (changed, Some("a")));
        assert_eq!(linked.version.issue.head.sessions, ["watcher"]);
    }
}

#[test]
fn what_the_caller_saw_comes_before_who_owns_it() {
    let world = World::new();
    let id = world.claimed_by("a", NOW);
    let _lease = world.lease("a");
    let current = world.store.read().unwrap().head(id).unwrap().unwrap().hash;
    let old = Some(ContentHash(current.0 ^ 1));
    for action in [start, release, close, reopen] {
        let stale = world.run(Some("b"), |txn| action(txn, id, old, world.access()));
        assert_eq!(stale, Claimed::Stale { current });
        let missing = world.run(Some("b"), |txn| action(txn, IssueId(99), old, world.access()));
        assert_eq!(missing, Claimed::Missing);
    }
    let refused = world.run(Some("b"), |txn| start(txn, id, Some(current), world.access()));
    assert!(matches!(refused, Claimed::Refused(_)));
}

#[test]
fn whether_an_update_would_be_allowed_can_be_asked() {
    let world = World::new();
    let id = world.claimed_by("a", NOW);
    let _lease = world.lease("a");
    let ask = |caller, access| world.run(caller, |txn| may_change(txn, id, access));
    assert!(matches!(ask(Some("b"), world.access()), Some(Refusal::Owned(Owner { liveness: Alive, .. }))));
    assert!(ask(None, world.access()).is_some());
    assert_eq!(ask(Some("a"), world.access()), None);
    assert_eq!(ask(Some("b"), world.forced()), None);
    assert_eq!(world.run(None, |txn| may_change(txn, IssueId(99), world.access())), None);
}
