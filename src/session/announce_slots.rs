//! How many announces are under way at once: places that are waited for in turn, and whose number may change meanwhile.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of a session.
#[derive(Debug)]
pub struct AnnounceSlots {
    free: Arc<Semaphore>,
    count: Mutex<Count>,
}

#[derive(Debug)]
struct Count {
    limit: usize,
    /// Places that were taken when the limit sank below them: they do not come back.
    surplus: usize,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub struct AnnounceSlot {
    slots: Arc<AnnounceSlots>,
    permit: Option<OwnedSemaphorePermit>,
}

impl AnnounceSlots {
    /// With `limit` places, one at least.
    pub fn new(limit: usize) -> Arc<Self> {
        let limit = limit.max(1);
        Arc::new(Self { free: Arc::new(Semaphore::new(limit)), count: Mutex::new(Count { limit, surplus: 0 }) })
    }

    /// Changes their number. Fewer end no announce that is under way.
    pub fn set(&self, limit: usize) {
        let limit = limit.max(1);
        let mut count = self.count.lock();
        let (more, fewer) = (limit.saturating_sub(count.limit), count.limit.saturating_sub(limit));
        let kept = count.surplus.min(more);
        count.surplus -= kept;
        self.free.add_permits(more - kept);
        count.surplus += fewer - self.free.forget_permits(fewer);
        count.limit = limit;
    }

    /// Waits for a place. None: there will be none.
    pub async fn take(self: &Arc<Self>) -> Option<AnnounceSlot> {
        let permit = self.free.clone().acquire_owned().await.ok()?;
        Some(AnnounceSlot { slots: self.clone(), permit: Some(permit) })
    }
}

impl Drop for AnnounceSlot {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut count = self.slots.count.lock();
        if count.surplus > 0 {
            count.surplus -= 1;
            permit.forget();
        } else {
            // Before the count is let go: a limit that is set meanwhile would take the place for a taken one.
            drop(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A place, if there is one at once.
    fn try_take(slots: &Arc<AnnounceSlots>) -> Option<AnnounceSlot> {
        let take = std::pin::pin!(slots.take());
        match take.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => slot,
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_limit_of_now_counts() {
        let slots = AnnounceSlots::new(2);
        let (a, b) = (try_take(&slots), try_take(&slots));
        assert!(a.is_some() && b.is_some() && try_take(&slots).is_none());
        slots.set(1);
        drop(a);
        assert!(try_take(&slots).is_none(), "one is under way still");
        slots.set(3);
        let (c, d) = (try_take(&slots), try_take(&slots));
        assert!(c.is_some() && d.is_some() && try_take(&slots).is_none());
        slots.set(1);
        slots.set(2);
        drop((b, c));
        let e = try_take(&slots);
        assert!(e.is_some() && try_take(&slots).is_none());
        drop((d, e));
        slots.set(0);
        let f = try_take(&slots);
        assert!(f.is_some() && try_take(&slots).is_none(), "one is always there");
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_added() {
        let slots = AnnounceSlots::new(1);
        let first = slots.take().await;
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take().await.is_some() }
        });
        slots.set(2);
        assert!(waiting.await.expect("no panic"));
        drop(first);
    }
}
