//! `issue create --from`: many issues in one transaction, all or none.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use serde_json::{Map, Value};

use crate::claims;
use crate::db::Op;
use crate::db::record::Versioned;
use crate::db::{StoreError, WriteTxn};
use crate::schema::id::{IssueId, Link, Slug};
use crate::schema::issue::{Issue, IssueHead, Priority, Status};
use crate::schema::time::Timestamp;

use super::super::context::Context;
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::super::view::Owners;
use super::{MAX_BODY, admit, full};

/// Most issues of one file: a slip must not use up numbers.
const MAX_ROWS: usize = 100_000;

/// Longest line, in bytes: the largest body, escaped, with room for the rest.
const MAX_LINE: usize = 6 * MAX_BODY + (64 << 10);

/// The fields of a line.
const FIELDS: &str = "title, key, body, priority, status, labels, assignee, depends_on";

/// What an issue of the file waits for.
#[derive(Clone, Debug, PartialEq)]
enum On {
    /// An issue that is there already.
    Number(IssueId),
    /// The issue of another line, by its key.
    Key(String),
}

/// One line.
#[derive(Clone, Debug)]
struct Row {
    /// Its number in the file, from 1.
    line: usize,
    key: Option<String>,
    issue: Issue,
    depends_on: Vec<On>,
}

pub(super) fn run(context: &Context, path: &Path) -> CliResult<()> {
    let session = context.session()?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let mut rows = read(path, author.now)?;
    let mut created_at = author.now;
    for row in &mut rows {
        row.issue.head.sessions = session.iter().map(ToString::to_string).collect();
        row.stamp(created_at);
        admit(context, None, &mut row.issue).map_err(|error| error.at(format!("line {}", row.line)))?;
        // a redacted title must not live on in the file name
        row.issue.head.slug = Slug::from_title(&row.issue.head.title);
        // issues of one title are told apart by the time of their creation
        created_at = Timestamp::after(created_at, created_at);
    }
    let targets = targets(&rows)?;
    if let Some(cycle) = cycle(&targets) {
        let lines: Vec<_> = cycle.iter().map(|&index| rows[index].line.to_string()).collect();
        return Err(bad(rows[cycle[0]].line, format!("issues wait for each other: lines {}", lines.join(" -> "))));
    }
    let ids = store.write(&author, |txn| store_all(txn, &rows, &targets))?;
    if !context.json {
        let lines: Vec<_> = ids.iter().map(ToString::to_string).collect();
        return output::text(&format!("{}\n", lines.join("\n")));
    }
    // read afterwards, so that nobody waits for it
    let owners = Owners::new(context, &project);
    let read = store.read()?;
    let issues = ids.into_iter().map(|id| full(&read, &project, &owners, id)).collect::<Result<Vec<_>, _>>()?;
    drop(read);
    output::json(&issues)
}

impl Row {
    fn stamp(&mut self, now: Timestamp) {
        let head = &mut self.issue.head;
        (head.created_at, head.updated_at) = (now, now);
        head.closed_at = head.closed_at.map(|_| now);
    }
}

fn store_all(txn: &mut WriteTxn<'_>, rows: &[Row], targets: &[Vec<usize>]) -> CliResult<Vec<IssueId>> {
    let first = txn.next_number()?;
    let number = |index: usize| {
        let offset = u32::try_from(index).map_err(|_| StoreError::NumbersExhausted)?;
        first.0.checked_add(offset).map(IssueId).ok_or(StoreError::NumbersExhausted)
    };
    let mut ids = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let mut links: Vec<Link> = Vec::new();
        for on in &row.depends_on {
            if let On::Number(id) = on {
                let target = super::head(txn, *id).map_err(|error| error.at(format!("line {}", row.line)))?;
                links.push(target.head.link());
            }
        }
        for &target in &targets[index] {
            links.push(Link { id: number(target)?, slug: rows[target].issue.head.slug.clone() });
        }
        let mut issue = row.issue.clone();
        issue.head.id = number(index)?;
        for link in links {
            if !issue.head.depends_on.contains(&link) {
                issue.head.depends_on.push(link);
            }
        }
        ids.push(issue.head.id);
        txn.put(&Versioned::new(issue), Op::Create)?;
    }
    Ok(ids)
}

