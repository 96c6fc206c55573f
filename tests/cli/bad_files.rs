//! Files that are not taken in: named with path, line and reason, and in nobody's way.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::project::{ISSUES, Project, issue, keys, project_with};

/// A good file for #9 with one thing replaced.
fn nine(from: &str, to: &str) -> Vec<u8> {
    let text = issue(9, "ninth").text();
    assert!(text.contains(from), "{from:?} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

/// Bad files for `0009-ninth.md`: the bytes, the line named, and a part of the reason.
fn kinds() -> Vec<(Vec<u8>, Option<u32>, &'static str)> {
    let text = issue(9, "ninth").text();
    let unclosed = text.replace("\n---\n", "\n");
    let mut not_utf8 = text.clone().into_bytes();
    not_utf8.extend(b"six\n\xff\n");
    let markers = "three\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n";
    let large = format!("{text}{}\n", "x".repeat(1 << 20));
    let large_frontmatter = format!("k: {}\nsessions: []\n", "x".repeat(64 << 10));
    vec![
        (b"just text\n".to_vec(), Some(1), "does not begin with frontmatter"),
        (b"".to_vec(), Some(1), "does not begin with frontmatter"),
        (b"\n---\nid: 9\n---\n".to_vec(), Some(1), "does not begin with frontmatter"),
        (unclosed.into_bytes(), None, "no closing line ---"),
        (nine("id: 9\n", ""), Some(2), "the key id is missing"),
        (nine("title: ninth\n", ""), Some(2), "the key title is missing"),
        (nine("created_at: 2026-01-02T03:04:09Z\n", ""), Some(2), "the key created_at is missing"),
        (nine("updated_at: 2026-01-02T03:04:09Z\n", ""), Some(2), "the key updated_at is missing"),
        (nine("id: 9", "id: nine"), Some(2), "the value of id"),
        (nine("id: 9", "id: '9'"), Some(2), "the value of id"),
        (nine("status: open", "status: Open"), Some(4), "open or closed"),
        (nine("priority: medium", "priority: urgent"), Some(5), "low, medium, high or critical"),
        (nine("labels: []", "labels: bug"), Some(6), "the value of labels"),
        (nine("created_at: 2026-01-02T03:04:09Z", "created_at: 2026-01-02"), Some(7), "the value of created_at"),
        (nine("sessions: []", "sessions: []\nsessions: []"), Some(10), "the key sessions is there twice"),
        (nine("sessions: []", "sessions: ["), None, "not valid YAML"),
        (nine("sessions: []", "...\nsessions: []"), None, "more than one YAML document"),
        (nine("sessions: []", "k: !!python/object {}"), Some(9), "tags"),
        (nine("sessions: []", "<<: {a: 1}"), Some(9), "merge key"),
        (nine("sessions: []", "k: [[[[[[[[[[[[1]]]]]]]]]]]]"), Some(9), "nested too deeply"),
        (nine("sessions: []", "\"k\\u202Eey\": 1"), Some(9), "control or direction-changing"),
        (nine("three\n", markers), Some(14), "conflict marker"),
        (nine("status: open\n", "<<<<<<< HEAD\nstatus: open\n"), Some(4), "conflict marker"),
        (nine("sessions: []\n", &large_frontmatter), None, "larger than 64 KiB"),
        (not_utf8, Some(17), "not UTF-8"),
        (large.into_bytes(), None, "larger than 1 MiB"),
        (nine("id: 9", "id: 8"), None, "its name says issue 9, its frontmatter says 8"),
    ]
}

/// Two good issues, in step.
fn two() -> Project {
    project_with(&[issue(1, "first"), issue(2, "second")])
}

/// The one bad file that a command reports, with exit 7.
#[track_caller]
fn the_bad_file(project: &Project, line: &str) -> Value {
    let report = project.oxi(&format!("{line} --json")).exits(7).json();
    let bad = report["bad"].as_array().unwrap();
    assert_eq!(bad.len(), 1, "{report}");
    assert_eq!(keys(&bad[0]), ["path", "line", "reason"]);
    bad[0].clone()
}

#[test]
fn each_kind_of_bad_file_is_named_with_path_line_and_reason() {
    let project = two();
    for (bytes, line, reason) in kinds() {
        project.write("0009-ninth.md", &bytes);
        let bad = the_bad_file(&project, "import");
        assert_eq!(bad["path"], json!(".oxi/issues/0009-ninth.md"), "{reason}");
        assert!(bad["reason"].as_str().unwrap().contains(reason), "{reason}: {bad}");
        if let Some(line) = line {
            assert_eq!(bad["line"], json!(line), "{reason}: {bad}");
        }
        assert_eq!(std::fs::read(project.file("0009-ninth.md")).unwrap(), bytes);
    }
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 2);
}

#[test]
fn people_are_told_on_standard_error() {
    let project = two();
    project.write("0009-ninth.md", nine("status: open", "status: Open"));
    project.oxi("import").exits(7).warns("bad file .oxi/issues/0009-ninth.md:4: ").says("1 bad, 2 unchanged\n");
    project.oxi("status --check").exits(4).warns(".oxi/issues/0009-ninth.md:4: ");
    project.oxi("status").exits(7);
    assert_eq!(project.json_of("status", 7)["bad"][0]["line"], json!(4));
    project.remove("0009-ninth.md");
    project.oxi("status --check").ok();
}

#[test]
fn a_bad_file_keeps_its_record_and_stops_nothing_else() {
    let project = two();
    let record = project.show(1);
    for (bytes, _, reason) in kinds() {
        let mut bytes = bytes;
        if let Some(at) = bytes.windows(5).position(|window| window == b"id: 9") {
            bytes[at + 4] = b'1';
        }
        project.write("0001-first.md", &bytes);
        project.oxi("issue update 2 --append more").ok();
        project.oxi("sync").exits(7);
        assert_eq!(project.show(1), record, "{reason}");
        assert_eq!(std::fs::read(project.file("0001-first.md")).unwrap(), bytes, "{reason}");
        assert!(project.read("0002-second.md").ends_with("more\n"));
        project.oxi("issue update 2 --body x").ok();
    }
    project.add(&issue(1, "first"));
    project.oxi("sync").ok();
    assert_eq!(project.show(1), record);
    project.oxi("status --check").ok();
}

#[test]
fn export_does_not_write_over_a_bad_file() {
    let project = two();
    project.oxi("issue update 1 -p high").ok();
    let bad = nine("status: open", "status: Open");
    project.write("0001-first.md", &bad);
    let report = project.oxi("export --json").exits(7).json();
    assert_eq!(report["bad"][0]["path"], json!(".oxi/issues/0001-first.md"));
    assert_eq!(std::fs::read(project.file("0001-first.md")).unwrap(), bad);
    // nor does it remove one
    project.oxi("issue delete 1").ok();
    project.oxi("sync").exits(7);
    assert_eq!(std::fs::read(project.file("0001-first.md")).unwrap(), bad);
    project.add(&issue(1, "first").body("mended and edited\n"));
    project.oxi("sync").ok();
    assert_eq!(project.field(1, "body"), "mended and edited\n");
}

#[test]
fn a_file_in_the_way_of_a_new_one_is_left_alone() {
    let project = two();
    project.oxi("issue create third").ok();
    project.write("0003-third.md", "not an issue\n");
    project.oxi("export").exits(7).warns("0003-third.md");
    assert_eq!(project.read("0003-third.md"), "not an issue\n");
    project.remove("0003-third.md");
    project.oxi("export").ok();
    assert!(project.exists("0003-third.md"));
}

#[test]
fn a_fresh_clone_with_a_bad_file_builds_the_rest() {
    let project = two();
    project.write("0009-ninth.md", "broken\n");
    project.commit("break it");
    let clone = project.clone_as("clone");
    clone.oxi("issue list").ok().says("first").says("second").warns("0009-ninth.md");
    let twin = project.clone_as("twin");
    twin.oxi("init").exits(7).says("imported 2 issues").warns("0009-ninth.md");
}

#[test]
fn names_that_are_no_issue_files_are_passed_over_or_named() {
    let project = two();
    let text = issue(9, "ninth").text();
    for name in ["README.md", "notes.txt", "0009-ninth.md.orig", "draft-0009.md", ".hidden.md", "0009-ninth.txt"] {
        project.write(name, &text);
    }
    std::fs::create_dir(project.file("sub")).unwrap();
    project.write("sub/0009-ninth.md", &text);
    project.oxi("import").ok();
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 2);
    project.oxi("issue create third").ok().prints("3\n");
    std::fs::create_dir(project.file("0008-folder.md")).unwrap();
    assert_eq!(the_bad_file(&project, "import")["reason"], json!("it is not a regular file"));
    std::fs::remove_dir(project.file("0008-folder.md")).unwrap();
    assert!(Command::new("mkfifo").arg(project.file("0008-fifo.md")).status().unwrap().success());
    assert_eq!(the_bad_file(&project, "import")["reason"], json!("it is not a regular file"));
    std::fs::remove_file(project.file("0008-fifo.md")).unwrap();
    project.oxi("import").ok();
}

