package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

func TestRangesAreTheClip(t *testing.T) {
	f := newFixture(t)
	path := "/stream/" + f.swarm(0) + "/0"
	size := len(demoClip)
	response, body := f.do(request{method: "GET", path: path})
	if response.StatusCode != http.StatusOK || !bytes.Equal(body, demoClip) {
		t.Fatalf("whole: %s, %d bytes", response.Status, len(body))
	}
	if got := response.Header.Get("Content-Type"); got != "video/webm" {
		t.Errorf("type %q", got)
	}
	etag := response.Header.Get("ETag")
	for _, c := range []struct {
		spec       string
		begin, end int
	}{
		{"0-0", 0, 1}, {"0-99", 0, 100}, {"100000-299999", 100_000, 300_000}, {fmt.Sprintf("%d-", size-1000), size - 1000, size},
		{"-1", size - 1, size}, {"-70000", size - 70_000, size}, {fmt.Sprintf("%d-99999999", size-5), size - 5, size}, {"32767-32768", 32767, 32769},
	} {
		response, body := f.do(request{method: "GET", path: path + "/clip.webm", header: map[string]string{"Range": "bytes=" + c.spec, "If-Range": etag}})
		if response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demoClip[c.begin:c.end]) {
			t.Errorf("%s: %s, %d bytes", c.spec, response.Status, len(body))
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", c.begin, c.end-1, size); response.Header.Get("Content-Range") != want {
			t.Errorf("%s: %q", c.spec, response.Header.Get("Content-Range"))
		}
	}
	response, body = f.do(request{method: "GET", path: path, header: map[string]string{"Range": "bytes=0-9,1000-1009"}})
	_, boundary, _ := strings.Cut(response.Header.Get("Content-Type"), "boundary=")
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for _, begin := range []int{0, 1000} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(part); !bytes.Equal(got, demoClip[begin:begin+10]) {
			t.Errorf("part at %d: %x", begin, got)
		}
	}
	if response, _ := f.do(request{method: "GET", path: path, header: map[string]string{"Range": fmt.Sprintf("bytes=%d-", size)}}); response.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("behind the end: %s", response.Status)
	}
	if response, _ := f.do(request{method: "GET", path: path, header: map[string]string{"If-None-Match": etag}}); response.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match: %s", response.Status)
	}
}

func TestHeadFetchesNothing(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(0)
	response, _ := f.do(request{method: "HEAD", path: "/stream/" + index + "/0"})
	if response.StatusCode != http.StatusOK || response.ContentLength != int64(len(demoClip)) || response.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: %s %v", response.Status, response.Header)
	}
	f.do(request{method: "GET", path: "/stream/" + index + "/0", header: map[string]string{"Range": "bytes=99999999-"}})
	time.Sleep(300 * time.Millisecond)
	stats, err := f.service.session.Stats()
	if err != nil || stats.PayloadDownload != 0 || stats.Readers != 0 {
		t.Errorf("%d bytes came, %d readers, %v", stats.PayloadDownload, stats.Readers, err)
	}
}

func TestMissingThings(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(0)
	for _, path := range []string{"/stream/1/0", "/stream/0/0", "/stream/x/0", "/stream/99999999999999999999/0", "/stream/-1/0", "/stream/1/playlist.m3u"} {
		f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: path})
	}
	for _, file := range []string{"1", "-1", "x", "4294967296", "99999999999999999999"} {
		f.fails(http.StatusNotFound, "no_file", request{method: "GET", path: "/stream/" + index + "/" + file})
	}
	for _, path := range []string{"/nothing", "/web/app.js", "/js/nothing.js", "/js/..%2fapp.js", "/stream/", "/..%2f..%2fetc/passwd", apiPath} {
		f.fails(http.StatusNotFound, "not_found", request{method: "GET", path: path})
	}
	if allow := f.fails(http.StatusMethodNotAllowed, "method_not_allowed", request{method: "PUT", path: apiPath + "/torrents"}).Header.Get("Allow"); !strings.Contains(allow, "POST") {
		t.Errorf("Allow: %q", allow)
	}
}

