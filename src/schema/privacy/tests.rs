//! Every fake secret is put together from parts, so that no scanner finds one in this repository.

use proptest::prelude::*;

use super::*;

pub(in crate::schema) mod fakes;

use fakes::{BASE64, DIGITS, Fake, HEX, Numbers, fake, numbers_for};

fn found(text: &str) -> Vec<(Rule, &str)> {
    scan(text).into_iter().map(|finding| (finding.rule, finding.of(text))).collect()
}

#[test]
fn every_kind_of_secret_is_found_by_its_rule_and_redacted_whole() {
    for rule in Rule::ALL {
        let mut numbers = numbers_for(rule, 0);
        for _ in 0..400 {
            let Fake { text, secret } = fake(rule, &mut numbers);
            let findings = found(&text);
            assert!(
                findings.len() == 1 && findings[0].0 == rule && findings[0].1.contains(&*secret),
                "{rule}: {findings:?} in {text}"
            );
            let redacted = redact(&text, &scan(&text));
            assert!(!redacted.contains(&*secret), "{redacted}");
            assert!(redacted.contains(&format!("[redacted:{rule}]")), "{redacted}");
            assert_eq!(found(&redacted), [], "{redacted}");
        }
    }
}

#[test]
fn refusals_and_findings_never_hold_the_secret() {
    for rule in Rule::ALL {
        let mut numbers = numbers_for(rule, 100);
        for _ in 0..50 {
            let Fake { text, secret } = fake(rule, &mut numbers);
            let refused = check(&text, &Policy::default()).unwrap_err();
            let said = format!("{refused} {refused:?} {:?}", scan(&text));
            // no eight characters of it either
            let parts = secret.as_bytes().windows(8).map(String::from_utf8_lossy);
            assert!(parts.into_iter().all(|part| !said.contains(&*part) || part.contains('-')), "{said}");
            assert_eq!(refused.rule, rule);
        }
    }
}

#[test]
fn harmless_look_alikes_pass() {
    let harmless = include_str!("harmless.txt");
    let mut cases = 0;
    for text in harmless.split("\n%\n") {
        for line in if text.starts_with("(block)") { vec![text] } else { text.lines().collect() } {
            cases += 1;
            assert_eq!(found(line), [], "{line}");
        }
    }
    assert!(cases >= 150, "{cases}");
    assert_eq!(found(harmless), []);
}

#[test]
fn harmless_numbers_and_names_pass_wherever_they_stand() {
    let mut numbers = Numbers(7);
    for _ in 0..300 {
        let commit = numbers.text(HEX, 40);
        let uuid = [8, 4, 4, 4, 12].map(|len| numbers.text(HEX, len)).join("-");
        let ulid = numbers.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26);
        let image = numbers.text(BASE64, 120);
        for text in [
            format!("the token check came in {commit} and {}", &commit[..7]),
            format!("commit {commit}\nsession {uuid}\nid: {ulid}"),
            format!("password reset of {uuid} ({ulid}), see token {commit}"),
            format!("![token](data:image/png;base64,{image}=)"),
            format!("total_tokens: {}", numbers.text(DIGITS, 14)),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }
}

