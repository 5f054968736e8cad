//! The shell: sessions, their runtime, sockets, timers and tasks. It decides nothing; the engine does.
//!
//! A [`Session`] is a handle that may be cloned and used from any thread. Closing it, by any clone, wakes everybody who
//! waits and makes every later call answer [`Status::Closed`].

mod adding;
pub mod alert_queue;
mod announcer;
mod carry_out;
mod change;
mod clock;
mod deletions;
mod dht_search;
mod dialer;
mod disk_tasks;
mod driver;
mod encryption_policy;
mod greeting;
mod hash_batch;
mod host_addresses;
mod listen_sockets;
mod listening;
mod named_peers;
mod news_limit;
pub mod params;
mod peer_io;
mod reader;
mod receive_buffers;
mod registry;
mod runtime;
mod session_dht;
mod session_totals;
mod shared;
mod sole_task;
mod state;
mod stats;
mod timer;
mod torrent_handle;
mod ways;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Runtime;

pub use crate::base::storage_index::StorageIndex;
pub use crate::engine::cache::stats::{LookbehindStats, StorageStats};
pub use crate::engine::config::{StorageKind, TorrentFlags};
pub use crate::engine::readers::explanation::{Explanation, MemoryUse, PeerCounts, PieceBlocks, Reason};
pub use crate::engine::readers::reader::ReaderOptions;
pub use crate::engine::readers::status::ReaderStatus;
pub use crate::engine::status::{PartialPiece, PeerFlags, PeerInfo, TorrentStatus};
pub use crate::engine::swarm::peer_list::PeerSource;
pub use crate::engine::swarm::port_filter::{PortAccess, PortFilter, PortRule};
pub use crate::engine::trackers::TrackerStatus;
pub use crate::session::params::{AddTorrentError, AddTorrentParams, RemoveFlags, TorrentSource};
pub use crate::session::reader::{Reader, Whence};
pub use crate::session::stats::SessionStats;
pub use crate::session::torrent_handle::TorrentHandle;

use self::alert_queue::AlertQueue;
use self::driver::{Driver, unix_now};
use self::shared::{Shared, check_open};
use self::state::{Saved, SavedCounters};
use crate::alert::Alert;
use crate::base::error::{Error, Result, Status};
use crate::discovery::tracker::AnnounceRequest;
use crate::engine;
use crate::metainfo::InfoHashes;
use crate::settings::{Changes, Settings};

/// A session: torrents, and all that they share.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
    shutdown: Arc<Shutdown>,
}

/// How a session ends. A thread of its own does it, so that whoever closes waits no longer than it wants, and may be a task
/// of another runtime; the first to close starts it, the others wait for it too.
#[derive(Debug)]
struct Shutdown {
    shared: Arc<Shared>,
    ending: Arc<Ending>,
}

#[derive(Debug)]
struct Ending {
    runtime: Mutex<Option<Runtime>>,
    done: Mutex<bool>,
    finished: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// From the operating system: a generator of the thread's own would leave its state behind there.
fn random_seed() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::new(Status::Io, format!("no random numbers: {e}")))
}

/// How long a session that is dropped without a close waits for its threads.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

impl Session {
    /// Opens a session. `state`: what `save_state` gave, or nothing. None: settings as in the state, else the defaults.
    pub fn open(settings: impl Into<Option<Settings>>, state: &[u8]) -> Result<Self> {
        Self::open_with(&settings.into().map(Changes::from).unwrap_or_default(), state)
    }

