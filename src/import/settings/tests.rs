use std::fs;

use serde_json::json;

use super::*;

struct Homes {
    temp: tempfile::TempDir,
}

impl Homes {
    fn new() -> Self {
        let homes = Self { temp: tempfile::tempdir().unwrap() };
        for folder in ["home/.oxi/oxicode", "project/.oxi", "project/.oxicode"] {
            fs::create_dir_all(homes.temp.path().join(folder)).unwrap();
        }
        homes
    }

    fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    #[expect(clippy::disallowed_methods, reason = "the test plays the user")]
    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(path), text).unwrap();
        self
    }

    fn read(&self, variables: &[(&str, &str)]) -> Settings {
        let homes = [self.path("home/.oxi"), self.path("home/.oxi/oxicode")];
        let dirs = ["project/.oxi", "project/.oxicode"].map(|path| Dir::open(&self.path(path)).unwrap());
        let variables: Vec<_> = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let places = Places::new(&self.path("project"), Some(&self.path("home")));
        read(&homes, &dirs.iter().collect::<Vec<_>>(), &variables, &places)
    }

    fn values(&self, variables: &[(&str, &str)]) -> Value {
        let settings = self.read(variables);
        assert_eq!(settings.bad, []);
        Value::Object(settings.found.into_iter().map(|(name, found)| (name, found.value)).collect())
    }
}

