package main

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	f := newFixture(t, "-host", "Media.Example")
	port := f.host[strings.LastIndex(f.host, ":"):]
	for _, host := range []string{f.host, "localhost" + port, "LOCALHOST" + port, "[::1]" + port, "media.example", "media.example:1234"} {
		f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/session", host: host}, nil)
	}
	for _, host := range []string{"evil.example", "evil.example" + port, "127.0.0.1", "127.0.0.1:1", "localhost.evil.example" + port,
		"192.0.2.1" + port, "0.0.0.0" + port, "127.0.0.2" + port, "127.0.0.1" + port + "0"} {
		for _, path := range []string{"/", "/metrics", apiPath + "/session", "/stream/1/0"} {
			f.fails(http.StatusMisdirectedRequest, "host_refused", request{method: "GET", path: path, host: host})
		}
	}
}

func TestOrigins(t *testing.T) {
	f := newFixture(t)
	add := request{method: "POST", path: apiPath + "/torrents", body: `{"magnet":"` + unknownMagnet + `"}`}
	refused := []map[string]string{
		{"Origin": "http://evil.example"},
		{"Origin": "null"},
		{"Origin": "http://127.0.0.1:1"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
	}
	for _, header := range refused {
		add.header = header
		f.fails(http.StatusForbidden, "origin_refused", add)
		f.fails(http.StatusForbidden, "origin_refused", request{method: "GET", path: apiPath + "/events", header: header})
		f.fails(http.StatusForbidden, "origin_refused", request{method: "DELETE", path: apiPath + "/torrents/1", header: header})
	}
	for _, header := range []map[string]string{nil, {"Origin": f.base}, {"Origin": f.base, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}} {
		add.header = header
		if response, body := f.do(add); response.StatusCode >= 300 {
			t.Errorf("%v: %s %s", header, response.Status, body)
		}
	}
	// A link from elsewhere opens the page, and the page alone.
	follow := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	response := f.wants(http.StatusOK, request{method: "GET", path: "/", header: follow}, nil)
	f.fails(http.StatusForbidden, "origin_refused", request{method: "GET", path: "/stream/1/0", header: follow})
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := response.Header.Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestToken(t *testing.T) {
	f := newFixture(t, "-token", "a secret")
	for _, q := range []request{
		{method: "GET", path: apiPath + "/session"},
		{method: "GET", path: apiPath + "/session?token=wrong"},
		{method: "GET", path: "/metrics", header: map[string]string{"Authorization": "Bearer a secre"}},
		{method: "GET", path: "/app.js", header: map[string]string{"Authorization": "Basic a secret"}},
		{method: "GET", path: "/app.js", header: map[string]string{"Authorization": "bearera secret"}},
		{method: "GET", path: "/app.js", header: map[string]string{"Authorization": "bearer"}},
		{method: "GET", path: "/stream/1/0", header: map[string]string{"Cookie": f.service.cookieName() + "=wrong"}},
	} {
		f.fails(http.StatusUnauthorized, "token_required", q)
	}
	if response, body := f.do(request{method: "GET", path: "/"}); response.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "<form") {
		t.Errorf("page without token: %s %s", response.Status, body)
	}
	f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/session?token=a+secret"}, nil)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "Bearer  "} {
		f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/session", header: map[string]string{"Authorization": scheme + " a secret"}}, nil)
	}
	page := f.wants(http.StatusOK, request{method: "GET", path: "/?token=a+secret"}, nil)
	cookies := page.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("cookies: %v", cookies)
	}
	f.wants(http.StatusOK, request{method: "GET", path: apiPath + "/session", header: map[string]string{"Cookie": cookies[0].Name + "=" + cookies[0].Value}}, nil)
	f.fails(http.StatusUnauthorized, "token_required", request{method: "GET", path: apiPath + "/session", header: map[string]string{"Cookie": cookies[0].Name + `="a secret"`}})
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "ff02::1": false,
		"8.8.8.8": true, "2606:4700::1": true, "::ffff:8.8.8.8": true,
	} {
		if isPublic(netip.MustParseAddr(text)) != want {
			t.Errorf("%s: not %t", text, want)
		}
	}
}
