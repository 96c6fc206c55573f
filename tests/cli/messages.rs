//! Errors that a newcomer meets: each says what happened, and what to type next.

use crate::project::{issue, project_with};

#[test]
fn an_issue_too_large_for_a_file_is_not_told_of_conflict_markers() {
    let large = issue(1, "first").body(&format!("{}\n", "x".repeat((1 << 20) - 400)));
    let project = project_with(&[large, issue(2, "second")]);
    let title = "t".repeat(500);
    let run = project.oxi(&format!("issue update 1 --title {title}")).exits(2).warns("larger than 1 MiB");
    assert!(!run.stderr.contains("markers"), "{}", run.stderr);
    run.warns("hint: nothing was changed; keep long text in a file of its own");
    let long = "v".repeat(64 << 10);
    let run = project.oxi(&format!("issue update 2 --set note={long}")).exits(2).warns("larger than 64 KiB");
    assert!(!run.stderr.contains("markers"), "{}", run.stderr);
    run.warns("hint: nothing was changed; give shorter values");
    project.oxi("status --check").ok();
}

#[test]
fn a_body_too_large_is_told_whose_it_is_and_what_to_do_with_it() {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    let body = project.scratch().join("body");
    std::fs::write(&body, "b".repeat(262_145)).unwrap();
    let hint = "hint: nothing was changed; keep long text in a file of its own";
    let body = body.display();
    project.oxi(&format!("issue create a --body-file {body}")).exits(2).warns("error: body too large").warns(hint);
    let run = project.oxi(&format!("issue update 2 --body-file {body}")).exits(2);
    run.warns("error: issue #2: body too large (max 262144 bytes)").warns(hint);
    let lines = project.scratch().join("lines");
    std::fs::write(&lines, format!("{{\"title\":\"a\"}}\n{{\"title\":\"b\",\"body\":\"{}\"}}\n", "b".repeat(262_145)))
        .unwrap();
    let run = project.oxi(&format!("issue create --from {}", lines.display())).exits(2);
    run.warns("error: line 2: body too large").warns(hint);
}
