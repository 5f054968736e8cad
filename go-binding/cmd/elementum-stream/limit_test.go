package main

import (
	"net"
	"testing"
	"time"
)

func TestLimitListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := limitListener(inner, 1)
	accepted := make(chan net.Conn, 2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	for range 2 {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("a second one was let in")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	first.Close()
	second := <-accepted
	// It waits for a place now, and ends all the same.
	listener.Close()
	<-ended
	second.Close()
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
