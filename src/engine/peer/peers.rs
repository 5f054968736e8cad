//! The peers of a torrent, and what is counted over them.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, IntoValues, Keys, Values, ValuesMut};

use std::time::Duration;

use super::messages::wake;
use super::wire_peer::Peer;
use crate::alert::CloseReason;
use crate::base::time::Time;
use crate::engine::config::Config;
use crate::engine::content::pieces::PeerKey;

/// By what peers are reviewed.
#[derive(Debug)]
pub(in crate::engine) struct ReviewRules {
    pub peer_timeout: Duration,
    pub inactivity_timeout: Duration,
    pub request_timeout: Duration,
    /// We are a seed, and part with other seeds.
    pub close_seeds: bool,
    /// There are as many peers as there may be.
    pub crowded: bool,
}

impl ReviewRules {
    /// Of a torrent that has all, or has not, and so many peers.
    pub(in crate::engine) fn of(config: &Config, has_all: bool, peers: usize) -> Self {
        let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
        let settings = &config.settings;
        Self {
            peer_timeout: seconds(settings.peer_timeout),
            inactivity_timeout: seconds(settings.inactivity_timeout),
            request_timeout: seconds(settings.request_timeout),
            close_seeds: settings.close_redundant_connections && config.keeps_pieces() && has_all,
            crowded: peers >= config.connection_limit(),
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::engine) struct Review {
    pub gone: Vec<(PeerKey, CloseReason)>,
    pub snubbed: Vec<PeerKey>,
    /// They said that we may ask, and it is believed only now.
    pub believed: Vec<PeerKey>,
}

/// The connected peers.
#[derive(Debug)]
pub(in crate::engine) struct Peers {
    map: BTreeMap<PeerKey, Peer>,
    next_key: u32,
    /// Peers to look at when we get a piece or lose one: all but those that are counted among the seeds, and were told of none of
    /// our pieces that may go again.
    partial: BTreeSet<PeerKey>,
    /// How many peers are on parole.
    on_parole: usize,
    /// Was there anything that we wanted, when they heard of our interest last?
    wanted_any: bool,
}

impl Default for Peers {
    fn default() -> Self {
        Self { map: BTreeMap::new(), next_key: 1, partial: BTreeSet::new(), on_parole: 0, wanted_any: false }
    }
}

impl Peers {
    pub(in crate::engine) fn get(&self, key: &PeerKey) -> Option<&Peer> {
        self.map.get(key)
    }

    pub(in crate::engine) fn get_mut(&mut self, key: &PeerKey) -> Option<&mut Peer> {
        self.map.get_mut(key)
    }

    pub(in crate::engine) fn contains_key(&self, key: &PeerKey) -> bool {
        self.map.contains_key(key)
    }

    pub(in crate::engine) fn keys(&self) -> Keys<'_, PeerKey, Peer> {
        self.map.keys()
    }

    pub(in crate::engine) fn values(&self) -> Values<'_, PeerKey, Peer> {
        self.map.values()
    }

    pub(in crate::engine) fn values_mut(&mut self) -> ValuesMut<'_, PeerKey, Peer> {
        self.map.values_mut()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.map.len()
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(in crate::engine) fn insert(&mut self, key: PeerKey, peer: Peer) {
        self.map.insert(key, peer);
    }

    pub(in crate::engine) fn remove(&mut self, key: &PeerKey) -> Option<Peer> {
        self.partial.remove(key);
        let peer = self.map.remove(key)?;
        self.on_parole -= usize::from(peer.parole.is_on());
        Some(peer)
    }

    /// A number for one that comes now. None is given twice.
    pub(in crate::engine) fn next_key(&mut self) -> PeerKey {
        let key = PeerKey(self.next_key);
        self.next_key += 1;
        key
    }

    /// How many are on parole.
    pub(in crate::engine) fn on_parole(&self) -> usize {
        self.on_parole
    }

    pub(in crate::engine) fn set_parole(&mut self, key: PeerKey, parole: bool) {
        let Some(peer) = self.map.get_mut(&key) else { return };
        let before = peer.parole.set(parole);
        self.on_parole = (self.on_parole + usize::from(parole)).saturating_sub(usize::from(before));
    }

    /// A piece failed its hash to which it may have sent a part: it is on parole until it has shown that it sends what is right.
    pub(in crate::engine) fn failed_hash(&mut self, key: PeerKey) {
        if let Some(peer) = self.map.get_mut(&key) {
            peer.parole.piece_failed();
        }
        self.set_parole(key, true);
    }

