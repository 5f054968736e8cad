package torrent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elementum.example/torrent"
	"elementum.example/torrent/internal/capi"
)

func TestZeroConfig(t *testing.T) {
	session, err := torrent.Open(torrent.Config{})
	must(t, err)
	settings, err := session.Settings()
	must(t, err)
	if settings["enable_dht"] != true || settings["memory_limit"].(int64) <= 0 {
		t.Error(settings)
	}
	must(t, session.Close())
	must(t, session.Close())
	if torrent.Version() == "" || torrent.ABIVersion() != capi.AbiVersion {
		t.Error(torrent.Version(), torrent.ABIVersion())
	}
}

func TestSettingsAndState(t *testing.T) {
	session := open(t, torrent.Settings{"user_agent": "test/1", "connections_limit": 17})
	must(t, session.ApplySettings(torrent.Settings{"download_rate_limit": 123_456, "enable_pex": false}))
	err := session.ApplySettings(torrent.Settings{"download_rate_limits": 1})
	if !errors.Is(err, torrent.ErrUnknownSetting) || !strings.Contains(err.Error(), "download_rate_limit") {
		t.Error(err)
	}
	if err := session.ApplySettings(torrent.Settings{"download_rate_limit": 1.5}); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	if err := session.ApplySettings(torrent.Settings{"worker_threads": 9}); !errors.Is(err, torrent.ErrUnsupported) {
		t.Error(err)
	}
	must(t, session.SetMemoryLimit(8<<20))
	state, err := session.SaveState()
	must(t, err)
	for _, test := range []struct {
		config torrent.Config
		want   torrent.Settings
	}{
		{torrent.Config{}, torrent.Settings{}},
		{
			torrent.Config{MemoryLimit: 16 << 20, Settings: torrent.Settings{"enable_pex": true, "num_want": 3}},
			torrent.Settings{"memory_limit": int64(16 << 20), "enable_pex": true, "num_want": int64(3)},
		},
		{
			// A default that is named is what it is to be.
			torrent.Config{Settings: torrent.Settings{"download_rate_limit": 0}},
			torrent.Settings{"download_rate_limit": int64(0)},
		},
	} {
		want := torrent.Settings{
			"user_agent": "test/1", "connections_limit": int64(17), "download_rate_limit": int64(123_456), "enable_pex": false,
			"memory_limit": int64(8 << 20), "enable_dht": false, "listen_interfaces": "127.0.0.1:0", "num_want": int64(200),
		}
		maps.Copy(want, test.want)
		test.config.State = state
		again, err := torrent.Open(test.config)
		must(t, err)
		settings, err := again.Settings()
		must(t, err)
		for key, value := range want {
			if settings[key] != value {
				t.Errorf("%+v: %s is %v, not %v", test.config.Settings, key, settings[key], value)
			}
		}
		must(t, again.Close())
	}
	for _, damaged := range [][]byte{[]byte("x"), state[:len(state)/2], state[:len(state)-1]} {
		if _, err := torrent.Open(torrent.Config{State: damaged}); !errors.Is(err, torrent.ErrParse) {
			t.Error(err)
		}
	}
	for info := range torrent.DescribeSettings() {
		if info.Name == "" || info.Default == nil || info.Effective && info.Doc == "" {
			t.Errorf("%+v", info)
		}
	}
}

// Changes of different settings at the same time are all kept.
func TestSettingsChangedAtOnce(t *testing.T) {
	session := open(t, nil)
	var group sync.WaitGroup
	names := []string{"num_want", "connections_limit", "unchoke_interval", "max_pex_peers"}
	for _, name := range names {
		group.Go(func() {
			for value := 10; value <= 60; value++ {
				must(t, session.ApplySettings(torrent.Settings{name: value}))
			}
		})
	}
	group.Wait()
	settings, err := session.Settings()
	must(t, err)
	for _, name := range names {
		if settings[name] != int64(60) {
			t.Errorf("%s is %v", name, settings[name])
		}
	}
}

