package torrent

import (
	"net/netip"
	"time"

	"elementum.example/torrent/internal/capi"
)

// An Explanation is why the byte at a reader's position is not here: one reason, and the facts that it rests on.
type Explanation struct {
	Reason Reason
	// The reader's position, bytes from the file's start.
	Offset int64
	// How long a read has waited for it; negative: none waits.
	Waited time.Duration
	// The byte's piece, and the block of it that is waited for: of those that were asked for the one that was expected first; where
	// none was, the first that is missing. -1: none.
	Piece PieceIndex
	Block int
	// Blocks that the piece has, that are here, and that were asked for and are not.
	BlocksInPiece, BlocksHere, BlocksAsked int
	// Until the byte can be read, by how fast the peers have been; negative: that cannot be told.
	Expected time.Duration
	// How much later the block is than it was expected.
	Overdue time.Duration
	// Who was asked for the block first; not valid where nobody was.
	AskedOf netip.AddrPort
	Peers   ExplanationPeers
	// Bytes of payload a second that come for the torrent now, and may come at most: 0 is no limit.
	DownloadRate, TorrentDownloadLimit, SessionDownloadLimit uint32
	// What stopped the torrent; 0: nothing did.
	TorrentErr Code
	Memory     ExplanationMemory

	raw capi.ReaderExplanation
}

// ExplanationPeers are counts of a torrent's peers.
type ExplanationPeers struct {
	// That are here, and of those, that have the piece.
	Connected, WithPiece int
	// Of those that have it: that let us ask for it; of these, that refused it lately, and that have not sent anything for long.
	Unchoked, Refusing, Snubbed int
	// That were asked for the block and have not answered: more than one where it is late.
	Asked int
	// Dials under way, and known peers that could be dialled, now or later.
	Dialling, Candidates int
}

// ExplanationMemory is where the bytes of the session's memory are.
type ExplanationMemory struct {
	// That may be in use, and that are. The rest is where they are.
	Limit, Charged uint64
	// Set aside for what the torrent asked for.
	Requested uint64
	// Of what the torrent has: heads and tails of files, protected lookbehind, the rest of readers' windows and of pieces with a deadline.
	Pinned, Protected, Wanted uint64
	// What makes room when it is needed.
	Idle uint64
	// What reads, uploads and the disk have in hand.
	Held          uint64
	OtherTorrents uint64
}

// String is the explanation as a sentence for people. Its wording may change.
func (e Explanation) String() string {
	if e.raw.Struct_size == 0 {
		return ""
	}
	return capi.ExplanationMessage(&e.raw)
}

// Explain tells why the byte at the reader's position is not here yet. It changes nothing, and is cheap enough to be asked a few times a
// second while a player waits.
func (r *Reader) Explain() (Explanation, error) {
	var e Explanation
	if err := r.raw.Explain(&e.raw); err != nil {
		return Explanation{}, wrap("Reader.Explain", err)
	}
	raw := &e.raw
	e.Reason = Reason(raw.Reason)
	e.Offset = int64(raw.Offset)
	e.Waited = milliseconds(raw.Waited_ms)
	e.Piece, e.Block = PieceIndex(raw.Piece), int(raw.Block)
	e.BlocksInPiece, e.BlocksHere, e.BlocksAsked = int(raw.Blocks_in_piece), int(raw.Blocks_here), int(raw.Blocks_asked)
	e.Expected = milliseconds(raw.Expected_ms)
	e.Overdue = milliseconds(raw.Overdue_ms)
	e.AskedOf = endpoint(&raw.Asked_of)
	e.Peers = ExplanationPeers{
		Connected:  int(raw.Peers_connected),
		WithPiece:  int(raw.Peers_with_piece),
		Unchoked:   int(raw.Peers_unchoked),
		Refusing:   int(raw.Peers_refusing),
		Snubbed:    int(raw.Peers_snubbed),
		Asked:      int(raw.Peers_asked),
		Dialling:   int(raw.Peers_dialling),
		Candidates: int(raw.Peers_candidates),
	}
	e.DownloadRate = raw.Download_rate
	e.TorrentDownloadLimit, e.SessionDownloadLimit = raw.Torrent_download_limit, raw.Session_download_limit
	e.TorrentErr = Code(raw.Torrent_error)
	e.Memory = ExplanationMemory{
		Limit:         raw.Memory_limit,
		Charged:       raw.Memory_charged,
		Requested:     raw.Memory_requested,
		Pinned:        raw.Memory_pinned,
		Protected:     raw.Memory_protected,
		Wanted:        raw.Memory_wanted,
		Idle:          raw.Memory_idle,
		Held:          raw.Memory_held,
		OtherTorrents: raw.Memory_other_torrents,
	}
	return e, nil
}
