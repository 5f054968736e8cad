//! How long a read that waits takes to return, once its block has arrived. A seeder in this process holds back the last block of each
//! piece until the reader must be waiting for it, and notes the time when it writes it; the reader, a C program, notes when its
//! read has returned.
//!
//! What lies between the two: the seeder's `write` of 16 KiB and loopback, the kernel's waking of the library's thread, the receiving and
//! hashing of this one block (the others of the piece are hashed by then), the waking of the reader's thread, and the copy of the
//! piece, 256 KiB, into the caller's buffer. Most of it is the machine's: the same is done without the library (`wake-floor`), in turn.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use elementum_bench::content::{BLOCK, Content};
use elementum_bench::torrent::Torrent;
use elementum_bench::usage::nanoseconds;
use elementum_bench::wire;

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::machine::eventfd_wakes;
use crate::program::Measured;
use crate::results::{Figure, Results, quantile};
use crate::seeders::{CONTENT_SEED, torrent};

const WAKE: Figure = Figure::stated("stream.wake_p99_us", "us", "the block's writing by its seeder");
const FLOOR: Figure = Figure::stated("stream.wake_floor_p99_us", "us", "the same without the library");
const OVER_EVENTFD: Figure =
    Figure::stated("stream.wake_vs_eventfd", "ratio", "an eventfd's wake-up in the same run, both 99th percentiles");
const OVER_FLOOR: Figure =
    Figure::new("stream.wake_vs_floor", MOST_FLOORS, "ratio", "the same without the library, both medians");
/// What the library does beside the floor's work: it finds out whose piece is whole, and wakes one thread more. It was 1.5 times where this was
/// written; what is left is for machines on which a wake-up is dearer.
const MOST_FLOORS: f64 = 2.0;

const PIECE_LENGTH: u32 = 256 << 10;
/// As many samples a run, besides those that fill memory: a page's first use is the machine's work, not the reader's.
const PIECES: u64 = 1472;
const FILLING: usize = (MEMORY_LIMIT / PIECE_LENGTH as u64) as usize;
const LEAST_SAMPLES: usize = 1000;
/// How long the last block of a piece is held back: the reader has read the piece before by then, and the blocks before it are hashed, which
/// wait 10 ms for company.
const HELD: Duration = Duration::from_millis(12);

/// A sleeping thread is tried with naps like this one.
const NAP: Duration = Duration::from_millis(2);
/// On a quiet machine a thread that sleeps wakes up this soon after its time, 99 times of 100.
const QUIET: Duration = Duration::from_micros(500);
const NAPS: usize = 500;

pub fn measure(plan: &Plan, results: &mut Results) {
    if ![WAKE, FLOOR, OVER_EVENTFD, OVER_FLOOR].iter().any(|figure| results.wants(figure)) {
        return;
    }
    let content = Content::new(CONTENT_SEED, PIECES * u64::from(PIECE_LENGTH));
    let source = Torrent::of(&content, "content.bin", PIECE_LENGTH);
    // The first run is the warm-up.
    let written = || std::fs::write(torrent(plan), source.encode()).map_err(|error| error.to_string());
    let runs: Result<Vec<Run>, String> = quiet()
        .and_then(|()| written())
        .and_then(|()| (0..=plan.pairs).map(|n| run(plan, &content, &source, n % 2 == 0)).collect());
    let of = |value: fn(&Run) -> f64| runs.clone().map(|runs| runs[1..].iter().map(value).collect());
    results.put_or_skip(&WAKE, of(|run| run.ours.tail));
    results.put_or_skip(&OVER_EVENTFD, of(|run| run.ours.tail / run.eventfd));
    results.put_or_skip(&OVER_FLOOR, of(|run| run.ours.middle / run.floor.middle));
    results.put_or_skip(&FLOOR, of(|run| run.floor.tail));
}

/// Microseconds.
#[derive(Clone)]
struct Run {
    eventfd: f64,
    ours: Wakes,
    floor: Wakes,
}

/// The median, and the 99th percentile.
#[derive(Clone)]
struct Wakes {
    middle: f64,
    tail: f64,
}

/// When the reads of each piece were called and when they returned.
struct Times {
    called: Vec<f64>,
    returned: Vec<f64>,
}

impl Times {
    fn of(name: &str, command: &mut Command) -> Result<Self, String> {
        let measured = Measured::run(name, command)?;
        Ok(Self { called: measured.numbers("called_ns")?, returned: measured.numbers("returned_ns")? })
    }
}

/// Each is the first in every other run.
fn run(plan: &Plan, content: &Content, source: &Torrent, ours_first: bool) -> Result<Run, String> {
    let ours = || wakes("ours", content, source, |address| library(plan, address));
    let floor = || wakes("floor", content, source, |address| without(plan, address));
    let eventfd = eventfd_wake()?;
    let (ours, floor) = if ours_first {
        let ours = ours()?;
        (ours, floor()?)
    } else {
        let floor = floor()?;
        (ours()?, floor)
    };
    Ok(Run { eventfd, ours, floor })
}

