//! Linked work trees of one repository: each has a database of its own, and none takes what another has.

use serde_json::{Value, json};

use crate::issues::ids;
use crate::processes::Running;
use crate::project::{Project, issue, project_with, repository};

/// A project with issues #1, #2 and #3 in its main work tree, and a linked work tree of it.
fn two_work_trees() -> (Project, Project) {
    let main = project_with(&[issue(1, "a"), issue(2, "b"), issue(3, "c")]);
    let linked = main.work_tree("linked");
    (main, linked)
}

#[test]
fn two_work_trees_cannot_both_claim_one_issue() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1").ok();
    let refused = linked.oxi("--session s2 issue start 1 --json").exits(5).error();
    assert_eq!((&refused["owner"], &refused["elsewhere"]), (&json!("s1"), &json!("the main work tree")));
    linked.oxi("--session s2 issue start 1 2").exits(5).warns("in the main work tree");
    linked.oxi("--session s2 issue start 2").ok();
    main.oxi("--session s1 issue start 2").exits(5).warns("by session s2 in work tree linked");
    // each one sees who holds it in the other
    assert_eq!(linked.show(1)["assigned_to"]["session"], json!("s1"));
    linked.oxi("issue show 1").ok().says("s1 (unknown), in the main work tree, since ");
    assert_eq!(ids(&linked.json("issue list --claimed --sort id")), [1, 2]);
    linked.oxi("issue list --claimed").ok().says("(s1, unknown in the main work tree)").says("(s2, unknown)");
    assert_eq!(ids(&linked.json("issue list --free")), [3]);
    assert_eq!(linked.json("issue next")["id"], json!(3));
    assert_eq!(main.json("issue next --start --session s3")["id"], json!(3));
    linked.oxi("--session s4 issue next --start").exits(3);
}

#[test]
fn what_is_given_back_in_one_work_tree_is_free_in_the_other() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1 2 3").ok();
    main.oxi("--session s1 issue release 1").ok();
    main.oxi("--session s1 issue delete 3").ok();
    linked.oxi("--session s2 issue start 1 3").ok();
    // what undo gives back, and what it takes again
    linked.oxi("undo").ok();
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("undo").ok();
    linked.oxi("--session s2 issue start 1").ok();
}

#[test]
fn an_edit_by_hand_ends_a_claim_for_all_work_trees() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("export").ok();
    let text = main.read("0001-a.md");
    let end = text.find("assigned_to:").unwrap();
    let rest = text[end..].split_inclusive('\n').skip(3).collect::<String>();
    main.write("0001-a.md", format!("{}{rest}", &text[..end]));
    main.oxi("sync").ok();
    assert_eq!(main.show(1)["assigned_to"], Value::Null);
    linked.oxi("--session s2 issue start 1").ok();
}

#[test]
fn a_claim_is_taken_over_from_another_work_tree_by_force_or_after_a_death() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1 2").ok();
    linked.oxi("--session s2 issue start 1 --force").ok().says("it was taken by s1");
    main.oxi("--session s1 issue update 1 -p high").exits(5).warns("by session s2 in work tree linked");
    assert_eq!(main.show(1)["assigned_to"]["session"], json!("s2"));
    // a person may do what no live session forbids
    linked.oxi("issue update 2 -p high").ok();
    main.oxi("issue close 1").ok();
}

#[test]
fn one_session_may_work_in_two_work_trees() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1 2").ok();
    linked.oxi("--session s1 issue update 1 -p high").ok();
    let refused = linked.oxi("--session s1 issue release 1").exits(5);
    refused.warns("given back there").warns("run `oxi-state issue release 1` in the main work tree");
    linked.oxi("--session s1 issue start 2").ok();
    linked.oxi("--session s1 issue release 2").ok();
}

