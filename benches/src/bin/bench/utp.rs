//! uTP through the link emulator: a line that loses packets, and seeks.

use elementum_bench::link::Shape;

use crate::Plan;
use crate::download::{libtorrent, ours, report};
use crate::program::Measured;
use crate::results::{Figure, Results};
use crate::rounds::{Client, ratio, take_turns};
use crate::seeders::{Seeder, torrent};
use crate::stream::{self, Run};
use crate::swarm::Swarm;
use crate::ways::UTP;

const LOSSY: Figure =
    Figure::new("utp.lossy_vs_libtorrent", 1.0, "ratio", "libtorrent 2.1.1, 64 MiB from libtorrent by uTP, 1 % loss");
const SEEK: Figure = Figure::new("stream.seek_utp_over_ideal", 1.15, "ratio", stream::IDEAL);
const SEEK_VS_LIBTORRENT: Figure =
    Figure::stated("stream.seek_utp_vs_libtorrent", "ratio", "libtorrent 2.1.1 with piece deadlines, by uTP");

const LOSSY_BYTES: u64 = 64 << 20;
const LOSSY_PIECE: u64 = 1 << 20;
const LOSS_PPM: u32 = 10_000;
const SEEK_PIECE: u64 = 256 << 10;

pub fn measure(plan: &Plan, results: &mut Results) {
    lossy(plan, results);
    seeks(plan, results);
}

/// libtorrent seeds by uTP only, behind a link of that shape.
fn swarm(plan: &Plan, piece_length: u64, shape: Shape) -> Result<Swarm, String> {
    // It writes the files, and is not asked for anything.
    Seeder::plain(plan, piece_length, true)?;
    Swarm::by_utp(Seeder::libtorrent_by(plan, &["--transport", "utp"])?, shape)
}

/// Ours and libtorrent download over a line that loses packets each way.
fn lossy(plan: &Plan, results: &mut Results) {
    if !results.wants(&LOSSY) {
        return;
    }
    let plan = &plan.smaller(LOSSY_BYTES);
    let swarm = match swarm(plan, LOSSY_PIECE, Shape { loss_ppm: LOSS_PPM, ..Shape::default() }) {
        Ok(swarm) => swarm,
        Err(reason) => return results.skip(&LOSSY, &reason),
    };
    let peer: &String = &swarm.addresses().collect();
    let clients = [
        Client { name: "ours", wanted: true, run: &|_| ours(plan, peer, plan.size, &[torrent(plan)], UTP.ours) },
        Client { name: "libtorrent", wanted: true, run: &|_| libtorrent(plan, peer, UTP.libtorrent) },
    ];
    let [ours, libtorrent] = take_turns(0..=plan.pairs, &clients, report);
    ratio(results, &LOSSY, &ours, &libtorrent, Measured::wall);
}

fn seeks(plan: &Plan, results: &mut Results) {
    if !results.wants(&SEEK) && !results.wants(&SEEK_VS_LIBTORRENT) {
        return;
    }
    let swarm = match swarm(plan, SEEK_PIECE, Shape::default()) {
        Ok(swarm) => swarm,
        Err(reason) => return [SEEK, SEEK_VS_LIBTORRENT].iter().for_each(|figure| results.skip(figure, &reason)),
    };
    let clients = [
        Client {
            name: "ours",
            wanted: true,
            run: &|round| stream::ours(plan, &swarm, &stream::seeks(plan, round), UTP.ours),
        },
        Client {
            name: "libtorrent",
            wanted: results.wants(&SEEK_VS_LIBTORRENT),
            run: &|round| stream::seek_libtorrent(plan, &swarm, "deadlines", round, UTP.libtorrent),
        },
    ];
    let [ours, libtorrent] = take_turns(0..=plan.pairs, &clients, stream::tell);
    ratio(results, &SEEK_VS_LIBTORRENT, &ours, &libtorrent, Run::seek);
    results.put_or_skip(&SEEK, ours.map(|ours| stream::over_ideal(plan, SEEK_PIECE, &ours)));
}
