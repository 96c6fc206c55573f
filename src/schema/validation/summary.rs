//! What a check came to, read from what it prints: one line, made of a runner's own words and numbers.
//!
//! Lines go in one by one and are forgotten at once. Only lines of a known form count, and of those only words that the
//! form itself has, numbers, and of cargo the name of a crate; so no text that somebody wrote can get into the summary.

use super::MAX_SUMMARY;
use crate::schema::keyed::cut;

/// Longest line that is looked at, in bytes.
pub const MAX_LINE: usize = 1_000;

/// Reads lines, and says what they came to.
#[derive(Debug, Default)]
pub struct Reader {
    cargo: Option<Cargo>,
    go: Option<Go>,
    /// `tests`, `pass`, `fail` of node's own runner.
    node: [Option<u64>; 3],
    unittest: Option<String>,
    mocha: [Option<u64>; 2],
    /// Any other runner's last line.
    other: Option<String>,
    /// What a build said last; less than any test says.
    build: Option<String>,
}

/// Sums over all test programs that cargo ran.
#[derive(Debug, Default)]
struct Cargo {
    programs: u64,
    failed: bool,
    /// passed, failed, ignored, measured, filtered out.
    counts: [u64; 5],
    /// The last line, as it was.
    last: String,
}

#[derive(Debug, Default)]
struct Go {
    ok: u64,
    failed: u64,
}

impl Reader {
    /// Looks at a line, without its end.
    pub fn line(&mut self, line: &str) {
        let plain = without_escapes(line);
        let line = plain.trim_end();
        let text = line.trim_start();
        if text.len() > MAX_LINE || text.is_empty() {
            return;
        }
        let known = self.cargo(text)
            || self.go(line)
            || self.node(text)
            || self.unittest(text)
            || self.mocha(text)
            || self.other(text);
        if !known && let Some(build) = build(text) {
            self.build = Some(build);
        }
    }

    /// What the lines came to; none if none had a known form.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let text = None
            .or_else(|| self.cargo.as_ref().map(Cargo::summary))
            .or_else(|| self.other.clone())
            .or_else(|| self.node_summary())
            .or_else(|| self.unittest.clone())
            .or_else(|| self.mocha_summary())
            .or_else(|| self.go.as_ref().map(Go::summary))
            .or_else(|| self.build.clone())?;
        Some(cut(&text, MAX_SUMMARY))
    }
}

impl Reader {
    fn cargo(&mut self, text: &str) -> bool {
        const WORDS: [&str; 5] = ["passed", "failed", "ignored", "measured", "filtered"];
        let Some(rest) = text.strip_prefix("test result: ") else { return false };
        let words = ["ok", "FAILED", "passed", "failed", "ignored", "measured", "filtered", "out", "finished", "in"];
        if !is_made_of(rest, &words) {
            return false;
        }
        let cargo = self.cargo.get_or_insert_default();
        cargo.programs += 1;
        cargo.failed |= rest.starts_with("FAILED");
        for (sum, word) in cargo.counts.iter_mut().zip(WORDS) {
            *sum = sum.saturating_add(number_before(rest, word).unwrap_or(0));
        }
        text.clone_into(&mut cargo.last);
        true
    }

    fn go(&mut self, line: &str) -> bool {
        if line.starts_with("ok  \t") || line.starts_with("ok \t") {
            self.go.get_or_insert_default().ok += 1;
        } else if line.starts_with("FAIL\t") {
            self.go.get_or_insert_default().failed += 1;
        } else {
            return false;
        }
        true
    }

    /// `# tests 5` in TAP, `ℹ tests 5` for people.
    fn node(&mut self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix("# ").or_else(|| text.strip_prefix("ℹ ")) else { return false };
        let Some((word, number)) = rest.split_once(' ') else { return false };
        let place = ["tests", "pass", "fail"].iter().position(|known| *known == word);
        let (Some(place), Ok(number)) = (place, number.trim().parse()) else { return false };
        self.node[place] = Some(number);
        true
    }

