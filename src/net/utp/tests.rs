//! Two connections over lines of every kind, on virtual time.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{Connection, Ended};
use super::packet::{Packet, PacketType};
use super::syn_cookie::SynCookies;
use crate::base::time::Time;

const HEADERS: usize = 28;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One direction of a line.
#[derive(Debug, Clone)]
struct Line {
    /// Bytes a second.
    rate: f64,
    delay: Duration,
    jitter: Duration,
    loss: f64,
    doubles: f64,
    /// Bytes that wait at most.
    queue: f64,
    /// The largest packet, UDP's payload.
    mtu: usize,
    busy_until: Time,
    carried: u64,
    dropped: u64,
    /// The sum of what packets waited, and the most of one.
    waited: Duration,
    longest: Duration,
}

impl Line {
    fn new(rate: f64, delay: Duration) -> Self {
        Self {
            rate,
            delay,
            jitter: Duration::ZERO,
            loss: 0.0,
            doubles: 0.0,
            queue: rate * 0.2,
            mtu: 1472,
            busy_until: Time::ZERO,
            carried: 0,
            dropped: 0,
            waited: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }

    /// When a packet arrives: never, once, or twice.
    fn carry(&mut self, now: Time, bytes: usize, rng: &mut fastrand::Rng) -> Vec<Time> {
        let waits = self.busy_until.since(now);
        if bytes > self.mtu || waits.as_secs_f64() * self.rate > self.queue || rng.f64() < self.loss {
            self.dropped += 1;
            return Vec::new();
        }
        self.carried += 1;
        self.waited += waits;
        self.longest = self.longest.max(waits);
        self.busy_until = now.max(self.busy_until) + Duration::from_secs_f64((bytes + HEADERS) as f64 / self.rate);
        let copies = if rng.f64() < self.doubles { 2 } else { 1 };
        (0..copies).map(|_| self.busy_until + self.delay + self.jitter.mul_f64(rng.f64())).collect()
    }
}

/// One end, and what its program does.
struct End {
    connection: Option<Connection>,
    clock: Duration,
    to_write: usize,
    written: usize,
    read: usize,
    /// It reads so many bytes a second.
    reads: f64,
    may_read: f64,
    ended: bool,
}

impl End {
    fn new(clock: Duration, to_write: usize) -> Self {
        Self { connection: None, clock, to_write, written: 0, read: 0, reads: f64::MAX, may_read: 0.0, ended: false }
    }

    fn time(&self, now: Time) -> Time {
        now + self.clock
    }

    fn pump(&mut self, now: Time) {
        let time = self.time(now);
        let Some(c) = &mut self.connection else { return };
        while self.written < self.to_write {
            let bytes: Vec<u8> = (self.written..(self.written + 5000).min(self.to_write)).map(byte_at).collect();
            let Some(n) =
                c.write(time, &[IoSlice::new(&bytes[..bytes.len() / 3]), IoSlice::new(&bytes[bytes.len() / 3..])])
            else {
                break;
            };
            self.written += n;
        }
        let mut buffer = vec![0; 8_000];
        loop {
            let most = (self.may_read.max(0.0) as usize).min(buffer.len());
            let (one, two) = buffer[..most].split_at_mut(most / 7);
            match c.read(&mut [IoSliceMut::new(one), IoSliceMut::new(two)]) {
                Some(0) if c.ended().is_some() || most > 0 => {
                    self.ended = true;
                    break;
                }
                Some(0) | None => break,
                Some(n) => {
                    for (at, byte) in buffer[..n].iter().enumerate() {
                        assert_eq!(*byte, byte_at(self.read + at), "byte {}", self.read + at);
                    }
                    self.read += n;
                    self.may_read -= n as f64;
                }
            }
        }
    }
}

fn byte_at(at: usize) -> u8 {
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
}

struct World {
    now: Time,
    ends: [End; 2],
    lines: [Line; 2],
    packets: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    count: u64,
    rng: fastrand::Rng,
    sent: [u64; 2],
    cookies: SynCookies,
}

fn address() -> SocketAddr {
    "192.0.2.1:6881".parse().expect("an address")
}

impl World {
    fn new(there: Line, back: Line, to_write: [usize; 2], seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = Time::BEGINNING;
        let [a, b] = to_write;
        // Clocks that have nothing to do with each other.
        let mut ends = [End::new(Duration::ZERO, a), End::new(Duration::from_micros(rng.u64(..1 << 33)), b)];
        ends[0].connection = Some(Connection::connect(now, address(), &mut rng));
        Self {
            now,
            ends,
            lines: [there, back],
            packets: BTreeMap::new(),
            count: 0,
            rng,
            sent: [0; 2],
            cookies: SynCookies::default(),
        }
    }

