package torrent_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"elementum.example/torrent"
)

// all tells of everything.
var all = torrent.Settings{"alert_mask": torrent.CategoryAll}

func TestAlertsAreTypedAndTrue(t *testing.T) {
	f := newFilm(1<<20, 64<<10)
	_, peer := seed(t, f, nil)
	session := open(t, all)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	added := leech(t, session, f, peer)
	r := reader(t, added)
	go r.WriteTo(new(strings.Builder))
	var last uint64
	seen := map[string]torrent.Alert{}
	pieces := map[torrent.PieceIndex]bool{}
	for alert := range session.Alerts(ctx) {
		if alert.Sequence() != last+1 || time.Since(alert.Time()) > time.Minute || alert.Message() == "" || !alert.Type().IsKnown() {
			t.Fatalf("%d after %d, %v, %q", alert.Sequence(), last, alert.Time(), alert.Message())
		}
		last = alert.Sequence()
		seen[alert.Type().String()] = alert
		if a, ok := alert.(*torrent.PieceFinished); ok {
			pieces[a.Piece] = true
			if a.StorageIndex() != added.StorageIndex() || a.Category()&torrent.CategoryPieceProgress == 0 {
				t.Fatalf("%+v", a)
			}
			if len(pieces) == 16 {
				break
			}
		}
	}
	if a, ok := seen["add_torrent"].(*torrent.AddTorrent); !ok || a.InfoHashes.V1 != f.hash || a.Name != f.name || a.Err != nil {
		t.Errorf("%+v", seen["add_torrent"])
	}
	if a, ok := seen["peer_connect"].(*torrent.PeerConnect); !ok || a.Endpoint.String() != peer || a.Direction != torrent.DirectionOut {
		t.Errorf("%+v", seen["peer_connect"])
	}
	port, err := session.ListenPort()
	must(t, err)
	if a, ok := seen["listen_succeeded"].(*torrent.ListenSucceeded); !ok || a.Endpoint.Port() != port {
		t.Errorf("%+v", seen["listen_succeeded"])
	}
	// They own their data: what is popped later does not touch them.
	must(t, added.Remove(0))
	until(t, "it is told", func() bool {
		alerts, err := session.PopAlerts()
		must(t, err)
		for _, alert := range alerts {
			if a, ok := alert.(*torrent.TorrentRemoved); ok {
				return a.InfoHashes.V1 == f.hash
			}
		}
		return false
	})
	if a := seen["add_torrent"].(*torrent.AddTorrent); a.Name != f.name || !strings.Contains(a.Message(), f.name) {
		t.Errorf("%+v", a)
	}
}

func TestErrorsInAlerts(t *testing.T) {
	session := open(t, torrent.Settings{"listen_interfaces": "192.0.2.1:0", "alert_mask": torrent.CategoryAll})
	must(t, session.WaitAlerts(context.Background()))
	alerts, err := session.PopAlerts()
	must(t, err)
	a, ok := alerts[0].(*torrent.ListenFailed)
	var detail *torrent.Error
	if !ok || !errors.Is(a.Err, torrent.ErrNetwork) || !errors.As(a.Err, &detail) || detail.OSError == 0 ||
		detail.Operation != torrent.OperationSockBind || !strings.HasPrefix(a.Interface, "192.0.2.1") {
		t.Fatalf("%+v %+v %v", alerts[0], a.Err, detail)
	}
}

func TestDroppedAlertsAreCounted(t *testing.T) {
	session := open(t, torrent.Settings{"alert_queue_size": 10, "alert_mask": torrent.CategoryAll})
	for i := range 300 {
		added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: fmt.Sprintf("magnet:?xt=urn:btih:%040x", i+1)})
		must(t, err)
		must(t, added.Remove(0))
	}
	var dropped uint64
	for range 100 {
		alerts, err := session.PopAlerts()
		must(t, err)
		for _, alert := range alerts {
			if a, ok := alert.(*torrent.AlertsDropped); ok {
				var sum uint64
				for _, count := range a.Counts {
					sum += uint64(count)
				}
				if sum != a.Total {
					t.Fatalf("%+v", a)
				}
				dropped += sum
			}
		}
	}
	stats, err := session.Stats()
	must(t, err)
	if dropped == 0 || dropped != stats.AlertsDropped {
		t.Fatal(dropped, stats.AlertsDropped)
	}
}

