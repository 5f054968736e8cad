//! One gigabyte from one peer: ours into bounded RAM, read by one reader, beside libtorrent, librqbit and the floor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elementum_bench::content::Content;

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::program::Measured;
use crate::results::{Figure, Results};
use crate::rounds::{Client, Runs, ratio, take_turns, with_written_data};
use crate::seeders::{CONTENT_SEED, Seeder, python, torrent};

const PIECE_LENGTH: u64 = 1 << 20;

/// What ours is set against in one swarm.
struct Figures {
    wall_vs_libtorrent: Figure,
    cpu_vs_libtorrent: Figure,
    wall_vs_librqbit: Figure,
    cpu_vs_librqbit: Figure,
    /// The floor speaks with the plain seeder only: it wants blocks in the order of its requests.
    cpu_vs_floor: Option<Figure>,
}

const LIBTORRENT: &str = "libtorrent 2.1.1 to tmpfs";
const LIBRQBIT: &str = "librqbit 9.1 to tmpfs";

const PLAIN: Figures = Figures {
    wall_vs_libtorrent: Figure::new("download.ram.wall_vs_libtorrent", 0.55, "ratio", LIBTORRENT),
    cpu_vs_libtorrent: Figure::new("download.ram.cpu_vs_libtorrent", 0.5, "ratio", LIBTORRENT),
    wall_vs_librqbit: Figure::new("download.ram.wall_vs_librqbit", 0.4, "ratio", LIBRQBIT),
    cpu_vs_librqbit: Figure::new("download.ram.cpu_vs_librqbit", 0.35, "ratio", LIBRQBIT),
    cpu_vs_floor: Some(Figure::new("download.ram.cpu_vs_floor", 1.15, "ratio", "receive+SHA-1 loop")),
};
const FROM_LIBTORRENT: Figures = Figures {
    wall_vs_libtorrent: Figure::new("download.ram.from_libtorrent.wall_vs_libtorrent", 0.8, "ratio", LIBTORRENT),
    cpu_vs_libtorrent: Figure::new("download.ram.from_libtorrent.cpu_vs_libtorrent", 0.7, "ratio", LIBTORRENT),
    wall_vs_librqbit: Figure::new("download.ram.from_libtorrent.wall_vs_librqbit", 0.4, "ratio", LIBRQBIT),
    cpu_vs_librqbit: Figure::new("download.ram.from_libtorrent.cpu_vs_librqbit", 0.35, "ratio", LIBRQBIT),
    cpu_vs_floor: None,
};
const PEAK: Figure = Figure::new("memory.peak_over_limit", 1.0, "ratio", "memory_limit of 64 MiB");
const CONSTANT: Figure = Figure::stated("memory.rss_constant_mib", "MiB", "peak RSS - memory_limit, 1 GiB streamed");

impl Figures {
    fn all(&self) -> impl Iterator<Item = &Figure> {
        [&self.wall_vs_libtorrent, &self.cpu_vs_libtorrent, &self.wall_vs_librqbit, &self.cpu_vs_librqbit]
            .into_iter()
            .chain(&self.cpu_vs_floor)
    }
}

pub fn measure(plan: &Plan, results: &mut Results) {
    let plain = PLAIN.all().chain([&PEAK, &CONSTANT]).any(|figure| results.wants(figure));
    let from_libtorrent = FROM_LIBTORRENT.all().any(|figure| results.wants(figure));
    if !plain && !from_libtorrent {
        return;
    }
    let seeder = match Seeder::plain(plan, PIECE_LENGTH, from_libtorrent) {
        Ok(seeder) => seeder,
        Err(reason) => {
            let all = PLAIN.all().chain(FROM_LIBTORRENT.all()).chain([&PEAK, &CONSTANT]);
            return all.for_each(|figure| results.skip(figure, &reason));
        }
    };
    if plain {
        compare(plan, &seeder, &PLAIN, results);
    }
    if from_libtorrent {
        match Seeder::libtorrent(plan) {
            Ok(seeder) => compare(plan, &seeder, &FROM_LIBTORRENT, results),
            Err(reason) => FROM_LIBTORRENT.all().for_each(|figure| results.skip(figure, &reason)),
        }
    }
}

