//! The metadata over the wire (BEP 9): fetched from several peers at once, served to those who ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Time;
use super::store::PeerKey;
use super::torrent::Torrent;
use crate::alert::{Alert, CloseReason};
use crate::error::{Error, Status};
use crate::metainfo::{Info, Sha1Hash, Sha256Hash};
use crate::wire::Message;
use crate::wire::ut_metadata::{METADATA_PIECE_BYTES, MetadataMessage};

/// Peers asked for one metadata piece at once.
const COPIES: usize = 3;
/// Pieces asked of one peer at once.
const PER_PEER: usize = 4;
/// A request not answered by then is asked of others too, and later of the same peer again.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
struct Piece {
    data: Option<(Vec<u8>, PeerKey)>,
    asked: Vec<(PeerKey, Time)>,
}

/// The metadata as far as it is here. Everything from peers that agree on its size.
#[derive(Debug, Default)]
pub struct MetadataFetch {
    size: usize,
    pieces: Vec<Piece>,
    /// What each peer says the size is.
    offers: BTreeMap<PeerKey, usize>,
    /// After metadata from several peers turned out wrong: one peer at a time.
    alone: Option<PeerKey>,
    failures: u32,
}

impl MetadataFetch {
    pub fn peer_gone(&mut self, key: PeerKey) {
        self.offers.remove(&key);
        for piece in &mut self.pieces {
            piece.asked.retain(|(k, _)| *k != key);
        }
        if self.alone == Some(key) {
            self.restart();
        }
        if !self.offers.values().any(|s| *s == self.size) {
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.pieces.clear();
        self.size = 0;
        self.alone = None;
    }

    /// The next piece to ask of a peer.
    fn next_for(&mut self, now: Time, key: PeerKey) -> Option<u32> {
        let offered = *self.offers.get(&key)?;
        if self.pieces.is_empty() {
            self.size = offered;
            self.pieces = (0..offered.div_ceil(METADATA_PIECE_BYTES)).map(|_| Piece::default()).collect();
            self.alone = (self.failures > 0).then_some(key);
        }
        if offered != self.size || self.alone.is_some_and(|a| a != key) {
            return None;
        }
        let outstanding = self.pieces.iter().filter(|p| p.asked.iter().any(|(k, _)| *k == key)).count();
        if outstanding >= PER_PEER {
            return None;
        }
        // Spread first: what nobody was asked for, then what is asked of few.
        let free = self.pieces.iter().enumerate().filter(|(_, p)| {
            p.data.is_none() && p.asked.len() < COPIES && !p.asked.iter().any(|(k, _)| *k == key)
        });
        let piece = free.min_by_key(|(i, p)| (p.asked.len(), *i)).map(|(i, _)| i)?;
        self.pieces.get_mut(piece)?.asked.push((key, now));
        Some(piece as u32)
    }

    fn expire(&mut self, now: Time) {
        for piece in &mut self.pieces {
            piece.asked.retain(|(_, at)| now.since(*at) < PATIENCE);
        }
    }

    /// Takes in a piece; the whole and its senders when it is complete.
    fn receive(&mut self, key: PeerKey, index: u32, total: usize, payload: Vec<u8>) -> Option<(Vec<u8>, Vec<PeerKey>)> {
        let last = self.pieces.len().checked_sub(1)?;
        let expect =
            if index as usize == last { self.size - last * METADATA_PIECE_BYTES } else { METADATA_PIECE_BYTES };
        let piece = self.pieces.get_mut(index as usize)?;
        if total != self.size || payload.len() != expect || !piece.asked.iter().any(|(k, _)| *k == key) {
            return None;
        }
        piece.asked.clear();
        piece.data.get_or_insert((payload, key));
        if self.pieces.iter().any(|p| p.data.is_none()) {
            return None;
        }
        let mut whole = Vec::with_capacity(self.size);
        let mut senders = Vec::new();
        for (data, from) in self.pieces.drain(..).filter_map(|p| p.data) {
            whole.extend_from_slice(&data);
            senders.push(from);
        }
        senders.sort_unstable();
        senders.dedup();
        Some((whole, senders))
    }
}

impl Torrent {
    pub(super) fn metadata_offered(&mut self, now: Time, key: PeerKey, size: u32) {
        let most = usize::try_from(self.settings.max_metadata_size).unwrap_or(0);
        if self.content.is_some() || size == 0 {
            return;
        }
        if size as usize > most {
            let error = Error::new(Status::Network, format!("metadata of {size} bytes; max_metadata_size is {most}"));
            self.close(now, key, CloseReason::MetadataTooBig, Some(error));
            return;
        }
        self.fetch.offers.insert(key, size as usize);
        self.ask_metadata(now, key);
    }

