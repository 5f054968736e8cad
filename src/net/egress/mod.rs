//! How the library gets out: every connection is begun here, every other socket bound, every name resolved, as the session's [`Route`] says.
//!
//! What may not go directly is refused here, whoever asks. When the route changes, [`Egress::end`] ends what went by the old one.

pub mod address_changes;
pub mod endpoints;
pub mod http_connect;
pub mod interfaces;
pub mod options;
pub mod proxy;
mod proxy_health;
pub mod route;
mod sockets;
mod socks;
pub mod udp_associate;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::endpoints::outgoing;
use self::interfaces::{Interfaces, Source};
use self::options::SocketOptions;
use self::proxy::{Destination, ProxyError};
use self::proxy_health::{Failed, ProxyHealth};
use self::route::{Proxy, Route, Traffic, Way};
use self::udp_associate::Association;
use super::udp_port::UdpPort;
use crate::base::time::Time;

/// A proxy that does not take a connection within that does not work.
const PROXY_PATIENCE: Duration = Duration::from_secs(10);
/// Ports of a range that are tried for one connection.
const MOST_PORTS_TRIED: usize = 100;
/// So long its name is not looked up again, and so many of its addresses are tried.
const NAME_LIFE: Duration = Duration::from_secs(60);
const MAX_ADDRESSES: usize = 4;
/// Somebody far away, of each family (RFC 5737, 3849): there is no such host, and nothing is sent to it.
const FAR: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// How often it is looked whether a proxy that failed works again.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// Failures of the proxy that wait to be told.
const MOST_FAILURES: usize = 4;

/// The way out of a session, as long as its settings say the same.
#[derive(Debug)]
pub struct Egress {
    route: Route,
    options: Mutex<SocketOptions>,
    /// The port of our side of the next connection, where those are of a range.
    next_port: AtomicU16,
    /// The source of the next one, where those are of several.
    next_source: AtomicUsize,
    health: Mutex<ProxyHealth>,
    /// Where the proxy is, and when it was looked up. Who asks while that is being done waits for it.
    proxy_at: tokio::sync::Mutex<Option<(Instant, Vec<SocketAddr>)>>,
    epoch: Instant,
    failures: mpsc::Sender<ProxyFailure>,
    ended: CancellationToken,
}

/// The proxy does not work.
#[derive(Debug)]
pub struct ProxyFailure {
    pub message: String,
    /// 0: none.
    pub os_error: i32,
    /// The program is to hear of it, once until it works again.
    pub tell: bool,
}

