//! What a session does around its torrents: dials, carries out what they want done, feeds the disk and the players.

use std::net::SocketAddr;
use std::time::Duration;

use elementum_torrent::alert::Alert;
use elementum_torrent::base::error::{Error, Status};
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::engine::output::DiskJob;
use elementum_torrent::engine::swarm::dial::{DIAL_ASKED_AGAIN, DIAL_PATIENCE, Dial, DialFailure};
use elementum_torrent::engine::swarm::peer_list::PeerSource;
use elementum_torrent::engine::trackers::{AnnounceReply, TrackerId};
use elementum_torrent::memory::pool::BLOCK_SIZE;
use elementum_torrent::wire::{BlockRequest, Decoder, DecoderLimits, Handshake, StreamKind};

use super::node::{Engine, Kind, Plug};
use super::world::{Conn, Event, World, peer_id};

impl World {
    pub(super) fn dialled(&mut self, from: usize, to: SocketAddr) {
        let now = self.now();
        let Some(target) = self.nodes.iter().position(|n| n.address == to) else {
            return self.dial_failed(from, to);
        };
        if self.nodes[target].away || self.nodes[from].away {
            return self.dial_failed(from, to);
        }
        let hash = match &self.nodes[from].kind {
            _ if matches!(self.nodes[target].kind, Kind::Gone) => return self.dial_failed(from, to),
            Kind::Gone => return self.dial_failed(from, to),
            Kind::Engine(engine) => engine.content.info.info_hashes.best(),
            Kind::Script(script) => script.content.info.info_hashes.best(),
        };
        let mut keys = [PeerKey::NOBODY; 2];
        let conn = self.conns.len();
        for side in [1, 0] {
            let (node, other) = if side == 0 { (from, target) } else { (target, from) };
            let mut handshake = Handshake::new(hash, peer_id(other), false);
            if let Kind::Script(script) = &self.nodes[other].kind
                && !script.is_fast()
            {
                handshake.reserved[7] = 0;
            }
            let port = 50_000 + (conn % 10_000) as u16;
            let address = if side == 0 { to } else { SocketAddr::new(self.nodes[from].address.ip(), port) };
            if let Kind::Engine(engine) = &mut self.nodes[node].kind {
                match engine.torrent.peer_connected(now, address, side == 1, StreamKind::default(), &handshake) {
                    Ok((key, credits)) => {
                        let mut decoder = Decoder::new(credits, DecoderLimits::default());
                        if let Some(info) = engine.torrent.info() {
                            decoder.set_num_pieces(info.layout.num_pieces());
                        }
                        engine.plugs.insert(key, Plug { conn, decoder });
                        keys[side] = key;
                    }
                    Err(_) if side == 1 => {
                        self.settle(target);
                        return self.dial_failed(from, to);
                    }
                    Err(_) => {
                        self.clock.after(Duration::from_millis(1), Event::Closed { conn, side: 1 });
                    }
                }
            }
        }
        let open = [keys[0] != PeerKey::NOBODY || matches!(self.nodes[from].kind, Kind::Script(_)), true];
        let nodes = [from, target];
        self.conns.push(Conn {
            nodes,
            keys,
            open,
            busy: [false; 2],
            last: [now; 2],
            through: [now; 2],
            moved: [0; 2],
            payload: [0; 2],
            taken: [0; 2],
            unread: [Vec::new(), Vec::new()],
            dead: false,
        });
        for node in nodes {
            if let Kind::Script(script) = &mut self.nodes[node].kind {
                script.connected(conn);
            }
        }
        for (side, node) in nodes.into_iter().enumerate() {
            self.pump(conn, side);
            self.settle(node);
        }
    }

    /// As the shell does it, whose dials have so long.
    pub(super) fn unanswered(&mut self, from: usize, to: SocketAddr, since: Time) {
        let now = self.now();
        let Kind::Engine(engine) = &self.nodes[from].kind else { return };
        let timeout = Duration::from_secs(engine.setup.settings.peer_connect_timeout as u64);
        if engine.torrent.dial_gives_way(now, false) || now.since(since) >= timeout {
            self.dial_failed(from, to);
        } else {
            self.clock.after(DIAL_ASKED_AGAIN, Event::Unanswered { from, to, since });
        }
    }

    pub(super) fn dial_failed(&mut self, from: usize, to: SocketAddr) {
        let now = self.now();
        if let Kind::Engine(engine) = &mut self.nodes[from].kind {
            engine.torrent.dial_failed(now, to, DialFailure::default());
            self.settle(from);
        }
    }

