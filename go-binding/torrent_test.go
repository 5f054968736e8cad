package torrent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
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
		peers[0].Source&torrent.SourceManual == 0 || peers[0].Download < 1<<20 || peers[0].Client == "" {
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
