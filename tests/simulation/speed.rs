//! What the engine itself costs a block: one fast seeder in process, everything around the engine left out of the count.
//!
//! `cargo test --release --test simulation speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use elementum_torrent::base::time::Time;
use elementum_torrent::engine::readers::ReadOutcome;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::memory::pool::BLOCK_SIZE;

use super::zeros::{self, Seeder};

const MIB: u64 = 1 << 20;

fn measure(piece_length: u32, memory: u64, peers: usize, total: u64) -> Duration {
    let mut now = Time::from_millis(1000);
    let mut torrent = zeros::torrent(now, total, piece_length, memory);
    let mut seeders: Vec<_> = (0..peers).map(|i| Seeder::connect(&mut torrent, now, i as u8 + 1)).collect();
    let mut spent = Duration::ZERO;
    let id = ReaderId(1);
    torrent.open_reader(now, id, 0, ReaderOptions::default()).expect("a reader");
    let (mut read, mut idle) = (0, 0);
    while read < total {
        // 2 GB/s: a batch of a peer takes its time.
        now = now + Duration::from_micros(100);
        for seeder in &mut seeders {
            let began = Instant::now();
            let requests = seeder.requests(&mut torrent, now);
            spent += began.elapsed();
            for some in requests.chunks(16) {
                let mut batch = seeder.blocks(some);
                let bytes = batch.len() as u64 * u64::from(BLOCK_SIZE);
                let began = Instant::now();
                torrent.peer_received(now, seeder.key, &mut batch, bytes);
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