#[test]
fn work_trees_of_a_bare_repository_share_claims_too() {
    let origin = project_with(&[issue(1, "a")]);
    let bare = repository();
    bare.git(&format!("clone -q --bare {} bare.git", origin.root.display()));
    let tree = |name: &str| {
        bare.git(&format!("-C bare.git worktree add -q -b {name} {}", bare.path(name).display()));
        bare.beneath(name)
    };
    let (one, two) = (tree("one"), tree("two"));
    one.oxi("--session s1 issue start 1").ok();
    two.oxi("--session s2 issue start 1").exits(5).warns("in work tree one");
    assert!(bare.path("bare.git/oxi-state/claimed").is_file());
    one.oxi("--session s1 issue release 1").ok();
    two.oxi("--session s2 issue start 1").ok();
}

#[test]
fn what_is_shared_lies_in_gits_folder_and_nowhere_else() {
    let (main, linked) = two_work_trees();
    main.oxi("issue create d").ok();
    assert!(!main.path(".git/oxi-state").exists(), "made by the first claim");
    linked.oxi("--session s1 issue start 1").ok();
    assert_eq!(linked.git("status --porcelain"), "");
    let text = std::fs::read_to_string(main.path(".git/oxi-state/claimed")).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains(main.root.parent().unwrap().to_str().unwrap()), "no local path: {text}");
}

#[test]
fn a_leftover_of_a_killed_process_ends_with_the_next_claim() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1").ok();
    let file = main.path(".git/oxi-state/claimed");
    let told = std::fs::read(&file).unwrap();
    main.oxi("--session s1 issue release 1").ok();
    linked.oxi("--session s2 issue start 1").ok();
    linked.oxi("--session s2 issue release 1").ok();
    // as if the claim had been told and the process killed before it was committed
    std::fs::write(&file, told).unwrap();
    linked.oxi("--session s2 issue start 1").exits(5);
    assert_eq!(main.json("issue next")["id"], json!(1), "its own database knows better");
    main.oxi("--session s3 issue start 2").ok();
    linked.oxi("--session s2 issue start 1").ok();
}

#[test]
fn a_claim_by_force_that_was_never_committed_takes_nothing_from_anybody() {
    let (main, linked) = two_work_trees();
    let file = main.path(".git/oxi-state/claimed");
    main.oxi("--session s1 issue start 1").ok();
    let before = std::fs::read_to_string(&file).unwrap();
    main.oxi("--session s2 issue start 1 --force").ok();
    let after = std::fs::read_to_string(&file).unwrap();
    main.oxi("--session s1 issue start 1 --force").ok();
    // as if the claim of s2 had been told, and the process killed before it committed
    let told = after[before.len()..].lines().next().unwrap();
    std::fs::write(&file, format!("{before}{told}\n")).unwrap();
    linked.oxi("--session s3 issue start 1").exits(5);
    // the next turn of its own database mends it
    main.oxi("--session s1 issue start 2").ok();
    linked.oxi("--session s2 issue start 1").exits(5).warns("s1");
    assert_eq!(linked.show(1)["assigned_to"]["session"], json!("s1"));
    main.oxi("--session s1 issue release 1").ok();
    linked.oxi("--session s2 issue start 1").ok();
}

#[test]
fn whoever_had_an_issue_before_has_it_nowhere_once_another_session_took_it() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1 2").ok();
    main.oxi("--session s2 issue start 1 --force").ok();
    assert_eq!(linked.show(1)["assigned_to"]["session"], json!("s2"));
    main.oxi("--session s2 issue release 1").ok();
    linked.oxi("--session s3 issue start 1").ok();
    // nor where the database was built anew in between
    main.drop_database();
    main.oxi("sync").ok();
    main.oxi("--session s2 issue start 2 --force").ok();
    assert_eq!(linked.show(2)["assigned_to"]["session"], json!("s2"));
    main.oxi("--session s2 issue release 2").ok();
    linked.oxi("--session s3 issue start 2").ok();
}

