//! Notes to whoever goes on.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::project::{Project, keys, project};

fn add(project: &Project, line: &str) -> String {
    project.oxi(&format!("handoff add {line}")).ok().stdout.trim().to_owned()
}

fn show(project: &Project, id: &str) -> Value {
    project.json(&format!("handoff show {id}"))
}

#[test]
fn a_handoff_goes_from_pending_over_accepted_to_done() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    let id = add(&project, "'Parser done' --issue 1 --to bob --next 'keep comments' --next 'add a test'");
    let note = show(&project, &id[..22]);
    assert_eq!(
        keys(&note),
        [
            "id",
            "from",
            "to",
            "issue",
            "state",
            "summary",
            "next",
            "session",
            "accepted_by",
            "accepted_session",
            "created_at",
            "updated_at",
            "done_at",
            "issue_number",
            "hash"
        ]
    );
    assert_eq!((&note["state"], &note["issue_number"]), (&json!("pending"), &json!(1)));
    project.oxi("handoff list --pending").ok().says("Parser done").says("2 of 2 to do");
    project.oxi("--session s2 --actor bob handoff accept").ok().says("[ ] 1. keep comments");
    assert_eq!(show(&project, &id)["accepted_by"], json!("bob"));
    project.oxi("handoff list --pending").ok().prints("no handoffs\n");
    project.oxi("--session s3 handoff accept").exits(5).warns("taken up by s2");
    project.oxi(&format!("--session s3 handoff accept {id} --force")).ok();
    project.oxi(&format!("--session s3 handoff done {id} 2")).ok().says("done 2 of").says("(1 left)");
    project.oxi(&format!("--session s3 handoff done {id} 2")).ok().says("is done already");
    project.oxi(&format!("--session s3 handoff done {id} 3")).exits(2).warns("it has 2");
    project.oxi(&format!("--session s3 handoff done {id} 0")).exits(2);
    project.oxi(&format!("--session s3 handoff done {id} 1")).ok().prints(&format!("done {id}\n"));
    assert_eq!(show(&project, &id)["state"], json!("done"));
    project.oxi(&format!("handoff accept {id}")).exits(4);
    project.oxi("handoff done").exits(3).warns("--all");
    project.oxi("handoff list").ok().prints("no handoffs\n");
    assert_eq!(project.json("handoff list --all").as_array().unwrap().len(), 1);
}

#[test]
fn the_issues_file_has_it_while_it_is_open() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    let id = add(&project, "'Half\ndone: see tests' --issue 1 --next '- keep: comments'");
    project.oxi("export").ok();
    let file = project.read("0001-fix-login.md");
    assert!(file.contains(&format!("handoffs:\n- id: {id}\n  from: ")), "{file}");
    assert!(file.contains("  - text: '- keep: comments'\n    done: false\n"), "{file}");
    assert!(!file.contains("session:"), "{file}");
    project.oxi("import").ok().says("1 unchanged");
    project.oxi("export").ok().says("1 unchanged");
    project.oxi("issue show 1").ok().says(&format!("handoff     {id}  pending  Half\n"));
    project.oxi("handoff done").ok();
    project.oxi("export").ok();
    assert!(project.read("0001-fix-login.md").contains("handoffs: []\n---"));
    project.oxi("undo").ok();
    project.oxi("export").ok();
    assert!(project.read("0001-fix-login.md").contains(&id));
    assert_eq!(show(&project, &id)["state"], json!("pending"));
}

#[test]
fn a_teammate_gets_it_and_ends_it() {
    let ada = project();
    ada.oxi("issue create 'Fix login'").ok();
    let id = add(&ada, "'Half done' --issue 1 --next one --next two");
    let loose = add(&ada, "'about no issue'");
    ada.oxi("export").ok();
    ada.git("add -A");
    ada.commit("handed over");
    let bob = ada.clone_as("bob");
    assert_eq!(bob.json("handoff list").as_array().unwrap().len(), 1, "not {loose}");
    bob.oxi("--actor bob handoff accept").ok();
    bob.oxi(&format!("--actor bob handoff done {id} 1")).ok();
    bob.oxi("export").ok();
    bob.git("add -A");
    bob.commit("accepted");
    ada.pull(&bob);
    ada.oxi("sync").ok();
    let here = show(&ada, &id);
    assert_eq!((&here["state"], &here["accepted_by"]), (&json!("accepted"), &json!("bob")));
    assert_eq!(here["next"][0]["done"], json!(true));
    bob.oxi(&format!("handoff done {id}")).ok();
    bob.oxi("export").ok();
    bob.git("add -A");
    bob.commit("done");
    ada.pull(&bob);
    ada.oxi("sync").ok();
    assert_eq!(show(&ada, &id)["state"], json!("done"));
    // deleting the database loses what was never exported, and no more
    ada.drop_database();
    assert_eq!(ada.json("handoff list --all"), json!([]));
}

