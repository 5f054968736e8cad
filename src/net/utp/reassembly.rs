//! What came in: the bytes in their order, and the packets that came before one that is missing.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use super::packet::{MOST_SACK_BYTES, SeqNr};

/// Packets that are kept ahead of a missing one.
const MOST_AHEAD: i32 = 2048;
/// An empty buffer of more is given back in a quiet moment.
const KEPT: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// There is more to read, or the end.
    InOrder,
    Ahead,
    /// It was here already.
    Duplicate,
    /// There is no room for it.
    Refused,
}

#[derive(Debug)]
pub struct Reassembly {
    /// The packet that is expected next.
    next: SeqNr,
    ready: VecDeque<u8>,
    /// The packets from `next` + 1 on; the last one is here.
    ahead: VecDeque<Option<Box<[u8]>>>,
    ahead_bytes: usize,
    /// The number of the last packet, once it is known: there is nothing behind it.
    last: Option<SeqNr>,
}

impl Reassembly {
    pub fn new(next: SeqNr) -> Self {
        Self { next, ready: VecDeque::new(), ahead: VecDeque::new(), ahead_bytes: 0, last: None }
    }

    /// All up to this one is here.
    pub fn ack_nr(&self) -> SeqNr {
        self.next.plus(u16::MAX)
    }

    /// Bytes that are kept.
    pub fn held(&self) -> usize {
        self.ready.len() + self.ahead_bytes
    }

    pub fn has_holes(&self) -> bool {
        !self.ahead.is_empty()
    }

    pub fn is_readable(&self) -> bool {
        !self.ready.is_empty() || self.is_at_end()
    }

    /// All is here that will ever come.
    fn is_complete(&self) -> bool {
        self.last.is_some_and(|last| self.next.distance(last) > 0)
    }

    /// All that will ever come was read.
    pub fn is_at_end(&self) -> bool {
        self.ready.is_empty() && self.is_complete()
    }

    /// A packet came; `fin`: the last one. `room`: so many bytes may be kept more.
    pub fn take(&mut self, seq: SeqNr, payload: &[u8], fin: bool, room: usize) -> Taken {
        let distance = seq.distance(self.next);
        if distance < 0 || self.is_complete() {
            return Taken::Duplicate;
        }
        let beyond_end = self.last.is_some_and(|last| seq.distance(last) > 0);
        let before_others = fin && distance < self.ahead.len() as i32;
        if distance > MOST_AHEAD || payload.len() > room || beyond_end || before_others {
            return Taken::Refused;
        }
        if fin {
            self.last.get_or_insert(seq);
        }
        if distance > 0 {
            let at = distance as usize - 1;
            if self.ahead.len() <= at {
                self.ahead.resize(at + 1, None);
            }
            let Some(place @ None) = self.ahead.get_mut(at) else { return Taken::Duplicate };
            *place = Some(payload.into());
            self.ahead_bytes += payload.len();
            return Taken::Ahead;
        }
        self.ready.extend(payload);
        self.next = self.next.plus(1);
        while let Some(first) = self.ahead.pop_front() {
            let Some(payload) = first else { break };
            self.ahead_bytes -= payload.len();
            self.ready.extend(&payload);
            self.next = self.next.plus(1);
        }
        Taken::InOrder
    }

