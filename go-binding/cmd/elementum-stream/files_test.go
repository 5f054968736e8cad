package main

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"elementum.example/torrent"
)

// manyFiles is a torrent file of n files of 10 bytes, two of which play.
func manyFiles(n int) []byte {
	var files strings.Builder
	for i := range n {
		name, length := fmt.Sprintf("part %d.dat", i), 10
		switch i {
		case n / 2:
			name, length = "Film.mkv", 5000
		case n/2 + 1:
			name = "film.srt"
		case n/2 + 2:
			name, length = "song.mp3", 600
		}
		fmt.Fprintf(&files, "d6:lengthi%de4:pathl%d:%see", length, len(name), name)
	}
	size := (n-2)*10 + 5600
	pieces := (size + 1<<18 - 1) >> 18
	return fmt.Appendf(nil, "d4:infod5:filesl%se4:name4:many12:piece lengthi%de6:pieces%d:%see", files.String(), 1<<18, 20*pieces, strings.Repeat("x", 20*pieces))
}

func (f *fixture) addFile(file []byte) string {
	f.Helper()
	var added torrentView
	f.wants(http.StatusCreated, request{method: "POST", path: apiPath + "/torrents", body: string(file), header: map[string]string{"Content-Type": "application/x-bittorrent"}}, &added)
	return added.Index
}

func TestFilesComeInParts(t *testing.T) {
	f := newFixture(t)
	const n = 2500
	at := apiPath + "/torrents/" + f.addFile(manyFiles(n)) + "/files"
	ask := func(query string) (page filesPage) {
		t.Helper()
		f.wants(http.StatusOK, request{method: "GET", path: at + query}, &page)
		return page
	}
	// All of them, part after part, each once.
	next := 0
	for next < n {
		page := ask(fmt.Sprintf("?offset=%d&limit=700", next))
		if page.Total != n || page.Offset != next || len(page.Files) != min(700, n-next) || page.Best == nil || page.Best.File != n/2 {
			t.Fatalf("%d files at %d of %d, best %+v", len(page.Files), page.Offset, page.Total, page.Best)
		}
		for _, file := range page.Files {
			if file.File != next {
				t.Fatal(file.File, next)
			}
			next++
		}
	}
	if page := ask(""); len(page.Files) != maxFilesPage || page.Total != n {
		t.Error(len(page.Files), page.Total)
	}
	if page := ask("?offset=999999"); page.Files == nil || len(page.Files) != 0 || page.Total != n {
		t.Errorf("%+v", page)
	}
	for query, want := range map[string]string{
		"?kind=subtitle":         "many/film.srt",
		"?kind=video":            "many/Film.mkv",
		"?find=SONG":             "many/song.mp3",
		"?find=film&offset=1":    "many/film.srt",
		"?find=film&kind=video":  "many/Film.mkv",
		"?offset=2499&pads=true": "many/part 2499.dat",
	} {
		if page := ask(query); len(page.Files) != 1 || page.Files[0].Path != want {
			t.Errorf("%s: %+v", query, page)
		}
	}
	for _, query := range []string{"?offset=-1", "?offset=x", "?offset=99999999999999999999", "?limit=0", "?limit=1001", "?kind=film", "?pads=maybe", "?find=" + strings.Repeat("x", 201)} {
		f.fails(http.StatusBadRequest, "invalid_argument", request{method: "GET", path: at + query})
	}
	// What changes is as it is now, though the list is kept.
	f.wants(http.StatusOK, request{method: "PUT", path: at + "/7/priority", body: `{"priority":6}`}, nil)
	if page := ask("?offset=7&limit=1"); page.Files[0].Priority != 6 {
		t.Errorf("%+v", page.Files)
	}
}

