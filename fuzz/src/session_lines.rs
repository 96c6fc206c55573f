//! Session files of other programs: what is kept is counts, times and names, whatever the file holds.
//!
//! An input is a session file. It is read as it is, and once more with every text of the conversation replaced: the
//! record must not depend on what was said.

use std::cell::RefCell;
use std::path::Path;

use oxi_state::import::sessions::{MAX_BAD_NAMED, Places, ReadError, SessionFile, read};
use oxi_state::schema::session::{Session, is_name};
use serde_json::Value;

/// Keys under which programs write what was said.
const TEXTS: [&str; 9] =
    ["text", "thinking", "content", "arguments", "output", "summary", "label", "errorMessage", "details"];

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// Looks at an input.
pub fn run(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n').count() as u64;
    if let Ok(file) = read_bytes(input) {
        check_record(&file, lines, input.len());
        let twice = read_bytes(input).expect("what was read once");
        assert_eq!(without_file(twice), without_file(file));
    }
    let [said, unsaid] = [true, false].map(|keep| read_bytes(&rewritten(input, keep)));
    match (said, unsaid) {
        (Ok(said), Ok(unsaid)) => {
            assert_eq!(without_file(said), without_file(unsaid), "the record depends on a text");
        }
        (Err(said), Err(unsaid)) => assert_eq!(said.to_string(), unsaid.to_string()),
        (said, unsaid) => panic!("{said:?}\n{unsaid:?}"),
    }
}

/// The record but for what is said of its file, such as its times.
fn without_file(file: SessionFile) -> Session {
    Session { file: None, ..file.session }
}

/// What is kept is small, and every text of it is a name.
fn check_record(file: &SessionFile, lines: u64, size: usize) {
    let session = &file.session;
    assert!(file.bad.len() <= MAX_BAD_NAMED && session.bad_lines <= lines);
    assert!(u64::from(session.truncated) + session.bad_lines + session.counts.entries <= lines);
    let kept = session.file.as_ref().expect("it is from a file");
    assert_eq!(kept.size, size as u64);
    let without_file = Session { file: None, ..session.clone() };
    let json = serde_json::to_value(without_file).expect("a record is spelled as JSON");
    // a folder that cannot be shown is a hash
    let is_kept = |text: &str| is_name(text.strip_prefix('#').unwrap_or(text));
    for_each_text(&json, &mut |text| assert!(is_kept(text), "{text:?} is kept and is no name"));
    assert!(json.to_string().len() <= 4 * size + 64 * 1024, "the record is larger than its file");
}

fn for_each_text(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| for_each_text(item, visit)),
        Value::Object(fields) => fields.values().for_each(|field| for_each_text(field, visit)),
        _ => {}
    }
}

/// The same lines, each JSON object written anew; what was said is kept or replaced.
fn rewritten(input: &[u8], keep: bool) -> Vec<u8> {
    let lines = input.split(|byte| *byte == b'\n').map(|line| match serde_json::from_slice::<Value>(line) {
        Ok(mut value) if value.is_object() => {
            if !keep {
                silence(&mut value, false);
            }
            value.to_string().into_bytes()
        }
        _ => line.to_vec(),
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

fn silence(value: &mut Value, is_text: bool) {
    match value {
        Value::String(text) if is_text => "quite another text".clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| silence(item, is_text)),
        Value::Object(fields) => {
            // one program says under `content` which model was chosen
            let names_model = fields.get("customType").is_some_and(|custom| custom == "model_change");
            for (key, field) in fields.iter_mut().filter(|(key, _)| !(names_model && *key == "content")) {
                silence(field, is_text || (TEXTS.contains(&key.as_str()) && !field.is_object()));
            }
        }
        _ => {}
    }
}

fn read_bytes(bytes: &[u8]) -> Result<SessionFile, ReadError> {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(super::scratch).path();
        let path = folder.join("session.jsonl");
        std::fs::write(&path, bytes).expect("a place to write");
        read(&path, &Places::new(Path::new("/zqforbidden/project"), Some(folder)))
    })
}

/// The sessions of the golden files.
pub fn golden_sessions() -> Vec<Session> {
    seeds().iter().filter_map(|file| read_bytes(file).ok()).map(|file| file.session).collect()
}

/// Golden files, and their lines apart with a header in front.
pub fn seeds() -> Vec<Vec<u8>> {
    let files: Vec<_> = super::golden("sessions").into_iter().chain(super::golden("sessions-forbidden")).collect();
    let mut seeds = files.clone();
    for file in &files {
        let mut lines = file.split_inclusive(|byte| *byte == b'\n');
        let Some(header) = lines.next() else { continue };
        seeds.extend(lines.map(|line| [header, line].concat()));
    }
    seeds.push(b"\n{}\n{\"type\":\"session\"".to_vec());
    seeds
}
