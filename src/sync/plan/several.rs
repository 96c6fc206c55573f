//! An issue of several files, or of a file and versions that git holds beside it.

use crate::import::scan::ReadFile;
use crate::schema::issue::Issue;
use crate::schema::value::Value;

use super::{Action, ConflictChange, Known, conflict_of, plan_unmerged, same_but_for_number};

/// The issue has more files than one, or versions that git holds beside its file. Says whether that decides all.
pub(super) fn plan_others<'a>(
    action: &mut Action<'a>,
    known: &Known<'_>,
    file: &'a ReadFile,
    others: &[&'a ReadFile],
    versions: &[&'a ReadFile],
) -> bool {
    let record = known.record.as_ref().map(|record| &record.issue);
    // one that git kept of before tells nothing that the base did not; but only if the file under the issue's number came
    // from the base: one that another clone renumbered may come from before it
    let is_base = |file: &ReadFile| known.base.as_ref().is_some_and(|base| same_but_for_number(base, &file.issue));
    let comes_from_base = known.base.as_ref().is_some_and(|base| base.head.file_name() == file.name)
        || record.is_some_and(|record| same_but_for_number(record, &file.issue));
    let mut left_behind = None;
    for &other in others {
        if !same_but_for_number(&file.issue, &other.issue) {
            if !is_base(other) {
                conflict_of(action, known, file, other, differing_fields(&file.issue, &other.issue));
                return true;
            }
            left_behind = Some(other).filter(|_| !comes_from_base).or(left_behind);
        }
        action.surplus.push(other);
    }
    if let Some(mine) = left_behind {
        // what both came from is not known
        plan_unmerged(action, known, file, (None, &mine.issue, &mine.text_or_rendering()));
        return true;
    }
    let differing: Vec<_> =
        versions.iter().copied().filter(|version| !same_but_for_number(&file.issue, &version.issue)).collect();
    action.surplus.extend(versions);
    match differing[..] {
        [] => return false,
        [version] => plan_version(action, known, file, version),
        [version, ..] => conflict_of(action, known, file, version, differing_fields(&file.issue, &version.issue)),
    }
    true
}

/// Whether it is no file but a version that git holds of an issue that met another one on a path.
pub(super) fn is_version(file: &ReadFile) -> bool {
    file.unmerged.as_ref().is_some_and(|stages| stages.ours.is_none())
}

/// The issue has a file, and a merge in git brought a version of it to the path of another issue.
fn plan_version<'a>(action: &mut Action<'a>, known: &Known<'_>, file: &'a ReadFile, version: &'a ReadFile) {
    let base = version.unmerged.as_ref().and_then(|stages| stages.base.as_ref()).or(known.base.as_ref());
    plan_unmerged(action, known, version, (base, &file.issue, &file.text_or_rendering()));
    // the file holds one of the versions and stays as it is; the other one is in the conflict only
    if let ConflictChange::Set(conflict) = &mut action.conflict {
        conflict.name = file.name.clone();
        conflict.theirs_file = file.file;
        if let Some(text) = &file.text {
            conflict.theirs_text.clone_from(text);
        }
    }
}

fn differing_fields(a: &Issue, b: &Issue) -> Vec<String> {
    match crate::schema::diff::fields(Some(a), Some(b)).0 {
        Value::Map(fields) => fields.into_iter().map(|(name, _)| name).filter(|name| name != "id").collect(),
        _ => Vec::new(),
    }
}