    pub fn poll_driver(&mut self, node: usize, driver: usize) {
        let now = self.now();
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        let Engine { drivers, torrent, content, .. } = &mut **engine;
        let wake = drivers[driver].poll(now, torrent, content);
        if let Some(at) = wake.filter(|at| drivers[driver].wakes(*at)) {
            self.clock.at(at, Event::Player { node, driver });
        }
    }

    pub(super) fn written(&mut self, node: usize, generation: u64, piece: u32) {
        let now = self.now();
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        let Some(blocks) = engine.writing.remove(&piece) else { return };
        let whole: Vec<u8> = blocks.iter().flat_map(|b| b.as_slice().to_vec()).collect();
        assert!(whole == engine.content.piece(piece), "piece {piece} was written with wrong bytes");
        drop(blocks);
        engine.writes += 1;
        let errors = engine.setup.write_errors;
        if errors > 0 && engine.writes.is_multiple_of(errors) {
            let error = Error::new(Status::Io, "the disk is full");
            engine.torrent.piece_written(now, generation, piece, Err((error, "file".into())));
            self.act(Duration::from_secs(5), move |w| {
                let now = w.now();
                w.engine(node).torrent.resume(now);
                w.settle(node);
            });
        } else {
            engine.disk.insert(piece);
            engine.torrent.piece_written(now, generation, piece, Ok(()));
        }
        self.settle(node);
    }

    pub(super) fn hashed(&mut self, node: usize) {
        let now = self.now();
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        let Some(mut job) = engine.hashing.pop_front() else { return };
        job.run();
        engine.torrent.hash_done(now, job);
        self.settle(node);
    }

    pub(super) fn uploaded(&mut self, node: usize, peer: PeerKey, request: BlockRequest) {
        let now = self.now();
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        let mut parts = Vec::new();
        let mut at = 0;
        while at < request.length {
            let Some(reservation) = engine.pool.reserve() else {
                drop(parts);
                self.clock.after(Duration::from_millis(20), Event::Uploaded { node, peer, request });
                return;
            };
            let n = (request.length - at).min(BLOCK_SIZE);
            let mut block = reservation.into_block(n);
            block.as_mut_slice().copy_from_slice(engine.content.block(request.piece, request.begin + at, n));
            parts.push((block.freeze(), 0, n));
            at += n;
        }
        engine.torrent.upload_read(now, peer, request, Some(parts));
        self.settle(node);
    }

