//! The decision table of the mirror, as a pure function.

/// One side of an issue, the record or the file, relative to what both last agreed on (the base).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is not there.
    Absent,
    /// It is the base.
    Same,
    /// It differs from the base in something a person edits: title, body, status, priority, labels, assignee,
    /// dependencies.
    Changed,
    /// It differs from the base, but in nothing of that kind.
    Touched,
}

/// What is to happen with an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Neither side is there any more: forget the base.
    Forget,
    /// Both sides say the same: that is the base now.
    Converge,
    /// Export creates the file.
    CreateFile,
    /// Import creates the record.
    CreateRecord,
    /// Import takes the file.
    TakeFile,
    /// Export takes the record.
    TakeRecord,
    /// Both changed.
    Merge,
    /// Import deletes the record, if the file was really deleted and is not just missing.
    DeleteRecord,
    /// Export deletes the file.
    DeleteFile,
    /// The file was deleted, the record edited: the edit wins, and export writes the file again.
    KeepRecord,
    /// The record was deleted, the file edited: the edit wins, and import restores the record.
    RestoreRecord,
}

/// What is to happen, given whether there is a base, both sides relative to it, and whether the two say the same.
/// Without a base a side is absent or changed.
#[must_use]
pub fn decide(has_base: bool, record: Side, file: Side, equal: bool) -> Step {
    use Side::{Absent, Changed, Same, Touched};
    match (has_base, record, file) {
        (_, Absent, Absent) => Step::Forget,
        (true, Same | Touched, Absent) => Step::DeleteRecord,
        (true, Absent, Same | Touched) => Step::DeleteFile,
        (true, Changed, Absent) => Step::KeepRecord,
        (true, Absent, Changed) => Step::RestoreRecord,
        (false, _, Absent) => Step::CreateFile,
        (false, Absent, _) => Step::CreateRecord,
        _ if equal => Step::Converge,
        (true, Same, Same) => Step::Converge,
        (true, Same, _) => Step::TakeFile,
        (true, _, Same) => Step::TakeRecord,
        _ => Step::Merge,
    }
}

#[cfg(test)]
mod tests {
    use super::Side::{Absent, Changed, Same, Touched};
    use super::Step::{
        Converge, CreateFile, CreateRecord, DeleteFile, DeleteRecord, Forget, KeepRecord, Merge, RestoreRecord,
        TakeFile, TakeRecord,
    };
    use super::*;

    /// Every case there is: base, record, file, what happens if they differ, what happens if they are equal (none where
    /// they cannot be).
    const TABLE: [(bool, Side, Side, Step, Option<Step>); 25] = [
        (false, Absent, Absent, Forget, None),
        (false, Changed, Absent, CreateFile, None),
        (false, Touched, Absent, CreateFile, None),
        (false, Absent, Changed, CreateRecord, None),
        (false, Absent, Touched, CreateRecord, None),
        (false, Changed, Changed, Merge, Some(Converge)),
        (false, Changed, Touched, Merge, Some(Converge)),
        (false, Touched, Changed, Merge, Some(Converge)),
        (false, Touched, Touched, Merge, Some(Converge)),
        (true, Absent, Absent, Forget, None),
        (true, Absent, Same, DeleteFile, None),
        (true, Absent, Changed, RestoreRecord, None),
        (true, Absent, Touched, DeleteFile, None),
        (true, Same, Absent, DeleteRecord, None),
        (true, Same, Same, Converge, Some(Converge)),
        (true, Same, Changed, TakeFile, None),
        (true, Same, Touched, TakeFile, None),
        (true, Changed, Absent, KeepRecord, None),
        (true, Changed, Same, TakeRecord, None),
        (true, Changed, Changed, Merge, Some(Converge)),
        (true, Changed, Touched, Merge, Some(Converge)),
        (true, Touched, Absent, DeleteRecord, None),
        (true, Touched, Same, TakeRecord, None),
        (true, Touched, Changed, Merge, Some(Converge)),
        (true, Touched, Touched, Merge, Some(Converge)),
    ];

    #[test]
    fn the_table_is_the_designs() {
        for (base, record, file, differ, equal) in TABLE {
            assert_eq!(decide(base, record, file, false), differ, "{base} {record:?} {file:?}");
            if let Some(equal) = equal {
                assert_eq!(decide(base, record, file, true), equal, "{base} {record:?} {file:?} equal");
            }
        }
    }

    #[test]
    fn the_table_is_complete() {
        for base in [false, true] {
            for record in [Absent, Same, Changed, Touched] {
                for file in [Absent, Same, Changed, Touched] {
                    let possible = base || (record != Same && file != Same);
                    let listed = TABLE.iter().any(|row| (row.0, row.1, row.2) == (base, record, file));
                    assert_eq!(listed, possible, "{base} {record:?} {file:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_that_a_person_edited_is_ever_deleted() {
        for (base, record, file, ..) in TABLE {
            match decide(base, record, file, false) {
                DeleteRecord => assert_ne!(record, Changed),
                DeleteFile => assert_ne!(file, Changed),
                TakeFile => assert_eq!(record, Same),
                TakeRecord => assert_eq!(file, Same),
                _ => {}
            }
        }
    }
}
