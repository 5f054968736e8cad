//! The demand: which pieces are asked for first, for readers and deadlines.
//!
//! First pieces that a blocked read waits for, then playing windows and explicit deadlines, by time, then heads
//! and tails of files, then background readers. After these the picker's priorities follow (see `picker`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::want::{Class, Want};
use crate::engine::readers::reader::Reader;
use crate::memory::pool::BLOCK_SIZE;

/// What a reader without a bitrate is taken to consume, to merge its window with those of others.
const ASSUMED_BITRATE: u64 = 1 << 20;

/// Most pieces of one window that are looked at, and most of them that are wanted at once; the rest follows as the window moves.
const MAX_WINDOW: usize = 8192;
const MAX_WANTED: usize = 1024;
/// As many are mostly wanted, or fewer.
const USUAL: usize = 64;
/// Of a background reader heads and tails come after its window.
const PINNED_BEHIND: Duration = Duration::from_secs(3600);

/// Builds the order. `missing` says whether a piece is still to be fetched, `fits` whether memory can hold so much of it.
pub fn order(
    now: Time,
    readers: &BTreeMap<crate::engine::readers::reader::ReaderId, Reader>,
    deadlines: &BTreeMap<u32, Time>,
    missing: impl Fn(u32) -> bool,
    fits: impl Fn(&Want) -> bool,
) -> Vec<Want> {
    let mut wants = Vec::with_capacity(USUAL);
    let mut push = |want: Want| {
        if missing(want.piece) && fits(&want) {
            wants.push(want);
        }
    };
    for reader in readers.values() {
        let base = if reader.options().background { Class::Background } else { Class::Deadline };
        // Who does not wait for whole pieces has the blocks from his position on before those that the hash alone needs.
        let unverified = reader.options().unverified;
        let at = reader.current_piece().filter(|_| unverified).map(|_| reader.span().block_at(reader.position()));
        let first = |piece| at.filter(|(current, _)| *current == piece).map_or(0, |(_, block)| block);
        let bitrate = if reader.bitrate() == 0 { ASSUMED_BITRATE } else { reader.bitrate() };
        let span_time = |bytes: u64| Duration::from_micros(bytes.saturating_mul(1_000_000) / bitrate);
        if let Some(stretch) = &reader.window().block_window {
            for read_at in reader.reads_at() {
                let (piece, blocks) = reader.read_at_blocks(read_at.offset);
                push(Want { class: Class::Blocked, due: read_at.since, piece, from: blocks.start, until: blocks.end });
            }
            for (piece, blocks, ahead) in stretch.wanted() {
                let (class, due) = match reader.wait_at(now) {
                    Some(waiting) if ahead == 0 && base == Class::Deadline => (Class::Blocked, waiting.wanted_since),
                    _ => (base, now + span_time(ahead * u64::from(BLOCK_SIZE))),
                };
                push(Want { class, due, piece, from: blocks.start, until: blocks.end });
            }
            continue;
        }
        // Who waits longest comes first: where memory holds one piece only, readers take turns.
        if let Some(waiting) = reader.wait_at(now).filter(|_| !reader.window().put_off) {
            let class = if reader.options().background { Class::Background } else { Class::Blocked };
            let read = reader.span().pieces_of(reader.position(), waiting.len.max(1));
            let window = reader.window().ahead.end.max(read.start + 1);
            for piece in read.start..read.end.min(window) {
                push(Want { from: first(piece), ..Want::whole(class, waiting.wanted_since, piece) });
            }
        }
        for read_at in reader.reads_at() {
            let (piece, block) = reader.span().block_at(read_at.offset);
            let from = if unverified { block } else { 0 };
            push(Want { from, ..Want::whole(Class::Blocked, read_at.since, piece) });
            if from > 0 {
                push(Want::whole(base, now, piece));
            }
        }
        let piece_time = span_time(reader.span().piece_length);
        // What a prebuffer asks for comes before all else of the file, as if it were played first; what is played moves back by as
        // much until it is here.
        let mut before = 0u32;
        if let Some(prebuffer) = reader.prebuffer() {
            let inside = |piece: &u32| reader.window().contains(*piece);
            let pieces = prebuffer.head.clone().chain(prebuffer.tail.clone()).filter(inside).take(MAX_WINDOW);
            for (i, piece) in (0u32..).zip(pieces).filter(|(_, piece)| missing(*piece)) {
                push(Want::whole(base, now + piece_time.saturating_mul(i), piece));
                before = i + 1;
            }
        }
        let ahead = (0u32..).zip(reader.window().ahead.clone()).take(MAX_WINDOW).filter(|(_, piece)| missing(*piece));
        for (i, piece) in ahead.take(MAX_WANTED) {
            push(Want { from: first(piece), ..Want::whole(base, now + piece_time.saturating_mul(before + i), piece) });
        }
        if let Some((piece, 1..)) = at.filter(|(piece, _)| reader.window().ahead.contains(piece)) {
            push(Want::whole(base, now + piece_time * 2, piece));
        }
        let (pinned, due) = if reader.options().background {
            (Class::Background, now + PINNED_BEHIND)
        } else {
            (Class::Pinned, Time::ZERO)
        };
        for range in [reader.window().head.clone(), reader.window().tail.clone()] {
            for (i, piece) in (0u64..).zip(range).take(MAX_WINDOW) {
                push(Want::whole(pinned, due + Duration::from_micros(i), piece));
            }
        }
    }
    for (piece, due) in deadlines {
        push(Want::whole(Class::Deadline, *due, *piece));
    }
    // Of what is wanted twice the more urgent want counts.
    wants.sort_unstable_by_key(|w| (w.piece, w.class, w.due, w.from));
    wants.dedup_by(|later, sooner| sooner.covers(later));
    wants.sort_unstable();
    wants
}

