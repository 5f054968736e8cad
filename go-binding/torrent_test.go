package torrent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elementum.example/torrent"
)

var someAddress = netip.MustParseAddrPort("192.0.2.1:6881")

func TestATorrentTellsTheTruth(t *testing.T) {
	f := newFilm(1<<20+5000, 64<<10)
	_, peer := seed(t, f, nil)
	session := open(t, nil)
	added, err := session.AddTorrent(torrent.AddTorrentParams{
		Torrent:       f.torrent,
		Storage:       torrent.StorageMemory,
		Peers:         []string{peer},
		Trackers:      []string{"http://127.0.0.1:1/announce"},
		Flags:         torrent.FlagSequentialDownload,
		DownloadLimit: 50_000_000,
		MaxUploads:    3,
	})
	must(t, err)
	info, err := added.Info()
	must(t, err)
	if info.TotalSize != 1<<20+5000 || info.PieceLength != 64<<10 || info.NumPieces != 17 || info.NumFiles != 1 || info.Private ||
		info.InfoHashes.V1 != f.hash || info.PieceSize(16) != 5000 || info.PieceSize(0) != 64<<10 || info.PieceSize(17) != 0 {
		t.Errorf("%+v", info)
	}
	files, err := added.Files()
	must(t, err)
	want := torrent.File{Index: 0, Path: f.name, Length: 1<<20 + 5000, EndPiece: 17}
	if len(files) != 1 || files[0] != want {
		t.Errorf("%+v", files)
	}
	metainfo, err := added.Metainfo()
	must(t, err)
	if !bytes.Contains(metainfo, f.torrent[1:len(f.torrent)-1]) {
		t.Error("another info dictionary")
	}

	r := reader(t, added)
	var got bytes.Buffer
	_, err = r.WriteTo(&got)
	must(t, err)
	status, err := added.Status()
	must(t, err)
	if !bytes.Equal(got.Bytes(), f.content) || status.Done != 1<<20+5000 || status.Progress != 1 || !status.IsSeeding ||
		status.State != torrent.StateSeeding || status.StorageIndex != added.StorageIndex() || status.InfoHashes.V1 != f.hash ||
		status.Storage != torrent.StorageMemory || status.NumPieces != 17 || status.Peers != 1 || status.PieceLength != 64<<10 ||
		status.PayloadDownload < status.Done || status.DownloadLimit != 50_000_000 || status.MaxUploads != 3 ||
		status.Flags&torrent.FlagSequentialDownload == 0 || status.Readers != 1 || time.Since(status.AddedTime) > time.Minute {
		t.Errorf("%+v", status)
	}
	pieces, err := added.Pieces()
	must(t, err)
	if pieces.Len() != 17 || pieces.Count() != 17 || !pieces.Has(16) || pieces.Has(17) || pieces.Has(-1) ||
		!bytes.Equal(pieces.Bytes(), []byte{0xff, 0xff, 0x80}) || len(slices.Collect(pieces.All())) != 17 {
		t.Errorf("%+v", pieces)
	}
	if availability, err := added.PieceAvailability(); err != nil || len(availability) != 17 || availability[5] != 1 {
		t.Error(availability, err)
	}
	if progress, err := added.FileProgress(); err != nil || !slices.Equal(progress, []uint64{1<<20 + 5000}) {
		t.Error(progress, err)
	}
	peers, err := added.Peers()
	must(t, err)
	if len(peers) != 1 || peers[0].Endpoint.String() != peer || peers[0].Progress != 1 || peers[0].NumPieces != 17 ||
		peers[0].Flags&(torrent.PeerFlagSeed|torrent.PeerFlagOutgoing) != torrent.PeerFlagSeed|torrent.PeerFlagOutgoing ||
		peers[0].Source&torrent.SourceManual == 0 || peers[0].Download < 1<<20 || peers[0].Client == "" || peers[0].Host != "" ||
		peers[0].SocketType != torrent.SocketTcp {
		t.Errorf("%+v", peers)
	}
	into := make([]byte, 6000)
	if n, err := added.ReadPiece(16, 1000, into); err != nil || n != 4000 || !bytes.Equal(into[:n], f.content[16<<16+1000:]) {
		t.Error(n, err)
	}
	stats, err := added.StorageStats()
	must(t, err)
	if stats.Resident < 1<<20 || stats.ResidentPieces != 17 || stats.SessionLimit != 64<<20 || stats.SessionPeak > stats.SessionLimit {
		t.Errorf("%+v", stats)
	}
	must(t, added.SetLookbehind([]torrent.PieceIndex{3, 4}))
	if there, err := added.IsLookbehindAvailable(4); err != nil || !there {
		t.Error(there, err)
	}
	if lookbehind, err := added.LookbehindStats(); err != nil || lookbehind.AvailablePieces != 2 || lookbehind.ProtectedPieces != 2 ||
		lookbehind.Hits != 1 || lookbehind.Misses != 0 {
		t.Errorf("%+v %v", lookbehind, err)
	}
	if err := added.SetLookbehind([]torrent.PieceIndex{17}); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	must(t, added.ClearLookbehind())
	if queue, err := added.DownloadQueue(); err != nil || len(queue) != 0 {
		t.Error(queue, err)
	}
	must(t, added.Err())
}

