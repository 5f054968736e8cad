package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestAFullListenerLetsTheIdlestGo(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := limitListener(inner, 4)
	defer listener.Close()
	next := func() (server, client net.Conn) {
		t.Helper()
		client, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		server, err = listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		return server, client
	}
	closed := func(client net.Conn) {
		t.Helper()
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, errors.ErrUnsupported) || isTimeout(err) {
			t.Errorf("it is still open: %v", err)
		}
	}
	// Three of one address, three quarters of four. The first one is being answered.
	first, _ := next()
	second, secondEnd := next()
	third, thirdEnd := next()
	connState(first, http.StateActive)
	connState(second, http.StateIdle)
	fourth, fourthEnd := next()
	closed(thirdEnd)
	_, fifthEnd := next()
	closed(secondEnd)
	connState(fourth, http.StateActive)
	// Who is being answered stays, and a place is a place again once it is closed.
	sixth, _ := next()
	closed(fifthEnd)
	connState(sixth, http.StateActive)
	refused, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		if conn, err := listener.Accept(); err == nil {
			accepted <- conn
		}
	}()
	closed(refused)
	third.Close()
	fourth.Close()
	fourth.Close()
	again, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	(<-accepted).Close()
	fourthEnd.Close()
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// held opens so many connections that each send something and then nothing more.
func held(f *fixture, count int, sent string) []net.Conn {
	f.Helper()
	conns := make([]net.Conn, count)
	for i := range conns {
		conn, err := net.Dial("tcp", f.host)
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, sent); err != nil {
			f.Fatal(err)
		}
		conns[i] = conn
	}
	return conns
}

// Connections that are held keep nobody out: with bodies that never come, with requests that never end, with nothing, between requests.
func TestHeldConnectionsKeepNobodyOut(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		sent string
	}{
		"bodies without a token": {[]string{"-token", "t"}, "POST " + apiPath + "/torrents HTTP/1.1\r\nHost: %[1]s\r\nContent-Type: application/x-bittorrent\r\nContent-Length: 100000\r\n\r\n"},
		"bodies":                 {nil, "POST " + apiPath + "/torrents HTTP/1.1\r\nHost: %[1]s\r\nContent-Type: application/x-bittorrent\r\nContent-Length: 100000\r\n\r\n"},
		"JSON":                   {nil, "POST " + apiPath + "/torrents HTTP/1.1\r\nHost: %[1]s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"},
		"bodies of a GET":        {nil, "GET /app.js HTTP/1.1\r\nHost: %[1]s\r\nContent-Length: 100000\r\n\r\n"},
		"bodies to nowhere":      {nil, "POST /nowhere HTTP/1.1\r\nHost: %[1]s\r\nTransfer-Encoding: chunked\r\n\r\n"},
		"half requests":          {nil, "GET /app.js HTTP/1.1\r\nHost: "},
		"nothing":                {nil, ""},
		"between requests":       {nil, "HEAD /app.js HTTP/1.1\r\nHost: %[1]s\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.args...)
			sent := c.sent
			if sent != "" && name != "half requests" {
				sent = fmt.Sprintf(sent, f.host)
			}
			for range 4 {
				held(f, maxConnections/4, sent)
				// A client of its own each time: no connection is there yet.
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
				response, err := client.Get(f.base + "/favicon.svg?token=t")
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Error(response.Status)
				}
			}
		})
	}
}

// A refusal does not wait for the body of what it refuses, and is read all the same.
func TestARefusalEndsItsConnection(t *testing.T) {
	f := newFixture(t, "-token", "t")
	conn := held(f, 1, "POST "+apiPath+"/torrents HTTP/1.1\r\nHost: "+f.host+"\r\nContent-Length: 100000\r\n\r\nabc")[0]
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusUnauthorized || !response.Close {
		t.Fatalf("%v, %v", response, err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); isTimeout(err) {
		t.Error("it is still open")
	}
}

// HTTP/1.0 names no host.
func TestHTTP10WithoutHost(t *testing.T) {
	f := newFixture(t)
	for request, status := range map[string]int{
		"GET /playlist.m3u HTTP/1.0\r\n\r\n":                        http.StatusOK,
		"GET /playlist.m3u HTTP/1.0\r\nHost: evil.example\r\n\r\n":  http.StatusMisdirectedRequest,
		"GET /playlist.m3u HTTP/1.1\r\nHost:\r\n\r\n":               http.StatusMisdirectedRequest,
		"GET /playlist.m3u HTTP/1.0\r\nOrigin: http://evil\r\n\r\n": http.StatusForbidden,
	} {
		conn := held(f, 1, request)[0]
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != status {
			t.Errorf("%q: %v, %v", request, response, err)
		}
	}
}

func TestShorten(t *testing.T) {
	for source, want := range map[string]string{
		"http://a.example/x?passkey=1":             "http://a.example/x?…",
		unknownMagnet + "&tr=http://b.example/key": unknownMagnet + "&…",
		"film.torrent": "film.torrent",
	} {
		if got := shorten(source); got != want {
			t.Errorf("%s: %s", source, got)
		}
	}
}
