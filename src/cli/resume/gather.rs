//! Reading what there is to say.

use crate::db::ReadTxn;
use crate::db::query::{Classes, Query, Sort};
use crate::git::{CheckedOut, Git};
use crate::handoffs;
use crate::project::Project;
use crate::schema::id::printable;
use crate::schema::issue::Status;
use crate::validations;

use super::super::context::Context;
use super::super::error::CliResult;
use super::super::view::{Owners, is_alive};
use super::super::{handoff, keyed, validation};
use super::{ClaimJson, ConflictJson, Fact, IssuesJson, Item, NextJson, ProjectJson, ResumeJson, Section, Whole, text};

/// How many issues are named that could be next.
const NEXT: usize = 3;

pub(super) fn gather(context: &Context) -> CliResult<Whole> {
    let (project, read) = context.read()?;
    let author = context.author(&project)?;
    let names = handoff::names(&author);
    let now = author.now;
    let owners = Owners::new(context, &project);
    let git = Git::discover(project.root());
    let commit = git.as_ref().and_then(|git| git.head_commit(project.root()));
    let mut items = Vec::new();
    let mut add = |section, fact, lines: String| items.push(Item { section, fact, lines });

    for (_, conflict) in read.all_conflicts()? {
        let path = project.issue_path(&conflict.name);
        let line = format!("#{}  {}", conflict.id, printable(&conflict.fields.join(", "), false));
        add(Section::Conflicts, Fact::Conflict(ConflictJson { id: conflict.id, path, fields: conflict.fields }), line);
    }
    let (own, others) = claims(&read, &owners, &names)?;
    for claim in own {
        add(Section::OwnClaims, Fact::Claim(claim.clone()), text::claim(&claim, now));
    }
    for handoff in handoffs::open(&read, &names)? {
        let seen = handoff::Seen::new(&*read, handoff)?;
        add(Section::Handoffs, Fact::Record(seen.json().into()), text::handoff(&seen, now));
    }
    let latest = validations::latest(&read)?;
    let width = latest.iter().map(|run| run.name.chars().count()).max().unwrap_or_default().min(30);
    let mut passed = Vec::new();
    for run in latest {
        let section = if run.result.is_failing() { Section::Failing } else { Section::Validations };
        let seen = validation::Seen::new(&read, commit.as_deref(), run)?;
        let (fact, line) = (Fact::Record(seen.json().into()), validation::line(&seen, now, width));
        if section == Section::Failing { add(section, fact, line) } else { passed.push((fact, line)) }
    }
    for item in keyed::limits(&read, now)? {
        add(Section::Limits, Fact::Record(item.json.into()), item.line);
    }
    for item in keyed::pointers(&read)? {
        add(Section::Pointers, Fact::Record(item.json.into()), item.line);
    }
    let query = Query { classes: Classes::READY, sort: Sort::Priority, limit: Some(NEXT), ..Query::default() };
    for stored in read.list(&query, |stored| owners.is_free(&read, &stored.head))? {
        let head = stored.head;
        let next = NextJson { id: head.id, title: head.title, priority: head.priority, labels: head.labels };
        let line = text::next(&next);
        add(Section::Next, Fact::Next(next), line);
    }
    for claim in others {
        add(Section::OtherClaims, Fact::Claim(claim.clone()), text::claim(&claim, now));
    }
    for (fact, line) in passed {
        add(Section::Validations, fact, line);
    }
    for item in keyed::running(&read, now)? {
        add(Section::Runtime, Fact::Record(item.json.into()), item.line);
    }
    let issues = issues(&read)?;
    drop(read);
    let frame = ResumeJson {
        generated_at: now,
        project: where_it_is(&project, git.as_ref()),
        session: author.session.clone(),
        actor: author.actor.clone(),
        issues,
        conflicts: Vec::new(),
        claims: Vec::new(),
        handoffs: Vec::new(),
        validations: Vec::new(),
        limits: Vec::new(),
        pointers: Vec::new(),
        next: Vec::new(),
        runtime: Vec::new(),
        left_out: std::collections::BTreeMap::new(),
    };
    Ok(Whole { frame, items })
}

fn where_it_is(project: &Project, git: Option<&Git>) -> ProjectJson {
    let name = project.root().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let found = git.and_then(|git| git.checked_out(project.root(), project.folder()).ok());
    let dirty = found.as_ref().map(|found| found.dirty);
    let CheckedOut { commit, branch, .. } = found.unwrap_or_default();
    ProjectJson { name, commit, branch, dirty }
}

fn issues(read: &ReadTxn) -> CliResult<IssuesJson> {
    let counters = read.counters()?;
    Ok(IssuesJson {
        open: counters.with_status(Status::Open),
        closed: counters.with_status(Status::Closed),
        pending: read.all_pending()?.len() as u64,
    })
}

/// The issues that sessions have: the caller's, and those of others.
fn claims(read: &ReadTxn, owners: &Owners, names: &[&str]) -> CliResult<(Vec<ClaimJson>, Vec<ClaimJson>)> {
    // what other work trees have claimed is not assigned in this one
    let assigned = (!owners.are_elsewhere(read)?).then_some(true);
    let query = Query { classes: Classes::OPEN, assigned, sort: Sort::Priority, ..Query::default() };
    let mut claims = Vec::new();
    for stored in read.list(&query, |_| Ok(true))? {
        let Some(owner) = owners.of(read, &stored.head)? else { continue };
        let alive = is_alive(&owner);
        let own = names.contains(&owner.assignment.session.as_str());
        let head = stored.head;
        claims.push(ClaimJson {
            id: head.id,
            title: head.title,
            priority: head.priority,
            session: owner.assignment.session,
            acquired_at: owner.assignment.acquired_at,
            alive,
            elsewhere: owner.elsewhere,
            own,
        });
    }
    Ok(claims.into_iter().partition(|claim| claim.own))
}
