//! A reader as callers see it: reads block on the caller's own thread, with a timeout and an interrupt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::disk_tasks;
use super::driver::Driver;
use crate::base::error::{Error, Operation, Result, Status};
use crate::base::out_buffer::OutBuffer;
use crate::base::storage_index::StorageIndex;
use crate::disk::patience::patiently;
use crate::engine::readers::ReadOutcome;
use crate::engine::readers::explanation::{Explanation, Reason};
use crate::engine::readers::parts::Part;
use crate::engine::readers::reader::{ReaderId, ReaderOptions};
use crate::engine::readers::status::ReaderStatus;
use crate::sys::event_fd::EventFd;

/// What a seek's offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    Set,
    Current,
    End,
}

/// A position in a file of a torrent. Dropping it gives its window up.
#[derive(Debug)]
pub struct Reader {
    driver: Arc<Driver>,
    id: ReaderId,
    size: u64,
    /// A read or a seek is under way.
    busy: AtomicBool,
    interrupted: AtomicBool,
    /// Where somebody asked for it.
    fd: OnceLock<Arc<EventFd>>,
}

/// Ends the exclusive use of a reader's position.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Reader {
    pub(super) fn open(driver: Arc<Driver>, file: i64, options: ReaderOptions) -> Result<Self> {
        let id = ReaderId(driver.session.next_reader.fetch_add(1, Ordering::Relaxed));
        let size = driver.command(|core, now| core.open_reader(now, id, file, options))??;
        Ok(Self {
            driver,
            id,
            size,
            busy: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            fd: OnceLock::new(),
        })
    }

    /// Is its torrent there still?
    pub fn check(&self) -> Result<()> {
        self.driver.check()
    }

    /// Its number in the alerts about it.
    pub fn id(&self) -> u64 {
        self.id.0
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn torrent(&self) -> StorageIndex {
        self.driver.index
    }

    fn turn(&self) -> Result<Claim<'_>> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Error::new(Status::Busy, "another read or seek of this reader is under way"));
        }
        Ok(Claim(&self.busy))
    }

    /// Reads at the position: what is there, at least one byte, else it waits. None: for ever.
    pub fn read(&self, buf: &mut [u8], timeout: Option<Duration>) -> Result<usize> {
        self.read_into(buf, timeout)
    }

    /// The same, into memory that may never have been written.
    pub fn read_into<B: OutBuffer + ?Sized>(&self, buf: &mut B, timeout: Option<Duration>) -> Result<usize> {
        let _turn = self.turn()?;
        let deadline = deadline(timeout);
        if buf.is_empty() {
            self.driver.check()?;
            return Ok(0);
        }
        loop {
            let outcome = self.driver.read(self.id, buf.len())?;
            match outcome {
                ReadOutcome::EndOfFile => return Err(end_of_file(self.size)),
                ReadOutcome::Wait => {
                    if let Err(error) = self.wait(timeout, deadline, |core| core.is_ready(self.id)) {
                        match self.fd.get() {
                            // Who has the descriptor waits on it: for the engine the read goes on.
                            Some(fd) if error.status == Status::WouldBlock => self.driver.update_fd(self.id, fd),
                            _ => drop(self.driver.command(|core, now| core.stop_waiting(now, self.id))),
                        }
                        return Err(error);
                    }
                }
                found => {
                    let expected = found.len();
                    let copied = copy(&self.driver, found, buf, 0, || self.may_wait(deadline));
                    if copied.is_err() {
                        let _ = self.driver.command(|core, _| core.read_failed(self.id, expected as u64));
                    }
                    self.refresh_fd();
                    return copied;
                }
            }
        }
    }

    /// Reads anywhere in the file and leaves the position alone. While it waits, the place is fetched first.
    pub fn read_at(&self, offset: u64, buf: &mut [u8], timeout: Option<Duration>) -> Result<usize> {
        self.read_at_into(offset, buf, timeout)
    }

    /// The same, into memory that may never have been written.
    pub fn read_at_into<B: OutBuffer + ?Sized>(
        &self,
        offset: u64,
        buf: &mut B,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        let deadline = deadline(timeout);
        if buf.is_empty() {
            self.driver.check()?;
            return Ok(0);
        }
        let mut waiting = false;
        let result = loop {
            let len = buf.len();
            // A removal ends it here too; what it asked for is gone with its reader.
            let outcome = self.driver.attempt(|core, now| core.read_at(now, self.id, offset, len, waiting))?;
            match outcome {
                Err(error) => break Err(error),
                Ok(ReadOutcome::EndOfFile) => break Err(end_of_file(self.size)),
                Ok(ReadOutcome::Wait) => {
                    waiting = true;
                    self.driver.look_at_time();
                    let there = |core: &crate::engine::Torrent| core.is_readable_at(self.id, offset);
                    if let Err(error) = self.wait(timeout, deadline, there) {
                        break Err(error);
                    }
                }
                Ok(found) => break copy(&self.driver, found, buf, 0, || self.may_wait(deadline)),
            }
        };
        if waiting {
            let _ = self.driver.command(|core, now| core.stop_probe(now, self.id, offset));
        }
        result
    }

    /// Waits until `ready`, or says why it waits no longer.
    fn wait(
        &self,
        timeout: Option<Duration>,
        deadline: Option<Instant>,
        ready: impl Fn(&crate::engine::Torrent) -> bool,
    ) -> Result<()> {
        if timeout.is_some_and(|t| t.is_zero()) {
            return Err(Error::new(Status::WouldBlock, "the data is not here yet"));
        }
        let stirred = |core: &crate::engine::Torrent| self.interrupted.load(Ordering::Acquire) || ready(core);
        self.driver.wait_readable(deadline, stirred);
        self.driver.check()?;
        if self.interrupted.swap(false, Ordering::AcqRel) {
            return Err(interrupted());
        }
        if deadline.is_some_and(|d| Instant::now() >= d) && !self.driver.look(|core, _| ready(core))? {
            return Err(too_late());
        }
        Ok(())
    }

    /// May a read of what is on disk wait on for the means to read it? Else why not.
    fn may_wait(&self, deadline: Option<Instant>) -> Result<()> {
        if self.interrupted.swap(false, Ordering::AcqRel) {
            return Err(interrupted());
        }
        if deadline.is_some_and(|d| Instant::now() >= d) { Err(too_late()) } else { Ok(()) }
    }

    /// Moves the position, up to the end of the file. The new position.
    pub fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let _turn = self.turn()?;
        let position = self.driver.command(|core, now| {
            let base = match whence {
                Whence::Set => 0,
                Whence::Current => core.reader_status(self.id)?.position,
                Whence::End => self.size,
            };
            let position = base.checked_add_signed(offset).filter(|p| *p <= self.size).ok_or_else(|| {
                Error::invalid(format!("offset {offset} from {base} is out of range: the file has {} bytes", self.size))
            })?;
            core.seek(now, self.id, position)?;
            Ok(position)
        })?;
        self.refresh_fd();
        position
    }

    pub fn status(&self) -> Result<ReaderStatus> {
        let status = self.driver.look(|core, _| core.reader_status(self.id))??;
        Ok(ReaderStatus { torrent: self.driver.index, ..status })
    }

    /// Why the byte at the position is not here yet.
    pub fn explain(&self) -> Result<Explanation> {
        let mut told = self.driver.look(|core, now| core.explain(now, self.id))??;
        let (limits, _) = self.driver.rate_limits();
        (told.torrent_limit, told.session_limit) = (limits.torrent.rate(), limits.session.rate());
        let asked = matches!(told.reason, Reason::Requested | Reason::Snubbed);
        if asked && (limits.torrent.holds_back() || limits.session.holds_back()) {
            told.reason = Reason::DownloadLimit;
        }
        // One core after the other: what no torrent has by now is held by who was given it.
        let theirs = self.driver.session.drivers().into_iter().filter(|d| d.index != self.driver.index);
        let theirs: u64 = theirs.filter_map(|d| d.look(|core, _| core.memory_held()).ok()).sum();
        let memory = &mut told.memory;
        memory.held += memory.other_torrents.saturating_sub(theirs);
        memory.other_torrents = memory.other_torrents.min(theirs);
        Ok(told)
    }

    /// Other options from now on, all of them but `unverified`, which stays.
    pub fn set_options(&self, options: ReaderOptions) -> Result<()> {
        self.driver.command(|core, now| core.set_reader_options(now, self.id, options))?
    }

    /// Asks for `head` bytes from the position on and `tail` bytes at the file's end at once; the status and an alert tell
    /// how far that is.
    pub fn prebuffer(&self, head: u64, tail: u64) -> Result<()> {
        self.driver.command(|core, now| core.prebuffer(now, self.id, head, tail))?
    }

    /// A descriptor, readable while the next read would not wait. It is the reader's; -1 where the platform has none. From now
    /// on a read that is told not to wait, and would, counts as one that waits: on the descriptor.
    pub fn fd(&self) -> Result<i32> {
        self.driver.check()?;
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_raw_fd());
        }
        let made = EventFd::new().map_err(|e| Error::io(Operation::File, &e, "no descriptor for the reader"))?;
        let fd = self.fd.get_or_init(|| Arc::new(made));
        self.driver.add_reader_fd(self.id, fd.clone());
        self.driver.update_fd(self.id, fd);
        Ok(fd.as_raw_fd())
    }

    fn refresh_fd(&self) {
        if let Some(fd) = self.fd.get() {
            self.driver.update_fd(self.id, fd);
        }
    }

    /// Ends a waiting read, or the next one that would wait.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.driver.nudge_readers();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.driver.remove_reader_fd(self.id);
        let _ = self.driver.command(|core, now| core.close_reader(now, self.id));
    }
}

