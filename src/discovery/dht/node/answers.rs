//! What others ask, and are answered.

use std::net::SocketAddr;

use super::Node;
use crate::base::time::Time;
use crate::discovery::dht::krpc::{self, Announce, Body, PROTOCOL_ERROR, Query, Reply, Want};
use crate::discovery::dht::node_id::{NodeAddr, NodeId};
use crate::discovery::dht::routing_table::K;
use crate::wire::compact;

impl Node {
    pub(super) fn answer(&mut self, now: Time, from: SocketAddr, transaction: &[u8], body: Body) -> Vec<u8> {
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
}
