//! Memory that others were promised and do not use: who borrows it, how it becomes its own, and what is given up when it is called in.

use std::time::Duration;

use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::content::want::{Class, Pick};
use crate::memory::idle::Recall;
use crate::memory::pool::BLOCK_SIZE;
use crate::memory::queue::WaiterState;

/// What is borrowed is to be here within that time: those who lend need it then.
const SOON: Duration = Duration::from_secs(10);
/// The last of so many parts of memory is lent only for what is played at once.
const FOR_THE_LAST: u64 = 4;

impl Scheduler<'_> {
    /// May a piece of so many blocks be begun in memory that others were promised and do not use? If it plays, and is here soon. How much
    /// is to stand idle beside it: what is not played at once takes the last of it from nobody, nor does who had to give some back a moment ago.
    pub(super) fn may_borrow(&self, now: Time, pick: Pick, blocks: u64) -> Option<u64> {
        let plays =
            pick.class == Class::Blocked || (pick.class == Class::Deadline && self.readers.is_played_soon(pick.piece));
        match pick.class {
            _ if !self.is_soon_here(blocks) => None,
            _ if plays && !self.cache.repaid_lately(now) => Some(0),
            Class::Blocked | Class::Deadline => Some(self.cache.limit() / FOR_THE_LAST),
            _ => None,
        }
    }

    /// Will so many blocks be here soon? While nobody knows, they may be.
    pub(super) fn is_soon_here(&self, blocks: u64) -> bool {
        let bandwidth = self.requests.aggregate.path.bandwidth();
        bandwidth == 0.0 || (blocks * u64::from(BLOCK_SIZE)) as f64 / bandwidth <= SOON.as_secs_f64()
    }

    /// What was borrowed for those who play is to become the torrent's own: it waits in line for that as if it had nothing, or who lent it
    /// would come first again and again.
    pub(super) fn make_own(&mut self, now: Time) {
        let Some(content) = self.content.as_mut().filter(|_| self.cache.pool().owed() > 0) else { return };
        let played = self.requests.wants().iter().take_while(|w| w.class <= Class::Deadline);
        for want in played {
            let Some(slot) = content.store().slot(want.piece).filter(|s| s.is_borrowed()) else { continue };
            let blocks = slot.blocks().len() as u64;
            let pick = Pick { piece: want.piece, block: 0, class: want.class };
            let rank = self.cache.rank_in_line(now, pick, false, blocks, self.requests.wants(), self.readers);
            let Some(promise) = self.cache.promise(rank, blocks) else {
                return self.cache.wait(rank, blocks, WaiterState::HasBorrowed);
            };
            // Given back, it pays what is owed.
            drop(promise);
            content.store_mut().make_own(want.piece);
        }
    }

    /// Others need what was lent of theirs: pieces are given up until there is something for them.
    pub(in crate::engine) fn give_up_what_is_called_in(&mut self, now: Time) {
        while let Some(call) = self.cache.pool().called_in()
            && self.give_up_borrowed(now, call, u32::MAX)
        {}
    }

    /// Gives up a piece that was begun in borrowed memory, the one worth least. Was there one?
    pub(super) fn give_up_borrowed(&mut self, now: Time, recall: Recall, except: u32) -> bool {
        let Some(content) = self.content.as_ref().filter(|_| self.cache.pool().owed() > 0) else { return false };
        let keepers = self.admission().keepers(now, true);
        let spare = |piece: u32| recall == Recall::ForAll || !self.readers.is_played_soon(piece);
        let Some(piece) = keepers.worst_borrowed(content, |piece| piece != except && spare(piece)) else {
            return false;
        };
        self.evict(now, piece);
        self.cache.repaid(now);
        true
    }
}
