//! Memory of its own pages: of large ones, where the system has them, and given back to it whole.
//!
//! The allocator would keep for long what it gets back, and where it gives it out again it writes zeros over all of it, also over what was asked for
//! too much so that it begins where a large page does.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Large pages mostly have 2 MiB.
const LARGE_PAGE: usize = 2 << 20;

/// A run of pages, zeros at first.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages belong to whoever has this, as a Vec's memory does. Threads reach what stands there by parts that do not overlap.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

/// A part of a run. The run goes when its last part does.
#[derive(Debug)]
pub(crate) struct Part {
    /// The first byte of the part.
    start: NonNull<u8>,
    length: usize,
    _pages: Arc<Pages>,
}

// SAFETY: bytes that nobody else reaches, in memory that any thread may use and free.
unsafe impl Send for Part {}
// SAFETY: through a shared part they are only read.
unsafe impl Sync for Part {}

/// So many parts of so many bytes each, behind one another. A run of a large page or more begins where one may.
pub(crate) fn parts(number: usize, length: usize) -> Vec<Part> {
    let pages = Arc::new(Pages::new(number.saturating_mul(length).max(1)));
    let part = |n: usize| {
        // SAFETY: it lies within the run, which has room for so many parts.
        let start = unsafe { pages.start.add(n * length) };
        Part { start, length, _pages: pages.clone() }
    };
    (0..number).map(part).collect()
}

impl Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are this part's alone, written by the system or by us, and live as long as it holds the run.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Part {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; it is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

#[cfg(unix)]
mod run {
    use std::alloc::Layout;
    use std::ptr::{NonNull, null_mut};

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    use super::{LARGE_PAGE, Pages};

    impl Pages {
        pub(super) fn new(length: usize) -> Self {
            // Ordinary pages have 64 KiB at most: what is cut off ends where one does.
            let length = length.next_multiple_of(64 << 10);
            let slack = if length >= LARGE_PAGE { LARGE_PAGE } else { 0 };
            let (access, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            // SAFETY: a new mapping, wherever the system likes.
            let mapped = unsafe { mmap_anonymous(null_mut(), length + slack, access, private) };
            let Some(mapped) = mapped.ok().and_then(|m| NonNull::new(m.cast::<u8>())) else {
                std::alloc::handle_alloc_error(Layout::array::<u8>(length).unwrap_or(Layout::new::<u8>()));
            };
            let ahead = if slack == 0 { 0 } else { mapped.as_ptr().align_offset(LARGE_PAGE).min(slack) };
            // SAFETY: within the mapping.
            let (start, end) = unsafe { (mapped.add(ahead), mapped.add(ahead + length)) };
            unmap(mapped, ahead);
            unmap(end, slack - ahead);
            ask_for_large_pages(start, length);
            Self { start, length }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            unmap(self.start, self.length);
        }
    }

    /// Gives pages of ours back that nobody uses any more.
    fn unmap(start: NonNull<u8>, length: usize) {
        if length > 0 {
            // SAFETY: whole pages of a mapping of ours, and no reference to them is left.
            let _ = unsafe { munmap(start.as_ptr().cast(), length) };
        }
    }

    /// Fewer faults and fewer look-ups for memory that is written and read over and over. A wish only.
    fn ask_for_large_pages(start: NonNull<u8>, length: usize) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the advice changes which pages lie under the range, and nothing of what stands there.
            let _ = unsafe { madvise(start.as_ptr().cast(), length, Advice::LinuxHugepage) };
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = (start, length);
    }
}

#[cfg(not(unix))]
mod run {
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
    use std::ptr::NonNull;

    use super::Pages;

    fn layout(length: usize) -> Layout {
        Layout::from_size_align(length, 4096).unwrap_or(Layout::new::<u8>())
    }

    impl Pages {
        pub(super) fn new(length: usize) -> Self {
            // SAFETY: the length is not zero.
            let start = NonNull::new(unsafe { alloc_zeroed(layout(length)) });
            Self { start: start.unwrap_or_else(|| handle_alloc_error(layout(length))), length }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: it was allocated with this layout, and no reference to it is left.
            unsafe { dealloc(self.start.as_ptr(), layout(self.length)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_outlive_one_another() {
        for (number, length) in [(1, 1), (3, 16_384), (256, 16_384)] {
            let mut all = parts(number, length);
            assert!(all.iter().all(|part| part.len() == length && part.iter().all(|b| *b == 0)));
            for (n, part) in all.iter_mut().enumerate() {
                part.fill(n as u8);
            }
            assert!(all.iter().enumerate().all(|(n, part)| part.iter().all(|b| *b == n as u8)));
            if number * length >= LARGE_PAGE {
                assert_eq!(all[0].as_ptr().align_offset(LARGE_PAGE), 0);
            }
            let last = all.pop().expect("one");
            drop(all);
            assert!(last.iter().all(|b| *b == (number - 1) as u8));
        }
    }

    /// Resident kilobytes of this process that have no file behind them.
    #[cfg(target_os = "linux")]
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("of this process");
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).expect("a line");
        line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_not_written_takes_no_memory_and_what_goes_is_given_back() {
        let before = resident();
        for _ in 0..20 {
            let mut runs: Vec<_> = (0..16).map(|_| parts(256, 16_384)).collect();
            assert!(resident() < before + 30 * 1024, "nothing is written yet");
            runs.iter_mut().flatten().for_each(|part| part.fill(1));
            assert!(resident() >= before + 60 * 1024);
        }
        // Other tests of this process use some, too.
        assert!(resident() < before + 30 * 1024, "{} KiB, {before} before", resident());
    }
}
