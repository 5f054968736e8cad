//! A torrent: the state machine that its shell drives.
//!
//! Events come in through methods that take the time; what is to be done comes out of [`Torrent::take_output`] and each
//! peer's outbox. The rest of the state machine lies in the neighbours of this file, a noun each: `greeting` (who is let in),
//! `connections` (peers' messages, and their end), `asking` and `pick` (who is asked for what), `requests`, `blocks` (arrival,
//! verification), `hashing`, `blame`, `memory` (eviction, lookbehind), `reading` (readers), `uploads` (serving, choking), `metadata`
//! (ut_metadata), `pex`, `shortage` (nobody to ask), `priorities`, `status`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::bandwidth::aggregate::Inflow;
use super::bandwidth::limited::Limited;
use super::bandwidth::rate::{Rate, Traffic};
use super::cache::line::GaveWay;
use super::cache::share::{Share, Shares};
use super::config::{StorageKind, TorrentConfig, TorrentFlags};
use super::content::Content;
use super::content::bitfield::Bitfield;
use super::content::hashing::Hashing;
use super::content::piece_picker::{DEFAULT_PRIORITY, Picker};
use super::content::pieces::{PeerKey, Store};
use super::content::priorities::select;
use super::metadata::MetadataFetch;
use super::output::Output;
use super::peer::Peer;
use super::readers::reader::{Reader, ReaderId};
use super::readers::waste::Legacy;
use super::requests::demand::Want;
use super::requests::in_vain::InVain;
use super::requests::late::LateHeap;
use super::requests::open_slots::Hungry;
use super::requests::ranking::Ranking;
use super::requests::shows::Shows;
use super::swarm::peer_list::Swarm;
use super::swarm::shortage::Shortage;
use super::swarm::smart_ban::{Departed, Suspicion};
use super::swarm::turnover::Rooms;
use super::trackers::{Policy, Trackers};
use crate::alert::{Alert, PerformanceWarning, TorrentState};
use crate::base::error::Error;
use crate::base::time::Time;
use crate::memory::pool::{BLOCK_SIZE, Pool};
use crate::memory::turns::Member;
use crate::metainfo::{Info, InfoHashes};
use crate::settings::Settings;

/// Byte and event counts of a torrent's life.
#[derive(Debug, Default, Clone)]
pub struct Counters {
    pub failed_bytes: u64,
    pub redundant_bytes: u64,
    pub cancelled_blocks: u64,
    pub hash_failures: u64,
    pub evicted_pieces: u64,
    pub refetched_pieces: u64,
    pub lookbehind_hits: u64,
    pub lookbehind_misses: u64,
}

/// One torrent.
#[derive(Debug)]
pub struct Torrent {
    pub(super) settings: Arc<Settings>,
    pub(super) pool: Arc<Pool>,
    pub(super) share: Share,
    pub(super) rng: fastrand::Rng,
    pub(super) info_hashes: InfoHashes,
    pub(super) name: String,
    pub(super) storage: StorageKind,
    pub(super) flags: TorrentFlags,
    pub(super) limited: Limited,
    pub(super) max_connections: u32,
    pub(super) max_uploads: u32,
    pub(super) peer_id: [u8; 20],
    pub(super) listen_port: u16,
    pub(super) added_time: i64,
    pub(super) completed_time: i64,
    pub(super) wanted_file_priorities: Vec<u8>,
    pub(super) selected_files: Vec<RangeInclusive<u32>>,
    pub(super) wanted_piece_priorities: Vec<u8>,
    pub(super) web_seeds: Vec<String>,

    pub(super) state: TorrentState,
    pub(super) error: Option<Error>,
    pub(super) session_paused: bool,
    pub(super) checking: bool,
    pub(super) check_progress: u32,
    /// It failed before it was over: what it did not get to is not known to be missing.
    pub(super) check_cut_short: bool,
    /// Work on disk carries the number under which it was begun. A check and a failure begin a new one.
    pub(super) disk_generation: u64,
    pub(super) content: Option<Content>,
    /// Bytes left as trackers are told where there is no content: a removed torrent's last number.
    pub(super) left_without_content: u64,
    pub(super) fetch: MetadataFetch,

