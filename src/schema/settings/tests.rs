//! What settings files may hold, which layer wins, and that a change of one setting touches nothing else.

use proptest::prelude::*;

use super::edit::{EditError, edit};
use super::*;

fn file(text: &str) -> Result<Settings, FileError> {
    let mut settings = Settings::default();
    settings.set_file(text, Layer::Project).map(|()| settings)
}

fn problem(text: &str) -> (usize, String) {
    let error = file(text).unwrap_err();
    (error.line, error.to_string())
}

fn word(key: Key, text: &str) -> Option<Shown> {
    let mut settings = Settings::default();
    let set = settings.set(key, &Given::Word(text.into()), Origin::of(Layer::Environment));
    set.ok().map(|()| settings.shown(key).0)
}

#[test]
fn every_key_has_the_name_and_the_variable_that_the_rule_gives_it() {
    for (index, key) in Key::ALL.into_iter().enumerate() {
        assert_eq!(key as usize, index, "{key}");
        assert_eq!(key.as_str().parse(), Ok(key));
        let variable = format!("OXI_STATE_{}", key.as_str().to_uppercase().replace('.', "_"));
        assert_eq!(key.variable(), variable);
        assert!(key.parts().0.is_none_or(Key::is_group), "{key}");
    }
}

#[test]
fn a_file_sets_what_it_names_and_nothing_else() {
    let settings = file(
        "model = 'x'\n[state]\nlock_timeout = 2.5 # s\nactor = \"Ada \\u00e9\"\nclaims.remote_ttl = \"90m\"\n\n\
         [theme]\nstate = 1\n[state.privacy]\nallow = [\n 'jwt',\n 'high-entropy',\n]\n",
    )
    .unwrap();
    assert_eq!(settings.lock_timeout.value, Duration::from_millis(2500));
    assert_eq!(settings.lock_timeout.origin, Origin { layer: Layer::Project, line: Some(3) });
    assert_eq!(settings.actor.value.as_deref(), Some("Ada é"));
    assert_eq!(settings.remote_ttl.value, TimeDelta::minutes(90));
    assert_eq!(settings.allow.value, BTreeSet::from([Rule::Jwt, Rule::HighEntropy]));
    assert_eq!(settings.allow.origin.line, Some(10));
    assert_eq!(settings.session, Settings::default().session);
    assert_eq!(file("").unwrap(), Settings::default());
    assert_eq!(file("[other]\nlock_timeout = 'any'\n").unwrap(), Settings::default());
    assert_eq!(file("state = { retention = { agents = 7 } }").unwrap().retention.agents.value, 7);
    assert_eq!(file("\u{feff}[state]\r\ncolor = 'never'\r\n").unwrap().color.origin.line, Some(2));
}

#[test]
fn a_later_layer_overrides_an_earlier_one_and_lists_are_replaced() {
    let mut settings = Settings::default();
    settings.set_file("[state]\nprivacy.allow = ['jwt']\nlock_timeout = 1", Layer::Global).unwrap();
    settings.set_file("[state]\nprivacy.allow = ['aws-key']", Layer::Project).unwrap();
    assert_eq!(settings.allow.value, BTreeSet::from([Rule::AwsKey]));
    assert_eq!(settings.lock_timeout.origin, Origin { layer: Layer::Global, line: Some(3) });
    settings.set(Key::LockTimeout, &Given::Word("3".into()), Origin::of(Layer::Environment)).unwrap();
    assert_eq!(settings.shown(Key::LockTimeout), (Shown::Whole(3), Origin::of(Layer::Environment)));
    let before = settings.clone();
    assert!(settings.set_file("[state]\nlock_timeout = 5\ncolor = 'pink'", Layer::Project).is_err());
    assert_eq!(settings, before, "all of a file or nothing");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, line, said) in [
        ("a = 1\n[state]\nlock_timeot = 5", 3, "no setting lock_timeot is known; the nearest is lock_timeout"),
        ("[state]\nremote_ttl = 5", 2, "no setting remote_ttl is known; the nearest is claims.remote_ttl"),
        ("[state.retention]\nusage_day = 5", 2, "retention.usage_day is known; the nearest is retention.usage_days"),
        ("[state.retentoin]\nusage_days = 5", 1, "no setting retentoin is known"),
        ("[state]\n'claims.remote_ttl' = 5", 2, "no setting claims.remote_ttl is known"),
        ("[state]\nretention = 5", 2, "state.retention is not a table"),
        ("\nstate = 5", 2, "state is not a table"),
        ("[[state]]", 1, "state is not a table"),
        ("[state]\nlock_timeout = \"5\"", 2, "cannot be \"5\"; allowed is a number of seconds from 0 to 86400"),
        ("[state]\nlock_timeout = -1", 2, "cannot be -1"),
        ("[state]\nlock_timeout = nan", 2, "cannot be NaN"),
        ("[state]\nlock_timeout = { a = 1 }", 2, "cannot be a table"),
        ("[state]\nlock_timeout = 2026-01-01", 2, "cannot be a date"),
        ("[state]\nprivacy.redact = 'true'", 2, "allowed is true or false"),
        ("[state]\nprivacy.allow = 'jwt'", 2, "a list of privacy rules (private-key, jwt,"),
        (
            "[state]\nprivacy.allow = ['nonsense']",
            2,
            "privacy.allow cannot be this list; allowed is a list of privacy rules",
        ),
        ("[state]\nretention.changes = 0", 2, "from 1 to"),
        ("[state]\nretention.usage_days = 99999999999999999999", 2, "a number that is too large"),
        ("[state]\nclaims.remote_ttl = '1 fortnight'", 2, "a number of hours"),
        ("[state]\nsession = '../x'", 2, "a session's id"),
        ("[state]\nactor = ''", 2, "a name of 1 to 256 bytes"),
        ("[state]\nactor = \"a\\u001bb\"", 2, "without control characters"),
        ("[state]\ncolor = 'sometimes'", 2, "auto, always or never"),
        ("[state]\ncolour = 1\nlock_timeout = 'x'", 2, "no setting colour is known; the nearest is color"),
        ("[state]\n\nnonsense", 3, "this is not TOML"),
        ("a = 1\na = 2", 2, "this is not TOML: duplicate key"),
    ] {
        let (at, message) = problem(text);
        assert!(at == line && message.contains(said), "{text}: {at}: {message}");
    }
}

