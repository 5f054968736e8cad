//! A whole scenario out of one seed: who is there, how they are set up, what happens to them.

use std::sync::Arc;
use std::time::Duration;

use elementum_torrent::engine::config::{StorageKind, TorrentFlags};
use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::content::{Content, Shape};
use super::driver::{Driver, Step};
use super::link::Line;
use super::manner::Manner;
use super::node::{Kind, Setup};
use super::world::World;

const KIB: u64 = 1024;

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub trace: u64,
    pub steps: u64,
    pub virtual_ms: u64,
}

pub fn run(seed: u64, verbose: bool) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    let content = Content::new(rng.u64(..), &shape(&mut rng));
    let mut world = World::new(rng.u64(..), content);
    world.verbose = verbose;
    let mut plan = Plan { rng, world: &mut world, ours: Vec::new(), others: Vec::new(), corrupt: 0 };
    plan.people();
    let (ours, corrupt) = (plan.ours.clone(), plan.corrupt);
    plan.events();
    let finished = world.finish(Duration::from_secs(1800));
    let stuck: Vec<String> = ours.iter().filter_map(|n| stuck(&mut world, *n)).collect();
    assert!(finished, "after half an hour these still read: {stuck:#?}");
    for node in ours {
        judge(&mut world, node, corrupt);
    }
    world.end();
    Outcome { trace: world.trace, steps: world.steps, virtual_ms: world.now().micros() / 1000 }
}

fn shape(rng: &mut fastrand::Rng) -> Shape {
    let piece_length = match rng.u32(0..10) {
        0 => 20_000,
        1 => 16 * 1024 + 512,
        2..=4 => 16 << 10,
        5..=7 => 64 << 10,
        8 => 256 << 10,
        _ => 1 << 20,
    };
    let most = (u64::from(piece_length) * 60).clamp(300 * KIB, 6000 * KIB);
    let total = rng.u64(1..most);
    if rng.u8(..) < 150 {
        return Shape { piece_length, files: vec![(total, false)] };
    }
    let mut files = Vec::new();
    let mut left = total;
    let padded = rng.bool();
    while left > 0 && files.len() < 8 {
        let size = rng.u64(0..=left);
        files.push((size, false));
        left -= size;
        let pad = (u64::from(piece_length) - size % u64::from(piece_length)) % u64::from(piece_length);
        if padded && pad > 0 && left > 0 {
            files.push((pad, true));
        }
    }
    files.push((left.max(1), false));
    Shape { piece_length, files }
}

fn stuck(world: &mut World, node: usize) -> Option<String> {
    let now = world.now();
    let conns = world.num_conns(node);
    let engine = world.engine(node);
    let drivers: Vec<_> = engine.drivers.iter().filter(|d| !d.is_done()).collect();
    if drivers.is_empty() {
        return None;
    }
    let at: Vec<String> =
        drivers.iter().map(|d| format!("{:?} at {}: {:?}", d.id, d.position, d.steps.front())).collect();
    let peers: Vec<String> = engine
        .torrent
        .peers(now)
        .iter()
        .map(|p| format!("{} {} {:?} asked {}", p.endpoint, p.client, p.flags, p.download_queue_length))
        .collect();
    let queue = engine.torrent.describe();
    let memory = (engine.pool.charged(), engine.pool.limit());
    let windows: Vec<_> = engine.drivers.iter().map(|d| engine.torrent.reader_status(d.id)).collect();
    Some(format!(
        "node {node}: {at:?} memory {memory:?} conns {conns} peers {peers:#?} queue {queue} windows {windows:?}"
    ))
}

/// What must be true of a node of ours at the end.
fn judge(world: &mut World, node: usize, corrupt: u64) {
    let banned = world.engine(node).banned();
    for address in banned {
        let who = world.nodes.iter().find(|n| n.address.ip() == address.ip());
        let guilty = who.is_some_and(|n| match &n.kind {
            Kind::Script(s) => s.manner.is_corrupt(),
            Kind::Engine(_) => false,
            Kind::Gone => true,
        });
        assert!(guilty, "{address} was banned, and did nothing wrong");
    }
    let failures = world.engine(node).hash_failures();
    // Of each of them the pieces in which it had a part when the first one failed, as many more for each that it shares them
    // with, and the one that convicts it.
    let most = corrupt * corrupt * 4;
    assert!(failures <= most, "{failures} pieces failed by {corrupt} corrupt peers");
}

struct Plan<'w> {
    rng: fastrand::Rng,
    world: &'w mut World,
    /// Nodes of ours that read.
    ours: Vec<usize>,
    others: Vec<usize>,
    corrupt: u64,
}

