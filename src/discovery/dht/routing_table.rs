//! The nodes that a node knows of one address family (BEP 5): many of those near to it in the space of ids, few of those far away.
//!
//! Those in it have answered, or were known from last time. A newcomer waits beside a full bucket until one in it fails. Who has been there
//! longest stays: it is the likeliest to stay on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::node_id::{ID_BITS, NodeAddr, NodeId};
use crate::base::address::household;
use crate::base::time::Time;

/// BEP 5's K: so many are told, and make a bucket.
pub const K: usize = 8;
/// The buckets of far nodes are larger: a lookup begins nearer, and takes fewer steps.
const SIZES: [usize; 4] = [128, 64, 32, 16];
/// Who failed so often without an answer in between goes, were there nobody to follow.
const MAX_FAILS: u8 = 20;
/// Nodes that have not been heard of for so long are asked whether they are there.
const QUIET: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone)]
struct Entry {
    node: NodeAddr,
    /// When it answered last. None: never yet.
    answered: Option<Time>,
    /// When it was asked last.
    asked: Time,
    fails: u8,
}

#[derive(Debug, Default)]
struct Bucket {
    entries: Vec<Entry>,
    /// Those who answered, and found no room. The latest behind.
    waiting: Vec<NodeAddr>,
    /// When something was looked for here last.
    refreshed: Time,
}

#[derive(Debug)]
pub struct RoutingTable {
    id: NodeId,
    /// By how many first bits are ours. The last one is of all beyond it, too.
    buckets: Vec<Bucket>,
    /// One node an address, and one a network in each bucket.
    restrict_ips: bool,
}