func TestPrioritiesDeadlinesTrackers(t *testing.T) {
	f := newFilm(300_000, 32<<10)
	added := leech(t, open(t, nil), f)
	must(t, added.PrioritizePieces(slices.Repeat([]torrent.Priority{torrent.LowPriority}, 10)))
	must(t, added.SetPiecePriority(3, torrent.TopPriority))
	priorities, err := added.PiecePriorities()
	must(t, err)
	if want := append(slices.Repeat([]torrent.Priority{1}, 3), 7, 1, 1, 1, 1, 1, 1); !slices.Equal(priorities, want) {
		t.Error(priorities)
	}
	must(t, added.SetFilePriority(0, 6))
	if priorities, err := added.FilePriorities(); err != nil || !slices.Equal(priorities, []torrent.Priority{6}) {
		t.Error(priorities, err)
	}
	must(t, added.PrioritizeFiles([]torrent.Priority{torrent.DontDownload}))
	for _, err := range []error{
		added.PrioritizeFiles([]torrent.Priority{1, 2}),
		added.PrioritizeFiles([]torrent.Priority{8}),
		added.SetPiecePriority(10, 1),
		added.SetPiecePriority(0, 8),
		added.SetFilePriority(-1, 1),
		added.SetPieceDeadline(10, time.Second),
		added.AddTracker("gopher://192.0.2.1", 0),
		added.AddTracker("http://192.0.2.1/announce", 256),
		added.SetDownloadLimit(-1),
		added.SetUploadLimit(1 << 32),
		added.SetMaxConnections(-1),
		added.SetMaxUploads(-2),
		added.SetFlags(1 << 60),
	} {
		if !errors.Is(err, torrent.ErrInvalidArgument) {
			t.Error(err)
		}
	}
	must(t, added.SetPieceDeadline(2, 50*time.Millisecond))
	must(t, added.ResetPieceDeadline(2))
	must(t, added.ClearPieceDeadlines())
	must(t, added.ReplaceTrackers([]torrent.TrackerEntry{{URL: "http://127.0.0.1:1/a", Tier: 0}, {URL: "udp://127.0.0.1:1", Tier: 3}}))
	must(t, added.AddTracker("http://127.0.0.1:1/b", 1))
	trackers, err := added.Trackers()
	must(t, err)
	if len(trackers) != 3 || trackers[0].URL != "http://127.0.0.1:1/a" || trackers[2].Tier != 3 || trackers[0].Seeds != -1 {
		t.Errorf("%+v", trackers)
	}
	must(t, added.SetDownloadLimit(1000))
	must(t, added.SetMaxConnections(5))
	must(t, added.SetFlags(torrent.FlagSequentialDownload))
	must(t, added.UnsetFlags(torrent.FlagSequentialDownload))
	must(t, added.Pause())
	status, err := added.Status()
	must(t, err)
	if !status.Paused || status.DownloadLimit != 1000 || status.MaxConnections != 5 || status.Flags != torrent.FlagPaused {
		t.Errorf("%+v", status)
	}
	must(t, added.Resume())
	must(t, added.ForceReannounce())
	must(t, added.ForceDHTAnnounce())
	must(t, added.ForceRecheck())
	must(t, added.ConnectPeer(someAddress))
	must(t, added.BanPeer(someAddress.Addr()))
	if seeds, err := added.WebSeeds(); err != nil || len(seeds) != 0 {
		t.Error(seeds, err)
	}
}

