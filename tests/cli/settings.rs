//! Settings: five layers, where each value comes from, and changing them.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::project::{Project, empty_folder, issue, keys, project, project_with};

const FILE: &str = ".oxi/settings.toml";

impl Project {
    /// Writes the project's settings.
    fn settings(&self, text: &str) {
        std::fs::write(self.path(FILE), text).unwrap();
    }

    /// The project's settings as text.
    fn settings_text(&self) -> String {
        std::fs::read_to_string(self.path(FILE)).unwrap()
    }

    fn home(&self) -> std::path::PathBuf {
        self.scratch().join("home")
    }

    /// Writes the user's own settings.
    fn own_settings(&self, text: &str) {
        std::fs::create_dir_all(self.home().join(".oxi")).unwrap();
        std::fs::write(self.home().join(FILE), text).unwrap();
    }

    /// A setting as `config get` gives it.
    fn setting(&self, key: &str, variables: &[(&str, &str)]) -> Value {
        self.oxi_with(&format!("config get {key} --json"), variables).ok().json()
    }
}

#[test]
fn each_layer_overrides_the_one_before_and_says_where_it_is() {
    let project = project();
    let at = |variables: &[(&str, &str)]| {
        let setting = project.setting("lock_timeout", variables);
        (setting["value"].clone(), setting["layer"].clone(), setting["source"].clone(), setting["line"].clone())
    };
    assert_eq!(at(&[]), (json!(10), json!("built-in"), Value::Null, Value::Null));
    project.own_settings("[state]\n\nlock_timeout = 20\n");
    assert_eq!(at(&[]), (json!(20), json!("global"), json!("~/.oxi/settings.toml"), json!(3)));
    project.settings("[state]\nlock_timeout = 2.5\n");
    assert_eq!(at(&[]), (json!(2.5), json!("project"), json!(FILE), json!(2)));
    let variable = ("OXI_STATE_LOCK_TIMEOUT", "40");
    assert_eq!(at(&[variable]), (json!(40), json!("environment"), json!("OXI_STATE_LOCK_TIMEOUT"), Value::Null));
    let run = project.oxi_with("config get lock_timeout --json --lock-timeout 50", &[variable]).ok().json();
    assert_eq!(
        (&run["value"], &run["layer"], &run["source"]),
        (&json!(50), &json!("command-line"), &json!("--lock-timeout"))
    );
    project.oxi("config get lock_timeout").ok().prints("2.5\n").silent();
    project.oxi("config get session").ok().prints("\n");
}

#[test]
fn the_list_has_every_setting_with_its_variable() {
    let project = project();
    project.settings("[state]\nprivacy.allow = ['jwt', 'high-entropy']\n");
    let list = project.json("config list");
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 17);
    for setting in list {
        assert_eq!(keys(setting), ["key", "value", "layer", "source", "line", "variable"]);
        let key = setting["key"].as_str().unwrap();
        let variable = setting["variable"].as_str().unwrap();
        assert_eq!(variable, format!("OXI_STATE_{}", key.to_uppercase().replace('.', "_")));
        assert_eq!(&project.setting(key, &[]), setting);
    }
    let text = project.oxi_with("config list", &[("OXI_STATE_CLAIMS_REMOTE_TTL", "90 m")]).ok();
    let line = |key: &str| {
        let line = text.stdout.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("claims."),
        "claims.remote_ttl 90m environment OXI_STATE_CLAIMS_REMOTE_TTL OXI_STATE_CLAIMS_REMOTE_TTL"
    );
    assert_eq!(
        line("privacy.allow"),
        format!("privacy.allow jwt,high-entropy project {FILE}:2 OXI_STATE_PRIVACY_ALLOW")
    );
    assert_eq!(line("retention.changes"), "retention.changes 10000 built-in OXI_STATE_RETENTION_CHANGES");
}

