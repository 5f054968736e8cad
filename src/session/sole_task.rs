//! A task of which there is one at a time.

use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinHandle};

#[derive(Debug, Default)]
pub struct SoleTask(Mutex<Option<AbortHandle>>);

impl SoleTask {
    /// Starts it, unless it runs.
    pub fn run(&self, start: impl FnOnce() -> JoinHandle<()>) {
        let mut task = self.0.lock();
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            *task = Some(start().abort_handle());
        }
    }

    pub fn stop(&self) {
        if let Some(task) = self.0.lock().take() {
            task.abort();
        }
    }
}
