//! What a session's DHT node is started with.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::net::egress::Egress;
use crate::net::egress::route::Traffic;

/// Ports that are tried beside the one that uTP has.
const PORTS_BESIDE: u16 = 10;

/// Where it listens, and what it begins with.
#[derive(Debug, Default)]
pub struct Start {
    pub listen: Option<SocketAddr>,
    pub state: Vec<u8>,
    /// Nodes that were named before it ran.
    pub nodes: Vec<(String, u16)>,
    pub starting: bool,
}

/// Where the node listens, of the addresses that the session listens on: it has one socket. All of IPv6's serves IPv4, too.
pub fn listen_address(bound: &[SocketAddr]) -> Option<SocketAddr> {
    let both = bound.iter().find(|a| a.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    both.or_else(|| bound.first()).copied()
}

/// The next free port.
pub fn beside(egress: &Egress, listens: SocketAddr) -> SocketAddr {
    let next = |n| listens.port().checked_add(n).map(|port| SocketAddr::new(listens.ip(), port));
    let free = (1..=PORTS_BESIDE).filter_map(next).find(|address| egress.probe_udp(Traffic::Dht, *address).is_ok());
    free.unwrap_or(SocketAddr::new(listens.ip(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_socket_is_where_both_families_reach_it() {
        let address = |bound: &[&str]| {
            let bound: Vec<SocketAddr> = bound.iter().map(|a| a.parse().expect("an address")).collect();
            listen_address(&bound).map(|a| a.to_string())
        };
        assert_eq!(address(&["0.0.0.0:6881", "[::]:6882"]).as_deref(), Some("[::]:6882"));
        assert_eq!(address(&["192.0.2.1:1", "[2001:db8::1]:2"]).as_deref(), Some("192.0.2.1:1"));
        assert_eq!(address(&["[2001:db8::1]:2", "192.0.2.1:1"]).as_deref(), Some("[2001:db8::1]:2"));
        assert_eq!(address(&[]), None);
    }
}
