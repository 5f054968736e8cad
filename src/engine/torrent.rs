//! A torrent: the state machine that its shell drives.
//!
//! Events come in through methods that take the time; what is to be done comes out of [`Torrent::take_output`] and each
//! peer's outbox. Each room of the engine (the folders beside this file) owns a part of its state; here they are put together.

use std::sync::Arc;
use std::time::Duration;

use super::bandwidth::rate::Traffic;
use super::cache::Cache;
use super::cache::share::Shares;
use super::config::{Config, StorageKind, TorrentConfig, TorrentFlags};
use super::content::Content;
use super::content::hashing::Hashing;
use super::content::pieces::PeerKey;
use super::content::priorities::first_priorities;
use super::content::verifier::Verifier;
use super::metadata::fetch::MetadataFetch;
use super::output::Output;
use super::peer::peers::Peers;
use super::peer::uploads::Uploads;
use super::readers::Readers;
use super::requests::Requests;
use super::run_state::RunState;
use super::swarm::Swarm;
use super::swarm::choker::Choker;
use super::swarm::smart_ban::SmartBan;
use super::trackers::{Policy, Trackers};
use super::traffic::Meters;
use crate::alert::{Alert, PerformanceWarning, TorrentState};
use crate::base::error::Error;
use crate::base::time::Time;
use crate::memory::pool::{BLOCK_SIZE, Pool};
use crate::metainfo::{Info, InfoHashes};
use crate::settings::Settings;

/// One torrent: its rooms, each with what is its own, and what touches several of them.
#[derive(Debug)]
pub struct Torrent {
    pub(super) config: Config,
    pub(super) run_state: RunState,
    pub(super) content: Option<Content>,
    pub(super) hashing: Hashing,
    pub(super) fetch: MetadataFetch,
    pub(super) peers: Peers,
    pub(super) swarm: Swarm,
    pub(super) smart_ban: SmartBan,
    pub(super) trackers: Trackers,
    pub(super) choker: Choker,
    pub(super) uploads: Uploads,
    pub(super) readers: Readers,
    pub(super) requests: Requests,
    pub(super) cache: Cache,
    pub(super) meters: Meters,
    pub(super) rng: fastrand::Rng,
    pub(super) out: Output,
}

/// The pulse of an active torrent.
const TICK: Duration = Duration::from_millis(500);
/// The pulse of one in which nothing goes on: its peers are kept, and let go when they fall silent.
const QUIET_TICK: Duration = Duration::from_secs(5);

impl Torrent {
    pub fn new(
        now: Time,
        config: TorrentConfig,
        settings: Arc<Settings>,
        pool: Arc<Pool>,
        shares: &Arc<Shares>,
        seed: u64,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let trackers = Trackers::new(&config.trackers, &mut rng);
        let mut torrent = Self {
            cache: Cache::new(pool, shares.join()),
            run_state: RunState::new(now),
            content: None,
            hashing: Hashing::new(config.hash_lanes),
            fetch: MetadataFetch::default(),
            peers: Peers::default(),
            swarm: Swarm::new(now, !seed),
            smart_ban: SmartBan::default(),
            trackers,
            choker: Choker::new(now),
            uploads: Uploads::default(),
            readers: Readers::new(now),
            requests: Requests::new(rng.clone()),
            rng,
            meters: Meters::default(),
            out: Output::default(),
            config: Config {
                settings,
                info_hashes: config.info_hashes,
                name: config.name,
                storage: config.storage,
                flags: config.flags,
                max_connections: config.max_connections,
                max_uploads: config.max_uploads,
                peer_id: config.peer_id,
                listen_port: config.listen_port,
                added_time: config.added_time,
                completed_time: 0,
                web_seeds: Vec::new(),
                file_priorities: config.file_priorities,
                selected_files: config.selected_files,
                piece_priorities: config.piece_priorities,
            },
        };
        if let Some(info) = config.info {
            torrent.set_info(now, info);
        }
        torrent.add_web_seeds(&config.web_seeds);
        torrent
    }