// Without metadata a stream waits for it, as long as it is told to, and says what it waited for.
func TestAStreamWaitsForMetadata(t *testing.T) {
	f := newFixture(t)
	var added torrentView
	f.wants(http.StatusCreated, request{method: "POST", path: apiPath + "/torrents", body: `{"magnet":"` + unknownMagnet + `"}`}, &added)
	for _, path := range []string{"/stream/%s/0?wait=0", "/stream/%s/0?wait=0.2", "/stream/%s/playlist.m3u?wait=0.1", apiPath + "/torrents/%s/files", apiPath + "/torrents/%s/pieces"} {
		response := f.fails(http.StatusServiceUnavailable, "no_metadata", request{method: "GET", path: fmt.Sprintf(path, added.Index)})
		if response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	for _, wait := range []string{"-1", "61", "x", "NaN", "1e9"} {
		f.fails(http.StatusBadRequest, "invalid_argument", request{method: "GET", path: "/stream/" + added.Index + "/0?wait=" + wait})
	}
	// One that comes meanwhile is served, and one that goes is told.
	clip, _, err := f.service.add(torrent.AddTorrentParams{Magnet: demoMagnet(t)})
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan *http.Response, 1)
	go func() {
		answer <- f.open(request{method: "GET", path: "/stream/" + clip.StorageIndex().String() + "/0", header: map[string]string{"Range": "bytes=0-99"}})
	}()
	removed := make(chan *http.Response, 1)
	go func() { removed <- f.open(request{method: "GET", path: "/stream/" + added.Index + "/0"}) }()
	untilTrue(t, "both wait", func() bool { return len(f.service.waits.places) == 2 })
	f.swarm(0)
	f.wants(http.StatusNoContent, request{method: "DELETE", path: apiPath + "/torrents/" + added.Index}, nil)
	response := <-answer
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demoClip[:100]) {
		t.Errorf("%s: %q", response.Status, body)
	}
	response = <-removed
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("removed: %s", response.Status)
	}
}

// Whatever asks for what is in a torrent waits for its metadata, by whichever name, and is served when it comes.
func TestAllWaitForMetadata(t *testing.T) {
	f := newFixture(t)
	added, _, err := f.service.add(torrent.AddTorrentParams{Magnet: demoMagnet(t)})
	if err != nil {
		t.Fatal(err)
	}
	index, hash := added.StorageIndex().String(), demoHash()
	part := map[string]string{"Range": "bytes=-100"}
	cases := []struct {
		request
		status int
		body   []byte
	}{
		{request{method: "GET", path: "/stream/" + hash + "/0", header: part}, http.StatusPartialContent, demoClip[len(demoClip)-100:]},
		{request{method: "GET", path: "/stream/" + strings.ToUpper(hash) + "/0/film.webm?wait=60", header: part}, http.StatusPartialContent, demoClip[len(demoClip)-100:]},
		{request{method: "HEAD", path: "/stream/" + index + "/0"}, http.StatusOK, nil},
		{request{method: "HEAD", path: "/stream/" + index + "/0", header: part}, http.StatusOK, nil},
		{request{method: "GET", path: "/stream/" + index + "/0?wait=30", header: map[string]string{"Range": "bytes=99999999-"}}, http.StatusRequestedRangeNotSatisfiable, nil},
		{request{method: "GET", path: "/stream/" + index + "/1"}, http.StatusNotFound, nil},
		{request{method: "GET", path: "/stream/" + index + "/playlist.m3u"}, http.StatusOK, []byte(hash + "/0/" + demoName)},
		{request{method: "GET", path: "/stream/" + hash + "/playlist.m3u?file=0&wait="}, http.StatusOK, []byte(hash + "/0/" + demoName)},
		{request{method: "HEAD", path: "/stream/" + hash + "/playlist.m3u"}, http.StatusOK, nil},
	}
	answers := make([]chan *http.Response, len(cases))
	for i, c := range cases {
		answers[i] = make(chan *http.Response, 1)
		go func() { answers[i] <- f.open(c.request) }()
	}
	untilTrue(t, "all wait", func() bool { return len(f.service.waits.places) == len(cases) })
	f.swarm(0)
	for i, c := range cases {
		response := <-answers[i]
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || !bytes.Contains(body, c.body) {
			t.Errorf("%s %s: %s, %.200q, %v", c.method, c.path, response.Status, body, err)
		}
	}
	untilTrue(t, "nobody waits", func() bool { return len(f.service.waits.places) == 0 })
}

