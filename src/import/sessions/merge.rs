//! What becomes of a pointer when a file is imported over it.
//!
//! Of two versions of a file, the later one counts, whichever was imported first: by its last activity, then by its
//! length, then by its digest. A file that is no longer where it was is looked for no further: the next one with the same
//! bytes tells where it is now. What was given on our own command line is never in a file, and stays.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::id::SessionId;
use crate::schema::session::{Session, SessionState, SourceFile};

use super::roots;

/// What an import makes of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The session was not known.
    Created(Box<Session>),
    /// More is known of it now.
    Updated(Box<Session>),
    /// It is so already.
    Unchanged,
    /// What is stored comes from a later version of the file.
    Older,
}

/// Decides; `old` is what is stored, and `is_there` tells whether its file is still where it was. Roots are left to
/// [`super::roots`].
#[must_use]
pub fn merge(old: Option<&Session>, new: &Session, is_there: impl Fn(&SourceFile) -> bool) -> Merged {
    let Some(old) = old else { return Merged::Created(Box::new(new.clone())) };
    let digest = |session: &Session| session.file.as_ref().map(|file| file.sha256.clone());
    let merged = if digest(old) == digest(new) {
        // a parent can become known later
        let mut merged = with_links(old.clone(), old, new);
        if old.file.as_ref().is_some_and(|file| !is_there(file)) {
            merged.file.clone_from(&new.file);
        }
        merged
    } else if is_later(old, new) {
        over(old, new)
    } else {
        let merged = with_links(old.clone(), old, new);
        if merged == *old {
            return Merged::Older;
        }
        merged
    };
    if merged == *old { Merged::Unchanged } else { Merged::Updated(Box::new(merged)) }
}

fn is_later(old: &Session, new: &Session) -> bool {
    // with nothing else to go by, what is stored must not depend on which came first
    let rank = |session: &Session| session.file.as_ref().map(|file| (file.size, file.sha256.clone()));
    match (&old.file, old.state) {
        (None, _) => true,
        (Some(_), SessionState::Recorded) => (new.last_activity_at, rank(new)) > (old.last_activity_at, rank(old)),
        // its activity is not only that of its file
        (Some(_), _) => rank(new) > rank(old),
    }
}

/// The file's pointer with what was registered here.
fn over(old: &Session, new: &Session) -> Session {
    let mut merged = Session { name: old.name.clone(), process: old.process.clone(), ..new.clone() };
    if old.state != SessionState::Recorded {
        merged.state = old.state;
        merged.ended_at = old.ended_at;
        merged.created_at = old.created_at.min(new.created_at);
        merged.last_activity_at = old.last_activity_at.max(new.last_activity_at);
    }
    merged.root = old.root.clone();
    with_links(merged, old, new)
}

/// Where it comes from: what is known is not forgotten because the parent's file is gone.
fn with_links(session: Session, old: &Session, new: &Session) -> Session {
    let same = new.parent.is_none() || new.parent == old.parent;
    Session {
        parent: new.parent.clone().or_else(|| old.parent.clone()),
        fork_point: new.fork_point.clone().or_else(|| old.fork_point.clone().filter(|_| same)),
        ..session
    }
}

/// What an import of pointers comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The records that are new or other than they were.
    pub records: Vec<Session>,
    /// Which of them are new.
    pub created: Vec<SessionId>,
    /// Which of them were there.
    pub updated: Vec<SessionId>,
    /// How many pointers said nothing new.
    pub unchanged: u64,
    /// How many were of an earlier version of a file than another.
    pub older: u64,
}

