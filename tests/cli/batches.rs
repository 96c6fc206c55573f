//! Many issues in one step: `issue create --from`, `issue update --where`.

use serde_json::{Value, json};

use crate::issues::{full_keys, ids};
use crate::processes::Running;
use crate::project::{Project, Run, keys, project};

/// A project with a file of JSON lines beside it.
fn with_lines(lines: &[Value]) -> Project {
    let project = project();
    write_lines(&project, lines);
    project
}

fn write_lines(project: &Project, lines: &[Value]) {
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    std::fs::write(project.path("plan.jsonl"), lines.join("\n")).unwrap();
}

#[test]
fn a_file_of_lines_becomes_issues_in_its_order() {
    let project = with_lines(&[
        json!({"title": "Design", "key": "design", "priority": "high", "labels": ["plan", "plan"]}),
        json!({"title": "Build", "depends_on": ["design", "tools"], "body": "one\ntwo", "assignee": "ada"}),
        json!({"title": "Tools", "key": "tools", "status": "closed"}),
    ]);
    project.oxi("issue create --from plan.jsonl").ok().prints("1\n2\n3\n").silent();
    assert_eq!(project.field(1, "priority"), "high");
    assert_eq!(project.show(1)["labels"], json!(["plan"]));
    assert_eq!(project.show(2)["depends_on"], json!([1, 3]));
    assert_eq!(project.show(2)["blocked_by"], json!([1]), "the closed one holds nothing up");
    assert_eq!((project.field(2, "body"), project.field(2, "assignee")), ("one\ntwo\n".into(), "ada".into()));
    assert!(project.show(3)["closed_at"].is_string());
    assert_eq!(ids(&project.json("issue list --ready")), [1]);
    assert_eq!(ids(&project.json("issue list --blocked")), [2]);
    // another clone, which takes them from the files, comes to the same
    project.oxi("export").ok();
    assert!(project.read("0002-build.md").contains("- 0001-design\n- 0003-tools\n"));
    let before = project.all_issues();
    std::fs::remove_file(project.path(".oxi/state.redb")).unwrap();
    assert_eq!(project.all_issues(), before);
}

#[test]
fn with_json_they_are_told_as_show_does_and_one_undo_takes_all_back() {
    let project = with_lines(&[json!({"title": "Same"}), json!({"title": "Same"}), json!({"title": "Same"})]);
    let created = project.json("issue create --from plan.jsonl");
    assert_eq!(ids(&created), [1, 2, 3]);
    assert_eq!(keys(&created[0]), full_keys());
    assert_eq!(created[1], project.show(2));
    project.oxi("sync").ok();
    project.oxi("status --check").ok();
    project.oxi("undo").ok();
    assert_eq!(project.json("issue list --status all"), json!([]));
    project.oxi("issue create next").ok().prints("4\n");
}

#[test]
fn they_can_come_by_standard_input_and_wait_for_what_is_there() {
    let project = project();
    project.oxi("issue create first").ok();
    let line = json!({"title": "Second", "depends_on": [1]}).to_string();
    std::fs::write(project.path("plan.jsonl"), format!("\n{line}\n\n")).unwrap();
    let mut command = project.command("issue create --from - --session lin");
    command.stdin(std::fs::File::open(project.path("plan.jsonl")).unwrap());
    Run::of("issue create --from -", command.output().unwrap()).ok().prints("2\n");
    assert_eq!(project.show(2)["depends_on"], json!([1]));
    assert_eq!(project.show(2)["sessions"], json!(["lin"]));
}

