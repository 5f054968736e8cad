//! What it costs to meet a peer that takes encrypted connections only, and is not known for it: ours, with default settings.
//!
//! A relay's TCP connections stand at once, and acknowledge at once: what a further one costs on a network, and that libtorrent holds its
//! second small message back until the first is acknowledged, shows by uTP only.

use elementum_bench::link::{Road, Shape, TcpLink, UdpLink};

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::program::Measured;
use crate::results::{Figure, Results};
use crate::rounds::{Client, Runs, take_turns};
use crate::seeders::{CONTENT_SEED, Seeder, torrent};
use crate::swarm::{RATE, ROUND_TRIP, check_emulator};
use crate::ways::UTP;

const PLAIN: &str = "the same from a peer that takes plain connections";
const BY_TCP: Figure = Figure::new("mse.first_byte_ms", 2.0, "round trips", PLAIN);
const BY_UTP: Figure = Figure::stated("mse.first_byte_utp_ms", "round trips", PLAIN);

const BYTES: u64 = 1 << 20;
/// The first piece is the first block.
const PIECE_LENGTH: u64 = 16 << 10;
/// Runs take a moment, and differ by as much as the system is late.
const RUNS_A_PAIR: usize = 3;

pub fn measure(plan: &Plan, results: &mut Results) {
    for (figure, transport, settings) in [(&BY_TCP, "tcp", ""), (&BY_UTP, "utp", UTP.ours)] {
        if results.wants(figure) {
            results.put_or_skip(figure, round_trips(&plan.smaller(BYTES), transport, settings));
        }
    }
}

/// The round trips by which the first block from an encrypted peer is later, of each pair.
fn round_trips(plan: &Plan, transport: &str, settings: &str) -> Result<Vec<f64>, String> {
    check_emulator()?;
    Seeder::plain(plan, PIECE_LENGTH, true)?;
    let behind_link = |encryption| {
        let seeder = Seeder::libtorrent_by(plan, &["--transport", transport, "--encryption", encryption])?;
        let (shape, road) = (Shape { delay: ROUND_TRIP / 2, ..Shape::default() }, || Road::new(RATE));
        let (tcp, udp) = if transport == "tcp" {
            (Some(TcpLink::open(seeder.address, shape, &road(), &road())), None)
        } else {
            (None, Some(UdpLink::open(seeder.address, shape, &road(), &road())))
        };
        let (tcp, udp) = (tcp.transpose(), udp.transpose());
        let (tcp, udp) = (tcp.map_err(|error| error.to_string())?, udp.map_err(|error| error.to_string())?);
        let address = tcp.as_ref().map(TcpLink::address).or(udp.as_ref().map(UdpLink::address)).ok_or("no link")?;
        Ok::<_, String>((address.to_string(), seeder, tcp, udp))
    };
    let (encrypted, plain) = (behind_link("rc4")?, behind_link("plain")?);
    let clients = [
        Client { name: "encrypted", wanted: true, run: &|_| first_ms(plan, &encrypted.0, settings) },
        Client { name: "plain", wanted: true, run: &|_| first_ms(plan, &plain.0, settings) },
    ];
    let [encrypted, plain]: [Runs<f64>; 2] = take_turns(0..=plan.pairs * RUNS_A_PAIR, &clients, |name, round, ms| {
        eprintln!("round {round} {transport} {name:10} {ms:8.1} ms to the first block");
    });
    let trip = ROUND_TRIP.as_secs_f64() * 1e3;
    Ok(encrypted?.iter().zip(plain?).map(|(encrypted, plain)| (encrypted - plain) / trip).collect())
}

/// From the adding to the first block.
fn first_ms(plan: &Plan, peer: &str, settings: &str) -> Result<f64, String> {
    let mut command = c_program(plan, "stream")?;
    command.arg(torrent(plan)).args([CONTENT_SEED, PIECE_LENGTH, MEMORY_LIMIT].map(|number| number.to_string()));
    command.env("BENCH_SETTINGS", settings);
    Measured::run("ours", command.args(["", peer]))?.number("first_ms")
}