    /// What time brings about at each: who has to go, who is snubbed from now on, who is believed that it lets us ask. Keep-alives are sent.
    pub(in crate::engine) fn review(&mut self, now: Time, rules: &ReviewRules, woken: &mut Vec<PeerKey>) -> Review {
        let mut review = Review::default();
        for peer in self.map.values_mut() {
            peer.activity.update_rates(now);
            peer.upload.update_rates(now);
            peer.source.review(now);
            if peer.choking.review(now) {
                review.believed.push(peer.key());
            }
            let useless = now.since(peer.activity().last_useful().max(peer.activity().connected_at()));
            if now.since(peer.activity().last_received()) > rules.peer_timeout {
                review.gone.push((peer.key(), CloseReason::TimedOutActivity));
            } else if rules.close_seeds && (peer.is_seed() || peer.extensions.upload_only()) {
                review.gone.push((peer.key(), CloseReason::UploadToUpload));
            } else if rules.crowded && peer.is_idle() && useless > rules.inactivity_timeout {
                review.gone.push((peer.key(), CloseReason::TimedOutInterest));
            }
            if !peer.source.is_snubbed() && peer.source.silent_for(now) > rules.request_timeout {
                review.snubbed.push(peer.key());
            }
            if peer.outbox.keep_alive(now) {
                wake(woken, peer);
            }
        }
        review
    }

    /// Blocks that those are asked for who let us wait.
    pub(in crate::engine) fn silent_requests(&self, now: Time) -> u64 {
        self.map.values().filter(|p| p.is_silent(now)).map(|p| p.source.requests().len() as u64).sum()
    }

    /// Those who do not read. There are so many pieces.
    pub(in crate::engine) fn deaf(&self, pieces: u32) -> Vec<PeerKey> {
        self.map.values().filter(|p| p.outbox.is_deaf(pieces)).map(|p| p.key()).collect()
    }

    /// Those who do not take what they asked for, and is lent to them.
    pub(in crate::engine) fn stalled(&self, now: Time) -> Vec<PeerKey> {
        self.map.values().filter(|p| p.upload.outgoing().is_stalled(now)).map(|p| p.key()).collect()
    }

    /// What each has dropped.
    pub(in crate::engine) fn find_dropped(&mut self, now: Time) -> Vec<(PeerKey, Vec<(u32, u32)>)> {
        let found = self.map.values_mut().map(|p| (p.key(), p.find_dropped(now)));
        found.filter(|(_, blocks)| !blocks.is_empty()).collect()
    }

    /// Do we want anything at all? True: that changed, and so did our interest in each.
    pub(in crate::engine) fn wants_any(&mut self, wants_any: bool) -> bool {
        std::mem::replace(&mut self.wanted_any, wants_any) != wants_any
    }

    /// All of them, for good.
    pub(in crate::engine) fn take_all(&mut self) -> IntoValues<PeerKey, Peer> {
        self.on_parole = 0;
        self.partial.clear();
        std::mem::take(&mut self.map).into_values()
    }

    /// Those to look at when we get a piece or lose one.
    pub(in crate::engine) fn for_each_partial(&mut self, mut look: impl FnMut(&mut Peer)) {
        for key in &self.partial {
            if let Some(peer) = self.map.get_mut(key) {
                look(peer);
            }
        }
    }

    #[cfg(any(test, feature = "audit"))]
    pub(in crate::engine) fn is_partial(&self, key: PeerKey) -> bool {
        self.partial.contains(&key)
    }

    pub(in crate::engine) fn set_partial(&mut self, key: PeerKey, partial: bool) {
        if partial {
            self.partial.insert(key);
        } else {
            self.partial.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;

    #[test]
    fn those_on_parole_are_counted() {
        let mut peers = Peers::default();
        let keys = [peers.next_key(), peers.next_key(), peers.next_key()];
        keys.into_iter().for_each(|key| peers.insert(key, Peer::silent(NOW, key)));
        peers.failed_hash(keys[0]);
        peers.failed_hash(keys[0]);
        peers.set_parole(keys[1], true);
        peers.set_parole(keys[2], false);
        assert_eq!(peers.on_parole(), 2);
        peers.set_parole(keys[0], false);
        assert!(peers.remove(&keys[1]).is_some());
        assert_eq!(peers.on_parole(), 0);
        peers.failed_hash(keys[2]);
        assert_eq!((peers.on_parole(), peers.take_all().count(), peers.on_parole()), (1, 2, 0));
    }
}
