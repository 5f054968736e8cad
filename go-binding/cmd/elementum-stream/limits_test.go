package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elementum.example/torrent"
)

// A player that looks at the head and the tail and then starts in the middle waits about as long for a session's limit as for a seed of that speed:
// what the first stream had asked for does not come before what the second one needs.
func TestStartingInTheMiddleUnderALimit(t *testing.T) {
	const rate = 300_000
	var bySeed, bySession time.Duration
	t.Run("side by side", func(t *testing.T) {
		t.Run("seed", func(t *testing.T) {
			t.Parallel()
			bySeed = startInTheMiddle(t, 0, rate)
		})
		t.Run("session", func(t *testing.T) {
			t.Parallel()
			bySession = startInTheMiddle(t, rate, 0)
		})
	})
	if t.Failed() {
		return
	}
	t.Logf("by the seed's limit %v, by the session's %v", bySeed, bySession)
	if bySession > bySeed*12/10 {
		t.Errorf("%v under the session's limit, and %v from a seed of that speed", bySession, bySeed)
	}
}

func startInTheMiddle(t *testing.T, download, upload uint32) time.Duration {
	t.Helper()
	const size, piece = 32 << 20, 256 << 10
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{8})
	_, _ = random.Read(content)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "film.mkv"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	file := singleFileTorrent("film.mkv", content, piece)
	seeder, err := torrent.Open(torrent.Config{ListenInterfaces: "127.0.0.1:0", Settings: torrent.Settings{"enable_dht": false}})
	if err != nil {
		t.Fatal(err)
	}
	defer seeder.Close()
	seeded, err := seeder.AddTorrent(torrent.AddTorrentParams{Torrent: file, SavePath: dir, Storage: torrent.StorageDisk, UploadLimit: upload})
	if err != nil {
		t.Fatal(err)
	}
	untilTrue(t, "it seeds", func() bool {
		status, err := seeded.Status()
		return err == nil && status.IsSeeding
	})
	port, err := seeder.ListenPort()
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, "-download-limit", fmt.Sprint(download))
	f.client.Timeout = time.Minute
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := added.ConnectPeer(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)); err != nil {
		t.Fatal(err)
	}
	untilTrue(t, "it is there", func() bool { peers, err := added.Peers(); return err == nil && len(peers) == 1 })
	begin := time.Now()
	for _, part := range []struct{ begin, length int }{{0, 1 << 10}, {size - 70000, 1 << 10}, {size / 2, 1 << 20}} {
		ctx, leave := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/stream/"+added.StorageIndex().String()+"/0", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", part.begin))
		response, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, part.length)
		if _, err := io.ReadFull(response.Body, got); err != nil || !bytes.Equal(got, content[part.begin:part.begin+part.length]) {
			t.Fatal(response.Status, err)
		}
		leave()
		response.Body.Close()
	}
	took := time.Since(begin)
	stats, err := f.service.session.Stats()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %d bytes came, redundant %d", took, stats.PayloadDownload, stats.RedundantBytes)
	return took
}