#[test]
fn settings_can_be_seen_without_a_project_but_need_one_to_be_set() {
    let folder = empty_folder();
    folder.own_settings("[state]\ncolor = 'never'\n");
    assert_eq!(folder.setting("color", &[])["layer"], json!("global"));
    let error = folder.oxi("config set color always --json").exits(3).error();
    assert!(error["hint"].as_str().unwrap().contains("--global"), "{error}");
    folder.oxi("config set --global color always").ok().prints("~/.oxi/settings.toml: color = always\n");
    assert_eq!(std::fs::read_to_string(folder.home().join(FILE)).unwrap(), "[state]\ncolor = \"always\"\n");
}

#[test]
fn what_was_read_from_the_environment_and_flags_is_read_from_files_too() {
    let project = project();
    project.settings("[state]\nactor = 'from file'\nsession = 'in-file'\n");
    project.oxi("issue create a").ok();
    project.oxi("issue start 1").ok();
    let log = project.json("log --key 1 --limit 1");
    assert_eq!((&log[0]["actor"], &log[0]["session"]), (&json!("from file"), &json!("in-file")));
    project.oxi_with("issue create b", &[("OXI_STATE_ACTOR", "variable"), ("OXI_STATE_SESSION", "v")]).ok();
    assert_eq!(project.json("log --limit 1")[0]["actor"], json!("variable"));
    project.oxi_with("--actor flag --session f issue create c", &[("OXI_STATE_ACTOR", "variable")]).ok();
    let log = project.json("log --limit 1");
    assert_eq!((&log[0]["actor"], &log[0]["session"]), (&json!("flag"), &json!("f")));
    // a filter there, and no caller
    assert_eq!(project.json("issue list --session '../no id'"), json!([]));
}

#[test]
fn the_privacy_settings_of_a_project_hold_and_are_seen() {
    let project = project();
    let token = ["ghp_", &"aZ3".repeat(12)].concat();
    project.settings("[state.privacy]\nredact = true\n");
    project.oxi(&format!("issue create 'use {token}'")).ok();
    assert_eq!(project.field(1, "title"), "use [redacted:github-token]");
    project.oxi_with(&format!("issue create 'use {token}'"), &[("OXI_STATE_PRIVACY_REDACT", "no")]).exits(8);
    project.settings("[state.privacy]\nallow = ['github-token']\n");
    project.oxi(&format!("issue create 'use {token}'")).ok();
    assert_eq!(project.field(2, "title"), format!("use {token}"));
    // a list is replaced, not added to
    project.oxi(&format!("--allow jwt issue create 'use {token}'")).exits(8);
    assert_eq!(project.setting("privacy.allow", &[])["source"], json!(FILE));
}

#[test]
fn the_waiting_time_and_the_colours_come_from_a_file() {
    let project = project();
    project.settings("[state]\nlock_timeout = 0.1\ncolor = 'always'\n");
    let lock = std::fs::File::open(project.path(".oxi/state.lock")).unwrap();
    lock.lock().unwrap();
    project.oxi("issue create a").exits(6).warns("busy for 0.1 s").warns("\u{1b}[");
    lock.unlock().unwrap();
    project.oxi("config list").ok().says("\u{1b}[1m");
    project.oxi("config list --color never").ok().says_not("\u{1b}[");
}

#[test]
fn a_claim_from_elsewhere_is_honoured_as_long_as_the_settings_say() {
    let hour_ago = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    let claim = format!("assigned_to:\n  session: elsewhere\n  acquired_at: {}\n", hour_ago.to_rfc3339());
    let project = project_with(&[issue(1, "first").with(&claim)]);
    assert_eq!(project.show(1)["owner_alive"], Value::Null, "unknown for a day");
    project.oxi("issue start 1 --session mine").exits(5);
    project.settings("[state]\nclaims.remote_ttl = 2\n");
    project.oxi("issue start 1 --session mine").exits(5);
    assert_eq!(project.json("issue list --free"), json!([]));
    project.settings("[state]\nclaims.remote_ttl = \"30m\"\n");
    assert_eq!(project.show(1)["owner_alive"], json!(false));
    assert_eq!(project.json("issue list --free").as_array().unwrap().len(), 1);
    project.oxi_with("issue next", &[("OXI_STATE_CLAIMS_REMOTE_TTL", "1d")]).exits(3);
    project.oxi("issue start 1 --session mine").ok();
}

