package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"elementum.example/torrent"
)

// What is not seen: it turns the line round, joins or parts letters, or fills a place.
const unseen = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164\U000e0041"

// Each of them ends up as a space.
const controls = "\x01\x07\b\t\n\f\r\x1b\x7f\u0080\u0085\u009b\u2028\u2029"

func hidden(text string) (found []rune) {
	for _, r := range text {
		if r != '\n' && unicode.IsControl(r) || strings.ContainsRune(unseen, r) || r == '\u2028' || r == '\u2029' {
			found = append(found, r)
		}
	}
	return found
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"plain é ж 日本 ا ﷺ 🎬\ufe0f":      "plain é ж 日本 ا ﷺ 🎬\ufe0f",
		"exe" + unseen + "mp4":          "exemp4",
		controls:                        strings.Repeat(" ", len([]rune(controls))),
		"\u0600\u06dd\u070f":            "\u0600\u06dd\u070f",
		"a\u00a0b\u3000c":               "a\u00a0b\u3000c",
		"1\u202egnp.2\u202c and \u200b": "1gnp.2 and ",
	} {
		if got := shown(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, text := range []string{controls + unseen, `back\slash \n \u0007 \\u0007 "quote"`, "a\x00b\\\x01", "<&>\u202e"} {
		encoded, err := encode(map[string]string{text: text})
		var got map[string]string
		if err != nil || json.Unmarshal(encoded, &got) != nil || got[shown(text)] != shown(text) {
			t.Errorf("%q: %s, %v", text, encoded, err)
		}
	}
}

func TestNameOf(t *testing.T) {
	for in, want := range map[string]string{
		"a/b\u202e.mkv": "b.mkv", "a/\u202e": "file-3", "a/.\u200b.": "file-3", "a/ \n": "file-3", "\xff.mkv": "\uFFFD.mkv", "": "file-3",
	} {
		if got := nameOf(torrent.File{Path: in, Index: 3}); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Wherever a stranger's text comes out, there is nothing in it that is not seen: names of torrents and files, what trackers say.
func TestWhatStrangersWriteIsCleanedEverywhere(t *testing.T) {
	tracker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		said := "go" + unseen + "\n\x1b[31maway"
		_, _ = io.WriteString(w, fmt.Sprintf("d14:failure reason%d:%se", len(said), said))
	}))
	defer tracker.Close()
	f := newFixture(t)
	name := "show\u202e\x1b[31m\n"
	file := filesTorrent(name, 16<<10, []testFile{{"fil" + unseen + "m\n#EXTINF.mkv", 20_000}, {"no" + unseen + "te\r\n.txt", 9}, {unseen, 9}})
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := added.AddTracker(tracker.URL+"/announce", 0); err != nil {
		t.Fatal(err)
	}
	untilTrue(t, "the tracker has answered", func() bool {
		trackers, err := added.Trackers()
		return err == nil && len(trackers) == 1 && trackers[0].LastError != ""
	})
	index := added.StorageIndex().String()
	at := apiPath + "/torrents/" + index
	for _, path := range []string{apiPath + "/torrents", at, at + "/files", at + "/trackers", "/stream/" + index + "/playlist.m3u", "/playlist.m3u", "/metrics"} {
		response, body := f.do(request{method: "GET", path: path})
		unescaped, _ := url.PathUnescape(string(body))
		if unescaped == "" {
			unescaped = string(body)
		}
		// The link that adds the torrent elsewhere has its name as it is.
		unescaped = strings.ReplaceAll(unescaped, "&dn="+name, "")
		if found := hidden(unescaped); response.StatusCode != http.StatusOK || len(found) > 0 || strings.Contains(unescaped, `\u000`) || strings.Contains(unescaped, `\u001`) {
			t.Errorf("%s: %s: %q in %q", path, response.Status, found, body)
		}
	}
	response, _ := f.do(request{method: "HEAD", path: "/stream/" + index + "/1"})
	_, params, err := mime.ParseMediaType(response.Header.Get("Content-Disposition"))
	if err != nil || params["filename"] != "note__.txt" {
		t.Errorf("%q: %v", response.Header.Get("Content-Disposition"), err)
	}
	for _, alert := range []torrent.Alert{
		&torrent.TrackerError{URL: tracker.URL, FailureReason: "go" + unseen + "away"},
		&torrent.TrackerWarning{URL: tracker.URL, Warning: controls},
		&torrent.AddTorrent{Err: &torrent.Error{Message: name}},
	} {
		if found := hidden(string(serverSentEvent("alert", alertEvent{Text: sentence(alert, "Film"), Message: name}))); len(found) > 0 {
			t.Errorf("%T: %q", alert, found)
		}
	}
}

// The service's log is the program's standard error, and may be a terminal.
func TestTheLogIsCleaned(t *testing.T) {
	var out bytes.Buffer
	log := log.New(logWriter{&out}, "", 0)
	log.Print("a\u202eb\x1b[31mc" + unseen)
	log.Print("one\n\ttwo\nthree")
	if got := out.String(); got != "ab [31mc\none\n two\nthree\n" {
		t.Errorf("%q", got)
	}
	config, err := parseConfig([]string{"-listen", "127.0.0.1:0", "-peer-listen", "127.0.0.1:0", "-set", "enable_dht=false"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	service, err := newService(config, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	if _, cleaned := service.log.Writer().(logWriter); !cleaned {
		t.Error("the service writes to its log as it is")
	}
}
