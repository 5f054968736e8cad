package main

import (
	"bytes"
	"log"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

// readAlerts gives the events of a session's alerts, up to one of a type.
func readAlerts(t *testing.T, f *fixture, last torrent.AlertType) []alertEvent {
	t.Helper()
	var events []alertEvent
	for alert, dropped := range f.service.feed.Subscribe(t.Context(), 1000) {
		events = append(events, f.service.newAlertEvent(alert, dropped))
		if alert.Type() == last {
			return events
		}
	}
	t.Fatal("the feed ended")
	return nil
}

// Every alert says a sentence: it begins with a capital, ends with a stop, and has none of the library's own words.
func TestAlertsAreSentences(t *testing.T) {
	f := newFixture(t)
	done := make(chan []alertEvent)
	go func() { done <- readAlerts(t, f, torrent.TypeTorrentRemoved) }()
	index := f.swarm(0)
	f.do(request{method: "GET", path: "/stream/" + index + "/0"})
	f.wants(204, request{method: "DELETE", path: apiPath + "/torrents/" + index}, nil)
	seen := map[string]string{}
	for _, event := range <-done {
		text := event.Text
		if !strings.HasSuffix(text, ".") || strings.HasSuffix(text, "..") || strings.Contains(text, event.Type) && strings.Contains(event.Type, "_") ||
			strings.Contains(text, index) || text[0] >= 'a' && text[0] <= 'z' {
			t.Errorf("%s: %q", event.Type, text)
		}
		seen[event.Type] = text
	}
	for kind, want := range map[string]string{
		"add_torrent":     "“" + demoName + "” was added.",
		"torrent_removed": "“" + demoName + "” was removed.",
	} {
		if seen[kind] != want {
			t.Errorf("%s: %q", kind, seen[kind])
		}
	}
}

// Words for those that are hard to bring about; news is what somebody has to know at once, and no tracker is.
func TestSentences(t *testing.T) {
	failed := &torrent.Error{Op: "alert", Code: torrent.ErrIO, Message: "disk full.\nreally"}
	for _, c := range []struct {
		alert torrent.Alert
		want  string
		news  bool
	}{
		{&torrent.TorrentError{Err: failed, Filename: "a/b.mkv"}, "“Film” stopped (a/b.mkv): disk full. really.", true},
		{&torrent.TrackerError{URL: "http://t/", Err: &torrent.Error{Message: "Connection refused (os error 111)"}}, "Tracker t does not help with “Film”: Connection refused.", false},
		{&torrent.FileError{Err: failed}, "A file of “Film” could not be read or written: disk full. really.", true},
		{&torrent.AddTorrent{Err: failed}, "“Film” could not be added: disk full. really.", true},
		{&torrent.AddTorrent{}, "“Film” was added.", false},
		{&torrent.AddTorrent{Err: &torrent.Error{Op: "alert", Code: torrent.ErrDuplicateTorrent, Message: "the torrent is in the session already"}}, "“Film” is there already.", false},
		{&torrent.TrackerError{URL: "http://tracker.example/secret/announce?key=1", FailureReason: "go away", TimesInRow: 3}, "Tracker tracker.example does not help with “Film”: go away.", false},
		{&torrent.TrackerError{URL: "::", Err: failed}, "Tracker of an odd address does not help with “Film”: disk full. really.", false},
		{&torrent.TrackerReply{URL: "udp://t:1", NumPeers: 1}, "Tracker t:1 knows 1 peer of “Film”.", false},
		{&torrent.MemoryPressure{Limit: 8_000_000, Needed: 12_345_678}, "What is read of “Film” at once takes 12.3 MB, and the memory limit is 8.0 MB: raise it, or play less at once.", true},
		{&torrent.MemoryPressure{Limit: 67_108_864, Charged: 67_000_000, Needed: 3_145_728}, "A stream of “Film” waits, because memory is full: raise the limit of 67.1 MB, or play less at once.", true},
		{&torrent.MemoryPressure{Limit: 8_000_000, Charged: 8_000_000, Needed: 8_000_000}, "A stream of “Film” waits, because memory is full: raise the limit of 8.0 MB, or play less at once.", true},
		{&torrent.HashFailed{Piece: 7}, "Piece 7 of “Film” came in damaged and is fetched again.", false},
		{&torrent.StateChanged{State: torrent.StateDownloadingMetadata}, "“Film” asks peers what it is.", false},
		{&torrent.ListenFailed{Interface: "eth9:1", Err: failed}, "Peers cannot connect to eth9:1, and so fewer may be found: disk full. really.", true},
	} {
		if got := sentence(c.alert, "Film"); got != c.want || isNews(c.alert) != c.news {
			t.Errorf("%q, news %v; not %q", got, isNews(c.alert), c.want)
		}
	}
	if got := sentence(&torrent.TorrentRemoved{}, ""); got != "A torrent was removed." {
		t.Error(got)
	}
	if got := plain(strings.Repeat("é\n", 1000)); len([]rune(got)) != maxPlain+1 {
		t.Error(got)
	}
}

// The same line again and again is one line a minute.
func TestTheLogDoesNotRepeatItself(t *testing.T) {
	f := newFixture(t)
	var out bytes.Buffer
	j := newJournal(f.service.session, log.New(&out, "", 0))
	now := time.Now()
	for i := range 100 {
		j.line("The disk is full.", now.Add(time.Duration(i)*time.Second))
	}
	j.line("Another.", now)
	if got := out.String(); got != "The disk is full.\nThe disk is full.\nAnother.\n" {
		t.Errorf("%q", got)
	}
	for i := range 3 * maxRemembered {
		j.line(strings.Repeat("x", i%7)+string(rune('a'+i%26))+time.Duration(i).String(), now)
	}
	if len(j.lines) > maxRemembered {
		t.Error(len(j.lines))
	}
}
