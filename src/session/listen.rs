//! Listening sockets: one for each address of `listen_interfaces`, while `enable_incoming_tcp` says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::dialer;
use super::listen_sockets::{Listening, Open, OpenSockets};
use super::shared::Shared;
use crate::alert::{Alert, SocketType};
use crate::base::error::{Error, Operation, Status};
use crate::base::storage_index::StorageIndex;
use crate::net::egress::Egress;
use crate::net::transport::Transport;
use crate::settings::Settings;

/// The entries `address:port` of the setting, as far as they are such; the others as they are.
pub fn parse_interfaces(setting: &str) -> Vec<Result<SocketAddr, String>> {
    let entries = setting.split(',').map(str::trim).filter(|e| !e.is_empty());
    entries.map(|e| e.parse::<SocketAddr>().map_err(|_| e.to_owned())).collect()
}

/// Opens the listening sockets, says how it went, and starts to accept.
/// `utp`: where uTP listens already. Where any port will do it is the same.
pub fn start(session: &Arc<Shared>, utp: &[SocketAddr]) -> Listening {
    let _context = session.enter();
    let (settings, egress) = (session.settings(), session.egress());
    let mut bound = Vec::new();
    let stop = CancellationToken::new();
    let sockets = Arc::new(OpenSockets::default());
    for entry in parse_interfaces(&settings.listen_interfaces) {
        let outcome = match entry {
            Ok(address) => bind_beside(&egress, address, utp, retries(&settings))
                .map_err(|e| (address.to_string(), Some(address), e)),
            Err(text) => {
                let error = Error::new(Status::InvalidArgument, format!("{text} is not an address and a port"));
                Err((text, None, error.with_operation(Operation::ParseAddress)))
            }
        };
        match outcome {
            Ok((listener, address)) => {
                bound.push(address);
                let alert = Alert::ListenSucceeded {
                    address: address.ip(),
                    port: address.port(),
                    socket_type: SocketType::Tcp,
                };
                session.alerts.post(StorageIndex::INVALID, &alert);
                let (accepting, stop, open) = (session.clone(), stop.clone(), Open::new(&sockets));
                session.spawn(async move {
                    accept_loop(accepting, listener, stop).await;
                    drop(open);
                });
            }
            Err((interface, address, error)) => {
                let alert = Alert::ListenFailed {
                    interface,
                    address: address.map(|a| a.ip()),
                    port: address.map_or(0, |a| a.port()),
                    socket_type: SocketType::Tcp,
                    error,
                };
                session.alerts.post(StorageIndex::INVALID, &alert);
            }
        }
    }
    Listening::new(bound, stop, sockets)
}

fn bind_beside(
    egress: &Egress,
    address: SocketAddr,
    utp: &[SocketAddr],
    retries: u16,
) -> Result<(TcpListener, SocketAddr), Error> {
    let same = utp.iter().find(|u| address.port() == 0 && u.ip() == address.ip());
    same.and_then(|same| bind(egress, *same, retries).ok()).map_or_else(|| bind(egress, address, retries), Ok)
}

/// How many of the next ports are tried where one is taken.
pub fn retries(settings: &Settings) -> u16 {
    u16::try_from(settings.max_retry_port_bind).unwrap_or(u16::MAX)
}

fn bind(egress: &Egress, address: SocketAddr, retries: u16) -> Result<(TcpListener, SocketAddr), Error> {
    open_near(address, retries, |address| egress.listen(address))
}

/// Opens a socket at this port, or where that is taken at one of so many next ones.
pub fn open_near<T>(
    address: SocketAddr,
    retries: u16,
    open: impl Fn(SocketAddr) -> std::io::Result<T>,
) -> Result<T, Error> {
    let mut last = None;
    for retry in 0..=retries {
        let port = if address.port() == 0 { 0 } else { address.port().saturating_add(retry) };
        match open(SocketAddr::new(address.ip(), port)) {
            Ok(socket) => return Ok(socket),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && port != 0 => last = Some(e),
            Err(e) => return Err(Error::network(Operation::SockBind, &e, address)),
        }
    }
    let e = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    Err(Error::network(Operation::SockBind, &e, address))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_addresses_with_ports() {
        let parsed = parse_interfaces("0.0.0.0:6881, [::1]:0,,eth0:6881");
        assert_eq!(parsed.len(), 3);
        assert_eq!(parsed[0], Ok("0.0.0.0:6881".parse().expect("an address")));
        assert_eq!(parsed[1], Ok("[::1]:0".parse().expect("an address")));
        assert_eq!(parsed[2], Err("eth0:6881".to_owned()));
    }

    #[tokio::test]
    async fn a_taken_port_gives_way_to_the_next() {
        let egress = crate::net::egress::direct();
        let (_first, one) = bind(&egress, "127.0.0.1:0".parse().expect("an address"), 10).expect("bound");
        let (_second, two) = bind(&egress, one, 10).expect("bound beside it");
        assert!(two.port() > one.port() && two.port() <= one.port() + 10);
        assert!(bind(&egress, one, 0).is_err());
    }
}
