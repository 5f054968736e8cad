package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
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

// torrentPlaylist is of a torrent: of all that plays, or from the file on that `file` names.
func (s *service) torrentPlaylist(w http.ResponseWriter, r *http.Request) {
	target, err := s.torrentOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	if err := s.waitMetadata(w, r, target); err != nil {
		fail(w, r, err)
		return
	}
	s.servePlaylist(w, r, "torrent-"+target.StorageIndex().String(), []*torrent.Torrent{target})
}

func (s *service) servePlaylist(w http.ResponseWriter, r *http.Request, name string, torrents []*torrent.Torrent) {
	var text strings.Builder
	text.WriteString("#EXTM3U\n")
	for _, t := range torrents {
		info, err := t.Info()
		if errors.Is(err, torrent.ErrNoMetadata) || errors.Is(err, torrent.ErrInvalidStorageIndex) {
			continue
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		list, err := s.fileLists.of(t)
		if err != nil {
			fail(w, r, err)
			return
		}
		first := -1
		if asked := r.URL.Query().Get("file"); asked != "" && len(torrents) == 1 {
			file, err := fileNumbered(list.files, asked)
			if err != nil {
				fail(w, r, err)
				return
			}
			first = int(file.Index)
		}
		for _, entry := range playlistOf(list.files, first) {
			s.writeEntry(&text, r, info.InfoHashes, entry)
		}
	}
	w.Header().Set("Content-Type", "audio/x-mpegurl; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.m3u"`)
	w.Header().Set("Cache-Control", "no-store")
	serveBytes(w, r, []byte(text.String()))
}

// An entry is a file that plays, with its subtitles.
type entry struct {
	file      torrent.File
	subtitles []torrent.File
}

// Subtitles of one entry.
const maxSubtitles = 16

// playlistOf is what plays of the files, in the order in which people name them. From the file numbered `first` on, where that plays.
func playlistOf(files []torrent.File, first int) []entry {
	var entries []entry
	var subtitles []torrent.File
	videos := 0
	for _, file := range files {
		switch {
		case isPlayable(file):
			entries = append(entries, entry{file: file})
			if mediaOf(file.Path).kind == kindVideo {
				videos++
			}
		case mediaOf(file.Path).kind == kindSubtitle && file.Flags&(torrent.FilePad|torrent.FileSymlink) == 0 && file.Length > 0:
			subtitles = append(subtitles, file)
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return compareNatural(a.file.Path, b.file.Path) })
	slices.SortStableFunc(subtitles, func(a, b torrent.File) int { return compareNatural(a.Path, b.Path) })
	from := slices.IndexFunc(entries, func(e entry) bool { return int(e.file.Index) == first })
	entries = entries[max(from, 0):]
	// Where there is one film, all are its.
	byName := map[string][]torrent.File{}
	for _, subtitle := range subtitles {
		for _, stem := range stems(subtitle.Path) {
			byName[stem] = append(byName[stem], subtitle)
		}
	}
	for i := range entries {
		if mediaOf(entries[i].file.Path).kind != kindVideo {
			continue
		}
		found := byName[stemOf(entries[i].file.Path)]
		if videos == 1 {
			found = subtitles
		}
		entries[i].subtitles = found[:min(len(found), maxSubtitles)]
	}
	return entries
}

// stemOf is a file's name in lower case, without directories and its extension.
func stemOf(name string) string {
	name = strings.ToLower(path.Base(name))
	return strings.TrimSuffix(name, path.Ext(name))
}

// stems are the names of films that a subtitle's name may stand for: film.en.forced.srt is of film.en.forced, film.en and film.
func stems(name string) []string {
	stem := stemOf(name)
	all := []string{stem}
	for range 2 {
		ext := path.Ext(stem)
		if ext == "" {
			break
		}
		stem = strings.TrimSuffix(stem, ext)
		all = append(all, stem)
	}
	return all
}

func (s *service) writeEntry(text *strings.Builder, r *http.Request, hashes torrent.InfoHashes, e entry) {
	fmt.Fprintf(text, "#EXTINF:-1,%s\n", nameOf(e.file))
	if len(e.subtitles) > 0 {
		// What VLC takes from a playlist.
		addresses := make([]string, len(e.subtitles))
		for i, subtitle := range e.subtitles {
			addresses[i] = s.streamURL(r, hashes, subtitle)
		}
		fmt.Fprintf(text, "#EXTVLCOPT:input-slave=%s\n", strings.Join(addresses, "#"))
	}
	fmt.Fprintf(text, "%s\n", s.streamURL(r, hashes, e.file))
}

// streamURL is the file's address, by the name that the request called us by. guard has checked it. Its token streams and does
// nothing else: playlists are kept and passed on.
func (s *service) streamURL(r *http.Request, hashes torrent.InfoHashes, file torrent.File) string {
	host := r.Host
	if host == "" {
		host = s.config.addr.String()
	}
	address := url.URL{Scheme: s.schemeOf(r), Host: host, Path: streamPath(hashes, file)}
	if s.config.token != "" {
		address.RawQuery = url.Values{"token": {s.secrets.stream}}.Encode()
	}
	return address.String()
}

// streamPath names the torrent by its info-hash: such a link is good after a restart, too.
func streamPath(hashes torrent.InfoHashes, file torrent.File) string {
	return fmt.Sprintf("/stream/%s/%d/%s", hashes, file.Index, nameOf(file))
}

func isPlayable(file torrent.File) bool {
	return file.Flags&(torrent.FilePad|torrent.FileSymlink) == 0 && file.Length > 0 && mediaOf(file.Path).plays()
}
