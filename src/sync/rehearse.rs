//! What a sync would do. Its export would see records that its import has not changed in a rehearsal, so for the issues of
//! the import the export's part is told from the import's plan.

use std::collections::BTreeSet;

use crate::db::gate::Gate;
use crate::schema::id::Identity;

use super::plan::{Absence, Action, Outcome, RecordChange};
use super::{Mirror, MirrorError, Report};

impl Mirror<'_> {
    pub(super) fn rehearse_sync(&self, gate: &Gate) -> Result<Report, MirrorError> {
        let snapshot = self.snapshot(gate)?;
        let missing = self.missing(&snapshot)?;
        let plan = self.plan_import(&snapshot, &missing)?;
        let mut report = self.report_import(&snapshot, &missing, &plan);
        let planned: BTreeSet<&Identity> = plan.actions.iter().map(|action| &action.identity).collect();
        let others = snapshot.pending.keys().filter(|identity| !planned.contains(identity)).cloned().collect();
        let mut rest = Report::default();
        for action in &plan.actions {
            let Some(id) = action.present else { continue };
            match action.outcome {
                Outcome::Kept(Absence::Deleted | Absence::NeverCommitted | Absence::Displaced) => rest.created.push(id),
                _ if is_written(action, snapshot.pending.contains_key(&action.identity)) => rest.updated.push(id),
                _ => {}
            }
        }
        rest.unchanged = report.unchanged;
        report.add(rest);
        report.add(self.export_some(gate, &others)?);
        Ok(report)
    }
}

/// Whether the export would rewrite the file of an issue that the import looks at.
fn is_written(action: &Action<'_>, is_pending: bool) -> bool {
    match (&action.record, action.outcome) {
        (RecordChange::Put(..), Outcome::Merged) => true,
        (RecordChange::Keep, Outcome::Silent) => {
            is_pending && action.file.is_some_and(|file| Some(file.content) != action.expected)
        }
        _ => false,
    }
}
