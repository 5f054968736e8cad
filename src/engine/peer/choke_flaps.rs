//! Peers that let us ask and choke us again at once. A choke takes all requests back (BEP 3), so one who chokes and unchokes all
//! the time can hold the blocks that are needed next for ever, and each turn costs us a queue of requests.
//!
//! So a turn, from one unchoke to the next, is judged by what it brought. After one that lost more requests than it brought blocks the
//! peer is asked for as many as it brought, and for more with each block. After the second in a row that was asked and brought nothing its
//! unchokes are believed later each time. And as some go on with what they were asked for before their choke, as many as did so
//! before take up room, for a while: or they would be asked for everything again at each turn, and what is needed next would stand
//! behind all of it.

use std::time::Duration;

use crate::base::time::Time;

/// How long the first unchoke that is not believed at once has to stand; twice as long with each further one.
const FIRST_DOUBT: Duration = Duration::from_secs(1);
const MOST_DOUBLED: u32 = 5;
/// So long after a choke nothing comes any more that was asked for before it.
const ON_THE_WAY: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
pub struct ChokeFlaps {
    /// Requests that were made since the last unchoke, blocks that came, and requests that were taken back, also earlier ones.
    asked: u32,
    brought: u32,
    lost: u32,
    /// Turns in a row that brought nothing.
    empty: u32,
    room: usize,
    /// How many requests it answered all the same that its choke had taken back: since that choke, and after earlier ones.
    strays: usize,
    usual: usize,
    /// So many more may be answered until then.
    ghosts: usize,
    ghosts_until: Time,
    /// An unchoke that is not believed yet.
    doubted_until: Option<Time>,
}

impl Default for ChokeFlaps {
    fn default() -> Self {
        Self {
            asked: 0,
            brought: 0,
            lost: 0,
            empty: 0,
            room: usize::MAX,
            strays: 0,
            usual: 0,
            ghosts: 0,
            ghosts_until: Time::ZERO,
            doubted_until: None,
        }
    }
}

impl ChokeFlaps {
    /// The peer choked us; so many requests went with that, none of them with a word.
    pub fn choked(&mut self, now: Time, lost: usize) {
        self.doubted_until = None;
        self.forget_ghosts(now);
        if lost > 0 {
            self.usual = self.strays.max(self.usual / 2);
            self.strays = 0;
            self.ghosts = self.ghosts.saturating_add(lost).min(self.usual);
            self.ghosts_until = now + ON_THE_WAY;
        }
        self.lost = self.lost.saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
    }

    /// It rejected a request while it chokes us.
    pub fn rejected(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }

