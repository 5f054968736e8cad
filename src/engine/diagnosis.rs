//! Why a reader waits.
//!
//! The requests do not note why one was not made: there are too many, and nobody asks. This looks at the same facts in the
//! order in which they stand in a block's way, and changes nothing.

use std::ops::Range;
use std::time::Duration;

use super::cache::Cache;
use super::cache::admission::Admission;
use super::config::{StorageKind, TorrentFlags};
use super::content::Content;
use super::content::pieces::{BlockState, PeerKey, PieceState, Stage};
use super::content::want::Class;
use super::peer::Peer;
use super::peer::peers::Peers;
use super::readers::explanation::{Explanation, MemoryUse, PeerCounts, PieceBlocks, Reason};
use super::readers::reader::{Reader, ReaderId};
use super::readers::stored::Stored;
use super::readers::{Readers, gone};
use super::requests::dispatch::Queue;
use super::swarm::Swarm;
use crate::base::error::Result;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// A block that is overdue for longer than this does not come as it was expected.
const GRACE: Duration = Duration::from_millis(250);

/// What is missing of that for which a reader waits.
#[derive(Default)]
struct Missing {
    /// Nobody was asked for these; the first of them.
    free: u32,
    first: Option<u32>,
    asked: Option<Asked>,
}

/// The blocks that were asked for.
struct Asked {
    /// The one that was expected first.
    block: u32,
    expected: Time,
    /// How many there are, and when the last one is expected.
    count: u32,
    last: Time,
    askees: Vec<PeerKey>,
    /// None of all that were asked sends anything.
    snubbed: bool,
}

fn bytes(blocks: u64) -> u64 {
    blocks * u64::from(BLOCK_SIZE)
}

/// What a wait is explained by: the rest of the torrent, as it stands.
pub(in crate::engine) struct Facts<'a> {
    pub stored: Stored<'a>,
    pub cache: &'a Cache,
    pub readers: &'a Readers,
    pub peers: &'a Peers,
    pub swarm: &'a Swarm,
    pub queue: Queue,
    /// What all peers can bring together, bytes a second.
    pub bandwidth: f64,
    /// Payload that comes in, bytes a second.
    pub rate: u32,
    /// Whether a piece may be begun beside what is begun.
    pub admission: Admission<'a>,
}

