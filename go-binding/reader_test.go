package torrent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"elementum.example/torrent"
)

func TestReaderReadsTheFile(t *testing.T) {
	f := newFilm(3<<20+12345, 64<<10)
	_, peer := seed(t, f, nil)
	r := reader(t, leech(t, open(t, nil), f, peer))
	got, err := io.ReadAll(io.LimitReader(r, 1<<20))
	must(t, err)
	if !bytes.Equal(got, f.content[:1<<20]) {
		t.Fatal("other bytes")
	}
	if at, err := r.Seek(-100, io.SeekEnd); err != nil || at != int64(len(f.content))-100 {
		t.Fatal(at, err)
	}
	var tail bytes.Buffer
	if n, err := r.WriteTo(&tail); err != nil || n != 100 || !bytes.Equal(tail.Bytes(), f.content[len(f.content)-100:]) {
		t.Fatal(n, err)
	}
	if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Fatal("at the end:", n, err)
	}
	if _, err := r.Seek(1, io.SeekEnd); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Fatal(err)
	}
	// What the io package asks of readers.
	_, err = r.Seek(0, io.SeekStart)
	must(t, err)
	must(t, iotest.TestReader(io.NewSectionReader(r, 100, 4000), f.content[100:4100]))
	status, err := r.Status()
	must(t, err)
	if status.Size != int64(len(f.content)) || r.Size() != status.Size || status.BytesRead < 1<<20 || status.Seeks < 2 {
		t.Fatalf("%+v", status)
	}
}

func TestReadAtWaitsAside(t *testing.T) {
	f := newFilm(4<<20, 64<<10)
	_, peer := seed(t, f, nil)
	r := reader(t, leech(t, open(t, nil), f, peer), torrent.WithLookahead(64<<10))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 20 {
				offset := random.IntN(len(f.content))
				into := make([]byte, 1+random.IntN(100_000))
				n, err := r.ReadAt(into, int64(offset))
				if want := f.content[offset:min(offset+len(into), len(f.content))]; !bytes.Equal(into[:n], want) ||
					(err == nil) != (n == len(into)) {
					t.Error("at", offset, n, err)
				}
			}
		})
	}
	group.Wait()
	if position, err := r.Seek(0, io.SeekCurrent); err != nil || position != 0 {
		t.Fatal("the position moved:", position, err)
	}
	if _, err := r.ReadAt(nil, -1); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if n, err := r.ReadAt(make([]byte, 1), int64(len(f.content))); n != 0 || err != io.EOF {
		t.Fatal(n, err)
	}
}

// waiting starts a read that nobody can answer, and gives its outcome.
func waiting(t *testing.T, r *torrent.Reader, at bool, ctx context.Context) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		into := make([]byte, 100)
		var err error
		if at {
			_, err = r.ReadAtContext(ctx, into, 70_000)
		} else {
			_, err = r.ReadContext(ctx, into)
		}
		if !bytes.Equal(into, make([]byte, 100)) {
			err = errors.New("the buffer was touched")
		}
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatal("it did not wait:", err)
	case <-time.After(30 * time.Millisecond):
	}
	return done
}

func soon(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits")
		return nil
	}
}

func TestWaitingReadsEnd(t *testing.T) {
	f := newFilm(200_000, 32<<10)
	why := errors.New("the viewer left")
	for _, at := range []bool{false, true} {
		session := open(t, nil)
		added := leech(t, session, f)

		r := reader(t, added)
		ctx, cancel := context.WithCancelCause(context.Background())
		done := waiting(t, r, at, ctx)
		cancel(why)
		if err := soon(t, done); err != why {
			t.Fatal(err)
		}
		// The reader is as good as before.
		ctx, stop := context.WithTimeout(context.Background(), 60*time.Millisecond)
		defer stop()
		err := soon(t, waiting(t, r, at, ctx))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, torrent.ErrTimedOut) {
			t.Fatal(err)
		}

		done = waiting(t, r, at, context.Background())
		must(t, r.Close())
		if err := soon(t, done); !errors.Is(err, torrent.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
			t.Fatal(err)
		}
		// As with the session: again does nothing.
		must(t, r.Close())

		r = reader(t, added)
		done = waiting(t, r, at, context.Background())
		must(t, added.Remove(0))
		if err := soon(t, done); !errors.Is(err, torrent.ErrInvalidStorageIndex) {
			t.Fatal(err)
		}

		r = reader(t, leech(t, session, f))
		done = waiting(t, r, at, context.Background())
		must(t, session.Close())
		if err := soon(t, done); !errors.Is(err, torrent.ErrClosed) {
			t.Fatal(err)
		}
	}
}

