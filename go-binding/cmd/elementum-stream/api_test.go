package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

func TestAPI(t *testing.T) {
	f := newFixture(t)
	var added torrentView
	upload := request{method: "POST", path: apiPath + "/torrents", body: string(demoTorrent()), header: map[string]string{"Content-Type": "application/x-bittorrent"}}
	response := f.wants(http.StatusCreated, upload, &added)
	at := apiPath + "/torrents/" + added.Index
	if response.Header.Get("Location") != at || added.Name != demoName || added.Size != uint64(len(demoClip)) || !added.HasMetadata {
		t.Errorf("added %+v at %q", added, response.Header.Get("Location"))
	}
	if index, err := torrent.ParseStorageIndex(added.Index); err != nil || !index.IsValid() {
		t.Errorf("index %q", added.Index)
	}
	var again torrentView
	f.wants(http.StatusOK, upload, &again)
	f.wants(http.StatusOK, request{method: "POST", path: apiPath + "/torrents", body: fmt.Sprintf(`{"magnet":%q}`, added.Magnet)}, &again)
	if again.Index != added.Index {
		t.Errorf("a second one: %s", again.Index)
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, _ := parts.CreateFormFile("anything", "../../x.torrent")
	part.Write(demoTorrent())
	parts.Close()
	f.wants(http.StatusOK, request{method: "POST", path: apiPath + "/torrents", body: form.String(), header: map[string]string{"Content-Type": parts.FormDataContentType()}}, &again)

	f.swarm(0)
	var list struct{ Torrents []torrentView }
	f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/torrents"}, &list)
	if len(list.Torrents) != 1 || list.Torrents[0].Index != added.Index {
		t.Errorf("list: %+v", list)
	}
	var one torrentView
	f.wants(http.StatusOK, request{method: "PATCH", path: at, body: `{"download_limit":4000000,"max_uploads":3}`}, &one)
	f.wants(http.StatusOK, request{method: "PATCH", path: at, body: `{"upload_limit":5000}`}, &one)
	if one.DownloadLimit != 4_000_000 || one.UploadLimit != 5000 || one.MaxUploads != 3 {
		t.Errorf("limits: %+v", one)
	}
	for _, body := range []string{`{"download_limit":-1}`, `{"download_limit":4294967296}`, `{"download_limit":"1"}`, `{"other":1}`, `{} {}`, `[`, `{"upload_limit":1e99}`} {
		response, _ := f.do(request{method: "PATCH", path: at, body: body})
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", body, response.Status)
		}
	}
	f.wants(http.StatusOK, request{method: "POST", path: at + "/pause"}, nil)
	waitFor(f, at, func(view torrentView) bool { return view.Paused })
	f.wants(http.StatusOK, request{method: "POST", path: at + "/resume"}, nil)
	waitFor(f, at, func(view torrentView) bool { return !view.Paused })

	var files struct{ Files []fileView }
	f.wants(http.StatusOK, request{method: "GET", path: at + "/files"}, &files)
	if len(files.Files) != 1 || !files.Files[0].Playable || files.Files[0].Kind != "video" || files.Files[0].Stream != "/stream/"+added.InfoHash+"/0/"+demoName {
		t.Errorf("files: %+v", files)
	}
	var file fileView
	f.wants(http.StatusOK, request{method: "PUT", path: at + "/files/0/priority", body: `{"priority":6}`}, &file)
	if file.Priority != 6 {
		t.Errorf("priority: %+v", file)
	}
	f.fails(http.StatusBadRequest, "invalid_argument", request{method: "PUT", path: at + "/files/0/priority", body: `{"priority":8}`})
	f.fails(http.StatusBadRequest, "invalid_argument", request{method: "PUT", path: at + "/files/0/priority", body: `{}`})
	f.fails(http.StatusNotFound, "no_file", request{method: "PUT", path: at + "/files/1/priority", body: `{"priority":1}`})

	f.do(request{method: "GET", path: files.Files[0].Stream})
	var pieces piecesView
	f.wants(http.StatusOK, request{method: "GET", path: at + "/pieces"}, &pieces)
	bits, err := base64.StdEncoding.DecodeString(pieces.Bitfield)
	if err != nil || pieces.Pieces != (len(demoClip)+demoPieceLength-1)/demoPieceLength || pieces.Had == 0 || len(bits) != (pieces.Pieces+7)/8 {
		t.Errorf("pieces: %+v", pieces)
	}
	var peers struct{ Peers []peerView }
	f.wants(http.StatusOK, request{method: "GET", path: at + "/peers"}, &peers)
	if len(peers.Peers) != 0 && (peers.Peers[0].Downloaded == 0 || peers.Peers[0].Address == "") {
		t.Errorf("peers: %+v", peers)
	}
	var trackers struct{ Trackers []trackerView }
	f.wants(http.StatusOK, request{method: "GET", path: at + "/trackers"}, &trackers)

	var session sessionView
	f.wants(http.StatusOK, request{method: "PATCH", path: apiPath + "/session", body: `{"memory_limit":3145728,"download_limit":7000000,"upload_limit":8000000}`}, &session)
	if session.MemoryLimit != 3<<20 || session.DownloadLimit != 7_000_000 || session.UploadLimit != 8_000_000 {
		t.Errorf("session: %+v", session)
	}
	f.wants(http.StatusOK, request{method: "PATCH", path: apiPath + "/session", body: `{"paused":true}`}, &session)
	if !session.Paused {
		t.Error("the session is not paused")
	}
	f.wants(http.StatusOK, request{method: "PATCH", path: apiPath + "/session", body: `{"paused":false}`}, &session)
	f.fails(http.StatusBadRequest, "invalid_argument", request{method: "PATCH", path: apiPath + "/session", body: `{"memory_limit":1}`})
	f.fails(http.StatusBadRequest, "invalid_argument", request{method: "PATCH", path: apiPath + "/session", body: `{"memory_limit":9223372036854775807}`})

	_, playlist := f.do(request{method: "GET", path: "/playlist.m3u"})
	if want := f.base + files.Files[0].Stream + "\n"; !strings.HasPrefix(string(playlist), "#EXTM3U\n") || !strings.Contains(string(playlist), want) {
		t.Errorf("playlist: %s", playlist)
	}
	f.fails(http.StatusBadRequest, "invalid_argument", request{method: "DELETE", path: at + "?delete_files=perhaps"})
	f.wants(http.StatusNoContent, request{method: "DELETE", path: at + "?delete_files=true"}, nil)
	for _, q := range []request{
		{method: "GET", path: at}, {method: "DELETE", path: at}, {method: "POST", path: at + "/pause"}, {method: "GET", path: at + "/files"},
		{method: "GET", path: at + "/peers"}, {method: "PATCH", path: at, body: `{}`}, {method: "GET", path: at + "/trackers"},
	} {
		f.fails(http.StatusNotFound, "no_torrent", q)
	}
}

