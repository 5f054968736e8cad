//! What a DHT node keeps from one session to the next: its ids, and the nodes it knew. Pure.

use sha1::{Digest, Sha1};

use super::node_id::{ID_BYTES, NodeAddr, NodeId};
use crate::wire::compact;

const MAGIC: &[u8; 6] = b"et-dht";
/// The first one had one id for both families.
const VERSION: u8 = 2;
/// Of the SHA-1 over all before it.
const CHECK_LEN: usize = 8;
/// Most nodes kept of each address family.
pub const MAX_NODES: usize = 512;

/// A DHT node's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtState {
    /// As a node of IPv4, and of IPv6.
    pub id4: NodeId,
    pub id6: NodeId,
    /// Of each family the best first.
    pub nodes: Vec<NodeAddr>,
}

impl DhtState {
    /// Of a node that has no memory yet.
    pub fn fresh(rng: &mut fastrand::Rng) -> Self {
        Self { id4: NodeId::random(rng), id6: NodeId::random(rng), nodes: Vec::new() }
    }

    /// Magic, version, ids; then for IPv4 and IPv6 a count (two bytes, big endian) and the nodes as BEP 5 and 32 pack
    /// them; then a check sum.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = [&MAGIC[..], &[VERSION], &self.id4.0, &self.id6.0].concat();
        for v6 in [false, true] {
            let nodes = || self.nodes.iter().filter(|n| n.addr.is_ipv6() == v6).take(MAX_NODES);
            // At most MAX_NODES.
            out.extend_from_slice(&(nodes().count() as u16).to_be_bytes());
            for node in nodes() {
                let (mut four, mut six) = (Vec::new(), Vec::new());
                compact::encode(node.addr, &mut four, &mut six);
                out.extend_from_slice(&node.id.0);
                out.extend_from_slice(if v6 { &six } else { &four });
            }
        }
        let check = Sha1::digest(&out);
        out.extend(check.iter().take(CHECK_LEN));
        out
    }

    /// None for bytes that are no state, or a damaged one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_LEN)?)?;
        if !Sha1::digest(content).starts_with(check) {
            return None;
        }
        let rest = content.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
        let (id4, rest) = rest.split_first_chunk::<ID_BYTES>()?;
        let (id6, mut rest) = rest.split_first_chunk::<ID_BYTES>()?;
        let mut nodes = Vec::new();
        for v6 in [false, true] {
            let (count, behind) = rest.split_first_chunk::<2>()?;
            let count = usize::from(u16::from_be_bytes(*count));
            if count > MAX_NODES {
                return None;
            }
            rest = behind;
            for _ in 0..count {
                let (id, behind) = rest.split_first_chunk::<ID_BYTES>()?;
                let (packed, behind) =
                    behind.split_at_checked(if v6 { compact::V6_BYTES } else { compact::V4_BYTES })?;
                rest = behind;
                let addr = if v6 { compact::parse_v6(packed).next() } else { compact::parse_v4(packed).next() };
                if let Some(addr) = addr.filter(compact::is_usable) {
                    nodes.push(NodeAddr { id: NodeId(*id), addr });
                }
            }
        }
        rest.is_empty().then_some(Self { id4: NodeId(*id4), id6: NodeId(*id6), nodes })
    }
}

/// The same nodes, known by somebody else.
pub fn with_another_id(state: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let nodes = DhtState::decode(state).map(|state| state.nodes).unwrap_or_default();
    DhtState { nodes, ..DhtState::fresh(rng) }.encode()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn sample() -> DhtState {
        let node = |n: u8, addr: &str| NodeAddr { id: NodeId([n; 20]), addr: addr.parse().expect("an address") };
        DhtState {
            id4: NodeId([9; 20]),
            id6: NodeId([8; 20]),
            nodes: vec![node(1, "1.2.3.4:5"), node(2, "1.2.3.5:6"), node(3, "[2001:db8::1]:7")],
        }
    }

    #[test]
    fn comes_back_whole() {
        let state = sample();
        assert_eq!(DhtState::decode(&state.encode()), Some(state));
        let mut rng = fastrand::Rng::with_seed(1);
        let fresh = DhtState::fresh(&mut rng);
        assert!(fresh.id4 != DhtState::fresh(&mut rng).id4 && fresh.id4 != fresh.id6);
        assert_eq!(DhtState::decode(&fresh.encode()), Some(fresh));
    }

    #[test]
    fn bounded() {
        let nodes = (0..2000u32).map(|n| NodeAddr {
            id: NodeId([7; 20]),
            addr: SocketAddr::from((std::net::Ipv4Addr::from(0x0100_0000 + n), 1)),
        });
        let state = DhtState { id4: NodeId([0; 20]), id6: NodeId([0; 20]), nodes: nodes.collect() };
        assert_eq!(DhtState::decode(&state.encode()).expect("a state").nodes.len(), MAX_NODES);
    }

    #[test]
    fn any_damage_is_noticed() {
        let bytes = sample().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(DhtState::decode(&damaged), None, "byte {at}");
            assert_eq!(DhtState::decode(&bytes[..at]), None, "cut at {at}");
        }
        // even with a right check sum
        for (at, byte) in [(6, 1), (47, 0xff), (48, 9)] {
            let mut damaged = bytes.clone();
            damaged[at] = byte;
            damaged.truncate(bytes.len() - CHECK_LEN);
            let check = Sha1::digest(&damaged);
            damaged.extend(&check[..CHECK_LEN]);
            assert_eq!(DhtState::decode(&damaged), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300), sealed in any::<bool>()) {
            if sealed {
                bytes.splice(..0, [&MAGIC[..], &[VERSION]].concat());
                let check = Sha1::digest(&bytes);
                bytes.extend(&check[..CHECK_LEN]);
            }
            let _ = DhtState::decode(&bytes);
        }
    }
}
