//! How a reader's window is cut from its share of the memory limit: in whole pieces, because a piece is kept or evicted as a whole.

use super::reader::Reader;
use super::window::{Window, pieces};

/// Most bytes pinned at each end by default.
const PIN_MAX: u64 = 8 << 20;
/// Lookahead on disk storage, where memory does not bound it.
const DISK_LOOKAHEAD: u64 = 32 << 20;

impl Reader {
    /// The window for `share` bytes of memory (None: disk storage, where nothing need be kept).
    pub fn compute_window(&self, share: Option<u64>, lookbehind_percent: u64) -> Window {
        let span = &self.span;
        let all = span.pieces();
        if all.is_empty() {
            return Window::default();
        }
        if let Some(stretch) = share.and_then(|s| self.compute_block_window(s, lookbehind_percent)) {
            return Window {
                behind: stretch.behind(),
                ahead: stretch.ahead(),
                block_window: Some(stretch),
                ..Window::default()
            };
        }
        let len = span.piece_length;
        // Without a memory bound everything is kept anyway; only what to fetch matters.
        let fit = share.map_or(u64::from(u32::MAX), |s| s / span.piece_cost());
        let default_pin = if self.options.end.is_some() { 0 } else { len.min(PIN_MAX) };
        let mut head = span.pieces_of(0, self.options.pin_head.unwrap_or(default_pin));
        let tail_len = self.options.pin_tail.unwrap_or(default_pin).min(span.size);
        let mut tail = span.pieces_of(span.size - tail_len, tail_len);
        // Pins take a quarter of the share at most; the head goes first, since the tail is read once.
        let budget = fit / 4;
        // What was asked for is pinned as far as it goes, where both want more than there is, half of it each; what nobody asked
        // for, whole or not at all.
        let for_tail = pieces(&tail).min((budget / 2).max(budget.saturating_sub(pieces(&head))));
        if self.options.pin_head.is_some() {
            head.end = head.start + budget.saturating_sub(for_tail).min(pieces(&head)) as u32;
        }
        if pieces(&head) > budget {
            head = 0..0;
        }
        if self.options.pin_tail.is_some() {
            tail.start = tail.end - (budget - pieces(&head)).min(pieces(&tail)) as u32;
        }
        if pieces(&tail) + pieces(&head) > budget {
            tail = 0..0;
        }
        let until = self.until();
        let Some(current) = self.current_piece().filter(|_| self.position < until) else {
            // At the end: what lies behind is all that may be read again.
            let edge = span.piece_at(self.position.saturating_sub(1)) + 1;
            let keep = fit.saturating_sub(pieces(&head) + pieces(&tail)).min(u64::from(edge - all.start)) as u32;
            return Window { behind: edge - keep..edge, head, tail, ..Window::default() };
        };
        let free = fit.saturating_sub(pieces(&head) + pieces(&tail)).max(1);
        let behind_want = match self.options.lookbehind {
            Some(bytes) => span.pieces_of(self.position.saturating_sub(bytes), bytes.min(self.position)).len() as u64,
            None => (free * lookbehind_percent / 100).max(1),
        };
        // The piece at the position comes first, then what was asked behind, up to half, then the rest ahead. What nobody asked for
        // behind leaves two pieces ahead: with one, a player stands while each is fetched.
        let most_behind =
            if self.options.lookbehind.is_some() { free / 2 } else { (free / 2).min(free.saturating_sub(2)) };
        let behind_n = behind_want.min(most_behind);
        let ahead_room = free - behind_n;
        let ahead_bytes = match (self.options.lookahead, share) {
            _ if !self.lookahead_unlocked && self.options.lookahead.is_none() => 1,
            (Some(bytes), _) => bytes.max(1),
            (None, Some(_)) => u64::MAX,
            (None, None) => DISK_LOOKAHEAD,
        };
        let wanted = span.pieces_of(self.position, ahead_bytes);
        // A reader that is not lookahead_unlocked still gets the piece after the current one.
        let wanted_n = if self.lookahead_unlocked { pieces(&wanted) } else { pieces(&wanted).max(2) };
        let wanted_n = wanted_n.min(pieces(&span.pieces_of(self.position, until - self.position)));
        let ahead_end = current + wanted_n.min(ahead_room).max(1).min(u64::from(all.end - current)) as u32;
        let behind_start = current.saturating_sub(behind_n.min(u64::from(u32::MAX)) as u32).max(all.start);
        Window { behind: behind_start..current, ahead: current..ahead_end, head, tail, ..Window::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Time;
    use crate::engine::readers::reader::{ReaderId, ReaderOptions};
    use crate::engine::readers::span::Span;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn reader(begin: u64, size: u64, piece_length: u64) -> Reader {
        Reader::new(Time::ZERO, ReaderId(1), 0, Span { begin, size, piece_length }, ReaderOptions::default())
    }

    fn lookahead_unlocked(mut r: Reader, position: u64) -> Reader {
        r.lookahead_unlocked = true;
        r.position = position;
        r
    }

    #[test]
    fn a_share_is_split_between_pins_behind_and_ahead() {
        let r = lookahead_unlocked(reader(0, 1024 * MIB, 4 * MIB), 400 * MIB);
        let w = r.compute_window(Some(64 * MIB), 15);
        assert_eq!((w.head.clone(), w.tail.clone()), (0..1, 255..256));
        assert_eq!(w.behind, 98..100);
        assert_eq!(w.ahead, 100..112, "16 pieces less 2 pins and 2 behind");
    }

    #[test]
    fn a_new_reader_looks_ahead_two_pieces() {
        let r = reader(0, 1024 * MIB, 4 * MIB);
        assert_eq!(r.compute_window(Some(64 * MIB), 15).ahead, 0..2);
    }

    #[test]
    fn tiny_memory_still_gets_the_piece_at_the_position() {
        let r = lookahead_unlocked(reader(0, 64 * MIB, 16 * MIB), 20 * MIB);
        let w = r.compute_window(Some(MIB), 15);
        assert_eq!(w.ahead, 1..2);
        assert!(w.head.is_empty() && w.tail.is_empty() && w.behind.is_empty());
    }

    #[test]
    fn lookbehind_is_nothing_only_where_two_pieces_ahead_leave_no_room() {
        let windows = [2, 3].map(|fit| {
            let w = lookahead_unlocked(reader(0, 64 * MIB, MIB), 20 * MIB).compute_window(Some(fit * MIB), 15);
            (w.behind, w.ahead)
        });
        assert_eq!(windows, [(20..20, 20..22), (19..20, 20..22)]);
        let mut r = lookahead_unlocked(reader(0, 64 * MIB, MIB), 20 * MIB);
        r.options.lookbehind = Some(MIB);
        assert_eq!(r.compute_window(Some(2 * MIB), 15).behind, 19..20, "who asks for it has it");
    }

    #[test]
    fn an_end_bounds_what_is_fetched() {
        let options = ReaderOptions { offset: 10 * MIB + 5, end: Some(13 * MIB), ..Default::default() };
        let span = Span { begin: 0, size: 64 * MIB, piece_length: MIB };
        let mut r = Reader::new(Time::ZERO, ReaderId(1), 0, span, options);
        assert_eq!(r.position, 10 * MIB + 5);
        r.lookahead_unlocked = true;
        for share in [Some(32 * MIB), None] {
            let w = r.compute_window(share, 15);
            assert_eq!(w.ahead, 10..13, "the pieces of the range and no more");
            assert!(w.head.is_empty() && w.tail.is_empty(), "nothing is pinned elsewhere");
        }
        r.lookahead_unlocked = false;
        r.position = 13 * MIB - 1;
        r.begin_wait(Time::ZERO, 4 * MIB);
        assert_eq!(r.compute_window(Some(32 * MIB), 15).ahead, 12..13, "not the piece after the last one either");
        r.stop_waiting(Time::ZERO);
        r.position = 13 * MIB;
        let w = r.compute_window(Some(32 * MIB), 15);
        assert!(w.ahead.is_empty(), "all is read");
        assert_eq!(w.behind.end, 13, "and may be read again");
        r.begin_wait(Time::ZERO, 1);
        assert_eq!(
            r.compute_window(Some(32 * MIB), 15).ahead,
            13..14,
            "who reads on all the same gets what he waits for"
        );
    }

    #[test]
    fn an_end_bounds_blocks_and_prebuffering_too() {
        let options = ReaderOptions { offset: 5 * MIB, end: Some(5 * MIB + 1), unverified: true, ..Default::default() };
        let span = Span { begin: 0, size: 64 * MIB, piece_length: 4 * MIB };
        let mut r = Reader::new(Time::ZERO, ReaderId(1), 0, span, options);
        let stretch = r.compute_window(Some(4 * MIB), 15).block_window.expect("blocks");
        let blocks: u64 = stretch.wanted().map(|(_, blocks, _)| u64::from(blocks.end - blocks.start)).sum();
        assert_eq!(blocks, 1);
        r.begin_prebuffer(20 * MIB, 0);
        assert_eq!(r.prebuffer.expect("asked for").head, 0..2, "as much as will come");
    }

    proptest! {
        /// Windows stay inside the file and inside the share (one piece is the least).
        #[test]
        fn windows_fit(begin in 0u64..1 << 30, size in 1u64..1 << 32, shift in 14u32..25, share in 0u64..1 << 30,
                       position in 0u64..1 << 32, look in proptest::option::of(0u64..1 << 33),
                       back in proptest::option::of(0u64..1 << 33), stop in proptest::option::of(1u64..1 << 33),
                       is_proven: bool) {
            let mut r = reader(begin, size, 1 << shift);
            r.options.lookahead = look;
            r.options.lookbehind = back;
            r.options.end = stop;
            r.lookahead_unlocked = is_proven;
            r.position = position.min(size);
            let w = r.compute_window(Some(share), 15);
            let all = r.span.pieces();
            let total: u64 = (all.start..all.end).filter(|p| w.contains(*p)).take(100_000).count() as u64;
            prop_assert!(total * (1 << shift) <= share.max(1 << shift));
            for range in [&w.behind, &w.ahead, &w.head, &w.tail] {
                prop_assert!(range.is_empty() || (range.start >= all.start && range.end <= all.end));
            }
            match r.current_piece() {
                Some(current) if r.position < r.until() => {
                    prop_assert!(w.ahead.contains(&current) && w.ahead.end <= r.span.piece_at(r.until() - 1) + 1);
                }
                _ => prop_assert!(w.ahead.is_empty()),
            }
        }
    }
}
