//! Tests of asking and taking back: the parts that it takes, and no torrent.

use std::net::SocketAddr;
use std::sync::Arc;

use super::scheduler::Scheduler;
use super::state::Requests;
use crate::base::time::Time;
use crate::engine::cache::Cache;
use crate::engine::cache::share::Shares;
use crate::engine::config::{Config, StorageKind, TorrentFlags};
use crate::engine::content::Content;
use crate::engine::content::bitfield::Bitfield;
use crate::engine::content::hashing::Hashing;
use crate::engine::content::pieces::PeerKey;
use crate::engine::output::Output;
use crate::engine::peer::peers::Peers;
use crate::engine::peer::{Identity, Peer};
use crate::engine::readers::Readers;
use crate::engine::run_state::RunState;
use crate::memory::credits::Credits;
use crate::memory::pool::{BLOCK_SIZE, Pool};
use crate::metainfo::{Create, Sha1Hash};
use crate::settings::Settings;
use crate::wire::Handshake;
use crate::wire::stream_kind::StreamKind;

pub(in crate::engine) const NOW: Time = Time::from_millis(1000);
pub(in crate::engine) const PIECES: u32 = 4;

/// Of a torrent of four pieces of two blocks each, kept in memory.
pub(in crate::engine) struct Parts {
    pub config: Config,
    pub run_state: RunState,
    pub content: Option<Content>,
    pub peers: Peers,
    pub readers: Readers,
    pub requests: Requests,
    pub cache: Cache,
    pub hashing: Hashing,
    pub out: Output,
}

impl Parts {
    /// With so many blocks of memory.
    pub(in crate::engine) fn new(blocks: u64) -> Self {
        let create = Create::single("film", u64::from(PIECES * 2 * BLOCK_SIZE), 2 * BLOCK_SIZE);
        let info = create.v1(vec![7; PIECES as usize * 20]).expect("a torrent").info;
        let pool = Pool::new(blocks * u64::from(BLOCK_SIZE));
        let config = Config {
            settings: Arc::new(Settings::default()),
            info_hashes: info.info_hashes,
            name: String::new(),
            storage: StorageKind::Memory,
            flags: TorrentFlags::default(),
            max_connections: 0,
            max_uploads: 0,
            peer_id: [1; 20],
            listen_port: 0,
            added_time: 0,
            completed_time: 0,
            web_seeds: Vec::new(),
            file_priorities: Vec::new(),
            selected_files: Vec::new(),
            piece_priorities: Vec::new(),
        };
        Self {
            config,
            run_state: RunState::new(NOW),
            content: Some(Content::new(info, vec![0])),
            peers: Peers::default(),
            readers: Readers::new(NOW),
            requests: Requests::new(fastrand::Rng::with_seed(1)),
            cache: Cache::new(pool, Arc::new(Shares::default()).join()),
            hashing: Hashing::new(1),
            out: Output::default(),
        }
    }

    pub(in crate::engine) fn content(&mut self) -> &mut Content {
        self.content.as_mut().expect("the metadata")
    }

    pub(in crate::engine) fn scheduler(&mut self) -> Scheduler<'_> {
        Scheduler {
            config: &self.config,
            run_state: &mut self.run_state,
            content: &mut self.content,
            peers: &mut self.peers,
            readers: &mut self.readers,
            requests: &mut self.requests,
            cache: &mut self.cache,
            hashing: &mut self.hashing,
            out: &mut self.out,
        }
    }

    /// A seed comes that lets us ask.
    pub(in crate::engine) fn seed(&mut self, key: u32) -> PeerKey {
        let (key, address) = (PeerKey(key), SocketAddr::from(([10, 0, 0, key as u8], 6881)));
        let handshake = Handshake::new(Sha1Hash([0; 20]), [key.0 as u8; 20], false);
        let credits = Credits::new(self.cache.pool().clone());
        let mut peer =
            Peer::new(NOW, Identity::new(key, address, false, StreamKind::default(), &handshake), credits, 1);
        assert!(peer.choking.unchoked(NOW));
        let content = self.content();
        peer.haves.know_pieces(PIECES);
        peer.states(content, Bitfield::full(PIECES)).expect("the first");
        self.peers.insert(key, peer);
        self.peers.set_partial(key, true);
        self.scheduler().update_interest(NOW, key);
        key
    }

    /// A piece was fetched.
    pub(in crate::engine) fn keep(&mut self, piece: u32) {
        let pool = self.cache.pool().clone();
        let content = self.content();
        content.begin(NOW, piece, None, &pool);
        for block in 0..2 {
            let data = pool.reserve().expect("room").into_block(BLOCK_SIZE).freeze();
            content.store_mut().receive(NOW, piece, block, data, PeerKey::NOBODY);
        }
        content.passed(piece, StorageKind::Memory);
        content.piece_had(piece).expect("it was not had");
    }

    /// The piece is needed, and peers are asked for it.
    pub(in crate::engine) fn want(&mut self, piece: u32) {
        self.readers.set_deadline(piece, NOW);
        self.requests.demand_changed();
        self.scheduler().fill_all(NOW);
    }

    /// What the peer is asked for.
    pub(in crate::engine) fn asked(&self, key: PeerKey) -> Vec<(u32, u32)> {
        let peer = self.peers.get(&key).expect("it is here");
        peer.source.requests().iter().map(|r| (r.piece, r.block)).collect()
    }
}

#[test]
fn what_is_wanted_is_asked_for_and_paid_until_it_is_taken_back() {
    let mut parts = Parts::new(16);
    let seed = parts.seed(1);
    assert!(parts.peers.get(&seed).is_some_and(|p| p.choking.am_interested()));
    parts.want(2);
    assert_eq!(parts.asked(seed), [(2, 0), (2, 1)]);
    assert_eq!((parts.content().blocks_held(), parts.cache.pool().charged()), (2, 2));
    parts.readers.clear_deadlines();
    parts.requests.demand_changed();
    parts.scheduler().cancel_unwanted(NOW);
    assert_eq!((parts.asked(seed), parts.requests.cancelled_blocks()), (vec![], 2));
    assert_eq!((parts.content().blocks_held(), parts.cache.pool().charged()), (0, 0));
}

#[test]
fn nobody_is_asked_while_it_does_not_run() {
    let mut parts = Parts::new(16);
    let seed = parts.seed(1);
    parts.run_state.session_paused = true;
    parts.want(0);
    assert_eq!(parts.asked(seed), []);
    parts.run_state.session_paused = false;
    parts.scheduler().fill_everybody(NOW);
    assert_eq!(parts.asked(seed), [(0, 0), (0, 1)]);
}

#[test]
fn who_is_snubbed_loses_what_it_was_asked_for() {
    let mut parts = Parts::new(16);
    let seed = parts.seed(1);
    parts.want(0);
    let told = parts.scheduler().queues().snub(NOW, seed);
    assert!(matches!(told, Some(crate::alert::Alert::PeerSnubbed { .. })));
    assert_eq!(parts.asked(seed), []);
    assert_eq!(parts.content().store().asked_blocks(), 0);
}

#[test]
fn what_was_counted_and_the_limit_stay_when_requests_start_over() {
    let mut parts = Parts::new(16);
    let seed = parts.seed(1);
    parts.want(0);
    parts.scheduler().queues().cancel_all(NOW);
    parts.requests.set_download_limit(1000);
    parts.requests.peer_held(seed, true);
    parts.requests.start_over();
    assert_eq!((parts.requests.cancelled_blocks(), parts.requests.is_limited()), (2, true));
    assert!(parts.requests.demand().is_outdated() && !parts.requests.limit.holds_back());
}
