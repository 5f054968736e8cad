//! The choker (BEP 3): unchokes the peers that give us most, and one by chance.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::time::Time;
use crate::engine::config::Config;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;

/// What the choker knows of an interested peer.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<K> {
    pub key: K,
    /// Bytes a second that it sends us (while we download) or takes from us (while we seed).
    pub rate: u32,
    /// When it was last unchoked; waits longest goes first among equals.
    pub last_unchoked: Time,
}

/// The peers to unchoke: `slots` by rate, and `optimistic` beside them if it is among the candidates.
pub fn unchoke<K: Copy + Eq>(mut candidates: Vec<Candidate<K>>, slots: usize, optimistic: Option<K>) -> Vec<K> {
    candidates.sort_by(|a, b| b.rate.cmp(&a.rate).then(a.last_unchoked.cmp(&b.last_unchoked)));
    let reserved = usize::from(optimistic.is_some_and(|o| candidates.iter().any(|c| c.key == o)));
    let mut chosen: Vec<K> = optimistic.filter(|_| reserved == 1 && slots > 0).into_iter().collect();
    for candidate in candidates {
        if chosen.len() >= slots {
            break;
        }
        if Some(candidate.key) != optimistic {
            chosen.push(candidate.key);
        }
    }
    chosen
}

/// The next peer to get a chance: the interested and choked one that waits longest.
pub fn optimistic<K: Copy + Eq>(candidates: &[Candidate<K>], unchoked: &[K]) -> Option<K> {
    candidates.iter().filter(|c| !unchoked.contains(&c.key)).min_by_key(|c| c.last_unchoked).map(|c| c.key)
}

/// Between two times that slots are given away which came free, however many they are.
const LEAST_FILL_INTERVAL: Duration = Duration::from_secs(1);

/// Who has a slot, and when that is decided anew. It alone chokes and unchokes.
#[derive(Debug)]
pub(in crate::engine) struct Choker {
    optimistic: PeerKey,
    unchoked: usize,
    next_choke: Time,
    next_optimistic: Time,
    /// When slots that came free are given away, and no sooner than when.
    next_fill: Time,
    least_fill: Time,
}

/// By what the choker decides.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct ChokerRules {
    pub(in crate::engine) slots: usize,
    pub(in crate::engine) interval: Duration,
    pub(in crate::engine) optimistic_interval: Duration,
    /// We have everything: then it counts who takes fastest, not who gives.
    pub(in crate::engine) seeding: bool,
}

impl ChokerRules {
    pub fn of(config: &Config, seeding: bool) -> Self {
        let (settings, own) = (&config.settings, config.max_uploads);
        let slots = if own > 0 { i64::from(own) } else { settings.unchoke_slots_limit };
        let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1));
        Self {
            slots: if slots < 0 { usize::MAX } else { usize::try_from(slots).unwrap_or(0) },
            interval: seconds(settings.unchoke_interval),
            optimistic_interval: seconds(settings.optimistic_unchoke_interval),
            seeding,
        }
    }
}

impl Choker {
    pub(in crate::engine) fn new(now: Time) -> Self {
        Self {
            optimistic: PeerKey::NOBODY,
            unchoked: 0,
            next_choke: now,
            next_optimistic: now,
            next_fill: Time::NEVER,
            least_fill: now,
        }
    }

    /// How many peers may download from us.
    pub(in crate::engine) fn unchoked(&self) -> usize {
        self.unchoked
    }

    /// Nothing is to be decided but in the rounds.
    pub(in crate::engine) fn is_quiet(&self) -> bool {
        (self.unchoked, self.next_fill) == (0, Time::NEVER)
    }

    /// A round that was planned by longer intervals does not wait for their end.
    pub(in crate::engine) fn rules_changed(&mut self, now: Time, rules: &ChokerRules) {
        self.next_choke = self.next_choke.min(now + rules.interval);
        self.next_optimistic = self.next_optimistic.min(now + rules.optimistic_interval);
    }

    /// A slot that comes free is given away with the next tick: each message costs no look at all the others.
    pub(in crate::engine) fn interested(
        &mut self,
        now: Time,
        rules: &ChokerRules,
        peer: &mut Peer,
        interested: bool,
        woken: &mut Vec<PeerKey>,
    ) {
        if !peer.choking.set_peer_interested(interested) {
            return;
        }
        if interested && self.unchoked < rules.slots {
            self.set_choking(now, peer, false, woken);
        } else if !interested && !peer.choking.am_choking() {
            self.set_choking(now, peer, true, woken);
            self.slot_freed();
        }
    }

