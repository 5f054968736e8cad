//! What there is to say about a reader's byte: the reason why it is not here, the facts that it rests on, and a sentence.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::error::Status;
use crate::memory::pool::BLOCK_SIZE;

/// Why the byte at a reader's position is not here. The numbers are the C ABI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Reason {
    /// It is here.
    Ready = 0,
    EndOfFile = 1,
    /// All of its piece is here, and being hashed.
    Verifying = 10,
    /// The torrent stopped with an error.
    Error = 20,
    TorrentPaused = 21,
    SessionPaused = 22,
    /// What is on disk is being checked.
    CheckingFiles = 23,
    /// The torrent only uploads.
    UploadMode = 24,
    /// The reader has not read for long, others have, and the memory is theirs.
    ReaderAsleep = 25,
    /// Nobody is connected.
    NoPeers = 30,
    NoPeerHasIt = 31,
    /// All that have it choke us.
    Choked = 32,
    /// All that have it and let us ask refused it.
    Refused = 33,
    /// All that were asked have not sent anything for long.
    Snubbed = 34,
    /// It was asked for and is on its way.
    Requested = 40,
    /// It was asked for, and a download limit holds it back.
    DownloadLimit = 41,
    /// Peers would send it, but other blocks come first.
    Queued = 42,
    /// There is no memory to ask for it.
    MemoryFull = 43,
}

impl Reason {
    pub const ALL: [Self; 18] = [
        Self::Ready,
        Self::EndOfFile,
        Self::Verifying,
        Self::Error,
        Self::TorrentPaused,
        Self::SessionPaused,
        Self::CheckingFiles,
        Self::UploadMode,
        Self::ReaderAsleep,
        Self::NoPeers,
        Self::NoPeerHasIt,
        Self::Choked,
        Self::Refused,
        Self::Snubbed,
        Self::Requested,
        Self::DownloadLimit,
        Self::Queued,
        Self::MemoryFull,
    ];

    pub fn by_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as i32 == number)
    }
}

/// The reason, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub reason: Reason,
    /// The reader's position in its file.
    pub offset: u64,
    /// How long its read has waited for it.
    pub waited: Option<Duration>,
    pub piece: Option<u32>,
    /// The block of the piece that is waited for: the one that is, or will first be, overdue; where none was asked for, the first
    /// that is missing.
    pub block: Option<u32>,
    pub blocks: PieceBlocks,
    pub peers: PeerCounts,
    /// Who was asked for the block first.
    pub asked_of: Option<SocketAddr>,
    /// Until the byte can be read, as far as that can be told.
    pub expected: Option<Duration>,
    /// How much later the block is than it was expected.
    pub overdue: Duration,
    pub memory: MemoryUse,
    /// Bytes a second, 0: no limit. Filled in by the shell.
    pub torrent_limit: u32,
    pub session_limit: u32,
    /// Bytes a second of payload that come now.
    pub download_rate: u32,
    /// What stopped the torrent.
    pub error: Option<Status>,
}

/// Blocks of a piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PieceBlocks {
    pub total: u32,
    pub here: u32,
    /// Asked for and not here.
    pub asked: u32,
}

/// The torrent's peers, in the order in which they are sorted out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Dials under way, and peers that could be dialled.
    pub dialling: u32,
    pub candidates: u32,
    pub connected: u32,
    pub with_piece: u32,
    /// Of those, that let us ask for it.
    pub unchoked: u32,
    /// Of those, that refused it lately; that do not send what they are asked for.
    pub refusing: u32,
    pub snubbed: u32,
    /// That were asked for the block and have not answered.
    pub asked: u32,
}