impl Facts<'_> {
    /// Why the byte at the reader's position is not here yet. Memory that others hold is `other_torrents`', whoever they are.
    pub fn explain(&self, now: Time, id: ReaderId) -> Result<Explanation> {
        let (Some(reader), Some(content)) = (self.readers.get(id), self.stored.content) else { return Err(gone()) };
        let piece = reader.current_piece();
        let mut told = Explanation {
            reason: Reason::EndOfFile,
            offset: reader.position(),
            waited: reader.waiting().map(|w| now.since(w.since)),
            piece,
            block: None,
            blocks: PieceBlocks::default(),
            peers: self.peer_counts(piece),
            asked_of: None,
            expected: None,
            overdue: Duration::ZERO,
            memory: self.memory_use(content),
            torrent_limit: 0,
            session_limit: 0,
            download_rate: self.rate,
            error: self.stored.run_state.error.as_ref().map(|e| e.status),
        };
        let Some(piece) = piece else { return Ok(told) };
        let total = content.layout().blocks_in_piece(piece);
        let slot = content.store().slot(piece);
        told.blocks = PieceBlocks {
            total,
            here: if content.has(piece) { total } else { slot.map_or(0, PieceState::here) },
            asked: slot.map_or(0, PieceState::asked),
        };
        if self.stored.has_bytes_for(reader) {
            told.reason = Reason::Ready;
            return Ok(told);
        }
        // A reader that takes what is not verified waits for its block alone.
        let (_, at) = reader.span().block_at(reader.position());
        let needed = if reader.options().unverified { at..at + 1 } else { 0..total };
        let missing = self.missing(slot, needed);
        told.block = missing.asked.as_ref().map(|a| a.block).or(missing.first);
        if let Some(asked) = &missing.asked {
            told.peers.asked = asked.askees.len() as u32;
            told.asked_of = self.asked_first(piece, asked);
            told.overdue = now.since(asked.expected);
            told.expected = self.expected(now, asked, missing.free);
        }
        told.reason = self.reason(now, reader, content, piece, &missing, &told.peers);
        Ok(told)
    }

    fn reason(
        &self,
        now: Time,
        reader: &Reader,
        content: &Content,
        piece: u32,
        missing: &Missing,
        peers: &PeerCounts,
    ) -> Reason {
        let Stored { config, run_state, .. } = self.stored;
        if missing.first.is_none() && missing.asked.is_none() {
            return Reason::Verifying;
        }
        if run_state.error.is_some() {
            return Reason::Error;
        }
        if config.flags.contains(TorrentFlags::PAUSED) {
            return Reason::TorrentPaused;
        }
        if run_state.session_paused {
            return Reason::SessionPaused;
        }
        if run_state.checking {
            return Reason::CheckingFiles;
        }
        if config.flags.contains(TorrentFlags::UPLOAD_MODE) {
            return Reason::UploadMode;
        }
        if let Some(asked) = &missing.asked {
            return if asked.snubbed { Reason::Snubbed } else { Reason::Requested };
        }
        if peers.connected == 0 {
            return Reason::NoPeers;
        }
        if peers.with_piece == 0 {
            return Reason::NoPeerHasIt;
        }
        if peers.unchoked == 0 {
            return Reason::Choked;
        }
        if peers.unchoked == peers.refusing {
            return Reason::Refused;
        }
        if self.sleeps(now, reader, piece) {
            return Reason::ReaderAsleep;
        }
        let serving: Vec<&Peer> = self.peers.values().filter(|p| p.serves(piece)).collect();
        // Who was asked for nothing was not asked for other blocks first.
        let idle = serving.iter().all(|p| p.source.requests().is_empty());
        let able = idle || serving.iter().any(|p| self.has_room(p));
        let full = self.cache.is_in_line()
            || !self.may_begin(reader, content, piece)
            || (idle && self.lacks_memory(reader, content, piece));
        if self.stored.is_too_large(reader, piece) || (able && full) {
            return Reason::MemoryFull;
        }
        Reason::Queued
    }

    fn peer_counts(&self, piece: Option<u32>) -> PeerCounts {
        let mut counts = PeerCounts {
            dialling: self.swarm.list().num_dialling() as u32,
            candidates: self.swarm.list().num_candidates() as u32,
            connected: self.peers.len() as u32,
            ..PeerCounts::default()
        };
        let Some(piece) = piece else { return counts };
        for peer in self.peers.values().filter(|p| p.haves.has(piece)) {
            let open = peer.choking.lets_us_ask(piece);
            counts.with_piece += 1;
            counts.unchoked += u32::from(open);
            counts.refusing += u32::from(open && !peer.serves(piece));
            counts.snubbed += u32::from(open && peer.source.is_snubbed());
        }
        counts
    }

    fn missing(&self, slot: Option<&PieceState>, needed: Range<u32>) -> Missing {
        let mut missing = Missing::default();
        let Some(slot) = slot else {
            return Missing { free: needed.len() as u32, first: Some(needed.start), asked: None };
        };
        let silent = |key: PeerKey| self.peers.get(&key).is_none_or(|p| p.source.is_snubbed());
        let blocks = slot.blocks().iter().take(needed.end as usize).enumerate().skip(needed.start as usize);
        for (block, b) in blocks.filter(|(_, b)| b.data().is_none()).map(|(i, b)| (i as u32, b)) {
            if b.copies() == 0 {
                missing.free += 1;
                missing.first = missing.first.or(Some(block));
                continue;
            }
            let snubbed = b.askees().all(silent);
            match &mut missing.asked {
                None => missing.asked = Some(Asked::of(block, b, snubbed)),
                Some(asked) => {
                    asked.snubbed &= snubbed;
                    asked.last = asked.last.max(b.expected());
                    asked.count += 1;
                    if b.expected() < asked.expected {
                        *asked = Asked { last: asked.last, count: asked.count, ..Asked::of(block, b, asked.snubbed) };
                    }
                }
            }
        }
        missing
    }

    /// The peer whose request for the block is the oldest.
    fn asked_first(&self, piece: u32, asked: &Asked) -> Option<std::net::SocketAddr> {
        let requests = asked.askees.iter().filter_map(|key| {
            let peer = self.peers.get(key)?;
            let request = peer.source.requests().iter().find(|r| r.piece == piece && r.block == asked.block)?;
            Some((request.sent, peer.address()))
        });
        requests.min_by_key(|(sent, _)| *sent).map(|(_, address)| address)
    }

    /// Until all that is missing is here: what was asked for as it is expected, then the rest, and no faster than all peers
    /// together are. Of what is late nobody knows.
    fn expected(&self, now: Time, asked: &Asked, free: u32) -> Option<Duration> {
        if now.since(asked.expected) > GRACE {
            return None;
        }
        let bandwidth = self.bandwidth;
        let takes = |blocks: u32| Duration::from_secs_f64(bytes(blocks.into()) as f64 / bandwidth);
        match (bandwidth < 1.0, free) {
            (true, 0) => Some(asked.last.since(now)),
            (true, _) => None,
            (false, free) => Some((asked.last.since(now) + takes(free)).max(takes(asked.count + free))),
        }
    }

    /// Does the reader want nothing but its pins, since it has not read for long and others have?
    fn sleeps(&self, now: Time, reader: &Reader, piece: u32) -> bool {
        self.stored.config.storage == StorageKind::Memory
            && !reader.is_active(now)
            && !reader.window().is_pinned(piece)
            && self.readers.values().any(|r| r.is_active(now))
    }

    /// Could the peer be asked for more?
    fn has_room(&self, peer: &Peer) -> bool {
        peer.source.requests().len() < self.queue.target(peer)
    }

    /// Is there less memory free than asking for it takes?
    fn lacks_memory(&self, reader: &Reader, content: &Content, piece: u32) -> bool {
        let blocks = match content.store().slot(piece) {
            // What was set aside for it may be lent.
            Some(slot) if slot.has_promise() => return slot.lacks_its_own(self.cache.pool()),
            None if !reader.options().unverified => content.layout().num_blocks_to_fetch(piece, 0, u32::MAX),
            _ => 1,
        };
        self.cache.pool().available() < u64::from(blocks)
    }

    /// May the piece be begun beside what is begun already? On memory storage what is in a window always may.
    fn may_begin(&self, reader: &Reader, content: &Content, piece: u32) -> bool {
        let windowed = self.stored.config.storage == StorageKind::Memory && reader.window().contains(piece);
        let class = match (reader.options().background, reader.waiting()) {
            (true, _) => Class::Background,
            (false, Some(_)) => Class::Blocked,
            (false, None) => Class::Deadline,
        };
        if reader.window().put_off {
            return false;
        }
        windowed || content.store().slot(piece).is_some() || self.admission.admits(content, class, piece)
    }

    /// Where the session's memory is, as far as this torrent knows.
    fn memory_use(&self, content: &Content) -> MemoryUse {
        let mut used = MemoryUse {
            limit: bytes(self.cache.limit()),
            charged: bytes(self.cache.pool().charged()),
            requested: bytes(self.peers.values().map(|p| p.source.requests().len() as u64).sum()),
            ..MemoryUse::default()
        };
        for piece in content.store().present() {
            let Some(slot) = content.store().slot(*piece) else { continue };
            let wanted = |r: &Reader| {
                r.window().contains(*piece) || r.reads_at().iter().any(|p| r.span().piece_at(p.offset) == *piece)
            };
            let part = if slot.stage() == Stage::Writing {
                &mut used.held
            } else if self.cache.protects(*piece) {
                &mut used.protected
            } else if self.readers.values().any(|r| r.window().is_pinned(*piece)) {
                &mut used.pinned
            } else if self.readers.deadlines().contains_key(piece) || self.readers.values().any(wanted) {
                &mut used.wanted
            } else if slot.is_shared() {
                &mut used.held
            } else {
                &mut used.idle
            };
            *part += bytes(slot.received().into());
        }
        let ours = used.requested + used.pinned + used.protected + used.wanted + used.idle + used.held;
        let rest = used.charged.saturating_sub(ours);
        // What uploads hold of pieces that are not here any more.
        let outgoing = bytes(self.peers.values().map(|p| p.upload.outgoing().blocks()).sum()).min(rest);
        used.held += outgoing;
        used.other_torrents = rest - outgoing;
        used
    }
}

impl Asked {
    fn of(block: u32, b: &BlockState, snubbed: bool) -> Self {
        let askees = b.askees().collect();
        Self { block, expected: b.expected(), count: 1, last: b.expected(), askees, snubbed }
    }
}
