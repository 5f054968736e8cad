//! Peers that are of no use to a read that waits. It makes no difference why: they choke us, lack the piece, refuse it, let us wait for what
//! we asked, or bring it in drops.

use std::time::Duration;

use super::request::Request;
use super::wire_peer::Peer;
use crate::base::time::Time;

/// Who brings less a second brings nothing: a block takes a minute.
const LEAST_RATE: u32 = 256;
/// From one that brings something it comes in such intervals, whatever a block takes.
const TRICKLES: Duration = Duration::from_secs(1);

impl Peer {
    /// More comes in of it than nothing, whole blocks or parts of one.
    pub fn pours(&self) -> bool {
        self.activity().protocol().per_second() >= LEAST_RATE
    }

    /// The same at this moment.
    pub fn trickles(&self, now: Time) -> bool {
        self.pours() && now.since(self.activity().last_received()) < TRICKLES
    }

    /// It has a queue that is empty, and nothing is known against it.
    fn is_ready(&self) -> bool {
        self.choking.am_interested()
            && self.source.requests().is_empty()
            && !self.source.is_snubbed()
            && self.source.refusals().are_over()
    }

    /// It is asked for a block.
    pub fn ask(&mut self, request: Request) {
        let ready = self.is_ready();
        self.activity.requested(request.sent);
        self.source.ask(request, ready);
        self.choking.asked();
    }

    /// Since when it is of no use to reads that wait for these pieces. None: it is, or would be if it were asked.
    pub fn of_no_use_since(&self, now: Time, pieces: &[u32]) -> Option<Time> {
        let comes = || self.pours() || self.source.is_in_time(now);
        let brings = self.source.is_held() || !self.source.requests().is_empty() && comes();
        let would = || self.is_ready() && pieces.iter().any(|p| self.serves(*p));
        (!brings && !would()).then_some(self.source.undelivered_since())
    }
}