    /// How the torrent is called when memory that it waits for came free. The shell answers with [`Torrent::memory_came`].
    pub fn set_memory_waker(&mut self, waker: std::task::Waker) {
        self.cache.set_waker(waker);
    }

    /// What piled up for the shell.
    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.out)
    }

    pub fn info(&self) -> Option<&Arc<Info>> {
        self.content.as_ref().map(|c| c.info())
    }

    /// Judges pieces; from the metadata on.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.content.as_ref().map(|c| c.verifier())
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.config.settings
    }

    /// What stopped it.
    pub fn error(&self) -> Option<&Error> {
        self.run_state.error.as_ref()
    }

    pub fn info_hashes(&self) -> InfoHashes {
        self.config.info_hashes
    }

    pub fn storage_kind(&self) -> StorageKind {
        self.config.storage
    }

    pub fn trackers(&self) -> &Trackers {
        &self.trackers
    }

    pub fn trackers_mut(&mut self) -> &mut Trackers {
        &mut self.trackers
    }

    pub fn web_seeds(&self) -> &[String] {
        &self.config.web_seeds
    }

    pub fn flags(&self) -> TorrentFlags {
        self.config.flags
    }

    pub fn is_private(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.info().private)
    }

    pub(super) fn has_all(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.has_all())
    }

    /// May peers be looked for in the DHT?
    pub fn wants_dht(&self) -> bool {
        self.is_running() && !self.is_private() && !self.config.flags.contains(TorrentFlags::DISABLE_DHT)
    }

    /// Not paused, by itself or by its session, and not in an error.
    pub fn is_running(&self) -> bool {
        self.run_state.is_running(&self.config)
    }

    /// It runs, and is not being checked.
    pub(super) fn is_active(&self) -> bool {
        self.run_state.is_active(&self.config)
    }

    /// May peers be asked for blocks?
    fn may_ask(&self) -> bool {
        self.content.is_some() && self.run_state.may_download(&self.config)
    }

    /// Replaces the trackers; those that are gone hear that we stopped.
    pub fn replace_trackers(&mut self, now: Time, tiers: &[Vec<String>]) {
        let stopped = self.trackers.replace(tiers, &mut self.rng);
        self.out.announces.extend(stopped);
        self.handle_timeout(now);
    }

    pub fn set_settings(&mut self, now: Time, settings: Arc<Settings>) {
        if Arc::ptr_eq(&self.config.settings, &settings) {
            return;
        }
        let blocks_more = settings.no_connect_privileged_ports && !self.config.settings.no_connect_privileged_ports;
        self.config.settings = settings;
        if blocks_more {
            self.drop_blocked(now);
        }
        self.choker.rules_changed(now, &self.choker_rules());
        self.part_with_surplus(now);
        self.requests.demand_changed();
        self.scheduler().fill_everybody(now);
    }

    pub fn set_listen_port(&mut self, port: u16) {
        self.config.listen_port = port;
    }

    /// Takes in the metadata: from the torrent file, or assembled from peers.
    pub(super) fn set_info(&mut self, now: Time, info: Arc<Info>) {
        if self.content.is_some() {
            return;
        }
        self.config.info_hashes = info.info_hashes;
        self.config.name = info.name.clone();
        let file_priorities = first_priorities(&mut self.config, info.layout.num_files());
        let piece_length = u64::from(info.layout.piece_length());
        let mut content = Content::new(info, file_priorities);
        content.set_piece_priorities(&std::mem::take(&mut self.config.piece_priorities));
        self.content = Some(content);
        let web_seeds = std::mem::take(&mut self.config.web_seeds);
        self.add_web_seeds(&web_seeds);
        // What goes to disk is not held against the limit: a piece at a time is enough for it.
        let fits = self.cache.limit() / piece_length.div_ceil(u64::from(BLOCK_SIZE));
        if fits < if self.config.storage == StorageKind::Memory { 3 } else { 1 } {
            self.alert(Alert::Performance { warning: PerformanceWarning::MemoryLimitTooLow });
        }
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.adopt_early_haves(now, key);
        }
        if self.config.storage == StorageKind::Disk {
            self.begin_check();
        } else {
            self.update_state(now);
        }
        self.requests.demand_changed();
    }

    pub fn set_flags(&mut self, now: Time, flags: TorrentFlags, on: bool) {
        let changed = flags - TorrentFlags::PAUSED;
        self.config.flags.set(changed, on);
        if flags.contains(TorrentFlags::PAUSED) {
            if on { self.pause(now) } else { self.resume(now) }
        }
        if flags.contains(TorrentFlags::UPLOAD_MODE) && on {
            self.queues().cancel_all(now);
        }
        self.scheduler().review_interests(now);
        self.scheduler().fill_everybody(now);
    }

    pub fn set_limits(&mut self, now: Time, max_connections: Option<u32>, max_uploads: Option<u32>) {
        self.config.max_connections = max_connections.unwrap_or(self.config.max_connections);
        self.config.max_uploads = max_uploads.unwrap_or(self.config.max_uploads);
        self.part_with_surplus(now);
    }

    /// When `handle_timeout` should be called next.
    pub fn next_timeout(&self) -> Option<Time> {
        if !self.is_running() {
            return None;
        }
        let active = !self.peers.is_empty() || self.swarm.list().num_dialling() > 0 || !self.readers.is_empty();
        let tick = active.then(|| self.run_state.last_tick + self.pulse());
        let late = self.requests.next_late().filter(|_| self.may_ask());
        let hashes = self.hashes_due();
        let refused = self.requests.next_forgiveness();
        let dial = self.swarm.list().next_dial_time(self.has_all());
        let sought =
            [dial, self.swarm.next_call()].into_iter().flatten().min().map(|t| t.max(self.run_state.last_tick + TICK));
        [tick, late, refused, hashes, sought, self.trackers.next_timeout().filter(|_| !self.run_state.checking)]
            .into_iter()
            .flatten()
            .min()
    }

    fn pulse(&self) -> Duration {
        if self.is_quiet() { QUIET_TICK } else { TICK }
    }

    /// Does nothing go on, and does nobody wait for anything that time alone brings about? Whatever begins is an event, after which this is
    /// asked again.
    fn is_quiet(&self) -> bool {
        let Some(content) = self.content.as_ref().filter(|_| !self.run_state.checking) else {
            return self.peers.is_empty();
        };
        let rates = [&self.meters.down, &self.meters.up, &self.meters.protocol_down, &self.meters.protocol_up];
        content.store().asked_blocks() == 0
            && rates.iter().all(|r| r.per_second() == 0)
            && self.choker.is_quiet()
            && self.swarm.list().num_dialling() == 0
            && self.requests.wants().is_empty()
            && self.readers.deadlines().is_empty()
            && !content.picker().has_wanted()
            && !self.hashing.has_work()
            && self.readers.values().all(|r| !r.is_active(self.run_state.last_tick))
    }

    /// What time alone brings about.
    pub fn handle_timeout(&mut self, now: Time) {
        let hashes = self.hashes_due().is_some_and(|at| at <= now);
        self.collect_hashes(now);
        let late = self.requests.next_late().is_some_and(|at| at <= now) && self.may_ask();
        if late {
            let mut scheduler = self.scheduler();
            scheduler.ask_late(now);
            scheduler.fill_all(now);
        }
        let refused = self.requests.forgive_refusals(now, &mut self.peers);
        if refused {
            self.scheduler().fill_all(now);
        }
        let early =
            now < self.run_state.last_tick + self.pulse() && self.trackers.next_timeout().is_none_or(|at| at > now);
        if early && (hashes || late || refused) {
            return;
        }
        let elapsed = now.since(self.run_state.last_tick);
        self.run_state.last_tick = now;
        for rate in
            [&mut self.meters.down, &mut self.meters.up, &mut self.meters.protocol_down, &mut self.meters.protocol_up]
        {
            rate.update(now);
        }
        if !self.is_running() {
            return;
        }
        self.run_state.active += elapsed;
        match self.run_state.state {
            TorrentState::Finished => self.run_state.finished_for += elapsed,
            TorrentState::Seeding => {
                self.run_state.finished_for += elapsed;
                self.run_state.seeding_for += elapsed;
            }
            _ => {}
        }
        self.poll_trackers(now);
        self.check_peers(now);
        self.ask_again_for_dropped(now);
        self.review_swarm(now);
        let rules = self.choker_rules();
        self.choker.round(now, &rules, &mut self.peers, &mut self.out.wake);
        self.choker.fill_slots(now, &rules, &mut self.peers, &mut self.out.wake);
        self.metadata_timeouts(now);
        self.send_pex(now);
        self.scheduler().update_shares(now);
        if self.run_state.checking {
            return;
        }
        self.cache.pool().review_line(now.micros());
        if self.scheduler().give_up_stuck(now) {
            self.scheduler().fill_everybody(now);
        }
        // While it waits, a reader of its own may have fallen asleep.
        if self.cache.is_in_line() {
            self.requests.demand_changed();
        }
        // Who has a place in the background changes with time.
        if self.readers.anybody_is_put_off() {
            self.requests.demand_changed();
        }
        self.cache.leave_line();
        let (uploads, mut rest) = self.serving();
        uploads.serve_waiting(now, &mut rest);
        let mut scheduler = self.scheduler();
        scheduler.review_revealed(now);
        scheduler.fill_everybody(now);
        self.yield_memory(now);
        self.tell_pressure(now);
    }

    /// Announces that are due. Not before the check of what is on disk: until then nobody knows what is left.
    pub(super) fn poll_trackers(&mut self, now: Time) {
        if self.run_state.checking {
            return;
        }
        let s = &self.config.settings;
        let policy = Policy {
            announce_to_all_trackers: s.announce_to_all_trackers,
            announce_to_all_tiers: s.announce_to_all_tiers,
            min_announce_interval_s: u32::try_from(s.min_announce_interval).unwrap_or(0),
            tracker_backoff: u32::try_from(s.tracker_backoff).unwrap_or(0),
        };
        let jobs = self.trackers.poll(now, &policy);
        self.out.announces.extend(jobs);
    }

    /// Unix time of the completion, which only the shell knows.
    pub fn set_completed_time(&mut self, unix: i64) {
        self.config.completed_time = unix;
    }

    pub(super) fn alert(&mut self, alert: Alert) {
        self.out.alerts.push(alert);
    }

    pub(super) fn readers_changed(&mut self) {
        self.out.readers_changed = true;
    }

    /// Bytes still to fetch, for trackers. It stays when the torrent is removed.
    pub fn bytes_left(&self) -> u64 {
        let Some(content) = &self.content else { return self.run_state.left_without_content };
        let layout = content.layout();
        let had: u64 = content.have().iter().map(|p| u64::from(layout.piece_size(p))).sum();
        layout.total_size() - had
    }

    /// What was counted since the torrent was added; it stays when the torrent is removed.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            download: self.meters.protocol_down.total(),
            upload: self.meters.protocol_up.total(),
            payload_download: self.meters.down.total(),
            payload_upload: self.meters.up.total(),
            redundant_bytes: self.meters.counters.redundant_bytes,
            hash_failures: self.meters.counters.hash_failures,
        }
    }

    /// Payload (down, up) and bytes that failed, since the torrent was added.
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.meters.down.total(), self.meters.up.total(), self.meters.counters.failed_bytes)
    }
}