// Each limit has a call of its own, which leaves the others as they are.
func TestALimitLeavesTheOthersAsTheyAre(t *testing.T) {
	added, err := open(t, nil).AddTorrent(torrent.AddTorrentParams{
		Torrent: newFilm(100_000, 16<<10).torrent, DownloadLimit: 1000, UploadLimit: 2000, MaxConnections: 30, MaxUploads: 4,
	})
	must(t, err)
	limits := func() [4]uint32 {
		status, err := added.Status()
		must(t, err)
		return [4]uint32{status.DownloadLimit, status.UploadLimit, status.MaxConnections, status.MaxUploads}
	}
	want := limits()
	if want != [4]uint32{1000, 2000, 30, 4} {
		t.Fatal(want)
	}
	for i, set := range []func(int64) error{added.SetDownloadLimit, added.SetUploadLimit, added.SetMaxConnections, added.SetMaxUploads} {
		must(t, set(77))
		want[i] = 77
		if got := limits(); got != want {
			t.Errorf("after limit %d was set: %v, not %v", i, got, want)
		}
		if err := set(-1); !errors.Is(err, torrent.ErrInvalidArgument) || limits() != want {
			t.Error(err, limits())
		}
	}
	must(t, added.SetUploadLimit(0))
	want[1] = 0
	if got := limits(); got != want {
		t.Errorf("%v, not %v", got, want)
	}
}

// So they are left by calls at the same time, by what else is told to the torrent, and by its metadata; and each may be as large as it goes.
func TestLimitsAndFlagsStay(t *testing.T) {
	f := newFilm(100_000, 16<<10)
	_, peer := seed(t, f, nil)
	session := open(t, nil)
	magnet := torrent.InfoHashes{V1: f.hash}.Magnet()
	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: magnet, Storage: torrent.StorageMemory, DownloadLimit: 1, UploadLimit: math.MaxUint32})
	must(t, err)
	type limits struct {
		download, upload, connections, uploads uint32
		flags                                  torrent.TorrentFlags
	}
	now := func() limits {
		status, err := added.Status()
		must(t, err)
		return limits{status.DownloadLimit, status.UploadLimit, status.MaxConnections, status.MaxUploads, status.Flags}
	}
	if got := now(); got != (limits{download: 1, upload: math.MaxUint32}) {
		t.Errorf("%+v", got)
	}
	var group sync.WaitGroup
	for i, set := range []func(int64) error{added.SetDownloadLimit, added.SetUploadLimit, added.SetMaxConnections, added.SetMaxUploads} {
		group.Go(func() {
			for value := range int64(100) {
				must(t, set(value))
			}
			must(t, set(math.MaxUint32-int64(i)))
		})
	}
	for _, flag := range []torrent.TorrentFlags{torrent.FlagSequentialDownload, torrent.FlagDisableDHT, torrent.FlagDisablePEX} {
		group.Go(func() {
			for range 100 {
				must(t, added.SetFlags(flag))
				must(t, added.UnsetFlags(flag))
			}
			must(t, added.SetFlags(flag))
		})
	}
	group.Wait()
	want := limits{math.MaxUint32, math.MaxUint32 - 1, math.MaxUint32 - 2, math.MaxUint32 - 3, torrent.FlagSequentialDownload | torrent.FlagDisableDHT | torrent.FlagDisablePEX}
	for _, c := range []struct {
		name string
		act  func() error
	}{
		{"the same time", func() error { return nil }},
		{"what is wrong", func() error {
			return errors.Join(added.SetUploadLimit(math.MaxUint32+1), added.SetFlags(1<<60), added.SetMaxUploads(math.MinInt64))
		}},
		{"a pause", func() error { return errors.Join(added.Pause(), added.Resume()) }},
		{"the session's", func() error {
			return session.ApplySettings(torrent.Settings{"download_rate_limit": 70_000, "unchoke_slots_limit": 3})
		}},
		{"another add", func() error {
			_, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: magnet, DownloadLimit: 7, MaxUploads: 9})
			return err
		}},
		{"a tracker", func() error { return added.AddTracker("http://127.0.0.1:1/announce", 3) }},
		{"its metadata", func() error {
			return errors.Join(added.ConnectPeer(netip.MustParseAddrPort(peer)), added.WaitMetadata(t.Context()))
		}},
		{"what is wanted", func() error {
			return errors.Join(added.WaitMetadata(t.Context()), added.SetFilePriority(0, 7), added.SetPiecePriority(0, 1))
		}},
		{"a check", func() error { return errors.Join(added.WaitMetadata(t.Context()), added.ForceRecheck()) }},
	} {
		if err := c.act(); err != nil && !errors.Is(err, torrent.ErrInvalidArgument) && !errors.Is(err, torrent.ErrDuplicateTorrent) {
			t.Error(c.name, err)
		}
		if got := now(); got != want {
			t.Errorf("after %s: %+v, not %+v", c.name, got, want)
		}
	}
}

