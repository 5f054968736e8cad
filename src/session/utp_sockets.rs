//! The UDP sockets of uTP that are open.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::listen_sockets::OpenSockets;
use crate::net::utp::socket::UtpSocket;

#[derive(Debug)]
pub struct UtpSockets {
    sockets: Vec<Arc<UtpSocket>>,
    stop: CancellationToken,
    open: Arc<OpenSockets>,
}

impl UtpSockets {
    pub fn new(sockets: Vec<Arc<UtpSocket>>, stop: CancellationToken, open: Arc<OpenSockets>) -> Self {
        Self { sockets, stop, open }
    }

    /// The one that reaches an address.
    pub fn to(&self, address: SocketAddr) -> Option<Arc<UtpSocket>> {
        let local = address.ip().to_canonical().is_loopback();
        let reaches = |from: IpAddr| {
            from.is_ipv4() == address.ip().to_canonical().is_ipv4()
                && (from.is_unspecified() || from.is_loopback() == local)
        };
        self.sockets.iter().find(|s| reaches(s.local().ip())).cloned()
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|s| s.local()).collect()
    }

    pub fn set_accepts(&self, accepts: bool) {
        self.sockets.iter().for_each(|s| s.set_accepts(accepts));
    }

    /// Closes the sockets, with all streams, and waits until they are closed.
    pub fn close(self) {
        self.stop.cancel();
        drop(self.sockets);
        self.open.wait_closed();
    }
}
