//! `doctor`, and damaged databases: never a wrong answer, and nothing lost that is whole.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::damage::{Dice, damage_pages, flip_bits};
use crate::issues::ids;
use crate::project::{Project, Run, issue, keys, project, project_with};

const DATABASE: &str = ".oxi/state.redb";

/// A project with rows of many kinds, some of which no file has: an issue that was never exported, an edit that was not,
/// a deletion that was not.
fn with_everything() -> Project {
    let files: Vec<_> = (1..=60).map(|id| issue(id, "an issue").body(&format!("text of {id}\n").repeat(9))).collect();
    let project = project_with(&files);
    for line in [
        "issue create unexported -b 'no file has it'",
        "issue update 5 --append edited",
        "issue delete 9",
        "issue update 7 -l bug --assignee ada",
        "issue dep add 7 6",
        "--session s1 session run -- true",
        "pointer set branch main",
        "fact set theme dark",
        "runtime set proxy --state running --pid 7",
        "health record openai/a/b --ok --limit 9",
        "validation record --result passed tests --issue 3",
        "handoff add 'half done' --issue 3",
        "telemetry count sessions --day 2099-01-01",
    ] {
        project.oxi(line).ok();
    }
    let text = project.scratch().join("one.md");
    fs::write(&text, "hello\n").unwrap();
    project.oxi(&format!("doc put notes/one {}", text.display())).ok();
    project
}

const QUERIES: [&str; 12] = [
    "issue list --status all --sort id --json",
    "issue list -l bug --json",
    "issue list --ready --limit 5 --json",
    "issue show 17 --json",
    "issue show 61 --json",
    "issue show 999",
    "issue summary --json",
    "issue search text --json",
    "log --json",
    "validation list --json",
    "pointer get branch --json",
    "doc get notes/one",
];

/// Damages a file in one of many ways, and says how.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    match dice.roll(12) {
        way @ 0..=2 => damage_pages(bytes, way, dice),
        _ => flip_bits(bytes, 1, dice),
    }
}

fn long(short: usize, long: usize) -> usize {
    if std::env::var_os("OXI_STATE_LONG").is_some() { long } else { short }
}

#[test]
fn a_damaged_database_gives_the_right_answer_or_none() {
    let project = with_everything();
    let whole = fs::read(project.path(DATABASE)).unwrap();
    let ask = |line: &str| -> Output { project.command(line).output().unwrap() };
    let right = QUERIES.map(ask);
    let (mut dice, mut refused, mut answered) = (Dice(7), 0, 0);
    let rounds = long(120, 6_000);
    for round in 0..rounds {
        let mut bytes = whole.clone();
        let how = damage(&mut bytes, &mut dice);
        fs::write(project.path(DATABASE), bytes).unwrap();
        let query = round % QUERIES.len();
        let answer = ask(QUERIES[query]);
        if answer.status.code() == Some(9) {
            refused += 1;
            let said = String::from_utf8(answer.stderr).unwrap();
            assert!(said.contains("damaged") || said.contains("database"), "{how}: {said}");
            assert!(!said.contains("gave up"), "{how}: the engine met what should have been verified: {said}");
        } else {
            answered += 1;
            let same = (answer.status, &answer.stdout) == (right[query].status, &right[query].stdout);
            assert!(same, "{}: {how}: {answer:?}", QUERIES[query]);
        }
    }
    eprintln!("{rounds} damaged files: {answered} right answers, {refused} refusals");
    assert!(refused > 0 && answered > 0);
}

#[test]
fn a_change_of_a_damaged_database_happens_whole_or_not_at_all() {
    let project = with_everything();
    let whole = fs::read(project.path(DATABASE)).unwrap();
    let all = ids(&project.json("issue list --status all --sort id"));
    let (mut dice, mut refused) = (Dice(11), 0);
    for _ in 0..long(40, 3_000) {
        let mut bytes = whole.clone();
        let how = damage(&mut bytes, &mut dice);
        fs::write(project.path(DATABASE), &bytes).unwrap();
        let made = project.oxi("issue create late");
        if made.code == 9 {
            refused += 1;
            continue;
        }
        assert_eq!((made.code, made.stdout.as_str()), (0, "62\n"), "{how}: {made:?}");
        let list = project.oxi("issue list --status all --sort id --json");
        if list.code == 0 {
            assert_eq!(ids(&list.json()), [all.clone(), vec![62]].concat(), "{how}");
        } else {
            assert_eq!(list.code, 9, "{how}: {list:?}");
        }
    }
    assert!(refused > 0);
}