    pub(super) peers: BTreeMap<PeerKey, Peer>,
    pub(super) next_key: u32,
    pub(super) swarm: Swarm,
    pub(super) shortage: Shortage,
    /// What the last reader of a file left.
    pub(super) legacy: Option<Legacy>,
    pub(super) trackers: Trackers,
    pub(super) optimistic: PeerKey,
    /// Before then nobody looks whether readers wait for memory.
    pub(super) next_pressure_look: Time,
    /// A peer has come to us by itself, since the torrent was added.
    pub(super) had_incoming: bool,

    pub(super) readers: BTreeMap<ReaderId, Reader>,
    pub(super) deadlines: BTreeMap<u32, Time>,
    /// Pieces that the service protects; and of them those that fit into half the limit.
    pub(super) protected: BTreeSet<u32>,
    pub(super) kept_lookbehind: BTreeSet<u32>,
    pub(super) wants: Vec<Want>,
    pub(super) wants_dirty: bool,
    pub(super) wants_from: usize,
    /// Where it stands in line for memory, since when it waits there for what no read waits for, and when it gave way
    /// to others because nothing came.
    pub(super) member: Member,
    pub(super) in_line_since: Option<Time>,
    pub(super) gave_way: Option<GaveWay>,
    pub(super) nothing_to_give_until: Time,
    pub(super) shows: Shows,
    /// What all peers bring together, and who of them is fast.
    pub(super) inflow: Inflow,
    pub(super) in_vain: InVain,
    pub(super) ranking: Ranking,
    /// When urgent blocks are late.
    pub(super) late: LateHeap,
    /// When peers may be asked again for what they refused.
    pub(super) next_forgiveness: Time,
    /// Peers to look at when we get a piece or lose one: all but those that are counted among the seeds, and were told of none of
    /// our pieces that may go again.
    pub(super) partial: BTreeSet<PeerKey>,
    /// How many peers are on parole.
    pub(super) on_parole: usize,
    /// Peers that have room in their queues.
    pub(super) hungry: Hungry,
    /// Reads changed what is wanted, and nobody was asked for it yet.
    pub(super) owes_follow_up: bool,
    /// Peers may have been asked as far ahead as where nobody plays.
    pub(super) asked_far_ahead: bool,
    /// Requests came free: every peer is to be looked at again.
    pub(super) refill: bool,
    /// `torrent_finished` was said, and nothing further is wanted since.
    pub(super) finished_told: bool,
    /// Did we want anything when interests were last looked at?
    pub(super) wanted_any: bool,
    pub(super) hashing: Hashing,
    /// Per failed piece: who sent which block, by its hash (smart ban).
    pub(super) suspects: HashMap<u32, Vec<Suspicion>>,
    /// Who left lately.
    pub(super) departed: VecDeque<Departed>,