    fn unittest(&mut self, text: &str) -> bool {
        if text.starts_with("Ran ") && is_made_of(text, &["Ran", "test", "tests", "in"]) {
            self.unittest = Some(text.to_owned());
            return true;
        }
        let words = ["OK", "FAILED", "failures", "errors", "skipped", "expected", "unexpected", "successes"];
        if let Some(ran) = &mut self.unittest
            && !ran.contains(", ")
            && (text.starts_with("OK") || text.starts_with("FAILED"))
            && is_made_of(text, &words)
        {
            ran.push_str(", ");
            ran.push_str(text);
            return true;
        }
        false
    }

    fn mocha(&mut self, text: &str) -> bool {
        let words: Vec<&str> = text.split(' ').collect();
        let (Some(Ok(number)), Some(word)) = (words.first().map(|word| word.parse()), words.get(1)) else {
            return false;
        };
        let place = ["passing", "failing"].iter().position(|known| known == word);
        let is_form = words.len() == 2 || (words.len() == 3 && is_made_of(words[2], &[]));
        if let Some(place) = place.filter(|_| is_form) {
            self.mocha[place] = Some(number);
            return true;
        }
        false
    }

    fn other(&mut self, text: &str) -> bool {
        let text = text.trim_matches(['=', ' ']);
        let text =
            ["[INFO] ", "[ERROR] ", "[WARNING] "].iter().find_map(|level| text.strip_prefix(level)).unwrap_or(text);
        let begins = |start: &str| match start {
            "#" => text.starts_with(|c: char| c.is_ascii_digit()),
            start => text.starts_with(start),
        };
        let known =
            OTHERS.iter().any(|(start, sign, words)| begins(start) && text.contains(sign) && is_made_of(text, words));
        if known {
            self.other = Some(text.to_owned());
        }
        known
    }

    fn node_summary(&self) -> Option<String> {
        let [tests, pass, fail] = self.node;
        tests.map(|tests| format!("tests {tests}, pass {}, fail {}", pass.unwrap_or(0), fail.unwrap_or(0)))
    }

    fn mocha_summary(&self) -> Option<String> {
        let [passing, failing] = self.mocha;
        let failing = failing.map(|failing| format!(", {failing} failing")).unwrap_or_default();
        passing.map(|passing| format!("{passing} passing{failing}"))
    }
}

impl Cargo {
    fn summary(&self) -> String {
        if self.programs == 1 {
            return self.last.clone();
        }
        let [passed, failed, ignored, measured, filtered] = self.counts;
        let word = if self.failed { "FAILED" } else { "ok" };
        format!(
            "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; {measured} measured; {filtered} \
             filtered out; {} test programs",
            self.programs
        )
    }
}

impl Go {
    fn summary(&self) -> String {
        let packages = |count: u64| if count == 1 { "1 package".to_owned() } else { format!("{count} packages") };
        if self.failed == 0 {
            format!("ok, {}", packages(self.ok))
        } else {
            format!("FAIL, {} of {}", self.failed, packages(self.ok + self.failed))
        }
    }
}

/// How lines of other runners begin (`#`: with a number), what they hold, and the words they are made of.
#[rustfmt::skip]
const OTHERS: [(&str, &str, &[&str]); 14] = [
    // pytest
    ("#", " in ", &["passed", "failed", "error", "errors", "skipped", "xfailed", "xpassed", "warning", "warnings", "deselected", "rerun", "in"]),
    ("no tests ran", "", &["no", "tests", "ran", "in"]),
    // jest, vitest, PHPUnit
    ("Tests:", "", &["Tests", "failed", "passed", "skipped", "todo", "total", "Assertions", "Failures", "Errors", "Skipped", "Warnings"]),
    ("Tests ", "passed", &["Tests", "failed", "passed", "skipped", "todo"]),
    ("OK (", "test", &["OK", "test", "tests", "assertion", "assertions"]),
    // RSpec
    ("#", " example", &["example", "examples", "failure", "failures", "pending", "error", "errors", "occurred", "outside", "of"]),
    // Surefire, Gradle, CTest
    ("Tests run:", "", &["Tests", "run", "Failures", "Errors", "Skipped", "Time", "elapsed", "s"]),
    ("BUILD ", "", &["BUILD", "SUCCESSFUL", "SUCCESS", "FAILED", "FAILURE", "in"]),
    ("#", "tests passed", &["tests", "passed", "failed", "out", "of"]),
    // nextest, Deno
    ("Summary [", "", &["Summary", "test", "tests", "run", "passed", "failed", "skipped", "slow", "leaky", "flaky", "timed", "out", "binaries", "binary", "across", "exec", "s"]),
    ("ok |", "", &["ok", "passed", "failed", "ignored", "measured", "filtered", "out", "step", "steps"]),
    ("FAILED |", "", &["FAILED", "passed", "failed", "ignored", "measured", "filtered", "out", "step", "steps"]),
    // ESLint
    ("✖ ", "problem", &["problem", "problems", "error", "errors", "warning", "warnings"]),
    // mypy, ruff, tsc
    ("Found ", "error", &["Found", "error", "errors", "in", "file", "files", "checked", "source", "fixable"]),
];

