//! The world: nodes, the connections between them, and what happens when.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::engine::swarm::peer_list::PeerSource;
use elementum_torrent::wire::BlockRequest;

use super::clock::Clock;
use super::content::Content;
use super::driver::Driver;
use super::link::Line;
use super::manner::Manner;
use super::node::{Call, Engine, Kind, Setup};
use super::script::Script;

pub const PORT: u16 = 6881;

/// What the node of that number calls itself.
pub fn peer_id(node: usize) -> [u8; 20] {
    let mut id = [0; 20];
    id.chunks_mut(4).for_each(|part| part.copy_from_slice(&(node as u32 + 1).to_be_bytes()));
    id
}

/// What happens.
#[derive(Debug)]
pub enum Event {
    Timer(usize),
    Dialled {
        from: usize,
        to: SocketAddr,
    },
    /// A dial that is not answered.
    Unanswered {
        from: usize,
        to: SocketAddr,
        since: Time,
    },
    /// A side may write on.
    Pump {
        conn: usize,
        side: usize,
        payload: u64,
        sent: u64,
    },
    /// Bytes come to a side's downlink.
    Arrive {
        conn: usize,
        side: usize,
        bytes: Vec<u8>,
    },
    Deliver {
        conn: usize,
        side: usize,
        bytes: Vec<u8>,
    },
    Closed {
        conn: usize,
        side: usize,
    },
    Written {
        node: usize,
        generation: u64,
        piece: u32,
    },
    Uploaded {
        node: usize,
        peer: PeerKey,
        request: BlockRequest,
    },
    /// Nothing more was to be received.
    Paused {
        conn: usize,
        side: usize,
    },
    /// The oldest of the node's hash jobs is done.
    Hashed {
        node: usize,
    },
    Checked {
        node: usize,
        generation: u64,
    },
    /// More may be read from a peer.
    Hear {
        conn: usize,
        side: usize,
    },
    Player {
        node: usize,
        driver: usize,
    },
    Tick(usize),
    Act(usize),
    /// Memory that a node waits for came free.
    MemoryCame(usize),
    /// The nodes of this one's session are asked for memory.
    MemoryWanted(usize),
    /// Their shares changed.
    SharesChanged(usize),
}

/// A connection between two nodes; side 0 dialled.
#[derive(Debug)]
pub struct Conn {
    pub nodes: [usize; 2],
    pub keys: [PeerKey; 2],
    pub open: [bool; 2],
    pub busy: [bool; 2],
    /// When the last packet towards a side comes to its downlink, and when it is through: the stream keeps its order.
    pub last: [Time; 2],
    pub through: [Time; 2],
    /// Bytes that went towards a side, and payload that came in there.
    pub moved: [u64; 2],
    pub payload: [u64; 2],
    /// Bytes that were taken in at a side.
    pub taken: [u64; 2],
    /// What came to a side and is not read yet.
    pub unread: [Vec<u8>; 2],
    /// It carries nothing any more, and nobody is told.
    pub dead: bool,
}

#[derive(Debug)]
pub struct Place {
    pub kind: Kind,
    pub line: Line,
    /// It sends on the line of that node, as one more torrent of the same seed.
    pub sends_as: usize,
    pub address: SocketAddr,
    /// Nobody reaches it.
    pub away: bool,
    /// What is sent to it is lost: no dial is answered.
    pub swallows: bool,
}

type Action = Box<dyn FnOnce(&mut World)>;

pub struct World {
    pub clock: Clock<Event>,
    pub nodes: Vec<Place>,
    pub conns: Vec<Conn>,
    pub rng: fastrand::Rng,
    /// What nodes have or want that are added from here on.
    pub content: Arc<Content>,
    actions: Vec<Option<Action>>,
    pub(super) called: Arc<Mutex<BTreeSet<usize>>>,
    pub trace: u64,
    pub steps: u64,
    /// The books of the engines are looked at every so many steps.
    pub audit_every: u64,
    pub verbose: bool,
    /// Whom the tracker names, and the shortest interval that it gives, in seconds.
    pub tracked: Vec<usize>,
    pub min_interval_s: u32,
    /// The tracker refuses connections.
    pub tracker_away: bool,
    /// With each answer the tracker names so many others at which nobody is.
    pub dead_named: usize,
}

