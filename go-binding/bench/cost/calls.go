//go:build cgo

package main

import (
	"time"

	"elementum.example/torrent"
	"elementum.example/torrent/bench/internal/baseline"
)

// calls measures a call that does nothing beside an empty one, and a status. The loops are written out: a call through a function value
// would be a fair part of what they measure.
func calls(figures map[string]float64) error {
	const rounds, times, statuses = 15, 200_000, 20_000
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		return err
	}
	defer session.Close()
	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: magnet})
	if err != nil {
		return err
	}
	var empty, trivial, status []float64
	// The first round is the warm-up.
	for range rounds + 1 {
		began := time.Now()
		for range times {
			baseline.Empty()
		}
		empty = append(empty, each(began, times))
		began = time.Now()
		for range times {
			torrent.ABIVersion()
		}
		trivial = append(trivial, each(began, times))
		began = time.Now()
		for range statuses {
			if _, err := added.Status(); err != nil {
				return err
			}
		}
		status = append(status, each(began, statuses))
	}
	figures["cgo_call_ns"], figures["abi_call_ns"] = median(empty[1:]), median(trivial[1:])
	figures["status_ns"] = median(status[1:])
	return nil
}
