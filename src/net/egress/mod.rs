//! How the library gets out: every connection is begun here, every other socket bound, every name resolved, as the session's [`Route`] says.
//!
//! What may not go directly is refused here, whoever asks. When the route changes, [`Egress::end`] ends what went by the old one.

pub mod http_connect;
pub mod options;
pub mod proxy;
mod proxy_health;
pub mod route;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::options::SocketOptions;
use self::proxy::{Destination, ProxyError};
use self::proxy_health::ProxyHealth;
use self::route::{Proxy, Route, Traffic, Way};
use super::udp_port::UdpPort;
use crate::base::time::Time;

/// A proxy that does not take a connection within that does not work.
const PROXY_PATIENCE: Duration = Duration::from_secs(10);
/// Ports of a range that are tried for one connection.
const MOST_PORTS_TRIED: usize = 100;
/// So long its name is not looked up again, and so many of its addresses are tried.
const NAME_LIFE: Duration = Duration::from_secs(60);
const MAX_ADDRESSES: usize = 4;
/// Failures of the proxy that wait to be told.
const MOST_FAILURES: usize = 4;

/// The way out of a session, as long as its settings say the same.
#[derive(Debug)]
pub struct Egress {
    route: Route,
    options: Mutex<SocketOptions>,
    /// The port of our side of the next connection, where those are of a range.
    next_port: AtomicU16,
    health: Mutex<ProxyHealth>,
    /// Where the proxy is, and when it was looked up. Who asks while that is being done waits for it.
    proxy_at: tokio::sync::Mutex<Option<(Instant, Vec<SocketAddr>)>>,
    epoch: Instant,
    failures: mpsc::Sender<ProxyFailure>,
    ended: CancellationToken,
}

/// The proxy does not work: told once until it works again.
#[derive(Debug)]
pub struct ProxyFailure {
    pub message: String,
    /// 0: none.
    pub os_error: i32,
}

impl Egress {
    /// Failures of the proxy come out of the receiver.
    pub fn new(route: Route, options: SocketOptions) -> (Self, mpsc::Receiver<ProxyFailure>) {
        let (failures, told) = mpsc::channel(MOST_FAILURES);
        let egress = Self {
            route,
            options: Mutex::new(options),
            next_port: AtomicU16::new(0),
            health: Mutex::default(),
            proxy_at: tokio::sync::Mutex::default(),
            epoch: Instant::now(),
            failures,
            ended: CancellationToken::new(),
        };
        (egress, told)
    }

    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Of sockets that are opened from now on.
    pub fn set_options(&self, options: SocketOptions) {
        *self.options.lock() = options;
    }

    /// Another one takes its place: what it began is to end.
    pub fn end(&self) {
        self.ended.cancel();
    }

