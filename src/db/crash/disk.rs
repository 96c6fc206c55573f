//! A disk in memory that remembers every write, and what of them a loss of power could have left.
//!
//! What was synced is there afterwards. Of everything since, any pieces of 512 bytes may be and any may not, in any
//! order, and a change of the file's length may have happened or not.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What a disk writes whole or not at all.
const PIECE: usize = 512;

/// Numbers that look random and are the same in every run.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

#[derive(Clone, Debug)]
enum Event {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
    Sync,
}

/// What the disk does wrong at one call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// That call fails, those after it work again.
    Once,
    /// All calls fail from there on.
    ForGood,
}

#[derive(Debug, Default)]
struct State {
    /// What was synced before the first event.
    durable: Vec<u8>,
    /// What a process sees.
    seen: Vec<u8>,
    events: Vec<Event>,
    calls: usize,
    fault: Option<(usize, Fault)>,
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk that holds a file, all of it synced.
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { durable: bytes.clone(), seen: bytes, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The number of events so far.
    pub(super) fn time(&self) -> usize {
        self.state().events.len()
    }

    /// The number of calls so far that change something.
    pub(super) fn calls(&self) -> usize {
        self.state().calls
    }

    /// Lets the call of that number, from now on, go wrong.
    pub(super) fn fail_at(&self, call: usize, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.calls + call, fault));
    }

    /// Everything works again.
    pub(super) fn mend(&self) {
        self.state().fault = None;
    }

    pub(super) fn sync(&self) {
        self.state().events.push(Event::Sync);
    }

    /// The number of syncs so far.
    pub(super) fn syncs(&self) -> usize {
        self.state().events.iter().filter(|event| matches!(event, Event::Sync)).count()
    }

    /// How often the file got another length so far.
    pub(super) fn lengths(&self) -> usize {
        self.state().events.iter().filter(|event| matches!(event, Event::Length(_))).count()
    }

    /// What processes see now.
    pub(super) fn seen(&self) -> Vec<u8> {
        self.state().seen.clone()
    }

    /// A disk on which a process was killed at a moment: what it wrote is seen, and synced only where it was.
    pub(super) fn killed_at(&self, time: usize) -> Self {
        let state = self.state();
        let events = state.events[..time].to_vec();
        let mut seen = state.durable.clone();
        for event in &events {
            apply(&mut seen, event, &mut |_| true);
        }
        let killed = State { durable: state.durable.clone(), seen, events, ..State::default() };
        Self(Arc::new(Mutex::new(killed)))
    }

    /// The same disk, but one that lied: nothing was ever synced.
    pub(super) fn that_lied(&self) -> Self {
        let state = self.state();
        let events = state.events.iter().filter(|event| !matches!(event, Event::Sync)).cloned().collect();
        Self(Arc::new(Mutex::new(State { durable: state.durable.clone(), events, ..State::default() })))
    }

    /// What may be left when the power goes at a moment. `dice` says which of what was not synced is.
    pub(super) fn after_power_loss(&self, time: usize, dice: &mut Dice) -> Vec<u8> {
        let state = self.state();
        let events = &state.events[..time];
        let synced = events.iter().rposition(|event| matches!(event, Event::Sync)).unwrap_or(0);
        let mut image = state.durable.clone();
        for event in &events[..synced] {
            apply(&mut image, event, &mut |_| true);
        }
        // from hardly anything to nearly everything: each kind of loss shows other faults
        let share = [1, 4, 8, 12, 15][dice.below(5)];
        // a disk may also have written all that came before a point
        let whole = if dice.below(4) == 0 { synced + dice.below(events.len() - synced + 1) } else { synced };
        for (number, event) in events.iter().enumerate().skip(synced) {
            apply(&mut image, event, &mut |_| number < whole || dice.below(16) < share);
        }
        image
    }
}

/// Does what an event did, but only the pieces that are kept.
fn apply(image: &mut Vec<u8>, event: &Event, keep: &mut dyn FnMut(usize) -> bool) {
    match event {
        Event::Length(length) if keep(0) => image.resize(*length, 0),
        Event::Sync | Event::Length(_) => {}
        Event::Write { at, bytes } => {
            let mut start = *at;
            while start < at + bytes.len() {
                let end = ((start / PIECE + 1) * PIECE).min(at + bytes.len());
                // what lies beyond the end of the file is not in it
                if keep(start) && end <= image.len() {
                    image[start..end].copy_from_slice(&bytes[start - at..end - at]);
                }
                start = end;
            }
        }
    }
}

impl State {
    fn change(&mut self, event: Event) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            Some((call, Fault::Once)) if self.calls == call => {
                return Err(rustix::io::Errno::NOSPC.into());
            }
            Some((call, Fault::ForGood)) if self.calls >= call => return Err(io::Error::other("the disk is gone")),
            _ => {}
        }
        apply(&mut self.seen, &event, &mut |_| true);
        self.events.push(event);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let state = self.state();
        let bytes = state.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().change(Event::Length(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().change(Event::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (at, mut state) = (usize::try_from(offset).unwrap(), self.state());
        assert!(at + data.len() <= state.seen.len(), "the engine writes within the file");
        state.change(Event::Write { at, bytes: data.to_vec() })
    }
}
