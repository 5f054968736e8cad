//! What a piece in memory is worth.

use std::collections::{BTreeMap, BTreeSet};

use super::lookbehind::Lookbehind;
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::pieces::Stage;
use crate::engine::content::want::Class;
use crate::engine::readers::reader::{Reader, ReaderId};

/// How much a piece in memory is worth keeping; the smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum EvictionRank {
    /// Nobody wants it: not verified, outside all windows.
    Scrap,
    /// Verified, outside all windows: somebody may seek back.
    Old,
    /// Taken so that a peer shows the next one.
    Revealed,
    /// Wanted by its priority only, or in the window of a reader where nobody reads now.
    Wanted,
    /// In the window of a background reader.
    Background,
    /// The far half of a playing reader's lookahead.
    FarAhead,
    /// What a reader has read and may come back to: a read that waits comes before it.
    Behind,
    /// Pinned, protected, near a playing position, or with a deadline: it stays.
    Kept,
}

/// Who has a say in what is kept.
pub(in crate::engine) struct Keepers<'a> {
    pub now: Time,
    pub readers: &'a BTreeMap<ReaderId, Reader>,
    pub deadlines: &'a BTreeMap<u32, Time>,
    pub lookbehind: &'a Lookbehind,
    pub revealed: &'a BTreeSet<u32>,
    /// Torrents take turns with what memory there is.
    pub crowded: bool,
    /// It is for another torrent: what nobody reads now is worth less to it than to this one.
    pub for_others: bool,
    /// Nothing is fetched here until somebody starts it again, whoever waits for it.
    pub stopped: bool,
}

impl Keepers<'_> {
    pub fn eviction_rank(&self, content: &Content, piece: u32) -> EvictionRank {
        let Some(slot) = content.store().slot(piece) else { return EvictionRank::Kept };
        if slot.stage() == Stage::Writing || self.lookbehind.keeps(piece) || self.deadlines.contains_key(&piece) {
            return EvictionRank::Kept;
        }
        let halted = self.for_others && self.stopped;
        let mut worth = match (content.picker().priority(piece), slot.stage()) {
            (0, Stage::Partial) if self.revealed.contains(&piece) => EvictionRank::Revealed,
            (0, Stage::Partial) => EvictionRank::Scrap,
            (0, _) => EvictionRank::Old,
            _ => EvictionRank::Wanted,
        };
        for reader in self.readers.values() {
            let window = reader.window();
            let waits_at = |offset: u64| reader.span().piece_at(offset) == piece;
            // All that a read waits for is wanted alike: were a part of it worth less, it and what is behind it in the order of wants
            // would push each other out.
            let waits = reader.wait_at(self.now).filter(|_| !window.put_off).is_some_and(|w| {
                waits_at(w.offset)
                    || (window.ahead.contains(&piece) && reader.span().pieces_of(w.offset, w.len).contains(&piece))
            });
            let by_this = if !halted && (waits || reader.reads_at().iter().any(|p| waits_at(p.offset))) {
                EvictionRank::Kept
            } else if !window.contains(piece) {
                continue;
            } else if halted || window.asleep && self.for_others {
                EvictionRank::Wanted
            } else if reader.gives_way_to_players(self.crowded) {
                EvictionRank::Background
            } else if window.tight || self.crowded && reader.reads_wait() {
                // Who waits has no use for anything else.
                EvictionRank::FarAhead
            } else if window.block_window.is_some() {
                // It goes block by block; what is whole and left, as a whole.
                if slot.stage() == Stage::Kept && window.behind.contains(&piece) { worth } else { EvictionRank::Kept }
            } else if window.ahead.contains(&piece)
                && piece >= window.ahead.start + window.ahead.len().div_ceil(2) as u32
            {
                EvictionRank::FarAhead
            } else if window.behind.contains(&piece) && !window.is_pinned(piece) {
                EvictionRank::Behind
            } else {
                EvictionRank::Kept
            };
            worth = worth.max(by_this);
        }
        worth
    }
}

/// What a request of this class may push out: everything worth less.
pub(in crate::engine) fn evictable_by(class: Class) -> EvictionRank {
    match class {
        Class::Blocked => EvictionRank::Kept,
        Class::Deadline => EvictionRank::FarAhead,
        Class::Pinned | Class::Background => EvictionRank::Background,
        Class::Priority => EvictionRank::Wanted,
        Class::Revealed => EvictionRank::Revealed,
    }
}
