package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"elementum.example/torrent"
)

func parse(t *testing.T, args ...string) (*config, error) {
	t.Helper()
	return parseConfig(args, io.Discard)
}

func TestProxyFlag(t *testing.T) {
	config, err := parse(t, "-proxy", "socks5://me:s%40cret@[::1]:1080")
	if err != nil {
		t.Fatal(err)
	}
	want := torrent.Settings{"proxy_type": int64(3), "proxy_hostname": "::1", "proxy_port": int64(1080),
		"proxy_username": "me", "proxy_password": "s@cret", "force_proxy": true}
	for name, value := range want {
		if config.settings[name] != value {
			t.Errorf("%s is %v, not %v", name, config.settings[name], value)
		}
	}
	proxy, err := fetchProxy(config.settings)
	if err != nil || proxy.String() != "socks5://me:s%40cret@[::1]:1080" {
		t.Errorf("fetched by %v, %v", proxy, err)
	}
	for _, bad := range []string{"", "socks5://", "socks5://h", "socks5://h:0", "socks5://h:70000", "https://h:1", "h:1", "http://h:x"} {
		if _, err := parse(t, "-proxy", bad); err == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A proxy that notes what it is asked for, and answers each request itself.
func notingProxy(t *testing.T) (address string, asked chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	asked = make(chan string, 16)
	go func() {
		for {
			stream, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer stream.Close()
				request, err := http.ReadRequest(bufio.NewReader(stream))
				if err != nil {
					return
				}
				asked <- request.RequestURI
				torrent := demoTorrent()
				answer := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(torrent)),
					Body: io.NopCloser(strings.NewReader(string(torrent)))}
				answer.Write(stream)
			}()
		}
	}()
	return listener.Addr().String(), asked
}

// Torrent files are fetched by the session's proxy, which looks their names up, however it was set; without one that is forced not at all.
func TestFetchesGoByTheProxy(t *testing.T) {
	address, asked := notingProxy(t)
	host, port, _ := net.SplitHostPort(address)
	for _, args := range [][]string{
		{"-proxy", "http://" + address},
		{"-set", "proxy_type=4", "-set", "proxy_hostname=" + host, "-set", "proxy_port=" + port},
	} {
		config, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		f := newFetcher(false, config.settings)
		const far = "http://far.example/a.torrent"
		file, _, err := f.fetch(context.Background(), far, false)
		if err != nil || len(file) == 0 || <-asked != far {
			t.Errorf("%v: %d bytes, %v", args, len(file), err)
		}
		for _, near := range []string{"http://127.0.0.1/x", "http://[::1]/x", "http://LOCALHOST./x", "http://a.localhost/x", "http://10.0.0.1/x"} {
			if _, _, err := f.fetch(context.Background(), near, false); err != errPrivateURL {
				t.Errorf("%v: %s: %v", args, near, err)
			}
		}
		f.close()
	}
	for _, args := range [][]string{{"-set", "force_proxy=true"}, {"-proxy", "socks4://" + address}} {
		config, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		f := newFetcher(true, config.settings)
		if _, _, err := f.fetch(context.Background(), "http://"+address+"/x", true); err == nil {
			t.Errorf("%v: fetched", args)
		}
		f.close()
	}
	if len(asked) != 0 {
		t.Errorf("the proxy was asked for %s", <-asked)
	}
}