// Padding is left out where it is not wanted, and a torrent that is gone has no list any more.
func TestListsOfFilesAreKeptForTheirTorrent(t *testing.T) {
	f := newFixture(t)
	padded := []byte("d4:infod5:filesld6:lengthi100e4:pathl1:aeed4:attr1:p6:lengthi16284e4:pathl4:.pad5:16284eed6:lengthi100e4:pathl5:b.mp4eee" +
		"4:name1:d12:piece lengthi16384e6:pieces40:" + strings.Repeat("x", 40) + "ee")
	one, two := f.addFile(padded), f.addFile(manyFiles(10))
	ask := func(index, query string) (page filesPage) {
		t.Helper()
		f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/torrents/" + index + "/files" + query}, &page)
		return page
	}
	for range 2 {
		if page := ask(one, "?pads=false"); page.Total != 2 || page.Files[1].File != 2 || page.Best.File != 2 {
			t.Errorf("%+v", page)
		}
		if page := ask(one, ""); page.Total != 3 || !page.Files[1].Pad {
			t.Errorf("%+v", page)
		}
		if page := ask(two, ""); page.Total != 10 || page.Best.Path != "many/Film.mkv" {
			t.Errorf("%+v", page)
		}
	}
	f.wants(http.StatusNoContent, request{method: "DELETE", path: apiPath + "/torrents/" + two}, nil)
	f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: apiPath + "/torrents/" + two + "/files"})
	f.service.fileLists.forget()
	if page := ask(one, ""); page.Total != 3 {
		t.Errorf("%+v", page)
	}
	var magnet torrentView
	f.wants(http.StatusCreated, request{method: "POST", path: apiPath + "/torrents", body: `{"magnet":"` + unknownMagnet + `"}`}, &magnet)
	f.fails(http.StatusServiceUnavailable, "no_metadata", request{method: "GET", path: apiPath + "/torrents/" + magnet.Index + "/files"})
}

// A part of 400,000 files is as small as one of few: what is sent does not grow with the torrent.
func TestATorrentOfManyFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a few seconds")
	}
	f := newFixture(t)
	// How long it takes is not what is looked at; a library that is built for tests takes long.
	f.client.Timeout = 5 * time.Minute
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: manyFiles(400_000)})
	if err != nil {
		t.Fatal(err)
	}
	at := apiPath + "/torrents/" + added.StorageIndex().String() + "/files"
	for _, offset := range []int{0, 200_000, 399_950} {
		began := time.Now()
		response, body := f.do(request{method: "GET", path: fmt.Sprintf("%s?limit=100&offset=%d", at, offset)})
		if response.StatusCode != http.StatusOK || len(body) > 64<<10 {
			t.Errorf("%s, %d bytes", response.Status, len(body))
		}
		t.Logf("at %d: %d bytes in %v", offset, len(body), time.Since(began))
	}
	lists := f.service.fileLists.lists
	if len(lists) != 1 || len(lists[0].files) != 400_000 {
		t.Error("the list is not kept")
	}
}

// Who plays, or asks what to play, does not have all of a torrent's files copied for it.
func TestStreamsOfManyFilesCostLittle(t *testing.T) {
	const files = 50_000
	f := newFixture(t)
	f.client.Timeout = time.Minute
	first, second := "/stream/"+f.addFile(manyFiles(files)), "/stream/"+f.addFile(manyFiles(files-1))
	ask := func() {
		for _, path := range []string{first + "/7", second + "/7", first + "/49999", second + "/1"} {
			f.wants(http.StatusOK, request{method: "HEAD", path: path}, nil)
		}
		f.do(request{method: "GET", path: first + "/playlist.m3u?file=7"})
	}
	ask()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 10
	for range rounds {
		ask()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / (5 * rounds); each > files*sizeOfFile/4 {
		t.Errorf("%d bytes a request", each)
	}
}

// The least that a file of a list takes.
const sizeOfFile = uint64(unsafe.Sizeof(torrent.File{}))

func TestFewLargeListsAreKept(t *testing.T) {
	var lists fileLists
	defer lists.forget()
	kept := func() (indexes []torrent.StorageIndex) {
		for _, list := range lists.lists {
			indexes = append(indexes, list.index)
		}
		return indexes
	}
	small := lists.take(1, 10)
	lists.take(2, maxListed/2)
	if lists.take(1, 10) != small {
		t.Error("it was made anew")
	}
	lists.take(3, maxListed/2-10)
	if got := kept(); !slices.Equal(got, []torrent.StorageIndex{2, 1, 3}) {
		t.Error(got)
	}
	lists.take(4, 1)
	if got := kept(); !slices.Equal(got, []torrent.StorageIndex{1, 3, 4}) {
		t.Error(got)
	}
	lists.take(5, 10*maxListed)
	if got := kept(); !slices.Equal(got, []torrent.StorageIndex{5}) {
		t.Error(got)
	}
	lists.take(6, 1)
	if got := kept(); !slices.Equal(got, []torrent.StorageIndex{6}) {
		t.Error(got)
	}
}