/// For each row the rows that it waits for.
fn targets(rows: &[Row]) -> CliResult<Vec<Vec<usize>>> {
    let mut keys: HashMap<&str, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(key) = &row.key else { continue };
        if let Some(other) = keys.insert(key, index) {
            return Err(bad(row.line, format!("its key is that of line {}, too", rows[other].line)));
        }
    }
    let of = |row: &Row| {
        let wanted = row.depends_on.iter().filter_map(|on| match on {
            On::Key(key) => Some(keys.get(key.as_str()).copied()),
            On::Number(_) => None,
        });
        wanted.collect::<Option<Vec<_>>>().ok_or_else(|| bad(row.line, "it waits for a key that no line has"))
    };
    rows.iter().map(of).collect()
}

/// Rows that wait for each other in a ring, the first one again at the end.
fn cycle(targets: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; targets.len()];
    for start in 0..targets.len() {
        // the way from the start, each with the place of the next row that it waits for
        let mut way: Vec<(usize, usize)> = Vec::new();
        if states[start] == State::New {
            states[start] = State::Open;
            way.push((start, 0));
        }
        while let Some((row, next)) = way.last_mut() {
            let Some(&target) = targets[*row].get(*next) else {
                states[*row] = State::Done;
                way.pop();
                continue;
            };
            *next += 1;
            match states[target] {
                State::Done => {}
                State::New => {
                    states[target] = State::Open;
                    way.push((target, 0));
                }
                State::Open => {
                    let ring = way.iter().map(|(row, _)| *row).skip_while(|row| *row != target);
                    return Some(ring.chain([target]).collect());
                }
            }
        }
    }
    None
}

fn read(path: &Path, now: Timestamp) -> CliResult<Vec<Row>> {
    let failed = |error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Error };
        CliError::new(code, format!("cannot read {}: {error}", path.display()))
            .hint("nothing was created; name a file that you may read, or - for standard input")
    };
    let mut input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(path).map_err(failed)?))
    };
    let (mut rows, mut line) = (Vec::new(), 0);
    loop {
        line += 1;
        let mut bytes = Vec::new();
        input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut bytes).map_err(failed)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.len() > MAX_LINE {
            return Err(bad(line, format!("it is longer than {MAX_LINE} bytes")));
        }
        if !bytes.trim_ascii().is_empty() {
            rows.push(parse(line, &bytes, now)?);
        }
        if rows.len() > MAX_ROWS {
            return Err(bad(line, format!("a file can have {MAX_ROWS} issues")));
        }
    }
    if rows.is_empty() {
        return Err(CliError::usage(format!("{}: there is no issue in it", path.display())));
    }
    Ok(rows)
}