    /// Reads into the places, in their order, what is there.
    pub fn read(&mut self, places: &mut [IoSliceMut<'_>]) -> usize {
        let mut read = 0;
        for place in places {
            let mut at = 0;
            let (one, two) = self.ready.as_slices();
            let skip_one = read.min(one.len());
            for part in [one.get(skip_one..), two.get(read - skip_one..)] {
                let part = part.unwrap_or_default();
                let n = part.len().min(place.len() - at);
                if let (Some(to), Some(from)) = (place.get_mut(at..at + n), part.get(..n)) {
                    to.copy_from_slice(from);
                }
                at += n;
            }
            read += at;
        }
        self.ready.drain(..read);
        read
    }

    /// Gives back memory that is not used.
    pub fn trim(&mut self) {
        if self.ready.is_empty() && self.ready.capacity() > KEPT {
            self.ready = VecDeque::new();
        }
    }

    /// Which of the packets behind the missing one are here: a bit each, in words of 32. Empty: none is missing.
    pub fn sack(&self) -> Vec<u8> {
        let mut bits = vec![0u8; self.ahead.len().div_ceil(32) * 4];
        for (at, _) in self.ahead.iter().enumerate().filter(|(_, p)| p.is_some()) {
            if let Some(byte) = bits.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
        bits.truncate(MOST_SACK_BYTES);
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1 << 20;

    fn read(r: &mut Reassembly) -> Vec<u8> {
        let (mut one, mut two) = ([0; 3], [0; 500]);
        let n = r.read(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]);
        [one.as_slice(), two.as_slice()].concat()[..n].to_vec()
    }

    #[test]
    fn packets_in_any_order_are_read_in_theirs() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let first = SeqNr(rng.u16(..));
            let mut r = Reassembly::new(first);
            let mut order: Vec<u16> = (0..40).chain(0..40).collect();
            rng.shuffle(&mut order);
            let mut got = Vec::new();
            for n in order {
                r.take(first.plus(n), &[n as u8; 7], n == 39, ROOM);
                if rng.bool() {
                    got.extend(read(&mut r));
                }
            }
            got.extend(read(&mut r));
            assert_eq!(got, (0..39u8).chain([39]).flat_map(|n| [n; 7]).collect::<Vec<u8>>());
            assert!(r.is_at_end() && r.held() == 0 && !r.has_holes());
            assert_eq!(r.ack_nr(), first.plus(39));
        }
    }

    #[test]
    fn what_is_here_is_told_by_bits_from_the_second_on() {
        let mut r = Reassembly::new(SeqNr(10));
        assert_eq!(r.take(SeqNr(11), b"a", false, ROOM), Taken::Ahead);
        assert_eq!(r.take(SeqNr(11), b"a", false, ROOM), Taken::Duplicate);
        r.take(SeqNr(13), b"b", false, ROOM);
        r.take(SeqNr(43), b"c", false, ROOM);
        assert_eq!(r.sack(), [0b101, 0, 0, 0, 0b1, 0, 0, 0]);
        assert_eq!(r.ack_nr(), SeqNr(9));
        assert_eq!(r.held(), 3);
        assert_eq!(r.take(SeqNr(10), b"d", false, ROOM), Taken::InOrder);
        assert_eq!(r.ack_nr(), SeqNr(11));
        assert_eq!(read(&mut r), b"da");
    }

    #[test]
    fn what_has_no_room_or_is_far_ahead_is_refused() {
        let mut r = Reassembly::new(SeqNr(0));
        assert_eq!(r.take(SeqNr(0), &[0; 100], false, 99), Taken::Refused);
        assert_eq!(r.take(SeqNr(0).plus(MOST_AHEAD as u16 + 1), b"a", false, ROOM), Taken::Refused);
        assert_eq!(r.take(SeqNr(u16::MAX), b"a", false, ROOM), Taken::Duplicate);
        assert_eq!(r.held(), 0);
        let mut whole = Reassembly::new(SeqNr(0));
        (1..=2048).for_each(|n| assert_eq!(whole.take(SeqNr(n), b"a", false, ROOM), Taken::Ahead));
        assert_eq!(whole.sack().len(), MOST_SACK_BYTES);
    }

    #[test]
    fn there_is_nothing_behind_the_end() {
        let mut r = Reassembly::new(SeqNr(0));
        r.take(SeqNr(2), b"", true, ROOM);
        assert_eq!(r.take(SeqNr(3), b"no", false, ROOM), Taken::Refused);
        assert_eq!(r.take(SeqNr(1), b"no", true, ROOM), Taken::Refused, "another end, before what came already");
        r.take(SeqNr(0), b"a", false, ROOM);
        r.take(SeqNr(1), b"b", false, ROOM);
        assert!(r.is_readable() && !r.is_at_end());
        assert_eq!(read(&mut r), b"ab");
        assert!(r.is_readable() && r.is_at_end());
        assert_eq!(r.take(SeqNr(3), b"no", false, ROOM), Taken::Duplicate);
    }

    #[test]
    fn what_is_not_used_is_given_back() {
        let mut r = Reassembly::new(SeqNr(0));
        (0..100).for_each(|n| assert_eq!(r.take(SeqNr(n), &[0; 1000], false, ROOM), Taken::InOrder));
        r.trim();
        assert_eq!(r.held(), 100_000);
        while !read(&mut r).is_empty() {}
        r.trim();
        assert_eq!(r.ready.capacity(), 0);
    }
}
