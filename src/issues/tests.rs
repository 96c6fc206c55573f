use std::fs;
use std::sync::Barrier;

use super::*;
use crate::db::Store;
use crate::fs::Dir;
use crate::liveness::{self, Lease, Payload};
use crate::schema::time::Timestamp;

struct World {
    folder: tempfile::TempDir,
    store: FileIssueStore,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FileIssueStore::open(folder.path()).unwrap();
        Self { folder, store }
    }

    fn issue(&self, title: &str) -> Issue {
        self.store.create(title, "body\n", Priority::Medium, Vec::new(), None).unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join(".oxi/issues")
    }

    fn edit(&self, name: &str, change: impl FnOnce(&str) -> String) {
        let text = fs::read_to_string(self.dir().join(name)).unwrap();
        Dir::open(&self.dir()).unwrap().replace(name, change(&text).as_bytes()).unwrap();
    }

    fn lease(&self, session: &str) -> Lease {
        let folder = liveness::ensure_folder(&Dir::open(&self.dir()).unwrap()).unwrap();
        Lease::acquire(&folder, &session.parse().unwrap(), &Payload::default()).unwrap().lease().unwrap()
    }
}

fn text_of(issue: &Issue) -> String {
    fs::read_to_string(issue.path.as_ref().unwrap()).unwrap()
}

