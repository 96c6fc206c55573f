//! The store against a model: whatever is done to it, it answers as a plain map would.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;

use super::query::{Classes, Query, Sort};
use super::record::Class;
use super::undo::Undone;
use super::{Author, Cas, Op, Store, StoreError};
use crate::schema::id::{ContentHash, Identity, IssueId};
use crate::schema::issue::{Assignment, Issue, IssueHead, Priority, Status};
use crate::schema::time::Timestamp;

#[derive(Clone, Debug)]
enum Step {
    Create { title: u8, priority: usize, labels: Vec<u8>, depends_on: Option<usize> },
    Close(usize),
    Reopen(usize),
    Relabel(usize, Vec<u8>),
    Assign(usize, u8),
    Rewrite(usize, String),
    Depend(usize, usize),
    StaleUpdate(usize),
    Delete(usize),
    Undo,
    Swap(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let labels = || prop::collection::vec(0_u8..4, 0..3);
    let step = prop_oneof![
        4 => (0_u8..3, 0_usize..4, labels(), prop::option::of(0_usize..8))
            .prop_map(|(title, priority, labels, depends_on)| Step::Create { title, priority, labels, depends_on }),
        2 => (0_usize..8).prop_map(Step::Close),
        1 => (0_usize..8).prop_map(Step::Reopen),
        1 => (0_usize..8, labels()).prop_map(|(at, labels)| Step::Relabel(at, labels)),
        1 => (0_usize..8, 0_u8..3).prop_map(|(at, session)| Step::Assign(at, session)),
        1 => (0_usize..8, "[a-z\n]{0,12}").prop_map(|(at, body)| Step::Rewrite(at, body)),
        2 => (0_usize..8, 0_usize..8).prop_map(|(a, b)| Step::Depend(a, b)),
        1 => (0_usize..8).prop_map(Step::StaleUpdate),
        1 => (0_usize..8).prop_map(Step::Delete),
        1 => Just(Step::Undo),
        1 => (0_usize..8, 0_usize..8).prop_map(|(a, b)| Step::Swap(a, b)),
    ];
    prop::collection::vec(step, 1..24)
}

struct World {
    _folder: tempfile::TempDir,
    store: Store,
    clock: i64,
    model: BTreeMap<IssueId, Issue>,
    highest: u32,
    /// What the model was before each command that changed something and was not undone yet.
    past: Vec<BTreeMap<IssueId, Issue>>,
    /// The issues that were deleted once, and the numbers that they had then.
    deleted: HashMap<Identity, IssueId>,
}

fn labels(names: &[u8]) -> Vec<String> {
    let mut labels: Vec<_> = names.iter().map(|name| format!("l{name}")).collect();
    labels.dedup();
    labels
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        store.create_if_missing().unwrap();
        Self {
            _folder: folder,
            store,
            clock: 0,
            model: BTreeMap::new(),
            highest: 0,
            past: Vec::new(),
            deleted: HashMap::new(),
        }
    }

    fn author(&mut self) -> Author {
        self.clock += 1;
        let now = Timestamp::new(chrono::DateTime::from_timestamp(self.clock, 0).unwrap());
        Author { actor: "model".into(), session: None, now }
    }

    fn pick(&self, at: usize) -> Option<IssueId> {
        self.model.keys().nth(at % self.model.len().max(1)).copied()
    }

    /// Changes an issue in the store and in the model, which must agree on what became of it.
    fn change(&mut self, at: usize, change: impl Fn(&mut Issue, Timestamp)) {
        let Some(id) = self.pick(at) else { return };
        let author = self.author();
        let outcome = self.store.write(&author, |txn| txn.update(id, None, Op::Update, &change)).unwrap();
        let before = self.model.clone();
        let issue = self.model.get_mut(&id).unwrap();
        let old = issue.clone();
        let now = Timestamp::after(author.now, old.head.updated_at);
        change(issue, now);
        issue.body = Issue::with_final_newline(std::mem::take(&mut issue.body));
        if *issue == old {
            assert!(matches!(outcome, Cas::Unchanged(_)), "{outcome:?}");
        } else {
            issue.head.updated_at = now;
            assert!(matches!(&outcome, Cas::Changed(new) if new.issue == *issue), "{outcome:?}");
            self.past.push(before);
        }
    }