// The counters of a session outlive its torrents, and by way of its state itself.
func TestCountersGoOn(t *testing.T) {
	f := newFilm(300_000, 16<<10)
	_, peer := seed(t, f, nil)
	var state []byte
	for round := range uint64(2) {
		config := quiet(nil)
		config.State = state
		session, err := torrent.Open(config)
		must(t, err)
		added := leech(t, session, f, peer)
		_, err = io.Copy(io.Discard, reader(t, added))
		must(t, err)
		must(t, added.Remove(0))
		stats, err := session.Stats()
		must(t, err)
		if stats.PayloadDownload < 300_000 || stats.PayloadDownload >= 600_000 || stats.AllTimeDownload < (round+1)*300_000 {
			t.Errorf("%+v", stats)
		}
		state, err = session.SaveState()
		must(t, err)
		must(t, session.Close())
	}
}

func TestPauseOfTheSession(t *testing.T) {
	session := open(t, nil)
	must(t, session.Pause())
	if paused, err := session.IsPaused(); err != nil || !paused {
		t.Error(paused, err)
	}
	must(t, session.Resume())
	if paused, err := session.IsPaused(); err != nil || paused {
		t.Error(paused, err)
	}
}

func TestTorrentsAreFound(t *testing.T) {
	f := newFilm(100_000, 16<<10)
	session := open(t, nil)
	added := leech(t, session, f)
	if !added.StorageIndex().IsValid() {
		t.Fatal(added.StorageIndex())
	}
	again, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent})
	if !errors.Is(err, torrent.ErrDuplicateTorrent) || again.StorageIndex() != added.StorageIndex() {
		t.Fatal(again, err)
	}
	index, err := torrent.ParseStorageIndex(added.StorageIndex().String())
	if err != nil || index != added.StorageIndex() {
		t.Fatal(index, err)
	}
	magnet, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("cd", 20) + "&dn=later"})
	must(t, err)
	if name, err := magnet.Name(); name != "later" || err != nil {
		t.Error(name, err)
	}
	torrents, err := session.Torrents()
	if err != nil || len(torrents) != 2 || torrents[0].StorageIndex() != index || torrents[1].StorageIndex() != magnet.StorageIndex() {
		t.Fatal(torrents, err)
	}
	found, err := session.Find(torrent.InfoHashes{V1: f.hash})
	if err != nil || found.StorageIndex() != index {
		t.Fatal(found, err)
	}
	statuses, err := session.Statuses()
	if err != nil || len(statuses) != 2 || statuses[0].InfoHashes.V1 != f.hash || statuses[1].State != torrent.StateDownloadingMetadata {
		t.Fatal(statuses, err)
	}
	if _, err := session.Find(torrent.InfoHashes{V1: [20]byte{1}}); !errors.Is(err, torrent.ErrNotFound) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	must(t, session.Remove(index, 0))
	if err := session.Remove(index, 0); !errors.Is(err, torrent.ErrInvalidStorageIndex) {
		t.Error(err)
	}
	if err := session.Remove(magnet.StorageIndex(), 1<<9); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	if _, err := torrent.ParseStorageIndex("0"); err == nil {
		t.Error("0 is no storage index")
	}
}

func TestMalformedTorrents(t *testing.T) {
	session := open(t, nil)
	for what, params := range map[string]torrent.AddTorrentParams{
		"nothing":   {},
		"both":      {Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20), Torrent: []byte("de")},
		"a torrent": {Torrent: []byte("d4:infod4:name1:aee")},
		"a magnet":  {Magnet: "magnet:?dn=nothing"},
		"no magnet": {Magnet: "gopher://x"},
		"a peer":    {Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20), Peers: []string{"nowhere"}},
		"a tracker": {Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20), Trackers: []string{"gopher://x"}},
		"priority":  {Torrent: newFilm(10, 16<<10).torrent, FilePriorities: []torrent.Priority{8}},
		"flags":     {Torrent: newFilm(10, 16<<10).torrent, Flags: 1 << 60},
	} {
		added, err := session.AddTorrent(params)
		if added != nil || !errors.Is(err, torrent.ErrParse) && !errors.Is(err, torrent.ErrInvalidArgument) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if torrents, err := session.Torrents(); err != nil || len(torrents) != 0 {
		t.Error(torrents, err)
	}
}

