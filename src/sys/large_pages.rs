//! Large pages for memory that is written and read over and over.

#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::mm::{Advice, madvise};

/// Asks the system to back the memory with large pages, where it has them: fewer faults, fewer look-ups. A wish only.
pub(crate) fn ask_for(memory: &mut [u8]) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: the range is the caller's own, borrowed to the end of the call. The advice changes which pages lie under it and
        // nothing of what stands there; a start that is not a page's is refused.
        let _ = unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), Advice::LinuxHugepage) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = memory;
}

/// Gives the pages under the memory back to the system. What stood there is gone; it reads as zeros, or as before where this is not
/// known. The allocator, which gets the memory next, would keep the pages for long.
pub(crate) fn give_back(memory: &mut [u8]) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let whole = memory.len() / LARGEST_PAGE * LARGEST_PAGE;
        // SAFETY: the range is the caller's own, borrowed mutably to the end of the call, and of the heap, so its pages are private
        // and have no file behind them: afterwards they read as zeros. A start that is not a page's is refused; a length that is not
        // would go to the end of its page, so it was cut to whole pages of any size that is in use.
        let _ = unsafe { madvise(memory.as_mut_ptr().cast(), whole, Advice::LinuxDontNeed) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = memory;
}

/// Ordinary pages have 4, 16 or 64 KiB.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LARGEST_PAGE: usize = 64 << 10;