/// Where the session's memory is, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    pub limit: u64,
    pub charged: u64,
    /// Set aside for what this torrent asked for.
    pub requested: u64,
    /// Of what it has: heads and tails; protected lookbehind; the rest of what readers and deadlines want.
    pub pinned: u64,
    pub protected: u64,
    pub wanted: u64,
    /// What could go.
    pub idle: u64,
    /// What callers, uploads and the disk hold.
    pub held: u64,
    pub other_torrents: u64,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = &self.peers;
        let piece = self.piece.unwrap_or_default();
        match self.reason {
            Reason::Ready => write!(f, "the byte is here"),
            Reason::EndOfFile => write!(f, "the reader is at the end of the file"),
            Reason::Verifying => write!(f, "piece {piece} is here and being verified"),
            Reason::Error => write!(f, "the torrent stopped with an error"),
            Reason::TorrentPaused => write!(f, "the torrent is paused"),
            Reason::SessionPaused => write!(f, "the session is paused"),
            Reason::CheckingFiles => write!(f, "what is on disk is being checked"),
            Reason::UploadMode => write!(f, "the torrent only uploads"),
            Reason::ReaderAsleep => write!(f, "the reader has not read for long, and others have its memory"),
            Reason::NoPeers => match (peers.dialling, peers.candidates) {
                (0, 0) => write!(f, "no peer is connected, and none is known that could be dialled"),
                (0, known) => write!(f, "no peer is connected; {known} will be dialled again"),
                (dialling, _) => write!(f, "no peer is connected; {dialling} being dialled"),
            },
            Reason::NoPeerHasIt if peers.connected == 1 => write!(f, "the one peer here does not have piece {piece}"),
            Reason::NoPeerHasIt => write!(f, "none of {} peers has piece {piece}", peers.connected),
            Reason::Choked => write!(f, "{} us", those(peers.with_piece, piece, "chokes", "choke")),
            Reason::Refused => write!(f, "{} it", those(peers.unchoked, piece, "refused", "refused")),
            Reason::Snubbed => {
                write!(f, "{}", those(peers.unchoked - peers.refusing.min(peers.unchoked), piece, "stalls", "stall"))?;
                self.write_request(f, ": ")
            }
            Reason::Requested => self.write_request(f, ""),
            Reason::DownloadLimit => {
                let (whose, limit) = match (self.torrent_limit, self.session_limit) {
                    (0, limit) => ("session", limit),
                    (limit, 0) => ("torrent", limit),
                    (torrent, session) if torrent <= session => ("torrent", torrent),
                    (_, session) => ("session", session),
                };
                write!(f, "the {whose}'s download limit of {} a second holds it back: ", Bytes(limit.into()))?;
                self.write_request(f, "")
            }
            Reason::Queued if peers.unchoked == 1 => {
                write!(f, "the peer that has piece {piece} was asked for other blocks first")
            }
            Reason::Queued => {
                write!(f, "{} peers that have piece {piece} were asked for other blocks first", peers.unchoked)
            }
            Reason::MemoryFull => self.write_memory(f),
        }
    }
}

impl Explanation {
    fn write_request(&self, f: &mut fmt::Formatter<'_>, before: &str) -> fmt::Result {
        let (piece, block) = (self.piece.unwrap_or_default(), self.block.unwrap_or_default());
        write!(f, "{before}block {block} of piece {piece} was asked ")?;
        match self.asked_of {
            Some(peer) => write!(f, "of {peer}")?,
            None => write!(f, "for")?,
        }
        match self.peers.asked.saturating_sub(1) {
            0 => {}
            1 => write!(f, " and of another peer")?,
            more => write!(f, " and of {more} other peers")?,
        }
        if !self.overdue.is_zero() && self.expected.is_none() {
            write!(f, ", {} overdue", Span(self.overdue))?;
        }
        let blocks = &self.blocks;
        if blocks.total > 1 {
            write!(f, "; {} of {} blocks are here", blocks.here, blocks.total)?;
        }
        match self.expected {
            Some(expected) => write!(f, ", the byte in about {}", Span(expected)),
            None => Ok(()),
        }
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        write!(f, "no memory is free to ask for it: {} of {} in use", Bytes(memory.charged), Bytes(memory.limit))?;
        let piece = u64::from(self.blocks.total) * u64::from(BLOCK_SIZE);
        if piece > memory.limit {
            return write!(f, ", and its piece takes {}", Bytes(piece));
        }
        let parts = [
            (memory.requested, "asked for"),
            (memory.pinned, "heads and tails of files"),
            (memory.protected, "protected lookbehind"),
            (memory.wanted, "in readers' windows"),
            (memory.held, "held by callers, uploads or the disk"),
            (memory.other_torrents, "other torrents'"),
        ];
        for (i, (bytes, what)) in parts.into_iter().filter(|(bytes, _)| *bytes > 0).enumerate() {
            write!(f, "{} {} {what}", if i == 0 { ":" } else { "," }, Bytes(bytes))?;
        }
        let fits = memory.charged.saturating_add(piece) <= memory.limit;
        if fits { f.write_str(", and others are in line before it") } else { Ok(()) }
    }
}

