//! The sockets that a session listens on, as they are.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::alert::SocketType;
use crate::net::egress::endpoints::{Absent, Endpoint};
use crate::net::egress::interfaces::Source;
use crate::net::open_sockets::OpenSockets;
use crate::net::udp_ports::Listens;

/// What is open.
#[derive(Debug, Default)]
pub struct Listening {
    /// Held while sockets are closed and opened, which tasks are waited for: no task may take it.
    pub open: Mutex<Sockets>,
    /// The places that others know, with the ports that are open there.
    known: Mutex<Vec<(Source, u16)>>,
    /// The port to tell others, 0 where there is none.
    port: AtomicU16,
}

#[derive(Debug, Default)]
pub struct Sockets {
    pub places: Vec<Place>,
    /// Failures that were told, and go on.
    pub told: HashSet<Failure>,
}

/// The sockets of a place.
#[derive(Debug)]
pub struct Place {
    pub endpoint: Endpoint,
    pub tcp: Option<Tcp>,
    pub udp: Option<Listens>,
}

#[derive(Debug)]
pub struct Tcp {
    pub bound: SocketAddr,
    pub stop: CancellationToken,
    pub open: Arc<OpenSockets>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    Socket(Endpoint, SocketType),
    Entry(Absent),
}

impl Listening {
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Acquire)
    }

    /// The sockets are these now. `port`: of what others may come by.
    pub fn set(&self, sockets: &Sockets, port: u16) {
        let known = sockets.places.iter().filter(|place| !place.endpoint.local);
        *self.known.lock() = known.filter_map(|place| Some((place.endpoint.source.clone(), place.port()?))).collect();
        self.port.store(port, Ordering::Release);
    }

    /// The session is over: so are its sockets, whoever still holds it.
    pub fn drop_all(&self) {
        self.open.lock().places.clear();
    }

    /// Where the DHT listens, of the places there are: it has one socket. All of IPv6's serves IPv4, too. `sources`: those that lead out, if not
    /// all do.
    pub fn dht_place(&self, sources: Option<&[Source]>) -> Option<(Source, u16)> {
        let known = self.known.lock();
        let leads = |place: &&(Source, u16)| {
            place.0.address.is_loopback() || sources.is_none_or(|sources| sources.contains(&place.0))
        };
        let mut leading = known.iter().filter(leads);
        let v6 = |place: &&(Source, u16)| place.0.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        leading.clone().find(v6).or_else(|| leading.next()).cloned()
    }
}

impl Place {
    pub fn port(&self) -> Option<u16> {
        let udp = || self.udp.as_ref().map(|udp| udp.socket.local().port());
        self.tcp.as_ref().map(|tcp| tcp.bound.port()).or_else(udp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str, local: bool) -> Place {
        let address: SocketAddr = address.parse().expect("an address");
        let (source, port) = (address.ip().into(), address.port());
        let tcp = Tcp { bound: address, stop: CancellationToken::new(), open: Arc::default() };
        let endpoint = Endpoint { entry: address.to_string(), source, port, local };
        Place { endpoint, tcp: Some(tcp), udp: None }
    }

    #[test]
    fn the_one_socket_of_the_dht_is_where_both_families_reach_it() {
        let dht = |open: &[&str], local, sources: Option<&[&str]>| {
            let sockets =
                Sockets { places: open.iter().map(|address| place(address, local)).collect(), ..Sockets::default() };
            let listening = Listening::default();
            listening.set(&sockets, 0);
            let source = |ip: &&str| Source::from(ip.parse::<IpAddr>().expect("an address"));
            let sources: Option<Vec<Source>> = sources.map(|ips| ips.iter().map(source).collect());
            listening
                .dht_place(sources.as_deref())
                .map(|(source, port)| SocketAddr::new(source.address, port).to_string())
        };
        assert_eq!(dht(&["0.0.0.0:6881", "[::]:6882"], false, None).as_deref(), Some("[::]:6882"));
        assert_eq!(dht(&["192.0.2.1:1", "[2001:db8::1]:2"], false, None).as_deref(), Some("192.0.2.1:1"));
        assert_eq!(dht(&["[2001:db8::1]:2", "192.0.2.1:1"], false, None).as_deref(), Some("[2001:db8::1]:2"));
        assert_eq!(
            dht(&["[2001:db8::1]:2", "192.0.2.1:1"], false, Some(&["192.0.2.1"])).as_deref(),
            Some("192.0.2.1:1")
        );
        assert_eq!(dht(&["192.0.2.1:1"], false, Some(&["192.0.2.9"])), None);
        assert_eq!((dht(&["192.0.2.1:1"], true, None), dht(&[], false, None)), (None, None));
    }
}
