//! The session's alert queue: bounded, in order, already packed.
//!
//! An alert is packed when it is posted, so that handing a batch to the caller is one copy of whole records. As in
//! libtorrent there is one order and a bound for each priority: an alert of priority p is let in while fewer than
//! `limit * (1 + p)` wait, so that news nobody fetches never keeps out the answer to a call. What is not let in is counted
//! by type, and the next pop says so in an `alerts_dropped` record, which is not subject to the bound and of which at most
//! one waits at a time. A dropped alert takes a sequence number: a gap shows where it would have been.
//!
//! Two buffers: posts append to one, pops read from the other, and they change places when the latter is used up.

#[cfg(not(all(feature = "loom", test)))]
use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
use std::sync::{OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(all(feature = "loom", test))]
use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use crate::alert::Alert;
use crate::alert::kind;
use crate::alert::pack::{Stamp, pack, pack_dropped};
use crate::base::error::{Error, Operation, Result};
use crate::base::out_buffer::OutBuffer;
use crate::base::storage_index::StorageIndex;
use crate::sys::event_fd::EventFd;

/// An idle buffer above this many bytes is given back.
const KEEP_BYTES: usize = 256 * 1024;

/// What a pop brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PopResult {
    /// Bytes written to the caller's buffer.
    pub bytes: usize,
    /// Records written.
    pub count: usize,
    /// Records still waiting.
    pub remaining: usize,
    /// Bytes of the next record, 0 where none waits.
    pub needed: usize,
}

/// A session's alerts on their way to the caller.
pub struct AlertQueue {
    mask: AtomicU64,
    state: Mutex<State>,
    /// Signalled at the change from empty to not empty, and at close.
    changed: Condvar,
    /// Made at first demand; beside the lock, so that the number can be told without it.
    fd: OnceLock<EventFd>,
}

struct State {
    limit: usize,
    /// What pops read, from `read` on.
    front: Vec<u8>,
    read: usize,
    /// Records in `front` that are not read yet.
    front_len: usize,
    /// What posts append to.
    back: Vec<u8>,
    /// Records in both.
    len: usize,
    sequence: u64,
    /// Type and count of what was dropped since the last `alerts_dropped` record was packed.
    dropped: Vec<(u32, u32)>,
    /// Is such a record waiting: in `front`, in `back`?
    dropped_in_front: bool,
    dropped_in_back: bool,
    posted_total: u64,
    dropped_total: u64,
    closed: bool,
}

impl AlertQueue {
    /// A queue that lets `limit` (at least 1) alerts of normal priority wait, of the categories in `mask`.
    pub fn new(limit: usize, mask: u64) -> Self {
        Self {
            mask: AtomicU64::new(mask),
            state: Mutex::new(State {
                limit: limit.max(1),
                front: Vec::new(),
                read: 0,
                front_len: 0,
                back: Vec::new(),
                len: 0,
                sequence: 0,
                dropped: Vec::new(),
                dropped_in_front: false,
                dropped_in_back: false,
                posted_total: 0,
                dropped_total: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            fd: OnceLock::new(),
        }
    }

    /// Would an alert of these categories be posted? For callers to whom making one is work.
    pub fn wants(&self, category: u64) -> bool {
        self.mask.load(Ordering::Relaxed) & category != 0
    }

    /// Posts an alert, stamped with the time of day. After close, and where the mask says so, it goes nowhere.
    pub fn post(&self, torrent: StorageIndex, alert: &Alert) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.post_at(i64::try_from(now.as_micros()).unwrap_or(i64::MAX), torrent, alert);
    }

    /// Posts an alert with the time it is to carry, in microseconds since 1970.
    pub fn post_at(&self, timestamp_us: i64, torrent: StorageIndex, alert: &Alert) {
        let kind = alert.kind();
        if !kind.always && !self.wants(kind.category) {
            return;
        }
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.sequence += 1;
        if state.len >= state.limit.saturating_mul(1 + kind.priority as usize) {
            state.drop_one(kind.id);
            return;
        }
        let stamp = Stamp { sequence: state.sequence, timestamp_us, torrent: torrent.0 };
        pack(&mut state.back, stamp, alert);
        state.posted_total += 1;
        state.len += 1;
        if state.len == 1 {
            self.wake(&state);
        }
    }

    /// Moves as many whole records as fit into `buf`, oldest first. What does not fit stays.
    pub fn pop(&self, buf: &mut [u8]) -> PopResult {
        self.pop_into(buf)
    }

    /// The same, into memory that may never have been written.
    pub fn pop_into<B: OutBuffer + ?Sized>(&self, buf: &mut B) -> PopResult {
        let mut state = self.lock();
        state.tell_dropped();
        let mut result = state.fill(buf);
        // What was dropped while the last such record waited is told by the next one.
        state.tell_dropped();
        result.remaining = state.len;
        result.needed = state.next_size();
        if state.len == 0 {
            state.shrink();
            if let (Some(fd), false) = (self.fd.get(), state.closed) {
                fd.clear();
            }
        }
        result
    }

    /// Waits until there is something to pop, the queue is closed, or the time is up (`None`: for ever).
    /// Is there something?
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut state = self.lock();
        while state.len == 0 && !state.closed {
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.len > 0
    }

    /// A descriptor that is readable while something can be popped, and for good once the queue is closed. It is the
    /// queue's. -1 where the platform has none. One that could not be made is tried again the next time.
    pub fn fd(&self) -> Result<i32> {
        if self.fd.get().is_none() {
            let made = EventFd::new().map_err(|e| Error::io(Operation::File, &e, "no descriptor for the alerts"))?;
            // Another thread may have been quicker.
            let _ = self.fd.set(made);
        }
        let state = self.lock();
        self.update_fd(&state);
        Ok(self.fd.get().map_or(-1, EventFd::as_raw_fd))
    }

    pub fn set_mask(&self, mask: u64) {
        self.mask.store(mask, Ordering::Relaxed);
    }

    pub fn mask(&self) -> u64 {
        self.mask.load(Ordering::Relaxed)
    }

    /// Changes the bound. What waits already stays.
    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit.max(1);
    }

