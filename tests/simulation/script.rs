//! Scripted peers: they speak the wire protocol, and each has a way of its own to be bad at it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use elementum_torrent::memory::credits::Credits;
use elementum_torrent::memory::pool::Pool;
use elementum_torrent::wire::{
    BlockRequest, Decoder, DecoderLimits, ExtendedHandshake, ExtensionIds, Message, MetadataMessage, PexMessage,
    Received, encode_piece_header, lt_donthave,
};

use super::content::Content;
use super::manner::{Manner, Quirks};

/// What a script wants done with its connection.
#[derive(Debug, Default)]
pub struct Wishes {
    pub close: bool,
}

#[derive(Debug)]
struct Link {
    decoder: Decoder,
    out: VecDeque<Vec<u8>>,
    requests: VecDeque<BlockRequest>,
    ids: ExtensionIds,
    choking: bool,
    interested: bool,
    asked: u32,
    sent: u32,
    ticks: u32,
    /// What is left of a block that goes out in drops.
    drops: VecDeque<u8>,
    /// What it is at, and for how many seconds.
    at_work: Option<(BlockRequest, u32)>,
}

/// A scripted peer. Connections are named by the world's numbers.
#[derive(Debug)]
pub struct Script {
    pub manner: Manner,
    pub content: Arc<Content>,
    links: BTreeMap<usize, Link>,
    rng: fastrand::Rng,
    pub blocks_sent: u64,
    pub requests_seen: u64,
    pub most_outstanding: usize,
    pub gossip: Vec<std::net::SocketAddr>,
    /// It has these only (None: all).
    pub has: Option<Vec<u32>>,
    /// Pieces that it has not shown yet, and blocks of the last one that were sent.
    pub unshown: Vec<u32>,
    shown_sent: u32,
    /// How many requests it says it queues (None: few or many).
    pub reqq: Option<u32>,
    /// It never reads.
    pub deaf: bool,
    /// It sends nothing at the moment, though it takes in what comes.
    pub silent: bool,
    pub quirks: Quirks,
    pub metadata_sent: Vec<u32>,
}

impl Script {
    pub fn new(manner: Manner, content: Arc<Content>, seed: u64) -> Self {
        Self {
            manner,
            content,
            links: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            blocks_sent: 0,
            requests_seen: 0,
            most_outstanding: 0,
            gossip: Vec::new(),
            has: None,
            unshown: Vec::new(),
            shown_sent: 0,
            reqq: None,
            deaf: false,
            silent: false,
            quirks: Quirks::default(),
            metadata_sent: Vec::new(),
        }
    }

    pub fn is_fast(&self) -> bool {
        !self.quirks.plain && !matches!(self.manner, Manner::Plain | Manner::Fickle { fast: false, .. })
    }

    pub fn connected(&mut self, conn: usize) {
        let decoder = Decoder::new(Credits::new(Pool::new(1 << 20)), DecoderLimits::default());
        let link = Link {
            decoder,
            out: VecDeque::new(),
            requests: VecDeque::new(),
            ids: ExtensionIds::default(),
            choking: true,
            interested: false,
            asked: 0,
            sent: 0,
            ticks: 0,
            drops: VecDeque::new(),
            at_work: None,
        };
        self.links.insert(conn, link);
        let pieces = self.content.info.layout.num_pieces();
        if matches!(self.manner, Manner::Shower { .. }) && self.has.is_none() {
            self.has = Some(Vec::new());
            self.unshown = (0..pieces).collect();
            self.rng.shuffle(&mut self.unshown);
        }
        if self.manner == Manner::SuperSeeder {
            (self.has, self.unshown) = (Some(Vec::new()), (0..pieces).collect());
        }
        let hello = match &self.has {
            None if self.is_fast() => Message::HaveAll,
            None => Message::Bitfield(
                elementum_torrent::engine::content::bitfield::Bitfield::full(pieces).as_bytes().to_vec(),
            ),
            Some(has) => {
                let mut field = elementum_torrent::engine::content::bitfield::Bitfield::new(pieces);
                has.iter().for_each(|p| {
                    field.set(*p);
                });
                let mut bytes = field.as_bytes().to_vec();
                if self.quirks.spare_bits && !pieces.is_multiple_of(8) {
                    *bytes.last_mut().expect("pieces") |= 1;
                }
                Message::Bitfield(bytes)
            }
        };
        self.send(conn, &hello);
        if self.quirks.interested {
            self.send(conn, &Message::Interested);
        }
        let size = match self.manner {
            Manner::HugeMetadata(size) => size,
            _ => self.content.info.bytes.len() as u32,
        };
        let extended = ExtendedHandshake {
            m: ExtensionIds { ut_metadata: Some(7), ut_pex: Some(8), lt_donthave: Some(9), ..Default::default() },
            v: Some(format!("{:?}", self.manner)),
            reqq: self.reqq.or(Some(if self.rng.bool() { 250 } else { 8 })),
            metadata_size: (!self.quirks.hides_size).then_some(size),
            p: self.quirks.tells_port.then_some(super::world::PORT),
            ..Default::default()
        };
        self.send(conn, &Message::Extended { id: 0, payload: extended.encode() });
        let shown = match self.manner {
            Manner::Shower { .. } => 1,
            Manner::SuperSeeder => 2,
            _ => 0,
        };
        (0..shown).for_each(|_| self.show_next(conn));
    }

