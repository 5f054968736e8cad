//! KRPC, the messages of DHT nodes (BEP 5): bencoded dictionaries, one a packet. IPv6 as in BEP 32, `ro` as in BEP 43, `ip` as in BEP 42,
//! `seed`, `scrape` and the Bloom filters as in BEP 33.

use std::net::{IpAddr, SocketAddr};

use super::node_id::{ID_BYTES, NodeAddr, NodeId};
use crate::metainfo::bencode::{Document, Entry, Limits, Value};
use crate::metainfo::info_hash::Sha1Hash;
use crate::wire::compact;

/// What one answer may bring of each kind is looked at so far.
const MAX_NODES: usize = 32;
const MAX_PEERS: usize = 200;
/// Tokens and transactions of others are kept no longer than this.
const MAX_TOKEN: usize = 64;
const MAX_TRANSACTION: usize = 32;
/// Ours.
pub const TRANSACTION_BYTES: usize = 4;
/// A Bloom filter of BEP 33.
pub const FILTER_BYTES: usize = 256;

pub type Transaction = [u8; TRANSACTION_BYTES];

/// Error codes of BEP 5.
pub const PROTOCOL_ERROR: i64 = 203;
pub const METHOD_UNKNOWN: i64 = 204;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    Ping,
    FindNode(NodeId),
    GetPeers {
        info_hash: Sha1Hash,
        scrape: bool,
    },
    Announce(Announce),
    /// Of an extension that is not known here, about what stands near there.
    About(NodeId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    pub info_hash: Sha1Hash,
    pub port: u16,
    /// The port that the packet comes from is the one.
    pub implied_port: bool,
    pub seed: bool,
    pub token: Vec<u8>,
}

/// The nodes of which families are wanted (BEP 32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    pub v4: bool,
    pub v6: bool,
}

/// The numbers of those who have a torrent, and of those who want it, as in BEP 33.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    pub seeds: Box<[u8; FILTER_BYTES]>,
    pub peers: Box<[u8; FILTER_BYTES]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    pub nodes: Vec<NodeAddr>,
    pub peers: Vec<SocketAddr>,
    pub token: Option<Vec<u8>>,
    pub filters: Option<Filters>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    Query {
        id: NodeId,
        read_only: bool,
        want: Want,
        query: Query,
    },
    /// One that cannot be carried out, with the code to say so.
    BadQuery(i64, &'static str),
    Reply {
        id: NodeId,
        reply: Reply,
        our_ip: Option<IpAddr>,
    },
    Error,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub transaction: Vec<u8>,
    pub body: Body,
}

impl Message {
    /// None: it is no message, or none that one could answer.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        // Garbage behind it is not ours to judge.
        let (document, _) = Document::parse_prefix(packet, Limits::MESSAGE).ok()?;
        let root = document.root();
        let transaction = root.get_bytes(b"t").filter(|t| t.len() <= MAX_TRANSACTION)?.to_vec();
        let body = match root.get_bytes(b"y")? {
            b"q" => query(&root),
            b"r" => {
                let values = root.get(b"r")?;
                let our_ip = root.get_bytes(b"ip").and_then(|bytes| address(bytes).map(|at| at.ip()));
                Body::Reply { id: id_in(&values, b"id")?, reply: reply(&values), our_ip }
            }
            b"e" => Body::Error,
            _ => return None,
        };
        Some(Self { transaction, body })
    }
}

