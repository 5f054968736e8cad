//! The torrent's share of memory, and the readers' windows, which follow from it.

use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::cache::claims::piece_blocks;
use crate::engine::config::StorageKind;
use crate::engine::content::Content;
use crate::engine::readers::stored::Stored;
use crate::engine::readers::window_budget::WindowBudget;

impl Scheduler<'_> {
    pub(super) fn blocks_held(&self) -> u64 {
        self.content.as_ref().map_or(0, Content::blocks_held)
    }

    /// Weighs the torrent in the session by what it wants now.
    pub(in crate::engine) fn update_shares(&mut self, now: Time) {
        let running = self.run_state.is_running(self.config);
        if self.cache.claim(now, self.readers, self.content.as_ref(), running) {
            self.out.shares_changed = true;
            self.requests.demand_changed();
        }
    }

    /// Weighs the torrent in the session by what it wants now, and cuts the readers' windows from its share.
    pub(in crate::engine) fn update_windows(&mut self, now: Time) {
        self.update_shares(now);
        let percent = u64::try_from(self.config.settings.reader_lookbehind_percent).unwrap_or(0);
        if self.config.storage != StorageKind::Memory {
            return self.readers.cut_unbounded_windows(percent);
        }
        let mut protected = 0;
        if let Some(content) = &*self.content {
            self.out.shares_changed |= self.cache.keep_protected(content, self.config.storage);
            protected = self.cache.lookbehind().kept_blocks(content.layout());
        }
        let budget = WindowBudget {
            share: self.cache.share_blocks().saturating_sub(protected),
            piece: piece_blocks(self.content.as_ref()),
            lookbehind_percent: percent,
            crowded: self.cache.is_crowded(),
            others_wait: self.cache.pool().anybody_waits(),
        };
        let content = self.content.as_ref();
        let stored = Stored { config: self.config, run_state: self.run_state, content, pool: self.cache.pool() };
        self.readers.answer_reads(now, &stored);
        self.readers.cut_windows(now, &budget);
    }
}
