//! The metadata as it comes from peers (BEP 9): whom to ask for which piece, and whose bytes agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;
use crate::wire::ut_metadata::METADATA_PIECE_BYTES;

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
pub(in crate::engine) struct MetadataFetch {
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
    undelivered: BTreeMap<PeerKey, (bool, Time)>,
}

impl MetadataFetch {
    /// What it brought is kept: it, or another one, brings the rest.
    pub fn peer_gone(&mut self, key: PeerKey) {
        self.offers.remove(&key);
        self.rests.remove(&key);
        self.blind.remove(&key);
        self.undelivered.remove(&key);
        let offers = &self.offers;
        self.attempts.retain(|a| a.alone != Some(key) && (a.has_data() || offers.values().any(|s| *s == a.size)));
        for piece in self.attempts.iter_mut().flat_map(|a| &mut a.pieces) {
            piece.forget(key);
        }
    }

    /// The next piece to ask of a peer.
    pub(in crate::engine) fn next_for(&mut self, now: Time, key: PeerKey) -> Option<u32> {
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
    pub(in crate::engine) fn came_within(&self, now: Time, time: Duration) -> bool {
        self.attempts.iter().any(|a| a.has_data() && now.since(a.progress) < time)
    }

    /// Whether a peer that was asked ever brought a piece, and since when none.
    pub(in crate::engine) fn undelivered(&self, key: PeerKey) -> Option<(bool, Time)> {
        self.undelivered.get(&key).copied()
    }

    /// How often in a row a peer rejected, or did not answer.
    pub(in crate::engine) fn times_failed(&self, key: PeerKey) -> u32 {
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
    pub(in crate::engine) fn was_asked(&self, key: PeerKey) -> bool {
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
    pub(in crate::engine) fn rejected(&mut self, now: Time, key: PeerKey, index: u32) -> bool {
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
    pub(in crate::engine) fn expire(&mut self, now: Time) {
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
    pub(in crate::engine) fn receive(
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
        self.undelivered.insert(key, (true, now));
        attempt.is_complete().then(|| self.attempts.swap_remove(at).assemble())
    }

    /// These bytes were wrong. One sender is guilty; among several it is found by asking one at a time.
    pub(in crate::engine) fn note_failed(&mut self, size: usize) {
        if self.failed.len() < MAX_FAILED {
            self.failed.insert(size);
        }
    }

    /// A peer has metadata of so many bytes.
    pub(in crate::engine) fn offered(&mut self, key: PeerKey, size: usize) {
        self.offers.insert(key, size);
        self.rests.remove(&key);
    }

    /// The piece to ask a peer for next.
    pub(in crate::engine) fn ask(&mut self, now: Time, key: PeerKey) -> Option<u32> {
        let piece = self.next_for(now, key).or_else(|| self.ask_blindly(now, key).then_some(0))?;
        self.undelivered.entry(key).or_insert((false, now));
        Some(piece)
    }

    /// Is it the answer of one that told no size, and was asked all the same? Its answer tells it.
    pub(in crate::engine) fn answers_blind_question(&mut self, key: PeerKey, piece: u32) -> bool {
        self.blind.remove(&key) && piece == 0 && !self.offers.contains_key(&key)
    }

    /// Was the peer asked for that piece?
    pub(in crate::engine) fn was_asked_for(&self, key: PeerKey, piece: u32) -> bool {
        let mut pieces = self.attempts.iter().filter_map(|a| a.pieces.get(piece as usize));
        pieces.any(|p| p.was_asked_of(key))
    }

    /// How far it is, in parts per million.
    pub(in crate::engine) fn progress(&self) -> u32 {
        let here = |a: &Attempt| a.pieces.iter().filter(|p| p.data.is_some()).count();
        let Some(best) = self.attempts.iter().max_by_key(|a| here(a)) else { return 0 };
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
        assert_eq!(fetch.undelivered(PeerKey(0)), Some((true, now)));
    }
}
