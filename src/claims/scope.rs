//! Who has an issue, over all work trees: reading the claims that they told of, and telling new ones.

use std::collections::BTreeMap;

use crate::db::query::Query;
use crate::db::tables::{Readable, Tables};
use crate::db::{Author, Op, Store, StoreError, WriteTxn};
use crate::liveness::{Known, Liveness, Watch};
use crate::schema::id::Identity;
use crate::schema::issue::{Assignment, IssueHead, Status};
use crate::schema::session::Session;
use crate::schema::time::Timestamp;
use crate::worktrees::{Claims, Shared, SharedClaim, SharedClosing, Turn};

/// What the transaction functions need to know beside the record and its author.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Who is alive.
    pub watch: &'a Watch,
    /// What other work trees have claimed.
    pub claims: &'a Claims,
    /// Get past any owner.
    pub force: bool,
}

/// Who has an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The session, and since when.
    pub assignment: Assignment,
    /// Whether it is alive.
    pub liveness: Liveness,
    /// The work tree that it was claimed in, in words, if the record of this one does not have it.
    pub elsewhere: Option<String>,
    /// Whether no record has it any more, so that it is given back anywhere.
    pub detached: bool,
}

impl Owner {
    /// Whether it lives, or may live.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.liveness != Liveness::Dead
    }
}

impl Access<'_> {
    /// Who has an issue: the one of this work tree's record or the one that another work tree told of, whichever lives
    /// and came last; a dead one if there is no other.
    ///
    /// # Errors
    /// If the database fails.
    pub fn owner<T: Readable>(&self, tables: &Tables<T>, head: &IssueHead) -> Result<Option<Owner>, StoreError> {
        let mut found = None;
        if let Some(assignment) = head.owner() {
            let (assignment, liveness) = (assignment.clone(), self.liveness(tables, assignment)?);
            found = Some(Owner { assignment, liveness, elsewhere: None, detached: false });
        }
        if head.status == Status::Open {
            for there in self.elsewhere(tables, &head.identity())? {
                let counts = found.as_ref().is_none_or(|found| {
                    found.liveness == Liveness::Dead || found.assignment.acquired_at < there.assignment.acquired_at
                });
                if counts {
                    found = Some(there);
                }
            }
        }
        Ok(found)
    }

    /// Who else has an issue in another work tree and lives, or may live: else than a session that is to get it here.
    ///
    /// # Errors
    /// If the database fails.
    pub fn rival<T: Readable>(
        &self,
        tables: &Tables<T>,
        identity: &Identity,
        session: &str,
    ) -> Result<Option<Owner>, StoreError> {
        Ok(self.elsewhere(tables, identity)?.into_iter().find(|owner| owner.assignment.session != session))
    }

    /// Whom other work trees told of that they have an issue, and who live, or may live.
    fn elsewhere<T: Readable>(&self, tables: &Tables<T>, identity: &Identity) -> Result<Vec<Owner>, StoreError> {
        let mut claims = self.claims.of(identity).peekable();
        if claims.peek().is_none() {
            return Ok(Vec::new());
        }
        let (mut found, store) = (Vec::new(), self.claims.store(|| tables.store_id())?);
        for told in claims.filter(|told| !self.claims.is_of(told, store)) {
            let assignment = told.assignment();
            let liveness = self.liveness(tables, &assignment)?;
            if liveness != Liveness::Dead {
                let (elsewhere, detached) = (Some(told.place()), self.claims.is_detached(told));
                found.push(Owner { assignment, liveness, elsewhere, detached });
            }
        }
        Ok(found)
    }

    /// Whether somebody who lives, or may live, has an issue.
    ///
    /// # Errors
    /// If the database fails.
    pub fn is_taken<T: Readable>(&self, tables: &Tables<T>, head: &IssueHead) -> Result<bool, StoreError> {
        Ok(self.owner(tables, head)?.is_some_and(|owner| owner.holds()))
    }

    /// Whether an issue is there to be taken: nobody who lives, or may live, has it, and no other work tree closed it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn is_free<T: Readable>(&self, tables: &Tables<T>, head: &IssueHead) -> Result<bool, StoreError> {
        Ok(self.closed_elsewhere(head).is_none() && !self.is_taken(tables, head)?)
    }

    /// That another work tree closed an issue that is open here.
    #[must_use]
    pub fn closed_elsewhere(&self, head: &IssueHead) -> Option<&SharedClosing> {
        self.claims.closed_elsewhere(&head.identity()).filter(|_| head.status == Status::Open)
    }

    fn liveness<T: Readable>(&self, tables: &Tables<T>, assignment: &Assignment) -> Result<Liveness, StoreError> {
        if let Some(again) = self.watch.owner_again(assignment) {
            return Ok(again);
        }
        let session = tables.record::<Session>(&assignment.session)?;
        let known = session.as_ref().map_or_else(Known::default, Known::of);
        Ok(self.watch.owner(assignment, known))
    }
}

/// What [`write()`] needs to know beside the store and the author.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Who is alive.
    pub watch: &'a Watch,
    /// What the work trees share, if they share anything.
    pub shared: Option<&'a Shared>,
    /// Get past any owner.
    pub force: bool,
}

