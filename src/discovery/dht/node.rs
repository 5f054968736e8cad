//! A DHT node (BEP 5) of both address families (BEP 32): what it knows, asks and answers. Pure: no sockets, no clock.
//!
//! Packets are given to [`Node::hear`], time to [`Node::keep_time`]; what is to be sent and told is taken by [`Node::take_output`]. The one lives
//! in `service.rs`, a thousand in `simulation.rs`.

mod answers;
mod lookups;
mod queries;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::queries::PATIENCE;
use super::chance::Chance;
use super::flood_guard::{FloodGuard, SendQuota};
use super::krpc::{Body, Message, Query, Transaction};
use super::lookup::{Lookup, LookupLimits};
use super::node_id::{NodeAddr, NodeId};
use super::peer_store::{PeerStore, StoreLimits};
use super::routing_table::RoutingTable;
use super::state::DhtState;
use super::tokens::Tokens;
use crate::base::time::Time;
use crate::metainfo::info_hash::Sha1Hash;
use crate::wire::compact;

/// Between looks at who is to be asked and what to be forgotten.
const CHORES: Duration = Duration::from_secs(5);
/// Where no node answers the way in is tried again, ever more rarely, and for ever.
const BOOTSTRAP_MIN: Duration = Duration::from_secs(1);
/// Nodes that others told of, and that are asked with each look.
const HEARD_ASKED: usize = 5;
/// Nodes named by address, at once: of each the first is as good as the next.
const MAX_ENTRIES: usize = 64;

/// Who has just come looks so often for something anywhere, with each look at what is to be done, until it knows so many.
const FILLING: u8 = 12;
const FULL: usize = 64;

/// What the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    pub lookups: LookupLimits,
    pub restrict_routing_ips: bool,
    pub enforce_node_id: bool,
    /// Answers nobody, and asks to be put into nobody's table (BEP 43).
    pub read_only: bool,
    /// Bytes a second.
    pub upload_rate: u64,
    /// Queries a second that are answered of one address.
    pub block_rate: u32,
    pub store: StoreLimits,
}

/// Who is told of us where a search ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    pub port: u16,
    /// Nodes may take the port that our packets come from for it: behind a NAT that is the one.
    pub implied_port: bool,
    pub seed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    Address(SocketAddr),
    /// The proxy looks it up.
    Name(String, u16),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A search found peers it had not found yet.
    Peers { search: SearchId, peers: Vec<SocketAddr> },
    /// All lookups of a search are over.
    SearchOver { search: SearchId },
    /// The first node answered.
    Bootstrapped,
    /// No node answers: those to begin by may be elsewhere now.
    Lost,
    /// A node sees us there.
    OurIp { by: IpAddr, ip: IpAddr },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchId(u64);

#[derive(Debug, Default)]
pub struct Output {
    pub packets: Vec<(To, Vec<u8>)>,
    pub events: Vec<Event>,
}

/// What is of one address family.
#[derive(Debug)]
struct Family {
    enabled: bool,
    table: RoutingTable,
    /// Nodes that others told of, and that may enter the table.
    heard: Vec<NodeAddr>,
    /// Lookups that are still to fill the table.
    to_fill: u8,
    /// When a node answered last.
    last_heard: Time,
    /// Nobody has answered since we asked last: there is no way out, or none back.
    cut_off: bool,
    /// Who did not answer when nobody did, until it is known whose fault that was.
    suspects: Vec<(SocketAddr, Time)>,
    /// The way in is tried then, if no node answers.
    bootstrap_at: Time,
    bootstrap_pause: Duration,
}

#[derive(Debug)]
struct Search {
    info_hash: Sha1Hash,
    announcement: Option<Announcement>,
    found: HashSet<SocketAddr>,
    /// Lookups that go on or are still to begin.
    left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To know the nodes there.
    Table,
    Search(SearchId),
}

#[derive(Debug)]
struct Waiting {
    search: SearchId,
    v6: bool,
    /// It was tried, and nobody answered: it begins again when somebody does.
    lost: bool,
}

#[derive(Debug)]
struct Running {
    v6: bool,
    purpose: Purpose,
    lookup: Lookup,
}

#[derive(Debug)]
struct Pending {
    /// None: only the proxy knows.
    to: Option<SocketAddr>,
    since: Time,
    lookup: Option<u64>,
}