// Every method of a closed session, and of a torrent that is gone, says so.
func TestCallsAfterTheEnd(t *testing.T) {
	f := newFilm(100_000, 16<<10)
	session := open(t, nil)
	added := leech(t, session, f)
	r := reader(t, added)
	must(t, added.Remove(0))
	callAll(t, added, torrent.ErrInvalidStorageIndex, map[string]bool{"StorageIndex": true, "Session": true, "SetLookbehind": false, "Metadata": true})
	callAll(t, r, torrent.ErrInvalidStorageIndex, map[string]bool{"Torrent": true, "File": true, "Size": true, "ID": true, "Close": true})
	must(t, session.Close())
	callAll(t, added, torrent.ErrClosed, map[string]bool{"StorageIndex": true, "Session": true, "Metadata": true})
	// Values that nobody made by a call are as closed ones.
	callAll(t, new(torrent.Torrent), torrent.ErrClosed, map[string]bool{"StorageIndex": true, "Session": true, "Metadata": true})
	callAll(t, new(torrent.Session), torrent.ErrClosed, map[string]bool{"Close": true, "Torrent": true, "Alerts": true})
	callAll(t, new(torrent.Reader), torrent.ErrClosed, map[string]bool{"Torrent": true, "File": true, "Size": true, "Close": true})
	must(t, new(torrent.Reader).Close())
	must(t, new(torrent.Session).Close())
	callAll(t, session, torrent.ErrClosed, map[string]bool{"Close": true, "Torrent": true, "Alerts": true})
}

// Whatever was open, whoever else closes, and in whichever order: closing again is no error, and a close that took too long was one.
func TestClosingAgainIsNoError(t *testing.T) {
	// A tracker that does not take leave: whoever says goodbye to it waits.
	ended := make(chan struct{})
	tracker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("event") == "stopped" {
			<-ended
		}
		io.WriteString(w, "d8:intervali1800e5:peers0:e")
	}))
	defer tracker.Close()
	defer close(ended)
	f := newFilm(100_000, 16<<10)
	// At most milliseconds: less than one, too, is a time.
	for _, timeout := range []time.Duration{time.Nanosecond, 5 * time.Millisecond} {
		config := quiet(torrent.Settings{"stop_tracker_timeout": 5})
		config.CloseTimeout = timeout
		session, err := torrent.Open(config)
		must(t, err)
		added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent, Trackers: []string{tracker.URL + "/announce"}})
		must(t, err)
		until(t, "it has answered", func() bool {
			trackers, err := added.Trackers()
			must(t, err)
			return trackers[0].Verified
		})
		r, err := added.NewReader(0)
		must(t, err)
		began := time.Now()
		if err := session.Close(); !errors.Is(err, torrent.ErrTimedOut) || !strings.Contains(err.Error(), "Session.Close") {
			t.Error(timeout, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		for range 3 {
			must(t, session.Close())
			must(t, r.Close())
		}
	}

	for name, first := range map[string]func(*torrent.Session, *torrent.Torrent, *torrent.Reader) error{
		"reader":  func(_ *torrent.Session, _ *torrent.Torrent, r *torrent.Reader) error { return r.Close() },
		"torrent": func(_ *torrent.Session, of *torrent.Torrent, _ *torrent.Reader) error { return of.Remove(0) },
		"session": func(s *torrent.Session, _ *torrent.Torrent, _ *torrent.Reader) error { return s.Close() },
		"none":    func(*torrent.Session, *torrent.Torrent, *torrent.Reader) error { return nil },
	} {
		session, err := torrent.Open(quiet(nil))
		must(t, err)
		added := leech(t, session, f)
		r, err := added.NewReader(0)
		must(t, err)
		feed, err := torrent.NewAlertFeed(session)
		must(t, err)
		var waits sync.WaitGroup
		for range 4 {
			waits.Go(func() { r.ReadAt(make([]byte, 10), 50_000) })
			waits.Go(func() { session.WaitAlerts(t.Context()) })
		}
		waits.Go(func() { r.Read(make([]byte, 10)) })
		waits.Go(func() {
			for range feed.Subscribe(t.Context(), 1) {
			}
		})
		time.Sleep(10 * time.Millisecond)
		must(t, first(session, added, r))
		var closing sync.WaitGroup
		for range 4 {
			closing.Go(func() { must(t, r.Close()) })
			closing.Go(func() { must(t, session.Close()) })
			closing.Go(feed.Stop)
		}
		closing.Wait()
		over := make(chan error, 1)
		go func() {
			waits.Wait()
			over <- nil
		}()
		must(t, soon(t, over))
		if err := r.Close(); err != nil {
			t.Error(name, err)
		}
		if err := session.Close(); err != nil {
			t.Error(name, err)
		}
		feed.Stop()
	}
}