    /// Does what a node wants done, until it wants nothing more; then looks whether all is well with it.
    pub fn settle(&mut self, node: usize) {
        loop {
            let now = self.now();
            let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
            engine.torrent.settle_memory(now);
            let mut out = engine.torrent.take_output();
            if out.memory_wanted && engine.setup.shared.is_some() {
                self.clock.at(now, Event::MemoryWanted(node));
            }
            if out.shares_changed && engine.setup.shared.is_some() {
                self.clock.at(now, Event::SharesChanged(node));
            }
            let announced: Vec<_> = out.announces.drain(..).filter(|_| engine.setup.tracker).collect();
            engine.announces.extend(announced.iter().map(|_| now));
            engine.searches.extend(out.search_dht.then_some(now));
            for job in announced {
                let reply = Duration::from_millis(100);
                self.act(reply, move |w| w.announced(node, job.tracker));
            }
            let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
            let idle = out.alerts.is_empty()
                && out.wake.is_empty()
                && out.close.is_empty()
                && out.dial.is_empty()
                && out.hashes.is_empty()
                && out.disk.is_empty()
                && !out.readers_changed
                && out.check.is_none();
            if idle {
                break;
            }
            let metadata = out.alerts.iter().any(|a| matches!(a, Alert::MetadataReceived));
            if self.verbose {
                out.alerts.iter().for_each(|a| println!("{:>12} node {node}: {a:?}", now.micros()));
            }
            engine.alerts.append(&mut out.alerts);
            if metadata {
                let pieces = engine.content.info.layout.num_pieces();
                engine.plugs.values_mut().for_each(|p| p.decoder.set_num_pieces(pieces));
            }
            let hash_delay = Duration::from_millis(engine.setup.hash_ms);
            for mut job in out.hashes.drain(..) {
                engine.hashes_run += 1;
                if hash_delay.is_zero() {
                    job.run();
                    engine.torrent.hash_done(now, job);
                } else {
                    engine.hashing.push_back(job);
                    self.clock.after(hash_delay, Event::Hashed { node });
                }
            }
            let delay = Duration::from_millis(engine.setup.disk_ms);
            let mut pumps = Vec::new();
            for key in out.wake {
                pumps.extend(engine.plugs.get(&key).map(|p| p.conn));
            }
            let mut closes = Vec::new();
            for (key, _) in out.close {
                closes.extend(engine.plugs.get(&key).map(|p| p.conn));
            }
            for job in out.disk {
                match job {
                    DiskJob::Write { generation, piece, blocks } => {
                        engine.writing.insert(piece, blocks);
                        self.clock.after(delay, Event::Written { node, generation, piece });
                    }
                    DiskJob::Read { read, .. } => {
                        for request in read.requests {
                            self.clock.after(delay, Event::Uploaded { node, peer: read.peer, request });
                        }
                    }
                }
            }
            let drivers = if out.readers_changed || metadata { engine.drivers.len() } else { 0 };
            if let Some(generation) = out.check {
                self.clock.after(delay, Event::Checked { node, generation });
            }
            for Dial { address: to, .. } in out.dial {
                if self.nodes.iter().any(|n| n.address == to && n.swallows) {
                    self.clock.after(DIAL_PATIENCE, Event::Unanswered { from: node, to, since: now });
                    continue;
                }
                // TCP's three packets, of which the third brings our handshake.
                let there = self.nodes.iter().find(|n| n.address == to).map_or(Duration::ZERO, |n| n.line.latency);
                let way = self.nodes[node].line.latency + there;
                self.clock.after(way * 3, Event::Dialled { from: node, to });
            }
            for conn in pumps {
                let side = self.side(conn, node);
                self.pump(conn, side);
            }
            for conn in closes {
                let side = self.side(conn, node);
                self.close(conn, side);
            }
            for driver in 0..drivers {
                self.poll_driver(node, driver);
            }
        }
        let called = std::mem::take(&mut *self.called.lock().expect("one thread"));
        for node in called {
            self.clock.at(self.now(), Event::MemoryCame(node));
        }
        let (now, steps, audit_every) = (self.now(), self.steps, self.audit_every);
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        engine.check_limit();
        if steps.is_multiple_of(audit_every) {
            engine.check_books();
            engine.check_explanations(now);
        }
        let next = engine.torrent.next_timeout();
        if let Some(at) = next
            && engine.timer.is_none_or(|t| at < t)
        {
            engine.timer = Some(at);
            self.clock.at(at, Event::Timer(node));
        }
    }

    /// The tracker answers, if it can.
    fn announced(&mut self, node: usize, tracker: TrackerId) {
        let now = self.now();
        let mut peers: Vec<SocketAddr> = (0..self.dead_named)
            .map(|_| SocketAddr::from((self.rng.u32(0x0b00_0000..0x7f00_0000).to_be_bytes(), 6881)))
            .collect();
        let middle = peers.len() / 2;
        peers.splice(middle..middle, self.tracked.iter().map(|n| self.nodes[*n].address));
        let reply =
            AnnounceReply { interval_s: 1800, min_interval_s: self.min_interval_s, peers, ..AnnounceReply::default() };
        let reached = !self.nodes[node].away && !self.tracker_away;
        let Kind::Engine(engine) = &mut self.nodes[node].kind else { return };
        if reached {
            engine.torrent.trackers_mut().reply(now, tracker, &reply);
            engine.torrent.add_peers(now, PeerSource::TRACKER, &reply.peers);
        } else {
            engine.torrent.trackers_mut().failed(now, tracker, "unreachable", None);
        }
        self.settle(node);
    }

    /// The end: everything is dropped, and nothing stays charged.
    pub fn end(&mut self) {
        let now = self.now();
        for node in 0..self.nodes.len() {
            if let Kind::Engine(engine) = &mut self.nodes[node].kind {
                engine.check_books();
                engine.torrent.remove(now);
                engine.torrent.take_output();
                engine.plugs.clear();
                engine.writing.clear();
                engine.hashing.clear();
                let left = (engine.pool.charged(), engine.pool.promised());
                assert!(engine.setup.shared.is_some() || left == (0, 0), "blocks leaked: {left:?}");
            }
        }
        for place in &self.nodes {
            if let Kind::Engine(engine) = &place.kind {
                assert_eq!((engine.pool.charged(), engine.pool.promised()), (0, 0), "blocks leaked");
                assert!(!engine.pool.anybody_waits(), "somebody waits who is gone");
            }
        }
    }
}