impl Plan<'_> {
    fn line(&mut self) -> Line {
        let rate = |rng: &mut fastrand::Rng| [100, 300, 1000, 4000, 20_000][rng.usize(0..5)] * KIB;
        let (up, down) = (rate(&mut self.rng), rate(&mut self.rng).max(300 * KIB));
        let mut line = Line::new(up, down, self.rng.u64(1..120));
        if self.rng.u8(..) < 60 {
            line.loss = self.rng.u64(1..30);
        }
        line
    }

    fn manner(&mut self) -> Manner {
        match self.rng.u32(0..22) {
            0 => Manner::Corrupt(self.rng.u32(1..8)),
            1 => Manner::CorruptBlock,
            2 | 3 => Manner::Choker,
            4 => Manner::Staller,
            5 => Manner::Sleeper,
            6 => Manner::Liar,
            7 => Manner::Half,
            8 => Manner::Flapper,
            9 => Manner::Leaver(self.rng.u32(1..30)),
            10 => Manner::Unsolicited,
            11 => Manner::Double,
            12 => Manner::Shuffler,
            13 => Manner::Garbage,
            14 => {
                Manner::HugeMetadata(if self.rng.bool() { self.rng.u32(1..200_000) } else { self.rng.u32(1..u32::MAX) })
            }
            15 => Manner::WrongMetadata,
            16 => Manner::Plain,
            17 => Manner::Gossip,
            _ => Manner::Honest,
        }
    }

    fn people(&mut self) {
        // The one that can be counted on.
        let mut line = self.line();
        line.up = line.up.max(300 * KIB);
        let seed = if self.rng.bool() {
            self.world.add_engine(Setup::seed(), line)
        } else {
            let manner = if self.rng.bool() { Manner::Honest } else { Manner::Plain };
            self.world.add_script(manner, line)
        };
        self.others.push(seed);
        for _ in 0..self.rng.usize(0..5) {
            let manner = self.manner();
            self.corrupt += u64::from(manner.sends_wrong_blocks());
            let line = self.line();
            let node = self.world.add_script(manner, line);
            if self.rng.u8(..) < 60 {
                let pieces = self.world.content.info.layout.num_pieces();
                let has = (0..pieces).filter(|_| self.rng.bool()).collect();
                self.world.script(node).has = Some(has);
            }
            let known: Vec<_> = self.world.nodes.iter().map(|n| n.address).collect();
            self.world.script(node).gossip = known;
            self.others.push(node);
        }
        for _ in 0..1 + self.rng.usize(0..3) * self.rng.usize(0..2) {
            let setup = self.setup();
            let line = self.line();
            let node = self.world.add_engine(setup, line);
            self.ours.push(node);
        }
        for i in 0..self.ours.len() {
            let node = self.ours[i];
            let mut known = self.others.clone();
            known.extend(self.ours.iter().copied().filter(|n| *n < node));
            self.world.introduce(node, &known);
            for number in 0..1 + self.rng.u64(0..3) * self.rng.u64(0..2) {
                let driver = self.driver(number + 1);
                self.world.add_driver(node, driver);
            }
        }
    }

    fn setup(&mut self) -> Setup {
        let rng = &mut self.rng;
        let layout = &self.world.content.info.layout;
        let piece = u64::from(layout.piece_length()).next_multiple_of(16 * KIB);
        let mut setup = if rng.u8(..) < 190 {
            let pieces = [3, 3, 4, 6, 10, 40][rng.usize(0..6)];
            Setup::memory(piece * pieces)
        } else {
            Setup { memory: (piece * 3).max(256 * KIB), ..Setup::disk() }
        };
        setup.magnet = rng.u8(..) < 80;
        setup.settings.max_out_request_queue = [4, 50, 500][rng.usize(0..3)];
        setup.settings.allow_multiple_connections_per_ip = true;
        setup.settings.min_reconnect_time = 10;
        setup.settings.request_timeout = [5, 20, 60][rng.usize(0..3)];
        if rng.u8(..) < 60 {
            setup.flags |= TorrentFlags::SEQUENTIAL_DOWNLOAD;
        }
        if rng.u8(..) < 60 {
            setup.file_priorities = (0..layout.num_files()).map(|_| rng.u8(0..8)).collect();
        }
        if setup.storage == StorageKind::Disk && rng.u8(..) < 50 {
            setup.write_errors = rng.u32(3..9);
        }
        setup.disk_ms = rng.u64(0..30);
        setup.hash_ms = if rng.bool() { rng.u64(1..20) } else { 0 };
        setup.pours = rng.bool();
        setup
    }

    fn driver(&mut self, id: u64) -> Driver {
        let rng = &mut self.rng;
        let layout = self.world.content.info.layout.clone();
        let file = rng.u32(0..layout.num_files() as u32);
        let size = layout.files()[file as usize].size;
        let place = |rng: &mut fastrand::Rng| rng.u64(0..=size);
        let mut steps = Vec::new();
        if rng.u8(..) < 40 {
            steps.push(Step::Prebuffer(rng.u64(0..=size), rng.u64(0..100 * KIB)));
        }
        match rng.u32(0..5) {
            0 | 1 => steps.push(Step::Read(u64::MAX)),
            2 => {
                for _ in 0..rng.u32(1..8) {
                    steps.push(Step::Seek(place(rng)));
                    steps.push(Step::Read(rng.u64(1..400 * KIB)));
                }
            }
            3 => {
                // Back and forth in no time.
                for _ in 0..rng.u32(1..5) {
                    steps.push(Step::Seek(place(rng)));
                    steps.push(Step::Sleep(Duration::from_millis(rng.u64(0..40))));
                }
                steps.push(Step::Seek(0));
                steps.push(Step::Read(u64::MAX));
            }
            _ => {
                for _ in 0..rng.u32(1..10) {
                    if size > 0 {
                        steps.push(Step::ReadAt(rng.u64(0..size), rng.usize(1..100_000)));
                    }
                    steps.push(Step::Read(rng.u64(1..100 * KIB)));
                }
            }
        }
        if rng.bool() {
            steps.push(Step::Close);
        }
        let end = (size > 0 && rng.u8(..) < 50).then(|| rng.u64(1..=size));
        let options = ReaderOptions {
            lookahead: rng.bool().then(|| rng.u64(0..2000 * KIB)),
            lookbehind: rng.bool().then(|| rng.u64(0..1000 * KIB)),
            bitrate: if rng.bool() { 0 } else { rng.u64(1..4000 * KIB) },
            pin_head: rng.bool().then(|| rng.u64(0..300 * KIB)),
            pin_tail: rng.bool().then(|| rng.u64(0..300 * KIB)),
            background: rng.u8(..) < 50,
            unverified: rng.u8(..) < 50,
            // Most steps read on beyond the end.
            offset: end.map_or(0, |end| rng.u64(0..end)),
            end,
        };
        let rate = if rng.bool() { 0 } else { rng.u64(50 * KIB..2000 * KIB) };
        Driver::new(id, file, steps).with(options).at_rate(rate)
    }

    fn events(&mut self) {
        let nodes = Arc::new(self.ours.clone());
        let pieces = i64::from(self.world.content.info.layout.num_pieces());
        let files = self.world.content.info.layout.num_files() as i64;
        let piece = u64::from(self.world.content.info.layout.piece_length()).next_multiple_of(16 * KIB);
        for _ in 0..self.rng.u32(0..10) {
            let when = Duration::from_millis(self.rng.u64(0..6000));
            let node = nodes[self.rng.usize(0..nodes.len())];
            let (a, b) = (self.rng.i64(0..pieces), self.rng.i64(0..pieces));
            let (file, priority) = (self.rng.i64(0..files), self.rng.i64(0..8));
            let n = self.rng.u64(3..12);
            let other = self.others[self.rng.usize(0..self.others.len())];
            let is_seed = other == self.others[0];
            let kind = self.rng.u32(0..13);
            self.world.act(when, move |w| {
                let now = w.now();
                let torrent = &mut w.engine(node).torrent;
                match kind {
                    0 => drop(torrent.set_piece_priority(now, a, priority)),
                    1 => drop(torrent.set_file_priority(now, file, priority)),
                    2 => drop(torrent.set_piece_deadline(now, a, b * 20 - 100)),
                    3 => torrent.clear_piece_deadlines(now),
                    4 => drop(torrent.set_lookbehind(now, &[a, b])),
                    5 => torrent.clear_lookbehind(now),
                    6 | 7 => w.engine(node).set_limit(now, piece * n),
                    8 => w.cut(node),
                    9 if !is_seed => w.leave(other),
                    9 => w.cut(other),
                    10 => {
                        torrent.pause(now);
                        w.settle(node);
                        w.act(Duration::from_secs(3), move |w| {
                            let now = w.now();
                            w.engine(node).torrent.resume(now);
                            w.settle(node);
                        });
                    }
                    11 => {
                        torrent.set_session_paused(now, true);
                        w.settle(node);
                        w.act(Duration::from_secs(2), move |w| {
                            let now = w.now();
                            w.engine(node).torrent.set_session_paused(now, false);
                            w.settle(node);
                        });
                    }
                    _ => {
                        // A magnet has nothing to look at yet.
                        let _ = torrent.force_recheck(now);
                    }
                }
                w.settle(node);
            });
        }
    }
}
