use std::io::{BufReader, Cursor};

use proptest::prelude::*;

use super::*;
use crate::schema::privacy::Policy;

const SAMPLE: &str = include_str!("../../../tests/golden/usage/usage.jsonl");
const PRUNED: &str = include_str!("../../../tests/golden/usage/usage.after-prune.jsonl");

fn parse(line: &str) -> Result<Option<Row>, Reason> {
    Parser::new(&Policy::default()).row(line.as_bytes())
}

fn row(line: &str) -> Row {
    parse(line).unwrap().unwrap()
}

/// Reads a text through a tiny buffer.
fn read(text: &str, mark: Option<&Mark>) -> (bool, Vec<Row>, Reading) {
    let mut reader = Reader::new(BufReader::with_capacity(5, Cursor::new(text.as_bytes())), text.len() as u64);
    let same = reader.resume(mark.unwrap_or(&Mark::default())).unwrap();
    let mut rows = Vec::new();
    let reading = reader.read(&mut Parser::new(&Policy::default()), |row| {
        rows.push(row);
        Ok(())
    });
    (same, rows, reading.unwrap())
}

#[test]
fn the_sample_is_read_as_it_says() {
    let (_, rows, reading) = read(SAMPLE, None);
    assert_eq!((rows.len(), reading.bad_lines, reading.unfinished), (6, 0, false));
    assert_eq!((reading.mark.offset, reading.mark.lines), (SAMPLE.len() as u64, 6));
    let mut all = crate::schema::usage::Sums::default();
    for row in &rows {
        all.add(&row.sums);
    }
    assert_eq!((all.requests, all.ok, all.errors.counts()), (6, 2, [1, 1, 1, 1, 0, 0]));
    assert_eq!((all.total_tokens, all.prompt_tokens, all.completion_tokens), (1821, 1700, 121));
    assert_eq!((all.cost_e12, all.rate_limited, all.usage_reported, all.usage_estimated), (12_300_000, 1, 1, 1));
    assert_eq!((all.latency_ms_sum, all.latency_ms_max), (32_444, 30_000));
    assert_eq!((all.first_ms, all.last_ms), (Some(1_782_379_800_123), Some(1_782_380_100_123)));
    assert!(rows.iter().all(|row| row.day.to_string() == "2026-06-25"));
}

#[test]
fn rows_that_the_proxy_wrote_anew_are_known_again() {
    let keys = |text: &str| read(text, None).1.into_iter().map(|row| row.key).collect::<Vec<_>>();
    assert_ne!(SAMPLE, PRUNED);
    assert_eq!(keys(SAMPLE), keys(PRUNED));
}

