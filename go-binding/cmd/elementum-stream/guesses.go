package main

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// Wrong tokens that an address may try at once, and how soon one more.
	guessBurst = 20
	guessEvery = time.Second
	// Addresses that are remembered.
	maxGuessers = 4096
)

// guesses bounds how fast an address may try tokens.
type guesses struct {
	now func() time.Time

	mu sync.Mutex
	// When all its tries will be back; who is not here has them all.
	whole map[netip.Prefix]time.Time
}

func newGuesses() *guesses {
	return &guesses{now: time.Now, whole: map[netip.Prefix]time.Time{}}
}

// take takes a try. False: there is none now, and the token must not be looked at.
func (g *guesses) take(address netip.Addr) bool {
	key := guesser(address)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	whole := g.whole[key]
	if whole.Before(now) {
		whole = now
	}
	whole = whole.Add(guessEvery)
	if whole.Sub(now) > guessBurst*guessEvery {
		return false
	}
	if _, known := g.whole[key]; !known && len(g.whole) >= maxGuessers {
		g.forget(now)
	}
	g.whole[key] = whole
	return true
}

// giveBack gives a try back: the token was right.
func (g *guesses) giveBack(address netip.Addr) {
	key := guesser(address)
	g.mu.Lock()
	defer g.mu.Unlock()
	if whole, ok := g.whole[key]; ok {
		g.whole[key] = whole.Add(-guessEvery)
	}
}

// forget makes room: all that have their tries back go, and a quarter at least, so that it is seldom done.
func (g *guesses) forget(now time.Time) {
	for key, whole := range g.whole {
		if whole.Before(now) {
			delete(g.whole, key)
		}
	}
	for key := range g.whole {
		if len(g.whole) <= maxGuessers*3/4 {
			return
		}
		delete(g.whole, key)
	}
}

// guesser is who an address stands for: in IPv6 anybody has a whole network of them.
func guesser(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// clientOf is who sent the request: what a proxy that the operator named says, else who is at the other end.
func (s *service) clientOf(r *http.Request) netip.Addr {
	client := peerOf(r)
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && s.config.trusts(client); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		client = before.Unmap().WithZone("")
	}
	return client
}

// schemeOf is how the client reached us, as a proxy tells it that the operator named, or that is on this machine.
func (s *service) schemeOf(r *http.Request) string {
	proxy := peerOf(r)
	told, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	if (proxy.IsLoopback() || s.config.trusts(proxy)) && strings.EqualFold(strings.TrimSpace(told), "https") {
		return "https"
	}
	return "http"
}

func peerOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
