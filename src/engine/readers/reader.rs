//! A reader: a position in a file, and what the reads there have come to.

use std::time::Duration;

use super::consumption::ConsumptionRate;
use super::prebuffer::Prebuffer;
use super::retries::{Place, Retries};
use super::span::Span;
use super::turn::Turn;
use super::waste::Waste;
use super::window::Window;
use crate::base::time::Time;

/// Names a reader in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReaderId(pub u64);

/// Who gave up waiting may be about to try again: for so long he keeps his place, and what he has.
const ABOUT_TO_TRY: Duration = Duration::from_secs(1);
/// In the background, who waits for so long stands in line for memory with those in front: they may never all have enough.
pub const PATIENT: Duration = Duration::from_secs(30);
/// A reader that did not read for so long gives up its share, where others could use it.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// Players probe: the full window opens when so much was read in one run.
const PROBE_BYTES: u64 = 512 * 1024;

/// How a reader is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReaderOptions {
    /// The position to begin at, in the file. At most its size.
    pub offset: u64,
    /// Where the caller stops reading, in the file: nothing from there on is fetched ahead. None: the file's end.
    pub end: Option<u64>,
    /// Bytes to fetch ahead. None: what the share of the memory limit holds.
    pub lookahead: Option<u64>,
    /// Bytes to keep behind. None: a part of the share, never nothing.
    pub lookbehind: Option<u64>,
    /// Bytes a second that the player consumes, 0: unknown.
    pub bitrate: u64,
    /// Bytes at the file's head to fetch at once and keep. None: one piece, at most 8 MiB; nothing where there is an end,
    /// since a part of a file is read by who knows the rest. Some(0): none.
    pub pin_head: Option<u64>,
    /// The same at the file's tail.
    pub pin_tail: Option<u64>,
    /// Asked for after everything that plays now.
    pub background: bool,
    /// Read blocks before their piece is verified.
    pub unverified: bool,
}

/// Counters of a reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReaderCounters {
    pub bytes_read: u64,
    pub seeks: u64,
    pub stalls: u64,
    pub stall_time: Duration,
    pub time_to_first_byte: Option<Duration>,
    pub last_seek_latency: Option<Duration>,
}

/// A read that waits for its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// In the file.
    pub offset: u64,
    /// Bytes asked for.
    pub len: u64,
    pub since: Time,
    /// The same with the reads before it that were given up and tried again.
    pub wanted_since: Time,
    /// Was `reader_stalled` said for it?
    pub told: bool,
    /// Its bytes were there, and nobody has come for them yet: it waits no more, though they may be gone by now.
    answered: bool,
}

/// A `read_at` that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    /// In the file.
    pub offset: u64,
    /// Since when its bytes are waited for, by this call and by those before it that were given up.
    pub since: Time,
}

/// One reader of a torrent.
#[derive(Debug)]
pub struct Reader {
    pub(super) id: ReaderId,
    pub(super) file: u32,
    pub(super) span: Span,
    pub(super) options: ReaderOptions,
    /// In the file.
    pub(super) position: u64,
    waiting: Option<Waiting>,
    /// The last read that was given up, and when.
    given_up: Option<(Waiting, Time)>,
    /// What `read_at` calls wait for.
    pub(super) reads_at: Vec<ReadAt>,
    retries: Retries,
    pub(super) prebuffer: Option<Prebuffer>,
    pub(super) window: Window,
    pub(super) counters: ReaderCounters,
    pub(super) waste: Waste,
    opened: Time,
    last_used: Time,
    seek_began: Option<Time>,
    /// Bytes read in one run since the last seek.
    run: u64,
    turn: Turn,
    /// Its turn came after a long wait.
    waited_long: bool,
    /// It has read on for long enough to be a player, not a probe.
    pub(super) lookahead_unlocked: bool,
    consumption: ConsumptionRate,
}

impl Reader {
    pub fn new(now: Time, id: ReaderId, file: u32, span: Span, options: ReaderOptions) -> Self {
        Self {
            id,
            file,
            span,
            position: options.offset.min(span.size),
            options,
            waiting: None,
            given_up: None,
            reads_at: Vec::new(),
            retries: Retries::default(),
            prebuffer: None,
            window: Window::default(),
            counters: ReaderCounters::default(),
            waste: Waste::default(),
            opened: now,
            last_used: now,
            seek_began: None,
            run: 0,
            turn: Turn::default(),
            waited_long: false,
            lookahead_unlocked: false,
            consumption: ConsumptionRate::default(),
        }
    }

