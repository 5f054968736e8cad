//! The handshake (BEP 3), and the extensions its reserved bits offer (BEP 5, 6, 10).

use super::error::WireError;
use crate::metainfo::info_hash::Sha1Hash;

/// Bytes of a handshake.
pub const HANDSHAKE_BYTES: usize = 68;

/// Of these the first that are enough to know the torrent.
pub const INFO_HASH_END: usize = 48;

/// What it begins with.
pub const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// Byte and bit of `reserved`.
const EXTENSIONS: (usize, u8) = (5, 0x10);
const DHT: (usize, u8) = (7, 0x01);
const FAST: (usize, u8) = (7, 0x04);

/// The first thing either side says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    pub reserved: [u8; 8],
    pub info_hash: Sha1Hash,
    pub peer_id: [u8; 20],
}

impl Handshake {
    /// Ours: with the fast extension and the extension protocol, and with DHT if we run it.
    pub fn new(info_hash: Sha1Hash, peer_id: [u8; 20], dht: bool) -> Self {
        let mut reserved = [0; 8];
        for (byte, bit) in [EXTENSIONS, FAST].into_iter().chain(dht.then_some(DHT)) {
            reserved[byte] |= bit;
        }
        Self { reserved, info_hash, peer_id }
    }

    pub fn encode(&self) -> [u8; HANDSHAKE_BYTES] {
        let mut out = [0; HANDSHAKE_BYTES];
        out[..20].copy_from_slice(PROTOCOL);
        out[20..28].copy_from_slice(&self.reserved);
        out[28..48].copy_from_slice(&self.info_hash.0);
        out[48..].copy_from_slice(&self.peer_id);
        out
    }

    pub fn parse(bytes: &[u8; HANDSHAKE_BYTES]) -> Result<Self, WireError> {
        let (protocol, rest) = bytes.split_first_chunk().ok_or(WireError::BadHandshake)?;
        let (reserved, rest) = rest.split_first_chunk().ok_or(WireError::BadHandshake)?;
        let (info_hash, rest) = rest.split_first_chunk().ok_or(WireError::BadHandshake)?;
        let peer_id = rest.first_chunk().ok_or(WireError::BadHandshake)?;
        if protocol != PROTOCOL {
            return Err(WireError::BadHandshake);
        }
        Ok(Self { reserved: *reserved, info_hash: Sha1Hash(*info_hash), peer_id: *peer_id })
    }

    /// The torrent that a handshake is about, from its first [`INFO_HASH_END`] bytes.
    pub fn parse_info_hash(bytes: &[u8]) -> Result<Sha1Hash, WireError> {
        let rest = bytes.strip_prefix(PROTOCOL.as_slice()).ok_or(WireError::BadHandshake)?;
        let (info_hash, _) = rest.get(8..).and_then(|r| r.split_first_chunk()).ok_or(WireError::BadHandshake)?;
        Ok(Sha1Hash(*info_hash))
    }

    /// Can these be the first bytes of a handshake? Tells a plain peer from an encrypted one.
    pub fn is_prefix(bytes: &[u8]) -> bool {
        bytes.iter().zip(PROTOCOL).all(|(a, b)| a == b)
    }

    fn offers(&self, (byte, bit): (usize, u8)) -> bool {
        self.reserved.get(byte).is_some_and(|b| b & bit != 0)
    }

    /// BEP 6.
    pub fn supports_fast(&self) -> bool {
        self.offers(FAST)
    }

    /// BEP 10.
    pub fn supports_extensions(&self) -> bool {
        self.offers(EXTENSIONS)
    }

    /// BEP 5.
    pub fn supports_dht(&self) -> bool {
        self.offers(DHT)
    }
}
