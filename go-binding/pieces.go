package torrent

import (
	"iter"
	"math/bits"
	"time"

	"elementum.example/torrent/internal/capi"
)

// A PieceSet tells which pieces are there. It is a copy of its own.
type PieceSet struct {
	bits []byte
	len  int
}

// Len is how many pieces the torrent has.
func (p PieceSet) Len() int { return p.len }

// Has tells whether a piece is there; false for no such piece.
func (p PieceSet) Has(piece PieceIndex) bool {
	return piece >= 0 && int(piece) < p.len && p.bits[piece/8]&(0x80>>(piece%8)) != 0
}

// Count is how many are there.
func (p PieceSet) Count() int {
	count := 0
	for _, b := range p.bits {
		count += bits.OnesCount8(b)
	}
	return count
}

// All gives those that are there, by their numbers.
func (p PieceSet) All() iter.Seq[PieceIndex] {
	return func(yield func(PieceIndex) bool) {
		for i := range p.len {
			if p.Has(PieceIndex(i)) && !yield(PieceIndex(i)) {
				return
			}
		}
	}
}

// Bytes is the set as a bitfield: piece 0 is the highest bit of the first byte. Spare bits are 0.
func (p PieceSet) Bytes() []byte { return append([]byte(nil), p.bits...) }

// Pieces gives which pieces are there. Errors: [ErrNoMetadata].
func (t *Torrent) Pieces() (PieceSet, error) {
	s, index := t.raw()
	bits, count, err := s.Pieces(index)
	if err != nil {
		return PieceSet{}, wrap("Torrent.Pieces", err)
	}
	return PieceSet{bits: bits, len: count}, nil
}

// PieceAvailability gives how many connected peers have each piece. Errors: [ErrNoMetadata].
func (t *Torrent) PieceAvailability() ([]uint32, error) {
	s, index := t.raw()
	counts, err := s.PieceAvailability(index)
	return counts, wrap("Torrent.PieceAvailability", err)
}

// A PartialPiece is a piece of which some blocks are asked for or there.
type PartialPiece struct {
	Piece PieceIndex
	// Blocks that are there, that are on their way to the disk, that are asked for.
	Finished, Writing, Requested int
	Blocks                       []BlockState
}

// DownloadQueue gives the pieces that are coming in, by their numbers. Errors: [ErrNoMetadata].
func (t *Torrent) DownloadQueue() ([]PartialPiece, error) {
	s, index := t.raw()
	return list("Torrent.DownloadQueue", index, s.DownloadQueue, func(record capi.Record, raw *capi.PartialPieceInfo) PartialPiece {
		states := record.Span(raw.Blocks)
		piece := PartialPiece{
			Piece:     PieceIndex(raw.Piece),
			Finished:  int(raw.Finished),
			Writing:   int(raw.Writing),
			Requested: int(raw.Requested),
			Blocks:    make([]BlockState, len(states)),
		}
		for i, state := range states {
			piece.Blocks[i] = BlockState(state)
		}
		return piece
	})
}

// PiecePriorities gives the priority of each piece. Errors: [ErrNoMetadata].
func (t *Torrent) PiecePriorities() ([]Priority, error) {
	s, index := t.raw()
	return priorities("Torrent.PiecePriorities", index, s.PiecePriorities)
}

// FilePriorities gives the priority of each file. Errors: [ErrNoMetadata].
func (t *Torrent) FilePriorities() ([]Priority, error) {
	s, index := t.raw()
	return priorities("Torrent.FilePriorities", index, s.FilePriorities)
}

func priorities(op string, index uint64, call func(uint64) ([]uint8, *capi.Error)) ([]Priority, error) {
	raw, err := call(index)
	values := make([]Priority, len(raw))
	for i, value := range raw {
		values[i] = Priority(value)
	}
	return values, wrap(op, err)
}

// PrioritizePieces sets the priorities of all pieces, one each. Errors: [ErrNoMetadata], [ErrInvalidArgument] for another number of
// them.
func (t *Torrent) PrioritizePieces(values []Priority) error {
	s, index := t.raw()
	return prioritize("Torrent.PrioritizePieces", index, values, s.PrioritizePieces)
}

// PrioritizeFiles sets the priorities of all files, one each. Those of their pieces follow. Errors: as PrioritizePieces.
func (t *Torrent) PrioritizeFiles(values []Priority) error {
	s, index := t.raw()
	return prioritize("Torrent.PrioritizeFiles", index, values, s.PrioritizeFiles)
}

func prioritize(op string, index uint64, values []Priority, call func(uint64, []uint8) *capi.Error) error {
	raw, err := checkPriorities(op, values)
	if err != nil {
		return err
	}
	return wrap(op, call(index, raw))
}

// SetPiecePriority sets the priority of one piece. Errors: [ErrNoMetadata], [ErrInvalidArgument].
func (t *Torrent) SetPiecePriority(piece PieceIndex, priority Priority) error {
	s, index := t.raw()
	return wrap("Torrent.SetPiecePriority", s.SetPiecePriority(index, int32(piece), int32(priority)))
}

// SetFilePriority sets the priority of one file. Those of its pieces follow. Errors: [ErrNoMetadata], [ErrInvalidArgument].
func (t *Torrent) SetFilePriority(file FileIndex, priority Priority) error {
	s, index := t.raw()
	return wrap("Torrent.SetFilePriority", s.SetFilePriority(index, int32(file), int32(priority)))
}

// SetPieceDeadline asks for a piece by a time from now on: it comes before whatever has no deadline. Readers set their own; this is for
// programs that do without. Errors: [ErrNoMetadata], [ErrInvalidArgument].
func (t *Torrent) SetPieceDeadline(piece PieceIndex, deadline time.Duration) error {
	s, index := t.raw()
	return wrap("Torrent.SetPieceDeadline", s.SetPieceDeadline(index, int32(piece), deadline.Milliseconds()))
}

// ResetPieceDeadline takes a piece's deadline away.
func (t *Torrent) ResetPieceDeadline(piece PieceIndex) error {
	s, index := t.raw()
	return wrap("Torrent.ResetPieceDeadline", s.ResetPieceDeadline(index, int32(piece)))
}

// ClearPieceDeadlines takes all deadlines away. Before the metadata there are none, and that is no error.
func (t *Torrent) ClearPieceDeadlines() error {
	return t.simple("ClearPieceDeadlines", (*capi.Session).ClearPieceDeadlines)
}
