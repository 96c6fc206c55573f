//! Reads an `agent_instances.jsonl`: one agent a line, the last line of an agent wins.
//!
//! The file is only read, line by line, so its size does not matter. A line that cannot be used is reported with its
//! number and a reason, which never repeats what the line says; all others are taken. Unlike in the original, an agent
//! whose last line has expired is expired, whatever its earlier lines say.

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;
use serde_json::error::Category;

use crate::schema::agent::{Agent, AgentId, ContextUse, Oxsid, is_label};
use crate::schema::privacy::{self, Policy};
use crate::schema::process::Process;
use crate::schema::session::MAX_NAME;
use crate::schema::time::Timestamp;

/// Longest line, in bytes; a longer one is bad.
pub const MAX_LINE: usize = 1 << 20;

/// Largest process id that a system gives.
const MAX_PID: i64 = i32::MAX as i64;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// The agents that have not expired, in the order in which they first come up.
    pub agents: Vec<Agent>,
    /// How many agents have expired, by their last line.
    pub expired: usize,
    /// The lines that could not be used.
    pub bad: Vec<BadLine>,
}

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// What is wrong with a line. It never holds the line's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// More than [`MAX_LINE`] bytes.
    #[error("the line is longer than 1 MiB")]
    TooLong,
    /// Not a JSON object.
    #[error("not JSON, from byte {0} on")]
    NotJson(usize),
    /// The file ends within the line.
    #[error("the line is cut off")]
    CutOff,
    /// JSON of another shape.
    #[error("not an agent: a field has the wrong type, or comes twice")]
    WrongShape,
    /// A field that every agent has is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is not what it should be.
    #[error("{field} is not {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A text is too long, or has characters that names do not have.
    #[error("{0} is longer than {MAX_NAME} bytes or has control characters")]
    NotALabel(&'static str),
    /// A text must not be stored.
    #[error("{field} looks like a secret ({rule})")]
    Secret {
        /// The field.
        field: &'static str,
        /// What it was recognised by.
        rule: privacy::Rule,
    },
}

/// A line as the original writes it.
#[derive(Deserialize)]
struct Row {
    agent_id: Option<String>,
    oxsid: Option<String>,
    created_at: Option<String>,
    expires_at: Option<String>,
    agent_type: Option<String>,
    agent_ver: Option<String>,
    model: Option<String>,
    parent_pid: Option<i64>,
    parent_agent_id: Option<String>,
    prime_call_count: Option<i64>,
}

/// Reads a file to its end. Texts that look like secrets are treated as the policy says: their lines are bad, or they
/// are replaced.
///
/// # Errors
/// If reading fails.
pub fn read(mut file: impl BufRead, now: Timestamp, policy: &Policy) -> io::Result<Instances> {
    let mut found = Instances::default();
    let mut place: HashMap<AgentId, usize> = HashMap::new();
    let mut agents: Vec<Agent> = Vec::new();
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = file.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        number += 1;
        let whole = line.last() == Some(&b'\n');
        if !whole && line.len() > MAX_LINE {
            found.bad.push(BadLine { line: number, reason: Reason::TooLong });
            skip_line(&mut file)?;
            continue;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match agent(text, policy) {
            Ok(agent) => {
                let at = *place.entry(agent.id).or_insert(agents.len());
                match agents.get_mut(at) {
                    Some(earlier) => *earlier = agent,
                    None => agents.push(agent),
                }
            }
            Err(reason) => found.bad.push(BadLine { line: number, reason }),
        }
    }
    let lines = agents.len();
    agents.retain(|agent| !agent.is_expired(now));
    found.expired = lines - agents.len();
    found.agents = agents;
    Ok(found)
}

