//! One direction of a TCP connection that stands in its road's queue, as its sender's window lets it, and is dropped where that is full.
//!
//! The relay ends the connection at both of its sides, so the kernel's own window sees loopback only. The line's is kept here.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use super::reno::Reno;
use super::{Way, sleep_until};

const PACKET: usize = 1448;
/// How long it waits for bytes to send before it looks at what is to be sent again.
const LOOK: Duration = Duration::from_millis(2);

/// Takes from the sender what its window lets out, and hands on what arrives, in the order of the bytes.
pub fn take(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>, delay: Duration, way: &Way) {
    let mut line = Line {
        began: Instant::now(),
        delay,
        way,
        reno: Reno::new(),
        lost: VecDeque::new(),
        first: 0,
        packets: VecDeque::new(),
    };
    let mut at_end = from.set_read_timeout(Some(LOOK)).is_err();
    loop {
        line.hear();
        if !line.hand_on(sender) {
            return;
        }
        if !line.reno.may_send() || (at_end && line.lost.is_empty()) {
            match line.reno.next() {
                Some(next) => sleep_until(line.began + next),
                None => return,
            }
        } else if let Some(again) = line.lost.pop_front() {
            line.send(again);
        } else {
            let mut bytes = vec![0; PACKET];
            match from.read(&mut bytes) {
                Ok(n @ 1..) => {
                    bytes.truncate(n);
                    line.packets.push_back((None, bytes));
                    line.send(line.first + line.packets.len() as u64 - 1);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => at_end = true,
            }
        }
    }
}

struct Line<'a> {
    began: Instant,
    delay: Duration,
    way: &'a Way,
    reno: Reno,
    /// To be sent again.
    lost: VecDeque<u64>,
    /// The number of the first packet that was not handed on, and those from there on, with the time at which each arrives.
    first: u64,
    packets: VecDeque<(Option<Instant>, Vec<u8>)>,
}

impl Line<'_> {
    fn hear(&mut self) {
        self.reno.hear(self.began.elapsed(), &mut self.lost);
    }

    fn send(&mut self, number: u64) {
        let Some((arrives, bytes)) = self.packets.get_mut((number - self.first) as usize) else { return };
        let now = Instant::now();
        let lost = self.way.is_full();
        // Of one that is lost it hears by those behind it, which the queue holds up.
        let through = if lost { Some(now + self.way.backlog()) } else { self.way.book(bytes.len()) };
        let at = through.unwrap_or(now) + self.delay;
        *arrives = (!lost).then_some(at);
        self.reno.sent(number, now - self.began, at + self.delay - self.began, lost);
    }

    /// False: nobody takes it.
    fn hand_on(&mut self, sender: &SyncSender<(Instant, Vec<u8>)>) -> bool {
        while let Some((Some(at), bytes)) = self.packets.front_mut() {
            let (at, bytes) = (*at, std::mem::take(bytes));
            self.packets.pop_front();
            self.first += 1;
            if sender.send((at, bytes)).is_err() {
                return false;
            }
        }
        true
    }
}