    pub fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// The outcome, or None if this way out ends before.
    pub async fn while_it_lasts<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => None,
            outcome = work => Some(outcome),
        }
    }

    /// Connects by TCP, from a local address of the same family if one is named. A name is for the proxy to look up.
    pub async fn connect(&self, traffic: Traffic, local: Option<IpAddr>, to: Destination<'_>) -> io::Result<TcpStream> {
        match (self.route.way(traffic), to) {
            (Way::Direct, Destination::Address(address)) if traffic == Traffic::Peers => {
                self.connect_peer(local, address).await
            }
            (Way::Direct, Destination::Address(address)) => connect(local, address).await,
            (Way::Direct, Destination::Name(..)) => Err(io::Error::other("the name was not resolved")),
            // Apart: it is large, and those who dial hold several.
            (Way::Through(proxy), to) => Box::pin(self.through(proxy, to)).await,
            (Way::Nowhere, _) => Err(nowhere()),
        }
    }

    /// From a port of the range, if there is one.
    async fn connect_peer(&self, local: Option<IpAddr>, address: SocketAddr) -> io::Result<TcpStream> {
        let options = *self.options.lock();
        let Some(ports) = options.ports() else { return connect_from(local, 0, address, Some(&options)).await };
        let (first, number) = (*ports.start(), ports.len().max(1));
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..number.min(MOST_PORTS_TRIED) {
            let next = usize::from(self.next_port.fetch_add(1, Ordering::Relaxed)) % number;
            let port = first.saturating_add(u16::try_from(next).unwrap_or(0));
            match connect_from(local, port, address, Some(&options)).await {
                Err(e) if matches!(e.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => last = e,
                outcome => return outcome,
            }
        }
        Err(last)
    }

    /// The HTTP proxy that is asked for what is fetched in plain: it takes whole requests, and many connect to the port of HTTPS alone.
    pub fn takes_requests(&self, traffic: Traffic) -> Option<&Proxy> {
        match self.route.way(traffic) {
            Way::Through(proxy) if proxy.kind.is_http() && !self.route.resolves(traffic) => Some(proxy),
            _ => None,
        }
    }

    /// A connection with the proxy itself.
    pub async fn connect_proxy(&self, proxy: &Proxy) -> io::Result<TcpStream> {
        if !self.health.lock().may_try(self.now()) {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the proxy failed a moment ago"));
        }
        let failed = |e: io::Error| {
            let error = io::Error::new(e.kind(), format!("the proxy cannot be reached: {e}"));
            self.proxy_failed(error, e.raw_os_error())
        };
        match timeout(PROXY_PATIENCE * 2, self.reach(proxy)).await {
            Ok(reached) => reached.map_err(failed),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// It answered what was asked on such a connection.
    pub fn proxy_answered(&self) {
        self.health.lock().works();
    }

    /// It refuses us.
    pub fn proxy_refused(&self) -> io::Error {
        self.proxy_failed(ProxyError::of_proxy(http_connect::WRONG_LOGIN).into(), None)
    }

    async fn through(&self, proxy: &Proxy, to: Destination<'_>) -> io::Result<TcpStream> {
        let stream = self.connect_proxy(proxy).await?;
        match proxy.pass(stream, to).await {
            Err(error) if error.of_proxy => Err(self.proxy_failed(error.into(), None)),
            passed => {
                self.proxy_answered();
                Ok(passed?)
            }
        }
    }

    /// The proxy itself. Its own name can be looked up by nobody else.
    async fn reach(&self, proxy: &Proxy) -> io::Result<TcpStream> {
        let addresses = {
            let mut known = self.proxy_at.lock().await;
            match known.as_ref() {
                Some((at, addresses)) if at.elapsed() < NAME_LIFE => addresses.clone(),
                _ => {
                    let found = lookup_host((proxy.host.as_str(), proxy.port)).await?;
                    let found: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
                    *known = Some((Instant::now(), found.clone()));
                    found
                }
            }
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        // None of them may use up the others' time.
        let patience = PROXY_PATIENCE / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        for address in addresses {
            match timeout(patience, connect(None, address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(e)) => last = e,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        // It may have moved.
        *self.proxy_at.lock().await = None;
        Err(last)
    }

    fn proxy_failed(&self, error: io::Error, os_error: Option<i32>) -> io::Error {
        if self.health.lock().failed(self.now()) {
            let failure = ProxyFailure { message: error.to_string(), os_error: os_error.unwrap_or(0) };
            // Who has not heard of the last ones needs no more.
            let _ = self.failures.try_send(failure);
        }
        error
    }

    fn now(&self) -> Time {
        Time::BEGINNING + self.epoch.elapsed()
    }

    /// Listens for peers by TCP. One socket serves one family.
    pub fn listen(&self, address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
        self.directly(Traffic::Peers)?;
        let socket = of_one_family(address, Type::STREAM, Protocol::TCP)?;
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        let options = *self.options.lock();
        options.set_on((&socket).into(), address.is_ipv6());
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        let listener = TcpListener::from_std(socket.into())?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    }

    /// A UDP socket.
    pub async fn udp(&self, traffic: Traffic, local: SocketAddr) -> io::Result<UdpSocket> {
        self.directly(traffic)?;
        UdpSocket::bind(local).await
    }

    /// A UDP socket for peers on a listen address, as large packets are sent in trains.
    pub fn udp_port(&self, local: SocketAddr) -> io::Result<UdpPort> {
        self.directly(Traffic::Peers)?;
        let socket = of_one_family(local, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&local.into())?;
        UdpPort::new(UdpSocket::from_std(socket.into())?)
    }

    /// The port that a UDP socket would have there: one is bound for a moment. For who opens his own socket.
    pub fn probe_udp(&self, traffic: Traffic, local: SocketAddr) -> io::Result<SocketAddr> {
        self.directly(traffic)?;
        std::net::UdpSocket::bind(local)?.local_addr()
    }

    /// The addresses of a host and port. Whoever calls bounds the time, and how many are used.
    pub async fn resolve(&self, traffic: Traffic, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if !self.route.resolves(traffic) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "names are looked up by the proxy alone"));
        }
        let (name, ended) = (host.to_owned(), self.ended.clone());
        // It waits for a thread, and others before it for their answers: meanwhile it may be too late to ask.
        let lookup = move || match ended.is_cancelled() {
            true => Err(io::Error::new(io::ErrorKind::PermissionDenied, "the way out was changed meanwhile")),
            false => Ok((name.as_str(), port).to_socket_addrs()?.collect()),
        };
        tokio::task::spawn_blocking(lookup).await.unwrap_or_else(|e| Err(io::Error::other(e)))
    }

    /// No proxy carries it.
    fn directly(&self, traffic: Traffic) -> io::Result<()> {
        match self.route.way(traffic) {
            Way::Direct => Ok(()),
            Way::Through(_) => Err(io::Error::new(io::ErrorKind::PermissionDenied, "this does not go through a proxy")),
            Way::Nowhere => Err(nowhere()),
        }
    }
}

fn nowhere() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "force_proxy keeps it from going out directly")
}