#[test]
fn a_claim_outlives_the_database_that_had_it() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s1 issue start 1 2 3").ok();
    main.drop_database();
    for tree in [&main, &linked] {
        tree.oxi("--session s2 issue start 1").exits(5);
        assert_eq!(tree.show(1)["assigned_to"]["session"], json!("s1"));
    }
    // its session goes on with it, or gives it back
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("--session s1 issue release 2").ok().prints("released issue #2\n");
    linked.oxi("--session s2 issue start 2").ok();
    main.oxi("--session s1 issue close 3").ok();
    linked.oxi("--session s2 issue start 3").exits(4).warns("was closed in the main work tree");
}

#[test]
fn racers_of_two_work_trees_have_one_winner() {
    let (main, linked) = two_work_trees();
    for round in 0..10 {
        let line = format!("issue start 1 --session racer-{round}");
        let racers: Vec<_> = (0..10)
            .map(|number| {
                let tree = if number % 2 == 0 { &main } else { &linked };
                let mut command = tree.command(&format!("{line}-{number}"));
                command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        let codes: Vec<_> = racers.into_iter().map(|mut racer| racer.wait().unwrap().code().unwrap()).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "round {round}: {codes:?}");
        assert!(codes.iter().all(|code| matches!(code, 0 | 5)), "{codes:?}");
        for tree in [&main, &linked] {
            // as a person does who knows that nobody works on it
            let _ = tree.oxi("issue release 1");
        }
    }
}

#[test]
fn what_one_work_tree_closed_is_not_handed_out_again_in_another() {
    let (main, linked) = two_work_trees();
    main.oxi("issue close 1").ok();
    linked
        .oxi("issue show 1")
        .ok()
        .says("status      open")
        .says("closed      in the main work tree, not merged here yet");
    assert_eq!(linked.json("issue next")["id"], json!(2));
    linked.oxi("--session s issue start 1").exits(4).warns("was closed in the main work tree").warns("oxi-state sync");
    assert_eq!(ids(&linked.json("issue list --free --sort id")), [2, 3]);
    assert_eq!(linked.json("issue list --claimed"), json!([]));
    main.oxi("issue reopen 1").ok();
    assert_eq!(linked.json("issue next")["id"], json!(1));
    main.oxi("issue update 1 --status closed").ok();
    main.oxi("undo").ok();
    assert_eq!(linked.json("issue next")["id"], json!(1));
    // merged: the record says it now
    main.oxi("issue close 1").ok();
    main.oxi("export").ok();
    main.commit("close");
    linked.git("merge -q main");
    linked.oxi("sync").ok();
    assert_eq!(linked.field(1, "status"), "closed");
    linked.oxi("issue reopen 1").ok();
    assert_eq!(linked.json("issue next --start --session s")["id"], json!(1));
    linked.oxi("--session s issue release 1").ok();
    // and by force it is done again
    main.oxi("issue close 2").ok();
    linked.oxi("--session s issue start 2 --force").ok();
    let nothing = linked.oxi("--session t issue start 3").ok();
    assert_eq!(nothing.code, 0);
    main.oxi("issue close 3").exits(0);
}

#[test]
fn a_claim_outlives_its_work_tree_and_a_closing_goes_with_it() {
    let (main, linked) = two_work_trees();
    linked.oxi("--session s1 issue start 1").ok();
    linked.oxi("issue close 2").ok();
    main.git(&format!("worktree remove --force {}", linked.root.display()));
    main.oxi("--session s2 issue start 1").exits(5).warns("in work tree linked");
    main.oxi("--session s1 issue release 1").ok().prints("released issue #1\n");
    main.oxi("--session s2 issue start 1 2").ok();
    let gone = main.work_tree("gone");
    gone.oxi("--session s1 issue start 3").ok();
    std::fs::remove_dir_all(&gone.root).unwrap();
    main.oxi("issue release 3").ok();
    main.oxi("--session s2 issue start 3").ok();
}

#[test]
fn undo_does_not_give_an_issue_to_two_sessions() {
    let (main, linked) = two_work_trees();
    main.oxi("--session alice issue start 1").ok();
    main.oxi("--session alice issue release 1").ok();
    let mut bob = Running::start(&linked, "session run --id bob -- sh -c 'echo ready; exec sleep 60'");
    linked.oxi("--session bob issue start 1").ok();
    main.oxi("undo").exits(5).warns("bob");
    assert_eq!(main.show(1)["assigned_to"]["session"], json!("bob"));
    bob.child.kill().unwrap();
    bob.child.wait().unwrap();
}

#[test]
fn branches_that_call_the_state_folder_by_another_name_share_claims() {
    let (main, linked) = two_work_trees();
    std::fs::rename(linked.path(".oxi"), linked.path(".oxicode")).unwrap();
    main.oxi("--session s1 issue start 1").ok();
    linked.oxi("--session s2 issue start 1").exits(5);
}

#[test]
fn an_issue_that_was_closed_here_is_nobodys_here() {
    let (main, linked) = two_work_trees();
    linked.oxi("--session s1 issue start 1").ok();
    main.oxi("issue close 1").ok().says("it was taken by s1");
    assert_eq!(main.show(1)["assigned_to"], Value::Null);
    linked.oxi("issue show 1").ok().says("closed      in the main work tree");
}

#[test]
fn the_next_issue_that_is_none_says_why() {
    let (main, linked) = two_work_trees();
    main.oxi("issue dep add 2 1").ok();
    main.oxi("--session s1 issue start 1").ok();
    linked.oxi("issue close 3").ok();
    let error = main.oxi("issue next --json").exits(3).error();
    assert_eq!(
        (&error["open"], &error["taken"], &error["blocked"], &error["closed_elsewhere"]),
        (&json!(3), &json!(1), &json!(1), &json!(1))
    );
    main.oxi("issue next").exits(3).warns("1 taken, 1 waiting for others, 1 closed in another work tree");
    main.oxi("issue close 1 2 3").ok();
    main.oxi("issue next --start --session s").exits(3).warns("no issue is open");
}

#[test]
fn a_session_is_ended_where_it_was_registered() {
    let (main, linked) = two_work_trees();
    let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    main.oxi(&format!("session start --id pa --pid {}", sleeper.id())).ok();
    main.oxi("--session pa issue start 1").ok();
    for line in ["session end pa --release", "session end --session pa", "session end pa --force"] {
        linked.oxi(line).exits(5).warns("registered in another work tree");
    }
    linked.oxi("--session bob issue start 1").exits(5).warns("(alive)");
    linked.oxi("--session pa issue start 2").ok();
    linked.oxi("session end pa --force").exits(5);
    main.oxi("session end pa --release --session pa").ok().says("released issue #1");
    linked.oxi("--session bob issue start 1").ok();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn one_session_in_two_work_trees_gives_back_each_by_itself() {
    let (main, linked) = two_work_trees();
    let mut s0 = Running::start(&main, "session run --id s0 -- sh -c 'echo ready; exec sleep 60'");
    let mut s1 = Running::start(&linked, "session run --id s1 -- sh -c 'echo ready; exec sleep 60'");
    main.oxi("--session s0 issue start 1").ok();
    main.oxi("--session s0 issue release 1").ok();
    linked.oxi("--session s1 issue start 1").ok();
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("--session s1 undo").ok();
    // the other work tree still has it
    main.oxi("--session s0 undo").exits(5);
    main.oxi("--session s0 issue start 1").exits(5).warns("in work tree linked");
    main.oxi("--session s1 issue start 1").ok();
    main.oxi("--session s1 issue release 1").ok();
    main.oxi("--session s0 issue start 1").exits(5);
    linked.oxi("--session s1 issue release 1").ok();
    main.oxi("--session s0 issue start 1").ok();
    for running in [&mut s0, &mut s1] {
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
}

#[test]
fn what_was_left_untold_is_mended_by_whatever_comes_next() {
    let (main, linked) = two_work_trees();
    main.oxi("--session s issue start 1").ok();
    main.oxi("issue close 2").ok();
    let shared = main.path(".git/oxi-state");
    let closed = std::fs::read(shared.join("closed")).unwrap();
    let file = shared.join("claimed");
    let claim = std::fs::read(&file).unwrap();
    main.oxi("--session s issue release 1").ok();
    main.oxi("issue reopen 2").ok();
    // as if it had been told, and the process killed before it committed
    std::fs::write(shared.join("closed"), closed).unwrap();
    std::fs::write(&file, claim).unwrap();
    linked.oxi("issue next").ok().says("#3");
    // a refused step mends it, too
    main.oxi("--session s issue release 1").exits(5);
    linked.oxi("issue next").ok().says("#1");
    linked.oxi("--session t issue start 2").ok();
}

#[test]
fn what_another_work_tree_closed_is_done_again_if_somebody_says_so() {
    let (main, linked) = two_work_trees();
    linked.oxi("issue close 1 2").ok();
    main.oxi("issue reopen 1").ok().prints("reopened issue #1\n");
    assert_eq!(main.json("issue next")["id"], json!(1));
    main.oxi("--session s issue start 2 --force").ok();
    main.oxi("--session s issue release 2").ok();
    main.oxi("--session t issue start 2").ok();
}

#[test]
fn a_session_that_was_refused_here_is_still_anothers() {
    let (main, linked) = two_work_trees();
    let mut sleepers: Vec<_> = (0..2).map(|_| std::process::Command::new("sleep").arg("60").spawn().unwrap()).collect();
    linked.oxi(&format!("session start --id pa --pid {}", sleepers[0].id())).ok();
    main.oxi("session end pa --force").exits(5);
    main.oxi(&format!("session start --id pa --pid {}", sleepers[1].id())).exits(5);
    main.oxi("session run --id pa -- true").exits(5);
    main.oxi("session end pa --force").exits(5).warns("registered in another work tree");
    for sleeper in &mut sleepers {
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}

#[test]
fn undo_gives_no_issue_to_a_session_that_another_would_meet() {
    let (main, linked) = two_work_trees();
    linked.oxi("--session s1 issue start 1").ok();
    linked.oxi("--session s1 issue release 1").ok();
    main.oxi("--session s3 issue start 1").ok();
    linked.oxi("--session s3 undo").exits(5).warns("by session s3 in the main work tree");
    main.oxi("--session s3 issue release 1").ok();
    linked.oxi("--session s3 issue start 1").ok();
}

#[test]
fn a_sync_that_has_nothing_to_do_writes_nothing_while_a_session_has_an_issue() {
    let project = repository();
    project.oxi("init").ok();
    project.oxi("issue create a").ok();
    project.oxi("sync").ok();
    let oxi = env!("CARGO_BIN_EXE_oxi-state");
    let read = "cat .oxi/state.redb | cksum";
    let script = format!(
        "{oxi} -q issue start 1 && {oxi} -q sync && sleep 0.1 && {oxi} -q sync && {read} && {oxi} -q sync && {oxi} -q import && {read}"
    );
    let run = project.oxi(&format!("session run -- sh -c '{script}'")).ok();
    let sums: Vec<_> =
        run.stdout.lines().filter(|line| line.split(' ').all(|word| word.parse::<u64>().is_ok())).collect();
    assert_eq!(sums.len(), 2, "{}", run.stdout);
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn that_the_claims_of_others_cannot_be_read_is_said() {
    let (main, linked) = two_work_trees();
    linked.oxi("--session s issue start 2").ok();
    main.oxi("issue list --free").ok().silent();
    let file = main.path(".git/oxi-state/claimed");
    let told = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    for line in ["issue list --free", "issue list --claimed --json", "issue next -q", "issue show 2 --json"] {
        main.oxi(line)
            .ok()
            .warns("oxi-state/claimed: it is not a regular file")
            .warns("may be taken in another work tree");
    }
    main.oxi("issue list").ok().silent();
    main.oxi("--session t issue start 2").exits(1).warns("it is not a regular file");
    main.oxi("doctor").says("what other work trees have claimed is not known");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, told).unwrap();
    main.oxi("--session t issue start 2").exits(5);
    main.oxi("doctor").ok().says("nothing is wrong");
}
