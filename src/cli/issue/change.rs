//! `issue update`

use crate::claims;
use crate::db::Op;
use crate::schema::frontmatter;
use crate::schema::issue::Issue;
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::super::args::UpdateArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult};
use super::super::output;
use super::super::view::Owners;
use super::{admit, claim, clean, full, read_body, settled};

pub(super) fn run(context: &Context, mut args: UpdateArgs) -> CliResult<()> {
    if let Some(path) = args.body_file.take() {
        args.body = Some(read_body(&path)?);
    }
    if nothing_asked(&args) {
        return Err(CliError::usage("nothing to change was given"));
    }
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let id = args.id;
    let (changed, json) = context.write_claims(&project, &store, args.force, false, |txn, access| {
        claim::check(txn, id, access)?;
        let outcome = txn.try_update(id, args.expect, Op::Update, |issue, now| {
            let before = issue.clone();
            for setting in &mut args.set {
                *setting = clean_setting(context, &before, setting)?;
            }
            apply(&args, issue, now)?;
            admit(context, Some(&before), issue)
        })?;
        let changed = settled(id, &outcome)?;
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

fn apply(args: &UpdateArgs, issue: &mut Issue, now: Timestamp) -> CliResult<()> {
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
    for setting in &args.set {
        set(issue, setting)?;
    }
    if let Some(body) = &args.body {
        issue.body.clone_from(body);
    }
    if let Some(text) = &args.append {
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
