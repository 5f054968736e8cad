//! Addresses that are not to be dialled for what they are: by their port, as the program or the settings say.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{PeerList, SwarmLimits};
use crate::alert::BlockedReason;
use crate::base::address::canonical;
use crate::engine::swarm::port_filter::PortFilter;

/// Ports below it are privileged.
const PRIVILEGED_PORTS: u16 = 1024;

impl SwarmLimits {
    pub(super) fn blocks_port(&self, port: u16) -> bool {
        self.no_privileged_ports && port < PRIVILEGED_PORTS
    }
}

impl PeerList {
    /// False: it is the one that there is.
    pub fn set_port_filter(&mut self, ports: &Arc<PortFilter>) -> bool {
        let changed = !Arc::ptr_eq(&self.ports, ports);
        self.ports = ports.clone();
        changed
    }

    /// Why an address is not dialled, where the program is to hear of that. Of one that nobody could dial it hears nothing.
    pub fn blocked(&self, address: SocketAddr, limits: &SwarmLimits) -> Option<BlockedReason> {
        match address.port() {
            0 => None,
            port if self.ports.blocks(port) => Some(BlockedReason::PortFilter),
            port if limits.blocks_port(port) => Some(BlockedReason::PrivilegedPorts),
            _ => None,
        }
    }

    /// Is it one that may be in the list?
    pub(super) fn admits(&self, address: SocketAddr, limits: &SwarmLimits) -> bool {
        limits.allow(address) && !self.ports.blocks(address.port()) && !self.is_banned(address)
    }

    /// Drops who is blocked now, those with a connection aside. Who is being dialled goes when that ends.
    pub fn drop_blocked(&mut self, limits: &SwarmLimits) -> DroppedPeers {
        let mut dropped = DroppedPeers::default();
        let mut hit: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, p)| !p.connected && !p.is_passing())
            .filter_map(|(address, p)| {
                Some((*address, self.blocked(*address, limits)?, p.awaited.is_some(), p.dialling))
            })
            .collect();
        hit.sort_unstable_by_key(|(address, ..)| *address);
        for (address, reason, awaited, dialling) in hit {
            dropped.told.push((address, reason));
            if !dialling {
                self.peers.remove(&address);
                dropped.awaited.extend(awaited.then_some((address, reason)));
            }
        }
        dropped
    }

    /// A try ended that began before its address was blocked, or banned: it goes.
    pub(super) fn drop_unwanted(&mut self, address: SocketAddr, limits: &SwarmLimits) -> bool {
        let address = canonical(address);
        !self.admits(address, limits)
            && self.peers.get(&address).is_some_and(super::KnownPeer::is_idle)
            && self.peers.remove(&address).is_some()
    }
}

/// Who is in the list no more.
#[derive(Debug, Default)]
pub struct DroppedPeers {
    pub told: Vec<(SocketAddr, BlockedReason)>,
    /// Of them those of whom a caller waits to hear.
    pub awaited: Vec<(SocketAddr, BlockedReason)>,
}
