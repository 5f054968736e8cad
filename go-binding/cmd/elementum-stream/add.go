package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"

	"elementum.example/torrent"
)

const (
	maxJSON = 64 << 10
	// The library takes no longer magnet. In JSON each byte of it may be six: some write & as \u0026.
	maxMagnet  = 256 << 10
	maxAddJSON = 6*maxMagnet + maxJSON
	// A form has headers and boundaries beside the file.
	maxForm = maxTorrentFile + 64<<10
)

// An addRequest is what POST /torrents takes as JSON.
type addRequest struct {
	Magnet string   `json:"magnet"`
	URL    string   `json:"url"`
	Paused bool     `json:"paused"`
	Peers  []string `json:"peers"`
}

var errSource = badRequest("invalid_source", "one of magnet and url is wanted, or a torrent file")

// addTorrent adds what the body is or names.
func (s *service) addTorrent(w http.ResponseWriter, r *http.Request) {
	params, release, err := s.readSource(w, r)
	if release != nil {
		defer release()
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	added, isNew, err := s.add(params)
	if err != nil {
		fail(w, r, err)
		return
	}
	view, err := s.torrentViewOf(added)
	if err != nil {
		fail(w, r, err)
		return
	}
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
		w.Header().Set("Location", apiPath+"/torrents/"+added.StorageIndex().String())
	}
	reply(w, r, status, view)
}

// add adds a torrent, or finds it there already.
func (s *service) add(params torrent.AddTorrentParams) (added *torrent.Torrent, isNew bool, err error) {
	params.Storage = s.config.storage
	params.SavePath = s.config.savePath
	added, err = s.session.AddTorrent(params)
	if errors.Is(err, torrent.ErrDuplicateTorrent) {
		return added, false, nil
	}
	return added, err == nil, err
}

// readSource reads what is to be added. What it took of others is given back when that is done.
func (s *service) readSource(w http.ResponseWriter, r *http.Request) (source torrent.AddTorrentParams, release func(), err error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	switch kind {
	case "application/json":
		return s.readJSONSource(w, r)
	case "application/x-bittorrent", "multipart/form-data":
	default:
		return source, nil, &failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
			message: "application/json, application/x-bittorrent or multipart/form-data is wanted"}
	}
	most := int64(maxTorrentFile)
	if kind == "multipart/form-data" {
		most = maxForm
	}
	if r.ContentLength > most {
		return source, nil, refuseLength(r)
	}
	if release, err = s.takeUpload(r.Context(), w); err != nil {
		return source, nil, err
	}
	if kind == "multipart/form-data" {
		body := boundBody(w, r, most)
		defer body.done()
		source, err = readForm(multipart.NewReader(body, params["boundary"]), r.ContentLength)
		return source, release, err
	}
	source.Flags = pausedFlag(r.URL.Query().Get("paused") == "true")
	source.Torrent, err = readBody(w, r, most)
	return source, release, err
}

func (s *service) readJSONSource(w http.ResponseWriter, r *http.Request) (params torrent.AddTorrentParams, release func(), err error) {
	var source addRequest
	if err := s.readJSON(w, r, maxAddJSON, &source); err != nil {
		return params, nil, err
	}
	params = torrent.AddTorrentParams{Peers: source.Peers, Flags: pausedFlag(source.Paused)}
	if (source.Magnet == "") == (source.URL == "") {
		return params, nil, errSource
	}
	if source.Magnet != "" {
		params.Magnet = magnetOf(source.Magnet)
		return params, nil, nil
	}
	// What the address sends may take longer than an answer.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2*fetchTimeout + writeTimeout))
	if err := s.fetches.enter(r.Context(), fetchTimeout); err != nil {
		return params, nil, err
	}
	params.Torrent, params.Magnet, err = s.fetcher.fetch(r.Context(), strings.TrimSpace(source.URL), false)
	return params, s.fetches.leave, err
}

func pausedFlag(paused bool) torrent.TorrentFlags {
	if paused {
		return torrent.FlagPaused
	}
	return 0
}

// magnetOf takes a bare info-hash for the link of it.
func magnetOf(text string) string {
	text = strings.TrimSpace(text)
	if hashes, err := torrent.ParseInfoHash(text); err == nil {
		return hashes.Magnet()
	}
	return text
}

// readForm takes the first file of a form.
func readForm(form *multipart.Reader, told int64) (torrent.AddTorrentParams, error) {
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			return torrent.AddTorrentParams{}, badRequest("no_file", "the form has no file")
		}
		if err != nil {
			return torrent.AddTorrentParams{}, bodyError(err)
		}
		// Its name is not looked at.
		if part.FileName() == "" {
			continue
		}
		file, err := readAll(io.LimitReader(part, maxTorrentFile+1), told)
		if err != nil {
			return torrent.AddTorrentParams{}, bodyError(err)
		}
		if len(file) > maxTorrentFile {
			return torrent.AddTorrentParams{}, errTooBig
		}
		return torrent.AddTorrentParams{Torrent: file}, nil
	}
}

// addSources adds what the command line names.
func (s *service) addSources(ctx context.Context, sources []string) {
	for _, source := range sources {
		params, err := s.readArgument(ctx, source)
		if err == nil {
			_, _, err = s.add(params)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Printf("“%s” could not be added: %s.", plain(shorten(source)), reason(err))
		}
	}
}

func (s *service) readArgument(ctx context.Context, source string) (params torrent.AddTorrentParams, err error) {
	lower := strings.ToLower(source)
	switch {
	case strings.HasPrefix(lower, "magnet:"):
		params.Magnet = source
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		params.Torrent, params.Magnet, err = s.fetcher.fetch(ctx, source, true)
	default:
		params.Torrent, err = readTorrentFile(source)
		if errors.Is(err, os.ErrNotExist) {
			if link := magnetOf(source); strings.HasPrefix(link, "magnet:") {
				return torrent.AddTorrentParams{Magnet: link}, nil
			}
		}
	}
	return params, err
}

func readTorrentFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxTorrentFile+1))
	if err == nil && len(content) > maxTorrentFile {
		err = errTooBig
	}
	return content, err
}

// shorten keeps passkeys, those of a magnet's trackers too, out of the log.
func shorten(source string) string {
	cut := strings.IndexByte(source, '?')
	if strings.HasPrefix(strings.ToLower(source), "magnet:") {
		cut = strings.IndexByte(source, '&')
	}
	if cut >= 0 {
		return source[:cut+1] + "…"
	}
	return source
}

// checkLimit refuses what the library's 32 bits do not hold. Nil is no limit to look at.
func checkLimit(name string, value *int64) error {
	if value != nil && (*value < 0 || *value > math.MaxUint32) {
		return badRequest("invalid_argument", fmt.Sprintf("%s: %d is out of range: 0 to %d", name, *value, uint32(math.MaxUint32)))
	}
	return nil
}