// The median of many: single ones may come upon a busy machine.
func TestCancelledReadsReturnAtOnce(t *testing.T) {
	r := reader(t, leech(t, open(t, nil), newFilm(200_000, 32<<10)))
	for _, at := range []bool{false, true} {
		var took []time.Duration
		for range 15 {
			ctx, cancel := context.WithCancel(context.Background())
			done := waiting(t, r, at, ctx)
			began := time.Now()
			cancel()
			<-done
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		if median := took[len(took)/2]; median > 50*time.Millisecond {
			t.Errorf("returned after %v", median)
		}
	}
}

func TestReadTimeoutAndBusy(t *testing.T) {
	f := newFilm(200_000, 32<<10)
	r := reader(t, leech(t, open(t, nil), f), torrent.WithReadTimeout(100*time.Millisecond))
	done := make(chan error)
	go func() {
		for {
			_, err := r.Read(make([]byte, 1))
			// It may come upon one of the seeks.
			if !errors.Is(err, torrent.ErrBusy) {
				done <- err
				return
			}
		}
	}()
	seen := false
	for {
		select {
		case err := <-done:
			if !seen || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(seen, err)
			}
			return
		case <-time.After(2 * time.Millisecond):
			_, err := r.Seek(0, io.SeekStart)
			seen = seen || errors.Is(err, torrent.ErrBusy)
		}
	}
}

// Ten thousand reads that wait hold no thread.
func TestWaitingReadersHoldNoThreads(t *testing.T) {
	readers := 10_000
	if testing.Short() {
		readers = 1000
	}
	// A waiting reader takes two descriptors.
	readers = min(readers, descriptors(2*readers+500)/2-250)
	session := open(t, nil)
	before := threads(t)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var opened []*torrent.Reader
	for i := range readers {
		if i%200 == 0 {
			film := newFilm(200_000+i, 32<<10)
			leech(t, session, film)
		}
		torrents, err := session.Torrents()
		must(t, err)
		r, err := torrents[len(torrents)-1].NewReader(0)
		must(t, err)
		opened = append(opened, r)
		group.Go(func() {
			defer r.Close()
			if _, err := r.ReadContext(ctx, make([]byte, 1)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	until(t, "all wait", func() bool {
		for _, r := range opened {
			if status, err := r.Status(); err != nil || !status.Waiting {
				return false
			}
		}
		return true
	})
	now := threads(t)
	t.Logf("%d waiting readers: %d threads before, %d now", readers, before, now)
	// A moment of contention makes some; one each would be a thousand times more.
	if now > before+readers/20 {
		t.Error("they hold threads")
	}
	cancel()
	group.Wait()
}

// Ten clients of a web server read random ranges.
func TestServeContent(t *testing.T) {
	f := newFilm(8<<20, 128<<10)
	_, peer := seed(t, f, nil)
	session := open(t, torrent.Settings{"memory_limit": 4 << 20})
	added := leech(t, session, f, peer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := added.NewReader(0)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer content.Close()
		http.ServeContent(w, r, "film.mkv", time.Time{}, content)
	}))
	defer server.Close()
	before := threads(t)
	var group sync.WaitGroup
	for i := range 10 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for range 15 {
				begin := random.IntN(len(f.content))
				end := min(begin+random.IntN(500_000), len(f.content)-1)
				request, _ := http.NewRequest(http.MethodGet, server.URL, nil)
				request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", begin, end))
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusPartialContent || !bytes.Equal(got, f.content[begin:end+1]) {
					t.Error(response.Status, begin, end, len(got), err)
				}
			}
		})
	}
	group.Wait()
	http.DefaultClient.CloseIdleConnections()
	if now := threads(t); now > before+20 {
		t.Errorf("%d threads before, %d after", before, now)
	}
	stats, err := session.Stats()
	must(t, err)
	if stats.MemoryPeak > stats.MemoryLimit {
		t.Errorf("%+v", stats)
	}
}