    fn apply(&mut self, step: Step) {
        let before: HashMap<_, _> = self.model.iter().map(|(id, issue)| (issue.head.identity(), *id)).collect();
        self.play(step);
        let is_gone =
            |(identity, _): &(Identity, IssueId)| self.model.values().all(|issue| issue.head.identity() != *identity);
        self.deleted.extend(before.into_iter().filter(is_gone));
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Create { title, priority, labels: names, depends_on } => {
                let author = self.author();
                let link = depends_on.and_then(|at| self.pick(at)).map(|id| self.model[&id].head.link());
                let build = |id, now| {
                    let mut head = IssueHead::new(id, format!("title {title}"), now);
                    head.priority = Priority::ALL[priority];
                    head.labels = labels(&names);
                    head.depends_on = link.into_iter().collect();
                    Issue { head, body: format!("body of {id}\n") }
                };
                let created = self.store.write(&author, |txn| txn.create(build)).unwrap().issue;
                self.highest += 1;
                assert_eq!(created.head.id.0, self.highest, "numbers are never given twice");
                self.past.push(self.model.clone());
                self.model.insert(created.head.id, created);
            }
            Step::Close(at) => self.change(at, |issue, now| {
                if issue.head.status == Status::Open {
                    issue.head.status = Status::Closed;
                    issue.head.closed_at = Some(now);
                    issue.head.assigned_to = None;
                }
            }),
            Step::Reopen(at) => self.change(at, |issue, _| {
                issue.head.status = Status::Open;
                issue.head.closed_at = None;
            }),
            Step::Relabel(at, names) => self.change(at, |issue, _| issue.head.labels = labels(&names)),
            Step::Assign(at, session) => self.change(at, |issue, now| {
                if issue.head.status == Status::Open {
                    issue.head.assigned_to = Some(Assignment { session: format!("s{session}"), acquired_at: now });
                    issue.head.sessions = vec![format!("s{session}")];
                }
            }),
            Step::Rewrite(at, body) => self.change(at, |issue, _| issue.body.clone_from(&body)),
            Step::Depend(at, on) => {
                let Some(link) = self.pick(on).map(|id| self.model[&id].head.link()) else { return };
                self.change(at, |issue, _| issue.head.depends_on = vec![link.clone()]);
            }
            Step::StaleUpdate(at) => {
                let Some(id) = self.pick(at) else { return };
                let (author, current) = (self.author(), self.model[&id].content_hash());
                let guard = Some(ContentHash(current.0 ^ 1));
                let raise = |issue: &mut Issue, _| issue.head.title.push('!');
                let outcome = self.store.write(&author, |txn| txn.update(id, guard, Op::Update, raise)).unwrap();
                assert_eq!(outcome, Cas::Stale { current });
            }
            Step::Delete(at) => {
                let Some(id) = self.pick(at) else { return };
                let author = self.author();
                assert!(self.store.write(&author, |txn| txn.delete(id, Op::Delete)).unwrap());
                self.past.push(self.model.clone());
                self.model.remove(&id);
            }
            Step::Undo => {
                let author = self.author();
                let undone = self.store.write::<_, StoreError>(&author, |txn| txn.undo(None)).unwrap();
                match self.past.pop() {
                    Some(before) => {
                        assert!(matches!(undone, Undone::Done(_)), "{undone:?}");
                        self.model = before;
                    }
                    None => assert_eq!(undone, Undone::NothingToUndo),
                }
            }
            Step::Swap(a, b) => {
                let (Some(a), Some(b)) = (self.pick(a), self.pick(b)) else { return };
                if a == b {
                    return;
                }
                self.past.push(self.model.clone());
                let author = self.author();
                let moves = [(self.model[&a].head.identity(), b), (self.model[&b].head.identity(), a)];
                self.store.write(&author, |txn| txn.renumber(&moves)).unwrap();
                let (mut first, mut second) = (self.model.remove(&a).unwrap(), self.model.remove(&b).unwrap());
                (first.head.id, second.head.id) = (b, a);
                self.model.insert(b, first);
                self.model.insert(a, second);
                // links follow their issues; the store says how, and `check` whether they still mean the same
                let read = self.store.read().unwrap();
                for (id, issue) in &mut self.model {
                    issue.head.depends_on = read.issue(*id).unwrap().unwrap().issue.head.depends_on;
                }
            }
        }
    }

    fn class(&self, issue: &Issue) -> Class {
        let by_slug = |link: &crate::schema::id::Link| {
            let same: Vec<_> = self.model.values().filter(|other| other.head.slug == link.slug).collect();
            let named = same.iter().find(|other| other.head.id == link.id).copied();
            let is_deleted = || {
                let is_alive = |identity: &Identity| same.iter().any(|other| other.head.identity() == *identity);
                let mut deleted = self.deleted.iter().filter(|(identity, _)| !is_alive(identity));
                deleted.any(|(identity, id)| identity.slug == link.slug && *id == link.id)
            };
            named.or_else(|| if let [only] = same[..] { Some(only).filter(|_| !is_deleted()) } else { None })
        };
        let waits = issue.head.depends_on.iter().filter_map(by_slug).any(|on| on.head.status == Status::Open);
        match (issue.head.status, waits) {
            (Status::Closed, _) => Class::Closed,
            (Status::Open, true) => Class::Blocked,
            (Status::Open, false) => Class::Ready,
        }
    }

    fn check(&self) {
        let read = self.store.read().unwrap();
        for (id, issue) in &self.model {
            let stored = read.issue(*id).unwrap().unwrap();
            assert_eq!(stored.issue, *issue);
            assert_eq!(stored.hash, issue.content_hash());
            assert_eq!(read.id_of(&issue.head.identity()).unwrap(), Some(*id));
            assert_eq!(read.head(*id).unwrap().unwrap().class(), self.class(issue), "class of {id}: {:?}", self.model);
        }
        let listed = |query: &Query| -> Vec<u32> {
            read.list(query, |_| Ok(true)).unwrap().into_iter().map(|stored| stored.head.id.0).collect()
        };
        let expected = |keep: &dyn Fn(&Issue) -> bool, sort: Sort| -> Vec<u32> {
            let mut kept: Vec<_> = self.model.values().filter(|issue| keep(issue)).collect();
            kept.sort_by(|a, b| {
                let (a, b) = (&a.head, &b.head);
                let order = match sort {
                    Sort::Updated => b.updated_at.cmp(&a.updated_at),
                    Sort::Created => b.created_at.cmp(&a.created_at),
                    Sort::Priority => b.priority.cmp(&a.priority),
                    Sort::Id => std::cmp::Ordering::Equal,
                };
                order.then(a.id.cmp(&b.id))
            });
            kept.into_iter().map(|issue| issue.head.id.0).collect()
        };
        for sort in [Sort::Updated, Sort::Created, Sort::Priority, Sort::Id] {
            for (classes, class) in
                [(Classes::READY, Class::Ready), (Classes::BLOCKED, Class::Blocked), (Classes::CLOSED, Class::Closed)]
            {
                let query = Query { classes, sort, ..Query::default() };
                assert_eq!(listed(&query), expected(&|issue| self.class(issue) == class, sort), "{query:?}");
            }
            let all = Query { classes: Classes::ALL, sort, ..Query::default() };
            let mut in_order = expected(&|_| true, sort);
            assert_eq!(listed(&all), in_order);
            let few = Query { limit: Some(2), ..all.clone() };
            assert_eq!(listed(&few), in_order[..in_order.len().min(2)]);
            in_order.reverse();
            assert_eq!(listed(&Query { reverse: true, ..all.clone() }), in_order);
            let labelled = Query { labels: vec!["l1".into()], ..all.clone() };
            assert_eq!(listed(&labelled), expected(&|issue| issue.head.labels.contains(&"l1".into()), sort));
            let high = Query { priority: Some(Priority::High), ..all.clone() };
            assert_eq!(listed(&high), expected(&|issue| issue.head.priority == Priority::High, sort));
            let claimed = Query { assigned: Some(true), ..all };
            assert_eq!(listed(&claimed), expected(&|issue| issue.head.assigned_to.is_some(), sort));
        }
        let counters = read.counters().unwrap();
        let open: Vec<_> = self.model.values().filter(|issue| issue.head.status == Status::Open).collect();
        assert_eq!(counters.with_status(Status::Open), open.len() as u64);
        assert_eq!(
            counters.open_and_assigned(),
            open.iter().filter(|issue| issue.head.assigned_to.is_some()).count() as u64
        );
        assert_eq!(counters.top_priority(false), open.iter().map(|issue| issue.head.priority).max());
        assert_eq!(read.high_water().unwrap().0, self.highest);
    }
}

fn cases() -> u32 {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 2_000 } else { 24 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_a_map_would(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            world.check();
        }
    }
}
