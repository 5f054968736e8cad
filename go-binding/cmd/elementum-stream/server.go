package main

import (
	"context"
	"embed"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"elementum.example/torrent"
)

//go:embed web
var web embed.FS

// Bounds of what others may hold open.
const (
	maxConnections = 512
	maxListeners   = 64
	maxHeaderBytes = 32 << 10

	headerTimeout  = 10 * time.Second
	bodyTimeout    = time.Minute
	writeTimeout   = time.Minute
	connectionIdle = 2 * time.Minute
)

// A service is a session and what is served of it.
type service struct {
	config  *config
	session *torrent.Session
	feed    *torrent.AlertFeed
	demo    *demo
	fetcher *fetcher
	streams *streams
	hub     *hub
	journal *journal
	log     *log.Logger
	handler http.Handler
	secrets secrets
	guesses *guesses
	// Bodies that are read, torrent files that are in memory, those that are fetched, requests that wait for metadata.
	bodies, uploads, fetches, waits *gate

	fileLists fileLists

	// Ends with the service; requests end with it.
	ctx    context.Context
	cancel context.CancelFunc
	// The service's own goroutines.
	running sync.WaitGroup
}

// newService opens the session. Close it.
func newService(config *config, stderr io.Writer) (*service, error) {
	settings := torrent.Settings{
		// A piece that is there is seen in the map; an alert for each would drown the rest.
		"alert_mask": torrent.CategoryAll &^ torrent.CategoryPieceProgress & maskBits,
		"storage":    config.storage.String(),
		// Also one of 0, which is refused.
		"memory_limit": config.memoryLimit,
		// At the end nobody waits for trackers for long.
		"stop_tracker_timeout": 1,
	}
	if config.downloadLimit > 0 {
		settings["download_rate_limit"] = config.downloadLimit
	}
	if config.uploadLimit > 0 {
		settings["upload_rate_limit"] = config.uploadLimit
	}
	listen := config.peerListen
	if config.demo {
		settings["enable_dht"] = false
		if listen == "" {
			listen = "127.0.0.1:0"
		}
	}
	for name, value := range config.settings {
		settings[name] = value
	}
	secrets, err := newSecrets(config.token)
	if err != nil {
		return nil, err
	}
	session, err := torrent.Open(torrent.Config{
		ListenInterfaces: listen,
		Settings:         settings,
		CloseTimeout:     sessionCloseTimeout,
	})
	if err != nil {
		return nil, err
	}
	feed, err := torrent.NewAlertFeed(session)
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	s := &service{
		config:  config,
		session: session,
		feed:    feed,
		fetcher: newFetcher(config.allowPrivateURLs, config.settings),
		log:     log.New(logWriter{stderr}, "", log.LstdFlags),
		secrets: secrets,
		guesses: newGuesses(),
		bodies:  newGate(maxSmallBodies, maxSmallWaiting),
		uploads: newGate(maxLargeBodies, maxLargeWaiting),
		fetches: newGate(maxFetches, maxFetchesWaiting),
		waits:   newGate(maxMetadataWaits, 0),
	}
	s.streams = newStreams(config.maxStreams, s.memoryLimit)
	s.journal = newJournal(session, s.log)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hub = newHub(s)
	s.running.Go(s.endStopped)
	s.handler = endBodies(s.guard(s.dispatch(s.newMux())))
	if config.demo {
		if s.demo, err = startDemo(s.ctx, session); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// The setting's greatest value: it has 32 bits, and -1 would bring the pieces back.
const maskBits = 1<<32 - 1

// Close ends all streams, listeners and the session, in a bounded time.
func (s *service) Close() error {
	s.cancel()
	var demo sync.WaitGroup
	var demoErr error
	if s.demo != nil {
		demo.Go(func() { demoErr = s.demo.Close() })
	}
	err := s.session.Close()
	if errors.Is(err, torrent.ErrTimedOut) {
		// A tracker or a disk takes its time. It ends by itself, or with the program.
		s.log.Print("the session is still ending")
		err = nil
	}
	s.feed.Stop()
	s.hub.wait()
	s.fetcher.close()
	s.fileLists.forget()
	s.running.Wait()
	demo.Wait()
	if err == nil {
		err = demoErr
	}
	return err
}

func (s *service) httpServer() *http.Server {
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		// Streams and events move it on with each write. There is no ReadTimeout: it would end them; see readBody.
		WriteTimeout:   writeTimeout,
		IdleTimeout:    connectionIdle,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       s.log,
		ConnState:      connState,
		BaseContext:    func(net.Listener) context.Context { return s.ctx },
	}
}

// A route is one of the mux's. The OpenAPI description has the same ones; a test compares.
type route struct {
	method, path string
	handle       http.HandlerFunc
}

const apiPath = "/api/v1"

func (s *service) routes() []route {
	return []route{
		{"GET", "/{$}", s.page("index.html", "text/html; charset=utf-8")},
		{"GET", "/app.js", s.page("app.js", javaScript)},
		{"GET", "/js/{name}", s.module},
		{"GET", "/style.css", s.page("style.css", "text/css; charset=utf-8")},
		{"GET", "/favicon.svg", s.page("favicon.svg", "image/svg+xml")},

		{"GET", "/stream/{index}/{file}", s.stream},
		// Some players go by the extension. The name is not looked at.
		{"GET", "/stream/{index}/{file}/{name}", s.stream},
		{"GET", "/stream/{index}/playlist.m3u", s.torrentPlaylist},
		{"GET", "/playlist.m3u", s.playlist},
		{"GET", "/metrics", s.metrics},

		{"GET", apiPath + "/openapi.json", s.page("openapi.json", "application/json")},
		{"GET", apiPath + "/events", s.events},
		{"GET", apiPath + "/session", s.getSession},
		{"PATCH", apiPath + "/session", s.patchSession},
		{"GET", apiPath + "/torrents", s.listTorrents},
		{"POST", apiPath + "/torrents", s.addTorrent},
		{"GET", apiPath + "/torrents/{index}", s.getTorrent},
		{"PATCH", apiPath + "/torrents/{index}", s.patchTorrent},
		{"DELETE", apiPath + "/torrents/{index}", s.removeTorrent},
		{"POST", apiPath + "/torrents/{index}/pause", s.pauseTorrent},
		{"POST", apiPath + "/torrents/{index}/resume", s.resumeTorrent},
		{"GET", apiPath + "/torrents/{index}/files", s.getFiles},
		{"PUT", apiPath + "/torrents/{index}/files/{file}/priority", s.putFilePriority},
		{"GET", apiPath + "/torrents/{index}/peers", s.getPeers},
		{"GET", apiPath + "/torrents/{index}/trackers", s.getTrackers},
		{"GET", apiPath + "/torrents/{index}/pieces", s.getPieces},
	}
}

func (s *service) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range s.routes() {
		mux.HandleFunc(route.method+" "+route.path, route.handle)
	}
	return mux
}

// dispatch answers in JSON where no route fits, too.
func (s *service) dispatch(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		var refusal refusal
		handler.ServeHTTP(&refusal, r)
		if refusal.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", refusal.Header().Get("Allow"))
			fail(w, r, errMethod)
			return
		}
		fail(w, r, errNoPage)
	})
}

// A refusal takes in what the mux says where no route fits.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

func (r *refusal) WriteHeader(status int) { r.status = status }

func (r *refusal) Write(text []byte) (int, error) { return len(text), nil }

const javaScript = "text/javascript; charset=utf-8"

// module serves a part of the page's script.
func (s *service) module(w http.ResponseWriter, r *http.Request) {
	name := "js/" + r.PathValue("name")
	if _, err := fs.Stat(web, "web/"+name); err != nil || !fs.ValidPath(name) {
		fail(w, r, errNoPage)
		return
	}
	s.page(name, javaScript)(w, r)
}

// page serves an embedded file.
func (s *service) page(name, contentType string) http.HandlerFunc {
	// The names are ours: it is there.
	content, err := web.ReadFile("web/" + name)
	return func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			fail(w, r, err)
			return
		}
		s.giveCookie(w, r)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-cache")
		serveBytes(w, r, content)
	}
}
