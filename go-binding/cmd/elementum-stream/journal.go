package main

import (
	"log"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"elementum.example/torrent"
)

const (
	// The same line again within this time is left out.
	repeatAfter = time.Minute
	// So many lines and names are remembered.
	maxRemembered = 4096
)

// A journal knows torrents by name, also those that are gone, and writes the log's lines.
type journal struct {
	session *torrent.Session
	log     *log.Logger
	// The ports that peers were to find us at, by address.
	wanted map[netip.Addr]uint16

	mu    sync.Mutex
	names map[torrent.StorageIndex]string
	lines map[string]time.Time
}

func newJournal(session *torrent.Session, log *log.Logger) *journal {
	j := &journal{session: session, log: log, wanted: map[netip.Addr]uint16{}, names: map[torrent.StorageIndex]string{}, lines: map[string]time.Time{}}
	settings, err := session.Settings()
	if err != nil {
		return j
	}
	listen, _ := settings["listen_interfaces"].(string)
	for entry := range strings.SplitSeq(listen, ",") {
		if at, err := netip.ParseAddrPort(strings.TrimSpace(entry)); err == nil {
			j.wanted[at.Addr()] = at.Port()
		}
	}
	return j
}

// sentence is what an alert says to people.
func (j *journal) sentence(alert torrent.Alert) string {
	if a, ok := alert.(*torrent.ListenSucceeded); ok {
		if wanted := j.wanted[a.Endpoint.Addr()]; wanted != 0 && wanted != a.Endpoint.Port() {
			return "Port " + strconv.Itoa(int(wanted)) + " is taken, so peers are told to connect to port " + strconv.Itoa(int(a.Endpoint.Port())) + "."
		}
	}
	return sentence(alert, j.name(alert))
}

// name is that of the alert's torrent, as far as it is or was known.
func (j *journal) name(alert torrent.Alert) string {
	index := alert.StorageIndex()
	if !index.IsValid() {
		return ""
	}
	name, err := j.session.Torrent(index).Name()
	if added, ok := alert.(*torrent.AddTorrent); ok && name == "" {
		name = added.Name
		if name == "" {
			// A magnet that does not say.
			name = added.InfoHashes.String()
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if name = plain(name); name == "" {
		return j.names[index]
	}
	if err == nil {
		if len(j.names) >= maxRemembered {
			clear(j.names)
		}
		j.names[index] = name
	}
	return name
}

// note writes a line, where the alert is worth one.
func (j *journal) note(alert torrent.Alert) {
	if isLogged(alert) {
		j.line(j.sentence(alert), time.Now())
	}
}

// line writes a line that was not written just now.
func (j *journal) line(text string, now time.Time) {
	j.mu.Lock()
	last, again := j.lines[text]
	again = again && now.Sub(last) < repeatAfter
	if !again {
		if len(j.lines) >= maxRemembered {
			clear(j.lines)
		}
		j.lines[text] = now
	}
	j.mu.Unlock()
	if !again {
		j.log.Print(text)
	}
}