#[test]
fn no_message_repeats_a_secret() {
    let token = ["ghp_", &"aZ3".repeat(12)].concat();
    for text in [
        format!("[state]\nlock_timeout = '{token}'"),
        format!("[state]\n{token} = 1"),
        format!("[state]\nprivacy.allow = ['{token}']"),
        format!("[state]\nactor = '{token}/{}'", "x".repeat(300)),
        format!("[state]\nsession = '/{token}'"),
        token.clone(),
        format!("'{token}' = 1\n'{token}' = 2"),
        format!("a = {token}"),
    ] {
        assert!(!problem(&text).1.contains(&token), "{text}");
    }
}

#[test]
fn words_stand_for_any_type() {
    for (key, text, shown) in [
        (Key::LockTimeout, "0.5", Some(Shown::Fraction(0.5))),
        (Key::LockTimeout, "86401", None),
        (Key::LockTimeout, "inf", None),
        (Key::ClaimsRemoteTtl, "36", Some(Shown::Text("36h".into()))),
        (Key::ClaimsRemoteTtl, "1.5", Some(Shown::Text("90m".into()))),
        (Key::ClaimsRemoteTtl, "2 d", Some(Shown::Text("48h".into()))),
        (Key::ClaimsRemoteTtl, "1w", Some(Shown::Text("168h".into()))),
        (Key::ClaimsRemoteTtl, "45s", Some(Shown::Text("45s".into()))),
        (Key::ClaimsRemoteTtl, "0", Some(Shown::Text("0h".into()))),
        (Key::ClaimsRemoteTtl, "3651d", None),
        (Key::ClaimsRemoteTtl, "1.2.3", None),
        (Key::ClaimsRemoteTtl, "-1", None),
        (Key::ClaimsRemoteTtl, "h", None),
        (Key::PrivacyRedact, "YES", Some(Shown::Flag(true))),
        (Key::PrivacyRedact, "off", Some(Shown::Flag(false))),
        (Key::PrivacyRedact, "maybe", None),
        (Key::PrivacyAllow, " aws-key, jwt ,", Some(Shown::List(vec!["jwt".into(), "aws-key".into()]))),
        (Key::PrivacyAllow, "", Some(Shown::List(vec![]))),
        (Key::PrivacyAllow, "jwt,all", None),
        (Key::LockTimeout, "", None),
        (Key::RetentionAgents, "500", Some(Shown::Whole(500))),
        (Key::RetentionAgents, "0", None),
        (Key::RetentionAgents, "1.5", None),
    ] {
        assert_eq!(word(key, text), shown, "{key} {text:?}");
    }
}

#[test]
fn what_is_shown_can_be_set_again() {
    let defaults = Settings::default();
    for key in Key::ALL {
        let (shown, _) = defaults.shown(key);
        if shown != Shown::Nothing {
            assert_eq!(word(key, &shown.as_word()), Some(shown.clone()), "{key}");
            let text = edit("", key, &shown).unwrap().unwrap();
            assert_eq!(file(&text).unwrap().shown(key).0, shown, "{text}");
        }
    }
}

