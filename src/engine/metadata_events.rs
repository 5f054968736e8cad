//! The metadata over the wire (BEP 9): fetched from several peers at once, served to those who ask.

use std::sync::Arc;

use super::content::pieces::PeerKey;
use super::metadata::fetch::MetadataFetch;
use super::peer::messages::wake;
use super::torrent::Torrent;
use crate::alert::{Alert, CloseReason};
use crate::base::error::{Error, Status};
use crate::base::time::Time;
use crate::metainfo::torrent_file::{MAX_WEB_SEEDS, wants_slash, web_seed_url};
use crate::metainfo::{Info, InfoHashes, Sha1Hash, Sha256Hash};
use crate::wire::Message;
use crate::wire::ut_metadata::{METADATA_PIECE_BYTES, MetadataMessage};

/// Bytes of messages that wait for a peer while it still gets metadata.
const MAX_UNWRITTEN: usize = 256 * 1024;

impl Torrent {
    /// A peer told the size of the metadata that it has.
    pub(super) fn metadata_offered(&mut self, now: Time, key: PeerKey, size: u32) {
        self.note_offer(now, key, size);
        self.ask_metadata(now, key);
    }

    fn note_offer(&mut self, now: Time, key: PeerKey, size: u32) {
        let most = usize::try_from(self.config.settings.max_metadata_size).unwrap_or(0);
        if self.content.is_some() || size == 0 {
            return;
        }
        if size as usize > most {
            let error = Error::new(Status::Network, format!("metadata of {size} bytes; max_metadata_size is {most}"));
            self.close(now, key, CloseReason::MetadataTooBig, Some(error));
            return;
        }
        self.fetch.offered(key, size as usize);
    }

    pub(super) fn ask_metadata(&mut self, now: Time, key: PeerKey) {
        if self.content.is_some() {
            return;
        }
        while let Some(peer) = self.peers.get_mut(&key)
            && let Some(id) = peer.extensions.ids().ut_metadata
            && let Some(piece) = self.fetch.ask(now, key)
        {
            peer.send(now, &Message::Extended { id, payload: MetadataMessage::Request { piece }.encode() });
            wake(&mut self.out.wake, peer);
        }
    }

    pub(super) fn metadata_timeouts(&mut self, now: Time) {
        if self.content.is_some() {
            return;
        }
        self.fetch.expire(now);
        let knows = self.peers.values().filter(|p| p.extensions.ids().ut_metadata.is_some());
        let mut keys: Vec<PeerKey> = knows.map(|p| p.key()).collect();
        // Who has not let us wait comes before those who have.
        keys.sort_by_key(|key| self.fetch.times_failed(*key));
        for key in keys {
            self.ask_metadata(now, key);
        }
    }

    pub(super) fn metadata_message(&mut self, now: Time, key: PeerKey, payload: &[u8]) -> Result<(), String> {
        match MetadataMessage::parse(payload).map_err(|e| format!("ut_metadata: {e}"))? {
            Some(MetadataMessage::Request { piece }) => self.serve_metadata(now, key, piece),
            Some(MetadataMessage::Data { piece, total_size, payload }) if self.content.is_none() => {
                self.metadata_came(key, piece, payload.len());
                if self.fetch.answers_blind_question(key, piece) {
                    self.note_offer(now, key, total_size);
                    // The piece that is here counts as asked.
                    let _ = self.fetch.next_for(now, key);
                }
                if let Some((bytes, senders)) = self.fetch.receive(now, key, piece, total_size as usize, payload) {
                    self.metadata_complete(now, &bytes, &senders);
                }
                self.ask_metadata(now, key);
            }
            Some(MetadataMessage::Reject { piece }) if self.content.is_none() => {
                if self.fetch.rejected(now, key, piece) {
                    self.metadata_timeouts(now);
                }
            }
            Some(MetadataMessage::Data { .. } | MetadataMessage::Reject { .. }) | None => {}
        }
        Ok(())
    }

    /// A piece that was asked for costs its sender nothing.
    fn metadata_came(&mut self, key: PeerKey, piece: u32, bytes: usize) {
        let asked = self.fetch.was_asked_for(key, piece);
        if let Some(peer) = self.peers.get_mut(&key).filter(|_| asked) {
            peer.budget.refund_bytes(bytes as u64);
        }
    }

