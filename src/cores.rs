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

/// What `work` makes in each of at most so many threads, each of which takes what is next to be done.
pub(crate) fn share<R: Send>(threads: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let spawn = |_| Builder::new().spawn_scoped(scope, &work).ok();
        let others: Vec<_> = (1..threads.min(count())).filter_map(spawn).collect();
        let mut made = vec![work()];
        made.extend(others.into_iter().map(joined));
        made
    })
}

/// What `each` makes of every item, in order. Fewer than `least` items are not worth a thread.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], least: usize, each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Into so many pieces each thread's share is divided, so that none waits long for another.
    const PIECES: usize = 4;
    let threads = count().min(items.len() / least.max(1)).max(1);
    let pieces: Vec<_> = items.chunks(items.len().div_ceil(threads * PIECES).max(1)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        while let (index, Some(piece)) = taken(&next, &pieces) {
            made.push((index, piece.iter().map(&each).collect::<Vec<_>>()));
        }
        made
    };
    let mut made: Vec<_> = share(threads, work).into_iter().flatten().collect();
    made.sort_unstable_by_key(|(index, _)| *index);
    let mut all = Vec::with_capacity(items.len());
    for (_, made) in made {
        all.extend(made);
    }
    all
}

/// The next item that nobody has taken, and its place.
pub(crate) fn taken<'i, T>(next: &AtomicUsize, items: &'i [T]) -> (usize, Option<&'i T>) {
    let index = next.fetch_add(1, Ordering::Relaxed);
    (index, items.get(index))
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
        assert!(matches!(share(1, || 7)[..], [7]));
    }
}
