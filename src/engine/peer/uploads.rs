//! Uploads: what peers ask of us, and what they get.

use std::collections::VecDeque;

use super::messages::wake;
use super::peers::Peers;
use super::wire_peer::Peer;
use crate::base::time::Time;
use crate::engine::config::{Config, StorageKind};
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::output::{DiskJob, Output, UploadRead};
use crate::memory::pool::{BLOCK_SIZE, Block, Pool};
use crate::wire::{BlockRequest, Message};

/// The longest request that is served; 16 KiB is what everybody asks.
const MAX_REQUEST: u32 = 128 * 1024;
/// Requests read from disk for a peer in one go.
const READ_BATCH: usize = 16;

/// Peers for which nothing could be any_outgoing: they get it in turn.
#[derive(Debug, Default)]
pub(in crate::engine) struct Uploads {
    line: VecDeque<PeerKey>,
}

/// What serving needs of the rest of the torrent.
pub(in crate::engine) struct Serving<'a> {
    pub(in crate::engine) config: &'a Config,
    pub(in crate::engine) content: &'a mut Option<Content>,
    pub(in crate::engine) peers: &'a mut Peers,
    pub(in crate::engine) pool: &'a Pool,
    /// Blocks that all torrents of the session cannot do without.
    pub(in crate::engine) needed: u64,
    pub(in crate::engine) unchoked: usize,
    pub(in crate::engine) disk_generation: u64,
    pub(in crate::engine) out: &'a mut Output,
}

impl Uploads {
    /// Does anybody wait for memory to be served from?
    pub(in crate::engine) fn anybody_waits(&self) -> bool {
        !self.line.is_empty()
    }

    pub(in crate::engine) fn peer_gone(&mut self, key: PeerKey) {
        self.line.retain(|k| *k != key);
    }

    pub(in crate::engine) fn requested(
        &mut self,
        now: Time,
        key: PeerKey,
        request: BlockRequest,
        rest: &mut Serving<'_>,
    ) -> Result<(), String> {
        let most = usize::try_from(rest.config.settings.max_allowed_in_request_queue).unwrap_or(0);
        let (Some(peer), Some(content)) = (rest.peers.get_mut(&key), rest.content.as_ref()) else { return Ok(()) };
        let layout = content.layout();
        let end = u64::from(request.begin) + u64::from(request.length);
        if request.piece >= layout.num_pieces()
            || request.length == 0
            || request.length > MAX_REQUEST
            || end > u64::from(layout.piece_size(request.piece))
        {
            return Err(format!(
                "request of {} bytes at {} of piece {} is out of range",
                request.length, request.begin, request.piece
            ));
        }
        let blocks = layout.piece_length().div_ceil(BLOCK_SIZE) as usize;
        let allowed = peer.choking.takes_request(request.piece, blocks);
        if !allowed || !content.has(request.piece) || peer.upload.len() >= most {
            if peer.supports_fast() {
                peer.answer(now, &Message::Reject(request));
                wake(&mut rest.out.wake, peer);
            }
            return Ok(());
        }
        peer.upload.push(request);
        self.serve(now, key, rest);
        Ok(())
    }

    /// Moves what a peer asked for into its outbox, as far as the send buffer and its part of the memory for uploads allow; from
    /// disk it takes the long way. Where there is no memory it waits in line.
    pub(in crate::engine) fn serve(&mut self, now: Time, key: PeerKey, rest: &mut Serving<'_>) {
        if rest.peers.get(&key).is_some_and(|p| !p.upload.is_empty()) {
            let others_wait = !self.line.is_empty();
            if (others_wait || !rest.send_first(now, key)) && !self.line.contains(&key) {
                self.line.push_back(key);
            }
        }
        rest.wake(key);
    }

    /// Serves those who wait in line, as far as there is something to send.
    pub(in crate::engine) fn serve_line(&mut self, now: Time, rest: &mut Serving<'_>) {
        while let Some(key) = self.line.front().copied() {
            if !rest.send_first(now, key) {
                return;
            }
            self.line.pop_front();
            rest.wake(key);
        }
    }

    /// Serves the peers whose requests wait though nothing is on its way to them: there was no memory to read into, or it may not be had.
    pub(in crate::engine) fn serve_waiting(&mut self, now: Time, rest: &mut Serving<'_>) {
        self.serve_line(now, rest);
        let waits = |p: &&Peer| !p.upload.is_empty() && p.upload.outgoing().blocks() == 0;
        let keys: Vec<PeerKey> = rest.peers.values().filter(waits).map(|p| p.key()).collect();
        keys.into_iter().for_each(|key| self.serve(now, key, rest));
    }
}

