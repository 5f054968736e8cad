//! Peers of which a host's name is known and no address: who goes out by a proxy that looks names up never learns it.
//!
//! The torrent's list of peers holds addresses. Such a peer has one there that stands for it, to which nothing can be sent; whoever dials it finds
//! its name here.

use std::net::SocketAddr;

use parking_lot::Mutex;

use crate::base::address;

/// Names a torrent may have: a magnet tells as many.
const MOST_NAMES: usize = 256;
/// Of a host, as in DNS.
const MAX_NAME: usize = 253;

#[derive(Debug, Default)]
pub struct NamedPeers {
    names: Mutex<Vec<(String, u16)>>,
}

impl NamedPeers {
    /// The address that stands for a peer from now on. None: there are too many, or no host is called so.
    pub fn note(&self, host: &str, port: u16) -> Option<SocketAddr> {
        // What a proxy of HTTP takes for the end of a name is in none.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if host.is_empty() || host.len() > MAX_NAME || !host.bytes().all(fits) {
            return None;
        }
        let mut names = self.names.lock();
        let known = names.iter().position(|(name, at)| name.eq_ignore_ascii_case(host) && *at == port);
        let number = match known {
            Some(number) => number,
            None if names.len() < MOST_NAMES => {
                names.push((host.to_owned(), port));
                names.len() - 1
            }
            None => return None,
        };
        Some(address::of_name(u16::try_from(number).ok()?, port))
    }

    /// Whom an address stands for.
    pub fn find(&self, address: SocketAddr) -> Option<(String, u16)> {
        let number = address::number_of_name(address.ip())?;
        self.names.lock().get(usize::from(number)).filter(|(_, port)| *port == address.port()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_an_address_that_is_nobodys() {
        let peers = NamedPeers::default();
        let (one, other) =
            (peers.note("a.example", 6881).expect("noted"), peers.note("b.example", 6881).expect("noted"));
        assert!(one.ip() != other.ip() && address::is_of_name(one.ip()) && one.port() == 6881);
        assert_eq!(peers.note("A.example", 6881), Some(one));
        assert_eq!(peers.find(other), Some(("b.example".to_owned(), 6881)));
        for address in ["[100::9]:6881", "[100::]:6882", "[2001:db8::1]:6881", "192.0.2.1:6881"] {
            assert_eq!(peers.find(address.parse().expect("an address")), None);
        }
        for bad in ["", "a b", "a\r\nb", "x@10.0.0.1", "a:1", "é.example", &"x".repeat(254)] {
            assert_eq!(peers.note(bad, 1), None, "{bad:?}");
        }
        let noted = (0..1000).filter(|n| peers.note(&format!("h{n}"), 1).is_some()).count();
        assert_eq!(noted, MOST_NAMES - 2);
    }
}