// An alert without strings is decoded into a reused value without garbage.
func TestAlertBufferAllocatesNothing(t *testing.T) {
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll, "alert_queue_size": 100_000})
	// More than are popped: what is measured is not an empty queue.
	makeAlerts(t, session, 30_000)
	var buffer torrent.AlertBuffer
	drain := func() (count int) {
		n, err := session.PopAlertsInto(&buffer)
		must(t, err)
		for alert := buffer.Next(); alert != nil; alert = buffer.Next() {
			if alert.Sequence() == 0 {
				t.Fatal("no sequence")
			}
			count++
		}
		if count != n {
			t.Fatal(count, n)
		}
		return count
	}
	drain()
	least := drain()
	if allocated := testing.AllocsPerRun(5, func() { least = min(least, drain()) }); allocated != 0 || least == 0 {
		t.Errorf("%v allocations a batch, of %d alerts at least", allocated, least)
	}
	for drain() != 0 {
	}
	if buffer.Next() != nil {
		t.Error("there is more after the end")
	}
}

func TestMessagesOfABufferAreTheAlerts(t *testing.T) {
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll, "alert_queue_size": 100_000})
	var buffer torrent.AlertBuffer
	for _, step := range []int{1, 2, 3, 7, 50} {
		makeAlerts(t, session, 300)
		for {
			count, err := session.PopAlertsInto(&buffer)
			must(t, err)
			if count == 0 {
				break
			}
			for n := 0; n < count; n++ {
				alert := buffer.Next()
				if n%step != 0 {
					continue
				}
				wanted := alert.Type().String()
				if alert.StorageIndex() != 0 {
					wanted += fmt.Sprint(" torrent=", uint64(alert.StorageIndex()))
				}
				// It may be asked for again.
				for range 2 {
					if got := alert.Message(); !strings.HasPrefix(got, wanted) || strings.Contains(got, "\n") {
						t.Fatalf("%d of %d, every %d: %q is not %q", n, count, step, got, wanted)
					}
				}
			}
		}
		torrents, err := session.Torrents()
		must(t, err)
		for _, added := range torrents {
			must(t, session.Remove(added.StorageIndex(), 0))
		}
	}
}

// makeAlerts posts that many without strings, at least.
func makeAlerts(t testing.TB, session *torrent.Session, count int) {
	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)})
	must(t, err)
	for range count / 2 {
		must(t, added.Pause())
		must(t, added.Resume())
	}
}

