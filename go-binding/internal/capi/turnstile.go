package capi

import (
	"runtime"
	"sync/atomic"
)

// A turnstile lets so many through at once; the others stand in line. Go gives each call into C that takes long a thread of its own, and keeps
// it for ever: without a bound, as many readers as ever read at once stay as threads. Going through it without waiting takes two additions.
type turnstile struct {
	most   int64
	inside atomic.Int64
	turn   chan struct{}
}

// Who stands in line is woken one by one; leaving waits for nobody unless so many were let in and have not noticed yet.
const turnsAhead = 64

func newTurnstile(most int) *turnstile {
	return &turnstile{most: int64(most), turn: make(chan struct{}, turnsAhead)}
}

func (t *turnstile) enter() {
	if t.inside.Add(1) > t.most {
		<-t.turn
	}
}

func (t *turnstile) leave() {
	if t.inside.Add(-1) >= t.most {
		t.turn <- struct{}{}
	}
}

// Calls on readers at once, in the whole program. They wait for nothing but a disk.
var readerCalls = newTurnstile(max(8, 4*runtime.GOMAXPROCS(0)))
