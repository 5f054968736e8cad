//! A node that runs our engine: a torrent, its pool, a model disk, readers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use elementum_torrent::alert::Alert;
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::audit::identity;
use elementum_torrent::engine::cache::share::Shares;
use elementum_torrent::engine::config::{StorageKind, TorrentConfig, TorrentFlags};
use elementum_torrent::engine::content::pieces::{HashJob, PeerKey};
use elementum_torrent::engine::readers::explanation::Reason;
use elementum_torrent::memory::pool::{BLOCK_SIZE, Block, Pool};
use elementum_torrent::metainfo::InfoHashes;
use elementum_torrent::settings::Settings;
use elementum_torrent::wire::Decoder;

use super::content::Content;
use super::driver::Driver;
use super::script::Script;

/// A session's memory, which several nodes may share: each is one torrent of it then.
#[derive(Debug, Clone)]
pub struct Memory {
    pub pool: Arc<Pool>,
    pub shares: Arc<Shares>,
}

impl Memory {
    pub fn new(limit: u64) -> Self {
        Self { pool: Pool::new(limit), shares: Arc::new(Shares::default()) }
    }
}

/// Notes which nodes are called because memory came free.
#[derive(Debug, Clone)]
pub struct Call {
    pub node: usize,
    pub called: Arc<Mutex<BTreeSet<usize>>>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.called.lock().expect("one thread").insert(self.node);
    }
}

/// How a node of ours is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    pub storage: StorageKind,
    pub memory: u64,
    /// The session's memory, where it is not the node's alone.
    pub shared: Option<Memory>,
    /// Disk storage that has everything.
    pub complete: bool,
    pub magnet: bool,
    pub flags: TorrentFlags,
    pub file_priorities: Vec<u8>,
    pub settings: Settings,
    /// One in so many writes fails, 0: none.
    pub write_errors: u32,
    pub disk_ms: u64,
    /// Hashing is done so much later, 0: at once.
    pub hash_ms: u64,
    /// Now and then a peer's socket holds more than is taken from it.
    pub pours: bool,
    /// It announces to the world's tracker.
    pub tracker: bool,
}

impl Setup {
    pub fn memory(limit: u64) -> Self {
        Self {
            storage: StorageKind::Memory,
            memory: limit,
            shared: None,
            complete: false,
            magnet: false,
            flags: TorrentFlags::default(),
            file_priorities: Vec::new(),
            settings: Settings { listen_interfaces: String::new(), ..Settings::default() },
            write_errors: 0,
            disk_ms: 3,
            hash_ms: 0,
            pours: false,
            tracker: false,
        }
    }

    pub fn disk() -> Self {
        Self { storage: StorageKind::Disk, ..Self::memory(4 << 20) }
    }

    pub fn seed() -> Self {
        Self { complete: true, ..Self::disk() }
    }

    /// For so many connections.
    pub fn with_places(mut self, places: usize) -> Self {
        self.settings.max_connections_per_torrent = places as i64;
        self
    }
}

/// A connection, as one of our nodes sees it.
#[derive(Debug)]
pub struct Plug {
    pub conn: usize,
    pub decoder: Decoder,
}

/// A node of ours.
#[derive(Debug)]
pub struct Engine {
    pub torrent: Torrent,
    pub pool: Arc<Pool>,
    pub content: Arc<Content>,
    pub setup: Setup,
    pub plugs: BTreeMap<PeerKey, Plug>,
    pub drivers: Vec<Driver>,
    /// Pieces on the model disk.
    pub disk: BTreeSet<u32>,
    /// Blocks with the disk now.
    pub writing: BTreeMap<u32, Vec<Block>>,
    /// To be hashed, in the order of their events.
    pub hashing: VecDeque<HashJob>,
    pub timer: Option<Time>,
    /// What may be charged: the limit, or what was charged when it was lowered.
    pub ceiling: u64,
    pub alerts: Vec<Alert>,
    /// When it announced, and searched the DHT.
    pub announces: Vec<Time>,
    pub searches: Vec<Time>,
    pub writes: u32,
    pub timeouts_in_the_past: u32,
    pub hashes_run: u64,
}

impl Engine {
    pub fn new(now: Time, content: &Arc<Content>, setup: Setup, peer_id: [u8; 20], seed: u64) -> Self {
        let Memory { pool, shares } = setup.shared.clone().unwrap_or_else(|| Memory::new(setup.memory));
        let settings = Arc::new(setup.settings.clone());
        let config = TorrentConfig {
            info_hashes: InfoHashes { v2: None, ..content.info.info_hashes },
            info: (!setup.magnet).then(|| content.info.clone()),
            storage: setup.storage,
            flags: setup.flags,
            file_priorities: setup.file_priorities.clone(),
            peer_id,
            listen_port: super::world::PORT,
            trackers: if setup.tracker { vec![vec!["http://tracker.invalid/announce".into()]] } else { Vec::new() },
            ..TorrentConfig::of(&content.info)
        };
        let torrent = Torrent::new(now, config, settings, pool.clone(), &shares, seed);
        let pieces = content.info.layout.num_pieces();
        Self {
            torrent,
            ceiling: pool.limit(),
            pool,
            content: content.clone(),
            disk: if setup.complete { (0..pieces).collect() } else { BTreeSet::new() },
            setup,
            plugs: BTreeMap::new(),
            drivers: Vec::new(),
            writing: BTreeMap::new(),
            hashing: VecDeque::new(),
            timer: None,
            alerts: Vec::new(),
            announces: Vec::new(),
            searches: Vec::new(),
            writes: 0,
            timeouts_in_the_past: 0,
            hashes_run: 0,
        }
    }