    /// The same with some settings: those that are not named are as in the state, else the defaults.
    pub fn open_with(changes: &Changes, state: &[u8]) -> Result<Self> {
        let saved = if state.is_empty() { Saved::default() } else { state::parse(state)? };
        let settings = changes.over(&saved.settings);
        let runtime = runtime::start(&settings)?;
        let mut rng = fastrand::Rng::with_seed(random_seed()?);
        let shared = Shared::new(runtime.handle().clone(), settings, &mut rng)?;
        let session = Self {
            shared: shared.clone(),
            shutdown: Arc::new(Shutdown {
                shared: shared.clone(),
                ending: Arc::new(Ending {
                    runtime: Mutex::new(Some(runtime)),
                    done: Mutex::new(false),
                    finished: Condvar::new(),
                    thread: Mutex::new(None),
                }),
            }),
        };
        shared.totals.lock().begin(saved.counters);
        listening::listen_as_set(&shared);
        dht_search::start(&shared, saved.dht);
        host_addresses::follow(&shared);
        Ok(session)
    }

    /// Closes the session: wakes all who wait, tells the trackers, ends the threads. None: waits as long as it takes.
    /// [`Status::TimedOut`] if something still runs after the time; it ends by itself.
    pub fn close(&self, timeout: Option<Duration>) -> Result<()> {
        self.shutdown.close(timeout)
    }

    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// The alerts. The queue itself may be used after the close.
    pub fn alerts(&self) -> &AlertQueue {
        &self.shared.alerts
    }

    pub fn settings(&self) -> Result<Settings> {
        check_open(&self.shared)?;
        Ok(self.shared.settings().as_ref().clone())
    }

    /// Puts these settings in place of all there are. One that counts at the start only may not differ.
    pub fn apply_settings(&self, settings: &Settings) -> Result<()> {
        self.change_settings(&Changes::from(settings.clone()))
    }

    /// Changes the settings that are named; of two such calls at once neither undoes the other. On an error none is changed.
    pub fn change_settings(&self, changes: &Changes) -> Result<()> {
        change::change(&self.shared, |settings| {
            *settings = changes.over(settings);
            Ok(())
        })
    }

    pub fn stats(&self) -> Result<SessionStats> {
        SessionStats::of(&self.shared)
    }

    /// Settings, DHT nodes and identity, counters, as bytes for the next `open`.
    pub fn save_state(&self) -> Result<Vec<u8>> {
        let stats = self.stats()?;
        let counters = SavedCounters { download: stats.all_time_download, upload: stats.all_time_upload };
        Ok(state::encode(&self.shared.settings(), &self.shared.dht.lock().save(), counters))
    }

    /// Pauses every torrent, without touching what each has been told.
    pub fn pause(&self) -> Result<()> {
        self.set_paused(true)
    }

    pub fn resume(&self) -> Result<()> {
        self.set_paused(false)
    }

    pub fn is_paused(&self) -> Result<bool> {
        check_open(&self.shared)?;
        Ok(self.shared.paused.load(Ordering::Acquire))
    }

    fn set_paused(&self, paused: bool) -> Result<()> {
        check_open(&self.shared)?;
        self.shared.paused.store(paused, Ordering::Release);
        self.shared.drivers().iter().for_each(Driver::keep_up);
        Ok(())
    }

    /// Adds a torrent. Its index is good at once, for a magnet too. An alert tells how it went, whichever way.
    pub fn add_torrent(&self, params: AddTorrentParams) -> std::result::Result<StorageIndex, AddTorrentError> {
        check_open(&self.shared)?;
        let (hashes, name) = (params.source.info_hashes(), params.source.name().to_owned());
        self.try_add(params).inspect_err(|failed| {
            let about = failed.existing.unwrap_or(StorageIndex::INVALID);
            let error = Some(failed.error.clone());
            self.shared.alerts.post(about, &Alert::AddTorrent { info_hashes: hashes, name, error });
        })
    }

    /// A torrent was to be added, and what it was to be added from, or how, is not to be had. An alert tells.
    pub fn add_refused(&self, source: Option<&TorrentSource>, error: &Error) {
        let info_hashes = source.map_or_else(InfoHashes::default, TorrentSource::info_hashes);
        let name = source.map_or("", TorrentSource::name).to_owned();
        let alert = Alert::AddTorrent { info_hashes, name, error: Some(error.clone()) };
        self.shared.alerts.post(StorageIndex::INVALID, &alert);
    }

