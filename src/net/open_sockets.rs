//! How it is known that sockets are closed: a task has each, and whoever wants its port back waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long sockets may take to close; then the next ones find their ports taken, and take others.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// How many are open. The standard library's channels would leave something of theirs in the thread of a caller that waits.
#[derive(Debug, Default)]
pub struct OpenSockets {
    count: Mutex<usize>,
    fewer: Condvar,
}

/// One open socket.
pub struct Open(Arc<OpenSockets>);

impl Open {
    pub fn new(sockets: &Arc<OpenSockets>) -> Self {
        *sockets.count.lock() += 1;
        Self(sockets.clone())
    }
}

impl OpenSockets {
    /// Waits until all are closed.
    pub fn wait_closed(&self) {
        let until = Instant::now() + CLOSE_PATIENCE;
        let mut open = self.count.lock();
        while *open > 0 && !self.fewer.wait_until(&mut open, until).timed_out() {}
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.fewer.notify_all();
    }
}
