//! What each reader gets of its torrent's share of memory: its window is cut from that.

use std::collections::BTreeSet;

use super::Readers;
use super::reader::{Reader, ReaderId};
use super::turn::TURN_IS_OVER;
use super::window::Window;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// What is to be shared out.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Portions {
    /// Blocks of memory.
    pub share: u64,
    /// Blocks of a piece.
    pub piece: u64,
    pub lookbehind_percent: u64,
    /// Torrents take turns with what memory there is.
    pub crowded: bool,
    /// Somebody waits for memory.
    pub others_wait: bool,
}

impl Readers {
    /// On disk, nothing need be kept in memory.
    pub(in crate::engine) fn cut_unbounded_windows(&mut self, lookbehind_percent: u64) {
        self.map.values_mut().for_each(|r| r.window = r.compute_window(None, lookbehind_percent));
    }

    pub(in crate::engine) fn cut_windows(&mut self, now: Time, portions: &Portions) {
        let Portions { piece, crowded, lookbehind_percent: percent, .. } = *portions;
        let others_wait = portions.others_wait || self.map.values().any(Reader::reads_wait);
        let gives_way = |r: &Reader| r.has_rested(now, TURN_IS_OVER) || (others_wait && r.has_had_its_turn(now));
        let is_awake = |r: &Reader| r.is_active(now) && !(crowded && gives_way(r));
        let awake: BTreeSet<ReaderId> = self.map.values().filter(|r| is_awake(r)).map(|r| r.id).collect();
        let bytes = |blocks: u64| blocks * u64::from(BLOCK_SIZE);
        let room = self.room_behind(now, portions.share, piece);
        let stands_behind = |id: &ReaderId| self.get(*id).is_some_and(|r| r.stands_behind(now, room));
        let (behind, front): (BTreeSet<ReaderId>, BTreeSet<ReaderId>) = awake.iter().partition(|id| stands_behind(id));
        let placed = self.placed_behind(now, &behind, room.unwrap_or(0));
        let mut share = bytes(portions.share);
        if crowded {
            // Those that sleep have nothing where torrents take turns.
            self.map.values_mut().filter(|r| !awake.contains(&r.id)).for_each(|r| r.window = Window::default());
        } else if !awake.is_empty() {
            // Beside others that play they keep what they pin, out of a quarter at most, and no more.
            let asleep = self.map.len() - awake.len();
            let each = share / 4 / asleep.max(1) as u64;
            for reader in self.map.values_mut().filter(|r| !awake.contains(&r.id)) {
                reader.window = reader.compute_window(Some(each * 4), percent).pins_only();
                share -= reader.window.len() * reader.span.piece_cost();
            }
        }
        let each = room.unwrap_or(0) * bytes(piece) / placed.len().max(1) as u64;
        for reader in self.map.values_mut().filter(|r| behind.contains(&r.id)) {
            reader.window = Window { put_off: true, ..Window::default() };
            if placed.contains(&reader.id) {
                reader.window = reader.compute_window(Some(each), percent);
                share = share.saturating_sub(each);
            }
        }
        // Where nobody plays, they have what is left over.
        let all = awake.is_empty() && !crowded;
        let playing = if all { self.map.len() } else { front.len() };
        let each = share / playing.max(1) as u64;
        for reader in self.map.values_mut().filter(|r| all || front.contains(&r.id)) {
            // What it reads elsewhere must fit beside its window.
            let rest = each.saturating_sub(reader.probes_cost(each));
            reader.window = reader.compute_window(Some(rest), percent);
            reader.window.asleep = all;
            reader.window.tight = !reader.probes.is_empty() && rest < reader.span.piece_cost();
        }
    }
}