fn query(root: &Value<'_>) -> Body {
    let Some(arguments) = root.get(b"a") else { return Body::BadQuery(PROTOCOL_ERROR, "no arguments") };
    let Some(id) = id_in(&arguments, b"id") else { return Body::BadQuery(PROTOCOL_ERROR, "an id has 20 bytes") };
    let info_hash = || arguments.get_bytes(b"info_hash").and_then(Sha1Hash::from_slice);
    let target = || id_in(&arguments, b"target");
    let flag = |key: &[u8]| arguments.get_int(key) == Some(1);
    let query = match root.get_bytes(b"q") {
        Some(b"ping") => Some(Query::Ping),
        Some(b"find_node") => target().map(Query::FindNode),
        Some(b"get_peers") => info_hash().map(|info_hash| Query::GetPeers { info_hash, scrape: flag(b"scrape") }),
        Some(b"announce_peer") => info_hash().and_then(|info_hash| {
            Some(Query::Announce(Announce {
                info_hash,
                port: u16::try_from(arguments.get_int(b"port").unwrap_or(0)).ok()?,
                implied_port: flag(b"implied_port"),
                seed: flag(b"seed"),
                token: arguments.get_bytes(b"token").filter(|token| token.len() <= MAX_TOKEN)?.to_vec(),
            }))
        }),
        _ => match target().or_else(|| info_hash().map(|hash| NodeId(hash.0))) {
            Some(about) => Some(Query::About(about)),
            None => return Body::BadQuery(METHOD_UNKNOWN, "method unknown"),
        },
    };
    let Some(query) = query else { return Body::BadQuery(PROTOCOL_ERROR, "an argument is missing or wrong") };
    let mut want = Want::default();
    for family in arguments.get(b"want").iter().flat_map(|want| want.items()).take(4) {
        want.v4 |= family.as_bytes() == Some(b"n4");
        want.v6 |= family.as_bytes() == Some(b"n6");
    }
    Body::Query { id, read_only: root.get_int(b"ro") == Some(1), want, query }
}

fn reply(values: &Value<'_>) -> Reply {
    let nodes = |key: &[u8], address_bytes: usize| {
        let bytes = values.get_bytes(key).unwrap_or_default();
        let each = bytes.chunks_exact(ID_BYTES + address_bytes).take(MAX_NODES);
        each.filter_map(|node| {
            let (id, at) = node.split_first_chunk()?;
            Some(NodeAddr { id: NodeId(*id), addr: address(at)? })
        })
    };
    let peers = values.get(b"values").into_iter().flat_map(|list| list.items());
    let peers = peers.take(MAX_PEERS).filter_map(|peer| address(peer.as_bytes()?));
    let filter = |key: &[u8]| values.get_bytes(key).and_then(|bytes| bytes.try_into().ok().map(Box::new));
    Reply {
        nodes: nodes(b"nodes", compact::V4_BYTES).chain(nodes(b"nodes6", compact::V6_BYTES)).collect(),
        peers: peers.collect(),
        token: values.get_bytes(b"token").filter(|token| token.len() <= MAX_TOKEN).map(<[u8]>::to_vec),
        filters: filter(b"BFsd").zip(filter(b"BFpe")).map(|(seeds, peers)| Filters { seeds, peers }),
    }
}

fn id_in(values: &Value<'_>, key: &[u8]) -> Option<NodeId> {
    values.get_bytes(key)?.try_into().ok().map(NodeId)
}

/// An address and port that one could send to.
fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let address = match bytes.len() {
        compact::V4_BYTES => compact::parse_v4(bytes).next(),
        compact::V6_BYTES => compact::parse_v6(bytes).next(),
        _ => None,
    };
    address.filter(compact::is_usable)
}

fn packed(addr: SocketAddr) -> Vec<u8> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    compact::encode(addr, &mut v4, &mut v6);
    v4.append(&mut v6);
    v4
}

