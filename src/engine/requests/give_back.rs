//! Memory given back to the other torrents of the session.

use std::time::Duration;

use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::cache::queue_place::urgency_of;
use crate::engine::cache::rank::EvictionRank;
use crate::engine::content::piece::PieceState;
use crate::engine::content::want::Class;
use crate::engine::readers::reader::Reader;
use crate::memory::queue::HeadNeed;

/// A piece of which no block came for so long gives its memory to those who wait.
const STUCK: Duration = Duration::from_secs(3);
/// A piece for the background that takes longer than this to come in makes way for a player.
const LONG_TURN: Duration = Duration::from_secs(4);

impl Scheduler<'_> {
    /// What nobody wants goes first, then what lies beyond this torrent's share. Within its share it gives only for what is more urgent, or two
    /// would take the same memory from each other for ever.
    pub(in crate::engine) fn give_back(&mut self, now: Time) {
        let crowded = self.cache.is_crowded();
        while let Some(HeadNeed { urgency, is_overtaken, can_wait }) = self.cache.others_lack() {
            let read_waits = urgency <= urgency_of(Class::Blocked);
            let for_reader = urgency < urgency_of(Class::Priority);
            let share = match self.cache.weight() {
                0 => 0,
                _ if crowded && for_reader => 0,
                _ => self.cache.share_blocks(),
            };
            let bound = if can_wait {
                EvictionRank::Wanted
            } else if is_overtaken {
                // It cannot be served as long as somebody else holds on.
                EvictionRank::Background
            } else if self.blocks_held() <= share || (crowded && !for_reader) {
                EvictionRank::Wanted
            } else if !read_waits {
                EvictionRank::Background
            } else if crowded && self.readers.values().any(Reader::reads_wait) {
                // Who waits has no use for anything but what it waits for.
                EvictionRank::Kept
            } else {
                EvictionRank::FarAhead
            };
            let gave = self.evict_for_others(now, bound)
                || (!is_overtaken && !can_wait && self.blocks_held() > share && self.drop_block(now))
                || (read_waits && !can_wait && self.cache.is_behind_players() && self.make_way_for_players(now));
            if !gave {
                self.cache.has_nothing_to_give(now);
                return;
            }
        }
    }

    /// Nobody plays here, somebody plays elsewhere, and a read waits for memory: a piece that has long to come in makes way. Where there is
    /// no room for both it is not begun again before those who play have what they need. Was there one?
    fn make_way_for_players(&mut self, now: Time) -> bool {
        let Some(content) = &self.content else { return false };
        let store = content.store();
        let long = |s: &PieceState| s.is_coming_in() && !s.would_free_nothing() && now.since(s.begun()) >= LONG_TURN;
        let slots = store.present().iter().filter_map(|p| Some((*p, store.slot(*p).filter(|s| long(s))?)));
        // The one of which least would be fetched again.
        let Some((piece, _)) = slots.min_by_key(|(piece, s)| (s.received(), *piece)) else { return false };
        if !self.cache.makes_way() {
            return false;
        }
        self.evict(now, piece);
        true
    }

    /// Others wait, and pieces that were begun do not get on: their memory goes to who has use for it. True: it left its place in line, and
    /// takes another one when peers are asked again.
    pub(in crate::engine) fn give_up_stuck(&mut self, now: Time) -> bool {
        let Some(content) = self.content.as_ref().filter(|_| self.cache.pool().anybody_waits()) else { return false };
        let stuck = |p: &u32| {
            let slot = content.store().slot(*p);
            slot.is_some_and(|s| s.is_coming_in() && now.since(s.last()) >= STUCK)
        };
        let pieces: Vec<u32> = content.store().present().iter().copied().filter(stuck).collect();
        if self.cache.others_lack().is_none() {
            // It is the first in line itself: with what is stuck in its hands it goes behind the others, if there are any.
            let goes = !pieces.is_empty() && self.cache.is_in_line() && !self.cache.is_behind(now);
            if goes {
                self.cache.give_way(now);
                self.cache.leave_line();
                self.requests.came_free();
            }
            return goes;
        }
        if !pieces.is_empty() {
            self.cache.give_way(now);
        }
        pieces.into_iter().for_each(|piece| self.evict(now, piece));
        false
    }
}