#[test]
fn a_line_that_is_wrong_creates_nothing() {
    let good = json!({"title": "Good", "key": "a"});
    let wrong: [(Value, i32, &str); 9] = [
        (json!({"body": "x"}), 7, "line 2: it has no title"),
        (json!({"title": " "}), 2, "line 2: the title is empty"),
        (json!({"title": "T", "key": "a"}), 7, "line 2: its key is that of line 1, too"),
        (json!({"title": "T", "depends_on": ["b"]}), 7, "line 2: it waits for a key that no line has"),
        (json!({"title": "T", "depends_on": [77]}), 3, "line 2: issue #77 not found"),
        (json!({"title": "T", "key": "t", "depends_on": ["t"]}), 7, "line 2: issues wait for each other: lines 2 -> 2"),
        (json!({"title": "T", "colour": 1}), 7, "line 2: it has a field that issues do not have here"),
        (json!({"title": "T", "priority": "urgent"}), 7, "line 2: priority: give low, medium, high or critical"),
        (json!(["T"]), 7, "line 2: it is no JSON object"),
    ];
    let project = project();
    for (line, code, message) in wrong {
        write_lines(&project, &[good.clone(), line.clone()]);
        project.oxi("issue create --from plan.jsonl").exits(code).warns(message);
    }
    std::fs::write(project.path("plan.jsonl"), "{\"title\":\"T\"}\n{\"title\":\"hunter2\n").unwrap();
    let run = project.oxi("issue create --from plan.jsonl").exits(7).warns("line 2: it is no JSON");
    assert!(!run.stderr.contains("hunter2"));
    std::fs::write(project.path("plan.jsonl"), "\n").unwrap();
    project.oxi("issue create --from plan.jsonl").exits(2).warns("there is no issue in it");
    project.oxi("issue create --from gone.jsonl").exits(3).warns("cannot read gone.jsonl");
    project.oxi("issue create Title --from plan.jsonl").exits(2);
    project.oxi("issue create").exits(2);
    assert_eq!(project.json("issue list --status all"), json!([]));
}

#[test]
fn all_that_match_are_changed_in_one_step() {
    let project = with_lines(&[
        json!({"title": "One", "labels": ["alarm"], "priority": "low"}),
        json!({"title": "Two", "labels": ["alarm", "sea"], "assignee": "ada"}),
        json!({"title": "Three", "labels": ["sea"]}),
        json!({"title": "Four", "labels": ["alarm"], "status": "closed"}),
    ]);
    project.oxi("issue create --from plan.jsonl").ok();
    let changed = project.json("issue update --where label=alarm -p high --add-label seen");
    assert_eq!(ids(&changed), [1, 2], "open ones, unless asked otherwise");
    assert_eq!(changed[1]["labels"], json!(["alarm", "sea", "seen"]));
    project
        .oxi("issue update --where label=alarm --where status=all -p high")
        .ok()
        .prints("updated 1 issue; 2 more matched and needed no change\n");
    project.oxi("issue update --where assignee= --assignee lin").ok().prints("updated 2 issues\n");
    assert_eq!(project.field(2, "assignee"), "ada");
    project.oxi("issue update --where text=nothing -p low").ok().prints("updated 0 issues\n");
    // one command is one thing to undo
    project.oxi("undo").ok();
    assert_eq!(project.show(1)["assignee"], json!(null));
    project.oxi("issue update --where ready --status closed").ok().prints("updated 3 issues\n");
}

#[test]
fn one_that_may_not_be_changed_keeps_all_as_they_are() {
    let project = with_lines(&[json!({"title": "One"}), json!({"title": "Two"})]);
    project.oxi("issue create --from plan.jsonl").ok();
    let _lin = Running::start(&project, "session run --id lin -- sh -c 'echo ready; exec sleep 60'");
    project.oxi("issue start 2 --session lin").ok();
    let error = project.oxi("issue update --where status=open -p high --session ada --json").exits(5).error();
    assert_eq!(error["id"], json!(2));
    assert_eq!(project.field(1, "priority"), "medium");
    project.oxi("issue update --where status=open -p high --session ada --force").ok();
    assert_eq!(project.field(1, "priority"), "high");
}

#[test]
fn a_condition_that_is_not_understood_is_refused() {
    let project = project();
    project.oxi("issue create one").ok();
    for condition in ["colour=red", "priority=urgent", "status=gone", "label=", "ready=yes", "="] {
        project.oxi(&format!("issue update --where {condition} -p high")).exits(2);
    }
    project.oxi("issue update --where priority=low --where priority=high -p high").exits(2).warns("given twice");
    project.oxi("issue update --where label=x").exits(2).warns("nothing to change");
    project.oxi("issue update 1 --where label=x -p high").exits(2);
    project.oxi("issue update --where label=x --title T").exits(2);
    project.oxi("issue update -p high").exits(2);
    assert_eq!(project.field(1, "priority"), "medium");
}
