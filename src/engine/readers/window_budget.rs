//! What each reader gets of its torrent's share of memory: its window is cut from that.

use std::collections::BTreeSet;

use super::open_readers::Readers;
use super::reader::{Reader, ReaderId};
use super::turn::TURN_IS_OVER;
use super::window::Window;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// What is to be shared out.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct WindowBudget {
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

    pub(in crate::engine) fn cut_windows(&mut self, now: Time, budget: &WindowBudget) {
        let WindowBudget { piece, crowded, lookbehind_percent: percent, .. } = *budget;
        let others_wait = budget.others_wait || self.map.values().any(Reader::reads_wait);
        let gives_way = |r: &Reader| r.has_rested(now, TURN_IS_OVER) || (others_wait && r.has_had_its_turn(now));
        let is_awake = |r: &Reader| r.is_active(now) && !(crowded && gives_way(r));
        let awake: BTreeSet<ReaderId> = self.map.values().filter(|r| is_awake(r)).map(|r| r.id).collect();
        let bytes = |blocks: u64| blocks * u64::from(BLOCK_SIZE);
        let room = self.room_behind(now, budget.share, piece);
        let stands_behind = |id: &ReaderId| self.get(*id).is_some_and(|r| r.stands_behind(now, room));
        let (behind, front): (BTreeSet<ReaderId>, BTreeSet<ReaderId>) = awake.iter().partition(|id| stands_behind(id));
        let placed = self.placed_behind(now, &behind, room.unwrap_or(0));
        let mut share = bytes(budget.share);
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
            reader.window.tight = !reader.reads_at.is_empty() && rest < reader.span.piece_cost();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::readers::reader::ReaderOptions;
    use crate::engine::readers::span::Span;

    const MIB: u64 = 1 << 20;
    const PIECE: u64 = MIB / BLOCK_SIZE as u64;

    /// A reader in the middle of its file that has read for a while.
    fn open(readers: &mut Readers, now: Time, id: u64, background: bool) -> ReaderId {
        let span = Span { begin: 0, size: 100 * MIB, piece_length: MIB };
        let options = ReaderOptions { offset: 50 * MIB, background, ..ReaderOptions::default() };
        let mut reader = Reader::new(now, ReaderId(id), 0, span, options);
        reader.lookahead_unlocked = true;
        readers.insert(reader);
        ReaderId(id)
    }

    fn budget(pieces: u64) -> WindowBudget {
        WindowBudget { share: pieces * PIECE, piece: PIECE, lookbehind_percent: 15, crowded: false, others_wait: false }
    }

    fn window(readers: &Readers, id: ReaderId) -> Window {
        readers.get(id).expect("it is open").window().clone()
    }

    #[test]
    fn who_plays_has_what_the_background_leaves() {
        let now = Time::BEGINNING;
        let mut readers = Readers::new(now);
        let (player, behind) = (open(&mut readers, now, 1, false), open(&mut readers, now, 2, true));
        readers.cut_windows(now, &budget(16));
        assert_eq!([player, behind].map(|id| window(&readers, id).len()), [12, 4]);
    }

    #[test]
    fn where_there_is_one_piece_for_the_background_who_waits_longest_has_it() {
        let now = Time::BEGINNING;
        let mut readers = Readers::new(now);
        let ids =
            [false, true, true].into_iter().zip(1..).map(|(background, id)| open(&mut readers, now, id, background));
        let ids: Vec<ReaderId> = ids.collect();
        let later = |ms| now + std::time::Duration::from_millis(ms);
        for (id, ms) in [(ids[1], 2000), (ids[2], 1000)] {
            readers.map.get_mut(&id).expect("it is open").begin_wait(later(ms), 1);
        }
        readers.cut_windows(later(2500), &budget(4));
        assert!(readers.anybody_is_put_off());
        let told: Vec<_> = ids.iter().map(|id| window(&readers, *id)).map(|w| (w.put_off, w.len())).collect();
        assert_eq!(told, [(false, 3), (true, 0), (false, 1)]);
    }

    #[test]
    fn who_sleeps_keeps_its_pins_unless_torrents_take_turns() {
        let (opened, now) = (Time::BEGINNING, Time::BEGINNING + std::time::Duration::from_secs(11));
        let mut readers = Readers::new(opened);
        let (asleep, awake) = (open(&mut readers, opened, 1, false), open(&mut readers, now, 2, false));
        readers.cut_windows(now, &budget(16));
        assert_eq!(window(&readers, asleep), Window { head: 0..1, tail: 99..100, ..Window::default() });
        assert_eq!(window(&readers, awake).len(), 14);
        readers.cut_windows(now, &WindowBudget { crowded: true, ..budget(16) });
        assert_eq!(window(&readers, asleep), Window::default());
        assert_eq!(window(&readers, awake).len(), 16);
    }
}
