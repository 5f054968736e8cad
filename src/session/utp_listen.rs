//! Opens the UDP sockets of uTP (BEP 29): one for each address that is listened on, of the same port where that is free.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::dialer;
use super::listen::{open_near, parse_interfaces, retries};
use super::listen_sockets::{Open, OpenSockets};
use super::shared::Shared;
use super::utp_sockets::UtpSockets;
use crate::alert::{Alert, SocketType};
use crate::base::error::Error;
use crate::base::storage_index::StorageIndex;
use crate::net::egress::Egress;
use crate::net::transport::Transport;
use crate::net::udp_port::UdpPort;
use crate::net::utp::socket::UtpSocket;
use crate::net::utp::stream::UtpStream;

/// Opens the sockets and says how it went. `tcp`: the addresses that are listened on by TCP.
pub fn start(session: &Arc<Shared>, tcp: &[SocketAddr]) -> UtpSockets {
    let _context = session.enter();
    let (settings, egress) = (session.settings(), session.egress());
    let stop = CancellationToken::new();
    let open = Arc::new(OpenSockets::default());
    let mut sockets = Vec::new();
    let asked: Vec<SocketAddr> = parse_interfaces(&settings.listen_interfaces).into_iter().flatten().collect();
    let wanted = if tcp.is_empty() { asked.as_slice() } else { tcp };
    for address in wanted.iter().copied() {
        let bound = if tcp.is_empty() { bind(&egress, address, retries(&settings)) } else { bind(&egress, address, 0) };
        // Where any port would do another one does for those that we dial.
        let any = asked.iter().find(|a| a.ip() == address.ip() && a.port() == 0);
        let bound = any.filter(|_| bound.is_err()).map_or(bound, |any| bind(&egress, *any, 0));
        let alert = match bound {
            Ok(port) => {
                let at = port.local();
                // Not of this thread, which is a caller's: nothing of ours is to be left behind in it.
                let rng = session.seeds.lock().fork();
                let (socket, asked) = UtpSocket::over(port, settings.enable_incoming_utp, rng, stop.clone());
                sockets.push(socket.clone());
                let open = Open::new(&open);
                session.spawn(async move {
                    socket.run(|_| ()).await;
                    drop(open);
                });
                session.spawn(take_streams(session.clone(), asked));
                Alert::ListenSucceeded { address: at.ip(), port: at.port(), socket_type: SocketType::Utp }
            }
            Err(error) => Alert::ListenFailed {
                interface: address.to_string(),
                address: Some(address.ip()),
                port: address.port(),
                socket_type: SocketType::Utp,
                error,
            },
        };
        session.alerts.post(StorageIndex::INVALID, &alert);
    }
    UtpSockets::new(sockets, stop, open)
}

fn bind(egress: &Egress, address: SocketAddr, retries: u16) -> Result<UdpPort, Error> {
    open_near(address, retries, |address| egress.udp_port(address))
}

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
