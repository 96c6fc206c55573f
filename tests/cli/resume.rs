//! What one must know to go on.

use serde_json::{Value, json};

use crate::project::{Project, keys, project};

/// A project with something of everything.
fn busy() -> Project {
    let project = project();
    std::fs::write(project.path("code"), "one\n").unwrap();
    project.git("add -A");
    project.commit("one");
    for title in ["'Fix login' -p high", "'Taken by another'", "'Next one' -p critical", "'Later'"] {
        project.oxi(&format!("issue create {title}")).ok();
    }
    project.oxi("--session mine issue start 1").ok();
    project.oxi("--session other issue start 2").ok();
    project.oxi("handoff add 'Half done' --issue 1 --to mine --next 'keep comments'").ok();
    project.oxi("validation run --name lint -- true").ok();
    project.oxi("validation run --name test -- false").exits(1);
    project.oxi("pointer set branch feature/x").ok();
    project.oxi("health record a/b --error rate_limit --retry-after 600").ok();
    project.oxi("health record a/c --ok").ok();
    project.oxi("runtime set proxy --state running").ok();
    project
}

fn resume(project: &Project, options: &str) -> Value {
    project.json(&format!("--session mine resume {options}"))
}

#[test]
fn everything_is_there_in_one_object() {
    let project = busy();
    let all = resume(&project, "");
    assert_eq!(
        keys(&all),
        [
            "generated_at",
            "project",
            "session",
            "actor",
            "issues",
            "conflicts",
            "claims",
            "handoffs",
            "validations",
            "limits",
            "pointers",
            "next",
            "runtime",
            "left_out"
        ]
    );
    assert_eq!((&all["session"], &all["issues"]["open"]), (&json!("mine"), &json!(4)));
    assert_eq!(all["project"]["branch"], json!("main"));
    let claims: Vec<_> = all["claims"].as_array().unwrap().iter().map(|it| (&it["id"], &it["own"])).collect();
    assert_eq!(claims, [(&json!(1), &json!(true)), (&json!(2), &json!(false))]);
    assert_eq!(all["handoffs"], project.json("handoff list"));
    assert_eq!(all["validations"], project.json("validation last"));
    assert_eq!((&all["validations"][0]["name"], all["limits"].as_array().unwrap().len()), (&json!("test"), 1));
    assert_eq!(all["pointers"], project.json("pointer list"));
    assert_eq!((&all["next"][0]["id"], &all["runtime"][0]["name"]), (&json!(3), &json!("proxy")));
    assert_eq!(all["left_out"], json!({}));
}

#[test]
fn people_read_it_in_order_of_importance() {
    let project = busy();
    let text = project.oxi("--session mine resume").ok().stdout;
    let places: Vec<_> =
        ["Yours", "Handoffs", "Failing", "Limits", "Pointers", "Next", "Taken by others", "Validations", "Running"]
            .map(|title| text.find(&format!("\n{title}\n")).unwrap_or_else(|| panic!("{title} in {text}")))
            .into();
    assert!(places.is_sorted(), "{text}");
    for part in ["main@", "4 open, 0 closed, 4 to export", "1. keep comments", "#3  critical  Next one"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_does_not_fit_is_left_out_from_the_end_and_counted() {
    let project = busy();
    let whole = resume(&project, "");
    let lists = ["conflicts", "claims", "handoffs", "validations", "limits", "pointers", "next", "runtime"];
    let count = |json: &Value| lists.map(|list| json[list].as_array().unwrap().len()).iter().sum::<usize>();
    let mut last = 0;
    for max in (500..6_000).step_by(250) {
        let run = project.oxi(&format!("--session mine --json resume --max-bytes {max}"));
        if run.code == 2 {
            assert!(run.error()["least"].as_u64().unwrap() > max, "{max}");
            continue;
        }
        let run = run.ok();
        assert!(run.stdout.len() <= usize::try_from(max).unwrap(), "{max}");
        let json = run.json();
        let left_out: u64 = json["left_out"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(count(&json) + usize::try_from(left_out).unwrap(), count(&whole), "{max}");
        assert!(count(&json) >= last, "more room holds more");
        last = count(&json);
    }
    assert_eq!(last, count(&whole));
    for max in [300, 400, 500] {
        let text = project.oxi(&format!("--session mine resume --max-bytes {max}")).ok().says("left out: ").stdout;
        assert!(text.len() <= max && text.contains("#1  high"), "{text}");
    }
    project.oxi("resume --max-bytes 5").exits(2).warns("too few");
}

#[test]
fn a_person_in_a_new_project_learns_where_it_is() {
    let project = project();
    project.oxi("resume").ok().says("0 open, 0 closed").says("you are ");
    assert_eq!(project.json("resume")["session"], json!(null));
    let nowhere = crate::project::empty_folder();
    nowhere.oxi("resume").exits(3);
}

#[test]
fn what_an_agent_is_told_is_counted() {
    let project = busy();
    let id = project.oxi("agent prime --new").ok().stdout.trim().to_owned();
    let bytes = || project.json(&format!("agent show {id}"))["context_bytes"].as_u64().unwrap();
    let before = bytes();
    let run = project.oxi_with("resume --json", &[("OXI_STATE_AGENT", &id)]).ok();
    assert_eq!(bytes() - before, run.stdout.len() as u64);
}

#[test]
fn a_conflict_comes_first() {
    let project = project();
    project.oxi("issue create x -b 'one'").ok();
    project.oxi("export").ok();
    project.edit("0001-x.md", "one", "two");
    project.oxi("issue update 1 --body three").ok();
    project.oxi("import").exits(4);
    let all = project.json("resume");
    assert_eq!((&all["conflicts"][0]["id"], &all["conflicts"][0]["fields"]), (&json!(1), &json!(["body"])));
    project.oxi("resume").ok().says("Conflicts");
}
