//go:build cgo

package main

import (
	"bytes"
	"errors"
	"io"
	"time"

	"elementum.example/torrent"
	"elementum.example/torrent/bench/internal/baseline"
)

// reads measures Reader.Read of 64 KiB that are in memory, beside memcpy, called by cgo, of as many bytes from a buffer as large as the
// film: both go through it from its start to its end, as a player does, into one buffer of 64 KiB.
func reads(figures map[string]float64) error {
	const size, pieceLength, chunk, rounds = 16 << 20, 1 << 20, 64 << 10, 41
	swarm, err := newSwarm(newFilm(size, pieceLength), 0)
	if err != nil {
		return err
	}
	defer swarm.close()
	reader, err := swarm.added.NewReader(0, torrent.WithReadTimeout(patience))
	if err != nil {
		return err
	}
	defer reader.Close()
	// It stays where it is, wherever the reader goes.
	pieces := make([]torrent.PieceIndex, size/pieceLength)
	for i := range pieces {
		pieces[i] = torrent.PieceIndex(i)
	}
	if err := swarm.added.SetLookbehind(pieces); err != nil {
		return err
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	if !bytes.Equal(content, swarm.film.content) {
		return errors.New("what was read is not what the seeder has")
	}
	// A reader without a timeout reads without a context, as programs do.
	resident, err := swarm.added.NewReader(0)
	if err != nil {
		return err
	}
	defer resident.Close()
	into := make([]byte, chunk)
	var ours, copies []float64
	for range rounds {
		if _, err := resident.Seek(0, io.SeekStart); err != nil {
			return err
		}
		began := time.Now()
		for range size / chunk {
			if n, err := resident.Read(into); err != nil || n != chunk {
				return errors.Join(err, errors.New("a read brought less than was asked for"))
			}
		}
		ours = append(ours, each(began, size/chunk))
		began = time.Now()
		for at := 0; at < size; at += chunk {
			baseline.Copy(into, content[at:at+chunk])
		}
		copies = append(copies, each(began, size/chunk))
	}
	if !bytes.Equal(into, content[size-chunk:]) {
		return errors.New("what was read is not what the seeder has")
	}
	figures["read64k_ns"], figures["memcpy64k_ns"] = median(ours), median(copies)
	return nil
}
