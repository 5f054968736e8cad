//! What goes out: bytes cut into packets, which of them arrived, and which are lost.
//!
//! Each time a packet is sent it gets the next number of its own (RFC 9002, RFC 8985): one is lost if others that were sent later arrived, by their
//! count or by the time. So what is sent again, and lost again, is noticed as well.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use super::packet::{HEADER_BYTES, SeqNr};
use super::rtt::RoundTrip;
use crate::base::time::Time;

/// So many that were sent later arrived: the packet is lost. More where packets overtake each other.
const OVERTAKEN: u64 = 3;
const MOST_OVERTAKEN: u64 = 192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Syn,
    Data,
    Fin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unsent,
    InFlight,
    Lost,
    Arrived,
}

#[derive(Debug)]
pub struct Segment {
    pub content: Content,
    pub payload: Vec<u8>,
    state: State,
    /// How often it was sent, when the last time, and the number of that.
    times: u32,
    sent: Time,
    number: u64,
    /// The size that it tried, padding and all. 0: none.
    tries: usize,
}

impl Segment {
    fn new(content: Content, payload: Vec<u8>) -> Self {
        Self { content, payload, state: State::Unsent, times: 0, sent: Time::ZERO, number: 0, tries: 0 }
    }

    /// Bytes that it is counted as.
    fn size(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

/// What an acknowledgement says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Bytes that arrived.
    pub bytes: usize,
    pub rtt: Option<Duration>,
    /// When the last was sent of those that are lost.
    pub lost: Option<Time>,
    /// Sizes that were tried, and passed or did not.
    pub passed: Option<usize>,
    pub failed: Option<usize>,
}

#[derive(Debug)]
pub struct SendQueue {
    /// The number of the first segment.
    first: SeqNr,
    segments: VecDeque<Segment>,
    /// How many of them were sent at least once: they come first.
    begun: usize,
    unsent_bytes: usize,
    in_flight: usize,
    lost: usize,
    /// The number of the next sending.
    number: u64,
    /// One more than the latest of them that arrived.
    arrived: u64,
    overtaken: u64,
}

impl SendQueue {
    pub fn new(first: SeqNr) -> Self {
        Self {
            first,
            segments: VecDeque::new(),
            begun: 0,
            unsent_bytes: 0,
            in_flight: 0,
            lost: 0,
            number: 0,
            arrived: 0,
            overtaken: OVERTAKEN,
        }
    }

    /// The number that the next new packet will have.
    pub fn next_nr(&self) -> SeqNr {
        self.first.plus(self.begun as u16)
    }

    /// All arrived.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Packets that were sent, from the first on that is not known to have arrived.
    pub fn num_awaited(&self) -> usize {
        self.begun
    }

    /// Bytes that were not sent yet.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Bytes that are under way, with their headers.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// There is something to send, new or again.
    pub fn has_more(&self) -> bool {
        self.lost > 0 || self.begun < self.segments.len()
    }

    pub fn push(&mut self, content: Content) {
        self.segments.push_back(Segment::new(content, Vec::new()));
    }

