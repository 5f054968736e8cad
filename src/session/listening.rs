//! The sockets that a session listens on: at each place of `listen_interfaces` one of TCP and one of UDP, of the same port where that is free.
//!
//! [`listen_as_set`] makes of what is open what is to be open, when settings or the addresses of this host have changed. What stays is not
//! touched.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::dialer;
use super::listen_sockets::{Failure, Place, Sockets, Tcp};
use super::shared::Shared;
use crate::alert::{Alert, SocketType};
use crate::base::error::{Error, Operation, Status};
use crate::base::storage_index::StorageIndex;
use crate::net::egress::endpoints::{Absent, Endpoint, endpoints};
use crate::net::egress::interfaces::{Interfaces, Source};
use crate::net::egress::route::Traffic;
use crate::net::open_sockets::{Open, OpenSockets};
use crate::net::transport::Transport;
use crate::net::udp_ports::{Listens, Reach};
use crate::net::utp::stream::UtpStream;
use crate::settings::{Settings, parse_listen_interfaces};

/// Which sockets there are to be.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    tcp: bool,
    udp: bool,
}

/// Opens and closes sockets as the settings say, and as the addresses are. Says how it went.
pub fn listen_as_set(session: &Arc<Shared>) {
    let _context = session.enter();
    let (settings, egress) = (session.settings(), session.egress());
    // Where the system does not tell, devices have no addresses.
    let present = Interfaces::now().unwrap_or_default();
    let sources = egress.sources_of(&present);
    // It was checked.
    let listen = parse_listen_interfaces(&settings.listen_interfaces).unwrap_or_default();
    let (wanted_places, absent) = endpoints(&listen, sources.as_deref(), &present);
    // No proxy brings anybody.
    let direct = egress.route().is_direct(Traffic::Peers);
    let wanted = Wanted {
        tcp: direct && settings.enable_incoming_tcp,
        // Who only dials by uTP, or has nothing but the DHT there, has its socket, too.
        udp: direct && (settings.enable_incoming_utp || settings.enable_outgoing_utp || settings.enable_dht),
    };
    let mut open = session.listening.open.lock();
    let Sockets { places, told } = &mut *open;
    let mut before = std::mem::take(places);
    before.retain_mut(|place| {
        let stays = wanted_places.contains(&place.endpoint);
        if let Some(tcp) = place.tcp.take_if(|_| !(stays && wanted.tcp)) {
            tcp.stop.cancel();
            tcp.open.wait_closed();
        }
        if let Some(udp) = place.udp.take_if(|_| !(stays && wanted.udp)) {
            session.udp_ports.close(udp);
        }
        stays
    });
    let mut failures = HashSet::new();
    for endpoint in wanted_places {
        let known = before.iter().position(|place| place.endpoint == endpoint).map(|at| before.swap_remove(at));
        let mut place = known.unwrap_or(Place { endpoint, tcp: None, udp: None });
        let mut failed = |place: &Place, kind, error| {
            let failure = Failure::Socket(place.endpoint.clone(), kind);
            if !told.contains(&failure) {
                session.alerts.post(StorageIndex::INVALID, &listen_failed(&place.endpoint, kind, error));
            }
            failures.insert(failure);
        };
        if wanted.tcp && place.tcp.is_none() {
            match open_tcp(session, &place, &settings) {
                Ok(tcp) => place.tcp = Some(tcp),
                Err(error) => failed(&place, SocketType::Tcp, error),
            }
        }
        if wanted.udp && place.udp.is_none() {
            let reach = Reach::of(&place.endpoint.source, place.endpoint.local, sources.as_deref());
            match open_udp(session, &place, &settings, reach) {
                Ok(udp) => place.udp = Some(udp),
                Err(error) => failed(&place, SocketType::Utp, error),
            }
        }
        if let Some(udp) = &place.udp {
            udp.socket.set_accepts(settings.enable_incoming_utp);
        }
        places.push(place);
    }
    for entry in absent {
        let failure = Failure::Entry(entry);
        if let (Failure::Entry(entry), false) = (&failure, told.contains(&failure)) {
            session.alerts.post(StorageIndex::INVALID, &is_absent(entry));
        }
        failures.insert(failure);
    }
    *told = failures;
    let others_come = |place: &&Place| {
        !place.endpoint.local && (place.tcp.is_some() || (place.udp.is_some() && settings.enable_incoming_utp))
    };
    let port = places.iter().find(others_come).and_then(Place::port);
    session.listening.set_port(port.unwrap_or(0));
}

fn listen_failed(endpoint: &Endpoint, socket_type: SocketType, error: Error) -> Alert {
    Alert::ListenFailed {
        interface: endpoint.entry.clone(),
        address: Some(endpoint.source.address),
        port: endpoint.port,
        socket_type,
        error,
    }
}