#[test]
fn two_clones_that_add_one_each_both_have_both() {
    let ada = project();
    ada.oxi("issue create 'Fix login'").ok();
    ada.oxi("export").ok();
    ada.git("add -A");
    ada.commit("one");
    let bob = ada.clone_as("bob");
    for clone in [&ada, &bob] {
        add(clone, "'mine' --issue 1");
        clone.oxi("export").ok();
        clone.git("add -A");
        clone.commit("mine");
    }
    let _ = bob.try_git(&format!("pull --no-rebase {} main", ada.path("").display()));
    bob.oxi("sync").ok();
    bob.git("add -A");
    bob.commit("merged");
    ada.pull(&bob);
    ada.oxi("sync").ok();
    for clone in [&ada, &bob] {
        assert_eq!(clone.json("handoff list --issue 1").as_array().unwrap().len(), 2);
    }
    assert_eq!(ada.read("0001-fix-login.md"), bob.read("0001-fix-login.md"));
}

#[test]
fn an_entry_that_a_person_takes_out_of_the_file_is_done() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    let id = add(&project, "'Half done' --issue 1");
    project.oxi("export").ok();
    let file = project.read("0001-fix-login.md");
    let start = file.find("handoffs:").unwrap();
    let end = file.rfind("---").unwrap();
    // without the empty list the file would look as if the original program had dropped what it does not know
    project.write("0001-fix-login.md", format!("{}handoffs: []\n{}", &file[..start], &file[end..]));
    project.oxi("import").ok();
    assert_eq!(show(&project, &id)["state"], json!("done"));
}

#[test]
fn one_that_was_never_exported_outlives_its_issue() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    project.oxi("export").ok();
    let id = add(&project, "'Half done' --issue 1");
    project.oxi("issue delete 1").ok();
    assert_eq!(show(&project, &id)["issue_number"], json!(null));
    project.oxi("undo").ok();
    assert_eq!(show(&project, &id)["issue_number"], json!(1));
    project.oxi("issue delete 1").ok();
    // its file was changed meanwhile, so it comes back
    project.edit("0001-fix-login.md", "priority: medium", "priority: high");
    project.oxi("import").ok();
    assert_eq!(project.show(1)["handoffs"], json!([]));
    let note = show(&project, &id);
    assert_eq!((&note["issue"], &note["state"]), (&json!(null), &json!("pending")));
}

#[test]
fn keys_that_a_later_version_put_into_an_entry_stay() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    let id = add(&project, "'Half done' --issue 1");
    project.oxi("export").ok();
    project.edit("0001-fix-login.md", "  state: pending\n", "  state: pending\n  urgency: 3\n");
    project.oxi("import").ok();
    project.oxi(&format!("handoff accept {id}")).ok();
    project.oxi("export").ok();
    let file = project.read("0001-fix-login.md");
    assert!(file.contains("  state: accepted\n") && file.contains("  urgency: 3\n"), "{file}");
}

#[test]
fn entries_that_are_none_of_ours_stay_as_they_are() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    project.oxi("export").ok();
    let lines = "handoffs:\n- id: soon\n  summary: by hand\nvalidations:\n- id: x\n  result: maybe\n---";
    let file = project.read("0001-fix-login.md");
    let end = file.rfind("---").unwrap();
    project.write("0001-fix-login.md", format!("{}{lines}{}", &file[..end], &file[end + 3..]));
    project.oxi("import").ok();
    assert_eq!((project.json("handoff list"), project.json("validation list")), (json!([]), json!([])));
    add(&project, "'one more' --issue 1");
    project.oxi("export").ok();
    let file = project.read("0001-fix-login.md");
    assert!(file.contains("- id: soon\n  summary: by hand\n") && file.contains("  result: maybe\n"), "{file}");
}

#[test]
fn the_text_may_come_from_standard_input_and_what_is_wrong_is_refused() {
    let project = project();
    let mut child = project.command("handoff add -").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from\nstdin\n").unwrap();
    let id = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(show(&project, id.trim())["summary"], json!("from\nstdin"));
    project.oxi("handoff add ' '").exits(2).warns("empty");
    project.oxi("handoff add x --issue 7").exits(3).warns("issue #7 not found");
    project.oxi(&format!("handoff add {}", "x".repeat(4_001))).exits(2).warns("4000 bytes");
    project.oxi("handoff add x --next ''").exits(2);
    project.oxi("handoff add x --to ' '").exits(2);
    project.oxi("handoff show nothing").exits(2);
    project.oxi("handoff accept 01").ok();
    let token = ["sk-", "proj-Zq8rT2mXw9LkV4vBn8sYc3dHf6gJp1aE"].concat();
    project.oxi(&format!("handoff add 'use {token}'")).exits(8);
    project.oxi(&format!("handoff add x --next 'use {token}'")).exits(8);
    project.oxi(&format!("--redact handoff add x --next 'use {token}'")).ok();
    let all = project.json("handoff list --all").to_string();
    assert!(all.contains("[redacted:") && !all.contains(&token), "{all}");
}

