//! How many connections a session may have: a count that can be bounded anew at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The connections of a session, half-open ones too, and their bound.
#[derive(Debug)]
pub struct ConnectionLimit {
    open: AtomicUsize,
    limit: AtomicUsize,
}

/// A place under the limit, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<ConnectionLimit>);

impl ConnectionLimit {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), limit: AtomicUsize::new(limit) })
    }

    /// A lower limit ends no connection; it lets in no further ones until enough have ended.
    pub fn set(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
    }

    #[cfg(test)]
    fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub fn acquire(self: &Arc<Self>) -> Option<ConnectionPermit> {
        let limit = self.limit.load(Ordering::Acquire);
        let room = |open: usize| (open < limit).then_some(open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(ConnectionPermit(self.clone()))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_whatever_the_limit_was_when_they_were_taken() {
        let limit = ConnectionLimit::new(2);
        let (a, b) = (limit.acquire(), limit.acquire());
        assert!(a.is_some() && b.is_some() && limit.acquire().is_none());
        limit.set(1);
        drop(a);
        assert!(limit.acquire().is_none(), "one is open still");
        limit.set(3);
        let more = [limit.acquire(), limit.acquire(), limit.acquire()];
        assert_eq!(more.iter().flatten().count(), 2);
        drop((b, more));
        assert_eq!(limit.open(), 0);
    }
}
