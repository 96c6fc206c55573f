//! Hooks: put in beside what is there, doing their work, and taken out without a trace.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::project::{Project, issue, keys, project_with, repository};

pub(crate) const HOOKS: [&str; 5] = ["pre-commit", "post-merge", "post-checkout", "post-rewrite", "pre-push"];

pub(crate) fn with_hooks() -> Project {
    let project = project_with(&[issue(1, "first"), issue(2, "second")]);
    project.oxi("hooks install").ok();
    project.commit("hooks");
    project
}

fn script(path: &Path, text: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Every file of a folder: name, mode, bytes or target.
fn tree(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = match std::fs::read_link(&path) {
                Ok(target) => target.into_os_string().into_encoded_bytes(),
                Err(_) => std::fs::read(&path).unwrap(),
            };
            (path.display().to_string(), path.symlink_metadata().unwrap().mode(), bytes)
        })
        .collect();
    all.sort();
    all
}

fn states(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["parts"].as_array().unwrap().iter().map(|part| (text(&part["name"]), text(&part["state"]))).collect()
}

fn state(project: &Project, name: &str) -> String {
    let all = states(&project.json("hooks status"));
    all.into_iter().find(|(found, _)| found == name).unwrap().1
}

/// A commit of everything; what git said on stderr if it refused.
pub(crate) fn try_commit(project: &Project) -> Result<(), String> {
    project.git("add -A");
    let output = project.try_git("commit -q --allow-empty -m work");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}

#[test]
fn installing_registers_everything_and_can_be_repeated() {
    let project = project_with(&[issue(1, "first")]);
    let index = project.git("ls-files --stage");
    let before = project.json("hooks status");
    assert_eq!(keys(&before), ["program", "hooks_path", "hooks_path_inside", "parts"]);
    assert!(states(&before).iter().all(|(_, state)| state == "missing"));
    let after = project.json("hooks install");
    assert!(states(&after).iter().all(|(_, state)| state == "installed"), "{after}");
    assert_eq!(after["hooks_path"], json!(".git/hooks"));
    let attributes = std::fs::read_to_string(project.path(".gitattributes")).unwrap();
    assert!(attributes.contains("\n.oxi/issues/*.md merge=oxi-state\n"), "{attributes}");
    assert_eq!(
        project.git("check-attr merge .oxi/issues/0001-first.md"),
        ".oxi/issues/0001-first.md: merge: oxi-state\n"
    );
    assert_eq!(project.git("ls-files --stage"), index, "nothing is staged");
    let hooks = tree(&project.path(".git/hooks"));
    assert_eq!(project.json("hooks install"), after);
    assert_eq!(tree(&project.path(".git/hooks")), hooks);
    project.oxi("hooks status").ok().says("pre-commit     installed  .git/hooks/pre-commit\n").silent();
}

#[test]
fn init_registers_them_if_asked() {
    let project = repository();
    project.oxi("init --hooks").ok().says("driver         installed  .git/config\n");
    assert_eq!(state(&project, "pre-push"), "installed");
    let again = project.json("init --hooks");
    assert_eq!(keys(&again["hooks"])[0], "program");
}

#[test]
fn uninstalling_leaves_every_file_as_it_was() {
    let project = project_with(&[issue(1, "first")]);
    let hooks = project.path(".git/hooks");
    script(&hooks.join("pre-commit"), "#!/bin/sh -e\n# mine\nexit 0", 0o750);
    script(&hooks.join("post-merge"), "#!/usr/bin/env python3\nprint('merged')\n", 0o755);
    script(&hooks.join("post-rewrite"), "#!/bin/sh\necho never\n", 0o644);
    script(&project.path("scripts/push"), "#!/bin/sh\nexit 0\n", 0o755);
    symlink("../../scripts/push", hooks.join("pre-push")).unwrap();
    std::fs::write(project.path(".gitattributes"), "*.png binary").unwrap();
    project.git("config some.key value");
    let all = || {
        (
            tree(&hooks),
            std::fs::read(project.path(".gitattributes")).unwrap(),
            std::fs::read(project.path(".git/config")).unwrap(),
        )
    };
    let before = all();
    assert_eq!(state(&project, "pre-commit"), "foreign");
    let report = project.json("hooks install");
    assert!(states(&report).iter().all(|(_, state)| state == "installed"), "{report}");
    assert_eq!(report["parts"][2]["note"], json!("with the hook that was there"));
    project.oxi("hooks install").ok();
    project.oxi("hooks uninstall").ok();
    assert_eq!(all(), before);
    project.oxi("hooks uninstall").ok();
    assert_eq!(all(), before);
    // and where there was nothing
    let bare = project_with(&[issue(1, "first")]);
    let before = (tree(&bare.path(".git/hooks")), std::fs::read(bare.path(".git/config")).unwrap());
    bare.oxi("hooks install").ok();
    bare.oxi("hooks uninstall").ok();
    assert_eq!((tree(&bare.path(".git/hooks")), std::fs::read(bare.path(".git/config")).unwrap()), before);
    assert!(!bare.path(".gitattributes").exists());
}

