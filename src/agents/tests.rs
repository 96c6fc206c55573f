use std::convert::Infallible;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::liveness::{Liveness, process};
use crate::schema::agent::Oxsid;
use crate::schema::process::Process;
use crate::schema::time::Timestamp;

struct World {
    store: Store,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    World { store, _folder: folder }
}

/// So many seconds after noon.
fn at(seconds: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    Timestamp::new(noon.get() + TimeDelta::seconds(seconds))
}

const DAY: i64 = 24 * 3600;

impl World {
    /// The agents as seen so many seconds after noon, by a person.
    fn at(&self, seconds: i64) -> Agents<'_> {
        Agents::new(&self.store, Author { actor: "ada".into(), session: None, now: at(seconds) })
    }

    fn in_session(&self, seconds: i64, session: &str) -> Agents<'_> {
        let session = Some(session.parse().unwrap());
        Agents::new(&self.store, Author { actor: "ada".into(), session, now: at(seconds) })
    }
}

/// The agent of a number, begun so many seconds after noon.
fn agent(number: usize, seconds: i64) -> Agent {
    let oxsid = Oxsid::generate(at(seconds), chance).unwrap();
    Agent::begin(format!("Ox{number:04}").parse().unwrap(), oxsid, at(seconds))
}

fn chance(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}

fn this_process() -> Option<Process> {
    process::of(std::process::id())
}

fn ids(agents: &[Agent]) -> Vec<String> {
    agents.iter().map(|agent| agent.id.to_string()).collect()
}

#[test]
fn what_was_added_is_got_listed_and_counted_until_it_expires() {
    let world = world();
    let (old, new) = (agent(2, 0), agent(1, 1));
    world.at(1).add(&new).unwrap();
    world.at(1).add(&old).unwrap();
    assert_eq!(ids(&world.at(1).list().unwrap()), ["Ox0002", "Ox0001"], "oldest first");
    assert_eq!((world.at(DAY).get(old.id).unwrap(), world.at(DAY).count().unwrap()), (old.clone(), 2));
    let error = world.at(DAY + 1).get(old.id).unwrap_err();
    assert!(matches!(error, AgentError::NotFound(_)));
    assert_eq!(error.to_string(), "instance not found for agent_id: Ox0002");
    assert_eq!(
        (ids(&world.at(DAY + 1).list().unwrap()), world.at(DAY + 1).count().unwrap()),
        (vec!["Ox0001".into()], 1)
    );
    assert_eq!(ids(&all(&*world.store.read().unwrap()).unwrap()), ["Ox0002", "Ox0001"]);
}

#[test]
fn an_id_that_is_taken_is_not_given_again_even_if_its_agent_expired() {
    let world = world();
    world.at(0).add(&agent(1, 0)).unwrap();
    for seconds in [0, 2 * DAY] {
        assert!(matches!(world.at(seconds).add(&agent(1, seconds)), Err(AgentError::Exists(_))));
    }
    assert!(matches!(world.at(0).get("Ox0002".parse().unwrap()), Err(AgentError::NotFound(_))));
}

#[test]
fn texts_that_are_no_labels_are_refused() {
    let world = world();
    let mut bad = agent(1, 0);
    bad.model = Some("a\u{1b}[2J".into());
    assert!(matches!(world.at(0).add(&bad), Err(AgentError::NotALabel("model"))));
    world.at(0).add(&agent(1, 0)).unwrap();
    let long = world.at(0).update(bad.id, |agent| agent.agent_type = Some("x".repeat(121)));
    assert!(matches!(long, Err(AgentError::NotALabel("agent_type"))));
    assert_eq!(world.at(0).get(bad.id).unwrap(), agent_like(&world, 1));
}

fn agent_like(world: &World, number: usize) -> Agent {
    find(&*world.store.read().unwrap(), format!("Ox{number:04}").parse().unwrap()).unwrap().unwrap()
}