impl Egress {
    /// Failures of the proxy come out of the receiver.
    pub fn new(route: Route, options: SocketOptions) -> (Self, mpsc::Receiver<ProxyFailure>) {
        let (failures, told) = mpsc::channel(MOST_FAILURES);
        let egress = Self {
            route,
            options: Mutex::new(options),
            next_port: AtomicU16::new(0),
            next_source: AtomicUsize::new(0),
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

    /// The sources that what goes out may have: those of `outgoing_interfaces` that are there. None: any.
    pub fn sources(&self) -> Option<Vec<Source>> {
        if self.route.outgoing().is_empty() {
            return None;
        }
        // Where the system does not tell there is none.
        self.sources_of(&Interfaces::now().unwrap_or_default())
    }

    /// The same, of interfaces that are known.
    pub fn sources_of(&self, present: &Interfaces) -> Option<Vec<Source>> {
        let given = self.route.outgoing();
        (!given.is_empty()).then(|| outgoing(given, present))
    }

    /// The addresses of ours that others see what goes out come from, or what is before a translator of addresses. Nothing is sent.
    pub fn ways_out(&self) -> Vec<IpAddr> {
        match self.sources() {
            Some(sources) => sources.into_iter().map(|source| source.address).collect(),
            None => FAR.into_iter().filter_map(|to| sockets::address_towards((to, 9).into()).ok()).collect(),
        }
    }

    /// The source of what goes to an address next, in turn. None: any. What stays on this host may have any, too.
    pub fn source_to(&self, to: IpAddr) -> io::Result<Option<Source>> {
        if to.to_canonical().is_loopback() {
            return Ok(None);
        }
        let Some(mut sources) = self.sources() else { return Ok(None) };
        sources.retain(|source| source.address.is_ipv4() == to.is_ipv4());
        let turn = self.next_source.fetch_add(1, Ordering::Relaxed);
        match turn.checked_rem(sources.len()) {
            Some(turn) => Ok(sources.into_iter().nth(turn)),
            None => Err(gone()),
        }
    }

    /// Connects by TCP. A name is for the proxy to look up.
    pub async fn connect(&self, traffic: Traffic, to: Destination<'_>) -> io::Result<TcpStream> {
        match (self.route.way(traffic), to) {
            (Way::Direct, Destination::Address(address)) if traffic == Traffic::Peers => {
                self.connect_peer(address).await
            }
            (Way::Direct, Destination::Address(address)) => self.connect_directly(address).await,
            (Way::Direct, Destination::Name(..)) => Err(io::Error::other("the name was not resolved")),
            // Apart: it is large, and those who dial hold several.
            (Way::Through(proxy), to) => Box::pin(self.through(proxy, to)).await,
            (Way::Nowhere, _) => Err(nowhere()),
        }
    }

    async fn connect_directly(&self, address: SocketAddr) -> io::Result<TcpStream> {
        sockets::connect(self.source_to(address.ip())?.as_ref(), 0, address, None).await
    }

    /// From a port of the range, if there is one.
    async fn connect_peer(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let options = *self.options.lock();
        let source = self.source_to(address.ip())?;
        let Some(ports) = options.ports() else {
            return sockets::connect(source.as_ref(), 0, address, Some(&options)).await;
        };
        let (first, number) = (*ports.start(), ports.len().max(1));
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..number.min(MOST_PORTS_TRIED) {
            let next = usize::from(self.next_port.fetch_add(1, Ordering::Relaxed)) % number;
            let port = first.saturating_add(u16::try_from(next).unwrap_or(0));
            match sockets::connect(source.as_ref(), port, address, Some(&options)).await {
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
        if let Some(what) = proxy.lacks() {
            return Err(self.proxy_failed(ProxyError::of_proxy(what).into(), None));
        }
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

    /// Waits until the proxy takes connections again, and greets us. Another way out ends the wait: false.
    pub async fn until_proxy_works(&self) -> bool {
        let works = async {
            let Some(proxy) = self.route.proxy().filter(|proxy| proxy.lacks().is_none()) else { return false };
            loop {
                sleep(LOOK_AGAIN).await;
                let Ok(stream) = self.reach(proxy).await else { continue };
                if proxy.greets(stream).await {
                    // Nobody needs to wait any longer.
                    self.health.lock().works();
                    return true;
                }
            }
        };
        self.while_it_lasts(works).await.unwrap_or(false)
    }

    /// The proxy is set in a way that leads to none: that is told before anybody asks for it.
    pub fn look_at_proxy(&self) {
        if let Some(what) = self.route.proxy().and_then(Proxy::lacks) {
            self.proxy_failed(ProxyError::of_proxy(what).into(), None);
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
                    let mut found = self.look_up(&proxy.host, proxy.port).await?;
                    found.truncate(MAX_ADDRESSES);
                    *known = Some((Instant::now(), found.clone()));
                    found
                }
            }
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        // None of them may use up the others' time.
        let patience = PROXY_PATIENCE / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        for address in addresses {
            match timeout(patience, self.connect_directly(address)).await {
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
        let Failed { first, tell } = self.health.lock().failed(self.now());
        if first || tell {
            let failure = ProxyFailure { message: error.to_string(), os_error: os_error.unwrap_or(0), tell };
            // Who has not heard of the last ones needs no more.
            let _ = self.failures.try_send(failure);
        }
        error
    }

    fn now(&self) -> Time {
        Time::BEGINNING + self.epoch.elapsed()
    }

    /// Listens for peers by TCP. One socket serves one family.
    pub fn listen(&self, at: &Source, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
        self.directly(Traffic::Peers)?;
        let options = *self.options.lock();
        let listener = sockets::listen(at, port, &options)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    }

    /// A UDP socket that large packets are sent by in trains.
    pub fn udp_port(&self, traffic: Traffic, at: &Source, port: u16) -> io::Result<UdpPort> {
        self.directly(traffic)?;
        UdpPort::new(sockets::udp(at, port)?, None)
    }

    /// A UDP socket by the relay of a SOCKS5 proxy, good as long as what comes with it.
    pub async fn relayed_port(&self, traffic: Traffic) -> io::Result<(UdpPort, Association)> {
        let Way::Through(proxy) = self.route.way(traffic) else { return Err(nowhere()) };
        if !self.route.carries_udp(traffic) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this proxy carries no UDP"));
        }
        let stream = self.connect_proxy(proxy).await?;
        let silent = || Err(ProxyError::of_proxy("the SOCKS proxy does not answer"));
        let asked = timeout(PROXY_PATIENCE, Association::ask(stream, proxy)).await;
        match asked.unwrap_or_else(|_| silent()) {
            Err(error) if error.of_proxy => Err(self.proxy_failed(error.into(), None)),
            associated => {
                self.proxy_answered();
                let association = associated?;
                let relay = association.relay;
                let source = self.source_to(relay.ip())?.unwrap_or_else(|| any_source(relay.is_ipv6()));
                Ok((UdpPort::new(sockets::udp(&source, 0)?, Some(relay))?, association))
            }
        }
    }

    /// The addresses of a host and port. Whoever calls bounds the time, and how many are used.
    pub async fn resolve(&self, traffic: Traffic, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if !self.route.resolves(traffic) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "names are looked up by the proxy alone"));
        }
        self.look_up(host, port).await
    }

    /// Asks the system, which asks by its own ways: not while ours are gone.
    async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let (name, ended) = (host.to_owned(), self.ended.clone());
        let given = self.route.outgoing().to_vec();
        // It waits for a thread, and others before it for their answers: meanwhile it may be too late to ask.
        let lookup = move || {
            if ended.is_cancelled() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the way out was changed meanwhile"));
            }
            if !given.is_empty() && outgoing(&given, &Interfaces::now()?).is_empty() {
                return Err(gone());
            }
            sockets::look_up(&name, port)
        };
        tokio::task::spawn_blocking(lookup).await.unwrap_or_else(|e| Err(io::Error::other(e)))
    }