// What a PATCH does not name, names as null, or names beside what is wrong stays as it is.
func TestAPatchChangesWhatItNames(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(0)
	for _, c := range []struct {
		path, all string
		names     []string
		bad       []string
	}{
		{apiPath + "/torrents/" + index, `{"download_limit":4000000,"upload_limit":5000,"max_connections":30,"max_uploads":3}`,
			[]string{"download_limit", "upload_limit", "max_connections", "max_uploads"}, []string{"-1", "4294967296", `"1"`, "1.5", "true", "[]", "1e99"}},
		{apiPath + "/session", `{"download_limit":4000000,"upload_limit":5000,"memory_limit":3145728,"paused":true}`,
			[]string{"download_limit", "upload_limit", "memory_limit"}, []string{"-1", "4611686018427387904", `"1"`, "1.5", "true", "[]", "1e99"}},
	} {
		view := func(body string) map[string]any {
			t.Helper()
			var now map[string]any
			f.wants(http.StatusOK, request{method: "PATCH", path: c.path, body: body}, &now)
			kept := map[string]any{"paused": now["paused"]}
			for _, name := range c.names {
				kept[name] = now[name]
			}
			return kept
		}
		want := view(c.all)
		for _, name := range c.names {
			for _, body := range []string{`{}`, fmt.Sprintf(`{%q:null}`, name)} {
				if got := view(body); !maps.Equal(got, want) {
					t.Errorf("%s %s: %v, not %v", c.path, body, got, want)
				}
			}
			for _, other := range c.names {
				for _, bad := range c.bad {
					if other == name {
						continue
					}
					for _, body := range []string{fmt.Sprintf(`{%q:700000,%q:%s}`, name, other, bad), fmt.Sprintf(`{%q:%s,%q:700000}`, other, bad, name)} {
						if response, text := f.do(request{method: "PATCH", path: c.path, body: body}); response.StatusCode != http.StatusBadRequest {
							t.Errorf("%s %s: %s %s", c.path, body, response.Status, text)
						}
					}
				}
			}
			// Memory is counted in blocks of 16 KiB.
			want[name] = 655_360.0
			if got := view(fmt.Sprintf(`{%q:655360}`, name)); !maps.Equal(got, want) {
				t.Errorf("%s %s: %v, not %v", c.path, name, got, want)
			}
		}
		if got := view(`{}`); !maps.Equal(got, want) {
			t.Errorf("%s in the end: %v, not %v", c.path, got, want)
		}
	}
}