#[test]
fn opening_and_reading_write_nothing() {
    let World { folder, store } = World::new();
    assert_eq!(store.list(&IssueFilter::default()).unwrap(), []);
    assert!(matches!(store.read(1), Err(IssueError::NotFound { id: 1 })));
    assert!(matches!(store.start(1, None, "s"), Err(IssueError::NotFound { id: 1 })));
    assert!(matches!(store.update(1, None, |_| Ok(())), Err(IssueError::NotFound { id: 1 })));
    assert_eq!((store.next_id().unwrap(), store.has_any().unwrap()), (1, false));
    assert_eq!(store.summary().unwrap(), IssueSummary::default());
    assert!(store.sync().unwrap().is_quiet());
    assert!(store.issues_dir().ends_with(".oxi/issues"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_created_issue_has_a_file_as_the_original_writes_it() {
    let world = World::new();
    let created =
        world.store.create("Fix it", "no final newline", Priority::High, vec!["bug".into()], Some("s1")).unwrap();
    assert_eq!(created.path.as_ref().unwrap().file_name().unwrap(), issue_filename(1, "Fix it").as_str());
    assert_eq!(created.path.as_ref().unwrap().parent().unwrap(), world.store.issues_dir());
    assert_eq!((created.meta.sessions.as_slice(), created.meta.assigned_to.as_ref()), (&["s1".to_owned()][..], None));
    assert_eq!(created.meta.created_at, created.meta.updated_at);
    assert_eq!(created.body, "no final newline\n");
    assert_eq!(text_of(&created), serialize_issue(&created).unwrap());
    assert_eq!(parse_issue(&text_of(&created)).unwrap(), Issue { path: None, ..created.clone() });
    assert_eq!(world.store.read(1).unwrap(), created);
    let (_, hash) = world.store.read_with_hash(1).unwrap();
    assert_eq!(hash, content_hash(&text_of(&created)));
    assert!(world.folder.path().join(".oxi/.gitignore").exists());
}

#[test]
fn no_project_is_begun_in_a_subdirectory() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    let git = std::process::Command::new("git").args(["init", "-q"]).current_dir(folder.path()).status();
    assert!(git.unwrap().success());
    let store = FileIssueStore::open(&deep).unwrap();
    let top = issues_dir(&folder.path().canonicalize().unwrap());
    assert_eq!(store.issues_dir(), top);
    store.create("t", "", Priority::Low, Vec::new(), None).unwrap();
    assert!(top.join("0001-t.md").exists() && !deep.join(".oxi").exists());
    assert_eq!(FileIssueStore::open(folder.path()).unwrap().open_count().unwrap(), 1);
    // the issues folder itself may be named, too, there or not
    for path in [top.clone(), folder.path().join(".oxicode/issues")] {
        assert_eq!(FileIssueStore::open(path).unwrap().issues_dir(), top);
    }
}

#[test]
fn the_home_directory_is_a_project_only_when_named() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::create_dir_all(home.join(".oxi")).unwrap();
    fs::create_dir(home.join(".git")).unwrap();
    fs::create_dir(home.join("work")).unwrap();
    let create = |store: &FileIssueStore| store.create("t", "", Priority::Low, Vec::new(), None);
    let unasked = create(&FileIssueStore::with_start(home, false, home)).unwrap_err();
    assert!(unasked.to_string().contains("home directory"), "{unasked}");
    assert_eq!(fs::read_dir(home.join(".oxi")).unwrap().count(), 0);
    let below = FileIssueStore::with_start(&home.join("work"), false, home);
    assert_eq!(below.issues_dir(), home.join("work/.oxi/issues"), "even where all of home is a work tree");
    fs::remove_dir(home.join(".git")).unwrap();
    assert!(create(&below).unwrap().path.unwrap().starts_with(home.join("work")));
    assert!(
        create(&FileIssueStore::with_start(home, true, home)).unwrap().path.unwrap().starts_with(home.join(".oxi"))
    );
}

#[test]
fn the_current_directory_can_be_where_to_begin() {
    let here = std::env::current_dir().unwrap();
    assert!(here.starts_with(FileIssueStore::open_from_cwd().unwrap().issues_dir().ancestors().nth(2).unwrap()));
}

#[test]
fn files_that_people_make_and_edit_are_seen_at_once() {
    let world = World::new();
    world.issue("mine");
    world.edit("0001-mine.md", |text| text.replace("title: mine", "title: edited # by hand"));
    assert_eq!(world.store.read(1).unwrap().meta.title, "edited");
    let other = text_of(&world.store.read(1).unwrap()).replace("id: 1\n", "id: 7\n").replace("edited", "theirs");
    Dir::open(&world.dir()).unwrap().replace("0007-theirs.md", other.as_bytes()).unwrap();
    assert_eq!(world.store.next_id().unwrap(), 8);
    assert_eq!(world.issue("next").meta.id, 8);
    world.store.close(7, None, None).unwrap();
    let text = fs::read_to_string(world.dir().join("0007-theirs.md")).unwrap();
    assert!(text.contains("status: closed") && text.contains("# by hand"), "{text}");
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let world = World::new();
    world.issue("good");
    Dir::open(&world.dir()).unwrap().replace("0002-bad.md", b"no frontmatter\n").unwrap();
    assert_eq!(world.store.list(&IssueFilter::default()).unwrap().len(), 1);
    assert_eq!(world.store.sync().unwrap().bad[0].path, ".oxi/issues/0002-bad.md");
    assert!(parse_issue("no frontmatter\n").unwrap_err().to_string().contains("frontmatter"));
}

#[test]
fn a_guarded_change_takes_the_hash_of_record_file_or_serialization() {
    let world = World::new();
    world.issue("t");
    world.edit("0001-t.md", |text| text.replace("title: t", "title: 't' # spelled by hand\nunknown: 1"));
    let rename = |hash: &str, title: &str| {
        world.store.update(1, Some(hash), |issue| {
            issue.meta.title = title.into();
            Ok(())
        })
    };
    let (issue, hash) = world.store.read_with_hash(1).unwrap();
    let (file, serialized) = (content_hash(&text_of(&issue)), content_hash(&serialize_issue(&issue).unwrap()));
    assert!(hash != file && file != serialized && serialized != hash);
    for (stale, title) in [(hash, "a"), (file, "b"), (serialized, "c")] {
        let (issue, hash) = world.store.read_with_hash(1).unwrap();
        let fresh = match title {
            "a" => hash,
            "b" => content_hash(&text_of(&issue)),
            _ => content_hash(&serialize_issue(&issue).unwrap()),
        };
        let changed = rename(&fresh, title).unwrap();
        assert!(text_of(&changed).contains("unknown: 1"));
        assert!(matches!(rename(&stale, "x"), Err(IssueError::Conflict { id: 1 })), "{title}");
    }
    assert!(matches!(rename("no hash", "x"), Err(IssueError::Conflict { id: 1 })));
    assert!(matches!(world.store.reopen(9, Some("no hash")), Err(IssueError::NotFound { id: 9 })));
}

#[test]
fn a_mutator_changes_what_it_may_and_nothing_when_it_fails() {
    let world = World::new();
    let before = world.issue("t");
    let unchanged = world.store.update(1, None, |_| Ok(())).unwrap();
    assert_eq!(unchanged, before, "not even the time");
    let failed = world.store.update(1, None, |issue| {
        issue.body.clear();
        Err(IssueError::NotAssigned { id: 1, caller: "me".into() })
    });
    assert_eq!(failed.unwrap_err().to_string(), "issue #1 is not assigned to session me; run `start` first");
    let renumbered = world.store.update(1, None, |issue| {
        issue.meta.id = 2;
        Ok(())
    });
    assert!(matches!(renumbered, Err(IssueError::Other(_))));
    let unreadable = world.store.update(1, None, |issue| {
        issue.body = "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n".into();
        Ok(())
    });
    assert!(matches!(unreadable, Err(IssueError::Other(_))));
    assert_eq!(world.store.read(1).unwrap(), before);
    let closed = world.store.update(1, None, |issue| {
        issue.meta.assignee = Some("ada".into());
        issue.meta.github = Some(GithubRef { repo: "o/r".into(), number: 3, url: "https://x".into() });
        issue.meta.status = Status::Closed;
        Ok(())
    });
    let closed = closed.unwrap();
    assert_eq!(closed.meta.closed_at, Some(closed.meta.updated_at));
    assert_eq!(parse_issue(&text_of(&closed)).unwrap().meta, closed.meta);
}

#[test]
fn the_life_of_a_claim() {
    let world = World::new();
    world.issue("t");
    let lease = world.lease("a");
    let started = world.store.start(1, None, "a").unwrap();
    let claim = started.meta.assigned_to.clone().unwrap();
    assert_eq!((claim.session.as_str(), started.badge().as_str()), ("a", "▣ open"));
    assert_eq!(world.store.start(1, None, "a").unwrap(), started, "again is nothing");
    let refused = world.store.start(1, None, "b").unwrap_err();
    assert_eq!(refused.to_string(), "issue #1 is currently being worked on by session a");
    assert!(matches!(refused, IssueError::Assigned { id: 1, owner, acquired_at }
        if owner == "a" && acquired_at == claim.acquired_at));
    let retitle = IssuePatch { title: Some("new".into()), ..IssuePatch::default() };
    for refused in [
        world.store.release(1, None, Some("b")),
        world.store.close(1, None, Some("b")),
        world.store.apply_patch(1, None, &retitle, Some("b")),
    ] {
        assert!(matches!(refused, Err(IssueError::NotAssigned { id: 1, caller }) if caller == "b"));
    }
    assert!(matches!(world.store.close(1, None, None), Err(IssueError::Assigned { .. })), "nor may a person");
    drop(lease);
    assert_eq!(
        world.store.apply_patch(1, None, &retitle, Some("b")).unwrap().meta.title,
        "new",
        "the dead block nobody"
    );
    let taken = world.store.start(1, None, "b").unwrap();
    assert_eq!(
        (taken.meta.assigned_to.unwrap().session.as_str(), taken.meta.sessions),
        ("b", vec!["a".into(), "b".into()])
    );
    assert_eq!(world.store.release(1, None, Some("b")).unwrap().meta.assigned_to, None);
    assert!(matches!(world.store.release(1, None, Some("b")), Err(IssueError::NotAssigned { .. })));
    let closed = world.store.close(1, None, Some("c")).unwrap();
    assert_eq!((closed.badge().as_str(), closed.meta.closed_at.is_some()), ("closed", true));
    assert_eq!(world.store.close(1, None, Some("d")).unwrap(), closed);
    let refused = world.store.start(1, None, "a").unwrap_err();
    assert_eq!(refused.to_string(), "issue #1 is closed; reopen it first");
    let open = world.store.reopen(1, None).unwrap();
    assert_eq!((open.meta.status, open.meta.closed_at), (Status::Open, None));
    assert_eq!(text_of(&open), serialize_issue(&open).unwrap());
}

#[test]
fn session_ids_are_checked_and_an_empty_one_owns_nothing() {
    let world = World::new();
    world.issue("t");
    for bad in ["", "../x", "a/b"] {
        assert!(matches!(world.store.start(1, None, bad), Err(IssueError::Other(_))));
        assert!(matches!(world.store.link_session(1, None, bad), Err(IssueError::Other(_))));
    }
    assert!(world.store.create("t", "", Priority::Low, Vec::new(), Some("../x")).is_err());
    assert!(world.store.create("t", "", Priority::Low, Vec::new(), Some("")).unwrap().meta.sessions.is_empty());
    for _ in 0..2 {
        assert_eq!(world.store.link_session(1, None, "s").unwrap().meta.sessions, ["s"]);
    }
}

#[test]
fn a_claim_without_a_name_counts_for_nothing() {
    let world = World::new();
    world.issue("t");
    world.edit("0001-t.md", |text| {
        text.replace("sessions: []", "sessions: []\nassigned_to:\n  session: ''\n  acquired_at: 2026-06-17T12:00:00Z")
    });
    let summary = world.store.summary().unwrap();
    assert_eq!((summary.locked_open_count, summary.top_free_priority), (0, Some(Priority::Medium)));
    assert_eq!(world.store.read(1).unwrap().badge(), "open");
    let nameless = IssueFilter { assigned_to_session: Some(String::new()), ..IssueFilter::default() };
    assert_eq!(world.store.list(&nameless).unwrap(), []);
    assert_eq!(world.store.start(1, None, "s").unwrap().meta.assigned_to.unwrap().session, "s");
    assert_eq!(world.store.summary().unwrap().locked_open_count, 1);
}

#[test]
fn a_patch_replaces_what_is_given() {
    let world = World::new();
    let before = world.store.create("t", "b\n", Priority::Low, vec!["x".into()], None).unwrap();
    assert_eq!(world.store.apply_patch(1, None, &IssuePatch::default(), None).unwrap(), before);
    let patch = IssuePatch {
        title: Some("T".into()),
        body: Some("B".into()),
        status: Some(Status::Closed),
        priority: Some(Priority::Critical),
        labels: Some(Vec::new()),
    };
    let after = world.store.apply_patch(1, None, &patch, None).unwrap();
    assert_eq!((after.meta.title.as_str(), after.body.as_str(), after.meta.labels.len()), ("T", "B\n", 0));
    assert_eq!((after.meta.priority, after.meta.closed_at.is_some()), (Priority::Critical, true));
    assert_eq!(world.store.apply_patch(1, None, &patch, None).unwrap(), after, "the time of closing stays");
    assert!(after.path.unwrap().ends_with("0001-t.md"), "a file keeps its name");
}

#[test]
fn lists_and_summaries_follow_the_originals_rules() {
    let world = World::new();
    let make = |title: &str, priority, label: &str| {
        world.store.create(title, "", priority, vec![label.to_owned()], None).unwrap()
    };
    make("Alpha", Priority::Low, "bug");
    make("beta ÄÖ", Priority::High, "Bug");
    make("gamma", Priority::Critical, "bug");
    make("done", Priority::Critical, "bug");
    world.store.close(4, None, None).unwrap();
    world.store.start(3, None, "s").unwrap();
    world.store.link_session(1, None, "s").unwrap();
    let ids = |filter: IssueFilter| -> Vec<u32> {
        world.store.list(&filter).unwrap().iter().map(|issue| issue.meta.id).collect()
    };
    let any = IssueFilter::default;
    assert_eq!(ids(any()), [1, 3, 4, 2], "last changed first");
    assert_eq!(ids(IssueFilter { status: Some(Status::Closed), ..any() }), [4]);
    assert_eq!(ids(IssueFilter { priority: Some(Priority::Critical), ..any() }), [3, 4]);
    assert_eq!(ids(IssueFilter { label: Some("Bug".into()), ..any() }), [2]);
    assert_eq!(ids(IssueFilter { assigned_to_session: Some("s".into()), ..any() }), [3], "owned, not linked");
    assert_eq!(ids(IssueFilter { text: Some("äö".into()), ..any() }), [2]);
    assert_eq!(ids(IssueFilter { text: Some(String::new()), status: Some(Status::Open), ..any() }), [1, 3, 2]);
    let summary = world.store.summary().unwrap();
    let expected = IssueSummary {
        open_count: 3,
        locked_open_count: 1,
        top_priority: Some(Priority::Critical),
        top_free_priority: Some(Priority::High),
        latest_open_title: Some("Alpha".into()),
    };
    assert_eq!(summary, expected);
    assert!(!summary.is_empty());
    assert_eq!(world.store.open_count().unwrap(), 3);
    assert_eq!(world.store.latest_open_title().unwrap(), expected.latest_open_title);
    assert_eq!(world.store.top_free_priority().unwrap(), expected.top_free_priority);
    assert_eq!((world.store.next_id().unwrap(), world.store.has_any().unwrap()), (5, true));
}

#[test]
fn what_the_original_wrote_is_listed_as_the_original_lists_it() {
    let world = World::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::create_dir_all(world.dir()).unwrap();
    for entry in fs::read_dir(golden.join("oxi-issues")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, world.dir().join(path.file_name().unwrap())).unwrap();
    }
    let expected: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(golden.join("oxi-issues.list.json")).unwrap()).unwrap();
    let listed: Vec<_> = world
        .store
        .list(&IssueFilter::default())
        .unwrap()
        .into_iter()
        .map(|issue| {
            let name = issue.path.as_ref().unwrap().file_name().unwrap().to_str().unwrap();
            assert_eq!(serialize_issue(&issue).unwrap(), text_of(&issue));
            serde_json::json!({ "badge": issue.badge(), "body": issue.body, "meta": issue.meta, "path": name })
        })
        .collect();
    assert_eq!(serde_json::Value::from(listed), expected);
}

