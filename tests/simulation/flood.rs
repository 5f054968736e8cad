//! Messages without end: each valid, none of any use.

use elementum_torrent::metainfo::Info;
use elementum_torrent::wire::{
    BlockRequest, ExtendedHandshake, ExtensionIds, Message, MetadataMessage, PexMessage, lt_donthave,
};

/// The ids that our engine gives its extended messages.
const UT_PEX: u8 = 1;
const UT_METADATA: u8 = 2;
const LT_DONTHAVE: u8 = 3;

/// Of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    Requests,
    /// Interested, not interested.
    Interest,
    /// Extended handshakes, each with a port and an address of ours of its own.
    Hellos,
    MetadataRequests,
    Chokes,
    /// Has a piece, and has it not.
    Haves,
    Cancels,
    Rejects,
    Gossip,
    /// Blocks that nobody asked for.
    Blocks,
    /// Keep-alives, ports, suggestions, messages that nobody knows (hash requests among them).
    Trifles,
    /// Any of them.
    Mixed,
}

impl Flood {
    pub const ALL: [Self; 12] = [
        Self::Requests,
        Self::Interest,
        Self::Hellos,
        Self::MetadataRequests,
        Self::Chokes,
        Self::Haves,
        Self::Cancels,
        Self::Rejects,
        Self::Gossip,
        Self::Blocks,
        Self::Trifles,
        Self::Mixed,
    ];

    /// The next few thousand bytes of it.
    pub fn bytes(self, rng: &mut fastrand::Rng, info: &Info) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < 4096 {
            let kind = if self == Self::Mixed { Self::ALL[rng.usize(0..Self::ALL.len() - 1)] } else { self };
            kind.push(rng, info, &mut out);
        }
        out
    }

    fn push(self, rng: &mut fastrand::Rng, info: &Info, out: &mut Vec<u8>) {
        let layout = &info.layout;
        let piece = rng.u32(0..layout.num_pieces());
        let block = rng.u32(0..layout.blocks_in_piece(piece));
        let request = BlockRequest { piece, begin: block * 16 * 1024, length: layout.block_size(piece, block) };
        let mut say = |message: Message| message.encode(out);
        match self {
            Self::Requests => say(Message::Request(request)),
            Self::Cancels => say(Message::Cancel(request)),
            Self::Rejects => say(Message::Reject(request)),
            Self::Interest => {
                say(Message::Interested);
                say(Message::NotInterested);
            }
            Self::Chokes => {
                say(Message::Unchoke);
                say(Message::Choke);
            }
            Self::Haves => {
                say(Message::Have(piece));
                say(Message::Extended { id: LT_DONTHAVE, payload: lt_donthave::encode(piece).to_vec() });
            }
            Self::MetadataRequests => {
                say(Message::Extended { id: UT_METADATA, payload: MetadataMessage::Request { piece: 0 }.encode() });
            }
            Self::Hellos => {
                let m = ExtensionIds { ut_metadata: Some(7), lt_donthave: Some(rng.u8(..)), ..Default::default() };
                let hello = ExtendedHandshake {
                    m,
                    p: Some(rng.u16(1..)),
                    yourip: Some([1, 2, 3, rng.u8(..)].into()),
                    reqq: Some(rng.u32(..)),
                    ..Default::default()
                };
                say(Message::Extended { id: 0, payload: hello.encode() });
            }
            Self::Gossip => {
                let added = (0..50).map(|_| (([20, rng.u8(..), rng.u8(..), rng.u8(1..)], 6881).into(), 0)).collect();
                let payload = PexMessage { added, dropped: Vec::new() }.encode();
                say(Message::Extended { id: UT_PEX, payload });
            }
            Self::Blocks => {
                elementum_torrent::wire::encode_piece_header(piece, request.begin, request.length, out);
                out.resize(out.len() + request.length as usize, 0);
            }
            Self::Trifles => match rng.u8(0..5) {
                0 => say(Message::KeepAlive),
                1 => say(Message::Port(rng.u16(..))),
                2 => say(Message::Suggest(piece)),
                3 => say(Message::AllowedFast(piece)),
                _ => {
                    out.extend_from_slice(&49u32.to_be_bytes());
                    out.extend_from_slice(&[21; 49]);
                }
            },
            Self::Mixed => {}
        }
    }
}