#[test]
fn a_guarded_change_is_made_only_to_what_was_seen() {
    let project = project();
    let id = add(&project, "x");
    let hash = show(&project, &id)["hash"].as_str().unwrap().to_owned();
    project.oxi(&format!("handoff accept {id} --expect 0123456789abcdef")).exits(4);
    project.oxi(&format!("handoff accept {id} --expect {hash}")).ok();
    project.oxi(&format!("handoff done {id} --expect {hash}")).exits(4);
    assert_eq!(show(&project, &id)["state"], json!("accepted"));
}

#[test]
fn which_one_is_meant_is_asked_where_it_is_not_clear() {
    let project = project();
    add(&project, "'for bob' --to bob");
    add(&project, "'for eve' --to eve");
    add(&project, "'for eve, too' --to eve");
    project.oxi("--actor bob handoff accept").ok().says("for bob");
    project.oxi("--actor eve handoff accept").exits(2).warns("which handoff?");
    project.oxi("--actor bob handoff done").ok();
    let mine = project.json("--actor eve handoff list --mine");
    assert_eq!(mine.as_array().unwrap().len(), 2);
    assert_eq!(project.json("--actor bob handoff list --mine"), json!([]));
}

#[test]
fn undoing_an_undo_by_either_half_takes_both() {
    for half in [4, 5] {
        let project = project();
        project.oxi("issue create 'Fix login'").ok();
        let id = add(&project, "'Half done' --issue 1");
        project.oxi("undo").ok();
        project.oxi(&format!("undo {half}")).ok();
        assert_eq!(project.show(1)["handoffs"][0]["id"], json!(id), "{half}");
        assert_eq!(show(&project, &id)["state"], json!("pending"), "{half}");
    }
}

#[test]
fn one_that_was_ended_meanwhile_does_not_come_back_with_its_issue() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    let id = add(&project, "'Half done' --issue 1");
    project.oxi("issue delete 1").ok();
    let revision = project.json("log --limit 1")[0]["revision"].clone();
    project.oxi(&format!("handoff done {id}")).ok();
    project.oxi(&format!("undo {revision}")).ok();
    assert_eq!((&project.show(1)["handoffs"], &show(&project, &id)["state"]), (&json!([]), &json!("done")));
}

#[test]
fn hand_edits_of_an_entry_count() {
    let project = project();
    project.oxi("issue create 'Fix login'").ok();
    project.oxi("issue create 'Other'").ok();
    let id = add(&project, "'Half done' --issue 1");
    project.oxi("export").ok();
    project.edit("0001-fix-login.md", "  state: pending\n", "  state: done\n");
    project.oxi("sync").ok();
    assert_eq!(show(&project, &id)["state"], json!("done"));
    project.edit("0001-fix-login.md", "  state: done\n", "  state: pending\n");
    project.oxi("sync").ok();
    assert_eq!(show(&project, &id)["state"], json!("pending"));
    // an entry that is there twice is one handoff, and ends once
    let file = project.read("0001-fix-login.md");
    let entry = &file[file.find("- id:").unwrap()..file.rfind("---").unwrap()];
    project.edit("0001-fix-login.md", entry, &format!("{entry}{entry}"));
    project.oxi("sync").ok();
    project.oxi(&format!("handoff accept {id}")).ok();
    project.oxi("export").ok();
    assert_eq!(project.read("0001-fix-login.md").matches(&id).count(), 1);
}

#[test]
fn an_entry_may_be_moved_to_another_issue() {
    for (from, to) in [(1, 2), (2, 1)] {
        let project = project();
        project.oxi("issue create 'Fix login'").ok();
        project.oxi("issue create 'Other'").ok();
        let id = add(&project, &format!("'Half done' --issue {from}"));
        project.oxi("export").ok();
        let name = |issue: i32| if issue == 1 { "0001-fix-login.md" } else { "0002-other.md" };
        let file = project.read(name(from));
        let entry = file[file.find("handoffs:").unwrap()..file.rfind("---").unwrap()].to_owned();
        project.edit(name(from), &entry, "handoffs: []\n");
        project.edit(name(to), "sessions: []\n", &format!("sessions: []\n{entry}"));
        project.oxi("sync").ok();
        let note = show(&project, &id);
        assert_eq!((&note["state"], &note["issue_number"]), (&json!("pending"), &json!(to)), "{from}");
    }
}
