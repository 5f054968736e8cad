//! Compact peer lists (BEP 23, and BEP 7 for IPv6): 6 or 18 bytes an address, as trackers, peers and DHT nodes send them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an address and port.
pub const V4_BYTES: usize = 6;
pub const V6_BYTES: usize = 18;

/// Can one connect there? Port 0, no address, or one that means many is nobody.
pub fn is_usable(addr: &SocketAddr) -> bool {
    let ip = addr.ip();
    let broadcast = matches!(ip, std::net::IpAddr::V4(v4) if v4.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// All IPv4 addresses of a list, also unusable ones. An incomplete one at its end is left out.
pub fn parse_v4(bytes: &[u8]) -> impl ExactSizeIterator<Item = SocketAddr> + Clone {
    let (entries, _) = bytes.as_chunks::<V4_BYTES>();
    entries
        .iter()
        .map(|&[a, b, c, d, hi, lo]| SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([hi, lo])))
}

/// All IPv6 addresses of a list, also unusable ones. One that maps an IPv4 address becomes that.
pub fn parse_v6(bytes: &[u8]) -> impl ExactSizeIterator<Item = SocketAddr> + Clone {
    let (entries, _) = bytes.as_chunks::<V6_BYTES>();
    entries.iter().map(|entry| {
        let (ip, port) = entry.split_first_chunk().map_or((&[0; 16], &entry[..0]), |split| split);
        let port = port.try_into().map_or(0, u16::from_be_bytes);
        SocketAddr::new(Ipv6Addr::from(*ip).to_canonical(), port)
    })
}

/// Appends an address to the list of its family.
pub fn encode(addr: SocketAddr, v4: &mut Vec<u8>, v6: &mut Vec<u8>) {
    let out = match addr.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => {
            v4.extend_from_slice(&ip.octets());
            v4
        }
        std::net::IpAddr::V6(ip) => {
            v6.extend_from_slice(&ip.octets());
            v6
        }
    };
    out.extend_from_slice(&addr.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(s: &str) -> SocketAddr {
        s.parse().expect("an address")
    }

    #[test]
    fn round_trip() {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for a in ["1.2.3.4:6881", "[2001:db8::1]:80", "[::ffff:5.6.7.8]:9"] {
            encode(addr(a), &mut v4, &mut v6);
        }
        assert_eq!(v4, b"\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x09");
        assert_eq!(parse_v4(&v4).collect::<Vec<_>>(), [addr("1.2.3.4:6881"), addr("5.6.7.8:9")]);
        assert_eq!(parse_v6(&v6).collect::<Vec<_>>(), [addr("[2001:db8::1]:80")]);
    }

    #[test]
    fn a_mapped_address_is_ipv4() {
        let bytes = [&Ipv4Addr::new(5, 6, 7, 8).to_ipv6_mapped().octets()[..], &[0, 9]].concat();
        assert_eq!(parse_v6(&bytes).collect::<Vec<_>>(), [addr("5.6.7.8:9")]);
    }

    #[test]
    fn an_incomplete_entry_is_left_out() {
        assert_eq!(parse_v4(&[1, 2, 3, 4, 0, 5, 6]).len(), 1);
        assert_eq!(parse_v6(&[1; 17]).len(), 0);
    }

    #[test]
    fn usable() {
        for bad in ["0.0.0.0:1", "1.2.3.4:0", "224.0.0.1:5", "255.255.255.255:5", "[::]:1", "[ff02::1]:1"] {
            assert!(!is_usable(&addr(bad)), "{bad}");
        }
        assert!(is_usable(&addr("127.0.0.1:1")) && is_usable(&addr("[fe80::1]:1")));
    }
}