    pub fn asked(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    /// A block came that nobody waits for.
    pub fn stray_came(&mut self) {
        self.strays = self.strays.saturating_add(1);
        self.ghosts = self.ghosts.saturating_sub(1);
    }

    pub fn forget_ghosts(&mut self, now: Time) {
        if now >= self.ghosts_until {
            self.ghosts = 0;
        }
    }

    pub fn brought_a_block(&mut self) {
        self.brought = self.brought.saturating_add(1);
        self.room = self.room.saturating_add(1);
    }

    /// A turn begins. Is the peer believed?
    pub fn unchoked(&mut self, now: Time) -> bool {
        if self.lost > self.brought {
            self.empty = match (self.brought, self.asked) {
                // What was lost was asked for in a turn that is judged already.
                (0, 0) => self.empty,
                (0, _) => self.empty.saturating_add(1),
                _ => 0,
            };
            self.room = (self.brought as usize).max(1);
            if let Some(doubled) = self.empty.checked_sub(2).filter(|_| self.asked > 0) {
                self.doubted_until = Some(now + FIRST_DOUBT * (1 << doubled.min(MOST_DOUBLED)));
            }
        } else if self.brought > 0 {
            self.empty = 0;
        }
        (self.asked, self.brought, self.lost) = (0, 0, 0);
        self.doubted_until.is_none()
    }

    /// Did an unchoke that was not believed stand for long enough? Told once.
    pub fn is_believed_now(&mut self, now: Time) -> bool {
        self.doubted_until.take_if(|until| *until <= now).is_some()
    }

    /// How many of so many blocks may be asked of it at once.
    pub fn room(&self, queue: usize) -> usize {
        queue.min(self.room).saturating_sub(self.ghosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(peer: &mut ChokeFlaps, now: Time, brought: u32, lost: usize) -> bool {
        peer.asked();
        (0..brought).for_each(|_| peer.brought_a_block());
        peer.choked(now, 0);
        (0..lost).for_each(|_| peer.rejected());
        peer.unchoked(now)
    }

    #[test]
    fn turns_that_bring_nothing_are_believed_later_each_time() {
        let (mut peer, mut now) = (ChokeFlaps::default(), Time::ZERO);
        assert!(peer.unchoked(now));
        assert!(turn(&mut peer, now, 0, 50), "the first one may be bad luck");
        assert_eq!(peer.room(500), 1);
        for doubt in [1, 2, 4, 8, 16, 32, 32] {
            assert!(!turn(&mut peer, now, 0, 1));
            assert!(!peer.is_believed_now(now + Duration::from_millis(doubt * 1000 - 1)));
            now = now + Duration::from_secs(doubt);
            assert!(peer.is_believed_now(now) && !peer.is_believed_now(now), "told once");
        }
        // A choke ends the doubt about what it took back; what nothing was asked in tells nothing.
        assert!(!turn(&mut peer, now, 0, 1));
        peer.choked(now, 0);
        assert!(!peer.is_believed_now(now + Duration::from_secs(99)));
        assert!(peer.unchoked(now));
        assert!(!turn(&mut peer, now, 0, 1));
        assert!(turn(&mut peer, now, 3, 3), "it brings what it is asked for");
        assert!(turn(&mut peer, now, 0, 1));
    }

    /// A choke, the rejects of one request, and an unchoke for each of many that were asked for at once (BEP 6).
    #[test]
    fn what_was_asked_for_in_one_turn_counts_once() {
        let (mut peer, now) = (ChokeFlaps::default(), Time::ZERO);
        (0..20).for_each(|_| peer.asked());
        for _ in 0..20 {
            peer.choked(now, 0);
            peer.rejected();
            assert!(peer.unchoked(now));
        }
        peer.asked();
        peer.brought_a_block();
        assert_eq!(peer.room(500), 2);
    }

    #[test]
    fn who_loses_more_than_he_brings_is_asked_for_as_much_as_he_brought() {
        let mut peer = ChokeFlaps::default();
        assert!(turn(&mut peer, Time::ZERO, 100, 100));
        assert_eq!(peer.room(500), 500);
        assert!(turn(&mut peer, Time::ZERO, 6, 250));
        assert_eq!(peer.room(500), 6);
        peer.brought_a_block();
        assert_eq!(peer.room(500), 7);
        assert!(turn(&mut peer, Time::ZERO, 0, 7));
        assert_eq!(peer.room(500), 1);
    }

    #[test]
    fn what_a_choke_took_back_takes_up_room_until_it_came_or_cannot_come() {
        let (mut peer, second) = (ChokeFlaps::default(), Duration::from_secs(1));
        (0..90).for_each(|_| peer.brought_a_block());
        peer.choked(Time::ZERO, 90);
        assert!(peer.unchoked(Time::ZERO));
        assert_eq!(peer.room(100), 100, "most send nothing after a choke");
        (0..80).for_each(|_| peer.stray_came());
        (0..90).for_each(|_| peer.brought_a_block());
        peer.choked(Time::ZERO, 90);
        assert!(peer.unchoked(Time::ZERO));
        assert_eq!((peer.room(100), peer.room(50)), (20, 0));
        (0..15).for_each(|_| peer.stray_came());
        assert_eq!(peer.room(100), 35);
        (0..90).for_each(|_| peer.brought_a_block());
        // Of what a choke takes back now as many may come as came last time, or half as many as before that.
        peer.choked(Time::ZERO + second, 90);
        peer.forget_ghosts(Time::ZERO + second * 5 / 2);
        assert_eq!(peer.room(100), 60);
        peer.forget_ghosts(Time::ZERO + 3 * second);
        assert_eq!(peer.room(100), 100);
    }
}