impl RoutingTable {
    pub fn new(id: NodeId, restrict_ips: bool) -> Self {
        Self { id, buckets: vec![Bucket::default()], restrict_ips }
    }

    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Counts for who comes from now on.
    pub fn restrict_ips(&mut self, restrict: bool) {
        self.restrict_ips = restrict;
    }

    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries.len()).sum()
    }

    /// Has any of them answered, and not failed since?
    pub fn has_good(&self) -> bool {
        self.entries().any(|entry| entry.answered.is_some() && entry.fails == 0)
    }

    /// All nodes, those that answered last first.
    pub fn nodes(&self) -> Vec<NodeAddr> {
        self.best_first().into_iter().map(|entry| entry.node).collect()
    }

    fn best_first(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries().collect();
        entries.sort_by_key(|entry| (entry.fails, std::cmp::Reverse(entry.answered)));
        entries
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.entries)
    }

    /// The same nodes round another id.
    pub fn moved(&self, id: NodeId) -> Self {
        let mut moved = Self::new(id, self.restrict_ips);
        self.best_first().into_iter().for_each(|entry| {
            moved.insert(entry.clone());
        });
        moved
    }

    /// The nodes nearest to something that did not fail last time, nearest first.
    pub fn closest(&self, target: &NodeId, count: usize) -> Vec<NodeAddr> {
        let mut near: Vec<NodeAddr> = self.entries().filter(|entry| entry.fails == 0).map(|entry| entry.node).collect();
        near.sort_unstable_by_key(|node| node.id.distance(target));
        near.truncate(count);
        near
    }

    /// Would this one be of use? Then it is worth to be asked.
    pub fn wants(&self, node: &NodeAddr) -> bool {
        let bucket = self.bucket_of(&node.id);
        let may_split = bucket + 1 == self.buckets.len() && bucket < ID_BITS - 1;
        let has_room = self.buckets.get(bucket).is_some_and(|b| b.entries.len() < size(bucket));
        node.id != self.id && (has_room || may_split) && self.entry(node.addr).is_none() && self.fits_in(bucket, node)
    }

    /// A node answered. It may be news.
    pub fn answered(&mut self, now: Time, node: NodeAddr) {
        if node.id == self.id {
            return;
        }
        // Who goes by another id than before begins anew.
        self.buckets.iter_mut().for_each(|bucket| {
            bucket.entries.retain(|entry| entry.node.addr != node.addr || entry.node.id == node.id);
        });
        let known = self.buckets.iter_mut().flat_map(|b| &mut b.entries).find(|entry| entry.node.id == node.id);
        match known {
            // Somebody else says so, and who is there has not failed.
            Some(known) if known.node.addr != node.addr && known.fails == 0 => {}
            Some(known) => {
                *known = Entry { node, answered: Some(now), asked: now, fails: 0 };
            }
            None => {
                self.insert(Entry { node, answered: Some(now), asked: now, fails: 0 });
            }
        }
    }

    /// One that was known last time, and is to be asked.
    pub fn restore(&mut self, node: NodeAddr) {
        if self.wants(&node) {
            self.insert(Entry { node, answered: None, asked: Time::ZERO, fails: 0 });
        }
    }

    pub fn asked(&mut self, now: Time, addr: SocketAddr) {
        if let Some(entry) = self.entry_mut(addr) {
            entry.asked = now;
        }
    }

    /// A node was asked and did not answer.
    pub fn failed(&mut self, addr: SocketAddr) {
        for bucket in &mut self.buckets {
            let Some(at) = bucket.entries.iter().position(|entry| entry.node.addr == addr) else {
                bucket.waiting.retain(|node| node.addr != addr);
                continue;
            };
            let Some(entry) = bucket.entries.get_mut(at) else { continue };
            entry.fails += 1;
            let is_new = entry.answered.is_none();
            if entry.fails < 2 && !is_new {
                return;
            }
            if let Some(next) = bucket.waiting.pop() {
                // It answered a while ago: it is asked again soon.
                *entry = Entry { node: next, answered: None, asked: Time::ZERO, fails: 0 };
            } else if entry.fails >= MAX_FAILS || is_new && entry.fails >= 2 {
                bucket.entries.remove(at);
            }
            return;
        }
    }

    /// Who is to be asked whether it is there: who was not heard of for longest, or never. Not one that was asked just now.
    pub fn to_ask(&self, now: Time) -> Option<NodeAddr> {
        let pause = |entry: &Entry| {
            if entry.answered.is_none() { QUIET / 90 } else { QUIET / 15 * (1 + u32::from(entry.fails)) }
        };
        let quiet = |entry: &&Entry| {
            entry.answered.is_none_or(|at| now.since(at) >= QUIET) && now.since(entry.asked) >= pause(entry)
        };
        self.entries().filter(quiet).min_by_key(|entry| (entry.answered, entry.asked)).map(|entry| entry.node)
    }

    /// Something to look for in a bucket where nothing was looked for in a while.
    pub fn next_refresh(&mut self, now: Time, rng: &mut fastrand::Rng) -> Option<NodeId> {
        let (index, bucket) = self.buckets.iter_mut().enumerate().min_by_key(|(_, bucket)| bucket.refreshed)?;
        if now.since(bucket.refreshed) < QUIET {
            return None;
        }
        bucket.refreshed = now;
        Some(self.id.beside(index, rng))
    }

    /// Something is looked for.
    pub fn looked_for(&mut self, now: Time, target: &NodeId) {
        let at = self.bucket_of(target);
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.refreshed = now;
        }
    }

    fn bucket_of(&self, id: &NodeId) -> usize {
        self.id.shared_bits(id).min(self.buckets.len() - 1)
    }

    fn entry(&self, addr: SocketAddr) -> Option<&Entry> {
        self.entries().find(|entry| entry.node.addr == addr)
    }

    fn entry_mut(&mut self, addr: SocketAddr) -> Option<&mut Entry> {
        self.buckets.iter_mut().flat_map(|bucket| &mut bucket.entries).find(|entry| entry.node.addr == addr)
    }

    /// One that has one address cannot fill the table, nor one that has a network a bucket.
    fn fits_in(&self, bucket: usize, node: &NodeAddr) -> bool {
        let ip = node.addr.ip();
        if !self.restrict_ips || ip.is_loopback() {
            return true;
        }
        let home = household(ip);
        let is_there = self.entries().any(|e| household(e.node.addr.ip()) == home && e.node.addr != node.addr);
        let network = network_of(ip);
        let beside = self.buckets.get(bucket).is_some_and(|b| {
            b.entries.iter().any(|e| network_of(e.node.addr.ip()) == network && e.node.addr != node.addr)
        });
        !is_there && !beside
    }

    /// Takes it in, or has it wait.
    fn insert(&mut self, entry: Entry) -> bool {
        loop {
            let at = self.bucket_of(&entry.node.id);
            let is_last = at + 1 == self.buckets.len();
            if entry.node.id == self.id || !self.fits_in(at, &entry.node) {
                return false;
            }
            let Some(bucket) = self.buckets.get_mut(at) else { return false };
            bucket.waiting.retain(|node| node.addr != entry.node.addr);
            if bucket.entries.len() < size(at) {
                bucket.entries.push(entry);
                return true;
            }
            if is_last && at < ID_BITS - 1 {
                self.split();
                continue;
            }
            // One that fails, or has never answered, makes room.
            let rank = |e: &Entry| (e.fails, e.answered.is_none());
            if entry.answered.is_none() {
                return false;
            }
            match bucket.entries.iter_mut().max_by_key(|e| rank(e)) {
                Some(worst) if rank(worst) > (0, false) => {
                    *worst = entry;
                    return true;
                }
                _ => {
                    if bucket.waiting.len() >= K {
                        bucket.waiting.remove(0);
                    }
                    bucket.waiting.push(entry.node);
                    return false;
                }
            }
        }
    }

    /// The last bucket is full: those nearer to us get one of their own.
    fn split(&mut self) {
        let (id, at) = (self.id, self.buckets.len() - 1);
        let Some(last) = self.buckets.last_mut() else { return };
        let is_nearer = |node: &NodeAddr| id.shared_bits(&node.id) > at;
        let entries = last.entries.extract_if(.., |entry| is_nearer(&entry.node)).collect();
        let waiting = last.waiting.extract_if(.., |node| is_nearer(node)).collect();
        let refreshed = last.refreshed;
        // It was larger as the last one.
        while last.entries.len() > size(at) {
            last.waiting.extend(last.entries.pop().map(|entry| entry.node));
        }
        last.waiting.truncate(K);
        self.buckets.push(Bucket { entries, waiting, refreshed });
    }
}

