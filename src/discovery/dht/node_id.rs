//! Node ids: where a node stands in the table, how near that is to something else (BEP 5), and whether its address may stand there (BEP 42).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::base::address::is_of_local_network;

pub const ID_BYTES: usize = 20;
pub const ID_BITS: usize = ID_BYTES * 8;
/// Of an address those bits count that one network cannot choose.
const V4_MASK: u64 = 0x030f_3fff;
const V6_MASK: u64 = 0x0103_070f_1f3f_7fff;

/// A node's id, or what is looked for: they are of one space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; ID_BYTES]);

/// A node: its id and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeAddr {
    pub id: NodeId,
    pub addr: SocketAddr,
}

impl NodeId {
    /// Random, without any prefix: nodes of alike ids would all stand in one corner of the table.
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        let mut id = [0; ID_BYTES];
        rng.fill(&mut id);
        Self(id)
    }

    /// One that whoever is at that address may have.
    pub fn of_address(ip: IpAddr, rng: &mut fastrand::Rng) -> Self {
        let mut id = Self::random(rng);
        let [first, second, third, .., last] = &mut id.0;
        let [a, b, c, _] = prefix(ip, *last).to_be_bytes();
        (*first, *second, *third) = (a, b, c & 0xf8 | *third & 7);
        id
    }

    /// May a node at that address have it? Of local networks any may.
    pub fn fits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let [a, b, c, .., last] = self.0;
        is_of_local_network(ip) || (u32::from_be_bytes([a, b, c, 0]) ^ prefix(ip, last)) >> 11 == 0
    }

    pub fn distance(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    /// How many of their first bits are the same.
    pub fn shared_bits(&self, other: &Self) -> usize {
        let distance = self.distance(other).0;
        let equal = distance.iter().take_while(|byte| **byte == 0).count();
        equal * 8 + distance.get(equal).map_or(0, |byte| byte.leading_zeros() as usize)
    }

    /// A random one whose first bits are those, and whose next one is another.
    pub fn beside(&self, shared: usize, rng: &mut fastrand::Rng) -> Self {
        let mut id = Self::random(rng);
        for bit in 0..=shared.min(ID_BITS - 1) {
            let mask = 0x80u8 >> (bit % 8);
            let ours = self.0[bit / 8] & mask;
            let wanted = if bit == shared { ours ^ mask } else { ours };
            id.0[bit / 8] = id.0[bit / 8] & !mask | wanted;
        }
        id
    }
}

/// The first 21 bits that the id of a node at that address has, whose last byte is the one given.
fn prefix(ip: IpAddr, last: u8) -> u32 {
    let chance = last & 7;
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let masked = u64::from(v4.to_bits()) & V4_MASK | u64::from(chance) << 29;
            crc32c::crc32c(&(masked as u32).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let masked = (v6.to_bits() >> 64) as u64 & V6_MASK | u64::from(chance) << 61;
            crc32c::crc32c(&masked.to_be_bytes())
        }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of BEP 42.
    #[test]
    fn ids_of_addresses_are_those_of_the_bep() {
        let examples = [
            ("124.31.75.21", 1, [0x5f, 0xbf, 0xbf]),
            ("21.75.31.124", 86, [0x5a, 0x3c, 0xe9]),
            ("65.23.51.170", 22, [0xa5, 0xd4, 0x32]),
            ("84.124.73.14", 65, [0x1b, 0x03, 0x21]),
            ("43.213.53.83", 90, [0xe5, 0x6f, 0x6c]),
        ];
        for (ip, last, [a, b, c]) in examples {
            let ip: IpAddr = ip.parse().expect("an address");
            let mut id = [0; ID_BYTES];
            [id[0], id[1], id[2]] = [a, b, c];
            id[19] = last;
            assert!(NodeId(id).fits(ip), "{ip}");
            id[2] ^= 8;
            assert!(!NodeId(id).fits(ip), "{ip}");
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for ip in ["1.2.3.4", "2001:db8::1", "::ffff:1.2.3.4"] {
            let ip = ip.parse().expect("an address");
            let ids: Vec<NodeId> = (0..50).map(|_| NodeId::of_address(ip, &mut rng)).collect();
            assert!(ids.iter().all(|id| id.fits(ip)) && !ids[0].fits([9, 9, 9, 9].into()));
            assert_ne!(ids[0], ids[1]);
        }
        assert!(NodeId([7; 20]).fits([192, 168, 1, 1].into()));
    }

    #[test]
    fn near_and_far() {
        let (a, mut b) = (NodeId([0xa5; 20]), NodeId([0xa5; 20]));
        assert_eq!(a.shared_bits(&b), ID_BITS);
        b.0[2] ^= 0x10;
        assert_eq!(a.shared_bits(&b), 19);
        let mut rng = fastrand::Rng::with_seed(1);
        for shared in [0, 1, 7, 8, 100, 159] {
            assert_eq!(a.beside(shared, &mut rng).shared_bits(&a), shared);
        }
    }
}