impl World {
    pub fn new(seed: u64, content: Arc<Content>) -> Self {
        Self {
            clock: Clock::default(),
            nodes: Vec::new(),
            conns: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            content,
            actions: Vec::new(),
            called: Arc::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            audit_every: 16,
            verbose: false,
            tracked: Vec::new(),
            min_interval_s: 900,
            tracker_away: false,
            dead_named: 0,
        }
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    fn place(&mut self, kind: Kind, line: Line) -> usize {
        let node = self.nodes.len();
        let address = SocketAddr::from(([10, 0, (node / 200) as u8, (node % 200) as u8 + 1], PORT));
        self.nodes.push(Place { kind, line, sends_as: node, address, away: false, swallows: false });
        node
    }

    pub fn add_engine(&mut self, setup: Setup, line: Line) -> usize {
        let (peer_id, seed) = (peer_id(self.nodes.len()), self.rng.u64(..));
        let mut engine = Engine::new(self.now(), &self.content.clone(), setup, peer_id, seed);
        let call = Call { node: self.nodes.len(), called: self.called.clone() };
        engine.torrent.set_memory_waker(Arc::new(call).into());
        let node = self.place(Kind::Engine(Box::new(engine)), line);
        self.settle(node);
        node
    }

    pub fn add_script(&mut self, manner: Manner, line: Line) -> usize {
        let seed = self.rng.u64(..);
        let node = self.place(Kind::Script(Box::new(Script::new(manner, self.content.clone(), seed))), line);
        self.clock.after(Duration::from_secs(1), Event::Tick(node));
        node
    }

    pub fn add_driver(&mut self, node: usize, driver: Driver) -> usize {
        let index = {
            let engine = self.engine(node);
            engine.drivers.push(driver);
            engine.drivers.len() - 1
        };
        self.poll_driver(node, index);
        self.settle(node);
        index
    }

    /// Something to happen at a moment.
    pub fn act(&mut self, after: Duration, action: impl FnOnce(&mut World) + 'static) {
        self.actions.push(Some(Box::new(action)));
        self.clock.after(after, Event::Act(self.actions.len() - 1));
    }

    pub fn engine(&mut self, node: usize) -> &mut Engine {
        match &mut self.nodes[node].kind {
            Kind::Engine(engine) => engine,
            other => panic!("node {node} is {other:?}"),
        }
    }

    pub fn script(&mut self, node: usize) -> &mut Script {
        match &mut self.nodes[node].kind {
            Kind::Script(script) => script,
            other => panic!("node {node} is {other:?}"),
        }
    }

    pub fn introduce(&mut self, node: usize, others: &[usize]) {
        self.introduce_by(PeerSource::TRACKER, node, others);
    }

    pub fn introduce_by(&mut self, source: PeerSource, node: usize, others: &[usize]) {
        let addresses: Vec<SocketAddr> = others.iter().map(|n| self.nodes[*n].address).collect();
        let now = self.now();
        self.engine(node).torrent.add_peers(now, source, &addresses);
        self.settle(node);
    }

    /// A script dials the node.
    pub fn dial(&mut self, script: usize, node: usize) {
        let to = self.nodes[node].address;
        self.clock.after(Duration::from_millis(50), Event::Dialled { from: script, to });
    }

    /// The node loses its network, or has it again.
    pub fn set_away(&mut self, node: usize, away: bool) {
        if away {
            self.cut(node);
        }
        self.nodes[node].away = away;
    }

    /// Payload and protocol bytes that were sent to a node.
    pub fn bytes_into(&self, node: usize) -> u64 {
        self.conns.iter().map(|c| (0..2).filter(|s| c.nodes[*s] == node).map(|s| c.moved[s]).sum::<u64>()).sum()
    }

    /// Payload that came in at a node.
    pub fn payload_into(&self, node: usize) -> u64 {
        self.conns.iter().map(|c| (0..2).filter(|s| c.nodes[*s] == node).map(|s| c.payload[s]).sum::<u64>()).sum()
    }

    pub fn num_conns(&self, node: usize) -> usize {
        self.conns.iter().filter(|c| (0..2).any(|s| c.nodes[s] == node && c.open[s])).count()
    }

    pub(super) fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x100_0000_01b3);
    }

    /// Runs until `done`, or `limit` of virtual time has gone by. Was it done?
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let until = self.now() + limit;
        loop {
            if done(self) {
                return true;
            }
            let Some(event) = self.clock.next(until) else { return false };
            self.step(event);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run(time, |_| false);
    }

    /// Until all readers of all nodes have read what they were to.
    pub fn finish(&mut self, limit: Duration) -> bool {
        self.run(limit, |w| {
            w.nodes.iter().all(|n| match &n.kind {
                Kind::Engine(e) => e.is_done(),
                _ => true,
            })
        })
    }

    fn step(&mut self, event: Event) {
        self.steps += 1;
        let now = self.now();
        self.note(now.micros());
        if self.verbose {
            let bytes = match &event {
                Event::Arrive { bytes, .. } | Event::Deliver { bytes, .. } => bytes.len(),
                _ => 0,
            };
            let text = format!("{event:?}");
            println!("{:>12} {:.90} {bytes}", now.micros(), text);
        }
        match event {
            Event::Timer(node) => self.timer(node),
            Event::Dialled { from, to } => self.dialled(from, to),
            Event::Unanswered { from, to, since } => self.unanswered(from, to, since),
            Event::Pump { conn, side, payload, sent } => {
                self.conns[conn].busy[side] = false;
                let (node, key) = (self.conns[conn].nodes[side], self.conns[conn].keys[side]);
                if self.conns[conn].open[side]
                    && let Kind::Engine(engine) = &mut self.nodes[node].kind
                {
                    engine.torrent.peer_sent(now, key, payload, sent);
                }
                self.pump(conn, side);
                self.settle(node);
                if !self.conns[conn].unread[side].is_empty() {
                    self.deliver(conn, side, &[]);
                }
            }
            Event::Arrive { conn, .. } | Event::Deliver { conn, .. } | Event::Closed { conn, .. }
                if self.conns[conn].dead => {}
            Event::Arrive { conn, side, bytes } => self.arrive(conn, side, bytes),
            Event::Deliver { conn, side, bytes } => self.deliver(conn, side, &bytes),
            Event::Closed { conn, side } if self.conns[conn].through[side] > now => {
                self.clock.at(self.conns[conn].through[side], Event::Closed { conn, side });
            }
            Event::Closed { conn, side } => {
                if std::mem::take(&mut self.conns[conn].open[side]) {
                    let (node, key) = (self.conns[conn].nodes[side], self.conns[conn].keys[side]);
                    match &mut self.nodes[node].kind {
                        Kind::Engine(engine) => {
                            engine.plugs.remove(&key);
                            engine.torrent.peer_closed(now, key, None);
                        }
                        Kind::Script(script) => script.closed(conn),
                        Kind::Gone => {}
                    }
                    self.settle(node);
                }
            }
            Event::Written { node, generation, piece } => self.written(node, generation, piece),
            Event::Uploaded { node, peer, request } => self.uploaded(node, peer, request),
            Event::Hashed { node } => self.hashed(node),
            Event::Paused { conn, side } => self.paused(conn, side),
            Event::Hear { conn, side } => self.deliver(conn, side, &[]),
            Event::Checked { node, generation } => {
                let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
                for piece in 0..engine.content.info.layout.num_pieces() {
                    let good = engine.disk.contains(&piece);
                    engine.torrent.piece_checked(generation, piece, good);
                }
                engine.torrent.check_finished(now, generation);
                self.settle(node);
            }
            Event::Player { node, driver } => {
                self.poll_driver(node, driver);
                self.settle(node);
            }
            Event::Tick(node) => {
                let Kind::Script(script) = &mut self.nodes[node].kind else { return };
                let conns = script.tick();
                for conn in conns {
                    let side = usize::from(self.conns[conn].nodes[1] == node);
                    self.pump(conn, side);
                }
                self.clock.after(Duration::from_secs(1), Event::Tick(node));
            }
            Event::MemoryCame(node) => {
                if let Kind::Engine(engine) = &mut self.nodes[node].kind {
                    engine.torrent.memory_came(now);
                    self.settle(node);
                }
            }
            Event::MemoryWanted(node) => self.tell_session(node, |torrent| torrent.yield_memory(now)),
            Event::SharesChanged(node) => self.tell_session(node, |torrent| torrent.shares_changed(now)),
            Event::Act(action) => {
                if let Some(action) = self.actions[action].take() {
                    action(self);
                }
            }
        }
    }

    /// Tells all torrents of the node's session.
    fn tell_session(&mut self, node: usize, tell: impl Fn(&mut Torrent)) {
        let pool = self.engine(node).pool.clone();
        for node in 0..self.nodes.len() {
            if let Kind::Engine(engine) = &mut self.nodes[node].kind
                && Arc::ptr_eq(&engine.pool, &pool)
            {
                tell(&mut engine.torrent);
                self.settle(node);
            }
        }
    }

    fn timer(&mut self, node: usize) {
        let now = self.now();
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        if engine.timer.is_none_or(|t| t > now) {
            return; // an old one
        }
        engine.timer = None;
        engine.torrent.handle_timeout(now);
        // A timeout that is due again at once, over and over, would keep a real session busy for nothing.
        if engine.torrent.next_timeout().is_some_and(|t| t <= now) {
            engine.timeouts_in_the_past += 1;
            assert!(engine.timeouts_in_the_past < 3, "next_timeout stays in the past");
        } else {
            engine.timeouts_in_the_past = 0;
        }
        self.settle(node);
    }

    /// Ends a side of a connection; the other side learns of it.
    pub fn close(&mut self, conn: usize, side: usize) {
        if !std::mem::take(&mut self.conns[conn].open[side]) {
            return;
        }
        let (node, key) = (self.conns[conn].nodes[side], self.conns[conn].keys[side]);
        match &mut self.nodes[node].kind {
            Kind::Engine(engine) => {
                engine.plugs.remove(&key);
            }
            Kind::Script(script) => script.closed(conn),
            Kind::Gone => {}
        }
        let at = self.conns[conn].last[1 - side].max(self.now() + Duration::from_millis(10));
        self.clock.at(at, Event::Closed { conn, side: 1 - side });
    }

    /// Cuts all of a node's connections.
    pub fn cut(&mut self, node: usize) {
        let now = self.now();
        for conn in 0..self.conns.len() {
            for side in 0..2 {
                if self.conns[conn].nodes[side] == node && self.conns[conn].open[side] {
                    let key = self.conns[conn].keys[side];
                    self.close(conn, side);
                    if let Kind::Engine(engine) = &mut self.nodes[node].kind {
                        engine.torrent.peer_closed(now, key, None);
                    }
                }
            }
        }
        self.settle(node);
    }

    /// A NAT forgets all connections of a node, or a VPN begins anew: they carry nothing any more. Others can be made.
    pub fn forget_connections(&mut self, node: usize) {
        self.conns.iter_mut().filter(|c| c.nodes.contains(&node)).for_each(|c| c.dead = true);
    }

    /// The node leaves for good.
    pub fn leave(&mut self, node: usize) {
        self.cut(node);
        self.nodes[node].kind = Kind::Gone;
    }
}