    fn try_add(&self, params: AddTorrentParams) -> std::result::Result<StorageIndex, AddTorrentError> {
        let hashes = params.source.info_hashes();
        if hashes.v1.is_none() {
            let what = if hashes.is_empty() { "there is no info-hash" } else { "only a v2 info-hash is named" };
            return Err(Error::new(Status::Unsupported, format!("{what}; a v1 info-hash (btih) is needed")).into());
        }
        let settings = self.shared.settings();
        let storage = params.storage.unwrap_or(match settings.storage.as_str() {
            "disk" => StorageKind::Disk,
            _ => StorageKind::Memory,
        });
        let save_path = match storage {
            StorageKind::Disk => std::path::absolute(params.save_path.unwrap_or_else(|| PathBuf::from(".")))
                .map_err(|e| Error::io(crate::base::error::Operation::File, &e, "save_path"))?,
            StorageKind::Memory => PathBuf::new(),
        };
        // Those of a torrent file or magnet may be of kinds that we do not speak; those that the caller names may not.
        params.trackers.iter().try_for_each(|url| torrent_handle::check_tracker(url))?;
        let mut parts = adding::Parts::from(params.source);
        parts.trackers.extend(params.trackers.into_iter().map(|t| vec![t]));
        parts.peers.extend(params.peers);
        let config = engine::TorrentConfig {
            info_hashes: hashes,
            name: parts.name.clone(),
            info: parts.info.clone(),
            trackers: parts.trackers.clone(),
            web_seeds: parts.web_seeds.clone(),
            storage,
            flags: params.flags,
            file_priorities: params.file_priorities,
            selected_files: parts.selected_files.clone(),
            piece_priorities: params.piece_priorities,
            max_connections: params.max_connections,
            max_uploads: params.max_uploads,
            peer_id: self.shared.new_peer_id(parts.info.as_ref().is_some_and(|info| info.private)),
            listen_port: self.shared.listening.port(),
            hash_lanes: crate::engine::content::piece_hash::lanes(),
            added_time: unix_now(),
        };
        let limits = (params.download_limit, params.upload_limit);
        let core = engine::Torrent::new(
            self.shared.now(),
            config,
            settings,
            self.shared.pool.clone(),
            &self.shared.shares,
            self.shared.seeds.lock().u64(..),
        );
        let mut driver = None;
        let (index, existing) = {
            let mut torrents = self.shared.torrents.lock();
            // Looked at under the lock that closes and removes: nothing is added behind their backs.
            check_open(&self.shared)?;
            match torrents.find(&hashes).and_then(|index| Some((index, torrents.get(index)?.clone()))) {
                Some((index, existing)) => (index, Some(existing)),
                None => {
                    let index = torrents.insert(&hashes, |index| {
                        let made =
                            Driver::new(self.shared.clone(), index, core, carry_out::carry_out, save_path, limits);
                        driver = Some(made.clone());
                        // Before anybody finds it: this is the first that is told of it.
                        let name = parts.name.clone();
                        self.shared.alerts.post(index, &Alert::AddTorrent { info_hashes: hashes, name, error: None });
                        made
                    })?;
                    (index, None)
                }
            }
        };
        if let Some(existing) = existing {
            if !params.flags.contains(TorrentFlags::DUPLICATE_IS_ERROR) {
                adding::merge(&existing, parts);
            }
            let error = Error::new(Status::DuplicateTorrent, "the torrent is in the session already");
            return Err(AddTorrentError { error, existing: Some(index) });
        }
        if let Some(driver) = driver {
            *driver.origin.lock() = parts.file;
            // The session may have changed since it was looked at for the core. From now on the torrent hears of it by itself.
            driver.keep_up();
            timer::start(&driver, &parts.peers);
            adding::tell_dht(&driver, &parts.nodes);
            adding::look_up_peers(&driver, parts.named_peers);
        }
        Ok(index)
    }

