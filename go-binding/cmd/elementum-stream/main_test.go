package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

// TestMain checks, after all else, that no goroutine is left of the services that were opened and closed.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 && !settles(before, 5*time.Second) {
		stacks := make([]byte, 1<<20)
		os.Stderr.Write(stacks[:runtime.Stack(stacks, true)])
		os.Stderr.WriteString("goroutines were left\n")
		code = 1
	}
	os.Exit(code)
}

func settles(most int, within time.Duration) bool {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if runtime.NumGoroutine() <= most {
			return true
		}
	}
	return false
}

// A fixture is a service as run starts it, with a swarm beside it where it is asked for.
type fixture struct {
	*testing.T
	service *service
	server  *http.Server
	client  *http.Client
	base    string
	host    string
}

func newFixture(t *testing.T, args ...string) *fixture {
	t.Helper()
	args = append([]string{"-listen", "127.0.0.1:0", "-peer-listen", "127.0.0.1:0", "-set", "enable_dht=false"}, args...)
	config, err := parseConfig(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", config.listen)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.bound(listener.Addr()); err != nil {
		t.Fatal(err)
	}
	service, err := newService(config, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		T:       t,
		service: service,
		server:  service.httpServer(),
		client:  &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second},
		host:    config.addr.String(),
		base:    "http://" + config.addr.String(),
	}
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(limitListener(listener, maxConnections)) }()
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		if err := shutdown(f.server, f.service); err != nil {
			t.Error("shutdown:", err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error("serve:", err)
		}
	})
	return f
}

// swarm adds the demo's torrent, with a peer that has it.
func (f *fixture) swarm(uploadLimit uint32) string {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := newDemo(ctx, uploadLimit)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := d.Close(); err != nil {
			f.Error("demo:", err)
		}
	})
	peer, err := d.address()
	if err != nil {
		f.Fatal(err)
	}
	added, _, err := f.service.add(torrent.AddTorrentParams{Torrent: demoTorrent()})
	if err != nil {
		f.Fatal(err)
	}
	if err := added.ConnectPeer(peer); err != nil {
		f.Fatal(err)
	}
	return added.StorageIndex().String()
}

type request struct {
	method, path string
	body         string
	header       map[string]string
	host         string
}

// do sends a request; the body is read to its end.
func (f *fixture) do(q request) (*http.Response, []byte) {
	f.Helper()
	response := f.open(q)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	return response, body
}

func (f *fixture) open(q request) *http.Response {
	f.Helper()
	r, err := http.NewRequest(q.method, f.base+q.path, strings.NewReader(q.body))
	if err != nil {
		f.Fatal(err)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	r.Host = q.host
	response, err := f.client.Do(r)
	if err != nil {
		f.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	return response
}

// wants sends a request and checks the status; value takes the JSON.
func (f *fixture) wants(status int, q request, value any) *http.Response {
	f.Helper()
	response, body := f.do(q)
	if response.StatusCode != status {
		f.Fatalf("%s %s: %s, want %d: %s", q.method, q.path, response.Status, status, body)
	}
	if value != nil {
		if err := json.Unmarshal(body, value); err != nil {
			f.Fatalf("%s %s: %v: %s", q.method, q.path, err, body)
		}
	}
	return response
}

// fails checks the status and the code of an error.
func (f *fixture) fails(status int, code string, q request) *http.Response {
	f.Helper()
	var failed errorBody
	response := f.wants(status, q, &failed)
	if failed.Error.Code != code || failed.Error.Message == "" {
		f.Fatalf("%s %s: %+v, want %s", q.method, q.path, failed.Error, code)
	}
	return response
}

const unknownMagnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"

func TestRunPrintsTheAddressAndEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reader, writer := io.Pipe()
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		done <- run(ctx, []string{"-listen", "127.0.0.1:0", "-demo", unknownMagnet}, writer, &stderr)
		writer.Close()
	}()
	line := make([]byte, 256)
	n, err := reader.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "listening on ")
	if _, err := url.Parse(address); !ok || err != nil {
		t.Fatalf("printed %q", line[:n])
	}
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusOK || !bytes.Contains(page, []byte("<video")) {
		t.Fatalf("page: %s", response.Status)
	}
	client.CloseIdleConnections()
	cancel()
	select {
	case code := <-done:
		if code != 0 {
			t.Fatalf("exit %d: %s", code, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it did not end in time")
	}
}

func TestRunRefusesBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-storage", "tape"}, {"-storage", "disk"}, {"-memory", "much"}, {"-set", "enable_dht"}, {"-set", "no_such=1"},
		{"-download-limit", "9GB"}, {"-stream-idle", "0s"}, {"-memory", "-1"}, {"-memory", "NaN"}, {"-memory", "0.5"},
		{"-download-limit", "0.9B"}, {"-upload-limit", "1e-9"}, {"-host", ""}, {"-listen", ""},
	} {
		if code := run(context.Background(), args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit %d", args, code)
		}
	}
	for _, args := range [][]string{{"-memory", "0"}, {"-memory", "0B"}, {"-memory", "1e3"}, {"-memory", "0", "-demo"}, {"-set", "memory_limit=0"}} {
		var out bytes.Buffer
		code := run(context.Background(), append(args, "-listen", "127.0.0.1:0"), io.Discard, &out)
		if code != 1 || !strings.Contains(out.String(), "allowed is 262144 to ") {
			t.Errorf("%q: exit %d: %s", args, code, out.String())
		}
	}
	for text, want := range map[string]int64{"64MiB": 64 << 20, "600k": 600_000, "1.5 GB": 1_500_000_000, "7": 7, "0": 0, "0.001k": 1} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestATokenIsMadeWhereItIsNeeded(t *testing.T) {
	for _, c := range []struct {
		addr  net.Addr
		token bool
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, false},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 80}, false},
		{&net.TCPAddr{IP: net.IPv4zero, Port: 80}, true},
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, true},
		{&net.TCPAddr{IP: net.IPv6unspecified, Port: 80}, true},
	} {
		config := &config{}
		if err := config.bound(c.addr); err != nil || (config.token != "") != c.token {
			t.Errorf("%v: token %q, %v", c.addr, config.token, err)
		}
		if strings.Contains(config.address(), "token=") != c.token {
			t.Errorf("%v: %s", c.addr, config.address())
		}
	}
}