/// Goes on to the next line without keeping anything of this one.
fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        file.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn agent(line: &[u8], policy: &Policy) -> Result<Agent, Reason> {
    let row: Row = serde_json::from_slice(line).map_err(|error| match error.classify() {
        Category::Data => Reason::WrongShape,
        Category::Eof => Reason::CutOff,
        Category::Syntax | Category::Io => Reason::NotJson(error.column()),
    })?;
    let id = required("agent_id", row.agent_id)?;
    let id =
        id.parse().map_err(|_| Reason::Invalid { field: "agent_id", expected: "Ox and four letters or digits" })?;
    let oxsid = required("oxsid", row.oxsid)?;
    let oxsid: Oxsid = oxsid.parse().map_err(|_| Reason::Invalid { field: "oxsid", expected: "oxsid_ and a ULID" })?;
    let parent = match given(row.parent_agent_id) {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| Reason::Invalid { field: "parent_agent_id", expected: "Ox and four letters or digits" })?,
        ),
    };
    Ok(Agent {
        id,
        oxsid,
        agent_type: label("agent_type", row.agent_type, policy)?,
        agent_version: label("agent_ver", row.agent_ver, policy)?,
        model: label("model", row.model, policy)?,
        parent,
        process: process(row.parent_pid.unwrap_or(0))?,
        session: None,
        primes: u32::try_from(row.prime_call_count.unwrap_or(0))
            .map_err(|_| Reason::Invalid { field: "prime_call_count", expected: "a number from 0 to 4294967295" })?,
        context: ContextUse::default(),
        created_at: time("created_at", row.created_at)?,
        expires_at: time("expires_at", row.expires_at)?,
    })
}

/// The original leaves out what is empty.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn required(field: &'static str, text: Option<String>) -> Result<String, Reason> {
    given(text).ok_or(Reason::Missing(field))
}

fn time(field: &'static str, text: Option<String>) -> Result<Timestamp, Reason> {
    let time = required(field, text)?.parse().ok().filter(|time: &Timestamp| time.is_rfc3339());
    time.ok_or(Reason::Invalid { field, expected: "a date and time with an offset" })
}

fn label(field: &'static str, text: Option<String>, policy: &Policy) -> Result<Option<String>, Reason> {
    let Some(text) = given(text) else { return Ok(None) };
    if !is_label(&text) {
        return Err(Reason::NotALabel(field));
    }
    let clean = privacy::check(&text, policy).map_err(|refused| Reason::Secret { field, rule: refused.rule })?;
    // the marker in a secret's place may be longer than the secret
    if is_label(&clean) { Ok(Some(clean.into_owned())) } else { Err(Reason::NotALabel(field)) }
}

/// The process of a bare pid: when it started is not told, so it counts as alive only while a process of that pid is
/// older than the agent.
fn process(pid: i64) -> Result<Option<Process>, Reason> {
    match pid {
        ..=0 => Ok(None),
        1..=MAX_PID => {
            let pid = u32::try_from(pid).unwrap_or_default();
            Ok(Some(Process { pid, started: None, boot: None, namespace: None, host: None }))
        }
        _ => Err(Reason::Invalid { field: "parent_pid", expected: "the id of a process" }),
    }
}

/// An agent that is known here and comes up in a file again: what both know, neither side's counts lost. What the side
/// with more primes says holds; the other fills its gaps. Two that only chance gave the same id, as their server ids
/// tell, are not mixed: the later one stays.
#[must_use]
pub fn merge(ours: &Agent, theirs: &Agent) -> Agent {
    if ours.oxsid != theirs.oxsid {
        return if theirs.created_at > ours.created_at { theirs.clone() } else { ours.clone() };
    }
    let (first, second) = if theirs.primes >= ours.primes { (theirs, ours) } else { (ours, theirs) };
    let either = |text: fn(&Agent) -> &Option<String>| text(first).clone().or_else(|| text(second).clone());
    let pid = |agent: &Agent| agent.process.as_ref().map(|process| process.pid);
    // a bare pid adds nothing to the process of that pid that we know the start of
    let process = if pid(theirs) == pid(ours) { &ours.process } else { &first.process };
    Agent {
        agent_type: either(|agent| &agent.agent_type),
        agent_version: either(|agent| &agent.agent_version),
        model: either(|agent| &agent.model),
        parent: first.parent.or(second.parent),
        process: process.clone().or_else(|| second.process.clone()),
        session: ours.session.clone(),
        context: ours.context,
        ..first.clone()
    }
}

#[cfg(test)]
mod tests;
