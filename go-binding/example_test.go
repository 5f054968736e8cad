package torrent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"elementum.example/torrent"
)

// exampleSwarm is a session that seeds a film, for the examples to download from.
func exampleSwarm() (film, netip.AddrPort, func()) {
	f := newFilm(1_000_000, 64<<10)
	directory, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, f.name), f.content, 0o600); err != nil {
		log.Fatal(err)
	}
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		log.Fatal(err)
	}
	_, err = session.AddTorrent(torrent.AddTorrentParams{Torrent: f.torrent, SavePath: directory, Storage: torrent.StorageDisk})
	if err != nil {
		log.Fatal(err)
	}
	port, err := session.ListenPort()
	if err != nil {
		log.Fatal(err)
	}
	return f, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), func() {
		session.Close()
		os.RemoveAll(directory)
	}
}

// A magnet link is played over HTTP: the web server seeks and reads, what it wants is fetched first.
func Example() {
	film, peer, end := exampleSwarm()
	defer end()

	session, err := torrent.Open(torrent.Config{
		MemoryLimit:      32 << 20,
		ListenInterfaces: "127.0.0.1:0",
		Settings:         torrent.Settings{"enable_dht": false},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	added, err := session.AddTorrent(torrent.AddTorrentParams{
		Magnet: torrent.InfoHashes{V1: film.hash}.Magnet(),
		Peers:  []string{peer.String()},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := added.WaitMetadata(ctx); err != nil {
		log.Fatal(err)
	}
	files, err := added.Files()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(files[0].Path, files[0].Length)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A client that leaves ends its read, and so the handler.
		reader, err := added.NewReader(files[0].Index, torrent.WithContext(r.Context()))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer reader.Close()
		http.ServeContent(w, r, files[0].Path, time.Time{}, reader)
	}))
	defer server.Close()

	request, _ := http.NewRequest(http.MethodGet, server.URL, nil)
	request.Header.Set("Range", "bytes=900000-")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	fmt.Println(response.Status, n, err)
	// Output:
	// film-1000000.bin 1000000
	// 206 Partial Content 100000 <nil>
}

// One loop reads all alerts.
func ExampleSession_Alerts() {
	film, peer, end := exampleSwarm()
	defer end()
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	magnet := torrent.AddTorrentParams{Magnet: torrent.InfoHashes{V1: film.hash}.Magnet(), Peers: []string{peer.String()}}
	if _, err := session.AddTorrent(magnet); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for alert := range session.Alerts(ctx) {
		switch a := alert.(type) {
		case *torrent.AddTorrent:
			fmt.Println("added", a.InfoHashes)
		case *torrent.MetadataReceived:
			name, err := session.Torrent(a.StorageIndex()).Name()
			fmt.Println("metadata of", name, err)
			return
		}
	}
	// Output:
	// added e46037b65a9dd7c22122a35ac9c0a12855d96cc2
	// metadata of film-1000000.bin <nil>
}

// Several consumers each get all alerts.
func ExampleAlertFeed() {
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	feed, err := torrent.NewAlertFeed(session)
	if err != nil {
		log.Fatal(err)
	}
	defer feed.Stop()

	alerts := feed.Subscribe(context.Background(), 1000)
	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: "magnet:?xt=urn:btih:" + newFilm(1, 16<<10).infoHash()})
	if err != nil {
		log.Fatal(err)
	}
	if err := added.Remove(0); err != nil {
		log.Fatal(err)
	}
	for alert, dropped := range alerts {
		if dropped > 0 {
			fmt.Println("too slow:", dropped, "are lost")
		}
		if _, ok := alert.(*torrent.TorrentRemoved); ok {
			fmt.Println(alert.Type())
			return
		}
	}
	// Output: torrent_removed
}

// A read ends with its context.
func ExampleReader_ReadContext() {
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: newFilm(100, 16<<10).torrent})
	if err != nil {
		log.Fatal(err)
	}
	reader, err := added.NewReader(0)
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = reader.ReadContext(ctx, make([]byte, 10))
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.Is(err, torrent.ErrTimedOut))
	// Output: true true
}

// The pieces around a place are kept, whatever else is read.
func ExampleTorrent_SetLookbehind() {
	film, peer, end := exampleSwarm()
	defer end()
	session, err := torrent.Open(quiet(nil))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	added, err := session.AddTorrent(torrent.AddTorrentParams{Torrent: film.torrent, Peers: []string{peer.String()}})
	if err != nil {
		log.Fatal(err)
	}
	if err := added.SetLookbehind([]torrent.PieceIndex{0, 1}); err != nil {
		log.Fatal(err)
	}
	reader, err := added.NewReader(0)
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	if _, err := io.CopyN(io.Discard, reader, 200_000); err != nil {
		log.Fatal(err)
	}
	fmt.Println(added.IsLookbehindAvailable(1))
	// Output: true <nil>
}

// What a setting is, the library tells.
func ExampleDescribeSettings() {
	for setting := range torrent.DescribeSettings() {
		if setting.Name == "enable_dht" {
			fmt.Println(setting.Name, setting.Default, setting.Live)
		}
	}
	// Output: enable_dht true true
}