// A wait ends with its client, with its torrent and with the service, and gives its place back; where there is none, that is said at once.
func TestWaitsForMetadataEnd(t *testing.T) {
	f := newFixture(t)
	var added torrentView
	f.wants(http.StatusCreated, request{method: "POST", path: apiPath + "/torrents", body: `{"magnet":"` + unknownMagnet + `"}`}, &added)
	path := "/stream/" + added.Index + "/0"
	waiting := func(most int) {
		t.Helper()
		untilTrue(t, "so many wait", func() bool { return len(f.service.waits.places) == most })
	}
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan error, 10)
	for _, method := range []string{"GET", "HEAD"} {
		for range 5 {
			go func() {
				q, _ := http.NewRequestWithContext(ctx, method, f.base+path+"?wait=60", nil)
				response, err := f.client.Do(q)
				if err == nil {
					response.Body.Close()
				}
				left <- err
			}()
		}
	}
	waiting(10)
	leave()
	for range 10 {
		if err := <-left; err == nil {
			t.Error("it was answered")
		}
	}
	waiting(0)

	for range maxMetadataWaits {
		if err := f.service.waits.enter(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for _, path := range []string{path, path + "?wait=60", "/stream/" + added.Index + "/playlist.m3u"} {
		if response := f.fails(http.StatusServiceUnavailable, "no_metadata", request{method: "GET", path: path}); response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	for range maxMetadataWaits {
		f.service.waits.leave()
	}

	for _, wait := range []string{"-0.5", "Inf", "-Inf", "infinity", "60.001", "1s", "0,5", " 1", "1 ", "١", "1e400", "0x", "--1"} {
		f.fails(http.StatusBadRequest, "invalid_argument", request{method: "GET", path: path + "?wait=" + url.QueryEscape(wait)})
	}
	for _, wait := range []string{"-0", "1e-300", "0.0000000001", "0x1p-9", "00.01"} {
		f.fails(http.StatusServiceUnavailable, "no_metadata", request{method: "GET", path: path + "?wait=" + wait})
	}

	answers := make(chan *http.Response, 8)
	ask := func(paths ...string) {
		for _, path := range paths {
			go func() { answers <- f.open(request{method: "GET", path: path}) }()
		}
		waiting(len(paths))
	}
	status := func(want int, count int) {
		t.Helper()
		for range count {
			select {
			case response := <-answers:
				response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("%s, not %d", response.Status, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it still waits")
			}
		}
	}
	other := strings.Replace(unknownMagnet, "btih:0", "btih:1", 1)
	kept, _, err := f.service.add(torrent.AddTorrentParams{Magnet: other})
	if err != nil {
		t.Fatal(err)
	}
	ask(path, path+"?wait=60", "/stream/"+added.Index+"/playlist.m3u")
	f.wants(http.StatusNoContent, request{method: "DELETE", path: apiPath + "/torrents/" + added.Index}, nil)
	status(http.StatusNotFound, 3)
	waiting(0)

	path = "/stream/" + kept.StorageIndex().String()
	ask(path+"/0", path+"/0?wait=60", path+"/playlist.m3u")
	began = time.Now()
	if err := shutdown(f.server, f.service); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v to end", took)
	}
	status(http.StatusServiceUnavailable, 3)
}

func demoMagnet(t *testing.T) string {
	t.Helper()
	info, err := torrent.ParseInfoHash(demoHash())
	if err != nil {
		t.Fatal(err)
	}
	return info.Magnet()
}

// demoHash is the SHA-1 of what stands behind `4:info` in the demo's torrent file.
func demoHash() string {
	file := demoTorrent()
	hash := sha1.Sum(file[len("d4:info") : len(file)-1])
	return hex.EncodeToString(hash[:])
}

func untilTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A link by the info-hash is good in the next run, too.
func TestALinkOutlivesTheService(t *testing.T) {
	link := ""
	for range 2 {
		f := newFixture(t)
		index := f.swarm(0)
		if link == "" {
			_, playlist := f.do(request{method: "GET", path: "/stream/" + index + "/playlist.m3u"})
			_, link, _ = strings.Cut(string(playlist), f.base)
			link = strings.TrimSpace(link)
		}
		hash := demoHash()
		for _, path := range []string{link, "/stream/" + hash + "/0", "/stream/" + strings.ToUpper(hash) + "/0/any"} {
			response, body := f.do(request{method: "GET", path: path, header: map[string]string{"Range": "bytes=7-9"}})
			if response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demoClip[7:10]) {
				t.Errorf("%s: %s", path, response.Status)
			}
		}
		f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/torrents/" + hash}, nil)
		f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: "/stream/" + strings.Repeat("0", 40) + "/0"})
		f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: "/stream/" + hash[1:] + "/0"})
	}
}