    /// Lets nothing further in and wakes everyone who waits. What is in can still be popped.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(&state);
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Alerts let in so far, and alerts dropped so far.
    pub fn totals(&self) -> (u64, u64) {
        let state = self.lock();
        (state.posted_total, state.dropped_total)
    }

    pub fn len(&self) -> usize {
        self.lock().len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing here panics while it holds the lock; were it so, the counters would still agree.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, state: &State) {
        self.changed.notify_all();
        self.update_fd(state);
    }

    /// Under the lock, so that the descriptor and the queue never disagree.
    fn update_fd(&self, state: &State) {
        if let Some(fd) = self.fd.get()
            && (state.len > 0 || state.closed)
        {
            fd.set();
        }
    }
}

impl std::fmt::Debug for AlertQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlertQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl State {
    fn drop_one(&mut self, id: u32) {
        self.dropped_total += 1;
        match self.dropped.iter_mut().find(|d| d.0 == id) {
            Some(entry) => entry.1 = entry.1.saturating_add(1),
            None => self.dropped.push((id, 1)),
        }
    }

    /// Queues the record of what was dropped, unless one is waiting.
    fn tell_dropped(&mut self) {
        if self.dropped.is_empty() || self.dropped_in_front || self.dropped_in_back {
            return;
        }
        self.sequence += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let stamp = Stamp { sequence: self.sequence, timestamp_us, torrent: StorageIndex::INVALID.0 };
        self.dropped.sort_unstable();
        pack_dropped(&mut self.back, stamp, &self.dropped);
        self.dropped.clear();
        self.dropped_in_back = true;
        self.len += 1;
    }

    fn fill<B: OutBuffer + ?Sized>(&mut self, buf: &mut B) -> PopResult {
        let mut result = PopResult::default();
        loop {
            if self.read == self.front.len() {
                self.front.clear();
                self.read = 0;
                std::mem::swap(&mut self.front, &mut self.back);
                self.front_len = self.len;
                self.dropped_in_front = std::mem::take(&mut self.dropped_in_back);
                if self.front.is_empty() {
                    return result;
                }
            }
            let room = buf.len() - result.bytes;
            let (bytes, count) = self.run(room);
            if count == 0 {
                return result;
            }
            buf.put(result.bytes, self.front.get(self.read..self.read + bytes).unwrap_or_default());
            self.read += bytes;
            self.front_len -= count;
            self.len -= count;
            result.bytes += bytes;
            result.count += count;
        }
    }

    /// Bytes and number of the whole records of the front buffer that fit into `room`.
    fn run(&mut self, room: usize) -> (usize, usize) {
        let front = self.front.get(self.read..).unwrap_or_default();
        if front.len() <= room {
            // All of them: there is no need to look where they end.
            self.dropped_in_front = false;
            return (front.len(), self.front_len);
        }
        let (mut bytes, mut count) = (0, 0);
        while let Some((size, id)) = head(front, bytes) {
            if bytes + size > room {
                break;
            }
            self.dropped_in_front &= id != kind::ALERTS_DROPPED.id;
            bytes += size;
            count += 1;
        }
        (bytes, count)
    }

    /// Bytes of the next record, 0 where there is none.
    fn next_size(&self) -> usize {
        head(&self.front, self.read).or_else(|| head(&self.back, 0)).map_or(0, |(size, _)| size)
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.front, &mut self.back] {
            if buffer.capacity() > KEEP_BYTES {
                *buffer = Vec::new();
                self.read = 0;
            }
        }
    }
}

/// Size and type of the record at `at`.
fn head(records: &[u8], at: usize) -> Option<(usize, u32)> {
    let head = records.get(at..)?.first_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *head;
    let size = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
    Some((size, u32::from_ne_bytes([e, f, g, h])))
}

#[cfg(all(test, not(feature = "loom")))]
#[path = "alert_queue_tests.rs"]
mod tests;

#[cfg(all(test, feature = "loom"))]
#[path = "alert_queue_loom.rs"]
mod loom_tests;
