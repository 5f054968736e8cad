//! What drives one torrent's core: locks it, hands it events and the time, and carries out what it says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Wake;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::named_peers::NamedPeers;
use super::runtime;
use super::shared::Shared;
use super::sole_task::SoleTask;
use crate::alert::Alert;
use crate::base::error::{Error, Operation, Result, Status};
use crate::base::storage_index::StorageIndex;
use crate::base::time::Time;
use crate::discovery::tracker::announce_slots::Waiters;
use crate::disk::files::DiskStorage;
use crate::engine::bandwidth::rate::Traffic;
use crate::engine::content::pieces::{HashJob, PeerKey};
use crate::engine::readers::ReadOutcome;
use crate::engine::readers::reader::ReaderId;
use crate::engine::swarm::urgency::Urgency;
use crate::engine::{Output, Torrent};
use crate::net::rate_limit::{RateLimiter, RateLimits, Standing};
use crate::sys::event_fd::EventFd;

/// A timer that sleeps for longer than this is woken by the next event: the core's plans may have changed with it. Shorter
/// sleeps are the core's pulse, which looks at everything by itself.
const LONG_SLEEP: Duration = Duration::from_millis(600);

/// A connection as the rest of the session sees it.
#[derive(Debug, Default)]
pub struct ConnectionHandle {
    /// There is something to write.
    pub wake: Notify,
    /// Something was written.
    pub written: Notify,
    /// It is to end.
    pub close: Notify,
    pub closed: AtomicBool,
}

/// Does what the core wants done: starts tasks, which know the driver, while the driver does not know them.
pub type CarryOut = fn(&Arc<Driver>, Output);

/// One torrent of a session, core and shell.
///
/// The order of locks: the core's comes first; under it, and only for moments, one of the registry of torrents, the alert queue, the memory pool, a
/// connection's credits, the settings, a reader's event descriptor. All others are taken alone.
#[derive(Debug)]
pub struct Driver {
    pub session: Arc<Shared>,
    pub index: StorageIndex,
    /// What trackers know us by. Peers know us by the same, until an address of ours is gone.
    pub announced_id: [u8; 20],
    /// By which a tracker knows that we are the same at another address.
    pub announce_key: u32,
    core: Mutex<Torrent>,
    carry_out: CarryOut,
    /// Readers' threads wait here, on the core's lock.
    readable: Condvar,
    /// The timer task looks again.
    timer: Notify,
    /// The timer task sleeps for long, or is about to find out for how long.
    sleeps_long: AtomicBool,
    /// When the timer task looks again by itself, in microseconds. Written under the core's lock, with what it was told there.
    looks_at: AtomicU64,
    pub removed: AtomicBool,
    /// The last words about the torrent are said: no alert may follow.
    silent: AtomicBool,
    /// Ends the torrent's tasks.
    gone: CancellationToken,
    /// Held for reading by whoever uses the files; who wants them to himself writes.
    disk_use: RwLock<()>,
    /// Memory that the torrent waits for came free.
    memory_came: AtomicBool,
    connections: Mutex<HashMap<PeerKey, Arc<ConnectionHandle>>>,
    disk: Mutex<Option<Arc<DiskStorage>>>,
    pub save_path: std::path::PathBuf,
    /// The torrent file that was given, for what only it says.
    pub origin: Mutex<Option<Arc<crate::metainfo::TorrentFile>>>,
    reader_fds: Mutex<HashMap<ReaderId, Arc<EventFd>>>,
    pub download_limit: Arc<RateLimiter>,
    pub upload_limit: Arc<RateLimiter>,
    /// Peers that have no address here.
    pub named_peers: NamedPeers,
    /// Its search for peers in the DHT.
    pub dht: SoleTask,
    /// Who waits for its announces.
    pub waiters: Arc<Waiters>,
    /// It is read in the background, and another torrent's player comes first.
    pub gives_way: AtomicBool,
    /// One of its dials waits for a place, before those of others.
    pub awaits_place: AtomicBool,
}

impl Driver {
    pub fn new(
        session: Arc<Shared>,
        index: StorageIndex,
        core: Torrent,
        carry_out: CarryOut,
        save_path: std::path::PathBuf,
        limits: (u32, u32),
    ) -> Arc<Self> {
        let announce_key = session.seeds.lock().u32(..);
        let driver = Arc::new(Self {
            announce_key,
            session,
            index,
            announced_id: core.peer_id(),
            core: Mutex::new(core),
            carry_out,
            readable: Condvar::new(),
            timer: Notify::new(),
            sleeps_long: AtomicBool::new(false),
            looks_at: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            gone: CancellationToken::new(),
            disk_use: RwLock::new(()),
            memory_came: AtomicBool::new(false),
            connections: Mutex::new(HashMap::new()),
            disk: Mutex::new(None),
            save_path,
            origin: Mutex::new(None),
            reader_fds: Mutex::new(HashMap::new()),
            download_limit: RateLimiter::new(limits.0),
            upload_limit: RateLimiter::new(limits.1),
            named_peers: NamedPeers::default(),
            dht: SoleTask::default(),
            waiters: Arc::default(),
            gives_way: AtomicBool::new(false),
            awaits_place: AtomicBool::new(false),
        });
        let called = Arc::new(MemoryCall(Arc::downgrade(&driver)));
        driver.core.lock().set_memory_waker(called.into());
        driver
    }