impl Serving<'_> {
    fn wake(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key).filter(|p| !p.outbox.is_empty()) {
            wake(&mut self.out.wake, peer);
        }
    }

    /// False: there is nothing to send now, and nothing is on its way to the peer.
    fn send_first(&mut self, now: Time, key: PeerKey) -> bool {
        let watermark = usize::try_from(self.config.settings.send_buffer_watermark).unwrap_or(0);
        let most = (self.pool.most_outgoing() / self.unchoked.max(1) as u64).max(1);
        let needed = self.needed;
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else { return true };
        let mut reads = Vec::new();
        let mut any_outgoing = true;
        while let Some(request) = peer.upload.first() {
            if peer.outbox.bytes() + peer.upload.reading() + reads_bytes(&reads) >= watermark
                || peer.upload.outgoing().blocks() >= most
                || reads.len() >= READ_BATCH
            {
                break;
            }
            if !content.has(request.piece) {
                peer.upload.take_first();
                if peer.supports_fast() {
                    peer.answer(now, &Message::Reject(request));
                }
                continue;
            }
            if !peer.upload.outgoing_mut().take(blocks_of(self.config.storage, request), needed) {
                any_outgoing = peer.upload.outgoing().blocks() > 0;
                break;
            }
            peer.upload.take_first();
            if self.config.storage == StorageKind::Disk {
                reads.push(request);
            } else {
                let parts = parts_of(content, request);
                peer.push_piece(now, request, parts);
                content.store_mut().touch(request.piece);
            }
        }
        if !reads.is_empty() {
            peer.upload.reads(reads_bytes(&reads));
            let read = UploadRead { peer: key, requests: reads };
            self.out.disk.push(DiskJob::Read { generation: self.disk_generation, read });
        }
        any_outgoing
    }
}

impl Peer {
    /// A request is taken back.
    pub(in crate::engine) fn upload_cancelled(&mut self, now: Time, request: BlockRequest, woken: &mut Vec<PeerKey>) {
        if self.upload.cancel(request) && self.supports_fast() {
            self.answer(now, &Message::Reject(request));
            wake(woken, self);
        }
    }

    /// The disk read for an upload, or there was no memory to read into (None): then the request waits on, at the front.
    pub(in crate::engine) fn upload_read(
        &mut self,
        now: Time,
        request: BlockRequest,
        data: Option<Vec<(Block, u32, u32)>>,
    ) {
        self.upload.was_read(request);
        if data.is_none() {
            self.upload.outgoing_mut().give_back(blocks_of(StorageKind::Disk, request));
        }
        match data {
            Some(parts) => self.push_piece(now, request, parts),
            None if self.choking.allows(request.piece) => self.upload.put_back(request),
            None if self.supports_fast() => self.answer(now, &Message::Reject(request)),
            None => {}
        }
    }

    /// It may not ask any more, but for what it may have all the same.
    pub(in crate::engine) fn choke(&mut self, now: Time) {
        self.choking.choke();
        self.answer(now, &Message::Choke);
        let dropped = self.upload.drop_all_but(|r| self.choking.allows_choked(r.piece));
        if self.supports_fast() {
            dropped.into_iter().for_each(|request| self.answer(now, &Message::Reject(request)));
        }
    }

    pub(in crate::engine) fn unchoke(&mut self, now: Time) {
        self.choking.unchoke(now);
        self.answer(now, &Message::Unchoke);
    }
}

fn reads_bytes(reads: &[BlockRequest]) -> usize {
    reads.iter().map(|r| r.length as usize).sum()
}

/// How many blocks of memory a request takes, or keeps.
fn blocks_of(storage: StorageKind, request: BlockRequest) -> u64 {
    let from = if storage == StorageKind::Disk { 0 } else { request.begin % BLOCK_SIZE };
    u64::from((from + request.length).div_ceil(BLOCK_SIZE))
}

/// The blocks that hold a request's bytes; the piece is in memory and the request inside it.
fn parts_of(content: &Content, request: BlockRequest) -> Vec<(Block, u32, u32)> {
    let mut parts = Vec::new();
    let mut at = request.begin;
    let end = request.begin + request.length;
    while at < end {
        let Some(block) = content.store().block(request.piece, at / BLOCK_SIZE, false) else { break };
        let offset = at % BLOCK_SIZE;
        let n = block.len().saturating_sub(offset).min(end - at);
        if n == 0 {
            break;
        }
        parts.push((block.clone(), offset, n));
        at += n;
    }
    parts
}