#[test]
fn a_twin_by_case_or_unicode_form_is_bad() {
    let project = two();
    let text = issue(1, "first").text();
    project.write("0001-First.md", &text);
    let bad = the_bad_file(&project, "import");
    assert_eq!(bad["path"], json!(".oxi/issues/0001-First.md"));
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 2);
    assert_eq!(project.read("0001-First.md"), text);
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_record() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = two();
    let path = project.file("0001-first.md");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    project.drop_database();
    project.oxi("import").exits(7).warns("0001-first.md");
}

// ---- links

#[test]
fn a_linked_issue_file_is_named_and_not_followed() {
    let project = two();
    let secret = project.scratch().join("outside.md");
    std::fs::write(&secret, issue(9, "outside").text()).unwrap();
    symlink(&secret, project.file("0009-outside.md")).unwrap();
    let bad = the_bad_file(&project, "sync");
    assert_eq!(bad["path"], json!(".oxi/issues/0009-outside.md"));
    assert!(bad["reason"].as_str().unwrap().contains("symbolic link"), "{bad}");
    assert_eq!(project.json("issue list").as_array().unwrap().len(), 2);
    // a record whose file becomes a link
    std::fs::remove_file(project.file("0001-first.md")).unwrap();
    symlink(&secret, project.file("0001-first.md")).unwrap();
    project.oxi("issue update 1 -p high").ok();
    project.oxi("sync").exits(7);
    project.oxi("export").exits(7).warns("0001-first.md");
    assert_eq!(project.field(1, "title"), "first");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), issue(9, "outside").text());
    assert!(project.file("0001-first.md").is_symlink());
    project.oxi("issue delete 1").ok();
    project.oxi("sync").exits(7);
    assert!(secret.exists());
}

