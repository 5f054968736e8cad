//! One uTP connection (BEP 29): packets in, packets out, and what the time brings. No socket, no clock.
//!
//! Acknowledgements go out when what came together was taken in, not packet by packet. The way back in time of what the other side measured counts
//! from the arrival of its packet, never from the moment of our answer: else our own pauses would look to it like a full line.

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use super::congestion::Congestion;
use super::delay::DelayHistory;
use super::packet::{HEADER_BYTES, Header, Packet, PacketType, SeqNr};
use super::path_mtu::PathMtu;
use super::reassembly::Reassembly;
use super::rtt::RoundTrip;
use super::send_queue::{Content, SendQueue};
use super::syn_cookie::Begin;
use crate::base::time::Time;

/// Bytes that are kept for who reads, at most.
pub const RECEIVE_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that are kept and not under way yet, at least and at most.
const SEND_BYTES: usize = 64 * 1024;
const MOST_SEND_BYTES: usize = 320 * 1024;
/// Packets under way, however small: others keep no more than 1024 ahead of one that is missing.
const MOST_PACKETS: usize = 1000;
/// Nothing was heard in so many timeouts in a row: there is nobody.
const MOST_TIMEOUTS: u32 = 7;
/// As many do where packets are answered with the word that nobody listens.
const MOST_TIMEOUTS_UNREACHABLE: u32 = 2;
const MOST_SYN_TIMEOUTS: u32 = 4;
/// A gateway forgets the way back after some 30 s.
const KEEPALIVE: Duration = Duration::from_secs(25);
/// How long the end may take to reach the other side.
const LINGER: Duration = Duration::from_secs(4);
/// Packets sent together.
const MOST_TOGETHER: usize = 40;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nobody listens there.
    Refused,
    Reset,
    TimedOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// We asked.
    SynSent,
    Connected,
}

#[derive(Debug)]
pub struct Connection {
    state: State,
    ended: Option<Ended>,
    /// Of packets to us, and from us.
    receive_id: u16,
    send_id: u16,
    rtt: RoundTrip,
    delays: DelayHistory,
    congestion: Congestion,
    mtu: PathMtu,
    outgoing: SendQueue,
    incoming: Reassembly,
    /// Bytes that may be kept of what comes in, and that the other side was told last.
    room: usize,
    told_room: usize,
    their_room: usize,
    /// To be told with the next packet.
    difference: u32,
    /// Something came that was not acknowledged yet.
    must_ack: bool,
    timeouts: u32,
    /// It is said that nobody listens, and nothing was heard since.
    unreachable: bool,
    /// What is under way is waited for since then: it began, or some of it arrived.
    waits_since: Time,
    /// The first that is under way was sent again since.
    probed: bool,
    /// One packet may go out though the other side has no room: to hear whether it has some now.
    asks_for_room: bool,
    last_sent: Time,
    /// Packets of ours arrived.
    is_heard: bool,
    closes_at: Option<Time>,
}

impl Connection {
    /// Asks for a connection.
    pub fn connect(now: Time, remote: std::net::SocketAddr, rng: &mut fastrand::Rng) -> Self {
        let receive_id = rng.u16(..);
        let mut connection = Self::new(now, remote, State::SynSent, receive_id, rng);
        connection.send_id = receive_id.wrapping_add(1);
        connection.outgoing.push(Content::Syn);
        connection
    }

    /// Takes one that asked, was answered, and sends its first data with this. `begin`: where packets begin, as it was told.
    pub fn accept(
        now: Time,
        remote: std::net::SocketAddr,
        data: &Header,
        begin: Begin,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let mut connection = Self::new(now, remote, State::Connected, data.connection_id, rng);
        connection.send_id = data.connection_id.wrapping_sub(1);
        connection.incoming = Reassembly::new(begin.theirs);
        connection.outgoing = SendQueue::new(begin.ours);
        connection
    }

    fn new(now: Time, remote: std::net::SocketAddr, state: State, receive_id: u16, rng: &mut fastrand::Rng) -> Self {
        let mtu = PathMtu::new(remote);
        Self {
            state,
            ended: None,
            receive_id,
            send_id: receive_id,
            rtt: RoundTrip::default(),
            delays: DelayHistory::new(now),
            congestion: Congestion::new(mtu.size()),
            mtu,
            outgoing: SendQueue::new(SeqNr(rng.u16(..))),
            incoming: Reassembly::new(SeqNr(0)),
            room: RECEIVE_BYTES,
            told_room: RECEIVE_BYTES,
            their_room: 0,
            difference: 0,
            must_ack: false,
            timeouts: 0,
            unreachable: false,
            waits_since: now,
            probed: false,
            asks_for_room: false,
            last_sent: now,
            is_heard: false,
            closes_at: None,
        }
    }

