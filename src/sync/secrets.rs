//! What files bring in that looks like a secret. It is told and taken in all the same: it is in git already, and the mirror
//! is faithful. Only what neither the base nor the record has is told, so a file tells once.

use crate::schema::frontmatter;
use crate::schema::id::FileName;
use crate::schema::privacy::{self, Rule};

use super::apply_import::{ImportPlan, loaded};
use super::plan::Known;
use super::report::{Report, Secret};
use super::{Mirror, MirrorError};

impl Mirror<'_> {
    /// What the files of an issue add that looks like a secret. Files that hold no such thing were told apart when they were
    /// read, and cost nothing here.
    pub(super) fn added_secrets(&self, known: &Known<'_>) -> Result<Vec<(FileName, Rule, usize)>, MirrorError> {
        let mut secrets = Vec::new();
        for file in known.files.iter().filter(|file| file.suspicious) {
            let dir = if file.dropped_body.is_some() { self.project.issues()? } else { None };
            let loaded = loaded(file, dir.as_ref())?;
            let text = loaded.as_ref().unwrap_or(file).text_or_rendering();
            let versions = [known.base.as_ref(), known.record.as_ref().map(|record| &record.issue)];
            let before: String = versions.into_iter().flatten().map(frontmatter::render).collect();
            secrets
                .extend(privacy::added(&before, &text).into_iter().map(|(rule, line)| (file.name.clone(), rule, line)));
        }
        Ok(secrets)
    }

    /// Puts them into a report, by the names that the files have after this import.
    pub(super) fn report_secrets(&self, report: &mut Report, plan: &ImportPlan<'_>) {
        for action in &plan.actions {
            for (name, rule, line) in &action.secrets {
                let id = plan.number(&action.identity).filter(|_| !self.options.dry_run).unwrap_or(name.id);
                let path = self.project.issue_path(FileName { id, ..name.clone() });
                report.secrets.push(Secret { path, line: *line as u64, rule: rule.to_string() });
            }
        }
    }
}
