//! The metadata over the wire (BEP 9): fetched from several peers at once, served to those who ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::content::pieces::PeerKey;
use super::torrent::Torrent;
use crate::alert::{Alert, CloseReason};
use crate::base::error::{Error, Status};
use crate::base::time::Time;
use crate::metainfo::{Info, Sha1Hash, Sha256Hash};
use crate::wire::Message;
use crate::wire::ut_metadata::{METADATA_PIECE_BYTES, MetadataMessage};

/// Peers asked for one metadata piece within [`HURRY`]: so many, and as many more as let us wait for it, up to the most.
const COPIES: usize = 3;
const MOST_COPIES: usize = 12;
/// Pieces asked of one peer at once.
const PER_PEER: usize = 4;
/// A piece that is not here by then may be asked of others, too.
const HURRY: Duration = Duration::from_secs(1);
/// Who has not answered by then is left alone for a while: others have their turn.
const PATIENCE: Duration = Duration::from_secs(3);
/// An attempt that brought nothing for so long makes way for another size, or another peer.
const STALE: Duration = Duration::from_secs(6);
/// Sizes tried at once: peers that lie about it must not keep the others from being asked.
const MAX_ATTEMPTS: usize = 3;
/// A peer that rejects, or does not answer, is asked again after this, after twice as much the next time, and so on: to reject is
/// how peers defend themselves against floods (BEP 9), or they have it only later.
const REJECT_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Sizes remembered whose bytes turned out wrong.
const MAX_FAILED: usize = 64;
/// Bytes of messages that wait for a peer while it still gets metadata.
const MAX_UNWRITTEN: usize = 256 * 1024;

/// A piece asked of a peer.
#[derive(Debug)]
struct Ask {
    key: PeerKey,
    at: Time,
    /// It was waited for long enough. Should it come all the same, it is taken.
    late: bool,
}

#[derive(Debug, Default)]
struct Piece {
    data: Option<(Vec<u8>, PeerKey)>,
    /// Each peer once.
    asked: Vec<Ask>,
}

impl Piece {
    fn ask(&mut self, now: Time, key: PeerKey) {
        self.forget(key);
        self.asked.push(Ask { key, at: now, late: false });
    }

    fn asked_within(&self, now: Time, time: Duration) -> usize {
        self.asked.iter().filter(|a| now.since(a.at) < time).count()
    }

    /// May another peer be asked? Those who are silent must not keep the others from their turn.
    fn takes_another(&self, now: Time) -> bool {
        let late = self.asked.iter().filter(|a| a.late).count();
        self.data.is_none() && self.asked_within(now, HURRY) < (COPIES + late).min(MOST_COPIES)
    }

    fn waits_for(&self, key: PeerKey) -> bool {
        self.asked.iter().any(|a| a.key == key && !a.late)
    }

    fn was_asked_of(&self, key: PeerKey) -> bool {
        self.asked.iter().any(|a| a.key == key)
    }

    fn forget(&mut self, key: PeerKey) {
        self.asked.retain(|a| a.key != key);
    }
}

/// The metadata as far as it came from peers that agree on its size.
#[derive(Debug)]
struct Attempt {
    size: usize,
    pieces: Vec<Piece>,
    /// After bytes from several peers turned out wrong: one peer at a time.
    alone: Option<PeerKey>,
    progress: Time,
}

impl Attempt {
    fn new(now: Time, size: usize, alone: Option<PeerKey>) -> Self {
        let pieces = (0..size.div_ceil(METADATA_PIECE_BYTES)).map(|_| Piece::default()).collect();
        Self { size, pieces, alone, progress: now }
    }

    fn has_data(&self) -> bool {
        self.pieces.iter().any(|p| p.data.is_some())
    }

    fn is_stale(&self, now: Time) -> bool {
        now.since(self.progress) > STALE
    }

