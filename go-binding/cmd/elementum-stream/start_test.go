package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

func TestVersion(t *testing.T) {
	var out, errors bytes.Buffer
	if code := run(context.Background(), []string{"-version"}, &out, &errors); code != 0 || errors.Len() != 0 {
		t.Fatal(code, errors.String())
	}
	if want := "elementum-stream " + torrent.Version() + ", "; !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q", out.String())
	}
}

// The page's own port: who finds it taken is told what to do.
func TestATakenPageAddressIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var out bytes.Buffer
	code := run(context.Background(), []string{"-listen", taken.Addr().String()}, io.Discard, &out)
	if code != 1 || !strings.Contains(out.String(), taken.Addr().String()+" is taken") || !strings.Contains(out.String(), "-listen") {
		t.Error(code, out.String())
	}
}

// started is a service that runs as the program does. Its log, line by line.
func started(t *testing.T, args ...string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"-listen", "127.0.0.1:0", "-set", "enable_dht=false"}, args...), io.Discard, writer)
		writer.Close()
	}()
	t.Cleanup(func() {
		cancel()
		go io.Copy(io.Discard, reader)
		if code := <-done; code != 0 {
			t.Error("exit", code)
		}
	})
	// A log that does not come ends the test, not the wait for it.
	timer := time.AfterFunc(20*time.Second, func() { reader.CloseWithError(context.DeadlineExceeded) })
	t.Cleanup(func() { timer.Stop() })
	return bufio.NewScanner(reader)
}

func says(t *testing.T, log *bufio.Scanner, want string) {
	t.Helper()
	var all []string
	for log.Scan() {
		all = append(all, log.Text())
		if strings.Contains(log.Text(), want) {
			// When, and then a sentence.
			if !regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d [A-Z“].*[^.]\.$`).MatchString(log.Text()) {
				t.Errorf("%q", log.Text())
			}
			return
		}
	}
	t.Fatalf("nothing says %q: %q, %v", want, all, log.Err())
}

// A port for peers that somebody else has is said, and which one it is instead.
func TestATakenPeerPortIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	log := started(t, "-peer-listen", taken.Addr().String())
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	says(t, log, "Port "+port+" is taken, so peers are told to connect to port ")
	free := started(t, "-peer-listen", "127.0.0.1:0")
	says(t, free, "Peers can connect to port ")
}

// An address that is not this machine's: nothing listens there, and that is said.
func TestNoPeerPortIsSaid(t *testing.T) {
	says(t, started(t, "-peer-listen", "192.0.2.1:6881"), "Peers cannot connect to 192.0.2.1:6881, and so fewer may be found: ")
}

// What is added and removed is in the log by its name, and what cannot be added with the reason.
func TestTheLogNamesTorrents(t *testing.T) {
	log := started(t, unknownMagnet+"&dn=Some+film", "no-such-file.torrent", "magnet:?dn=nothing")
	says(t, log, "“Some film” was added.")
	log = started(t, "no-such-file.torrent")
	says(t, log, "“no-such-file.torrent” could not be added: ")
}

// More for a torrent that is there: nothing failed, and the log tells of no failure.
func TestATorrentThatIsThereIsNoFailure(t *testing.T) {
	other := strings.Replace(unknownMagnet, "btih:0", "btih:1", 1)
	log := started(t, unknownMagnet+"&dn=Film", unknownMagnet+"&x.pe=127.0.0.1:1", other+"&dn=Other")
	var lines []string
	for log.Scan() {
		lines = append(lines, log.Text())
		if strings.Contains(log.Text(), "“Other” was added.") {
			break
		}
	}
	if text := strings.Join(lines, "\n"); strings.Count(text, "Film") != 1 || !strings.Contains(text, "Other") || strings.Contains(text, "could not") {
		t.Errorf("%s", text)
	}
}

func TestAddressesForOtherDevices(t *testing.T) {
	ip := func(text string) net.Addr { return &net.IPNet{IP: net.ParseIP(text), Mask: net.CIDRMask(24, 32)} }
	interfaces := []net.Addr{ip("127.0.0.1"), ip("::1"), ip("fe80::1"), ip("2001:db8::7"), ip("203.0.113.9"), ip("169.254.3.4"), ip("192.168.1.5"), ip("10.0.0.2"),
		&net.UnixAddr{Name: "x"}, ip("224.0.0.1"), ip("0.0.0.0")}
	if got := fmt.Sprint(reachable(interfaces, false)); got != "[192.168.1.5 10.0.0.2 203.0.113.9]" {
		t.Error(got)
	}
	if got := fmt.Sprint(reachable(interfaces, true)); got != "[192.168.1.5 10.0.0.2 203.0.113.9 2001:db8::7]" {
		t.Error(got)
	}
	var many []net.Addr
	for i := range 300 {
		many = append(many, ip(fmt.Sprintf("10.0.%d.%d", i/200, i%200+1)))
	}
	if got := len(reachable(many, true)); got != maxPrinted {
		t.Error(got)
	}

	lines := func(listen string) []string {
		c := &config{}
		if err := c.bound(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listen))); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		announce(&out, c)
		text := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, line := range text {
			if i > 0 && (!strings.HasPrefix(line, "from other devices: http://") || !strings.Contains(line, "token="+c.token)) {
				t.Errorf("%q", line)
			}
		}
		return text
	}
	if got := lines("127.0.0.1:8097"); len(got) != 1 || got[0] != "listening on http://127.0.0.1:8097/" {
		t.Errorf("%q", got)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for listen, six := range map[string]bool{"0.0.0.0:8097": false, "[::]:8097": true} {
		if got := lines(listen); len(got) != 1+len(reachable(own, six)) || !strings.HasPrefix(got[0], "listening on http://127.0.0.1:8097/?token=") {
			t.Errorf("%s: %q", listen, got)
		}
	}
}
