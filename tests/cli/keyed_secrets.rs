//! Fifty fake secrets through every way into the small keyed records; then everything that was written is searched.

use std::process::Stdio;

use crate::project::{Project, Run, project};

/// A fixed sequence of letters and digits.
fn random(seed: &mut u64, len: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut next = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LETTERS[usize::try_from(*seed >> 33).unwrap() % LETTERS.len()] as char
    };
    let body: String = (0..len).map(|_| next()).collect();
    // some of each class, whatever chance gave
    format!("{body}a7Q2x")
}

/// Fifty texts with a secret, and the secret; in parts, so that this file holds none.
fn fakes() -> Vec<(String, String)> {
    let mut seed = 42;
    let mut fakes = Vec::new();
    for _ in 0..5 {
        for prefix in ["ghp_", "glpat-", "npm_", "AIza", "xoxb-1234567890-", "sk_live_", "sk-proj-"] {
            let secret = format!("{prefix}{}", random(&mut seed, 40));
            fakes.push((secret.clone(), secret));
        }
        let password = random(&mut seed, 12);
        fakes.push((format!("https://ada:{password}@db.local/x"), password));
        let value = random(&mut seed, 20);
        fakes.push((format!("api_key={value}"), value));
        let jwt =
            format!("{0}{1}.{0}{2}.{3}", "eyJ", random(&mut seed, 20), random(&mut seed, 24), random(&mut seed, 24));
        fakes.push((jwt.clone(), jwt));
    }
    assert_eq!(fakes.len(), 50);
    fakes
}

/// The command lines into which a text goes, in the place of `@`.
const WAYS: [&str; 27] = [
    "pointer set repo @",
    "pointer set fork @",
    "pointer set branch @",
    "pointer set pr @",
    "pointer set pr 1 --url @",
    "pointer set session @",
    "pointer set note @",
    "pointer set branch main --note @",
    "pointer set branch main --name @",
    "fact set @ x",
    "fact set theme @",
    "fact set theme [\"a\",\"@\"] --parse",
    "runtime set @ --state running",
    "runtime set proxy --state running --summary @",
    "runtime set proxy --state running --url @",
    "runtime set proxy --state running --of-version @",
    "health record @/model --ok",
    "health record provider/@ --ok",
    "health reset p/@",
    "registry set extension/@",
    "registry set extension/lint --of-version @",
    "registry set extension/lint --source @",
    "registry set extension/lint --integrity @",
    "registry set package/x --dependency @",
    "registry set package/x --disabled-kind @",
    "registry set package/x --forced-on @",
    "registry set extension/lint --permission @",
];

fn run(project: &Project, way: &str, text: &str, redact: bool) -> Run {
    let mut command = project.command("--json");
    if redact {
        command.arg("--redact");
    }
    command.args(way.split(' ').map(|word| word.replace('@', text))).stdin(Stdio::null());
    Run::of(way, command.output().unwrap())
}

#[test]
fn no_secret_gets_into_a_small_keyed_record() {
    let project = project();
    let fakes = fakes();
    std::thread::scope(|scope| {
        let worker = |turn: usize| {
            let (project, fakes) = (&project, &fakes);
            move || {
                for (number, (text, secret)) in fakes.iter().enumerate().filter(|(number, _)| number % 2 == turn) {
                    for (index, way) in WAYS.iter().enumerate() {
                        // each way sees each kind of secret refused, and some redacted
                        let redact = (number / 10 + index) % 5 == 0;
                        let run = run(project, way, text, redact);
                        let refused = run.code == 8;
                        assert!(refused || (redact && matches!(run.code, 0 | 2 | 3)), "{run:?}");
                        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
                        assert!(!refused || run.stderr.contains("\"rule\":"), "{run:?}");
                    }
                }
            }
        };
        let workers = [0, 1].map(|turn| scope.spawn(worker(turn)));
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let mut written = Vec::new();
    for line in ["pointer list", "fact list", "runtime list", "health list", "registry list", "log"] {
        let run = project.oxi(&format!("{line} --json")).ok();
        written.push((line.to_owned(), run.stdout.into_bytes()));
        written.push((line.to_owned(), project.oxi(line).ok().stdout.into_bytes()));
    }
    let mut folders = vec![project.path(".oxi")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                written.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    assert!(written.iter().any(|(name, bytes)| name.ends_with("state.redb") && !bytes.is_empty()));
    for (place, bytes) in &written {
        for (_, secret) in &fakes {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{place} holds a secret");
        }
    }
}

#[test]
fn a_secret_in_the_place_of_a_word_or_a_number_is_not_repeated() {
    let project = project();
    for (text, secret) in fakes().into_iter().take(10) {
        for way in [
            "pointer set @ main",
            "pointer list --kind @",
            "runtime set proxy --state @",
            "runtime set proxy --pid @",
            "runtime set proxy --since @",
            "runtime set proxy --clear @",
            "health record p/m --error @",
            "health record p/m --ok --reset-at @",
            "registry set extension/x --expect @",
            "registry list --kind @",
        ] {
            for json in [true, false] {
                let mut command = project.command(if json { "--json" } else { "" });
                command.args(way.split(' ').map(|word| word.replace('@', &text)));
                let run = Run::of(way, command.output().unwrap()).exits(2);
                assert!(!run.stderr.contains(&secret) && run.stdout.is_empty(), "{run:?}");
            }
        }
    }
}
