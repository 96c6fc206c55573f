//! `session tree`

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::db::tables::{Readable, Tables};
use crate::liveness::Watch;
use crate::schema::id::{SessionId, printable};
use crate::schema::session::{Branch, Session};

use super::super::context::Context;
use super::super::error::CliResult;
use super::super::output;
use super::find;
use super::view::{self, BOLD, DIM, SessionJson, count};

/// How deep forks of forks are drawn; those below begin a tree of their own.
const MAX_DEPTH: usize = 64;

/// A session with what was forked from it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct SessionTreeJson {
    #[serde(flatten)]
    session: SessionJson,
    /// The sessions that were forked from it, oldest first.
    forks: Vec<SessionTreeJson>,
}

pub(super) fn run(context: &Context, id: Option<&str>) -> CliResult<()> {
    let (project, read) = context.read()?;
    let watch = view::watch(context, &project)?;
    let only = id.map(|id| find::session(&*read, id)).transpose()?.map(|session| session.id);
    let sessions = read.records::<Session>()?;
    let known: HashSet<SessionId> = sessions.iter().map(|session| session.id.clone()).collect();
    let trees = Forest::new(sessions).grow(&read, &watch, only.as_ref())?;
    drop(read);
    if context.json { output::json(&trees) } else { output::text(&text(&trees, &known)) }
}

/// Sessions by their parents.
struct Forest {
    sessions: BTreeMap<SessionId, Session>,
    forks: BTreeMap<SessionId, Vec<SessionId>>,
    drawn: HashSet<SessionId>,
    /// Where to begin, the next one last.
    starts: Vec<SessionId>,
}

impl Forest {
    fn new(mut sessions: Vec<Session>) -> Self {
        sessions.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let known: HashSet<&SessionId> = sessions.iter().map(|session| &session.id).collect();
        let (mut forks, mut firsts, mut others) = (BTreeMap::<_, Vec<_>>::new(), Vec::new(), Vec::new());
        for session in &sessions {
            match &session.parent {
                Some(parent) if known.contains(parent) => {
                    forks.entry(parent.clone()).or_default().push(session.id.clone());
                    others.push(session.id.clone());
                }
                _ => firsts.push(session.id.clone()),
            }
        }
        // those that are each other's parents are reached from no first one
        let starts = firsts.into_iter().chain(others).rev().collect();
        let sessions = sessions.into_iter().map(|session| (session.id.clone(), session)).collect();
        Self { sessions, forks, drawn: HashSet::new(), starts }
    }

    fn grow<T: Readable>(
        mut self,
        tables: &Tables<T>,
        watch: &Watch,
        only: Option<&SessionId>,
    ) -> CliResult<Vec<SessionTreeJson>> {
        if let Some(only) = only {
            self.starts = vec![only.clone()];
        }
        let mut trees = Vec::new();
        while let Some(start) = self.starts.pop() {
            trees.extend(self.tree(tables, watch, &start, 0)?);
        }
        Ok(trees)
    }

    fn tree<T: Readable>(
        &mut self,
        tables: &Tables<T>,
        watch: &Watch,
        id: &SessionId,
        depth: usize,
    ) -> CliResult<Option<SessionTreeJson>> {
        let Some(session) = self.sessions.get(id).filter(|_| self.drawn.insert(id.clone())) else { return Ok(None) };
        let session = SessionJson::new(tables, watch, session.clone())?;
        let below = self.forks.get(id).cloned().unwrap_or_default();
        let mut forks = Vec::new();
        if depth == MAX_DEPTH {
            self.starts.extend(below.into_iter().rev());
        } else {
            for fork in below {
                forks.extend(self.tree(tables, watch, &fork, depth + 1)?);
            }
        }
        Ok(Some(SessionTreeJson { session, forks }))
    }
}

/// A line, and those below it.
struct Item {
    line: String,
    below: Vec<Item>,
}

fn text(trees: &[SessionTreeJson], known: &HashSet<SessionId>) -> String {
    if trees.is_empty() {
        return "no sessions\n".into();
    }
    let mut missing: BTreeMap<&SessionId, Vec<Item>> = BTreeMap::new();
    let mut items = Vec::new();
    for tree in trees {
        match &tree.session.parent {
            Some(parent) if !known.contains(parent) => {
                missing.entry(parent).or_default().push(fork(tree));
            }
            _ => items.push(session(tree, "")),
        }
    }
    items.extend(missing.into_iter().map(|(parent, below)| {
        let line = format!("{} {DIM}(not imported){DIM:#}", printable(parent.as_str(), false));
        Item { line, below }
    }));
    let mut text = String::new();
    for item in &items {
        let _ = writeln!(text, "{}", item.line);
        draw(&item.below, "", &mut text);
    }
    text
}

fn session(tree: &SessionTreeJson, word: &str) -> Item {
    let shown = &tree.session;
    let line = format!(
        "{word}{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}",
        printable(shown.id.as_str(), false),
        printable(&shown.about(), false)
    );
    Item { line, below: below(tree) }
}

fn fork(tree: &SessionTreeJson) -> Item {
    session(tree, "fork ")
}

/// What parts at one entry stands together, in the order of the file; forks at entries where nothing branches come after
/// that, and last those of which it is not known where they begin.
fn below(tree: &SessionTreeJson) -> Vec<Item> {
    let mut points: Vec<(&str, Vec<Item>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut loose = Vec::new();
    let branches = tree.session.branches().iter().map(|it| (Some(it.from.as_str()), branch(it)));
    let forks = tree.forks.iter().map(|it| (it.session.fork_point.as_deref(), fork(it)));
    for (at, item) in branches.chain(forks) {
        let Some(at) = at else {
            loose.push(item);
            continue;
        };
        let place = *places.entry(at).or_insert_with(|| {
            points.push((at, Vec::new()));
            points.len() - 1
        });
        points[place].1.push(item);
    }
    let point = |(at, below)| Item { line: format!("{DIM}at {}{DIM:#}", printable(at, false)), below };
    points.into_iter().map(point).chain(loose).collect()
}

fn branch(branch: &Branch) -> Item {
    let Branch { first, entries, tokens, current, .. } = branch;
    let entries = count(*entries, "entry", "entries");
    let current = if *current { ", current" } else { "" };
    let line = format!("branch {}  {DIM}{entries}, {tokens} tokens{current}{DIM:#}", printable(first, false));
    Item { line, below: Vec::new() }
}

fn draw(items: &[Item], indent: &str, text: &mut String) {
    for (index, item) in items.iter().enumerate() {
        let (mark, bar) = if index + 1 == items.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let _ = writeln!(text, "{indent}{mark}{}", item.line);
        draw(&item.below, &format!("{indent}{bar}"), text);
    }
}