func TestWaitAlertsEnds(t *testing.T) {
	session := open(t, nil)
	drain := func() {
		for {
			alerts, err := session.PopAlerts()
			must(t, err)
			if len(alerts) == 0 {
				return
			}
		}
	}
	drain()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if err := session.WaitAlerts(ctx); err != why {
				t.Error(err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	cancel(why)
	group.Wait()
	for range 5 {
		group.Go(func() {
			if err := session.WaitAlerts(context.Background()); !errors.Is(err, torrent.ErrClosed) {
				t.Error(err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	must(t, session.Close())
	group.Wait()
	for range session.Alerts(context.Background()) {
		t.Error("an alert of a closed session")
	}
}

func TestAlertFeed(t *testing.T) {
	before := runtime.NumGoroutine()
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll, "alert_queue_size": 100_000})
	feed, err := torrent.NewAlertFeed(session)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const each = 500
	var group sync.WaitGroup
	var begun sync.WaitGroup
	for range 3 {
		alerts := feed.Subscribe(ctx, 10_000)
		begun.Add(1)
		group.Go(func() {
			begun.Done()
			var last uint64
			count := 0
			for alert, dropped := range alerts {
				if dropped != 0 || alert.Sequence() <= last {
					t.Error(dropped, alert.Sequence(), last)
				}
				last = alert.Sequence()
				if count++; count == each {
					return
				}
			}
			t.Error("it ended early:", count)
		})
	}
	begun.Wait()
	// One that is never begun, and one that is slow.
	left, leave := context.WithCancel(context.Background())
	feed.Subscribe(left, 10)
	slow := feed.Subscribe(ctx, 10)
	makeAlerts(t, session, 2*each)
	group.Wait()
	leave()
	until(t, "the queue is empty", func() bool { return session.WaitAlerts(expired()) != nil })
	var got, lost uint64
	for _, dropped := range slow {
		got, lost = got+1, lost+dropped
		if got == 10 {
			break
		}
	}
	if lost == 0 {
		t.Error("nothing was dropped")
	}
	ended := make(chan struct{})
	go func() {
		for range feed.Subscribe(context.Background(), 10) {
		}
		close(ended)
	}()
	feed.Stop()
	<-ended
	feed.Stop()
	must(t, session.Close())
	until(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}

// A feed of nothing is an error of the caller's, not a panic in a goroutine that he does not know of.
func TestAFeedOfNoSession(t *testing.T) {
	if feed, err := torrent.NewAlertFeed(nil); feed != nil || !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(feed, err)
	}
	if feed, err := torrent.NewAlertFeed(new(torrent.Session)); feed != nil || !errors.Is(err, torrent.ErrClosed) {
		t.Error(feed, err)
	}
	session := open(t, nil)
	if _, err := session.PopAlertsInto(nil); !errors.Is(err, torrent.ErrInvalidArgument) {
		t.Error(err)
	}
	must(t, session.Close())
	if feed, err := torrent.NewAlertFeed(session); feed != nil || !errors.Is(err, torrent.ErrClosed) {
		t.Error(feed, err)
	}
}

// Values that no call gave, and contexts that are nil, end well: nothing panics, least of all in a goroutine that the caller does not know of.
func TestWhatIsNothingEndsWell(t *testing.T) {
	var never context.Context
	for name, feed := range map[string]*torrent.AlertFeed{"nil": nil, "zero": new(torrent.AlertFeed)} {
		for alert := range feed.Subscribe(t.Context(), 1) {
			t.Error(name, alert)
		}
		for alert := range feed.SubscribeTorrent(never, 1, 1) {
			t.Error(name, alert)
		}
		feed.Stop()
		feed.Stop()
	}
	must(t, (*torrent.Session)(nil).Close())
	must(t, (*torrent.Reader)(nil).Close())
	if alert := new(torrent.AlertBuffer).Next(); alert != nil {
		t.Error(alert)
	}
	if text := new(torrent.PieceFinished).String(); text != torrent.AlertType(0).String() {
		t.Errorf("%q", text)
	}

	f := newFilm(200_000, 32<<10)
	_, peer := seed(t, f, nil)
	session := open(t, all)
	added := leech(t, session, f, peer)
	must(t, added.WaitMetadata(never))
	r := reader(t, added, torrent.WithContext(never))
	into := make([]byte, 10)
	for name, read := range map[string]func() (int, error){
		"ReadContext":   func() (int, error) { return r.ReadContext(never, into) },
		"ReadAtContext": func() (int, error) { return r.ReadAtContext(never, into, 100_000) },
	} {
		if n, err := read(); n != 10 || err != nil {
			t.Error(name, n, err)
		}
	}
	must(t, session.WaitAlerts(never))
	for range session.Alerts(never) {
		break
	}
	magnet, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)})
	must(t, err)
	removed := magnet.Metadata(never)
	feed, err := torrent.NewAlertFeed(session)
	must(t, err)
	defer feed.Stop()
	alerts := feed.Subscribe(never, 1000)
	must(t, magnet.Remove(0))
	if err := soon(t, removed); !errors.Is(err, torrent.ErrInvalidStorageIndex) {
		t.Error(err)
	}
	for alert := range alerts {
		if alert.Type() == torrent.TypeTorrentRemoved {
			break
		}
	}
}

// A subscription is left with its loop: another loop over it ends, and so does one that is over it at the same time, however it is left.
func TestASubscriptionIsForOneLoop(t *testing.T) {
	session := open(t, all)
	added := leech(t, session, newFilm(100_000, 16<<10))
	feed, err := torrent.NewAlertFeed(session)
	must(t, err)
	defer feed.Stop()
	post := func() {
		must(t, added.Pause())
		must(t, added.Resume())
	}
	for _, subscribe := range []func(context.Context) iter.Seq2[torrent.Alert, uint64]{
		func(ctx context.Context) iter.Seq2[torrent.Alert, uint64] { return feed.Subscribe(ctx, 100) },
		func(ctx context.Context) iter.Seq2[torrent.Alert, uint64] {
			return feed.SubscribeTorrent(ctx, added.StorageIndex(), 100)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		alerts := subscribe(ctx)
		post()
		for range alerts {
			break
		}
		again := make(chan error, 1)
		go func() {
			for alert := range alerts {
				t.Error("left already:", alert)
			}
			again <- nil
		}()
		must(t, soon(t, again))

		// Two at once: each alert goes to one of them, and when the first one has had enough, it ends for the other one too.
		alerts = subscribe(ctx)
		left := make(chan error, 2)
		for range 2 {
			go func() {
				for range alerts {
					break
				}
				left <- nil
			}()
		}
		time.Sleep(20 * time.Millisecond)
		must(t, added.Pause())
		must(t, soon(t, left))
		must(t, soon(t, left))
		must(t, added.Resume())

		// The context ends it before it is begun.
		alerts = subscribe(ctx)
		cancel()
		post()
		for alert := range alerts {
			t.Error(alert)
		}
	}
}

// What was posted before anybody listened waits for the first who does.
func TestAFeedBeginsWithTheFirstSubscription(t *testing.T) {
	session := open(t, all)
	feed, err := torrent.NewAlertFeed(session)
	must(t, err)
	defer feed.Stop()
	must(t, leech(t, session, newFilm(100_000, 16<<10)).Remove(0))
	sequence := uint64(1)
	for alert, dropped := range feed.Subscribe(t.Context(), 100) {
		if alert.Sequence() != sequence || dropped != 0 {
			t.Fatal(alert, dropped, sequence)
		}
		sequence++
		if alert.Type() == torrent.TypeTorrentRemoved {
			break
		}
	}
	// One that nobody ever listened to ends as well, and is over then.
	idle, err := torrent.NewAlertFeed(session)
	must(t, err)
	idle.Stop()
	for alert := range idle.Subscribe(t.Context(), 1) {
		t.Error(alert)
	}
}

// What other torrents have to tell takes no place in the queue of one that listens to one torrent.
func TestAlertsOfOneTorrent(t *testing.T) {
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll, "alert_queue_size": 100_000})
	feed, err := torrent.NewAlertFeed(session)
	must(t, err)
	defer feed.Stop()
	wanted := leech(t, session, newFilm(100_000, 16<<10))
	alerts := feed.SubscribeTorrent(t.Context(), wanted.StorageIndex(), 50)
	makeAlerts(t, session, 500)
	must(t, wanted.Remove(0))
	for alert, dropped := range alerts {
		if dropped != 0 || alert.StorageIndex() != wanted.StorageIndex() {
			t.Fatal(dropped, alert)
		}
		if _, ok := alert.(*torrent.TorrentRemoved); ok {
			return
		}
	}
	t.Error("the feed ended")
}

// Who listens to one torrent hears of alerts that were lost: they may have been its.
func TestAlertsOfOneTorrentTellOfLostOnes(t *testing.T) {
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll, "alert_queue_size": 10})
	wanted := leech(t, session, newFilm(100_000, 16<<10))
	makeAlerts(t, session, 500)
	feed, err := torrent.NewAlertFeed(session)
	must(t, err)
	defer feed.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for alert := range feed.SubscribeTorrent(ctx, wanted.StorageIndex(), 1000) {
		if a, ok := alert.(*torrent.AlertsDropped); ok {
			if a.Total == 0 {
				t.Error(a)
			}
			return
		}
		if alert.StorageIndex() != wanted.StorageIndex() {
			t.Error(alert)
		}
	}
	t.Error("nobody said that alerts were lost")
}

