//! The same bytes from one seeder and from several, in one torrent and in many: what ours takes for the one and for the other, in turn.

use crate::Plan;
use crate::download::{ours, report};
use crate::program::Measured;
use crate::results::{Figure, Results};
use crate::rounds::{Client, Runs, ratio, take_turns};
use crate::seeders::{Seeder, torrent};

const SEEDERS: usize = 4;
const SEEDERS_PIECE_LENGTH: u64 = 1 << 20;
const TORRENTS: usize = 64;
/// A small torrent's, and the same for the large one, so that nothing else differs.
const TORRENTS_PIECE_LENGTH: u64 = 256 << 10;

const GROWTH: Figure = Figure::new("download.seeders4.cpu_growth", 1.15, "ratio", "CPU time with one seeder");
const RATE: Figure =
    Figure::at_least("download.torrents64.rate", 0.9, "ratio", "rate of one torrent with as many bytes");

pub fn measure(plan: &Plan, results: &mut Results) {
    if results.wants(&GROWTH) {
        match seeders(plan) {
            Ok([one, four]) => ratio(results, &GROWTH, &four, &one, Measured::cpu),
            Err(reason) => results.skip(&GROWTH, &reason),
        }
    }
    if results.wants(&RATE) {
        match torrents(plan) {
            // Of rates, the inverse of times.
            Ok([one, many]) => ratio(results, &RATE, &one, &many, Measured::wall),
            Err(reason) => results.skip(&RATE, &reason),
        }
    }
}

fn seeders(plan: &Plan) -> Result<[Runs<Measured>; 2], String> {
    let seeders =
        (0..SEEDERS).map(|_| Seeder::plain(plan, SEEDERS_PIECE_LENGTH, false)).collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<String> = seeders.iter().map(|seeder| seeder.address.to_string()).collect();
    let from = |peers: &[String]| ours(plan, &peers.join(","), plan.size, &[torrent(plan)], "");
    let clients = [
        Client { name: "1 seeder", wanted: true, run: &|_| from(&addresses[..1]) },
        Client { name: "4 seeders", wanted: true, run: &|_| from(&addresses) },
    ];
    Ok(take_turns(0..=plan.pairs, &clients, report))
}

fn torrents(plan: &Plan) -> Result<[Runs<Measured>; 2], String> {
    let size = plan.size / TORRENTS as u64;
    let (many, paths) = Seeder::plain_many(plan, size, TORRENTS_PIECE_LENGTH, TORRENTS)?;
    let one = Seeder::plain(plan, TORRENTS_PIECE_LENGTH, false)?;
    let clients = [
        Client {
            name: "1 torrent",
            wanted: true,
            run: &|_| ours(plan, &one.address.to_string(), plan.size, &[torrent(plan)], ""),
        },
        Client { name: "64 torrents", wanted: true, run: &|_| ours(plan, &many.address.to_string(), size, &paths, "") },
    ];
    Ok(take_turns(0..=plan.pairs, &clients, report))
}