#[test]
fn wrong_settings_name_file_line_and_key() {
    let project = project();
    for (text, line, key, said) in [
        ("[state]\n\nlock_timeout = 'soon'\n", 3, json!("lock_timeout"), "allowed is a number of seconds"),
        ("[state]\nlock_timeot = 5\n", 2, json!("lock_timeot"), "the nearest is lock_timeout"),
        ("[state.retention]\nchanges = -1\n", 2, json!("retention.changes"), "a whole number"),
        ("state = 1\n", 1, json!("state"), "not a table"),
        ("a = 1\n\n[state\n", 3, Value::Null, "not TOML"),
    ] {
        project.settings(text);
        for command in ["issue list", "config list", "config get color", "issue create a", "status", "init"] {
            let error = project.oxi(&format!("{command} --json")).exits(2).error();
            assert_eq!((&error["code"], &error["source"]), (&json!("usage"), &json!(FILE)), "{text}: {error}");
            assert_eq!((&error["line"], &error["key"]), (&json!(line), &key), "{text}: {error}");
            let message = error["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{FILE}:{line}: ")) && message.contains(said), "{message}");
            assert!(error["hint"].is_string(), "{error}");
        }
        project.oxi("schema settings").ok();
        project.oxi("completions bash").ok();
        project.settings("");
    }
    project.own_settings("[state]\ncolor = 'pink'\n");
    project.oxi("issue list").exits(2).warns("~/.oxi/settings.toml:2: color").warns("config set --global color");
    project.oxi("config set --global color auto").ok();
    project.oxi("issue list").ok();
    let run = project.oxi_with("issue list --json", &[("OXI_STATE_RETENTION_AGENTS", "many")]).exits(2).error();
    assert_eq!(run["source"], json!("OXI_STATE_RETENTION_AGENTS"));
    project.oxi_with("config set color auto", &[("OXI_STATE_LOCK_TIMEOUT", "soon")]).exits(2);
    project.oxi("config get nonsense").exits(2);
    project.oxi("config get lock-timeout").exits(2).warns("did you mean lock_timeout?");
}

#[test]
fn what_is_not_this_tools_is_not_judged() {
    let project = project();
    let text = "version = 10\nlock_timeout = 'theirs'\n[providers.state]\ncolor = 5\n";
    project.settings(text);
    project.own_settings("default_model = 'x'\n");
    project.oxi("issue create a").ok().silent();
    assert!(project.json("config list").as_array().unwrap().iter().all(|setting| setting["layer"] == "built-in"));
    project.oxi("config set color never").ok();
    assert_eq!(project.settings_text(), format!("{text}\n[state]\ncolor = \"never\"\n"));
}

#[test]
fn a_settings_file_is_a_regular_file_of_some_length() {
    let project = project();
    let elsewhere = project.scratch().join("elsewhere.toml");
    std::fs::write(&elsewhere, "[state]\ncolor = 'never'\n").unwrap();
    let file = project.path(FILE);
    symlink(&elsewhere, &file).unwrap();
    project.oxi("issue list").exits(2).warns("not a regular file");
    project.oxi("config set color always").exits(2);
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "[state]\ncolor = 'never'\n");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    project.oxi("issue list").exits(2).warns("not a regular file");
    std::fs::remove_dir(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    project.oxi("issue list").exits(2).warns("not a regular file");
    std::fs::remove_file(&file).unwrap();
    project.settings(&format!("# {}\n", "x".repeat(64 * 1024)));
    project.oxi("issue list").exits(2).warns("more than 65536 bytes");
    std::fs::write(&file, b"a = 1\n\xff\n").unwrap();
    project.oxi("issue list").exits(2).warns(".oxi/settings.toml:2: this is not UTF-8");
    std::fs::remove_file(&file).unwrap();
    // one's own may be a link, and stays one
    std::fs::create_dir_all(project.home().join(".oxi")).unwrap();
    symlink(&elsewhere, project.home().join(FILE)).unwrap();
    assert_eq!(project.setting("color", &[])["value"], json!("never"));
    project.oxi("config set --global color always").ok();
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "[state]\ncolor = \"always\"\n");
    assert!(project.home().join(FILE).is_symlink());
}

