package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"elementum.example/torrent"
)

const (
	stateInterval = 500 * time.Millisecond
	heartbeat     = 15 * time.Second
	// A listener that takes no event for so long is gone.
	eventWriteTimeout = 10 * time.Second
	// Alerts that wait for a listener, and that a new one gets.
	alertQueue   = 256
	alertHistory = 100
)

// A stateEvent is the service at one moment.
type stateEvent struct {
	Time     int64           `json:"time"`
	Session  sessionView     `json:"session"`
	Torrents []torrentView   `json:"torrents"`
	Streams  []streamView    `json:"streams"`
	Selected json.RawMessage `json:"selected"`
}

type alertEvent struct {
	Sequence   uint64   `json:"sequence"`
	Time       int64    `json:"time"`
	Type       string   `json:"type"`
	Categories []string `json:"categories"`
	Torrent    string   `json:"torrent"`
	Message    string   `json:"message"`
	// For people, and whether to show it to them at once.
	Text  string `json:"text"`
	News  bool   `json:"news"`
	Piece *int   `json:"piece,omitempty"`
	// Alerts that were lost before this one, because the listener was slow.
	Dropped uint64 `json:"dropped"`
}

func (s *service) newAlertEvent(alert torrent.Alert, dropped uint64) alertEvent {
	event := alertEvent{
		Sequence:   alert.Sequence(),
		Time:       alert.Time().UnixMilli(),
		Type:       alert.Type().String(),
		Categories: flagNames(alert.Category().String()),
		Message:    alert.Message(),
		Text:       s.journal.sentence(alert),
		News:       isNews(alert),
		Dropped:    dropped,
	}
	if index := alert.StorageIndex(); index.IsValid() {
		event.Torrent = index.String()
	}
	switch a := alert.(type) {
	case *torrent.PieceEvicted:
		event.Piece = new(int)
		*event.Piece = int(a.Piece)
	case *torrent.HashFailed:
		event.Piece = new(int)
		*event.Piece = int(a.Piece)
	}
	return event
}

// A hub makes the state, once for all listeners, while there are some, and hands alerts on.
type hub struct {
	service *service
	running sync.WaitGroup

	mu        sync.Mutex
	listeners map[*listener]struct{}
	stop      context.CancelFunc
	ended     bool
	history   []alertEvent
}

// A listener is one that events are sent to.
type listener struct {
	// Whose piece map it wants; 0: none's.
	selected torrent.StorageIndex
	// The newest state alone: a slow one skips.
	states chan []byte
	alerts chan alertEvent
	// Alerts that found no room since the last that did. The hub's lock guards it.
	dropped uint64
}

func newHub(s *service) *hub {
	h := &hub{service: s, listeners: map[*listener]struct{}{}}
	alerts := s.feed.Subscribe(s.ctx, alertQueue)
	h.running.Go(func() {
		for alert, dropped := range alerts {
			s.journal.note(alert)
			h.hear(alert, dropped)
		}
	})
	return h
}

// hear keeps an alert for those who come later and gives it to those who listen, in one step:
// who joins has each alert either among the past or in its queue.
func (h *hub) hear(alert torrent.Alert, dropped uint64) {
	kept := true
	switch alert.Type() {
	case torrent.TypePieceEvicted, torrent.TypeReaderReady, torrent.TypeReaderStalled, torrent.TypePrebufferProgress:
		// They come by the hundred.
		kept = false
	}
	if !kept && h.count() == 0 {
		return
	}
	event := h.service.newAlertEvent(alert, dropped)
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.take(event)
	}
	if !kept {
		return
	}
	if len(h.history) >= alertHistory {
		h.history = append(h.history[:0], h.history[1:]...)
	}
	h.history = append(h.history, event)
}

// take queues an alert. A listener that is slow loses it, and learns how many it lost.
func (l *listener) take(event alertEvent) {
	lost := event.Dropped
	event.Dropped += l.dropped
	select {
	case l.alerts <- event:
		l.dropped = 0
	default:
		l.dropped += lost + 1
	}
}