// A log line says what it is once.
func TestAnAlertSaysItsNameOnce(t *testing.T) {
	session := open(t, all)
	must(t, leech(t, session, newFilm(100_000, 16<<10)).Remove(0))
	count := 0
	until(t, "there were some", func() bool {
		alerts, err := session.PopAlerts()
		must(t, err)
		for _, alert := range alerts {
			count++
			text := fmt.Sprint(alert)
			if !strings.HasPrefix(text, alert.Type().String()) || strings.Count(text, alert.Type().String()) != 1 {
				t.Errorf("%q", text)
			}
		}
		return count >= 3
	})
}

// So it does whatever the torrent is called, and however the alert was popped; and what went wrong is said once as well.
func TestAnAlertSaysNothingTwice(t *testing.T) {
	// Where the directory should be there is a file. It is no field of a struct, whatever it looks like.
	dir := filepath.Join(t.TempDir(), "params->save_path")
	must(t, os.WriteFile(dir, nil, 0o600))
	f := newFilmCalled("add_torrent", 100_000, 16<<10)
	_, peer := seed(t, f, nil)
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll, "listen_interfaces": "127.0.0.1:0,192.0.2.1:0"})
	_, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent, SavePath: dir, Storage: torrent.StorageDisk, Peers: []string{peer}})
	must(t, err)
	other := leech(t, session, newFilm(100_000, 16<<10))
	var buffer torrent.AlertBuffer
	kinds := map[torrent.AlertType]bool{}
	look := func(alert torrent.Alert) {
		kinds[alert.Type()] = true
		name, text := alert.Type().String(), fmt.Sprint(alert)
		if rest, ok := strings.CutPrefix(text, name+" "); text != alert.Message() || text != name && (!ok || strings.HasPrefix(rest, name)) {
			t.Errorf("%q", text)
		}
		var failed error
		var where string
		switch a := alert.(type) {
		case *torrent.ListenFailed:
			failed, where = a.Err, "192.0.2.1:0"
		case *torrent.TorrentError:
			failed, where = a.Err, dir
		case *torrent.FileError:
			failed, where = a.Err, dir
		}
		var detail *torrent.Error
		if errors.As(failed, &detail) {
			text := failed.Error()
			if detail.OSError == 0 || strings.Count(strings.ToLower(text), strings.ToLower(detail.OSError.Error())) != 1 || !strings.Contains(text, where) {
				t.Errorf("%q", text)
			}
		}
	}
	until(t, "all have come", func() bool {
		alerts, err := session.PopAlerts()
		must(t, err)
		for _, alert := range alerts {
			look(alert)
		}
		must(t, other.Pause())
		must(t, other.Resume())
		_, err = session.PopAlertsInto(&buffer)
		must(t, err)
		for alert := buffer.Next(); alert != nil; alert = buffer.Next() {
			look(alert)
		}
		return kinds[torrent.TypeListenFailed] && kinds[torrent.TypeAddTorrent] && kinds[torrent.TypeTorrentError] && kinds[torrent.TypeFileError] &&
			kinds[torrent.TypePeerConnect] && kinds[torrent.TypeTorrentPaused]
	})
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// What the library can post, the package has a type for.
func TestEveryAlertHasAType(t *testing.T) {
	count := 0
	for kind := range torrent.AlertType(3000) {
		if name := kind.String(); name != "unknown" {
			count++
			if !kind.IsKnown() {
				t.Errorf("%d, %s", kind, name)
			}
		} else if kind.IsKnown() {
			t.Errorf("the library knows no %d", kind)
		}
	}
	if count < 30 {
		t.Error(count)
	}
}

