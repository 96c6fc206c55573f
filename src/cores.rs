//! Work on all processors at once. Where the system gives no further thread, the thread that asked does it all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread::{Builder, ScopedJoinHandle};

/// What both make, at the same time.
pub(crate) fn both<A: Send, B>(elsewhere: impl Fn() -> A + Sync, here: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, &elsewhere);
        let here = here();
        (thread.map_or_else(|_| elsewhere(), joined), here)
    })
}

/// What `make` makes of every item and its place, in order, in at most so many threads. Each thread takes the item that is
/// next, so that none waits long for another.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], threads: usize, make: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    in_threads(items, at_most(threads), make)
}

fn in_threads<T: Sync, R: Send>(items: &[T], threads: usize, make: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return made };
            made.push((place, make(place, item)));
        }
    };
    let mut made = std::thread::scope(|scope| {
        let spawn = |_| Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(spawn).collect();
        let mut made = work();
        made.extend(others.into_iter().flat_map(joined));
        made
    });
    made.sort_unstable_by_key(|(place, _)| *place);
    made.into_iter().map(|(_, made)| made).collect()
}

/// What `make` makes of all items, in order, several at a time. Fewer than `least` are not worth a thread.
pub(crate) fn pieces<T: Sync, R: Send>(items: &[T], least: usize, make: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    const PIECES_PER_THREAD: usize = 4;
    let threads = at_most(items.len() / least.max(1));
    let pieces: Vec<_> = items.chunks(items.len().div_ceil(threads * PIECES_PER_THREAD).max(1)).collect();
    in_threads(&pieces, threads, |_, piece| make(piece))
}

/// As [`each`], for items that take little, which are taken several at a time. Fewer than `least` are not worth a thread.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], least: usize, make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let made = pieces(items, least, |piece| piece.iter().map(&make).collect::<Vec<_>>());
    let mut all = Vec::with_capacity(items.len());
    for made in made {
        all.extend(made);
    }
    all
}

/// Gives `take` what `make` makes of every item, in order. A thread goes ahead and makes it, so that neither waits for the
/// other; not far ahead, so that little is in memory. It also frees it, so that they do not wait for each other's memory.
pub(crate) fn ahead<T: Sync, R: Send, E: Send>(
    items: &[T],
    make: impl Fn(&T) -> Result<R, E> + Sync,
    mut take: impl FnMut(&T, &mut R) -> Result<(), E>,
) -> Result<(), E> {
    const PIECE: usize = 16;
    let make_piece = |piece: &[T]| piece.iter().map(&make).collect::<Result<Vec<_>, E>>();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(2);
        let (give_back, given_back) = channel::<Vec<R>>();
        let go_ahead = move || {
            for piece in items.chunks(PIECE) {
                given_back.try_iter().for_each(drop);
                if sender.send(make_piece(piece)).is_err() {
                    return;
                }
            }
            drop(sender);
            given_back.iter().for_each(drop);
        };
        // a thread is not worth while for one piece
        let thread = (items.len() > PIECE).then(|| Builder::new().spawn_scoped(scope, go_ahead));
        drop(thread);
        for piece in items.chunks(PIECE) {
            // nobody sends anything if there is no thread
            let mut made = receiver.recv().unwrap_or_else(|_| make_piece(piece))?;
            piece.iter().zip(&mut made).try_for_each(|(item, made)| take(item, made))?;
            // who is gone frees nothing
            let _ = give_back.send(made);
        }
        Ok(())
    })
}

/// What `make` makes of items, in order. A thread goes ahead and makes it, whatever whoever takes it does meanwhile.
pub(crate) struct Ahead<T, R> {
    items: Arc<Vec<T>>,
    make: fn(&T) -> R,
    taken: usize,
    made: std::vec::IntoIter<R>,
    /// Where more comes from; none if each is made when it is asked for.
    pieces: Option<Receiver<Vec<R>>>,
}

impl<T: Send + Sync + 'static, R: Send + 'static> Ahead<T, R> {
    /// Begins. Fewer than `least` items are not worth a thread.
    pub(crate) fn of(items: Arc<Vec<T>>, least: usize, make: fn(&T) -> R) -> Self {
        let pieces = if items.len() < least { None } else { Self::begin(Arc::clone(&items), make) };
        Self { items, make, taken: 0, made: Vec::new().into_iter(), pieces }
    }

