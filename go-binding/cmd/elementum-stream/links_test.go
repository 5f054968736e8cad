package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elementum.example/torrent"
)

// oddTorrent is of several files by these names, and what is in each.
func oddTorrent(names []string) (file []byte, contents [][]byte) {
	const pieceLength = 16 << 10
	var all []byte
	list := make([]any, len(names))
	for i, name := range names {
		content := bytes.Repeat([]byte{'a' + byte(i)}, 100+i)
		contents, all = append(contents, content), append(all, content...)
		list[i] = map[string]any{"length": len(content), "path": []any{name}}
	}
	var pieces []byte
	for piece := range slices.Chunk(all, pieceLength) {
		hash := sha1.Sum(piece)
		pieces = append(pieces, hash[:]...)
	}
	info := map[string]any{"files": list, "name": "odd", "piece length": pieceLength, "pieces": pieces}
	return bencode(nil, map[string]any{"info": info}), contents
}

// Links that a playlist and the API gave are good in the next run, whatever the files are called, with the token that is in them.
func TestLinksOfOddNamesOutliveTheService(t *testing.T) {
	names := []string{"a b.mkv", "100%.mkv", "q?x=1&token=2#z.mkv", "ü→.mkv", "%2e%2e.mkv", "%00.mkv", "...mkv", "a+b;c,d.mkv", `"q" 'u'.mkv`, `back\slash.mkv`, "0.mkv",
		" .mkv", "playlist.m3u.mkv", "http:x.mkv", "playlist.m3u", "#EXTINF.mp3", strings.Repeat("ä", 100) + ".mkv", "[::1]:80.mkv", "~a@b.mkv", "*.mkv", "film.mkv."}
	file, contents := oddTorrent(names)
	dir := t.TempDir()
	// By the number of the file: its links, without the service's address, which is another one the next time.
	var links map[int][]string
	for run := range 2 {
		f := newFixture(t, "-storage", "disk", "-dir", dir, "-token", "the token, of course")
		bearer := map[string]string{"Authorization": "Bearer the token, of course"}
		added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: file})
		if err != nil {
			t.Fatal(err)
		}
		files, err := added.Files()
		if err != nil || len(files) != len(names) {
			t.Fatal(files, err)
		}
		if run == 0 {
			for i, file := range files {
				path := filepath.Join(dir, file.Path)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, contents[i], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := added.ForceRecheck(); err != nil {
				t.Fatal(err)
			}
		}
		untilTrue(t, "all is there", func() bool { status, err := added.Status(); return err == nil && status.IsSeeding })
		index := added.StorageIndex().String()
		if run == 0 {
			links = linksOf(f, index, bearer)
		}
		for i, content := range contents {
			// Of the playlist, which has those that play, and of the API.
			if plays := isPlayable(files[i]); len(links[i]) != 2 && plays || len(links[i]) != 1 && !plays {
				t.Errorf("%q: links %q", names[i], links[i])
			}
			for _, link := range links[i] {
				header := map[string]string{"Range": "bytes=50-1000"}
				if !strings.Contains(link, "?token=") {
					header["Authorization"] = bearer["Authorization"]
				}
				response, body := f.do(request{method: "GET", path: link, header: header})
				if response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, content[50:]) {
					t.Errorf("run %d, %q: %s: %s, %q", run, names[i], link, response.Status, body)
				}
				// The token in it is for this alone. It may not be tried too often.
				if path, token, ok := strings.Cut(link, "?"); ok && i == 0 {
					f.fails(http.StatusUnauthorized, "token_required", request{method: "GET", path: apiPath + "/torrents?" + token})
					if response, _ := f.do(request{method: "GET", path: path}); response.StatusCode != http.StatusUnauthorized {
						t.Errorf("%s without its token: %s", path, response.Status)
					}
				}
			}
		}
	}
}

func linksOf(f *fixture, index string, header map[string]string) map[int][]string {
	f.Helper()
	links := map[int][]string{}
	add := func(link string) {
		var file int
		path, _, _ := strings.Cut(link, "?")
		if _, err := fmt.Sscanf(strings.Split(path, "/")[3], "%d", &file); err != nil {
			f.Fatal(link, err)
		}
		links[file] = append(links[file], link)
	}
	_, playlist := f.do(request{method: "GET", path: "/stream/" + index + "/playlist.m3u", header: header})
	for line := range strings.Lines(string(playlist)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
			link, ours := strings.CutPrefix(line, f.base)
			if _, err := url.Parse(line); err != nil || !ours {
				f.Fatalf("%q: %v", line, err)
			}
			add(link)
		}
	}
	_, body := f.do(request{method: "GET", path: apiPath + "/torrents/" + index + "/files", header: header})
	var page filesPage
	if err := json.Unmarshal(body, &page); err != nil {
		f.Fatal(err)
	}
	for _, file := range page.Files {
		add(file.Stream)
	}
	return links
}

// A torrent is named by its info-hash wherever it is named, in each form that it has; and by nothing that merely looks like one.
func TestATorrentIsNamedByItsHashEverywhere(t *testing.T) {
	f := newFixture(t)
	hash := demoHash()
	hashes, err := torrent.ParseInfoHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	base32 := hashes.Base32()
	for _, name := range []string{hash, strings.ToUpper(hash), base32, strings.ToLower(base32)} {
		f.swarm(0)
		at := apiPath + "/torrents/" + name
		for _, path := range []string{at, at + "/files", at + "/peers", at + "/trackers", at + "/pieces", "/stream/" + name + "/playlist.m3u"} {
			f.wants(http.StatusOK, request{method: "GET", path: path}, nil)
		}
		var view torrentView
		f.wants(http.StatusOK, request{method: "PATCH", path: at, body: `{"max_uploads":7}`}, &view)
		if view.MaxUploads != 7 || view.InfoHash != hash {
			t.Errorf("%s: %+v", name, view)
		}
		f.wants(http.StatusOK, request{method: "PUT", path: at + "/files/0/priority", body: `{"priority":7}`}, nil)
		for _, link := range []string{"/stream/" + name + "/0", "/stream/" + name + "/0/film.webm"} {
			response, body := f.do(request{method: "GET", path: link, header: map[string]string{"Range": "bytes=7-9"}})
			if response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demoClip[7:10]) {
				t.Errorf("%s: %s", link, response.Status)
			}
		}
		f.wants(http.StatusOK, request{method: "POST", path: at + "/pause"}, nil)
		f.wants(http.StatusOK, request{method: "POST", path: at + "/resume"}, nil)
		for _, wrong := range []string{name + "0", name[1:], "urn:btih:" + name, "0x" + name, name + "." + name, strings.Repeat("0", len(name)), name + name[:64-len(name)], "١"} {
			f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: "/stream/" + wrong + "/0"})
			f.fails(http.StatusNotFound, "no_torrent", request{method: "DELETE", path: apiPath + "/torrents/" + wrong})
		}
		// The link is as good as before when it is there again, by another number.
		f.wants(http.StatusNoContent, request{method: "DELETE", path: at}, nil)
		for _, other := range []string{hash, base32} {
			f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: "/stream/" + other + "/0"})
			f.fails(http.StatusNotFound, "no_torrent", request{method: "POST", path: apiPath + "/torrents/" + other + "/pause"})
		}
	}
}
