//! Who chokes whom and who is interested, in both directions (BEP 3), and the pieces for which that does not count (BEP 6).

use super::choke_flaps::ChokeFlaps;
use crate::base::time::Time;

/// Pieces that a peer lets us ask for while it chokes us, at most.
const MAX_ALLOWED_TO_US: usize = 64;
/// So often a peer that is choked gets the pieces that it may have all the same.
const FAST_TIMES: usize = 3;

#[derive(Debug)]
pub struct Choking {
    am_choking: bool,
    am_interested: bool,
    /// It chokes us, or says for too short a time that it does not.
    peer_choking: bool,
    peer_interested: bool,
    flaps: ChokeFlaps,
    optimistic: bool,
    last_unchoked: Time,
    /// Pieces that we may ask for while choked, and those that it may.
    allowed_to_us: Vec<u32>,
    allowed_to_peer: Vec<u32>,
    /// Requests for them that were taken while it was choked.
    fast_requests: usize,
}

impl Default for Choking {
    fn default() -> Self {
        Self {
            am_choking: true,
            am_interested: false,
            peer_choking: true,
            peer_interested: false,
            flaps: ChokeFlaps::default(),
            optimistic: false,
            last_unchoked: Time::ZERO,
            allowed_to_us: Vec::new(),
            allowed_to_peer: Vec::new(),
            fast_requests: 0,
        }
    }
}

/// The peer asks us.
impl Choking {
    pub fn am_choking(&self) -> bool {
        self.am_choking
    }

    pub fn peer_interested(&self) -> bool {
        self.peer_interested
    }

    pub fn last_unchoked(&self) -> Time {
        self.last_unchoked
    }

    /// Is it unchoked by chance?
    pub fn is_optimistic(&self) -> bool {
        self.optimistic && !self.am_choking
    }

    pub fn set_optimistic(&mut self, optimistic: bool) {
        self.optimistic = optimistic;
    }

    /// False: so it was.
    pub fn set_peer_interested(&mut self, interested: bool) -> bool {
        std::mem::replace(&mut self.peer_interested, interested) != interested
    }

    pub(super) fn choke(&mut self) {
        self.am_choking = true;
    }

    pub(super) fn unchoke(&mut self, now: Time) {
        (self.am_choking, self.last_unchoked) = (false, now);
    }

    /// It may ask for the piece while it is choked.
    pub fn allow_to_peer(&mut self, piece: u32) {
        self.allowed_to_peer.push(piece);
    }

    /// May it have the piece while it is choked?
    pub fn allows_choked(&self, piece: u32) -> bool {
        self.allowed_to_peer.contains(&piece)
    }

    /// May it have the piece?
    pub fn allows(&self, piece: u32) -> bool {
        !self.am_choking || self.allows_choked(piece)
    }

    /// It asks for a block. May it? Whoever may have some pieces while it is choked may have them a few times, and not for ever.
    pub fn takes_request(&mut self, piece: u32, blocks_in_piece: usize) -> bool {
        let most = FAST_TIMES * self.allowed_to_peer.len() * blocks_in_piece;
        let fast = self.am_choking && self.allows_choked(piece) && self.fast_requests < most;
        self.fast_requests += usize::from(fast);
        !self.am_choking || fast
    }
}

/// We ask the peer.
impl Choking {
    pub fn am_interested(&self) -> bool {
        self.am_interested
    }

    pub fn peer_choking(&self) -> bool {
        self.peer_choking
    }

    /// False: so it was.
    pub(super) fn set_am_interested(&mut self, interested: bool) -> bool {
        std::mem::replace(&mut self.am_interested, interested) != interested
    }

    /// It lets us ask. Not believed of one that says so again and again.
    pub fn unchoked(&mut self, now: Time) -> bool {
        let changes = self.peer_choking && self.flaps.unchoked(now);
        self.peer_choking &= !changes;
        changes
    }

    /// So many requests went with that, none of them with a word.
    pub(super) fn choked(&mut self, now: Time, lost: usize) {
        self.peer_choking = true;
        self.flaps.choked(now, lost);
    }

    /// What time brings about. True: it said that we may ask, and it is believed only now.
    pub(super) fn review(&mut self, now: Time) -> bool {
        self.flaps.forget_ghosts(now);
        let believed = self.flaps.is_believed_now(now);
        self.peer_choking &= !believed;
        believed
    }

    /// There are so many pieces.
    pub(super) fn know_pieces(&mut self, pieces: u32) {
        self.allowed_to_us.retain(|p| *p < pieces);
    }

    /// We may ask for the piece while it chokes us.
    pub(super) fn allow_to_us(&mut self, piece: u32) {
        if self.allowed_to_us.len() < MAX_ALLOWED_TO_US && !self.allowed_to_us.contains(&piece) {
            self.allowed_to_us.push(piece);
        }
    }

    /// May we ask for the piece?
    pub fn lets_us_ask(&self, piece: u32) -> bool {
        !self.peer_choking || self.allowed_to_us.contains(&piece)
    }

    /// May we ask for any?
    pub fn lets_us_ask_any(&self) -> bool {
        !self.peer_choking || !self.allowed_to_us.is_empty()
    }

    /// It rejected a request. True: since it chokes us.
    pub fn rejected(&mut self, piece: u32) -> bool {
        if self.peer_choking {
            self.allowed_to_us.retain(|p| *p != piece);
            self.flaps.rejected();
        }
        self.peer_choking
    }

    pub(super) fn asked(&mut self) {
        self.flaps.asked();
    }

    pub(super) fn brought_a_block(&mut self) {
        self.flaps.brought_a_block();
    }

    /// A block came that nobody waits for.
    pub(super) fn stray_came(&mut self) {
        self.flaps.stray_came();
    }

    /// How many of so many blocks may be asked of it at once.
    pub(super) fn room(&self, queue: usize) -> usize {
        self.flaps.room(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;

    #[test]
    fn a_choked_peer_gets_what_it_may_have_a_few_times() {
        let mut choking = Choking::default();
        choking.allow_to_peer(4);
        assert!(!choking.takes_request(5, 2));
        assert_eq!((0..10).filter(|_| choking.takes_request(4, 2)).count(), 2 * FAST_TIMES);
        choking.unchoke(NOW);
        assert!(choking.takes_request(4, 2) && choking.takes_request(5, 2) && choking.last_unchoked() == NOW);
        choking.choke();
        assert!(!choking.takes_request(4, 2) && choking.allows(4) && !choking.allows(5));
    }

    #[test]
    fn chance_counts_only_for_one_that_has_a_slot() {
        let mut choking = Choking::default();
        choking.set_optimistic(true);
        assert!(!choking.is_optimistic());
        choking.unchoke(NOW);
        assert!(choking.is_optimistic());
    }

    #[test]
    fn what_a_choking_peer_rejects_it_does_not_allow() {
        let mut choking = Choking::default();
        assert!(!choking.lets_us_ask_any());
        (0..100).for_each(|piece| choking.allow_to_us(piece));
        choking.know_pieces(2);
        assert!(choking.lets_us_ask(0) && choking.lets_us_ask(1) && !choking.lets_us_ask(2));
        assert!(choking.rejected(0) && !choking.lets_us_ask(0) && choking.lets_us_ask_any());
        assert!(choking.unchoked(NOW) && !choking.unchoked(NOW) && choking.lets_us_ask(2));
        assert!(!choking.rejected(1));
        choking.choked(NOW, 0);
        assert!(choking.lets_us_ask(1) && !choking.lets_us_ask(2));
    }
}