    pub fn set_limit(&mut self, now: Time, bytes: u64) {
        self.pool.set_limit(bytes);
        self.ceiling = self.pool.charged().max(self.pool.limit());
        self.torrent.enforce_limit(now);
    }

    /// Memory stays below the limit, whatever happens.
    pub fn check_limit(&mut self) {
        let (charged, limit) = (self.pool.charged(), self.pool.limit());
        assert!(charged <= self.ceiling, "{charged} blocks charged, limit {limit}, ceiling {}", self.ceiling);
        self.ceiling = limit.max(self.ceiling.min(charged));
    }

    /// The books balance: every charge is somewhere, and what is had can be read. How many charges are known, and promises.
    pub fn check_books(&self) -> (u64, u64) {
        let audit = self.torrent.audit().unwrap_or_else(|e| panic!("{e}"));
        let most = self.setup.settings.max_out_request_queue as usize;
        assert!(audit.most_requests <= most, "{} requests at one peer", audit.most_requests);
        let mut blocks = audit.blocks;
        blocks.extend(self.writing.values().flatten().filter_map(identity));
        blocks.extend(self.hashing.iter().flat_map(HashJob::blocks).filter_map(identity));
        let arriving = self.plugs.values().filter(|p| p.decoder.block_in_progress().is_some()).count() as u64;
        let known = blocks.len() as u64 + audit.credits + audit.borrowed + arriving;
        if self.setup.shared.is_none() {
            let counted = (self.pool.charged(), self.pool.promised());
            assert_eq!((known, audit.promised), counted, "charges without an owner, or owners without a charge");
        }
        for piece in self.torrent.had_pieces() {
            let found = self.torrent.find_in_piece(i64::from(piece), 0, 1);
            let there = match found {
                Ok(elementum_torrent::engine::readers::ReadOutcome::Memory(parts)) => {
                    parts.first().and_then(|p| p.slices().next()).is_some_and(|b| b[0] == self.content.piece(piece)[0])
                }
                Ok(elementum_torrent::engine::readers::ReadOutcome::Disk { .. }) => self.disk.contains(&piece),
                _ => false,
            };
            assert!(there, "piece {piece} is had and cannot be read");
        }
        (known, audit.promised)
    }

    /// What readers are told of why they wait holds together.
    pub fn check_explanations(&self, now: Time) {
        let size = |file: u32| self.content.info.layout.files()[file as usize].size;
        for driver in self.drivers.iter().filter(|d| d.opened) {
            let Ok(told) = self.torrent.explain(now, driver.id) else { continue };
            let (peers, blocks, memory) = (&told.peers, &told.blocks, &told.memory);
            let at_end = told.offset == size(driver.file);
            assert_eq!(told.reason == Reason::EndOfFile, at_end, "{told:?}");
            // Who would wait for ever gets an error instead: of a torrent that stopped, and where a piece is larger than memory.
            let fails = told.error.is_some() || u64::from(blocks.total) * u64::from(BLOCK_SIZE) > memory.limit;
            let ready = !at_end && self.torrent.is_ready(driver.id);
            assert!(told.reason != Reason::Ready || ready, "{told:?}");
            assert!(told.reason == Reason::Ready || !ready || fails, "{told:?}");
            assert!(blocks.here + blocks.asked <= blocks.total, "{told:?}");
            assert!(peers.with_piece <= peers.connected && peers.unchoked <= peers.with_piece, "{told:?}");
            assert!(peers.refusing <= peers.unchoked && peers.snubbed <= peers.unchoked, "{told:?}");
            let requested = matches!(told.reason, Reason::Requested | Reason::Snubbed);
            assert!(!requested || (told.asked_of.is_some() && blocks.asked > 0 && peers.asked > 0), "{told:?}");
            assert!(told.reason != Reason::Verifying || blocks.here == blocks.total, "{told:?}");
            let ours = memory.requested + memory.pinned + memory.protected + memory.wanted + memory.idle + memory.held;
            assert_eq!(ours + memory.other_torrents, memory.charged, "{told:?}");
            assert!(!told.to_string().is_empty());
        }
    }

    pub fn count(&self, which: impl Fn(&Alert) -> bool) -> usize {
        self.alerts.iter().filter(|a| which(a)).count()
    }

    pub fn banned(&self) -> Vec<SocketAddr> {
        let ban = |a: &Alert| match a {
            Alert::PeerBan { endpoint, .. } => Some(*endpoint),
            _ => None,
        };
        self.alerts.iter().filter_map(ban).collect()
    }

    pub fn hash_failures(&self) -> u64 {
        self.torrent.counters().hash_failures
    }

    pub fn is_done(&self) -> bool {
        self.drivers.iter().all(Driver::is_done)
    }
}

/// Who is at an address.
#[derive(Debug)]
pub enum Kind {
    Engine(Box<Engine>),
    Script(Box<Script>),
    /// Nobody any more.
    Gone,
}
