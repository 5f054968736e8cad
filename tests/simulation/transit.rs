//! Bytes on their way: written as far as an uplink is free, underway, through a downlink, taken in.

use std::time::Duration;

use elementum_torrent::engine::peer::budget::Reading;
use elementum_torrent::wire::{Decoder, Received, WireError};

use super::manner::Manner;
use super::node::Kind;
use super::world::{Event, World};

/// What a socket holds of bytes that nobody reads.
const SOCKET: usize = 64 * 1024;

impl World {
    /// Writes on, as far as the line is free.
    pub(super) fn pump(&mut self, conn: usize, side: usize) {
        let c = &self.conns[conn];
        if c.busy[side] || !c.open[side] {
            return;
        }
        let now = self.clock.now();
        let (node, key, other) = (c.nodes[side], c.keys[side], c.nodes[1 - side]);
        let is_deaf = matches!(&self.nodes[other].kind, Kind::Script(s) if s.deaf) && c.moved[1 - side] > SOCKET as u64;
        // A real one has a window.
        let is_flood = matches!(&self.nodes[node].kind, Kind::Script(s) if matches!(s.manner, Manner::Flood(_)));
        let is_full = is_flood && c.moved[1 - side] - c.taken[1 - side] > SOCKET as u64;
        if is_deaf || is_full || c.unread[1 - side].len() > SOCKET {
            if let Kind::Engine(engine) = &mut self.nodes[node].kind {
                engine.torrent.peer_blocked(now, key, true);
            }
            return;
        }
        let (mut bytes, mut payload) = (Vec::new(), 0u64);
        while bytes.len() < 4096 {
            match &mut self.nodes[node].kind {
                Kind::Engine(engine) => {
                    let Some(chunk) = engine.torrent.take_chunk(now, key) else { break };
                    let slice = chunk.as_slice();
                    if matches!(chunk, elementum_torrent::engine::peer::outbox::Chunk::Payload { .. }) {
                        payload += slice.len() as u64;
                    }
                    bytes.extend_from_slice(slice);
                }
                Kind::Script(script) => {
                    let Some(more) = script.take_bytes(conn) else { break };
                    bytes.extend_from_slice(&more);
                }
                Kind::Gone => break,
            }
        }
        if bytes.is_empty() {
            return;
        }
        self.note(bytes.len() as u64);
        let sent = bytes.len();
        let sends_as = self.nodes[node].sends_as;
        let left = self.nodes[sends_as].line.send(now, sent);
        let latency = self.nodes[node].line.latency + self.nodes[other].line.latency;
        let lost = self.rng.u64(0..1000) < self.nodes[node].line.loss + self.nodes[other].line.loss;
        let late = if lost { latency * 2 + Duration::from_millis(200) } else { Duration::ZERO };
        let jitter = (self.nodes[node].line.jitter + self.nodes[other].line.jitter).as_micros() as u64;
        let jitter = if jitter == 0 { Duration::ZERO } else { Duration::from_micros(self.rng.u64(0..jitter)) };
        let at = (left + latency + late + jitter).max(self.conns[conn].last[1 - side]);
        self.conns[conn].last[1 - side] = at;
        self.conns[conn].busy[side] = true;
        self.conns[conn].moved[1 - side] += sent as u64;
        self.clock.at(at, Event::Arrive { conn, side: 1 - side, bytes });
        self.clock.at(left, Event::Pump { conn, side, payload, sent: sent as u64 });
    }

    /// Who comes first to a downlink goes through it first, from however far away he is.
    pub(super) fn arrive(&mut self, conn: usize, side: usize, mut bytes: Vec<u8>) {
        let now = self.now();
        let at = self.nodes[self.conns[conn].nodes[side]].line.receive(now, bytes.len());
        self.conns[conn].through[side] = at;
        // Packets are cut anywhere.
        if self.rng.u8(..) < 64 {
            let rest = bytes.split_off(self.rng.usize(0..bytes.len()));
            self.clock.at(at, Event::Deliver { conn, side, bytes });
            self.clock.at(at, Event::Deliver { conn, side, bytes: rest });
        } else {
            self.clock.at(at, Event::Deliver { conn, side, bytes });
        }
    }

    pub(super) fn deliver(&mut self, conn: usize, side: usize, bytes: &[u8]) {
        if !self.conns[conn].open[side] {
            return;
        }
        let now = self.now();
        let (node, key) = (self.conns[conn].nodes[side], self.conns[conn].keys[side]);
        let mut heard = Vec::new();
        let bytes = match &mut self.nodes[node].kind {
            Kind::Engine(engine) => {
                let unread = &mut self.conns[conn].unread[side];
                unread.extend_from_slice(bytes);
                match engine.torrent.reading(now, key) {
                    Reading::Now => heard.append(unread),
                    // Looked at again when it is.
                    Reading::WhenWritten => {}
                    Reading::At(time) => self.clock.at(time, Event::Hear { conn, side }),
                }
                if heard.is_empty() {
                    return;
                }
                self.conns[conn].taken[side] += heard.len() as u64;
                &heard[..]
            }
            _ => bytes,
        };
        match &mut self.nodes[node].kind {
            Kind::Engine(engine) => {
                let Some(plug) = engine.plugs.get_mut(&key) else { return };
                let mut batch = Vec::new();
                let outcome = receive(&mut plug.decoder, bytes, &mut batch);
                self.conns[conn].payload[side] += batch.iter().map(payload).sum::<u64>();
                if engine.setup.pours && self.rng.bool() {
                    engine.torrent.peer_goes_on(now, key, &mut batch, bytes.len() as u64);
                    self.clock.after(Duration::from_micros(self.rng.u64(0..3000)), Event::Paused { conn, side });
                } else {
                    engine.torrent.peer_received(now, key, &mut batch, bytes.len() as u64);
                }
                if let Err(error) = outcome {
                    engine.torrent.peer_violated(now, key, &error);
                }
            }
            Kind::Script(script) => {
                if script.received(conn, bytes).close {
                    self.close(conn, side);
                }
            }
            Kind::Gone => {}
        }
        self.pump(conn, side);
        self.settle(node);
        self.pump(conn, 1 - side);
    }

    /// Nothing more was to be received from a peer.
    pub(super) fn paused(&mut self, conn: usize, side: usize) {
        if !self.conns[conn].open[side] {
            return;
        }
        let now = self.now();
        let (node, key) = (self.conns[conn].nodes[side], self.conns[conn].keys[side]);
        if let Kind::Engine(engine) = &mut self.nodes[node].kind {
            engine.torrent.peer_paused(now, key);
            self.settle(node);
        }
    }

    pub(super) fn side(&self, conn: usize, node: usize) -> usize {
        usize::from(self.conns[conn].nodes[1] == node)
    }
}

/// As the shell does it: into the decoder's places.
fn receive(decoder: &mut Decoder, mut bytes: &[u8], batch: &mut Vec<Received>) -> Result<(), WireError> {
    let mut spare = [0; 4096];
    while !bytes.is_empty() {
        decoder.aim();
        let mut received = 0;
        for place in decoder.places(&mut spare, usize::MAX) {
            let (now, rest) = bytes.split_at(place.len().min(bytes.len()));
            place[..now.len()].copy_from_slice(now);
            bytes = rest;
            received += now.len();
        }
        decoder.landed(received, &spare, batch)?;
    }
    Ok(())
}

fn payload(received: &Received) -> u64 {
    match received {
        Received::Block { data, .. } => u64::from(data.len()),
        Received::Unpaid { length, .. } => u64::from(*length),
        Received::Message(_) => 0,
    }
}
