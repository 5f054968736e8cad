//! A swarm around one viewer: peers as they are met with, out of one seed.

use std::sync::Arc;
use std::time::Duration;

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::super::world::World;
use super::figures::Wait;
use super::ideal::{Way, transfer};
use super::*;

/// From a dial to the first byte asked for: TCP's handshake, ours, interest and unchoke, request and block.
const ROUND_TRIPS_TO_A_BLOCK: u32 = 4;

/// What a peer is like.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub manner: Manner,
    /// Bytes a second, up.
    pub rate: u64,
    pub round_trip: Duration,
    pub jitter: Duration,
    /// Nobody is at the address, and the dial takes seconds to find out.
    pub silent: bool,
}

impl Person {
    pub fn honest(rate: u64, round_trip: Duration) -> Self {
        Self { manner: Manner::Honest, rate, round_trip, jitter: Duration::ZERO, silent: false }
    }

    /// Somebody of a public swarm who means well.
    pub fn decent(rng: &mut fastrand::Rng) -> Self {
        let rate = log_normal(rng, 300e3, 1.0).clamp(50e3, 5e6) as u64;
        let round_trip = Duration::from_secs_f64(log_normal(rng, 0.060, 0.8).clamp(0.010, 0.300));
        let manner = if rng.u8(..) < 30 { Manner::Plain } else { Manner::Honest };
        Self { manner, rate, round_trip, jitter: round_trip / 10, silent: false }
    }

    /// Anybody of one. One in four is of no use, or worse.
    pub fn anybody(rng: &mut fastrand::Rng) -> Self {
        let decent = Self::decent(rng);
        let manner = match rng.u32(0..100) {
            0..=4 => return Self { rate: rng.u64(5_000..25_000), ..decent },
            5..=9 => Manner::Liar,
            10..=12 => Manner::CorruptBlock,
            13..=18 => Manner::Choker,
            19..=23 => Manner::Staller,
            _ => return decent,
        };
        Self { manner, ..decent }
    }

    /// Does it count among those who bring what is possible?
    fn is_good(&self) -> bool {
        !self.silent && matches!(self.manner, Manner::Honest | Manner::Plain)
    }

    fn join(&self, world: &mut World, viewer: usize) -> usize {
        let latency = (self.round_trip / 2).saturating_sub(world.nodes[viewer].line.latency);
        let mut line = Line::new(self.rate, 100_000_000, 0);
        (line.latency, line.jitter) = (latency, self.jitter);
        let node = world.add_script(self.manner, line);
        world.script(node).reqq = Some(500);
        if self.silent {
            world.leave(node);
        }
        node
    }
}

fn log_normal(rng: &mut fastrand::Rng, median: f64, sigma: f64) -> f64 {
    let (a, b) = (1.0 - rng.f64(), rng.f64());
    median * (sigma * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()).exp()
}

/// The world, who views in it, and who is there at the beginning.
pub struct Swarm {
    pub world: World,
    pub viewer: usize,
    pub people: Vec<(usize, Person)>,
    pub rng: fastrand::Rng,
}

