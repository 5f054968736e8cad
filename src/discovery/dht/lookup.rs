//! A lookup: nodes are asked for ever nearer ones, until the nearest that are there have answered (BEP 5).
//!
//! Some are asked at once. Who is slow does not hold the others up: another one is asked beside it. What a node says of nearer ones may be lies,
//! so one lookup asks so many nodes and no more, and of each network one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::node_id::{NodeAddr, NodeId};
use super::routing_table::K;
use crate::base::address::household;
use crate::base::time::Time;

/// Nodes that are remembered, the nearest.
const MAX_CANDIDATES: usize = 100;
/// Nodes that are asked.
const MAX_ASKED: usize = 150;
/// Whoever told of so many that are not there, and of none that is, made them up.
const MAX_MADE_UP: usize = 3;
/// Without an answer for so long a node is slow. Most answer in a fifth of it.
pub const SLOW: Duration = Duration::from_millis(1000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Asked(Time),
    Answered,
    Failed,
}

#[derive(Debug)]
struct Candidate {
    node: NodeAddr,
    state: State,
    token: Option<Vec<u8>>,
    /// Who told of it. None: we knew it ourselves.
    told_by: Option<SocketAddr>,
}

/// How nodes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupLimits {
    /// So many are asked at once.
    pub branching: usize,
    /// One node an address is asked.
    pub restrict_ips: bool,
}

#[derive(Debug)]
pub struct Lookup {
    target: NodeId,
    /// The nearest first.
    candidates: Vec<Candidate>,
    /// Nodes whose ids are not known. They are asked where no others are.
    entries: Vec<(SocketAddr, State)>,
    asked: usize,
}

impl Candidate {
    /// May it be one of the nearest?
    fn counts(&self, liars: &[SocketAddr]) -> bool {
        let is_made_up = || self.state != State::Answered && self.told_by.is_some_and(|by| liars.contains(&by));
        self.state != State::Failed && !is_made_up()
    }
}

impl Lookup {
    pub fn new(target: NodeId) -> Self {
        Self { target, candidates: Vec::new(), entries: Vec::new(), asked: 0 }
    }

    pub fn target(&self) -> NodeId {
        self.target
    }

    /// A node that we know.
    pub fn add(&mut self, node: NodeAddr, limits: &LookupLimits) {
        self.insert(node, None, limits);
    }

    /// A node that somebody told of.
    pub fn add_told(&mut self, node: NodeAddr, by: SocketAddr, limits: &LookupLimits) {
        self.insert(node, Some(by), limits);
    }

    fn insert(&mut self, node: NodeAddr, told_by: Option<SocketAddr>, limits: &LookupLimits) {
        let ip = node.addr.ip();
        let home = household(ip);
        let is_known = |known: SocketAddr| {
            known == node.addr || limits.restrict_ips && !ip.is_loopback() && household(known.ip()) == home
        };
        if self.candidates.iter().any(|c| c.node.id == node.id || is_known(c.node.addr)) {
            return;
        }
        let distance = node.id.distance(&self.target);
        let at = self.candidates.partition_point(|c| c.node.id.distance(&self.target) < distance);
        if at >= MAX_CANDIDATES {
            return;
        }
        // An entry told its id meanwhile, by somebody else.
        let asked = self.entries.iter().position(|(addr, _)| *addr == node.addr);
        let state = asked.map_or(State::Fresh, |at| self.entries.swap_remove(at).1);
        self.candidates.insert(at, Candidate { node, state, token: None, told_by });
        self.candidates.truncate(MAX_CANDIDATES);
    }

    /// A node to begin by, whose id is not known.
    pub fn add_entry(&mut self, addr: SocketAddr) {
        let is_known = self.candidates.iter().any(|c| c.node.addr == addr);
        if !is_known && self.entries.len() < MAX_CANDIDATES && self.entries.iter().all(|(known, _)| *known != addr) {
            self.entries.push((addr, State::Fresh));
        }
    }

    /// Who is to be asked now. It counts as asked.
    pub fn next(&mut self, now: Time, limits: &LookupLimits) -> Option<SocketAddr> {
        if self.asked >= MAX_ASKED {
            return None;
        }
        let is_busy = |state: &State| matches!(state, State::Asked(at) if now.since(*at) < SLOW);
        let busy = self.candidates.iter().filter(|c| is_busy(&c.state)).count()
            + self.entries.iter().filter(|(_, state)| is_busy(state)).count();
        if busy >= limits.branching {
            return None;
        }
        let answered = self.candidates.iter().filter(|c| c.state == State::Answered).count();
        let liars = self.liars(now);
        let mut near = self.candidates.iter_mut().filter(|c| c.counts(&liars)).take(K);
        let fresh = near.find(|c| c.state == State::Fresh).map(|c| (c.node.addr, &mut c.state));
        let entry =
            self.entries.iter_mut().find(|(_, state)| *state == State::Fresh).map(|(addr, state)| (*addr, state));
        // Until one has answered nobody knows which of them are there still.
        let by_turns = answered == 0 && self.asked % 2 == 1;
        let (addr, state) = match (fresh, entry.filter(|_| answered < K)) {
            (Some(_), Some(entry)) if by_turns => entry,
            (Some(fresh), _) => fresh,
            (None, entry) => entry?,
        };
        *state = State::Asked(now);
        self.asked += 1;
        Some(addr)
    }