// What an add came to, what is removed and deleted in this order, and a tracker by the name that it is listed under.
func TestAlertsAreWhatTheySay(t *testing.T) {
	session := open(t, torrent.Settings{"alert_mask": torrent.CategoryAll})
	alerts := make(chan torrent.Alert, 1000)
	go func() {
		defer close(alerts)
		for alert := range session.Alerts(t.Context()) {
			alerts <- alert
		}
	}()
	next := func(want torrent.AlertType) torrent.Alert {
		t.Helper()
		for {
			select {
			case alert := <-alerts:
				if alert.Type() == want {
					return alert
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("no %v", want)
			}
		}
	}
	f := newFilm(100_000, 16<<10)
	url := "http://127.0.0.1:1/0123456789abcdef/announce"
	added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent, Trackers: []string{url}, SavePath: t.TempDir(), Storage: torrent.StorageDisk})
	must(t, err)
	next(torrent.TypeAddTorrent)
	announce := next(torrent.TypeTrackerAnnounce).(*torrent.TrackerAnnounce)
	if trackers, err := added.Trackers(); err != nil || trackers[0].URL != announce.URL || announce.URL != url {
		t.Error(announce.URL, trackers, err)
	}
	if strings.Contains(announce.Message(), "0123456789abcdef") {
		t.Error(announce.Message())
	}
	if _, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent}); !errors.Is(err, torrent.ErrDuplicateTorrent) {
		t.Error(err)
	}
	twice := next(torrent.TypeAddTorrent).(*torrent.AddTorrent)
	if !errors.Is(twice.Err, torrent.ErrDuplicateTorrent) || twice.StorageIndex() != added.StorageIndex() || twice.InfoHashes.V1 != f.hash {
		t.Errorf("%+v", twice)
	}
	if _, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "gopher://x"}); !errors.Is(err, torrent.ErrParse) {
		t.Error(err)
	}
	if none := next(torrent.TypeAddTorrent).(*torrent.AddTorrent); !errors.Is(none.Err, torrent.ErrParse) || none.StorageIndex().IsValid() {
		t.Errorf("%+v", none)
	}
	must(t, added.Remove(torrent.RemoveDeleteFiles))
	for alert := range alerts {
		if _, early := alert.(*torrent.TorrentDeleted); early {
			t.Error("deleted before it was removed")
		}
		if alert.Type() == torrent.TypeTorrentRemoved {
			break
		}
	}
	next(torrent.TypeTorrentDeleted)
	if has, err := added.HasMetadata(); has || !errors.Is(err, torrent.ErrInvalidStorageIndex) {
		t.Error(has, err)
	}
}