#[test]
fn an_update_keeps_the_id() {
    let world = world();
    let first = agent(1, 0);
    world.at(0).add(&first).unwrap();
    let after = world
        .at(5)
        .update(first.id, |agent| {
            agent.id = "OxZZZZ".parse().unwrap();
            agent.model = Some("m".into());
        })
        .unwrap();
    assert_eq!((after.id, after.model.as_deref(), world.at(5).count().unwrap()), (first.id, Some("m"), 1));
    assert!(matches!(world.at(2 * DAY).update(first.id, |_| ()), Err(AgentError::NotFound(_))));
}

#[test]
fn to_prime_again_counts_and_does_not_move_the_end() {
    let world = world();
    let first = agent(1, 0);
    world.at(0).add(&first).unwrap();
    let again = world.at(DAY - 1).increment_prime_count(first.id).unwrap();
    assert_eq!((again.primes, again.expires_at), (2, first.expires_at));
    assert!(matches!(world.at(DAY + 1).increment_prime_count(first.id), Err(AgentError::NotFound(_))));
}

#[test]
fn context_is_counted_by_command() {
    let world = world();
    let first = agent(1, 0);
    world.at(0).add(&first).unwrap();
    for bytes in [7, 0, 9] {
        world.at(3).count_context(first.id, bytes).unwrap();
    }
    let context = world.at(3).get(first.id).unwrap().context;
    assert_eq!((context.bytes, context.tokens, context.commands, context.last_seen_at), (16, 3, 2, Some(at(3))));
}

