//! A DHT node (BEP 5) of both address families (BEP 32): what it knows, asks and answers. Pure: no sockets, no clock.
//!
//! Packets are given to [`Node::hear`], time to [`Node::keep_time`]; what is to be sent and told is taken by [`Node::take_output`]. The one lives
//! in `service.rs`, a thousand in `simulation.rs`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::chance::Chance;
use super::flood_guard::{FloodGuard, SendQuota};
use super::krpc::{self, Announce, Body, Message, PROTOCOL_ERROR, Query, Reply, TRANSACTION_BYTES, Transaction, Want};
use super::lookup::{Lookup, LookupLimits};
use super::node_id::{NodeAddr, NodeId};
use super::peer_store::{PeerStore, StoreLimits};
use super::routing_table::{K, RoutingTable};
use super::state::DhtState;
use super::tokens::Tokens;
use crate::base::time::Time;
use crate::metainfo::info_hash::Sha1Hash;
use crate::wire::compact;

/// Who has not answered until then does not.
const PATIENCE: Duration = Duration::from_secs(6);
/// Queries that wait for an answer. With as many, no more are sent.
const MAX_PENDING: usize = 1024;
/// Lookups at once for the sake of searches, of each family. Others wait.
const MAX_LOOKUPS: usize = 32;
/// Between looks at who is to be asked and what to be forgotten.
const CHORES: Duration = Duration::from_secs(5);
/// Where no node answers the way in is tried again, ever more rarely, and for ever.
const BOOTSTRAP_MIN: Duration = Duration::from_secs(1);
const BOOTSTRAP_MAX: Duration = Duration::from_secs(60);
/// Others answer so soon after one did not: it was its fault.
const SUSPECTED: Duration = Duration::from_secs(5);
/// Nodes that a lookup begins by.
const FIRST_CANDIDATES: usize = 50;
/// Of one search.
const MAX_PEERS: usize = 5000;
/// Nodes that others told of and that would be of use, as many as are remembered, and are asked with each look.
const MAX_HEARD: usize = 64;
const HEARD_ASKED: usize = 5;
/// Who has just come looks so often for something anywhere, with each look, until it knows so many.
const FILLING: u8 = 12;
const FULL: usize = 64;
/// Nodes named by address, at once: of each the first is as good as the next.
const MAX_ENTRIES: usize = 64;

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
        let knows = self.family(addr.is_ipv6()).table.nodes().iter().any(|node| node.addr == addr);
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
    pub fn stored(&self) -> (usize, usize) {
        self.store.counts()
    }

    #[cfg(test)]
    pub fn closest(&self, target: &NodeId) -> Vec<NodeAddr> {
        self.family(false).table.closest(target, K)
    }

    /// Looks for a torrent's peers, once. With an announcement the nodes nearest to it are told of us.
    pub fn search(&mut self, now: Time, info_hash: Sha1Hash, announcement: Option<Announcement>) -> SearchId {
        self.last_id += 1;
        let id = SearchId(self.last_id);
        self.searches.insert(id, Search { info_hash, announcement, found: HashSet::new(), left: 0 });
        for v6 in [false, true] {
            if self.family(v6).enabled {
                self.waiting.push(Waiting { search: id, v6, lost: false });
                self.searches.entry(id).and_modify(|search| search.left += 1);
            }
        }
        self.begin_waiting(now);
        id
    }

    pub fn stop_search(&mut self, now: Time, search: SearchId) {
        self.searches.remove(&search);
        self.waiting.retain(|waiting| waiting.search != search);
        self.lookups.retain(|_, running| running.purpose != Purpose::Search(search));
        self.begin_waiting(now);
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
        let running: Vec<u64> = self.lookups.keys().copied().collect();
        running.into_iter().for_each(|lookup| self.go_on(now, lookup));
        self.begin_waiting(now);
    }

    /// A packet came. What is to be answered, at once and by the way that it came.
    pub fn hear(&mut self, now: Time, from: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        if !self.family(from.is_ipv6()).enabled || !compact::is_usable(&from) {
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

    fn answer(&mut self, now: Time, from: SocketAddr, transaction: &[u8], body: Body) -> Vec<u8> {
        let refused = |code, why| krpc::encode_error(transaction, code, why);
        let (id, read_only, want, query) = match body {
            Body::Query { id, read_only, want, query } => (id, read_only, want, query),
            Body::BadQuery(code, why) => return refused(code, why),
            Body::Reply { .. } | Body::Error => return refused(PROTOCOL_ERROR, "no query"),
        };
        if self.config.enforce_node_id && !id.fits(from.ip()) {
            return refused(PROTOCOL_ERROR, "this id is not one of your address");
        }
        let v6 = from.is_ipv6();
        let mut reply = Reply::default();
        match query {
            Query::Ping => {}
            Query::FindNode(target) | Query::About(target) => reply.nodes = self.nodes_near(&target, want, v6),
            Query::GetPeers { info_hash, scrape } => {
                reply.nodes = self.nodes_near(&NodeId(info_hash.0), want, v6);
                reply.peers = self.store.peers(info_hash, v6, &mut self.rng);
                reply.token = Some(self.tokens.token(now, from.ip(), &mut self.chance));
                if scrape {
                    reply.filters = self.store.filters(info_hash);
                }
            }
            Query::Announce(Announce { info_hash, port, implied_port, seed, token }) => {
                if !self.tokens.is_good(now, from.ip(), &token, &mut self.chance) {
                    return refused(PROTOCOL_ERROR, "not the token that you were given");
                }
                let peer = SocketAddr::new(from.ip(), if implied_port { from.port() } else { port });
                if !compact::is_usable(&peer) {
                    return refused(PROTOCOL_ERROR, "no port that one could be reached at");
                }
                self.store.announce(now, &self.config.store, info_hash, peer, seed);
            }
        }
        let answer = krpc::encode_reply(transaction, self.family(v6).table.id(), from, &reply);
        let node = NodeAddr { id, addr: from };
        if !read_only && self.family(v6).table.wants(&node) {
            // It shows by an answer that it is there, and may be told to others.
            self.ping(now, from);
        }
        answer
    }

    fn nodes_near(&self, target: &NodeId, want: Want, v6: bool) -> Vec<NodeAddr> {
        let unsaid = !want.v4 && !want.v6;
        let families = [(false, want.v4 || unsaid && !v6), (true, want.v6 || unsaid && v6)];
        let wanted = families.into_iter().filter(|(v6, wanted)| *wanted && self.family(*v6).enabled);
        wanted.flat_map(|(v6, _)| self.family(v6).table.closest(target, K)).collect()
    }

    fn hear_reply(
        &mut self,
        now: Time,
        from: SocketAddr,
        transaction: &[u8],
        id: NodeId,
        reply: Reply,
        our_ip: Option<IpAddr>,
    ) {
        let Some(pending) = self.take_pending(from, transaction) else { return };
        let was_lost = self.has_heard(now, from.is_ipv6());
        if self.config.enforce_node_id && !id.fits(from.ip()) {
            return self.has_failed(now, from, pending.lookup, true);
        }
        if let Some(ip) = our_ip {
            self.output.events.push(Event::OurIp { by: from.ip(), ip });
        }
        let v6 = from.is_ipv6();
        let node = NodeAddr { id, addr: from };
        let is_router = self.routers.contains(&from);
        let family = self.family_mut(v6);
        // Those that everybody begins by have enough to do.
        if !is_router || family.table.len() < K {
            family.table.answered(now, node);
        }
        if was_lost && !self.family(v6).is_lost() {
            self.is_found(now, v6);
        }
        self.hear_of_others(now, v6, &reply.nodes);
        let family = self.family_mut(v6);
        for node in reply.nodes.iter().filter(|node| node.addr.is_ipv6() == v6) {
            if family.heard.len() < MAX_HEARD && family.table.wants(node) && !family.heard.contains(node) {
                family.heard.push(*node);
            }
        }
        let limits = self.config.lookups;
        if let Some(running) = pending.lookup.and_then(|lookup| self.lookups.get_mut(&lookup)) {
            let of_family = reply.nodes.iter().filter(|node| node.addr.is_ipv6() == v6);
            of_family.for_each(|node| running.lookup.add_told(*node, from, &limits));
            running.lookup.answered(node, reply.token, &limits);
            if let Purpose::Search(search) = running.purpose {
                self.found(search, reply.peers);
            }
        }
        if let Some(lookup) = pending.lookup {
            self.go_on(now, lookup);
        }
    }

    /// Somebody answers. Did nobody before?
    fn has_heard(&mut self, now: Time, v6: bool) -> bool {
        let family = self.family_mut(v6);
        let was_lost = family.is_lost();
        (family.last_heard, family.cut_off) = (now, false);
        for (addr, since) in std::mem::take(&mut family.suspects) {
            if now.since(since) < SUSPECTED {
                family.table.failed(addr);
            }
        }
        was_lost
    }

    /// The first node answers, or the first one again.
    fn is_found(&mut self, now: Time, v6: bool) {
        let family = self.family_mut(v6);
        family.bootstrap_pause = BOOTSTRAP_MIN;
        family.to_fill = FILLING;
        let id = family.table.id();
        if !std::mem::replace(&mut self.was_bootstrapped, true) {
            self.output.events.push(Event::Bootstrapped);
        }
        let is_looked_for = |running: &Running| running.v6 == v6 && running.lookup.target() == id;
        if !self.lookups.values().any(is_looked_for) {
            self.look_up(now, v6, id, Purpose::Table);
        }
        self.begin_waiting(now);
    }

    /// Nodes of the other family are asked while few are known there.
    fn hear_of_others(&mut self, now: Time, v6: bool, nodes: &[NodeAddr]) {
        let other = self.family(!v6);
        if !other.enabled || other.table.len() >= K {
            return;
        }
        let of_other = nodes.iter().filter(|node| node.addr.is_ipv6() != v6 && other.table.wants(node));
        let asked: Vec<SocketAddr> = of_other.map(|node| node.addr).take(2).collect();
        asked.into_iter().for_each(|addr| self.ping(now, addr));
    }

    fn found(&mut self, search: SearchId, peers: Vec<SocketAddr>) {
        let Some(Search { found, .. }) = self.searches.get_mut(&search) else { return };
        let is_new = |peer: &SocketAddr| found.len() < MAX_PEERS && found.insert(*peer);
        let peers: Vec<SocketAddr> = peers.into_iter().filter(is_new).collect();
        if !peers.is_empty() {
            self.output.events.push(Event::Peers { search, peers });
        }
    }

    /// The query that this answers, if it does.
    fn take_pending(&mut self, from: SocketAddr, transaction: &[u8]) -> Option<Pending> {
        let transaction: Transaction = transaction.try_into().ok()?;
        let is_of = |pending: &Pending| pending.to.is_none_or(|to| to == from);
        self.pending.get(&transaction).is_some_and(is_of).then(|| self.pending.remove(&transaction))?
    }

    fn give_up_on_silent(&mut self, now: Time) {
        let silent = |pending: &Pending| now.since(pending.since) >= PATIENCE;
        let given_up: Vec<Pending> =
            self.pending.extract_if(|_, pending| silent(pending)).map(|(_, pending)| pending).collect();
        for pending in given_up {
            let Some(to) = pending.to else { continue };
            // Where nobody is heard the fault is not each one's.
            let family = self.family_mut(to.is_ipv6());
            let is_its = family.last_heard >= pending.since;
            if !is_its && family.suspects.len() < MAX_ENTRIES {
                family.suspects.push((to, now));
            }
            if !is_its && !family.cut_off && family.table.has_good() {
                family.cut_off = true;
                (family.bootstrap_at, family.bootstrap_pause) = (now, BOOTSTRAP_MIN);
            }
            self.has_failed(now, to, pending.lookup, is_its);
        }
    }

    fn has_failed(&mut self, now: Time, addr: SocketAddr, lookup: Option<u64>, counts: bool) {
        if counts {
            self.family_mut(addr.is_ipv6()).table.failed(addr);
        }
        if let Some(lookup) = lookup {
            if let Some(running) = self.lookups.get_mut(&lookup) {
                running.lookup.failed(addr);
            }
            self.go_on(now, lookup);
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

    /// Tries the way in, where no node answers and it is time.
    fn bootstrap(&mut self, now: Time, v6: bool) {
        let family = self.family_mut(v6);
        if !family.enabled || !family.is_lost() || now < family.bootstrap_at {
            return;
        }
        family.bootstrap_at = now + family.bootstrap_pause;
        if family.bootstrap_pause > BOOTSTRAP_MIN {
            // Not at once: the names are being looked up.
            self.output.events.push(Event::Lost);
        }
        let family = self.family_mut(v6);
        family.bootstrap_pause = (family.bootstrap_pause * 2).min(BOOTSTRAP_MAX);
        self.enter(now, v6);
        if !v6 {
            self.ask_named_routers(now);
        }
    }

    /// Looks for the nodes nearest to us, by all that is known.
    fn enter(&mut self, now: Time, v6: bool) {
        let id = self.family(v6).table.id();
        self.lookups.retain(|_, running| running.v6 != v6 || running.lookup.target() != id);
        self.look_up(now, v6, id, Purpose::Table);
    }

    fn ask_named_routers(&mut self, now: Time) {
        for (name, port) in self.named_routers.clone() {
            self.add_named_node(now, name, port);
        }
    }

    fn look_up(&mut self, now: Time, v6: bool, target: NodeId, purpose: Purpose) {
        let limits = self.config.lookups;
        let family = self.family_mut(v6);
        family.table.looked_for(now, &target);
        let mut lookup = Lookup::new(target);
        let known = family.table.closest(&target, FIRST_CANDIDATES);
        let is_little = known.len() < K || family.is_lost();
        // Those that failed before, where nothing else is left.
        let known = if known.is_empty() { family.table.nodes() } else { known };
        known.into_iter().take(FIRST_CANDIDATES).for_each(|node| lookup.add(node, &limits));
        if is_little {
            self.routers.iter().filter(|addr| addr.is_ipv6() == v6).for_each(|addr| lookup.add_entry(*addr));
        }
        self.last_id += 1;
        self.lookups.insert(self.last_id, Running { v6, purpose, lookup });
        self.go_on(now, self.last_id);
    }

    /// Lookups of searches begin where there is a turn, and a node to ask.
    fn begin_waiting(&mut self, now: Time) {
        let mut running = [0; 2];
        for lookup in self.lookups.values().filter(|running| running.purpose != Purpose::Table) {
            running[usize::from(lookup.v6)] += 1;
        }
        let mut begin = Vec::new();
        let Self { families, routers, waiting, .. } = self;
        waiting.retain(|Waiting { search, v6, lost }| {
            let (family, running) = (&families[usize::from(*v6)], &mut running[usize::from(*v6)]);
            let knows = || family.table.len() > 0 || routers.iter().any(|addr| addr.is_ipv6() == *v6);
            let begins = family.enabled && *running < MAX_LOOKUPS && (!family.is_lost() || !lost && knows());
            if begins {
                *running += 1;
                begin.push((*search, *v6));
            }
            !begins
        });
        for (search, v6) in begin {
            if let Some(target) = self.searches.get(&search).map(|search| NodeId(search.info_hash.0)) {
                self.look_up(now, v6, target, Purpose::Search(search));
            }
        }
    }

    /// Asks whom a lookup has to ask, and ends it where it is over.
    fn go_on(&mut self, now: Time, key: u64) {
        let limits = self.config.lookups;
        while let Some(running) = self.lookups.get_mut(&key) {
            let Some(addr) = running.lookup.next(now, &limits) else { break };
            let (v6, target) = (running.v6, running.lookup.target());
            let query = match running.purpose {
                Purpose::Table => Query::FindNode(target),
                Purpose::Search(_) => Query::GetPeers { info_hash: Sha1Hash(target.0), scrape: false },
            };
            let id = self.family(v6).table.id();
            if !self.ask(now, To::Address(addr), id, &query, Some(key))
                && let Some(running) = self.lookups.get_mut(&key)
            {
                running.lookup.failed(addr);
            }
        }
        if self.lookups.get(&key).is_some_and(|running| running.lookup.is_over(now))
            && let Some(over) = self.lookups.remove(&key)
        {
            self.end_lookup(now, over);
        }
    }

    fn end_lookup(&mut self, now: Time, over: Running) {
        let Purpose::Search(id) = over.purpose else { return };
        let Some(search) = self.searches.get_mut(&id) else { return };
        if !over.lookup.has_answers() {
            // It is looked for again where a node answers.
            if self.families.get(usize::from(over.v6)).is_some_and(Family::is_lost) {
                self.waiting.push(Waiting { search: id, v6: over.v6, lost: true });
                return;
            }
        }
        search.left = search.left.saturating_sub(1);
        let (is_over, info_hash) = (search.left == 0, search.info_hash);
        if let Some(Announcement { port, implied_port, seed }) = search.announcement {
            let ours = self.family(over.v6).table.id();
            for (node, token) in over.lookup.nearest() {
                if let Some(token) = token {
                    let announce = Announce { info_hash, port, implied_port, seed, token: token.to_vec() };
                    self.ask(now, To::Address(node.addr), ours, &Query::Announce(announce), None);
                }
            }
        }
        if is_over {
            self.searches.remove(&id);
            self.output.events.push(Event::SearchOver { search: id });
        }
        self.begin_waiting(now);
    }

    fn ping(&mut self, now: Time, addr: SocketAddr) {
        if !self.pending.values().any(|pending| pending.to == Some(addr)) {
            let id = self.family(addr.is_ipv6()).table.id();
            self.ask(now, To::Address(addr), id, &Query::Ping, None);
        }
    }

    /// False: too many are asked already, or that family has no way out.
    fn ask(&mut self, now: Time, to: To, id: NodeId, query: &Query, lookup: Option<u64>) -> bool {
        let at = match &to {
            To::Address(at) => Some(*at),
            To::Name(..) => None,
        };
        let v6 = at.is_some_and(|at| at.is_ipv6());
        if self.pending.len() >= MAX_PENDING || !self.family(v6).enabled {
            return false;
        }
        if let Some(at) = at {
            self.family_mut(v6).table.asked(now, at);
        }
        let other = self.family(!v6);
        let also_other = other.enabled && other.table.len() < K;
        let want = Want { v4: !v6 || also_other, v6: v6 || also_other };
        let transaction: Transaction = self.chance.draw().first_chunk().copied().unwrap_or([0; TRANSACTION_BYTES]);
        let packet = krpc::encode_query(transaction, id, self.config.read_only, want, query);
        self.quota.spend(packet.len());
        self.pending.insert(transaction, Pending { to: at, since: now, lookup });
        self.output.packets.push((to, packet));
        true
    }

    fn family(&self, v6: bool) -> &Family {
        &self.families[usize::from(v6)]
    }

    fn family_mut(&mut self, v6: bool) -> &mut Family {
        &mut self.families[usize::from(v6)]
    }
}