/// Sets and unsets as `config set` would; the text afterwards.
fn changed(text: &str, key: Key, value: &str) -> String {
    let value = if value.is_empty() { Shown::Nothing } else { word(key, value).unwrap() };
    edit(text, key, &value).unwrap().unwrap_or_else(|| "(no change)".into())
}

#[test]
fn a_change_is_made_where_a_person_would_make_it() {
    use Key::{ClaimsRemoteTtl as Ttl, LockTimeout as Wait, PrivacyAllow as Allow, RetentionAgents as Agents};
    for (before, key, value, after) in [
        ("", Wait, "5", "[state]\nlock_timeout = 5\n"),
        ("# mine\n", Wait, "5", "# mine\n\n[state]\nlock_timeout = 5\n"),
        ("a = 1", Ttl, "8", "a = 1\n\n[state]\nclaims.remote_ttl = \"8h\"\n"),
        ("a = 1\r\n", Wait, "5", "a = 1\r\n\r\n[state]\r\nlock_timeout = 5\r\n"),
        ("[state]\nlock_timeout = 1 # s\n", Wait, "5", "[state]\nlock_timeout = 5 # s\n"),
        ("[state]\nlock_timeout=0x5\n", Wait, "", "[state]\n"),
        ("[state] # ours\n\n[b]\nc = 1\n", Wait, "5", "[state] # ours\nlock_timeout = 5\n\n[b]\nc = 1\n"),
        (
            "[state]\n  color = 'never' # no\n\n[b]\n",
            Wait,
            "5",
            "[state]\n  color = 'never' # no\n  lock_timeout = 5\n\n[b]\n",
        ),
        ("[state]\ncolor = 'never'", Wait, "5", "[state]\ncolor = 'never'\nlock_timeout = 5\n"),
        ("[state.retention]\nchanges = 9\n[z]\n", Agents, "7", "[state.retention]\nchanges = 9\nagents = 7\n[z]\n"),
        (
            "[state.retention]\nchanges = 9\n",
            Wait,
            "5",
            "[state.retention]\nchanges = 9\n\n[state]\nlock_timeout = 5\n",
        ),
        ("[state]\nretention.changes = 9\n", Agents, "7", "[state]\nretention.changes = 9\nretention.agents = 7\n"),
        ("[state]\nretention = { changes = 9 }\n", Agents, "7", "[state]\nretention = { agents = 7, changes = 9 }\n"),
        ("[state]\nretention = {}\n", Agents, "7", "[state]\nretention = { agents = 7 }\n"),
        ("state.color = 'never'\nb = 1\n", Wait, "5", "state.color = 'never'\nstate.lock_timeout = 5\nb = 1\n"),
        ("state = {color='never'}", Agents, "7", "state = { retention.agents = 7, color='never'}"),
        ("state = {color='never', lock_timeout = 5}", Wait, "", "state = {color='never'}"),
        ("state = { lock_timeout = 5, color='never' }", Wait, "", "state = { color='never' }"),
        ("state = { retention.agents = 5 }", Agents, "", "state = {  }"),
        ("[state]\nprivacy.allow = [\n  'jwt', # why\n]\nb = 1\n", Allow, "", "[state]\nb = 1\n"),
        (
            "[state]\nprivacy.allow = [\n  'jwt', # why\n]\n",
            Wait,
            "5",
            "[state]\nprivacy.allow = [\n  'jwt', # why\n]\nlock_timeout = 5\n",
        ),
        ("\u{feff}[state]\nlock_timeout = 1\n", Wait, "5", "\u{feff}[state]\nlock_timeout = 5\n"),
        ("[state]\nlock_timeout = 5\n", Wait, "5", "(no change)"),
        ("[state]\n", Wait, "", "(no change)"),
    ] {
        assert_eq!(changed(before, key, value), after, "{before}");
    }
}

#[test]
fn what_is_wrong_elsewhere_in_a_file_does_not_stop_a_change() {
    let text = "[state]\nlock_timeout = 'x'\ncolour = 1\n";
    assert_eq!(changed(text, Key::LockTimeout, "5"), "[state]\nlock_timeout = 5\ncolour = 1\n");
    let text = "[state]\nretention = 5\n";
    let value = word(Key::RetentionAgents, "7").unwrap();
    assert_eq!(edit(text, Key::RetentionAgents, &value), Err(EditError::ByHand(Key::RetentionAgents)));
    assert!(matches!(edit("nonsense", Key::RetentionAgents, &value), Err(EditError::File(_))));
}