#[test]
fn pruning_forgets_the_expired_and_the_oldest_beyond_500() {
    let world = world();
    let author = |seconds| Author { actor: "ada".into(), session: None, now: at(seconds) };
    world
        .store
        .write(&author(0), |txn| {
            (0..503).try_for_each(|number| add(txn, &agent(number, i64::try_from(number).unwrap())))
        })
        .unwrap();
    let removed = world.at(DAY + 1).prune().unwrap();
    assert_eq!(removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Ox0000", "Ox0001", "Ox0002"]);
    assert_eq!((world.at(DAY + 1).count().unwrap(), world.at(DAY + 1).prune().unwrap()), (500, vec![]));
    let removed = world.at(DAY + 13).prune().unwrap();
    assert_eq!((removed.len(), world.at(DAY + 13).count().unwrap()), (10, 490));
}

#[test]
fn priming_makes_room_and_never_forgets_the_one_that_is_primed() {
    let world = world();
    let author = Author { actor: "ada".into(), session: None, now: at(600) };
    let fill = |txn: &mut crate::db::WriteTxn<'_>| {
        (0..502).try_for_each(|number| add(txn, &agent(number, i64::try_from(number).unwrap())))
    };
    world.store.write(&author, fill).unwrap();
    let request = Prime { which: Which::Id("Ox0000".parse().unwrap()), ..Prime::default() };
    let primed = world.at(600).prime(&request, chance).unwrap();
    assert_eq!(primed.pruned.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Ox0001", "Ox0002"]);
    assert_eq!((primed.agent.id.to_string(), world.at(600).count().unwrap()), ("Ox0000".into(), 500));
    let primed = world.at(600).prime(&Prime { which: Which::New, ..Prime::default() }, chance).unwrap();
    assert_eq!((primed.pruned.len(), world.at(600).count().unwrap()), (1, 500));
    assert!(world.at(600).get(primed.agent.id).is_ok());
}

#[test]
fn an_id_is_tried_ten_times() {
    let world = world();
    let taken = |bytes: &mut [u8]| {
        bytes.fill(0);
        Ok::<_, Infallible>(())
    };
    let new = Prime { which: Which::New, ..Prime::default() };
    assert_eq!(world.at(0).prime(&new, taken).unwrap().agent.id.to_string(), "Ox0000");
    let mut asked = 0;
    let error = world.at(0).prime(&new, |bytes| {
        asked += 1;
        taken(bytes)
    });
    let error = error.unwrap_err();
    assert_eq!((error.to_string(), asked), ("failed to generate unique agent ID after 10 attempts".to_owned(), 10));
    // nine that are taken, then one that is not
    let mut asked = 0;
    let lucky = |bytes: &mut [u8]| {
        asked += 1;
        bytes.fill(u8::from(asked >= 10));
        Ok::<_, Infallible>(())
    };
    assert_eq!(world.at(0).prime(&new, lucky).unwrap().agent.id.to_string(), "Ox1111");
    // nor is an agent its own parent, though that one is not there
    let request = Prime { caller: Some("Ox0000".parse().unwrap()), ..new };
    let world = super::tests::world();
    assert!(matches!(world.at(0).prime(&request, taken), Err(AgentError::NoFreeId)));
    assert!(matches!(world.at(0).prime(&request, |_| Err("none")), Err(AgentError::Random(_))));
    assert_eq!(world.at(0).count().unwrap(), 0);
}

#[test]
fn an_agent_is_found_again_by_its_session_and_fills_in_what_is_given() {
    let world = world();
    let request = Prime { agent_type: Some("a".into()), model: Some("m".into()), ..Prime::default() };
    let first = world.in_session(0, "s1").prime(&request, chance).unwrap();
    assert!(first.is_new && first.agent.primes == 1);
    let request = Prime { agent_version: Some("2".into()), model: Some("n".into()), ..Prime::default() };
    let again = world.in_session(9, "s1").prime(&request, chance).unwrap();
    assert!(!again.is_new);
    assert_eq!(again.agent.labels().map(|(_, text)| text), [Some("a"), Some("2"), Some("n")]);
    assert_eq!(
        (again.agent.id, again.agent.primes, again.agent.expires_at),
        (first.agent.id, 2, first.agent.expires_at)
    );
    assert_ne!(world.in_session(9, "s2").prime(&Prime::default(), chance).unwrap().agent.id, first.agent.id);
    assert_ne!(world.at(9).prime(&Prime::default(), chance).unwrap().agent.id, first.agent.id, "nobody's is nobody's");
    let expired = world.in_session(DAY + 1, "s1").prime(&Prime::default(), chance).unwrap();
    assert!(expired.is_new);
}

#[test]
fn an_agent_is_found_again_by_its_process() {
    let world = world();
    let mine = Prime { process: this_process(), ..Prime::default() };
    let first = world.at(0).prime(&mine, chance).unwrap().agent;
    assert_eq!(world.at(1).prime(&mine, chance).unwrap().agent.id, first.id);
    assert_eq!(world.in_session(1, "s").prime(&mine, chance).unwrap().agent.id, first.id);
    assert_eq!(
        world.in_session(1, "s").prime(&Prime::default(), chance).unwrap().agent.id,
        first.id,
        "now of the session"
    );
    let mut other = mine.clone();
    other.process.as_mut().unwrap().started = Some(1);
    assert_ne!(world.at(1).prime(&other, chance).unwrap().agent.id, first.id, "the id of a process is given again");
    other.process.as_mut().unwrap().started = None;
    let unknown = world.at(1).prime(&other, chance).unwrap().agent.id;
    assert_ne!(world.at(1).prime(&other, chance).unwrap().agent.id, unknown, "nobody knows whether it is the same");
}

#[test]
fn of_several_in_a_session_the_one_that_is_meant_is_found() {
    let world = world();
    let new = Prime { which: Which::New, ..Prime::default() };
    let by_process = Prime { process: this_process(), ..new.clone() };
    let first = world.in_session(0, "s").prime(&new, chance).unwrap().agent.id;
    let second = world.in_session(1, "s").prime(&by_process, chance).unwrap().agent.id;
    let third = world.in_session(2, "s").prime(&new, chance).unwrap().agent.id;
    let prime = |request: Prime| world.in_session(3, "s").prime(&request, chance).unwrap().agent.id;
    assert_eq!(prime(Prime::default()), third);
    assert_eq!(prime(Prime { process: this_process(), ..Prime::default() }), second);
    assert_eq!(prime(Prime { caller: Some(first), process: this_process(), ..Prime::default() }), first);
}

#[test]
fn a_named_agent_must_be_there() {
    let world = world();
    let first = world.at(0).prime(&Prime::default(), chance).unwrap().agent;
    let named = Prime { which: Which::Id(first.id), ..Prime::default() };
    assert_eq!(world.at(1).prime(&named, chance).unwrap().agent.primes, 2);
    assert!(matches!(world.at(DAY + 1).prime(&named, chance), Err(AgentError::NotFound(id)) if id == first.id));
}

#[test]
fn the_caller_is_the_parent_of_a_new_agent_and_never_its_own() {
    let world = world();
    let unknown = "OxGone".parse().unwrap();
    let child = Prime { caller: Some(unknown), ..Prime::default() };
    assert_eq!(world.in_session(0, "s").prime(&child, chance).unwrap().agent.parent, Some(unknown));
    let own = world.in_session(0, "t").prime(&Prime::default(), chance).unwrap().agent;
    let again = Prime { caller: Some(own.id), ..Prime::default() };
    assert_eq!(world.in_session(0, "t").prime(&again, chance).unwrap().agent.parent, None);
}

#[test]
fn a_program_that_was_started_again_speaks_for_its_agent() {
    let world = world();
    let dead = this_process().map(|process| Process { started: Some(1), ..process });
    let request = Prime { process: dead.clone(), ..Prime::default() };
    let first = world.in_session(0, "s").prime(&request, chance).unwrap().agent;
    assert_eq!((&first.process, liveness(&first)), (&dead, Liveness::Dead));
    let request = Prime { process: this_process(), ..Prime::default() };
    let again = world.in_session(1, "s").prime(&request, chance).unwrap().agent;
    assert_eq!((again.id, liveness(&again)), (first.id, Liveness::Alive));
    let request = Prime { process: dead, ..Prime::default() };
    assert_eq!(world.in_session(2, "s").prime(&request, chance).unwrap().agent.process, this_process());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "this process began by the real clock")]
