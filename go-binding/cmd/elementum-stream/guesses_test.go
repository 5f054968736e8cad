package main

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestGuessesComeBack(t *testing.T) {
	g := newGuesses()
	now := time.Unix(1000, 0)
	g.now = func() time.Time { return now }
	taken := func(address string, tries int) (taken int) {
		for range tries {
			if g.take(netip.MustParseAddr(address)) {
				taken++
			}
		}
		return taken
	}
	if got := taken("192.0.2.1", 1000); got != guessBurst {
		t.Errorf("%d at once", got)
	}
	if got := taken("192.0.2.2", 1); got != 1 {
		t.Error("another one pays for it")
	}
	now = now.Add(5 * guessEvery)
	if got := taken("192.0.2.1", 1000); got != 5 {
		t.Errorf("%d after five times", got)
	}
	now = now.Add(time.Hour)
	if got := taken("192.0.2.1", 1000); got != guessBurst {
		t.Errorf("%d after an hour", got)
	}
	// A right one costs nothing. In IPv6 a whole network is one.
	for range 10 * guessBurst {
		if !g.take(netip.MustParseAddr("192.0.2.3")) {
			t.Fatal("a right one was counted")
		}
		g.giveBack(netip.MustParseAddr("192.0.2.3"))
	}
	if got := taken("2001:db8::1", guessBurst) + taken("2001:db8::2", guessBurst); got != guessBurst {
		t.Errorf("%d of one network", got)
	}
	for i := range 3 * maxGuessers {
		taken(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String(), 1)
	}
	if len(g.whole) > maxGuessers {
		t.Errorf("%d are remembered", len(g.whole))
	}
}

func TestGuessesAtTheTokenAreBounded(t *testing.T) {
	f := newFixture(t, "-token", "secret", "-trusted-proxy", "192.0.2.0/24")
	page := f.wants(http.StatusOK, request{method: "GET", path: "/?token=secret"}, nil)
	statuses := map[int]int{}
	for range 5 * guessBurst {
		response, _ := f.do(request{method: "GET", path: apiPath + "/session?token=wrong"})
		statuses[response.StatusCode]++
	}
	if statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusUnauthorized] < guessBurst || len(statuses) != 2 {
		t.Errorf("%v", statuses)
	}
	// Not the right one either, in whichever way it comes: whoever guesses learns nothing. The browser that is in stays in.
	right := map[string]string{"Authorization": "Bearer secret"}
	if response := f.fails(http.StatusTooManyRequests, "too_many_tokens", request{method: "GET", path: apiPath + "/session", header: right}); response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	cookie := map[string]string{"Cookie": page.Cookies()[0].Name + "=" + page.Cookies()[0].Value}
	f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/session", header: cookie}, nil)
	// Who is no proxy does not get another address by saying so.
	forged := map[string]string{"Authorization": "Bearer secret", "X-Forwarded-For": "198.51.100.1"}
	f.fails(http.StatusTooManyRequests, "too_many_tokens", request{method: "GET", path: apiPath + "/session", header: forged})
}

func TestWhoAsks(t *testing.T) {
	f := newFixture(t, "-trusted-proxy", "192.0.2.0/24", "-trusted-proxy", "2001:db8::1")
	for _, c := range []struct{ remote, forwarded, proto, client, scheme string }{
		{"198.51.100.7:1", "203.0.113.1", "https", "198.51.100.7", "http"},
		{"192.0.2.9:1", "203.0.113.1", "https", "203.0.113.1", "https"},
		{"192.0.2.9:1", "10.0.0.1, 203.0.113.1, 192.0.2.8", "HTTPS, http", "203.0.113.1", "https"},
		{"192.0.2.9:1", "nonsense", "ftp", "192.0.2.9", "http"},
		{"[2001:db8::1]:1", "203.0.113.1", "http", "203.0.113.1", "http"},
		{"127.0.0.1:1", "203.0.113.1", "https", "127.0.0.1", "https"},
		{"127.0.0.1:1", "", "", "127.0.0.1", "http"},
	} {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header.Set("X-Forwarded-For", c.forwarded)
		r.Header.Set("X-Forwarded-Proto", c.proto)
		if client, scheme := f.service.clientOf(r).String(), f.service.schemeOf(r); client != c.client || scheme != c.scheme {
			t.Errorf("%+v: %s, %s", c, client, scheme)
		}
	}
}

// What a playlist gives away streams, and does nothing else.
func TestTheTokenOfAPlaylist(t *testing.T) {
	f := newFixture(t, "-token", "secret")
	f.swarm(0)
	_, playlist := f.do(request{method: "GET", path: "/playlist.m3u?token=secret"})
	_, link, _ := strings.Cut(string(playlist), f.base)
	link = strings.TrimSpace(link)
	_, token, ok := strings.Cut(link, "?token=")
	if !ok || token == "" || strings.Contains(string(playlist), "secret") {
		t.Fatalf("%s", playlist)
	}
	if response, body := f.do(request{method: "GET", path: link, header: map[string]string{"Range": "bytes=0-9"}}); response.StatusCode != http.StatusPartialContent || string(body) != string(demoClip[:10]) {
		t.Errorf("%s: %s", link, response.Status)
	}
	f.wants(http.StatusOK, request{method: "HEAD", path: link}, nil)
	for _, path := range []string{"/", "/playlist.m3u", "/metrics", apiPath + "/torrents", apiPath + "/events", "/stream/1/playlist.m3u", "/stream//" + "..", "/app.js"} {
		response, _ := f.do(request{method: "GET", path: path + "?token=" + token})
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", path, response.Status)
		}
		if len(response.Cookies()) != 0 {
			t.Errorf("%s: a cookie", path)
		}
	}
	f.fails(http.StatusUnauthorized, "token_required", request{method: "DELETE", path: apiPath + "/torrents/1?token=" + token})
	f.fails(http.StatusUnauthorized, "token_required", request{method: "POST", path: link})
	// The same token gives the same link after a restart; another one does not.
	for other, same := range map[string]bool{"secret": true, "secre": false} {
		secrets, err := newSecrets(other)
		if err != nil || (secrets.stream == token) != same || secrets.cookie == f.service.secrets.cookie {
			t.Errorf("%s: %+v, %v", other, secrets, err)
		}
	}
}
