//! The rules of ownership against a model: random steps of sessions and persons in two work trees of one repository.
//!
//! The model knows, for each issue and work tree, who has it, and says by the rules' own words what a step must answer.
//! Beyond that: without force, no two sessions that may live ever have one issue, in whichever work trees.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::db::{Author, Store};
use crate::fs::Dir;
use crate::liveness::Watch;
use crate::liveness::{Lease, Payload};
use crate::project::Project;
use crate::worktrees::Shared;

const SESSIONS: [&str; 3] = ["a", "b", "c"];
const TREES: usize = 2;
const ISSUES: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody does something; no session is a person.
    Act { tree: usize, issue: usize, caller: Option<usize>, action: Action, force: bool },
    /// A session takes its lock.
    Wake(usize),
    /// A session that had its lock loses it, for good.
    Die(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let action = prop::sample::select(vec![
        Action::Start,
        Action::Start,
        Action::Release,
        Action::Close,
        Action::Reopen,
        Action::Update,
    ]);
    let act = (0..TREES, 0..ISSUES, prop::option::weighted(0.85, 0..SESSIONS.len()), action, prop::bool::weighted(0.1));
    let step = prop_oneof![
        10 => act.prop_map(|(tree, issue, caller, action, force)| Step::Act { tree, issue, caller, action, force }),
        1 => (0..SESSIONS.len()).prop_map(Step::Wake),
        1 => (0..SESSIONS.len()).prop_map(Step::Die),
    ];
    prop::collection::vec(step, 1..40)
}

/// What one work tree's record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    /// The owner, and when it became that.
    owner: Option<(usize, usize)>,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Owned(usize),
    Elsewhere,
    NotOwner,
    Closed,
    ClosedElsewhere,
    NoSession,
}

#[derive(Default)]
struct Model {
    records: [[Record; TREES]; ISSUES],
    /// The claim of each issue that each work tree told of: who, when.
    told: [[Option<(usize, usize)>; TREES]; ISSUES],
    /// The work tree that last closed each issue, until one opens it again.
    closed_by: [Option<usize>; ISSUES],
    states: [Option<bool>; SESSIONS.len()],
    clock: usize,
}

impl Model {
    /// Alive, dead, or never seen.
    fn may_live(&self, session: usize) -> bool {
        self.states[session] != Some(false)
    }

    /// Who has an issue, as a work tree sees it, and whether that is told by another.
    fn owner(&self, issue: usize, tree: usize) -> Option<(usize, bool)> {
        let record = self.records[issue][tree];
        let here = record.owner.map(|(session, since)| (self.may_live(session), since, session, false));
        let told = (0..TREES).filter(|at| *at != tree && !record.closed).filter_map(|at| self.told[issue][at]);
        let told = told.map(|(session, since)| (self.may_live(session), since, session, true));
        // a dead one counts only where there is no other, and only in the record
        let best = here.into_iter().chain(told.filter(|(lives, ..)| *lives)).max();
        best.map(|(_, _, session, told)| (session, told))
    }

    fn act(&mut self, tree: usize, issue: usize, caller: Option<usize>, action: Action, force: bool) -> Answer {
        self.clock += 1;
        self.step(tree, issue, caller, action, force)
    }

    fn step(&mut self, tree: usize, issue: usize, caller: Option<usize>, action: Action, force: bool) -> Answer {
        let owner = self.owner(issue, tree);
        let other = owner.filter(|(session, _)| Some(*session) != caller);
        let record = self.records[issue][tree];
        let stopped = match other {
            Some((session, _)) if !force => match self.states[session] {
                Some(true) => true,
                Some(false) => false,
                None => caller.is_some(),
            },
            _ => false,
        };
        match action {
            Action::Start if caller.is_none() => return Answer::NoSession,
            Action::Start if record.closed => return Answer::Closed,
            Action::Start
                if self.closed_by[issue].is_some_and(|at| at != tree)
                    && !force
                    && owner.is_none_or(|(session, _)| Some(session) != caller) =>
            {
                return Answer::ClosedElsewhere;
            }
            Action::Close if record.closed => return Answer::Done,
            Action::Reopen if !record.closed => {
                // what another work tree closed is to be done again
                self.closed_by[issue] = self.closed_by[issue].filter(|at| *at == tree);
                return Answer::Done;
            }
            Action::Release if owner.is_none() && caller.is_some() && !force => return Answer::NotOwner,
            Action::Reopen | Action::Link => {}
            _ if stopped => return Answer::Owned(other.map_or(0, |(session, _)| session)),
            Action::Release
                if owner.is_some_and(|(_, told)| told)
                    && record.owner.is_none_or(|(session, _)| Some(session) != caller) =>
            {
                return Answer::Elsewhere;
            }
            _ => {}
        }
        if action == Action::Start {
            self.closed_by[issue] = self.closed_by[issue].filter(|at| *at == tree);
        }
        let record = &mut self.records[issue][tree];
        match (action, caller) {
            (Action::Start, Some(session)) if record.owner.is_none_or(|(owner, _)| owner != session) => {
                record.owner = Some((session, self.clock));
                self.told[issue][tree] = Some((session, self.clock));
            }
            (Action::Release, _) => record.owner = None,
            (Action::Close | Action::Reopen, _) => {
                *record = Record { owner: None, closed: action == Action::Close };
                self.closed_by[issue] = (action == Action::Close).then_some(tree);
            }
            _ => {}
        }
        if record.owner.is_none() {
            self.told[issue][tree] = None;
        }
        Answer::Done
    }
}

/// Two work trees with the same issues.
struct World {
    _folder: tempfile::TempDir,
    trees: Vec<(Project, Store)>,
    leases: BTreeMap<usize, Lease>,
    clock: i64,
}