func waitFor(f *fixture, at string, done func(torrentView) bool) {
	f.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var view torrentView
		f.wants(http.StatusOK, request{method: "GET", path: at}, &view)
		if done(view) {
			return
		}
	}
	f.Fatal("it did not come to that")
}

func TestWhatCannotBeAdded(t *testing.T) {
	f := newFixture(t)
	add := func(kind, body string) request {
		return request{method: "POST", path: apiPath + "/torrents", body: body, header: map[string]string{"Content-Type": kind}}
	}
	for _, c := range []struct {
		status     int
		code       string
		kind, body string
	}{
		{400, "malformed", "application/x-bittorrent", "this is no torrent"},
		{400, "malformed", "application/json", `{"magnet":`},
		{400, "malformed", "application/json", `{"magnet":"x","more":1}`},
		{400, "invalid_source", "application/json", `{}`},
		{400, "invalid_source", "application/json", `{"magnet":"x","url":"y"}`},
		{400, "invalid_url", "application/json", `{"url":"file:///etc/passwd"}`},
		{400, "invalid_url", "application/json", `{"url":"http://"}`},
		{415, "unsupported_media_type", "text/plain", unknownMagnet},
		{415, "unsupported_media_type", "application/x-www-form-urlencoded", "magnet=x"},
		{400, "malformed", "multipart/form-data; boundary=b", "not a form"},
		{400, "no_file", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--\r\n"},
		{413, "too_large", "application/x-bittorrent", strings.Repeat("d", maxTorrentFile+1)},
		{413, "too_large", "application/json", `{"magnet":"` + strings.Repeat("x", maxAddJSON) + `"}`},
		{413, "too_large", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\n" + strings.Repeat("d", maxTorrentFile+1) + "\r\n--b--\r\n"},
	} {
		f.fails(c.status, c.code, add(c.kind, c.body))
	}
	if response, body := f.do(add("application/json", `{"magnet":"magnet:?dn=nothing"}`)); response.StatusCode != http.StatusBadRequest {
		t.Errorf("magnet without a hash: %s %s", response.Status, body)
	}
	var list struct{ Torrents []torrentView }
	f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/torrents"}, &list)
	if list.Torrents == nil || len(list.Torrents) != 0 {
		t.Errorf("list: %+v", list)
	}
}

func TestURLs(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/file":
			w.Write(demoTorrent())
		case "/moved":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/magnet":
			w.Header().Set("Location", unknownMagnet)
			w.WriteHeader(http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/other":
			http.Redirect(w, r, "ftp://127.0.0.1/", http.StatusFound)
		case "/large":
			w.Write(make([]byte, maxTorrentFile+1))
		default:
			http.NotFound(w, r)
		}
	}))
	defer origin.Close()
	add := func(path string) request {
		return request{method: "POST", path: apiPath + "/torrents", body: fmt.Sprintf(`{"url":%q}`, origin.URL+path)}
	}
	newFixture(t).fails(http.StatusForbidden, "address_refused", add("/file"))
	f := newFixture(t, "-allow-private-urls")
	f.wants(http.StatusCreated, add("/moved"), nil)
	f.wants(http.StatusOK, add("/file"), nil)
	f.wants(http.StatusCreated, add("/magnet"), nil)
	f.fails(http.StatusBadGateway, "fetch_failed", add("/none"))
	f.fails(http.StatusBadGateway, "fetch_failed", add("/loop"))
	f.fails(http.StatusBadRequest, "invalid_url", add("/other"))
	f.fails(http.StatusRequestEntityTooLarge, "too_large", add("/large"))
}