async fn connect(local: Option<IpAddr>, address: SocketAddr) -> io::Result<TcpStream> {
    connect_from(local, 0, address, None).await
}

/// From a local address and port, if they are named.
async fn connect_from(
    local: Option<IpAddr>,
    port: u16,
    address: SocketAddr,
    options: Option<&SocketOptions>,
) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(options) = options {
        options.set_on((&socket).into(), address.is_ipv6());
    }
    if port > 0 {
        // Others go elsewhere from the same port.
        socket.set_reuseaddr(true)?;
    }
    if local.is_some() || port > 0 {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        socket.bind(SocketAddr::new(local.unwrap_or(any), port))?;
    }
    socket.connect(address).await
}

/// A socket for this address's family alone, to be bound.
fn of_one_family(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // IPv4 has sockets of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// As without any settings.
#[cfg(test)]
pub fn direct() -> std::sync::Arc<Egress> {
    std::sync::Arc::new(Egress::new(Route::default(), SocketOptions::of(&crate::settings::Settings::default())).0)
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;
    use crate::settings::Settings;

    fn egress(change: impl FnOnce(&mut Settings)) -> Egress {
        let mut settings = Settings::default();
        change(&mut settings);
        Egress::new(Route::of(&settings), SocketOptions::of(&settings)).0
    }

    async fn dial(egress: &Egress, to: SocketAddr) -> io::Result<TcpStream> {
        egress.connect(Traffic::Peers, None, Destination::Address(to)).await
    }

    #[tokio::test]
    async fn connections_come_from_the_ports_that_are_set() {
        let other = direct();
        let (listener, to) = other.listen("127.0.0.1:0".parse().expect("an address")).expect("listens");
        // Free ones, one after the other: whose, the system says.
        let (_probe, at) = other.listen("127.0.0.1:0".parse().expect("an address")).expect("listens");
        let first = at.port().min(65_000) + 1;
        let egress = egress(|s| (s.outgoing_port, s.num_outgoing_ports) = (i64::from(first), 9));
        let mut kept = Vec::new();
        for _ in 0..5 {
            let stream = dial(&egress, to).await.expect("connects");
            let port = stream.local_addr().expect("bound").port();
            assert!((first..=first + 9).contains(&port), "{port} of {first} and 9 more");
            kept.push((stream, listener.accept().await.expect("came")));
        }
        // Each once to one address; then there is none.
        while let Ok(stream) = dial(&egress, to).await {
            kept.push((stream, listener.accept().await.expect("came")));
            assert!(kept.len() <= 10);
        }
    }

    #[tokio::test]
    async fn sockets_are_set_as_the_settings_say() {
        let egress = egress(|s| {
            (s.peer_dscp, s.recv_socket_buffer_size, s.send_socket_buffer_size) = (8, 100_000, 50_000);
        });
        let (listener, to) = egress.listen("127.0.0.1:0".parse().expect("an address")).expect("listens");
        let dialled = dial(&egress, to).await.expect("connects");
        let (accepted, _) = listener.accept().await.expect("came");
        for socket in [SockRef::from(&dialled), SockRef::from(&accepted)] {
            assert_eq!(socket.tos_v4().expect("told"), 8 << 2);
            // Linux counts its own use twice.
            assert!((50_000..=200_000).contains(&socket.send_buffer_size().expect("told")));
            assert!((100_000..=400_000).contains(&socket.recv_buffer_size().expect("told")));
        }
        egress.set_options(SocketOptions::of(&Settings { peer_dscp: 0, ..Settings::default() }));
        let later = dial(&egress, to).await.expect("connects");
        assert_eq!(SockRef::from(&later).tos_v4().expect("told"), 0);
    }

    #[tokio::test]
    async fn what_is_to_go_through_a_proxy_opens_no_socket_of_its_own() {
        let egress = egress(|s| (s.proxy_type, s.proxy_hostname) = (2, "127.0.0.1".into()));
        let here = "127.0.0.1:0".parse().expect("an address");
        assert!(egress.listen(here).is_err() && egress.udp_port(here).is_err());
        assert!(egress.udp(Traffic::Trackers, here).await.is_err() && egress.udp(Traffic::Dht, here).await.is_err());
        assert!(egress.resolve(Traffic::Peers, "localhost", 1).await.is_err());
        assert_eq!(egress.resolve(Traffic::Peers, "127.0.0.1", 1).await.expect("no name").len(), 1);
    }
}
