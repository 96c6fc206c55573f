//! Work on all processors at once.

/// What both make, at the same time.
pub(crate) fn both<A: Send, B>(elsewhere: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let elsewhere = scope.spawn(elsewhere);
        let here = here();
        (joined(elsewhere), here)
    })
}

/// What `each` makes of every item, in order. Fewer than `least` items are not worth a thread.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], least: usize, each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(least);
    let Some((first, rest)) = items.split_at_checked(share).filter(|(_, rest)| !rest.is_empty()) else {
        return items.iter().map(each).collect();
    };
    std::thread::scope(|scope| {
        let each = &each;
        let others: Vec<_> =
            rest.chunks(share).map(|chunk| scope.spawn(move || chunk.iter().map(each).collect::<Vec<_>>())).collect();
        let mut results: Vec<R> = Vec::with_capacity(items.len());
        results.extend(first.iter().map(each));
        for other in others {
            results.extend(joined(other));
        }
        results
    })
}

/// Frees something large that is no longer needed, elsewhere: a process that ends now does not wait for it.
pub(crate) fn free<T: Send + 'static>(large: T) {
    // without a thread it is freed here
    let _ = std::thread::Builder::new().spawn(move || drop(large));
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
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
    }
}