// A name that is all there is, and files of which none is to be played.
func TestLargestFileOfOddTorrents(t *testing.T) {
	session := open(t, nil)
	for name, c := range map[string]struct {
		files string
		bytes int
		want  string
	}{
		"padding alone":       {"d4:attr1:p6:lengthi40000e4:pathl4:.pad5:40000eed4:attr1:p6:lengthi7eee", 40_007, ""},
		"a link and padding":  {"d4:attr1:l4:pathl1:le12:symlink pathl1:aeed4:attr1:p6:lengthi40000eee", 40_000, ""},
		"empty ones":          {"d6:lengthi0e4:pathl1:aeed6:lengthi0e4:pathl1:beed4:attr1:p6:lengthi40000eee", 40_000, "d/a"},
		"a hidden one":        {"d6:lengthi7e4:pathl1:aeed4:attr1:h6:lengthi40000e4:pathl1:beee", 40_007, "d/b"},
		"a link to a larger":  {"d4:attr1:l4:pathl1:le12:symlink pathl1:beed6:lengthi7e4:pathl1:aeed6:lengthi40000e4:pathl1:beee", 40_007, "d/b"},
		"beyond 32 bits":      {"d6:lengthi5000000000e4:pathl1:aeed6:lengthi705032705e4:pathl1:beee", 5_705_032_705, "d/a"},
		"the last of several": {"d6:lengthi1e4:pathl1:aeed6:lengthi2e4:pathl1:beed6:lengthi3e4:pathl1:c1:deee", 6, "d/c/d"},
	} {
		length := 16 << 10
		for c.bytes/length > 1000 {
			length *= 2
		}
		pieces := (c.bytes + length - 1) / length * 20
		file := fmt.Appendf(nil, "d4:infod5:filesl%s4:name1:d12:piece lengthi%de6:pieces%d:%see", c.files, length, pieces, strings.Repeat("x", pieces))
		added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: file, Storage: torrent.StorageMemory})
		if err != nil {
			t.Error(name, err)
			continue
		}
		largest, err := added.LargestFile()
		if c.want == "" {
			var detail *torrent.Error
			if !errors.Is(err, torrent.ErrNotFound) || !errors.As(err, &detail) || detail.Op != "Torrent.LargestFile" || largest != (torrent.File{}) {
				t.Errorf("%s: %+v %v", name, largest, err)
			}
		} else if err != nil || largest.Path != c.want {
			t.Errorf("%s: %+v %v", name, largest, err)
		}
	}
}

