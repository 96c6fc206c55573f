//! The operations as steps of a transaction.

use crate::db::tables::{Readable, Tables};
use crate::db::{Op, StoreError, WriteTxn};
use crate::import::agents::merge;
use crate::liveness::{Liveness, process};
use crate::schema::agent::{Agent, AgentId, is_label};
use crate::schema::retention::Policy;
use crate::schema::time::Timestamp;

use super::MAX_TRIES;
use super::error::AgentError;

/// Every agent that is stored, expired or not, oldest first.
///
/// # Errors
/// If the database fails; so for all functions here.
pub fn all<T: Readable>(tables: &Tables<T>) -> Result<Vec<Agent>, StoreError> {
    let mut agents = tables.records::<Agent>()?;
    agents.sort_by_key(|agent| (agent.created_at, agent.id));
    Ok(agents)
}

/// The agents that have not expired, oldest first.
///
/// # Errors
/// See [`all`].
pub fn list<T: Readable>(tables: &Tables<T>, now: Timestamp) -> Result<Vec<Agent>, StoreError> {
    let mut agents = all(tables)?;
    agents.retain(|agent| !agent.is_expired(now));
    Ok(agents)
}

/// How many agents have not expired.
///
/// # Errors
/// See [`all`].
pub fn count<T: Readable>(tables: &Tables<T>, now: Timestamp) -> Result<usize, StoreError> {
    Ok(tables.records::<Agent>()?.iter().filter(|agent| !agent.is_expired(now)).count())
}

/// An agent, expired or not; none if it is not there.
///
/// # Errors
/// See [`all`].
pub fn find<T: Readable>(tables: &Tables<T>, id: AgentId) -> Result<Option<Agent>, StoreError> {
    tables.record(&id.to_string())
}

/// An agent that has not expired.
///
/// # Errors
/// [`AgentError::NotFound`], or see [`all`].
pub fn get<T: Readable>(tables: &Tables<T>, id: AgentId, now: Timestamp) -> Result<Agent, AgentError> {
    find(tables, id)?.filter(|agent| !agent.is_expired(now)).ok_or(AgentError::NotFound(id))
}

/// Whether an agent is alive, by its process. One without a process is unknown, and so is one of another machine. Of a
/// process whose start nobody noted, such as that of an imported agent, only one that is no younger than the agent
/// counts.
#[must_use]
pub fn liveness(agent: &Agent) -> Liveness {
    agent.process.as_ref().map_or(Liveness::Unknown, |process| process::state(process, Some(agent.created_at)))
}

/// An id that no agent has, expired ones included. `also` says what else it must not be.
///
/// # Errors
/// [`AgentError::NoFreeId`], [`AgentError::Random`], or see [`all`].
pub fn new_id<T: Readable, E: std::fmt::Display>(
    tables: &Tables<T>,
    also: Option<AgentId>,
    mut random: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<AgentId, AgentError> {
    for _ in 0..MAX_TRIES {
        let id = AgentId::generate(&mut random).map_err(|error| AgentError::Random(error.to_string()))?;
        if also != Some(id) && find(tables, id)?.is_none() {
            return Ok(id);
        }
    }
    Err(AgentError::NoFreeId)
}

/// Adds an agent.
///
/// # Errors
/// [`AgentError::Exists`], [`AgentError::NotALabel`], or see [`all`].
pub fn add(txn: &mut WriteTxn<'_>, agent: &Agent) -> Result<(), AgentError> {
    if find(txn, agent.id)?.is_some() {
        return Err(AgentError::Exists(agent.id));
    }
    put(txn, agent, Op::Create)
}

/// Changes an agent by a function; its id stays what it is.
///
/// # Errors
/// [`AgentError::NotFound`], [`AgentError::NotALabel`], or see [`all`].
pub fn update(txn: &mut WriteTxn<'_>, id: AgentId, change: impl FnOnce(&mut Agent)) -> Result<Agent, AgentError> {
    step(txn, id, Op::Update, change)
}

/// Counts one more prime.
///
/// # Errors
/// [`AgentError::NotFound`], or see [`all`].
pub fn increment_prime_count(txn: &mut WriteTxn<'_>, id: AgentId) -> Result<Agent, AgentError> {
    step(txn, id, Op::Prime, |agent| agent.primes = agent.primes.saturating_add(1))
}

/// Adds what one command put into an agent's context.
///
/// # Errors
/// [`AgentError::NotFound`], or see [`all`].
pub fn count_context(txn: &mut WriteTxn<'_>, id: AgentId, bytes: u64) -> Result<Agent, AgentError> {
    let now = txn.author().now;
    step(txn, id, Op::Count, |agent| agent.context.add(bytes, now))
}

/// Takes in an agent that another program registered; see [`merge`] for one that is known. Answers whether it is new,
/// and none if nothing changed. What is wrong with its texts is the reader's business.
///
/// # Errors
/// See [`all`].
pub fn import(txn: &mut WriteTxn<'_>, theirs: &Agent) -> Result<Option<bool>, StoreError> {
    let ours = find(txn, theirs.id)?;
    let merged = ours.as_ref().map_or_else(|| theirs.clone(), |ours| merge(ours, theirs));
    Ok(txn.put_record(&merged, Op::Import)?.then_some(ours.is_none()))
}

/// Forgets the agents that have expired and, beyond [`MAX_AGENTS`](super::MAX_AGENTS) or as many as the store was told to keep, the oldest;
/// but for `keep`. Answers which. A clock far ahead is not believed, see [`Tables::believed`].
///
/// # Errors
/// See [`all`].
pub fn prune(txn: &mut WriteTxn<'_>, keep: Option<AgentId>) -> Result<Vec<AgentId>, StoreError> {
    let policy = txn.policy().copied().unwrap_or_default();
    let gone = policy.surplus_agents(&all(txn)?, txn.believed(txn.author().now)?, keep);
    for id in &gone {
        txn.remove_record::<Agent>(&id.to_string(), Op::Prune)?;
    }
    Ok(gone)
}

/// Which of all agents, oldest first, [`prune`] would forget in a store that was told nothing else.
#[must_use]
pub fn surplus(agents: &[Agent], now: Timestamp, keep: Option<AgentId>) -> Vec<AgentId> {
    Policy::DEFAULT.surplus_agents(agents, now, keep)
}

pub(super) fn step(
    txn: &mut WriteTxn<'_>,
    id: AgentId,
    op: Op,
    change: impl FnOnce(&mut Agent),
) -> Result<Agent, AgentError> {
    let mut agent = get(txn, id, txn.author().now)?;
    change(&mut agent);
    agent.id = id;
    put(txn, &agent, op)?;
    Ok(agent)
}

pub(super) fn put(txn: &mut WriteTxn<'_>, agent: &Agent, op: Op) -> Result<(), AgentError> {
    for (field, text) in agent.labels() {
        if text.is_some_and(|text| !is_label(text)) {
            return Err(AgentError::NotALabel(field));
        }
    }
    txn.put_record(agent, op)?;
    Ok(())
}
