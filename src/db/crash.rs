//! Loss of power, killed processes and failing disks, played in memory beneath the engine, with the store's own
//! transactions.
//!
//! A history is what processes did one after another: open, one transaction, close. From it images are made of what a
//! disk could hold after the power went at any moment. Each must open, each of its rows must have its checksum, and the
//! rows must be, all of them, those of the last change that was reported as done or of the one that was going on.
//!
//! `OXI_STATE_LONG=1` looks at ten times as many images.

mod disk;

use std::sync::atomic::{AtomicUsize, Ordering};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _};

use super::birth::make_tables;
use super::storage::Opened;
use super::{Author, Cas, Op, StoreError, migrate, write_in};
use crate::noise::noise;
use crate::schema::codec;
use crate::schema::id::IssueId;
use crate::schema::issue::{Issue, IssueHead};
use crate::schema::time::Timestamp;
use disk::{Dice, Disk, Fault};

/// How many images are made of all histories together.
fn images() -> usize {
    if std::env::var_os("OXI_STATE_LONG").is_some() { 100_000 } else { 10_000 }
}

/// All rows of a database, as one number. Two databases with the same one hold the same.
type Digest = u64;

fn digest(database: &Database) -> Digest {
    let txn = database.begin_read().unwrap();
    let mut names: Vec<_> = txn.list_tables().unwrap().map(|table| table.name().to_owned()).collect();
    names.sort();
    let mut digest = xxhash_rust::xxh3::Xxh3::new();
    for name in names {
        digest.update(name.as_bytes());
        let table = txn.open_table(TableDefinition::<&[u8], &[u8]>::new(&name)).unwrap();
        for row in table.iter().unwrap() {
            let (key, value) = row.unwrap();
            let (key, value) = (key.value(), value.value());
            assert!(codec::is_whole(key, value) || value == codec::index_seal(key), "a row of {name} is torn: {key:?}");
            for part in [key, value] {
                digest.update(&part.len().to_le_bytes());
                digest.update(part);
            }
        }
    }
    digest.digest()
}

fn open(disk: &Disk) -> Result<Opened, StoreError> {
    Ok(Opened::on(disk.clone())?)
}

/// What a process would find. It opens a copy, so that the disk stays as it is.
fn found(bytes: Vec<u8>) -> Digest {
    digest(&open(&Disk::holding(bytes)).unwrap())
}

/// Whether a database is of the present schema, so that it can be written.
fn is_current(database: &Database) -> bool {
    migrate::check_version(&database.begin_read().unwrap()).is_ok()
}

/// One change, as a process makes it. Numbers choose what is done.
fn change(database: &Database, number: usize, dice: &mut Dice) -> Result<(), StoreError> {
    let now =
        Timestamp::new(chrono::DateTime::from_timestamp(1_700_000_000 + i64::try_from(number).unwrap(), 0).unwrap());
    let author = Author { actor: "disk".into(), session: None, now };
    let what = dice.below(8);
    let length = 1 << dice.below(12);
    let body = match number % 2 {
        0 => format!("{number} ").repeat(length),
        _ => crate::noise::noise(number as u64, 5 * length),
    };
    let any = IssueId(u32::try_from(1 + dice.below(6)).unwrap());
    let edit = |issue: &mut Issue, _| issue.body.clone_from(&body);
    let create = |id, now| {
        let head = IssueHead::new(id, format!("issue {number}"), now);
        Issue { head, body: body.clone() }
    };
    write_in(database, None, &author, None, |txn| {
        match what {
            0 | 1 => drop(txn.update(any, None, Op::Update, edit)?),
            2 => drop(txn.delete(any, Op::Delete)?),
            3 => (0..20).try_for_each(|_| txn.create(create).map(drop))?,
            _ => drop(txn.create(create)?),
        }
        // something always changes
        txn.create(create).map(drop)
    })
}

/// What one process does.
fn change_and_close(disk: &Disk, number: usize, seed: u64) -> Result<(), StoreError> {
    let database = open(disk)?;
    let changed = change(&database, number, &mut Dice(seed));
    database.close();
    changed
}

/// What processes did on a disk, and what they reported.
struct History {
    disk: Disk,
    /// When each state was reported as durable, and what it was. The first is there from the beginning.
    states: Vec<(usize, Digest)>,
}

impl History {
    /// A new database and a few changes.
    fn play(seed: u64) -> Self {
        let disk = Disk::default();
        make_tables(&open(&disk).unwrap()).unwrap();
        Self { states: Vec::new(), disk: Disk::holding(disk.seen()) }.go_on(4, &mut Dice(seed))
    }