#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    rng: fastrand::Rng,
    chance: Chance,
    families: [Family; 2],
    pending: HashMap<Transaction, Pending>,
    lookups: BTreeMap<u64, Running>,
    searches: BTreeMap<SearchId, Search>,
    /// Lookups of searches that wait for their turn, or for a node.
    waiting: Vec<Waiting>,
    last_id: u64,
    /// Nodes to begin by: addresses, and names for the proxy.
    routers: Vec<SocketAddr>,
    named_routers: Vec<(String, u16)>,
    store: PeerStore,
    tokens: Tokens,
    guard: FloodGuard,
    quota: SendQuota,
    chores_at: Time,
    was_bootstrapped: bool,
    output: Output,
}

impl Family {
    /// Nobody is known who answers.
    fn is_lost(&self) -> bool {
        self.cut_off || !self.table.has_good()
    }
}

impl Node {
    /// `key`: nobody else knows it.
    pub fn new(now: Time, config: NodeConfig, state: &DhtState, key: [u8; 20], rng: fastrand::Rng) -> Self {
        let mut chance = Chance::new(key);
        let family = |v6: bool| {
            let id = if v6 { state.id6 } else { state.id4 };
            let mut table = RoutingTable::new(id, config.restrict_routing_ips);
            state.nodes.iter().filter(|node| node.addr.is_ipv6() == v6).for_each(|node| table.restore(*node));
            Family {
                enabled: false,
                table,
                heard: Vec::new(),
                to_fill: 0,
                last_heard: now,
                cut_off: false,
                suspects: Vec::new(),
                bootstrap_at: now,
                bootstrap_pause: BOOTSTRAP_MIN,
            }
        };
        Self {
            rng,
            families: [family(false), family(true)],
            pending: HashMap::new(),
            lookups: BTreeMap::new(),
            searches: BTreeMap::new(),
            waiting: Vec::new(),
            last_id: 0,
            routers: Vec::new(),
            named_routers: Vec::new(),
            store: PeerStore::default(),
            tokens: Tokens::new(now, &mut chance),
            guard: FloodGuard::default(),
            quota: SendQuota::new(now),
            chores_at: now + CHORES,
            was_bootstrapped: false,
            output: Output::default(),
            chance,
            config,
        }
    }

    pub fn set_config(&mut self, config: NodeConfig) {
        self.families.iter_mut().for_each(|family| family.table.restrict_ips(config.restrict_routing_ips));
        self.config = config;
    }

    /// The families that packets go by.
    pub fn set_families(&mut self, now: Time, v4: bool, v6: bool) {
        for (family, enabled) in self.families.iter_mut().zip([v4, v6]) {
            if enabled && !family.enabled {
                (family.bootstrap_at, family.bootstrap_pause) = (now, BOOTSTRAP_MIN);
            }
            family.enabled = enabled;
        }
        self.keep_time(now);
    }

    /// Nodes to begin by, where others are not known or do not answer.
    pub fn set_routers(&mut self, now: Time, addresses: Vec<SocketAddr>, names: Vec<(String, u16)>) {
        let is_new = |addr: &SocketAddr| !self.routers.contains(addr);
        let new = [false, true].map(|v6| addresses.iter().any(|addr| addr.is_ipv6() == v6 && is_new(addr)));
        let new_names = self.named_routers != names;
        self.routers = addresses;
        self.routers.truncate(MAX_ENTRIES);
        self.named_routers = names;
        self.named_routers.truncate(MAX_ENTRIES);
        for (v6, is_new) in [(false, new[0]), (true, new[1])] {
            let family = self.family(v6);
            if is_new && family.enabled && family.is_lost() {
                self.enter(now, v6);
            }
        }
        if new_names && self.family(false).is_lost() {
            self.ask_named_routers(now);
        }
        self.begin_waiting(now);
    }

    /// The world sees us there. Where our id may not stand there, we take another.
    pub fn set_external_ip(&mut self, now: Time, ip: IpAddr) {
        let v6 = ip.is_ipv6();
        if self.family(v6).table.id().fits(ip) {
            return;
        }
        let id = NodeId::of_address(ip, &mut self.rng);
        let family = self.family_mut(v6);
        family.table = family.table.moved(id);
        if family.enabled {
            self.look_up(now, v6, id, Purpose::Table);
        }
    }

    /// A node that somebody names. It is asked for its id.
    pub fn add_node(&mut self, now: Time, addr: SocketAddr) {
        let family = self.family(addr.is_ipv6());
        // Where nobody answers it may be there again.
        let knows = !family.is_lost() && family.table.nodes().iter().any(|node| node.addr == addr);
        if compact::is_usable(&addr) && !knows {
            self.ping(now, addr);
        }
    }

