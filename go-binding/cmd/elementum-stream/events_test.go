package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

// nextEvent reads up to an event that fits.
func nextEvent(t *testing.T, lines *bufio.Scanner, name string, fits func(data string) bool) {
	t.Helper()
	event := ""
	for lines.Scan() {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			event = text
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && event == name && fits(data) {
			return
		}
	}
	t.Fatalf("the events ended: %v", lines.Err())
}

func TestEvents(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(100_000)
	response := f.open(request{method: "GET", path: apiPath + "/events?torrent=" + index})
	defer response.Body.Close()
	if response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	nextEvent(t, lines, "state", func(data string) bool {
		var state stateEvent
		var pieces piecesView
		if err := json.Unmarshal([]byte(data), &state); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(state.Selected, &pieces); err != nil {
			t.Fatal(err)
		}
		if len(state.Torrents) != 1 || state.Torrents[0].Index != index || pieces.Index != index || pieces.Pieces == 0 {
			t.Fatalf("state: %s", data)
		}
		return true
	})
	// Those of before it listened, too.
	nextEvent(t, lines, "alert", func(data string) bool { return strings.Contains(data, `"type":"add_torrent"`) })

	stream := f.open(request{method: "GET", path: "/stream/" + index + "/0"})
	defer stream.Body.Close()
	readSome(t, stream)
	nextEvent(t, lines, "state", func(data string) bool {
		var state stateEvent
		if err := json.Unmarshal([]byte(data), &state); err != nil {
			t.Fatal(err)
		}
		return len(state.Streams) == 1 && state.Streams[0].Open && state.Streams[0].WindowEnd > 0 && state.Streams[0].Torrent == index
	})
	f.wants(http.StatusNoContent, request{method: "DELETE", path: apiPath + "/torrents/" + index}, nil)
	nextEvent(t, lines, "alert", func(data string) bool { return strings.Contains(data, `"type":"torrent_removed"`) })
	nextEvent(t, lines, "state", func(data string) bool {
		return strings.Contains(data, `"torrents":[]`) && strings.Contains(data, `"selected":null`)
	})
	response.Body.Close()
	for end := time.Now().Add(5 * time.Second); f.service.hub.count() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the listener is still there")
		}
	}
	f.fails(http.StatusBadRequest, "invalid_argument", request{method: "GET", path: apiPath + "/events?torrent=x"})
}

func TestListenersAreBounded(t *testing.T) {
	f := newFixture(t)
	for range maxListeners {
		response := f.open(request{method: "GET", path: apiPath + "/events"})
		defer response.Body.Close()
	}
	f.fails(http.StatusServiceUnavailable, "too_many", request{method: "GET", path: apiPath + "/events"})
}

// Listeners that come while alerts do miss none of them and see none twice.
func TestListenersMissNoAlert(t *testing.T) {
	const torrents, listeners = 16, 6
	f := newFixture(t)
	added := make(chan struct{})
	go func() {
		defer close(added)
		for n := range torrents {
			magnet := fmt.Sprintf("magnet:?xt=urn:btih:%040x", n+1)
			if _, err := f.service.session.AddTorrent(torrent.AddTorrentParams{Magnet: magnet}); err != nil {
				t.Error(err)
			}
		}
	}()
	var opened []*http.Response
	for range listeners {
		response := f.open(request{method: "GET", path: apiPath + "/events"})
		defer response.Body.Close()
		opened = append(opened, response)
	}
	<-added
	for _, response := range opened {
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		seen := map[uint64]bool{}
		count := 0
		nextEvent(t, lines, "alert", func(data string) bool {
			var alert alertEvent
			if err := json.Unmarshal([]byte(data), &alert); err != nil {
				t.Fatal(err)
			}
			if seen[alert.Sequence] || alert.Dropped != 0 {
				t.Fatalf("twice, or after a loss: %s", data)
			}
			seen[alert.Sequence] = true
			if alert.Type == "add_torrent" {
				count++
			}
			return count == torrents
		})
	}
}

func TestASlowListenerLearnsWhatItLost(t *testing.T) {
	l := &listener{alerts: make(chan alertEvent, 1)}
	for _, event := range []alertEvent{{Sequence: 1}, {Sequence: 2}, {Sequence: 5, Dropped: 2}} {
		l.take(event)
	}
	if first := <-l.alerts; first.Sequence != 1 || first.Dropped != 0 {
		t.Fatal(first)
	}
	l.take(alertEvent{Sequence: 6})
	if next := <-l.alerts; next.Sequence != 6 || next.Dropped != 4 {
		t.Fatal(next)
	}
}
