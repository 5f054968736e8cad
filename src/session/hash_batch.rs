//! Hashing across the torrents of a session. Several pieces in step take less time than one after the other, and where many torrents
//! get little memory each, the pieces that come in at the same time are of different ones.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::driver::Driver;
use super::runtime;
use super::shared::Shared;
use crate::base::storage_index::StorageIndex;
use crate::base::time::Time;
use crate::engine::content::hash_job::HashJob;
use crate::engine::content::piece_hash;

/// Torrents that hash within so short a time of each other meet: a piece takes about as long.
const MEETING: Duration = Duration::from_millis(2);

/// The jobs that wait for a thread.
#[derive(Debug, Default)]
pub struct HashBatch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// They keep nobody alive: whose torrent is gone by then needs no hash.
    waiting: VecDeque<(Weak<Driver>, HashJob)>,
    /// Who hashed last, and when.
    last: Option<(StorageIndex, Time)>,
}

impl HashBatch {
    /// A torrent is about to hash: are others at it?
    pub fn has_batch(&self, index: StorageIndex, now: Time) -> bool {
        let last = self.state.lock().last.replace((index, now));
        last.is_some_and(|(other, when)| other != index && now < when + MEETING)
    }

    fn take(&self) -> Vec<(Arc<Driver>, HashJob)> {
        let waiting = &mut self.state.lock().waiting;
        let count = waiting.len().min(piece_hash::lanes());
        waiting.drain(..count).filter_map(|(driver, job)| Some((driver.upgrade()?, job))).collect()
    }

    fn is_full(&self) -> bool {
        self.state.lock().waiting.len() >= piece_hash::lanes()
    }
}

/// Hashes on a task of its own, with what waits of other torrents. It runs next on this thread, while an idle thread takes over the task
/// that gave way to it.
pub fn hash_later(driver: &Arc<Driver>, jobs: Vec<HashJob>) {
    let session = &driver.session;
    let batches = jobs.len().div_ceil(piece_hash::lanes());
    session.hash_batch.state.lock().waiting.extend(jobs.into_iter().map(|job| (Arc::downgrade(driver), job)));
    for _ in 0..batches {
        let session_of_task = session.clone();
        session.spawn(async move { hash_next(&session_of_task).await });
    }
}

async fn hash_next(session: &Arc<Shared>) {
    if !session.hash_batch.is_full() {
        // Those whose blocks are there already come first: theirs may go along.
        tokio::task::yield_now().await;
    }
    let batch = session.hash_batch.take();
    // Another task took them along.
    if batch.is_empty() {
        return;
    }
    let (drivers, mut jobs): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    if let Err(message) = runtime::guarded(async { HashJob::run_together(&mut jobs) }).await {
        drivers.iter().for_each(|driver| driver.panicked(message.clone()));
        return;
    }
    let mut hashed: Vec<(Arc<Driver>, Vec<HashJob>)> = Vec::new();
    for (driver, job) in drivers.into_iter().zip(jobs) {
        match hashed.iter_mut().find(|(d, _)| Arc::ptr_eq(d, &driver)) {
            Some((_, jobs)) => jobs.push(job),
            None => hashed.push((driver, vec![job])),
        }
    }
    for (driver, jobs) in hashed {
        if let Err(message) = runtime::guarded(async { driver.hashed(jobs) }).await {
            driver.panicked(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torrents_that_hash_at_the_same_time_meet() {
        let (batch, now) = (HashBatch::default(), Time::BEGINNING);
        let [a, b] = [1, 2].map(StorageIndex);
        assert!(!batch.has_batch(a, now) && !batch.has_batch(a, now), "not itself");
        assert!(
            batch.has_batch(b, now + Duration::from_millis(1)) && batch.has_batch(a, now + Duration::from_millis(1))
        );
        assert!(!batch.has_batch(b, now + Duration::from_millis(4)));
    }
}
