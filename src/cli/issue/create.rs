//! `issue create`

use crate::schema::id::{IssueId, Link};
use crate::schema::issue::{Issue, IssueHead};

use super::super::args::CreateArgs;
use super::super::context::Context;
use super::super::error::{CliError, CliResult};
use super::super::output;
use super::super::view::Owners;
use super::{admit, full, read_body};

pub(super) fn run(context: &Context, args: CreateArgs) -> CliResult<()> {
    let body = match (args.body, args.body_file) {
        (Some(body), _) => body,
        (None, Some(path)) => read_body(&path)?,
        (None, None) => String::new(),
    };
    let session = context.session()?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let mut head = IssueHead::new(IssueId(0), args.title.unwrap_or_default(), author.now);
    head.priority = args.priority.unwrap_or_default();
    for label in args.labels {
        if !head.labels.contains(&label) {
            head.labels.push(label);
        }
    }
    head.assignee = args.assignee.filter(|name| !name.is_empty());
    head.sessions = session.iter().map(ToString::to_string).collect();
    let mut issue = Issue { head, body: Issue::with_final_newline(body) };
    admit(context, None, &mut issue)?;
    // a redacted title must not live on in the file name
    issue.head.slug = crate::schema::id::Slug::from_title(&issue.head.title);

    let owners = Owners::new(context, &project);
    let (id, json) = store.write(&author, |txn| {
        let mut links: Vec<Link> = Vec::new();
        for id in &args.depends_on {
            let target = super::head(txn, *id)?;
            if !links.contains(&target.head.link()) {
                links.push(target.head.link());
            }
        }
        let created = txn.create(|id, now| {
            issue.head.id = id;
            issue.head.created_at = now;
            issue.head.updated_at = now;
            issue.head.depends_on = links;
            issue
        })?;
        let id = created.issue.head.id;
        let json = context.json.then(|| full(txn, &project, &owners, id)).transpose()?;
        Ok::<_, CliError>((id, json))
    })?;
    match json {
        Some(json) => output::json(&json),
        None => output::text(&format!("{id}\n")),
    }
}
