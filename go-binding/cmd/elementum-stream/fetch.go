package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"elementum.example/torrent"
)

const (
	// A torrent file is no larger.
	maxTorrentFile = 16 << 20
	fetchTimeout   = 30 * time.Second
	maxRedirects   = 5
	// Fetches at once, and requests that wait for one to end.
	maxFetches, maxFetchesWaiting = 4, 16
)

var (
	errURL = badRequest("invalid_url", "an address of a torrent file begins with http:// or https://")

	errPrivateURL = &failure{status: http.StatusForbidden, code: "address_refused",
		message: "this address is in the local network; start the service with -allow-private-urls to allow it"}

	errLocalRedirect = &failure{status: http.StatusForbidden, code: "address_refused",
		message: "the address leads from the internet into the local network"}
)

// A fetcher fetches torrent files. A request must not reach by it what only this machine can reach: the addresses are checked when
// they are dialled, after names are resolved and on each redirect. Nobody is led from the internet into the local network, not the
// operator either, and not where local addresses are allowed: whoever answers there is not who was asked.
type fetcher struct {
	open, guarded *http.Client
}

// settings: those of the session, whose proxy torrent files are fetched by, too.
func newFetcher(allowPrivate bool, settings torrent.Settings) *fetcher {
	f := &fetcher{open: newFetchClient(true, settings)}
	f.guarded = f.open
	if !allowPrivate {
		f.guarded = newFetchClient(false, settings)
	}
	return f
}

func newFetchClient(allowPrivate bool, settings torrent.Settings) *http.Client {
	check := func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		trail, _ := ctx.Value(trailKey{}).(*trail)
		return trail.follow(address, allowPrivate)
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, ControlContext: check}
	// No proxy of the environment: the check would see its address alone.
	var through func(*http.Request) (*url.URL, error)
	if proxy, err := fetchProxy(settings); proxy != nil || err != nil {
		dialer.ControlContext = nil
		through = throughProxy(proxy, err, allowPrivate)
	}
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:                  through,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  20 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			switch {
			case request.URL.Scheme == "magnet":
				return http.ErrUseLastResponse
			case len(via) > maxRedirects:
				return errors.New("too many redirects")
			case !isWeb(request.URL):
				return errURL
			}
			return nil
		},
	}
}

func isWeb(address *url.URL) bool {
	return (address.Scheme == "http" || address.Scheme == "https") && address.Host != ""
}

func (f *fetcher) close() {
	f.open.CloseIdleConnections()
	f.guarded.CloseIdleConnections()
}

// fetch gets a torrent file, or the magnet link that the address leads to. trusted: the address is the operator's own.
func (f *fetcher) fetch(ctx context.Context, address string, trusted bool) (file []byte, magnet string, err error) {
	parsed, err := url.Parse(address)
	if err != nil || !isWeb(parsed) {
		return nil, "", errURL
	}
	ctx = context.WithValue(ctx, trailKey{}, new(trail))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, parsed.String(), nil)
	if err != nil {
		return nil, "", errURL
	}
	request.Header.Set("User-Agent", "elementum-stream")
	request.Header.Set("Accept", "application/x-bittorrent, */*;q=0.1")
	client := f.guarded
	if trusted {
		client = f.open
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", fetchFailure(err)
	}
	defer response.Body.Close()
	if location, err := response.Location(); err == nil && location.Scheme == "magnet" {
		return nil, location.String(), nil
	}
	if response.StatusCode != http.StatusOK {
		return nil, "", &failure{status: http.StatusBadGateway, code: "fetch_failed", message: "the address answered " + response.Status}
	}
	file, err = readAll(io.LimitReader(response.Body, maxTorrentFile+1), response.ContentLength)
	if err != nil {
		return nil, "", fetchFailure(err)
	}
	if len(file) > maxTorrentFile {
		return nil, "", errTooBig
	}
	return file, "", nil
}

func fetchFailure(err error) error {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	// The address may hold a passkey: only the cause is told.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return &failure{status: http.StatusGatewayTimeout, code: "fetch_timed_out", message: "the address did not answer in time"}
	}
	return &failure{status: http.StatusBadGateway, code: "fetch_failed", message: "the address could not be fetched: " + causeOf(err)}
}

// causeOf is what failed, without what it says of this machine and its network: its resolver, its addresses.
func causeOf(err error) string {
	var lookup *net.DNSError
	var dial *net.OpError
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "no host has its name"
	case errors.As(err, &lookup):
		return "its host's name could not be looked up"
	case errors.As(err, &dial):
		var errno syscall.Errno
		if errors.As(dial, &errno) {
			return errno.Error()
		}
		return "the connection failed"
	}
	return err.Error()
}

// A trail is where one fetch has been.
type trail struct {
	mu sync.Mutex
	// It was at an address of the internet.
	outside bool
}

type trailKey struct{}

// follow is asked with each address before it is dialled.
func (t *trail) follow(address string, allowPrivate bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || t == nil {
		return errPrivateURL
	}
	return t.step(isPublic(at.Addr()), allowPrivate)
}

// step is asked whether the next address may be one of the internet, or of the local network.
func (t *trail) step(public, allowPrivate bool) error {
	if t == nil {
		return errPrivateURL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case public:
		t.outside = true
	case t.outside:
		return errLocalRedirect
	case !allowPrivate:
		return errPrivateURL
	}
	return nil
}

// What is global by its form but not by its use, and what carries IPv4 addresses in it (NAT64, 6to4, Teredo).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
}

var globalIPv6 = netip.MustParsePrefix("2000::/3")

func isPublic(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if !address.IsGlobalUnicast() || address.IsPrivate() || address.Is6() && !globalIPv6.Contains(address) {
		return false
	}
	for _, prefix := range notPublic {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}
