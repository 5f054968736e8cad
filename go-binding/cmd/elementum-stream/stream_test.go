package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
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
	for _, path := range []string{"/nothing", "/web/app.js", "/stream/", "/..%2f..%2fetc/passwd", apiPath} {
		f.fails(http.StatusNotFound, "not_found", request{method: "GET", path: path})
	}
	if allow := f.fails(http.StatusMethodNotAllowed, "method_not_allowed", request{method: "PUT", path: apiPath + "/torrents"}).Header.Get("Allow"); !strings.Contains(allow, "POST") {
		t.Errorf("Allow: %q", allow)
	}
}

func TestWithoutMetadataIsToldAtOnce(t *testing.T) {
	f := newFixture(t)
	var added torrentView
	f.wants(http.StatusCreated, request{method: "POST", path: apiPath + "/torrents", body: `{"magnet":"` + unknownMagnet + `"}`}, &added)
	begin := time.Now()
	for _, path := range []string{"/stream/%s/0", "/stream/%s/playlist.m3u", apiPath + "/torrents/%s/files", apiPath + "/torrents/%s/pieces"} {
		response := f.fails(http.StatusServiceUnavailable, "no_metadata", request{method: "GET", path: fmt.Sprintf(path, added.Index)})
		if response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
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
	if took := time.Since(begin); took > 9*time.Second {
		t.Errorf("it took %v", took)
	}
	endsSoon(t, response)
	if _, err := io.Copy(io.Discard, events.Body); err != nil {
		t.Log("events ended with", err)
	}
	events.Body.Close()
}
