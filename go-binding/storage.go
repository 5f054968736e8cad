package torrent

import (
	"elementum.example/torrent/internal/capi"
)

// StorageStats is what a torrent and its session hold in memory.
type StorageStats struct {
	// Whole session, bytes: what may be in use; what is; the most that was since the limit was set, that moment included. Neither is
	// above the limit, unless it was lowered below what was in use: then more is for a moment, until what is on its way is here and
	// what is being read is read.
	SessionLimit, SessionCharged, SessionPeak uint64
	// This torrent, bytes: of verified pieces; of pieces that are not whole; on their way from peers.
	Resident, Partial, InFlight uint64
	// Bytes that are not evicted: heads and tails of files being read, and SetLookbehind.
	Pinned, Protected uint64
	// What it may keep now of the session's limit, bytes.
	Share uint64
	// Pieces that left memory, and pieces that were fetched again after that.
	EvictedPieces, RefetchedPieces uint64
	// Pieces that are there, and those of them that lookbehind protects.
	ResidentPieces, ProtectedPieces int
}

// StorageStats gives what the torrent and its session hold in memory.
func (t *Torrent) StorageStats() (StorageStats, error) {
	s, index := t.raw()
	var raw capi.StorageStatsInfo
	if err := s.StorageStats(index, &raw); err != nil {
		return StorageStats{}, wrap("Torrent.StorageStats", err)
	}
	return StorageStats{
		SessionLimit:    raw.Session_limit,
		SessionCharged:  raw.Session_charged,
		SessionPeak:     raw.Session_peak,
		Resident:        raw.Resident,
		Partial:         raw.Partial,
		InFlight:        raw.In_flight,
		Pinned:          raw.Pinned,
		Protected:       raw.Protected_bytes,
		Share:           raw.Share,
		EvictedPieces:   raw.Evicted_pieces,
		RefetchedPieces: raw.Refetched_pieces,
		ResidentPieces:  int(raw.Resident_pieces),
		ProtectedPieces: int(raw.Protected_pieces),
	}, nil
}

// SetLookbehind protects pieces from eviction, in place of those protected before. Those that are not there are not fetched for it, but
// stay once they are.
//
// Protected is half the memory limit at most, in memory storage, all torrents together. Where the limit is lowered, pieces stay
// protected from the lowest number on for as long as they fit into half of the new one, what other torrents protect taken off. The first
// that does not fit and those behind it may be evicted, as any other. They count as protected again when there is room again (the
// limit is raised, or another torrent protects less), but what was evicted is not fetched for it. A read of a piece that does not fit
// beside what is protected waits until less is.
//
// Errors: [ErrOutOfMemory] for more than half the memory limit, [ErrInvalidArgument], [ErrNoMetadata].
func (t *Torrent) SetLookbehind(pieces []PieceIndex) error {
	s, index := t.raw()
	raw := make([]int32, len(pieces))
	for i, piece := range pieces {
		raw[i] = int32(piece)
	}
	return wrap("Torrent.SetLookbehind", s.SetLookbehind(index, raw))
}

// ClearLookbehind ends the protection of all pieces.
func (t *Torrent) ClearLookbehind() error {
	return t.simple("ClearLookbehind", (*capi.Session).ClearLookbehind)
}

// IsLookbehindAvailable tells whether a piece can be read back now, without the network. Each call counts as a hit or a miss of
// [LookbehindStats]. Errors: [ErrInvalidArgument], [ErrNoMetadata].
func (t *Torrent) IsLookbehindAvailable(piece PieceIndex) (bool, error) {
	s, index := t.raw()
	available, err := s.IsLookbehindAvailable(index, int32(piece))
	return available, wrap("Torrent.IsLookbehindAvailable", err)
}

// LookbehindStats is what a torrent's lookbehind holds.
type LookbehindStats struct {
	// Pieces that are to be kept, and those of them that are there.
	ProtectedPieces, AvailablePieces int
	// Bytes of those that are protected now, there or not, and how many there may be: half the session's limit. Where that was lowered they
	// may be fewer than are to be kept.
	ProtectedBytes, LimitBytes uint64
	// Answers of IsLookbehindAvailable: yes, and no.
	Hits, Misses uint64
}

// LookbehindStats gives what the torrent's lookbehind holds.
func (t *Torrent) LookbehindStats() (LookbehindStats, error) {
	s, index := t.raw()
	var raw capi.LookbehindInfo
	if err := s.LookbehindStats(index, &raw); err != nil {
		return LookbehindStats{}, wrap("Torrent.LookbehindStats", err)
	}
	return LookbehindStats{
		ProtectedPieces: int(raw.Protected_pieces),
		AvailablePieces: int(raw.Available_pieces),
		ProtectedBytes:  raw.Protected_bytes,
		LimitBytes:      raw.Limit_bytes,
		Hits:            raw.Hits,
		Misses:          raw.Misses,
	}, nil
}

// ReadPiece reads from a piece that is there, from offset in it on, without waiting and without wanting it: less than asked for at
// the piece's end. Errors: [ErrWouldBlock] where the piece is not there, [ErrInvalidArgument], [ErrNoMetadata].
func (t *Torrent) ReadPiece(piece PieceIndex, offset int64, into []byte) (int, error) {
	if offset < 0 {
		return 0, invalid("Torrent.ReadPiece", "offset %d is out of range: 0 to the piece's end", offset)
	}
	s, index := t.raw()
	n, err := s.StorageRead(index, int32(piece), uint64(offset), into)
	return n, wrap("Torrent.ReadPiece", err)
}
