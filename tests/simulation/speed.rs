//! What the engine itself costs a block: one fast seeder in process, everything around the engine left out of the count.
//!
//! `cargo test --release --test simulation speed -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use elementum_torrent::engine::reader::{ReaderId, ReaderOptions};
use elementum_torrent::engine::reading::ReadOutcome;
use elementum_torrent::engine::share::Shares;
use elementum_torrent::engine::{StorageKind, Time, Torrent, TorrentConfig, TorrentFlags};
use elementum_torrent::metainfo::Sha1Hash;
use elementum_torrent::metainfo::create::Create;
use elementum_torrent::settings::Settings;
use elementum_torrent::storage::credits::Credits;
use elementum_torrent::storage::pool::{BLOCK_SIZE, Pool};
use elementum_torrent::wire::{Decoder, DecoderLimits, Handshake, Message, Received};

const MIB: u64 = 1 << 20;

fn measure(piece_length: u32, memory: u64, peers: usize, total: u64) -> Duration {
    let pieces = total / u64::from(piece_length);
    let hash = Sha1Hash::of(&vec![0; piece_length as usize]).0;
    let info = Create::single("zeros", total, piece_length).v1(hash.repeat(pieces as usize)).expect("a torrent").info;
    let pool = Pool::new(memory);
    let mut now = Time::from_millis(1000);
    let config = TorrentConfig {
        info_hashes: info.info_hashes,
        name: String::new(),
        info: Some(info.clone()),
        trackers: Vec::new(),
        web_seeds: Vec::new(),
        storage: StorageKind::Memory,
        flags: TorrentFlags::default(),
        file_priorities: Vec::new(),
        piece_priorities: Vec::new(),
        max_connections: 0,
        max_uploads: 0,
        peer_id: [1; 20],
        listen_port: 0,
        added_time: 0,
    };
    let shares = Arc::new(Shares::default());
    let mut torrent = Torrent::new(now, config, Arc::new(Settings::default()), pool.clone(), &shares, 1);
    let mut spent = Duration::ZERO;
    let mut links = Vec::new();
    for i in 0..peers {
        let address = std::net::SocketAddr::from(([10, 0, 0, i as u8 + 1], 6881));
        let handshake = Handshake::new(info.info_hashes.best(), [i as u8 + 2; 20], false);
        let (key, credits) = torrent.peer_connected(now, address, false, &handshake).expect("let in");
        let mut batch = vec![Received::Message(Message::HaveAll), Received::Message(Message::Unchoke)];
        torrent.peer_received(now, key, &mut batch, 20);
        links.push((key, credits, Decoder::new(Credits::new(Pool::new(MIB)), DecoderLimits::default())));
    }
    let id = ReaderId(1);
    torrent.open_reader(now, id, 0, ReaderOptions::default()).expect("a reader");
    let (mut read, mut idle) = (0, 0);
    while read < total {
        // 2 GB/s: a batch of a peer takes its time.
        now = now + Duration::from_micros(100);
        for (key, credits, decoder) in &mut links {
            let mut requests = Vec::new();
            let began = Instant::now();
            while let Some(chunk) = torrent.take_chunk(now, *key) {
                decoder.push(chunk.as_slice(), &mut requests).expect("sound");
            }
            spent += began.elapsed();
            let mut batch: Vec<Received> = Vec::new();
            for request in requests {
                if let Received::Message(Message::Request(r)) = request
                    && let Some(credit) = credits.take(r.piece, r.begin)
                {
                    batch.push(Received::Block {
                        piece: r.piece,
                        begin: r.begin,
                        data: credit.into_block(r.length).freeze(),
                    });
                }
            }
            let bytes = batch.len() as u64 * u64::from(BLOCK_SIZE);
            for mut some in batch.chunks(16).map(<[Received]>::to_vec).collect::<Vec<_>>() {
                let began = Instant::now();
                torrent.peer_received(now, *key, &mut some, bytes);
                spent += began.elapsed();
            }
        }
        if torrent.next_timeout().is_some_and(|t| t <= now) {
            let began = Instant::now();
            torrent.handle_timeout(now);
            spent += began.elapsed();
        }
        let mut out = torrent.take_output();
        for mut job in out.hashes.drain(..) {
            job.run();
            let began = Instant::now();
            torrent.hash_done(now, job);
            spent += began.elapsed();
        }
        loop {
            let began = Instant::now();
            let outcome = torrent.read(now, id, MIB as usize).expect("open");
            torrent.follow_up(now);
            spent += began.elapsed();
            let ReadOutcome::Memory(parts) = outcome else { break };
            read += parts.iter().map(|p| p.len() as u64).sum::<u64>();
            idle = 0;
        }
        idle += 1;
        assert!(idle < 200_000, "stuck at {read}: {}", torrent.describe());
    }
    spent
}

#[test]
#[ignore = "a measurement, for release builds"]
fn cost_of_a_block() {
    for (piece_length, memory, peers) in [
        (MIB, 64, 1),
        (MIB, 64, 4),
        (MIB, 64, 50),
        (MIB / 4, 64, 1),
        (MIB / 4, 64, 10),
        (MIB / 4, 512, 10),
        (16 * MIB, 256, 2),
    ] {
        let total = std::env::var("ET_SPEED_MIB").ok().and_then(|s| s.parse().ok()).unwrap_or(512u64) * MIB;
        let spent = measure(piece_length as u32, memory * MIB, peers, total);
        let blocks = total / u64::from(BLOCK_SIZE);
        let each = spent.as_nanos() as u64 / blocks;
        println!("{} KiB pieces, {memory} MiB memory, {peers} peers: {each} ns a block", piece_length / 1024);
        assert!(each < 3_000_000, "{each} ns a block");
    }
}