    /// A database of schema 1 that is brought up to date, and a change.
    fn of_old_schema(seed: u64) -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/databases/schema-1.redb");
        let disk = Disk::holding(std::fs::read(file).unwrap());
        let database = open(&disk).unwrap();
        let old = (0, digest(&database));
        migrate::bring_up_to_date(&database, 1, None).unwrap();
        let new = (disk.time(), digest(&database));
        drop(database);
        Self { states: vec![old, new], disk }.go_on(1, &mut Dice(seed))
    }

    fn go_on(mut self, changes: usize, dice: &mut Dice) -> Self {
        for _ in 0..changes {
            let database = open(&self.disk).unwrap();
            if self.states.is_empty() {
                self.states.push((0, digest(&database)));
            }
            change(&database, self.states.len(), dice).unwrap();
            let done = self.disk.time();
            self.states.push((done, digest(&database)));
            database.close();
        }
        self
    }

    /// Whether a state may be found after a crash at a moment: nothing reported is lost, nothing is half there.
    fn allows(&self, time: usize, digest: Digest) -> bool {
        let last = self.states.iter().rposition(|(done, _)| *done <= time).unwrap();
        self.states[last..].iter().take(2).any(|(_, state)| *state == digest)
    }
}

/// Does something for so many numbers, in two threads.
fn for_each(count: usize, look: impl Fn(u64) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            look(number as u64);
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

fn histories() -> Vec<History> {
    (0..24).map(|seed| if seed % 8 == 7 { History::of_old_schema(seed) } else { History::play(seed) }).collect()
}

#[test]
fn after_a_loss_of_power_the_database_is_as_it_was_before_or_after_a_change() {
    let histories = histories();
    for_each(images() * 6 / 10, |seed| {
        let mut dice = Dice(seed);
        let history = &histories[dice.below(histories.len())];
        let time = dice.below(history.disk.time() + 1);
        let image = history.disk.after_power_loss(time, &mut dice);
        let state = found(image);
        assert!(history.allows(time, state), "image {seed}: power lost after event {time}");
    });
}

#[test]
fn the_power_may_go_again_while_the_next_process_repairs_and_writes() {
    let histories = histories();
    for_each(images() * 2 / 10, |seed| {
        let mut dice = Dice(seed << 20);
        let history = &histories[dice.below(histories.len())];
        let time = dice.below(history.disk.time() + 1);
        let image = history.disk.after_power_loss(time, &mut dice);
        let first = found(image.clone());
        if !is_current(&open(&Disk::holding(image.clone())).unwrap()) {
            return;
        }
        let again = History { disk: Disk::holding(image), states: Vec::new() }.go_on(1, &mut dice);
        assert_eq!(again.states[0].1, first, "image {seed}: repaired to another state");
        let time = dice.below(again.disk.time() + 1);
        let state = found(again.disk.after_power_loss(time, &mut dice));
        assert!(again.allows(time, state), "image {seed}: power lost again after event {time}");
    });
}

#[test]
fn a_process_may_be_killed_and_the_power_go_while_the_next_one_writes() {
    let histories = histories();
    for_each(images() * 2 / 10, |seed| {
        let mut dice = Dice(seed << 40);
        let history = &histories[dice.below(histories.len())];
        let killed = dice.below(history.disk.time() + 1);
        let disk = history.disk.killed_at(killed);
        let database = open(&disk).unwrap();
        let seen = digest(&database);
        assert!(history.allows(killed, seen), "image {seed}: killed after event {killed}");
        if !is_current(&database) {
            return;
        }
        change(&database, 99, &mut dice).unwrap();
        let (done, new) = (disk.time(), digest(&database));
        database.close();
        let time = killed + dice.below(disk.time() - killed + 1);
        let state = found(disk.after_power_loss(time, &mut dice));
        let expected = state == new || time < done && (state == seen || history.allows(killed, state));
        assert!(expected, "image {seed}: killed after event {killed}, power lost after {time}");
    });
}

#[test]
fn the_images_show_that_syncs_are_needed() {
    // a test of these tests: were nothing synced, many an image would be lost
    let lying = History::play(4).disk.that_lied();
    let lost = (0..200).filter(|seed| {
        let image = lying.after_power_loss(lying.time(), &mut Dice(*seed));
        std::panic::catch_unwind(|| found(image)).is_err()
    });
    let lost = lost.count();
    assert!(lost > 50, "{lost}");
}

#[test]
fn a_new_database_leaves_nothing_to_sync_before_it_gets_its_name() {
    // it is synced under its temporary name; whatever the power leaves of it before that is never given the name
    let disk = Disk::default();
    let database = open(&disk).unwrap();
    make_tables(&database).unwrap();
    let made = digest(&database);
    drop(database);
    disk.sync();
    for seed in 0..200 {
        assert_eq!(found(disk.after_power_loss(disk.time(), &mut Dice(seed))), made);
    }
}

#[test]
fn an_error_at_any_call_leaves_the_old_state_or_says_that_the_outcome_is_unknown() {
    let mut unknown = 0;
    for (seed, fault) in [(1, Fault::Once), (2, Fault::ForGood), (3, Fault::Once), (6, Fault::ForGood)] {
        let history = History::play(seed);
        let start = history.disk.seen();
        let before = found(start.clone());
        let clean = Disk::holding(start.clone());
        change_and_close(&clean, 50, seed).unwrap();
        let after = found(clean.seen());
        for call in 1..=clean.calls() {
            let disk = Disk::holding(start.clone());
            disk.fail_at(call, fault);
            let outcome = change_and_close(&disk, 50, seed);
            disk.mend();
            let allowed = match outcome {
                // closing comes after the change was durable
                Ok(()) => vec![after],
                Err(StoreError::CommitUnknown(_)) => {
                    unknown += 1;
                    vec![before, after]
                }
                Err(_) => vec![before],
            };
            let state = found(disk.seen());
            assert!(allowed.contains(&state), "seed {seed}, call {call}");
            for dice in 0..4 {
                let state = found(disk.after_power_loss(disk.time(), &mut Dice(dice)));
                assert!(allowed.contains(&state), "seed {seed}, call {call}, then the power went");
            }
            change_and_close(&disk, 51, seed).unwrap();
        }
    }
    assert!(unknown > 10, "{unknown} errors in a commit");
}

#[test]
fn a_change_takes_three_syncs_and_closing_one_more() {
    let disk = Disk::default();
    let author = Author { actor: "disk".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() };
    let database = open(&disk).unwrap();
    make_tables(&database).unwrap();
    let many = write_in(&database, None, &author, None, |txn| {
        let body = crate::noise::noise(1, 2_000);
        for _ in 0..300 {
            txn.create(|id, now| Issue { head: IssueHead::new(id, "title".into(), now), body: body.clone() })?;
        }
        // pages in the middle of the file become free
        (1..=150).try_for_each(|id| txn.delete(IssueId(id * 2), Op::Delete).map(drop))
    });
    many.unwrap_or_else(|error: StoreError| panic!("{error}"));
    database.close();
    let mut in_place = 0;
    for number in 0..30 {
        let (before, length) = (disk.syncs(), disk.lengths());
        let database = open(&disk).unwrap();
        // that the file is in use
        assert_eq!(disk.syncs() - before, 1);
        let renamed = |issue: &mut Issue, _| issue.head.title = format!("title {number}");
        let changed = write_in(&database, None, &author, None, |txn| txn.update(IssueId(3), None, Op::Update, renamed));
        assert!(matches!(changed, Ok::<_, StoreError>(Cas::Changed(_))), "{changed:?}");
        // two-phase commit: the data first, then the header that names it
        let durable = disk.syncs() - before;
        database.close();
        let closed = disk.syncs() - before;
        // a file that becomes longer or shorter takes more
        if disk.lengths() == length {
            assert_eq!((durable, closed), (3, 4), "change {number}");
            in_place += 1;
        }
    }
    assert!(in_place > 10, "{in_place}");
}

#[test]
fn a_database_that_is_only_being_made_is_not_synced() {
    for is_unborn in [true, false] {
        let disk = Disk::default();
        let database = Opened::open(disk.clone(), is_unborn.then_some(1 << 20)).unwrap();
        make_tables(&database).unwrap();
        database.close();
        assert_eq!(disk.syncs() == 0, is_unborn, "{}", disk.syncs());
    }
}

#[test]
fn a_full_disk_is_named_also_where_the_engine_does_not() {
    // it writes what it has no room for before the commit, and passes over that this fails
    let text = noise(1, 60_000);
    let mut passed_over = 0;
    for call in 1..40 {
        let disk = Disk::default();
        let database = Opened::open(disk.clone(), Some(1 << 20)).unwrap();
        make_tables(&database).unwrap();
        disk.fail_at(call, Fault::Once);
        let author = Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() };
        let written = write_in(&database, None, &author, None, |txn| {
            (0..40).try_for_each(|number| {
                let head = |id, now| IssueHead::new(id, format!("issue {number}"), now);
                txn.create(|id, now| Issue { head: head(id, now), body: text.clone() }).map(drop)
            })
        });
        let Err(error) = written.map_err(|error: StoreError| error.to_string()) else { continue };
        assert!(error.contains("No space left on device"), "{call}: {error}");
        passed_over += 1;
    }
    assert!(passed_over > 10, "{passed_over}");
}
