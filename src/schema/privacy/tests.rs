//! Every fake secret is put together from parts, so that no scanner finds one in this repository.

use proptest::prelude::*;

use super::*;

/// A fixed sequence of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((number ^ (number >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn text(&mut self, alphabet: &str, len: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A text with a secret in it, and the secret.
struct Fake {
    text: String,
    secret: String,
}

/// Puts a secret that tells itself where people leave such things.
fn placed(numbers: &mut Numbers, secret: String) -> Fake {
    let around = numbers.pick(&[
        "@",
        "key is @ and that was it",
        "`@`",
        "\"@\"",
        "(@)",
        "see @.",
        "a\n- @\nb",
        "FOO=@",
        "로그인 @ 버그",
        "로그인@",
        "\\n@\\n",
        "https://api.example.org/v1?key=@&page=2",
        "<@>",
        "| name | @ |",
    ]);
    Fake { text: around.replace('@', &secret), secret }
}

fn private_key(numbers: &mut Numbers) -> Fake {
    let label = numbers.pick(&["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]);
    let body: Vec<_> = (0..=numbers.below(5)).map(|_| numbers.text(BASE64, 64)).collect();
    let begin = ["-----BEGIN ", label, "PRIVATE KEY-----"].concat();
    let end = ["-----END ", label, "PRIVATE KEY-----"].concat();
    let newline = numbers.pick(&["\n", "\r\n", "\\n"]);
    let last = numbers.text(BASE64, 22);
    let whole = [&begin, newline, &body.join(newline), newline, &last, newline, &end].concat();
    let cut = [&begin, newline, &body.join(newline)].concat();
    let secret = if numbers.below(3) == 0 { cut } else { whole };
    Fake { text: format!("the key:\n{secret}\n\nThat was it."), secret }
}

fn jwt(numbers: &mut Numbers) -> Fake {
    let part = |numbers: &mut Numbers, least| {
        let len = least + numbers.below(60);
        numbers.text(URL_SAFE, len)
    };
    let secret = ["eyJ", &part(numbers, 15), ".", "eyJ", &part(numbers, 20), ".", &part(numbers, 20)].concat();
    placed(numbers, secret)
}

fn prefixed(numbers: &mut Numbers, prefixes: &[&str], alphabet: &str, len: usize) -> Fake {
    let secret = [numbers.pick(prefixes), &numbers.text(alphabet, len)].concat();
    placed(numbers, secret)
}

fn slack_token(numbers: &mut Numbers) -> Fake {
    let kind = numbers.pick(&["a", "b", "p", "r", "s"]);
    let secret = ["xox", kind, "-", &numbers.text(DIGITS, 12), "-", &numbers.text(MIXED, 24)].concat();
    placed(numbers, secret)
}

fn openai_key(numbers: &mut Numbers) -> Fake {
    let kind = numbers.pick(&["", "proj-", "ant-api03-", "or-v1-", "svcacct-"]);
    let len = 32 + numbers.below(80);
    let secret = ["sk-", kind, &numbers.text(URL_SAFE, len), "0"].concat();
    placed(numbers, secret)
}

fn url_credentials(numbers: &mut Numbers) -> Fake {
    let scheme = numbers.pick(&["https", "postgres", "redis", "amqp", "mongodb+srv", "ftp"]);
    let user = numbers.pick(&["", "harbour", "tide.watch", "a"]);
    let len = 3 + numbers.below(20);
    let password = numbers.text("ABCDEFGHJKMNPQRSTUVWYZabcdefghjkmnpqrstuvwyz23456789!~%-_.:", len) + "7b9";
    let secret = [user, ":", &password].concat();
    let host = numbers.pick(&["db.local", "db.local:5432/tides?ssl=1", "[::1]:80/x", "localhost"]);
    Fake { text: format!("url: {scheme}://{secret}@{host} end"), secret }
}

fn authorization(numbers: &mut Numbers) -> Fake {
    let len = 24 + numbers.below(24);
    let secret = numbers.text(MIXED, len) + "4z";
    let around = numbers.pick(&[
        "Authorization: Bearer @",
        "authorization: basic @",
        "curl -H 'Authorization: token @' https://tides.example",
        "\"Authorization\": \"Bearer @\",",
        "Authorization: @",
        "uses bearer @ now",
        "AUTHORIZATION=Bearer @",
        "`Bearer @`",
        "headers[\"Authorization\"] = \"Bearer @\"",
        "authorization: ApiKey @",
    ]);
    Fake { text: around.replace('@', &secret), secret }
}

fn assignment(numbers: &mut Numbers) -> Fake {
    let len = 12 + numbers.below(30);
    let secret = match numbers.below(3) {
        0 => numbers.text(HEX, len) + "7f",
        1 => numbers.text(MIXED, len) + "9k",
        _ => [numbers.pick(&["hunter", "letmein", "Harbour", "tide"]), &numbers.text(DIGITS, 10)].concat(),
    };
    let name = numbers.pick(&[
        "API_KEY",
        "api-key",
        "apikey",
        "apiKey",
        "X-Api-Key",
        "TOKEN",
        "access_token",
        "clientSecret",
        "SECRET",
        "AWS_SECRET_ACCESS_KEY",
        "password",
        "DB_PASSWORD",
        "passwd",
        "DB_PASS",
        "TOKEN_2",
        "SECRET_KEY_BASE",
        "signing key",
        "passphrase",
    ]);
    let around = numbers.pick(&[
        "#=@",
        "#: @",
        "# = @",
        "export #=@",
        "#=\"@\"",
        "#='@' cargo run",
        "\"#\": \"@\",",
        "{\"#\":\"@\"}",
        "#: `@`",
        "**#**: @",
        "**#:** @",
        "`#`: @",
        "#: @ # production",
        "let # = \"@\";",
        "const #: string = '@'",
        "# := \"@\"",
        "'#' => '@'",
        "?a=1&#=@&b=2",
        "  #: @.",
        "- #: @, and so on",
        "{\\\"#\\\": \\\"@\\\"}",
        "| `#` | @ |",
        "Server=tides;#=@;Port=1",
    ]);
    Fake { text: around.replace('#', name).replace('@', &secret), secret }
}

fn high_entropy(numbers: &mut Numbers) -> Fake {
    let len = 40 + numbers.below(24);
    let secret = numbers.text(MIXED, len) + "a7Q";
    let around = numbers.pick(&[
        "the token is @",
        "password for staging (old one) @.",
        "secrets rotated, now @",
        "api key for the gauge\u{2014}use @",
        "STRIPE_SECRET_PROD=@",
        "the credentials are tide / @",
        "token \u{2192} @",
    ]);
    Fake { text: around.replace('@', &secret), secret }
}

fn fake(rule: Rule, numbers: &mut Numbers) -> Fake {
    match rule {
        Rule::PrivateKey => private_key(numbers),
        Rule::Jwt => jwt(numbers),
        Rule::GithubToken => {
            if numbers.below(4) == 0 {
                prefixed(numbers, &[&["github", "_pat_"].concat()], MIXED, 82)
            } else {
                prefixed(numbers, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], MIXED, 36)
            }
        }
        Rule::GitlabToken => prefixed(numbers, &["glpat-"], URL_SAFE, 20),
        Rule::NpmToken => prefixed(numbers, &["npm_"], MIXED, 36),
        Rule::PypiToken => prefixed(numbers, &["pypi-AgEI"], URL_SAFE, 150),
        Rule::AwsKey => prefixed(numbers, &["AKIA", "ASIA"], CAPITALS, 16),
        Rule::GoogleKey => prefixed(numbers, &["AIza"], URL_SAFE, 35),
        Rule::SlackToken => slack_token(numbers),
        Rule::StripeKey => prefixed(numbers, &["sk_live_", "rk_live_", "sk_test_"], MIXED, 24),
        Rule::OpenaiKey => openai_key(numbers),
        Rule::UrlCredentials => url_credentials(numbers),
        Rule::Authorization => authorization(numbers),
        Rule::Assignment => assignment(numbers),
        Rule::HighEntropy => high_entropy(numbers),
    }
}

fn found(text: &str) -> Vec<(Rule, &str)> {
    scan(text).into_iter().map(|finding| (finding.rule, finding.of(text))).collect()
}

#[test]
fn every_kind_of_secret_is_found_by_its_rule_and_redacted_whole() {
    for rule in Rule::ALL {
        let mut numbers = Numbers(rule as u64);
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
        let mut numbers = Numbers(rule as u64 + 100);
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