#[test]
fn a_value_beside_its_name_is_found_and_only_that() {
    let value = ["hunter", "0123456789"].concat();
    let key = ["AAbb".repeat(21), "+/".into(), "==".into()].concat();
    for (text, secret) in [
        (format!(r#"["serve", "--api-key", "{value}", "--port", "80"]"#), &value),
        (format!("[\n  \"--api-key\",\n  \"{value}\"\n]"), &value),
        (format!("args: ['--password', '{value}']"), &value),
        (format!(r#"headers: [["X-Api-Key", "{value}"], ["Accept", "text/plain"]]"#), &value),
        (format!(r#"{{"env":[{{"name":"A","value":"b"}},{{"name":"DB_PASSWORD","value":"{value}"}}]}}"#), &value),
        (format!("env:\n  - name: A\n    value: b\n  - name: DB_PASSWORD\n    value: {value}\n"), &value),
        (format!("AccountName=tides;AccountKey={key};EndpointSuffix=core.windows.net"), &key),
    ] {
        assert_eq!(found(&text), [(Rule::Assignment, secret.as_str())], "{text}");
    }
}

#[test]
fn a_refusal_says_line_and_character() {
    let token = ["gh", "p_", "0123456789abcdefABCDEF0123"].concat();
    let text = format!("fine\r\nauch fein: äöü {token}\n");
    let refused = check(&text, &Policy::default()).unwrap_err();
    assert_eq!((refused.rule, refused.line, refused.column), (Rule::GithubToken, 2, 16));
    assert_eq!(refused.to_string(), "line 2, column 16: this looks like a secret (github-token)");
}

#[test]
fn an_allowed_rule_is_passed_over_and_the_next_finding_refused() {
    let mut numbers = Numbers(3);
    let (first, second) = (fake(Rule::GithubToken, &mut numbers), fake(Rule::UrlCredentials, &mut numbers));
    let text = format!("{}\n{}", first.text, second.text);
    let allow = |rules: &[Rule]| Policy { allow: rules.iter().copied().collect(), redact: false };
    assert_eq!(check(&text, &allow(&[])).unwrap_err().rule, Rule::GithubToken);
    assert_eq!(check(&text, &allow(&[Rule::GithubToken])).unwrap_err().rule, Rule::UrlCredentials);
    assert_eq!(check(&text, &allow(&[Rule::GithubToken, Rule::UrlCredentials])).unwrap(), text);
    let redacting = Policy { redact: true, ..allow(&[Rule::GithubToken]) };
    let redacted = check(&text, &redacting).unwrap();
    assert!(redacted.contains(&first.secret) && !redacted.contains(&second.secret), "{redacted}");
}

#[test]
fn only_what_a_change_adds_is_looked_at() {
    let mut numbers = Numbers(4);
    for rule in Rule::ALL {
        let (old, new) = (fake(rule, &mut numbers), fake(rule, &mut numbers));
        let policy = Policy::default();
        let edited = format!("Changed.\n\n{}\n", old.text);
        assert_eq!(check_added(&old.text, &edited, &policy).unwrap(), edited);
        let both = format!("{}\n\n{}", old.text, new.text);
        assert_eq!(check_added(&old.text, &both, &policy).unwrap_err().rule, rule);
        let redacted = check_added(&old.text, &both, &Policy { redact: true, ..policy }).unwrap();
        assert!(redacted.contains(&old.secret) && !redacted.contains(&new.secret), "{redacted}");
    }
}

#[test]
fn rules_have_names_and_unknown_names_are_answered_with_them() {
    for rule in Rule::ALL {
        assert_eq!(rule.as_str().parse(), Ok(rule));
    }
    assert!(Rule::ALL.is_sorted());
    let error = "no-such".parse::<Rule>().unwrap_err().to_string();
    assert!(Rule::ALL.iter().all(|rule| error.contains(rule.as_str())) && !error.contains("no-such"), "{error}");
}

/// Pieces that the detectors look at, so that arbitrary text is also likely to be interesting.
fn pieces() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(vec![
        "sk-",
        "ghp_",
        "AKIA",
        "AIza",
        "xoxb-",
        "sk_live_",
        "eyJ",
        "://",
        "Bearer ",
        "Authorization",
        "token",
        "secret",
        "PASSWORD",
        "Cookie: ",
        "cookie",
        "session=",
        ";",
        "hf_",
        "ya29.",
        "hooks.slack.com/services/",
        "{\"name\":\"",
        "\",\"value\":\"",
        "\"value\": \"",
        "[\"",
        "\"]",
        "\",\"",
        "name: ",
        "api_key",
        "--password ",
        "_pass",
        "=",
        ": ",
        " = ",
        ":",
        "|",
        "\"",
        "'",
        "`",
        "\\",
        " ",
        "\n",
        "@",
        "/",
        ".",
        ",",
        "(",
        ")",
        "[",
        "]",
        "[redacted:jwt]",
        "[redacted:",
        "[redacted:github-token]",
        "-----BEGIN ",
        "PRIVATE KEY",
        "-----",
        "-----END ",
        "${",
        "}",
        "$",
        "%",
        "...",
        "example",
        "your_",
        "_base",
        "#",
        "user:",
        "host",
        "authentication",
        "CancellationToken",
        "sha256:",
        "data:",
        "é",
        "로",
        "\u{2028}",
        "\0",
        "-",
        "_",
        "http",
    ]);
    prop_oneof![
        6 => telling.prop_map(str::to_owned),
        2 => "[A-Za-z0-9_-]{1,40}",
        1 => "[A-Za-z0-9+/]{20,70}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_can_be_scanned_and_what_is_redacted_is_clean(pieces in prop::collection::vec(pieces(), 0..40)) {
        let text = pieces.concat();
        let findings = scan(&text);
        prop_assert!(findings.windows(2).all(|pair| pair[0].end() <= pair[1].offset));
        for finding in &findings {
            prop_assert!(!finding.of(&text).is_empty());
        }
        let redacted = redact(&text, &findings);
        prop_assert_eq!(found(&redacted), [], "{}", redacted);
        prop_assert_eq!(check(&text, &Policy { redact: true, ..Policy::default() }).unwrap(), redacted);
        prop_assert_eq!(check(&text, &Policy::default()).is_ok(), findings.is_empty());
    }
}

/// Not a matter of milliseconds: a quadratic detector would take minutes on one of these 256 KiB.
#[test]
fn long_text_of_any_pattern_takes_no_time() {
    let unit = |text: &str| text.repeat((1 << 18) / text.len());
    for text in [
        "a:",
        "sk-",
        "sk-a1",
        "token",
        "token=",
        "token=a",
        "token:",
        "token: ",
        "token=\"",
        "token='\"",
        "token \"",
        "://a:",
        "://",
        "a://b:c@",
        "eyJ",
        "eyJ-",
        "eyJ.",
        "eyJaaaaaaaaa.",
        "ghp_",
        "xoxb-",
        "Bearer ",
        "bearer a",
        "Authorization:",
        "authorization: ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN",
        "-",
        " ",
        "api_key ",
        "--token ",
        "[redacted:",
        "[redacted:jwt]",
        "AKIA",
        "password=aA1bB2cC3dD4eE5fF6gG7\n",
        "aA1",
        "token\n",
        "token=https://",
        "token: a.",
        "key=",
        "token/",
        "로",
        "\\n",
        "cookie:",
        "cookie: a=b;",
        "Cookie: session=aA1bB2cC3dD4eE5fF6gG7;",
        "cookie=;",
        "\"token\",",
        "[\"token\",\"",
        "name:token,value:",
        "name=token ",
        "{\"value\":\"a\",\"name\":\"token\"}",
        "\"name\":\"token\"",
        "hf_",
        "hooks.slack.com/services/",
    ] {
        let text = unit(text);
        let findings = scan(&text);
        let redacted = redact(&text, &findings);
        assert!(redacted.len() >= findings.len());
        drop(check_added(
            &text[..text.floor_char_boundary(1 << 17)],
            &text,
            &Policy { redact: true, ..Policy::default() },
        ));
    }
    let halves = format!("{}.{}", unit("eyJ-"), unit("eyJ-"));
    drop(scan(&halves));
}

/// Figures for people: `cargo test --release privacy::tests::figures -- --ignored --nocapture`.
#[test]
#[ignore = "prints times, asserts nothing"]
fn figures() {
    use std::time::Instant;
    let start = Instant::now();
    assert!(scan("token").is_empty());
    println!("first scan: {:?}", start.elapsed());
    let prose =
        "The gauge at the north pier reports every six minutes; a reading older than that is stale.\n".repeat(90);
    let telling = "Each token is read from the vault; see https://tides.example/docs and the key table.\n".repeat(95);
    for (name, text) in [("8 KB of prose", &prose[..8000]), ("8 KB, telling words in every line", &telling[..8000])] {
        let start = Instant::now();
        for _ in 0..1000 {
            assert!(scan(std::hint::black_box(text)).is_empty());
        }
        println!("{name}: {:?}", start.elapsed() / 1000);
    }
    for text in [
        "a:",
        "sk-",
        "token=",
        "token=a",
        "eyJ-",
        "-----BEGIN PRIVATE KEY-----",
        "token=\"",
        "bearer a",
        "token=https://",
    ] {
        let text = text.repeat((1 << 20) / text.len());
        let start = Instant::now();
        let findings = scan(&text).len();
        println!("1 MiB of {:?}: {:?}, {findings} findings", &text[..8], start.elapsed());
    }
}
