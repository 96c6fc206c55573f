//! Work on all processors at once. Where the system gives no further thread, the thread that asked does it all.

use std::sync::atomic::{AtomicUsize, Ordering};
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
        let others: Vec<_> = (1..threads.min(count())).filter_map(spawn).collect();
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
    let threads = count().min(items.len() / least.max(1)).max(1);
    let pieces: Vec<_> = items.chunks(items.len().div_ceil(threads * PIECES_PER_THREAD).max(1)).collect();
    each(&pieces, threads, |_, piece| make(piece))
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

/// Frees something large that is no longer needed, elsewhere: a process that ends now does not wait for it.
pub(crate) fn free<T: Send + 'static>(large: T) {
    // without a thread it is freed here
    let _ = Builder::new().spawn(move || drop(large));
}

fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
}