    /// The limits that a connection is under, downwards and upwards.
    pub fn rate_limits(&self) -> (RateLimits, RateLimits) {
        let both = |torrent: &Arc<RateLimiter>, session: &Arc<RateLimiter>| RateLimits {
            torrent: torrent.clone(),
            session: session.clone(),
            standing: Standing::Proven,
            gives_way: false,
        };
        (both(&self.download_limit, &self.session.download_limit), both(&self.upload_limit, &self.session.upload_limit))
    }

    /// Tells the core how much is read at most.
    pub fn tell_limit(&self, core: &mut Torrent) {
        let limits = [self.download_limit.rate(), self.session.download_limit.rate()];
        core.set_download_limit(limits.into_iter().filter(|rate| *rate > 0).min().unwrap_or(0));
    }

    /// Is the torrent still in an open session?
    pub fn check(&self) -> Result<()> {
        if self.session.is_closed() {
            return Err(Error::closed());
        }
        if self.removed.load(Ordering::Acquire) {
            return Err(Error::new(Status::InvalidStorageIndex, "the torrent was removed"));
        }
        Ok(())
    }

    /// A caller's command: runs it, carries out what follows, and lets the timer look again.
    pub fn command<R>(self: &Arc<Self>, f: impl FnOnce(&mut Torrent, Time) -> R) -> Result<R> {
        let result = self.attempt(f)?;
        self.timer.notify_one();
        Ok(result)
    }

    /// A caller's command that asks nothing of the timer: reads of what is there.
    pub fn attempt<R>(self: &Arc<Self>, f: impl FnOnce(&mut Torrent, Time) -> R) -> Result<R> {
        // Under the lock: what a removal tore down is not built up again behind its back.
        self.run(|core, now| self.check().map(|()| f(core, now)))
    }

    /// Reads for a reader. Most reads go on within a piece, and nothing follows. What follows one that had to wait is left to the
    /// torrent's task: its caller gets the bytes at once.
    pub fn read(self: &Arc<Self>, id: ReaderId, len: usize) -> Result<ReadOutcome> {
        let (outcome, sooner) = {
            let mut core = self.core.lock();
            self.check()?;
            if let Some(found) = core.read_on(self.session.clock.roughly(), id, len) {
                return Ok(found);
            }
            let waited = core.is_waiting(id);
            let outcome = core.read(self.session.now(), id, len)?;
            // Somebody waits: late blocks are asked of others soon. Mostly the timer looks soon already.
            let sooner = matches!(outcome, ReadOutcome::Wait)
                && (core.next_timeout().is_some_and(|t| t.micros() < self.looks_at.load(Ordering::Acquire))
                    || !self.waiters.are(Urgency::Read));
            if !core.owes_follow_up() && !sooner {
                return Ok(outcome);
            }
            if waited && !outcome.is_empty() {
                self.timer.notify_one();
                return Ok(outcome);
            }
            (outcome, sooner)
        };
        if sooner {
            self.timer.notify_one();
        }
        self.run(Torrent::follow_up);
        Ok(outcome)
    }

    /// A look at the core that changes nothing.
    pub fn look<R>(&self, f: impl FnOnce(&Torrent, Time) -> R) -> Result<R> {
        let core = self.core.lock();
        self.check()?;
        Ok(f(&core, self.session.now()))
    }

    /// Makes the core what the session is now: its settings, its pause, its port. All of it is looked at under the core's lock, so
    /// that whoever is last here has the last word, however many change the session at once.
    pub fn keep_up(self: &Arc<Self>) {
        // One that is removed meanwhile need not.
        let _ = self.command(|core, now| {
            core.set_listen_port(self.session.listening.port());
            let ports = self.session.port_filter.read().clone();
            core.set_port_filter(now, &ports);
            self.tell_limit(core);
            core.set_settings(now, self.session.settings());
            core.set_session_paused(now, self.session.paused.load(Ordering::Acquire));
            core.enforce_limit(now);
        });
    }

    /// An event: runs it on the core and carries out what follows.
    pub fn run<R>(self: &Arc<Self>, f: impl FnOnce(&mut Torrent, Time) -> R) -> R {
        let (result, output) = self.enter(f);
        self.carry_out(output);
        result
    }

