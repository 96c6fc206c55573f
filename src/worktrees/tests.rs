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
        std::fs::create_dir(at("main/.git/objects")).unwrap();
        put(&at("main/.git/HEAD"), "");
        for name in ["one", "two"] {
            let git_dir = at("main/.git/worktrees").join(name);
            std::fs::create_dir_all(&git_dir).unwrap();
            std::fs::create_dir(at(name)).unwrap();
            put(&git_dir.join("commondir"), "../..\n");
            put(&git_dir.join("HEAD"), "");
            put(&git_dir.join("gitdir"), &at(name).join(".git").display().to_string());
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
fn put_bytes(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

fn put(path: &Path, text: &str) {
    put_bytes(path, text.as_bytes());
}

#[test]
fn what_one_work_tree_claims_all_others_see() {
    let world = World::new();
    let [main, one, two] = ["main", "one", "two"].map(|name| world.shared(name));
    one.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1"), "db").unwrap();
    main.turn(SHORT).unwrap().publish(&identity("b"), &assignment("s2"), "db").unwrap();
    for (shared, own) in [(&main, Some("b")), (&one, Some("a")), (&two, None)] {
        let claims = shared.claims().unwrap();
        assert_eq!(claims.of(&identity("a")).next().unwrap().assignment(), assignment("s1"));
        assert_eq!(claims.of(&identity("a")).next().unwrap().place(), "work tree one");
        assert_eq!(claims.of(&identity("b")).next().unwrap().place(), "the main work tree");
        assert_eq!(claims.of(&identity("c")).count(), 0);
        assert_eq!(claims.store(|| Err("not to be read")), Err("not to be read"));
        assert_eq!(claims.store(|| Ok::<_, &str>("db".into())), Ok("db"));
        assert_eq!(claims.store(|| Err("read again")), Ok("db"));
        for slug in ["a", "b"] {
            let id = identity(slug);
            let claim = claims.of(&id).next().unwrap();
            assert_eq!(claims.is_of(claim, "db"), own == Some(slug));
            assert!(!claims.is_of(claim, "another"), "a database that was built anew");
        }
    }
    // two work trees may tell of one issue, and neither writes over what the other told
    two.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s3"), "db").unwrap();
    let turn = two.turn(SHORT).unwrap();
    let id = identity("a");
    assert_eq!(turn.claims().of(&id).count(), 2);
    turn.withdraw(turn.claims().of(&id).find(|claim| claim.session == "s1").unwrap()).unwrap();
    let left = main.claims().unwrap();
    assert_eq!(left.of(&id).map(|claim| claim.session.as_str()).collect::<Vec<_>>(), ["s3"]);
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
    whole.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1"), "db").unwrap();
    let claims = part.claims().unwrap();
    assert_eq!(claims.of(&identity("a")).count(), 0);
    assert!(claims.are_empty());
}

#[test]
fn what_is_no_claim_is_passed_over_and_what_cannot_be_read_is_an_error() {
    let world = World::new();
    let shared = world.shared("one");
    let tell = |slug: &str| shared.turn(SHORT).unwrap().publish(&identity(slug), &assignment("s1"), "db").unwrap();
    let names =
        || shared.claims().unwrap().iter().map(|claim| claim.identity.slug.as_str().to_owned()).collect::<Vec<_>>();
    tell("a");
    let file = world.folder.path().join("main/.git/oxi-state/claimed");
    let text = std::fs::read_to_string(&file).unwrap();
    // zeros, what a later version may add, an empty line, no JSON, no UTF-8, and half a line of a process that was killed
    let more = text.replace("\"project\"", "\"weight\":1,\"project\"").replace("\"a\"", "\"b\"");
    put_bytes(
        &file,
        &[b"\0\0\0", text.as_bytes(), more.as_bytes(), b"\n{}\n\xff\n{\"claim\":{\"project\":\"\""].concat(),
    );
    assert_eq!(names(), ["a", "b"]);
    tell("c");
    assert_eq!(names(), ["a", "b", "c"]);
    put(&file, "");
    tell("d");
    assert_eq!(names(), ["d"]);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("elsewhere", &file).unwrap();
    assert!(shared.claims().is_err());
    assert!(shared.turn(SHORT).is_err());
}

#[test]
fn the_file_of_claims_stays_short_and_keeps_what_stands() {
    let world = World::new();
    let (main, one) = (world.shared("main"), world.shared("one"));
    let file = world.folder.path().join("main/.git/oxi-state/claimed");
    let lines = || std::fs::read_to_string(&file).unwrap().lines().count();
    for number in 0..100 {
        let turn = main.turn(SHORT).unwrap();
        turn.publish(&identity(&format!("stays-{number}")), &assignment("s1"), "db").unwrap();
    }
    let mut longest = 0;
    for number in 0..300 {
        let id = identity(&format!("over-{number}"));
        one.turn(SHORT).unwrap().publish(&id, &assignment("s2"), "db").unwrap();
        let turn = one.turn(SHORT).unwrap();
        turn.withdraw(turn.claims().of(&id).next().unwrap()).unwrap();
        longest = longest.max(lines());
    }
    // 100 claims that stand, at most as many lines that do not, and those of one turn
    assert!((200..=204).contains(&longest), "{longest}");
    let claims = main.claims().unwrap();
    assert_eq!(claims.iter().count(), 100);
    for number in 0..100 {
        assert_eq!(claims.of(&identity(&format!("stays-{number}"))).count(), 1);
    }
    let left = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().contains(".tmp-")).count(), 0);
}

