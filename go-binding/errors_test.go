package torrent_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

// What a reader is opened with is looked at: a negative number is nobody's wish, and nil is no option.
func TestReaderOptionsAreChecked(t *testing.T) {
	added := leech(t, open(t, nil), newFilm(200_000, 32<<10))
	for name, option := range map[string]torrent.ReaderOption{
		"WithLookahead: -1":   torrent.WithLookahead(-1),
		"WithLookbehind: -7":  torrent.WithLookbehind(-7),
		"WithBitrate: -1":     torrent.WithBitrate(-1),
		"WithPins: head: -2":  torrent.WithPins(-2, 1),
		"WithPins: tail: -3":  torrent.WithPins(1, -3),
		"WithReadTimeout: -1": torrent.WithReadTimeout(-time.Second),
	} {
		r, err := added.NewReader(0, torrent.InBackground(), option)
		if r != nil || !errors.Is(err, torrent.ErrInvalidArgument) || !strings.Contains(err.Error(), "torrent: Torrent.NewReader: "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := added.NewReader(0, nil, torrent.WithLookahead(0), nil, torrent.WithLookbehind(0), torrent.WithBitrate(0), torrent.WithPins(0, 0), torrent.WithReadTimeout(0))
	must(t, err)
	defer r.Close()
	status, err := r.Status()
	must(t, err)
	// None is none: neither the head nor the tail of the file is in the window, and it knows no bitrate.
	if status.Bitrate != 0 || status.WindowEnd > 3*32<<10 {
		t.Errorf("%+v", status)
	}
	if _, err := torrent.Open(torrent.Config{CloseTimeout: -1}); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	if _, err := torrent.Open(torrent.Config{MemoryLimit: -1}); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	if err := r.Prebuffer(-1, 0); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
}

// A reader may be given other options while it is open: another rank, another window, another time-out.
func TestReaderOptionsChange(t *testing.T) {
	f := newFilm(8<<20, 64<<10)
	_, peer := seed(t, f, nil)
	r := reader(t, leech(t, open(t, nil), f, peer), torrent.InBackground(), torrent.WithLookahead(128<<10))
	status := func() torrent.ReaderStatus {
		status, err := r.Status()
		must(t, err)
		return status
	}
	_, err := io.CopyN(io.Discard, r, 1<<20)
	must(t, err)
	if now := status(); !now.Background || now.WindowEnd > now.Position+256<<10 {
		t.Errorf("%+v", now)
	}
	must(t, r.SetOptions(torrent.WithLookahead(3<<20), torrent.WithBitrate(500_000), nil))
	if now := status(); now.Background || now.WindowEnd < now.Position+3<<20 || now.Bitrate != 500_000 {
		t.Errorf("%+v", now)
	}
	until(t, "what is ahead is there", func() bool { return status().BufferedAhead >= 3<<20 })
	for name, options := range map[string][]torrent.ReaderOption{
		"WithLookahead: -1": {torrent.WithLookahead(-1)},
		"unverified":        {torrent.Unverified()},
	} {
		if err := r.SetOptions(options...); !errors.Is(err, torrent.ErrInvalidArgument) || !strings.Contains(err.Error(), "Reader.SetOptions: ") || !strings.Contains(err.Error(), name) {
			t.Error(name, err)
		}
	}
	if now := status(); now.Bitrate != 500_000 {
		t.Errorf("what was refused has changed it: %+v", now)
	}
	must(t, r.SetOptions(torrent.InBackground(), torrent.WithReadTimeout(time.Nanosecond)))
	if now := status(); !now.Background || now.Bitrate == 500_000 {
		t.Errorf("%+v", now)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, torrent.ErrTimedOut) {
		t.Error(err)
	}
	must(t, r.SetOptions())
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	must(t, r.Close())
	if err := r.SetOptions(); !errors.Is(err, torrent.ErrClosed) {
		t.Error(err)
	}
}

// An error names the call that was made, what is out of which range, and nothing as C has it.
func TestErrorsSpeakGo(t *testing.T) {
	f := newFilm(200_000, 32<<10)
	session := open(t, nil)
	added := leech(t, session, f)
	r := reader(t, added)
	gone := leech(t, session, newFilm(300_000, 32<<10))
	must(t, gone.Remove(0))
	only := func(_ any, err error) error { return err }
	add := func(params torrent.AddTorrentParams) error { return only(session.AddTorrent(params)) }
	magnet := "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)
	late, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-late.Done()
	for _, c := range []struct {
		err  error
		want string
	}{
		{only(r.ReadAt(nil, -1)), "Reader.ReadAt: offset -1 is out of range: the file has 200000 bytes"},
		{only(r.ReadAtContext(t.Context(), nil, -1)), "Reader.ReadAtContext: offset -1 is out of range"},
		{only(r.ReadContext(late, nil)), "Reader.ReadContext: the data did not come in time"},
		{only(r.Seek(-1, io.SeekStart)), "Reader.Seek: offset -1"},
		{only(r.Seek(0, 9)), "Reader.Seek: whence is 9, allowed is 0 to 2"},
		{only(added.ReadPiece(0, -1, nil)), "Torrent.ReadPiece: offset -1 is out of range"},
		{only(added.NewReader(-1)), "Torrent.NewReader: file"},
		{only(added.NewReader(1)), "Torrent.NewReader: file"},
		{gone.Remove(0), "Torrent.Remove: "},
		{gone.WaitMetadata(t.Context()), "Torrent.WaitMetadata: "},
		{only(gone.HasMetadata()), "Torrent.HasMetadata: "},
		{session.Remove(gone.StorageIndex(), 0), "Session.Remove: "},
		{session.WaitAlerts(late), "Session.WaitAlerts: no alert came in time"},
		{session.SetMemoryLimit(-1), "Session.SetMemoryLimit: -1 bytes, allowed is 262144 and above"},
		{only(session.Find(torrent.InfoHashes{})), "Session.Find: there is no info-hash in it"},
		{add(torrent.AddTorrentParams{}), "Session.AddTorrent: neither Magnet nor Torrent is set"},
		{add(torrent.AddTorrentParams{Magnet: magnet, Torrent: []byte("de")}), "Session.AddTorrent: both Magnet and Torrent are set"},
		{add(torrent.AddTorrentParams{Magnet: magnet, Storage: 9}), "Session.AddTorrent: Storage is 9"},
		{add(torrent.AddTorrentParams{Magnet: magnet, SavePath: "a\x00b"}), "Session.AddTorrent: SavePath holds a NUL"},
		{add(torrent.AddTorrentParams{Magnet: magnet + "\xff"}), "Session.AddTorrent: Magnet is not UTF-8"},
		{add(torrent.AddTorrentParams{Magnet: magnet, Peers: []string{"params->x"}}), `"params->x"`},
		{added.SetDownloadLimit(-1), "Torrent.SetDownloadLimit: -1 is out of range: 0 to 4294967295"},
		{added.ConnectPeer(netip.AddrPort{}), "Torrent.ConnectPeer: "},
	} {
		if c.err == nil {
			t.Errorf("no error: %s", c.want)
			continue
		}
		text := c.err.Error()
		ours, _, _ := strings.Cut(text, `"`)
		if !strings.Contains(text, c.want) || strings.Contains(ours, "->") || strings.Contains(ours, "et_") || strings.Contains(ours, "ET_") {
			t.Errorf("%q, not %q", text, c.want)
		}
	}
}