    fn send(&mut self, from: usize) {
        let time = self.ends[from].time(self.now);
        let Some(c) = &mut self.ends[from].connection else { return };
        let (mut out, mut packets) = (Vec::new(), Vec::new());
        while let Some(size) = c.transmit(time, &mut out) {
            assert!(out.len() <= 64 * 1024 && !out.is_empty());
            for packet in out.chunks(size) {
                packets.push(packet.to_vec());
            }
            out.clear();
        }
        packets.iter().for_each(|packet| self.carry(from, packet));
    }

    fn carry(&mut self, from: usize, packet: &[u8]) {
        self.sent[from] += 1;
        for at in self.lines[from].carry(self.now, packet.len(), &mut self.rng) {
            self.count += 1;
            self.packets.insert((at, self.count), (1 - from, packet.to_vec()));
        }
    }

    /// Goes on to the next event. False: there is none before that time.
    fn step(&mut self, until: Time) -> bool {
        for end in 0..2 {
            self.ends[end].pump(self.now);
            self.send(end);
        }
        let timers = self.ends.iter().filter_map(|e| {
            let at = e.connection.as_ref()?.timeout();
            (at < Time::NEVER).then(|| at - e.clock)
        });
        let packet = self.packets.keys().next().map(|(at, _)| *at);
        let slow = self.ends.iter().any(|e| e.reads < f64::MAX).then(|| self.now + ms(5));
        let Some(next) = timers.chain(packet).chain(slow).min().filter(|at| *at <= until) else { return false };
        let next = next.max(self.now);
        for end in &mut self.ends {
            end.may_read = if end.reads < f64::MAX {
                (end.may_read + end.reads * next.since(self.now).as_secs_f64()).min(end.reads)
            } else {
                f64::MAX
            };
        }
        self.now = next;
        while let Some((&(at, n), _)) = self.packets.first_key_value() {
            if at > self.now {
                break;
            }
            let (to, bytes) = self.packets.remove(&(at, n)).expect("a packet");
            self.arrive(to, &bytes);
        }
        for end in &mut self.ends {
            let time = end.time(self.now);
            if let Some(c) = end.connection.as_mut().filter(|c| c.timeout() <= time) {
                c.handle_timeout(time);
            }
        }
        true
    }

    fn arrive(&mut self, to: usize, bytes: &[u8]) {
        let packet = Packet::parse(bytes).expect("a packet");
        if std::env::var("UTP_TRACE").is_ok() {
            println!("{:?} to {to}: {:?} {:?} {}", self.now, packet.header, packet.sack, packet.payload.len());
        }
        let time = self.ends[to].time(self.now);
        let end = &mut self.ends[to];
        if end.connection.is_none() {
            if packet.header.kind == PacketType::Syn {
                let mut answer = Vec::new();
                self.cookies.answer(time, address(), &packet.header).encode(&[], 0, &mut answer);
                self.carry(to, &answer);
                return;
            }
            let Some(first) = self.cookies.check(address(), &packet.header) else { return };
            end.connection = Some(Connection::accept(time, address(), &packet.header, first, &mut self.rng));
        }
        let end = &mut self.ends[to];
        if let Some(c) = &mut end.connection {
            c.receive(time, &packet);
            assert!(c.held() <= super::connection::RECEIVE_BYTES);
        }
    }

