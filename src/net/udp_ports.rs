//! The UDP sockets of a session. Peers by uTP and UDP trackers share them: what is answered comes to the port that others know.
//!
//! Those of the addresses that are listened on are opened by who listens. Where none of them leads to an address another one is opened, of any
//! port, and kept. What is to go through a SOCKS5 proxy has one by its relay, as long as that stands.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::egress::interfaces::{Interfaces, Source};
use super::egress::route::Traffic;
use super::egress::{Egress, any_source};
use super::open_sockets::{Open, OpenSockets};
use super::udp_port::{Datagram, UdpPort};
use super::utp::notices::{Noticed, Notices};
use super::utp::socket::UtpSocket;
use super::utp::stream::UtpStream;
use crate::base::address::{canonical, is_of_local_network};

/// Until a proxy that relays no UDP is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// What others than uTP make of a packet.
pub trait Hears: Send + Sync + std::fmt::Debug {
    /// `by`: where it came.
    fn hear(&self, by: &UtpSocket, datagram: Datagram<'_>);
}

/// Who hears what is not of uTP.
#[derive(Debug, Default)]
struct Others {
    /// A dictionary, bencoded, is of a node.
    dht: Option<Weak<dyn Hears>>,
    trackers: Option<Weak<dyn Hears>>,
}

impl Others {
    fn of(&self, packet: &[u8]) -> Option<Arc<dyn Hears>> {
        let hears = if packet.first() == Some(&b'd') { &self.dht } else { &self.trackers };
        hears.as_ref().and_then(Weak::upgrade)
    }
}

/// Whom a socket reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    from: IpAddr,
    /// The local network alone.
    local: bool,
    /// It is none of `outgoing_interfaces`: nothing leaves this host by it but answers.
    stays: bool,
}

/// One that is open.
#[derive(Debug)]
struct Place {
    socket: Arc<UtpSocket>,
    reach: Reach,
    stop: CancellationToken,
    /// Nobody listens by it.
    spare: bool,
}

/// A socket that is listened on.
#[derive(Debug)]
pub struct Listens {
    pub socket: Arc<UtpSocket>,
    pub stop: CancellationToken,
    pub open: Arc<OpenSockets>,
}

#[derive(Debug, Default)]
struct Relayed {
    open: Option<(Arc<UtpSocket>, CancellationToken)>,
    /// The proxy relays nothing: it is not asked again before.
    not_before: Option<Instant>,
}

#[derive(Debug)]
pub struct UdpPorts {
    places: Mutex<Vec<Place>>,
    /// By the proxy's relay. Who wants it while it is asked for waits for that.
    relayed: tokio::sync::Mutex<Relayed>,
    others: RwLock<Others>,
    rng: Mutex<fastrand::Rng>,
    noticed: Noticed,
}

impl Reach {
    /// `sources`: what may leave this host by, if not by all.
    pub fn of(from: &Source, local: bool, sources: Option<&[Source]>) -> Self {
        Self { from: from.address, local, stays: sources.is_some_and(|all| !all.contains(from)) }
    }

    fn reaches(self, to: IpAddr) -> bool {
        let here = to.is_loopback();
        self.from.is_ipv4() == to.is_ipv4()
            && (self.from.is_unspecified() || self.from.is_loopback() == here)
            && (here || !self.stays)
            && (!is_of_link(self.from) || is_of_link(to))
            && (!self.local || is_of_local_network(to))
    }
}

/// Is it of a link alone? Nothing beyond that is reached from it.
fn is_of_link(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The one that leads to an address; one for the local network alone only if need be, and if it may.
fn leading<'a>(places: impl Iterator<Item = &'a Place> + Clone, to: IpAddr, local: bool) -> Option<&'a Place> {
    let mut leading = places.filter(|place| place.reach.reaches(to));
    let everywhere = leading.clone().find(|place| !place.reach.local);
    everywhere.or_else(|| leading.find(|_| local))
}

impl UdpPorts {
    /// `noticed`: what its sockets have to tell goes there.
    pub fn new(rng: fastrand::Rng, noticed: Noticed) -> Arc<Self> {
        Arc::new(Self {
            places: Mutex::default(),
            relayed: Default::default(),
            others: RwLock::default(),
            rng: Mutex::new(rng),
            noticed,
        })
    }

    /// Who hears from now on what trackers send.
    pub fn tell_trackers(&self, hears: Weak<dyn Hears>) {
        self.others.write().trackers = Some(hears);
    }

    /// Who hears from now on what nodes of the DHT send.
    pub fn tell_dht(&self, hears: Weak<dyn Hears>) {
        self.others.write().dht = Some(hears);
    }

    /// Takes a socket in that is listened on. What peers ask for by it comes out of the receiver. Inside a tokio runtime.
    pub fn listen(self: &Arc<Self>, port: UdpPort, reach: Reach, accepts: bool) -> (Listens, Receiver<UtpStream>) {
        self.open(&mut self.places.lock(), port, reach, accepts, false)
    }

