package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"elementum.example/torrent"
)

//go:embed demo/clip.webm
var demoClip []byte

const (
	demoName        = "elementum-demo.webm"
	demoPieceLength = 32 << 10
	// Slow enough that there is something to see, and four times what the clip plays at.
	demoUploadLimit = 220_000
	demoTimeout     = 10 * time.Second
)

// A demo is a swarm of one: a session of its own that has the clip, on loopback.
type demo struct {
	seeder *torrent.Session
	dir    string
}

// startDemo makes the swarm and adds its torrent to a session. Close it.
func startDemo(ctx context.Context, session *torrent.Session) (*demo, error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	d, err := newDemo(ctx, demoUploadLimit)
	if err != nil {
		return nil, err
	}
	peer, err := d.address()
	if err == nil {
		_, err = session.AddTorrent(torrent.AddTorrentParams{Torrent: demoTorrent(), Peers: []string{peer.String()}})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), d.Close())
	}
	return d, nil
}

func demoTorrent() []byte { return singleFileTorrent(demoName, demoClip, demoPieceLength) }

// newDemo starts the peer that has the clip, and waits until it has it.
func newDemo(ctx context.Context, uploadLimit uint32) (*demo, error) {
	dir, err := os.MkdirTemp("", "elementum-stream-")
	if err != nil {
		return nil, err
	}
	d := &demo{dir: dir}
	if err := d.seed(ctx, uploadLimit); err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), d.Close())
	}
	return d, nil
}

func (d *demo) seed(ctx context.Context, uploadLimit uint32) (err error) {
	if err := os.WriteFile(filepath.Join(d.dir, demoName), demoClip, 0o600); err != nil {
		return err
	}
	d.seeder, err = torrent.Open(torrent.Config{
		ListenInterfaces: "127.0.0.1:0",
		Settings:         torrent.Settings{"enable_dht": false},
		CloseTimeout:     sessionCloseTimeout,
	})
	if err != nil {
		return err
	}
	added, err := d.seeder.AddTorrent(torrent.AddTorrentParams{
		Torrent:     demoTorrent(),
		SavePath:    d.dir,
		Storage:     torrent.StorageDisk,
		UploadLimit: uploadLimit,
	})
	if err != nil {
		return err
	}
	for {
		status, err := added.Status()
		if err != nil {
			return err
		}
		if err := added.Err(); err != nil {
			return err
		}
		if at, err := d.address(); err == nil && at.Port() != 0 && status.IsSeeding {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("the peer did not start in time")
		}
	}
}

// address is the peer's.
func (d *demo) address() (netip.AddrPort, error) {
	port, err := d.seeder.ListenPort()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), err
}

func (d *demo) Close() error {
	var err error
	if d.seeder != nil {
		err = d.seeder.Close()
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