fn a_bare_process_id_is_alive_only_if_the_process_is_no_younger_than_the_agent() {
    let now = Timestamp::new(std::time::SystemTime::now().into());
    let bare =
        this_process().map(|process| Process { started: None, boot: None, namespace: None, host: None, ..process });
    let mut imported = Agent { process: bare, created_at: now, ..agent(1, 0) };
    assert_eq!(liveness(&imported), Liveness::Alive);
    imported.created_at = Timestamp::new(now.get() - TimeDelta::days(1000));
    assert_eq!(liveness(&imported), Liveness::Dead);
    imported.process = None;
    assert_eq!(liveness(&imported), Liveness::Unknown);
}

#[test]
fn sixteen_at_once_lose_no_agent_and_no_count() {
    let world = world();
    std::thread::scope(|scope| {
        for n in 0..16 {
            let world = &world;
            scope.spawn(move || {
                let new = Prime { which: Which::New, ..Prime::default() };
                world.at(n).prime(&new, chance).unwrap();
                world.in_session(n, "s").prime(&Prime::default(), chance).unwrap();
            });
        }
    });
    let agents = world.at(20).list().unwrap();
    assert_eq!(agents.len(), 17);
    let shared: Vec<_> = agents.iter().filter(|agent| agent.session.is_some()).map(|agent| agent.primes).collect();
    assert_eq!(shared, [16]);
}

proptest! {
    /// Pruning against its definition: nobody stays who expired, nobody goes who need not, the oldest go first.
    #[test]
    fn what_is_pruned_is_what_must_be(begun in proptest::collection::vec(0..3 * DAY, 0..12), extra in 0_usize..4, now in 0..4 * DAY) {
        // many agents that do not expire in time, so that the cap plays a part
        let lasting = if extra == 0 { 0 } else { MAX_AGENTS - 4 + extra };
        let mut agents: Vec<_> = begun.iter().enumerate().map(|(number, &seconds)| agent(number, seconds)).collect();
        agents.extend((0..lasting).map(|number| agent(1000 + number, 4 * DAY)));
        agents.sort_by_key(|agent| (agent.created_at, agent.id));
        let gone = surplus(&agents, at(now), None);
        let stays = |agent: &&Agent| !gone.contains(&agent.id);
        let kept: Vec<_> = agents.iter().filter(stays).collect();
        prop_assert!(kept.iter().all(|agent| !agent.is_expired(at(now))));
        let active: Vec<_> = agents.iter().filter(|agent| !agent.is_expired(at(now))).collect();
        prop_assert_eq!(kept.len(), active.len().min(MAX_AGENTS));
        prop_assert_eq!(&kept[..], &active[active.len() - kept.len()..]);
    }
}