// A torrent whose pieces no memory holds is refused with the reason, and not after a header that promises it.
func TestPiecesThatNoMemoryHolds(t *testing.T) {
	f := newFixture(t, "-memory", "256KiB")
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: filesTorrent("large", 512<<10, []testFile{{"film.mkv", 3 << 20}})})
	if err != nil {
		t.Fatal(err)
	}
	path := "/stream/" + added.StorageIndex().String() + "/0"
	for _, header := range []map[string]string{nil, {"Range": "bytes=1000000-1000099"}, {"Range": "bytes=0-1,5-6"}, {"If-None-Match": `"other"`}, {"If-Match": "*"}} {
		f.fails(http.StatusInsufficientStorage, "out_of_memory", request{method: "GET", path: path, header: header})
	}
	if f.service.streams.count() != 0 {
		t.Error("a stream is open")
	}
	// With more memory it is served, which is waited for.
	f.wants(http.StatusOK, request{method: "PATCH", path: apiPath + "/session", body: `{"memory_limit":1048576}`}, nil)
	response := f.open(request{method: "GET", path: path})
	if response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
	response.Body.Close()
}

// A disk that fails ends the streams that wait for it.
func TestAFailingDiskEndsItsStreams(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, "-storage", "disk", "-dir", dir)
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: demoTorrent()})
	if err != nil {
		t.Fatal(err)
	}
	path := "/stream/" + added.StorageIndex().String() + "/0"
	response := f.open(request{method: "GET", path: path})
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	// Where the file should come there is a directory: nothing can be written.
	if err := os.Mkdir(filepath.Join(dir, demoName), 0o700); err != nil {
		t.Fatal(err)
	}
	f.swarm(0)
	endsSoon(t, response)
	untilTrue(t, "the torrent stopped", func() bool { return added.Err() != nil })
	f.fails(http.StatusInternalServerError, "torrent_error", request{method: "GET", path: path})
}

// What stops a torrent before there is a byte is a status.
func TestAStreamThatFailsBeforeItsFirstByte(t *testing.T) {
	f := newFixture(t)
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: demoTorrent()})
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan *http.Response, 1)
	go func() {
		answer <- f.open(request{method: "GET", path: "/stream/" + added.StorageIndex().String() + "/0"})
	}()
	untilTrue(t, "it waits", func() bool {
		for _, content := range f.service.streams.snapshot() {
			if _, open := content.status(); open {
				content.fail(&failure{status: http.StatusInternalServerError, code: "torrent_error", message: "a test"})
				return true
			}
		}
		return false
	})
	response := <-answer
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); response.StatusCode != http.StatusInternalServerError || !bytes.Contains(body, []byte("torrent_error")) {
		t.Errorf("%s: %s, %v", response.Status, body, err)
	}
}

