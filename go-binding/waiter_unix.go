//go:build unix

package torrent

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A waiter parks goroutines on a descriptor of the library's, in Go's own poller: who waits holds no thread.
//
// The descriptor is a copy: that of the library goes with its handle, this one with the waiter.
type waiter struct {
	file *os.File
	conn syscall.RawConn
	// One waits in the poller at a time; the others here.
	turn   chan struct{}
	closed atomic.Bool
}

func newWaiter(fd int) (*waiter, error) {
	own, err := duplicate(fd)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	// It does not block, so that NewFile gives it to the poller.
	file := os.NewFile(uintptr(own), "elementum-torrent")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &waiter{file: file, conn: conn, turn: make(chan struct{}, 1)}, nil
}

// duplicate makes a copy that no child process gets.
func duplicate(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	own, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(own)
	}
	return own, err
}

// wait calls try, and again each time the descriptor says that there may be something, until it is done. Then it returns nil; or
// the context's cause, or fs.ErrClosed once the waiter is closed. try is never called after that.
func (w *waiter) wait(ctx context.Context, try func() (done bool)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-w.turn }()
	if ctx.Done() != nil {
		ended := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			w.file.SetReadDeadline(time.Unix(1, 0))
			close(ended)
		})
		defer func() {
			if !stop() {
				// The next wait begins without a deadline.
				<-ended
				w.file.SetReadDeadline(time.Time{})
			}
		}()
	}
	err := w.conn.Read(func(uintptr) bool { return try() })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.closed.Load():
		return os.ErrClosed
	}
	return err
}

// close wakes who waits. Again does nothing.
func (w *waiter) close() {
	w.closed.Store(true)
	w.file.Close()
}
