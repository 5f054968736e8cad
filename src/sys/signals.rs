//! Signals of a thread.

use std::mem::MaybeUninit;

/// All signals are blocked on this thread until it is dropped. A thread that is made meanwhile inherits that: were it to block them
/// itself, it would take those that come before it gets to run.
pub struct SignalsBlocked(Option<libc::sigset_t>);

impl SignalsBlocked {
    pub fn here() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the first call fills `all`, which the second one reads, and that fills `before` where it succeeds.
        let blocked = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) == 0
        };
        // A thread whose mask cannot be set still works; the host then sees its signals there.
        // SAFETY: it was filled.
        Self(blocked.then(|| unsafe { before.assume_init() }))
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: it is a mask that the system gave.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
        }
    }
}
