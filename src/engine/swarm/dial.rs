//! Dialling: how fast a torrent may begin connections, and when one without an answer gives way. Which addresses are next: `peer_list`.

use std::net::SocketAddr;
use std::time::Duration;

use super::peer_list::SwarmLimits;
use crate::alert::CloseReason;
use crate::base::error::Error;
use crate::base::time::Time;
use crate::settings::Settings;

/// Why a dial ended without a peer.
#[derive(Debug, Clone, Default)]
pub struct DialFailure {
    pub reason: CloseReason,
    pub error: Option<Error>,
}

/// A peer that is to be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dial {
    pub address: SocketAddr,
    /// Whether it took encryption the last time, or is said to want it.
    pub encrypted: Option<bool>,
    /// The last connection to it was one of uTP.
    pub utp: bool,
}

/// A dial that is as old as this and has brought no answer gives way, asked again each second: by then a lost packet was sent again twice.
pub const DIAL_PATIENCE: Duration = Duration::from_secs(4);
pub const DIAL_ASKED_AGAIN: Duration = Duration::from_secs(1);

/// How many dials may begin: a burst at the start (`torrent_connect_boost`), then `connection_speed` a second.
#[derive(Debug)]
pub(in crate::engine) struct Dialling {
    since_start: u32,
    tokens: f64,
    last: Time,
}

impl Dialling {
    pub fn new(now: Time) -> Self {
        Self { since_start: 0, tokens: 0.0, last: now }
    }

    pub fn started(&mut self) {
        self.since_start = 0;
    }

    /// So many may begin now.
    pub(super) fn allowed(&mut self, now: Time, settings: &Settings) -> usize {
        let speed = settings.connection_speed.max(0) as f64;
        self.tokens = (self.tokens + now.since(self.last).as_secs_f64() * speed).min(speed.max(1.0));
        self.last = now;
        let boost = u32::try_from(settings.torrent_connect_boost).unwrap_or(0).saturating_sub(self.since_start);
        (self.tokens as usize).max(boost as usize)
    }

    pub(super) fn began(&mut self, dials: usize) {
        self.tokens = (self.tokens - dials as f64).max(0.0);
        self.since_start = self.since_start.saturating_add(dials as u32);
    }
}

impl SwarmLimits {
    pub fn of(settings: &Settings) -> Self {
        Self {
            max_peers: usize::try_from(settings.max_peerlist_size).unwrap_or(0).max(1),
            max_failcount: u32::try_from(settings.max_failcount).unwrap_or(u32::MAX),
            // Who hangs up at once would be dialled a hundred times a second.
            min_reconnect: Duration::from_secs(u64::try_from(settings.min_reconnect_time).unwrap_or(0).max(1)),
            no_privileged_ports: settings.no_connect_privileged_ports,
        }
    }
}