/// A query of ours. `read_only`: it is to put us into nobody's table.
pub fn encode_query(transaction: Transaction, id: NodeId, read_only: bool, want: Want, query: &Query) -> Vec<u8> {
    let mut arguments = Entry::dict();
    arguments.set("id", id.0.to_vec());
    let method: &str = match query {
        Query::Ping => "ping",
        Query::FindNode(target) | Query::About(target) => {
            arguments.set("target", target.0.to_vec());
            "find_node"
        }
        Query::GetPeers { info_hash, scrape } => {
            arguments.set("info_hash", info_hash.0.to_vec());
            if *scrape {
                arguments.set("scrape", Entry::Int(1));
            }
            "get_peers"
        }
        Query::Announce(announce) => {
            arguments
                .set("info_hash", announce.info_hash.0.to_vec())
                .set("port", Entry::Int(announce.port.into()))
                .set("implied_port", Entry::Int(announce.implied_port.into()))
                .set("seed", Entry::Int(announce.seed.into()))
                .set("token", announce.token.clone());
            "announce_peer"
        }
    };
    if !matches!(query, Query::Ping | Query::Announce(_)) {
        let families = [(want.v4, "n4"), (want.v6, "n6")];
        let wanted = families.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| Entry::Bytes(name.into()));
        arguments.set("want", Entry::List(wanted.collect()));
    }
    let mut root = Entry::dict();
    root.set("a", arguments).set("q", Entry::Bytes(method.into())).set("t", transaction.to_vec());
    root.set("y", Entry::Bytes(b"q".to_vec()));
    if read_only {
        root.set("ro", Entry::Int(1));
    }
    root.encode()
}

/// An answer of ours to who is there.
pub fn encode_reply(transaction: &[u8], id: NodeId, to: SocketAddr, reply: &Reply) -> Vec<u8> {
    let mut values = Entry::dict();
    values.set("id", id.0.to_vec());
    for (v6, key) in [(false, "nodes"), (true, "nodes6")] {
        let nodes = reply.nodes.iter().filter(|node| node.addr.is_ipv6() == v6);
        let bytes: Vec<u8> = nodes.flat_map(|node| [&node.id.0[..], &packed(node.addr)].concat()).collect();
        if !bytes.is_empty() {
            values.set(key, bytes);
        }
    }
    if !reply.peers.is_empty() {
        values.set("values", Entry::List(reply.peers.iter().map(|peer| Entry::Bytes(packed(*peer))).collect()));
    }
    if let Some(token) = &reply.token {
        values.set("token", token.clone());
    }
    if let Some(filters) = &reply.filters {
        values.set("BFsd", filters.seeds.to_vec()).set("BFpe", filters.peers.to_vec());
    }
    let mut root = Entry::dict();
    root.set("ip", packed(to)).set("r", values).set("t", transaction.to_vec());
    root.set("y", Entry::Bytes(b"r".to_vec()));
    root.encode()
}

