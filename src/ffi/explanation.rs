//! `et_reader_explain`.

use std::ffi::c_char;
use std::time::Duration;

use super::bytes::text_out;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::reader::{et_reader, reader_of};
use super::sized::{CStruct, OutStruct, read};
use crate::alert::record::et_endpoint;
use crate::alert::types::et_piece_index;
use crate::base::error::{Error, Result};
use crate::session::{Explanation, MemoryUse, PeerCounts, PieceBlocks, Reason};

/// Why a reader's byte is not here: `ET_REASON_*`, in `et_reader_explanation`.
pub type et_reason = i32;
/// It is here.
pub const ET_REASON_READY: et_reason = 0;
/// The reader is at the end of its file.
pub const ET_REASON_END_OF_FILE: et_reason = 1;
/// All of its piece is here, and being hashed.
pub const ET_REASON_VERIFYING: et_reason = 10;
/// The torrent stopped with an error: `et_torrent_error`.
pub const ET_REASON_ERROR: et_reason = 20;
pub const ET_REASON_TORRENT_PAUSED: et_reason = 21;
pub const ET_REASON_SESSION_PAUSED: et_reason = 22;
/// What is on disk is being checked.
pub const ET_REASON_CHECKING_FILES: et_reason = 23;
/// `ET_TORRENT_FLAG_UPLOAD_MODE` is set.
pub const ET_REASON_UPLOAD_MODE: et_reason = 24;
/// The reader has not read for long, others of its torrent have, and the memory is theirs. Its next read changes that.
pub const ET_REASON_READER_ASLEEP: et_reason = 25;
/// No peer is connected.
pub const ET_REASON_NO_PEERS: et_reason = 30;
/// None of the peers has the piece.
pub const ET_REASON_NO_PEER_HAS_IT: et_reason = 31;
/// All peers that have it choke us.
pub const ET_REASON_CHOKED: et_reason = 32;
/// All peers that have it and let us ask refused it (BEP 6). They are asked again, after a wait that grows.
pub const ET_REASON_REFUSED: et_reason = 33;
/// It was asked for, of peers that have not sent anything for long.
pub const ET_REASON_SNUBBED: et_reason = 34;
/// It was asked for and is on its way.
pub const ET_REASON_REQUESTED: et_reason = 40;
/// It was asked for, and a download limit holds back what comes.
pub const ET_REASON_DOWNLOAD_LIMIT: et_reason = 41;
/// Peers would send it, but other blocks were asked of them first.
pub const ET_REASON_QUEUED: et_reason = 42;
/// There is no memory to ask for it: what is in memory is worth as much.
pub const ET_REASON_MEMORY_FULL: et_reason = 43;