impl Swarm {
    pub fn new(seed: u64, content: Arc<Content>, setup: Setup, line: Line) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new(rng.u64(..), content);
        world.audit_every = 4096;
        let viewer = world.add_engine(setup.with_places(1000), line);
        Self { world, viewer, people: Vec::new(), rng }
    }

    /// With so many seeders at the other end of its line, which is what they share.
    pub fn behind_one_line(seed: u64, content: Arc<Content>, memory: u64, seeders: usize) -> Self {
        let mut swarm = Self::new(seed, content, Setup::memory(memory), line());
        swarm.admit(vec![Person::honest(100_000_000, 30 * MS); seeders]);
        swarm
    }

    /// With a crowd of people like that.
    pub fn crowd(seed: u64, size: usize, like: fn(&mut fastrand::Rng) -> Person) -> Self {
        let mut swarm = Self::new(seed, film(MIB), Setup::memory(MEMORY), wide_line());
        let mut people: Vec<Person> = (0..size).map(|_| like(&mut swarm.rng)).collect();
        // One who can be counted on: whatever happens, the film can be had.
        people[0] = Person { manner: Manner::Honest, silent: false, ..Person::decent(&mut swarm.rng) };
        people[0].rate = people[0].rate.max(500_000);
        swarm.admit(people);
        swarm
    }

    /// They come, and the viewer learns of all of them.
    pub fn admit(&mut self, people: Vec<Person>) {
        for person in people {
            let node = person.join(&mut self.world, self.viewer);
            self.people.push((node, person));
        }
        let nodes: Vec<usize> = self.people.iter().map(|(node, _)| *node).collect();
        self.world.introduce(self.viewer, &nodes);
    }

    /// Every now and then one leaves, and another one comes.
    pub fn change(&mut self, every: Duration, times: u32) {
        let viewer = self.viewer;
        for n in 1..=times {
            // The first is there to stay.
            let leaver = self.people[self.rng.usize(1..self.people.len())].0;
            let person = Person::anybody(&mut self.rng);
            self.world.act(every * n, move |world| {
                world.leave(leaver);
                let node = person.join(world, viewer);
                world.introduce(viewer, &[node]);
            });
        }
    }

    pub fn open(&mut self, driver: Driver) -> usize {
        self.world.add_driver(self.viewer, driver)
    }

    /// Until every reader has done its steps.
    pub fn finish(&mut self, limit: Duration) {
        let viewer = self.viewer;
        let done = self.world.run(limit, |w| w.engine(viewer).is_done());
        assert!(done, "not read to the end: {}", self.world.engine(viewer).torrent.describe());
    }

    /// The ways to those who bring something, from a start or, where they are known, from a seek on.
    fn ways(&self, start: bool) -> impl Iterator<Item = Way> + Clone {
        self.people.iter().zip(0u32..).filter(|((_, person), _)| person.is_good()).map(move |((_, person), n)| {
            let round_trip = person.round_trip + person.jitter;
            // A burst, then two hundred a second: home routers do not bear more.
            let dialled = MS * 5 * n.saturating_sub(30);
            let ready = if start { dialled + round_trip * ROUND_TRIPS_TO_A_BLOCK } else { round_trip };
            Way { ready, rate: person.rate }
        })
    }

    /// The waits of a player's start and seeks, as far as it had the patience, each beside what is possible.
    pub fn waits(&mut self, driver: usize) -> Vec<Wait> {
        let engine = self.world.engine(self.viewer);
        let (runs, goal) = (engine.drivers[driver].gauge.runs.clone(), engine.drivers[driver].gauge.goal);
        let (file, options) = (engine.drivers[driver].file, engine.drivers[driver].options.clone());
        let mut waits = Vec::new();
        for (n, run) in runs.iter().enumerate() {
            let (Some(first), Some(whole)) = (run.first, run.goal) else { continue };
            let ideal = |bytes| {
                let cover = self.cover(file, run.offset, bytes, &options);
                transfer(self.ways(n == 0), self.world.nodes[self.viewer].line.down, cover)
            };
            waits.push(Wait { is_start: n == 0, first, whole, ideal_first: ideal(1), ideal_whole: ideal(goal) });
        }
        waits
    }

    /// What has to come so that `bytes` from `offset` on can be read: whole pieces, or blocks where those do.
    fn cover(&self, file: u32, offset: u64, bytes: u64, options: &ReaderOptions) -> u64 {
        let layout = &self.world.content.info.layout;
        let unit = if options.unverified { 16 * KIB } else { u64::from(layout.piece_length()) };
        let begin = layout.files()[file as usize].offset + offset;
        let end = (begin + bytes).next_multiple_of(unit).min(layout.total_size());
        end - begin / unit * unit
    }
}