/// Runs a write transaction in which issues may get another owner, so that all work trees see it.
///
/// # Errors
/// What the closure answers; or if the turn does not come in time, or the database fails.
pub fn write<R, E: From<StoreError>>(
    store: &Store,
    author: &Author,
    scope: Scope<'_>,
    work: impl FnOnce(&mut WriteTxn<'_>, Access<'_>) -> Result<R, E>,
) -> Result<R, E> {
    let turn = scope.shared.map(|shared| shared.turn(store.timeout())).transpose().map_err(StoreError::from)?;
    let none = Claims::default();
    let claims = turn.as_ref().map_or(&none, Turn::claims);
    let (result, later) = store.write(author, |txn| {
        let access = Access { watch: scope.watch, claims, force: scope.force };
        if let Some(turn) = &turn {
            heal(txn, turn, access, author.now)?;
        }
        let result = work(txn, access)?;
        let later = turn.as_ref().map_or(Ok(Later::default()), |turn| tell(txn, turn))?;
        Ok::<_, E>((result, later))
    })?;
    if let Some(turn) = &turn {
        // it is committed; what cannot be told now is healed in the next turn
        for claim in &later.over {
            let _ = turn.withdraw(claim);
        }
        let _ = turn.tell_closed(&[], &later.open, &later.store, author.now);
    }
    Ok(result)
}

/// Mends what is told of this database, without a change to it: an import may have ended claims with its files.
///
/// # Errors
/// If the turn does not come in time, or the database fails.
pub fn settle(store: &Store, scope: Scope<'_>, now: Timestamp) -> Result<(), StoreError> {
    let Some(shared) = scope.shared else { return Ok(()) };
    let turn = shared.turn(store.timeout())?;
    // while this is open nobody commits, so it speaks of the present state
    let read = store.read()?;
    heal(&*read, &turn, Access { watch: scope.watch, claims: turn.claims(), force: scope.force }, now)
}

/// Mends what a killed process left between telling and committing, or between committing and telling: claims and
/// closings that this database told of and knows nothing of, claims of the dead, and claims of its own that nobody was
/// told of. It speaks of what is committed, so it holds whatever becomes of the transaction.
fn heal<T: Readable>(
    tables: &Tables<T>,
    turn: &Turn<'_>,
    access: Access<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let store = turn.claims().store(|| tables.store_id())?;
    for claim in turn.claims().iter() {
        let leftover = turn.claims().is_of(claim, store) && !stands(tables, claim)?;
        if leftover || access.liveness(tables, &claim.assignment())? == Liveness::Dead {
            let _ = turn.withdraw(claim);
        }
    }
    let owned = Query { assigned: Some(true), ..Query::default() };
    for stored in tables.list(&owned, |_| Ok(true))? {
        let (Some(owner), identity) = (stored.head.owner(), stored.head.identity()) else { continue };
        let is_it = |claim: &SharedClaim| claim.session == owner.session && turn.claims().is_of(claim, store);
        if !turn.claims().of(&identity).any(is_it) && access.liveness(tables, owner)? == Liveness::Alive {
            turn.publish(&identity, owner, store)?;
        }
    }
    let mut open = Vec::new();
    for closing in turn.claims().closed_here() {
        let stored = tables.id_of(&closing.identity)?.map(|id| tables.head(id)).transpose()?.flatten();
        if stored.is_none_or(|stored| stored.head.status == Status::Open) {
            open.push(closing.identity.clone());
        }
    }
    let _ = turn.tell_closed(&[], &open, store, now);
    Ok(())
}

/// Whether the record says what a claim says.
fn stands<T: Readable>(tables: &Tables<T>, claim: &SharedClaim) -> Result<bool, StoreError> {
    let stored = tables.id_of(&claim.identity)?.map(|id| tables.head(id)).transpose()?.flatten();
    Ok(stored.is_some_and(|stored| stored.head.owner().is_some_and(|owner| owner.session == claim.session)))
}

/// What the other work trees are to be told once a transaction is committed.
#[derive(Debug, Default)]
struct Later {
    /// Claims that are over.
    over: Vec<SharedClaim>,
    /// Issues that are open again, or gone.
    open: Vec<Identity>,
    /// This database.
    store: String,
}

/// Tells the other work trees of new owners and closings, before they are committed; answers what they are told later.
fn tell(txn: &WriteTxn<'_>, turn: &Turn<'_>) -> Result<Later, StoreError> {
    // the last change of each issue counts
    let changes: BTreeMap<_, _> = txn.standing_changes().iter().map(|change| (&change.identity, change)).collect();
    let store = turn.claims().store(|| txn.store_id())?;
    let (mut closed, mut later) =
        (Vec::new(), Later { open: txn.reopened().to_vec(), store: store.to_owned(), ..Later::default() });
    for (identity, change) in &changes {
        match (change.status_before, change.status) {
            (Some(Status::Open), Some(Status::Closed)) => closed.push((*identity).clone()),
            (Some(Status::Closed), Some(Status::Open)) | (_, None) => later.open.push((*identity).clone()),
            _ => {}
        }
        // other owners came with a file, which the other work trees have or will get
        if let Some(owner) = change.owner.as_ref().filter(|_| matches!(change.op, Op::Start | Op::Undo)) {
            turn.publish(identity, owner, store)?;
        }
    }
    turn.tell_closed(&closed, &[], store, txn.author().now)?;
    for claim in turn.claims().iter() {
        let over = if turn.claims().is_of(claim, store) {
            !stands(txn, claim)?
        } else {
            // of a database that is gone: given back, or another session has the issue now
            let owner = changes.get(&claim.identity).and_then(|change| change.owner.as_ref());
            let replaced = turn.claims().is_here(claim) && owner.is_some_and(|owner| owner.session != claim.session);
            replaced || (turn.claims().is_detached(claim) && txn.ended_claims().contains(&claim.identity))
        };
        if over {
            later.over.push(claim.clone());
        }
    }
    Ok(later)
}
