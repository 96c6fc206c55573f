//! A progress bar for people, once a step takes long enough to wonder.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A step that takes less shows no bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// A bar that appears on stderr when a step takes long.
pub(super) struct Bar {
    enabled: bool,
    started: Instant,
    shown: Mutex<Option<ProgressBar>>,
}

impl Bar {
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, started: Instant::now(), shown: Mutex::new(None) }
    }

    pub(super) fn show(&self, what: &'static str, done: u64, all: u64) {
        if !self.enabled || self.started.elapsed() < PATIENCE {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(
                ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        bar.set_message(what);
        bar.set_length(all);
        bar.set_position(done);
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = self.shown.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