#[test]
fn what_is_whole_is_saved_and_what_is_not_is_named() {
    let project = with_everything();
    let whole = fs::read(project.path(DATABASE)).unwrap();
    let (list, log) = (project.json("issue list --status all --sort id"), project.json("log"));
    let mut dice = Dice(13);
    let (mut damaged, mut lost) = (0, 0);
    for _ in 0..long(10, 400) {
        let mut bytes = whole.clone();
        let how = damage(&mut bytes, &mut dice);
        fs::write(project.path(DATABASE), &bytes).unwrap();
        let before = project.oxi("doctor --json");
        if before.code == 0 {
            assert_eq!(project.json("log"), log, "{how}");
            continue;
        }
        damaged += 1;
        before.exits(9);
        let fixed = project.oxi("doctor --fix --json").ok().json();
        assert_eq!(fixed["healthy"], json!(true), "{how}");
        let aside = fixed["fixed"]["damaged"].as_str().unwrap();
        assert!(fs::read(project.path(aside)).unwrap() == bytes, "{how}");
        fs::remove_file(project.path(aside)).unwrap();
        let is_lost = fixed["fixed"]["lost"].as_array().unwrap().len();
        lost += usize::from(is_lost > 0);
        if is_lost == 0 {
            assert_eq!(project.json("issue list --status all --sort id"), list, "{how}");
            assert_eq!(project.json("log"), log, "{how}");
        }
        let synced = project.oxi("sync");
        if synced.code == 4 {
            // what a file and its record last agreed on is lost, and both were edited: a person decides
            assert!(is_lost > 0, "{how}: {synced:?}");
            for conflict in project.json("conflicts").as_array().unwrap() {
                project.oxi(&format!("resolve {} --ours", conflict["id"])).ok();
            }
            project.oxi("sync").ok();
        } else {
            synced.ok();
        }
        project.oxi("status --check").ok();
        // as a test of its own needs them
        project.git("checkout -q -- .oxi/issues");
        for name in project.files() {
            if project.git(&format!("ls-files .oxi/issues/{name}")).is_empty() {
                project.remove(&name);
            }
        }
    }
    eprintln!("{damaged} were damaged, of {lost} something was lost");
    assert!(damaged > 0);
}

#[test]
fn one_damaged_text_is_named_and_only_that_is_lost() {
    let project = with_everything();
    let path = project.path(DATABASE);
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"text of 17\n".repeat(9);
    let mut hits = 0;
    for at in 0..bytes.len() - needle.len() {
        if bytes[at..].starts_with(&needle) {
            bytes[at + 5] ^= 4;
            hits += 1;
        }
    }
    assert!(hits > 0);
    fs::write(&path, &bytes).unwrap();
    let error = project.oxi("issue show 17 --json").exits(9).error();
    assert_eq!((&error["table"], &error["key"]), (&json!("bodies"), &json!("17")));
    assert!(error["hint"].as_str().unwrap().contains("oxi-state doctor"), "{error}");
    // what lies in the same page may be as it was once
    project.oxi("issue show 18").exits(9).warns("the page at byte");
    let list = project.json("issue list --status all --sort id");
    project.oxi("doctor").exits(9).says("damaged: table `bodies`, key 17: the row is not what").warns("--fix");
    assert!(fs::read(&path).unwrap() == bytes, "looking changes nothing");
    let run = project.oxi("doctor --fix").ok().says("lost: table `bodies`, key 17").says("that of its file");
    assert_eq!(run.stdout.matches("`bodies`, key 17").count(), 1, "it is named once: {}", run.stdout);
    run.says("nothing is wrong");
    assert_eq!(project.json("issue list --status all --sort id"), list);
    project.oxi("issue show 17").ok().says("text of 17");
    project.oxi("issue show 18").ok().says("text of 18");
    // what no file had is there still
    project.oxi("issue show 61").ok().says("no file has it");
    project.oxi("issue show 5").ok().says("edited");
    project.oxi("issue show 9").exits(3);
    project.oxi("doc get notes/one").ok().says("hello");
    project.oxi("issue create next").ok().prints("62\n");
    project.oxi("sync").ok();
    assert!(!project.exists("0009-an-issue.md"), "the deletion that was not exported yet");
    project.oxi("status --check").ok();
    assert_eq!(project.git("status --porcelain -- .oxi/state.redb*"), "");
}

#[test]
fn what_is_no_database_at_all_is_rebuilt_from_the_files() {
    for bytes in [&b""[..], b"not a database", &[0; 8192]] {
        let project = project_with(&[issue(1, "first"), issue(2, "second")]);
        fs::write(project.path(DATABASE), bytes).unwrap();
        project.oxi("doctor").exits(9).says("damaged: the file does not begin as a database does");
        let run = project.oxi("doctor --fix").ok();
        run.says("the damaged database is now .oxi/state.redb.damaged-").says("2 issues from the files");
        assert_eq!(ids(&project.json("issue list --sort id")), [1, 2]);
        project.oxi("doctor").ok();
    }
}

