package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestNobodyIsLedIntoTheLocalNetwork(t *testing.T) {
	const local, other, outside = "127.0.0.1:80", "[fd00::1]:80", "8.8.8.8:80"
	for _, c := range []struct {
		allow bool
		way   []string
		want  error
	}{
		{false, []string{outside, outside}, nil},
		{false, []string{local}, errPrivateURL},
		{false, []string{outside, local}, errLocalRedirect},
		{true, []string{local, other, outside}, nil},
		{true, []string{outside, local}, errLocalRedirect},
		{true, []string{local, outside, other}, errLocalRedirect},
		{true, []string{outside, "[::ffff:10.0.0.1]:80"}, errLocalRedirect},
		{true, []string{"nowhere"}, errPrivateURL},
	} {
		way := new(trail)
		var err error
		for _, address := range c.way {
			if err = way.follow(address, c.allow); err != nil {
				break
			}
		}
		if err != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The rule is asked with what a name comes to and with each hop, whatever the address looks like.
func TestLocalAddressesByAnyName(t *testing.T) {
	reached := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached++
		w.Write(demoTorrent())
	}))
	defer origin.Close()
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	f := newFetcher(false, nil)
	defer f.close()
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.0.0.1.", "user@127.0.0.1"} {
		_, _, err := f.fetch(context.Background(), "http://"+host+":"+port+"/announce?x=1", false)
		if err == nil {
			t.Errorf("%s: fetched", host)
		}
	}
	if reached != 0 {
		t.Errorf("it was asked %d times", reached)
	}
	if _, _, err := f.fetch(context.Background(), origin.URL, true); err != nil || reached != 1 {
		t.Errorf("the operator's own: %v", err)
	}
}

// What failed is told without the resolver's address and ours.
func TestFetchFailuresTellNothingOfThisMachine(t *testing.T) {
	resolver := "192.168.7.1:53"
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Err: "no such host", Name: "a.example", Server: resolver, IsNotFound: true}, "no host"},
		{&net.DNSError{Err: "server misbehaving", Name: "a.example", Server: resolver}, "looked up"},
		{&net.OpError{Op: "dial", Net: "udp", Addr: &net.UDPAddr{IP: net.IPv4(192, 168, 7, 1), Port: 53}, Err: &net.DNSError{Err: "x", Server: resolver}}, "looked up"},
		{&net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(192, 168, 7, 9)}, Addr: &net.TCPAddr{IP: net.IPv4(192, 168, 7, 1)},
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "refused"},
		{&net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 168, 7, 1)}, Err: errors.New("broken")}, "failed"},
	} {
		message := fetchFailure(&url.Error{Op: "Get", URL: "http://a.example/passkey", Err: c.err}).Error()
		if !strings.Contains(message, c.want) || strings.Contains(message, "192.168") || strings.Contains(message, "passkey") {
			t.Errorf("%v: %s", c.err, message)
		}
	}
}
