//! What one peer takes from us: what it asked for and has not got, the memory that is out for it, and what went out to it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::outgoing::OutgoingBlocks;
use crate::base::time::Time;
use crate::engine::bandwidth::rate::Rate;
use crate::memory::pool::Pool;
use crate::wire::BlockRequest;

#[derive(Debug)]
pub struct Upload {
    requests: VecDeque<BlockRequest>,
    /// Bytes of those that are being read from disk. They are not among the requests.
    reading: usize,
    outgoing: OutgoingBlocks,
    payload: Rate,
    protocol: Rate,
}

impl Upload {
    pub fn new(pool: Arc<Pool>) -> Self {
        Self {
            requests: VecDeque::new(),
            reading: 0,
            outgoing: OutgoingBlocks::new(pool),
            payload: Rate::default(),
            protocol: Rate::default(),
        }
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub fn first(&self) -> Option<BlockRequest> {
        self.requests.front().copied()
    }

    pub fn push(&mut self, request: BlockRequest) {
        self.requests.push_back(request);
    }

    pub fn take_first(&mut self) -> Option<BlockRequest> {
        self.requests.pop_front()
    }

    /// It could not be read: it is the first again.
    pub fn put_back(&mut self, request: BlockRequest) {
        self.requests.push_front(request);
    }

    /// Is there such a request? It goes.
    pub fn cancel(&mut self, request: BlockRequest) -> bool {
        let before = self.requests.len();
        self.requests.retain(|r| *r != request);
        self.requests.len() != before
    }

    /// The requests that do not stay.
    pub fn drop_all_but(&mut self, stays: impl Fn(&BlockRequest) -> bool) -> VecDeque<BlockRequest> {
        let (kept, dropped) = self.requests.drain(..).partition(stays);
        self.requests = kept;
        dropped
    }

    /// Bytes that are being read from disk for it.
    pub fn reading(&self) -> usize {
        self.reading
    }

    pub fn reads(&mut self, bytes: usize) {
        self.reading += bytes;
    }

    pub fn was_read(&mut self, request: BlockRequest) {
        self.reading = self.reading.saturating_sub(request.length as usize);
    }

    /// The memory that is out for it.
    pub fn outgoing(&self) -> &OutgoingBlocks {
        &self.outgoing
    }

    pub fn outgoing_mut(&mut self) -> &mut OutgoingBlocks {
        &mut self.outgoing
    }

    /// Bytes of payload.
    pub fn payload(&self) -> &Rate {
        &self.payload
    }

    /// Bytes of payload and of all else.
    pub fn protocol(&self) -> &Rate {
        &self.protocol
    }

    /// So many bytes of payload went out to it, and so many in all.
    pub fn sent(&mut self, now: Time, payload: u64, all: u64) {
        self.payload.add(now, payload);
        self.protocol.add(now, all);
        self.outgoing.wrote(payload);
    }

    pub fn update_rates(&mut self, now: Time) {
        self.payload.update(now);
        self.protocol.update(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pool::BLOCK_SIZE;

    const NOW: Time = Time::BEGINNING;

    fn request(piece: u32) -> BlockRequest {
        BlockRequest { piece, begin: 0, length: 100 }
    }

    #[test]
    fn what_was_asked_for_waits_in_line_until_it_is_taken_or_dropped() {
        let mut upload = Upload::new(Pool::new(u64::from(BLOCK_SIZE)));
        (0..4).for_each(|piece| upload.push(request(piece)));
        assert!(upload.cancel(request(1)) && !upload.cancel(request(1)));
        assert_eq!(upload.take_first(), Some(request(0)));
        upload.put_back(request(0));
        assert_eq!((upload.first(), upload.len()), (Some(request(0)), 3));
        assert_eq!(upload.drop_all_but(|r| r.piece == 2), [request(0), request(3)]);
        assert_eq!((upload.take_first(), upload.is_empty()), (Some(request(2)), true));
    }

    #[test]
    fn what_is_out_comes_back_as_it_is_written() {
        let pool = Pool::new(64 * u64::from(BLOCK_SIZE));
        let mut upload = Upload::new(pool.clone());
        assert!(upload.outgoing_mut().take(1, 0));
        upload.reads(100);
        upload.was_read(request(0));
        upload.outgoing_mut().push(NOW, [100].into_iter());
        assert_eq!((upload.reading(), pool.outgoing()), (0, 1));
        upload.sent(NOW, 100, 113);
        assert_eq!((pool.outgoing(), upload.payload().total(), upload.protocol().total()), (0, 100, 113));
    }
}
