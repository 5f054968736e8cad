//! How many connections a session may have: a count that can be bounded anew at any time. Who comes by himself cannot take all places,
//! and those who are being dialled not even half of them: each kind leaves some to the other. Dials that a read waits for have the first
//! right to a place that comes free.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// This part of the places is kept for dials.
const KEPT_FOR_DIALS: usize = 8;

/// What a place is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody came and said what he wants.
    Incoming,
    /// A peer is being dialled, or was and answered.
    Dialled,
    /// The same while a read waits for it: it goes before others.
    DialledFirst,
}

#[derive(Debug, Default)]
struct Count {
    limit: usize,
    incoming: usize,
    dialled: usize,
    /// Of the dialled those that have not answered yet.
    dialling: usize,
    /// Dials that wait for a place and go before others.
    first: usize,
}

impl Count {
    fn open(&self) -> usize {
        self.incoming + self.dialled
    }

    fn is_full(&self) -> bool {
        self.open() >= self.limit
    }

    fn is_full_of_incoming(&self) -> bool {
        self.incoming >= self.limit - self.limit / KEPT_FOR_DIALS
    }

    fn is_full_of_dials(&self, before: usize) -> bool {
        self.dialling + before >= self.limit.div_ceil(2)
    }
}

/// The connections of a session and their bound.
#[derive(Debug)]
pub struct ConnectionLimit {
    count: Mutex<Count>,
    /// A place came free.
    freed: Notify,
}

/// A place under the limit, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    kind: Kind,
    answered: bool,
}

impl ConnectionLimit {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { count: Mutex::new(Count { limit, ..Count::default() }), freed: Notify::new() })
    }

    /// A lower limit lets in no further ones until enough have ended. Who has to go the session finds, which knows them.
    pub fn set(&self, limit: usize) {
        self.count.lock().limit = limit;
        self.freed.notify_waiters();
    }

    #[cfg(test)]
    fn open(&self) -> usize {
        self.count.lock().open()
    }

    pub fn acquire(self: &Arc<Self>, kind: Kind) -> Option<ConnectionPermit> {
        let mut count = self.count.lock();
        let before = if kind == Kind::DialledFirst { 0 } else { count.first };
        if count.open() + before >= count.limit {
            return None;
        }
        match kind {
            Kind::Incoming if count.is_full_of_incoming() => return None,
            Kind::Incoming => count.incoming += 1,
            // Addresses at which nobody is must not keep out everybody who comes.
            Kind::Dialled | Kind::DialledFirst if count.is_full_of_dials(before) => return None,
            Kind::Dialled | Kind::DialledFirst => {
                count.dialled += 1;
                count.dialling += 1;
            }
        }
        Some(ConnectionPermit { limit: self.clone(), kind, answered: kind == Kind::Incoming })
    }

    /// A dial waits until this is dropped: as many places are kept from others.
    pub fn queue_first(self: &Arc<Self>) -> InFront {
        self.count.lock().first += 1;
        InFront(self.clone())
    }

    /// Is the next place to come free one for which somebody waits who goes first?
    pub fn is_promised(&self) -> bool {
        let count = self.count.lock();
        count.is_full() && count.first > 0
    }

    /// Are all places taken that such a connection may have, other than by dials under way?
    pub fn is_full(&self, kind: Kind) -> bool {
        let count = self.count.lock();
        count.is_full() || kind == Kind::Incoming && count.is_full_of_incoming()
    }

    /// Is there no place for another dial?
    pub fn is_full_of_dials(&self) -> bool {
        let count = self.count.lock();
        count.is_full() || count.is_full_of_dials(0)
    }

    /// Have those who came all places that they may have?
    pub fn is_full_of_incoming(&self) -> bool {
        self.count.lock().is_full_of_incoming()
    }

    /// Are there more than there may be? Then a dial that answers has come too late.
    pub fn is_over(&self) -> bool {
        let count = self.count.lock();
        count.open() > count.limit
    }

    /// Waits for a place.
    pub async fn wait(self: &Arc<Self>, kind: Kind) -> ConnectionPermit {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(permit) = self.acquire(kind) {
                return permit;
            }
            freed.await;
        }
    }
}

/// The standing of a dial that goes first.
#[derive(Debug)]
pub struct InFront(Arc<ConnectionLimit>);

impl Drop for InFront {
    fn drop(&mut self) {
        self.0.count.lock().first -= 1;
        self.0.freed.notify_waiters();
    }
}

impl ConnectionPermit {
    /// The peer that was dialled is there.
    pub fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.limit.count.lock().dialling -= 1;
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.answered();
        let mut count = self.limit.count.lock();
        match self.kind {
            Kind::Incoming => count.incoming -= 1,
            Kind::Dialled | Kind::DialledFirst => count.dialled -= 1,
        }
        drop(count);
        self.limit.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_whatever_the_limit_was_when_they_were_taken() {
        let limit = ConnectionLimit::new(2);
        let take = || limit.acquire(Kind::Incoming);
        let (a, b) = (take(), take());
        assert!(a.is_some() && b.is_some() && take().is_none());
        limit.set(1);
        drop(a);
        assert!(take().is_none(), "one is open still");
        limit.set(3);
        let more = [take(), take(), take()];
        assert_eq!(more.iter().flatten().count(), 2);
        drop((b, more));
        assert_eq!(limit.open(), 0);
    }

    #[test]
    fn a_dial_that_goes_first_has_the_place_that_came_free() {
        let limit = ConnectionLimit::new(4);
        let mut taken: Vec<_> = std::iter::from_fn(|| limit.acquire(Kind::Incoming)).collect();
        let first = limit.queue_first();
        assert!(taken.len() == 4 && limit.is_promised());
        let all =
            |limit: &Arc<ConnectionLimit>| [Kind::Incoming, Kind::Dialled].map(|kind| limit.acquire(kind).is_some());
        taken.pop();
        assert_eq!(all(&limit), [false, false], "one is free");
        taken.pop();
        assert_eq!(all(&limit), [true, true], "two are");
        let permit = limit.acquire(Kind::DialledFirst);
        assert!(permit.is_some());
        drop((permit, first));
        assert!(limit.acquire(Kind::Dialled).is_some() && !limit.is_promised());
    }

    #[test]
    fn who_comes_leaves_places_to_dials_and_dials_leave_some_to_who_comes() {
        let limit = ConnectionLimit::new(16);
        let incoming: Vec<_> = std::iter::from_fn(|| limit.acquire(Kind::Incoming)).collect();
        assert_eq!(incoming.len(), 14);
        let dialled: Vec<_> = std::iter::from_fn(|| limit.acquire(Kind::Dialled)).collect();
        assert_eq!(dialled.len(), 2);
        drop((incoming, dialled));
        let mut dialling: Vec<_> = std::iter::from_fn(|| limit.acquire(Kind::Dialled)).collect();
        assert_eq!(dialling.len(), 8, "nobody has answered yet");
        dialling.iter_mut().for_each(ConnectionPermit::answered);
        let more: Vec<_> = std::iter::from_fn(|| limit.acquire(Kind::Dialled)).collect();
        assert_eq!(more.len(), 8);
        drop((dialling, more));
        assert_eq!(limit.open(), 0);
    }
}
