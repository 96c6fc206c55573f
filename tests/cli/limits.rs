//! What the system gives a process little of.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use crate::issues::ids;
use crate::project::{Project, Run, repository};

/// More issues than files may be open.
const ISSUES: usize = 300;

/// Runs the program under a limit of the shell's.
fn under(limit: &str, project: &Project, line: &str) -> Run {
    let command = project.command(line);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(&project.root);
    Run::of(line, limited.output().unwrap())
}

fn plan(project: &Project) {
    let mut plan = String::new();
    for number in 1..=ISSUES {
        writeln!(plan, r#"{{"title":"Issue {number}","body":"Text {number}.\n"}}"#).unwrap();
    }
    std::fs::write(project.path("plan.jsonl"), plan).unwrap();
}

#[test]
fn however_many_files_there_are_few_are_open_at_once() {
    let project = repository();
    plan(&project);
    let few = |line: &str| under("-n 32", &project, line).ok();
    few("init");
    few("issue create --from plan.jsonl");
    few("export").says(&format!("{ISSUES} created, 0 unchanged"));
    project.commit("all");
    few("issue update --where status=open -p high");
    few("sync").says(&format!("{ISSUES} updated"));
    for name in project.files() {
        project.edit(&name, "priority: high", "priority: low");
    }
    few("import").says(&format!("{ISSUES} updated"));
    assert_eq!(ids(&few("issue search text --json").json()).len(), ISSUES);
    few("backup copy.redb");
    few("snapshot");
    project.drop_database();
    few("import").says(&format!("{ISSUES} created"));
    few("doctor");
}
