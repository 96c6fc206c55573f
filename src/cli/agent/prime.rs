//! `agent prime`

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::agents::{self, Agents, Prime, Which, is_excessive};
use crate::db::{Author, Store};
use crate::liveness::process;
use crate::schema::agent::{Agent, AgentId, is_label};
use crate::schema::process::Process;
use crate::schema::session::MAX_NAME;

use super::super::args::PrimeArgs;
use super::super::context::{Context, calling_agent};
use super::super::error::{CliError, CliResult, Code};
use super::super::{issue, output};
use super::view::AgentJson;

/// How long the count of what was printed may wait for other processes.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);

/// The agent, and a warning if it is primed too often.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct PrimedJson {
    #[serde(flatten)]
    agent: AgentJson,
    /// From the sixth prime on: what happened, and what to do.
    notice: Option<String>,
}

pub(super) fn run(context: &Context, args: PrimeArgs) -> CliResult<()> {
    let which = match (&args.id, args.new) {
        (Some(id), _) => Which::Id(super::parse(id)?),
        (None, true) => Which::New,
        (None, false) => Which::Mine,
    };
    let request = Prime {
        which,
        caller: caller(context),
        process: speaker(args.pid)?,
        agent_type: label(context, "type", args.agent_type)?,
        agent_version: label(context, "agent-version", args.agent_version)?,
        model: label(context, "model", args.model)?,
    };
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let primed = Agents::new(&store, author.clone()).prime(&request, getrandom::fill)?;
    let notice = notice(&primed.agent);
    let id = primed.agent.id;
    let bytes = if context.json {
        let agent = AgentJson::new(&primed.agent, agents::liveness(&primed.agent), author.now);
        output::counted_json(&PrimedJson { agent, notice })
    } else {
        if let Some(notice) = notice {
            context.note(&notice);
        }
        output::counted_text(&format!("{id}\n"))
    }?;
    count(&store, author, id, bytes);
    Ok(())
}

/// Adds what was printed to what the agent was told. The answer is out already, so a failure here is nobody's business.
pub(in crate::cli) fn count(store: &Store, author: Author, id: AgentId, bytes: u64) {
    let impatient = Store::in_dir(store.dir().clone(), store.timeout().min(COUNT_TIMEOUT));
    let _ = Agents::new(&impatient, author).count_context(id, bytes);
}

fn notice(agent: &Agent) -> Option<String> {
    is_excessive(agent.primes).then(|| {
        format!(
            "agent {0} has been primed {1} times, and once is enough; take `agent prime` out of the hook or script that \
             repeats it, and go by OXI_STATE_AGENT={0}",
            agent.id, agent.primes
        )
    })
}

/// The agent that the caller goes by. What is no id there is somebody else's mistake, and stops nobody.
pub(in crate::cli) fn caller(context: &Context) -> Option<AgentId> {
    let (name, text) = calling_agent()?;
    let id = text.parse();
    if id.is_err() {
        context.note(&format!("{name} is not an agent's id, and is passed over; `oxi-state agent list` shows them"));
    }
    id.ok()
}

/// The process that speaks for the agent: the one that was named, else the one that called.
fn speaker(pid: Option<u32>) -> CliResult<Option<Process>> {
    let Some(pid) = pid else { return Ok(process::of(std::os::unix::process::parent_id())) };
    let process = process::of(pid).ok_or_else(|| {
        CliError::new(Code::NotFound, format!("there is no process {pid}"))
            .hint("name one that runs, such as --pid $$ for the shell itself")
            .detail("pid", pid)
    })?;
    Ok(Some(process))
}

/// A text that says what the agent is, as it may be stored.
fn label(context: &Context, name: &'static str, text: Option<String>) -> CliResult<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let clean = issue::clean(context, name, "", &text)?;
    if is_label(&clean) {
        return Ok(Some(clean));
    }
    Err(CliError::usage(format!("--{name} takes 1 to {MAX_NAME} bytes without control characters")))
}
