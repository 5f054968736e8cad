package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"elementum.example/torrent"
)

func TestNaturalOrder(t *testing.T) {
	want := []string{"", "a", "A2", "a10", "a10b", "b 1", "b 01x", "b 2", "e1/2", "e1/10", "e02/1", "e10", "e99999999999999999999999", "é"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareNatural)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A playlist begins with the file asked for, in the order in which people name files, and has what belongs to each film beside it.
func TestPlaylists(t *testing.T) {
	f := newFixture(t, "-host", "media.example")
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: filesTorrent("show", 16<<10, []testFile{
		{"S1E10.mkv", 9}, {"S1E2.mkv", 9}, {"S1E1.mkv", 9}, {"S1E2.en.srt", 9}, {"Subs/s1e2.de.forced.srt", 9}, {"S1E1.txt", 9}, {"S1E20.srt", 9}, {"theme.mp3", 9},
	})})
	if err != nil {
		t.Fatal(err)
	}
	base := "/stream/" + added.StorageIndex().String() + "/playlist.m3u"
	names := func(path string, header map[string]string) (names []string, text string) {
		t.Helper()
		response, body := f.do(request{method: "GET", path: path, header: header, host: "media.example"})
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, response.Status)
		}
		for line := range strings.Lines(string(body)) {
			if name, ok := strings.CutPrefix(line, "#EXTINF:-1,"); ok {
				names = append(names, strings.TrimSpace(name))
			}
		}
		return names, string(body)
	}
	all := []string{"S1E1.mkv", "S1E2.mkv", "S1E10.mkv", "theme.mp3"}
	if got, _ := names(base, nil); !slices.Equal(got, all) {
		t.Errorf("all: %q", got)
	}
	got, text := names(base+"?file=1", map[string]string{"X-Forwarded-Proto": "https"})
	if !slices.Equal(got, all[1:]) {
		t.Errorf("from the second: %q", got)
	}
	info, err := added.Info()
	if err != nil {
		t.Fatal(err)
	}
	at := "https://media.example/stream/" + info.InfoHashes.String()
	lines := []string{"#EXTINF:-1,S1E2.mkv", "#EXTVLCOPT:input-slave=" + at + "/3/S1E2.en.srt#" + at + "/4/s1e2.de.forced.srt", at + "/1/S1E2.mkv", "#EXTINF:-1,S1E10.mkv", at + "/0/S1E10.mkv"}
	if !strings.Contains(text, strings.Join(lines, "\n")+"\n") {
		t.Errorf("%s", text)
	}
	if got, text := names(base+"?file=5", map[string]string{"X-Forwarded-Proto": "gopher"}); !slices.Equal(got, all) || !strings.Contains(text, "\nhttp://media.example/") {
		t.Errorf("from one that does not play: %q", text)
	}
	for _, file := range []string{"8", "-1", "x"} {
		f.fails(http.StatusNotFound, "no_file", request{method: "GET", path: base + "?file=" + file})
	}
	// Where there is one film, all subtitles are its.
	entries := playlistOf([]torrent.File{{Index: 0, Path: "film.mkv", Length: 1}, {Index: 1, Path: "English.srt", Length: 1}, {Index: 2, Path: "a.mp3", Length: 1}}, -1)
	if len(entries) != 2 || len(entries[0].subtitles) != 0 || len(entries[1].subtitles) != 1 {
		t.Errorf("%+v", entries)
	}
}
