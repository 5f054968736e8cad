//! Late blocks: what was asked for a reader or a deadline and is not here when it should be is asked of another peer, too.
//!
//! A heap holds the moments at which the urgent blocks are late: two deviations after the peer was expected to bring them. At that
//! moment, and not before, somebody looks. A copy goes to the fastest peer that would bring the block in less than half the time
//! that its owner still needs: where all are slow alike, since the line is, none is asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Time;
use super::asking::max_requests;
use super::pick::Pick;
use super::store::{MAX_COPIES, PeerKey, Stage};
use super::torrent::Torrent;
use super::wants::Class;

/// A late block for which nobody better is there now is looked at again after this.
const AGAIN: Duration = Duration::from_millis(50);
/// Late blocks looked at in one go.
const AT_ONCE: usize = 32;
/// Urgent pieces that a peer with nothing better to do looks through for blocks of slow peers.
const URGENT_PIECES: usize = 4;

/// When a block is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Time,
    piece: u32,
    block: u32,
}

/// The moments at which blocks are late. Those that came stay in it until they are at the top.
#[derive(Debug, Default)]
pub struct LateHeap(BinaryHeap<Reverse<Due>>);

impl LateHeap {
    pub fn push(&mut self, at: Time, piece: u32, block: u32) {
        self.0.push(Reverse(Due { at, piece, block }));
    }

    pub fn next(&self) -> Option<Time> {
        self.0.peek().map(|Reverse(due)| due.at)
    }

    /// Drops what is at the top and waited for no longer.
    pub fn prune(&mut self, is_waited_for: impl Fn(Time, u32, u32) -> bool) {
        while self.0.peek().is_some_and(|Reverse(due)| !is_waited_for(due.at, due.piece, due.block)) {
            self.0.pop();
        }
    }

    fn pop(&mut self, now: Time) -> Option<Due> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(due)| due)
    }
}

impl Torrent {
    /// Forgets the late times of blocks that came.
    pub(super) fn prune_late(&mut self) {
        let Some(content) = &self.content else { return };
        self.late.prune(|at, piece, block| content.store.is_due(piece, block, at));
    }

    /// Asks others for what is late.
    pub(super) fn ask_late(&mut self, now: Time) {
        let mut tries = AT_ONCE;
        while let Some(Due { at, piece, block }) = self.late.pop(now) {
            let Some(content) = self.content.as_ref().filter(|c| c.store.is_due(piece, block, at)) else { continue };
            let exclusive = content.store.slot(piece).is_some_and(|s| s.exclusive != PeerKey::NOBODY);
            let helper = if tries > 0 { self.helper(now, piece, block) } else { None };
            tries = tries.saturating_sub(1);
            match helper {
                // Only a suspect may bring it, and it lets us wait.
                Some(_) if exclusive => self.take_over(now, piece),
                Some(key) if self.request(now, key, Pick { piece, block, class: Class::Deadline }) => {}
                _ => self.look_again(now, piece, block),
            }
        }
    }

    /// When somebody needs the piece; at once, if a read waits for it.
    fn needed_at(&self, piece: u32) -> Time {
        let want = self.wants.iter().find(|w| w.piece == piece);
        want.map_or(Time::NEVER, |w| if w.class == Class::Deadline { w.due } else { Time::ZERO })
    }

    fn look_again(&mut self, now: Time, piece: u32, block: u32) {
        if let Some(content) = &mut self.content {
            content.store.set_due(piece, block, now + AGAIN);
            self.late.push(now + AGAIN, piece, block);
        }
    }

    /// The fastest peer that would bring the block in less than half the time that those asked still need.
    fn helper(&self, now: Time, piece: u32, block: u32) -> Option<PeerKey> {
        let content = self.content.as_ref()?;
        let slot = content.store.slot(piece).filter(|s| s.stage == Stage::Partial)?;
        let b = slot.blocks.get(block as usize).filter(|b| b.data.is_none() && b.copies() < MAX_COPIES)?;
        let owners = b.askees().filter_map(|key| self.peers.get(&key));
        let share = self.inflow.share();
        let left = owners.map(|p| p.time_left(now, share, piece, block)).min()?;
        if now + left < self.needed_at(piece) {
            return None;
        }
        let most = max_requests(&self.settings);
        let helps = |key: &PeerKey| {
            let peer = self.peers.get(key).filter(|p| p.may_be_asked() && !p.parole && p.serves(piece))?;
            peer.takes_more(most).then_some(())?;
            (!b.is_asked_of(*key) && peer.expected_arrival(now, share).since(now) * 2 < left).then_some(*key)
        };
        self.ranking.order().iter().find_map(helps)
    }

    /// Gives a peer that has room copies of urgent blocks that it would bring much sooner than those who were asked.
    /// True if it was asked for one.
    pub(super) fn help_slow(&mut self, now: Time, key: PeerKey) -> bool {
        let (Some(peer), Some(content)) = (self.peers.get(&key), &mut self.content) else { return false };
        let busy = !peer.takes_more(max_requests(&self.settings));
        if self.peers.len() < 2 || peer.parole || peer.snubbed || busy {
            return false;
        }
        let eta = peer.expected_arrival(now, self.inflow.share());
        let mut urgent = self.wants.iter().take(URGENT_PIECES).filter(|w| peer.serves(w.piece));
        let found = urgent.find_map(|w| {
            // What is not needed before it comes need not come sooner.
            let needed = if w.class == Class::Blocked { Time::ZERO } else { w.due };
            let block = content.store.slow_block(w.piece, now, key, eta, needed)?;
            Some(Pick { piece: w.piece, block, class: w.class })
        });
        let Some(pick) = found else { return false };
        if content.store.slot(pick.piece).is_some_and(|s| s.exclusive != PeerKey::NOBODY) {
            self.take_over(now, pick.piece);
            return false;
        }
        self.request(now, key, pick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_gives_what_is_late_and_forgets_what_came() {
        let mut heap = LateHeap::default();
        heap.push(Time::from_millis(30), 1, 0);
        heap.push(Time::from_millis(10), 2, 5);
        heap.push(Time::from_millis(20), 3, 1);
        assert_eq!(heap.next(), Some(Time::from_millis(10)));
        heap.prune(|_, piece, _| piece != 2);
        assert_eq!(heap.next(), Some(Time::from_millis(20)));
        assert!(heap.pop(Time::from_millis(19)).is_none());
        assert_eq!(heap.pop(Time::from_millis(25)).map(|d| (d.piece, d.block)), Some((3, 1)));
        assert!(heap.pop(Time::from_millis(25)).is_none(), "the other is not late yet");
    }
}
