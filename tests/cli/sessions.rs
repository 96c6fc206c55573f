//! Pointers to sessions: imported, listed, drawn, linked, forked, deleted; and no text of any of them anywhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::project::{Project, issue, keys, project, project_with};

const A: &str = "95fd1757-4d14-43ac-b738-b7169885caec";
const B: &str = "bc03adf4-faf8-4b50-be6c-cae1b5f0ec56";
const C: &str = "185f2aa4-beb1-4858-b71a-960554043f5c";
/// The entry at which A branches, and at which B was forked.
const POINT: &str = "8bb629c4-af85-441d-baff-af6b29be9cc2";
/// In every text of the files below `sessions-forbidden` that must not be kept.
const MARK: &str = "zqforbidden";

const KEYS: [&str; 24] = [
    "id",
    "source",
    "name",
    "state",
    "alive",
    "parent",
    "root",
    "fork_point",
    "leaf",
    "file",
    "format",
    "project",
    "models",
    "stop_reason",
    "counts",
    "tokens",
    "issues",
    "bad_lines",
    "truncated",
    "pid",
    "created_at",
    "last_activity_at",
    "ended_at",
    "branches",
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Puts copies of golden files into a folder outside of the project.
fn copies(project: &Project, name: &str) -> PathBuf {
    let folder = project.scratch().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        let copy = folder.join(path.file_name().unwrap());
        std::fs::copy(&path, &copy).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_200_000);
        std::fs::File::options().write(true).open(&copy).unwrap().set_modified(time).unwrap();
    }
    folder
}

/// A project into which the three samples were imported.
fn with_samples() -> Project {
    let project = project_with(&[issue(1, "a"), issue(2, "b")]);
    let folder = copies(&project, "sessions");
    let report = project.json(&format!("session import {}", folder.display()));
    assert_eq!(report, json!({"created": [C, A, B], "updated": [], "unchanged": 0, "skipped": 0, "bad": []}));
    project
}

fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let time = path.metadata().unwrap().modified().unwrap();
            all.insert(path.clone(), (std::fs::read(&path).unwrap(), time));
        }
    }
    all
}

fn revision(project: &Project) -> Value {
    project.json("stats")["revision"].clone()
}