// callAll calls each method of a value with zeros for arguments, but those that are skipped, and asks for an error.
func callAll(t *testing.T, of any, want error, skipped map[string]bool) {
	t.Helper()
	value := reflect.ValueOf(of)
	for i := range value.NumMethod() {
		name := value.Type().Method(i).Name
		if skipped[name] {
			continue
		}
		method := value.Method(i)
		var arguments []reflect.Value
		for j := range method.Type().NumIn() {
			kind := method.Type().In(j)
			argument := reflect.Zero(kind)
			switch kind.String() {
			case "context.Context":
				argument = reflect.ValueOf(t.Context())
			case "[]uint8":
				argument = reflect.ValueOf(make([]byte, 10))
			case "*torrent.AlertBuffer":
				argument = reflect.ValueOf(new(torrent.AlertBuffer))
			case "netip.AddrPort":
				argument = reflect.ValueOf(someAddress)
			case "netip.Addr":
				argument = reflect.ValueOf(someAddress.Addr())
			case "string":
				argument = reflect.ValueOf("http://192.0.2.1/announce")
			case "io.Writer":
				argument = reflect.ValueOf(new(strings.Builder))
			case "uint16":
				argument = reflect.ValueOf(uint16(80))
			}
			arguments = append(arguments, argument)
		}
		if method.Type().IsVariadic() {
			arguments = arguments[:len(arguments)-1]
		}
		results := method.Call(arguments)
		err, _ := results[len(results)-1].Interface().(error)
		if name == "AddTorrent" || name == "SetMemoryLimit" || name == "Find" {
			// The arguments are looked at first.
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Everything at once, with the end in the middle of it.
func TestPortFilter(t *testing.T) {
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll})
	added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: newFilm(20_000, 16_384).torrent})
	must(t, err)
	const port = 6881
	must(t, session.SetPortFilter(torrent.PortRule{First: port, Last: port, Blocked: true}))
	must(t, added.ConnectPeer(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var told []string
	for alert := range session.Alerts(ctx) {
		switch a := alert.(type) {
		case *torrent.PeerBlocked:
			told = append(told, fmt.Sprint(a.Endpoint.Port() == port, a.Reason))
		case *torrent.PeerDisconnected:
			told = append(told, fmt.Sprint(a.Reason))
		}
		if len(told) == 2 {
			break
		}
	}
	if want := []string{"true port_filter", "port_blocked"}; !slices.Equal(told, want) {
		t.Errorf("%q, not %q", told, want)
	}
	if err := session.SetPortFilter(torrent.PortRule{First: 2, Last: 1}); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	must(t, session.SetPortFilter())
}

func TestRacing(t *testing.T) {
	f := newFilm(1<<20, 32<<10)
	_, peer := seed(t, f, nil)
	for round := range 6 {
		session, err := torrent.Open(quiet(nil))
		must(t, err)
		added := leech(t, session, f, peer)
		var group sync.WaitGroup
		stop := make(chan struct{})
		loop := func(act func()) {
			group.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						act()
					}
				}
			})
		}
		r, err := added.NewReader(0)
		must(t, err)
		buffer, aside := make([]byte, 10_000), make([]byte, 10_000)
		loop(func() {
			if _, err := r.Read(buffer); err != nil {
				r.Seek(0, 0)
			}
		})
		loop(func() { r.Seek(int64(len(f.content)/2), 0) })
		loop(func() { r.ReadAt(aside, 500_000) })
		loop(func() { added.SetLookbehind([]torrent.PieceIndex{0, 1, 2}) })
		loop(func() { added.ClearLookbehind() })
		loop(func() { added.Status(); added.Peers(); added.DownloadQueue() })
		loop(func() { session.PopAlerts() })
		loop(func() { session.WaitAlerts(t.Context()); session.Stats() })
		loop(func() {
			if other, err := added.NewReader(0); err == nil {
				other.Read(make([]byte, 10))
				other.Close()
			}
		})
		time.Sleep(30 * time.Millisecond)
		switch round % 3 {
		case 0:
			must(t, added.Remove(0))
		case 1:
			must(t, r.Close())
		}
		time.Sleep(10 * time.Millisecond)
		var closing sync.WaitGroup
		for range 3 {
			closing.Go(func() { must(t, session.Close()) })
		}
		closing.Wait()
		close(stop)
		group.Wait()
		r.Close()
	}
}
