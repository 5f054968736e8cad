package capi

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A turnstile lets so many through at once; the others stand in line. Go gives each call into C that takes long a thread of its own, and keeps
// it for ever: without a bound, as many readers as ever read at once stay as threads. Going through it without waiting takes a few atomic steps.
//
// Calls may hang: on a disk that does not answer. Where none of those inside moves, they are counted no more, and as many others are let in beside
// them, so that readers of other disks and of memory go on. Threads grow with calls that hang then, and with nothing else.
type turnstile struct {
	usual, patience int64
	// How many may be inside: the usual number, and those that hang.
	most   atomic.Int64
	inside atomic.Int64
	// Those in line; who leaves looks at this alone.
	waiting atomic.Int64

	mu   sync.Mutex
	line []chan struct{}
	// So many were let in from the line.
	served uint64
}

func newTurnstile(most int, patience time.Duration) *turnstile {
	t := &turnstile{usual: int64(most), patience: int64(patience)}
	t.most.Store(t.usual)
	return t
}

func (t *turnstile) enter() {
	if t.waiting.Load() == 0 && t.take() {
		return
	}
	t.stand()
}

func (t *turnstile) leave() {
	inside := t.inside.Add(-1)
	// Who comes to stand in line is counted before he looks for a place, and who leaves gives it up before he looks: one sees the other.
	if t.waiting.Load() == 0 && inside >= t.most.Load()-t.usual {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// No more can hang than are inside.
	t.most.Store(min(t.most.Load(), t.inside.Load()+t.usual))
	t.serve()
}

// take takes a place, if one is free.
func (t *turnstile) take() bool {
	for {
		inside := t.inside.Load()
		if inside >= t.most.Load() {
			return false
		}
		if t.inside.CompareAndSwap(inside, inside+1) {
			return true
		}
	}
}

func (t *turnstile) stand() {
	turn := make(chan struct{})
	t.mu.Lock()
	t.waiting.Add(1)
	t.line = append(t.line, turn)
	t.serve()
	seen := t.served
	t.mu.Unlock()
	timer := time.NewTimer(time.Duration(t.patience))
	defer timer.Stop()
	for {
		select {
		case <-turn:
			return
		case <-timer.C:
		}
		t.mu.Lock()
		if seen == t.served && slices.Contains(t.line, turn) {
			t.most.Store(t.inside.Load() + t.usual)
			t.serve()
		}
		seen = t.served
		t.mu.Unlock()
		timer.Reset(time.Duration(t.patience))
	}
}

// serve lets in from the line as many as there are places. The lock is held.
func (t *turnstile) serve() {
	for len(t.line) > 0 && t.take() {
		close(t.line[0])
		t.line = t.line[1:]
		t.waiting.Add(-1)
		t.served++
	}
}

// Calls on readers at once, in the whole program. They wait for nothing but a disk, which moves one of them within this time unless it hangs.
var readerCalls = newTurnstile(max(8, 4*runtime.GOMAXPROCS(0)), 250*time.Millisecond)
