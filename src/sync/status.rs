//! How far files and records are apart: the plan of an import and of the export after it, counted.

use std::collections::BTreeSet;

use crate::schema::id::Identity;

use super::gather::Snapshot;
use super::plan::{Absence, ConflictChange, Outcome, RecordChange};
use super::{Mirror, MirrorError, Problem, StatusReport};

impl Mirror<'_> {
    pub(super) fn status_of(&self, snapshot: &Snapshot) -> Result<StatusReport, MirrorError> {
        let missing = self.missing(snapshot)?;
        let plan = self.plan_import(snapshot, &missing)?;
        let import = self.report_import(snapshot, &missing, &plan);

        let mut to_import: BTreeSet<&Identity> = BTreeSet::new();
        let mut to_export: BTreeSet<&Identity> = snapshot.pending.keys().collect();
        let mut conflicts: BTreeSet<&Identity> = snapshot.conflicts.keys().collect();
        for action in &plan.actions {
            let identity = &action.identity;
            match &action.conflict {
                ConflictChange::Set(_) => _ = conflicts.insert(identity),
                ConflictChange::Clear => _ = conflicts.remove(identity),
                ConflictChange::Keep => {}
            }
            match action.outcome {
                // a second file of the issue is still to be removed
                Outcome::Silent if !action.surplus.is_empty() => _ = to_import.insert(identity),
                Outcome::Silent => {
                    let agreed = action.file.is_some_and(|file| Some(file.content) == action.expected);
                    if agreed || action.expected.is_none() {
                        to_export.remove(identity);
                    }
                }
                Outcome::Conflict => {}
                Outcome::Kept(Absence::Unsure) => _ = to_import.insert(identity),
                Outcome::Kept(_) => _ = to_export.insert(identity),
                _ => {
                    to_import.insert(identity);
                    if matches!(action.record, RecordChange::Put(..)) {
                        to_export.insert(identity);
                    } else {
                        to_export.remove(identity);
                    }
                }
            }
        }
        // what sparse checkout keeps out of sight cannot be written before it is there again
        let is_sparse = |identity: &Identity| missing.why.get(identity) == Some(&Absence::Sparse);
        to_export.retain(|identity| !conflicts.contains(identity) && !is_sparse(identity));
        let renumbered = import.renumbered.len() as u64;
        let (to_import, to_export) = (to_import.len() as u64, to_export.len() as u64);
        let (conflicts, bad): (u64, Vec<Problem>) = (conflicts.len() as u64, import.bad);
        let in_step = to_import == 0 && to_export == 0 && conflicts == 0 && bad.is_empty() && renumbered == 0;
        Ok(StatusReport { in_step, to_import, to_export, conflicts, bad, lines: import.lines })
    }
}
