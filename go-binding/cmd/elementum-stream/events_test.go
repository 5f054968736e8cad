package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
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
