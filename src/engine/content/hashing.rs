//! When blocks that came are hashed: a whole piece at once, stretches of one several blocks at a time. What pours in waits for a batch,
//! because several pieces in step take less time than one after the other; also where a reader waits for one of them, since it pours
//! only where we are slower than the network.

use std::time::Duration;

use super::pieces::{HashJob, Hashed, PeerKey};
use crate::base::time::Time;
use crate::engine::torrent::Torrent;

/// Stretches wait so long for what comes next, and what pours in for a batch.
const PATIENCE: Duration = Duration::from_millis(10);
/// Larger pieces find none in that time, and their last stretch is to be short. They wait only until there is something worth the wake
/// of another thread.
const LARGE_PIECE: u32 = 4 << 20;
const STRETCH: Duration = Duration::from_micros(300);

/// The pieces that wait for their hash.
#[derive(Debug)]
pub struct Hashing {
    /// So many pieces make a batch, 1: nobody waits for others.
    batch: usize,
    /// Pieces that got blocks, and no job since; ascending.
    touched: Vec<u32>,
    /// Since when they wait: the first of them, or those that were left when others went.
    since: Option<Time>,
    /// The peers whose socket held more than was taken from it: the next event of each follows at once.
    bursting: Vec<PeerKey>,
}

impl Hashing {
    pub fn new(batch: usize) -> Self {
        Self { batch: batch.max(1), touched: Vec::new(), since: None, bursting: Vec::new() }
    }

    pub fn start_over(&mut self) {
        *self = Self::new(self.batch);
    }

    pub fn has_work(&self) -> bool {
        !self.touched.is_empty()
    }

    pub fn note(&mut self, piece: u32) {
        if let Err(place) = self.touched.binary_search(&piece) {
            self.touched.insert(place, piece);
        }
    }

    pub fn is_noted(&self, piece: u32) -> bool {
        self.touched.binary_search(&piece).is_ok()
    }

    pub fn set_burst(&mut self, key: PeerKey, burst: bool) {
        self.bursting.retain(|k| *k != key);
        if burst {
            self.bursting.push(key);
        }
    }
}

impl Torrent {
    /// The peer whose burst it was has nothing more to be received for now.
    pub fn peer_paused(&mut self, now: Time, key: PeerKey) {
        self.hashing.set_burst(key, false);
        self.collect_hashes(now);
    }

    /// Collects what is to be hashed now: pieces that are whole, during a burst only enough of them for a batch; everything once
    /// none was collected for long enough.
    pub(in crate::engine) fn collect_hashes(&mut self, now: Time) {
        if self.hashing.touched.is_empty() {
            return;
        }
        let patience = self.hash_patience();
        let Some(content) = &mut self.content else { return };
        let hashing = &mut self.hashing;
        let since = *hashing.since.get_or_insert(now);
        let early = now < since + patience;
        let is_ready = |piece: &u32| !early || content.store.can_be_hashed_whole(*piece);
        let least = if early && !hashing.bursting.is_empty() { hashing.batch } else { 1 };
        if hashing.touched.iter().filter(|piece| is_ready(piece)).count() < least {
            return;
        }
        let ready: Vec<u32> = hashing.touched.extract_if(.., |piece| is_ready(piece)).collect();
        let mut jobs: Vec<HashJob> =
            ready.into_iter().filter_map(|piece| content.store.hash_job(piece, u32::MAX)).collect();
        // Stretches of others go along for little, no longer ones than those.
        let most = jobs.iter().map(|job| job.blocks().len() as u32).max().unwrap_or(0);
        while !jobs.len().is_multiple_of(hashing.batch)
            && let Some(piece) = hashing.touched.first().copied()
        {
            hashing.touched.remove(0);
            jobs.extend(content.store.hash_job(piece, most));
        }
        hashing.since = (!hashing.touched.is_empty()).then_some(now);
        self.out.hashes.extend(jobs);
    }

    fn hash_patience(&self) -> Duration {
        if self.fills_batch() {
            PATIENCE
        } else if self.readers.reads_by_blocks() {
            // What is let go before it is hashed cannot be judged.
            Duration::ZERO
        } else {
            STRETCH
        }
    }

    /// When what waits for a batch has waited long enough. Nothing else need happen then.
    pub(in crate::engine) fn hashes_due(&self) -> Option<Time> {
        let since = self.hashing.since.filter(|_| self.hashing.has_work() && self.is_running())?;
        Some(since + self.hash_patience())
    }

    /// Do pieces that come without a pause meet others?
    fn fills_batch(&self) -> bool {
        let small = self.content.as_ref().is_some_and(|c| c.info.layout.piece_length() <= LARGE_PIECE);
        small && self.hashing.batch > 1 && !self.readers.reads_by_blocks()
    }

    /// A stretch was hashed outside the lock.
    pub fn hash_done(&mut self, now: Time, job: HashJob) {
        let piece = job.piece;
        let fills_batch = self.fills_batch();
        let Some(content) = &mut self.content else { return };
        match content.store.hash_done(job) {
            Hashed::Pending if fills_batch => {
                self.hashing.note(piece);
                self.collect_hashes(now);
            }
            // The thread is awake.
            Hashed::Pending => self.out.hashes.extend(content.store.hash_job(piece, u32::MAX)),
            Hashed::Digest(digest) if content.info.piece_hash(piece).is_some_and(|h| h.0 == digest) => {
                self.piece_passed(now, piece);
            }
            Hashed::Digest(_) => self.piece_failed(now, piece),
        }
    }
}
