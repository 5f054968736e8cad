//! Under a download limit: how much is asked for, and who is late only because we read slowly.
//!
//! What is asked for beyond what the limit lets in would stand in line at us, before what a seek asks for. Those who let us wait count
//! for nothing there: what they hold of the limit, others may have. Whom the limit holds back lets nobody wait.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::peers::Peers;
use crate::engine::peer::source::Source;
use crate::memory::pool::BLOCK_SIZE;

/// No more is asked for than the limit brings in that time.
const AHEAD: Duration = Duration::from_secs(2);
/// Who lets us wait is found out again after so long: a look at every peer for each block would cost more than it is worth.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Who brings less than one of so many parts of what is its share is slow by itself.
const SMALL_PART: f64 = 4.0;

/// What the core knows of the limit.
#[derive(Debug, Default)]
pub(in crate::engine) struct DownloadLimit {
    /// Bytes a second that are read from all peers at most, 0: any number.
    rate: u32,
    /// Those whose bytes wait for it.
    held: BTreeSet<PeerKey>,
    /// Those who let us wait, when that was looked at last. Mostly none.
    silent: BTreeSet<PeerKey>,
    looked_at: Option<Time>,
}

impl DownloadLimit {
    pub fn is_limited(&self) -> bool {
        self.rate > 0
    }

    /// Does anybody wait for the limit?
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// Is it no slower than those that wait for the limit are by it? One that is slow by itself brings a small part of what each of
    /// them gets; of one that has brought nothing nobody knows.
    pub fn slows(&self, source: &Source) -> bool {
        let share = f64::from(self.rate) / self.held.len().max(1) as f64;
        self.holds_back() && (source.is_unknown() || source.path().bandwidth() >= share / SMALL_PART)
    }

    /// Blocks that the limit brings in a short time, one at least.
    pub fn most(&self) -> Option<u64> {
        let bytes = u64::from(self.rate) * AHEAD.as_secs();
        (self.rate > 0).then(|| (bytes / u64::from(BLOCK_SIZE)).max(1))
    }

    /// So many bytes a second are read from all peers at most, 0: any number. The limit of a session may be shared with other torrents.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// What a peer sent waits for the limit, or no more.
    pub fn set_held(&mut self, key: PeerKey, held: bool) {
        if held {
            self.held.insert(key);
        } else {
            self.held.remove(&key);
        }
    }

    /// Is less asked for than `most` blocks, without those of peers that let us wait? `asked`: how many in all.
    pub fn fits(&mut self, now: Time, most: u64, asked: u64, peers: &Peers, content: Option<&Content>) -> bool {
        asked < most || asked - self.silent_blocks(now, asked, peers, content) < most
    }

    /// Blocks that only those are asked for who let us wait; never more than are asked for.
    fn silent_blocks(&mut self, now: Time, asked: u64, peers: &Peers, content: Option<&Content>) -> u64 {
        if self.looked_at.is_none_or(|at| now.since(at) >= LOOK_AGAIN) {
            self.looked_at = Some(now);
            self.silent = peers.values().filter(|p| p.is_silent(now)).map(|p| p.key()).collect();
        }
        let Some(content) = content else { return 0 };
        let is_silent = |key: &PeerKey| self.silent.contains(key) && peers.get(key).is_some_and(|p| p.is_silent(now));
        let silent = self.silent.iter().filter(|key| is_silent(key)).filter_map(|key| peers.get(key));
        let blocks = silent.flat_map(|p| p.source.requests().iter().map(|r| (p.key(), r.piece, r.block))).filter(
            |(key, piece, block)| {
                let slot = content.store().slot(*piece);
                let block = slot.and_then(|s| s.blocks().get(*block as usize));
                // Of several that are asked for it, one counts it.
                block.is_some_and(|b| b.askees().next() == Some(*key) && b.askees().all(|k| is_silent(&k)))
            },
        );
        (blocks.count() as u64).min(asked)
    }

    pub fn peer_gone(&mut self, key: PeerKey) {
        self.held.remove(&key);
        self.silent.remove(&key);
    }

    pub fn peers_gone(&mut self) {
        self.held.clear();
        self.silent.clear();
    }
}
