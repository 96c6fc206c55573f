//! Facts: set by hand, and taken in from the settings of the original.

use serde_json::{Value, json};

use crate::project::{Project, project};

fn write(project: &Project, path: &str, text: impl AsRef<[u8]>) {
    let path = project.scratch().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Each fact's value and layer.
fn facts(project: &Project) -> Value {
    let list = project.json("fact list");
    let one = |fact: &Value| (fact["name"].as_str().unwrap().to_owned(), json!([fact["value"], fact["layer"]]));
    Value::Object(list.as_array().unwrap().iter().map(one).collect())
}

#[test]
fn facts_are_set_by_hand() {
    let project = project();
    project.oxi("fact set theme dark").ok();
    project.oxi("fact get theme").ok().prints("dark\n").silent();
    for (line, value) in [
        ("max_tokens 4096", json!("4096")),
        ("max_tokens 4096 --parse", json!(4096)),
        ("stream true --parse", json!(true)),
        ("tools '[\"a\",\"b\"]' --parse", json!(["a", "b"])),
        ("nothing null --parse", json!(null)),
        ("negative -1 --parse", json!(-1)),
    ] {
        let fact = project.json(&format!("fact set {line}"));
        assert_eq!((&fact["value"], &fact["layer"]), (&value, &json!("set")), "{line}");
    }
    for line in ["'' x", "a x --parse", "a '{\"b\":1}' --parse", "a '[[1]]' --parse", "' a' x"] {
        project.oxi(&format!("fact set {line}")).exits(2);
    }
    project.oxi(&format!("fact set a {}", "x".repeat(5000))).exits(2).warns("4096");
    assert_eq!(project.json("fact list ma").as_array().unwrap().len(), 1);
    project.oxi("fact rm theme").ok();
    project.oxi("fact get theme").exits(3);
}

#[test]
fn all_layers_are_taken_in_with_their_sources() {
    let project = project();
    write(
        &project,
        "home/.oxi/settings.json",
        r#"{"theme": "g", "max_tokens": 1, "providers": {"x": {"url": "http://h"}}}"#,
    );
    write(&project, "home/.oxi/oxicode/settings.toml", "thinking_level = 'high'\n");
    write(&project, "project/.oxi/settings.toml", "theme = 'p'\n\n[state]\nlock_timeout = 9\n");
    let before = project.outside();
    let would = project.json("fact import --dry-run");
    assert_eq!(facts(&project), json!({}));
    let report = project.oxi_with("fact import --json", &[("OXI_MODEL", "m"), ("OXI_STREAM", "off")]).ok().json();
    assert_eq!(would["created"], json!(["max_tokens", "providers.x.url", "theme", "thinking_level"]));
    assert_eq!(
        facts(&project),
        json!({
            "default_model": ["m", "environment"], "max_tokens": [1, "global"], "providers.x.url": ["http://h", "global"],
            "stream_responses": [false, "environment"], "theme": ["p", "project"], "thinking_level": ["high", "global"]
        })
    );
    let sources: Vec<_> =
        report["sources"].as_array().unwrap().iter().map(|source| source["path"].as_str().unwrap()).collect();
    assert_eq!(
        sources,
        ["~/.oxi/settings.json", "~/.oxi/oxicode/settings.toml", ".oxi/settings.toml", "OXI_MODEL", "OXI_STREAM"]
    );
    let theme = project.json("fact get theme");
    assert_eq!(
        (&theme["source"], &theme["overrides"]),
        (&json!(".oxi/settings.toml"), &json!(["global ~/.oxi/settings.json"]))
    );
    assert!(theme["digest"].as_str().unwrap().starts_with("sha256:"));
    // again: nothing
    let log = project.json("log");
    let again = project.oxi_with("fact import --json", &[("OXI_MODEL", "m"), ("OXI_STREAM", "off")]).ok().json();
    assert_eq!((&again["unchanged"], &again["created"], &again["updated"]), (&json!(6), &json!([]), &json!([])));
    assert_eq!(project.json("log"), log);
    assert_eq!(project.outside(), before, "the files are only read");
    // what nobody sets any more goes, what was set by hand stays
    project.oxi("fact set theme mine").ok();
    let report = project.json("fact import");
    assert_eq!(
        (&report["removed"], &report["kept"]),
        (&json!(["default_model", "stream_responses"]), &json!(["theme"]))
    );
    assert_eq!(project.json("fact get theme")["source"], json!(null));
    project.oxi("fact rm theme").ok();
    assert_eq!(project.json("fact import")["created"], json!(["theme"]));
    project.oxi("undo").ok();
    project.oxi("fact get theme").exits(3);
}

#[test]
fn the_homes_are_where_the_variables_say() {
    let project = project();
    write(&project, "elsewhere/settings.json", r#"{"a": 1}"#);
    write(&project, "code/settings.json", r#"{"b": 1}"#);
    write(&project, "home/.oxicode/settings.json", r#"{"c": 1}"#);
    let at = |path: &str| project.scratch().join(path).display().to_string();
    project.oxi_with("fact import", &[("OXI_HOME", &at("elsewhere")), ("OXICODE_HOME", &at("code"))]).ok();
    assert_eq!(facts(&project), json!({"a": [1, "global"], "b": [1, "global"]}));
    assert_eq!(project.json("fact get a")["source"], json!("settings.json"), "no path outside of home and project");
    project.oxi("fact import").ok();
    assert_eq!(facts(&project), json!({"c": [1, "global"]}), "the old home, where there is no new one");
}

#[test]
fn a_bad_file_is_named_and_its_facts_stay() {
    let project = project();
    write(&project, "home/.oxi/settings.json", r#"{"a": 1, "both": "g"}"#);
    write(&project, "project/.oxi/settings.json", r#"{"b": 2, "both": "p"}"#);
    project.oxi("fact import").ok();
    write(&project, "project/.oxi/settings.json", "{\"b\": 2,\n oops");
    write(&project, "home/.oxi/settings.json", r#"{"a": 3, "both": "g"}"#);
    let report = project.json_of("fact import", 7);
    assert_eq!(report["bad"], json!([{"path": ".oxi/settings.json", "line": 2, "reason": "not JSON"}]));
    assert_eq!(facts(&project), json!({"a": [3, "global"], "b": [2, "project"], "both": ["p", "project"]}));
    project.oxi("fact import").exits(7).warns("bad settings .oxi/settings.json:2: not JSON");
}

#[test]
fn credentials_are_never_kept() {
    let project = project();
    let secret = ["correct", "horse", "battery"].join("-");
    let token = ["gh", "p_", "Zm9vYmFyYmF6cXV4", "MDEyMzQ1Njc4OUFC", "Q0Rl"].concat();
    let settings = json!({
        "api_key": secret, "providers": {"x": {"token": secret, "timeout": 5}}, "tokens": {"github": secret},
        "args": ["--verbose", token], "home": format!("https://ada:{secret}@example.org/"), "max_tokens": 4096,
        "pin": {"password": 123_456}, "header": format!("Authorization: Bearer {token}"), "empty": {"api_key": ""},
        token.clone(): "a key that is one"
    });
    write(&project, "home/.oxi/settings.json", settings.to_string());
    let run = project.oxi_with("fact import --json", &[("OXI_MODEL", &token)]).exits(7);
    let report = run.json();
    let redacted =
        ["api_key", "args", "default_model", "header", "home", "pin.password", "providers.x.token", "tokens.github"];
    assert_eq!(report["redacted"], json!(redacted));
    assert_eq!(report["bad"].as_array().unwrap().len(), 1, "{report}");
    let facts = project.json("fact list");
    for fact in facts.as_array().unwrap() {
        let hidden = redacted.contains(&fact["name"].as_str().unwrap());
        assert_eq!(fact["redacted"], json!(hidden), "{fact}");
    }
    assert_eq!(project.json("fact get max_tokens")["value"], json!(4096));
    assert_eq!(project.json("fact get empty.api_key")["value"], json!(""));
    let error = project.oxi(&format!("fact set deploy_password {secret} --json")).exits(8).error();
    assert_eq!((&error["code"], &error["rule"]), (&json!("refused"), &json!("assignment")));
    assert!(!error.to_string().contains(&secret));
    assert_eq!(project.json(&format!("--redact fact set deploy_password {secret}"))["value"], json!("[redacted]"));
    let everything = format!("{run:?}{facts}{}", project.oxi("log --json").ok().stdout);
    let database = std::fs::read(project.path(".oxi/state.redb")).unwrap();
    for hidden in [&secret, &token, &"123456".to_owned()] {
        assert!(!everything.contains(hidden.as_str()), "{hidden}");
        assert!(!database.windows(hidden.len()).any(|window| window == hidden.as_bytes()), "{hidden}");
    }
}
