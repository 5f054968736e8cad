//go:build cgo

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"elementum.example/torrent"
)

// wake measures how long a goroutine that is parked in Reader.Read takes from the moment its piece was verified until it has the bytes.
//
// Pieces are of one block, and the reader wants the one it waits for and no other: each Read parks. The seeder's rate makes the piece
// come milliseconds after that. The beginning is the time that the library put into the piece_finished alert, the end is Go's clock when
// Read has returned: the same clock of the system, the alert's in whole microseconds. Alerts are read when all is over, so that nothing else
// of the program runs meanwhile. A Read that had not waited for long when its piece came is left out: its goroutine may not have been
// parked yet.
func wake(figures map[string]float64) error {
	const piece, pieces, rate, parked, enough = 16 << 10, 400, 4 << 20, 500 * time.Microsecond, 200
	swarm, err := newSwarm(newFilm(pieces*piece, piece), rate)
	if err != nil {
		return err
	}
	defer swarm.close()
	reader, err := swarm.added.NewReader(0, torrent.WithLookahead(0), torrent.WithLookbehind(0), torrent.WithPins(0, 0))
	if err != nil {
		return err
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var began, ended [pieces]time.Time
	into := make([]byte, piece)
	for i := range pieces {
		began[i] = time.Now()
		n, err := reader.ReadContext(ctx, into)
		ended[i] = time.Now()
		if err != nil {
			return err
		}
		if n != piece || !bytes.Equal(into, swarm.film.content[i*piece:(i+1)*piece]) {
			return errors.New("what was read is not what the seeder has")
		}
	}
	if _, err := reader.Read(into); err != io.EOF {
		return fmt.Errorf("after the end: %v", err)
	}
	finished, err := finishedTimes(swarm.leech)
	if err != nil {
		return err
	}
	var woke, waited []float64
	for i := range pieces {
		at, known := finished[torrent.PieceIndex(i)]
		if known && at.Sub(began[i].Round(0)) >= parked {
			woke = append(woke, microseconds(ended[i].Round(0).Sub(at)))
			waited = append(waited, microseconds(at.Sub(began[i].Round(0))))
		}
	}
	if len(woke) < enough {
		return fmt.Errorf("only %d of %d reads waited", len(woke), pieces)
	}
	figures["wake_samples"] = float64(len(woke))
	figures["wake_us"], figures["wake_p99_us"], figures["waited_us"] = median(woke), quantile(woke, 0.99), median(waited)
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// finishedTimes is when each piece was verified.
func finishedTimes(session *torrent.Session) (map[torrent.PieceIndex]time.Time, error) {
	times := map[torrent.PieceIndex]time.Time{}
	for {
		alerts, err := session.PopAlerts()
		if err != nil || len(alerts) == 0 {
			return times, err
		}
		for _, alert := range alerts {
			if done, is := alert.(*torrent.PieceFinished); is {
				times[done.Piece] = done.Time()
			}
		}
	}
}