    /// The next piece to ask of a peer.
    fn next_for(&mut self, now: Time, key: PeerKey) -> Option<u32> {
        if self.alone.is_some_and(|a| a != key) {
            if !self.is_stale(now) {
                return None;
            }
            *self = Self::new(now, self.size, Some(key));
        }
        let outstanding = self.pieces.iter().filter(|p| p.waits_for(key)).count();
        if outstanding >= PER_PEER {
            return None;
        }
        // Spread first: what nobody was asked for, then what is asked of few.
        let free = self.pieces.iter().enumerate().filter(|(_, p)| p.takes_another(now) && !p.waits_for(key));
        let piece = free.min_by_key(|(i, p)| (p.asked_within(now, PATIENCE), *i)).map(|(i, _)| i)?;
        self.pieces.get_mut(piece)?.ask(now, key);
        Some(piece as u32)
    }

    /// Takes in a piece. False: it is not what the peer was asked for.
    fn receive(&mut self, now: Time, key: PeerKey, index: u32, total: usize, payload: Vec<u8>) -> bool {
        let Some(last) = self.pieces.len().checked_sub(1) else { return false };
        let whole = METADATA_PIECE_BYTES;
        let expect = if index as usize == last { self.size - last * whole } else { whole };
        let Some(piece) = self.pieces.get_mut(index as usize) else { return false };
        if total != self.size || payload.len() != expect || !piece.was_asked_of(key) {
            return false;
        }
        piece.asked.clear();
        piece.data.get_or_insert((payload, key));
        self.progress = now;
        // What else it was asked for comes behind that.
        for ask in self.pieces.iter_mut().flat_map(|p| &mut p.asked).filter(|a| a.key == key) {
            (ask.at, ask.late) = (now, false);
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.pieces.iter().all(|p| p.data.is_some())
    }

    /// All bytes, and who sent them.
    fn assemble(self) -> (Vec<u8>, Vec<PeerKey>) {
        let mut whole = Vec::with_capacity(self.size);
        let mut senders = Vec::new();
        for (data, from) in self.pieces.into_iter().filter_map(|p| p.data) {
            whole.extend_from_slice(&data);
            senders.push(from);
        }
        senders.sort_unstable();
        senders.dedup();
        (whole, senders)
    }
}

/// What peers offer, and what came of it.
#[derive(Debug, Default)]
pub struct MetadataFetch {
    attempts: Vec<Attempt>,
    /// What each peer says the size is.
    offers: BTreeMap<PeerKey, usize>,
    /// Sizes whose bytes turned out wrong and came from several peers.
    failed: BTreeSet<usize>,
    /// Who is left alone for a while, until when, and how often in a row.
    rests: BTreeMap<PeerKey, (Time, u32)>,
    /// Who was asked for the first piece without having told a size.
    blind: BTreeSet<PeerKey>,
    /// Whether each who was asked ever brought a piece, and since when none.
    fruitless: BTreeMap<PeerKey, (bool, Time)>,
}

impl MetadataFetch {
    /// What it brought is kept: it, or another one, brings the rest.
    pub fn peer_gone(&mut self, key: PeerKey) {
        self.offers.remove(&key);
        self.rests.remove(&key);
        self.blind.remove(&key);
        self.fruitless.remove(&key);
        let offers = &self.offers;
        self.attempts.retain(|a| a.alone != Some(key) && (a.has_data() || offers.values().any(|s| *s == a.size)));
        for piece in self.attempts.iter_mut().flat_map(|a| &mut a.pieces) {
            piece.forget(key);
        }
    }

    /// The next piece to ask of a peer.
    fn next_for(&mut self, now: Time, key: PeerKey) -> Option<u32> {
        let size = *self.offers.get(&key)?;
        if self.rests(now, key) {
            return None;
        }
        if let Some(attempt) = self.attempts.iter_mut().find(|a| a.size == size) {
            return attempt.next_for(now, key);
        }
        if self.attempts.len() >= MAX_ATTEMPTS {
            // What nobody offers any more goes first.
            let offered = |a: &Attempt| self.offers.values().any(|s| *s == a.size);
            let stalest = self.attempts.iter().enumerate().min_by_key(|(_, a)| (offered(a), a.progress));
            let at = stalest.filter(|(_, a)| !offered(a) || a.is_stale(now)).map(|(i, _)| i)?;
            self.attempts.swap_remove(at);
        }
        let mut attempt = Attempt::new(now, size, self.failed.contains(&size).then_some(key));
        let piece = attempt.next_for(now, key);
        self.attempts.push(attempt);
        piece
    }