#[test]
fn a_linked_issues_folder_is_refused_by_name() {
    let project = two();
    let outside = project.scratch().join("outside");
    std::fs::rename(project.path(ISSUES), &outside).unwrap();
    symlink(&outside, project.path(ISSUES)).unwrap();
    let files = || std::fs::read_dir(&outside).unwrap().count();
    let before = files();
    project.oxi("issue update 1 -p high").exits(1).warns("symbolic link");
    for line in ["import", "export", "sync", "status", "init"] {
        project.oxi(line).exits(1).warns("issues").warns("symbolic link");
        assert_eq!(files(), before, "{line}");
    }
    assert_eq!(std::fs::read_to_string(outside.join("0001-first.md")).unwrap(), issue(1, "first").text());
}

#[test]
fn a_linked_state_folder_is_refused_by_name() {
    let project = two();
    let outside = project.scratch().join("outside");
    std::fs::rename(project.path(".oxi"), &outside).unwrap();
    symlink(&outside, project.path(".oxi")).unwrap();
    for line in ["issue list", "issue create x", "sync", "init"] {
        project.oxi(line).exits(1).warns(".oxi").warns("symbolic link");
    }
    assert_eq!(std::fs::read_to_string(outside.join("issues/0001-first.md")).unwrap(), issue(1, "first").text());
}

#[test]
fn a_linked_database_or_lock_is_refused_by_name() {
    for name in ["state.redb", "state.lock", "state.lock-turn", "state.lock-sync"] {
        let project = two();
        let target = project.scratch().join("target");
        let path = project.path(&format!(".oxi/{name}"));
        std::fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
        let before = std::fs::read(&target).unwrap();
        let commands =
            if name == "state.lock-sync" { vec!["sync"] } else { vec!["issue list", "issue create x", "sync"] };
        for line in commands {
            let run = project.oxi(line);
            assert_ne!(run.code, 0, "{name}: {line}");
            run.warns(name);
        }
        assert_eq!(std::fs::read(&target).unwrap(), before, "{name}");
    }
}

#[test]
fn a_linked_liveness_folder_is_not_followed() {
    let project = two();
    let outside = project.scratch().join("alive");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("s1"), "").unwrap();
    project.oxi("--session s1 issue start 1").ok();
    symlink(&outside, project.file(".alive")).unwrap();
    // unknown, not dead: nothing outside can give a claim away
    assert_eq!(project.show(1)["owner_alive"], Value::Null);
}