/// Why the byte at a reader's position is not here; see `et_reader_explain`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_reader_explanation {
    /// `sizeof(et_reader_explanation)`.
    pub struct_size: usize,
    /// `ET_REASON_*`.
    pub reason: et_reason,
    /// The byte's piece, -1 at the end of the file. All of it has to be here and verified first, but for a reader with
    /// `ET_READER_UNVERIFIED`, which waits for the byte's block alone.
    pub piece: et_piece_index,
    /// The block of it that is waited for, -1: none. Of those that were asked for the one that was expected first; where none
    /// was, the first that is missing.
    pub block: i32,
    /// Blocks that the piece has, that are here, and that were asked for and are not.
    pub blocks_in_piece: u32,
    pub blocks_here: u32,
    pub blocks_asked: u32,
    /// The reader's position, bytes from the file's start.
    pub offset: u64,
    /// Milliseconds that a read has waited for it, -1: none waits.
    pub waited_ms: i64,
    /// Milliseconds until the byte can be read, by how fast the peers have been, -1: that cannot be told.
    pub expected_ms: i64,
    /// Milliseconds by which the block is later than it was expected.
    pub overdue_ms: i64,
    /// Peers that are here, and of those, that have the piece.
    pub peers_connected: u32,
    pub peers_with_piece: u32,
    /// Of those that have it: that let us ask for it; of these, that refused it lately (BEP 6), and that have not sent anything
    /// for long.
    pub peers_unchoked: u32,
    pub peers_refusing: u32,
    pub peers_snubbed: u32,
    /// That were asked for the block and have not answered: more than one where it is late.
    pub peers_asked: u32,
    /// Dials under way, and known peers that could be dialled, now or later.
    pub peers_dialling: u32,
    pub peers_candidates: u32,
    /// Who was asked for the block first; family 0 where nobody was.
    pub asked_of: et_endpoint,
    /// Bytes of payload a second that come for the torrent now.
    pub download_rate: u32,
    /// Bytes a second at most, of the torrent and of the session, 0: no limit.
    pub torrent_download_limit: u32,
    pub session_download_limit: u32,
    /// What stopped the torrent, `ET_OK`: nothing did.
    pub torrent_error: et_status,
    /// Bytes of payload that the session may have in memory, and that are in use. What follows is where they are.
    pub memory_limit: u64,
    pub memory_charged: u64,
    /// Set aside for what this torrent asked for.
    pub memory_requested: u64,
    /// Of what this torrent has: heads and tails of files, protected lookbehind, the rest of readers' windows and of pieces
    /// with a deadline.
    pub memory_pinned: u64,
    pub memory_protected: u64,
    pub memory_wanted: u64,
    /// What makes room when it is needed.
    pub memory_idle: u64,
    /// What reads, uploads and the disk have in hand.
    pub memory_held: u64,
    pub memory_other_torrents: u64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_reader_explanation {}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// -1 stands for none.
fn index_out(index: Option<u32>) -> i32 {
    index.and_then(|i| i32::try_from(i).ok()).unwrap_or(-1)
}

fn duration_in(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

impl From<&Explanation> for et_reader_explanation {
    fn from(e: &Explanation) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            reason: e.reason as i32,
            piece: index_out(e.piece),
            block: index_out(e.block),
            blocks_in_piece: e.blocks.total,
            blocks_here: e.blocks.here,
            blocks_asked: e.blocks.asked,
            offset: e.offset,
            waited_ms: e.waited.map_or(-1, millis),
            expected_ms: e.expected.map_or(-1, millis),
            overdue_ms: millis(e.overdue),
            peers_connected: e.peers.connected,
            peers_with_piece: e.peers.with_piece,
            peers_unchoked: e.peers.unchoked,
            peers_refusing: e.peers.refusing,
            peers_snubbed: e.peers.snubbed,
            peers_asked: e.peers.asked,
            peers_dialling: e.peers.dialling,
            peers_candidates: e.peers.candidates,
            asked_of: e.asked_of.as_ref().map(et_endpoint::from).unwrap_or_default(),
            download_rate: e.download_rate,
            torrent_download_limit: e.torrent_limit,
            session_download_limit: e.session_limit,
            torrent_error: e.error.map_or(0, |status| status as i32),
            memory_limit: e.memory.limit,
            memory_charged: e.memory.charged,
            memory_requested: e.memory.requested,
            memory_pinned: e.memory.pinned,
            memory_protected: e.memory.protected,
            memory_wanted: e.memory.wanted,
            memory_idle: e.memory.idle,
            memory_held: e.memory.held,
            memory_other_torrents: e.memory.other_torrents,
        }
    }
}

