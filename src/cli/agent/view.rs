//! Agents as programs and people see them.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::agents;
use crate::db::tables::{Readable, Tables};
use crate::liveness::{Known, Liveness, Standing, Watch};
use crate::schema::agent::{Agent, ContextUse};
use crate::schema::id::printable;
use crate::schema::session::Session;
use crate::schema::time::Timestamp;

use super::super::error::CliResult;

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().bold();

/// An agent.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct AgentJson {
    agent_id: String,
    /// The id that a server knows it by.
    oxsid: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    agent_type: Option<String>,
    agent_ver: Option<String>,
    model: Option<String>,
    /// The process that speaks for it.
    parent_pid: Option<u32>,
    /// The agent that started it.
    parent_agent_id: Option<String>,
    prime_call_count: u32,
    /// The session that it was last primed in.
    session: Option<String>,
    /// Whether its process lives; null if that cannot be told, or if it is gone and the agent's session lives on.
    alive: Option<bool>,
    expired: bool,
    /// What it was told, in bytes.
    context_bytes: u64,
    /// An estimate of that in tokens.
    context_tokens: u64,
    /// How many commands told it something.
    commands: u64,
    /// When the last of them did.
    last_seen_at: Option<Timestamp>,
}

/// Whether an agent is alive, as far as its process and its session tell: the process that called may have been a shell
/// for that one call, and while the session lives nobody can tell.
pub(in crate::cli) fn liveness_of<T: Readable>(
    tables: &Tables<T>,
    watch: &Watch,
    agent: &Agent,
) -> CliResult<Liveness> {
    let liveness = agents::liveness(agent);
    let (Liveness::Dead, Some(id)) = (liveness, &agent.session) else { return Ok(liveness) };
    let session = tables.record::<Session>(id.as_str())?;
    let known = session.as_ref().map_or_else(Known::default, Known::of);
    Ok(if watch.session(id.as_str(), known) == Standing::Alive { Liveness::Unknown } else { Liveness::Dead })
}

impl AgentJson {
    pub(in crate::cli) fn new(agent: &Agent, liveness: Liveness, now: Timestamp) -> Self {
        Self {
            agent_id: agent.id.to_string(),
            oxsid: agent.oxsid.to_string(),
            created_at: agent.created_at,
            expires_at: agent.expires_at,
            agent_type: agent.agent_type.clone(),
            agent_ver: agent.agent_version.clone(),
            model: agent.model.clone(),
            parent_pid: agent.process.as_ref().map(|process| process.pid),
            parent_agent_id: agent.parent.map(|parent| parent.to_string()),
            prime_call_count: agent.primes,
            session: agent.session.as_ref().map(ToString::to_string),
            alive: match liveness {
                Liveness::Alive => Some(true),
                Liveness::Dead => Some(false),
                Liveness::Unknown => None,
            },
            expired: agent.is_expired(now),
            context_bytes: agent.context.bytes,
            context_tokens: agent.context.tokens,
            commands: agent.context.commands,
            last_seen_at: agent.context.last_seen_at,
        }
    }

    /// Whether it has not expired, and lives as far as can be told.
    pub(super) fn is_at_work(&self) -> bool {
        !self.expired && self.alive != Some(false)
    }

    fn state(&self) -> (&'static str, Style) {
        match (self.expired, self.alive) {
            (true, _) => ("expired", DIM),
            (false, Some(true)) => ("alive", AnsiColor::Green.on_default()),
            (false, Some(false)) => ("dead", AnsiColor::Red.on_default()),
            (false, None) => ("unknown", Style::new()),
        }
    }

