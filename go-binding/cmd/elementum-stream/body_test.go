package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
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

// A magnet as long as the library takes it comes through, however its encoder writes it; a longer one is told apart from a body that is.
func TestMagnetsAsLongAsTheLibraryTakesThem(t *testing.T) {
	f := newFixture(t)
	padded := func(length int) string {
		const tracker = "&tr=http%3A%2F%2F127.0.0.1%3A9%2F"
		return unknownMagnet + tracker + strings.Repeat("&", length-len(unknownMagnet)-len(tracker))
	}
	escaped := func(magnet string) string { return `{"magnet":"` + strings.ReplaceAll(magnet, "&", `\u0026`) + `"}` }
	add := request{method: "POST", path: apiPath + "/torrents"}
	for _, c := range []struct {
		body   string
		status int
	}{
		{`{"paused":true,"magnet":"` + padded(maxMagnet) + `"}`, http.StatusCreated},
		{escaped(padded(maxMagnet)), http.StatusOK},
		{escaped(padded(maxMagnet + 1)), http.StatusBadRequest},
		{escaped(strings.Repeat("&", maxMagnet+maxJSON)), http.StatusRequestEntityTooLarge},
	} {
		add.body = c.body
		if response, body := f.do(add); response.StatusCode != c.status {
			t.Errorf("%d bytes: %s, want %d: %.200s", len(c.body), response.Status, c.status, body)
		}
	}
	// Nothing else is so long.
	change := request{method: "PATCH", path: apiPath + "/session", body: `{"download_limit":` + strings.Repeat(" ", maxJSON) + `0}`}
	f.fails(http.StatusRequestEntityTooLarge, "too_large", change)
}

// What is too large by the length that is told is refused before any of it comes, and nobody is told to go on.
func TestATooLargeLengthIsRefusedAtOnce(t *testing.T) {
	f := newFixture(t)
	// Nor does it wait for those who are served.
	for range maxLargeBodies {
		if err := f.service.uploads.enter(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		defer f.service.uploads.leave()
	}
	for _, c := range []struct {
		at, kind string
		length   int64
	}{
		{"POST " + apiPath + "/torrents", "application/json", maxAddJSON + 1},
		{"POST " + apiPath + "/torrents", "application/json", 1 << 40},
		{"PATCH " + apiPath + "/session", "application/json", maxJSON + 1},
		{"POST " + apiPath + "/torrents", "application/x-bittorrent", maxTorrentFile + 1},
		{"POST " + apiPath + "/torrents", "application/x-bittorrent", 1 << 62},
		{"POST " + apiPath + "/torrents", "multipart/form-data; boundary=b", maxForm + 1},
	} {
		for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
			conn := held(f, 1, fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n", c.at, f.host, c.kind, c.length, expect))[0]
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 413 ") {
				t.Errorf("%s of %s, %d bytes, %q: %q %v", c.at, c.kind, c.length, expect, line, err)
			}
			conn.Close()
		}
	}
}
