package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"elementum.example/torrent"
)

// So many streams take turns at one piece's memory. A piece is read faster than it plays: while it plays out of the client's buffer,
// its memory serves another stream.
const streamsPerPiece = 2

var errMemory = &failure{status: http.StatusServiceUnavailable, code: "memory_full", retryAfter: "2",
	message: "the memory limit does not hold one more stream: each needs a piece in memory; close one, or start the service with a greater -memory"}

// streams are those that are open.
type streams struct {
	most int
	// Bytes that pieces may take; 0: no bound, they are on disk.
	memory func() uint64
	// How long one waits for memory.
	lineWait time.Duration

	sent  atomic.Uint64
	total atomic.Uint64
	// Of all that are and were open: bytes that came for nothing, by why.
	wasted, duplicate atomic.Uint64

	mu   sync.Mutex
	next uint64
	open map[*content]place
	line []*lineTicket
}

// A place is an open stream's: its number, and the memory that a piece of it takes.
type place struct {
	id, pieceCost uint64
}

func newStreams(most int, memory func() uint64) *streams {
	return &streams{most: most, memory: memory, lineWait: lineWait, open: map[*content]place{}}
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
	delete(s.open, c)
	s.mu.Unlock()
	s.advance()
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

// endStopped ends the streams of torrents that were removed or that an error stops: nothing comes for them any more. A client that
// does not read would not find out by itself.
func (s *service) endStopped() {
	for alert, dropped := range s.feed.Subscribe(s.ctx, alertQueue) {
		switch alert.(type) {
		case *torrent.TorrentError, *torrent.TorrentRemoved:
		default:
			if dropped == 0 {
				continue
			}
		}
		for _, content := range s.streams.snapshot() {
			// One that was lost may have told of any of them.
			if dropped == 0 && content.torrent.StorageIndex() != alert.StorageIndex() {
				continue
			}
			if err := stoppedBy(content.torrent); err != nil {
				content.fail(err)
			}
		}
	}
}