/// Microseconds, the 99th percentile.
fn eventfd_wake() -> Result<f64, String> {
    let wake = quantile(&eventfd_wakes(LEAST_SAMPLES), 0.99).ok_or("no eventfd")?;
    eprintln!("an eventfd wakes a thread, 99th percentile {wake:.0} us");
    Ok(wake)
}

/// A machine on which sleeping threads wake up late says nothing about readers.
fn quiet() -> Result<(), String> {
    let late: Vec<f64> = (0..NAPS)
        .map(|_| {
            let until = Instant::now() + NAP;
            thread::sleep(NAP);
            until.elapsed().as_secs_f64()
        })
        .collect();
    let late = Duration::from_secs_f64(quantile(&late, 0.99).unwrap_or(f64::MAX));
    if late <= QUIET { Ok(()) } else { Err(format!("threads wake up {late:.1?} late: the machine is too busy")) }
}

/// A program of the library that reads all.
fn library(plan: &Plan, address: SocketAddr) -> Result<Times, String> {
    let mut command = c_program(plan, "wake")?;
    command.arg(torrent(plan));
    command.args([CONTENT_SEED.to_string(), PIECE_LENGTH.to_string(), MEMORY_LIMIT.to_string(), address.to_string()]);
    Times::of("wake", &mut command)
}

/// The same without it.
fn without(plan: &Plan, address: SocketAddr) -> Result<Times, String> {
    let mut command = Command::new(plan.target.join("release/wake-floor"));
    command.arg("--torrent").arg(torrent(plan)).args(["--peer", &address.to_string()]);
    command.args(["--seed", &CONTENT_SEED.to_string(), "--memory", &MEMORY_LIMIT.to_string()]);
    Times::of("wake-floor", &mut command)
}

/// How long the reads of `client` took to wake, which is given a seeder's address.
fn wakes(
    name: &str,
    content: &Content,
    source: &Torrent,
    client: impl FnOnce(SocketAddr) -> Result<Times, String>,
) -> Result<Wakes, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (written, times) = thread::scope(|scope| {
        let seeder = scope.spawn(|| {
            let mut written = vec![f64::NAN; source.num_pieces() as usize];
            // It ends when the reader hangs up.
            let _ = listener.accept().and_then(|(stream, _)| serve(stream, content, source, &mut written));
            written
        });
        let times = client(address);
        // A reader that never came leaves nobody to accept.
        let _ = TcpStream::connect(address);
        Ok::<_, String>((seeder.join().map_err(|_| "the seeder failed")?, times?))
    })?;
    let waits: Vec<f64> = written
        .iter()
        .zip(times.called.iter().zip(&times.returned))
        .skip(FILLING)
        .filter(|(written, (called, _))| called < written)
        .map(|(written, (_, returned))| (returned - written) / 1e3)
        .collect();
    if waits.len() < LEAST_SAMPLES {
        return Err(format!("only {} of {PIECES} reads waited for their piece", waits.len()));
    }
    let tail = quantile(&waits, 0.99).ok_or("no reads")?;
    let middle = quantile(&waits, 0.5).ok_or("no reads")?;
    eprintln!("{name:5} {} reads woken, median {middle:.0} us, 99th percentile {tail:.0} us", waits.len());
    Ok(Wakes { middle, tail })
}

/// Answers requests in their order, one block a write. `written`: when the last block of each piece began to be written,
/// nanoseconds of the clock that the reader reads, too.
fn serve(mut stream: TcpStream, content: &Content, torrent: &Torrent, written: &mut [f64]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    requests.read_exact(&mut [0; wire::HANDSHAKE_LEN])?;
    let mut greeting = wire::handshake(0, &torrent.info_hash, b"-WK0001-wakewakewake").to_vec();
    // Whole bytes: the number of pieces is a multiple of 8.
    wire::message(wire::BITFIELD, &vec![0xff; torrent.num_pieces() as usize / 8], &mut greeting);
    wire::message(wire::UNCHOKE, &[], &mut greeting);
    stream.write_all(&greeting)?;

    let mut blocks_left = vec![torrent.piece_length as usize / BLOCK; torrent.num_pieces() as usize];
    let mut message = Vec::new();
    loop {
        let mut length = [0; 4];
        requests.read_exact(&mut length)?;
        message.resize(u32::from_be_bytes(length) as usize, 0);
        requests.read_exact(&mut message)?;
        if message.first() != Some(&wire::REQUEST) {
            continue;
        }
        let [piece, begin, length] = [1, 5, 9].map(|at| wire::be32(&message, at).unwrap_or(u32::MAX));
        let (Some(left), true) = (blocks_left.get_mut(piece as usize), length as usize == BLOCK) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut answer = wire::piece_header(piece, begin, length).to_vec();
        answer.resize(13 + BLOCK, 0);
        content.read(u64::from(piece) * u64::from(torrent.piece_length) + u64::from(begin), &mut answer[13..]);
        *left = left.saturating_sub(1);
        if *left == 0 {
            thread::sleep(HELD);
            written[piece as usize] = nanoseconds()? as f64;
        }
        stream.write_all(&answer)?;
    }
}
