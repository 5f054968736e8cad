//! Whether a piece may be begun beside what is held.

use std::collections::BTreeSet;

use super::memory::Cache;
use super::rank::{Keepers, evictable_by};
use crate::base::time::Time;
use crate::engine::config::Config;
use crate::engine::content::Content;
use crate::engine::content::want::Class;
use crate::engine::readers::Readers;
use crate::engine::readers::reader::Reader;
use crate::engine::run_state::RunState;

/// By what it is decided, beside what is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Admission<'a> {
    pub config: &'a Config,
    pub run_state: &'a RunState,
    pub cache: &'a Cache,
    pub readers: &'a Readers,
    /// Pieces that are taken because a peer shows them.
    pub revealed: &'a BTreeSet<u32>,
}

impl<'a> Admission<'a> {
    /// Who has a say in what is kept; `for_others`: against what other torrents want.
    pub(in crate::engine) fn keepers(&self, now: Time, for_others: bool) -> Keepers<'a> {
        Keepers {
            now,
            readers: self.readers.map(),
            deadlines: self.readers.deadlines(),
            lookbehind: &self.cache.lookbehind,
            revealed: self.revealed,
            crowded: self.cache.is_crowded(),
            for_others,
            stopped: !self.run_state.is_running(self.config),
        }
    }

    /// May it have others give memory back? A read that waits always, everything else that is wanted within the torrent's share, or
    /// for its only piece.
    pub(in crate::engine) fn has_claim(&self, content: &Content, class: Class, blocks: u64) -> bool {
        let waits = |r: &Reader| r.options().background && r.reads_wait();
        let within = |held: u64| held == 0 || held + blocks <= self.cache.share_blocks();
        class == Class::Blocked
            || (class == Class::Background && self.readers.values().any(waits))
            || (class != Class::Revealed && self.cache.share.weight() > 0 && within(content.blocks_held()))
    }

    /// May a piece be begun for `class`? If memory for all of it is there, can be had from what is worth less, or is this
    /// torrent's to claim.
    pub(in crate::engine) fn admits(&self, content: &Content, class: Class, piece: u32) -> bool {
        let blocks = u64::from(content.layout().num_blocks_to_fetch(piece, 0, u32::MAX));
        if self.cache.pool.available() >= blocks || self.has_claim(content, class, blocks) {
            return true;
        }
        // Where all that is begun is wanted alike, nothing goes.
        if class == Class::Priority && !content.picker().has_unwanted_begun() {
            return false;
        }
        // It is asked for every piece that could be begun, and knows no better time than the last tick's: the worth of a piece
        // changes within seconds.
        let (keepers, bound) = (self.keepers(self.run_state.last_tick, false), evictable_by(class));
        let below = |p: &&u32| keepers.eviction_rank(content, **p) < bound;
        let slots = content.store().present().iter().filter(below).filter_map(|p| content.store().slot(*p));
        let evictable: u64 = slots.map(|s| u64::from(s.received()) + s.promised()).sum();
        self.cache.pool.available() + evictable >= blocks
    }
}