    /// A node that was asked answered.
    pub fn answered(&mut self, node: NodeAddr, token: Option<Vec<u8>>, limits: &LookupLimits) {
        if let Some(at) = self.entries.iter().position(|(addr, _)| *addr == node.addr) {
            self.entries.swap_remove(at);
            self.add(node, limits);
        }
        let Some(at) = self.candidates.iter().position(|c| c.node.addr == node.addr) else { return };
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        if candidate.node.id != node.id {
            // It is not who somebody said that it was: it stands where it says itself.
            self.candidates.remove(at);
            self.add(node, limits);
        }
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.node == node) {
            candidate.state = State::Answered;
            candidate.token = token;
        }
    }

    pub fn failed(&mut self, addr: SocketAddr) {
        self.entries.retain(|(known, _)| *known != addr);
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.node.addr == addr) {
            candidate.state = State::Failed;
        }
    }

    /// Who told of nodes that are not there, and of none that is.
    fn liars(&self, now: Time) -> Vec<SocketAddr> {
        let mut told: HashMap<SocketAddr, (usize, bool)> = HashMap::new();
        for candidate in &self.candidates {
            let Some(by) = candidate.told_by else { continue };
            let (silent, answered) = told.entry(by).or_default();
            match candidate.state {
                State::Answered => *answered = true,
                State::Failed => *silent += 1,
                State::Asked(at) if now.since(at) >= SLOW => *silent += 1,
                State::Asked(_) | State::Fresh => {}
            }
        }
        let made_up = |told: &(usize, bool)| told.0 >= MAX_MADE_UP && !told.1;
        told.into_iter().filter(|(_, told)| made_up(told)).map(|(by, _)| by).collect()
    }

    /// The nearest have answered, or there is nobody left to ask.
    pub fn is_over(&self, now: Time) -> bool {
        let liars = self.liars(now);
        let waits = |state: &State| matches!(state, State::Asked(_));
        let asks = |state: &State| waits(state) || *state == State::Fresh && self.asked < MAX_ASKED;
        let mut near = self.candidates.iter().filter(|c| c.counts(&liars)).take(K);
        let near_answered = near.clone().count() >= K && near.all(|c| c.state == State::Answered);
        let left = || self.candidates.iter().any(|c| c.counts(&liars) && asks(&c.state));
        near_answered || !left() && !self.entries.iter().any(|(_, s)| asks(s))
    }

    /// When somebody becomes slow, if anybody may.
    pub fn due(&self, now: Time) -> Option<Time> {
        let states = self.candidates.iter().map(|c| &c.state).chain(self.entries.iter().map(|(_, state)| state));
        let slow = states.filter_map(|state| match state {
            State::Asked(at) => Some(*at + SLOW),
            _ => None,
        });
        slow.filter(|at| *at > now).min()
    }

    /// The nearest that answered, with what they want to be shown by who announces.
    pub fn nearest(&self) -> impl Iterator<Item = (NodeAddr, Option<&[u8]>)> {
        let answered = self.candidates.iter().filter(|c| c.state == State::Answered);
        answered.take(K).map(|c| (c.node, c.token.as_deref()))
    }

    pub fn has_answers(&self) -> bool {
        self.candidates.iter().any(|c| c.state == State::Answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: NodeId = NodeId([0; 20]);
    const NOW: Time = Time::BEGINNING;
    const LIMITS: LookupLimits = LookupLimits { branching: 3, restrict_ips: true };

    /// The larger the number, the farther away.
    fn node(n: u8) -> NodeAddr {
        NodeAddr { id: NodeId([n; 20]), addr: SocketAddr::from(([80, 0, 0, n], 1)) }
    }

    fn asked(lookup: &mut Lookup, now: Time) -> Vec<u8> {
        let number = |addr: SocketAddr| match addr.ip() {
            std::net::IpAddr::V4(v4) => v4.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        std::iter::from_fn(|| lookup.next(now, &LIMITS)).map(number).collect()
    }

    #[test]
    fn the_nearest_are_asked_few_at_once_until_they_have_answered() {
        let mut lookup = Lookup::new(TARGET);
        (1..=20).rev().for_each(|n| lookup.add(node(n * 10), &LIMITS));
        assert_eq!(asked(&mut lookup, NOW), [10, 20, 30]);
        lookup.answered(node(20), Some(b"t".to_vec()), &LIMITS);
        lookup.add(node(5), &LIMITS);
        assert_eq!(asked(&mut lookup, NOW), [5], "nearer than all");
        lookup.failed(node(10).addr);
        assert_eq!(asked(&mut lookup, NOW), [40]);
        assert_eq!(lookup.due(NOW), Some(NOW + SLOW));
        assert_eq!(asked(&mut lookup, NOW + SLOW), [50, 60, 70], "the others are slow");
        for n in [5, 30, 40, 50, 60, 70] {
            assert!(!lookup.is_over(NOW));
            lookup.answered(node(n), None, &LIMITS);
        }
        assert_eq!(asked(&mut lookup, NOW + SLOW), [80]);
        assert!(!lookup.is_over(NOW));
        lookup.answered(node(80), None, &LIMITS);
        assert!(lookup.is_over(NOW + SLOW) && asked(&mut lookup, NOW + SLOW).is_empty());
        let nearest: Vec<NodeAddr> = lookup.nearest().map(|(node, _)| node).collect();
        assert_eq!(nearest, [5, 20, 30, 40, 50, 60, 70, 80].map(node));
        assert_eq!(lookup.nearest().nth(1).and_then(|(_, token)| token), Some(&b"t"[..]));
    }

    #[test]
    fn nodes_without_ids_are_asked_where_there_are_no_others() {
        let mut lookup = Lookup::new(TARGET);
        assert!(lookup.is_over(NOW), "nobody to ask");
        lookup.add_entry(node(10).addr);
        lookup.add_entry(node(20).addr);
        lookup.add_entry(node(20).addr);
        assert!(!lookup.is_over(NOW));
        assert_eq!(asked(&mut lookup, NOW), [10, 20]);
        lookup.answered(node(10), None, &LIMITS);
        lookup.add(node(20), &LIMITS);
        assert_eq!(asked(&mut lookup, NOW), [] as [u8; 0], "it was asked by its address");
        lookup.failed(node(20).addr);
        assert!(lookup.is_over(NOW) && lookup.has_answers());
    }

    #[test]
    fn liars_do_not_make_it_endless() {
        let mut lookup = Lookup::new(TARGET);
        let mut n = 0u32;
        let mut rng = fastrand::Rng::with_seed(1);
        let mut made_up = || {
            n += 1;
            let mut id = NodeId::random(&mut rng).0;
            id[..4].fill(0);
            NodeAddr { id: NodeId(id), addr: SocketAddr::from((std::net::Ipv4Addr::from(n << 8), 1)) }
        };
        let mut asked = 0;
        lookup.add(made_up(), &LIMITS);
        while let Some(addr) = lookup.next(NOW, &LIMITS) {
            let known = lookup.candidates.iter().find(|c| c.node.addr == addr).map(|c| c.node).expect("known");
            lookup.answered(known, None, &LIMITS);
            (0..8).for_each(|_| lookup.add(made_up(), &LIMITS));
            asked += 1;
        }
        assert!(asked <= MAX_ASKED && lookup.is_over(NOW) && lookup.candidates.len() <= MAX_CANDIDATES, "{asked}");
        // All of one host are one.
        let mut crowd = Lookup::new(TARGET);
        for port in 1..100 {
            crowd.add(NodeAddr { id: NodeId([port as u8; 20]), addr: SocketAddr::from(([9, 9, 9, 9], port)) }, &LIMITS);
        }
        assert_eq!(crowd.candidates.len(), 1);
    }

    /// What one made up is left alone after three tries; what others told is asked.
    #[test]
    fn who_makes_nodes_up_is_not_believed_for_long() {
        let mut lookup = Lookup::new(TARGET);
        let (liar, honest) = (node(200).addr, node(201).addr);
        (1..=20).for_each(|n| lookup.add_told(node(n), liar, &LIMITS));
        (30..=40).for_each(|n| lookup.add_told(node(n), honest, &LIMITS));
        assert_eq!(asked(&mut lookup, NOW), [1, 2, 3]);
        assert_eq!(asked(&mut lookup, NOW + SLOW), [30, 31, 32]);
        lookup.answered(node(2), None, &LIMITS);
        assert_eq!(asked(&mut lookup, NOW + SLOW), [] as [u8; 0]);
        lookup.answered(node(30), None, &LIMITS);
        assert_eq!(asked(&mut lookup, NOW + SLOW), [4], "one of them is there");
    }

    #[test]
    fn who_has_another_id_than_was_said_stands_there() {
        let mut lookup = Lookup::new(TARGET);
        lookup.add(node(1), &LIMITS);
        assert_eq!(asked(&mut lookup, NOW), [1]);
        let real = NodeAddr { id: NodeId([0x77; 20]), ..node(1) };
        lookup.answered(real, None, &LIMITS);
        assert_eq!(lookup.nearest().map(|(node, _)| node).collect::<Vec<_>>(), [real]);
    }
}
