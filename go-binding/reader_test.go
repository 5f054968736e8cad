package torrent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
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

// A client that leaves a torrent from which nothing comes ends its handler, and the reader with it.
func TestAClientThatLeavesEndsItsHandler(t *testing.T) {
	f := newFilm(1<<20, 64<<10)
	session := open(t, nil)
	added := leech(t, session, f)
	ended := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		reader, err := added.NewReader(0, torrent.WithContext(r.Context()))
		if err != nil {
			t.Error(err)
			return
		}
		defer reader.Close()
		http.ServeContent(w, r, f.name, time.Time{}, reader)
	}))
	defer server.Close()
	readers := func() uint32 {
		stats, err := session.Stats()
		must(t, err)
		return stats.Readers
	}
	for _, header := range []string{"", "bytes=500000-500099"} {
		ctx, leave := context.WithCancel(context.Background())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		must(t, err)
		if header != "" {
			request.Header.Set("Range", header)
		}
		left := make(chan error, 1)
		go func() {
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			left <- err
		}()
		until(t, "it reads", func() bool { return readers() == 1 })
		leave()
		if err := soon(t, left); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("the handler still waits")
		}
		until(t, "its reader is closed", func() bool { return readers() == 0 })
	}
}

func TestAReadersContextEndsItsReads(t *testing.T) {
	f := newFilm(1<<20, 64<<10)
	added := leech(t, open(t, nil), f)
	cause := errors.New("the client left")
	for name, read := range map[string]func(*torrent.Reader) error{
		"Read":    func(r *torrent.Reader) error { _, err := r.Read(make([]byte, 10)); return err },
		"ReadAt":  func(r *torrent.Reader) error { _, err := r.ReadAt(make([]byte, 10), 70_000); return err },
		"WriteTo": func(r *torrent.Reader) error { _, err := r.WriteTo(io.Discard); return err },
	} {
		ctx, leave := context.WithCancelCause(context.Background())
		r := reader(t, added, torrent.WithContext(ctx), torrent.WithReadTimeout(time.Hour))
		done := make(chan error, 1)
		go func() { done <- read(r) }()
		until(t, "it waits", func() bool {
			status, err := r.Status()
			must(t, err)
			// A ReadAt waits on a reader of its own.
			return status.Waiting || name == "ReadAt"
		})
		leave(cause)
		if err := soon(t, done); !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
		if err := read(r); !errors.Is(err, cause) {
			t.Errorf("%s afterwards: %v", name, err)
		}
		// Who brings a context goes by that.
		brief, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		if _, err := r.ReadContext(brief, make([]byte, 10)); !errors.Is(err, torrent.ErrTimedOut) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// A reader of a part begins there, and fetches that and nothing else.
func TestAReaderOfAPartFetchesThePart(t *testing.T) {
	const piece = 64 << 10
	f := newFilm(8<<20, piece)
	session := open(t, nil)
	_, peer := seed(t, f, nil)
	added := leech(t, session, f, peer)
	const begin, end = 50*piece + 10, 53*piece - 10
	r := reader(t, added, torrent.WithOffset(begin), torrent.WithEnd(end))
	if at, err := r.Seek(0, io.SeekCurrent); at != begin || err != nil {
		t.Fatal(at, err)
	}
	got := make([]byte, end-begin)
	_, err := io.ReadFull(r, got)
	must(t, err)
	if !bytes.Equal(got, f.content[begin:end]) {
		t.Fatal("other bytes")
	}
	must(t, r.Close())
	// Nothing is under way any more when another reader has its piece.
	other := reader(t, added, torrent.WithOffset(100*piece), torrent.WithEnd(100*piece+1))
	_, err = io.ReadFull(other, make([]byte, 1))
	must(t, err)
	pieces, err := added.Pieces()
	must(t, err)
	var have []int
	for i := range pieces.Len() {
		if pieces.Has(torrent.PieceIndex(i)) {
			have = append(have, i)
		}
	}
	if !slices.Equal(have, []int{50, 51, 52, 100}) {
		t.Errorf("pieces %v", have)
	}
	stats, err := session.Stats()
	must(t, err)
	if stats.PayloadDownload != 4*piece {
		t.Errorf("%d bytes came for 4 pieces", stats.PayloadDownload)
	}
	// It is no end of the file.
	_, err = io.ReadFull(other, make([]byte, 3*piece))
	must(t, err)
	for _, option := range [][2]int64{{-1, 0}, {0, -1}, {5, 5}, {5, 4}, {8<<20 + 1, 0}} {
		if r, err := added.NewReader(0, torrent.WithOffset(option[0]), torrent.WithEnd(option[1])); !errors.Is(err, torrent.ErrInvalidArgument) {
			t.Errorf("%v: %v", option, err)
			r.Close()
		}
	}
	last := reader(t, added, torrent.WithOffset(8<<20))
	if n, err := last.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Error("at the end:", n, err)
	}
}

// However many readers read at once, few of Go's threads are made for it; they would stay.
func TestManyReadsMakeFewThreads(t *testing.T) {
	f := newFilm(8<<20, 64<<10)
	_, peer := seed(t, f, nil)
	session := open(t, nil)
	added := leech(t, session, f, peer)
	whole := reader(t, added)
	_, err := io.Copy(io.Discard, whole)
	must(t, err)
	before := goThreads(t)
	var group sync.WaitGroup
	for i := range 300 {
		r := reader(t, added, torrent.WithOffset(int64(i)*20_000))
		group.Go(func() {
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 4<<10)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	most := max(8, 4*runtime.GOMAXPROCS(0)) + 8
	if now := goThreads(t); now > before+most {
		t.Errorf("%d threads before, %d after", before, now)
	}
}

// goThreads is how many threads Go has: the library's have names of their own.
func goThreads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	own, count := "", 0
	for i, task := range tasks {
		name, err := os.ReadFile("/proc/self/task/" + task.Name() + "/comm")
		if err != nil {
			continue
		}
		if i == 0 {
			own = string(name)
		}
		if string(name) == own {
			count++
		}
	}
	return count
}

// So it does wherever it begins and whatever its rank, the pieces' size and the storage; and after a seek.
func TestUnreadReadersStartSmallEverywhere(t *testing.T) {
	for _, piece := range []int{16 << 10, 64 << 10, 1 << 20} {
		f := newFilm(8<<20+piece/2, piece)
		// One connection may come before the last one has ended.
		_, peer := seed(t, f, torrent.Settings{"allow_multiple_connections_per_ip": true})
		session := open(t, nil)
		size := int64(len(f.content))
		for _, storage := range []torrent.StorageKind{torrent.StorageMemory, torrent.StorageDisk} {
			for name, c := range map[string]struct {
				options []torrent.ReaderOption
				seek    int64
				// Where it stands then, and how much of its pieces it looks at from there on.
				at, ahead int64
			}{
				"middle":     {[]torrent.ReaderOption{torrent.WithOffset(size / 2)}, -1, size / 2, 0},
				"background": {[]torrent.ReaderOption{torrent.InBackground()}, -1, 0, 0},
				"bitrate":    {[]torrent.ReaderOption{torrent.WithBitrate(5_000_000)}, -1, 0, 0},
				"end":        {[]torrent.ReaderOption{torrent.WithEnd(5 << 20)}, -1, 0, 0},
				"sought":     {nil, size / 2, size / 2, 0},
				"last piece": {nil, size - 10, size - 10, 10},
				"one byte":   {[]torrent.ReaderOption{torrent.WithOffset(5), torrent.WithEnd(6)}, -1, 5, int64(piece) - 5},
				"told":       {[]torrent.ReaderOption{torrent.WithLookahead(3 << 20)}, -1, 0, 3 << 20},
			} {
				params := torrent.AddTorrentParams{Torrent: f.torrent, Peers: []string{peer}, Storage: storage, SavePath: t.TempDir(), Flags: torrent.FlagDefaultDontDownload}
				added, err := session.AddTorrent(params)
				must(t, err)
				r, err := added.NewReader(0, append(c.options, torrent.WithPins(0, 0))...)
				must(t, err)
				if c.seek >= 0 {
					_, err := r.Seek(c.seek, io.SeekStart)
					must(t, err)
				}
				want := c.ahead
				if want == 0 {
					want = (c.at/int64(piece)+2)*int64(piece) - c.at
				}
				var status torrent.ReaderStatus
				until(t, "its first pieces are there", func() bool {
					status, err = r.Status()
					must(t, err)
					return status.BufferedAhead >= want
				})
				if status.Position != c.at || status.Lookahead != want || status.BufferedAhead != want {
					t.Errorf("%s of %d in %v: %+v, not %d", name, piece, storage, status, want)
				}
				must(t, r.Close())
				must(t, added.Remove(torrent.RemoveDeleteFiles))
			}
		}
	}
}

// Whoever waits for all of a prebuffer does not wait for ever, however much it is: what memory does not allow is no part of it.
func TestAPrebufferEndsHoweverLargeItIs(t *testing.T) {
	const piece, limit = 64 << 10, 2 << 20
	f := newFilm(8<<20, piece)
	_, peer := seed(t, f, nil)
	session := open(t, torrent.Settings{"memory_limit": limit, "alert_mask": torrent.CategoryAll})
	added := leech(t, session, f, peer)
	for _, c := range []struct {
		head, tail int64
		options    []torrent.ReaderOption
		// At least so much of it comes.
		least int64
	}{
		{1 << 20, 0, nil, 1 << 20},
		{8 << 20, 8 << 20, nil, limit / 2},
		{math.MaxInt64, math.MaxInt64, nil, limit / 2},
		{math.MaxInt64, 0, []torrent.ReaderOption{torrent.WithLookahead(128 << 10), torrent.WithLookbehind(0)}, limit / 2},
		{0, math.MaxInt64, []torrent.ReaderOption{torrent.WithPins(0, 0)}, limit / 4},
		{4 << 20, 0, []torrent.ReaderOption{torrent.WithOffset(6 << 20)}, limit / 5},
		{4 << 20, 4 << 20, []torrent.ReaderOption{torrent.InBackground()}, limit / 4},
		{4 << 20, 0, []torrent.ReaderOption{torrent.WithEnd(200_000)}, 200_000},
		{1, 1, []torrent.ReaderOption{torrent.WithOffset(8 << 20)}, 2 * piece},
		{0, 0, nil, 0},
	} {
		r, err := added.NewReader(0, c.options...)
		must(t, err)
		must(t, r.Prebuffer(c.head, c.tail))
		var status torrent.ReaderStatus
		until(t, "it is filled", func() bool {
			status, err = r.Status()
			must(t, err)
			return status.PrebufferDone == status.PrebufferTotal && status.PrebufferTotal >= c.least
		})
		if status.PrebufferTotal > limit {
			t.Errorf("%+v: %+v", c, status)
		}
		id, err := r.ID()
		must(t, err)
		told := c.least == 0
		until(t, "an alert has told", func() bool {
			alerts, err := session.PopAlerts()
			must(t, err)
			for _, alert := range alerts {
				if a, ok := alert.(*torrent.PrebufferProgress); ok && a.Reader == id {
					told = told || a.Done == a.Total && a.Total >= c.least
				}
			}
			return told
		})
		// It plays as if nothing had been.
		if _, err := r.Seek(3<<20, io.SeekStart); err != nil {
			t.Error(err)
		}
		got := make([]byte, 1<<20)
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, f.content[3<<20:4<<20]) {
			t.Errorf("%+v: %v", c, err)
		}
		must(t, r.Close())
	}
	stats, err := session.Stats()
	must(t, err)
	if stats.MemoryPeak > limit {
		t.Errorf("%+v", stats)
	}
}

// A reader that nobody reads looks ahead a little. What is to be there before playing, Prebuffer fetches.
func TestAnUnreadReaderStartsSmallAndPrebufferFillsIt(t *testing.T) {
	const piece = 64 << 10
	f := newFilm(8<<20, piece)
	_, peer := seed(t, f, nil)
	r := reader(t, leech(t, open(t, nil), f, peer), torrent.WithPins(0, 0))
	status := func() torrent.ReaderStatus {
		status, err := r.Status()
		must(t, err)
		return status
	}
	until(t, "its first pieces are there", func() bool { return status().BufferedAhead == 2*piece })
	if ahead := status().Lookahead; ahead != 2*piece {
		t.Errorf("it looks %d bytes ahead", ahead)
	}
	must(t, r.Prebuffer(4<<20, 0))
	until(t, "it is filled", func() bool { return status().PrebufferDone == 4<<20 })
	if buffered := status().BufferedAhead; buffered < 4<<20 {
		t.Errorf("%d bytes are buffered", buffered)
	}
}
