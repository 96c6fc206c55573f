//! Agent instances: the original registry's operations, over this crate's store.
//!
//! An agent is primed when it begins: it gets an id, which it and its commands go by for a day. The registry is for
//! looking around (who is at work, started by whom, told how much) and guards nothing; see [`crate::claims`] for that.
//!
//! [`Agents`] has the original's operations, each a transaction of its own. The functions of this module are their parts,
//! for programs that do more in one transaction. What differs from the original, differs on purpose:
//!
//! - Whether an id is free is asked in the transaction that takes it, so no two processes get the same, and no prime is
//!   lost between two that count at once.
//! - An agent that was renewed with an earlier end is over at that end; no older row comes back.
//! - To add an agent whose id is taken is refused.
//! - No more than [`MAX_AGENTS`] are kept, whoever primes, unless the store was told otherwise.
//! - Whether an agent is alive is asked of its process, not of whoever has that process id now.
//!
//! An agent that has expired is as good as gone: only [`all`] still shows it, until it is pruned.
//!
//! ```
//! use oxi_state::agents::{AgentError, Agents, Prime};
//! use oxi_state::db::{Author, Store};
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), std::time::Duration::from_secs(10))?;
//! store.create_if_missing()?;
//! let at = |now: &str| -> Result<Author, Box<dyn std::error::Error>> {
//!     Ok(Author { actor: "ada".into(), session: Some("s1".parse()?), now: now.parse()? })
//! };
//!
//! let agents = Agents::new(&store, at("2026-11-20T12:00:00Z")?);
//! let primed = agents.prime(&Prime::default(), getrandom::fill)?;
//! assert!(primed.is_new);
//! let again = agents.prime(&Prime::default(), getrandom::fill)?;
//! assert_eq!((again.agent.id, again.agent.primes), (primed.agent.id, 2));
//! agents.count_context(primed.agent.id, 4096)?;
//! assert_eq!(agents.get(primed.agent.id)?.context.tokens, 1024);
//!
//! let later = Agents::new(&store, at("2026-11-21T12:00:00.000000001Z")?);
//! assert!(matches!(later.get(primed.agent.id), Err(AgentError::NotFound(_))));
//! assert_eq!(later.prune()?, [primed.agent.id]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod counting;
mod error;
mod prime;
mod steps;

use crate::db::{Author, Store};
use crate::schema::agent::{Agent, AgentId};
use crate::schema::retention::Policy;

pub use counting::CountingWriter;
pub use error::AgentError;
pub use prime::{Prime, Primed, Which, is_excessive, prime};
pub use steps::{
    add, all, count, count_context, find, get, import, increment_prime_count, list, liveness, new_id, prune, surplus,
    update,
};

/// How many agents are kept when they are pruned, unless the store was told otherwise.
pub const MAX_AGENTS: usize = Policy::DEFAULT.agents as usize;

/// How often a new id is tried.
pub const MAX_TRIES: usize = 10;

/// From this count of primes on, an agent is primed more often than it should need.
pub const EXCESSIVE_PRIMES: u32 = 6;

/// The agents of a project, at one time: each operation sees the clock as it was when this was made. Cheap to make.
#[derive(Clone, Debug)]
pub struct Agents<'s> {
    store: &'s Store,
    author: Author,
}

impl<'s> Agents<'s> {
    /// The agents in a store, for a caller who speaks at a time.
    #[must_use]
    pub fn new(store: &'s Store, author: Author) -> Self {
        Self { store, author }
    }

    /// Adds an agent.
    ///
    /// # Errors
    /// [`AgentError::Exists`], [`AgentError::NotALabel`], or if the database fails; the last is so for all functions here.
    pub fn add(&self, agent: &Agent) -> Result<(), AgentError> {
        self.store.write(&self.author, |txn| add(txn, agent))
    }

    /// An agent that has not expired.
    ///
    /// # Errors
    /// [`AgentError::NotFound`].
    pub fn get(&self, id: AgentId) -> Result<Agent, AgentError> {
        get(&*self.store.read()?, id, self.author.now)
    }

    /// The agents that have not expired, oldest first.
    ///
    /// # Errors
    /// See [`Agents::add`].
    pub fn list(&self) -> Result<Vec<Agent>, AgentError> {
        Ok(list(&*self.store.read()?, self.author.now)?)
    }

    /// How many agents have not expired.
    ///
    /// # Errors
    /// See [`Agents::add`].
    pub fn count(&self) -> Result<usize, AgentError> {
        Ok(count(&*self.store.read()?, self.author.now)?)
    }

    /// Changes an agent by a function; its id stays what it is. Answers the agent as it is then.
    ///
    /// # Errors
    /// [`AgentError::NotFound`], [`AgentError::NotALabel`].
    pub fn update(&self, id: AgentId, change: impl FnOnce(&mut Agent)) -> Result<Agent, AgentError> {
        self.store.write(&self.author, |txn| update(txn, id, change))
    }

    /// Counts one more prime of an agent. Its end stays.
    ///
    /// # Errors
    /// [`AgentError::NotFound`].
    pub fn increment_prime_count(&self, id: AgentId) -> Result<Agent, AgentError> {
        self.store.write(&self.author, |txn| increment_prime_count(txn, id))
    }

    /// Adds what one command put into an agent's context. A command that put in nothing is not counted.
    ///
    /// # Errors
    /// [`AgentError::NotFound`].
    pub fn count_context(&self, id: AgentId, bytes: u64) -> Result<Agent, AgentError> {
        self.store.write(&self.author, |txn| count_context(txn, id, bytes))
    }

    /// Forgets the agents that have expired and, beyond [`MAX_AGENTS`], the oldest. Answers which.
    ///
    /// # Errors
    /// See [`Agents::add`].
    pub fn prune(&self) -> Result<Vec<AgentId>, AgentError> {
        Ok(self.store.write(&self.author, |txn| prune(txn, None))?)
    }

    /// Primes the calling agent: finds it again, or registers it.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] if it is named and not there, [`AgentError::NoFreeId`], [`AgentError::NotALabel`],
    /// [`AgentError::Random`].
    pub fn prime<E: std::fmt::Display>(
        &self,
        request: &Prime,
        random: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Primed, AgentError> {
        self.store.write(&self.author, |txn| prime(txn, request, random))
    }
}

#[cfg(test)]
mod tests;