#[test]
fn a_long_name_is_known_again_when_the_proxy_has_cut_it() {
    let named = |model: &str| row(&format!(r#"{{"ts":1,"model":"{model}"}}"#)).key;
    assert_eq!(named(&"m".repeat(200)), named(&"m".repeat(120)));
}

#[test]
fn every_key_but_day_class_and_version_tells_requests_apart() {
    let full: serde_json::Value = serde_json::from_str(SAMPLE.lines().nth(1).unwrap()).unwrap();
    let first = row(&full.to_string());
    let mut told = 0;
    for (key, value) in full.as_object().unwrap() {
        let mut other = full.clone();
        other[key] = match value {
            serde_json::Value::Null => 7.into(),
            serde_json::Value::Bool(value) => (!value).into(),
            serde_json::Value::Number(number) => (number.as_f64().unwrap() + 1.0).into(),
            _ if key == "day" => "2026-06-24".into(),
            _ => "other".into(),
        };
        if key == "v" {
            assert_eq!(parse(&other.to_string()), Err(Reason::Version));
            continue;
        }
        // a status of 429 says itself that the request was limited
        let expected = !matches!(key.as_str(), "day" | "error_class" | "rate_limited");
        assert_eq!(row(&other.to_string()).key != first.key, expected, "{key}");
        told += usize::from(expected);
    }
    assert_eq!(told, 19);
}

#[test]
fn missing_keys_have_the_sources_defaults_and_foreign_ones_are_dropped() {
    let bare = row(r#"{"ts":1782379800123}"#);
    assert_eq!((bare.model.as_str(), bare.day.to_string().as_str()), ("unknown", "2026-06-25"));
    assert_eq!((bare.sums.ok, bare.sums.errors.unknown, bare.sums.total_tokens), (0, 1, 0));
    let class = |more: &str| row(&format!(r#"{{"ts":1,{more}}}"#)).sums.errors.counts();
    for (more, at) in [
        (r#""status":429"#, 0),
        (r#""rate_limited":true"#, 0),
        (r#""status":504"#, 1),
        (r#""status":503"#, 3),
        (r#""status":404"#, 4),
        (r#""status":404,"error_class":"network""#, 2),
        (r#""status":404,"error_class":"what happened""#, 5),
        (r#""status":0"#, 5),
    ] {
        assert_eq!(class(more).iter().position(|count| *count == 1), Some(at), "{more}");
    }
    let nulls =
        r#"{"v":null,"ts":1782379800123,"day":null,"model":"","ok":null,"status":null,"cost":null,"prompt":{"a":[1]}}"#;
    assert_eq!(row(nulls), bare);
    assert_eq!(row(r#"{"day":"2026-06-25"}"#).sums.last_ms, None);
    let cut = |text: &str| row(&format!(r#"{{"ts":1,"model":"{text}"}}"#)).model.to_string();
    let (long, other) = (cut(&"m".repeat(200)), cut(&"m".repeat(201)));
    assert!(long != other && long.starts_with(&("m".repeat(111) + "~")) && long.len() == 120, "{long} {other}");
    assert_eq!(cut(&"m".repeat(120)), "m".repeat(120));
    assert_eq!(cut(&"😀".repeat(61)).encode_utf16().count(), 119);
    assert_eq!(cut(r"a\tb\r\nc"), "a b  c");
}

#[test]
fn what_is_wrong_is_named_without_its_text() {
    let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    for (line, reason) in [
        ("nonsense".to_owned(), "the line is no JSON object"),
        ("[1,2]".into(), "the line is no JSON object"),
        ("{\"ts\":".into(), "the line is no JSON object"),
        (r#"{"ts":1,"ts":2}"#.into(), "a key comes twice"),
        (r#"{"ts":1,"v":2}"#.into(), "v is not 1"),
        ("{}".into(), "it has neither day nor ts"),
        (r#"{"day":"2026-02-30"}"#.into(), "day is not a day (YYYY-MM-DD)"),
        (r#"{"ts":1.5}"#.into(), "ts is not a time in whole milliseconds"),
        (r#"{"ts":1e300}"#.into(), "ts is not a time in whole milliseconds"),
        (r#"{"ts":1,"ok":"yes"}"#.into(), "ok is not true or false"),
        (r#"{"ts":1,"total_tokens":-1}"#.into(), "total_tokens is not a whole number from 0 to 9007199254740991"),
        (r#"{"ts":1,"cost":"free"}"#.into(), "cost is not a number"),
        (r#"{"ts":1,"cost":1e7}"#.into(), "cost is not a number from 0 to 1000000"),
        (r#"{"ts":1,"cost":-0.01}"#.into(), "cost is not a number from 0 to 1000000"),
        (r#"{"ts":1,"limit_source":[]}"#.into(), "limit_source is not a text"),
        (r#"{"ts":1,"model":"\u001b[2J"}"#.into(), "model is not a name: it has characters that control a terminal"),
        (format!(r#"{{"ts":1,"model":"{secret}"}}"#), "model looks like a secret (github-token)"),
    ] {
        assert_eq!(parse(&line).unwrap_err().to_string(), reason, "{line}");
    }
    let allow = Policy { allow: ["github-token".parse().unwrap()].into(), redact: true };
    let line = format!(r#"{{"ts":1,"model":"{secret}"}}"#);
    assert_eq!(Parser::new(&allow).row(line.as_bytes()).unwrap().unwrap().model.as_str(), secret);
}

#[test]
fn bad_lines_are_counted_and_the_first_are_named() {
    let long = "x".repeat(MAX_LINE + 1);
    let text = format!("{{\"ts\":1}}\n{long}\n\n{}{{\"ts\":2}}\n", "bad\n".repeat(30));
    let (_, rows, reading) = read(&text, None);
    assert_eq!((rows.len(), reading.bad_lines, reading.bad.len()), (2, 31, MAX_BAD_NAMED));
    assert_eq!(reading.bad[0], BadLine { line: 2, reason: Reason::TooLong });
    assert_eq!(reading.bad[1], BadLine { line: 4, reason: Reason::NotJson });
    assert_eq!((reading.mark.offset, reading.mark.lines), (text.len() as u64, 34));
    let exact = format!("{{\"ts\":1,\"pad\":\"{}\"}}", "x".repeat(MAX_LINE - 17));
    assert_eq!((exact.len(), read(&format!("{exact}\n"), None).1.len()), (MAX_LINE, 1));
}

#[test]
fn a_last_line_without_its_end_is_used_once_it_is_whole() {
    let (_, rows, first) = read("{\"ts\":1}\n{\"ts\":", None);
    assert_eq!((rows.len(), first.unfinished, first.mark.offset), (1, true, 9));
    let (same, rows, second) = read("{\"ts\":1}\n{\"ts\":2}", Some(&first.mark));
    assert_eq!((same, rows.len(), second.unfinished, second.mark.lines), (true, 1, false, 1));
    let (same, rows, third) = read("{\"ts\":1}\n{\"ts\":2}\n?\n", Some(&second.mark));
    assert_eq!((same, rows.len(), third.bad[0].line), (true, 0, 3));
    let long = "x".repeat(MAX_LINE + 9);
    let (_, rows, reading) = read(&format!("{{\"ts\":1}}\n{long}"), None);
    assert_eq!((rows.len(), reading.unfinished, reading.bad_lines, reading.mark.offset), (1, true, 0, 9));
}

#[test]
fn a_file_that_was_written_anew_is_noticed() {
    let (_, _, reading) = read(SAMPLE, None);
    let resumed = |text: &str| read(text, Some(&reading.mark)).0;
    assert!(resumed(SAMPLE) && resumed(&format!("{SAMPLE}{PRUNED}")));
    assert!(!resumed(PRUNED), "of the same size, with the same last line");
    assert!(!resumed(&SAMPLE[..SAMPLE.len() - 1]) && !resumed(&SAMPLE[1..]) && !resumed(""));
    let (_, rows, _) = read(PRUNED, Some(&reading.mark));
    assert_eq!(rows.len(), 6, "it is read from the beginning");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(lines in proptest::collection::vec("(\\{\"ts\":[0-9]{1,3}\\}|[\\PC]{0,9}|\\{\"[a-z]{1,3}\":.{0,9}\\})(\n|\r\n)", 0..9), cut in 0_usize..200) {
        let text = lines.concat();
        let (_, rows, whole) = read(&text, None);
        prop_assert!(!whole.unfinished && whole.mark.offset == text.len() as u64);
        let cut = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let (_, mut first, reading) = read(&text[..cut], None);
        let (same, second, end) = read(&text, Some(&reading.mark));
        prop_assert!(same);
        first.extend(second);
        prop_assert_eq!(first, rows);
        let place = |mark: &Mark| (mark.offset, mark.lines, mark.digest.clone());
        prop_assert_eq!(place(&end.mark), place(&whole.mark));
    }
}
