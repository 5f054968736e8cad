package main

import (
	"net/http"
	"sync"
	"sync/atomic"

	"elementum.example/torrent"
)

// So many streams take turns at one piece's memory. A piece is read faster than it plays: while it plays out of the client's buffer,
// its memory serves another stream.
const streamsPerPiece = 2

var errMemory = &failure{status: http.StatusServiceUnavailable, code: "memory_full", retryAfter: "10",
	message: "the memory limit does not hold one more stream: each needs a piece in memory; close one, or start the service with a greater -memory"}

// streams are those that are open.
type streams struct {
	most int
	// Bytes that pieces may take; 0: no bound, they are on disk.
	memory func() uint64

	sent  atomic.Uint64
	total atomic.Uint64
	// Of all that are and were open: bytes that came for nothing, by why.
	wasted, duplicate atomic.Uint64

	mu   sync.Mutex
	next uint64
	open map[*content]place
}

// A place is an open stream's: its number, and the memory that a piece of it takes.
type place struct {
	id, pieceCost uint64
}

func newStreams(most int, memory func() uint64) *streams {
	return &streams{most: most, memory: memory, open: map[*content]place{}}
}

// enter lets a stream in where there is a place, and memory for the piece at its position beside those of the others. Streams at one
// piece share it.
func (s *streams) enter(c *content, pieceCost uint64) error {
	memory := s.memory()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.most {
		return errBusy
	}
	// A piece that does not fit alone is not a matter of how many there are: opening its reader says so.
	if memory > 0 && pieceCost <= memory && len(s.open) > 0 {
		needed := map[pieceInUse]uint64{pieceInUseBy(c, pieceCost): pieceCost}
		for other, place := range s.open {
			needed[pieceInUseBy(other, place.pieceCost)] = place.pieceCost
		}
		var sum uint64
		for _, cost := range needed {
			sum += cost
		}
		if sum > streamsPerPiece*memory {
			return errMemory
		}
	}
	s.next++
	s.open[c] = place{s.next, pieceCost}
	s.total.Add(1)
	return nil
}

// A pieceInUse is the one that a stream reads.
type pieceInUse struct {
	torrent torrent.StorageIndex
	piece   uint64
}

func pieceInUseBy(c *content, pieceCost uint64) pieceInUse {
	return pieceInUse{c.torrent.StorageIndex(), (c.file.Offset + uint64(c.at.Load())) / max(pieceCost, 1)}
}

func (s *streams) leave(c *content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// snapshot is a copy: a status must not be asked for under the lock.
func (s *streams) snapshot() map[uint64]*content {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[uint64]*content, len(s.open))
	for c, place := range s.open {
		all[place.id] = c
	}
	return all
}

// pieceCost is the memory that a piece takes: whole blocks.
func (s *service) pieceCost(info torrent.TorrentInfo) uint64 {
	const block = 16 << 10
	return (uint64(info.PieceLength) + block - 1) / block * block
}

// memoryLimit is what pieces in memory may take, as the session says.
func (s *service) memoryLimit() uint64 {
	if s.config.storage != torrent.StorageMemory {
		return 0
	}
	stats, err := s.session.Stats()
	if err != nil {
		return 0
	}
	return stats.MemoryLimit
}

// endStopped ends the streams of torrents that an error stops: nothing comes for them any more.
func (s *service) endStopped() {
	for alert, dropped := range s.feed.Subscribe(s.ctx, alertQueue) {
		stopped, ok := alert.(*torrent.TorrentError)
		if !ok && dropped == 0 {
			continue
		}
		for _, content := range s.streams.snapshot() {
			// One that was lost may have told of any of them.
			if dropped == 0 && content.torrent.StorageIndex() != stopped.StorageIndex() {
				continue
			}
			if err := stoppedBy(content.torrent); err != nil {
				content.fail(err)
			}
		}
	}
}
