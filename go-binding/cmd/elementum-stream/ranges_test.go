package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"elementum.example/torrent"
)

func TestParseRanges(t *testing.T) {
	const size = 1000
	for _, c := range []struct {
		header string
		valid  bool
		want   []byteRange
	}{
		{"bytes=0-99", true, []byteRange{{0, 100, false}}},
		{"Bytes=0-5", true, []byteRange{{0, 6, false}}},
		{"BYTES = 0-5", true, []byteRange{{0, 6, false}}},
		{"bytes=5-", true, []byteRange{{5, 1000, true}}},
		{"bytes=-5", true, []byteRange{{995, 1000, false}}},
		{"bytes=-5000", true, []byteRange{{0, 1000, false}}},
		{"bytes=999-99999999999999999999999", true, []byteRange{{999, 1000, false}}},
		{"bytes=-99999999999999999999999", true, []byteRange{{0, 1000, false}}},
		{"bytes=,, 0-0 ,\t5-6,", true, []byteRange{{0, 1, false}, {5, 7, false}}},
		{"bytes=0000000000000000000000005-00000000000000000000000009", true, []byteRange{{5, 10, false}}},
		{"bytes=9-0000000000000000000010", true, []byteRange{{9, 11, false}}},
		{"bytes=5-9223372036854775807,-9223372036854775808", true, []byteRange{{5, 1000, false}, {0, 1000, false}}},
		// In order, but not there.
		{"bytes=9223372036854775807-9223372036854775808", true, nil},
		{"bytes=9223372036854775806-9223372036854775807", true, nil},
		{"bytes=9223372036854775807-", true, nil},
		{"bytes=18446744073709551616-18446744073709551616", true, nil},
		{"bytes=18446744073709551616-99999999999999999999", true, nil},
		{"bytes=-00000000000000000000000", true, nil},
		{"bytes=-0", true, nil},
		{"bytes=1000-", true, nil},
		{"bytes=99999999999999999999999-", true, nil},
		{"bytes=-0,0-1", true, []byteRange{{0, 2, false}}},
		{"bytes=1000-1001,7-7", true, []byteRange{{7, 8, false}}},
		// Out of order: all of it is ignored.
		{"bytes=5-4", false, nil},
		{"bytes=0-1,5-4", false, nil},
		{"bytes=99999999999999999999-18446744073709551616", false, nil},
		{"bytes=9223372036854775808-9223372036854775807", false, nil},
		{"bytes=10-0000000000000000000009", false, nil},
		{"items=0-5", false, nil},
		{"bytes", false, nil},
		{"bytes=", false, nil},
		{"bytes=-", false, nil},
		{"bytes=a-b", false, nil},
		{"bytes=+1-2", false, nil},
		{"bytes=1--2", false, nil},
		{"bytes=--2", false, nil},
		{"bytes=0x1-2", false, nil},
		{"bytes=1 - 2", false, nil},
	} {
		got, count := parseRanges(c.header, size)
		valid := count > 0
		if valid != c.valid || valid && !slices.Equal(got, c.want) {
			t.Errorf("%q: %v %t, want %v %t", c.header, got, valid, c.want, c.valid)
		}
	}
	for _, header := range []string{"bytes=0-", "bytes=-5", "bytes=-0", "bytes=0-0"} {
		if got, count := parseRanges(header, 0); count != 1 || len(got) != 0 {
			t.Errorf("%s of nothing: %v %d", header, got, count)
		}
	}
}

func FuzzParseRanges(f *testing.F) {
	f.Add("bytes=0-5,-7,9-", int64(100))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		ranges, _ := parseRanges(header, size)
		if len(ranges) > maxRanges {
			t.Errorf("%d ranges", len(ranges))
		}
		for _, part := range ranges {
			if part.begin < 0 || part.begin >= part.end || part.end > size {
				t.Errorf("%v of %d", part, size)
			}
		}
	})
}

