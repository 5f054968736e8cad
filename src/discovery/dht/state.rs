//! What a DHT node keeps from one session to the next: its number, and the nodes it knew. Pure.
//!
//! Bytes of our own, not the tables of the crate: those are trees with shared references, which damaged bytes could turn into
//! endless loops. Here a list of nodes is read, checked as a whole, and inserted one by one.

use std::net::SocketAddr;

use sha1::{Digest, Sha1};

use crate::wire::compact;

const MAGIC: &[u8; 6] = b"et-dht";
const VERSION: u8 = 1;
const ID_LEN: usize = 20;
/// Of the SHA-1 over all before it.
const CHECK_LEN: usize = 8;
/// Most nodes kept of each address family.
pub const MAX_NODES: usize = 512;

/// A node: its number and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeAddr {
    pub id: [u8; ID_LEN],
    pub addr: SocketAddr,
}

/// A DHT node's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtState {
    pub id: [u8; ID_LEN],
    pub nodes: Vec<NodeAddr>,
}

impl DhtState {
    /// Of a node that has no memory yet.
    pub fn fresh() -> Self {
        // Random, without any prefix: nodes with alike numbers would all lie in one corner of the table.
        let mut id = [0; ID_LEN];
        fastrand::Rng::new().fill(&mut id);
        Self { id, nodes: Vec::new() }
    }

    /// Magic, version, id; then for IPv4 and IPv6 a count (two bytes, big endian) and the nodes as BEP 5 and 32 pack
    /// them; then a check sum.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = [&MAGIC[..], &[VERSION], &self.id].concat();
        for v6 in [false, true] {
            let nodes = || self.nodes.iter().filter(|n| n.addr.is_ipv6() == v6).take(MAX_NODES);
            // At most MAX_NODES.
            out.extend_from_slice(&(nodes().count() as u16).to_be_bytes());
            for node in nodes() {
                let (mut four, mut six) = (Vec::new(), Vec::new());
                compact::encode(node.addr, &mut four, &mut six);
                out.extend_from_slice(&node.id);
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
        let (id, mut rest) = rest.split_first_chunk::<ID_LEN>()?;
        let mut nodes = Vec::new();
        for v6 in [false, true] {
            let (count, behind) = rest.split_first_chunk::<2>()?;
            let count = usize::from(u16::from_be_bytes(*count));
            if count > MAX_NODES {
                return None;
            }
            rest = behind;
            for _ in 0..count {
                let (id, behind) = rest.split_first_chunk::<ID_LEN>()?;
                let (packed, behind) =
                    behind.split_at_checked(if v6 { compact::V6_BYTES } else { compact::V4_BYTES })?;
                rest = behind;
                let addr = if v6 { compact::parse_v6(packed).next() } else { compact::parse_v4(packed).next() };
                if let Some(addr) = addr.filter(compact::is_usable) {
                    nodes.push(NodeAddr { id: *id, addr });
                }
            }
        }
        rest.is_empty().then_some(Self { id: *id, nodes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> DhtState {
        let node = |n: u8, addr: &str| NodeAddr { id: [n; 20], addr: addr.parse().expect("an address") };
        DhtState { id: [9; 20], nodes: vec![node(1, "1.2.3.4:5"), node(2, "1.2.3.5:6"), node(3, "[2001:db8::1]:7")] }
    }

    #[test]
    fn comes_back_whole() {
        let state = sample();
        assert_eq!(DhtState::decode(&state.encode()), Some(state));
        let fresh = DhtState::fresh();
        assert_ne!(fresh.id, DhtState::fresh().id);
        assert_eq!(DhtState::decode(&fresh.encode()), Some(fresh));
    }

    #[test]
    fn bounded() {
        let nodes = (0..2000u32)
            .map(|n| NodeAddr { id: [7; 20], addr: SocketAddr::from((std::net::Ipv4Addr::from(0x0100_0000 + n), 1)) });
        let state = DhtState { id: [0; 20], nodes: nodes.collect() };
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
        for (at, byte) in [(6, 2), (27, 0xff), (28, 9)] {
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
