//! What IP addresses say of who is behind them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An IPv4 address as such, also where a socket of both families tells it: it is one peer.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whoever has one IPv6 address has a network of them.
pub fn household(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Is it of a network that is not routed beyond: private, of the link, of the site (RFC 1918, 3927, 4193, 4291)? This host's own are, too.
pub fn is_of_local_network(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

/// IPv6's addresses to which nothing is sent (RFC 6666): each stands for a host's name here.
const NAMES: u128 = 0x0100 << 112;

/// The address that stands for the name of that number.
pub fn of_name(number: u16, port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::from_bits(NAMES | u128::from(number)).into(), port)
}

/// Of the address that stands for a name its number.
pub fn number_of_name(ip: IpAddr) -> Option<u16> {
    match ip {
        IpAddr::V6(v6) => u16::try_from(v6.to_bits() ^ NAMES).ok(),
        IpAddr::V4(_) => None,
    }
}

/// Does it stand for a name? Others are not told of it.
pub fn is_of_name(ip: IpAddr) -> bool {
    number_of_name(ip).is_some()
}