    fn begin(items: Arc<Vec<T>>, make: fn(&T) -> R) -> Option<Receiver<Vec<R>>> {
        const PIECE: usize = 64;
        let (sender, receiver) = channel();
        let go_ahead = move || {
            // nobody takes them any more once that cannot be sent
            let _ = items.chunks(PIECE).try_for_each(|piece| sender.send(piece.iter().map(make).collect()));
        };
        Builder::new().spawn(go_ahead).ok().map(|_| receiver)
    }
}

impl<T, R> Iterator for Ahead<T, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        let item = self.items.get(self.taken)?;
        if self.made.len() == 0
            && let Some(pieces) = &self.pieces
        {
            match pieces.recv() {
                Ok(piece) => self.made = piece.into_iter(),
                // the thread came to an end before its time
                Err(_) => self.pieces = None,
            }
        }
        self.taken += 1;
        Some(self.made.next().unwrap_or_else(|| (self.make)(item)))
    }
}

/// Frees something large that is no longer needed, elsewhere: nobody waits for it, least of all a process that ends now.
pub(crate) fn free<T: Send + 'static>(large: T) {
    // without a thread it is freed here
    let _ = Builder::new().spawn(move || drop(large));
}

/// As [`free`], of a collection of so many; few are freed here, which takes less than to begin a thread.
pub(crate) fn free_all<T: Send + 'static>(count: usize, items: T) {
    const MANY: usize = 1000;
    if count > MANY {
        free(items);
    }
}

/// So many threads, but no more than there are processors; at least one. The system reads files to count processors, so it
/// is asked only where more than one thread is wanted.
fn at_most(threads: usize) -> usize {
    if threads < 2 { 1 } else { std::thread::available_parallelism().map_or(1, usize::from).min(threads) }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_on_all_cores_is_in_order() {
        for length in [0, 1, 9, 10, 11, 1_000] {
            let items: Vec<u32> = (0..length).collect();
            let doubled: Vec<u32> = items.iter().map(|item| item * 2).collect();
            assert_eq!(map(&items, 10, |item| item * 2), doubled);
        }
        assert_eq!(both(|| 1, || 2), (1, 2));
        for threads in [0, 1, 2, 9] {
            assert_eq!(each(&[5, 6, 7], threads, |place, item| place * item), [0, 6, 14]);
        }
    }

    #[test]
    fn what_is_made_ahead_comes_in_order_until_it_is_refused() {
        for length in [0, 1, 8, 9, 1_000] {
            let items: Vec<u32> = (0..length).collect();
            let mut taken = Vec::new();
            let take = |item: &u32, made: &mut u32| {
                taken.push(*made);
                if *item == 500 { Err(*made) } else { Ok(()) }
            };
            assert_eq!(ahead(&items, |item| Ok(item * 2), take), if length > 500 { Err(1_000) } else { Ok(()) });
            assert_eq!(taken, (0..length.min(501)).map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_made_far_ahead_comes_in_order_with_a_thread_and_without() {
        for length in [0, 1, 63, 64, 65, 1_000] {
            let items: Arc<Vec<u32>> = Arc::new((0..length).collect());
            let doubled: Vec<u32> = items.iter().map(|item| item * 2).collect();
            for least in [0, 64, usize::MAX] {
                assert_eq!(Ahead::of(Arc::clone(&items), least, |item| item * 2).collect::<Vec<_>>(), doubled);
            }
            let mut without_its_thread = Ahead::of(Arc::clone(&items), usize::MAX, |item| item * 2);
            without_its_thread.pieces = Some(channel().1);
            assert_eq!(without_its_thread.collect::<Vec<_>>(), doubled);
        }
    }

    #[test]
    fn what_cannot_be_made_ends_it() {
        for length in [1, 100] {
            let items: Vec<u32> = (0..length).collect();
            let make = |item: &u32| if *item == length / 2 { Err("not made") } else { Ok(*item) };
            assert_eq!(ahead(&items, make, |_, _| Ok(())), Err("not made"));
        }
    }
}
