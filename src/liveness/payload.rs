//! What a lock file says about the session: which process holds it, since when, and whether it is over.
//!
//! JSON with the original's keys (`session`, `pid`, `host`, `started`; not its `cwd`, which is a local path) and our own
//! after them. The text is advice, the lock is the proof: what cannot be read tells nothing, least of all that somebody
//! is dead.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};

use super::{Liveness, process};
use crate::schema::id::SessionId;
use crate::schema::process::Process;
use crate::schema::time::Timestamp;

/// Longest payload that is read, in bytes.
pub(super) const LIMIT: u64 = 4096;

/// What a lock file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The process that holds the lock, or that the session lives as long as.
    pub process: Option<Process>,
    /// When it took the lock, in Unix seconds.
    pub started: Option<i64>,
    /// When the session ended, in Unix seconds; none if it goes on.
    pub ended: Option<i64>,
}

/// The text; see the module.
#[derive(Serialize, Deserialize)]
struct Json {
    session: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process_start: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<i64>,
}

impl Payload {
    /// A session that begins now and lives as long as this process.
    #[must_use]
    pub fn begin(process: Process, now: Timestamp) -> Self {
        Self { process: Some(process), started: Some(now.get().timestamp()), ended: None }
    }

    /// The same session, over: it names no process any more.
    #[must_use]
    pub fn over(&self, now: Timestamp) -> Self {
        Self { process: None, started: self.started, ended: Some(now.get().timestamp()) }
    }

    /// Whether the process that it names lives; none if it names none.
    #[must_use]
    pub fn liveness(&self) -> Option<Liveness> {
        let seen_at = self.started.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
        self.process.as_ref().map(|process| process::state(process, seen_at.map(Timestamp::new)))
    }

    /// Its text.
    #[must_use]
    pub fn to_json(&self, session: &SessionId) -> String {
        let process = self.process.clone();
        let json = Json {
            session: session.as_str().to_owned(),
            pid: process.as_ref().map(|process| process.pid),
            host: process.as_ref().and_then(|process| process.host.clone()),
            started: self.started,
            process_start: process.as_ref().and_then(|process| process.started),
            boot_id: process.as_ref().and_then(|process| process.boot.clone()),
            pid_ns: process.as_ref().and_then(|process| process.namespace),
            ended: self.ended,
        };
        // texts and numbers are always JSON; an empty payload would tell nothing, and nothing wrong
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Reads the text of a session's lock file; none if it is none, or another session's.
    #[must_use]
    pub fn parse(bytes: &[u8], session: &SessionId) -> Option<Self> {
        let json: Json = serde_json::from_slice(bytes).ok().filter(|json: &Json| json.session == session.as_str())?;
        let process = json.pid.filter(|pid| *pid > 0).map(|pid| Process {
            pid,
            started: json.process_start,
            boot: json.boot_id,
            namespace: json.pid_ns,
            host: json.host,
        });
        Some(Self { process, started: json.started, ended: json.ended })
    }

    pub(super) fn read(file: &File, session: &SessionId) -> Option<Self> {
        let mut bytes = Vec::with_capacity(512);
        let mut reader = file;
        reader.seek(SeekFrom::Start(0)).ok()?;
        reader.take(LIMIT + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > LIMIT { None } else { Self::parse(&bytes, session) }
    }

    /// Writes the text over what was there, and so renews the file's time. Only for who holds the lock.
    pub(super) fn write(&self, file: &File, session: &SessionId) -> io::Result<()> {
        // in one piece, over all that was there, so that a reader meets the one or the other; JSON may end in blanks
        let mut text = self.to_json(session);
        let old = usize::try_from(file.metadata()?.len().min(LIMIT)).unwrap_or_default();
        text.extend(std::iter::repeat_n(' ', old.saturating_sub(text.len())));
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        text.parse().unwrap()
    }

    fn process() -> Process {
        Process {
            pid: 13670,
            started: Some(99),
            boot: Some("b".into()),
            namespace: Some(4_026_531_836),
            host: Some("vm".into()),
        }
    }

    #[test]
    fn the_keys_are_the_originals_then_ours_and_no_path() {
        let now = "2027-11-20T17:43:25Z".parse().unwrap();
        let payload = Payload::begin(process(), now);
        let text = payload.to_json(&id("s\"X"));
        assert_eq!(
            text,
            r#"{"session":"s\"X","pid":13670,"host":"vm","started":1826732605,"process_start":99,"boot_id":"b","pid_ns":4026531836}"#
        );
        assert_eq!(Payload::parse(text.as_bytes(), &id("s\"X")), Some(payload.clone()));
        let over = payload.over("2027-11-20T17:43:26Z".parse().unwrap());
        let text = over.to_json(&id("s"));
        assert_eq!(text, r#"{"session":"s","started":1826732605,"ended":1826732606}"#);
        assert_eq!(Payload::parse(text.as_bytes(), &id("s")), Some(over));
    }

    #[test]
    fn the_originals_payload_is_read() {
        let text = br#"{"session":"sX","pid":13670,"host":"vm","cwd":"/home/dev/project","started":1795196605}"#;
        let payload = Payload::parse(text, &id("sX")).unwrap();
        let process = Process { started: None, boot: None, namespace: None, ..process() };
        assert_eq!(payload, Payload { process: Some(process), started: Some(1_795_196_605), ended: None });
        assert!(!payload.to_json(&id("sX")).contains("/home"));
    }

    #[test]
    fn what_is_no_payload_tells_nothing() {
        for text in [
            &b""[..],
            b"null",
            b"[]",
            b"{}",
            b"{\"session\":\"s\"",
            br#"{"session":"other","pid":1}"#,
            br#"{"session":"s","pid":-1}"#,
            br#"{"session":"s","pid":"1"}"#,
            br#"{"session":"s","pid":99999999999}"#,
            b"\xff\xfe",
        ] {
            assert_eq!(Payload::parse(text, &id("s")), None, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(Payload::parse(br#"{"session":"s","pid":0,"new":{"a":[1]}}"#, &id("s")), Some(Payload::default()));
        let no_time = Payload::parse(br#"{"session":"s","pid":1,"started":9223372036854775807}"#, &id("s")).unwrap();
        assert_eq!(no_time.liveness(), Some(Liveness::Unknown));
    }
}