    /// Was a piece of it received lately?
    pub fn came_within(&self, now: Time, time: Duration) -> bool {
        self.attempts.iter().any(|a| a.has_data() && now.since(a.progress) < time)
    }

    /// Whether a peer that was asked ever brought a piece, and since when none.
    pub fn fruitless(&self, key: PeerKey) -> Option<(bool, Time)> {
        self.fruitless.get(&key).copied()
    }

    /// How often in a row a peer rejected, or did not answer.
    fn times_in_vain(&self, key: PeerKey) -> u32 {
        self.rests.get(&key).map_or(0, |(_, times)| *times)
    }

    fn rests(&self, now: Time, key: PeerKey) -> bool {
        self.rests.get(&key).is_some_and(|(until, _)| *until > now)
    }

    fn rest(&mut self, now: Time, key: PeerKey) {
        let (until, times) = self.rests.entry(key).or_default();
        *until = now + (REJECT_PAUSE * (1 << (*times).min(8))).min(LONGEST_PAUSE);
        *times += 1;
    }

    /// Does the peer owe us something, now or since long ago?
    pub fn was_asked(&self, key: PeerKey) -> bool {
        self.blind.contains(&key) || self.attempts.iter().flat_map(|a| &a.pieces).any(|p| p.was_asked_of(key))
    }

    /// May a peer that told no size be asked for the first piece? Its answer tells it.
    fn ask_blindly(&mut self, now: Time, key: PeerKey) -> bool {
        let asks =
            !self.offers.contains_key(&key) && !self.rests(now, key) && self.attempts.iter().all(|a| a.is_stale(now));
        if asks {
            self.blind.insert(key);
            self.rest(now, key);
        }
        asks
    }

    /// The peer will not send the piece, for now. False: it was not asked for it.
    fn rejected(&mut self, now: Time, key: PeerKey, index: u32) -> bool {
        let size = self.offers.get(&key);
        let attempt = self.attempts.iter_mut().find(|a| Some(&a.size) == size);
        let Some(piece) = attempt.and_then(|a| a.pieces.get_mut(index as usize)) else { return false };
        let was_asked = piece.was_asked_of(key);
        piece.forget(key);
        // What it had been asked for beside is rejected with it.
        if was_asked && !self.rests(now, key) {
            self.rest(now, key);
        }
        was_asked
    }

    /// Who let a request wait for too long rests, as if it had rejected it.
    fn expire(&mut self, now: Time) {
        let waiting = self.attempts.iter_mut().flat_map(|a| &mut a.pieces).flat_map(|p| &mut p.asked);
        let late = waiting.filter(|a| !a.late && now.since(a.at) >= PATIENCE).map(|a| {
            a.late = true;
            a.key
        });
        for key in late.collect::<BTreeSet<_>>() {
            if !self.rests(now, key) {
                self.rest(now, key);
            }
        }
    }

    /// Takes in a piece; the whole and its senders when it is complete.
    fn receive(
        &mut self,
        now: Time,
        key: PeerKey,
        index: u32,
        total: usize,
        payload: Vec<u8>,
    ) -> Option<(Vec<u8>, Vec<PeerKey>)> {
        let size = *self.offers.get(&key)?;
        let at = self.attempts.iter().position(|a| a.size == size)?;
        // It answers: what it rejects next costs the first pause again.
        if let Some((_, times)) = self.rests.get_mut(&key) {
            *times = 0;
        }
        let attempt = self.attempts.get_mut(at)?;
        if !attempt.receive(now, key, index, total, payload) {
            return None;
        }
        self.fruitless.insert(key, (true, now));
        attempt.is_complete().then(|| self.attempts.swap_remove(at).assemble())
    }

