//! Priming: which agent it is that calls, and what becomes of its record.

use chrono::TimeDelta;

use crate::db::{Op, WriteTxn};
use crate::liveness::Liveness;
use crate::schema::agent::{Agent, AgentId, Oxsid};
use crate::schema::id::SessionId;
use crate::schema::process::Process;
use crate::schema::time::Timestamp;

use super::error::AgentError;
use super::steps::{all, get, list, liveness, new_id, prune, put, step};
use super::{EXCESSIVE_PRIMES, MAX_AGENTS};

/// Which agent is to be primed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The one that was primed before in the caller's session or by the calling process, else a new one.
    #[default]
    Mine,
    /// This one, which must be there.
    Id(AgentId),
    /// A new one, whoever calls.
    New,
}

/// Who asks to be primed. The session is that of the transaction's author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prime {
    /// Which agent.
    pub which: Which,
    /// The process that speaks for it.
    pub process: Option<Process>,
    /// The agent that the caller goes by already: the parent of a new one, and the one meant where several could be.
    pub caller: Option<AgentId>,
    /// What program it is.
    pub agent_type: Option<String>,
    /// That program's version.
    pub agent_version: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primed {
    /// The agent as it is now.
    pub agent: Agent,
    /// Whether it was registered just now.
    pub is_new: bool,
    /// The agents that were forgotten to make room.
    pub pruned: Vec<AgentId>,
}

/// Whether an agent has been primed so often that something is wrong with how it is used.
#[must_use]
pub const fn is_excessive(primes: u32) -> bool {
    primes >= EXCESSIVE_PRIMES
}

/// Primes an agent: finds it again, counts and fills in what is given, or registers a new one. The end of one that is
/// found again stays. Makes room beyond [`MAX_AGENTS`].
///
/// # Errors
/// [`AgentError::NotFound`] if it is named and not there, [`AgentError::NoFreeId`], [`AgentError::Random`],
/// [`AgentError::NotALabel`], or if the database fails.
pub fn prime<E: std::fmt::Display>(
    txn: &mut WriteTxn<'_>,
    request: &Prime,
    random: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Primed, AgentError> {
    let now = txn.author().now;
    let found = match request.which {
        Which::New => None,
        Which::Id(id) => Some(get(txn, id, now)?.id),
        Which::Mine => mine(&list(txn, now)?, request, txn.author().session.as_ref()),
    };
    let agent = match found {
        Some(id) => again(txn, id, request)?,
        None => first(txn, request, random)?,
    };
    let most = txn.policy().map_or(MAX_AGENTS, |policy| policy.agents as usize);
    let pruned = if all(txn)?.len() > most { prune(txn, Some(agent.id))? } else { Vec::new() };
    Ok(Primed { agent, is_new: found.is_none(), pruned })
}

/// The caller's agent among those that have not expired: one of its session, else one of its process. Where several of
/// a session are left, the one that the caller goes by, else the one of its process, else the newest.
fn mine(agents: &[Agent], request: &Prime, session: Option<&SessionId>) -> Option<AgentId> {
    let in_session = |agent: &&Agent| session.is_some() && agent.session.as_ref() == session;
    let by_process = |agent: &&Agent| is_same(agent.process.as_ref(), request.process.as_ref());
    let newest_first = || agents.iter().rev();
    newest_first()
        .filter(in_session)
        .find(|agent| Some(agent.id) == request.caller)
        .or_else(|| newest_first().filter(in_session).find(by_process))
        .or_else(|| newest_first().find(in_session))
        .or_else(|| newest_first().find(by_process))
        .map(|agent| agent.id)
}

/// Whether two descriptions are certain to be of one process: an id alone is given again to others.
fn is_same(one: Option<&Process>, other: Option<&Process>) -> bool {
    one.is_some_and(|process| process.started.is_some()) && one == other
}

fn again(txn: &mut WriteTxn<'_>, id: AgentId, request: &Prime) -> Result<Agent, AgentError> {
    let session = txn.author().session.clone();
    step(txn, id, Op::Prime, |agent| {
        agent.primes = agent.primes.saturating_add(1);
        // a program that was started again speaks for it from now on; one that still runs goes on doing so
        if request.process.is_some() && liveness(agent) != Liveness::Alive {
            agent.process.clone_from(&request.process);
        }
        agent.session = session.or_else(|| agent.session.take());
        say(agent, request);
    })
}

fn first<E: std::fmt::Display>(
    txn: &mut WriteTxn<'_>,
    request: &Prime,
    mut random: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Agent, AgentError> {
    let now = txn.author().now;
    let id = new_id(txn, request.caller, &mut random)?;
    let oxsid = Oxsid::generate(now, random).map_err(|error| AgentError::Random(error.to_string()))?;
    let mut agent = Agent::begin(id, oxsid, now);
    if let Some(policy) = txn.policy() {
        let end = now.get().checked_add_signed(TimeDelta::hours(policy.agents_hours.into()));
        agent.expires_at = end.map_or(agent.expires_at, Timestamp::new);
    }
    agent.parent = request.caller;
    agent.process.clone_from(&request.process);
    agent.session.clone_from(&txn.author().session);
    say(&mut agent, request);
    put(txn, &agent, Op::Prime)?;
    Ok(agent)
}

/// Takes over what the caller says of itself.
fn say(agent: &mut Agent, request: &Prime) {
    for (field, given) in [
        (&mut agent.agent_type, &request.agent_type),
        (&mut agent.agent_version, &request.agent_version),
        (&mut agent.model, &request.model),
    ] {
        if given.is_some() {
            field.clone_from(given);
        }
    }
}
