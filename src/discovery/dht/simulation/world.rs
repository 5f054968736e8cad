//! A network of nodes on a simulated clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::base::time::Time;
use crate::discovery::dht::krpc::{self, Body, Message, Query, Reply};
use crate::discovery::dht::lookup::LookupLimits;
use crate::discovery::dht::node::{Announcement, Event, Node, NodeConfig, SearchId, To};
use crate::discovery::dht::node_id::{NodeAddr, NodeId};
use crate::discovery::dht::peer_store::StoreLimits;
use crate::discovery::dht::state::DhtState;
use crate::metainfo::info_hash::Sha1Hash;

pub const CONFIG: NodeConfig = NodeConfig {
    lookups: LookupLimits { branching: 5, restrict_ips: true },
    restrict_routing_ips: true,
    enforce_node_id: false,
    read_only: false,
    upload_rate: 8000,
    block_rate: 5,
    store: StoreLimits { torrents: 2000, peers: 500 },
};
pub const SECOND: Duration = Duration::from_secs(1);

pub enum Member {
    Honest(Box<Node>),
    /// Tells of nodes that are nowhere, as near as can be, and of peers that are none.
    Liar(NodeId),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    Packet { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Wake(SocketAddr),
}

pub struct World {
    pub now: Time,
    pub rng: fastrand::Rng,
    pub members: HashMap<SocketAddr, Member>,
    pub wakes: HashMap<SocketAddr, Time>,
    pub queue: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    pub count: u64,
    pub loss: f64,
    /// Nobody reaches anybody.
    pub cut: bool,
    pub found: HashMap<SearchId, Vec<(Time, SocketAddr)>>,
    pub over: Vec<(Time, SocketAddr, SearchId)>,
    pub events: HashMap<SocketAddr, Vec<Event>>,
    pub packets: u64,
}

pub fn address(n: u32) -> SocketAddr {
    // A network each, none of them private.
    SocketAddr::from((Ipv4Addr::from(0x5000_0001 + (n << 8)), 6881))
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Time::BEGINNING,
            rng: fastrand::Rng::with_seed(seed),
            members: HashMap::new(),
            wakes: HashMap::new(),
            queue: BinaryHeap::new(),
            count: 0,
            loss: 0.0,
            cut: false,
            found: HashMap::new(),
            over: Vec::new(),
            events: HashMap::new(),
            packets: 0,
        }
    }

    pub fn push(&mut self, at: Time, what: Happening) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count, what)));
    }

    pub fn join(&mut self, at: SocketAddr, state: Option<DhtState>, routers: &[SocketAddr]) {
        let state = state.unwrap_or_else(|| DhtState::fresh(&mut self.rng));
        let mut key = [0; 20];
        self.rng.fill(&mut key);
        let mut node = Node::new(self.now, CONFIG, &state, key, self.rng.fork());
        node.set_families(self.now, true, false);
        node.set_routers(self.now, routers.to_vec(), Vec::new());
        self.members.insert(at, Member::Honest(Box::new(node)));
        self.flush(at);
    }

    pub fn node(&mut self, at: SocketAddr) -> &mut Node {
        match self.members.get_mut(&at) {
            Some(Member::Honest(node)) => node,
            _ => panic!("no honest node at {at}"),
        }
    }

    pub fn search(&mut self, at: SocketAddr, hash: Sha1Hash, announcement: Option<Announcement>) -> SearchId {
        let now = self.now;
        let search = self.node(at).search(now, hash, announcement);
        self.flush(at);
        search
    }

    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.packets += 1;
        if self.cut || self.rng.f64() < self.loss {
            return;
        }
        let delay = Duration::from_millis(self.rng.u64(10..100));
        self.push(self.now + delay, Happening::Packet { from, to, bytes });
    }

    /// The transaction of the first query that is under way.
    pub fn transaction(&self) -> Vec<u8> {
        let packets = self.queue.iter().filter_map(|Reverse((.., what))| match what {
            Happening::Packet { bytes, .. } => Message::parse(bytes),
            Happening::Wake(_) => None,
        });
        packets.map(|message| message.transaction).next().expect("a query")
    }

    pub fn flush(&mut self, at: SocketAddr) {
        let now = self.now;
        let Some(Member::Honest(node)) = self.members.get_mut(&at) else { return };
        let output = node.take_output();
        let due = node.due(now).max(now + Duration::from_millis(1));
        for (to, bytes) in output.packets {
            if let To::Address(to) = to {
                self.send(at, to, bytes);
            }
        }
        for event in output.events {
            match event {
                Event::Peers { search, peers } => {
                    self.found.entry(search).or_default().extend(peers.into_iter().map(|peer| (now, peer)));
                }
                Event::SearchOver { search } => self.over.push((now, at, search)),
                event => self.events.entry(at).or_default().push(event),
            }
        }
        if self.wakes.get(&at).is_none_or(|wake| *wake <= now || *wake > due) {
            self.wakes.insert(at, due);
            self.push(due, Happening::Wake(at));
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Some(Reverse((at, _, what))) = self.queue.pop() else { break };
            self.now = at;
            match what {
                Happening::Wake(who) => {
                    if self.wakes.get(&who) == Some(&at) {
                        self.wakes.remove(&who);
                        if let Some(Member::Honest(node)) = self.members.get_mut(&who) {
                            node.keep_time(at);
                        }
                        self.flush(who);
                    }
                }
                Happening::Packet { from, to, bytes } => {
                    let answer = match self.members.get_mut(&to) {
                        Some(Member::Honest(node)) => node.hear(at, from, &bytes),
                        Some(Member::Liar(id)) => lie(*id, from, &bytes, &mut self.rng),
                        None => None,
                    };
                    if let Some(answer) = answer {
                        self.send(to, from, answer);
                    }
                    self.flush(to);
                }
            }
        }
        self.now = end;
    }

    /// A network of so many, of whom some lie; they come within ten minutes, by the first few.
    pub fn network(&mut self, members: u32, liars: f64) -> Vec<SocketAddr> {
        let routers: Vec<SocketAddr> = (0..3).map(address).collect();
        let mut honest = Vec::new();
        for n in 0..members {
            let at = address(n);
            if n >= 3 && self.rng.f64() < liars {
                let id = NodeId::random(&mut self.rng);
                self.members.insert(at, Member::Liar(id));
            } else {
                self.join(at, None, &routers);
                honest.push(at);
            }
            self.run(Duration::from_secs(600) / members);
        }
        honest
    }
}

fn lie(id: NodeId, from: SocketAddr, packet: &[u8], rng: &mut fastrand::Rng) -> Option<Vec<u8>> {
    let message = Message::parse(packet)?;
    let Body::Query { query, .. } = message.body else { return None };
    let near = |target: NodeId, rng: &mut fastrand::Rng| -> Vec<NodeAddr> {
        let at = |rng: &mut fastrand::Rng| address(rng.u32(100_000..200_000));
        (0..8).map(|_| NodeAddr { id: target.beside(rng.usize(20..60), rng), addr: at(rng) }).collect()
    };
    let reply = match query {
        Query::Ping | Query::Announce(_) => Reply::default(),
        Query::FindNode(target) | Query::About(target) => Reply { nodes: near(target, rng), ..Reply::default() },
        Query::GetPeers { info_hash, .. } => Reply {
            nodes: near(NodeId(info_hash.0), rng),
            peers: vec![address(rng.u32(200_000..300_000))],
            token: Some(b"lie".to_vec()),
            filters: None,
        },
    };
    Some(krpc::encode_reply(&message.transaction, id, from, &reply))
}
