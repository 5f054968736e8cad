package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"elementum.example/torrent"
)

// playlist is of all that plays, in all torrents.
func (s *service) playlist(w http.ResponseWriter, r *http.Request) {
	torrents, err := s.session.Torrents()
	if err != nil {
		fail(w, r, err)
		return
	}
	s.servePlaylist(w, r, "elementum", torrents)
}

func (s *service) torrentPlaylist(w http.ResponseWriter, r *http.Request) {
	target, err := s.torrentOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	if _, err := target.Info(); err != nil {
		fail(w, r, err)
		return
	}
	s.servePlaylist(w, r, "torrent-"+target.StorageIndex().String(), []*torrent.Torrent{target})
}

func (s *service) servePlaylist(w http.ResponseWriter, r *http.Request, name string, torrents []*torrent.Torrent) {
	var text strings.Builder
	text.WriteString("#EXTM3U\n")
	for _, t := range torrents {
		files, err := t.Files()
		if errors.Is(err, torrent.ErrNoMetadata) || errors.Is(err, torrent.ErrInvalidStorageIndex) {
			continue
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		for _, file := range files {
			if !isPlayable(file) {
				continue
			}
			fmt.Fprintf(&text, "#EXTINF:-1,%s\n%s\n", oneLine(path.Base(file.Path)), s.streamURL(r, t, file))
		}
	}
	w.Header().Set("Content-Type", "audio/x-mpegurl; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.m3u"`)
	w.Header().Set("Cache-Control", "no-store")
	serveBytes(w, r, []byte(text.String()))
}

// streamURL is the file's address, by the name that the request called us by. guard has checked it.
func (s *service) streamURL(r *http.Request, t *torrent.Torrent, file torrent.File) string {
	address := url.URL{Scheme: "http", Host: r.Host, Path: streamPath(t.StorageIndex(), file)}
	if s.config.token != "" {
		address.RawQuery = url.Values{"token": {s.config.token}}.Encode()
	}
	return address.String()
}

func streamPath(index torrent.StorageIndex, file torrent.File) string {
	return fmt.Sprintf("/stream/%d/%d/%s", index, file.Index, path.Base(file.Path))
}

func isPlayable(file torrent.File) bool {
	return file.Flags&(torrent.FilePad|torrent.FileSymlink) == 0 && file.Length > 0 && mediaOf(file.Path).plays()
}

// oneLine keeps a name from adding lines of its own.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
