package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"elementum.example/torrent"
)

// libtorrent's proxy_type_t: without and with a user name and a password.
var proxyTypes = map[string]struct{ plain, password int64 }{
	"socks4":  {1, 1},
	"socks5":  {2, 3},
	"socks5h": {2, 3},
	"http":    {4, 5},
}

var (
	errNoWayOut = &failure{status: http.StatusBadGateway, code: "fetch_failed",
		message: "force_proxy is on, and no proxy is set that torrent files could be fetched by"}

	errSOCKS4 = &failure{status: http.StatusBadGateway, code: "fetch_failed", message: "torrent files are not fetched through a SOCKS4 proxy"}
)

// useProxy has all that goes out go by a proxy: scheme://user:password@host:port.
func (c *config) useProxy(text string) error {
	address, err := url.Parse(text)
	if err != nil {
		// What it says has the password in it.
		return errors.New("scheme://user:password@host:port is wanted")
	}
	kind, known := proxyTypes[strings.ToLower(address.Scheme)]
	if !known {
		return fmt.Errorf("%q is none of socks4, socks5 and http", address.Scheme)
	}
	port, err := strconv.ParseUint(address.Port(), 10, 16)
	if address.Hostname() == "" || err != nil || port == 0 {
		return errors.New("a host and a port are wanted")
	}
	password, authenticates := address.User.Password()
	c.settings["proxy_type"] = kind.plain
	if authenticates {
		c.settings["proxy_type"] = kind.password
	}
	c.settings["proxy_hostname"] = address.Hostname()
	c.settings["proxy_port"] = int64(port)
	c.settings["proxy_username"] = address.User.Username()
	c.settings["proxy_password"] = password
	c.settings["force_proxy"] = true
	return nil
}

// fetchProxy is what a session with these settings fetches by; nil: nothing is in the way.
func fetchProxy(settings torrent.Settings) (*url.URL, error) {
	kind, _ := settings["proxy_type"].(int64)
	forced, _ := settings["force_proxy"].(bool)
	switch {
	case kind == 0 && forced:
		return nil, errNoWayOut
	case kind == 0:
		return nil, nil
	case kind == 1:
		return nil, errSOCKS4
	}
	text := func(name string) string {
		value, _ := settings[name].(string)
		return value
	}
	port, _ := settings["proxy_port"].(int64)
	proxy := &url.URL{Scheme: "socks5", Host: net.JoinHostPort(text("proxy_hostname"), strconv.FormatInt(port, 10))}
	if kind >= 4 {
		proxy.Scheme = "http"
	}
	if kind == 3 || kind == 5 {
		proxy.User = url.UserPassword(text("proxy_username"), text("proxy_password"))
	}
	return proxy, nil
}

// throughProxy is asked with each address before the proxy is. It looks names up, so where they lead is not known here; this host and its
// network are the proxy's then.
func throughProxy(proxy *url.URL, failed error, allowPrivate bool) func(*http.Request) (*url.URL, error) {
	return func(request *http.Request) (*url.URL, error) {
		if failed != nil {
			return nil, failed
		}
		host := strings.ToLower(strings.TrimSuffix(request.URL.Hostname(), "."))
		address, err := netip.ParseAddr(host)
		local := err == nil && !isPublic(address) || host == "localhost" || strings.HasSuffix(host, ".localhost")
		way, _ := request.Context().Value(trailKey{}).(*trail)
		return proxy, way.step(!local, allowPrivate)
	}
}