    /// Until all that is to be written was read. How long that took, in seconds.
    fn transfer(&mut self, most: Duration) -> f64 {
        let (begin, until) = (self.now, self.now + most);
        while self.ends[0].to_write > self.ends[1].read || self.ends[1].to_write > self.ends[0].read {
            assert!(
                self.step(until),
                "{} of {} and {} of {} after {most:?}: {:?}",
                self.ends[1].read,
                self.ends[0].to_write,
                self.ends[0].read,
                self.ends[1].to_write,
                self.ends.each_ref().map(|e| e.connection.as_ref().map(Connection::ended)),
            );
        }
        self.now.since(begin).as_secs_f64()
    }
}

const MB: usize = 1_000_000;

#[test]
fn a_line_is_filled_with_little_delay() {
    for (rate, delay) in [(1e6, 10), (8e6, 15), (2e6, 100), (20e6, 40)] {
        let line = Line::new(rate, ms(delay));
        let bytes = (rate * 8.0) as usize;
        let mut world = World::new(line.clone(), line, [bytes, 0], 1);
        let took = world.transfer(ms(120_000));
        let there = &world.lines[0];
        let mean = there.waited / there.carried as u32;
        println!(
            "{rate} B/s, {delay} ms: {took:.2} s for 8.0, queue {mean:.0?}, at most {:.0?}, {} lost",
            there.longest, there.dropped
        );
        assert!(took < 8.0 * 1.06 + 0.5 + 10.0 * delay as f64 / 500.0, "{took}");
        assert!(mean < ms(90), "{mean:?}");
    }
}

#[test]
fn every_byte_comes_over_every_line() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let line = |rng: &mut fastrand::Rng| Line {
            jitter: ms(*rng.choice(&[0, 0, 5, 100, 1000]).unwrap_or(&0)),
            loss: *rng.choice(&[0.0, 0.0, 0.01, 0.05, 0.2]).unwrap_or(&0.0),
            doubles: *rng.choice(&[0.0, 0.0, 0.1]).unwrap_or(&0.0),
            queue: *rng.choice(&[3e3, 2e4, 1e6]).unwrap_or(&0.0),
            mtu: *rng.choice(&[1200, 1300, 1472]).unwrap_or(&0),
            ..Line::new(1e5 + rng.f64() * 5e6, ms(rng.u64(0..200)))
        };
        let (there, back) = (line(&mut rng), line(&mut rng));
        let bytes = [rng.usize(1..300_000), rng.usize(..300_000)];
        let mut world = World::new(there, back, bytes, seed);
        if rng.u8(..5) == 0 {
            world.ends[rng.usize(..2)].reads = 50_000.0 + rng.f64() * 500_000.0;
        }
        println!("{seed}");
        world.transfer(ms(600_000));
    }
}

