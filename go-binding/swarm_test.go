package torrent_test

import (
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"elementum.example/torrent"
	"elementum.example/torrent/internal/capi"
)

// TestMain fails where a test left a handle open.
func TestMain(m *testing.M) {
	code := m.Run()
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
	if open, lost := capi.LiveHandles(), capi.LeakedHandles(); open != 0 || lost != 0 {
		fmt.Fprintf(os.Stderr, "%d handles are open, %d were never closed\n", open, lost)
		code = 1
	}
	os.Exit(code)
}

// A film is content and its torrent.
type film struct {
	name    string
	content []byte
	torrent []byte
	hash    [20]byte
}

func newFilm(size, pieceLength int) film {
	return newFilmCalled(fmt.Sprintf("film-%d.bin", size), size, pieceLength)
}

func newFilmCalled(name string, size, pieceLength int) film {
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(size)})
	random.Read(content)
	var hashes []byte
	for begin := 0; begin < size; begin += pieceLength {
		hash := sha1.Sum(content[begin:min(begin+pieceLength, size)])
		hashes = append(hashes, hash[:]...)
	}
	info := fmt.Sprintf("d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%se",
		size, len(name), name, pieceLength, len(hashes), hashes)
	return film{name: name, content: content, torrent: []byte("d4:info" + info + "e"), hash: sha1.Sum([]byte(info))}
}

func quiet(change torrent.Settings) torrent.Config {
	settings := torrent.Settings{"enable_dht": false}
	for key, value := range change {
		settings[key] = value
	}
	return torrent.Config{ListenInterfaces: "127.0.0.1:0", MemoryLimit: 64 << 20, Settings: settings}
}

func open(t testing.TB, change torrent.Settings) *torrent.Session {
	t.Helper()
	session, err := torrent.Open(quiet(change))
	must(t, err)
	t.Cleanup(func() { must(t, session.Close()) })
	return session
}

// seed opens a session that has the film on disk. Where it listens.
func seed(t testing.TB, f film, change torrent.Settings) (*torrent.Session, string) {
	t.Helper()
	directory := t.TempDir()
	must(t, os.WriteFile(filepath.Join(directory, f.name), f.content, 0o600))
	session := open(t, change)
	added, err := session.AddTorrent(torrent.AddTorrentParams{
		Torrent: f.torrent, SavePath: directory, Storage: torrent.StorageDisk,
	})
	must(t, err)
	until(t, "it seeds", func() bool {
		status, err := added.Status()
		must(t, err)
		return status.IsSeeding
	})
	port, err := session.ListenPort()
	must(t, err)
	return session, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
}

// leech adds the film to a session, with a peer or without.
func leech(t testing.TB, session *torrent.Session, f film, peers ...string) *torrent.Torrent {
	t.Helper()
	added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent, Peers: peers, Storage: torrent.StorageMemory})
	must(t, err)
	return added
}

func reader(t testing.TB, of *torrent.Torrent, options ...torrent.ReaderOption) *torrent.Reader {
	t.Helper()
	reader, err := of.NewReader(0, options...)
	must(t, err)
	t.Cleanup(func() { reader.Close() })
	return reader
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// threads is how many the process has.
func threads(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/task")
	must(t, err)
	return len(entries)
}

// descriptors raises the limit of open files, as far as it can be raised. What it is then.
func descriptors(wanted int) int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	more := syscall.Rlimit{Cur: max(limit.Cur, uint64(wanted)), Max: max(limit.Max, uint64(wanted))}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
		return int(more.Cur)
	}
	return int(limit.Cur)
}

func (f film) infoHash() string { return torrent.InfoHashes{V1: f.hash}.String() }