/// "the only peer that has piece 7 chokes", "all 3 peers that have piece 7 choke".
fn those(count: u32, piece: u32, one: &str, many: &str) -> String {
    match count {
        1 => format!("the only peer that has piece {piece} {one}"),
        _ => format!("all {count} peers that have piece {piece} {many}"),
    }
}

/// Bytes for people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n @ ..=1023 => write!(f, "{n} bytes"),
            n @ ..=0xf_ffff => write!(f, "{} KiB", n.div_ceil(1024)),
            n => write!(f, "{:.1} MiB", n as f64 / f64::from(1 << 20)),
        }
    }
}

/// A time for people.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms @ ..=999 => write!(f, "{ms} ms"),
            ms @ ..=59_999 => write!(f, "{:.1} s", ms as f64 / 1000.0),
            ms => write!(f, "{} min", ms / 60_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reason: Reason) -> Explanation {
        Explanation {
            reason,
            offset: 0,
            waited: None,
            piece: Some(7),
            block: Some(2),
            blocks: PieceBlocks { total: 4, here: 1, asked: 2 },
            peers: PeerCounts {
                connected: 5,
                with_piece: 3,
                unchoked: 2,
                refusing: 0,
                asked: 1,
                ..PeerCounts::default()
            },
            asked_of: Some(([10, 0, 0, 1], 6881).into()),
            expected: None,
            overdue: Duration::ZERO,
            memory: MemoryUse {
                limit: 4 << 20,
                charged: 4 << 20,
                requested: 1 << 20,
                pinned: 512 << 10,
                ..MemoryUse::default()
            },
            torrent_limit: 50_000,
            session_limit: 100_000,
            download_rate: 0,
            error: Some(Status::Io),
        }
    }

    #[test]
    fn every_reason_has_its_sentence() {
        let mut sentences: Vec<String> = Reason::ALL.into_iter().map(|reason| of(reason).to_string()).collect();
        assert!(sentences.iter().all(|s| s.len() > 10 && s.is_ascii()), "{sentences:#?}");
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), Reason::ALL.len());
    }

    #[test]
    fn numbers_and_reasons_go_with_each_other() {
        for reason in Reason::ALL {
            assert_eq!(Reason::by_number(reason as i32), Some(reason));
        }
        assert_eq!(Reason::by_number(-1), None);
        assert_eq!(Reason::by_number(2), None);
    }

    #[test]
    fn sentences_have_the_facts() {
        let mut requested = of(Reason::Requested);
        requested.expected = Some(Duration::from_millis(310));
        assert_eq!(
            requested.to_string(),
            "block 2 of piece 7 was asked of 10.0.0.1:6881; 1 of 4 blocks are here, the byte in about 310 ms"
        );
        (requested.expected, requested.overdue, requested.peers.asked) = (None, Duration::from_millis(1250), 3);
        requested.blocks = PieceBlocks { total: 1, here: 0, asked: 1 };
        assert_eq!(
            requested.to_string(),
            "block 2 of piece 7 was asked of 10.0.0.1:6881 and of 2 other peers, 1.2 s overdue"
        );
        assert_eq!(of(Reason::Choked).to_string(), "all 3 peers that have piece 7 choke us");
        let mut choked = of(Reason::Choked);
        choked.peers.with_piece = 1;
        assert_eq!(choked.to_string(), "the only peer that has piece 7 chokes us");
        let mut full = of(Reason::MemoryFull);
        assert_eq!(
            full.to_string(),
            "no memory is free to ask for it: 4.0 MiB of 4.0 MiB in use: 1.0 MiB asked for, 512 KiB heads and tails of files"
        );
        full.memory.limit = 8 << 20;
        assert!(full.to_string().ends_with("heads and tails of files, and others are in line before it"));
        full.memory.limit = 32 << 10;
        assert_eq!(
            full.to_string(),
            "no memory is free to ask for it: 4.0 MiB of 32 KiB in use, and its piece takes 64 KiB"
        );
        assert!(of(Reason::DownloadLimit).to_string().starts_with("the torrent's download limit of 49 KiB a second"));
    }
}