fn write(project: &Project, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = project.scratch().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A session file of oxi.
fn session_file(id: &str, entries: usize) -> String {
    let mut text = format!(
        "{{\"type\":\"session\",\"version\":3,\"id\":\"{id}\",\"timestamp\":\"2026-11-20T08:00:00Z\",\"cwd\":\"/x\"}}\n"
    );
    for n in 0..entries {
        let line = json!({"type": "message", "id": format!("e{n}"), "parentId": Value::Null,
            "timestamp": format!("2026-11-20T08:00:{n:02}Z"), "message": {"role": "user", "content": "x"}});
        text.extend([line.to_string(), "\n".into()]);
    }
    text
}

#[test]
fn importing_twice_changes_nothing_the_second_time() {
    let project = with_samples();
    let folder = project.scratch().join("sessions");
    let before = revision(&project);
    let again = project.json(&format!("session import {}", folder.display()));
    assert_eq!(again, json!({"created": [], "updated": [], "unchanged": 3, "skipped": 0, "bad": []}));
    assert_eq!(revision(&project), before);
    project.oxi(&format!("session import {}", folder.display())).ok().prints("3 unchanged\n").silent();
}

#[test]
fn a_dry_run_tells_and_stores_nothing() {
    let project = project();
    let folder = copies(&project, "sessions");
    let line = format!("session import {} --dry-run", folder.display());
    project
        .oxi(&line)
        .ok()
        .says(&format!("created {A} (oxi, 11 entries)\n"))
        .says("would be: 3 created, 0 unchanged\n");
    assert_eq!(project.json("session list --all"), json!([]));
    assert_eq!(revision(&project), json!(0));
}

#[test]
fn a_session_is_shown_with_all_that_is_known_of_it() {
    let project = with_samples();
    project
        .oxi(&format!("session link {A} 1 2"))
        .ok()
        .prints(&format!("linked session {A} to issue #1\nlinked session {A} to issue #2\n"));
    let shown = project.json("session show 95fd");
    let mut names = keys(&shown);
    names.sort_unstable();
    let mut expected = KEYS;
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(keys(&shown)[15..18], ["tokens", "branches", "issues"]);
    assert_eq!((&shown["id"], &shown["issues"], &shown["alive"]), (&json!(A), &json!([1, 2]), &Value::Null));
    assert_eq!(shown["tokens"]["total"], json!(12));
    assert_eq!(shown["branches"].as_array().unwrap().len(), 2);
    let text = project.oxi(&format!("session show {B}")).ok();
    text.says(&format!("forked at     {POINT}\n")).says(&format!("parent        {A}\n"));
}

#[test]
fn lists_have_the_same_objects_without_branches_newest_first() {
    let project = with_samples();
    assert_eq!(project.json("session list"), json!([]), "imported sessions are not active");
    project.oxi("session list").ok().prints("no active sessions\n");
    let list = project.json("session list --all");
    let ids: Vec<&Value> = list.as_array().unwrap().iter().map(|session| &session["id"]).collect();
    assert_eq!(ids, [C, B, A].map(Value::from).iter().collect::<Vec<_>>());
    assert_eq!(keys(&list[0]), KEYS[..23]);
    assert_eq!(project.json("session list --all --limit 1").as_array().unwrap().len(), 1);
    project
        .oxi("session list --all")
        .ok()
        .says(&format!("{A}  recorded  -        2026-11-20T17:40:36Z  oxi, 11 entries"));
}

#[test]
fn the_tree_shows_branches_and_forks_at_their_entries() {
    let project = with_samples();
    let text = project.oxi("session tree --color never").ok();
    let expected = format!(
        "{A}  oxi, 11 entries, 2 user, 2 assistant, 12 tokens\n\
         ├─ at {POINT}\n\
         │  ├─ branch 2aa2b6ad-3d78-49bd-b2b0-d908c899ac26  5 entries, 12 tokens\n\
         │  ├─ branch af537d98-08ac-47dd-842c-158c0b71718f  3 entries, 0 tokens, current\n\
         │  └─ fork {B}  oxi, 9 entries, 2 user, 2 assistant, 12 tokens\n\
         │     └─ at {POINT}\n\
         │        ├─ branch 2aa2b6ad-3d78-49bd-b2b0-d908c899ac26  5 entries, 12 tokens\n\
         │        └─ branch af537d98-08ac-47dd-842c-158c0b71718f  3 entries, 0 tokens, current\n\
         └─ at 4981fab9-1139-4e58-8d9b-c3f574a93c58\n"
    );
    assert!(text.stdout.starts_with(&expected), "{}", text.stdout);
    let tree = project.json("session tree");
    assert_eq!(tree.as_array().unwrap().len(), 1);
    assert_eq!(keys(&tree[0]).last(), Some(&"forks"));
    let forks: Vec<&Value> = tree[0]["forks"].as_array().unwrap().iter().map(|fork| &fork["id"]).collect();
    assert_eq!(forks, [&json!(B), &json!(C)]);
    assert_eq!(project.json("session tree bc03")[0]["id"], json!(B));
    // its parent is forgotten, and still named
    project.oxi(&format!("session delete {A}")).ok();
    let text = project.oxi("session tree --color never").ok();
    assert!(text.stdout.starts_with(&format!("{A} (not imported)\n├─ fork {B}")), "{}", text.stdout);
}

#[test]
fn the_order_of_imports_does_not_matter() {
    let project = with_samples();
    let other = crate::project::project();
    let folder = copies(&other, "sessions");
    let mut names: Vec<PathBuf> = files(&folder).into_keys().collect();
    names.reverse();
    for name in &names {
        other.oxi(&format!("session import {}", name.display())).ok();
    }
    let mine = |project: &Project| project.json("session tree");
    assert_eq!(mine(&other), mine(&project));
}

#[test]
fn the_later_version_of_a_file_counts() {
    let project = project();
    let early = write(&project, "early.jsonl", session_file("s1", 2));
    let late = write(&project, "late.jsonl", session_file("s1", 5));
    let import = |path: &Path| project.json(&format!("session import {}", path.display()));
    let entries = || project.json("session show s1")["counts"]["entries"].clone();
    assert_eq!(import(&early)["created"], json!(["s1"]));
    assert_eq!(import(&late)["updated"], json!(["s1"]));
    assert_eq!(entries(), json!(5));
    assert_eq!(import(&early)["skipped"], json!(1));
    assert_eq!(entries(), json!(5));
    project.oxi("undo").ok();
    assert_eq!(entries(), json!(2));
    project.oxi("session delete s1").ok();
    let both = project.json(&format!("session import {} {}", late.display(), early.display()));
    assert_eq!((&both["created"], &both["skipped"]), (&json!(["s1"]), &json!(1)));
}

#[test]
fn what_was_registered_here_gets_the_counts_of_its_file() {
    let project = with_samples();
    project.oxi("session fork 95fd --at e9 --id s1 --name 'night shift'").ok().prints("s1\n");
    let file = write(&project, "s1.jsonl", session_file("s1", 3));
    let report = project.json(&format!("session import {}", file.display()));
    assert_eq!(report["updated"], json!(["s1"]));
    let shown = project.json("session show s1");
    assert_eq!((&shown["name"], &shown["state"]), (&json!("night shift"), &json!("active")));
    assert_eq!((&shown["parent"], &shown["root"], &shown["fork_point"]), (&json!(A), &json!(A), &json!("e9")));
    assert_eq!((&shown["source"], &shown["counts"]["entries"]), (&json!("oxi"), &json!(3)));
    assert_eq!(project.json(&format!("session import {}", file.display()))["unchanged"], json!(1));
}

#[test]
fn only_sessions_of_this_project_if_asked() {
    let project = project();
    let root = project.root.display().to_string();
    let here = write(&project, "here.jsonl", session_file("here", 1).replace("\"/x\"", &format!("\"{root}/src\"")));
    let there = write(&project, "there.jsonl", session_file("there", 1));
    let report = project.json(&format!("session import {} {} --here", here.display(), there.display()));
    assert_eq!((&report["created"], &report["skipped"]), (&json!(["here"]), &json!(1)));
    assert_eq!(project.json("session show here")["project"], json!("src"));
}

#[test]
fn no_text_of_a_session_is_stored_or_printed() {
    let project = project();
    let folder = copies(&project, "sessions-forbidden");
    let samples = copies(&project, "sessions");
    let before = (files(&folder), files(&samples));
    assert!(before.0.values().all(|(bytes, _)| String::from_utf8_lossy(bytes).contains(MARK)));
    let mut printed = String::new();
    for line in [
        format!("session import {}", folder.display()),
        format!("session import {} {} --json", folder.display(), samples.display()),
        "session list --all".into(),
        "session list --all --json".into(),
        "session tree".into(),
        "session tree --json".into(),
        "session show 11111111".into(),
        "session show 22222222 --json".into(),
        "log --json".into(),
    ] {
        let run = project.oxi(&line).ok();
        printed.push_str(&run.stdout);
        printed.push_str(&run.stderr);
    }
    assert_eq!(project.json("session list --all").as_array().unwrap().len(), 7);
    assert_eq!((files(&folder), files(&samples)), before, "the files are only read");
    // every text in the samples' messages that is not a single common word
    let texts =
        [MARK, "My session", "bookmark", "abandoned branch", r#"{"k":1}"#, r#"{\"k\":1}"#, "/proj/x", "/home/dev"];
    for text in texts {
        assert!(!printed.contains(text), "{text} was printed:\n{printed}");
        for (path, (bytes, _)) in files(&project.path(".oxi")) {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{text} is in {}", path.display());
        }
    }
}

#[test]
fn bad_lines_are_named_and_the_rest_is_taken_in() {
    let project = project();
    let mut text = session_file("s1", 2).into_bytes();
    text.extend(b"not json\n");
    text.extend([b'"', 0xff, b'"', b'\n']);
    text.extend(b"x\n".repeat(30));
    text.extend(b"{\"type\":\"message\",\"id\":\"cut o");
    let path = write(&project, "s1.jsonl", text);
    let prose = write(&project, "prose.jsonl", "some\nprose\n");
    let report = project.json_of(&format!("session import {} {}", path.display(), prose.display()), 7);
    assert_eq!(report["created"], json!(["s1"]));
    let bad = report["bad"].as_array().unwrap();
    assert_eq!(bad.len(), 22);
    let file = path.display().to_string();
    assert_eq!(bad[0], json!({"path": file, "line": 4, "reason": "the line is no JSON object"}));
    assert_eq!(bad[1]["reason"], json!("the line is not UTF-8"));
    assert_eq!(bad[20], json!({"path": file, "line": null, "reason": "12 more lines that cannot be read"}));
    assert_eq!((&bad[21]["path"], &bad[21]["line"]), (&json!(prose.display().to_string()), &Value::Null));
    assert!(bad[21]["reason"].as_str().unwrap().starts_with("not a session file"));
    let shown = project.json("session show s1");
    assert_eq!(
        (&shown["bad_lines"], &shown["truncated"], &shown["counts"]["entries"]),
        (&json!(32), &json!(true), &json!(2))
    );
    project
        .oxi(&format!("session import {}", path.display()))
        .exits(7)
        .prints("21 bad, 1 unchanged\n")
        .warns("s1.jsonl:4: ");
}

#[test]
fn what_is_no_session_file_stores_nothing() {
    let project = project();
    let empty = project.scratch().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let run = project.oxi(&format!("session import {} --json", empty.display())).exits(3);
    assert!(run.error()["message"].as_str().unwrap().contains("no session files (*.jsonl) in "));
    project.oxi("session import /nowhere/at/all").exits(3).warns("/nowhere/at/all");
    project.oxi("session import").exits(2);
    let issue = write(&project, "issue.md", "---\nid: 1\n---\n");
    let report = project.json_of(&format!("session import {}", issue.display()), 7);
    assert_eq!((&report["created"], &report["bad"][0]["line"]), (&json!([]), &Value::Null));
    let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let named = write(&project, "secret.jsonl", session_file(&secret, 1));
    project.oxi(&format!("session import {}", named.display())).exits(7).warns("cannot name a session");
    assert_eq!(project.json("session list --all"), json!([]));
    assert_eq!(revision(&project), json!(0));
}

#[test]
fn a_long_line_is_read_and_not_held() {
    let project = project();
    let long = json!({"type": "message", "id": "long", "message": {"role": "user", "content": "y".repeat(8 << 20)}});
    let path = write(&project, "s1.jsonl", format!("{}{long}\n", session_file("s1", 1)));
    project.oxi(&format!("session import {}", path.display())).ok();
    let shown = project.json("session show s1");
    assert_eq!((&shown["counts"]["users"], &shown["leaf"]), (&json!(2), &json!("long")));
    assert!(std::fs::metadata(project.path(".oxi/state.redb")).unwrap().len() < 4 << 20);
}

#[test]
fn the_beginning_of_an_id_is_enough_if_it_is_the_only_one() {
    let project = project();
    for id in ["same-1", "same-2", "other"] {
        let path = write(&project, &format!("{id}.jsonl"), session_file(id, 1));
        project.oxi(&format!("session import {}", path.display())).ok();
    }
    assert_eq!(project.json("session show o")["id"], json!("other"));
    let error = project.oxi("session show same --json").exits(2).error();
    assert_eq!(error["candidates"], json!(["same-1", "same-2"]));
    project.oxi("session show none").exits(3).warns("session list --all");
    project.oxi("session show").exits(2).warns("OXI_STATE_SESSION");
    assert_eq!(
        project.oxi_with("session show --json", &[("OXI_STATE_SESSION", "other")]).ok().json()["id"],
        json!("other")
    );
}

#[test]
fn a_fork_is_registered_with_where_it_comes_from() {
    let project = with_samples();
    let forked = project.json(&format!("session fork bc03 --at {POINT} --name tides"));
    assert_eq!((&forked["parent"], &forked["root"], &forked["fork_point"]), (&json!(B), &json!(A), &json!(POINT)));
    assert_eq!(
        (&forked["source"], &forked["state"], &forked["name"]),
        (&json!("oxi-state"), &json!("active"), &json!("tides"))
    );
    let id = forked["id"].as_str().unwrap();
    assert!(id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()), "{id}");
    assert_eq!(project.json("session list")[0]["id"], forked["id"]);
    project.oxi(&format!("session fork {A} --at x --id {id}")).exits(4);
    project.oxi("session fork none --at x").exits(3);
    project.oxi("session fork 95fd --at 'two words'").exits(2);
    let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    for line in [format!("--at {secret}"), format!("--at x --name {secret}"), format!("--at x --id {secret}")] {
        project.oxi(&format!("session fork 95fd {line}")).exits(8);
    }
    assert_eq!(project.json("session list").as_array().unwrap().len(), 1);
}

#[test]
fn sessions_are_linked_to_issues_all_or_nothing() {
    let project = with_samples();
    project.oxi("session link 95fd 1 7").exits(3);
    assert_eq!(project.show(1)["sessions"], json!([]));
    let linked = project.json("session link nobody-knows 1 2");
    assert_eq!(linked[1]["sessions"], json!(["nobody-knows"]));
    assert_eq!(project.json("session link 95fd 1")["sessions"], json!(["nobody-knows", A]));
    project.oxi("session link 95fd 1").ok().prints(&format!("session {A} is linked to issue #1 already\n"));
    project.oxi("session link ../x 1").exits(2);
    assert_eq!(project.json(&format!("session show {A}"))["issues"], json!([1]));
}

#[test]
fn a_session_that_may_live_is_deleted_only_by_force() {
    let project = with_samples();
    project.oxi("session fork 95fd --at e1 --id mine").ok();
    let error = project.oxi("session delete 185f mine --json").exits(5).error();
    assert_eq!((&error["id"], &error["state"]), (&json!("mine"), &json!("unknown")));
    assert_eq!(project.json("session list --all").as_array().unwrap().len(), 4, "all or nothing");
    project
        .oxi("session delete 185f mine --force")
        .ok()
        .prints(&format!("deleted session {C}\ndeleted session mine\n"));
    project.oxi("session delete 185f").exits(3);
    project.oxi("undo").ok();
    assert_eq!(project.json("session show mine")["fork_point"], json!("e1"));
    assert_eq!(project.json(&format!("session show {C}"))["id"], json!(C));
}

#[test]
fn a_session_of_the_original_is_listed_by_its_lock() {
    let project = with_samples();
    let folder = project.file(".alive");
    std::fs::create_dir_all(&folder).unwrap();
    let payload = r#"{"session":"sX","pid":13670,"host":"vm","cwd":"/home/dev/project","started":1795196605}"#;
    std::fs::write(folder.join("sX"), payload).unwrap();
    std::fs::write(folder.join("gone"), "").unwrap();
    let lock = std::fs::File::open(folder.join("sX")).unwrap();
    lock.lock().unwrap();
    let list = project.json("session list");
    assert_eq!(list.as_array().unwrap().len(), 1, "one that nobody holds is not listed");
    assert_eq!((&list[0]["id"], &list[0]["source"], &list[0]["alive"]), (&json!("sX"), &Value::Null, &json!(true)));
    assert_eq!((&list[0]["pid"], &list[0]["created_at"]), (&json!(13670), &json!("2026-11-20T17:43:25Z")));
    assert!(!list.to_string().contains("/home/dev"));
    assert_eq!(project.json("session show s")["id"], json!("sX"));
    project.oxi("session list").ok().says("sX  active    alive  ");
    // an imported session that holds its lock is alive
    let held = std::fs::File::create(folder.join(A)).unwrap();
    held.lock().unwrap();
    assert_eq!(project.json("session show 95fd")["alive"], json!(true));
    project.oxi("session delete 95fd").exits(5);
}
