//! Late blocks: what was asked for a reader or a deadline and is not here when it should be is asked of another peer, too.
//!
//! A heap holds the moments at which the urgent blocks are late, whether they were urgent when they were asked for or became so
//! (`Requests::watch_urgent`): two deviations after the peer was expected to bring them. At that
//! moment, and not before, somebody looks. A copy goes to the fastest peer that would bring the block in less than half the time
//! that its owner still needs: where all are slow alike, since the line is, none is asked for.

use std::collections::HashMap;
use std::time::Duration;

use super::dispatch::max_requests;
use super::late_heap::Due;
use super::scheduler::Scheduler;
use super::state::Requests;
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::pieces::{Eta, FAR, MAX_COPIES, PeerKey, Stage};
use crate::engine::content::want::{Class, Pick, Want};

/// A late block for which nobody better is there now is looked at again after this.
const AGAIN: Duration = Duration::from_millis(50);
/// Who was asked for a block has it for so long before another one is asked in his place.
const ITS_TIME: Duration = Duration::from_secs(1);
/// Late blocks looked at in one go.
const AT_ONCE: usize = 32;
/// Urgent pieces that a peer with nothing better to do looks through for blocks of slow peers.
const URGENT_PIECES: usize = 4;

/// When the block of a want is needed; at once, if a read waits for it.
fn needed_at(want: &Want) -> Time {
    if want.class == Class::Deadline { want.due } else { Time::ZERO }
}

/// Who is to bring a late block, and in place of whom.
#[derive(Debug)]
struct Helper {
    key: PeerKey,
    instead_of: Option<Given>,
}

/// Who was asked, and gives the block up to another.
#[derive(Debug, Clone, Copy)]
enum Given {
    /// It brings nothing.
    Silent(PeerKey),
    /// It brings something, far too slowly.
    Slow(PeerKey),
}

impl Requests {
    /// What is urgent and asked for is watched, whatever it was asked for: a block of the tail, of a background reader or of the
    /// picker's may be the one that a read waits for next.
    pub(super) fn watch_urgent(&mut self, content: &mut Content) {
        let least = self.least_urgent();
        for want in self.demand.wants().iter().take_while(|w| w.class <= least) {
            let piece = want.piece;
            content.store_mut().watch(piece, want.from, want.until, |due, block| self.late.push(due, piece, block));
        }
    }
}

