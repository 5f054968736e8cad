//! The threads of a session, and what a panic in a task comes to.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use tokio::runtime::{Builder, Runtime};

use crate::base::error::{Error, Operation, Result};
use crate::settings::Settings;

/// Workers where the setting leaves it to us: peers, hashing and trackers of one stream do not fill more.
const MAX_DEFAULT_WORKERS: usize = 4;

/// Starts a session's runtime. Its threads take no signals: those are the host's.
pub fn start(settings: &Settings) -> Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = match usize::try_from(settings.worker_threads) {
        Ok(n) if n > 0 => n,
        _ => cores.min(MAX_DEFAULT_WORKERS),
    };
    let _blocked = SignalsBlocked::here();
    Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(usize::try_from(settings.max_blocking_threads).unwrap_or(1).max(1))
        .thread_name("elementum")
        .enable_all()
        .build()
        .map_err(|e| Error::io(Operation::Unknown, &e, "the session's threads could not be started"))
}

#[cfg(unix)]
pub use crate::sys::signals::SignalsBlocked;

#[cfg(not(unix))]
pub struct SignalsBlocked;

#[cfg(not(unix))]
impl SignalsBlocked {
    pub fn here() -> Self {
        Self
    }
}

/// Runs a task to its end, or to its panic.
pub async fn guarded<F: Future>(task: F) -> std::result::Result<F::Output, String> {
    let mut task = Box::pin(task);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic_message(panic.as_ref()))),
    })
    .await
}

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("internal error: {}", text.unwrap_or("a panic without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_message() {
        assert_eq!(guarded(async { 7 }).await, Ok(7));
        let outcome = guarded(async {
            tokio::task::yield_now().await;
            if true {
                panic!("planted {}", 1);
            }
        });
        assert_eq!(outcome.await, Err("internal error: planted 1".to_owned()));
    }
}
