// Command anacrolix is the streaming service that anacrolix/torrent's reader and http.ServeContent make, for the bench to measure.
//
//	anacrolix -torrent PATH -peer IP:PORT -data DIR
//
// It prints "port N" when it listens. POST /start adds the torrent and its one peer, GET /stream is the torrent's file. It ends when its
// standard input does. As fast as the client gets here: nothing is on that the benchmark does not use, no piece that is there is looked
// at before it is fetched, and the read ahead is what the client takes well.
package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	g "github.com/anacrolix/generics"
	"github.com/anacrolix/log"
	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

func main() {
	path := flag.String("torrent", "", "the torrent file")
	peer := flag.String("peer", "", "address of the seeder")
	data := flag.String("data", "", "directory of the files")
	readahead := flag.Int64("readahead", 64<<20, "bytes ahead of the reader to fetch")
	flag.Parse()
	if err := serve(*path, *peer, *data, *readahead); err != nil {
		fmt.Fprintln(os.Stderr, "anacrolix:", err)
		os.Exit(1)
	}
}

func serve(path, peer, data string, readahead int64) error {
	meta, err := metainfo.LoadFromFile(path)
	if err != nil {
		return err
	}
	info, err := meta.UnmarshalInfo()
	if err != nil {
		return err
	}
	seeder, err := net.ResolveTCPAddr("tcp", peer)
	if err != nil {
		return err
	}
	// The files are there, written once with other bytes: without a word of it each piece would be hashed before it is fetched.
	known := storage.NewMapPieceCompletion()
	for piece := range info.NumPieces() {
		if err := known.Set(metainfo.PieceKey{InfoHash: meta.HashInfoBytes(), Index: piece}, false); err != nil {
			return err
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	config := torrent.NewDefaultClientConfig()
	config.DefaultStorage = storage.NewFileOpts(storage.NewFileClientOpts{
		ClientBaseDir: data, PieceCompletion: known, UsePartFiles: g.Some(false), Logger: quiet,
	})
	config.DataDir = data
	config.ListenHost = func(string) string { return "127.0.0.1" }
	config.ListenPort = 0
	config.NoDHT, config.DisableTrackers, config.DisablePEX, config.DisableUTP, config.DisableIPv6 = true, true, true, true, true
	config.DisableWebtorrent, config.DisableWebseeds, config.NoDefaultPortForwarding, config.NoUpload = true, true, true, true
	config.HeaderObfuscationPolicy = torrent.HeaderObfuscationPolicy{RequirePreferred: true, Preferred: false}
	config.Logger = log.Default.FilterLevel(log.Disabled)
	config.Slogger = quiet
	client, err := torrent.NewClient(config)
	if err != nil {
		return err
	}
	defer client.Close()

	var added atomic.Pointer[torrent.Torrent]
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, _ *http.Request) {
		opts := torrent.AddTorrentOpts{InfoHash: meta.HashInfoBytes(), InfoBytes: meta.InfoBytes, DisableInitialPieceCheck: true}
		t, _ := client.AddTorrentOpt(opts)
		t.AddPeers([]torrent.PeerInfo{{Addr: seeder, Source: torrent.PeerSourceDirect, Trusted: true}})
		added.Store(t)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		t := added.Load()
		if t == nil {
			http.Error(w, "not started", http.StatusConflict)
			return
		}
		reader := t.Files()[0].NewReader()
		defer reader.Close()
		reader.SetContext(r.Context())
		reader.SetReadahead(readahead)
		reader.SetResponsive()
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, reader)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(listener, mux)
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
