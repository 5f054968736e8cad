//! A torrent of nothing but zeros, and seeders of it without a network: for what one event after the other does.

use std::net::SocketAddr;
use std::sync::Arc;

use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::cache::share::Shares;
use elementum_torrent::engine::config::TorrentConfig;
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::memory::credits::Credits;
use elementum_torrent::memory::pool::Pool;
use elementum_torrent::metainfo::Sha1Hash;
use elementum_torrent::metainfo::create::Create;
use elementum_torrent::settings::Settings;
use elementum_torrent::wire::{BlockRequest, Decoder, DecoderLimits, Handshake, Message, Received, StreamKind};

/// Of `total` bytes, in so much memory.
pub fn torrent(now: Time, total: u64, piece_length: u32, memory: u64) -> Torrent {
    torrent_by_lanes(now, total, piece_length, memory, 4)
}

/// As it is on a processor that hashes so many pieces at once.
pub fn torrent_by_lanes(now: Time, total: u64, piece_length: u32, memory: u64, hash_lanes: usize) -> Torrent {
    let hash = Sha1Hash::of(&vec![0; piece_length as usize]).0;
    let hashes = hash.repeat((total / u64::from(piece_length)) as usize);
    let info = Create::single("zeros", total, piece_length).v1(hashes).expect("a torrent").info;
    let config = TorrentConfig { peer_id: [1; 20], hash_lanes, ..TorrentConfig::of(&info) };
    Torrent::new(now, config, Arc::new(Settings::default()), Pool::new(memory), &Arc::new(Shares::default()), 1)
}

/// One that has everything and chokes nobody.
pub struct Seeder {
    pub key: PeerKey,
    credits: Arc<Credits>,
    decoder: Decoder,
}

impl Seeder {
    /// `number`: of its address; 1 or more.
    pub fn connect(torrent: &mut Torrent, now: Time, number: u8) -> Self {
        Self::join(torrent, now, SocketAddr::from(([10, 0, 0, number], 6881)), [number + 1; 20], false)
    }

    pub fn join(torrent: &mut Torrent, now: Time, address: SocketAddr, id: [u8; 20], incoming: bool) -> Self {
        let handshake = Handshake::new(torrent.info_hashes().best(), id, false);
        let (key, credits) =
            torrent.peer_connected(now, address, incoming, StreamKind::default(), &handshake).expect("let in");
        let mut batch = vec![Received::Message(Message::HaveAll), Received::Message(Message::Unchoke)];
        torrent.peer_received(now, key, &mut batch, 20);
        Self { key, credits, decoder: Decoder::new(Credits::new(Pool::new(1 << 20)), DecoderLimits::default()) }
    }

    /// What it is asked for now.
    pub fn requests(&mut self, torrent: &mut Torrent, now: Time) -> Vec<BlockRequest> {
        let request = |message| match message {
            Message::Request(request) => Some(request),
            _ => None,
        };
        self.said(torrent, now).into_iter().filter_map(request).collect()
    }

    /// All that it is told.
    pub fn said(&mut self, torrent: &mut Torrent, now: Time) -> Vec<Message> {
        let mut received = Vec::new();
        while let Some(chunk) = torrent.take_chunk(now, self.key) {
            self.decoder.push(chunk.as_slice(), &mut received).expect("sound");
        }
        let message = |received| match received {
            Received::Message(message) => Some(message),
            _ => None,
        };
        received.into_iter().filter_map(message).collect()
    }

    /// Its answers.
    pub fn blocks(&self, requests: &[BlockRequest]) -> Vec<Received> {
        let block = |r: &BlockRequest| {
            let data = self.credits.take(r.piece, r.begin)?.into_block(r.length).freeze();
            Some(Received::Block { piece: r.piece, begin: r.begin, data })
        };
        requests.iter().filter_map(block).collect()
    }
}