    /// Has that done what the core wants.
    pub fn carry_out(self: &Arc<Self>, output: Output) {
        (self.carry_out)(self, output);
    }

    pub fn enter<R>(&self, f: impl FnOnce(&mut Torrent, Time) -> R) -> (R, Output) {
        let entered = {
            let mut core = self.core.lock();
            // Inside the lock, so that the core's time never goes back.
            let now = self.session.now();
            let result = f(&mut core, now);
            core.settle_memory(now);
            (result, self.settle(&mut core))
        };
        if self.sleeps_long.swap(false, Ordering::AcqRel) {
            self.timer.notify_one();
        }
        entered
    }

    /// Takes what the core wants done. Its alerts are posted here, under the lock, and so in the order of what they tell.
    fn settle(&self, core: &mut Torrent) -> Output {
        let mut output = core.take_output();
        output.urgency_changed = self.waiters.set(core.urgency());
        self.gives_way.store(core.gives_way(), Ordering::Relaxed);
        let silent = self.silent.load(Ordering::Acquire);
        for alert in output.alerts.drain(..).filter(|alert| !silent && self.session.is_news(alert)) {
            match &alert {
                Alert::TorrentFinished => core.set_completed_time(unix_now()),
                Alert::MetadataReceived => self.session.torrents.lock().name(self.index, &core.info_hashes()),
                _ => {}
            }
            self.session.alerts.post(self.index, &alert);
        }
        output
    }

    /// Jobs were hashed elsewhere.
    pub fn hashed(self: &Arc<Self>, jobs: Vec<HashJob>) {
        let output = self.take_hashed(jobs);
        self.carry_out(output);
    }

    /// Jobs were hashed. What follows is for the caller to carry out.
    pub fn take_hashed(&self, jobs: Vec<HashJob>) -> Output {
        let mut core = self.core.lock();
        let now = self.session.now();
        jobs.into_iter().for_each(|job| core.hash_done(now, job));
        core.settle_memory(now);
        self.settle(&mut core)
    }

    /// Connections that have something to write, and those that are to end.
    pub fn tell_connections(&self, wake: Vec<PeerKey>, close: impl IntoIterator<Item = PeerKey>) {
        let mut connections = self.connections.lock();
        for key in wake {
            if let Some(connection) = connections.get(&key) {
                connection.wake.notify_one();
            }
        }
        for key in close {
            if let Some(connection) = connections.remove(&key) {
                end(&connection);
            }
        }
    }

    pub fn wake_readers(self: &Arc<Self>) {
        self.readable.notify_all();
        let fds: Vec<(ReaderId, Arc<EventFd>)> =
            self.reader_fds.lock().iter().map(|(id, fd)| (*id, fd.clone())).collect();
        for (id, fd) in fds {
            self.update_fd(id, &fd);
        }
    }

    /// Makes a reader's descriptor say what its next read would find.
    pub fn update_fd(&self, id: ReaderId, fd: &EventFd) {
        let over = self.check().is_err();
        let core = self.core.lock();
        if over || core.is_ready(id) { fd.set() } else { fd.clear() }
    }

    pub fn add_reader_fd(&self, id: ReaderId, fd: Arc<EventFd>) {
        self.reader_fds.lock().insert(id, fd);
    }

    pub fn remove_reader_fd(&self, id: ReaderId) {
        self.reader_fds.lock().remove(&id);
    }

    /// Waits for a change that may make `ready` true; it is asked under the core's lock, so that no change is missed.
    pub fn wait_readable(&self, deadline: Option<std::time::Instant>, ready: impl Fn(&Torrent) -> bool) {
        let mut core = self.core.lock();
        if self.check().is_err() || ready(&core) {
            return;
        }
        match deadline {
            Some(at) => drop(self.readable.wait_until(&mut core, at)),
            None => self.readable.wait(&mut core),
        }
    }

    /// Wakes the waiting, who look at their flags again. Passing through the lock orders the flag before their look.
    pub fn nudge_readers(&self) {
        drop(self.core.lock());
        self.readable.notify_all();
    }

    pub fn add_connection(&self, key: PeerKey) -> Arc<ConnectionHandle> {
        let handle = Arc::new(ConnectionHandle::default());
        self.connections.lock().insert(key, handle.clone());
        handle
    }

    pub fn drop_connection(&self, key: PeerKey) {
        self.connections.lock().remove(&key);
    }

    /// The files, from the metadata on.
    pub fn disk(&self) -> Option<Arc<DiskStorage>> {
        let info = self.core.lock().info().cloned()?;
        let mut disk = self.disk.lock();
        let made = || Arc::new(DiskStorage::with_pool(&self.save_path, &info.layout, self.session.files.clone()));
        Some(disk.get_or_insert_with(made).clone())
    }

