//! The ways in which scripted peers are good or bad.

use super::flood::Flood;

/// What a scripted peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Everything right, with or without the fast extension.
    Honest,
    Plain,
    /// Every n-th block that it sends is wrong.
    Corrupt(u32),
    /// The second block of each piece is wrong (the first, where there is one only).
    CorruptBlock,
    /// Chokes and unchokes every few seconds.
    Choker,
    /// Chokes and unchokes at each so manieth request: all that it was asked for are lost, or that one alone.
    Fickle {
        after: u32,
        fast: bool,
        keeps: bool,
    },
    /// Shows one piece, and the next when all blocks of it were sent, or when it is told that we have it (BEP 16). Who lost interest is choked, for ten seconds at most.
    Shower {
        told: bool,
    },
    /// Shows two pieces at a time, as libtorrent does: one that we are told to have is followed by any that we are not, again those that we
    /// lost, too. What it does not show now it rejects.
    SuperSeeder,
    /// Lets nobody ask.
    Choking,
    /// Takes requests and never answers.
    Staller,
    /// Answers with so many bytes a second.
    Dripper(usize),
    /// A whole block each so many seconds, and nothing in between. What it is at it sends, whatever is taken back.
    Paced(u32),
    /// Lets us ask for so many seconds of each so many, from that one on; what it was asked for and has not sent is lost with a choke. A block a second.
    PartTime {
        on: u32,
        of: u32,
        from: u32,
    },
    /// Never sends the last block of a piece.
    Withholder,
    /// Answers nothing for a while after its first blocks, then goes on.
    Sleeper,
    /// Says it has all, and rejects every request.
    Liar,
    /// Says it has all, and serves odd pieces only.
    Half,
    /// Loses and regains pieces all the time.
    Flapper,
    /// Answers nothing any more after so many blocks.
    Falls(u32),
    /// Goes after so many blocks.
    Leaver(u32),
    /// Sends blocks nobody asked for.
    Unsolicited,
    /// Sends each block twice.
    Double,
    /// Answers in the wrong order.
    Shuffler,
    /// Nonsense after some blocks.
    Garbage,
    /// Claims metadata of that size and never serves it.
    HugeMetadata(u32),
    /// Serves metadata that is wrong.
    WrongMetadata,
    /// Tells of other peers.
    Gossip,
    /// Sends such messages as fast as it can.
    Flood(Flood),
}

impl Manner {
    /// May it be banned?
    pub fn is_corrupt(self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::CorruptBlock | Self::WrongMetadata)
    }

    pub fn sends_wrong_blocks(self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::CorruptBlock)
    }
}

/// What a scripted peer does beside that.
#[derive(Debug, Clone, Default)]
pub struct Quirks {
    /// It rejects so many requests for metadata first.
    pub metadata_rejects: u32,
    /// It offers metadata without a size.
    pub hides_size: bool,
    /// It tells on which port it listens.
    pub tells_port: bool,
    /// It sends so many pieces of metadata, and then no more.
    pub metadata_answers: Option<usize>,
    /// Of the metadata that it sends so many bytes go out a second.
    pub metadata_rate: Option<usize>,
    /// It says that it has all, then that it lost these.
    pub lost: Vec<u32>,
    /// So many of its first blocks have this many bytes instead of those that were asked for.
    pub wrong_lengths: u32,
    pub wrong_length: u32,
    /// Its bitfield has spare bits set.
    pub spare_bits: bool,
    /// Blocks are asked for in its name: what comes of that is passed over.
    pub asked_for: bool,
    /// It says at once that it is interested, and waits for as long as it takes.
    pub interested: bool,
    /// It does without the fast extension.
    pub plain: bool,
    /// It takes so many requests at a time. What is beyond that it rejects, or drops without a word.
    pub takes: Option<usize>,
    pub drops: bool,
    /// It rejects so many of the first requests.
    pub rejects: u32,
    /// And of all requests so many of a hundred, at random.
    pub rejects_percent: u8,
}