/// The demand, as it stands: in its order, and up to where all of it is asked for.
#[derive(Debug)]
pub(in crate::engine) struct Demand {
    wants: Vec<Want>,
    /// All blocks of those before are asked for.
    from: usize,
    /// What the demand follows from has changed.
    outdated: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Self { wants: Vec::new(), from: 0, outdated: true }
    }
}

impl Demand {
    /// All, the most urgent first.
    pub(in crate::engine) fn wants(&self) -> &[Want] {
        &self.wants
    }

    /// Those of which a block may be free, up to so many of all.
    pub(in crate::engine) fn open(&self, until: usize) -> impl Iterator<Item = &Want> {
        self.wants.iter().take(until).skip(self.from)
    }

    /// Those of which all blocks are asked for.
    pub(in crate::engine) fn full(&self) -> &[Want] {
        self.wants.get(..self.from).unwrap_or(&self.wants)
    }

    /// Is there any of which a block may be free?
    pub(in crate::engine) fn has_open(&self) -> bool {
        self.from < self.wants.len()
    }

    /// How many come before the piece in their order.
    pub(in crate::engine) fn before(&self, piece: u32) -> usize {
        self.wants.iter().take_while(|want| want.piece != piece).count()
    }

    /// Steps over those of which no block is free.
    pub(in crate::engine) fn pass(&mut self, is_full: impl Fn(&Want) -> bool) {
        while self.wants.get(self.from).is_some_and(&is_full) {
            self.from += 1;
        }
    }

    /// A block came free, of whichever want.
    pub(in crate::engine) fn came_free(&mut self) {
        self.from = 0;
    }

    /// The readers, or what is there for them, have changed: what is wanted is found out again before anything is asked for.
    pub(in crate::engine) fn changed(&mut self) {
        self.outdated = true;
    }

    pub(in crate::engine) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Is it to be found out again? Whoever asks does that.
    pub(in crate::engine) fn take_outdated(&mut self) -> bool {
        std::mem::take(&mut self.outdated)
    }

    pub(in crate::engine) fn set(&mut self, wants: Vec<Want>) {
        (self.wants, self.from) = (wants, 0);
    }

    pub(in crate::engine) fn wants_mut(&mut self) -> impl Iterator<Item = &mut Want> {
        self.wants.iter_mut()
    }