#[test]
fn without_git_nothing_is_shared_and_with_it_nothing_is_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::create(folder.path()).unwrap();
    assert!(Shared::ensure(&project).unwrap().is_none());
    let world = World::new();
    let project = Project::create(&world.folder.path().join("one")).unwrap();
    assert!(Shared::find(&project).unwrap().is_none());
    assert!(!world.folder.path().join("main/.git/oxi-state").exists());
}

#[test]
fn a_claim_is_detached_once_its_work_tree_is_gone() {
    let world = World::new();
    let (main, one) = (world.shared("main"), world.shared("one"));
    one.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1"), "db").unwrap();
    let detached = |shared: &Shared| {
        let claims = shared.claims().unwrap();
        claims.is_detached(claims.of(&identity("a")).next().unwrap())
    };
    assert!(!detached(&main));
    std::fs::remove_dir_all(world.folder.path().join("one")).unwrap();
    assert!(detached(&main));
    put(&world.folder.path().join("main/.git/worktrees/one/locked"), "on a disk that is not mounted");
    assert!(!detached(&main));
}

#[test]
fn what_is_there_and_cannot_be_opened_is_an_error_and_no_repository_shares_nothing() {
    let world = World::new();
    let project = Project::create(&world.folder.path().join("main")).unwrap();
    put(&world.folder.path().join("main/.git/oxi-state"), "a file");
    assert!(Shared::find(&project).is_err());
    assert!(Shared::ensure(&project).is_err());
    let elsewhere = world.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    put(&world.folder.path().join("two/.git"), &format!("gitdir: {}\n", elsewhere.display()));
    let project = Project::create(&world.folder.path().join("two")).unwrap();
    assert!(Shared::ensure(&project).unwrap().is_none());
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn whoever_may_use_gits_directory_may_use_what_is_shared() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let git = world.folder.path().join("main/.git");
    let mode = |path: &str| git.join(path).metadata().unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o770)).unwrap();
    let shared = world.shared("one");
    shared.turn(SHORT).unwrap().publish(&identity("a"), &assignment("s1"), "db").unwrap();
    assert_eq!((mode("oxi-state"), mode("oxi-state/claimed"), mode("oxi-state/claims.lock")), (0o770, 0o660, 0o660));
}