    /// These bytes were wrong. One sender is guilty; among several it is found by asking one at a time.
    fn note_failed(&mut self, size: usize) {
        if self.failed.len() < MAX_FAILED {
            self.failed.insert(size);
        }
    }
}

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
        self.fetch.offers.insert(key, size as usize);
        self.fetch.rests.remove(&key);
    }

    pub(super) fn ask_metadata(&mut self, now: Time, key: PeerKey) {
        if self.content.is_some() {
            return;
        }
        while let Some(peer) = self.peers.get_mut(&key)
            && let Some(id) = peer.ids.ut_metadata
            && let Some(piece) = self.fetch.next_for(now, key).or_else(|| self.fetch.ask_blindly(now, key).then_some(0))
        {
            self.fetch.fruitless.entry(key).or_insert((false, now));
            peer.send(now, &Message::Extended { id, payload: MetadataMessage::Request { piece }.encode() });
            super::peer::messages::wake(&mut self.out.wake, peer);
        }
    }

    pub(super) fn metadata_timeouts(&mut self, now: Time) {
        if self.content.is_some() {
            return;
        }
        self.fetch.expire(now);
        let knows = self.peers.values().filter(|p| p.ids.ut_metadata.is_some());
        let mut keys: Vec<PeerKey> = knows.map(|p| p.key).collect();
        // Who has not let us wait comes before those who have.
        keys.sort_by_key(|key| self.fetch.times_in_vain(*key));
        for key in keys {
            self.ask_metadata(now, key);
        }
    }

    pub(super) fn metadata_message(&mut self, now: Time, key: PeerKey, payload: &[u8]) -> Result<(), String> {
        match MetadataMessage::parse(payload).map_err(|e| format!("ut_metadata: {e}"))? {
            Some(MetadataMessage::Request { piece }) => self.serve_metadata(now, key, piece),
            Some(MetadataMessage::Data { piece, total_size, payload }) if self.content.is_none() => {
                self.metadata_came(key, piece, payload.len());
                if self.fetch.blind.remove(&key) && piece == 0 && !self.fetch.offers.contains_key(&key) {
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
        let pieces = self.fetch.attempts.iter().filter_map(|a| a.pieces.get(piece as usize));
        let asked = pieces.into_iter().any(|p| p.was_asked_of(key));
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
        let Some(id) = peer.ids.ut_metadata else { return };
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
        super::peer::messages::wake(&mut self.out.wake, peer);
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
                let (endpoint, peer_id) = (peer.address, peer.peer_id);
                self.ban_sender(endpoint, peer_id);
            }
            self.close(now, *only, CloseReason::InvalidMetadata, Some(error));
        }
        self.metadata_timeouts(now);
    }

    /// Peers that came when we had no metadata learn that we have it now.
    pub(super) fn offer_metadata(&mut self, now: Time) {
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| p.extended).map(|p| p.key).collect();
        for key in keys {
            self.send_extended_handshake(now, key);
        }
    }

    /// How far the metadata is, in parts per million.
    pub(super) fn metadata_progress(&self) -> u32 {
        let here = |a: &Attempt| a.pieces.iter().filter(|p| p.data.is_some()).count();
        let Some(best) = self.fetch.attempts.iter().max_by_key(|a| here(a)) else { return 0 };
        let (here, all) = (here(best) as u64, best.pieces.len() as u64);
        (here * 1_000_000).checked_div(all).unwrap_or(0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_keep_nobody_from_being_asked() {
        let offers = (0..40).map(|key| (PeerKey(key), 100)).collect();
        let mut fetch = MetadataFetch { offers, ..MetadataFetch::default() };
        let mut ask_in = |second: u64| {
            let now = Time::from_millis(second * 1000);
            fetch.expire(now);
            (0..40).filter(|key| fetch.next_for(now, PeerKey(*key)).is_some()).count()
        };
        assert_eq!([0, 1, 2, 3, 4, 5].map(&mut ask_in), [3, 3, 3, 6, 9, 12]);
        let now = Time::from_millis(5500);
        assert!(fetch.receive(now, PeerKey(0), 0, 100, vec![0; 100]).is_some());
        assert_eq!(fetch.fruitless(PeerKey(0)), Some((true, now)));
    }
}