    /// It may not go through a proxy.
    fn directly(&self, traffic: Traffic) -> io::Result<()> {
        match self.route.way(traffic) {
            Way::Direct => Ok(()),
            Way::Through(_) => Err(io::Error::new(io::ErrorKind::PermissionDenied, "this is to go through the proxy")),
            Way::Nowhere => Err(nowhere()),
        }
    }
}

fn nowhere() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "force_proxy keeps it from going out directly")
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NetworkUnreachable, "none of outgoing_interfaces is there")
}

/// Any address of a family.
pub fn any_source(v6: bool) -> Source {
    let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    any.into()
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

    fn here() -> Source {
        IpAddr::from(Ipv4Addr::LOCALHOST).into()
    }

    async fn dial(egress: &Egress, to: SocketAddr) -> io::Result<TcpStream> {
        egress.connect(Traffic::Peers, Destination::Address(to)).await
    }

    #[tokio::test]
    async fn connections_come_from_the_ports_that_are_set() {
        let other = direct();
        let (listener, to) = other.listen(&here(), 0).expect("listens");
        // Free ones, one after the other: whose, the system says.
        let (_probe, at) = other.listen(&here(), 0).expect("listens");
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
        let (listener, to) = egress.listen(&here(), 0).expect("listens");
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
        assert!(egress.listen(&here(), 0).is_err());
        assert!([Traffic::Peers, Traffic::Trackers].iter().all(|t| egress.udp_port(*t, &here(), 0).is_err()));
        assert!(egress.resolve(Traffic::Peers, "localhost", 1).await.is_err());
        assert_eq!(egress.resolve(Traffic::Peers, "127.0.0.1", 1).await.expect("no name").len(), 1);
    }

    #[tokio::test]
    async fn nothing_goes_out_while_the_outgoing_interfaces_are_gone() {
        let egress = egress(|s| s.outgoing_interfaces = "tun-that-is-not-there".into());
        let far: SocketAddr = "192.0.2.1:1".parse().expect("an address");
        let refused = dial(&egress, far).await.expect_err("gone");
        assert_eq!(refused.kind(), io::ErrorKind::NetworkUnreachable);
        assert!(egress.sources() == Some(Vec::new()) && egress.source_to(far.ip()).is_err());
        let lookup = egress.resolve(Traffic::Trackers, "localhost", 1).await;
        assert_eq!(lookup.expect_err("gone").kind(), io::ErrorKind::NetworkUnreachable);
        // What stays here goes.
        let (_listener, to) = egress.listen(&here(), 0).expect("listens");
        dial(&egress, to).await.expect("connects");
    }
}