    /// The piece is here.
    pub(in crate::engine) fn remove(&mut self, piece: u32) {
        if let Some(at) = self.wants.iter().position(|w| w.piece == piece) {
            self.wants.remove(at);
            self.from -= usize::from(at < self.from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::readers::reader::{ReaderId, ReaderOptions};
    use crate::engine::readers::span::Span;

    const SPAN: Span = Span { begin: 0, size: 100 << 14, piece_length: 1 << 14 };

    fn reader(id: u64, ahead: std::ops::Range<u32>, options: ReaderOptions) -> (ReaderId, Reader) {
        let options = ReaderOptions { offset: u64::from(ahead.start) << 14, ..options };
        let mut r = Reader::new(Time::ZERO, ReaderId(id), 0, SPAN, options);
        r.window_mut().ahead = ahead;
        (ReaderId(id), r)
    }

    fn pieces(wants: &[Want]) -> Vec<u32> {
        wants.iter().map(|w| w.piece).collect()
    }

    #[test]
    fn blocked_reads_then_windows_by_time_then_pins_then_background() {
        let fast = ReaderOptions { bitrate: 1 << 20, ..Default::default() };
        let slow = ReaderOptions { bitrate: 1 << 10, ..Default::default() };
        let background = ReaderOptions { background: true, ..Default::default() };
        let mut readers =
            BTreeMap::from([reader(1, 10..12, slow), reader(2, 20..23, fast), reader(3, 40..41, background)]);
        readers.get_mut(&ReaderId(1)).expect("there").window_mut().tail = 99..100;
        let wants = order(Time::ZERO, &readers, &BTreeMap::new(), |p| p != 21, |_| true);
        assert_eq!(pieces(&wants), [10, 20, 22, 11, 99, 40]);
        readers.get_mut(&ReaderId(2)).expect("there").begin_wait(Time::ZERO, 1);
        let wants = order(Time::ZERO, &readers, &BTreeMap::new(), |_| true, |_| true);
        assert_eq!(pieces(&wants)[0], 20);
        assert_eq!(wants[0].class, Class::Blocked);
    }

    #[test]
    fn blocks_from_an_unverified_position_on_come_before_those_behind_it() {
        let span = Span { begin: 0, size: 100 << 20, piece_length: 1 << 20 };
        let options = ReaderOptions { offset: (5 << 20) + (50 << 14) + 1, unverified: true, ..Default::default() };
        let mut r = Reader::new(Time::ZERO, ReaderId(1), 0, span, options);
        r.window_mut().ahead = 5..7;
        r.begin_wait(Time::ZERO, 1);
        let wants = order(Time::ZERO, &BTreeMap::from([(r.id(), r)]), &BTreeMap::new(), |_| true, |_| true);
        let stretches: Vec<_> = wants.iter().map(|w| (w.class, w.piece, w.from)).collect();
        assert_eq!(stretches, [(Class::Blocked, 5, 50), (Class::Deadline, 6, 0), (Class::Deadline, 5, 0)]);
    }

    #[test]
    fn deadlines_share_the_order_with_windows() {
        let fast = ReaderOptions { bitrate: 1 << 14, ..Default::default() };
        let readers = BTreeMap::from([reader(1, 10..13, fast)]);
        let deadlines = BTreeMap::from([(50, Time::from_millis(1500)), (60, Time::ZERO)]);
        let wants = order(Time::ZERO, &readers, &deadlines, |_| true, |_| true);
        assert_eq!(pieces(&wants), [10, 60, 11, 50, 12]);
    }

    fn demand(pieces: &[u32]) -> Demand {
        let want = |piece: &u32| Want { piece: *piece, class: Class::Blocked, due: Time::ZERO, from: 0, until: 4 };
        let mut demand = Demand::default();
        demand.set(pieces.iter().map(want).collect());
        demand
    }

    fn open(demand: &Demand) -> Vec<u32> {
        demand.open(usize::MAX).map(|w| w.piece).collect()
    }

    #[test]
    fn what_is_asked_for_is_passed_until_something_comes_free() {
        let mut demand = demand(&[5, 6, 7, 8]);
        demand.pass(|w| w.piece < 7);
        assert_eq!((open(&demand), demand.full().len(), demand.before(7)), (vec![7, 8], 2, 2));
        demand.remove(5);
        assert_eq!((open(&demand), demand.full().len()), (vec![7, 8], 1));
        demand.remove(8);
        demand.remove(9);
        assert_eq!(demand.open(1).count(), 0);
        demand.pass(|_| true);
        assert!(!demand.has_open());
        demand.came_free();
        assert_eq!(open(&demand), [6, 7]);
    }

    #[test]
    fn whoever_finds_it_out_again_does_it_once() {
        let mut demand = Demand::default();
        assert!(demand.take_outdated() && !demand.is_outdated());
        demand.changed();
        assert!(demand.take_outdated() && !demand.take_outdated());
    }
}