func TestLargestFile(t *testing.T) {
	session := open(t, nil)
	added := leech(t, session, newFilm(100_000, 16<<10))
	largest, err := added.LargestFile()
	if err != nil || largest.Index != 0 || largest.Length != 100_000 {
		t.Fatal(largest, err)
	}
	// Padding may be the largest, and is nothing to play. Of two that are as large the first is meant.
	info := "d5:filesl" +
		"d6:lengthi20e4:pathl1:aeed4:attr1:p6:lengthi90000e4:pathl4:.pad5:90000eed6:lengthi500e4:pathl1:beed6:lengthi500e4:pathl1:ceee" +
		"4:name1:d12:piece lengthi16384e6:pieces120:" + strings.Repeat("x", 120) + "e"
	several, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: []byte("d4:info" + info + "e")})
	must(t, err)
	if largest, err := several.LargestFile(); err != nil || largest.Path != "d/b" {
		t.Errorf("%+v %v", largest, err)
	}
	magnet, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)})
	must(t, err)
	if _, err := magnet.LargestFile(); !errors.Is(err, torrent.ErrNoMetadata) || !strings.Contains(err.Error(), "Torrent.LargestFile") {
		t.Error(err)
	}
}

// A channel for a select: it gets what came of the wait, once.
func TestMetadataChannel(t *testing.T) {
	session := open(t, nil)
	if err := <-leech(t, session, newFilm(100_000, 16<<10)).Metadata(t.Context()); err != nil {
		t.Error(err)
	}
	magnet, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	canceled, removed := magnet.Metadata(ctx), magnet.Metadata(t.Context())
	select {
	case err := <-removed:
		t.Fatal("it did not wait:", err)
	default:
	}
	cancel()
	if err := <-canceled; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	must(t, magnet.Remove(0))
	if err := <-removed; !errors.Is(err, torrent.ErrInvalidStorageIndex) {
		t.Error(err)
	}
}