    /// The number in packets that are for it.
    pub fn receive_id(&self) -> u16 {
        self.receive_id
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    pub fn is_connecting(&self) -> bool {
        self.state == State::SynSent && self.ended.is_none()
    }

    /// Nothing more comes of it: it may be forgotten.
    pub fn is_over(&self, now: Time) -> bool {
        self.ended.is_some()
            || self.closes_at.is_some_and(|at| now >= at || (self.outgoing.is_empty() && !self.must_ack))
    }

    /// Bytes of payload that are kept, in both directions.
    pub fn held(&self) -> usize {
        self.incoming.held()
    }

    /// So many bytes may be kept of what comes in.
    pub fn set_room(&mut self, bytes: usize) {
        self.room = bytes.min(RECEIVE_BYTES);
    }

    fn free_room(&self) -> usize {
        self.room.saturating_sub(self.incoming.held())
    }

    /// There are bytes to read, or the end.
    pub fn is_readable(&self) -> bool {
        self.ended.is_some() || (self.state != State::SynSent && self.incoming.is_readable())
    }

    /// Reads into the places what is there. None: nothing yet. 0: the end.
    pub fn read(&mut self, places: &mut [IoSliceMut<'_>]) -> Option<usize> {
        let read = self.incoming.read(places);
        if read == 0 && !self.incoming.is_at_end() {
            return None;
        }
        // Who was told of little room is told when there is much again.
        let free = self.free_room();
        if self.told_room < self.room / 4 && free >= self.told_room + self.room / 4 {
            self.must_ack = true;
        }
        Some(read)
    }

    fn send_room(&self) -> usize {
        let most = (self.congestion.window() + SEND_BYTES).min(MOST_SEND_BYTES);
        most.saturating_sub(self.outgoing.unsent_bytes())
    }

    pub fn is_writable(&self) -> bool {
        self.ended.is_some() || (self.state != State::SynSent && self.send_room() >= SEND_BYTES / 2)
    }

    /// Takes what there is room for. None: none.
    pub fn write(&mut self, now: Time, slices: &[IoSlice<'_>]) -> Option<usize> {
        if self.state == State::SynSent || self.closes_at.is_some() {
            return None;
        }
        if self.outgoing.is_empty() && now.since(self.last_sent) > self.rtt.timeout(0) {
            self.congestion.idle();
        }
        let packet = self.mtu.size() - HEADER_BYTES;
        Some(self.outgoing.write(slices, packet, self.send_room())).filter(|taken| *taken > 0)
    }

    /// Nobody reads or writes any more: what was written goes out, then the end.
    pub fn close(&mut self, now: Time) {
        if self.closes_at.is_none() {
            self.closes_at = Some(now + LINGER);
            if self.state == State::Connected {
                self.outgoing.push(Content::Fin);
            } else {
                self.abort();
            }
        }
    }

    /// The system heard that nobody listens there. Anybody can say so: what goes on already ends by that only if it is silent, too.
    pub fn unreachable(&mut self) {
        if self.state == State::SynSent {
            self.ended.get_or_insert(Ended::Refused);
        }
        self.unreachable = true;
    }

    /// It is at its end, whatever the other side hears.
    pub fn abort(&mut self) {
        self.ended.get_or_insert(Ended::Reset);
    }

    /// A packet for it came at that time.
    pub fn receive(&mut self, now: Time, packet: &Packet<'_>) {
        let header = &packet.header;
        if self.ended.is_some() || !self.is_for_us(header) {
            return;
        }
        if header.kind == PacketType::Reset {
            self.ended = Some(Ended::Reset);
            return;
        }
        if header.timestamp != 0 {
            self.difference = micros(now).wrapping_sub(header.timestamp);
        }
        match (self.state, header.kind) {
            // It did not hear that it was answered.
            (_, PacketType::Syn) => {
                self.must_ack = true;
                return;
            }
            (State::SynSent, PacketType::State) => {
                self.state = State::Connected;
                self.incoming = Reassembly::new(header.seq_nr);
            }
            // Our question is asked again, and the answer comes with it.
            (State::SynSent, _) => return,
            (State::Connected, _) => {}
        }
        self.hear(now, packet);
        if matches!(header.kind, PacketType::Data | PacketType::Fin) {
            self.take_in(packet);
        }
    }

    fn is_for_us(&self, header: &Header) -> bool {
        let id = header.connection_id;
        match header.kind {
            PacketType::Syn => self.state != State::SynSent && id.wrapping_add(1) == self.receive_id,
            // Who does not know us has only our own number to answer with.
            PacketType::Reset => id == self.receive_id || id == self.send_id,
            PacketType::State if self.state == State::SynSent => {
                id == self.receive_id && header.ack_nr.plus(1) == self.outgoing.next_nr()
            }
            _ => id == self.receive_id && self.outgoing.is_plausible(header.ack_nr),
        }
    }

    /// What it says of our packets.
    fn hear(&mut self, now: Time, packet: &Packet<'_>) {
        let header = &packet.header;
        let before = self.outgoing.in_flight();
        self.unreachable = false;
        let heard = self.outgoing.acknowledge(now, header.ack_nr, packet.sack, &self.rtt);
        if let Some(rtt) = heard.rtt {
            self.rtt.sample(rtt);
        }
        if header.timestamp_difference != 0 {
            self.delays.sample(now, header.timestamp_difference);
        }
        self.their_room = header.wnd_size as usize;
        if heard.bytes > 0 || self.outgoing.is_empty() || self.has_no_room() {
            self.timeouts = 0;
        }
        if let Some(size) = heard.passed {
            self.mtu.passed(size);
            self.congestion.set_packet(self.mtu.size());
        }
        if let Some(size) = heard.failed {
            self.mtu.failed(size);
        }
        if heard.bytes > 0 {
            // More than the question for a connection.
            self.is_heard |= before > HEADER_BYTES;
            (self.waits_since, self.probed) = (now, false);
            // What others say of their clock does not count for more than what our own shows.
            let most = self.rtt.latest().saturating_sub(self.rtt.least());
            let queueing = self.delays.queueing().map_or(most, |q| q.min(most));
            let full = before + 2 * self.mtu.size() >= self.congestion.window();
            self.congestion.acked(now, heard.bytes, full, queueing, &self.rtt);
        }
        if let Some(sent) = heard.lost {
            self.congestion.lost(now, sent);
        }
    }

    fn take_in(&mut self, packet: &Packet<'_>) {
        let fin = packet.header.kind == PacketType::Fin;
        if self.closes_at.is_some() && !fin && !packet.payload.is_empty() {
            // Nobody will read it.
            return;
        }
        let payload = if fin { &[] } else { packet.payload };
        // What is refused comes again: the answer says what is here.
        self.incoming.take(packet.header.seq_nr, payload, fin, self.free_room());
        self.must_ack = true;
    }

    fn is_quiet(&self, now: Time) -> bool {
        self.state == State::Connected && now.since(self.last_sent) >= KEEPALIVE
    }

    /// Appends what is to be sent now, as packets of one size, which it tells; the last one may be shorter. None: nothing. Called until there is nothing.
    pub fn transmit(&mut self, now: Time, out: &mut Vec<u8>) -> Option<usize> {
        if self.ended.is_some() {
            return None;
        }
        // Which packets are missing has no room beside a full payload.
        let alone = self.must_ack && self.incoming.has_holes();
        let packet = if alone { None } else { self.send_segments(now, out) };
        let says = packet.is_none() && (self.must_ack || self.is_quiet(now));
        let packet = if says { Some(self.send_state(now, out)) } else { packet };
        if packet.is_some() {
            (self.must_ack, self.last_sent) = (false, now);
        }
        packet
    }

    fn send_state(&mut self, now: Time, out: &mut Vec<u8>) -> usize {
        let begin = out.len();
        let sack = self.incoming.sack();
        self.header(now, PacketType::State, self.outgoing.next_nr()).encode(&sack, 0, out);
        out.len() - begin
    }

    fn send_segments(&mut self, now: Time, out: &mut Vec<u8>) -> Option<usize> {
        let mut packet = None;
        for _ in 0..MOST_TOGETHER {
            let Some(size) = self.may_send() else { break };
            let whole = HEADER_BYTES + size;
            let may_try = self.is_heard && whole >= self.mtu.size() && self.outgoing.next_is_new();
            let tries = if packet.is_none() && may_try { self.mtu.next_try() } else { None };
            if let Some(size) = tries {
                self.send_next(now, tries, out);
                return Some(size);
            }
            let first = *packet.get_or_insert(whole);
            if whole > first {
                break;
            }
            self.send_next(now, None, out);
            if whole < first {
                break;
            }
        }
        packet
    }

    /// The size of the next payload, if it may be sent.
    fn may_send(&self) -> Option<usize> {
        let size = self.outgoing.next_size()?;
        if self.outgoing.next_is_new() && self.outgoing.num_awaited() >= MOST_PACKETS {
            return None;
        }
        let in_flight = self.outgoing.in_flight();
        let whole = HEADER_BYTES + size;
        let has_room = size == 0 || self.asks_for_room || in_flight + size <= self.their_room;
        // One packet is always allowed.
        let has_window = in_flight == 0 || in_flight + whole <= self.congestion.window();
        (has_room && has_window).then_some(size)
    }

    fn send_next(&mut self, now: Time, tries: Option<usize>, out: &mut Vec<u8>) {
        if self.outgoing.num_awaited() == 0 {
            (self.waits_since, self.probed) = (now, false);
        }
        self.asks_for_room = false;
        let header = self.header(now, PacketType::Data, SeqNr(0));
        let receive_id = self.receive_id;
        let Some((seq_nr, segment)) = self.outgoing.send(now, tries) else { return };
        let (kind, connection_id) = match segment.content {
            Content::Syn => (PacketType::Syn, receive_id),
            Content::Data => (PacketType::Data, header.connection_id),
            Content::Fin => (PacketType::Fin, header.connection_id),
        };
        let padding = tries.map_or(0, |size| size.saturating_sub(HEADER_BYTES + segment.payload.len()));
        Header { kind, connection_id, seq_nr, ..header }.encode(&[], padding, out);
        out.extend_from_slice(&segment.payload);
    }

    fn header(&mut self, now: Time, kind: PacketType, seq_nr: SeqNr) -> Header {
        self.told_room = self.free_room();
        Header {
            kind,
            connection_id: self.send_id,
            timestamp: micros(now),
            timestamp_difference: self.difference,
            wnd_size: u32::try_from(self.told_room).unwrap_or(u32::MAX),
            seq_nr,
            ack_nr: self.incoming.ack_nr(),
        }
    }

    /// The system refused a packet of this size.
    pub fn refused(&mut self, size: usize) {
        self.mtu.refused(size);
    }

    /// When [`Self::handle_timeout`] is to be called, if nothing comes before.
    pub fn timeout(&self) -> Time {
        if self.ended.is_some() {
            return Time::NEVER;
        }
        let mut at = self.closes_at.unwrap_or(Time::NEVER);
        if self.state == State::Connected {
            at = at.min(self.last_sent + KEEPALIVE);
        }
        if self.outgoing.in_flight() > 0 || self.outgoing.has_more() {
            at = at.min(self.waits_since + self.rtt.timeout(self.timeouts));
            if self.may_probe() {
                at = at.min(self.waits_since + self.rtt.probe_timeout());
            }
        }
        at
    }

    fn may_probe(&self) -> bool {
        self.state == State::Connected && !self.probed && self.timeouts == 0 && self.outgoing.in_flight() > 0
    }

    /// The time of [`Self::timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.incoming.trim();
        let in_flight = self.outgoing.in_flight() > 0;
        if !in_flight && !self.outgoing.has_more() {
            return;
        }
        if now >= self.waits_since + self.rtt.timeout(self.timeouts) {
            self.timeouts += 1;
            self.waits_since = now;
            let most = match self.state {
                State::SynSent => MOST_SYN_TIMEOUTS,
                _ if self.unreachable => MOST_TIMEOUTS_UNREACHABLE,
                _ => MOST_TIMEOUTS,
            };
            if self.timeouts > most {
                self.ended = Some(Ended::TimedOut);
            }
            // Who has no room is no full path.
            if self.has_no_room() {
                self.asks_for_room = true;
            } else if in_flight {
                self.congestion.timed_out(now);
            }
            if let Some(size) = self.outgoing.lose_all() {
                self.mtu.failed(size);
            }
        } else if self.may_probe() && now >= self.waits_since + self.rtt.probe_timeout() {
            self.probed = true;
            self.outgoing.lose_first();
        }
    }

    fn has_no_room(&self) -> bool {
        self.state != State::SynSent && self.their_room < self.mtu.size()
    }
}

fn micros(now: Time) -> u32 {
    now.micros() as u32
}