#[test]
fn a_hook_that_is_a_large_program_is_put_aside_whole() {
    let project = project_with(&[issue(1, "first")]);
    let hook = project.path(".git/hooks/pre-commit");
    let text = format!("#!/bin/sh\nexit 0\n{}", "# filler\n".repeat(200_000));
    script(&hook, &text, 0o755);
    project.oxi("hooks install").ok();
    assert_eq!(state(&project, "pre-commit"), "installed");
    try_commit(&project).unwrap();
    project.oxi("hooks uninstall").ok();
    assert_eq!(std::fs::read_to_string(&hook).unwrap(), text);
}

#[test]
fn what_was_written_into_a_hook_since_stays() {
    let project = with_hooks();
    let hook = project.path(".git/hooks/pre-commit");
    let text = std::fs::read_to_string(&hook).unwrap();
    std::fs::write(&hook, format!("{text}echo mine\n")).unwrap();
    project.oxi("hooks uninstall").ok();
    assert_eq!(std::fs::read_to_string(&hook).unwrap(), "#!/bin/sh\necho mine\n");
    assert_eq!(state(&project, "pre-commit"), "foreign");
}

#[test]
fn a_teammates_attribute_stays_when_one_clone_uninstalls() {
    let project = with_hooks();
    let clone = project.clone_as("clone");
    let text = std::fs::read(clone.path(".gitattributes")).unwrap();
    assert_eq!((state(&clone, "attributes").as_str(), state(&clone, "driver").as_str()), ("installed", "missing"));
    clone.oxi("hooks install").ok();
    clone.oxi("hooks uninstall").ok();
    assert_eq!(std::fs::read(clone.path(".gitattributes")).unwrap(), text);
}

#[test]
fn what_somebody_else_registered_is_left() {
    let project = project_with(&[issue(1, "first")]);
    project.git("config merge.oxi-state.driver 'mine %A'");
    std::fs::write(project.path(".gitattributes"), "*.md merge=union\n").unwrap();
    let report = project.oxi("hooks install --json").exits(4).json();
    assert_eq!(states(&report)[..2], [("driver".into(), "foreign".into()), ("attributes".into(), "foreign".into())]);
    project.oxi("hooks uninstall").ok();
    assert_eq!(project.git("config merge.oxi-state.driver"), "mine %A\n");
    assert_eq!(std::fs::read_to_string(project.path(".gitattributes")).unwrap(), "*.md merge=union\n");
}