#[test]
fn a_later_layer_overrides_and_the_source_is_told() {
    let homes = Homes::new();
    homes
        .write("home/.oxi/settings.toml", "theme = \"a\"\nmax_tokens = 1\nversion = 10\n")
        .write("home/.oxi/oxicode/settings.json", r#"{"theme": "b"}"#)
        .write("project/.oxi/settings.toml", "theme = \"c\"\n[state]\nlock_timeout = 5\n")
        .write("project/.oxicode/settings.json", r#"{"theme": "d"}"#);
    let settings = homes.read(&[("OXI_THEME", "e"), ("OXI_STATE_THEME", "no"), ("OXI_MODEL", " m ")]);
    assert_eq!(settings.bad, []);
    let theme = &settings.found["theme"];
    assert_eq!(
        (theme.value.as_str(), theme.layer, theme.source.as_str()),
        (Some("e"), Layer::Environment, "OXI_THEME")
    );
    assert_eq!(
        theme.overrides,
        [
            "global ~/.oxi/settings.toml",
            "global ~/.oxi/oxicode/settings.json",
            "project .oxi/settings.toml",
            "project .oxicode/settings.json"
        ]
    );
    let version = &settings.found["version"];
    assert_eq!((version.layer, version.source.as_str()), (Layer::Global, "~/.oxi/settings.toml"));
    assert!(version.digest.as_deref().is_some_and(|digest| digest.starts_with("sha256:") && digest.len() == 71));
    assert_eq!(settings.found["default_model"].value, "m");
    assert_eq!(settings.found.keys().collect::<Vec<_>>(), ["default_model", "max_tokens", "theme", "version"]);
    let looked_at: Vec<_> = settings.sources.iter().map(|source| (source.name.as_str(), source.values)).collect();
    assert_eq!(looked_at[0], ("~/.oxi/settings.toml", 3));
    assert_eq!(looked_at[2], ("project/.oxi/settings.toml".trim_start_matches("project/"), 1), "without our own table");
}

#[test]
fn json_hides_toml_in_its_folder() {
    let homes = Homes::new();
    homes.write("home/.oxi/settings.json", r#"{"a": 1}"#).write("home/.oxi/settings.toml", "b = 2\n");
    assert_eq!(homes.values(&[]), json!({"a": 1}));
}

#[test]
fn maps_merge_and_scalars_and_lists_replace() {
    let table = [
        (r#"{"m": {"a": 1, "b": {"c": 2}}}"#, r#"{"m": {"b": {"d": 3}}}"#, json!({"m.a": 1, "m.b.c": 2, "m.b.d": 3})),
        (r#"{"m": {"a": 1}}"#, r#"{"m": 2}"#, json!({"m": 2})),
        (r#"{"m": 2}"#, r#"{"m": {"a": 1}}"#, json!({"m.a": 1})),
        (r#"{"l": [1, 2]}"#, r#"{"l": [3]}"#, json!({"l": [3]})),
        (r#"{"l": [{"a": 1}, {"a": 2}]}"#, r#"{"l": [{"b": 3}]}"#, json!({"l.0.b": 3})),
        (r#"{"l": [{"a": 1}]}"#, r#"{"l": []}"#, json!({"l": []})),
        (r#"{"a": 1}"#, r#"{"a": null}"#, json!({"a": null})),
        (r#"{"ab": 1, "a": {"x": 1}}"#, r#"{"a": 2}"#, json!({"a": 2, "ab": 1})),
        ("{}", r#"{"m": {}}"#, json!({})),
    ];
    for (global, project, expected) in table {
        let homes = Homes::new();
        homes.write("home/.oxi/settings.json", global).write("project/.oxi/settings.json", project);
        assert_eq!(homes.values(&[]), expected, "{global} {project}");
    }
}

#[test]
fn toml_and_variables_have_their_types() {
    let homes = Homes::new();
    homes.write("project/.oxi/settings.toml", "t = 2026-01-01T00:00:00Z\nf = 0.5\nb = true\n[m]\nl = ['x', 'y']\n");
    let variables = [
        ("OXI_STREAM", "On"),
        ("OXI_TOOL_TIMEOUT", "120"),
        ("OXI_DISABLED_TOOLS", "bash, ,web"),
        ("OXI_TEMPERATURE", "0.2"),
    ];
    let expected = json!({
        "b": true, "default_temperature": 0.2, "disabled_tools": ["bash", "web"], "f": 0.5, "m.l": ["x", "y"],
        "stream_responses": true, "t": "2026-01-01T00:00:00Z", "tool_timeout_seconds": 120
    });
    assert_eq!(homes.values(&variables), expected);
}

#[test]
fn what_cannot_be_read_is_named_and_never_quoted() {
    let secret = "hunter2";
    for (name, text, line) in [
        ("settings.json", format!("{{\"a\": 1,\n\"b\": {secret}}}"), Some(2)),
        ("settings.json", "[1]".into(), Some(1)),
        ("settings.json", "[".repeat(100_000), Some(1)),
        ("settings.toml", format!("a = 1\nb = {secret}\n"), Some(2)),
        ("settings.toml", "a = 1\na = 2\n".into(), Some(2)),
        ("settings.toml", format!("a = {}", "[".repeat(100_000)), Some(1)),
        ("settings.json", " ".repeat(usize::try_from(MAX_FILE).unwrap() + 1), None),
    ] {
        let homes = Homes::new();
        homes.write(&format!("project/.oxi/{name}"), &text).write("home/.oxi/settings.json", r#"{"x": 1}"#);
        let settings = homes.read(&[]);
        assert_eq!(settings.bad.len(), 1, "{name}");
        let bad = &settings.bad[0];
        assert_eq!((bad.source.clone(), bad.line), (format!(".oxi/{name}"), line), "{bad:?}");
        assert!(!bad.reason.contains(secret), "{bad:?}");
        assert!(settings.found.contains_key("x"), "the rest is taken");
    }
    let homes = Homes::new();
    homes.write("project/.oxi/settings.json", b"{\"a\": \"\xff\"}");
    assert_eq!(homes.read(&[]).bad[0].reason, "not UTF-8");
    let many: serde_json::Map<_, _> = (0..=MAX_VALUES).map(|number| (number.to_string(), number.into())).collect();
    homes.write("project/.oxi/settings.json", Value::Object(many).to_string());
    assert!(homes.read(&[]).bad[0].reason.starts_with("more than"));
    let bad = homes.read(&[("OXI_STREAM", secret), ("OXI_MAX_TOKENS", "-1"), ("OXI_TEMPERATURE", "inf")]).bad;
    assert_eq!(bad.iter().filter(|bad| bad.source.starts_with("OXI_") && !bad.reason.contains(secret)).count(), 3);
}

#[test]
fn a_link_in_the_project_is_not_followed_and_one_at_home_is() {
    let homes = Homes::new();
    homes.write("elsewhere.json", r#"{"a": 1}"#);
    for folder in ["home/.oxi", "project/.oxi"] {
        std::os::unix::fs::symlink(homes.path("elsewhere.json"), homes.path(&format!("{folder}/settings.json")))
            .unwrap();
    }
    let settings = homes.read(&[]);
    assert_eq!(settings.found["a"].layer, Layer::Global);
    assert!(settings.bad[0].source == ".oxi/settings.json" && settings.bad[0].reason.contains("symbolic link"));
}

#[test]
fn a_path_does_not_tell_where_the_home_is() {
    let homes = Homes::new();
    let at = |path: &str| homes.path(path).display().to_string();
    let settings = json!({
        "dirs": [at("home/.oxi/sessions"), "/srv/x"], "root": at("project"), "in": {"it": at("project/a b")}, "rel": "a/b"
    });
    homes.write("home/.oxi/settings.json", settings.to_string());
    let expected = json!({"dirs": ["~/.oxi/sessions", "/srv/x"], "in.it": "./a b", "rel": "a/b", "root": ".", "session_dir": "~/s"});
    assert_eq!(homes.values(&[("OXI_SESSION_DIR", &at("home/s"))]), expected);
}
