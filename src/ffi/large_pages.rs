//! Large pages for memory that is written and read over and over.

/// Asks the system to back the memory with large pages, where it has them: fewer faults, fewer look-ups. A wish only.
pub(crate) fn ask_for(memory: &mut [u8]) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::mm::{Advice, madvise};
        // SAFETY: the range is the caller's own, borrowed to the end of the call. The advice changes which pages lie under it and
        // nothing of what stands there; a start that is not a page's is refused.
        let _ = unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), Advice::LinuxHugepage) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = memory;
}
