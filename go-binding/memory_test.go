package torrent_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"elementum.example/torrent"
)

const (
	memoryPiece  = 64 << 10
	memoryPieces = 128
	memoryLimit  = 1 << 20
)

// streamed is a film in a session whose memory holds an eighth of it, and a session on loopback that has all.
func streamed(t *testing.T) (film, *torrent.Session, *torrent.Torrent) {
	t.Helper()
	f := newFilm(memoryPieces*memoryPiece, memoryPiece)
	_, peer := seed(t, f, nil)
	session := open(t, torrent.Settings{"alert_mask": -1})
	must(t, session.SetMemoryLimit(memoryLimit))
	return f, session, leech(t, session, f, peer)
}

// play reads pieces from one on, and compares each byte.
func play(f film, r *torrent.Reader, from, pieces int) error {
	if _, err := r.Seek(int64(from)*memoryPiece, io.SeekStart); err != nil {
		return err
	}
	got := make([]byte, pieces*memoryPiece)
	if _, err := io.ReadFull(r, got); err != nil {
		return err
	}
	if !bytes.Equal(got, f.content[from*memoryPiece:][:len(got)]) {
		return errors.New("other bytes")
	}
	return nil
}

// isGone: by every way of asking. isRight: by every way of asking, and without the network.
func isGone(t *testing.T, of *torrent.Torrent, piece torrent.PieceIndex) bool {
	t.Helper()
	pieces, err := of.Pieces()
	must(t, err)
	there, err := of.IsLookbehindAvailable(piece)
	must(t, err)
	_, err = of.ReadPiece(piece, 0, make([]byte, 1))
	return !pieces.Has(piece) && !there && errors.Is(err, torrent.ErrWouldBlock)
}

func isRight(t *testing.T, f film, of *torrent.Torrent, piece torrent.PieceIndex) bool {
	t.Helper()
	pieces, err := of.Pieces()
	must(t, err)
	there, err := of.IsLookbehindAvailable(piece)
	must(t, err)
	got := make([]byte, memoryPiece)
	n, err := of.ReadPiece(piece, 0, got)
	return pieces.Has(piece) && there && err == nil && n == memoryPiece && bytes.Equal(got, f.content[int(piece)*memoryPiece:][:memoryPiece])
}

func storageStats(t *testing.T, of *torrent.Torrent) torrent.StorageStats {
	t.Helper()
	stats, err := of.StorageStats()
	must(t, err)
	return stats
}

func TestWhatIsEvictedIsFetchedAgain(t *testing.T) {
	f, session, added := streamed(t)
	r := reader(t, added)
	must(t, play(f, r, 0, memoryPieces))
	if stats := storageStats(t, added); stats.EvictedPieces < memoryPieces/2 {
		t.Errorf("%+v", stats)
	}
	if !isGone(t, added, 20) || !isGone(t, added, 21) {
		t.Fatal("they were not evicted")
	}
	told := false
	until(t, "its eviction is told", func() bool {
		alerts, err := session.PopAlerts()
		must(t, err)
		for _, alert := range alerts {
			evicted, is := alert.(*torrent.PieceEvicted)
			told = told || is && evicted.Piece == 20
		}
		return told
	})
	before := storageStats(t, added).RefetchedPieces
	must(t, play(f, r, 20, 2))
	if !isRight(t, f, added, 20) || !isRight(t, f, added, 21) {
		t.Error("they did not come back")
	}
	if stats := storageStats(t, added); stats.RefetchedPieces < before+2 {
		t.Errorf("%+v, refetched before: %d", stats, before)
	}
}

func TestProtectedPiecesOutliveTheOthers(t *testing.T) {
	f, _, added := streamed(t)
	r := reader(t, added)
	protected := []torrent.PieceIndex{40, 41, 42, 43}
	must(t, added.SetLookbehind(protected))
	must(t, play(f, r, 40, 6))
	must(t, play(f, r, 50, 70))
	for _, piece := range protected {
		if !isRight(t, f, added, piece) {
			t.Errorf("piece %d was lost", piece)
		}
	}
	if !isGone(t, added, 44) || !isGone(t, added, 45) {
		t.Error("what is not protected stayed")
	}
	must(t, added.ClearLookbehind())
	must(t, play(f, r, 50, 70))
	for _, piece := range protected {
		if !isGone(t, added, piece) {
			t.Errorf("piece %d stays though nothing protects it", piece)
		}
	}
}

func TestTheMemoryLimitHoldsWhileItIsSet(t *testing.T) {
	f, session, added := streamed(t)
	over := make(chan struct{})
	var readers sync.WaitGroup
	for n := range 2 {
		r := reader(t, added)
		readers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := play(f, r, random.IntN(memoryPieces-4), 4); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 24 {
		limit := []uint64{2 << 20, 512 << 10, 1 << 20, 256 << 10}[n%4]
		evicted := storageStats(t, added).EvictedPieces
		must(t, session.SetMemoryLimit(int64(limit)))
		lowered := storageStats(t, added)
		if lowered.SessionLimit != limit {
			t.Errorf("%+v, set was %d", lowered, limit)
		}
		// What is too much goes; it never grows meanwhile.
		if stats := storageStats(t, added); stats.SessionCharged > max(lowered.SessionCharged, limit) {
			t.Errorf("%+v, then %+v", lowered, stats)
		}
		until(t, "the limit holds", func() bool { return storageStats(t, added).SessionCharged <= limit })
		// From here on nothing is above it: the peak begins anew.
		must(t, session.SetMemoryLimit(int64(limit)))
		until(t, "the readers go on", func() bool { return storageStats(t, added).EvictedPieces > evicted+4 })
		if stats := storageStats(t, added); stats.SessionPeak > limit || stats.SessionPeak < memoryPiece {
			t.Errorf("%+v", stats)
		}
	}
	close(over)
	readers.Wait()
}
