package torrent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// Whatever is given to a call, its error names the call, what is wrong, and nothing as C has it; and nothing passes because C has fewer bits
// for it.
func TestErrorsOfAnyArgumentsSpeakGo(t *testing.T) {
	f := newFilm(200_000, 32<<10)
	late, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-late.Done()
	magnet := "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)
	texts := []string{"", "x", "\x00", "a\x00b", "\xff", "http://", "gopher://127.0.0.1", "params->x", strings.Repeat("a", 10_000)}
	// By type: what is harmless, and then what is not.
	values := map[reflect.Type][]any{
		reflect.TypeFor[context.Context]():         {late},
		reflect.TypeFor[string]():                  append([]any{"http://127.0.0.1:1/announce"}, anyOf(texts)...),
		reflect.TypeFor[int]():                     {0, -1, 3, 256, math.MaxInt32, math.MinInt32, 1 << 32, math.MaxInt, math.MinInt},
		reflect.TypeFor[int64]():                   {int64(0), int64(-1), int64(1 << 32), int64(math.MaxInt64), int64(math.MinInt64)},
		reflect.TypeFor[uint16]():                  {uint16(80), uint16(0), uint16(math.MaxUint16)},
		reflect.TypeFor[time.Duration]():           {time.Second, -time.Second, time.Duration(math.MaxInt64), time.Duration(math.MinInt64)},
		reflect.TypeFor[[]byte]():                  {make([]byte, 10), []byte(nil), []byte{}},
		reflect.TypeFor[io.Writer]():               {io.Discard},
		reflect.TypeFor[netip.Addr]():              {someAddress.Addr(), netip.Addr{}, netip.IPv6Unspecified(), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:192.0.2.1")},
		reflect.TypeFor[netip.AddrPort]():          {someAddress, netip.AddrPort{}, netip.AddrPortFrom(someAddress.Addr(), 0), netip.MustParseAddrPort("[fe80::1%eth0]:7"), netip.MustParseAddrPort("224.0.0.1:7")},
		reflect.TypeFor[*torrent.AlertBuffer]():    {new(torrent.AlertBuffer), (*torrent.AlertBuffer)(nil)},
		reflect.TypeFor[torrent.PieceIndex]():      {torrent.PieceIndex(0), torrent.PieceIndex(-1), torrent.PieceIndex(7), torrent.PieceIndex(math.MaxInt32), torrent.PieceIndex(math.MinInt32)},
		reflect.TypeFor[torrent.FileIndex]():       {torrent.FileIndex(0), torrent.FileIndex(-1), torrent.FileIndex(1), torrent.FileIndex(math.MaxInt32), torrent.FileIndex(math.MinInt32)},
		reflect.TypeFor[torrent.StorageIndex]():    {torrent.StorageIndex(1), torrent.StorageIndex(0), torrent.StorageIndex(math.MaxUint64)},
		reflect.TypeFor[torrent.Priority]():        {torrent.DefaultPriority, torrent.Priority(8), torrent.Priority(math.MaxUint8)},
		reflect.TypeFor[torrent.TorrentFlags]():    {torrent.TorrentFlags(0), torrent.TorrentFlags(1 << 60), torrent.TorrentFlags(math.MaxUint64)},
		reflect.TypeFor[torrent.RemoveFlags]():     {torrent.RemoveFlags(0), torrent.RemoveFlags(1 << 9), torrent.RemoveFlags(math.MaxUint32)},
		reflect.TypeFor[torrent.InfoHashes]():      {torrent.InfoHashes{V1: f.hash}, torrent.InfoHashes{}, torrent.InfoHashes{V2: [32]byte{1}}},
		reflect.TypeFor[[]torrent.Priority]():      {[]torrent.Priority(nil), make([]torrent.Priority, 3), slices.Repeat([]torrent.Priority{8}, 7)},
		reflect.TypeFor[[]torrent.PieceIndex]():    {[]torrent.PieceIndex(nil), []torrent.PieceIndex{-1}, []torrent.PieceIndex{0, 7}},
		reflect.TypeFor[torrent.AlertCategories](): {torrent.CategoryAll, torrent.AlertCategories(math.MaxUint64)},
		reflect.TypeFor[[]torrent.TrackerEntry]():  {[]torrent.TrackerEntry(nil), []torrent.TrackerEntry{{URL: "http://127.0.0.1:1/", Tier: 1 << 32}}},
		reflect.TypeFor[[]torrent.PortRule]():      {[]torrent.PortRule(nil), []torrent.PortRule{{First: 2, Last: 1}}, make([]torrent.PortRule, 9)},
		reflect.TypeFor[torrent.Settings]():        {torrent.Settings(nil), torrent.Settings{"\x00": 1}, torrent.Settings{"": 1}, torrent.Settings{"num_want": nil}},
		reflect.TypeFor[torrent.AddTorrentParams](): {torrent.AddTorrentParams{Magnet: magnet}, torrent.AddTorrentParams{},
			torrent.AddTorrentParams{Torrent: []byte("de")}, torrent.AddTorrentParams{Magnet: magnet, Storage: -1}, torrent.AddTorrentParams{Magnet: magnet, Flags: 1 << 63},
			torrent.AddTorrentParams{Torrent: f.torrent, FilePriorities: []torrent.Priority{4, 8}}},
		reflect.TypeFor[[]torrent.ReaderOption](): {[]torrent.ReaderOption(nil), []torrent.ReaderOption{torrent.WithOffset(200_001)}, []torrent.ReaderOption{torrent.Unverified()},
			[]torrent.ReaderOption{torrent.WithOffset(math.MaxInt64)}, []torrent.ReaderOption{torrent.WithOffset(7), torrent.WithEnd(7)}},
	}
	more := func(of reflect.Type, value any) { values[of] = append(values[of], value) }
	for _, text := range texts {
		more(reflect.TypeFor[torrent.AddTorrentParams](), torrent.AddTorrentParams{Magnet: text})
		more(reflect.TypeFor[torrent.AddTorrentParams](), torrent.AddTorrentParams{Magnet: magnet, Trackers: []string{text}})
		more(reflect.TypeFor[torrent.AddTorrentParams](), torrent.AddTorrentParams{Magnet: magnet, Peers: []string{text}})
		more(reflect.TypeFor[torrent.AddTorrentParams](), torrent.AddTorrentParams{Magnet: magnet, SavePath: text})
		more(reflect.TypeFor[[]torrent.TrackerEntry](), []torrent.TrackerEntry{{URL: text}})
		more(reflect.TypeFor[torrent.Settings](), torrent.Settings{"user_agent": text})
		more(reflect.TypeFor[torrent.Settings](), torrent.Settings{"announce_ip": text})
		more(reflect.TypeFor[torrent.Settings](), torrent.Settings{text: text})
	}
	skipped := map[string]bool{"Close": true, "Alerts": true, "Metadata": true}
	for _, of := range []reflect.Type{reflect.TypeFor[*torrent.Session](), reflect.TypeFor[*torrent.Torrent](), reflect.TypeFor[*torrent.Reader]()} {
		for i := range of.NumMethod() {
			method := of.Method(i)
			if skipped[method.Name] {
				continue
			}
			// The first argument is what it is a method of.
			for varied := 1; varied < method.Type.NumIn(); varied++ {
				bad, known := values[method.Type.In(varied)]
				if !known {
					t.Fatalf("%s: what is a bad %v?", method.Name, method.Type.In(varied))
				}
				for _, value := range bad[1:] {
					session, err := torrent.Open(quiet(nil))
					must(t, err)
					added := leech(t, session, f)
					r, err := added.NewReader(0, torrent.WithReadTimeout(time.Nanosecond))
					must(t, err)
					arguments := []reflect.Value{reflect.ValueOf(map[reflect.Type]any{
						reflect.TypeFor[*torrent.Session](): session, reflect.TypeFor[*torrent.Torrent](): added, reflect.TypeFor[*torrent.Reader](): r,
					}[of])}
					for j := 1; j < method.Type.NumIn(); j++ {
						arguments = append(arguments, reflect.ValueOf(values[method.Type.In(j)][0]))
					}
					arguments[varied] = reflect.ValueOf(value)
					call := method.Func.Call
					if method.Type.IsVariadic() {
						call = method.Func.CallSlice
					}
					results := call(arguments)
					if err, _ := results[len(results)-1].Interface().(error); err != nil {
						speaksGo(t, of.Elem().Name()+"."+method.Name, value, err)
					} else if number := reflect.ValueOf(value); number.CanInt() && number.Type() == reflect.TypeFor[int]() && int64(int32(number.Int())) != number.Int() {
						t.Errorf("%s took %d", method.Name, value)
					}
					for _, result := range results {
						if opened, ok := result.Interface().(*torrent.Reader); ok {
							must(t, opened.Close())
						}
					}
					must(t, r.Close())
					must(t, session.Close())
				}
			}
		}
	}
}

func anyOf[T any](values []T) (all []any) {
	for _, value := range values {
		all = append(all, value)
	}
	return all
}

// speaksGo checks the error of a call that got something it cannot do.
func speaksGo(t *testing.T, call string, given any, err error) {
	t.Helper()
	var detail *torrent.Error
	if err == io.EOF || errors.Is(err, torrent.ErrTimedOut) {
		return
	}
	if !errors.As(err, &detail) || detail.Op != call || detail.Message == "" || len(err.Error()) > 600 {
		t.Errorf("%s(%.100q): %v", call, fmt.Sprint(given), err)
		return
	}
	text := err.Error()
	ours, _, _ := strings.Cut(strings.TrimPrefix(text, "torrent: "+call+": "), `"`)
	for _, ofC := range []string{"->", "et_", "ET_", "NULL", "[].", "value ", "struct", "torrent: ", "pointer"} {
		if strings.Contains(ours, ofC) {
			t.Errorf("%s(%.100q): %q has %q", call, fmt.Sprint(given), text, ofC)
		}
	}
	if !errors.Is(err, torrent.ErrInvalidArgument) || !reflect.ValueOf(given).CanInt() {
		return
	}
	// A number that is out of range is named.
	number := reflect.ValueOf(given).Int()
	if of, ok := given.(time.Duration); ok {
		number = of.Milliseconds()
	}
	if !strings.Contains(text, strconv.FormatInt(number, 10)) {
		t.Errorf("%s(%v): %q", call, given, text)
	}
}

// Where the process may have no more descriptors a wait says so, by the name of the call and once, and is as good as ever afterwards.
func TestNoDescriptorToWaitOn(t *testing.T) {
	f := newFilm(200_000, 32<<10)
	session := open(t, nil)
	added := leech(t, session, f)
	var before syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	lowest, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	must(t, err)
	must(t, syscall.Close(lowest))
	readers := []*torrent.Reader{reader(t, added), reader(t, added)}
	soonOver, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var failed []error
	// The library makes one, of which the package makes a copy.
	for spare, r := range readers {
		func() {
			must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(lowest + spare), Max: before.Max}))
			defer func() { must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)) }()
			_, err := r.ReadContext(soonOver, make([]byte, 1))
			failed = append(failed, err, session.WaitAlerts(expired()))
		}()
	}
	for i, call := range []string{"Reader.ReadContext", "Session.WaitAlerts", "Reader.ReadContext"} {
		err := failed[i]
		var detail *torrent.Error
		if !errors.As(err, &detail) || detail.Op != call || detail.Code != torrent.ErrIO || !errors.Is(err, syscall.EMFILE) ||
			strings.Count(strings.ToLower(err.Error()), "too many open files") != 1 {
			t.Errorf("%s: %v", call, err)
		}
	}
	_, peer := seed(t, f, nil)
	must(t, added.ConnectPeer(netip.MustParseAddrPort(peer)))
	for _, r := range readers {
		if n, err := r.ReadContext(soonOver, make([]byte, 1)); n != 1 || err != nil {
			t.Error(n, err)
		}
	}
	must(t, session.WaitAlerts(soonOver))
}

