// Command elementum-stream adds torrents and serves their files over HTTP while they download, with a page to watch it by.
//
//	elementum-stream -demo
//	elementum-stream [flags] [magnet link | torrent file | http(s) address of a torrent file]...
//
// It prints the address of its page, and ends on SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"elementum.example/torrent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// What ending takes at most: the session and the streams end side by side, then what is left of the connections is cut.
const (
	sessionCloseTimeout = 1500 * time.Millisecond
	serverCloseTimeout  = 1800 * time.Millisecond
)

// run is the program, until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	config, err := parseConfig(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "elementum-stream:", err)
		return 2
	}
	if config.version {
		fmt.Fprintf(stdout, "elementum-stream %s, C ABI %d, %s %s/%s\n", torrent.Version(), torrent.ABIVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	}
	if err := serve(ctx, config, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "elementum-stream:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, config *config, stdout, stderr io.Writer) error {
	listener, err := net.Listen("tcp", config.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is taken, perhaps by another elementum-stream: choose one with -listen, port 0 takes any", config.listen)
	}
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := config.bound(listener.Addr()); err != nil {
		return err
	}
	service, err := newService(config, stderr)
	if err != nil {
		return err
	}
	server := service.httpServer()
	served := make(chan error, 1)
	go func() { served <- server.Serve(limitListener(listener, maxConnections)) }()
	announce(stdout, config)

	adding, cancel := context.WithCancel(ctx)
	var added sync.WaitGroup
	added.Go(func() { service.addSources(adding, config.sources) })

	select {
	case <-ctx.Done():
		err = nil
	case err = <-served:
	}
	cancel()
	failed := shutdown(server, service)
	added.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, failed)
}

// shutdown ends the streams by ending the session, and waits for the requests.
func shutdown(server *http.Server, service *service) error {
	ctx, cancel := context.WithTimeout(context.Background(), serverCloseTimeout)
	defer cancel()
	var closing sync.WaitGroup
	var closeErr error
	closing.Go(func() { closeErr = service.Close() })
	err := server.Shutdown(ctx)
	if err != nil {
		// Somebody does not read what he asked for.
		err = server.Close()
	}
	closing.Wait()
	return errors.Join(err, closeErr)
}
