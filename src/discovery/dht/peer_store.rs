//! The peers that others announced to us, for whoever asks for them (BEP 5), and their numbers as Bloom filters (BEP 33).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::krpc::{FILTER_BYTES, Filters};
use crate::base::address::household;
use crate::base::time::Time;
use crate::metainfo::info_hash::Sha1Hash;

/// Who has not announced itself again since is forgotten: announces are made each quarter of an hour, and some get lost.
const LIFE: Duration = Duration::from_secs(45 * 60);
/// Of all torrents together.
const MAX_PEERS: usize = 20_000;
/// Of one torrent, at one address.
const MAX_OF_HOUSEHOLD: usize = 8;
/// A reply is to fit into a packet, with nodes and all.
const MAX_REPLY_V4: usize = 100;
const MAX_REPLY_V6: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    pub torrents: usize,
    /// Of one torrent.
    pub peers: usize,
}

#[derive(Debug)]
struct Stored {
    addr: SocketAddr,
    seed: bool,
    announced: Time,
}

#[derive(Debug, Default)]
pub struct PeerStore {
    torrents: HashMap<Sha1Hash, Vec<Stored>>,
    count: usize,
}

impl PeerStore {
    /// Torrents and peers that are known.
    pub fn counts(&self) -> (usize, usize) {
        (self.torrents.len(), self.count)
    }

    pub fn announce(&mut self, now: Time, limits: &StoreLimits, hash: Sha1Hash, addr: SocketAddr, seed: bool) {
        if limits.torrents == 0 || limits.peers == 0 {
            return;
        }
        if !self.torrents.contains_key(&hash) && self.torrents.len() >= limits.torrents {
            self.drop_smallest();
        }
        let stored = self.torrents.entry(hash).or_default();
        let before = stored.len();
        stored.retain(|peer| peer.addr != addr);
        let home = household(addr.ip());
        let at_home = stored.iter().filter(|peer| household(peer.addr.ip()) == home && !home.is_loopback());
        let is_crowded = at_home.clone().count() >= MAX_OF_HOUSEHOLD;
        let goes = if is_crowded {
            at_home.min_by_key(|peer| peer.announced).map(|peer| peer.addr)
        } else if stored.len() >= limits.peers {
            stored.iter().min_by_key(|peer| peer.announced).map(|peer| peer.addr)
        } else {
            None
        };
        stored.retain(|peer| Some(peer.addr) != goes);
        stored.push(Stored { addr, seed, announced: now });
        self.count = self.count + stored.len() - before;
        while self.count > MAX_PEERS {
            self.drop_smallest();
        }
    }

    /// The torrent that the fewest are known of has the least use of us.
    fn drop_smallest(&mut self) {
        let smallest = self.torrents.iter().min_by_key(|(_, peers)| peers.len()).map(|(hash, _)| *hash);
        if let Some(peers) = smallest.and_then(|hash| self.torrents.remove(&hash)) {
            self.count -= peers.len();
        }
    }

    pub fn forget_old(&mut self, now: Time) {
        self.torrents.retain(|_, peers| {
            peers.retain(|peer| now.since(peer.announced) < LIFE);
            peers.shrink_to(peers.len() * 2);
            !peers.is_empty()
        });
        self.count = self.torrents.values().map(Vec::len).sum();
    }

    /// Some of a torrent's peers, others each time. Of the family that is asked by.
    pub fn peers(&self, hash: Sha1Hash, v6: bool, rng: &mut fastrand::Rng) -> Vec<SocketAddr> {
        let Some(stored) = self.torrents.get(&hash) else { return Vec::new() };
        let of_family: Vec<SocketAddr> =
            stored.iter().map(|peer| peer.addr).filter(|addr| addr.is_ipv6() == v6).collect();
        rng.choose_multiple(of_family, if v6 { MAX_REPLY_V6 } else { MAX_REPLY_V4 })
    }

    /// None where nobody is known.
    pub fn filters(&self, hash: Sha1Hash) -> Option<Filters> {
        let stored = self.torrents.get(&hash)?;
        let of = |seed: bool| {
            let mut filter = Box::new([0; FILTER_BYTES]);
            stored.iter().filter(|peer| peer.seed == seed).for_each(|peer| insert(&mut filter, peer.addr.ip()));
            filter
        };
        Some(Filters { seeds: of(true), peers: of(false) })
    }
}

