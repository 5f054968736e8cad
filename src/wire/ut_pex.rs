//! `ut_pex` (BEP 11): peers tell each other of peers.

use std::net::SocketAddr;

use super::compact;
use super::error::WireError;
use crate::metainfo::bencode::{Document, Entry, Limits, Value};

/// Most peers taken of each of a message's four lists; BEP 11 allows 50, and more in a first message.
pub const MAX_PEERS: usize = 200;

/// A peer's flags in `added.f`.
pub mod flags {
    pub const ENCRYPTION: u8 = 0x01;
    /// A seed, or one that will not download.
    pub const SEED: u8 = 0x02;
    pub const UTP: u8 = 0x04;
    pub const HOLEPUNCH: u8 = 0x08;
    pub const REACHABLE: u8 = 0x10;
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PexMessage {
    /// Peers it is connected to now, each with its [`flags`].
    pub added: Vec<(SocketAddr, u8)>,
    /// Peers it is connected to no longer.
    pub dropped: Vec<SocketAddr>,
}

impl PexMessage {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }

    pub fn encode(&self) -> Vec<u8> {
        let (mut added, mut added6, mut dropped, mut dropped6) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut added_flags, mut added6_flags) = (Vec::new(), Vec::new());
        for (addr, flags) in &self.added {
            let flags_of = if addr.ip().to_canonical().is_ipv4() { &mut added_flags } else { &mut added6_flags };
            flags_of.push(*flags);
            compact::encode(*addr, &mut added, &mut added6);
        }
        for addr in &self.dropped {
            compact::encode(*addr, &mut dropped, &mut dropped6);
        }
        let mut root = Entry::dict();
        root.set("added", added).set("added.f", added_flags).set("dropped", dropped);
        root.set("added6", added6).set("added6.f", added6_flags).set("dropped6", dropped6);
        root.encode()
    }

    /// Reads an extended message's payload. Addresses that nobody can have, and more than [`MAX_PEERS`] a list, are left
    /// out.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let bad = |what: String| WireError::BadPayload { message: "ut_pex", what };
        let (document, _) = Document::parse_prefix(payload, Limits::MESSAGE).map_err(|e| bad(e.message))?;
        let root = document.root();
        if !root.is_dict() {
            return Err(bad("not a dictionary".into()));
        }
        let mut message = Self::default();
        let usable = |addr: &SocketAddr| compact::is_usable(addr);
        let v4 = with_flags(compact::parse_v4(bytes(root, b"added")), bytes(root, b"added.f"));
        let v6 = with_flags(compact::parse_v6(bytes(root, b"added6")), bytes(root, b"added6.f"));
        message.added.extend(v4.chain(v6).filter(|(addr, _)| usable(addr)));
        let v4 = compact::parse_v4(bytes(root, b"dropped")).take(MAX_PEERS);
        let v6 = compact::parse_v6(bytes(root, b"dropped6")).take(MAX_PEERS);
        message.dropped.extend(v4.chain(v6).filter(usable));
        Ok(message)
    }
}

fn bytes<'d>(root: Value<'d>, key: &[u8]) -> &'d [u8] {
    root.get_bytes(key).unwrap_or_default()
}

/// Each address with its flags; those beyond the flags' end have none.
fn with_flags<'d>(
    addrs: impl Iterator<Item = SocketAddr> + 'd,
    flags: &'d [u8],
) -> impl Iterator<Item = (SocketAddr, u8)> + 'd {
    addrs.take(MAX_PEERS).zip(flags.iter().copied().chain(std::iter::repeat(0)))
}