/// An explanation from C, for its sentence: what that does not say is left out.
fn explanation_in(e: &et_reader_explanation) -> Result<Explanation> {
    let reason = Reason::by_number(e.reason)
        .ok_or_else(|| Error::invalid(format!("reason is {}, allowed is a number of ET_REASON_*", e.reason)))?;
    Ok(Explanation {
        reason,
        offset: e.offset,
        waited: duration_in(e.waited_ms),
        piece: u32::try_from(e.piece).ok(),
        block: u32::try_from(e.block).ok(),
        blocks: PieceBlocks { total: e.blocks_in_piece, here: e.blocks_here, asked: e.blocks_asked },
        peers: PeerCounts {
            dialling: e.peers_dialling,
            candidates: e.peers_candidates,
            connected: e.peers_connected,
            with_piece: e.peers_with_piece,
            unchoked: e.peers_unchoked,
            refusing: e.peers_refusing,
            snubbed: e.peers_snubbed,
            asked: e.peers_asked,
        },
        asked_of: e.asked_of.address(),
        expected: duration_in(e.expected_ms),
        overdue: duration_in(e.overdue_ms).unwrap_or_default(),
        memory: MemoryUse {
            limit: e.memory_limit,
            charged: e.memory_charged,
            requested: e.memory_requested,
            pinned: e.memory_pinned,
            protected: e.memory_protected,
            wanted: e.memory_wanted,
            idle: e.memory_idle,
            held: e.memory_held,
            other_torrents: e.memory_other_torrents,
        },
        torrent_limit: e.torrent_download_limit,
        session_limit: e.session_download_limit,
        download_rate: e.download_rate,
        error: None,
    })
}

/// Explains why the byte at a reader's position is not here yet: one reason, and the facts that it rests on.
///
/// It changes nothing, and is cheap enough to be asked a few times a second while a player waits; `et_reader_explanation_message`
/// makes a sentence of it. Any thread, also while another reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_explain(
    reader: *mut et_reader,
    out_explanation: *mut et_reader_explanation,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_explanation, "out_explanation")?;
            out.write(&(&reader_of(reader)?.explain()?).into());
            Ok(())
        })
    }
}

/// Gives an explanation as a sentence for people: English, UTF-8, no full stop, no NUL.
///
/// Its wording may change with any version; read the fields for anything but showing it.
/// Errors: `ET_ERR_INVALID_ARGUMENT` for an unknown reason, `ET_ERR_BUFFER_TOO_SMALL` (1024 bytes are always enough). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_explanation_message(
    explanation: *const et_reader_explanation,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let sentence = explanation_in(&read(explanation, "explanation")?)?.to_string();
            text_out(buf, cap, len, &sentence)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each reason has its constant of the same name, and the other way round.
    #[test]
    fn reasons_are_the_librarys() {
        let source = include_str!("explanation.rs");
        let constants: Vec<(String, i32)> = source
            .lines()
            .filter_map(|l| l.strip_prefix("pub const ET_REASON_")?.strip_suffix(';')?.split_once(": et_reason = "))
            .map(|(name, number)| (name.replace('_', "").to_lowercase(), number.parse().expect("a number")))
            .collect();
        let reasons: Vec<(String, i32)> =
            Reason::ALL.into_iter().map(|reason| (format!("{reason:?}").to_lowercase(), reason as i32)).collect();
        assert_eq!(constants, reasons);
    }

    /// Nothing of the sentence is lost on the way through C.
    #[test]
    fn sentences_survive_the_border() {
        for reason in Reason::ALL {
            let told = Explanation {
                reason,
                offset: 70_000,
                waited: Some(Duration::from_millis(1500)),
                piece: Some(3),
                block: Some(1),
                blocks: PieceBlocks { total: 4, here: 1, asked: 2 },
                peers: PeerCounts {
                    dialling: 1,
                    candidates: 2,
                    connected: 9,
                    with_piece: 7,
                    unchoked: 5,
                    refusing: 2,
                    snubbed: 1,
                    asked: 3,
                },
                asked_of: Some(([192, 0, 2, 1], 6881).into()),
                expected: None,
                overdue: Duration::from_millis(2345),
                memory: MemoryUse {
                    limit: 1 << 22,
                    charged: 1 << 22,
                    requested: 1,
                    pinned: 2,
                    protected: 3,
                    wanted: 4,
                    idle: 5,
                    held: 6,
                    other_torrents: 7,
                },
                torrent_limit: 10,
                session_limit: 20,
                download_rate: 30,
                error: None,
            };
            let back = explanation_in(&(&told).into()).expect("a known reason");
            assert_eq!(back, told);
        }
    }
}