// One stream more than memory can serve is told so, with when to come again; those that are open go on.
func TestMemoryForOneMoreStream(t *testing.T) {
	f := newFixture(t, "-memory", "256KiB")
	f.service.streams.lineWait = 50 * time.Millisecond
	path := "/stream/" + f.swarm(0) + "/0"
	most := streamsPerPiece * 256 << 10 / demoPieceLength
	part := func(piece int) request {
		return request{method: "GET", path: path, header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", piece*demoPieceLength, (piece+1)*demoPieceLength-1)}}
	}
	for piece := range most {
		content := &content{streams: f.service.streams, torrent: f.service.session.Torrent(f.index(t)), file: torrent.File{}}
		content.at.Store(int64(piece * demoPieceLength))
		if err := f.service.streams.enter(context.Background(), content, demoPieceLength); err != nil {
			t.Fatalf("stream %d: %v", piece, err)
		}
		defer f.service.streams.leave(content)
	}
	response := f.fails(http.StatusServiceUnavailable, "memory_full", part(most))
	if response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// One that reads what another one reads needs nothing more, nor does one that reads nothing.
	if response, body := f.do(part(0)); response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demoClip[:demoPieceLength]) {
		t.Error(response.Status)
	}
	f.wants(http.StatusOK, request{method: "HEAD", path: path}, nil)
	f.wants(http.StatusOK, request{method: "PATCH", path: apiPath + "/session", body: `{"memory_limit":1048576}`}, nil)
	if response, _ := f.do(part(most)); response.StatusCode != http.StatusPartialContent {
		t.Error(response.Status)
	}
}

// index is that of the only torrent.
func (f *fixture) index(t *testing.T) torrent.StorageIndex {
	t.Helper()
	torrents, err := f.service.session.Torrents()
	if err != nil || len(torrents) != 1 {
		t.Fatal(torrents, err)
	}
	return torrents[0].StorageIndex()
}

func TestMoreStreamsThanAllowed(t *testing.T) {
	f := newFixture(t, "-max-streams", "2")
	path := "/stream/" + f.swarm(20_000) + "/0"
	for range 2 {
		response := f.open(request{method: "GET", path: path})
		defer response.Body.Close()
		readSome(t, response)
	}
	if response := f.fails(http.StatusServiceUnavailable, "too_many", request{method: "GET", path: path}); response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// Short ranges fetch the pieces that they lie in, and little else.
func TestShortRangesFetchLittle(t *testing.T) {
	f := newFixture(t)
	path := "/stream/" + f.swarm(0) + "/0"
	random := rand.New(rand.NewPCG(1, 2))
	pieces := map[int]bool{}
	for range 40 {
		begin := random.IntN(len(demoClip) - 10_000)
		end := begin + 1 + random.IntN(10_000)
		response, body := f.do(request{method: "GET", path: path, header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", begin, end-1)}})
		if response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, demoClip[begin:end]) {
			t.Fatalf("%d-%d: %s", begin, end, response.Status)
		}
		for piece := begin / demoPieceLength; piece <= (end-1)/demoPieceLength; piece++ {
			pieces[piece] = true
		}
	}
	untilTrue(t, "the streams are closed", func() bool { return f.service.streams.count() == 0 })
	stats, err := f.service.session.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if most := uint64(len(pieces)) * demoPieceLength; stats.PayloadDownload > most*11/10 {
		t.Errorf("%d bytes came, for %d of pieces", stats.PayloadDownload, most)
	}
}

// Parts of one request are fetched each to its end.
func TestSeveralRangesFetchLittle(t *testing.T) {
	f := newFixture(t)
	path := "/stream/" + f.swarm(0) + "/0"
	response, body := f.do(request{method: "GET", path: path, header: map[string]string{"Range": "bytes=0-9,1000000-1000009,2000000-2000009,-10"}})
	if response.StatusCode != http.StatusPartialContent || !bytes.Contains(body, demoClip[2_000_000:2_000_010]) || !bytes.Contains(body, demoClip[len(demoClip)-10:]) {
		t.Fatal(response.Status)
	}
	stats, err := f.service.session.Stats()
	// The last one has no end, and the pins of one that plays.
	if err != nil || stats.PayloadDownload > 8*demoPieceLength {
		t.Errorf("%d bytes came, %v", stats.PayloadDownload, err)
	}
}

// readSome reads the beginning of a stream, so that it is under way.
func readSome(t *testing.T, response *http.Response) {
	t.Helper()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
}

func endsSoon(t *testing.T, response *http.Response) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, response.Body)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it came whole")
		}
	case <-time.After(5 * time.Second):
		t.Error("it did not end")
	}
	response.Body.Close()
}

