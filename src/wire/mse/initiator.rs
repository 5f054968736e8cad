//! The side that dials.

use super::key_exchange::{KEY_BYTES, KeyPair, PRIVATE_KEY_BYTES};
use super::keystream::Keystream;
use super::negotiation::{
    CryptoMethods, Established, MOST_PADDING, Mark, MseError, VC, find_mark, initiators_stream, obfuscate, padded_key,
    responders_stream, skey_hash, sync_mark, take_u16,
};
use crate::metainfo::info_hash::Sha1Hash;

/// `VC`, `crypto_select` and the length of the padding.
const ANSWER_BYTES: usize = VC.len() + 4 + 2;

#[derive(Debug)]
enum State {
    /// Their key is to come.
    Key,
    /// Their padding, and the constant as it is encrypted; looked for from this byte on.
    Sync {
        mark: [u8; 8],
        from: usize,
    },
    /// The answer from the constant on, decrypted as far as it came.
    Answer,
    Over,
}

/// The handshake of one that dials.
pub struct Initiator {
    keys: KeyPair,
    skey: Sha1Hash,
    provide: CryptoMethods,
    /// What the stream begins with: it goes out with the handshake.
    payload: Vec<u8>,
    padding: usize,
    state: State,
    streams: Option<(Keystream, Keystream)>,
    /// What came and is not used yet.
    received: Vec<u8>,
    /// So many of these bytes are decrypted.
    plain: usize,
}

impl Initiator {
    /// `private`: bytes that nobody can guess. `payload`: the start of the stream, our handshake. Also what is to be sent.
    pub fn new(
        private: [u8; PRIVATE_KEY_BYTES],
        rng: &mut fastrand::Rng,
        skey: Sha1Hash,
        provide: CryptoMethods,
        payload: Vec<u8>,
    ) -> (Self, Vec<u8>) {
        let keys = KeyPair::new(private);
        let hello = padded_key(&keys.public, rng);
        let padding = rng.usize(..=MOST_PADDING);
        let (state, received) = (State::Key, Vec::new());
        (Self { keys, skey, provide, payload, padding, state, streams: None, received, plain: 0 }, hello)
    }

    /// Bytes came. What is to be sent is appended to `out`.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<Established>, MseError> {
        self.received.extend_from_slice(bytes);
        loop {
            match &mut self.state {
                State::Key => {
                    let Some(public) = self.received.first_chunk::<KEY_BYTES>() else { return Ok(None) };
                    let mark = self.answer_key(*public, out)?;
                    self.received.drain(..KEY_BYTES);
                    self.state = State::Sync { mark, from: 0 };
                }
                State::Sync { mark, from } => match find_mark(&self.received, mark, *from)? {
                    Mark::At(at) => {
                        self.received.drain(..at);
                        self.state = State::Answer;
                        // The constant was decrypted when its mark was made.
                        self.plain = VC.len();
                    }
                    Mark::From(next) => {
                        *from = next;
                        return Ok(None);
                    }
                },
                State::Answer => return self.answer(),
                State::Over => return Ok(None),
            }
        }
    }

    /// Their key is here: says which torrent is meant, and what encryption may be. How the constant looks that they answer with.
    fn answer_key(&mut self, public: [u8; KEY_BYTES], out: &mut Vec<u8>) -> Result<[u8; 8], MseError> {
        let secret = self.keys.agree(&public).ok_or(MseError::WeakKey)?;
        let payload = std::mem::take(&mut self.payload);
        let length = u16::try_from(payload.len()).map_err(|_| MseError::LongPayload(payload.len()))?;
        let mut write = initiators_stream(&secret, &self.skey);
        let mut read = responders_stream(&secret, &self.skey);
        out.extend_from_slice(&sync_mark(&secret));
        out.extend_from_slice(&obfuscate(skey_hash(&self.skey), &secret));
        let begin = out.len();
        out.extend_from_slice(&VC);
        out.extend_from_slice(&self.provide.bits().to_be_bytes());
        out.extend_from_slice(&(self.padding as u16).to_be_bytes());
        out.resize(out.len() + self.padding, 0);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&payload);
        write.apply(out.get_mut(begin..).unwrap_or_default());
        let mut mark = VC;
        read.apply(&mut mark);
        self.streams = Some((read, write));
        Ok(mark)
    }

    fn answer(&mut self) -> Result<Option<Established>, MseError> {
        let Some((read, _)) = &mut self.streams else { return Ok(None) };
        let mut decrypt = |received: &mut [u8], to: usize| {
            let to = to.min(received.len());
            read.apply(received.get_mut(self.plain.min(to)..to).unwrap_or_default());
            self.plain = self.plain.max(to);
        };
        decrypt(&mut self.received, ANSWER_BYTES);
        let Some(padding) = take_u16(&self.received, VC.len() + 4) else { return Ok(None) };
        if padding > MOST_PADDING {
            return Err(MseError::LongPadding);
        }
        let end = ANSWER_BYTES + padding;
        decrypt(&mut self.received, end);
        if self.received.len() < end {
            return Ok(None);
        }
        let selected =
            self.received.get(VC.len()..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b));
        let method = CryptoMethods::from_bits(selected).filter(|m| m.bits().is_power_of_two());
        let method = method.filter(|m| self.provide.contains(*m)).ok_or(MseError::NoMethod)?;
        self.state = State::Over;
        let Some((read, write)) = self.streams.take() else { return Ok(None) };
        let after = self.received.split_off(end);
        Ok(Some(Established::new(method, read, write, Vec::new(), &after)))
    }
}

impl std::fmt::Debug for Initiator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initiator").field("skey", &self.skey).field("state", &self.state).finish_non_exhaustive()
    }
}