// TestOpenAPI compares the routes and the description, both ways, and what answers look like with what is described.
func TestOpenAPI(t *testing.T) {
	f := newFixture(t)
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct {
			Schemas map[string]struct {
				Properties map[string]json.RawMessage
				Required   []string
			}
			Responses, Parameters, Headers map[string]json.RawMessage
		}
	}
	_, text := f.do(request{method: "GET", path: apiPath + "/openapi.json"})
	if err := json.Unmarshal(text, &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatal(doc.OpenAPI, err)
	}
	described := map[string]bool{}
	for path, methods := range doc.Paths {
		for method := range methods {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, route := range f.service.routes() {
		name := route.method + " " + strings.TrimSuffix(route.path, "{$}")
		if !described[name] {
			t.Errorf("%s is not described", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("%s is described, and is no route", name)
	}
	for _, ref := range regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllSubmatch(text, -1) {
		known := map[string]map[string]json.RawMessage{"responses": doc.Components.Responses, "parameters": doc.Components.Parameters, "headers": doc.Components.Headers}
		_, ok := known[string(ref[1])][string(ref[2])]
		if _, schema := doc.Components.Schemas[string(ref[2])]; !ok && !(string(ref[1]) == "schemas" && schema) {
			t.Errorf("nothing at %s", ref[0])
		}
	}
	for name, value := range map[string]any{
		"Session": sessionView{}, "Torrent": torrentView{}, "File": fileView{}, "Peer": peerView{}, "Tracker": trackerView{}, "Pieces": piecesView{},
		"Stream": streamView{}, "State": stateEvent{}, "Alert": alertEvent{}, "Error": errorBody{}, "Files": filesPage{},
	} {
		var fields map[string]json.RawMessage
		encoded, _ := json.Marshal(value)
		if err := json.Unmarshal(encoded, &fields); err != nil {
			t.Fatal(err)
		}
		schema := doc.Components.Schemas[name]
		for field := range fields {
			if !slices.Contains(schema.Required, field) {
				t.Errorf("%s.%s is not described", name, field)
			}
		}
		for _, field := range schema.Required {
			if _, ok := fields[field]; !ok {
				t.Errorf("%s.%s is described, and never there", name, field)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	index := f.swarm(0)
	f.do(request{method: "GET", path: "/stream/" + index + "/0", header: map[string]string{"Range": "bytes=0-999"}})
	_, text := f.do(request{method: "GET", path: "/metrics"})
	sample := regexp.MustCompile(`^(elementum_[a-z_]+)(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? ([0-9.e+-]+)$`)
	types := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(name, " ")
			if types[name] != "" || (kind == "counter") != strings.HasSuffix(name, "_total") {
				t.Errorf("%s", line)
			}
			types[name] = kind
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		found := sample.FindStringSubmatch(line)
		if found == nil || types[found[1]] == "" {
			t.Errorf("%q", line)
		}
	}
	for _, want := range []string{"elementum_torrents 1\n", "elementum_http_stream_bytes_total 1000\n", "elementum_http_stream_wasted_bytes_total 0\n", "elementum_http_stream_duplicate_bytes_total 0\n",
		`name="` + demoName + `"} 4.089284e+06`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	var hostile exposition
	hostile.sample("x", 1, "name", "a\"b\\c\nd\xff")
	if got := hostile.String(); got != `elementum_x{name="a\"b\\c\nd`+"\uFFFD"+`"} 1`+"\n" {
		t.Errorf("%q", got)
	}
}
