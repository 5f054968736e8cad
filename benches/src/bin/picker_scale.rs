//! What the engine costs a block, for callgrind: so many pieces, so many peers, in process and on virtual time. All peers together bring the
//! same bytes a second, so a block takes the same time in every swarm. What is counted passes through `counted`, and nothing else does.
//!
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*counted*' picker-scale --pieces 1000 --peers 5 --mode stream`
//!
//! It prints how many blocks were counted. Hashing, the peers and the decoding of what they are told are left out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use elementum_bench::args::{Args, end};
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::cache::share::Shares;
use elementum_torrent::engine::config::{StorageKind, TorrentConfig};
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::engine::output::DiskJob;
use elementum_torrent::engine::readers::ReadOutcome;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::memory::credits::Credits;
use elementum_torrent::memory::pool::{BLOCK_SIZE, Pool};
use elementum_torrent::metainfo::Sha1Hash;
use elementum_torrent::metainfo::create::Create;
use elementum_torrent::settings::Settings;
use elementum_torrent::wire::{BlockRequest, Decoder, DecoderLimits, Handshake, Message, Received, StreamKind};

const USAGE: &str = "picker-scale --pieces N --peers N --mode stream|download [--rate BYTES (a second, of all peers)] \
     [--memory BYTES] [--warm-up BLOCKS] [--blocks N (to count)] [--play BYTES (a second that the reader takes; 0: what comes)]";

const PIECE_LENGTH: u32 = 256 << 10;
const READER: ReaderId = ReaderId(1);
const READ: usize = 256 << 10;
/// From a request to the first byte of its answer.
const ROUND_TRIP: Duration = Duration::from_millis(30);
/// A player that finds nothing to read tries again then, or when something came.
const PATIENCE: Duration = Duration::from_secs(1);

/// Not inlined: callgrind would not see it.
#[inline(never)]
fn counted<R>(work: impl FnOnce() -> R) -> R {
    work()
}

struct Seeder {
    key: PeerKey,
    credits: Arc<Credits>,
    decoder: Decoder,
    /// What it was asked for, and when it could begin to answer. The first is on its way.
    asked: VecDeque<(Time, BlockRequest)>,
}

/// What happens next in the swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Block { seeder: usize },
    Player,
}

/// How long a seeder takes for the answer.
fn takes(request: &BlockRequest, nanos_a_byte: u64) -> Duration {
    Duration::from_nanos(u64::from(request.length) * nanos_a_byte)
}

/// The torrent, and all that is around it.
struct Swarm {
    torrent: Torrent,
    seeders: Vec<Seeder>,
    events: BinaryHeap<Reverse<(Time, Event)>>,
    now: Time,
    timer: Time,
    counting: bool,
    blocks: u64,
    cancels: u64,
    /// How long a seeder takes for a byte.
    nanos_a_byte: u64,
    /// How long a player takes for it; 0: it takes what comes.
    play_nanos_a_byte: u64,
}

impl Swarm {
    fn new(args: &Args) -> Result<Self, String> {
        let pieces: u64 = args.required("pieces")?.parse().map_err(|_| "--pieces is a number")?;
        let peers: u64 = args.required("peers")?.parse().map_err(|_| "--peers is a number")?;
        let storage = match args.required("mode")? {
            "stream" => StorageKind::Memory,
            "download" => StorageKind::Disk,
            other => return Err(format!("no mode {other}")),
        };
        let hash = Sha1Hash::of(&vec![0; PIECE_LENGTH as usize]).0.repeat(pieces as usize);
        let create = Create::single("zeros", pieces * u64::from(PIECE_LENGTH), PIECE_LENGTH);
        let info = create.v1(hash).map_err(|error| error.to_string())?.info;
        let config = TorrentConfig {
            storage,
            max_connections: u32::try_from(peers).map_err(|_| "too many peers")?,
            peer_id: [1; 20],
            ..TorrentConfig::of(&info)
        };
        let now = Time::from_millis(1000);
        let memory = Pool::new(args.number("memory", 64u64 << 20)?);
        let shares = Arc::new(Shares::default());
        let mut torrent = Torrent::new(now, config, Arc::new(Settings::default()), memory, &shares, 1);
        if storage == StorageKind::Disk {
            let generation = torrent.take_output().check.unwrap_or(0);
            torrent.check_finished(now, generation);
        }
        let rate = args.number("rate", 50_000_000u64)?.max(1);
        let play = args.number("play", 0u64)?;
        let mut swarm = Self {
            torrent,
            seeders: Vec::new(),
            events: BinaryHeap::new(),
            now,
            timer: now,
            counting: false,
            blocks: 0,
            cancels: 0,
            nanos_a_byte: 1_000_000_000 * peers / rate,
            play_nanos_a_byte: 1_000_000_000u64.checked_div(play).unwrap_or(0),
        };
        for i in 0..peers {
            swarm.connect(i as u16, info.info_hashes.best())?;
        }
        if storage == StorageKind::Memory {
            swarm.torrent.open_reader(now, READER, 0, ReaderOptions::default()).map_err(|error| error.to_string())?;
            swarm.events.push(Reverse((now, Event::Player)));
        }
        swarm.carry_out();
        Ok(swarm)
    }