#[test]
fn an_outdated_one_is_told_and_brought_up_to_date() {
    let project = with_hooks();
    let hook = project.path(".git/hooks/post-merge");
    let text = std::fs::read_to_string(&hook).unwrap();
    std::fs::write(&hook, text.replace(env!("CARGO_BIN_EXE_oxi-state"), "/old/oxi-state")).unwrap();
    project.git("config merge.oxi-state.driver '/old/oxi-state merge-driver %O %A %B %P'");
    std::fs::set_permissions(project.path(".git/hooks/pre-push"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for part in ["post-merge", "driver", "pre-push"] {
        assert_eq!(state(&project, part), "outdated", "{part}");
    }
    project.oxi("hooks install").ok();
    assert_eq!(std::fs::read_to_string(&hook).unwrap(), text);
    assert!(states(&project.json("hooks status")).iter().all(|(_, state)| state == "installed"));
}

#[test]
fn hooks_that_were_there_keep_working() {
    let project = project_with(&[issue(1, "first")]);
    let hub = project.clone_as("hub.git");
    hub.git("config receive.denyCurrentBranch ignore");
    let said = project.scratch().join("said");
    let hooks = project.path(".git/hooks");
    let say = |words: &str| format!("echo \"{words}\" >> {}\n", said.display());
    script(&hooks.join("pre-commit"), &format!("#!/bin/bash\nset -eu\n{}exit 0\n", say("commit")), 0o755);
    let python = format!(
        "#!/usr/bin/env python3\nimport sys\nopen({:?}, 'a').write('push %s %s\\n' % (sys.argv[1], len(sys.stdin.read().split())))\n",
        said.display().to_string()
    );
    script(&hooks.join("pre-push"), &python, 0o755);
    script(&hooks.join("post-checkout"), &format!("#!/bin/sh\n{}", say("checkout $3")), 0o755);
    script(&hooks.join("post-merge"), &format!("#!/bin/sh\n{}", say("never")), 0o644);
    project.oxi("hooks install").ok();
    project.commit("work");
    project.git(&format!("push -q {} HEAD:refs/heads/x", hub.root.display()));
    project.git("switch -q -c y");
    project.git("merge -q --no-ff --no-edit main");
    let text = std::fs::read_to_string(&said).unwrap();
    assert_eq!(text, format!("commit\npush {} 4\ncheckout 1\n", hub.root.display()));
    // one that fails stops the commit as before
    script(&hooks.join("pre-push"), "#!/bin/sh\nexit 0\n", 0o755);
    let hook = std::fs::read_to_string(hooks.join("pre-commit")).unwrap();
    std::fs::write(hooks.join("pre-commit"), hook.replace("exit 0", "exit 3")).unwrap();
    try_commit(&project).unwrap_err();
}

#[test]
fn a_configured_folder_is_honoured() {
    let project = project_with(&[issue(1, "first")]);
    // relative to the top of the work tree
    project.git("config core.hooksPath .githooks");
    let report = project.json("hooks install");
    assert_eq!((&report["hooks_path"], &report["hooks_path_inside"]), (&json!(".githooks"), &json!(true)));
    assert!(project.path(".githooks/pre-commit").is_file() && !project.path(".git/hooks/pre-commit").exists());
    project.oxi("issue close 1").ok();
    try_commit(&project).unwrap_err();
    project.oxi("hooks uninstall").ok();
    assert!(!project.path(".githooks/pre-commit").exists());
    // outside, from the global configuration
    project.git("config --unset core.hooksPath");
    let outside = project.scratch().join("hooks");
    std::fs::create_dir(&outside).unwrap();
    let global = project.scratch().join("home/.gitconfig");
    std::fs::write(&global, format!("[core]\n\thooksPath = {}\n", outside.display())).unwrap();
    let variables = [("GIT_CONFIG_GLOBAL", global.to_str().unwrap())];
    let run = project.oxi_with("hooks install", &variables).exits(4).says("driver         installed");
    run.warns("outside of this repository").warns("hooks run pre-commit");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    // a link that leads there
    std::fs::remove_dir_all(project.path(".git/hooks")).unwrap();
    symlink(&outside, project.path(".git/hooks")).unwrap();
    project.oxi("hooks install").exits(4);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    std::fs::remove_file(project.path(".git/hooks")).unwrap();
    project.oxi("hooks install").ok();
    assert!(project.path(".git/hooks/pre-push").is_file());
}

#[test]
fn linked_work_trees_share_them() {
    let main = project_with(&[issue(1, "first")]);
    let linked = main.work_tree("linked");
    linked.oxi("sync").ok();
    linked.oxi("hooks install").ok();
    assert!(main.path(".git/hooks/pre-commit").is_file());
    assert_eq!((state(&main, "driver").as_str(), state(&main, "pre-commit").as_str()), ("installed", "installed"));
    for tree in [&main, &linked] {
        tree.oxi("issue update 1 -p high").ok();
        try_commit(tree).unwrap_err();
        tree.oxi("sync").ok();
        try_commit(tree).unwrap();
    }
    // a new one gets no database by being made
    main.git(&format!("worktree add -q -b new {}", main.root.with_file_name("new").display()));
    assert!(!main.root.with_file_name("new").join(".oxi/state.redb").exists());
}

#[test]
fn a_submodule_has_its_own() {
    let inner = project_with(&[issue(1, "first")]);
    let outer = repository();
    outer.git(&format!("-c protocol.file.allow=always submodule add -q {} inner", inner.root.display()));
    outer.commit("submodule");
    let module = outer.beneath("inner");
    module.oxi("hooks install").ok();
    assert!(
        outer.path(".git/modules/inner/hooks/pre-commit").is_file() && !outer.path(".git/hooks/pre-commit").exists()
    );
    module.oxi("issue close 1").ok();
    try_commit(&module).unwrap_err();
    outer.git("-c submodule.recurse=false commit -q --allow-empty -m outer");
    module.oxi("sync").ok();
    try_commit(&module).unwrap();
}

#[test]
fn a_project_beneath_the_top_is_served() {
    let top = repository();
    let below = top.beneath("a b/sub");
    below.add(&issue(1, "first"));
    below.oxi("-C . init --hooks").ok();
    let attributes = std::fs::read_to_string(top.path(".gitattributes")).unwrap();
    assert!(attributes.contains("\n\"/a b/sub/.oxi/issues/*.md\" merge=oxi-state\n"), "{attributes}");
    try_commit(&top).unwrap();
    below.oxi("issue close 1").ok();
    try_commit(&top).unwrap_err();
    below.oxi("sync").ok();
    try_commit(&top).unwrap();
    // a second project of the repository finds the hooks taken
    let other = top.beneath("other");
    other.oxi("-C . init").ok();
    let report = other.oxi("-C . hooks install --json").exits(4).json();
    assert_eq!(report["parts"][2]["state"], json!("foreign"));
    assert_eq!(state(&below, "pre-commit"), "installed");
}

#[test]
fn without_git_there_is_nothing_to_register() {
    let project = crate::project::empty_folder();
    project.oxi("init").ok();
    let error = project.oxi("hooks install --json").exits(3).error();
    assert_eq!(error["code"], json!("not_found"));
    project.oxi("hooks run pre-commit").ok().prints("").silent();
}

#[test]
fn what_somebody_called_the_driver_stays() {
    let project = project_with(&[issue(1, "first")]);
    project.git("config merge.oxi-state.name mine");
    project.oxi("hooks install").ok();
    assert_eq!(project.git("config merge.oxi-state.name"), "mine\n");
    project.oxi("hooks uninstall").ok();
    assert_eq!(project.git("config merge.oxi-state.name"), "mine\n");
    assert!(!project.try_git("config merge.oxi-state.driver").status.success());
}

#[test]
fn what_is_no_file_is_left() {
    let project = project_with(&[issue(1, "first")]);
    std::fs::create_dir_all(project.path(".git/hooks/post-merge")).unwrap();
    project.oxi("hooks install").exits(4).says("post-merge     foreign    .git/hooks/post-merge  (it is not a file;");
    assert!(project.path(".git/hooks/post-merge").is_dir());
    project.oxi("hooks uninstall").ok();
    assert!(project.path(".git/hooks/post-merge").is_dir());
    assert!(!project.path(".git/hooks/pre-commit").exists());
}

#[test]
fn a_hook_that_was_put_aside_when_a_process_was_killed_is_called_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project_with(&[issue(1, "first")]);
    let aside = project.path(".git/hooks/pre-commit.before-oxi-state");
    std::fs::create_dir_all(aside.parent().unwrap()).unwrap();
    std::fs::write(&aside, "#!/usr/bin/env python3\nopen('called', 'w')\n").unwrap();
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755)).unwrap();
    project.oxi("hooks install").ok();
    try_commit(&project).unwrap();
    assert!(project.path("called").exists());
    project.oxi("hooks uninstall").ok();
    assert!(project.path(".git/hooks/pre-commit").exists() && !aside.exists());
}