    /// Its connection is over.
    pub(in crate::engine) fn peer_gone(&mut self, peer: &Peer) {
        if !peer.choking.am_choking() {
            self.unchoked = self.unchoked.saturating_sub(1);
            self.slot_freed();
        }
        if self.optimistic == peer.key() {
            self.optimistic = PeerKey::NOBODY;
        }
    }

    /// All connections are over.
    pub(in crate::engine) fn peers_gone(&mut self) {
        (self.unchoked, self.optimistic) = (0, PeerKey::NOBODY);
    }

    /// Slots came free: they are given away soon, and not all too often.
    fn slot_freed(&mut self) {
        self.next_fill = self.next_fill.min(self.least_fill);
    }

    /// Free slots go to those who would be chosen next. Nobody loses one before the next round.
    pub(in crate::engine) fn fill_slots(
        &mut self,
        now: Time,
        rules: &ChokerRules,
        peers: &mut Peers,
        woken: &mut Vec<PeerKey>,
    ) {
        if now < self.next_fill {
            return;
        }
        (self.next_fill, self.least_fill) = (Time::NEVER, now + LEAST_FILL_INTERVAL);
        let free = rules.slots.saturating_sub(self.unchoked);
        for key in unchoke(candidates(peers, rules, |p| p.choking.am_choking()), free, None) {
            if let Some(peer) = peers.get_mut(&key) {
                self.set_choking(now, peer, false, woken);
            }
        }
    }

    /// Every `unchoke_interval`: the slots go to those who give most (or, while we seed, take fastest).
    pub(in crate::engine) fn round(
        &mut self,
        now: Time,
        rules: &ChokerRules,
        peers: &mut Peers,
        woken: &mut Vec<PeerKey>,
    ) {
        if now < self.next_choke {
            return;
        }
        self.next_choke = now + rules.interval;
        self.next_fill = Time::NEVER;
        let candidates = candidates(peers, rules, |_| true);
        if now >= self.next_optimistic || !peers.contains_key(&self.optimistic) {
            self.next_optimistic = now + rules.optimistic_interval;
            let regular = unchoke(candidates.clone(), rules.slots.saturating_sub(1), None);
            self.optimistic = optimistic(&candidates, &regular).unwrap_or(PeerKey::NOBODY);
        }
        let optimistic = (self.optimistic != PeerKey::NOBODY).then_some(self.optimistic);
        let chosen: BTreeSet<PeerKey> = unchoke(candidates, rules.slots, optimistic).into_iter().collect();
        for peer in peers.values_mut() {
            peer.choking.set_optimistic(Some(peer.key()) == optimistic);
            self.set_choking(now, peer, !chosen.contains(&peer.key()), woken);
        }
    }

    fn set_choking(&mut self, now: Time, peer: &mut Peer, choking: bool, woken: &mut Vec<PeerKey>) {
        if peer.choking.am_choking() == choking {
            return;
        }
        if choking {
            self.unchoked = self.unchoked.saturating_sub(1);
            peer.choke(now);
        } else {
            self.unchoked += 1;
            peer.unchoke(now);
        }
        wake(woken, peer);
    }
}

/// Those who are interested, as far as `which` says.
fn candidates(peers: &Peers, rules: &ChokerRules, which: impl Fn(&Peer) -> bool) -> Vec<Candidate<PeerKey>> {
    let rate =
        |p: &Peer| if rules.seeding { p.upload.payload().per_second() } else { p.activity().payload().per_second() };
    let interested = peers.values().filter(|p| p.choking.peer_interested() && which(p));
    interested.map(|p| Candidate { key: p.key(), rate: rate(p), last_unchoked: p.choking.last_unchoked() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(key: u32, rate: u32, last: u64) -> Candidate<u32> {
        Candidate { key, rate, last_unchoked: Time::from_micros(last) }
    }

    #[test]
    fn fastest_first_with_an_optimistic_slot() {
        let all = vec![candidate(1, 10, 0), candidate(2, 30, 0), candidate(3, 20, 0), candidate(4, 0, 5)];
        assert_eq!(unchoke(all.clone(), 2, None), [2, 3]);
        assert_eq!(unchoke(all.clone(), 2, Some(4)), [4, 2]);
        assert_eq!(unchoke(all.clone(), 2, Some(9)), [2, 3]);
        assert_eq!(unchoke(all.clone(), 0, Some(4)), Vec::<u32>::new());
        assert_eq!(optimistic(&all, &[2, 3]), Some(1));
        assert_eq!(optimistic(&all, &[1, 2, 3, 4]), None);
    }

    #[test]
    fn among_equals_the_one_that_waited_longest() {
        assert_eq!(unchoke(vec![candidate(1, 0, 9), candidate(2, 0, 3)], 1, None), [2]);
    }
}