    /// Takes up to `room` bytes, in packets of so many.
    pub fn write(&mut self, slices: &[IoSlice<'_>], packet: usize, room: usize) -> usize {
        let mut taken = 0;
        for slice in slices {
            let mut rest = slice.get(..(room - taken).min(slice.len())).unwrap_or_default();
            taken += rest.len();
            while !rest.is_empty() {
                let open = match self.segments.back_mut() {
                    Some(s) if s.state == State::Unsent && s.content == Content::Data && s.payload.len() < packet => s,
                    _ => {
                        self.segments.push_back(Segment::new(Content::Data, Vec::with_capacity(packet)));
                        let Some(new) = self.segments.back_mut() else { break };
                        new
                    }
                };
                let (now, later) = rest.split_at(rest.len().min(packet - open.payload.len()));
                open.payload.extend_from_slice(now);
                rest = later;
            }
        }
        self.unsent_bytes += taken;
        taken
    }

    /// The size of the packet that is to be sent next, without its header.
    pub fn next_size(&self) -> Option<usize> {
        self.next_index().and_then(|at| self.segments.get(at)).map(|s| s.payload.len())
    }

    /// What is to be sent next was never sent before.
    pub fn next_is_new(&self) -> bool {
        self.lost == 0 && self.begun < self.segments.len()
    }

    fn next_index(&self) -> Option<usize> {
        let lost = (self.lost > 0).then(|| self.segments.iter().position(|s| s.state == State::Lost)).flatten();
        lost.or_else(|| (self.begun < self.segments.len()).then_some(self.begun))
    }

    /// Sends the next one. `tries`: it is padded to that size, to see whether it passes.
    pub fn send(&mut self, now: Time, tries: Option<usize>) -> Option<(SeqNr, &Segment)> {
        let at = self.next_index()?;
        let segment = self.segments.get_mut(at)?;
        match segment.state {
            State::Unsent => {
                self.begun += 1;
                self.unsent_bytes -= segment.payload.len();
            }
            State::Lost => self.lost -= 1,
            State::InFlight | State::Arrived => return None,
        }
        segment.state = State::InFlight;
        segment.times += 1;
        (segment.sent, segment.number) = (now, self.number);
        segment.tries = tries.unwrap_or(0);
        self.number += 1;
        self.in_flight += segment.size();
        Some((self.first.plus(at as u16), segment))
    }

    /// May this be what was acknowledged last? Else the packet is not of this stream.
    pub fn is_plausible(&self, ack_nr: SeqNr) -> bool {
        ack_nr.distance(self.first) < self.begun as i32
    }

    /// All up to `ack_nr` arrived, and of those behind the next one those with a bit.
    pub fn acknowledge(&mut self, now: Time, ack_nr: SeqNr, sack: &[u8], rtt: &RoundTrip) -> Acknowledged {
        let mut outcome = Acknowledged::default();
        let begun = self.begun;
        let all = usize::try_from(ack_nr.distance(self.first) + 1).unwrap_or(0).min(begun);
        let mut latest = 0;
        for at in 0..all {
            self.arrive(at, now, rtt, &mut outcome, &mut latest);
        }
        // An older acknowledgement than the last says nothing of what lies behind.
        if ack_nr.distance(self.first) >= -1 {
            let bits = sack.iter().enumerate().flat_map(|(byte, bits)| {
                (0..8).filter(move |bit| bits & (1 << bit) != 0).map(move |bit| byte * 8 + bit)
            });
            for at in bits.map(|bit| all + 1 + bit).take_while(|at| *at < begun) {
                self.arrive(at, now, rtt, &mut outcome, &mut latest);
            }
        }
        self.segments.drain(..all);
        self.begun -= all;
        self.first = self.first.plus(all as u16);
        if outcome.bytes > 0 {
            self.find_lost(now, rtt, &mut outcome);
        }
        outcome
    }

    fn arrive(&mut self, at: usize, now: Time, rtt: &RoundTrip, outcome: &mut Acknowledged, latest: &mut u64) {
        let Some(segment) = self.segments.get_mut(at) else { return };
        match segment.state {
            State::InFlight => self.in_flight -= segment.size(),
            State::Lost => self.lost -= 1,
            State::Unsent | State::Arrived => return,
        }
        let was_lost = segment.state == State::Lost;
        segment.state = State::Arrived;
        outcome.bytes += segment.size();
        segment.payload = Vec::new();
        let age = now.since(segment.sent);
        // What comes sooner than the path allows, or after it was given up, is the answer to an earlier sending: it was only late.
        if was_lost || (segment.times > 1 && age < rtt.least() * 7 / 8) {
            self.overtaken = (self.overtaken * 2).min(MOST_OVERTAKEN);
            return;
        }
        if segment.tries > 0 {
            outcome.passed = Some(segment.tries);
        }
        self.arrived = self.arrived.max(segment.number + 1);
        if segment.times == 1 && segment.number >= *latest {
            *latest = segment.number;
            outcome.rtt = Some(age);
        }
    }

    /// Those that later ones overtook by too much.
    fn find_lost(&mut self, now: Time, rtt: &RoundTrip, outcome: &mut Acknowledged) {
        let usual = rtt.smoothed().unwrap_or_default().max(rtt.latest());
        let late = usual + usual * u32::try_from(self.overtaken).unwrap_or(u32::MAX) / 24;
        for segment in self.segments.iter_mut().take(self.begun).filter(|s| s.state == State::InFlight) {
            let overtaken = self.arrived.saturating_sub(segment.number + 1);
            if overtaken >= self.overtaken || (overtaken > 0 && now.since(segment.sent) > late) {
                segment.state = State::Lost;
                self.in_flight -= segment.size();
                self.lost += 1;
                // One that only tried a size says nothing of the path's load.
                if segment.tries > 0 {
                    outcome.failed = Some(segment.tries);
                } else {
                    outcome.lost = outcome.lost.max(Some(segment.sent));
                }
            } else if segment.times == 1 && overtaken == 0 {
                // Those behind it were sent later still.
                break;
            }
        }
    }

    /// What is under way is lost, all of it. The size that one of them tried.
    pub fn lose_all(&mut self) -> Option<usize> {
        let mut tried = None;
        for segment in self.segments.iter_mut().take(self.begun).filter(|s| s.state == State::InFlight) {
            segment.state = State::Lost;
            self.lost += 1;
            tried = tried.or((segment.tries > 0).then_some(segment.tries));
        }
        self.in_flight = 0;
        tried
    }

    /// The first that is under way is sent again: it may be lost, and nothing came behind it that told.
    pub fn lose_first(&mut self) {
        if let Some(segment) = self.segments.iter_mut().take(self.begun).find(|s| s.state == State::InFlight) {
            segment.state = State::Lost;
            self.in_flight -= segment.size();
            self.lost += 1;
        }
    }
}
