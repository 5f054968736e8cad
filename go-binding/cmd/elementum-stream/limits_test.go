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

// A start is what a player asks for one after the other, each until it has so much of it.
type start struct {
	name  string
	piece int
	// Bytes a second, of the seed or of who limits.
	rate  uint32
	parts []part
	// The limit is the torrent's, not the session's.
	ofTorrent bool
	// Before it begins, another player has begun at the file's start, and left.
	afterAnother bool
}

type part struct{ begin, length int }

const startSize = 32 << 20

var starts = []start{
	// Head, tail, and then the middle.
	{name: "middle", piece: 256 << 10, rate: 300_000, parts: []part{{0, 1 << 10}, {startSize - 70000, 1 << 10}, {startSize / 2, 1 << 20}}},
	{name: "middle under the torrent's limit", piece: 256 << 10, rate: 300_000, parts: []part{{0, 1 << 10}, {startSize - 70000, 1 << 10}, {startSize / 2, 512 << 10}}, ofTorrent: true},
	{name: "large pieces", piece: 1 << 20, rate: 1_200_000, parts: []part{{0, 1 << 10}, {startSize - 70000, 1 << 10}, {startSize / 2, 1 << 20}}},
	{name: "seeks to and fro", piece: 128 << 10, rate: 400_000, parts: []part{{0, 300_000}, {startSize / 2, 300_000}, {300_000, 300_000}, {startSize - 400_000, 300_000}}},
	{name: "small pieces, tail first", piece: 16 << 10, rate: 200_000, parts: []part{{startSize - 100_000, 100_000}, {startSize / 3, 200_000}, {0, 400_000}}, ofTorrent: true},
	{name: "after another", piece: 256 << 10, rate: 300_000, parts: []part{{startSize / 2, 512 << 10}, {startSize / 4, 300_000}}, afterAnother: true},
}

// A player that looks here and there before it plays waits about as long for a session's or a torrent's limit as for a seed of that speed:
// what the first stream had asked for does not come before what the next one needs.
func TestStartsUnderALimit(t *testing.T) {
	for _, s := range starts {
		t.Run(s.name, func(t *testing.T) {
			var bySeed, byLimit time.Duration
			// A machine that is busy with something else holds up one of the two, once.
			for range 3 {
				t.Run("side by side", func(t *testing.T) {
					t.Run("seed", func(t *testing.T) {
						t.Parallel()
						bySeed = s.take(t, false)
					})
					t.Run("limit", func(t *testing.T) {
						t.Parallel()
						byLimit = s.take(t, true)
					})
				})
				if t.Failed() {
					return
				}
				t.Logf("by the seed %v, by the limit %v", bySeed, byLimit)
				if byLimit <= bySeed*12/10 {
					return
				}
			}
			t.Errorf("%v under the limit, and %v from a seed of that speed", byLimit, bySeed)
		})
	}
}

// take is how long the start takes: of a seed of that speed, or under a limit.
func (s *start) take(t *testing.T, limited bool) time.Duration {
	t.Helper()
	content := make([]byte, startSize)
	random := rand.NewChaCha8([32]byte{8})
	_, _ = random.Read(content)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "film.mkv"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	file := singleFileTorrent("film.mkv", content, s.piece)
	seeder, err := torrent.Open(torrent.Config{ListenInterfaces: "127.0.0.1:0", Settings: torrent.Settings{"enable_dht": false}})
	if err != nil {
		t.Fatal(err)
	}
	defer seeder.Close()
	params := torrent.AddTorrentParams{Torrent: file, SavePath: dir, Storage: torrent.StorageDisk}
	if !limited {
		params.UploadLimit = s.rate
	}
	seeded, err := seeder.AddTorrent(params)
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
	var flags []string
	if limited && !s.ofTorrent {
		flags = append(flags, "-download-limit", fmt.Sprint(s.rate))
	}
	f := newFixture(t, flags...)
	f.client.Timeout = time.Minute
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: file})
	if err != nil {
		t.Fatal(err)
	}
	if limited && s.ofTorrent {
		patch := request{method: "PATCH", path: apiPath + "/torrents/" + added.StorageIndex().String(), body: fmt.Sprintf(`{"download_limit":%d}`, s.rate)}
		f.wants(http.StatusOK, patch, nil)
	}
	if err := added.ConnectPeer(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)); err != nil {
		t.Fatal(err)
	}
	untilTrue(t, "it is there", func() bool { peers, err := added.Peers(); return err == nil && len(peers) == 1 })
	read := func(p part) {
		ctx, leave := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/stream/"+added.StorageIndex().String()+"/0", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.begin))
		response, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, p.length)
		if _, err := io.ReadFull(response.Body, got); err != nil || !bytes.Equal(got, content[p.begin:p.begin+p.length]) {
			t.Fatal(response.Status, err)
		}
		leave()
		response.Body.Close()
	}
	if s.afterAnother {
		read(part{0, 700_000})
	}
	begin := time.Now()
	for _, part := range s.parts {
		read(part)
	}
	took := time.Since(begin)
	stats, err := f.service.session.Stats()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %d bytes came, redundant %d", took, stats.PayloadDownload, stats.RedundantBytes)
	return took
}