/// Values are never repeated in errors: one may be a secret in the wrong place.
fn parse(line: usize, bytes: &[u8], now: Timestamp) -> CliResult<Row> {
    let mut fields = match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(bad(line, "it is no JSON object")),
        Err(error) => return Err(bad(line, format!("it is no JSON (column {})", error.column()))),
    };
    let title = text(line, &mut fields, "title")?.ok_or_else(|| bad(line, "it has no title"))?;
    let mut head = IssueHead::new(IssueId(0), title, now);
    if let Some(priority) = text(line, &mut fields, "priority")? {
        let wrong = |_| bad(line, "priority: give low, medium, high or critical");
        head.priority = priority.parse::<Priority>().map_err(wrong)?;
    }
    if let Some(status) = text(line, &mut fields, "status")? {
        let status = status.parse::<Status>().map_err(|_| bad(line, "status: give open or closed"))?;
        claims::set_status(&mut head, status, now);
    }
    for label in list(line, &mut fields, "labels")? {
        let Value::String(label) = label else { return Err(bad(line, "labels: give a list of texts")) };
        if !head.labels.contains(&label) {
            head.labels.push(label);
        }
    }
    head.assignee = text(line, &mut fields, "assignee")?.filter(|name| !name.is_empty());
    let body = text(line, &mut fields, "body")?.unwrap_or_default();
    let key = text(line, &mut fields, "key")?;
    let on = |on| match on {
        Value::String(key) => Ok(On::Key(key)),
        Value::Number(id) => match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) => Ok(On::Number(IssueId(id))),
            None => Err(bad(line, "depends_on: give numbers of issues, or keys of other lines")),
        },
        _ => Err(bad(line, "depends_on: give numbers of issues, or keys of other lines")),
    };
    let depends_on = list(line, &mut fields, "depends_on")?.into_iter().map(on).collect::<CliResult<_>>()?;
    if !fields.is_empty() {
        return Err(bad(line, "it has a field that issues do not have here").hint(format!("the fields are {FIELDS}")));
    }
    Ok(Row { line, key, issue: Issue { head, body: Issue::with_final_newline(body) }, depends_on })
}

fn text(line: usize, fields: &mut Map<String, Value>, name: &str) -> CliResult<Option<String>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(line, format!("{name}: give a text"))),
    }
}

fn list(line: usize, fields: &mut Map<String, Value>, name: &str) -> CliResult<Vec<Value>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(bad(line, format!("{name}: give a list"))),
    }
}

fn bad(line: usize, why: impl std::fmt::Display) -> CliError {
    CliError::new(Code::BadInput, format!("line {line}: {why}"))
        .hint("nothing was created; mend the line and run the command again")
        .detail("line", line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_found_wherever_it_is_and_nothing_else_is_one() {
        assert_eq!(cycle(&[vec![1], vec![2], vec![]]), None);
        assert_eq!(cycle(&[vec![1, 2], vec![2], vec![]]), None, "two ways to one row are no ring");
        assert_eq!(cycle(&[vec![0]]), Some(vec![0, 0]));
        assert_eq!(cycle(&[vec![], vec![2], vec![3], vec![1]]), Some(vec![1, 2, 3, 1]));
        assert_eq!(cycle(&[vec![1], vec![2], vec![1]]), Some(vec![1, 2, 1]), "the way into it is not part of it");
        let long: Vec<Vec<usize>> = (0..100_000).map(|row| vec![row + 1]).chain([vec![]]).collect();
        assert_eq!(cycle(&long), None, "however long, no stack is used up");
    }

    #[test]
    fn a_line_is_taken_apart_or_refused_without_repeating_it() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let row = parse(
            3,
            br#"{"title":"T","labels":["a","a"],"depends_on":[7,"k"],"priority":"high","status":"closed"}"#,
            now,
        );
        let row = row.unwrap();
        assert_eq!((row.line, row.issue.head.labels.len(), row.issue.head.priority), (3, 1, Priority::High));
        assert_eq!(row.depends_on, [On::Number(IssueId(7)), On::Key("k".into())]);
        assert_eq!(row.issue.head.status, Status::Closed);
        assert!(row.issue.head.closed_at.is_some());
        let wrong: [&[u8]; 8] = [
            b"[]",
            b"{\"title\":\"hunter2",
            br#"{"body":"hunter2"}"#,
            br#"{"title":["hunter2"]}"#,
            br#"{"title":"T","priority":"hunter2"}"#,
            br#"{"title":"T","depends_on":[-1]}"#,
            br#"{"title":"T","labels":"hunter2"}"#,
            br#"{"title":"T","hunter2":1}"#,
        ];
        for line in wrong {
            let error = format!("{:?}", parse(3, line, now).unwrap_err());
            assert!(error.contains("line 3: ") && !error.contains("hunter2"), "{error}");
        }
    }
}
