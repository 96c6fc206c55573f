//! `issue edit`

use crate::db::Op;
use crate::db::record::Versioned;
use crate::schema::frontmatter;
use crate::schema::id::IssueId;
use crate::schema::issue::Issue;

use super::super::context::Context;
use super::super::editor::{self, Edited};
use super::super::error::{CliError, CliResult, Code};
use super::super::output;
use super::super::view::Owners;
use super::{admit, claim, full, settled};

pub(super) fn run(context: &Context, id: IssueId) -> CliResult<()> {
    let (project, store) = context.ready()?;
    let owners = Owners::new(context, &project);
    let before = {
        let read = store.read()?;
        let stored = super::head(&read, id)?;
        read.issue(stored.head.id)?.ok_or_else(|| CliError::no_issue(id))?
    };
    let edited = editor::edit(&frontmatter::render(&before.issue), &before.issue.head.file_name().to_string())?;
    let after = match read_back(&before, &edited) {
        Ok(after) => after,
        Err(error) => return Err(error.hint(format!("nothing was changed; your text is in {}", edited.keep()))),
    };
    // the clock moved on while the editor was open
    let result = context.write_claims(&project, &store, false, false, |txn, access| {
        claim::check(txn, id, access)?;
        let outcome = txn.try_update(id, Some(before.hash), Op::Update, |issue, now| {
            let (created, slug) = (issue.head.created_at, issue.head.slug.clone());
            *issue = after;
            issue.body = Issue::with_line_ends_of(&before.issue.body, std::mem::take(&mut issue.body));
            issue.head.created_at = created;
            issue.head.slug = slug;
            if issue.head.status != before.issue.head.status {
                let closed = issue.head.status == crate::schema::issue::Status::Closed;
                issue.head.closed_at = closed.then(|| issue.head.closed_at.unwrap_or(now));
                issue.head.assigned_to = None;
            }
            admit(context, Some(&before.issue), issue)
        })?;
        let changed = settled(id, &outcome)?;
        for link in super::head(txn, id)?.head.depends_on {
            if let Some(on) = txn.resolve(&link)?
                && let Some(way) = super::dep::path(txn, on, id)?
            {
                let way = super::dep::chain(&way);
                return Err(CliError::usage(format!("#{id} cannot wait for #{on}, which waits for #{id}: {way}")));
            }
        }
        txn.normalize_links(std::iter::once(&before.issue.head.identity()))?;
        let json = context.json.then(|| full(txn, &project, &owners, id)).transpose()?;
        Ok::<_, CliError>((changed, json))
    });
    match result {
        Ok((_, Some(json))) => output::json(&json),
        Ok((true, None)) => output::text(&format!("updated issue #{id}\n")),
        Ok((false, None)) => output::text(&format!("issue #{id} was not changed\n")),
        Err(error) => Err(error.hint(format!("nothing was changed; your text is in {}", edited.keep()))),
    }
}

fn read_back(before: &Versioned, edited: &Edited) -> CliResult<Issue> {
    let issue = frontmatter::parse(edited.text.as_bytes()).map_err(|bad| CliError::new(Code::BadInput, bad))?;
    let (old, new) = (&before.issue.head, &issue.head);
    if old.id != new.id || old.created_at != new.created_at {
        return Err(CliError::usage("id and created_at say which issue this is and cannot be edited"));
    }
    Ok(issue)
}