fn compare(plan: &Plan, seeder: &Seeder, figures: &Figures, results: &mut Results) {
    let peer = &seeder.address.to_string();
    let clients = [
        Client { name: "ours", wanted: true, run: &|_| ours(plan, peer, plan.size, &[torrent(plan)], "") },
        Client { name: "libtorrent", wanted: true, run: &|_| libtorrent(plan, peer, &[]) },
        Client { name: "librqbit", wanted: true, run: &|_| librqbit(plan, peer) },
        Client { name: "floor", wanted: figures.cpu_vs_floor.is_some(), run: &|_| floor(plan, peer) },
    ];
    let [ours, libtorrent, librqbit, floor] = take_turns(0..=plan.pairs, &clients, report);
    ratio(results, &figures.wall_vs_libtorrent, &ours, &libtorrent, Measured::wall);
    ratio(results, &figures.cpu_vs_libtorrent, &ours, &libtorrent, Measured::cpu);
    ratio(results, &figures.wall_vs_librqbit, &ours, &librqbit, Measured::wall);
    ratio(results, &figures.cpu_vs_librqbit, &ours, &librqbit, Measured::cpu);
    if let Some(figure) = &figures.cpu_vs_floor {
        ratio(results, figure, &ours, &floor, Measured::cpu);
        stated(results, &PEAK, &ours, |run| Ok(run.number("storage_peak")? / MEMORY_LIMIT as f64));
        stated(results, &CONSTANT, &ours, |run| {
            Ok((run.number("rss_peak_kib")? * 1024.0 - MEMORY_LIMIT as f64) / (1 << 20) as f64)
        });
    }
}

pub fn report(name: &str, round: usize, measured: &Measured) {
    let round = if round == 0 { "warm-up".to_owned() } else { format!("round {round}") };
    if let (Ok(wall), Ok(cpu)) = (measured.wall(), measured.cpu()) {
        eprintln!("{round:8} {name:10} {wall:6.2} s wall {cpu:6.2} s CPU");
    }
}

fn stated(
    results: &mut Results,
    figure: &Figure,
    ours: &Runs<Measured>,
    of: impl Fn(&Measured) -> Result<f64, String>,
) {
    results.put_or_skip(figure, ours.as_ref().map_err(Clone::clone).and_then(|runs| runs.iter().map(of).collect()));
}

/// Streams torrents of so many bytes each, all at once. `peers`: addresses with commas between them. `settings`: what else is set, likewise.
pub fn ours(plan: &Plan, peers: &str, size: u64, torrents: &[PathBuf], settings: &str) -> Result<Measured, String> {
    let mut command = c_program(plan, "download")?;
    command.args([&CONTENT_SEED.to_string(), &size.to_string(), &MEMORY_LIMIT.to_string(), peers]).args(torrents);
    command.env("BENCH_SETTINGS", settings);
    let measured = Measured::run("ours", &mut command)?;
    // The program stops at the first wrong byte; this is for one that would stop without a word.
    if measured.number("verified_bytes")? != (size * torrents.len() as u64) as f64 {
        return Err("not every byte was compared".to_owned());
    }
    Ok(measured)
}

/// libtorrent, with other settings than the script's.
pub fn libtorrent(plan: &Plan, peer: &str, settings: &[&str]) -> Result<Measured, String> {
    let mut command = Command::new(python()?);
    command.arg("benches/peers/libtorrent_leech.py").args(["--peer", peer]);
    command.args(settings.iter().flat_map(|setting| ["--setting", setting]));
    to_files(plan, "libtorrent", command.arg("--torrent").arg(torrent(plan)))
}

fn librqbit(plan: &Plan, peer: &str) -> Result<Measured, String> {
    let mut command = Command::new(plan.target.join("release/rqbit-peer"));
    command.args(["leech", "--measure", "--peer", peer]);
    to_files(plan, "librqbit", command.arg("--torrent").arg(torrent(plan)))
}

fn floor(plan: &Plan, peer: &str) -> Result<Measured, String> {
    // It compares the hash of every piece with the torrent's, which the seeder made from the source.
    let mut command = Command::new(plan.target.join("release/floor"));
    Measured::run("floor", command.args(["--peer", peer]).arg("--torrent").arg(torrent(plan)))
}

/// Runs a client that writes files, over one that was written before, and compares what it wrote.
fn to_files(plan: &Plan, name: &str, command: &mut Command) -> Result<Measured, String> {
    with_written_data(plan, |data| {
        let measured = Measured::run(name, command.arg("--data").arg(data))?;
        match is_content(&data.join("content.bin"), plan.size) {
            Ok(true) => Ok(measured),
            _ => Err(format!("{name} wrote other bytes")),
        }
    })
}

fn is_content(path: &Path, size: u64) -> std::io::Result<bool> {
    use std::io::Read;
    let content = Content::new(CONTENT_SEED, size);
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < size {
        let part = &mut buffer[..(size - offset).min(1 << 20) as usize];
        file.read_exact(part)?;
        if !content.matches(offset, part) {
            return Ok(false);
        }
        offset += part.len() as u64;
    }
    Ok(file.read(&mut [0])? == 0)
}
