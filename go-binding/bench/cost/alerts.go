//go:build cgo

package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"elementum.example/torrent"
)

const (
	alertBatches = 100
	alertBatch   = 256
)

var taken struct {
	kind          torrent.AlertType
	category      torrent.AlertCategories
	what, message string
	paused        int
}

// alerts measures one typed alert, popping included: type switch, type and category, and with two strings, the type's name and the
// message. Batches without and with strings take turns.
func alerts(figures map[string]float64) error {
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		return err
	}
	defer session.Close()
	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: magnet})
	if err != nil {
		return err
	}
	var buffer torrent.AlertBuffer
	var bare, text, allocs []float64
	// The first batches are the warm-up: the buffer and its alerts are made.
	for n := range alertBatches + 1 {
		if err := fill(session, added, &buffer); err != nil {
			return err
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		count, err := consume(session, &buffer, take)
		took := each(began, count)
		runtime.ReadMemStats(&after)
		if err != nil {
			return err
		}
		if err := fill(session, added, &buffer); err != nil {
			return err
		}
		began = time.Now()
		count2, err := consume(session, &buffer, takeText)
		tookText := each(began, count2)
		if err != nil {
			return err
		}
		if min(count, count2) < alertBatch {
			return fmt.Errorf("only %d and %d alerts of %d", count, count2, alertBatch)
		}
		if n > 0 {
			bare, text = append(bare, took), append(text, tookText)
			allocs = append(allocs, float64(after.Mallocs-before.Mallocs)/float64(count))
		}
	}
	figures["alert_ns"], figures["alert_text_ns"] = median(bare), median(text)
	// Of the batches' too: the runtime allocates a little now and then by itself. One a batch would be 0.004.
	figures["alert_allocs"] = median(allocs)
	return nil
}

// fill empties the queue, makes alerts, and waits until they are posted: that may be by another thread than this.
func fill(session *torrent.Session, added *torrent.Torrent, buffer *torrent.AlertBuffer) error {
	if _, err := consume(session, buffer, func(torrent.Alert) {}); err != nil {
		return err
	}
	before, err := session.Stats()
	if err != nil {
		return err
	}
	for range alertBatch / 2 {
		if err := added.Pause(); err != nil {
			return err
		}
		if err := added.Resume(); err != nil {
			return err
		}
	}
	for range 10_000 {
		now, err := session.Stats()
		if err != nil || now.AlertsPosted-before.AlertsPosted >= alertBatch {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
	return errors.New("the alerts do not come")
}

func consume(session *torrent.Session, buffer *torrent.AlertBuffer, take func(torrent.Alert)) (int, error) {
	total := 0
	for {
		count, err := session.PopAlertsInto(buffer)
		if err != nil || count == 0 {
			return total, err
		}
		total += count
		for alert := buffer.Next(); alert != nil; alert = buffer.Next() {
			take(alert)
		}
	}
}

func take(alert torrent.Alert) {
	switch a := alert.(type) {
	case *torrent.TorrentPaused:
		taken.paused++
		taken.kind, taken.category = a.Type(), a.Category()
	case *torrent.TorrentResumed:
		taken.kind, taken.category = a.Type(), a.Category()
	default:
		taken.kind, taken.category = alert.Type(), alert.Category()
	}
}

func takeText(alert torrent.Alert) {
	take(alert)
	taken.what, taken.message = alert.Type().String(), alert.Message()
}
