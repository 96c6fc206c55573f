//! `issue update --where`: which issues are meant.

use crate::db::query::{Classes, Query, Sort};
use crate::db::record::StoredHead;
use crate::db::tables::{Readable, Tables};

use super::super::error::{CliError, CliResult};

/// What can be said.
const FORMS: &str = "status=open|closed|all, priority=P, label=L, assignee=A, session=ID, text=T, ready, blocked";

/// Conditions that must all hold.
#[derive(Debug)]
pub(super) struct Filter {
    query: Query,
    /// Meant for nobody.
    unassigned: bool,
}

impl Filter {
    /// Reads conditions. Values are not repeated in errors: one may be a secret in the wrong place.
    pub(super) fn parse(conditions: &[String]) -> CliResult<Self> {
        let mut query = Query { sort: Sort::Id, ..Query::default() };
        let (mut classes, mut unassigned) = (None, false);
        for condition in conditions {
            let (key, value) = condition.split_once('=').unwrap_or((condition, ""));
            let twice = match key {
                "status" => set(&mut classes, status(value)?),
                "ready" if value.is_empty() => set(&mut classes, Classes::READY),
                "blocked" if value.is_empty() => set(&mut classes, Classes::BLOCKED),
                "priority" => {
                    let wrong = |_| CliError::usage("--where priority: give low, medium, high or critical");
                    set(&mut query.priority, value.parse().map_err(wrong)?)
                }
                "label" if !value.is_empty() => {
                    query.labels.push(value.to_owned());
                    false
                }
                "assignee" if value.is_empty() => std::mem::replace(&mut unassigned, true),
                "assignee" => set(&mut query.assignee, value.to_owned()),
                "session" if !value.is_empty() => set(&mut query.session, value.to_owned()),
                "text" if !value.is_empty() => set(&mut query.text, value.to_owned()),
                _ => {
                    return Err(CliError::usage("--where: a condition is not understood").hint(format!("give {FORMS}")));
                }
            };
            if twice {
                return Err(CliError::usage(format!("--where {key} is given twice, and both cannot hold")));
            }
        }
        query.classes = classes.unwrap_or(Classes::OPEN);
        Ok(Self { query, unassigned })
    }

    /// The issues that match, lowest number first.
    pub(super) fn matching<T: Readable>(&self, tables: &Tables<T>) -> CliResult<Vec<StoredHead>> {
        Ok(tables.list(&self.query, |stored| Ok(!self.unassigned || stored.head.assignee.is_none()))?)
    }
}

fn status(word: &str) -> CliResult<Classes> {
    match word {
        "open" => Ok(Classes::OPEN),
        "closed" => Ok(Classes::CLOSED),
        "all" => Ok(Classes::ALL),
        _ => Err(CliError::usage("--where status: give open, closed or all")),
    }
}

/// Sets what was not set yet; says whether it was.
fn set<T>(place: &mut Option<T>, value: T) -> bool {
    place.replace(value).is_some()
}