    fn ask_metadata(&mut self, now: Time, key: PeerKey) {
        if self.content.is_some() {
            return;
        }
        while let Some(peer) = self.peers.get_mut(&key)
            && let Some(id) = peer.ids.ut_metadata
            && let Some(piece) = self.fetch.next_for(now, key)
        {
            peer.send(now, &Message::Extended { id, payload: MetadataMessage::Request { piece }.encode() });
            super::connections::wake(&mut self.out.wake, peer);
        }
    }

    pub(super) fn metadata_timeouts(&mut self, now: Time) {
        if self.content.is_some() {
            return;
        }
        self.fetch.expire(now);
        let keys: Vec<PeerKey> = self.fetch.offers.keys().copied().collect();
        for key in keys {
            self.ask_metadata(now, key);
        }
    }

    pub(super) fn metadata_message(&mut self, now: Time, key: PeerKey, payload: &[u8]) -> Result<(), String> {
        match MetadataMessage::parse(payload).map_err(|e| format!("ut_metadata: {e}"))? {
            Some(MetadataMessage::Request { piece }) => self.serve_metadata(now, key, piece),
            Some(MetadataMessage::Data { piece, total_size, payload }) => {
                if self.content.is_none() {
                    if let Some((bytes, senders)) = self.fetch.receive(key, piece, total_size as usize, payload) {
                        self.metadata_complete(now, &bytes, &senders);
                    }
                    self.ask_metadata(now, key);
                }
            }
            Some(MetadataMessage::Reject { .. }) => {
                // It has none (yet): others are asked, and it again when it offers again.
                self.fetch.peer_gone(key);
            }
            None => {}
        }
        Ok(())
    }

    fn serve_metadata(&mut self, now: Time, key: PeerKey, piece: u32) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(id) = peer.ids.ut_metadata else { return };
        // A peer that asks and never reads gets no more memory from us.
        if peer.outbox.bytes() > 4 << 20 {
            return;
        }
        let bytes = self.content.as_ref().map(|c| c.info.bytes.clone());
        let chunk = bytes.as_ref().and_then(|b| b.chunks(METADATA_PIECE_BYTES).nth(piece as usize).map(<[u8]>::to_vec));
        let answer = match (chunk, bytes) {
            (Some(payload), Some(b)) => {
                MetadataMessage::Data { piece, total_size: u32::try_from(b.len()).unwrap_or(0), payload }
            }
            _ => MetadataMessage::Reject { piece },
        };
        peer.send(now, &Message::Extended { id, payload: answer.encode() });
        super::connections::wake(&mut self.out.wake, peer);
    }

    fn metadata_complete(&mut self, now: Time, bytes: &[u8], senders: &[PeerKey]) {
        let wanted = self.info_hashes;
        // A hybrid magnet names both; each that it names must hold.
        let v1_holds = wanted.v1.is_none_or(|h| h == Sha1Hash::of(bytes));
        let v2_holds = wanted.v2.is_none_or(|h| h == Sha256Hash::of(bytes));
        let parsed = if v1_holds && v2_holds && !wanted.is_empty() {
            Info::parse(bytes).map_err(|e| e.0)
        } else {
            Err("the metadata does not match the info-hash".to_owned())
        };
        match parsed {
            Ok(info) => {
                self.fetch = MetadataFetch::default();
                self.set_info(now, Arc::new(info));
                self.alert(Alert::MetadataReceived);
                self.readers_changed();
                self.fill_all(now);
            }
            Err(message) => {
                self.fetch.restart();
                self.fetch.failures += 1;
                let error = Error::new(Status::Parse, message);
                self.alert(Alert::MetadataFailed { error: error.clone() });
                // One sender is guilty. Among several it is found by asking one at a time.
                if let [only] = senders {
                    if let Some(peer) = self.peers.get(only) {
                        let address = peer.address;
                        self.swarm.ban(address);
                    }
                    self.close(now, *only, CloseReason::InvalidMetadata, Some(error));
                }
                self.metadata_timeouts(now);
            }
        }
    }

    /// How far the metadata is, in parts per million.
    pub(super) fn metadata_progress(&self) -> u32 {
        let all = self.fetch.pieces.len() as u64;
        let here = self.fetch.pieces.iter().filter(|p| p.data.is_some()).count() as u64;
        (here * 1_000_000).checked_div(all).unwrap_or(0) as u32
    }
}