    /// Takes a torrent out. Its index is void at once; what it wrote to disk is deleted if asked for.
    pub fn remove_torrent(&self, index: StorageIndex, flags: RemoveFlags) -> Result<()> {
        check_open(&self.shared)?;
        let shared = self.shared.clone();
        // Begun before anybody can add it again.
        let deletion = flags.contains(RemoveFlags::DELETE_FILES).then(|| shared.deletions.begin());
        let (driver, hashes, disk, goodbyes) = {
            // Nobody counts meanwhile: its numbers are neither missing nor there twice.
            let mut totals = shared.totals.lock();
            let driver = shared.torrents.lock().remove(index).ok_or_else(unknown_index)?;
            let (hashes, kind) = driver.run(|core, _| (core.info_hashes(), core.storage_kind()));
            let disk = if kind == StorageKind::Disk { driver.disk() } else { None };
            let goodbyes = driver.retire();
            totals.left(driver.traffic());
            (driver, hashes, disk, goodbyes)
        };
        let goodbyes = announcer::goodbyes(&driver, &goodbyes);
        if !goodbyes.is_empty() {
            self.shared.spawn(announcer::say_goodbye(shared.clone(), goodbyes));
        }
        // Each said when it is true: that it is gone, when its files are closed.
        self.shared.spawn_blocking(move || {
            if let Some(disk) = &disk {
                driver.await_disk();
                disk.release();
            }
            drop(driver);
            shared.rest();
            shared.alerts.post(index, &Alert::TorrentRemoved { info_hashes: hashes });
            if let Some(deletion) = deletion {
                let outcome = disk.map_or(Ok(()), |disk| disk.delete_files());
                drop(deletion);
                let alert = match outcome {
                    Ok(()) => Alert::TorrentDeleted { info_hashes: hashes },
                    Err(error) => Alert::TorrentDeleteFailed { info_hashes: hashes, error },
                };
                shared.alerts.post(index, &alert);
            }
        });
        Ok(())
    }

    /// The torrents, in the order in which they were added.
    pub fn torrents(&self) -> Result<Vec<StorageIndex>> {
        check_open(&self.shared)?;
        Ok(self.shared.torrents.lock().all().into_iter().map(|(i, _)| i).collect())
    }

    pub fn find_torrent(&self, hashes: &InfoHashes) -> Result<StorageIndex> {
        check_open(&self.shared)?;
        let found = self.shared.torrents.lock().find(hashes);
        found.ok_or_else(|| Error::new(Status::NotFound, "no torrent of this info-hash is in the session"))
    }

    pub fn torrent(&self, index: StorageIndex) -> Result<TorrentHandle> {
        check_open(&self.shared)?;
        let driver = self.shared.torrents.lock().get(index).cloned();
        driver.map(TorrentHandle::new).ok_or_else(unknown_index)
    }

    /// The state of every torrent, in the order of `torrents`.
    pub fn statuses(&self) -> Result<Vec<(StorageIndex, TorrentStatus)>> {
        let mut statuses = Vec::new();
        for index in self.torrents()? {
            // One that is removed meanwhile is left out.
            if let Ok(status) = self.torrent(index).and_then(|t| t.status()) {
                statuses.push((index, status));
            }
        }
        Ok(statuses)
    }

    /// The first bound port, TCP's or else uTP's, 0: none.
    pub fn listen_port(&self) -> Result<u16> {
        check_open(&self.shared)?;
        Ok(self.shared.listening.port())
    }

    /// Makes a node known to the DHT. Names are looked up in the background.
    pub fn add_dht_node(&self, host: &str, port: u16) -> Result<()> {
        check_open(&self.shared)?;
        dht_search::add_node(&self.shared, host, port)
    }

    /// Sets the ports at which no peer is dialled, of all torrents.
    pub fn set_port_filter(&self, rules: &[PortRule]) -> Result<()> {
        check_open(&self.shared)?;
        *self.shared.port_filter.write() = Arc::new(PortFilter::of(rules));
        self.shared.drivers().iter().for_each(Driver::keep_up);
        Ok(())
    }