#[expect(clippy::disallowed_methods, reason = "plays git")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::new(chrono::DateTime::from_timestamp(1_781_690_000 + seconds, 0).unwrap())
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git_dir = folder.path().join("0/.git/worktrees/1");
        std::fs::create_dir_all(&git_dir).unwrap();
        std::fs::create_dir(folder.path().join("1")).unwrap();
        put(&git_dir.join("commondir"), "../..\n");
        put(&git_dir.join("gitdir"), &folder.path().join("1/.git").display().to_string());
        put(&git_dir.join("HEAD"), "");
        put(&folder.path().join("0/.git/HEAD"), "");
        std::fs::create_dir(folder.path().join("0/.git/objects")).unwrap();
        put(&folder.path().join("1/.git"), &format!("gitdir: {}\n", git_dir.display()));
        let tree = |name: usize| {
            let project = Project::create(&folder.path().join(name.to_string())).unwrap();
            let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
            store.create_if_missing().unwrap();
            for issue in 0..ISSUES {
                let author = Author { actor: "test".into(), session: None, now: time(issue.try_into().unwrap()) };
                let new = |id, now| Issue { head: IssueHead::new(id, "title".into(), now), body: String::new() };
                store.write(&author, |txn| txn.create(new)).unwrap();
            }
            (project, store)
        };
        let trees = (0..TREES).map(tree).collect();
        Self { _folder: folder, trees, leases: BTreeMap::new(), clock: 100 }
    }

    /// Where all sessions of the test hold their locks.
    fn leases(&self) -> Arc<Dir> {
        Arc::new(Shared::ensure(&self.trees[0].0).unwrap().unwrap().ensure_leases().unwrap())
    }

    fn act(&mut self, tree: usize, issue: usize, caller: Option<usize>, action: Action, force: bool) -> Answer {
        self.clock += 1;
        let (project, store) = &self.trees[tree];
        let id = IssueId(u32::try_from(issue).unwrap() + 1);
        let session = caller.map(|caller| SESSIONS[caller].parse().unwrap());
        let author = Author { actor: "test".into(), session, now: time(self.clock) };
        let shared = Shared::ensure(project).unwrap();
        let watch = Watch::of(project, shared.as_ref(), author.now).unwrap();
        let scope = Scope { watch: &watch, shared: shared.as_ref(), force };
        let title = format!("title at {}", self.clock);
        let claimed = write(store, &author, scope, |txn, access| match action {
            Action::Start => start(txn, id, None, access),
            Action::Release => release(txn, id, None, access),
            Action::Close => close(txn, id, None, access),
            Action::Reopen => reopen(txn, id, None, access),
            Action::Update | Action::Link => update(txn, id, None, access, |issue, _| issue.head.title = title),
        });
        let session = |owner: &Owner| SESSIONS.iter().position(|name| *name == owner.assignment.session).unwrap();
        match claimed.unwrap() {
            Claimed::Done(_) => Answer::Done,
            Claimed::Refused(Refusal::Owned(owner)) => Answer::Owned(session(&owner)),
            Claimed::Refused(Refusal::Elsewhere(_)) => Answer::Elsewhere,
            Claimed::Refused(Refusal::NotOwner) => Answer::NotOwner,
            Claimed::Refused(Refusal::Closed) => Answer::Closed,
            Claimed::Refused(Refusal::ClosedElsewhere(_)) => Answer::ClosedElsewhere,
            Claimed::Refused(Refusal::NoSession) => Answer::NoSession,
            other => panic!("{other:?}"),
        }
    }

    fn records(&self, issue: usize) -> [Record; TREES] {
        let id = IssueId(u32::try_from(issue).unwrap() + 1);
        let mut records = [Record::default(); TREES];
        for ((_, store), record) in self.trees.iter().zip(&mut records) {
            let head = store.read().unwrap().head(id).unwrap().unwrap().head;
            let owner = head.owner().map(|owner| SESSIONS.iter().position(|name| *name == owner.session).unwrap());
            *record = Record { owner: owner.map(|owner| (owner, 0)), closed: head.status == Status::Closed };
        }
        records
    }
}

fn cases() -> u32 {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 2_000 } else { 32 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_answers_as_the_rules_say(steps in steps()) {
        let (mut world, mut model) = (World::new(), Model::default());
        let mut forced = false;
        for step in steps {
            match step.clone() {
                Step::Act { tree, issue, caller, action, force } => {
                    forced |= force;
                    let answer = world.act(tree, issue, caller, action, force);
                    let expected = model.act(tree, issue, caller, action, force);
                    prop_assert_eq!(answer, expected, "{:?}", step);
                }
                Step::Wake(session) if model.states[session].is_none() => {
                    let id = SESSIONS[session].parse().unwrap();
                    let lease = Lease::acquire(&world.leases(), &id, &Payload::default()).unwrap().lease();
                    world.leases.insert(session, lease.unwrap());
                    model.states[session] = Some(true);
                }
                Step::Die(session) if model.states[session] == Some(true) => {
                    world.leases.remove(&session);
                    model.states[session] = Some(false);
                }
                Step::Wake(_) | Step::Die(_) => {}
            }
            for issue in 0..ISSUES {
                let records = world.records(issue);
                let plain = |record: &Record| Record { owner: record.owner.map(|(owner, _)| (owner, 0)), ..*record };
                prop_assert_eq!(records.each_ref().map(plain), model.records[issue].each_ref().map(plain), "{:?}", step);
                let mut owners: Vec<_> = records.iter().filter_map(|record| record.owner).collect();
                owners.retain(|(session, _)| model.may_live(*session));
                owners.dedup();
                prop_assert!(forced || owners.len() <= 1, "two have #{}: {:?}", issue + 1, owners);
            }
        }
    }
}
