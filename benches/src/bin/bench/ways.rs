//! The ways to a peer: uTP and encryption, beside libtorrent by the same way.

use std::process::Command;

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::download::{libtorrent, ours, report};
use crate::program::Measured;
use crate::results::{Figure, Results};
use crate::rounds::{Client, ratio, take_turns};
use crate::seeders::{Seeder, torrent};

const LIBTORRENT: &str = "libtorrent 2.1.1 to tmpfs, by the same way";
const UTP_WALL: Figure = Figure::new("utp.wall_vs_libtorrent", 0.8, "ratio", LIBTORRENT);
const UTP_CPU: Figure = Figure::new("utp.cpu_vs_libtorrent", 0.4, "ratio", LIBTORRENT);
const MSE_CPU: Figure = Figure::new("mse.cpu_vs_libtorrent", 0.6, "ratio", LIBTORRENT);
const SELF: Figure = Figure::new("utp.self_wall_vs_tcp", 3.0, "ratio", "ours to ours by TCP");
const REACH: Figure =
    Figure::new("reach.default_libtorrent_vs_itself", 1.1, "ratio", "default libtorrent from libtorrent, 64 MiB");

const PIECE_LENGTH: u64 = 1 << 20;
const REACH_BYTES: u64 = 64 << 20;

/// One way, as ours and libtorrent are told to go it.
pub struct Way {
    pub ours: &'static str,
    pub libtorrent: &'static [&'static str],
}

const TCP: Way = Way { ours: "enable_incoming_utp=false,enable_outgoing_utp=false", libtorrent: &[] };
pub const UTP: Way = Way {
    ours: "enable_incoming_tcp=false,enable_outgoing_tcp=false",
    libtorrent: &["enable_outgoing_utp=true", "enable_outgoing_tcp=false"],
};
const RC4: Way = Way {
    ours: "out_enc_policy=0,allowed_enc_level=2,enable_outgoing_utp=false",
    libtorrent: &["out_enc_policy=0", "allowed_enc_level=2"],
};

pub fn measure(plan: &Plan, results: &mut Results) {
    from_libtorrent(
        plan,
        results,
        &["--transport", "utp"],
        &UTP,
        &[(&UTP_WALL, Measured::wall), (&UTP_CPU, Measured::cpu)],
    );
    from_libtorrent(plan, results, &["--encryption", "rc4"], &RC4, &[(&MSE_CPU, Measured::cpu)]);
    to_ourselves(plan, results);
    reach(plan, results);
}

type Of = fn(&Measured) -> Result<f64, String>;

/// Ours and libtorrent download from a libtorrent that takes one way only.
fn from_libtorrent(plan: &Plan, results: &mut Results, seeder: &[&str], way: &Way, figures: &[(&Figure, Of)]) {
    if !figures.iter().any(|(figure, _)| results.wants(figure)) {
        return;
    }
    let seeder = match Seeder::plain(plan, PIECE_LENGTH, true).and_then(|_| Seeder::libtorrent_by(plan, seeder)) {
        Ok(seeder) => seeder,
        Err(reason) => return figures.iter().for_each(|(figure, _)| results.skip(figure, &reason)),
    };
    let peer = &seeder.address.to_string();
    let clients = [
        Client { name: "ours", wanted: true, run: &|_| ours(plan, peer, plan.size, &[torrent(plan)], way.ours) },
        Client { name: "libtorrent", wanted: true, run: &|_| libtorrent(plan, peer, way.libtorrent) },
    ];
    let [ours, libtorrent] = take_turns(0..=plan.pairs, &clients, report);
    figures.iter().for_each(|(figure, of)| ratio(results, figure, &ours, &libtorrent, of));
}

/// Ours from ours, by uTP and by TCP.
fn to_ourselves(plan: &Plan, results: &mut Results) {
    if !results.wants(&SELF) {
        return;
    }
    let seeder = match Seeder::plain(plan, PIECE_LENGTH, true).and_then(|_| ours_seeds(plan, "")) {
        Ok(seeder) => seeder,
        Err(reason) => return results.skip(&SELF, &reason),
    };
    let peer = &seeder.address.to_string();
    let by = |way: &Way| ours(plan, peer, plan.size, &[torrent(plan)], way.ours);
    let clients = [
        Client { name: "by uTP", wanted: true, run: &|_| by(&UTP) },
        Client { name: "by TCP", wanted: true, run: &|_| by(&TCP) },
    ];
    let [utp, tcp] = take_turns(0..=plan.pairs, &clients, report);
    ratio(results, &SELF, &utp, &tcp, Measured::wall);
}

/// A libtorrent as it comes, from ours and from one of its own.
fn reach(plan: &Plan, results: &mut Results) {
    if !results.wants(&REACH) {
        return;
    }
    let small = plan.smaller(REACH_BYTES);
    let seeders = Seeder::plain(&small, PIECE_LENGTH, true)
        .and_then(|_| Ok((ours_seeds(&small, "")?, Seeder::libtorrent_by(&small, &["--transport", "both"])?)));
    let (ours, theirs) = match seeders {
        Ok(seeders) => seeders,
        Err(reason) => return results.skip(&REACH, &reason),
    };
    let usual = &["enable_outgoing_utp=true", "enable_incoming_utp=true", "out_enc_policy=1", "in_enc_policy=1"];
    let from = |seeder: &Seeder| libtorrent(&small, &seeder.address.to_string(), usual);
    let clients = [
        Client { name: "from ours", wanted: true, run: &|_| from(&ours) },
        Client { name: "from its own", wanted: true, run: &|_| from(&theirs) },
    ];
    let [ours, theirs] = take_turns(0..=plan.pairs, &clients, report);
    ratio(results, &REACH, &ours, &theirs, Measured::wall);
}

/// Ours, seeding what lies in a directory. `settings`: what else is set.
pub fn ours_seeds(plan: &Plan, settings: &str) -> Result<Seeder, String> {
    let mut command: Command = c_program(plan, "seed")?;
    command.env("BENCH_SETTINGS", settings);
    Seeder::start("ours seeding", command.arg(MEMORY_LIMIT.to_string()).arg(torrent(plan)).arg(&plan.scratch))
}