    fn connect(&mut self, i: u16, info_hash: Sha1Hash) -> Result<(), String> {
        let [high, low] = i.to_be_bytes();
        let address = SocketAddr::from(([10, 0, high, low], 6881));
        let mut peer_id = [2; 20];
        peer_id[..2].copy_from_slice(&[high, low]);
        let handshake = Handshake::new(info_hash, peer_id, false);
        let connected = self.torrent.peer_connected(self.now, address, false, StreamKind::default(), &handshake);
        let (key, credits) = connected.map_err(|reason| format!("turned away: {reason:?}"))?;
        let decoder = Decoder::new(Credits::new(Pool::new(0)), DecoderLimits::default());
        self.seeders.push(Seeder { key, credits, decoder, asked: VecDeque::new() });
        let mut batch = vec![Received::Message(Message::HaveAll), Received::Message(Message::Unchoke)];
        self.torrent.peer_received(self.now, key, &mut batch, 20);
        self.take_requests(key)
    }

    fn count<R>(&mut self, work: impl FnOnce(&mut Torrent, Time) -> R) -> R {
        let (torrent, now) = (&mut self.torrent, self.now);
        if self.counting { counted(|| work(torrent, now)) } else { work(torrent, now) }
    }

    fn run(&mut self, blocks: u64) -> Result<(), String> {
        let until = self.blocks + blocks;
        while self.blocks < until {
            let next = self.events.peek().map_or(Time::NEVER, |Reverse((at, _))| *at);
            if self.timer <= next {
                self.now = self.timer.max(self.now);
                self.count(Torrent::handle_timeout);
                let timer = self.count(|torrent, _| torrent.next_timeout());
                // As the shell does: what lies in the past is no reason to spin.
                self.timer = timer.ok_or("nothing is left to do")?.max(self.now + Duration::from_millis(5));
            } else if let Some(Reverse((at, event))) = self.events.pop() {
                self.now = at.max(self.now);
                match event {
                    Event::Block { seeder } => self.deliver(seeder)?,
                    Event::Player => self.play()?,
                }
            }
            self.carry_out();
            if self.now > Time::from_millis(u32::MAX.into()) {
                return Err(format!("stuck: {}", self.torrent.describe()));
            }
        }
        Ok(())
    }

    /// The next answer of a seeder arrives.
    fn deliver(&mut self, at: usize) -> Result<(), String> {
        let nanos = self.nanos_a_byte;
        let seeder = self.seeders.get_mut(at).ok_or("no such seeder")?;
        let Some((_, request)) = seeder.asked.pop_front() else { return Ok(()) };
        if let Some((from, next)) = seeder.asked.front() {
            let until = self.now.max(*from) + takes(next, nanos);
            self.events.push(Reverse((until, Event::Block { seeder: at })));
        }
        let Some(credit) = seeder.credits.take(request.piece, request.begin) else { return Ok(()) };
        let data = credit.into_block(request.length).freeze();
        let mut batch = vec![Received::Block { piece: request.piece, begin: request.begin, data }];
        let key = seeder.key;
        self.blocks += 1;
        self.count(|torrent, now| torrent.peer_received(now, key, &mut batch, u64::from(BLOCK_SIZE)));
        self.take_requests(key)
    }

