package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func TestAGateServesInOrder(t *testing.T) {
	g := newGate(1, 2)
	ctx := context.Background()
	if err := g.enter(ctx, 0); err != nil {
		t.Fatal(err)
	}
	order := make(chan int)
	for i := range 2 {
		go func() {
			if err := g.enter(ctx, time.Minute); err != nil {
				t.Error(err)
			}
			order <- i
		}()
		untilTrue(t, "it stands in line", func() bool { return len(g.line) == i+1 })
		// What stands in a channel's queue is not to be seen: it is there when nobody runs any more.
		time.Sleep(10 * time.Millisecond)
	}
	if err := g.enter(ctx, time.Minute); err != errBusy {
		t.Error("a third one may wait:", err)
	}
	for i := range 2 {
		g.leave()
		if got := <-order; got != i {
			t.Errorf("%d came before %d", got, i)
		}
	}
	if err := g.enter(ctx, time.Millisecond); err != errBusy {
		t.Error("in time:", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := g.enter(gone, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error("who is gone:", err)
	}
	g.leave()
}

func TestReadAll(t *testing.T) {
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000, 3 << 20} {
		content := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for _, told := range []int64{-1, 0, 5, int64(size), 1 << 62} {
			got, err := readAll(iotest.HalfReader(bytes.NewReader(content)), told)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d, told %d: %d, %v", size, told, len(got), err)
			}
			if size < 64<<10 && cap(got) > 128<<10 || cap(got) > maxTorrentFile+1<<20 {
				t.Errorf("%d, told %d: %d are reserved", size, told, cap(got))
			}
		}
	}
	if _, err := readAll(io.MultiReader(bytes.NewReader(make([]byte, 100_000)), iotest.ErrReader(io.ErrClosedPipe)), 1<<20); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

// However many torrent files are sent at once, few of them are in memory. All are answered.
func TestUploadsAtOnceAreBounded(t *testing.T) {
	f := newFixture(t)
	file := []byte("d4:info" + strings.Repeat("d", maxTorrentFile-7))
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var clients sync.WaitGroup
	statuses := make(chan int, 30)
	for range cap(statuses) {
		clients.Go(func() {
			r, err := http.NewRequest(http.MethodPost, f.base+apiPath+"/torrents", bytes.NewReader(file))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/x-bittorrent")
			response, err := (&http.Client{Transport: f.client.Transport}).Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			statuses <- response.StatusCode
		})
	}
	done := make(chan struct{})
	go func() {
		clients.Wait()
		close(done)
	}()
	peak, reading := uint64(0), 0
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-time.After(5 * time.Millisecond):
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
			reading = max(reading, len(f.service.uploads.places))
		}
	}
	close(statuses)
	for status := range statuses {
		if status != http.StatusBadRequest {
			t.Errorf("status %d", status)
		}
	}
	// Each has its buffer, its copy for the library and what is not collected yet.
	if most := before.HeapAlloc + maxLargeBodies*6*maxTorrentFile; peak > most || reading > maxLargeBodies {
		t.Errorf("%d bytes at most, %d at once; allowed are %d", peak, reading, most)
	}
}
