//! What a session's DHT node is started with.

use std::net::SocketAddr;

use crate::net::egress::Egress;
use crate::net::egress::interfaces::Source;

/// Ports that are tried beside the one that uTP has.
const PORTS_BESIDE: u16 = 10;

/// What it begins with.
#[derive(Debug, Default)]
pub struct Start {
    pub state: Vec<u8>,
    /// Nodes that were named before it ran.
    pub nodes: Vec<(String, u16)>,
    pub starting: bool,
    /// Where the one that runs is bound.
    pub bound: Option<Source>,
}

/// The next free port, as uTP has the one itself. 0: any.
pub fn beside(egress: &Egress, source: &Source, port: u16) -> SocketAddr {
    let next = |n| port.checked_add(n);
    let free = (1..=PORTS_BESIDE).filter_map(next).find(|port| egress.probe_udp(source, *port).is_ok());
    SocketAddr::new(source.address, free.unwrap_or(0))
}