    fn about(&self) -> String {
        let what = [&self.agent_type, &self.agent_ver].map(|text| text.as_deref().unwrap_or_default()).join(" ");
        let parts = [what.trim(), self.model.as_deref().unwrap_or_default()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    fn line(&self) -> String {
        let (state, style) = self.state();
        let mut text = format!("{BOLD}{}{BOLD:#}  {style}{state:<7}{style:#}", self.agent_id);
        let about = self.about();
        if !about.is_empty() {
            let _ = write!(text, "  {}", printable(&about, false));
        }
        let pid = self.parent_pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
        let _ = write!(text, "  {DIM}({pid}{}){DIM:#}", number(self.context_tokens, "token"));
        text
    }
}

/// A number of things.
pub(super) fn number(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// What an agent was told.
pub(super) fn told(context: &ContextUse) -> String {
    amount(context.bytes, context.tokens, context.commands)
}

fn amount(bytes: u64, tokens: u64, commands: u64) -> String {
    format!("{} in {}, about {}", number(bytes, "byte"), number(commands, "command"), number(tokens, "token"))
}

/// Agents under the agents that started them. One whose parent is not among them stands at the left.
pub(super) fn tree(agents: &[AgentJson]) -> String {
    if agents.is_empty() {
        return "no agents\n".into();
    }
    let mut text = String::new();
    for (prefix, agent) in forest(agents) {
        let _ = writeln!(text, "{prefix}{}", agent.line());
    }
    text
}

/// Each agent once, with what is drawn before it. A ring of agents, which only a file can bring, is cut open at the
/// oldest.
fn forest(agents: &[AgentJson]) -> Vec<(String, &AgentJson)> {
    /// Deeper ones are drawn at this depth, so that no file can make the lines as long as itself.
    const MAX_DEPTH: usize = 32;
    let listed: HashSet<&str> = agents.iter().map(|agent| agent.agent_id.as_str()).collect();
    let mut children: HashMap<Option<&str>, Vec<&AgentJson>> = HashMap::new();
    for agent in agents {
        let parent = agent.parent_agent_id.as_deref().filter(|parent| listed.contains(parent));
        children.entry(parent).or_default().push(agent);
    }
    let mut drawn = Vec::with_capacity(agents.len());
    let mut seen = HashSet::new();
    let roots = children.remove(&None).unwrap_or_default();
    for root in roots.into_iter().chain(agents) {
        let mut waiting = vec![(String::new(), String::new(), 0, root)];
        while let Some((first, rest, depth, agent)) = waiting.pop() {
            if !seen.insert(agent.agent_id.as_str()) {
                continue;
            }
            let below = children.remove(&Some(agent.agent_id.as_str())).unwrap_or_default();
            let below: Vec<_> = below.into_iter().filter(|child| !seen.contains(child.agent_id.as_str())).collect();
            let last = below.len().saturating_sub(1);
            for (index, child) in below.into_iter().enumerate().rev() {
                let (branch, trunk) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                let trunk = if depth < MAX_DEPTH { trunk } else { "" };
                waiting.push((format!("{rest}{branch}"), format!("{rest}{trunk}"), depth + 1, child));
            }
            drawn.push((first, agent));
        }
    }
    drawn
}

/// A whole agent.
pub(super) fn full(agent: &AgentJson) -> String {
    let about = agent.about();
    let about = if about.is_empty() { about } else { format!("  {about}") };
    let mut text = format!("{BOLD}{}{}{BOLD:#}\n", agent.agent_id, printable(&about, false));
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {DIM}{name:<11}{DIM:#} {}", printable(&value, false));
        }
    };
    field("state", agent.state().0.to_owned());
    field("process", agent.parent_pid.map(|pid| pid.to_string()).unwrap_or_default());
    field("session", agent.session.clone().unwrap_or_default());
    field("started by", agent.parent_agent_id.clone().unwrap_or_default());
    field("primed", number(agent.prime_call_count.into(), "time"));
    if agent.commands > 0 {
        field("told", amount(agent.context_bytes, agent.context_tokens, agent.commands));
    }
    field("last told", agent.last_seen_at.map(|time| time.to_string()).unwrap_or_default());
    field("created", agent.created_at.to_string());
    field("expires", agent.expires_at.to_string());
    field("server id", agent.oxsid.clone());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(id: &str, parent: &str) -> AgentJson {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let oxsid = "oxsid_01M7X12HVTQR484WZA4CV3ZB4P".parse().unwrap();
        let mut agent = Agent::begin(id.parse().unwrap(), oxsid, now);
        agent.parent = parent.parse().ok();
        AgentJson::new(&agent, agents::liveness(&agent), now)
    }

    fn drawn(agents: &[(&str, &str)]) -> String {
        let agents: Vec<_> = agents.iter().map(|(id, parent)| agent(id, parent)).collect();
        let drawn = forest(&agents);
        assert_eq!(drawn.len(), agents.len(), "each once");
        drawn.iter().map(|(prefix, agent)| format!("{prefix}{}", agent.agent_id)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn agents_stand_under_those_that_started_them() {
        let text = drawn(&[
            ("Ox0001", ""),
            ("Ox0002", "Ox0001"),
            ("Ox0003", "Ox0002"),
            ("Ox0004", "Ox0001"),
            ("Ox0005", "OxGone"),
        ]);
        assert_eq!(text, "Ox0001\n├─ Ox0002\n│  └─ Ox0003\n└─ Ox0004\nOx0005");
    }

    #[test]
    fn a_ring_is_drawn_once() {
        assert_eq!(drawn(&[("Ox0001", "Ox0001")]), "Ox0001");
        assert_eq!(
            drawn(&[("Ox0009", ""), ("Ox0001", "Ox0003"), ("Ox0002", "Ox0001"), ("Ox0003", "Ox0002")]),
            "Ox0009\nOx0001\n└─ Ox0002\n   └─ Ox0003"
        );
    }

    #[test]
    fn a_long_line_of_descent_does_not_grow_to_the_right_for_ever() {
        let ids: Vec<_> = (0..3000).map(|number| format!("Ox{number:04}")).collect();
        let pairs: Vec<_> =
            ids.iter().zip(std::iter::once(&String::new()).chain(&ids)).map(|(id, parent)| agent(id, parent)).collect();
        let drawn = forest(&pairs);
        assert_eq!(drawn.len(), 3000);
        assert!(drawn.iter().all(|(prefix, _)| prefix.chars().count() <= 3 * 33));
    }
}
