//! What is planned from the baselines of few files is what is planned from all of them.

#![expect(clippy::disallowed_methods, reason = "plays people and git")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::db::{Author, Op, Store};
use crate::project::Project;
use crate::sync::Options;

/// So many shards have files, three each.
const SHARDS: u32 = 24;

struct World {
    folder: tempfile::TempDir,
    project: Project,
    store: Store,
}

#[derive(Clone, Debug)]
enum Edit {
    Body,
    Touch,
    Frontmatter,
    Delete,
    New,
    Broken,
    Markers,
    FencedMarkers,
    Identity,
    Misspelled,
    Link,
    Folder,
    /// To another number, in another shard.
    Moved(u32),
    /// The same issue under another number as well.
    Copied(u32),
    CaseTwin,
    Far,
    RecordChanged,
    RecordDeleted,
    RecordMade,
}

fn edit() -> impl Strategy<Value = Edit> {
    use Edit::*;
    prop_oneof![
        4 => Just(Body), 2 => Just(Touch), 2 => Just(Frontmatter), 1 => Just(Delete), 2 => Just(New), 1 => Just(Broken),
        1 => Just(Markers), 1 => Just(FencedMarkers), 1 => Just(Identity), 1 => Just(Misspelled), 1 => Just(Link),
        1 => Just(Folder), 1 => (0..SHARDS).prop_map(Moved), 1 => (0..SHARDS).prop_map(Copied), 1 => Just(CaseTwin),
        1 => Just(Far), 2 => Just(RecordChanged), 1 => Just(RecordDeleted), 1 => Just(RecordMade),
    ]
}

fn number(place: u32) -> u32 {
    (place / 3) * 64 + place % 3 + 1
}