// join adds a listener, unless there are too many. What it gets are the alerts of before.
func (h *hub) join(l *listener) (past []alertEvent, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || len(h.listeners) >= maxListeners {
		return nil, false
	}
	h.listeners[l] = struct{}{}
	if h.stop == nil {
		ctx, stop := context.WithCancel(h.service.ctx)
		h.stop = stop
		h.running.Go(func() { h.tick(ctx) })
	}
	return slices.Clone(h.history), true
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
	if len(h.listeners) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners)
}

// wait is for the end of the service, after its context's.
func (h *hub) wait() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.running.Wait()
}

func (h *hub) tick(ctx context.Context) {
	ticker := time.NewTicker(stateInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.give()
		case <-ctx.Done():
			return
		}
	}
}

// give sends the state to all.
func (h *hub) give() {
	h.mu.Lock()
	listeners := make([]*listener, 0, len(h.listeners))
	for l := range h.listeners {
		listeners = append(listeners, l)
	}
	h.mu.Unlock()
	state, err := h.state()
	if err != nil {
		// The session is closed; the listeners end with the service's context.
		return
	}
	// Those who look at the same torrent get the same bytes.
	made := map[torrent.StorageIndex][]byte{}
	for _, l := range listeners {
		event, ok := made[l.selected]
		if !ok {
			event = h.render(state, l.selected)
			made[l.selected] = event
		}
		select {
		case <-l.states:
		default:
		}
		select {
		case l.states <- event:
		default:
		}
	}
}

func (h *hub) state() (stateEvent, error) {
	session, err := h.service.sessionView()
	if err != nil {
		return stateEvent{}, err
	}
	torrents, err := h.service.torrentViews()
	if err != nil {
		return stateEvent{}, err
	}
	return stateEvent{
		Time:     time.Now().UnixMilli(),
		Session:  session,
		Torrents: torrents,
		Streams:  h.service.streamViews(),
	}, nil
}

// render adds the piece map of a torrent: null where it has none, or none yet.
func (h *hub) render(state stateEvent, selected torrent.StorageIndex) []byte {
	if selected.IsValid() {
		if pieces, err := piecesViewOf(h.service.session.Torrent(selected)); err == nil {
			state.Selected, _ = json.Marshal(pieces)
		}
	}
	return serverSentEvent("state", state)
}

// serverSentEvent is an event as the wire has it. JSON has no line ends in it.
func serverSentEvent(name string, value any) []byte {
	data, err := encode(value)
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// events sends the state and the alerts as they come.
func (s *service) events(w http.ResponseWriter, r *http.Request) {
	l := &listener{states: make(chan []byte, 1), alerts: make(chan alertEvent, alertQueue)}
	if text := r.URL.Query().Get("torrent"); text != "" {
		selected, err := torrent.ParseStorageIndex(text)
		if err != nil {
			fail(w, r, badRequest("invalid_argument", "torrent: a storage index is wanted"))
			return
		}
		l.selected = selected
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return
	}
	past, ok := s.hub.join(l)
	if !ok {
		fail(w, r, errBusy)
		return
	}
	defer s.hub.leave(l)
	s.sendEvents(w, r, l, past)
}

func (s *service) sendEvents(w http.ResponseWriter, r *http.Request, l *listener, past []alertEvent) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	send := func(event []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(eventWriteTimeout))
		if _, err := w.Write(event); err != nil {
			return false
		}
		return control.Flush() == nil
	}

	var first bytes.Buffer
	first.WriteString("retry: 2000\n\n")
	if state, err := s.hub.state(); err == nil {
		first.Write(s.hub.render(state, l.selected))
	}
	for _, event := range past {
		first.Write(serverSentEvent("alert", event))
	}
	if !send(first.Bytes()) {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var event []byte
		select {
		case event = <-l.states:
		case alert := <-l.alerts:
			event = serverSentEvent("alert", alert)
		case <-beat.C:
			event = []byte(": still here\n\n")
		case <-r.Context().Done():
			return
		}
		if !send(event) {
			return
		}
	}
}