#[test]
fn setting_changes_one_line_and_can_be_taken_back() {
    let project = project();
    let before = "# what we agreed on\n[state]\n  color = 'never'   # in CI\n\n[other]\nx = [1,\n 2]\n";
    project.settings(before);
    std::fs::set_permissions(project.path(FILE), std::fs::Permissions::from_mode(0o640)).unwrap();
    let set = project.json("config set claims.remote_ttl 1.5");
    assert_eq!(
        set,
        json!({
            "key": "claims.remote_ttl", "value": "90m", "layer": "project", "source": FILE, "line": 4,
            "variable": "OXI_STATE_CLAIMS_REMOTE_TTL",
        })
    );
    let expected = before.replace("# in CI\n", "# in CI\n  claims.remote_ttl = \"90m\"\n");
    assert_eq!(project.settings_text(), expected);
    assert_eq!(std::fs::metadata(project.path(FILE)).unwrap().permissions().mode() & 0o777, 0o640);
    project
        .oxi("config set claims.remote_ttl 90m")
        .ok()
        .prints(&format!("{FILE}: claims.remote_ttl was 90m already\n"));
    project
        .oxi("config set --unset claims.remote_ttl")
        .ok()
        .prints(&format!("{FILE}: claims.remote_ttl is no longer set\n"));
    assert_eq!(project.settings_text(), before);
    let unset = project.json("config set --unset claims.remote_ttl");
    assert_eq!((&unset["value"], &unset["line"]), (&Value::Null, &Value::Null));
    project.oxi("config set --unset color").ok();
    project.oxi("config set privacy.allow jwt,aws-key").ok();
    assert_eq!(project.setting("privacy.allow", &[])["value"], json!(["jwt", "aws-key"]));
    let run = project.oxi_with("config set lock_timeout 5", &[("OXI_STATE_LOCK_TIMEOUT", "7")]).ok();
    run.warns("OXI_STATE_LOCK_TIMEOUT overrides it");
    // ignored by git: only the file itself is new
    assert_eq!(project.git("status --short --untracked-files=all").trim(), format!("?? {FILE}"));
}

#[test]
fn wrong_values_and_secrets_are_not_set() {
    let project = project();
    let token = ["ghp_", &"aZ3".repeat(12)].concat();
    for (line, code) in [
        ("config set lock_timeout soon", 2),
        ("config set lock_timeout -1", 2),
        ("config set lock_timeout", 2),
        ("config set lock_timeout 5 --unset", 2),
        ("config set lock_timeot 5", 2),
        ("config set privacy.allow everything", 2),
        ("config set color ''", 2),
        (&format!("config set actor {token}"), 8),
        (&format!("config set session {token} --redact"), 8),
        (&format!("config set {token} 1"), 2),
    ] {
        let run = project.oxi(line).exits(code);
        assert!(!run.stderr.contains(&token) && !run.stderr.is_empty() && run.stdout.is_empty(), "{run:?}");
        let error = project.oxi(&format!("{line} --json")).exits(code).error();
        assert!(error["hint"].is_string(), "{error}");
    }
    assert!(!project.path(FILE).exists());
    // one that a person wrote there is not repeated
    project.settings(&format!("[state]\nactor = '{token}'\n"));
    project.oxi("config list").ok().says("[redacted:github-token]").says_not(&token);
    project.oxi("config get actor --json").ok().says_not(&token);
    project.oxi("issue create a").exits(8).warns("actor");
}

#[test]
fn many_at_once_lose_no_setting() {
    let project = project();
    project.settings("# shared\n");
    let settings = ["lock_timeout 5", "actor Ada", "color never", "claims.remote_ttl 5", "export.paths true"];
    let more = ["usage_days", "changes", "superseded_days", "agents", "agents_hours", "handoffs_days"];
    let lines = settings.map(str::to_owned).into_iter().chain(more.map(|name| format!("retention.{name} 7")));
    let children: Vec<_> = lines
        .map(|line| project.command(&format!("config set {line}")).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
    let list = project.json("config list");
    let set = list.as_array().unwrap().iter().filter(|setting| setting["layer"] == "project").count();
    assert_eq!(set, settings.len() + more.len(), "{}", project.settings_text());
}