impl Scheduler<'_> {
    /// Asks others for what is late, the most urgent first.
    pub(in crate::engine) fn ask_late(&mut self, now: Time) {
        self.refresh_wants(now);
        let mut late = Vec::new();
        while let Some(due) = self.requests.late.pop(now) {
            let waited_for = |c: &Content| c.store().is_due(due.piece, due.block, due.at);
            if self.content.as_ref().is_some_and(waited_for) {
                late.push(due);
            }
        }
        if late.is_empty() {
            return;
        }
        let least = self.requests.least_urgent();
        let mut places = HashMap::new();
        for (place, want) in self.requests.demand.wants().iter().enumerate().take_while(|(_, w)| w.class <= least) {
            places.entry(want.piece).or_insert((place, needed_at(want)));
        }
        let mut urgent = Vec::with_capacity(late.len());
        for Due { piece, block, .. } in late {
            match (places.get(&piece), &mut *self.content) {
                (Some((place, needed)), _) => urgent.push((*place, piece, block, *needed)),
                // Should it be wanted again, it is watched again.
                (None, Some(content)) => content.store_mut().unwatch(piece, block),
                (None, None) => {}
            }
        }
        urgent.sort_unstable();
        for (i, (_, piece, block, needed)) in urgent.into_iter().enumerate() {
            // Those for which there was no time come before those in vain, the next time.
            let again = if i < AT_ONCE { AGAIN } else { AGAIN / 2 };
            if i >= AT_ONCE || !self.ask_another(now, piece, block, needed) {
                self.look_again(now + again, piece, block);
            }
        }
    }

    /// Asks the one that brings the block soonest for a copy of it. False: nobody is asked.
    fn ask_another(&mut self, now: Time, piece: u32, block: u32, needed: Time) -> bool {
        let Some(Helper { key, instead_of }) = self.helper(now, piece, block, needed) else { return false };
        let slot = self.content.as_ref().and_then(|c| c.store().slot(piece));
        if slot.is_some_and(|s| s.exclusive() != PeerKey::NOBODY) {
            // Only a suspect may bring it, and it lets us wait.
            self.queues().take_over(now, piece);
            return true;
        }
        match instead_of {
            Some(Given::Silent(key)) if self.peers.get(&key).is_some_and(|p| p.source.is_snubbed()) => {
                self.queues().cancel_where(now, key, |p| p == piece);
            }
            Some(Given::Silent(key)) => {
                let told = self.queues().snub(now, key);
                self.out.alerts.extend(told);
            }
            Some(Given::Slow(key)) => self.queues().cancel(now, key, piece, block),
            None => {}
        }
        self.request(now, key, Pick { piece, block, class: Class::Deadline })
    }

    fn look_again(&mut self, at: Time, piece: u32, block: u32) {
        if let Some(content) = &mut *self.content {
            content.store_mut().set_due(piece, block, at);
            self.requests.late.push(at, piece, block);
        }
    }

    /// The fastest peer that would bring the block in less than half the time that those asked still need. Where as many were
    /// asked as may be, it is asked in place of the one that has been silent for longest, or of the slowest.
    fn helper(&self, now: Time, piece: u32, block: u32, needed: Time) -> Option<Helper> {
        let content = self.content.as_ref()?;
        let slot = content.store().slot(piece).filter(|s| s.stage() == Stage::Partial)?;
        let b = slot.blocks().get(block as usize).filter(|b| b.data().is_none())?;
        let owners = || b.askees().filter_map(|key| self.peers.get(&key));
        // It is our limit that they wait for.
        if owners().any(|p| p.source.is_held()) {
            return None;
        }
        let share = self.requests.aggregate.share();
        let left = owners().map(|p| p.time_left(now, share, piece, block)).min()?;
        if now + left < needed {
            return None;
        }
        let all_asked = b.copies() >= MAX_COPIES;
        let silent = owners().max_by_key(|p| p.source.overdue(now)).filter(|p| p.is_silent(now));
        // Who is slow gives it up only to one that is far quicker: or those who are slow alike would take it from each other for ever.
        let times = if all_asked && silent.is_none() { FAR } else { 2 };
        let most = max_requests(&self.config.settings);
        let helps = |key: &PeerKey| {
            let peer = self.peers.get(key).filter(|p| p.may_be_asked() && !p.parole.is_on() && p.serves(piece))?;
            (peer.takes_more(most) && !peer.was_always_silent(now)).then_some(())?;
            (!b.is_asked_of(*key) && peer.source.copy_arrival(now, share).since(now) * times < left).then_some(*key)
        };
        let key = self.requests.ranking.order().iter().find_map(helps)?;
        let instead_of = match silent {
            _ if !all_asked => None,
            Some(silent) => Some(Given::Silent(silent.key())),
            None => Some(Given::Slow(self.slowest_askee(now, piece, block)?)),
        };
        Some(Helper { key, instead_of })
    }

    /// Of those who were asked for the block, and have had their time, the one that will bring it last.
    fn slowest_askee(&self, now: Time, piece: u32, block: u32) -> Option<PeerKey> {
        let slot = self.content.as_ref()?.store().slot(piece)?;
        let askees = slot.blocks().get(block as usize)?.askees().filter_map(|key| self.peers.get(&key));
        let share = self.requests.aggregate.share();
        // Nobody is asked in place of one who was asked just now, or many would take the block from each other.
        let slowest = askees.max_by_key(|p| p.time_left(now, share, piece, block))?;
        let request = slowest.source.requests().iter().find(|r| (r.piece, r.block) == (piece, block))?;
        (now.since(request.sent) >= ITS_TIME).then_some(slowest.key())
    }

    /// Gives a peer that has room copies of urgent blocks that it would bring much sooner than those who were asked.
    /// True if it was asked for one.
    pub(super) fn help_slow(&mut self, now: Time, key: PeerKey) -> bool {
        let (Some(peer), Some(content)) = (self.peers.get(&key), &mut *self.content) else { return false };
        let busy = !peer.takes_more(max_requests(&self.config.settings));
        // Under a limit who seems slow may only be read from slowly. What is late is asked of others all the same.
        if self.peers.len() < 2
            || self.requests.limit.is_limited()
            || peer.parole.is_on()
            || peer.source.is_snubbed()
            || busy
        {
            return false;
        }
        let is_relied_on = !peer.source.is_unresponsive();
        let at = peer.source.expected_arrival(now, self.requests.aggregate.share());
        let eta = Eta { at, is_known: !peer.source.is_unknown() };
        let mut urgent = self.requests.demand.wants().iter().take(URGENT_PIECES).filter(|w| peer.serves(w.piece));
        let found = urgent.find_map(|w| {
            // What is not needed before it comes need not come sooner.
            let needed = if w.class == Class::Blocked { Time::ZERO } else { w.due };
            let block = content.store_mut().slow_block(w.piece, now, key, eta, needed)?;
            Some(Pick { piece: w.piece, block, class: w.class })
        });
        let Some(pick) = found else { return false };
        if content.store().slot(pick.piece).is_some_and(|s| s.exclusive() != PeerKey::NOBODY) {
            self.queues().take_over(now, pick.piece);
            return false;
        }
        let slot = content.store().slot(pick.piece);
        let all_asked =
            slot.and_then(|s| s.blocks().get(pick.block as usize)).is_some_and(|b| b.copies() >= MAX_COPIES);
        if all_asked {
            let Some(slowest) = self.slowest_askee(now, pick.piece, pick.block).filter(|_| is_relied_on) else {
                return false;
            };
            self.queues().cancel(now, slowest, pick.piece, pick.block);
        }
        self.request(now, key, pick)
    }
}