    /// What the torrent has for a peer goes to it.
    fn take_requests(&mut self, key: PeerKey) -> Result<(), String> {
        let at = self.seeders.iter().position(|s| s.key == key).ok_or("no such seeder")?;
        let mut messages = Vec::new();
        while let Some(chunk) = self.count(|torrent, now| torrent.take_chunk(now, key)) {
            let Some(seeder) = self.seeders.get_mut(at) else { return Ok(()) };
            seeder.decoder.push(chunk.as_slice(), &mut messages).map_err(|error| error.to_string())?;
        }
        let Some(seeder) = self.seeders.get_mut(at) else { return Ok(()) };
        for message in messages {
            match message {
                Received::Message(Message::Request(request)) => {
                    let from = self.now + ROUND_TRIP;
                    if seeder.asked.is_empty() {
                        let until = from + takes(&request, self.nanos_a_byte);
                        self.events.push(Reverse((until, Event::Block { seeder: at })));
                    }
                    seeder.asked.push_back((from, request));
                }
                Received::Message(Message::Cancel(cancel)) => {
                    self.cancels += 1;
                    // What is on its way comes.
                    if let Some(at) = seeder.asked.iter().skip(1).position(|(_, r)| *r == cancel) {
                        seeder.asked.remove(at + 1);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The player reads, at its own pace.
    fn play(&mut self) -> Result<(), String> {
        let outcome = self.count(|torrent, now| {
            let outcome = torrent.read(now, READER, READ);
            torrent.follow_up(now);
            outcome
        });
        let pause = match outcome.map_err(|error| error.to_string())? {
            ReadOutcome::EndOfFile => {
                self.count(|torrent, now| torrent.seek(now, READER, 0)).map_err(|error| error.to_string())?;
                Duration::ZERO
            }
            ReadOutcome::Wait => PATIENCE,
            found => Duration::from_nanos(found.len() as u64 * self.play_nanos_a_byte),
        };
        self.events.push(Reverse((self.now + pause, Event::Player)));
        Ok(())
    }

    /// Hashes, writes, wakes: until nothing more follows.
    fn carry_out(&mut self) {
        loop {
            let mut out = self.torrent.take_output();
            let mut more = false;
            for mut job in out.hashes.drain(..) {
                job.run();
                self.count(|torrent, now| torrent.hash_done(now, job));
                more = true;
            }
            for job in out.disk.drain(..) {
                if let DiskJob::Write { generation, piece, blocks } = job {
                    drop(blocks);
                    self.count(|torrent, now| torrent.piece_written(now, generation, piece, Ok(())));
                    more = true;
                }
            }
            if out.readers_changed && self.torrent.is_waiting(READER) && self.torrent.is_ready(READER) {
                self.events.push(Reverse((self.now, Event::Player)));
            }
            for key in out.wake {
                if self.take_requests(key).is_err() {
                    break;
                }
            }
            if !more {
                return;
            }
        }
    }
}

fn main() -> ExitCode {
    end("picker-scale", USAGE, run().map(|()| String::new()))
}

fn run() -> Result<(), String> {
    let args = Args::parse(&["pieces", "peers", "mode", "rate", "memory", "warm-up", "blocks", "play"], &[])?;
    let mut swarm = Swarm::new(&args)?;
    swarm.run(args.number("warm-up", 8192u64)?)?;
    let (began, before) = (swarm.now, swarm.blocks);
    swarm.counting = true;
    swarm.run(args.number("blocks", 4096u64)?)?;
    let took = swarm.now.since(began).as_secs_f64();
    let blocks = swarm.blocks - before;
    let rate = blocks as f64 * f64::from(BLOCK_SIZE) / took;
    println!("{{\"blocks\":{blocks},\"rate\":{rate:.0},\"cancels\":{}}}", swarm.cancels);
    Ok(())
}