    /// Changes the memory limit, also downwards: then pieces are evicted until it holds.
    pub fn set_memory_limit(&self, bytes: u64) -> Result<()> {
        change::change(&self.shared, |settings| {
            settings.set_int("memory_limit", i64::try_from(bytes).unwrap_or(i64::MAX))
        })
    }

    /// Opens a reader on a file of a torrent.
    pub fn open_reader(&self, index: StorageIndex, file: impl Into<i64>, options: ReaderOptions) -> Result<Reader> {
        check_open(&self.shared)?;
        let driver = self.shared.torrents.lock().get(index).cloned().ok_or_else(unknown_index)?;
        Reader::open(driver, file.into(), options)
    }
}

fn unknown_index() -> Error {
    Error::new(Status::InvalidStorageIndex, "no torrent of this session has this storage index")
}

impl Shutdown {
    fn close(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let ending = &self.ending;
        if self.shared.begin_close() {
            // The torrents first, and here: when this returns, in time or not, nobody waits in a read any more.
            let goodbyes = self.retire_all();
            let (shared, to_end) = (self.shared.clone(), ending.clone());
            let end = move || to_end.end(&shared, goodbyes, deadline);
            let _blocked = runtime::SignalsBlocked::here();
            match std::thread::Builder::new().name("elementum-close".into()).spawn(end) {
                Ok(thread) => *ending.thread.lock() = Some(thread),
                // No thread to be had: then the threads of the session end without anybody waiting for them.
                Err(_) => ending.abandon(),
            }
        }
        let mut done = ending.done.lock();
        while !*done {
            match deadline {
                None => ending.finished.wait(&mut done),
                Some(at) if ending.finished.wait_until(&mut done, at).timed_out() && !*done => {
                    return Err(Error::new(Status::TimedOut, "the session is still closing"));
                }
                Some(_) => {}
            }
        }
        drop(done);
        // It has nothing left to do but to end.
        if let Some(thread) = ending.thread.lock().take() {
            let _ = thread.join();
        }
        Ok(())
    }

    fn retire_all(&self) -> Vec<AnnounceRequest> {
        let drivers: Vec<Arc<Driver>> = {
            let mut torrents = self.shared.torrents.lock();
            let all = torrents.all();
            all.into_iter().filter_map(|(i, _)| torrents.remove(i)).collect()
        };
        let goodbyes = drivers.iter().flat_map(|driver| announcer::goodbyes(driver, &driver.retire())).collect();
        self.shared.alerts.close();
        goodbyes
    }
}

impl Ending {
    fn end(&self, shared: &Arc<Shared>, goodbyes: Vec<AnnounceRequest>, deadline: Option<Instant>) {
        let left = || deadline.map_or(Duration::MAX, |d| d.saturating_duration_since(Instant::now()));
        let runtime = self.runtime.lock().take();
        if let Some(runtime) = runtime {
            if !goodbyes.is_empty() {
                let patience = u64::try_from(shared.settings().stop_tracker_timeout).unwrap_or(0);
                let wait = Duration::from_secs(patience).min(left());
                let farewell = announcer::say_goodbye(shared.clone(), goodbyes);
                // Trackers that do not answer in time find out by themselves.
                runtime.block_on(async { tokio::time::timeout(wait, farewell).await.ok() });
            }
            shared.dht.lock().stop();
            // Ends every task, and waits for its threads: the disk may hold one up, or a name server.
            drop(runtime);
            shared.udp_ports.close_all();
            shared.listening.drop_all();
        }
        self.finish();
    }

    fn abandon(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
        self.finish();
    }

    fn finish(&self) {
        *self.done.lock() = true;
        self.finished.notify_all();
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        // A timeout here leaves threads that end by themselves.
        let _ = self.close(Some(DROP_TIMEOUT));
    }
}

#[cfg(test)]
mod tests;
