//! A reader at work: what a player does, step by step, every byte compared.

use std::collections::VecDeque;
use std::time::Duration;

use elementum_torrent::base::error::{Result, Status};
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::readers::ReadOutcome;
use elementum_torrent::engine::readers::parts::Part;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};

use super::content::Content;
use super::gauge::Gauge;

/// One thing that a player does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads so many bytes on, or to the end.
    Read(u64),
    /// Reads on for so long.
    ReadFor(Duration),
    Seek(u64),
    ReadAt(u64, usize),
    Sleep(Duration),
    /// Takes so many bytes a second from now on.
    Rate(u64),
    Prebuffer(u64, u64),
    Close,
}

#[derive(Debug)]
pub struct Driver {
    pub id: ReaderId,
    pub file: u32,
    pub options: ReaderOptions,
    pub steps: VecDeque<Step>,
    /// Bytes a second taken, 0: as fast as they come.
    pub rate: u64,
    /// How long it waits for a read before it tries again.
    patience: Option<Duration>,
    /// And how long it does something else then.
    pause: Duration,
    tries_until: Option<Time>,
    pub opened: bool,
    pub position: u64,
    pub bytes_read: u64,
    pub busy_until: Time,
    probing: bool,
    buffer: usize,
    pub gauge: Gauge,
    /// When `ReadFor` is over.
    until: Option<Time>,
    wake: Time,
    pub refused: bool,
}

/// None: the torrent stopped with an error; its players try again when it is resumed.
fn or_stopped(found: Result<ReadOutcome>) -> Option<ReadOutcome> {
    found
        .inspect_err(|e| {
            assert!(matches!(e.status, Status::Io | Status::Panic | Status::OutOfMemory), "the reader is open: {e}")
        })
        .ok()
}