    fn serve_metadata(&mut self, now: Time, key: PeerKey, piece: u32) {
        // It was not offered either: who has it from the tracker has a right to it, and nobody else (BEP 27).
        if self.is_private() {
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(id) = peer.extensions.ids().ut_metadata else { return };
        // A peer that asks faster than it reads is refused for now (BEP 9).
        let busy = peer.outbox.message_bytes() > MAX_UNWRITTEN;
        let bytes = self.content.as_ref().filter(|_| !busy).map(|c| c.info().bytes.clone());
        let chunk = bytes.as_ref().and_then(|b| b.chunks(METADATA_PIECE_BYTES).nth(piece as usize).map(<[u8]>::to_vec));
        let answer = match (chunk, bytes) {
            (Some(payload), Some(b)) => {
                MetadataMessage::Data { piece, total_size: u32::try_from(b.len()).unwrap_or(0), payload }
            }
            _ => MetadataMessage::Reject { piece },
        };
        peer.answer(now, &Message::Extended { id, payload: answer.encode() });
        wake(&mut self.out.wake, peer);
    }

    fn metadata_complete(&mut self, now: Time, bytes: &[u8], senders: &[PeerKey]) {
        let wanted = self.config.info_hashes;
        // A hybrid magnet names both; each that it names must hold.
        let v1_holds = wanted.v1.is_none_or(|h| h == Sha1Hash::of(bytes));
        let v2_holds = wanted.v2.is_none_or(|h| h == Sha256Hash::of(bytes));
        if !v1_holds || !v2_holds || wanted.is_empty() {
            return self.metadata_wrong(now, bytes.len(), senders);
        }
        let most = self.config.settings.max_piece_count;
        let parsed = Info::parse(bytes).map_err(|error| Error::new(Status::Parse, error.message));
        let usable = parsed.and_then(|info| match info.layout.num_pieces() {
            pieces if i64::from(pieces) <= most => Ok(info),
            pieces => Err(Error::new(Status::Parse, format!("{pieces} pieces; max_piece_count is {most}"))),
        });
        match usable {
            Ok(info) => {
                self.adopt_metadata(now, Arc::new(info));
            }
            // It is what the info-hash stands for: nobody is to blame, and nobody has any other.
            Err(error) => {
                self.alert(Alert::MetadataFailed { error: error.clone() });
                self.stop_with(now, error, String::new());
            }
        }
    }

    /// It is not what the info-hash stands for: others are asked, and who sent all of it is not asked again.
    fn metadata_wrong(&mut self, now: Time, size: usize, senders: &[PeerKey]) {
        self.fetch.note_failed(size);
        let error = Error::new(Status::Parse, "the metadata does not match the info-hash");
        self.alert(Alert::MetadataFailed { error: error.clone() });
        if let [only] = senders {
            if let Some(peer) = self.peers.get(only) {
                let (endpoint, peer_id) = (peer.address(), peer.peer_id());
                self.ban_sender(endpoint, peer_id);
            }
            self.close(now, *only, CloseReason::InvalidMetadata, Some(error));
        }
        self.metadata_timeouts(now);
    }

    /// Peers that came when we had no metadata learn that we have it now.
    pub(super) fn offer_metadata(&mut self, now: Time) {
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| p.supports_extensions()).map(|p| p.key()).collect();
        for key in keys {
            self.send_extended_handshake(now, key);
        }
    }

    /// Takes in what is not known yet. What is there keeps its state, and what exceeds the limits is left out.
    pub fn merge(&mut self, now: Time, info: Option<&Arc<Info>>, tiers: &[Vec<String>], web_seeds: &[String]) {
        if let Some(info) =
            info.filter(|info| self.content.is_none() && names(&self.config.info_hashes, &info.info_hashes))
        {
            let pieces = i64::from(info.layout.num_pieces());
            if pieces <= self.config.settings.max_piece_count {
                self.adopt_metadata(now, info.clone());
            }
        }
        for (tier, urls) in (0..).zip(tiers) {
            for url in urls {
                let _ = self.trackers.add(url, tier);
            }
        }
        self.add_web_seeds(web_seeds);
    }

    /// The metadata is here, from peers or from a caller: everybody is told.
    pub(super) fn adopt_metadata(&mut self, now: Time, info: Arc<Info>) {
        self.fetch = MetadataFetch::default();
        self.set_info(now, info);
        self.alert(Alert::MetadataReceived);
        self.part_with_strangers(now);
        self.offer_metadata(now);
        self.readers_changed();
        self.scheduler().fill_all(now);
    }

    /// In the form that the metadata asks for: those of several files are directories.
    pub(super) fn add_web_seeds(&mut self, urls: &[String]) {
        let slash = self.info().is_some_and(|info| wants_slash(info));
        for url in urls {
            if self.config.web_seeds.len() >= MAX_WEB_SEEDS {
                return;
            }
            let url = web_seed_url(url, slash);
            if !self.config.web_seeds.contains(&url) {
                self.config.web_seeds.push(url);
            }
        }
    }
}

/// Is all that we call the torrent among its hashes? A hybrid may be known by one of its two.
fn names(ours: &InfoHashes, of_info: &InfoHashes) -> bool {
    (ours.v1.is_none() || ours.v1 == of_info.v1) && (ours.v2.is_none() || ours.v2 == of_info.v2)
}

#[cfg(test)]
mod tests;
