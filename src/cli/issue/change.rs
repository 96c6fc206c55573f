//! `issue update`

use crate::claims::{self, Access};
use crate::db::{Op, WriteTxn};
use crate::schema::frontmatter;
use crate::schema::id::IssueId;
use crate::schema::issue::Issue;
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::super::args::UpdateArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult};
use super::super::output;
use super::super::view::Owners;
use super::filter::Filter;
use super::{admit, claim, clean, full, read_body, settled};

pub(super) fn run(context: &Context, mut args: UpdateArgs) -> CliResult<()> {
    if let Some(path) = args.body_file.take() {
        args.body = Some(read_body(&path)?);
    }
    if nothing_asked(&args) {
        return Err(CliError::usage("nothing to change was given"));
    }
    match args.id {
        Some(id) => one(context, id, &args),
        None => all_matching(context, &args),
    }
}

fn one(context: &Context, id: IssueId, args: &UpdateArgs) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let (changed, json) = context.write_claims(&project, &store, args.force, false, |txn, access| {
        let changed = change(context, txn, access, id, args)?;
        let json = context.json.then(|| full(txn, &project, &owners, id)).transpose()?;
        Ok::<_, CliError>((changed, json))
    })?;
    match json {
        Some(json) => output::json(&json),
        None => output::text(&if changed {
            format!("updated issue #{id}\n")
        } else {
            format!("issue #{id} is so already\n")
        }),
    }
}

/// What a command that changes many says when it cannot change one.
const NOTHING: &str = "no issue was changed; leave that one out with another --where, or use --force where that helps";

/// Changes all issues of which the conditions hold, or none.
fn all_matching(context: &Context, args: &UpdateArgs) -> CliResult<()> {
    let filter = Filter::parse(&args.filters)?;
    let (project, store) = context.ready()?;
    let (ids, changed) = context.write_claims(&project, &store, args.force, false, |txn, access| {
        let ids: Vec<_> = filter.matching(txn)?.into_iter().map(|stored| stored.head.id).collect();
        let mut changed = 0;
        for &id in &ids {
            let one = change(context, txn, access, id, args);
            changed += usize::from(one.map_err(|error| error.detail("id", id).hint(NOTHING))?);
        }
        Ok::<_, CliError>((ids, changed))
    })?;
    if !context.json {
        let noun = if changed == 1 { "issue" } else { "issues" };
        let already = match ids.len() - changed {
            0 => String::new(),
            same => format!("; {same} more matched and needed no change"),
        };
        return output::text(&format!("updated {changed} {noun}{already}\n"));
    }
    // read afterwards, so that nobody waits for it
    let owners = Owners::new(context, &project);
    let read = store.read()?;
    let issues = ids.into_iter().map(|id| full(&read, &project, &owners, id)).collect::<Result<Vec<_>, _>>()?;
    drop(read);
    output::json(&issues)
}

/// Whether there was anything to change.
fn change(
    context: &Context,
    txn: &mut WriteTxn<'_>,
    access: Access<'_>,
    id: IssueId,
    args: &UpdateArgs,
) -> CliResult<bool> {
    claim::check(txn, id, access)?;
    let outcome = txn.try_update(id, args.expect, Op::Update, |issue, now| {
        let before = issue.clone();
        let cleaned = |setting| clean_setting(context, &before, setting);
        let settings = args.set.iter().map(|setting| cleaned(setting)).collect::<CliResult<Vec<_>>>()?;
        apply(args, &settings, issue, now)?;
        admit(context, Some(&before), issue)
    })?;
    settled(id, &outcome)
}

fn nothing_asked(args: &UpdateArgs) -> bool {
    args.title.is_none()
        && args.body.is_none()
        && args.append.is_none()
        && args.priority.is_none()
        && args.status.is_none()
        && args.assignee.is_none()
        && args.labels.is_none()
        && args.add_label.is_empty()
        && args.remove_label.is_empty()
        && args.set.is_empty()
}

fn apply(args: &UpdateArgs, settings: &[String], issue: &mut Issue, now: Timestamp) -> CliResult<()> {
    let old_body = issue.body.clone();
    let head = &mut issue.head;
    if let Some(title) = &args.title {
        head.title.clone_from(title);
    }
    if let Some(priority) = args.priority {
        head.priority = priority;
    }
    if let Some(status) = args.status {
        claims::set_status(head, status, now);
    }
    if let Some(assignee) = &args.assignee {
        head.assignee = Some(assignee.clone()).filter(|name| !name.is_empty());
    }
    if let Some(labels) = &args.labels {
        head.labels.clear();
        for label in labels.iter().filter(|label| !label.is_empty()) {
            if !head.labels.contains(label) {
                head.labels.push(label.clone());
            }
        }
    }
    head.labels.retain(|label| !args.remove_label.contains(label));
    for label in &args.add_label {
        if !head.labels.contains(label) {
            head.labels.push(label.clone());
        }
    }
    for setting in settings {
        set(issue, setting)?;
    }
    if let Some(body) = &args.body {
        issue.body.clone_from(body);
    }
    if let Some(text) = args.append.as_ref().filter(|text| !text.is_empty()) {
        let body = Issue::with_final_newline(std::mem::take(&mut issue.body));
        let gap = if body.is_empty() || body.ends_with("\n\n") { "" } else { "\n" };
        issue.body = format!("{body}{gap}{text}");
    }
    issue.body = Issue::with_line_ends_of(&old_body, Issue::with_final_newline(std::mem::take(&mut issue.body)));
    Ok(())
}

/// Longest key that can be set, in bytes.
const MAX_KEY: usize = 100;

/// A `KEY=VALUE` as it may be stored. It is looked at as a whole, because taking it apart may hide what it is.
fn clean_setting(context: &Context, before: &Issue, setting: &str) -> CliResult<String> {
    let old: Vec<&str> = before.head.extra.values().map(|extra| extra.yaml.as_str()).collect();
    clean(context, "set", &old.join("\n"), setting)
}

/// Sets a key that this tool does not know. The value is text unless it reads as a JSON number, word, list or map.
fn set(issue: &mut Issue, setting: &str) -> CliResult<()> {
    let Some((name, value)) = setting.split_once('=') else {
        return Err(CliError::usage(format!("--set {setting:?}: give KEY=VALUE")));
    };
    // a longer key takes a form in YAML that cannot be edited line by line
    if name.is_empty() || name.len() > MAX_KEY {
        return Err(CliError::usage(format!("--set: a key has 1 to {MAX_KEY} bytes")));
    }
    if frontmatter::KEYS.contains(&name) {
        return Err(CliError::usage(format!("--set {name}: that key has a flag or command of its own")));
    }
    if value.is_empty() {
        issue.head.extra.remove(name);
        return Ok(());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let extra = frontmatter::extra(name, value).map_err(|error| CliError::usage(format!("--set {name}: {error}")))?;
    issue.head.extra.insert(name.to_owned(), extra);
    Ok(())
}