#[test]
fn a_healthy_project_has_nothing_wrong() {
    let project = with_everything();
    let before = fs::read(project.path(DATABASE)).unwrap();
    let run = project.oxi("doctor").ok().says("state.redb: ").says("60 issues").silent();
    run.says("note: files and database are not in step").says("nothing is wrong\n");
    let report = project.json("doctor");
    assert_eq!(report["healthy"], json!(true));
    assert_eq!(report["fixed"], Value::Null);
    assert_eq!(keys(&report), ["healthy", "database", "findings", "fixed", "removed"]);
    let schema = project.json("schema doctor");
    for key in keys(&report) {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    project.oxi("doctor --fix").ok().says("nothing is wrong\n");
    assert!(fs::read(project.path(DATABASE)).unwrap() == before);
    project.oxi("doctor --engine").ok().prints("").silent();
}

#[test]
fn no_database_is_no_error() {
    let project = project_with(&[issue(1, "first")]);
    project.drop_database();
    project.oxi("doctor").ok().says("note: there is no database; the next command builds it from the files");
    assert!(!project.path(DATABASE).exists());
    assert_eq!(project.json("doctor --fix")["database"], Value::Null);
    project.oxi("issue list").ok().says("first");
}

#[test]
fn whatever_else_is_odd_is_told() {
    let project = project_with(&[issue(1, "first")]);
    project.write("0002-bad.md", "no frontmatter\n");
    // no process has that id: it is above what the system gives
    let leftover = project.path(".oxi/state.redb.tmp-999999999");
    fs::write(&leftover, "x").unwrap();
    fs::write(project.path(".oxi/.settings.toml.tmp-999999999-0"), "x").unwrap();
    fs::write(project.path(".oxi/.gitignore"), "state.lock*\n").unwrap();
    let run = project.oxi("doctor").exits(7).says("problem: .oxi/issues/0002-bad.md: ").says("frontmatter");
    run.says(".oxi/state.redb.tmp-999999999: a process that was killed left it").says(".oxi/.gitignore: it lacks");
    fs::write(&leftover, "x").unwrap();
    project.oxi("doctor --fix").exits(7).says("removed .oxi/.settings.toml.tmp-999999999-0\n");
    assert!(!leftover.exists());
    project.oxi("init").exits(7);
    project.remove("0002-bad.md");
    project.oxi("doctor").ok().says("nothing is wrong");
    project.git("add -f .oxi/state.redb");
    project.oxi("doctor").exits(9).says("is tracked by git");
    fs::remove_file(project.path(DATABASE)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", project.path(DATABASE)).unwrap();
    project.oxi("doctor").exits(9).says("not a regular file");
}

#[test]
fn doctors_at_once_do_not_get_in_each_others_way() {
    let project = project();
    project.oxi("issue create first -b text").ok();
    let path = project.path(DATABASE);
    let mut bytes = fs::read(&path).unwrap();
    let page = bytes.len() / 2 / 4096 * 4096;
    bytes[64..320].fill(0);
    bytes[page..page + 4096].fill(7);
    fs::write(&path, bytes).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            project.command("--lock-timeout 60 doctor --fix").stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        Run::of("doctor --fix", child.wait_with_output().unwrap()).ok().says("nothing is wrong");
    }
    project.oxi("issue create second").ok();
    project.oxi("doctor").ok();
}

#[test]
fn what_was_undone_is_told_though_what_is_left_to_do_cannot_be() {
    let project = project_with(&[issue(1, "first").body("one\n"), issue(2, "second"), issue(3, "third")]);
    project.edit("0001-first.md", "one", "theirs");
    project.oxi("issue update 1 --body ours").ok();
    project.oxi("import").exits(4);
    project.oxi("issue update 2 --priority high").ok();
    let path = project.path(".oxi/state.redb");
    let whole = fs::read(&path).unwrap();
    let mut tried = 0;
    for page in 1..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096 + 100] ^= 1;
        fs::write(&path, damaged).unwrap();
        if !project.oxi("doctor").stdout.contains("damaged: table `conflicts`") {
            continue;
        }
        tried += 1;
        project.oxi("undo").ok().says("undid change ").warns("what is left to do cannot be told");
        assert_eq!(project.field(2, "priority"), "medium");
    }
    assert!(tried > 0);
}

#[test]
fn a_half_made_ignore_file_is_removed_by_the_next_sync() {
    let project = project_with(&[issue(1, "first")]);
    let left = |pid: u32| project.path(&format!(".oxi/..gitignore.tmp-{pid}-0"));
    // one of a process that is gone, one of a process that may finish it
    let (gone, lives) = (left(999_999_999), left(std::process::id()));
    for file in [&gone, &lives] {
        fs::write(file, "state.redb*").unwrap();
    }
    project.oxi("sync").ok();
    assert!(!gone.exists() && lives.exists());
}

#[test]
fn a_database_that_is_taken_away_is_built_again_by_whoever_reads() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let path = project.path(".oxi/state.redb");
    // a command that builds it, on this machine as busy as it is
    fs::remove_file(&path).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 2);
    let pause = begun.elapsed();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..25 {
                        assert_eq!(project.json("issue list").as_array().unwrap().len(), 2);
                    }
                })
            })
            .collect();
        while readers.iter().any(|reader| !reader.is_finished()) {
            let _ = fs::remove_file(&path);
            std::thread::sleep(pause);
        }
    });
}