pub fn encode_error(transaction: &[u8], code: i64, message: &str) -> Vec<u8> {
    let mut root = Entry::dict();
    root.set("e", Entry::List(vec![Entry::Int(code), Entry::Bytes(message.into())])).set("t", transaction.to_vec());
    root.set("y", Entry::Bytes(b"e".to_vec()));
    root.encode()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: NodeId = NodeId(*b"abcdefghij0123456789");
    const TARGET: NodeId = NodeId(*b"mnopqrstuvwxyz123456");
    const HASH: Sha1Hash = Sha1Hash(TARGET.0);
    const BOTH: Want = Want { v4: true, v6: true };

    fn addr(at: &str) -> SocketAddr {
        at.parse().expect("an address")
    }

    /// The examples of BEP 5.
    #[test]
    fn queries_of_the_bep_are_read() {
        let read = |packet: &[u8]| Message::parse(packet).expect("a message");
        let query = |query| Message {
            transaction: b"aa".to_vec(),
            body: Body::Query { id: ID, read_only: false, want: Want::default(), query },
        };
        assert_eq!(read(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"), query(Query::Ping));
        assert_eq!(
            read(b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe"),
            query(Query::FindNode(TARGET))
        );
        assert_eq!(
            read(b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe"),
            query(Query::GetPeers { info_hash: HASH, scrape: false })
        );
        let announce = b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe";
        let told =
            Announce { info_hash: HASH, port: 6881, implied_port: true, seed: false, token: b"aoeusnth".to_vec() };
        assert_eq!(read(announce), query(Query::Announce(told)));
        let answer = b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re";
        let Body::Reply { id, reply, our_ip } = read(answer).body else { panic!("an answer") };
        assert_eq!((id, our_ip, reply.token.as_deref()), (ID, None, Some(&b"aoeusnth"[..])));
        assert_eq!(reply.peers, [addr("97.120.106.101:11893"), addr("105.100.104.116:28269")]);
        assert_eq!(read(b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee").body, Body::Error);
    }

    #[test]
    fn what_cannot_be_carried_out_has_its_error() {
        let code = |packet: &[u8]| match Message::parse(packet).map(|m| m.body) {
            Some(Body::BadQuery(code, _)) => Some(code),
            _ => None,
        };
        assert_eq!(code(b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe"), Some(204));
        for wrong in [
            &b"d1:q4:ping1:t2:aa1:y1:qe"[..],
            b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe",
            b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe",
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti70000e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti7000ee1:q13:announce_peer1:t2:aa1:y1:qe",
        ] {
            assert_eq!(code(wrong), Some(203), "{}", String::from_utf8_lossy(wrong));
        }
        for none in [&b""[..], b"de", b"le", b"d1:t2:aa1:y1:xe", b"d1:t2:aa1:y1:re", b"d1:y1:qe"] {
            assert_eq!(Message::parse(none), None);
        }
    }

    #[test]
    fn what_is_sent_is_read_again() {
        let announce =
            Announce { info_hash: HASH, port: 6881, implied_port: true, seed: true, token: b"token".to_vec() };
        for query in [
            Query::Ping,
            Query::FindNode(TARGET),
            Query::GetPeers { info_hash: HASH, scrape: true },
            Query::Announce(announce),
        ] {
            let asks = matches!(query, Query::FindNode(_) | Query::GetPeers { .. });
            let packet = encode_query(*b"tttt", ID, true, BOTH, &query);
            let want = if asks { BOTH } else { Want::default() };
            let body = Body::Query { id: ID, read_only: true, want, query };
            assert_eq!(Message::parse(&packet), Some(Message { transaction: b"tttt".to_vec(), body }));
        }
        let node = |n, at: &str| NodeAddr { id: NodeId([n; 20]), addr: addr(at) };
        let reply = Reply {
            nodes: vec![node(1, "1.2.3.4:5"), node(2, "[2001:db8::1]:6")],
            peers: vec![addr("1.2.3.4:80"), addr("[2001:db8::2]:81")],
            token: Some(b"abc".to_vec()),
            filters: Some(Filters { seeds: Box::new([1; 256]), peers: Box::new([2; 256]) }),
        };
        let packet = encode_reply(b"t", ID, addr("9.8.7.6:5"), &reply);
        let body = Body::Reply { id: ID, reply, our_ip: Some([9, 8, 7, 6].into()) };
        assert_eq!(Message::parse(&packet), Some(Message { transaction: b"t".to_vec(), body }));
        assert_eq!(Message::parse(&encode_error(b"t", 203, "no")).expect("a message").body, Body::Error);
    }

    #[test]
    fn nobody_is_sent_to_where_nobody_can_be() {
        let nodes = [&[7; 20][..], &[0, 0, 0, 0, 0, 1], &[8; 20], &[1, 2, 3, 4, 0, 0], &[9; 20], &[1, 2, 3, 4, 0, 1]];
        let packet = [b"d1:rd2:id20:abcdefghij01234567895:nodes79:", &nodes.concat()[..], b"xe1:t1:a1:y1:re"].concat();
        let Some(Body::Reply { reply, .. }) = Message::parse(&packet).map(|m| m.body) else { panic!("an answer") };
        assert_eq!(reply.nodes, [NodeAddr { id: NodeId([9; 20]), addr: addr("1.2.3.4:1") }]);
    }

    proptest! {
        #[test]
        fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..200), at in 0..60usize, byte: u8) {
            let _ = Message::parse(&packet);
            let mut query = encode_query(*b"tttt", ID, true, BOTH, &Query::GetPeers { info_hash: HASH, scrape: true });
            let at = at % query.len();
            query[at] = byte;
            let _ = Message::parse(&query);
        }
    }
}