    pub fn add_named_node(&mut self, now: Time, name: String, port: u16) {
        let id = self.family(false).table.id();
        self.ask(now, To::Name(name, port), id, &Query::FindNode(id), None);
    }

    /// Nodes in both tables.
    pub fn node_count(&self) -> usize {
        self.families.iter().map(|family| family.table.len()).sum()
    }

    /// Ids and nodes, for another time.
    pub fn state(&self) -> DhtState {
        let [v4, v6] = &self.families;
        let nodes = [v4, v6].into_iter().flat_map(|family| family.table.nodes()).collect();
        DhtState { id4: v4.table.id(), id6: v6.table.id(), nodes }
    }

    /// Torrents and peers that others announced.
    #[cfg(test)]
    pub fn stored(&self) -> (usize, usize) {
        self.store.counts()
    }

    #[cfg(test)]
    pub fn closest(&self, target: &NodeId) -> Vec<NodeAddr> {
        self.family(false).table.closest(target, super::routing_table::K)
    }

    pub fn has_output(&self) -> bool {
        !self.output.packets.is_empty() || !self.output.events.is_empty()
    }

    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// When [`Self::keep_time`] is to be called next, whatever happens until then.
    pub fn due(&self, now: Time) -> Time {
        let lookups = self.lookups.values().filter_map(|running| running.lookup.due(now));
        let pending = self.pending.values().map(|pending| pending.since + PATIENCE);
        let bootstraps = self.families.iter().filter(|f| f.enabled && f.is_lost()).map(|f| f.bootstrap_at);
        lookups.chain(pending).chain(bootstraps).fold(self.chores_at, Time::min)
    }

    pub fn keep_time(&mut self, now: Time) {
        self.give_up_on_silent(now);
        if now >= self.chores_at {
            self.chores_at = now + CHORES;
            self.do_chores(now);
        }
        for v6 in [false, true] {
            self.bootstrap(now, v6);
        }
        self.go_on_with_all(now);
        self.begin_waiting(now);
    }

    /// A packet came. What is to be answered, at once and by the way that it came.
    pub fn hear(&mut self, now: Time, from: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        let is_heard = self.family(from.is_ipv6()).enabled && compact::is_usable(&from);
        if !is_heard || self.guard.is_blocked(now, from.ip()) {
            return None;
        }
        let Message { transaction, body } = Message::parse(packet)?;
        match body {
            Body::Reply { id, reply, our_ip } => {
                self.hear_reply(now, from, &transaction, id, reply, our_ip);
                None
            }
            Body::Error => {
                // It is there, and does not want to.
                if let Some(pending) = self.take_pending(from, &transaction) {
                    self.has_heard(now, from.is_ipv6());
                    self.has_failed(now, from, pending.lookup, false);
                }
                None
            }
            Body::Query { .. } | Body::BadQuery(..) => {
                let admitted = !self.config.read_only
                    && self.guard.admits(now, from.ip(), self.config.block_rate)
                    && self.quota.has_some(now, self.config.upload_rate);
                let answer = admitted.then(|| self.answer(now, from, &transaction, body))?;
                self.quota.spend(answer.len());
                Some(answer)
            }
        }
    }

    fn do_chores(&mut self, now: Time) {
        self.store.forget_old(now);
        for v6 in [false, true] {
            if !self.family(v6).enabled {
                continue;
            }
            for _ in 0..3 {
                if let Some(node) = self.family(v6).table.to_ask(now) {
                    self.ping(now, node.addr);
                }
            }
            for node in std::iter::from_fn(|| self.family_mut(v6).heard.pop()).take(HEARD_ASKED).collect::<Vec<_>>() {
                // It shows by an answer that it is there.
                if self.family(v6).table.wants(&node) {
                    self.ping(now, node.addr);
                }
            }
            let family = self.family_mut(v6);
            if family.to_fill > 0 {
                family.to_fill -= 1;
                if family.table.len() < FULL {
                    let target = NodeId::random(&mut self.rng);
                    self.look_up(now, v6, target, Purpose::Table);
                }
            }
            let Self { families, rng, .. } = self;
            let target = families.get_mut(usize::from(v6)).and_then(|family| family.table.next_refresh(now, rng));
            if let Some(target) = target.filter(|_| !self.family(v6).is_lost()) {
                self.look_up(now, v6, target, Purpose::Table);
            }
        }
    }

    fn family(&self, v6: bool) -> &Family {
        &self.families[usize::from(v6)]
    }

    fn family_mut(&mut self, v6: bool) -> &mut Family {
        &mut self.families[usize::from(v6)]
    }
}
