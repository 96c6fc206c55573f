//! Which process speaks for a session or an agent.
//!
//! A process id alone says little: the system gives it again once the process is gone. With the time at which the
//! process started it names one process of one run of the system.

use serde::{Deserialize, Serialize};

/// A process, and the system that runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its id, as seen in [`Process::namespace`].
    pub pid: u32,
    /// When it started, in clock ticks since the system started; none where the system does not tell.
    pub started: Option<u64>,
    /// Which run of the system that was: differs after every restart.
    pub boot: Option<String>,
    /// The pid namespace: containers each have a numbering of their own.
    pub namespace: Option<u64>,
    /// The name of the machine.
    pub host: Option<String>,
}
