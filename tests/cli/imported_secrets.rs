//! Secrets in files that somebody else wrote: the mirror takes them in as they are and tells where they are.

use serde_json::json;

use crate::project::{issue, project_with};

/// A token, in parts.
fn token(last: char) -> String {
    ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ01234", &last.to_string()].concat()
}

#[test]
fn what_a_file_brings_in_is_taken_and_told_once() {
    let project = project_with(&[issue(1, "first").body(&format!("one\nuse {}\n", token('a'))), issue(2, "second")]);
    // told when the database was built, and never again
    let told = json!([{"path": ".oxi/issues/0001-first.md", "line": 12, "rule": "github-token"}]);
    assert_eq!(project.json("import")["secrets"], json!(null));
    project.drop_database();
    assert_eq!(project.json("import")["secrets"], told);
    assert!(project.field(1, "body").contains(&token('a')), "the mirror is faithful");
    project.edit("0001-first.md", "one", "ONE");
    assert_eq!(project.json("sync")["secrets"], json!(null), "nothing was added");
    project.edit("0001-first.md", "ONE\n", &format!("ONE\nand {}\n", token('b')));
    project.oxi("import --dry-run --quiet").ok().silent();
    let run =
        project.oxi("import").ok().warns("warning: .oxi/issues/0001-first.md:12 looks like a secret (github-token)");
    let run = run.warns("hint: it was taken in");
    assert!(run.stderr.lines().count() == 2 && !run.stderr.contains(&token('b')) && !run.stdout.contains(&token('b')));
    project.oxi("import").ok().silent();
}

#[test]
fn a_command_that_builds_the_database_tells_and_an_allowed_rule_is_not_told() {
    let project = project_with(&[issue(1, "first").body(&format!("{}\n", token('a'))).with("note: 'a'\n")]);
    project.drop_database();
    project.oxi("issue list").ok().warns(".oxi/issues/0001-first.md:").warns("(github-token)");
    project.drop_database();
    let run = project.oxi("issue list --allow github-token").ok();
    assert!(!run.stderr.contains("looks like a secret"), "{}", run.stderr);
    project.drop_database();
    assert_eq!(project.json("import --allow github-token")["secrets"], json!(null));
}

#[test]
fn many_are_told_in_twenty_lines_and_a_count() {
    let body: String = ('a'..='z').map(|last| token(last) + "\n").collect();
    let project = project_with(&[issue(1, "first"), issue(2, "second").body(&body)]);
    project.drop_database();
    let run = project.oxi("import").ok().warns("warning: 6 more places look like secrets; --json lists them all");
    assert_eq!(run.stderr.lines().count(), 22, "{}", run.stderr);
    project.drop_database();
    assert_eq!(project.json("sync")["secrets"].as_array().unwrap().len(), 26);
}

#[test]
fn a_merge_tells_what_the_other_branch_adds() {
    let project = project_with(&[issue(1, "first")]);
    let text = project.read("0001-first.md");
    let secret = token('m');
    project.git("switch -q -c theirs");
    project.write("0001-first.md", text.replace("one\n", &format!("one {secret}\n")));
    project.commit("theirs");
    project.git("switch -q main");
    project.write("0001-first.md", text.replace("one\n", "one ours\n"));
    project.commit("ours");
    assert!(!project.try_git("merge -q theirs").status.success());
    let report = project.json("import");
    assert_eq!(report["secrets"][0]["rule"], json!("github-token"), "{report}");
}