#[test]
fn hostile_files_end_soon_and_harmlessly() {
    let full = |piece: &str| piece.repeat(MAX_BYTES / piece.len());
    let begun = std::time::Instant::now();
    for text in [
        full("["),
        full("[["),
        full("{a="),
        format!("a = {}", full("[")),
        format!("a = {}", full("{a=")),
        format!("{}a = 1", full("a.")),
        format!("{}a = 1\n!!!", full("a.")),
        format!("[{}a]", full("a.")),
        format!("y = 1\n[y.x]\n{}a = 1", full("a.")),
        format!("[state]\n{}a = 1", full("a.")),
        format!("[state]\nlock_timeout = {{ {}a = 1 }}", full("a.")),
        format!("[{0}a]\n{1}", "a.".repeat(59), full(&format!("{}a = {{\n", "a.".repeat(59)))),
        full("[a]\n"),
        full("[[a]]\n"),
        full("[a.b.c.d.e.f]\n"),
        format!("a = [\n{}]", full("\"\",\n")),
        full("a = 1\n"),
        (0..6000).map(|number| format!("k{number} = 1\n")).collect::<Vec<_>>().concat(),
        format!("[state]\nactor = '{}'", full("x")),
        full("\""),
        full("'''"),
        full("\0"),
    ] {
        let text: String = text.chars().take(MAX_BYTES).collect();
        let _ = file(&text);
        let _ = edit(&text, Key::LockTimeout, &Shown::Whole(5));
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// One line or a few of a settings file, as people write them.
fn piece() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "# a comment\n",
        "\n",
        "[state]\n",
        "[state] # ours\n",
        "[state.retention]\n",
        "[other]\n",
        "[[list]]\n",
        "[other.state]\n",
        "lock_timeout = 3\n",
        "  lock_timeout=3.5   # wait\n",
        "\"lock_timeout\" = 4\n",
        "color = 'always'\n",
        "actor = \"A # b\"\n",
        "agents = 5\n",
        "changes = 0x10\n",
        "retention.agents = 6\n",
        "retention = { agents = 8, changes = 9 }\n",
        "retention = { agents = 8 , }\n",
        "retention = {\n  agents = 8, # few\n  changes = 9 # many\n}\n",
        "state.lock_timeout = 7\n",
        "state.retention.agents = 7\n",
        "state = { lock_timeout = 1, retention = { agents = 2 } }\n",
        "privacy.allow = [\n  'jwt', # one\n]\n",
        "text = '''\n[state]\nlock_timeout = 9\n'''\n",
        "x = \"[state]\"\n",
        "unknown = 1\n",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("OXI_STATE_LONG").is_some() { 100_000 } else { 512 }))]

    #[test]
    fn a_change_changes_one_setting_and_keeps_every_other_line(
        pieces in prop::collection::vec(piece(), 0..10),
        crlf in any::<bool>(),
        ends in any::<bool>(),
        key in prop::sample::select(vec![Key::LockTimeout, Key::RetentionAgents, Key::PrivacyAllow, Key::Actor]),
        unset in any::<bool>(),
    ) {
        let mut text = pieces.concat();
        if crlf { text = text.replace('\n', "\r\n"); }
        if !ends { text = text.trim_end().to_owned(); }
        let value = match key {
            _ if unset => Shown::Nothing,
            Key::LockTimeout => Shown::Whole(77),
            Key::RetentionAgents => Shown::Whole(78),
            Key::PrivacyAllow => Shown::List(vec!["aws-key".into(), "npm-token".into()]),
            _ => Shown::Text("Ada \"\\ é".into()),
        };
        match edit(&text, key, &value) {
            Err(EditError::File(_)) => prop_assert!(toml::de::DeTable::parse(&text).is_err()),
            Err(EditError::ByHand(_)) => {}
            Ok(None) => {
                let holds = file(&text).map_or(true, |settings| unset || settings.shown(key).0 == value);
                prop_assert!(holds);
            }
            Ok(Some(after)) => {
                let held = |text: &str, other: Key| {
                    let contents = file::with_document(text, file::contents).unwrap();
                    contents.found.into_iter().find(|found| found.key == other).map(|found| found.given)
                };
                for other in Key::ALL.into_iter().filter(|other| *other != key) {
                    prop_assert_eq!(held(&text, other), held(&after, other));
                }
                prop_assert_eq!(held(&after, key).is_none(), unset);
                prop_assert_eq!(edit(&after, key, &value), Ok(None));
                // all that was there and is not the setting itself is there, in that order
                let names = [key.parts().1, "'jwt'"];
                let others = text.lines().filter(|line| {
                    !names.iter().any(|name| line.contains(name)) && !line.contains('{') && line.trim() != "]"
                });
                let mut rest = after.lines();
                for line in others {
                    prop_assert!(rest.any(|have| have == line), "{:?} is gone:\n{}\n---\n{}", line, text, after);
                }
            }
        }
    }
}
