//! `oxi-state agent …`

mod import;
mod prime;
mod view;

use schemars::JsonSchema;
use serde::Serialize;

use crate::agents::{self, AgentError, Agents};
use crate::schema::agent::{AgentId, classify};

use super::args::AgentCommand;
use super::context::{Context, now, variable};
use super::error::{CliError, CliResult, Code};
use super::{output, session};

pub(super) use import::ImportJson;
pub(super) use prime::{PrimedJson, caller, count};
pub(super) use view::{AgentJson, liveness_of};

pub(super) fn run(context: &Context, command: AgentCommand) -> CliResult<Option<Code>> {
    match command {
        AgentCommand::Prime(args) => prime::run(context, *args.0),
        AgentCommand::List { all } => list(context, all),
        AgentCommand::Show { id } => show(context, id),
        AgentCommand::CountContext { id, bytes } => count_context(context, &id, bytes),
        AgentCommand::Prune { dry_run } => prune(context, dry_run),
        AgentCommand::Import { file } => return import::run(context, &file),
    }
    .map(|()| None)
}

/// The id that somebody gave, or what it looks like instead.
fn parse(text: &str) -> CliResult<AgentId> {
    text.parse().map_err(|error| {
        let Some(bad) = classify(text) else { return CliError::usage(error) };
        CliError::usage(bad.problem()).hint(bad.remedy("oxi-state"))
    })
}

fn list(context: &Context, all: bool) -> CliResult<()> {
    let (project, read) = context.read()?;
    let (watch, now) = (session::watch(context, &project)?, now());
    let mut agents = Vec::new();
    for agent in agents::all(&*read)? {
        agents.push(AgentJson::new(&agent, view::liveness_of(&read, &watch, &agent)?, now));
    }
    drop(read);
    let known = agents.len() as u64;
    agents.retain(|agent| all || agent.is_at_work());
    if context.json {
        return output::json(&agents);
    }
    output::text(&view::tree(&agents))?;
    let hidden = known - agents.len() as u64;
    if hidden > 0 {
        context.note(&format!("{} more, dead or expired; --all shows them", view::number(hidden, "agent")));
    }
    Ok(())
}

fn show(context: &Context, id: Option<String>) -> CliResult<()> {
    let id = id.or_else(|| variable("OXI_STATE_AGENT")).ok_or_else(|| {
        CliError::usage("which agent?").hint("name one, or set OXI_STATE_AGENT; `oxi-state agent list` shows them")
    })?;
    let id = parse(&id)?;
    let (project, read) = context.read()?;
    let agent = agents::find(&*read, id)?.ok_or(AgentError::NotFound(id))?;
    let agent = AgentJson::new(&agent, view::liveness_of(&read, &session::watch(context, &project)?, &agent)?, now());
    drop(read);
    if context.json { output::json(&agent) } else { output::text(&view::full(&agent)) }
}

fn count_context(context: &Context, id: &str, bytes: u64) -> CliResult<()> {
    let id = parse(id)?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let now = author.now;
    let agent = Agents::new(&store, author).count_context(id, bytes)?;
    if context.json {
        let liveness = view::liveness_of(&*store.read()?, &session::watch(context, &project)?, &agent)?;
        return output::json(&AgentJson::new(&agent, liveness, now));
    }
    output::text(&format!("{id} was told {}\n", view::told(&agent.context)))
}

/// What `agent prune` answers.
#[derive(Serialize, JsonSchema)]
struct PruneJson {
    pruned: Vec<String>,
}

fn prune(context: &Context, dry_run: bool) -> CliResult<()> {
    let gone = if dry_run {
        let (_, read) = context.read()?;
        context.retained().surplus_agents(&agents::all(&*read)?, read.believed(now())?, None)
    } else {
        let (project, store) = context.ready()?;
        Agents::new(&store, context.author(&project)?).prune()?
    };
    if context.json {
        return output::json(&PruneJson { pruned: gone.iter().map(ToString::to_string).collect() });
    }
    let done = if dry_run { "would forget" } else { "forgot" };
    output::text(&format!("{done} {}\n", view::number(gone.len() as u64, "agent")))
}
