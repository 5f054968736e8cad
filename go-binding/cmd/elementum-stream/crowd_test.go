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
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elementum.example/torrent"
)

// A crowd is many torrents, each with one file and one peer that has it.
type crowd struct {
	files [][]byte
	ids   []string
}

// newCrowd adds so many torrents of so many bytes to the fixture's service; a session beside it has them all.
func newCrowd(f *fixture, torrents, size, pieceLength int) *crowd {
	f.Helper()
	dir := f.TempDir()
	seeder, err := torrent.Open(torrent.Config{ListenInterfaces: "127.0.0.1:0", Settings: torrent.Settings{"enable_dht": false}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = seeder.Close() })
	noise := make([]byte, size+torrents*4096)
	source := rand.NewChaCha8([32]byte{7})
	_, _ = source.Read(noise)
	port, err := seeder.ListenPort()
	if err != nil {
		f.Fatal(err)
	}
	peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	c := &crowd{}
	for i := range torrents {
		data := noise[i*4096:][:size]
		name := fmt.Sprintf("film%d.mkv", i)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			f.Fatal(err)
		}
		metainfo := singleFileTorrent(name, data, pieceLength)
		if _, err := seeder.AddTorrent(torrent.AddTorrentParams{Torrent: metainfo, SavePath: dir, Storage: torrent.StorageDisk}); err != nil {
			f.Fatal(err)
		}
		added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: metainfo})
		if err != nil {
			f.Fatal(err)
		}
		if err := added.ConnectPeer(peer); err != nil {
			f.Fatal(err)
		}
		c.files, c.ids = append(c.files, data), append(c.ids, added.StorageIndex().String())
	}
	return c
}

// play reads a whole stream at so many bytes a second, as a player does. It returns the longest time without a byte.
func (c *crowd) play(ctx context.Context, f *fixture, i, rate int) (time.Duration, error) {
	q, err := http.NewRequestWithContext(ctx, "GET", f.base+"/stream/"+c.ids[i]+"/0", nil)
	if err != nil {
		return 0, err
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("stream %d: %s", i, response.Status)
	}
	began := time.Now()
	last, longest := began, time.Duration(0)
	buffer := make([]byte, 32<<10)
	for at := 0; ; {
		n, err := response.Body.Read(buffer)
		if !bytes.Equal(buffer[:n], c.files[i][at:at+n]) {
			return longest, fmt.Errorf("stream %d: wrong bytes at %d", i, at)
		}
		at += n
		longest = max(longest, time.Since(last))
		if err == io.EOF {
			if at != len(c.files[i]) {
				return longest, fmt.Errorf("stream %d ended at %d", i, at)
			}
			return longest, nil
		}
		if err != nil {
			return longest, fmt.Errorf("stream %d at %d: %w", i, at, err)
		}
		due := began.Add(time.Duration(at) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		last = time.Now()
	}
}

// More streams than pieces fit into memory take turns; none of them stands still for good.
func TestMoreStreamsThanMemoryHoldsPieces(t *testing.T) {
	streams := []int{72, 120}
	if only, err := strconv.Atoi(os.Getenv("ELEMENTUM_STREAMS")); err == nil {
		streams = []int{only}
	}
	for _, n := range streams {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			f := newFixture(t, "-memory", "64MiB")
			c := newCrowd(f, n, 5<<20, 1<<20)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			stood, failures := make([]time.Duration, n), make([]error, n)
			var all sync.WaitGroup
			began := time.Now()
			for i := range n {
				all.Go(func() { stood[i], failures[i] = c.play(ctx, f, i, 1_000_000) })
			}
			all.Wait()
			var longest time.Duration
			for i := range n {
				if failures[i] != nil {
					t.Error(failures[i])
				}
				longest = max(longest, stood[i])
			}
			t.Logf("%d streams of 5 MiB took %.1f s; the longest time without a byte was %v", n, time.Since(began).Seconds(), longest)
			if longest > 15*time.Second {
				t.Errorf("a stream stood still for %v", longest)
			}
		})
	}
}

// A stream whose piece takes all the memory has its turn beside those of small pieces, who come again and again.
func TestALargePieceHasItsTurn(t *testing.T) {
	const limit = 16 << 20
	f := newFixture(t, "-memory", "16MiB")
	f.client.Timeout = 2 * time.Minute
	large := newCrowd(f, 1, 2*limit, limit)
	small := newCrowd(f, 30, 10<<20, 1<<20)
	ctx, cancel := context.WithCancel(context.Background())
	var others sync.WaitGroup
	var served, refused atomic.Int64
	for i := range small.ids {
		others.Go(func() {
			// Not all of them end at once.
			time.Sleep(time.Duration(i) * 700 * time.Millisecond)
			for ctx.Err() == nil {
				if _, err := small.play(ctx, f, i, 500_000); err == nil {
					served.Add(1)
				} else if ctx.Err() == nil {
					refused.Add(1)
					time.Sleep(200 * time.Millisecond)
				}
			}
		})
	}
	untilTrue(t, "memory is full", func() bool { return f.service.streams.count() >= 18 })
	began := time.Now()
	for tries := 1; ; tries++ {
		_, err := large.play(ctx, f, 0, 100_000_000)
		t.Logf("try %d after %.1f s: %v; the others were served %d times, refused %d times", tries, time.Since(began).Seconds(), err, served.Load(), refused.Load())
		if err == nil {
			break
		}
		if time.Since(began) > 40*time.Second {
			t.Error("it has had no turn for 40 s")
			break
		}
		time.Sleep(time.Second)
	}
	cancel()
	others.Wait()
}
