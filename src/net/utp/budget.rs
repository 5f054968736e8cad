//! What all streams of a session together may keep of what came in and was not read yet.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::RECEIVE_BYTES;

/// Mostly nothing is kept: what comes is read at once. It is what comes behind a lost packet, and what a reader under a limit leaves.
const ALL_BYTES: usize = 8 * 1024 * 1024;
/// A stream always has so much: else it would stand.
const LEAST_BYTES: usize = 32 * 1024;

#[derive(Debug, Default)]
pub struct Budget {
    held: AtomicUsize,
}

impl Budget {
    pub fn changed(&self, before: usize, after: usize) {
        if after > before {
            self.held.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.held.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// How much one may keep that keeps so much.
    pub fn room(&self, held: usize) -> usize {
        let free = ALL_BYTES.saturating_sub(self.held.load(Ordering::Relaxed));
        (held + free / 4).clamp(LEAST_BYTES, RECEIVE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_do_not_read_they_have_a_bound() {
        let budget = Budget::default();
        let mut all = 0;
        for _ in 0..100 {
            let mut held = 0;
            while budget.room(held) > held + 1400 {
                budget.changed(held, held + 1400);
                held += 1400;
            }
            assert!(held >= LEAST_BYTES - 1400);
            all += held;
        }
        assert!(all <= ALL_BYTES + 100 * LEAST_BYTES, "{all}");
        assert_eq!(Budget::default().room(0), RECEIVE_BYTES);
    }
}
