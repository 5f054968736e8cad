//! Interest (BEP 3): whether there is anything that we want of a peer, and who of them is told so.

use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::config::{Config, StorageKind, TorrentFlags};
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;
use crate::engine::peer::messages::wake;
use crate::engine::readers::Readers;

/// What our interest follows from, beside what the peer has.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Interest<'a> {
    pub config: &'a Config,
    pub content: Option<&'a Content>,
    pub readers: &'a Readers,
}

impl Interest<'_> {
    /// Do we want anything at all? On memory storage interest is kept while anything is lacking at all: what is not wanted now will be
    /// after the next seek, and an unchoke takes longer to get than a block.
    fn wants_any(&self) -> bool {
        !self.config.flags.contains(TorrentFlags::UPLOAD_MODE)
            && (self.config.storage == StorageKind::Memory
                || !self.readers.is_empty()
                || !self.readers.deadlines().is_empty()
                || self.content.is_some_and(|c| c.picker().has_wanted()))
    }

    /// Interest follows from what the peer has and we lack, or may show next.
    pub(in crate::engine) fn is_interesting(&self, peer: &Peer) -> bool {
        (peer.offers(self.content) > 0 || peer.revealed.lingers.is_some()) && self.wants_any()
    }
}

impl Scheduler<'_> {
    fn interest(&self) -> Interest<'_> {
        Interest { config: self.config, content: self.content.as_ref(), readers: self.readers }
    }

    /// What the peer has, or what we lack, has changed.
    pub(in crate::engine) fn update_interest(&mut self, now: Time, key: PeerKey) {
        let Some(interested) = self.peers.get(&key).map(|peer| self.interest().is_interesting(peer)) else { return };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.set_interested(now, interested) {
            wake(&mut self.out.wake, peer);
            if interested {
                self.requests.note_open(peer);
            }
        }
    }

    pub(in crate::engine) fn update_interests(&mut self, now: Time) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.update_interest(now, key);
        }
    }

    /// After anything that may have changed whether we want something at all.
    pub(in crate::engine) fn review_interests(&mut self, now: Time) {
        let wants_any = self.interest().wants_any();
        if self.peers.wants_any(wants_any) {
            self.update_interests(now);
        }
    }
}
