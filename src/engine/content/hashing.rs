//! When blocks that came are hashed: a whole piece at once, stretches of one several blocks at a time. What pours in waits for a batch,
//! because several pieces in step take less time than one after the other; also where a reader waits for one of them, since it pours
//! only where we are slower than the network.

use std::time::Duration;

use super::Content;
use super::pieces::{HashJob, Hashed, PeerKey};
use crate::base::time::Time;
use crate::metainfo::info_hash::Sha1Hash;

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

/// What is known of a piece after a stretch of it was hashed.
#[derive(Debug)]
pub(in crate::engine) enum Verified {
    /// What is to be hashed next.
    NotYet(Vec<HashJob>),
    Passed,
    Failed,
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

    /// What is to be hashed now: pieces that are whole, during a burst only enough of them for a batch; everything once nothing was
    /// collected for long enough. `by_blocks`: somebody reads block by block.
    pub(in crate::engine) fn collect(&mut self, now: Time, content: &mut Content, by_blocks: bool) -> Vec<HashJob> {
        if self.touched.is_empty() {
            return Vec::new();
        }
        let patience = self.patience(content, by_blocks);
        let since = *self.since.get_or_insert(now);
        let early = now < since + patience;
        let is_ready = |piece: &u32| !early || content.store.can_be_hashed_whole(*piece);
        let least = if early && !self.bursting.is_empty() { self.batch } else { 1 };
        if self.touched.iter().filter(|piece| is_ready(piece)).count() < least {
            return Vec::new();
        }
        let ready: Vec<u32> = self.touched.extract_if(.., |piece| is_ready(piece)).collect();
        let mut jobs: Vec<HashJob> =
            ready.into_iter().filter_map(|piece| content.store.hash_job(piece, u32::MAX)).collect();
        // Stretches of others go along for little, no longer ones than those.
        let most = jobs.iter().map(|job| job.blocks().len() as u32).max().unwrap_or(0);
        while !jobs.len().is_multiple_of(self.batch)
            && let Some(piece) = self.touched.first().copied()
        {
            self.touched.remove(0);
            jobs.extend(content.store.hash_job(piece, most));
        }
        self.since = (!self.touched.is_empty()).then_some(now);
        jobs
    }

    fn patience(&self, content: &Content, by_blocks: bool) -> Duration {
        if self.fills_batch(content, by_blocks) {
            PATIENCE
        } else if by_blocks {
            // What is let go before it is hashed cannot be judged.
            Duration::ZERO
        } else {
            STRETCH
        }
    }

    /// When what waits for a batch has waited long enough. Nothing else need happen then.
    pub(in crate::engine) fn due(&self, content: &Content, by_blocks: bool) -> Option<Time> {
        let since = self.since.filter(|_| self.has_work())?;
        Some(since + self.patience(content, by_blocks))
    }

    /// Do pieces that come without a pause meet others?
    fn fills_batch(&self, content: &Content, by_blocks: bool) -> bool {
        self.batch > 1 && !by_blocks && content.info.layout.piece_length() <= LARGE_PIECE
    }

    /// A stretch was hashed.
    pub(in crate::engine) fn done(
        &mut self,
        now: Time,
        job: HashJob,
        content: &mut Content,
        by_blocks: bool,
    ) -> Verified {
        let piece = job.piece;
        match content.store.hash_done(job) {
            Hashed::Pending if self.fills_batch(content, by_blocks) => {
                self.note(piece);
                Verified::NotYet(self.collect(now, content, by_blocks))
            }
            // The thread is awake.
            Hashed::Pending => Verified::NotYet(content.store.hash_job(piece, u32::MAX).into_iter().collect()),
            Hashed::Digest(digest) if content.verifier.is_right(piece, Sha1Hash(digest)) => Verified::Passed,
            Hashed::Digest(_) => Verified::Failed,
        }
    }
}
