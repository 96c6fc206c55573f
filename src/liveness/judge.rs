//! From what lock files, processes and the record say to whether a session lives: a pure decision.

use super::Liveness;
use super::payload::Payload;

/// What a lock file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Somebody holds the lock.
    Held,
    /// The file is there, and nobody holds it.
    Free,
    /// There is no lock file, or can be none of such a name.
    Absent,
    /// It is there and cannot be asked: no permission, a link, a directory, a file system without locks.
    Unusable,
}

/// What one folder of lock files tells of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The lock.
    pub lock: LockState,
    /// What the file says, if it can be understood.
    pub payload: Option<Payload>,
    /// Whether the process that the payload names lives; none if it names none, or the lock tells already.
    pub process: Option<Liveness>,
}

impl Evidence {
    /// A lock file of which nothing more is known.
    #[must_use]
    pub const fn of(lock: LockState) -> Self {
        Self { lock, payload: None, process: None }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lives.
    Alive,
    /// It is over, or its process is.
    Dead,
    /// There are traces of it, and this machine cannot tell.
    Unknown,
    /// This machine has no trace of it: how old its claim is must decide.
    NeverSeen,
}

impl Standing {
    /// Whether it is alive, where a claim of a session that was never seen here is past the benefit of the doubt or not.
    #[must_use]
    pub const fn with_claim(self, is_old: bool) -> Liveness {
        match self {
            Self::Alive => Liveness::Alive,
            Self::Dead => Liveness::Dead,
            Self::NeverSeen if is_old => Liveness::Dead,
            Self::Unknown | Self::NeverSeen => Liveness::Unknown,
        }
    }
}

/// Decides. `registered` is the liveness of the process that the session's record names, `ended` whether the record says
/// that it is over (what its process does since then is its own affair).
///
/// Any sign of life wins, then any doubt, then any sign of death.
#[must_use]
pub fn judge(evidence: &[Evidence], registered: Option<Liveness>, ended: bool) -> Standing {
    let lock = |state| evidence.iter().any(|evidence| evidence.lock == state);
    let processes: Vec<_> =
        evidence.iter().filter_map(|evidence| evidence.process).chain(registered.filter(|_| !ended)).collect();
    if lock(LockState::Held) || processes.contains(&Liveness::Alive) {
        Standing::Alive
    } else if lock(LockState::Unusable) || processes.contains(&Liveness::Unknown) {
        Standing::Unknown
    } else if ended || lock(LockState::Free) || processes.contains(&Liveness::Dead) {
        Standing::Dead
    } else {
        Standing::NeverSeen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: [LockState; 4] = [LockState::Held, LockState::Free, LockState::Absent, LockState::Unusable];
    const PROCESSES: [Option<Liveness>; 4] =
        [None, Some(Liveness::Alive), Some(Liveness::Dead), Some(Liveness::Unknown)];

    fn one(lock: LockState, process: Option<Liveness>) -> Evidence {
        Evidence { lock, payload: None, process }
    }

    #[test]
    fn one_folder_as_a_table() {
        use Standing::{Alive, Dead, NeverSeen, Unknown};
        // rows: lock; columns: registered process none, alive, dead, unknown
        let with = |process| LOCKS.map(|lock| PROCESSES.map(|known| judge(&[one(lock, process)], known, false)));
        assert_eq!(
            with(None),
            [
                [Alive, Alive, Alive, Alive],
                [Dead, Alive, Dead, Unknown],
                [NeverSeen, Alive, Dead, Unknown],
                [Unknown, Alive, Unknown, Unknown],
            ]
        );
        assert_eq!(with(Some(Liveness::Alive)), [[Alive; 4]; 4]);
        assert_eq!(
            with(Some(Liveness::Dead)),
            [
                [Alive, Alive, Alive, Alive],
                [Dead, Alive, Dead, Unknown],
                [Dead, Alive, Dead, Unknown],
                [Unknown, Alive, Unknown, Unknown],
            ]
        );
        assert_eq!(
            with(Some(Liveness::Unknown)),
            [
                [Alive, Alive, Alive, Alive],
                [Unknown, Alive, Unknown, Unknown],
                [Unknown, Alive, Unknown, Unknown],
                [Unknown, Alive, Unknown, Unknown],
            ]
        );
    }

    #[test]
    fn a_record_that_ended_is_dead_unless_a_lock_file_says_otherwise() {
        for lock in LOCKS {
            for process in PROCESSES {
                for registered in PROCESSES {
                    let expected = match (lock, process) {
                        (LockState::Held, _) | (_, Some(Liveness::Alive)) => Standing::Alive,
                        (LockState::Unusable, _) | (_, Some(Liveness::Unknown)) => Standing::Unknown,
                        _ => Standing::Dead,
                    };
                    assert_eq!(judge(&[one(lock, process)], registered, true), expected);
                }
            }
        }
    }

    #[test]
    fn of_two_folders_the_more_alive_decides_whichever_comes_first() {
        let rank = |standing| match standing {
            Standing::NeverSeen => 0,
            Standing::Dead => 1,
            Standing::Unknown => 2,
            Standing::Alive => 3,
        };
        let all = LOCKS.into_iter().flat_map(|lock| PROCESSES.map(|process| one(lock, process)));
        for first in all.clone() {
            for second in all.clone() {
                for registered in PROCESSES {
                    for ended in [false, true] {
                        let both = judge(&[first.clone(), second.clone()], registered, ended);
                        let alone = [&first, &second].map(|one| judge(std::slice::from_ref(one), registered, ended));
                        assert_eq!(rank(both), rank(alone[0]).max(rank(alone[1])));
                        assert_eq!(both, judge(&[second.clone(), first.clone()], registered, ended));
                    }
                }
            }
        }
    }

    #[test]
    fn without_any_folder_the_record_alone_decides() {
        assert_eq!(judge(&[], None, false), Standing::NeverSeen);
        assert_eq!(judge(&[], None, true), Standing::Dead);
        assert_eq!(judge(&[], Some(Liveness::Alive), false), Standing::Alive);
        assert_eq!(judge(&[], Some(Liveness::Alive), true), Standing::Dead);
    }
}