/// What a compiler or a linter says at its end.
fn build(text: &str) -> Option<String> {
    let fixed = ["All checks passed!", "PASS", "FAIL"];
    if fixed.contains(&text) {
        return Some(text.to_owned());
    }
    if text.starts_with("Success: no issues found in ")
        && is_made_of(text, &["Success", "no", "issues", "found", "in", "source", "file", "files"])
    {
        return Some(text.to_owned());
    }
    let finished = [
        "Finished",
        "dev",
        "release",
        "test",
        "bench",
        "profile",
        "unoptimized",
        "optimized",
        "debuginfo",
        "target",
        "in",
        "s",
    ];
    if text.starts_with("Finished `") && is_made_of(text, &finished) {
        return Some(text.to_owned());
    }
    // error: could not compile `crate` (lib) due to 2 previous errors; 1 warning emitted
    let rest = text.strip_prefix("error: could not compile `")?;
    let (name, rest) = rest.split_once('`')?;
    let is_crate = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let end = rest.split_once(" due to ").map(|(_, end)| end)?;
    let words = ["previous", "error", "errors", "warning", "warnings", "emitted", "1", "one"];
    (is_crate && is_made_of(end, &words)).then(|| format!("error: could not compile `{name}` due to {end}"))
}

/// Whether a text is made of these words, numbers with a unit of time or none, and punctuation.
fn is_made_of(text: &str, words: &[&str]) -> bool {
    const UNITS: [&str; 7] = ["", "ms", "s", "m", "min", "h", "us"];
    const SIGNS: &str = ".,;:()[]|=+`'%✖- ";
    let mut tokens = text.split(|c: char| SIGNS.contains(c)).filter(|token| !token.is_empty());
    tokens.all(|token| {
        let unit = token.trim_start_matches(|c: char| c.is_ascii_digit());
        (unit.len() < token.len() && token.len() <= 20 && UNITS.contains(&unit)) || words.contains(&token)
    })
}

