//! The sockets that a session listens on, as they are.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::alert::SocketType;
use crate::net::egress::endpoints::{Absent, Endpoint};
use crate::net::open_sockets::OpenSockets;
use crate::net::udp_ports::Listens;

/// What is open.
#[derive(Debug, Default)]
pub struct Listening {
    /// Held while sockets are closed and opened, which tasks are waited for: no task may take it.
    pub open: Mutex<Sockets>,
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

    /// `port`: of what others may come by.
    pub fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Release);
    }

    /// The session is over: so are its sockets, whoever still holds it.
    pub fn drop_all(&self) {
        self.open.lock().places.clear();
    }
}

impl Place {
    pub fn port(&self) -> Option<u16> {
        let udp = || self.udp.as_ref().map(|udp| udp.socket.local().port());
        self.tcp.as_ref().map(|tcp| tcp.bound.port()).or_else(udp)
    }
}