/// Plans an import, given all sessions that are stored. The roots of others may follow from what comes in.
#[must_use]
pub fn plan<'s>(
    stored: &BTreeMap<SessionId, Session>,
    new: impl Iterator<Item = &'s Session>,
    is_there: impl Fn(&SourceFile) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    let mut now = stored.clone();
    let mut touched = BTreeSet::new();
    for pointer in new {
        match merge(now.get(&pointer.id), pointer, &is_there) {
            Merged::Unchanged => plan.unchanged += 1,
            Merged::Older => plan.older += 1,
            Merged::Created(session) | Merged::Updated(session) => {
                // of two versions that came together, the earlier one
                plan.older += u64::from(!touched.insert(session.id.clone()));
                now.insert(session.id.clone(), *session);
            }
        }
    }
    let parents = now.iter().map(|(id, session)| (id.clone(), session.parent.clone())).collect();
    let mut roots = roots(&parents);
    for (id, mut session) in now {
        session.root = roots.remove(&id).unwrap_or(session.root);
        match stored.get(&id) {
            None => plan.created.push(id),
            Some(old) if *old != session => plan.updated.push(id),
            Some(_) => continue,
        }
        plan.records.push(session);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::session::Source;

    fn imported(last: u8, size: u64, digest: &str) -> Session {
        let file = SourceFile { path: "s.jsonl".into(), size, modified: None, sha256: digest.into() };
        let time = |hour: u8| format!("2026-11-20T{hour:02}:00:00Z").parse().unwrap();
        Session {
            source: Source::Oxi,
            state: SessionState::Recorded,
            file: Some(file),
            last_activity_at: time(last),
            ..Session::begin("s".parse().unwrap(), time(1))
        }
    }

    fn digest(merged: Merged) -> String {
        match merged {
            Merged::Created(session) | Merged::Updated(session) => session.file.unwrap().sha256,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_later_version_counts_whichever_came_first() {
        let (old, new) = (imported(2, 10, "a"), imported(3, 5, "b"));
        assert_eq!(digest(merge(None, &old)), "a");
        assert_eq!(digest(merge(Some(&old), &new)), "b");
        assert_eq!(merge(Some(&new), &old), Merged::Older);
        assert_eq!(digest(merge(Some(&old), &imported(2, 11, "c"))), "c", "of equal activity, the longer");
        assert_eq!(digest(merge(Some(&old), &imported(2, 10, "d"))), "d", "of equals, the greater digest");
        assert_eq!(merge(Some(&imported(2, 10, "d")), &old), Merged::Older);
        assert_eq!(merge(Some(&old), &old), Merged::Unchanged);
    }

    /// As [`super::merge`], of files that are where they were.
    fn merge(old: Option<&Session>, new: &Session) -> Merged {
        super::merge(old, new, |_| true)
    }

    #[test]
    fn a_file_that_moved_is_found_again() {
        let old = imported(2, 10, "a");
        let mut moved = old.clone();
        moved.file.as_mut().unwrap().path = "~/elsewhere/s.jsonl".into();
        assert_eq!(merge(Some(&old), &moved), Merged::Unchanged, "a copy");
        let found = super::merge(Some(&old), &moved, |_| false);
        assert!(matches!(found, Merged::Updated(session) if session.file == moved.file));
    }

    #[test]
    fn what_was_registered_here_stays() {
        let new = imported(3, 10, "a");
        let mut registered = Session::begin("s".parse().unwrap(), imported(2, 0, "").last_activity_at);
        registered.name = Some("night shift".into());
        registered.state = SessionState::Ended;
        registered.ended_at = Some(imported(9, 0, "").last_activity_at);
        let Merged::Updated(merged) = merge(Some(&registered), &new) else { panic!("it has a file now") };
        assert_eq!((merged.name.as_deref(), merged.state), (Some("night shift"), SessionState::Ended));
        assert_eq!((merged.ended_at, merged.source), (registered.ended_at, Source::Oxi));
        assert_eq!(merged.created_at, new.created_at, "it began when its file did, which was before");
        assert_eq!(merge(Some(&merged), &new), Merged::Unchanged);
        assert_eq!(
            digest(merge(Some(&merged), &imported(2, 11, "b"))),
            "b",
            "the longer file, whatever the clock says"
        );
    }

    #[test]
    fn a_parent_that_is_known_is_not_forgotten() {
        let alone = imported(2, 10, "a");
        let child = Session { parent: "p".parse().ok(), fork_point: Some("e1".into()), ..alone.clone() };
        assert!(matches!(merge(Some(&alone), &child), Merged::Updated(merged) if merged.parent == child.parent));
        assert_eq!(merge(Some(&child), &alone), Merged::Unchanged);
        let earlier = Session { parent: "p".parse().ok(), ..imported(1, 2, "0") };
        assert!(matches!(merge(Some(&alone), &earlier), Merged::Updated(merged) if merged.parent == earlier.parent));
        let Merged::Updated(later) = merge(Some(&child), &imported(3, 12, "b")) else { panic!("it is later") };
        assert_eq!((later.parent, later.fork_point), (child.parent, child.fork_point));
    }

    /// The ids and roots of what is stored after these were imported one after the other, or together.
    fn stored_after(imports: &[&[Session]]) -> BTreeMap<SessionId, Session> {
        let mut stored = BTreeMap::new();
        for import in imports {
            let plan = plan(&stored, import.iter(), |_| true);
            stored.extend(plan.records.into_iter().map(|session| (session.id.clone(), session)));
        }
        stored
    }

    #[test]
    fn the_order_of_imports_does_not_matter() {
        let named = |id: &str, parent: &str, base: Session| {
            let id: SessionId = id.parse().unwrap();
            Session { root: id.clone(), parent: parent.parse().ok(), id, ..base }
        };
        let a = named("a", "", imported(2, 10, "a"));
        let b = named("b", "a", imported(3, 10, "b1"));
        let later = named("b", "a", imported(4, 12, "b2"));
        let c = named("c", "b", imported(5, 10, "c"));
        let together = stored_after(&[&[a.clone(), b.clone(), later.clone(), c.clone()]]);
        assert!(together.values().all(|session| session.root.as_str() == "a"));
        assert_eq!(together[&b.id].file, later.file);
        for order in [[&c, &later, &b, &a], [&b, &a, &c, &later], [&later, &c, &a, &b]] {
            let one_by_one: Vec<Vec<Session>> = order.iter().map(|session| vec![(*session).clone()]).collect();
            let one_by_one: Vec<&[Session]> = one_by_one.iter().map(Vec::as_slice).collect();
            assert_eq!(stored_after(&one_by_one), together);
        }
        let again = plan(&together, [&a, &later, &c].into_iter(), |_| true);
        assert_eq!((again.records.len(), again.unchanged), (0, 3));
        assert_eq!(plan(&together, [&b].into_iter(), |_| true).older, 1);
    }
}