    pub(super) down: Rate,
    pub(super) up: Rate,
    pub(super) protocol_down: Rate,
    pub(super) protocol_up: Rate,
    pub(super) counters: Counters,
    pub(super) active: Duration,
    pub(super) finished_for: Duration,
    pub(super) seeding_for: Duration,
    pub(super) last_tick: Time,
    pub(super) next_choke: Time,
    /// When slots that came free are given away, and no sooner than when.
    pub(super) next_fill: Time,
    pub(super) least_fill: Time,
    /// Peers for which nothing could be lent: they get it in turn.
    pub(super) upload_line: VecDeque<PeerKey>,
    /// How many peers may download from us.
    pub(super) unchoked: usize,
    pub(super) rooms: Rooms,
    /// When the worst go.
    pub(super) next_turnover: Time,
    pub(super) next_optimistic: Time,
    pub(super) dials_since_start: u32,
    pub(super) dial_tokens: f64,
    pub(super) last_dial: Time,
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
            settings,
            member: pool.join(),
            pool,
            share: shares.join(),
            rng,
            info_hashes: config.info_hashes,
            name: config.name,
            storage: config.storage,
            flags: config.flags,
            limited: Limited::default(),
            max_connections: config.max_connections,
            max_uploads: config.max_uploads,
            peer_id: config.peer_id,
            listen_port: config.listen_port,
            added_time: config.added_time,
            completed_time: 0,
            wanted_file_priorities: config.file_priorities,
            selected_files: config.selected_files,
            wanted_piece_priorities: config.piece_priorities,
            web_seeds: Vec::new(),
            state: TorrentState::DownloadingMetadata,
            error: None,
            session_paused: false,
            checking: false,
            check_progress: 0,
            check_cut_short: false,
            disk_generation: 0,
            content: None,
            left_without_content: u64::from(BLOCK_SIZE),
            fetch: MetadataFetch::default(),
            peers: BTreeMap::new(),
            next_key: 1,
            swarm: Swarm::new(now, !seed),
            shortage: Shortage::new(now),
            legacy: None,
            trackers,
            optimistic: PeerKey::NOBODY,
            next_pressure_look: now,
            had_incoming: false,
            readers: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            protected: BTreeSet::new(),
            kept_lookbehind: BTreeSet::new(),
            wants: Vec::new(),
            wants_dirty: true,
            wants_from: 0,
            in_line_since: None,
            gave_way: None,
            nothing_to_give_until: Time::ZERO,
            shows: Shows::default(),
            inflow: Inflow::default(),
            in_vain: InVain::default(),
            ranking: Ranking::default(),
            late: LateHeap::default(),
            next_forgiveness: Time::NEVER,
            partial: BTreeSet::new(),
            on_parole: 0,
            hungry: Hungry::default(),
            owes_follow_up: false,
            asked_far_ahead: false,
            refill: false,
            wanted_any: false,
            finished_told: false,
            hashing: Hashing::new(config.hash_lanes),
            suspects: HashMap::new(),
            departed: VecDeque::new(),
            down: Rate::default(),
            up: Rate::default(),
            protocol_down: Rate::default(),
            protocol_up: Rate::default(),
            counters: Counters::default(),
            active: Duration::ZERO,
            finished_for: Duration::ZERO,
            seeding_for: Duration::ZERO,
            last_tick: now,
            next_choke: now,
            next_fill: Time::NEVER,
            least_fill: now,
            upload_line: VecDeque::new(),
            unchoked: 0,
            rooms: Rooms::default(),
            next_turnover: now,
            next_optimistic: now,
            dials_since_start: 0,
            dial_tokens: 0.0,
            last_dial: now,
            out: Output::default(),
        };
        if let Some(info) = config.info {
            torrent.set_info(now, info);
        }
        torrent.add_web_seeds(&config.web_seeds);
        torrent
    }

    /// How the torrent is called when memory that it waits for came free. The shell answers with [`Torrent::memory_came`].
    pub fn set_memory_waker(&mut self, waker: std::task::Waker) {
        self.member.set_waker(waker);
    }

    /// What piled up for the shell.
    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.out)
    }

    pub fn info(&self) -> Option<&Arc<Info>> {
        self.content.as_ref().map(|c| &c.info)
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// What stopped it.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    pub fn info_hashes(&self) -> InfoHashes {
        self.info_hashes
    }

    pub fn storage_kind(&self) -> StorageKind {
        self.storage
    }

    pub fn trackers(&self) -> &Trackers {
        &self.trackers
    }

    pub fn trackers_mut(&mut self) -> &mut Trackers {
        &mut self.trackers
    }

    pub fn web_seeds(&self) -> &[String] {
        &self.web_seeds
    }

    pub fn flags(&self) -> TorrentFlags {
        self.flags
    }

    pub fn is_private(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.info.private)
    }

    /// May peers be looked for in the DHT?
    pub fn wants_dht(&self) -> bool {
        self.is_running() && !self.is_private() && !self.flags.contains(TorrentFlags::DISABLE_DHT)
    }

    /// Not paused, by itself or by its session, and not in an error.
    pub fn is_running(&self) -> bool {
        !self.flags.contains(TorrentFlags::PAUSED) && !self.session_paused && self.error.is_none()
    }

    /// Replaces the trackers; those that are gone hear that we stopped.
    pub fn replace_trackers(&mut self, now: Time, tiers: &[Vec<String>]) {
        let stopped = self.trackers.replace(tiers, &mut self.rng);
        self.out.announces.extend(stopped);
        self.handle_timeout(now);
    }

    pub fn set_settings(&mut self, now: Time, settings: Arc<Settings>) {
        if Arc::ptr_eq(&self.settings, &settings) {
            return;
        }
        self.settings = settings;
        // What was planned by longer intervals does not wait for their end.
        let within = |s: i64| now + Duration::from_secs(u64::try_from(s).unwrap_or(1));
        self.next_choke = self.next_choke.min(within(self.settings.unchoke_interval));
        self.next_optimistic = self.next_optimistic.min(within(self.settings.optimistic_unchoke_interval));
        self.part_with_surplus(now);
        self.wants_dirty = true;
        self.fill_everybody(now);
    }

    pub fn set_listen_port(&mut self, port: u16) {
        self.listen_port = port;
    }

    /// Takes in the metadata: from the torrent file, or assembled from peers.
    pub(super) fn set_info(&mut self, now: Time, info: Arc<Info>) {
        if self.content.is_some() {
            return;
        }
        let pieces = info.layout.num_pieces();
        self.info_hashes = info.info_hashes;
        self.name = info.name.clone();
        let dont = self.storage == StorageKind::Memory || self.flags.contains(TorrentFlags::DEFAULT_DONT_DOWNLOAD);
        let default = if dont { 0 } else { DEFAULT_PRIORITY };
        let files = info.layout.num_files();
        let mut file_priorities = vec![default; files];
        if self.wanted_file_priorities.is_empty() {
            select(&mut file_priorities, std::mem::take(&mut self.selected_files));
        }
        for (mine, wanted) in file_priorities.iter_mut().zip(&self.wanted_file_priorities) {
            *mine = *wanted;
        }
        let piece_length = u64::from(info.layout.piece_length());
        self.content = Some(Content {
            have: Bitfield::new(pieces),
            picker: Picker::new(pieces, 0),
            store: Store::new(pieces),
            file_priorities,
            evicted: Bitfield::new(pieces),
            hopeless: Bitfield::new(pieces),
            files_missing: (0..files).map(|file| info.layout.file_pieces(file).len() as u32).collect(),
            files_completed: Bitfield::new(files as u32),
            info,
        });
        self.apply_file_priorities();
        let web_seeds = std::mem::take(&mut self.web_seeds);
        self.add_web_seeds(&web_seeds);
        let wanted: Vec<u8> = std::mem::take(&mut self.wanted_piece_priorities);
        if let Some(content) = &mut self.content {
            for (piece, priority) in (0..pieces).zip(wanted) {
                content.picker.set_priority(piece, priority);
            }
        }
        // What goes to disk is not held against the limit: a piece at a time is enough for it.
        let fits = self.pool.limit() / piece_length.div_ceil(u64::from(BLOCK_SIZE));
        if fits < if self.storage == StorageKind::Memory { 3 } else { 1 } {
            self.alert(Alert::Performance { warning: PerformanceWarning::MemoryLimitTooLow });
        }
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.adopt_early_haves(now, key);
        }
        if self.storage == StorageKind::Disk {
            self.begin_check();
        } else {
            self.update_state(now);
        }
        self.wants_dirty = true;
    }

    pub fn set_flags(&mut self, now: Time, flags: TorrentFlags, on: bool) {
        let changed = flags - TorrentFlags::PAUSED;
        self.flags.set(changed, on);
        if flags.contains(TorrentFlags::PAUSED) {
            if on { self.pause(now) } else { self.resume(now) }
        }
        if flags.contains(TorrentFlags::UPLOAD_MODE) && on {
            self.cancel_all(now);
        }
        self.review_interests(now);
        self.fill_everybody(now);
    }

    pub fn set_limits(&mut self, now: Time, max_connections: Option<u32>, max_uploads: Option<u32>) {
        self.max_connections = max_connections.unwrap_or(self.max_connections);
        self.max_uploads = max_uploads.unwrap_or(self.max_uploads);
        self.part_with_surplus(now);
    }

    /// When `handle_timeout` should be called next.
    pub fn next_timeout(&self) -> Option<Time> {
        if !self.is_running() {
            return None;
        }
        let active = !self.peers.is_empty() || self.swarm.num_dialling() > 0 || !self.readers.is_empty();
        let tick = active.then(|| self.last_tick + self.pulse());
        let late = self.late.next().filter(|_| self.may_ask());
        let hashes = self.hashes_due();
        let refused = Some(self.next_forgiveness).filter(|at| *at < Time::NEVER);
        let dial = self.swarm.next_dial_time(self.has_all());
        let sought = [dial, self.shortage.next()].into_iter().flatten().min().map(|t| t.max(self.last_tick + TICK));
        [tick, late, refused, hashes, sought, self.trackers.next_timeout().filter(|_| !self.checking)]
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
        let Some(content) = self.content.as_ref().filter(|_| !self.checking) else { return self.peers.is_empty() };
        let rates = [&self.down, &self.up, &self.protocol_down, &self.protocol_up];
        content.store.asked_blocks() == 0
            && rates.iter().all(|r| r.per_second() == 0)
            && (self.unchoked, self.next_fill) == (0, Time::NEVER)
            && self.swarm.num_dialling() == 0
            && self.wants.is_empty()
            && self.deadlines.is_empty()
            && !content.picker.has_wanted()
            && !self.hashing.has_work()
            && self.readers.values().all(|r| !r.is_active(self.last_tick))
    }

    /// What time alone brings about.
    pub fn handle_timeout(&mut self, now: Time) {
        let hashes = self.hashes_due().is_some_and(|at| at <= now);
        self.collect_hashes(now);
        let late = self.late.next().is_some_and(|at| at <= now) && self.may_ask();
        if late {
            self.ask_late(now);
            self.fill_all(now);
        }
        let refused = self.forgive_refusals(now);
        let early = now < self.last_tick + self.pulse() && self.trackers.next_timeout().is_none_or(|at| at > now);
        if early && (hashes || late || refused) {
            return;
        }
        let elapsed = now.since(self.last_tick);
        self.last_tick = now;
        for rate in [&mut self.down, &mut self.up, &mut self.protocol_down, &mut self.protocol_up] {
            rate.update(now);
        }
        if !self.is_running() {
            return;
        }
        self.active += elapsed;
        match self.state {
            TorrentState::Finished => self.finished_for += elapsed,
            TorrentState::Seeding => {
                self.finished_for += elapsed;
                self.seeding_for += elapsed;
            }
            _ => {}
        }
        self.poll_trackers(now);
        self.check_peers(now);
        self.ask_again_for_dropped(now);
        self.note_starving(now);
        self.turn_over(now);
        self.call_for_peers(now);
        self.dial(now);
        self.choke_round(now);
        self.fill_slots(now);
        self.metadata_timeouts(now);
        self.send_pex(now);
        self.update_shares(now);
        if self.checking {
            return;
        }
        self.pool.review_line(now.micros());
        self.give_up_stuck(now);
        // While it waits, a reader of its own may have fallen asleep.
        self.wants_dirty |= self.member.is_waiting();
        // Who has a place in the background changes with time.
        self.wants_dirty |= self.readers.values().any(|r| r.window.put_off);
        self.member.leave();
        self.serve_waiting(now);
        self.review_shows(now);
        self.fill_everybody(now);
        self.yield_memory(now);
        self.tell_pressure(now);
    }

    /// Announces that are due. Not before the check of what is on disk: until then nobody knows what is left.
    pub(super) fn poll_trackers(&mut self, now: Time) {
        if self.checking {
            return;
        }
        let s = &self.settings;
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
        self.completed_time = unix;
    }

    pub(super) fn alert(&mut self, alert: Alert) {
        self.out.alerts.push(alert);
    }

    pub(super) fn readers_changed(&mut self) {
        self.out.readers_changed = true;
    }

    /// Bytes still to fetch, for trackers. It stays when the torrent is removed.
    pub fn bytes_left(&self) -> u64 {
        let Some(content) = &self.content else { return self.left_without_content };
        let layout = &content.info.layout;
        let had: u64 = content.have.iter().map(|p| u64::from(layout.piece_size(p))).sum();
        layout.total_size() - had
    }

    /// What was counted since the torrent was added; it stays when the torrent is removed.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            download: self.protocol_down.total(),
            upload: self.protocol_up.total(),
            payload_download: self.down.total(),
            payload_upload: self.up.total(),
            redundant_bytes: self.counters.redundant_bytes,
            hash_failures: self.counters.hash_failures,
        }
    }

    /// Payload (down, up) and bytes that failed, since the torrent was added.
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.down.total(), self.up.total(), self.counters.failed_bytes)
    }
}