    /// Time may be asked for earlier than before: the timer looks again.
    pub fn look_at_time(&self) {
        self.timer.notify_one();
    }

    /// For trackers: the hash on the wire, bytes left, and (down, up, failed) totals. Good after the removal too.
    pub fn totals(&self) -> (crate::metainfo::Sha1Hash, u64, (u64, u64, u64)) {
        let core = self.core.lock();
        (core.info_hashes().best(), core.bytes_left(), core.totals())
    }

    /// What peers are told: the hash on the wire, and who we are. Good after the removal too.
    pub fn introduction(&self) -> (crate::metainfo::Sha1Hash, [u8; 20]) {
        let core = self.core.lock();
        (core.info_hashes().best(), core.peer_id())
    }

    pub fn num_pieces(&self) -> Option<u32> {
        self.core.lock().info().map(|i| i.layout.num_pieces())
    }

    /// What it counted. Good after the removal too.
    pub fn traffic(&self) -> Traffic {
        self.core.lock().traffic()
    }

    pub fn has_peer(&self, key: PeerKey) -> bool {
        self.core.lock().has_peer(key)
    }

    /// When the core wants to be looked at next, as of now: until then its task sleeps. Events find out whether it does.
    pub fn plan(&self) -> Option<Duration> {
        // Before the look: an event between the look and the sleep finds it set.
        self.sleeps_long.store(true, Ordering::Release);
        let next = {
            let core = self.core.lock();
            let next = core.next_timeout();
            self.looks_at.store(next.unwrap_or(Time::NEVER).micros(), Ordering::Release);
            next
        };
        let now = self.session.now();
        // A core that asks for moments in the past gets a tick all the same, never a busy loop.
        let wait = next.map(|t| t.since(now).max(Duration::from_millis(5)));
        if wait.is_some_and(|wait| wait <= LONG_SLEEP) {
            self.sleeps_long.store(false, Ordering::Release);
        }
        wait
    }

    /// Something happened that may change the plan.
    pub async fn disturbed(&self) {
        self.timer.notified().await;
    }

    /// Time passed, as much as was planned, or less.
    pub fn awoke(self: &Arc<Self>, slept: bool) {
        if self.memory_came.swap(false, Ordering::AcqRel) {
            self.run(Torrent::memory_came);
        }
        if slept {
            self.run(Torrent::handle_timeout);
        } else if self.core.lock().owes_follow_up() {
            self.run(Torrent::follow_up);
        }
    }

    /// Runs a task of this torrent, to its end or the torrent's. Its panic ends the torrent with an error, not the session.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let driver = self.clone();
        self.session.spawn(async move {
            let outcome = tokio::select! {
                biased;
                () = driver.gone.cancelled() => return,
                outcome = runtime::guarded(task) => outcome,
            };
            if let Err(message) = outcome {
                driver.panicked(message);
            }
        });
    }

    /// Leave to use the torrent's files: none once it is removed. Blocking threads only.
    pub fn use_disk(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let leave = self.disk_use.read();
        (!self.removed.load(Ordering::Acquire)).then_some(leave)
    }

    /// Waits until nobody uses the files of the torrent, which is removed.
    pub fn await_disk(&self) {
        drop(self.disk_use.write());
    }

    pub fn panicked(self: &Arc<Self>, message: String) {
        let error = Error::new(Status::Panic, message).with_operation(Operation::Exception);
        self.run(|core, now| core.panicked(now, error));
    }

    /// The torrent leaves its session: everybody who waits is woken, connections end.
    pub fn retire(self: &Arc<Self>) -> Vec<crate::engine::trackers::AnnounceJob> {
        self.removed.store(true, Ordering::Release);
        let goodbyes = self.run(|core, now| {
            let goodbyes = core.remove(now);
            drop(self.settle(core));
            self.silent.store(true, Ordering::Release);
            goodbyes
        });
        self.gone.cancel();
        self.dht.stop();
        for (_, connection) in self.connections.lock().drain() {
            end(&connection);
        }
        self.wake_readers();
        self.session.shares_changed();
        goodbyes
    }
}

/// Calls a torrent when memory that it waits for came free: its task does the rest, since whoever gave the memory back may hold locks.
struct MemoryCall(Weak<Driver>);

impl Wake for MemoryCall {
    fn wake(self: Arc<Self>) {
        if let Some(driver) = self.0.upgrade() {
            driver.memory_came.store(true, Ordering::Release);
            driver.timer.notify_one();
        }
    }
}

fn end(connection: &ConnectionHandle) {
    connection.closed.store(true, Ordering::Release);
    connection.close.notify_waiters();
    connection.close.notify_one();
    connection.wake.notify_one();
}

/// Seconds since 1970.
pub fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
