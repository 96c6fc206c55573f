//! The library's own speed: queries, creation, and the mirror over 10,000 files. What a whole process costs beside other
//! programs is measured by `benches/compare/compare.py`.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use oxi_state::db::query::Query;
use oxi_state::db::{Author, Op, Store};
use oxi_state::project::{Project, Start};
use oxi_state::schema::id::IssueId;
use oxi_state::schema::issue::{Issue, IssueHead};
use oxi_state::sync::{Mirror, Options, Report};

#[path = "support/mod.rs"]
mod support;

const COUNT: u32 = 10_000;

struct World {
    folder: tempfile::TempDir,
    project: Project,
    store: Store,
}

impl World {
    /// A project without files and with an empty database.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Project::create(folder.path()).expect("a project");
        let start = Start { directory: folder.path().to_owned(), named: true, home: None };
        let project = Project::discover(&start).expect("the project that was just made");
        let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
        store.create_if_missing().expect("a database");
        Self { folder, project, store }
    }

    fn with_files() -> Self {
        let world = Self::new();
        support::write_files(&world.issues(), COUNT);
        // files younger than the last tick of the clock would be read again
        std::thread::sleep(Duration::from_millis(20));
        world
    }

    fn with_records() -> Self {
        let world = Self::new();
        let put = |txn: &mut oxi_state::db::WriteTxn<'_>| {
            (1..=COUNT).try_for_each(|number| {
                txn.create(|id, _| {
                    let mut issue = support::issue(number);
                    issue.head.id = id;
                    issue
                })
                .map(drop)
            })
        };
        world.store.write::<_, oxi_state::db::StoreError>(&author(), put).expect("the records can be stored");
        world
    }

    fn issues(&self) -> std::path::PathBuf {
        self.folder.path().join(".oxi/issues")
    }

    fn mirror(&self, work: impl FnOnce(&Mirror<'_>) -> Report) -> Report {
        let progress = |_: &'static str, _: u64, _: u64| {};
        work(&Mirror {
            project: &self.project,
            store: &self.store,
            author: author(),
            options: Options::default(),
            progress: &progress,
        })
    }

    fn import(&self) -> Report {
        self.mirror(|mirror| mirror.import().expect("the import works"))
    }

    fn export(&self) -> Report {
        self.mirror(|mirror| mirror.export().expect("the export works"))
    }
}

fn author() -> Author {
    Author { actor: "bench".into(), session: None, now: support::time(20_000_000) }
}

fn queries(c: &mut Criterion) {
    let world = World::with_records();
    let store = &world.store;
    let read = || store.read().expect("a read transaction");
    c.bench_function("open and read one head", |b| b.iter(|| read().head(black_box(IssueId(5000))).expect("a head")));
    c.bench_function("list 50", |b| {
        let query = Query { limit: Some(50), ..Query::default() };
        b.iter(|| read().list(black_box(&query), |_| Ok(true)).expect("a list"));
    });
    c.bench_function("show", |b| b.iter(|| read().issue(black_box(IssueId(5000))).expect("an issue")));
    c.bench_function("search 10,000 bodies", |b| {
        b.iter(|| read().search("gate waits", oxi_state::db::query::Classes::ALL, None).expect("an answer"));
    });
    let mut durable = c.benchmark_group("durable");
    durable.sample_size(50);
    durable.bench_function("create", |b| {
        let build = |id, now| Issue { head: IssueHead::new(id, "A new issue".into(), now), body: String::new() };
        b.iter(|| store.write(&author(), |txn| txn.create(build)).expect("an issue"));
    });
    durable.bench_function("update", |b| {
        let toggle = |issue: &mut Issue, _| issue.head.title.push('x');
        b.iter(|| store.write(&author(), |txn| txn.update(IssueId(1), None, Op::Update, toggle)).expect("an issue"));
    });
    durable.finish();
}

fn mirror(c: &mut Criterion) {
    let mut group = c.benchmark_group("mirror of 10,000");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    let files = World::with_files();
    let empty = |state: &Path| {
        for name in ["state.redb", "state.lock", "state.lock-turn", "state.lock-sync"] {
            let _ = std::fs::remove_file(state.join(name));
        }
        files.store.create_if_missing().expect("a database");
    };
    let state = files.folder.path().join(".oxi");
    group.bench_function("import into an empty database", |b| {
        b.iter_batched(|| empty(&state), |()| files.import(), BatchSize::PerIteration);
    });
    files.import();
    group.bench_function("import with nothing to do", |b| b.iter(|| files.import()));
    group.bench_function("export with nothing to do", |b| b.iter(|| files.export()));
    group.bench_function("export of new files", |b| {
        b.iter_batched(World::with_records, |world| (world.export(), world), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, queries, mirror);
criterion_main!(benches);
