//! `oxi-state health …`

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::keyed::health::{self as steps, Report};
use crate::schema::health::{Breaker, Health, HealthState, Permit, Policy, permit};
use crate::schema::id::printable;
use crate::schema::keyed::{Keyed as _, could_be};
use crate::schema::time::Timestamp;

use super::super::args::{HealthCommand, PolicyArgs, RecordArgs};
use super::super::context::{Context, now};
use super::super::error::{CliResult, Code};
use super::super::output;
use super::{all, change, find, halves, key, print_all, print_one};

/// What `health check` answers.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct CheckJson {
    provider: String,
    model: String,
    /// Whether a call may be made now.
    allowed: bool,
    /// Whether it is the one call after a pause; unless the caller only peeked, it is now the caller's.
    trial: bool,
    /// How many seconds to wait, rounded up; null if a call may be made.
    retry_after_seconds: Option<u64>,
    /// Until when to wait.
    until: Option<Timestamp>,
    /// `available`, `limited`, `retry`, `error` or `untested`.
    state: &'static str,
    /// `closed`, `open` or `half_open`.
    breaker: &'static str,
}

pub(super) fn run(context: &Context, command: HealthCommand) -> CliResult<Option<Code>> {
    match command {
        HealthCommand::Record(args) => record(context, *args.0),
        HealthCommand::Check { key, peek, policy } => return check(context, key, peek, &policy),
        HealthCommand::Show { key, policy } => {
            let health: Health = find(context, &model(context, key)?)?;
            print_one(context, &health, &shown(&health, policy.policy(), now()))
        }
        HealthCommand::List { beginning, blocked, policy } => {
            let (policy, now) = (policy.policy(), now());
            let mut rows = all::<Health>(context, &beginning)?;
            rows.retain(|row| !blocked || matches!(permit(Some(row), policy, now), Permit::Wait(_)));
            print_all(context, &rows, |row| shown(row, policy, now))
        }
        HealthCommand::Reset { key, guard } => {
            let row = model(context, key)?;
            let health: Health = change(context, &row, |txn| steps::reset(txn, &row, guard.expect))?;
            print_one(context, &health, &shown(&health, Policy::default(), now()))
        }
    }
    .map(|()| None)
}

impl PolicyArgs {
    fn policy(&self) -> Policy {
        Policy { open_after: self.open_after, cool_down: self.cool_down }
    }
}

/// A key of a provider and a model.
fn model(context: &Context, row: String) -> CliResult<String> {
    let row = key(context, row)?;
    let (provider, model) = halves(&row, "PROVIDER/MODEL")?;
    for (field, name) in [("provider", provider), ("model", model)] {
        if let Some(field) = Health::SCHEMA.field(field) {
            could_be(field, name.into(), &context.policy)?;
        }
    }
    Ok(row)
}

fn record(context: &Context, args: RecordArgs) -> CliResult<()> {
    let row = model(context, args.key)?;
    let (provider, name) = halves(&row, "PROVIDER/MODEL")?;
    let policy = args.policy.policy();
    let report = Report {
        provider: provider.to_owned(),
        model: name.to_owned(),
        ok: args.ok,
        error: args.error,
        retry_after_seconds: args.retry_after,
        resets_at: args.reset_at,
        limit: args.limit,
        remaining: args.remaining,
    };
    let health: Health =
        change(context, &row, |txn| steps::record(txn, &report, args.guard.expect, policy, &context.policy))?;
    print_one(context, &health, &shown(&health, policy, now()))
}

fn check(context: &Context, row: String, peek: bool, policy: &PolicyArgs) -> CliResult<Option<Code>> {
    let row = model(context, row)?;
    let policy = policy.policy();
    let (_, read) = context.read()?;
    let (mut health, mut answer) = steps::peek(&read, &row, policy, now())?;
    drop(read);
    if answer == Permit::Trial && !peek {
        // somebody else may take it meanwhile, so it is asked for again where it is taken
        let (project, store) = context.ready()?;
        (health, answer) = store.write(&context.author(&project)?, |txn| steps::check(txn, &row, policy))?;
    }
    let now = now();
    let (provider, name) = halves(&row, "PROVIDER/MODEL")?;
    let result = CheckJson {
        provider: provider.to_owned(),
        model: name.to_owned(),
        allowed: !matches!(answer, Permit::Wait(_)),
        trial: answer == Permit::Trial,
        retry_after_seconds: answer.seconds(now),
        until: if let Permit::Wait(until) = answer { Some(until) } else { None },
        state: health.as_ref().map_or(HealthState::Untested, |health| health.state).as_str(),
        breaker: health.as_ref().map_or(Breaker::Closed, |health| health.breaker).as_str(),
    };
    if context.json {
        output::json(&result)?;
    } else {
        let text = match answer {
            Permit::Now => "may be called".to_owned(),
            Permit::Trial => "may be called once, to see how it goes".to_owned(),
            Permit::Wait(until) => {
                format!("is blocked for {} s, until {until}", result.retry_after_seconds.unwrap_or(0))
            }
        };
        output::text(&format!("{} {text}\n", printable(&row, false)))?;
    }
    Ok((!result.allowed).then_some(Code::Conflict))
}

pub(super) fn shown(row: &Health, policy: Policy, now: Timestamp) -> Vec<(&'static str, Value)> {
    let answer = permit(Some(row), policy, now);
    vec![("allowed", (!matches!(answer, Permit::Wait(_))).into()), ("retry_after_seconds", answer.seconds(now).into())]
}
