package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Another site's page runs in the same browser as ours, and reaches loopback as well. What keeps it out:
//
// The Host: a name that it made point here (DNS rebinding) is none of ours. The Origin and Sec-Fetch-Site: what it sends across is
// refused. Cross-Origin-Resource-Policy: what it embeds is not given to it. The token, where the listener is not on loopback, keeps out all
// others; it may be tried only so often, see guesses. Links that leave the browser, in playlists, have a token that streams and does nothing else.
// Files of torrents are served with types that run no scripts; see mediaType.

var securityHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Permissions-Policy":           "camera=(), microphone=(), geolocation=()",
}

var (
	errHost = &failure{status: http.StatusMisdirectedRequest, code: "host_refused",
		message: "this is not a name of this service; start it with -host to allow it"}
	errOrigin  = &failure{status: http.StatusForbidden, code: "origin_refused", message: "requests from pages of other sites are refused"}
	errToken   = &failure{status: http.StatusUnauthorized, code: "token_required", message: "this needs the token that was printed at the start"}
	errGuesses = &failure{status: http.StatusTooManyRequests, code: "too_many_tokens", retryAfter: "30",
		message: "too many wrong tokens came from this address; wait half a minute"}
)

// guard lets through what may be answered.
func (s *service) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		switch {
		case !s.hostAllowed(r):
			fail(w, r, errHost)
		case !originAllowed(r):
			fail(w, r, errOrigin)
		default:
			switch s.admits(r) {
			case tokenKnown:
				next.ServeHTTP(w, r)
			case tokenBarred:
				fail(w, r, errGuesses)
			default:
				s.askToken(w, r)
			}
		}
	})
}

// hostAllowed tells whether the request calls us by a name of ours.
func (s *service) hostAllowed(r *http.Request) bool {
	if r.Host == "" && !r.ProtoAtLeast(1, 1) {
		// HTTP/1.0 need not name it. Browsers do.
		return true
	}
	host, port := splitHost(r.Host)
	if slices.Contains(s.config.hosts, host) || slices.Contains(s.config.hosts, strings.ToLower(r.Host)) {
		return true
	}
	if port != s.config.addr.Port() {
		return false
	}
	if host == "localhost" {
		return true
	}
	called, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	called = called.Unmap()
	if called.IsLoopback() {
		return called == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || called == netip.IPv6Loopback() || called == s.config.addr.Addr()
	}
	// Where it listens on all addresses, the one that this connection came to.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	reached, err := netip.ParseAddrPort(local.String())
	return err == nil && called == reached.Addr().Unmap().WithZone("")
}

// splitHost takes a Host header apart: the name in lower case, without brackets; the port, 80 where it says none.
func splitHost(header string) (string, uint16) {
	host, port, err := net.SplitHostPort(header)
	if err != nil {
		return strings.ToLower(strings.Trim(header, "[]")), 80
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0
	}
	return strings.ToLower(host), uint16(number)
}

// originAllowed tells whether the request is a page's of ours, a person's, or a program's.
func originAllowed(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && !strings.EqualFold(origin, "http://"+r.Host) && !strings.EqualFold(origin, "https://"+r.Host) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	// A link from elsewhere may open the page. It may do nothing else.
	return r.Method == http.MethodGet && r.URL.Path == "/" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// What a request's token comes to.
const (
	tokenMissing = iota
	tokenKnown
	// It was not looked at: there were too many wrong ones.
	tokenBarred
)

// secrets are what stands for the token where that itself should not be.
type secrets struct {
	// Of a browser that came with the token. It is random, and so nobody need be kept from guessing.
	cookie string
	// Of links to streams. It follows from the token, slowly, so that links outlive the program and tell nothing of a short token.
	stream string
}

const streamTokenRounds = 100_000

func newSecrets(token string) (secrets, error) {
	if token == "" {
		return secrets{}, nil
	}
	key, err := pbkdf2.Key(sha256.New, token, []byte("elementum-stream: streams"), streamTokenRounds, 16)
	return secrets{cookie: rand.Text(), stream: hex.EncodeToString(key)}, err
}

// admits looks at the token that a request brings.
func (s *service) admits(r *http.Request) int {
	if s.config.token == "" {
		return tokenKnown
	}
	if cookie, err := r.Cookie(s.cookieName()); err == nil && sameSecret(s.secrets.cookie, cookie.Value) {
		return tokenKnown
	}
	given := r.URL.Query().Get("token")
	// Names of schemes have no case (RFC 9110, 11.1).
	if scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); given == "" && strings.EqualFold(scheme, "Bearer") {
		given = strings.TrimLeft(bearer, " ")
	}
	if given == "" {
		return tokenMissing
	}
	client := s.clientOf(r)
	if !s.guesses.take(client) {
		return tokenBarred
	}
	if sameSecret(s.config.token, given) || sameSecret(s.secrets.stream, given) && onlyStreams(r) {
		s.guesses.giveBack(client)
		return tokenKnown
	}
	return tokenMissing
}

// onlyStreams tells whether the request is for a file of a torrent, and for nothing else.
func onlyStreams(r *http.Request) bool {
	parts := strings.Split(r.URL.Path, "/")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		(len(parts) == 4 || len(parts) == 5) && parts[1] == "stream" && parts[3] != "playlist.m3u"
}

// sameSecret takes the same time whatever differs, the length too.
func sameSecret(known, given string) bool {
	ours, theirs := sha256.Sum256([]byte(known)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(ours[:], theirs[:]) == 1
}

// cookieName has the port in it: cookies do not tell services of one host apart.
func (s *service) cookieName() string {
	return "elementum_stream_" + strconv.Itoa(int(s.config.addr.Port()))
}

// giveCookie lets a browser that came with the token come without it. The page then takes it out of its address.
func (s *service) giveCookie(w http.ResponseWriter, r *http.Request) {
	// guard has counted the try.
	if s.config.token == "" || !sameSecret(s.config.token, r.URL.Query().Get("token")) {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name:     s.cookieName(),
		Value:    s.secrets.cookie,
		Path:     "/",
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	})
}

const tokenForm = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>elementum-stream</title>
<h1>Token</h1><p>This service asks for the token that it printed when it was started.</p>
<form action="/"><label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label>
<button>Open</button></form></html>
`

// askToken answers who does not know the token: a person with a form.
func (s *service) askToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="elementum-stream"`)
	if r.Method != http.MethodGet || r.URL.Path != "/" {
		fail(w, r, errToken)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(tokenForm))
}