    /// The socket by which an address is reached. Inside a tokio runtime.
    pub async fn to(
        self: &Arc<Self>,
        egress: &Arc<Egress>,
        traffic: Traffic,
        address: SocketAddr,
    ) -> io::Result<Arc<UtpSocket>> {
        if egress.route().is_direct(traffic) {
            self.directly_to(egress, traffic, address)
        } else {
            self.relayed(egress, traffic).await
        }
    }

    fn directly_to(
        self: &Arc<Self>,
        egress: &Egress,
        traffic: Traffic,
        address: SocketAddr,
    ) -> io::Result<Arc<UtpSocket>> {
        let to = canonical(address).ip();
        let mut places = self.places.lock();
        // One for the local network is told to no tracker.
        if let Some(known) = leading(places.iter(), to, traffic == Traffic::Peers) {
            return Ok(known.socket.clone());
        }
        let sources = egress.sources();
        let source = egress.source_to(to)?.unwrap_or_else(|| any_source(to.is_ipv6()));
        let port = egress.udp_port(traffic, &source, 0)?;
        let (opened, _) = self.open(&mut places, port, Reach::of(&source, false, sources.as_deref()), false, true);
        Ok(opened.socket)
    }

    /// The socket by which a node of the DHT is reached, or of none its relay: one that is listened on, where the node finds us again. Where
    /// nobody listens it is any.
    pub async fn to_node(
        self: &Arc<Self>,
        egress: &Arc<Egress>,
        node: Option<SocketAddr>,
    ) -> io::Result<Arc<UtpSocket>> {
        if !egress.route().is_direct(Traffic::Dht) {
            return self.relayed(egress, Traffic::Dht).await;
        }
        // Names are for a proxy.
        let address = node.ok_or(io::ErrorKind::Unsupported)?;
        let to = canonical(address).ip();
        let is_listened_on = {
            let places = self.places.lock();
            let mut listened = places.iter().filter(|place| !place.spare);
            if let Some(known) = leading(listened.clone(), to, true) {
                return Ok(known.socket.clone());
            }
            listened.next().is_some()
        };
        if is_listened_on && egress.sources().is_none() {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        self.directly_to(egress, Traffic::Dht, address)
    }

    /// Of which address families sockets are listened on: IPv4, IPv6.
    pub fn listened_families(&self) -> (bool, bool) {
        let places = self.places.lock();
        let any = |v6| places.iter().any(|place| !place.spare && place.reach.from.is_ipv6() == v6);
        (any(false), any(true))
    }

    /// The socket by the proxy's relay. It ends with the relay, or with the way out.
    pub async fn relayed(self: &Arc<Self>, egress: &Arc<Egress>, traffic: Traffic) -> io::Result<Arc<UtpSocket>> {
        let mut relayed = self.relayed.lock().await;
        if let Some((socket, _)) = relayed.open.as_ref().filter(|(_, stop)| !stop.is_cancelled()) {
            return Ok(socket.clone());
        }
        relayed.open = None;
        if relayed.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the proxy relays no UDP"));
        }
        let (port, association) = egress.relayed_port(traffic).await.inspect_err(|e| {
            relayed.not_before = (e.kind() == io::ErrorKind::Unsupported).then(|| Instant::now() + ASK_AGAIN);
        })?;
        let (Listens { socket, stop, .. }, _) = self.start(port, false);
        relayed.open = Some((socket.clone(), stop.clone()));
        let egress = egress.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = egress.while_it_lasts(association.ended()) => stop.cancel(),
                () = stop.cancelled() => {}
            }
        });
        Ok(socket)
    }

    fn open(
        self: &Arc<Self>,
        places: &mut Vec<Place>,
        port: UdpPort,
        reach: Reach,
        accepts: bool,
        spare: bool,
    ) -> (Listens, Receiver<UtpStream>) {
        let (listens, asked) = self.start(port, accepts);
        let Listens { socket, stop, .. } = &listens;
        places.push(Place { socket: socket.clone(), reach, stop: stop.clone(), spare });
        (listens, asked)
    }

    /// Takes in what comes by a port, as long as nobody stops it.
    fn start(self: &Arc<Self>, port: UdpPort, accepts: bool) -> (Listens, Receiver<UtpStream>) {
        let (stop, open) = (CancellationToken::new(), Arc::new(OpenSockets::default()));
        // Not of this thread, which may be a caller's: nothing of ours is to be left behind in it.
        let rng = self.rng.lock().fork();
        let (socket, asked) = UtpSocket::over(port, accepts, rng, stop.clone(), Notices::new(self.noticed.clone()));
        let (ports, running, is_open) = (Arc::downgrade(self), socket.clone(), Open::new(&open));
        tokio::spawn(async move {
            let others = |datagram: Datagram<'_>| {
                let others = ports.upgrade().and_then(|ports| ports.others.read().of(datagram.bytes));
                others.iter().for_each(|others| others.hear(&running, datagram));
            };
            running.clone().run(others).await;
            drop(is_open);
        });
        (Listens { socket, stop, open }, asked)
    }

    /// Where its sockets are.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.places.lock().iter().map(|place| place.socket.local()).collect()
    }

    /// Closes one that is listened on, with all its streams, and waits until it is closed.
    pub fn close(&self, listens: Listens) {
        let Listens { socket, stop, open } = listens;
        stop.cancel();
        self.places.lock().retain(|place| !Arc::ptr_eq(&place.socket, &socket));
        drop(socket);
        open.wait_closed();
    }

    /// Closes those that nobody listens by, and that are bound to what is not there any more. None: all of them.
    pub fn close_spare(&self, present: Option<&Interfaces>) {
        let goes = |place: &Place| {
            let from = place.reach.from;
            place.spare && present.is_none_or(|present| !from.is_unspecified() && !present.has(from))
        };
        self.end(goes);
    }

    /// Closes all.
    pub fn close_all(&self) {
        self.end(|_| true);
        // Nobody asks for it any more.
        if let Ok(mut relayed) = self.relayed.try_lock()
            && let Some((_, stop)) = relayed.open.take()
        {
            stop.cancel();
        }
    }

    fn end(&self, goes: impl Fn(&Place) -> bool) {
        for place in self.places.lock().extract_if(.., |place| goes(place)) {
            place.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::egress;
    use crate::net::utp::notices;

    #[test]
    fn a_socket_reaches_those_of_its_family_and_kind() {
        let reach = |from: &str, local, out: Option<&[&str]>| {
            let source = |ip: &&str| Source::from(ip.parse::<IpAddr>().expect("an address"));
            let out: Option<Vec<Source>> = out.map(|out| out.iter().map(source).collect());
            Reach::of(&source(&from), local, out.as_deref())
        };
        let to = |reach: Reach| {
            let all = ["127.0.0.1", "192.168.0.9", "192.0.2.9", "::1", "fd00::9", "2001:db8::9"];
            all.map(|ip| u8::from(reach.reaches(ip.parse().expect("an address"))))
        };
        assert_eq!(to(reach("0.0.0.0", false, None)), [1, 1, 1, 0, 0, 0]);
        assert_eq!(to(reach("::", false, None)), [0, 0, 0, 1, 1, 1]);
        assert_eq!(to(reach("192.168.0.1", false, None)), [0, 1, 1, 0, 0, 0]);
        assert_eq!(to(reach("127.0.0.1", false, None)), [1, 0, 0, 0, 0, 0]);
        assert_eq!(to(reach("192.168.0.1", true, None)), [0, 1, 0, 0, 0, 0]);
        assert_eq!(to(reach("fe80::1", false, None)), [0; 6]);
        assert_eq!(to(reach("0.0.0.0", false, Some(&[]))), [1, 0, 0, 0, 0, 0]);
        assert_eq!(to(reach("192.0.2.1", false, Some(&["192.0.2.1"]))), [0, 1, 1, 0, 0, 0]);
        assert_eq!(to(reach("127.0.0.1", false, Some(&["192.0.2.1"]))), [1, 0, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn sockets_are_shared_and_a_spare_one_is_opened_where_none_leads() {
        let (egress, ports) = (egress::direct(), UdpPorts::new(fastrand::Rng::with_seed(1), notices::channel().0));
        let here = Source::from("127.0.0.1".parse::<IpAddr>().expect("an address"));
        let port = egress.udp_port(Traffic::Peers, &here, 0).expect("bound");
        let (listens, _) = ports.listen(port, Reach::of(&here, false, None), true);
        let to = |address: &str| {
            let address = address.parse().expect("an address");
            ports.directly_to(&egress, Traffic::Trackers, address).expect("a socket").local()
        };
        assert_eq!(to("127.0.0.1:1"), listens.socket.local());
        let spare = to("192.0.2.1:1");
        assert!(spare.ip().is_unspecified() && spare == to("198.51.100.1:1") && ports.addresses().len() == 2);
        // One for the local network alone comes last, and for trackers never.
        let port = egress.udp_port(Traffic::Peers, &here, 0).expect("bound");
        let (local, _) = ports.listen(port, Reach::of(&here, true, None), true);
        assert_eq!(to("127.0.0.1:1"), listens.socket.local());
        ports.places.lock().retain(|place| !Arc::ptr_eq(&place.socket, &local.socket));
        ports.close_spare(Some(&Interfaces::default()));
        assert_eq!(ports.addresses().len(), 2, "any address is always there");
        ports.close_spare(None);
        let at = listens.socket.local();
        assert_eq!(ports.addresses(), [at]);
        let closing = ports.clone();
        tokio::task::spawn_blocking(move || closing.close(listens)).await.expect("closed");
        egress.udp_port(Traffic::Peers, &here, at.port()).expect("its port is free");
    }
}
