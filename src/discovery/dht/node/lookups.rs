//! Lookups: for torrents' peers, for the nodes near us, and for the way in.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Announcement, BOOTSTRAP_MIN, Event, Family, Node, Purpose, Running, Search, SearchId, To, Waiting};
use crate::base::time::Time;
use crate::discovery::dht::krpc::{Announce, Query};
use crate::discovery::dht::lookup::Lookup;
use crate::discovery::dht::node_id::NodeId;
use crate::discovery::dht::routing_table::K;
use crate::metainfo::info_hash::Sha1Hash;

/// Lookups at once for the sake of searches, of each family. Others wait.
const MAX_LOOKUPS: usize = 32;
const BOOTSTRAP_MAX: Duration = Duration::from_secs(60);
/// While a torrent waits for its peers.
const BOOTSTRAP_MAX_SEARCHING: Duration = Duration::from_secs(8);
/// Nodes that a lookup begins by.
const FIRST_CANDIDATES: usize = 50;
/// Of one search.
const MAX_PEERS: usize = 2000;

impl Node {
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
        if self.searches.get(&id).is_some_and(|search| search.left == 0) {
            // There is no way out.
            self.searches.remove(&id);
            self.output.events.push(Event::SearchOver { search: id });
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

    pub(super) fn found(&mut self, search: SearchId, peers: Vec<SocketAddr>) {
        let Some(Search { found, .. }) = self.searches.get_mut(&search) else { return };
        let is_new = |peer: &SocketAddr| found.len() < MAX_PEERS && found.insert(*peer);
        let peers: Vec<SocketAddr> = peers.into_iter().filter(is_new).collect();
        if !peers.is_empty() {
            self.output.events.push(Event::Peers { search, peers });
        }
    }

    /// Tries the way in, where no node answers and it is time.
    pub(super) fn bootstrap(&mut self, now: Time, v6: bool) {
        let most = if self.searches.is_empty() { BOOTSTRAP_MAX } else { BOOTSTRAP_MAX_SEARCHING };
        let family = self.family_mut(v6);
        if !family.enabled || !family.is_lost() || now < family.bootstrap_at {
            return;
        }
        family.bootstrap_at = now + family.bootstrap_pause.min(most);
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
    pub(super) fn enter(&mut self, now: Time, v6: bool) {
        let id = self.family(v6).table.id();
        self.lookups.retain(|_, running| running.v6 != v6 || running.lookup.target() != id);
        self.look_up(now, v6, id, Purpose::Table);
    }

    pub(super) fn ask_named_routers(&mut self, now: Time) {
        for (name, port) in self.named_routers.clone() {
            self.add_named_node(now, name, port);
        }
    }

    pub(super) fn look_up(&mut self, now: Time, v6: bool, target: NodeId, purpose: Purpose) {
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
    pub(super) fn begin_waiting(&mut self, now: Time) {
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

    pub(super) fn go_on_with_all(&mut self, now: Time) {
        let running: Vec<u64> = self.lookups.keys().copied().collect();
        running.into_iter().for_each(|lookup| self.go_on(now, lookup));
    }

    /// Asks whom a lookup has to ask, and ends it where it is over.
    pub(super) fn go_on(&mut self, now: Time, key: u64) {
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
}
