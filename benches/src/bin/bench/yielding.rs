//! What a TCP download keeps of a line beside an upload of ours by uTP: both stand in one queue, of 100 ms, and TCP is Reno.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use elementum_bench::link::{Road, Shape, TcpLink, UdpLink};

use crate::Plan;
use crate::program::Program;
use crate::results::{Figure, Results};
use crate::rounds::{Client, ratio, take_turns, with_data};
use crate::seeders::{Seeder, python, torrent};
use crate::swarm::{RATE, ROUND_TRIP, check_emulator};
use crate::ways::{UTP, ours_seeds};

const ALONE: &str = "the TCP download alone";
const YIELD: Figure = Figure::at_least("utp.yield", 0.8, "ratio", ALONE);
/// It finds the queue never empty, and may take what stands there for a part of the path.
const YIELD_LATE: Figure = Figure::stated("utp.yield_begun_later", "ratio", ALONE);
/// What ours takes of the line when nobody else is there: who never sends yields, too.
const UPLOAD: Figure = Figure::stated("utp.upload_alone", "ratio", "the line's rate");
const FIGURES: [&Figure; 3] = [&YIELD, &YIELD_LATE, &UPLOAD];

const SEEDED: u64 = 512 << 20;
const PIECE_LENGTH: u64 = 1 << 20;
const DOWNLOAD: usize = 96 << 20;
/// How long the upload runs before the download begins, and how much of that tells its rate.
const SETTLES: Duration = Duration::from_secs(4);
const RATE_OF: Duration = Duration::from_secs(2);
/// How long the download runs before an upload that begins later.
const LATER: Duration = Duration::from_secs(2);
/// An upload that takes less of an empty line is none.
const LEAST_UPLOAD: f64 = 0.5;
const SHAPE: Shape = Shape { delay: Duration::from_millis(15), rate: 0, loss_ppm: 0, pauses: None, fills_queue: true };

/// What one run came to.
#[derive(Default)]
struct Run {
    /// Of the line, the download's rate and, before it began, the upload's.
    download: f64,
    upload: f64,
}

pub fn measure(plan: &Plan, results: &mut Results) {
    if !FIGURES.iter().any(|figure| results.wants(figure)) {
        return;
    }
    debug_assert_eq!(SHAPE.delay * 2, ROUND_TRIP);
    let plan = &plan.smaller(SEEDED);
    let seeder = check_emulator()
        .and_then(|()| Seeder::plain(plan, PIECE_LENGTH, true))
        .and_then(|_| ours_seeds(plan, UTP.ours));
    let seeder = match seeder {
        Ok(seeder) => seeder,
        Err(reason) => return FIGURES.iter().for_each(|figure| results.skip(figure, &reason)),
    };
    let clients = [
        Client { name: "alone", wanted: true, run: &|_| alone() },
        Client { name: "beside ours", wanted: true, run: &|_| beside(plan, &seeder) },
        Client { name: "ours later", wanted: results.wants(&YIELD_LATE), run: &|_| with_later_upload(plan, &seeder) },
    ];
    let [alone, beside, later] = take_turns(0..=plan.pairs, &clients, |name, round, run: &Run| {
        eprintln!("round {round} {name:11} TCP {:.3} of the line, ours before it {:.3}", run.download, run.upload);
    });
    let download = |run: &Run| Ok(run.download);
    ratio(results, &YIELD, &beside, &alone, download);
    ratio(results, &YIELD_LATE, &later, &alone, download);
    results.put_or_skip(&UPLOAD, beside.map(|runs| runs.iter().map(|run| run.upload).collect()));
}

/// One line, for both.
fn line() -> (Road, Road) {
    (Road::new(RATE), Road::new(RATE))
}

fn alone() -> Result<Run, String> {
    let download = download(&line()).map_err(|error| error.to_string())?;
    Ok(Run { download, ..Run::default() })
}

fn beside(plan: &Plan, seeder: &Seeder) -> Result<Run, String> {
    with_data(plan, |data| {
        let line = line();
        let link = UdpLink::open(seeder.address, SHAPE, &line.0, &line.1).map_err(|error| error.to_string())?;
        let _leecher = leecher(plan, data, &link)?;
        thread::sleep(SETTLES);
        let (before, began) = (link.carried(), Instant::now());
        thread::sleep(RATE_OF);
        let upload = (link.carried() - before) as f64 / began.elapsed().as_secs_f64() / RATE as f64;
        if upload < LEAST_UPLOAD {
            return Err(format!("the upload took {upload:.2} of the empty line only"));
        }
        let download = download(&line).map_err(|error| error.to_string())?;
        Ok(Run { download, upload })
    })
}

fn with_later_upload(plan: &Plan, seeder: &Seeder) -> Result<Run, String> {
    with_data(plan, |data| {
        let line = line();
        let link = UdpLink::open(seeder.address, SHAPE, &line.0, &line.1).map_err(|error| error.to_string())?;
        thread::scope(|scope| {
            let downloads = scope.spawn(|| download(&line));
            thread::sleep(LATER);
            let _leecher = leecher(plan, data, &link)?;
            let outcome = downloads.join().map_err(|_| "the download's thread panicked")?;
            Ok(Run { download: outcome.map_err(|error| error.to_string())?, ..Run::default() })
        })
    })
}

/// A libtorrent that downloads from ours by uTP, until it is dropped.
fn leecher(plan: &Plan, data: &std::path::Path, link: &UdpLink) -> Result<Program, String> {
    let mut command = Command::new(python()?);
    command.args(["tests/peers/lt_peer.py", "leech", "--transport", "utp", "--peer", &link.address().to_string()]);
    Program::start("libtorrent leeching", command.arg("--torrent").arg(torrent(plan)).arg("--data").arg(data))
}

/// A TCP download over the line: its rate, of the line's.
fn download(line: &(Road, Road)) -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let link = TcpLink::open(listener.local_addr()?, SHAPE, &line.0, &line.1)?;
    let mut client = TcpStream::connect(link.address())?;
    let mut server = listener.accept()?.0;
    let sends = thread::spawn(move || server.write_all(&vec![7; DOWNLOAD]));
    client.read_exact(&mut [0])?;
    let began = Instant::now();
    let (mut left, mut buffer) = (DOWNLOAD - 1, vec![0; 1 << 16]);
    while left > 0 {
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read,
        }
    }
    let took = began.elapsed().as_secs_f64();
    sends.join().map_err(|_| io::Error::other("the sender's thread panicked"))??;
    Ok((DOWNLOAD - 1) as f64 / took / RATE as f64)
}