#[test]
fn a_lossy_line_is_used() {
    let mut took: Vec<f64> = (0..5)
        .map(|seed| {
            let line = Line { loss: 0.01, ..Line::new(8e6, ms(15)) };
            World::new(line.clone(), Line { loss: 0.0, ..line }, [16 * MB, 0], seed).transfer(ms(600_000))
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("16 MB at 8 MB/s with 1 % loss: {took:.1?} s");
    assert!(took[2] < 30.0);
}

#[test]
fn what_is_lost_at_the_end_is_not_waited_for_long() {
    let line = Line::new(8e6, ms(15));
    let mut world = World::new(line.clone(), line, [MB, 0], 1);
    world.transfer(ms(10_000));
    let mut worst: f64 = 0.0;
    for n in 0..50 {
        // The last packet of each message vanishes.
        world.ends[0].to_write += 1000;
        let size = if n % 2 == 0 { 0 } else { 1472 };
        world.lines[0].mtu = size;
        world.ends[0].pump(world.now);
        world.send(0);
        world.lines[0].mtu = 1472;
        worst = worst.max(world.transfer(ms(10_000)));
        world.ends[0].to_write += 50_000;
        world.transfer(ms(10_000));
    }
    println!("{worst}");
    assert!(worst < 0.25, "{worst}");
}

#[test]
fn the_largest_packets_that_pass_are_used() {
    for mtu in [1200, 1350, 1400, 1440, 1472] {
        let line = Line { mtu, ..Line::new(8e6, ms(15)) };
        let mut world = World::new(line.clone(), line, [4 * MB, 0], 1);
        let took = world.transfer(ms(20_000));
        let packets = world.sent[0] as f64 * (mtu - 20) as f64 / (4 * MB) as f64;
        println!("{mtu}: {took:.2} s, {packets:.3} packets of those needed at least");
        assert!(packets < 1.08 && took < 1.0, "{packets} {took}");
    }
}

#[test]
fn who_does_not_read_is_not_sent_to_and_goes_on_later() {
    let line = Line::new(8e6, ms(15));
    let mut world = World::new(line.clone(), line, [8 * MB, 0], 1);
    world.ends[1].reads = 0.0;
    let until = world.now + ms(120_000);
    while world.step(until) {}
    let held = world.ends[1].connection.as_ref().expect("connected").held();
    assert!(held > 2_000_000 && held <= 1 << 21, "{held}");
    let sent = world.sent[0];
    assert!(sent < 2000, "{sent}");
    world.ends[1].reads = f64::MAX;
    let took = world.transfer(ms(20_000));
    assert!(took < 2.5, "{took}");
}

#[test]
fn an_outage_is_outlived_and_a_dead_peer_is_noticed() {
    let line = Line::new(8e6, ms(15));
    let mut world = World::new(line.clone(), line, [8 * MB, 0], 1);
    let until = world.now + ms(500);
    while world.step(until) {}
    world.lines[0].loss = 1.0;
    let until = world.now + ms(10_000);
    while world.step(until) {}
    world.lines[0].loss = 0.0;
    let took = world.transfer(ms(30_000));
    assert!(took < 12.0, "{took}");

    world.ends[0].to_write += 1000;
    world.lines[0].loss = 1.0;
    let begin = world.now;
    while world.ends[0].connection.as_ref().expect("one").ended().is_none() {
        assert!(world.step(Time::NEVER - ms(1)));
    }
    assert_eq!(world.ends[0].connection.as_ref().expect("one").ended(), Some(Ended::TimedOut));
    let after = world.now.since(begin);
    assert!(after > ms(20_000) && after < ms(120_000), "{after:?}");
}

#[test]
fn the_end_comes_behind_all_bytes() {
    for loss in [0.0, 0.1] {
        let line = Line { loss, ..Line::new(1e6, ms(20)) };
        let mut world = World::new(line.clone(), line, [20_000, 0], 7);
        let until = world.now + ms(20_000);
        while world.ends[0].written < 20_000 {
            assert!(world.step(until));
        }
        let now = world.now;
        world.ends[0].connection.as_mut().expect("one").close(now);
        let until = world.now + ms(10_000);
        while !world.ends[1].ended {
            assert!(world.step(until), "the end came");
        }
        assert_eq!(world.ends[1].read, 20_000);
        while !world.ends[0].connection.as_ref().expect("one").is_over(world.now) {
            assert!(world.step(until), "it is over");
        }
    }
}

#[test]
fn a_question_without_an_answer_ends() {
    let line = Line { loss: 1.0, ..Line::new(1e6, ms(20)) };
    let mut world = World::new(line.clone(), line, [0, 0], 7);
    while world.step(Time::NEVER - ms(1)) {}
    assert_eq!(world.ends[0].connection.as_ref().expect("one").ended(), Some(Ended::TimedOut));
    assert!(world.sent[0] >= 3 && world.sent[0] < 10);
}

#[test]
fn a_quiet_connection_is_kept_open_in_gateways() {
    let line = Line::new(1e6, ms(20));
    let mut world = World::new(line.clone(), line, [1000, 1000], 7);
    world.transfer(ms(2000));
    let before = world.sent;
    let until = world.now + ms(300_000);
    while world.step(until) {}
    for (end, before) in before.into_iter().enumerate() {
        let sent = world.sent[end] - before;
        assert!((10..=14).contains(&sent), "{sent}");
        assert_eq!(world.ends[end].connection.as_ref().expect("one").ended(), None);
    }
}

/// A TCP download, as far as it matters here: Reno, a packet acknowledged each, a loss noticed a round trip later.
struct Tcp {
    window: f64,
    threshold: f64,
    /// When each packet is acknowledged, or noticed to be lost.
    events: BTreeMap<(Time, u64), bool>,
    count: u64,
    arrived: u64,
    reduced: Time,
}

impl Tcp {
    fn new() -> Self {
        Self { window: 10.0, threshold: f64::MAX, events: BTreeMap::new(), count: 0, arrived: 0, reduced: Time::ZERO }
    }

    fn go(&mut self, now: Time, line: &mut Line, back: Duration, rng: &mut fastrand::Rng) {
        while let Some((&(at, n), &arrived)) = self.events.first_key_value() {
            if at > now {
                break;
            }
            self.events.remove(&(at, n));
            if arrived {
                self.arrived += 1;
                self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
            } else if at.since(self.reduced) > back * 2 {
                (self.window, self.reduced) = ((self.window / 2.0).max(2.0), at);
                self.threshold = self.window;
            }
        }
        while (self.events.len() as f64) < self.window {
            self.count += 1;
            let waits = line.busy_until.since(now);
            let arrives = line.carry(now, 1472, rng).first().copied();
            self.events.insert((arrives.unwrap_or(now + waits + back) + back, self.count), arrives.is_some());
        }
    }
}

/// What a TCP download gets in 20 s of a line of 8 MB/s and 30 ms, in MB, beside an upload of ours or not.
fn tcp_beside(queue: Duration, ours: bool) -> (f64, f64) {
    let line = Line { queue: 8e6 * queue.as_secs_f64(), ..Line::new(8e6, ms(15)) };
    let mut world = World::new(line.clone(), line, [if ours { 400 * MB } else { 1000 }, 0], 3);
    let mut until = world.now + ms(3000);
    while world.step(until) {}
    let (mut tcp, mut rng, before) = (Tcp::new(), fastrand::Rng::with_seed(1), world.ends[1].read);
    for _ in 0..20_000 {
        until = until + ms(1);
        while world.step(until) {}
        world.now = until;
        tcp.go(until, &mut world.lines[0], ms(15), &mut rng);
    }
    (tcp.arrived as f64 * 1472.0 / 1e6, (world.ends[1].read - before) as f64 / 1e6)
}

#[test]
fn an_upload_yields_to_a_download_by_tcp() {
    for queue in [20, 50, 100, 300] {
        let ((alone, _), (beside, ours)) = (tcp_beside(ms(queue), false), tcp_beside(ms(queue), true));
        println!("queue of {queue} ms: TCP has {alone:.0} MB alone, {beside:.0} beside ours, which has {ours:.0}");
        // Where the queue is shorter than what we fill of it, both go by their losses.
        let least = if queue == 100 { 0.8 } else { 0.3 };
        assert!(beside >= least * alone, "{beside} of {alone}");
    }
}

/// However many small messages there are, their packets stay within what others keep, and within half of the numbers.
#[test]
fn small_messages_have_a_bound() {
    let line = Line::new(1e9, ms(100));
    let mut world = World::new(line.clone(), line, [2 * MB, 0], 1);
    world.transfer(ms(10_000));
    // What is under way yet arrives.
    let until = world.now + ms(1000);
    while world.step(until) {}
    let (now, mut out) = (world.now, Vec::new());
    let c = world.ends[0].connection.as_mut().expect("one");
    for _ in 0..20_000 {
        c.write(now, &[IoSlice::new(&[1])]);
        while c.transmit(now, &mut out).is_some() {}
    }
    // A byte each, behind a header.
    assert_eq!(out.len(), 1000 * 21);
}

#[test]
fn packets_of_others_change_nothing() {
    let line = Line::new(8e6, ms(15));
    let mut world = World::new(line.clone(), line, [2 * MB, 0], 1);
    let mut rng = fastrand::Rng::with_seed(9);
    let until = world.now + ms(10_000);
    while world.ends[1].read < 2 * MB {
        assert!(world.step(until));
        let mut bytes: Vec<u8> = (0..rng.usize(20..60)).map(|_| rng.u8(..)).collect();
        bytes[0] = rng.u8(..5) << 4 | 1;
        bytes[1] = rng.u8(..2);
        let Some(packet) = Packet::parse(&bytes) else { continue };
        let to = rng.usize(..2);
        // Who guesses the number of a connection can close it, as with TCP.
        let Some(c) = &mut world.ends[to].connection else { continue };
        if packet.header.connection_id.abs_diff(c.receive_id()) > 1 {
            let time = world.now + world.ends[to].clock;
            c.receive(time, &packet);
        }
    }
}
