//! Fake secrets of every kind, made from parts so that the repository holds none.

use super::Rule;

/// A fixed sequence of numbers, the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((number ^ (number >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn text(&mut self, alphabet: &str, len: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    pub(crate) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Numbers of a rule's own, which a new rule does not change.
pub(crate) fn numbers_for(rule: Rule, more: u64) -> Numbers {
    let seed = rule.as_str().bytes().fold(more, |seed, byte| seed.wrapping_mul(257).wrapping_add(byte.into()));
    Numbers(seed)
}

pub(crate) const DIGITS: &str = "0123456789";
pub(crate) const HEX: &str = "0123456789abcdef";
pub(crate) const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(crate) const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(crate) const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
pub(crate) const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A text with a secret in it, and the secret.
pub(crate) struct Fake {
    pub(crate) text: String,
    pub(crate) secret: String,
}

/// Puts a secret that tells itself where people leave such things.
pub(crate) fn placed(numbers: &mut Numbers, secret: String) -> Fake {
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

pub(crate) fn private_key(numbers: &mut Numbers) -> Fake {
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

pub(crate) fn jwt(numbers: &mut Numbers) -> Fake {
    let part = |numbers: &mut Numbers, least| {
        let len = least + numbers.below(60);
        numbers.text(URL_SAFE, len)
    };
    let secret = ["eyJ", &part(numbers, 15), ".", "eyJ", &part(numbers, 20), ".", &part(numbers, 20)].concat();
    placed(numbers, secret)
}

pub(crate) fn prefixed(numbers: &mut Numbers, prefixes: &[&str], alphabet: &str, len: usize) -> Fake {
    let secret = [numbers.pick(prefixes), &numbers.text(alphabet, len)].concat();
    placed(numbers, secret)
}

pub(crate) fn slack_token(numbers: &mut Numbers) -> Fake {
    if numbers.below(6) == 0 {
        let path = [numbers.text(CAPITALS, 8), numbers.text(CAPITALS, 10), numbers.text(MIXED, 24)];
        let secret = ["hooks.slack.com", "/services/T", &path[0], "/B", &path[1], "/", &path[2]].concat();
        return Fake { text: format!("curl -d @- https://{secret}"), secret };
    }
    let kind = numbers.pick(&["a", "b", "p", "r", "s"]);
    let secret = ["xox", kind, "-", &numbers.text(DIGITS, 12), "-", &numbers.text(MIXED, 24)].concat();
    placed(numbers, secret)
}

pub(crate) fn openai_key(numbers: &mut Numbers) -> Fake {
    let kind = numbers.pick(&["", "proj-", "ant-api03-", "or-v1-", "svcacct-"]);
    let len = 32 + numbers.below(80);
    let secret = ["sk-", kind, &numbers.text(URL_SAFE, len), "0"].concat();
    placed(numbers, secret)
}

pub(crate) fn url_credentials(numbers: &mut Numbers) -> Fake {
    let scheme = numbers.pick(&["https", "postgres", "redis", "amqp", "mongodb+srv", "ftp"]);
    let user = numbers.pick(&["", "harbour", "tide.watch", "a"]);
    let len = 3 + numbers.below(20);
    let password = numbers.text("ABCDEFGHJKMNPQRSTUVWYZabcdefghjkmnpqrstuvwyz23456789!~%-_.:", len) + "7b9";
    let secret = [user, ":", &password].concat();
    let host = numbers.pick(&["db.local", "db.local:5432/tides?ssl=1", "[::1]:80/x", "localhost"]);
    Fake { text: format!("url: {scheme}://{secret}@{host} end"), secret }
}

pub(crate) fn authorization(numbers: &mut Numbers) -> Fake {
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

pub(crate) fn provider_key(numbers: &mut Numbers) -> Fake {
    match numbers.below(4) {
        0 => prefixed(numbers, &["hf_"], MIXED, 34),
        1 => prefixed(numbers, &["gsk_"], MIXED, 52),
        2 => prefixed(numbers, &["xai-"], MIXED, 80),
        _ => prefixed(numbers, &["dop_v1_", "doo_v1_", "dor_v1_"], HEX, 64),
    }
}

pub(crate) fn google_key(numbers: &mut Numbers) -> Fake {
    match numbers.below(3) {
        0 => prefixed(numbers, &["AIza"], URL_SAFE, 35),
        1 => prefixed(numbers, &["ya29.a0"], URL_SAFE, 120),
        _ => prefixed(numbers, &["GOCSPX-"], URL_SAFE, 28),
    }
}

pub(crate) fn cookie(numbers: &mut Numbers) -> Fake {
    let len = 24 + numbers.below(24);
    let secret = match numbers.below(3) {
        0 => numbers.text(HEX, len) + "7f",
        1 => numbers.text(MIXED, len) + "4z",
        _ => ["s%3A", &numbers.text(URL_SAFE, len), ".", &numbers.text(BASE64, 20), "9k"].concat(),
    };
    let name =
        numbers.pick(&["session", "sessionid", "connect.sid", "PHPSESSID", "__Host-auth", "remember_me", "_s_jwt"]);
    let around = numbers.pick(&[
        "Cookie: #=@",
        "Cookie: theme=dark; #=@; lang=en-GB",
        "Set-Cookie: #=@; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly",
        "curl -H 'Cookie: #=@' https://tides.example",
        "curl --cookie '#=@' https://tides.example",
        "\"set-cookie\": \"#=@; Secure; HttpOnly\",",
        "{\"name\":\"Cookie\",\"value\":\"#=@\"}",
        "[\"--cookie\",\"#=@\"]",
        "document.cookie = \"#=@\";",
        "> cookie: a=1; #=@",
    ]);
    Fake { text: around.replace('#', name).replace('@', &secret), secret }
}

pub(crate) fn assignment(numbers: &mut Numbers) -> Fake {
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
        "AccountKey",
        "SharedAccessKey",
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
        "[\"#\", \"@\"]",
        "['#','@']",
        "[\\\"#\\\", \\\"@\\\"]",
        "{\"name\":\"#\",\"value\":\"@\"}",
        "{\n  \"key\": \"#\",\n  \"value\": \"@\"\n}",
        "{\"value\":\"@\",\"name\":\"#\"}",
        "{\\\"value\\\": \\\"@\\\", \\\"key\\\": \\\"#\\\"}",
        "{\\\"name\\\": \\\"#\\\", \\\"value\\\": \\\"@\\\"}",
        "- name: #\n  value: @",
        "{ name = \"#\", value = \"@\" }",
        "<input name='#' value='@'>",
    ]);
    Fake { text: around.replace('#', name).replace('@', &secret), secret }
}

pub(crate) fn high_entropy(numbers: &mut Numbers) -> Fake {
    let len = 40 + numbers.below(24);
    // some of each class, whatever chance gives
    let secret = numbers.text(MIXED, len) + "a7Q2x";
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

pub(crate) fn fake(rule: Rule, numbers: &mut Numbers) -> Fake {
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
        Rule::GitlabToken => {
            let prefixes = ["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glimt-", "glagent-"];
            prefixed(numbers, &prefixes, URL_SAFE, 20)
        }
        Rule::NpmToken => prefixed(numbers, &["npm_"], MIXED, 36),
        Rule::PypiToken => prefixed(numbers, &["pypi-AgEI"], URL_SAFE, 150),
        Rule::AwsKey => prefixed(numbers, &["AKIA", "ASIA"], CAPITALS, 16),
        Rule::GoogleKey => google_key(numbers),
        Rule::SlackToken => slack_token(numbers),
        Rule::StripeKey => prefixed(numbers, &["sk_live_", "rk_live_", "sk_test_"], MIXED, 24),
        Rule::OpenaiKey => openai_key(numbers),
        Rule::ProviderKey => provider_key(numbers),
        Rule::UrlCredentials => url_credentials(numbers),
        Rule::Authorization => authorization(numbers),
        Rule::Cookie => cookie(numbers),
        Rule::Assignment => assignment(numbers),
        Rule::HighEntropy => high_entropy(numbers),
        #[allow(unreachable_patterns, reason = "tests of the program see the list of rules as one that may grow")]
        _ => unreachable!("{rule} has no fakes yet"),
    }
}
