//go:build !unix

package torrent

import (
	"context"
	"os"
	"sync"
	"time"
)

// Where the platform has no descriptors that Go's poller could wait on, who waits looks again on a timer: it holds no thread
// either, and is later by up to longestLook.
const longestLook = 20 * time.Millisecond

type waiter struct {
	once   sync.Once
	closed chan struct{}
}

func newWaiter(int) (*waiter, error) { return &waiter{closed: make(chan struct{})}, nil }

func (w *waiter) wait(ctx context.Context, try func() (done bool)) error {
	for look := time.Millisecond; ; look = min(2*look, longestLook) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if try() {
			return nil
		}
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-w.closed:
			timer.Stop()
			return os.ErrClosed
		}
		timer.Stop()
	}
}

func (w *waiter) close() { w.once.Do(func() { close(w.closed) }) }
