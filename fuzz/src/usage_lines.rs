//! Usage files of opencode-proxy, and rows of the inbox: sums, days and names of models come out, and nothing else.
//!
//! An input is a file of lines.

use std::io::Cursor;

use oxi_state::import::inbox;
use oxi_state::import::usage::{MAX_BAD_NAMED, MAX_LINE, Parser, Reader, Reading, Row};
use oxi_state::schema::privacy::Policy;
use serde_json::Value;

/// Looks at an input.
pub fn run(input: &[u8]) {
    let (rows, reading) = read(input, None);
    let lines = input.split(|byte| *byte == b'\n').count() as u64;
    assert!(rows.len() as u64 + reading.bad_lines <= lines && reading.bad.len() <= MAX_BAD_NAMED);
    assert!(reading.mark.offset <= input.len() as u64);
    for bad in &reading.bad {
        assert!(bad.line >= 1 && bad.line <= lines);
        let said = bad.reason.to_string();
        assert!(said.len() < 120 && said.is_ascii(), "{said:?}");
    }
    for row in &rows {
        assert!(row.sums.requests == 1, "{row:?}");
    }
    check_resumption(input, &rows, &reading);
    let [said, more] = [false, true].map(|more| read(&with_text(input, more), None).0);
    assert_eq!(said, more, "a key that is not known changes a row");
    for line in input.split(|byte| *byte == b'\n').filter(|line| line.len() <= MAX_LINE) {
        check_inbox(line);
    }
}

/// Read in two pieces, a file comes to the same.
fn check_resumption(input: &[u8], rows: &[Row], whole: &Reading) {
    let ends: Vec<_> = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let Some(cut) = ends.get(ends.len() / 2).copied() else { return };
    let (mut pieces, first) = read(&input[..cut], None);
    assert!(!first.unfinished && first.mark.offset == cut as u64);
    let (rest, second) = read(input, Some(&first));
    pieces.extend(rest);
    assert_eq!(pieces, rows);
    assert_eq!(second.mark, whole.mark);
    assert_eq!(first.bad_lines + second.bad_lines, whole.bad_lines);
}

fn read(input: &[u8], before: Option<&Reading>) -> (Vec<Row>, Reading) {
    let mut reader = Reader::new(Cursor::new(input), input.len() as u64);
    if let Some(before) = before {
        assert!(reader.resume(&before.mark).expect("reading memory"), "the beginning is what it was");
    }
    let mut rows = Vec::new();
    let keep = |row| {
        rows.push(row);
        Ok(())
    };
    let reading = reader.read(&mut Parser::new(&Policy::default()), keep).expect("reading memory");
    (rows, reading)
}

/// The same lines, each JSON object written anew, if need be with a key that no row has.
fn with_text(input: &[u8], more: bool) -> Vec<u8> {
    let lines = input.split(|byte| *byte == b'\n').map(|line| match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(mut fields)) if line.len() < MAX_LINE / 4 => {
            if more {
                fields.insert("prompt".into(), "quite another text".into());
            }
            Value::Object(fields).to_string().into_bytes()
        }
        _ => line.to_vec(),
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

fn check_inbox(line: &[u8]) {
    match inbox::parse(line) {
        Ok(Some(row)) => {
            let digest = inbox::digest_of_data(&row.data);
            let mut data = row.data.clone();
            data.sort_keys();
            assert_eq!(inbox::digest_of_data(&data), digest, "the order of keys says nothing");
        }
        Ok(None) => {}
        Err(malformed) => assert!(malformed.to_string().len() < 300),
    }
}

/// Golden files, their lines, and rows of the inbox.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = super::golden("usage");
    let rows = [
        r#"{"kind":"fact","key":"k","data":{"name":"x","value":1,"z":[1,{"b":2,"a":null}]}}"#,
        r#"{"kind":"validation","data":{"name":"test","command":"cargo test","result":"passed"}}"#,
        r#"{"kind":"usage","data":{}}"#,
        r#"{"v":1,"ts":1782379800123,"model":"m","total_tokens":1e3,"cost":0.5,"v":1}"#,
    ];
    let lines = files.iter().flat_map(|file| file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    let lines: Vec<_> = lines.step_by(3).collect();
    files.into_iter().chain(lines).chain(rows.map(|row| row.as_bytes().to_vec())).collect()
}