fn size(bucket: usize) -> usize {
    SIZES.get(bucket).copied().unwrap_or(K)
}

/// What one owner is likely to have as a whole.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => std::net::Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00).into(),
        v6 => household(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: NodeId = NodeId([0; 20]);
    const NOW: Time = Time::BEGINNING;

    fn node(rng: &mut fastrand::Rng, shared: usize, n: u32) -> NodeAddr {
        // A network each.
        let addr = SocketAddr::from((std::net::Ipv4Addr::from(0x0b00_0001 + (n << 8)), 6881));
        NodeAddr { id: OURS.beside(shared, rng), addr }
    }

    #[test]
    fn far_nodes_are_few_and_near_ones_many() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = RoutingTable::new(OURS, true);
        for n in 0..3000 {
            let shared = n as usize % 12;
            let node = node(&mut rng, shared, n);
            table.answered(NOW, node);
        }
        let counts: Vec<usize> = table.buckets.iter().map(|bucket| bucket.entries.len()).collect();
        assert_eq!(counts[..11], [128, 64, 32, 16, 8, 8, 8, 8, 8, 8, 8]);
        assert!(table.buckets.iter().all(|bucket| bucket.waiting.len() <= K));
        assert_eq!(table.len(), counts.iter().sum());
        let target = OURS.beside(4, &mut rng);
        let near = table.closest(&target, K);
        let mut all = table.nodes();
        all.sort_by_key(|node| node.id.distance(&target));
        assert_eq!(near, all[..K]);
        // All come along to another id, as far as there is room.
        let other = OURS.beside(0, &mut rng);
        let moved = table.moved(other);
        assert!(moved.len() > 120 && moved.len() <= table.len() && moved.id() == other);
    }

    #[test]
    fn who_fails_makes_room_for_who_waits() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut table = RoutingTable::new(OURS, true);
        let nodes: Vec<NodeAddr> = (0..200).map(|n| node(&mut rng, 0, n)).collect();
        nodes.iter().for_each(|node| table.answered(NOW, *node));
        assert_eq!(table.len(), 128, "{:?}", table.buckets.len());
        assert!(table.nodes().contains(&nodes[5]) && !table.nodes().contains(&nodes[199]));
        table.failed(nodes[5].addr);
        assert!(!table.closest(&nodes[5].id, 1).contains(&nodes[5]), "not told to others");
        assert!(table.nodes().contains(&nodes[5]), "once is no time");
        table.failed(nodes[5].addr);
        assert!(!table.nodes().contains(&nodes[5]) && table.nodes().contains(&nodes[199]));
        assert_eq!(table.to_ask(NOW), Some(nodes[199]), "whether it is there still");
        // Answered again in time: as if nothing had been.
        table.failed(nodes[6].addr);
        table.answered(NOW, nodes[6]);
        table.failed(nodes[6].addr);
        assert!(table.nodes().contains(&nodes[6]));
        // With nobody to follow a node is kept for long: we may be cut off.
        let mut alone = RoutingTable::new(OURS, true);
        alone.answered(NOW, nodes[0]);
        (1..MAX_FAILS).for_each(|_| alone.failed(nodes[0].addr));
        assert_eq!((alone.len(), alone.has_good()), (1, false));
        alone.failed(nodes[0].addr);
        assert_eq!(alone.len(), 0);
    }

    #[test]
    fn one_host_or_network_is_not_the_whole_table() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut table = RoutingTable::new(OURS, true);
        let mut free = RoutingTable::new(OURS, false);
        for n in 0..100u8 {
            let id = OURS.beside(usize::from(n) % 4, &mut rng);
            for ip in [[9, 9, 9, 9], [8, 8, 8, n]] {
                let node = NodeAddr { id, addr: SocketAddr::from((ip, 1000 + u16::from(n))) };
                table.answered(NOW, node);
                free.answered(NOW, node);
            }
        }
        assert!(table.len() <= 1 + 4, "{}", table.len());
        assert!(free.len() >= 100);
        // Of this host there may be many.
        let mut here = RoutingTable::new(OURS, true);
        for n in 0..100u16 {
            here.answered(
                NOW,
                NodeAddr { id: NodeId::random(&mut rng), addr: SocketAddr::from(([127, 0, 0, 1], n + 1)) },
            );
        }
        assert!(here.len() > 80);
    }

    #[test]
    fn an_id_is_of_who_has_it_until_that_fails() {
        let mut rng = fastrand::Rng::with_seed(4);
        let mut table = RoutingTable::new(OURS, true);
        let real = node(&mut rng, 3, 1);
        let claims = NodeAddr { addr: node(&mut rng, 3, 2).addr, ..real };
        table.answered(NOW, real);
        table.answered(NOW, claims);
        assert_eq!(table.nodes(), [real]);
        table.failed(real.addr);
        table.answered(NOW, claims);
        assert_eq!(table.nodes(), [claims]);
        // Another id at the same address: the old one is gone.
        let anew = NodeAddr { id: OURS.beside(2, &mut rng), addr: claims.addr };
        table.answered(NOW, anew);
        assert_eq!(table.nodes(), [anew]);
        table.answered(NOW, NodeAddr { id: OURS, addr: real.addr });
        assert_eq!(table.len(), 1, "never ourselves");
    }

    #[test]
    fn all_are_asked_in_turn_and_buckets_refreshed() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut table = RoutingTable::new(OURS, true);
        let nodes: Vec<NodeAddr> = (0..20).map(|n| node(&mut rng, n as usize % 3, n)).collect();
        nodes.iter().for_each(|node| table.answered(NOW, *node));
        assert_eq!(table.to_ask(NOW + QUIET / 2), None);
        let later = NOW + QUIET;
        let mut asked = Vec::new();
        while let Some(next) = table.to_ask(later) {
            table.asked(later, next.addr);
            asked.push(next);
            assert!(asked.len() <= nodes.len(), "nobody twice");
        }
        assert_eq!(asked.len(), nodes.len());
        let refreshed: Vec<usize> = std::iter::from_fn(|| table.next_refresh(later, &mut rng))
            .map(|id| id.shared_bits(&OURS))
            .take(9)
            .collect();
        assert_eq!(refreshed, [0], "one bucket is all there is yet");
        table.looked_for(later + QUIET, &OURS);
        assert_eq!(table.next_refresh(later + QUIET, &mut rng), None);
        // Restored ones are asked before all others.
        let old = node(&mut rng, 1, 99);
        table.restore(old);
        assert_eq!(table.to_ask(later), Some(old));
        assert!(!table.has_good() || table.len() == 21);
    }
}
