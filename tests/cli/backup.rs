//! `backup` and `restore`: a copy of one moment, and the way back to it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::damage::Dice;
use crate::issues::ids;
use crate::noise::noise;
use crate::project::{Project, issue, keys, project, project_with};

const DATABASE: &str = ".oxi/state.redb";

fn database(project: &Project) -> Vec<u8> {
    std::fs::read(project.path(DATABASE)).unwrap()
}

/// The copies that were made by themselves, oldest first.
fn copies(project: &Project) -> Vec<String> {
    let names = std::fs::read_dir(project.path(".oxi")).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("state.redb.backup-")).collect();
    names.sort();
    names
}

/// A file outside of the project.
fn outside(project: &Project, name: &str) -> String {
    project.scratch().join(name).display().to_string()
}

#[test]
fn a_backup_brings_everything_back() {
    let project = project_with(&[issue(1, "first")]);
    project.oxi("issue create unexported -b text").ok();
    project.oxi("pointer set branch main").ok();
    let (file, bytes) = (outside(&project, "b.redb"), database(&project));
    let report = project.json(&format!("backup {file}"));
    assert_eq!(keys(&report), ["path", "bytes", "issues", "revision"]);
    assert_eq!((&report["issues"], &report["revision"]), (&json!(2), &json!(3)));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(database(&project) == bytes, "a backup changes nothing");
    let (list, log) = (project.json("issue list --sort id"), project.json("log"));
    project.oxi("issue update 2 --title changed").ok();
    project.oxi("issue create third").ok();
    project.oxi("pointer set branch other").ok();
    let run = project.oxi(&format!("restore {file}")).ok().says("2 issues, last change 3");
    run.says("what was there before is .oxi/state.redb.backup-").warns("oxi-state sync");
    assert_eq!(project.json("issue list --sort id"), list);
    assert_eq!(project.json("log"), log);
    assert_eq!(project.json("pointer get branch")["target"], json!("main"));
    // what was there is not lost, and its numbers are not given again
    project.oxi("issue create fourth").ok().prints("4\n");
    let before = project.path(".oxi").join(&copies(&project)[0]);
    assert_eq!(before.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    project.oxi(&format!("restore {}", before.display())).ok();
    assert_eq!(project.field(2, "title"), "changed");
    assert_eq!(project.field(3, "title"), "third");
    project.oxi("issue create fifth").ok().prints("5\n");
    project.oxi("doctor").ok();
    assert_eq!(project.git("status --porcelain -- .oxi/state.redb*"), "");
}

#[test]
fn what_the_files_say_by_now_comes_back_after_an_older_backup() {
    let project = project_with(&[issue(1, "first"), issue(2, "second"), issue(3, "third")]);
    let file = outside(&project, "b.redb");
    project.oxi(&format!("backup {file}")).ok();
    project.oxi("issue update 1 --title 'changed since'").ok();
    project.oxi("issue create 'new since'").ok();
    project.oxi("issue delete 3").ok();
    project.oxi("export").ok();
    project.commit("since");
    let list = project.json("issue list --sort id");
    let report = project.oxi(&format!("restore {file} --json")).ok().json();
    assert_eq!(keys(&report), ["path", "issues", "revision", "schema", "before", "status"]);
    assert_eq!(report["status"]["to_import"], json!(3), "{report}");
    assert_eq!(project.field(1, "title"), "first");
    project.oxi("sync").ok();
    assert_eq!(project.json("issue list --sort id"), list);
    project.oxi("status --check").ok();
    project.oxi("issue create next").ok().prints("5\n");
    // two databases of one project are told apart from then on
    project.oxi("snapshot").ok();
}

#[test]
fn a_backup_is_never_written_over_anything_by_mistake() {
    let project = project_with(&[issue(1, "first")]);
    let file = outside(&project, "b.redb");
    std::fs::write(&file, "precious").unwrap();
    let error = project.oxi(&format!("backup {file} --json")).exits(4).error();
    assert!(error["hint"].as_str().unwrap().contains("--force"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    project.oxi(&format!("backup --force {file}")).ok().says("1 issue,");
    let link = outside(&project, "link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for target in [link.as_str(), ".oxi/state.redb", ".oxi/state.lock", ".oxi/issues", "/", ".."] {
        let before = database(&project);
        for force in ["", "--force "] {
            project.oxi(&format!("backup {force}{target}")).exits(2);
        }
        assert!(database(&project) == before, "{target}");
    }
    project.oxi("backup nowhere/b.redb").exits(3);
    let left: Vec<_> = std::fs::read_dir(project.scratch()).unwrap().map(|name| name.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[test]
fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let project = project_with(&[issue(1, "first").body(&noise(1, 17 * 265))]);
    let file = outside(&project, "b.redb");
    project.oxi(&format!("backup {file}")).ok();
    let (good, before) = (std::fs::read(&file).unwrap(), database(&project));
    let (mut flipped, text) = (good.clone(), noise(1, 17 * 265));
    let part = &text.as_bytes()[2_000..2_010];
    let at = flipped.windows(10).rposition(|bytes| bytes == part).unwrap();
    flipped[at] ^= 1;
    for bytes in [&flipped[..], &good[..good.len() / 2], b"", b"something else", &[7; 8192]] {
        std::fs::write(&file, bytes).unwrap();
        let error = project.oxi(&format!("restore {file} --json")).exits(9).error();
        assert_eq!(error["code"], json!("database"), "{error}");
        assert!(database(&project) == before);
    }
    project.oxi("restore nowhere.redb").exits(3);
    project.oxi("restore .oxi/issues").exits(1);
    assert!(database(&project) == before && copies(&project).is_empty());
    // nor is a damaged database a backup
    std::fs::write(project.path(DATABASE), &flipped).unwrap();
    project.oxi(&format!("backup --force {file}")).exits(9).warns("is damaged: table `bodies`");
    assert_eq!(std::fs::read(&file).unwrap(), [7; 8192]);
    std::fs::write(&file, &good).unwrap();
    project.oxi(&format!("restore {file}")).ok();
    project.oxi("doctor").ok();
}

#[test]
fn the_newest_three_copies_are_kept() {
    let project = project();
    let file = outside(&project, "b.redb");
    project.oxi(&format!("backup {file}")).ok();
    let mut all = Vec::new();
    for number in 1..=5 {
        project.oxi(&format!("issue create n{number}")).ok();
        project.oxi(&format!("restore {file}")).ok();
        all.push(copies(&project).pop().unwrap());
    }
    assert_eq!(copies(&project), all[2..]);
    project.oxi("issue create next").ok().prints("6\n");
}

#[test]
fn a_clone_without_a_database_takes_one() {
    let first = project_with(&[issue(1, "first")]);
    first.oxi("pointer set branch main").ok();
    let file = outside(&first, "b.redb");
    first.oxi(&format!("backup {file}")).ok();
    let clone = first.clone_as("clone");
    let report = clone.json(&format!("restore {file}"));
    assert_eq!(report["before"], Value::Null);
    assert_eq!(clone.json("pointer get branch")["target"], json!("main"));
    clone.oxi("sync").ok();
    clone.oxi("status --check").ok();
    clone.oxi("doctor").ok();
}

#[test]
fn a_backup_taken_while_others_write_is_of_one_moment() {
    let project = project();
    let file = |number: usize| outside(&project, &format!("b{number}.redb"));
    let writers: Vec<_> = (0..24)
        .map(|number| {
            let line = match number % 4 {
                0 => format!("--lock-timeout 60 backup {}", file(number)),
                _ => format!("--lock-timeout 60 issue create n{number} -b text"),
            };
            project.command(&line).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    for number in (0..24).step_by(4) {
        let report = project.json(&format!("restore {}", file(number)));
        let issues = ids(&project.json("issue list --sort id"));
        assert_eq!(issues, (1..=u32::try_from(issues.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!(report["revision"], json!(issues.len()), "each issue is one change");
        assert_eq!(project.json("doctor")["healthy"], json!(true));
    }
    project.oxi("issue create last").ok().prints("19\n");
}

#[test]
fn a_backup_of_an_older_version_is_brought_up_to_date_and_one_of_a_newer_is_refused() {
    for schema in [1, 2, 3] {
        let project = project();
        let old = format!("{}/tests/golden/databases/schema-{schema}.redb", env!("CARGO_MANIFEST_DIR"));
        let report = project.json(&format!("restore {old}"));
        assert_eq!(report["schema"], json!(schema));
        let changes = crate::migrations::log_rows(schema);
        assert_eq!(project.json("log").as_array().unwrap().len(), changes);
        assert_eq!(copies(&project).len(), 1, "of what was there; the backup is its own copy");
        assert_eq!(project.json("doctor")["healthy"], json!(true));
    }
    let project = project();
    let newer = outside(&project, "newer.redb");
    project.oxi(&format!("backup {newer}")).ok();
    crate::migrations::make_newer(newer.as_ref());
    let before = database(&project);
    project.oxi(&format!("restore {newer}")).exits(9).warns("newer version");
    assert!(database(&project) == before);
}

#[test]
fn a_backup_removes_what_killed_ones_left_and_nothing_else() {
    let project = project();
    let file = outside(&project, "b.redb");
    // a process that is gone, and one that is not
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let (gone, lives) = (gone.id(), std::process::id());
    let path = |name: &str| project.scratch().join(name);
    let left = format!(".b.redb.tmp-{gone}-0");
    let names = [
        format!(".b.redb.tmp-{lives}-0"),
        format!(".b.redb.tmp-{gone}-"),
        format!(".b.redb.tmp-{gone}-0.txt"),
        format!(".b.redb.tmp-+{gone}-0"),
        format!(".b.redb.tmp-0-{gone}"),
        format!("b.redb.tmp-{gone}-0"),
        format!(".other.redb.tmp-{gone}-0"),
    ];
    for name in names.iter().chain([&left]) {
        std::fs::write(path(name), "half a database").unwrap();
    }
    let (link, folder, held) = (format!("{left}1"), format!("{left}2"), format!("{left}3"));
    std::os::unix::fs::symlink(path(&names[0]), path(&link)).unwrap();
    std::fs::create_dir(path(&folder)).unwrap();
    let holder = std::fs::File::create(path(&held)).unwrap();
    holder.try_lock().unwrap();
    project.oxi(&format!("backup {file}")).ok();
    assert!(!path(&left).exists());
    for name in names.iter().chain([&link, &folder, &held]) {
        assert!(path(name).symlink_metadata().is_ok(), "{name}");
    }
    drop(holder);
    project.oxi(&format!("backup {file} --force")).ok();
    assert!(!path(&held).exists());
    // in the state folder git does not see one
    std::fs::write(project.path(".oxi/.b.redb.tmp-1-0"), "half a database").unwrap();
    assert!(!project.git("status --porcelain -uall").contains("tmp"));
}

#[test]
fn killed_at_any_time_a_restore_leaves_the_old_database_or_the_new_one() {
    let project = project();
    let text = outside(&project, "body.md");
    std::fs::write(&text, noise(1, 128_000)).unwrap();
    project.oxi(&format!("issue create 'in the backup' --body-file {text}")).ok();
    let file = outside(&project, "b.redb");
    project.oxi(&format!("backup {file}")).ok();
    project.oxi("issue update 1 --title 'in the database'").ok();
    let rounds = if std::env::var_os("OXI_STATE_LONG").is_some() { 400 } else { 24 };
    let (start, mut killed, mut restored) = (Instant::now(), 0, 0);
    project.oxi(&format!("restore {file}")).ok();
    let whole = start.elapsed();
    // as many copies as are kept
    project.oxi(&format!("restore {file}")).ok();
    project.oxi(&format!("restore {file}")).ok();
    project.oxi("issue update 1 --title 'in the database'").ok();
    for round in 0..rounds {
        let mut child =
            project.command(&format!("restore {file}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * (round % 24) / 23);
        child.kill().unwrap();
        let was_killed = !child.wait().unwrap().success();
        killed += u32::from(was_killed);
        let title = project.field(1, "title");
        assert!(["in the backup", "in the database"].contains(&title.as_str()), "{title}");
        if title == "in the backup" {
            restored += 1;
            project.oxi("issue update 1 --title 'in the database'").ok();
        }
        // the oldest goes when the newest is there, and a kill may come between
        assert!(copies(&project).len() <= 3 + usize::from(was_killed), "{:?}", copies(&project));
    }
    project.oxi(&format!("restore {file}")).ok();
    assert_eq!(copies(&project).len(), 3, "the next takes away what a killed one left");
    eprintln!("{killed} of {rounds} were killed, {restored} had a new database");
    assert!(killed > 0);
    // of one that lost its copy of the old database
    std::fs::write(project.path(".oxi/.state.redb.backup-20261121T120000.000Z-restore.tmp-999999999-0"), "x").unwrap();
    project.oxi("sync").ok();
    let left: Vec<_> = std::fs::read_dir(project.path(".oxi")).unwrap().map(|name| name.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[test]
fn damage_anywhere_is_in_no_backup_and_stops_no_restore() {
    let project = project();
    for number in 0..12 {
        project.oxi(&format!("issue create 'issue {number}' -b text")).ok();
    }
    let (whole, late) = (outside(&project, "whole.redb"), outside(&project, "late.redb"));
    project.oxi(&format!("backup {whole}")).ok();
    let good = std::fs::read(project.path(DATABASE)).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for page in 0..good.len() / 4096 {
        let mut bytes = good.clone();
        let mut dice = Dice(page as u64 + 1);
        bytes[page * 4096..(page + 1) * 4096].fill_with(|| dice.roll(256).try_into().unwrap());
        std::fs::write(project.path(DATABASE), &bytes).unwrap();
        let made = project.oxi(&format!("backup {late} --force"));
        if made.code == 0 {
            taken += 1;
            project.oxi(&format!("restore {late}")).ok();
            project.oxi("issue create late").ok();
        } else {
            refused += 1;
            made.exits(9);
        }
        std::fs::write(project.path(DATABASE), &bytes).unwrap();
        project.oxi(&format!("restore {whole}")).ok();
        assert_eq!(project.all_issues().len(), 12, "page {page}");
    }
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
}