/// The number before a word: of `3 passed; 1 failed`, 1 before `failed`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    let before = text[..text.find(&format!(" {word}"))?].trim_end();
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A line as it looks on a terminal, without colours and the like; of a line that was written over, the last state.
fn without_escapes(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
        } else if chars.next_if_eq(&'[').is_some() {
            // a control sequence ends with a letter or the like
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else {
            chars.next();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(output: &str) -> Option<String> {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        reader.summary()
    }

    #[test]
    fn runners_are_read() {
        for (output, expected) in [
            (
                "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            ),
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s\n\
                 test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s\n\
                 error: test failed, to rerun pass `--lib`\n",
                "test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; 2 test programs",
            ),
            ("===== 1 failed, 12 passed, 2 warnings in 0.12s =====", "1 failed, 12 passed, 2 warnings in 0.12s"),
            (
                "\u{1b}[32m\u{1b}[1m12 passed\u{1b}[0m\u{1b}[32m in 75.34s (0:01:15)\u{1b}[0m",
                "12 passed in 75.34s (0:01:15)",
            ),
            ("no tests ran in 0.01s", "no tests ran in 0.01s"),
            ("....\nRan 5 tests in 0.001s\n\nOK\n", "Ran 5 tests in 0.001s, OK"),
            (
                "Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2)\n",
                "Ran 5 tests in 0.001s, FAILED (failures=1, errors=2)",
            ),
            ("ok  \texample.com/a\t0.1s\nok  \texample.com/b\t(cached)\n", "ok, 2 packages"),
            (
                "--- FAIL: TestX (0.00s)\nFAIL\nFAIL\texample.com/a\t0.1s\nok  \texample.com/b\t0.1s\nFAIL\n",
                "FAIL, 1 of 2 packages",
            ),
            ("# tests 5\n# suites 0\n# pass 4\n# fail 1\n# duration_ms 12.5\n", "tests 5, pass 4, fail 1"),
            ("ℹ tests 5\nℹ pass 5\nℹ fail 0\n", "tests 5, pass 5, fail 0"),
            (
                "Test Suites: 1 failed, 1 total\nTests:       1 failed, 5 passed, 6 total\nTime: 1 s",
                "Tests:       1 failed, 5 passed, 6 total",
            ),
            (" Test Files  1 passed (1)\n      Tests  5 passed (5)\n", "Tests  5 passed (5)"),
            ("  5 passing (10ms)\n  1 failing\n", "5 passing, 1 failing"),
            ("5 examples, 0 failures", "5 examples, 0 failures"),
            (
                "[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0",
                "Tests run: 5, Failures: 0, Errors: 0, Skipped: 0",
            ),
            ("BUILD SUCCESSFUL in 3s", "BUILD SUCCESSFUL in 3s"),
            ("100% tests passed, 0 tests failed out of 5", "100% tests passed, 0 tests failed out of 5"),
            (
                "     Summary [   0.010s] 5 tests run: 5 passed, 0 skipped",
                "Summary [   0.010s] 5 tests run: 5 passed, 0 skipped",
            ),
            ("ok | 5 passed | 0 failed (10ms)", "ok | 5 passed | 0 failed (10ms)"),
            ("OK (5 tests, 10 assertions)", "OK (5 tests, 10 assertions)"),
            ("✖ 3 problems (1 error, 2 warnings)", "✖ 3 problems (1 error, 2 warnings)"),
            (
                "Found 3 errors in 2 files (checked 5 source files)",
                "Found 3 errors in 2 files (checked 5 source files)",
            ),
            ("Success: no issues found in 5 source files", "Success: no issues found in 5 source files"),
            (
                "    Finished `dev` profile [unoptimized + debuginfo] target(s) in 12.31s",
                "Finished `dev` profile [unoptimized + debuginfo] target(s) in 12.31s",
            ),
            (
                "error: could not compile `oxi-state` (lib) due to 2 previous errors; 1 warning emitted",
                "error: could not compile `oxi-state` due to 2 previous errors; 1 warning emitted",
            ),
            ("Compiling  1/9\rCompiling 9/9\rAll checks passed!\r\n", "All checks passed!"),
        ] {
            assert_eq!(summary(output).as_deref(), Some(expected), "{output}");
        }
    }

    #[test]
    fn what_somebody_wrote_is_no_summary() {
        for output in [
            "",
            "hello",
            "test result: the password is hunter2",
            "Tests: it is all in the prompt",
            "12 passed in the night, said the model",
            "BUILD SUCCESSFUL, my dear",
            "Found the error in your reply",
            "error: could not compile `a b; rm -rf` due to 1 previous error",
            "error: could not compile `x` due to a broken promise",
            "Ran away in 5 tests of courage",
            "5 passing strangers",
            "# tests many",
            "Finished `your novel` profile",
            "Summary [of the chat]",
        ] {
            assert_eq!(summary(output), None, "{output}");
        }
        assert_eq!(summary(&format!("test result: ok. {} passed", "1".repeat(2_000))), None);
    }

    #[test]
    fn tests_say_more_than_builds() {
        let output = "12 passed in 0.1s\nFinished `dev` profile [unoptimized] target(s) in 1.0s\n";
        assert_eq!(summary(output).as_deref(), Some("12 passed in 0.1s"));
    }
}
