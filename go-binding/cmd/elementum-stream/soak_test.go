package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elementum.example/torrent"
)

// A soak is how long all goes on, and what happens meanwhile.
type soak struct {
	lasts time.Duration
	// How long the only seed of a torrent is away, in turn, and how long after it is back streams may need.
	outages []time.Duration
	grace   time.Duration
	// What of it happens at random is told by this.
	seed uint64
}

var (
	shortSoak = soak{lasts: 12 * time.Second, outages: []time.Duration{time.Second, 3 * time.Second}, grace: 40 * time.Second}
	longSoak  = soak{lasts: 10 * time.Minute, outages: []time.Duration{10 * time.Second, 40 * time.Second, 300 * time.Second}, grace: 2 * time.Minute}
)

// TestSoak has the service survive random adds, streams, seeks, outages of a torrent's only seed, and floods: every byte is right, and every
// stream goes on after them. ELEMENTUM_SOAK=long is the long form; ELEMENTUM_SOAK_SEED repeats a run.
func TestSoak(t *testing.T) {
	form := shortSoak
	if os.Getenv("ELEMENTUM_SOAK") == "long" {
		form = longSoak
	}
	form.seed = uint64(time.Now().UnixNano())
	if text := os.Getenv("ELEMENTUM_SOAK_SEED"); text != "" {
		var err error
		if form.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ELEMENTUM_SOAK_SEED=%d", form.seed)

	f := newFixture(t, "-memory", "8MiB", "-token", "soak", "-stream-idle", "20m")
	ctx, cancel := context.WithTimeout(context.Background(), form.lasts)
	defer cancel()
	films := make([]*soakFilm, 4)
	for i := range films {
		films[i] = newSoakFilm(t, f, i, form)
	}
	var running sync.WaitGroup
	each := func(count int, do func(ctx context.Context, random *rand.Rand)) {
		for i := range count {
			random := rand.New(rand.NewPCG(form.seed, uint64(i)))
			running.Go(func() {
				for ctx.Err() == nil {
					do(ctx, random)
				}
			})
		}
	}
	running.Go(func() { films[0].outages(ctx, form) })
	var streamed, seeks atomic.Uint64
	each(6, func(ctx context.Context, random *rand.Rand) {
		film := films[random.IntN(len(films))]
		n := film.play(ctx, random, form)
		streamed.Add(uint64(n))
		seeks.Add(1)
	})
	// Torrents come and go beside those that are played.
	each(1, func(ctx context.Context, random *rand.Rand) {
		hash := fmt.Sprintf("%040x", random.Uint64())
		response, body, err := films[0].ask(ctx, http.MethodPost, apiPath+"/torrents", `{"magnet":"magnet:?xt=urn:btih:`+hash+`"}`)
		if err != nil || response.StatusCode != http.StatusCreated {
			if ctx.Err() == nil {
				t.Errorf("adding: %v %s", err, body)
			}
			return
		}
		at := response.Header.Get("Location")
		for _, path := range []string{"/files", "/peers", "/pieces", "/trackers", ""} {
			_, _, _ = films[0].ask(ctx, http.MethodGet, at+path, "")
		}
		if response, body, err := films[0].ask(ctx, http.MethodDelete, at, ""); err == nil && response.StatusCode != http.StatusNoContent {
			t.Errorf("removing: %s", body)
		}
	})
	// Floods of the one and of the other kind: connections that say nothing, half a request, guesses, bodies that do not come; peers that
	// are none.
	each(1, func(ctx context.Context, random *rand.Rand) {
		sent := []string{"", "GET / HT", "GET /metrics?token=x HTTP/1.1\r\nHost: " + f.host + "\r\n\r\n",
			"POST " + apiPath + "/torrents?token=soak HTTP/1.1\r\nHost: " + f.host + "\r\nContent-Type: application/x-bittorrent\r\nContent-Length: 9999\r\n\r\n"}[random.IntN(4)]
		flood(ctx, f.host, 40, sent)
		port, err := f.service.session.ListenPort()
		if err == nil {
			flood(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String(), 20,
				[]string{"", "\x13BitTorrent protocol", strings.Repeat("\xff", 200)}[random.IntN(3)])
		}
	})
	running.Wait()

	// After all that each of them is there, whole.
	for _, film := range films {
		film.whole(form)
	}
	if stats, err := f.service.session.Stats(); err != nil || stats.MemoryPeak > stats.MemoryLimit {
		t.Errorf("%d bytes in memory, of %d: %v", stats.MemoryPeak, stats.MemoryLimit, err)
	}
	if left := f.service.streams.count(); left != 0 {
		untilTrue(t, "no stream is left", func() bool { return f.service.streams.count() == 0 })
	}
	t.Logf("%d streams, %d bytes", seeks.Load(), streamed.Load())
}

// A soakFilm is a torrent of one file, its only seed, and the service that plays it.
type soakFilm struct {
	*testing.T
	fixture *fixture
	name    string
	content []byte
	torrent []byte
	dir     string
	path    string
	listen  string

	mu     sync.Mutex
	seeder *torrent.Session
}

func newSoakFilm(t *testing.T, f *fixture, number int, form soak) *soakFilm {
	t.Helper()
	film := &soakFilm{T: t, fixture: f, name: fmt.Sprintf("film-%d.mkv", number), dir: t.TempDir(), listen: "127.0.0.1:0"}
	film.content = make([]byte, 6<<20+number*1000)
	random := rand.NewChaCha8([32]byte{byte(number), byte(form.seed)})
	_, _ = random.Read(film.content)
	film.torrent = singleFileTorrent(film.name, film.content, (64<<10)<<number)
	if err := os.WriteFile(filepath.Join(film.dir, film.name), film.content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := film.up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(film.down)
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: film.torrent, Peers: []string{film.listen}})
	if err != nil {
		t.Fatal(err)
	}
	film.path = "/stream/" + added.StorageIndex().String() + "/0"
	return film
}