impl Driver {
    pub fn new(id: u64, file: u32, steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            id: ReaderId(id),
            file,
            options: ReaderOptions::default(),
            steps: steps.into_iter().collect(),
            rate: 0,
            patience: None,
            pause: Duration::from_millis(1),
            tries_until: None,
            opened: false,
            position: 0,
            bytes_read: 0,
            busy_until: Time::ZERO,
            probing: false,
            buffer: 100_000,
            gauge: Gauge::default(),
            until: None,
            wake: Time::ZERO,
            refused: false,
        }
    }

    pub fn with(mut self, options: ReaderOptions) -> Self {
        self.position = options.offset;
        self.options = options;
        self
    }

    pub fn at_rate(mut self, rate: u64) -> Self {
        self.rate = rate;
        self
    }

    /// Reads with so long a timeout, again and again.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// And pauses between.
    pub fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Takes a few bytes with each read.
    pub fn by(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    pub fn is_done(&self) -> bool {
        self.steps.is_empty() || self.refused
    }

    /// Is it to be woken at that moment? Not where that was arranged before.
    pub fn wakes(&mut self, at: Time) -> bool {
        std::mem::replace(&mut self.wake, at) != at
    }

    /// Goes as far as it can. When it wants to go on by itself, if it does.
    pub fn poll(&mut self, now: Time, torrent: &mut Torrent, content: &Content) -> Option<Time> {
        let next = self.advance(now, torrent, content);
        // The session's task does it, after any number of reads.
        torrent.follow_up(now);
        next
    }

    fn advance(&mut self, now: Time, torrent: &mut Torrent, content: &Content) -> Option<Time> {
        if self.gauge.runs.is_empty() {
            self.gauge.begins(now, 0);
        }
        if !self.opened {
            if torrent.info().is_none() || torrent.is_checking() || self.refused || self.is_done() {
                return None;
            }
            if let Err(e) = torrent.open_reader(now, self.id, i64::from(self.file), self.options.clone()) {
                assert_eq!(e.status, elementum_torrent::base::error::Status::OutOfMemory, "{e}");
                self.refused = true;
                return None;
            }
            self.opened = true;
        }
        let size = content.info.layout.files()[self.file as usize].size;
        for _ in 0..10_000 {
            if self.busy_until > now {
                return Some(self.busy_until);
            }
            let step = self.steps.front_mut()?;
            match step {
                Step::ReadFor(time) if *self.until.get_or_insert(now + *time) <= now => {
                    self.until = None;
                    self.gauge.ends_wait(now);
                    torrent.stop_waiting(now, self.id);
                    self.steps.pop_front();
                }
                Step::Read(_) | Step::ReadFor(_) => {
                    let left = if let Step::Read(left) = step { *left } else { u64::MAX };
                    let want = left.min(self.buffer as u64) as usize;
                    // As the session does.
                    let quiet = torrent.read_on(now, self.id, want);
                    let Some(found) = quiet.or_else(|| or_stopped(torrent.read(now, self.id, want))) else {
                        return self.until;
                    };
                    match found {
                        ReadOutcome::Wait => {
                            if self.rate > 0 {
                                self.gauge.waits(now);
                            }
                            let Some(patience) = self.patience else { return self.until };
                            let tries_until = *self.tries_until.get_or_insert(now + patience);
                            if now < tries_until {
                                return Some(self.until.map_or(tries_until, |t| t.min(tries_until)));
                            }
                            torrent.stop_waiting(now, self.id);
                            self.tries_until = None;
                            self.busy_until = now + self.pause;
                        }
                        ReadOutcome::EndOfFile => {
                            assert_eq!(self.position, size, "the end came early");
                            self.until = None;
                            self.steps.pop_front();
                        }
                        ReadOutcome::Memory(parts) => {
                            let mut n = 0;
                            for got in parts.iter().flat_map(Part::slices) {
                                let expected = content.file(self.file, self.position + n as u64, got.len());
                                let fine = got == expected || self.options.unverified;
                                assert!(fine, "wrong bytes at {}", self.position + n as u64);
                                n += got.len();
                            }
                            assert!(n > 0 && n <= want, "read {n} of {want}");
                            self.took(now, n as u64);
                        }
                        ReadOutcome::Disk { len, piece, offset, .. } => {
                            let place = content.info.layout.piece_offset(piece) + u64::from(offset);
                            let begin = content.info.layout.files()[self.file as usize].offset;
                            assert_eq!(place, begin + self.position, "the disk would be read elsewhere");
                            assert!(len > 0);
                            self.took(now, u64::from(len));
                        }
                    }
                }
                Step::Seek(to) => {
                    self.position = *to;
                    torrent.seek(now, self.id, *to).expect("the reader is open");
                    self.gauge.begins(now, *to);
                    self.steps.pop_front();
                }
                Step::ReadAt(offset, length) => {
                    let (offset, length) = (*offset, *length);
                    let found = torrent.read_at(now, self.id, offset, length, self.probing);
                    let found = or_stopped(found)?;
                    match found {
                        ReadOutcome::Wait => {
                            self.probing = true;
                            return None;
                        }
                        ReadOutcome::Memory(parts) => {
                            let mut at = offset;
                            for got in parts.iter().flat_map(Part::slices) {
                                let fine = got == content.file(self.file, at, got.len()) || self.options.unverified;
                                assert!(fine, "wrong bytes at {at}");
                                at += got.len() as u64;
                            }
                        }
                        ReadOutcome::Disk { .. } | ReadOutcome::EndOfFile => {}
                    }
                    if std::mem::take(&mut self.probing) {
                        torrent.stop_probe(now, self.id, offset);
                    }
                    self.steps.pop_front();
                }
                Step::Sleep(time) => {
                    self.busy_until = now + *time;
                    self.steps.pop_front();
                }
                Step::Rate(rate) => {
                    self.rate = *rate;
                    self.steps.pop_front();
                }
                Step::Prebuffer(head, tail) => {
                    torrent.prebuffer(now, self.id, *head, *tail).expect("the reader is open");
                    self.steps.pop_front();
                }
                Step::Close => {
                    torrent.close_reader(now, self.id);
                    self.steps.clear();
                }
            }
        }
        panic!("a reader that never ends");
    }

    fn took(&mut self, now: Time, n: u64) {
        self.tries_until = None;
        self.position += n;
        self.bytes_read += n;
        self.gauge.took(now, n);
        if let Some(Step::Read(left)) = self.steps.front_mut() {
            *left -= n.min(*left);
            if *left == 0 {
                self.steps.pop_front();
            }
        }
        if let Some(micros) = (n * 1_000_000).checked_div(self.rate) {
            self.busy_until = now + Duration::from_micros(micros);
        }
    }
}