/// Two hash functions, which are the first four bytes of the address's SHA-1.
fn insert(filter: &mut [u8; FILTER_BYTES], ip: IpAddr) {
    let hash = match ip.to_canonical() {
        IpAddr::V4(v4) => Sha1::digest(v4.octets()),
        IpAddr::V6(v6) => Sha1::digest(v6.octets()),
    };
    for [low, high] in hash.as_chunks::<2>().0.iter().take(2) {
        let bit = usize::from(u16::from_le_bytes([*low, *high])) % (FILTER_BYTES * 8);
        if let Some(byte) = filter.get_mut(bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;
    const LIMITS: StoreLimits = StoreLimits { torrents: 3, peers: 10 };

    fn hash(n: u8) -> Sha1Hash {
        Sha1Hash([n; 20])
    }

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([80, 0, 0, n], 1000))
    }

    #[test]
    fn bounded_in_each_way_and_forgets() {
        let mut store = PeerStore::default();
        let mut rng = fastrand::Rng::with_seed(1);
        for n in 0..50 {
            store.announce(NOW + Duration::from_secs(n.into()), &LIMITS, hash(1), addr(n), false);
        }
        assert_eq!(store.counts(), (1, 10));
        let kept = store.peers(hash(1), false, &mut rng);
        assert!((40..50).all(|n| kept.contains(&addr(n))), "the latest");
        // One host has many ports.
        for port in 1..50 {
            store.announce(NOW, &LIMITS, hash(2), SocketAddr::from(([9, 9, 9, 9], port)), false);
        }
        assert_eq!(store.counts(), (2, 10 + MAX_OF_HOUSEHOLD));
        store.announce(NOW, &LIMITS, hash(3), addr(1), false);
        store.announce(NOW, &LIMITS, hash(4), addr(1), false);
        assert_eq!((store.counts().0, store.peers(hash(3), false, &mut rng)), (3, vec![]), "the smallest went");
        store.announce(NOW, &LIMITS, hash(4), addr(1), true);
        assert_eq!(store.peers(hash(4), false, &mut rng), [addr(1)], "once");
        store.forget_old(NOW + LIFE + Duration::from_secs(45));
        assert_eq!(store.counts(), (1, 4));
        store.forget_old(NOW + LIFE * 2);
        assert_eq!(store.counts(), (0, 0));
        let none = StoreLimits { torrents: 0, peers: 10 };
        store.announce(NOW, &none, hash(1), addr(1), false);
        assert_eq!(store.counts(), (0, 0));
    }

    #[test]
    fn all_torrents_together_are_bounded() {
        let mut store = PeerStore::default();
        let limits = StoreLimits { torrents: 1000, peers: 1000 };
        for n in 0..30_000u32 {
            let hash = Sha1Hash([(n / 500) as u8; 20]);
            store.announce(NOW, &limits, hash, SocketAddr::from((std::net::Ipv4Addr::from(n << 8), 1)), false);
            assert!(store.count <= MAX_PEERS);
        }
        assert!(store.count > MAX_PEERS - 1000);
    }

    #[test]
    fn peers_are_of_the_family_that_asks() {
        let mut store = PeerStore::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let v6: SocketAddr = "[2001:db8::1]:1".parse().expect("an address");
        store.announce(NOW, &LIMITS, hash(1), addr(1), false);
        store.announce(NOW, &LIMITS, hash(1), v6, false);
        assert_eq!(store.peers(hash(1), false, &mut rng), [addr(1)]);
        assert_eq!(store.peers(hash(1), true, &mut rng), [v6]);
        assert!(store.peers(hash(2), true, &mut rng).is_empty());
    }

    /// How many addresses were put into a filter, as far as it tells.
    fn estimate(filter: &[u8; FILTER_BYTES]) -> u32 {
        let bits = (FILTER_BYTES * 8) as f64;
        let zeros = filter.iter().map(|byte| byte.count_zeros()).sum::<u32>();
        let zeros = f64::from(zeros).clamp(1.0, bits - 1.0);
        if filter.iter().all(|byte| *byte == 0) {
            return 0;
        }
        ((zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln())).round() as u32
    }

    /// The test vector of BEP 33: 256 addresses of IPv4 and 1000 of IPv6.
    #[test]
    fn filters_are_those_of_the_bep() {
        let mut filter = Box::new([0; FILTER_BYTES]);
        (0..=255).for_each(|n| insert(&mut filter, [192, 0, 2, n].into()));
        for n in 0..=0x3e7u16 {
            insert(&mut filter, [0x2001, 0xdb8, 0, 0, 0, 0, 0, n].into());
        }
        assert_eq!(filter[..8], [0xf6, 0xc3, 0xf5, 0xea, 0xa0, 0x7f, 0xfd, 0x91]);
        assert!((1220..1235).contains(&estimate(&filter)), "{}", estimate(&filter));
        assert_eq!(estimate(&[0; FILTER_BYTES]), 0);
        assert!(estimate(&[0xff; FILTER_BYTES]) > 7000);
        let mut store = PeerStore::default();
        store.announce(NOW, &LIMITS, hash(1), addr(1), true);
        store.announce(NOW, &LIMITS, hash(1), addr(2), false);
        store.announce(NOW, &LIMITS, hash(1), addr(3), false);
        let filters = store.filters(hash(1)).expect("known");
        assert_eq!((estimate(&filters.seeds), estimate(&filters.peers)), (1, 2));
        assert_eq!(store.filters(hash(2)), None);
    }
}