// up starts the seed, where it was before.
func (m *soakFilm) up() error {
	session, err := torrent.Open(torrent.Config{ListenInterfaces: m.listen, Settings: torrent.Settings{"enable_dht": false}, CloseTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	if _, err = session.AddTorrent(torrent.AddTorrentParams{Torrent: m.torrent, SavePath: m.dir, Storage: torrent.StorageDisk}); err != nil {
		return errors.Join(err, session.Close())
	}
	port, err := session.ListenPort()
	if err != nil || port == 0 {
		return errors.Join(err, session.Close(), errors.New("no port for the seed"))
	}
	m.listen = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seeder = session
	return nil
}

func (m *soakFilm) down() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seeder != nil {
		m.seeder.Close()
		m.seeder = nil
	}
}

// outages takes the only seed away, now and then, as long as that fits in.
func (m *soakFilm) outages(ctx context.Context, form soak) {
	for i := 0; ; i++ {
		away := form.outages[i%len(form.outages)]
		if !pause(ctx, form.lasts/8) {
			return
		}
		m.down()
		// It comes back in any case.
		pause(ctx, away)
		for end := time.Now().Add(form.grace); ; time.Sleep(50 * time.Millisecond) {
			err := m.up()
			if err == nil {
				break
			}
			if time.Now().After(end) {
				m.Errorf("the seed does not start again: %v", err)
				return
			}
		}
	}
}

// pause waits; false: the context ended first.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// play reads somewhere, for a while, as players do, and compares. What it was given.
func (m *soakFilm) play(ctx context.Context, random *rand.Rand, form soak) int64 {
	begin := random.IntN(len(m.content))
	most := 1 + random.IntN(2<<20)
	spec := fmt.Sprintf("bytes=%d-", begin)
	if random.IntN(2) == 0 {
		spec = fmt.Sprintf("bytes=%d-%d", begin, begin+most-1)
	}
	return m.read(ctx, spec, begin, min(most, len(m.content)-begin), form)
}

// read compares so many bytes from a place on. One that takes longer than an outage and what comes after it has been forgotten.
func (m *soakFilm) read(ctx context.Context, spec string, begin, most int, form soak) int64 {
	patience := form.grace
	for _, away := range form.outages {
		patience = max(patience, away+form.grace)
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, errors.New("it does not go on"))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.fixture.base+m.path, nil)
	if err != nil {
		m.Error(err)
		return 0
	}
	r.Header.Set("Range", spec)
	r.AddCookie(&http.Cookie{Name: m.fixture.service.cookieName(), Value: m.fixture.service.secrets.cookie})
	for {
		response, err := m.client().Do(r)
		if err != nil {
			m.Errorf("%s %s: %v, %v", m.name, spec, err, context.Cause(ctx))
			return 0
		}
		if response.StatusCode == http.StatusServiceUnavailable || response.StatusCode == http.StatusTooManyRequests {
			// It says so, and when to come again; here that is sooner.
			response.Body.Close()
			pause(ctx, 100*time.Millisecond)
			continue
		}
		n, err := m.compare(response, begin, most)
		response.Body.Close()
		if err != nil {
			m.Errorf("%s %s after %d bytes: %v, %v; %s", m.name, spec, n, err, context.Cause(ctx), m.why())
		}
		return n
	}
}

func (m *soakFilm) compare(response *http.Response, begin, most int) (int64, error) {
	if response.StatusCode != http.StatusPartialContent {
		return 0, errors.New(response.Status)
	}
	got := make([]byte, 32<<10)
	for done := 0; done < most; {
		n, err := response.Body.Read(got[:min(len(got), most-done)])
		if !bytes.Equal(got[:n], m.content[begin+done:begin+done+n]) {
			return int64(done), errors.New("other bytes")
		}
		done += n
		if err != nil && done < most {
			return int64(done), err
		}
	}
	return int64(most), nil
}

// why is what the service says of streams that wait.
func (m *soakFilm) why() string {
	var all []string
	for _, view := range m.fixture.service.streamViews() {
		all = append(all, view.Explanation)
	}
	return strings.Join(all, "; ")
}

func (m *soakFilm) whole(form soak) {
	m.read(context.Background(), "bytes=0-", 0, len(m.content), form)
}

// client has no bound of its own in time.
func (m *soakFilm) client() *http.Client {
	return &http.Client{Transport: m.fixture.client.Transport}
}

func (m *soakFilm) ask(ctx context.Context, method, path, body string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, m.fixture.base+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	page := &http.Cookie{Name: m.fixture.service.cookieName(), Value: m.fixture.service.secrets.cookie}
	r.AddCookie(page)
	response, err := m.client().Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response, answer, err
}

// flood opens connections that each send something, and leaves them for a moment.
func flood(ctx context.Context, to string, count int, sent string) {
	var conns []net.Conn
	for range count {
		conn, err := net.DialTimeout("tcp", to, time.Second)
		if err != nil {
			break
		}
		conns = append(conns, conn)
		_, _ = io.WriteString(conn, sent)
	}
	pause(ctx, 300*time.Millisecond)
	for _, conn := range conns {
		conn.Close()
	}
}
