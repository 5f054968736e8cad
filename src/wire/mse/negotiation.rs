//! What both sides of the handshake share: the hashes, the methods, the outcome.

use bitflags::bitflags;
use sha1::{Digest, Sha1};
use thiserror::Error;

use super::key_exchange::SharedSecret;
use super::keystream::Keystream;
use crate::metainfo::info_hash::Sha1Hash;

/// Most bytes of each padding.
pub const MOST_PADDING: usize = 512;
/// The verification constant: zeros that tell where the encrypted part begins.
pub const VC: [u8; 8] = [0; 8];

bitflags! {
    /// How the stream may go on after the handshake: bits of `crypto_provide` and `crypto_select`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct CryptoMethods: u32 {
        const PLAINTEXT = 1;
        const RC4 = 2;
    }
}

/// Why there is no encrypted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MseError {
    #[error("the peer's public key gives no secret")]
    WeakKey,
    #[error("the peer's padding has no end")]
    NoSync,
    #[error("the peer named no torrent of ours")]
    UnknownTorrent,
    #[error("the verification constant is wrong")]
    BadConstant,
    #[error("a padding of more than 512 bytes")]
    LongPadding,
    #[error("no method of encryption that both sides allow")]
    NoMethod,
    #[error("initial payload of {0} bytes is too long")]
    LongPayload(usize),
}

/// The handshake is over.
#[derive(Debug)]
pub struct Established {
    /// One bit: how the stream goes on.
    pub method: CryptoMethods,
    /// None in plain text.
    pub read: Option<Keystream>,
    pub write: Option<Keystream>,
    /// What the other side has sent of the stream already, decrypted.
    pub early: Vec<u8>,
}

impl Established {
    /// `after`: bytes behind the handshake as they came. `payload`: those within, in plain.
    pub(super) fn new(
        method: CryptoMethods,
        mut read: Keystream,
        write: Keystream,
        mut payload: Vec<u8>,
        after: &[u8],
    ) -> Self {
        let at = payload.len();
        payload.extend_from_slice(after);
        let is_rc4 = method == CryptoMethods::RC4;
        if is_rc4 {
            read.apply(payload.get_mut(at..).unwrap_or_default());
        }
        Self { method, read: is_rc4.then_some(read), write: is_rc4.then_some(write), early: payload }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut hasher = Sha1::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// `HASH('req1', S)`: where the responder finds the end of the padding.
pub fn sync_mark(secret: &SharedSecret) -> [u8; 20] {
    hash(&[b"req1", &secret.0])
}

/// `HASH('req2', SKEY)`: by this the responder finds the torrent.
pub fn skey_hash(skey: &Sha1Hash) -> [u8; 20] {
    hash(&[b"req2", &skey.0])
}

/// Hides a torrent's hash, and finds it again: `xor HASH('req3', S)`.
pub fn obfuscate(skey_hash: [u8; 20], secret: &SharedSecret) -> [u8; 20] {
    let mut hidden = hash(&[b"req3", &secret.0]);
    hidden.iter_mut().zip(skey_hash).for_each(|(h, s)| *h ^= s);
    hidden
}

/// The stream from the initiator.
pub fn initiators_stream(secret: &SharedSecret, skey: &Sha1Hash) -> Keystream {
    Keystream::new(&hash(&[b"keyA", &secret.0, &skey.0]))
}

/// The stream from the responder.
pub fn responders_stream(secret: &SharedSecret, skey: &Sha1Hash) -> Keystream {
    Keystream::new(&hash(&[b"keyB", &secret.0, &skey.0]))
}

/// Where a mark stands.
pub enum Mark {
    At(usize),
    /// It is not there yet, and does not begin before this byte.
    From(usize),
}

/// Looks from a byte on for a mark that at most [`MOST_PADDING`] bytes stand before.
pub fn find_mark(bytes: &[u8], mark: &[u8], from: usize) -> Result<Mark, MseError> {
    let mut windows = bytes.windows(mark.len()).enumerate().take(MOST_PADDING + 1).skip(from);
    if let Some((at, _)) = windows.find(|(_, window)| *window == mark) {
        return Ok(Mark::At(at));
    }
    if bytes.len() >= MOST_PADDING + mark.len() {
        return Err(MseError::NoSync);
    }
    Ok(Mark::From((bytes.len() + 1).saturating_sub(mark.len())))
}

/// A public key with its padding.
pub fn padded_key(public: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut out = public.to_vec();
    let padding = rng.usize(..=MOST_PADDING);
    out.extend(std::iter::repeat_with(|| rng.u8(..)).take(padding));
    out
}

/// A number in the network's order off the front of `bytes`.
pub fn take_u16(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes(bytes.try_into().ok()?)))
}
