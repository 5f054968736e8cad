//! What we ask others, and what their answers, and their silence, say of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{BOOTSTRAP_MIN, Event, FILLING, MAX_ENTRIES, Node, Pending, Purpose, Running, To};
use crate::base::address::is_of_local_network;
use crate::base::time::Time;
use crate::discovery::dht::krpc::{self, Query, Reply, TRANSACTION_BYTES, Transaction, Want};
use crate::discovery::dht::node_id::{NodeAddr, NodeId};
use crate::discovery::dht::routing_table::K;

/// Who has not answered until then does not.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);
/// Queries that wait for an answer. With as many, no more are sent.
const MAX_PENDING: usize = 1024;
/// Others answer so soon after one did not: it was its fault.
const SUSPECTED: Duration = Duration::from_secs(5);
/// Nodes that others told of and that would be of use, as many as are remembered.
const MAX_HEARD: usize = 64;

impl Node {
    pub(super) fn hear_reply(
        &mut self,
        now: Time,
        from: SocketAddr,
        transaction: &[u8],
        id: NodeId,
        mut reply: Reply,
        our_ip: Option<IpAddr>,
    ) {
        let Some(pending) = self.take_pending(from, transaction) else { return };
        let was_lost = self.has_heard(now, from.is_ipv6());
        if self.config.enforce_node_id && !id.fits(from.ip()) {
            return self.has_failed(now, from, pending.lookup, true);
        }
        if !is_of_local_network(from.ip()) {
            // Nobody far away knows who is near.
            reply.nodes.retain(|node| !is_of_local_network(node.addr.ip()));
            reply.peers.retain(|peer| !is_of_local_network(peer.ip()));
        }
        let ours = [false, true].map(|v6| self.family(v6).table.id());
        if ours.contains(&id) {
            // Somebody led us to ourselves.
            return self.has_failed(now, from, pending.lookup, true);
        }
        reply.nodes.retain(|node| !ours.contains(&node.id));
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
        let knows_few = family.table.len() <= K;
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
        if knows_few {
            // Lookups that began when nobody knew of it.
            let of_family = self.lookups.values_mut().filter(|running| running.v6 == v6);
            of_family.for_each(|running| running.lookup.add(node, &limits));
            self.go_on_with_all(now);
        } else if let Some(lookup) = pending.lookup {
            self.go_on(now, lookup);
        }
    }

    /// Somebody answers. Did nobody before?
    pub(super) fn has_heard(&mut self, now: Time, v6: bool) -> bool {
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

    /// The query that this answers, if it does.
    pub(super) fn take_pending(&mut self, from: SocketAddr, transaction: &[u8]) -> Option<Pending> {
        let transaction: Transaction = transaction.try_into().ok()?;
        let is_of = |pending: &Pending| pending.to.is_none_or(|to| to == from);
        self.pending.get(&transaction).is_some_and(is_of).then(|| self.pending.remove(&transaction))?
    }

    pub(super) fn give_up_on_silent(&mut self, now: Time) {
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

    pub(super) fn has_failed(&mut self, now: Time, addr: SocketAddr, lookup: Option<u64>, counts: bool) {
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

    pub(super) fn ping(&mut self, now: Time, addr: SocketAddr) {
        if !self.pending.values().any(|pending| pending.to == Some(addr)) {
            let id = self.family(addr.is_ipv6()).table.id();
            self.ask(now, To::Address(addr), id, &Query::Ping, None);
        }
    }

    /// False: too many are asked already, or that family has no way out.
    pub(super) fn ask(&mut self, now: Time, to: To, id: NodeId, query: &Query, lookup: Option<u64>) -> bool {
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
}