func TestARemovedTorrentEndsItsStreams(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(40_000)
	response := f.open(request{method: "GET", path: "/stream/" + index + "/0"})
	readSome(t, response)
	f.wants(http.StatusNoContent, request{method: "DELETE", path: apiPath + "/torrents/" + index}, nil)
	endsSoon(t, response)
	f.fails(http.StatusNotFound, "no_torrent", request{method: "GET", path: "/stream/" + index + "/0"})
}

func TestAClientThatLeavesEndsItsReader(t *testing.T) {
	f := newFixture(t)
	response := f.open(request{method: "GET", path: "/stream/" + f.swarm(40_000) + "/0"})
	readSome(t, response)
	response.Body.Close()
	for end := time.Now().Add(5 * time.Second); f.service.streams.count() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the stream is still open")
		}
	}
}

func TestAStreamWithoutPeersEnds(t *testing.T) {
	f := newFixture(t, "-stream-idle", "300ms")
	var added torrentView
	f.wants(http.StatusCreated, request{method: "POST", path: apiPath + "/torrents", body: string(demoTorrent()),
		header: map[string]string{"Content-Type": "application/x-bittorrent"}}, &added)
	response := f.open(request{method: "GET", path: "/stream/" + added.Index + "/0"})
	endsSoon(t, response)
}

func TestAStreamThatWaitsSaysWhy(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(20_000)
	response := f.open(request{method: "GET", path: "/stream/" + index + "/0"})
	defer response.Body.Close()
	readSome(t, response)
	waits := func(reason, sentence string) {
		t.Helper()
		var views []streamView
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			views = f.service.streamViews()
			if len(views) == 1 && views[0].Waiting && views[0].Reason == reason {
				if view := views[0]; !strings.Contains(view.Explanation, sentence) || view.WaitedMS < 0 {
					t.Errorf("%+v", view)
				}
				return
			}
		}
		t.Errorf("not %s: %+v", reason, views)
	}
	waits("requested", "was asked of 127.0.0.1:")
	f.wants(http.StatusOK, request{method: "POST", path: apiPath + "/torrents/" + index + "/pause"}, nil)
	waits("torrent_paused", "the torrent is paused")
}

func TestShutdownWithAnOpenStream(t *testing.T) {
	f := newFixture(t)
	response := f.open(request{method: "GET", path: "/stream/" + f.swarm(40_000) + "/0"})
	readSome(t, response)
	events := f.open(request{method: "GET", path: apiPath + "/events"})
	begin := time.Now()
	if err := shutdown(f.server, f.service); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	endsSoon(t, response)
	if _, err := io.Copy(io.Discard, events.Body); err != nil {
		t.Log("events ended with", err)
	}
	events.Body.Close()
}

// suspended opens a stream of a torrent whose client does not read, and waits until nothing more goes to it.
func suspended(t *testing.T, f *fixture, index string) {
	t.Helper()
	conn := held(f, 1, "GET /stream/"+index+"/0 HTTP/1.1\r\nHost: "+f.host+"\r\n\r\n")[0]
	// Small enough that the clip does not fit into what lies between.
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	sent := uint64(0)
	untilTrue(t, "it writes, and stands still", func() bool {
		before := sent
		sent = f.service.streams.sent.Load()
		time.Sleep(50 * time.Millisecond)
		return sent > 0 && sent == before && f.service.streams.sent.Load() == sent
	})
	if f.service.streams.count() != 1 {
		t.Skip("all of it fitted into the buffers of the system")
	}
}

func TestARemovedTorrentEndsStreamsThatNobodyReads(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(0)
	suspended(t, f, index)
	f.wants(http.StatusNoContent, request{method: "DELETE", path: apiPath + "/torrents/" + index}, nil)
	untilTrue(t, "its place is free", func() bool { return f.service.streams.count() == 0 })
}

// A client that does not read does not keep the service from ending: neither its streams nor the connection are waited for.
func TestShutdownWithAClientThatDoesNotRead(t *testing.T) {
	f := newFixture(t)
	suspended(t, f, f.swarm(0))
	begin := time.Now()
	if err := shutdown(f.server, f.service); err != nil {
		t.Error(err)
	}
	// Seconds more than it takes, and less than the 7 that were waited before.
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if f.service.streams.count() != 0 {
		t.Error("its stream is still open")
	}
}
