//! Files that are being deleted. A torrent may be added again while those of the one before it still go: its check waits for that,
//! else it finds pieces that are gone a moment later.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct List {
    next: u64,
    under_way: BTreeSet<u64>,
}

/// Those that are under way.
#[derive(Debug, Default)]
pub struct Deletions {
    list: Mutex<List>,
    fewer: Notify,
}

/// One, until it is dropped.
#[derive(Debug)]
pub struct Deletion {
    of: Arc<Deletions>,
    number: u64,
}

impl Deletions {
    pub fn begin(self: &Arc<Self>) -> Deletion {
        let mut list = self.list.lock();
        let number = list.next;
        list.next += 1;
        list.under_way.insert(number);
        Deletion { of: self.clone(), number }
    }

    /// Is any under way?
    pub fn any(&self) -> bool {
        !self.list.lock().under_way.is_empty()
    }

    /// Waits for those that have begun by now, and for no others.
    pub async fn over(&self) {
        let until = self.list.lock().next;
        loop {
            let fewer = self.fewer.notified();
            tokio::pin!(fewer);
            // From here on none is missed.
            fewer.as_mut().enable();
            if self.list.lock().under_way.first().is_none_or(|number| *number >= until) {
                return;
            }
            fewer.await;
        }
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        self.of.list.lock().under_way.remove(&self.number);
        self.of.fewer.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn those_of_before_are_waited_for() {
        let deletions = Arc::new(Deletions::default());
        deletions.over().await;
        let before = [deletions.begin(), deletions.begin()];
        let waiting = deletions.clone();
        let waits = tokio::spawn(async move { waiting.over().await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let after = deletions.begin();
        let [one, other] = before;
        drop(other);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waits.is_finished());
        drop(one);
        tokio::time::timeout(Duration::from_secs(10), waits).await.expect("in time").expect("no panic");
        assert!(deletions.any());
        drop(after);
        assert!(!deletions.any());
    }
}
