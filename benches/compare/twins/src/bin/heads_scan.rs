//! The twin of `issue list` without a limit: reads one compact file that holds every head (bincode, no bodies, no index),
//! decodes all of it, filters, sorts, and prints the same JSON. No locks, no checksums, no transaction, no look at which
//! session lives: who has an issue counts as living.
//!
//! `heads_scan FILE fill` makes the file from the JSON of `issue list --status all --json` on standard input;
//! `heads_scan FILE FLAG…` takes the flags of `issue list`.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::error::Error;
use std::io::{BufWriter, Read, Write};

use serde::{Deserialize, Serialize};

/// A head, with texts that are owned (from JSON) or borrowed (from the file).
#[derive(Serialize, Deserialize)]
struct Head<S> {
    id: u32,
    title: S,
    status: S,
    priority: S,
    labels: Vec<S>,
    assignee: Option<S>,
    created_at: S,
    updated_at: S,
    closed_at: Option<S>,
    sessions: Vec<S>,
    assigned_to: Option<Owner<S>>,
    github: Option<Nothing>,
    depends_on: Vec<u32>,
    path: S,
    hash: S,
    extra: Nothing,
}

#[derive(Serialize, Deserialize)]
struct Owner<S> {
    session: S,
    acquired_at: S,
}

/// What the measured issues do not have.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A head as `--claimed` and `--free` print it.
#[derive(Serialize)]
struct WithOwner<'a, 'b> {
    #[serde(flatten)]
    head: &'a Head<&'b str>,
    owner_alive: Option<bool>,
}

#[derive(Default)]
struct Query {
    status: Option<String>,
    priority: Option<String>,
    labels: Vec<String>,
    assignee: Option<String>,
    session: Option<String>,
    text: Option<String>,
    sort: String,
    claimed: bool,
    free: bool,
    ready: bool,
    blocked: bool,
    reverse: bool,
}

impl Query {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut query = Self::default();
        while let Some(flag) = words.next() {
            let mut value = || words.next().ok_or("a flag without its value");
            match flag.as_str() {
                "--status" => query.status = Some(value()?),
                "--priority" => query.priority = Some(value()?),
                "--label" => query.labels.push(value()?),
                "--assignee" => query.assignee = Some(value()?),
                "--session" => query.session = Some(value()?),
                "--text" => query.text = Some(value()?.to_ascii_lowercase()),
                "--sort" => query.sort = value()?,
                "--claimed" => query.claimed = true,
                "--free" => query.free = true,
                "--ready" => query.ready = true,
                "--blocked" => query.blocked = true,
                "--reverse" => query.reverse = true,
                other => return Err(format!("no such flag: {other}").into()),
            }
        }
        Ok(query)
    }

    fn holds(&self, head: &Head<&str>, open: &HashSet<u32>) -> bool {
        let status = self.status.as_deref().unwrap_or("open");
        let waits = || head.depends_on.iter().any(|id| open.contains(id));
        (status == "all" || head.status == status)
            && self.priority.as_ref().is_none_or(|priority| head.priority == priority)
            && self.labels.iter().all(|label| head.labels.contains(&label.as_str()))
            && self.assignee.as_ref().is_none_or(|assignee| head.assignee == Some(assignee))
            && self.session.as_ref().is_none_or(|session| head.sessions.contains(&session.as_str()))
            && self.text.as_ref().is_none_or(|text| head.title.to_ascii_lowercase().contains(text))
            && (!self.claimed || head.assigned_to.is_some())
            && (!self.free || head.assigned_to.is_none())
            && (!self.ready || (head.status == "open" && !waits()))
            && (!self.blocked || (head.status == "open" && waits()))
    }

    fn sort(&self, heads: &mut [&Head<&str>]) {
        match self.sort.as_str() {
            "id" => heads.sort_unstable_by_key(|head| head.id),
            "created" => heads.sort_unstable_by_key(|head| (Reverse(head.created_at), head.id)),
            "priority" => heads.sort_unstable_by_key(|head| (rank(head.priority), head.id)),
            _ => heads.sort_unstable_by_key(|head| (Reverse(head.updated_at), head.id)),
        }
        if self.reverse {
            heads.reverse();
        }
    }
}

fn rank(priority: &str) -> usize {
    ["critical", "high", "medium", "low"].iter().position(|name| *name == priority).unwrap_or(4)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("heads_scan FILE fill | FLAG…")?;
    let config = bincode::config::standard();
    let mut words = arguments.peekable();
    if words.peek().is_some_and(|word| word == "fill") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        let heads: Vec<Head<String>> = serde_json::from_str(&text)?;
        std::fs::write(file, bincode::serde::encode_to_vec(&heads, config)?)?;
        return Ok(());
    }
    let query = Query::parse(words)?;
    let bytes = std::fs::read(file)?;
    let (heads, _): (Vec<Head<&str>>, usize) = bincode::serde::borrow_decode_from_slice(&bytes, config)?;
    let waiting = query.ready || query.blocked;
    let open = heads.iter().filter(|head| waiting && head.status == "open").map(|head| head.id).collect();
    let mut found: Vec<_> = heads.iter().filter(|head| query.holds(head, &open)).collect();
    query.sort(&mut found);
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    if query.claimed || query.free {
        let owner = |head: &Head<&str>| head.assigned_to.is_some().then_some(true);
        let owned: Vec<_> = found.iter().map(|head| WithOwner { head, owner_alive: owner(head) }).collect();
        serde_json::to_writer(&mut out, &owned)?;
    } else {
        serde_json::to_writer(&mut out, &found)?;
    }
    writeln!(out)?;
    // the memory is the system's to take back
    out.flush()?;
    std::process::exit(0)
}
