//go:build cgo

package main

import (
	"context"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"elementum.example/torrent"
)

// A film is content and its torrent.
type film struct {
	content, torrent []byte
}

const filmName = "film.bin"

func newFilm(size, pieceLength int) film {
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(pieceLength)}).Read(content)
	var hashes []byte
	for begin := 0; begin < size; begin += pieceLength {
		hash := sha1.Sum(content[begin:min(begin+pieceLength, size)])
		hashes = append(hashes, hash[:]...)
	}
	return film{content: content, torrent: fmt.Appendf(nil, "d4:infod6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%see",
		size, len(filmName), filmName, pieceLength, len(hashes), hashes)}
}

// A swarm is a film that one session has on disk, and another, on loopback, downloads into memory.
type swarm struct {
	film        film
	directory   string
	seed, leech *torrent.Session
	added       *torrent.Torrent
}

// newSwarm starts one. uploadRate: bytes a second of the one that has it, 0: no limit.
func newSwarm(f film, uploadRate uint32) (s *swarm, err error) {
	s = &swarm{film: f}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.directory, err = os.MkdirTemp("", "et-bench-"); err != nil {
		return s, err
	}
	if err = os.WriteFile(filepath.Join(s.directory, filmName), f.content, 0o600); err != nil {
		return s, err
	}
	if s.seed, err = torrent.Open(quiet(nil)); err != nil {
		return s, err
	}
	has, err := s.seed.AddTorrent(torrent.AddTorrentParams{
		Torrent: f.torrent, SavePath: s.directory, Storage: torrent.StorageDisk, UploadLimit: uploadRate,
	})
	if err != nil {
		return s, err
	}
	if err = seeding(has); err != nil {
		return s, err
	}
	port, err := s.seed.ListenPort()
	if err != nil {
		return s, err
	}
	config := quiet(torrent.Settings{"alert_queue_size": 100_000})
	config.MemoryLimit = 64 << 20
	if s.leech, err = torrent.Open(config); err != nil {
		return s, err
	}
	if err = s.leech.SetAlertMask(torrent.CategoryPieceProgress); err != nil {
		return s, err
	}
	s.added, err = s.leech.AddTorrent(torrent.AddTorrentParams{
		Torrent: f.torrent, Storage: torrent.StorageMemory,
		Peers: []string{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()},
	})
	return s, err
}

func seeding(t *torrent.Torrent) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if status, err := t.Status(); err != nil || status.IsSeeding {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return context.Cause(ctx)
}

// What takes longer than this hangs.
const patience = 30 * time.Second

func (s *swarm) close() {
	for _, session := range []*torrent.Session{s.leech, s.seed} {
		if session != nil {
			session.Close()
		}
	}
	if s.directory != "" {
		os.RemoveAll(s.directory)
	}
}