    fn show_next(&mut self, conn: usize) {
        let Some(has) = &mut self.has else { return };
        let piece = if self.manner == Manner::SuperSeeder {
            let others: Vec<u32> = self.unshown.iter().copied().filter(|p| !has.contains(p)).collect();
            self.rng.choice(others)
        } else {
            self.unshown.pop()
        };
        if let Some(piece) = piece {
            has.push(piece);
            self.shown_sent = 0;
            self.send(conn, &Message::Have(piece));
        }
    }

    pub fn closed(&mut self, conn: usize) {
        self.links.remove(&conn);
    }

    fn send(&mut self, conn: usize, message: &Message) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        if link.drops.is_empty() {
            link.out.push_back(bytes);
        } else {
            link.drops.extend(bytes);
        }
    }

    fn send_block(&mut self, conn: usize, r: BlockRequest) {
        let layout = &self.content.info.layout;
        if r.piece >= layout.num_pieces()
            || u64::from(r.begin) + u64::from(r.length) > u64::from(layout.piece_size(r.piece))
        {
            return;
        }
        let mut data = self.content.block(r.piece, r.begin, r.length).to_vec();
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.sent += 1;
        self.blocks_sent += 1;
        let last = layout.blocks_in_piece(r.piece) == 1;
        let wrong = match self.manner {
            Manner::Corrupt(n) => self.blocks_sent.is_multiple_of(u64::from(n)),
            Manner::CorruptBlock => r.begin == 16 * 1024 || (last && r.begin == 0),
            _ => false,
        };
        if wrong {
            let at = self.rng.usize(0..data.len());
            data[at] ^= 0x55;
        }
        if self.quirks.wrong_lengths > 0 {
            self.quirks.wrong_lengths -= 1;
            data.resize(self.quirks.wrong_length as usize, 0);
        }
        let r = BlockRequest { length: data.len() as u32, ..r };
        let mut bytes = Vec::with_capacity(data.len() + 13);
        encode_piece_header(r.piece, r.begin, r.length, &mut bytes);
        bytes.extend_from_slice(&data);
        if self.manner == Manner::Double {
            link.out.push_back(bytes.clone());
        }
        link.out.push_back(bytes);
    }

    /// The next bytes to write.
    pub fn take_bytes(&mut self, conn: usize) -> Option<Vec<u8>> {
        if self.silent {
            return None;
        }
        if self.links.get(&conn)?.out.is_empty() {
            match self.manner {
                Manner::Flood(flood) => {
                    let bytes = flood.bytes(&mut self.rng, &self.content.info);
                    return Some(bytes);
                }
                _ => self.serve(conn),
            }
        }
        self.links.get_mut(&conn)?.out.pop_front()
    }

    /// Answers one request, in its manner.
    fn serve(&mut self, conn: usize) {
        let manner = self.manner;
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.choking
            || matches!(manner, Manner::Staller | Manner::Dripper(_) | Manner::Paced(_) | Manner::PartTime { .. })
        {
            return;
        }
        if matches!(manner, Manner::Falls(after) if link.sent >= after) {
            return;
        }
        if manner == Manner::Sleeper && link.sent >= 3 && link.ticks < 90 {
            return;
        }
        if manner == Manner::Shuffler && link.requests.len() > 1 {
            let other = self.rng.usize(0..link.requests.len());
            link.requests.swap(0, other);
        }
        let Some(request) = link.requests.pop_front() else { return };
        let sent = link.sent;
        let refused = match manner {
            Manner::Liar => true,
            Manner::Half => request.piece.is_multiple_of(2),
            _ => self.has.as_ref().is_some_and(|h| !h.contains(&request.piece)),
        };
        if refused {
            self.send(conn, &Message::Reject(request));
            return;
        }
        let piece_size = self.content.info.layout.piece_size(request.piece);
        if manner == Manner::Withholder && request.begin + request.length == piece_size {
            return;
        }
        self.send_block(conn, request);
        if manner == (Manner::Shower { told: false })
            && self.has.as_ref().is_some_and(|h| h.last() == Some(&request.piece))
        {
            self.shown_sent += 1;
            if self.shown_sent == self.content.info.layout.blocks_in_piece(request.piece) {
                self.show_next(conn);
            }
        }
        let layout = &self.content.info.layout;
        if manner == Manner::Unsolicited && self.rng.u8(..) < 80 {
            let piece = self.rng.u32(0..layout.num_pieces());
            let block = self.rng.u32(0..layout.blocks_in_piece(piece));
            let length = layout.block_size(piece, block);
            self.send_block(conn, BlockRequest { piece, begin: block * 16 * 1024, length });
        }
        if manner == Manner::Garbage && sent > 5 && self.rng.u8(..) < 40 {
            let kinds: [&[u8]; 6] = [
                &[0xff, 0xff, 0xff, 0xff, 9],
                &[0, 0, 0, 5, 4, 0xff, 0xff, 0xff, 0xff],
                &[0, 0, 0, 2, 5, 0],
                &[0, 0, 0, 6, 20, 1, b'd', b'i', 0xff, b'e'],
                &[0, 0, 0, 3, 0, 0, 0],
                &[0, 0, 0, 4, 99, 1, 2, 3],
            ];
            let bytes = kinds[self.rng.usize(0..kinds.len())].to_vec();
            if let Some(link) = self.links.get_mut(&conn) {
                link.out.push_back(bytes);
            }
        }
    }

    pub fn received(&mut self, conn: usize, bytes: &[u8]) -> Wishes {
        let mut batch = Vec::new();
        let Some(link) = self.links.get_mut(&conn) else { return Wishes::default() };
        if let Manner::Flood(_) = self.manner {
            return Wishes::default();
        }
        link.decoder.push(bytes, &mut batch).expect("our own engine speaks right");
        for received in batch {
            match received {
                Received::Message(message) => self.message(conn, message),
                _ => assert!(self.quirks.asked_for, "{:?} got {received:?}", self.manner),
            }
        }
        let sent = self.links.get(&conn).map_or(0, |l| l.sent);
        Wishes { close: matches!(self.manner, Manner::Leaver(n) if sent >= n) }
    }

    fn message(&mut self, conn: usize, message: Message) {
        let fast = self.is_fast();
        let Some(link) = self.links.get_mut(&conn) else { return };
        match message {
            Message::Interested => {
                link.interested = true;
                let waits = matches!(self.manner, Manner::Shower { .. }) && link.asked > 0;
                if waits || matches!(self.manner, Manner::Choking | Manner::PartTime { .. }) {
                    return;
                }
                if self.manner != Manner::Choker || self.rng.bool() {
                    link.choking = false;
                    self.send(conn, &Message::Unchoke);
                }
            }
            Message::Have(piece) if self.manner == Manner::SuperSeeder => {
                self.unshown.retain(|p| *p != piece);
                let Some(has) = &mut self.has else { return };
                if let Some(at) = has.iter().position(|p| *p == piece) {
                    has.swap_remove(at);
                    self.show_next(conn);
                }
            }
            Message::Extended { id: 9, payload } if self.manner == Manner::SuperSeeder => {
                self.unshown.push(lt_donthave::parse(&payload).expect("ours is sound"));
            }
            Message::Have(piece) => {
                let last = self.has.as_ref().and_then(|has| has.last());
                if self.manner == (Manner::Shower { told: true }) && last == Some(&piece) {
                    self.show_next(conn);
                }
            }
            Message::NotInterested => {
                link.interested = false;
                if matches!(self.manner, Manner::Shower { .. }) {
                    link.choking = true;
                    self.send(conn, &Message::Choke);
                }
            }
            Message::Request(request) => {
                if link.choking && matches!(self.manner, Manner::PartTime { .. }) {
                    // It crossed the choke.
                    return;
                }
                assert!(!link.choking || fast, "a request while choked");
                self.requests_seen += 1;
                link.asked += 1;
                let too_many = self.quirks.takes.is_some_and(|most| link.requests.len() >= most);
                let rejects = self.quirks.rejects > 0;
                self.quirks.rejects -= u32::from(rejects);
                let by_chance = self.quirks.rejects_percent > 0 && self.rng.u8(..100) < self.quirks.rejects_percent;
                if link.choking || too_many || rejects || by_chance {
                    if !self.quirks.drops {
                        self.send(conn, &Message::Reject(request));
                    }
                } else if let Manner::Fickle { after, .. } = self.manner
                    && link.asked.is_multiple_of(after)
                {
                    self.choke_and_unchoke(conn, request);
                } else {
                    link.requests.push_back(request);
                    self.most_outstanding = self.most_outstanding.max(link.requests.len());
                }
            }
            Message::Cancel(request) => {
                let before = link.requests.len();
                link.requests.retain(|r| *r != request);
                if link.requests.len() != before && fast {
                    self.send(conn, &Message::Reject(request));
                }
            }
            Message::Extended { id: 0, payload } => {
                let hello = ExtendedHandshake::parse(&payload).expect("ours is sound");
                link.ids.merge(hello.m);
                if let Some(id) = link.ids.lt_donthave {
                    for piece in std::mem::take(&mut self.quirks.lost) {
                        self.send(conn, &Message::Extended { id, payload: lt_donthave::encode(piece).to_vec() });
                    }
                }
                let Some(link) = self.links.get_mut(&conn) else { return };
                if self.manner == Manner::Gossip
                    && let Some(id) = link.ids.ut_pex
                {
                    let added = self.gossip.iter().map(|a| (*a, 0)).collect();
                    let payload = PexMessage { added, dropped: Vec::new() }.encode();
                    self.send(conn, &Message::Extended { id, payload });
                }
            }
            Message::Extended { id: 7, payload } => {
                let Some(id) = link.ids.ut_metadata else { return };
                let Ok(Some(MetadataMessage::Request { piece })) = MetadataMessage::parse(&payload) else { return };
                if self.quirks.metadata_rejects > 0 {
                    self.quirks.metadata_rejects -= 1;
                    let payload = MetadataMessage::Reject { piece }.encode();
                    return self.send(conn, &Message::Extended { id, payload });
                }
                if self.quirks.metadata_answers.is_some_and(|n| self.metadata_sent.len() >= n) {
                    return;
                }
                self.metadata_sent.push(piece);
                let bytes = &self.content.info.bytes;
                let Some(chunk) = bytes.chunks(16 * 1024).nth(piece as usize) else { return };
                let mut chunk = chunk.to_vec();
                match self.manner {
                    Manner::HugeMetadata(_) | Manner::Staller => return,
                    Manner::WrongMetadata => chunk[0] ^= 1,
                    _ => {}
                }
                let data = MetadataMessage::Data { piece, total_size: bytes.len() as u32, payload: chunk };
                let message = Message::Extended { id, payload: data.encode() };
                let Some(link) = self.links.get_mut(&conn).filter(|_| self.quirks.metadata_rate.is_some()) else {
                    return self.send(conn, &message);
                };
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                link.drops.extend(bytes);
            }
            _ => {}
        }
    }

    /// Requests are lost by a choke; those of one with the fast extension are rejected.
    fn choke_and_unchoke(&mut self, conn: usize, request: BlockRequest) {
        let fast = self.is_fast();
        let keeps = matches!(self.manner, Manner::Fickle { keeps: true, .. });
        let Some(link) = self.links.get_mut(&conn) else { return };
        let mut lost = if keeps { VecDeque::new() } else { std::mem::take(&mut link.requests) };
        lost.push_back(request);
        self.send(conn, &Message::Choke);
        for request in lost.into_iter().filter(|_| fast) {
            self.send(conn, &Message::Reject(request));
        }
        self.send(conn, &Message::Unchoke);
    }

    /// Once a second. The connections that have something new to write.
    pub fn tick(&mut self) -> Vec<usize> {
        let conns: Vec<usize> = self.links.keys().copied().collect();
        let pieces = self.content.info.layout.num_pieces();
        for conn in &conns {
            let Some(link) = self.links.get_mut(conn) else { continue };
            link.ticks += 1;
            if self.quirks.interested && link.ticks.is_multiple_of(60) {
                self.send(*conn, &Message::KeepAlive);
            }
            let Some(link) = self.links.get_mut(conn) else { continue };
            if let Some(rate) = self.quirks.metadata_rate {
                link.out.push_back(link.drops.drain(..link.drops.len().min(rate)).collect());
            }
            match self.manner {
                Manner::Dripper(rate) => {
                    if link.drops.is_empty()
                        && let Some(request) = link.requests.pop_front()
                    {
                        let mut bytes = Vec::new();
                        encode_piece_header(request.piece, request.begin, request.length, &mut bytes);
                        bytes.extend_from_slice(self.content.block(request.piece, request.begin, request.length));
                        link.drops.extend(bytes);
                    }
                    let drop = link.drops.drain(..link.drops.len().min(rate)).collect();
                    link.out.push_back(drop);
                }
                Manner::Paced(seconds) => {
                    let work = link.at_work.take().or_else(|| Some((link.requests.pop_front()?, 0)));
                    match work {
                        Some((request, spent)) if spent >= seconds => {
                            link.at_work = link.requests.pop_front().map(|next| (next, 1));
                            self.send_block(*conn, request);
                        }
                        work => link.at_work = work.map(|(request, spent)| (request, spent + 1)),
                    }
                }
                Manner::PartTime { on, of, from } => {
                    let turn = (link.ticks + of - from) % of;
                    let lets = link.ticks >= from && turn < on && link.interested;
                    if lets == link.choking {
                        link.choking = !lets;
                        link.requests.clear();
                        self.send(*conn, if lets { &Message::Unchoke } else { &Message::Choke });
                    } else if let Some(request) = link.requests.pop_front() {
                        self.send_block(*conn, request);
                    }
                }
                Manner::Choker if link.ticks.is_multiple_of(3) && link.interested => {
                    link.choking = !link.choking;
                    if link.choking {
                        let dropped: Vec<BlockRequest> = link.requests.drain(..).collect();
                        self.send(*conn, &Message::Choke);
                        for request in dropped {
                            self.send(*conn, &Message::Reject(request));
                        }
                    } else {
                        self.send(*conn, &Message::Unchoke);
                    }
                }
                Manner::Shower { .. } if link.ticks.is_multiple_of(10) && link.interested && link.choking => {
                    link.choking = false;
                    self.send(*conn, &Message::Unchoke);
                }
                Manner::Flapper => {
                    let Some(id) = link.ids.lt_donthave else { continue };
                    let piece = self.rng.u32(0..pieces);
                    let refused: Vec<BlockRequest> =
                        link.requests.iter().filter(|r| r.piece == piece).copied().collect();
                    link.requests.retain(|r| r.piece != piece);
                    self.send(*conn, &Message::Extended { id, payload: lt_donthave::encode(piece).to_vec() });
                    for request in refused {
                        self.send(*conn, &Message::Reject(request));
                    }
                    self.send(*conn, &Message::Have(piece));
                }
                _ => {}
            }
        }
        conns
    }
}
