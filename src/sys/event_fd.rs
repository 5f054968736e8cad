//! A file descriptor that is readable while there is something: what epoll, poll and Go's poller wait on.
//!
//! An eventfd on Linux, a pipe on other unixes, nothing elsewhere. Setting twice is setting once; so is clearing.

use std::io;

/// Readable while set.
#[derive(Debug)]
pub struct EventFd {
    inner: imp::Inner,
}

impl EventFd {
    pub fn new() -> io::Result<Self> {
        Ok(Self { inner: imp::Inner::new()? })
    }

    /// Makes it readable.
    pub fn set(&self) {
        self.inner.set(true);
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        self.inner.set(false);
    }

    /// The descriptor, which stays this object's, or -1 where the platform has none.
    pub fn as_raw_fd(&self) -> i32 {
        self.inner.as_raw_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for EventFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

    use parking_lot::Mutex;
    use rustix::io::{Errno, read, write};

    #[derive(Debug)]
    pub(crate) struct Inner {
        /// Is it readable? The lock keeps this and the descriptor in step, whoever sets and clears at once.
        set: Mutex<bool>,
        read: OwnedFd,
        /// Where it is another one than that for reading.
        write: Option<OwnedFd>,
    }

    impl Inner {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        pub(crate) fn new() -> io::Result<Self> {
            use rustix::event::{EventfdFlags, eventfd};
            let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            Ok(Self { set: Mutex::new(false), read, write: None })
        }

        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        pub(crate) fn new() -> io::Result<Self> {
            use rustix::io::{FdFlags, fcntl_setfd};
            let (read, write) = rustix::pipe::pipe()?;
            for fd in [&read, &write] {
                fcntl_setfd(fd, FdFlags::CLOEXEC)?;
                rustix::io::ioctl_fionbio(fd, true)?;
            }
            Ok(Self { set: Mutex::new(false), read, write: Some(write) })
        }

        pub(crate) fn set(&self, on: bool) {
            let mut set = self.set.lock();
            if *set == on {
                return;
            }
            let done = if on { self.fill() } else { self.drain() };
            if done.is_ok() {
                *set = on;
            }
        }

        /// Eight bytes are what an eventfd takes and gives; a pipe does not mind. One write is out at most, so that there
        /// is always room.
        fn fill(&self) -> Result<(), Errno> {
            let fd = self.write.as_ref().unwrap_or(&self.read);
            retry(|| write(fd, &1_u64.to_ne_bytes())).map(drop)
        }

        fn drain(&self) -> Result<(), Errno> {
            retry(|| read(&self.read, &mut [0_u8; 8])).map(drop)
        }

        pub(crate) fn as_raw_fd(&self) -> i32 {
            self.read.as_raw_fd()
        }

        pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
            self.read.as_fd()
        }
    }

    fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        loop {
            match call() {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;

    #[derive(Debug)]
    pub(crate) struct Inner;

    impl Inner {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn set(&self, _on: bool) {}

        pub(crate) fn as_raw_fd(&self) -> i32 {
            -1
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn readable(fd: &EventFd) -> bool {
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll") == 1
    }

    #[test]
    fn readable_while_set() {
        let fd = EventFd::new().expect("a descriptor");
        assert!(!readable(&fd));
        fd.clear();
        for _ in 0..3 {
            fd.set();
            fd.set();
            assert!(readable(&fd));
            fd.clear();
            assert!(!readable(&fd));
            fd.clear();
        }
    }
}