// Whatever ends the wait ends the channel's, also where nobody takes from it, and several may wait.
func TestMetadataChannelsEnd(t *testing.T) {
	f := newFilm(100_000, 16<<10)
	// One connection may come before the last one has ended.
	_, peer := seed(t, f, torrent.Settings{"allow_multiple_connections_per_ip": true})
	goroutines := runtime.NumGoroutine()
	why := errors.New("enough")
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	late, stop := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer stop()
	for name, c := range map[string]struct {
		ctx  context.Context
		act  func(*torrent.Torrent) error
		want error
	}{
		"it comes":         {t.Context(), func(of *torrent.Torrent) error { return of.ConnectPeer(netip.MustParseAddrPort(peer)) }, nil},
		"it was over":      {canceled, nil, why},
		"the time is up":   {late, nil, torrent.ErrTimedOut},
		"the session ends": {t.Context(), func(of *torrent.Torrent) error { return of.Session().Close() }, torrent.ErrClosed},
		"it is removed":    {t.Context(), func(of *torrent.Torrent) error { return of.Remove(0) }, torrent.ErrInvalidStorageIndex},
		"no such torrent":  {t.Context(), nil, torrent.ErrInvalidStorageIndex},
		"it is known": {canceled, func(of *torrent.Torrent) error {
			return errors.Join(of.ConnectPeer(netip.MustParseAddrPort(peer)), of.WaitMetadata(t.Context()))
		}, nil},
		"the file is added": {t.Context(), func(of *torrent.Torrent) error {
			_, err := of.Session().AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent})
			if errors.Is(err, torrent.ErrDuplicateTorrent) {
				err = nil
			}
			return err
		}, nil},
	} {
		session, err := torrent.Open(quiet(nil))
		must(t, err)
		added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: torrent.InfoHashes{V1: f.hash}.Magnet(), Storage: torrent.StorageMemory})
		must(t, err)
		var channels []<-chan error
		if name == "it is known" {
			must(t, c.act(added))
		}
		if name == "no such torrent" {
			added = session.Torrent(1 << 40)
		}
		for range 10 {
			channels = append(channels, added.Metadata(c.ctx))
		}
		if c.act != nil && name != "it is known" {
			time.Sleep(10 * time.Millisecond)
			must(t, c.act(added))
		}
		// The others are left alone.
		for _, channel := range channels[:3] {
			if err := soon(t, channel); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(t, session.Close())
	}
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// However many wait, few hold a thread; and when their context ends, none waits any more.
func TestWaitsForMetadataHoldFewThreads(t *testing.T) {
	threads := pprof.Lookup("threadcreate").Count
	session := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := threads()
	const waits = 100
	goroutines := runtime.NumGoroutine()
	ended := make(chan error, waits)
	for i := range waits {
		magnet, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: fmt.Sprintf("magnet:?xt=urn:btih:%040x", i+1), Flags: torrent.FlagPaused})
		must(t, err)
		go func() { ended <- magnet.WaitMetadata(ctx) }()
	}
	time.Sleep(500 * time.Millisecond)
	if more := threads() - before; more > 16 {
		t.Errorf("%d threads more for %d waits", more, waits)
	}
	begin := time.Now()
	cancel()
	for range waits {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v until the last one had noticed", took)
	}
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestMetadataOfAMagnet(t *testing.T) {
	f := newFilm(500_000, 32<<10)
	_, peer := seed(t, f, nil)
	session := open(t, nil)
	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: torrent.InfoHashes{V1: f.hash}.Magnet(), Storage: torrent.StorageMemory})
	must(t, err)
	if _, err := added.NewReader(0); !errors.Is(err, torrent.ErrNoMetadata) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := added.WaitMetadata(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, torrent.ErrTimedOut) ||
		!strings.Contains(err.Error(), "Torrent.WaitMetadata: the metadata did not come in time") {
		t.Error(err)
	}
	must(t, added.ConnectPeer(netip.MustParseAddrPort(peer)))
	must(t, added.WaitMetadata(t.Context()))
	if name, err := added.Name(); err != nil || name != f.name {
		t.Error(name, err)
	}
	into := make([]byte, 1000)
	if _, err := reader(t, added).ReadAt(into, 400_000); err != nil || !bytes.Equal(into, f.content[400_000:401_000]) {
		t.Error(err)
	}
}

func TestNamesOfValues(t *testing.T) {
	hashes, err := torrent.ParseInfoHash("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")
	must(t, err)
	for got, want := range map[string]string{
		torrent.StateDownloadingMetadata.String():                      "downloading_metadata",
		torrent.State(77).String():                                     "77",
		torrent.TorrentFlags(0).String():                               "0x0",
		(torrent.FlagPaused | torrent.FlagDisableDHT | 1<<50).String(): "paused|disable_dht|0x4000000000000",
		torrent.OperationSockBind.String():                             "sock_bind",
		torrent.Priority(5).String():                                   "5",
		torrent.TopPriority.String():                                   "top",
		torrent.TypePieceFinished.String():                             "piece_finished",
		torrent.Code(0).Error():                                        "torrent: ok",
		torrent.ErrNoMetadata.Error():                                  "torrent: no metadata",
		hashes.String():                                                "0000000000000000000000000000000000000001",
		hashes.Base32():                                                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
		hashes.Magnet():                                                "magnet:?xt=urn:btih:0000000000000000000000000000000000000001",
		(torrent.CategoryError | torrent.CategoryReader).String():      "error|reader",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if _, err := torrent.ParseInfoHash("xyz"); !errors.Is(err, torrent.ErrParse) {
		t.Error(err)
	}
	if torrent.RemoveFlags(8).IsValid() || !torrent.RemoveDeleteFiles.IsValid() || torrent.Priority(8).IsValid() || torrent.PieceIndex(-1).IsValid() {
		t.Error("validity")
	}
}