fn is_absent(Absent { entry, why }: &Absent) -> Alert {
    let error = Error::new(Status::Network, format!("{entry}: {why}")).with_operation(Operation::SockBind);
    Alert::ListenFailed { interface: entry.clone(), address: None, port: 0, socket_type: SocketType::Tcp, error }
}

fn succeeded(session: &Shared, at: SocketAddr, socket_type: SocketType) {
    let alert = Alert::ListenSucceeded { address: at.ip(), port: at.port(), socket_type };
    session.alerts.post(StorageIndex::INVALID, &alert);
}

/// Where any port will do it is the one that UDP has already.
fn open_tcp(session: &Arc<Shared>, place: &Place, settings: &Settings) -> Result<Tcp, Error> {
    let (egress, source, port) = (session.egress(), &place.endpoint.source, place.endpoint.port);
    let listen = |port| egress.listen(source, port);
    let udp = place.udp.as_ref().filter(|_| port == 0).map(|udp| udp.socket.local().port());
    let beside = udp.and_then(|port| open_near(source, port, retries(settings), listen).ok());
    let (listener, bound) = beside.map_or_else(|| open_near(source, port, retries(settings), listen), Ok)?;
    succeeded(session, bound, SocketType::Tcp);
    let (stop, open) = (CancellationToken::new(), Arc::new(OpenSockets::default()));
    let (accepting, stopped, is_open) = (session.clone(), stop.clone(), Open::new(&open));
    session.spawn(async move {
        accept_loop(accepting, listener, stopped).await;
        drop(is_open);
    });
    Ok(Tcp { bound, stop, open })
}

/// At TCP's port, if that is listened on. Where any port would do another one does for those that we dial.
fn open_udp(session: &Arc<Shared>, place: &Place, settings: &Settings, reach: Reach) -> Result<Listens, Error> {
    let (egress, source, port) = (session.egress(), &place.endpoint.source, place.endpoint.port);
    let open = |port| egress.udp_port(Traffic::Peers, source, port);
    let bound = match &place.tcp {
        Some(tcp) => {
            let beside = open_near(source, tcp.bound.port(), 0, open);
            if port == 0 { beside.or_else(|_| open_near(source, 0, 0, open)) } else { beside }
        }
        None => open_near(source, port, retries(settings), open),
    };
    let (listens, asked) = session.udp_ports.listen(bound?, reach, settings.enable_incoming_utp);
    succeeded(session, listens.socket.local(), SocketType::Utp);
    session.spawn(take_streams(session.clone(), asked));
    Ok(listens)
}

/// How many of the next ports are tried where one is taken.
fn retries(settings: &Settings) -> u16 {
    u16::try_from(settings.max_retry_port_bind).unwrap_or(u16::MAX)
}

/// Opens a socket at this port, or where that is taken at one of so many next ones.
fn open_near<T>(
    source: &Source,
    port: u16,
    retries: u16,
    open: impl Fn(u16) -> std::io::Result<T>,
) -> Result<T, Error> {
    let failed = |e| Error::network(Operation::SockBind, &e, SocketAddr::new(source.address, port));
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for retry in 0..=retries {
        match open(if port == 0 { 0 } else { port.saturating_add(retry) }) {
            Ok(socket) => return Ok(socket),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && port != 0 => last = e,
            Err(e) => return Err(failed(e)),
        }
    }
    Err(failed(last))
}

/// Ends, and closes the socket, when it is told to stop and when the session closes.
async fn accept_loop(session: Arc<Shared>, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = session.closing() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => dialer::accept(&session, Transport::Tcp(stream), address),
            // Out of descriptors, or the peer is gone already: the next one may do better.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Ends with the socket, and when the session closes.
async fn take_streams(session: Arc<Shared>, mut asked: Receiver<UtpStream>) {
    loop {
        let stream = tokio::select! {
            () = session.closing() => return,
            stream = asked.recv() => stream,
        };
        let Some(stream) = stream else { return };
        let address = stream.remote();
        dialer::accept(&session, Transport::Utp(stream), address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[tokio::test]
    async fn a_taken_port_gives_way_to_the_next() {
        let egress = crate::net::egress::direct();
        let here = Source::from("127.0.0.1".parse::<IpAddr>().expect("an address"));
        let bind = |port, retries| open_near(&here, port, retries, |port| egress.listen(&here, port));
        let (_first, one) = bind(0, 10).expect("bound");
        let (_second, two) = bind(one.port(), 10).expect("bound beside it");
        assert!(two.port() > one.port() && two.port() <= one.port() + 10);
        assert!(bind(one.port(), 0).is_err());
    }
}