// What clients ask for that is no range, none of the file, or none that is meant.
func TestOddRanges(t *testing.T) {
	f := newFixture(t)
	path := "/stream/" + f.swarm(0) + "/0"
	size := len(demoClip)
	many := "bytes=" + strings.Repeat("0-0,", 2000) + "5-5"
	for _, c := range []struct {
		header     string
		status     int
		begin, end int
	}{
		{"bytes=-0", 416, 0, 0},
		{"bytes=-0,0-1", 206, 0, 2},
		{"items=0-5", 200, 0, size},
		{"Bytes=0-5", 206, 0, 6},
		{"bytes=5-4", 200, 0, size},
		{"bytes=0-1,5-4", 200, 0, size},
		{fmt.Sprintf("bytes=%d-", size), 416, 0, 0},
		{"bytes=99999999999999999999-", 416, 0, 0},
		{"bytes=9223372036854775807-9223372036854775808", 416, 0, 0},
		{"bytes=0-9223372036854775808", 206, 0, size},
		{"bytes=-9223372036854775808", 206, 0, size},
		{"bytes=9223372036854775808-9223372036854775807", 200, 0, size},
		{"bytes=10-19,99999999-", 206, 10, 20},
		{many, 416, 0, 0},
		{"bytes=0-,0-,0-", 200, 0, size},
	} {
		response, body := f.do(request{method: "GET", path: path, header: map[string]string{"Range": c.header}})
		name := c.header[:min(len(c.header), 30)]
		if response.StatusCode != c.status || c.status != 416 && !bytes.Equal(body, demoClip[c.begin:c.end]) {
			t.Errorf("%s: %s, %d bytes", name, response.Status, len(body))
		}
		want := map[int]string{200: "", 206: fmt.Sprintf("bytes %d-%d/%d", c.begin, c.end-1, size), 416: fmt.Sprintf("bytes */%d", size)}[c.status]
		if got := response.Header.Get("Content-Range"); got != want {
			t.Errorf("%s: Content-Range %q, want %q", name, got, want)
		}
	}
	// Why is said.
	f.fails(http.StatusRequestedRangeNotSatisfiable, "no_range", request{method: "GET", path: path, header: map[string]string{"Range": "bytes=-0"}})
	f.fails(http.StatusRequestedRangeNotSatisfiable, "too_many_ranges", request{method: "GET", path: path, header: map[string]string{"Range": many}})
	f.fails(http.StatusRequestedRangeNotSatisfiable, "too_many_ranges", request{method: "GET", path: path, header: map[string]string{"Range": "bytes=0-0" + strings.Repeat(",0-0", maxRanges)}})
	// For GET alone, and of what the client has.
	response, _ := f.do(request{method: "HEAD", path: path, header: map[string]string{"Range": "bytes=0-5"}})
	if response.StatusCode != http.StatusOK || response.ContentLength != int64(size) {
		t.Errorf("HEAD: %s", response.Status)
	}
	for condition, status := range map[string]int{`"other"`: 200, response.Header.Get("ETag"): 206, "W/" + response.Header.Get("ETag"): 200} {
		response, _ := f.do(request{method: "GET", path: path, header: map[string]string{"Range": "bytes=0-5", "If-Range": condition}})
		if response.StatusCode != status {
			t.Errorf("If-Range %s: %s", condition, response.Status)
		}
	}
	if response, _ := f.do(request{method: "GET", path: path, header: map[string]string{"Range": "bytes=-0", "If-None-Match": response.Header.Get("ETag")}}); response.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match before ranges: %s", response.Status)
	}
}

func TestRangesOfAnEmptyFile(t *testing.T) {
	f := newFixture(t)
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: filesTorrent("show", 16<<10, []testFile{{"empty.mkv", 0}, {"film.mkv", 20_000}})})
	if err != nil {
		t.Fatal(err)
	}
	path := "/stream/" + added.StorageIndex().String() + "/0"
	for _, header := range []string{"bytes=-5", "bytes=0-", "bytes=0-0"} {
		response := f.fails(http.StatusRequestedRangeNotSatisfiable, "no_range", request{method: "GET", path: path, header: map[string]string{"Range": header}})
		if got := response.Header.Get("Content-Range"); got != "bytes */0" {
			t.Errorf("%s: %q", header, got)
		}
	}
	for _, header := range []map[string]string{nil, {"Range": "bytes=5-4"}} {
		if response, body := f.do(request{method: "GET", path: path, header: header}); response.StatusCode != http.StatusOK || len(body) != 0 {
			t.Errorf("%v: %s", header, response.Status)
		}
	}
}

// A testFile is a file of a torrent by its path, with a slash where it has a directory.
type testFile struct {
	path string
	size int
}

// filesTorrent is a torrent of these files; nobody has what is in them.
func filesTorrent(name string, pieceLength int, files []testFile) []byte {
	var list bytes.Buffer
	total := 0
	for _, file := range files {
		total += file.size
		fmt.Fprintf(&list, "d6:lengthi%de4:pathl", file.size)
		for part := range strings.SplitSeq(file.path, "/") {
			fmt.Fprintf(&list, "%d:%s", len(part), part)
		}
		list.WriteString("ee")
	}
	hashes := strings.Repeat("0123456789abcdefghij", (total+pieceLength-1)/pieceLength)
	return fmt.Appendf(nil, "d4:infod5:filesl%se4:name%d:%s12:piece lengthi%de6:pieces%d:%see", list.String(), len(name), name, pieceLength, len(hashes), hashes)
}

// What is no file of a torrent answers ranges as those do.
func TestRangesOfOtherThings(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/", "/app.js", "/js/state.js", apiPath + "/openapi.json", "/playlist.m3u", "/metrics"} {
		response := f.fails(http.StatusRequestedRangeNotSatisfiable, "no_range", request{method: "GET", path: path, header: map[string]string{"Range": "bytes=99999999-"}})
		if got := response.Header.Get("Content-Range"); !strings.HasPrefix(got, "bytes */") || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %q, %q", path, got, response.Header.Get("Content-Type"))
		}
		f.wants(http.StatusOK, request{method: "GET", path: path, header: map[string]string{"Range": "lines=1-2"}}, nil)
		f.wants(http.StatusOK, request{method: "GET", path: path, header: map[string]string{"Range": "bytes=x"}}, nil)
		f.wants(http.StatusPartialContent, request{method: "GET", path: path, header: map[string]string{"Range": "bytes=0-3"}}, nil)
	}
}
