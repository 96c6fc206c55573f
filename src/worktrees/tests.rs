use super::*;

const SHORT: Duration = Duration::from_millis(60);

fn identity(slug: &str) -> Identity {
    let slug = crate::schema::id::Slug::from_title(slug);
    Identity { slug, created_at: "2026-06-17T12:00:00.000000001Z".parse().unwrap() }
}

fn assignment(session: &str) -> Assignment {
    Assignment { session: session.into(), acquired_at: "2026-06-17T12:00:01Z".parse().unwrap() }
}

/// A repository as far as its files tell: a main work tree and two linked ones with a project each.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("main/.git/worktrees")).unwrap();
        for name in ["one", "two"] {
            let git_dir = at("main/.git/worktrees").join(name);
            std::fs::create_dir_all(&git_dir).unwrap();
            std::fs::create_dir(at(name)).unwrap();
            put(&git_dir.join("commondir"), "../..\n");
            put(&at(name).join(".git"), &format!("gitdir: {}\n", git_dir.display()));
        }
        Self { folder }
    }

    fn shared(&self, work_tree: &str) -> Shared {
        let project = Project::create(&self.folder.path().join(work_tree)).unwrap();
        Shared::ensure(&project).unwrap().unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "plays git")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_one_work_tree_claims_all_others_see() {
    let world = World::new();
    let [main, one, two] = ["main", "one", "two"].map(|name| world.shared(name));
    one.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1")).unwrap();
    main.turn(SHORT).unwrap().publish(&identity("b"), &assignment("s2")).unwrap();
    for (shared, elsewhere) in [(&main, 1), (&one, 1), (&two, 2)] {
        let claims = shared.claims().unwrap();
        assert_eq!(claims.of(&identity("a")).unwrap().assignment(), assignment("s1"));
        assert_eq!(claims.of(&identity("a")).unwrap().place(), "work tree one");
        assert_eq!(claims.of(&identity("b")).unwrap().place(), "the main work tree");
        assert_eq!(claims.of(&identity("c")), None);
        assert_eq!(claims.elsewhere().count(), elsewhere);
    }
    let turn = two.turn(SHORT).unwrap();
    turn.withdraw(&identity("a")).unwrap();
    turn.withdraw(&identity("never claimed")).unwrap();
    assert_eq!(main.claims().unwrap().of(&identity("a")), None);
}

#[test]
fn two_cannot_have_the_turn_at_once() {
    let world = World::new();
    let (one, two) = (world.shared("one"), world.shared("two"));
    let turn = one.turn(SHORT).unwrap();
    assert!(matches!(two.turn(SHORT), Err(GateError::Busy { .. })));
    drop(turn);
    two.turn(Duration::from_secs(5)).unwrap();
}

#[test]
fn projects_of_one_repository_do_not_take_each_others_issues() {
    let world = World::new();
    std::fs::create_dir_all(world.folder.path().join("one/part")).unwrap();
    let (whole, part) = (world.shared("one"), world.shared("one/part"));
    whole.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1")).unwrap();
    let claims = part.claims().unwrap();
    assert_eq!(claims.of(&identity("a")), None);
    assert_eq!((claims.elsewhere().count(), claims.here().count()), (0, 0));
}

#[test]
fn what_is_no_claim_is_passed_over() {
    let world = World::new();
    let shared = world.shared("one");
    shared.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1")).unwrap();
    let folder = world.folder.path().join("main/.git/oxi-state/claims");
    let claim = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(claim.path()).unwrap();
    put(&folder.join("0123"), &text);
    put(&folder.join("empty"), "");
    std::os::unix::fs::symlink(claim.path(), folder.join("link")).unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    assert_eq!(shared.claims().unwrap().here().count(), 1);
    put(&claim.path(), "{");
    assert_eq!(shared.claims().unwrap().here().count(), 0);
}

#[test]
fn without_git_nothing_is_shared_and_with_it_nothing_is_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::create(folder.path()).unwrap();
    assert!(Shared::ensure(&project).unwrap().is_none());
    let world = World::new();
    let project = Project::create(&world.folder.path().join("one")).unwrap();
    assert!(Shared::find(&project).is_none());
    assert!(!world.folder.path().join("main/.git/oxi-state").exists());
}
