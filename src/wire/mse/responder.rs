//! The side that was dialled. It learns which torrent is meant while the handshake goes on.

use super::key_exchange::{KEY_BYTES, KeyPair, PRIVATE_KEY_BYTES, SharedSecret};
use super::keystream::Keystream;
use super::negotiation::{
    CryptoMethods, Established, MOST_PADDING, Mark, MseError, VC, find_mark, initiators_stream, obfuscate, padded_key,
    responders_stream, sync_mark, take_u16,
};
use crate::metainfo::info_hash::Sha1Hash;

/// The mark, and the torrent's hash behind it.
const MARK_BYTES: usize = 40;
/// `VC`, `crypto_provide` and the length of the padding.
const OFFER_BYTES: usize = VC.len() + 4 + 2;
/// The start of the stream that may come with the handshake: ours is 68 bytes, some send their first messages, too.
const MOST_PAYLOAD: usize = 4096;

#[derive(Debug)]
enum State {
    Key,
    /// Their padding and the mark behind it, looked for from this byte on.
    Sync {
        from: usize,
    },
    /// The offer, decrypted as far as it came.
    Offer {
        read: Box<Keystream>,
        skey: Sha1Hash,
    },
    Over,
}

/// The handshake of one that was dialled.
pub struct Responder {
    keys: KeyPair,
    rng: fastrand::Rng,
    allowed: CryptoMethods,
    prefer_rc4: bool,
    secret: Option<SharedSecret>,
    state: State,
    received: Vec<u8>,
    /// So many of these bytes are decrypted.
    plain: usize,
}

impl Responder {
    /// `private`: bytes that nobody can guess. Of the `allowed` methods that the other side provides RC4 is taken if it is preferred.
    pub fn new(private: [u8; PRIVATE_KEY_BYTES], rng: fastrand::Rng, allowed: CryptoMethods, prefer_rc4: bool) -> Self {
        let (keys, received) = (KeyPair::new(private), Vec::new());
        Self { keys, rng, allowed, prefer_rc4, secret: None, state: State::Key, received, plain: 0 }
    }

    /// Bytes came. `find` names the torrent whose hash (`skey_hash`) this is. What is to be sent is appended to `out`. At the end also which
    /// torrent it is.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        find: impl Fn(&[u8; 20]) -> Option<Sha1Hash>,
        out: &mut Vec<u8>,
    ) -> Result<Option<(Sha1Hash, Established)>, MseError> {
        self.received.extend_from_slice(bytes);
        loop {
            match &mut self.state {
                State::Key => {
                    let Some(public) = self.received.first_chunk::<KEY_BYTES>() else { return Ok(None) };
                    self.secret = Some(self.keys.agree(public).ok_or(MseError::WeakKey)?);
                    self.received.drain(..KEY_BYTES);
                    out.extend(padded_key(&self.keys.public, &mut self.rng));
                    self.state = State::Sync { from: 0 };
                }
                State::Sync { from } => {
                    let Some(secret) = &self.secret else { return Ok(None) };
                    let at = match find_mark(&self.received, &sync_mark(secret), *from)? {
                        Mark::At(at) => at,
                        Mark::From(next) => {
                            *from = next;
                            return Ok(None);
                        }
                    };
                    // The padding is of no use, and the mark is found at once again.
                    self.received.drain(..at);
                    *from = 0;
                    let hidden = self.received.get(20..MARK_BYTES).and_then(|b| b.first_chunk());
                    let Some(hidden) = hidden else { return Ok(None) };
                    let skey = find(&obfuscate(*hidden, secret)).ok_or(MseError::UnknownTorrent)?;
                    let read = Box::new(initiators_stream(secret, &skey));
                    self.received.drain(..MARK_BYTES);
                    self.state = State::Offer { read, skey };
                }
                State::Offer { .. } => return self.offer(out),
                State::Over => return Ok(None),
            }
        }
    }

    fn decrypt(&mut self, to: usize) {
        let State::Offer { read, .. } = &mut self.state else { return };
        let to = to.min(self.received.len());
        read.apply(self.received.get_mut(self.plain.min(to)..to).unwrap_or_default());
        self.plain = self.plain.max(to);
    }

    fn offer(&mut self, out: &mut Vec<u8>) -> Result<Option<(Sha1Hash, Established)>, MseError> {
        self.decrypt(OFFER_BYTES);
        if self.received.len() >= VC.len() && !self.received.starts_with(&VC) {
            return Err(MseError::BadConstant);
        }
        let Some(padding) = take_u16(&self.received, VC.len() + 4) else { return Ok(None) };
        if padding > MOST_PADDING {
            return Err(MseError::LongPadding);
        }
        let begin = OFFER_BYTES + padding + 2;
        self.decrypt(begin);
        let Some(length) = take_u16(&self.received, OFFER_BYTES + padding) else { return Ok(None) };
        if length > MOST_PAYLOAD {
            return Err(MseError::LongPayload(length));
        }
        let end = begin + length;
        self.decrypt(end);
        if self.received.len() < end {
            return Ok(None);
        }
        let provided =
            self.received.get(VC.len()..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b));
        let both = CryptoMethods::from_bits_truncate(provided) & self.allowed;
        let preferred = if self.prefer_rc4 { CryptoMethods::RC4 } else { CryptoMethods::PLAINTEXT };
        let method = if both.contains(preferred) { preferred } else { both };
        if method.is_empty() {
            return Err(MseError::NoMethod);
        }
        let (State::Offer { read, skey }, Some(secret)) =
            (std::mem::replace(&mut self.state, State::Over), self.secret.take())
        else {
            return Ok(None);
        };
        let mut write = responders_stream(&secret, &skey);
        let start = out.len();
        out.extend_from_slice(&VC);
        out.extend_from_slice(&method.bits().to_be_bytes());
        let padding = self.rng.usize(..=MOST_PADDING);
        out.extend_from_slice(&(padding as u16).to_be_bytes());
        out.resize(out.len() + padding, 0);
        write.apply(out.get_mut(start..).unwrap_or_default());
        let after = self.received.split_off(end);
        let payload = self.received.split_off(begin);
        Ok(Some((skey, Established::new(method, *read, write, payload, &after))))
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("state", &self.state).finish_non_exhaustive()
    }
}