    pub fn id(&self) -> ReaderId {
        self.id
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn options(&self) -> &ReaderOptions {
        &self.options
    }

    /// In the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What `read_at` calls wait for.
    pub fn reads_at(&self) -> &[ReadAt] {
        &self.reads_at
    }

    pub fn prebuffer(&self) -> Option<&Prebuffer> {
        self.prebuffer.as_ref()
    }

    pub fn window(&self) -> &Window {
        &self.window
    }

    #[cfg(test)]
    pub(in crate::engine) fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Bytes a second that are consumed: as given, else as learned; 0: unknown.
    pub fn bitrate(&self) -> u64 {
        if self.options.bitrate > 0 { self.options.bitrate } else { self.consumption.bitrate() }
    }

    /// Is it reading, or was it until a moment ago?
    pub fn is_active(&self, now: Time) -> bool {
        !self.has_rested(now, IDLE_AFTER)
    }

    /// Has nobody read from it for so long?
    pub fn has_rested(&self, now: Time, time: Duration) -> bool {
        !self.reads_wait() && now.since(self.last_used) >= time
    }

    /// Has it had its share of the time, where torrents take turns?
    pub fn has_had_its_turn(&self, now: Time) -> bool {
        let at = self.span.begin + self.position;
        let left = (at + 1).next_multiple_of(self.span.piece_length) - at;
        !self.reads_wait() && self.turn.is_over(now, self.counters.bytes_read, left)
    }

    /// How long it read on before the wait that it is in, or was in last.
    pub fn last_turn(&self) -> Duration {
        self.turn.last()
    }

    /// Is it in the background, and what it has free for those who play? After a long wait it has a turn as they have.
    pub fn gives_way_to_players(&self, crowded: bool) -> bool {
        self.options.background && !(crowded && self.waited_long)
    }

    /// Is its turn one that came after a long wait?
    pub(in crate::engine) fn waited_long(&self) -> bool {
        self.waited_long
    }

    /// Is it in the middle of reading on, with nothing to be timed and nothing to find out?
    pub fn flows(&self) -> bool {
        self.lookahead_unlocked
            && self.waiting.is_none()
            && self.seek_began.is_none()
            && self.counters.time_to_first_byte.is_some()
            && self.prebuffer.is_none()
            && self.window.block_window.is_none()
    }

    /// Does a read wait for a byte of this block?
    pub fn waits_for(&self, piece: u32, block: u32) -> bool {
        self.waits().any(|(offset, _)| self.span.block_at(offset) == (piece, block))
    }

    /// Where reads wait, and since when each is wanted.
    pub fn waits(&self) -> impl Iterator<Item = (u64, Time)> {
        let read = self.waiting().into_iter().map(|w| (w.offset, w.wanted_since));
        read.chain(self.reads_at.iter().map(|p| (p.offset, p.since)))
    }

    pub fn seek(&mut self, now: Time, position: u64) {
        if let Some(waiting) = self.waiting.take() {
            self.end_wait(now, waiting);
            self.retries.gave_up(now, Place::Position, waiting.wanted_since);
        }
        if position != self.position {
            self.run = 0;
            self.counters.seeks += 1;
            self.consumption.pause();
        }
        self.position = position;
        self.seek_began = Some(now);
        self.last_used = now;
    }

    /// `n` bytes at the position went to the caller.
    pub fn advanced(&mut self, now: Time, n: u64) {
        self.turn.goes_on(now, self.counters.bytes_read);
        self.retries.moved_on();
        self.position += n;
        self.run += n;
        self.last_used = now;
        self.counters.bytes_read += n;
        if self.run >= PROBE_BYTES.min(self.span.piece_length) {
            self.lookahead_unlocked = true;
        }
        if self.counters.time_to_first_byte.is_none() {
            self.counters.time_to_first_byte = Some(now.since(self.opened));
        }
        if let Some(began) = self.seek_began.take() {
            self.counters.last_seek_latency = Some(now.since(began));
        }
        if let Some(waiting) = self.waiting.take() {
            self.end_wait(now, waiting);
            self.waited_long |= now.since(waiting.wanted_since) >= PATIENT;
            self.consumption.waited(now.since(waiting.since));
        }
        self.consumption.read(now, n);
    }

    /// Takes the time of a wait into the counters. The very first wait, and the one after a seek, are no stalls.
    fn end_wait(&mut self, now: Time, waiting: Waiting) {
        if waiting.told {
            self.counters.stall_time += now.since(waiting.since);
        }
    }

    /// Does any read wait, at its position or elsewhere?
    pub fn reads_wait(&self) -> bool {
        self.waiting().is_some() || !self.reads_at.is_empty()
    }

    /// The read at the position that waits.
    pub fn waiting(&self) -> Option<Waiting> {
        self.waiting.filter(|w| !w.answered)
    }

    /// The same, and one that would not wait now but was not made again yet.
    pub fn pending(&self) -> Option<Waiting> {
        self.waiting
    }

    /// The bytes that a read waits for are there: who does not come for them soon has gone.
    pub fn answer(&mut self, now: Time) {
        if let Some(waiting) = self.waiting.as_mut().filter(|w| !w.answered) {
            waiting.answered = true;
            self.waited_long = now.since(waiting.wanted_since) >= PATIENT;
            self.last_used = now;
        }
    }

    /// A read found nothing. True if that is a stall: the flow of an ongoing read broke.
    pub fn begin_wait(&mut self, now: Time, len: u64) -> bool {
        self.turn.ends(self.last_used);
        self.last_used = now;
        if let Some(waiting) = self.waiting.as_mut().filter(|w| w.offset == self.position) {
            waiting.answered = false;
            return false;
        }
        self.waited_long = false;
        let stalled = self.run > 0;
        let wanted_since = self.retries.begun(now, Place::Position);
        self.waiting =
            Some(Waiting { offset: self.position, len, since: now, wanted_since, told: stalled, answered: false });
        if stalled {
            self.counters.stalls += 1;
        }
        stalled
    }

    /// The caller gave up waiting.
    pub fn stop_waiting(&mut self, now: Time) {
        if let Some(waiting) = self.waiting.take() {
            self.end_wait(now, waiting);
            self.retries.gave_up(now, Place::Position, waiting.wanted_since);
            self.given_up = Some((waiting, now));
        }
        self.last_used = now;
    }

    /// The read that waits, or that was given up so lately that it may be about to be tried again: it keeps its place among all who wait.
    pub fn wait_at(&self, now: Time) -> Option<Waiting> {
        let may_come = |(w, at): &(Waiting, Time)| w.offset == self.position && now.since(*at) < ABOUT_TO_TRY;
        self.waiting().or_else(|| self.given_up.filter(may_come).map(|(waiting, _)| waiting))
    }

    /// A `read_at` found nothing, and waits.
    pub fn begin_probe(&mut self, now: Time, offset: u64) {
        let since = self.retries.begun(now, Place::Offset(offset));
        self.reads_at.push(ReadAt { offset, since });
    }

    /// Its caller got it, or gave up. False: there is none.
    pub fn stop_probe(&mut self, now: Time, offset: u64) -> bool {
        let Some(at) = self.reads_at.iter().position(|p| p.offset == offset) else { return false };
        let read_at = self.reads_at.swap_remove(at);
        self.retries.gave_up(now, Place::Offset(offset), read_at.since);
        true
    }

    /// Other options from now on. They say what is pinned, so a prebuffer is over; who changes them is not asleep.
    pub fn set_options(&mut self, now: Time, options: ReaderOptions) {
        self.options = options;
        self.prebuffer = None;
        self.last_used = now;
    }

    /// The first piece at the position, if any is left.
    pub fn current_piece(&self) -> Option<u32> {
        (self.position < self.span.size).then(|| self.span.piece_at(self.position))
    }

    /// Where fetching ahead ends, in the file: at the position or after it. What a read beyond the end waits for is fetched all the same.
    pub fn until(&self) -> u64 {
        let end = self.options.end.unwrap_or(u64::MAX);
        let waited = self.waiting().map_or(self.position, |w| w.offset.saturating_add(w.len));
        if self.position < end { end.min(self.span.size) } else { waited.clamp(self.position, self.span.size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn reader(begin: u64, size: u64, piece_length: u64) -> Reader {
        Reader::new(Time::ZERO, ReaderId(1), 0, Span { begin, size, piece_length }, ReaderOptions::default())
    }

    #[test]
    fn stalls_count_only_in_a_flow() {
        let mut r = reader(0, MIB, MIB);
        assert!(!r.begin_wait(Time::ZERO, 1), "the first wait is the start");
        r.advanced(Time::from_millis(10), 100);
        assert_eq!(r.counters.time_to_first_byte, Some(Duration::from_millis(10)));
        assert!(r.begin_wait(Time::from_millis(20), 1));
        assert!(!r.begin_wait(Time::from_millis(25), 1), "still the same wait");
        r.advanced(Time::from_millis(50), 100);
        assert_eq!((r.counters.stalls, r.counters.stall_time), (1, Duration::from_millis(30)));
        r.seek(Time::from_millis(60), 0);
        assert!(!r.begin_wait(Time::from_millis(60), 1), "a seek may wait");
        r.advanced(Time::from_millis(80), 1);
        assert_eq!(r.counters.last_seek_latency, Some(Duration::from_millis(20)));
    }

    #[test]
    fn a_read_whose_bytes_are_there_waits_no_more_until_it_comes_again() {
        let span = Span { begin: 0, size: 64 * MIB, piece_length: MIB };
        let mut r = Reader::new(Time::BEGINNING, ReaderId(1), 0, span, ReaderOptions::default());
        let at = |ms| Time::BEGINNING + Duration::from_millis(ms);
        r.begin_wait(at(0), 1);
        assert!(r.reads_wait() && !r.has_rested(at(60_000), Duration::from_secs(2)));
        r.answer(at(60_000));
        r.answer(at(61_000));
        assert!(!r.reads_wait() && r.wait_at(at(60_500)).is_none() && r.waits().next().is_none());
        assert!(!r.has_rested(at(61_900), Duration::from_secs(2)) && r.has_rested(at(62_000), Duration::from_secs(2)));
        r.begin_wait(at(63_000), 1);
        assert!(r.reads_wait());
        assert_eq!(r.waiting().map(|w| w.wanted_since), Some(at(0)), "the bytes were gone again");
    }

    #[test]
    fn a_read_that_is_tried_again_keeps_its_place() {
        let span = Span { begin: 0, size: 64 * MIB, piece_length: MIB };
        let mut r = Reader::new(Time::BEGINNING, ReaderId(1), 0, span, ReaderOptions::default());
        let at = |ms| Time::BEGINNING + Duration::from_millis(ms);
        for try_ in 0..5 {
            r.begin_wait(at(1010 * try_), 1);
            assert_eq!(r.wait_at(at(1010 * try_)).map(|w| w.wanted_since), Some(at(0)));
            r.stop_waiting(at(1010 * try_ + 1000));
            assert!(r.waiting().is_none() && r.wait_at(at(1010 * try_ + 1005)).is_some());
        }
        assert_eq!(r.wait_at(at(7000)), None, "it was not tried again");
        r.begin_wait(at(7000), 1);
        assert_eq!(r.waiting().map(|w| w.wanted_since), Some(at(0)), "in the end it was");
        r.stop_waiting(at(7100));
        r.seek(at(7100), 5 * MIB);
        assert_eq!(r.wait_at(at(7100)), None, "other bytes");
        r.begin_wait(at(7200), 1);
        assert_eq!(r.waiting().map(|w| w.wanted_since), Some(at(0)), "it has got nothing yet");
        r.advanced(at(7300), 10);
        r.begin_wait(at(7400), 1);
        assert_eq!(r.waiting().map(|w| w.wanted_since), Some(at(7400)));
        r.stop_waiting(at(7500));
        for try_ in 8..20 {
            r.begin_probe(at(try_ * 1000), MIB);
            r.begin_probe(at(try_ * 1000 + 1), try_ * MIB);
            assert_eq!(r.reads_at[0].since, at(8000));
            assert!(r.stop_probe(at(try_ * 1000 + 990), MIB) && r.stop_probe(at(try_ * 1000 + 999), try_ * MIB));
            assert!(!r.stop_probe(at(try_ * 1000 + 999), MIB));
        }
    }
}
