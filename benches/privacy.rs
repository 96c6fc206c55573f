//! The scrubber's own speed: how long a process waits for its first scan, and what 8 KB of several kinds of text cost after
//! that. Targets: 2 ms and 0.1 ms.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use oxi_state::schema::privacy;

/// How many processes are asked for their first scan.
const PROCESSES: usize = 51;

/// How many scans of one text are timed together, and how often.
const SCANS: u32 = 50;
const ROUNDS: usize = 41;

const FIRST: &str = "first-scan";

const PROSE: &str = "The gauge at the north pier reports every six minutes. A reading older than that is stale, and the \
    board on the quay shows a dash in its place. Ana found that the clock of the gauge runs ahead by a second a day.\n";

const TELLING: &str = "Each token is read from the vault; see https://tides.example/docs and the key table. The password \
    of the database is rotated by the secret manager, and authorization is checked by the gateway.\n";

const CODE: &str = r#"
pub(crate) fn session_token(header: &HeaderMap) -> Result<Token, AuthError> {
    let value = header.get(AUTHORIZATION).ok_or(AuthError::Missing)?;
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(AuthError::Scheme);
    }
    let api_key = config.get("api_key").unwrap_or_default();
    Ok(Token { secret: SecretString::from(token), tides: api_key.len() })
}
"#;

const JSON: &str = r#"{"id":4711,"name":"north-pier","url":"https://tides.example/v1/stations/4711","prompt_tokens":812,
"completion_tokens":96,"env":[{"name":"API_KEY","value":"${API_KEY}"},{"name":"RUST_LOG","value":"info"}],
"headers":{"Authorization":"Bearer ${TOKEN}","Cookie":"theme=dark; lang=en-GB"},"args":["--token","$TOKEN","--port","8080"],
"commit":"96979b03f6c1f4f0a1b8e5a5e2d0e1c7a9b3d5f7","measured_at":"2026-06-17T10:30:00Z"}
"#;

fn of_8_kb(unit: &str) -> String {
    let mut text = unit.repeat(8192 / unit.len() + 1);
    // it is ASCII
    text.truncate(8192);
    text
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn first_scan() -> Duration {
    let start = Instant::now();
    black_box(privacy::scan(black_box("a token of thanks")));
    start.elapsed()
}

/// The first scan of a process that does nothing else.
fn first_scan_elsewhere() -> Duration {
    let program = std::env::current_exe().expect("the program itself");
    let output = Command::new(program).arg(FIRST).output().expect("it can be run");
    let nanoseconds = String::from_utf8_lossy(&output.stdout).trim().parse().expect("it prints a number");
    Duration::from_nanos(nanoseconds)
}

fn main() {
    if std::env::args().any(|word| word == FIRST) {
        println!("{}", first_scan().as_nanos());
        return;
    }
    let first = median((0..PROCESSES).map(|_| first_scan_elsewhere()).collect());
    println!("{:<44} {first:>10.1?}", "first scan of a process");
    // each hit of the last four makes the detectors look around, and those with findings make it scan again
    for (name, unit) in [
        ("prose", PROSE),
        ("prose, telling words in every line", TELLING),
        ("code", CODE),
        ("JSON", JSON),
        ("adversarial: token=", "token="),
        ("adversarial: \"token\",", "\"token\","),
        ("adversarial: a secret in every line", "password=aA1bB2cC3dD4eE5fF6gG7\n"),
        ("adversarial: cookies, each a secret", "Cookie: session=aA1bB2cC3dD4eE5fF6gG7;\n"),
    ] {
        let text = of_8_kb(unit);
        let time = || {
            let start = Instant::now();
            for _ in 0..SCANS {
                black_box(privacy::scan(black_box(&text)));
            }
            start.elapsed() / SCANS
        };
        let time = median((0..ROUNDS).map(|_| time()).collect());
        let findings = privacy::scan(&text).len();
        println!("{:<44} {time:>10.1?}   {findings} findings", format!("8 KB of {name}"));
    }
}