// What a setting's value has wrong is said of the setting.
func TestErrorsOfSettingsNameThem(t *testing.T) {
	session := open(t, nil)
	for name, value := range map[string]any{
		"user_agent": "a\x00b", "handshake_client_version": "\xff", "storage": "tape", "announce_ip": "nowhere", "dht_bootstrap_nodes": "a:0", "listen_interfaces": "x",
		"num_want": -1, "enable_dht": 1, "memory_limit": "much", "connections_limit": true, "peer_timeout": 1.5, "alert_mask": int64(1) << 40, "upload_rate_limit": nil,
	} {
		// Among others that are right.
		set := torrent.Settings{"unchoke_interval": 20, "enable_pex": false, name: value}
		_, opened := torrent.Open(torrent.Config{Settings: set})
		for call, err := range map[string]error{"Session.ApplySettings": session.ApplySettings(set), "Open": opened} {
			if !errors.Is(err, torrent.ErrInvalidArgument) || !strings.Contains(err.Error(), "torrent: "+call+": ") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%v: %v", name, value, err)
			}
		}
	}
	settings, err := session.Settings()
	must(t, err)
	if settings["enable_pex"] != true || settings["unchoke_interval"] != int64(15) {
		t.Error("what was refused has changed something")
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

// Options that change while a read waits do not end it, and while bytes flow none is lost, whatever they are changed to.
func TestReaderOptionsChangeUnderway(t *testing.T) {
	f := newFilm(4<<20, 64<<10)
	_, peer := seed(t, f, nil)
	added := leech(t, open(t, torrent.Settings{"memory_limit": 1 << 20}), f)
	r := reader(t, added, torrent.InBackground(), torrent.WithLookahead(0), torrent.WithReadTimeout(time.Nanosecond))
	changes := [][]torrent.ReaderOption{
		nil, {torrent.InBackground()}, {torrent.WithLookahead(3 << 20)}, {torrent.WithLookahead(0), torrent.WithLookbehind(0), torrent.WithPins(0, 0)},
		{torrent.WithBitrate(1)}, {torrent.WithBitrate(math.MaxInt64)}, {torrent.WithPins(math.MaxInt64, math.MaxInt64)}, {torrent.WithEnd(1)}, {torrent.WithEnd(math.MaxInt64)},
		{torrent.WithOffset(7), torrent.WithContext(expired())}, {torrent.WithLookbehind(math.MaxInt64)}, {torrent.WithReadTimeout(time.Hour)},
	}
	waits := waiting(t, r, false, t.Context())
	for _, options := range changes {
		must(t, r.SetOptions(options...))
		if status, err := r.Status(); err != nil || !status.Waiting || status.Position != 0 {
			t.Errorf("%+v %v", status, err)
		}
	}
	must(t, added.ConnectPeer(netip.MustParseAddrPort(peer)))
	// It says that something came.
	if err := soon(t, waits); err == nil || err.Error() != "the buffer was touched" {
		t.Error(err)
	}
	_, err := r.Seek(0, io.SeekStart)
	must(t, err)
	over := make(chan struct{})
	changing := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				changing <- nil
				return
			case <-time.After(20 * time.Millisecond):
			}
			if err := r.SetOptions(changes[i%len(changes)]...); err != nil {
				changing <- err
				return
			}
		}
	}()
	got := make([]byte, len(f.content))
	_, err = io.ReadFull(r, got)
	must(t, err)
	close(over)
	must(t, soon(t, changing))
	if !bytes.Equal(got, f.content) {
		t.Error("other bytes")
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
