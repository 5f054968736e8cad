//! The open files of a session: a bounded, least recently used set, so that a torrent of 100,000 files costs no more
//! descriptors than any other.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// libtorrent's default of `file_pool_size`.
pub const DEFAULT_FILE_POOL_SIZE: usize = 40;

/// Names one torrent's files in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u64);

#[derive(Debug)]
struct Entry {
    owner: Owner,
    file: usize,
    writable: bool,
    last_use: u64,
    handle: Arc<File>,
}

/// The pool. Files being used stay open beyond their eviction until that use ends.
#[derive(Debug)]
pub struct FilePool {
    state: Mutex<State>,
    next_owner: AtomicU64,
}

#[derive(Debug)]
struct State {
    limit: usize,
    clock: u64,
    /// Few enough that a scan is cheaper than a map.
    open: Vec<Entry>,
}

impl FilePool {
    /// A pool of at most `limit` open files, at least one.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { limit: limit.max(1), clock: 0, open: Vec::new() }),
            next_owner: AtomicU64::new(0),
        })
    }

    /// Changes the bound; what exceeds it is closed.
    pub fn set_limit(&self, limit: usize) {
        let mut state = self.state.lock();
        state.limit = limit.max(1);
        let closed = state.shrink(0);
        drop(state);
        drop(closed);
    }

    /// Files open now.
    pub fn len(&self) -> usize {
        self.state.lock().open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new owner of files.
    pub fn owner(&self) -> Owner {
        Owner(self.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    /// The open file, opened if need be; for writing it is created too, but its directories are not.
    pub fn open(&self, owner: Owner, file: usize, path: &Path, writable: bool) -> io::Result<Arc<File>> {
        if let Some(handle) = self.state.lock().find(owner, file, writable) {
            return Ok(handle);
        }
        // Opened without the lock: a disk that spins up must not hold up other files. Two openers at once are no harm.
        let handle = Arc::new(self.open_anew(path, writable)?);
        let mut state = self.state.lock();
        let mut closed: Vec<_> = state.open.extract_if(.., |e| e.owner == owner && e.file == file).collect();
        closed.extend(state.shrink(1));
        let last_use = state.tick();
        state.open.push(Entry { owner, file, writable, last_use, handle: handle.clone() });
        drop(state);
        drop(closed);
        Ok(handle)
    }

    /// Opens a file. Where the process has no descriptor left, one of ours goes for it, as long as there are any: fewer open files are
    /// slower, and no failure.
    fn open_anew(&self, path: &Path, writable: bool) -> io::Result<File> {
        loop {
            match open_file(path, writable) {
                Err(e) if is_descriptor_shortage(e.raw_os_error().unwrap_or(0)) => {
                    let oldest = self.state.lock().take_oldest();
                    drop(oldest.ok_or(e)?);
                }
                other => return other,
            }
        }
    }

    /// Closes all files of an owner.
    pub fn release(&self, owner: Owner) {
        let closed: Vec<_> = self.state.lock().open.extract_if(.., |e| e.owner == owner).collect();
        drop(closed);
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn find(&mut self, owner: Owner, file: usize, writable: bool) -> Option<Arc<File>> {
        let now = self.tick();
        let entry = self.open.iter_mut().find(|e| e.owner == owner && e.file == file && (e.writable || !writable))?;
        entry.last_use = now;
        Some(entry.handle.clone())
    }

    /// Makes room for `more` files. What it returns is to be dropped, that is closed, without the lock.
    fn shrink(&mut self, more: usize) -> Vec<Entry> {
        let mut closed = Vec::new();
        while self.open.len() + more > self.limit
            && let Some(oldest) = self.take_oldest()
        {
            closed.push(oldest);
        }
        closed
    }

    /// Of the open files the one that was used longest ago. To be dropped without the lock, too.
    fn take_oldest(&mut self) -> Option<Entry> {
        let (oldest, _) = self.open.iter().enumerate().min_by_key(|(_, e)| e.last_use)?;
        Some(self.open.swap_remove(oldest))
    }
}

/// Is that the system's error where it gives the process no more descriptors?
pub fn is_descriptor_shortage(os_error: i32) -> bool {
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|e| e.raw_os_error() == os_error)
}

/// Opens without following a symbolic link in the last place, which somebody may have put there to have us write elsewhere.
fn open_file(path: &Path, writable: bool) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(writable)
        .create(writable)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    // Non-blocking above, so that a pipe in the file's place cannot hang us here.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_least_recently_used_goes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let pool = FilePool::new(3);
        let owner = pool.owner();
        let path = |i: usize| dir.path().join(i.to_string());
        for i in 0..3 {
            pool.open(owner, i, &path(i), true).expect("opened");
        }
        pool.open(owner, 0, &path(0), false).expect("still open");
        pool.open(owner, 3, &path(3), true).expect("opened");
        let mut open: Vec<_> = pool.state.lock().open.iter().map(|e| e.file).collect();
        open.sort_unstable();
        assert_eq!(open, [0, 2, 3]);
        pool.set_limit(1);
        assert_eq!(pool.len(), 1);
        pool.release(owner);
        assert!(pool.is_empty());
    }

    #[test]
    fn a_read_only_handle_is_replaced_for_writing() {
        let dir = tempfile::tempdir().expect("a directory");
        let pool = FilePool::new(3);
        let owner = pool.owner();
        let path = dir.path().join("f");
        assert!(pool.open(owner, 0, &path, false).is_err(), "reading creates nothing");
        std::fs::write(&path, b"x").expect("written");
        pool.open(owner, 0, &path, false).expect("opened");
        pool.open(owner, 0, &path, true).expect("opened");
        assert_eq!(pool.len(), 1);
        assert!(pool.state.lock().open[0].writable);
    }

    #[test]
    fn owners_do_not_share() {
        let dir = tempfile::tempdir().expect("a directory");
        let pool = FilePool::new(8);
        let (a, b) = (pool.owner(), pool.owner());
        pool.open(a, 0, &dir.path().join("a"), true).expect("opened");
        pool.open(b, 0, &dir.path().join("b"), true).expect("opened");
        pool.release(a);
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn symlinks_pipes_and_directories_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let (target, link, pipe) = (dir.path().join("target"), dir.path().join("link"), dir.path().join("pipe"));
        std::fs::write(&target, b"keep").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
        let pool = FilePool::new(8);
        let owner = pool.owner();
        let error = pool.open(owner, 0, &link, true).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        assert!(pool.open(owner, 1, &pipe, true).is_err());
        assert!(pool.open(owner, 2, dir.path(), false).is_err());
        assert!(pool.is_empty());
    }
}