fn text(id: u32, body: &str) -> String {
    let (day, created) = (id % 27 + 1, id / 27);
    format!(
        "---\nid: {id}\ntitle: Number {id}\nstatus: open\npriority: medium\nlabels: []\nassignee: null\n\
         created_at: 2026-06-{day:02}T12:00:{:02}+00:00\nupdated_at: 2026-06-{day:02}T12:00:{:02}+00:00\n\
         closed_at: null\nsessions: []\nassigned_to: null\n---\n{body}\n",
        created % 60,
        created % 60
    )
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::create(folder.path()).unwrap();
        let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
        let world = Self { folder, project, store };
        fs::create_dir_all(world.path("")).unwrap();
        for place in 0..SHARDS * 3 {
            fs::write(world.file(place), text(number(place), "one")).unwrap();
        }
        settle();
        world.mirror(|mirror| mirror.ensure_database().unwrap());
        world
    }

    fn mirror<R>(&self, work: impl FnOnce(&Mirror<'_>) -> R) -> R {
        let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse().unwrap() };
        work(&Mirror {
            project: &self.project,
            store: &self.store,
            author,
            options: Options { allow_deletes: true, ..Options::default() },
            progress: &|_, _, _| {},
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(".oxi/issues").join(name)
    }

    fn file(&self, place: u32) -> PathBuf {
        let id = number(place);
        self.path(&format!("{id:04}-number-{id}.md"))
    }

    fn apply(&self, edit: &Edit, place: u32, round: u32) {
        let (path, id) = (self.file(place), number(place));
        // whatever else an edit before this put there
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if !is_file && fs::remove_file(&path).is_err() {
            let _ = fs::remove_dir(&path);
        }
        let old = fs::read_to_string(&path).unwrap_or_else(|_| text(id, "back"));
        let replaced = |from: &str, to: &str| fs::write(&path, old.replacen(from, to, 1)).unwrap();
        match edit {
            Edit::Body => fs::write(&path, format!("{old}line {round}\n")).unwrap(),
            Edit::Touch => fs::write(&path, &old).unwrap(),
            Edit::Frontmatter => replaced("priority: medium", "priority: high"),
            Edit::Delete => _ = fs::remove_file(&path),
            Edit::New => {
                let id = id + 10 + round;
                fs::write(self.path(&format!("{id:04}-number-{id}.md")), text(id, "new")).unwrap();
            }
            Edit::Broken => replaced("status: open", "status: [open"),
            Edit::Markers => replaced("title:", "<<<<<<< ours\ntitle:"),
            Edit::FencedMarkers => fs::write(&path, format!("{old}```\n<<<<<<< a\n=======\n>>>>>>> b\n```\n")).unwrap(),
            Edit::Identity => replaced("created_at: 2026", "created_at: 2025"),
            Edit::Misspelled => fs::write(self.path(&format!("{id}-x.md")), "x").unwrap(),
            Edit::Link => {
                let _ = fs::remove_file(&path);
                std::os::unix::fs::symlink("elsewhere", &path).unwrap();
            }
            Edit::Folder => {
                let _ = fs::remove_file(&path);
                let _ = fs::create_dir(&path);
            }
            Edit::Moved(shard) | Edit::Copied(shard) => {
                let other = shard * 64 + 20 + place % 20;
                let target = self.path(&format!("{other:04}-number-{id}.md"));
                fs::write(target, old.replacen(&format!("id: {id}\n"), &format!("id: {other}\n"), 1)).unwrap();
                if matches!(edit, Edit::Moved(_)) {
                    let _ = fs::remove_file(&path);
                }
            }
            Edit::CaseTwin => fs::write(self.path(&format!("{id:04}-NUMBER-{id}.md")), text(id, "twin")).unwrap(),
            Edit::Far => fs::write(self.path("999999-far.md"), text(999_999, "far")).unwrap(),
            Edit::RecordChanged => self.write(|txn| {
                let change = |issue: &mut crate::schema::issue::Issue, _| issue.body += "theirs\n";
                let _ = txn.update(IssueId(id), None, Op::Update, change)?;
                Ok(())
            }),
            Edit::RecordDeleted => self.write(|txn| txn.delete(IssueId(id), Op::Delete).map(drop)),
            Edit::RecordMade => self.write(|txn| {
                let issue = crate::schema::issue::Issue {
                    head: crate::schema::issue::IssueHead::new(
                        IssueId(1),
                        format!("Made {round}"),
                        "2026-06-01T12:00:00Z".parse().unwrap(),
                    ),
                    body: "made\n".into(),
                };
                txn.create(|id, _| {
                    let mut issue = issue.clone();
                    issue.head.id = id;
                    issue
                })
                .map(drop)
            }),
        }
    }

    fn write(&self, work: impl FnOnce(&mut crate::db::WriteTxn<'_>) -> Result<(), crate::db::StoreError>) {
        let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T13:00:00Z".parse().unwrap() };
        self.store.write(&author, work).unwrap();
    }

    /// What is planned from the baselines of few files, if that can be, and from all.
    fn plans(&self) -> (Option<String>, String) {
        self.mirror(|mirror| {
            let gate = mirror.lock().unwrap();
            let now = gate.file_system_now(self.store.dir()).unwrap();
            let look = || {
                let dir = self.project.issues().unwrap().unwrap();
                let (stored, listing) = mirror.look(Some(&dir), None).unwrap();
                (stored, dir, listing.unwrap())
            };
            let plan = |snapshot: &Snapshot| {
                let missing = mirror.missing(snapshot).unwrap();
                let plan = mirror.plan_import(snapshot, &missing).unwrap();
                let report = mirror.report_import(snapshot, &missing, &plan);
                format!("{report:?}\n{:?}\n{:?}", plan.actions, mirror.status_of(snapshot).unwrap())
            };
            let (stored, dir, listing) = look();
            let few = mirror.snapshot_of_few(&dir, &listing, &stored, now).unwrap();
            let few = few.map(|few| plan(&stored.beside(few)));
            let (stored, dir, listing) = look();
            let all = mirror.snapshot_of_all(Some((dir, listing)), &stored, now).unwrap();
            (few, plan(&stored.beside(all)))
        })
    }

    fn assert_sums(&self) {
        let read = self.store.read().unwrap();
        let baselines = read.all_baselines().unwrap();
        let sums = Sums::of_baselines(baselines.iter().map(|(_, baseline)| baseline));
        assert_eq!(read.sums().unwrap(), sums);
        assert_eq!(sums.files(), baselines.len() as u64);
    }
}

/// Until a change gets a later time than what was done before, and the stat data of that can be trusted.
fn settle() {
    std::thread::sleep(Duration::from_millis(12));
}

fn cases() -> u32 {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 1_000 } else { 24 }
}

#[test]
fn few_baselines_are_enough_for_what_all_of_them_tell() {
    let edits = prop::collection::vec(prop::collection::vec((edit(), 0..SHARDS * 3), 0..4), 1..6);
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let used = std::cell::Cell::new((0, 0));
    proptest!(config, |(rounds in edits)| {
        let world = World::new();
        for (round, edits) in (0..).zip(&rounds) {
            for (edit, place) in edits {
                world.apply(edit, *place, round);
            }
            settle();
            let (few, all) = world.plans();
            let (some, rounds) = used.get();
            used.set((some + u32::from(few.is_some()), rounds + 1));
            if let Some(few) = few {
                prop_assert_eq!(few, all);
            }
            world.mirror(|mirror| if round % 2 == 0 { mirror.import() } else { mirror.sync() }).unwrap();
            world.assert_sums();
            settle();
        }
    });
    let (some, rounds) = used.get();
    eprintln!("{some} of {rounds} were planned from few");
    assert!(some * 4 > rounds, "{some} of {rounds}");
}
