//! `issue dep …`

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::db::Op;
use crate::db::tables::{Readable, Tables};
use crate::schema::id::{IssueId, printable};
use crate::schema::issue::Status;

use super::super::args::DepCommand;
use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::super::view::Owners;
use super::{claim, full, settled};

pub(super) fn run(context: &Context, command: &DepCommand) -> CliResult<()> {
    match *command {
        DepCommand::Add { issue, on, force } => change(context, issue, on, true, force),
        DepCommand::Remove { issue, on, force } => change(context, issue, on, false, force),
        DepCommand::Tree { id } => tree(context, id),
    }
}

fn change(context: &Context, id: IssueId, on: IssueId, add: bool, force: bool) -> CliResult<()> {
    if add && id == on {
        return Err(CliError::usage("an issue cannot wait for itself"));
    }
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let (changed, json) = context.write_claims(&project, &store, force, false, |txn, access| {
        claim::check(txn, id, access)?;
        let source = super::head(txn, id)?;
        let mut links = source.head.depends_on;
        if add {
            let target = super::head(txn, on)?;
            if let Some(cycle) = path(txn, on, id)? {
                return Err(CliError::usage(format!(
                    "#{id} cannot wait for #{on}, which waits for #{id}: {}",
                    chain(&cycle)
                ))
                .hint(format!("`oxi-state issue dep tree {on}` shows the chain")));
            }
            if !resolved(txn, &links)?.contains(&on) {
                links.push(target.head.link());
            }
        } else {
            let mut kept = Vec::new();
            for link in links {
                let is_meant = match txn.resolve(&link)? {
                    Some(target) => target == on,
                    None => link.id == on && txn.head(on)?.is_none(),
                };
                if !is_meant {
                    kept.push(link);
                }
            }
            links = kept;
        }
        let changed = settled(id, &txn.update(id, None, Op::Update, |issue, _| issue.head.depends_on = links)?)?;
        let json = context.json.then(|| full(txn, &project, &owners, id)).transpose()?;
        Ok::<_, CliError>((changed, json))
    })?;
    match json {
        Some(json) => output::json(&json),
        None => output::text(&match (changed, add) {
            (true, true) => format!("#{id} now waits for #{on}\n"),
            (true, false) => format!("#{id} no longer waits for #{on}\n"),
            (false, true) => format!("#{id} waits for #{on} already\n"),
            (false, false) => format!("#{id} does not wait for #{on}\n"),
        }),
    }
}

/// A chain of dependencies in words, its middle left out where it is long.
pub(in crate::cli) fn chain(ids: &[IssueId]) -> String {
    const ENDS: usize = 4;
    let words: Vec<_> = ids.iter().map(|id| format!("#{id}")).collect();
    if words.len() <= 2 * ENDS {
        return words.join(" -> ");
    }
    let (first, last) = (&words[..ENDS], &words[words.len() - ENDS..]);
    format!("{} -> … -> {}", first.join(" -> "), last.join(" -> "))
}

fn resolved<T: Readable>(tables: &Tables<T>, links: &[crate::schema::id::Link]) -> CliResult<Vec<IssueId>> {
    let mut ids = Vec::with_capacity(links.len());
    for link in links {
        ids.extend(tables.resolve(link)?);
    }
    Ok(ids)
}

/// A chain of dependencies from one issue to another; the first issue itself if they are the same.
pub(super) fn path<T: Readable>(tables: &Tables<T>, from: IssueId, to: IssueId) -> CliResult<Option<Vec<IssueId>>> {
    let mut seen = HashSet::from([from]);
    let mut ways = vec![vec![from]];
    while let Some(way) = ways.pop() {
        let Some(&last) = way.last() else { continue };
        if last == to {
            return Ok(Some(way));
        }
        if let Some(stored) = tables.head(last)? {
            for next in resolved(tables, &stored.head.depends_on)? {
                if seen.insert(next) {
                    ways.push([way.as_slice(), &[next]].concat());
                }
            }
        }
    }
    Ok(None)
}

/// One issue of a dependency tree.
#[derive(Debug, Serialize)]
struct Node {
    id: IssueId,
    title: Option<String>,
    /// Null if the issue is gone.
    status: Option<Status>,
    /// Whether it stands earlier in the tree, with its dependencies.
    repeated: bool,
    depends_on: Vec<Node>,
}

fn tree(context: &Context, id: IssueId) -> CliResult<()> {
    let (_, read) = context.read()?;
    super::head(&read, id)?;
    let root = node(&read, id, &mut HashSet::new(), 0)?;
    drop(read);
    if context.json {
        return output::json(&root);
    }
    let mut text = String::new();
    draw(&mut text, &root, "", "");
    output::text(&text)
}

/// Deeper trees are cut, so that no file can exhaust the stack.
const MAX_DEPTH: usize = 200;

fn node<T: Readable>(tables: &Tables<T>, id: IssueId, seen: &mut HashSet<IssueId>, depth: usize) -> CliResult<Node> {
    if depth > MAX_DEPTH {
        return Err(CliError::new(Code::Error, format!("the dependencies are more than {MAX_DEPTH} deep")));
    }
    let Some(stored) = tables.head(id)? else {
        return Ok(Node { id, title: None, status: None, repeated: false, depends_on: Vec::new() });
    };
    let repeated = !seen.insert(id);
    let mut depends_on = Vec::new();
    if !repeated {
        for link in &stored.head.depends_on {
            match tables.resolve(link)? {
                Some(next) => depends_on.push(node(tables, next, seen, depth + 1)?),
                None => depends_on.push(Node {
                    id: link.id,
                    title: None,
                    status: None,
                    repeated: false,
                    depends_on: Vec::new(),
                }),
            }
        }
    }
    Ok(Node { id, title: Some(stored.head.title), status: Some(stored.head.status), repeated, depends_on })
}

fn draw(text: &mut String, node: &Node, first: &str, rest: &str) {
    let title = node.title.as_deref().unwrap_or("(gone)");
    let state = node.status.map(|status| format!(" [{status}]")).unwrap_or_default();
    let more = if node.repeated { " (see above)" } else { "" };
    let _ = writeln!(text, "{first}#{}{state} {}{more}", node.id, printable(title, false));
    for (index, child) in node.depends_on.iter().enumerate() {
        let last = index + 1 == node.depends_on.len();
        let (branch, trunk) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        draw(text, child, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
    }
}