#[test]
fn twelve_creators_and_six_guarded_writers_lose_nothing() {
    let world = World::new();
    let barrier = Barrier::new(12);
    std::thread::scope(|scope| {
        for n in 0..12 {
            let (store, barrier) = (&world.store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                store.create(&format!("t{n}"), "", Priority::Low, Vec::new(), None).unwrap();
            });
        }
    });
    let mut ids: Vec<_> =
        world.store.list(&IssueFilter::default()).unwrap().iter().map(|issue| issue.meta.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=12).collect::<Vec<_>>());
    let linked: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let store = &world.store;
                scope.spawn(move || {
                    let link = |n: usize| {
                        let (_, hash) = store.read_with_hash(1).unwrap();
                        match store.link_session(1, Some(&hash), &format!("s{writer}-{n}")) {
                            Ok(_) => true,
                            Err(IssueError::Conflict { id: 1 }) => false,
                            Err(error) => panic!("{error}"),
                        }
                    };
                    (0..4).filter(|&n| link(n)).count()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let issue = world.store.read(1).unwrap();
    assert!(linked > 0);
    assert_eq!(issue.meta.sessions.len(), linked, "every acknowledged link is there");
    assert_eq!(text_of(&issue), serialize_issue(&issue).unwrap());
    assert!(world.store.sync().unwrap().is_quiet());
}

#[test]
fn the_audit_trail_names_actor_and_session() {
    let world = World::new();
    let store = world.store.clone().with_actor("ada");
    store.create("t", "", Priority::Low, Vec::new(), None).unwrap();
    store.start(1, None, "s").unwrap();
    let db = Store::open(&world.folder.path().join(".oxi"), std::time::Duration::from_secs(10)).unwrap();
    let read = db.read().unwrap();
    let (_, change) = read.changes_since(crate::schema::id::Revision(0)).unwrap().next().unwrap().unwrap();
    assert_eq!((change.actor.as_str(), change.session.as_deref(), change.op.as_str()), ("ada", Some("s"), "start"));
}

#[test]
fn error_messages_are_the_originals() {
    let at: Timestamp = "2026-06-17T12:00:00Z".parse().unwrap();
    for (error, message) in [
        (IssueError::Conflict { id: 1 }, "issue #1 was modified since last read; re-read and retry"),
        (
            IssueError::Assigned { id: 1, owner: "a".into(), acquired_at: at },
            "issue #1 is currently being worked on by session a",
        ),
        (
            IssueError::NotAssigned { id: 1, caller: "a".into() },
            "issue #1 is not assigned to session a; run `start` first",
        ),
        (IssueError::NotFound { id: 1 }, "issue #1 not found"),
        (IssueError::Io(std::io::Error::other("text")), "text"),
        (IssueError::other("text"), "text"),
    ] {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_linked_state_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/tmp", folder.path().join(".oxi")).unwrap();
    let error = FileIssueStore::open(folder.path()).unwrap_err();
    assert!(matches!(&error, IssueError::Io(_)) && error.to_string().contains("symbolic link"), "{error}");
}