/// When a wait ends. What does not wait need not look at the clock.
fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.filter(|t| !t.is_zero()).map(|t| Instant::now() + t)
}

/// Copies what a read found to that place of the buffer. Blocks are held by reference meanwhile, outside the torrent's lock. `go_on` is
/// asked while the process has no descriptors to read a file with.
pub(super) fn copy<B: OutBuffer + ?Sized>(
    driver: &Arc<Driver>,
    found: ReadOutcome,
    buf: &mut B,
    at: usize,
    mut go_on: impl FnMut() -> Result<()>,
) -> Result<usize> {
    match found {
        ReadOutcome::Memory(parts) => {
            let mut done = 0;
            for from in parts.iter().flat_map(Part::slices) {
                done += buf.put(at + done, from);
            }
            Ok(done)
        }
        ReadOutcome::Disk { generation, piece, offset, len } => {
            // Who removes the torrent waits for us, and deletes nothing under our hands.
            let _leave = driver.use_disk().ok_or_else(removed)?;
            let disk = driver.disk().ok_or_else(Error::closed)?;
            let len = (len as usize).min(buf.len().saturating_sub(at));
            let mut ended = None;
            let still = || {
                ended = go_on().err();
                ended.is_none() && disk_tasks::goes_on(driver, generation)
            };
            let read = patiently(still, || disk.read_into(piece, offset, buf, at..at + len));
            // Whoever gave up did so before it was known whether that lasts.
            read.map_err(|failure| {
                ended.unwrap_or_else(|| disk_tasks::read_failed(driver, &disk, generation, failure))
            })?;
            Ok(len)
        }
        ReadOutcome::Wait | ReadOutcome::EndOfFile => Ok(0),
    }
}

fn interrupted() -> Error {
    Error::new(Status::Interrupted, "the read was interrupted")
}

fn too_late() -> Error {
    Error::new(Status::TimedOut, "the data did not come in time")
}

fn removed() -> Error {
    Error::new(Status::InvalidStorageIndex, "the torrent was removed")
}

fn end_of_file(size: u64) -> Error {
    Error::new(Status::EndOfFile, format!("the end of the file ({size} bytes)"))
}
